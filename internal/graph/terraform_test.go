package graph

import (
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fill puts ids in the places of their names in a body.
func (w *world) fill(text string, ids map[string]string) string {
	for name, id := range ids {
		text = strings.ReplaceAll(text, "{"+name+"}", id)
	}
	return text
}

// The bodies are those of the provider hashicorp/azuread, version 3, which sends
// every member that it knows of, with its default, and names the type.
const (
	terraformApplication = `{
		"@odata.type": "#microsoft.graph.application",
		"api": {"acceptMappedClaims": null, "knownClientApplications": [], "oauth2PermissionScopes": [], "requestedAccessTokenVersion": 1},
		"appRoles": [],
		"description": null,
		"displayName": "pets",
		"groupMembershipClaims": null,
		"identifierUris": [],
		"info": {"marketingUrl": null, "privacyStatementUrl": null, "supportUrl": null, "termsOfServiceUrl": null},
		"isDeviceOnlyAuthSupported": false,
		"isFallbackPublicClient": false,
		"notes": null,
		"oauth2RequirePostResponse": false,
		"optionalClaims": {"accessToken": [], "idToken": [], "saml2Token": []},
		"owners@odata.bind": ["https://graph.test/v1.0/directoryObjects/{caller}", "https://graph.test/v1.0/directoryObjects/{other}"],
		"passwordCredentials": [{"displayName": "from terraform", "endDateTime": "2028-01-01T00:00:00Z"}],
		"publicClient": {"redirectUris": []},
		"requiredResourceAccess": [],
		"serviceManagementReference": null,
		"signInAudience": "AzureADMyOrg",
		"spa": {"redirectUris": []},
		"tags": [],
		"web": {"homePageUrl": null, "implicitGrantSettings": {"enableAccessTokenIssuance": false, "enableIdTokenIssuance": false}, "logoutUrl": null, "redirectUris": []}
	}`
	terraformApplicationUpdate = `{
		"@odata.type": "#microsoft.graph.application",
		"id": "{application}",
		"api": {"acceptMappedClaims": true, "knownClientApplications": ["{nowhere}"], "oauth2PermissionScopes": [
			{"adminConsentDescription": "d", "adminConsentDisplayName": "n", "id": "{nowhere}", "isEnabled": true, "type": "User", "userConsentDescription": null, "userConsentDisplayName": null, "value": "read"}
		], "requestedAccessTokenVersion": 2},
		"appRoles": [{"allowedMemberTypes": ["Application"], "description": "Reads", "displayName": "Reader", "id": "{nowhere}", "isEnabled": true, "value": "Pets.Read"}],
		"description": "about pets",
		"displayName": "pets",
		"groupMembershipClaims": "SecurityGroup,ApplicationGroup",
		"identifierUris": ["api://pets"],
		"info": {"marketingUrl": "https://pets.example", "privacyStatementUrl": null, "supportUrl": null, "termsOfServiceUrl": null},
		"isDeviceOnlyAuthSupported": false,
		"isFallbackPublicClient": true,
		"notes": "n",
		"oauth2RequirePostResponse": true,
		"optionalClaims": {"accessToken": [{"additionalProperties": ["emit_as_roles"], "essential": true, "name": "groups", "source": null}], "idToken": [], "saml2Token": []},
		"publicClient": {"redirectUris": ["http://localhost"]},
		"requiredResourceAccess": [{"resourceAccess": [{"id": "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30", "type": "Role"}], "resourceAppId": "00000003-0000-0000-c000-000000000000"}],
		"serviceManagementReference": "ref",
		"signInAudience": "AzureADMyOrg",
		"spa": {"redirectUris": []},
		"tags": ["HideApp", "WindowsAzureActiveDirectoryIntegratedApp"],
		"web": {"homePageUrl": "https://pets.example", "implicitGrantSettings": {"enableAccessTokenIssuance": true, "enableIdTokenIssuance": true}, "logoutUrl": null, "redirectUris": ["https://pets.example/cb"]}
	}`
	terraformPrincipal = `{
		"@odata.type": "#microsoft.graph.servicePrincipal",
		"accountEnabled": true,
		"alternativeNames": [],
		"appId": "{appId}",
		"appRoleAssignmentRequired": false,
		"description": "TERRAFORM_UPDATE_2a7a0d57-2b0f-9b47-0c13-8d2c1b8c1f0e",
		"loginUrl": null,
		"notes": null,
		"notificationEmailAddresses": [],
		"owners@odata.bind": ["https://graph.test/v1.0/directoryObjects/{caller}", "https://graph.test/v1.0/directoryObjects/{other}"],
		"preferredSingleSignOnMode": null,
		"tags": []
	}`
	terraformPrincipalUpdate = `{
		"@odata.type": "#microsoft.graph.servicePrincipal",
		"accountEnabled": false,
		"alternativeNames": ["a", "b"],
		"appRoleAssignmentRequired": true,
		"description": "d",
		"loginUrl": "https://pets.example/login",
		"notes": "n",
		"notificationEmailAddresses": ["pets@example.com"],
		"preferredSingleSignOnMode": "saml",
		"samlSingleSignOnSettings": {"relayState": "/x"},
		"tags": ["HideApp"]
	}`
)

func TestTerraform(t *testing.T) { onEngines(t, testTerraform) }

func testTerraform(t *testing.T, w *world) {
	ids := map[string]string{"caller": w.callers[owner].PrincipalID, "other": w.callers[other].PrincipalID, "nowhere": nowhere}
	patch := func(path, body string) {
		t.Helper()
		w.do(owner, "PATCH", path, w.fill(body, ids)).is(204)
	}
	has := func(path string, want m) {
		t.Helper()
		got := w.do(owner, "GET", path, nil).is(200)
		for name, value := range want {
			wanted, err := json.Marshal(value)
			w.must(err)
			shown, err := json.Marshal(got.at(name))
			w.must(err)
			if string(shown) != string(wanted) {
				t.Errorf("%s: %s is %s, want %s", path, name, shown, wanted)
			}
		}
	}

	// azuread_application
	w.do(owner, "GET", "/directoryObjects/"+ids["caller"], nil).is(200)
	w.do(owner, "GET", "/applications?$filter=displayName%20eq%20'pets'", nil).is(200)
	made := w.do(owner, "POST", "/applications", w.fill(terraformApplication, ids)).is(201)
	ids["application"], ids["appId"] = made.str("id"), made.str("appId")
	app := "/applications/" + ids["application"]
	secrets := made.at("passwordCredentials").([]any)
	if len(secrets) != 1 || secrets[0].(map[string]any)["displayName"] != "from terraform" || secrets[0].(map[string]any)["endDateTime"] != "2028-01-01T00:00:00Z" || len(secrets[0].(map[string]any)["secretText"].(string)) < 40 {
		t.Errorf("secrets: %v", secrets)
	}
	for _, name := range []string{"TERRAFORM_UPDATE_2a7a0d57-2b0f-9b47-0c13-8d2c1b8c1f0e", "pets"} {
		patch(app, `{"@odata.type":"#microsoft.graph.application","displayName":"`+name+`"}`)
	}
	has(app, m{"displayName": "pets", "oauth2RequirePostResponse": false, "description": nil, "tags": []string{}})
	owners := func(path string) []string {
		t.Helper()
		got := w.do(owner, "GET", path+"/owners", nil).is(200)
		if kinds := got.all("@odata.type"); len(kinds) > 0 && kinds[0] != "#microsoft.graph.servicePrincipal" {
			t.Errorf("types of owners: %v", kinds)
		}
		return got.all("id")
	}
	both := []string{ids["caller"], ids["other"]}
	if got := owners(app); !cmp.Equal(set(got), set(both)) {
		t.Errorf("owners %v, want %v", got, both)
	}
	patch(app, terraformApplicationUpdate)
	has(app, m{"oauth2RequirePostResponse": true, "groupMembershipClaims": "SecurityGroup,ApplicationGroup", "notes": "n", "identifierUris": []string{"api://pets"}, "isFallbackPublicClient": true})

	// azuread_service_principal
	w.do(owner, "GET", "/servicePrincipals?$filter=appId%20eq%20'"+ids["appId"]+"'", nil).is(200)
	made = w.do(owner, "POST", "/servicePrincipals", w.fill(terraformPrincipal, ids)).is(201)
	ids["principal"] = made.str("id")
	sp := "/servicePrincipals/" + ids["principal"]
	has(sp, m{"description": "TERRAFORM_UPDATE_2a7a0d57-2b0f-9b47-0c13-8d2c1b8c1f0e", "alternativeNames": []string{}})
	patch(sp, `{"@odata.type":"#microsoft.graph.servicePrincipal","description":null}`)
	has(sp, m{"description": nil})
	w.do(owner, "GET", base+"/beta"+sp+"?$select=samlMetadataUrl", nil).is(200).inOrder(`{"@odata.context":"https://graph.test/beta/$metadata#servicePrincipals(samlMetadataUrl)/$entity","samlMetadataUrl":null}`)
	if got := owners(sp); !cmp.Equal(set(got), set(both)) {
		t.Errorf("owners %v, want %v", got, both)
	}
	patch(sp, terraformPrincipalUpdate)
	has(sp, m{"accountEnabled": false, "alternativeNames": []string{"a", "b"}, "appRoleAssignmentRequired": true, "description": "d", "loginUrl": "https://pets.example/login", "notes": "n",
		"notificationEmailAddresses": []string{"pets@example.com"}, "preferredSingleSignOnMode": "saml", "samlSingleSignOnSettings": m{"relayState": "/x"}, "tags": []string{"HideApp"}})
	patch(sp, `{"@odata.type":"#microsoft.graph.servicePrincipal","alternativeNames":[],"loginUrl":null,"notes":"","samlSingleSignOnSettings":null,"preferredSingleSignOnMode":null,"notificationEmailAddresses":[]}`)
	has(sp, m{"alternativeNames": []string{}, "loginUrl": nil, "notes": nil, "samlSingleSignOnSettings": nil, "preferredSingleSignOnMode": nil, "notificationEmailAddresses": []string{}, "description": "d"})

	// azuread_application_certificate and azuread_service_principal_certificate
	der := w.certificate(pkix.Name{CommonName: "pets"})
	inPEM := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	for _, path := range []string{app, sp} {
		kept := w.do(owner, "GET", path, nil).is(200).at("keyCredentials").([]any)
		keys := append(kept, m{"endDateTime": "2028-01-01T00:00:00Z", "key": inPEM, "keyId": firstKey, "type": "AsymmetricX509Cert", "usage": "Verify"})
		w.do(owner, "PATCH", path, m{"@odata.type": "#microsoft.graph.x", "keyCredentials": keys}).is(204)
		got := w.do(owner, "GET", path, nil).is(200).at("keyCredentials").([]any)
		if len(got) != 1 || got[0].(map[string]any)["keyId"] != firstKey || got[0].(map[string]any)["startDateTime"] != "2027-02-28T12:30:45Z" {
			t.Errorf("%s: keys %v", path, got)
		}
		w.do(owner, "PATCH", path, m{"keyCredentials": []any{}}).is(204)
	}

	// azuread_application_password and azuread_service_principal_password
	for _, path := range []string{app, sp} {
		key := w.do(owner, "POST", path+"/addPassword", `{"passwordCredential":{"displayName":"rotated","endDateTime":"2028-01-01T00:00:00Z","startDateTime":"2027-03-01T00:00:00Z"}}`).is(200).str("keyId")
		w.do(owner, "POST", path+"/removePassword", m{"keyId": key}).is(204)
	}

	// azuread_application_federated_identity_credential
	const trusted = `{"@odata.type":"#microsoft.graph.federatedIdentityCredential","audiences":["api://AzureADTokenExchange"],"description":"","issuer":"https://issuer.example/t1/","name":"pets","subject":"system:serviceaccount:pets:sa"}`
	fic := app + "/federatedIdentityCredentials/" + w.do(owner, "POST", app+"/federatedIdentityCredentials", trusted).is(201).str("id")
	has(fic, m{"description": nil, "name": "pets", "audiences": []string{"api://AzureADTokenExchange"}})
	patch(fic, strings.Replace(trusted, ":sa\"", ":other\"", 1))
	has(fic, m{"subject": "system:serviceaccount:pets:other"})
	w.do(owner, "DELETE", fic, nil).is(204)
	w.do(owner, "GET", fic, nil).is(404)

	// azuread_app_role_assignment
	w.do(admin, "POST", sp+"/appRoleAssignedTo", w.fill(`{"@odata.type":"#microsoft.graph.appRoleAssignment","appRoleId":"{nowhere}","principalId":"{other}","resourceId":"{principal}"}`, ids)).is(201)

	// owners, which the caller leaves when it is not among those that are wanted, and the end
	third := w.callers[nobody].PrincipalID
	for _, path := range []string{sp, app} {
		w.do(owner, "POST", path+"/owners/$ref", m{"@odata.id": base + "/v1.0/directoryObjects/" + third}).is(204)
		w.do(owner, "DELETE", path+"/owners/"+third+"/$ref", nil).is(204)
		w.do(owner, "DELETE", path+"/owners/"+ids["caller"]+"/$ref", nil).is(204)
	}
	w.do(owner, "PATCH", app, m{"notes": "x"}).is(403)
	for _, path := range []string{sp, app} {
		w.do(other, "DELETE", path, nil).is(204)
		w.do(other, "GET", path, nil).is(404)
	}
}
