package directory_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
	"github.com/entente-id/entente/internal/testkit"
)

const (
	issuerURL  = "https://issuer.example/"
	serviceURL = "https://entente.example"
	location   = "westeurope"
)

var start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// world is a directory with its first tenant, on one engine.
type world struct {
	*testing.T
	dir   *directory.Directory
	db    *db.DB
	clock *testkit.Clock

	tenant       directory.Tenant
	subscription string
	founded      directory.Founded
	admin        directory.Caller
	system       directory.Caller
}

// each runs a test in a new world on each engine.
func each(t *testing.T, test func(w *world)) {
	t.Helper()
	testkit.Engines(t, func(t *testing.T, d *db.DB) { test(newWorld(t, d)) })
}

func newWorld(t *testing.T, d *db.DB) *world {
	t.Helper()
	w := &world{T: t, db: d, clock: testkit.NewClock(start)}
	w.dir = &directory.Directory{DB: d, Clock: w.clock.Now, IssuerURL: serviceURL}
	f, created, err := w.dir.Bootstrap(t.Context(), directory.NewTenant{DisplayName: "Example", Domain: "example.test"})
	if err != nil || !created {
		t.Fatalf("bootstrap: created %v, %v", created, err)
	}
	w.founded, w.tenant, w.subscription = f, f.Tenant, f.SubscriptionID
	w.admin = caller(f)
	w.system = directory.System(f.Tenant.ID, "test")
	return w
}

func caller(f directory.Founded) directory.Caller {
	return directory.Caller{Kind: directory.PrincipalCaller, TenantID: f.Tenant.ID, PrincipalID: f.AdministratorPrincipalID, AppID: f.AdministratorClientID}
}

func (w *world) ctx() context.Context { return w.Context() }

// ok fails the test on an error.
func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// with returns a world for a subtest.
func (w *world) with(t *testing.T) *world {
	inner := *w
	inner.T = t
	return &inner
}

// run runs a subtest in the same world.
func (w *world) run(name string, test func(w *world)) {
	w.Helper()
	w.Run(name, func(t *testing.T) { test(w.with(t)) })
}

// client is an application with a service principal, as a caller.
type client struct {
	directory.Caller
	app       directory.Application
	principal directory.ServicePrincipal
}

func (c client) ref() directory.Ref          { return directory.Ref{ID: c.app.ID} }
func (c client) parent() directory.Parent    { return parentApp(c.app) }
func (c client) principalRef() directory.Ref { return directory.Ref{ID: c.principal.ID} }

func parentApp(a directory.Application) directory.Parent {
	return directory.Parent{Application: &directory.Ref{ID: a.ID}}
}

func parentIdentity(m directory.Identity) directory.Parent {
	ref := m.IdentityRef
	return directory.Parent{Identity: &ref}
}

func (w *world) app(name string) directory.Application {
	w.Helper()
	a, err := w.dir.CreateApplication(w.ctx(), w.system, directory.Application{DisplayName: name})
	w.ok(err)
	return a
}

// client makes an application with a service principal that has permissions of Microsoft Graph.
func (w *world) client(name string, permissions ...string) client {
	w.Helper()
	c := client{app: w.app(name)}
	var err error
	c.principal, err = w.dir.CreateServicePrincipal(w.ctx(), w.system, directory.NewPrincipal{AppID: c.app.AppID})
	w.ok(err)
	c.Caller = directory.Caller{Kind: directory.PrincipalCaller, TenantID: w.tenant.ID, PrincipalID: c.principal.ID, AppID: c.app.AppID}
	for _, p := range permissions {
		w.grant(c.principal.ID, p)
	}
	return c
}

func (w *world) graph() directory.ServicePrincipal {
	w.Helper()
	p, err := w.dir.ServicePrincipal(w.ctx(), w.system, directory.Ref{AppID: roles.GraphAppID})
	w.ok(err)
	return p
}

func permissionID(value string) string {
	for _, r := range roles.GraphAppRoles() {
		if r.Value == value {
			return r.ID
		}
	}
	panic("no permission " + value)
}

func (w *world) grant(principalID, permission string) directory.Grant {
	w.Helper()
	g, err := w.dir.AddGrant(w.ctx(), w.system, directory.Grant{PrincipalID: principalID, ResourceID: w.graph().ID, AppRoleID: permissionID(permission)})
	w.ok(err)
	return g
}

func (w *world) assign(principalID, definition, scope string) directory.RoleAssignment {
	w.Helper()
	a, err := w.dir.AddRoleAssignment(w.ctx(), w.system, directory.RoleAssignment{Name: uuid.NewString(), Scope: scope, DefinitionID: definition, PrincipalID: principalID})
	w.ok(err)
	return a
}

