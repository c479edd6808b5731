package directory

import (
	"context"
	"encoding/json"
	"maps"
	"strconv"
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
	// Extra holds members that only the wire reads, as their JSON.
	Extra        map[string]json.RawMessage
	Secrets      []Secret
	Certificates []Certificate
	CreatedAt    time.Time
	DeletedAt    time.Time // zero unless it is deleted and not yet purged

	parentID string
}

const principalColumns = `p.id, p.tenant_id, p.app_id, p.parent_id, p.kind, p.display_name, p.enabled, p.assignment_required, coalesce(a.app_roles, p.app_roles), p.tags, p.extra, p.created_at, p.deleted_at,
	coalesce(m.subscription_id, ''), coalesce(m.group_name, ''), coalesce(m.name, '')`

const principalTables = `service_principals p LEFT JOIN applications a ON a.id = p.parent_id LEFT JOIN managed_identities m ON m.id = p.parent_id`

func scanPrincipal(r row) (ServicePrincipal, error) {
	var p ServicePrincipal
	var enabled, required, createdAt, deletedAt int64
	var appRoles, tags, extra string
	var m IdentityRef
	if err := r.Scan(&p.ID, &p.TenantID, &p.AppID, &p.parentID, &p.Kind, &p.DisplayName, &enabled, &required, &appRoles, &tags, &extra, &createdAt, &deletedAt, &m.SubscriptionID, &m.Group, &m.Name); err != nil {
		return p, err
	}
	p.Enabled, p.AssignmentRequired, p.CreatedAt, p.DeletedAt = enabled != 0, required != 0, fromMillis(createdAt), fromMillis(deletedAt)
	if m.Name != "" {
		p.IdentityResourceID = m.ResourceID()
	}
	if err := fromJSON(appRoles, &p.AppRoles); err != nil {
		return p, err
	}
	if err := fromJSON(tags, &p.Tags); err != nil {
		return p, err
	}
	return p, fromJSON(extra, &p.Extra)
}

func findPrincipal(ctx context.Context, q db.Querier, tenantID string, ref Ref) (ServicePrincipal, error) {
	return findPrincipalThat(ctx, q, tenantID, ref, live)
}

func findPrincipalThat(ctx context.Context, q db.Querier, tenantID string, ref Ref, state string) (ServicePrincipal, error) {
	missing := notFound(PrincipalObject, ref.String())
	if ref.UniqueName != "" {
		return ServicePrincipal{}, missing
	}
	column, value := ref.key()
	p, err := one(ctx, q, missing, scanPrincipal, `SELECT `+principalColumns+` FROM `+principalTables+` WHERE p.tenant_id = $1 AND p.`+state+` AND p.`+column+` = $2`, tenantID, value)
	if err != nil {
		return p, err
	}
	list := []ServicePrincipal{p}
	err = fillPrincipals(ctx, q, list, true)
	return list[0], err
}

// fillPrincipals reads the URIs, secrets and certificates of service principals, each with one statement.
func fillPrincipals(ctx context.Context, q db.Querier, list []ServicePrincipal, withDER bool) error {
	if len(list) == 0 {
		return nil
	}
	ids, parents := make([]string, len(list)), make([]string, len(list))
	for i, p := range list {
		ids[i], parents[i] = p.ID, p.parentID
	}
	uris, err := urisOf(ctx, q, parents)
	if err != nil {
		return err
	}
	secrets, err := secretsOf(ctx, q, ids)
	if err != nil {
		return err
	}
	certificates, err := certificatesOf(ctx, q, ids, withDER)
	for i, p := range list {
		list[i].IdentifierURIs, list[i].Secrets, list[i].Certificates = uris[p.parentID], secrets[p.ID], certificates[p.ID]
	}
	return err
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
	if denied := r.authorise(ctx, d.DB.Read(), readApplication()); denied != nil {
		return ServicePrincipal{}, denied
	}
	if err == nil {
		err = r.authorise(ctx, d.DB.Read(), readApplication(p.ID, p.parentID))
	}
	if err != nil {
		return ServicePrincipal{}, err
	}
	return p, nil
}

// ServicePrincipals lists those that the caller may see.
func (d *Directory) ServicePrincipals(ctx context.Context, c Caller, f Filter, page Page) (Paged[ServicePrincipal], error) {
	return d.principals(ctx, c, f, page, live)
}

