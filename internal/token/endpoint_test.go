package token

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/exchange"
	"github.com/entente-id/entente/internal/localissuer"
)

// text is for an override in localissuer.Token.
func text(s string) *string { return &s }

// TestToken is every kind of request over HTTP: accepted, or refused with a
// code and a status.
func TestToken(t *testing.T) {
	w := newWorld(t, "127.0.0.1")
	secret := w.secret(directory.NewSecret{})
	expired := w.secret(directory.NewSecret{Start: w.clock.Now().Add(-2 * time.Hour), End: w.clock.Now().Add(-time.Hour)})
	bare := w.application(directory.Application{DisplayName: "bare"})
	orphan, err := w.dir.CreateApplication(t.Context(), w.caller, directory.Application{DisplayName: "orphan"})
	w.check(err)
	ownToken := w.post(w.tokenPath(), w.fields()).object(t)["access_token"].(string)
	w.recorded()
	header, claims, _ := strings.Cut(w.mint(localissuer.Token{}), ".")
	claims, _, _ = strings.Cut(claims, ".")
	signature := base64.RawURLEncoding.EncodeToString([]byte("signature"))
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	at := func(d time.Duration) *time.Time { moment := w.clock.Now().Add(d); return &moment }
	kid := "made-up"
	issuer := w.issuer.URL()

	presented := func(token localissuer.Token) []string { return []string{"client_assertion", w.mint(token)} }
	for _, c := range []struct {
		name   string
		path   string // empty: the newer endpoint of the tenant
		fields []string
		code   int    // 0: a token
		status int    // of a refusal; 0: 401
		says   string // a part of the description
	}{
		{name: "good"},
		{name: "tenant in capitals", path: "/" + strings.ToUpper(w.tenant.ID) + "/oauth2/v2.0/token"},
		{name: "domain", path: "/Example.Test/oauth2/v2.0/token"},
		{name: "slash at the end, doubled slashes, query", path: "//" + w.tenant.ID + "//oauth2/v2.0/token/?client-request-id=x&grant_type=y"},
		{name: "adfs", path: "/adfs/oauth2/token"},
		{name: "adfs for a tenant", path: "/adfs/example.test/adfs/oauth2/token"},
		{name: "adfs as a tenant", path: "/adfs/oauth2/v2.0/token"},
		{name: "client id in capitals", fields: []string{"client_id", strings.ToUpper(w.clientID)}},
		{name: "white space around the assertion", fields: []string{"client_assertion", " \r\n" + w.mint(localissuer.Token{}) + "\n"}},
		{name: "unknown fields", fields: []string{"x-client-SKU", "msal.js.node", "nonsense", "1"}},
		{name: "audience as a string", fields: presented(localissuer.Token{Extra: map[string]any{"aud": "api://AzureADTokenExchange"}})},
		{name: "a typ in the header", fields: presented(localissuer.Token{Header: map[string]any{"typ": "JWT"}})},
		{name: "no kid", fields: presented(localissuer.Token{Header: map[string]any{"kid": nil}})},
		{name: "no nbf", fields: presented(localissuer.Token{Extra: map[string]any{"nbf": nil}})},
		{name: "secret", fields: []string{"client_assertion", "", "client_secret", secret}},
		{name: "empty secret beside an assertion", fields: []string{"client_secret", ""}},
		{name: "scope of az", fields: []string{"scope", w.server.URL + "//.default"}},
		{name: "claims", fields: []string{"claims", `{"access_token":{"xms_cc":{"values":["CP1"]}}}`}},

		{name: "unknown tenant", path: "/" + w.clientID + "/oauth2/v2.0/token", code: 90002, status: 400, says: "Tenant '" + w.clientID + "' not found."},
		{name: "unknown domain", path: "/other.example.test/oauth2/v2.0/token", code: 90002, status: 400},
		{name: "unknown tenant and an empty form", path: "/other.example.test/oauth2/v2.0/token", fields: []string{"grant_type", ""}, code: 90002, status: 400},
		{name: "tenant that is no name", path: "/contoso/oauth2/v2.0/token", code: 900023, status: 400},
		{name: "empty GUID", path: "/00000000-0000-0000-0000-000000000000/oauth2/v2.0/token", code: 900021, status: 400},

		{name: "no grant type", fields: []string{"grant_type", ""}, code: 900144, status: 400, says: "parameter: 'grant_type'."},
		{name: "another grant type", fields: []string{"grant_type", "password"}, code: 70003, status: 400, says: "'password'"},
		{name: "no client id", fields: []string{"client_id", ""}, code: 900144, status: 400, says: "parameter: 'client_id'."},
		{name: "no scope", fields: []string{"scope", ""}, code: 900144, status: 400, says: "parameter: 'scope'."},
		{name: "no assertion type", fields: []string{"client_assertion_type", ""}, code: 900144, status: 400, says: "parameter: 'client_assertion_type'."},
		{name: "another assertion type", fields: []string{"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}, code: 9002313, status: 400},
		{name: "resource and scope", fields: []string{"resource", "https://vault.azure.net"}, code: 901002, status: 400},
		{name: "secret and assertion", fields: []string{"client_secret", secret}, code: 9002313, status: 400},
		{name: "NUL", fields: []string{"client_id", w.clientID + "\x00"}, code: 9002313, status: 400},
		{name: "not UTF-8", fields: []string{"client_id", w.clientID + "\xff"}, code: 9002313, status: 400},
		{name: "claims that are no JSON", fields: []string{"claims", "{"}, code: 9002313, status: 400},

		{name: "unknown client", fields: []string{"client_id", w.tenant.ID}, code: 700016, status: 400, says: "in the directory 'Example'"},
		{name: "client that is no GUID", fields: []string{"client_id", "workload"}, code: 700016, status: 400, says: "identifier 'workload'"},
		{name: "application without service principal", fields: []string{"client_id", orphan.AppID}, code: 7000229, says: "The client application " + orphan.AppID + " is missing service principal in the tenant " + w.tenant.ID + "."},
		{name: "neither secret nor assertion", fields: []string{"client_assertion", ""}, code: 7000216},
		{name: "wrong secret", fields: []string{"client_assertion", "", "client_secret", secret + "x"}, code: 7000215},
		{name: "expired secret", fields: []string{"client_assertion", "", "client_secret", expired}, code: 7000222},

		{name: "no credential yet", fields: []string{"client_id", bare.AppID}, code: 70025, says: "The client '" + bare.AppID + "'(bare) has no configured"},
		{name: "wrong issuer", fields: presented(localissuer.Token{Issuer: text("https://elsewhere.example.test/")}), code: 700211, says: "assertion issuer 'https://elsewhere.example.test/'. Check"},
		{name: "issuer without its slash", fields: presented(localissuer.Token{Issuer: text(strings.TrimSuffix(issuer, "/"))}), code: 700211},
		{name: "issuer with one more slash", fields: presented(localissuer.Token{Issuer: text(issuer + "/")}), code: 700211},
		{name: "white space around the issuer", fields: presented(localissuer.Token{Issuer: text(" " + issuer)}), code: 700211},
		{name: "wrong subject", fields: presented(localissuer.Token{ServiceAccount: "other"}), code: 700213, says: "assertion subject 'system:serviceaccount:default:other'."},
		{name: "case of the subject", fields: presented(localissuer.Token{ServiceAccount: "Default"}), code: 7002138},
		{name: "look-alike subject", fields: presented(localissuer.Token{ServiceAccount: "ԁefault"}), code: 700213},
		{name: "wrong audience", fields: presented(localissuer.Token{Audiences: []string{"https://kubernetes.default.svc"}}), code: 700212, says: "assertion audience 'https://kubernetes.default.svc'."},
		{name: "several audiences", fields: presented(localissuer.Token{Audiences: []string{"https://kubernetes.default.svc", "api://AzureADTokenExchange"}}), code: 700212, says: "'https://kubernetes.default.svc, api://AzureADTokenExchange'"},

		{name: "expired", fields: presented(localissuer.Token{Expiry: at(-6 * time.Minute)}), code: 700024, says: fmt.Sprintf("expiry time of assertion %s.0000000Z.", at(-6*time.Minute).UTC().Format("2006-01-02T15:04:05"))},
		{name: "expired, without nbf", fields: presented(localissuer.Token{Expiry: at(-6 * time.Minute), Extra: map[string]any{"nbf": nil}}), code: 700024, says: "valid from 1970-01-01T00:00:00.0000000Z"},
		{name: "not yet valid", fields: presented(localissuer.Token{NotBefore: at(6 * time.Minute)}), code: 700024},
		{name: "no expiry", fields: presented(localissuer.Token{Extra: map[string]any{"exp": nil}}), code: 50027, status: 400},
		{name: "bad signature", fields: presented(localissuer.Token{BadSignature: true}), code: 50027, status: 400},
		{name: "signature of other claims", fields: []string{"client_assertion", header + "." + claims + "." + signature}, code: 50027, status: 400},
		{name: "HS256", fields: presented(localissuer.Token{Header: map[string]any{"alg": "HS256"}}), code: 5002730, status: 400},
		{name: "RS512", fields: presented(localissuer.Token{Header: map[string]any{"alg": "RS512"}}), code: 5002730, status: 400},
		{name: "none", fields: presented(localissuer.Token{Header: map[string]any{"alg": "none"}}), code: 5002730, status: 400},
		{name: "none, without signature", fields: []string{"client_assertion", part(`{"alg":"none"}`) + "." + claims + "."}, code: 50027, status: 400},
		{name: "not a JWT", fields: []string{"client_assertion", "nonsense"}, code: 50027, status: 400},
		{name: "five parts", fields: []string{"client_assertion", "a.b.c.d.e"}, code: 50027, status: 400},
		{name: "many dots", fields: []string{"client_assertion", strings.Repeat(".", 50_000)}, code: 50027, status: 400},
		{name: "subject twice", fields: []string{"client_assertion", header + "." + part(`{"sub":"a","sub":"b"}`) + "." + signature}, code: 50027, status: 400},
		{name: "NUL in the subject", fields: presented(localissuer.Token{Subject: text("a\x00b")}), code: 50027, status: 400},
		{name: "own token", fields: []string{"client_assertion", ownToken}, code: 700222},
		{name: "certificate assertion", fields: presented(localissuer.Token{Issuer: &w.clientID, Subject: &w.clientID}), code: 700023},

		{name: "not .default", fields: []string{"scope", "https://management.azure.com/user_impersonation"}, code: 1002012, status: 400, says: "value for scope https://management.azure.com/user_impersonation is not valid."},
		{name: "reserved scopes alone", fields: []string{"scope", "openid profile offline_access"}, code: 1002012, status: 400},
		{name: "bare .default", fields: []string{"scope", ".default"}, code: 1002012, status: 400},
		{name: ".default and another", fields: []string{"scope", "https://management.azure.com/.default https://management.azure.com/x"}, code: 70011, status: 400},
		{name: "two resources", fields: []string{"scope", "https://management.azure.com/.default https://vault.azure.net/.default"}, code: 700022, status: 400},
		{name: "unknown resource", fields: []string{"scope", "api://unknown/.default"}, code: 500011, status: 400, says: "principal named api://unknown was not found in the tenant named Example."},

		// After these the issuer has been asked in vain.
		{name: "unknown kid", fields: presented(localissuer.Token{KeyID: &kid}), code: 7000272, says: "identifier made-up used to sign the federated credential could not be found in the metadata of identity provider " + issuer + "."},
		{name: "unknown kid again", fields: presented(localissuer.Token{KeyID: text("another")}), code: 90033, status: 503},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.code == 7000272 {
				w.clock.Add(6 * time.Second) // past the cool-down of the first fetch
			}
			if c.path == "" {
				c.path = w.tokenPath()
			}
			r := w.post(c.path, w.fields(c.fields...), "Client-Request-Id", "AAAAAAAA-1111-4222-8333-444444444444")
			if records := w.recorded(); len(records) != 1 || records[0].code != c.code || (records[0].err == nil) != (c.code == 0) {
				t.Errorf("records %+v", records)
			}
			if r.Header.Get("Cache-Control") != "no-store, no-cache" || r.Header.Get("Pragma") != "no-cache" || r.Header.Get("Content-Type") != "application/json; charset=utf-8" {
				t.Errorf("headers %v", r.Header)
			}
			if c.code != 0 {
				w.wantRefusal(t, r, c.code, c.status, c.says)
				return
			}
			if r.StatusCode != 200 || r.Header.Get("Retry-After") != "" {
				t.Fatalf("%d %s", r.StatusCode, r.body)
			}
			o := r.object(t)
			if names := slices.Sorted(maps.Keys(o)); !slices.Equal(names, []string{"access_token", "expires_in", "ext_expires_in", "token_type"}) {
				t.Errorf("members %q", names)
			}
			if o["token_type"] != "Bearer" || o["expires_in"] != 3599.0 || o["ext_expires_in"] != 3599.0 {
				t.Errorf("%s", r.body)
			}
			if _, err := w.ring.Verify(t.Context(), o["access_token"].(string)); err != nil {
				t.Error(err)
			}
		})
	}
}