// holder makes a client with a role on a scope.
func (w *world) holder(name, definition, scope string) client {
	w.Helper()
	c := w.client(name)
	w.assign(c.PrincipalID, definition, scope)
	return c
}

func (w *world) group(name string) directory.Group {
	w.Helper()
	g, _, err := w.dir.PutGroup(w.ctx(), w.system, directory.Group{SubscriptionID: w.subscription, Name: name, Location: location})
	w.ok(err)
	return g
}

func (w *world) identity(group, name string) directory.Identity {
	w.Helper()
	m, _, err := w.dir.PutIdentity(w.ctx(), w.system, w.newIdentity(group, name))
	w.ok(err)
	return m
}

func (w *world) newIdentity(group, name string) directory.Identity {
	return directory.Identity{IdentityRef: directory.IdentityRef{SubscriptionID: w.subscription, Group: group, Name: name}, Location: location}
}

func (w *world) clusterRef(group, name string) directory.ClusterRef {
	return directory.ClusterRef{SubscriptionID: w.subscription, Group: group, Name: name}
}

// clusterSpec is a valid cluster, with an issuer unless that is nil.
func (w *world) clusterSpec(group, name string, issuer *directory.ClusterIssuerSpec) directory.ClusterSpec {
	return directory.ClusterSpec{ClusterRef: w.clusterRef(group, name), Location: location, Issuer: issuer}
}

func (w *world) cluster(group, name string, issuer *directory.ClusterIssuerSpec) directory.Cluster {
	w.Helper()
	c, _, err := w.dir.PutCluster(w.ctx(), w.system, w.clusterSpec(group, name, issuer))
	w.ok(err)
	return c
}

// spec is a valid credential of that name, which is its subject too.
func spec(name string) credential.Spec {
	return credential.Spec{Name: name, Issuer: issuerURL, Subject: "system:serviceaccount:default:" + name, Audiences: []string{credential.DefaultAudience}}
}

func (w *world) credential(p directory.Parent, name string) directory.Credential {
	w.Helper()
	c, err := w.dir.AddCredential(w.ctx(), w.system, p, spec(name))
	w.ok(err)
	return c
}

func assertion(s credential.Spec) credential.Assertion {
	return credential.Assertion{Issuer: s.Issuer, Subject: s.Subject, Audiences: s.Audiences}
}

// match judges the assertion that a credential trusts.
func (w *world) match(clientID string, s credential.Spec) directory.Match {
	w.Helper()
	m, err := w.dir.MatchCredential(w.ctx(), w.tenant.ID, clientID, assertion(s))
	w.ok(err)
	return m
}

// otherTenant makes one more tenant and returns its administrator and subscription.
func (w *world) otherTenant() (directory.Founded, directory.Caller) {
	w.Helper()
	f, err := w.dir.CreateTenant(w.ctx(), w.admin, directory.NewTenant{DisplayName: "Other"})
	w.ok(err)
	return f, caller(f)
}

// rows counts the rows of a table that meet a condition.
func (w *world) rows(table, condition string, args ...any) int {
	w.Helper()
	var n int
	w.ok(w.db.Read().QueryRowContext(w.ctx(), `SELECT count(*) FROM `+table+` WHERE `+condition, args...).Scan(&n))
	return n
}

func (w *world) events() int { w.Helper(); return w.rows("audit_events", "1 = 1") }

// kind fails the test unless err is an error of the domain of that kind, and returns it.
func (w *world) kind(err error, kind directory.Kind) *directory.Error {
	w.Helper()
	e, ok := errors.AsType[*directory.Error](err)
	if !ok || e.Kind != kind {
		w.Fatalf("got %v (%T), want the kind %s", err, err, kind)
	}
	return e
}

// kindOf names the kind of an error, for tables.
func kindOf(err error) string {
	if err == nil {
		return "ok"
	}
	if e, ok := errors.AsType[*directory.Error](err); ok {
		return string(e.Kind)
	}
	return fmt.Sprintf("%T: %v", err, err)
}

func ptr[T any](v T) *T { return &v }

// limit sets how many credentials a parent may hold.
func (w *world) limit(n int) {
	w.Helper()
	_, err := w.dir.SetPolicy(w.ctx(), w.admin, directory.PolicyEdit{MaxCredentials: &n})
	w.ok(err)
}

func names[T any](items []T, name func(T) string) string {
	list := make([]string, len(items))
	for i, item := range items {
		list[i] = name(item)
	}
	return strings.Join(list, " ")
}
