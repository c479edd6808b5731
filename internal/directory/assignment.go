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
func scopeKey(scope string) string { return fold(cleanScope(scope)) }

// cleanScope returns a scope without the slash at its end, which only "/" keeps.
func cleanScope(scope string) string {
	if scope = strings.TrimRight(scope, "/"); scope == "" {
		return "/"
	}
	return scope
}

// AssignmentFilter narrows a list of role assignments.
type AssignmentFilter struct {
	PrincipalID  string // empty: any
	DefinitionID string // empty: any
	AtScope      bool   // only the scope and what is above it; otherwise also what is below
}

// RoleAssignments lists those that count on a scope, by age.
func (d *Directory) RoleAssignments(ctx context.Context, c Caller, scope string, f AssignmentFilter) ([]RoleAssignment, error) {
	if err := d.permitRead(ctx, c, need{action: readAssignments, scope: scope}); err != nil {
		return nil, err
	}
	w := where{}
	w.add(`tenant_id = ?`, c.TenantID)
	if f.PrincipalID != "" {
		w.add(`principal_id = ?`, fold(f.PrincipalID))
	}
	if f.DefinitionID != "" {
		w.add(`definition_id = ?`, fold(f.DefinitionID))
	}
	all, err := query(ctx, d.DB.Read(), scanAssignment, `SELECT `+assignmentColumns+` FROM role_assignments WHERE `+w.text()+` ORDER BY created_at, name`, w.args...)
	key := scopeKey(scope)
	return readable(all, func(a RoleAssignment) bool {
		return roles.Covers(scopeKey(a.Scope), key) || !f.AtScope && roles.Covers(key, scopeKey(a.Scope))
	}), err
}

// RoleAssignment reads one.
func (d *Directory) RoleAssignment(ctx context.Context, c Caller, scope, name string) (RoleAssignment, error) {
	if err := d.permitRead(ctx, c, need{action: readAssignments, scope: scope}); err != nil {
		return RoleAssignment{}, err
	}
	return findAssignment(ctx, d.DB.Read(), c.TenantID, scope, name)
}

func findAssignment(ctx context.Context, q db.Querier, tenantID, scope, name string) (RoleAssignment, error) {
	return one(ctx, q, notFound(AssignmentObject, name), scanAssignment, `SELECT `+assignmentColumns+` FROM role_assignments WHERE tenant_id = $1 AND scope_key = $2 AND name = $3`, tenantID, scopeKey(scope), fold(name))
}

// AddRoleAssignment makes one. Roles with rights of this server's own, of
// which one makes an administrator, are given only by administrators.
func (d *Directory) AddRoleAssignment(ctx context.Context, c Caller, n RoleAssignment) (RoleAssignment, error) {
	if !IsID(n.Name) {
		return RoleAssignment{}, invalid(AssignmentObject, "name", "%q is not a GUID", n.Name)
	}
	n.Name, n.DefinitionID, n.PrincipalID, n.Scope = fold(n.Name), fold(n.DefinitionID), fold(n.PrincipalID), cleanScope(n.Scope)
	if err := checkText(AssignmentObject, "description", n.Description, maxText); err != nil {
		return RoleAssignment{}, err
	}
	if checkText(AssignmentObject, "scope", n.Scope, maxScope) != nil || !roles.Covers("/", n.Scope) {
		return RoleAssignment{}, invalid(AssignmentObject, "scope", "%q is not a scope of at most %d characters", n.Scope, maxScope)
	}
	err := d.change(ctx, c, func(a *act) error {
		if err := a.permit(need{action: writeAssignments, scope: n.Scope}, &target{object: AssignmentObject, id: n.Scope, name: n.Name, detail: map[string]string{"roleDefinition": n.DefinitionID, "principal": n.PrincipalID}}); err != nil {
			return err
		}
		definition, ok := roles.ByID(n.DefinitionID)
		if !ok {
			return notFound(RoleDefinitionObject, n.DefinitionID)
		}
		if definition.ReachesReserved() && !a.rights.administrator() {
			return &Error{Kind: Forbidden, Object: PrincipalObject, ID: c.PrincipalID, Action: administratorAction, Scope: "/", Caller: c, Detail: "only administrators give the role " + definition.Name}
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
		if err := a.lockScope(n.Scope); err != nil {
			return err
		}
		n.PrincipalID, n.PrincipalType, n.CreatedBy, n.CreatedAt = p.ID, "ServicePrincipal", c.PrincipalID, a.at
		return a.insertAssignment(n, c.TenantID)
	})
	if err != nil {
		return RoleAssignment{}, err
	}
	return n, nil
}

// lockScope checks that a scope's subscription and group are there, and sees
// to it that the group is so until the write ends: what is assigned on a group
// goes with it.
func (a *act) lockScope(scope string) error {
	s := strings.Split(strings.TrimPrefix(scope, "/"), "/")
	if len(s) < 2 || fold(s[0]) != "subscriptions" {
		return nil
	}
	if _, err := a.rights.subscription(a, a.tx, s[1]); err != nil {
		return err
	}
	if len(s) < 4 || fold(s[2]) != "resourcegroups" {
		return nil
	}
	_, err := a.lockGroup(s[1], s[3])
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

// RemoveRoleAssignment removes one; of a principal that holds rights which
// only administrators give, only by administrators.
func (d *Directory) RemoveRoleAssignment(ctx context.Context, c Caller, scope, name string) (RoleAssignment, error) {
	var was RoleAssignment
	err := d.change(ctx, c, func(a *act) error {
		n := need{action: deleteAssignments, scope: scope}
		if err := a.rights.authorise(a, a.tx, n); err != nil {
			return err
		}
		var err error
		if was, err = findAssignment(a, a.tx, c.TenantID, scope, name); err != nil {
			return err
		}
		n.guarded = was.PrincipalID
		if err := a.permit(n, &target{object: AssignmentObject, id: was.Scope, name: was.Name, detail: map[string]string{"removed": was.DefinitionID, "principal": was.PrincipalID}}); err != nil {
			return err
		}
		gone, err := exec(a, a.tx, `DELETE FROM role_assignments WHERE tenant_id = $1 AND scope_key = $2 AND name = $3`, c.TenantID, scopeKey(scope), was.Name)
		if err == nil && gone == 0 {
			err = notFound(AssignmentObject, name)
		}
		return err
	})
	if err != nil {
		return RoleAssignment{}, err
	}
	return was, nil
}

// removeAssignmentsAt removes what was assigned on a scope, or below it, that goes away.
func (a *act) removeAssignmentsAt(scope string) error {
	key := scopeKey(scope)
	_, err := exec(a, a.tx, `DELETE FROM role_assignments WHERE tenant_id = $1 AND (scope_key = $2 OR substr(scope_key, 1, length($3)) = $3)`, a.c.TenantID, key, key+"/")
	return err
}
