package seed

import (
	"cmp"
	"strings"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/manifest"
)

// tenant is one tenant of the manifest, as it is and as it will be.
type tenant struct {
	*planner
	there bool // or else the first step makes it
	// caller is who writes in it; its tenant is known when the tenant is there.
	caller directory.Caller
	// subscription is the id of that of its groups, known when the tenant is there.
	subscription string
	allowed      directory.Policy
	groups       map[string]bool // that are there, or will be, by folded name
	holders      []*holder
}

// reason stands in the audit.
const reason = "seed file"

func fold(s string) string { return strings.ToLower(s) }

func (p *planner) defaultTenant(m *manifest.Manifest) error {
	d, err := p.Directory.DefaultTenant(p)
	if err != nil {
		return err
	}
	p.host = d.ID
	t := p.tenant(true)
	return t.plan(d, &m.Default, &m.Objects, m.Has("tenant"))
}

func (p *planner) tenant(there bool) *tenant {
	return &tenant{planner: p, there: there, allowed: directory.Policy{MaxCredentials: credential.DefaultLimit}, groups: map[string]bool{}}
}

func (p *planner) furtherTenant(m *manifest.Tenant) error {
	var by [2]directory.Tenant
	var there [2]bool
	for i, ref := range []string{m.ID, m.Domain} {
		if ref == "" {
			continue
		}
		var err error
		if by[i], there[i], err = found(p.Directory.LookupTenant(p, ref)); err != nil {
			return err
		}
	}
	switch {
	case there[0]:
		return p.tenant(true).plan(by[0], &m.Names, &m.Objects, true)
	case there[1] && m.ID == "":
		return p.tenant(true).plan(by[1], &m.Names, &m.Objects, true)
	case there[1]:
		p.add(m.Place, "domain", "%q is the domain of the tenant %s", m.Domain, by[1].ID)
		return nil
	case m.Administrator == nil:
		p.add(m.Place, "administrator", "is missing: the tenant is to be made, and without a federated administrator nobody could administer it")
		return nil
	}
	if m.SubscriptionID != "" {
		if owner, there, err := found(p.Directory.SubscriptionTenant(p, m.SubscriptionID)); err != nil {
			return err
		} else if there {
			p.add(m.Place, "subscriptionId", "is a subscription of the tenant %s", owner)
			return nil
		}
	}
	t := p.tenant(false)
	t.make(directory.TenantObject, cmp.Or(m.DisplayName, m.Domain, m.ID), m.Place, func() ([]any, error) {
		f, err := p.Directory.CreateTenant(p, directory.System(p.host, reason), directory.NewTenant{
			ID: m.ID, SubscriptionID: m.SubscriptionID, DisplayName: m.DisplayName, Domain: m.Domain,
			AdministratorIssuer: m.Administrator.Issuer, AdministratorSubject: m.Administrator.Subject,
		})
		t.caller, t.subscription = directory.System(f.Tenant.ID, reason), f.SubscriptionID
		return []any{"subscription", f.SubscriptionID, "administrator", f.AdministratorClientID}, err
	})
	t.subscription = fold(m.SubscriptionID)
	return t.objects(&m.Objects)
}

// plan is for a tenant that is there. named says whether the file names it.
func (t *tenant) plan(d directory.Tenant, n *manifest.Names, o *manifest.Objects, named bool) error {
	t.caller, t.allowed = directory.System(d.ID, reason), directory.Policy{MaxCredentials: d.MaxCredentials, RegisteredIssuersOnly: d.RegisteredIssuersOnly}
	for _, m := range []struct{ field, want, is string }{
		{"id", fold(n.ID), d.ID}, {"displayName", n.DisplayName, d.DisplayName}, {"domain", fold(n.Domain), d.Domain},
	} {
		if n.Has(m.field) && m.want != m.is {
			t.add(n.Place, m.field, "is %q of the tenant that is there, and cannot be changed", m.is)
		}
	}
	subscriptions, err := t.Directory.Subscriptions(t, t.caller)
	if err != nil {
		return err
	}
	known := n.SubscriptionID == ""
	for _, s := range subscriptions {
		if known = known || s.ID == fold(n.SubscriptionID); t.subscription == "" || s.ID == fold(n.SubscriptionID) {
			t.subscription = s.ID
		}
	}
	if !known {
		t.add(n.Place, "subscriptionId", "is no subscription of the tenant %s", d.ID)
	}
	if named {
		t.unchanged++
	}
	return t.objects(o)
}

func (t *tenant) objects(o *manifest.Objects) error {
	for _, plan := range []func(*manifest.Objects) error{t.policy, t.issuers, t.resourceGroups, t.applications, t.identities, t.rights} {
		if err := plan(o); err != nil {
			return err
		}
	}
	return nil
}

func (t *tenant) policy(o *manifest.Objects) error {
	want, edit := t.allowed, directory.PolicyEdit{}
	if o.Policy.Has("maxFederatedIdentityCredentials") {
		edit.MaxCredentials = &o.Policy.MaxCredentials
		want.MaxCredentials = o.Policy.MaxCredentials
	}
	if o.Policy.Has("registeredIssuersOnly") {
		edit.RegisteredIssuersOnly = &o.Policy.RegisteredIssuersOnly
		want.RegisteredIssuersOnly = o.Policy.RegisteredIssuersOnly
	}
	switch {
	case edit == directory.PolicyEdit{}:
		return nil
	case want == t.allowed:
		t.unchanged++
		return nil
	}
	t.allowed = want
	t.change(directory.PolicyObject, "default", o.Policy.Place, func() error {
		_, err := t.Directory.SetPolicy(t, t.caller, edit)
		return err
	})
	return nil
}

// rights plans what applications and identities trust and may do, when all of them are known.
func (t *tenant) rights(*manifest.Objects) error {
	for _, plan := range []func(*holder) error{t.credentials, t.grants, t.assignments} {
		for _, h := range t.holders {
			if err := plan(h); err != nil {
				return err
			}
		}
	}
	return nil
}
