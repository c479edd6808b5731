package arm

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/directory"
)

func TestPortalLink(t *testing.T) {
	w := newWorld(t)
	count := func(w *world) (n int) {
		w.must(w.db.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM portal_links`).Scan(&n))
		return n
	}
	const links = "/providers/Entente.Federation/portalLinks"
	for _, c := range []struct {
		who, body string
		lifetime  time.Duration
	}{
		{"nobody", ``, 10 * time.Minute},
		{"nobody", `{}`, 10 * time.Minute},
		{"nobody", `{"properties":null}`, 10 * time.Minute},
		{"reader", `{"properties":{"lifetimeSeconds":1}}`, time.Second},
		{"admin", `{"properties":{"lifetimeSeconds":600}}`, 10 * time.Minute},
		{"stranger", `{"properties":{"lifetimeSeconds":0}}`, 10 * time.Minute},
	} {
		request := w.request(c.who, "POST", links, c.body)
		request.Host = "evil.example"
		request.Header.Set("X-Forwarded-Host", "evil.example")
		before := time.Now()
		r := w.send(request)
		if err := compare(`{"properties":{"url":"*","expiresAt":"*"}}`, r.text); err != nil || r.status != 201 || r.header.Get("Cache-Control") != "no-store" || r.header.Get("Location") != "" {
			t.Errorf("%s %s: %d %s %v (%v)", c.who, c.body, r.status, r.text, r.header, err)
			continue
		}
		var got portalLink
		w.must(json.Unmarshal([]byte(r.text), &got))
		at, err := time.Parse(time.RFC3339, got.Properties.ExpiresAt)
		if left := at.Sub(before); err != nil || left < c.lifetime-time.Second || left > c.lifetime+time.Minute {
			t.Errorf("%s %s: expires at %s, %v after it was made", c.who, c.body, got.Properties.ExpiresAt, left)
		}
		u, err := url.Parse(got.Properties.URL)
		if err != nil || !strings.HasPrefix(got.Properties.URL, testBase+"/portal/link?token=") {
			t.Errorf("the link is %q", got.Properties.URL)
			continue
		}
		l, err := w.dir.PortalLink(t.Context(), u.Query().Get("token"))
		if who := w.principals[c.who]; c.lifetime > time.Second && (err != nil || l.PrincipalID != who.PrincipalID || l.TenantID != who.TenantID) {
			t.Errorf("the link of %s is %+v (%v)", c.who, l, err)
		}
	}
	before := count(w)
	for _, body := range []string{
		`{"properties":{"lifetimeSeconds":-1}}`, `{"properties":{"lifetimeSeconds":601}}`, `{"properties":{"lifetimeSeconds":9223372036854775807}}`, `{"properties":{"lifetimeSeconds":-9223372036854775808}}`,
		`{"properties":{"lifetimeSeconds":18446744074}}`, `{"properties":{"lifetimeSeconds":1e30}}`, `{"properties":{"lifetimeSeconds":"600"}}`, `{"properties":[]}`, `[]`, `{`,
	} {
		if r := w.do("admin", "POST", links, body); r.status != 400 {
			t.Errorf("%s: %d %s", body, r.status, r.text)
		}
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		if r := w.do("admin", method, links, ""); r.status != 405 {
			t.Errorf("%s: %d %s", method, r.status, r.text)
		}
	}
	if after := count(w); after != before {
		t.Errorf("%d links were made", after-before)
	}
}

// The token stands in the one answer, and in nothing that is logged or recorded.
func TestPortalLinkIsTold(t *testing.T) {
	var events []string
	w := newWorld(t, func(c *Config) {
		c.Note = func(_ context.Context, attrs ...slog.Attr) { events = append(events, fmt.Sprint(attrs)) }
	})
	r := w.ok("nobody", "POST", "/providers/Entente.Federation/portalLinks", "")
	var got portalLink
	w.must(json.Unmarshal([]byte(r.text), &got))
	_, token, _ := strings.Cut(got.Properties.URL, "token=")
	page, err := w.dir.Events(t.Context(), w.principals["admin"], directory.EventFilter{}, pageOf(""))
	w.must(err)
	for _, e := range page.Items {
		for key, value := range e.Detail {
			events = append(events, key, value)
		}
		events = append(events, e.TargetID, e.TargetName)
	}
	if text := strings.Join(events, " "); token == "" || strings.Contains(text, token) || !strings.Contains(text, "nobody") {
		t.Errorf("the token %q or nothing of its making stands in %s", token, text)
	}
}
