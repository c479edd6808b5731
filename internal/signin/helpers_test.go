package signin

import (
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/testkit"
)

const tenantA, tenantB = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"

// noon is when the clock of a test stands.
var noon = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)

// onEngines runs a test on both engines.
func onEngines(t *testing.T, test func(t *testing.T, d *db.DB)) {
	t.Helper()
	testkit.Engines(t, test)
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
