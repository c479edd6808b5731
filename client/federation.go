package client

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// Entente.Federation is the ARM provider of an Entente server for what Azure has no
// wire for. Azure answers these calls with an error.
const federation = "/providers/Entente.Federation"

func federationPath(collection string) path { return at(federation + "/" + collection) }

func (p path) federation() path { return p.param("api-version", federationVersion) }

// KeySource says where an issuer's keys come from.
type KeySource string

// The sources of keys.
const (
	DiscoveredKeys KeySource = "Discovery" // {issuer}/.well-known/openid-configuration
	JWKSURIKeys    KeySource = "JwksUri"   // a key set at an URL of its own
	UploadedKeys   KeySource = "KeySet"    // uploaded, never fetched
)

// IssuerSpec is what a caller writes of an issuer.
type IssuerSpec struct {
	Issuer                 string          `json:"issuer"` // exact URL
	KeySource              KeySource       `json:"keySource,omitempty"`
	JWKSURI                string          `json:"jwksUri,omitempty"`       // with JWKSURIKeys
	KeySet                 json.RawMessage `json:"keySet,omitempty"`        // with UploadedKeys: a JWK set (RFC 7517 §5)
	Algorithms             []string        `json:"algorithms,omitempty"`    // empty: RS256
	CACertificate          string          `json:"caCertificate,omitempty"` // PEM, added to the server's roots
	AllowMultipleAudiences bool            `json:"allowMultipleAudiences,omitempty"`
}

// Issuer is a registered issuer of assertions.
type Issuer struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	IssuerSpec
	Implicit  bool      `json:"implicit,omitempty"` // made by a credential that names it, and nothing was set since
	Revision  int64     `json:"revision"`           // grows with every edit
	CreatedAt time.Time `json:"createdAt,omitzero"`
	UpdatedAt time.Time `json:"updatedAt,omitzero"`
}

