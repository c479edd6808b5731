package graph

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
)

// inOrder checks a body byte by byte against a JSON text, whose white space does not count.
func (a reply) inOrder(want string, placeholders ...string) {
	a.Helper()
	var lines []string
	for _, line := range strings.Split(want, "\n") {
		lines = append(lines, strings.TrimSpace(line))
	}
	got, want := a.text, strings.Join(lines, "")
	want = strings.NewReplacer(placeholders...).Replace(want)
	if diff := cmp.Diff(split2(want), split2(got)); diff != "" {
		a.Errorf("body (-want +got):\n%s", diff)
	}
}

// split2 makes lines of members, for a readable difference.
func split2(s string) []string { return strings.Split(strings.ReplaceAll(s, `,"`, ",\n\""), "\n") }

const applicationWire = `"id":"ID","deletedDateTime":null,"appId":"APPID","applicationTemplateId":null,"disabledByMicrosoftStatus":null,"createdDateTime":"CREATED",
	"displayName":"NAME","description":null,"groupMembershipClaims":null,"identifierUris":[],"isDeviceOnlyAuthSupported":null,"isFallbackPublicClient":null,
	"notes":null,"publisherDomain":"a.example","serviceManagementReference":null,"signInAudience":"AzureADMyOrg","tags":[],"tokenEncryptionKeyId":null,
	"uniqueName":null,"samlMetadataUrl":null,"defaultRedirectUri":null,"certification":null,"optionalClaims":null,"requestSignatureVerification":null,"addIns":[],
	"api":{"acceptMappedClaims":null,"knownClientApplications":[],"requestedAccessTokenVersion":null,"oauth2PermissionScopes":[],"preAuthorizedApplications":[]},
	"appRoles":[],"info":{"logoUrl":null,"marketingUrl":null,"privacyStatementUrl":null,"supportUrl":null,"termsOfServiceUrl":null},"keyCredentials":[],
	"parentalControlSettings":{"countriesBlockedForMinors":[],"legalAgeGroupRule":"Allow"},"passwordCredentials":[],"publicClient":{"redirectUris":[]},
	"requiredResourceAccess":[],"servicePrincipalLockConfiguration":null,"verifiedPublisher":{"displayName":null,"verifiedPublisherId":null,"addedDateTime":null},
	"web":{"homePageUrl":null,"logoutUrl":null,"redirectUris":[],"implicitGrantSettings":{"enableAccessTokenIssuance":false,"enableIdTokenIssuance":false},"redirectUriSettings":[]},
	"spa":{"redirectUris":[]},"nativeAuthenticationApisEnabled":null,"oauth2RequirePostResponse":false}`

func TestApplicationOnTheWire(t *testing.T) {
	w := newWorld(t)
	made := w.do(admin, "POST", "/applications", `{"displayName": "app", "keyCredentials": []}`).is(201) // what az sends
	id, appID := made.str("id"), made.str("appId")
	made.inOrder(`{"@odata.context":"https://graph.test/v1.0/$metadata#applications/$entity",`+applicationWire,
		"APPID", appID, "ID", id, "CREATED", "2027-03-01T12:30:45.1230000Z", "NAME", "app")
	if got, want := made.header.Get("Location"), base+"/v2/"+tenantA+"/directoryObjects/"+id+"/Microsoft.DirectoryServices.Application"; got != want {
		t.Errorf("Location %q, want %q", got, want)
	}
	w.do(admin, "GET", "/applications/"+id, nil).is(200).
		inOrder(`{"@odata.context":"https://graph.test/v1.0/$metadata#applications/$entity",`+applicationWire, "APPID", appID, "ID", id, "CREATED", "2027-03-01T12:30:45Z", "NAME", "app")
	w.do(admin, "GET", "/applications?$filter=appId eq '"+appID+"'", nil).is(200).
		inOrder(`{"@odata.context":"https://graph.test/v1.0/$metadata#applications","value":[{`+applicationWire+`]}`, "APPID", appID, "ID", id, "CREATED", "2027-03-01T12:30:45Z", "NAME", "app")
	w.do(admin, "GET", "/applications?$filter=appId eq '"+nowhere+"'", nil).is(200).
		inOrder(`{"@odata.context":"https://graph.test/v1.0/$metadata#applications","value":[]}`)
	w.do(admin, "GET", "/applications/"+id+"?$select=id,displayName", nil).is(200).
		inOrder(`{"@odata.context":"https://graph.test/v1.0/$metadata#applications(id,displayName)/$entity","id":"ID","displayName":"app"}`, "ID", id)
	w.do(admin, "GET", "/applications?$select=displayName&$count=true&$filter=startswith(displayName,'app')", nil).is(200).
		inOrder(`{"@odata.context":"https://graph.test/v1.0/$metadata#applications(displayName)","@odata.count":1,"value":[{"displayName":"app"}]}`)
	w.do(admin, "GET", base+"/beta/applications/"+id+"?$select=id", nil).is(200).
		inOrder(`{"@odata.context":"https://graph.test/beta/$metadata#applications(id)/$entity","id":"ID"}`, "ID", id)
	for path, want := range map[string]string{"/applications/$count": "6", "/applications/$count?$filter=displayName eq 'APP'": "1", "/servicePrincipals/$count": "6"} {
		if got := w.do(admin, "GET", path, nil).is(200); got.text != want || got.header.Get("Content-Type") != "text/plain" {
			t.Errorf("%s: %q of type %q, want %s", path, got.text, got.header.Get("Content-Type"), want)
		}
	}
}

