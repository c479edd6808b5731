package arm

import (
	"net/http"
	"strings"

	"github.com/entente-id/entente/internal/roles"
)

const (
	definitionPath = "/providers/" + authorization + "/roleDefinitions/"
	assignmentPath = "/providers/" + authorization + "/roleAssignments/"
)

type definition struct {
	ID         string               `json:"id"`
	Type       string               `json:"type"`
	Name       string               `json:"name"`
	Properties definitionProperties `json:"properties"`
}

type definitionProperties struct {
	RoleName         string        `json:"roleName"`
	Type             string        `json:"type"` // BuiltInRole: there are no others
	Description      string        `json:"description"`
	AssignableScopes []string      `json:"assignableScopes"`
	Permissions      []permissions `json:"permissions"`
}

type permissions struct {
	Actions        []string `json:"actions"`
	NotActions     []string `json:"notActions"`
	DataActions    []string `json:"dataActions"`
	NotDataActions []string `json:"notDataActions"`
}

const builtInRole = "BuiltInRole"

// definitionID is the id of a definition as it is seen from a scope: below its
// subscription, or the tenant's. az compares it with that of an assignment as
// text, so both are made here.
func definitionID(scope, guid string) string {
	segments := strings.SplitN(strings.TrimPrefix(scope, "/"), "/", 3)
	if len(segments) > 1 && same(segments[0], "subscriptions") {
		return "/subscriptions/" + strings.ToLower(segments[1]) + definitionPath + guid
	}
	return definitionPath + guid
}

func (c *call) wireDefinition(d roles.Definition) definition {
	return definition{ID: definitionID(c.args["scope"], d.ID), Type: authorization + "/roleDefinitions", Name: d.ID, Properties: definitionProperties{
		RoleName: d.Name, Type: builtInRole, Description: d.Description, AssignableScopes: d.AssignableScopes,
		Permissions: []permissions{{some(d.Actions), some(d.NotActions), some(d.DataActions), some(d.NotDataActions)}},
	}}
}

// some is a list that is never null.
func some(list []string) []string { return append([]string{}, list...) }

// listDefinitions lists the built-in definitions. They are the same
// everywhere, so whoever is known here may read them.
func (s *Surface) listDefinitions(c *call) (*answer, error) {
	filter, err := c.parseFilter()
	if err != nil {
		return nil, err
	}
	all := []definition{}
	for _, d := range roles.BuiltIn() {
		name, named := filter["roleName eq"]
		kind, typed := filter["type eq"]
		if named && !strings.EqualFold(d.Name, name) || typed && !strings.EqualFold(builtInRole, kind) {
			continue
		}
		all = append(all, c.wireDefinition(d))
	}
	return whole(all), nil
}

func (s *Surface) getDefinition(c *call) (*answer, error) {
	d, ok := roles.ByID(c.args["definition"])
	if !ok {
		return nil, refuse(http.StatusNotFound, "RoleDefinitionDoesNotExist", "The specified role definition with ID '%s' does not exist.", clip(c.args["definition"]))
	}
	return found(c.wireDefinition(d)), nil
}
