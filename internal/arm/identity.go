package arm

import (
	"encoding/json"

	"github.com/entente-id/entente/internal/directory"
)

const identityType = managedIdentity + "/userAssignedIdentities"

type identity struct {
	ID         string             `json:"id"`
	Name       string             `json:"name"`
	Type       string             `json:"type"`
	Location   string             `json:"location"`
	Tags       map[string]string  `json:"tags"`
	Properties identityProperties `json:"properties"`
}

type identityProperties struct {
	IsolationScope string `json:"isolationScope,omitempty"`
	TenantID       string `json:"tenantId"`
	PrincipalID    string `json:"principalId"`
	ClientID       string `json:"clientId"`
}

func wireIdentity(m directory.Identity) identity {
	return identity{ID: m.ResourceID(), Name: m.Name, Type: identityType, Location: m.Location, Tags: tags(m.Tags),
		Properties: identityProperties{IsolationScope: m.IsolationScope, TenantID: m.TenantID, PrincipalID: m.PrincipalID, ClientID: m.ClientID}}
}

// identityBody is what may be set; the ids are the server's own.
type identityBody struct {
	groupBody
	Properties struct {
		IsolationScope         *string         `json:"isolationScope"`
		AssignmentRestrictions json.RawMessage `json:"assignmentRestrictions"`
	} `json:"properties"`
}

// check refuses what would be lost: a restriction that nobody keeps is worse than none.
func (b identityBody) check() error {
	if given(b.Properties.AssignmentRestrictions) {
		return badRequest("The property 'assignmentRestrictions' is not supported: this service would not keep to it.")
	}
	return nil
}

// given says whether an optional member is there and not null.
func given(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

func (c *call) identityRef() directory.IdentityRef {
	return directory.IdentityRef{SubscriptionID: c.subscription.ID, Group: c.args["group"], Name: c.args["identity"]}
}

// listIdentities lists those of a group, or of the subscription when the path names none.
func (s *Surface) listIdentities(c *call) (*answer, error) {
	return list(s, c, func(p directory.Page) (directory.Paged[directory.Identity], error) {
		return s.dir.Identities(c, c.caller, c.subscription.ID, c.args["group"], p)
	}, wireIdentity)
}

func (s *Surface) getIdentity(c *call) (*answer, error) {
	m, err := s.dir.Identity(c, c.caller, c.identityRef())
	return found(wireIdentity(m)), err
}

func (s *Surface) putIdentity(c *call, in identityBody) (*answer, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	m := directory.Identity{IdentityRef: c.identityRef(), Location: place(in.Location), Tags: in.tags()}
	if in.Properties.IsolationScope != nil {
		m.IsolationScope = *in.Properties.IsolationScope
	}
	m, created, err := s.dir.PutIdentity(c, c.caller, m)
	return put(wireIdentity(m), created, m.ResourceID()), err
}

func (s *Surface) patchIdentity(c *call, in identityBody) (*answer, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	m, err := s.dir.UpdateIdentity(c, c.caller, c.identityRef(), directory.IdentityEdit{Tags: in.Tags, IsolationScope: in.Properties.IsolationScope})
	return found(wireIdentity(m)), err
}

func (s *Surface) deleteIdentity(c *call) (*answer, error) {
	return removed(s.dir.DeleteIdentity(c, c.caller, c.identityRef()), directory.IdentityObject)
}

// listAssociatedResources lists the machines that carry an identity: none, here.
func (s *Surface) listAssociatedResources(c *call) (*answer, error) {
	if err := s.dir.Permit(c, c.caller, c.route.Action, c.identityRef().ResourceID()); err != nil {
		return nil, err
	}
	_, err := s.dir.Identity(c, c.caller, c.identityRef())
	return found(struct {
		TotalCount int      `json:"totalCount"`
		Value      []string `json:"value"`
	}{0, []string{}}), err
}
