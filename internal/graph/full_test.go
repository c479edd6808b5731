package graph

import (
	"database/sql"
	"net/http"
	"testing"

	"github.com/entente-id/entente/internal/testkit"
)

// Where the disk is full, a write is told so and a read is answered.
func TestFullDatabase(t *testing.T) {
	store := testkit.SQLite(t)
	w := newWorldOn(t, store)
	id, _ := w.application(admin, "before")
	w.must(store.Update(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec(`PRAGMA max_page_count = 1`) // as many as there are
		return err
	}))
	a := reply{status: http.StatusCreated}
	for a.status == http.StatusCreated { // the pages that are there already may take some
		a = w.do(admin, "POST", "/applications", m{"displayName": "after"})
	}
	a.fails(http.StatusInsufficientStorage, "InsufficientStorage", "The server has no room left to store the change, which was not made. …")
	w.do(admin, "GET", "/applications/"+id, nil).is(http.StatusOK)
}
