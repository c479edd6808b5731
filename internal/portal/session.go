package portal

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/entente-id/entente/internal/directory"
)

// sessionCookie holds the secret of a session. Its prefix makes browsers refuse
// it from anybody but this very host over TLS (RFC 6265bis section 4.1.3).
const sessionCookie = "__Host-entente-session"

const (
	signInPath   = Path + "/sign-in"
	callbackPath = signInPath + "/callback"
	linkPath     = Path + "/link"
)

var sessionPages = []route{
	{"GET " + signInPath, (*call).signIn, true},
	{"GET " + signInPath + "/provider", (*call).startProvider, true},
	{"GET " + callbackPath, (*call).finishProvider, true},
	{"GET " + linkPath, (*call).showLink, true},
	{"POST " + linkPath, (*call).useLink, true},
	{"POST " + Path + "/sign-out", (*call).signOut, false},
}

// findSession reads the session's cookie.
func (c *call) findSession() (directory.PortalSession, error) {
	cookies := c.r.CookiesNamed(sessionCookie)
	if len(cookies) != 1 {
		return directory.PortalSession{}, errSignedOut
	}
	session, err := c.Directory.PortalSession(c, cookies[0].Value)
	if err != nil {
		return session, err
	}
	if session.Provider != "" && (c.upstream == nil || session.Provider != c.upstream.mark()) {
		return directory.PortalSession{}, errSignedOut // the provider or its roles were changed since
	}
	return session, nil
}

var errSignedOut = &problem{status: http.StatusUnauthorized}

// begin answers the sign-in with the session's cookie and a page that goes on.
// It is a page and not a redirect: a browser that came here from a provider's
// site would follow a redirect without a strict cookie.
func (c *call) begin(session directory.PortalSession, to string) error {
	http.SetCookie(c.w, &http.Cookie{Name: sessionCookie, Value: session.Secret, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	return c.show(page{template: "continue", title: "Signed in"}, continueView{to})
}

type continueView struct{ To string }

type welcomeView struct {
	Title, Text string
	Provider    string // where to sign in at the provider; empty: there is none
}

func (c *call) signIn() error {
	if _, err := c.findSession(); err == nil {
		return c.redirect(Path)
	}
	c.showSignIn(&problem{status: http.StatusOK})
	return nil
}

// showSignIn is the page of those who have not signed in.
func (c *call) showSignIn(p *problem) {
	c.session = directory.PortalSession{}
	if c.r.Header.Get("Sec-Fetch-Site") == "cross-site" && c.r.Method == http.MethodGet && p == errSignedOut {
		// Another site's link came without the strict cookie. The same page,
		// asked for by this one, comes with it.
		if err := c.show(page{template: "continue", title: "One moment"}, continueView{unfilled(c.r.URL.RequestURI())}); err == nil {
			return
		}
	}
	v := welcomeView{Title: p.title, Text: p.text}
	if c.upstream != nil {
		// Under the canonical name, to which the provider sends people back:
		// the cookies of a sign-in belong to one host.
		v.Provider = c.URL + signInPath + "/provider"
		if c.r.Method == http.MethodGet && !strings.HasPrefix(c.r.URL.Path, signInPath) && !strings.HasPrefix(c.r.URL.Path, linkPath) {
			v.Provider += "?return=" + url.QueryEscape(c.r.URL.RequestURI())
		}
	}
	if err := c.show(page{template: "signin", title: "Sign in", status: p.status}, v); err != nil {
		c.Log.ErrorContext(c, "show the sign-in page", "error", err)
		http.Error(c.w, "sign in", http.StatusUnauthorized)
	}
}

type linkView struct{ Token, Name string }

// errNoLink is for links that are unknown, used up or too old: all the same.
var errNoLink = &problem{status: http.StatusNotFound, title: "This link does not work any more",
	text: "A link signs one person in, once, within ten minutes. Make another one.", command: "entente portal-link"}

// showLink asks whether to sign in. It uses nothing up, so that a preview of
// the link in a chat or a mail does not either.
func (c *call) showLink() error {
	token := c.query("token")
	l, err := c.Directory.PortalLink(c, token)
	if err != nil {
		return linkError(err)
	}
	return c.show(page{template: "link", title: "Sign in"}, linkView{token, l.Name})
}

func (c *call) useLink() error {
	session, err := c.Directory.RedeemPortalLink(c, c.field("token"), directory.Caller{Address: c.Address(c), RequestID: c.RequestID(c)})
	if err != nil {
		return linkError(err)
	}
	return c.begin(session, Path)
}

func linkError(err error) error {
	if isNotFound(err) || isKind(err, directory.Unauthenticated) {
		return errNoLink
	}
	return err
}

func (c *call) startProvider() error {
	if c.upstream == nil {
		return errNoPage
	}
	return c.upstream.start(c.w, c.r, unfilled(c.query("return")))
}

// unfilled is the URL of a page without what would fill in its form: another
// site's link must not leave somebody one press of a button away from a role or a
// credential that the site has chosen.
func unfilled(page string) string {
	if u, err := url.Parse(page); err == nil && strings.HasSuffix(u.Path, "/new") {
		page, _, _ = strings.Cut(page, "?")
	}
	return page
}

func (c *call) finishProvider() error {
	if c.upstream == nil {
		return errNoPage
	}
	person, to, err := c.upstream.finish(c.w, c.r)
	if err != nil {
		return err
	}
	session, err := c.Directory.OpenPortalSession(c, directory.Caller{
		Kind: directory.PortalCaller, TenantID: c.Tenant, Name: person.String(), Roles: person.Roles, Address: c.Address(c), RequestID: c.RequestID(c),
	}, c.upstream.mark())
	if err != nil {
		return err
	}
	return c.begin(session, to)
}

// AsksProvider says whether a request, which anybody can send, makes the service
// ask the provider: its sign-in page's answer does, once each.
func AsksProvider(r *http.Request) bool { return r.URL.Path == callbackPath }

// errTooMany is for addresses from which more people come than there can be.
var errTooMany = &problem{status: http.StatusTooManyRequests, title: "Too many people sign in from here", text: "Wait a moment, and begin again from the sign-in page."}

// TooMany answers those who sign in too often.
func (s *Surface) TooMany(w http.ResponseWriter, r *http.Request) {
	protect(w.Header())
	w.Header().Set("Retry-After", "1")
	s.serve(route{pattern: callbackPath, open: true, handle: func(*call) error { return errTooMany }})(w, r)
}

func (c *call) signOut() error {
	if err := c.Directory.EndPortalSession(c, c.caller, c.session.ID); err != nil {
		return err
	}
	http.SetCookie(c.w, &http.Cookie{Name: sessionCookie, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode, MaxAge: -1})
	c.w.Header().Set("Clear-Site-Data", `"cache"`)
	return c.redirect(signInPath)
}
