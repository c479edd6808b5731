package directory

import (
	"fmt"
	"slices"
	"strings"

	"github.com/entente-id/entente/internal/roles"
)

// PortalRole is what a person of another provider may do in the portal: a
// built-in role definition by its name ("Reader", "Federation Administrator"),
// on Scope and below it; or a permission of Microsoft Graph
// ("Application.Read.All"), which has no scope.
type PortalRole struct {
	Name  string `json:"name"`
	Scope string `json:"scope,omitempty"` // ARM id; empty: everywhere
}

// String is the role as ParsePortalRole reads it.
func (r PortalRole) String() string {
	if r.Scope == "" {
		return r.Name
	}
	return r.Name + "@" + r.Scope
}

// ParsePortalRole reads "Reader", "Reader@/subscriptions/{id}" or
// "Application.Read.All", in any case. The error of an unknown name lists the known ones.
func ParsePortalRole(s string) (PortalRole, error) {
	name, scope, scoped := strings.Cut(s, "@")
	r, err := PortalRole{Name: strings.TrimSpace(name), Scope: strings.TrimSpace(scope)}.normal()
	if err == nil && scoped && strings.TrimSpace(scope) == "" {
		err = fmt.Errorf("portal role %q: no scope stands behind the @", s)
	}
	return r, err
}

// normal returns the role as the directory spells it.
func (r PortalRole) normal() (PortalRole, error) {
	if permission, ok := portalPermission(r.Name); ok {
		if r.Scope != "" {
			return r, fmt.Errorf("portal role %q: a permission of Microsoft Graph has no scope", r)
		}
		return PortalRole{Name: permission}, nil
	}
	definition, ok := roles.ByName(r.Name)
	if !ok {
		return r, fmt.Errorf("portal role %q is none of %s", r.Name, strings.Join(portalRoleNames(), ", "))
	}
	n := PortalRole{Name: definition.Name}
	if r.Scope == "" || r.Scope == "/" {
		return n, nil
	}
	n.Scope = cleanScope(r.Scope)
	if checkText(AssignmentObject, "scope", n.Scope, maxScope) != nil || !roles.Covers("/", r.Scope) {
		return r, fmt.Errorf("portal role %q: %q is not a scope of at most %d characters", r.Name, r.Scope, maxScope)
	}
	return n, nil
}

// portalPermission finds a permission of Microsoft Graph by its name, in any
// case. What one may do with one's own is none of them: a person owns nothing.
func portalPermission(name string) (string, bool) {
	for _, role := range roles.GraphAppRoles() {
		if role.Value != writeOwned && fold(role.Value) == fold(name) {
			return role.Value, true
		}
	}
	return "", false
}

func portalRoleNames() []string {
	var names []string
	for _, role := range roles.GraphAppRoles() {
		if role.Value != writeOwned {
			names = append(names, role.Value)
		}
	}
	for _, definition := range roles.BuiltIn() {
		names = append(names, definition.Name)
	}
	slices.Sort(names)
	return names
}

// hold adds what a person's roles stand for. A name that is not known adds nothing.
func (r *rights) hold(list []PortalRole) {
	for _, role := range list {
		n, err := role.normal()
		if err != nil {
			continue
		}
		if permission, ok := portalPermission(n.Name); ok {
			r.graph = append(r.graph, permission)
		} else if definition, ok := roles.ByName(n.Name); ok {
			r.assignments = append(r.assignments, assignment{scope: scopeKey(n.Scope), definition: definition})
		}
	}
}
