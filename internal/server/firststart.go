package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/entente-id/entente/internal/directory"
)

// Admin is the content of admin.json: what a client needs to administer the
// service of the embedded default. The file is the only place of the secret.
type Admin struct {
	Authority      string `json:"authority"`
	CAFile         string `json:"caFile"`
	TenantID       string `json:"tenantId"`
	SubscriptionID string `json:"subscriptionId"`
	ClientID       string `json:"clientId"`
	ClientSecret   string `json:"clientSecret"`
}

// firstStart makes the default tenant with its administrator, once, and the
// first signing key of every tenant that has none.
func (s *Service) firstStart(ctx context.Context) error {
	c := &s.config
	n := directory.NewTenant{DisplayName: "Entente"}
	if w := c.BootstrapAdmin; w != nil {
		n.AdministratorIssuer, n.AdministratorSubject = w.Issuer, w.Subject
	} else if !c.Embedded() {
		_, err := s.directory.DefaultTenant(ctx)
		if e, ok := errors.AsType[*directory.Error](err); ok && e.Kind == directory.NotFound {
			return errors.New("the database is empty and nobody could administer it: give --bootstrap-admin ISSUER,SUBJECT, the workload that shall (no secret is made on PostgreSQL)")
		}
		if err != nil {
			return err
		}
	}
	founded, created, err := s.directory.Bootstrap(ctx, n)
	if err != nil {
		return fmt.Errorf("first start: %w", err)
	}
	s.defaultTenant = founded.Tenant.ID
	if created {
		s.log.Info("first start: made a tenant, a subscription and an administrator", "tenant", founded.Tenant.ID, "subscription", founded.SubscriptionID, "administrator", founded.AdministratorClientID)
	}
	if !created {
		if founded, err = s.repeat(ctx, founded); err != nil {
			return err
		}
	}
	if founded.AdministratorSecret != "" {
		err = s.writeAdmin(Admin{
			TenantID: founded.Tenant.ID, SubscriptionID: founded.SubscriptionID,
			ClientID: founded.AdministratorClientID, ClientSecret: founded.AdministratorSecret,
		})
	} else {
		err = s.refreshAdmin()
	}
	if err != nil {
		return err
	}
	tenants, err := s.directory.TenantIDs(ctx)
	if err != nil {
		return err
	}
	for _, id := range tenants {
		if err := s.keys.EnsureTenant(ctx, id); err != nil {
			return fmt.Errorf("signing key of tenant %s: %w", id, err)
		}
	}
	return nil
}

// repeat makes another administrator when the first start was cut off before it
// wrote admin.json, so that nobody has the secret of the first. That it was can
// be told: the signing key is made last, and without one no token was ever
// given. A file that somebody removed later is not written again.
func (s *Service) repeat(ctx context.Context, founded directory.Founded) (directory.Founded, error) {
	tenant := founded.Tenant.ID
	if !s.config.Embedded() || s.config.BootstrapAdmin != nil {
		return founded, nil
	}
	for wait := time.Duration(0); wait < firstStartTakes; wait += firstStartTakes / 20 { // it may be under way, in another process
		signing, err := s.keys.Keys(ctx, tenant)
		if err != nil || len(signing) > 0 {
			return founded, err
		}
		if _, err := os.Stat(s.adminFile()); !errors.Is(err, fs.ErrNotExist) {
			return founded, nil // whatever is wrong with it, refreshAdmin says
		}
		time.Sleep(firstStartTakes / 20)
	}
	subscriptions, err := s.directory.Subscriptions(ctx, directory.System(tenant, "first start"))
	if err != nil {
		return founded, fmt.Errorf("first start: %w", err)
	}
	if founded, err = s.directory.RecoverAdministrator(ctx, tenant, "", ""); err != nil {
		return founded, fmt.Errorf("first start: %w", err)
	}
	for _, subscription := range subscriptions { // there is one
		founded.SubscriptionID = subscription.ID
	}
	s.log.Warn("the first start was cut off: made another administrator, since nobody has the secret of the first", "administrator", founded.AdministratorClientID)
	return founded, nil
}

// firstStartTakes is how long it may take from the tenant to admin.json.
const firstStartTakes = 2 * time.Second

// refreshAdmin brings the addresses in admin.json up to date, if the file is there.
func (s *Service) refreshAdmin() error {
	text, err := os.ReadFile(s.adminFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var a Admin
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", s.adminFile(), err)
	}
	return s.writeAdmin(a)
}

func (s *Service) adminFile() string { return filepath.Join(s.config.DataDir, AdminFile) }

func (s *Service) writeAdmin(a Admin) error {
	a.Authority, a.CAFile = s.config.PublicURL, ""
	if s.config.TLSCert == "" {
		file, err := filepath.Abs(filepath.Join(s.config.DataDir, CAFile))
		if err != nil {
			return err
		}
		a.CAFile = file
	}
	text, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(s.adminFile(), append(text, '\n'), 0o600)
}
