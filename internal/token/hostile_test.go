package token

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/exchange"
	"github.com/entente-id/entente/internal/localissuer"
)

// requestVector is one request, good in all that it does not say.
type requestVector struct {
	ID, Class    string
	Method, Path string
	Query        string
	Type         *string // Content-Type
	Headers      map[string]string
	Body         *string
	Expect       string // accept or reject
	Status, Code int    // of a refusal
	Level        string // must: any correct server does so; policy: a choice of ours
	Note         string
}

var placeholder = regexp.MustCompile(`<(good(-[a-z_]+)?|escaped|client|CLIENT|client-plain|tenant|assertion|type|repeat:[^>]*\*\d+)>`)

// expand writes a text of a vector out. Its placeholders are
//
//	<good> <good-FIELD>     a good form, whole or without one field
//	<escaped>               the same, escaped once more
//	<client> <CLIENT> <client-plain> <tenant> <assertion> <type>
//	<repeat:TEXT*N>
func (w *world) expand(good url.Values, text string) string {
	return placeholder.ReplaceAllStringFunc(text, func(whole string) string {
		kind, rest, _ := strings.Cut(whole[1:len(whole)-1], ":")
		switch {
		case strings.HasPrefix(kind, "good"):
			fields := url.Values{}
			for name, values := range good {
				if name != strings.TrimPrefix(kind, "good-") {
					fields[name] = values
				}
			}
			return fields.Encode()
		case kind == "repeat":
			at := strings.LastIndexByte(rest, '*')
			n, err := strconv.Atoi(rest[at+1:])
			w.check(err)
			return strings.Repeat(rest[:at], n)
		}
		return map[string]string{
			"escaped": url.QueryEscape(good.Encode()), "client": w.clientID, "CLIENT": strings.ToUpper(w.clientID), "client-plain": strings.ReplaceAll(w.clientID, "-", ""),
			"tenant": w.tenant.ID, "assertion": good.Get("client_assertion"), "type": jwtBearer,
		}[kind]
	})
}

// TestHostileRequests runs our own vectors over HTTP. Every refusal is of the
// one form, in the 4xx range, holds no token and is recorded once.
func TestHostileRequests(t *testing.T) {
	data, err := os.ReadFile("testdata/hostile/requests.json")
	if err != nil {
		t.Fatal(err)
	}
	var corpus struct{ Vectors []requestVector }
	if err := json.Unmarshal(data, &corpus); err != nil {
		t.Fatal(err)
	}
	if len(corpus.Vectors) < 200 {
		t.Fatalf("%d vectors", len(corpus.Vectors))
	}
	w := newWorld(t, "127.0.0.1")
	good := url.Values{
		"client_id": {w.clientID}, "client_assertion": {w.mint(localissuer.Token{})}, "client_assertion_type": {jwtBearer},
		"grant_type": {"client_credentials"}, "scope": {"https://management.azure.com//.default"},
	}
	seen := map[string]bool{}
	for _, v := range corpus.Vectors {
		if seen[v.ID] || v.Level != "must" && v.Level != "policy" || (v.Expect == "reject") != (v.Code != 0) || v.Expect != "accept" && v.Expect != "reject" {
			t.Fatalf("vector %+v", v)
		}
		seen[v.ID] = true
		body, path, method, media := good.Encode(), w.tokenPath(), http.MethodPost, "application/x-www-form-urlencoded"
		if v.Body != nil {
			body = w.expand(good, *v.Body)
		}
		if v.Path != "" {
			path = w.expand(good, v.Path)
		}
		if v.Method != "" {
			method = v.Method
		}
		if v.Type != nil {
			media = *v.Type
		}
		headers := []string{"Content-Type", media}
		for name, value := range v.Headers {
			headers = append(headers, name, value)
		}
		r := w.send(method, path+"?"+v.Query, body, headers...)
		records := w.recorded()
		if v.Expect == "accept" {
			if r.StatusCode != http.StatusOK || len(records) != 1 || records[0].err != nil {
				t.Errorf("%s: %d %s (%s)", v.ID, r.StatusCode, r.body, v.Note)
			}
			continue
		}
		if r.StatusCode != v.Status || r.StatusCode/100 != 4 || method != http.MethodHead && r.code(t) != v.Code {
			t.Errorf("%s: %d %.400s, want %d AADSTS%d (%s)", v.ID, r.StatusCode, r.body, v.Status, v.Code, v.Note)
		}
		if strings.Contains(string(r.body), "access_token") || r.Header.Get("Retry-After") != "" || r.Header.Get("Content-Type") != "application/json; charset=utf-8" || len(r.body) > 4096 {
			t.Errorf("%s: %v %.400s", v.ID, r.Header, r.body)
		}
		if recorded := v.Class != "method" && v.Status != http.StatusNotFound; recorded != (len(records) == 1) || recorded && (records[0].Token != "" || records[0].code != v.Code) {
			t.Errorf("%s: records %+v", v.ID, records)
		}
	}
}

