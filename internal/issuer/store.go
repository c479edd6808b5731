package issuer

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/entente-id/entente/internal/db"
)

// dbTime bounds one access to the database, which tokens may be waiting for.
const dbTime = 2 * time.Second

// load looks once for the keys that were kept before this process began, or by
// another replica. A database that cannot answer costs a fetch and no token.
// e.mu is held.
func (v *Verifier) load(ctx context.Context, e *entry) {
	if v.db == nil || e.src.ID == "" || e.loaded || e.good != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dbTime)
	defer cancel()
	var jwks, uri string
	var fetchedAt, freshUntil int64
	err := v.db.Read().QueryRowContext(ctx, `
		SELECT jwks, jwks_uri, fetched_at, fresh_until FROM issuer_keys
		WHERE tenant_id = $1 AND issuer_id = $2 AND revision = $3`,
		e.src.TenantID, e.src.ID, e.src.Revision).Scan(&jwks, &uri, &fetchedAt, &freshUntil)
	if errors.Is(err, sql.ErrNoRows) {
		e.loaded = true
		return
	}
	var keys []Key
	var problems []KeyProblem
	if err == nil {
		e.loaded = true
		keys, problems, err = ParseKeySet([]byte(jwks))
	}
	if err != nil {
		v.log.Warn("kept keys of an issuer cannot be read", "tenant", e.src.TenantID, "issuer", e.src.URL, "error", err)
		return
	}
	e.good = &keySet{
		keys: keys, problems: problems, document: []byte(jwks), uri: uri,
		fetchedAt: time.UnixMilli(fetchedAt), freshUntil: time.UnixMilli(freshUntil),
	}
}

// store keeps keys for after a restart. That they could not be kept is no
// reason not to use them.
func (v *Verifier) store(src Source, keys *keySet) {
	if v.db == nil || src.ID == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), dbTime)
	defer cancel()
	err := v.db.Update(ctx, func(tx *sql.Tx) error {
		before, err := seen(ctx, tx, src)
		if err != nil {
			return err
		}
		since := map[string]int64{}
		for _, k := range keys.keys {
			since[k.ID] = cmp.Or(before[k.ID], keys.fetchedAt.UnixMilli())
		}
		text, err := json.Marshal(since)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			INSERT INTO issuer_keys (tenant_id, issuer_id, revision, jwks, jwks_uri, fetched_at, fresh_until, seen)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (tenant_id, issuer_id) DO UPDATE SET
				revision = excluded.revision, jwks = excluded.jwks, jwks_uri = excluded.jwks_uri,
				fetched_at = excluded.fetched_at, fresh_until = excluded.fresh_until, seen = excluded.seen
			WHERE issuer_keys.revision <= excluded.revision`,
			src.TenantID, src.ID, src.Revision, string(keys.document), keys.uri, keys.fetchedAt.UnixMilli(), keys.freshUntil.UnixMilli(), string(text))
		return err
	})
	if err != nil {
		v.log.Warn("keys of an issuer cannot be kept", "tenant", src.TenantID, "issuer", src.URL, "error", err)
	}
}

// seen reads since when the keys of an issuer have been seen, in milliseconds, by their ids.
func seen(ctx context.Context, q db.Querier, src Source) (map[string]int64, error) {
	var text string
	err := q.QueryRowContext(ctx, `SELECT seen FROM issuer_keys WHERE tenant_id = $1 AND issuer_id = $2`, src.TenantID, src.ID).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	since := map[string]int64{}
	if err == nil {
		err = json.Unmarshal([]byte(text), &since)
	}
	return since, err
}

// Seen tells since when the keys that are fetched from an issuer have been
// there, by their ids, as far as this service has seen it: it forgets them when
// nobody has needed the issuer for a day.
func (v *Verifier) Seen(ctx context.Context, src Source) (map[string]time.Time, error) {
	if v.db == nil || src.ID == "" || src.Kind == Uploaded {
		return nil, nil
	}
	since, err := seen(ctx, v.db.Read(), src)
	if err != nil {
		return nil, fmt.Errorf("since when the keys of %q have been seen: %w", src.URL, err)
	}
	times := map[string]time.Time{}
	for id, ms := range since {
		times[id] = time.UnixMilli(ms).UTC()
	}
	return times, nil
}

// prune deletes keys that are too old to be used, and with them those of issuers that are gone.
func (v *Verifier) prune(ctx context.Context) {
	if v.db == nil {
		return
	}
	oldest := v.now().Add(-maxStale).UnixMilli()
	err := v.db.Update(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM issuer_keys WHERE fetched_at < $1`, oldest)
		return err
	})
	if err != nil {
		v.log.Warn("old keys of issuers cannot be deleted", "error", err)
	}
}
