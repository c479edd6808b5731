package portal

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/internal/directory"
)

func TestSignInAtAProvider(t *testing.T) {
	for name, tt := range map[string]struct {
		provider func(*fakeProvider)
		config   func(*Provider)
		want     Person
	}{
		"a secret": {want: Person{"248289761001", "j.doe", nil}},
		"a secret that is wanted in the form": {
			provider: func(p *fakeProvider) {
				p.discovery = func(d map[string]any) {
					d["token_endpoint_auth_methods_supported"] = []string{"client_secret_post", "private_key_jwt"}
				}
			},
			want: Person{"248289761001", "j.doe", nil},
		},
		"no secret": {provider: func(p *fakeProvider) { p.public = true }, config: func(c *Provider) { c.ClientSecret = "" }, want: Person{"248289761001", "j.doe", nil}},
		"RS256, which need not be named": {
			provider: func(p *fakeProvider) {
				p.useKey(jose.RS256)
				p.discovery = func(d map[string]any) { delete(d, "id_token_signing_alg_values_supported") }
			},
			want: Person{"248289761001", "j.doe", nil},
		},
		"PS256": {provider: func(p *fakeProvider) { p.useKey(jose.PS256) }, want: Person{"248289761001", "j.doe", nil}},
		"EdDSA": {provider: func(p *fakeProvider) { p.useKey(jose.EdDSA) }, want: Person{"248289761001", "j.doe", nil}},
		"a discovery document of the least": {
			provider: func(p *fakeProvider) {
				p.discovery = func(d map[string]any) {
					delete(d, "code_challenge_methods_supported")
					delete(d, "authorization_response_iss_parameter_supported")
					delete(d, "response_types_supported")
				}
			},
			want: Person{"248289761001", "j.doe", nil},
		},
		"two audiences, made for this client": {
			provider: func(p *fakeProvider) {
				p.claims = func(c map[string]any) { c["aud"], c["azp"] = []string{"other", testClient}, testClient }
			},
			want: Person{"248289761001", "j.doe", nil},
		},
		"no at_hash": {provider: func(p *fakeProvider) { p.claims = func(c map[string]any) { c["at_hash"] = nil } }, want: Person{"248289761001", "j.doe", nil}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newFakeProvider(t)
			if tt.provider != nil {
				tt.provider(p)
			}
			if tt.config == nil {
				tt.config = func(*Provider) {}
			}
			u := p.upstream(tt.config)
			cookie, location := startSignIn(t, u, "/portal/applications?q=a")
			who, to, response, err := bringAnswer(u, p.authorize(location).Encode(), cookie)
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Roles = []directory.PortalRole{{Name: "Owner"}}
			if diff := cmp.Diff(tt.want, who); diff != "" {
				t.Error(diff)
			}
			if to != "/portal/applications?q=a" {
				t.Errorf("returns to %q", to)
			}
			if c := response.Cookies(); len(c) != 1 || c[0].Name != cookie.Name || c[0].Value != "" || c[0].MaxAge >= 0 || c[0].Path != "/" || !c[0].Secure {
				t.Errorf("cookies are %v, want the one cleared", c)
			}
			if got := response.Header.Get("Cache-Control") + ", " + response.Header.Get("Referrer-Policy"); got != "no-store, no-referrer" {
				t.Errorf("headers are %s", got)
			}
		})
	}
}

