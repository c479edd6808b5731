package localissuer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
)

func start(t *testing.T, c Config, others ...*Issuer) *Issuer {
	t.Helper()
	i, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	if err := i.Start(t.Context(), "127.0.0.1:0", others...); err != nil {
		t.Fatal(err)
	}
	return i
}

func client(t *testing.T, caPEM []byte) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(caPEM) {
		t.Fatal("no certificate in CAPEM")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// go-oidc stands for every relying party that knows nothing of us.
func TestRelyingPartyAcceptsTokens(t *testing.T) {
	for name, config := range map[string]Config{
		"root":          {},
		"root, bare":    {Bare: true},
		"path":          {Path: "/t1/c1/"},
		"path, bare":    {Path: "/t1/c1"},
		"RSA":           {Algorithm: "RS256", Path: "/t1/c1/"},
		"as on AKS, EC": {Algorithm: "ES384", Path: "/t1/c1/"},
	} {
		t.Run(name, func(t *testing.T) {
			if config.Algorithm == "" {
				config.Algorithm = "ES256"
			}
			i := start(t, config)
			ctx := oidc.ClientContext(t.Context(), client(t, i.CAPEM()))
			provider, err := oidc.NewProvider(ctx, i.URL())
			if err != nil {
				t.Fatal(err)
			}
			verifier := provider.VerifierContext(ctx, &oidc.Config{ClientID: DefaultAudience, SupportedSigningAlgs: []string{config.Algorithm}})
			token, err := verifier.Verify(ctx, mint(t, i, Token{Namespace: "pets", ServiceAccount: "cat"}))
			if err != nil {
				t.Fatal(err)
			}
			if token.Subject != "system:serviceaccount:pets:cat" || token.Issuer != i.URL() {
				t.Errorf("token of %q by %q", token.Subject, token.Issuer)
			}
			if d, k := i.Fetches(); d != 1 || k != 1 {
				t.Errorf("%d and %d fetches", d, k)
			}
		})
	}
}

func TestURLs(t *testing.T) {
	for name, tt := range map[string]struct {
		config Config
		suffix string
	}{
		"default": {Config{}, "/"},
		"bare":    {Config{Bare: true}, ""},
		"path":    {Config{Path: "/t1/c1/"}, "/t1/c1/"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.config.Algorithm = "ES256"
			i := start(t, tt.config)
			port, ok := strings.CutPrefix(i.URL(), "https://127.0.0.1:")
			if port = strings.TrimSuffix(port, tt.suffix); !ok || strings.Trim(port, "0123456789") != "" {
				t.Errorf("URL %q does not end in a port and %q", i.URL(), tt.suffix)
			}
		})
	}
	if i := start(t, Config{URL: testURL, Algorithm: "ES256"}); i.URL() != testURL {
		t.Errorf("URL %q is not the configured one", i.URL())
	}
}

func TestOneListenerForSeveralIssuers(t *testing.T) {
	second, err := New(Config{Algorithm: "ES256", Path: "/t1/c2/"})
	if err != nil {
		t.Fatal(err)
	}
	first := start(t, Config{Algorithm: "ES256", Path: "/t1/c1/"}, second)
	if string(first.CAPEM()) != string(second.CAPEM()) {
		t.Error("one listener, two CAs")
	}
	second.SetFaults(Faults{Status: http.StatusServiceUnavailable})
	for _, tt := range []struct {
		issuer *Issuer
		status int
	}{{first, http.StatusOK}, {second, http.StatusServiceUnavailable}} {
		r, err := client(t, first.CAPEM()).Get(tt.issuer.URL() + "openid/v1/jwks")
		if err != nil {
			t.Fatal(err)
		}
		if body := read(t, r); body != string(tt.issuer.JWKS()) || r.StatusCode != tt.status {
			t.Errorf("%s: %s %s", tt.issuer.URL(), r.Status, body)
		}
	}
	if _, keys := first.Fetches(); keys != 1 {
		t.Errorf("%d fetches from the first issuer", keys)
	}
}

func TestStartRefuses(t *testing.T) {
	i, other := newIssuer(t), newIssuer(t)
	t.Cleanup(i.Close)
	for addr, want := range map[string]string{
		"0.0.0.0:0":   "loopback",
		"nonsense":    "start issuer",
		"127.0.0.1:x": "start issuer",
	} {
		if err := i.Start(t.Context(), addr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("start at %q: %v", addr, err)
		}
	}
	if err := i.Start(t.Context(), "127.0.0.1:0", other); err == nil || !strings.Contains(err.Error(), "two issuers") {
		t.Errorf("two issuers at one path: %v", err)
	}
	if err := i.Start(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if err := i.Start(t.Context(), "127.0.0.1:0"); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("second start: %v", err)
	}
}

func TestStrangersAreRefused(t *testing.T) {
	i, other := start(t, Config{Algorithm: "ES256"}), start(t, Config{Algorithm: "ES256"})
	if r, err := client(t, other.CAPEM()).Get(i.URL() + "openid/v1/jwks"); err == nil {
		r.Body.Close()
		t.Error("the CA of another issuer is trusted")
	}
}

func TestCloseAndStartAgain(t *testing.T) {
	i := start(t, Config{Algorithm: "ES256"})
	url, ca := i.URL(), i.CAPEM()
	addr := strings.Trim(strings.TrimPrefix(url, "https://"), "/")
	i.Close()
	i.Close()
	if r, err := client(t, ca).Get(url + "openid/v1/jwks"); err == nil {
		r.Body.Close()
		t.Error("a closed issuer answers")
	}
	if token := mint(t, i, Token{}); claims(t, token)["iss"] != url {
		t.Error("a closed issuer mints for another URL")
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := i.Start(ctx, addr); err != nil {
		t.Fatal(err)
	}
	if i.URL() != url || string(i.CAPEM()) != string(ca) {
		t.Error("the issuer came back as another one")
	}
	r, err := client(t, ca).Get(url + "openid/v1/jwks")
	if err != nil {
		t.Fatal(err)
	}
	read(t, r)
	cancel()
	<-i.listener.done
	if err := i.Start(t.Context(), addr); err != nil {
		t.Errorf("start after the context had ended: %v", err)
	}
}

// A hanging answer must not keep Close waiting.
func TestCloseEndsHangingAnswers(t *testing.T) {
	i := start(t, Config{Algorithm: "ES256"})
	arrived := make(chan struct{})
	i.SetFaults(Faults{Hang: true, Hook: func(*http.Request) { close(arrived) }})
	c, failed := client(t, i.CAPEM()), make(chan error, 1)
	go func() {
		r, err := c.Get(i.URL() + "openid/v1/jwks")
		if err == nil {
			r.Body.Close()
		}
		failed <- err
	}()
	<-arrived
	i.Close()
	if err := <-failed; err == nil {
		t.Error("the hanging request was answered")
	}
}
