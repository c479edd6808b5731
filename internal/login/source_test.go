package login

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/entente-id/entente/client"
)

// cloudAlone answers for every host of a cloud, and remembers where what was sent.
type cloudAlone struct {
	http *http.Client
	mu   sync.Mutex
	sent []string // "HOST/PATH"
	form url.Values
}

func newCloudAlone(t *testing.T, refuse string) *cloudAlone {
	t.Helper()
	a := &cloudAlone{}
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.sent = append(a.sent, r.Host+r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		base := "https://" + r.Host + "/" + tenant
		switch {
		case strings.HasSuffix(r.URL.Path, "/discovery/instance"):
			fmt.Fprintf(w, `{"tenant_discovery_endpoint":"%s/v2.0/.well-known/openid-configuration","metadata":[{"preferred_network":%[2]q,"preferred_cache":%[2]q,"aliases":[%[2]q]}]}`, base, r.Host)
		case strings.HasSuffix(r.URL.Path, "/.well-known/openid-configuration"):
			fmt.Fprintf(w, `{"issuer":"%[1]s/v2.0","authorization_endpoint":"%[1]s/oauth2/v2.0/authorize","token_endpoint":"%[1]s/oauth2/v2.0/token"}`, base)
		case refuse != "":
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, refuse)
		default:
			r.ParseForm()
			a.form = r.PostForm
			fmt.Fprint(w, `{"token_type":"Bearer","expires_in":3600,"access_token":"a token"}`)
		}
	}))
	t.Cleanup(s.Close)
	a.http = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // it has the names of others
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
		},
	}}
	return a
}

func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// Every method asks the authority of its cloud, and nobody else, in the way that it
// says; in Azure by Microsoft's library, elsewhere by ours.
func TestSources(t *testing.T) {
	only, both, certificate := certify(t)
	whole := Login{Method: Certificate, ClientID: "robot", CertificateFile: file(t, both)}
	logins := map[Login]func(t *testing.T, form url.Values, audience string){
		{Method: Secret, ClientID: "robot"}: func(t *testing.T, form url.Values, _ string) {
			if form.Get("client_secret") != "open sesame" {
				t.Errorf("sent %v", form)
			}
		},
		{Method: Federated, ClientID: "robot", TokenFile: file(t, "an.assertion.x\n")}: func(t *testing.T, form url.Values, _ string) {
			if strings.TrimSpace(form.Get("client_assertion")) != "an.assertion.x" {
				t.Errorf("sent %v", form)
			}
		},
		whole: func(t *testing.T, form url.Values, audience string) {
			token, err := jwt.ParseSigned(form.Get("client_assertion"), []jose.SignatureAlgorithm{jose.PS256})
			if err != nil {
				t.Fatal(err)
			}
			var c jwt.Claims
			if err := token.Claims(certificate.PublicKey.(*rsa.PublicKey), &c); err != nil {
				t.Fatal(err)
			}
			thumbprint := sha256.Sum256(certificate.Raw)
			// The library writes the thumbprint in plain base64.
			said := strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(fmt.Sprint(token.Headers[0].ExtraHeaders["x5t#S256"]))
			if c.Issuer != "robot" || c.Subject != "robot" || !c.Audience.Contains(audience) || c.ID == "" || c.Expiry == nil ||
				said != base64.RawURLEncoding.EncodeToString(thumbprint[:]) {
				t.Errorf("claims %+v, header %+v", c, token.Headers[0])
			}
		},
	}
	alone, _ := strings.CutPrefix(both, only)
	logins[Login{Method: Certificate, ClientID: "robot", CertificateFile: file(t, only), KeyFile: file(t, alone)}] = logins[whole]
	for host, caller := range map[string]Caller{
		"login.microsoftonline.com": {Azure: true, Endpoints: client.Public()},
		"login.microsoftonline.us":  {Azure: true, Endpoints: client.USGovernment()},
		"login.chinacloudapi.cn":    {Azure: true, Endpoints: client.China()},
		"entente.example:8443":      {Endpoints: client.Entente("https://entente.example:8443/")},
	} {
		for l, check := range logins {
			t.Run(host+" by "+string(l.Method), func(t *testing.T) {
				a := newCloudAlone(t, "")
				c := caller
				c.TenantID, c.Login, c.Secret, c.HTTP = tenant, l, "open sesame", a.http
				s, err := c.Source()
				if err != nil {
					t.Fatal(err)
				}
				token, err := s.Token(t.Context(), "https://graph.microsoft.com/.default")
				if err != nil || token.AccessToken != "a token" {
					t.Fatal(err)
				}
				last := a.sent[len(a.sent)-1]
				if want := host + "/" + tenant + "/oauth2/v2.0/token"; last != want {
					t.Errorf("asked %s, want %s", last, want)
				}
				for _, where := range a.sent {
					if !strings.HasPrefix(where, host+"/") && !caller.Azure {
						t.Errorf("asked %s too", where)
					}
				}
				if a.form.Get("client_id") != "robot" || !strings.Contains(a.form.Get("scope"), "https://graph.microsoft.com/.default") {
					t.Errorf("sent %v", a.form)
				}
				check(t, a.form, "https://"+last)
			})
		}
	}
}

