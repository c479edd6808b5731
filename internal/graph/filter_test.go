package graph

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParseFilter(t *testing.T) {
	const bad, cannot = "BadRequest", "Request_UnsupportedQuery"
	for _, c := range []struct {
		text string
		want []clause
		code string
	}{
		{"displayName eq 'x'", []clause{{"displayname", "eq", "x"}}, ""},
		{" displayName  eq  'x' ", []clause{{"displayname", "eq", "x"}}, ""},
		{"displayName eq ''", []clause{{"displayname", "eq", ""}}, ""},
		{"displayName eq 'a''b'", []clause{{"displayname", "eq", "a'b"}}, ""},
		{"displayName eq ''''", []clause{{"displayname", "eq", "'"}}, ""},
		{"displayName eq 'ü €'", []clause{{"displayname", "eq", "ü €"}}, ""},
		{"displayName eq 'system:serviceaccount:ns:sa'", []clause{{"displayname", "eq", "system:serviceaccount:ns:sa"}}, ""},
		{"startswith(displayName,'x')", []clause{{"displayname", "startswith", "x"}}, ""},
		{"startsWith( displayName , 'x' )", []clause{{"displayname", "startswith", "x"}}, ""},
		{"identifierUris/any(s:s eq 'api://x')", []clause{{"identifieruris", "any", "api://x"}}, ""},
		{"servicePrincipalNames/any( c : c eq 'x' )", []clause{{"serviceprincipalnames", "any", "x"}}, ""},
		{"a eq 'x' and b eq 'y' and c eq 'z'", []clause{{"a", "eq", "x"}, {"b", "eq", "y"}, {"c", "eq", "z"}}, ""},
		{"(a eq 'x') and ((b eq 'y') and (c eq 'z'))", []clause{{"a", "eq", "x"}, {"b", "eq", "y"}, {"c", "eq", "z"}}, ""},
		{"a/b eq 'x'", []clause{{"a/b", "eq", "x"}}, ""},
		{"resourceId eq " + nowhere, []clause{{"resourceid", "eq", nowhere}}, ""},
		{"accountEnabled eq true", []clause{{"accountenabled", "eq", "true"}}, ""},
		// What az sends for names with a quote.
		{"startswith(displayName,'O'Brien')", []clause{{"displayname", "startswith", "O'Brien"}}, ""},
		{"displayName eq 'O'Brien's'", []clause{{"displayname", "eq", "O'Brien's"}}, ""},
		{"displayName eq 'l'été'", []clause{{"displayname", "eq", "l'été"}}, ""},
		{"displayName eq 'rock 'n' roll'", nil, bad},

		{"displayName eq 'a", nil, bad},
		{"displayName eq a", nil, bad},
		{"displayName eq", nil, bad},
		{"displayName", nil, bad},
		{"displayName eq'a'", nil, bad},
		{"'a' eq displayName", nil, bad},
		{"eq 'a'", nil, bad},
		{"a eq 'x' and", nil, bad},
		{"a eq 'x'and b eq 1", nil, bad},
		{"a eq 'x' b eq 'y'", nil, bad},
		{"a eq 'x')", nil, bad},
		{"(a eq 'x'", nil, bad},
		{"()", nil, bad},
		{"startswith(displayName,'x'", nil, bad},
		{"startswith(displayName)", nil, bad},
		{"startswith('x',displayName)", nil, bad},
		{"a/ eq 'x'", nil, bad},
		{"a/any( eq 'x')", nil, bad},
		{"a/any(x eq 'x')", nil, bad},
		{"a is 'x'", nil, bad},
		{"name eq 'a') UNION SELECT 1--'", nil, bad},
		{"name eq 'a'; drop table credentials", nil, bad},
		{strings.Repeat("(", 400) + "a eq 'x'" + strings.Repeat(")", 400), nil, bad},
		{strings.Repeat("a eq 'x' and ", 20) + "a eq 'x'", nil, bad},
		{"a eq '" + strings.Repeat("x", 5000) + "'", nil, bad},
		{"a eq null", nil, bad},
		{"a eq 5", nil, bad},

		{"a eq 'x' or b eq 'y'", nil, cannot},
		{"name eq 'a' or 1 eq 1", nil, cannot},
		{"not (a eq 'x')", nil, cannot},
		{"not a eq 'x'", nil, cannot},
		{"a ne 'x'", nil, cannot},
		{"createdDateTime ge 2020-01-01", nil, cannot},
		{"id in ('a','b')", nil, cannot},
		{"endsWith(a,'x')", nil, cannot},
		{"contains(a,'x')", nil, cannot},
		{"a/all(x:x eq 'y')", nil, cannot},
		{"passwordCredentials/any(p:p/secretText eq 'x')", nil, cannot},
		{"a/any(x:x ne 'y')", nil, cannot},
		{"a/any(x:y eq 'y')", nil, cannot},
	} {
		got, err := parseFilter(c.text)
		code := ""
		if f, ok := errors.AsType[*fault](err); ok {
			code = f.code
		} else if err != nil {
			t.Errorf("%s: %v is no fault", c.text, err)
		}
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(clause{})); diff != "" || code != c.code {
			t.Errorf("%s: code %q, want %q; (-want +got):\n%s", c.text, code, c.code, diff)
		}
	}
}

