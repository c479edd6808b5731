package intercept

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// behind is a proxy before a service that answers with what it was asked.
func behind(t *testing.T, c Config, service http.HandlerFunc) *Proxy {
	t.Helper()
	s := httptest.NewUnstartedServer(service)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	c.Service, c.Transport = s.URL, s.Client().Transport
	p, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// client is one as the programs have it: HTTPS_PROXY and the CA.
func client(t *testing.T, p *Proxy, change ...func(*http.Transport)) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(p.CAPEM()) {
		t.Fatal("no CA")
	}
	transport := &http.Transport{Proxy: http.ProxyURL(p.URL()), TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	for _, f := range change {
		f(transport)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func get(t *testing.T, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestEveryHostIsAnswered(t *testing.T) {
	t.Parallel()
	p := behind(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %d %s %s %s", r.Method, r.ProtoMajor, r.Host, r.RequestURI, r.Header.Get("Proxy-Authorization"))
	})
	for protocol, c := range map[int]*http.Client{
		2: client(t, p),
		1: client(t, p, func(t *http.Transport) {
			t.ForceAttemptHTTP2, t.TLSNextProto = false, map[string]func(string, *tls.Conn) http.RoundTripper{}
		}),
	} {
		var wg sync.WaitGroup
		for _, host := range Hosts() {
			wg.Go(func() {
				resp, err := c.Get("https://" + host + "//a%2Fb?$filter=x%20eq%20'y;z'")
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				body, _ := io.ReadAll(resp.Body)
				if want := "GET 2 " + p.service.Host + " //a%2Fb?$filter=x%20eq%20'y;z' "; string(body) != want || resp.ProtoMajor != protocol {
					t.Errorf("%s: HTTP/%d %q, want HTTP/%d %q", host, resp.ProtoMajor, body, protocol, want)
				}
			})
		}
		wg.Wait()
	}
}

func TestAnswersNameWhoWasAsked(t *testing.T) {
	t.Parallel()
	const graph, management, login = "https://graph.microsoft.com", "https://management.azure.com", "https://login.microsoftonline.com"
	for _, k := range []struct{ url, answer, want string }{
		{graph + "/v1.0/applications", `{"@odata.context":"BASE/v1.0/$metadata#applications", "@odata.nextLink" : "BASE/v1.0/applications?$skiptoken=a&b","value":[{"issuer":"BASE/oic/t/c/","nextLink":"BASE/x"}],"n":1.50}`,
			`{"@odata.context":"` + graph + `/v1.0/$metadata#applications", "@odata.nextLink" : "` + graph + `/v1.0/applications?$skiptoken=a\u0026b","value":[{"issuer":"BASE/oic/t/c/","nextLink":"BASE/x"}],"n":1.50}`},
		{management + "/subscriptions", `{"value":[],"nextLink":"BASE/subscriptions?p=2"}`, `{"value":[],"nextLink":"` + management + `/subscriptions?p=2"}`},
		{management + "/subscriptions", `{"nextLink":"BASE0/x","issuer":"BASE/x"}`, `{"nextLink":"BASE0/x","issuer":"BASE/x"}`},
		{management + "/subscriptions", `["BASE/x",{"nextLink":"BASE/x"}]`, `["BASE/x",{"nextLink":"BASE/x"}]`},
		{management + "/subscriptions", `{"nextLink":"BASE/x"`, `{"nextLink":"BASE/x"`},
		{management + "/metadata/endpoints?api-version=2022-09-01", `{"authentication":{"loginEndpoint":"BASE","audiences":["x"]},"resourceManager":"BASE","graph":"BASE/"}`,
			`{"authentication":{"loginEndpoint":"` + login + `","audiences":["x"]},"resourceManager":"` + management + `","graph":"` + graph + `/"}`},
		{login + "/t/v2.0/.well-known/openid-configuration", `{"issuer":"BASE/t/v2.0","jwks_uri":"BASE/t/keys","msgraph_host":"HOST","other":"BASE"}`,
			`{"issuer":"` + login + `/t/v2.0","jwks_uri":"` + login + `/t/keys","msgraph_host":"graph.microsoft.com","other":"BASE"}`},
		{"https://login.microsoftonline.us/t/.well-known/openid-configuration", `{"issuer":"BASE/t/","msgraph_host":"HOST"}`, `{"issuer":"https://login.microsoftonline.us/t/","msgraph_host":"graph.microsoft.us"}`},
		{login + "/t/oauth2/v2.0/token", `{"access_token":"BASE"}`, `{"access_token":"BASE"}`},
	} {
		var p *Proxy
		here := func(s string) string {
			return strings.NewReplacer("BASE", p.base, "HOST", p.service.Host).Replace(s)
		}
		p = behind(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			w.Header().Set("Location", p.base+"/there")
			w.Header().Set("WWW-Authenticate", `Bearer authorization_uri="`+p.base+`/t", error="x"`)
			io.WriteString(w, here(k.answer))
		})
		resp, got := get(t, client(t, p), k.url)
		if diff := cmp.Diff(here(k.want), got); diff != "" {
			t.Errorf("%s\n%s", k.url, diff)
		}
		u, _ := url.Parse(k.url)
		if l := resp.Header.Get("Location"); l != "https://"+u.Host+"/there" {
			t.Errorf("%s: Location %s", k.url, l)
		}
		if a := resp.Header.Get("WWW-Authenticate"); !strings.HasPrefix(a, `Bearer authorization_uri="https://login.microsoftonline.`) {
			t.Errorf("%s: WWW-Authenticate %s", k.url, a)
		}
	}
}

func TestOnlyJSONIsRead(t *testing.T) {
	t.Parallel()
	size := maxAnswer + 1
	p := behind(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.URL.Query().Get("type"))
		w.Write(make([]byte, size))
	})
	c := client(t, p)
	if _, body := get(t, c, "https://graph.microsoft.com/?type=text/plain"); len(body) != size {
		t.Errorf("%d bytes of text", len(body))
	}
	if resp, body := get(t, c, "https://graph.microsoft.com/?type=application/json"); resp.StatusCode != http.StatusBadGateway || !strings.Contains(body, `"code":"BadGateway"`) {
		t.Errorf("%d %.200s", resp.StatusCode, body)
	}
}

