package portal

import (
	"net/http"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/roles"
)

func TestRoles(t *testing.T) {
	w := newWorld(t)
	target := w.principal("<i>target</i>", "", "")
	w.principal("twin", "", "")
	w.principal("twin", "", "")
	p := w.signIn(w.admin)
	for name, row := range map[string]struct {
		principal, role, scope, want string
	}{
		"nobody":              {"", roles.Reader, "/", "Say who gets the role."},
		"no role":             {target.PrincipalID, "", "/", "Choose a role."},
		"no scope":            {target.PrincipalID, roles.Reader, "", "Say where the role counts."},
		"unknown name":        {"<b>", roles.Reader, "/", "There is no service principal of this name."},
		"unknown id":          {"00000000-0000-4000-8000-000000000000", roles.Reader, "/", "There is no service principal with this id."},
		"two of one name":     {"twin", roles.Reader, "/", "There are several of this name"},
		"no such scope":       {target.PrincipalID, roles.Reader, "no scope", "is not a scope"},
		"no such role at all": {target.PrincipalID, "00000000-0000-4000-8000-000000000000", "/", "is not there"},
	} {
		a := p.post("/portal/roles/new", "principal", row.principal, "role", row.role, "scope", row.scope)
		if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.text(), row.want) || strings.Contains(a.body, "<b>") {
			t.Errorf("%s: %d %s", name, a.status, a.text())
		}
	}

	for _, who := range []string{target.PrincipalID, "<i>target</i>"} {
		a := p.post("/portal/roles/new", "principal", who, "role", map[bool]string{true: roles.Reader, false: roles.Contributor}[who == target.PrincipalID], "scope", testSub)
		if a.status != http.StatusSeeOther {
			t.Fatalf("assign to %q: %d %s", who, a.status, a.text())
		}
	}
	if a := p.post("/portal/roles/new", "principal", target.PrincipalID, "role", roles.Reader, "scope", testSub); a.status != http.StatusConflict || !strings.Contains(a.text(), "has this role there already") {
		t.Errorf("once more: %d %s", a.status, a.text())
	}
	list := p.get("/portal/roles?principal=" + target.PrincipalID)
	if rows := rowsOf(list); !strings.Contains(rows, "Reader") || !strings.Contains(rows, "Contributor") || strings.Contains(rows, "Federation Administrator") || strings.Contains(list.body, "<i>target") {
		t.Errorf("the list: %s", list.text())
	}
	if a := p.get("/portal/roles?role=" + roles.Contributor); strings.Contains(rowsOf(a), "Owner") || !strings.Contains(rowsOf(a), "<i>target</i>") {
		t.Errorf("narrowed to a role: %s", a.text())
	}

	if a := p.get("/portal/audit"); !strings.Contains(rowsOf(a), "Assigned the role Reader on "+testSub+" (<i>target</i>)") || strings.Contains(a.body, "<i>target") {
		t.Errorf("the audit log: %s", rowsOf(a))
	}

	// Taking one back is asked for first.
	_, after, _ := strings.Cut(list.body, `href="/portal/roles/remove?`)
	query, _, _ := strings.Cut(after, `"`)
	ask := p.get("/portal/roles/remove?" + strings.ReplaceAll(query, "&amp;", "&"))
	if ask.status != http.StatusOK || !strings.Contains(ask.text(), "Take back") {
		t.Fatalf("asking: %d %s", ask.status, ask.text())
	}
	name := between(t, ask.body, `name="name" value="`, `"`)

	reader := w.signIn(w.reader())
	if a := reader.get("/portal/roles"); a.status != http.StatusOK || strings.Contains(a.text(), "Assign a role") || strings.Contains(rowsOf(a), "Take back") {
		t.Errorf("a reader is offered %s", a.text())
	}
	for what, a := range map[string]answer{
		"assign": reader.post("/portal/roles/new", "principal", w.admin.PrincipalID, "role", roles.Reader, "scope", testSub),
		"ask":    reader.get("/portal/roles/remove?scope=" + testSub + "&name=" + name),
		"remove": reader.post("/portal/roles/remove", "scope", testSub, "name", name),
	} {
		if a.status != http.StatusForbidden && a.status != http.StatusUnprocessableEntity {
			t.Errorf("a reader does %s: %d %s", what, a.status, a.text())
		}
	}
	if a := p.post("/portal/roles/remove", "scope", testSub, "name", name); a.status != http.StatusSeeOther {
		t.Errorf("taking it back: %d %s", a.status, a.text())
	}
	if a := p.get("/portal/roles/remove?scope=" + testSub + "&name=" + name); a.status != http.StatusNotFound {
		t.Errorf("it is still there: %d %s", a.status, a.text())
	}
}

// rowsOf is the text of a page's table.
func rowsOf(a answer) string {
	_, a.body, _ = strings.Cut(a.body, "<tbody>")
	return a.text()
}

func between(t *testing.T, s, before, behind string) string {
	t.Helper()
	_, s, ok := strings.Cut(s, before)
	s, _, found := strings.Cut(s, behind)
	if !ok || !found {
		t.Fatalf("nothing between %q and %q", before, behind)
	}
	return s
}
