package azwi

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/entente-id/entente/internal/credential"
)

// Option is something that a person says, under the name of azwi's flag for it.
type Option string

// The options.
const (
	Namespace                Option = "service-account-namespace"
	ServiceAccount           Option = "service-account-name"
	Issuer                   Option = "service-account-issuer-url"
	TokenExpiration          Option = "service-account-token-expiration"
	ApplicationName          Option = "aad-application-name"
	ApplicationClientID      Option = "aad-application-client-id"
	ApplicationObjectID      Option = "aad-application-object-id"
	ServicePrincipalName     Option = "service-principal-name"
	ServicePrincipalObjectID Option = "service-principal-object-id"
	IdentityName             Option = "managed-identity-name"      // not azwi's
	IdentityClientID         Option = "managed-identity-client-id" // not azwi's
	ResourceGroup            Option = "resource-group"             // not azwi's
	Location                 Option = "location"                   // not azwi's
	Scope                    Option = "azure-scope"
	Role                     Option = "azure-role"
	RoleAssignmentID         Option = "role-assignment-id"
)

// What a token of a service account may last, by the webhook's rules.
const (
	DefaultExpiration = time.Hour
	minExpiration     = time.Hour
	maxExpiration     = 24 * time.Hour
)

// Options is what a person says, each under its Option's name. Either the
// Application fields say who the workload is, or the Identity fields.
type Options struct {
	Namespace       string
	ServiceAccount  string
	Issuer          string
	TokenExpiration time.Duration // 0: DefaultExpiration

	ApplicationName     string // "": see DefaultApplicationName
	ApplicationClientID string
	ApplicationObjectID string

	ServicePrincipalName     string // "": the application's service principal
	ServicePrincipalObjectID string

	IdentityName     string
	IdentityClientID string
	ResourceGroup    string // of the identity
	Location         string // of a new identity; "": that of its group

	Scope            string
	Role             string
	RoleAssignmentID string // a resource id
}

// MissingError says that one of some options is required.
type MissingError struct{ Options []Option }

func (e *MissingError) Error() string {
	names := make([]string, len(e.Options))
	for i, o := range e.Options {
		names[i] = "--" + string(o)
	}
	return strings.Join(names, " or ") + " is required"
}

// Identity says whether the workload is a managed identity.
func (o Options) Identity() bool {
	return o.IdentityName != "" || o.IdentityClientID != "" || o.ResourceGroup != "" || o.Location != ""
}

// applicationName is the name that was given or, where enough is known for it, the
// one that azwi makes up.
func (o Options) applicationName() (name string, madeUp bool) {
	if o.ApplicationName != "" || o.Namespace == "" || o.ServiceAccount == "" || o.Issuer == "" {
		return o.ApplicationName, false
	}
	return DefaultApplicationName(o.Namespace, o.ServiceAccount, o.Issuer), true
}

// checkOwner refuses two answers to the question who the workload is.
func (o Options) checkOwner() error {
	if !o.Identity() {
		return nil
	}
	for option, value := range map[Option]string{
		ApplicationName: o.ApplicationName, ApplicationClientID: o.ApplicationClientID, ApplicationObjectID: o.ApplicationObjectID,
	} {
		if value != "" {
			return fmt.Errorf("--%s is about an application, and --%s, --%s and --%s are about a managed identity: give one of the two", option, IdentityName, ResourceGroup, IdentityClientID)
		}
	}
	return nil
}

// value is what was said, or follows from it.
func (o Options) value(option Option) string {
	switch option {
	case Namespace:
		return o.Namespace
	case ServiceAccount:
		return o.ServiceAccount
	case Issuer:
		return o.Issuer
	case ApplicationName:
		name, _ := o.applicationName()
		return name
	case ApplicationClientID:
		return o.ApplicationClientID
	case ApplicationObjectID:
		return o.ApplicationObjectID
	case ServicePrincipalName:
		return o.ServicePrincipalName
	case ServicePrincipalObjectID:
		return o.ServicePrincipalObjectID
	case IdentityName:
		return o.IdentityName
	case IdentityClientID:
		return o.IdentityClientID
	case ResourceGroup:
		return o.ResourceGroup
	case Scope:
		return o.Scope
	case Role:
		return o.Role
	case RoleAssignmentID:
		return o.RoleAssignmentID
	}
	return ""
}

