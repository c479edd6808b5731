package directory

import (
	"context"
	"strings"
	"time"

	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/roles"
)

// RoleAssignment gives a principal a role definition on a scope and below it.
type RoleAssignment struct {
	Name          string // GUID, chosen by its maker
	Scope         string // "/", or an ARM id
	DefinitionID  string // GUID of the definition
	PrincipalID   string
	PrincipalType string // ServicePrincipal
	Description   string
	CreatedBy     string
	CreatedAt     time.Time
}

const (
	readAssignments   = "Microsoft.Authorization/roleAssignments/read"
	writeAssignments  = "Microsoft.Authorization/roleAssignments/write"
	deleteAssignments = "Microsoft.Authorization/roleAssignments/delete"
)

const assignmentColumns = `name, scope, definition_id, principal_id, principal_type, description, created_by, created_at`

func scanAssignment(r row) (RoleAssignment, error) {
	var a RoleAssignment
	var createdAt int64
	err := r.Scan(&a.Name, &a.Scope, &a.DefinitionID, &a.PrincipalID, &a.PrincipalType, &a.Description, &a.CreatedBy, &createdAt)
	a.CreatedAt = fromMillis(createdAt)
	return a, err
}

// scopeKey is how scopes are compared: without case or a slash at the end.
func scopeKey(scope string) string {
	if scope = strings.TrimRight(fold(scope), "/"); scope == "" {
		return "/"
	}
	return scope
}

// AssignmentFilter narrows a list of role assignments.
type AssignmentFilter struct {
	PrincipalID string // empty: any
	AtScope     bool   // only the scope and what is above it; otherwise also what is below
}

// RoleAssignments lists those that count on a scope.
func (d *Directory) RoleAssignments(ctx context.Context, c Caller, scope string, f AssignmentFilter) ([]RoleAssignment, error) {
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return nil, err
	}
	if err := d.authorise(ctx, d.DB.Read(), r, need{action: readAssignments, scope: scope}); err != nil {
		return nil, err
	}
	all, err := query(ctx, d.DB.Read(), scanAssignment, `SELECT `+assignmentColumns+` FROM role_assignments WHERE tenant_id = $1 AND ($2 = '' OR principal_id = $2) ORDER BY created_at, name`, c.TenantID, fold(f.PrincipalID))
	return readable(all, func(a RoleAssignment) bool {
		return roles.Covers(a.Scope, scope) || !f.AtScope && roles.Covers(scope, a.Scope)
	}), err
}

// RoleAssignment reads one.
func (d *Directory) RoleAssignment(ctx context.Context, c Caller, scope, name string) (RoleAssignment, error) {
	if _, err := d.permitRead(ctx, c, need{action: readAssignments, scope: scope}); err != nil {
		return RoleAssignment{}, err
	}
	return findAssignment(ctx, d.DB.Read(), c.TenantID, scope, name)
}

func findAssignment(ctx context.Context, q db.Querier, tenantID, scope, name string) (RoleAssignment, error) {
	return one(q.QueryRowContext(ctx, `SELECT `+assignmentColumns+` FROM role_assignments WHERE tenant_id = $1 AND scope_key = $2 AND name = $3`, tenantID, scopeKey(scope), fold(name)), scanAssignment, notFound(AssignmentObject, name))
}

