package portal

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/directory"
)

func TestSignInByLink(t *testing.T) {
	w := newWorld(t)
	link, err := w.dir.MakePortalLink(t.Context(), w.admin, 0)
	w.must(err)
	p := w.stranger()
	if a := p.get("/portal"); a.status != http.StatusUnauthorized || !strings.Contains(a.text(), "entente portal-link") {
		t.Fatalf("a stranger sees %d %s", a.status, a.text())
	}

	// A preview of the link, which chats and mails make, uses nothing up.
	for range 3 {
		a := p.get("/portal/link?token=" + link.Token)
		if a.status != http.StatusOK || len(a.header.Values("Set-Cookie")) != 0 {
			t.Fatalf("the link shows %d %v", a.status, a.header)
		}
	}
	a := p.post("/portal/link", "token", link.Token)
	if a.status != http.StatusOK {
		t.Fatalf("signing in: %d %s", a.status, a.text())
	}
	cookie := a.header.Get("Set-Cookie")
	for _, part := range []string{"__Host-entente-session=", "Path=/", "Secure", "HttpOnly", "SameSite=Strict"} {
		if !strings.Contains(cookie, part) {
			t.Errorf("the cookie %q has no %s", cookie, part)
		}
	}
	if a := p.get("/portal"); a.status != http.StatusOK || !strings.Contains(a.text(), "App registrations") {
		t.Errorf("home: %d %s", a.status, a.text())
	}

	// Used up, for everybody and for previews.
	for _, a := range []answer{w.stranger().post("/portal/link", "token", link.Token), w.stranger().get("/portal/link?token=" + link.Token), w.stranger().get("/portal/link")} {
		if a.status != http.StatusNotFound || !strings.Contains(a.text(), "does not work any more") {
			t.Errorf("a used link: %d %s", a.status, a.text())
		}
	}

	events, err := w.dir.Events(t.Context(), w.admin, directory.EventFilter{}, directory.Page{Limit: 2})
	w.must(err)
	for i, action := range []string{"Entente.Federation/portalSessions/write", "Entente.Federation/portalLinks/write"} {
		if e := events.Items[i]; e.Action != action || e.ActorID != w.admin.PrincipalID {
			t.Errorf("event %d is %+v, want %s by the operator", i, e, action)
		}
	}
}

func TestSessionEnds(t *testing.T) {
	for name, end := range map[string]func(*world, *person){
		"signed out": func(_ *world, p *person) {
			if a := p.post("/portal/sign-out"); a.status != http.StatusSeeOther {
				p.t.Errorf("sign out: %d %s", a.status, a.text())
			}
		},
		"unused for an hour": func(w *world, _ *person) { w.clock.Advance(time.Hour + time.Minute) },
		"eight hours old": func(w *world, p *person) {
			for range 17 {
				w.clock.Advance(29 * time.Minute)
				p.get("/portal")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p := w.signIn(w.admin)
			if a := p.get("/portal"); a.status != http.StatusOK {
				t.Fatalf("before: %d", a.status)
			}
			end(w, p)
			if a := p.get("/portal/applications"); a.status != http.StatusUnauthorized {
				t.Errorf("after: %d %s", a.status, a.text())
			}
		})
	}
}

func TestEveryAnswerIsProtected(t *testing.T) {
	w := newWorld(t)
	admin := w.signIn(w.admin)
	for name, a := range map[string]answer{
		"sign in": w.stranger().get("/portal"), "home": admin.get("/portal"), "missing": admin.get("/portal/none"), "asset": w.stranger().get(assets["portal.css"].url),
	} {
		csp := a.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") || a.header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: %v", name, a.header)
		}
	}
}

func TestOtherSitesAreRefused(t *testing.T) {
	w := newWorld(t)
	p := w.signIn(w.admin)
	for name, header := range map[string]http.Header{
		"another site":         {"Sec-Fetch-Site": {"cross-site"}},
		"another host of ours": {"Sec-Fetch-Site": {"same-site"}},
		"an old browser":       {"Origin": {"https://evil.example"}},
		"a sandbox":            {"Origin": {"null"}},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.server.URL+"/portal/sign-out", strings.NewReader(""))
		w.must(err)
		r.Header = header
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if a := p.do(r); a.status != http.StatusForbidden {
			t.Errorf("%s: %d %s", name, a.status, a.text())
		}
	}
	if a := p.get("/portal"); a.status != http.StatusOK {
		t.Errorf("the session has ended: %d", a.status)
	}
}

