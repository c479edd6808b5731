package plan

import (
	"context"
	"errors"
	"maps"
	"strings"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/manifest"
)

// group is a resource group that is there, or will be.
type group struct {
	there    bool
	stated   bool // in the file
	location string
	refused  error // the caller may not read it, but things in it perhaps
}

func (g *group) known() bool { return g.there || g.stated }

// defaultLocation is that of groups whose file names none: a service that runs
// somewhere has one place.
const defaultLocation = "local"

func (p *planner) groupID(name string) client.ResourceGroupID {
	return client.ResourceGroupID{SubscriptionID: p.target.SubscriptionID, Name: name}
}

// group finds out about a group, once.
func (p *planner) group(name string) (*group, client.ResourceGroup, error) {
	if g, ok := p.groups[fold(name)]; ok {
		return g, client.ResourceGroup{}, nil
	}
	old, there, err := found(p.client.ResourceGroup(p.ctx, p.groupID(name)))
	g := &group{there: there, location: old.Location}
	if e, ok := errors.AsType[*client.Error](err); ok && e.Status == forbidden {
		g.there, g.refused = true, err
	} else if err != nil {
		return nil, old, err
	}
	p.groups[fold(name)] = g
	return g, old, nil
}

func (p *planner) resourceGroups() error {
	if p.target.SubscriptionID == "" {
		return nil
	}
	for i := range p.file.ResourceGroups {
		want := &p.file.ResourceGroups[i]
		g, old, err := p.group(want.Name)
		if err != nil {
			return err
		}
		if g.refused != nil {
			return g.refused
		}
		g.stated = true
		var c changed
		s := &Step{Kind: GroupObject, Name: want.Name, Action: Unchanged}
		switch {
		case !g.there:
			if g.location = want.Location; g.location == "" {
				g.location = p.somewhere(want.Place)
			}
			c.fresh("location", g.location)
			c.fresh("tags", want.Tags)
			s.Action = Create
			s.do = func(ctx context.Context) error {
				_, _, err := p.client.PutResourceGroup(ctx, p.groupID(want.Name), client.ResourceSpec{Location: g.location, Tags: want.Tags})
				return err
			}
		case want.Has("tags") && !maps.Equal(want.Tags, old.Tags):
			s.Name, s.Action = old.Name, Update
			c = changed{{"tags", clone(old.Tags), clone(want.Tags)}}
			s.do = func(ctx context.Context) error {
				_, err := p.client.SetResourceGroupTags(ctx, p.groupID(want.Name), want.Tags)
				return err
			}
		}
		if g.there {
			p.keepsLocation(want.Place, want.Location, old.Location)
		}
		s.Changes = c
		p.step(want.Place, s)
	}
	return nil
}

// somewhere is where a new thing is that the file gives no location.
func (p *planner) somewhere(at manifest.Place) string {
	if p.target.Service == azure {
		p.add(at, "location", "is missing: in Azure everything is somewhere, for instance in westeurope")
	}
	return defaultLocation
}

func (p *planner) keepsLocation(at manifest.Place, want, is string) {
	if want != "" && place(want) != place(is) {
		p.add(at, "location", "is %q, and cannot be changed", is)
	}
}

// place is a location as Azure compares it: "West Europe" is westeurope.
func place(location string) string { return strings.ReplaceAll(fold(location), " ", "") }

// clone is never nil, so that it has JSON that says what is meant.
func clone(tags map[string]string) map[string]string {
	c := maps.Clone(tags)
	if c == nil {
		c = map[string]string{}
	}
	return c
}
