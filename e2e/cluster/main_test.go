// Package cluster has the built program federate with real Kubernetes
// clusters: it takes their service-account tokens, and they take its tokens.
package cluster

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entente-id/entente/client"
	_ "github.com/entente-id/entente/internal/cli" // what the program is made of: a change of it runs these tests again
	"github.com/entente-id/entente/internal/testkit"
	"github.com/entente-id/entente/internal/testkit/controlplane"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

const (
	audience = "api://AzureADTokenExchange"
	subject  = "system:serviceaccount:pets:cat"
	vault    = "https://vault.azure.net"
	inside   = "https://kubernetes.default.svc.cluster.local" // the issuer of most clusters, which nobody outside can ask
)

// start starts a cluster with the service accounts cat and dog.
func start(t *testing.T, config controlplane.Config) *controlplane.Cluster {
	t.Helper()
	c := controlplane.Start(t, config)
	c.ServiceAccount(t, "pets", "cat")
	c.ServiceAccount(t, "pets", "dog")
	return c
}

// private are the flags that let a service ask issuers on loopback with
// certificates of an authority.
func private(t *testing.T, a *controlplane.Authority) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "issuer-ca.pem")
	if err := os.WriteFile(file, a.PEM, 0o644); err != nil {
		t.Fatal(err)
	}
	return []string{"--issuer-allow", "127.0.0.1", "--issuer-ca", file}
}

// application makes one that trusts cat of an issuer, and returns its client id.
func application(t *testing.T, c *client.Client, issuer string) client.ServicePrincipal {
	t.Helper()
	app, err := c.CreateApplication(t.Context(), client.ApplicationSpec{DisplayName: "cat"})
	if err != nil {
		t.Fatal(err)
	}
	sp, err := c.CreateServicePrincipal(t.Context(), client.ServicePrincipalSpec{AppID: app.AppID})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.CreateApplicationCredential(t.Context(), app.ID, client.FederatedCredential{Name: "cat", Issuer: issuer, Subject: subject, Audiences: []string{audience}})
	if err != nil {
		t.Fatal(err)
	}
	return sp
}

// answer is what the token endpoint says.
type answer struct {
	Status      int
	RetryAfter  string
	Token       string `json:"access_token"`
	Codes       []int  `json:"error_codes"`
	Description string `json:"error_description"`
}

// code is the AADSTS number of a refusal; 0: a token.
func (a answer) code() int {
	switch {
	case len(a.Codes) > 0:
		return a.Codes[0]
	case a.Token != "":
		return 0
	}
	return -1
}

// exchange asks for a token for the vault, on the wire.
func exchange(t *testing.T, s *testkit.Service, clientID, assertion string) answer {
	t.Helper()
	return request(t, s, url.Values{
		"client_id": {clientID}, "client_assertion": {assertion}, "scope": {vault + "/.default"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	})
}

func request(t *testing.T, s *testkit.Service, form url.Values) (a answer) {
	t.Helper()
	form.Set("grant_type", "client_credentials")
	resp, err := s.HTTP.PostForm(s.Authority+"/"+s.TenantID+"/oauth2/v2.0/token", form)
	if err != nil {
		t.Error(err)
		return a
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		t.Error(err)
	}
	a.Status, a.RetryAfter = resp.StatusCode, resp.Header.Get("Retry-After")
	return a
}

// accepted fails the test unless an exchange gives a token for the principal.
func accepted(t *testing.T, s *testkit.Service, sp client.ServicePrincipal, assertion string) {
	t.Helper()
	a := exchange(t, s, sp.AppID, assertion)
	if a.Status != 200 {
		t.Fatalf("refused with %d: %s", a.Status, a.Description)
	}
	if c := decode[claims](t, a.Token, 1); c.Aud != vault || c.OID != sp.ID || c.AppID != sp.AppID || c.TID != s.TenantID {
		t.Errorf("the access token says %+v", c)
	}
}

// refused fails the test unless an exchange is refused with a status and an AADSTS number.
func refused(t *testing.T, s *testkit.Service, sp client.ServicePrincipal, assertion string, status, code int) {
	t.Helper()
	if a := exchange(t, s, sp.AppID, assertion); a.Status != status || a.code() != code {
		t.Errorf("answered with %d, AADSTS%d, want %d, AADSTS%d: %s", a.Status, a.code(), status, code, a.Description)
	}
}

// claims and header are what the tests read of a token.
type (
	claims struct{ Aud, Iss, OID, AppID, TID, Ver string }
	header struct{ Alg, Kid string }
)

// decode reads one part of a token.
func decode[T any](t *testing.T, token string, part int) (v T) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: %.40q", token)
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[part])
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// tampered is a token with one bit of its signature turned.
func tampered(token string) string {
	last := strings.LastIndexByte(token, '.') + 10
	other := byte('A')
	if token[last] == 'A' {
		other = 'B'
	}
	return token[:last] + string(other) + token[last+1:]
}