func TestStartOfASignIn(t *testing.T) {
	p := newFakeProvider(t)
	p.discovery = func(d map[string]any) { d["authorization_endpoint"] = p.URL + "/authorize?tenant=7" }
	u := p.upstream(func(c *Provider) { c.Scopes = []string{"groups", "email"} })
	cookie, location := startSignIn(t, u, "")
	want := &http.Cookie{Name: "__Host-entente-signin", Path: "/", MaxAge: 600, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	sealed := cookie.Value
	cookie.Value, cookie.Raw = "", ""
	if diff := cmp.Diff(want, cookie); diff != "" {
		t.Error(diff)
	}
	to, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	q := to.Query()
	for name, value := range map[string]string{"tenant": "7", "scope": "openid profile email groups", "response_type": "code", "redirect_uri": testRedirect, "client_id": testClient} {
		if q.Get(name) != value {
			t.Errorf("%s is %q, want %q", name, q.Get(name), value)
		}
	}
	again, elsewhere := startSignIn(t, u, "")
	other, _ := url.Parse(elsewhere)
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if v := q.Get(name); len(v) != 43 || v == other.Query().Get(name) || strings.Contains(sealed, v) {
			t.Errorf("%s is %q: not 256 bits, or the same twice, or readable in the cookie", name, v)
		}
	}
	if again.Value == sealed {
		t.Error("two cookies are the same")
	}
	if n := p.count("/.well-known/openid-configuration"); n != 1 {
		t.Errorf("discovered %d times", n)
	}
	if err := u.start(httptest.NewRecorder(), httptest.NewRequest("HEAD", "/portal/sign-in/provider", nil), ""); !errors.Is(err, errNotGet) {
		t.Errorf("HEAD: got %v", err)
	}
}

