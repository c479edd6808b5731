package directory

import (
	"context"
	"errors"
	"strings"

	"github.com/entente-id/entente/internal/db"
)

// Rights are what a caller may do at one moment, for pages that offer only
// that. They are a hint: each write asks again, in its own transaction. The
// zero value may do nothing.
type Rights struct{ r rights }

// Rights reads the caller's. A principal that is gone or disabled is Unauthenticated.
func (d *Directory) Rights(ctx context.Context, c Caller) (Rights, error) {
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return Rights{}, err
	}
	return Rights{r}, nil
}

// Can says whether the caller may do an ARM action on a scope.
func (r Rights) Can(action, scope string) bool { return r.r.can(action, scope) }

// Has says whether the caller has one of some permissions of Microsoft Graph.
func (r Rights) Has(permissions ...string) bool { return r.r.has(permissions...) }

// Administrator says whether the caller administers its tenant.
func (r Rights) Administrator() bool { return r.r.administrator() }

// Touches says whether the caller holds any role on a scope, above it or below it.
func (r Rights) Touches(scope string) bool { return r.r.touches(scope) }

// MayChangeApplication says whether the caller may change an application that
// it may see, its secrets and credentials included. One that it may not see is
// an error, as from Application.
func (d *Directory) MayChangeApplication(ctx context.Context, c Caller, ref Ref) (bool, error) {
	app, err := d.Application(ctx, c, ref)
	if err != nil {
		return false, err
	}
	guarded, err := principalOf(ctx, d.DB.Read(), c.TenantID, app.ID)
	if err != nil {
		return false, err
	}
	return d.permitted(ctx, c, writeApplication("applications/basic/update", guarded, app.ID))
}

// MayWriteCredentials says whether the caller may add and change the
// federated credentials of a parent that it may see, as MayChangeApplication.
func (d *Directory) MayWriteCredentials(ctx context.Context, c Caller, ref Parent) (bool, error) {
	if ref.Application != nil {
		return d.MayChangeApplication(ctx, c, *ref.Application)
	}
	m, err := d.Identity(ctx, c, *ref.Identity)
	if err != nil {
		return false, err
	}
	n := onIdentity("federatedIdentityCredentials/write", m.IdentityRef)
	n.guarded = m.PrincipalID
	return d.permitted(ctx, c, n)
}

// permitted is permitRead with a word for Forbidden.
func (d *Directory) permitted(ctx context.Context, c Caller, n need) (bool, error) {
	err := d.permitRead(ctx, c, n)
	if e, ok := errors.AsType[*Error](err); ok && e.Kind == Forbidden {
		return false, nil
	}
	return err == nil, err
}

// principalOf finds the service principal of an application, deleted or not:
// there is at most one (removeFormerPrincipal). Empty: there is none.
func principalOf(ctx context.Context, q db.Querier, tenantID, applicationID string) (string, error) {
	ids, err := query(ctx, q, scanString, `SELECT id FROM service_principals WHERE tenant_id = $1 AND parent_id = $2`, tenantID, applicationID)
	return strings.Join(ids, ""), err
}
