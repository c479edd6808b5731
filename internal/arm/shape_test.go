package arm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/roles"
)

// step is one request of a walk, with what must come back.
type step struct {
	name               string
	method, path, body string
	status             int
	want               string // JSON with "*" for anything; empty: no body
	location           string
}

func (w *world) walk(steps []step) {
	for _, s := range steps {
		w.t.Run(s.name, func(t *testing.T) {
			w := *w
			w.t = t
			r := w.do("admin", s.method, s.path, s.body)
			if r.status != s.status {
				t.Fatalf("got %d %s, want %d", r.status, r.text, s.status)
			}
			if got := r.header.Get("Location"); got != s.location {
				t.Errorf("Location is %q, want %q", got, s.location)
			}
			if s.want == "" {
				if r.text != "" {
					t.Errorf("got a body: %s", r.text)
				}
				return
			}
			if err := compare(s.want, r.text); err != nil {
				t.Errorf("%v\n%s", err, r.text)
			}
		})
	}
}

func TestSubscriptionsAndTenants(t *testing.T) {
	w := newWorld(t)
	subscription := `{"id":"` + sub + `","subscriptionId":"` + testSubscription + `","tenantId":"` + testTenant + `","displayName":"Contoso","state":"Enabled","subscriptionPolicies":{"locationPlacementId":"*","quotaId":"*","spendingLimit":"Off"},"authorizationSource":"RoleBased","managedByTenants":[]}`
	w.walk([]step{
		{name: "tenants", method: "GET", path: "/tenants?api-version=2022-12-01", status: 200, want: `{"value":[{"id":"/tenants/` + testTenant + `","tenantId":"` + testTenant + `","countryCode":"","displayName":"Contoso","domains":["*"],"tenantCategory":"Home","defaultDomain":"*","tenantType":"AAD"}],"count":{"type":"Total","value":1}}`},
		{name: "list", method: "GET", path: "/subscriptions?api-version=2019-11-01", status: 200, want: `{"value":[` + subscription + `],"count":{"type":"Total","value":1}}`},
		{name: "get", method: "GET", path: sub + "?api-version=2021-01-01", status: 200, want: subscription},
		{name: "segments without case", method: "GET", path: "/SubScriptions/" + strings.ToUpper(testSubscription), status: 200, want: subscription},
		{name: "slashes in front", method: "GET", path: "//subscriptions/" + testSubscription, status: 200, want: subscription},
		{name: "slash at the end", method: "GET", path: sub + "/", status: 200, want: subscription},
		{name: "provider", method: "GET", path: sub + "/providers/microsoft.managedidentity?api-version=2021-04-01", status: 200, want: `{"id":"` + sub + `/providers/Microsoft.ManagedIdentity","namespace":"Microsoft.ManagedIdentity","registrationPolicy":"*","registrationState":"Registered","resourceTypes":["*","*",{"resourceType":"userAssignedIdentities/federatedIdentityCredentials","locations":[],"apiVersions":"*","capabilities":"None"}]}`},
		{name: "register", method: "POST", path: sub + "/providers/Microsoft.ManagedIdentity/register", status: 200, want: `{"id":"*","namespace":"Microsoft.ManagedIdentity","registrationPolicy":"*","registrationState":"Registered","resourceTypes":"*"}`},
		{name: "providers", method: "GET", path: sub + "/providers", status: 200, want: `{"value":["*","*","*","*","*"]}`},
		{name: "operations", method: "GET", path: "/providers/Microsoft.ManagedIdentity/operations", status: 200, want: `{"value":["*","*","*","*",{"name":"Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/read","display":{"provider":"Microsoft.ManagedIdentity","resource":"Federated Identity Credential","operation":"read","description":"*"}},"*","*"]}`},
	})
	r := w.ok("admin", "GET", sub+"/locations?api-version=2019-11-01", "")
	for _, name := range []string{"local", "westeurope", "eastus2"} {
		if !strings.Contains(r.text, `"name":"`+name+`"`) {
			t.Errorf("no location %q in %s", name, r.text)
		}
	}
}

