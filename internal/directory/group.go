package directory

import (
	"context"
	"regexp"
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
	return one(q.QueryRowContext(ctx, `SELECT `+groupColumns+` FROM resource_groups WHERE tenant_id = $1 AND subscription_id = $2 AND name_key = $3`, tenantID, fold(subscriptionID), fold(name)),
		scanGroup, notFound(GroupObject, name))
}

// Group reads one.
func (d *Directory) Group(ctx context.Context, c Caller, subscriptionID, name string) (Group, error) {
	if _, err := d.Subscription(ctx, c, subscriptionID); err != nil {
		return Group{}, err
	}
	if _, err := d.permitRead(ctx, c, need{action: "Microsoft.Resources/subscriptions/resourceGroups/read", scope: groupScope(subscriptionID, name)}); err != nil {
		return Group{}, err
	}
	return findGroup(ctx, d.DB.Read(), c.TenantID, subscriptionID, name)
}

// Groups lists those that the caller may read.
func (d *Directory) Groups(ctx context.Context, c Caller, subscriptionID string, page Page) (Paged[Group], error) {
	if _, err := d.Subscription(ctx, c, subscriptionID); err != nil {
		return Paged[Group]{}, err
	}
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return Paged[Group]{}, err
	}
	items, err := query(ctx, d.DB.Read(), scanGroup, `SELECT `+groupColumns+` FROM resource_groups WHERE tenant_id = $1 AND subscription_id = $2 AND name_key > $3 ORDER BY name_key LIMIT $4`,
		c.TenantID, fold(subscriptionID), page.After, page.limit()+1)
	p := paged(items, page, func(g Group) string { return fold(g.Name) })
	p.Items = readable(p.Items, func(g Group) bool { return r.can("Microsoft.Resources/subscriptions/resourceGroups/read", g.Scope()) })
	return p, err
}

func readable[T any](items []T, may func(T) bool) []T {
	kept := items[:0:0]
	for _, item := range items {
		if may(item) {
			kept = append(kept, item)
		}
	}
	return kept
}

// groupName is Azure's rule: letters, digits, underscores, parentheses,
// hyphens and periods, at most 90, no period at the end
// (https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules).
var groupName = regexp.MustCompile(`^[\p{L}\p{Nd}_().-]{1,90}$`)

// PutGroup makes a group, or replaces the tags of the one that is there; its location stays.
func (d *Directory) PutGroup(ctx context.Context, c Caller, g Group) (put Group, created bool, err error) {
	if !groupName.MatchString(g.Name) || strings.HasSuffix(g.Name, ".") {
		return Group{}, false, invalid(GroupObject, "name", "%q: letters, digits, _ ( ) - and ., at most 90, no . at the end", g.Name)
	}
	if err := checkPlace(GroupObject, g.Location, g.Tags); err != nil {
		return Group{}, false, err
	}
	if _, err := d.Subscription(ctx, c, g.SubscriptionID); err != nil {
		return Group{}, false, err
	}
	g.SubscriptionID = fold(g.SubscriptionID)
	err = d.change(ctx, c, func(a *act) error {
		if err := a.permit(need{action: "Microsoft.Resources/subscriptions/resourceGroups/write", scope: g.Scope()}, &target{object: GroupObject, id: g.Scope(), name: g.Name}); err != nil {
			return err
		}
		tags, err := tagsJSON(g.Tags)
		if err != nil {
			return err
		}
		old, err := findGroup(a, a.tx, c.TenantID, g.SubscriptionID, g.Name)
		if created = isNotFound(err); err != nil && !created {
			return err
		}
		if created {
			if g.Location == "" {
				return invalid(GroupObject, "location", "is required")
			}
			put, put.CreatedAt = g, a.at
			_, err = exec(a, a.tx, `INSERT INTO resource_groups (subscription_id, name_key, tenant_id, name, location, tags, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
				ON CONFLICT (subscription_id, name_key) DO UPDATE SET tags = excluded.tags`, g.SubscriptionID, fold(g.Name), c.TenantID, g.Name, g.Location, tags, millis(a.at))
			return err
		}
		if g.Location != "" && fold(g.Location) != fold(old.Location) {
			return &Error{Kind: Immutable, Object: GroupObject, ID: old.Name, Field: "location", Detail: old.Location}
		}
		put = old
		put.Tags = g.Tags
		_, err = exec(a, a.tx, `UPDATE resource_groups SET tags = $1 WHERE subscription_id = $2 AND name_key = $3`, tags, g.SubscriptionID, fold(g.Name))
		return err
	})
	return put, created, err
}

// DeleteGroup removes a group with everything in it.
func (d *Directory) DeleteGroup(ctx context.Context, c Caller, subscriptionID, name string) error {
	if _, err := d.Subscription(ctx, c, subscriptionID); err != nil {
		return err
	}
	return d.change(ctx, c, func(a *act) error {
		scope := groupScope(subscriptionID, name)
		if err := a.permit(need{action: "Microsoft.Resources/subscriptions/resourceGroups/delete", scope: scope}, &target{object: GroupObject, id: scope, name: name}); err != nil {
			return err
		}
		g, err := findGroup(a, a.tx, c.TenantID, subscriptionID, name)
		if err != nil {
			return err
		}
		identities, err := query(a, a.tx, scanIdentity, `SELECT `+identityColumns+` FROM managed_identities WHERE tenant_id = $1 AND subscription_id = $2 AND group_key = $3`, c.TenantID, fold(subscriptionID), fold(name))
		if err != nil {
			return err
		}
		for _, m := range identities {
			if err := a.removeIdentity(m); err != nil {
				return err
			}
		}
		if err := a.removeAssignmentsAt(g.Scope()); err != nil {
			return err
		}
		_, err = exec(a, a.tx, `DELETE FROM resource_groups WHERE subscription_id = $1 AND name_key = $2`, fold(subscriptionID), fold(name))
		return err
	})
}

// checkPlace checks what every ARM resource carries. Azure's limits on tags:
// 50, names of 512 and values of 256 characters.
func checkPlace(o Object, location string, tags map[string]string) error {
	if err := checkText(o, "location", location, 64); err != nil {
		return err
	}
	if len(tags) > 50 {
		return invalid(o, "tags", "at most 50")
	}
	for name, value := range tags {
		if name == "" || utf8.RuneCountInString(name) > 512 || utf8.RuneCountInString(value) > 256 || checkText(o, "tags", name+value, 768) != nil {
			return invalid(o, "tags", "the tag %q is too long or not plain text", name)
		}
	}
	return nil
}

func tagsJSON(tags map[string]string) (string, error) {
	if tags == nil {
		tags = map[string]string{}
	}
	return toJSON(tags)
}
