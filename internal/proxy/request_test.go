package proxy

import (
	"net/http"
	"strings"
	"testing"
)

const tokenPath = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net"

func TestRequestsThatAreRefused(t *testing.T) {
	p := newPod(t)
	for _, k := range []struct {
		name, target string
		header       []string
		status       int
		code         string
	}{
		{"no Metadata header, as SDKs that look for the endpoint", "/metadata/identity/oauth2/token", nil, 400, "bad_request_102"},
		{"another case", tokenPath, []string{"Metadata", "True"}, 400, "bad_request_102"},
		{"Metadata twice", tokenPath, []string{"Metadata", "true", "Metadata", "true"}, 400, "bad_request_102"},
		{"through another server", tokenPath, []string{"Metadata", "true", "X-Forwarded-For", "1.2.3.4"}, 400, "invalid_request"},
		{"through another server, empty", tokenPath, []string{"Metadata", "true", "X-Forwarded-For", ""}, 400, "invalid_request"},
		{"through a standard server", tokenPath, []string{"Metadata", "true", "Forwarded", "for=1.2.3.4"}, 400, "invalid_request"},
		{"from a browser", tokenPath, []string{"Metadata", "true", "Origin", "https://evil.example"}, 400, "invalid_request"},
		{"a name that leads here", tokenPath, []string{"Metadata", "true", "Host", "evil.example"}, 400, "invalid_request"},
		{"a name that begins like this machine's", tokenPath, []string{"Metadata", "true", "Host", "localhost.evil.example:80"}, 400, "invalid_request"},
		{"another metadata address", tokenPath, []string{"Metadata", "true", "Host", "169.254.169.253"}, 400, "invalid_request"},
		{"a longer path", "/metadata/identity/oauth2/tokenX?resource=x", []string{"Metadata", "true"}, 404, "not_found"},
		{"another case of the rest", "/metadata/Identity/OAuth2/Token?resource=x", []string{"Metadata", "true"}, 404, "not_found"},
		{"a backslash", `/metadata/identity\oauth2\token/?resource=x`, []string{"Metadata", "true"}, 404, "not_found"},
		{"an escaped slash", "/metadata/identity%2Foauth2%2Ftoken?resource=x", []string{"Metadata", "true"}, 404, "not_found"},
		{"doubled slashes", "//metadata//identity/oauth2/token?resource=x", []string{"Metadata", "true"}, 404, "not_found"},
		{"the way round", "/x/../metadata/identity/oauth2/token?resource=x", []string{"Metadata", "true"}, 404, "not_found"},
		{"a parameter in the path", "/metadata/identity/oauth2/token;x?resource=x", []string{"Metadata", "true"}, 404, "not_found"},
		{"the machine's data", "/metadata/instance?api-version=2021-02-01", []string{"Metadata", "true"}, 404, "not_found"},
		{"the root", "/", nil, 404, "not_found"},
		{"no resource", "/metadata/identity/oauth2/token", []string{"Metadata", "true"}, 400, "invalid_request"},
		{"two resources", tokenPath + "&resource=b", []string{"Metadata", "true"}, 400, "invalid_request"},
		{"a line feed in the resource", "/metadata/identity/oauth2/token?resource=a%0d%0aX:1", []string{"Metadata", "true"}, 400, "invalid_resource"},
		{"a long resource", "/metadata/identity/oauth2/token?resource=" + strings.Repeat("a", 3000), []string{"Metadata", "true"}, 400, "invalid_resource"},
		{"a broken query", "/metadata/identity/oauth2/token?resource=%zz", []string{"Metadata", "true"}, 400, "invalid_request"},
		{"two selectors", tokenPath + "&client_id=" + me + "&object_id=" + object, []string{"Metadata", "true"}, 400, "invalid_request"},
		{"a client that is none", tokenPath + "&client_id=a%20b", []string{"Metadata", "true"}, 400, "invalid_request"},
		{"an object that nobody is", tokenPath + "&object_id=" + me, []string{"Metadata", "true"}, 400, "invalid_request"},
		{"no secret", "/msi/token?resource=x", nil, 401, "unauthorized"},
		{"Metadata for a secret", "/msi/token?resource=x", []string{"Metadata", "true"}, 401, "unauthorized"},
		{"another secret", "/msi/token?resource=x", []string{"X-IDENTITY-HEADER", secret + "x"}, 401, "unauthorized"},
		{"the secret twice", "/msi/token?resource=x", []string{"X-IDENTITY-HEADER", secret, "X-IDENTITY-HEADER", secret}, 401, "unauthorized"},
		{"a longer path below", "/msi/token/x?resource=x", []string{"X-IDENTITY-HEADER", secret}, 404, "not_found"},
		{"a browser with the secret", "/msi/token?resource=x", []string{"X-IDENTITY-HEADER", secret, "Origin", "null"}, 400, "invalid_request"},
	} {
		t.Run(k.name, func(t *testing.T) {
			p.t = t
			got := p.get(k.target, k.header...)
			if got.status != k.status || got.field("error") != k.code || got.field("error_description") == "" {
				t.Errorf("got %d %s, want %d %s", got.status, got.text, k.status, k.code)
			}
			if got.header.Get("Retry-After") != "" {
				t.Error("the refusal invites to try again")
			}
		})
	}
	p.t = t
	if n := p.authority.count(); n != 0 {
		t.Errorf("%d refused requests reached the authority", n)
	}
	p.said()
}

