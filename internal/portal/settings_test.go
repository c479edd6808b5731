package portal

import (
	"net/http"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/directory"
)

func TestLimit(t *testing.T) {
	w := newWorld(t)
	p := w.signIn(w.admin)
	for _, wrong := range []string{"", "many", "-1", "99999999999999999999"} {
		if a := p.post("/portal/settings/policy", "limit", wrong); a.status != http.StatusUnprocessableEntity || wrong != "" && !strings.Contains(a.body, `value="`+wrong+`"`) {
			t.Errorf("a limit of %q: %d %s", wrong, a.status, a.text())
		}
	}
	a := p.post("/portal/settings/policy", "limit", "25")
	if a.status != http.StatusSeeOther {
		t.Fatalf("a limit of 25: %d %s", a.status, a.text())
	}
	if a := p.get(a.header.Get("Location")); !strings.Contains(a.text(), "The limit was changed") || !strings.Contains(a.body, `value="25"`) {
		t.Errorf("after: %s", a.text())
	}
	if policy, err := w.dir.Policy(t.Context(), w.admin); err != nil || policy.MaxCredentials != 25 {
		t.Errorf("the policy is %+v, %v", policy, err)
	}

	reader := w.signIn(w.reader())
	if a := reader.get("/portal/settings"); a.status != http.StatusOK || strings.Contains(a.body, `name="limit"`) {
		t.Errorf("a reader of resources sees %d %s", a.status, a.body)
	}
	if a := reader.post("/portal/settings/policy", "limit", "30"); a.status != http.StatusForbidden {
		t.Errorf("a reader of resources changes the limit: %d %s", a.status, a.text())
	}
}

func TestTheme(t *testing.T) {
	w := newWorld(t)
	p := w.signIn(w.admin)
	for theme, want := range map[string]string{"dark": `<html lang="en" data-theme="dark">`, "light": `<html lang="en" data-theme="light">`, "": `<html lang="en">`, `"><script>`: `<html lang="en">`} {
		p.post("/portal/settings/theme", "theme", theme)
		if a := p.get("/portal/settings"); !strings.Contains(a.body, want) {
			t.Errorf("after %q: %.200s", theme, a.body)
		}
	}
}

func TestSessions(t *testing.T) {
	w := newWorld(t)
	reader := w.reader()
	admin, mine, other := w.signIn(w.admin), w.signIn(reader), w.signIn(reader)
	id := func(c directory.Caller, name string) string {
		t.Helper()
		list, err := w.dir.PortalSessions(t.Context(), c)
		w.must(err)
		for _, s := range list {
			if s.Caller.Name == name {
				return s.ID
			}
		}
		t.Fatalf("no session of %s", name)
		return ""
	}
	if a := mine.get("/portal/settings"); !strings.Contains(a.text(), "Your sessions") || strings.Contains(a.text(), "Entente administrator") {
		t.Errorf("a reader sees %s", a.text())
	}
	if a := mine.post("/portal/settings/sessions", "session", id(w.admin, "Entente administrator")); a.status != http.StatusNotFound {
		t.Errorf("a reader ends the administrator's session: %d", a.status)
	}
	// The newest of the reader's sessions is other's.
	if a := admin.post("/portal/settings/sessions", "session", id(w.admin, "reader")); a.status != http.StatusSeeOther {
		t.Errorf("the administrator ends a session: %d %s", a.status, a.text())
	}
	open := 0
	for _, p := range []*person{mine, other} {
		if p.get("/portal").status == http.StatusOK {
			open++
		}
	}
	if open != 1 {
		t.Errorf("%d of the reader's two sessions are open, want 1", open)
	}
}
