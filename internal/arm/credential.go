package arm

import (
	"encoding/json"
	"errors"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
)

type federatedCredential struct {
	ID         string               `json:"id"`
	Name       string               `json:"name"`
	Type       string               `json:"type"`
	Properties credentialProperties `json:"properties"`
}

type credentialProperties struct {
	Issuer    string   `json:"issuer"`
	Subject   string   `json:"subject"`
	Audiences []string `json:"audiences"`
}

func (c *call) wireCredential(f directory.Credential) federatedCredential {
	return federatedCredential{ID: c.identityRef().ResourceID() + "/federatedIdentityCredentials/" + f.Name, Name: f.Name, Type: identityType + "/federatedIdentityCredentials",
		Properties: credentialProperties{f.Issuer, f.Subject, f.Audiences}}
}

// credentialBody replaces a credential whole: there is no PATCH on this wire.
type credentialBody struct {
	Properties *struct {
		credentialProperties
		Expression json.RawMessage `json:"claimsMatchingExpression"`
	} `json:"properties"`
}

// The texts are those of Microsoft's page "Important considerations and
// restrictions for federated identity credentials" and of reported answers.
var (
	errEmptyCredential      = badRequest("Federated Identity Credential from HTTP body has empty properties")
	errIncompleteCredential = badRequest("The request format was unexpected. Federated Identity Credential must specify 'issuer', 'subject' and 'audience'.")
	errNotOneAudience       = badRequest("Federated identity credentials must have exactly one audience.")
	errExpression           = badRequest("The property 'claimsMatchingExpression' is not supported: a federated identity credential must specify its 'subject' exactly.")
)

func (b credentialBody) spec(name string) (credential.Spec, error) {
	p := b.Properties
	switch {
	case p == nil:
		return credential.Spec{}, errEmptyCredential
	case given(p.Expression):
		return credential.Spec{}, errExpression
	case p.Issuer == "" && p.Subject == "" && p.Audiences == nil:
		return credential.Spec{}, errEmptyCredential
	}
	return credential.Spec{Name: name, Issuer: p.Issuer, Subject: p.Subject, Audiences: p.Audiences}, nil
}

// invalidCredential says which rule a credential broke, in Azure's words where it has some.
func invalidCredential(e *directory.Error) *refusal {
	v, ok := errors.AsType[*credential.Violation](e)
	switch {
	case !ok:
		return badRequest("The request format was unexpected. %s", sentence(e.Error()))
	case v.Field == credential.Name:
		r := badRequest("Federated Identity Credential name '%s' is invalid.", clip(v.Value))
		r.detail = "Alphanumeric, dash, underscore, no more than 3-120 symbols. First symbol is alphanumeric."
		return r
	case v.Rule == credential.NotOne, v.Field == credential.Audiences && e.Spec != nil && e.Spec.Audiences != nil && len(e.Spec.Audiences) == 0:
		return errNotOneAudience
	case v.Rule == credential.Missing:
		return errIncompleteCredential
	case v.Rule == credential.Unregistered:
		return badRequest("The issuer '%s' %s.", clip(v.Value), v.Detail)
	}
	return badRequest("The request format was unexpected. Federated Identity Credential is invalid: %s", clip(v.Error()))
}

func (c *call) parent() directory.Parent {
	ref := c.identityRef()
	return directory.Parent{Identity: &ref}
}

func (s *Surface) listCredentials(c *call) (*answer, error) {
	return list(s, c, func(p directory.Page) (directory.Paged[directory.Credential], error) {
		return s.dir.Credentials(c, c.caller, c.parent(), p)
	}, c.wireCredential)
}

func (s *Surface) getCredential(c *call) (*answer, error) {
	f, err := s.dir.Credential(c, c.caller, c.parent(), c.args["credential"])
	return found(c.wireCredential(f)), err
}

func (s *Surface) putCredential(c *call, in credentialBody) (*answer, error) {
	spec, err := in.spec(c.args["credential"])
	if err != nil {
		return nil, err
	}
	f, created, err := s.dir.PutCredential(c, c.caller, c.parent(), spec)
	wire := c.wireCredential(f)
	return put(wire, created, wire.ID), err
}

func (s *Surface) deleteCredential(c *call) (*answer, error) {
	return removed(s.dir.RemoveCredential(c, c.caller, c.parent(), c.args["credential"]), directory.CredentialObject)
}
