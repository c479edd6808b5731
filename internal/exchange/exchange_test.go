package exchange

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/issuer"
	"github.com/entente-id/entente/internal/localissuer"
)

var opaqueClaims = cmpopts.IgnoreMapEntries(func(name string, _ any) bool { return name == "aio" || name == "rh" || name == "uti" })

func TestTokenOfVersion1(t *testing.T) {
	w := newWorld(t, options{})
	r := w.request(func(r *Request) { r.Capabilities = []string{"CP1"} })
	o, got := w.mustDo(r)
	now := float64(w.clock.Now().Unix())
	iss := issuerURL + "/" + w.tenant.ID + "/"
	want := map[string]any{
		"aud": arm, "iss": iss, "idp": iss, "iat": now - 300, "nbf": now - 300, "exp": now + 3600,
		"appid": w.clientID, "appidacr": "2", "idtyp": "app", "oid": o.Client.PrincipalID, "sub": o.Client.PrincipalID,
		"tid": w.tenant.ID, "ver": "1.0", "xms_cc": []any{"CP1"}, "xms_tcdt": float64(w.tenant.CreatedAt.Unix()),
	}
	if diff := cmp.Diff(want, got, opaqueClaims); diff != "" {
		t.Error(diff)
	}
	if uti, _ := got["uti"].(string); uti != o.TokenID || len(uti) != 22 {
		t.Errorf("uti %q, TokenID %q", uti, o.TokenID)
	}
	if o.ExpiresIn != 3599 || o.Method != ByAssertion || o.CredentialID == "" || o.Resource != arm || o.Assertion.SHA256 == "" {
		t.Errorf("outcome %+v", o)
	}
}

func TestTokenOfVersion2(t *testing.T) {
	w := newWorld(t, options{})
	api := w.application(directory.Application{DisplayName: "api", TokenVersion: 2, IdentifierURIs: []string{"api://orders"}})
	o, got := w.mustDo(w.request(scope("api://orders/.default openid offline_access profile")))
	now := float64(w.clock.Now().Unix())
	want := map[string]any{
		"aud": api.AppID, "iss": issuerURL + "/" + w.tenant.ID + "/v2.0", "iat": now - 300, "nbf": now - 300, "exp": now + 3600,
		"azp": w.clientID, "azpacr": "2", "idtyp": "app", "oid": o.Client.PrincipalID, "sub": o.Client.PrincipalID, "tid": w.tenant.ID, "ver": "2.0",
	}
	if diff := cmp.Diff(want, got, opaqueClaims); diff != "" {
		t.Error(diff)
	}
}

func TestManagedIdentity(t *testing.T) {
	w := newWorld(t, options{config: Config{IdentityLifetime: 24 * time.Hour}})
	ctx := t.Context()
	_, _, err := w.dir.PutGroup(ctx, w.caller, directory.Group{SubscriptionID: w.sub, Name: "Group", Location: "here"})
	w.check(err)
	m, _, err := w.dir.PutIdentity(ctx, w.caller, directory.Identity{IdentityRef: directory.IdentityRef{SubscriptionID: w.sub, Group: "Group", Name: "mi-1"}, Location: "here"})
	w.check(err)
	parent := directory.Parent{Identity: &m.IdentityRef}
	w.trust(parent, w.spec())
	o, got := w.mustDo(w.request(func(r *Request) { r.ClientID = strings.ToUpper(m.ClientID) }))
	if got["xms_mirid"] != m.ResourceID() || got["oid"] != m.PrincipalID || got["appid"] != m.ClientID {
		t.Errorf("claims %v", got)
	}
	if o.ExpiresIn != 86399 || got["exp"].(float64)-got["iat"].(float64) != 86700 {
		t.Errorf("expires in %d, claims %v", o.ExpiresIn, got)
	}
	w.refused(w.request(func(r *Request) { r.ClientID, r.Assertion, r.Secret = m.ClientID, "", "x" }), SecretWrong)
}

