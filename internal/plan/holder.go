package plan

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/manifest"
)

// holder is an application or managed identity of the file, as it is.
type holder struct {
	index int
	kind  credential.ParentKind
	want  *manifest.Holder
	place manifest.Place
	// One of the two.
	application *manifest.Application
	identity    *manifest.ManagedIdentity

	there       bool
	several     []client.Application // that have the name, if more than one
	old         client.Application
	oldIdentity client.Identity
	principal   client.ServicePrincipal // of an application; its ID is empty when there is none
	credentials []client.FederatedCredential
	grants      []client.AppRoleAssignment
	assignments map[string][]client.RoleAssignment // by folded scope

	// What is known when it is there, or made.
	id, clientID, principalID string
	appRoles                  []client.AppRole // of an application, as they will be
	uris                      []string
	made                      bool // just now, so that not every part of Azure may know of it
}

// name is the holder's for persons.
func (h *holder) name() string {
	if h.kind == credential.ManagedIdentity {
		return h.identity.ResourceGroup + "/" + h.identity.Name
	}
	return h.application.DisplayName
}

func (h *holder) String() string { return labelOf(h.kind, h.name()) }

func (h *holder) object() Kind {
	if h.kind == credential.ManagedIdentity {
		return IdentityObject
	}
	return AppObject
}

func (h *holder) parent() *Parent { return &Parent{h.object(), h.name()} }

// lists says whether the file gives a list of the holder's credentials; an empty
// one says that it has none.
func (h *holder) lists() bool { return h.place.Has("federatedCredentials") }

func (p *planner) identityID(m *manifest.ManagedIdentity) client.IdentityID {
	return client.IdentityID{SubscriptionID: p.target.SubscriptionID, ResourceGroup: m.ResourceGroup, Name: m.Name}
}

// look reads what is there of all applications and identities.
func (p *planner) look() error {
	for i := range p.file.Applications {
		a := &p.file.Applications[i]
		p.holders = append(p.holders, &holder{kind: credential.Application, want: &a.Holder, place: a.Place, application: a})
	}
	for i := range p.file.ManagedIdentities {
		m := &p.file.ManagedIdentities[i]
		p.holders = append(p.holders, &holder{kind: credential.ManagedIdentity, want: &m.Holder, place: m.Place, identity: m})
	}
	for i, h := range p.holders {
		h.index = i
	}
	g, ctx := errgroup.WithContext(p.ctx)
	g.SetLimit(p.Parallel)
	for _, h := range p.holders {
		g.Go(func() error {
			if err := patiently(ctx, p.Wait, func() error { return p.lookAt(ctx, h) }); err != nil {
				return fmt.Errorf("%s: %w", h, err)
			}
			return nil
		})
	}
	return g.Wait()
}

func (p *planner) lookAt(ctx context.Context, h *holder) (err error) {
	if h.kind == credential.ManagedIdentity {
		err = p.lookAtIdentity(ctx, h)
	} else {
		err = p.lookAtApplication(ctx, h)
	}
	if err != nil || h.principalID == "" {
		return err
	}
	if len(h.want.AppRoleAssignments) > 0 {
		if h.grants, err = p.client.AppRoleAssignments(ctx, h.principalID); err != nil {
			return err
		}
	}
	h.assignments = map[string][]client.RoleAssignment{}
	for i := range h.want.RoleAssignments {
		scope := p.scope(&h.want.RoleAssignments[i])
		if _, asked := h.assignments[fold(scope)]; asked {
			continue
		}
		list, _, err := found(p.client.RoleAssignments(ctx, scope, h.principalID))
		if err != nil {
			return err
		}
		h.assignments[fold(scope)] = list
	}
	return nil
}

func (p *planner) lookAtIdentity(ctx context.Context, h *holder) (err error) {
	if h.oldIdentity, h.there, err = found(p.client.Identity(ctx, p.identityID(h.identity))); err != nil || !h.there {
		return err
	}
	h.clientID, h.principalID = h.oldIdentity.ClientID, h.oldIdentity.PrincipalID
	if h.lists() {
		h.credentials, err = p.client.IdentityCredentials(ctx, p.identityID(h.identity))
	}
	return err
}

func (p *planner) lookAtApplication(ctx context.Context, h *holder) (err error) {
	if err := p.find(ctx, h); err != nil || !h.there {
		return err
	}
	h.id, h.clientID = h.old.ID, h.old.AppID
	principals, err := p.client.ServicePrincipals(ctx, client.Equal("appId", h.clientID))
	if err != nil {
		return err
	}
	if len(principals) > 0 {
		h.principal, h.principalID = principals[0], principals[0].ID
	}
	if h.lists() {
		h.credentials, err = p.client.ApplicationCredentials(ctx, h.id)
	}
	return err
}

// find looks for the application that is meant: by its client id, its unique name,
// or else by its display name, if exactly one has that and no other unique name.
func (p *planner) find(ctx context.Context, h *holder) (err error) {
	want := h.application
	h.several = nil
	var all []client.Application
	if want.ClientID != "" {
		all, err = p.client.Applications(ctx, client.Equal("appId", fold(want.ClientID)))
	} else {
		if want.UniqueName != "" {
			if h.old, h.there, err = found(p.client.ApplicationByUniqueName(ctx, want.UniqueName)); h.there || err != nil {
				return err
			}
		}
		all, err = p.client.Applications(ctx, client.Equal("displayName", want.DisplayName))
	}
	if err != nil {
		return err
	}
	for _, a := range all {
		meant := same(a.AppID, want.ClientID)
		if want.ClientID == "" {
			meant = same(a.DisplayName, want.DisplayName) && (want.UniqueName == "" || a.UniqueName == "")
		}
		if meant {
			h.several = append(h.several, a)
		}
	}
	if len(h.several) == 1 {
		h.old, h.there, h.several = h.several[0], true, nil
	}
	return nil
}

// ids are those of several objects, for a message.
func ids(list []client.Application) string {
	var b strings.Builder
	for i, a := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == 20 {
			b.WriteString("…")
			break
		}
		fmt.Fprintf(&b, "%s (object id %s)", oneLine(a.AppID), oneLine(a.ID))
	}
	return b.String()
}
