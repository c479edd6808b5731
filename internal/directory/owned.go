package directory

import (
	"context"

	"github.com/entente-id/entente/internal/db"
)

// mostOwned is how many objects are looked up one by one. Those of a caller
// that owns more are met often enough when all are gone through in order.
const mostOwned = 2000

// applications starts a list of the applications that the caller may see, and
// returns its tables: applications as a.
func (r rights) applications(ctx context.Context, q db.Querier, w *where, state string) (tables string, err error) {
	w.add(`a.tenant_id = ?`, r.caller.TenantID)
	w.add(`a.` + state)
	few, err := r.ownsFew(ctx, q)
	switch {
	case err != nil || r.has(mayRead...):
		return `applications a`, err
	case few: // CROSS JOIN makes SQLite begin with the few
		w.add(`a.id = o.object_id`)
		return `(SELECT object_id FROM owners WHERE principal_id = ` + w.arg(r.caller.PrincipalID) + `) o CROSS JOIN applications a`, nil
	}
	w.add(`EXISTS (SELECT 1 FROM owners o WHERE o.object_id = a.id AND o.principal_id = ?)`, r.caller.PrincipalID)
	return `applications a`, nil
}

// principals is the same for service principals, which are seen by those who
// own their applications too: service_principals as p.
func (r rights) principals(ctx context.Context, q db.Querier, w *where, state string) (tables string, err error) {
	w.add(`p.tenant_id = ?`, r.caller.TenantID)
	w.add(`p.` + state)
	few, err := r.ownsFew(ctx, q)
	switch {
	case err != nil || r.has(mayRead...):
		return `service_principals p`, err
	case few:
		owner := w.arg(r.caller.PrincipalID)
		w.add(`p.id = o.id`)
		return `(SELECT object_id AS id FROM owners WHERE principal_id = ` + owner + `
			UNION SELECT s.id FROM owners w CROSS JOIN service_principals s WHERE w.principal_id = ` + owner + ` AND s.parent_id = w.object_id) o CROSS JOIN service_principals p`, nil
	}
	w.add(`EXISTS (SELECT 1 FROM owners o WHERE o.object_id IN (p.id, p.parent_id) AND o.principal_id = ?)`, r.caller.PrincipalID)
	return `service_principals p`, nil
}

// ownsFew says whether a caller who sees only what it owns owns little.
func (r rights) ownsFew(ctx context.Context, q db.Querier) (bool, error) {
	if r.has(mayRead...) {
		return false, nil
	}
	w := where{}
	w.add(`principal_id = ?`, r.caller.PrincipalID)
	t, err := tally(ctx, q, "owners", w, mostOwned)
	return !t.More, err
}
