package graph

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const notThere = "' does not exist or one of its queried reference-property objects are not present."

func TestErrors(t *testing.T) { onEngines(t, testErrors) }

func testErrors(t *testing.T, w *world) {
	id, appID := w.application(admin, "app")
	app := "/applications/" + id
	fics := app + "/federatedIdentityCredentials"
	fic := w.credential(admin, id, "main")
	w.do(admin, "PATCH", app, m{"identifierUris": []string{"api://taken"}, "uniqueName": "taken"}).is(204)
	sp := w.do(admin, "POST", "/servicePrincipals", m{"appId": appID}).is(201).str("id")
	with := func(change m) m {
		b := trust("new")
		for name, value := range change {
			b[name] = value
		}
		return b
	}
	param := func(property, value string) string {
		return " paramName: FederatedIdentityCredential." + property + ", paramValue: " + value + ", objectType: Microsoft.Online.DirectoryServices.Application"
	}
	const invalid = "InvalidFederatedIdentityCredentialValue"
	const unreadable = "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format. (…)"
	subject := trust("main")["subject"].(string)
	for _, c := range []struct {
		method, path  string
		body          any
		status        int
		code, message string
	}{
		// The application or the credential is not there.
		{"GET", "/applications/" + nowhere, nil, 404, "Request_ResourceNotFound", "Resource '" + nowhere + notThere},
		{"GET", "/applications(appId='" + nowhere + "')", nil, 404, "Request_ResourceNotFound", "Resource '" + nowhere + notThere},
		{"GET", "/applications(uniqueName='x')", nil, 404, "Request_ResourceNotFound", "Resource 'x" + notThere},
		{"GET", "/applications(appId='not an id')", nil, 404, "Request_ResourceNotFound", "Resource 'not an id" + notThere},
		{"GET", "/applications/x", nil, 400, "Request_BadRequest", "Invalid object identifier 'x'."},
		{"DELETE", "/applications/" + nowhere, nil, 404, "Request_ResourceNotFound", "Resource '" + nowhere + notThere},
		{"GET", fics + "/" + nowhere, nil, 404, "Request_ResourceNotFound", "Resource '" + nowhere + notThere},
		{"GET", fics + "/MAIN", nil, 404, "Request_ResourceNotFound", "Resource 'MAIN" + notThere},
		{"GET", fics + "(name='" + fic + "')", nil, 404, "Request_ResourceNotFound", "Resource '" + fic + notThere},
		{"DELETE", fics + "(name='" + fic + "')", nil, 404, "Request_ResourceNotFound", "Resource '" + fic + notThere},
		{"PATCH", fics + "/nothing", m{"subject": "x"}, 404, "Request_ResourceNotFound", "Resource 'nothing" + notThere},
		{"PATCH", fics + "(name='nothing')", m{"subject": "x"}, 404, "Request_ResourceNotFound", "Resource 'nothing" + notThere},
		{"POST", "/applications/" + nowhere + "/federatedIdentityCredentials", trust("x"), 404, "Request_ResourceNotFound", "Resource '" + nowhere + notThere},
		{"GET", "/servicePrincipals/" + nowhere, nil, 404, "Request_ResourceNotFound", "Resource '" + nowhere + notThere},
		{"GET", "/applications/" + sp, nil, 404, "Request_ResourceNotFound", "Resource '" + sp + notThere},

		// Credentials that conflict.
		{"POST", fics, with(m{"name": "main"}), 409, "Request_MultipleObjectsWithSameKeyValue", "FederatedIdentityCredential with name main already exists."},
		{"POST", fics, with(m{"subject": subject}), 400, invalid, "The combination of issuer and subject must be unique for the application. Issuer https://issuer.example/t1/ and Subject: " + subject + " already exist." + param("Subject", subject)},
		{"PATCH", fics + "/main", m{"name": "renamed"}, 400, "Request_BadRequest", "Property 'name' of resource 'FederatedIdentityCredential' cannot be changed."},

		// Credentials that break a rule.
		{"POST", fics, with(m{"name": ""}), 400, invalid, "The name must not be empty." + param("Name", "")},
		{"POST", fics, with(m{"name": nil}), 400, invalid, "The name must not be empty." + param("Name", "")},
		{"POST", fics, with(m{"name": "a b"}), 400, invalid, "The name …" + param("Name", "a b")},
		{"POST", fics, with(m{"name": "a\x00b"}), 400, invalid, "The name …" + param("Name", "a\x00b")},
		{"POST", fics, with(m{"issuer": "http://x"}), 400, invalid, "The issuer must use https." + param("Issuer", "http://x")},
		{"POST", fics, m{"name": "n"}, 400, invalid, "The issuer must not be empty." + param("Issuer", "")},
		{"POST", fics, with(m{"subject": ""}), 400, invalid, "The subject must not be empty." + param("Subject", "")},
		{"POST", fics, with(m{"subject": "a\x00"}), 400, invalid, "The subject must not hold control characters." + param("Subject", "a\x00")},
		{"POST", fics, with(m{"audiences": []string{}}), 400, invalid, "The audiences must hold exactly one audience." + param("Audiences", "")},
		{"POST", fics, with(m{"audiences": nil}), 400, invalid, "The audiences must hold exactly one audience." + param("Audiences", "")},
		{"POST", fics, with(m{"audiences": []string{"a", "b"}}), 400, invalid, "The audiences must hold exactly one audience, not 2." + param("Audiences", "a, b")},
		{"POST", fics, with(m{"audiences": "a"}), 400, "Request_BadRequest", "Invalid value specified for property 'audiences': its type is not the one expected."},
		{"POST", fics, with(m{"subject": strings.Repeat("s", 5000)}), 400, invalid, "The subject must have at most 600 characters." + param("Subject", strings.Repeat("s", 1000)+"…")},
		{"POST", fics, with(m{"audience": "a"}), 400, "Request_BadRequest", "Invalid property 'audience'."},
		{"POST", fics, with(m{"Issuer": "https://b"}), 400, "Request_BadRequest", "Invalid property 'Issuer'."},
		{"POST", fics, with(m{"claimsMatchingExpression": m{"value": "x", "languageVersion": 1}}), 400, invalid, "A claimsMatchingExpression is not supported: name the subject itself.…"},
		{"PATCH", fics + "/main", m{"subject": nil}, 400, invalid, "The subject must not be empty." + param("Subject", "")},
		{"PATCH", fics + "/main", m{"issuer": "x"}, 400, invalid, "The issuer must be a URL that begins with \"https://\"." + param("Issuer", "x")},

		// Applications.
		{"POST", "/applications", m{}, 400, "Request_BadRequest", "A value is required for property 'displayName' of resource 'Application'."},
		{"POST", "/applications", m{"displayName": ""}, 400, "Request_BadRequest", "A value is required for property 'displayName' of resource 'Application'."},
		{"PATCH", app, m{"displayName": nil}, 400, "Request_BadRequest", "A value is required for property 'displayName' of resource 'Application'."},
		{"POST", "/applications", m{"displayName": 1}, 400, "Request_BadRequest", "Invalid value specified for property 'displayName': its type is not the one expected."},
		{"POST", "/applications", m{"displayName": strings.Repeat("x", 257)}, 400, "Request_BadRequest", "Invalid value specified for property 'displayName' of resource 'Application'. Is longer than 256 characters."},
		{"POST", "/applications", m{"displayName": "x\x00"}, 400, "Request_BadRequest", "Invalid value specified for property 'displayName' of resource 'Application'. Holds a control character."},
		{"POST", "/applications", m{"displayName": "x", "nonsense": 1}, 400, "Request_BadRequest", "Invalid property 'nonsense'."},
		{"POST", "/applications", m{"displayName": "x", "appId": nowhere}, 400, "Request_BadRequest", "Property 'appId' is read-only and cannot be set."},
		{"POST", "/applications", m{"displayName": "x", "signInAudience": "Everybody"}, 400, "Request_BadRequest", "Invalid value specified for property 'signInAudience' of resource 'Application'. The values are AzureADMyOrg, AzureADMultipleOrgs, AzureADandPersonalMicrosoftAccount, PersonalMicrosoftAccount."},
		{"POST", "/applications", m{"displayName": "x", "identifierUris": []string{"no uri"}}, 400, "Request_BadRequest", "Invalid value specified for property 'identifierUris' of resource 'Application'. \"no uri\" is not an absolute URI."},
		{"POST", "/applications", m{"displayName": "x", "identifierUris": []string{"api://taken"}}, 400, "Request_BadRequest", "Another object with the same value for property identifierUris already exists."},
		{"POST", "/applications", m{"displayName": "x", "uniqueName": "taken"}, 400, "Request_BadRequest", "Another object with the same value for property uniqueName already exists."},
		{"PATCH", app, m{"uniqueName": "x"}, 400, "Request_BadRequest", "Property 'uniqueName' of resource 'Application' cannot be changed."},
		{"POST", "/applications", m{"displayName": "x", "passwordCredentials": []m{{"secretText": "chosen"}}}, 400, "Request_BadRequest", "Property 'secretText' is read-only and cannot be set."},
		{"POST", "/applications", m{"displayName": "x", "passwordCredentials": []m{{"endDateTime": "2000-01-01T00:00:00Z"}}}, 400, "Request_BadRequest", "Invalid value specified for property 'endDateTime' of resource 'PasswordCredential'. Must be after startDateTime."},
		{"POST", "/applications", m{"displayName": "x", "passwordCredentials": "p"}, 400, "Request_BadRequest", "Invalid value specified for property 'passwordCredentials': its type is not the one expected."},
		{"PATCH", app, m{"passwordCredentials": []m{{"displayName": "p"}}}, 400, "Request_BadRequest", "passwordCredentials cannot be set: use addPassword and removePassword."},
		{"PATCH", app, m{"owners@odata.bind": []string{base + "/v1.0/directoryObjects/" + sp}}, 400, "Request_BadRequest", "Owners cannot be bound by an update: use POST to owners/$ref."},
		{"PATCH", app, m{"id": nowhere}, 400, "Request_BadRequest", "Property 'id' is read-only and cannot be set."},
		{"PATCH", app, m{"appId": nowhere}, 400, "Request_BadRequest", "Property 'appId' is read-only and cannot be set."},
		{"POST", "/applications", m{"displayName": "x", "id": nowhere}, 400, "Request_BadRequest", "Property 'id' is read-only and cannot be set."},
		{"POST", "/applications", m{"displayName": "x", "federatedIdentityCredentials": []m{trust("x")}}, 400, "Request_BadRequest", "federatedIdentityCredentials cannot be set together with the application: create an application object first and then create the federated identity credential, by POST to /applications/{id}/federatedIdentityCredentials."},
		{"POST", "/applications", m{"displayName": "x", "owners@odata.bind": []string{base + "/v1.0/directoryObjects/" + nowhere}}, 404, "Request_ResourceNotFound", "Resource '" + nowhere + notThere},
		{"POST", "/applications", m{"displayName": "x", "owners@odata.bind": []string{"x"}}, 400, "Request_BadRequest", "Invalid URL format specified in payload."},
		{"POST", "/applications", m{"displayName": "x", "owners@odata.bind": make([]string, 21)}, 400, "Request_BadRequest", "At most 20 owners can be bound to what is created: add the others afterwards."},
		{"POST", "/applications", m{"displayName": "x", "members@odata.bind": []string{}}, 400, "Request_BadRequest", "Invalid property 'members@odata.bind'."},
		{"POST", "/applications", m{"displayName": "x", "appRoles": []m{{"id": "x", "value": "v", "allowedMemberTypes": []string{"User"}}}}, 400, "Request_BadRequest", "Invalid value specified for property 'appRoles' of resource 'Application'. The id \"x\" is not a GUID."},
		{"POST", "/applications", m{"displayName": "x", "appRoles": []m{{"id": nowhere, "value": "v"}}}, 400, "Request_BadRequest", "Invalid value specified for property 'appRoles' of resource 'Application'. AllowedMemberTypes holds User, Application or both."},
		{"POST", "/applications", m{"displayName": "x", "appRoles": []m{{"id": nowhere, "value": "v", "allowedMemberTypes": []string{"User"}, "isEnabled": "yes"}}}, 400, "Request_BadRequest", "Invalid value specified for property 'appRoles': its type is not the one expected."},
		{"POST", "/applications", m{"displayName": "x", "api": m{"requestedAccessTokenVersion": 3}}, 400, "Request_BadRequest", "Invalid value specified for property 'api.requestedAccessTokenVersion' of resource 'Application'. It is 1, 2 or null."},
		{"POST", "/applications", m{"displayName": "x", "api": m{"requestedAccessTokenVersion": "2"}}, 400, "Request_BadRequest", "Invalid value specified for property 'api.requestedAccessTokenVersion' of resource 'Application'."},
		{"POST", "/applications", m{"displayName": "x", "web": m{"redirectUris": "x"}}, 400, "Request_BadRequest", "Invalid value specified for property 'web.redirectUris' of resource 'Application'."},
		{"POST", "/applications", m{"displayName": "x", "web": m{"redirectUri": []string{}}}, 400, "Request_BadRequest", "Invalid property 'web.redirectUri'."},
		{"POST", "/applications", m{"displayName": "x", "web": []string{}}, 400, "Request_BadRequest", "Invalid value specified for property 'web' of resource 'Application'."},
		{"POST", "/applications", m{"displayName": "x", "info": m{"logoUrl": "x"}}, 400, "Request_BadRequest", "Property 'info.logoUrl' is read-only and cannot be set."},
		{"POST", "/applications", m{"displayName": "x", "isFallbackPublicClient": "yes"}, 400, "Request_BadRequest", "Invalid value specified for property 'isFallbackPublicClient' of resource 'Application'."},
		{"POST", "/applications", m{"displayName": "x", "serviceManagementReference": strings.Repeat("x", 70000)}, 400, "Request_BadRequest", "Invalid value specified for property 'properties' of resource 'Application'. …"},

		// Secrets.
		{"POST", app + "/addPassword", m{"passwordCredential": m{"secretText": "chosen"}}, 400, "Request_BadRequest", "Property 'secretText' is read-only and cannot be set."},
		{"POST", app + "/addPassword", m{"passwordCredential": m{"endDateTime": "tomorrow"}}, 400, "Request_BadRequest", "Invalid value specified for property 'endDateTime': its type is not the one expected."},
		{"POST", app + "/addPassword", m{"passwordCredential": m{"endDateTime": "2000-01-01T00:00:00Z"}}, 400, "Request_BadRequest", "Invalid value specified for property 'endDateTime' of resource 'PasswordCredential'. Must be after startDateTime."},
		{"POST", app + "/addPassword", m{"displayName": "x"}, 400, "Request_BadRequest", "Invalid property 'displayName'."},
		{"POST", app + "/removePassword", m{}, 400, "Request_BadRequest", "Invalid value specified for property 'keyId' of resource 'PasswordCredential'. A GUID is required."},
		{"POST", app + "/removePassword", nil, 400, "BadRequest", "Empty Payload. JSON content expected."},

		// Service principals.
		{"POST", "/servicePrincipals", m{}, 400, "Request_BadRequest", "A value is required for property 'appId' of resource 'ServicePrincipal'."},
		{"POST", "/servicePrincipals", m{"appId": nowhere}, 400, "Request_BadRequest", "The appId '" + nowhere + "' of the service principal does not reference a valid application object."},
		{"POST", "/servicePrincipals", m{"appId": "x\x00"}, 400, "Request_BadRequest", "The appId 'x\x00' of the service principal does not reference a valid application object."},
		{"POST", "/servicePrincipals", m{"appId": appID}, 409, "Request_MultipleObjectsWithSameKeyValue", "The service principal cannot be created, updated, or restored because the service principal name " + appID + " is already in use."},
		{"PATCH", "/servicePrincipals/" + sp, m{"replyUrls": []string{"https://x.example"}}, 400, "Request_BadRequest", "Property 'replyUrls' of a service principal cannot be set on this server."},
		{"PATCH", "/servicePrincipals/" + sp, m{"notes": 1}, 400, "Request_BadRequest", "Invalid value specified for property 'notes' of resource 'ServicePrincipal'."},
		{"PATCH", "/servicePrincipals/" + sp, m{"notes": strings.Repeat("x", 70000)}, 400, "Request_BadRequest", "Invalid value specified for property 'properties' of resource 'ServicePrincipal'. …"},
		{"PATCH", "/servicePrincipals/" + sp, m{"id": nowhere}, 400, "Request_BadRequest", "Property 'id' is read-only and cannot be set."},
		{"PATCH", "/servicePrincipals/" + sp, m{"passwordCredentials": []m{{}}}, 400, "Request_BadRequest", "passwordCredentials cannot be set: use addPassword and removePassword."},
		{"PATCH", "/servicePrincipals/" + sp, m{"owners@odata.bind": []string{base + "/v1.0/directoryObjects/" + sp}}, 400, "Request_BadRequest", "Owners cannot be bound by an update: use POST to owners/$ref."},
		{"PATCH", "/servicePrincipals/" + nowhere, m{"id": nowhere}, 404, "Request_ResourceNotFound", "Resource '" + nowhere + notThere},
		{"POST", "/servicePrincipals", m{"appId": appID, "id": nowhere}, 400, "Request_BadRequest", "Property 'id' is read-only and cannot be set."},
		{"POST", "/servicePrincipals", m{"appId": appID, "passwordCredentials": []m{{}}}, 400, "Request_BadRequest", "passwordCredentials cannot be set: use addPassword and removePassword."},
		{"POST", "/servicePrincipals", m{"appId": appID, "owners@odata.bind": []string{"x"}}, 400, "Request_BadRequest", "Invalid URL format specified in payload."},
		{"POST", "/servicePrincipals/" + sp + "/removePassword", m{"keyId": nowhere}, 400, "Request_BadRequest", "No password credential found with keyId '" + nowhere + "'."},
		{"POST", "/servicePrincipals/" + nowhere + "/addPassword", m{}, 404, "Request_ResourceNotFound", "Resource '" + nowhere + notThere},
		{"PATCH", "/servicePrincipals/" + sp, m{"nonsense": "n"}, 400, "Request_BadRequest", "Invalid property 'nonsense'."},
		{"PATCH", "/servicePrincipals/" + sp, m{"appId": nowhere}, 400, "Request_BadRequest", "Property 'appId' is read-only and cannot be set."},
		{"PATCH", "/servicePrincipals/" + sp, m{"tags": []string{"\x00"}}, 400, "Request_BadRequest", "Invalid value specified for property 'tags' of resource 'ServicePrincipal'. Holds a control character."},
		{"POST", "/servicePrincipals", m{"appId": appID, "servicePrincipalType": "ManagedIdentity"}, 400, "Request_BadRequest", "Invalid value specified for property 'servicePrincipalType' of resource 'ServicePrincipal'. A managed identity gets its service principal when it is created."},

		// Owners and what was deleted.
		{"POST", app + "/owners/$ref", m{"@odata.id": base + "/v1.0/directoryObjects/x"}, 400, "Request_BadRequest", "Invalid URL format specified in payload."},
		{"POST", app + "/owners/$ref", m{"@odata.id": base + "/v1.0/directoryObjects/" + nowhere}, 404, "Request_ResourceNotFound", "Resource '" + nowhere + notThere},
		{"POST", app + "/owners/$ref", m{"@odata.id": base + "/v1.0/directoryObjects/" + w.callers[admin].PrincipalID}, 400, "Request_BadRequest", "One or more added object references already exist for the following modified properties: 'owners'."},
		{"DELETE", app + "/owners/x/$ref", nil, 400, "Request_BadRequest", "Invalid object identifier 'x'."},
		{"DELETE", app + "/owners/" + nowhere + "/$ref", nil, 404, "Request_ResourceNotFound", "Resource '" + nowhere + notThere},
		{"POST", "/servicePrincipals/" + sp + "/owners/$ref", m{"@odata.id": base + "/v1.0/directoryObjects/" + w.callers[admin].PrincipalID}, 400, "Request_BadRequest", "One or more added object references already exist for the following modified properties: 'owners'."},
		{"POST", "/servicePrincipals/" + sp + "/owners/$ref", m{"@odata.id": base + "/v1.0/directoryObjects/" + nowhere}, 404, "Request_ResourceNotFound", "Resource '" + nowhere + notThere},
		{"DELETE", "/servicePrincipals/" + sp + "/owners/" + nowhere + "/$ref", nil, 404, "Request_ResourceNotFound", "Resource '" + nowhere + notThere},
		{"GET", "/directory/deletedItems/" + id, nil, 404, "Request_ResourceNotFound", "Resource '" + id + notThere},
		{"DELETE", "/directory/deletedItems/" + id, nil, 404, "Request_ResourceNotFound", "Resource '" + id + notThere},
		{"POST", "/directory/deletedItems/" + id + "/restore", nil, 404, "Request_ResourceNotFound", "Resource '" + id + notThere},
		{"GET", "/directory/deletedItems/microsoft.graph.device", nil, 400, "Request_BadRequest", "Invalid object identifier 'microsoft.graph.device'."},
		{"GET", "/directoryObjects/" + nowhere, nil, 404, "Request_ResourceNotFound", "Resource '" + nowhere + notThere},
		{"GET", "/directoryObjects/x", nil, 400, "Request_BadRequest", "Invalid object identifier 'x'."},
		{"POST", "/directoryObjects/" + nowhere + "/checkMemberGroups", m{"groupIds": []string{nowhere}}, 404, "Request_ResourceNotFound", "Resource '" + nowhere + notThere},

		// Paths.
		{"POST", "/applications//federatedIdentityCredentials", trust("x"), 400, "BadRequest", collectionURI("applications").message},
		{"DELETE", "/applications/", nil, 400, "BadRequest", collectionURI("applications").message},
		{"PATCH", fics + "/", m{}, 400, "BadRequest", collectionURI("federatedIdentityCredentials").message},
		{"GET", "/nonsense", nil, 400, "BadRequest", "Resource not found for the segment 'nonsense'."},
		{"GET", app + "/nonsense", nil, 400, "BadRequest", "Resource not found for the segment 'nonsense'."},
		{"GET", app + "/owners/" + nowhere, nil, 400, "BadRequest", "Resource not found for the segment '" + nowhere + "'."},
		{"GET", app + "/federatedIdentityCredentials/x/y", nil, 400, "BadRequest", "Resource not found for the segment 'y'."},
		{"GET", "", nil, 400, "BadRequest", "Resource not found for the segment 'v1.0'."},
		{"GET", base + "/v3/applications", nil, 400, "BadRequest", "Invalid version."},
		{"GET", base + "/", nil, 400, "BadRequest", "Invalid version."},
		{"GET", "/applications/../servicePrincipals/x", nil, 400, "BadRequest", "The request URI is not valid."},
		{"GET", "/applications/%2e%2e/servicePrincipals", nil, 400, "BadRequest", "The request URI is not valid."},
		{"GET", "/applications/a%2Fb/federatedIdentityCredentials", nil, 400, "BadRequest", "The request URI is not valid."},
		{"GET", "/applications/a%5Cb", nil, 400, "BadRequest", "The request URI is not valid."},
		{"GET", "/applications/a%00b", nil, 400, "BadRequest", "The request URI is not valid."},
		{"GET", "/applications/a;b", nil, 400, "BadRequest", "The request URI is not valid."},
		{"GET", "/applications/%ff", nil, 400, "BadRequest", "The request URI is not valid."},
		{"GET", "/applications(appId='')", nil, 400, "BadRequest", "The request URI is not valid: a key is empty."},
		{"GET", "/applications(appId=x)", nil, 400, "BadRequest", "The request URI is not valid: the key in 'applications(appId=x)' cannot be read."},
		{"GET", "/applications(appId='x'", nil, 400, "BadRequest", "The request URI is not valid: the key in 'applications(appId='x'' cannot be read."},
		{"GET", "/applications(appId='x'y')", nil, 400, "BadRequest", "The request URI is not valid: the key in 'applications(appId='x'y')' cannot be read."},
		{"GET", "/applications()", nil, 400, "BadRequest", "The request URI is not valid: the key in 'applications()' cannot be read."},
		{"GET", "/applications(displayName='x')", nil, 400, "BadRequest", "The key 'displayName' in the request URI is not valid for the resource."},
		{"GET", "/servicePrincipals(uniqueName='x')", nil, 400, "BadRequest", "The key 'uniqueName' in the request URI is not valid for the resource."},
		{"GET", "/applications/" + strings.Repeat("x", 5000), nil, 400, "BadRequest", "The request URI is too long."},
		{"PUT", "/applications", m{}, 405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target."},
		{"DELETE", "/applications", nil, 405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target."},
		{"OPTIONS", app, nil, 405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target."},
		{"DELETE", "/applications/$count", nil, 405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target."},

		// Bodies.
		{"POST", "/applications", "{", 400, "BadRequest", unreadable},
		{"POST", "/applications", "[]", 400, "BadRequest", unreadable},
		{"POST", "/applications", "null", 400, "BadRequest", unreadable},
		{"POST", "/applications", `{"displayName":"a","displayName":"b"}`, 400, "BadRequest", unreadable},
		{"POST", "/applications", `{"displayName":"\ud800"}`, 400, "BadRequest", unreadable},
		{"POST", "/applications", `{"displayName":"a"} x`, 400, "BadRequest", unreadable},
		{"POST", "/applications", "{\"displayName\":\"\xff\"}", 400, "BadRequest", unreadable},
		{"POST", "/applications", strings.Repeat(`{"web":`, 20000) + strings.Repeat("}", 20000), 400, "BadRequest", unreadable},
		{"POST", "/applications", `{"tags":[` + strings.Repeat(`"t",`, 2000) + `"t"]}`, 400, "BadRequest", unreadable},
		{"POST", "/applications", "  ", 400, "BadRequest", "Empty Payload. JSON content expected."},
		{"POST", "/applications", nil, 400, "BadRequest", "Empty Payload. JSON content expected."},
	} {
		t.Run(c.method+" "+shorten(c.path, 60), func(t *testing.T) {
			got := w.do(admin, c.method, c.path, c.body)
			got.T = t
			got.fails(c.status, c.code, c.message)
		})
	}
	if got := w.do(admin, "PUT", app, nil).header.Get("Allow"); got != "DELETE, GET, PATCH" {
		t.Errorf("Allow of a 405: %q", got)
	}
	if got := w.do(admin, "POST", "/servicePrincipals", m{"appId": nowhere}).at("error", "details"); !cmp.Equal(got, []any{m{"code": "NoBackingApplicationObject", "message": "The appId '" + nowhere + "' of the service principal does not reference a valid application object.", "target": "appId"}}) {
		t.Errorf("details: %v", got)
	}
	// PATCH with a list of secrets would remove those that are not in it.
	w.do(admin, "POST", app+"/addPassword", nil).is(200)
	w.do(admin, "PATCH", app, m{"passwordCredentials": []m{}}).fails(400, "Request_BadRequest", "passwordCredentials cannot be set: use addPassword and removePassword.")
}

func TestUnauthenticated(t *testing.T) {
	w := newWorld(t)
	got := w.do("", "GET", "/applications", nil)
	got.fails(401, "InvalidAuthenticationToken", "Access token is empty.")
	if want := `Bearer realm="", authorization_uri="https://graph.test/common/oauth2/authorize", client_id="00000003-0000-0000-c000-000000000000"`; got.header.Get("WWW-Authenticate") != want {
		t.Errorf("WWW-Authenticate: %s", got.header.Get("WWW-Authenticate"))
	}
	// A principal that is gone has no rights, whatever its token says.
	w.do(admin, "DELETE", "/servicePrincipals/"+w.callers[reader].PrincipalID, nil).is(204)
	w.do(reader, "GET", "/applications", nil).fails(401, "InvalidAuthenticationToken", "The identity of the calling application could not be established.")
}

func TestServerErrorsTellNothing(t *testing.T) {
	w := newWorld(t)
	for _, as := range []string{"panic", "broken"} {
		got := w.do(as, "GET", "/applications", nil)
		got.fails(500, "InternalServerError", "The server has failed. Its log says more under the request id.")
		if strings.Contains(got.text, "hole") || strings.Contains(got.text, "fire") {
			t.Errorf("a client reads %s", got.text)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	w := newWorld(t)
	const own = "11111111-2222-4333-8444-555555555555"
	got := w.do(admin, "GET", "/nonsense", nil, "client-request-id: "+own)
	if id := got.at("error", "innerError", "client-request-id"); id != own {
		t.Errorf("client-request-id %v", id)
	}
	got = w.do(admin, "GET", "/nonsense", nil, "client-request-id: "+strings.Repeat("x", 100))
	if id := got.at("error", "innerError", "client-request-id"); id != got.header.Get("Request-Id") {
		t.Errorf("client-request-id %v", id)
	}
}
