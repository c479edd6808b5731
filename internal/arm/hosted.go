package arm

import (
	"net/http"
	"slices"
	"strings"

	"github.com/entente-id/entente/internal/directory"
)

// hostedTenant is a tenant as the operator of the server sees it.
type hostedTenant struct {
	ID         string           `json:"id"`
	Name       string           `json:"name"` // the tenant's id
	Type       string           `json:"type"`
	Properties hostedProperties `json:"properties"`
}

type hostedProperties struct {
	DisplayName                     string         `json:"displayName"`
	Domain                          string         `json:"domain"`
	Default                         bool           `json:"default"`
	MaxFederatedIdentityCredentials int            `json:"maxFederatedIdentityCredentials"`
	CreatedAt                       string         `json:"createdAt"`
	SubscriptionID                  string         `json:"subscriptionId,omitempty"` // when it is made
	Administrator                   *administrator `json:"administrator,omitempty"`  // when it is made
}

type administrator struct {
	ClientID     string `json:"clientId"`
	PrincipalID  string `json:"principalId"`
	ClientSecret string `json:"clientSecret,omitempty"` // shown this once
}

func wireHosted(t directory.Tenant) hostedTenant {
	const kind = federation + "/tenants"
	return hostedTenant{ID: "/providers/" + kind + "/" + t.ID, Name: t.ID, Type: kind, Properties: hostedProperties{
		DisplayName: t.DisplayName, Domain: t.Domain, Default: t.Default, MaxFederatedIdentityCredentials: t.MaxCredentials, CreatedAt: stamp(t.CreatedAt),
	}}
}

// hostedBody makes a tenant. Without an administrator of its own, one with a secret is made.
type hostedBody struct {
	Properties struct {
		DisplayName    string `json:"displayName"`
		Domain         string `json:"domain"`
		SubscriptionID string `json:"subscriptionId"`
		Administrator  *struct {
			Issuer  string `json:"issuer"`
			Subject string `json:"subject"`
		} `json:"administrator"`
	} `json:"properties"`
}

func (s *Surface) listHostedTenants(c *call) (*answer, error) {
	return list(s, c, func(p directory.Page) (directory.Paged[directory.Tenant], error) {
		all, err := s.dir.Tenants(c, c.caller)
		return cut(all, p, func(t directory.Tenant) string { return byAge(t.CreatedAt, t.ID) }), err
	}, wireHosted)
}

func (s *Surface) getHostedTenant(c *call) (*answer, error) {
	all, err := s.dir.Tenants(c, c.caller)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(t directory.Tenant) bool { return strings.EqualFold(t.ID, c.args["tenant"]) })
	if i < 0 {
		return nil, resourceNotFound(federation+"/tenants", c.args["tenant"], "")
	}
	return found(wireHosted(all[i])), nil
}

func (s *Surface) putHostedTenant(c *call, in hostedBody) (*answer, error) {
	n := directory.NewTenant{ID: c.args["tenant"], SubscriptionID: in.Properties.SubscriptionID, DisplayName: in.Properties.DisplayName, Domain: in.Properties.Domain}
	if a := in.Properties.Administrator; a != nil {
		if a.Issuer == "" || a.Subject == "" {
			return nil, badRequest("The administrator must have an 'issuer' and a 'subject'.")
		}
		n.AdministratorIssuer, n.AdministratorSubject = a.Issuer, a.Subject
	}
	f, err := s.dir.CreateTenant(c, c.caller, n)
	if err != nil {
		return nil, err
	}
	t := wireHosted(f.Tenant)
	t.Properties.SubscriptionID = f.SubscriptionID
	t.Properties.Administrator = &administrator{f.AdministratorClientID, f.AdministratorPrincipalID, f.AdministratorSecret}
	return &answer{status: http.StatusCreated, body: t, location: t.ID, header: map[string]string{"Cache-Control": "no-store"}}, nil
}
