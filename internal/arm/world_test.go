package arm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/directory"
	keysets "github.com/entente-id/entente/internal/issuer"
	"github.com/entente-id/entente/internal/keys"
	"github.com/entente-id/entente/internal/roles"
	"github.com/entente-id/entente/internal/signin"
	"github.com/entente-id/entente/internal/testkit"
)

const (
	testTenant       = "11111111-1111-4111-8111-111111111111"
	testSubscription = "22222222-2222-4222-8222-222222222222"
	otherTenant      = "33333333-3333-4333-8333-333333333333"
	otherSub         = "44444444-4444-4444-8444-444444444444"

	sub      = "/subscriptions/" + testSubscription
	inGroup  = sub + "/resourceGroups/rg"
	ide      = inGroup + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/ide"
	ficPath  = ide + "/federatedIdentityCredentials/fic1"
	ideID    = sub + "/resourcegroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/ide"
	ficBody  = `{"properties":{"issuer":"https://issuer.example/t1/","subject":"system:serviceaccount:ns1:sa1","audiences":["api://AzureADTokenExchange"]}}`
	clusters = inGroup + "/providers/Microsoft.ContainerService/managedClusters"
	clu      = clusters + "/clu"
	cluID    = sub + "/resourcegroups/rg/providers/Microsoft.ContainerService/managedClusters/clu"
	hosting  = `{"location":"local","properties":{"oidcIssuerProfile":{"enabled":true,"keySource":"Hosted"}}}`
	issuers  = "/providers/Entente.Federation/issuers"
	testBase = "https://entente.example:8443"
)

// world is a surface over a real database, with principals of every sort.
type world struct {
	t          *testing.T
	db         *db.DB
	dir        *directory.Directory
	surface    *Surface
	server     *httptest.Server
	config     Config
	principals map[string]directory.Caller
	records    *signin.Recorder
	rotatedBy  []directory.Caller
}

// sorts are the names of the principals.
var sorts = []string{"owner", "access", "reader", "contributor", "neighbour", "auditor", "appowner", "nobody", "stranger", "admin"}

const principalHeader = "X-Test-Principal"

// newWorld makes the default tenant with two groups, and another tenant. The
// principals are:
//
//	admin        administrator of the default tenant
//	owner        Owner of the subscription, but not of the federation
//	access       User Access Administrator of the subscription
//	reader       Reader of the subscription
//	contributor  Contributor of the group rg
//	neighbour    Contributor of the group other
//	auditor      Federation Reader
//	appowner     owner of an application, without any role here
//	nobody       without anything
//	stranger     administrator of the other tenant
func newWorld(t *testing.T, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, db: testkit.SQLite(t), principals: map[string]directory.Caller{}}
	w.dir = &directory.Directory{DB: w.db, IssuerURL: testBase}
	founded, _, err := w.dir.Bootstrap(t.Context(), directory.NewTenant{ID: testTenant, SubscriptionID: testSubscription, DisplayName: "Contoso"})
	w.must(err)
	w.principals["admin"] = w.caller(testTenant, founded.AdministratorPrincipalID)
	other, err := w.dir.CreateTenant(t.Context(), w.principals["admin"], directory.NewTenant{ID: otherTenant, SubscriptionID: otherSub})
	w.must(err)
	w.principals["stranger"] = w.caller(otherTenant, other.AdministratorPrincipalID)
	for _, name := range []string{"rg", "other"} {
		_, _, err := w.dir.PutGroup(t.Context(), w.principals["admin"], directory.Group{SubscriptionID: testSubscription, Name: name, Location: "local"})
		w.must(err)
	}
	w.principal("owner", sub, roles.Owner)
	w.principal("access", sub, roles.UserAccessAdministrator)
	w.principal("reader", sub, roles.Reader)
	w.principal("contributor", inGroup, roles.Contributor)
	w.principal("neighbour", sub+"/resourceGroups/other", roles.Contributor)
	w.principal("auditor", "/", roles.FederationReader)
	w.principal("nobody", "", "")
	w.principal("appowner", "", "")
	w.makeOwner("appowner")

	w.records = signin.New(signin.Config{DB: w.db, Every: time.Millisecond})
	w.config = Config{
		Directory: w.dir, SignIns: w.records, SigningKeys: w, Seal: w.sealer(), Base: func(*http.Request) string { return testBase },
		Caller: w.identify, Tenant: func(*http.Request) string { return testTenant },
		CheckKeySet: func(set []byte) error {
			usable, _, err := keysets.ParseKeySet(set)
			if err == nil && len(usable) == 0 {
				err = errors.New("no key can be used")
			}
			return err
		},
	}
	for _, f := range change {
		f(&w.config)
	}
	w.surface = New(w.config)
	w.server = httptest.NewServer(w.surface)
	t.Cleanup(w.server.Close)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) caller(tenantID, principalID string) directory.Caller {
	w.t.Helper()
	c, err := w.dir.CallerOf(w.t.Context(), tenantID, principalID)
	w.must(err)
	return c
}

