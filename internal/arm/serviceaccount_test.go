package arm

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/directory"
)

const (
	accountsPath = clu + "/serviceAccounts"
	catID        = "99999999-9999-4999-8999-999999999999"
)

func TestServiceAccounts(t *testing.T) {
	w := newWorld(t)
	w.fixture()
	came := func(accounts, namespaces, added, removed, anew int) string {
		return fmt.Sprintf(`{"reportedAt":"*","serviceAccounts":%d,"namespaces":%d,"added":%d,"removed":%d,"annotatedAnew":%d}`, accounts, namespaces, added, removed, anew)
	}
	const (
		cat  = `{"namespace":"pets","name":"cat","clientId":"` + catID + `"}`
		dog  = `{"namespace":"pets","name":"dog"}`
		bear = `{"namespace":"zoo","name":"bear"}`
	)
	filtered := func(text string) string { return accountsPath + "?$filter=" + url.QueryEscape(text) }
	w.walk([]step{
		{name: "never reported", method: "GET", path: accountsPath, status: 200, want: `{"value":[]}`},
		{name: "reported", method: "PUT", path: accountsPath, body: `{"serviceAccounts":[` + bear + `,` + cat + `,` + dog + `]}`, status: 200, want: came(3, 2, 3, 0, 0)},
		{name: "listed", method: "GET", path: accountsPath, status: 200, want: `{"value":[` + cat + `,` + dog + `,` + bear + `],"reportedAt":"*"}`},
		{name: "of a namespace", method: "GET", path: filtered("namespace eq 'pets'"), status: 200, want: `{"value":[` + cat + `,` + dog + `],"reportedAt":"*"}`},
		{name: "of none", method: "GET", path: filtered("namespace eq 'none'"), status: 200, want: `{"value":[],"reportedAt":"*"}`},
		{name: "by another filter", method: "GET", path: filtered("name eq 'cat'"), status: 400, want: `{"error":{"code":"InvalidFilter","message":"*"}}`},
		{name: "reported again, in another case", method: "PUT", path: strings.ToUpper(accountsPath), body: `{"serviceAccounts":[` + dog + `,` + cat + `,` + bear + `]}`, status: 200, want: came(3, 2, 0, 0, 0)},
		{name: "changed", method: "PUT", path: accountsPath, body: `{"serviceAccounts":[{"namespace":"pets","name":"cat","clientId":null,"uid":"x"},` + bear + `]}`, status: 200, want: came(2, 2, 0, 1, 1)},
		{name: "none left", method: "PUT", path: accountsPath, body: `{"serviceAccounts":[]}`, status: 200, want: came(0, 0, 0, 2, 0)},
		{name: "of a cluster that is not there", method: "PUT", path: clu + "2/serviceAccounts", body: `{"serviceAccounts":[]}`, status: 404, want: `{"error":{"code":"ResourceNotFound","message":"*"}}`},
		{name: "read of one that is not there", method: "GET", path: clu + "2/serviceAccounts", status: 404, want: `{"error":{"code":"ResourceNotFound","message":"*"}}`},
		{name: "post", method: "POST", path: accountsPath, body: `{}`, status: 405, want: `{"error":{"code":"MethodNotAllowed","message":"*"}}`},
		{name: "one", method: "GET", path: accountsPath + "/pets", status: 404, want: `{"error":{"code":"NotFound","message":"*"}}`},
	})

	var list []string
	for i := range 1200 {
		list = append(list, fmt.Sprintf(`{"namespace":"ns-%d","name":"sa-%04d"}`, i/500, i))
	}
	w.ok("admin", "PUT", accountsPath, `{"serviceAccounts":[`+strings.Join(list, ",")+`]}`)
	var names []string
	for path := accountsPath + "?$top=5000"; path != ""; {
		page, next := w.ok("admin", "GET", path, "").names(t)
		if len(page) == 0 || len(page) > directory.MaxPage {
			t.Fatalf("a page of %d", len(page))
		}
		names, path = append(names, page...), next
	}
	if len(names) != len(list) || names[0] != "sa-0000" || names[1199] != "sa-1199" {
		t.Errorf("%d names, from %s to %s", len(names), names[0], names[len(names)-1])
	}
}

