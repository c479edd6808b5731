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
		return a.setDeleted(app.ID, a.at)
	})
}

func (a *act) setDeleted(applicationID string, at time.Time) error {
	for _, text := range []string{
		`UPDATE applications SET deleted_at = $1 WHERE id = $2`,
		`UPDATE service_principals SET deleted_at = $1, revision = revision + 1 WHERE parent_id = $2`,
	} {
		if _, err := exec(a, a.tx, text, millis(at), applicationID); err != nil {
			return err
		}
	}
	return nil
}

// DeletedApplications lists those that can be restored, as Applications does.
func (d *Directory) DeletedApplications(ctx context.Context, c Caller, f Filter, page Page) (Paged[Application], error) {
	return d.applications(ctx, c, f, page, deleted)
}

// RestoreApplication brings a deleted application back, by its object id, with all it had.
func (d *Directory) RestoreApplication(ctx context.Context, c Caller, id string) (Application, error) {
	var app Application
	err := d.change(ctx, c, func(a *act) (err error) {
		if app, err = a.application("deletedItems/applications/restore", Ref{ID: id}, deleted, &target{object: ApplicationObject}); err != nil {
			return err
		}
		app.DeletedAt = time.Time{}
		return a.setDeleted(app.ID, time.Time{})
	})
	if err != nil {
		return Application{}, err
	}
	return app, nil
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

// purgeAtOnce is how many objects of a type one call of Purge removes of a tenant.
const purgeAtOnce = 100

// Purge removes applications that were deleted longer ago than KeepDeleted,
// and implicit issuers that no credential names any more. Each goes in a
// transaction of its own, and one that cannot go, which is logged, does not
// keep the others.
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
		unnamed, err := query(ctx, d.DB.Read(), scanString, `SELECT name FROM issuers WHERE tenant_id = $1 AND implicit = 1 AND url NOT IN (SELECT issuer FROM credentials WHERE tenant_id = $1) LIMIT $2`, tenantID, purgeAtOnce)
		if err != nil {
			return err
		}
		for _, name := range unnamed {
			if err := d.removeIssuer(ctx, c, name, true); err != nil && !isNotFound(err) {
				d.log().ErrorContext(ctx, "cannot purge an issuer", "tenant", tenantID, "issuer", name, "error", err)
			}
		}
	}
	return nil
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