func (w *world) principal(name, scope, definition string) {
	w.t.Helper()
	ctx, admin := w.t.Context(), w.principals["admin"]
	app, err := w.dir.CreateApplication(ctx, admin, directory.Application{DisplayName: name})
	w.must(err)
	p, err := w.dir.CreateServicePrincipal(ctx, admin, directory.NewPrincipal{AppID: app.AppID})
	w.must(err)
	if scope != "" {
		_, err = w.dir.AddRoleAssignment(ctx, admin, directory.RoleAssignment{Name: uuid.NewString(), Scope: scope, DefinitionID: definition, PrincipalID: p.ID})
		w.must(err)
	}
	w.principals[name] = w.caller(testTenant, p.ID)
}

// makeOwner lets a principal make an application of its own, as Graph does.
func (w *world) makeOwner(name string) {
	w.t.Helper()
	ctx, admin := w.t.Context(), w.principals["admin"]
	graph, err := w.dir.ServicePrincipal(ctx, admin, directory.Ref{AppID: roles.GraphAppID})
	w.must(err)
	for _, role := range roles.GraphAppRoles() {
		if role.Value == "Application.ReadWrite.OwnedBy" {
			_, err = w.dir.AddGrant(ctx, admin, directory.Grant{PrincipalID: w.principals[name].PrincipalID, ResourceID: graph.ID, AppRoleID: role.ID})
			w.must(err)
		}
	}
	_, err = w.dir.CreateApplication(ctx, w.principals[name], directory.Application{DisplayName: "its own"})
	w.must(err)
}

// identify maps the test's header to a principal, as the server does with tokens.
func (w *world) identify(r *http.Request) (directory.Caller, error) {
	name := r.Header.Get(principalHeader)
	c, known := w.principals[name]
	if !known {
		return directory.Caller{}, &directory.Error{Kind: directory.Unauthenticated, Object: directory.PrincipalObject, Detail: "the access token was not issued by this service"}
	}
	return w.dir.CallerOf(r.Context(), c.TenantID, c.PrincipalID)
}

func (w *world) sealer() keys.Sealer {
	sealer, err := keys.NewSealer(bytes.Repeat([]byte{1}, 32))
	w.must(err)
	return sealer
}

// ring is a real one; it is opened by the tests that use it.
func (w *world) ring(ctx context.Context) (*keys.Ring, error) {
	ring, err := keys.Open(ctx, keys.Config{DB: w.db, Sealer: w.sealer(), Algorithm: "ES256"})
	if err != nil {
		return nil, err
	}
	return ring, ring.EnsureTenant(ctx, testTenant)
}

func wireKey(k keys.Key) SigningKey {
	return SigningKey{ID: k.ID, Algorithm: k.Algorithm, State: string(k.State), CreatedAt: k.CreatedAt, ActivateAt: k.ActivateAt, RetireAt: k.RetireAt}
}

// Keys and Rotate are what the server fills SigningKeys with.
func (w *world) Keys(ctx context.Context, c directory.Caller) ([]SigningKey, error) {
	ring, err := w.ring(ctx)
	if err != nil {
		return nil, err
	}
	all, err := ring.Keys(ctx, c.TenantID)
	return each(all, wireKey), err
}

func (w *world) Rotate(ctx context.Context, c directory.Caller) (SigningKey, error) {
	w.rotatedBy = append(w.rotatedBy, c)
	ring, err := w.ring(ctx)
	if err != nil {
		return SigningKey{}, err
	}
	k, err := ring.Rotate(ctx, c.TenantID)
	return wireKey(k), err
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	text   string
}

// do sends a request; a path without a query gets an api-version.
func (w *world) do(as, method, path, body string) reply {
	w.t.Helper()
	r := w.request(as, method, path, body)
	return w.send(r)
}

