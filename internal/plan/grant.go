package plan

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/manifest"
)

// anyRole is the app role of resources that define none
// (https://learn.microsoft.com/graph/api/resources/approleassignment).
const anyRole = "00000000-0000-0000-0000-000000000000"

// resource is what an app role belongs to.
type resource struct {
	of    *holder // in the file; nil: in the tenant only
	name  string
	id    string // of its service principal, if it is not in the file
	roles []client.AppRole
}

// principalID is that of the resource, known when it is there.
func (r *resource) principalID() string {
	if r.of != nil {
		return r.of.principalID
	}
	return r.id
}

// key tells resources apart.
func (r *resource) key() any {
	if r.of != nil {
		return r.of
	}
	return r.id
}

type grant struct {
	resource any
	role     string
}

func (p *planner) appRoles() error {
	for _, h := range p.holders {
		given := map[grant]int{} // by line
		for i := range h.want.AppRoleAssignments {
			want := &h.want.AppRoleAssignments[i]
			of, err := p.resource(want)
			if err != nil {
				return fmt.Errorf("%s: %w", h, err)
			}
			if of == nil {
				continue
			}
			role, ok := p.appRole(of, want)
			if !ok {
				continue
			}
			if first := given[grant{of.key(), role}]; first > 0 {
				p.add(want.Place, "", "is what line %d says already", first)
				continue
			}
			given[grant{of.key(), role}] = want.Line
			p.grant(h, want, of, role)
		}
	}
	return nil
}

func (p *planner) grant(h *holder, want *manifest.AppRoleAssignment, of *resource, role string) {
	name := want.Role
	if name == "" {
		name = "(any)"
	}
	s := &Step{Action: Unchanged, Kind: GrantObject, Name: name, Parent: h.parent(), work: work{of: h, right: true, needs: of.of}}
	holds := func(list []client.AppRoleAssignment) bool {
		return slices.ContainsFunc(list, func(a client.AppRoleAssignment) bool {
			return same(a.ResourceID, of.principalID()) && same(a.AppRoleID, role)
		})
	}
	if of.principalID() == "" || !holds(h.grants) {
		s.Action, s.Changes = Create, []Change{{"resource", nil, of.name}}
		s.do = func(ctx context.Context) error {
			_, err := p.client.CreateAppRoleAssignment(ctx, client.AppRoleAssignment{PrincipalID: h.principalID, ResourceID: of.principalID(), AppRoleID: role})
			return err
		}
		s.standing = func(ctx context.Context) (bool, error) {
			list, err := p.client.AppRoleAssignments(ctx, h.principalID)
			return holds(list), err
		}
	}
	p.step(want.Place, s)
}

// resource finds what an app role assignment names, in the file or else in the
// tenant; nil after a problem.
func (p *planner) resource(want *manifest.AppRoleAssignment) (*resource, error) {
	for _, is := range []func(*holder) bool{
		func(h *holder) bool {
			return h.application.UniqueName != "" && h.application.UniqueName == want.Resource
		},
		func(h *holder) bool { return same(h.application.DisplayName, want.Resource) },
		func(h *holder) bool { return slices.Contains(h.uris, want.Resource) },
		func(h *holder) bool { return h.clientID != "" && same(h.clientID, want.Resource) },
	} {
		var of []*holder
		for _, h := range p.holders {
			if h.kind == credential.Application && is(h) {
				of = append(of, h)
			}
		}
		switch len(of) {
		case 0:
			continue
		case 1:
			return &resource{of: of[0], name: of[0].name(), roles: of[0].appRoles}, nil
		}
		p.add(want.Place, "resource", "%q is the name of several in this file: give a uniqueName or a client id", want.Resource)
		return nil, nil
	}
	known, asked := p.resources[want.Resource]
	if !asked {
		list, err := p.principals(want.Resource)
		if err != nil {
			return nil, err
		}
		switch len(list) {
		case 0:
			p.add(want.Place, "resource", "%q is no application with a service principal, here or in this file", want.Resource)
		case 1:
			known = &resource{name: list[0].DisplayName, id: list[0].ID, roles: list[0].AppRoles}
		default:
			var ids []string
			for _, sp := range list {
				ids = append(ids, oneLine(sp.AppID))
			}
			p.add(want.Place, "resource", "%q is the name of %d applications: give the client id of the one that is meant: %s", want.Resource, len(list), strings.Join(ids, ", "))
		}
		if known != nil {
			p.resources[want.Resource] = known
		}
	}
	return known, nil
}

// principals are the service principals that a client id, an identifier URI or a name means.
func (p *planner) principals(name string) ([]client.ServicePrincipal, error) {
	filter := client.Equal("displayName", name)
	if strings.Contains(name, ":") {
		filter = "servicePrincipalNames/any(n:n eq " + client.Quote(name) + ")"
	} else if id, err := uuid.Parse(name); err == nil {
		filter = client.Equal("appId", id.String())
	}
	return p.client.ServicePrincipals(p.ctx, filter)
}

// appRole finds the id of a role that the resource gives to applications.
func (p *planner) appRole(of *resource, want *manifest.AppRoleAssignment) (string, bool) {
	if want.Role == "" {
		if len(of.roles) == 0 {
			return anyRole, true
		}
		p.add(want.Place, "role", "is missing: %q has %s", of.name, values(of.roles))
		return "", false
	}
	for _, r := range of.roles {
		if r.Value != want.Role && !same(r.ID, want.Role) {
			continue
		}
		if !r.IsEnabled || !slices.Contains(r.AllowedMemberTypes, "Application") {
			p.add(want.Place, "role", "%q of %q is disabled, or not for applications", want.Role, of.name)
			return "", false
		}
		return fold(r.ID), true
	}
	if want.Role == anyRole && len(of.roles) == 0 {
		return anyRole, true
	}
	p.add(want.Place, "role", "%q is no app role of %q, which has %s", want.Role, of.name, values(of.roles))
	return "", false
}

func values(list []client.AppRole) string {
	var all []string
	for _, r := range list {
		if r.Value == "" {
			continue
		}
		if len(all) == 10 {
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
