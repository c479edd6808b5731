package seed

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/manifest"
	"github.com/entente-id/entente/internal/roles"
)

// anyRole is the app role of resources that define none
// (https://learn.microsoft.com/graph/api/resources/approleassignment).
const anyRole = "00000000-0000-0000-0000-000000000000"

// resource is what an app role belongs to.
type resource struct {
	key   any // tells it from others
	name  string
	roles []directory.AppRole
	id    func() string // of its service principal, known when that is there
}

type grant struct {
	resource any // its key
	role     string
}

func (t *tenant) grants(h *holder) error {
	var have []directory.Grant
	if h.principalID != "" && len(h.want.AppRoleAssignments) > 0 {
		var err error
		if have, err = t.Directory.Grants(t, t.caller, directory.Ref{ID: h.principalID}); err != nil {
			return err
		}
	}
	given := map[grant]int{} // by line
	for i := range h.want.AppRoleAssignments {
		want := &h.want.AppRoleAssignments[i]
		of, err := t.resource(want)
		if err != nil {
			return err
		}
		if of == nil {
			continue
		}
		role, ok := t.appRole(of, want)
		if !ok {
			continue
		}
		if first := given[grant{of.key, role}]; first > 0 {
			t.add(want.Place, "", "is what line %d says already", first)
			continue
		}
		given[grant{of.key, role}] = want.Line
		if slices.ContainsFunc(have, func(g directory.Grant) bool { return g.ResourceID == of.id() && g.AppRoleID == role }) {
			t.unchanged++
			continue
		}
		t.make(directory.GrantObject, want.Role, want.Place, func() ([]any, error) {
			g, err := t.Directory.AddGrant(t, t.caller, directory.Grant{PrincipalID: h.principalID, ResourceID: of.id(), AppRoleID: role})
			return []any{"to", h.name, "resource", of.name, "id", g.ID}, err
		})
	}
	return nil
}

// resource finds what an app role assignment names, in the file or else in the
// tenant; nil after a problem.
func (t *tenant) resource(want *manifest.AppRoleAssignment) (*resource, error) {
	for _, is := range []func(*holder) bool{
		func(h *holder) bool { return h.uniqueName != "" && h.uniqueName == want.Resource },
		func(h *holder) bool { return fold(h.name) == fold(want.Resource) },
		func(h *holder) bool { return slices.Contains(h.uris, want.Resource) },
		func(h *holder) bool { return h.clientID != "" && h.clientID == fold(want.Resource) },
	} {
		var of []*holder
		for _, h := range t.holders {
			if h.kind == credential.Application && is(h) {
				of = append(of, h)
			}
		}
		switch len(of) {
		case 0:
			continue
		case 1:
			return &resource{key: of[0], name: of[0].name, roles: of[0].roles, id: func() string { return of[0].principalID }}, nil
		}
		t.add(want.Place, "resource", "%q is the name of several in this file: give a uniqueName", want.Resource)
		return nil, nil
	}
	if !t.there {
		if fold(want.Resource) == fold(graphName) || fold(want.Resource) == roles.GraphAppID {
			return t.newGraph(), nil
		}
		t.add(want.Place, "resource", "%q is not in this file", want.Resource)
		return nil, nil
	}
	filter := directory.Filter{DisplayName: &want.Resource}
	if strings.Contains(want.Resource, ":") {
		filter = directory.Filter{IdentifierURI: &want.Resource}
	} else if directory.IsID(want.Resource) {
		filter = directory.Filter{AppID: &want.Resource}
	}
	list, err := t.Directory.ServicePrincipals(t, t.caller, filter, directory.Page{Limit: 2})
	if err != nil {
		return nil, err
	}
	switch len(list.Items) {
	case 0:
		t.add(want.Place, "resource", "%q is no application with a service principal, here or in this file", want.Resource)
		return nil, nil
	case 1:
		sp := list.Items[0]
		return &resource{key: sp.ID, name: sp.DisplayName, roles: sp.AppRoles, id: func() string { return sp.ID }}, nil
	}
	t.add(want.Place, "resource", "%q is the name of several applications: give the client id of the one that is meant", want.Resource)
	return nil, nil
}

const graphName = "Microsoft Graph"

// newGraph is Microsoft Graph in a tenant that is to be made: every tenant has it.
func (t *tenant) newGraph() *resource {
	r := &resource{name: graphName}
	for _, role := range roles.GraphAppRoles() {
		r.roles = append(r.roles, directory.AppRole{ID: role.ID, Value: role.Value, Enabled: true, MemberTypes: []string{"Application"}})
	}
	r.id = func() string {
		sp, err := t.Directory.ServicePrincipal(t, t.caller, directory.Ref{AppID: roles.GraphAppID})
		if err != nil {
			return "" // which AddGrant says is not there
		}
		return sp.ID
	}
	return r
}

