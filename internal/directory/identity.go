package directory

import (
	"context"
	"time"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/db"
)

// Identity is a user-assigned managed identity.
type Identity struct {
	IdentityRef
	TenantID       string
	PrincipalID    string // object id of its service principal
	ClientID       string
	Location       string
	Tags           map[string]string
	IsolationScope string // None or Regional; empty: not set
	CreatedAt      time.Time
}

// IdentityRef names a managed identity as ARM does, without case.
type IdentityRef struct{ SubscriptionID, Group, Name string }

const identityProvider = "Microsoft.ManagedIdentity/userAssignedIdentities"

// ResourceID is the ARM id, with "resourcegroups" in lower case as Azure
// spells it for this provider.
func (r IdentityRef) ResourceID() string {
	return "/subscriptions/" + fold(r.SubscriptionID) + "/resourcegroups/" + r.Group + "/providers/" + identityProvider + "/" + r.Name
}

const identityColumns = `id, client_id, tenant_id, subscription_id, group_name, name, location, tags, isolation_scope, created_at`

func scanIdentity(r row) (Identity, error) {
	var m Identity
	var tags string
	var createdAt int64
	if err := r.Scan(&m.PrincipalID, &m.ClientID, &m.TenantID, &m.SubscriptionID, &m.Group, &m.Name, &m.Location, &tags, &m.IsolationScope, &createdAt); err != nil {
		return m, err
	}
	m.CreatedAt = fromMillis(createdAt)
	return m, fromJSON(tags, &m.Tags)
}

func findIdentity(ctx context.Context, q db.Querier, tenantID string, ref IdentityRef) (Identity, error) {
	return one(ctx, q, ref.missing(), scanIdentity, `SELECT `+identityColumns+` FROM managed_identities WHERE `+identityIs, tenantID, fold(ref.SubscriptionID), fold(ref.Group), fold(ref.Name))
}

// lockIdentity finds an identity and locks its row, which orders all writes below it.
func (a *act) lockIdentity(ref IdentityRef) (Identity, error) {
	return one(a, a.tx, ref.missing(), scanIdentity, `UPDATE managed_identities SET revision = revision + 1 WHERE `+identityIs+` RETURNING `+identityColumns,
		a.c.TenantID, fold(ref.SubscriptionID), fold(ref.Group), fold(ref.Name))
}

const identityIs = `tenant_id = $1 AND subscription_id = $2 AND group_key = $3 AND name_key = $4`

func (r IdentityRef) missing() *Error {
	return &Error{Kind: NotFound, Object: IdentityObject, ID: r.Name, Group: r.Group}
}

// onIdentity is the need for a right on a managed identity, or on what hangs off it.
func onIdentity(verb string, ref IdentityRef) need {
	return need{action: identityProvider + "/" + verb, scope: ref.ResourceID()}
}

// Identity reads one.
func (d *Directory) Identity(ctx context.Context, c Caller, ref IdentityRef) (Identity, error) {
	return d.identity(ctx, c, ref, "read")
}

// identity reads one for a caller with a right on it.
func (d *Directory) identity(ctx context.Context, c Caller, ref IdentityRef, verb string) (Identity, error) {
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return Identity{}, err
	}
	if _, err := r.inGroup(ctx, d.DB.Read(), ref.SubscriptionID, ref.Group, onIdentity(verb, ref)); err != nil {
		return Identity{}, err
	}
	return findIdentity(ctx, d.DB.Read(), c.TenantID, ref)
}

// Identities lists those of a subscription, or of one group, that the caller
// may read, by group and name without case; with no subscription those of the
// tenant, by name. A search is in the name, and for a client id.
func (d *Directory) Identities(ctx context.Context, c Caller, subscriptionID, group string, page Page) (Paged[Identity], error) {
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return Paged[Identity]{}, err
	}
	w := where{}
	read := identityProvider + "/read"
	order, err := r.resources(ctx, d.DB.Read(), &w, subscriptionID, group, identityProvider, read)
	if err != nil {
		return Paged[Identity]{}, err
	}
	w.named(d.DB, page.Search, `r.name_key`, nil, `r.id`, `r.client_id`)
	all := w
	w.past(page, order...)
	items, err := query(ctx, d.DB.Read(), scanIdentity, `SELECT `+identityColumns+` FROM managed_identities r WHERE `+w.text()+` ORDER BY `+page.order(order...)+` LIMIT `+w.arg(page.limit()+1), w.args...)
	if err != nil {
		return Paged[Identity]{}, err
	}
	p := paged(items, page, func(m Identity) string { return resourceKey(order, m.SubscriptionID, m.Group, m.Name) })
	err = total(ctx, d.DB.Read(), &p, page, "managed_identities r", all)
	p.Items = readable(p.Items, func(m Identity) bool { return r.can(read, m.ResourceID()) })
	return p, err
}

// IdentityEdit changes an identity; nil members stay as they are.
type IdentityEdit struct {
	Tags           *map[string]string
	IsolationScope *string
}

// PutIdentity makes one with its service principal, or changes the tags of the one that is there; its ids stay.
func (d *Directory) PutIdentity(ctx context.Context, c Caller, m Identity) (put Identity, created bool, err error) {
	if !identityName.MatchString(m.Name) {
		return Identity{}, false, invalid(IdentityObject, "name", "%q: 3 to 128 letters, digits, - and _, the first a letter or digit", m.Name)
	}
	return d.writeIdentity(ctx, c, m.IdentityRef, func(old *Identity) (Identity, error) {
		if old == nil {
			if m.Location == "" {
				return m, invalid(IdentityObject, "location", "is required")
			}
			return m, nil
		}
		if m.Location != "" && fold(m.Location) != fold(old.Location) {
			return m, &Error{Kind: Immutable, Object: IdentityObject, ID: old.Name, Field: "location", Detail: old.Location}
		}
		put := *old
		put.Tags = m.Tags
		if m.IsolationScope != "" {
			put.IsolationScope = m.IsolationScope
		}
		return put, nil
	})
}

