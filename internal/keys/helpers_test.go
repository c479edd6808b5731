package keys

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/testkit"
)

const tenantA, tenantB = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"

const day = 24 * time.Hour

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = t
}

func (c *clock) Add(d time.Duration) { c.Set(c.Now().Add(d)) }

// onEngines runs a test on both engines. open opens one more connection pool to
// the one database of the test, as another replica would.
func onEngines(t *testing.T, test func(t *testing.T, open func() *db.DB)) {
	t.Helper()
	testkit.EngineDSNs(t, func(t *testing.T, dsn string) {
		test(t, func() *db.DB { return testkit.Open(t, dsn) })
	})
}

func sqliteDB(t *testing.T) *db.DB { return testkit.SQLite(t) }

func testSealer(t testing.TB, seed byte) Sealer {
	t.Helper()
	s, err := NewSealer([]byte(strings.Repeat(string(rune('a'+seed)), SealerSize)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ring opens a Ring with cheap keys unless cfg says otherwise.
func ring(t *testing.T, cfg Config) *Ring {
	t.Helper()
	if cfg.Sealer == nil {
		cfg.Sealer = testSealer(t, 0)
	}
	if cfg.Algorithm == "" {
		cfg.Algorithm = ES256
	}
	r, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ringWith is ring with a first key for tenantA.
func ringWith(t *testing.T, cfg Config) *Ring {
	t.Helper()
	r := ring(t, cfg)
	ensure(t, r, tenantA)
	return r
}

func ensure(t *testing.T, r *Ring, tenantID string) {
	t.Helper()
	if err := r.EnsureTenant(t.Context(), tenantID); err != nil {
		t.Fatal(err)
	}
}

func mustSign(t *testing.T, r *Ring, tenantID string, claims any) string {
	t.Helper()
	token, err := r.Sign(t.Context(), tenantID, claims, false)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// lasting are the claims of a token from at for d.
func lasting(at time.Time, d time.Duration) map[string]any {
	return map[string]any{"sub": "s", "nbf": at.Unix(), "exp": at.Add(d).Unix()}
}

func keysOf(t *testing.T, r *Ring, tenantID string) []Key {
	t.Helper()
	keys, err := r.Keys(t.Context(), tenantID)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func kidOf(t *testing.T, token string) string {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	if err != nil {
		t.Fatal(err)
	}
	var header struct {
		KeyID string `json:"kid"`
	}
	if err := json.Unmarshal(data, &header); err != nil {
		t.Fatal(err)
	}
	return header.KeyID
}