// FuzzFilter: no text panics, what is read can be written and read again, and its size is bounded.
func FuzzFilter(f *testing.F) {
	for _, text := range []string{"displayName eq 'x'", "startswith(a,'O'Brien')", "a/any(x:x eq '''')", "(a eq 'x') and not b", "a eq " + nowhere, "((((", "a/b/c eq true and x", "'"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		clauses, err := parseFilter(text)
		if err != nil {
			if _, ok := errors.AsType[*fault](err); !ok {
				t.Fatalf("%q: %v is no fault", text, err)
			}
			return
		}
		var again []string
		for _, c := range clauses {
			value := "'" + strings.ReplaceAll(c.value, "'", "''") + "'"
			switch c.operator {
			case "eq":
				again = append(again, c.property+" eq "+value)
			case "startswith":
				again = append(again, "startswith("+c.property+","+value+")")
			case "any":
				again = append(again, c.property+"/any(x:x eq "+value+")")
			default:
				t.Fatalf("%q: operator %q", text, c.operator)
			}
		}
		canonical := strings.Join(again, " and ")
		if len(canonical) > longestFilter {
			return
		}
		same, err := parseFilter(canonical)
		if err != nil || !cmp.Equal(clauses, same, cmp.AllowUnexported(clause{}), cmpopts.EquateEmpty()) {
			t.Fatalf("%q became %q, which is read as %v (%v)", text, canonical, same, err)
		}
	})
}

// FuzzPath: no path panics, and what is read holds no text that another reader could understand otherwise.
func FuzzPath(f *testing.F) {
	for _, text := range []string{"/v1.0/applications", "/v1.0/applications(appId='x')/y", "/v1.0/applications//x", "/a/%2e%2e", "/a('b''c')", "/%", "/a(b='c=')", "/a()"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePath(text)
		if err != nil {
			return
		}
		for _, s := range p.segments {
			if strings.ContainsAny(s.text, "/\\;\x00") || !s.keyed && (s.text == "" || s.text == "." || s.text == "..") {
				t.Fatalf("%q has the segment %q", text, s.text)
			}
		}
		for i := range routes {
			match(routes[i].Pattern, p.segments)
		}
	})
}

func TestFilters(t *testing.T) { onEngines(t, testFilters) }