func (d *Directory) principals(ctx context.Context, c Caller, f Filter, page Page, state string) (Paged[ServicePrincipal], error) {
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return Paged[ServicePrincipal]{}, err
	}
	if err := r.authorise(ctx, d.DB.Read(), readApplication()); err != nil {
		return Paged[ServicePrincipal]{}, err
	}
	w := where{}
	tables, err := r.principals(ctx, d.DB.Read(), &w, state)
	if err != nil {
		return Paged[ServicePrincipal]{}, err
	}
	w.shared(d.DB, c.TenantID, "service_principals", "p", f, page)
	if f.IdentifierURI != nil {
		w.add(`(p.app_id = ? OR p.parent_id IN (SELECT application_id FROM application_uris WHERE tenant_id = ? AND uri = ?))`, fold(*f.IdentifierURI), c.TenantID, *f.IdentifierURI)
	}
	if f.PrincipalKind != nil {
		w.add(`p.kind = ?`, *f.PrincipalKind)
	}
	if f.ParentObjectID != nil {
		w.add(`p.parent_id = ?`, fold(*f.ParentObjectID))
	}
	w.never(f.UniqueName)
	all := w
	w.after("p", f.Order, page)
	items, err := query(ctx, d.DB.Read(), scanPrincipal, `SELECT `+principalColumns+` FROM `+principalTables+` WHERE `+w.first("p", tables, f.Order, page)+` ORDER BY `+f.Order.text("p"), w.args...)
	if err != nil {
		return Paged[ServicePrincipal]{}, err
	}
	p := paged(items, page, func(p ServicePrincipal) string { return f.Order.key(p.DisplayName, p.CreatedAt, p.ID) })
	if err := total(ctx, d.DB.Read(), &p, page, tables, all); err != nil {
		return Paged[ServicePrincipal]{}, err
	}
	return p, fillPrincipals(ctx, d.DB.Read(), p.Items, false)
}

// NewPrincipal is what an application's service principal is made from.
type NewPrincipal struct {
	AppID              string
	Tags               []string
	Disabled           bool
	AssignmentRequired bool
	Extra              map[string]json.RawMessage
	Certificates       []Certificate
	Owners             []string // object ids of service principals that own it from the start, besides its maker
}

// CreateServicePrincipal makes the service principal of an application of the
// tenant. A former one that was deleted cannot be restored any more.
func (d *Directory) CreateServicePrincipal(ctx context.Context, c Caller, n NewPrincipal) (ServicePrincipal, error) {
	if err := checkTags(PrincipalObject, n.Tags); err != nil {
		return ServicePrincipal{}, err
	}
	if n.AppID == "" {
		return ServicePrincipal{}, invalid(PrincipalObject, "appId", "is required")
	}
	if err := checkExtra(PrincipalObject, n.Extra); err != nil {
		return ServicePrincipal{}, err
	}
	var p ServicePrincipal
	err := d.change(ctx, c, func(a *act) error {
		t := &target{object: PrincipalObject}
		app, err := a.application("servicePrincipals/create", Ref{AppID: n.AppID}, live, t)
		if isNotFound(err) {
			return invalid(PrincipalObject, "appId", "%s", n.AppID)
		}
		if err != nil {
			return err
		}
		p = ServicePrincipal{ID: newID(), TenantID: c.TenantID, AppID: app.AppID, Kind: credential.Application, parentID: app.ID, DisplayName: app.DisplayName,
			Enabled: !n.Disabled, AssignmentRequired: n.AssignmentRequired, AppRoles: app.AppRoles, Tags: n.Tags, Extra: n.Extra, IdentifierURIs: app.IdentifierURIs, CreatedAt: a.at}
		t.id, t.name = p.ID, p.DisplayName
		t.note("appId", p.AppID)
		if err := a.removeFormerPrincipal(app.ID, t); err != nil {
			return err
		}
		if err := a.insertPrincipal(p); err != nil {
			return err
		}
		if p.Certificates, err = a.setCertificates(p.holder(), nil, n.Certificates); err != nil {
			return err
		}
		return a.ownFromTheStart(p.ID, n.Owners, t)
	})
	if err != nil {
		return ServicePrincipal{}, err
	}
	return p, nil
}

func (a *act) insertPrincipal(p ServicePrincipal) error {
	if p.parentID != "" {
		p.AppRoles = nil // an application's are read from the application
	}
	appRoles, err := toJSON(notNil(p.AppRoles))
	if err != nil {
		return err
	}
	tags, err := toJSON(notNil(p.Tags))
	if err != nil {
		return err
	}
	extra, err := extraJSON(p.Extra)
	if err != nil {
		return err
	}
	_, err = exec(a, a.tx, `INSERT INTO service_principals
		(id, tenant_id, app_id, parent_id, kind, display_name, name_sort, enabled, assignment_required, app_roles, tags, extra, revision, created_at, deleted_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1, $13, 0)`,
		p.ID, p.TenantID, p.AppID, p.parentID, string(p.Kind), p.DisplayName, sortKey(p.DisplayName), bit(p.Enabled), bit(p.AssignmentRequired), appRoles, tags, extra, millis(p.CreatedAt))
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
	Extra              *map[string]json.RawMessage // replaces those of its names; a nil value removes one
	Certificates       *[]Certificate
}

