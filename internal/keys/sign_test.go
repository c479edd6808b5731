package keys

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
)

// joseSet reads our key set as a stranger does.
func joseSet(t *testing.T, data []byte) *jose.JSONWebKeySet {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(data, &set); err != nil {
		t.Fatalf("key set: %v\n%s", err, data)
	}
	return &set
}

func TestTokensVerifyElsewhere(t *testing.T) {
	now := time.Now()
	for _, alg := range []string{RS256, ES256} {
		for _, v1 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s v1=%v", alg, v1), func(t *testing.T) {
				r := ringWith(t, Config{DB: sqliteDB(t), Algorithm: alg})
				claims := map[string]any{"iss": "https://entente.example/t/v2.0", "aud": "api", "sub": "s", "exp": now.Add(time.Hour).Unix(), "odd": "<&>\u2028"}
				token, err := r.Sign(t.Context(), tenantA, claims, v1)
				if err != nil {
					t.Fatal(err)
				}
				public, err := r.Public(t.Context(), tenantA)
				if err != nil {
					t.Fatal(err)
				}
				set := joseSet(t, public)
				if len(set.Keys) != 1 {
					t.Fatalf("got %d keys, want 1", len(set.Keys))
				}
				key := set.Keys[0]
				if thumb, err := key.Thumbprint(5 /* crypto.SHA256 */); err != nil || base64.RawURLEncoding.EncodeToString(thumb) != key.KeyID {
					t.Errorf("kid %q is not the thumbprint (%v)", key.KeyID, err)
				}
				if key.Algorithm != alg || key.Use != "sig" || !key.IsPublic() || !key.Valid() {
					t.Errorf("got key %+v", key)
				}
				want := fmt.Sprintf(`{"typ":"JWT","alg":%q,"kid":%q}`, alg, key.KeyID)
				if v1 {
					want = fmt.Sprintf(`{"typ":"JWT","alg":%q,"x5t":%q,"kid":%q}`, alg, key.KeyID, key.KeyID)
				}
				if header, _ := base64.RawURLEncoding.Strict().DecodeString(strings.Split(token, ".")[0]); string(header) != want {
					t.Errorf("header %s, want %s", header, want)
				}

				jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
				if err != nil {
					t.Fatal(err)
				}
				payload, err := jws.Verify(set)
				if err != nil {
					t.Fatal(err)
				}
				var got map[string]any
				if err := json.Unmarshal(payload, &got); err != nil {
					t.Fatal(err)
				}
				claims["exp"] = float64(now.Add(time.Hour).Unix())
				if diff := cmp.Diff(claims, got); diff != "" {
					t.Errorf("claims (-signed +read):\n%s", diff)
				}
				keySet := &oidc.StaticKeySet{}
				keySet.PublicKeys = append(keySet.PublicKeys, key.Key)
				verifier := oidc.NewVerifier("https://entente.example/t/v2.0", keySet, &oidc.Config{ClientID: "api", SupportedSigningAlgs: []string{alg}})
				if _, err := verifier.Verify(t.Context(), token); err != nil {
					t.Errorf("go-oidc: %v", err)
				}
				verified, err := r.Verify(t.Context(), token)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(Verified{TenantID: tenantA, KeyID: key.KeyID, Payload: payload}, verified); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestSignatureHasFixedLength(t *testing.T) {
	r := ringWith(t, Config{DB: sqliteDB(t)})
	for i := range 600 { // one r or s in 256 has a leading zero byte
		token := mustSign(t, r, tenantA, map[string]any{"i": i, "exp": time.Now().Add(time.Hour).Unix()})
		if sig := token[strings.LastIndexByte(token, '.')+1:]; len(sig) != 86 {
			t.Fatalf("signature has %d characters, want 86", len(sig))
		}
		if _, err := r.Verify(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	r := ringWith(t, Config{DB: sqliteDB(t)})
	for name, claims := range map[string]any{"an array": []int{1}, "null": nil, "a string": "x", "what is not JSON": func() {}} {
		if token, err := r.Sign(t.Context(), tenantA, claims, false); err == nil {
			t.Errorf("%s: signed %q", name, token)
		}
	}
	if _, err := r.Sign(t.Context(), tenantB, map[string]any{}, false); !errors.Is(err, ErrNoKey) {
		t.Errorf("a tenant without key: got %v, want ErrNoKey", err)
	}
	if _, err := r.Public(t.Context(), tenantB); !errors.Is(err, ErrNoKey) {
		t.Errorf("key set of a tenant without key: got %v, want ErrNoKey", err)
	}
	if keys := keysOf(t, r, tenantB); keys != nil {
		t.Errorf("got keys %v", keys)
	}
}

func TestSigningDoesNotRead(t *testing.T) {
	c := newClock()
	r := ringWith(t, Config{DB: sqliteDB(t), Clock: c.Now})
	before := r.reads.Load()
	for range 100 {
		mustSign(t, r, tenantA, lasting(c.Now(), time.Hour))
	}
	if n := r.reads.Load() - before; n != 0 {
		t.Errorf("the table was read %d times, want 0", n)
	}
	c.Add(soft)
	for range 100 {
		mustSign(t, r, tenantA, lasting(c.Now(), time.Hour))
	}
	if n := r.reads.Load() - before; n != 1 {
		t.Errorf("a while later the table was read %d times, want 1", n)
	}
}

func TestSigningOutlivesTheDatabase(t *testing.T) {
	c := newClock()
	d := sqliteDB(t)
	r := ringWith(t, Config{DB: d, Clock: c.Now})
	token := mustSign(t, r, tenantA, lasting(c.Now(), day))
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for _, d := range []time.Duration{time.Second, soft, hard, day - time.Hour} {
		c.Add(d)
		if _, err := r.Sign(t.Context(), tenantA, lasting(c.Now(), time.Hour), false); err != nil {
			t.Errorf("%s later: %v", d, err)
		}
	}
	if _, err := r.Verify(t.Context(), token); err != nil {
		t.Errorf("verify: %v", err)
	}
	// From here on a key that another replica published may have become the current one.
	c.Add(time.Hour)
	if _, err := r.Sign(t.Context(), tenantA, lasting(c.Now(), time.Hour), false); err == nil {
		t.Error("signed with keys that may be out of date")
	}
	// What is not known is in doubt, not foreign.
	foreign := tokenHeader(ES256, strings.Repeat("x", kidLength), false) + ".e30.AA"
	before := r.reads.Load()
	for range 100 {
		if _, err := r.Verify(t.Context(), foreign); err == nil || errors.Is(err, ErrForeign) {
			t.Fatalf("got %v, want an error that is not ErrForeign", err)
		}
	}
	if n := r.reads.Load() - before; n > 1 {
		t.Errorf("a database that is down was asked %d times at one moment", n)
	}
}
