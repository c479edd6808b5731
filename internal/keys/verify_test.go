package keys

import (
	"crypto"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/db"
)

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func TestVerifyRefuses(t *testing.T) {
	c := newClock()
	r := ringWith(t, Config{DB: sqliteDB(t), Clock: c.Now})
	stranger := ringWith(t, Config{DB: sqliteDB(t), Clock: c.Now})
	good := mustSign(t, r, tenantA, lasting(c.Now(), time.Hour))
	kid := kidOf(t, good)
	header, payload, signature, _ := split(good)
	key, err := r.snap.Load().kids[kid].open(t.Context(), r.cfg.DB.Read(), r.cfg.Sealer)
	if err != nil {
		t.Fatal(err)
	}
	// signed makes a token with our key under any header and payload: what a bug in Sign could do.
	signed := func(header, payload string) string {
		input := b64(header) + "." + b64(payload)
		sig, err := sign(key.signer, ES256, []byte(input))
		if err != nil {
			t.Fatal(err)
		}
		return input + "." + base64.RawURLEncoding.EncodeToString(sig)
	}
	ours := fmt.Sprintf(`{"typ":"JWT","alg":"ES256","kid":%q}`, kid)
	at := func(name string, d time.Duration) string {
		return fmt.Sprintf(`%q:%d`, name, c.Now().Add(d).Unix())
	}
	hs := func() string {
		h := fmt.Sprintf(`{"typ":"JWT","alg":"HS256","kid":%q}`, kid)
		input := b64(h) + "." + payload
		mac := hmac.New(sha256.New, key.jwk)
		mac.Write([]byte(input))
		return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	for _, tt := range []struct {
		name, token string
		want        error
	}{
		{"good", good, nil},
		{"empty", "", ErrInvalid},
		{"two parts", header + "." + payload, ErrInvalid},
		{"four parts", good + ".x", ErrInvalid},
		{"too long", header + "." + strings.Repeat("A", maxToken) + "." + signature, ErrInvalid},
		{"a stranger's", mustSign(t, stranger, tenantA, lasting(c.Now(), time.Hour)), ErrForeign},
		{"alg none", b64(fmt.Sprintf(`{"typ":"JWT","alg":"none","kid":%q}`, kid)) + "." + payload + ".", ErrForeign},
		{"HMAC with the public key", hs(), ErrForeign},
		{"another alg of the same length", signed(fmt.Sprintf(`{"typ":"JWT","alg":"RS256","kid":%q}`, kid), `{"exp":9999999999}`), ErrForeign},
		{"members in another order", signed(fmt.Sprintf(`{"alg":"ES256","typ":"JWT","kid":%q}`, kid), `{"exp":9999999999}`), ErrForeign},
		{"crit", signed(fmt.Sprintf(`{"typ":"JWT","alg":"ES256","kid":%q,"crit":["exp"],"exp":1}`, kid), `{"exp":9999999999}`), ErrForeign},
		{"no signature", header + "." + payload + ".", ErrInvalid},
		{"another payload", header + "." + b64(`{"exp":9999999999}`) + "." + signature, ErrInvalid},
		{"signature of zeros", header + "." + payload + "." + strings.Repeat("A", 86), ErrInvalid},
		{"short signature", header + "." + payload + "." + signature[:84], ErrInvalid},
		{"padded", good + "==", ErrInvalid},
		{"line end after it", good + "\n", ErrInvalid},
		{"line end within", good[:len(good)-4] + "\r\n" + good[len(good)-4:], ErrInvalid},
		{"line end in the payload", header + "." + payload[:4] + "\n" + payload[4:] + "." + signature, ErrInvalid},
		{"not canonical", good[:len(good)-1] + sibling(good[len(good)-1]), ErrInvalid},
		{"no exp", signed(ours, `{"sub":"s"}`), ErrInvalid},
		{"exp null", signed(ours, `{"exp":null}`), ErrInvalid},
		{"exp a string", signed(ours, `{"exp":"9999999999"}`), ErrInvalid},
		{"exp in capitals", signed(ours, `{"EXP":9999999999}`), ErrInvalid},
		{"exp twice", signed(ours, `{"exp":1,"exp":9999999999}`), ErrInvalid},
		{"not an object", signed(ours, `[1]`), ErrInvalid},
		{"expired 299 s ago", signed(ours, "{"+at("exp", -299*time.Second)+"}"), nil},
		{"expired 300 s ago", signed(ours, "{"+at("exp", -300*time.Second)+"}"), ErrExpired},
		{"valid in 300 s", signed(ours, "{"+at("exp", time.Hour)+","+at("nbf", 300*time.Second)+"}"), nil},
		{"valid in 301 s", signed(ours, "{"+at("exp", time.Hour)+","+at("nbf", 301*time.Second)+"}"), ErrInvalid},
	} {
		got, err := r.Verify(t.Context(), tt.token)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
		if (err == nil) != (got.KeyID == kid) || (err == nil) != (got.TenantID == tenantA) {
			t.Errorf("%s: got %+v with error %v", tt.name, got, err)
		}
	}
}

// sibling returns a character that decodes like c where only its first two bits count.
func sibling(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)^1])
}

