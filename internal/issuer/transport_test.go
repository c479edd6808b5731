package issuer

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// nameServer answers for names on loopback, each time with the next of a name's
// answers, and returns a resolver that asks it and nobody else.
func nameServer(t *testing.T, answers map[string][][]string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		asked := make(map[string]int)
		query := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(query)
			if err != nil {
				return
			}
			// One question (RFC 1035 section 4.1): header, labels, type, class.
			var labels []string
			at := 12
			for at < n && query[at] != 0 {
				labels = append(labels, string(query[at+1:at+1+int(query[at])]))
				at += 1 + int(query[at])
			}
			name, end := strings.ToLower(strings.Join(labels, ".")), at+5
			var addresses []string
			if sets := answers[name]; len(sets) > 0 && binary.BigEndian.Uint16(query[at+1:]) == 1 {
				addresses = sets[min(asked[name], len(sets)-1)]
				asked[name]++
			}
			reply := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, byte(len(addresses)), 0, 0, 0, 0}, query[12:end]...)
			for _, address := range addresses {
				reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
				reply = append(reply, netip.MustParseAddr(address).AsSlice()...)
			}
			conn.WriteTo(reply, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// TestTargets runs the project's list of addresses that an issuer must not be able to name.
func TestTargets(t *testing.T) {
	data, err := os.ReadFile("testdata/ssrf_targets.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct{ URL, Expect, Note string }
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	public := "203.0.114.7" // never reached: see below
	resolver := nameServer(t, map[string][][]string{
		"issuer.example": {{public}}, "rebind.example": {{"127.0.0.1"}}, "two.example": {{"127.0.0.1", "10.0.0.1"}},
		"cname-to-imds.example": {{"169.254.169.254"}}, "metadata.google.internal": {{"169.254.169.254"}},
		"kubernetes.default.svc": {{"10.96.0.1"}}, "127.1": {{"127.0.0.1"}}, "2130706433": {{"127.0.0.1"}},
	})
	for _, vector := range file.Vectors {
		t.Run(vector.URL, func(t *testing.T) {
			v, _ := newVerifier(t, Config{Allow: []string{}})
			v.resolver = resolver
			v.patience = time.Second
			// Ports are not restricted, against the vector of port 22: private clusters serve on any.
			if vector.Expect == "allow" || vector.URL == "https://issuer.example:22/" {
				if err := checkURL(vector.URL); err != nil {
					t.Error(err)
				}
				// That the address passes the guard is all that can be seen without a network.
				if err := v.guard.check("issuer.example", net.JoinHostPort(public, "443")); err != nil {
					t.Error(err)
				}
				return
			}
			_, err := v.Check(t.Context(), Source{URL: vector.URL})
			if err == nil {
				t.Fatalf("asked (%s)", vector.Note)
			}
			if kind := KindOf(err); kind != AddressRefused && kind != InvalidDocument && kind != Unreachable {
				t.Errorf("kind %q: %v", kind, err)
			}
		})
	}
}

func TestGuard(t *testing.T) {
	for _, c := range []struct {
		allow   string
		address string
		ok      bool
	}{
		{"", "8.8.8.8", true},
		{"", "2606:4700::1111", true},
		{"", "127.0.0.1", false},
		{"", "10.1.2.3", false},
		{"", "172.16.0.1", false},
		{"", "192.168.1.1", false},
		{"", "100.64.0.1", false},
		{"", "169.254.169.254", false},
		{"", "168.63.129.16", false},
		{"", "::ffff:168.63.129.16", false},
		{"", "0.0.0.0", false},
		{"", "::1", false},
		{"", "::ffff:127.0.0.1", false},
		{"", "64:ff9b::a9fe:a9fe", false},
		{"", "2002:7f00:1::", false},
		{"", "fe80::1%lo", false},
		{"", "fd00::1", false},
		{"10.0.0.0/8", "10.1.2.3", true},
		{"10.0.0.0/8", "::ffff:10.1.2.3", true},
		{"10.0.0.0/8", "127.0.0.1", false},
		{"10.1.2.3/8", "10.9.9.9", true},
		{"10.1.2.3", "10.1.2.3", true},
		{"10.1.2.3", "10.1.2.4", false},
		{"168.63.129.16", "168.63.129.16", true},
		{"fd00::/8", "fd00::1", true},
		{"[fd00::1]", "fd00::1", true},
		{"issuer.internal", "10.1.2.3", false}, // as an address of any other name
	} {
		t.Run(c.allow+" "+c.address, func(t *testing.T) {
			var allow []string
			if c.allow != "" {
				allow = append(allow, c.allow)
			}
			g, err := newGuard(allow)
			if err != nil {
				t.Fatal(err)
			}
			if err := g.check("host", net.JoinHostPort(c.address, "443")); (err == nil) != c.ok {
				t.Errorf("got %v, want allowed = %v", err, c.ok)
			}
		})
	}
}

func TestAllowEntriesThatMeanNothingAreRefused(t *testing.T) {
	for _, entry := range []string{"", " ", "10.0.0.0/33", "10.0.0.256", "https://issuer.internal/", "issuer.internal:6443", "*.internal", "a..b", "10.0.0", "issuer internal"} {
		if _, err := New(Config{Allow: []string{entry}}); err == nil {
			t.Errorf("%q: accepted", entry)
		}
	}
}

// onName registers the fake issuer under a name instead of its address.
func (f *fakeIssuer) onName(name string) {
	host := strings.Replace(f.server.URL, "127.0.0.1", name, 1)
	f.url = host + "/t1/"
	f.describe(f.url, host+"/keys")
}

func TestPrivateAddressNeedsTheFlag(t *testing.T) {
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	v, _ := newVerifier(t, Config{Allow: []string{}})
	_, err := verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, AddressRefused)
	if !strings.Contains(err.Error(), "--issuer-allow 127.0.0.1") {
		t.Errorf("the error does not name the flag: %v", err)
	}
	if n := f.fetches(); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

func TestAllowedNameAllowsNoOther(t *testing.T) {
	good, bad := newFakeIssuer(t, newSigner(t, "k1", "RS256")), newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	good.onName("issuer.example")
	resolver := nameServer(t, map[string][][]string{"issuer.example": {{"127.0.0.1"}}, "other.example": {{"127.0.0.1"}}})
	v, clock := newVerifier(t, Config{Allow: []string{"Issuer.Example."}})
	v.resolver = resolver
	_, err := verify(v, t.Context(), good.source(), good.token())
	wantKind(t, err, "")

	bad.onName("other.example")
	_, err = verify(v, t.Context(), bad.source(), bad.token())
	wantKind(t, err, AddressRefused)
	if !strings.Contains(err.Error(), "--issuer-allow other.example") || bad.fetches() != 0 {
		t.Errorf("asked %d times: %v", bad.fetches(), err)
	}

	// Nor does an allowed issuer open the way to another place for its keys.
	good.describe(good.url, bad.server.URL+"/keys")
	src := good.source()
	src.Revision++
	clock.advance(time.Minute)
	_, err = verify(v, t.Context(), src, good.token())
	wantKind(t, err, AddressRefused)
	if bad.fetches() != 0 {
		t.Error("the other place was asked")
	}
}

func TestNameThatChangesItsAddressIsRefused(t *testing.T) {
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	f.onName("issuer.example")
	v, _ := newVerifier(t, Config{Allow: []string{}})
	v.patience = time.Second
	v.resolver = nameServer(t, map[string][][]string{"issuer.example": {{"203.0.114.7"}, {"127.0.0.1"}}})
	if _, err := v.resolver.LookupHost(t.Context(), "issuer.example"); err != nil {
		t.Fatal(err) // somebody looked, and saw a public address
	}
	_, err := verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, AddressRefused)
}

func TestRedirectsAreRefused(t *testing.T) {
	var asked atomic.Int32
	other := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	for _, onKeys := range []bool{false, true} {
		for _, code := range []int{301, 302, 303, 307, 308} {
			for _, target := range []string{other.URL + "/keys", "/keys", "http://169.254.169.254/", strings.Replace(other.URL, "https", "http", 1)} {
				f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
				f.faultOnKeys = onKeys
				f.fail(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target, code) })
				v, _ := newVerifier(t, Config{})
				_, err := verify(v, t.Context(), f.source(), f.token())
				wantKind(t, err, Unreachable)
				if want := map[bool]int{false: 0, true: 1}[onKeys]; f.keys != want || f.discovery != 1 {
					t.Errorf("%d to %q: asked %d+%d times", code, target, f.discovery, f.keys)
				}
			}
		}
	}
	if asked.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer proxy.Close()
	t.Setenv("HTTPS_PROXY", proxy.URL)
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	v, _ := newVerifier(t, Config{})
	client, err := v.client(f.source())
	if err != nil {
		t.Fatal(err)
	}
	if client.Transport.(*http.Transport).Proxy != nil {
		t.Error("the transport has a proxy")
	}
	_, err = verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, "")
	if asked.Load() != 0 {
		t.Error("the proxy was asked")
	}
}

