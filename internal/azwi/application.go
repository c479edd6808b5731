package azwi

import (
	"context"
	"errors"
	"fmt"

	"github.com/entente-id/entente/client"
)

// findApplication finds the application by the id that was given, or by its name.
func (s *run) findApplication(ctx context.Context) (client.Application, error) {
	if s.application != nil {
		return *s.application, nil
	}
	name, madeUp := s.Options.applicationName()
	if id := s.Options.applicationID(); id != "" {
		app, err := s.Client.Application(ctx, id)
		if err != nil {
			return app, fmt.Errorf("getting the application %s: %w", id, err)
		}
		if !madeUp && name != "" && name != app.DisplayName {
			return app, fmt.Errorf("the application %s is named %q, not %q", id, app.DisplayName, name)
		}
		s.application = &app
		return app, nil
	}
	if madeUp && !s.warned {
		s.warned = true
		s.log.Warn("--"+string(ApplicationName)+" not specified, constructing name with service account namespace, name, and the hash of the issuer URL", "name", name)
	}
	app, err := s.Client.ApplicationByName(ctx, name)
	if err != nil {
		return app, choose(err, ApplicationObjectID)
	}
	s.application = &app
	return app, nil
}

// applicationID is the id that was given; the client takes both kinds.
func (o Options) applicationID() string {
	if o.ApplicationObjectID != "" {
		return o.ApplicationObjectID
	}
	return o.ApplicationClientID
}

// createApplication makes the application and its service principal.
func (s *run) createApplication(ctx context.Context) error {
	app, err := s.findApplication(ctx)
	switch {
	case err == nil:
		s.note("AAD application has been previously created", appArgs(app)...)
	case !errors.Is(err, client.ErrNotFound) || s.Options.applicationID() != "":
		return err
	default:
		name, _ := s.Options.applicationName()
		if s.dry("create an AAD application and its service principal", "name", name) {
			s.planned = true
			return nil
		}
		if app, err = s.Client.CreateApplication(ctx, client.ApplicationSpec{DisplayName: name}); err != nil {
			return fmt.Errorf("creating the application: %w", err)
		}
		s.application, s.fresh = &app, true
		s.info("created an AAD application", appArgs(app)...)
	}
	return s.createServicePrincipal(ctx, app)
}

func appArgs(a client.Application) []any {
	return []any{"clientID", a.AppID, "name", a.DisplayName, "objectID", a.ID}
}

func (s *run) createServicePrincipal(ctx context.Context, app client.Application) error {
	p, err := s.findServicePrincipal(ctx, app.AppID)
	if err == nil {
		s.note("service principal has been previously created", principalArgs(p)...)
		s.comparePrincipalName(p)
		return nil
	}
	if !errors.Is(err, client.ErrNotFound) {
		return err
	}
	if s.dry("create its service principal", "clientID", app.AppID, "name", app.DisplayName) {
		return nil
	}
	spec := client.ServicePrincipalSpec{AppID: app.AppID}
	if s.Tool != "" {
		spec.Tags = []string{s.Tool}
	}
	err = s.settle(ctx, func() (err error) {
		p, err = s.Client.CreateServicePrincipal(ctx, spec)
		return err
	})
	if err != nil {
		return fmt.Errorf("creating the service principal: %w", err)
	}
	s.info("created service principal", principalArgs(p)...)
	s.comparePrincipalName(p)
	return nil
}

func principalArgs(p client.ServicePrincipal) []any {
	return []any{"clientID", p.AppID, "name", p.DisplayName, "objectID", p.ID}
}

// comparePrincipalName warns of a name that a later phase would not find: service
// principals have that of their application.
func (s *run) comparePrincipalName(p client.ServicePrincipal) {
	if want := s.Options.ServicePrincipalName; want != "" && want != p.DisplayName {
		s.note("--"+string(ServicePrincipalName)+" is another name than the application's service principal has", "given", want, "name", p.DisplayName)
	}
}

// findServicePrincipal finds the service principal of an application by its client
// id, of which there is one at most.
func (s *run) findServicePrincipal(ctx context.Context, clientID string) (client.ServicePrincipal, error) {
	all, err := s.Client.ServicePrincipals(ctx, client.Equal("appId", clientID))
	if err != nil {
		return client.ServicePrincipal{}, fmt.Errorf("getting the service principal: %w", err)
	}
	if len(all) == 0 {
		return client.ServicePrincipal{}, fmt.Errorf("service principal of the application %s: %w", clientID, client.ErrNotFound)
	}
	return all[0], nil
}

// deleteApplication deletes the application; its service principal and its
// credentials go with it.
func (s *run) deleteApplication(ctx context.Context) error {
	app, err := s.findApplication(ctx)
	if errors.Is(err, client.ErrNotFound) {
		name, _ := s.Options.applicationName()
		s.note("aad application not found", "name", name, "objectID", s.Options.ApplicationObjectID)
		return nil
	}
	if err != nil {
		return err
	}
	if s.dry("delete the aad application", "name", app.DisplayName, "objectID", app.ID) {
		return nil
	}
	if err := s.Client.DeleteApplication(ctx, app.ID); err != nil && !errors.Is(err, client.ErrNotFound) {
		return fmt.Errorf("deleting the application: %w", err)
	}
	s.info("deleted aad application", "name", app.DisplayName, "objectID", app.ID)
	return nil
}
