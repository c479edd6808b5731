package roles

import "slices"

// Ids of the built-in definitions that the rest of the server refers to. All
// but the last three are Azure's.
const (
	Owner                      = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
	Contributor                = "b24988ac-6180-42a0-ab88-20f7382dd24c"
	Reader                     = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
	UserAccessAdministrator    = "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9"
	ManagedIdentityContributor = "e40ec5ca-96e0-45a2-b4ff-59039f2c2b59"
	ManagedIdentityOperator    = "f1a07417-d97a-45cb-824c-7a7467783830"
	FederationAdministrator    = "e7a1c0de-0000-4000-8000-000000000001"
	FederationReader           = "e7a1c0de-0000-4000-8000-000000000002"
	ClusterReporter            = "e7a1c0de-0000-4000-8000-000000000003"
)

// BuiltIn returns the definitions that exist in every tenant: ours, then
// Azure's general ones, then Azure's by service. The order never changes and
// the caller may change what it gets.
func BuiltIn() []Definition {
	out := make([]Definition, len(builtIn))
	for i, d := range builtIn {
		out[i] = d.clone()
	}
	return out
}

// ByID finds a built-in definition by its GUID, in any case.
func ByID(guid string) (Definition, bool) {
	guid = lower(guid)
	return find(func(d Definition) bool { return d.ID == guid })
}

// ByName finds a built-in definition by its name, in any case. Names are unique.
func ByName(name string) (Definition, bool) {
	name = lower(name)
	return find(func(d Definition) bool { return lower(d.Name) == name })
}

func find(is func(Definition) bool) (Definition, bool) {
	i := slices.IndexFunc(builtIn, is)
	if i < 0 {
		return Definition{}, false
	}
	return builtIn[i].clone(), true
}

func (d Definition) clone() Definition {
	d.Actions = slices.Clone(d.Actions)
	d.NotActions = slices.Clone(d.NotActions)
	d.DataActions = slices.Clone(d.DataActions)
	d.NotDataActions = slices.Clone(d.NotDataActions)
	d.AssignableScopes = slices.Clone(d.AssignableScopes)
	return d
}

var (
	anywhere = []string{"/"}

	// usual is what most of Azure's narrow roles carry beside their own actions.
	usual = []string{
		"Microsoft.Authorization/*/read",
		"Microsoft.Insights/alertRules/*",
		"Microsoft.Resources/deployments/*",
		"Microsoft.Resources/subscriptions/resourceGroups/read",
		"Microsoft.Support/*",
	}
	vaults = slices.Concat(usual, []string{
		"Microsoft.KeyVault/checkNameAvailability/read",
		"Microsoft.KeyVault/deletedVaults/read",
		"Microsoft.KeyVault/locations/*/read",
		"Microsoft.KeyVault/vaults/*/read",
		"Microsoft.KeyVault/operations/read",
	})
	clusters = []string{
		"Microsoft.Authorization/*/read",
		"Microsoft.Resources/subscriptions/operationresults/read",
		"Microsoft.Resources/subscriptions/read",
		"Microsoft.Resources/subscriptions/resourceGroups/read",
		"Microsoft.ContainerService/managedClusters/listClusterUserCredential/action",
	}
)

