package directory

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/db"
)

// Event is one management write, recorded in the write's own transaction.
type Event struct {
	ID         string
	At         time.Time
	ActorKind  CallerKind
	ActorID    string // the caller's service principal
	ActorAppID string
	ActorName  string
	Action     string // an ARM action, or a Graph operation
	Object     Object
	TargetID   string
	TargetName string
	Detail     map[string]string // what was changed; never a secret
	Address    string
	RequestID  string
}

// target is what a write is about, for its audit event. A write may go on to
// fill it in until its transaction ends.
type target struct {
	action   string
	object   Object
	id, name string
	detail   map[string]string
}

// note adds to the detail.
func (t *target) note(key, value string) {
	if t.detail == nil {
		t.detail = map[string]string{}
	}
	t.detail[key] = value
}

// act is one write under way: permit authorises it and notes the event, which
// change writes into the same transaction.
type act struct {
	context.Context
	d  *Directory
	tx *sql.Tx
	c  Caller
	at time.Time

	rights rights
	noted  []*target
}

var errNotPermitted = errors.New("a write tried to commit without being permitted and recorded")

// change runs fn as one transaction of the caller. What nothing was permitted
// for, and what cannot be recorded, is rolled back.
func (d *Directory) change(ctx context.Context, c Caller, fn func(*act) error) error {
	err := d.DB.Update(ctx, func(tx *sql.Tx) error {
		a := &act{Context: ctx, d: d, tx: tx, c: c, at: d.now().Truncate(time.Millisecond)}
		var err error
		if a.rights, err = d.rights(ctx, tx, c); err != nil {
			return err
		}
		if err := fn(a); err != nil {
			return err
		}
		if len(a.noted) == 0 {
			return errNotPermitted
		}
		for _, t := range a.noted {
			if err := a.record(t); err != nil {
				return fmt.Errorf("write the audit event: %w", err)
			}
		}
		return nil
	})
	if db.IsFull(err) {
		return &Error{Kind: Full, Err: err}
	}
	return err
}

// permit lets the write go on when the caller meets the need.
func (a *act) permit(n need, t *target) error {
	if err := a.rights.authorise(a, a.tx, n); err != nil {
		return err
	}
	t.action = n.action
	a.noted = append(a.noted, t)
	return nil
}