// AddRoleAssignment makes one. A role that makes an administrator is given only by administrators.
func (d *Directory) AddRoleAssignment(ctx context.Context, c Caller, n RoleAssignment) (RoleAssignment, error) {
	if !IsID(n.Name) {
		return n, invalid(AssignmentObject, "name", "%q is not a GUID", n.Name)
	}
	n.Name, n.DefinitionID, n.PrincipalID = fold(n.Name), fold(n.DefinitionID), fold(n.PrincipalID)
	if err := checkText(AssignmentObject, "description", n.Description, 1024); err != nil {
		return n, err
	}
	err := d.change(ctx, c, func(a *act) error {
		if err := a.permit(need{action: writeAssignments, scope: n.Scope}, &target{object: AssignmentObject, id: n.Scope, name: n.Name, detail: map[string]string{"roleDefinition": n.DefinitionID, "principal": n.PrincipalID}}); err != nil {
			return err
		}
		definition, ok := roles.ByID(n.DefinitionID)
		if !ok {
			return notFound(RoleDefinitionObject, n.DefinitionID)
		}
		if definition.Allows(administratorAction) && !a.rights.administrator() {
			return &Error{Kind: Forbidden, Object: PrincipalObject, ID: c.PrincipalID, Action: administratorAction, Scope: "/", Caller: c, Detail: "only administrators make administrators"}
		}
		p, err := findPrincipal(a, a.tx, c.TenantID, Ref{ID: n.PrincipalID})
		if isNotFound(err) {
			e := notFound(PrincipalObject, n.PrincipalID)
			e.Field, e.Detail = "principalId", c.TenantID
			return e
		}
		if err != nil {
			return err
		}
		if err := a.scopeThere(n.Scope); err != nil {
			return err
		}
		n.PrincipalID, n.PrincipalType, n.CreatedBy, n.CreatedAt = p.ID, "ServicePrincipal", c.PrincipalID, a.at
		return a.insertAssignment(n, c.TenantID)
	})
	return n, err
}

// scopeThere checks that a scope's subscription and group belong to the caller's tenant.
func (a *act) scopeThere(scope string) error {
	s := strings.Split(strings.Trim(scope, "/"), "/")
	if len(s) < 2 || fold(s[0]) != "subscriptions" {
		return nil
	}
	if _, err := one(a.tx.QueryRowContext(a, `SELECT id FROM subscriptions WHERE tenant_id = $1 AND id = $2`, a.c.TenantID, fold(s[1])), scanString, notFound(SubscriptionObject, s[1])); err != nil {
		return err
	}
	if len(s) < 4 || fold(s[2]) != "resourcegroups" {
		return nil
	}
	_, err := findGroup(a, a.tx, a.c.TenantID, s[1], s[3])
	return err
}

func (a *act) insertAssignment(n RoleAssignment, tenantID string) error {
	_, err := exec(a, a.tx, `INSERT INTO role_assignments (tenant_id, scope_key, name, scope, definition_id, principal_id, principal_type, description, created_by, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		tenantID, scopeKey(n.Scope), n.Name, n.Scope, n.DefinitionID, n.PrincipalID, n.PrincipalType, n.Description, n.CreatedBy, millis(n.CreatedAt))
	if db.IsUnique(err) {
		return exists(AssignmentObject, n.Name, "principalId")
	}
	return err
}

// RemoveRoleAssignment removes one; an administrator's only by administrators.
func (d *Directory) RemoveRoleAssignment(ctx context.Context, c Caller, scope, name string) (RoleAssignment, error) {
	var was RoleAssignment
	err := d.change(ctx, c, func(a *act) error {
		permission := need{action: deleteAssignments, scope: scope}
		if err := a.d.authorise(a, a.tx, a.rights, permission); err != nil {
			return err
		}
		var err error
		if was, err = findAssignment(a, a.tx, c.TenantID, scope, name); err != nil {
			return err
		}
		permission.guarded = was.PrincipalID
		if err := a.permit(permission, &target{object: AssignmentObject, id: was.Scope, name: was.Name, detail: map[string]string{"removed": was.DefinitionID, "principal": was.PrincipalID}}); err != nil {
			return err
		}
		_, err = exec(a, a.tx, `DELETE FROM role_assignments WHERE tenant_id = $1 AND scope_key = $2 AND name = $3`, c.TenantID, scopeKey(scope), fold(name))
		return err
	})
	return was, err
}

// removeAssignmentsAt removes what was assigned on a scope, or below it, that goes away.
func (a *act) removeAssignmentsAt(scope string) error {
	key := scopeKey(scope)
	_, err := exec(a, a.tx, `DELETE FROM role_assignments WHERE tenant_id = $1 AND (scope_key = $2 OR substr(scope_key, 1, length($3)) = $3)`, a.c.TenantID, key, key+"/")
	return err
}