// Every reason for which the vectors of the exchange are refused is a 4xx here.
func TestHostileTokensAreTheClientsFault(t *testing.T) {
	for _, file := range []string{"claims", "headers"} {
		data, err := os.ReadFile("../exchange/testdata/hostile/" + file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var corpus struct {
			Vectors []struct{ Reason exchange.Reason }
		}
		if err := json.Unmarshal(data, &corpus); err != nil {
			t.Fatal(err)
		}
		for _, v := range corpus.Vectors {
			if a := answers[v.Reason]; v.Reason != "" && a.status/100 != 4 {
				t.Errorf("%s is answered with %d", v.Reason, a.status)
			}
		}
	}
}

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

// TestJSONTestSuite: a claims request that is not JSON is refused, and so is
// one that two readers would read differently.
func TestJSONTestSuite(t *testing.T) {
	for name, text := range jsonTestSuite(t) {
		for i, claims := range []string{string(text), `{"x":` + string(text) + `}`} {
			if claims == "" {
				continue // absent
			}
			f := form{"grant_type": "client_credentials", "claims": claims}
			_, err := f.check(false)
			refuse := !json.Valid([]byte(claims)) || strings.Contains(name, "same_key") || strings.Contains(name, "duplicated_key")
			if refuse && err == nil {
				t.Errorf("%s (%d): accepted", name, i)
			}
			if e, ok := err.(*exchange.Error); err != nil && (!ok || e.Reason != formMalformed) {
				t.Errorf("%s (%d): %v", name, i, err)
			}
		}
	}
}

// FuzzCapabilities looks for a claims request that panics, or that says CP1
// without being JSON that says so.
func FuzzCapabilities(f *testing.F) {
	for name, text := range jsonTestSuite(f) {
		if strings.HasPrefix(name, "y_object") {
			f.Add(string(text))
		}
	}
	f.Add(`{"access_token":{"xms_cc":{"values":["CP1"]}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := form{"claims": text}.capabilities()
		if err != nil {
			if e, ok := err.(*exchange.Error); !ok || e.Reason != formMalformed || list != nil {
				t.Fatalf("%q, %v", list, err)
			}
			return
		}
		if text != "" && !json.Valid([]byte(text)) {
			t.Fatalf("%q is taken", text)
		}
		if len(list) > 0 && !slices.Equal(list, []string{"CP1"}) {
			t.Fatalf("capabilities %q", list)
		}
	})
}

// FuzzRoute looks for a path that panics, or that names a tenant in two ways.
func FuzzRoute(f *testing.F) {
	for _, path := range []string{"/x/oauth2/v2.0/token", "//x//oauth2/token/", "/adfs/x/adfs/oauth2/token", "/../oauth2/token", "/x/v2.0/.well-known/openid-configuration"} {
		f.Add(path)
	}
	s := New(Config{})
	f.Fuzz(func(t *testing.T, path string) {
		for _, r := range s.routes {
			if target, ok := r.fit(split(path)); ok && (strings.Contains(target.tenant, "/") || target.tenant != "" && !strings.Contains(path, target.tenant)) {
				t.Fatalf("%q names %q", path, target.tenant)
			}
		}
		r := httptest.NewRequest(http.MethodDelete, "/", nil) // which no route takes
		r.URL.Path = path
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusNotFound && w.Code != http.StatusMethodNotAllowed {
			t.Fatalf("%q: %d", path, w.Code)
		}
	})
}
