package portal

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
)

func TestAudit(t *testing.T) {
	w := newWorkload(t)
	admin := w.admin
	admin.Address, admin.RequestID = "192.0.2.9", "request-9"
	nasty, err := w.dir.CreateApplication(t.Context(), admin, directory.Application{DisplayName: hostile})
	w.must(err)
	_, _, err = w.dir.AddSecret(t.Context(), admin, directory.Ref{ID: w.app.ID}, directory.NewSecret{DisplayName: "old"})
	w.must(err)
	m := w.identity("pets")
	w.must(w.dir.DeleteApplication(t.Context(), admin, directory.Ref{ID: nasty.ID}))
	w.clock.Advance(time.Hour)
	w.must(w.dir.RemoveCredential(t.Context(), admin, w.parent, "pets"))

	p := w.signIn(w.admin)
	a := p.get("/portal/audit")
	p.shows(a, http.StatusOK, "Signed in to the portal:", "Removed the federated credential pets", "Issuer before", w.issuer.URL(), "Deleted the application "+hostile,
		"Made or changed the managed identity pets", "Added the client secret old", "Registered the application pets", "Added the federated credential pets", "with a token", "192.0.2.9", "request-9", "microsoft.directory/applications/delete")
	p.hides(a, "<script>alert", "<img src=x")
	for _, want := range []string{
		`href="/portal/applications/` + w.app.ID + `"`, `href="/portal/applications/` + w.app.ID + `/credentials?tab=secrets"`, `href="` + identityPath(m.IdentityRef) + `"`, `href="/portal/groups/` + testSubscription + `/rg"`,
	} {
		if !strings.Contains(a.body, want) {
			t.Errorf("%s is not linked", want)
		}
	}
	p.hides(a, `href="/portal/applications/`+nasty.ID, w.trust.ID+`"`) // they are gone

	noon := url.QueryEscape(w.clock.Now().Add(-time.Minute).UTC().Format("2006-01-02 15:04"))
	for query, want := range map[string]struct{ shows, hides string }{
		"q=" + url.QueryEscape(hostile):                  {"Registered the application", "Removed the federated credential"},
		"action=microsoft.directory/applications/create": {"Registered the application", "Deleted the application"},
		"object=client+secret":                           {"Added the client secret", "Registered the application"},
		"target=" + w.app.ID:                             {"Added the client secret", "Deleted the application"},
		"actor=" + w.admin.PrincipalID:                   {"Registered the application", "Rotated"},
		"from=" + noon:                                   {"Removed the federated credential", "Registered the application"},
		"to=" + noon:                                     {"Registered the application", "Removed the federated credential"},
		"action=Entente.Federation/portalSessions/":      {"Signed in to the portal:", "Registered the application"},
	} {
		a := p.get("/portal/audit?" + query)
		p.shows(a, http.StatusOK)
		_, table, _ := strings.Cut(a.body, "<tbody>")
		if !strings.Contains(table, want.shows) || strings.Contains(table, want.hides) {
			t.Errorf("%s: want %q and no %q in\n%s", query, want.shows, want.hides, table)
		}
	}
	p.shows(p.get("/portal/audit?actor=nobody+at+all"), http.StatusOK, "No change matches.")
	a = p.get("/portal/audit?action=" + url.QueryEscape(hostile) + "&object=" + url.QueryEscape(hostile) + "&from=" + url.QueryEscape(hostile))
	p.shows(a, http.StatusUnprocessableEntity, "A filter cannot be read.")
	p.hides(a, "<script>alert")
}

func TestAuditIsForThoseWithTheRight(t *testing.T) {
	w := newWorld(t)
	p := w.signIn(w.reader())
	for _, path := range []string{"/portal/audit", "/portal/audit?from=x"} {
		a := p.get(path)
		p.shows(a, http.StatusForbidden, "You may not do this", "Entente.Federation/auditEvents/read")
		p.hides(a, `href="/portal/audit"`)
	}
	p = w.signIn(w.principal("overseer", "/", roles.FederationReader))
	p.shows(p.get("/portal/audit"), http.StatusOK, "overseer", "by the portal")
}

func TestDeeds(t *testing.T) {
	for _, c := range []struct {
		event directory.Event
		want  string
	}{
		{directory.Event{Action: "MICROSOFT.directory/applications/create", Object: directory.ApplicationObject}, "Registered the application"},
		{directory.Event{Action: "microsoft.directory/applications/credentials/update", Object: directory.CredentialObject, Detail: map[string]string{"issuer": "x", "wasIssuer": "y"}}, "Changed the federated credential"},
		{directory.Event{Action: "microsoft.directory/applications/credentials/update", Object: directory.CertificateObject, Detail: map[string]string{"removed": "x"}}, "Removed the certificate"},
		{directory.Event{Action: "Microsoft.Authorization/roleAssignments/write", Object: directory.AssignmentObject, Detail: map[string]string{"roleDefinition": roles.Reader}}, "Assigned the role Reader on"},
		{directory.Event{Action: "Example.Other/things/do", Object: "thing"}, "Example.Other/things/do"},
	} {
		if got := deed(c.event); got != c.want {
			t.Errorf("%+v: %q, want %q", c.event, got, c.want)
		}
	}
}
