package azwi

import (
	"context"
	"errors"
	"fmt"

	"github.com/entente-id/entente/client"
)

func (s *run) identityID() client.IdentityID {
	return client.IdentityID{SubscriptionID: s.SubscriptionID, ResourceGroup: s.Options.ResourceGroup, Name: s.Options.IdentityName}
}

func (s *run) findIdentity(ctx context.Context) (client.Identity, error) {
	if s.identity != nil {
		return *s.identity, nil
	}
	m, err := s.Client.Identity(ctx, s.identityID())
	if err == nil {
		if want := s.Options.IdentityClientID; want != "" && want != m.ClientID {
			return m, fmt.Errorf("--%s is %q, and the managed identity %q has the client id %s", IdentityClientID, want, m.Name, m.ClientID)
		}
		s.identity = &m
		return m, nil
	}
	// A subscription that is not there is a mistake, and not an identity that has
	// been deleted.
	if e, ok := errors.AsType[*client.Error](err); ok && e.Code == "SubscriptionNotFound" {
		return m, fmt.Errorf("getting the managed identity %q: %s", s.Options.IdentityName, e)
	}
	return m, fmt.Errorf("getting the managed identity %q: %w", s.Options.IdentityName, err)
}

func (s *run) createIdentity(ctx context.Context) error {
	m, err := s.findIdentity(ctx)
	if err == nil {
		s.note("managed identity has been previously created", identityArgs(m)...)
		return nil
	}
	if !errors.Is(err, client.ErrNotFound) {
		return err
	}
	location, err := s.location(ctx)
	if err != nil {
		return err
	}
	if s.dry("create a managed identity", "name", s.Options.IdentityName, "resourceGroup", s.Options.ResourceGroup, "location", location) {
		s.planned = true
		return nil
	}
	if m, _, err = s.Client.PutIdentity(ctx, s.identityID(), client.ResourceSpec{Location: location}); err != nil {
		return fmt.Errorf("creating the managed identity: %w", err)
	}
	s.identity, s.fresh = &m, true
	s.info("created a managed identity", identityArgs(m)...)
	return nil
}

func identityArgs(m client.Identity) []any {
	return []any{"clientID", m.ClientID, "name", m.Name, "principalID", m.PrincipalID}
}

// location is where a new identity goes: beside its resource group, unless another
// location was given. With one, the group is made too if it is not there.
func (s *run) location(ctx context.Context) (string, error) {
	id := client.ResourceGroupID{SubscriptionID: s.SubscriptionID, Name: s.Options.ResourceGroup}
	g, err := s.Client.ResourceGroup(ctx, id)
	want := s.Options.Location
	switch {
	case err == nil && want == "":
		return g.Location, nil
	case err == nil:
		return want, nil
	case !errors.Is(err, client.ErrNotFound):
		return "", fmt.Errorf("getting the resource group: %w", err)
	case want == "":
		return "", fmt.Errorf("the resource group %q is not there; --%s says where to make it", id.Name, Location)
	}
	if s.dry("create the resource group", "name", id.Name, "location", want) {
		return want, nil
	}
	if _, _, err := s.Client.PutResourceGroup(ctx, id, client.ResourceSpec{Location: want}); err != nil {
		return "", fmt.Errorf("creating the resource group: %w", err)
	}
	s.info("created the resource group", "name", id.Name, "location", want)
	return want, nil
}

func (s *run) deleteIdentity(ctx context.Context) error {
	m, err := s.findIdentity(ctx)
	if errors.Is(err, client.ErrNotFound) {
		s.note("managed identity not found", "name", s.Options.IdentityName, "resourceGroup", s.Options.ResourceGroup)
		return nil
	}
	if err != nil {
		return err
	}
	if s.dry("delete the managed identity", identityArgs(m)...) {
		return nil
	}
	if err := s.Client.DeleteIdentity(ctx, s.identityID()); err != nil {
		return fmt.Errorf("deleting the managed identity: %w", err)
	}
	s.info("deleted managed identity", identityArgs(m)...)
	return nil
}
