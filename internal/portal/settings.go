package portal

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/entente-id/entente/internal/directory"
)

var settingsPages = []route{
	{"GET " + Path + "/settings", (*call).settings, false},
	{"POST " + Path + "/settings/policy", (*call).changeLimit, false},
	{"POST " + Path + "/settings/issuers", (*call).changeIssuerPolicy, false},
	{"POST " + Path + "/settings/theme", (*call).changeTheme, false},
	{"POST " + Path + "/settings/sessions", (*call).endSession, false},
}

type settingsView struct {
	Theme    choice
	Sessions []sessionRow
	Whose    string // sessions these are, in words

	SeesPolicy, MaySetPolicy bool
	Limit                    field
	RegisteredOnly           bool

	Tenant, TenantID string
	Allow            []string // issuers that may have private addresses
	SignInsKept      string
}

type sessionRow struct {
	ID, Who, How, Address      string
	Current                    bool
	Since, LastUsed, ExpiresAt time.Time
}

var settingsDone = map[string]string{
	"policy":  "The limit was changed. It counts from now on.",
	"issuers": "Which issuers may be trusted was changed. It counts from now on, for new credentials.",
	"session": "The session has ended.",
}

func (c *call) settings() error { return c.showSettings(0, "", "") }

// showSettings shows the page, with a limit that was refused and why.
func (c *call) showSettings(status int, limit, wrong string) error {
	tenant, err := c.Directory.LookupTenant(c, c.caller.TenantID)
	if err != nil {
		return err
	}
	v := settingsView{
		Theme: choice{Name: "theme", Label: "Colours", Value: c.theme(), Options: []option{{"", "As the browser prefers"}, {"light", "Light"}, {"dark", "Dark"}}},
		Whose: "Your sessions", Tenant: tenant.DisplayName, TenantID: tenant.ID, Allow: c.IssuerAllow, SignInsKept: span(c.SignIns.Keeps()),
		SeesPolicy:   c.rights.Can("Entente.Federation/policies/read", "/"),
		MaySetPolicy: c.rights.Can("Entente.Federation/policies/write", "/"),
	}
	if v.SeesPolicy {
		policy, err := c.Directory.Policy(c, c.caller)
		if err != nil {
			return err
		}
		v.Limit = field{
			Name: "limit", Label: "Most federated credentials of one application or identity", Value: strconv.Itoa(policy.MaxCredentials), Max: 6, Required: true,
			Hint: "Entra's limit is 20. A lower limit takes nothing away: it only refuses new ones.", ReadOnly: !v.MaySetPolicy,
		}
		if wrong != "" {
			v.Limit.Value, v.Limit.Error = limit, wrong
		}
		v.RegisteredOnly = policy.RegisteredIssuersOnly
	}
	if c.rights.Administrator() {
		v.Whose = "Everybody's sessions"
	}
	sessions, err := c.Directory.PortalSessions(c, c.caller)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		row := sessionRow{ID: s.ID, Who: s.Caller.Name, How: "one-time link", Address: s.Address, Current: s.ID == c.session.ID, Since: s.CreatedAt, LastUsed: s.SeenAt, ExpiresAt: s.ExpiresAt}
		if s.Provider != "" {
			row.How = "provider"
		}
		v.Sessions = append(v.Sessions, row)
	}
	return c.show(page{template: "settings", title: "Settings", status: status, done: settingsDone[c.query("done")]}, v)
}

func (c *call) changeLimit() error {
	limit := c.field("limit")
	n, err := strconv.Atoi(limit)
	if err != nil {
		return c.showSettings(http.StatusUnprocessableEntity, limit, "The limit is a number.")
	}
	_, err = c.Directory.SetPolicy(c, c.caller, directory.PolicyEdit{MaxCredentials: &n})
	if e, ok := errors.AsType[*directory.Error](err); ok && e.Kind == directory.Invalid {
		return c.showSettings(http.StatusUnprocessableEntity, limit, sentence(e.Detail))
	}
	if err != nil {
		return err
	}
	return c.redirect(done(Path+"/settings", "policy"))
}

// changeIssuerPolicy reads a box: of one that is not ticked a form says nothing.
func (c *call) changeIssuerPolicy() error {
	on := c.form.Get("registered-only") == "yes"
	if _, err := c.Directory.SetPolicy(c, c.caller, directory.PolicyEdit{RegisteredIssuersOnly: &on}); err != nil {
		return err
	}
	return c.redirect(done(Path+"/settings", "issuers"))
}

// aYear is how long a choice of colours is remembered.
const aYear = 365 * 24 * 60 * 60

func (c *call) changeTheme() error {
	k := &http.Cookie{Name: themeCookie, Value: c.field("theme"), Path: Path, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode, MaxAge: aYear}
	if k.Value != "light" && k.Value != "dark" {
		k.Value, k.MaxAge = "", -1
	}
	http.SetCookie(c.w, k)
	return c.redirect(Path + "/settings")
}

func (c *call) endSession() error {
	id := c.field("session")
	if id == c.session.ID {
		return c.signOut()
	}
	if err := c.Directory.EndPortalSession(c, c.caller, id); err != nil {
		return err
	}
	return c.redirect(done(Path+"/settings", "session"))
}