// TestAttacksOnASignIn: each of these must end without a person, and those that
// show no right to a code must not even reach the token endpoint.
func TestAttacksOnASignIn(t *testing.T) {
	type flow struct {
		p       *fakeProvider
		u       *upstream
		query   url.Values
		raw     string // instead of query
		cookies []*http.Cookie
	}
	claims := func(change func(f *flow, c map[string]any)) func(*flow) {
		return func(f *flow) { f.p.claims = func(c map[string]any) { change(f, c) } }
	}
	set := func(name string, value any) func(*flow) {
		return claims(func(_ *flow, c map[string]any) { c[name] = value })
	}
	forged := newFakeProvider(t)
	for name, tt := range map[string]struct {
		attack func(*flow)
		status int
		log    string // part of the error's text for the log
		asked  bool   // the token endpoint
	}{
		// the browser's side: sign-in forged from another site (RFC 6749 section 10.12)
		"no cookie":             {attack: func(f *flow) { f.cookies = nil }, status: 400, log: "not one sign-in cookie"},
		"an empty cookie":       {attack: func(f *flow) { f.cookies[0].Value = "" }, status: 400, log: "does not open"},
		"two cookies":           {attack: func(f *flow) { c, _ := startSignIn(t, f.u, ""); f.cookies = append(f.cookies, c) }, status: 400, log: "not one"},
		"another's cookie":      {attack: func(f *flow) { c, _ := startSignIn(t, f.u, ""); f.cookies[0] = c }, status: 400, log: "state is not"},
		"a changed cookie":      {attack: func(f *flow) { f.cookies[0].Value = "A" + f.cookies[0].Value[1:] + "AAAA" }, status: 400, log: "does not open"},
		"a cookie of no base64": {attack: func(f *flow) { f.cookies[0].Value = "%%" }, status: 400, log: "base64url"},
		"a cookie of yesterday": {attack: func(f *flow) { f.p.pass(attemptLife) }, status: 400, log: "expired"},
		"a cookie under other roles": {
			attack: func(f *flow) { f.u = f.p.upstream(func(c *Provider) { c.Roles[0].Value = "staff" }) }, status: 400, log: "does not open",
		},
		"no state":           {attack: func(f *flow) { f.query.Del("state") }, status: 400, log: "state is not"},
		"an empty state":     {attack: func(f *flow) { f.query.Set("state", "") }, status: 400, log: "state is not"},
		"another state":      {attack: func(f *flow) { f.query.Set("state", strings.Repeat("A", 43)) }, status: 400, log: "state is not"},
		"state twice":        {attack: func(f *flow) { f.query.Add("state", f.query.Get("state")) }, status: 400, log: "2 times"},
		"code twice":         {attack: func(f *flow) { f.query.Add("code", "other") }, status: 400, log: "2 times"},
		"iss twice":          {attack: func(f *flow) { f.query.Add("iss", "https://other.example.org") }, status: 400, log: "2 times"},
		"no code":            {attack: func(f *flow) { f.query.Del("code") }, status: 400, log: "neither"},
		"a query of no sort": {attack: func(f *flow) { f.raw = "state=%zz" }, status: 400, log: "invalid URL escape"},
		"a huge query":       {attack: func(f *flow) { f.query.Set("code", strings.Repeat("x", maxAnswer)) }, status: 400, log: "bytes"},
		"an answer and an error": {
			attack: func(f *flow) { f.query.Set("error", "access_denied") }, status: 403, log: "access_denied",
		},
		// mix-up (RFC 9207)
		"another's iss": {attack: func(f *flow) { f.query.Set("iss", "https://other.example.org") }, status: 400, log: "https://other.example.org"},
		"an empty iss":  {attack: func(f *flow) { f.query.Set("iss", "") }, status: 400, log: "iss is"},
		"no iss":        {attack: func(f *flow) { f.query.Del("iss") }, status: 400, log: "iss is"},
		"another's iss, where none was promised": {
			attack: func(f *flow) {
				f.p.discovery = func(d map[string]any) { delete(d, "authorization_response_iss_parameter_supported") }
				f.p.pass(discoveryLife)
				cookie, to := startSignIn(t, f.u, "")
				f.cookies, f.query = []*http.Cookie{cookie}, f.p.authorize(to)
				f.query.Set("iss", "https://other.example.org")
			},
			status: 400, log: "https://other.example.org",
		},
		// codes
		"a code of nobody": {attack: func(f *flow) { f.query.Set("code", "made-up") }, status: 400, log: "invalid_grant", asked: true},
		"a code of another sign-in": { // injected: the verifier does not fit
			attack: func(f *flow) { _, to := startSignIn(t, f.u, ""); f.query.Set("code", f.p.authorize(to).Get("code")) }, status: 400, log: "invalid_grant", asked: true,
		},
		"a replay of everything": {
			attack: func(f *flow) {
				if _, _, _, err := bringAnswer(f.u, f.query.Encode(), f.cookies...); err != nil {
					t.Error(err)
				}
			},
			status: 400, log: "invalid_grant", asked: true,
		},
		// the token's claims
		"another's nonce":    {attack: set("nonce", strings.Repeat("A", 43)), status: 502, log: "nonce", asked: true},
		"no nonce":           {attack: set("nonce", nil), status: 502, log: "nonce", asked: true},
		"another's issuer":   {attack: set("iss", "https://other.example.org"), status: 502, log: "different provider", asked: true},
		"another's audience": {attack: set("aud", "other"), status: 502, log: "audience", asked: true},
		"no audience":        {attack: set("aud", nil), status: 502, log: "audience", asked: true},
		"made for another": {
			attack: claims(func(_ *flow, c map[string]any) { c["aud"], c["azp"] = []string{testClient, "other"}, "other" }), status: 502, log: "azp", asked: true,
		},
		"made for another alone":        {attack: set("azp", "other"), status: 502, log: "azp", asked: true},
		"azp is no string":              {attack: set("azp", []string{testClient}), status: 502, log: "azp", asked: true},
		"made for nobody in particular": {attack: set("aud", []string{testClient, "other"}), status: 502, log: "without azp", asked: true},
		"expired":                       {attack: claims(func(f *flow, c map[string]any) { c["exp"] = f.p.now.Unix() - 1 }), status: 502, log: "expired", asked: true},
		"no expiry":                     {attack: set("exp", nil), status: 502, log: "expired", asked: true},
		"not yet":                       {attack: claims(func(f *flow, c map[string]any) { c["nbf"] = f.p.now.Unix() + 400 }), status: 502, log: "nbf", asked: true},
		"old": {
			attack: claims(func(f *flow, c map[string]any) { c["iat"] = f.p.now.Add(-tokenAge - time.Second).Unix() }), status: 502, log: "iat", asked: true,
		},
		"of the future": {
			attack: claims(func(f *flow, c map[string]any) { c["iat"] = f.p.now.Add(tokenAhead + time.Second).Unix() }), status: 502, log: "iat", asked: true,
		},
		"of no time":                    {attack: set("iat", nil), status: 502, log: "iat", asked: true},
		"nobody":                        {attack: set("sub", nil), status: 502, log: "sub", asked: true},
		"nobody, in control characters": {attack: set("sub", "a\nb"), status: 502, log: "sub", asked: true},
		"somebody endless":              {attack: set("sub", strings.Repeat("x", maxSubject+1)), status: 502, log: "sub", asked: true},
		"another access token":          {attack: set("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"), status: 502, log: "access token hash", asked: true},
		"a claim in capitals":           {attack: set("SUB", "admin"), status: 502, log: `"SUB"`, asked: true},
		"a claim in old letters":        {attack: set("\u017fub", "admin"), status: 502, log: "spelled", asked: true},
		"a claim twice": {
			attack: func(f *flow) {
				f.p.sign = func(payload []byte) string {
					return signAs(t, f.p.key, f.p.alg, []byte(strings.Replace(string(payload), "{", `{"groups":["platform"],`, 1)))
				}
			},
			status: 502, log: "twice", asked: true,
		},
		// the token's signature
		"alg none": {
			attack: func(f *flow) {
				f.p.sign = func(payload []byte) string { return "eyJhbGciOiJub25lIn0." + rawURL(payload) + "." }
			}, status: 502, log: "ID token", asked: true,
		},
		"alg HS256 with the secret": {
			attack: func(f *flow) {
				f.p.sign = func(payload []byte) string {
					return signAs(t, []byte(testSecret+testSecret+testSecret), jose.HS256, payload)
				}
			},
			status: 502, log: "HS256", asked: true,
		},
		"another's key": {
			attack: func(f *flow) {
				f.p.sign = func(payload []byte) string { return signAs(t, forged.key, jose.ES256, payload) }
			}, status: 502, log: "signature", asked: true,
		},
		"an algorithm that the provider does not name": {
			attack: func(f *flow) {
				f.p.sign = func(payload []byte) string { return signAs(t, newRSAKey(t), jose.RS256, payload) }
			},
			status: 502, log: "RS256", asked: true,
		},
		"no token at all": {attack: func(f *flow) { f.p.sign = func([]byte) string { return "" } }, status: 502, log: "ID token", asked: true},
		"no JSON":         {attack: func(f *flow) { f.p.sign = func([]byte) string { return signAs(t, f.p.key, f.p.alg, []byte("canary")) } }, status: 502, log: "ID token", asked: true},
		// the token endpoint
		"an endless answer": {
			attack: func(f *flow) {
				f.p.answer = func(path string, w http.ResponseWriter, _ *http.Request) bool {
					for i := 0; path == "/token" && i < providerBody/1000+100; i++ {
						w.Write([]byte(strings.Repeat(" ", 1000)))
					}
					return path == "/token"
				}
			},
			status: 503, asked: true,
		},
		"sent on to another": {
			attack: func(f *flow) {
				f.p.answer = func(path string, w http.ResponseWriter, r *http.Request) bool {
					if path == "/token" {
						http.Redirect(w, r, forged.URL+"/token", http.StatusTemporaryRedirect)
					}
					return path == "/token"
				}
			},
			status: 503, log: "307", asked: true,
		},
		"a secret that is wrong": {
			attack: func(f *flow) { f.u.known.config.ClientSecret = "old" }, status: 502, log: "invalid_client", asked: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newFakeProvider(t)
			f := &flow{p: p, u: p.upstream()}
			cookie, location := startSignIn(t, f.u, "/portal/groups")
			f.cookies, f.query = []*http.Cookie{cookie}, p.authorize(location)
			tt.attack(f)
			query := f.query.Encode()
			if f.raw != "" {
				query = f.raw
			}
			who, to, response, err := bringAnswer(f.u, query, f.cookies...)
			var e *signInError
			if !errors.As(err, &e) {
				t.Fatalf("got %+v and error %v, want a refusal", who, err)
			}
			if e.Status != tt.status || !strings.Contains(err.Error(), tt.log) {
				t.Errorf("got status %d and %q, want %d and %q", e.Status, err, tt.status, tt.log)
			}
			if who.Subject != "" || len(who.Roles) > 0 || to != "" {
				t.Errorf("with the refusal came %+v, %q", who, to)
			}
			if len(response.Cookies()) != 1 || response.Cookies()[0].MaxAge >= 0 {
				t.Error("the cookie is not cleared")
			}
			if asked := p.count("/token") > 0; asked != tt.asked {
				t.Errorf("token endpoint asked: %v, want %v", asked, tt.asked)
			}
			if forged.count("/token") > 0 {
				t.Error("the code and the secret went to another host")
			}
			if e.Text == "" || e.Advice == "" || strings.Contains(err.Error()+e.Advice, "canary") {
				t.Errorf("%q (%q) is empty or repeats what was brought", err, e.Advice)
			}
		})
	}
}

