package arm

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
	"github.com/entente-id/entente/internal/testkit"
)

// notOfARM are the errors of the directory that no request of Resource Manager's meets.
var notOfARM = map[string]string{
	"Exists ApplicationObject":       "applications are Graph's",
	"Exists GrantObject":             "app role assignments are Graph's",
	"Exists PrincipalObject":         "service principals are Graph's",
	"Immutable CertificateObject":    "certificates are Graph's",
	"Invalid CertificateObject":      "certificates are Graph's",
	"LimitReached CertificateObject": "certificates are Graph's",
	"Immutable ApplicationObject":    "applications are Graph's",
	"Immutable CredentialObject":     "the name is in the path",
	"Immutable PrincipalObject":      "service principals are Graph's",
	"Invalid ApplicationObject":      "applications are Graph's",
	"Invalid GrantObject":            "app role assignments are Graph's",
	"Invalid PrincipalObject":        "service principals are Graph's",
	"Invalid SecretObject":           "client secrets are Graph's",
	"LimitReached SecretObject":      "client secrets are Graph's",
	"NotFound ApplicationObject":     "applications are Graph's",
	"NotFound GrantObject":           "app role assignments are Graph's",
	"NotFound SecretObject":          "client secrets are Graph's",

	"Forbidden PortalLinkObject":          "whoever calls is a service principal",
	"NotFound PortalLinkObject":           "links are used in the portal",
	"Forbidden PortalSessionObject":       "sessions are the portal's",
	"Invalid PortalSessionObject":         "sessions are the portal's",
	"NotFound PortalSessionObject":        "sessions are the portal's",
	"Unauthenticated PortalSessionObject": "sessions are the portal's",
}

// neverTold are the codes and refusals of Azure for credentials that are known
// (https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations)
// and that this service has no use for.
var neverTold = map[string]string{
	"ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity": "they are done one after the other",
	"TooManyRequests":                 "the management surfaces do not throttle",
	"MissingSubscriptionRegistration": "there is nothing to register",
	"RequestDisallowedByPolicy":       "there is no Azure Policy",
}

// elsewhere are codes that tests of their own produce.
var elsewhere = map[string]string{
	"InsufficientStorage":  "TestFullDatabase",
	"InternalServerError":  "TestUnknownErrorsAreNotShown",
	"UnsupportedMediaType": "TestMediaTypes",
}

