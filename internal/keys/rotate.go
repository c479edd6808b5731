package keys

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/entente-id/entente/internal/db"
)

const (
	// overlap is how long a key stays published after its last token has
	// expired: verifiers cache a key set for up to a day.
	overlap = 24 * time.Hour

	// Making an RSA key costs a good part of a second of CPU, so tenants that
	// became due together are spread over several rounds.
	round    = time.Minute
	perRound = 8
)

// EnsureTenant makes the first key of a tenant, which signs at once, unless it
// has one. Any number of replicas may do this at the same time: one key is made.
func (r *Ring) EnsureTenant(ctx context.Context, tenantID string) error {
	if r.fresh(ctx).tenants[tenantID].current(r.now()) >= 0 {
		return nil
	}
	_, err := r.add(ctx, tenantID, func(_ time.Time, published chain) bool { return len(published) == 0 })
	if err != nil {
		return fmt.Errorf("first signing key of tenant %q: %w", tenantID, err)
	}
	return nil
}

// Rotate publishes the next key of a tenant. It signs after Config.PublishAhead,
// and from then on the key before it stays published until the last token that
// it can have signed has been expired for a day. While a next key is waiting,
// Rotate returns that one and makes none, so of callers that race, on whatever
// replicas, exactly one makes a key and all return it.
//
// Each of also runs in the transaction that writes a new key, to audit it; if it
// fails, no key is made.
func (r *Ring) Rotate(ctx context.Context, tenantID string, also ...func(context.Context, *sql.Tx, Key) error) (Key, error) {
	published, err := r.add(ctx, tenantID, func(_ time.Time, published chain) bool {
		_, waiting := published.with(Next)
		return len(published) > 0 && !waiting
	}, also...)
	if err != nil {
		return Key{}, fmt.Errorf("rotate signing key of tenant %q: %w", tenantID, err)
	}
	key, ok := published.with(Next)
	if !ok {
		return Key{}, fmt.Errorf("rotate signing key: %w: tenant %q", ErrNoKey, tenantID)
	}
	return key, nil
}

// due says whether it is time to publish the next key.
func (r *Ring) due(now time.Time, published chain) bool {
	current, ok := published.with(Current)
	_, waiting := published.with(Next)
	return ok && !waiting && r.cfg.RotateEvery > 0 &&
		!now.Before(current.ActivateAt.Add(r.cfg.RotateEvery-r.cfg.PublishAhead))
}

