package client

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"
)

// RoleDefinition is a role of Azure RBAC
// (https://learn.microsoft.com/azure/role-based-access-control/role-definitions).
type RoleDefinition struct {
	ID               string       `json:"id"`       // resource id; what an assignment names
	Name             string       `json:"name"`     // GUID
	RoleName         string       `json:"roleName"` // e.g. "Reader"
	Type             string       `json:"type"`     // "BuiltInRole", "CustomRole"
	Description      string       `json:"description"`
	AssignableScopes []string     `json:"assignableScopes"`
	Permissions      []Permission `json:"permissions"`
}

// Permission is a set of actions, less another, on the management and the data side.
type Permission struct {
	Actions        []string `json:"actions"`
	NotActions     []string `json:"notActions"`
	DataActions    []string `json:"dataActions"`
	NotDataActions []string `json:"notDataActions"`
}

type definitionProperties struct {
	RoleName         string       `json:"roleName"`
	Type             string       `json:"type"`
	Description      string       `json:"description"`
	AssignableScopes []string     `json:"assignableScopes"`
	Permissions      []Permission `json:"permissions"`
}

func definitionOf(r resource[definitionProperties]) RoleDefinition {
	p := r.Properties
	return RoleDefinition{
		ID: r.ID, Name: r.Name, RoleName: p.RoleName, Type: p.Type, Description: p.Description,
		AssignableScopes: p.AssignableScopes, Permissions: p.Permissions,
	}
}

// RoleDefinitions lists the roles that can be assigned at a scope, such as
// "/subscriptions/{id}"; "" is the root. A filter is OData, such as
// Equal("roleName", "Reader"); an empty one selects all.
func (c *Client) RoleDefinitions(ctx context.Context, scope, filter string) ([]RoleDefinition, error) {
	p := at("").resource(scope).then("/providers/Microsoft.Authorization/roleDefinitions").param("$filter", filter)
	all, err := list[resource[definitionProperties]](ctx, c, c.arm, p.param("api-version", authorizationVersion))
	return each(all, definitionOf), err
}

// RoleDefinition reads a role by its GUID, as it is seen from a scope.
func (c *Client) RoleDefinition(ctx context.Context, scope, guid string) (RoleDefinition, error) {
	p := at("").resource(scope).then("/providers/Microsoft.Authorization/roleDefinitions").segment(guid)
	r, err := get[resource[definitionProperties]](ctx, c, c.arm, p.param("api-version", authorizationVersion))
	return definitionOf(r), err
}

// RoleDefinitionByName finds the one role with this name at a scope. Names of roles
// are compared without case. None is an [ErrNotFound], several are an
// [*AmbiguousError].
func (c *Client) RoleDefinitionByName(ctx context.Context, scope, name string) (RoleDefinition, error) {
	all, err := c.RoleDefinitions(ctx, scope, Equal("roleName", name))
	if err != nil {
		return RoleDefinition{}, err
	}
	return named("role definition", name, all, func(d RoleDefinition) (string, string) {
		if strings.EqualFold(d.RoleName, name) {
			return d.ID, name
		}
		return d.ID, d.RoleName
	})
}

// RoleAssignment gives a principal a role at a scope.
type RoleAssignment struct {
	ID               string    `json:"id"`                      // resource id
	Name             string    `json:"name"`                    // GUID
	Scope            string    `json:"scope"`                   // "/", "/subscriptions/…", …
	RoleDefinitionID string    `json:"roleDefinitionId"`        // resource id
	PrincipalID      string    `json:"principalId"`             // object id
	PrincipalType    string    `json:"principalType,omitempty"` // "ServicePrincipal", "User", "Group"
	Condition        string    `json:"condition,omitempty"`     // what else has to hold, if anything
	CreatedOn        time.Time `json:"createdOn,omitzero"`
}