func TestRequestsThatNoClientSends(t *testing.T) {
	p := newPod(t)
	for _, k := range []struct {
		name, request string
		status        int
	}{
		{"POST", "POST /metadata/identity/oauth2/token?resource=x HTTP/1.1\r\nHost: 169.254.169.254\r\nMetadata: true\r\nContent-Length: 0\r\n\r\n", 405},
		{"PUT", "PUT /metadata/identity/oauth2/token?resource=x HTTP/1.1\r\nHost: 169.254.169.254\r\nMetadata: true\r\nContent-Length: 0\r\n\r\n", 405},
		{"OPTIONS", "OPTIONS /msi/token HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: https://evil.example\r\n\r\n", 405},
		{"CONNECT", "CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: 169.254.169.254:80\r\n\r\n", 405},
		{"another host's URL", "GET http://168.63.129.16/machine?comp=goalstate HTTP/1.1\r\nHost: 168.63.129.16\r\n\r\n", 400},
		{"this host's URL", "GET http://169.254.169.254/metadata/identity/oauth2/token?resource=x HTTP/1.1\r\nHost: 169.254.169.254\r\nMetadata: true\r\n\r\n", 400},
		{"a body", "GET /metadata/identity/oauth2/token?resource=x HTTP/1.1\r\nHost: 169.254.169.254\r\nMetadata: true\r\nContent-Length: 1\r\n\r\nx", 400},
		{"no host", "GET /metadata/identity/oauth2/token?resource=x HTTP/1.0\r\nMetadata: true\r\n\r\n", 400},
	} {
		t.Run(k.name, func(t *testing.T) {
			p.t = t
			if got := p.raw(k.request); got.status != k.status {
				t.Errorf("got %d %s, want %d", got.status, got.text, k.status)
			}
		})
	}
	if n := p.authority.count(); n != 0 {
		t.Errorf("%d requests reached the authority", n)
	}
}

func TestIdentitiesThatRequestsName(t *testing.T) {
	p := newPod(t)
	for _, k := range []struct{ query, client string }{
		{"", me},
		{"&client_id=", me},
		{"&client_id=" + other, other},
		{"&client_id=anybody", "anybody"}, // the authority decides
		{"&object_id=" + strings.ToUpper(object), other},
		{"&principal_id=" + object, other},
		{"&mi_res_id=" + strings.ToLower(resource), other},
		{"&msi_res_id=" + resource, other},
		{"&unknown=x&unknown=y", me},
	} {
		for name, ask := range map[string]func(string) reply{"imds": p.imds, "site": p.site} {
			got := ask("resource=" + vault + k.query)
			if got.status != http.StatusOK || got.field("client_id") != k.client || !strings.HasSuffix(got.field("access_token"), " of "+k.client+" for "+vault+"/.default") {
				t.Errorf("%s%s: got %d %s, want a token of %s", name, k.query, got.status, got.text, k.client)
			}
		}
	}
	got := p.imds("resource=" + vault + "&mi_res_id=/x")
	if want := "entente.id/resource-id"; !strings.Contains(got.field("error_description"), want) {
		t.Errorf("%s does not name %s", got.text, want)
	}

	nobody := newPod(t, func(c *Config, _ *Options) { c.ClientID = "" })
	if got := nobody.imds("resource=" + vault); got.status != 400 || !strings.Contains(got.text, "AZURE_CLIENT_ID") {
		t.Errorf("without a default identity: %d %s", got.status, got.text)
	}
	off := newPod(t, func(c *Config, _ *Options) { c.Secret = "" })
	if got := off.get("/msi/token?resource=x", "X-IDENTITY-HEADER", ""); got.status != 400 || !strings.Contains(got.text, "IDENTITY_HEADER") {
		t.Errorf("without a secret: %d %s", got.status, got.text)
	}
}

func TestPathsThatAreTokens(t *testing.T) {
	p := newPod(t)
	for _, target := range []string{
		"/metadata/identity/oauth2/token?resource=x", "/METADATA/identity/oauth2/token?resource=x", "/metadata/identity/oauth2/token/?resource=x",
	} {
		for _, host := range []string{"169.254.169.254", "169.254.169.254:80", "127.0.0.1:8000", "localhost", "LOCALHOST:8000", "[::1]:8000", "[::1]"} {
			if got := p.get(target, "Metadata", "true", "Host", host); got.status != 200 {
				t.Errorf("%s at %s: %d %s", target, host, got.status, got.text)
			}
		}
	}
}

func TestPathsThatMayBeForwarded(t *testing.T) {
	for path, want := range map[string]route{
		"/metadata/instance": toNode, "/metadata/instance/compute/": toNode, "/Metadata/attested/document": toNode,
		"/metadata/identity": nowhere, "/metadata/Identity/info": nowhere, "/metadata/identity/oauth2/token": toIMDS,
		"/metadata/": nowhere, "/metadata": nowhere, "/metadata/../machine": nowhere, "/metadata/./identity": nowhere, "/metadata//identity": nowhere,
		`/metadata/x\identity`: nowhere, "/metadata/%69dentity": nowhere, "/metadata/instance;x": nowhere, "/metadatax/instance": nowhere, "/machine": nowhere,
	} {
		if got := find(path); got != want {
			t.Errorf("%s goes to %d, want %d", path, got, want)
		}
	}
}