func testFilters(t *testing.T, w *world) {
	ids := map[string]string{}
	appIDs := map[string]string{}
	for _, name := range []string{"app", "App-decoy", "app-decoy2", "apricot", "a%c", "a_c", "abc", "O'Brien", "Ünï"} {
		ids[name], appIDs[name] = w.application(admin, name)
	}
	w.do(admin, "PATCH", "/applications/"+ids["abc"], m{"identifierUris": []string{"api://abc", "https://abc.example/x"}, "uniqueName": "abc's"}).is(204)
	w.do(admin, "POST", "/servicePrincipals", m{"appId": appIDs["abc"]}).is(201)
	w.do(admin, "POST", "/servicePrincipals", m{"appId": appIDs["app"]}).is(201)
	for _, c := range []struct {
		set, filter string
		want        []string // display names
	}{
		{"applications", "displayName eq 'app'", []string{"app"}},
		{"applications", "displayName eq 'APP'", []string{"app"}},
		{"applications", "startswith(displayName,'app')", []string{"app", "App-decoy", "app-decoy2"}}, // the exact one first
		{"applications", "startswith(displayName,'ap')", []string{"app", "App-decoy", "app-decoy2", "apricot"}},
		{"applications", "startswith(displayName,'')", nil},
		{"applications", "startswith(displayName,'a%')", []string{"a%c"}},
		{"applications", "startswith(displayName,'a_')", []string{"a_c"}},
		{"applications", "startswith(displayName,'%')", []string{}},
		{"applications", "startswith(displayName,'O'Brien')", []string{"O'Brien"}},
		{"applications", "displayName eq 'O''Brien'", []string{"O'Brien"}},
		{"applications", "displayName eq 'Ünï'", []string{"Ünï"}},
		{"applications", "appId eq '" + appIDs["abc"] + "'", []string{"abc"}},
		{"applications", "appId eq '" + strings.ToUpper(appIDs["abc"]) + "'", []string{"abc"}},
		{"applications", "id eq '" + ids["abc"] + "'", []string{"abc"}},
		{"applications", "uniqueName eq 'abc''s'", []string{"abc"}},
		{"applications", "identifierUris/any(s:s eq 'https://abc.example/x')", []string{"abc"}},
		{"applications", "identifierUris/any(s:s eq 'x')", []string{}},
		{"applications", "startswith(displayName,'a') and appId eq '" + appIDs["abc"] + "'", []string{"abc"}},
		{"applications", "displayName eq 'app' and appId eq '" + appIDs["abc"] + "'", []string{}},
		{"applications", "", nil},
		{"servicePrincipals", "displayName eq 'abc'", []string{"abc"}},
		{"servicePrincipals", "servicePrincipalNames/any(c:c eq '" + appIDs["abc"] + "')", []string{"abc"}},
		{"servicePrincipals", "servicePrincipalNames/any(c:c eq 'api://abc')", []string{"abc"}},
		{"servicePrincipals", "servicePrincipalType eq 'ManagedIdentity'", []string{}},
		{"servicePrincipals", "servicePrincipalType eq 'SocialIdp'", []string{}},
		{"servicePrincipals", "startswith(displayName,'a') and servicePrincipalType eq 'Application'", []string{"abc", "app"}},
	} {
		got := w.do(admin, "GET", "/"+c.set+"?$filter="+url.QueryEscape(c.filter), nil).is(200)
		if names := got.all("displayName"); c.want != nil && !cmp.Equal(names, c.want) {
			t.Errorf("%s %s: %v, want %v", c.set, c.filter, names, c.want)
		}
	}
	for _, filter := range []string{"nonsense eq 'x'", "displayName any 'x'", "startswith(appId,'x')", "identifierUris eq 'x'", "displayName/any(x:x eq 'y')", "displayName eq 'a' and displayName eq 'b'", "passwordCredentials/any(p:p eq 'x')"} {
		if got := w.do(admin, "GET", "/applications?$filter="+url.QueryEscape(filter), nil).is(400); got.code() != "Request_UnsupportedQuery" && got.code() != "BadRequest" {
			t.Errorf("%s: %s", filter, got.text)
		}
	}

	// Credentials.
	app := "/applications/" + ids["app"] + "/federatedIdentityCredentials"
	w.do(admin, "POST", app, trust("one")).is(201)
	two := trust("two")
	two["subject"] = "it's"
	w.do(admin, "POST", app, two).is(201)
	for filter, want := range map[string][]string{
		"subject eq 'system:serviceaccount:ns:sa-one'":             {"one"},
		"subject eq 'it''s'":                                       {"two"},
		"subject eq 'it's'":                                        {"two"},
		"name eq 'two'":                                            {"two"},
		"name eq 'TWO'":                                            {},
		"issuer eq 'https://issuer.example/t1/'":                   {"one", "two"},
		"issuer eq 'https://issuer.example/t1/' and name eq 'one'": {"one"},
		"name eq 'a''b'":                                           {},
	} {
		if got := w.do(admin, "GET", app+"?$filter="+url.PathEscape(filter), nil).is(200).all("name"); !cmp.Equal(got, want) {
			t.Errorf("%s: %v, want %v", filter, got, want)
		}
	}
	if got := w.do(admin, "GET", app+"/$count?$filter=name eq 'two'", nil).is(200).text; got != "1" {
		t.Errorf("$count of a filter: %s", got)
	}
	for _, filter := range []string{"audiences eq 'x'", "startswith(name,'x')", "audiences/any(a:a eq 'x')"} {
		w.do(admin, "GET", app+"?$filter="+url.PathEscape(filter), nil).fails(400, "Request_UnsupportedQuery", "Unsupported or invalid query filter clause specified for property '…' of the resource.")
	}
}
