package plan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/manifest"
	"github.com/entente-id/entente/internal/roles"
)

// scope is an assignment's.
func (p *planner) scope(want *manifest.RoleAssignment) string {
	subscription := "/subscriptions/" + p.target.SubscriptionID
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

type definitionKey struct{ scope, role string }

func (p *planner) roles() error {
	for _, h := range p.holders {
		given := map[definitionKey]int{} // by line
		for i := range h.want.RoleAssignments {
			want := &h.want.RoleAssignments[i]
			scope := p.scope(want)
			there, err := p.checkScope(want, scope)
			if err != nil {
				return fmt.Errorf("%s: %w", h, err)
			}
			d, err := p.definition(want, scope, there)
			if err != nil {
				return fmt.Errorf("%s: %w", h, err)
			}
			if d == nil {
				continue
			}
			key := definitionKey{fold(scope), guidOf(d.ID)}
			if first := given[key]; first > 0 {
				p.add(want.Place, "", "is what line %d says already", first)
				continue
			}
			given[key] = want.Line
			p.assign(h, want, scope, d)
		}
	}
	return nil
}

func (p *planner) assign(h *holder, want *manifest.RoleAssignment, scope string, d *client.RoleDefinition) {
	s := &Step{Action: Unchanged, Kind: RoleObject, Name: d.RoleName, Parent: h.parent(), work: work{of: h, right: true}}
	have := h.assignments[fold(scope)]
	if i := slices.IndexFunc(have, func(a client.RoleAssignment) bool {
		return same(strings.TrimRight(a.Scope, "/"), strings.TrimRight(scope, "/")) && guidOf(a.RoleDefinitionID) == guidOf(d.ID) && same(a.PrincipalID, h.principalID)
	}); i >= 0 {
		if have[i].Condition != "" {
			s.Notes = append(s.Notes, "it has a condition, which a file cannot say")
		}
	} else {
		s.Action, s.Changes = Create, []Change{{"scope", nil, scope}}
		s.do = func(ctx context.Context) error {
			_, err := p.client.PutRoleAssignment(ctx, scope, client.RoleAssignmentSpec{RoleDefinitionID: d.ID, PrincipalID: h.principalID, PrincipalType: "ServicePrincipal"})
			if e, ok := errors.AsType[*client.Error](err); ok && e.Code == "RoleAssignmentExists" {
				return nil // under another name
			}
			return err
		}
	}
	p.step(want.Place, s)
}

// guidOf is the last part of a role definition's id, which differs by scope before it.
func guidOf(definitionID string) string {
	return fold(definitionID[strings.LastIndexByte(definitionID, '/')+1:])
}

// checkScope says what a scope names that is not there, and returns whether the
// scope is there now.
func (p *planner) checkScope(want *manifest.RoleAssignment, scope string) (there bool, err error) {
	s := strings.Split(scope, "/") // "", subscriptions, ID, resourceGroups, NAME, …
	if len(s) < 5 || !same(s[1], "subscriptions") || !same(s[2], p.target.SubscriptionID) || !same(s[3], "resourceGroups") {
		return true, nil
	}
	g, _, err := p.group(s[4])
	if err != nil {
		return false, err
	}
	if !g.known() && want.ResourceGroup != "" {
		p.add(want.Place, "resourceGroup", "%q is not there, and not in this file", want.ResourceGroup)
	} else if !g.known() {
		p.add(want.Place, "scope", "the resource group %q is not there, and not in this file", s[4])
	}
	return g.there, nil
}

// definition finds the role that is meant, by name or GUID; nil after a problem.
// One for a scope that is not there yet is looked for in the subscription.
func (p *planner) definition(want *manifest.RoleAssignment, scope string, there bool) (*client.RoleDefinition, error) {
	if !there {
		scope = "/subscriptions/" + p.target.SubscriptionID
	}
	key := definitionKey{fold(scope), fold(want.Role)}
	if d, asked := p.definitions[key]; asked {
		return d, nil
	}
	var all []client.RoleDefinition
	var err error
	if id, bad := uuid.Parse(want.Role); bad == nil {
		var d client.RoleDefinition
		var known bool
		if d, known, err = found(p.client.RoleDefinition(p.ctx, scope, id.String())); known {
			all = append(all, d)
		}
	} else if all, err = p.client.RoleDefinitions(p.ctx, scope, client.Equal("roleName", want.Role)); err == nil {
		all = slices.DeleteFunc(all, func(d client.RoleDefinition) bool { return !same(d.RoleName, want.Role) })
	}
	if err != nil {
		return nil, err
	}
	var d *client.RoleDefinition
	switch len(all) {
	case 0:
		p.add(want.Place, "role", "%q is no role at %s%s", want.Role, scope, suggestion(want.Role))
	case 1:
		d = &all[0]
	default:
		var ids []string
		for _, d := range all {
			ids = append(ids, oneLine(guidOf(d.ID)))
		}
		p.add(want.Place, "role", "%q is the name of %d roles: give the GUID of the one that is meant: %s", want.Role, len(all), strings.Join(ids, ", "))
	}
	if d != nil {
		p.definitions[key] = d
	}
	return d, nil
}

// suggestion is the built-in role whose name differs in spaces only.
func suggestion(role string) string {
	squeeze := func(s string) string { return strings.NewReplacer(" ", "", "-", "", "_", "").Replace(fold(s)) }
	for _, d := range roles.BuiltIn() {
		if squeeze(d.Name) == squeeze(role) {
			return fmt.Sprintf(": did you mean %q?", d.Name)
		}
	}
	return ""
}
