package graph

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestJSONTestSuite sends every text of the suite as a body, by itself and as
// the value of a member: what is not JSON, or not of the one strict rule, is
// a 400, and nothing is a fault of ours.
func TestJSONTestSuite(t *testing.T) {
	data, err := os.ReadFile("../strictjson/testdata/jsontestsuite/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases map[string][]byte
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	id, _ := w.application(admin, "app")
	for name, text := range cases {
		for _, c := range []struct{ method, path, body string }{
			{"POST", "/applications/" + id + "/federatedIdentityCredentials", string(text)},
			{"POST", "/applications/" + id + "/federatedIdentityCredentials", `{"name":"name","subject":` + string(text) + `}`},
			{"PATCH", "/applications/" + id, `{"web":` + string(text) + `}`},
		} {
			got := w.do(admin, c.method, c.path, c.body)
			refuse := !json.Valid([]byte(c.body)) || strings.Contains(name, "same_key") || strings.Contains(name, "duplicated_key") || c.method == "POST"
			if refuse && got.status != 400 || got.status/100 != 4 && got.status/100 != 2 {
				t.Errorf("%s: %s with %.200q: %d %s", name, c.method, c.body, got.status, got.text)
			}
		}
	}
}
