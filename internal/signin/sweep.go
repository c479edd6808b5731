package signin

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const (
	sweepEvery = 10 * time.Minute
	perSweep   = 500 // records in one DELETE, so that no writer waits long
)

func (r *Recorder) sweepRegularly(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := r.Sweep(ctx); err != nil && ctx.Err() == nil {
			r.cfg.Log.ErrorContext(ctx, "old sign-ins cannot be deleted", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Sweep deletes the records that are older than Config.Keep, and the oldest
// ones of a tenant that has more than Config.Most. Run does it every ten minutes.
func (r *Recorder) Sweep(ctx context.Context) error {
	q := r.cfg.DB.Read()
	for after := ""; ; {
		// One step through the index for each tenant, rather than all records for DISTINCT.
		var tenantID sql.NullString
		if err := q.QueryRowContext(ctx, `SELECT MIN(tenant_id) FROM sign_ins WHERE tenant_id > $1`, after).Scan(&tenantID); err != nil {
			return fmt.Errorf("delete old sign-ins: %w", err)
		}
		if !tenantID.Valid {
			return nil
		}
		after = tenantID.String
		if _, err := r.deleteBefore(ctx, after, r.cfg.Clock().Add(-r.cfg.Keep).UnixMilli(), ""); err != nil {
			return err
		}
		var at int64
		var id string
		err := q.QueryRowContext(ctx, `SELECT at, id FROM sign_ins WHERE tenant_id = $1 ORDER BY at DESC, id DESC LIMIT 1 OFFSET $2`, after, r.cfg.Most-1).Scan(&at, &id)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return fmt.Errorf("delete old sign-ins: %w", err)
		}
		n, err := r.deleteBefore(ctx, after, at, id)
		if err != nil {
			return err
		}
		if n > 0 {
			r.cfg.Log.WarnContext(ctx, "a tenant has more sign-ins than are kept", "tenant", after, "kept", r.cfg.Most, "since", time.UnixMilli(at).UTC())
		}
	}
}

// deleteBefore deletes the records of a tenant that are older than (at, id).
func (r *Recorder) deleteBefore(ctx context.Context, tenantID string, at int64, id string) (deleted int64, err error) {
	for {
		var n int64
		err := r.cfg.DB.Update(ctx, func(tx *sql.Tx) error {
			res, err := tx.ExecContext(ctx, `DELETE FROM sign_ins WHERE id IN (SELECT id FROM sign_ins WHERE tenant_id = $1 AND (at, id) < ($2, $3) ORDER BY at, id LIMIT $4)`, tenantID, at, id, perSweep)
			if err != nil {
				return err
			}
			n, err = res.RowsAffected()
			return err
		})
		if err != nil {
			return deleted, fmt.Errorf("delete old sign-ins: %w", err)
		}
		if deleted += n; n < perSweep {
			return deleted, nil
		}
	}
}