// required are groups of options of each of which one has to be there.
func (o Options) required(v Verb, p Phase) [][]Option {
	account := [][]Option{{Namespace}, {ServiceAccount}}
	identity := [][]Option{{IdentityName}, {ResourceGroup}}
	known := o.ApplicationObjectID != "" || o.ApplicationClientID != ""
	switch {
	case p == ApplicationPhase && o.Identity():
		return identity
	case p == ApplicationPhase && v == Delete:
		return [][]Option{{ApplicationName, ApplicationObjectID}}
	case p == ApplicationPhase && !known:
		return [][]Option{{ApplicationName}}
	case p == ServiceAccountPhase && v == Delete:
		return account
	case p == ServiceAccountPhase && o.Identity() && o.IdentityClientID == "":
		return append(account, []Option{IdentityName, IdentityClientID}, []Option{ResourceGroup})
	case p == ServiceAccountPhase && !o.Identity() && !known:
		return append(account, []Option{ApplicationName, ApplicationClientID})
	case p == ServiceAccountPhase:
		return account
	case p == CredentialPhase && o.Identity():
		return slices.Concat(account, [][]Option{{Issuer}}, identity)
	case p == CredentialPhase:
		return append(account, []Option{Issuer})
	case p == RolePhase && v == Delete:
		return [][]Option{{RoleAssignmentID}}
	case p == RolePhase && (o.ServicePrincipalName != "" || o.ServicePrincipalObjectID != ""):
		return [][]Option{{Scope}, {Role}}
	case p == RolePhase && o.Identity():
		return append([][]Option{{Scope}, {Role}}, identity...)
	case p == RolePhase && (known || o.value(ApplicationName) != ""):
		return [][]Option{{Scope}, {Role}}
	case p == RolePhase:
		return [][]Option{{Scope}, {Role}, {ServicePrincipalName, ServicePrincipalObjectID}}
	}
	return nil
}

// check looks at what a phase needs.
func (o Options) check(v Verb, p Phase) error {
	for _, group := range o.required(v, p) {
		if !slices.ContainsFunc(group, func(option Option) bool { return o.value(option) != "" }) {
			return &MissingError{Options: group}
		}
	}
	switch {
	case v == Create && p == ServiceAccountPhase:
		if err := o.checkExpiration(); err != nil {
			return err
		}
		return o.checkServiceAccount()
	case p == ServiceAccountPhase:
		return o.checkServiceAccount()
	case p == CredentialPhase:
		if err := o.checkServiceAccount(); err != nil || v == Delete {
			return err
		}
		return o.checkIssuer()
	case v == Delete && p == RolePhase && !strings.Contains(strings.ToLower(o.RoleAssignmentID), "/providers/microsoft.authorization/roleassignments/"):
		return fmt.Errorf("--%s: %q is not the resource id of a role assignment", RoleAssignmentID, o.RoleAssignmentID)
	}
	return nil
}

func (o Options) expiration() time.Duration { return cmp.Or(o.TokenExpiration, DefaultExpiration) }

func (o Options) checkExpiration() error {
	switch d := o.expiration(); {
	case d < minExpiration:
		return fmt.Errorf("--%s must be greater than or equal to %s", TokenExpiration, minExpiration)
	case d > maxExpiration:
		return fmt.Errorf("--%s must be less than or equal to %s", TokenExpiration, maxExpiration)
	}
	return nil
}

// checkServiceAccount refuses names that no service account can have.
func (o Options) checkServiceAccount() error {
	if _, _, ok := credential.ParseServiceAccountSubject(o.subject()); ok {
		return nil
	}
	if _, _, ok := credential.ParseServiceAccountSubject(credential.ServiceAccountSubject(o.Namespace, "default")); !ok {
		return fmt.Errorf("--%s: %q cannot be the name of a namespace", Namespace, o.Namespace)
	}
	return fmt.Errorf("--%s: %q cannot be the name of a service account", ServiceAccount, o.ServiceAccount)
}

// checkIssuer refuses what no credential can have.
func (o Options) checkIssuer() error {
	if err := credential.ValidateIssuer(o.Issuer); err != nil {
		return fmt.Errorf("--%s: %w", Issuer, err)
	}
	return nil
}
