package directory

import "context"

// own makes a principal the owner of an object; a caller that is none owns nothing.
func (a *act) own(objectID, principalID string) error {
	if principalID == "" {
		return nil
	}
	_, err := exec(a, a.tx, `INSERT INTO owners (object_id, principal_id, tenant_id, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, objectID, principalID, a.c.TenantID, millis(a.at))
	return err
}

// Owners lists the service principals that own an application, oldest first.
func (d *Directory) Owners(ctx context.Context, c Caller, ref Ref) ([]ServicePrincipal, error) {
	app, err := d.Application(ctx, c, ref)
	if err != nil {
		return nil, err
	}
	return query(ctx, d.DB.Read(), scanPrincipal, `SELECT `+principalColumns+` FROM `+principalTables+` JOIN owners o ON o.principal_id = p.id
		WHERE o.object_id = $1 AND p.deleted_at = 0 ORDER BY o.created_at, p.id`, app.ID)
}

// AddOwner makes a service principal an owner of an application: with
// Application.ReadWrite.OwnedBy it may then do everything with it.
func (d *Directory) AddOwner(ctx context.Context, c Caller, ref Ref, principalID string) error {
	return d.change(ctx, c, func(a *act) error {
		t := &target{object: ApplicationObject}
		app, err := a.application("applications/owners/update", ref, live, t)
		if err != nil {
			return err
		}
		p, err := findPrincipal(a, a.tx, c.TenantID, Ref{ID: principalID})
		if err != nil {
			return err
		}
		t.note("ownerAdded", p.ID)
		owned, err := isOwner(a, a.tx, []string{app.ID}, p.ID)
		if err != nil {
			return err
		}
		if owned {
			return exists(ApplicationObject, p.ID, "owners")
		}
		return a.own(app.ID, p.ID)
	})
}

// RemoveOwner ends the ownership of an application.
func (d *Directory) RemoveOwner(ctx context.Context, c Caller, ref Ref, principalID string) error {
	return d.change(ctx, c, func(a *act) error {
		t := &target{object: ApplicationObject}
		app, err := a.application("applications/owners/update", ref, live, t)
		if err != nil {
			return err
		}
		if !IsID(principalID) {
			return notFound(PrincipalObject, principalID)
		}
		t.note("ownerRemoved", fold(principalID))
		n, err := exec(a, a.tx, `DELETE FROM owners WHERE object_id = $1 AND principal_id = $2`, app.ID, fold(principalID))
		if err == nil && n == 0 {
			err = notFound(PrincipalObject, principalID)
		}
		return err
	})
}
