package portal

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/entente-id/entente/internal/testkit/browser"
)

// provider is an OpenID Connect provider on another site, at which everybody is
// Jane, once she says so.
type provider struct {
	*httptest.Server
	ca  string
	key *rsa.PrivateKey

	mu     sync.Mutex
	grants map[string]url.Values // the request of each code that is unused
}

const providerClient = "entente"

func newProvider(t *testing.T) *provider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{key: key, grants: map[string]url.Values{}, ca: filepath.Join(t.TempDir(), "provider-ca.pem")}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		write(w, map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"},
			"code_challenge_methods_supported": []string{"S256"}, "token_endpoint_auth_methods_supported": []string{"none"}, "authorization_response_iss_parameter_supported": true,
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, r *http.Request) {
		write(w, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "RS256", Use: "sig"}}})
	})
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	p.Server = httptest.NewTLSServer(mux)
	t.Cleanup(p.Close)
	if err := os.WriteFile(p.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *provider) flags() []string {
	return []string{"--portal-oidc-issuer", p.URL, "--portal-oidc-client-id", providerClient, "--portal-oidc-ca", p.ca,
		"--portal-oidc-role", "groups=platform:Owner", "--portal-oidc-role", "groups=platform:Application.ReadWrite.All"}
}

func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	code := rand.Text()
	p.mu.Lock()
	p.grants[code] = q
	p.mu.Unlock()
	back := q.Get("redirect_uri") + "?" + url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.URL}}.Encode()
	w.Header().Set("Content-Type", "text/html")
	fmt.Fprintf(w, `<!doctype html><title>Sign in</title><link rel="icon" href="data:,"><p>Good morning</p><a href="%s">I am Jane</a>`, html.EscapeString(back))
}

func (p *provider) token(w http.ResponseWriter, r *http.Request) {
	code := r.PostFormValue("code")
	p.mu.Lock()
	q, ok := p.grants[code]
	delete(p.grants, code)
	p.mu.Unlock()
	challenge := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	if !ok || q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(challenge[:]) || r.PostForm.Get("client_id") != providerClient {
		w.WriteHeader(http.StatusBadRequest)
		write(w, map[string]string{"error": "invalid_grant"})
		return
	}
	claims, err := json.Marshal(map[string]any{
		"iss": p.URL, "sub": "248289761001", "aud": providerClient, "exp": time.Now().Add(5 * time.Minute).Unix(), "iat": time.Now().Unix(), "nonce": q.Get("nonce"),
		"preferred_username": "jane", "groups": []string{"staff", "platform"},
	})
	if err != nil {
		panic(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: p.key, KeyID: "k"}}, nil)
	if err != nil {
		panic(err)
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		panic(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		panic(err)
	}
	write(w, map[string]any{"access_token": rand.Text(), "token_type": "Bearer", "expires_in": 300, "id_token": token})
}

func write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// Somebody comes with a bookmark, signs in on another site, and is where the
// bookmark leads, in spite of cookies that no other site's page may send.
func testProvider(t *testing.T, w *town) {
	app := w.application(t, "jane's")
	b := browser.Open(t, w.site, browser.Site{URL: w.provider.URL, CAFile: w.provider.ca})
	b.Expect(browser.Console, "401")
	b.Go("/portal/applications/" + app.ID)
	b.Click("Sign in with your organisation")
	b.See("Good morning")
	b.Click("I am Jane")
	b.AtURL("/portal/applications/" + app.ID)
	b.Await("heading", "jane's")
	b.See("jane")

	// What she may do, she does.
	b.Click("Certificates & secrets")
	blade(b, w.issuer.URL())
	w.works(t, app.AppID, "pets", "workload-identity-sa")

	// The answer counts once.
	var callback string
	for _, r := range b.Requests() {
		if u, err := url.Parse(r.URL); err == nil && u.Path == "/portal/sign-in/callback" {
			callback = u.RequestURI()
		}
	}
	b.Click("Sign out")
	b.See("Sign in with your organisation")
	b.Expect(browser.Console, "400")
	b.Go(callback)
	b.NotSee("Sign out")
}

// Whoever has signed in follows a link on another site's page.
func testLinkFromElsewhere(t *testing.T, w *town) {
	elsewhere := otherSite(t, http.HandlerFunc(func(r http.ResponseWriter, q *http.Request) {
		r.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(r, `<!doctype html><title>Wiki</title><link rel="icon" href="data:,"><a href="%s/portal/applications/%s/credentials">The pets' credentials</a>`, w.Authority, w.shown.ID)
	}))
	there, err := url.Parse(elsewhere.URL)
	if err != nil {
		t.Fatal(err)
	}
	b := browser.Open(t, w.site, elsewhere)
	w.signIn(t, b)
	b.Go("https://127.0.0.1:" + there.Port())
	b.Click("The pets' credentials")
	b.AtURL("/portal/applications/" + w.shown.ID + "/credentials")
	b.Await("heading", "Certificates & secrets")
	for _, p := range b.Problems() { // the first answer was to nobody
		b.Expect(p.Kind, "401")
	}

	// And whoever has not is asked to.
	stranger := browser.Open(t, w.site, elsewhere)
	stranger.Go("https://127.0.0.1:" + there.Port())
	stranger.Click("The pets' credentials")
	stranger.See("Sign in")
	stranger.NotSee("kubernetes")
	for _, p := range stranger.Problems() {
		stranger.Expect(p.Kind, "401")
	}
}
