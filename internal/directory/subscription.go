package directory

import (
	"context"
	"time"

	"github.com/entente-id/entente/internal/db"
)

// Subscription is what resource groups and ARM rights hang off.
type Subscription struct {
	ID          string // GUID, lower case
	TenantID    string
	DisplayName string
	CreatedAt   time.Time
}

// Scope is the subscription's ARM id.
func (s Subscription) Scope() string { return "/subscriptions/" + s.ID }

const subscriptionColumns = `id, tenant_id, display_name, created_at`

func scanSubscription(r row) (Subscription, error) {
	var s Subscription
	var createdAt int64
	err := r.Scan(&s.ID, &s.TenantID, &s.DisplayName, &createdAt)
	s.CreatedAt = fromMillis(createdAt)
	return s, err
}

// Subscriptions lists those on which, or below which, the caller holds any role.
func (d *Directory) Subscriptions(ctx context.Context, c Caller) ([]Subscription, error) {
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return nil, err
	}
	all, err := query(ctx, d.DB.Read(), scanSubscription, `SELECT `+subscriptionColumns+` FROM subscriptions WHERE tenant_id = $1 ORDER BY created_at, id`, c.TenantID)
	return readable(all, func(s Subscription) bool { return r.touches(s.Scope()) }), err
}

// Subscription reads one. One on which the caller holds no role at all is not there for it.
func (d *Directory) Subscription(ctx context.Context, c Caller, id string) (Subscription, error) {
	r, err := d.rights(ctx, d.DB.Read(), c)
	if err != nil {
		return Subscription{}, err
	}
	return r.subscription(ctx, d.DB.Read(), id)
}

// subscription finds a subscription that the caller may know of.
func (r rights) subscription(ctx context.Context, q db.Querier, id string) (Subscription, error) {
	missing := notFound(SubscriptionObject, id)
	s, err := one(ctx, q, missing, scanSubscription, `SELECT `+subscriptionColumns+` FROM subscriptions WHERE tenant_id = $1 AND id = $2`, r.caller.TenantID, fold(id))
	if err != nil {
		return Subscription{}, err
	}
	if !r.touches(s.Scope()) {
		return Subscription{}, missing
	}
	return s, nil
}

// SubscriptionTenant finds the tenant of a subscription, for those who ask without a token where to get one.
func (d *Directory) SubscriptionTenant(ctx context.Context, id string) (string, error) {
	return one(ctx, d.DB.Read(), notFound(SubscriptionObject, id), scanString, `SELECT tenant_id FROM subscriptions WHERE id = $1`, fold(id))
}

func notFoundOr(err error, object Object, id string) error {
	if err != nil {
		return err
	}
	return notFound(object, id)
}
