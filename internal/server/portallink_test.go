package server

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A link to the portal leads to a name that the service is configured with,
// whatever name a client asks under, and its token is in no log.
func TestPortalLinkLeadsToTheService(t *testing.T) {
	const public = "https://entente.example:8443"
	s := openService(t, t.TempDir(), func(c *Config) {
		c.PublicURL, c.Hosts = public, []HostName{{Name: "login.example"}}
	})
	token := s.token(public)
	for host, want := range map[string]string{
		"entente.example:8443": public, "ENTENTE.example:8443": public, "login.example": "https://login.example",
		"evil.example": public, "entente.example": public, "entente.example:8443.evil.example": public, "evil.example/?": public, "": public,
	} {
		r := httptest.NewRequest("POST", public+"/providers/Entente.Federation/portalLinks?api-version=2026-11-01", nil)
		r.Host = host
		r.Header = http.Header{"Authorization": {"Bearer " + token}, "X-Forwarded-Host": {"evil.example"}, "Forwarded": {"host=evil.example;proto=http"}, "X-Forwarded-Proto": {"http"}, "Origin": {"https://evil.example"}}
		w := httptest.NewRecorder()
		s.observed(w, r)
		var answer struct{ Properties struct{ URL string } }
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusCreated || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%q: %d %s %s (%v)", host, w.Code, w.Body, w.Header().Get("Cache-Control"), err)
			continue
		}
		secret, ok := strings.CutPrefix(answer.Properties.URL, want+"/portal/link?token=")
		if !ok || len(secret) != 43 {
			t.Errorf("%q: the link is %s", host, answer.Properties.URL)
		}
		// Also when it is looked at.
		for _, method := range []string{"GET", "HEAD"} {
			s.ask(method, "/portal/link?token="+secret, nil, nil)
		}
		if log := s.log.String(); strings.Contains(log, secret) || !strings.Contains(log, "portalLinks") || !strings.Contains(log, "/portal/link") {
			t.Errorf("the token of a link, or nothing of it, is in the log:\n%s", log)
		}
	}
}
