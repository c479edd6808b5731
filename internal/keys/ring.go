package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/entente-id/entente/internal/db"
)

// How old a snapshot of the table may be.
const (
	soft    = 5 * time.Second // then the next caller reads it again, and the others do not wait for him
	hard    = time.Minute     // then everybody waits
	unknown = time.Second     // for a key that is not in it

	// A key that was made a moment ago on another replica must not be refused
	// because somebody has just asked for another one: so many extra reads may
	// be spent on that, one more each second.
	spare = 20

	// readLimit bounds a read that happens under a request.
	readLimit = 2 * time.Second
)

// Config says what a Ring works with. Only DB and Sealer are required.
type Config struct {
	DB     *db.DB
	Sealer Sealer

	Algorithm     string           // of new keys: RS256 (default) or ES256
	Bits          int              // of new RSA keys; default 2048
	TokenLifetime time.Duration    // the longest of any token that is signed; default 24 h
	RotateEvery   time.Duration    // how long a key signs; default 90 days, negative: only on demand
	PublishAhead  time.Duration    // between publication and first use; default 24 h
	Clock         func() time.Time // default time.Now
	Log           *slog.Logger     // default: none
}

// Ring signs and verifies with the keys in the database. It is safe for
// concurrent use, and any number of Rings may share a database.
type Ring struct {
	cfg Config

	snap    atomic.Pointer[snapshot]
	tried   atomic.Pointer[time.Time] // when the last read ended, whether it succeeded or not
	failed  atomic.Pointer[error]     // of the last read; nil if it succeeded
	reading chan struct{}             // holds one token while the table is being read
	making  chan struct{}             // holds one token while a key is being made
	spare   *rate.Limiter
	reads   atomic.Int64 // of the table, for tests
}

// snapshot is the table as it was once. It is never written to.
type snapshot struct {
	at      time.Time         // when the read began
	tenants map[string]chain  // by tenant id
	kids    map[string]*entry // by key id
	headers map[string]*entry // by encoded token header
}

// Open reads the ring. A database whose keys were sealed with another
// key-encryption key is refused with ErrSealer.
func Open(ctx context.Context, cfg Config) (*Ring, error) {
	if cfg.DB == nil || cfg.Sealer == nil {
		return nil, errors.New("open signing keys: a database and a sealer are required")
	}
	def(&cfg.Algorithm, RS256)
	def(&cfg.Bits, 2048)
	def(&cfg.TokenLifetime, 24*time.Hour)
	def(&cfg.RotateEvery, 90*24*time.Hour)
	def(&cfg.PublishAhead, 24*time.Hour)
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case cfg.Algorithm != RS256 && cfg.Algorithm != ES256:
		return nil, fmt.Errorf("open signing keys: algorithm %q is neither RS256 nor ES256", cfg.Algorithm)
	case cfg.Bits < 2048 || cfg.Bits > 8192:
		return nil, fmt.Errorf("open signing keys: %d bits are not within 2048 and 8192", cfg.Bits)
	case cfg.TokenLifetime < 0 || cfg.PublishAhead < 0:
		return nil, errors.New("open signing keys: a duration is negative")
	case cfg.RotateEvery > 0 && cfg.RotateEvery <= cfg.PublishAhead:
		return nil, fmt.Errorf("open signing keys: rotation every %s leaves no time to publish a key %s ahead", cfg.RotateEvery, cfg.PublishAhead)
	}
	r := &Ring{
		cfg:     cfg,
		reading: make(chan struct{}, 1),
		making:  make(chan struct{}, 1),
		spare:   rate.NewLimiter(rate.Every(time.Second), spare),
	}
	if err := r.read(ctx); err != nil {
		return nil, err
	}
	now := r.now()
	for _, k := range r.snap.Load().kids {
		if !k.published(now) {
			continue
		}
		if err := k.fits(cfg.Sealer); err != nil {
			return nil, fmt.Errorf("signing key %q of tenant %q: %w", k.ID, k.TenantID, err)
		}
	}
	return r, nil
}

// now is the wall clock alone: the monotonic one stands still while a machine
// sleeps, and what is in the table has only wall times anyway.
func (r *Ring) now() time.Time { return r.cfg.Clock().Round(0) }

