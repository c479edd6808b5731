package plan_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/manifest"
	"github.com/entente-id/entente/internal/plan"
)

// whole is a file of everything.
const whole = `
policy: {maxFederatedIdentityCredentials: 30}
issuers:
  - {name: prod, issuer: https://prod.example/, algorithms: [RS256, ES256]}
  - name: lab
    issuer: https://kubernetes.default.svc.cluster.local
    keySet: {keys: [{kty: EC, crv: P-256, use: sig, alg: ES256, kid: lab-1, x: ZvrIMB1WZNnmDuTa8pDoW-pKOUrpMqac0YEjX4_kkOg, y: J_Z_SWYUL6JMvypnpyF045-rAsAEY6oC51bnDVI9aBg}]}
    algorithms: [ES256]
resourceGroups:
  - {name: pets, location: westeurope, tags: {env: dev}}
applications:
  - displayName: pets-api
    uniqueName: pets-api
    description: The shop's API
    notes: Ask the pets team.
    identifierUris: [api://pets]
    requestedAccessTokenVersion: 2
    tags: [shop]
    appRoles: [{value: Pets.Read, description: May see all pets.}, {value: Pets.Write, isEnabled: true}]
    servicePrincipal: {accountEnabled: true, appRoleAssignmentRequired: true, tags: [shop]}
  - displayName: pets-worker
    federatedCredentials:
      - {name: cluster, issuer: prod, serviceAccount: pets/worker, description: The worker in the cluster}
      - {name: github, issuer: https://token.actions.githubusercontent.com, subject: "repo:octo-org/pets:environment:prod", audiences: [api://other]}
    appRoleAssignments:
      - {resource: pets-api, role: Pets.Read}
      - {resource: Microsoft Graph, role: Application.Read.All}
    roleAssignments:
      - {role: Reader, scope: subscription}
      - {role: Contributor, resourceGroup: pets}
managedIdentities:
  - name: cat
    resourceGroup: pets
    tags: {team: pets}
    isolationScope: Regional
    federatedCredentials:
      - {name: cluster, issuer: prod, serviceAccount: pets/worker}
      - {name: lab, issuer: lab, serviceAccount: pets/worker}
    appRoleAssignments: [{resource: api://pets, role: Pets.Write}]
    roleAssignments: [{role: reader, resourceGroup: PETS}]
`

// onAzure is the file without what Azure has not.
func onAzure() string {
	_, rest, _ := strings.Cut(whole, "resourceGroups:")
	return "issuers: [{name: prod, issuer: https://prod.example/}, {name: lab, issuer: https://kubernetes.default.svc.cluster.local, keySource: Discovery}]\nresourceGroups:" + rest
}

// Everything is made, and then nothing is left to do; what differs is changed, and
// what the file does not say stays.
func TestWhole(t *testing.T) {
	for name, c := range map[string]struct {
		world func(*testing.T) *world
		text  string
		made  int
	}{
		"entente": {newWorld, whole, 18},
		"azure":   {newAzure, onAzure(), 16},
	} {
		t.Run(name, func(t *testing.T) {
			w := c.world(t)
			first := w.plans(c.text)
			if s := first.Summary; s.Create != c.made || s.Delete+s.Adopt+s.Unchanged != 0 || first.Target.Service != name {
				t.Fatalf("%+v\n%s", s, show(t, first))
			}
			if len(w.requests()) != 0 {
				t.Fatalf("a plan writes: %q", w.requests())
			}
			w.ok(w.apply(first))
			if got, want := len(w.events), first.Summary.Changes(); got != want {
				t.Errorf("%d events, want %d: %q", got, want, w.events)
			}
			second := w.plans(c.text)
			if second.Summary.Changes() != 0 || second.Summary.Unchanged != len(first.Steps) {
				t.Errorf("%+v\n%s", second.Summary, show(t, second))
			}
			if got, want := show(t, second), fmt.Sprintf("nothing to do: %d unchanged\n", len(first.Steps)); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			w.ok(w.apply(second))
			if len(w.events) != 0 {
				t.Errorf("%q", w.events)
			}

			api := w.application("pets-api")
			if api.UniqueName != "pets-api" || api.Description != "The shop's API" || api.Notes != "Ask the pets team." || *api.API.RequestedAccessTokenVersion != 2 || len(api.AppRoles) != 2 {
				t.Errorf("%+v", api)
			}
			if cat, err := w.admin.Identity(t.Context(), w.identity("pets", "cat")); err != nil || cat.IsolationScope != "Regional" || cat.Location != "westeurope" || cat.Tags["team"] != "pets" {
				t.Errorf("%+v %v", cat, err)
			}

			changed := strings.NewReplacer(
				"env: dev", "env: prod", "team: pets", "team: cats", "isolationScope: Regional", "isolationScope: None",
				"The shop's API", "The API of the shop", "[api://pets]", "[api://pets, api://shop]", "requestedAccessTokenVersion: 2", "requestedAccessTokenVersion: 1",
				"May see all pets.", "May see every pet.", "{value: Pets.Write, isEnabled: true}", "{value: Pets.Admin}", "role: Pets.Write", "role: Pets.Admin",
				"appRoleAssignmentRequired: true", "appRoleAssignmentRequired: false",
				"The worker in the cluster", "The worker", "[api://other]", "[api://another]", "{name: lab, issuer: lab, serviceAccount: pets/worker}", "{name: lab, issuer: lab, serviceAccount: pets/other}",
			).Replace(c.text)
			third := w.plans(changed)
			if s := third.Summary; s.Create != 1 || s.Update != 7 || s.Delete != 0 {
				t.Errorf("%+v", s)
			}
			steps, _, _ := strings.Cut(show(t, third), "\n\n") // what is unchanged differs between the two
			compare(t, "testdata/changed.txt", inFile.ReplaceAllString(steps, ""))
			w.ok(w.apply(third))
			if again := w.plans(changed); again.Summary.Changes() != 0 {
				t.Errorf("%s", show(t, again))
			}
			if api = w.application("pets-api"); len(api.AppRoles) != 3 {
				t.Errorf("a role that the file does not name is gone: %+v", api.AppRoles)
			}
		})
	}
}

