package directory

import (
	"errors"
	"fmt"
	"strings"

	"github.com/entente-id/entente/internal/credential"
)

// Kind says what went wrong; each wire has one answer for each.
type Kind string

// The kinds of error.
const (
	NotFound        Kind = "not_found"       // the object, or its parent, is not there for this caller
	Exists          Kind = "exists"          // another object has the value that Field names
	Invalid         Kind = "invalid"         // the value of Field breaks a rule
	Immutable       Kind = "immutable"       // Field cannot be changed
	InUse           Kind = "in_use"          // others, which Detail names, depend on the object
	LimitReached    Kind = "limit_reached"   // the parent holds as many as the tenant's policy lets it
	Forbidden       Kind = "forbidden"       // the caller lacks the right
	Unauthenticated Kind = "unauthenticated" // the caller's own principal is gone or disabled
	Full            Kind = "full"            // the database has no room for the write, which did not happen
)

// Object names a type of the domain in errors and audit events.
type Object string

// The types of object.
const (
	TenantObject         Object = "tenant"
	SubscriptionObject   Object = "subscription"
	GroupObject          Object = "resource group"
	ApplicationObject    Object = "application"
	SecretObject         Object = "client secret"
	PrincipalObject      Object = "service principal"
	GrantObject          Object = "app role assignment"
	IdentityObject       Object = "user-assigned managed identity"
	ClusterObject        Object = "cluster"
	CredentialObject     Object = "federated identity credential"
	IssuerObject         Object = "issuer"
	AssignmentObject     Object = "role assignment"
	RoleDefinitionObject Object = "role definition"
	PolicyObject         Object = "policy"
)

// Error is the one error type of the domain. Wires switch on Kind, Object and
// Field and never on its text.
type Error struct {
	Kind   Kind
	Object Object
	ID     string // the name or id by which the object was asked for
	Group  string // the resource group, for what lives in one
	Field  string // of Exists, Invalid and Immutable
	Detail string // what a person should know, in words
	Limit  int    // of LimitReached

	Action, Scope string           // of Forbidden: what was missing, and where
	Caller        Caller           // of Forbidden
	Spec          *credential.Spec // the credential that was refused
	Err           error            // the rule that was broken, for instance a *credential.Violation
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", e.Object)
	if e.ID != "" {
		fmt.Fprintf(&b, " %q", e.ID)
	}
	switch e.Kind {
	case NotFound:
		b.WriteString(" is not there")
	case Exists:
		fmt.Fprintf(&b, " conflicts with another one (%s)", e.Field)
	case Immutable:
		fmt.Fprintf(&b, " cannot change its %s", e.Field)
	case Invalid:
		fmt.Fprintf(&b, " has an invalid %s", e.Field)
	case InUse:
		b.WriteString(" is in use")
	case LimitReached:
		fmt.Fprintf(&b, " would be one more than the limit of %d", e.Limit)
	case Forbidden:
		fmt.Fprintf(&b, ": %s on %q is not permitted", e.Action, e.Scope)
	case Unauthenticated:
		b.WriteString(" of the caller is gone or disabled")
	case Full:
		b.WriteString("no room in the database for the write")
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

func isNotFound(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == NotFound
}

func isNotFoundOf(err error, object Object) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Kind == NotFound && e.Object == object
}

func notFound(object Object, id string) *Error { return &Error{Kind: NotFound, Object: object, ID: id} }

func invalid(object Object, field, format string, args ...any) *Error {
	return &Error{Kind: Invalid, Object: object, Field: field, Detail: fmt.Sprintf(format, args...)}
}

func exists(object Object, id, field string) *Error {
	return &Error{Kind: Exists, Object: object, ID: id, Field: field}
}
