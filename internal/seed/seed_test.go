package seed_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"strings"
	"sync"

	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/manifest"
	"github.com/entente-id/entente/internal/seed"
	"github.com/entente-id/entente/internal/testkit"
)

// world is a directory with its first tenant, on one engine.
type world struct {
	*testing.T
	dir    *directory.Directory
	system directory.Caller
	sub    string
	log    *slog.Logger
}

func newWorld(t *testing.T, d *db.DB, n directory.NewTenant) *world {
	t.Helper()
	w := &world{T: t, dir: &directory.Directory{DB: d}, log: slog.New(slog.DiscardHandler)}
	f, _, err := w.dir.Bootstrap(t.Context(), n)
	w.ok(err)
	w.system, w.sub = directory.System(f.Tenant.ID, "test"), f.SubscriptionID
	return w
}

// each runs a test in a new world on each engine.
func each(t *testing.T, test func(w *world)) {
	t.Helper()
	testkit.Engines(t, func(t *testing.T, d *db.DB) { test(newWorld(t, d, directory.NewTenant{})) })
}

func sqlite(t *testing.T) *world { return newWorld(t, testkit.SQLite(t), directory.NewTenant{}) }

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) load(text string) (seed.Result, error) {
	w.Helper()
	m, err := manifest.Read("seed.yaml", []byte(text), nil)
	if err != nil {
		return seed.Result{}, err
	}
	return seed.Load(w.Context(), seed.Config{Directory: w.dir, Log: w.log, CheckKeySet: func(set []byte) error {
		if strings.Contains(string(set), "unusable") {
			return errors.New("no key in the set can be used")
		}
		return nil
	}}, m)
}

// want loads a manifest with the given outcome.
func (w *world) want(made, changed, unchanged int, text string) {
	w.Helper()
	got, err := w.load(text)
	w.ok(err)
	if want := (seed.Result{Made: made, Changed: changed, Unchanged: unchanged}); got != want {
		w.Fatalf("got %+v, want %+v", got, want)
	}
}

// events counts what the audit of a tenant holds.
func (w *world) events(tenant string) int {
	w.Helper()
	p, err := w.dir.Events(w.Context(), directory.System(tenant, "test"), directory.EventFilter{}, directory.Page{Limit: directory.MaxPage})
	w.ok(err)
	return len(p.Items)
}

func (w *world) application(name string) directory.Application {
	w.Helper()
	p, err := w.dir.Applications(w.Context(), w.system, directory.Filter{DisplayName: &name}, directory.Page{})
	w.ok(err)
	if len(p.Items) != 1 {
		w.Fatalf("%d applications %q", len(p.Items), name)
	}
	return p.Items[0]
}

func (w *world) credentials(name string) (list []string) {
	w.Helper()
	p, err := w.dir.Credentials(w.Context(), w.system, directory.Parent{Application: &directory.Ref{ID: w.application(name).ID}}, directory.Page{})
	w.ok(err)
	for _, c := range p.Items {
		list = append(list, fmt.Sprintf("%s %s %s %s %s", c.Name, c.Issuer, c.Subject, c.Audience(), c.Description))
	}
	return list
}

// example is the guide's.
func example(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/guides/seed.md")
	if err != nil {
		t.Fatal(err)
	}
	_, yaml, _ := strings.Cut(string(text), "```yaml\n")
	yaml, _, _ = strings.Cut(yaml, "```")
	return yaml
}

