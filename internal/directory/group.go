package directory

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/entente-id/entente/internal/db"
)

// Group is a resource group.
type Group struct {
	SubscriptionID string
	Name           string // in the case of its maker; compared without
	Location       string
	Tags           map[string]string
	CreatedAt      time.Time
}

// Scope is the group's ARM id.
func (g Group) Scope() string { return groupScope(g.SubscriptionID, g.Name) }

func groupScope(subscriptionID, name string) string {
	return "/subscriptions/" + fold(subscriptionID) + "/resourceGroups/" + name
}

// onGroup is the need for a right on a resource group itself.
func onGroup(verb, subscriptionID, name string) need {
	return need{action: "Microsoft.Resources/subscriptions/resourceGroups/" + verb, scope: groupScope(subscriptionID, name)}
}

const groupColumns = `subscription_id, name, location, tags, created_at`

func scanGroup(r row) (Group, error) {
	var g Group
	var tags string
	var createdAt int64
	if err := r.Scan(&g.SubscriptionID, &g.Name, &g.Location, &tags, &createdAt); err != nil {
		return g, err
	}
	g.CreatedAt = fromMillis(createdAt)
	return g, fromJSON(tags, &g.Tags)
}

func findGroup(ctx context.Context, q db.Querier, tenantID, subscriptionID, name string) (Group, error) {
	return one(ctx, q, notFound(GroupObject, name), scanGroup, `SELECT `+groupColumns+` FROM resource_groups WHERE tenant_id = $1 AND subscription_id = $2 AND name_key = $3`, tenantID, fold(subscriptionID), fold(name))
}

// lockGroup finds a group and locks its row, which orders everything that
// comes into being, or goes, in it.
func (a *act) lockGroup(subscriptionID, name string) (Group, error) {
	return one(a, a.tx, notFound(GroupObject, name), scanGroup, `UPDATE resource_groups SET name = name WHERE tenant_id = $1 AND subscription_id = $2 AND name_key = $3 RETURNING `+groupColumns, a.c.TenantID, fold(subscriptionID), fold(name))
}

// inGroup checks a right on something in a group, and that the group is there.
func (r rights) inGroup(ctx context.Context, q db.Querier, subscriptionID, group string, n need) (Group, error) {
	if _, err := r.subscription(ctx, q, subscriptionID); err != nil {
		return Group{}, err
	}
	if err := r.authorise(ctx, q, n); err != nil {
		return Group{}, err
	}
	return findGroup(ctx, q, r.caller.TenantID, subscriptionID, group)
}

// permitInGroup permits a write on something in a group, whose row it locks.
func (a *act) permitInGroup(subscriptionID, group string, n need, t *target) (Group, error) {
	if _, err := a.rights.subscription(a, a.tx, subscriptionID); err != nil {
		return Group{}, err
	}
	if err := a.permit(n, t); err != nil {
		return Group{}, err
	}
	return a.lockGroup(subscriptionID, group)
}

// Group reads one.
func (d *Directory) Group(ctx context.Context, c Caller, subscriptionID, name string) (Group, error) {
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return Group{}, err
	}
	return r.inGroup(ctx, d.DB.Read(), subscriptionID, name, onGroup("read", subscriptionID, name))
}

// Groups lists those of a subscription that the caller may read, by name
// without case; with no subscription those of the tenant. A search is in the name.
func (d *Directory) Groups(ctx context.Context, c Caller, subscriptionID string, page Page) (Paged[Group], error) {
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return Paged[Group]{}, err
	}
	w, read, order := where{}, onGroup("read", "", "").action, []string{`name_key`, `subscription_id`}
	w.add(`tenant_id = ?`, c.TenantID)
	if subscriptionID != "" {
		if _, err := r.subscription(ctx, d.DB.Read(), subscriptionID); err != nil {
			return Paged[Group]{}, err
		}
		w.add(`subscription_id = ?`, fold(subscriptionID))
	}
	r.reach(read, "").narrow(&w, `subscription_id`, `name_key`, "")
	w.named(d.DB, page.Search, `name_key`, nil)
	all := w
	w.past(page, order...)
	items, err := query(ctx, d.DB.Read(), scanGroup, `SELECT `+groupColumns+` FROM resource_groups WHERE `+w.text()+` ORDER BY `+page.order(order...)+` LIMIT `+w.arg(page.limit()+1), w.args...)
	if err != nil {
		return Paged[Group]{}, err
	}
	p := paged(items, page, func(g Group) string { return fold(g.Name) + "/" + g.SubscriptionID })
	err = total(ctx, d.DB.Read(), &p, page, "resource_groups", all)
	p.Items = readable(p.Items, func(g Group) bool { return r.can(read, g.Scope()) })
	return p, err
}

func readable[T any](items []T, may func(T) bool) []T {
	kept := []T{}
	for _, item := range items {
		if may(item) {
			kept = append(kept, item)
		}
	}
	return kept
}

