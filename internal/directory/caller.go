package directory

// CallerKind says what sort of caller asks.
type CallerKind string

// The sorts of caller.
const (
	// PrincipalCaller is a service principal that came with a token; its rights are read from the database.
	PrincipalCaller CallerKind = "principal"
	// SystemCaller is the service itself (first start, purge); it may do everything in its tenant.
	SystemCaller CallerKind = "system"
)

// Caller is who asks. Only the ids are trusted from a token; rights are not.
type Caller struct {
	Kind        CallerKind
	TenantID    string
	PrincipalID string // object id of the service principal
	AppID       string // client id
	Name        string // for people: the reason of a system caller
	Address     string // client address, as far as it is known
	RequestID   string
}

// System is the caller for what the service does by itself in a tenant; reason stands in the audit event.
func System(tenantID, reason string) Caller {
	return Caller{Kind: SystemCaller, TenantID: tenantID, Name: reason}
}
