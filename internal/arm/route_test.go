package arm

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func nameOf(t *testing.T, r reply) string {
	t.Helper()
	var body map[string]json.RawMessage
	if err := json.Unmarshal([]byte(r.text), &body); err != nil {
		t.Fatal(err)
	}
	return string(body["name"])
}

// What a request meets is what Routes says, and nothing stands there twice.
func TestRoutes(t *testing.T) {
	s := New(Config{})
	seen := map[string]bool{}
	for _, route := range s.Routes() {
		key := route.Method + " " + route.Pattern
		if seen[key] {
			t.Errorf("%s stands twice", key)
		}
		seen[key] = true
		if route.Action == "" && route.Pattern != "/metadata/endpoints" {
			t.Errorf("%s has no action", key)
		}
		for _, path := range []string{arguments.Replace(route.Pattern), strings.ToUpper(arguments.Replace(route.Pattern))} {
			r, err := http.NewRequest(route.Method, "https://entente.example"+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			segments, err := splitPath(r.URL)
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			c := &call{r: r}
			if err := s.find(c, segments); err != nil || c.route.Route != route {
				t.Errorf("%s %s meets %+v (%v), want %+v", route.Method, path, c.route, err, route)
			}
		}
	}
}

func TestScopes(t *testing.T) {
	const s = "/subscriptions/" + testSubscription
	for _, tt := range []struct {
		path, scope string // empty scope: none
	}{
		{"", "/"},
		{s, s},
		{strings.ToUpper(s), s},
		{s + "/RESOURCEGROUPS/Rg", s + "/resourceGroups/Rg"},
		{s + "/resourceGroups/rg/providers/microsoft.managedidentity/userAssignedIdentities/i", s + "/resourcegroups/rg/providers/microsoft.managedidentity/userAssignedIdentities/i"},
		{s + "/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/v/secrets/x", s + "/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/v/secrets/x"},
		{s + "/providers/A.B/c/d/providers/E.F/g/h", s + "/providers/A.B/c/d/providers/E.F/g/h"},
		{"/providers/Entente.Federation/issuers/prod", "/providers/Entente.Federation/issuers/prod"},
		{"/subscriptions", ""},
		{s + "/resourceGroups", ""},
		{s + "/x", ""},
		{s + "/providers", ""},
		{s + "/providers/A.B", ""},
		{s + "/providers/A.B/c", ""},
		{s + "/providers/A.B/c/d/e", ""},
		{s + "/resourceGroups/rg/x/y", ""},
		{"/providers/A.B/c/d/x", ""},
		{"/x/y", ""},
	} {
		segments := strings.Split(strings.TrimPrefix(tt.path, "/"), "/")
		if tt.path == "" {
			segments = nil
		}
		scope, subscription, ok := scopeOf(segments)
		if scope != tt.scope || ok != (tt.scope != "") {
			t.Errorf("%q: got %q (%v), want %q", tt.path, scope, ok, tt.scope)
		}
		if ok && strings.HasPrefix(scope, "/subscriptions") != (subscription == testSubscription) {
			t.Errorf("%q is in the subscription %q", tt.path, subscription)
		}
	}
}

func TestFilters(t *testing.T) {
	c := &call{route: &route{filters: []string{"name eq", "at ge", "atScope()", "assignedTo()"}}}
	for text, want := range map[string]string{
		"":                            `{}`,
		"  ":                          `{}`,
		"name eq 'a'":                 `{"name eq":"a"}`,
		"NAME  EQ  'a''b'":            `{"name eq":"a'b"}`,
		"name eq ''":                  `{"name eq":""}`,
		"atScope()":                   `{"atScope()":""}`,
		"atscope() and name eq 'a'":   `{"atScope()":"","name eq":"a"}`,
		"assignedTo( 'x' )":           `{"assignedTo()":"x"}`,
		"at ge 'b' AND name eq 'and'": `{"at ge":"b","name eq":"and"}`,
		"name":                        "",
		"name eq":                     "",
		"name eq a":                   "",
		"name eq 'a":                  "",
		"name eq 'a' or name eq 'b'":  "",
		"name eq 'a' and":             "",
		"name eq 'a'and at ge 'b'":    `{"name eq":"a","at ge":"b"}`,
		"name ne 'a'":                 "",
		"not (name eq 'a')":           "",
		"atScope":                     "",
		"atScope(":                    "",
		"atScope('":                   "",
		"(name eq 'a')":               "",
		"ſcope() and name eq 'a'":     "",
		"name eq 'a' and name eq 'a'": "",
	} {
		c.query = map[string]string{"$filter": text}
		got, err := c.parseFilter()
		if (err == nil) != (want != "") {
			t.Errorf("%q: %v", text, err)
			continue
		}
		data, _ := json.Marshal(got)
		if err == nil && compare(want, string(data)) != nil {
			t.Errorf("%q: got %s, want %s", text, data, want)
		}
	}
}

func FuzzFilter(f *testing.F) {
	f.Add("name eq 'a' and atScope() and assignedTo('x''y')")
	c := &call{route: &route{filters: []string{"name eq", "atScope()", "assignedTo()"}}}
	f.Fuzz(func(t *testing.T, text string) {
		c.query = map[string]string{"$filter": text}
		if terms, err := c.parseFilter(); err == nil && len(terms) > 3 {
			t.Errorf("%q has %d terms", text, len(terms))
		}
	})
}
