package arm

import "github.com/entente-id/entente/internal/directory"

type policy struct {
	ID         string           `json:"id"`
	Name       string           `json:"name"`
	Type       string           `json:"type"`
	Properties policyProperties `json:"properties"`
}

type policyProperties struct {
	MaxFederatedIdentityCredentials int  `json:"maxFederatedIdentityCredentials"`
	RegisteredIssuersOnly           bool `json:"registeredIssuersOnly"`
}

func wirePolicy(p directory.Policy) policy {
	const kind = federation + "/policies"
	return policy{ID: "/providers/" + kind + "/default", Name: "default", Type: kind, Properties: policyProperties{p.MaxCredentials, p.RegisteredIssuersOnly}}
}

// policyBody changes a policy. What it does not say stays: who raises the limit
// by a request of old does not open the tenant to every issuer.
type policyBody struct {
	Properties struct {
		MaxFederatedIdentityCredentials *int  `json:"maxFederatedIdentityCredentials"`
		RegisteredIssuersOnly           *bool `json:"registeredIssuersOnly"`
	} `json:"properties"`
}

var errEmptyPolicy = badRequest("The policy from HTTP body has neither of the properties 'maxFederatedIdentityCredentials' and 'registeredIssuersOnly'.")

func (s *Surface) getPolicy(c *call) (*answer, error) {
	p, err := s.dir.Policy(c, c.caller)
	return found(wirePolicy(p)), err
}

func (s *Surface) putPolicy(c *call, in policyBody) (*answer, error) {
	e := directory.PolicyEdit{MaxCredentials: in.Properties.MaxFederatedIdentityCredentials, RegisteredIssuersOnly: in.Properties.RegisteredIssuersOnly}
	if e == (directory.PolicyEdit{}) {
		return nil, errEmptyPolicy
	}
	p, err := s.dir.SetPolicy(c, c.caller, e)
	return found(wirePolicy(p)), err
}
