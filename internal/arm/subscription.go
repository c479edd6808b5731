package arm

import "github.com/entente-id/entente/internal/directory"

type subscription struct {
	ID                   string               `json:"id"`
	SubscriptionID       string               `json:"subscriptionId"`
	TenantID             string               `json:"tenantId"`
	DisplayName          string               `json:"displayName"`
	State                string               `json:"state"` // az selects only what is Enabled
	SubscriptionPolicies subscriptionPolicies `json:"subscriptionPolicies"`
	AuthorizationSource  string               `json:"authorizationSource"`
	ManagedByTenants     []string             `json:"managedByTenants"`
}

type subscriptionPolicies struct {
	LocationPlacementID string `json:"locationPlacementId"`
	QuotaID             string `json:"quotaId"`
	SpendingLimit       string `json:"spendingLimit"`
}

func wireSubscription(s directory.Subscription) subscription {
	return subscription{
		ID: s.Scope(), SubscriptionID: s.ID, TenantID: s.TenantID, DisplayName: s.DisplayName, State: "Enabled",
		SubscriptionPolicies: subscriptionPolicies{LocationPlacementID: "Internal_2014-09-01", QuotaID: "Internal_2014-09-01", SpendingLimit: "Off"},
		AuthorizationSource:  "RoleBased", ManagedByTenants: []string{},
	}
}

func (s *Surface) listSubscriptions(c *call) (*answer, error) {
	all, err := s.dir.Subscriptions(c, c.caller)
	return found(collection[subscription]{Value: each(all, wireSubscription), Count: total(all)}), err
}

func (s *Surface) getSubscription(c *call) (*answer, error) {
	return found(wireSubscription(c.subscription)), nil
}