func TestApplicationMembers(t *testing.T) { onEngines(t, testApplicationMembers) }

func testApplicationMembers(t *testing.T, w *world) {
	a := w.do(admin, "POST", "/applications", `{
		"@odata.type": "#microsoft.graph.application",
		"displayName": "all", "description": "d", "notes": "n", "uniqueName": "u", "signInAudience": "AzureADMultipleOrgs",
		"identifierUris": ["api://all"], "tags": ["t"], "isFallbackPublicClient": true, "serviceManagementReference": "ref", "tokenEncryptionKeyId": null,
		"owners@odata.bind": ["https://graph.microsoft.com/v1.0/directoryObjects/`+w.callers[admin].PrincipalID+`"],
		"api": {"requestedAccessTokenVersion": 2, "acceptMappedClaims": true, "knownClientApplications": ["`+nowhere+`"]},
		"appRoles": [{"id": "D1C2ADE8-0000-4000-8000-6D06B947C66F", "value": "Read.All", "displayName": "Read", "description": "Reads", "allowedMemberTypes": ["Application"], "isEnabled": true},
			{"id": "`+nowhere+`", "value": "Write.All", "allowedMemberTypes": ["User"], "isEnabled": "false"}],
		"web": {"redirectUris": ["https://x.example/cb"], "implicitGrantSettings": {"enableIdTokenIssuance": true}},
		"spa": {"redirectUris": []}, "publicClient": {"redirectUris": ["http://localhost"]},
		"optionalClaims": {"idToken": [{"name": "auth_time", "essential": false}]},
		"requiredResourceAccess": [{"resourceAppId": "`+nowhere+`", "resourceAccess": [{"id": "`+nowhere+`", "type": "Role"}]}],
		"info": {"marketingUrl": "https://x.example"}, "parentalControlSettings": {"legalAgeGroupRule": "BlockMinors"},
		"passwordCredentials": [], "keyCredentials": null, "federatedIdentityCredentials": [], "addIns": [], "verifiedPublisher": null
	}`).is(201)
	id := "/applications/" + a.str("id")
	check := func(want string, path ...string) {
		t.Helper()
		got, err := json.Marshal(w.do(admin, "GET", id, nil).is(200).at(path...))
		w.must(err)
		if string(got) != want {
			t.Errorf("%v is %s, want %s", path, got, want)
		}
	}
	check(`"AzureADMultipleOrgs"`, "signInAudience")
	check(`true`, "isFallbackPublicClient")
	check(`{"acceptMappedClaims":true,"knownClientApplications":["`+nowhere+`"],"oauth2PermissionScopes":[],"preAuthorizedApplications":[],"requestedAccessTokenVersion":2}`, "api")
	check(`[{"allowedMemberTypes":["Application"],"description":"Reads","displayName":"Read","id":"d1c2ade8-0000-4000-8000-6d06b947c66f","isEnabled":true,"origin":"Application","value":"Read.All"},`+
		`{"allowedMemberTypes":["User"],"description":null,"displayName":null,"id":"`+nowhere+`","isEnabled":false,"origin":"Application","value":"Write.All"}]`, "appRoles")
	check(`{"homePageUrl":null,"implicitGrantSettings":{"enableAccessTokenIssuance":false,"enableIdTokenIssuance":true},"logoutUrl":null,"redirectUriSettings":[],"redirectUris":["https://x.example/cb"]}`, "web")

	// A change of a part leaves the rest, and null is the default.
	w.do(admin, "PATCH", id, `{"web": {"homePageUrl": "https://x.example"}, "api": {"acceptMappedClaims": null}, "description": null, "tags": null, "spa": null}`).is(204)
	check(`{"homePageUrl":"https://x.example","implicitGrantSettings":{"enableAccessTokenIssuance":false,"enableIdTokenIssuance":true},"logoutUrl":null,"redirectUriSettings":[],"redirectUris":["https://x.example/cb"]}`, "web")
	check(`2`, "api", "requestedAccessTokenVersion")
	check(`null`, "api", "acceptMappedClaims")
	check(`null`, "description")
	check(`[]`, "tags")
	check(`"n"`, "notes")
	w.do(admin, "PATCH", id, `{"api": {"requestedAccessTokenVersion": null}, "web": null}`).is(204)
	check(`null`, "api", "requestedAccessTokenVersion")
	check(`["`+nowhere+`"]`, "api", "knownClientApplications")
	check(`[]`, "web", "redirectUris")
	w.do(admin, "PATCH", id, `{"api": null, "displayName": "renamed"}`).is(204)
	check(`[]`, "api", "knownClientApplications")
	check(`"renamed"`, "displayName")
}

