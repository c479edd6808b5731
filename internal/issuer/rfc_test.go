package issuer

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

func rfcVectors(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile("testdata/rfc/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var files map[string]string
	if err := json.Unmarshal(data, &files); err != nil {
		t.Fatal(err)
	}
	return files
}

// publicSet makes a key set of a JWK or a set, without the private members.
func publicSet(t *testing.T, text string) []byte {
	t.Helper()
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal([]byte(text), &set); err != nil {
		t.Fatal(err)
	}
	if set.Keys == nil {
		var key map[string]any
		if err := json.Unmarshal([]byte(text), &key); err != nil {
			t.Fatal(err)
		}
		set.Keys = append(set.Keys, key)
	}
	for _, key := range set.Keys {
		for _, name := range secrets {
			delete(key, name)
		}
	}
	data, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// verifyExample verifies an example at the level below claims, which most of them are not.
func verifyExample(token string, document []byte, algorithms ...string) error {
	parts, err := split(token)
	if err != nil {
		return malformed(err)
	}
	var p Peeked
	if err := readHeader(parts.header, &p); err != nil {
		return malformed(err)
	}
	if !(Source{Algorithms: algorithms}).allows(p.Algorithm) {
		return &Error{Kind: AlgorithmNotAllowed}
	}
	keys, problems, err := ParseKeySet(document)
	if err != nil {
		return err
	}
	return (&keySet{keys: keys, problems: problems}).judge(parts, p)
}

// TestRFCExamples runs the signed and encrypted examples of RFC 7515 and 7520:
// of an issuer that is registered with nothing else, the two with RS256 in
// compact serialization verify; by opt-in the one with ES256 does; the others
// never do.
func TestRFCExamples(t *testing.T) {
	files := rfcVectors(t)
	everything := slices.Collect(maps.Keys(algorithms))
	tokens := 0
	for name, text := range files {
		stem, kind, _ := strings.Cut(name, ".jw")
		if kind == "" || kind[0] != 's' && kind[0] != 'e' {
			continue // a key
		}
		tokens++
		key := files[stem+".jwk"] + files[stem+".jwkset"]
		if key == "" {
			key = `{}` // unsigned, or encrypted for several
		}
		document := publicSet(t, key)
		for _, c := range []struct {
			algorithms []string
			verify     []string
		}{
			{nil, []string{"rfc7515_A.2.jwsc", "rfc7520_4.1.jwsc"}},
			{everything, []string{"rfc7515_A.2.jwsc", "rfc7520_4.1.jwsc", "rfc7515_A.3.jwsc"}},
		} {
			err := verifyExample(text, document, c.algorithms...)
			if slices.Contains(c.verify, name) != (err == nil) {
				t.Errorf("%s with %v: %v", name, c.algorithms, err)
			}
			if kind := KindOf(err); err != nil && kind != Malformed && kind != AlgorithmNotAllowed {
				t.Errorf("%s with %v: refused late: %v", name, c.algorithms, err)
			}
		}
		if name == "rfc7515_A.2.jwsc" || name == "rfc7520_4.1.jwsc" {
			bad := strings.Replace(text, ".", ".e", 1) // one letter more in what was signed
			if err := verifyExample(bad, document); err == nil {
				t.Errorf("%s: another payload verifies", name)
			}
			if err := verifyExample(text, publicSet(t, files["rfc7520_3.3.jwk"])); (err == nil) != strings.Contains(name, "7520") {
				t.Errorf("%s by the key of RFC 7520: %v", name, err)
			}
		}
	}
	if tokens != 59 {
		t.Errorf("%d examples", tokens)
	}
}

// TestRFCKeys reads the keys of RFC 7515, 7517, 7520 and 7638: public signature
// keys can be used, and each secret is called one.
func TestRFCKeys(t *testing.T) {
	files := rfcVectors(t)
	for name, want := range map[string]struct{ usable, private int }{
		"rfc7517_A.1.jwkset": {1, 0}, // the other one is for encryption
		"rfc7517_A.2.jwkset": {0, 2},
		"rfc7517_A.3.jwkset": {0, 2},
		"rfc7638_3.1.jwk":    {1, 0},
		"rfc7517_B.jwk":      {1, 0},
		"rfc7520_3.1.jwk":    {0, 0}, // P-521
		"rfc7520_3.2.jwk":    {0, 1},
		"rfc7520_3.3.jwk":    {1, 0},
		"rfc7520_3.4.jwk":    {0, 1},
		"rfc7520_3.5.jwk":    {0, 1},
		"rfc7520_3.6.jwk":    {0, 1},
	} {
		text := files[name]
		if strings.HasSuffix(name, ".jwk") {
			text = `{"keys":[` + text + `]}`
		}
		keys, problems, err := ParseKeySet([]byte(text))
		private := 0
		for _, p := range problems {
			if p.Private {
				private++
			}
		}
		if err != nil || len(keys) != want.usable || private != want.private {
			t.Errorf("%s: %d usable, %d private, want %+v; %+v, %v", name, len(keys), private, want, problems, err)
		}
	}
}

// TestSecretsAreSeen: a set with a secret in it must not be kept, whatever else
// is wrong with the key, and however far behind it stands.
func TestSecretsAreSeen(t *testing.T) {
	s := newSigner(t, "r", "RS256")
	for name, key := range map[string]string{
		"symmetric":            `{"kty":"oct","kid":"x","k":"AAAA"}`,
		"unknown algorithm":    `{"kty":"oct","alg":"A128KW","k":"AAAA"}`,
		"for encryption":       `{"kty":"RSA","use":"enc","d":"AAAA"}`,
		"algorithm a number":   `{"kty":"RSA","alg":7,"d":"AAAA"}`,
		"no type":              `{"d":"AAAA"}`,
		"kid a number":         `{"kid":7,"kty":"RSA","d":"AAAA"}`,
		"duplicate members":    `{"kty":"RSA","d":"AAAA","d":"AAAA"}`,
		"duplicate before it":  `{"kty":"RSA","kty":"RSA","p":"AAAA"}`,
		"lone surrogate":       `{"kid":"\ud800","kty":"RSA","q":"AAAA"}`,
		"NUL in a name":        `{"\u0000":1,"kty":"RSA","d":"AAAA"}`,
		"wide":                 `{"kty":"RSA","x":[` + strings.Repeat("1,", 1000) + `1],"d":"AAAA"}`,
		"primes only":          `{"kty":"RSA","n":"` + member(t, s, "n") + `","e":"AQAB","p":"AAAA","q":"AAAA"}`,
		"escaped name":         `{"kty":"RSA","\u0064":"AAAA"}`,
		"post-quantum":         `{"kty":"AKP","alg":"ML-DSA-44","pub":"AA","priv":"AA"}`,
		"elliptic curve's own": `{"kty":"EC","crv":"P-256","d":"AAAA"}`,
	} {
		for _, before := range []int{0, 99, 100, 150} {
			public := make([]string, before)
			for i := range public {
				public[i] = `{"kty":"RSA"}`
			}
			_, problems, err := ParseKeySet(keySetJSONRaw(t, s, append(public, key)...))
			if err != nil || !slices.ContainsFunc(problems, func(p KeyProblem) bool { return p.Private }) {
				t.Errorf("%s behind %d others: %v", name, before, err)
			}
		}
	}
}