// UpdateIdentity changes parts of one.
func (d *Directory) UpdateIdentity(ctx context.Context, c Caller, ref IdentityRef, e IdentityEdit) (Identity, error) {
	put, _, err := d.writeIdentity(ctx, c, ref, func(old *Identity) (Identity, error) {
		if old == nil {
			return Identity{}, ref.missing()
		}
		put := *old
		if e.Tags != nil {
			put.Tags = *e.Tags
		}
		if e.IsolationScope != nil {
			put.IsolationScope = *e.IsolationScope
		}
		return put, nil
	})
	return put, err
}

// writeIdentity is every write of an identity but its end: decide gets the one
// that is there, or nil, and says what it shall become.
func (d *Directory) writeIdentity(ctx context.Context, c Caller, ref IdentityRef, decide func(old *Identity) (Identity, error)) (put Identity, created bool, err error) {
	err = d.change(ctx, c, func(a *act) error {
		t := &target{object: IdentityObject}
		if _, err := a.permitInGroup(ref.SubscriptionID, ref.Group, onIdentity("write", ref), t); err != nil {
			return err
		}
		old, err := a.lockIdentity(ref)
		was := &old
		if created = isNotFound(err); created {
			was, err = nil, nil
		}
		if err != nil {
			return err
		}
		if put, err = decide(was); err != nil {
			return err
		}
		if err := checkPlace(IdentityObject, put.Location, put.Tags); err != nil {
			return err
		}
		if put.IsolationScope != "" && put.IsolationScope != "None" && put.IsolationScope != "Regional" {
			return invalid(IdentityObject, "isolationScope", "%q is neither None nor Regional", put.IsolationScope)
		}
		if created {
			put.SubscriptionID, put.TenantID = fold(ref.SubscriptionID), c.TenantID
			put.PrincipalID, put.ClientID, put.CreatedAt = newID(), newID(), a.at
		}
		t.id, t.name = put.ResourceID(), put.Name
		t.note("principalId", put.PrincipalID)
		if created {
			return a.insertIdentity(put)
		}
		return a.updateIdentity(put)
	})
	if err != nil {
		return Identity{}, false, err
	}
	return put, created, nil
}

// DeleteIdentity removes one for good, with its service principal, credentials and assignments.
func (d *Directory) DeleteIdentity(ctx context.Context, c Caller, ref IdentityRef) error {
	return d.change(ctx, c, func(a *act) error {
		if _, err := a.rights.inGroup(a, a.tx, ref.SubscriptionID, ref.Group, onIdentity("delete", ref)); err != nil {
			return err
		}
		if _, err := a.lockGroup(ref.SubscriptionID, ref.Group); err != nil {
			return err
		}
		m, err := findIdentity(a, a.tx, c.TenantID, ref)
		if err != nil {
			return err
		}
		return a.removeIdentity(m)
	})
}

func (a *act) insertIdentity(m Identity) error {
	tags, err := tagsJSON(m.Tags)
	if err != nil {
		return err
	}
	if _, err := exec(a, a.tx, `INSERT INTO managed_identities
		(id, tenant_id, client_id, subscription_id, group_key, group_name, name_key, name, location, tags, isolation_scope, revision, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 1, $12)`,
		m.PrincipalID, m.TenantID, m.ClientID, m.SubscriptionID, fold(m.Group), m.Group, fold(m.Name), m.Name, m.Location, tags, m.IsolationScope, millis(m.CreatedAt)); err != nil {
		return err
	}
	return a.insertPrincipal(ServicePrincipal{ID: m.PrincipalID, TenantID: m.TenantID, AppID: m.ClientID, Kind: credential.ManagedIdentity, parentID: m.PrincipalID,
		DisplayName: m.Name, Enabled: true, CreatedAt: m.CreatedAt})
}

func (a *act) updateIdentity(m Identity) error {
	tags, err := tagsJSON(m.Tags)
	if err != nil {
		return err
	}
	_, err = exec(a, a.tx, `UPDATE managed_identities SET tags = $1, isolation_scope = $2 WHERE id = $3`, tags, m.IsolationScope, m.PrincipalID)
	return err
}

// removeIdentity removes an identity of a group whose row is locked.
func (a *act) removeIdentity(m Identity) error {
	n := onIdentity("delete", m.IdentityRef)
	n.guarded = m.PrincipalID
	if err := a.permit(n, &target{object: IdentityObject, id: m.ResourceID(), name: m.Name, detail: map[string]string{"principalId": m.PrincipalID}}); err != nil {
		return err
	}
	if _, err := a.lockIdentity(m.IdentityRef); err != nil { // or a credential could slip in
		return err
	}
	if err := a.removePrincipal(m.PrincipalID); err != nil {
		return err
	}
	if err := a.removeAssignmentsAt(m.ResourceID()); err != nil {
		return err
	}
	return a.removeAll(m.PrincipalID, `DELETE FROM credentials WHERE parent_id = $1`, `DELETE FROM managed_identities WHERE id = $1`)
}
