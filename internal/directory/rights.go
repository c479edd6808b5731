package directory

import (
	"context"
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
	owned  string   // a Graph permission that is enough for an owner of one of objects
	// objects are those whose owners count. For what is made now, and will
	// belong to its maker, and for lists, which hold only what is the caller's,
	// there are none.
	objects []string

	// self is set for what every caller may do for itself.
	self bool

	// guarded is a principal that the operation could take over or cut off.
	// When it holds rights that only administrators give, only an
	// administrator may do it.
	guarded string
}

// federation is the need for a right of this server's own, which only
// administrators give.
func federation(action, scope string) need {
	return need{action: "Entente.Federation/" + action, scope: scope}
}

// administratorAction is the one right that makes an administrator.
const administratorAction = "Entente.Federation/tenants/write"

// administer is the need that only administrators of a tenant meet.
func administer() need { return need{action: administratorAction, scope: "/"} }

// rights are what a caller may do at this moment.
type rights struct {
	caller      Caller
	assignments []assignment
	graph       []string
}

type assignment struct {
	scope      string // folded
	definition roles.Definition
}

func (r rights) can(action, scope string) bool {
	if r.caller.Kind == SystemCaller {
		return true
	}
	scope = fold(scope)
	return slices.ContainsFunc(r.assignments, func(a assignment) bool {
		return roles.Covers(a.scope, scope) && a.definition.Allows(action)
	})
}

// touches says whether anything at all was assigned on scope, above it or below it.
func (r rights) touches(scope string) bool {
	if r.caller.Kind == SystemCaller {
		return true
	}
	scope = fold(scope)
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

func (r rights) administrator() bool { return r.can(administratorAction, "/") }

// rights reads what the caller may do. A principal that is gone or disabled,
// and a person without a role, is Unauthenticated. Only a person without a
// principal has what its Roles say.
func (d *Directory) rights(ctx context.Context, q db.Querier, c Caller) (rights, error) {
	r := rights{caller: c}
	switch {
	case c.Kind == SystemCaller:
		return r, nil
	case c.person() && len(c.Roles) > 0:
		r.hold(c.Roles)
		return r, nil
	}
	gone := &Error{Kind: Unauthenticated, Object: PrincipalObject, ID: c.PrincipalID}
	enabled, err := one(ctx, q, gone, scanInt, `SELECT enabled FROM service_principals WHERE id = $1 AND tenant_id = $2 AND deleted_at = 0`, c.PrincipalID, c.TenantID)
	if err != nil {
		return r, err
	}
	if enabled == 0 {
		return r, gone
	}
	r.assignments, err = assignmentsOf(ctx, q, c.TenantID, c.PrincipalID)
	if err != nil {
		return r, err
	}
	granted, err := query(ctx, q, scanString, `SELECT a.app_role_id FROM app_role_assignments a JOIN service_principals p ON p.id = a.resource_id
		WHERE a.principal_id = $1 AND p.tenant_id = $2 AND p.app_id = $3`, c.PrincipalID, c.TenantID, roles.GraphAppID)
	for _, role := range roles.GraphAppRoles() {
		if slices.Contains(granted, role.ID) {
			r.graph = append(r.graph, role.Value)
		}
	}
	return r, err
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

func scanInt(r row) (int, error) {
	var n int
	return n, r.Scan(&n)
}

// authorise says whether the rights meet the need.
func (r rights) authorise(ctx context.Context, q db.Querier, n need) error {
	denied := &Error{Kind: Forbidden, Object: PrincipalObject, ID: r.caller.PrincipalID, Action: n.action, Scope: n.scope, Caller: r.caller}
	if len(n.objects) > 0 {
		denied.Scope = n.objects[0]
	}
	switch {
	case n.self:
	case len(n.graph) == 0:
		if !r.can(n.action, n.scope) {
			return denied
		}
	case r.has(n.graph...):
	case n.owned == "" || !r.has(n.owned):
		return denied
	case len(n.objects) > 0:
		owns, err := isOwner(ctx, q, n.objects, r.caller.PrincipalID)
		if err != nil {
			return err
		}
		if !owns {
			return denied
		}
	}
	if n.guarded == "" || r.administrator() {
		return nil
	}
	theirs, err := assignmentsOf(ctx, q, r.caller.TenantID, n.guarded)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(theirs, func(a assignment) bool { return a.definition.ReachesReserved() }) {
		denied.Detail = "the target holds rights that only administrators give, and only an administrator may change it"
		return denied
	}
	return nil
}

func isOwner(ctx context.Context, q db.Querier, objects []string, principalID string) (bool, error) {
	w := where{}
	w.add(`principal_id = ?`, principalID)
	w.in(`object_id`, objects)
	found, err := query(ctx, q, scanString, `SELECT object_id FROM owners WHERE `+w.text()+` LIMIT 1`, w.args...)
	return len(found) > 0, err
}

// permitRead is the check of a reading method, for those that need the rights no further.
func (d *Directory) permitRead(ctx context.Context, c Caller, n need) error {
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return err
	}
	return r.authorise(ctx, d.DB.Read(), n)
}
