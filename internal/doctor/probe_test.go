package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/issuer"
	"github.com/entente-id/entente/internal/localissuer"
)

// authority signs certificates of servers on loopback.
type authority struct {
	key   *ecdsa.PrivateKey
	cert  *x509.Certificate
	roots *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key, cert, x509.NewCertPool()}
	a.roots.AddCert(cert)
	return a
}

func (a *authority) certificate(t *testing.T, expiry time.Time, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: expiry, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serve serves with a certificate.
func serve(t *testing.T, certificate tls.Certificate, handler http.Handler, change ...func(*tls.Config)) string {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS10}
	for _, c := range change {
		c(s.TLS)
	}
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

// nameServer knows the names that it is given on loopback and no other; nil: it never answers.
func nameServer(t *testing.T, known map[string]bool) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		query := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(query)
			if err != nil {
				return
			}
			if known == nil {
				continue
			}
			// One question (RFC 1035 section 4.1): header, labels, type, class.
			var labels []string
			at := 12
			for at < n && query[at] != 0 {
				labels = append(labels, string(query[at+1:at+1+int(query[at])]))
				at += 1 + int(query[at])
			}
			yes := known[strings.ToLower(strings.Join(labels, "."))]
			address := yes && binary.BigEndian.Uint16(query[at+1:]) == 1
			code, count := byte(0x83), byte(0) // NXDOMAIN
			if yes {
				code = 0x80
			}
			if address {
				count = 1
			}
			reply := append([]byte{query[0], query[1], 0x81, code, 0, 1, 0, count, 0, 0, 0, 0}, query[12:at+5]...)
			if address {
				reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1)
			}
			conn.WriteTo(reply, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// forward is a proxy that lets CONNECT through to one address, whatever is asked for.
func forward(t *testing.T, to string, status int) *url.URL {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status != http.StatusOK {
			http.Error(w, "no", status)
			return
		}
		up, err := net.Dial("tcp", to)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		down, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		io.WriteString(down, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { io.Copy(up, buffered); up.Close() }()
		io.Copy(down, up)
		down.Close()
	}))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// documents are those of an issuer, as they are to be changed.
func documents(change func(discovery map[string]any, keys *[]any)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		base := "https://" + r.Host
		d := map[string]any{
			"issuer": base, "jwks_uri": base + "/keys", "response_types_supported": []string{"id_token"},
			"subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"RS256"},
		}
		keys := []any{json.RawMessage(publicKey)}
		if change != nil {
			change(d, &keys)
		}
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case discoveryPath:
			json.NewEncoder(w).Encode(d)
		case "/keys":
			json.NewEncoder(w).Encode(map[string]any{"keys": keys})
		default:
			http.NotFound(w, r)
		}
	})
}

// publicKey is an RSA key of 2,048 bits: that of RFC 7515 appendix A.2.
const publicKey = `{"kty":"RSA","kid":"k1","alg":"RS256","use":"sig","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}`

func answering(status int, header map[string]string, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, value := range header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
}

