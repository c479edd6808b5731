package directory_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
	"github.com/entente-id/entente/internal/testkit"
)

const provider = "https://sso.example entente"

// redeem opens a session of a service principal by a link.
func (w *world) redeem(c directory.Caller) directory.PortalSession {
	w.Helper()
	l, err := w.dir.MakePortalLink(w.ctx(), c, 0)
	w.ok(err)
	s, err := w.dir.RedeemPortalLink(w.ctx(), l.Token, directory.Caller{Address: "192.0.2.9", RequestID: "redeemed"})
	w.ok(err)
	return s
}

// person is somebody whom another provider knows.
func (w *world) person(name string, rolesOf ...string) directory.Caller {
	w.Helper()
	c := directory.Caller{Kind: directory.PortalCaller, TenantID: w.tenant.ID, Name: name, Provider: provider, Address: "192.0.2.7", RequestID: "opened"}
	for _, text := range rolesOf {
		role, err := directory.ParsePortalRole(text)
		w.ok(err)
		c.Roles = append(c.Roles, role)
	}
	return c
}

// open opens a session of a person.
func (w *world) open(c directory.Caller) directory.PortalSession {
	w.Helper()
	s, err := w.dir.OpenPortalSession(w.ctx(), c, provider)
	w.ok(err)
	return s
}

func (w *world) ended(why, secret string) {
	w.Helper()
	if _, err := w.dir.PortalSession(w.ctx(), secret); kindOf(err) != string(directory.Unauthenticated) {
		w.Errorf("%s: the session is judged %v", why, err)
	}
}

// unknown is the one answer about a link that does not count.
func (w *world) unknown(why, token string) {
	w.Helper()
	_, looked := w.dir.PortalLink(w.ctx(), token)
	_, redeemed := w.dir.RedeemPortalLink(w.ctx(), token, directory.Caller{})
	for _, err := range []error{looked, redeemed} {
		if e := w.kind(err, directory.NotFound); e.ID != "" || e.Detail != "" || e.Object != directory.PortalLinkObject {
			w.Errorf("%s: got %+v", why, e)
		}
	}
}

func TestPortalLink(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("operator")
		made, err := w.dir.MakePortalLink(w.ctx(), c.Caller, 0)
		w.ok(err)
		if bits, err := base64.RawURLEncoding.DecodeString(made.Token); err != nil || len(bits) != 32 {
			w.Errorf("the token %q has %d bytes (%v)", made.Token, len(bits), err)
		}
		want := directory.PortalLink{TenantID: w.tenant.ID, PrincipalID: c.PrincipalID, AppID: c.AppID, Name: "operator", ExpiresAt: start.Add(10 * time.Minute)}
		for range 3 { // a look uses nothing up
			looked, err := w.dir.PortalLink(w.ctx(), made.Token)
			w.ok(err)
			if d := cmp.Diff(want, looked, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".id" }, cmp.Ignore())); d != "" {
				w.Error(d)
			}
		}
		w.clock.Advance(10*time.Minute - time.Millisecond)
		s, err := w.dir.RedeemPortalLink(w.ctx(), made.Token, directory.Caller{Address: "192.0.2.9", PrincipalID: w.admin.PrincipalID, TenantID: "x"})
		w.ok(err)
		caller := directory.Caller{Kind: directory.PortalCaller, TenantID: w.tenant.ID, PrincipalID: c.PrincipalID, AppID: c.AppID, Name: "operator"}
		if d := cmp.Diff(caller, s.Caller); d != "" || s.Provider != "" || s.Address != "192.0.2.9" || s.Secret == made.Token {
			w.Errorf("the session is %+v\n%s", s, d)
		}
		w.unknown("used up", made.Token)

		late, err := w.dir.MakePortalLink(w.ctx(), c.Caller, time.Second)
		w.ok(err)
		w.clock.Advance(time.Second)
		w.unknown("expired", late.Token)
		for _, token := range []string{"", "x", "\x00", "\xff", made.Token + "=", strings.ToUpper(made.Token), strings.Repeat("x", 1<<20), digest(made.Token), digest(late.Token)} {
			w.unknown("never made", token)
		}
	})
}

func digest(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func TestPortalLinksThatAreRefused(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("operator")
		for _, lifetime := range []time.Duration{-1, 1, time.Second - 1, 10*time.Minute + 1, 1 << 62} {
			if _, err := w.dir.MakePortalLink(w.ctx(), c.Caller, lifetime); kindOf(err) != string(directory.Invalid) {
				w.Errorf("for %s: got %v", lifetime, err)
			}
		}
		// Who sits in the portal makes no link for later, and the service is nobody.
		for name, caller := range map[string]directory.Caller{"by a link": w.redeem(c.Caller).Caller, "by a provider": w.person("somebody", "Owner", "Federation Administrator"), "the service": w.system} {
			if _, err := w.dir.MakePortalLink(w.ctx(), caller, 0); kindOf(err) != string(directory.Forbidden) {
				w.Errorf("%s: got %v", name, err)
			}
		}
		for range 10 {
			_, err := w.dir.MakePortalLink(w.ctx(), c.Caller, time.Minute)
			w.ok(err)
		}
		_, err := w.dir.MakePortalLink(w.ctx(), c.Caller, time.Minute)
		if e := w.kind(err, directory.LimitReached); e.Limit != 10 {
			w.Errorf("got %+v", e)
		}
		_, err = w.dir.MakePortalLink(w.ctx(), w.admin, time.Minute) // has a number of its own
		w.ok(err)
		w.clock.Advance(time.Minute)
		_, err = w.dir.MakePortalLink(w.ctx(), c.Caller, time.Minute)
		w.ok(err)
	})
}