func (a *act) record(t *target) error {
	id, err := uuid.NewV7() // grows, so that the events of one moment keep their order (RFC 9562 §5.7)
	if err != nil {
		return err
	}
	if t.detail == nil {
		t.detail = map[string]string{}
	}
	detail, err := toJSON(t.detail)
	if err != nil {
		return err
	}
	_, err = a.tx.ExecContext(a, `INSERT INTO audit_events
		(id, tenant_id, at, actor_kind, actor_id, actor_app_id, actor_name, action, target_kind, target_id, target_name, detail, address, request_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		id.String(), a.c.TenantID, millis(a.at), string(a.c.Kind), a.c.PrincipalID, a.c.AppID, a.c.Name, t.action,
		string(t.object), t.id, t.name, detail, a.c.Address, a.c.RequestID)
	return err
}

// EventFilter narrows a list of audit events; zero members do not narrow it.
type EventFilter struct {
	Actor    string    // the id or client id of the service principal that did it, or the name of somebody else, exactly
	Action   string    // what the action begins with, in any case
	Object   Object    // the kind of its target
	TargetID string    // the id of its target, or that of what the target hangs off
	From     time.Time // inclusive
	To       time.Time // exclusive
}

// eventWindow is how many events one page of a list may look at.
const eventWindow = 10_000

// Events lists the audit events of the caller's tenant, newest first. A search
// is in the names of actor and target, the target's id and the action. A page
// looks at a bounded number of events: with a filter or a search it may hold
// fewer than asked for, or none, and yet have a next one. Its length is not counted.
func (d *Directory) Events(ctx context.Context, c Caller, f EventFilter, page Page) (Paged[Event], error) {
	if err := d.permitRead(ctx, c, federation("auditEvents/read", "/")); err != nil {
		return Paged[Event]{}, err
	}
	w := where{}
	w.add(`tenant_id = ?`, c.TenantID)
	if !f.From.IsZero() {
		w.add(`at >= ?`, f.From.UnixMilli())
	}
	if !f.To.IsZero() {
		w.add(`at < ?`, f.To.UnixMilli())
	}
	if page.After != "" {
		at, id, err := parseEventKey(page.After)
		if err != nil {
			return Paged[Event]{Items: []Event{}}, nil // no page ends there
		}
		w.add(`(at, id) < (?, ?)`, at, id)
	}
	end := "" // of what the page looks at
	if f.narrows() || page.Search != "" {
		last, err := query(ctx, d.DB.Read(), scanEventKey, `SELECT at, id FROM audit_events WHERE `+w.text()+` ORDER BY at DESC, id DESC LIMIT 1 OFFSET `+w.arg(eventWindow-1), w.args...)
		if err != nil {
			return Paged[Event]{}, err
		}
		w.args = w.args[:len(w.args)-1]
		if len(last) > 0 {
			end = last[0]
			at, id, _ := parseEventKey(end)
			w.add(`(at, id) >= (?, ?)`, at, id)
		}
		if err := w.events(d.DB, f, page.Search); err != nil {
			return Paged[Event]{}, err
		}
	}
	items, err := query(ctx, d.DB.Read(), scanEvent, `SELECT id, at, actor_kind, actor_id, actor_app_id, actor_name, action, target_kind, target_id, target_name, detail, address, request_id
		FROM audit_events WHERE `+w.text()+` ORDER BY at DESC, id DESC LIMIT `+w.arg(page.limit()+1), w.args...)
	p := paged(items, page, func(e Event) string { return eventKey(millis(e.At), e.ID) })
	p.Next = cmp.Or(p.Next, end)
	return p, err
}

// narrows says whether a filter has members other than times.
func (f EventFilter) narrows() bool {
	f.From, f.To = time.Time{}, time.Time{}
	return f != EventFilter{}
}

// events adds what only looking at each event tells.
func (w *where) events(d *db.DB, f EventFilter, search string) error {
	if f.Actor != "" {
		w.add(`(actor_id = ? OR actor_app_id = ? OR actor_name = ?)`, fold(f.Actor), fold(f.Actor), f.Actor)
	}
	if f.Action != "" {
		w.add(`substr(`+d.Lower(`action`)+`, 1, length(?)) = ?`, db.Folded(f.Action), db.Folded(f.Action))
	}
	if f.Object != "" {
		w.add(`target_kind = ?`, string(f.Object))
	}
	if f.TargetID != "" {
		quoted, err := toJSON(f.TargetID)
		if err != nil {
			return err
		}
		w.add(`(`+d.Lower(`target_id`)+` = ? OR `+d.HoldsFolded(`detail`, `?`)+`)`, db.Folded(f.TargetID), db.Folded(quoted))
	}
	if search != "" {
		w.search(d, search, "", nil, []string{`target_name`, `actor_name`, `target_id`, `action`}, []string{`actor_id`, `actor_app_id`})
	}
	return nil
}

// EventsReached says when the event was that a page of Events which has a next
// one looked at last, for people who search; the zero time for no such Next.
func EventsReached(next string) time.Time {
	at, _, err := parseEventKey(next)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(at).UTC()
}

func eventKey(at int64, id string) string { return strconv.FormatInt(at, 10) + "." + id }

func parseEventKey(key string) (at int64, id string, err error) {
	ms, id, _ := strings.Cut(key, ".")
	at, err = strconv.ParseInt(ms, 10, 64)
	return at, id, err
}

func scanEventKey(r row) (string, error) {
	var at int64
	var id string
	err := r.Scan(&at, &id)
	return eventKey(at, id), err
}

func scanEvent(r row) (Event, error) {
	var e Event
	var at int64
	var detail string
	if err := r.Scan(&e.ID, &at, &e.ActorKind, &e.ActorID, &e.ActorAppID, &e.ActorName, &e.Action, &e.Object, &e.TargetID, &e.TargetName, &detail, &e.Address, &e.RequestID); err != nil {
		return e, err
	}
	e.At = fromMillis(at)
	return e, fromJSON(detail, &e.Detail)
}
