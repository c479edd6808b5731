package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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

// firstStart makes the default tenant with its administrator, once, loads the
// seed file, and makes the first signing key of every tenant that has none.
func (s *Service) firstStart(ctx context.Context) error {
	c := &s.config
	n := s.seedNames()
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
	n.Keep = s.keepAdmin
	founded, created, err := s.directory.Bootstrap(ctx, n)
	if err != nil {
		return fmt.Errorf("first start: %w", err)
	}
	s.defaultTenant = founded.Tenant.ID
	if created {
		s.log.Info("first start: made a tenant, a subscription and an administrator", "tenant", founded.Tenant.ID, "subscription", founded.SubscriptionID, "administrator", founded.AdministratorClientID)
	} else if err := s.refreshAdmin(); err != nil {
		return err
	}
	if err := s.loadSeed(ctx); err != nil {
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

// keepAdmin writes admin.json before the administrator counts, so that a start
// that is cut off leaves no administrator whose secret nobody has: the next one
// makes both anew.
func (s *Service) keepAdmin(f directory.Founded) error {
	if f.AdministratorSecret == "" {
		return nil
	}
	return s.writeAdmin(Admin{TenantID: f.Tenant.ID, SubscriptionID: f.SubscriptionID, ClientID: f.AdministratorClientID, ClientSecret: f.AdministratorSecret})
}

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
	text = append(text, '\n')
	if there, err := os.ReadFile(s.adminFile()); err == nil && bytes.Equal(there, text) {
		return nil // so that a start writes nothing, and a full disk prevents none
	}
	return writeFile(s.adminFile(), text, 0o600)
}
