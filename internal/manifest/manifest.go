// Package manifest reads the declarative file of tenants, applications,
// managed identities, their credentials and rights.
//
// It is a room of its own, and pure, because two programs read the same file
// that have nothing else in common: a service that is started with it, which
// writes to its directory, and the command line, which brings Azure or a
// service to the state that the file describes. So it knows neither a
// directory nor a wire. It says what a file states and, for a file that is not
// right, everything that is wrong with it at once, by line and field.
package manifest

import (
	"encoding/json"

	"github.com/entente-id/entente/internal/credential"
)

// Manifest is one file. What stands at its top level is for one tenant: the
// default tenant of a service, or the one that the reader is signed in to.
type Manifest struct {
	Place
	File    string `yaml:"-"`
	Version int    `yaml:"version"` // of the schema: 1, or not given
	// Owner begins the names of all credentials of the file, with "--" after it
	// (see OwnerOf), so that it can be told which ones were the file's.
	Owner string `yaml:"owner"`
	// Default names the tenant of the top level; not given, it is whichever tenant is there.
	Default Names `yaml:"tenant"`
	Objects
	// Tenants are further ones.
	Tenants []Tenant `yaml:"tenants"`
}

// Names are what a tenant is called. The ids are chosen when it is made.
type Names struct {
	Place
	ID             string `yaml:"id"` // GUID
	DisplayName    string `yaml:"displayName"`
	Domain         string `yaml:"domain"`         // another name for it in URLs
	SubscriptionID string `yaml:"subscriptionId"` // GUID; of the subscription of its resource groups
}

// Tenant is a tenant besides the one of the top level, found by its id or else its domain.
type Tenant struct {
	Names
	// Administrator is the workload that administers the tenant if it is made; nil for none.
	Administrator *Administrator `yaml:"administrator"`
	Objects
}

// Administrator is a federated administrator. Subject is filled in from ServiceAccount.
type Administrator struct {
	Place
	Issuer         string `yaml:"issuer"`
	Subject        string `yaml:"subject"`
	ServiceAccount string `yaml:"serviceAccount"` // NAMESPACE/NAME
}

// Objects are what a tenant holds. What is not named is left alone.
type Objects struct {
	Policy            Policy            `yaml:"policy"`
	Issuers           []Issuer          `yaml:"issuers"`
	ResourceGroups    []ResourceGroup   `yaml:"resourceGroups"`
	Applications      []Application     `yaml:"applications"`
	ManagedIdentities []ManagedIdentity `yaml:"managedIdentities"`
}

// Policy is what an administrator sets for a tenant.
type Policy struct {
	Place
	MaxCredentials int `yaml:"maxFederatedIdentityCredentials"` // per application or identity
	// RegisteredIssuersOnly lets new credentials name only issuers that are registered.
	RegisteredIssuersOnly bool `yaml:"registeredIssuersOnly"`
}

// KeySource says where an issuer's keys come from.
type KeySource string

// The sources of keys, as Entente.Federation/issuers spells them.
const (
	Discovery KeySource = "Discovery"
	JWKSURI   KeySource = "JwksUri"
	KeySet    KeySource = "KeySet"
)

// Issuer is an issuer of assertions, found by its URL.
type Issuer struct {
	Place
	Name string `yaml:"name"`
	URL  string `yaml:"issuer"`
	// KeySource is filled in from the members that belong to one; empty when
	// the file says nothing about the keys, which means Discovery where the
	// issuer is new.
	KeySource KeySource `yaml:"keySource"`
	JWKSURI   string    `yaml:"jwksUri"`
	// KeySet is a JSON Web Key Set, as written or from KeySetFile.
	KeySet     json.RawMessage `yaml:"keySet"`
	KeySetFile string          `yaml:"keySetFile"` // relative to the manifest
	Algorithms []string        `yaml:"algorithms"`
	// CACertificate is PEM, as written or from CACertificateFile.
	CACertificate     string `yaml:"caCertificate"`
	CACertificateFile string `yaml:"caCertificateFile"` // relative to the manifest
	ManyAudiences     bool   `yaml:"allowMultipleAudiences"`
}

