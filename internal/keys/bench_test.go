package keys

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"io"
	"path/filepath"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/db"
)

func benchRing(b *testing.B, alg string) *Ring {
	d, err := db.Open(b.Context(), filepath.Join(b.TempDir(), "entente.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { d.Close() })
	r, err := Open(b.Context(), Config{DB: d, Sealer: testSealer(b, 0), Algorithm: alg})
	if err != nil {
		b.Fatal(err)
	}
	if err := r.EnsureTenant(b.Context(), tenantA); err != nil {
		b.Fatal(err)
	}
	return r
}

// benchClaims are of the size and shape of a real access token's.
func benchClaims() any {
	now := time.Now().Unix()
	return struct {
		Audience  string   `json:"aud"`
		Issuer    string   `json:"iss"`
		IssuedAt  int64    `json:"iat"`
		NotBefore int64    `json:"nbf"`
		Expiry    int64    `json:"exp"`
		AppID     string   `json:"appid"`
		ObjectID  string   `json:"oid"`
		Roles     []string `json:"roles"`
		Subject   string   `json:"sub"`
		TenantID  string   `json:"tid"`
		Version   string   `json:"ver"`
	}{"https://management.azure.com/", "https://sts.entente.example/" + tenantA + "/", now, now, now + 3600, tenantB, tenantB, []string{"Tasks.Read"}, tenantB, tenantA, "1.0"}
}

// BenchmarkSign is to be read beside BenchmarkSignatureAlone: the difference is all that Sign adds.
func BenchmarkSign(b *testing.B) {
	for _, alg := range []string{RS256, ES256} {
		b.Run(alg, func(b *testing.B) {
			r, claims := benchRing(b, alg), benchClaims()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Sign(b.Context(), tenantA, claims, true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSignatureAlone(b *testing.B) {
	for _, alg := range []string{RS256, ES256} {
		b.Run(alg, func(b *testing.B) {
			key, err := generate(alg, 2048)
			if err != nil {
				b.Fatal(err)
			}
			digest := sha256.Sum256([]byte("x"))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := key.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// noSignature is a key whose signatures cost nothing.
type noSignature struct{ crypto.Signer }

func (noSignature) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return make([]byte, 256), nil
}

// BenchmarkSignWithoutSignature is what Sign costs besides the signature.
func BenchmarkSignWithoutSignature(b *testing.B) {
	r, claims := benchRing(b, RS256), benchClaims()
	if _, err := r.Sign(b.Context(), tenantA, claims, true); err != nil {
		b.Fatal(err)
	}
	for _, k := range r.snap.Load().kids {
		p := k.opened.Load()
		k.opened.Store(&pair{signer: noSignature{p.signer}, jwk: p.jwk})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Sign(b.Context(), tenantA, claims, true); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, alg := range []string{RS256, ES256} {
		b.Run(alg, func(b *testing.B) {
			r := benchRing(b, alg)
			token, err := r.Sign(b.Context(), tenantA, benchClaims(), true)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkVerifyForeign is a flood of tokens under key ids that nobody has.
func BenchmarkVerifyForeign(b *testing.B) {
	r := benchRing(b, RS256)
	token := tokenHeader(RS256, randomKid(), true) + ".e30.AAAA"
	b.ReportAllocs()
	for b.Loop() {
		r.Verify(b.Context(), token)
	}
}