func TestSecretsOnTheWire(t *testing.T) {
	w := newWorld(t)
	id, appID := w.application(admin, "app")
	a := w.do(admin, "POST", "/applications/"+id+"/addPassword", `{"passwordCredential": {"displayName": "key1", "endDateTime": "2028-05-07T06:52:43Z", "startDateTime": "2026-05-07T06:52:43Z"}}`).is(200)
	a.inOrder(`{"@odata.context":"https://graph.test/v1.0/$metadata#microsoft.graph.passwordCredential","customKeyIdentifier":null,"displayName":"key1","endDateTime":"2028-05-07T06:52:43Z",
		"hint":"HINT","keyId":"KEY","secretText":"TEXT","startDateTime":"2026-05-07T06:52:43Z"}`, "HINT", a.str("secretText")[:3], "KEY", a.str("keyId"), "TEXT", a.str("secretText"))
	w.do(admin, "POST", "/applications(appId='"+appID+"')/addPassword", nil).is(200)
	w.do(admin, "POST", "/applications/"+id+"/addPassword", `{"passwordCredential": null}`).is(200)
	w.do(admin, "POST", "/applications/"+id+"/addPassword", `{"passwordCredential": {"displayName": null}}`).is(200)

	got := w.do(admin, "GET", "/applications/"+id+"?$select=passwordCredentials", nil).is(200)
	if strings.Contains(got.text, a.str("secretText")) {
		t.Error("the secret can be read")
	}
	list := got.at("passwordCredentials").([]any)
	if len(list) != 4 {
		t.Fatalf("%d secrets, want 4", len(list))
	}
	want := m{"customKeyIdentifier": nil, "displayName": "key1", "endDateTime": "2028-05-07T06:52:43Z", "hint": a.str("secretText")[:3], "keyId": a.str("keyId"), "secretText": nil, "startDateTime": "2026-05-07T06:52:43Z"}
	if !containsEqual(list, want) {
		t.Errorf("no %v in %v", want, list)
	}
	w.do(admin, "POST", "/applications/"+id+"/removePassword", m{"keyId": strings.ToUpper(a.str("keyId"))}).is(204)
	w.do(admin, "POST", "/applications/"+id+"/removePassword", m{"keyId": a.str("keyId")}).
		fails(400, "Request_BadRequest", "No password credential found with keyId '"+a.str("keyId")+"'.")
}

func containsEqual(list []any, want any) bool {
	for _, item := range list {
		if cmp.Equal(item, want) {
			return true
		}
	}
	return false
}

