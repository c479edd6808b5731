package credential

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a federated identity credential. Lengths are in characters (Unicode
// code points), not bytes. Source: Microsoft Graph, resource type
// federatedIdentityCredential; Microsoft Entra, "Important considerations and
// restrictions for federated identity credentials".
const (
	// DefaultAudience is what Entra recommends for the one audience.
	DefaultAudience = "api://AzureADTokenExchange"
	// DefaultLimit is how many credentials one parent may hold unless a policy says otherwise.
	DefaultLimit = 20

	MaxName        = 120
	MaxIssuer      = 600
	MaxSubject     = 600
	MaxAudience    = 600
	MaxDescription = 600
)

// minName is the shortest name of a managed identity's credential.
const minName = 3

// ParentKind is what a credential hangs on. It decides the rule for names.
type ParentKind string

const (
	// Application: names are 1–120 characters that stand in a URL as they are
	// (RFC 3986 section 2.3) or "=". Microsoft documents a narrower form, but
	// Graph accepts what azwi makes, and that ends in "=" and may begin with
	// "-" or "_".
	Application ParentKind = "application"
	// ManagedIdentity: names are 3–120 letters, digits, "-" and "_", the first
	// one a letter or digit. Source: Azure Resource Manager,
	// Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials.
	ManagedIdentity ParentKind = "managedIdentity"
)

// Spec is a federated identity credential as a person writes it. No value has
// wildcards or any other meaning than itself.
type Spec struct {
	Name, Issuer, Subject, Description string
	Audiences                          []string
}

// Validate returns nil or the first *Violation in the order name, issuer,
// subject, audiences, description. Whether name and issuer with subject are
// unique, and how many credentials there may be, is for whoever has the others.
func (s Spec) Validate(kind ParentKind) error {
	checks := []func() *Violation{
		func() *Violation { return checkName(s.Name, kind) },
		func() *Violation { return checkIssuer(s.Issuer) },
		func() *Violation { return checkText(Subject, s.Subject, MaxSubject) },
		func() *Violation { return checkAudiences(s.Audiences) },
		func() *Violation { return checkDescription(s.Description) },
	}
	for _, check := range checks {
		if v := check(); v != nil {
			return v
		}
	}
	return nil
}

// ValidateName applies the rule for names alone and returns nil or a *Violation.
func ValidateName(name string, kind ParentKind) error {
	if v := checkName(name, kind); v != nil {
		return v
	}
	return nil
}

func checkName(name string, kind ParentKind) *Violation {
	if v := checkLength(Name, name, MaxName); v != nil {
		return v
	}
	if kind == ManagedIdentity {
		for i := range len(name) {
			if c := name[i]; !alphanumeric(c) && (i == 0 || c != '-' && c != '_') {
				return &Violation{Name, Malformed, name, `must consist of letters, digits, "-" and "_" and begin with a letter or digit`}
			}
		}
		if len(name) < minName {
			return &Violation{Name, TooShort, name, fmt.Sprintf("must have at least %d characters", minName)}
		}
		return nil
	}
	for i := range len(name) {
		if c := name[i]; !alphanumeric(c) && !strings.ContainsRune("-._~=", rune(c)) {
			return &Violation{Name, Malformed, name, `must consist of letters, digits and "-", ".", "_", "~", "="`}
		}
	}
	if name == "." || name == ".." {
		// As the last segment of a URL it would name the collection or its parent.
		return &Violation{Name, Forbidden, name, "must not be a dot segment"}
	}
	return nil
}

func checkAudiences(audiences []string) *Violation {
	switch len(audiences) {
	case 0:
		return &Violation{Audiences, Missing, "", "must hold exactly one audience"}
	case 1:
		return checkText(Audiences, audiences[0], MaxAudience)
	default:
		return &Violation{Audiences, NotOne, strings.Join(audiences, ", "), fmt.Sprintf("must hold exactly one audience, not %d", len(audiences))}
	}
}

// checkText is the rule for values that are compared and never interpreted.
func checkText(field Field, value string, limit int) *Violation {
	if v := checkLength(field, value, limit); v != nil {
		return v
	}
	if !utf8.ValidString(value) {
		return &Violation{field, Malformed, value, "must be valid UTF-8"}
	}
	if strings.ContainsFunc(value, unicode.IsControl) {
		return &Violation{field, Malformed, value, "must not hold control characters"}
	}
	return nil
}

// checkDescription lets line breaks pass; it refuses what no database keeps.
func checkDescription(value string) *Violation {
	if value == "" {
		return nil
	}
	if v := checkLength(Description, value, MaxDescription); v != nil {
		return v
	}
	if !utf8.ValidString(value) {
		return &Violation{Description, Malformed, value, "must be valid UTF-8"}
	}
	if strings.ContainsRune(value, 0) {
		return &Violation{Description, Malformed, value, "must not hold NUL"}
	}
	return nil
}

func checkLength(field Field, value string, limit int) *Violation {
	if value == "" {
		return &Violation{field, Missing, "", "must not be empty"}
	}
	// A character has at most four bytes: nothing is counted that cannot fit.
	if len(value) > utf8.UTFMax*limit || utf8.RuneCountInString(value) > limit {
		return &Violation{field, TooLong, value, fmt.Sprintf("must have at most %d characters", limit)}
	}
	return nil
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
