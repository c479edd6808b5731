package directory_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"

	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/directory"
)

// The rows of a list's benchmarks.
const (
	manyApplications = 100_000
	manyIdentities   = 20_000
	manyEvents       = 200_000
)

// fillLists makes a tenant large. Names are "part-N", of which each hundredth
// is "rare", and one is "needle"; times are in no order of names.
func fillLists(b *testing.B, d *db.DB, tenantID, subscription, someOwner, bigOwner string) {
	b.Helper()
	hexed, number := `lower(hex(%s))`, `printf('%06d', `
	if d.Engine == db.PostgreSQL {
		hexed, number = `encode(convert_to(%s, 'UTF8'), 'hex')`, `to_char(`
	}
	pad := func(of string) string {
		if d.Engine == db.PostgreSQL {
			return number + of + `, 'FM000000')`
		}
		return number + of + `)`
	}
	name := `CASE WHEN i = 77777 THEN 'needle' WHEN i % 100 = 0 THEN 'rare-' ELSE 'payments-service-' END || ` + pad(`i * 7919 % 100000`)
	id := func(kind string) string { return `'` + kind + `-0000-4000-8000-000000' || ` + pad(`i`) }
	rows := func(n int) string {
		return fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < %d) `, n)
	}
	texts := []string{
		`INSERT INTO applications (id, tenant_id, app_id, display_name, name_sort, unique_name, description, notes, sign_in_audience, token_version, app_roles, tags, extra, revision, created_at, deleted_at) ` + rows(manyApplications) +
			`SELECT ` + id("aaaaaaaa") + `, $1, ` + id("bbbbbbbb") + `, ` + name + `, ` + fmt.Sprintf(hexed, name) + `, NULL, '', '', 'AzureADMyOrg', 0, '[]', '[]', '{}', 1, 1700000000000 + i * 104729 % 1000003, CASE WHEN i % 1000 = 1 THEN 5 ELSE 0 END FROM n`,
		`INSERT INTO service_principals (id, tenant_id, app_id, parent_id, kind, display_name, name_sort, enabled, assignment_required, app_roles, tags, extra, revision, created_at, deleted_at)
			SELECT replace(id, 'aaaaaaaa', 'cccccccc'), tenant_id, app_id, id, 'application', display_name, name_sort, 1, 0, '[]', '[]', '{}', 1, created_at, deleted_at FROM applications WHERE tenant_id = $1 AND id LIKE 'aaaaaaaa%'`,
		`INSERT INTO credentials (id, tenant_id, parent_id, name_key, name, issuer, subject, audience, description, created_at, updated_at)
			SELECT replace(id, 'aaaaaaaa', 'dddddddd'), tenant_id, id, 'main', 'main', 'https://issuer.example/', 'system:serviceaccount:default:' || display_name, 'api://AzureADTokenExchange', NULL, 0, 0 FROM applications WHERE tenant_id = $1 AND id LIKE 'aaaaaaaa%'`,
		`INSERT INTO managed_identities (id, tenant_id, client_id, subscription_id, group_key, group_name, name_key, name, location, tags, isolation_scope, revision, created_at) ` + rows(manyIdentities) +
			`SELECT ` + id("eeeeeeee") + `, $1, ` + id("ffffffff") + `, '` + subscription + `', 'group' || (i % 50), 'group' || (i % 50), ` + name + `, ` + name + `, 'westeurope', '{}', '', 1, 0 FROM n`,
		`INSERT INTO audit_events (id, tenant_id, at, actor_kind, actor_id, actor_app_id, actor_name, action, target_kind, target_id, target_name, detail, address, request_id) ` + rows(manyEvents) +
			`SELECT ` + id("01900000") + `, $1, 1700000000000 + i * 1000, 'principal', 'actor' || (i % 50), 'app' || (i % 50), '', 'microsoft.directory/applications/credentials/update', 'federated identity credential', ` + id("dddddddd") + `, ` + name +
			`, '{"application":"x","issuer":"https://issuer.example/","subject":"system:serviceaccount:default:payments","audience":"api://AzureADTokenExchange"}', '192.0.2.1', '' FROM n`,
		`INSERT INTO owners (object_id, principal_id, tenant_id, created_at) SELECT id, '` + someOwner + `', tenant_id, 0 FROM applications WHERE tenant_id = $1 AND id LIKE 'aaaaaaaa%' AND substr(id, 33) = '0500'`,
		`INSERT INTO owners (object_id, principal_id, tenant_id, created_at) SELECT id, '` + bigOwner + `', tenant_id, 0 FROM applications WHERE tenant_id = $1 AND id LIKE 'aaaaaaaa%' AND substr(id, 36) IN ('0', '2', '4', '6', '8')`,
	}
	err := d.Update(b.Context(), func(tx *sql.Tx) error {
		for _, text := range texts {
			if _, err := tx.ExecContext(b.Context(), text, tenantID); err != nil {
				return fmt.Errorf("%s: %w", text, err)
			}
		}
		return nil
	})
	if err == nil && d.Engine == db.PostgreSQL { // as a server does that has run for a while
		_, err = d.Read().ExecContext(b.Context(), `VACUUM ANALYZE`)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkLists is what a page of each list costs in a large tenant.
func BenchmarkLists(b *testing.B) {
	engines(b, func(b *testing.B, d *db.DB) {
		dir := &directory.Directory{DB: d}
		f, _, err := dir.Bootstrap(b.Context(), directory.NewTenant{})
		if err != nil {
			b.Fatal(err)
		}
		admin := caller(f)
		owner := func(name string) directory.Caller {
			app, err := dir.CreateApplication(b.Context(), admin, directory.Application{DisplayName: name})
			if err != nil {
				b.Fatal(err)
			}
			p, err := dir.CreateServicePrincipal(b.Context(), admin, directory.NewPrincipal{AppID: app.AppID})
			if err != nil {
				b.Fatal(err)
			}
			graph, err := dir.ServicePrincipal(b.Context(), admin, directory.Ref{AppID: "00000003-0000-0000-c000-000000000000"})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := dir.AddGrant(b.Context(), admin, directory.Grant{PrincipalID: p.ID, ResourceID: graph.ID, AppRoleID: permissionID("Application.ReadWrite.OwnedBy")}); err != nil {
				b.Fatal(err)
			}
			return directory.Caller{Kind: directory.PrincipalCaller, TenantID: f.Tenant.ID, PrincipalID: p.ID, AppID: app.AppID}
		}
		some, big := owner("some"), owner("big")
		fillLists(b, d, f.Tenant.ID, f.SubscriptionID, some.PrincipalID, big.PrincipalID)
		measure := func(name string, list func(ctx context.Context) (items int, err error), least int) {
			b.Run(name, func(b *testing.B) {
				for b.Loop() {
					if n, err := list(b.Context()); err != nil || n < least {
						b.Fatalf("%d, %v", n, err)
					}
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "ms/op")
			})
		}
		apps := func(c directory.Caller, o directory.Order, p directory.Page) func(context.Context) (int, error) {
			return func(ctx context.Context) (int, error) {
				page, err := dir.Applications(ctx, c, directory.Filter{Order: o}, p)
				return len(page.Items), err
			}
		}
		const rows = 50
		middle := func(o directory.Order) string {
			p := directory.Page{Limit: directory.MaxPage}
			for range 50 {
				page, err := dir.Applications(b.Context(), admin, directory.Filter{Order: o}, p)
				if err != nil {
					b.Fatal(err)
				}
				p.After = page.Next
			}
			return p.After
		}
		for _, o := range []directory.Order{directory.ByName, directory.ByNameDown, directory.ByCreated, directory.ByCreatedDown} {
			measure("applications/first/"+string(o), apps(admin, o, directory.Page{Limit: rows}), rows)
			measure("applications/middle/"+string(o), apps(admin, o, directory.Page{Limit: rows, After: middle(o)}), rows)
			measure("applications/few/"+string(o), apps(admin, o, directory.Page{Limit: rows, Search: "needle"}), 1)
		}
		for _, c := range []struct {
			name   string
			search string
			least  int
		}{{"many", "service", rows}, {"some", "rare", rows}, {"few", "needle", 1}, {"none", "nothing has this", 0}, {"id", "bbbbbbbb-0000-4000-8000-000000050000", 1}} {
			measure("applications/search/"+c.name, apps(admin, "", directory.Page{Limit: rows, Search: c.search}), c.least)
			measure("applications/searchcounted/"+c.name, apps(admin, "", directory.Page{Limit: rows, Search: c.search, Count: true, Most: 1000}), c.least)
			measure("principals/search/"+c.name, func(ctx context.Context) (int, error) {
				page, err := dir.ServicePrincipals(ctx, admin, directory.Filter{}, directory.Page{Limit: rows, Search: c.search})
				return len(page.Items), err
			}, c.least)
		}
		measure("applications/counted/1000", apps(admin, "", directory.Page{Limit: rows, Count: true, Most: 1000}), rows)
		measure("applications/counted/all", apps(admin, "", directory.Page{Limit: rows, Count: true}), rows)
		for name, c := range map[string]directory.Caller{"some": some, "big": big} {
			measure("owner/"+name+"/first", apps(c, "", directory.Page{Limit: rows}), 10)
			measure("owner/"+name+"/created", apps(c, directory.ByCreatedDown, directory.Page{Limit: rows}), 10)
			measure("owner/"+name+"/none", apps(c, "", directory.Page{Limit: rows, Search: "nothing has this"}), 0)
			measure("owner/"+name+"/counted", apps(c, "", directory.Page{Limit: rows, Count: true, Most: 1000}), 10)
			measure("owner/"+name+"/principals", func(ctx context.Context) (int, error) {
				page, err := dir.ServicePrincipals(ctx, c, directory.Filter{}, directory.Page{Limit: rows})
				return len(page.Items), err
			}, 10)
		}
		for name, search := range map[string]string{"all": "", "many": "service", "none": "nothing"} {
			measure("identities/"+name, func(ctx context.Context) (int, error) {
				page, err := dir.Identities(ctx, admin, "", "", directory.Page{Limit: rows, Search: search, Count: true, Most: 1000})
				return len(page.Items), err
			}, 0)
		}
		subjects := make([]string, rows)
		for i := range subjects {
			subjects[i] = fmt.Sprintf("system:serviceaccount:default:payments-service-%06d", 1000+i)
		}
		for name, ask := range map[string]struct {
			caller   directory.Caller
			subjects []string
			page     directory.Page
			least    int
		}{
			"all":      {admin, nil, directory.Page{Limit: rows, Count: true, Most: 1000}, rows},
			"subjects": {admin, subjects, directory.Page{Limit: directory.MaxPage}, 40},
			"none":     {admin, nil, directory.Page{Limit: rows, Search: "nothing", Count: true, Most: 1000}, 0},
			"some":     {some, nil, directory.Page{Limit: rows, Count: true, Most: 1000}, 1},
			"big":      {big, nil, directory.Page{Limit: rows, Count: true, Most: 1000}, rows},
		} {
			measure("trusting/"+name, func(ctx context.Context) (int, error) {
				page, err := dir.TrustingCredentials(ctx, ask.caller, "https://issuer.example/", ask.subjects, ask.page)
				return len(page.Items), err
			}, ask.least)
		}
		for name, c := range map[string]directory.Caller{"administrator": admin, "owner": big} {
			measure("counts/"+name, func(ctx context.Context) (int, error) {
				n, err := dir.Counts(ctx, c)
				return n.Applications.N, err
			}, 1)
		}
		for name, filter := range map[string]directory.EventFilter{
			"all": {}, "actor": {Actor: "actor7"}, "action": {Action: "Microsoft.Directory/applications/"}, "no action": {Action: "x"}, "target": {TargetID: "dddddddd-0000-4000-8000-000000190000"}, "no target": {TargetID: "y"},
		} {
			measure("events/"+name, func(ctx context.Context) (int, error) {
				page, err := dir.Events(ctx, admin, filter, directory.Page{Limit: rows})
				return len(page.Items), err
			}, 0)
		}
		for name, search := range map[string]string{"many": "payments", "none": "nothing"} {
			measure("events/search/"+name, func(ctx context.Context) (int, error) {
				page, err := dir.Events(ctx, admin, directory.EventFilter{}, directory.Page{Limit: rows, Search: search})
				return len(page.Items), err
			}, 0)
		}
	})
}