func TestResourceGroups(t *testing.T) {
	w := newWorld(t)
	const path = sub + "/resourcegroups/Team-A"
	group := func(tags string) string {
		return `{"id":"` + sub + `/resourceGroups/Team-A","name":"Team-A","type":"Microsoft.Resources/resourceGroups","location":"westeurope","tags":` + tags + `,"properties":{"provisioningState":"Succeeded"}}`
	}
	w.walk([]step{
		{name: "exists not", method: "HEAD", path: path, status: 404},
		{name: "create", method: "PUT", path: path, body: `{"location":"West Europe","tags":{"a":"b"}}`, status: 201, want: group(`{"a":"b"}`)},
		{name: "exists", method: "HEAD", path: path, status: 204},
		{name: "get in another case", method: "GET", path: sub + "/RESOURCEGROUPS/team-a", status: 200, want: group(`{"a":"b"}`)},
		{name: "replace, sent back as it was read", method: "PUT", path: path, body: group(`{"c":"d"}`), status: 200, want: group(`{"c":"d"}`)},
		{name: "patch tags", method: "PATCH", path: path, body: `{"tags":{"e":"f"}}`, status: 200, want: group(`{"e":"f"}`)},
		{name: "patch nothing", method: "PATCH", path: path, body: `{}`, status: 200, want: group(`{"e":"f"}`)},
		{name: "list", method: "GET", path: sub + "/resourceGroups", status: 200, want: `{"value":["*","*",` + group(`{"e":"f"}`) + `]}`},
		{name: "list by a tag, as az does", method: "GET", path: sub + "/resourceGroups?$filter=tagname%20eq%20%27E%27%20and%20tagvalue%20eq%20%27f%27", status: 200, want: `{"value":[` + group(`{"e":"f"}`) + `]}`},
		{name: "list by a tag's name", method: "GET", path: sub + "/resourceGroups?$filter=tagName%20eq%20%27e%27", status: 200, want: `{"value":[` + group(`{"e":"f"}`) + `]}`},
		{name: "list by another value", method: "GET", path: sub + "/resourceGroups?$filter=tagName%20eq%20%27e%27%20and%20tagValue%20eq%20%27%27", status: 200, want: `{"value":[]}`},
		{name: "delete", method: "DELETE", path: path, status: 200},
		{name: "delete again", method: "DELETE", path: path, status: 404, want: `{"error":{"code":"ResourceGroupNotFound","message":"Resource group 'Team-A' could not be found."}}`},
	})
}

