package client

import (
	"context"
	"net/http"
	"time"
)

// ServicePrincipal is an application's or a managed identity's account in a tenant
// (https://learn.microsoft.com/graph/api/resources/serviceprincipal).
type ServicePrincipal struct {
	ID                        string    `json:"id"` // object id; the principalId of role assignments
	AppID                     string    `json:"appId"`
	DisplayName               string    `json:"displayName"`
	ServicePrincipalType      string    `json:"servicePrincipalType,omitempty"` // "Application", "ManagedIdentity"
	AccountEnabled            bool      `json:"accountEnabled"`
	AppRoleAssignmentRequired bool      `json:"appRoleAssignmentRequired"`
	ServicePrincipalNames     []string  `json:"servicePrincipalNames,omitempty"`
	AlternativeNames          []string  `json:"alternativeNames,omitempty"` // holds a managed identity's resource id
	Tags                      []string  `json:"tags,omitempty"`
	AppRoles                  []AppRole `json:"appRoles,omitempty"`
}

// ServicePrincipalSpec is what a caller writes.
type ServicePrincipalSpec struct {
	AppID                     string   `json:"appId"` // of an application in the tenant
	AccountEnabled            *bool    `json:"accountEnabled,omitempty"`
	AppRoleAssignmentRequired *bool    `json:"appRoleAssignmentRequired,omitempty"`
	Tags                      []string `json:"tags,omitempty"`
}

// ServicePrincipalUpdate changes a service principal: what is nil stays as it is;
// an empty slice that is not nil clears.
type ServicePrincipalUpdate struct {
	AccountEnabled            *bool    `json:"accountEnabled,omitempty"`
	AppRoleAssignmentRequired *bool    `json:"appRoleAssignmentRequired,omitempty"`
	Tags                      []string `json:"tags,omitzero"`
}

const servicePrincipals = "/v1.0/servicePrincipals"

// ServicePrincipals lists service principals; an empty filter selects all.
func (c *Client) ServicePrincipals(ctx context.Context, filter string) ([]ServicePrincipal, error) {
	return list[ServicePrincipal](ctx, c, c.graph, at(servicePrincipals).param("$filter", filter))
}

// ServicePrincipalByName finds the one service principal with exactly this display
// name. None is an [ErrNotFound], several are an [*AmbiguousError].
func (c *Client) ServicePrincipalByName(ctx context.Context, name string) (ServicePrincipal, error) {
	all, err := c.ServicePrincipals(ctx, Equal("displayName", name))
	if err != nil {
		return ServicePrincipal{}, err
	}
	return named("service principal", name, all, func(p ServicePrincipal) (string, string) { return p.ID, p.DisplayName })
}

// ServicePrincipal reads a service principal by its client id or, if there is
// none, by its object id.
func (c *Client) ServicePrincipal(ctx context.Context, id string) (ServicePrincipal, error) {
	return either[ServicePrincipal](ctx, c, servicePrincipals, id)
}

// CreateServicePrincipal makes the service principal of an application.
func (c *Client) CreateServicePrincipal(ctx context.Context, spec ServicePrincipalSpec) (ServicePrincipal, error) {
	return post[ServicePrincipal](ctx, c, c.graph, at(servicePrincipals), spec)
}

// UpdateServicePrincipal changes a service principal, by its object id.
func (c *Client) UpdateServicePrincipal(ctx context.Context, id string, u ServicePrincipalUpdate) error {
	_, err := c.do(ctx, c.graph, call{method: http.MethodPatch, path: at(servicePrincipals).segment(id), in: u})
	return err
}

// DeleteServicePrincipal deletes a service principal by its object id.
func (c *Client) DeleteServicePrincipal(ctx context.Context, id string) error {
	return c.remove(ctx, c.graph, at(servicePrincipals).segment(id))
}

// AppRoleAssignment gives a principal an application's role, or one of Graph's
// permissions (https://learn.microsoft.com/graph/api/resources/approleassignment).
type AppRoleAssignment struct {
	ID                   string    `json:"id,omitempty"`
	PrincipalID          string    `json:"principalId"` // the service principal that has the role
	ResourceID           string    `json:"resourceId"`  // the service principal that offers it
	AppRoleID            string    `json:"appRoleId"`   // all zeros: the default role
	PrincipalDisplayName string    `json:"principalDisplayName,omitempty"`
	ResourceDisplayName  string    `json:"resourceDisplayName,omitempty"`
	CreatedDateTime      time.Time `json:"createdDateTime,omitzero"`
}

// AppRoleAssignments lists the roles that a service principal has.
func (c *Client) AppRoleAssignments(ctx context.Context, principalID string) ([]AppRoleAssignment, error) {
	return list[AppRoleAssignment](ctx, c, c.graph, roleAssignmentsOf(principalID))
}

// CreateAppRoleAssignment gives a role. Only the three ids are written.
func (c *Client) CreateAppRoleAssignment(ctx context.Context, a AppRoleAssignment) (AppRoleAssignment, error) {
	in := AppRoleAssignment{PrincipalID: a.PrincipalID, ResourceID: a.ResourceID, AppRoleID: a.AppRoleID}
	return post[AppRoleAssignment](ctx, c, c.graph, roleAssignmentsOf(a.PrincipalID), in)
}

// DeleteAppRoleAssignment takes a role away again.
func (c *Client) DeleteAppRoleAssignment(ctx context.Context, principalID, id string) error {
	return c.remove(ctx, c.graph, roleAssignmentsOf(principalID).segment(id))
}

func roleAssignmentsOf(principalID string) path {
	return at(servicePrincipals).segment(principalID).then("/appRoleAssignments")
}
