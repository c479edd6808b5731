package signin

import (
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/testkit"
)

const manySignIns = 200_000

// fillSignIns writes records of 500 clients, one second apart, of which each
// hundredth was refused.
func fillSignIns(b *testing.B, d *db.DB) {
	b.Helper()
	number := func(of string) string { return `printf('%%012d', ` + of + `)` }
	if d.Engine == db.PostgreSQL {
		number = func(of string) string { return `to_char(` + of + `, 'FM000000000000')` }
	}
	err := d.Update(b.Context(), func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(b.Context(), fmt.Sprintf(`INSERT INTO sign_ins (id, tenant_id, at, client_id, principal_id, client_name, client_kind, credential_id, issuer, subject, audience, resource, method, code, reason, address, request_id, token_id)
			WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			SELECT '01900000-0000-7000-8000-' || `+number(`i`)+`, '`+tenantA+`', 1700000000000 + i * 1000, 'aaaaaaaa-0000-4000-8000-' || `+number(`i %% 500`)+`, 'bbbbbbbb-0000-4000-8000-' || `+number(`i %% 500`)+`,
				'payments-' || (i %% 500), 'application', 'cccccccc-0000-4000-8000-' || `+number(`i %% 500`)+`, 'https://oidc.cluster.example/tenant/cluster/', 'system:serviceaccount:payments:api-' || (i %% 500), 'api://AzureADTokenExchange',
				'https://management.azure.com/', 'assertion', CASE WHEN i %% 100 = 0 THEN 700000 + i / 100 %% 7 ELSE 0 END, '', '192.0.2.1', '01900000-0000-7000-8000-' || `+number(`i`)+`, '' FROM n`, manySignIns)); err != nil {
			return err
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

// BenchmarkList is what a page costs of 200,000 records.
func BenchmarkList(b *testing.B) {
	for name, open := range map[string]func(testing.TB) *db.DB{"sqlite": testkit.SQLite, "postgres": testkit.PostgreSQL} {
		b.Run(name, func(b *testing.B) {
			d := open(b)
			fillSignIns(b, d)
			r := New(Config{DB: d})
			at := func(i int) time.Time { return time.UnixMilli(1700000000000 + int64(i)*1000) }
			for _, c := range []struct {
				name  string
				query Query
				least int
			}{
				{"first", Query{}, 50},
				{"middle", Query{After: after(at(manySignIns/2).UnixMilli(), "01900000-0000-7000-8000-000000100000")}, 50},
				{"client", Query{ClientID: "aaaaaaaa-0000-4000-8000-000000000007"}, 50},
				{"no client", Query{ClientID: "x"}, 0},
				{"failures", Query{OnlyFailures: true}, 50},
				{"failures of a client", Query{OnlyFailures: true, ClientID: "aaaaaaaa-0000-4000-8000-000000000007"}, 0},
				{"code", Query{Code: 700003}, 50},
				{"no code", Query{Code: 1}, 0},
				{"credential", Query{CredentialID: "cccccccc-0000-4000-8000-000000000007"}, 50},
				{"no credential", Query{CredentialID: "x"}, 0},
				{"an old day", Query{From: at(1000), To: at(87400)}, 50},
				{"search/many", Query{Search: "payments"}, 50},
				{"search/few", Query{Search: "api-77"}, 20},
				{"search/none", Query{Search: "nothing has this"}, 0},
				{"search/none of a client", Query{Search: "nothing has this", ClientID: "aaaaaaaa-0000-4000-8000-000000000007"}, 0},
				{"search/none of failures", Query{Search: "nothing has this", OnlyFailures: true}, 0},
			} {
				c.query.TenantID, c.query.Limit = tenantA, 50
				b.Run(c.name, func(b *testing.B) {
					for b.Loop() {
						if records, _, err := r.List(b.Context(), c.query); err != nil || len(records) < c.least {
							b.Fatalf("%d, %v", len(records), err)
						}
					}
					b.ReportMetric(0, "ns/op")
					b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "ms/op")
				})
			}
		})
	}
}
