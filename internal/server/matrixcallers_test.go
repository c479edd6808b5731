package server

import (
	"cmp"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/keys"
	"github.com/entente-id/entente/internal/localissuer"
	"github.com/entente-id/entente/internal/roles"
)

// matrix is a service with things in it, and everybody who asks for them.
type matrix struct {
	*service
	system     directory.Caller
	vars       vars // what is there
	nothing    vars // the same names for what is nowhere
	askers     []*asker
	pod        string   // a token of a pod
	canaries   []string // texts that only the readers of what is there may see
	foreignIDs []string // by which rows of the other tenant are known

	tables []string
	kept   []table
	watch  *sql.DB // one connection, on which version is asked
	seen   string  // the version when the database was last as it was kept
}

// vars are values by the names that stand for them in paths and bodies.
type vars map[string]string

func (v vars) in(text string) string {
	for name, value := range v {
		text = strings.ReplaceAll(text, name, value)
	}
	return text
}

// named puts the names back for their values.
func (v vars) named(text string) string {
	longestFirst := func(a, b string) int { return cmp.Or(cmp.Compare(len(v[b]), len(v[a])), cmp.Compare(a, b)) }
	for _, name := range slices.SortedFunc(maps.Keys(v), longestFirst) {
		text = strings.ReplaceAll(text, v[name], name)
	}
	return text
}

// with is v with some names for something else.
func (v vars) with(other vars) vars {
	all := maps.Clone(v)
	maps.Copy(all, other)
	return all
}

// asker is somebody who asks, and what Azure would say that it holds.
type asker struct {
	name    string
	token   string
	unknown bool // the service must not take the token
	foreign bool // administers another tenant

	id, appID string
	roles     []held
	graph     []string // permissions of Microsoft Graph
	owns      []string // names in vars
}

// held is a role on a scope, with names of vars.
type held struct{ role, scope string }

const (
	theSubscription = "/subscriptions/{subscription}"
	theGroup        = theSubscription + "/resourceGroups/{group}"
	theOtherGroup   = theSubscription + "/resourceGroups/{other}"
	theIdentity     = theGroup + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{identity}"
	theCluster      = theGroup + "/providers/Microsoft.ContainerService/managedClusters/{cluster}"
)