func TestSecret(t *testing.T) {
	w := newWorld(t, options{})
	_, text, err := w.dir.AddSecret(t.Context(), w.caller, *w.app.Application, directory.NewSecret{End: w.clock.Now().Add(time.Hour)})
	w.check(err)
	with := func(secret string) Request {
		return w.request(func(r *Request) { r.Assertion, r.Secret = "", secret })
	}
	o, got := w.mustDo(with(text))
	if got["appidacr"] != "1" || o.Method != BySecret || o.CredentialID != "" {
		t.Errorf("claims %v, outcome %+v", got, o)
	}
	w.refused(with(text+"x"), SecretWrong)
	w.clock.Add(time.Hour)
	w.refused(with(text), SecretExpired)
}

func TestRoles(t *testing.T) {
	w := newWorld(t, options{})
	ctx := t.Context()
	role := directory.AppRole{ID: "aaaaaaaa-0000-4000-8000-000000000001", Value: "Orders.Read", DisplayName: "Read", Enabled: true, MemberTypes: []string{"Application"}}
	api := w.application(directory.Application{DisplayName: "api", IdentifierURIs: []string{"https://orders.example.test"}, AppRoles: []directory.AppRole{role}})
	principal := func(appID string) directory.ServicePrincipal {
		p, err := w.dir.ServicePrincipal(ctx, w.caller, directory.Ref{AppID: appID})
		w.check(err)
		return p
	}
	resource, required := principal(api.AppID), true
	asked := w.request(scope("https://orders.example.test/.default"))
	if _, got := w.mustDo(asked); got["roles"] != nil {
		t.Errorf("roles %v without a grant", got["roles"])
	}
	w.check(w.dir.UpdateServicePrincipal(ctx, w.caller, directory.Ref{ID: resource.ID}, directory.PrincipalEdit{AssignmentRequired: &required}))
	if _, e := w.refused(asked, NotAssigned); e.Resource != api.AppID || e.ResourceName != "api" || e.ClientName != "workload" {
		t.Errorf("%+v", e)
	}
	client := principal(w.clientID)
	_, err := w.dir.AddGrant(ctx, w.caller, directory.Grant{PrincipalID: client.ID, ResourceID: resource.ID, AppRoleID: role.ID})
	w.check(err)
	if _, got := w.mustDo(asked); !cmp.Equal(got["roles"], []any{"Orders.Read"}) {
		t.Errorf("roles %v", got["roles"])
	}

	const readAll = "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30"
	_, err = w.dir.AddGrant(ctx, w.caller, directory.Grant{PrincipalID: client.ID, ResourceID: principal("00000003-0000-0000-c000-000000000000").ID, AppRoleID: readAll})
	w.check(err)
	for _, graph := range []string{"https://graph.microsoft.com/.default", ownURL + "/.default", ownURL + "//.default"} {
		if _, got := w.mustDo(w.request(scope(graph))); !cmp.Equal(got["roles"], []any{"Application.Read.All"}) {
			t.Errorf("%s: roles %v", graph, got["roles"])
		}
	}
	if _, got := w.mustDo(w.request()); got["roles"] != nil {
		t.Errorf("roles %v for Resource Manager", got["roles"])
	}
}