// Of those who use one link at once exactly one gets in.
func TestPortalLinkOpensOnce(t *testing.T) {
	each(t, func(w *world) {
		for range 5 {
			l, err := w.dir.MakePortalLink(w.ctx(), w.admin, 0)
			w.ok(err)
			var all sync.WaitGroup
			errs := make([]error, 8)
			for i := range errs {
				all.Go(func() { _, errs[i] = w.dir.RedeemPortalLink(w.ctx(), l.Token, directory.Caller{}) })
			}
			all.Wait()
			in := 0
			for _, err := range errs {
				switch kindOf(err) {
				case "ok":
					in++
				case string(directory.NotFound):
				default:
					w.Errorf("got %v", err)
				}
			}
			if in != 1 {
				w.Errorf("%d of %d got in", in, len(errs))
			}
		}
		if n := w.rows("portal_sessions", "1 = 1"); n != 5 {
			w.Errorf("%d sessions", n)
		}
	})
}

// Two who have both seen the link, of whom one waits for the other's row.
func TestPortalLinkWaitsForItsFirstUse(t *testing.T) {
	w := newWorld(t, testkit.PostgreSQL(t))
	l, err := w.dir.MakePortalLink(w.ctx(), w.admin, 0)
	w.ok(err)
	release := w.held(`UPDATE portal_links SET expires_at = expires_at`)
	kinds := make([]string, 2)
	var done []chan struct{}
	for i := range kinds {
		done = append(done, w.background(func() error {
			_, err := w.dir.RedeemPortalLink(w.ctx(), l.Token, directory.Caller{})
			kinds[i] = kindOf(err)
			return nil
		}))
	}
	w.waiting(2, nil)
	release()
	for _, d := range done {
		<-d
	}
	slices.Sort(kinds)
	if !slices.Equal(kinds, []string{string(directory.NotFound), "ok"}) {
		w.Errorf("got %q", kinds)
	}
}

// As many as are allowed, also of those that are made at once.
func TestPortalLinksAreCounted(t *testing.T) {
	each(t, func(w *world) {
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, err := w.dir.MakePortalLink(w.ctx(), w.admin, 0); err != nil && kindOf(err) != string(directory.LimitReached) {
					w.Error(err)
				}
			})
		}
		all.Wait()
		if n := w.rows("portal_links", "1 = 1"); n != 10 {
			w.Errorf("%d links", n)
		}
	})
}

func TestPortalSessionEnds(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("operator")
		for name, open := range map[string]func() directory.PortalSession{
			"link":     func() directory.PortalSession { return w.redeem(c.Caller) },
			"provider": func() directory.PortalSession { return w.open(w.person("somebody", "Reader")) },
		} {
			w.run(name, func(w *world) {
				s := open()
				began := w.clock.Now()
				if !s.ExpiresAt.Equal(began.Add(8*time.Hour)) || !s.SeenAt.Equal(began) || !s.CreatedAt.Equal(began) {
					w.Errorf("opened at %s: %+v", began, s)
				}
				idle := open()
				w.clock.Set(began.Add(time.Hour - time.Millisecond))
				_, err := w.dir.PortalSession(w.ctx(), s.Secret)
				w.ok(err)
				w.clock.Set(began.Add(time.Hour))
				w.ended("not used for an hour", idle.Secret)

				// One that is used stays, until the day is over.
				for at := began.Add(time.Hour + 30*time.Minute); at.Before(began.Add(8 * time.Hour)); at = at.Add(30 * time.Minute) {
					w.clock.Set(at)
					got, err := w.dir.PortalSession(w.ctx(), s.Secret)
					w.ok(err)
					if !got.SeenAt.Equal(at) {
						w.Errorf("used at %s, and noted %s", at, got.SeenAt)
					}
				}
				w.clock.Set(began.Add(8*time.Hour - time.Millisecond))
				_, err = w.dir.PortalSession(w.ctx(), s.Secret)
				w.ok(err)
				w.clock.Set(began.Add(8 * time.Hour))
				w.ended("8 hours old", s.Secret)
			})
		}
		for _, secret := range []string{"", "x", "\x00", "\xff"} {
			w.ended("never opened", secret)
		}
	})
}

// The use is noted once a minute, and without an event.
func TestPortalSessionIsSeen(t *testing.T) {
	each(t, func(w *world) {
		s := w.open(w.person("somebody", "Reader@/subscriptions/"+w.subscription, "Application.Read.All"))
		before := w.events()
		for _, x := range []struct{ after, noted time.Duration }{{time.Second, 0}, {59 * time.Second, 0}, {time.Minute, time.Minute}, {119 * time.Second, time.Minute}, {2 * time.Minute, 2 * time.Minute}} {
			w.clock.Set(start.Add(x.after))
			got, err := w.dir.PortalSession(w.ctx(), s.Secret)
			w.ok(err)
			want := s
			want.Secret, want.SeenAt = "", start.Add(x.noted)
			if d := cmp.Diff(want, got); d != "" {
				w.Errorf("after %s:\n%s", x.after, d)
			}
		}
		if after := w.events(); after != before {
			w.Errorf("looking made %d events", after-before)
		}
	})
}

