package directory_test

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/testkit"
)

// A database of the first schema opens, and the secret that it holds still works.
func TestSecretOfTheFirstSchema(t *testing.T) {
	const (
		tenant      = "aaaaaaaa-0000-4000-8000-000000000001"
		application = "aaaaaaaa-0000-4000-8000-000000000002"
		clientID    = "aaaaaaaa-0000-4000-8000-000000000003"
		principal   = "aaaaaaaa-0000-4000-8000-000000000004"
		secret      = "aaaaaaaa-0000-4000-8000-000000000005"
		text        = "the text of the secret"
	)
	schema, err := os.ReadFile("../db/migrations/0001_first.sql")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(text))
	testkit.EngineDSNs(t, func(t *testing.T, dsn string) {
		driver := "sqlite"
		if strings.HasPrefix(dsn, "postgres") {
			driver = "pgx"
		}
		old, err := sql.Open(driver, dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer old.Close()
		run := func(statement string, args ...any) {
			t.Helper()
			if _, err := old.ExecContext(t.Context(), statement, args...); err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
		}
		for _, statement := range strings.Split(string(schema), ";\n") {
			if strings.TrimSpace(statement) != "" {
				run(statement)
			}
		}
		run(`CREATE TABLE schema_version (version BIGINT PRIMARY KEY)`)
		run(`INSERT INTO schema_version (version) VALUES (1)`)
		run(`INSERT INTO tenants (id, display_name, domain_key, is_default, max_credentials, revision, created_at) VALUES ($1, 'Example', 'example.test', 1, 20, 1, 1)`, tenant)
		run(`INSERT INTO applications (id, tenant_id, app_id, display_name, name_sort, description, notes, sign_in_audience, token_version, app_roles, tags, extra, revision, created_at, deleted_at)
			VALUES ($1, $2, $3, 'a', '61', '', '', 'AzureADMyOrg', 0, '[]', '[]', '{}', 1, 1, 0)`, application, tenant, clientID)
		run(`INSERT INTO service_principals (id, tenant_id, app_id, parent_id, kind, display_name, name_sort, enabled, assignment_required, app_roles, tags, revision, created_at, deleted_at)
			VALUES ($1, $2, $3, $4, 'application', 'a', '61', 1, 0, '[]', '[]', 1, 1, 0)`, principal, tenant, clientID, application)
		run(`INSERT INTO application_secrets (id, application_id, display_name, hint, hash, start_at, end_at, created_at) VALUES ($1, $2, 'ci', 'the', $3, $4, $5, 1)`,
			secret, application, hex.EncodeToString(sum[:]), start.UnixMilli(), start.Add(time.Hour).UnixMilli())
		if err := old.Close(); err != nil {
			t.Fatal(err)
		}

		dir := &directory.Directory{DB: testkit.Open(t, dsn), Clock: func() time.Time { return start.Add(time.Minute) }}
		m, result, err := dir.MatchSecret(t.Context(), tenant, clientID, text)
		if err != nil || result != directory.SecretOK || m.Client.PrincipalID != principal {
			t.Errorf("the secret is judged %s for %+v (%v)", result, m.Client, err)
		}
		app, err := dir.Application(t.Context(), directory.System(tenant, "test"), directory.Ref{ID: application})
		if err != nil || len(app.Secrets) != 1 || app.Secrets[0].ID != secret || app.Secrets[0].DisplayName != "ci" || !app.Secrets[0].End.Equal(start.Add(time.Hour)) {
			t.Errorf("it is read as %+v (%v)", app.Secrets, err)
		}
		if err := dir.RemoveSecret(t.Context(), directory.System(tenant, "test"), directory.Ref{ID: application}, secret); err != nil {
			t.Error(err)
		}
		if _, result, _ = dir.MatchSecret(t.Context(), tenant, clientID, text); result != directory.SecretWrong {
			t.Errorf("once removed it is judged %s", result)
		}
	})
}
