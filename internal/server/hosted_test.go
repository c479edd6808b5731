package server

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/directory"
)

// A hosted issuer is published below --issuer-url, to anybody, under every
// spelling of slashes, and is counted as a surface of its own.
func TestHostedIssuer(t *testing.T) {
	s := openService(t, t.TempDir(), func(c *Config) { c.RequestRate = 20 })
	system := directory.System(s.admin.TenantID, "test")
	_, _, err := s.directory.PutGroup(t.Context(), system, directory.Group{SubscriptionID: s.admin.SubscriptionID, Name: "g", Location: "local"})
	if err != nil {
		t.Fatal(err)
	}
	const set = `{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"k1"}]}`
	c, _, err := s.directory.PutCluster(t.Context(), system, directory.ClusterSpec{
		ClusterRef: directory.ClusterRef{SubscriptionID: s.admin.SubscriptionID, Group: "g", Name: "c"}, Location: "local",
		Issuer: &directory.ClusterIssuerSpec{Keys: directory.HostedKeys, KeySet: json.RawMessage(set)},
	})
	if err != nil {
		t.Fatal(err)
	}
	path, ours := strings.CutPrefix(c.Issuer.URL, s.config.IssuerURL)
	if !ours || path != "/oic/"+s.admin.TenantID+"/"+c.ID+"/" {
		t.Fatalf("the issuer is %s", c.Issuer.URL)
	}
	for _, p := range []string{path + "openid/v1/jwks", path + "/openid/v1/jwks", "/" + path + "openid/v1/jwks", strings.ReplaceAll(path, "/", "//") + "openid//v1//jwks"} {
		if w := s.ask("GET", p, nil, nil); w.Code != 200 || w.Body.String() != set || w.Header().Get("X-Ms-Request-Id") == "" {
			t.Errorf("%s: %d %s", p, w.Code, w.Body)
		}
	}
	if w := s.ask("GET", path+".well-known/openid-configuration", nil, nil); !strings.Contains(w.Body.String(), `"issuer":"`+c.Issuer.URL+`"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := s.ask("GET", "/OIC"+strings.TrimPrefix(path, "/oic")+"openid/v1/jwks", nil, nil); w.Code != 404 || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("in another case: %d %s", w.Code, w.Body)
	}
	if text := s.log.String(); !strings.Contains(text, `"surface":"hosted"`) || !strings.Contains(text, `"route":"/oic/{tenant}/{cluster}/openid/v1/jwks"`) {
		t.Errorf("the log is %s", text)
	}
	limited := 0
	for range 100 {
		if w := s.ask("HEAD", path+"openid/v1/jwks", nil, nil); w.Code == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited == 0 {
		t.Error("nobody is asked to wait")
	}
}
