package issuer

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestDiscoveryDocument(t *testing.T) {
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	keys := f.server.URL + "/keys"
	doc := func(issuer, keys string) string { return fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, issuer, keys) }
	for name, c := range map[string]struct {
		document string
		want     ErrKind
	}{
		"minimal":                  {doc(f.url, keys), ""},
		"invalid optional fields":  {fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q,"authorization_endpoint":"","subject_types_supported":7}`, f.url, keys), ""},
		"key set with a query":     {doc(f.url, keys+"?p=1"), ""},
		"without trailing slash":   {doc(strings.TrimSuffix(f.url, "/"), keys), IssuerMismatch},
		"with two":                 {doc(f.url+"/", keys), IssuerMismatch},
		"capital in the path":      {doc(strings.Replace(f.url, "t1", "T1", 1), keys), IssuerMismatch},
		"capital in the scheme":    {doc(strings.Replace(f.url, "https", "HTTPS", 1), keys), IssuerMismatch},
		"space at the end":         {doc(f.url+" ", keys), IssuerMismatch},
		"another issuer":           {doc("https://issuer.example/", keys), IssuerMismatch},
		"empty issuer":             {doc("", keys), IssuerMismatch},
		"no issuer":                {fmt.Sprintf(`{"jwks_uri":%q}`, keys), InvalidDocument},
		"issuer null":              {fmt.Sprintf(`{"issuer":null,"jwks_uri":%q}`, keys), InvalidDocument},
		"issuer array":             {fmt.Sprintf(`{"issuer":[%q],"jwks_uri":%q}`, f.url, keys), InvalidDocument},
		"issuer twice":             {fmt.Sprintf(`{"issuer":%q,"issuer":%q,"jwks_uri":%q}`, f.url, f.url, keys), InvalidDocument},
		"Issuer":                   {fmt.Sprintf(`{"Issuer":%q,"jwks_uri":%q}`, f.url, keys), InvalidDocument},
		"no key set":               {fmt.Sprintf(`{"issuer":%q}`, f.url), InvalidDocument},
		"key set empty":            {doc(f.url, ""), InvalidDocument},
		"key set relative":         {doc(f.url, "/keys"), InvalidDocument},
		"key set without scheme":   {doc(f.url, strings.TrimPrefix(keys, "https:")), InvalidDocument},
		"key set over http":        {doc(f.url, strings.Replace(keys, "https", "http", 1)), InvalidDocument},
		"key set in a file":        {doc(f.url, "file:///etc/passwd"), InvalidDocument},
		"key set in the URL":       {doc(f.url, "data:application/json,{}"), InvalidDocument},
		"key set with user":        {doc(f.url, strings.Replace(keys, "https://", "https://user:pass@", 1)), InvalidDocument},
		"key set with fragment":    {doc(f.url, keys+"#x"), InvalidDocument},
		"key set with line break":  {doc(f.url, keys+"\r\nX: y"), InvalidDocument},
		"key set at IMDS":          {doc(f.url, "https://169.254.169.254/metadata/identity"), AddressRefused},
		"key set at WireServer":    {doc(f.url, "https://168.63.129.16/"), AddressRefused},
		"lone surrogate elsewhere": {fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q,"x":"\ud800"}`, f.url, keys), InvalidDocument},
	} {
		t.Run(name, func(t *testing.T) {
			f.mu.Lock()
			f.document = []byte(c.document)
			f.mu.Unlock()
			v, _ := newVerifier(t, Config{})
			_, err := verify(v, t.Context(), f.source(), f.token())
			wantKind(t, err, c.want)
		})
	}
}

func TestIssuerWithoutSlashIsJoinedWithOne(t *testing.T) {
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	f.url = strings.TrimSuffix(f.url, "/")
	f.describe(f.url, f.server.URL+"/keys")
	v, _ := newVerifier(t, Config{})
	_, err := verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, "")
}

func TestJWKSURIReplacesDiscovery(t *testing.T) {
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	f.url = "https://kubernetes.default.svc.cluster.local" // which nothing resolves
	src := f.source()
	src.Kind, src.JWKSURI = JWKSURI, f.server.URL+"/keys"
	v, _ := newVerifier(t, Config{})
	_, err := verify(v, t.Context(), src, f.token())
	wantKind(t, err, "")
	if f.discovery != 0 || f.keys != 1 {
		t.Errorf("asked %d+%d times", f.discovery, f.keys)
	}
}

func TestCheckReportsWhatWasRead(t *testing.T) {
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"), newSigner(t, "k2", "RS256"))
	f.publishRaw(keySetJSON(t, f.signers, `{"kty":"oct","kid":"x"}`))
	v, _ := newVerifier(t, Config{})
	r, err := v.Check(t.Context(), f.source())
	wantKind(t, err, "")
	if r.DiscoveryURL != f.url+".well-known/openid-configuration" || r.DocumentIssuer != f.url || r.JWKSURI != f.server.URL+"/keys" ||
		len(r.Keys) != 2 || r.Keys[0].ID != "k1" || len(r.Problems) != 1 || r.Problems[0].KeyID != "x" || r.Lifetime != time.Hour {
		t.Errorf("got %+v", r)
	}

	f.describe(f.url+"x", f.server.URL+"/keys")
	r, err = v.Check(t.Context(), f.source())
	wantKind(t, err, IssuerMismatch)
	if r.DocumentIssuer != f.url+"x" {
		t.Errorf("the report does not say which issuer the document names: %+v", r)
	}
	if f.fetches() != 2 {
		t.Errorf("asked %d times, want once for each check", f.fetches())
	}
}

func TestLifetime(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"":                               5 * time.Minute,
		"public":                         5 * time.Minute,
		"max-age=0":                      5 * time.Minute,
		"max-age=-1":                     5 * time.Minute,
		"max-age=x":                      5 * time.Minute,
		"max-age=60":                     5 * time.Minute,
		"max-age=900":                    15 * time.Minute,
		"public, max-age=900":            15 * time.Minute,
		`Max-Age="900"`:                  15 * time.Minute,
		"max-age=3600":                   time.Hour,
		"max-age=86400":                  time.Hour,
		"max-age=2147483647":             time.Hour,
		"max-age=99999999999999999999":   5 * time.Minute,
		"max-age=3600, no-cache":         5 * time.Minute,
		"no-store, max-age=3600":         5 * time.Minute,
		"s-maxage=3600":                  5 * time.Minute,
		"max-age=3600, must-revalidate,": time.Hour,
	} {
		if got := lifetime(http.Header{"Cache-Control": {header}}); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
	if got := lifetime(http.Header{"Cache-Control": {"public", "max-age=900"}}); got != 15*time.Minute {
		t.Errorf("two headers: %v", got)
	}
}
