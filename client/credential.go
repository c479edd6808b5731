package client

import (
	"context"
	"net/http"
)

// FederatedCredential is a federated identity credential: the trust in what one
// issuer says about one subject. Applications have them in Graph
// (https://learn.microsoft.com/graph/api/resources/federatedidentitycredential),
// managed identities in ARM, where there is no description and the id is a
// resource id.
type FederatedCredential struct {
	ID          string   `json:"id,omitempty"` // the server's
	Name        string   `json:"name"`
	Issuer      string   `json:"issuer"`
	Subject     string   `json:"subject"`
	Description string   `json:"description,omitempty"`
	Audiences   []string `json:"audiences"` // exactly one
}

// FederatedCredentialUpdate changes a credential of an application: what is zero
// stays as it is. Names cannot change.
type FederatedCredentialUpdate struct {
	Issuer      string   `json:"issuer,omitempty"`
	Subject     string   `json:"subject,omitempty"`
	Description *string  `json:"description,omitempty"`
	Audiences   []string `json:"audiences,omitempty"`
}

// ApplicationCredentials lists the federated credentials of an application, which
// is named by its object id here and below.
func (c *Client) ApplicationCredentials(ctx context.Context, applicationID string) ([]FederatedCredential, error) {
	return list[FederatedCredential](ctx, c, c.graph, credentialsOf(applicationID))
}

// ApplicationCredential reads a credential by its id or its name.
func (c *Client) ApplicationCredential(ctx context.Context, applicationID, idOrName string) (FederatedCredential, error) {
	return get[FederatedCredential](ctx, c, c.graph, credentialsOf(applicationID).segment(idOrName))
}

// CreateApplicationCredential adds a credential. A name that is taken is an
// [ErrConflict]; an issuer and subject that are taken are a 400 with the code
// "InvalidFederatedIdentityCredentialValue".
func (c *Client) CreateApplicationCredential(ctx context.Context, applicationID string, f FederatedCredential) (FederatedCredential, error) {
	f.ID = ""
	return post[FederatedCredential](ctx, c, c.graph, credentialsOf(applicationID), f)
}

// UpdateApplicationCredential changes a credential that is named by id or name.
func (c *Client) UpdateApplicationCredential(ctx context.Context, applicationID, idOrName string, u FederatedCredentialUpdate) error {
	_, err := c.do(ctx, c.graph, call{method: http.MethodPatch, path: credentialsOf(applicationID).segment(idOrName), in: u})
	return err
}

// UpsertApplicationCredential makes the credential with this name, or makes the
// one that is there the same, and tells which of the two it was.
func (c *Client) UpsertApplicationCredential(ctx context.Context, applicationID string, f FederatedCredential) (created bool, err error) {
	in := FederatedCredentialUpdate{Issuer: f.Issuer, Subject: f.Subject, Description: &f.Description, Audiences: f.Audiences}
	a, err := c.do(ctx, c.graph, call{
		method: http.MethodPatch,
		path:   credentialsOf(applicationID).key("name", f.Name),
		in:     in,
		prefer: createIfMissing,
	})
	return a.status == http.StatusCreated, err
}

// DeleteApplicationCredential removes a credential by its id or its name. One that
// is not there is an [ErrNotFound].
func (c *Client) DeleteApplicationCredential(ctx context.Context, applicationID, idOrName string) error {
	return c.remove(ctx, c.graph, credentialsOf(applicationID).segment(idOrName))
}

func credentialsOf(applicationID string) path {
	return at(applications).segment(applicationID).then("/federatedIdentityCredentials")
}
