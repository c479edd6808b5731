package plan

import (
	"errors"
	"strings"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/manifest"
)

// Target is what a plan is for.
type Target struct {
	// Service is "azure" or "entente".
	Service         string `json:"service"`
	ResourceManager string `json:"resourceManager,omitempty"`
	Graph           string `json:"graph,omitempty"`
	TenantID        string `json:"tenantId,omitempty"`
	// SubscriptionID is that of groups and identities, where the file has such.
	SubscriptionID string `json:"subscriptionId,omitempty"`
}

// The services.
const (
	azure   = "azure"
	entente = "entente"
)

// targetOf tells the services apart: Azure has its wires at several origins, and
// Entente all of them at one.
func targetOf(c *client.Client) Target {
	e := c.Endpoints()
	t := Target{Service: azure, ResourceManager: e.ResourceManager, Graph: e.Graph, TenantID: c.TenantID()}
	if e.Graph != "" && strings.EqualFold(strings.TrimRight(e.Graph, "/"), strings.TrimRight(e.ResourceManager, "/")) {
		t.Service = entente
	}
	return t
}

// NeedsSubscription says whether a manifest names what belongs to a subscription
// without saying which one that is.
func NeedsSubscription(m *manifest.Manifest) bool {
	if m.Default.SubscriptionID != "" {
		return false
	}
	if len(m.ResourceGroups) > 0 || len(m.ManagedIdentities) > 0 {
		return true
	}
	for i := range m.Applications {
		for _, a := range m.Applications[i].RoleAssignments {
			if a.ResourceGroup != "" || a.Scope == manifest.Subscription {
				return true
			}
		}
	}
	return false
}

// refuse says what the target does not take.
func (p *planner) refuse() error {
	m := p.file
	if m.Has("tenants") && len(m.Tenants) > 0 {
		p.add(m.Place, "tenants", "are for a service that is started with the file: a plan is for one tenant, that of the caller; give each its own file")
	}
	if p.Prune && m.Owner == "" {
		p.add(m.Place, "owner", "is missing: only what the file's owner made is pruned, so the file has to say whose it is")
	}
	if p.target.Service != azure {
		return nil
	}
	if m.Policy.Has("maxFederatedIdentityCredentials") {
		p.add(m.Policy.Place, "maxFederatedIdentityCredentials", "is Azure's own, which is the target here: leave it out")
	}
	if m.Policy.Has("registeredIssuersOnly") {
		p.add(m.Policy.Place, "registeredIssuersOnly", "is nothing that Azure, the target here, has: leave it out")
	}
	for i := range m.Issuers {
		// An issuer that has a name and nothing else is a short word for its URL.
		s := &m.Issuers[i]
		if s.KeySource != "" && s.KeySource != manifest.Discovery {
			p.add(s.Place, "", "has keys, and the target is Azure, which reads an issuer's keys by discovery and takes none: leave them out")
		}
		for _, field := range []string{"algorithms", "caCertificate", "caCertificateFile", "allowMultipleAudiences"} {
			if s.Has(field) {
				p.add(s.Place, field, "cannot be set where the target is Azure, which has no issuers to set it for: leave it out")
			}
		}
	}
	return nil
}

// names compares the tenant and the subscription of the file with the caller's.
func (p *planner) names() error {
	n := &p.file.Default
	switch p.target.SubscriptionID = p.Subscription; {
	case p.Subscription == "":
		p.target.SubscriptionID = n.SubscriptionID
	case n.SubscriptionID != "" && !same(p.Subscription, n.SubscriptionID):
		p.add(n.Place, "subscriptionId", "is not %s, which was asked for", p.Subscription)
	}
	if p.target.SubscriptionID == "" && NeedsSubscription(p.file) {
		return errors.New("which subscription the file is for was not said")
	}
	if p.target.TenantID == "" && p.target.SubscriptionID != "" { // somebody else knows it, such as az
		s, err := p.client.Subscription(p.ctx, p.target.SubscriptionID)
		if err != nil {
			return err
		}
		p.target.TenantID = s.TenantID
	}
	if p.target.TenantID == "" && (n.Has("id") || n.Has("displayName") || n.Has("domain")) {
		p.plan.Notes = append(p.plan.Notes, "the tenant of the caller is not known, so that of the file was not compared with it")
		return nil
	}
	if n.ID != "" && !same(n.ID, p.target.TenantID) {
		p.add(n.Place, "id", "is not the tenant that the caller is signed in to, %s", p.target.TenantID)
		return nil
	}
	if n.Has("displayName") || n.Has("domain") {
		tenants, err := p.client.Tenants(p.ctx)
		if err != nil {
			return err
		}
		for _, t := range tenants {
			if !same(t.TenantID, p.target.TenantID) {
				continue
			}
			if n.Has("displayName") && n.DisplayName != t.DisplayName {
				p.add(n.Place, "displayName", "is %q of the tenant that is there, and cannot be changed", t.DisplayName)
			}
			if n.Has("domain") && !same(n.Domain, t.DefaultDomain) {
				p.add(n.Place, "domain", "is %q of the tenant that is there, and cannot be changed", t.DefaultDomain)
			}
		}
	}
	return nil
}

func fold(s string) string { return strings.ToLower(s) }

func same(a, b string) bool { return strings.EqualFold(a, b) }

// found returns what was read, with there == false when it is not there.
func found[T any](item T, err error) (_ T, there bool, _ error) {
	if e, ok := errors.AsType[*client.Error](err); ok && e.Code == "SubscriptionNotFound" {
		return item, false, err // and nothing could be made in it
	}
	if errors.Is(err, client.ErrNotFound) {
		return item, false, nil
	}
	return item, err == nil, err
}
