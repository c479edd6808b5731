package plan

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/manifest"
)

func (p *planner) applications() error {
	claimed := map[string]int{} // object ids of applications that are there, by line
	for _, h := range p.holders {
		if h.kind != credential.Application {
			continue
		}
		want := h.application
		if len(h.several) > 0 {
			p.add(want.Place, "displayName", "%q is the name of %d applications: give the clientId of the one that is meant: %s", want.DisplayName, len(h.several), ids(h.several))
			continue
		}
		if first := claimed[h.old.ID]; h.there && first > 0 {
			p.add(want.Place, "", "means the application %q (%s), as line %d does: tell them apart by clientId or uniqueName", h.old.DisplayName, oneLine(h.old.AppID), first)
			continue
		}
		switch {
		case h.there:
			claimed[h.old.ID] = want.Line
		case want.ClientID != "":
			p.add(want.Place, "clientId", "no application has it: leave it out to make a new one, which gets its own")
			continue
		}
		h.appRoles, h.uris = statedRoles(h.old.AppRoles, want), h.old.IdentifierURIs
		if want.Has("identifierUris") {
			h.uris = want.IdentifierURIs
		}
		if h.there {
			p.changeApplication(h)
		} else {
			p.makeApplication(h)
		}
		p.servicePrincipal(h)
	}
	return nil
}

func (p *planner) makeApplication(h *holder) {
	want := h.application
	spec := client.ApplicationSpec{
		DisplayName: want.DisplayName, IdentifierURIs: want.IdentifierURIs, Tags: want.Tags, AppRoles: h.appRoles,
		Description: given(want.Description), Notes: given(want.Notes),
	}
	if want.TokenVersion != 0 {
		spec.API = &client.API{RequestedAccessTokenVersion: &want.TokenVersion}
	}
	var c changed
	for _, f := range []Change{
		{"uniqueName", nil, want.UniqueName}, {"description", nil, want.Description}, {"notes", nil, want.Notes}, {"identifierUris", nil, want.IdentifierURIs}, {"tags", nil, want.Tags},
	} {
		c.fresh(f.Field, f.New)
	}
	if want.TokenVersion != 0 {
		c.fresh("requestedAccessTokenVersion", want.TokenVersion)
	}
	for i := range want.AppRoles {
		r := &want.AppRoles[i]
		c.fresh("appRoles["+r.Value+"]", r.DisplayName)
	}
	p.step(want.Place, &Step{Action: Create, Kind: AppObject, Name: want.DisplayName, Changes: c, work: work{of: h, do: func(ctx context.Context) error {
		made, err := p.create(ctx, want.UniqueName, spec)
		if err == nil {
			h.id, h.clientID = made.ID, made.AppID
			h.made = true
		}
		return err
	}}})
}

// create makes an application. One with a unique name is made by that name, which
// is the only way of Azure's, and can be tried again without making a second.
func (p *planner) create(ctx context.Context, uniqueName string, spec client.ApplicationSpec) (client.Application, error) {
	if uniqueName == "" {
		return p.client.CreateApplication(ctx, spec)
	}
	made, created, err := p.client.UpsertApplication(ctx, uniqueName, spec)
	if created || err != nil {
		return made, err
	}
	return p.client.ApplicationByUniqueName(ctx, uniqueName)
}

