package arm

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
	"github.com/entente-id/entente/internal/signin"
)

func pageOf(after string) directory.Page { return directory.Page{After: after} }

// names reads a page and where the next one is, as a path.
func (r reply) names(t *testing.T) (names []string, next string) {
	t.Helper()
	var page collection[struct {
		Name string `json:"name"`
	}]
	if err := json.Unmarshal([]byte(r.text), &page); err != nil {
		t.Fatal(err)
	}
	for _, item := range page.Value {
		names = append(names, item.Name)
	}
	if page.NextLink == "" {
		return names, ""
	}
	next, ours := strings.CutPrefix(page.NextLink, testBase)
	if !ours {
		t.Fatalf("nextLink is %q, want it below %q", page.NextLink, testBase)
	}
	return names, next
}

func TestPages(t *testing.T) {
	w := newWorld(t)
	w.fixture()
	for i := range 5 {
		w.ok("admin", "PUT", fmt.Sprintf("%s/federatedIdentityCredentials/more-%d", ide, i), strings.Replace(ficBody, "sa1", fmt.Sprintf("more%d", i), 1))
		w.ok("admin", "PUT", fmt.Sprintf("%s-%d", ide, i), `{"location":"local"}`)
		w.ok("admin", "PUT", fmt.Sprintf("%s/resourceGroups/group-%d", sub, i), `{"location":"local"}`)
		w.ok("admin", "PUT", fmt.Sprintf("%s/issuer-%d", issuers, i), fmt.Sprintf(`{"properties":{"issuer":"https://issuer.example/%d"}}`, i))
		w.ok("admin", "PUT", fmt.Sprintf("%s%s66666666-6666-4666-8666-66666666666%d", sub, assignmentPath, i), w.assign(roles.Reader, fmt.Sprintf("reader%d", i)))
		w.ok("admin", "PUT", fmt.Sprintf("/providers/Entente.Federation/tenants/77777777-7777-4777-8777-77777777777%d", i), `{}`)
	}
	for name, path := range map[string]string{
		"credentials":            ide + "/federatedIdentityCredentials",
		"identities":             sub + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities",
		"identities of a group":  inGroup + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities",
		"groups":                 sub + "/resourceGroups",
		"issuers":                issuers,
		"assignments":            sub + "/providers/Microsoft.Authorization/roleAssignments",
		"assignments, in a case": strings.ToUpper(sub) + "/providers/microsoft.authorization/roleassignments?$filter=atScope()",
		"tenants":                "/providers/Entente.Federation/tenants",
		"audit events":           "/providers/Entente.Federation/auditEvents?$top=999",
	} {
		t.Run(name, func(t *testing.T) {
			w := *w
			w.t = t
			whole, next := w.ok("admin", "GET", path, "").names(t)
			if len(whole) < 5 || next != "" {
				t.Fatalf("%d items and the next page at %q", len(whole), next)
			}
			var all []string
			path, pages := withTop(path, "2"), 0
			for ; path != ""; pages++ {
				names, next := w.ok("admin", "GET", path, "").names(t)
				if len(names) > 2 || len(names) == 0 {
					t.Fatalf("a page of %d", len(names))
				}
				all, path = append(all, names...), next
			}
			if !slices.Equal(all, whole) || pages != (len(whole)+1)/2 {
				t.Errorf("on %d pages %q, want %q", pages, all, whole)
			}
		})
	}
}

func withTop(path, top string) string {
	if strings.Contains(path, "$top") {
		return path[:strings.Index(path, "$top")] + "$top=" + top
	}
	if strings.Contains(path, "?") {
		return path + "&$top=" + top
	}
	return path + "?$top=" + top
}

func TestPageTokensBelongToTheirList(t *testing.T) {
	w := newWorld(t)
	w.fixture()
	_, next := w.ok("admin", "GET", sub+"/resourceGroups?$top=1", "").names(t)
	u, err := url.Parse(next)
	w.must(err)
	token := u.Query().Get("$skiptoken")
	if strings.Contains(token, "other") || token == "" {
		t.Fatalf("the token is %q", token)
	}
	try := func(who, path, token string) int {
		return w.do(who, "GET", path+"?$skiptoken="+url.QueryEscape(token), "").status
	}
	if got := try("admin", strings.ToUpper(sub)+"/resourcegroups", token); got != 200 {
		t.Errorf("in another case: %d", got)
	}
	w.ok("stranger", "PUT", "/subscriptions/"+otherSub+"/resourceGroups/rg", `{"location":"local"}`)
	flipped := []byte(token)
	flipped[len(flipped)/2] ^= 1
	for name, got := range map[string]int{
		"another list":   try("admin", issuers, token),
		"another tenant": try("stranger", "/subscriptions/"+otherSub+"/resourceGroups", token),
		"forged":         try("admin", sub+"/resourceGroups", string(flipped)),
		"cut":            try("admin", sub+"/resourceGroups", token[:len(token)-1]),
		"in clear":       try("admin", sub+"/resourceGroups", "other"),
		"not base64":     try("admin", sub+"/resourceGroups", "%%%"),
	} {
		if got != 400 {
			t.Errorf("%s: %d", name, got)
		}
	}
	// Of another filter.
	assignments := sub + "/providers/Microsoft.Authorization/roleAssignments"
	_, next = w.ok("admin", "GET", assignments+"?$top=1&$filter=atScope()", "").names(t)
	u, err = url.Parse(next)
	w.must(err)
	if got := try("admin", assignments, u.Query().Get("$skiptoken")); got != 400 {
		t.Errorf("another filter: %d", got)
	}
}

func TestSignIns(t *testing.T) {
	w := newWorld(t)
	run, stop := contextWithCancel(t)
	done := make(chan error, 1)
	go func() { done <- w.records.Run(run) }()
	for i := range 3 {
		w.records.Record(signin.Record{TenantID: testTenant, ClientID: "client-a", Method: "assertion", Code: 700213 * (i % 2), Subject: fmt.Sprintf("s%d", i)})
	}
	w.records.Record(signin.Record{TenantID: testTenant, ClientID: "client-b"})
	w.records.Record(signin.Record{TenantID: otherTenant, ClientID: "client-c"})
	stop() // writes what is left
	w.must(<-done)
	const path = "/providers/Entente.Federation/signIns"
	count := func(query string) int {
		names, _ := w.ok("auditor", "GET", path+query, "").names(t)
		return len(names)
	}
	for query, want := range map[string]int{
		"": 4, "?$filter=clientId+eq+'client-a'": 3, "?$filter=result+eq+'failure'": 1, "?$filter=clientId+eq+'client-b'+and+result+eq+'failure'": 0,
		"?$filter=at+ge+'2000-01-01T00:00:00Z'": 4, "?$filter=at+lt+'2000-01-01T00:00:00Z'": 0, "?$top=3": 3,
	} {
		if got := count(query); got != want {
			t.Errorf("%q: %d records, want %d", query, got, want)
		}
	}
	_, next := w.ok("auditor", "GET", path+"?$top=3", "").names(t)
	if names, _ := w.ok("auditor", "GET", next, "").names(t); len(names) != 1 {
		t.Errorf("%d records on the second page", len(names))
	}
	r := w.ok("auditor", "GET", path+"?$filter=result+eq+'failure'", "")
	want := `{"value":[{"id":"*","name":"*","type":"Entente.Federation/signIns","properties":{"at":"*","clientId":"client-a","method":"assertion","subject":"s1","code":700213}}]}`
	if err := compare(want, r.text); err != nil {
		t.Errorf("%v\n%s", err, r.text)
	}
}