// inFile is where a step stands, which differs between the two files.
var inFile = regexp.MustCompile(` +# state\.yaml:\d+`)

// requests are the writes that the front has seen.
func (w *world) requests() []string {
	if w.front == nil {
		return nil
	}
	return w.front.writes()
}

// compare holds a text to a file; UPDATE=1 writes it.
func compare(t *testing.T, file, got string) {
	t.Helper()
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s: -want +got\n%s", file, diff)
	}
}

// The members of the JSON, which programs read.
func TestJSON(t *testing.T) {
	w := newWorld(t)
	const before = "owner: a\napplications:\n  - {displayName: app, federatedCredentials: [%s]}\n"
	w.settle(fmt.Sprintf(before, "{name: a--one, issuer: https://i.example/, subject: one}, {name: a--two, issuer: https://i.example/, subject: two}, {name: a--three, issuer: https://i.example/, subject: three}"))
	p := w.plans(fmt.Sprintf(before, "{name: a--one, issuer: https://i.example/, subject: ONE}, {name: a--zwei, issuer: https://i.example/, subject: two}, {name: a--four, issuer: https://i.example/, subject: four}"), prune)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	w.ok(e.Encode(p))
	got := strings.NewReplacer(w.Authority, "https://service.example", w.TenantID, "TENANT", w.SubscriptionID, "SUBSCRIPTION").Replace(b.String())
	compare(t, "testdata/plan.json", got)
	w.ok(w.apply(p))
	b.Reset()
	w.ok(e.Encode(p))
	if n := strings.Count(b.String(), `"result": "done"`); n != 3 {
		t.Errorf("%d steps are done:\n%s", n, b.String())
	}
	if want := []string{"a--four four", "a--one ONE", "a--two two"}; !slices.Equal(w.trusts("app"), want) {
		t.Errorf("%q", w.trusts("app"))
	}
	if err := w.apply(p); err == nil {
		t.Error("a plan is applied twice")
	}
}

