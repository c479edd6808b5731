package portal

import (
	"net/http"
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