// wantRefusal checks all that answers to refusals have in common.
func (w *world) wantRefusal(t *testing.T, r response, code, status int, says string) {
	t.Helper()
	if status == 0 {
		status = http.StatusUnauthorized
	}
	var o refusal
	if err := json.Unmarshal(r.body, &o); err != nil {
		t.Fatalf("%d %s: %v", r.StatusCode, r.body, err)
	}
	if r.StatusCode != status || !slices.Equal(o.Codes, []int{code}) {
		t.Fatalf("%d %s, want AADSTS%d with %d", r.StatusCode, r.body, code, status)
	}
	tail := fmt.Sprintf(" Trace ID: %s Correlation ID: %s Timestamp: %s", o.TraceID, o.CorrelationID, o.Timestamp)
	if !strings.HasPrefix(o.Description, fmt.Sprintf("AADSTS%d: ", code)) || !strings.HasSuffix(o.Description, tail) || !strings.Contains(o.Description, says) {
		t.Errorf("description %q, want %q", o.Description, says)
	}
	if o.Timestamp != w.clock.Now().UTC().Format("2006-01-02 15:04:05Z") {
		t.Errorf("timestamp %q", o.Timestamp)
	}
	if o.CorrelationID != "aaaaaaaa-1111-4222-8333-444444444444" || o.TraceID != r.Header.Get("X-Ms-Request-Id") {
		t.Errorf("correlation id %q, trace id %q, header %q", o.CorrelationID, o.TraceID, r.Header.Get("X-Ms-Request-Id"))
	}
	if uri := fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", code); o.URI != "" && o.URI != uri {
		t.Errorf("error_uri %q", o.URI)
	}
	if retry := r.Header.Get("Retry-After"); (retry != "") != (status == 429 || status >= 500) {
		t.Errorf("Retry-After %q with %d", retry, status)
	}
}

