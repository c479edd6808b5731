package portal

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
)

var rolePages = []route{
	{"GET " + roleList, (*call).listRoles, false},
	{"GET " + roleList + "/new", (*call).newRole, false},
	{"POST " + roleList + "/new", (*call).addRole, false},
	{"GET " + roleList + "/remove", (*call).askRemoveRole, false},
	{"POST " + roleList + "/remove", (*call).removeRole, false},
}

const (
	roleList    = Path + "/roles"
	writeRoles  = "Microsoft.Authorization/roleAssignments/write"
	deleteRoles = "Microsoft.Authorization/roleAssignments/delete"
)

var rolesDone = map[string]string{
	"added":   "The role was assigned. It counts from now on.",
	"removed": "The role was taken back. It does not count any more.",
}

type rolesView struct {
	List      *listing
	Role      choice
	Principal string // the one that the list is narrowed to, by name or id
	Rows      []roleRow
	Add       string // empty: the caller may not
}

type roleRow struct {
	Principal, PrincipalID, PrincipalTo string
	Role, Scope, Remove                 string // Remove is empty where the caller may not
	Since                               time.Time
}

func (c *call) listRoles() error {
	l := c.list("q", "role", "principal")
	v := rolesView{List: l, Role: roleChoice(l.Get("role"), "Any role"), Principal: l.Get("principal")}
	found, err := c.Directory.AllRoleAssignments(c, c.caller, "", directory.AssignmentFilter{PrincipalID: v.Principal, DefinitionID: v.Role.Value}, l.page())
	if err != nil {
		return err
	}
	var ids []string
	for _, a := range found.Items {
		ids = append(ids, a.PrincipalID)
	}
	names, err := c.Directory.PrincipalNames(c, c.caller, ids)
	if err != nil {
		return err
	}
	for _, a := range fill(l, found) {
		v.Rows = append(v.Rows, c.roleRow(a, names[a.PrincipalID]))
	}
	if c.rights.Can(writeRoles, "/") || slices.ContainsFunc(c.scopes(), func(scope string) bool { return c.rights.Can(writeRoles, scope) }) {
		v.Add = (&listing{Path: roleList + "/new"}).With("principal", v.Principal)
	}
	v.Principal = cmp.Or(names[strings.ToLower(v.Principal)], v.Principal)
	return c.show(page{template: "roles", title: "Role assignments", wide: true, done: rolesDone[c.query("done")]}, v)
}

func (c *call) roleRow(a directory.RoleAssignment, name string) roleRow {
	r := roleRow{Principal: cmp.Or(name, "An unknown principal"), PrincipalID: a.PrincipalID, PrincipalTo: rolesPath(a.PrincipalID), Role: roleName(a.DefinitionID), Scope: a.Scope, Since: a.CreatedAt}
	if c.rights.Can(deleteRoles, a.Scope) {
		r.Remove = (&listing{Path: roleList + "/remove"}).url(nil, "scope", a.Scope, "name", a.Name)
	}
	return r
}

// mostScopes is how many resource groups a person can choose a scope from.
const mostScopes = 200

// scopes are the subscriptions and resource groups that the caller may see.
func (c *call) scopes() []string {
	var all []string
	subscriptions, _ := c.Directory.Subscriptions(c, c.caller)
	for _, s := range subscriptions {
		all = append(all, s.Scope())
	}
	groups, _ := c.Directory.Groups(c, c.caller, "", directory.Page{Limit: mostScopes})
	for _, g := range groups.Items {
		all = append(all, g.Scope())
	}
	return all
}

func roleName(id string) string {
	if d, ok := roles.ByID(id); ok {
		return d.Name
	}
	return id
}

// roleChoice offers the roles; any is the text for none of them.
func roleChoice(id, any string) choice {
	ch := choice{Name: "role", Label: "Role", Options: []option{{"", any}}}
	for _, d := range roles.BuiltIn() {
		ch.Options = append(ch.Options, option{d.ID, d.Name})
		if d.ID == id {
			ch.Value = id
		}
	}
	return ch
}

type roleNewView struct {
	Problems         []string
	Principal, Scope field
	Role             choice
	Roles            []roles.Definition
}

func (c *call) newRole() error {
	return c.showNewRole(0, c.query("principal"), c.query("role"), c.query("scope"), nil)
}