func TestServiceThatIsNotThere(t *testing.T) {
	t.Parallel()
	p, err := Start(Config{Service: "https://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	resp, body := get(t, client(t, p), "https://login.microsoftonline.com/t/oauth2/v2.0/token")
	var wire struct {
		Error       string
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal([]byte(body), &wire); err != nil || resp.StatusCode != 502 || wire.Error != "temporarily_unavailable" || !strings.Contains(wire.Description, "the service at https://127.0.0.1:1 does not answer: ") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

func TestInstanceDiscovery(t *testing.T) {
	t.Parallel()
	p := behind(t, Config{}, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) })
	c := client(t, p)
	ask := "https://login.microsoftonline.com/common/discovery/instance?api-version=1.1&authorization_endpoint="
	for endpoint, want := range map[string]string{
		"https://login.microsoftonline.com/common/oauth2/authorize":         "https://login.microsoftonline.com/common/.well-known/openid-configuration",
		"https://login.microsoftonline.us/a.test/oauth2/v2.0/authorize":     "https://login.microsoftonline.us/a.test/v2.0/.well-known/openid-configuration",
		"https://login.microsoftonline.com.evil.test/t/oauth2/authorize":    "",
		"https://graph.microsoft.com/t/oauth2/authorize":                    "",
		"http://login.microsoftonline.com/t/oauth2/authorize":               "",
		"https://login.microsoftonline.com/%22onmouseover/oauth2/authorize": "",

		"https://login.microsoftonline.com/" + strings.Repeat("a", maxTenant) + "/authorize":   "https://login.microsoftonline.com/" + strings.Repeat("a", maxTenant) + "/.well-known/openid-configuration",
		"https://login.microsoftonline.com/" + strings.Repeat("a", maxTenant+1) + "/authorize": "",
	} {
		resp, body := get(t, c, ask+url.QueryEscape(endpoint))
		if want == "" {
			if resp.StatusCode != http.StatusTeapot {
				t.Errorf("%s: %d %s, want the service's answer", endpoint, resp.StatusCode, body)
			}
			continue
		}
		var got instances
		if err := json.Unmarshal([]byte(body), &got); err != nil || got.Endpoint != want || len(got.Metadata) != 3 || got.Metadata[0].Cache != "login.windows.net" {
			t.Errorf("%s: %s", endpoint, body)
		}
	}
}

// The refusal's text is in the first line, where programs find it, and in the body.
func TestRefusals(t *testing.T) {
	t.Parallel()
	p := behind(t, Config{Pass: []string{"*.passed.test", "127.0.0.1:1"}}, func(http.ResponseWriter, *http.Request) {})
	c := client(t, p)
	for url, want := range map[string]string{
		"https://example.org/":                "example.org is unreachable under entente run: it is none of Azure's names that a service answers for; --pass example.org lets requests through",
		"https://passed.test/":                "--pass passed.test",
		"https://passed.test.example.org/":    "--pass passed.test.example.org",
		"https://127.0.0.1:2/":                "--pass 127.0.0.1",
		"https://127.0.0.1:1/":                "connection refused",
		"https://management.azure.com:8443/":  "management.azure.com is answered on port 443 only",
		"https://eastus.login.microsoft.com/": "--pass eastus.login.microsoft.com",
	} {
		if resp, err := c.Get(url); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %q", url, resp, err, want)
		}
	}
	for url, want := range map[string]string{
		"http://169.254.169.254/metadata/identity/oauth2/token": "169.254.169.254 is unreachable",
		"http://management.azure.com/":                          "https only",
	} {
		if resp, body := get(t, c, url); resp.StatusCode != http.StatusForbidden || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", url, resp.StatusCode, body)
		}
	}
}