// builtIn is never changed. Azure's names, ids and actions are those of the
// pages "Azure built-in roles" (Privileged, General, Identity, Containers,
// Security, Storage, Networking); the descriptions are ours.
var builtIn = []Definition{
	{
		ID: FederationAdministrator, Name: "Federation Administrator",
		Description:      "Manage trusted issuers and their keys, tenants, limits and signing keys. Whoever sets an issuer's keys can speak for every workload of that issuer.",
		Actions:          []string{"Entente.Federation/*"},
		AssignableScopes: anywhere,
	},
	{
		ID: FederationReader, Name: "Federation Reader",
		Description:      "See trusted issuers, limits, signing keys, sign-ins and the audit trail.",
		Actions:          []string{"Entente.Federation/*/read"},
		AssignableScopes: anywhere,
	},
	{
		ID: ClusterReporter, Name: "Cluster Reporter",
		Description:      "Report the service accounts of a cluster. For its agent, which needs no other role.",
		Actions:          []string{"Microsoft.ContainerService/managedClusters/serviceAccounts/write"},
		AssignableScopes: anywhere,
	},
	{
		ID: Owner, Name: "Owner",
		Description:      "Manage every resource and who has access to it. Does not include the keys of issuers.",
		Actions:          []string{"*"},
		AssignableScopes: anywhere,
	},
	{
		ID: Contributor, Name: "Contributor",
		Description: "Manage every resource, but not who has access to it. Does not include the keys of issuers.",
		Actions:     []string{"*"},
		NotActions: []string{
			"Microsoft.Authorization/*/Delete",
			"Microsoft.Authorization/*/Write",
			"Microsoft.Authorization/elevateAccess/Action",
			"Microsoft.Blueprint/blueprintAssignments/write",
			"Microsoft.Blueprint/blueprintAssignments/delete",
			"Microsoft.Compute/galleries/share/action",
			"Microsoft.Purview/consents/write",
			"Microsoft.Purview/consents/delete",
			"Microsoft.Resources/deploymentStacks/manageDenySetting/action",
			"Microsoft.Subscription/cancel/action",
			"Microsoft.Subscription/enable/action",
		},
		AssignableScopes: anywhere,
	},
	{
		ID: Reader, Name: "Reader",
		Description:      "See every resource, change none.",
		Actions:          []string{"*/read"},
		AssignableScopes: anywhere,
	},
	{
		ID: UserAccessAdministrator, Name: "User Access Administrator",
		Description:      "Manage who has access to resources.",
		Actions:          []string{"*/read", "Microsoft.Authorization/*", "Microsoft.Support/*"},
		AssignableScopes: anywhere,
	},
	{
		ID: "f58310d9-a9f6-439a-9e8d-f62e7b41a168", Name: "Role Based Access Control Administrator",
		Description: "Assign roles and take them away, by no other means than role assignments.",
		Actions: []string{
			"Microsoft.Authorization/roleAssignments/write",
			"Microsoft.Authorization/roleAssignments/delete",
			"*/read",
			"Microsoft.Support/*",
		},
		AssignableScopes: anywhere,
	},
	{
		ID: ManagedIdentityContributor, Name: "Managed Identity Contributor",
		Description: "Manage user-assigned identities and their federated credentials.",
		Actions: []string{
			"Microsoft.ManagedIdentity/userAssignedIdentities/read",
			"Microsoft.ManagedIdentity/userAssignedIdentities/write",
			"Microsoft.ManagedIdentity/userAssignedIdentities/delete",
			"Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/read",
			"Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write",
			"Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/delete",
			"Microsoft.ManagedIdentity/userAssignedIdentities/revokeTokens/action",
			"Microsoft.Authorization/*/read",
			"Microsoft.Insights/alertRules/*",
			"Microsoft.Resources/subscriptions/resourceGroups/read",
			"Microsoft.Resources/deployments/*",
			"Microsoft.Support/*",
		},
		AssignableScopes: anywhere,
	},
	{
		ID: "7e559ce2-48d7-4b27-9128-fa1b247f1308", Name: "Managed Identity Federated Identity Credential Contributor",
		Description: "Manage the federated credentials of user-assigned identities, and no more of the identities.",
		Actions: []string{
			"Microsoft.ManagedIdentity/userAssignedIdentities/read",
			"Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write",
			"Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/read",
			"Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/delete",
			"Microsoft.Authorization/*/read",
			"Microsoft.Insights/alertRules/*",
			"Microsoft.Resources/subscriptions/resourceGroups/read",
			"Microsoft.Resources/deployments/*",
		},
		AssignableScopes: anywhere,
	},
	{
		ID: ManagedIdentityOperator, Name: "Managed Identity Operator",
		Description: "See user-assigned identities and assign them to resources.",
		Actions: []string{
			"Microsoft.ManagedIdentity/userAssignedIdentities/*/read",
			"Microsoft.ManagedIdentity/userAssignedIdentities/*/assign/action",
			"Microsoft.Authorization/*/read",
			"Microsoft.Insights/alertRules/*",
			"Microsoft.Resources/subscriptions/resourceGroups/read",
			"Microsoft.Resources/deployments/*",
			"Microsoft.Support/*",
		},
		AssignableScopes: anywhere,
	},
	{
		ID: "7f951dda-4ed3-4680-a7ca-43fe172d538d", Name: "AcrPull",
		Description:      "Pull images from a container registry.",
		Actions:          []string{"Microsoft.ContainerRegistry/registries/pull/read"},
		AssignableScopes: anywhere,
	},
	{
		ID: "8311e382-0749-4cb8-b61a-304f252e45ec", Name: "AcrPush",
		Description: "Pull images from a container registry and push to it.",
		Actions: []string{
			"Microsoft.ContainerRegistry/registries/pull/read",
			"Microsoft.ContainerRegistry/registries/push/write",
		},
		AssignableScopes: anywhere,
	},
	{
		ID: "0ab0b1a8-8aac-4efd-b8c2-3ee1fb270be8", Name: "Azure Kubernetes Service Cluster Admin Role",
		Description: "Get the administrator's credentials of a cluster.",
		Actions: []string{
			"Microsoft.ContainerService/managedClusters/listClusterAdminCredential/action",
			"Microsoft.ContainerService/managedClusters/accessProfiles/listCredential/action",
			"Microsoft.ContainerService/managedClusters/read",
			"Microsoft.ContainerService/managedClusters/runcommand/action",
		},
		AssignableScopes: anywhere,
	},
	{
		ID: "4abbcc35-e782-43d8-92c5-2d3f1bd2253f", Name: "Azure Kubernetes Service Cluster User Role",
		Description: "Get a user's credentials of a cluster.",
		Actions: []string{
			"Microsoft.ContainerService/managedClusters/listClusterUserCredential/action",
			"Microsoft.ContainerService/managedClusters/read",
		},
		AssignableScopes: anywhere,
	},
	{
		ID: "ed7f3fbd-7b88-4dd4-9017-9adb7ce333f8", Name: "Azure Kubernetes Service Contributor Role",
		Description: "Manage clusters. Does not include the keys of their issuers.",
		Actions: []string{
			"Microsoft.Authorization/*/read",
			"Microsoft.ContainerService/locations/*",
			"Microsoft.ContainerService/managedClusters/*",
			"Microsoft.ContainerService/managedclustersnapshots/*",
			"Microsoft.ContainerService/snapshots/*",
			"Microsoft.Insights/alertRules/*",
			"Microsoft.Resources/deployments/*",
			"Microsoft.Resources/subscriptions/resourceGroups/read",
			"Microsoft.ContainerService/deploymentSafeguards/*",
		},
		AssignableScopes: anywhere,
	},
	{
		ID: "3498e952-d568-435e-9b2c-8d77e338d7f7", Name: "Azure Kubernetes Service RBAC Admin",
		Description: "Manage everything in a cluster or namespace but namespaces and quotas.",
		Actions:     clusters,
		DataActions: []string{"Microsoft.ContainerService/managedClusters/*"},
		NotDataActions: []string{
			"Microsoft.ContainerService/managedClusters/resourcequotas/write",
			"Microsoft.ContainerService/managedClusters/resourcequotas/delete",
			"Microsoft.ContainerService/managedClusters/namespaces/write",
			"Microsoft.ContainerService/managedClusters/namespaces/delete",
		},
		AssignableScopes: anywhere,
	},
	{
		ID: "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b", Name: "Azure Kubernetes Service RBAC Cluster Admin",
		Description:      "Manage everything in a cluster.",
		Actions:          clusters,
		DataActions:      []string{"Microsoft.ContainerService/managedClusters/*"},
		AssignableScopes: anywhere,
	},
	{
		ID: "00482a5a-887f-4fb3-b363-3b7fe8e74483", Name: "Key Vault Administrator",
		Description:      "Manage the secrets, keys and certificates of a vault.",
		Actions:          vaults,
		DataActions:      []string{"Microsoft.KeyVault/vaults/*"},
		AssignableScopes: anywhere,
	},
	{
		ID: "db79e9a7-68ee-4b58-9aeb-b90e7c24fcba", Name: "Key Vault Certificate User",
		Description: "Read the certificates of a vault with their contents.",
		DataActions: []string{
			"Microsoft.KeyVault/vaults/certificates/read",
			"Microsoft.KeyVault/vaults/secrets/getSecret/action",
			"Microsoft.KeyVault/vaults/secrets/readMetadata/action",
			"Microsoft.KeyVault/vaults/keys/read",
		},
		AssignableScopes: anywhere,
	},
	{
		ID: "a4417e6f-fecd-4de8-b567-7b0420556985", Name: "Key Vault Certificates Officer",
		Description: "Manage the certificates of a vault.",
		Actions:     vaults,
		DataActions: []string{
			"Microsoft.KeyVault/vaults/certificatecas/*",
			"Microsoft.KeyVault/vaults/certificates/*",
			"Microsoft.KeyVault/vaults/certificatecontacts/write",
		},
		AssignableScopes: anywhere,
	},
	{
		ID: "f25e0fa2-a7c8-4377-a976-54943a77a395", Name: "Key Vault Contributor",
		Description: "Manage vaults, but not what is in them.",
		Actions: []string{
			"Microsoft.Authorization/*/read",
			"Microsoft.Insights/alertRules/*",
			"Microsoft.KeyVault/*",
			"Microsoft.Resources/deployments/*",
			"Microsoft.Resources/subscriptions/resourceGroups/read",
			"Microsoft.Support/*",
		},
		NotActions: []string{
			"Microsoft.KeyVault/locations/deletedVaults/purge/action",
			"Microsoft.KeyVault/hsmPools/*",
			"Microsoft.KeyVault/managedHsms/*",
		},
		AssignableScopes: anywhere,
	},
	{
		ID: "14b46e9e-c2b7-41b4-b07b-48a6ebf60603", Name: "Key Vault Crypto Officer",
		Description: "Manage the keys of a vault.",
		Actions:     vaults,
		DataActions: []string{
			"Microsoft.KeyVault/vaults/keys/*",
			"Microsoft.KeyVault/vaults/keyrotationpolicies/*",
		},
		AssignableScopes: anywhere,
	},
	{
		ID: "12338af0-0e69-4776-bea7-57ae8d297424", Name: "Key Vault Crypto User",
		Description: "Encrypt, decrypt, wrap, sign and verify with the keys of a vault.",
		DataActions: []string{
			"Microsoft.KeyVault/vaults/keys/read",
			"Microsoft.KeyVault/vaults/keys/update/action",
			"Microsoft.KeyVault/vaults/keys/backup/action",
			"Microsoft.KeyVault/vaults/keys/encrypt/action",
			"Microsoft.KeyVault/vaults/keys/decrypt/action",
			"Microsoft.KeyVault/vaults/keys/wrap/action",
			"Microsoft.KeyVault/vaults/keys/unwrap/action",
			"Microsoft.KeyVault/vaults/keys/sign/action",
			"Microsoft.KeyVault/vaults/keys/verify/action",
		},
		AssignableScopes: anywhere,
	},
	{
		ID: "21090545-7ca7-4776-b22c-e363652d74d2", Name: "Key Vault Reader",
		Description: "See what a vault holds, without its contents.",
		Actions:     vaults,
		DataActions: []string{
			"Microsoft.KeyVault/vaults/*/read",
			"Microsoft.KeyVault/vaults/secrets/readMetadata/action",
		},
		AssignableScopes: anywhere,
	},
	{
		ID: "b86a8fe4-44ce-4948-aee5-eccb2c155cd7", Name: "Key Vault Secrets Officer",
		Description:      "Manage the secrets of a vault.",
		Actions:          vaults,
		DataActions:      []string{"Microsoft.KeyVault/vaults/secrets/*"},
		AssignableScopes: anywhere,
	},
	{
		ID: "4633458b-17de-408a-b874-0445c86b69e6", Name: "Key Vault Secrets User",
		Description: "Read the secrets of a vault.",
		DataActions: []string{
			"Microsoft.KeyVault/vaults/secrets/getSecret/action",
			"Microsoft.KeyVault/vaults/secrets/readMetadata/action",
		},
		AssignableScopes: anywhere,
	},
	{
		ID: "4d97b98b-1d4f-4787-a291-c67834d212e7", Name: "Network Contributor",
		Description: "Manage networks.",
		Actions: []string{
			"Microsoft.Authorization/*/read",
			"Microsoft.Insights/alertRules/*",
			"Microsoft.Network/*",
			"Microsoft.ResourceHealth/availabilityStatuses/read",
			"Microsoft.Resources/deployments/*",
			"Microsoft.Resources/subscriptions/resourceGroups/read",
			"Microsoft.Support/*",
		},
		AssignableScopes: anywhere,
	},
	{
		ID: "ba92f5b4-2d11-453d-a403-e96b0029c9fe", Name: "Storage Blob Data Contributor",
		Description: "Read, write and delete blobs and containers.",
		Actions: []string{
			"Microsoft.Storage/storageAccounts/blobServices/containers/delete",
			"Microsoft.Storage/storageAccounts/blobServices/containers/read",
			"Microsoft.Storage/storageAccounts/blobServices/containers/write",
			"Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action",
		},
		DataActions: []string{
			"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/delete",
			"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
			"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write",
			"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/move/action",
			"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/add/action",
		},
		AssignableScopes: anywhere,
	},
	{
		ID: "b7e6dc6d-f1e8-4753-8033-0f276bb0955b", Name: "Storage Blob Data Owner",
		Description: "Do anything with blobs and containers, POSIX access control included.",
		Actions: []string{
			"Microsoft.Storage/storageAccounts/blobServices/containers/*",
			"Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action",
		},
		DataActions:      []string{"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/*"},
		AssignableScopes: anywhere,
	},
	{
		ID: "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1", Name: "Storage Blob Data Reader",
		Description: "Read blobs and list containers.",
		Actions: []string{
			"Microsoft.Storage/storageAccounts/blobServices/containers/read",
			"Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action",
		},
		DataActions:      []string{"Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"},
		AssignableScopes: anywhere,
	},
	{
		ID: "974c5e8b-45b9-4653-ba55-5f855dd0fb88", Name: "Storage Queue Data Contributor",
		Description: "Read, write and delete queues and their messages.",
		Actions: []string{
			"Microsoft.Storage/storageAccounts/queueServices/queues/delete",
			"Microsoft.Storage/storageAccounts/queueServices/queues/read",
			"Microsoft.Storage/storageAccounts/queueServices/queues/write",
		},
		DataActions: []string{
			"Microsoft.Storage/storageAccounts/queueServices/queues/messages/delete",
			"Microsoft.Storage/storageAccounts/queueServices/queues/messages/read",
			"Microsoft.Storage/storageAccounts/queueServices/queues/messages/write",
			"Microsoft.Storage/storageAccounts/queueServices/queues/messages/process/action",
		},
		AssignableScopes: anywhere,
	},
}
