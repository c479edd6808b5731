package directory

import (
	"context"
	"errors"
	"time"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/db"
)

// ServicePrincipal is what holds rights in a tenant: an application's, or a
// user-assigned managed identity's, which is made and removed with it.
type ServicePrincipal struct {
	ID                 string // object id
	TenantID           string
	AppID              string // client id
	Kind               credential.ParentKind
	DisplayName        string
	Enabled            bool
	AssignmentRequired bool // as a resource: only assigned clients get tokens for it
	AppRoles           []AppRole
	Tags               []string
	IdentityResourceID string   // ARM id, of a managed identity
	IdentifierURIs     []string // of its application
	CreatedAt          time.Time

	parentID string
}

const principalColumns = `p.id, p.tenant_id, p.app_id, p.parent_id, p.kind, p.display_name, p.enabled, p.assignment_required, coalesce(a.app_roles, p.app_roles), p.tags, p.created_at,
	coalesce(m.subscription_id, ''), coalesce(m.group_name, ''), coalesce(m.name, '')`

const principalTables = `service_principals p LEFT JOIN applications a ON a.id = p.parent_id LEFT JOIN managed_identities m ON m.id = p.parent_id`

func scanPrincipal(r row) (ServicePrincipal, error) {
	var p ServicePrincipal
	var enabled, required, createdAt int64
	var appRoles, tags string
	var m IdentityRef
	if err := r.Scan(&p.ID, &p.TenantID, &p.AppID, &p.parentID, &p.Kind, &p.DisplayName, &enabled, &required, &appRoles, &tags, &createdAt, &m.SubscriptionID, &m.Group, &m.Name); err != nil {
		return p, err
	}
	p.Enabled, p.AssignmentRequired, p.CreatedAt = enabled != 0, required != 0, fromMillis(createdAt)
	if m.Name != "" {
		p.IdentityResourceID = m.ResourceID()
	}
	if err := fromJSON(appRoles, &p.AppRoles); err != nil {
		return p, err
	}
	return p, fromJSON(tags, &p.Tags)
}

func findPrincipal(ctx context.Context, q db.Querier, tenantID string, ref Ref) (ServicePrincipal, error) {
	column, value := "p.id", fold(ref.ID)
	if ref.AppID != "" {
		column, value = "p.app_id", fold(ref.AppID)
	}
	p, err := one(q.QueryRowContext(ctx, `SELECT `+principalColumns+` FROM `+principalTables+` WHERE p.tenant_id = $1 AND p.deleted_at = 0 AND `+column+` = $2`, tenantID, value),
		scanPrincipal, notFound(PrincipalObject, ref.String()))
	if err != nil {
		return p, err
	}
	p.IdentifierURIs, err = query(ctx, q, scanString, `SELECT uri FROM application_uris WHERE application_id = $1 ORDER BY position`, p.parentID)
	return p, err
}

// ServicePrincipal reads one.
func (d *Directory) ServicePrincipal(ctx context.Context, c Caller, ref Ref) (ServicePrincipal, error) {
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return ServicePrincipal{}, err
	}
	p, err := findPrincipal(ctx, d.DB.Read(), c.TenantID, ref)
	if err == nil && p.ID == c.PrincipalID {
		return p, nil // everybody may see itself
	}
	if denied := d.authorise(ctx, d.DB.Read(), r, readApplication("")); denied != nil {
		return ServicePrincipal{}, denied
	}
	if err != nil {
		return ServicePrincipal{}, err
	}
	return p, d.authoriseOwned(ctx, d.DB.Read(), r, p)
}

// authoriseOwned lets an owner of the service principal or of its application read it.
func (d *Directory) authoriseOwned(ctx context.Context, q db.Querier, r rights, p ServicePrincipal) error {
	err := d.authorise(ctx, q, r, readApplication(p.ID))
	if err != nil && p.parentID != "" {
		err = d.authorise(ctx, q, r, readApplication(p.parentID))
	}
	return err
}

// ServicePrincipals lists those that the caller may see, by display name without case.
func (d *Directory) ServicePrincipals(ctx context.Context, c Caller, f Filter, page Page) (Paged[ServicePrincipal], error) {
	r, err := d.permitRead(ctx, c, readApplication(""))
	if err != nil {
		return Paged[ServicePrincipal]{}, err
	}
	w := where{}
	w.add(`p.tenant_id = ?`, c.TenantID)
	w.add(`p.deleted_at = 0`)
	if !r.has(mayRead...) {
		w.add(`(p.id IN (SELECT object_id FROM owners WHERE principal_id = ?) OR p.parent_id IN (SELECT object_id FROM owners WHERE principal_id = ?))`, c.PrincipalID, c.PrincipalID)
	}
	w.filter("p", f)
	if f.IdentifierURI != nil {
		w.add(`(p.app_id = ? OR p.parent_id IN (SELECT application_id FROM application_uris WHERE tenant_id = ? AND uri = ?))`, fold(*f.IdentifierURI), c.TenantID, *f.IdentifierURI)
	}
	if f.PrincipalKind != nil {
		w.add(`p.kind = ?`, *f.PrincipalKind)
	}
	w.after("p", page)
	items, err := query(ctx, d.DB.Read(), scanPrincipal, `SELECT `+principalColumns+` FROM `+principalTables+` WHERE `+w.text()+` ORDER BY p.name_sort, p.id LIMIT `+w.arg(page.limit()+1), w.args...)
	if err != nil {
		return Paged[ServicePrincipal]{}, err
	}
	p := paged(items, page, func(p ServicePrincipal) string { return sortKey(p.DisplayName) + "." + p.ID })
	for i := range p.Items {
		if p.Items[i].IdentifierURIs, err = query(ctx, d.DB.Read(), scanString, `SELECT uri FROM application_uris WHERE application_id = $1 ORDER BY position`, p.Items[i].parentID); err != nil {
			return p, err
		}
	}
	return p, nil
}