// showNewRole shows the form, with what was wrong by the name of its field.
func (c *call) showNewRole(status int, principal, role, scope string, wrong map[string]string) error {
	v := roleNewView{
		Principal: field{Name: "principal", Label: "Who", Value: principal, Error: wrong["principal"], Max: 256, Required: true,
			Hint: "The name, the client id or the object id of a service principal: of an application or of a managed identity."},
		Scope: field{Name: "scope", Label: "Scope", Value: scope, Error: wrong["scope"], Max: 1024, Required: true, Options: append([]string{"/"}, c.scopes()...),
			Hint: "Where the role counts, and everywhere below: / for the whole tenant, a subscription, a resource group, or one resource."},
		Role:  roleChoice(role, "Choose a role"),
		Roles: roles.BuiltIn(),
	}
	v.Role.Error, v.Role.Required = wrong["role"], true
	if wrong[""] != "" {
		v.Problems = []string{wrong[""]}
	}
	return c.show(page{template: "role-new", title: "Assign a role", status: status, trail: []crumb{{"Role assignments", roleList}}}, v)
}

func (c *call) addRole() error {
	principal, role, scope := c.field("principal"), c.field("role"), c.field("scope")
	again := func(status int, field, text string) error {
		return c.showNewRole(status, principal, role, scope, map[string]string{field: text})
	}
	switch {
	case principal == "":
		return again(http.StatusUnprocessableEntity, "principal", "Say who gets the role.")
	case role == "":
		return again(http.StatusUnprocessableEntity, "role", "Choose a role.")
	case scope == "":
		return again(http.StatusUnprocessableEntity, "scope", "Say where the role counts.")
	}
	p, text, err := c.findPrincipal(principal)
	if err != nil {
		return err
	}
	if text != "" {
		return again(http.StatusUnprocessableEntity, "principal", text)
	}
	_, err = c.Directory.AddRoleAssignment(c, c.caller, directory.RoleAssignment{Name: uuid.NewString(), Scope: scope, DefinitionID: role, PrincipalID: p.ID})
	if e, ok := errors.AsType[*directory.Error](err); ok {
		told := explainDomain(e)
		switch {
		case e.Kind == directory.Exists:
			return again(told.status, "", p.DisplayName+" has this role there already.")
		case e.Kind == directory.Invalid && e.Field == "scope", e.Kind == directory.NotFound && e.Object != directory.PrincipalObject:
			return again(http.StatusUnprocessableEntity, "scope", told.text)
		}
		return again(told.status, "", told.text)
	}
	if err != nil {
		return err
	}
	return c.redirect(done(rolesPath(p.ID), "added"))
}

// findPrincipal finds a service principal by what a person calls it, or says
// why it does not.
func (c *call) findPrincipal(name string) (p directory.ServicePrincipal, text string, err error) {
	if directory.IsID(name) {
		for _, ref := range []directory.Ref{{ID: name}, {AppID: name}} {
			p, err = c.Directory.ServicePrincipal(c, c.caller, ref)
			if !isNotFound(err) {
				return p, "", err
			}
		}
		return p, "There is no service principal with this id.", nil
	}
	found, err := c.Directory.ServicePrincipals(c, c.caller, directory.Filter{DisplayName: &name}, directory.Page{Limit: 2})
	switch {
	case err != nil:
		return p, "", err
	case len(found.Items) == 0:
		return p, "There is no service principal of this name.", nil
	case len(found.Items) > 1:
		return p, "There are several of this name: give the client id of the one that you mean.", nil
	}
	return found.Items[0], "", nil
}

type roleRemoveView struct {
	roleRow
	Name string
}

func (c *call) askRemoveRole() error {
	a, err := c.Directory.RoleAssignment(c, c.caller, c.query("scope"), c.query("name"))
	if err != nil {
		return err
	}
	names, err := c.Directory.PrincipalNames(c, c.caller, []string{a.PrincipalID})
	if err != nil {
		return err
	}
	row := c.roleRow(a, names[a.PrincipalID])
	if row.Remove == "" {
		return &directory.Error{Kind: directory.Forbidden, Object: directory.AssignmentObject, Action: deleteRoles, Scope: a.Scope}
	}
	return c.show(page{template: "role-remove", title: "Take a role back", trail: []crumb{{"Role assignments", roleList}}}, roleRemoveView{row, a.Name})
}

func (c *call) removeRole() error {
	a, err := c.Directory.RemoveRoleAssignment(c, c.caller, c.field("scope"), c.field("name"))
	if err != nil {
		return err
	}
	return c.redirect(done(rolesPath(a.PrincipalID), "removed"))
}
