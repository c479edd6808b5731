package token

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/entente-id/entente/internal/directory"
)

func TestMetadata(t *testing.T) {
	w := newWorld(t, "127.0.0.1")
	here, there, id := w.server.URL, "https://"+otherName, w.tenant.ID
	for _, c := range []struct {
		path, host string
		base       string
		older      bool
	}{
		{"/adfs/.well-known/openid-configuration", "", here, false},
		{"/adfs/example.test/adfs/.well-known/openid-configuration", "", here, false},
		{"/" + id + "/v2.0/.well-known/openid-configuration?", "", here, false},
		{"/" + strings.ToUpper(id) + "/v2.0/.well-known/openid-configuration", "", here, false},
		{"/example.test/v2.0/.well-known/openid-configuration", "", here, false},
		{"/common/v2.0/.well-known/openid-configuration", "", here, false},
		{"/organizations/v2.0/.well-known/openid-configuration", "", here, false},
		{"/" + id + "/.well-known/openid-configuration", "", here, true},
		{"/common/.well-known/openid-configuration", "", here, true},
		{"/adfs/.well-known/openid-configuration", otherName, there, false},
		{"/" + id + "/v2.0/.well-known/openid-configuration", otherName, there, false},
		{"/" + id + "/v2.0/.well-known/openid-configuration", "evil.example.test", here, false},
	} {
		headers := []string{"X-Forwarded-Host", "evil.example.test", "X-Forwarded-Proto", "http"}
		if c.host != "" {
			headers = append(headers, "Host", c.host)
		}
		r := w.get(c.path, headers...)
		if r.StatusCode != 200 || !strings.Contains(r.Header.Get("Cache-Control"), "max-age=") {
			t.Errorf("%s: %d %s", c.path, r.StatusCode, r.body)
			continue
		}
		root := c.base + "/" + id
		want := map[string]any{
			"issuer": root + "/v2.0", "token_endpoint": root + "/oauth2/v2.0/token", "authorization_endpoint": root + "/oauth2/v2.0/authorize",
			"jwks_uri": root + "/discovery/v2.0/keys", "cloud_instance_name": strings.TrimPrefix(c.base, "https://"),
		}
		if c.older {
			want["issuer"], want["token_endpoint"], want["authorization_endpoint"], want["jwks_uri"] = root+"/", root+"/oauth2/token", root+"/oauth2/authorize", root+"/discovery/keys"
		}
		got := r.object(t)
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%s on %q: %s is %v, want %q", c.path, c.host, name, got[name], value)
			}
		}
		if c.base == here { // what it names is there
			for _, address := range []string{got["jwks_uri"].(string), got["token_endpoint"].(string)} {
				if r := w.get(strings.TrimPrefix(address, here)); r.StatusCode == 404 {
					t.Errorf("%s: %d", address, r.StatusCode)
				}
			}
		}
	}
	for _, path := range []string{"/" + w.clientID + "/v2.0/.well-known/openid-configuration", "/other.example.test/.well-known/openid-configuration", "/" + w.clientID + "/discovery/keys"} {
		if r := w.get(path); r.StatusCode != 400 || r.code(t) != 90002 || r.object(t)["error"] != "invalid_tenant" {
			t.Errorf("%s: %d %s", path, r.StatusCode, r.body)
		}
	}
}

// A token of either version verifies by the document that its own iss leads to.
func TestTokensVerifyByDiscovery(t *testing.T) {
	w := newWorld(t, "127.0.0.1")
	api := w.application(directory.Application{DisplayName: "api", TokenVersion: 2})
	ctx := oidc.ClientContext(t.Context(), w.server.Client())
	for scope, want := range map[string]struct{ issuer, audience string }{
		"https://management.azure.com/.default": {w.server.URL + "/" + w.tenant.ID + "/", "https://management.azure.com"},
		api.AppID + "/.default":                 {w.server.URL + "/" + w.tenant.ID + "/v2.0", api.AppID},
	} {
		token := w.post(w.tokenPath(), w.fields("scope", scope)).object(t)["access_token"].(string)
		provider, err := oidc.NewProvider(ctx, want.issuer)
		w.check(err)
		if _, err := provider.Verifier(&oidc.Config{ClientID: want.audience}).Verify(ctx, token); err != nil {
			t.Errorf("%s: %v", scope, err)
		}
	}
}

