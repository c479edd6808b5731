package portal

import (
	"net/http"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
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

func TestRegisteredIssuersOnly(t *testing.T) {
	w := newWorld(t)
	p := w.signIn(w.admin)
	on, off := `value="yes" checked`, `value="yes" aria`
	if a := p.get("/portal/settings"); !strings.Contains(a.text(), "Only issuers that are registered here") || !strings.Contains(a.body, off) {
		t.Errorf("at first: %s", a.body)
	}
	for _, step := range []struct {
		form []string
		is   bool
		want string
	}{
		{[]string{"registered-only", "yes"}, true, on},
		{nil, false, off},
		{[]string{"registered-only", "on"}, false, off}, // nothing that the page sends
	} {
		a := p.post("/portal/settings/issuers", step.form...)
		if a.status != http.StatusSeeOther {
			t.Fatalf("%q: %d %s", step.form, a.status, a.text())
		}
		if a := p.get(a.header.Get("Location")); !strings.Contains(a.text(), "Which issuers may be trusted was changed") || !strings.Contains(a.body, step.want) {
			t.Errorf("%q: %s", step.form, a.body)
		}
		if policy, err := w.dir.Policy(t.Context(), w.admin); err != nil || policy != (directory.Policy{MaxCredentials: 20, RegisteredIssuersOnly: step.is}) {
			t.Errorf("%q: the policy is %+v, %v", step.form, policy, err)
		}
	}
	// One form changes nothing of the other's.
	p.post("/portal/settings/issuers", "registered-only", "yes")
	p.post("/portal/settings/policy", "limit", "21")
	if policy, err := w.dir.Policy(t.Context(), w.admin); err != nil || policy != (directory.Policy{MaxCredentials: 21, RegisteredIssuersOnly: true}) {
		t.Errorf("the policy is %+v, %v", policy, err)
	}

	for name, c := range map[string]struct {
		caller directory.Caller
		sees   bool
	}{
		"a reader of resources":  {w.reader(), false},
		"a reader of federation": {w.principal("auditor", "/", roles.FederationReader), true},
	} {
		p := w.signIn(c.caller)
		a := p.get("/portal/settings")
		if a.status != http.StatusOK || strings.Contains(a.body, "registered-only") != c.sees || strings.Contains(a.body, `value="yes" checked disabled`) != c.sees || strings.Contains(a.body, "<button>Save</button>\n</form>") {
			t.Errorf("%s sees %d %s", name, a.status, a.body)
		}
		if a := p.post("/portal/settings/issuers"); a.status != http.StatusForbidden {
			t.Errorf("%s turns it off: %d %s", name, a.status, a.text())
		}
	}
	if policy, err := w.dir.Policy(t.Context(), w.admin); err != nil || !policy.RegisteredIssuersOnly {
		t.Errorf("the policy is %+v, %v", policy, err)
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
