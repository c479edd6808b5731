package azwi

import (
	"context"
	"errors"
	"fmt"

	"github.com/entente-id/entente/client"
)

// The owner of a workload's credentials is an application or a managed identity.
// What the phases need of it is found once in a run.

func (s *run) createOwner(ctx context.Context) error {
	if s.Options.Identity() {
		return s.createIdentity(ctx)
	}
	return s.createApplication(ctx)
}

func (s *run) deleteOwner(ctx context.Context) error {
	if s.Options.Identity() {
		return s.deleteIdentity(ctx)
	}
	return s.deleteApplication(ctx)
}

// clientID is what stands in the service account's annotation.
func (s *run) clientID(ctx context.Context) (string, error) {
	switch o := s.Options; {
	case s.planned:
		return "(of what would be made)", nil
	case o.IdentityClientID != "":
		return o.IdentityClientID, nil
	case o.ApplicationClientID != "":
		return o.ApplicationClientID, nil
	case o.Identity():
		m, err := s.findIdentity(ctx)
		return m.ClientID, absent(err)
	}
	app, err := s.findApplication(ctx)
	return app.AppID, absent(err)
}

// principalID is who gets the role.
func (s *run) principalID(ctx context.Context) (string, error) {
	switch o := s.Options; {
	case o.ServicePrincipalObjectID != "":
		return o.ServicePrincipalObjectID, nil
	case s.planned:
		return "(of what would be made)", nil
	case o.ServicePrincipalName != "":
		p, err := s.Client.ServicePrincipalByName(ctx, o.ServicePrincipalName)
		return p.ID, choose(err, ServicePrincipalObjectID)
	case o.Identity():
		m, err := s.findIdentity(ctx)
		return m.PrincipalID, absent(err)
	}
	app, err := s.findApplication(ctx)
	if err != nil {
		return "", absent(err)
	}
	p, err := s.findServicePrincipal(ctx, app.AppID)
	return p.ID, absent(err)
}

// credentials are those of the owner.
func (s *run) credentials(ctx context.Context) (credentials, error) {
	o := s.Options
	switch {
	case o.Identity():
		if s.identity == nil {
			if _, err := s.findIdentity(ctx); err != nil {
				return nil, err
			}
		}
		return ofIdentity{s.Client, s.identityID()}, nil
	case o.ApplicationObjectID != "":
		return ofApplication{s.Client, o.ApplicationObjectID}, nil
	}
	app, err := s.findApplication(ctx)
	return ofApplication{s.Client, app.ID}, err
}

// credentials are the federated credentials of one owner.
type credentials interface {
	list(context.Context) ([]client.FederatedCredential, error)
	add(context.Context, client.FederatedCredential) error
	remove(context.Context, client.FederatedCredential) error
	who() (key, value string)
}

type ofApplication struct {
	client   *client.Client
	objectID string
}

func (a ofApplication) list(ctx context.Context) ([]client.FederatedCredential, error) {
	return a.client.ApplicationCredentials(ctx, a.objectID)
}

func (a ofApplication) add(ctx context.Context, c client.FederatedCredential) error {
	_, err := a.client.CreateApplicationCredential(ctx, a.objectID, c)
	return err
}

func (a ofApplication) remove(ctx context.Context, c client.FederatedCredential) error {
	return a.client.DeleteApplicationCredential(ctx, a.objectID, c.ID)
}

func (a ofApplication) who() (string, string) { return "objectID", a.objectID }

type ofIdentity struct {
	client *client.Client
	id     client.IdentityID
}

func (i ofIdentity) list(ctx context.Context) ([]client.FederatedCredential, error) {
	return i.client.IdentityCredentials(ctx, i.id)
}

func (i ofIdentity) add(ctx context.Context, c client.FederatedCredential) error {
	_, _, err := i.client.PutIdentityCredential(ctx, i.id, c)
	return err
}

func (i ofIdentity) remove(ctx context.Context, c client.FederatedCredential) error {
	return i.client.DeleteIdentityCredential(ctx, i.id, c.Name)
}

func (i ofIdentity) who() (string, string) { return "managedIdentity", i.id.Name }

// absent says what makes an owner that is not there.
func absent(err error) error {
	if errors.Is(err, client.ErrNotFound) {
		return fmt.Errorf("%w; the phase %s makes it", err, ApplicationPhase)
	}
	return err
}

// choose says which option tells objects of one name apart.
func choose(err error, option Option) error {
	if _, ok := errors.AsType[*client.AmbiguousError](err); ok {
		return fmt.Errorf("%w; --%s says which of them", err, option)
	}
	return err
}