// known are the callers of the tenant. Each has its rights alone, so that no
// other right hides a hole.
func known() []*asker {
	return []*asker{
		{name: "nothing"},
		// What the wires' own administrators, readers and owners hold.
		{name: "reader", roles: []held{{"Reader", theSubscription}}, graph: []string{"Application.Read.All"}},
		{name: "owner of another", roles: []held{{"Contributor", theOtherGroup}}, graph: []string{"Application.ReadWrite.OwnedBy"}, owns: []string{"{otherApplication}", "{otherPrincipal}"}},
		{name: "owner", roles: []held{{"Contributor", theGroup}}, graph: []string{"Application.ReadWrite.OwnedBy"}, owns: []string{"{application}", "{principal}", "{bare}", "{deleted}", "{deletedPrincipal}"}},
		{name: "owner without the permission", owns: []string{"{application}", "{principal}", "{bare}", "{deleted}", "{deletedPrincipal}"}},
		{name: "on the resource", roles: []held{{"Contributor", theIdentity}}},
		{name: "reader of the resource", roles: []held{{"Reader", theIdentity}}},
		{name: "Owner of the group", roles: []held{{"Owner", theGroup}}},
		{name: "Owner of the subscription", roles: []held{{"Owner", theSubscription}}},
		{name: "Contributor of the subscription", roles: []held{{"Contributor", theSubscription}}},
		{name: "Owner of everything", roles: []held{{"Owner", "/"}}},
		// Where Azure's roles differ.
		{name: "Managed Identity Contributor", roles: []held{{"Managed Identity Contributor", theGroup}}},
		{name: "Managed Identity Operator", roles: []held{{"Managed Identity Operator", theGroup}}},
		{name: "User Access Administrator", roles: []held{{"User Access Administrator", theGroup}}},
		{name: "Role Based Access Control Administrator", roles: []held{{"Role Based Access Control Administrator", theGroup}}},
		{name: "Credential Contributor", roles: []held{{"Managed Identity Federated Identity Credential Contributor", theGroup}}},
		{name: "Key Vault Secrets User", roles: []held{{"Key Vault Secrets User", theGroup}}},
		{name: "AKS cluster user", roles: []held{{"Azure Kubernetes Service Cluster User Role", theGroup}}},
		{name: "AKS contributor", roles: []held{{"Azure Kubernetes Service Contributor Role", theGroup}}},
		// Rights of this server's own.
		{name: "Federation Reader", roles: []held{{"Federation Reader", "/"}}},
		{name: "Federation Administrator", roles: []held{{"Federation Administrator", "/"}}},
		{name: "administrator of one issuer", roles: []held{{"Federation Administrator", "/providers/Entente.Federation/issuers/{issuer}"}}},
		{name: "keeper of a cluster", roles: []held{{"Contributor", theCluster}, {"Federation Administrator", "/providers/Entente.Federation/issuers/{cluster}"}}},
		{name: "agent of a cluster", roles: []held{{"Cluster Reporter", theCluster}}},
		// Microsoft Graph's permissions.
		{name: "owner of nothing", graph: []string{"Application.ReadWrite.OwnedBy"}},
		{name: "writer", graph: []string{"Application.ReadWrite.All"}},
		{name: "directory reader", graph: []string{"Directory.Read.All"}},
		{name: "directory writer", graph: []string{"Directory.ReadWrite.All"}},
		{name: "granter", graph: []string{"AppRoleAssignment.ReadWrite.All", "Application.Read.All"}},
		{name: "granter who cannot read", graph: []string{"AppRoleAssignment.ReadWrite.All"}},
	}
}

func newMatrix(t *testing.T, dsn string) *matrix {
	t.Helper()
	key := make([]byte, 32)
	rand.Read(key)
	file := filepath.Join(t.TempDir(), "key-encryption-key")
	if err := os.WriteFile(file, []byte(base64.StdEncoding.EncodeToString(key)), 0o600); err != nil {
		t.Fatal(err)
	}
	c := config(t.TempDir(), io.Discard)
	c.DB, c.KeyEncryptionKey, c.BootstrapAdmin = dsn, file, &Workload{Issuer: "https://admin.example/", Subject: "administrator"}
	c.SigningAlgorithm = keys.RS256 // of which verifying costs least
	opened, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(opened.Close)
	m := &matrix{service: &service{Service: opened, t: t}, system: directory.System(opened.defaultTenant, "test"), vars: vars{}}
	m.tables, m.watch = tables(t, m.db), must[*sql.DB](t)(sql.Open(map[db.Engine]string{db.SQLite: "sqlite", db.PostgreSQL: "pgx"}[m.db.Engine], dsn))
	m.watch.SetMaxOpenConns(1)
	t.Cleanup(func() { check(t, m.watch.Close()) })
	m.objects(t)
	m.callers(t)
	m.guard(t)
	m.nothing = vars{}
	for i, name := range slices.Sorted(maps.Keys(m.vars)) {
		if m.nothing[name] = fmt.Sprintf("nothing-%03d", i); uuid.Validate(m.vars[name]) == nil {
			m.nothing[name] = uuid.NewString()
		}
	}
	m.nothing["{keySet}"] = m.vars["{keySet}"]
	m.keep(t)
	return m
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		check(t, err)
		return v
	}
}