// ResourceGroup is found by its name, without case.
type ResourceGroup struct {
	Place
	Name     string            `yaml:"name"`
	Location string            `yaml:"location"`
	Tags     map[string]string `yaml:"tags"`
}

// Application is found by its client id, its unique name, or else its display name.
type Application struct {
	Place
	DisplayName string `yaml:"displayName"`
	UniqueName  string `yaml:"uniqueName"`
	// ClientID (GUID) is of an application that is there; a new one gets its own.
	ClientID         string           `yaml:"clientId"`
	Description      string           `yaml:"description"`
	Notes            string           `yaml:"notes"`
	IdentifierURIs   []string         `yaml:"identifierUris"`
	TokenVersion     int              `yaml:"requestedAccessTokenVersion"` // 1 or 2
	AppRoles         []AppRole        `yaml:"appRoles"`
	Tags             []string         `yaml:"tags"`
	ServicePrincipal ServicePrincipal `yaml:"servicePrincipal"`
	Holder
}

// AppRole is found by its id or else its value.
type AppRole struct {
	Place
	ID          string   `yaml:"id"` // GUID; empty: one is made
	Value       string   `yaml:"value"`
	DisplayName string   `yaml:"displayName"` // empty: the value
	Description string   `yaml:"description"` // empty: the display name
	Enabled     bool     `yaml:"isEnabled"`   // true unless given
	MemberTypes []string `yaml:"allowedMemberTypes"`
}

// ServicePrincipal is an application's, which is made with it.
type ServicePrincipal struct {
	Place
	Enabled            bool     `yaml:"accountEnabled"` // true unless given
	AssignmentRequired bool     `yaml:"appRoleAssignmentRequired"`
	Tags               []string `yaml:"tags"`
}

// ManagedIdentity is a user-assigned one, found by its group and name, without case.
type ManagedIdentity struct {
	Place
	Name           string            `yaml:"name"`
	ResourceGroup  string            `yaml:"resourceGroup"`
	Location       string            `yaml:"location"`
	Tags           map[string]string `yaml:"tags"`
	IsolationScope string            `yaml:"isolationScope"` // None or Regional
	Holder
}

// Holder is what applications and managed identities have in common: whom they
// trust, and what they may do.
type Holder struct {
	FederatedCredentials []FederatedCredential `yaml:"federatedCredentials"`
	AppRoleAssignments   []AppRoleAssignment   `yaml:"appRoleAssignments"`
	RoleAssignments      []RoleAssignment      `yaml:"roleAssignments"`
}

// FederatedCredential is found by its name or else its issuer and subject.
type FederatedCredential struct {
	Place
	Name string `yaml:"name"`
	// Issuer is an URL; in the file it may also be the name of an issuer of the same tenant there.
	Issuer         string   `yaml:"issuer"`
	Subject        string   `yaml:"subject"`        // filled in from ServiceAccount
	ServiceAccount string   `yaml:"serviceAccount"` // NAMESPACE/NAME
	Audiences      []string `yaml:"audiences"`      // filled in with the default
	Description    string   `yaml:"description"`
}

// Spec is the credential as the rules know it.
func (c *FederatedCredential) Spec() credential.Spec {
	return credential.Spec{Name: c.Name, Issuer: c.Issuer, Subject: c.Subject, Description: c.Description, Audiences: c.Audiences}
}

// AppRoleAssignment gives its holder an app role of a resource.
type AppRoleAssignment struct {
	Place
	// Resource is an application: by its unique or display name in the file
	// or the tenant, an identifier URI, or a client id.
	Resource string `yaml:"resource"`
	Role     string `yaml:"role"` // value or id; empty: the role of resources that define none
}

// RoleAssignment gives its holder a role on a scope.
type RoleAssignment struct {
	Place
	Role string `yaml:"role"` // name or GUID; whether there is one, the tenant knows
	// Scope is "/", an ARM id, or Subscription. Empty: ResourceGroup.
	Scope         string `yaml:"scope"`
	ResourceGroup string `yaml:"resourceGroup"`
}

// Subscription is the scope of the tenant's own subscription.
const Subscription = "subscription"
