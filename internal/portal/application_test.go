package portal

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
	"github.com/entente-id/entente/internal/signin"
)

// hostile is a text that breaks out of every place of a page that is not escaped.
const hostile = `"><script>alert(1)</script><img src=x onerror='alert(2)'>{{.}}`

// register makes an application.
func (w *world) register(name string) directory.Application {
	w.t.Helper()
	app, err := w.dir.CreateApplication(w.t.Context(), w.admin, directory.Application{DisplayName: name})
	w.must(err)
	return app
}

// spec is a credential that rules allow.
func spec(name string) credential.Spec {
	return credential.Spec{Name: name, Issuer: "https://cluster.example/", Subject: credential.ServiceAccountSubject("pets", name), Audiences: []string{credential.DefaultAudience}}
}

// grant gives a principal permissions of Microsoft Graph.
func (w *world) grant(to directory.Caller, permissions ...string) {
	w.t.Helper()
	graph, err := w.dir.ServicePrincipal(w.t.Context(), w.admin, directory.Ref{AppID: roles.GraphAppID})
	w.must(err)
	for _, role := range roles.GraphAppRoles() {
		if slices.Contains(permissions, role.Value) {
			_, err := w.dir.AddGrant(w.t.Context(), w.admin, directory.Grant{PrincipalID: to.PrincipalID, ResourceID: graph.ID, AppRoleID: role.ID})
			w.must(err)
		}
	}
}

// auditor may read applications and nothing else.
func (w *world) auditor() *person {
	w.t.Helper()
	c := w.principal("auditor", "", "")
	w.grant(c, "Application.Read.All")
	return w.signIn(c)
}

// shows checks that a page holds some texts.
func (p *person) shows(a answer, status int, texts ...string) {
	p.t.Helper()
	if a.status != status {
		p.t.Fatalf("%d, want %d\n%s", a.status, status, a.text())
	}
	for _, text := range texts {
		if !strings.Contains(a.text(), text) {
			p.t.Errorf("%q is not shown in:\n%s", text, a.text())
		}
	}
}

// hides checks that the source of a page holds none of some texts.
func (p *person) hides(a answer, texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		if strings.Contains(a.body, text) {
			p.t.Errorf("%q is in:\n%s", text, a.body)
		}
	}
}

// sentTo checks that a form led to a page.
func (p *person) sentTo(a answer, to string) {
	p.t.Helper()
	if got := a.header.Get("Location"); a.status != http.StatusSeeOther || got != to {
		p.t.Fatalf("%d to %q, want %q\n%s", a.status, got, to, a.text())
	}
}

func TestApplications(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"web", "Shop", "worker"} {
		w.clock.Advance(time.Minute)
		w.register(name)
	}
	shop, err := w.dir.Applications(t.Context(), w.admin, directory.Filter{NamePart: new("shop")}, directory.Page{})
	w.must(err)
	p := w.signIn(w.admin)
	for _, c := range []struct {
		query string
		names []string // in this order
	}{
		{"", []string{"Shop", "web", "worker"}},
		{"?sort=name-down", []string{"worker", "web", "Shop"}},
		{"?sort=new", []string{"worker", "Shop", "web"}},
		{"?sort=old", []string{"web", "Shop", "worker"}},
		{"?q=+HOP+", []string{"Shop"}},
		{"?q=" + shop.Items[0].AppID, []string{"Shop"}},
		{"?q=" + strings.ToUpper(shop.Items[0].ID), []string{"Shop"}},
		{"?q=nothing+like+it", nil},
	} {
		a := p.get("/portal/applications" + c.query)
		p.shows(a, http.StatusOK, "New registration")
		at := 0
		for _, name := range c.names {
			i := strings.Index(a.body[at:], ">"+name+"</a>")
			if i < 0 {
				t.Errorf("%q: %s is not in its place", c.query, name)
			}
			at += max(i, 0)
		}
		for _, name := range []string{"web", "Shop", "worker"} {
			if len(c.names) < 3 && (len(c.names) == 0 || name != c.names[0]) {
				p.hides(a, ">"+name+"</a>")
			}
		}
		if c.names == nil {
			p.shows(a, http.StatusOK, "No application matches.")
		}
	}
	p.sentTo(p.get("/portal/applications?q=web&sort=nonsense"), "/portal/applications?q=web")

	p.shows(p.get("/portal/applications"), http.StatusOK, "Application (client) ID")
	a := w.auditor().get("/portal/applications")
	p.shows(a, http.StatusOK, "Shop")
	p.hides(a, "New registration")
	p.shows(w.signIn(w.reader()).get("/portal/applications"), http.StatusForbidden, "You may not do this")
}