func TestCredentialOnTheWire(t *testing.T) {
	w := newWorld(t)
	id, appID := w.application(admin, "app")
	body := `{"name":"Testing","issuer":"https://token.actions.githubusercontent.com/","subject":"repo:octo-org/octo-repo:environment:Production","description":"Testing","audiences":["api://AzureADTokenExchange"]}`
	made := w.do(admin, "POST", base+"/beta/applications/"+id+"/federatedIdentityCredentials", body).is(201)
	fic := made.str("id")
	made.inOrder(`{"@odata.context":"https://graph.test/beta/$metadata#applications('` + id + `')/federatedIdentityCredentials/$entity","id":"` + fic + `",` + strings.TrimSuffix(body[1:], "}") + `,"claimsMatchingExpression":null}`)
	if got, want := made.header.Get("Location"), base+"/v2/"+tenantA+"/federatedIdentityCredentials/"+fic; got != want {
		t.Errorf("Location %q, want %q", got, want)
	}
	app := "/applications/" + id
	for _, path := range []string{
		app + "/federatedIdentityCredentials/" + fic,
		app + "/federatedIdentityCredentials/" + strings.ToUpper(fic),
		app + "/federatedIdentityCredentials/Testing",
		app + "/federatedIdentityCredentials/Testing/",
		app + "/federatedIdentityCredentials(name='Testing')",
		app + "/federatedIdentityCredentials(name=%27Testing%27)",
		"/applications('" + id + "')/federatedIdentityCredentials('" + fic + "')",
		"//v1.0" + app + "/federatedIdentityCredentials/" + fic,
		"/Applications/" + id + "/federatedidentitycredentials/" + fic,
	} {
		w.do(admin, "GET", path, nil).is(200).
			inOrder(`{"@odata.context":"https://graph.test/v1.0/$metadata#applications('` + id + `')/federatedIdentityCredentials/$entity","id":"` + fic + `",` + body[1:])
	}
	w.do(admin, "GET", "/applications(appId='"+appID+"')/federatedIdentityCredentials/", nil).is(200).
		inOrder(`{"@odata.context":"https://graph.test/v1.0/$metadata#applications('` + appID + `')/federatedIdentityCredentials","value":[{"id":"` + fic + `",` + body[1:] + `]}`)

	// What is not named stays; null empties a description.
	w.do(admin, "PATCH", app+"/federatedIdentityCredentials/"+fic, `{"@odata.context":"x","id":"`+fic+`","name":"Testing","subject":"other"}`).is(204)
	w.do(admin, "PATCH", app+"/federatedIdentityCredentials/Testing", `{"description":null}`).is(204)
	w.do(admin, "GET", app+"/federatedIdentityCredentials/"+fic+"?$select=subject,description", nil).is(200).
		inOrder(`{"@odata.context":"https://graph.test/v1.0/$metadata#applications('` + id + `')/federatedIdentityCredentials(subject,description)/$entity","subject":"other","description":null}`)
	w.do(admin, "DELETE", app+"/federatedIdentityCredentials/"+fic, nil).is(204)
	w.do(admin, "DELETE", app+"/federatedIdentityCredentials/"+fic, nil).
		fails(404, "Request_ResourceNotFound", "Resource '"+fic+"' does not exist or one of its queried reference-property objects are not present.")

	// A name in base64, as azwi makes them.
	w.do(admin, "POST", app+"/federatedIdentityCredentials", trust("-_abc=")).is(201)
	w.do(admin, "GET", app+"/federatedIdentityCredentials/-_abc=", nil).is(200)
	w.do(admin, "GET", app+"/federatedIdentityCredentials(name='-_abc=')", nil).is(200)
}

const principalWire = `"id":"ID","deletedDateTime":null,"accountEnabled":true,"alternativeNames":[],"appDisplayName":"app","appDescription":null,"appId":"APPID",
	"applicationTemplateId":null,"appOwnerOrganizationId":"` + tenantA + `","appRoleAssignmentRequired":false,"createdDateTime":"2027-03-01T12:30:45Z","description":null,
	"disabledByMicrosoftStatus":null,"displayName":"app","homepage":null,"loginUrl":null,"logoutUrl":null,"notes":null,"notificationEmailAddresses":[],
	"preferredSingleSignOnMode":null,"preferredTokenSigningKeyThumbprint":null,"replyUrls":[],"servicePrincipalNames":["APPID","api://app"],
	"servicePrincipalType":"Application","signInAudience":null,"tags":["t"],"tokenEncryptionKeyId":null,"samlSingleSignOnSettings":null,
	"verifiedPublisher":{"displayName":null,"verifiedPublisherId":null,"addedDateTime":null},"addIns":[],"appRoles":[],
	"info":{"logoUrl":null,"marketingUrl":null,"privacyStatementUrl":null,"supportUrl":null,"termsOfServiceUrl":null},"keyCredentials":[],"oauth2PermissionScopes":[],
	"passwordCredentials":[],"resourceSpecificApplicationPermissions":[]}`