func TestOlderEndpoint(t *testing.T) {
	w := newWorld(t, "127.0.0.1")
	f := w.fields("scope", "", "resource", "https://management.core.windows.net/")
	for _, path := range []string{"/" + w.tenant.ID + "/oauth2/token", "/adfs/oauth2/token", "/adfs/example.test/adfs/oauth2/token"} {
		r := w.post(path, f)
		o := r.object(t)
		names := slices.Sorted(maps.Keys(o))
		if r.StatusCode != 200 || !slices.Equal(names, []string{"access_token", "expires_in", "expires_on", "ext_expires_in", "not_before", "resource", "token_type"}) {
			t.Fatalf("%s: %d %s", path, r.StatusCode, r.body)
		}
		now := w.clock.Now().Unix()
		for name, want := range map[string]string{"token_type": "Bearer", "expires_in": "3599", "ext_expires_in": "3599", "expires_on": fmt.Sprint(now + 3600), "not_before": fmt.Sprint(now - 300), "resource": "https://management.core.windows.net/"} {
			if o[name] != want {
				t.Errorf("%s is %v, want %q", name, o[name], want)
			}
		}
	}
	path := "/" + w.tenant.ID + "/oauth2/token"
	for code, f := range map[int]url.Values{
		900144: w.fields(),
		50001:  w.fields("scope", "", "resource", "https://unknown.example.test"),
	} {
		if r := w.post(path, f); r.code(t) != code || r.StatusCode != 400 {
			t.Errorf("%d %s, want %d", r.StatusCode, r.body, code)
		}
	}
}

