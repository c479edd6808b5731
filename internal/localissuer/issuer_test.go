package localissuer

import (
	"crypto/rsa"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func request(h http.Handler, method, path string) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, "https://issuer.example"+path, nil))
	return w.Result()
}

func TestDocumentsAreByteForByteAClusters(t *testing.T) {
	i, err := New(Config{URL: testURL})
	if err != nil {
		t.Fatal(err)
	}
	jwk := keySet(t, i.JWKS()).Keys[0]
	public, ok := jwk.Key.(*rsa.PublicKey)
	if !ok {
		t.Fatal("no RSA key")
	}
	for path, want := range map[string]struct{ contentType, body string }{
		"/.well-known/openid-configuration": {"application/json",
			`{"issuer":"https://issuer.example/","jwks_uri":"https://issuer.example/openid/v1/jwks",` +
				`"response_types_supported":["id_token"],"subject_types_supported":["public"],` +
				`"id_token_signing_alg_values_supported":["RS256"]}`},
		"/openid/v1/jwks": {"application/jwk-set+json",
			`{"keys":[{"use":"sig","kty":"RSA","kid":"` + jwk.KeyID + `","alg":"RS256",` +
				`"n":"` + base64.RawURLEncoding.EncodeToString(public.N.Bytes()) + `","e":"AQAB"}]}`},
	} {
		r := request(i.Handler(), http.MethodGet, path)
		if r.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, r.Status)
		}
		if got := r.Header.Get("Content-Type"); got != want.contentType {
			t.Errorf("%s: Content-Type %q", path, got)
		}
		if got := r.Header.Get("Cache-Control"); got != "public, max-age=3600" {
			t.Errorf("%s: Cache-Control %q", path, got)
		}
		if diff := cmp.Diff(want.body, read(t, r)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	if bits := public.N.BitLen(); bits != 2048 {
		t.Errorf("the default key has %d bits", bits)
	}
}

func TestOtherRequests(t *testing.T) {
	i := newIssuer(t)
	for _, tt := range []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, "/", http.StatusNotFound},
		{http.MethodGet, "//.well-known/openid-configuration", http.StatusNotFound},
		{http.MethodGet, "/.well-known/openid-configuration/", http.StatusNotFound},
		{http.MethodGet, "//openid/v1/jwks", http.StatusNotFound},
		{http.MethodPost, "/openid/v1/jwks", http.StatusMethodNotAllowed},
	} {
		if r := request(i.Handler(), tt.method, tt.path); r.StatusCode != tt.want {
			t.Errorf("%s %s: %s", tt.method, tt.path, r.Status)
		}
	}
	if d, k := i.Fetches(); d != 0 || k != 0 {
		t.Errorf("%d and %d fetches were counted", d, k)
	}
}

// A client that asks for JSON only gets no keys of a cluster.
func TestAccept(t *testing.T) {
	i := newIssuer(t)
	for _, tt := range []struct {
		accept          string
		discovery, keys int
	}{
		{"", 200, 200},
		{"*/*", 200, 200},
		{"text/html, */*;q=0.8", 200, 200},
		{"application/json", 200, 406},
		{"application/jwk-set+json", 406, 200},
		{"application/json, application/jwk-set+json;q=0.5", 200, 200},
		{"application/*", 406, 406},
	} {
		for path, want := range map[string]int{"/.well-known/openid-configuration": tt.discovery, "/openid/v1/jwks": tt.keys} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Header.Set("Accept", tt.accept)
			w := httptest.NewRecorder()
			i.Handler().ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%s with Accept: %q: %d, want %d", path, tt.accept, w.Code, want)
			}
		}
	}
}

func TestPaths(t *testing.T) {
	for name, tt := range map[string]struct {
		config   Config
		document string
		jwksURI  string
	}{
		"slash":         {Config{URL: "https://a.example/"}, "/.well-known/openid-configuration", "https://a.example/openid/v1/jwks"},
		"no slash":      {Config{URL: "https://a.example"}, "/.well-known/openid-configuration", "https://a.example/openid/v1/jwks"},
		"path of URL":   {Config{URL: "https://a.example/t/c/"}, "/t/c/.well-known/openid-configuration", "https://a.example/t/c/openid/v1/jwks"},
		"path, bare":    {Config{URL: "https://a.example/t/c"}, "/t/c/.well-known/openid-configuration", "https://a.example/t/c/openid/v1/jwks"},
		"another place": {Config{URL: "https://a.example/", Path: "/b"}, "/b/.well-known/openid-configuration", "https://a.example/openid/v1/jwks"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.config.Algorithm = "ES256"
			i, err := New(tt.config)
			if err != nil {
				t.Fatal(err)
			}
			r := request(i.Handler(), http.MethodGet, tt.document)
			if r.StatusCode != http.StatusOK {
				t.Errorf("%s: %s", tt.document, r.Status)
			}
			if got := read(t, r); !strings.HasPrefix(got, `{"issuer":"`+tt.config.URL+`","jwks_uri":"`+tt.jwksURI+`",`) {
				t.Errorf("document %s", got)
			}
		})
	}
}

func TestRotateAndWithdraw(t *testing.T) {
	i := newIssuer(t)
	before, beforeSet := mint(t, i, Token{}), i.JWKS()
	if err := i.Rotate(); err != nil {
		t.Fatal(err)
	}
	after := mint(t, i, Token{})
	for _, token := range []string{before, after} {
		if _, err := verify(t, i, token); err != nil {
			t.Errorf("while both keys are published: %v", err)
		}
	}
	if got := len(keySet(t, i.JWKS()).Keys); got != 2 {
		t.Errorf("%d keys are published, want 2", got)
	}
	if h1, _ := parts(t, before); strings.Contains(h1, keySet(t, i.JWKS()).Keys[1].KeyID) {
		t.Error("the new key signed before it was made")
	}
	i.Withdraw()
	if _, err := verify(t, i, after); err != nil {
		t.Errorf("after withdrawal: %v", err)
	}
	if _, err := verify(t, i, before); err == nil {
		t.Error("a token of the withdrawn key verifies")
	}
	if cmp.Equal(beforeSet, i.JWKS()) {
		t.Error("the first key is still there")
	}
	if got := string(i.Discovery()); strings.Count(got, "ES256") != 1 {
		t.Errorf("algorithms of %s", got)
	}
}

func TestAGivenKeyIsReplacedByRotation(t *testing.T) {
	first := newIssuer(t)
	private, err := generate("ES256", 0)
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(Config{URL: testURL, Algorithm: "ES256", Key: private})
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(Config{URL: testURL, Algorithm: "ES256", Key: private})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(a.JWKS()), string(b.JWKS())); diff != "" || cmp.Equal(a.JWKS(), first.JWKS()) {
		t.Errorf("one key, two sets: %s", diff)
	}
	if err := a.Rotate(); err != nil {
		t.Fatal(err)
	}
	if keys := keySet(t, a.JWKS()).Keys; keys[0].KeyID == keys[1].KeyID {
		t.Error("rotation kept the key")
	}
}