func (w *world) request(as, method, path, body string) *http.Request {
	w.t.Helper()
	if !strings.Contains(path, "?") {
		path += "?api-version=2023-01-31"
	} else if !strings.Contains(path, "api-version") {
		path += "&api-version=2023-01-31"
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+path, strings.NewReader(body))
	w.must(err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if as != "" {
		r.Header.Set(principalHeader, as)
		r.Header.Set("Authorization", "Bearer test")
	}
	return r
}

func (w *world) send(r *http.Request) reply {
	w.t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(r)
	w.must(err)
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	w.must(err)
	return reply{response.StatusCode, response.Header, string(data)}
}

// ok sends a request that must succeed.
func (w *world) ok(as, method, path, body string) reply {
	w.t.Helper()
	r := w.do(as, method, path, body)
	if r.status >= 300 {
		w.t.Fatalf("%s %s as %s: %d %.300s", method, path, as, r.status, r.text)
	}
	return r
}

// fixture makes everything that the samples name. With a group goes what was
// assigned on it, so its Contributor is made again.
func (w *world) fixture() {
	w.t.Helper()
	w.ok("admin", "PUT", inGroup, `{"location":"local"}`)
	if r := w.do("admin", "PUT", inGroup+assignmentPath+uuid.NewString(), w.assign(roles.Contributor, "contributor")); r.status != 201 && r.status != 409 {
		w.t.Fatalf("assign: %d %s", r.status, r.text)
	}
	w.ok("admin", "PUT", ide, `{"location":"local"}`)
	w.ok("admin", "PUT", ficPath, ficBody)
	w.ok("admin", "PUT", clu, hosting)
	w.ok("admin", "PUT", issuers+"/prod", `{"properties":{"issuer":"https://issuer.example/prod/"}}`)
	w.ok("admin", "PUT", inGroup+assignmentPath+sampleAssignment, w.assign(roles.Reader, "nobody2"))
}

const sampleAssignment = "66666666-6666-4666-8666-666666666666"

// assign is the body of a role assignment; it makes the principal if need be.
func (w *world) assign(definition, principal string) string {
	w.t.Helper()
	if _, known := w.principals[principal]; !known {
		w.principal(principal, "", "")
	}
	return fmt.Sprintf(`{"properties":{"roleDefinitionId":"%s%s%s","principalId":"%s"}}`, sub, definitionPath, definition, w.principals[principal].PrincipalID)
}

// errorOf reads the error of a reply.
func (r reply) error(t *testing.T) errorBody {
	t.Helper()
	var body cloudError
	if err := json.Unmarshal([]byte(r.text), &body); err != nil {
		t.Fatalf("%d with a body that is not JSON: %v\n%s", r.status, err, r.text)
	}
	if body.Error.Code == "" || body.Error.Message == "" {
		t.Fatalf("%d with an error without code or message: %s", r.status, r.text)
	}
	if got := r.header.Get("x-ms-error-code"); got != body.Error.Code {
		t.Errorf("x-ms-error-code is %q and the code %q", got, body.Error.Code)
	}
	return body.Error
}

// compare says where got differs from want, a JSON text in which "*" stands for any value that is there.
func compare(want, got string) error {
	var w, g any
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		return fmt.Errorf("want: %w", err)
	}
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		return fmt.Errorf("got: %w\n%s", err, got)
	}
	return compareValues("", w, g)
}

func compareValues(at string, want, got any) error {
	if want == "*" && got != nil && got != "" {
		return nil
	}
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("%s: %v is no object", at, got)
		}
		for name, value := range want {
			if _, there := object[name]; !there {
				return fmt.Errorf("%s.%s is missing", at, name)
			}
			if err := compareValues(at+"."+name, value, object[name]); err != nil {
				return err
			}
		}
		for name := range object {
			if _, wanted := want[name]; !wanted {
				return fmt.Errorf("%s.%s is not wanted: %v", at, name, object[name])
			}
		}
		return nil
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return fmt.Errorf("%s: want %d elements, got %v", at, len(want), got)
		}
		for i := range want {
			if err := compareValues(fmt.Sprintf("%s[%d]", at, i), want[i], list[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if want != got {
		return fmt.Errorf("%s: want %v, got %v", at, want, got)
	}
	return nil
}
