package portal

import (
	"database/sql"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// fillTenant makes 100,000 applications with a service principal and a
// credential each, and 200,000 sign-ins.
func fillTenant(w *world) {
	const (
		count = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $2) `
		id    = `-0000-4000-8000-000000' || printf('%06d', i)`
		name  = `'payments-service-' || printf('%06d', i * 7919 % 100000)`
	)
	w.must(w.db.Update(w.t.Context(), func(tx *sql.Tx) error {
		for _, s := range []struct {
			rows int
			text string
		}{
			{100_000, count + `INSERT INTO applications (id, tenant_id, app_id, display_name, name_sort, unique_name, description, notes, sign_in_audience, token_version, app_roles, tags, extra, revision, created_at, deleted_at)
				SELECT 'aaaaaaaa` + id + `, $1, 'bbbbbbbb` + id + `, ` + name + `, lower(hex(` + name + `)), NULL, '', '', 'AzureADMyOrg', 0, '[]', '[]', '{}', 1, 1700000000000 + i * 104729 % 1000003, 0 FROM n`},
			{100_000, count + `INSERT INTO service_principals (id, tenant_id, app_id, parent_id, kind, display_name, name_sort, enabled, assignment_required, app_roles, tags, extra, revision, created_at, deleted_at)
				SELECT 'cccccccc` + id + `, $1, 'bbbbbbbb` + id + `, 'aaaaaaaa` + id + `, 'application', ` + name + `, lower(hex(` + name + `)), 1, 0, '[]', '[]', '{}', 1, 1700000000000, 0 FROM n`},
			{100_000, count + `INSERT INTO credentials (id, tenant_id, parent_id, name_key, name, issuer, subject, audience, description, created_at, updated_at)
				SELECT 'dddddddd` + id + `, $1, 'aaaaaaaa` + id + `, 'main', 'main', 'https://issuer.example/', 'system:serviceaccount:default:' || i, 'api://AzureADTokenExchange', NULL, 0, 0 FROM n`},
			{200_000, count + `INSERT INTO sign_ins (id, tenant_id, at, client_id, principal_id, client_name, client_kind, credential_id, issuer, subject, audience, resource, method, code, reason, address, request_id, token_id)
				SELECT '01900000` + id + `, $1, 1700000000000 + i * 1000, 'bbbbbbbb` + strings.Replace(id, "i)", "i % 100000)", 1) + `, '', 'payments', 'application', 'dddddddd` + strings.Replace(id, "i)", "i % 100000)", 1) + `, 'https://issuer.example/', 'system:serviceaccount:default:' || i, 'api://AzureADTokenExchange', 'https://vault.azure.net', 'assertion', CASE WHEN i % 50 = 0 THEN 700213 ELSE 0 END, '', '192.0.2.1', '', '' FROM n`},
		} {
			if _, err := tx.ExecContext(w.t.Context(), s.text, testTenant, s.rows); err != nil {
				return err
			}
		}
		return nil
	}))
}

// BenchmarkPages is what a page costs the service in a tenant with 100,000
// applications and 200,000 sign-ins, without TLS and the network.
func BenchmarkPages(b *testing.B) {
	w := newWorld(b)
	fillTenant(w)
	p := w.signIn(w.admin)
	address, err := url.Parse(w.server.URL)
	w.must(err)
	cookies := p.client.Jar.Cookies(address)
	middle := (&listing{Path: Path + "/applications"}).url([]string{"7061796d656e74732d736572766963652d303530303030.aaaaaaaa-0000-4000-8000-000000000000"})
	for _, page := range []struct{ name, path, sees string }{
		{"home", Path, "Federated credentials"},
		{"applications", Path + "/applications", "payments-service-000000"},
		{"applications in the middle", middle, "payments-service-05"},
		{"applications by age", Path + "/applications?sort=new", "payments-service-"},
		{"applications, a search that many meet", Path + "/applications?q=service", "payments-service-000000"},
		{"applications, a search that one meets", Path + "/applications?q=service-077777", "payments-service-077777"},
		{"applications, a search that none meets", Path + "/applications?q=nothing-at-all", "othing"},
		{"an application", Path + "/applications/aaaaaaaa-0000-4000-8000-000000050000", "bbbbbbbb-0000-4000-8000-000000050000"},
		{"its federated credentials", Path + "/applications/aaaaaaaa-0000-4000-8000-000000050000/credentials", "1 of 20 used"},
		{"add a credential", Path + "/applications/aaaaaaaa-0000-4000-8000-000000050000/credentials/new", "Cluster issuer URL"},
		{"sign-ins", Path + "/sign-ins", "payments"},
		{"refused sign-ins", Path + "/sign-ins?result=refused", "700213"},
		{"audit log", Path + "/audit", "Audit log"},
		{"role assignments", Path + "/roles", "Owner"},
	} {
		b.Run(page.name, func(b *testing.B) {
			size := 0
			for b.Loop() {
				r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, page.path, nil)
				for _, k := range cookies {
					r.AddCookie(k)
				}
				answer := httptest.NewRecorder()
				w.surface.ServeHTTP(answer, r)
				if answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), page.sees) {
					b.Fatalf("%d: %s", answer.Code, answer.Body)
				}
				size = answer.Body.Len()
			}
			b.ReportMetric(float64(size), "bytes/page")
		})
	}
}
