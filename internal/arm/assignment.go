package arm

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/entente-id/entente/internal/directory"
)

type assignment struct {
	ID         string               `json:"id"`
	Type       string               `json:"type"`
	Name       string               `json:"name"`
	Properties assignmentProperties `json:"properties"`
}

type assignmentProperties struct {
	RoleDefinitionID string  `json:"roleDefinitionId"`
	PrincipalID      string  `json:"principalId"`
	PrincipalType    string  `json:"principalType"`
	Scope            string  `json:"scope"`
	Description      *string `json:"description"`
	Condition        *string `json:"condition"`
	ConditionVersion *string `json:"conditionVersion"`
	CreatedOn        string  `json:"createdOn"`
	UpdatedOn        string  `json:"updatedOn"`
	CreatedBy        string  `json:"createdBy"`
	UpdatedBy        string  `json:"updatedBy"`
}

// wireAssignment shows an assignment as it is seen from the scope of the call:
// one of the root that is listed in a subscription names the subscription's definition.
func (c *call) wireAssignment(a directory.RoleAssignment) assignment {
	seen := c.args["scope"]
	if c.subscription.ID == "" {
		seen = a.Scope
	}
	p := assignmentProperties{RoleDefinitionID: definitionID(seen, a.DefinitionID), PrincipalID: a.PrincipalID, PrincipalType: a.PrincipalType, Scope: a.Scope,
		CreatedOn: stamp(a.CreatedAt), UpdatedOn: stamp(a.CreatedAt), CreatedBy: a.CreatedBy, UpdatedBy: a.CreatedBy}
	if a.Description != "" {
		p.Description = &a.Description
	}
	return assignment{ID: below(a.Scope, assignmentPath+a.Name), Type: authorization + "/roleAssignments", Name: a.Name, Properties: p}
}

// assignmentBody is what makes an assignment. Versions before 2018 have the first two only.
type assignmentBody struct {
	Properties struct {
		RoleDefinitionID string          `json:"roleDefinitionId"`
		PrincipalID      string          `json:"principalId"`
		PrincipalType    string          `json:"principalType"`
		Description      *string         `json:"description"`
		Condition        json.RawMessage `json:"condition"`
	} `json:"properties"`
}

// assignment reads a body. A condition is refused, because an assignment
// without it would give more than was meant.
func (b assignmentBody) assignment(c *call) (directory.RoleAssignment, error) {
	p := b.Properties
	a := directory.RoleAssignment{Name: c.args["assignment"], Scope: c.args["scope"], PrincipalID: p.PrincipalID}
	definition := p.RoleDefinitionID
	if i := strings.LastIndexByte(definition, '/'); i >= 0 {
		at := len(definition[:i+1]) - len(definitionPath)
		if at < 0 || !same(definition[at:i+1], definitionPath) {
			definition = ""
		} else {
			definition = definition[i+1:]
		}
	}
	switch a.DefinitionID = definition; {
	case !directory.IsID(definition):
		return a, refuse(http.StatusBadRequest, "InvalidRoleDefinitionId", "The role definition ID '%s' is not valid. The role definition ID must be a GUID.", clip(p.RoleDefinitionID))
	case !directory.IsID(p.PrincipalID):
		return a, refuse(http.StatusBadRequest, "InvalidPrincipalId", "The Principal ID '%s' is not valid. Principal ID must be a GUID.", clip(p.PrincipalID))
	case p.PrincipalType != "" && !strings.EqualFold(p.PrincipalType, "ServicePrincipal"):
		return a, refuse(http.StatusBadRequest, "UnmatchedPrincipalType", "The PrincipalId '%s' can only have the type 'ServicePrincipal', which is different from the specified PrincipalType '%s'.", p.PrincipalID, clip(p.PrincipalType))
	case given(p.Condition) && string(p.Condition) != `""`:
		return a, badRequest("The property 'condition' is not supported: this service would not keep to it.")
	}
	if p.Description != nil {
		a.Description = *p.Description
	}
	return a, nil
}

func (s *Surface) listAssignments(c *call) (*answer, error) {
	filter, err := c.parseFilter()
	if err != nil {
		return nil, err
	}
	_, atScope := filter["atScope()"]
	narrow := directory.AssignmentFilter{AtScope: atScope}
	for _, term := range []string{"principalId eq", "assignedTo()"} {
		id, given := filter[term]
		if given && (!directory.IsID(id) || narrow.PrincipalID != "") {
			return nil, refuse(http.StatusBadRequest, "InvalidFilter", "The $filter names one principal, by a GUID.")
		}
		narrow.PrincipalID += id
	}
	return list(s, c, func(p directory.Page) (directory.Paged[directory.RoleAssignment], error) {
		all, err := s.dir.RoleAssignments(c, c.caller, c.args["scope"], narrow)
		return cut(all, p, func(a directory.RoleAssignment) string { return byAge(a.CreatedAt, a.Name+a.Scope) }), err
	}, c.wireAssignment)
}

func (s *Surface) getAssignment(c *call) (*answer, error) {
	a, err := s.dir.RoleAssignment(c, c.caller, c.args["scope"], c.args["assignment"])
	return found(c.wireAssignment(a)), err
}

// putAssignment always answers 201, which the SDKs insist on. The same
// assignment under the same name is no conflict, so that a deployment can be repeated.
func (s *Surface) putAssignment(c *call, in assignmentBody) (*answer, error) {
	wanted, err := in.assignment(c)
	if err != nil {
		return nil, err
	}
	a, err := s.dir.AddRoleAssignment(c, c.caller, wanted)
	if e, ok := errors.AsType[*directory.Error](err); ok && e.Kind == directory.Exists {
		old, missing := s.dir.RoleAssignment(c, c.caller, wanted.Scope, wanted.Name)
		switch {
		case missing != nil:
		case strings.EqualFold(old.DefinitionID, wanted.DefinitionID) && strings.EqualFold(old.PrincipalID, wanted.PrincipalID):
			a, err = old, nil
		default:
			err = refuse(http.StatusConflict, "RoleAssignmentUpdateNotPermitted", "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.")
		}
	}
	return put(c.wireAssignment(a), true, ""), err
}

func (s *Surface) deleteAssignment(c *call) (*answer, error) {
	a, err := s.dir.RemoveRoleAssignment(c, c.caller, c.args["scope"], c.args["assignment"])
	if err != nil {
		return removed(err, directory.AssignmentObject)
	}
	return found(c.wireAssignment(a)), nil
}
