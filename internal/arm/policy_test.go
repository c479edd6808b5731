package arm

import (
	"strings"
	"testing"
)

// Whoever may write credentials may not open an identity to every issuer, and
// is told how an issuer comes to be registered.
func TestRegisteredIssuersOnly(t *testing.T) {
	w := newWorld(t)
	w.fixture()
	const policy, fics = "/providers/Entente.Federation/policies/default", ide + "/federatedIdentityCredentials/"
	w.ok("admin", "PUT", policy, `{"properties":{"registeredIssuersOnly":true}}`)
	body := func(issuer string) string { return strings.Replace(ficBody, "https://issuer.example/t1/", issuer, 1) }
	long := "https://nobodys.example/" + strings.Repeat("a", 500)
	for issuer, told := range map[string]string{"https://nobodys.example/": "https://nobodys.example/", long: long[:200] + "…"} {
		r := w.do("admin", "PUT", fics+"new", body(issuer))
		want := "The issuer '" + told + "' is not registered, and this tenant takes registered issuers only: register its cluster with 'entente cluster register', or the issuer itself with 'entente apply'."
		if e := r.error(t); r.status != 400 || e.Code != "BadRequest" || e.Message != want {
			t.Errorf("got %d %s %q, want %q", r.status, e.Code, e.Message, want)
		}
	}
	w.ok("admin", "PUT", ficPath, ficBody) // which is there
	w.ok("admin", "PUT", fics+"new", body("https://issuer.example/prod/"))
}