func given(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func (p *planner) changeApplication(h *holder) {
	want, old := h.application, h.old
	var c changed
	var spec client.ApplicationSpec
	if c.text("displayName", true, old.DisplayName, want.DisplayName) {
		spec.DisplayName = want.DisplayName
	}
	if want.UniqueName != "" && old.UniqueName != want.UniqueName {
		switch {
		case old.UniqueName != "":
			p.add(want.Place, "uniqueName", "is %q of the application that has the clientId, and cannot be changed", old.UniqueName)
		case p.target.Service == azure:
			p.add(want.Place, "uniqueName", "cannot be given to the application %s, which is there: Azure takes it for a new one only; leave it out, or name the application by clientId", oneLine(old.AppID))
		default:
			c.text("uniqueName", true, "", want.UniqueName)
			spec.UniqueName = want.UniqueName
		}
	}
	if c.text("description", want.Has("description"), old.Description, want.Description) {
		spec.Description = &want.Description
	}
	if c.text("notes", want.Has("notes"), old.Notes, want.Notes) {
		spec.Notes = &want.Notes
	}
	if c.set("identifierUris", want.Has("identifierUris"), old.IdentifierURIs, want.IdentifierURIs) {
		spec.IdentifierURIs = some(want.IdentifierURIs)
	}
	if c.set("tags", want.Has("tags"), old.Tags, want.Tags) {
		spec.Tags = some(want.Tags)
	}
	if version := tokenVersion(old); want.Has("requestedAccessTokenVersion") && version != want.TokenVersion {
		c = append(c, Change{"requestedAccessTokenVersion", version, want.TokenVersion})
		spec.API = &client.API{RequestedAccessTokenVersion: &want.TokenVersion}
	}
	if roles := roleChanges(old.AppRoles, h.appRoles); len(roles) > 0 {
		c = append(c, roles...)
		spec.AppRoles = h.appRoles
	}
	s := &Step{Action: Unchanged, Kind: AppObject, Name: want.DisplayName, Changes: c, work: work{of: h}}
	if len(c) > 0 {
		s.Action = Update
		s.do = func(ctx context.Context) error { return p.client.UpdateApplication(ctx, h.id, spec) }
	}
	p.step(want.Place, s)
}

// tokenVersion of an application that says nothing is 1.
func tokenVersion(a client.Application) int {
	if v := a.API.RequestedAccessTokenVersion; v != nil {
		return *v
	}
	return 1
}

// statedRoles are app roles as they are, with what the manifest says of them.
// Roles that it does not name stay; new ones have ids from now on, so that they
// can be assigned.
func statedRoles(old []client.AppRole, want *manifest.Application) []client.AppRole {
	roles := slices.Clone(old)
	for n := range want.AppRoles {
		r := &want.AppRoles[n]
		i := slices.IndexFunc(roles, func(old client.AppRole) bool {
			return r.ID != "" && same(old.ID, r.ID) || r.ID == "" && old.Value == r.Value
		})
		if i < 0 {
			id := fold(r.ID)
			if id == "" {
				id = uuid.NewString()
			}
			roles = append(roles, client.AppRole{ID: id, Value: r.Value, DisplayName: r.DisplayName, Description: r.Description, IsEnabled: r.Enabled, AllowedMemberTypes: r.MemberTypes})
			continue
		}
		role := &roles[i]
		role.Value = r.Value
		if r.Has("displayName") {
			role.DisplayName = r.DisplayName
		}
		if r.Has("description") {
			role.Description = r.Description
		}
		if r.Has("isEnabled") {
			role.IsEnabled = r.Enabled
		}
		if r.Has("allowedMemberTypes") && !sameSet(role.AllowedMemberTypes, r.MemberTypes) {
			role.AllowedMemberTypes = r.MemberTypes
		}
	}
	return roles
}

// roleChanges compares roles with what becomes of them: the same ones and new ones.
func roleChanges(old, stated []client.AppRole) []Change {
	var c changed
	for i, r := range stated {
		field := func(name string) string { return fmt.Sprintf("appRoles[%s].%s", r.Value, name) }
		if i >= len(old) {
			c.fresh("appRoles["+r.Value+"]", r.DisplayName)
			continue
		}
		o := old[i]
		c.text(field("value"), true, o.Value, r.Value)
		c.text(field("displayName"), true, o.DisplayName, r.DisplayName)
		c.text(field("description"), true, o.Description, r.Description)
		c.truth(field("isEnabled"), true, o.IsEnabled, r.IsEnabled)
		c.set(field("allowedMemberTypes"), true, o.AllowedMemberTypes, r.AllowedMemberTypes)
	}
	return c
}

// servicePrincipal plans that of an application, which always gets one.
func (p *planner) servicePrincipal(h *holder) {
	want := &h.application.ServicePrincipal
	at := want.Place
	if at.Line == 0 {
		at = h.place
	}
	var c changed
	s := &Step{Action: Unchanged, Kind: PrincipalObject, Name: h.name(), Parent: h.parent(), work: work{of: h}}
	if h.principal.ID == "" {
		spec := client.ServicePrincipalSpec{Tags: want.Tags}
		if want.Has("accountEnabled") {
			spec.AccountEnabled = &want.Enabled
			c.fresh("accountEnabled", want.Enabled)
		}
		if want.Has("appRoleAssignmentRequired") {
			spec.AppRoleAssignmentRequired = &want.AssignmentRequired
			c.fresh("appRoleAssignmentRequired", want.AssignmentRequired)
		}
		c.fresh("tags", want.Tags)
		s.Action, s.Changes = Create, c
		s.do = func(ctx context.Context) error {
			spec.AppID = h.clientID
			made, err := p.client.CreateServicePrincipal(ctx, spec)
			if err == nil {
				h.principalID = made.ID
				h.made = true
			}
			return err
		}
		s.standing = func(ctx context.Context) (bool, error) {
			all, err := p.client.ServicePrincipals(ctx, client.Equal("appId", h.clientID))
			if len(all) == 0 || err != nil {
				return false, err
			}
			h.principalID = all[0].ID
			return true, nil
		}
		p.step(at, s)
		return
	}
	old := h.principal
	var u client.ServicePrincipalUpdate
	if c.truth("accountEnabled", want.Has("accountEnabled"), old.AccountEnabled, want.Enabled) {
		u.AccountEnabled = &want.Enabled
	}
	if c.truth("appRoleAssignmentRequired", want.Has("appRoleAssignmentRequired"), old.AppRoleAssignmentRequired, want.AssignmentRequired) {
		u.AppRoleAssignmentRequired = &want.AssignmentRequired
	}
	if c.set("tags", want.Has("tags"), old.Tags, want.Tags) {
		u.Tags = some(want.Tags)
	}
	if len(c) > 0 {
		s.Action, s.Changes = Update, c
		s.do = func(ctx context.Context) error { return p.client.UpdateServicePrincipal(ctx, h.principalID, u) }
	}
	p.step(at, s)
}
