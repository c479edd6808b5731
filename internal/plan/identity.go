package plan

import (
	"context"
	"maps"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/credential"
)

func (p *planner) identities() error {
	for _, h := range p.holders {
		if h.kind != credential.ManagedIdentity {
			continue
		}
		want := h.identity
		s := p.step(want.Place, &Step{Action: Unchanged, Kind: IdentityObject, Name: h.name(), work: work{of: h}})
		if h.there {
			p.changeIdentity(h, s)
			continue
		}
		g, _, err := p.group(want.ResourceGroup)
		switch {
		case err != nil:
			return err
		case !g.known():
			p.add(want.Place, "resourceGroup", "%q is not there, and not in this file", want.ResourceGroup)
		case g.refused != nil && want.Location == "":
			p.add(want.Place, "location", "is missing: the caller may not read the group's")
		default:
			p.makeIdentity(h, s, g)
		}
	}
	return nil
}

func (p *planner) makeIdentity(h *holder, s *Step, g *group) {
	want := h.identity
	spec := client.ResourceSpec{Location: want.Location, Tags: want.Tags}
	if spec.Location == "" {
		spec.Location = g.location
	}
	var c changed
	c.fresh("location", spec.Location)
	c.fresh("tags", want.Tags)
	c.fresh("isolationScope", want.IsolationScope)
	s.Action, s.Changes = Create, c
	s.do = func(ctx context.Context) error {
		made, _, err := p.client.PutIdentity(ctx, p.identityID(want), spec)
		if err != nil {
			return err
		}
		h.clientID, h.principalID = made.ClientID, made.PrincipalID
		h.made = true
		if isolation(want.IsolationScope) != isolation(made.IsolationScope) {
			_, err = p.client.UpdateIdentity(ctx, p.identityID(want), client.IdentityUpdate{IsolationScope: want.IsolationScope})
		}
		return err
	}
}

func (p *planner) changeIdentity(h *holder, s *Step) {
	want, old := h.identity, h.oldIdentity
	p.keepsLocation(want.Place, want.Location, old.Location)
	var u client.IdentityUpdate
	var c changed
	if want.Has("tags") && !maps.Equal(want.Tags, old.Tags) {
		c = append(c, Change{"tags", clone(old.Tags), clone(want.Tags)})
		u.Tags = clone(want.Tags)
	}
	if c.text("isolationScope", want.Has("isolationScope"), isolation(old.IsolationScope), isolation(want.IsolationScope)) {
		u.IsolationScope = want.IsolationScope
	}
	if len(c) > 0 {
		s.Action, s.Changes = Update, c
		s.do = func(ctx context.Context) error {
			_, err := p.client.UpdateIdentity(ctx, p.identityID(want), u)
			return err
		}
	}
}

// isolation is what no isolation scope means.
func isolation(scope string) string {
	if scope == "" {
		return "None"
	}
	return scope
}