// A principal that is disabled or deleted has nothing open any more, and has
// not when it comes back either.
func TestPortalEndsWithItsPrincipal(t *testing.T) {
	each(t, func(w *world) {
		disable := func(enabled bool) func(client) error {
			return func(c client) error {
				return w.dir.UpdateServicePrincipal(w.ctx(), w.admin, c.principalRef(), directory.PrincipalEdit{Enabled: ptr(enabled)})
			}
		}
		for _, x := range []struct {
			name      string
			end, back func(client) error
		}{
			{"disabled", disable(false), disable(true)},
			{"deleted", func(c client) error { return w.dir.DeleteServicePrincipal(w.ctx(), w.admin, c.principalRef()) }, func(c client) error {
				_, err := w.dir.RestoreServicePrincipal(w.ctx(), w.admin, c.principal.ID)
				return err
			}},
			{"deleted with its application", func(c client) error { return w.dir.DeleteApplication(w.ctx(), w.admin, c.ref()) }, func(c client) error {
				_, err := w.dir.RestoreApplication(w.ctx(), w.admin, c.app.ID)
				return err
			}},
		} {
			c := w.client("operator, " + x.name)
			s := w.redeem(c.Caller)
			l, err := w.dir.MakePortalLink(w.ctx(), c.Caller, 0)
			w.ok(err)
			w.ok(x.end(c))
			w.ended(x.name, s.Secret)
			w.unknown(x.name, l.Token)
			if _, err := w.dir.Tenants(w.ctx(), s.Caller); kindOf(err) != string(directory.Unauthenticated) {
				w.Errorf("%s: the caller of the session reads: %v", x.name, err)
			}
			if _, err := w.dir.MakePortalLink(w.ctx(), c.Caller, 0); kindOf(err) != string(directory.Unauthenticated) {
				w.Errorf("%s: makes a link: %v", x.name, err)
			}
			w.ok(x.back(c))
			w.ended(x.name+" and back", s.Secret)
			w.unknown(x.name+" and back", l.Token)
			w.redeem(c.Caller)
		}
		w.group("g")
		m := w.identity("g", "machine")
		s := w.redeem(directory.Caller{Kind: directory.PrincipalCaller, TenantID: w.tenant.ID, PrincipalID: m.PrincipalID, AppID: m.ClientID})
		w.ok(w.dir.DeleteIdentity(w.ctx(), w.admin, m.IdentityRef))
		w.ended("a managed identity that is deleted", s.Secret)
		if n := w.rows("portal_sessions", "id = $1", s.ID); n != 0 {
			w.Error("the session of a managed identity that is gone is kept")
		}
	})
}

// The rights of a session by a link are those of its principal at that moment.
func TestPortalRightsByALink(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("operator")
		s := w.redeem(c.Caller)
		s.Caller.Roles = []directory.PortalRole{{Name: "Owner"}, {Name: "Application.Read.All"}} // mean nothing
		_, err := w.dir.Applications(w.ctx(), s.Caller, directory.Filter{}, directory.Page{})
		w.kind(err, directory.Forbidden)
		g := w.grant(c.PrincipalID, "Application.Read.All")
		_, err = w.dir.Applications(w.ctx(), s.Caller, directory.Filter{}, directory.Page{})
		w.ok(err)
		w.ok(w.dir.RemoveGrant(w.ctx(), w.admin, c.PrincipalID, g.ID))
		_, err = w.dir.Applications(w.ctx(), s.Caller, directory.Filter{}, directory.Page{})
		w.kind(err, directory.Forbidden)
	})
}

