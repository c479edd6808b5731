package signin

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/db"
)

const tenantA, tenantB = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"

// noon is when the clock of a test stands.
var noon = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)

// onEngines runs a test on SQLite and, when ENTENTE_TEST_POSTGRES holds the URL
// of a server, on PostgreSQL.
func onEngines(t *testing.T, test func(t *testing.T, d *db.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, open(t, filepath.Join(t.TempDir(), "entente.db"))) })
	if server := os.Getenv("ENTENTE_TEST_POSTGRES"); server != "" {
		t.Run("postgres", func(t *testing.T) { test(t, open(t, schema(t, server))) })
	}
}

func open(t testing.TB, dsn string) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// schema makes a schema of its own for a test and returns a URL that uses it.
func schema(t *testing.T, server string) string {
	t.Helper()
	name := "signin_" + strings.ToLower(rand.Text())
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	exec := func(ctx context.Context, text string) {
		d, err := db.Open(ctx, server)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if _, err := d.Read().ExecContext(ctx, text); err != nil {
			t.Fatal(err)
		}
	}
	exec(t.Context(), `CREATE SCHEMA `+name)
	t.Cleanup(func() { exec(context.Background(), `DROP SCHEMA `+name+` CASCADE`) })
	return u.String()
}

func recorder(cfg Config) *Recorder {
	if cfg.Clock == nil {
		cfg.Clock = func() time.Time { return noon }
	}
	return New(cfg)
}

func exec(t *testing.T, d *db.DB, text string) {
	t.Helper()
	if err := d.Update(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), text)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func flush(t *testing.T, r *Recorder) {
	t.Helper()
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// list follows the pages of q to the end and returns the request ids.
func list(t *testing.T, r *Recorder, q Query) []string {
	t.Helper()
	if q.TenantID == "" {
		q.TenantID = tenantA
	}
	var ids []string
	for {
		records, next, err := r.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range records {
			ids = append(ids, rec.RequestID)
		}
		if next == "" {
			return ids
		}
		q.After = next
	}
}

// numbered returns the request ids "to-1" … "from" in that order, as a list shows them.
func numbered(from, to int) []string {
	var ids []string
	for i := to - 1; i >= from; i-- {
		ids = append(ids, fmt.Sprint(i))
	}
	return ids
}
