package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/arm"
	"github.com/entente-id/entente/internal/graph"
)

// Every route of both management wires wants a token of this service for this
// service, and says so before it looks at anything else.
func TestEveryRouteWantsAToken(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--resources", "any")
	good := s.bearer(t, s.TenantID, s.ClientID, s.ClientSecret)
	elsewhere, err := client.ClientSecret(s.Authority, s.TenantID, s.ClientID, s.ClientSecret, s.HTTP).Token(t.Context(), vault+"/.default")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(strings.TrimPrefix(good, "Bearer "), ".")
	refused := map[string][]string{
		"none":                nil,
		"empty":               {""},
		"no token":            {"Bearer "}, // what azwi sends
		"garbage":             {"Bearer x"},
		"basic":               {"Basic YTpi"},
		"two":                 {good, good},
		"two in one":          {good + ", " + good},
		"more behind":         {good + " x"},
		"cut":                 {good[:len(good)-3]},
		"longer":              {good + "A"},
		"unsigned":            {"Bearer eyJhbGciOiJub25lIn0." + parts[1] + "."},
		"changed":             {"Bearer " + parts[0] + "." + parts[1] + "A." + parts[2]},
		"of another resource": {"Bearer " + elsewhere.AccessToken},
		"many parts":          {"Bearer " + strings.Repeat(".", 5000)},
	}
	type route struct{ method, path, challenge string }
	var routes []route
	for _, r := range (&graph.Surface{}).Routes() {
		routes = append(routes, route{r.Method, strings.Replace(r.Pattern, "{version}", "v1.0", 1), `authorization_uri="` + s.Authority + `/common/oauth2/authorize"`})
	}
	for _, r := range arm.New(arm.Config{}).Routes() {
		if r.Action == "" {
			continue // what anybody may read
		}
		path := strings.NewReplacer("{scope}", "/subscriptions/"+s.SubscriptionID, "{subscription}", s.SubscriptionID).Replace(r.Pattern)
		routes = append(routes, route{r.Method, path + "?api-version=2026-11-01", `authorization_uri="` + s.Authority + "/" + s.TenantID + `"`})
	}
	for _, r := range routes {
		for name, authorization := range refused {
			a := s.send(t, authorization, r.method, r.path, nil)
			if a.status != http.StatusUnauthorized || !strings.Contains(a.header.Get("WWW-Authenticate"), r.challenge) {
				t.Errorf("%s %s with the token %q: %d %s %s", r.method, r.path, name, a.status, a.header.Get("WWW-Authenticate"), a.text)
			}
		}
	}
	if a := s.send(t, []string{good}, "GET", "/v1.0/organization", nil); a.status != http.StatusOK {
		t.Errorf("the good token: %d %s", a.status, a.text)
	}
}