// UpdateServicePrincipal changes one. A disabled one gets no token on the very
// next request, and what it has open in the portal ends.
func (d *Directory) UpdateServicePrincipal(ctx context.Context, c Caller, ref Ref, edit PrincipalEdit) error {
	if edit.Tags != nil {
		if err := checkTags(PrincipalObject, *edit.Tags); err != nil {
			return err
		}
	}
	return d.change(ctx, c, func(a *act) error {
		t := &target{object: PrincipalObject}
		p, err := a.principal("servicePrincipals/basic/update", ref, t)
		if err != nil {
			return err
		}
		if edit.Enabled != nil {
			p.Enabled = *edit.Enabled
			t.note("accountEnabled", strconv.FormatBool(p.Enabled))
		}
		if !p.Enabled {
			if err := a.endPortal(p.ID); err != nil {
				return err
			}
		}
		if edit.AssignmentRequired != nil {
			p.AssignmentRequired = *edit.AssignmentRequired
			t.note("appRoleAssignmentRequired", strconv.FormatBool(p.AssignmentRequired))
		}
		if edit.Tags != nil {
			p.Tags = *edit.Tags
		}
		if edit.Extra != nil {
			maps.Copy(p.Extra, *edit.Extra)
			maps.DeleteFunc(p.Extra, func(_ string, value json.RawMessage) bool { return value == nil })
			if err := checkExtra(PrincipalObject, p.Extra); err != nil {
				return err
			}
		}
		if edit.Certificates != nil {
			if err := p.mayHoldKeys(); err != nil {
				return err
			}
			if _, err := a.setCertificates(p.holder(), p.Certificates, *edit.Certificates); err != nil {
				return err
			}
		}
		tags, err := toJSON(notNil(p.Tags))
		if err != nil {
			return err
		}
		extra, err := extraJSON(p.Extra)
		if err != nil {
			return err
		}
		_, err = exec(a, a.tx, `UPDATE service_principals SET enabled = $1, assignment_required = $2, tags = $3, extra = $4 WHERE id = $5`, bit(p.Enabled), bit(p.AssignmentRequired), tags, extra, p.ID)
		return err
	})
}

// mayHoldKeys refuses secrets and certificates of a managed identity: it logs
// in with its federated credentials alone.
func (p ServicePrincipal) mayHoldKeys() error {
	if p.Kind == credential.ManagedIdentity {
		return &Error{Kind: Immutable, Object: PrincipalObject, ID: p.ID, Field: "servicePrincipalType", Detail: "a managed identity has no secrets and no certificates"}
	}
	return nil
}

// DeleteServicePrincipal hides one at once; its application stays. It can be
// restored with all that was assigned to it until it is purged. A managed
// identity's goes only with the identity.
func (d *Directory) DeleteServicePrincipal(ctx context.Context, c Caller, ref Ref) error {
	return d.change(ctx, c, func(a *act) error {
		p, err := a.principal("servicePrincipals/delete", ref, &target{object: PrincipalObject})
		if err != nil {
			return err
		}
		if p.Kind == credential.ManagedIdentity {
			return &Error{Kind: Immutable, Object: PrincipalObject, ID: p.ID, Field: "servicePrincipalType", Detail: "the service principal of a managed identity is deleted with the identity"}
		}
		return a.movePrincipal(p.ID, a.at)
	})
}

// principal locks the row of a service principal, which orders the writes on
// it, and permits one. Microsoft Graph's, which every right in Graph hangs
// off, nobody changes.
func (a *act) principal(action string, ref Ref, t *target) (ServicePrincipal, error) {
	return a.principalThat(action, ref, live, t)
}

func (a *act) principalThat(action string, ref Ref, state string, t *target) (ServicePrincipal, error) {
	if err := a.rights.authorise(a, a.tx, readApplication()); err != nil {
		return ServicePrincipal{}, err // so that nobody can probe for ids
	}
	p, err := findPrincipalThat(a, a.tx, a.c.TenantID, ref, state)
	if err != nil {
		return p, err
	}
	n, err := exec(a, a.tx, `UPDATE service_principals SET revision = revision + 1 WHERE id = $1 AND `+state, p.ID)
	if err != nil || n == 0 {
		return p, notFoundOr(err, PrincipalObject, ref.String())
	}
	if t.object == PrincipalObject {
		t.id, t.name = p.ID, p.DisplayName
	} else {
		t.note("servicePrincipal", p.ID)
	}
	t.note("appId", p.AppID)
	if err := a.permit(writeApplication(action, p.ID, p.ID, p.parentID), t); err != nil {
		return p, err
	}
	if p.parentID == "" {
		return p, &Error{Kind: Immutable, Object: PrincipalObject, ID: p.ID, Field: "appId", Detail: p.DisplayName + " belongs to the service"}
	}
	return findPrincipalThat(a, a.tx, a.c.TenantID, Ref{ID: p.ID}, state) // again, now that the row is ours
}