// TestCatalogue has a request for each error of the directory that Resource
// Manager can meet, and compares the whole answer. What the wire itself
// refuses is in TestErrors; together they produce every code.
func TestCatalogue(t *testing.T) {
	w := newWorld(t)
	w.fixture()
	const (
		nowhere = "88888888-8888-4888-8888-888888888888"
		fics    = ide + "/federatedIdentityCredentials/"
		more    = " For more details please go to https://aka.ms/ARMResourceNotFoundFix"
		tenants = "/providers/Entente.Federation/tenants/"

		portalLinks = "/providers/Entente.Federation/portalLinks"
	)
	crowded := strings.Replace(ide, "/ide", "/crowded", 1)
	w.ok("admin", "PUT", crowded, `{"location":"local"}`)
	for i := range 20 {
		w.ok("admin", "PUT", fmt.Sprintf("%s/federatedIdentityCredentials/fic-%d", crowded, i), strings.Replace(ficBody, "sa1", fmt.Sprint("sa", i), 1))
	}
	assign := func(definition, principal string) string {
		return fmt.Sprintf(`{"properties":{"roleDefinitionId":"%s%s%s","principalId":"%s"}}`, sub, definitionPath, definition, principal)
	}
	w.ok("admin", "PUT", clusters+"/kept", registering("https://kept.example", "KeySet"))
	w.ok("admin", "PUT", clusters+"/used", hosting)
	used, err := w.dir.Cluster(t.Context(), w.principals["admin"], directory.ClusterRef{SubscriptionID: testSubscription, Group: "rg", Name: "used"})
	w.must(err)
	w.ok("admin", "PUT", fics+"used", strings.Replace(ficBody, "https://issuer.example/t1/", used.Issuer.URL, 1))
	nobody := w.principals["nobody"].PrincipalID
	for range 10 {
		w.ok("nobody", "POST", portalLinks, "")
	}
	fic := func(audiences string) string {
		return `{"properties":{"issuer":"https://x.example/","subject":"s","audiences":` + audiences + `}}`
	}
	told := map[string]bool{"Full": true} // TestFullDatabase
	for _, c := range []struct {
		domain, as, method, path, body string
		status                         int
		code, message                  string
	}{
		{"Invalid CredentialObject", "admin", "PUT", fics + "fic2", `{"properties":{"issuer":"https://x.example/"}}`, 400, "BadRequest", "The request format was unexpected. Federated Identity Credential must specify 'issuer', 'subject' and 'audience'."},
		{"Exists CredentialObject", "admin", "PUT", fics + "fic2", ficBody, 400, "BadRequest", "Issuer and subject combination already exists for this Managed Identity."},
		{"Invalid CredentialObject", "admin", "PUT", fics + "fic2", fic(`["a","b"]`), 400, "BadRequest", "Federated identity credentials must have exactly one audience."},
		{"", "admin", "PUT", fics + "fic2", `{}`, 400, "BadRequest", "Federated Identity Credential from HTTP body has empty properties"},
		{"Invalid CredentialObject", "admin", "PUT", fics + "-a", fic(`["a"]`), 400, "BadRequest", "Federated Identity Credential name '-a' is invalid."},
		{"NotFound IdentityObject", "admin", "PUT", ide + "2/federatedIdentityCredentials/fic1", ficBody, 404, "ParentResourceNotFound", "Failed to perform 'write' on resource(s) of type 'userAssignedIdentities/federatedIdentityCredentials', because the parent resource '" + ide + "2' could not be found."},
		{"", "admin", "PATCH", ficPath, ficBody, 405, "MethodNotAllowed", "The requested resource does not support http method 'PATCH'."},
		{"LimitReached CredentialObject", "admin", "PUT", crowded + "/federatedIdentityCredentials/fic-20", strings.Replace(ficBody, "sa1", "sa20", 1), 400, "BadRequest", "The managed identity 'crowded' has the maximum number of federated identity credentials already: 20."},

		{"NotFound IdentityObject", "admin", "GET", ide + "2", "", 404, "ResourceNotFound", "The Resource 'Microsoft.ManagedIdentity/userAssignedIdentities/ide2' under resource group 'rg' was not found." + more},
		{"NotFound CredentialObject", "admin", "GET", fics + "nope", "", 404, "ResourceNotFound", "The Resource 'Microsoft.ManagedIdentity/userAssignedIdentities/ide/federatedIdentityCredentials/nope' under resource group 'rg' was not found." + more},
		{"NotFound GroupObject", "admin", "GET", sub + "/resourceGroups/nope", "", 404, "ResourceGroupNotFound", "Resource group 'nope' could not be found."},
		{"NotFound SubscriptionObject", "admin", "GET", "/subscriptions/" + nowhere, "", 404, "SubscriptionNotFound", "The subscription '" + nowhere + "' could not be found."},
		{"NotFound IssuerObject", "admin", "GET", issuers + "/nope", "", 404, "ResourceNotFound", "The Resource 'Entente.Federation/issuers/nope' was not found."},
		{"NotFound TenantObject", "admin", "GET", tenants + nowhere, "", 404, "ResourceNotFound", "The Resource 'Entente.Federation/tenants/" + nowhere + "' was not found."},
		{"NotFound AssignmentObject", "admin", "GET", inGroup + assignmentPath + nowhere, "", 404, "RoleAssignmentNotFound", "The role assignment '" + nowhere + "' is not found."},
		{"NotFound RoleDefinitionObject", "admin", "PUT", inGroup + assignmentPath + nowhere, assign(nowhere, nobody), 404, "RoleDefinitionDoesNotExist", "The specified role definition with ID '" + nowhere + "' does not exist."},
		{"NotFound PrincipalObject", "admin", "PUT", inGroup + assignmentPath + nowhere, assign(roles.Reader, nowhere), 400, "PrincipalNotFound", "Principal " + nowhere + " does not exist in the directory " + testTenant + ". Check that you have the correct principal ID. If you are creating this principal and then immediately assigning a role, this error might be related to a replication delay. In this case, set the role assignment principalType property to a value, such as ServicePrincipal, User, or Group.  See https://aka.ms/docs-principaltype"},
		{"Forbidden PrincipalObject", "reader", "PUT", ide, `{"location":"local"}`, 403, "AuthorizationFailed", "The client '" + w.principals["reader"].AppID + "' with object id '" + w.principals["reader"].PrincipalID + "' does not have authorization to perform action 'Microsoft.ManagedIdentity/userAssignedIdentities/write' over scope '" + ideID + "' or the scope is invalid. If access was recently granted, please refresh your credentials."},

		{"NotFound ClusterObject", "admin", "GET", clu + "2", "", 404, "ResourceNotFound", "The Resource 'Microsoft.ContainerService/managedClusters/clu2' under resource group 'rg' was not found." + more},
		{"Invalid ClusterObject", "admin", "PUT", clusters + "/a-", `{"location":"local"}`, 400, "InvalidResourceName", "The name of the cluster is not valid: …."},
		{"Invalid ClusterObject", "admin", "PUT", clusters + "/new", `{"location":"local","properties":{"oidcIssuerProfile":{"enabled":true}}}`, 400, "OperationNotAllowed", "This service keeps a registry of Kubernetes clusters and runs none: it must be told which issuer the cluster has. To register a cluster that runs elsewhere, use 'entente cluster register new --resource-group rg' with '--issuer URL' for the issuer that it has, or with '--hosted' for one that is published here."},
		{"Immutable ClusterObject", "admin", "PUT", clu, `{"location":"eastus"}`, 409, "InvalidResourceLocation", "The resource 'clu' already exists in location 'local' in resource group 'rg'. A resource with the same name cannot be created in another location. Please select a new resource name."},
		{"Exists ClusterObject", "admin", "PUT", clusters + "/new", registering("https://kept.example", "KeySet"), 409, "Conflict", "The cluster 'new' conflicts with another one that has the same issuerURL."},
		{"InUse ClusterObject", "admin", "DELETE", clusters + "/used", "", 409, "IssuerInUse", "The issuer of the cluster 'used' is named by these federated identity credentials, which must be removed first: ide/used."},
		{"InUse IssuerObject", "admin", "DELETE", issuers + "/used", "", 409, "IssuerInUse", "The issuer 'used' is in use: It is the hosted issuer of the cluster used, with which it goes."},

		{"Exists AssignmentObject", "admin", "PUT", inGroup + assignmentPath + nowhere, w.assign(roles.Reader, "nobody2"), 409, "RoleAssignmentExists", "The role assignment already exists."},
		{"Exists IssuerObject", "admin", "PUT", issuers + "/new", `{"properties":{"issuer":"https://issuer.example/prod/"}}`, 409, "Conflict", "The issuer 'new' conflicts with another one that has the same issuer."},
		{"Exists TenantObject", "admin", "PUT", tenants + otherTenant, `{}`, 409, "Conflict", "The tenant '" + otherTenant + "' conflicts with another one that has the same id."},
		{"Immutable GroupObject", "admin", "PUT", inGroup, `{"location":"eastus"}`, 409, "InvalidResourceGroupLocation", "Invalid resource group location. The Resource group already exists in location 'local'."},
		{"Immutable IdentityObject", "admin", "PUT", ide, `{"location":"eastus"}`, 409, "InvalidResourceLocation", "The resource 'ide' already exists in location 'local' in resource group 'rg'. A resource with the same name cannot be created in another location. Please select a new resource name."},
		{"Immutable IssuerObject", "admin", "PUT", issuers + "/prod", `{"properties":{"issuer":"https://x.example/"}}`, 409, "PropertyChangeNotAllowed", "Changing property 'issuer' of the issuer 'prod' is not allowed; it is 'https://issuer.example/prod/'."},
		{"Invalid GroupObject", "admin", "PUT", sub + "/resourceGroups/new", `{}`, 400, "LocationRequired", "The location property is required for this definition."},
		{"Invalid IdentityObject", "admin", "PUT", strings.Replace(ide, "/ide", "/a.b", 1), `{"location":"local"}`, 400, "InvalidResourceName", "The name of the user-assigned managed identity is not valid: …."},
		{"Invalid AssignmentObject", "admin", "PUT", inGroup + assignmentPath + "x", assign(roles.Reader, nobody), 400, "InvalidRoleAssignmentId", "The role assignment ID 'x' is not valid. The role assignment ID must be a GUID."},
		{"Invalid IssuerObject", "admin", "PUT", issuers + "/new", `{"properties":{"issuer":"http://x.example/"}}`, 400, "BadRequest", "The property 'issuer' of the issuer is not valid: Issuer \"http://x.example/\" must use https."},
		{"Invalid PolicyObject", "admin", "PUT", "/providers/Entente.Federation/policies/default", `{"properties":{"maxFederatedIdentityCredentials":0}}`, 400, "BadRequest", "The property 'maxFederatedIdentityCredentials' of the policy is not valid: Must be between 1 and 100000."},
		{"Invalid PortalLinkObject", "reader", "POST", portalLinks, `{"properties":{"lifetimeSeconds":601}}`, 400, "BadRequest", "The property 'lifetime' of the portal link is not valid: Must be between 1 second and 10 minutes."},
		{"LimitReached PortalLinkObject", "nobody", "POST", portalLinks, "", 409, "PortalLinkLimitReached", "'nobody' has 10 links to the portal open already, which is as many as can be. Each ends when it is used, or expires."},
		{"Invalid TenantObject", "admin", "PUT", tenants + "x", `{}`, 400, "BadRequest", "The property 'id' of the tenant is not valid: …."},
	} {
		told[c.domain] = true
		t.Run(c.domain+" "+c.code+" "+c.method, func(t *testing.T) {
			w := *w
			w.t = t
			r := w.do(c.as, c.method, c.path, c.body)
			e := r.error(t)
			pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(c.message), "…", ".*") + "$"
			if r.status != c.status || e.Code != c.code || !regexp.MustCompile(pattern).MatchString(e.Message) {
				t.Errorf("got  %d %s %q\nwant %d %s %q", r.status, e.Code, e.Message, c.status, c.code, c.message)
			}
		})
	}
	off := false
	w.must(w.dir.UpdateServicePrincipal(t.Context(), w.principals["admin"], directory.Ref{ID: w.principals["reader"].PrincipalID}, directory.PrincipalEdit{Enabled: &off}))
	if r := w.do("reader", "GET", sub, ""); r.status != 401 {
		t.Errorf("a disabled principal is answered %d %s", r.status, r.text)
	}
	told["Unauthenticated PrincipalObject"] = true

	for _, name := range testkit.DomainErrors(t, filepath.Join("..", "directory")) {
		if told[name] == (notOfARM[name] != "") {
			t.Errorf("%s: told %v, and listed as not of ARM: %q", name, told[name], notOfARM[name])
		}
	}
}

// Every code in the source is one that TestCatalogue, TestErrors or
// TestUnauthenticated asks for, or that elsewhere names.
func TestCatalogueHasEveryCode(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	call := regexp.MustCompile(`\brefuse\(http\.\w+, "(\w+)"`)
	codes, tests := map[string]bool{}, ""
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case name == "catalogue_test.go":
			tests += string(text[strings.Index(string(text), "func TestCatalogue"):])
		case name == "errors_test.go":
			tests += string(text)
		case !strings.HasSuffix(name, "_test.go"):
			for _, found := range call.FindAllStringSubmatch(string(text), -1) {
				codes[found[1]] = true
			}
		}
	}
	if len(codes) < 25 {
		t.Fatalf("the source has the codes %q", slices.Sorted(maps.Keys(codes)))
	}
	for code := range codes {
		if elsewhere[code] == "" && !strings.Contains(tests, `, "`+code+`", `) {
			t.Errorf("nothing asks for %s", code)
		}
		if neverTold[code] != "" {
			t.Errorf("%s is in the source, and listed as never told", code)
		}
	}
}