func TestApplicationsPageByPage(t *testing.T) {
	w := newWorld(t)
	for range pageSize + 10 {
		w.register("same name")
	}
	p := w.signIn(w.admin)
	first := p.get("/portal/applications?q=same")
	if n := strings.Count(first.body, ">same name</a>"); n != pageSize {
		t.Errorf("the first page has %d", n)
	}
	_, next, _ := strings.Cut(first.body, `class="button quiet" href="/portal/applications?after`)
	next, _, _ = strings.Cut(next, `"`)
	second := p.get("/portal/applications?after" + strings.ReplaceAll(next, "&amp;", "&"))
	if n := strings.Count(second.body, ">same name</a>"); n != 10 {
		t.Errorf("the second page has %d", n)
	}
	p.shows(second, http.StatusOK, "First page", "Previous")
}

func TestRegisterAnApplication(t *testing.T) {
	w := newWorld(t)
	p := w.signIn(w.admin)
	p.shows(p.get("/portal/applications/new"), http.StatusOK, "Register an application", "Make its service principal too")

	a := p.post("/portal/applications/new", "name", " shop ", "principal", "yes")
	found, err := w.dir.Applications(t.Context(), w.admin, directory.Filter{DisplayName: new("shop")}, directory.Page{})
	w.must(err)
	if len(found.Items) != 1 {
		t.Fatalf("%d applications were made", len(found.Items))
	}
	app := found.Items[0]
	p.sentTo(a, "/portal/applications/"+app.ID+"?done=created")
	principal, err := w.dir.ServicePrincipal(t.Context(), w.admin, directory.Ref{AppID: app.AppID})
	w.must(err)
	p.shows(p.get(a.header.Get("Location")), http.StatusOK, "The application was made.", app.AppID, app.ID, testTenant, principal.ID, "Add credential", "Delete application",
		"0 of 20 Federated credentials", "0 Client secrets", "0 Certificates", "Enabled")
	if owner := w.admin.Name; owner != "" {
		p.shows(p.get("/portal/applications/"+app.ID), http.StatusOK, "Owners "+owner)
	}
	p.sentTo(p.get("/portal/applications/"+app.AppID), "/portal/applications/"+app.ID) // by its client id

	// A second one of the same name only when that is meant.
	a = p.post("/portal/applications/new", "name", "shop", "principal", "yes")
	p.shows(a, http.StatusConflict, "an application of this name is there already", app.AppID)
	if !strings.Contains(a.body, `value="shop"`) {
		t.Error("what was typed is lost")
	}
	if a = p.post("/portal/applications/new", "name", "shop", "same", "yes"); a.status != http.StatusSeeOther {
		t.Errorf("a second one: %d", a.status)
	}
	a = p.get(a.header.Get("Location"))
	p.shows(a, http.StatusOK, "nothing can sign in as this application")
	_, action, _ := strings.Cut(a.body, `action="/portal/applications/`)
	action, _, _ = strings.Cut(action, `"`)
	a = p.post("/portal/applications/" + action)
	p.shows(p.get(a.header.Get("Location")), http.StatusOK, "The service principal was made.", "Enabled")

	for name, says := range map[string]string{"": "Give it a name.", strings.Repeat("x", 257): "Is longer than 256 characters.", "a\x01b": "Holds a control character."} {
		a := p.post("/portal/applications/new", "name", name, "principal", "yes")
		p.shows(a, http.StatusUnprocessableEntity, "Nothing was made", says)
		if !strings.Contains(a.body, `name="principal" value="yes" checked`) {
			t.Error("what was chosen is lost")
		}
	}

	auditor := w.auditor()
	p.shows(auditor.get("/portal/applications/new"), http.StatusForbidden, "It takes the right microsoft.directory/applications/create")
	p.shows(auditor.post("/portal/applications/new", "name", "theirs"), http.StatusForbidden, "It takes the right microsoft.directory/applications/create")
}

func TestApplicationOfOthers(t *testing.T) {
	w := newWorld(t)
	app := w.register("shop")
	auditor := w.auditor()
	a := auditor.get("/portal/applications/" + app.ID)
	auditor.shows(a, http.StatusOK, "shop", app.AppID)
	auditor.hides(a, "Delete application", "Add credential", "Make the service principal", "Sign-ins")
	auditor.shows(auditor.get("/portal/applications/"+app.ID+"/delete"), http.StatusForbidden, "It takes the right microsoft.directory/applications/delete")
	auditor.shows(auditor.post("/portal/applications/"+app.ID+"/delete"), http.StatusForbidden, "You may not do this")
	auditor.shows(auditor.post("/portal/applications/"+app.ID+"/principal"), http.StatusForbidden, "You may not do this")
	auditor.shows(auditor.get("/portal/applications/"+w.admin.PrincipalID), http.StatusNotFound, "It is not there")

	reader := w.signIn(w.reader())
	reader.shows(reader.get("/portal/applications/"+app.ID), http.StatusForbidden, "You may not do this")
	reader.shows(reader.get("/portal/applications/"+app.AppID), http.StatusForbidden, "You may not do this")
}