func TestPortalSessionsAreOnesOwn(t *testing.T) {
	each(t, func(w *world) {
		a, b := w.client("a"), w.client("b")
		sessions := map[string]directory.PortalSession{}
		for _, x := range []struct {
			name string
			open func() directory.PortalSession
		}{
			{"a1", func() directory.PortalSession { return w.redeem(a.Caller) }}, {"a2", func() directory.PortalSession { return w.redeem(a.Caller) }},
			{"b1", func() directory.PortalSession { return w.redeem(b.Caller) }},
			{"p1", func() directory.PortalSession { return w.open(w.person("p", "Owner")) }}, {"p2", func() directory.PortalSession { return w.open(w.person("p", "Reader")) }},
			{"q1", func() directory.PortalSession { return w.open(w.person("q", "Owner")) }},
			{"elsewhere", func() directory.PortalSession {
				s, err := w.dir.OpenPortalSession(w.ctx(), w.person("p", "Owner"), "another provider")
				w.ok(err)
				return s
			}},
			{"boss", func() directory.PortalSession { return w.open(w.person("boss", "Federation Administrator")) }},
		} {
			w.clock.Advance(time.Second)
			sessions[x.name] = x.open()
		}
		name := func(s directory.PortalSession) string {
			for name, other := range sessions {
				if other.ID == s.ID {
					if s.Secret != "" || !cmp.Equal(other.Caller, s.Caller) {
						w.Errorf("%s is listed as %+v", name, s)
					}
					return name
				}
			}
			return s.ID
		}
		const all = "boss elsewhere q1 p2 p1 b1 a2 a1"
		for _, x := range []struct {
			who  string
			c    directory.Caller
			want string
		}{
			{"a", a.Caller, "a2 a1"}, {"a in the portal", sessions["a1"].Caller, "a2 a1"}, {"b", sessions["b1"].Caller, "b1"},
			{"p", sessions["p1"].Caller, "p2 p1"}, {"q", sessions["q1"].Caller, "q1"}, {"p of another provider", sessions["elsewhere"].Caller, "elsewhere"},
			{"the administrator", w.admin, all}, {"one by a provider", sessions["boss"].Caller, all},
			{"nobody's namesake", w.person("a", "Owner"), ""},
		} {
			list, err := w.dir.PortalSessions(w.ctx(), x.c)
			w.ok(err)
			if got := names(list, name); got != x.want {
				w.Errorf("%s sees %q, want %q", x.who, got, x.want)
			}
			for other, s := range sessions {
				if slices.Contains(strings.Fields(x.want), other) {
					continue
				}
				if err := w.dir.EndPortalSession(w.ctx(), x.c, s.ID); kindOf(err) != string(directory.NotFound) {
					w.Errorf("%s ends %s: %v", x.who, other, err)
				}
			}
		}
		w.ok(w.dir.EndPortalSession(w.ctx(), sessions["a1"].Caller, strings.ToUpper(sessions["a1"].ID)))
		w.ok(w.dir.EndPortalSession(w.ctx(), sessions["p1"].Caller, sessions["p2"].ID))
		w.ok(w.dir.EndPortalSession(w.ctx(), w.admin, sessions["q1"].ID))
		w.ok(w.dir.EndPortalSession(w.ctx(), sessions["boss"].Caller, sessions["b1"].ID))
		for _, name := range []string{"a1", "p2", "q1", "b1"} {
			w.ended(name, sessions[name].Secret)
		}
		for _, id := range []string{sessions["a1"].ID, "", "x", "\x00"} {
			w.kind(w.dir.EndPortalSession(w.ctx(), w.admin, id), directory.NotFound)
		}
		list, err := w.dir.PortalSessions(w.ctx(), w.admin)
		w.ok(err)
		if got := names(list, name); got != "boss elsewhere p1 a2" {
			w.Errorf("there are %q left", got)
		}
	})
}

// What is made, used and ended is recorded with who did it, and nothing of it is a secret.
func TestPortalIsRecorded(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("operator")
		made, err := w.dir.MakePortalLink(w.ctx(), c.Caller, 0)
		w.ok(err)
		s, err := w.dir.RedeemPortalLink(w.ctx(), made.Token, directory.Caller{Address: "192.0.2.9", RequestID: "redeemed"})
		w.ok(err)
		person := w.open(w.person("Somebody Else", "Reader", "application.read.all"))
		by := s.Caller
		by.Address, by.RequestID = "192.0.2.10", "ended"
		w.ok(w.dir.EndPortalSession(w.ctx(), by, s.ID))
		w.ok(w.dir.EndPortalSession(w.ctx(), w.admin, person.ID))

		events := w.lastEvents(5)
		type said struct{ Kind, Actor, ActorID, Action, Object, ID, Name, Address, Request string }
		want := []said{
			{"principal", "", c.PrincipalID, "portalLinks/write", "portal link", events[0].TargetID, "operator", "", ""},
			{"portal", "operator", c.PrincipalID, "portalSessions/write", "portal session", s.ID, "operator", "192.0.2.9", "redeemed"},
			{"portal", "Somebody Else", "", "portalSessions/write", "portal session", person.ID, "Somebody Else", "192.0.2.7", "opened"},
			{"portal", "operator", c.PrincipalID, "portalSessions/delete", "portal session", s.ID, "operator", "192.0.2.10", "ended"},
			{"principal", "", w.admin.PrincipalID, "portalSessions/delete", "portal session", person.ID, "Somebody Else", "", ""},
		}
		var got []said
		for _, e := range events {
			got = append(got, said{string(e.ActorKind), e.ActorName, e.ActorID, strings.TrimPrefix(e.Action, "Entente.Federation/"), string(e.Object), e.TargetID, e.TargetName, e.Address, e.RequestID})
		}
		if d := cmp.Diff(want, got); d != "" {
			w.Error(d)
		}
		if link := events[1].Detail["link"]; link == "" || link != events[0].TargetID {
			w.Errorf("the session is of the link %q, made as %q", link, events[0].TargetID)
		}
		if d := cmp.Diff(map[string]string{"provider": provider, "roles": "Reader, Application.Read.All"}, events[2].Detail); d != "" {
			w.Error(d)
		}
	})
}

// lastEvents are the latest events, oldest first.
func (w *world) lastEvents(n int) []directory.Event {
	w.Helper()
	var events []directory.Event
	rows, err := w.db.Read().QueryContext(w.ctx(), `SELECT actor_kind, actor_name, actor_id, action, target_kind, target_id, target_name, detail, address, request_id FROM audit_events ORDER BY at DESC, id DESC LIMIT $1`, n)
	w.ok(err)
	defer rows.Close()
	for rows.Next() {
		var e directory.Event
		var detail string
		w.ok(rows.Scan(&e.ActorKind, &e.ActorName, &e.ActorID, &e.Action, &e.Object, &e.TargetID, &e.TargetName, &detail, &e.Address, &e.RequestID))
		w.ok(json.Unmarshal([]byte(detail), &e.Detail))
		events = append(events, e)
	}
	w.ok(rows.Err())
	slices.Reverse(events)
	return events
}

func (w *world) rename(from, to string) {
	w.Helper()
	w.ok(w.db.Update(w.ctx(), func(tx *sql.Tx) error {
		_, err := tx.Exec(`ALTER TABLE ` + from + ` RENAME TO ` + to)
		return err
	}))
}

