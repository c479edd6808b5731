package directory

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/entente-id/entente/internal/db"
)

// PortalSession is somebody signed in to the portal.
type PortalSession struct {
	ID        string
	Secret    string // only in the answer that opens it
	Caller    Caller // without the address and id of a request
	Provider  string // who vouched for the person; empty: a link
	CreatedAt time.Time
	SeenAt    time.Time // to a minute
	ExpiresAt time.Time // at the latest: it ends before when it is not used
	Address   string    // where it was opened
}

// When a session ends.
const (
	PortalSessionLifetime = 8 * time.Hour
	PortalSessionIdle     = time.Hour // not used for so long

	portalSessionNoted = time.Minute // how old the note of its use may be
)

// The sizes of what another provider says of a person.
const (
	maxPortalRoles    = 100
	maxPortalProvider = 1024
	maxPortalSessions = 1000 // in one answer
)

// OpenPortalSession opens one for a person whom another provider has signed in.
// Of c, a PortalCaller without a principal, it reads TenantID, Name, Roles,
// Address and RequestID. Who has no role is Forbidden. The provider is a mark of
// the caller's choice, which the session keeps.
func (d *Directory) OpenPortalSession(ctx context.Context, c Caller, provider string) (PortalSession, error) {
	if !c.person() || len(c.Roles) == 0 {
		return PortalSession{}, &Error{Kind: Forbidden, Object: PortalSessionObject, ID: c.Name, Action: portalSessions("write").action, Scope: "/", Caller: c, Detail: "nothing that the provider says of the person is mapped to a role"}
	}
	if provider == "" || checkText(PortalSessionObject, "provider", provider, maxPortalProvider) != nil {
		return PortalSession{}, invalid(PortalSessionObject, "provider", "is missing, longer than %d characters, or not plain text", maxPortalProvider)
	}
	if c.Name == "" {
		return PortalSession{}, invalid(PortalSessionObject, "name", "is required")
	}
	if err := checkText(PortalSessionObject, "name", c.Name, maxName); err != nil {
		return PortalSession{}, err
	}
	if len(c.Roles) > maxPortalRoles {
		return PortalSession{}, invalid(PortalSessionObject, "roles", "at most %d", maxPortalRoles)
	}
	c.AppID, c.Provider, c.Roles = "", provider, slices.Clone(c.Roles)
	roles := make([]string, len(c.Roles))
	for i, role := range c.Roles {
		normal, err := role.normal()
		if err != nil {
			return PortalSession{}, &Error{Kind: Invalid, Object: PortalSessionObject, Field: "roles", Err: err}
		}
		c.Roles[i], roles[i] = normal, normal.String()
	}
	var s PortalSession
	err := d.change(ctx, c, func(a *act) (err error) {
		if _, err := one(a, a.tx, notFound(TenantObject, c.TenantID), scanString, `SELECT id FROM tenants WHERE id = $1`, c.TenantID); err != nil {
			return err
		}
		s, err = a.openPortalSession(&target{detail: map[string]string{"provider": provider, "roles": strings.Join(roles, ", ")}})
		return err
	})
	if err != nil {
		return PortalSession{}, err
	}
	return s, nil
}

