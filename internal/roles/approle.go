package roles

// GraphAppID is the application id of Microsoft Graph, the same in every tenant.
const GraphAppID = "00000003-0000-0000-c000-000000000000"

// AppRole is an application permission. ID is a lower-case GUID; Value is what
// stands in the roles claim of a token.
type AppRole struct{ ID, Value, DisplayName, Description string }

// GraphAppRoles returns the permissions of Microsoft Graph that mean something
// to this server, weakest first, with the ids that they have in every tenant.
// Source of ids and values: Microsoft Graph permissions reference.
func GraphAppRoles() []AppRole {
	return []AppRole{
		{
			ID: "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30", Value: "Application.Read.All",
			DisplayName: "Read all applications",
			Description: "See every application, service principal and federated credential.",
		},
		{
			ID: "18a4783c-866b-4cc7-a460-3d5e5662c884", Value: "Application.ReadWrite.OwnedBy",
			DisplayName: "Manage the applications it owns",
			Description: "Create applications, and change those of which the caller is an owner.",
		},
		{
			ID: "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9", Value: "Application.ReadWrite.All",
			DisplayName: "Read and write all applications",
			Description: "Create, change and delete any application, its credentials included.",
		},
		{
			ID: "7ab1d382-f21e-4acd-a863-ba3e13f7da61", Value: "Directory.Read.All",
			DisplayName: "Read the directory",
			Description: "See every object of the directory.",
		},
		{
			ID: "19dbc75e-c2e2-444c-a770-ec69d8559fc7", Value: "Directory.ReadWrite.All",
			DisplayName: "Read and write the directory",
			Description: "Create and change objects of the directory.",
		},
		{
			ID: "06b708a9-e830-4db3-a914-8e69da51d44f", Value: "AppRoleAssignment.ReadWrite.All",
			DisplayName: "Manage app role assignments",
			Description: "Grant application permissions to any service principal, and take them away.",
		},
	}
}
