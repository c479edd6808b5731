package durability

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite" // the "sqlite" driver

	"github.com/entente-id/entente/internal/testkit"
)

// event is what matters of an audit event.
type event struct{ Action, Name, Was, Now string }

func (e event) String() string {
	return fmt.Sprintf("%s of %s: %q became %q", e.Action, e.Name, e.Was, e.Now)
}

// database is a service's file, read beside it.
type database struct{ *sql.DB }

func openDatabase(t testing.TB, s *testkit.Service) database {
	t.Helper()
	d, err := sql.Open("sqlite", "file:"+filepath.Join(s.Dir, "entente.db")+"?_pragma=query_only(1)&_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return database{d}
}

func (d database) number(t testing.TB, query string, args ...any) (n int64) {
	t.Helper()
	if err := d.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func (d database) count(t testing.TB) int {
	return int(d.number(t, `SELECT count(*) FROM audit_events`))
}

func (d database) last(t testing.TB) int64 {
	return d.number(t, `SELECT coalesce(max(rowid), 0) FROM audit_events`)
}

// sound fails the test where SQLite finds the file corrupt, or a write stands by half.
func (d database) sound(t testing.TB) {
	t.Helper()
	var said string
	if err := d.QueryRowContext(t.Context(), `PRAGMA integrity_check`).Scan(&said); err != nil || said != "ok" {
		t.Errorf("integrity_check: %q (%v)", said, err)
	}
	for what, query := range map[string]string{
		"rows without what they refer to":                      `SELECT count(*) FROM pragma_foreign_key_check`,
		"credentials without a parent":                         `SELECT count(*) FROM credentials WHERE parent_id NOT IN (SELECT id FROM applications UNION ALL SELECT id FROM managed_identities)`,
		"credentials of an issuer that is not there":           `SELECT count(*) FROM credentials c WHERE NOT EXISTS (SELECT 1 FROM issuers i WHERE i.tenant_id = c.tenant_id AND i.url = c.issuer)`,
		"managed identities without a service principal":       `SELECT count(*) FROM managed_identities WHERE id NOT IN (SELECT parent_id FROM service_principals)`,
		"service principals of an identity that is not there":  `SELECT count(*) FROM service_principals WHERE kind = 'managedIdentity' AND parent_id NOT IN (SELECT id FROM managed_identities)`,
		"service principals of an application that is no more": `SELECT count(*) FROM service_principals WHERE kind = 'application' AND parent_id <> '' AND parent_id NOT IN (SELECT id FROM applications)`,
	} {
		if n := d.number(t, query); n != 0 {
			t.Errorf("%d %s", n, what)
		}
	}
}

// since lists the audit events after a rowid, in the order of their transactions.
func (d database) since(t testing.TB, rowid int64) (events []event) {
	t.Helper()
	rows, err := d.QueryContext(t.Context(), `SELECT action, target_name, detail FROM audit_events WHERE rowid > $1 ORDER BY rowid`, rowid)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var e event
		var detail string
		if err := rows.Scan(&e.Action, &e.Name, &detail); err != nil {
			t.Fatal(err)
		}
		var d struct{ Subject, WasSubject string }
		if err := json.Unmarshal([]byte(detail), &d); err != nil {
			t.Fatal(err)
		}
		e.Was, e.Now = d.WasSubject, d.Subject
		events = append(events, e)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return events
}

// compared is what compare has found.
type compared struct {
	writes     int // that stand and were not compared before
	unanswered int // of those, how many nobody was told of
}

// compare checks that what stands is what the writers were told, within the
// bounds that are known of each: every event its write, every write its event,
// in order, and the objects as they stood after the last of them. It settles
// what it has found: that stands from now on.
func (l *load) compare(t testing.TB, s *testkit.Service, between map[*writer]bounds) (found compared) {
	t.Helper()
	d := openDatabase(t, s)
	d.sound(t)
	events := d.since(t, l.mark)
	if n := d.count(t); n != l.events+len(events) {
		t.Errorf("%d audit events, %d of them new: %d that were there are lost", n, len(events), l.events+len(events)-n)
	}
	c := s.AsAdmin(t)
	owned := 0
	for _, w := range l.writers {
		mine := slices.DeleteFunc(slices.Clone(events), func(e event) bool { return e.Name != w.name && !strings.HasPrefix(e.Name, w.name+"-") })
		owned += len(mine)
		b := between[w]
		if len(mine) < b.least {
			t.Errorf("%s: %d acknowledged writes are lost; %d of %d stand", w.name, b.least-len(mine), len(mine), b.least)
		}
		if len(mine) > b.most {
			t.Fatalf("%s: %d audit events, and it had sent %d writes", w.name, len(mine), b.most)
		}
		w.mu.Lock()
		for i, e := range mine {
			if e.String() != w.sent[i].event {
				t.Errorf("%s: audit event %d says\n%s\nwant\n%s", w.name, i, e, w.sent[i].event)
			}
		}
		want := w.after(len(mine))
		w.mu.Unlock()
		got, err := w.read(t.Context(), c)
		if err != nil {
			t.Fatalf("%s: %v", w.name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: what stands is not what was written (-want +got):\n%s", w.name, diff)
		}
		found.writes += len(mine)
		found.unanswered += max(len(mine)-b.least, 0)
		w.settle(len(mine))
	}
	if owned != len(events) {
		t.Errorf("%d audit events that no writer caused: %v", len(events)-owned, events)
	}
	l.events, l.mark = l.events+len(events), d.last(t)
	return found
}

// settle takes the first n sent writes as standing.
func (w *writer) settle(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settled = w.after(n)
	w.sent = w.sent[n:]
	w.acked = max(w.acked-n, 0)
}

// bounds are those of each writer at this moment.
func (l *load) bounds() map[*writer]bounds {
	all := map[*writer]bounds{}
	for _, w := range l.writers {
		all[w] = w.bounds()
	}
	return all
}
