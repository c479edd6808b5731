package localissuer

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

const testURL = "https://issuer.example/"

func noon() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 999, time.UTC) }

// newIssuer returns an issuer at testURL whose clock stands still; ES256 because its keys are made at once.
func newIssuer(t *testing.T) *Issuer {
	t.Helper()
	i, err := New(Config{URL: testURL, Algorithm: "ES256", Clock: noon})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func mint(t *testing.T, i *Issuer, token Token) string {
	t.Helper()
	raw, err := i.Mint(token)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// parts decodes the header and the payload of a compact token.
func parts(t *testing.T, token string) (header, payload string) {
	t.Helper()
	p := strings.Split(token, ".")
	if len(p) != 3 {
		t.Fatalf("token has %d parts", len(p))
	}
	var decoded [2]string
	for n := range decoded {
		raw, err := base64.RawURLEncoding.DecodeString(p[n])
		if err != nil {
			t.Fatal(err)
		}
		decoded[n] = string(raw)
	}
	return decoded[0], decoded[1]
}

func claims(t *testing.T, token string) map[string]any {
	t.Helper()
	_, payload := parts(t, token)
	var m map[string]any
	if err := json.Unmarshal([]byte(payload), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func keySet(t *testing.T, raw []byte) jose.JSONWebKeySet {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(raw, &set); err != nil {
		t.Fatal(err)
	}
	return set
}

func verify(t *testing.T, i *Issuer, token string) ([]byte, error) {
	t.Helper()
	set := keySet(t, i.JWKS())
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(i.config.Algorithm)})
	if err != nil {
		return nil, err
	}
	return jws.Verify(set)
}

func TestTokenIsByteForByteAClustersToken(t *testing.T) {
	i, err := New(Config{URL: testURL, Clock: noon})
	if err != nil {
		t.Fatal(err)
	}
	token := mint(t, i, Token{
		Namespace: "pets", ServiceAccount: "cat", ServiceAccountUID: "2417b4fd-0000-4000-8000-000000000001",
		Pod: "app", PodUID: "2417b4fd-0000-4000-8000-000000000002",
		Node: "node1", NodeUID: "2417b4fd-0000-4000-8000-000000000003",
		Audiences: []string{"api://AzureADTokenExchange"},
	})
	kid := keySet(t, i.JWKS()).Keys[0].KeyID
	header, payload := parts(t, token)
	if want := `{"alg":"RS256","kid":"` + kid + `"}`; header != want {
		t.Errorf("header %s, want %s", header, want)
	}
	jti, _ := claims(t, token)["jti"].(string)
	if id, err := uuid.Parse(jti); err != nil || id.Version() != 4 {
		t.Errorf("jti %q is not a random UUID", jti)
	}
	want := `{"aud":["api://AzureADTokenExchange"],"exp":1793538000,"iat":1793534400,"iss":"https://issuer.example/",` +
		`"jti":"` + jti + `","kubernetes.io":{"namespace":"pets",` +
		`"node":{"name":"node1","uid":"2417b4fd-0000-4000-8000-000000000003"},` +
		`"pod":{"name":"app","uid":"2417b4fd-0000-4000-8000-000000000002"},` +
		`"serviceaccount":{"name":"cat","uid":"2417b4fd-0000-4000-8000-000000000001"}},` +
		`"nbf":1793534400,"sub":"system:serviceaccount:pets:cat"}`
	if diff := cmp.Diff(want, payload); diff != "" {
		t.Errorf("payload (-want +got):\n%s", diff)
	}
	if _, err := verify(t, i, token); err != nil {
		t.Error(err)
	}
}

func TestMintDefaults(t *testing.T) {
	i := newIssuer(t)
	first, second := claims(t, mint(t, i, Token{})), claims(t, mint(t, i, Token{}))
	if first["jti"] == second["jti"] {
		t.Error("two tokens have one jti")
	}
	if diff := cmp.Diff(first["kubernetes.io"], second["kubernetes.io"]); diff != "" {
		t.Errorf("the same service account looks different: %s", diff)
	}
	other := claims(t, mint(t, i, Token{Namespace: "pets"}))
	uid := func(c map[string]any) any {
		return c["kubernetes.io"].(map[string]any)["serviceaccount"].(map[string]any)["uid"]
	}
	if uid(first) == uid(other) {
		t.Error("service accounts of two namespaces have one uid")
	}
	if got, want := first["sub"], "system:serviceaccount:default:default"; got != want {
		t.Errorf("sub %q, want %q", got, want)
	}
	if diff := cmp.Diff([]any{DefaultAudience}, first["aud"]); diff != "" {
		t.Errorf("aud: %s", diff)
	}
}

func TestMintOverrides(t *testing.T) {
	i := newIssuer(t)
	at := noon().Unix()
	when := func(d time.Duration) *time.Time { return new(noon().Add(d)) }
	for name, tt := range map[string]struct {
		token Token
		want  map[string]any // nil means absent
	}{
		"issuer":          {Token{Issuer: new("https://other.example")}, map[string]any{"iss": "https://other.example"}},
		"empty issuer":    {Token{Issuer: new("")}, map[string]any{"iss": ""}},
		"subject":         {Token{Subject: new("System:serviceaccount:a:b")}, map[string]any{"sub": "System:serviceaccount:a:b"}},
		"audiences":       {Token{Audiences: []string{"a", "b"}}, map[string]any{"aud": []any{"a", "b"}}},
		"no audience":     {Token{Audiences: []string{}}, map[string]any{"aud": []any{}}},
		"string audience": {Token{Extra: map[string]any{"aud": "a"}}, map[string]any{"aud": "a"}},
		"lifetime":        {Token{Lifetime: time.Minute}, map[string]any{"exp": float64(at + 60)}},
		"expired": {Token{IssuedAt: when(-2 * time.Hour), NotBefore: when(-2 * time.Hour), Expiry: when(-time.Hour)},
			map[string]any{"iat": float64(at - 7200), "nbf": float64(at - 7200), "exp": float64(at - 3600)}},
		"not yet valid": {Token{NotBefore: when(time.Hour)}, map[string]any{"nbf": float64(at + 3600), "iat": float64(at)}},
		"missing claims": {Token{Extra: map[string]any{"exp": nil, "sub": nil, "kubernetes.io": nil}},
			map[string]any{"exp": nil, "sub": nil, "kubernetes.io": nil}},
		"extra claim": {Token{Extra: map[string]any{"groups": []string{"g"}, "iss": 7}}, map[string]any{"groups": []any{"g"}, "iss": 7.0}},
	} {
		t.Run(name, func(t *testing.T) {
			token := mint(t, i, tt.token)
			if _, err := verify(t, i, token); err != nil {
				t.Error(err)
			}
			got := claims(t, token)
			for claim, want := range tt.want {
				if value, ok := got[claim]; ok != (want != nil) || !cmp.Equal(value, want) {
					t.Errorf("%s is %v, want %v", claim, value, want)
				}
			}
		})
	}
}

func TestMintHeader(t *testing.T) {
	i := newIssuer(t)
	kid := keySet(t, i.JWKS()).Keys[0].KeyID
	for name, tt := range map[string]struct {
		token Token
		want  string
	}{
		"key id":    {Token{KeyID: new("other")}, `{"alg":"ES256","kid":"other"}`},
		"no key id": {Token{Header: map[string]any{"kid": nil}}, `{"alg":"ES256"}`},
		"typ":       {Token{Header: map[string]any{"typ": "JWT"}}, `{"alg":"ES256","kid":"` + kid + `","typ":"JWT"}`},
		"crit":      {Token{Header: map[string]any{"crit": []string{"b64"}}}, `{"alg":"ES256","crit":["b64"],"kid":"` + kid + `"}`},
		"wrong alg": {Token{Header: map[string]any{"alg": "none"}}, `{"alg":"none","kid":"` + kid + `"}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got, _ := parts(t, mint(t, i, tt.token)); got != tt.want {
				t.Errorf("header %s, want %s", got, tt.want)
			}
		})
	}
}

func TestMintRefuses(t *testing.T) {
	i, err := New(Config{Algorithm: "ES256"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Mint(Token{}); err == nil || !strings.Contains(err.Error(), "no URL") {
		t.Errorf("mint before start: %v", err)
	}
	if _, err := i.Mint(Token{Issuer: new(testURL), Extra: map[string]any{"x": func() {}}}); err == nil {
		t.Error("a function became a claim")
	}
	if _, err := i.Mint(Token{Issuer: new(testURL), Header: map[string]any{"x": func() {}}}); err == nil {
		t.Error("a function became a header member")
	}
}

func TestEveryAlgorithmVerifies(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, algorithm := range []string{
		"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
	} {
		t.Run(algorithm, func(t *testing.T) {
			config := Config{URL: testURL, Algorithm: algorithm}
			if algorithm[0] == 'R' || algorithm[0] == 'P' {
				config.Key = private
			}
			i, err := New(config)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := verify(t, i, mint(t, i, Token{})); err != nil {
				t.Error(err)
			}
			if _, err := verify(t, i, mint(t, i, Token{BadSignature: true})); err == nil {
				t.Error("a bad signature verifies")
			}
			raw, err := i.Sign(nil, []byte("no JSON \xff"))
			if err != nil {
				t.Fatal(err)
			}
			if payload, err := verify(t, i, raw); err != nil || string(payload) != "no JSON \xff" {
				t.Errorf("raw payload %q, %v", payload, err)
			}
		})
	}
}

// RFC 7518 §3.5 fixes the length of the salt; verifiers that let any length pass would not notice.
func TestPSSaltIsAsLongAsTheHash(t *testing.T) {
	i, err := New(Config{URL: testURL, Algorithm: "PS256"})
	if err != nil {
		t.Fatal(err)
	}
	token := mint(t, i, Token{})
	dot := strings.LastIndex(token, ".")
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(token[:dot]))
	public, ok := keySet(t, i.JWKS()).Keys[0].Key.(*rsa.PublicKey)
	if !ok {
		t.Fatal("no RSA key")
	}
	err = rsa.VerifyPSS(public, crypto.SHA256, sum[:], signature, &rsa.PSSOptions{SaltLength: sha256.Size})
	if err != nil {
		t.Error(err)
	}
}

func TestSignTakesAnyParts(t *testing.T) {
	i := newIssuer(t)
	token, err := i.Sign([]byte(`{"alg":"ES256","alg":"ES256"}`), []byte(`{"iss":"a","iss":"b"}`))
	if err != nil {
		t.Fatal(err)
	}
	header, payload := parts(t, token)
	if header != `{"alg":"ES256","alg":"ES256"}` || payload != `{"iss":"a","iss":"b"}` {
		t.Errorf("parts %s and %s", header, payload)
	}
}
