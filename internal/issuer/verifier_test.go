package issuer

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

func TestVerifyReturnsWhatTheTokenSays(t *testing.T) {
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	v, _ := newVerifier(t, Config{})
	p, err := verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, "")
	if p.Issuer != f.url || p.Subject != "system:serviceaccount:ns1:sa1" || p.KeyID != "k1" || !p.Expiry.Equal(epoch.Add(time.Hour)) {
		t.Errorf("got %+v", p)
	}
	if f.discovery != 1 || f.keys != 1 {
		t.Errorf("asked %d+%d times", f.discovery, f.keys)
	}
}

func TestAlgorithms(t *testing.T) {
	all := []string{"RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"}
	var every []*signer
	for _, alg := range all {
		every = append(every, newSigner(t, alg, alg))
	}
	f := newFakeIssuer(t, every...)
	v, _ := newVerifier(t, Config{})
	for _, s := range every {
		token := s.sign(t, claims(f.url), nil)
		src := f.source()
		src.Algorithms = []string{s.alg}
		_, err := verify(v, t.Context(), src, token)
		wantKind(t, err, "")

		src.Algorithms = nil // RS256 only
		want := AlgorithmNotAllowed
		if s.alg == "RS256" {
			want = ""
		}
		_, err = verify(v, t.Context(), src, token)
		wantKind(t, err, want)
	}
	if n := f.fetches(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestForgeries: none of these is accepted, and none makes the issuer be asked again.
func TestForgeries(t *testing.T) {
	k1 := newSigner(t, "k1", "RS256")
	e1 := newSigner(t, "e1", "ES256")
	f := newFakeIssuer(t, k1, e1)
	src := f.source()
	v, _ := newVerifier(t, Config{})
	_, err := verify(v, t.Context(), src, f.token())
	wantKind(t, err, "")

	der, err := x509.MarshalPKIXPublicKey(k1.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := k1.jwk()
	jwk, err := public.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims(f.url))
	if err != nil {
		t.Fatal(err)
	}
	mac := func(alg string, secret []byte) string {
		e := base64.RawURLEncoding.EncodeToString
		input := e([]byte(`{"alg":"`+alg+`","kid":"k1"}`)) + "." + e(payload)
		h := hmac.New(sha256.New, secret)
		h.Write([]byte(input))
		return input + "." + e(h.Sum(nil))
	}
	attacker := &signer{kid: "k1", alg: "RS256", key: newSigner(t, "attacker", "RS256").key}
	attackerJWK := attacker.jwk()
	good := strings.Split(f.token(), ".")
	otherClaims := claims(f.url)
	otherClaims["sub"] = "system:serviceaccount:kube-system:admin"
	otherPayload, err := json.Marshal(otherClaims)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		token string
		want  ErrKind
	}{
		"none":                     {encodeParts(`{"alg":"none","kid":"k1"}`, string(payload), "x"), AlgorithmNotAllowed},
		"None":                     {encodeParts(`{"alg":"None","kid":"k1"}`, string(payload), "x"), AlgorithmNotAllowed},
		"empty alg":                {encodeParts(`{"alg":"","kid":"k1"}`, string(payload), "x"), AlgorithmNotAllowed},
		"rs256":                    {encodeParts(`{"alg":"rs256","kid":"k1"}`, string(payload), "x"), AlgorithmNotAllowed},
		"HMAC by DER":              {mac("HS256", der), AlgorithmNotAllowed},
		"HMAC by PEM":              {mac("HS256", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), AlgorithmNotAllowed},
		"HMAC by JWK":              {mac("HS256", jwk), AlgorithmNotAllowed},
		"HMAC by DER, named RS256": {mac("RS256", der), BadSignature},
		"attacker's key":           {attacker.sign(t, payload, nil), BadSignature},
		"attacker's key within":    {attacker.sign(t, payload, map[jose.HeaderKey]any{"jwk": attackerJWK}), BadSignature},
		"attacker's key by URL":    {attacker.sign(t, payload, map[jose.HeaderKey]any{"jku": "https://attacker.example/"}), BadSignature},
		"another payload":          {good[0] + "." + base64.RawURLEncoding.EncodeToString(otherPayload) + "." + good[2], BadSignature},
		"another header":           {base64.RawURLEncoding.EncodeToString([]byte(`{"kid":"k1","alg":"RS256"}`)) + "." + good[1] + "." + good[2], BadSignature},
		"key of another kind":      {encodeParts(`{"alg":"RS256","kid":"e1"}`, string(payload), "x"), KeyUnsuitable},
		"another issuer":           {k1.sign(t, claims("https://issuer.example/"), nil), IssuerMismatch},
		"issuer without slash":     {k1.sign(t, claims(strings.TrimSuffix(f.url, "/")), nil), IssuerMismatch},
		"no exp":                   {k1.sign(t, map[string]any{"iss": f.url, "sub": "s", "aud": "a"}, nil), Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := verify(v, t.Context(), src, c.token)
			wantKind(t, err, c.want)
			if p.Subject != "" {
				t.Errorf("refused, but returned %+v", p)
			}
		})
	}
	if n := f.fetches(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestErrorSaysWhichTokenAndIssuer(t *testing.T) {
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	v, _ := newVerifier(t, Config{})
	token := newSigner(t, "k9", "RS256").sign(t, claims(f.url), nil)
	_, err := verify(v, t.Context(), f.source(), token)
	wantKind(t, err, KeyNotFound)
	e := err.(*Error)
	if e.Issuer != f.url || e.KeyID != "k9" || e.Algorithm != "RS256" || e.Retryable() {
		t.Errorf("got %+v", e)
	}
}

func TestTokenWithoutKid(t *testing.T) {
	one, two, ec := newSigner(t, "", "RS256"), &signer{alg: "RS256", key: newSigner(t, "two", "RS256").key}, newSigner(t, "ec", "ES256")
	f := newFakeIssuer(t, one)
	v, clock := newVerifier(t, Config{})
	token := one.sign(t, claims(f.url), nil)

	f.publish(one, ec) // the only RSA key
	_, err := verify(v, t.Context(), f.source(), token)
	wantKind(t, err, "")

	// The one key is replaced: a signature by the new one is worth a fetch.
	f.publish(two)
	clock.advance(10 * time.Second)
	_, err = verify(v, t.Context(), f.source(), two.sign(t, claims(f.url), nil))
	wantKind(t, err, "")
	if n := f.fetches(); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}

	// Two keys fit: neither is guessed.
	f.publish(one, two)
	clock.advance(time.Hour)
	_, err = verify(v, t.Context(), f.source(), token)
	wantKind(t, err, KeyNotFound)
}

func TestUnusableKeyIsNamed(t *testing.T) {
	k1 := newSigner(t, "k1", "RS256")
	f := newFakeIssuer(t, k1)
	f.publishRaw(keySetJSON(t, nil, `{"kty":"RSA","kid":"k1","use":"enc","n":"`+member(t, k1, "n")+`","e":"AQAB"}`))
	v, clock := newVerifier(t, Config{})
	for range 3 {
		_, err := verify(v, t.Context(), f.source(), f.token())
		wantKind(t, err, KeyUnsuitable)
		if !strings.Contains(err.Error(), `"use"`) {
			t.Errorf("got %v", err)
		}
		clock.advance(10 * time.Second)
	}
	if n := f.fetches(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestUploadedKeysAreNeverFetched(t *testing.T) {
	k1, k2 := newSigner(t, "k1", "RS256"), newSigner(t, "k2", "RS256")
	f := newFakeIssuer(t, k1)
	src := f.source()
	src.Kind, src.KeySet = Uploaded, keySetJSON(t, []*signer{k1})
	v, clock := newVerifier(t, Config{})
	for range 2 {
		_, err := verify(v, t.Context(), src, f.token())
		wantKind(t, err, "")
		_, err = verify(v, t.Context(), src, k2.sign(t, claims(f.url), nil))
		wantKind(t, err, KeyNotFound)
		clock.advance(48 * time.Hour)
	}

	// Another upload counts at once, even if somebody forgot to count the revision.
	src.KeySet = keySetJSON(t, []*signer{k2})
	_, err := verify(v, t.Context(), src, f.token())
	wantKind(t, err, KeyNotFound)
	_, err = verify(v, t.Context(), src, k2.sign(t, claims(f.url), nil))
	wantKind(t, err, "")

	if s, err := v.Status(t.Context(), src); err != nil || len(s.Keys) != 1 || s.Keys[0].ID != "k2" || !s.FetchedAt.IsZero() {
		t.Errorf("status %+v, %v", s, err)
	}
	if r, err := v.Check(t.Context(), src); err != nil || len(r.Keys) != 1 || r.JWKSURI != "" {
		t.Errorf("report %+v, %v", r, err)
	}

	src.KeySet = []byte(`{}`)
	_, err = verify(v, t.Context(), src, f.token())
	wantKind(t, err, InvalidDocument)
	_, err = v.Status(t.Context(), src)
	wantKind(t, err, InvalidDocument)
	if n := f.fetches(); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

func TestTwoIssuersWithOneKidDoNotMix(t *testing.T) {
	ka := newSigner(t, "same", "RS256")
	kb := &signer{kid: "same", alg: "RS256", key: newSigner(t, "b", "RS256").key}
	a, b := newFakeIssuer(t, ka), newFakeIssuer(t, kb)
	d := openDB(t)
	v, _ := newVerifier(t, Config{DB: d})
	srcA, srcB := a.source(), b.source()
	otherTenant := a.source() // the same issuer, registered elsewhere with b's keys
	otherTenant.TenantID, otherTenant.Kind, otherTenant.KeySet = "other", Uploaded, keySetJSON(t, []*signer{kb})
	for range 2 {
		for _, c := range []struct {
			src   Source
			by    *signer
			iss   string
			want  ErrKind
			label string
		}{
			{srcA, ka, a.url, "", "a"},
			{srcB, kb, b.url, "", "b"},
			{srcA, kb, a.url, BadSignature, "b's key for a"},
			{srcB, ka, b.url, BadSignature, "a's key for b"},
			{srcA, kb, b.url, IssuerMismatch, "b's token for a"},
			{otherTenant, ka, a.url, BadSignature, "a's key in the other tenant"},
			{otherTenant, kb, a.url, "", "b's key in the other tenant"},
		} {
			_, err := verify(v, t.Context(), c.src, c.by.sign(t, claims(c.iss), nil))
			if KindOf(err) != c.want {
				t.Errorf("%s: %v, want %q", c.label, err, c.want)
			}
		}
		v, _ = newVerifier(t, Config{DB: d}) // and from the database
	}
	if a.fetches() != 1 || b.fetches() != 1 {
		t.Errorf("asked %d and %d times", a.fetches(), b.fetches())
	}
}

func BenchmarkVerify(b *testing.B) {
	s := newSigner(b, "k1", "RS256")
	src := Source{TenantID: "t", ID: "i", URL: "https://issuer.example/", Kind: Uploaded, KeySet: keySetJSON(b, []*signer{s})}
	token := s.sign(b, claims(src.URL), nil)
	v, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := verify(v, b.Context(), src, token); err != nil {
			b.Fatal(err)
		}
	}
}
