package directory_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/testkit"
)

// A full disk refuses writes whole, as a kind of its own, and lets reads go on;
// when there is room again, the same directory writes.
func TestFullDatabase(t *testing.T) {
	w := newWorld(t, testkit.SQLite(t))
	app := w.app("before")
	w.room(0)
	var err error
	made := 0
	for ; err == nil; made++ { // the pages that are there already may take some
		_, err = w.dir.CreateApplication(w.ctx(), w.admin, directory.Application{DisplayName: strings.Repeat("x", 200)})
	}
	if e := w.kind(err, directory.Full); !strings.Contains(e.Error(), "no room") {
		t.Errorf("the error says %q", e)
	}
	made--
	if n := w.rows("applications", "display_name LIKE 'xxx%'"); n != made {
		t.Errorf("%d applications are there, %d were made", n, made)
	}
	if n := w.rows("audit_events", "target_name LIKE 'xxx%'"); n != made {
		t.Errorf("%d events of %d applications", n, made)
	}
	if _, err := w.dir.Application(w.ctx(), w.admin, directory.Ref{ID: app.ID}); err != nil {
		t.Errorf("read: %v", err)
	}
	w.room(1000)
	for i := range 3 {
		w.app(fmt.Sprint("after ", i))
	}
}

// room lets the database grow by a number of pages.
func (w *world) room(pages int) {
	w.Helper()
	w.ok(w.db.Update(w.ctx(), func(tx *sql.Tx) error {
		var have, most int
		if err := tx.QueryRow(`PRAGMA page_count`).Scan(&have); err != nil {
			return err
		}
		return tx.QueryRow(fmt.Sprintf(`PRAGMA max_page_count = %d`, have+pages)).Scan(&most)
	}))
}
