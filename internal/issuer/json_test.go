package issuer

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/strictjson"
)

// TestJSONTestSuite: every parser of this package refuses what is not JSON, and none panics.
func TestJSONTestSuite(t *testing.T) {
	data, err := os.ReadFile("../strictjson/testdata/jsontestsuite/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases map[string][]byte
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 330 {
		t.Fatalf("%d cases, want all of the suite", len(cases))
	}
	refusedThoughValid := map[string]bool{ // the suite allows these; strictjson.Check exists to refuse them
		"y_object_duplicated_key.json":           true,
		"y_object_duplicated_key_and_value.json": true,
		"y_object_escaped_null_in_key.json":      true,
		"object_same_key_different_values.json":  true,
		"object_same_key_same_value.json":        true,
		"object_same_key_unclear_values.json":    true,
	}
	for name, text := range cases {
		err := strictjson.Check(text)
		switch {
		case refusedThoughValid[name] || strings.HasPrefix(name, "n_"):
			if err == nil {
				t.Errorf("%s: accepted", name)
			}
		case strings.HasPrefix(name, "y_"):
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, _, err := ParseKeySet(text); err == nil {
			t.Errorf("%s: accepted as a key set", name)
		}
		if _, err := peek(encodeParts(`{"alg":"RS256"}`, string(text), "x")); err == nil {
			t.Errorf("%s: accepted as a payload", name)
		}
		if _, err := peek(encodeParts(string(text), `{"iss":"i","sub":"s","aud":"a"}`, "x")); err == nil {
			t.Errorf("%s: accepted as a header", name)
		}
	}
}

// manyMembers are n members with distinct names and a comma after each.
func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"m%d":1,`, i)
	}
	return b.String()
}
