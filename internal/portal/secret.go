package portal

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/entente-id/entente/internal/directory"
)

var secretPages = []route{
	{"POST " + applicationsPath + "/{id}/secrets", (*call).addSecret, false},
	{"GET " + applicationsPath + "/{id}/secrets", (*call).toSecrets, false},
	{"GET " + applicationsPath + "/{id}/secrets/{secret}/delete", (*call).confirmRemoveSecret, false},
	{"POST " + applicationsPath + "/{id}/secrets/{secret}/delete", (*call).removeSecret, false},
}

// The tabs of "Certificates & secrets" besides that of the federated credentials.
const (
	secretsTab      = "secrets"
	certificatesTab = "certificates"
)

// credentialTabs are the tabs of "Certificates & secrets", of which one is
// current: "" is that of the federated credentials.
func (c *call) credentialTabs(app directory.Application, current string) ([]link, error) {
	credentials, err := c.Directory.Credentials(c, c.caller, directory.Parent{Application: &directory.Ref{ID: app.ID}}, directory.Page{Limit: 1, Count: true})
	if err != nil {
		return nil, err
	}
	to := applicationPath(app.ID, "credentials")
	tabs := []link{
		{Text: "Federated credentials (" + strconv.Itoa(credentials.Total) + ")", To: to},
		{Text: "Client secrets (" + strconv.Itoa(len(app.Secrets)) + ")", To: to + "?tab=" + secretsTab},
		{Text: "Certificates (" + strconv.Itoa(len(app.Certificates)) + ")", To: to + "?tab=" + certificatesTab},
	}
	for i, tab := range []string{"", secretsTab, certificatesTab} {
		tabs[i].Current = tab == current
	}
	return tabs, nil
}

// credentialsPage is the frame of the tabs.
func (c *call) credentialsPage(app directory.Application, template string) page {
	return page{template: template, title: "Certificates & secrets", trail: applicationTrail(app), side: c.applicationSide(app, onCredentials), wide: true}
}

type secretsView struct {
	Tabs      []link
	Secrets   []secretRow
	MayChange bool
	Errors    []string
	Name      field
	Lifetime  choice
	Action    string
	New       *newSecretView
	Federated string
}

type secretRow struct {
	Name, Hint, ID string
	End            time.Time
	State          string // Expired, Expires soon, Not yet valid or empty
	Bad            bool
	Remove         string
}

// newSecretView is a secret that was just made, with its text.
type newSecretView struct{ Name, Text, ID, AppID string }

// The lifetimes that a page offers for a secret, in days, the shortest first.
var lifetimes = []option{{"90", "90 days"}, {"180", "180 days"}, {"365", "1 year"}, {"730", "2 years"}}

// secrets is the tab of client secrets.
func (c *call) secrets(app directory.Application) error {
	p := c.credentialsPage(app, "secrets")
	p.done = map[string]string{"removed": "The client secret was removed. It works no longer."}[c.query("done")]
	return c.showSecrets(app, p, secretsView{})
}

// showSecrets shows the tab, with what v says already.
func (c *call) showSecrets(app directory.Application, p page, v secretsView) (err error) {
	if v.Tabs, err = c.credentialTabs(app, secretsTab); err != nil {
		return err
	}
	if v.MayChange, err = c.Directory.MayChangeApplication(c, c.caller, directory.Ref{ID: app.ID}); err != nil {
		return err
	}
	for _, s := range app.Secrets {
		state, bad := validity(c.Clock(), s.Start, s.End)
		v.Secrets = append(v.Secrets, secretRow{named(s.DisplayName), s.Hint, s.ID, s.End, state, bad, applicationPath(app.ID, "secrets", s.ID, "delete")})
	}
	v.Action, v.Federated = applicationPath(app.ID, "secrets"), applicationPath(app.ID, "credentials")
	v.Name = field{Name: "description", Label: "Description", Value: c.field("description"), Hint: "What will use it, so that others know what they remove.", Error: v.Name.Error, Max: 256}
	v.Lifetime = choice{Name: "days", Label: "Expires after", Value: c.field("days"), Options: lifetimes, Error: v.Lifetime.Error}
	if v.New != nil {
		v.Name.Value, v.Lifetime.Value = "", ""
	}
	if v.Lifetime.Value == "" {
		v.Lifetime.Value = "180"
	}
	return c.show(p, v)
}