// Every reason why a verifier refuses an issuer is told, and told apart from the
// others; and the service's own verifier refuses it as well.
func TestInspect(t *testing.T) {
	ca := newAuthority(t)
	good := func(names ...string) tls.Certificate { return ca.certificate(t, time.Now().Add(time.Hour), names...) }
	local := good("127.0.0.1")
	failing := func(change func(map[string]any, *[]any)) func(*testing.T, *Reader) string {
		return func(t *testing.T, _ *Reader) string { return serve(t, local, documents(change)) }
	}
	answers := func(status int, header map[string]string, body string) func(*testing.T, *Reader) string {
		return func(t *testing.T, _ *Reader) string { return serve(t, local, answering(status, header, body)) }
	}
	none := func(*http.Request) (*url.URL, error) { return nil, nil }
	for name, c := range map[string]struct {
		issuer func(*testing.T, *Reader) string
		want   []Cause
		has    string // in the findings
		state  State  // of all; "": Failed where something is wanted
		alone  bool   // our verifier takes it all the same
	}{
		"good": {issuer: failing(nil)},
		"by a name": {issuer: func(t *testing.T, r *Reader) string {
			r.resolver = nameServer(t, map[string]bool{"issuer.example": true})
			return strings.Replace(serve(t, good("issuer.example"), documents(nil)), "127.0.0.1", "issuer.example", 1)
		}, state: Unknown, has: "a second time", alone: true}, // the verifier asks the system's name server

		"no such name": {issuer: func(t *testing.T, r *Reader) string {
			r.resolver = nameServer(t, map[string]bool{})
			return "https://issuer.example"
		}, want: []Cause{DiscoveryDNS}, has: "no name server knows"},
		"silent name server": {issuer: func(t *testing.T, r *Reader) string {
			r.resolver, r.Patience = nameServer(t, nil), 300*time.Millisecond
			return "https://issuer.example"
		}, want: []Cause{DiscoveryDNS}, has: "issuer.example"},
		"refused": {issuer: func(t *testing.T, _ *Reader) string {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			l.Close()
			return "https://" + l.Addr().String()
		}, want: []Cause{DiscoveryRefused}},
		"accepts and says nothing": {issuer: func(t *testing.T, r *Reader) string {
			r.Patience = 300 * time.Millisecond
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			return "https://" + l.Addr().String()
		}, want: []Cause{DiscoveryTimeout}, has: "does not answer in TLS"},
		"never answers": {issuer: func(t *testing.T, r *Reader) string {
			r.Patience = 300 * time.Millisecond
			return serve(t, local, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		}, want: []Cause{DiscoveryTimeout}, has: "accepts the request"},
		"hangs up": {issuer: func(t *testing.T, _ *Reader) string {
			return serve(t, local, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
		}, want: []Cause{DiscoveryUnreachable}},

		"unknown CA": {issuer: func(t *testing.T, r *Reader) string {
			r.Roots = newAuthority(t).roots
			return serve(t, local, documents(nil))
		}, want: []Cause{TLSUntrusted}, has: "Test CA"},
		"unknown CA, and another issuer behind it": {issuer: func(t *testing.T, r *Reader) string {
			r.Roots = newAuthority(t).roots
			return serve(t, local, documents(func(d map[string]any, _ *[]any) { d["issuer"] = d["issuer"].(string) + "/" }))
		}, want: []Cause{TLSUntrusted, DocumentDiffers}, has: "a slash at its end that does not belong there"},
		"unknown CA, and nothing behind it": {issuer: func(t *testing.T, r *Reader) string {
			r.Roots = newAuthority(t).roots
			return serve(t, local, answering(404, nil, "no"))
		}, want: []Cause{TLSUntrusted, DiscoveryStatus}, has: "404 Not Found"},
		"unknown CA, and no keys behind it": {issuer: func(t *testing.T, r *Reader) string {
			r.Roots = newAuthority(t).roots
			return serve(t, local, documents(func(d map[string]any, _ *[]any) { d["jwks_uri"] = d["jwks_uri"].(string) + "s" }))
		}, want: []Cause{TLSUntrusted, DiscoveryStatus}, has: "key set"},
		"another name": {issuer: func(t *testing.T, _ *Reader) string {
			return serve(t, good("issuer.example", "10.0.0.1"), documents(nil))
		}, want: []Cause{TLSName}, has: "issuer.example, 10.0.0.1"},
		"expired": {issuer: func(t *testing.T, _ *Reader) string {
			return serve(t, ca.certificate(t, time.Now().Add(-time.Hour), "127.0.0.1"), documents(nil))
		}, want: []Cause{TLSExpired}, has: "valid from"},
		"no TLS": {issuer: func(t *testing.T, _ *Reader) string {
			s := httptest.NewServer(documents(nil))
			t.Cleanup(s.Close)
			return strings.Replace(s.URL, "http:", "https:", 1)
		}, want: []Cause{TLSOther}, has: "does not speak TLS"},
		"old TLS": {issuer: func(t *testing.T, _ *Reader) string {
			return serve(t, local, documents(nil), func(c *tls.Config) { c.MaxVersion = tls.VersionTLS11 })
		}, want: []Cause{TLSOther}},

		"404": {issuer: answers(404, nil, "no"), want: []Cause{DiscoveryStatus}, has: "404 Not Found"},
		"API server": {
			issuer: answers(403, map[string]string{"Content-Type": "application/json"}, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":403}`),
			want:   []Cause{DiscoveryStatus}, has: "kubectl create clusterrolebinding",
		},
		"redirect": {issuer: answers(302, map[string]string{"Location": "https://elsewhere.example/"}, ""), want: []Cause{DiscoveryRedirect}, has: "elsewhere.example"},
		"long":     {issuer: answers(200, nil, strings.Repeat(" ", 600<<10)), want: []Cause{DiscoveryStatus}, has: "512 KiB"},

		"by a proxy only": {issuer: func(t *testing.T, r *Reader) string {
			at := serve(t, good("issuer.example"), documents(nil))
			r.resolver = nameServer(t, map[string]bool{})
			proxy := forward(t, strings.TrimPrefix(at, "https://"), http.StatusOK)
			r.Proxy = func(*http.Request) (*url.URL, error) { return proxy, nil }
			return "https://issuer.example"
		}, state: Unknown, has: "only by the proxy", alone: true},
		"refused by a proxy": {issuer: func(t *testing.T, r *Reader) string {
			r.resolver = nameServer(t, map[string]bool{})
			proxy := forward(t, "", http.StatusProxyAuthRequired)
			r.Proxy = func(*http.Request) (*url.URL, error) { return proxy, nil }
			return "https://issuer.example"
		}, want: []Cause{DiscoveryProxy}, has: "407"},
		"proxy down": {issuer: func(t *testing.T, r *Reader) string {
			r.resolver = nameServer(t, map[string]bool{})
			r.Proxy = func(*http.Request) (*url.URL, error) { return &url.URL{Scheme: "http", Host: "127.0.0.1:1"}, nil }
			return "https://issuer.example"
		}, want: []Cause{DiscoveryProxy}, has: "cannot be reached"},

		"HTML":      {issuer: answers(200, map[string]string{"Content-Type": "text/html"}, "<html>sign in</html>"), want: []Cause{DocumentInvalid}, has: "text/html"},
		"array":     {issuer: answers(200, nil, "[]"), want: []Cause{DocumentInvalid}},
		"duplicate": {issuer: answers(200, nil, `{"issuer":"https://x","issuer":"https://y"}`), want: []Cause{DocumentDiffers, DocumentInvalid}, has: "jwks_uri"},
		"no issuer": {issuer: failing(func(d map[string]any, _ *[]any) { delete(d, "issuer") }), want: []Cause{DocumentInvalid}},
		"a slash too many": {issuer: func(t *testing.T, _ *Reader) string {
			return serve(t, local, documents(nil)) + "/"
		}, want: []Cause{DocumentDiffers}, has: "the slash at its end is missing"},
		"no jwks_uri":      {issuer: failing(func(d map[string]any, _ *[]any) { delete(d, "jwks_uri") }), want: []Cause{DocumentInvalid}},
		"plain jwks_uri":   {issuer: failing(func(d map[string]any, _ *[]any) { d["jwks_uri"] = "http://127.0.0.1/keys" }), want: []Cause{DocumentInvalid}},
		"keys not there":   {issuer: failing(func(d map[string]any, _ *[]any) { d["jwks_uri"] = d["jwks_uri"].(string) + "s" }), want: []Cause{DiscoveryStatus}, has: "key set"},
		"keys elsewhere":   {issuer: failing(func(d map[string]any, _ *[]any) { d["jwks_uri"] = "https://127.0.0.1:1/keys" }), want: []Cause{DiscoveryRefused}, has: "--service-account-jwks-uri"},
		"no keys":          {issuer: failing(func(_ map[string]any, k *[]any) { *k = nil }), want: []Cause{KeySetInvalid}},
		"no key that fits": {issuer: failing(func(_ map[string]any, k *[]any) { *k = []any{json.RawMessage(`{"kty":"oct","kid":"s"}`)} }), want: []Cause{KeySetInvalid}, has: "not supported", alone: true},
		"private key": {issuer: failing(func(_ map[string]any, k *[]any) {
			*k = append(*k, json.RawMessage(strings.Replace(strings.Replace(publicKey, "k1", "k2", 1), "{", `{"d":"AQAB",`, 1)))
		}), want: []Cause{KeyPrivate}, alone: true},
		"minimal": {issuer: failing(func(d map[string]any, _ *[]any) {
			delete(d, "response_types_supported")
			delete(d, "subject_types_supported")
			delete(d, "id_token_signing_alg_values_supported")
		}), state: Noted, has: "response_types_supported"},
		"another algorithm": {issuer: failing(func(d map[string]any, _ *[]any) { d["id_token_signing_alg_values_supported"] = []string{"ES256"} }), state: Noted, has: "RS256"},
		"empty endpoint":    {issuer: failing(func(d map[string]any, _ *[]any) { d["authorization_endpoint"] = "" }), state: Noted, has: "authorization_endpoint"},

		"empty":        {issuer: func(*testing.T, *Reader) string { return "" }, want: []Cause{IssuerMalformed}},
		"http":         {issuer: func(*testing.T, *Reader) string { return "http://issuer.example/" }, want: []Cause{IssuerMalformed}, has: "must use https"},
		"no URL":       {issuer: func(*testing.T, *Reader) string { return "issuer.example" }, want: []Cause{IssuerMalformed}},
		"HTTPS":        {issuer: func(*testing.T, *Reader) string { return "HTTPS://issuer.example/" }, want: []Cause{IssuerMalformed}, has: "lower case"},
		"no host":      {issuer: func(*testing.T, *Reader) string { return "https:///x" }, want: []Cause{IssuerMalformed}, has: "host"},
		"long URL":     {issuer: func(*testing.T, *Reader) string { return "https://issuer.example/" + strings.Repeat("x", 600) }, want: []Cause{IssuerMalformed}, has: "623 characters"},
		"many at once": {issuer: func(*testing.T, *Reader) string { return "http://u@issuer.example/?q#f" }, want: []Cause{IssuerMalformed, IssuerMalformed, IssuerMalformed, IssuerMalformed}},
		"look-alike":   {issuer: func(*testing.T, *Reader) string { return "https://oidc.ex\u0430mple/" }, want: []Cause{IssuerMalformed}, has: "U+0430"},
		"invisible":    {issuer: func(*testing.T, *Reader) string { return "https://oidc.example/\u200b" }, want: []Cause{IssuerMalformed}, has: "U+200B"},
		"white space":  {issuer: func(*testing.T, *Reader) string { return "https://oidc.example/ " }, want: []Cause{IssuerMalformed}, has: "white space"},
		"line break":   {issuer: func(*testing.T, *Reader) string { return "https://oidc.example/\nx" }, want: []Cause{IssuerMalformed}, has: "white space"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &Reader{Roots: ca.roots, AllowPrivate: true, Proxy: none}
			address := c.issuer(t, r)
			i := r.Inspect(t.Context(), address)
			var got []Cause
			state := Passed
			for _, f := range i.Findings {
				state = worse(state, f.State)
				if f.State == Failed {
					got = append(got, f.Cause)
				}
				if f.State == Failed && (f.Class == "" || f.Class != f.Cause.Class()) {
					t.Errorf("%q is of class %q", f.Cause, f.Class)
				}
			}
			text, err := json.MarshalIndent(i, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q: %s", got, c.want, text)
			}
			if len(c.want) == 0 && c.state != "" && state != c.state || i.Accepted != (len(c.want) == 0) {
				t.Errorf("the worst is %q: %s", state, text)
			}
			if want := 0; len(c.want) > 0 {
				want = c.want[0].ExitCode()
				if i.ExitCode() != want {
					t.Errorf("exit code %d, want %d", i.ExitCode(), want)
				}
			}
			if unquoted, _ := unquotedJSON(i); c.has != "" && !strings.Contains(unquoted, c.has) {
				t.Errorf("nothing about %q: %s", c.has, text)
			}
			if c.alone {
				return
			}
			v, err := issuer.New(issuer.Config{Allow: []string{"0.0.0.0/0", "::/0"}, RootCAs: r.Roots, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			report, err := v.Check(ctx, issuer.Source{URL: address})
			if taken := err == nil && len(report.Keys) > 0; taken != i.Accepted && len(got) > 0 && got[0] != IssuerMalformed {
				t.Errorf("the service's verifier says %v: %s", err, text)
			}
		})
	}
}

func unquotedJSON(v any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.ReplaceAll(b.String(), `\"`, `"`), err
}

// What the verifier refuses is never taken for good here, even when nothing here looks for it.
func TestInspectAsksTheVerifier(t *testing.T) {
	ca := newAuthority(t)
	url := serve(t, ca.certificate(t, time.Now().Add(time.Hour), "127.0.0.1"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		base := "https://" + r.Host
		if r.URL.Path == "/keys" {
			fmt.Fprintf(w, `{"keys":[%s]}`, publicKey)
			return
		}
		fmt.Fprintf(w, `{"issuer":%q,"issuer":%q,"jwks_uri":%q}`, base, base, base+"/keys")
	}))
	r := &Reader{Roots: ca.roots, AllowPrivate: true}
	if i := r.Inspect(t.Context(), url); i.Accepted || i.Findings[len(i.Findings)-1].Cause != DocumentInvalid {
		t.Errorf("%+v", i.Findings)
	}
}

func TestInspectPrivate(t *testing.T) {
	local, err := localissuer.New(localissuer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := local.Start(context.WithoutCancel(t.Context()), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(local.Close)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(local.CAPEM())
	for _, allowed := range []bool{false, true} {
		i := (&Reader{Roots: roots, AllowPrivate: allowed}).Inspect(t.Context(), local.URL())
		if i.Accepted != allowed || len(i.Findings) != 1 || i.Findings[0].Cause != AddressRefused || len(i.Keys) != 1 {
			t.Errorf("allowed %v: %+v", allowed, i)
		}
		if i.Findings[0].Mends[0].Commands[0] != "entente serve --issuer-allow 127.0.0.1" {
			t.Errorf("%+v", i.Findings[0].Mends)
		}
	}
}

func TestExplain(t *testing.T) {
	target := &url.URL{Scheme: "https", Host: "issuer.example"}
	for name, c := range map[string]struct {
		err   error
		phase string
		want  Cause
	}{
		"connection times out": {&net.OpError{Op: "dial", Err: context.DeadlineExceeded}, "connection", DiscoveryTimeout},
		"no route":             {&net.OpError{Op: "dial", Err: syscall.EHOSTUNREACH}, "connection", DiscoveryUnreachable},
		"reset in handshake":   {&net.OpError{Op: "read", Err: syscall.ECONNRESET}, "handshake", TLSOther},
		"anything":             {errors.New("x"), "", DiscoveryUnreachable},
	} {
		if got := explain(c.err, target, nil, c.phase); got.cause != c.want || got.text == "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