// What the target is not, or has not.
func TestRefusals(t *testing.T) {
	w := newAzure(t)
	got := w.problems(`
tenant: {subscriptionId: 1b7e5f3a-6c2d-4e90-b1a4-7f8d9c0e2a35}
policy: {maxFederatedIdentityCredentials: 30, registeredIssuersOnly: false}
issuers:
  - {name: fine, issuer: https://fine.example/}
  - {name: also, issuer: https://also.example/, keySource: Discovery}
  - {name: keys, issuer: https://keys.example/, jwksUri: https://keys.example/jwks}
  - {name: more, issuer: https://more.example/, algorithms: [ES256], allowMultipleAudiences: true}
resourceGroups: [{name: nowhere}]
tenants: [{domain: other.example}]
`, prune)
	want := strings.ReplaceAll(strings.TrimPrefix(`
state.yaml:2: owner: is missing: only what the file's owner made is pruned, so the file has to say whose it is
state.yaml:2: tenant.subscriptionId: is not SUBSCRIPTION, which was asked for
state.yaml:3: policy.maxFederatedIdentityCredentials: is Azure's own, which is the target here: leave it out
state.yaml:3: policy.registeredIssuersOnly: is nothing that Azure, the target here, has: leave it out
state.yaml:7: issuers[2]: has keys, and the target is Azure, which reads an issuer's keys by discovery and takes none: leave them out
state.yaml:8: issuers[3].algorithms: cannot be set where the target is Azure, which has no issuers to set it for: leave it out
state.yaml:8: issuers[3].allowMultipleAudiences: cannot be set where the target is Azure, which has no issuers to set it for: leave it out
state.yaml:9: resourceGroups[0].location: is missing: in Azure everything is somewhere, for instance in westeurope
state.yaml:10: tenants: are for a service that is started with the file: a plan is for one tenant, that of the caller; give each its own file`, "\n"), "SUBSCRIPTION", w.SubscriptionID)
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
		t.Error(diff)
	}
	for _, line := range w.front.requests {
		if strings.Contains(line, "Entente.Federation") {
			t.Errorf("Azure was asked: %s", line)
		}
	}
	if got := w.problems("tenant: {id: 9f2c6a5e-3b1d-4c8f-8a70-5d1e2b3c4d5e}"); got != "state.yaml:1: tenant.id: is not the tenant that the caller is signed in to, "+w.TenantID {
		t.Error(got)
	}
	if got := w.problems("tenant: {displayName: Mine, domain: mine.example}"); !strings.Contains(got, "tenant.displayName: is \"Entente\" of the tenant that is there") || !strings.Contains(got, "tenant.domain: is ") {
		t.Error(got)
	}
	if _, err := plan.Make(t.Context(), w.client, w.read("resourceGroups: [{name: a, location: b}]"), plan.Options{}); err == nil || !strings.Contains(err.Error(), "which subscription") {
		t.Error(err)
	}
	if _, err := plan.Make(t.Context(), w.client, w.read("resourceGroups: [{name: a, location: b}]"), plan.Options{Subscription: "1b7e5f3a-6c2d-4e90-b1a4-7f8d9c0e2a35"}); err == nil || !strings.Contains(err.Error(), "SubscriptionNotFound") {
		t.Error(err)
	}
}

// An Entente service is not asked about issuers and policies that the file has not.
func TestFederationIsLeftAlone(t *testing.T) {
	for text, needs := range map[string]bool{
		"applications: [{displayName: a, roleAssignments: [{role: Reader, scope: /}]}]":               false,
		"applications: [{displayName: a, roleAssignments: [{role: Reader, scope: subscription}]}]":    true,
		"applications: [{displayName: a, roleAssignments: [{role: Reader, resourceGroup: b}]}]":       true,
		"managedIdentities: [{name: abc, resourceGroup: b}]":                                          true,
		"tenant: {subscriptionId: 1b7e5f3a-6c2d-4e90-b1a4-7f8d9c0e2a35}\nresourceGroups: [{name: b}]": false,
	} {
		m, err := manifest.Read("a", []byte(text), nil)
		if err != nil || plan.NeedsSubscription(m) != needs {
			t.Errorf("%s: %v", text, err)
		}
	}
	w := newWorld(t)
	// This client may have applications of its own and read nothing else.
	a, err := w.admin.CreateApplication(t.Context(), client.ApplicationSpec{DisplayName: "deployer"})
	w.ok(err)
	sp, err := w.admin.CreateServicePrincipal(t.Context(), client.ServicePrincipalSpec{AppID: a.AppID})
	w.ok(err)
	graph, err := w.admin.ServicePrincipalByName(t.Context(), "Microsoft Graph")
	w.ok(err)
	for _, r := range graph.AppRoles {
		if r.Value == "Application.ReadWrite.OwnedBy" {
			_, err := w.admin.CreateAppRoleAssignment(t.Context(), client.AppRoleAssignment{PrincipalID: sp.ID, ResourceID: graph.ID, AppRoleID: r.ID})
			w.ok(err)
		}
	}
	secret, err := w.admin.AddPassword(t.Context(), a.ID, client.PasswordSpec{})
	w.ok(err)
	w.client = w.as(a.AppID, secret.SecretText)
	w.settle("applications: [{displayName: mine, federatedCredentials: [{name: one, issuer: https://i.example/, subject: s}]}]")
	if _, err := w.make(whole); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("got %v", err)
	}
	if p := w.plans("applications: [{displayName: mine, federatedCredentials: [" + many("c", 30) + "]}]"); len(p.Notes) != 1 || !strings.Contains(p.Notes[0], `application "mine" would have 31 credentials, and the caller may not read how many it may have`) {
		t.Errorf("%q", p.Notes)
	}
}