// A refusal has the same shape whoever asked.
func TestRefusal(t *testing.T) {
	const text = `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret.\r\nTrace ID: x","error_codes":[7000215],"trace_id":"x","correlation_id":"y"}`
	for name, c := range map[string]Caller{
		"azure": {Azure: true, Endpoints: client.Public()}, "entente": {Endpoints: client.Entente("https://entente.example")},
	} {
		c.TenantID, c.Login, c.Secret, c.HTTP = tenant, Login{Method: Secret, ClientID: "robot"}, "s", newCloudAlone(t, text).http
		s, err := c.Source()
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Token(t.Context(), "https://graph.microsoft.com/.default")
		refusal, ok := errors.AsType[*client.TokenError](err)
		if !ok || !refusal.HasCode(7000215) || refusal.Status != 401 || refusal.ClientID != "robot" || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %#v", name, err)
		}
	}
}

func TestCallersThatCannotBe(t *testing.T) {
	certificate, _, _ := certify(t)
	entente := client.Entente("https://entente.example")
	for want, c := range map[string]Caller{
		"nobody is logged in":             {Endpoints: entente, TenantID: tenant},
		"the tenant is not known":         {Endpoints: entente, Login: Login{Method: Secret, ClientID: "r"}},
		"there is no client id":           {Endpoints: entente, Login: Login{Method: Secret}},
		"AZURE_CLIENT_ID with":            {Endpoints: entente, Login: Login{Method: Environment}},
		"read the certificate: open no":   {Endpoints: entente, TenantID: tenant, Login: Login{Method: Certificate, ClientID: "r", CertificateFile: "no"}},
		"read the certificate in " + "":   {Endpoints: entente, TenantID: tenant, Login: Login{Method: Certificate, ClientID: "r", CertificateFile: file(t, certificate)}},
		"login by certificate: read the ": {Azure: true, Endpoints: client.Public(), TenantID: tenant, Login: Login{Method: Certificate, ClientID: "r", CertificateFile: file(t, "x")}},
	} {
		if _, err := c.Source(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", c.Login, err, want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	all := map[string]string{"AZURE_CLIENT_ID": "r", "AZURE_CLIENT_SECRET": "s", "AZURE_CLIENT_CERTIFICATE_PATH": "c", "AZURE_FEDERATED_TOKEN_FILE": "t", "AZURE_TENANT_ID": tenant}
	for _, step := range []struct {
		without string
		want    Login
	}{
		{"", Login{Method: Secret, ClientID: "r"}},
		{"AZURE_CLIENT_SECRET", Login{Method: Certificate, ClientID: "r", CertificateFile: "c"}},
		{"AZURE_CLIENT_CERTIFICATE_PATH", Login{Method: Federated, ClientID: "r", TokenFile: "t"}},
		{"AZURE_FEDERATED_TOKEN_FILE", Login{}},
	} {
		delete(all, step.without)
		c, err := Caller{Login: Login{Method: Environment}, Getenv: func(name string) string { return all[name] }}.Resolved()
		if step.want == (Login{}) {
			if !errors.Is(err, ErrNobody) {
				t.Errorf("without anything: %v", err)
			}
			continue
		}
		if err != nil || c.Login != step.want || c.TenantID != tenant || (c.Secret != "") != (step.want.Method == Secret) {
			t.Errorf("without %s: %+v, %v", step.without, c, err)
		}
	}
}

// az is asked for a token of the tenant and the scope, once.
func TestAzureCLI(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the az of this test is a shell script")
	}
	dir := t.TempDir()
	script := "#!/bin/sh\necho \"$@\" >> " + dir + "/args\necho '{\"accessToken\":\"a token\",\"expires_on\":4102444800,\"tokenType\":\"Bearer\"}'\n"
	if err := os.WriteFile(filepath.Join(dir, "az"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	s, err := Caller{Azure: true, Endpoints: client.China(), TenantID: tenant, Login: Login{Method: AzureCLI}}.Source()
	if err != nil {
		t.Fatal(err)
	}
	token, err := s.Token(t.Context(), "https://microsoftgraph.chinacloudapi.cn/.default")
	if err != nil || token.AccessToken != "a token" {
		t.Fatal(err)
	}
	if again, err := s.Token(t.Context(), "https://microsoftgraph.chinacloudapi.cn/.default"); err != nil || again != token {
		t.Errorf("another token: %v", err)
	}
	args, _ := os.ReadFile(filepath.Join(dir, "args"))
	if text := string(args); strings.Count(text, "\n") != 1 || !strings.Contains(text, "--tenant "+tenant) || !strings.Contains(text, "https://microsoftgraph.chinacloudapi.cn") {
		t.Errorf("az %s", text)
	}
}

func TestClaims(t *testing.T) {
	token := func(claims map[string]any) string {
		text, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		return "e30." + base64.RawURLEncoding.EncodeToString(text) + ".x"
	}
	v1, err := ReadClaims(token(map[string]any{"tid": tenant, "oid": "o", "appid": "r", "idtyp": "app", "roles": []string{"x"}, "exp": 4102444800}))
	if err != nil || v1.TenantID != tenant || v1.ClientID != "r" || v1.ObjectID != "o" || v1.Kind != "app" || len(v1.Roles) != 1 || v1.Expiry.Year() != 2100 {
		t.Errorf("%+v, %v", v1, err)
	}
	v2, err := ReadClaims(token(map[string]any{"azp": "r", "preferred_username": "me@example.org"}))
	if err != nil || v2.ClientID != "r" || v2.User != "me@example.org" {
		t.Errorf("%+v, %v", v2, err)
	}
	for _, bad := range []string{"", "opaque", "a.b", "a.%.c", "a.e30", "a.W10.c"} {
		if _, err := ReadClaims(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}