// With --pass-all, what a name resolves to decides.
func TestPassAllKeepsOutOfPrivateNetworks(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Host, r.Header.Get("Proxy-Authorization"))
	}))
	defer web.Close()
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host) }))
	defer secure.Close()
	insecure := func(t *http.Transport) { t.TLSClientConfig.InsecureSkipVerify = true }
	for _, k := range []struct {
		name   string
		config Config
		passes bool
	}{
		{"nothing", Config{}, false},
		{"all", Config{PassAll: true}, false},
		{"by name", Config{Pass: []string{"127.0.0.1"}}, true},
		{"by name beside all", Config{PassAll: true, Pass: []string{"127.0.0.1"}}, true},
	} {
		t.Run(k.name, func(t *testing.T) {
			p := behind(t, k.config, func(http.ResponseWriter, *http.Request) {})
			c := client(t, p, insecure)
			resp, body := get(t, c, web.URL)
			if passed := resp.StatusCode == 200 && body == strings.TrimPrefix(web.URL, "http://")+" "; passed != k.passes {
				t.Errorf("plain: %d %s", resp.StatusCode, body)
			}
			resp, err := c.Get(secure.URL)
			if (err == nil) != k.passes {
				t.Errorf("tunnel: %v", err)
			}
			if err == nil {
				resp.Body.Close()
			} else if !strings.Contains(err.Error(), "--pass 127.0.0.1") {
				t.Error(err)
			}
		})
	}
}

func TestCredential(t *testing.T) {
	t.Parallel()
	for _, anyone := range []bool{false, true} {
		p := behind(t, Config{AnyClient: anyone}, func(http.ResponseWriter, *http.Request) {})
		for name, user := range map[string]*url.Userinfo{
			"none": nil, "another": url.UserPassword(proxyUser, "x"), "the secret alone": url.User(p.secret), "another user": url.UserPassword("x", p.secret),
		} {
			c := client(t, p, func(t *http.Transport) {
				u := p.URL()
				u.User = user
				t.Proxy = http.ProxyURL(u)
			})
			resp, err := c.Get("https://graph.microsoft.com/")
			if anyone {
				if err != nil {
					t.Error(err)
				} else {
					resp.Body.Close()
				}
			} else if err == nil || !strings.Contains(err.Error(), "Proxy Authentication Required") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// A tunnel is for the host that it was opened for.
func TestTunnelsKeepToTheirHost(t *testing.T) {
	t.Parallel()
	p := behind(t, Config{}, func(w http.ResponseWriter, r *http.Request) { t.Errorf("the service was asked for %s", r.URL) })
	open := func() net.Conn {
		c, err := net.Dial("tcp", p.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		r, _ := http.NewRequest(http.MethodConnect, "//graph.microsoft.com:443", nil)
		r.URL.Opaque, r.Host = "graph.microsoft.com:443", "graph.microsoft.com:443"
		secret, _ := p.URL().User.Password()
		auth := http.Request{Header: http.Header{}}
		auth.SetBasicAuth(proxyUser, secret)
		fmt.Fprintf(c, "CONNECT graph.microsoft.com:443 HTTP/1.1\r\nHost: graph.microsoft.com:443\r\nProxy-Authorization: %s\r\n\r\n", auth.Header.Get("Authorization"))
		resp, err := http.ReadResponse(bufio.NewReader(c), r)
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
		return c
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(p.CAPEM())
	if err := tls.Client(open(), &tls.Config{RootCAs: roots, ServerName: "login.microsoftonline.com"}).Handshake(); err == nil {
		t.Error("a tunnel to Graph is one to the token endpoint")
	}
	c := tls.Client(open(), &tls.Config{RootCAs: roots, ServerName: "graph.microsoft.com"})
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: login.microsoftonline.com\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != http.StatusMisdirectedRequest {
		t.Error(resp, err)
	}
}

func TestCAIsForAzureOnly(t *testing.T) {
	t.Parallel()
	p := behind(t, Config{}, func(http.ResponseWriter, *http.Request) {})
	roots := x509.NewCertPool()
	roots.AddCert(p.authority.certificate)
	for host, want := range map[string]bool{"graph.microsoft.com": true, "example.org": false} {
		made, err := p.authority.certificateFor(host, p.now())
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(made.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host}); (err == nil) != want {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestHeadersAreBounded(t *testing.T) {
	t.Parallel()
	p := behind(t, Config{}, func(http.ResponseWriter, *http.Request) {})
	r, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://graph.microsoft.com/", nil)
	r.Header.Set("X-Long", strings.Repeat("x", 4*maxHeader))
	if resp, err := client(t, p).Do(r); err == nil && resp.StatusCode < 400 {
		t.Error(resp.Status)
	}
}

func TestCheckPass(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"example.org": true, "example.org:8443": true, "*.example.org": true, "10.0.0.1": true, "[::1]:80": true, "[::1]": true, "*.microsoft.com": true,
		"": false, "https://example.org": false, "example.org/x": false, "*": false, "a b": false, "a:b": false, "graph.microsoft.com": false, "LOGIN.microsoftonline.com:443": false, "a\r\nb": false,
		strings.Repeat("a", maxHost): true, strings.Repeat("a", maxHost+1): false,
	} {
		if err := CheckPass(s); (err == nil) != want {
			t.Errorf("%q: %v", s, err)
		}
	}
}
