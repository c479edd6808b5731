package arm

import "github.com/entente-id/entente/internal/directory"

type policy struct {
	ID         string           `json:"id"`
	Name       string           `json:"name"`
	Type       string           `json:"type"`
	Properties policyProperties `json:"properties"`
}

type policyProperties struct {
	MaxFederatedIdentityCredentials int `json:"maxFederatedIdentityCredentials"`
}

func wirePolicy(p directory.Policy) policy {
	const kind = federation + "/policies"
	return policy{ID: "/providers/" + kind + "/default", Name: "default", Type: kind, Properties: policyProperties{p.MaxCredentials}}
}

type policyBody struct {
	Properties policyProperties `json:"properties"`
}

func (s *Surface) getPolicy(c *call) (*answer, error) {
	p, err := s.dir.Policy(c, c.caller)
	return found(wirePolicy(p)), err
}

func (s *Surface) putPolicy(c *call, in policyBody) (*answer, error) {
	p := directory.Policy{MaxCredentials: in.Properties.MaxFederatedIdentityCredentials}
	err := s.dir.SetPolicy(c, c.caller, p)
	return found(wirePolicy(p)), err
}
