package roles

// GraphAppID is the application id of Microsoft Graph in every tenant.
const GraphAppID = "00000003-0000-0000-c000-000000000000"

// AppRole is an application permission: Value appears in a token's roles claim.
type AppRole struct{ ID, Value, DisplayName, Description string }

// GraphAppRoles returns the permissions of Microsoft Graph that this server knows.
func GraphAppRoles() []AppRole { return nil }