// The database holds nothing that opens the portal.
func TestPortalSecretsAreDigests(t *testing.T) {
	each(t, func(w *world) {
		l, err := w.dir.MakePortalLink(w.ctx(), w.admin, 0)
		w.ok(err)
		s := w.redeem(w.admin)
		p := w.open(w.person("somebody", "Reader"))
		var all strings.Builder
		for _, table := range []string{"portal_links", "portal_sessions", "audit_events"} {
			rows, err := w.db.Read().QueryContext(w.ctx(), `SELECT * FROM `+table)
			w.ok(err)
			defer rows.Close()
			columns, err := rows.Columns()
			w.ok(err)
			for rows.Next() {
				values := make([]any, len(columns))
				for i := range values {
					values[i] = new(any)
				}
				w.ok(rows.Scan(values...))
				for _, v := range values {
					fmt.Fprintf(&all, "%s ", *v.(*any))
				}
			}
			w.ok(rows.Err())
		}
		for _, secret := range []string{l.Token, s.Secret, p.Secret} {
			if strings.Contains(all.String(), secret) || strings.Count(all.String(), digest(secret)) != 1 {
				w.Errorf("%q or its digest stands in\n%s", secret, &all)
			}
		}
	})
}

func TestPurgeOfThePortal(t *testing.T) {
	each(t, func(w *world) {
		_, err := w.dir.MakePortalLink(w.ctx(), w.admin, time.Minute)
		w.ok(err)
		_, err = w.dir.MakePortalLink(w.ctx(), w.admin, 0)
		w.ok(err)
		used, idle := w.open(w.person("used", "Reader")), w.open(w.person("idle", "Reader"))
		expect := func(links, sessions int) {
			w.Helper()
			before := w.events()
			w.ok(w.dir.Purge(w.ctx()))
			if l, s := w.rows("portal_links", "1 = 1"), w.rows("portal_sessions", "1 = 1"); l != links || s != sessions {
				w.Errorf("at %s there are %d links and %d sessions, want %d and %d", w.clock.Now(), l, s, links, sessions)
			}
			if after := w.events(); after != before {
				w.Errorf("the purge made %d events", after-before)
			}
		}
		expect(2, 2)
		w.clock.Set(start.Add(time.Minute))
		expect(1, 2)
		w.clock.Set(start.Add(10 * time.Minute))
		expect(0, 2)
		for at := 30 * time.Minute; at < 8*time.Hour; at += 30 * time.Minute {
			w.clock.Set(start.Add(at))
			_, err := w.dir.PortalSession(w.ctx(), used.Secret)
			w.ok(err)
		}
		expect(0, 1)
		w.ended("idle", idle.Secret)
		w.clock.Set(start.Add(8 * time.Hour))
		expect(0, 0)
	})
}

func TestPortalSessionsThatAreRefused(t *testing.T) {
	each(t, func(w *world) {
		_, other := w.otherTenant()
		c := w.client("operator")
		w.possess()
		for _, x := range []struct {
			name     string
			c        directory.Caller
			provider string
			want     directory.Kind
		}{
			{"no role", w.person("p"), provider, directory.Forbidden},
			{"a principal", w.admin, provider, directory.Forbidden},
			{"a principal with roles", with(w.admin, "Owner"), provider, directory.Forbidden},
			{"in the portal by a link", with(w.redeem(c.Caller).Caller, "Owner"), provider, directory.Forbidden},
			{"the service", with(w.system, "Owner"), provider, directory.Forbidden},
			{"an unknown role", with(w.person("p"), "God"), provider, directory.Invalid},
			{"a scope that is none", directory.Caller{Kind: directory.PortalCaller, TenantID: w.tenant.ID, Name: "p", Roles: []directory.PortalRole{{Name: "Owner", Scope: "/a/../b"}}}, provider, directory.Invalid},
			{"what is owned", with(w.person("p"), "Application.ReadWrite.OwnedBy"), provider, directory.Invalid},
			{"too many roles", with(w.person("p"), slices.Repeat([]string{"Reader"}, 101)...), provider, directory.Invalid},
			{"no provider", w.person("p", "Owner"), "", directory.Invalid},
			{"a provider with NUL", w.person("p", "Owner"), "\x00", directory.Invalid},
			{"no name", w.person("", "Owner"), provider, directory.Invalid},
			{"a name with NUL", w.person("\x00", "Owner"), provider, directory.Invalid},
			{"a long name", w.person(strings.Repeat("n", 257), "Owner"), provider, directory.Invalid},
			{"no tenant", directory.Caller{Kind: directory.PortalCaller, Name: "p", Roles: []directory.PortalRole{{Name: "Owner"}}}, provider, directory.NotFound},
			{"a tenant's domain", directory.Caller{Kind: directory.PortalCaller, TenantID: w.tenant.Domain, Name: "p", Roles: []directory.PortalRole{{Name: "Owner"}}}, provider, directory.NotFound},
			{"a tenant with NUL", directory.Caller{Kind: directory.PortalCaller, TenantID: "\x00", Name: "p", Roles: []directory.PortalRole{{Name: "Owner"}}}, provider, directory.NotFound},
		} {
			before := w.state()
			if _, err := w.dir.OpenPortalSession(w.ctx(), x.c, x.provider); kindOf(err) != string(x.want) {
				w.Errorf("%s: got %v, want %s", x.name, err, x.want)
			}
			if after := w.state(); after != before {
				w.Errorf("%s left something", x.name)
			}
		}
		// Nobody of another tenant gets anything by a session of this one.
		s := w.open(w.person("p", "Owner", "Federation Administrator", "Directory.ReadWrite.All"))
		_, err := w.dir.ServicePrincipal(w.ctx(), s.Caller, directory.Ref{ID: other.PrincipalID})
		w.kind(err, directory.NotFound)
	})
}