type issuerProperties struct {
	IssuerSpec
	Implicit  bool      `json:"implicit"`
	Revision  int64     `json:"revision"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
}

func issuerOf(r resource[issuerProperties]) Issuer {
	p := r.Properties
	return Issuer{ID: r.ID, Name: r.Name, IssuerSpec: p.IssuerSpec, Implicit: p.Implicit, Revision: p.Revision, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt}
}

// Issuers lists the issuers of the caller's tenant.
func (c *Client) Issuers(ctx context.Context) ([]Issuer, error) {
	all, err := list[resource[issuerProperties]](ctx, c, c.arm, federationPath("issuers").federation())
	return each(all, issuerOf), err
}

// Issuer reads an issuer by its name.
func (c *Client) Issuer(ctx context.Context, name string) (Issuer, error) {
	r, err := get[resource[issuerProperties]](ctx, c, c.arm, federationPath("issuers").segment(name).federation())
	return issuerOf(r), err
}

// PutIssuer registers an issuer or replaces it, and tells whether it was new. Who
// may do this can speak for every subject of the issuer.
func (c *Client) PutIssuer(ctx context.Context, name string, spec IssuerSpec) (_ Issuer, created bool, _ error) {
	in := resource[IssuerSpec]{Properties: spec}
	r, created, err := put[resource[issuerProperties]](ctx, c, federationPath("issuers").segment(name).federation(), in)
	return issuerOf(r), created, err
}

// DeleteIssuer removes an issuer. One that is not there is no error, as ARM has it.
func (c *Client) DeleteIssuer(ctx context.Context, name string) error {
	return c.remove(ctx, c.arm, federationPath("issuers").segment(name).federation())
}

// Policy is what an administrator sets for a tenant.
type Policy struct {
	MaxFederatedIdentityCredentials int `json:"maxFederatedIdentityCredentials,omitempty"` // of one application or identity
	// RegisteredIssuersOnly lets new credentials name only issuers that are
	// registered, by themselves or with a cluster. Servers always say it.
	RegisteredIssuersOnly *bool `json:"registeredIssuersOnly,omitempty"`
}

// Policy reads the policy of the caller's tenant.
func (c *Client) Policy(ctx context.Context) (Policy, error) {
	r, err := get[resource[Policy]](ctx, c, c.arm, federationPath("policies/default").federation())
	return r.Properties, err
}

// PutPolicy changes the policy of the caller's tenant, and returns what it
// became. Members that are zero stay as they are.
func (c *Client) PutPolicy(ctx context.Context, p Policy) (Policy, error) {
	r, _, err := put[resource[Policy]](ctx, c, federationPath("policies/default").federation(), resource[Policy]{Properties: p})
	return r.Properties, err
}

// HostedTenant is a tenant of an Entente server, as its operator sees it. ([Tenant]
// is a tenant as Resource Manager shows it to whoever is in it.)
type HostedTenant struct {
	ID             string         `json:"id"`
	TenantID       string         `json:"tenantId"`
	DisplayName    string         `json:"displayName"`
	SubscriptionID string         `json:"subscriptionId,omitempty"`
	Administrator  *Administrator `json:"administrator,omitempty"` // in the answer of PutHostedTenant
}

// Administrator is the application that a new tenant is administered with.
type Administrator struct {
	ClientID     string `json:"clientId"`
	PrincipalID  string `json:"principalId"`
	ClientSecret string `json:"clientSecret,omitempty"` // shown once, and only when no issuer was given
}

// HostedTenantSpec is what a caller writes of a tenant. Without an administrator
// one with a client secret is made.
type HostedTenantSpec struct {
	DisplayName   string             `json:"displayName"`
	Administrator *AdministratorSpec `json:"administrator,omitempty"`
}

// AdministratorSpec is a federated credential for the first administrator.
type AdministratorSpec struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
}

type tenantProperties struct {
	DisplayName    string         `json:"displayName"`
	SubscriptionID string         `json:"subscriptionId"`
	Administrator  *Administrator `json:"administrator"`
}

func tenantOf(r resource[tenantProperties]) HostedTenant {
	p := r.Properties
	return HostedTenant{ID: r.ID, TenantID: r.Name, DisplayName: p.DisplayName, SubscriptionID: p.SubscriptionID, Administrator: p.Administrator}
}

// HostedTenants lists the tenants of an Entente server.
func (c *Client) HostedTenants(ctx context.Context) ([]HostedTenant, error) {
	all, err := list[resource[tenantProperties]](ctx, c, c.arm, federationPath("tenants").federation())
	return each(all, tenantOf), err
}

// HostedTenant reads a tenant.
func (c *Client) HostedTenant(ctx context.Context, tenantID string) (HostedTenant, error) {
	r, err := get[resource[tenantProperties]](ctx, c, c.arm, federationPath("tenants").segment(tenantID).federation())
	return tenantOf(r), err
}

// PutHostedTenant makes a tenant; one that is there already is an ErrConflict.
// The administrator's secret, if there is one, is in this answer only.
func (c *Client) PutHostedTenant(ctx context.Context, tenantID string, spec HostedTenantSpec) (_ HostedTenant, created bool, _ error) {
	in := resource[HostedTenantSpec]{Properties: spec}
	r, created, err := put[resource[tenantProperties]](ctx, c, federationPath("tenants").segment(tenantID).federation(), in)
	return tenantOf(r), created, err
}

// RecordKind is a kind of record that an Entente server keeps.
type RecordKind string

// The kinds of records, newest first.
const (
	AuditEvents RecordKind = "auditEvents"
	SignIns     RecordKind = "signIns"
	SigningKeys RecordKind = "signingKeys"
)

// Records lists records of the caller's tenant, at most limit of them unless it is
// 0, as the server wrote them.
func (c *Client) Records(ctx context.Context, kind RecordKind, limit int) ([]json.RawMessage, error) {
	p := at(federation).segment(string(kind))
	if limit > 0 {
		p = p.param("$top", strconv.Itoa(min(limit, 1000)))
	}
	return listUpTo[json.RawMessage](ctx, c, c.arm, p.federation(), limit)
}

// PortalLink opens the portal of an Entente server in the caller's name, once, for
// whoever has its URL.
type PortalLink struct {
	URL       string    `json:"url"` // a secret
	ExpiresAt time.Time `json:"expiresAt"`
}

type portalLinkSpec struct {
	LifetimeSeconds int64 `json:"lifetimeSeconds,omitempty"`
}

// MakePortalLink makes a link to the portal for the caller. The lifetime is in whole
// seconds, 10 minutes at most, which 0 stands for.
func (c *Client) MakePortalLink(ctx context.Context, lifetime time.Duration) (PortalLink, error) {
	in := resource[portalLinkSpec]{Properties: portalLinkSpec{int64(lifetime / time.Second)}}
	r, err := post[resource[PortalLink]](ctx, c, c.arm, federationPath("portalLinks").federation(), in)
	return r.Properties, err
}

// RotateSigningKey has the server make its next signing key for the caller's tenant.
func (c *Client) RotateSigningKey(ctx context.Context) error {
	_, err := c.do(ctx, c.arm, call{method: http.MethodPost, path: federationPath("signingKeys/rotate").federation()})
	return err
}
