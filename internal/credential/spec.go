package credential

// Limits of a federated identity credential. Lengths are in characters (Unicode
// code points), not bytes. Source: Microsoft Graph, resource type
// federatedIdentityCredential, and "Important considerations and restrictions
// for federated identity credentials".
const (
	// DefaultAudience is what Entra recommends for the one audience.
	DefaultAudience = "api://AzureADTokenExchange"
	// DefaultLimit is how many credentials one parent may hold.
	DefaultLimit = 20

	MaxName        = 120
	MaxIssuer      = 600
	MaxSubject     = 600
	MaxAudience    = 600
	MaxDescription = 600
)

// ParentKind is what a credential hangs on. It decides the rule for names.
type ParentKind string

const (
	Application     ParentKind = "application"
	ManagedIdentity ParentKind = "managedIdentity"
)

// Spec is a federated identity credential as a person writes it.
type Spec struct {
	Name, Issuer, Subject, Description string
	Audiences                          []string
}

// Validate returns nil or the first *Violation in the order name, issuer,
// subject, audiences, description.
func (s Spec) Validate(kind ParentKind) error { return nil }

// ValidateIssuer applies the rule for a credential's issuer to one string and
// returns nil or a *Violation.
func ValidateIssuer(issuer string) error { return nil }