func TestServicePrincipalOnTheWire(t *testing.T) {
	w := newWorld(t)
	id, appID := w.application(admin, "app")
	w.do(admin, "PATCH", "/applications/"+id, `{"identifierUris":["api://app"]}`).is(204)
	made := w.do(admin, "POST", "/servicePrincipals", m{"@odata.type": "#microsoft.graph.servicePrincipal", "appId": appID, "accountEnabled": true, "tags": []string{"t"}}).is(201)
	sp := made.str("id")
	made.inOrder(`{"@odata.context":"https://graph.test/v1.0/$metadata#servicePrincipals/$entity",`+principalWire, "APPID", appID, "ID", sp)
	if got, want := made.header.Get("Location"), base+"/v2/"+tenantA+"/directoryObjects/"+sp+"/Microsoft.DirectoryServices.ServicePrincipal"; got != want {
		t.Errorf("Location %q, want %q", got, want)
	}
	w.do(admin, "GET", "/servicePrincipals(appId='"+appID+"')", nil).is(200).inOrder(`{"@odata.context":"https://graph.test/v1.0/$metadata#servicePrincipals/$entity",`+principalWire, "APPID", appID, "ID", sp)
	for _, name := range []string{appID, "api://app"} {
		w.do(admin, "GET", "/servicePrincipals?$filter=servicePrincipalNames/any(c:c eq '"+name+"')", nil).is(200).
			inOrder(`{"@odata.context":"https://graph.test/v1.0/$metadata#servicePrincipals","value":[{`+principalWire+`]}`, "APPID", appID, "ID", sp)
	}
	w.do(admin, "PATCH", "/servicePrincipals/"+sp, `{"accountEnabled":false,"appRoleAssignmentRequired":true,"tags":[],"notes":null,"loginUrl":"","alternativeNames":[]}`).is(204)
	got := w.do(admin, "GET", "/servicePrincipals/"+sp, nil).is(200)
	if got.at("accountEnabled") != false || got.at("appRoleAssignmentRequired") != true || len(got.at("tags").([]any)) != 0 {
		t.Errorf("after the change: %s", got.text)
	}
	w.do(admin, "PATCH", "/servicePrincipals/"+sp, `{"accountEnabled":null}`).is(204)
	w.do(admin, "DELETE", "/servicePrincipals/"+sp, nil).is(204)
	w.do(admin, "GET", "/servicePrincipals/"+sp, nil).is(404)
	w.do(admin, "GET", "/applications/"+id, nil).is(200)
}