// many are the entries of n credentials.
func many(name string, n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("{name: %s%02d, issuer: https://i.example/, subject: %s%02d}", name, i, name, i))
	}
	return strings.Join(all, ", ")
}

// Names that mean several objects or none are told with ids, all at once.
func TestNames(t *testing.T) {
	w := newWorld(t)
	var twins []client.Application
	for range 2 {
		a, err := w.admin.CreateApplication(t.Context(), client.ApplicationSpec{DisplayName: "twin"})
		w.ok(err)
		_, err = w.admin.CreateServicePrincipal(t.Context(), client.ServicePrincipalSpec{AppID: a.AppID})
		w.ok(err)
		twins = append(twins, a)
	}
	w.settle(`
resourceGroups: [{name: pets, location: here}]
applications: [{displayName: api, uniqueName: api, appRoles: [{value: Read}, {value: "Off", isEnabled: false}]}]
managedIdentities: [{name: cat, resourceGroup: pets}]`)
	got := w.problems(`
resourceGroups: [{name: pets, location: there}]
applications:
  - displayName: Twin
  - {displayName: third, clientId: ` + twins[0].AppID + `}
  - {displayName: nobody, clientId: 9f2c6a5e-3b1d-4c8f-8a70-5d1e2b3c4d5e}
  - {displayName: new, clientId: ` + w.application("api").AppID + `, uniqueName: other}
  - displayName: worker
    appRoleAssignments:
      - {resource: twin, role: Read}
      - {resource: nowhere, role: Read}
      - {resource: new, role: Write}
      - {resource: new, role: "Off"}
      - {resource: new}
      - {resource: new, role: Read}
      - {resource: ` + w.application("api").AppID + `, role: Read}
    roleAssignments:
      - {role: KeyVaultReader, scope: subscription}
      - {role: 9f2c6a5e-3b1d-4c8f-8a70-5d1e2b3c4d5e, scope: subscription}
      - {role: contributor, scope: subscription}
      - {role: b24988ac-6180-42a0-ab88-20f7382dd24c, scope: subscription}
      - {role: Managed-Identity-Contributor, scope: subscription}
      - {role: Reader, resourceGroup: nowhere}
      - {role: Reader, scope: /subscriptions/` + w.SubscriptionID + `/resourceGroups/nowhere}
managedIdentities:
  - {name: cat, resourceGroup: pets, location: there}
  - {name: dog, resourceGroup: nowhere}
`)
	for id, name := range map[string]string{twins[0].ID: "OBJECT1", twins[0].AppID: "CLIENT1", twins[1].ID: "OBJECT2", twins[1].AppID: "CLIENT2", w.SubscriptionID: "SUBSCRIPTION"} {
		got = strings.ReplaceAll(got, id, name)
	}
	// The order of several is the service's.
	got = strings.ReplaceAll(got, "CLIENT2 (object id OBJECT2), CLIENT1 (object id OBJECT1)", "CLIENT1 (object id OBJECT1), CLIENT2 (object id OBJECT2)")
	got = strings.ReplaceAll(got, "CLIENT2, CLIENT1", "CLIENT1, CLIENT2")
	compare(t, "testdata/names.txt", got)
	if _, err := w.make(`applications: [{displayName: twin}]`); !isProblems(err) {
		t.Errorf("%T", err)
	}

	// With a client id it is clear.
	w.settle("applications: [{displayName: Twin, clientId: " + strings.ToUpper(twins[1].AppID) + "}]")
	if a, err := w.admin.Application(t.Context(), twins[1].AppID); err != nil || a.DisplayName != "Twin" {
		t.Errorf("%+v %v", a, err)
	}
	// Two entries for one application.
	if got := w.problems("applications: [{displayName: api}, {displayName: x, uniqueName: api}]"); !strings.Contains(got, `applications[1]: means the application "api" (`+w.application("api").AppID+`), as line 1 does`) {
		t.Error(got)
	}
	// A unique name is given to one that has none, but not in Azure.
	text := "applications: [{displayName: named, uniqueName: named}]"
	w.settle("applications: [{displayName: named}]")
	azure := newAzure(t)
	azure.settle("applications: [{displayName: named}]")
	if got := azure.problems(text); !strings.Contains(got, "applications[0].uniqueName: cannot be given to the application "+azure.application("named").AppID) {
		t.Error(got)
	}
	w.settle(text)
	if a := w.application("named"); a.UniqueName != "named" {
		t.Errorf("%+v", a)
	}
}

func isProblems(err error) bool {
	_, ok := errors.AsType[*manifest.Problems](err)
	return ok
}
