package graph

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/internal/roles"
)

// walk follows a list to its end and returns a member of all items.
func (w *world) walk(as, path, member string) (all []string, pages int) {
	w.Helper()
	for path != "" {
		got := w.do(as, "GET", path, nil).is(200)
		all = append(all, got.all(member)...)
		path, _ = got.at("@odata.nextLink").(string)
		if pages++; pages > 100 {
			w.Fatalf("%s has no end", path)
		}
		if path != "" && !strings.HasPrefix(path, base+"/v1.0/") {
			w.Fatalf("the list goes on at %q", path)
		}
	}
	return all, pages
}

func TestPaging(t *testing.T) { onEngines(t, testPaging) }

func testPaging(t *testing.T, w *world) {
	var names []string
	for i := range 5 {
		name := fmt.Sprintf("page %d ü+&", i)
		_, appID := w.application(admin, name)
		w.do(admin, "POST", "/servicePrincipals", m{"appId": appID}).is(201)
		names = append(names, name)
	}
	id, _ := w.application(admin, "parent")
	var trusts []string
	for i := range 7 {
		trusts = append(trusts, fmt.Sprintf("t%d", i))
		w.credential(admin, id, trusts[i])
	}
	client := w.callers[nobody].PrincipalID
	var granted []string
	resource := w.do(admin, "GET", "/servicePrincipals(appId='"+roles.GraphAppID+"')", nil).is(200)
	for _, r := range resource.at("appRoles").([]any) {
		role := r.(map[string]any)["id"].(string)
		w.do(admin, "POST", "/servicePrincipals/"+client+"/appRoleAssignments", m{"principalId": client, "resourceId": resource.str("id"), "appRoleId": role}).is(201)
		granted = append(granted, role)
	}
	filter := "&$filter=" + url.QueryEscape("startswith(displayName,'page')")
	for _, c := range []struct {
		path, member string
		want         []string
		pages        int
	}{
		{"/applications?$top=2" + filter, "displayName", names, 3},
		{"/applications?$top=5" + filter, "displayName", names, 1},
		{"/applications?$top=2&$select=displayName&$orderby=displayName" + filter, "displayName", names, 3},
		{"/servicePrincipals?%24top=1" + filter, "displayName", names, 5},
		{"/applications/" + id + "/federatedIdentityCredentials?$top=3", "name", trusts, 3},
		{"/applications/" + id + "/federatedIdentityCredentials?$top=3&$filter=issuer eq 'https://issuer.example/t1/'", "name", trusts, 3},
		{"/applications('" + id + "')/federatedIdentityCredentials?$top=7", "name", trusts, 1},
		{"/servicePrincipals/" + client + "/appRoleAssignments?$top=4", "appRoleId", granted, 2},
		{"/organization?$top=1", "displayName", []string{"A"}, 1},
	} {
		got, pages := w.walk(admin, c.path, c.member)
		slices.Sort(got)
		slices.Sort(c.want)
		if diff := cmp.Diff(c.want, got); diff != "" || pages != c.pages {
			t.Errorf("%s: %d pages, want %d (-want +got):\n%s", c.path, pages, c.pages, diff)
		}
		for page := c.path + "&$count=true"; page != ""; { // every page says how long the whole list is
			got := w.do(admin, "GET", page, nil).is(200)
			if n := got.at("@odata.count"); n != float64(len(c.want)) {
				t.Errorf("%s: @odata.count %v, want %d", page, n, len(c.want))
			}
			page, _ = got.at("@odata.nextLink").(string)
		}
	}
}