func randomKid() string {
	b := make([]byte, 32)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

func TestFloodOfKeyIDs(t *testing.T) {
	onEngines(t, func(t *testing.T, open func() *db.DB) {
		c := newClock()
		a := ring(t, Config{DB: open(), Clock: c.Now})
		b := ring(t, Config{DB: open(), Clock: c.Now})
		flood := func() {
			for range 2000 {
				kid := randomKid()
				token := tokenHeader(RS256, kid, false) + ".e30.AAAA"
				if _, err := b.Verify(t.Context(), token); !errors.Is(err, ErrForeign) {
					t.Fatalf("got %v, want ErrForeign", err)
				}
				if b.Ours(t.Context(), kid, token) {
					t.Fatal("a made-up token is ours")
				}
			}
		}
		before := b.reads.Load()
		flood()
		if n := b.reads.Load() - before; n > spare {
			t.Errorf("a flood at one moment caused %d reads, want at most %d", n, spare)
		}
		// A key from elsewhere is found within a second, flood or no flood.
		ensure(t, a, tenantA)
		token := mustSign(t, a, tenantA, lasting(c.Now(), time.Hour))
		c.Add(unknown)
		before = b.reads.Load()
		flood()
		if _, err := b.Verify(t.Context(), token); err != nil {
			t.Errorf("a key that another replica made: %v", err)
		}
		if n := b.reads.Load() - before; n > 2 {
			t.Errorf("the next second caused %d reads, want at most 2", n)
		}
	})
}

func TestNewKeyIsSeenAtOnce(t *testing.T) {
	onEngines(t, func(t *testing.T, open func() *db.DB) {
		c := newClock() // stands still: no interval passes
		a, b := ring(t, Config{DB: open(), Clock: c.Now}), ring(t, Config{DB: open(), Clock: c.Now})
		ensure(t, a, tenantA)
		if _, err := b.Verify(t.Context(), mustSign(t, a, tenantA, lasting(c.Now(), time.Hour))); err != nil {
			t.Errorf("verify: %v", err)
		}
		ensure(t, b, tenantB)
		mustSign(t, a, tenantB, lasting(c.Now(), time.Hour))
		if _, err := a.Public(t.Context(), tenantB); err != nil {
			t.Errorf("publish: %v", err)
		}
	})
}

func TestOurs(t *testing.T) {
	onEngines(t, func(t *testing.T, open func() *db.DB) {
		c := newClock()
		r := ring(t, Config{DB: open(), Clock: c.Now})
		other := ring(t, Config{DB: open(), Clock: c.Now})
		ensure(t, r, tenantA)
		ensure(t, r, tenantB)
		stranger := ringWith(t, Config{DB: sqliteDB(t), Clock: c.Now})

		a := mustSign(t, r, tenantA, lasting(c.Now(), time.Hour))
		b := mustSign(t, r, tenantB, lasting(c.Now(), time.Hour))
		v1, err := r.Sign(t.Context(), tenantA, lasting(c.Now(), time.Hour), true)
		if err != nil {
			t.Fatal(err)
		}
		foreign := mustSign(t, stranger, tenantA, lasting(c.Now(), time.Hour))
		header, payload, signature, _ := split(a)

		// (r, n-s) is a second signature of the same input, without any key.
		raw, _ := base64.RawURLEncoding.DecodeString(signature)
		s := new(big.Int).Sub(elliptic.P256().Params().N, new(big.Int).SetBytes(raw[32:]))
		s.FillBytes(raw[32:])
		twin := header + "." + payload + "." + base64.RawURLEncoding.EncodeToString(raw)

		for _, tt := range []struct {
			name, kid, token string
			want             bool
		}{
			{"ours", kidOf(t, a), a, true},
			{"version 1.0", kidOf(t, v1), v1, true},
			{"another tenant's", kidOf(t, b), b, true},
			{"kid not given", "", a, true},
			{"kid misread", "prod-cluster", a, true},
			{"kid of another key of ours", kidOf(t, b), a, true},
			{"expired", kidOf(t, a), mustSign(t, r, tenantA, lasting(c.Now().Add(-day), time.Hour)), true},
			{"without exp", kidOf(t, a), mustSign(t, r, tenantA, map[string]any{}), true},
			{"second signature", kidOf(t, a), twin, true},
			{"not canonical", kidOf(t, a), a[:len(a)-1] + sibling(a[len(a)-1]), true},
			{"line end and padding", kidOf(t, a), a + "==\n", true},
			{"a stranger's", kidOf(t, foreign), foreign, false},
			{"a stranger's with our kid beside it", kidOf(t, a), foreign, false},
			{"our header, no signature of ours", kidOf(t, a), header + "." + b64(`{"iss":"https://x"}`) + "." + signature, false},
			{"a cluster's short kid", "k1", b64(`{"alg":"RS256","kid":"k1"}`) + "." + payload + ".AAAA", false},
			{"no kid", "", b64(`{"alg":"RS256"}`) + "." + payload + ".AAAA", false},
			{"empty", "", "", false},
			{"two parts", kidOf(t, a), header + "." + payload, false},
		} {
			if got := r.Ours(t.Context(), tt.kid, tt.token); got != tt.want {
				t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
			}
		}
		c.Add(unknown)
		if !other.Ours(t.Context(), kidOf(t, a), a) {
			t.Error("a token of another replica is not ours")
		}
	})
}

func TestOursReadsOncePerSecond(t *testing.T) {
	c := newClock()
	r := ring(t, Config{DB: sqliteDB(t), Clock: c.Now})
	before := r.reads.Load()
	const seconds = 10
	for range seconds {
		c.Add(unknown)
		for range 50 {
			kid := randomKid()
			r.Ours(t.Context(), kid, tokenHeader(RS256, kid, false)+".e30.AAAA")
		}
	}
	if n := r.reads.Load() - before; n != seconds {
		t.Errorf("the table was read %d times in %d seconds", n, seconds)
	}
}

func TestDescribeRefuses(t *testing.T) {
	key, err := generate(ES256, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, public := range []crypto.PublicKey{nil, "key", key} {
		if _, _, _, err := describe(public); err == nil {
			t.Errorf("%T was described", public)
		}
	}
}
