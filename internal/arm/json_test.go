package arm

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/strictjson"
)

func jsonTestSuite(t testing.TB) map[string][]byte {
	t.Helper()
	data, err := os.ReadFile("../strictjson/testdata/jsontestsuite/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases map[string][]byte
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

// TestJSONTestSuite sends every text of the suite as a body, by itself, as the
// value of a member and as an uploaded key set: what is not JSON, or not of the
// one strict rule, is a 400, and nothing is a fault of ours.
func TestJSONTestSuite(t *testing.T) {
	w := newWorld(t)
	w.fixture()
	for name, text := range jsonTestSuite(t) {
		for _, c := range []struct{ method, path, body string }{
			{"PUT", ficPath, string(text)},
			{"PUT", ficPath, `{"properties":{"subject":` + string(text) + `}}`},
			{"PATCH", ide, `{"tags":` + string(text) + `}`},
			{"PUT", clusters + "/new", string(text)},
			{"PUT", clusters + "/new", `{"location":"local","properties":{"oidcIssuerProfile":` + string(text) + `,"dnsPrefix":"x"}}`},
			{"PATCH", clu, `{"tags":` + string(text) + `}`},
			{"POST", clu + "/updateKeys", string(text)},
			{"POST", clu + "/updateKeys", `{"keySet":` + string(text) + `}`},
			{"PUT", issuers + "/new", string(text)},
			{"PUT", issuers + "/new", `{"properties":{"issuer":"https://issuer.example/new/","keySource":"KeySet","keySet":` + string(text) + `}}`},
		} {
			got := w.do("admin", c.method, c.path, c.body)
			refuse := !json.Valid([]byte(c.body)) || strings.Contains(name, "same_key") || strings.Contains(name, "duplicated_key") || c.method == "PUT"
			if refuse && got.status != 400 || got.status/100 != 4 && got.status/100 != 2 {
				t.Errorf("%s: %s %s with %.200q: %d %s", name, c.method, c.path, c.body, got.status, got.text)
			}
		}
	}
}

// FuzzBody looks for a body that panics, or that passes although it has two
// members of one name in any case, which Azure's readers would take for one.
func FuzzBody(f *testing.F) {
	for name, text := range jsonTestSuite(f) {
		if strings.HasPrefix(name, "y_object") {
			f.Add(text)
		}
	}
	f.Add([]byte(`{"properties":{"issuer":"x","Issuer":"y"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if distinct(data) != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatalf("%q passes", data)
		}
		object, err := strictjson.ParseObject(data)
		if err != nil {
			t.Fatalf("%q passes: %v", data, err)
		}
		seen := map[string]bool{}
		for name := range object {
			if folded := strings.ToLower(name); seen[folded] {
				t.Fatalf("%q has %q twice", data, folded)
			} else {
				seen[folded] = true
			}
		}
	})
}
