package portal

import (
	"net/url"
	"strconv"
	"time"

	"github.com/entente-id/entente/internal/directory"
)

var applicationPages = []route{
	{"GET " + applicationsPath, (*call).applications, false},
	{"GET " + applicationsPath + "/new", (*call).newApplication, false},
	{"POST " + applicationsPath + "/new", (*call).createApplication, false},
	{"GET " + applicationsPath + "/{id}", (*call).application, false},
	{"POST " + applicationsPath + "/{id}/principal", (*call).createPrincipal, false},
	{"GET " + applicationsPath + "/{id}/delete", (*call).confirmDeleteApplication, false},
	{"POST " + applicationsPath + "/{id}/delete", (*call).deleteApplication, false},
}

const applicationsPath = Path + "/applications"

// The pages of one application, as applicationSide knows them.
const (
	onOverview    = "overview"
	onCredentials = "credentials"
)

// applicationPath is the path of an application's page, by its object id.
func applicationPath(id string, more ...string) string {
	return pathTo(append([]string{"applications", id}, more...)...)
}

// applicationSide are the pages of an application.
func (c *call) applicationSide(app directory.Application, current string) []link {
	links := []link{
		{Text: "Overview", To: applicationPath(app.ID), Current: current == onOverview},
		{Text: "Certificates & secrets", To: applicationPath(app.ID, "credentials"), Current: current == onCredentials},
		{Text: "Test a token", To: testPath(app.AppID)},
	}
	if to := c.signInsPath(app.AppID); to != "" {
		links = append(links, link{Text: "Sign-ins", To: to})
	}
	return links
}

// applicationTrail is the way to the pages of an application.
func applicationTrail(app directory.Application) []crumb {
	return []crumb{{"App registrations", applicationsPath}, {app.DisplayName, applicationPath(app.ID)}}
}

// testPath is the page that tests a token, with a client already chosen.
func testPath(clientID string) string { return tokenTestPath + "?client=" + url.QueryEscape(clientID) }

// signInsPath is the page of a client's sign-ins; empty when the caller may not read them.
func (c *call) signInsPath(clientID string) string {
	if !c.rights.Can(readSignIns, "/") {
		return ""
	}
	return signInLogPath + "?client=" + url.QueryEscape(clientID)
}

// rolesPath is the page of a principal's role assignments.
func rolesPath(principalID string) string {
	return roleList + "?principal=" + url.QueryEscape(principalID)
}

// findApplication reads the application of the page's path.
func (c *call) findApplication() (directory.Application, error) {
	return c.Directory.Application(c, c.caller, directory.Ref{ID: c.value("id")})
}

type applicationView struct {
	ID, AppID, TenantID     string
	DisplayName, UniqueName string
	Description             string
	IdentifierURIs          []string
	TokenVersion            string
	Created                 time.Time

	Trust  trustView
	Counts []count

	Owners []link

	Principal     *principalView
	NoPrincipal   bool // it was looked for and is not there
	MakePrincipal string
	Delete        string
	MayChange     bool
	HasSecrets    bool
}

// count is a number that leads to a page.
type count struct{ Number, Text, Under, To string }

// trustView says what an object trusts, and when that was last used.
type trustView struct {
	Credentials, Limit int
	LastUsed           time.Time
	To, Test, SignIns  string
	MayAdd             bool
	Add                string
	Hidden             bool // the caller may not see the credentials
}

// counts are the numbers of a trustView.
func (t trustView) counts() []count {
	if t.Hidden {
		return nil
	}
	return []count{{strconv.Itoa(t.Credentials), "Federated credentials", "of " + strconv.Itoa(t.Limit), t.To}}
}

type principalView struct {
	ID                 string
	Enabled            bool
	AssignmentRequired bool
	Roles              string
}