func with(c directory.Caller, list ...string) directory.Caller {
	for _, name := range list {
		c.Roles = append(c.Roles, directory.PortalRole{Name: name})
	}
	return c
}

// Where nothing can be recorded, nobody gets in, and the link is not used up.
func TestPortalWithoutARecord(t *testing.T) {
	each(t, func(w *world) {
		l, err := w.dir.MakePortalLink(w.ctx(), w.admin, 0)
		w.ok(err)
		w.rename("audit_events", "away")
		_, err = w.dir.RedeemPortalLink(w.ctx(), l.Token, directory.Caller{})
		if err == nil {
			w.Error("a link opens without a record")
		}
		if _, err := w.dir.OpenPortalSession(w.ctx(), w.person("p", "Owner"), provider); err == nil {
			w.Error("a session opens without a record")
		}
		if _, err := w.dir.MakePortalLink(w.ctx(), w.admin, 0); err == nil {
			w.Error("a link is made without a record")
		}
		w.rename("away", "audit_events")
		if n := w.rows("portal_sessions", "1 = 1"); n != 0 {
			w.Errorf("%d sessions", n)
		}
		_, err = w.dir.RedeemPortalLink(w.ctx(), l.Token, directory.Caller{})
		w.ok(err)
	})
}

// A session is known while the context of a request lasts, and its errors are the request's.
func TestPortalSessionOfARequestThatEnded(t *testing.T) {
	each(t, func(w *world) {
		s := w.redeem(w.admin)
		ctx, cancel := context.WithCancel(w.ctx())
		cancel()
		if _, err := w.dir.PortalSession(ctx, s.Secret); !errors.Is(err, context.Canceled) {
			w.Errorf("got %v", err)
		}
	})
}

// A person may do what its roles say, where they say it, and owns nothing.
func TestPortalPersonsRights(t *testing.T) {
	each(t, func(w *world) {
		p := w.possess()
		w.group("other")
		elsewhere := w.identity("other", "elsewhere")
		sub := "/subscriptions/" + w.subscription
		group := func(c directory.Caller) error { return none(w.dir.Group(w.ctx(), c, w.subscription, "group")) }
		write := func(c directory.Caller) error {
			_, _, err := w.dir.PutCredential(w.ctx(), c, parentIdentity(p.identity), spec("credential"))
			return err
		}
		writeElsewhere := func(c directory.Caller) error {
			_, _, err := w.dir.PutCredential(w.ctx(), c, parentIdentity(elsewhere), spec("credential"))
			return err
		}
		read := func(c directory.Caller) error { return none(w.dir.Application(w.ctx(), c, p.client.ref())) }
		change := func(c directory.Caller) error {
			return none(w.dir.UpdateApplication(w.ctx(), c, p.client.ref(), func(*directory.Application) error { return nil }))
		}
		events := func(c directory.Caller) error {
			return w.dir.Permit(w.ctx(), c, "Entente.Federation/auditEvents/read", "/")
		}
		policy := func(c directory.Caller) error {
			return none(w.dir.SetPolicy(w.ctx(), c, directory.PolicyEdit{MaxCredentials: ptr(25)}))
		}
		all := []struct {
			name string
			do   func(directory.Caller) error
		}{{"group", group}, {"write", write}, {"elsewhere", writeElsewhere}, {"read", read}, {"change", change}, {"events", events}, {"policy", policy}}
		for _, x := range []struct{ roles, may string }{
			{"Reader", "group"},
			{"Reader@" + sub, "group"},
			{"reader@" + strings.ToUpper(sub) + "/RESOURCEGROUPS/GROUP/", "group"},
			{"Contributor@" + sub + "/resourceGroups/group", "group write"},
			{"Contributor@" + sub + "/resourceGroups/grou", ""},
			{"Owner", "group write elsewhere"},
			{"Application.Read.All", "read"},
			{"Application.ReadWrite.All", "read change"},
			{"Federation Reader", "events"},
			{"Federation Administrator", "events policy"},
			{"Federation Administrator@/providers/Entente.Federation/issuers/prod", ""},
			{"AppRoleAssignment.ReadWrite.All", ""},
			{"Owner|Federation Administrator|Application.ReadWrite.All", "group write elsewhere read change events policy"},
		} {
			c := w.open(w.person("p", strings.Split(x.roles, "|")...)).Caller
			var may []string
			for _, a := range all {
				switch err := a.do(c); kindOf(err) {
				case "ok":
					may = append(may, a.name)
				case string(directory.Forbidden), string(directory.NotFound): // of a subscription that it has nothing to do with
				default:
					w.Errorf("%s, %s: %v", x.roles, a.name, err)
				}
			}
			if got := strings.Join(may, " "); got != x.may {
				w.Errorf("%s may %q, want %q", x.roles, got, x.may)
			}
		}

		// What it makes has no owner.
		c := w.open(w.person("p", "Application.ReadWrite.All", "Owner")).Caller
		app, err := w.dir.CreateApplication(w.ctx(), c, directory.Application{DisplayName: "made"})
		w.ok(err)
		_, err = w.dir.CreateServicePrincipal(w.ctx(), c, directory.NewPrincipal{AppID: app.AppID})
		w.ok(err)
		owners, err := w.dir.Owners(w.ctx(), c, directory.Ref{ID: app.ID})
		w.ok(err)
		if len(owners) != 0 || w.rows("owners", "principal_id = ''") != 0 {
			w.Errorf("it is owned by %+v", owners)
		}
		assigned, err := w.dir.AddRoleAssignment(w.ctx(), c, directory.RoleAssignment{Name: app.ID, Scope: "/", DefinitionID: roles.Reader, PrincipalID: p.client.PrincipalID})
		w.ok(err)
		if assigned.CreatedBy != "" {
			w.Errorf("it was assigned by %q", assigned.CreatedBy)
		}
	})
}

