package arm

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
)

func TestErrors(t *testing.T) {
	w := newWorld(t)
	w.fixture()
	w.ok("admin", "PUT", clusters+"/plain", `{"location":"local"}`)
	const (
		nowhere    = "88888888-8888-4888-8888-888888888888"
		moreInfo   = " For more details please go to https://aka.ms/ARMResourceNotFoundFix"
		incomplete = "The request format was unexpected. Federated Identity Credential must specify 'issuer', 'subject' and 'audience'."
		empty      = "Federated Identity Credential from HTTP body has empty properties"
		fics       = ide + "/federatedIdentityCredentials/"
		policy     = "/providers/Entente.Federation/policies/default"
	)
	longer := func(n int) string { return strings.Repeat("a", n) }
	fic := func(issuer, subject, audiences string) string {
		return fmt.Sprintf(`{"properties":{"issuer":%q,"subject":%q,"audiences":%s}}`, issuer, subject, audiences)
	}
	const one = `["api://AzureADTokenExchange"]`
	tests := []struct {
		name               string
		as                 string // empty: admin
		method, path, body string
		status             int
		code, message      string // message: exact, or a part of it with "…" at its ends
	}{
		{"no api-version", "", "GET", sub + "?api-version=", "", 400, "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required for all requests."},
		{"api-version that is none", "", "GET", sub + "?api-version=2020-01-0", "", 400, "InvalidApiVersionParameter", "The api-version '2020-01-0' is invalid. …"},
		{"api-version that is no day", "", "GET", sub + "?api-version=2020-13-40", "", 400, "InvalidApiVersionParameter", "…"},
		{"api-version twice", "", "GET", sub + "?api-version=2020-01-01&Api-Version=2020-01-02", "", 400, "BadRequest", "…more than once."},
		{"query that cannot be read", "", "GET", sub + "?api-version=2020-01-01;a=b", "", 400, "BadRequest", "…"},
		{"unknown path", "", "GET", sub + "/nothing", "", 404, "NotFound", "…/nothing'."},
		{"unknown provider", "", "GET", inGroup + "/providers/Microsoft.Web/sites/a", "", 404, "NotFound", "…"},
		{"root", "", "GET", "/", "", 404, "NotFound", "…"},
		{"wrong method", "", "PATCH", ficPath, ficBody, 405, "MethodNotAllowed", "The requested resource does not support http method 'PATCH'."},
		{"wrong method on a list", "", "POST", sub + "/resourceGroups", "{}", 405, "MethodNotAllowed", "…"},
		{"custom role", "", "PUT", sub + definitionPath + nowhere, "{}", 405, "MethodNotAllowed", "…"},
		{"dots in the path", "", "GET", sub + "/%2e%2e/x", "", 400, "InvalidRequestUri", "…"},
		{"encoded slash", "", "GET", sub + "/resourceGroups/a%2Fb", "", 400, "InvalidRequestUri", "…"},
		{"encoded backslash", "", "GET", sub + "/resourceGroups/a%5Cb", "", 400, "InvalidRequestUri", "…"},
		{"empty segment", "", "GET", sub + "//resourceGroups", "", 400, "InvalidRequestUri", "…"},
		{"empty name of a group", "", "GET", sub + "/resourceGroups//providers/Microsoft.ManagedIdentity/userAssignedIdentities", "", 400, "InvalidRequestUri", "…"},
		{"empty namespace", "", "GET", sub + "/providers//userAssignedIdentities", "", 400, "InvalidRequestUri", "…"},
		{"three slashes behind a namespace", "", "GET", sub + "/providers/Microsoft.ManagedIdentity///userAssignedIdentities", "", 400, "InvalidRequestUri", "…"},
		{"NUL in the path", "", "GET", sub + "/resourceGroups/a%00", "", 400, "InvalidRequestUri", "…"},
		{"not UTF-8 in the path", "", "GET", sub + "/resourceGroups/a%ff", "", 400, "InvalidRequestUri", "…"},
		{"look-alike segment", "", "GET", "/%C5%BFubscriptions/" + testSubscription, "", 404, "NotFound", "…"},

		{"subscription that is no GUID", "", "GET", "/subscriptions/x", "", 400, "InvalidSubscriptionId", "The provided subscription identifier 'x' is malformed or invalid."},
		{"unknown subscription", "", "GET", "/subscriptions/" + nowhere, "", 404, "SubscriptionNotFound", "The subscription '" + nowhere + "' could not be found."},
		{"another tenant's subscription", "", "GET", "/subscriptions/" + otherSub, "", 404, "SubscriptionNotFound", "…"},
		{"credential in another tenant's subscription", "", "GET", strings.Replace(ficPath, testSubscription, otherSub, 1), "", 404, "SubscriptionNotFound", "…"},
		{"assignment in another tenant's subscription", "", "PUT", "/subscriptions/" + otherSub + assignmentPath + nowhere, w.assign(roles.Reader, "nobody"), 404, "SubscriptionNotFound", "…"},
		{"change of an unknown group", "", "PATCH", sub + "/resourceGroups/nope", `{"tags":{"a":"b"}}`, 404, "ResourceGroupNotFound", "Resource group 'nope' could not be found."},
		{"unknown group", "", "GET", sub + "/resourceGroups/nope", "", 404, "ResourceGroupNotFound", "Resource group 'nope' could not be found."},
		{"identity in an unknown group", "", "PUT", strings.Replace(ide, "/rg/", "/nope/", 1), `{"location":"local"}`, 404, "ResourceGroupNotFound", "Resource group 'nope' could not be found."},
		{"unknown identity", "", "GET", ide + "2", "", 404, "ResourceNotFound", "The Resource 'Microsoft.ManagedIdentity/userAssignedIdentities/ide2' under resource group 'rg' was not found." + moreInfo},
		{"unknown credential", "", "GET", fics + "nope", "", 404, "ResourceNotFound", "The Resource 'Microsoft.ManagedIdentity/userAssignedIdentities/ide/federatedIdentityCredentials/nope' under resource group 'rg' was not found." + moreInfo},
		{"credential of an unknown identity", "", "PUT", ide + "2/federatedIdentityCredentials/fic1", ficBody, 404, "ParentResourceNotFound",
			"Failed to perform 'write' on resource(s) of type 'userAssignedIdentities/federatedIdentityCredentials', because the parent resource '" + ide + "2' could not be found."},
		{"credentials of an unknown identity", "", "GET", ide + "2/federatedIdentityCredentials", "", 404, "ParentResourceNotFound", "Failed to perform 'read' …"},
		{"credential in an unknown group", "", "DELETE", strings.Replace(ficPath, "/rg/", "/nope/", 1), "", 404, "ResourceGroupNotFound", "…"},
		{"unknown namespace", "", "GET", sub + "/providers/Microsoft.Nothing", "", 404, "InvalidResourceNamespace", "The resource namespace 'Microsoft.Nothing' is invalid."},
		{"unknown role definition", "", "GET", definitionPath + nowhere, "", 404, "RoleDefinitionDoesNotExist", "…" + nowhere + "' does not exist."},
		{"unknown assignment", "", "GET", inGroup + assignmentPath + nowhere, "", 404, "RoleAssignmentNotFound", "…"},
		{"unknown issuer", "", "GET", issuers + "/nope", "", 404, "ResourceNotFound", "The Resource 'Entente.Federation/issuers/nope' was not found."},
		{"unknown tenant", "", "GET", "/providers/Entente.Federation/tenants/" + nowhere, "", 404, "ResourceNotFound", "…"},

		{"group without a location", "", "PUT", sub + "/resourceGroups/new", `{}`, 400, "LocationRequired", "The location property is required for this definition."},
		{"group without a body", "", "PUT", sub + "/resourceGroups/new", "", 400, "LocationRequired", "…"},
		{"group elsewhere", "", "PUT", inGroup, `{"location":"eastus"}`, 409, "InvalidResourceGroupLocation", "…already exists in location 'local'."},
		{"name of a group", "", "PUT", sub + "/resourceGroups/a%20b", `{"location":"local"}`, 400, "InvalidResourceGroupName", "…"},
		{"tag that is too long", "", "PUT", inGroup, `{"tags":{"a":"` + longer(257) + `"}}`, 400, "InvalidTags", "…"},
		{"tags that are no texts", "", "PUT", inGroup, `{"tags":{"a":1}}`, 400, "InvalidRequestContent", "…"},
		{"identity elsewhere", "", "PUT", ide, `{"location":"eastus"}`, 409, "InvalidResourceLocation", "…"},
		{"identity without a location", "", "PUT", ide + "2", `{}`, 400, "LocationRequired", "…"},
		{"cluster without a location", "", "PUT", clusters + "/new", `{}`, 400, "LocationRequired", "…"},
		{"cluster elsewhere", "", "PUT", clu, `{"location":"eastus"}`, 409, "InvalidResourceLocation", "…"},
		{"cluster in an unknown group", "", "PUT", strings.Replace(clu, "/rg/", "/nope/", 1), `{"location":"local"}`, 404, "ResourceGroupNotFound", "Resource group 'nope' could not be found."},
		{"unknown cluster", "", "GET", clu + "2", "", 404, "ResourceNotFound", "The Resource 'Microsoft.ContainerService/managedClusters/clu2' under resource group 'rg' was not found." + moreInfo},
		{"keys of an unknown cluster", "", "POST", clu + "2/updateKeys", `{"keySet":` + keySet(t) + `}`, 404, "ResourceNotFound", "…"},
		{"change of an unknown cluster", "", "PATCH", clu + "2", `{}`, 404, "ResourceNotFound", "…"},
		{"name of a cluster", "", "PUT", clusters + "/a_", `{"location":"local"}`, 400, "InvalidResourceName", "The name of the cluster is not valid: …"},
		{"cluster with tags that are no texts", "", "PUT", clusters + "/new", `{"location":"local","tags":{"a":1}}`, 400, "InvalidRequestContent", "…"},
		{"cluster with tags in two cases", "", "PUT", clusters + "/new", `{"location":"local","tags":{"a":"1","A":"2"}}`, 400, "InvalidRequestContent", "…"},
		{"cluster with properties that are none", "", "PUT", clusters + "/new", `{"location":"local","properties":[]}`, 400, "InvalidRequestContent", "…"},
		{"cluster with a switch that is none", "", "PUT", clusters + "/new", `{"location":"local","properties":{"oidcIssuerProfile":{"enabled":"true"}}}`, 400, "InvalidRequestContent", "…neither true nor false'."},
		{"cluster with a member in two cases", "", "PUT", clusters + "/new", `{"location":"local","properties":{"oidcIssuerProfile":{"enabled":true,"issuerURL":"https://a","IssuerURL":"https://b"}}}`, 400, "InvalidRequestContent", "…"},
		{"cluster with az's word for an issuer", "", "PUT", clusters + "/new", `{"location":"local","properties":{"oidcIssuerProfile":{"enabled":true,"issuerUrl":"https://a"}}}`, 400, "InvalidRequestContent", "…issuerUrl…"},
		{"cluster of an unknown source", "", "PUT", clusters + "/new", `{"location":"local","properties":{"oidcIssuerProfile":{"enabled":true,"issuerURL":"https://a.example","keySource":"Magic"}}}`, 400, "BadRequest", "The property 'keySource' of the cluster is not valid: …"},
		{"cluster of an issuer over http", "", "PUT", clusters + "/new", `{"location":"local","properties":{"oidcIssuerProfile":{"enabled":true,"issuerURL":"http://a.example"}}}`, 400, "BadRequest", "The property 'issuerURL' of the cluster is not valid: …must use https."},
		{"hosted cluster with an issuer", "", "PUT", clusters + "/new", `{"location":"local","properties":{"oidcIssuerProfile":{"enabled":true,"keySource":"Hosted","issuerURL":"https://a.example"}}}`, 400, "BadRequest", "…issuerURL…"},
		{"cluster below the service's own address", "", "PUT", clusters + "/new", `{"location":"local","properties":{"oidcIssuerProfile":{"enabled":true,"issuerURL":"` + testBase + `/oic/` + testTenant + `/x"}}}`, 400, "BadRequest", "…ends in a slash…"},
		{"credential below the service's own address", "", "PUT", fics + "fic2", fic(testBase+"/oic/"+testTenant+"/x", "s", one), 400, "BadRequest", "…ends in a slash"},
		{"cluster with keys that are secret", "", "PUT", clusters + "/new", `{"location":"local","properties":{"oidcIssuerProfile":{"enabled":true,"keySource":"Hosted","keySet":{"keys":[{"kty":"oct","k":"AAAA"}]}}}}`, 400, "BadRequest", "The property 'keySet' is not valid: …"},
		{"keys that are secret, of a cluster", "", "POST", clu + "/updateKeys", `{"keySet":{"keys":[{"kty":"oct","k":"AAAA"}]}}`, 400, "BadRequest", "The property 'keySet' is not valid: …"},
		{"no keys of a cluster", "", "POST", clu + "/updateKeys", `{}`, 400, "BadRequest", "The property 'keySet' is not valid: …"},
		{"no key of a cluster", "", "POST", clu + "/updateKeys", `{"keySet":{"keys":[]}}`, 400, "BadRequest", "The property 'keySet' is not valid: …"},
		{"keys of a cluster, as a list", "", "POST", clu + "/updateKeys", `[]`, 400, "InvalidRequestContent", "…"},
		{"too many keys of a cluster", "", "POST", clu + "/updateKeys", `{"a":"` + longer(1<<20) + `"}`, 413, "RequestEntityTooLarge", "…"},
		{"keys of a cluster without an issuer", "", "POST", clusters + "/plain/updateKeys", `{"keySet":` + keySet(t) + `}`, 409, "PropertyChangeNotAllowed", "Changing property 'oidcIssuerProfile' of the cluster 'plain' is not allowed; it is 'none'."},
		{"another issuer for a cluster", "", "PUT", clu, `{"properties":{"oidcIssuerProfile":{"enabled":true,"issuerURL":"https://a.example"}}}`, 409, "PropertyChangeNotAllowed", "Changing property 'issuerURL' of the cluster 'clu' is not allowed; it is '" + testBase + "/oic/…"},
		{"no issuer for a cluster that has one", "", "PUT", clu, `{"properties":{"oidcIssuerProfile":{"enabled":false}}}`, 409, "PropertyChangeNotAllowed", "…"},
		{"tags of nothing", "", "GET", inGroup + "/providers/Microsoft.Web/sites/a/providers/Microsoft.Resources/tags/default", "", 404, "NotFound", "Nothing at the scope '…' has tags."},
		{"tags of an unknown cluster", "", "GET", clu + "2/providers/Microsoft.Resources/tags/default", "", 404, "ResourceNotFound", "…under resource group 'rg' was not found…"},
		{"locks of an unknown group", "", "GET", sub + "/resourceGroups/nope/providers/Microsoft.Authorization/locks", "", 404, "ResourceGroupNotFound", "…"},
		{"resources of an unknown group", "", "GET", sub + "/resources?$filter=resourceGroup+eq+'nope'", "", 404, "ResourceGroupNotFound", "…"},
		{"resources with the value of any tag", "", "GET", sub + "/resources?$filter=tagValue+eq+'a'", "", 400, "InvalidFilter", "…without its tagName."},
		{"name of an identity", "", "PUT", inGroup + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/a.b", `{"location":"local"}`, 400, "InvalidResourceName", "…"},
		{"isolation scope", "", "PUT", ide, `{"properties":{"isolationScope":"Global"}}`, 400, "BadRequest", "…isolationScope…"},
		{"assignment restrictions", "", "PUT", ide, `{"location":"local","properties":{"assignmentRestrictions":{"providers":[]}}}`, 400, "BadRequest", "…not supported…"},

		{"credential without a body", "", "PUT", fics + "fic2", "", 400, "BadRequest", empty},
		{"credential without properties", "", "PUT", fics + "fic2", `{}`, 400, "BadRequest", empty},
		{"credential with null for properties", "", "PUT", fics + "fic2", `{"properties":null}`, 400, "BadRequest", empty},
		{"credential with empty properties", "", "PUT", fics + "fic2", `{"properties":{}}`, 400, "BadRequest", empty},
		{"credential without an issuer", "", "PUT", fics + "fic2", fic("", "s", one), 400, "BadRequest", incomplete},
		{"credential without a subject", "", "PUT", fics + "fic2", fic("https://x.example/", "", one), 400, "BadRequest", incomplete},
		{"credential without an audience", "", "PUT", fics + "fic2", `{"properties":{"issuer":"https://x.example/","subject":"s"}}`, 400, "BadRequest", incomplete},
		{"credential with no audiences", "", "PUT", fics + "fic2", fic("https://x.example/", "s", `[]`), 400, "BadRequest", "Federated identity credentials must have exactly one audience."},
		{"credential with two audiences", "", "PUT", fics + "fic2", fic("https://x.example/", "s", `["a","b"]`), 400, "BadRequest", "Federated identity credentials must have exactly one audience."},
		{"credential with an empty audience", "", "PUT", fics + "fic2", fic("https://x.example/", "s", `[""]`), 400, "BadRequest", incomplete},
		{"credential with an expression", "", "PUT", fics + "fic2?api-version=2025-05-31-preview", `{"properties":{"issuer":"https://x.example/","audiences":["a"],"claimsMatchingExpression":{"value":"claims['sub'] matches '*'","languageVersion":1}}}`, 400, "BadRequest", "…claimsMatchingExpression' is not supported…"},
		{"credential with a pair that is there", "", "PUT", fics + "fic2", ficBody, 400, "BadRequest", "Issuer and subject combination already exists for this Managed Identity."},
		{"name of 2 characters", "", "PUT", fics + "ab", fic("https://x.example/", "s", one), 400, "BadRequest", "Federated Identity Credential name 'ab' is invalid."},
		{"name of 121 characters", "", "PUT", fics + longer(121), fic("https://x.example/", "s", one), 400, "BadRequest", "…is invalid."},
		{"name with a dash in front", "", "PUT", fics + "-abc", fic("https://x.example/", "s", one), 400, "BadRequest", "…is invalid."},
		{"name with a dot", "", "PUT", fics + "a.b", fic("https://x.example/", "s", one), 400, "BadRequest", "…is invalid."},
		{"name in Cyrillic", "", "PUT", fics + "%D0%B0bc", fic("https://x.example/", "s", one), 400, "BadRequest", "…is invalid."},
		{"name with a space", "", "PUT", fics + "a%20b", fic("https://x.example/", "s", one), 400, "BadRequest", "…is invalid."},
		{"issuer over http", "", "PUT", fics + "fic2", fic("http://x", "s", one), 400, "BadRequest", "…must use https"},
		{"issuer with a query", "", "PUT", fics + "fic2", fic("https://x/?a", "s", one), 400, "BadRequest", "…"},
		{"issuer with a user", "", "PUT", fics + "fic2", fic("https://u@x/", "s", one), 400, "BadRequest", "…"},
		{"issuer with a space", "", "PUT", fics + "fic2", fic(" https://x", "s", one), 400, "BadRequest", "…"},
		{"issuer of 601 characters", "", "PUT", fics + "fic2", fic("https://"+longer(593), "s", one), 400, "BadRequest", "…"},
		{"subject of 601 characters", "", "PUT", fics + "fic2", fic("https://x.example/", longer(601), one), 400, "BadRequest", "…"},
		{"subject with NUL", "", "PUT", fics + "fic2", `{"properties":{"issuer":"https://x.example/","subject":"a\u0000","audiences":["a"]}}`, 400, "BadRequest", "…"},
		{"audience of 601 characters", "", "PUT", fics + "fic2", fic("https://x.example/", "s", `["`+longer(601)+`"]`), 400, "BadRequest", "…"},

		{"body that is no JSON", "", "PUT", ficPath, `{`, 400, "InvalidRequestContent", "The request content was invalid and could not be deserialized: …"},
		{"body that is a list", "", "PUT", ficPath, `[]`, 400, "InvalidRequestContent", "…"},
		{"body that is null", "", "PUT", ficPath, `null`, 400, "InvalidRequestContent", "…"},
		{"two bodies", "", "PUT", ficPath, ficBody + ficBody, 400, "InvalidRequestContent", "…"},
		{"member twice", "", "PUT", ficPath, `{"properties":{},"properties":{}}`, 400, "InvalidRequestContent", "…"},
		{"member in two cases", "", "PUT", ficPath, `{"properties":{"Issuer":"https://a","issuer":"https://b","subject":"s","audiences":["a"]}}`, 400, "InvalidRequestContent", "…"},
		{"tags in two cases", "", "PUT", inGroup, `{"tags":{"a":"1","A":"2"}}`, 400, "InvalidRequestContent", "…"},
		{"20,000 deep", "", "PUT", ficPath, `{"a":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, 400, "InvalidRequestContent", "…"},
		{"2,000 members", "", "PUT", ficPath, `{"a":[` + strings.Repeat("1,", 2000) + `1]}`, 400, "InvalidRequestContent", "…"},
		{"body that is too large", "", "PUT", ficPath, `{"a":"` + longer(256<<10) + `"}`, 413, "RequestEntityTooLarge", "…262144 bytes."},
		{"issuer that is too large", "", "PUT", issuers + "/big", `{"a":"` + longer(1<<20) + `"}`, 413, "RequestEntityTooLarge", "…"},

		{"assignment of a principal that is not there", "", "PUT", inGroup + assignmentPath + nowhere, strings.Replace(w.assign(roles.Reader, "nobody"), w.principals["nobody"].PrincipalID, nowhere, 1), 400, "PrincipalNotFound", "Principal " + nowhere + " does not exist in the directory " + testTenant + ". Check …"},
		{"assignment of a role that is not there", "", "PUT", inGroup + assignmentPath + nowhere, w.assign(nowhere, "nobody"), 404, "RoleDefinitionDoesNotExist", "…"},
		{"assignment of a role that is none", "", "PUT", inGroup + assignmentPath + nowhere, `{"properties":{"roleDefinitionId":"/x/` + roles.Reader + `","principalId":"` + nowhere + `"}}`, 400, "InvalidRoleDefinitionId", "…"},
		{"assignment without anything", "", "PUT", inGroup + assignmentPath + nowhere, `{}`, 400, "InvalidRoleDefinitionId", "…"},
		{"assignment of nobody", "", "PUT", inGroup + assignmentPath + nowhere, `{"properties":{"roleDefinitionId":"` + roles.Reader + `"}}`, 400, "InvalidPrincipalId", "…"},
		{"assignment to a user", "", "PUT", inGroup + assignmentPath + nowhere, strings.Replace(w.assign(roles.Reader, "nobody"), `"principalId"`, `"principalType":"User","principalId"`, 1), 400, "UnmatchedPrincipalType", "…"},
		{"assignment with a condition", "", "PUT", inGroup + assignmentPath + nowhere, strings.Replace(w.assign(roles.Reader, "nobody"), `"principalId"`, `"condition":"@Resource[x] == 'y'","principalId"`, 1), 400, "BadRequest", "…condition…"},
		{"assignment under a name that is no GUID", "", "PUT", inGroup + assignmentPath + "x", w.assign(roles.Reader, "nobody"), 400, "InvalidRoleAssignmentId", "…The role assignment ID must be a GUID."},
		{"assignment that is there under another name", "", "PUT", inGroup + assignmentPath + nowhere, w.assign(roles.Reader, "nobody2"), 409, "RoleAssignmentExists", "The role assignment already exists."},
		{"another assignment under the same name", "", "PUT", inGroup + assignmentPath + sampleAssignment, w.assign(roles.Reader, "nobody"), 409, "RoleAssignmentUpdateNotPermitted", "…"},
		{"scope that is none", "", "PUT", "/nothing" + assignmentPath + nowhere, w.assign(roles.Reader, "nobody"), 404, "NotFound", "…"},
		{"scope with a type without a name", "", "GET", inGroup + "/providers/Microsoft.X/y" + assignmentPath + nowhere, "", 404, "NotFound", "…"},

		{"issuer without an URL", "", "PUT", issuers + "/new", `{}`, 400, "BadRequest", "The property 'issuer' of the issuer is not valid: …"},
		{"issuer of an unknown source", "", "PUT", issuers + "/new", `{"properties":{"issuer":"https://x.example/","keySource":"Magic"}}`, 400, "BadRequest", "…keySource…"},
		{"issuer with a wrong algorithm", "", "PUT", issuers + "/new", `{"properties":{"issuer":"https://x.example/","algorithms":["HS256"]}}`, 400, "BadRequest", "…algorithms…"},
		{"issuer with a wrong certificate", "", "PUT", issuers + "/new", `{"properties":{"issuer":"https://x.example/","caCertificate":"x"}}`, 400, "BadRequest", "…caCertificate…"},
		{"issuer with a text for a switch", "", "PUT", issuers + "/new", `{"properties":{"issuer":"https://x.example/","allowMultipleAudiences":"true"}}`, 400, "InvalidRequestContent", "…"},
		{"issuer with a number for an URL", "", "PUT", issuers + "/new", `{"properties":{"issuer":1}}`, 400, "InvalidRequestContent", "…"},
		{"issuer with a member in two cases", "", "PUT", issuers + "/new", `{"properties":{"issuer":"https://x.example/","ISSUER":"https://y.example/"}}`, 400, "InvalidRequestContent", "…"},
		{"keys without a key", "", "PUT", issuers + "/new", `{"properties":{"issuer":"https://x.example/","keySource":"KeySet","keySet":{"keys":[]}}}`, 400, "BadRequest", "The property 'keySet' is not valid: …"},
		{"keys that are secret", "", "PUT", issuers + "/new", `{"properties":{"issuer":"https://x.example/","keySource":"KeySet","keySet":{"keys":[{"kty":"oct","k":"AAAA"}]}}}`, 400, "BadRequest", "The property 'keySet' is not valid: …"},
		{"keys for discovery", "", "PUT", issuers + "/new", `{"properties":{"issuer":"https://x.example/","keySet":` + keySet(t) + `}}`, 400, "BadRequest", "…keySet…"},
		{"an URL that another issuer has", "", "PUT", issuers + "/new", `{"properties":{"issuer":"https://issuer.example/prod/"}}`, 409, "Conflict", "…"},
		{"another URL for an issuer", "", "PUT", issuers + "/prod", `{"properties":{"issuer":"https://x.example/"}}`, 409, "PropertyChangeNotAllowed", "…"},
		{"policy without a limit", "", "PUT", policy, `{}`, 400, "BadRequest", "…maxFederatedIdentityCredentials…"},
		{"policy that is neither on nor off", "", "PUT", policy, `{"properties":{"registeredIssuersOnly":"yes"}}`, 400, "InvalidRequestContent", "…"},
		{"policy with half a credential", "", "PUT", policy, `{"properties":{"maxFederatedIdentityCredentials":20.5}}`, 400, "InvalidRequestContent", "…"},
		{"tenant that is no GUID", "", "PUT", "/providers/Entente.Federation/tenants/x", `{}`, 400, "BadRequest", "…"},
		{"tenant that is there", "", "PUT", "/providers/Entente.Federation/tenants/" + otherTenant, `{}`, 409, "Conflict", "…"},
		{"tenant with half an administrator", "", "PUT", "/providers/Entente.Federation/tenants/" + nowhere, `{"properties":{"administrator":{"issuer":"https://x.example/"}}}`, 400, "BadRequest", "…"},
		{"tenant with an administrator of a wrong issuer", "", "PUT", "/providers/Entente.Federation/tenants/" + nowhere, `{"properties":{"administrator":{"issuer":"http://x.example/","subject":"s"}}}`, 400, "BadRequest", "The federated identity credential of the administrator is not valid: …"},

		{"$top of nothing", "", "GET", sub + "/resourceGroups?$top=0", "", 400, "BadRequest", "…"},
		{"$top below nothing", "", "GET", sub + "/resourceGroups?$top=-1", "", 400, "BadRequest", "…"},
		{"$top of words", "", "GET", sub + "/resourceGroups?$top=ten", "", 400, "BadRequest", "…"},
		{"forged page", "", "GET", sub + "/resourceGroups?$skiptoken=cmc", "", 400, "BadRequest", "…"},
		{"filter where there is none", "", "GET", inGroup + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities?$filter=tagName+eq+'a'", "", 400, "InvalidFilter", "This list takes no $filter."},
		{"filter for the value of any tag", "", "GET", sub + "/resourceGroups?$filter=tagValue+eq+'a'", "", 400, "InvalidFilter", "…without its tagName."},
		{"filter of another list", "", "GET", sub + "/providers/Microsoft.Authorization/roleAssignments?$filter=roleName+eq+'a'", "", 400, "InvalidFilter", "…"},
		{"filter with or", "", "GET", definitionsOf(sub) + "?$filter=roleName+eq+'a'+or+1+eq+1", "", 400, "InvalidFilter", "…"},
		{"filter that is open", "", "GET", definitionsOf(sub) + "?$filter=roleName+eq+'a", "", 400, "InvalidFilter", "…"},
		{"filter with more behind it", "", "GET", definitionsOf(sub) + "?$filter=roleName+eq+'a')+UNION+SELECT+1--'", "", 400, "InvalidFilter", "…"},
		{"filter that is deep", "", "GET", definitionsOf(sub) + "?$filter=" + strings.Repeat("(", 5000), "", 400, "InvalidFilter", "…"},
		{"filter of one term twice", "", "GET", definitionsOf(sub) + "?$filter=roleName+eq+'a'+and+roleName+eq+'b'", "", 400, "InvalidFilter", "…"},
		{"filter for a principal that is none", "", "GET", sub + "/providers/Microsoft.Authorization/roleAssignments?$filter=principalId+eq+''", "", 400, "InvalidFilter", "…"},
		{"filter for two principals", "", "GET", sub + "/providers/Microsoft.Authorization/roleAssignments?$filter=principalId+eq+'" + nowhere + "'+and+assignedTo('" + nowhere + "')", "", 400, "InvalidFilter", "…"},
		{"sign-ins of a wrong time", "", "GET", "/providers/Entente.Federation/signIns?$filter=at+ge+'yesterday'", "", 400, "InvalidFilter", "…"},

		{"reader writes", "reader", "PUT", ficPath, ficBody, 403, "AuthorizationFailed",
			"The client '" + w.principals["reader"].AppID + "' with object id '" + w.principals["reader"].PrincipalID + "' does not have authorization to perform action 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write' over scope '" + ideID + "' or the scope is invalid. If access was recently granted, please refresh your credentials."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := *w
			w.t = t
			as := tt.as
			if as == "" {
				as = "admin"
			}
			r := w.do(as, tt.method, tt.path, tt.body)
			if r.status != tt.status {
				t.Fatalf("got %d %s, want %d", r.status, r.text, tt.status)
			}
			e := r.error(t)
			pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(tt.message), "…", "(?s:.*)") + "$"
			if e.Code != tt.code || !regexp.MustCompile(pattern).MatchString(e.Message) {
				t.Errorf("got %s: %s\nwant %s: %s", e.Code, e.Message, tt.code, tt.message)
			}
		})
	}
}

func definitionsOf(scope string) string { return scope + strings.TrimSuffix(definitionPath, "/") }

func TestTheTwentyFirst(t *testing.T) {
	w := newWorld(t)
	w.ok("admin", "PUT", ide, `{"location":"local"}`)
	for i := range 20 {
		w.ok("admin", "PUT", fmt.Sprintf("%s/federatedIdentityCredentials/fic-%d", ide, i), strings.Replace(ficBody, "sa1", fmt.Sprintf("sa%d", i), 1))
	}
	r := w.do("admin", "PUT", ide+"/federatedIdentityCredentials/fic-20", strings.Replace(ficBody, "sa1", "sa20", 1))
	if e := r.error(t); r.status != 400 || !strings.Contains(e.Message, "20") {
		t.Errorf("got %d %s", r.status, r.text)
	}
}

func TestAllowNamesTheMethods(t *testing.T) {
	w := newWorld(t)
	r := w.do("admin", "PATCH", ficPath, ficBody)
	if got := r.header.Get("Allow"); got != "DELETE, GET, PUT" {
		t.Errorf("Allow is %q", got)
	}
}

func TestMediaTypes(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		kind, encoding string
		status         int
	}{
		{"application/json", "", 200},
		{"application/json; charset=utf-8", "", 200},
		{"Application/JSON", "identity", 200},
		{"application/json", "gzip", 415},
		{"application/json; charset=utf-16", "", 415},
		{"text/plain", "", 415},
		{"application/x-www-form-urlencoded", "", 415},
		{"", "", 415},
	} {
		r := w.request("admin", "PUT", inGroup, `{"location":"local"}`)
		r.Header.Set("Content-Type", tt.kind)
		if tt.encoding != "" {
			r.Header.Set("Content-Encoding", tt.encoding)
		}
		got := w.send(r)
		if got.status != tt.status {
			t.Errorf("%q %q: got %d %s, want %d", tt.kind, tt.encoding, got.status, got.text, tt.status)
		}
		if tt.status == 415 && got.error(t).Code != "UnsupportedMediaType" {
			t.Errorf("%q: %s", tt.kind, got.text)
		}
	}
}

// azwi finds the tenant of a subscription with this pattern, by asking without a token.
var azwi = regexp.MustCompile(`authorization_uri=".*/([0-9a-f\-]+)"`)

func TestUnauthenticated(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		name, path, token string
		tenant            string
		code, description string
	}{
		{"azwi without a token", sub, "", testTenant, "AuthenticationFailed", "The authentication failed because of missing 'Authorization' header."},
		{"azwi with an empty token", "/subscriptions/" + otherSub, "Bearer ", otherTenant, "InvalidAuthenticationToken", "The authentication failed: The access token was not issued by this service."},
		{"subscription in another case", strings.ToUpper(sub), "Bearer x", testTenant, "InvalidAuthenticationToken", "The authentication failed: The access token was not issued by this service."},
		{"below a subscription", strings.Replace(ficPath, testSubscription, otherSub, 1), "", otherTenant, "AuthenticationFailed", "The authentication failed because of missing 'Authorization' header."},
		{"scope in a subscription", "/subscriptions/" + otherSub + "/providers/Microsoft.Authorization/roleAssignments", "", otherTenant, "AuthenticationFailed", "The authentication failed because of missing 'Authorization' header."},
		{"unknown subscription", "/subscriptions/" + "99999999-9999-4999-8999-999999999999", "", testTenant, "AuthenticationFailed", "The authentication failed because of missing 'Authorization' header."},
		{"no subscription", "/tenants", "", testTenant, "AuthenticationFailed", "The authentication failed because of missing 'Authorization' header."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := *w
			w.t = t
			request := w.request("", "GET", tt.path+"?api-version=2021-01-01", "")
			if tt.token != "" {
				request.Header.Set("Authorization", tt.token)
			}
			r := w.send(request)
			want := `Bearer authorization_uri="` + testBase + "/" + tt.tenant + `", error="invalid_token", error_description="` + tt.description + `"`
			got := r.header.Get("WWW-Authenticate")
			if r.status != 401 || got != want {
				t.Errorf("got %d with\n%s\nwant\n%s", r.status, got, want)
			}
			if m := azwi.FindStringSubmatch(got); m == nil || m[1] != tt.tenant {
				t.Errorf("azwi reads %q", m)
			}
			if e := r.error(t); e.Code != tt.code {
				t.Errorf("the code is %q, want %q", e.Code, tt.code)
			}
		})
	}
}

// A text in the error cannot end the header's own one, nor look like a tenant to azwi.
func TestHostileWordsInTheChallenge(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Caller = func(*http.Request) (directory.Caller, error) {
			return directory.Caller{}, &directory.Error{Kind: directory.Unauthenticated, Detail: "token \"x\\\", evil=\"\r\nfor https://evil.example/" + otherTenant}
		}
	})
	got := w.do("admin", "GET", sub, "").header.Get("WWW-Authenticate")
	if strings.Count(got, `"`) != 6 || strings.ContainsAny(got, "\\\r\n") {
		t.Errorf("got %s", got)
	}
	if m := azwi.FindStringSubmatch(got); m == nil || m[1] != testTenant {
		t.Errorf("azwi reads %q in %s", m, got)
	}
}

func TestDisabledPrincipal(t *testing.T) {
	w := newWorld(t)
	disabled := false
	reader := w.principals["reader"]
	w.must(w.dir.UpdateServicePrincipal(t.Context(), w.principals["admin"], directory.Ref{ID: reader.PrincipalID}, directory.PrincipalEdit{Enabled: &disabled}))
	if r := w.do("reader", "GET", sub, ""); r.status != 401 || r.header.Get("WWW-Authenticate") == "" {
		t.Errorf("got %d %s", r.status, r.text)
	}
}

func TestUnknownErrorsAreNotShown(t *testing.T) {
	for name, caller := range map[string]func(*http.Request) (directory.Caller, error){
		"error": func(*http.Request) (directory.Caller, error) {
			return directory.Caller{}, errors.New("database /secret/place is locked")
		},
		"panic": func(*http.Request) (directory.Caller, error) { panic("at the secret place") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.Caller = caller })
			r := w.do("admin", "GET", sub, "")
			if e := r.error(t); r.status != 500 || e.Code != "InternalServerError" || strings.Contains(r.text, "secret") {
				t.Errorf("got %d %s", r.status, r.text)
			}
		})
	}
}
