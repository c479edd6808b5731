package portal

import (
	"strings"

	"github.com/entente-id/entente/internal/directory"
)

// auditActions are the actions of audit events in words, in the order in which
// the filter offers them. A word stands before the name of what was changed.
var auditActions = []struct{ action, text, filter string }{
	{"microsoft.directory/applications/create", "Registered the application", "Applications: registered"},
	{"microsoft.directory/applications/basic/update", "Changed the application", "Applications: changed"},
	{"microsoft.directory/applications/credentials/update", "Changed a credential of an application", "Applications: credentials, secrets, certificates"},
	{"microsoft.directory/applications/owners/update", "Changed the owners of the application", "Applications: owners"},
	{"microsoft.directory/applications/delete", "Deleted the application", "Applications: deleted"},
	{"microsoft.directory/deletedItems/applications/restore", "Restored the application", "Applications: restored"},
	{"microsoft.directory/deletedItems/applications/delete", "Removed for good the application", "Applications: removed for good"},
	{"microsoft.directory/servicePrincipals/create", "Made the service principal", "Service principals: made"},
	{"microsoft.directory/servicePrincipals/basic/update", "Changed the service principal", "Service principals: changed"},
	{"microsoft.directory/servicePrincipals/credentials/update", "Changed a secret or certificate of a service principal", "Service principals: secrets, certificates"},
	{"microsoft.directory/servicePrincipals/owners/update", "Changed the owners of the service principal", "Service principals: owners"},
	{"microsoft.directory/servicePrincipals/appRoleAssignedTo/update", "Changed who has the app role", "Service principals: app roles"},
	{"microsoft.directory/servicePrincipals/delete", "Deleted the service principal", "Service principals: deleted"},
	{"microsoft.directory/deletedItems/servicePrincipals/restore", "Restored the service principal", "Service principals: restored"},
	{"microsoft.directory/deletedItems/servicePrincipals/delete", "Removed for good the service principal", "Service principals: removed for good"},
	{"Microsoft.ManagedIdentity/userAssignedIdentities/write", "Made or changed the managed identity", "Managed identities: made or changed"},
	{"Microsoft.ManagedIdentity/userAssignedIdentities/delete", "Deleted the managed identity", "Managed identities: deleted"},
	{"Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write", "Added or changed the federated credential", "Managed identities: credentials added or changed"},
	{"Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/delete", "Removed the federated credential", "Managed identities: credentials removed"},
	{"Microsoft.Resources/subscriptions/resourceGroups/write", "Made or changed the resource group", "Resource groups: made or changed"},
	{"Microsoft.Resources/subscriptions/resourceGroups/delete", "Deleted the resource group", "Resource groups: deleted"},
	{"Microsoft.ContainerService/managedClusters/write", "Registered or changed the cluster", "Clusters: registered or changed"},
	{"Microsoft.ContainerService/managedClusters/serviceAccounts/write", "Reported the service accounts of the cluster", "Clusters: service accounts reported"},
	{"Microsoft.ContainerService/managedClusters/delete", "Removed the cluster", "Clusters: removed"},
	{"Microsoft.Authorization/roleAssignments/write", "Assigned a role on", "Roles: assigned"},
	{"Microsoft.Authorization/roleAssignments/delete", "Removed a role assignment on", "Roles: removed"},
	{"Entente.Federation/issuers/write", "Registered or changed the issuer", "Issuers: registered or changed"},
	{"Entente.Federation/issuers/delete", "Removed the issuer", "Issuers: removed"},
	{"Entente.Federation/signingKeys/rotate/action", "Rotated the signing keys; the next is", "Signing keys: rotated"},
	{"Entente.Federation/policies/write", "Changed the tenant's settings", "Settings: changed"},
	{"Entente.Federation/tenants/write", "Made the tenant or its administrator", "Tenants: made"},
	{"Entente.Federation/portalLinks/write", "Made a link to the portal for", "Portal: links made"},
	{"Entente.Federation/portalSessions/write", "Signed in to the portal:", "Portal: signed in"},
	{"Entente.Federation/portalSessions/delete", "Ended the portal session of", "Portal: sessions ended"},
}

// auditObjects are the kinds of target, in words.
var auditObjects = []option{
	{string(directory.ApplicationObject), "Application"},
	{string(directory.PrincipalObject), "Service principal"},
	{string(directory.IdentityObject), "Managed identity"},
	{string(directory.CredentialObject), "Federated credential"},
	{string(directory.SecretObject), "Client secret"},
	{string(directory.CertificateObject), "Certificate"},
	{string(directory.GrantObject), "App role assignment"},
	{string(directory.AssignmentObject), "Role assignment"},
	{string(directory.GroupObject), "Resource group"},
	{string(directory.ClusterObject), "Cluster"},
	{string(directory.IssuerObject), "Issuer"},
	{string(directory.SigningKeyObject), "Signing key"},
	{string(directory.PolicyObject), "Settings"},
	{string(directory.TenantObject), "Tenant"},
	{string(directory.PortalLinkObject), "Portal link"},
	{string(directory.PortalSessionObject), "Portal session"},
}

// deed says what an event did, as words that stand before the name of its
// target. An action that has no words is given as it is.
func deed(e directory.Event) string {
	if verb, noun := keyDeed(e); verb != "" {
		return verb + " the " + noun
	}
	for _, a := range auditActions {
		if strings.EqualFold(a.action, e.Action) {
			return a.text
		}
	}
	return e.Action
}

// keyDeed says what was done with things that are added and removed by one
// action, or of which the details tell more.
func keyDeed(e directory.Event) (verb, noun string) {
	_, was := e.Detail["wasIssuer"]
	_, is := e.Detail["issuer"]
	_, removed := e.Detail["removed"]
	switch e.Object {
	case directory.CredentialObject:
		switch {
		case was && is:
			return "Changed", "federated credential"
		case was:
			return "Removed", "federated credential"
		case is:
			return "Added", "federated credential"
		}
	case directory.SecretObject, directory.CertificateObject:
		if removed {
			return "Removed", string(e.Object)
		}
		return "Added", string(e.Object)
	case directory.GrantObject:
		if removed {
			return "Took back", "app role"
		}
		return "Gave", "app role"
	case directory.AssignmentObject:
		if removed {
			return "Removed", "role " + roleName(e.Detail["removed"]) + " on"
		}
		return "Assigned", "role " + roleName(e.Detail["roleDefinition"]) + " on"
	}
	return "", ""
}

// detailWords are the names of details, as people say them.
var detailWords = map[string]string{
	"appId": "Client id", "wasIssuer": "Issuer before", "wasSubject": "Subject before", "wasAudience": "Audience before", "principalId": "Service principal",
	"principal": "Service principal", "servicePrincipal": "Service principal", "roleDefinition": "Role", "keySource": "Where its keys come from", "jwksUri": "URL of its keys",
	"keySetSha256": "SHA-256 of the keys", "sha256": "SHA-256", "ownerAdded": "Owner added", "ownersAdded": "Owners added", "ownerRemoved": "Owner removed",
	"accountEnabled": "Enabled", "appRoleAssignmentRequired": "Assignment required", "maxFederatedIdentityCredentials": "Most federated credentials", "registeredIssuersOnly": "Registered issuers only", "expiresAt": "Expires",
}