// callers makes everybody. Those whom the service must not know hold
// everything, so that nothing but that they are unknown can refuse them.
func (m *matrix) callers(t *testing.T) {
	t.Helper()
	admins := must[directory.Paged[directory.ServicePrincipal]](t)(m.directory.ServicePrincipals(t.Context(), m.system, directory.Filter{}, directory.Page{}))
	i := slices.IndexFunc(admins.Items, func(p directory.ServicePrincipal) bool { return p.DisplayName == "Entente administrator" })
	admin := &asker{name: "administrator", id: admins.Items[i].ID, appID: admins.Items[i].AppID,
		roles: []held{{"Owner", "/"}, {"Federation Administrator", "/"}},
		graph: []string{"Application.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "Directory.Read.All"}}
	admin.token = m.tokenOf(t, m.vars["{tenant}"], admin.appID, m.secretOf(t, admin.appID), m.URL())

	everything := asker{roles: admin.roles, graph: admin.graph}
	disabled, gone := everything, everything
	disabled.name, gone.name = "disabled principal", "deleted application"
	for _, a := range append(known(), &disabled, &gone) {
		m.principal(t, a)
		m.askers = append(m.askers, a)
	}
	off := false
	check(t, m.directory.UpdateServicePrincipal(t.Context(), m.system, directory.Ref{ID: disabled.id}, directory.PrincipalEdit{Enabled: &off}))
	check(t, m.directory.DeleteApplication(t.Context(), m.system, directory.Ref{AppID: gone.appID}))

	adminCaller := must[directory.Caller](t)(m.directory.CallerOf(t.Context(), m.vars["{tenant}"], admin.id))
	other := must[directory.Founded](t)(m.directory.CreateTenant(t.Context(), adminCaller, directory.NewTenant{DisplayName: "another tenant"}))
	if err := m.keys.EnsureTenant(t.Context(), other.Tenant.ID); err != nil {
		t.Fatal(err)
	}
	m.foreignIDs = []string{other.Tenant.ID}
	m.vars["{foreignTenant}"] = other.Tenant.ID
	foreign := &asker{name: "administrator of another tenant", foreign: true, id: other.AdministratorPrincipalID, appID: other.AdministratorClientID,
		token: m.tokenOf(t, other.Tenant.ID, other.AdministratorClientID, other.AdministratorSecret, m.URL())}

	hour := time.Now().Add(time.Hour).Unix()
	claims := func(tenant, principal string, expiry int64) map[string]any {
		return map[string]any{"aud": m.URL(), "tid": tenant, "oid": principal, "iat": expiry - 3600, "nbf": expiry - 3600, "exp": expiry}
	}
	m.askers = append(m.askers, admin, foreign,
		&asker{name: "nobody", unknown: true},
		&asker{name: "something that is no token", unknown: true, token: "x"},
		&asker{name: "token for another audience", unknown: true, token: m.tokenOf(t, m.vars["{tenant}"], admin.appID, m.secretOf(t, admin.appID), "https://vault.azure.net")},
		&asker{name: "token of a pod", unknown: true, token: m.pod},
		&asker{name: "token that has expired", unknown: true, token: m.sign(t, m.vars["{tenant}"], claims(m.vars["{tenant}"], admin.id, hour-3*3600))},
		&asker{name: "token of one tenant that speaks of another", unknown: true, token: m.sign(t, other.Tenant.ID, claims(m.vars["{tenant}"], admin.id, hour))},
		&asker{name: "token of this tenant for a principal of another", unknown: true, token: m.sign(t, m.vars["{tenant}"], claims(m.vars["{tenant}"], foreign.id, hour))},
		&asker{name: "token of a deleted identity", unknown: true, token: m.sign(t, m.vars["{tenant}"], claims(m.vars["{tenant}"], m.deletedIdentity(t), hour))},
	)
	disabled.unknown, gone.unknown = true, true
}

// sign makes a token that the token endpoint would not.
func (m *matrix) sign(t *testing.T, tenant string, claims map[string]any) string {
	t.Helper()
	return must[string](t)(m.keys.Sign(t.Context(), tenant, claims, false))
}

func (m *matrix) tokenOf(t *testing.T, tenant, clientID, secret, resource string) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {clientID}, "client_secret": {secret}, "scope": {resource + "/.default"}}
	w := m.ask("POST", "/"+tenant+"/oauth2/v2.0/token", strings.NewReader(form.Encode()), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
	_, token, found := strings.Cut(w.Body.String(), `"access_token":"`)
	if !found {
		t.Fatalf("token of %s for %s: %d %s", clientID, resource, w.Code, w.Body)
	}
	token, _, _ = strings.Cut(token, `"`)
	return token
}

func (m *matrix) secretOf(t *testing.T, appID string) string {
	t.Helper()
	_, text, err := m.directory.AddSecret(t.Context(), m.system, directory.Ref{AppID: appID}, directory.NewSecret{DisplayName: "canary-secret"})
	return must[string](t)(text, err)
}

// principal makes an application with a service principal and what it holds.
func (m *matrix) principal(t *testing.T, a *asker) {
	t.Helper()
	ctx := t.Context()
	app := must[directory.Application](t)(m.directory.CreateApplication(ctx, m.system, directory.Application{DisplayName: a.name}))
	p := must[directory.ServicePrincipal](t)(m.directory.CreateServicePrincipal(ctx, m.system, directory.NewPrincipal{AppID: app.AppID}))
	a.id, a.appID = p.ID, app.AppID
	for _, h := range a.roles {
		m.assign(t, uuid.NewString(), p.ID, h, "")
	}
	for _, permission := range a.graph {
		must[directory.Grant](t)(m.directory.AddGrant(ctx, m.system, directory.Grant{PrincipalID: p.ID, ResourceID: m.vars["{graph}"], AppRoleID: permissionID(t, permission)}))
	}
	for _, object := range a.owns {
		m.own(t, m.vars[object], p.ID)
	}
	a.token = m.tokenOf(t, m.vars["{tenant}"], app.AppID, m.secretOf(t, app.AppID), m.URL())
}

// assign gives a role of the table of Azure's, which the service must know by its id.
func (m *matrix) assign(t *testing.T, name, principalID string, h held, description string) {
	t.Helper()
	definition, ok := azure[h.role]
	if !ok {
		t.Fatalf("the table of Azure's roles has no %q", h.role)
	}
	must[directory.RoleAssignment](t)(m.directory.AddRoleAssignment(t.Context(), m.system, directory.RoleAssignment{
		Name: name, Scope: m.vars.in(h.scope), DefinitionID: definition.id, PrincipalID: principalID, Description: description}))
}

// own makes an owner by a row, because the wire makes owners of applications only.
func (m *matrix) own(t *testing.T, object, principal string) {
	t.Helper()
	m.write(t, `INSERT INTO owners (object_id, principal_id, tenant_id, created_at) VALUES ($1, $2, $3, 1) ON CONFLICT DO NOTHING`, object, principal, m.vars["{tenant}"])
}

func permissionID(t *testing.T, value string) string {
	t.Helper()
	i := slices.IndexFunc(roles.GraphAppRoles(), func(r roles.AppRole) bool { return r.Value == value })
	if i < 0 {
		t.Fatalf("no permission %q", value)
	}
	return roles.GraphAppRoles()[i].ID
}

// objects makes what is asked for. What of it no request names is a canary.
func (m *matrix) objects(t *testing.T) {
	t.Helper()
	ctx, d, system := t.Context(), m.directory, m.system
	subscriptions := must[[]directory.Subscription](t)(d.Subscriptions(ctx, system))
	graph := must[directory.ServicePrincipal](t)(d.ServicePrincipal(ctx, system, directory.Ref{AppID: roles.GraphAppID}))
	v := m.vars
	v["{tenant}"], v["{subscription}"], v["{graph}"] = m.defaultTenant, subscriptions[0].ID, graph.ID
	v["{group}"], v["{other}"], v["{fresh}"] = "matrix-group", "matrix-group2", "fresh-group" // one begins as another does
	v["{identity}"], v["{otherIdentity}"], v["{freshIdentity}"] = "matrix-identity", "other-identity", "matrix-identity2"
	v["{credential}"], v["{freshCredential}"] = "matrix-credential", "fresh-credential"
	v["{issuer}"], v["{freshIssuer}"] = "matrix-issuer", "fresh-issuer"
	v["{cluster}"], v["{freshCluster}"] = "matrix-cluster", "fresh-cluster"
	v["{freshTenant}"], v["{nowhere}"] = uuid.NewString(), uuid.NewString()
	m.canaries = []string{"canary-"}

	for _, name := range []string{"{group}", "{other}"} {
		_, _, err := d.PutGroup(ctx, system, directory.Group{SubscriptionID: v["{subscription}"], Name: v[name], Location: "local", Tags: map[string]string{"tag": "canary-of-" + v[name] + "."}})
		check(t, err)
	}
	for group, name := range map[string]string{"{group}": "{identity}", "{other}": "{otherIdentity}"} {
		ref := directory.IdentityRef{SubscriptionID: v["{subscription}"], Group: v[group], Name: v[name]}
		_, _, err := d.PutIdentity(ctx, system, directory.Identity{IdentityRef: ref, Location: "local", Tags: map[string]string{"tag": "canary-of-" + v[name] + "."}})
		check(t, err)
		_, err = d.AddCredential(ctx, system, directory.Parent{Identity: &ref}, m.trust(v["{credential}"]))
		check(t, err)
	}
	cluster, _, err := d.PutCluster(ctx, system, directory.ClusterSpec{ClusterRef: directory.ClusterRef{SubscriptionID: v["{subscription}"], Group: v["{group}"], Name: v["{cluster}"]},
		Location: "local", Tags: map[string]string{"tag": "canary-of-" + v["{cluster}"] + "."}, Issuer: &directory.ClusterIssuerSpec{Keys: directory.HostedKeys}})
	check(t, err)
	v["{clusterID}"] = cluster.ID
	_, err = d.ReportServiceAccounts(ctx, system, cluster.ClusterRef, []directory.ServiceAccount{{Namespace: "pets", Name: "canary-of-" + v["{cluster}"] + ".sa"}})
	check(t, err)
	pod := must[*localissuer.Issuer](t)(localissuer.New(localissuer.Config{URL: "https://cluster.example/"}))
	v["{keySet}"], m.pod = string(pod.JWKS()), must[string](t)(pod.Mint(localissuer.Token{Namespace: "ns", ServiceAccount: "sa", Audiences: []string{m.URL()}}))
	_, _, err = d.PutIssuer(ctx, system, directory.Issuer{Name: v["{issuer}"], URL: "https://canary-issuer.example/"})
	check(t, err)

	v["{application}"], v["{appId}"] = m.application(t, "canary-application", "matrix-unique")
	v["{uniqueName}"] = "matrix-unique"
	v["{principal}"] = must[directory.ServicePrincipal](t)(d.CreateServicePrincipal(ctx, system, directory.NewPrincipal{AppID: v["{appId}"]})).ID
	app := directory.Ref{ID: v["{application}"]}
	v["{graphCredential}"] = must[directory.Credential](t)(d.AddCredential(ctx, system, directory.Parent{Application: &app}, m.trust(v["{credential}"]))).ID
	v["{secret}"] = must[directory.Secret](t)(func() (directory.Secret, error) {
		s, _, err := d.AddSecret(ctx, system, app, directory.NewSecret{DisplayName: "canary-secret"})
		return s, err
	}()).ID
	v["{otherApplication}"], v["{otherAppId}"] = m.application(t, "canary-other-application", "other-unique")
	v["{otherPrincipal}"] = must[directory.ServicePrincipal](t)(d.CreateServicePrincipal(ctx, system, directory.NewPrincipal{AppID: v["{otherAppId}"]})).ID
	v["{bare}"], v["{bareAppId}"] = m.application(t, "canary-bare", "bare-unique")
	v["{freshUnique}"] = "fresh-unique"
	v["{deleted}"], _ = m.application(t, "canary-deleted", "deleted-unique")
	check(t, d.DeleteApplication(ctx, system, directory.Ref{ID: v["{deleted}"]}))
	v["{otherDeleted}"], _ = m.application(t, "canary-other-deleted", "other-deleted-unique")
	check(t, d.DeleteApplication(ctx, system, directory.Ref{ID: v["{otherDeleted}"]}))

	parent, parentAppID := m.application(t, "canary-parent", "parent-unique")
	v["{deletedPrincipal}"] = must[directory.ServicePrincipal](t)(d.CreateServicePrincipal(ctx, system, directory.NewPrincipal{AppID: parentAppID})).ID
	check(t, d.DeleteServicePrincipal(ctx, system, directory.Ref{ID: v["{deletedPrincipal}"]}))
	v["{parent}"] = parent
	v["{principalSecret}"] = must[directory.Secret](t)(func() (directory.Secret, error) {
		s, _, err := d.AddPrincipalSecret(ctx, system, directory.Ref{ID: v["{principal}"]}, directory.NewSecret{DisplayName: "canary-secret"})
		return s, err
	}()).ID

	bystander := &asker{name: "canary-bystander"}
	m.principal(t, bystander)
	v["{bystander}"] = bystander.id
	m.own(t, v["{application}"], bystander.id)
	m.own(t, v["{principal}"], bystander.id)
	v["{grant}"] = must[directory.Grant](t)(d.AddGrant(ctx, system, directory.Grant{PrincipalID: v["{principal}"], ResourceID: graph.ID, AppRoleID: permissionID(t, "Directory.Read.All")})).ID
	v["{readAll}"] = permissionID(t, "Application.Read.All")
	for name, scope := range map[string]string{"{onRoot}": "/", "{onSubscription}": theSubscription, "{assignment}": theGroup, "{onIdentity}": theIdentity, "{onCluster}": theCluster} {
		v[name] = uuid.NewString()
		m.assign(t, v[name], bystander.id, held{"Reader", scope}, "canary-assignment")
	}
	v["{freshAssignment}"], v["{onAuditor}"] = uuid.NewString(), uuid.NewString()
}

// guard gives a holder of this server's own rights a role on the group, which only administrators may take away.
func (m *matrix) guard(t *testing.T) {
	t.Helper()
	i := slices.IndexFunc(m.askers, func(a *asker) bool { return a.name == "Federation Reader" })
	m.assign(t, m.vars["{onAuditor}"], m.askers[i].id, held{"Key Vault Secrets User", theGroup}, "canary-assignment")
}

func (m *matrix) trust(name string) credential.Spec {
	return credential.Spec{Name: name, Issuer: "https://canary-trusted.example/", Subject: "system:serviceaccount:ns:canary-subject", Audiences: []string{credential.DefaultAudience}}
}

func (m *matrix) application(t *testing.T, name, uniqueName string) (id, appID string) {
	t.Helper()
	a := must[directory.Application](t)(m.directory.CreateApplication(t.Context(), m.system, directory.Application{DisplayName: name, UniqueName: uniqueName, Notes: "canary-notes"}))
	return a.ID, a.AppID
}

// deletedIdentity is the principal of an identity that held everything.
func (m *matrix) deletedIdentity(t *testing.T) string {
	t.Helper()
	ref := directory.IdentityRef{SubscriptionID: m.vars["{subscription}"], Group: m.vars["{other}"], Name: "deleted-identity"}
	identity, _, err := m.directory.PutIdentity(t.Context(), m.system, directory.Identity{IdentityRef: ref, Location: "local"})
	check(t, err)
	m.assign(t, uuid.NewString(), identity.PrincipalID, held{"Owner", "/"}, "")
	check(t, m.directory.DeleteIdentity(t.Context(), m.system, ref))
	return identity.PrincipalID
}

func (m *matrix) write(t *testing.T, text string, args ...any) {
	t.Helper()
	check(t, m.db.Update(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), text, args...)
		return err
	}))
}
