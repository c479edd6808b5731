package client

import (
	"context"
	"errors"
	"fmt"
)

// IdentityID names a user-assigned managed identity.
type IdentityID struct{ SubscriptionID, ResourceGroup, Name string }

// ParseIdentityID reads the resource id of a managed identity. ARM writes one id in
// several cases ("resourcegroups"), so the fixed words are compared without case.
func ParseIdentityID(id string) (IdentityID, error) {
	s, err := parseResource(id, identities, "a user-assigned managed identity")
	return IdentityID(s), err
}

// String returns the resource id.
func (id IdentityID) String() string {
	return ResourceGroupID{id.SubscriptionID, id.ResourceGroup}.String() + identities + "/" + id.Name
}

func (id IdentityID) path() path {
	return ResourceGroupID{id.SubscriptionID, id.ResourceGroup}.path().then(identities).segment(id.Name)
}

const identities = "/providers/Microsoft.ManagedIdentity/userAssignedIdentities"

// Identity is a user-assigned managed identity.
type Identity struct {
	ID             string            `json:"id"` // resource id; its case is the server's
	Name           string            `json:"name"`
	Location       string            `json:"location"`
	Tags           map[string]string `json:"tags,omitempty"`
	TenantID       string            `json:"tenantId"`
	PrincipalID    string            `json:"principalId"` // object id of its service principal
	ClientID       string            `json:"clientId"`
	IsolationScope string            `json:"isolationScope,omitempty"` // "None" or "Regional"; empty means "None"
}

// IdentityUpdate changes a managed identity: what is zero stays as it is; an empty
// map that is not nil clears.
type IdentityUpdate struct {
	Tags           map[string]string
	IsolationScope string // "None" or "Regional"
}

type identityProperties struct {
	TenantID       string `json:"tenantId"`
	PrincipalID    string `json:"principalId"`
	ClientID       string `json:"clientId"`
	IsolationScope string `json:"isolationScope"`
}

func identityOf(r resource[identityProperties]) Identity {
	return Identity{
		ID: r.ID, Name: r.Name, Location: r.Location, Tags: r.Tags,
		TenantID: r.Properties.TenantID, PrincipalID: r.Properties.PrincipalID, ClientID: r.Properties.ClientID, IsolationScope: r.Properties.IsolationScope,
	}
}

// Identities lists the managed identities of a subscription, or of one of its
// resource groups when the group has a name.
func (c *Client) Identities(ctx context.Context, group ResourceGroupID) ([]Identity, error) {
	p := at("/subscriptions").segment(group.SubscriptionID)
	if group.Name != "" {
		p = group.path()
	}
	all, err := list[resource[identityProperties]](ctx, c, c.arm, p.then(identities).param("api-version", identityVersion))
	return each(all, identityOf), err
}

// Identity reads a managed identity.
func (c *Client) Identity(ctx context.Context, id IdentityID) (Identity, error) {
	r, err := get[resource[identityProperties]](ctx, c, c.arm, id.path().param("api-version", identityVersion))
	return identityOf(r), err
}

// PutIdentity makes a managed identity or replaces its tags, and tells whether it
// was made. The group must exist.
func (c *Client) PutIdentity(ctx context.Context, id IdentityID, spec ResourceSpec) (_ Identity, created bool, _ error) {
	r, created, err := put[resource[identityProperties]](ctx, c, id.path().param("api-version", identityVersion), spec)
	return identityOf(r), created, err
}

// UpdateIdentity changes a managed identity.
func (c *Client) UpdateIdentity(ctx context.Context, id IdentityID, u IdentityUpdate) (Identity, error) {
	type properties struct {
		IsolationScope string `json:"isolationScope,omitempty"`
	}
	in := struct {
		Tags       map[string]string `json:"tags,omitzero"`
		Properties properties        `json:"properties,omitzero"`
	}{u.Tags, properties{u.IsolationScope}}
	r, err := patch[resource[identityProperties]](ctx, c, id.path().param("api-version", identityVersion), in)
	return identityOf(r), err
}

// DeleteIdentity deletes a managed identity and its credentials. One that is not
// there is no error, as ARM has it.
func (c *Client) DeleteIdentity(ctx context.Context, id IdentityID) error {
	return c.remove(ctx, c.arm, id.path().param("api-version", identityVersion))
}

type credentialProperties struct {
	Issuer    string   `json:"issuer"`
	Subject   string   `json:"subject"`
	Audiences []string `json:"audiences"`
}

func credentialOf(r resource[credentialProperties]) FederatedCredential {
	return FederatedCredential{ID: r.ID, Name: r.Name, Issuer: r.Properties.Issuer, Subject: r.Properties.Subject, Audiences: r.Properties.Audiences}
}

func (id IdentityID) credentials() path { return id.path().then("/federatedIdentityCredentials") }

// IdentityCredentials lists the federated credentials of a managed identity.
func (c *Client) IdentityCredentials(ctx context.Context, id IdentityID) ([]FederatedCredential, error) {
	all, err := list[resource[credentialProperties]](ctx, c, c.arm, id.credentials().param("api-version", identityVersion))
	return each(all, credentialOf), err
}

// IdentityCredential reads a credential by its name.
func (c *Client) IdentityCredential(ctx context.Context, id IdentityID, name string) (FederatedCredential, error) {
	r, err := get[resource[credentialProperties]](ctx, c, c.arm, id.credentials().segment(name).param("api-version", identityVersion))
	return credentialOf(r), err
}

// PutIdentityCredential makes the credential with this name or replaces it, and
// tells whether it was made. A description has no place on this wire and is an
// error. Azure refuses writes to one identity at the same time with a 409.
func (c *Client) PutIdentityCredential(ctx context.Context, id IdentityID, f FederatedCredential) (_ FederatedCredential, created bool, _ error) {
	if f.Description != "" {
		return FederatedCredential{}, false, fmt.Errorf("credential %q of %s: %w", f.Name, id, errNoDescription)
	}
	in := resource[credentialProperties]{Properties: credentialProperties{Issuer: f.Issuer, Subject: f.Subject, Audiences: f.Audiences}}
	r, created, err := put[resource[credentialProperties]](ctx, c, id.credentials().segment(f.Name).param("api-version", identityVersion), in)
	return credentialOf(r), created, err
}

var errNoDescription = errors.New("credentials of managed identities have no description")

// DeleteIdentityCredential removes a credential. One that is not there is no error,
// as ARM has it.
func (c *Client) DeleteIdentityCredential(ctx context.Context, id IdentityID, name string) error {
	return c.remove(ctx, c.arm, id.credentials().segment(name).param("api-version", identityVersion))
}
