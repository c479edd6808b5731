package server

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPortalOIDC(t *testing.T) {
	good := func() PortalOIDC {
		p := PortalOIDC{Issuer: "https://id.example.org/realms/shop", ClientID: "entente"}
		if err := p.AddRole("groups=platform:Federation Administrator"); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for name, c := range map[string]struct {
		change func(*PortalOIDC)
		refuse string // part of the error; empty: none
	}{
		"none":               {func(p *PortalOIDC) { *p = PortalOIDC{} }, ""},
		"the least":          {func(*PortalOIDC) {}, ""},
		"a slash at the end": {func(p *PortalOIDC) { p.Issuer = "https://id.example.org/" }, ""},
		"scopes":             {func(p *PortalOIDC) { p.Scopes = []string{"groups", "https://example.org/roles"} }, ""},
		"no issuer":          {func(p *PortalOIDC) { p.Issuer = "" }, "need --portal-oidc-issuer"},
		"a name claim only":  {func(p *PortalOIDC) { *p = PortalOIDC{NameClaim: "upn"} }, "need --portal-oidc-issuer"},
		"http":               {func(p *PortalOIDC) { p.Issuer = "http://id.example.org" }, "--portal-oidc-issuer"},
		"a host only":        {func(p *PortalOIDC) { p.Issuer = "id.example.org" }, "--portal-oidc-issuer"},
		"a query":            {func(p *PortalOIDC) { p.Issuer += "?" }, "--portal-oidc-issuer"},
		"a fragment":         {func(p *PortalOIDC) { p.Issuer += "#" }, "--portal-oidc-issuer"},
		"a user":             {func(p *PortalOIDC) { p.Issuer = "https://me@id.example.org" }, "--portal-oidc-issuer"},
		"no client id":       {func(p *PortalOIDC) { p.ClientID = "" }, "--portal-oidc-client-id"},
		"no roles":           {func(p *PortalOIDC) { p.Roles = nil }, "hint: --portal-oidc-role"},
		"two scopes in one":  {func(p *PortalOIDC) { p.Scopes = []string{"a b"} }, "--portal-oidc-scope"},
		"a scope of quotes":  {func(p *PortalOIDC) { p.Scopes = []string{`"`} }, "--portal-oidc-scope"},
		"an empty scope":     {func(p *PortalOIDC) { p.Scopes = []string{""} }, "--portal-oidc-scope"},
	} {
		p := good()
		c.change(&p)
		config := Config{DataDir: "x", PortalOIDC: p}
		if err := config.check(); (err == nil) != (c.refuse == "") || err != nil && !strings.Contains(err.Error(), c.refuse) {
			t.Errorf("%s: got %v, want %q", name, err, c.refuse)
		}
	}
	if err := new(PortalOIDC).AddRole("groups=platform:Wizard"); err == nil || !strings.Contains(err.Error(), "Federation Administrator") {
		t.Errorf("an unknown role: %v, want the known ones", err)
	}
	if provider, err := new(PortalOIDC).open(); provider != nil || err != nil {
		t.Errorf("none: %v, %v", provider, err)
	}
}

func TestPortalOIDCFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		name, content string
		mode          os.FileMode
		want          string // empty: refused
	}{
		{"secret", "s3cret", 0o600, "s3cret"},
		{"line", "s3cret \r\n", 0o400, "s3cret "},
		{"group", "s3cret", 0o640, ""},
		{"group-writes", "s3cret", 0o620, ""},
		{"others", "s3cret", 0o604, ""},
		{"empty", "\n", 0o600, ""},
		{"large", strings.Repeat("x", maxClientSecret+1), 0o600, ""},
	} {
		path := write(c.name, c.content, c.mode)
		provider, err := (&PortalOIDC{Issuer: "https://id.example.org", ClientSecretFile: path}).open()
		if c.want == "" {
			if err == nil || !strings.Contains(err.Error(), "--portal-oidc-client-secret-file") || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%s: got %v, want a refusal that names flag and file", c.name, err)
			}
		} else if err != nil || provider.ClientSecret != c.want {
			t.Errorf("%s: got %+v (%v), want %q", c.name, provider, err, c.want)
		}
	}
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	ca := write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})), 0o644)
	provider, err := (&PortalOIDC{Issuer: "https://id.example.org", CA: ca}).open()
	if err != nil || provider.RootCAs == nil {
		t.Errorf("a CA: %v", err)
	}
	for _, path := range []string{write("no.pem", "x", 0o644), filepath.Join(dir, "nowhere")} {
		if _, err := (&PortalOIDC{Issuer: "https://id.example.org", CA: path}).open(); err == nil || !strings.Contains(err.Error(), "--portal-oidc-ca") || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

// Anybody can come back from a provider with any code, and make the service
// ask it. From one address few do.
func TestFewComeBackFromTheProvider(t *testing.T) {
	now := time.Now()
	s := openService(t, t.TempDir(), func(c *Config) { c.Clock = func() time.Time { return now } })
	refused := 0
	for range 100 {
		w := s.ask("GET", "/portal/sign-in/callback?code=x", nil, nil)
		if w.Code != http.StatusTooManyRequests {
			continue
		}
		if refused++; w.Header().Get("Retry-After") == "" || w.Header().Get("Content-Security-Policy") == "" || !strings.Contains(w.Body.String(), "Too many people") {
			t.Fatalf("%v %s", w.Header(), w.Body)
		}
	}
	if refused != 100-2*peopleRate {
		t.Errorf("%d of 100 were refused", refused)
	}
	if w := s.ask("GET", "/portal/sign-in", nil, nil); w.Code != http.StatusOK {
		t.Errorf("the sign-in page: %d", w.Code)
	}
	if now = now.Add(time.Minute); s.ask("GET", "/portal/sign-in/callback?code=x", nil, nil).Code == http.StatusTooManyRequests {
		t.Error("they are refused for ever")
	}
}
