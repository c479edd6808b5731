package issuer

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/entente-id/entente/internal/rsakey"
)

// member returns a JWK's member by name, as text.
func member(t *testing.T, s *signer, name string) string {
	t.Helper()
	data, err := json.Marshal(s.jwk())
	if err != nil {
		t.Fatal(err)
	}
	var o map[string]string
	if err := json.Unmarshal(data, &o); err != nil {
		t.Fatal(err)
	}
	return o[name]
}

// modulus makes base64url of an odd number of so many bits.
func modulus(bits int) string {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	n.SetBit(n, 0, 1).SetBit(n, bits/2, 1)
	return base64.RawURLEncoding.EncodeToString(n.Bytes())
}

func TestParseKeySetReadsEveryKind(t *testing.T) {
	data := keySetJSON(t, []*signer{newSigner(t, "r", "RS256"), newSigner(t, "e", "ES256"), newSigner(t, "e3", "ES384"), newSigner(t, "d", "EdDSA")})
	keys, problems, err := ParseKeySet(data)
	if err != nil || len(problems) != 0 {
		t.Fatalf("problems %v, error %v", problems, err)
	}
	want := []Key{
		{ID: "r", Type: "RSA", Algorithm: "RS256", Bits: 2048},
		{ID: "e", Type: "EC", Curve: "P-256", Algorithm: "ES256", Bits: 256},
		{ID: "e3", Type: "EC", Curve: "P-384", Algorithm: "ES384", Bits: 384},
		{ID: "d", Type: "OKP", Curve: "Ed25519", Algorithm: "EdDSA", Bits: 256},
	}
	if diff := cmp.Diff(want, keys, cmpopts.IgnoreUnexported(Key{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestOneBadKeyLeavesTheOthers: each of these stands between two good keys.
func TestOneBadKeyLeavesTheOthers(t *testing.T) {
	r, e, d := newSigner(t, "good", "RS256"), newSigner(t, "e", "ES256"), newSigner(t, "d", "EdDSA")
	n, x, y, ed := member(t, r, "n"), member(t, e, "x"), member(t, e, "y"), member(t, d, "x")
	rsaKey := func(n, e string) string { return fmt.Sprintf(`{"kty":"RSA","kid":"bad","n":%q,"e":%q}`, n, e) }
	even := strings.TrimSuffix(modulus(2048), "AQ") + "AA"
	for name, c := range map[string]struct {
		key string
		ok  bool
	}{
		"RSA plain":              {rsaKey(n, "AQAB"), true},
		"RSA 2048 bits":          {rsaKey(modulus(2048), "AQAB"), true},
		"RSA 4104 bits":          {rsaKey(modulus(4104), "AQAB"), true},
		"RSA 8192 bits":          {rsaKey(modulus(8192), "AQAB"), true},
		"RSA exponent 3":         {rsaKey(n, "Aw"), true},
		"RSA exponent 2^31-1":    {rsaKey(n, "f____w"), true},
		"RSA leading zeros":      {rsaKey("AAAA"+n, "AAAAAAEAAQ"), true},
		"RSA key_ops verify":     {fmt.Sprintf(`{"kty":"RSA","kid":"bad","n":%q,"e":"AQAB","key_ops":["sign","verify"]}`, n), true},
		"RSA unknown members":    {fmt.Sprintf(`{"kty":"RSA","kid":"bad","n":%q,"e":"AQAB","x5t":1,"issuer":null}`, n), true},
		"kid that is no base64":  {fmt.Sprintf(`{"kty":"RSA","kid":"../ '\";","n":%q,"e":"AQAB"}`, n), true},
		"EC plain":               {fmt.Sprintf(`{"kty":"EC","kid":"bad","crv":"P-256","x":%q,"y":%q}`, x, y), true},
		"OKP plain":              {fmt.Sprintf(`{"kty":"OKP","kid":"bad","crv":"Ed25519","x":%q}`, ed), true},
		"RSA 2047 bits":          {rsaKey(modulus(2047), "AQAB"), false},
		"RSA 1024 bits":          {rsaKey(modulus(1024), "AQAB"), false},
		"RSA 8193 bits":          {rsaKey(modulus(8193), "AQAB"), false},
		"RSA 65536 bits":         {rsaKey(modulus(65536), "AQAB"), false},
		"RSA even modulus":       {rsaKey(even, "AQAB"), false},
		"RSA zero modulus":       {rsaKey("", "AQAB"), false},
		"RSA exponent 0":         {rsaKey(n, "AA"), false},
		"RSA exponent 1":         {rsaKey(n, "AQ"), false},
		"RSA exponent 65536":     {rsaKey(n, "AQAA"), false},
		"RSA exponent 2^31+1":    {rsaKey(n, "gAAAAQ"), false},
		"RSA exponent 2^64+1":    {rsaKey(n, "AQAAAAAAAAAB"), false},
		"RSA padded modulus":     {rsaKey(n+"=", "AQAB"), false},
		"RSA with line break":    {rsaKey(n+"\n", "AQAB"), false},
		"RSA without n":          {`{"kty":"RSA","kid":"bad","e":"AQAB"}`, false},
		"RSA n a number":         {`{"kty":"RSA","kid":"bad","n":3,"e":"AQAB"}`, false},
		"RSA use enc":            {fmt.Sprintf(`{"kty":"RSA","kid":"bad","use":"enc","n":%q,"e":"AQAB"}`, n), false},
		"RSA use null":           {fmt.Sprintf(`{"kty":"RSA","kid":"bad","use":null,"n":%q,"e":"AQAB"}`, n), false},
		"RSA key_ops encrypt":    {fmt.Sprintf(`{"kty":"RSA","kid":"bad","key_ops":["encrypt"],"n":%q,"e":"AQAB"}`, n), false},
		"RSA key_ops empty":      {fmt.Sprintf(`{"kty":"RSA","kid":"bad","key_ops":[],"n":%q,"e":"AQAB"}`, n), false},
		"RSA key_ops a string":   {fmt.Sprintf(`{"kty":"RSA","kid":"bad","key_ops":"verify","n":%q,"e":"AQAB"}`, n), false},
		"RSA alg of encryption":  {fmt.Sprintf(`{"kty":"RSA","kid":"bad","alg":"RSA-OAEP","n":%q,"e":"AQAB"}`, n), false},
		"RSA alg of HMAC":        {fmt.Sprintf(`{"kty":"RSA","kid":"bad","alg":"HS256","n":%q,"e":"AQAB"}`, n), false},
		"RSA alg of EC":          {fmt.Sprintf(`{"kty":"RSA","kid":"bad","alg":"ES256","n":%q,"e":"AQAB"}`, n), false},
		"RSA private":            {fmt.Sprintf(`{"kty":"RSA","kid":"bad","n":%q,"e":"AQAB","d":"AQAB"}`, n), false},
		"RSA duplicate member":   {fmt.Sprintf(`{"kty":"RSA","kid":"bad","n":%q,"n":%q,"e":"AQAB"}`, n, n), false},
		"EC secp256k1":           {fmt.Sprintf(`{"kty":"EC","kid":"bad","crv":"secp256k1","x":%q,"y":%q}`, x, y), false},
		"EC P-521":               {fmt.Sprintf(`{"kty":"EC","kid":"bad","crv":"P-521","x":%q,"y":%q}`, x, y), false},
		"EC off the curve":       {fmt.Sprintf(`{"kty":"EC","kid":"bad","crv":"P-256","x":%q,"y":%q}`, x, x), false},
		"EC on another curve":    {fmt.Sprintf(`{"kty":"EC","kid":"bad","crv":"P-384","x":%q,"y":%q}`, x, y), false},
		"EC longer coordinate":   {fmt.Sprintf(`{"kty":"EC","kid":"bad","crv":"P-256","x":"AAAA%s","y":%q}`, x, y), false},
		"EC of the zero point":   {fmt.Sprintf(`{"kty":"EC","kid":"bad","crv":"P-256","x":%q,"y":%q}`, strings.Repeat("A", 43), strings.Repeat("A", 43)), false},
		"OKP X25519":             {fmt.Sprintf(`{"kty":"OKP","kid":"bad","crv":"X25519","x":%q}`, ed), false},
		"OKP short":              {`{"kty":"OKP","kid":"bad","crv":"Ed25519","x":"AAAA"}`, false},
		"oct":                    {`{"kty":"oct","kid":"bad","k":"AAAA"}`, false},
		"ML-DSA":                 {`{"kty":"AKP","alg":"ML-DSA-44","kid":"bad","pub":"AAAA"}`, false},
		"kty in lower case":      {fmt.Sprintf(`{"kty":"rsa","kid":"bad","n":%q,"e":"AQAB"}`, n), false},
		"kid a number":           {fmt.Sprintf(`{"kty":"RSA","kid":7,"n":%q,"e":"AQAB"}`, n), false},
		"kid with NUL":           {fmt.Sprintf(`{"kty":"RSA","kid":"a\u0000","n":%q,"e":"AQAB"}`, n), false},
		"kid a lone surrogate":   {fmt.Sprintf(`{"kty":"RSA","kid":"\ud800","n":%q,"e":"AQAB"}`, n), false},
		"empty object":           {`{}`, false},
		"null":                   {`null`, false},
		"string":                 {`"key"`, false},
		"deep":                   {`{"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`, false},
		"wide":                   {"{" + strings.TrimSuffix(manyMembers(1001), ",") + "}", false},
		"same id, other key":     {fmt.Sprintf(`{"kty":"RSA","kid":"twice","n":%q,"e":"AQAB"}`, modulus(2048)), false},
		"same id, unusable":      {`{"kty":"oct","kid":"twice","k":"AAAA"}`, false},
		"same id, other purpose": {fmt.Sprintf(`{"kty":"RSA","kid":"twice","use":"enc","n":%q,"e":"AQAB"}`, n), false},
	} {
		t.Run(name, func(t *testing.T) {
			last := newSigner(t, "last", "ES256")
			var between []string
			if strings.Contains(c.key, `"twice"`) {
				between = append(between, fmt.Sprintf(`{"kty":"RSA","kid":"twice","n":%q,"e":"AQAB"}`, n))
			}
			between = append(between, c.key)
			data, err := json.Marshal(last.jwk())
			if err != nil {
				t.Fatal(err)
			}
			keys, problems, err := ParseKeySet(keySetJSONRaw(t, r, append(between, string(data))...))
			if err != nil {
				t.Fatalf("the whole set is refused: %v", err)
			}
			want := 2
			if c.ok {
				want = 3
			}
			if len(keys) != want || keys[0].ID != "good" || keys[len(keys)-1].ID != "last" {
				t.Errorf("%d keys, want %d; problems %+v", len(keys), want, problems)
			}
			if c.ok != (len(problems) == 0) {
				t.Errorf("problems %+v", problems)
			}
			for _, p := range problems {
				if p.Reason == "" || p.Index < 1 || p.Index > len(between) {
					t.Errorf("problem %+v", p)
				}
			}
		})
	}
}

// keySetJSONRaw writes the keys as they are given: encoding/json would mend some.
func keySetJSONRaw(t *testing.T, first *signer, raw ...string) []byte {
	t.Helper()
	data, err := json.Marshal(first.jwk())
	if err != nil {
		t.Fatal(err)
	}
	return []byte(`{"keys":[` + strings.Join(append([]string{string(data)}, raw...), ",") + `]}`)
}

func TestParseKeySetRepeatedKeyCountsOnce(t *testing.T) {
	s := newSigner(t, "r", "RS256")
	keys, problems, err := ParseKeySet(keySetJSON(t, []*signer{s, s}))
	if err != nil || len(keys) != 1 || len(problems) != 0 {
		t.Errorf("%d keys, problems %v, error %v", len(keys), problems, err)
	}
}

func TestParseKeySetKeysWithoutIDStay(t *testing.T) {
	keys, _, err := ParseKeySet(keySetJSON(t, []*signer{newSigner(t, "", "RS256"), newSigner(t, "", "ES256")}))
	if err != nil || len(keys) != 2 {
		t.Errorf("%d keys, error %v", len(keys), err)
	}
}

func TestParseKeySetTakesTheFirstHundred(t *testing.T) {
	n := member(t, newSigner(t, "r", "RS256"), "n")
	var raw []string
	for i := range 150 {
		raw = append(raw, fmt.Sprintf(`{"kty":"RSA","kid":"k%d","use":"sig","alg":"RS256","n":%q,"e":"AQAB","x5t":"","x5c":["a"]}`, i, n))
	}
	keys, problems, err := ParseKeySet(keySetJSON(t, nil, raw...))
	if err != nil {
		t.Fatal(err)
	}
	if len(keys) != 100 || keys[99].ID != "k99" || len(problems) != 1 {
		t.Errorf("%d keys, problems %v", len(keys), problems)
	}
}

func TestParseKeySetDocument(t *testing.T) {
	for text, ok := range map[string]bool{
		`{"keys":[]}`: true,
		"\n{\"keys\" : [ ] , \"x\" : {\"y\":1,\"y\":2} }\n": true,
		``:                      false,
		`[]`:                    false,
		`{}`:                    false,
		`{"Keys":[]}`:           false,
		`{"keys":null}`:         false,
		`{"keys":{}}`:           false,
		`{"keys":[],"keys":[]}`: false,
		`{"keys":[]} x`:         false,
		"{\"keys\":[\"\xff\"]}": false,
		`<html></html>`:         false,
	} {
		if _, _, err := ParseKeySet([]byte(text)); (err == nil) != ok {
			t.Errorf("%s: %v, want accepted = %v", text, err, ok)
		}
	}
}

func FuzzParseKeySet(f *testing.F) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		f.Fatal(err)
	}
	n := base64.RawURLEncoding.EncodeToString(key.N.Bytes())
	f.Add(fmt.Appendf(nil, `{"keys":[{"kty":"RSA","kid":"a","use":"sig","alg":"RS256","n":%q,"e":"AQAB"}]}`, n))
	params := elliptic.P256().Params()
	encode := base64.RawURLEncoding.EncodeToString
	f.Add(fmt.Appendf(nil, `{"keys":[{"kty":"EC","crv":"P-256","x":%q,"y":%q,"key_ops":["verify"]},{"kty":"OKP","crv":"Ed25519","x":%q},null]}`,
		encode(params.Gx.Bytes()), encode(params.Gy.Bytes()), encode(make([]byte, 32))))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, problems, err := ParseKeySet(data)
		if err != nil && len(keys)+len(problems) != 0 {
			t.Fatalf("%d keys with the error %v", len(keys), err)
		}
		seen := make(map[string]bool)
		for _, key := range keys {
			if key.ID != "" && seen[key.ID] {
				t.Fatalf("id %q twice", key.ID)
			}
			seen[key.ID] = true
			if !key.equal(key) || key.Type == "RSA" && (key.Bits < rsakey.MinBits || key.Bits > rsakey.MaxBits) {
				t.Fatalf("key %+v", key)
			}
		}
		if len(keys) > maxKeys {
			t.Fatalf("%d keys", len(keys))
		}
	})
}