// TestPortalEscalation tries to come by more than administrators give, as
// somebody with everything else, and by Roles that are not a person's own.
func TestPortalEscalation(t *testing.T) {
	each(t, func(w *world) {
		p := w.possess()
		c := w.client("operator", "Application.ReadWrite.All")
		everything := []string{"Owner", "User Access Administrator", "Application.ReadWrite.All", "Directory.ReadWrite.All", "AppRoleAssignment.ReadWrite.All", "Federation Reader",
			"Federation Administrator@/providers/Entente.Federation/issuers/mine"}
		person := w.open(w.person("p", everything...)).Caller
		founder := directory.Ref{AppID: w.founded.AdministratorClientID}
		for name, do := range map[string]func(directory.Caller) error{
			"an issuer's keys": func(c directory.Caller) error {
				_, _, err := w.dir.PutIssuer(w.ctx(), c, directory.Issuer{Name: "issuer", URL: p.issuer.URL, KeySource: directory.UploadedKeys, KeySet: keySet})
				return err
			},
			"the policy": func(c directory.Caller) error {
				return none(w.dir.SetPolicy(w.ctx(), c, directory.PolicyEdit{MaxCredentials: ptr(30)}))
			},
			"a tenant": func(c directory.Caller) error {
				return none(w.dir.CreateTenant(w.ctx(), c, directory.NewTenant{}))
			},
			"a secret of the founder": func(c directory.Caller) error {
				_, _, err := w.dir.AddSecret(w.ctx(), c, founder, directory.NewSecret{})
				return err
			},
			"a credential of the founder": func(c directory.Caller) error {
				return none(w.dir.AddCredential(w.ctx(), c, directory.Parent{Application: &founder}, spec("mine")))
			},
			"the founder, disabled": func(c directory.Caller) error {
				return w.dir.UpdateServicePrincipal(w.ctx(), c, founder, directory.PrincipalEdit{Enabled: ptr(false)})
			},
			"an administrator's role": func(c directory.Caller) error {
				return none(w.dir.AddRoleAssignment(w.ctx(), c, directory.RoleAssignment{Name: p.client.app.ID, Scope: "/", DefinitionID: roles.FederationAdministrator, PrincipalID: p.client.PrincipalID}))
			},
			"a permission of the founder": func(c directory.Caller) error {
				return none(w.dir.AddGrant(w.ctx(), c, directory.Grant{PrincipalID: w.founded.AdministratorPrincipalID, ResourceID: p.grant.ResourceID, AppRoleID: permissionID("Directory.ReadWrite.All")}))
			},
			"a link": func(c directory.Caller) error { return none(w.dir.MakePortalLink(w.ctx(), c, 0)) },
		} {
			before := w.state()
			if err := do(person); kindOf(err) != string(directory.Forbidden) {
				w.Errorf("%s by a person: %v", name, err)
			}
			if after := w.state(); after != before {
				w.Errorf("%s by a person changed something:\n%s\n%s", name, before, after)
			}
		}
		may, err := w.dir.MayChangeApplication(w.ctx(), person, founder)
		if err != nil || may {
			w.Errorf("the founder is offered for a change (%v)", err)
		}

		// Roles count only of a person: they add nothing to what others may.
		administrator := []string{"Owner", "Federation Administrator", "Directory.ReadWrite.All"}
		reader := w.holder("reader", roles.Reader, "/")
		for name, caller := range map[string]directory.Caller{
			"a principal": with(c.Caller, administrator...), "by a link": with(w.redeem(c.Caller).Caller, administrator...), "a reader": with(reader.Caller, administrator...),
		} {
			r, err := w.dir.Rights(w.ctx(), caller)
			w.ok(err)
			if r.Administrator() || r.Can("Microsoft.Resources/subscriptions/resourceGroups/write", "/") || r.Has("Directory.ReadWrite.All") {
				w.Errorf("%s has the rights %+v", name, r)
			}
			if err := none(w.dir.SetPolicy(w.ctx(), caller, directory.PolicyEdit{MaxCredentials: ptr(30)})); kindOf(err) != string(directory.Forbidden) {
				w.Errorf("%s sets the policy: %v", name, err)
			}
		}
		for name, caller := range map[string]directory.Caller{
			"a principal that is none":             with(directory.Caller{Kind: directory.PrincipalCaller, TenantID: w.tenant.ID}, administrator...),
			"no kind":                              with(directory.Caller{TenantID: w.tenant.ID}, administrator...),
			"a person of a principal that is none": with(directory.Caller{Kind: directory.PortalCaller, TenantID: w.tenant.ID, PrincipalID: w.tenant.ID}, administrator...),
		} {
			if _, err := w.dir.Rights(w.ctx(), caller); kindOf(err) != string(directory.Unauthenticated) {
				w.Errorf("%s: got %v", name, err)
			}
		}

		// Owner and Contributor do not hold our own actions, for people too.
		for _, role := range []string{"Owner", "Contributor", "Reader"} {
			r, err := w.dir.Rights(w.ctx(), w.open(w.person("p", role)).Caller)
			w.ok(err)
			for _, action := range []string{"issuers/read", "issuers/write", "policies/write", "signingKeys/rotate/action", "tenants/write", "auditEvents/read", "portalSessions/delete"} {
				if r.Can("Entente.Federation/"+action, "/") {
					w.Errorf("%s holds %s", role, action)
				}
			}
		}
	})
}

