package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/testkit"
)

func (s *service) get(t *testing.T, path string, change ...func(*http.Request)) (int, http.Header, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Authority+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(r)
	}
	resp, err := s.HTTP.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var document map[string]any
	if len(body) > 0 {
		if err := json.Unmarshal(body, &document); err != nil {
			t.Fatalf("%s answers with %.100q, which is no JSON: %v", path, body, err)
		}
	}
	return resp.StatusCode, resp.Header, document
}

func TestFirstStartLeavesWhatAnAdministratorNeeds(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "by", "serve")
	s := serve(t, dir)
	for file, mode := range map[string]os.FileMode{"admin.json": 0o600, "ca-key.pem": 0o600, "entente.db": 0o600, "key-encryption-key": 0o600, "ca.pem": 0o644} {
		if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, want mode %v", file, err, mode)
		}
	}
	var document map[string]string
	text, err := os.ReadFile(filepath.Join(dir, "admin.json"))
	if err != nil || json.Unmarshal(text, &document) != nil || len(document) != 6 {
		t.Errorf("admin.json: %s (%v)", text, err)
	}
	for name, value := range document {
		if value == "" {
			t.Errorf("admin.json: %s is empty", name)
		}
	}
	if strings.Contains(s.Log(), s.ClientSecret) {
		t.Error("the administrator's secret stands in the log")
	}
	subscriptions, err := s.AsAdmin(t).Subscriptions(t.Context())
	if err != nil || len(subscriptions) != 1 {
		t.Errorf("subscriptions: %v (%v)", subscriptions, err)
	}
	before := s.Admin
	if err := s.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	again := serve(t, dir)
	if again.ClientSecret != before.ClientSecret || again.TenantID != before.TenantID {
		t.Error("the second start made another administrator or tenant")
	}
	if _, err := again.AsAdmin(t).Subscriptions(t.Context()); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

func TestLocalCAIsForTheServicesNamesOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	serve(t, dir)
	text, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	for name, ok := range map[string]bool{"localhost": true, "127.0.0.1": true, "login.microsoftonline.com": false, "10.0.0.1": false} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		leaf := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour)}
		if ip := net.ParseIP(name); ip != nil {
			leaf.IPAddresses = []net.IP{ip}
		} else {
			leaf.DNSNames = []string{name}
		}
		der, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), pair.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); (err == nil) != ok {
			t.Errorf("a certificate of the local CA for %s: %v, want ok=%v", name, err, ok)
		}
	}
}

func TestDocumentsFollowConfiguredNamesOnly(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--host", "login.microsoftonline.com")
	path := "/" + s.TenantID + "/v2.0/.well-known/openid-configuration"
	for host, base := range map[string]string{
		"":                          s.Authority,
		"login.microsoftonline.com": "https://login.microsoftonline.com",
		"evil.example.org":          s.Authority,
	} {
		code, _, document := s.get(t, path, func(r *http.Request) {
			r.Host = host
			r.Header.Set("X-Forwarded-Host", "forwarded.example.org")
			r.Header.Set("Forwarded", "host=forwarded.example.org")
		})
		if code != 200 || document["issuer"] != base+"/"+s.TenantID+"/v2.0" || document["token_endpoint"] != base+"/"+s.TenantID+"/oauth2/v2.0/token" {
			t.Errorf("asked as %q: %d %v", host, code, document)
		}
	}
}