func TestManagedIdentityIsAServicePrincipal(t *testing.T) {
	w := newWorld(t)
	system := directory.System(tenantA, "test")
	subscriptions, err := w.directory.Subscriptions(t.Context(), system)
	w.must(err)
	ref := directory.IdentityRef{SubscriptionID: subscriptions[0].ID, Group: "rg", Name: "mi-1"}
	_, _, err = w.directory.PutGroup(t.Context(), system, directory.Group{SubscriptionID: ref.SubscriptionID, Name: "rg", Location: "here"})
	w.must(err)
	identity, _, err := w.directory.PutIdentity(t.Context(), system, directory.Identity{IdentityRef: ref, Location: "here"})
	w.must(err)
	for _, filter := range []string{"servicePrincipalType eq 'ManagedIdentity'", "servicePrincipalNames/any(c:c eq '" + identity.ClientID + "')", "displayName eq 'mi-1'"} {
		got := w.do(admin, "GET", "/servicePrincipals?$filter="+filter, nil).is(200)
		if diff := cmp.Diff([]string{identity.PrincipalID}, got.all("id")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", filter, diff)
		}
	}
	got := w.do(admin, "GET", "/servicePrincipals/"+identity.PrincipalID, nil).is(200)
	want := m{"id": identity.PrincipalID, "appId": identity.ClientID, "displayName": "mi-1", "appDisplayName": nil, "servicePrincipalType": "ManagedIdentity",
		"servicePrincipalNames": []any{identity.ClientID}, "alternativeNames": []any{"isExplicit=True", ref.ResourceID()}, "appOwnerOrganizationId": nil}
	for name, value := range want {
		if diff := cmp.Diff(value, got.at(name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	w.do(admin, "DELETE", "/servicePrincipals/"+identity.PrincipalID, nil).
		fails(400, "Request_BadRequest", "Property 'servicePrincipalType' of resource 'ServicePrincipal' cannot be changed. The service principal of a managed identity is deleted with the identity.")
	w.do(admin, "GET", "/applications/"+identity.PrincipalID, nil).is(404)
}

func TestGrantsOnTheWire(t *testing.T) { onEngines(t, testGrantsOnTheWire) }

func testGrantsOnTheWire(t *testing.T, w *world) {
	graph := w.do(admin, "GET", "/servicePrincipals(appId='"+roles.GraphAppID+"')", nil).is(200)
	if graph.str("appOwnerOrganizationId") != microsoftTenant {
		t.Errorf("owner of Graph: %s", graph.text)
	}
	resource, client := graph.str("id"), w.callers[nobody].PrincipalID
	const readAll = "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30"
	body := m{"principalId": client, "resourceId": resource, "appRoleId": strings.ToUpper(readAll)}
	made := w.do(admin, "POST", "/servicePrincipals/"+client+"/appRoleAssignments", body).is(201)
	wire := `"id":"ID","deletedDateTime":null,"appRoleId":"` + readAll + `","createdDateTime":"2027-03-01T12:30:45Z","principalDisplayName":"caller nobody","principalId":"` + client + `",
		"principalType":"ServicePrincipal","resourceDisplayName":"Microsoft Graph","resourceId":"` + resource + `"}`
	made.inOrder(`{"@odata.context":"https://graph.test/v1.0/$metadata#servicePrincipals('`+client+`')/appRoleAssignments/$entity",`+wire, "ID", made.str("id"))
	w.do(admin, "GET", "/servicePrincipals/"+client+"/appRoleAssignments", nil).is(200).
		inOrder(`{"@odata.context":"https://graph.test/v1.0/$metadata#servicePrincipals('`+client+`')/appRoleAssignments","value":[{`+wire+`]}`, "ID", made.str("id"))
	w.do(admin, "POST", "/servicePrincipals/"+resource+"/appRoleAssignedTo", body).fails(400, "Request_BadRequest", "Permission being assigned already exists on the object")

	// Rights count at once, and are gone at once.
	w.do(nobody, "GET", "/applications", nil).is(200)
	w.do(admin, "DELETE", "/servicePrincipals/"+client+"/appRoleAssignments/"+strings.ToUpper(made.str("id")), nil).is(204)
	w.do(nobody, "GET", "/applications", nil).is(403)
	w.do(admin, "DELETE", "/servicePrincipals/"+client+"/appRoleAssignments/"+made.str("id"), nil).is(404)

	// From the resource's side, and through its appId.
	made = w.do(admin, "POST", "/servicePrincipals(appId='"+roles.GraphAppID+"')/appRoleAssignedTo", body).is(201)
	w.do(admin, "GET", "/servicePrincipals/"+resource+"/appRoleAssignedTo?$filter=principalId eq "+client, nil).is(200).
		inOrder(`{"@odata.context":"https://graph.test/v1.0/$metadata#servicePrincipals('`+resource+`')/appRoleAssignedTo","value":[{`+wire+`]}`, "ID", made.str("id"))
	if got := w.do(admin, "GET", "/servicePrincipals/"+client+"/appRoleAssignments?$filter=resourceId eq '"+nowhere+"'&$count=true", nil).is(200); len(got.all("id")) != 0 || got.at("@odata.count") != 0.0 {
		t.Errorf("of another resource: %s", got.text)
	}
	w.do(admin, "DELETE", "/servicePrincipals(appId='"+roles.GraphAppID+"')/appRoleAssignedTo/"+made.str("id"), nil).is(204)

	for _, c := range []struct {
		change          m
		status          int
		code, message   string
		fromTheResource bool
	}{
		{m{"appRoleId": nowhere}, 400, "Request_BadRequest", "Permission being assigned was not found on application", false},
		{m{"appRoleId": nil}, 400, "Request_BadRequest", "A value is required for property 'appRoleId' of resource 'AppRoleAssignment'.", false},
		{m{"appRoleId": "x"}, 400, "Request_BadRequest", "Invalid value specified for property 'appRoleId' of resource 'AppRoleAssignment'. A GUID is required.", false},
		{m{"principalId": nowhere}, 400, "Request_BadRequest", "Not a valid reference update. The principalId is not the service principal of the request URI.", false},
		{m{"resourceId": nowhere}, 404, "Request_ResourceNotFound", "Resource '" + nowhere + "' does not exist or one of its queried reference-property objects are not present.", false},
		{m{"resourceId": nowhere}, 400, "Request_BadRequest", "Not a valid reference update. The resourceId is not the service principal of the request URI.", true},
		{m{"id": "x"}, 400, "Request_BadRequest", "Invalid property 'id'.", false},
	} {
		changed := m{}
		for name, value := range body {
			changed[name] = value
		}
		for name, value := range c.change {
			changed[name] = value
		}
		path := "/servicePrincipals/" + client + "/appRoleAssignments"
		if c.fromTheResource {
			path = "/servicePrincipals/" + resource + "/appRoleAssignedTo"
		}
		w.do(admin, "POST", path, changed).fails(c.status, c.code, c.message)
	}
}

func TestOrganizationAndMe(t *testing.T) {
	w := newWorld(t)
	got := w.do(nobody, "GET", "/organization?$select=id,displayName,verifiedDomains", nil).is(200)
	got.inOrder(`{"@odata.context":"https://graph.test/v1.0/$metadata#organization(id,displayName,verifiedDomains)","value":[{"id":"` + tenantA + `","displayName":"A",
		"verifiedDomains":[{"capabilities":"","isDefault":true,"isInitial":true,"name":"a.example","type":"Managed"}]}]}`)
	for _, path := range []string{"/me", "/me/ownedObjects", "/me/ownedObjects/$/Microsoft.Graph.Application"} {
		w.do(admin, "GET", path, nil).fails(400, "BadRequest", "/me request is only valid with delegated authentication flow.")
	}
}

func TestGetByIDs(t *testing.T) {
	w := newWorld(t)
	id, appID := w.application(owner, "app")
	sp := w.do(owner, "POST", "/servicePrincipals", m{"appId": appID}).is(201).str("id")
	ids := []string{sp, id, nowhere, strings.ToUpper(sp), w.callers[foreign].PrincipalID, w.callers[reader].PrincipalID}
	for _, c := range []struct {
		as    string
		types []string
		want  []string
	}{
		{admin, nil, []string{sp, id, w.callers[reader].PrincipalID}},
		{admin, []string{"user", "group", "servicePrincipal", "directoryObjectPartnerReference"}, []string{sp, w.callers[reader].PrincipalID}},
		{admin, []string{"application"}, []string{id}},
		{admin, []string{"user"}, []string{}},
		{owner, []string{"directoryObject"}, []string{sp, id}},
		{foreign, nil, []string{w.callers[foreign].PrincipalID}},
	} {
		got := w.do(c.as, "POST", "/directoryObjects/getByIds", m{"ids": ids, "types": c.types, "extra": 1}, "Content-Type: application/json; charset=utf-8")
		if c.types == nil {
			got = w.do(c.as, "POST", "/directoryObjects/getByIds", m{"ids": ids})
		}
		if diff := cmp.Diff(c.want, got.is(200).all("id")); diff != "" {
			t.Errorf("%s %v (-want +got):\n%s", c.as, c.types, diff)
		}
	}
	got := w.do(admin, "POST", "/directoryObjects/getByIds?$select=id,appId", m{"ids": []string{sp, id}}).is(200)
	got.inOrder(`{"@odata.context":"https://graph.test/v1.0/$metadata#directoryObjects(id,appId)","value":[{"@odata.type":"#microsoft.graph.servicePrincipal","id":"SP","appId":"APP"},
		{"@odata.type":"#microsoft.graph.application","id":"ID","appId":"APP"}]}`, "SP", sp, "ID", id, "APP", appID)
	many := make([]string, 1000)
	for i := range many {
		many[i] = nowhere
	}
	w.do(admin, "POST", "/directoryObjects/getByIds", m{"ids": many, "types": []string{"servicePrincipal"}}).is(200)
	w.do(admin, "POST", "/directoryObjects/getByIds", m{"ids": append(many, nowhere)}).is(400)
	w.do(admin, "POST", "/directoryObjects/getByIds?$select=secretText", m{"ids": ids}).is(400)
	for _, body := range []string{`{"ids":[]}`, `{}`, `{"ids":"x"}`, `{"ids":["x"]}`, `[]`, `{"ids":["` + nowhere + `"],"types":1}`} {
		w.do(admin, "POST", "/directoryObjects/getByIds", body).is(400)
	}
	w.do(nobody, "POST", "/directoryObjects/getByIds", m{"ids": ids}).is(403)
}