func TestErrorsOfTheProviderInOurWords(t *testing.T) {
	p := newFakeProvider(t)
	u := p.upstream()
	for code, status := range map[string]int{
		"access_denied": 403, "server_error": 503, "temporarily_unavailable": 503, "invalid_scope": 502, "invalid_request": 502, "unauthorized_client": 502,
		"unsupported_response_type": 502, "login_required": 502, "<script>alert(1)</script>": 502, "": 502, strings.Repeat("x", 5000): 502,
	} {
		cookie, location := startSignIn(t, u, "")
		to, _ := url.Parse(location)
		query := url.Values{"state": {to.Query().Get("state")}, "iss": {p.URL}, "error": {code}, "error_description": {"canary words"}, "error_uri": {"https://canary.example.org"}}
		_, _, _, err := bringAnswer(u, query.Encode(), cookie)
		var e *signInError
		if !errors.As(err, &e) || e.Status != status || strings.Contains(err.Error()+e.Advice, "canary") || len(err.Error()) > 500 {
			t.Errorf("%.30q: got %v, want status %d", code, err, status)
			continue
		}
		known := status != 502 || strings.HasPrefix(code, "invalid_") || strings.HasPrefix(code, "un")
		if code != "" && strings.Contains(e.Text, code) != known {
			t.Errorf("%.30q: %q", code, e.Text)
		}
	}
}