// openPortalSession opens a session of the caller.
func (a *act) openPortalSession(t *target) (PortalSession, error) {
	s := PortalSession{ID: newID(), Secret: newSecretText(), Caller: a.c, Provider: a.c.Provider, CreatedAt: a.at, SeenAt: a.at, ExpiresAt: a.at.Add(PortalSessionLifetime), Address: a.c.Address}
	s.Caller.Address, s.Caller.RequestID = "", ""
	t.object, t.id, t.name = PortalSessionObject, s.ID, a.c.Name
	if err := a.permit(portalSessions("write"), t); err != nil {
		return s, err
	}
	person := ""
	if a.c.person() {
		person = a.c.Name
	}
	roles, err := toJSON(notNil(a.c.Roles))
	if err != nil {
		return s, err
	}
	_, err = exec(a, a.tx, `INSERT INTO portal_sessions (id, digest, tenant_id, principal_id, person, provider, roles, address, created_at, seen_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		s.ID, hashSecret(s.Secret), a.c.TenantID, a.c.PrincipalID, person, s.Provider, roles, s.Address, millis(s.CreatedAt), millis(s.SeenAt), millis(s.ExpiresAt))
	return s, err
}

// A session of a principal that is gone or disabled is none.
const (
	portalSessionColumns = `s.id, s.tenant_id, s.principal_id, coalesce(p.app_id, ''), coalesce(p.display_name, s.person), s.provider, s.roles, s.address, s.created_at, s.seen_at, s.expires_at`
	portalSessionTables  = `portal_sessions s LEFT JOIN service_principals p ON p.id = s.principal_id AND p.tenant_id = s.tenant_id AND p.enabled = 1 AND p.deleted_at = 0`
)

func scanPortalSession(r row) (PortalSession, error) {
	s := PortalSession{Caller: Caller{Kind: PortalCaller}}
	var roles string
	var createdAt, seenAt, expiresAt int64
	if err := r.Scan(&s.ID, &s.Caller.TenantID, &s.Caller.PrincipalID, &s.Caller.AppID, &s.Caller.Name, &s.Provider, &roles, &s.Address, &createdAt, &seenAt, &expiresAt); err != nil {
		return s, err
	}
	s.Caller.Provider, s.CreatedAt, s.SeenAt, s.ExpiresAt = s.Provider, fromMillis(createdAt), fromMillis(seenAt), fromMillis(expiresAt)
	if !s.Caller.person() {
		return s, nil
	}
	return s, fromJSON(roles, &s.Caller.Roles)
}

// openSessions is the condition of a session that has not ended.
func (d *Directory) openSessions() where {
	w, now := where{}, d.now()
	w.add(`(s.principal_id = '' OR p.id IS NOT NULL)`)
	w.add(`s.expires_at > ?`, millis(now))
	w.add(`s.seen_at > ?`, millis(now.Add(-PortalSessionIdle)))
	return w
}

// PortalSession finds a session by its secret, and notes that it is used. One
// that was never opened, or has ended, or whose principal is gone or disabled,
// is Unauthenticated.
func (d *Directory) PortalSession(ctx context.Context, secret string) (PortalSession, error) {
	w := d.openSessions()
	w.add(`s.digest = ?`, hashSecret(secret))
	s, err := one(ctx, d.DB.Read(), &Error{Kind: Unauthenticated, Object: PortalSessionObject}, scanPortalSession, `SELECT `+portalSessionColumns+` FROM `+portalSessionTables+` WHERE `+w.text(), w.args...)
	if err != nil {
		return PortalSession{}, err
	}
	if now := d.now().Truncate(time.Millisecond); now.Sub(s.SeenAt) >= portalSessionNoted {
		err = d.DB.Update(ctx, func(tx *sql.Tx) error {
			_, err := exec(ctx, tx, `UPDATE portal_sessions SET seen_at = $1 WHERE id = $2 AND seen_at < $1`, millis(now), s.ID)
			return err
		})
		if db.IsFull(err) { // nothing can be written, and pages that only read still help
			d.log().WarnContext(ctx, "cannot note the use of a portal session", "session", s.ID, "error", err)
			return s, nil
		}
		if err != nil {
			return PortalSession{}, err
		}
		s.SeenAt = now
	}
	return s, nil
}

// EndPortalSession ends one of the caller's own: of its service principal, or of
// the person of its name and provider. An administrator ends any of the tenant.
// Others' are not there.
func (d *Directory) EndPortalSession(ctx context.Context, c Caller, id string) error {
	return d.change(ctx, c, func(a *act) error {
		w := d.openSessions()
		w.add(`s.id = ?`, fold(id))
		a.rights.ownSessions(&w)
		s, err := one(a, a.tx, notFound(PortalSessionObject, id), scanPortalSession, `SELECT `+portalSessionColumns+` FROM `+portalSessionTables+` WHERE `+w.text(), w.args...)
		if err != nil {
			return err
		}
		t := &target{object: PortalSessionObject, id: s.ID, name: s.Caller.Name}
		if s.Caller.PrincipalID != "" {
			t.note("principal", s.Caller.PrincipalID)
		} else {
			t.note("provider", s.Provider)
		}
		if err := a.permit(portalSessions("delete"), t); err != nil {
			return err
		}
		ended, err := exec(a, a.tx, `DELETE FROM portal_sessions WHERE id = $1`, s.ID)
		if err == nil && ended == 0 {
			err = notFound(PortalSessionObject, id)
		}
		return err
	})
}

// PortalSessions lists the open ones, newest first: the caller's own, and for an
// administrator the tenant's. It returns no more than the newest thousand.
func (d *Directory) PortalSessions(ctx context.Context, c Caller) ([]PortalSession, error) {
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return nil, err
	}
	w := d.openSessions()
	r.ownSessions(&w)
	return query(ctx, d.DB.Read(), scanPortalSession, `SELECT `+portalSessionColumns+` FROM `+portalSessionTables+` WHERE `+w.text()+` ORDER BY s.created_at DESC, s.id DESC LIMIT `+w.arg(maxPortalSessions), w.args...)
}

// ownSessions narrows to the sessions that the caller may see and end.
func (r rights) ownSessions(w *where) {
	w.add(`s.tenant_id = ?`, r.caller.TenantID)
	switch {
	case r.administrator():
	case r.caller.person():
		w.add(`s.principal_id = ''`)
		w.add(`s.person = ?`, r.caller.Name)
		w.add(`s.provider = ?`, r.caller.Provider)
	default:
		w.add(`s.principal_id = ?`, r.caller.PrincipalID)
	}
}

// endPortal ends what opens the portal in a principal's name, so that it does
// not count again when the principal comes back.
func (a *act) endPortal(principalID string) error {
	return a.removeAll(principalID, `DELETE FROM portal_links WHERE principal_id = $1`, `DELETE FROM portal_sessions WHERE principal_id = $1`)
}

// forgetPortal removes the links and sessions that have expired.
func (d *Directory) forgetPortal(ctx context.Context) error {
	now := d.now()
	if err := d.forget(ctx, `DELETE FROM portal_links WHERE id IN (SELECT id FROM portal_links WHERE expires_at <= $1 LIMIT $2)`, now); err != nil {
		return err
	}
	if err := d.forget(ctx, `DELETE FROM portal_sessions WHERE id IN (SELECT id FROM portal_sessions WHERE expires_at <= $1 LIMIT $2)`, now); err != nil {
		return err
	}
	return d.forget(ctx, `DELETE FROM portal_sessions WHERE id IN (SELECT id FROM portal_sessions WHERE seen_at <= $1 LIMIT $2)`, now.Add(-PortalSessionIdle))
}