// What pages offer is what the writes allow.
func TestRightsAreOffered(t *testing.T) {
	each(t, func(w *world) {
		p := w.possess()
		sub := "/subscriptions/" + w.subscription
		owner := w.client("owner", "Application.ReadWrite.OwnedBy")
		w.ok(w.dir.AddOwner(w.ctx(), w.admin, p.client.ref(), owner.PrincipalID))
		founder := directory.Ref{AppID: w.founded.AdministratorClientID}
		callers := map[string]directory.Caller{
			"administrator": w.admin, "system": w.system, "by a link": w.redeem(w.admin).Caller, "owner": owner.Caller, "owner by a link": w.redeem(owner.Caller).Caller,
			"nobody": w.client("nobody").Caller, "reader": w.client("reader", "Application.Read.All").Caller, "writer": w.client("writer", "Application.ReadWrite.All").Caller,
			"contributor": w.holder("contributor", roles.ManagedIdentityContributor, sub+"/resourceGroups/group").Caller,
		}
		for _, role := range []string{"Owner", "Reader", "Application.Read.All", "Application.ReadWrite.All", "Managed Identity Contributor@" + sub, "Federation Administrator"} {
			callers[role] = w.open(w.person("p", role)).Caller
		}
		for name, c := range callers {
			for _, ref := range []directory.Ref{p.client.ref(), founder} {
				offered, asked := w.dir.MayChangeApplication(w.ctx(), c, ref)
				_, done := w.dir.UpdateApplication(w.ctx(), c, ref, func(*directory.Application) error { return nil })
				if offered != (done == nil) {
					w.Errorf("%s is offered %v (%v) to change %s, and gets %v", name, offered, asked, ref, done)
				}
				if _, err := w.dir.Application(w.ctx(), c, ref); kindOf(err) != kindOf(asked) {
					w.Errorf("%s reads %s as %v and is told %v", name, ref, err, asked)
				}
			}
			for _, parent := range []directory.Parent{p.client.parent(), parentIdentity(p.identity), {Application: &founder}} {
				offered, asked := w.dir.MayWriteCredentials(w.ctx(), c, parent)
				_, _, done := w.dir.PutCredential(w.ctx(), c, parent, spec("credential"))
				if offered != (done == nil) {
					w.Errorf("%s is offered %v (%v) to write credentials, and gets %v", name, offered, asked, done)
				}
			}
		}
		if r := (directory.Rights{}); r.Can("Microsoft.Resources/subscriptions/read", "/") || r.Has("Application.Read.All") || r.Administrator() || r.Touches(sub) {
			w.Error("the zero rights allow something")
		}
	})
}

func TestParsePortalRole(t *testing.T) {
	sub := "/subscriptions/aaaaaaaa-0000-4000-8000-000000000001"
	for _, x := range []struct {
		text string
		want directory.PortalRole
	}{
		{"Reader", directory.PortalRole{Name: "Reader"}},
		{" federation administrator ", directory.PortalRole{Name: "Federation Administrator"}},
		{"Owner@/", directory.PortalRole{Name: "Owner"}},
		{"owner@" + sub + "/", directory.PortalRole{Name: "Owner", Scope: sub}},
		{"Reader@" + sub + "/resourceGroups/My Group", directory.PortalRole{Name: "Reader", Scope: sub + "/resourceGroups/My Group"}},
		{"application.read.ALL", directory.PortalRole{Name: "Application.Read.All"}},
		{"AppRoleAssignment.ReadWrite.All", directory.PortalRole{Name: "AppRoleAssignment.ReadWrite.All"}},
	} {
		got, err := directory.ParsePortalRole(x.text)
		if err != nil || got != x.want {
			t.Errorf("%q is read as %+v (%v)", x.text, got, err)
		}
		if again, err := directory.ParsePortalRole(got.String()); err != nil || again != got {
			t.Errorf("%q becomes %q and that %+v (%v)", x.text, got, again, err)
		}
	}
	for _, text := range []string{"", "@", "@/", "God", "Reader@", "Reader@subscriptions", "Reader@//", "Reader@/a//b", "Reader@/a/../b", "Reader@/\x00", "Reader@/" + strings.Repeat("s", 2000),
		"Application.Read.All@/", "Application.Read.All@" + sub, "Application.ReadWrite.OwnedBy", roles.Owner, "*"} {
		if got, err := directory.ParsePortalRole(text); err == nil {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
	_, err := directory.ParsePortalRole("God")
	for _, name := range []string{"God", "Owner", "Federation Reader", "Application.Read.All"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q is not in %q", name, err)
		}
	}
}
