package directory_test

import (
	"database/sql"
	"fmt"
	"testing"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/testkit"
)

// fill puts n credentials below one parent, in one statement.
func fill(b *testing.B, d *db.DB, tenantID, parentID string, n int) {
	b.Helper()
	err := d.Update(b.Context(), func(tx *sql.Tx) error {
		for _, text := range []string{
			`INSERT INTO credentials (id, tenant_id, parent_id, name_key, name, issuer, subject, audience, description, created_at, updated_at)
				WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $3)
				SELECT 'id' || i, $1, $2, 'name' || i, 'name' || i, 'https://issuer.example/', 'system:serviceaccount:default:sa' || i, 'api://AzureADTokenExchange', NULL, 0, 0 FROM n`,
			`UPDATE tenants SET max_credentials = $3 WHERE id = $1 AND $2 <> ''`,
		} {
			if _, err := tx.ExecContext(b.Context(), text, tenantID, parentID, n); err != nil {
				return err
			}
		}
		var err error
		if d.Engine == db.PostgreSQL {
			_, err = tx.ExecContext(b.Context(), `ANALYZE`)
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

func engines(b *testing.B, bench func(b *testing.B, d *db.DB)) {
	b.Run("sqlite", func(b *testing.B) { bench(b, testkit.SQLite(b)) })
	b.Run("postgres", func(b *testing.B) { bench(b, testkit.PostgreSQL(b)) })
}

// BenchmarkMatchCredential is the database's part of an exchange. It should
// cost the same however many credentials a client has.
func BenchmarkMatchCredential(b *testing.B) {
	engines(b, func(b *testing.B, d *db.DB) {
		dir := &directory.Directory{DB: d}
		f, _, err := dir.Bootstrap(b.Context(), directory.NewTenant{AdministratorIssuer: issuerURL, AdministratorSubject: "admin"})
		if err != nil {
			b.Fatal(err)
		}
		there := 0
		for _, n := range []int{20, 1_000, 100_000} {
			app, err := dir.CreateApplication(b.Context(), caller(f), directory.Application{DisplayName: fmt.Sprint(n)})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := dir.CreateServicePrincipal(b.Context(), caller(f), directory.NewPrincipal{AppID: app.AppID}); err != nil {
				b.Fatal(err)
			}
			if there > 0 {
				if err := d.Update(b.Context(), func(tx *sql.Tx) error {
					_, err := tx.Exec(`DELETE FROM credentials WHERE id LIKE 'id%'`)
					return err
				}); err != nil {
					b.Fatal(err)
				}
			}
			fill(b, d, f.Tenant.ID, app.ID, n)
			there = n
			a := credential.Assertion{Issuer: issuerURL, Audiences: []string{credential.DefaultAudience}}
			match := func(b *testing.B, subject string, want credential.Miss) {
				a := a
				a.Subject = subject
				m, err := dir.MatchCredential(b.Context(), f.Tenant.ID, app.AppID, a)
				if err != nil || m.Miss != want {
					b.Fatalf("got %q %v, want %q", m.Miss, err, want)
				}
			}
			b.Run(fmt.Sprintf("hit/%d", n), func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					match(b, fmt.Sprintf("system:serviceaccount:default:sa%d", i%n+1), credential.Hit)
				}
			})
			b.Run(fmt.Sprintf("miss/%d", n), func(b *testing.B) {
				for b.Loop() {
					match(b, "system:serviceaccount:default:other", credential.SubjectMiss)
				}
			})
			b.Run(fmt.Sprintf("parallel/%d", n), func(b *testing.B) {
				b.RunParallel(func(pb *testing.PB) {
					for i := 0; pb.Next(); i++ {
						match(b, fmt.Sprintf("system:serviceaccount:default:sa%d", i%n+1), credential.Hit)
					}
				})
			})
		}
	})
}

// BenchmarkLookupResource is the other look-up of an exchange.
func BenchmarkLookupResource(b *testing.B) {
	engines(b, func(b *testing.B, d *db.DB) {
		dir := &directory.Directory{DB: d}
		f, _, err := dir.Bootstrap(b.Context(), directory.NewTenant{})
		if err != nil {
			b.Fatal(err)
		}
		app, err := dir.CreateApplication(b.Context(), caller(f), directory.Application{DisplayName: "api", IdentifierURIs: []string{"api://api"}})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := dir.CreateServicePrincipal(b.Context(), caller(f), directory.NewPrincipal{AppID: app.AppID}); err != nil {
			b.Fatal(err)
		}
		for _, name := range []string{"00000003-0000-0000-c000-000000000000", "api://api"} {
			b.Run(name, func(b *testing.B) {
				for b.Loop() {
					if _, err := dir.LookupResource(b.Context(), f.Tenant.ID, f.AdministratorPrincipalID, name); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	})
}