// Of the two readers of a request one must not be able to see another one than the other.
func TestBody(t *testing.T) {
	w := newWorld(t, "127.0.0.1")
	good := w.fields().Encode()
	const form = "application/x-www-form-urlencoded"
	deflate := func(parts ...string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		for _, p := range parts {
			_, err := z.Write([]byte(p))
			w.check(err)
		}
		w.check(z.Close())
		return b.String()
	}
	mib := strings.Repeat("a", 1<<20)
	bomb := deflate("x=", mib, mib, mib, mib, mib, mib, mib, mib, mib, mib, "&", good)
	if len(bomb) > maxBody {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	for _, c := range []struct {
		name         string
		body         string
		contentType  string
		encoding     string
		code, status int
	}{
		{"plain", good, form, "", 0, 200},
		{"charset", good, form + "; charset=utf-8", "", 0, 200},
		{"identity", good, form, "identity", 0, 200},
		{"gzip", deflate(good), form, "gzip", 0, 200},
		{"gzip of 200 KiB", deflate("x=" + mib[:200<<10] + "&" + good), form, "gzip", 0, 200},
		{"gzip bomb", bomb, form, "gzip", 9002313, 413},
		{"gzip twice", deflate(deflate(good)), form, "gzip, gzip", 9002313, 415},
		{"no gzip", good, form, "gzip", 9002313, 400},
		{"cut gzip", deflate(good)[:100], form, "gzip", 9002313, 400},
		{"deflate", good, form, "deflate", 9002313, 415},
		{"large", "x=" + mib[:maxBody] + "&" + good, form, "", 9002313, 413},
		{"empty", "", form, "", 900144, 400},
		{"JSON", `{"grant_type":"client_credentials"}`, "application/json", "", 9002313, 400},
		{"no type", good, "", "", 9002313, 400},
		{"another charset", good, form + "; charset=utf-16", "", 9002313, 400},
		{"repeated client", good + "&client_id=" + w.clientID, form, "", 9002313, 400},
		{"repeated scope", "scope=&" + good, form, "", 9002313, 400},
		{"repeated field nobody knows", good + "&a=1&a=1", form, "", 9002313, 400},
		{"repeated by escape", good + "&%63lient_id=" + w.clientID, form, "", 9002313, 400},
		{"semicolon", good + ";x=y", form, "", 9002313, 400},
		{"bad escape", good + "&x=%zz", form, "", 9002313, 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			headers := []string{"Content-Type", c.contentType, "Content-Encoding", c.encoding}
			r := w.send(http.MethodPost, w.tokenPath(), c.body, headers...)
			if r.StatusCode != c.status || c.code != 0 && r.code(t) != c.code {
				t.Errorf("%d %s", r.StatusCode, r.body)
			}
		})
	}
}

