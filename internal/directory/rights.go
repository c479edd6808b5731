package directory

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/roles"
)

// need is what an operation asks of its caller. An ARM operation has an action
// and a scope; a Graph operation has permissions, of which one is enough.
type need struct {
	action string   // ARM action, or the name of a Graph operation for errors and audit
	scope  string   // ARM scope, such as /subscriptions/{id}/resourceGroups/{name}
	graph  []string // Graph permissions, any of which is enough
	owned  string   // a Graph permission that is enough for an owner of object
	object string   // the object whose owners count

	// guarded is a principal that the operation could take over. When it is
	// an administrator, only an administrator may do it.
	guarded string
}

// administer is the need that only administrators of a tenant meet.
func administer(action, scope string) need { return need{action: action, scope: scope} }

// rights are what a principal may do at this moment.
type rights struct {
	caller      Caller
	assignments []assignment
	graph       []string
}

type assignment struct {
	scope      string
	definition roles.Definition
}

func (r rights) can(action, scope string) bool {
	if r.caller.Kind == SystemCaller {
		return true
	}
	for _, a := range r.assignments {
		if roles.Covers(a.scope, scope) && a.definition.Allows(action) {
			return true
		}
	}
	return false
}

// below says whether anything at all was assigned on scope, above it or below it.
func (r rights) touches(scope string) bool {
	if r.caller.Kind == SystemCaller {
		return true
	}
	return slices.ContainsFunc(r.assignments, func(a assignment) bool {
		return roles.Covers(a.scope, scope) || roles.Covers(scope, a.scope)
	})
}

func (r rights) has(permissions ...string) bool {
	if r.caller.Kind == SystemCaller {
		return true
	}
	return slices.ContainsFunc(permissions, func(p string) bool { return slices.Contains(r.graph, p) })
}

// administratorAction is the one right that makes an administrator.
const administratorAction = "Entente.Federation/tenants/write"

func (r rights) administrator() bool { return r.can(administratorAction, "/") }

// rights reads what the caller may do. A principal that is gone or disabled is Unauthenticated.
func (d *Directory) rights(ctx context.Context, q db.Querier, c Caller) (rights, error) {
	r := rights{caller: c}
	if c.Kind == SystemCaller {
		return r, nil
	}
	var enabled int64
	err := q.QueryRowContext(ctx, `SELECT enabled FROM service_principals WHERE id = $1 AND tenant_id = $2 AND deleted_at = 0`, c.PrincipalID, c.TenantID).Scan(&enabled)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return r, err
	}
	if enabled == 0 {
		return r, &Error{Kind: Unauthenticated, Object: PrincipalObject, ID: c.PrincipalID}
	}
	r.assignments, err = assignmentsOf(ctx, q, c.TenantID, c.PrincipalID)
	if err != nil {
		return r, err
	}
	r.graph, err = query(ctx, q, scanString, `SELECT a.app_role_id FROM app_role_assignments a JOIN service_principals p ON p.id = a.resource_id
		WHERE a.principal_id = $1 AND p.tenant_id = $2 AND p.app_id = $3`, c.PrincipalID, c.TenantID, roles.GraphAppID)
	if err != nil {
		return r, err
	}
	for i, id := range r.graph {
		r.graph[i] = ""
		for _, role := range roles.GraphAppRoles() {
			if role.ID == id {
				r.graph[i] = role.Value
			}
		}
	}
	return r, nil
}

func assignmentsOf(ctx context.Context, q db.Querier, tenantID, principalID string) ([]assignment, error) {
	return query(ctx, q, func(r row) (assignment, error) {
		var a assignment
		var id string
		err := r.Scan(&a.scope, &id)
		a.definition, _ = roles.ByID(id)
		return a, err
	}, `SELECT scope_key, definition_id FROM role_assignments WHERE tenant_id = $1 AND principal_id = $2`, tenantID, principalID)
}

func scanString(r row) (string, error) {
	var s string
	return s, r.Scan(&s)
}

// authorise says whether the rights meet the need.
func (d *Directory) authorise(ctx context.Context, q db.Querier, r rights, n need) error {
	denied := &Error{Kind: Forbidden, Object: PrincipalObject, ID: r.caller.PrincipalID, Action: n.action, Scope: n.scope, Caller: r.caller}
	switch {
	case len(n.graph) == 0 && n.owned == "":
		if !r.can(n.action, n.scope) {
			return denied
		}
	case r.has(n.graph...):
	case n.owned != "" && r.has(n.owned):
		if n.object == "" {
			break // what is made now will be owned by its maker
		}
		owner, err := isOwner(ctx, q, n.object, r.caller.PrincipalID)
		if err != nil {
			return err
		}
		if !owner {
			denied.Scope = n.object
			return denied
		}
	default:
		denied.Scope = n.object
		return denied
	}
	if n.guarded == "" || r.administrator() {
		return nil
	}
	theirs, err := assignmentsOf(ctx, q, r.caller.TenantID, n.guarded)
	if err != nil {
		return err
	}
	if (rights{assignments: theirs}).administrator() {
		denied.Detail = "the target is an administrator, and only an administrator may change it"
		return denied
	}
	return nil
}

func isOwner(ctx context.Context, q db.Querier, objectID, principalID string) (bool, error) {
	var n int
	err := q.QueryRowContext(ctx, `SELECT count(*) FROM owners WHERE object_id = $1 AND principal_id = $2`, objectID, principalID).Scan(&n)
	return n > 0, err
}

// permitRead is the check of every reading method.
func (d *Directory) permitRead(ctx context.Context, c Caller, n need) (rights, error) {
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return r, err
	}
	return r, d.authorise(ctx, d.DB.Read(), r, n)
}
