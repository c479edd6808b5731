package arm

import (
	"net/http"
	"slices"
	"strings"

	"github.com/entente-id/entente/internal/directory"
)

type group struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Type       string            `json:"type"`
	Location   string            `json:"location"`
	Tags       map[string]string `json:"tags"`
	Properties groupProperties   `json:"properties"`
}

type groupProperties struct {
	ProvisioningState string `json:"provisioningState"`
}

func wireGroup(g directory.Group) group {
	return group{ID: g.Scope(), Name: g.Name, Type: "Microsoft.Resources/resourceGroups", Location: g.Location, Tags: tags(g.Tags), Properties: groupProperties{"Succeeded"}}
}

// tags are never null, which az could not print as a table.
func tags(t map[string]string) map[string]string {
	if t == nil {
		return map[string]string{}
	}
	return t
}

// groupBody is what may be set; all else in a body is passed over, so that a
// group that was read can be sent back.
type groupBody struct {
	Location string             `json:"location"`
	Tags     *map[string]string `json:"tags"`
}

func (b groupBody) tags() map[string]string {
	if b.Tags == nil {
		return nil
	}
	return *b.Tags
}

var errTagWithoutName = refuse(http.StatusBadRequest, "InvalidFilter", "The $filter names a tagValue without its tagName.")

// listGroups lists all, or those that have the tag of the filter.
func (s *Surface) listGroups(c *call) (*answer, error) {
	filter, err := c.parseFilter()
	if err != nil {
		return nil, err
	}
	name, named := filter["tagName eq"]
	value, valued := filter["tagValue eq"]
	if valued && !named {
		return nil, errTagWithoutName
	}
	return list(s, c, func(p directory.Page) (directory.Paged[directory.Group], error) {
		found, err := s.dir.Groups(c, c.caller, c.subscription.ID, p)
		if named {
			found.Items = slices.DeleteFunc(found.Items, func(g directory.Group) bool {
				at, tagged := tag(g.Tags, name)
				return !tagged || valued && at != value
			})
		}
		return found, err
	}, wireGroup)
}

// tag reads a tag, whose name has no case.
func tag(tags map[string]string, name string) (value string, ok bool) {
	for n, v := range tags {
		if strings.EqualFold(n, name) {
			return v, true
		}
	}
	return "", false
}

func (s *Surface) getGroup(c *call) (*answer, error) {
	g, err := s.dir.Group(c, c.caller, c.subscription.ID, c.args["group"])
	return found(wireGroup(g)), err
}

func (s *Surface) headGroup(c *call) (*answer, error) {
	_, err := s.dir.Group(c, c.caller, c.subscription.ID, c.args["group"])
	return &answer{status: http.StatusNoContent}, err
}

func (s *Surface) putGroup(c *call, in groupBody) (*answer, error) {
	g := directory.Group{SubscriptionID: c.subscription.ID, Name: c.args["group"], Location: place(in.Location), Tags: in.tags()}
	g, created, err := s.dir.PutGroup(c, c.caller, g)
	return put(wireGroup(g), created, ""), err
}

func (s *Surface) patchGroup(c *call, in groupBody) (*answer, error) {
	g, err := s.dir.UpdateGroup(c, c.caller, c.subscription.ID, c.args["group"], in.Tags)
	return found(wireGroup(g)), err
}

func (s *Surface) deleteGroup(c *call) (*answer, error) {
	err := s.dir.DeleteGroup(c, c.caller, c.subscription.ID, c.args["group"])
	return &answer{status: http.StatusOK}, err
}
