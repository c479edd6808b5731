package graph

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const eventual = "ConsistencyLevel: eventual"

func TestParseSearch(t *testing.T) {
	const bad, cannot = "BadRequest", "Request_UnsupportedQuery"
	for text, want := range map[string][2]string{
		`"displayName:pets"`:               {"pets"},
		` "displayName:pets shop" `:        {"pets shop"},
		`"displayname: a:b "`:              {"a:b"},
		`"displayName:say \"hi\" \\ c:\d"`: {`say "hi" \ c:\d`},
		`"displayName:ünï"`:                {"ünï"},
		`pets`:                             {"", bad},
		`"pets"`:                           {"", bad},
		`displayName:pets`:                 {"", bad},
		`"displayName:pets`:                {"", bad},
		`"displayName:pets\"`:              {"", bad},
		`"displayName:"`:                   {"", bad},
		`"displayName: "`:                  {"", bad},
		`"displayName:` + strings.Repeat("x", 5000) + `"`: {"", bad},
		`"description:pets"`:                              {"", cannot},
		`"displayName:a" OR "displayName:b"`:              {"", cannot},
		`"displayName:a" AND "description:b"`:             {"", cannot},
	} {
		got, err := parseSearch(text)
		code := ""
		if f, ok := errors.AsType[*fault](err); ok {
			code = f.code
		}
		if got != want[0] || code != want[1] {
			t.Errorf("%.60s: %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestSearch(t *testing.T) { onEngines(t, testSearch) }

func testSearch(t *testing.T, w *world) {
	for _, name := range []string{"Pets Shop", "my-pets", "other"} {
		_, appID := w.application(admin, name)
		w.do(admin, "POST", "/servicePrincipals", m{"appId": appID}).is(201)
	}
	for query, want := range map[string][]string{
		`$search="displayName:PETS"`:                                                 {"my-pets", "Pets Shop"},
		`$search="displayName:pets"&$filter=startswith(displayName,'my')`:            {"my-pets"},
		`$search="displayName:pets"&$top=1&$orderby=displayName&$select=displayName`: {"my-pets", "Pets Shop"},
		`$search="displayName:%"`:                                                    {},
		`$search=`:                                                                   nil,
	} {
		path := "?" + strings.NewReplacer(`"`, "%22", " ", "%20", ":%", ":%25").Replace(query)
		for _, set := range []string{"/applications", "/servicePrincipals"} {
			var got []string
			got = []string{}
			for next := set + path + "&$count=true"; next != ""; {
				page := w.do(admin, "GET", next, nil, eventual).is(200)
				if n := page.at("@odata.count"); want != nil && n != float64(len(want)) {
					t.Errorf("%s: @odata.count %v", query, n)
				}
				got = append(got, page.all("displayName")...)
				next, _ = page.at("@odata.nextLink").(string)
			}
			if want != nil && !cmp.Equal(got, want) {
				t.Errorf("%s%s: %q, want %q", set, query, got, want)
			}
		}
	}
	if got := w.do(admin, "GET", "/applications/$count?$search=%22displayName:pets%22", nil, eventual).is(200).text; got != "2" {
		t.Errorf("$count %s", got)
	}
	for _, header := range []string{"ConsistencyLevel: strong", "X: y"} {
		w.do(admin, "GET", "/applications?$search=%22displayName:pets%22", nil, header).fails(400, "Request_UnsupportedQuery", "Request with $search query parameter only works through MSGraph with a special request header: 'ConsistencyLevel: eventual'")
	}
	// A page belongs to its search.
	first := w.do(admin, "GET", "/applications?$top=1&$search=%22displayName:pets%22", nil, eventual).is(200).str("@odata.nextLink")
	u, err := url.Parse(first)
	w.must(err)
	token := url.QueryEscape(u.Query().Get("$skiptoken"))
	w.do(admin, "GET", "/applications?$top=1&$skiptoken="+token, nil).fails(400, "BadRequest", "Invalid value for $skiptoken query option found. Start the list again without it.")
	w.do(admin, "GET", "/applications/"+nowhere+"?$search=%22displayName:pets%22", nil, eventual).fails(400, "Request_UnsupportedQuery", "The query option '$search' is not supported for this resource.")
}

// FuzzSearch: no text panics, and what is found in one is a part of it.
func FuzzSearch(f *testing.F) {
	for _, text := range []string{`"displayName:x"`, `"displayName:\"x\\"`, `"a:b`, `"":`, `\"`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		part, err := parseSearch(text)
		if err == nil && (part == "" || !strings.Contains(strings.ReplaceAll(text, `\`, ""), strings.ReplaceAll(part, `\`, ""))) {
			t.Errorf("%q is searched for %q", text, part)
		}
	})
}
