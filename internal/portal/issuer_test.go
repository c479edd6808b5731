package portal

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/localissuer"
	"github.com/entente-id/entente/internal/roles"
)

// How old a key is can be known only by having seen it.
func TestKeysOfAnIssuerHaveAnAge(t *testing.T) {
	w := newWorkload(t)
	p := w.signIn(w.admin)
	p.post("/portal/test", "client", w.app.AppID, "token", w.mint(localissuer.Token{}), "scope", defaultScope)
	found, err := w.dir.Issuers(t.Context(), w.admin, directory.Page{})
	w.must(err)
	w.clock.Advance(20 * time.Minute)
	if rows := rowsOf(p.get(issuerPath(found.Items[0].Name))); !strings.Contains(rows, "20 minutes ago") {
		t.Errorf("the keys: %s", rows)
	}
}

func TestIssuers(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.CheckKeySet = checkAnySet })
	admin := w.signIn(w.admin)
	admin.opens("/portal/issuers", "There is no issuer yet", "Register issuer")
	app, err := w.dir.CreateApplication(t.Context(), w.admin, directory.Application{DisplayName: "app"})
	w.must(err)
	_, err = w.dir.AddCredential(t.Context(), w.admin, directory.Parent{Application: &directory.Ref{ID: app.ID}}, credential.Spec{Name: "one", Issuer: w.issuer.URL(), Subject: "s", Audiences: []string{credential.DefaultAudience}})
	w.must(err)
	admin.opens("/portal/issuers", w.issuer.URL(), "Read from the issuer", "RS256", "because its URL was named")
	found, err := w.dir.Issuers(t.Context(), w.admin, directory.Page{})
	w.must(err)
	implicit := issuerPath(found.Items[0].Name)
	admin.opens(implicit, "Nobody has set anything for it", "1 trust it", "Nothing is known of its keys", "Change issuer")
	admin.lacks(implicit, "Delete issuer")
	if a := admin.post(implicit + "/check"); !strings.Contains(a.text(), "Its keys can be used.") {
		t.Errorf("check: %d %s", a.status, a.text())
	}
	admin.opens(implicit+"/credentials", "one", "app", "Application")

	// With other algorithms, none of its keys fits.
	if a := admin.post(implicit+"/edit", "source", "Discovery", "alg-ES256", "on"); a.status != http.StatusSeeOther || !strings.HasSuffix(a.header.Get("Location"), "done=changed") {
		t.Fatalf("change: %d %s", a.status, a.text())
	}
	if a := admin.post(implicit + "/check"); !strings.Contains(a.text(), "None of its keys fits the algorithms that are accepted here (ES256).") {
		t.Errorf("check with other algorithms: %s", a.text())
	}
	admin.opens(implicit, "Delete issuer")
	admin.opens(implicit+"/delete", "Its URL is still named", "1 federated credential", "app by one, for s")
	if a := admin.post(implicit + "/delete"); a.status != http.StatusSeeOther {
		t.Errorf("delete: %d %s", a.status, a.text())
	}
	admin.opens("/portal/issuers?done=deleted", "What was set for the issuer was deleted.", "because its URL was named")
}