func TestAssets(t *testing.T) {
	w := newWorld(t)
	total := 0
	for name, asset := range assets {
		a := w.stranger().get(asset.url)
		if a.status != http.StatusOK || a.body != string(asset.body) || !strings.Contains(a.header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %v", name, a.status, a.header)
		}
		total += len(asset.body)
	}
	if total > 100<<10 {
		t.Errorf("the portal's assets have %d bytes, and may have 100 KiB", total)
	}
	if a := w.stranger().get("/portal/assets/0000000000000000/portal.css"); a.status != http.StatusNotFound {
		t.Errorf("an old asset: %d", a.status)
	}
}

// organisation is a portal whose people sign in at a provider, which knows one
// of them, j.doe, who is in the groups staff and platform.
func organisation(t *testing.T, roles ...ClaimRole) (*world, *fakeProvider) {
	provider := newFakeProvider(t)
	w := newWorld(t, func(c *Config) {
		provider.back = c.URL + callbackPath
		given := provider.config(roles...)
		c.Provider = &given
	})
	provider.now = w.clock.Now()
	return w, provider
}

func staff(role string) ClaimRole {
	given, err := directory.ParsePortalRole(role)
	if err != nil {
		panic(err)
	}
	return ClaimRole{"groups", "staff", given}
}

// goOn follows a sign-in from its start to the answer of the callback.
func (p *person) goOn(provider *fakeProvider, start string) answer {
	p.t.Helper()
	began := p.get(start)
	if began.status != http.StatusSeeOther || !strings.HasPrefix(began.header.Get("Location"), provider.URL+"/authorize?") {
		p.t.Fatalf("%s: %d %v %s", start, began.status, began.header, began.text())
	}
	return p.get(callbackPath + "?" + provider.authorize(began.header.Get("Location")).Encode())
}

// sessionSecret is what the browser holds of a session; empty: nothing.
func (p *person) sessionSecret() string {
	p.t.Helper()
	u, err := url.Parse(p.server.URL)
	p.must(err)
	for _, k := range p.client.Jar.Cookies(u) {
		if k.Name == sessionCookie {
			return k.Value
		}
	}
	return ""
}

func TestSignInAtProvider(t *testing.T) {
	w, provider := organisation(t, staff("Reader@"+testSub))
	p := w.stranger()

	// The page that was wanted is the one that a person comes to in the end.
	const wanted = "/portal/groups?q=r%26b&sort=name-down"
	a := p.get(wanted)
	start := signInPath + "/provider?return=" + url.QueryEscape(wanted)
	if a.status != http.StatusUnauthorized || !strings.Contains(a.body, html.EscapeString(w.server.URL+start)) {
		t.Fatalf("a stranger sees %d %s", a.status, a.body)
	}
	if n := provider.count("/.well-known/openid-configuration"); n != 0 {
		t.Errorf("the provider was asked %d times before anybody wanted to sign in", n)
	}
	a = p.goOn(provider, start)
	if a.status != http.StatusOK || !strings.Contains(a.body, `href="`+html.EscapeString(wanted)+`"`) || !strings.Contains(a.body, `content="0;url=`+html.EscapeString(wanted)+`"`) {
		t.Fatalf("after the provider: %d %s", a.status, a.body)
	}

	// The session's cookie is strict; that of the sign-in under way is gone.
	var names []string
	for _, text := range a.header.Values("Set-Cookie") {
		k, err := http.ParseSetCookie(text)
		w.must(err)
		names = append(names, k.Name)
		if k.Path != "/" || k.Domain != "" || !k.Secure || !k.HttpOnly {
			t.Errorf("the cookie %s", text)
		}
		switch {
		case k.Name == sessionCookie && (k.SameSite != http.SameSiteStrictMode || k.MaxAge != 0 || !k.Expires.IsZero() || len(k.Value) < 43):
			t.Errorf("the session's cookie %s", text)
		case k.Name == attemptCookieName && (k.MaxAge >= 0 || k.Value != ""):
			t.Errorf("the sign-in's cookie %s", text)
		}
	}
	if slices.Sort(names); !slices.Equal(names, []string{sessionCookie, attemptCookieName}) {
		t.Errorf("the cookies are %q", names)
	}
	if strings.Contains(a.body, p.sessionSecret()) {
		t.Error("the page shows the session's secret")
	}

	// The person has their name, and what their roles let them have.
	a = p.get("/portal")
	if a.status != http.StatusOK || !strings.Contains(a.text(), "j.doe (248289761001)") || !strings.Contains(a.text(), "Managed identities") {
		t.Errorf("home: %d %s", a.status, a.text())
	}
	for _, hidden := range []string{"Sign-ins", "Audit log", "Signing keys"} {
		if strings.Contains(a.text(), hidden) {
			t.Errorf("a reader of the subscription is offered %q", hidden)
		}
	}
	if a := p.get("/portal/groups"); a.status != http.StatusOK || !strings.Contains(a.text(), "rg") {
		t.Errorf("groups: %d %s", a.status, a.text())
	}
	for _, path := range []string{"/portal/issuers", "/portal/signing-keys", "/portal/sign-ins", "/portal/audit"} {
		if a := p.get(path); a.status != http.StatusForbidden {
			t.Errorf("%s: %d %s", path, a.status, a.text())
		}
	}
	if a := p.post("/portal/groups/new", "subscription", testSubscription, "name", "mine", "location", "local"); a.status != http.StatusForbidden {
		t.Errorf("a reader makes a group: %d %s", a.status, a.text())
	}

	// It is the person who is in the audit, and no principal.
	events, err := w.dir.Events(t.Context(), w.admin, directory.EventFilter{Action: "Entente.Federation/portalSessions/write"}, directory.Page{Limit: 1})
	w.must(err)
	if e := events.Items[0]; e.ActorName != "j.doe (248289761001)" || e.ActorID != "" || e.Address != "192.0.2.1" {
		t.Errorf("the event is %+v", e)
	}
}

