package db

import (
	"context"
	"database/sql"
	"errors"
)

// turnLock is the PostgreSQL advisory lock of Turn.
const turnLock = migrationLock + 1

var errTurnOver = errors.New("the turn is over")

// Turn runs fn while no other process on the same PostgreSQL database does, for
// what starting processes shall do one after the other although it takes
// several transactions. A SQLite file belongs to one process, where fn just runs.
func (d *DB) Turn(ctx context.Context, fn func() error) error {
	if d.Engine == SQLite {
		return fn()
	}
	var ended error
	err := d.update(ctx, func(tx *sql.Tx) error { // which does nothing but hold the lock
		if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(turnLock)); err != nil {
			return err
		}
		ended = fn()
		return errTurnOver
	})
	if errors.Is(err, errTurnOver) {
		return ended
	}
	return err
}
