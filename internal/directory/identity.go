package directory

import (
	"context"
	"regexp"
	"strings"
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
	missing := notFound(IdentityObject, ref.Name)
	missing.Group = ref.Group
	return one(q.QueryRowContext(ctx, `SELECT `+identityColumns+` FROM managed_identities WHERE tenant_id = $1 AND subscription_id = $2 AND group_key = $3 AND name_key = $4`,
		tenantID, fold(ref.SubscriptionID), fold(ref.Group), fold(ref.Name)), scanIdentity, missing)
}

// Identity reads one.
func (d *Directory) Identity(ctx context.Context, c Caller, ref IdentityRef) (Identity, error) {
	if err := d.groupThere(ctx, c, ref.SubscriptionID, ref.Group, need{action: identityProvider + "/read", scope: ref.ResourceID()}); err != nil {
		return Identity{}, err
	}
	return findIdentity(ctx, d.DB.Read(), c.TenantID, ref)
}

// groupThere checks a right on something in a group, and that the group is there.
func (d *Directory) groupThere(ctx context.Context, c Caller, subscriptionID, group string, n need) error {
	if _, err := d.Subscription(ctx, c, subscriptionID); err != nil {
		return err
	}
	if _, err := d.permitRead(ctx, c, n); err != nil {
		return err
	}
	_, err := findGroup(ctx, d.DB.Read(), c.TenantID, subscriptionID, group)
	return err
}

// Identities lists those of a subscription, or of one group, that the caller may read.
func (d *Directory) Identities(ctx context.Context, c Caller, subscriptionID, group string, page Page) (Paged[Identity], error) {
	if group != "" {
		if err := d.groupThere(ctx, c, subscriptionID, group, need{action: identityProvider + "/read", scope: groupScope(subscriptionID, group)}); err != nil {
			return Paged[Identity]{}, err
		}
	} else if _, err := d.Subscription(ctx, c, subscriptionID); err != nil {
		return Paged[Identity]{}, err
	}
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return Paged[Identity]{}, err
	}
	w := where{}
	w.add(`tenant_id = ?`, c.TenantID)
	w.add(`subscription_id = ?`, fold(subscriptionID))
	if group != "" {
		w.add(`group_key = ?`, fold(group))
	}
	if group, name, ok := strings.Cut(page.After, "/"); ok {
		w.add(`(group_key > ? OR (group_key = ? AND name_key > ?))`, group, group, name)
	}
	items, err := query(ctx, d.DB.Read(), scanIdentity, `SELECT `+identityColumns+` FROM managed_identities WHERE `+w.text()+` ORDER BY group_key, name_key LIMIT `+w.arg(page.limit()+1), w.args...)
	p := paged(items, page, func(m Identity) string { return fold(m.Group) + "/" + fold(m.Name) })
	p.Items = readable(p.Items, func(m Identity) bool { return r.can(identityProvider+"/read", m.ResourceID()) })
	return p, err
}

// identityName is Azure's rule for user-assigned identities
// (https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules).
var identityName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{2,127}$`)

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
	if err := checkPlace(IdentityObject, m.Location, m.Tags); err != nil {
		return Identity{}, false, err
	}
	if m.IsolationScope != "" && m.IsolationScope != "None" && m.IsolationScope != "Regional" {
		return Identity{}, false, invalid(IdentityObject, "isolationScope", "%q is neither None nor Regional", m.IsolationScope)
	}
	if err := d.groupThere(ctx, c, m.SubscriptionID, m.Group, need{action: identityProvider + "/write", scope: m.ResourceID()}); err != nil {
		return Identity{}, false, err
	}
	m.SubscriptionID, m.TenantID = fold(m.SubscriptionID), c.TenantID
	err = d.change(ctx, c, func(a *act) error {
		t := &target{object: IdentityObject, id: m.ResourceID(), name: m.Name}
		if err := a.permit(need{action: identityProvider + "/write", scope: m.ResourceID()}, t); err != nil {
			return err
		}
		// The group's row is the lock: an identity cannot slip into a group that is being deleted.
		if n, err := exec(a, a.tx, `UPDATE resource_groups SET name = name WHERE subscription_id = $1 AND name_key = $2`, m.SubscriptionID, fold(m.Group)); err != nil || n == 0 {
			return notFoundOr(err, GroupObject, m.Group)
		}
		old, err := findIdentity(a, a.tx, c.TenantID, m.IdentityRef)
		if created = isNotFound(err); err != nil && !created {
			return err
		}
		if created {
			if m.Location == "" {
				return invalid(IdentityObject, "location", "is required")
			}
			m.PrincipalID, m.ClientID, m.CreatedAt = newID(), newID(), a.at
			put = m
			return a.insertIdentity(m)
		}
		if m.Location != "" && fold(m.Location) != fold(old.Location) {
			return &Error{Kind: Immutable, Object: IdentityObject, ID: old.Name, Field: "location", Detail: old.Location}
		}
		put = old
		put.Tags = m.Tags
		if m.IsolationScope != "" {
			put.IsolationScope = m.IsolationScope
		}
		return a.updateIdentity(put)
	})
	return put, created, err
}

// UpdateIdentity changes parts of one.
func (d *Directory) UpdateIdentity(ctx context.Context, c Caller, ref IdentityRef, e IdentityEdit) (Identity, error) {
	m, err := d.Identity(ctx, c, ref)
	if err != nil {
		return Identity{}, err
	}
	if e.Tags != nil {
		m.Tags = *e.Tags
	}
	if e.IsolationScope != nil {
		m.IsolationScope = *e.IsolationScope
	}
	put, _, err := d.PutIdentity(ctx, c, m)
	return put, err
}

// DeleteIdentity removes one for good, with its service principal, credentials and assignments.
func (d *Directory) DeleteIdentity(ctx context.Context, c Caller, ref IdentityRef) error {
	if err := d.groupThere(ctx, c, ref.SubscriptionID, ref.Group, need{action: identityProvider + "/delete", scope: ref.ResourceID()}); err != nil {
		return err
	}
	return d.change(ctx, c, func(a *act) error {
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
	_, err = exec(a, a.tx, `UPDATE managed_identities SET tags = $1, isolation_scope = $2, revision = revision + 1 WHERE id = $3`, tags, m.IsolationScope, m.PrincipalID)
	return err
}

func (a *act) removeIdentity(m Identity) error {
	if err := a.permit(need{action: identityProvider + "/delete", scope: m.ResourceID(), guarded: m.PrincipalID}, &target{object: IdentityObject, id: m.ResourceID(), name: m.Name, detail: map[string]string{"principalId": m.PrincipalID}}); err != nil {
		return err
	}
	if _, err := exec(a, a.tx, `DELETE FROM credentials WHERE parent_id = $1`, m.PrincipalID); err != nil {
		return err
	}
	if err := a.purgePrincipal(m.PrincipalID); err != nil {
		return err
	}
	if err := a.removeAssignmentsAt(m.ResourceID()); err != nil {
		return err
	}
	_, err := exec(a, a.tx, `DELETE FROM managed_identities WHERE id = $1`, m.PrincipalID)
	return err
}