func (c *call) application() error {
	id := c.value("id")
	app, err := c.findApplication()
	if isNotFound(err) && directory.IsID(id) {
		// What people have at hand is the client id.
		if app, err := c.Directory.Application(c, c.caller, directory.Ref{AppID: id}); err == nil {
			return c.redirect(applicationPath(app.ID))
		}
	}
	if err != nil {
		return err
	}
	may, err := c.Directory.MayChangeApplication(c, c.caller, directory.Ref{ID: app.ID})
	if err != nil {
		return err
	}
	v := applicationView{
		ID: app.ID, AppID: app.AppID, TenantID: app.TenantID, DisplayName: app.DisplayName, UniqueName: app.UniqueName, Description: app.Description,
		IdentifierURIs: app.IdentifierURIs, TokenVersion: strconv.Itoa(max(app.TokenVersion, 1)), Created: app.CreatedAt, MayChange: may, HasSecrets: len(app.Secrets) > 0,
		Delete: applicationPath(app.ID, "delete"), MakePrincipal: applicationPath(app.ID, "principal"),
	}
	to := applicationPath(app.ID, "credentials")
	var certificates []string
	var secretEnds, certificateEnds []time.Time
	for _, s := range app.Secrets {
		secretEnds = append(secretEnds, s.End)
	}
	for _, k := range app.Certificates {
		certificates, certificateEnds = append(certificates, k.ID), append(certificateEnds, k.End)
	}
	if v.Trust, err = c.trust(directory.Parent{Application: &directory.Ref{ID: app.ID}}, app.AppID, to, certificates...); err != nil {
		return err
	}
	v.Trust.MayAdd = may && v.Trust.Credentials < v.Trust.Limit
	v.Counts = append(v.Trust.counts(),
		count{strconv.Itoa(len(app.Secrets)), "Client secrets", expiry(c.Clock(), secretEnds), to + "?tab=secrets"},
		count{strconv.Itoa(len(app.Certificates)), "Certificates", expiry(c.Clock(), certificateEnds), to + "?tab=certificates"},
	)
	switch p, err := c.Directory.ServicePrincipal(c, c.caller, directory.Ref{AppID: app.AppID}); {
	case isNotFound(err):
		v.NoPrincipal = true
	case isForbidden(err):
	case err != nil:
		return err
	default:
		v.Principal = &principalView{p.ID, p.Enabled, p.AssignmentRequired, rolesPath(p.ID)}
	}
	owners, err := c.Directory.Owners(c, c.caller, directory.Ref{ID: app.ID})
	if err != nil {
		return err
	}
	for _, o := range owners {
		v.Owners = append(v.Owners, link{Text: o.DisplayName, To: ownerPath(o)})
	}
	return c.show(page{
		template: "application", title: app.DisplayName, above: "Application", trail: applicationTrail(app)[:1], side: c.applicationSide(app, onOverview),
		done: map[string]string{
			"created":   "The application was made. Add a federated credential to let a workload sign in as it.",
			"alone":     "The application was made, but its service principal was not. Make it below.",
			"principal": "The service principal was made.",
		}[c.query("done")],
	}, v)
}

// ownerPath leads to an owner.
func ownerPath(p directory.ServicePrincipal) string {
	if p.IdentityResourceID != "" {
		if ref, ok := identityOf(p.IdentityResourceID); ok {
			return identityPath(ref)
		}
	}
	return applicationPath(p.AppID) // goes on to the one by its object id
}

// trust reads how many credentials an object has, and when one of them, or of
// others that it signs in with, was last used.
func (c *call) trust(parent directory.Parent, clientID, to string, others ...string) (trustView, error) {
	tenant, err := c.Directory.LookupTenant(c, c.caller.TenantID)
	if err != nil {
		return trustView{}, err
	}
	credentials, err := c.Directory.Credentials(c, c.caller, parent, directory.Page{Count: true})
	if err != nil {
		return trustView{}, err
	}
	v := trustView{Credentials: credentials.Total, Limit: tenant.MaxCredentials, To: to, Add: to + "/new", Test: testPath(clientID), SignIns: c.signInsPath(clientID)}
	for _, credential := range credentials.Items {
		others = append(others, credential.ID)
	}
	used, err := c.SignIns.LastUsed(c, c.caller.TenantID, others)
	for _, at := range used {
		if at.After(v.LastUsed) {
			v.LastUsed = at
		}
	}
	return v, err
}

func (c *call) createPrincipal() error {
	app, err := c.findApplication()
	if err != nil {
		return err
	}
	if _, err := c.Directory.CreateServicePrincipal(c, c.caller, directory.NewPrincipal{AppID: app.AppID}); err != nil {
		return err
	}
	return c.redirect(done(applicationPath(app.ID), "principal"))
}

type deleteApplicationView struct {
	Name, AppID                        string
	Credentials, Secrets, Certificates int
	LastUsed                           time.Time
	Action, Back                       string
}

func (c *call) confirmDeleteApplication() error {
	app, err := c.findApplication()
	if err != nil {
		return err
	}
	switch may, err := c.Directory.MayChangeApplication(c, c.caller, directory.Ref{ID: app.ID}); {
	case err != nil:
		return err
	case !may:
		return &directory.Error{Kind: directory.Forbidden, Object: directory.ApplicationObject, Action: "microsoft.directory/applications/delete"}
	}
	var certificates []string
	for _, k := range app.Certificates {
		certificates = append(certificates, k.ID)
	}
	trust, err := c.trust(directory.Parent{Application: &directory.Ref{ID: app.ID}}, app.AppID, "", certificates...)
	if err != nil {
		return err
	}
	return c.show(page{template: "application-delete", title: "Delete " + app.DisplayName + "?", above: "Application", trail: applicationTrail(app), side: c.applicationSide(app, "")},
		deleteApplicationView{app.DisplayName, app.AppID, trust.Credentials, len(app.Secrets), len(app.Certificates), trust.LastUsed, applicationPath(app.ID, "delete"), applicationPath(app.ID)})
}

func (c *call) deleteApplication() error {
	if err := c.Directory.DeleteApplication(c, c.caller, directory.Ref{ID: c.value("id")}); err != nil {
		return err
	}
	return c.redirect(done(applicationsPath, "deleted"))
}
