package azwi

import "slices"

// Verb is what is done to a workload identity.
type Verb string

// The verbs.
const (
	Create Verb = "create"
	Delete Verb = "delete"
)

// Phase is a part of a verb that can run alone, under azwi's name for it.
type Phase string

// The phases.
const (
	ApplicationPhase    Phase = "aad-application" // or the managed identity
	ServiceAccountPhase Phase = "service-account"
	CredentialPhase     Phase = "federated-identity"
	RolePhase           Phase = "role-assignment"
)

// Phases are the verb's phases in the order in which they run.
func (v Verb) Phases() []Phase {
	if v == Delete {
		return []Phase{RolePhase, CredentialPhase, ServiceAccountPhase, ApplicationPhase}
	}
	return []Phase{ApplicationPhase, ServiceAccountPhase, CredentialPhase, RolePhase}
}

// Aliases are the other names of a phase: azwi's, and for ApplicationPhase those
// that say what it makes of a managed identity.
func (p Phase) Aliases() []string {
	switch p {
	case ApplicationPhase:
		return []string{"app", "managed-identity", "mi"}
	case ServiceAccountPhase:
		return []string{"sa"}
	case CredentialPhase:
		return []string{"fi"}
	case RolePhase:
		return []string{"ra"}
	}
	return nil
}

// ParsePhase finds a phase by its name or one of its aliases.
func ParsePhase(name string) (Phase, bool) {
	for _, p := range Create.Phases() {
		if name == string(p) || slices.Contains(p.Aliases(), name) {
			return p, true
		}
	}
	return "", false
}

// Describe says what the verb's phase does, in one line.
func (v Verb) Describe(p Phase) string {
	return map[Verb]map[Phase]string{
		Create: {
			ApplicationPhase:    "Create the application with its service principal, or the managed identity",
			ServiceAccountPhase: "Create or annotate the Kubernetes service account, in the kubeconfig's current context",
			CredentialPhase:     "Create the federated identity credential for the service account",
			RolePhase:           "Create a role assignment for the service principal or the managed identity",
		},
		Delete: {
			RolePhase:           "Delete a role assignment",
			CredentialPhase:     "Delete the federated identity credential for the service account",
			ServiceAccountPhase: "Delete the Kubernetes service account, in the kubeconfig's current context",
			ApplicationPhase:    "Delete the application with its service principal, or the managed identity",
		},
	}[v][p]
}

// Options are what the verb's phase can be told.
func (v Verb) Options(p Phase) []Option {
	return map[Verb]map[Phase][]Option{
		Create: {
			ApplicationPhase:    {ApplicationName, ServicePrincipalName, IdentityName, ResourceGroup, Location},
			ServiceAccountPhase: {Namespace, ServiceAccount, TokenExpiration, ApplicationName, ApplicationClientID, IdentityName, ResourceGroup, IdentityClientID},
			CredentialPhase:     {Namespace, ServiceAccount, Issuer, ApplicationName, ApplicationObjectID, IdentityName, ResourceGroup},
			RolePhase:           {Scope, Role, ServicePrincipalName, ServicePrincipalObjectID, IdentityName, ResourceGroup},
		},
		Delete: {
			RolePhase:           {RoleAssignmentID},
			CredentialPhase:     {Namespace, ServiceAccount, Issuer, ApplicationName, ApplicationObjectID, IdentityName, ResourceGroup},
			ServiceAccountPhase: {Namespace, ServiceAccount},
			ApplicationPhase:    {ApplicationName, ApplicationObjectID, IdentityName, ResourceGroup},
		},
	}[v][p]
}