func TestKeys(t *testing.T) {
	w := newWorld(t, "127.0.0.1")
	for _, path := range []string{"/" + w.tenant.ID + "/discovery/v2.0/keys", "/example.test/discovery/keys", "/common/discovery/v2.0/keys", "/common/discovery/keys", "/adfs/discovery/keys"} {
		r := w.get(path)
		var set jose.JSONWebKeySet
		if err := json.Unmarshal(r.body, &set); err != nil || len(set.Keys) != 1 || !set.Keys[0].IsPublic() || set.Keys[0].KeyID == "" {
			t.Errorf("%s: %d %s (%v)", path, r.StatusCode, r.body, err)
		}
	}
	// A new tenant has keys as soon as somebody asks, and they are its own.
	founded, err := w.dir.CreateTenant(t.Context(), w.caller, directory.NewTenant{})
	w.check(err)
	other := w.get("/" + founded.Tenant.ID + "/discovery/v2.0/keys")
	if other.StatusCode != 200 || !strings.Contains(string(other.body), `"kid"`) || slices.Equal(other.body, w.get("/common/discovery/keys").body) {
		t.Errorf("%d %s", other.StatusCode, other.body)
	}
}

func TestInstance(t *testing.T) {
	w := newWorld(t, "127.0.0.1")
	own := strings.TrimPrefix(w.server.URL, "https://")
	for _, c := range []struct{ endpoint, host, discovery string }{
		{w.server.URL + "/" + w.tenant.ID + "/oauth2/v2.0/authorize", own, w.server.URL + "/" + w.tenant.ID},
		{w.server.URL + "/common/oauth2/authorize", own, w.server.URL + "/common"},
		{"https://127.0.0.1/" + w.tenant.ID + "/oauth2/v2.0/authorize", own, w.server.URL + "/" + w.tenant.ID}, // without the port
		{"https://" + otherName + "/x.test/oauth2/v2.0/authorize", otherName, "https://" + otherName + "/x.test"},
		{w.server.URL + "/a%22b/authorize", own, w.server.URL + "/common"},
	} {
		r := w.get("/common/discovery/instance?api-version=1.1&authorization_endpoint=" + c.endpoint)
		if r.StatusCode != 200 {
			t.Errorf("%s: %d %s", c.endpoint, r.StatusCode, r.body)
			continue
		}
		var d instanceDocument
		w.check(json.Unmarshal(r.body, &d))
		if d.Endpoint != c.discovery+"/v2.0/.well-known/openid-configuration" || d.APIVersion != "1.1" || len(d.Metadata) != 1 ||
			d.Metadata[0].Network != c.host || d.Metadata[0].Cache != c.host || !slices.Equal(d.Metadata[0].Aliases, []string{c.host}) {
			t.Errorf("%s: %s", c.endpoint, r.body)
		}
	}
	for _, endpoint := range []string{"", "https://evil.example.test/common/oauth2/authorize", "http://" + own + "/common", "nonsense", "https://"} {
		r := w.get("/common/discovery/instance?authorization_endpoint=" + endpoint)
		if r.StatusCode != 400 || r.code(t) != 50049 || r.object(t)["error"] != "invalid_instance" {
			t.Errorf("%s: %d %s", endpoint, r.StatusCode, r.body)
		}
	}
}

func TestWebfinger(t *testing.T) {
	w := newWorld(t, "127.0.0.1")
	for host, want := range map[string][]string{
		"":        {w.server.URL, "https://127.0.0.1"},
		otherName: {"https://" + otherName},
	} {
		r := w.get("/.well-known/webfinger?rel="+trustedRealm+"&resource=https://evil.example.test", "Host", host)
		var d webfingerDocument
		w.check(json.Unmarshal(r.body, &d))
		var hrefs []string
		for _, l := range d.Links {
			hrefs = append(hrefs, l.Href)
		}
		if r.StatusCode != 200 || d.Subject != want[0] || !slices.Equal(hrefs, want) {
			t.Errorf("%q: %s", host, r.body)
		}
	}
}