func TestBasic(t *testing.T) {
	w := newWorld(t, "127.0.0.1")
	secret := w.secret(directory.NewSecret{})
	basic := func(name, secret string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(name)+":"+url.QueryEscape(secret)))
	}
	none := []string{"client_assertion", "", "client_assertion_type", "", "client_id", ""}
	for _, c := range []struct {
		name, header string
		fields       []string
		code         int
	}{
		{"good", basic(w.clientID, secret), none, 0},
		{"client in both", basic(w.clientID, secret), []string{"client_assertion", "", "client_id", strings.ToUpper(w.clientID)}, 0},
		{"bearer is passed over", "Bearer x", nil, 0},
		{"wrong secret", basic(w.clientID, "x"), none, 7000215},
		{"no secret", basic(w.clientID, ""), none, 7000216},
		{"another client", basic(w.tenant.ID, secret), []string{"client_assertion", ""}, 9002313},
		{"assertion as well", basic(w.clientID, secret), nil, 9002313},
		{"secret as well", basic(w.clientID, secret), []string{"client_assertion", "", "client_secret", secret}, 9002313},
		{"no base64", "Basic !", none, 9002313},
		{"NUL", basic(w.clientID, "\x00"), none, 9002313},
		{"bad escape", "Basic " + base64.StdEncoding.EncodeToString([]byte("%zz:x")), none, 9002313},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := w.post(w.tokenPath(), w.fields(c.fields...), "Authorization", c.header)
			if c.code == 0 {
				if r.StatusCode != 200 {
					t.Errorf("%d %s", r.StatusCode, r.body)
				}
				return
			}
			if r.code(t) != c.code {
				t.Errorf("%d %s", r.StatusCode, r.body)
			}
			if challenge := r.Header.Get("WWW-Authenticate"); (challenge != "") != (r.StatusCode == 401) {
				t.Errorf("WWW-Authenticate %q with %d", challenge, r.StatusCode)
			}
		})
	}
}