// appRole finds the id of a role that the resource gives to applications.
func (t *tenant) appRole(of *resource, want *manifest.AppRoleAssignment) (string, bool) {
	if want.Role == "" {
		if len(of.roles) == 0 {
			return anyRole, true
		}
		t.add(want.Place, "role", "is missing: %q has %s", of.name, values(of.roles))
		return "", false
	}
	for _, r := range of.roles {
		if r.Value != want.Role && r.ID != fold(want.Role) {
			continue
		}
		if !r.Enabled || !slices.Contains(r.MemberTypes, "Application") {
			t.add(want.Place, "role", "%q of %q is disabled, or not for applications", want.Role, of.name)
			return "", false
		}
		return r.ID, true
	}
	t.add(want.Place, "role", "%q is no app role of %q, which has %s", want.Role, of.name, values(of.roles))
	return "", false
}

func values(list []directory.AppRole) string {
	var all []string
	for i, r := range list {
		if i == 10 {
			all = append(all, "…")
			break
		}
		all = append(all, r.Value)
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}

func (t *tenant) assignments(h *holder) error {
	given := map[directory.RoleAssignment]int{} // by line
	for i := range h.want.RoleAssignments {
		want := &h.want.RoleAssignments[i]
		definition, ok := roles.ByName(want.Role)
		if !ok {
			definition, ok = roles.ByID(want.Role)
		}
		if !ok {
			t.add(want.Place, "role", "%q is no role that this service knows", want.Role)
		}
		there, err := t.checkScope(want)
		if err != nil {
			return err
		}
		key := directory.RoleAssignment{DefinitionID: definition.ID, Scope: fold(t.scope(want))}
		if first := given[key]; ok && first > 0 {
			t.add(want.Place, "", "is what line %d says already", first)
			continue
		}
		given[key] = want.Line
		if there && ok && h.principalID != "" {
			have, err := t.Directory.RoleAssignments(t, t.caller, t.scope(want), directory.AssignmentFilter{PrincipalID: h.principalID, AtScope: true})
			if err != nil {
				return err
			}
			if slices.ContainsFunc(have, func(a directory.RoleAssignment) bool {
				return a.DefinitionID == key.DefinitionID && fold(a.Scope) == key.Scope
			}) {
				t.unchanged++
				continue
			}
		}
		t.make(directory.AssignmentObject, want.Role, want.Place, func() ([]any, error) {
			a, err := t.Directory.AddRoleAssignment(t, t.caller, directory.RoleAssignment{Name: uuid.NewString(), Scope: t.scope(want), DefinitionID: definition.ID, PrincipalID: h.principalID})
			return []any{"to", h.name, "scope", a.Scope, "id", a.Name}, err
		})
	}
	return nil
}

// scope is an assignment's, known when the tenant is there.
func (t *tenant) scope(want *manifest.RoleAssignment) string {
	subscription := directory.Subscription{ID: t.subscription}.Scope()
	switch {
	case want.ResourceGroup != "":
		return subscription + "/resourceGroups/" + want.ResourceGroup
	case want.Scope == manifest.Subscription:
		return subscription
	case want.Scope == "/":
		return "/"
	}
	return strings.TrimRight(want.Scope, "/")
}

// checkScope says what a scope names that is not there. It returns whether the
// scope can have assignments already.
func (t *tenant) checkScope(want *manifest.RoleAssignment) (there bool, err error) {
	if want.ResourceGroup != "" {
		grouped, err := t.hasGroup(want.ResourceGroup)
		if !grouped && err == nil {
			t.add(want.Place, "resourceGroup", "%q is not there, and not in this file", want.ResourceGroup)
		}
		return t.there, err
	}
	s := strings.Split(t.scope(want), "/") // "", subscriptions, ID, resourceGroups, NAME, …
	if len(s) < 3 || fold(s[1]) != "subscriptions" || want.Scope == manifest.Subscription {
		return t.there, nil
	}
	if fold(s[2]) != fold(t.subscription) {
		t.add(want.Place, "scope", "%q is in no subscription of the tenant's", want.Scope)
		return false, nil
	}
	if len(s) >= 5 && fold(s[3]) == "resourcegroups" {
		grouped, err := t.hasGroup(s[4])
		if !grouped && err == nil {
			t.add(want.Place, "scope", "the resource group %q is not there, and not in this file", s[4])
		}
		return t.there, err
	}
	return t.there, nil
}