// RoleAssignmentSpec is what a caller writes.
type RoleAssignmentSpec struct {
	// Name is the GUID of the assignment. Empty: one that follows from scope,
	// role and principal, so that assigning twice is one assignment.
	Name             string `json:"-"`
	RoleDefinitionID string `json:"roleDefinitionId"`
	PrincipalID      string `json:"principalId"`
	// PrincipalType spares Azure the look-up of a principal that was made just
	// now and has not arrived everywhere; say "ServicePrincipal" for those.
	PrincipalType string `json:"principalType,omitempty"`
}

type assignmentProperties struct {
	Scope            string    `json:"scope"`
	RoleDefinitionID string    `json:"roleDefinitionId"`
	PrincipalID      string    `json:"principalId"`
	PrincipalType    string    `json:"principalType"`
	Condition        string    `json:"condition"`
	CreatedOn        time.Time `json:"createdOn"`
}

func assignmentOf(r resource[assignmentProperties]) RoleAssignment {
	p := r.Properties
	return RoleAssignment{
		ID: r.ID, Name: r.Name, Scope: p.Scope, RoleDefinitionID: p.RoleDefinitionID,
		PrincipalID: p.PrincipalID, PrincipalType: p.PrincipalType, Condition: p.Condition, CreatedOn: p.CreatedOn,
	}
}

const roleAssignments = "/providers/Microsoft.Authorization/roleAssignments"

// RoleAssignments lists the assignments at, above and below a scope; a principal id
// that is not empty selects that principal's.
func (c *Client) RoleAssignments(ctx context.Context, scope, principalID string) ([]RoleAssignment, error) {
	p := at("").resource(scope).then(roleAssignments)
	if principalID != "" {
		p = p.param("$filter", Equal("principalId", principalID))
	}
	all, err := list[resource[assignmentProperties]](ctx, c, c.arm, p.param("api-version", authorizationVersion))
	return each(all, assignmentOf), err
}

// PutRoleAssignment assigns a role at a scope. The same role for the same principal
// under another name is an [ErrConflict] with the code "RoleAssignmentExists".
func (c *Client) PutRoleAssignment(ctx context.Context, scope string, spec RoleAssignmentSpec) (RoleAssignment, error) {
	if spec.Name == "" {
		spec.Name = assignmentName(scope, spec)
	}
	p := at("").resource(scope).then(roleAssignments).segment(spec.Name).param("api-version", authorizationVersion)
	r, _, err := put[resource[assignmentProperties]](ctx, c, p, resource[RoleAssignmentSpec]{Properties: spec})
	return assignmentOf(r), err
}

// assignmentName derives a version 8 UUID (RFC 9562 §5.8). ARM ids have no case.
func assignmentName(scope string, spec RoleAssignmentSpec) string {
	h := sha256.New()
	for _, s := range []string{strings.TrimRight(scope, "/"), spec.RoleDefinitionID, spec.PrincipalID} {
		fmt.Fprintf(h, "%q", strings.ToLower(s))
	}
	u := h.Sum(nil)[:16]
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// RoleAssignment reads an assignment by its resource id.
func (c *Client) RoleAssignment(ctx context.Context, id string) (RoleAssignment, error) {
	if !isAssignmentID(id) {
		return RoleAssignment{}, fmt.Errorf("%q is not the resource id of a role assignment", id)
	}
	r, err := get[resource[assignmentProperties]](ctx, c, c.arm, at("").resource(id).param("api-version", authorizationVersion))
	return assignmentOf(r), err
}

func isAssignmentID(id string) bool {
	return strings.Contains(strings.ToLower(id), strings.ToLower(roleAssignments)+"/")
}

// DeleteRoleAssignment takes an assignment away by its resource id. One that is not
// there is no error, as ARM has it.
func (c *Client) DeleteRoleAssignment(ctx context.Context, id string) error {
	if !isAssignmentID(id) {
		return fmt.Errorf("%q is not the resource id of a role assignment", id)
	}
	return c.remove(ctx, c.arm, at("").resource(id).param("api-version", authorizationVersion))
}