// What the provider's answer was good for once, it is not twice.
func TestSignInAtProviderOnce(t *testing.T) {
	w, provider := organisation(t, staff("Owner"))
	p := w.stranger()
	began := p.get(signInPath + "/provider")
	u, err := url.Parse(w.server.URL)
	w.must(err)
	cookies := p.client.Jar.Cookies(u)
	back := callbackPath + "?" + provider.authorize(began.header.Get("Location")).Encode()
	if a := w.stranger().get(back); a.status != http.StatusBadRequest || len(a.header.Values("Set-Cookie")) != 1 {
		t.Errorf("in another browser: %d %v", a.status, a.header)
	}
	if a := p.get(back); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.text())
	}
	p.client.Jar.SetCookies(u, cookies)
	secret := p.sessionSecret()
	if a := p.get(back); a.status != http.StatusBadRequest || !strings.Contains(a.text(), "You were not signed in") {
		t.Errorf("once more: %d %s", a.status, a.text())
	}
	if p.sessionSecret() != secret || p.get("/portal").status != http.StatusOK {
		t.Error("a vain sign-in has ended the session that is there")
	}

	// Whoever signs in again has a session of their own.
	if a := p.goOn(provider, signInPath+"/provider"); a.status != http.StatusOK || p.sessionSecret() == secret {
		t.Errorf("a second sign-in: %d", a.status)
	}
}

func TestSignInAtProviderReturnsHere(t *testing.T) {
	w, provider := organisation(t, staff("Owner"))
	for _, to := range []string{"", "https://evil.example/portal", "//evil.example/portal", `/\evil.example`, "/portal/../elsewhere", "/v1.0/applications", "javascript:alert(1)", "/portal/sign-out", "/portal/link?token=x", "/portal\r\nSet-Cookie: a=b"} {
		a := w.stranger().goOn(provider, signInPath+"/provider?return="+url.QueryEscape(to))
		if a.status != http.StatusOK || !strings.Contains(a.body, `<a href="/portal">`) || strings.Contains(a.body, "evil") {
			t.Errorf("%q leads to %d %s", to, a.status, a.body)
		}
	}
}

func TestNobodyWithoutARole(t *testing.T) {
	w, provider := organisation(t, ClaimRole{"groups", "administrators", directory.PortalRole{Name: "Owner"}})
	p := w.stranger()
	a := p.goOn(provider, signInPath+"/provider")
	if a.status != http.StatusForbidden || p.sessionSecret() != "" || p.get("/portal").status != http.StatusUnauthorized {
		t.Errorf("%d %s", a.status, a.text())
	}
	sessions, err := w.dir.PortalSessions(t.Context(), w.admin)
	w.must(err)
	if len(sessions) != 0 {
		t.Errorf("sessions: %+v", sessions)
	}
}

// A change of who gives which roles ends the sessions that were opened before,
// also those of a provider that is not there any more.
func TestSessionEndsWithItsMapping(t *testing.T) {
	w, provider := organisation(t, staff("Reader"))
	p := w.stranger()
	p.goOn(provider, signInPath+"/provider")
	same, more, other := provider.config(staff("Reader")), provider.config(staff("Reader"), staff("Owner")), provider.config(staff("Reader"))
	other.ClientID = "another"
	for name, c := range map[string]struct {
		provider *Provider
		status   int
	}{
		"the same": {&same, http.StatusOK}, "another role": {&more, http.StatusUnauthorized}, "another client": {&other, http.StatusUnauthorized}, "no provider": {nil, http.StatusUnauthorized},
	} {
		config := w.surface.Config
		config.Provider = c.provider
		r := httptest.NewRequest("GET", w.server.URL+"/portal", nil)
		r.AddCookie(&http.Cookie{Name: sessionCookie, Value: p.sessionSecret()})
		answer := httptest.NewRecorder()
		New(config).ServeHTTP(answer, r)
		if answer.Code != c.status {
			t.Errorf("%s: %d", name, answer.Code)
		}
	}
	if a := p.get("/portal"); a.status != http.StatusOK {
		t.Errorf("where nothing changed: %d", a.status)
	}
}