func TestDeleteAnApplication(t *testing.T) {
	w := newWorld(t)
	app := w.register("shop")
	_, err := w.dir.AddCredential(t.Context(), w.admin, directory.Parent{Application: &directory.Ref{ID: app.ID}}, spec("cart"))
	w.must(err)
	_, _, err = w.dir.AddSecret(t.Context(), w.admin, directory.Ref{ID: app.ID}, directory.NewSecret{})
	w.must(err)
	p := w.signIn(w.admin)
	p.shows(p.get("/portal/applications/"+app.ID+"/delete"), http.StatusOK, "Delete shop?", "1 federated credential stops working.", "1 client secret stops working.", app.AppID)
	p.shows(p.get("/portal/applications/"+app.ID), http.StatusOK, "shop") // asking deleted nothing
	a := p.post("/portal/applications/" + app.ID + "/delete")
	p.sentTo(a, "/portal/applications?done=deleted")
	p.shows(p.get(a.header.Get("Location")), http.StatusOK, "The application was deleted.")
	p.shows(p.get("/portal/applications/"+app.ID), http.StatusNotFound, "It is not there")
	p.shows(p.post("/portal/applications/"+app.ID+"/delete"), http.StatusNotFound, "It is not there")
}

func TestHostileApplication(t *testing.T) {
	w := newWorld(t)
	p := w.signIn(w.admin)
	a := p.post("/portal/applications/new", "name", hostile, "principal", "yes")
	if a.status != http.StatusSeeOther {
		t.Fatalf("%d %s", a.status, a.text())
	}
	at, _, _ := strings.Cut(a.header.Get("Location"), "?")
	for _, path := range []string{"/portal/applications", at, at + "/delete", "/portal/applications?q=" + url.QueryEscape(hostile)} {
		a := p.get(path)
		p.shows(a, http.StatusOK, hostile)
		p.hides(a, "<script>alert", "<img src=x")
	}
	a = p.post("/portal/applications/new", "name", hostile, "principal", "yes")
	p.shows(a, http.StatusConflict)
	p.hides(a, "<script>alert", "<img src=x")
	p.shows(p.get("/portal/applications/"+url.PathEscape("../"+hostile)), http.StatusNotFound)
	p.shows(p.get("/portal/applications?after="+url.QueryEscape(hostile)+"&q=%00%ff"), http.StatusOK)
}

// The pages link to an owner that is a managed identity as well.
func TestOwnersOfAnApplication(t *testing.T) {
	w := newWorld(t)
	app := w.register("shop")
	m := w.identity("owner")
	w.must(w.dir.AddOwner(t.Context(), w.admin, directory.Ref{ID: app.ID}, m.PrincipalID))
	p := w.signIn(w.admin)
	a := p.get("/portal/applications/" + app.ID)
	p.shows(a, http.StatusOK, "owner")
	if !strings.Contains(a.body, `href="/portal/groups/`+testSubscription+`/rg/identities/owner"`) {
		t.Errorf("no link to the owner in %s", a.body)
	}

	// An owner that may change what it owns, and sees nothing else.
	owner := w.principal("maker", testSub, roles.Reader)
	w.grant(owner, "Application.ReadWrite.OwnedBy")
	w.must(w.dir.AddOwner(t.Context(), w.admin, directory.Ref{ID: app.ID}, owner.PrincipalID))
	w.register("another")
	p = w.signIn(owner)
	a = p.get("/portal/applications")
	p.shows(a, http.StatusOK, "shop", "These are the applications that you own.", "New registration")
	p.hides(a, "another")
	p.shows(p.get("/portal/applications/"+app.ID), http.StatusOK, "Add credential", "Delete application")
}

// used records that a credential got somebody a token.
func (w *world) used(credentialID string, at time.Time) {
	w.t.Helper()
	w.records.Record(signin.Record{TenantID: testTenant, CredentialID: credentialID, At: at})
	ctx, cancel := context.WithCancel(w.t.Context())
	cancel()
	w.must(w.records.Run(ctx)) // writes what it has, and ends
}

func TestLastSignIn(t *testing.T) {
	w := newWorld(t)
	app, m := w.register("shop"), w.identity("pets")
	old, err := w.dir.AddCredential(t.Context(), w.admin, directory.Parent{Application: &directory.Ref{ID: app.ID}}, spec("cart"))
	w.must(err)
	theirs, err := w.dir.AddCredential(t.Context(), w.admin, directory.Parent{Identity: &m.IdentityRef}, spec("cart"))
	w.must(err)
	p := w.signIn(w.admin)
	at := "/portal/applications/" + app.ID
	for _, path := range []string{at, petsPath} {
		p.shows(p.get(path), http.StatusOK, "Last sign-in never")
	}
	w.used(old.ID, w.clock.Now().Add(-3*time.Hour))
	w.used(theirs.ID, w.clock.Now().Add(-5*time.Hour))
	for _, path := range []string{at, at + "/delete"} {
		p.shows(p.get(path), http.StatusOK, "Last sign-in 3 hours ago")
	}
	for _, path := range []string{petsPath, petsPath + "/delete"} {
		p.shows(p.get(path), http.StatusOK, "Last sign-in 5 hours ago")
	}
}