func TestIdentities(t *testing.T) {
	w := newWorld(t)
	identity := func(more string) string {
		return `{"id":"` + ideID + `","name":"ide","type":"Microsoft.ManagedIdentity/userAssignedIdentities","location":"eastus2euap",` + more + `"tenantId":"` + testTenant + `","principalId":"*","clientId":"*"}}`
	}
	plain := identity(`"tags":{},"properties":{`)
	w.walk([]step{
		{name: "create", method: "PUT", path: ide + "?api-version=2022-01-31-preview", body: `{"location":"eastus2euap"}`, status: 201, want: plain, location: ideID},
		{name: "again", method: "PUT", path: ide, body: `{"location":"eastus2euap"}`, status: 200, want: plain},
		{name: "get", method: "GET", path: ide, status: 200, want: plain},
		{name: "get in another case", method: "GET", path: strings.ToLower(ide), status: 200, want: plain},
		{name: "patch", method: "PATCH", path: ide, body: `{"tags":{"a":"b"},"properties":{"isolationScope":"Regional"}}`, status: 200, want: identity(`"tags":{"a":"b"},"properties":{"isolationScope":"Regional",`)},
		{name: "list of the group", method: "GET", path: inGroup + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities", status: 200, want: `{"value":["*"]}`},
		{name: "list of the subscription", method: "GET", path: sub + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities", status: 200, want: `{"value":["*"]}`},
		{name: "list of another group", method: "GET", path: sub + "/resourceGroups/other/providers/Microsoft.ManagedIdentity/userAssignedIdentities", status: 200, want: `{"value":[]}`},
		{name: "resources", method: "POST", path: ide + "/listAssociatedResources", status: 200, want: `{"totalCount":0,"value":[]}`},
		{name: "delete", method: "DELETE", path: ide, status: 200},
		{name: "delete again", method: "DELETE", path: ide, status: 204},
	})
}

func TestCredentials(t *testing.T) {
	w := newWorld(t)
	w.ok("admin", "PUT", ide, `{"location":"local"}`)
	const list = ide + "/federatedIdentityCredentials"
	id := ideID + "/federatedIdentityCredentials/fic1"
	credential := func(subject string) string {
		return `{"id":"` + id + `","name":"fic1","type":"Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials","properties":{"issuer":"https://issuer.example/t1/","subject":"` + subject + `","audiences":["api://AzureADTokenExchange"]}}`
	}
	const sa1 = "system:serviceaccount:ns1:sa1"
	w.walk([]step{
		{name: "none", method: "GET", path: list, status: 200, want: `{"value":[]}`},
		{name: "create", method: "PUT", path: ficPath + "?api-version=2022-01-31-preview", body: ficBody, status: 201, want: credential(sa1), location: id},
		{name: "replace", method: "PUT", path: ficPath, body: strings.Replace(ficBody, "sa1", "sa2", 1), status: 200, want: credential("system:serviceaccount:ns1:sa2")},
		{name: "name in another case is an update", method: "PUT", path: list + "/FIC1", body: ficBody, status: 200, want: credential(sa1)},
		{name: "get", method: "GET", path: ficPath + "?api-version=2026-05-31", status: 200, want: credential(sa1)},
		{name: "list", method: "GET", path: list, status: 200, want: `{"value":[` + credential(sa1) + `]}`},
		{name: "read-only members", method: "PUT", path: ficPath, body: strings.Replace(ficBody, `{"properties"`, `{"id":"/x","name":"y","type":"z","systemData":{},"properties"`, 1), status: 200, want: credential(sa1)},
		{name: "expression that is null", method: "PUT", path: ficPath, body: strings.Replace(ficBody, `"audiences"`, `"claimsMatchingExpression":null,"audiences"`, 1), status: 200, want: credential(sa1)},
		{name: "delete", method: "DELETE", path: ficPath, status: 200},
		{name: "delete again", method: "DELETE", path: ficPath, status: 204},
	})
}

func TestRoles(t *testing.T) {
	w := newWorld(t)
	reader := func(scope string) string {
		return `{"id":"` + scope + `/providers/Microsoft.Authorization/roleDefinitions/` + roles.Reader + `","type":"Microsoft.Authorization/roleDefinitions","name":"` + roles.Reader + `","properties":{"roleName":"Reader","type":"BuiltInRole","description":"*","assignableScopes":["/"],"permissions":[{"actions":["*/read"],"notActions":[],"dataActions":[],"notDataActions":[]}]}}`
	}
	const definitions = "/providers/Microsoft.Authorization/roleDefinitions"
	const byName = "?$filter=roleName+eq+'Reader'&api-version=2015-07-01"
	principal := w.principals["nobody"].PrincipalID
	assignment := func(scope, in string) string {
		shown := scope
		if shown == "" {
			shown = "/"
		}
		return `{"id":"` + scope + `/providers/Microsoft.Authorization/roleAssignments/` + sampleAssignment + `","type":"Microsoft.Authorization/roleAssignments","name":"` + sampleAssignment + `","properties":{"roleDefinitionId":"` + in + definitionPath + roles.Reader + `","principalId":"` + principal + `","principalType":"ServicePrincipal","scope":"` + shown + `","description":null,"condition":null,"conditionVersion":null,"createdOn":"*","updatedOn":"*","createdBy":"*","updatedBy":"*"}}`
	}
	body := w.assign(roles.Reader, "nobody")
	w.walk([]step{
		{name: "definitions of the root by name", method: "GET", path: definitions + byName, status: 200, want: `{"value":[` + reader("") + `]}`},
		{name: "with the empty scope of a client", method: "GET", path: "/" + definitions + byName, status: 200, want: `{"value":[` + reader("") + `]}`},
		{name: "of a subscription", method: "GET", path: sub + definitions + byName, status: 200, want: `{"value":[` + reader(sub) + `]}`},
		{name: "of a group, percent-encoded", method: "GET", path: inGroup + definitions + "?$filter=roleName%20eq%20%27reader%27%20and%20type%20eq%20%27BuiltInRole%27", status: 200, want: `{"value":[` + reader(sub) + `]}`},
		{name: "custom ones", method: "GET", path: definitions + "?$filter=type+eq+'CustomRole'", status: 200, want: `{"value":[]}`},
		{name: "a definition", method: "GET", path: sub + definitions + "/" + strings.ToUpper(roles.Reader), status: 200, want: reader(sub)},
		{name: "assign on a group", method: "PUT", path: inGroup + assignmentPath + sampleAssignment + "?api-version=2015-07-01", body: body, status: 201, want: assignment(inGroup, sub)},
		{name: "the same again", method: "PUT", path: inGroup + assignmentPath + sampleAssignment, body: body, status: 201, want: assignment(inGroup, sub)},
		{name: "get", method: "GET", path: inGroup + assignmentPath + sampleAssignment, status: 200, want: assignment(inGroup, sub)},
		{name: "of a principal below the subscription", method: "GET", path: sub + "/providers/Microsoft.Authorization/roleAssignments?$filter=principalId+eq+'" + principal + "'", status: 200, want: `{"value":[` + assignment(inGroup, sub) + `]}`},
		{name: "of a principal, assigned to", method: "GET", path: sub + "/providers/Microsoft.Authorization/roleAssignments?$filter=assignedTo('" + principal + "')", status: 200, want: `{"value":[` + assignment(inGroup, sub) + `]}`},
		{name: "of a principal at the subscription", method: "GET", path: sub + "/providers/Microsoft.Authorization/roleAssignments?$filter=atScope()+and+principalId+eq+'" + principal + "'", status: 200, want: `{"value":[]}`},
		{name: "delete", method: "DELETE", path: inGroup + assignmentPath + sampleAssignment, status: 200, want: assignment(inGroup, sub)},
		{name: "delete again", method: "DELETE", path: inGroup + assignmentPath + sampleAssignment, status: 204},
		{name: "assign on the root", method: "PUT", path: assignmentPath + sampleAssignment, body: body, status: 201, want: assignment("", "")},
		{name: "delete on the root", method: "DELETE", path: assignmentPath + sampleAssignment, status: 200, want: assignment("", "")},
	})
	if r := w.do("admin", "GET", ide+"/providers/Microsoft.Authorization/roleAssignments?$filter=atScope()", ""); r.status != 200 {
		t.Errorf("assignments of an identity: %d %s", r.status, r.text)
	}
	scope := w.ok("admin", "PUT", strings.Replace(ide, "resourceGroups", "RESOURCEgroups", 1)+assignmentPath+sampleAssignment, body)
	if want := `"scope":"` + ideID + `"`; !strings.Contains(scope.text, want) {
		t.Errorf("got %s, want %s", scope.text, want)
	}
	// az compares ids of definitions as text: those of assignments that are listed in a subscription are of that subscription.
	r := w.ok("admin", "GET", sub+"/providers/Microsoft.Authorization/roleAssignments?$filter=atScope()", "")
	if strings.Contains(r.text, `"roleDefinitionId":"/providers`) {
		t.Errorf("a definition without its subscription: %s", r.text)
	}
}

func TestFederation(t *testing.T) {
	w := newWorld(t)
	issuer := func(name, properties string) string {
		return `{"id":"/providers/Entente.Federation/issuers/` + name + `","name":"` + name + `","type":"Entente.Federation/issuers","properties":{` + properties + `,"createdAt":"*","updatedAt":"*"}}`
	}
	set := keySet(t)
	const newTenant = "77777777-7777-4777-8777-777777777777"
	const prod = issuers + "/prod"
	w.walk([]step{
		{name: "no issuers", method: "GET", path: issuers, status: 200, want: `{"value":[]}`},
		{name: "issuer by discovery", method: "PUT", path: prod + "?api-version=2026-11-01", body: `{"properties":{"issuer":"https://issuer.example/prod/"}}`, status: 201, location: prod,
			want: issuer("prod", `"issuer":"https://issuer.example/prod/","keySource":"Discovery","algorithms":["RS256"],"allowMultipleAudiences":false,"revision":"*"`)},
		{name: "with an address for keys", method: "PUT", path: prod, body: `{"properties":{"issuer":"https://issuer.example/prod/","keySource":"JwksUri","jwksUri":"https://keys.example/jwks","algorithms":["RS256","ES256"],"allowMultipleAudiences":true,"caCertificate":null}}`, status: 200,
			want: issuer("prod", `"issuer":"https://issuer.example/prod/","keySource":"JwksUri","jwksUri":"https://keys.example/jwks","algorithms":["RS256","ES256"],"allowMultipleAudiences":true,"revision":"*"`)},
		{name: "with keys", method: "PUT", path: prod, body: `{"properties":{"issuer":"https://issuer.example/prod/","keySource":"KeySet","keySet":` + set + `}}`, status: 200,
			want: issuer("prod", `"issuer":"https://issuer.example/prod/","keySource":"KeySet","keySet":`+set+`,"algorithms":["RS256"],"allowMultipleAudiences":false,"revision":"*"`)},
		{name: "get", method: "GET", path: issuers + "/PROD", status: 200,
			want: issuer("prod", `"issuer":"https://issuer.example/prod/","keySource":"KeySet","keySet":`+set+`,"algorithms":["RS256"],"allowMultipleAudiences":false,"revision":"*"`)},
		{name: "list, without keys", method: "GET", path: issuers, status: 200,
			want: `{"value":[` + issuer("prod", `"issuer":"https://issuer.example/prod/","keySource":"KeySet","algorithms":["RS256"],"allowMultipleAudiences":false,"revision":"*"`) + `]}`},
		{name: "delete", method: "DELETE", path: prod, status: 200},
		{name: "delete again", method: "DELETE", path: prod, status: 204},
		{name: "policy", method: "GET", path: "/providers/Entente.Federation/policies/default", status: 200, want: `{"id":"/providers/Entente.Federation/policies/default","name":"default","type":"Entente.Federation/policies","properties":{"maxFederatedIdentityCredentials":20,"registeredIssuersOnly":false}}`},
		{name: "change the policy", method: "PUT", path: "/providers/Entente.Federation/policies/default", body: `{"properties":{"maxFederatedIdentityCredentials":50}}`, status: 200, want: `{"id":"*","name":"default","type":"*","properties":{"maxFederatedIdentityCredentials":50,"registeredIssuersOnly":false}}`},
		{name: "registered issuers only", method: "PUT", path: "/providers/Entente.Federation/policies/default", body: `{"properties":{"registeredIssuersOnly":true}}`, status: 200, want: `{"id":"*","name":"default","type":"*","properties":{"maxFederatedIdentityCredentials":50,"registeredIssuersOnly":true}}`},
		{name: "what is not said stays", method: "PUT", path: "/providers/Entente.Federation/policies/default", body: `{"properties":{"maxFederatedIdentityCredentials":51}}`, status: 200, want: `{"id":"*","name":"default","type":"*","properties":{"maxFederatedIdentityCredentials":51,"registeredIssuersOnly":true}}`},
		{name: "any issuer again", method: "PUT", path: "/providers/Entente.Federation/policies/default", body: `{"properties":{"registeredIssuersOnly":false,"maxFederatedIdentityCredentials":null}}`, status: 200, want: `{"id":"*","name":"default","type":"*","properties":{"maxFederatedIdentityCredentials":51,"registeredIssuersOnly":false}}`},
		{name: "tenant with a secret", method: "PUT", path: "/providers/Entente.Federation/tenants/" + newTenant, body: `{"properties":{"displayName":"Fabrikam"}}`, status: 201, location: "/providers/Entente.Federation/tenants/" + newTenant,
			want: `{"id":"/providers/Entente.Federation/tenants/` + newTenant + `","name":"` + newTenant + `","type":"Entente.Federation/tenants","properties":{"displayName":"Fabrikam","domain":"*","default":false,"maxFederatedIdentityCredentials":20,"createdAt":"*","subscriptionId":"*","administrator":{"clientId":"*","principalId":"*","clientSecret":"*"}}}`},
		{name: "tenant with a workload", method: "PUT", path: "/providers/Entente.Federation/tenants/77777777-7777-4777-8777-777777777778", body: `{"properties":{"displayName":"F","administrator":{"issuer":"https://issuer.example/","subject":"s"}}}`, status: 201, location: "/providers/Entente.Federation/tenants/77777777-7777-4777-8777-777777777778",
			want: `{"id":"*","name":"*","type":"*","properties":{"displayName":"F","domain":"*","default":false,"maxFederatedIdentityCredentials":20,"createdAt":"*","subscriptionId":"*","administrator":{"clientId":"*","principalId":"*"}}}`},
		{name: "tenants", method: "GET", path: "/providers/Entente.Federation/tenants", status: 200, want: `{"value":["*","*","*","*"]}`},
		{name: "tenant", method: "GET", path: "/providers/Entente.Federation/tenants/" + strings.ToUpper(newTenant), status: 200, want: `{"id":"*","name":"` + newTenant + `","type":"*","properties":{"displayName":"Fabrikam","domain":"*","default":false,"maxFederatedIdentityCredentials":20,"createdAt":"*"}}`},
		{name: "signing keys", method: "GET", path: "/providers/Entente.Federation/signingKeys", status: 200, want: `{"value":[{"id":"*","name":"*","type":"Entente.Federation/signingKeys","properties":{"algorithm":"ES256","state":"current","createdAt":"*","activateAt":"*"}}]}`},
		{name: "rotate", method: "POST", path: "/providers/Entente.Federation/signingKeys/rotate", status: 200, want: `{"id":"*","name":"*","type":"Entente.Federation/signingKeys","properties":{"algorithm":"ES256","state":"next","createdAt":"*","activateAt":"*"}}`},
	})
	if len(w.rotatedBy) != 1 || w.rotatedBy[0].PrincipalID != w.principals["admin"].PrincipalID {
		t.Errorf("rotated by %+v, want the caller to be passed on", w.rotatedBy)
	}
	r := w.ok("admin", "GET", "/providers/Entente.Federation/auditEvents?$top=1", "")
	want := fmt.Sprintf(`{"value":[{"id":"*","name":"*","type":"Entente.Federation/auditEvents","properties":{"at":"*","actor":{"kind":"principal","principalId":"%s","clientId":"*"},"action":"Entente.Federation/tenants/write","target":{"kind":"tenant","id":"*","name":"F"},"detail":{}}}],"nextLink":"*"}`, w.principals["admin"].PrincipalID)
	if err := compare(want, r.text); err != nil {
		t.Errorf("%v\n%s", err, r.text)
	}
}

func TestHeaders(t *testing.T) {
	w := newWorld(t)
	r := w.ok("admin", "GET", sub, "")
	for name, want := range map[string]string{
		"Cache-Control": "no-cache", "Pragma": "no-cache", "Expires": "-1", "X-Content-Type-Options": "nosniff", "Content-Type": "application/json; charset=utf-8",
		"X-Ms-Ratelimit-Remaining-Subscription-Reads": "11999", "X-Ms-Correlation-Request-Id": r.header.Get("X-Ms-Request-Id"),
	} {
		if got := r.header.Get(name); got != want || want == "" {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	request := w.request("admin", "PUT", inGroup, `{"location":"local"}`)
	request.Header.Set("x-ms-correlation-request-id", testTenant)
	r = w.send(request)
	if got := r.header.Get("x-ms-correlation-request-id"); got != testTenant {
		t.Errorf("the correlation id is %q", got)
	}
	if got := r.header.Get("x-ms-ratelimit-remaining-subscription-writes"); got != "1199" {
		t.Errorf("%q writes are left", got)
	}
	r = w.ok("admin", "PUT", "/providers/Entente.Federation/tenants/77777777-7777-4777-8777-777777777777", `{}`)
	if got := r.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("an answer with a secret has Cache-Control %q", got)
	}
}