func TestEveryAnswerIsInItsWiresShape(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	for path, want := range map[string]int{
		"/":             200,
		"/v1.0/nothing": 400, "/v1.0/applications": 401, "/beta/applications": 401,
		"/subscriptions":              400,
		"/subscriptions?api-version=": 400,
		"/subscriptions/" + s.SubscriptionID + "?api-version=2021-01-01": 401,
		"//providers/nothing?api-version=2021-01-01":                     404,
		"/nobody/oauth2/v2.0/token":                                      0,
		"/portals":                                                       0,
	} {
		code, header, document := s.get(t, path)
		if want != 0 && code != want || code >= 500 || document == nil {
			t.Errorf("%s: %d %v, want %d", path, code, document, want)
		}
		if header.Get("X-Ms-Request-Id") == "" || strings.HasPrefix(header.Get("Location"), "/") {
			t.Errorf("%s: header %v", path, header)
		}
	}
	_, header, _ := s.get(t, "/subscriptions/"+s.SubscriptionID+"?api-version=2021-01-01", func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") })
	if got := header.Get("WWW-Authenticate"); !strings.Contains(got, "/"+s.TenantID+`", error="invalid_token"`) {
		t.Errorf("the way to the tenant is missing: %q", got)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	if _, err := s.AsAdmin(t).Tenants(t.Context()); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/livez": "ok", "/readyz": "ok", "/metrics": `entente_requests_total{method="GET",status="200",surface="arm"} 1`} {
		resp, err := http.Get(s.Health + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d %v, want %q in it", path, resp.StatusCode, err, want)
		}
	}
}

// Under load, SIGTERM drops no request that was taken and ends the process in good order.
func TestStopDropsNothing(t *testing.T) {
	s := serve(t, t.TempDir(), "--drain", "300ms")
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {s.ClientID}, "client_secret": {s.ClientSecret}, "scope": {s.Authority + "/.default"}}
	var wg sync.WaitGroup
	var mu sync.Mutex
	answered, broken := 0, []string{}
	stopped := make(chan struct{})
	for range 8 {
		wg.Go(func() {
			for {
				resp, err := s.HTTP.PostForm(s.Authority+"/"+s.TenantID+"/oauth2/v2.0/token", form)
				if err != nil {
					if !strings.Contains(err.Error(), "connection refused") {
						mu.Lock()
						broken = append(broken, err.Error())
						mu.Unlock()
					}
					return // the listener is closed
				}
				_, err = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				mu.Lock()
				if answered++; err != nil || resp.StatusCode != 200 {
					broken = append(broken, resp.Status)
				}
				mu.Unlock()
				select {
				case <-stopped:
					return
				default:
				}
			}
		})
	}
	time.Sleep(200 * time.Millisecond)
	err := s.Stop()
	close(stopped)
	wg.Wait()
	if err != nil {
		t.Errorf("the process ended with %v", err)
	}
	if answered == 0 || len(broken) > 0 {
		t.Errorf("%d answers, broken: %q", answered, broken)
	}
}

func TestCertificateIsReloaded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.pem"), filepath.Join(dir, "tls-key.pem")
	write := func(serial int64) *x509.Certificate {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		private, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
			if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	first := write(1)
	s := &service{}
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: first.Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	s = serve(t, data, "--tls-cert", certFile, "--tls-key", keyFile)
	address := strings.TrimPrefix(s.Authority, "https://")
	serial := func() int64 {
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Fatalf("serves certificate %d", got)
	}
	write(2)
	for deadline := time.Now().Add(20 * time.Second); serial() != 2; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the new certificate is not served")
		}
	}
}

// A federated administrator: no secret is made, and the workload administers.
func TestBootstrapAdmin(t *testing.T) {
	t.Parallel()
	issuer, flags := cluster(t)
	dir := t.TempDir()
	s := serve(t, dir, append(flags, "--bootstrap-admin", issuer.URL()+","+subject)...)
	if _, err := os.Stat(filepath.Join(dir, "admin.json")); !os.IsNotExist(err) {
		t.Errorf("admin.json: %v", err)
	}
	_, _, root := s.get(t, "/")
	tenant := strings.Split(strings.TrimPrefix(root["openid_configuration"].(string), s.Authority+"/"), "/")[0]
	s.TenantID = tenant
	c := s.federated(t, administrator(t, s), issuer)
	if _, err := c.PutPolicy(t.Context(), client.Policy{MaxFederatedIdentityCredentials: 30}); err != nil {
		t.Error(err)
	}
}

func TestServeSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for want, args := range map[string][]string{
		"hint: choose other addresses":     {"--listen", busy.Addr().String()},
		"--key-encryption-key":             {"--db", "postgres://nobody@127.0.0.1:1/nothing"},
		"is not an https:// URL":           {"--public-url", "http://x.example.org"},
		"has a path":                       {"--public-url", "https://x.example.org/entente"},
		"belong together":                  {"--tls-cert", "x.pem"},
		"--issuer-allow":                   {"--issuer-allow", "10.0.0.0/99"},
		"is neither registered nor any":    {"--resources", "some"},
		"is not ISSUER,SUBJECT":            {"--bootstrap-admin", "x"},
		"is not between 10m and 24h":       {"--managed-identity-token-lifetime", "48h"},
		`unknown flag: --nothing`:          {"--nothing"},
		`unknown command "x" for "entente`: {"x"},
	} {
		full := append([]string{"serve", "--data-dir", t.TempDir(), "--health-listen", "none"}, args...)
		if args[0] == "x" {
			full = args
		}
		if !strings.Contains(strings.Join(full, " "), "--listen 127") {
			full = append(full, "--listen", "127.0.0.1:0")
		}
		if args[0] == "x" {
			full = args
		}
		out, err := exec.CommandContext(t.Context(), testkit.Program, full...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) || !strings.Contains(string(out), "error: ") {
			t.Errorf("%q: %v\n%s\nwant %q", args, err, out, want)
		}
	}
}

func TestFlagsHaveTwinsInTheEnvironment(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), testkit.Program, "serve")
	cmd.Env = []string{"HOME=" + t.TempDir(), "ENTENTE_RESOURCES=some"}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), `--resources: "some"`) {
		t.Errorf("%v\n%s", err, out)
	}
}
