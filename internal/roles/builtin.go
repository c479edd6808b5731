package roles

// Ids of built-in role definitions that code refers to.
const (
	Owner                      = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
	Contributor                = "b24988ac-6180-42a0-ab88-20f7382dd24c"
	Reader                     = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
	UserAccessAdministrator    = "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9"
	ManagedIdentityContributor = "e40ec5ca-96e0-45a2-b4ff-59039f2c2b59"
	ManagedIdentityOperator    = "f1a07417-d97a-45cb-824c-7a7467783830"
	FederationAdministrator    = "e7a1c0de-0000-4000-8000-000000000001"
	FederationReader           = "e7a1c0de-0000-4000-8000-000000000002"
)

// BuiltIn returns the built-in definitions in a stable order.
func BuiltIn() []Definition { return nil }

// ByID finds a built-in definition by its GUID.
func ByID(guid string) (Definition, bool) { return Definition{}, false }

// ByName finds a built-in definition by its name.
func ByName(name string) (Definition, bool) { return Definition{}, false }
