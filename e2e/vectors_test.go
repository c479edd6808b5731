package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/entente-id/entente/client"
)

// vector is a hostile or doubtful input for both management wires
// (testdata/management_api.json).
type vector struct {
	ID, Expect, Query, Body, Name string
	Issuer, Subject               *string
	Audiences                     *[]string
}

// wire is how the vectors reach one of the two.
type wire struct {
	// chosen is what the wire does instead of what the vector expects, or where
	// that is open; empty: the wire has nothing of the kind.
	chosen map[string]string
	parent func() (credentials string) // makes one; the path of its credentials
	add    func(credentials, name string, body any) reply
	query  string // what every path ends in
	next   string // member of a page that names the next one
}

// TestVectors sends every vector over both wires. No answer is a 5xx, and each
// refusal has its wire's shape: see send.
func TestVectors(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	admin := []string{s.bearer(t, s.TenantID, s.ClientID, s.ClientSecret)}
	other, _, err := s.AsAdmin(t).PutHostedTenant(t.Context(), uuid.NewString(), client.HostedTenantSpec{DisplayName: "Other"})
	if err != nil {
		t.Fatal(err)
	}
	foreign := []string{s.bearer(t, other.TenantID, other.Administrator.ClientID, other.Administrator.ClientSecret)}
	do := func(method, path string, body any) reply { return s.send(t, admin, method, path, body) }
	made := func(r reply) reply {
		t.Helper()
		if r.status != http.StatusCreated {
			t.Fatalf("%d %s", r.status, r.text)
		}
		return r
	}

	group := "/subscriptions/" + s.SubscriptionID + "/resourceGroups/pets"
	const version = "?api-version=2024-11-30"
	made(do("PUT", group+version, m{"location": "local"}))
	wires := map[string]wire{
		"graph": {
			chosen: map[string]string{
				"name-2":              "2xx", // Graph takes 1 to 120 characters
				"name-dash":           "2xx", // azwi's names are base64 and begin so
				"name-dot":            "2xx", // friendly to URLs, which is Graph's rule
				"name-case":           "2xx", // names differ by case, as base64 does
				"filter-like":         "2xx",
				"select":              "4xx",
				"api-version-missing": "",
			},
			parent: func() string {
				return "/v1.0/applications/" + made(do("POST", "/v1.0/applications", m{"displayName": "parent"})).at("id") + "/federatedIdentityCredentials"
			},
			add: func(credentials, name string, body any) reply {
				if members, ok := body.(m); ok {
					members["name"] = name
				}
				return do("POST", credentials, body)
			},
			query: "?",
			next:  "@odata.nextLink",
		},
		"arm": {
			chosen: map[string]string{
				"name-case":    "2xx", // the second is an update
				"dup-name":     "2xx",
				"filter-quote": "4xx", // its lists of credentials take no filter
				"filter-like":  "4xx",
				"select":       "2xx", // passed over, as every parameter that ARM does not know
				"orderby":      "2xx",
				"top-big":      "2xx", // capped
				"path-key":     "",
				"path-inj":     "",
				"batch-loop":   "",
			},
			parent: func() string {
				identity := group + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/" + uuid.NewString()
				made(do("PUT", identity+version, m{"location": "local"}))
				return identity + "/federatedIdentityCredentials"
			},
			add: func(credentials, name string, body any) reply {
				if members, ok := body.(m); ok {
					body = m{"properties": members}
				}
				return do("PUT", credentials+"/"+url.PathEscape(name)+version, body)
			},
			query: version + "&",
			next:  "nextLink",
		},
	}
	everywhere := map[string]string{
		"iss-self":    "2xx", // our own tokens are refused by their keys, when they are exchanged
		"iss-private": "2xx", // whether it is fetched is decided where it is dialled
		"iss-html":    "4xx",
		"sub-star":    "2xx", // a literal
		"sub-ws":      "2xx", // a literal
		"aud-other":   "2xx",
		"unknown":     "4xx",
		"dup-name":    "4xx",
		"filter-inj":  "4xx",
	}

	data, err := os.ReadFile("testdata/management_api.json")
	if err != nil {
		t.Fatal(err)
	}
	var corpus struct{ Vectors []vector }
	if err := json.Unmarshal(data, &corpus); err != nil {
		t.Fatal(err)
	}
	for name, w := range wires {
		for _, v := range corpus.Vectors {
			expect := v.Expect
			for _, chosen := range []map[string]string{everywhere, w.chosen} {
				if c, ok := chosen[v.ID]; ok {
					expect = c
				}
			}
			if expect == "" {
				continue
			}
			var got reply
			credentials := w.parent()
			trust := func(subject string) m {
				return m{"issuer": "https://issuer.example/t1/", "subject": subject, "audiences": []string{audience}}
			}
			switch v.ID {
			case "21st":
				for i := range 20 {
					made(w.add(credentials, fmt.Sprint("name", i), trust(fmt.Sprint(i))))
				}
				got = w.add(credentials, "name20", trust("20"))
			case "dup-pair":
				made(w.add(credentials, "one", trust("s")))
				got = w.add(credentials, "two", trust("s"))
			case "dup-name":
				made(w.add(credentials, "one", trust("s")))
				got = w.add(credentials, "one", trust("t"))
			case "name-case":
				made(w.add(credentials, "abc", trust("s")))
				got = w.add(credentials, "ABC", trust("t"))
			case "deep":
				got = w.add(credentials, "abc", strings.Repeat(`{"a":`, 20_000)+"1"+strings.Repeat("}", 20_000))
			case "10MiB":
				got = w.add(credentials, "abc", strings.Repeat("x", 10<<20))
			case "skiptoken-forged", "skiptoken-other":
				for i := range 3 {
					made(w.add(credentials, fmt.Sprint("name", i), trust(fmt.Sprint(i))))
				}
				next := strings.TrimPrefix(do("GET", credentials+w.query+"$top=2", nil).at(w.next), s.Authority)
				if r := do("GET", next, nil); r.status != http.StatusOK {
					t.Fatalf("%s: the next page %q: %d %s", name, next, r.status, r.text)
				}
				if v.ID == "skiptoken-forged" {
					at := strings.Index(next, "skiptoken=") + len("skiptoken=") + 7
					flipped := map[bool]string{true: "B", false: "A"}[next[at] == 'A']
					got = do("GET", next[:at]+flipped+next[at+1:], nil)
				} else {
					got = do("GET", strings.Replace(next, credentials, w.parent(), 1), nil)
				}
			case "idor":
				got = s.send(t, foreign, "GET", credentials+w.query, nil)
			case "api-version-missing":
				got = do("GET", credentials, nil)
			case "batch-loop":
				got = do("POST", "/v1.0/$batch", m{"requests": []m{{"id": "1", "method": "POST", "url": "/$batch"}}})
			case "path-key":
				app := do("GET", "/v1.0/applications?$top=1", nil).document["value"].([]any)[0].(map[string]any)
				got = do("GET", "/v1.0"+strings.Replace(v.Query, "'x'", "'"+app["appId"].(string)+"'", 1), nil)
			default:
				switch {
				case strings.HasPrefix(v.Query, "$"):
					set := credentials
					if v.ID == "filter-like" && name == "graph" {
						set = "/v1.0/applications"
					}
					option, value, _ := strings.Cut(v.Query, "=")
					got = do("GET", set+w.query+option+"="+url.QueryEscape(value), nil)
				case v.Query != "": // a path
					root, _, _ := strings.Cut(credentials, "/federated")
					got = do("GET", root[:strings.LastIndex(root, "/")]+strings.TrimPrefix(v.Query, "/applications")+w.query, nil)
				case v.Body != "":
					got = w.add(credentials, "abc", v.Body)
				default:
					got = v.add(w, credentials, s)
				}
			}
			class := fmt.Sprintf("%dxx", got.status/100)
			if !strings.Contains(expect, class) && !strings.Contains(expect, fmt.Sprint(got.status)) {
				t.Errorf("%s over %s: %d, want %s: %s", v.ID, name, got.status, expect, got.text)
			}
		}
	}
}

// add makes a credential of the vector's members, the others being good.
func (v vector) add(w wire, credentials string, s *service) reply {
	name, body := "abc", m{"issuer": "https://issuer.example/t1/", "subject": subject, "audiences": []string{audience}}
	if v.Name != "" {
		name = v.Name
	}
	if v.Issuer != nil {
		body["issuer"] = *v.Issuer
	}
	if v.ID == "iss-self" {
		body["issuer"] = s.Authority + "/" + s.TenantID + "/v2.0"
	}
	if v.Subject != nil {
		body["subject"] = *v.Subject
	}
	if v.Audiences != nil {
		body["audiences"] = *v.Audiences
	}
	return w.add(credentials, name, body)
}