func TestResources(t *testing.T) {
	w := newWorld(t, options{})
	v1 := w.application(directory.Application{DisplayName: "v1", IdentifierURIs: []string{"https://v1.example.test/"}})
	v2 := w.application(directory.Application{DisplayName: "v2", TokenVersion: 2})
	for _, c := range []struct {
		scope, audience, version string // no version: refused
	}{
		{"https://graph.microsoft.com/.default", "https://graph.microsoft.com", "1.0"},
		{"https://graph.microsoft.com//.default", "https://graph.microsoft.com/", "1.0"},
		{"https://management.core.windows.net//.default", "https://management.core.windows.net/", "1.0"},
		{"00000003-0000-0000-c000-000000000000/.default", "00000003-0000-0000-c000-000000000000", "1.0"},
		{strings.ToUpper(ownURL) + "//.default", ownURL + "/", "1.0"},
		{"https://vault.azure.net/.default", "https://vault.azure.net", "1.0"},
		{"https://Vault.azure.net//.default", "https://Vault.azure.net/", "1.0"},
		{"https://account1.blob.core.windows.net/.default", "https://account1.blob.core.windows.net", "1.0"},
		{"499b84ac-1321-427f-aa17-267ca6975798/.default", "499b84ac-1321-427f-aa17-267ca6975798", "1.0"},
		{"api://AzureADTokenExchange/.default", "fb60f99c-7a34-4190-8149-302f77469936", "2.0"},
		{"https://v1.example.test//.default", "https://v1.example.test/", "1.0"},
		{v1.AppID + "/.default", v1.AppID, "1.0"},
		{"api://" + v1.AppID + "/.default", "api://" + v1.AppID, "1.0"},
		{v2.AppID + "/.default", v2.AppID, "2.0"},
		{"api://" + v2.AppID + "/.default", v2.AppID, "2.0"},
		{"https://v1.example.test/.default", "", ""}, // a URI is compared exactly
		{"https://other.example.test/.default", "", ""},
		{"https://x.evil.test/.blob.core.windows.net/.default", "", ""},
		{"https://.blob.core.windows.net/.default", "", ""},
	} {
		if c.version == "" {
			w.refused(w.request(scope(c.scope)), ResourceNotFound)
			w.refused(w.request(func(r *Request) { r.V1, r.Resource = true, strings.TrimSuffix(c.scope, "/.default") }), ResourceNotFoundV1)
			continue
		}
		if _, got := w.mustDo(w.request(scope(c.scope))); got["aud"] != c.audience || got["ver"] != c.version {
			t.Errorf("%s: aud %v, ver %v", c.scope, got["aud"], got["ver"])
		}
	}
}

func TestAnyResource(t *testing.T) {
	w := newWorld(t, options{config: Config{AnyResource: true}})
	for resource, ok := range map[string]bool{
		"https://other.example.test": true, "api://whatever": true,
		"whatever": false, "http://other.example.test": false, "https://": false, "https://user@other.example.test": false,
		"https://other.example.test#x": false, "https://" + strings.Repeat("a", 600): false, "https://a\x00b": false, "ftp://x": false,
	} {
		r := w.request(func(r *Request) { r.V1, r.Resource = true, resource })
		if !ok {
			w.refused(r, ResourceNotFoundV1)
		} else if _, got := w.mustDo(r); got["aud"] != resource {
			t.Errorf("%s: aud %v", resource, got["aud"])
		}
	}
}

// No token but one that was asked for under a name of the service itself is one
// for its management surfaces, whatever an application calls itself.
func TestManages(t *testing.T) {
	w := newWorld(t, options{config: Config{AnyResource: true}})
	for name, manages := range map[string]bool{
		ownURL: true, ownURL + "/": true, strings.ToUpper(ownURL): true, arm: true, "https://graph.microsoft.com": true, graphAppID: true,
		ownURL + "//": false, ownURL + "/x": false, arm + "/": false, "https://graph.microsoft.com//": false, "https://vault.azure.net": false, "api://api": false,
	} {
		_, claims := w.mustDo(w.request(func(r *Request) { r.V1, r.Resource = true, name }))
		if got := w.Manages(claims["aud"].(string)); got != manages {
			t.Errorf("%s: aud %q, manages %v", name, claims["aud"], got)
		}
	}
}