// NewPrincipal is what an application's service principal is made from.
type NewPrincipal struct {
	AppID              string
	Tags               []string
	Disabled           bool
	AssignmentRequired bool
}

// CreateServicePrincipal makes the service principal of an application of the tenant.
func (d *Directory) CreateServicePrincipal(ctx context.Context, c Caller, n NewPrincipal) (ServicePrincipal, error) {
	var p ServicePrincipal
	for _, tag := range n.Tags {
		if err := checkText(PrincipalObject, "tags", tag, 256); err != nil || len(n.Tags) > maxListed {
			return p, invalid(PrincipalObject, "tags", "at most %d tags of 256 characters", maxListed)
		}
	}
	err := d.change(ctx, c, func(a *act) error {
		app, err := findApplication(a, a.tx, c.TenantID, Ref{AppID: n.AppID})
		if err != nil {
			if denied := a.hide(err); denied != err {
				return denied
			}
			return invalid(PrincipalObject, "appId", "%s", n.AppID)
		}
		p = ServicePrincipal{ID: newID(), TenantID: c.TenantID, AppID: app.AppID, Kind: credential.Application, parentID: app.ID, DisplayName: app.DisplayName,
			Enabled: !n.Disabled, AssignmentRequired: n.AssignmentRequired, AppRoles: app.AppRoles, Tags: n.Tags, IdentifierURIs: app.IdentifierURIs, CreatedAt: a.at}
		if err := a.permit(writeApplication("servicePrincipals/create", app.ID, ""), &target{object: PrincipalObject, id: p.ID, name: p.DisplayName, detail: map[string]string{"appId": app.AppID}}); err != nil {
			return err
		}
		if err := a.insertPrincipal(p); err != nil {
			return err
		}
		return a.own(p.ID)
	})
	if err != nil {
		return ServicePrincipal{}, err
	}
	return p, nil
}

func (a *act) insertPrincipal(p ServicePrincipal) error {
	if p.AppRoles == nil || p.parentID != "" { // an application's are read from the application
		p.AppRoles = []AppRole{}
	}
	appRoles, err := toJSON(p.AppRoles)
	if err != nil {
		return err
	}
	if p.Tags == nil {
		p.Tags = []string{}
	}
	tags, err := toJSON(p.Tags)
	if err != nil {
		return err
	}
	_, err = exec(a, a.tx, `INSERT INTO service_principals
		(id, tenant_id, app_id, parent_id, kind, display_name, name_sort, enabled, assignment_required, app_roles, tags, revision, created_at, deleted_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 1, $12, 0)`,
		p.ID, p.TenantID, p.AppID, p.parentID, string(p.Kind), p.DisplayName, sortKey(p.DisplayName), bit(p.Enabled), bit(p.AssignmentRequired), appRoles, tags, millis(p.CreatedAt))
	if db.IsUnique(err) {
		return exists(PrincipalObject, p.AppID, "appId")
	}
	return err
}

// PrincipalEdit changes a service principal; nil members stay as they are.
type PrincipalEdit struct {
	Enabled            *bool
	AssignmentRequired *bool
	Tags               *[]string
}

// UpdateServicePrincipal changes one. A disabled one gets no token on the very next request.
func (d *Directory) UpdateServicePrincipal(ctx context.Context, c Caller, ref Ref, edit PrincipalEdit) error {
	return d.change(ctx, c, func(a *act) error {
		p, err := a.permitOnPrincipal("servicePrincipals/basic/update", ref)
		if err != nil {
			return err
		}
		if edit.Enabled != nil {
			p.Enabled = *edit.Enabled
		}
		if edit.AssignmentRequired != nil {
			p.AssignmentRequired = *edit.AssignmentRequired
		}
		if edit.Tags != nil {
			p.Tags = *edit.Tags
		}
		if p.Tags == nil {
			p.Tags = []string{}
		}
		tags, err := toJSON(p.Tags)
		if err != nil {
			return err
		}
		_, err = exec(a, a.tx, `UPDATE service_principals SET enabled = $1, assignment_required = $2, tags = $3, revision = revision + 1 WHERE id = $4`, bit(p.Enabled), bit(p.AssignmentRequired), tags, p.ID)
		return err
	})
}

// DeleteServicePrincipal hides one; its application stays. A managed identity's goes only with the identity.
func (d *Directory) DeleteServicePrincipal(ctx context.Context, c Caller, ref Ref) error {
	return d.change(ctx, c, func(a *act) error {
		p, err := a.permitOnPrincipal("servicePrincipals/delete", ref)
		if err != nil {
			return err
		}
		if p.Kind == credential.ManagedIdentity {
			return &Error{Kind: Immutable, Object: PrincipalObject, ID: p.ID, Field: "servicePrincipalType", Detail: "the service principal of a managed identity is deleted with the identity"}
		}
		_, err = exec(a, a.tx, `UPDATE service_principals SET deleted_at = $1, revision = revision + 1 WHERE id = $2`, millis(a.at), p.ID)
		return err
	})
}

func (a *act) permitOnPrincipal(action string, ref Ref) (ServicePrincipal, error) {
	p, err := findPrincipal(a, a.tx, a.c.TenantID, ref)
	if err != nil {
		return p, a.hide(err)
	}
	t := &target{object: PrincipalObject, id: p.ID, name: p.DisplayName}
	err = a.permit(writeApplication(action, p.ID, p.ID), t)
	if e, ok := errors.AsType[*Error](err); ok && e.Kind == Forbidden && p.parentID != "" {
		err = a.permit(writeApplication(action, p.parentID, p.ID), t) // an owner of the application
	}
	return p, err
}