// Whatever a report holds, it is refused whole: what was known stays.
func TestHostileReports(t *testing.T) {
	w := newWorld(t)
	w.fixture()
	const kept = `{"serviceAccounts":[{"namespace":"pets","name":"cat"}]}`
	w.ok("admin", "PUT", accountsPath, kept)
	body := func(elements string) string { return `{"serviceAccounts":[` + elements + `]}` }
	const fine = `{"namespace":"pets","name":"dog"}`
	for name, tt := range map[string]struct {
		body   string
		status int
	}{
		"no body":                  {"", 400},
		"empty":                    {`{}`, 400},
		"null":                     {`{"serviceAccounts":null}`, 400},
		"an object":                {`{"serviceAccounts":{}}`, 400},
		"a text":                   {`{"serviceAccounts":"[]"}`, 400},
		"an array":                 {`[` + fine + `]`, 400},
		"cut off":                  {`{"serviceAccounts":[` + fine, 400},
		"more behind it":           {body(fine) + `{}`, 400},
		"twice":                    {`{"serviceAccounts":[],"serviceAccounts":[` + fine + `]}`, 400},
		"twice but for case":       {`{"serviceAccounts":[],"ServiceAccounts":[` + fine + `]}`, 400},
		"element twice":            {body(fine + `,` + fine), 400},
		"a number":                 {body(fine + `,1`), 400},
		"nothing":                  {body(fine + `,null`), 400},
		"an array in it":           {body(`[` + fine + `]`), 400},
		"no name":                  {body(`{"namespace":"pets"}`), 400},
		"no namespace":             {body(`{"name":"dog"}`), 400},
		"name of a sort":           {body(`{"namespace":"pets","name":1}`), 400},
		"name twice":               {body(`{"namespace":"pets","name":"cat","name":"dog"}`), 400},
		"name in two cases":        {body(`{"namespace":"pets","name":"cat","Name":"dog"}`), 400},
		"name in another case":     {body(`{"namespace":"pets","NAME":"dog"}`), 400},
		"subject as name":          {body(`{"namespace":"pets","name":"system:serviceaccount:pets:cat"}`), 400},
		"mark-up":                  {body(`{"namespace":"pets","name":"<script>"}`), 400},
		"NUL":                      {body(`{"namespace":"pets","name":"d\u0000g"}`), 400},
		"half of a pair":           {body(`{"namespace":"pets","name":"\ud800"}`), 400},
		"not UTF-8":                {body("{\"namespace\":\"pets\",\"name\":\"\xff\"}"), 400},
		"long":                     {body(`{"namespace":"pets","name":"` + strings.Repeat("a", 254) + `"}`), 400},
		"very long":                {body(`{"namespace":"pets","name":"` + strings.Repeat("a", 1<<20) + `"}`), 400},
		"client id of no GUID":     {body(`{"namespace":"pets","name":"dog","clientId":"dog"}`), 400},
		"deep":                     {body(fine + `,{"namespace":"pets","name":"a","x":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`), 400},
		"more than there may be":   {body(strings.Repeat(fine+`,`, directory.MaxServiceAccounts) + fine), 400},
		"millions":                 {body(strings.Repeat(`1,`, 4<<20) + `1`), 400},
		"larger than there may be": {body(strings.Repeat(" ", maxReport)), 413},
	} {
		t.Run(name, func(t *testing.T) {
			w := *w
			w.t = t
			r := w.do("admin", "PUT", accountsPath, tt.body)
			if e := r.error(t); r.status != tt.status || len(e.Message) > 600 {
				t.Errorf("got %d %.300s", r.status, e.Message)
			}
			if err := compare(`{"value":[{"namespace":"pets","name":"cat"}],"reportedAt":"*"}`, w.ok("admin", "GET", accountsPath, "").text); err != nil {
				t.Error(err)
			}
		})
	}
	// Who has not the right is not read: the answer comes before the body.
	if r := w.do("reader", "PUT", accountsPath, `{`); r.status != 403 {
		t.Errorf("a reader is answered %d %s", r.status, r.text)
	}
}