func TestRegisterIssuer(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.CheckKeySet = checkAnySet })
	admin := w.signIn(w.admin)
	admin.opens(newIssuerPath, "can speak for every subject of the issuer", "Issuer URL", "EdDSA")
	set := string(w.issuer.JWKS())
	for _, c := range []struct {
		what string
		form []string
		want string // an error; empty: registered
	}{
		{"no name", []string{"issuer", "https://one.example/", "source", "Discovery"}, "Give the issuer a name."},
		{"a bad name", []string{"name", "<b>", "issuer", "https://one.example/", "source", "Discovery"}, "3 to 120 letters"},
		{"no URL", []string{"name", "one", "source", "Discovery"}, "Say what the issuer is called."},
		{"a bad URL", []string{"name", "one", "issuer", "ftp://one", "source", "Discovery"}, "https"},
		{"no address", []string{"name", "one", "issuer", "https://one.example/", "source", "JwksUri"}, "Say where the key set is."},
		{"a bad address", []string{"name", "one", "issuer", "https://one.example/", "source", "JwksUri", "jwks-uri", "http://x"}, "is not an https URL"},
		{"no keys", []string{"name", "one", "issuer", "https://one.example/", "source", "KeySet"}, "Paste the key set."},
		{"bad keys", []string{"name", "one", "issuer", "https://one.example/", "source", "KeySet", "keyset", "{"}, "Key set:"},
		{"a bad certificate", []string{"name", "one", "issuer", "https://one.example/", "source", "Discovery", "ca", "none"}, "Holds no PEM certificate"},
		{"a bad source", []string{"name", "one", "issuer", "https://one.example/", "source", "Hosted"}, "Choose one of these."},
		{"all of it", []string{"name", "one", "issuer", "https://one.example/", "source", "KeySet", "keyset", set, "alg-RS256", "on", "alg-PS256", "on", "ca", string(w.issuer.CAPEM()), "many", "on"}, ""},
		{"the same name", []string{"name", "ONE", "issuer", "https://two.example/", "source", "Discovery"}, "There is an issuer one already."},
		{"the same URL", []string{"name", "two", "issuer", "https://one.example/", "source", "Discovery"}, "has this URL"},
		{"an address", []string{"name", "new", "issuer", "https://new.example/", "source", "JwksUri", "jwks-uri", "https://new.example/keys"}, ""},
	} {
		a := admin.post(newIssuerPath, c.form...)
		if c.want == "" {
			if a.status != http.StatusSeeOther || !strings.HasSuffix(a.header.Get("Location"), "done=added") {
				t.Errorf("%s: %d %s", c.what, a.status, a.text())
			}
			continue
		}
		if a.status < 400 || !strings.Contains(a.text(), c.want) || strings.Contains(a.body, "<b>") {
			t.Errorf("%s: %d has no %q in\n%s", c.what, a.status, c.want, a.text())
		}
	}
	admin.opens(issuerPath("one")+"?done=added", "The issuer was registered.", "Uploaded", "RS256, PS256", "accepted, when one of them matches", "RSA, 2048 bits", "Certificates to trust")
	admin.lacks(issuerPath("one"), "Look at its keys now")
	admin.opens(issuerPath("new"), "https://new.example/keys")

	// New keys are looked at before they are stored.
	other := otherKeys(t)
	form := []string{"source", "KeySet", "keyset", other, "alg-RS256", "on"}
	if a := admin.post(issuerPath("one", "edit"), form...); a.status != http.StatusOK || !strings.Contains(a.text(), "None of the present keys stays") {
		t.Errorf("new keys: %d %s", a.status, a.text())
	}
	if a := admin.post(issuerPath("one", "edit"), append(form, "looked", compareKeySets(nil, nil, []byte(other)).Looked)...); a.status != http.StatusSeeOther {
		t.Errorf("new keys that were looked at: %d %s", a.status, a.text())
	}
	admin.opens(issuerPath("one"), "refused: a token is for one audience")
}

func TestIssuersForOthers(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.CheckKeySet = checkAnySet })
	_, _, err := w.dir.PutIssuer(t.Context(), w.admin, directory.Issuer{Name: "one", URL: "https://one.example/"})
	w.must(err)
	owner := w.signIn(w.principal("owner", "/", roles.Owner))
	if a := owner.get("/portal/issuers"); a.status != http.StatusForbidden {
		t.Errorf("an owner sees %d", a.status)
	}
	seer := w.signIn(w.principal("seer", "/", roles.FederationReader))
	seer.opens("/portal/issuers", "one")
	seer.lacks("/portal/issuers", "Register issuer")
	seer.lacks(issuerPath("one"), "Change issuer", "Delete issuer")
	for _, at := range []string{newIssuerPath, issuerPath("one", "edit")} {
		if a := seer.get(at); a.status != http.StatusForbidden {
			t.Errorf("GET %s: %d", at, a.status)
		}
	}
	for _, at := range []string{newIssuerPath, issuerPath("one", "edit"), issuerPath("one", "delete")} {
		if a := seer.post(at, "name", "two", "issuer", "https://two.example/", "source", "Discovery"); a.status != http.StatusForbidden {
			t.Errorf("POST %s: %d", at, a.status)
		}
	}
}