func TestSignOut(t *testing.T) {
	w, provider := organisation(t, staff("Owner"))
	colleague := w.stranger()
	colleague.goOn(provider, signInPath+"/provider")
	p := w.stranger()
	p.goOn(provider, signInPath+"/provider")
	if a := p.get("/portal/sign-out"); a.status != http.StatusMethodNotAllowed || p.get("/portal").status != http.StatusOK {
		t.Errorf("a link signs out: %d", a.status)
	}
	secret := p.sessionSecret()
	a := p.post("/portal/sign-out")
	if a.status != http.StatusSeeOther || a.header.Get("Location") != signInPath || a.header.Get("Clear-Site-Data") == "" || p.sessionSecret() != "" {
		t.Errorf("%d %v", a.status, a.header)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+"/portal", nil)
	w.must(err)
	r.AddCookie(&http.Cookie{Name: sessionCookie, Value: secret})
	if a := w.stranger().do(r); a.status != http.StatusUnauthorized {
		t.Errorf("the secret is good for something still: %d", a.status)
	}
	if a := colleague.get("/portal"); a.status != http.StatusOK {
		t.Errorf("the other session has ended too: %d", a.status)
	}
}

// Of a person who signed in at the provider as of others: what does not come
// from this very host changes nothing, and neither does a second cookie.
func TestSiblingsAreRefused(t *testing.T) {
	w, provider := organisation(t, staff("Owner"))
	p := w.stranger()
	p.goOn(provider, signInPath+"/provider")
	ask := func(method, path string, header http.Header) answer {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, w.server.URL+path, strings.NewReader("subscription="+testSubscription+"&name=stolen&location=local"))
		w.must(err)
		r.Header = header
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return p.do(r)
	}
	for name, header := range map[string]http.Header{
		"a sibling":           {"Sec-Fetch-Site": {"same-site"}, "Origin": {"https://other.example.org"}},
		"a sibling that lies": {"Origin": {strings.Replace(w.server.URL, "https://", "http://other.", 1)}},
		"another port":        {"Origin": {"https://127.0.0.1:1"}},
	} {
		if a := ask("POST", "/portal/groups/new", header); a.status != http.StatusForbidden || !strings.Contains(a.text(), "did not come from the portal") {
			t.Errorf("%s: %d %s", name, a.status, a.text())
		}
	}
	if a := ask("GET", "/portal", http.Header{"Cookie": {sessionCookie + "=planted"}}); a.status != http.StatusUnauthorized {
		t.Errorf("with two cookies: %d", a.status)
	}
	groups, err := w.dir.Groups(t.Context(), w.admin, testSubscription, directory.Page{})
	w.must(err)
	if len(groups.Items) != 1 {
		t.Errorf("the groups are %+v", groups.Items)
	}
}

func TestUnknownMethods(t *testing.T) {
	w := newWorld(t)
	p := w.signIn(w.admin)
	for _, c := range []struct{ method, path, allow string }{
		{"DELETE", "/portal", "GET, HEAD"},
		{"PUT", "/portal/applications", "GET, HEAD"},
		{"POST", "/portal/applications", "GET, HEAD"},
		{"PATCH", "/portal/applications/new", "GET, HEAD, POST"},
		{"GET", "/portal/sign-out", "POST"},
		{"HEAD", "/portal/settings/policy", "POST"},
		{"OPTIONS", assets["portal.css"].url, "GET, HEAD"},
		{"BREW", "/portal/settings", "GET, HEAD"},
		{"POST", "/portal/nowhere", ""},
		{"BREW", "/portal/nowhere", ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, w.server.URL+c.path, nil)
		w.must(err)
		r.Header = http.Header{"Sec-Fetch-Site": {"same-origin"}, "Content-Type": {"application/x-www-form-urlencoded"}}
		want := http.StatusMethodNotAllowed
		if c.allow == "" {
			want = http.StatusNotFound
		}
		if a := p.do(r); a.status != want || a.header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %d, Allow: %q; want %d, %q", c.method, c.path, a.status, a.header.Get("Allow"), want, c.allow)
		}
	}
}