func TestPageTokensAreBound(t *testing.T) {
	w := newWorld(t)
	id, _ := w.application(admin, "x1")
	second, _ := w.application(admin, "x2")
	for _, name := range []string{"a", "b"} {
		w.credential(admin, id, name)
		w.credential(admin, second, name)
	}
	token := func(as, path string) string {
		u, err := url.Parse(w.do(as, "GET", path, nil).is(200).str("@odata.nextLink"))
		w.must(err)
		return u.Query().Get("$skiptoken")
	}
	for i := range 5 {
		w.do(foreign, "POST", "/applications", m{"displayName": fmt.Sprint("y", i)}).is(201)
	}
	good := token(admin, "/applications?$top=1")
	w.do(admin, "GET", "/applications?$top=1&$skiptoken="+good, nil).is(200)
	w.do(admin, "GET", base+"/beta/applications?$skiptoken="+good, nil).is(200)
	flipped := []byte(good)
	flipped[len(flipped)/2] ^= 1
	fics := "/applications/" + id + "/federatedIdentityCredentials"
	for name, path := range map[string]string{
		"forged":             "/applications?$skiptoken=" + string(flipped),
		"cut":                "/applications?$skiptoken=" + good[:10],
		"empty base64":       "/applications?$skiptoken=AAAA",
		"no base64":          "/applications?$skiptoken=%27%20or%201",
		"another list":       "/servicePrincipals?$skiptoken=" + good,
		"another filter":     "/applications?$filter=displayName%20eq%20'x'&$skiptoken=" + good,
		"another tenant's":   "/applications?$skiptoken=" + token(foreign, "/applications?$top=1"),
		"another parent's":   "/applications/" + second + "/federatedIdentityCredentials?$skiptoken=" + token(admin, fics+"?$top=1"),
		"of an older server": "/applications?$skiptoken=" + "bm90aGluZw",
	} {
		got := w.do(admin, "GET", path, nil)
		t.Log(name)
		got.fails(400, "BadRequest", "Invalid value for $skiptoken query option found. Start the list again without it.")
	}
	// Two servers with one seal take each other's tokens.
	again := New(w.surface.Config)
	w.server.Config.Handler = again
	w.do(admin, "GET", "/applications?$top=1&$skiptoken="+good, nil).is(200)
}

func TestQueryOptions(t *testing.T) {
	w := newWorld(t)
	id, _ := w.application(admin, "app")
	for _, c := range []struct{ query, code, message string }{
		{"$top=-1", "BadRequest", "Invalid value '-1' for $top query option found. The $top query option requires a non-negative integer value."},
		{"$top=x", "BadRequest", "Invalid value 'x' for $top query option found. The $top query option requires a non-negative integer value."},
		{"$top=", "BadRequest", "Invalid value '' for $top query option found. The $top query option requires a non-negative integer value."},
		{"$top=0", "Request_UnsupportedQuery", "Invalid page size specified: '0'. Must be between 1 and 999 inclusive."},
		{"$top=1000", "Request_UnsupportedQuery", "Invalid page size specified: '1000'. Must be between 1 and 999 inclusive."},
		{"$top=99999999999999999999", "BadRequest", "Invalid value '99999999999999999999' for $top query option found. The $top query option requires a non-negative integer value."},
		{"$top=1&$top=2", "BadRequest", "Query option '$top' was specified more than once, but it must be specified at most once."},
		{"$count=yes", "BadRequest", "Invalid value 'yes' for $count query option found. Valid values are 'true' and 'false'."},
		{"$skip=1", "Request_UnsupportedQuery", "The query option '$skip' is not supported for this resource."},
		{"$expand=owners", "Request_UnsupportedQuery", "The query option '$expand' is not supported for this resource."},
		{"$search=%22displayName:x%22", "Request_UnsupportedQuery", "Request with $search query parameter only works through MSGraph with a special request header: 'ConsistencyLevel: eventual'"},
		{"$orderby=name;drop%20table%20fic", "BadRequest", "The query string cannot be read."},
		{"$orderby=displayName%20desc", "Request_UnsupportedQuery", "Lists are sorted by displayName; the sort order 'displayName desc' is not supported."},
		{"$select=secretText", "BadRequest", "Parsing OData Select and Expand failed: Could not find a property named 'secretText' on the resource."},
		{"$filter=%zz", "BadRequest", "The query string cannot be read."},
		{"$filter=%00", "BadRequest", "The value of the query option '$filter' cannot be read."},
		{"$filter=%ff", "BadRequest", "The value of the query option '$filter' cannot be read."},
		{"$filter=" + strings.Repeat("x", 20000), "BadRequest", "The query string is too long."},
	} {
		w.do(admin, "GET", "/applications?"+c.query, nil).fails(400, c.code, c.message)
	}
	for _, query := range []string{"", "api-version=1.6", "$format=json", "$select=", "$select=*", "$select=ID,%20displayname", "$orderby=displayName%20asc", "$count=false", "%24top=1", "$filter="} {
		w.do(admin, "GET", "/applications?"+query, nil).is(200)
	}
	w.do(admin, "GET", "/applications/"+id+"?$filter=id%20eq%20'x'", nil).fails(400, "Request_UnsupportedQuery", "The query option '$filter' is not supported for this resource.")
	w.do(admin, "DELETE", "/applications/"+id+"?$select=id", nil).fails(400, "Request_UnsupportedQuery", "The query option '$select' is not supported for this resource.")
	w.do(admin, "GET", "/organization?$filter=id%20eq%20'x'", nil).fails(400, "Request_UnsupportedQuery", "A filter is not supported for this resource.")
}
