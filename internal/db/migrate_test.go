package db_test

import (
	"sync"
	"testing"

	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/testkit"
)

// Replicas that start together on an empty database migrate it once, and all of them open it.
func TestProcessesMigrateAtOnce(t *testing.T) {
	testkit.EngineDSNs(t, func(t *testing.T, dsn string) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				d, err := db.Open(t.Context(), dsn)
				if err != nil {
					t.Error(err)
					return
				}
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}
