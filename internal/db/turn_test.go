package db_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/testkit"
)

func TestTurnReturnsWhatWasReturned(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, d *db.DB) {
		broken := errors.New("broken")
		for _, want := range []error{nil, broken, nil} {
			if err := d.Turn(t.Context(), func() error { return want }); err != want {
				t.Errorf("%v, want %v", err, want)
			}
		}
	})
}

func TestTurnsComeOneAfterTheOther(t *testing.T) {
	dsn := testkit.PostgreSQLDSN(t)
	var inside atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		d := testkit.Open(t, dsn)
		wg.Go(func() {
			for range 5 {
				if err := d.Turn(t.Context(), func() error {
					if n := inside.Add(1); n != 1 {
						t.Errorf("%d at once", n)
					}
					_, err := d.Read().ExecContext(t.Context(), `SELECT 1`)
					inside.Add(-1)
					return err
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