func TestPoliciesOfResources(t *testing.T) {
	other := []string{"scope", "https://other.example.test/.default"}
	registered := newWorld(t, "127.0.0.1")
	if r := registered.post(registered.tokenPath(), registered.fields(other...)); r.code(t) != 500011 {
		t.Errorf("%s", r.body)
	}
	any := newWorld(t, "127.0.0.1", func(c *exchange.Config) { c.AnyResource = true })
	if r := any.post(any.tokenPath(), any.fields(other...)); r.StatusCode != 200 {
		t.Errorf("%s", r.body)
	}
}

// What is changed counts on the next exchange.
func TestChangesCountAtOnce(t *testing.T) {
	w := newWorld(t, "127.0.0.1")
	ctx := t.Context()
	f := w.fields()
	want := func(step string, code int) {
		t.Helper()
		r := w.post(w.tokenPath(), f)
		if code == 0 && r.StatusCode != 200 || code != 0 && r.code(t) != code {
			t.Fatalf("%s: %d %s, want %d", step, r.StatusCode, r.body, code)
		}
	}
	want("as it was", 0)
	changed := w.spec()
	changed.Audiences = []string{"api://other"}
	w.trust(w.app, changed)
	want("another audience", 700212)
	w.trust(w.app, w.spec())
	want("mended", 0)
	w.check(w.dir.RemoveCredential(ctx, w.caller, w.app, "cluster"))
	want("credential removed", 70025)
	w.trust(w.app, w.spec())
	want("credential added", 0)
	for _, enabled := range []bool{false, true} {
		w.check(w.dir.UpdateServicePrincipal(ctx, w.caller, directory.Ref{AppID: w.clientID}, directory.PrincipalEdit{Enabled: &enabled}))
		want(fmt.Sprint("enabled ", enabled), map[bool]int{false: 7000112}[enabled])
	}
	w.check(w.dir.DeleteApplication(ctx, w.caller, *w.app.Application))
	want("application deleted", 700016)
}

