package server

import (
	"bytes"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAddressOf(t *testing.T) {
	s := &Service{config: Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}}
	for _, c := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"no proxy", "192.0.2.1:1234", nil, "192.0.2.1"},
		{"a stranger forges the header", "192.0.2.1:1234", []string{"198.51.100.7"}, "192.0.2.1"},
		{"one proxy", "10.0.0.1:1234", []string{"198.51.100.7"}, "198.51.100.7"},
		{"the client forges a hop before the proxy's", "10.0.0.1:1234", []string{"203.0.113.9, 198.51.100.7"}, "198.51.100.7"},
		{"two proxies", "10.0.0.1:1234", []string{"198.51.100.7, 10.0.0.2"}, "198.51.100.7"},
		{"two headers", "10.0.0.1:1234", []string{"198.51.100.7", "10.0.0.2"}, "198.51.100.7"},
		{"IPv6", "[fd00::1]:1234", []string{"2001:db8::5"}, "2001:db8::5"},
		{"mapped", "10.0.0.1:1234", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		{"nonsense", "10.0.0.1:1234", []string{"198.51.100.7, unknown"}, "10.0.0.1"},
		{"a trusted proxy without the header", "10.0.0.1:1234", nil, "10.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = c.peer
			for _, v := range c.forwarded {
				r.Header.Add("X-Forwarded-For", v)
			}
			if got := s.addressOf(r); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestHosts(t *testing.T) {
	c := Config{PublicURL: "https://localhost:8443", Hosts: []HostName{{Name: "login.microsoftonline.com", Tenant: "contoso"}, {Name: "fed.example.org:9443"}}, AdfsTenant: "default"}
	h := newHosts(&c)
	for host, want := range map[string][2]string{
		"localhost:8443":                {"https://localhost:8443", "default"},
		"LOCALHOST:8443":                {"https://localhost:8443", "default"},
		"127.0.0.1:8443":                {"https://127.0.0.1:8443", "default"},
		"[::1]:8443":                    {"https://[::1]:8443", "default"},
		"login.microsoftonline.com":     {"https://login.microsoftonline.com", "contoso"},
		"login.microsoftonline.com:443": {"https://login.microsoftonline.com", "contoso"},
		"fed.example.org:9443":          {"https://fed.example.org:9443", "default"},
		"fed.example.org":               {"https://localhost:8443", "default"},
		"evil.example.org":              {"https://localhost:8443", "default"},
		"":                              {"https://localhost:8443", "default"},
	} {
		if got := h.of(&http.Request{Host: host}); got.Base != want[0] || got.Tenant != want[1] {
			t.Errorf("%q: got %+v, want %q", host, got, want)
		}
	}
	names := h.names()
	slices.Sort(names)
	if want := []string{"127.0.0.1", "::1", "fed.example.org", "localhost", "login.microsoftonline.com"}; !slices.Equal(names, want) {
		t.Errorf("names %q, want %q", names, want)
	}
}

// A browser keeps the promise for a host with all its ports, and on localhost
// the others are other people's.
func TestOnlyTLSIsPromisedForNamesOfItsOwn(t *testing.T) {
	s := &Service{metrics: newMetrics("test"), log: slog.New(slog.DiscardHandler)}
	for host, want := range map[string]bool{"entente.example.org": true, "entente.example.org:8443": true, "localhost": false, "localhost:8443": false, "127.0.0.1:8443": false, "[::1]:8443": false, "[::1]": false} {
		r := httptest.NewRequest(http.MethodGet, "https://"+host+"/", nil)
		w := httptest.NewRecorder()
		s.observed(w, r)
		if got := w.Header().Get("Strict-Transport-Security") != ""; got != want {
			t.Errorf("%s: %v, want %v", host, got, want)
		}
	}
}

func TestSurfaceOf(t *testing.T) {
	s := &Service{}
	for path, want := range map[string]string{
		"/":                                 rootSurface,
		"//":                                rootSurface,
		"/v1.0/applications":                graphSurface,
		"/beta/applications//x":             graphSurface,
		"/subscriptions/x":                  armSurface,
		"/SUBSCRIPTIONS/x":                  armSurface,
		"//metadata/endpoints":              armSurface,
		"/providers/Entente.Federation":     armSurface,
		"/tenants":                          armSurface,
		"/oic/x/y/openid/v1/jwks":           hostedSurface,
		"//oic//x":                          hostedSurface,
		"/OIC":                              hostedSurface,
		"/oicx/oauth2/v2.0/token":           tokenSurface,
		"/adfs/oauth2/token":                tokenSurface,
		"/common/discovery/instance":        tokenSurface,
		"/contoso/oauth2/v2.0/token":        tokenSurface,
		"/.well-known/webfinger":            tokenSurface,
		"/v1.0x/applications":               tokenSurface,
		"/..%2fsubscriptions/oauth2/token/": tokenSurface,
	} {
		r := httptest.NewRequest(http.MethodGet, "https://localhost"+path, nil)
		if got := s.surfaceOf(r); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func TestLimiterForgetsNoMoreThanItMust(t *testing.T) {
	now := time.Unix(0, 0)
	l := newLimiter(2, func() time.Time { return now })
	for i := range 4 {
		if !l.allow("a") {
			t.Fatalf("request %d of the burst is refused", i)
		}
	}
	if l.allow("a") {
		t.Error("a fifth request at once is let through")
	}
	for i := range 4 {
		if !l.allow("2001:db8::" + strconv.Itoa(i)) {
			t.Fatalf("request %d of an IPv6 burst is refused", i)
		}
	}
	if l.allow("2001:db8::ffff") || !l.allow("2001:db8:0:1::1") || !l.allow("192.0.2.1") || !l.allow("192.0.2.2") {
		t.Error("one IPv6 network is not one client")
	}
	if !l.allow("b") {
		t.Error("another address pays for the first")
	}
	now = now.Add(time.Second)
	let := 0
	for range 5 {
		if l.allow("a") {
			let++
		}
	}
	if let != 2 {
		t.Errorf("a second later %d are let through, want 2", let)
	}
	if !newLimiter(-1, time.Now).allow("a") {
		t.Error("no limit limits")
	}
}

func TestLocalCA(t *testing.T) {
	dir := t.TempDir()
	names := []string{"localhost", "127.0.0.1"}
	now := time.Now()
	made, err := openLocalCA(dir, names, now)
	if err != nil || !made.made {
		t.Fatalf("made %v, %v", made, err)
	}
	again, err := openLocalCA(dir, names, now)
	if err != nil || again.made || !again.cert.Equal(made.cert) {
		t.Fatalf("the second start does not use the same CA: %v", err)
	}
	leaf, err := again.issue(names, now)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(made.cert)
	for _, name := range names {
		if _, err := leaf.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: now}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := openLocalCA(dir, append(names, "fed.example.org"), now); err == nil || !strings.Contains(err.Error(), "fed.example.org") {
		t.Errorf("a name that the CA may not sign for: %v", err)
	}
	if _, err := openLocalCA(dir, names, now.Add(caLifetime+time.Hour)); err == nil {
		t.Error("an expired CA is used")
	}
	if err := os.Remove(filepath.Join(dir, CAFile)); err != nil { // by hand, or by a crash before it was written
		t.Fatal(err)
	}
	if _, err := openLocalCA(dir, names, now); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, CAFile)); err != nil || !bytes.Equal(text, made.pem()) {
		t.Errorf("ca.pem is not made again: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ca-key.pem"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openLocalCA(dir, names, now); err == nil {
		t.Error("a broken CA is passed over")
	}
}

// Processes that start together in one directory have one CA, and its key.
func TestLocalCAOfProcessesAtOnce(t *testing.T) {
	dir, names := t.TempDir(), []string{"localhost"}
	cas := make([]*localCA, 8)
	var wg sync.WaitGroup
	for i := range cas {
		wg.Go(func() {
			var err error
			if cas[i], err = openLocalCA(dir, names, time.Now()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	made := 0
	for _, ca := range cas {
		if ca.made {
			made++
		}
		if !ca.cert.Equal(cas[0].cert) || !ca.key.Equal(cas[0].key) || !ca.key.PublicKey.Equal(ca.cert.PublicKey) {
			t.Error("two CAs")
		}
	}
	if made != 1 {
		t.Errorf("%d of them say that they made it", made)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("left in the directory: %v %v", left, err)
	}
}

func TestServingCertificateIsRenewedBeforeItExpires(t *testing.T) {
	now := time.Now()
	ca, err := makeLocalCA([]string{"localhost"}, now)
	if err != nil {
		t.Fatal(err)
	}
	c := &certificates{ca: ca, names: []string{"localhost"}, now: func() time.Time { return now }}
	first, err := c.get(nil)
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(leafLifetime / 2)
	if same, _ := c.get(nil); same != first {
		t.Error("made anew at half its life")
	}
	now = now.Add(leafLifetime / 4)
	if other, err := c.get(nil); err != nil || other == first {
		t.Errorf("not made anew at three quarters of its life (%v)", err)
	}
}

// An operator's certificate that has expired is served, since a restart must
// not make things worse, but the log says so.
func TestExpiredCertificateIsTold(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	ca, err := makeLocalCA([]string{"localhost"}, now)
	if err != nil {
		t.Fatal(err)
	}
	text, err := ca.secretPEM()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "tls.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, when := range []time.Time{now, now.Add(caLifetime + time.Hour)} {
		var told bytes.Buffer
		c := &certificates{certFile: file, keyFile: file, now: func() time.Time { return when }, log: slog.New(slog.NewJSONHandler(&told, nil))}
		if _, err := c.get(nil); err != nil {
			t.Fatal(err)
		}
		if got, want := strings.Contains(told.String(), "has expired"), when != now; got != want {
			t.Errorf("at %s: told %v, want %v", when, got, want)
		}
	}
}

func TestParse(t *testing.T) {
	for text, ok := range map[string]bool{"login.example.org": true, "login.example.org:8443=contoso": true, "": false, "=x": false, "https://x": false, "a/b": false, "a b": false, "user@x": false} {
		if _, err := ParseHostName(text); (err == nil) != ok {
			t.Errorf("host %q: %v", text, err)
		}
	}
	for text, ok := range map[string]bool{"https://x/,sub": true, "https://x/": false, ",sub": false, "https://x/,": false} {
		if _, err := ParseWorkload(text); (err == nil) != ok {
			t.Errorf("workload %q: %v", text, err)
		}
	}
}

func TestComplete(t *testing.T) {
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8443}
	for _, c := range []struct {
		public, issuer         string
		wantPublic, wantIssuer string // empty: an error
	}{
		{"", "", "https://localhost:8443", "https://localhost:8443"},
		{"https://Fed.Example.org:443/", "", "https://fed.example.org", "https://fed.example.org"},
		{"https://fed.example.org", "https://id.example.org/entente/", "https://fed.example.org", "https://id.example.org/entente"},
		{"http://fed.example.org", "", "", ""},
		{"https://fed.example.org/x", "", "", ""},
		{"https://fed.example.org?x", "", "", ""},
		{"https://user@fed.example.org", "", "", ""},
	} {
		config := Config{PublicURL: c.public, IssuerURL: c.issuer}
		err := config.complete(addr)
		if c.wantPublic == "" {
			if err == nil {
				t.Errorf("%q is taken", c.public)
			}
			continue
		}
		if err != nil || config.PublicURL != c.wantPublic || config.IssuerURL != c.wantIssuer {
			t.Errorf("%q, %q: got %q, %q (%v)", c.public, c.issuer, config.PublicURL, config.IssuerURL, err)
		}
	}
}
