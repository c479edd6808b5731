package issuer

import (
	"encoding/json"
	"os"
	"testing"
)

// TestWycheproof runs the vectors at the level below claims, since their
// payloads are no claims sets: parts, header, key set, choice of key, signature.
func TestWycheproof(t *testing.T) {
	// Only these algorithms can be accepted at all. PS384, PS512 and ES512 are
	// no choice here, and HMAC never is, so their valid vectors are refused.
	type vector struct {
		TcID    int
		Comment string
		JWS     json.RawMessage
		Result  string
	}
	type group struct {
		Comment         string
		Public, Private json.RawMessage
		Tests           []vector
	}
	for file, want := range map[string]struct{ accepted, refused int }{
		"json_web_signature": {24, 377},
		"json_web_key":       {1, 25},
		"json_web_crypto":    {2, 81},
	} {
		t.Run(file, func(t *testing.T) {
			data, err := os.ReadFile("testdata/wycheproof/" + file + "_test.json")
			if err != nil {
				t.Fatal(err)
			}
			var groups struct{ TestGroups []group }
			if err := json.Unmarshal(data, &groups); err != nil {
				t.Fatal(err)
			}
			accepted, refused := 0, 0
			for _, g := range groups.TestGroups {
				keys := publicKeys(t, g.Public, g.Private)
				for _, v := range g.Tests {
					err := verifyJWS(v.JWS, keys)
					if err == nil {
						accepted++
					} else {
						refused++
					}
					if err == nil && v.Result != "valid" {
						t.Errorf("%d %s (%s): accepted", v.TcID, g.Comment, v.Comment)
					}
				}
			}
			if accepted != want.accepted || refused != want.refused {
				t.Errorf("%d accepted, %d refused; want %d and %d", accepted, refused, want.accepted, want.refused)
			}
		})
	}
}

// publicKeys makes the key set of a group. Some groups give their keys with the private half only.
func publicKeys(t *testing.T, public, private json.RawMessage) []byte {
	t.Helper()
	given := public
	if given == nil {
		given = private
	}
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(given, &set); err != nil {
		t.Fatal(err)
	}
	if set.Keys == nil {
		var one map[string]any
		if err := json.Unmarshal(given, &one); err != nil {
			t.Fatal(err)
		}
		set.Keys = append(set.Keys, one)
	}
	for _, key := range set.Keys {
		delete(key, "d")
	}
	data, err := json.Marshal(map[string]any{"keys": set.Keys})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func verifyJWS(raw json.RawMessage, document []byte) error {
	var token string
	if err := json.Unmarshal(raw, &token); err != nil {
		return err // JSON serialization, or a JWE
	}
	parts, err := split(token)
	if err != nil {
		return err
	}
	var p Peeked
	if err := readHeader(parts.header, &p); err != nil {
		return err
	}
	src := Source{}
	for alg := range algorithms {
		src.Algorithms = append(src.Algorithms, alg)
	}
	if !src.allows(p.Algorithm) {
		return &Error{Kind: AlgorithmNotAllowed}
	}
	keys, problems, err := ParseKeySet(document)
	if err != nil {
		return err
	}
	return (&keySet{keys: keys, problems: problems}).judge(parts, p)
}