func TestIdentityAndRoles(t *testing.T) {
	w := newWorld(t, "127.0.0.1")
	ctx := t.Context()
	_, _, err := w.dir.PutGroup(ctx, w.caller, directory.Group{SubscriptionID: w.sub, Name: "group", Location: "here"})
	w.check(err)
	m, _, err := w.dir.PutIdentity(ctx, w.caller, directory.Identity{IdentityRef: directory.IdentityRef{SubscriptionID: w.sub, Group: "group", Name: "mi-1"}, Location: "here"})
	w.check(err)
	w.trust(directory.Parent{Identity: &m.IdentityRef}, w.spec())
	role := directory.AppRole{ID: "aaaaaaaa-0000-4000-8000-000000000001", Value: "Read", DisplayName: "Read", Enabled: true, MemberTypes: []string{"Application"}}
	api := w.application(directory.Application{DisplayName: "api", TokenVersion: 2, IdentifierURIs: []string{"api://api"}, AppRoles: []directory.AppRole{role}})
	required := true
	w.check(w.dir.UpdateServicePrincipal(ctx, w.caller, directory.Ref{AppID: api.AppID}, directory.PrincipalEdit{AssignmentRequired: &required}))
	f := w.fields("client_id", m.ClientID, "scope", "api://api/.default")
	r := w.post(w.tokenPath(), f)
	if r.code(t) != 501051 || !strings.Contains(string(r.body), "Application '"+m.ClientID+"'(mi-1) is not assigned to a role for the application '"+api.AppID+"'(api).") {
		t.Errorf("%s", r.body)
	}
	resource, err := w.dir.ServicePrincipal(ctx, w.caller, directory.Ref{AppID: api.AppID})
	w.check(err)
	_, err = w.dir.AddGrant(ctx, w.caller, directory.Grant{PrincipalID: m.PrincipalID, ResourceID: resource.ID, AppRoleID: role.ID})
	w.check(err)

	// A relying party that knows nothing of us verifies the token by our documents.
	token := w.post(w.tokenPath(), f).object(t)["access_token"].(string)
	client := oidc.ClientContext(ctx, w.server.Client())
	provider, err := oidc.NewProvider(client, w.server.URL+"/"+w.tenant.ID+"/v2.0")
	w.check(err)
	verified, err := provider.Verifier(&oidc.Config{ClientID: api.AppID}).Verify(client, token)
	w.check(err)
	var claims struct {
		Roles      []string `json:"roles"`
		ResourceID string   `json:"xms_mirid"`
		Object     string   `json:"oid"`
	}
	w.check(verified.Claims(&claims))
	if !slices.Equal(claims.Roles, []string{"Read"}) || claims.ResourceID != m.ResourceID() || claims.Object != m.PrincipalID {
		t.Errorf("claims %+v", claims)
	}
}

func TestIssuerTrouble(t *testing.T) {
	t.Run("unreachable", func(t *testing.T) {
		w := newWorld(t, "127.0.0.1")
		w.issuer.SetFaults(localissuer.Faults{Status: 500})
		w.wantRefusal(t, w.post(w.tokenPath(), w.fields(), "Client-Request-Id", "aaaaaaaa-1111-4222-8333-444444444444"), 501661, 400, "Request to External OIDC endpoint failed. Trace")
	})
	t.Run("invalid document", func(t *testing.T) {
		w := newWorld(t, "127.0.0.1")
		w.issuer.SetFaults(localissuer.Faults{Body: []byte("{}")})
		w.wantRefusal(t, w.post(w.tokenPath(), w.fields(), "Client-Request-Id", "aaaaaaaa-1111-4222-8333-444444444444"), 501661, 400, "")
	})
	t.Run("address", func(t *testing.T) {
		w := newWorld(t, "")
		w.wantRefusal(t, w.post(w.tokenPath(), w.fields(), "Client-Request-Id", "aaaaaaaa-1111-4222-8333-444444444444"), 501661, 400, "--issuer-allow")
		if discovery, _ := w.issuer.Fetches(); discovery != 0 {
			t.Error("the issuer was asked")
		}
	})
}

func TestTooMany(t *testing.T) {
	w := newWorld(t, "127.0.0.1")
	surface := w.surface
	w.server.Config.Handler = http.HandlerFunc(surface.TooMany)
	w.wantRefusal(t, w.post(w.tokenPath(), w.fields(), "Client-Request-Id", "aaaaaaaa-1111-4222-8333-444444444444"), 90055, 429, "")
}

// A database that is gone is an answer to try again, and the log has the cause.
func TestUnavailable(t *testing.T) {
	w := newWorld(t, "127.0.0.1")
	f := w.fields()
	w.check(w.dir.DB.Close())
	w.wantRefusal(t, w.post(w.tokenPath(), f, "Client-Request-Id", "aaaaaaaa-1111-4222-8333-444444444444"), 90033, 503, "")
}
