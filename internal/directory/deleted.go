package directory

import (
	"context"
	"time"
)

// DeleteApplication hides an application with its service principal,
// credentials and secrets at once. It keeps its unique name and its URIs until
// it is purged, so that it can be restored.
func (d *Directory) DeleteApplication(ctx context.Context, c Caller, ref Ref) error {
	return d.change(ctx, c, func(a *act) error {
		app, err := a.application("applications/delete", ref, live, &target{object: ApplicationObject})
		if err != nil {
			return err
		}
		return a.moveApplication(app.ID, time.Time{}, a.at)
	})
}

// moveApplication moves an application, and the service principal that is where
// it is, from one time of deletion to another; the zero time means that they
// are there. A service principal that was deleted before its application stays so.
func (a *act) moveApplication(id string, from, to time.Time) error {
	if _, err := exec(a, a.tx, `UPDATE applications SET deleted_at = $1 WHERE id = $2`, millis(to), id); err != nil {
		return err
	}
	moved, err := query(a, a.tx, scanString, `UPDATE service_principals SET deleted_at = $1, revision = revision + 1 WHERE parent_id = $2 AND deleted_at = $3 RETURNING id`, millis(to), id, millis(from))
	if err != nil {
		return err
	}
	for _, principal := range moved {
		if err := a.endPortal(principal); err != nil {
			return err
		}
	}
	return nil
}

func (a *act) movePrincipal(id string, to time.Time) error {
	if _, err := exec(a, a.tx, `UPDATE service_principals SET deleted_at = $1 WHERE id = $2`, millis(to), id); err != nil {
		return err
	}
	return a.endPortal(id)
}

// DeletedApplications lists those that can be restored, as Applications does.
func (d *Directory) DeletedApplications(ctx context.Context, c Caller, f Filter, page Page) (Paged[Application], error) {
	return d.applications(ctx, c, f, page, deleted)
}

// DeletedServicePrincipals lists those that can be restored, with those that were deleted with their applications.
func (d *Directory) DeletedServicePrincipals(ctx context.Context, c Caller, f Filter, page Page) (Paged[ServicePrincipal], error) {
	return d.principals(ctx, c, f, page, deleted)
}

// RestoreApplication brings a deleted application back, by its object id, with
// all it had, its service principal among it.
func (d *Directory) RestoreApplication(ctx context.Context, c Caller, id string) (Application, error) {
	var app Application
	err := d.change(ctx, c, func(a *act) (err error) {
		if app, err = a.application("deletedItems/applications/restore", Ref{ID: id}, deleted, &target{object: ApplicationObject}); err != nil {
			return err
		}
		from := app.DeletedAt
		app.DeletedAt = time.Time{}
		return a.moveApplication(app.ID, from, app.DeletedAt)
	})
	if err != nil {
		return Application{}, err
	}
	return app, nil
}

// RestoreServicePrincipal brings a deleted service principal back, by its
// object id, with all that was assigned to it. One that is there already, as it
// is when its application was restored, is there after it as well.
func (d *Directory) RestoreServicePrincipal(ctx context.Context, c Caller, id string) (ServicePrincipal, error) {
	var p ServicePrincipal
	err := d.change(ctx, c, func(a *act) (err error) {
		if err := a.rights.authorise(a, a.tx, readApplication()); err != nil {
			return err
		}
		// The application first, as in the writes of both that begin with it.
		n, err := exec(a, a.tx, `UPDATE applications SET revision = revision + 1 WHERE deleted_at = 0 AND id = (SELECT parent_id FROM service_principals WHERE tenant_id = $1 AND id = $2)`, c.TenantID, fold(id))
		if err != nil {
			return err
		}
		if p, err = a.principalThat("deletedItems/servicePrincipals/restore", Ref{ID: id}, either, &target{object: PrincipalObject}); err != nil || p.DeletedAt.IsZero() {
			return err
		}
		if n == 0 {
			return invalid(PrincipalObject, "appId", "%s", p.AppID)
		}
		p.DeletedAt = time.Time{}
		return a.movePrincipal(p.ID, p.DeletedAt)
	})
	if err != nil {
		return ServicePrincipal{}, err
	}
	return p, nil
}

// PurgeApplication removes a deleted application for good, by its object id.
func (d *Directory) PurgeApplication(ctx context.Context, c Caller, id string) error {
	return d.change(ctx, c, func(a *act) error {
		app, err := a.application("deletedItems/applications/delete", Ref{ID: id}, deleted, &target{object: ApplicationObject})
		if err != nil {
			return err
		}
		return a.removeApplication(app.ID)
	})
}

// PurgeServicePrincipal removes a deleted service principal for good, by its object id.
func (d *Directory) PurgeServicePrincipal(ctx context.Context, c Caller, id string) error {
	return d.change(ctx, c, func(a *act) error {
		p, err := a.principalThat("deletedItems/servicePrincipals/delete", Ref{ID: id}, deleted, &target{object: PrincipalObject})
		if err != nil {
			return err
		}
		return a.removePrincipal(p.ID)
	})
}

