package hosted

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/testkit"
)

// Slashes count once; nothing else that is written in another way is the same path.
func TestPaths(t *testing.T) {
	w := newWorld(t, testkit.SQLite(t))
	tenant, cluster := w.hosted.TenantID, w.hosted.ID
	in := strings.NewReplacer("T", tenant, "C", cluster, "U", strings.ToUpper(tenant), "V", strings.ToUpper(cluster))
	for _, path := range []string{
		"/oic/T/C/openid/v1/jwks", "/oic/T/C//openid/v1/jwks", "//oic/T/C/openid/v1/jwks", "/oic//T//C//openid//v1//jwks", "////oic///T/C////openid/v1/jwks", "/oic/T/C/openid/v1/jwks/", "/oic/T/C/openid/v1/jwks//",
		"/oic/U/V/openid/v1/jwks", "/oic/T/V/openid/v1/jwks", "/oic/T/C/openid/v1/jwks?x=y", "/oic/T/C/openid/v1/jwks?", "/oic/T/C//.well-known//openid-configuration", "/oic/U/C/.well-known/openid-configuration/",
	} {
		if answer := w.ask("GET", in.Replace(path), nil); answer.Code != 200 {
			t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
		}
	}
	for _, path := range []string{
		"", "/", "/oic", "/oic/", "/oic/T", "/oic/T/C", "/oic/T/C/", "/oic/T/C/openid", "/oic/T/C/openid/v1", "/oic/T/C/openid/v1/jwks/x", "/oic/T/C/openid/v2/jwks", "/oic/T/C/.well-known", "/oic/T/C/.well-known/jwks.json", "/oic/T/C/.well-known/oauth-authorization-server",
		"/OIC/T/C/openid/v1/jwks", "/oic/T/C/OpenID/v1/jwks", "/oic/T/C/openid/V1/jwks", "/oic/T/C/openid/v1/JWKS", "/oic/T/C/.Well-Known/openid-configuration",
		"/oic/T/C/openid%2Fv1/jwks", "/oic/T/C%2Fopenid/v1/jwks", "/oic/T%2FC/openid/v1/jwks", "/oic/T/C/openid/v1%2fjwks", "/oic/T/C/openid/v1/jwks%2F", "/oic%2FT/C/openid/v1/jwks", "/oic/T/C/openid/v1/jwks%00", "/oic/T/C/openid/v1/jwks%20",
		"/oic/T/C/openid/v1/%6Awks", "/oic/T/C/%6Fpenid/v1/jwks", "/oic/T/C/%2e/openid/v1/jwks", "/oic/T/C/./openid/v1/jwks", "/oic/T/C/x/../openid/v1/jwks", "/oic/T/C/%2e%2e/C/openid/v1/jwks", "/oic/T/../T/C/openid/v1/jwks", "/oic/../oic/T/C/openid/v1/jwks",
		`/oic/T/C\openid\v1\jwks`, "/oic/T/C/openid/v1/jwks;x", "/oic/T;x/C/openid/v1/jwks", "/oic/T/C/openid/v1/jwks.json", "/oic/T/C /openid/v1/jwks", "/oic/{T}/C/openid/v1/jwks", "/oic/urn:uuid:T/C/openid/v1/jwks",
		"/oic/{tenant}/{cluster}/openid/v1/jwks", "/oic/x/C/openid/v1/jwks", "/oic/T/x/openid/v1/jwks", "/oic/common/C/openid/v1/jwks", "/oic/T/C/C/openid/v1/jwks", "/x/T/C/openid/v1/jwks", "/oic/'/C/openid/v1/jwks", "/oic/T/%/openid/v1/jwks",
		"/oic/" + strings.ReplaceAll(tenant, "-", "") + "/C/openid/v1/jwks", "/oic/T/" + strings.ReplaceAll(cluster, "-", "") + "/openid/v1/jwks", "/oic/T/" + strings.Repeat("/", 100) + "x/openid/v1/jwks",
	} {
		pattern, _, _ := find(in.Replace(path))
		if pattern != "" {
			t.Errorf("%s is taken for %s", path, pattern)
		}
		if strings.HasSuffix(path, "/%/openid/v1/jwks") {
			continue // no URL
		}
		w.refused(path, w.ask("GET", in.Replace(path), nil), 404, "NotFound")
	}
}

// FuzzPath looks for a path that is taken for a document and is not that
// document's path once its slashes are counted once.
func FuzzPath(f *testing.F) {
	tenant, cluster := uuid.NewString(), uuid.NewString()
	for _, path := range []string{"/oic/%s/%s/openid/v1/jwks", "//oic//%s/%s//.well-known/openid-configuration//", "/oic/%s/%s/openid%%2Fv1/jwks", "/oic/%s/../%s/openid/v1/jwks"} {
		f.Add(fmt.Sprintf(path, tenant, cluster))
	}
	f.Fuzz(func(t *testing.T, path string) {
		pattern, tenant, cluster := find(path)
		if pattern == "" {
			return
		}
		want := strings.NewReplacer("{tenant}", tenant, "{cluster}", cluster).Replace(pattern)
		for strings.Contains(path, "//") {
			path = strings.ReplaceAll(path, "//", "/")
		}
		if got := "/" + strings.Trim(path, "/"); got != want || strings.ContainsAny(tenant+cluster, "/.%\\ ") {
			t.Errorf("%q is taken for %q", got, want)
		}
	})
}