// The guide's example loads literally, and a second time changes nothing.
func TestGuide(t *testing.T) {
	text := example(t)
	testkit.Engines(t, func(t *testing.T, d *db.DB) {
		m, err := manifest.Read("seed.yaml", []byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		n := m.Default
		w := newWorld(t, d, directory.NewTenant{ID: n.ID, DisplayName: n.DisplayName, Domain: n.Domain, SubscriptionID: n.SubscriptionID})
		w.want(21, 1, 1, text)
		other := m.Tenants[0].ID
		before, beforeOther := w.events(n.ID), w.events(other)
		w.want(0, 0, 23, text)
		if after := w.events(n.ID); after != before {
			t.Errorf("the second time made %d audit events", after-before)
		}
		if after := w.events(other); after != beforeOther {
			t.Errorf("the second time made %d audit events in the other tenant", after-beforeOther)
		}

		api := w.application("pets-api")
		if api.UniqueName != "pets-api" || api.TokenVersion != 2 || len(api.AppRoles) != 2 || api.AppRoles[1].ID != "5c0d7e2b-94a1-4f36-8d5b-2a6e8f1c3b70" {
			t.Errorf("%+v", api)
		}
		ref := directory.IdentityRef{SubscriptionID: n.SubscriptionID, Group: "PETS", Name: "CAT"}
		cat, err := w.dir.Identity(t.Context(), w.system, ref)
		w.ok(err)
		grants, err := w.dir.Grants(t.Context(), w.system, directory.Ref{ID: cat.PrincipalID})
		w.ok(err)
		if len(grants) != 1 || grants[0].ResourceName != "pets-api" || grants[0].AppRoleID != api.AppRoles[1].ID {
			t.Errorf("%+v", grants)
		}
		assigned, err := w.dir.RoleAssignments(t.Context(), w.system, "/", directory.AssignmentFilter{PrincipalID: cat.PrincipalID})
		w.ok(err)
		if len(assigned) != 1 || assigned[0].Scope != "/subscriptions/"+n.SubscriptionID+"/resourceGroups/pets" {
			t.Errorf("%+v", assigned)
		}
		match, err := w.dir.MatchCredential(t.Context(), n.ID, cat.ClientID, credential.Assertion{
			Issuer: "https://kubernetes.default.svc.cluster.local", Subject: "system:serviceaccount:pets:workload-identity-sa", Audiences: []string{credential.DefaultAudience},
		})
		w.ok(err)
		if match.Miss != "" || match.Issuer.Name != "lab" || match.Issuer.KeySource != directory.UploadedKeys {
			t.Errorf("%+v", match)
		}
	})
}

// What the file states anew is changed; what it does not name is left alone.
func TestChanges(t *testing.T) {
	each(t, func(w *world) {
		w.want(8, 1, 0, `
policy: {maxFederatedIdentityCredentials: 21, registeredIssuersOnly: true}
issuers: [{name: prod, issuer: https://prod.example/, jwksUri: https://prod.example/keys, algorithms: [ES256]}]
resourceGroups: [{name: pets, tags: {env: dev}}]
applications:
  - displayName: api
    description: old
    notes: kept
    identifierUris: [api://one, api://two]
    tags: [kept]
    appRoles: [{value: Kept}, {value: Read, description: old}]
  - displayName: worker
    federatedCredentials: [{name: kept, issuer: prod, subject: kept}, {name: changed, issuer: prod, subject: old, description: kept}]
`)
		worker := w.application("worker")
		text := `
policy: {maxFederatedIdentityCredentials: 22}
issuers: [{name: prod, issuer: https://prod.example/, allowMultipleAudiences: true}]
resourceGroups: [{name: PETS, tags: {env: prod}}]
applications:
  - displayName: API
    uniqueName: api
    description: new
    identifierUris: [api://two]
    appRoles: [{value: Read, description: new, isEnabled: false}, {value: Write}]
    servicePrincipal: {accountEnabled: false, appRoleAssignmentRequired: true, tags: [new]}
  - displayName: worker
    federatedCredentials: [{name: changed, issuer: prod, subject: new, audiences: [api://new]}]
managedIdentities:
  - {name: cat, resourceGroup: pets, location: here, tags: {a: b}}
  - {name: dog, resourceGroup: pets}
`
		w.want(2, 6, 2, text)
		w.want(0, 0, 10, text)
		api := w.application("api")
		got := []any{api.DisplayName, api.UniqueName, api.Description, api.Notes, api.IdentifierURIs, api.Tags}
		if diff := cmp.Diff([]any{"API", "api", "new", "kept", []string{"api://two"}, []string{"kept"}}, got); diff != "" {
			w.Error(diff)
		}
		var roles []string
		for _, r := range api.AppRoles {
			roles = append(roles, fmt.Sprint(r.Value, " ", r.Description, " ", r.Enabled))
		}
		if diff := cmp.Diff([]string{"Kept Kept true", "Read new false", "Write Write true"}, roles); diff != "" {
			w.Error(diff)
		}
		sp, err := w.dir.ServicePrincipal(w.Context(), w.system, directory.Ref{AppID: api.AppID})
		w.ok(err)
		if sp.Enabled || !sp.AssignmentRequired || len(sp.Tags) != 1 {
			w.Errorf("%+v", sp)
		}
		if w.application("worker").AppID != worker.AppID {
			w.Error("the worker is another application")
		}
		if diff := cmp.Diff([]string{
			"changed https://prod.example/ new api://new kept", "kept https://prod.example/ kept api://AzureADTokenExchange ",
		}, w.credentials("worker")); diff != "" {
			w.Error(diff)
		}
		if policy, err := w.dir.Policy(w.Context(), w.system); err != nil || policy != (directory.Policy{MaxCredentials: 22, RegisteredIssuersOnly: true}) {
			w.Errorf("the policy is %+v (%v)", policy, err)
		}
		prod, err := w.dir.Issuer(w.Context(), w.system, "prod")
		w.ok(err)
		if prod.JWKSURI != "https://prod.example/keys" || !prod.ManyAudiences || len(prod.Algorithms) != 1 {
			w.Errorf("%+v", prod)
		}
		for name, location := range map[string]string{"cat": "here", "dog": "local"} {
			m, err := w.dir.Identity(w.Context(), w.system, directory.IdentityRef{SubscriptionID: w.sub, Group: "pets", Name: name})
			w.ok(err)
			if m.Location != location {
				w.Errorf("%s is in %q", name, m.Location)
			}
		}
		w.want(0, 3, 0, `
issuers: [{name: prod, issuer: https://prod.example/, keySource: Discovery, algorithms: []}]
applications: [{displayName: api, servicePrincipal: {accountEnabled: true}}]
`)
	})
}

// A credential that is named otherwise in the file is found by its issuer and
// subject, and those that exchange theirs are written in an order that works.
func TestCredentialsAreFound(t *testing.T) {
	of := func(credentials ...string) string {
		text := "applications:\n  - displayName: worker\n    federatedCredentials:\n"
		for _, c := range credentials {
			name, subject, _ := strings.Cut(c, " ")
			text += fmt.Sprintf("      - {name: %s, issuer: https://prod.example/, subject: %s}\n", name, subject)
		}
		return text
	}
	for _, c := range []struct {
		name                     string
		have, stated, want       []string
		made, changed, unchanged int // of credentials
		problem                  string
	}{
		{name: "renamed in the file", have: []string{"old one"}, stated: []string{"new one"}, want: []string{"old one"}, unchanged: 1},
		{name: "the name comes before issuer and subject", have: []string{"a one", "b two"}, stated: []string{"a three", "b two"}, want: []string{"a three", "b two"}, changed: 1, unchanged: 1},
		{name: "a chain", have: []string{"a one", "b two"}, stated: []string{"a two", "b three"}, want: []string{"a two", "b three"}, changed: 2},
		{name: "a new one takes what another leaves", have: []string{"a one"}, stated: []string{"b one", "a two"}, want: []string{"a two", "b one"}, made: 1, changed: 1},
		{name: "an exchange", have: []string{"a one", "b two"}, stated: []string{"a two", "b one"}, want: []string{"a one", "b two"},
			problem: `seed.yaml:4: applications[0].federatedCredentials[0].subject: the credential "b" of "worker" has this issuer and subject: remove it, or give this one its name
seed.yaml:5: applications[0].federatedCredentials[1].subject: the credential "a" of "worker" has this issuer and subject: remove it, or give this one its name`},
		{name: "held by one that the file does not name", have: []string{"a one", "b two"}, stated: []string{"a two"}, want: []string{"a one", "b two"},
			problem: `seed.yaml:4: applications[0].federatedCredentials[0].subject: the credential "b" of "worker" has this issuer and subject: remove it, or give this one its name`},
		{name: "in another case", have: []string{"a one"}, stated: []string{"A two"}, want: []string{"A two", "a one"}, made: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := sqlite(t)
			w.want(2+len(c.have), 0, 0, of(c.have...))
			got, err := w.load(of(c.stated...))
			if c.problem != "" {
				if err == nil || err.Error() != c.problem {
					t.Errorf("got\n%v\nwant\n%s", err, c.problem)
				}
			} else if want := (seed.Result{Made: c.made, Changed: c.changed, Unchanged: 2 + c.unchanged}); err != nil || got != want {
				t.Errorf("got %+v (%v), want %+v", got, err, want)
			}
			var have []string
			for _, text := range w.credentials("worker") {
				f := strings.Fields(text)
				have = append(have, f[0]+" "+f[2])
			}
			if diff := cmp.Diff(c.want, have); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What people made by other ways is taken over, and not made again.
func TestTakesOver(t *testing.T) {
	w := sqlite(t)
	ctx := t.Context()
	app, err := w.dir.CreateApplication(ctx, w.system, directory.Application{DisplayName: "Worker"})
	w.ok(err)
	parent := directory.Parent{Application: &directory.Ref{ID: app.ID}}
	for issuer, name := range map[string]string{"https://named.example/": "hand-made", "https://auto.example/": ""} {
		_, err = w.dir.AddCredential(ctx, w.system, parent, credential.Spec{Name: "c" + name, Issuer: issuer, Subject: "s", Audiences: []string{credential.DefaultAudience}})
		w.ok(err)
		if name != "" {
			_, _, err = w.dir.PutIssuer(ctx, w.system, directory.Issuer{Name: name, URL: issuer, Algorithms: []string{"ES256"}})
			w.ok(err)
		}
	}
	text := `
issuers: [{name: named, issuer: https://named.example/}, {name: auto, issuer: https://auto.example/}]
applications:
  - displayName: worker
    uniqueName: worker
    federatedCredentials: [{name: one, issuer: named, subject: s}, {name: two, issuer: auto, subject: s}]
`
	var log strings.Builder
	w.log = slog.New(slog.NewTextHandler(&log, nil))
	w.want(2, 1, 3, text) // the implicit issuer's name and the service principal; the application's names
	w.want(0, 0, 6, text)
	if got := w.application("worker"); got.ID != app.ID || got.UniqueName != "worker" || got.DisplayName != "worker" {
		t.Errorf("%+v", got)
	}
	if issuers, err := w.dir.Issuers(ctx, w.system, directory.Page{}); err != nil || len(issuers.Items) != 2 || issuers.Items[0].Name != "auto" || issuers.Items[1].Name != "hand-made" || issuers.Items[1].Algorithms[0] != "ES256" {
		t.Errorf("%+v (%v)", issuers, err)
	}
	for _, line := range []string{"an issuer keeps the name that it has", "a credential keeps the name that it has", "seed: made"} {
		if !strings.Contains(log.String(), line) {
			t.Errorf("the log does not say %q:\n%s", line, log.String())
		}
	}
}

// A client id tells applications of one name apart, and is of one that is there.
func TestClientID(t *testing.T) {
	w := sqlite(t)
	ctx := t.Context()
	var ids []string
	for range 2 {
		a, err := w.dir.CreateApplication(ctx, w.system, directory.Application{DisplayName: "twin"})
		w.ok(err)
		ids = append(ids, a.AppID)
	}
	text := "applications:\n  - {displayName: Twin, clientId: " + strings.ToUpper(ids[0]) + ", description: first}\n  - {displayName: twin, clientId: " + ids[1] + ", uniqueName: second}\n"
	w.want(2, 2, 0, text)
	w.want(0, 0, 4, text)
	for i, want := range []directory.Application{{DisplayName: "Twin", Description: "first"}, {DisplayName: "twin", UniqueName: "second"}} {
		got, err := w.dir.Application(ctx, w.system, directory.Ref{AppID: ids[i]})
		if w.ok(err); got.DisplayName != want.DisplayName || got.Description != want.Description || got.UniqueName != want.UniqueName {
			t.Errorf("%+v", got)
		}
	}
	const nobody = "9f2c6a5e-3b1d-4c8f-8a70-5d1e2b3c4d5e"
	_, err := w.load(`
applications:
  - {displayName: new, clientId: ` + nobody + `}
  - {displayName: twin, clientId: ` + ids[1] + `, uniqueName: third}
tenants:
  - domain: new.example
    administrator: {issuer: https://ops.example/, subject: ops}
    applications: [{displayName: new, clientId: ` + nobody + `}]
`)
	want := strings.TrimPrefix(`
seed.yaml:3: applications[0].clientId: no application has it: leave it out to make a new one, which gets its own
seed.yaml:4: applications[1].uniqueName: is "second" of the application that has the clientId, and cannot be changed
seed.yaml:8: tenants[0].applications[0].clientId: no application has it: leave it out to make a new one, which gets its own`, "\n")
	if got := fmt.Sprint(err); got != want {
		t.Error(cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")))
	}
}

// All that stands in the way is told at once, and nothing is written then.
func TestProblems(t *testing.T) {
	w := sqlite(t)
	ctx := t.Context()
	w.want(10, 0, 0, `
issuers: [{name: prod, issuer: https://prod.example/}]
resourceGroups: [{name: pets, location: here}]
applications:
  - {displayName: api, uniqueName: api, identifierUris: [api://taken], appRoles: [{value: Read, id: 5c0d7e2b-94a1-4f36-8d5b-2a6e8f1c3b70}, {value: Off, isEnabled: false}]}
  - {displayName: gone, uniqueName: gone, identifierUris: [api://gone]}
  - {displayName: lone}
managedIdentities: [{name: cat, resourceGroup: pets}]
tenants: [{id: d1c5c2a0-8f5e-4a58-9a5e-0c6f3c1d7b52, domain: other.example, administrator: {issuer: https://ops.example/, subject: ops}}]
`)
	w.ok(w.dir.DeleteApplication(ctx, w.system, directory.Ref{UniqueName: "gone"}))
	for range 2 {
		_, err := w.dir.CreateApplication(ctx, w.system, directory.Application{DisplayName: "twin"})
		w.ok(err)
	}
	twins, err := w.dir.Applications(ctx, w.system, directory.Filter{DisplayName: new("twin")}, directory.Page{})
	w.ok(err)
	api := w.application("api")
	before := w.events(w.system.TenantID)
	_, err = w.load(`
tenant: {id: 9f2c6a5e-3b1d-4c8f-8a70-5d1e2b3c4d5e, displayName: Mine, subscriptionId: 1b7e5f3a-6c2d-4e90-b1a4-7f8d9c0e2a35}
policy: {maxFederatedIdentityCredentials: 1}
issuers:
  - {name: prod, issuer: https://other.example/}
  - {name: keys, issuer: https://keys.example/, keySet: {keys: [{kid: unusable}]}}
resourceGroups:
  - {name: pets, location: elsewhere}
applications:
  - displayName: TWIN
  - {displayName: one, uniqueName: gone}
  - {displayName: two, identifierUris: [api://taken, api://gone, "api://` + api.AppID + `"]}
  - {displayName: lone, uniqueName: u1}
  - {displayName: Lone, uniqueName: u2}
  - displayName: worker
    federatedCredentials:
      - {name: a, issuer: https://prod.example/, subject: a}
      - {name: b, issuer: https://prod.example/, subject: b}
      - {name: c, issuer: https://prod.example/, subject: c}
    appRoleAssignments:
      - {resource: nowhere, role: Read}
      - {resource: api, role: Write}
      - {resource: api, role: "Off"}
      - {resource: api}
      - {resource: api, role: Read}
      - {resource: api://taken, role: 5c0d7e2b-94a1-4f36-8d5b-2a6e8f1c3b70}
      - {resource: ` + twins.Items[0].AppID + `, role: Read}
      - {resource: worker, role: Read}
    roleAssignments:
      - {role: Reader, resourceGroup: nowhere}
      - {role: Boss, scope: /}
      - {role: Reader, scope: /subscriptions/00000000-0000-0000-0000-000000000001}
      - {role: Reader, scope: subscription}
      - {role: acdd72a7-3385-48ef-bd42-f606fba81ae7, scope: subscription}
managedIdentities:
  - {name: cat, resourceGroup: pets, location: elsewhere}
  - {name: cat, resourceGroup: nowhere}
tenants:
  - {domain: new.example}
  - {id: d1c5c2a0-8f5e-4a58-9a5e-0c6f3c1d7b52, displayName: New}
  - {id: d1c5c2a0-8f5e-4a58-9a5e-0c6f3c1d7b53, domain: other.example}
  - id: d1c5c2a0-8f5e-4a58-9a5e-0c6f3c1d7b54
    subscriptionId: ` + w.sub + `
    administrator: {issuer: https://ops.example/, subject: ops}
  - id: d1c5c2a0-8f5e-4a58-9a5e-0c6f3c1d7b55
    administrator: {issuer: https://ops.example/, subject: ops}
    applications:
      - {displayName: api, appRoleAssignments: [{resource: twin}, {resource: Microsoft Graph, role: Nothing}]}
`)
	ids := map[string]string{api.AppID: "API", w.application("lone").AppID: "LONE", w.system.TenantID: "TENANT"}
	for i, a := range twins.Items {
		ids[a.AppID] = fmt.Sprint("TWIN", i+1)
	}
	deleted, failed := w.dir.DeletedApplications(ctx, w.system, directory.Filter{}, directory.Page{})
	w.ok(failed)
	ids[deleted.Items[0].AppID] = "GONE"
	got := fmt.Sprint(err)
	for id, name := range ids {
		got = strings.ReplaceAll(got, id, name)
	}
	want := strings.TrimPrefix(`
seed.yaml:2: tenant.displayName: is "Entente" of the tenant that is there, and cannot be changed
seed.yaml:2: tenant.id: is "TENANT" of the tenant that is there, and cannot be changed
seed.yaml:2: tenant.subscriptionId: is no subscription of the tenant TENANT
seed.yaml:5: issuers[0].name: "prod" is the name of the issuer https://prod.example/
seed.yaml:6: issuers[1].keySet: no key in the set can be used
seed.yaml:8: resourceGroups[0].location: is "here", and cannot be changed
seed.yaml:10: applications[0].displayName: "TWIN" is the name of several applications: give the uniqueName or clientId of the one that is meant (their client ids: TWIN1, TWIN2)
seed.yaml:11: applications[1].uniqueName: "gone" is that of the application "gone" (deleted and not yet purged), GONE
seed.yaml:12: applications[2].identifierUris: "api://taken" is that of the application "api", API
seed.yaml:12: applications[2].identifierUris: "api://gone" is that of the application "gone" (deleted and not yet purged), GONE
seed.yaml:12: applications[2].identifierUris: "api://API" holds the client id of another application
seed.yaml:14: applications[4]: means the application "lone" (LONE), as line 13 does: give that application the uniqueName of one of them
seed.yaml:18: applications[5].federatedCredentials[1]: is one more than the 1 that "worker" may have: raise policy.maxFederatedIdentityCredentials
seed.yaml:21: applications[5].appRoleAssignments[0].resource: "nowhere" is no application with a service principal, here or in this file
seed.yaml:22: applications[5].appRoleAssignments[1].role: "Write" is no app role of "api", which has Read, Off
seed.yaml:23: applications[5].appRoleAssignments[2].role: "Off" of "api" is disabled, or not for applications
seed.yaml:24: applications[5].appRoleAssignments[3].role: is missing: "api" has Read, Off
seed.yaml:26: applications[5].appRoleAssignments[5].role: "5c0d7e2b-94a1-4f36-8d5b-2a6e8f1c3b70" is no app role of "two", which has none
seed.yaml:27: applications[5].appRoleAssignments[6].resource: "TWIN1" is no application with a service principal, here or in this file
seed.yaml:28: applications[5].appRoleAssignments[7].role: "Read" is no app role of "worker", which has none
seed.yaml:30: applications[5].roleAssignments[0].resourceGroup: "nowhere" is not there, and not in this file
seed.yaml:31: applications[5].roleAssignments[1].role: "Boss" is no role that this service knows
seed.yaml:32: applications[5].roleAssignments[2].scope: "/subscriptions/00000000-0000-0000-0000-000000000001" is in no subscription of the tenant's
seed.yaml:34: applications[5].roleAssignments[4]: is what line 33 says already
seed.yaml:36: managedIdentities[0].location: is "here", and cannot be changed
seed.yaml:37: managedIdentities[1].resourceGroup: "nowhere" is not there, and not in this file
seed.yaml:39: tenants[0].administrator: is missing: the tenant is to be made, and without a federated administrator nobody could administer it
seed.yaml:40: tenants[1].displayName: is "Entente" of the tenant that is there, and cannot be changed
seed.yaml:41: tenants[2].domain: "other.example" is the domain of the tenant d1c5c2a0-8f5e-4a58-9a5e-0c6f3c1d7b52
seed.yaml:43: tenants[3].subscriptionId: is a subscription of the tenant TENANT
seed.yaml:48: tenants[4].applications[0].appRoleAssignments[0].resource: "twin" is not in this file
seed.yaml:48: tenants[4].applications[0].appRoleAssignments[1].role: "Nothing" is no app role of "Microsoft Graph", which has Application.Read.All, Application.ReadWrite.OwnedBy, Application.ReadWrite.All, Directory.Read.All, Directory.ReadWrite.All, AppRoleAssignment.ReadWrite.All`, "\n")
	if got != want {
		t.Error(cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")))
	}
	if _, ok := errors.AsType[*manifest.Problems](err); !ok {
		t.Errorf("%T", err)
	}
	if after := w.events(w.system.TenantID); after != before {
		t.Errorf("%d writes", after-before)
	}
}

// A load that is cut off says where, and the next one goes on from there.
func TestGoesOn(t *testing.T) {
	text := `
applications:
  - displayName: worker
    federatedCredentials: [{name: a, issuer: https://prod.example/, subject: a}]
`
	w := sqlite(t)
	m, err := manifest.Read("seed.yaml", []byte(text), nil)
	w.ok(err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	log := slog.New(slog.NewTextHandler(writer(func() { cancel() }), nil)) // which is told of the application first
	result, err := seed.Load(ctx, seed.Config{Directory: w.dir, Log: log}, m)
	if !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "seed.yaml:3: applications[0]: ") || result.Made != 1 {
		t.Errorf("%+v, %v", result, err)
	}
	w.want(2, 0, 1, text)
	w.want(0, 0, 3, text)
}

type writer func()

func (w writer) Write(p []byte) (int, error) {
	w()
	return len(p), nil
}

// Processes that start at once with one file on one database make each object once.
func TestLoadsAtOnce(t *testing.T) {
	dsn := testkit.PostgreSQLDSN(t)
	text := "applications: [{displayName: worker}, {displayName: api}]\n"
	var wg sync.WaitGroup
	results := make([]seed.Result, 4)
	for i := range results {
		w := newWorld(t, testkit.Open(t, dsn), directory.NewTenant{})
		wg.Go(func() {
			var err error
			if results[i], err = w.load(text); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	made := 0
	for _, r := range results {
		made += r.Made
	}
	if made != 4 {
		t.Errorf("made %d objects, want 4: %+v", made, results)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "seed.yaml")
	for name, text := range map[string]string{
		"seed.yaml": "issuers: [{name: lab, issuer: https://lab.example/, keySetFile: keys.json}]\n", "keys.json": `{"keys":[{"kty":"RSA"}]}`,
		"bad.yaml": "issuer: []\n", "huge.yaml": strings.Repeat("#", manifest.MaxSize+1),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := seed.Open(path)
	if err != nil || string(m.Issuers[0].KeySet) != `{"keys":[{"kty":"RSA"}]}` {
		t.Errorf("%+v (%v)", m, err)
	}
	for name, want := range map[string]string{
		"bad.yaml":  filepath.Join(dir, "bad.yaml") + ":1: issuer: there is no such field: did you mean issuers?",
		"huge.yaml": filepath.Join(dir, "huge.yaml") + ":1: is larger than 1048576 bytes: split it",
		"none.yaml": "open " + filepath.Join(dir, "none.yaml") + ": no such file or directory",
	} {
		if _, err := seed.Open(filepath.Join(dir, name)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}
