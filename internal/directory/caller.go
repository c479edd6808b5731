package directory

// CallerKind says what sort of caller asks.
type CallerKind string

// The sorts of caller.
const (
	// PrincipalCaller is a service principal that came with a token; its rights are read from the database.
	PrincipalCaller CallerKind = "principal"
	// PortalCaller is a person in front of the portal: with a PrincipalID by a
	// link that this service principal made, whose rights count; without one by
	// another provider, with Roles.
	PortalCaller CallerKind = "portal"
	// SystemCaller is the service itself (first start, purge); it may do everything in its tenant.
	SystemCaller CallerKind = "system"
)

// Caller is who asks. Only the ids are trusted from a token; rights are not.
type Caller struct {
	Kind        CallerKind
	TenantID    string
	PrincipalID string // object id of the service principal
	AppID       string // client id
	Name        string // for people: theirs in the portal, the reason of a system caller
	Address     string // client address, as far as it is known
	RequestID   string

	// Provider and Roles are those of a person whom another provider knows: a
	// PortalCaller without a PrincipalID. They mean nothing for other callers.
	Provider string
	Roles    []PortalRole
}

// System is the caller for what the service does by itself in a tenant; reason stands in the audit event.
func System(tenantID, reason string) Caller {
	return Caller{Kind: SystemCaller, TenantID: tenantID, Name: reason}
}

// person says whether the caller has no service principal, so that its Roles are all that it may.
func (c Caller) person() bool { return c.Kind == PortalCaller && c.PrincipalID == "" }