// PutGroup makes a group, or replaces the tags of the one that is there; its location stays.
func (d *Directory) PutGroup(ctx context.Context, c Caller, g Group) (put Group, created bool, err error) {
	if !groupName.MatchString(g.Name) || utf8.RuneCountInString(g.Name) > maxGroupName || strings.HasSuffix(g.Name, ".") {
		return Group{}, false, invalid(GroupObject, "name", "%q: letters, digits, _ ( ) - and ., at most 90, no . at the end", g.Name)
	}
	if err := checkPlace(GroupObject, g.Location, g.Tags); err != nil {
		return Group{}, false, err
	}
	g.SubscriptionID = fold(g.SubscriptionID)
	err = d.change(ctx, c, func(a *act) error {
		created = false
		t := &target{object: GroupObject, id: g.Scope(), name: g.Name}
		put, err = a.permitInGroup(g.SubscriptionID, g.Name, onGroup("write", g.SubscriptionID, g.Name), t)
		if isNotFoundOf(err, GroupObject) {
			put, created, err = a.insertGroup(g)
		}
		if err != nil || created {
			return err
		}
		if g.Location != "" && fold(g.Location) != fold(put.Location) {
			return &Error{Kind: Immutable, Object: GroupObject, ID: put.Name, Field: "location", Detail: put.Location}
		}
		put.Tags = g.Tags
		return a.updateGroup(put, t)
	})
	if err != nil {
		return Group{}, false, err
	}
	return put, created, nil
}

// UpdateGroup replaces the tags of a group that is there; nil leaves them.
func (d *Directory) UpdateGroup(ctx context.Context, c Caller, subscriptionID, name string, tags *map[string]string) (put Group, err error) {
	err = d.change(ctx, c, func(a *act) error {
		t := &target{object: GroupObject}
		if put, err = a.permitInGroup(subscriptionID, name, onGroup("write", subscriptionID, name), t); err != nil {
			return err
		}
		if tags != nil {
			put.Tags = *tags
		}
		if err := checkPlace(GroupObject, put.Location, put.Tags); err != nil {
			return err
		}
		return a.updateGroup(put, t)
	})
	if err != nil {
		return Group{}, err
	}
	return put, nil
}

func (a *act) updateGroup(g Group, t *target) error {
	t.id, t.name = g.Scope(), g.Name
	tags, err := tagsJSON(g.Tags)
	if err != nil {
		return err
	}
	_, err = exec(a, a.tx, `UPDATE resource_groups SET tags = $1 WHERE subscription_id = $2 AND name_key = $3`, tags, g.SubscriptionID, fold(g.Name))
	return err
}

// insertGroup makes a group; when another caller was faster it returns that one's, locked, and created is false.
func (a *act) insertGroup(g Group) (put Group, created bool, err error) {
	if g.Location == "" {
		return Group{}, false, invalid(GroupObject, "location", "is required")
	}
	tags, err := tagsJSON(g.Tags)
	if err != nil {
		return Group{}, false, err
	}
	g.CreatedAt = a.at
	n, err := exec(a, a.tx, `INSERT INTO resource_groups (subscription_id, name_key, tenant_id, name, location, tags, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
		g.SubscriptionID, fold(g.Name), a.c.TenantID, g.Name, g.Location, tags, millis(g.CreatedAt))
	if err == nil && n == 0 {
		g, err = a.lockGroup(g.SubscriptionID, g.Name)
	}
	return g, n > 0, err
}

// DeleteGroup removes a group with everything in it.
func (d *Directory) DeleteGroup(ctx context.Context, c Caller, subscriptionID, name string) error {
	return d.change(ctx, c, func(a *act) error {
		t := &target{object: GroupObject}
		g, err := a.permitInGroup(subscriptionID, name, onGroup("delete", subscriptionID, name), t)
		if err != nil {
			return err
		}
		t.id, t.name = g.Scope(), g.Name
		identities, err := query(a, a.tx, scanIdentity, `SELECT `+identityColumns+` FROM managed_identities WHERE tenant_id = $1 AND subscription_id = $2 AND group_key = $3`, c.TenantID, g.SubscriptionID, fold(g.Name))
		if err != nil {
			return err
		}
		for _, m := range identities {
			if err := a.removeIdentity(m); err != nil {
				return err
			}
		}
		if err := a.removeClusters(g); err != nil { // after the credentials that may name their issuers
			return err
		}
		if err := a.removeAssignmentsAt(g.Scope()); err != nil {
			return err
		}
		_, err = exec(a, a.tx, `DELETE FROM resource_groups WHERE subscription_id = $1 AND name_key = $2`, g.SubscriptionID, fold(g.Name))
		return err
	})
}

func tagsJSON(tags map[string]string) (string, error) {
	if tags == nil {
		tags = map[string]string{}
	}
	return toJSON(tags)
}
