package keys

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/entente-id/entente/internal/db"

	"github.com/entente-id/entente/internal/testkit"
)

func TestEnsureTenantRaces(t *testing.T) {
	onEngines(t, func(t *testing.T, open func() *db.DB) {
		rings := []*Ring{ring(t, Config{DB: open()}), ring(t, Config{DB: open()}), ring(t, Config{DB: open()})}
		var wg sync.WaitGroup
		for i := range 12 {
			wg.Go(func() {
				if err := rings[i%3].EnsureTenant(t.Context(), tenantA); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		keys := keysOf(t, rings[0], tenantA)
		if len(keys) != 1 || keys[0].State != Current {
			t.Fatalf("got keys %+v, want one, current", keys)
		}
		for i, r := range rings {
			if kid := kidOf(t, mustSign(t, r, tenantA, map[string]any{})); kid != keys[0].ID {
				t.Errorf("replica %d signs with %q", i, kid)
			}
		}
	})
}

func TestRotateRaces(t *testing.T) {
	onEngines(t, func(t *testing.T, open func() *db.DB) {
		c := newClock()
		rings := []*Ring{ringWith(t, Config{DB: open(), Clock: c.Now}), ringWith(t, Config{DB: open(), Clock: c.Now})}
		for rotation := 1; rotation <= 3; rotation++ {
			var mu sync.Mutex
			returned := map[string]int{}
			audited := 0
			var wg sync.WaitGroup
			for i := range 10 {
				wg.Go(func() {
					made := false
					key, err := rings[i%2].Rotate(t.Context(), tenantA, func(context.Context, *sql.Tx, Key) error { made = true; return nil })
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					returned[key.ID]++
					if made {
						audited++
					}
				})
			}
			wg.Wait()
			keys := keysOf(t, rings[0], tenantA)
			if len(returned) != 1 || audited != 1 || returned[keys[len(keys)-1].ID] != 10 {
				t.Fatalf("rotation %d: %v were returned and %d made, want the last of %+v from all and one made", rotation, returned, audited, keys)
			}
			c.Add(day)
		}
		if n := len(keysOf(t, rings[1], tenantA)); n != 4-1 { // three days later the first one, retired after 3 days, is gone
			t.Errorf("got %d keys, want 3", n)
		}
	})
}

func TestRotateTimeline(t *testing.T) {
	onEngines(t, func(t *testing.T, open func() *db.DB) {
		c := newClock()
		start := c.Now()
		cfg := Config{DB: open(), Clock: c.Now, TokenLifetime: 2 * time.Hour}
		r := ringWith(t, cfg)
		first := keysOf(t, r, tenantA)[0]
		c.Add(10 * time.Hour)
		second, err := r.Rotate(t.Context(), tenantA)
		if err != nil {
			t.Fatal(err)
		}
		activation := start.Add(10*time.Hour + day)
		first.RetireAt = activation.Add(2*time.Hour + day)
		want := Key{ID: second.ID, TenantID: tenantA, Algorithm: ES256, State: Next, CreatedAt: start.Add(10 * time.Hour), ActivateAt: activation}
		if diff := cmp.Diff(want, second); diff != "" {
			t.Errorf("next key (-want +got):\n%s", diff)
		}
		again, err := r.Rotate(t.Context(), tenantA)
		if diff := cmp.Diff(want, again); diff != "" || err != nil {
			t.Errorf("rotated again while one is waiting: %v (-want +got):\n%s", err, diff)
		}
		in := func(k Key, s State) Key { k.State = s; return k }
		for _, step := range []struct {
			name   string
			at     time.Time
			want   []Key
			signer string
		}{
			{"published", c.Now(), []Key{in(first, Current), in(second, Next)}, first.ID},
			{"just before it signs", activation.Add(-time.Millisecond), []Key{in(first, Current), in(second, Next)}, first.ID},
			{"it signs", activation, []Key{in(first, Previous), in(second, Current)}, second.ID},
			{"before the first retires", first.RetireAt.Add(-time.Millisecond), []Key{in(first, Previous), in(second, Current)}, second.ID},
			{"the first has retired", first.RetireAt, []Key{in(second, Current)}, second.ID},
		} {
			c.Set(step.at)
			if diff := cmp.Diff(step.want, keysOf(t, r, tenantA)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", step.name, diff)
			}
			if kid := kidOf(t, mustSign(t, r, tenantA, map[string]any{})); kid != step.signer {
				t.Errorf("%s: %q signs, want %q", step.name, kid, step.signer)
			}
			public, err := r.Public(t.Context(), tenantA)
			if err != nil {
				t.Fatal(err)
			}
			var published, wanted []string
			for _, k := range joseSet(t, public).Keys {
				published = append(published, k.KeyID)
			}
			for _, k := range step.want {
				wanted = append(wanted, k.ID)
			}
			if diff := cmp.Diff(wanted, published, cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" {
				t.Errorf("%s: key set (-want +got):\n%s", step.name, diff)
			}
			if published[0] != step.signer {
				t.Errorf("%s: the key set does not begin with the key that signs", step.name)
			}
		}
		if err := r.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
		var rows int
		if err := cfg.DB.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM signing_keys`).Scan(&rows); err != nil || rows != 1 {
			t.Errorf("%d rows are left (%v), want 1", rows, err)
		}
	})
}

// A year of two replicas that rotate on schedule, and of a verifier that reads
// the key set once a day: at no time does it refuse a token that is not expired.
func TestNoTokenIsRefusedOverAYear(t *testing.T) {
	c := newClock()
	const lifetime = 24 * time.Hour
	dsn := testkit.SQLiteDSN(t)
	open := func() *db.DB { return testkit.Open(t, dsn) }
	rings := []*Ring{}
	for range 2 {
		rings = append(rings, ringWith(t, Config{DB: open(), Clock: c.Now, TokenLifetime: lifetime, RotateEvery: 30 * day}))
	}
	type issued struct {
		token   string
		expires time.Time
	}
	var alive []issued
	var cached *jose.JSONWebKeySet
	var signers []string
	const step = 12 * time.Hour
	for i := range 2 * 365 {
		for _, r := range rings {
			if err := r.Maintain(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if i%2 == 0 { // once a day, from either replica
			public, err := rings[i/2%2].Public(t.Context(), tenantA)
			if err != nil {
				t.Fatal(err)
			}
			cached = joseSet(t, public)
		}
		now := c.Now()
		for _, r := range rings {
			token := mustSign(t, r, tenantA, lasting(now, lifetime))
			alive = append(alive, issued{token, now.Add(lifetime)})
			if kid := kidOf(t, token); !slices.Contains(signers, kid) {
				signers = append(signers, kid)
			}
		}
		for j, token := range alive {
			jws, err := jose.ParseSignedCompact(token.token, []jose.SignatureAlgorithm{jose.ES256})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := jws.Verify(cached); err != nil {
				t.Fatalf("at %s a verifier refuses a token that expires at %s: %v", now, token.expires, err)
			}
			if _, err := rings[j%2].Verify(t.Context(), token.token); err != nil {
				t.Fatalf("at %s we refuse a token that expires at %s: %v", now, token.expires, err)
			}
		}
		c.Add(step)
		alive = slices.DeleteFunc(alive, func(i issued) bool { return i.expires.Before(c.Now()) })
	}
	if len(signers) != 13 {
		t.Errorf("%d keys have signed in a year of 30-day keys, want 13", len(signers))
	}
	if n := len(keysOf(t, rings[0], tenantA)); n > 3 {
		t.Errorf("%d keys are published", n)
	}
}

func TestMaintainPublishesOnSchedule(t *testing.T) {
	onEngines(t, func(t *testing.T, open func() *db.DB) {
		c := newClock()
		a := ringWith(t, Config{DB: open(), Clock: c.Now})
		b := ring(t, Config{DB: open(), Clock: c.Now})
		never := ring(t, Config{DB: open(), Clock: c.Now, RotateEvery: -1})
		maintain := func(rings ...*Ring) int {
			t.Helper()
			var wg sync.WaitGroup
			for _, r := range rings {
				wg.Go(func() {
					if err := r.Maintain(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			return len(keysOf(t, a, tenantA))
		}
		c.Add(89*day - time.Millisecond)
		if n := maintain(a, b); n != 1 {
			t.Errorf("before it is due: %d keys, want 1", n)
		}
		c.Add(time.Millisecond)
		if n := maintain(never); n != 1 {
			t.Errorf("without a schedule: %d keys, want 1", n)
		}
		if n := maintain(a, b, a, b); n != 2 {
			t.Errorf("when it is due: %d keys, want 2", n)
		}
		if n := maintain(a, b); n != 2 {
			t.Errorf("once more: %d keys, want 2", n)
		}
	})
}

func TestMaintainSpreadsItsWork(t *testing.T) {
	c := newClock()
	r := ring(t, Config{DB: sqliteDB(t), Clock: c.Now})
	const tenants = 2*perRound + 1
	for i := range tenants {
		ensure(t, r, fmt.Sprint(i))
	}
	c.Add(90 * day)
	for _, want := range []int{perRound, 2 * perRound, tenants, tenants} {
		if err := r.Maintain(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(r.snap.Load().kids) - tenants; n != want {
			t.Errorf("got %d new keys, want %d", n, want)
		}
	}
}

func TestMaintainOpensTheNextKey(t *testing.T) {
	c := newClock()
	r := ringWith(t, Config{DB: sqliteDB(t), Clock: c.Now})
	mustSign(t, r, tenantA, map[string]any{})
	key, err := r.Rotate(t.Context(), tenantA)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.snap.Load().kids[key.ID].opened.Load() == nil {
		t.Error("the next key is still sealed")
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	r := ringWith(t, Config{DB: sqliteDB(t)})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

func TestRotateFailsWithItsAudit(t *testing.T) {
	onEngines(t, func(t *testing.T, open func() *db.DB) {
		r := ringWith(t, Config{DB: open()})
		boom := errors.New("boom")
		if _, err := r.Rotate(t.Context(), tenantA, func(context.Context, *sql.Tx, Key) error { return boom }); !errors.Is(err, boom) {
			t.Errorf("got %v, want the audit's error", err)
		}
		keys := keysOf(t, r, tenantA)
		if len(keys) != 1 || !keys[0].RetireAt.IsZero() {
			t.Errorf("got keys %+v, want the first alone, without an end", keys)
		}
		if _, err := r.Rotate(t.Context(), tenantB); !errors.Is(err, ErrNoKey) {
			t.Errorf("a tenant without keys: got %v, want ErrNoKey", err)
		}
	})
}

func TestAlgorithmCountsFromTheNextKey(t *testing.T) {
	c := newClock()
	dsn := testkit.SQLiteDSN(t)
	open := func() *db.DB { return testkit.Open(t, dsn) }
	old := ringWith(t, Config{DB: open(), Clock: c.Now, Algorithm: ES256})
	token := mustSign(t, old, tenantA, lasting(c.Now(), 2*day))
	r := ring(t, Config{DB: open(), Clock: c.Now, Algorithm: RS256})
	if _, err := r.Rotate(t.Context(), tenantA); err != nil {
		t.Fatal(err)
	}
	c.Add(day)
	for _, token := range []string{token, mustSign(t, r, tenantA, lasting(c.Now(), day)), mustSign(t, old, tenantA, lasting(c.Now(), day))} {
		if _, err := r.Verify(t.Context(), token); err != nil {
			t.Error(err)
		}
	}
	var algs []string
	for _, k := range keysOf(t, r, tenantA) {
		algs = append(algs, k.Algorithm)
	}
	if diff := cmp.Diff([]string{ES256, RS256}, algs); diff != "" {
		t.Error(diff)
	}
}

func TestClocksThatDisagree(t *testing.T) {
	c := newClock()
	dsn := testkit.SQLiteDSN(t)
	open := func() *db.DB { return testkit.Open(t, dsn) }
	a := ringWith(t, Config{DB: open(), Clock: c.Now})
	late := ring(t, Config{DB: open(), Clock: func() time.Time { return c.Now().Add(-4 * time.Minute) }})
	token := mustSign(t, late, tenantA, lasting(c.Now(), time.Hour)) // before the only key is active there
	if _, err := a.Verify(t.Context(), token); err != nil {
		t.Error(err)
	}
	c.Add(-time.Hour)
	mustSign(t, a, tenantA, lasting(c.Now(), time.Hour))
	if _, err := late.Verify(t.Context(), token); !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v, want not valid yet", err)
	}
}
