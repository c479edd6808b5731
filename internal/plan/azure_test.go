package plan_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/plan"
)

// What is sent to Azure, to the letter: documented paths, versions and bodies of
// Microsoft Graph and Azure Resource Manager.
func TestWire(t *testing.T) {
	w := newAzure(t)
	one := func(o *plan.Options) { o.Parallel, o.Prune = 1, true }
	text := `
owner: pets
resourceGroups: [{name: pets, location: westeurope, tags: {env: dev}}]
applications:
  - displayName: worker
    description: Works
    federatedCredentials: [{name: pets--cluster, issuer: https://prod.example/, serviceAccount: pets/worker, description: D}]
    appRoleAssignments: [{resource: Microsoft Graph, role: Application.Read.All}]
    roleAssignments: [{role: Reader, resourceGroup: pets}]
  - {displayName: api, uniqueName: api, requestedAccessTokenVersion: 2, servicePrincipal: {appRoleAssignmentRequired: true}}
managedIdentities:
  - name: cat
    resourceGroup: pets
    isolationScope: Regional
    federatedCredentials: [{name: pets--cluster, issuer: https://prod.example/, serviceAccount: pets/cat}]
`
	w.ok(w.apply(w.plans(text, one)))
	text = strings.NewReplacer("env: dev", "env: prod", "Works", "Works hard", "description: D}", "description: E}", "appRoleAssignmentRequired: true", "tags: [x]", "pets/cat", "pets/dog").Replace(text)
	w.ok(w.apply(w.plans(text, one)))
	text = strings.ReplaceAll(text, "[{name: pets--cluster, issuer: https://prod.example/, serviceAccount", "[] #")
	w.ok(w.apply(w.plans(text, one)))
	known := map[string]string{}
	for _, name := range []string{"worker", "api"} {
		a := w.application(name)
		sp, err := w.admin.ServicePrincipal(t.Context(), a.AppID)
		w.ok(err)
		known[a.ID], known[a.AppID], known[sp.ID] = strings.ToUpper(name)+"-OBJECT", strings.ToUpper(name)+"-CLIENT", strings.ToUpper(name)+"-PRINCIPAL"
	}
	compare(t, "testdata/wire.txt", w.masked(strings.Join(w.front.wire, "\n"), known)+"\n")
}

// Reading waits as well.
func TestWaitingToRead(t *testing.T) {
	w := newAzure(t)
	w.settle(fifty())
	w.front.seen = map[string]int{}
	w.front.fail = func(r *http.Request, nth int) *refusal {
		if nth == 1 && strings.HasSuffix(r.URL.Path, "/federatedIdentityCredentials") {
			return &refusal{status: 429, retryAfter: "40"}
		}
		return nil
	}
	w.waits = nil
	if p := w.plans(fifty()); p.Summary.Changes() != 0 || len(w.waits) != 5 || slices.Max(w.waits) != 40*time.Second {
		t.Errorf("%+v %v", p.Summary, w.waits)
	}
	w.front.fail = func(*http.Request, int) *refusal { return &refusal{status: 429, retryAfter: "40"} }
	w.waits = nil
	if _, err := w.make("applications: [{displayName: app0}]"); err == nil || !strings.Contains(err.Error(), `application "app0": GET `) || len(w.waits) != 7 {
		t.Errorf("%v %v", err, w.waits)
	}
}

// Who may manage an identity need not be able to read its group.
func TestGroupThatOneMayNotRead(t *testing.T) {
	w := newAzure(t)
	w.settle(fifty())
	w.front.fail = func(r *http.Request, _ int) *refusal {
		if strings.HasSuffix(r.URL.Path, "/resourceGroups/pets") {
			return &refusal{status: 403, code: "AuthorizationFailed"}
		}
		return nil
	}
	w.settle("managedIdentities: [{name: mid0, resourceGroup: pets, federatedCredentials: [{name: new, issuer: https://i.example/, subject: new}]}, {name: new, resourceGroup: pets, location: here}]")
	if got := w.problems("managedIdentities: [{name: newer, resourceGroup: pets}]"); got != "state.yaml:1: managedIdentities[0].location: is missing: the caller may not read the group's" {
		t.Error(got)
	}
	if _, err := w.make("resourceGroups: [{name: pets}]"); err == nil || !strings.Contains(err.Error(), "AuthorizationFailed") {
		t.Error(err)
	}
}

// The caller's tenant is that of the subscription, where the client was not told it.
func TestTenantByItsSubscription(t *testing.T) {
	w := newAzure(t)
	c, err := client.New(client.Config{Endpoints: w.client.Endpoints(), HTTP: w.front.Client(), Credential: client.ClientSecret(w.Authority, w.TenantID, w.ClientID, w.ClientSecret, w.http)})
	w.ok(err)
	w.client = c
	if p := w.plans("tenant: {id: " + strings.ToUpper(w.TenantID) + "}\nresourceGroups: [{name: a, location: b}]"); p.Target.TenantID != w.TenantID || len(p.Notes) != 0 {
		t.Errorf("%+v %q", p.Target, p.Notes)
	}
	if got := w.problems("tenant: {id: 9f2c6a5e-3b1d-4c8f-8a70-5d1e2b3c4d5e}"); !strings.Contains(got, w.TenantID) {
		t.Error(got)
	}
	if p := w.plans("tenant: {id: "+w.TenantID+"}", func(o *plan.Options) { o.Subscription = "" }); len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "not known") {
		t.Errorf("%q", p.Notes)
	}
}