func def[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// columns are those that chains are made of; the sealed half is read by secret.open.
const columns = `kid, tenant_id, alg, sealer, created_at, activate_at, retire_at`

// inOrder is the order in which a tenant's keys sign.
const inOrder = ` ORDER BY tenant_id, activate_at, created_at, kid`

// query reads keys, in order. Open keys are carried over from old.
func query(ctx context.Context, q db.Querier, old *snapshot, text string, args ...any) (chain, error) {
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out chain
	for rows.Next() {
		var k Key
		var sealer string
		var created, activate, retire int64
		if err := rows.Scan(&k.ID, &k.TenantID, &k.Algorithm, &sealer, &created, &activate, &retire); err != nil {
			return nil, err
		}
		k.CreatedAt, k.ActivateAt = time.UnixMilli(created).UTC(), time.UnixMilli(activate).UTC()
		if retire != 0 {
			k.RetireAt = time.UnixMilli(retire).UTC()
		}
		e := &entry{Key: k}
		if old != nil {
			if known := old.kids[k.ID]; known != nil && known.tenantID == k.TenantID && known.alg == k.Algorithm && known.sealer == sealer {
				e.secret = known.secret
			}
		}
		if e.secret == nil {
			e.secret = newSecret(k.ID, k.TenantID, k.Algorithm, sealer)
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// read replaces the snapshot.
func (r *Ring) read(ctx context.Context) error {
	select {
	case r.reading <- struct{}{}:
		defer func() { <-r.reading }()
	case <-ctx.Done():
		return fmt.Errorf("read signing keys: %w", ctx.Err())
	}
	return r.readHolding(ctx)
}

// readHolding is read for a caller that holds r.reading.
func (r *Ring) readHolding(ctx context.Context) error {
	// Pauses count from the end: those who have waited for a read that failed
	// must not each try for themselves.
	defer func() {
		ended := r.now()
		r.tried.Store(&ended)
	}()
	began := r.now()
	r.reads.Add(1)
	all, err := query(ctx, r.cfg.DB.Read(), r.snap.Load(), `SELECT `+columns+` FROM signing_keys`+inOrder)
	if err != nil {
		err = fmt.Errorf("read signing keys: %w", err)
		r.failed.Store(&err)
		return err
	}
	s := &snapshot{at: began, tenants: map[string]chain{}, kids: map[string]*entry{}, headers: map[string]*entry{}}
	for _, k := range all {
		s.tenants[k.TenantID] = append(s.tenants[k.TenantID], k)
		s.kids[k.ID] = k
		for _, h := range k.headers {
			s.headers[h] = k
		}
	}
	r.snap.Store(s)
	r.failed.Store(nil)
	return nil
}

// readUnder is readHolding for work that a request pays for. A request that
// goes away does not take the read of the others with it.
func (r *Ring) readUnder(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readLimit)
	defer cancel()
	err := r.readHolding(ctx)
	if err != nil {
		r.cfg.Log.ErrorContext(ctx, "signing keys could not be read; going on with those at hand", "error", err)
	}
	return err
}

// since is how long ago the last read ended; a clock that went backwards counts as long ago.
func (r *Ring) since() time.Duration {
	if d := r.now().Sub(*r.tried.Load()); d >= 0 {
		return d
	}
	return hard
}

// fresh returns a snapshot to sign with. Usually it is at hand. One caller per
// soft interval reads the table; while that works nobody waits for him, since
// a snapshot stays good for PublishAhead.
func (r *Ring) fresh(ctx context.Context) *snapshot {
	age := r.since()
	if age < soft {
		return r.snap.Load()
	}
	if age < hard {
		select {
		case r.reading <- struct{}{}:
		default:
			return r.snap.Load()
		}
	} else {
		select {
		case r.reading <- struct{}{}:
		case <-ctx.Done():
			return r.snap.Load()
		}
	}
	defer func() { <-r.reading }()
	if r.since() >= soft {
		r.readUnder(ctx)
	}
	return r.snap.Load()
}

// again looks for something that the snapshot at hand lacks. It reads the table
// at most once per unknown interval, plus what is spare if urgent, so that a
// flood of made-up key ids costs the database next to nothing. The error says
// that the table cannot be read, so that what was not found is in doubt.
func (r *Ring) again(ctx context.Context, urgent bool, found func(*snapshot) bool) error {
	select {
	case r.reading <- struct{}{}:
		defer func() { <-r.reading }()
	case <-ctx.Done():
		return fmt.Errorf("read signing keys: %w", ctx.Err())
	}
	if found(r.snap.Load()) {
		return nil
	}
	failed := r.failed.Load()
	if r.since() >= unknown || urgent && failed == nil && r.spare.AllowN(r.now(), 1) {
		return r.readUnder(ctx)
	}
	if failed != nil {
		return *failed
	}
	return nil
}

// chainOf returns a tenant's keys from the snapshot, reading again if it has none.
func (r *Ring) chainOf(ctx context.Context, tenantID string) (*snapshot, chain, error) {
	s := r.fresh(ctx)
	if c := s.tenants[tenantID]; c != nil {
		return s, c, nil
	}
	err := r.again(ctx, true, func(s *snapshot) bool { return s.tenants[tenantID] != nil })
	if err != nil {
		return nil, nil, err
	}
	s = r.snap.Load()
	if c := s.tenants[tenantID]; c != nil {
		return s, c, nil
	}
	return nil, nil, fmt.Errorf("%w: tenant %q", ErrNoKey, tenantID)
}
