package client

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
)

func TestNew(t *testing.T) {
	tests := []struct {
		name      string
		endpoints Endpoints
		fails     string
	}{
		{"public", Public(), ""},
		{"US government", USGovernment(), ""},
		{"China", China(), ""},
		{"none", Endpoints{}, ""},
		{"entente", Entente("https://entente.example:8443/"), ""},
		{"entente below a path", Entente("https://example.org/entente"), ""},
		{"some", Endpoints{Graph: "https://graph.example"}, ""},
		{"http", Entente("http://entente.example"), `authority: endpoint "http://entente.example" is not an https URL`},
		{"http graph", Endpoints{Graph: "http://graph.example"}, "microsoft graph: "},
		{"http ARM", Endpoints{ResourceManager: "http://arm.example"}, "resource manager: "},
		{"no scheme", Entente("entente.example"), "is not an https URL"},
		{"no host", Entente("https:///x"), "is not an https URL"},
		{"only a port", Entente("https://:443"), "is not an https URL"},
		{"user", Entente("https://user:secret@entente.example"), "more than a host and a path"},
		{"query", Entente("https://entente.example?x"), "more than a host and a path"},
		{"empty query", Entente("https://entente.example?"), "more than a host and a path"},
		{"fragment", Entente("https://entente.example#x"), "more than a host and a path"},
		{"no URL", Entente("https://%zz"), "endpoint"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(Config{Endpoints: tt.endpoints, Credential: fixed("x")})
			if tt.fails == "" && err != nil || tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)) {
				t.Errorf("got %v, want …%s…", err, tt.fails)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
	if _, err := New(Config{}); err == nil {
		t.Error("a client without a credential")
	}
}

// asked notes the scopes that a client asks for.
type asked []string

func (a *asked) Token(_ context.Context, scope string) (Token, error) {
	*a = append(*a, scope)
	return Token{}, errors.New("no token today")
}

func TestScopes(t *testing.T) {
	tests := []struct {
		name      string
		endpoints Endpoints
		graph     string
		arm       string
	}{
		{"public", Endpoints{}, "https://graph.microsoft.com/.default", "https://management.core.windows.net//.default"},
		{"US government", USGovernment(), "https://graph.microsoft.us/.default", "https://management.core.usgovcloudapi.net//.default"},
		{"China", China(), "https://microsoftgraph.chinacloudapi.cn/.default", "https://management.core.chinacloudapi.cn//.default"},
		{"entente", Entente("https://e.example:8443/"), "https://e.example:8443/.default", "https://e.example:8443/.default"},
		{"audience from endpoint", Endpoints{Graph: "https://g.example/", ResourceManager: "https://a.example"}, "https://g.example/.default", "https://a.example/.default"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var a asked
			c, err := New(Config{Endpoints: tt.endpoints, Credential: &a, TenantID: "t"})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Applications(t.Context(), ""); err == nil || err.Error() != "no token today" {
				t.Error(err)
			}
			if _, err := c.Tenants(t.Context()); err == nil {
				t.Error("no error")
			}
			if len(a) != 2 || a[0] != tt.graph || a[1] != tt.arm {
				t.Errorf("got %q", a)
			}
			if tt.endpoints != (Endpoints{}) && c.Endpoints() != tt.endpoints || c.TenantID() != "t" {
				t.Errorf("got %+v, %q", c.Endpoints(), c.TenantID())
			}
		})
	}
}

func TestEndpointsThatAreNotThere(t *testing.T) {
	c, err := New(Config{Endpoints: Endpoints{Graph: "https://graph.example"}, Credential: fixed("x")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Tenants(t.Context()); err == nil || err.Error() != "resource manager: no endpoint is configured" {
		t.Error(err)
	}
	if err := c.DeleteIssuer(t.Context(), "x"); err == nil {
		t.Error("no error")
	}
}

func TestAnEmptyTokenIsNotSent(t *testing.T) {
	s := serve(t)
	c, _ := s.client()
	c.credential = fixed("")
	if _, err := c.Tenants(t.Context()); err == nil || !strings.Contains(err.Error(), "empty token") {
		t.Error(err)
	}
}

func TestAnEndpointBelowAPath(t *testing.T) {
	s := serve(t, step{request: "GET /entente/v1.0/applications", answer: `{"value":[],"@odata.nextLink":"{base}/entente/v1.0/applications?$skiptoken=1"}`},
		step{request: "GET /entente/v1.0/applications?$skiptoken=1", answer: `{"value":[]}`})
	c, err := New(Config{Endpoints: Entente(s.URL + "/entente/"), HTTP: s.Client(), Credential: fixed("x"), UserAgent: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Applications(t.Context(), ""); err != nil {
		t.Error(err)
	}
}

func TestSameOrigin(t *testing.T) {
	tests := []struct {
		a, b string
		want bool
	}{
		{"https://a.example", "https://A.example:443/x?y", true},
		{"https://[::1]:8443", "https://[::1]:8443/x", true},
		{"https://a.example", "https://a.example:8443", false},
		{"https://a.example", "http://a.example:443", false},
		{"https://a.example", "https://a.example.evil", false},
		{"https://a.example", "https://x.a.example", false},
		{"https://a.example", "https://u@a.example", false},
	}
	for _, tt := range tests {
		a, _ := url.Parse(tt.a)
		b, _ := url.Parse(tt.b)
		if got := sameOrigin(a, b); got != tt.want {
			t.Errorf("%s, %s: got %v", tt.a, tt.b, got)
		}
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{"": "''", "a": "'a'", "a'b": "'a''b'", "''": "''''''", "x' or 1 eq 1": "'x'' or 1 eq 1'"} {
		if got := Quote(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}
