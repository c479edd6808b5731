package issuer

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/db"
	"github.com/go-jose/go-jose/v4"
)

// epoch is when the tests take place.
var epoch = time.Unix(2_000_000_000, 0)

// testClock is a clock that only tests move.
type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// authority signs server certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

var newAuthority = sync.OnceValue(func() *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return &authority{certificate, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
})

// serverCertificate makes a certificate for names and addresses that ends at notAfter.
func (a *authority) serverCertificate(t *testing.T, notAfter time.Time, hosts ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test server"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: notAfter, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serve starts a TLS server on loopback for 127.0.0.1 and the names.
func serve(t *testing.T, handler http.Handler, names ...string) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{Certificates: []tls.Certificate{newAuthority().serverCertificate(t, time.Now().Add(time.Hour), append(names, "127.0.0.1")...)}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// signer is a private key of a fake issuer.
type signer struct {
	kid, alg string
	key      crypto.Signer
}

// Generating keys of a set takes seconds in all; each name is made once.
var (
	signersMu sync.Mutex
	signers   = make(map[string]*signer)
)

// newSigner returns the key of that id, which is the same key each time within one test binary.
func newSigner(t testing.TB, kid, alg string) *signer {
	t.Helper()
	signersMu.Lock()
	defer signersMu.Unlock()
	if s := signers[kid+" "+alg]; s != nil {
		return s
	}
	s := &signer{kid: kid, alg: alg}
	var err error
	switch alg {
	case "ES256":
		s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		s.key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "EdDSA":
		_, s.key, err = ed25519.GenerateKey(rand.Reader)
	default:
		s.key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	signers[kid+" "+alg] = s
	return s
}

func (s *signer) jwk() jose.JSONWebKey {
	return jose.JSONWebKey{Key: s.key.Public(), KeyID: s.kid, Algorithm: s.alg, Use: "sig"}
}

// sign signs the claims; header parameters are added to alg and kid.
func (s *signer) sign(t testing.TB, claims any, header map[jose.HeaderKey]any) string {
	t.Helper()
	payload, ok := claims.([]byte)
	if !ok {
		var err error
		if payload, err = json.Marshal(claims); err != nil {
			t.Fatal(err)
		}
	}
	options := &jose.SignerOptions{ExtraHeaders: header}
	if s.kid != "" {
		options = options.WithHeader("kid", s.kid)
	}
	maker, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(s.alg), Key: s.key}, options)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := maker.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func claims(issuer string) map[string]any {
	return map[string]any{
		"iss": issuer, "sub": "system:serviceaccount:ns1:sa1", "aud": []string{"api://AzureADTokenExchange"},
		"exp": epoch.Add(time.Hour).Unix(), "iat": epoch.Unix(), "nbf": epoch.Unix(),
	}
}

// keySetJSON is the key set of signers, and of raw keys besides.
func keySetJSON(t testing.TB, signers []*signer, raw ...string) []byte {
	t.Helper()
	keys := make([]json.RawMessage, 0)
	for _, s := range signers {
		data, err := json.Marshal(s.jwk())
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, data)
	}
	for _, key := range raw {
		keys = append(keys, json.RawMessage(key))
	}
	data, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// fakeIssuer is an issuer over real TLS that publishes what a test tells it to.
type fakeIssuer struct {
	t       *testing.T
	server  *httptest.Server
	url     string // with its trailing slash
	signers []*signer

	mu          sync.Mutex
	discovery   int // how often each was asked for
	keys        int
	document    []byte // discovery document
	keySet      []byte
	maxAge      string // Cache-Control
	fault       http.HandlerFunc
	faultOnKeys bool // the fault is at the key set, not at both
}

func newFakeIssuer(t *testing.T, signers ...*signer) *fakeIssuer {
	t.Helper()
	f := &fakeIssuer{t: t, signers: signers, maxAge: "public, max-age=3600"}
	f.server = serve(t, f, "issuer.example")
	f.url = f.server.URL + "/t1/"
	f.publish(signers...)
	f.describe(f.url, f.server.URL+"/keys")
	return f
}

// describe replaces the discovery document.
func (f *fakeIssuer) describe(issuer, keys string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.document = fmt.Appendf(nil, `{"issuer":%q,"jwks_uri":%q,"response_types_supported":["id_token"],"authorization_endpoint":""}`, issuer, keys)
}

func (f *fakeIssuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	isKeys := r.URL.Path == "/keys"
	if isKeys {
		f.keys++
	} else {
		f.discovery++
	}
	fault, document, keySet, maxAge := f.fault, f.document, f.keySet, f.maxAge
	if f.faultOnKeys && !isKeys {
		fault = nil
	}
	f.mu.Unlock()
	switch {
	case fault != nil:
		fault(w, r)
	case isKeys:
		w.Header().Set("Cache-Control", maxAge)
		w.Write(keySet)
	case r.URL.Path == "/t1/.well-known/openid-configuration":
		w.Write(document)
	default:
		http.NotFound(w, r)
	}
}

// publish replaces the key set.
func (f *fakeIssuer) publish(signers ...*signer) { f.publishRaw(keySetJSON(f.t, signers)) }

func (f *fakeIssuer) publishRaw(keySet []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keySet = keySet
}

// fail makes the issuer answer every request with the fault; nil mends it.
func (f *fakeIssuer) fail(fault http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// fetches is how often the issuer was asked.
func (f *fakeIssuer) fetches() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return max(f.discovery, f.keys)
}

func (f *fakeIssuer) source() Source {
	return Source{TenantID: "tenant", ID: "issuer " + f.url, URL: f.url, CAPEM: newAuthority().pem, Revision: 1}
}

// token is a good token by the issuer's first key.
func (f *fakeIssuer) token() string { return f.signers[0].sign(f.t, claims(f.url), nil) }

// newVerifier makes a Verifier that may ask issuers on loopback.
func newVerifier(t *testing.T, c Config) (*Verifier, *testClock) {
	t.Helper()
	clock := &testClock{now: epoch}
	if c.Clock == nil {
		c.Clock = clock.Now
	}
	if c.Allow == nil {
		c.Allow = []string{"127.0.0.0/8"}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	v, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return v, clock
}

func openDB(t *testing.T) *db.DB {
	t.Helper()
	d, err := db.Open(context.Background(), filepath.Join(t.TempDir(), "entente.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// wantKind fails the test unless err is an *Error of that kind; "" wants none.
func wantKind(t *testing.T, err error, want ErrKind) {
	t.Helper()
	if KindOf(err) != want || want == "" && err != nil {
		t.Fatalf("got %q (%v), want %q", KindOf(err), err, want)
	}
}

// peek is what a token says, if it can be read.
func peek(token string) (Peeked, error) {
	t, err := Read(token)
	if err != nil {
		return Peeked{}, err
	}
	return t.Says(), nil
}

// verify reads a token and verifies it.
func verify(v *Verifier, ctx context.Context, src Source, token string) (Peeked, error) {
	t, err := Read(token)
	if err != nil {
		return Peeked{}, err
	}
	return v.Verify(ctx, src, t)
}