// add makes a key for a tenant if it is needed, and returns the keys that are
// published then. needed is asked before the key is made, which is slow and
// happens outside the transaction, and asked again under the tenant's lock.
func (r *Ring) add(ctx context.Context, tenantID string, needed func(now time.Time, published chain) bool, also ...func(context.Context, *sql.Tx, Key) error) (chain, error) {
	select {
	case r.making <- struct{}{}:
		defer func() { <-r.making }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	have, err := r.tenant(ctx, r.cfg.DB.Read(), tenantID)
	if err != nil {
		return nil, err
	}
	now := r.now()
	if published := have.published(now); !needed(now, published) {
		return published, nil
	}
	private, err := generate(r.cfg.Algorithm, r.cfg.Bits)
	if err != nil {
		return nil, err
	}
	kid, alg, jwk, err := describe(private.Public())
	if err != nil {
		return nil, err
	}
	sealed, err := seal(r.cfg.Sealer, tenantID, kid, private)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	made := false
	err = r.cfg.DB.Update(ctx, func(tx *sql.Tx) error {
		made = false
		if err := r.lock(ctx, tx, tenantID); err != nil {
			return err
		}
		if have, err = r.tenant(ctx, tx, tenantID); err != nil {
			return err
		}
		now = r.now()
		published := have.published(now)
		if !needed(now, published) {
			return nil
		}
		activate := now
		if len(published) > 0 {
			activate = now.Add(r.cfg.PublishAhead)
		}
		retire := activate.Add(r.cfg.TokenLifetime + overlap)
		if _, err := tx.ExecContext(ctx, `UPDATE signing_keys SET retire_at = $1 WHERE tenant_id = $2 AND retire_at = 0`,
			retire.UnixMilli(), tenantID); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO signing_keys (kid, tenant_id, alg, public_jwk, sealed, sealer, created_at, activate_at, retire_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)`,
			kid, tenantID, alg, string(jwk), sealed, sealerID(r.cfg.Sealer), now.UnixMilli(), activate.UnixMilli()); err != nil {
			return err
		}
		if have, err = r.tenant(ctx, tx, tenantID); err != nil {
			return err
		}
		made = true
		for _, k := range have.published(now) {
			if k.ID != kid {
				continue
			}
			for _, f := range also {
				if err := f(ctx, tx, k.Key); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if made {
		r.cfg.Log.InfoContext(ctx, "signing key made", "tenant", tenantID, "kid", kid, "algorithm", alg)
	}
	// The key is there, whoever has stopped waiting for it.
	if err := r.read(context.WithoutCancel(ctx)); err != nil {
		r.cfg.Log.ErrorContext(ctx, "signing keys could not be read after one was made", "error", err)
	}
	return have.published(now), nil
}

// lock serialises those who would add a key to a tenant until tx ends. A write
// transaction of SQLite is alone anyway.
func (r *Ring) lock(ctx context.Context, tx *sql.Tx, tenantID string) error {
	if r.cfg.DB.Engine != db.PostgreSQL {
		return nil
	}
	_, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, "signing_keys/"+tenantID)
	return err
}

// tenant reads the keys of one tenant, retired ones included.
func (r *Ring) tenant(ctx context.Context, q db.Querier, tenantID string) (chain, error) {
	c, err := query(ctx, q, r.snap.Load(), `SELECT `+columns+` FROM signing_keys WHERE tenant_id = $1`+inOrder, tenantID)
	if err != nil {
		return nil, fmt.Errorf("read signing keys of tenant %q: %w", tenantID, err)
	}
	return c, nil
}

// Run keeps the ring in order, one Maintain every minute, until ctx ends.
func (r *Ring) Run(ctx context.Context) error {
	ticker := time.NewTicker(round)
	defer ticker.Stop()
	for {
		if err := r.Maintain(ctx); err != nil && ctx.Err() == nil {
			r.cfg.Log.ErrorContext(ctx, "signing keys: maintenance", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Maintain does one round: it publishes the next keys that are due (a few in
// each round), deletes retired keys, and opens the keys that will be needed, so
// that the first token under a new key does not wait for it.
func (r *Ring) Maintain(ctx context.Context) error {
	if err := r.read(ctx); err != nil {
		return err
	}
	var errs []error
	made := 0
	for tenantID, chain := range r.snap.Load().tenants {
		if made == perRound || ctx.Err() != nil {
			break
		}
		if now := r.now(); !r.due(now, chain.published(now)) {
			continue
		}
		made++
		if _, err := r.add(ctx, tenantID, r.due); err != nil {
			errs = append(errs, fmt.Errorf("rotate signing key of tenant %q: %w", tenantID, err))
		}
	}
	errs = append(errs, r.sweep(ctx))
	for _, chain := range r.snap.Load().tenants {
		i := chain.current(r.now())
		if i < 0 || chain[i].opened.Load() == nil {
			continue // a tenant that nobody has asked for
		}
		for _, k := range chain[i+1:] {
			_, err := k.open(ctx, r.cfg.DB.Read(), r.cfg.Sealer)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// sweep deletes what is no longer published.
func (r *Ring) sweep(ctx context.Context) error {
	now := r.now()
	retired := false
	for _, k := range r.snap.Load().kids {
		retired = retired || !k.published(now)
	}
	if !retired {
		return nil
	}
	err := r.cfg.DB.Update(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM signing_keys WHERE retire_at <> 0 AND retire_at <= $1`, now.UnixMilli())
		return err
	})
	if err != nil {
		return fmt.Errorf("delete retired signing keys: %w", err)
	}
	return r.read(ctx)
}
