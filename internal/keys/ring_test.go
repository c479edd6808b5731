package keys

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/db"

	"github.com/entente-id/entente/internal/testkit"
)

func TestOpenRefuses(t *testing.T) {
	d, s := sqliteDB(t), testSealer(t, 0)
	for name, cfg := range map[string]Config{
		"no database":                      {Sealer: s},
		"no sealer":                        {DB: d},
		"an algorithm that is not ours":    {DB: d, Sealer: s, Algorithm: "HS256"},
		"a short key":                      {DB: d, Sealer: s, Bits: 1024},
		"a huge key":                       {DB: d, Sealer: s, Bits: 16384},
		"a negative lifetime":              {DB: d, Sealer: s, TokenLifetime: -1},
		"rotation faster than publication": {DB: d, Sealer: s, RotateEvery: day},
	} {
		if _, err := Open(t.Context(), cfg); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{DB: d, Sealer: s}); err == nil {
		t.Error("a database that cannot be read was accepted")
	}
}

func TestAnotherKeyEncryptionKey(t *testing.T) {
	onEngines(t, func(t *testing.T, open func() *db.DB) {
		early := ring(t, Config{DB: open(), Sealer: testSealer(t, 1)}) // opened while the ring was empty
		ringWith(t, Config{DB: open(), Sealer: testSealer(t, 0)})
		_, err := Open(t.Context(), Config{DB: open(), Sealer: testSealer(t, 1)})
		if !errors.Is(err, ErrSealer) || !strings.Contains(err.Error(), "--key-encryption-key") {
			t.Errorf("got %v, want ErrSealer that names the flag", err)
		}
		if _, err := early.Sign(t.Context(), tenantA, map[string]any{}, false); !errors.Is(err, ErrSealer) {
			t.Errorf("got %v, want ErrSealer", err)
		}
	})
}

// Whoever can write to the database, but has not the key-encryption key, gains no key.
func TestForgedRows(t *testing.T) {
	onEngines(t, func(t *testing.T, open func() *db.DB) {
		c := newClock()
		d := open()
		r := ringWith(t, Config{DB: d, Clock: c.Now})
		ensure(t, r, tenantB)
		exec := func(text string, args ...any) {
			t.Helper()
			if err := d.Update(t.Context(), func(tx *sql.Tx) error {
				_, err := tx.ExecContext(t.Context(), text, args...)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		// The forger's ring has the same column values but for the key that sealed it.
		forger := ringWith(t, Config{DB: sqliteDB(t), Clock: c.Now, Sealer: testSealer(t, 1)})
		forged := mustSign(t, forger, tenantA, lasting(c.Now(), time.Hour))
		var jwk, sealed string
		if err := forger.cfg.DB.Read().QueryRowContext(t.Context(), `SELECT public_jwk, sealed FROM signing_keys`).Scan(&jwk, &sealed); err != nil {
			t.Fatal(err)
		}
		exec(`INSERT INTO signing_keys (kid, tenant_id, alg, public_jwk, sealed, sealer, created_at, activate_at, retire_at) VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0)`,
			kidOf(t, forged), tenantA, ES256, jwk, sealed, sealerID(r.cfg.Sealer))
		// A key of tenant B in tenant A.
		moved := mustSign(t, r, tenantB, lasting(c.Now(), time.Hour))
		exec(`UPDATE signing_keys SET tenant_id = $1 WHERE tenant_id = $2`, tenantA, tenantB)
		c.Add(soft)

		fresh := ring(t, Config{DB: open(), Clock: c.Now})
		for name, r := range map[string]*Ring{"running": r, "restarted": fresh} {
			for what, token := range map[string]string{"forged": forged, "moved": moved} {
				if got, err := r.Verify(t.Context(), token); err == nil {
					t.Errorf("%s: a %s key verifies for tenant %q", name, what, got.TenantID)
				}
			}
			public, err := r.Public(t.Context(), tenantA)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range joseSet(t, public).Keys {
				if k.KeyID == kidOf(t, forged) || k.KeyID == kidOf(t, moved) {
					t.Errorf("%s: key %q is published", name, k.KeyID)
				}
			}
		}
	})
}

func TestNothingSecretIsStored(t *testing.T) {
	dir := t.TempDir()
	d := testkit.Open(t, filepath.Join(dir, "entente.db"))
	r := ringWith(t, Config{DB: d, Algorithm: RS256})
	kid := kidOf(t, mustSign(t, r, tenantA, map[string]any{}))
	private := r.snap.Load().kids[kid].opened.Load().signer.(*rsa.PrivateKey)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		found = found || bytes.Contains(data, []byte(kid))
		for what, secret := range map[string][]byte{"d": private.D.Bytes(), "p": private.Primes[0].Bytes(), "q": private.Primes[1].Bytes(), "the key": der} {
			for _, form := range []string{string(secret), base64.StdEncoding.EncodeToString(secret), base64.RawURLEncoding.EncodeToString(secret)} {
				if bytes.Contains(data, []byte(form)) {
					t.Errorf("%s holds %s", f.Name(), what)
				}
			}
		}
	}
	if !found {
		t.Error("the key is in none of the files that were searched")
	}
}

func TestReplicasSeeEachOther(t *testing.T) {
	onEngines(t, func(t *testing.T, open func() *db.DB) {
		c := newClock()
		a, b := ringWith(t, Config{DB: open(), Clock: c.Now}), ring(t, Config{DB: open(), Clock: c.Now})
		if _, err := b.Verify(t.Context(), mustSign(t, a, tenantA, lasting(c.Now(), time.Hour))); err != nil {
			t.Fatal(err)
		}
		key, err := a.Rotate(t.Context(), tenantA)
		if err != nil {
			t.Fatal(err)
		}
		c.Add(soft)
		public, err := b.Public(t.Context(), tenantA)
		if err != nil {
			t.Fatal(err)
		}
		if set := joseSet(t, public); len(set.Key(key.ID)) != 1 {
			t.Errorf("%s after the rotation the other replica does not publish the new key", soft)
		}
		c.Add(day) // nobody has looked since
		token := mustSign(t, b, tenantA, lasting(c.Now(), time.Hour))
		if kidOf(t, token) != key.ID {
			t.Error("the other replica signs with the previous key")
		}
		if _, err := a.Verify(t.Context(), token); err != nil {
			t.Error(err)
		}
	})
}
