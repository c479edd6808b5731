package testkit

import (
	"path/filepath"
	"testing"

	"github.com/entente-id/entente/internal/db"
)

// Open opens dsn, migrated, and closes it when the test ends. A test that
// opens one dsn twice sees what two processes on one database would.
func Open(t testing.TB, dsn string) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close the database: %v", err)
		}
	})
	return d
}

// SQLite opens a new SQLite database: a real file, as in production.
func SQLite(t testing.TB) *db.DB {
	t.Helper()
	return Open(t, SQLiteDSN(t))
}

// SQLiteDSN names a SQLite file that is not there yet.
func SQLiteDSN(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "entente.db")
}

// PostgreSQL opens a new PostgreSQL database; see PostgreSQLDSN.
func PostgreSQL(t testing.TB) *db.DB {
	t.Helper()
	return Open(t, PostgreSQLDSN(t))
}

// Engines runs a test on a new database of each engine.
func Engines(t *testing.T, test func(t *testing.T, d *db.DB)) {
	t.Helper()
	EngineDSNs(t, func(t *testing.T, dsn string) { test(t, Open(t, dsn)) })
}

// EngineDSNs runs a test on the name of a new, empty database of each engine,
// for tests that open it more than once or see it being migrated.
func EngineDSNs(t *testing.T, test func(t *testing.T, dsn string)) {
	t.Helper()
	t.Run(string(db.SQLite), func(t *testing.T) { test(t, SQLiteDSN(t)) })
	t.Run(string(db.PostgreSQL), func(t *testing.T) { test(t, PostgreSQLDSN(t)) })
}