func TestProviderInTrouble(t *testing.T) {
	const document = "/.well-known/openid-configuration"
	other := newFakeProvider(t)
	at := func(path string, answer http.HandlerFunc) func(*fakeProvider) {
		return func(p *fakeProvider) {
			p.answer = func(asked string, w http.ResponseWriter, r *http.Request) bool {
				if asked == path {
					answer(w, r)
				}
				return asked == path
			}
		}
	}
	says := func(change func(map[string]any)) func(*fakeProvider) {
		return func(p *fakeProvider) { p.discovery = change }
	}
	for name, tt := range map[string]struct {
		trouble func(*fakeProvider)
		status  int
	}{
		"it is down":           {at(document, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), 503},
		"it fails":             {at(document, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "canary", 500) }), 503},
		"it answers a page":    {at(document, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>canary")) }), 503},
		"it answers endlessly": {at(document, func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, providerBody+1)) }), 503},
		"it points elsewhere": {at(document, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+document, http.StatusFound)
		}), 503},
		"it points to itself":   {at(document, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, document, http.StatusFound) }), 503},
		"it is another":         {says(func(d map[string]any) { d["issuer"] = d["issuer"].(string) + "/" }), 502},
		"it signs with secrets": {says(func(d map[string]any) { d["id_token_signing_alg_values_supported"] = []string{"HS256", "none"} }), 502},
		"its tokens come in the clear": {says(func(d map[string]any) {
			d["token_endpoint"] = "http://" + strings.TrimPrefix(d["token_endpoint"].(string), "https://")
		}), 502},
		"it has no keys":              {says(func(d map[string]any) { delete(d, "jwks_uri") }), 502},
		"people are sent to a script": {says(func(d map[string]any) { d["authorization_endpoint"] = "javascript:alert(1)" }), 502},
		"it knows no codes":           {says(func(d map[string]any) { d["response_types_supported"] = []string{"id_token"} }), 502},
		"it knows no PKCE":            {says(func(d map[string]any) { d["code_challenge_methods_supported"] = []string{"plain"} }), 502},
		"its lists are no lists":      {says(func(d map[string]any) { d["token_endpoint_auth_methods_supported"] = "none" }), 503},
	} {
		t.Run(name, func(t *testing.T) {
			p := newFakeProvider(t)
			tt.trouble(p)
			u := p.upstream()
			for range 3 {
				w := httptest.NewRecorder()
				err := u.start(w, httptest.NewRequest("GET", "/portal/sign-in/provider", nil), "")
				var e *signInError
				if !errors.As(err, &e) || e.Status != tt.status || e.Text == "" || !strings.Contains(e.Advice, "entente portal-link") || strings.Contains(e.Text, "canary") {
					t.Fatalf("got %v, want status %d", err, tt.status)
				}
				if len(w.Header()) > 0 {
					t.Errorf("headers were written: %v", w.Header())
				}
			}
			if n := p.count(document); n > 4 || other.count(document) > 0 {
				t.Errorf("asked %d times, and another host %d times", n, other.count(document))
			}
			p.mu.Lock()
			p.answer, p.discovery = func(string, http.ResponseWriter, *http.Request) bool { return false }, func(map[string]any) {}
			p.mu.Unlock()
			p.pass(discoveryRest)
			startSignIn(t, u, "") // it is well again
		})
	}
}