func TestScopes(t *testing.T) {
	for text, want := range map[string]string{
		"https://a.test/.default":                                     "https://a.test",
		"https://a.test//.default":                                    "https://a.test/",
		"openid offline_access https://a.test/.default profile email": "https://a.test",
		"https://a.test/.default https://a.test/.default":             "https://a.test",
		"https://a.test/.default/.default":                            "https://a.test/.default",
		"https://a.test/.default https://b.test/.default":             string(ScopeManyResources),
		"https://a.test/.default https://a.test/Mail.Read":            string(ScopeMixed),
		"https://a.test/Mail.Read":                                    string(ScopeInvalid),
		"https://a.test/.Default":                                     string(ScopeInvalid),
		"https://a.test":                                              string(ScopeInvalid),
		".default":                                                    string(ScopeInvalid),
		"/.default":                                                   string(ScopeInvalid),
		"openid profile offline_access":                               string(ScopeInvalid),
		" ":                                                           string(ScopeInvalid),
	} {
		resource, reason := parseScope(text)
		if got := resource + string(reason); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Entra evaluates the resource only after it has accepted the client.
func TestOrder(t *testing.T) {
	w := newWorld(t, options{})
	all := Request{Tenant: "nonsense", ClientID: "nonsense", Assertion: "nonsense", Scope: "nonsense"}
	for _, next := range []struct {
		reason Reason
		mend   func(*Request)
	}{
		{TenantMalformed, func(r *Request) { r.Tenant = "missing.example.test" }},
		{TenantNotFound, func(r *Request) { r.Tenant = "00000000-0000-0000-0000-000000000000" }},
		{TenantEmpty, func(r *Request) { r.Tenant, r.ClientID, r.Scope = "EXAMPLE.test", "", "" }},
		{ParameterMissing, func(r *Request) { r.ClientID = "nonsense" }},
		{ParameterMissing, scope("nonsense")},
		{ClientNotFound, func(r *Request) { r.ClientID = w.tenant.ID }},
		{ClientNotFound, func(r *Request) { r.ClientID = w.clientID }},
		{AssertionMalformed, func(r *Request) {
			name := "https://elsewhere.example.test"
			r.Assertion = w.mint(localissuer.Token{Issuer: &name, ServiceAccount: "other", Audiences: []string{"x"}, Lifetime: -time.Hour, BadSignature: true})
		}},
		{IssuerMiss, func(r *Request) {
			r.Assertion = w.mint(localissuer.Token{ServiceAccount: "other", Audiences: []string{"x"}, Lifetime: -time.Hour, BadSignature: true})
		}},
		{SubjectMiss, func(r *Request) {
			r.Assertion = w.mint(localissuer.Token{Audiences: []string{"x"}, Lifetime: -time.Hour, BadSignature: true})
		}},
		{AudienceMiss, func(r *Request) {
			r.Assertion = w.mint(localissuer.Token{Lifetime: -time.Hour, BadSignature: true})
		}},
		{AssertionExpired, func(r *Request) { r.Assertion = w.mint(localissuer.Token{BadSignature: true}) }},
		{BadSignature, func(r *Request) { r.Assertion = w.mint(localissuer.Token{}) }},
		{ScopeInvalid, scope("https://missing.example.test/.default")},
		{ResourceNotFound, scope(arm + "/.default")},
	} {
		w.refused(all, next.reason)
		if next.reason != BadSignature && next.reason != ScopeInvalid && next.reason != ResourceNotFound {
			if discovery, keys := w.issuer.Fetches(); discovery+keys != 0 {
				t.Fatalf("%s: the issuer was asked", next.reason)
			}
		}
		next.mend(&all)
	}
	w.mustDo(all)
}

func TestClockSkew(t *testing.T) {
	w := newWorld(t, options{})
	at := func(d time.Duration) *time.Time { moment := w.clock.Now().Add(d); return &moment }
	for _, c := range []struct {
		token  localissuer.Token
		reason Reason
	}{
		{localissuer.Token{Expiry: at(-299 * time.Second)}, ""},
		{localissuer.Token{Expiry: at(-301 * time.Second)}, AssertionExpired},
		{localissuer.Token{NotBefore: at(299 * time.Second)}, ""},
		{localissuer.Token{NotBefore: at(301 * time.Second)}, AssertionEarly},
		{localissuer.Token{Extra: map[string]any{"nbf": nil, "iat": nil}}, ""},
		{localissuer.Token{Extra: map[string]any{"exp": nil}}, AssertionMalformed},
	} {
		r := w.request(func(r *Request) { r.Assertion = w.mint(c.token) })
		if c.reason == "" {
			w.mustDo(r)
		} else {
			w.refused(r, c.reason)
		}
	}
}

func TestOwnTokenIsNoAssertion(t *testing.T) {
	w := newWorld(t, options{})
	for _, resource := range []string{arm, "api://AzureADTokenExchange"} {
		o, claims := w.mustDo(w.request(scope(resource + "/.default")))
		r := w.request(func(r *Request) { r.Assertion = o.Token })
		w.refused(r, OwnToken)
		// Even a credential that fits it changes nothing, nor does an issuer that has our keys.
		w.trust(w.app, credential.Spec{Name: "own" + claims["ver"].(string)[:1], Issuer: claims["iss"].(string), Subject: claims["sub"].(string), Audiences: []string{claims["aud"].(string)}})
		public, err := w.ring.Public(t.Context(), w.tenant.ID)
		w.check(err)
		_, _, err = w.dir.PutIssuer(t.Context(), w.caller, directory.Issuer{Name: "own" + claims["ver"].(string)[:1], URL: claims["iss"].(string), KeySource: directory.UploadedKeys, KeySet: public, Algorithms: []string{"ES256", "RS256"}})
		w.check(err)
		w.refused(r, OwnToken)
	}
}

func TestManyAudiences(t *testing.T) {
	w := newWorld(t, options{})
	two := w.request(func(r *Request) {
		r.Assertion = w.mint(localissuer.Token{Audiences: []string{"https://kubernetes.default.svc", credential.DefaultAudience}})
	})
	if _, e := w.refused(two, AudienceMiss); len(e.Audiences) != 2 {
		t.Errorf("audiences %q", e.Audiences)
	}
	_, _, err := w.dir.PutIssuer(t.Context(), w.caller, directory.Issuer{Name: "cluster", URL: w.issuer.URL(), ManyAudiences: true})
	w.check(err)
	w.mustDo(two)
}

// A change of the directory counts on the very next exchange.
func TestNextExchange(t *testing.T) {
	w := newWorld(t, options{})
	ctx := t.Context()
	good := w.request()
	w.mustDo(good)

	other := w.spec()
	other.Subject = "system:serviceaccount:default:other"
	w.trust(w.app, other)
	w.refused(good, SubjectMiss)
	w.trust(w.app, w.spec())
	w.mustDo(good)

	principal, err := w.dir.ServicePrincipal(ctx, w.caller, directory.Ref{AppID: w.clientID})
	w.check(err)
	for _, enabled := range []bool{false, true} {
		w.check(w.dir.UpdateServicePrincipal(ctx, w.caller, directory.Ref{ID: principal.ID}, directory.PrincipalEdit{Enabled: &enabled}))
		if enabled {
			w.mustDo(good)
		} else {
			w.refused(good, ClientDisabled)
		}
	}

	api := w.application(directory.Application{DisplayName: "api", IdentifierURIs: []string{"api://the-api"}})
	forAPI := w.request(scope("api://the-api/.default"))
	for _, enabled := range []bool{false, true} {
		w.check(w.dir.UpdateServicePrincipal(ctx, w.caller, directory.Ref{AppID: api.AppID}, directory.PrincipalEdit{Enabled: &enabled}))
		if enabled {
			w.mustDo(forAPI)
		} else {
			w.refused(forAPI, ResourceDisabled)
		}
	}

	w.check(w.dir.RemoveCredential(ctx, w.caller, w.app, "cluster"))
	w.refused(good, NoCredential)
	w.trust(w.app, w.spec())
	w.mustDo(good)

	w.check(w.dir.DeleteServicePrincipal(ctx, w.caller, directory.Ref{ID: principal.ID}))
	if o, _ := w.refused(good, PrincipalNotFound); o.Client.ClientID != w.clientID || o.Tenant.ID != w.tenant.ID {
		t.Errorf("outcome %+v", o)
	}
	w.check(w.dir.DeleteApplication(ctx, w.caller, *w.app.Application))
	w.refused(good, ClientNotFound)
}

func TestAnotherTenant(t *testing.T) {
	w := newWorld(t, options{})
	administrator := directory.System(w.tenant.ID, "test")
	founded, err := w.dir.CreateTenant(t.Context(), administrator, directory.NewTenant{})
	w.check(err)
	w.refused(w.request(func(r *Request) { r.Tenant = founded.Tenant.ID }), ClientNotFound)

	// It has no signing key yet: the first exchange makes it.
	o, claims := w.mustDo(w.request(func(r *Request) {
		r.Tenant, r.ClientID, r.Assertion, r.Secret = founded.Tenant.Domain, founded.AdministratorClientID, "", founded.AdministratorSecret
	}))
	if o.Tenant.ID != founded.Tenant.ID || claims["tid"] != founded.Tenant.ID {
		t.Errorf("tenant %q, claims %v", o.Tenant.ID, claims)
	}
}

func TestIssuerTrouble(t *testing.T) {
	for _, c := range []struct {
		name   string
		faults localissuer.Faults
		reason Reason
	}{
		{"status", localissuer.Faults{Status: http.StatusInternalServerError}, IssuerUnreachable},
		{"redirect", localissuer.Faults{Redirect: "https://example.test/"}, IssuerUnreachable},
		{"no document", localissuer.Faults{Body: []byte("<html>")}, IssuerInvalid},
		{"another issuer's document", localissuer.Faults{DiscoveryIssuer: "https://example.test/"}, IssuerInvalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, options{})
			w.issuer.SetFaults(c.faults)
			if _, e := w.refused(w.request(), c.reason); e.Err == nil || e.RetryAfter != 0 {
				t.Errorf("%+v", e)
			}
		})
	}
	t.Run("address", func(t *testing.T) {
		w := newWorld(t, options{allow: []string{"10.0.0.0/8"}})
		if _, e := w.refused(w.request(), IssuerAddressRefused); !strings.Contains(e.Error(), "--issuer-allow") {
			t.Errorf("%v", e)
		}
	})
	t.Run("down, with keys from before", func(t *testing.T) {
		w := newWorld(t, options{})
		w.mustDo(w.request())
		w.issuer.Close()
		w.clock.Add(2 * time.Hour)
		w.mustDo(w.request())
	})
	t.Run("rotation within the cool-down", func(t *testing.T) {
		w := newWorld(t, options{})
		w.mustDo(w.request())
		w.check(w.issuer.Rotate())
		if _, e := w.refused(w.request(), InDoubt); e.RetryAfter < time.Second {
			t.Errorf("retry after %s", e.RetryAfter)
		}
		w.clock.Add(6 * time.Second)
		w.mustDo(w.request())
	})
	t.Run("key nobody has", func(t *testing.T) {
		w := newWorld(t, options{})
		w.mustDo(w.request())
		w.clock.Add(6 * time.Second)
		made := "made-up"
		if _, e := w.refused(w.request(func(r *Request) { r.Assertion = w.mint(localissuer.Token{KeyID: &made}) }), KeyNotFound); e.KeyID != made {
			t.Errorf("key %q", e.KeyID)
		}
	})
}

