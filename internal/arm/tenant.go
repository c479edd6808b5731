package arm

import (
	"slices"

	"github.com/entente-id/entente/internal/directory"
)

type tenant struct {
	ID             string   `json:"id"`
	TenantID       string   `json:"tenantId"`
	CountryCode    string   `json:"countryCode"`
	DisplayName    string   `json:"displayName"`
	Domains        []string `json:"domains"`
	TenantCategory string   `json:"tenantCategory"`
	DefaultDomain  string   `json:"defaultDomain"`
	TenantType     string   `json:"tenantType"`
}

func wireTenant(t directory.Tenant) tenant {
	return tenant{ID: "/tenants/" + t.ID, TenantID: t.ID, DisplayName: t.DisplayName, Domains: []string{t.Domain}, TenantCategory: "Home", DefaultDomain: t.Domain, TenantType: "AAD"}
}

// listTenants lists the tenants in which the caller is, and that is one: az
// signs in to each. Those that it administers are in Entente.Federation/tenants.
func (s *Surface) listTenants(c *call) (*answer, error) {
	all, err := s.dir.Tenants(c, c.caller)
	own := slices.DeleteFunc(all, func(t directory.Tenant) bool { return t.ID != c.caller.TenantID })
	return found(collection[tenant]{Value: each(own, wireTenant), Count: total(own)}), err
}

func each[T, W any](items []T, wire func(T) W) []W {
	out := make([]W, len(items))
	for i, item := range items {
		out[i] = wire(item)
	}
	return out
}

func total[T any](items []T) *count { return &count{Type: "Total", Value: len(items)} }