// toSecrets is for those who load the answer to addSecret again.
func (c *call) toSecrets() error {
	return c.redirect(applicationPath(c.value("id"), "credentials") + "?tab=" + secretsTab)
}

// addSecret makes a secret. The answer is the only page that ever shows its text.
func (c *call) addSecret() error {
	app, err := c.findApplication()
	if err != nil {
		return err
	}
	p := c.credentialsPage(app, "secrets")
	if !slices.ContainsFunc(lifetimes, func(o option) bool { return o.Value == c.field("days") }) {
		p.status = http.StatusUnprocessableEntity
		return c.showSecrets(app, p, secretsView{Errors: []string{"Nothing was made. See the marked field."}, Lifetime: choice{Error: "Choose one of these lifetimes."}})
	}
	days, err := strconv.Atoi(c.field("days"))
	if err != nil {
		return err
	}
	secret, text, err := c.Directory.AddSecret(c, c.caller, directory.Ref{ID: app.ID}, directory.NewSecret{DisplayName: c.field("description"), End: c.Clock().AddDate(0, 0, days)})
	if refused, ok := refused(err); ok {
		p.status = refused.status
		return c.showSecrets(app, p, secretsView{Errors: []string{refused.text}, Name: field{Error: refused.at("displayName")}})
	}
	if err != nil {
		return err
	}
	if app, err = c.findApplication(); err != nil {
		return err
	}
	return c.showSecrets(app, p, secretsView{New: &newSecretView{named(secret.DisplayName), text, secret.ID, app.AppID}})
}

// removeView asks before a secret or certificate goes.
type removeView struct {
	What, Name, ID string
	Facts          []fact
	Warning        string
	LastUsed       time.Time
	Recorded       bool // LastUsed is known, or known to be never
	Action, Back   string
}

// fact is a name and a value.
type fact struct{ Name, Value string }

func (c *call) confirmRemoveSecret() error {
	app, err := c.findApplication()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(app.Secrets, func(s directory.Secret) bool { return s.ID == c.value("secret") })
	if i < 0 {
		return &directory.Error{Kind: directory.NotFound, Object: directory.SecretObject, ID: c.value("secret")}
	}
	s := app.Secrets[i]
	return c.show(page{template: "remove", title: "Remove this client secret?", trail: applicationTrail(app), side: c.applicationSide(app, onCredentials)}, removeView{
		What: "client secret", Name: named(s.DisplayName), ID: s.ID, Facts: []fact{{"Begins with", s.Hint + "…"}, {"Expires", stamp(s.End)}},
		Warning: "Whatever signs in as " + app.DisplayName + " with this secret is refused from its next request on. The secret cannot be brought back.",
		Action:  applicationPath(app.ID, "secrets", s.ID, "delete"), Back: applicationPath(app.ID, "credentials") + "?tab=" + secretsTab,
	})
}

func (c *call) removeSecret() error {
	if err := c.Directory.RemoveSecret(c, c.caller, directory.Ref{ID: c.value("id")}, c.value("secret")); err != nil {
		return err
	}
	return c.redirect(done(applicationPath(c.value("id"), "credentials")+"?tab="+secretsTab, "removed"))
}

// named is a name that may be missing.
func named(name string) string {
	if name == "" {
		return "(no description)"
	}
	return name
}

// soon is when an end is near enough to be told.
const soon = 30 * 24 * time.Hour

// validity is what a person should know of the time in which something counts.
func validity(now, start, end time.Time) (state string, bad bool) {
	switch {
	case !now.Before(end):
		return "Expired", true
	case now.Before(start):
		return "Not valid yet", false
	case end.Sub(now) < soon:
		return "Expires soon", false
	}
	return "", false
}

// expiry sums up how many of some ends lie behind now.
func expiry(now time.Time, ends []time.Time) string {
	expired := 0
	for _, end := range ends {
		if !now.Before(end) {
			expired++
		}
	}
	if expired == 0 {
		return ""
	}
	return strconv.Itoa(expired) + " expired"
}
