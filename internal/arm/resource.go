package arm

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/entente-id/entente/internal/directory"
)

// resource is anything in a group, as the lists of all of them have it.
type resource struct {
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	Type     string            `json:"type"`
	Location string            `json:"location"`
	Tags     map[string]string `json:"tags"`

	group string
}

// The terms of the filters that az writes for `az resource list`.
var resourceTerms = []string{"resourceGroup eq", "resourceType eq", "name eq", "location eq", "tagName eq", "tagValue eq"}

// clustersPage begins the page tokens of a list of resources that is past its
// identities, which come first.
const clustersPage = "clusters:"

// listResources lists the identities and then the clusters of a subscription or
// group that the caller may read. Whoever may list only one of the two in a
// group gets that one.
func (s *Surface) listResources(c *call) (*answer, error) {
	filter, err := c.parseFilter()
	if err != nil {
		return nil, err
	}
	if _, valued := filter["tagValue eq"]; valued {
		if _, named := filter["tagName eq"]; !named {
			return nil, errTagWithoutName
		}
	}
	if group := filter["resourceGroup eq"]; group != "" && c.args["group"] == "" {
		c.args["group"] = group
	}
	return list(s, c, func(p directory.Page) (directory.Paged[resource], error) {
		var page directory.Paged[resource]
		var denied error
		after, atClusters := strings.CutPrefix(p.After, clustersPage)
		if !atClusters {
			var err error
			if page, err = s.identityResources(c, p); isForbidden(err) {
				denied = err
			} else if err != nil || page.Next != "" {
				return filtered(page, filter), err
			}
			after = ""
		}
		p.After = after
		if p.Limit <= 0 {
			p.Limit = directory.DefaultPage
		}
		if p.Limit = min(p.Limit, directory.MaxPage) - len(page.Items); p.Limit == 0 {
			page.Next = clustersPage
			return filtered(page, filter), nil
		}
		more, err := s.clusterResources(c, p)
		if isForbidden(err) && denied == nil {
			err = nil
		}
		if page.Items = append(page.Items, more.Items...); more.Next != "" {
			page.Next = clustersPage + more.Next
		}
		return filtered(page, filter), err
	}, func(r resource) resource { return r })
}

func isForbidden(err error) bool {
	e, ok := errors.AsType[*directory.Error](err)
	return ok && e.Kind == directory.Forbidden
}

func (s *Surface) identityResources(c *call, p directory.Page) (directory.Paged[resource], error) {
	page, err := s.dir.Identities(c, c.caller, c.subscription.ID, c.args["group"], p)
	return directory.Paged[resource]{Next: page.Next, Items: each(page.Items, func(m directory.Identity) resource {
		return resource{m.ResourceID(), m.Name, identityType, m.Location, tags(m.Tags), m.Group}
	})}, err
}

func (s *Surface) clusterResources(c *call, p directory.Page) (directory.Paged[resource], error) {
	page, err := s.dir.Clusters(c, c.caller, c.subscription.ID, c.args["group"], p)
	return directory.Paged[resource]{Next: page.Next, Items: each(page.Items, func(m directory.Cluster) resource {
		return resource{m.ResourceID(), m.Name, clusterType, m.Location, tags(m.Tags), m.Group}
	})}, err
}

// filtered leaves those that meet every term of a filter, without case.
func filtered(page directory.Paged[resource], filter map[string]string) directory.Paged[resource] {
	page.Items = slices.DeleteFunc(page.Items, func(r resource) bool {
		for term, value := range filter {
			var is string
			switch term {
			case "resourceGroup eq":
				is = r.group
			case "resourceType eq":
				is = r.Type
			case "name eq":
				is = r.Name
			case "location eq":
				is, value = place(r.Location), place(value)
			case "tagName eq":
				if _, is := tag(r.Tags, value); !is {
					return true
				}
				continue
			case "tagValue eq":
				is, _ = tag(r.Tags, filter["tagName eq"])
			}
			if !strings.EqualFold(is, value) {
				return true
			}
		}
		return false
	})
	return page
}

// listNothing answers for what Azure has and this service has not, to those who
// may ask: locks, deployments, and names of tags that are kept for themselves.
func (s *Surface) listNothing(c *call) (*answer, error) {
	if _, err := c.parseFilter(); err != nil {
		return nil, err
	}
	scope, err := s.permitOn(c)
	if err != nil {
		return nil, err
	}
	if group := groupOf(scope); group != "" {
		if _, err := s.dir.Group(c, c.caller, c.subscription.ID, group); err != nil && !isForbidden(err) {
			return nil, err
		}
	}
	return whole([]resource{}), nil
}

// permitOn checks the right of the route on the scope that the path names, and returns that.
func (s *Surface) permitOn(c *call) (scope string, err error) {
	if scope = c.args["scope"]; scope == "" {
		scope = c.subscription.Scope()
	}
	if group := c.args["group"]; group != "" {
		scope += "/resourceGroups/" + group
	}
	return scope, s.dir.Permit(c, c.caller, c.route.Action, scope)
}

// groupOf is the resource group that a scope is in; empty: none.
func groupOf(scope string) string {
	segments := strings.Split(scope, "/") // ["", "subscriptions", id, "resourceGroups", name, …]
	if len(segments) > 4 && same(segments[1], "subscriptions") && same(segments[3], "resourceGroups") {
		return segments[4]
	}
	return ""
}

type tagsOfScope struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Type       string         `json:"type"`
	Properties tagsProperties `json:"properties"`
}

type tagsProperties struct {
	Tags map[string]string `json:"tags"`
}

// getTags reads the tags of a subscription, which has none, of a group or of a resource.
func (s *Surface) getTags(c *call) (*answer, error) {
	scope, err := s.permitOn(c)
	if err != nil {
		return nil, err
	}
	has, err := s.tagsOf(c, scope)
	return found(tagsOfScope{below(scope, "/providers/"+resources+"/tags/default"), "default", resources + "/tags", tagsProperties{tags(has)}}), err
}

func (s *Surface) tagsOf(c *call, scope string) (map[string]string, error) {
	group := groupOf(scope)
	rest := strings.Split(scope, "/")[1:]
	switch {
	case len(rest) == 2 && c.subscription.ID != "":
		return nil, nil
	case group != "" && len(rest) == 4:
		g, err := s.dir.Group(c, c.caller, c.subscription.ID, group)
		return g.Tags, err
	case group != "" && len(rest) == 8 && same(rest[5]+"/"+rest[6], identityType):
		m, err := s.dir.Identity(c, c.caller, directory.IdentityRef{SubscriptionID: c.subscription.ID, Group: group, Name: rest[7]})
		return m.Tags, err
	case group != "" && len(rest) == 8 && same(rest[5]+"/"+rest[6], clusterType):
		m, err := s.dir.Cluster(c, c.caller, directory.ClusterRef{SubscriptionID: c.subscription.ID, Group: group, Name: rest[7]})
		return m.Tags, err
	}
	return nil, refuse(http.StatusNotFound, "NotFound", "Nothing at the scope '%s' has tags.", clip(scope))
}