func TestKeysOfTheProvider(t *testing.T) {
	p := newFakeProvider(t)
	u := p.upstream()
	signIn := func() error {
		t.Helper()
		cookie, location := startSignIn(t, u, "")
		_, _, _, err := bringAnswer(u, p.authorize(location).Encode(), cookie)
		return err
	}
	for range 3 {
		if err := signIn(); err != nil {
			t.Fatal(err)
		}
	}
	if n, m := p.count("/keys"), p.count("/.well-known/openid-configuration"); n != 1 || m != 1 {
		t.Errorf("asked for keys %d times and for the document %d times", n, m)
	}
	p.key = newFakeProvider(t).key // rotated, under the old name even
	if err := signIn(); err != nil {
		t.Error(err)
	}
	p.mu.Lock()
	down := func(path string, w http.ResponseWriter, _ *http.Request) bool {
		if path == "/.well-known/openid-configuration" || path == "/keys" {
			w.WriteHeader(http.StatusBadGateway)
			return true
		}
		return false
	}
	p.answer = down
	p.mu.Unlock()
	p.pass(discoveryStale - time.Second)
	if err := signIn(); err != nil {
		t.Errorf("on what was known: %v", err)
	}
	p.pass(time.Hour)
	if err := u.start(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil), ""); err == nil {
		t.Error("what was known a day ago is still used")
	}
}

func TestManyPeopleAtOnce(t *testing.T) {
	p := newFakeProvider(t)
	u := p.upstream()
	var wg sync.WaitGroup
	for range 3 * conversations {
		wg.Go(func() {
			cookie, location := startSignIn(t, u, "")
			if _, _, _, err := bringAnswer(u, p.authorize(location).Encode(), cookie); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	// When all conversations are taken, a person waits as long as their browser does.
	for range conversations {
		u.talking <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cookie, location := startSignIn(t, u, "")
	r := httptest.NewRequest("GET", "/portal/sign-in/callback?"+p.authorize(location).Encode(), nil).WithContext(ctx)
	r.AddCookie(cookie)
	if _, _, err := u.finish(httptest.NewRecorder(), r); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the end of the request", err)
	}
}

func TestFinishTakesGetOnly(t *testing.T) {
	p := newFakeProvider(t)
	u := p.upstream()
	cookie, location := startSignIn(t, u, "")
	query := p.authorize(location).Encode()
	for _, method := range []string{"HEAD", "POST"} {
		r := httptest.NewRequest(method, "/portal/sign-in/callback?"+query, nil)
		r.AddCookie(cookie)
		w := httptest.NewRecorder()
		if _, _, err := u.finish(w, r); !errors.Is(err, errNotGet) || len(w.Result().Cookies()) > 0 {
			t.Errorf("%s: got %v", method, err)
		}
	}
	if _, _, _, err := bringAnswer(u, query, cookie); err != nil {
		t.Errorf("after it: %v", err)
	}
}
