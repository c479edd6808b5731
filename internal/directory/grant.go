package directory

import (
	"context"
	"slices"
	"time"

	"github.com/entente-id/entente/internal/db"
)

// Grant is an app role assignment: a client (principal) has a role of a resource, and tokens say so.
type Grant struct {
	ID                                        string
	PrincipalID, PrincipalName, PrincipalKind string
	ResourceID, ResourceName                  string
	AppRoleID                                 string
	CreatedAt                                 time.Time
}

// defaultAppRole is the role of resources that define none (https://learn.microsoft.com/graph/api/resources/approleassignment).
const defaultAppRole = "00000000-0000-0000-0000-000000000000"

const grantColumns = `g.id, g.principal_id, c.display_name, c.kind, g.resource_id, r.display_name, g.app_role_id, g.created_at`
const grantTables = `app_role_assignments g JOIN service_principals c ON c.id = g.principal_id JOIN service_principals r ON r.id = g.resource_id`

func scanGrant(r row) (Grant, error) {
	var g Grant
	var createdAt int64
	err := r.Scan(&g.ID, &g.PrincipalID, &g.PrincipalName, &g.PrincipalKind, &g.ResourceID, &g.ResourceName, &g.AppRoleID, &createdAt)
	g.CreatedAt = fromMillis(createdAt)
	return g, err
}

// Grants lists the app role assignments that a service principal holds, by age.
func (d *Directory) Grants(ctx context.Context, c Caller, ref Ref) ([]Grant, error) {
	p, err := d.ServicePrincipal(ctx, c, ref)
	if err != nil {
		return nil, err
	}
	return d.grants(ctx, `g.principal_id`, p)
}

// GrantsOf lists the app role assignments on a resource, by age.
func (d *Directory) GrantsOf(ctx context.Context, c Caller, ref Ref) ([]Grant, error) {
	p, err := d.principalWithOthers(ctx, c, ref)
	if err != nil {
		return nil, err
	}
	return d.grants(ctx, `g.resource_id`, p)
}

func (d *Directory) grants(ctx context.Context, side string, p ServicePrincipal) ([]Grant, error) {
	return query(ctx, d.DB.Read(), scanGrant, `SELECT `+grantColumns+` FROM `+grantTables+` WHERE `+side+` = $1 AND c.deleted_at = 0 AND r.deleted_at = 0 ORDER BY g.created_at, g.id`, p.ID)
}

// AddGrant gives a principal a role of a resource. A principal that holds
// rights which only administrators give may be given more only by administrators.
func (d *Directory) AddGrant(ctx context.Context, c Caller, g Grant) (Grant, error) {
	err := d.change(ctx, c, func(a *act) error {
		if err := a.mayGrant(); err != nil {
			return err
		}
		client, err := findPrincipal(a, a.tx, c.TenantID, Ref{ID: g.PrincipalID})
		if err != nil {
			return err
		}
		resource, err := findPrincipal(a, a.tx, c.TenantID, Ref{ID: g.ResourceID})
		if err != nil {
			return err
		}
		role := fold(g.AppRoleID)
		if role == "" {
			role = defaultAppRole
		}
		if err := a.permit(writeGrant(client.ID), grantTarget(client.ID, resource.ID, role)); err != nil {
			return err
		}
		known := slices.ContainsFunc(resource.AppRoles, func(r AppRole) bool {
			return r.ID == role && r.Enabled && slices.Contains(r.MemberTypes, "Application")
		})
		if !known && (role != defaultAppRole || len(resource.AppRoles) > 0) {
			return invalid(GrantObject, "appRoleId", "the resource %q has no enabled app role %q for applications", resource.DisplayName, role)
		}
		g = Grant{ID: newID(), PrincipalID: client.ID, PrincipalName: client.DisplayName, PrincipalKind: string(client.Kind), ResourceID: resource.ID, ResourceName: resource.DisplayName, AppRoleID: role, CreatedAt: a.at}
		return a.insertGrant(g, c.TenantID)
	})
	if err != nil {
		return Grant{}, err
	}
	return g, nil
}

// mayGrant is asked before the look-ups, so that nobody can probe for ids. Who
// grants must be able to read the directory, too
// (https://learn.microsoft.com/graph/api/serviceprincipal-post-approleassignments).
func (a *act) mayGrant() error {
	if err := a.rights.authorise(a, a.tx, readApplication()); err != nil {
		return err
	}
	return a.rights.authorise(a, a.tx, writeGrant(""))
}

func writeGrant(guarded string) need {
	return need{action: "microsoft.directory/servicePrincipals/appRoleAssignedTo/update", graph: []string{writeGrants}, guarded: guarded}
}

func grantTarget(principalID, resourceID, role string) *target {
	return &target{object: GrantObject, id: principalID, name: role, detail: map[string]string{"resource": resourceID}}
}

func (a *act) insertGrant(g Grant, tenantID string) error {
	_, err := exec(a, a.tx, `INSERT INTO app_role_assignments (id, tenant_id, principal_id, resource_id, app_role_id, created_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		g.ID, tenantID, g.PrincipalID, g.ResourceID, g.AppRoleID, millis(g.CreatedAt))
	if db.IsUnique(err) {
		return exists(GrantObject, g.AppRoleID, "appRoleId")
	}
	return err
}

// RemoveGrant takes a role back. objectID is the principal that holds it or the resource that defines it.
func (d *Directory) RemoveGrant(ctx context.Context, c Caller, objectID, id string) error {
	return d.change(ctx, c, func(a *act) error {
		if err := a.mayGrant(); err != nil {
			return err
		}
		g, err := one(a, a.tx, notFound(GrantObject, id), scanGrant, `SELECT `+grantColumns+` FROM `+grantTables+` WHERE g.tenant_id = $1 AND g.id = $2 AND (g.principal_id = $3 OR g.resource_id = $3)`, c.TenantID, fold(id), fold(objectID))
		if err != nil {
			return err
		}
		t := grantTarget(g.PrincipalID, g.ResourceID, g.AppRoleID)
		t.note("removed", g.ID)
		if err := a.permit(writeGrant(g.PrincipalID), t); err != nil {
			return err
		}
		n, err := exec(a, a.tx, `DELETE FROM app_role_assignments WHERE id = $1`, g.ID)
		if err == nil && n == 0 {
			err = notFound(GrantObject, id)
		}
		return err
	})
}
