package portal

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/keys"
)

const (
	testClient   = "entente portal:7" // both need escaping in Basic
	testSecret   = "s3cret/+ canary"
	testRedirect = "https://entente.example.org/portal/sign-in/callback"
)

// fakeProvider is an OpenID Connect provider that keeps the rules, unless a
// test changes what it says.
type fakeProvider struct {
	*httptest.Server
	t   *testing.T
	key crypto.Signer
	alg jose.SignatureAlgorithm

	mu     sync.Mutex
	now    time.Time
	back   string                 // the redirect URI that is registered
	asked  map[string]int         // requests by path
	grants map[string]grantedCode // by code
	public bool                   // no secret is wanted

	discovery func(document map[string]any)
	claims    func(claims map[string]any)
	sign      func(payload []byte) string
	answer    func(path string, w http.ResponseWriter, r *http.Request) bool // true: answered
}

// grantedCode is an authorization request that was granted.
type grantedCode struct {
	query url.Values
	used  bool
}

func newFakeProvider(t *testing.T) *fakeProvider {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &fakeProvider{
		t: t, key: key, alg: jose.ES256, back: testRedirect, now: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC), asked: map[string]int{}, grants: map[string]grantedCode{},
		discovery: func(map[string]any) {}, claims: func(map[string]any) {}, answer: func(string, http.ResponseWriter, *http.Request) bool { return false },
	}
	p.sign = func(payload []byte) string { return signAs(t, p.key, p.alg, payload) }
	p.Server = httptest.NewTLSServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.Close)
	return p
}

func (p *fakeProvider) useKey(alg jose.SignatureAlgorithm) {
	var err error
	switch p.alg = alg; alg {
	case jose.RS256, jose.PS256:
		p.key, err = rsa.GenerateKey(rand.Reader, 2048)
	case jose.EdDSA:
		_, p.key, err = ed25519.GenerateKey(rand.Reader)
	default:
		err = fmt.Errorf("no key for %s", alg)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *fakeProvider) clock() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *fakeProvider) pass(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}

func (p *fakeProvider) count(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[path]
}

func (p *fakeProvider) serve(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[r.URL.Path]++
	if p.answer(r.URL.Path, w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		document := map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
			"response_types_supported": []string{"code", "id_token"}, "id_token_signing_alg_values_supported": []string{"none", "HS256", string(p.alg)},
			"code_challenge_methods_supported": []string{"plain", "S256"}, "authorization_response_iss_parameter_supported": true,
		}
		p.discovery(document)
		json.NewEncoder(w).Encode(document)
	case "/keys":
		json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: p.key.Public(), KeyID: "k", Use: "sig"}}})
	case "/token":
		p.token(w, r)
	default:
		http.NotFound(w, r)
	}
}

// authorize is what a person's agreement makes of the URL that start sent them to.
func (p *fakeProvider) authorize(to string) url.Values {
	p.t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		p.t.Fatal(err)
	}
	q := u.Query()
	if u.Path != "/authorize" || q.Get("response_type") != "code" || q.Get("client_id") != testClient || q.Get("redirect_uri") != p.back || q.Get("code_challenge_method") != "S256" {
		p.t.Fatalf("sent to %s", to)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	code := "canary-code-" + rand.Text()
	p.grants[code] = grantedCode{query: q}
	return url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.URL}}
}

func (p *fakeProvider) token(w http.ResponseWriter, r *http.Request) {
	refuse := func(code string) {
		w.WriteHeader(http.StatusBadRequest)
		json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": "canary words"})
	}
	if err := r.ParseForm(); err != nil || r.Method != http.MethodPost || len(r.URL.RawQuery) > 0 {
		refuse("invalid_request")
		return
	}
	id, secret, basic := r.BasicAuth()
	id, _ = url.QueryUnescape(id)
	secret, _ = url.QueryUnescape(secret)
	if !basic {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	if id != testClient || p.public == (secret == testSecret) {
		refuse("invalid_client")
		return
	}
	code := r.PostForm.Get("code")
	grant, ok := p.grants[code]
	challenge := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	if !ok || grant.used || r.PostForm.Get("grant_type") != "authorization_code" || r.PostForm.Get("redirect_uri") != p.back ||
		grant.query.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(challenge[:]) {
		refuse("invalid_grant")
		return
	}
	p.grants[code] = grantedCode{grant.query, true}
	access := "canary-access-" + rand.Text()
	hash := sha256.Sum256([]byte(access))
	claims := map[string]any{
		"iss": p.URL, "sub": "248289761001", "aud": testClient, "exp": p.now.Add(5 * time.Minute).Unix(), "iat": p.now.Unix(), "nonce": grant.query.Get("nonce"),
		"preferred_username": "j.doe", "email": "jane@example.org", "groups": []string{"staff", "platform"},
	}
	if p.alg != jose.EdDSA {
		claims["at_hash"] = base64.RawURLEncoding.EncodeToString(hash[:16])
	}
	p.claims(claims)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	payload, err := json.Marshal(claims)
	if err != nil {
		p.t.Error(err)
	}
	json.NewEncoder(w).Encode(map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": p.sign(payload)})
}

func signAs(t *testing.T, key any, alg jose.SignatureAlgorithm, payload []byte) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, nil)
	if err != nil {
		t.Error(err)
		return ""
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Error(err)
		return ""
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Error(err)
	}
	return text
}

// config names p, and who gets which roles.
func (p *fakeProvider) config(roles ...ClaimRole) Provider {
	roots := x509.NewCertPool()
	roots.AddCert(p.Certificate())
	return Provider{Issuer: p.URL, ClientID: testClient, ClientSecret: testSecret, RootCAs: roots, Roles: roles}
}

// upstream is this service's side of p.
func (p *fakeProvider) upstream(change ...func(*Provider)) *upstream {
	p.t.Helper()
	seal, err := keys.NewSealer(make([]byte, keys.SealerSize))
	if err != nil {
		p.t.Fatal(err)
	}
	config := p.config(ClaimRole{"groups", "platform", directory.PortalRole{Name: "Owner"}})
	for _, f := range change {
		f(&config)
	}
	return newUpstream(config, testRedirect, seal, p.clock)
}

// startSignIn begins a sign-in in a browser without cookies.
func startSignIn(t *testing.T, u *upstream, returnTo string) (cookie *http.Cookie, location string) {
	t.Helper()
	w := httptest.NewRecorder()
	if err := u.start(w, httptest.NewRequest("GET", "/portal/sign-in/provider", nil), returnTo); err != nil {
		t.Fatal(err)
	}
	response := w.Result()
	if response.StatusCode != http.StatusSeeOther || len(response.Cookies()) != 1 {
		t.Fatalf("status %d with %d cookies", response.StatusCode, len(response.Cookies()))
	}
	return response.Cookies()[0], response.Header.Get("Location")
}

// bringAnswer brings an answer back.
func bringAnswer(u *upstream, query string, cookies ...*http.Cookie) (Person, string, *http.Response, error) {
	r := httptest.NewRequest("GET", "/portal/sign-in/callback", nil)
	r.URL.RawQuery = query
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	who, to, err := u.finish(w, r)
	return who, to, w.Result(), err
}
