package arm

import (
	"database/sql"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Where the disk is full, a write is told so and a read is answered.
func TestFullDatabase(t *testing.T) {
	w := newWorld(t)
	w.must(w.db.Update(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec(`PRAGMA max_page_count = 1`) // as many as there are
		return err
	}))
	r := reply{status: http.StatusCreated}
	for i := 0; r.status == http.StatusCreated; i++ { // the pages that are there already may take some
		r = w.do("admin", "PUT", fmt.Sprintf("%s/resourceGroups/group%d", sub, i), `{"location":"local"}`)
	}
	e := r.error(t)
	if r.status != http.StatusInsufficientStorage || e.Code != "InsufficientStorage" || !strings.HasPrefix(e.Message, "The server has no room left") {
		t.Errorf("%d %+v", r.status, e)
	}
	w.ok("admin", "GET", inGroup, "")
}