func TestHostileResponses(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	bomb := func() []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		z.Write([]byte(`{"keys":[`))
		zeros := bytes.Repeat([]byte(" "), 1<<20)
		for range 32 {
			z.Write(zeros)
		}
		z.Write([]byte(`]}`))
		z.Close()
		return b.Bytes()
	}()
	for name, c := range map[string]struct {
		fault http.HandlerFunc
		want  ErrKind
	}{
		"status 500": {status(500), Unreachable},
		"status 404": {status(404), Unreachable},
		"status 204": {status(204), Unreachable},
		"status 206": {status(206), Unreachable},
		"status 304": {status(304), Unreachable},
		"empty":      {status(200), InvalidDocument},
		"HTML":       {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>sign in</html>") }, InvalidDocument},
		"JSON array": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "[]") }, InvalidDocument},
		"deep":       {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat(`{"keys":`, 1000)) }, InvalidDocument},
		"513 KiB":    {func(w http.ResponseWriter, _ *http.Request) { w.Write(bytes.Repeat([]byte(" "), 513<<10)) }, InvalidDocument},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(bytes.Repeat([]byte(" "), 1<<16)); err != nil {
					return
				}
			}
		}, InvalidDocument},
		"gzip bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(bomb)
		}, InvalidDocument},
		"never answers": {func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-hold:
			case <-r.Context().Done():
			}
		}, Unreachable},
		"a byte at a time": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				fmt.Fprint(w, " ")
				w.(http.Flusher).Flush()
				time.Sleep(10 * time.Millisecond)
			}
		}, Unreachable},
		"stops in the middle": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{"keys":[`)
		}, Unreachable},
		"hangs up": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, Unreachable},
		"header of 1 MiB": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
			fmt.Fprint(w, `{}`)
		}, Unreachable},
		"1xx without end": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", strings.Repeat("x", 1000))
			for r.Context().Err() == nil {
				w.WriteHeader(http.StatusEarlyHints)
			}
		}, Unreachable},
	} {
		for _, onKeys := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s on keys %v", name, onKeys), func(t *testing.T) {
				f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
				f.faultOnKeys = onKeys
				f.fail(c.fault)
				v, _ := newVerifier(t, Config{})
				v.patience = 500 * time.Millisecond
				_, err := verify(v, t.Context(), f.source(), f.token())
				wantKind(t, err, c.want)
				if strings.Contains(err.Error(), "sign in") {
					t.Errorf("the error repeats what was answered: %v", err)
				}
			})
		}
	}
}

func TestGzipIsUnderstood(t *testing.T) {
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	f.faultOnKeys = true
	f.fail(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		z.Write(f.keySet)
		z.Close()
	})
	v, _ := newVerifier(t, Config{})
	_, err := verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, "")
}

func TestServerCertificateIsChecked(t *testing.T) {
	ca := newAuthority()
	hour := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		config *tls.Config
		caPEM  []byte
		want   ErrKind
	}{
		"good":              {&tls.Config{Certificates: []tls.Certificate{ca.serverCertificate(t, hour, "127.0.0.1")}}, ca.pem, ""},
		"unknown authority": {&tls.Config{Certificates: []tls.Certificate{ca.serverCertificate(t, hour, "127.0.0.1")}}, nil, Unreachable},
		"expired":           {&tls.Config{Certificates: []tls.Certificate{ca.serverCertificate(t, time.Now().Add(-time.Minute), "127.0.0.1")}}, ca.pem, Unreachable},
		"another host":      {&tls.Config{Certificates: []tls.Certificate{ca.serverCertificate(t, hour, "127.0.0.2", "other.example")}}, ca.pem, Unreachable},
		"TLS 1.1":           {&tls.Config{Certificates: []tls.Certificate{ca.serverCertificate(t, hour, "127.0.0.1")}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, ca.pem, Unreachable},
		"TLS 1.2":           {&tls.Config{Certificates: []tls.Certificate{ca.serverCertificate(t, hour, "127.0.0.1")}, MaxVersion: tls.VersionTLS12}, ca.pem, ""},
		"CA that is no PEM": {&tls.Config{Certificates: []tls.Certificate{ca.serverCertificate(t, hour, "127.0.0.1")}}, []byte("x"), InvalidDocument},
	} {
		t.Run(name, func(t *testing.T) {
			var server *httptest.Server
			server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/keys") {
					fmt.Fprint(w, `{"keys":[]}`)
					return
				}
				fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, server.URL, server.URL+"/keys")
			}))
			server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			server.TLS = c.config
			server.StartTLS()
			defer server.Close()
			v, _ := newVerifier(t, Config{})
			_, err := v.Check(t.Context(), Source{URL: server.URL, CAPEM: c.caPEM})
			wantKind(t, err, c.want)
		})
	}
}

func TestAuthorityOfOneIssuerIsNotThatOfAnother(t *testing.T) {
	a, b := newFakeIssuer(t, newSigner(t, "k1", "RS256")), newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	v, _ := newVerifier(t, Config{})
	_, err := verify(v, t.Context(), a.source(), a.token())
	wantKind(t, err, "")
	src := b.source()
	src.CAPEM = nil
	_, err = verify(v, t.Context(), src, b.token())
	wantKind(t, err, Unreachable)
}

func TestPlainHTTPIsNotAsked(t *testing.T) {
	var asked atomic.Int32
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer plain.Close()
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	f.describe(f.url, plain.URL)
	v, _ := newVerifier(t, Config{})
	_, err := verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, InvalidDocument)
	_, err = v.Check(t.Context(), Source{URL: plain.URL})
	wantKind(t, err, InvalidDocument)
	if asked.Load() != 0 {
		t.Error("asked without TLS")
	}
}
