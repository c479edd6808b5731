package directory

import (
	"context"
	"strings"
)

// own makes a principal the owner of an object; a caller that is none owns nothing.
func (a *act) own(objectID, principalID string) error {
	if principalID == "" {
		return nil
	}
	_, err := exec(a, a.tx, `INSERT INTO owners (object_id, principal_id, tenant_id, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, objectID, principalID, a.c.TenantID, millis(a.at))
	return err
}

// ownFromTheStart makes the caller and others the owners of what it makes.
func (a *act) ownFromTheStart(objectID string, others []string, t *target) error {
	if err := a.own(objectID, a.c.PrincipalID); err != nil {
		return err
	}
	for _, id := range others {
		p, err := findPrincipal(a, a.tx, a.c.TenantID, Ref{ID: id})
		if err != nil {
			return err
		}
		if err := a.own(objectID, p.ID); err != nil {
			return err
		}
	}
	if len(others) > 0 {
		t.note("ownersAdded", strings.Join(others, " "))
	}
	return nil
}

// Owners lists the service principals that own an application, oldest first.
func (d *Directory) Owners(ctx context.Context, c Caller, ref Ref) ([]ServicePrincipal, error) {
	app, err := d.Application(ctx, c, ref)
	if err != nil {
		return nil, err
	}
	return d.owners(ctx, app.ID)
}

// PrincipalOwners lists those that own a service principal, oldest first.
func (d *Directory) PrincipalOwners(ctx context.Context, c Caller, ref Ref) ([]ServicePrincipal, error) {
	p, err := d.principalWithOthers(ctx, c, ref)
	if err != nil {
		return nil, err
	}
	return d.owners(ctx, p.ID)
}

// principalWithOthers finds a service principal for a caller that is told of
// others, too: that it is the caller's own is not enough for that.
func (d *Directory) principalWithOthers(ctx context.Context, c Caller, ref Ref) (ServicePrincipal, error) {
	p, err := d.ServicePrincipal(ctx, c, ref)
	if err != nil {
		return p, err
	}
	return p, d.permitRead(ctx, c, readApplication(p.ID, p.parentID))
}

func (d *Directory) owners(ctx context.Context, objectID string) ([]ServicePrincipal, error) {
	list, err := query(ctx, d.DB.Read(), scanPrincipal, `SELECT `+principalColumns+` FROM `+principalTables+` JOIN owners o ON o.principal_id = p.id
		WHERE o.object_id = $1 AND p.deleted_at = 0 ORDER BY o.created_at, p.id`, objectID)
	if err != nil {
		return nil, err
	}
	return list, fillPrincipals(ctx, d.DB.Read(), list, false)
}

// AddOwner makes a service principal an owner of an application: with
// Application.ReadWrite.OwnedBy it may then do everything with it.
func (d *Directory) AddOwner(ctx context.Context, c Caller, ref Ref, principalID string) error {
	return d.addOwner(ctx, c, ownedApplication(ref), principalID)
}

// RemoveOwner ends the ownership of an application.
func (d *Directory) RemoveOwner(ctx context.Context, c Caller, ref Ref, principalID string) error {
	return d.removeOwner(ctx, c, ownedApplication(ref), principalID)
}

// AddPrincipalOwner makes a service principal an owner of another one, as
// AddOwner does; the application of that one is not part of it.
func (d *Directory) AddPrincipalOwner(ctx context.Context, c Caller, ref Ref, principalID string) error {
	return d.addOwner(ctx, c, ownedPrincipal(ref), principalID)
}

// RemovePrincipalOwner ends the ownership of a service principal.
func (d *Directory) RemovePrincipalOwner(ctx context.Context, c Caller, ref Ref, principalID string) error {
	return d.removeOwner(ctx, c, ownedPrincipal(ref), principalID)
}

// owned locks and permits a write of owners, and finds whose they are.
type owned func(*act) (Object, string, *target, error)

func ownedApplication(ref Ref) owned {
	return func(a *act) (Object, string, *target, error) {
		t := &target{object: ApplicationObject}
		app, err := a.application("applications/owners/update", ref, live, t)
		return t.object, app.ID, t, err
	}
}

func ownedPrincipal(ref Ref) owned {
	return func(a *act) (Object, string, *target, error) {
		t := &target{object: PrincipalObject}
		p, err := a.principal("servicePrincipals/owners/update", ref, t)
		return t.object, p.ID, t, err
	}
}

func (d *Directory) addOwner(ctx context.Context, c Caller, what owned, principalID string) error {
	return d.change(ctx, c, func(a *act) error {
		object, id, t, err := what(a)
		if err != nil {
			return err
		}
		p, err := findPrincipal(a, a.tx, c.TenantID, Ref{ID: principalID})
		if err != nil {
			return err
		}
		t.note("ownerAdded", p.ID)
		owned, err := isOwner(a, a.tx, []string{id}, p.ID)
		if err != nil {
			return err
		}
		if owned {
			return exists(object, p.ID, "owners")
		}
		return a.own(id, p.ID)
	})
}

func (d *Directory) removeOwner(ctx context.Context, c Caller, what owned, principalID string) error {
	return d.change(ctx, c, func(a *act) error {
		_, id, t, err := what(a)
		if err != nil {
			return err
		}
		if !IsID(principalID) {
			return notFound(PrincipalObject, principalID)
		}
		t.note("ownerRemoved", fold(principalID))
		n, err := exec(a, a.tx, `DELETE FROM owners WHERE object_id = $1 AND principal_id = $2`, id, fold(principalID))
		if err == nil && n == 0 {
			err = notFound(PrincipalObject, principalID)
		}
		return err
	})
}