// removeFormerPrincipal removes the deleted service principal of an
// application that gets a new one, so that there is never more than one.
func (a *act) removeFormerPrincipal(applicationID string, t *target) error {
	former, err := query(a, a.tx, scanString, `SELECT id FROM service_principals WHERE parent_id = $1 AND deleted_at > 0`, applicationID)
	if err != nil {
		return err
	}
	for _, id := range former {
		t.note("replaced", id)
		if err := a.removePrincipal(id); err != nil {
			return err
		}
	}
	return nil
}

// purgeAtOnce is how many objects of a type one call of Purge removes of a tenant.
const purgeAtOnce = 100

// Purge removes applications and service principals that were deleted longer ago than KeepDeleted,
// implicit issuers that no credential and no cluster names any more, the links and sessions of the
// portal that have ended, and the memory of used assertions that have expired. Each goes in a transaction of its own, and one
// that cannot go, which is logged, does not keep the others.
func (d *Directory) Purge(ctx context.Context) error {
	keep := d.KeepDeleted
	if keep == 0 {
		keep = defaultKeepDeleted
	}
	tenants, err := d.TenantIDs(ctx)
	if err != nil {
		return err
	}
	for _, tenantID := range tenants {
		c := System(tenantID, "purge")
		old, err := query(ctx, d.DB.Read(), scanString, `SELECT id FROM applications WHERE tenant_id = $1 AND deleted_at > 0 AND deleted_at < $2 LIMIT $3`, tenantID, millis(d.now().Add(-keep)), purgeAtOnce)
		if err != nil {
			return err
		}
		for _, id := range old {
			if err := d.PurgeApplication(ctx, c, id); err != nil && !isNotFound(err) {
				d.log().ErrorContext(ctx, "cannot purge an application", "tenant", tenantID, "application", id, "error", err)
			}
		}
		old, err = query(ctx, d.DB.Read(), scanString, `SELECT id FROM service_principals WHERE tenant_id = $1 AND deleted_at > 0 AND deleted_at < $2 LIMIT $3`, tenantID, millis(d.now().Add(-keep)), purgeAtOnce)
		if err != nil {
			return err
		}
		for _, id := range old {
			if err := d.PurgeServicePrincipal(ctx, c, id); err != nil && !isNotFound(err) {
				d.log().ErrorContext(ctx, "cannot purge a service principal", "tenant", tenantID, "principal", id, "error", err)
			}
		}
		unnamed, err := query(ctx, d.DB.Read(), scanString, `SELECT name FROM issuers WHERE tenant_id = $1 AND implicit = 1 AND url NOT IN (SELECT issuer FROM credentials WHERE tenant_id = $1) AND url NOT IN (SELECT issuer_url FROM clusters WHERE tenant_id = $1) LIMIT $2`, tenantID, purgeAtOnce)
		if err != nil {
			return err
		}
		for _, name := range unnamed {
			if err := d.removeIssuer(ctx, c, name, true); err != nil && !isNotFound(err) {
				d.log().ErrorContext(ctx, "cannot purge an issuer", "tenant", tenantID, "issuer", name, "error", err)
			}
		}
	}
	if err := d.forgetPortal(ctx); err != nil {
		return err
	}
	return d.forgetAssertions(ctx)
}

func (a *act) removeApplication(id string) error {
	principals, err := query(a, a.tx, scanString, `SELECT id FROM service_principals WHERE parent_id = $1`, id)
	if err != nil {
		return err
	}
	for _, principal := range principals {
		if err := a.removePrincipal(principal); err != nil {
			return err
		}
	}
	return a.removeAll(id,
		`DELETE FROM application_uris WHERE application_id = $1`,
		`DELETE FROM secrets WHERE holder_id = $1`,
		`DELETE FROM certificates WHERE holder_id = $1`,
		`DELETE FROM credentials WHERE parent_id = $1`,
		`DELETE FROM owners WHERE object_id = $1`,
		`DELETE FROM applications WHERE id = $1`)
}

// removePrincipal removes a service principal and all that was assigned to it or on it.
func (a *act) removePrincipal(id string) error {
	return a.removeAll(id,
		`DELETE FROM app_role_assignments WHERE principal_id = $1 OR resource_id = $1`,
		`DELETE FROM role_assignments WHERE principal_id = $1`,
		`DELETE FROM owners WHERE object_id = $1 OR principal_id = $1`,
		`DELETE FROM secrets WHERE holder_id = $1`,
		`DELETE FROM certificates WHERE holder_id = $1`,
		`DELETE FROM portal_links WHERE principal_id = $1`,
		`DELETE FROM portal_sessions WHERE principal_id = $1`,
		`DELETE FROM service_principals WHERE id = $1`)
}

func (a *act) removeAll(id string, statements ...string) error {
	for _, text := range statements {
		if _, err := exec(a, a.tx, text, id); err != nil {
			return err
		}
	}
	return nil
}