// A slow issuer holds up nobody who trusts another one.
func TestSlowIssuerHoldsNoSlot(t *testing.T) {
	w := newWorld(t, options{config: Config{Parallel: 1, Queue: 1}})
	asked, answer := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	w.issuer.SetFaults(localissuer.Faults{Hook: func(*http.Request) {
		if once.CompareAndSwap(false, true) {
			close(asked)
		}
		<-answer
	}})
	slow, done := w.request(), make(chan error)
	go func() {
		_, err := w.Do(t.Context(), slow)
		done <- err
	}()
	<-asked
	_, text, err := w.dir.AddSecret(t.Context(), w.caller, *w.app.Application, directory.NewSecret{})
	w.check(err)
	w.mustDo(w.request(func(r *Request) { r.Assertion, r.Secret = "", text }))
	close(answer)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestOverload(t *testing.T) {
	w := newWorld(t, options{config: Config{Parallel: 1, Queue: 1}})
	w.check(w.gate.enter(t.Context()))
	waits := make(chan error)
	good := w.request()
	go func() {
		_, err := w.Do(t.Context(), good)
		waits <- err
	}()
	for w.gate.waiting.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	_, e := w.refused(good, Overloaded)
	if e.RetryAfter != time.Second {
		t.Errorf("retry after %s", e.RetryAfter)
	}
	w.gate.leave()
	if err := <-waits; err != nil {
		t.Error(err)
	}
	w.mustDo(good)
}

func TestSourceKeepsAll(t *testing.T) {
	i := directory.Issuer{ID: "i", TenantID: "t", URL: "u", KeySource: directory.JWKSURIKeys, JWKSURI: "j", KeySet: []byte("k"), Algorithms: []string{"ES256"}, CAPEM: "c", Revision: 7}
	want := issuer.Source{TenantID: "t", ID: "i", URL: "u", Kind: issuer.JWKSURI, JWKSURI: "j", KeySet: []byte("k"), Algorithms: []string{"ES256"}, CAPEM: []byte("c"), Revision: 7}
	if diff := cmp.Diff(want, Source(i)); diff != "" {
		t.Error(diff)
	}
}
