package hosted

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/testkit"
)

const (
	base   = "https://entente.example"
	keySet = `{"keys":[{"use":"sig","kty":"RSA","kid":"k1","alg":"RS256","n":"AQAB","e":"AQAB"}]}`
)

// world is a surface over a real database, with a tenant that has a cluster of each sort.
type world struct {
	*testing.T
	db      *db.DB
	dir     *directory.Directory
	surface *Surface
	admin   directory.Caller
	founded directory.Founded

	hosted, keyed, discovered, plain directory.Cluster
}

func each(t *testing.T, test func(w *world)) {
	t.Helper()
	testkit.Engines(t, func(t *testing.T, d *db.DB) { test(newWorld(t, d)) })
}

func newWorld(t *testing.T, d *db.DB) *world {
	t.Helper()
	w := &world{T: t, db: d, dir: &directory.Directory{DB: d, IssuerURL: base}}
	w.surface = New(Config{Directory: w.dir, Log: slog.New(slog.DiscardHandler)})
	var err error
	w.founded, _, err = w.dir.Bootstrap(t.Context(), directory.NewTenant{DisplayName: "Example"})
	w.ok(err)
	w.admin = directory.Caller{Kind: directory.PrincipalCaller, TenantID: w.founded.Tenant.ID, PrincipalID: w.founded.AdministratorPrincipalID, AppID: w.founded.AdministratorClientID}
	_, _, err = w.dir.PutGroup(t.Context(), w.admin, directory.Group{SubscriptionID: w.founded.SubscriptionID, Name: "g", Location: "local"})
	w.ok(err)
	w.hosted = w.cluster("hosted", &directory.ClusterIssuerSpec{Keys: directory.HostedKeys, KeySet: json.RawMessage(keySet)})
	w.keyed = w.cluster("keyed", &directory.ClusterIssuerSpec{Keys: directory.ClusterKeySet, URL: "https://keyed.example", KeySet: json.RawMessage(keySet)})
	w.discovered = w.cluster("discovered", &directory.ClusterIssuerSpec{URL: "https://discovered.example"})
	w.plain = w.cluster("plain", nil)
	return w
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) cluster(name string, i *directory.ClusterIssuerSpec) directory.Cluster {
	w.Helper()
	c, _, err := w.dir.PutCluster(w.Context(), w.admin, directory.ClusterSpec{ClusterRef: directory.ClusterRef{SubscriptionID: w.founded.SubscriptionID, Group: "g", Name: name}, Location: "local", Issuer: i})
	w.ok(err)
	return c
}

func (w *world) setKeys(set string) {
	w.Helper()
	_, err := w.dir.SetClusterKeys(w.Context(), w.admin, w.hosted.ClusterRef, json.RawMessage(set))
	w.ok(err)
}

// path is where a document of a cluster is.
func (w *world) path(c directory.Cluster, document string) string {
	return "/oic/" + c.TenantID + "/" + c.ID + "/" + document
}

func (w *world) ask(method, path string, header http.Header) *httptest.ResponseRecorder {
	w.Helper()
	r := httptest.NewRequestWithContext(w.Context(), method, base+"/", nil)
	if path != "" {
		u, err := url.ParseRequestURI(path) // as net/http does: no dot is resolved
		w.ok(err)
		r.URL = u
	}
	r.Header = header
	answer := httptest.NewRecorder()
	w.surface.ServeHTTP(answer, r)
	return answer
}

func (w *world) get(document string) string {
	w.Helper()
	answer := w.ask("GET", w.path(w.hosted, document), nil)
	if answer.Code != 200 {
		w.Fatalf("%s: %d %s", document, answer.Code, answer.Body)
	}
	return answer.Body.String()
}

// refused checks an answer that is no document.
func (w *world) refused(what string, answer *httptest.ResponseRecorder, status int, code string) {
	w.Helper()
	var body struct {
		Error struct{ Code, Message string }
	}
	err := json.Unmarshal(answer.Body.Bytes(), &body)
	if answer.Code != status || err != nil || body.Error.Code != code || body.Error.Message == "" {
		w.Errorf("%s: %d %s (%v), want %d %s", what, answer.Code, answer.Body, err, status, code)
	}
	if h := answer.Header(); h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" || h.Get("ETag") != "" || h.Get("Location") != "" || h.Get("X-Content-Type-Options") != "nosniff" {
		w.Errorf("%s: headers %v", what, h)
	}
}

func TestDocuments(t *testing.T) {
	each(t, func(w *world) {
		issuer := w.hosted.Issuer.URL
		for document, want := range map[string]struct{ kind, text string }{
			discoveryPath: {"application/json", `{"issuer":"` + issuer + `","jwks_uri":"` + issuer + `openid/v1/jwks","response_types_supported":["id_token"],"subject_types_supported":["public"],"id_token_signing_alg_values_supported":["RS256"]}`},
			keysPath:      {"application/jwk-set+json", keySet},
		} {
			for _, method := range []string{"GET", "HEAD"} {
				answer := w.ask(method, w.path(w.hosted, document), nil)
				h := answer.Header()
				if answer.Code != 200 || answer.Body.String() != want.text {
					w.Errorf("%s %s: %d %s, want %s", method, document, answer.Code, answer.Body, want.text)
				}
				for name, value := range map[string]string{"Content-Type": want.kind, "Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff", "Content-Length": fmt.Sprint(len(want.text))} {
					if h.Get(name) != value {
						w.Errorf("%s %s: %s is %q, want %q", method, document, name, h.Get(name), value)
					}
				}
			}
		}
	})
}

// The shape that an AKS cluster's keys have, by the bytes.
func TestKeysAreAsTheyWereUploaded(t *testing.T) {
	set, err := os.ReadFile("../../e2e/cluster/testdata/aks-keys.json")
	if err != nil {
		t.Fatal(err)
	}
	each(t, func(w *world) {
		for _, text := range []string{string(set), ` {"x": [1,2],  "keys":[{"kty":"RSA","e":"AQAB","n":"AQAB","x5c":["</script>"],"z":1e3,"kid":"\u00e9"},{"kty":"EC","crv":"P-384","kid":"k1"}]}`} {
			w.setKeys(text)
			if got := w.get(keysPath); got != text {
				w.Errorf("got %s, want %s", got, text)
			}
		}
		if got := w.get(discoveryPath); !strings.Contains(got, `"id_token_signing_alg_values_supported":["RS256","ES384"]`) {
			w.Errorf("got %s", got)
		}
	})
}

// Before there are keys there is an empty set, and what was replaced is gone with the next request.
func TestKeysOfThisMoment(t *testing.T) {
	each(t, func(w *world) {
		w.hosted = w.cluster("new", &directory.ClusterIssuerSpec{Keys: directory.HostedKeys})
		if got := w.get(keysPath); got != `{"keys":[]}` {
			w.Errorf("got %s", got)
		}
		if got := w.get(discoveryPath); !strings.Contains(got, `["RS256"]`) {
			w.Errorf("got %s", got)
		}
		tags := map[string]bool{}
		for i := range 3 {
			set := strings.Replace(keySet, "k1", fmt.Sprint("next", i), 1)
			w.setKeys(set)
			answer := w.ask("GET", w.path(w.hosted, keysPath), nil)
			if answer.Body.String() != set {
				w.Errorf("got %s, want %s", answer.Body, set)
			}
			tags[answer.Header().Get("ETag")] = true
		}
		if len(tags) != 3 || tags[""] {
			w.Errorf("the tags are %v", tags)
		}
		w.ok(w.dir.DeleteCluster(w.Context(), w.admin, w.hosted.ClusterRef))
		w.refused("deleted", w.ask("GET", w.path(w.hosted, keysPath), nil), 404, "NotFound")
	})
}

func TestTags(t *testing.T) {
	w := newWorld(t, testkit.SQLite(t))
	path := w.path(w.hosted, keysPath)
	tag := w.ask("GET", path, nil).Header().Get("ETag")
	for given, status := range map[string]int{
		tag: 304, "W/" + tag: 304, `"other", ` + tag: 304, "*": 304, `"other"`: 200, "": 200, strings.Trim(tag, `"`): 200, tag + "x": 200,
	} {
		for _, method := range []string{"GET", "HEAD"} {
			answer := w.ask(method, path, http.Header{"If-None-Match": {given}})
			if answer.Code != status || status == 304 && (answer.Body.Len() > 0 || answer.Header().Get("ETag") != tag || answer.Header().Get("Cache-Control") == "") {
				t.Errorf("%s with %q: %d %v %s", method, given, answer.Code, answer.Header(), answer.Body)
			}
		}
	}
	w.setKeys(strings.Replace(keySet, "k1", "k2", 1))
	if answer := w.ask("GET", path, http.Header{"If-None-Match": {tag}}); answer.Code != 200 {
		t.Errorf("after a rotation: %d", answer.Code)
	}
}

func TestMethods(t *testing.T) {
	w := newWorld(t, testkit.SQLite(t))
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"} {
		for _, document := range []string{discoveryPath, keysPath} {
			answer := w.ask(method, w.path(w.hosted, document), nil)
			w.refused(method, answer, 405, "MethodNotAllowed")
			if allow := answer.Header().Get("Allow"); allow != "GET, HEAD" {
				t.Errorf("%s: Allow is %q", method, allow)
			}
		}
		w.refused(method+" elsewhere", w.ask(method, "/oic/x", nil), 404, "NotFound")
	}
	before := w.get(keysPath)
	if after := w.get(keysPath); after != before {
		t.Errorf("the keys became %s", after)
	}
}

// What is no hosted issuer is told apart from none by nobody.
func TestNotPublished(t *testing.T) {
	each(t, func(w *world) {
		other, err := w.dir.CreateTenant(w.Context(), w.admin, directory.NewTenant{DisplayName: "Other"})
		w.ok(err)
		moved := w.hosted
		moved.TenantID = other.Tenant.ID
		swapped := directory.Cluster{TenantID: w.hosted.ID, ID: w.hosted.TenantID}
		var answers []string
		for name, c := range map[string]directory.Cluster{
			"keys elsewhere": w.keyed, "by discovery": w.discovered, "no issuer": w.plain, "another tenant's": moved, "swapped": swapped,
			"unknown": {TenantID: w.hosted.TenantID, ID: uuid.NewString()}, "unknown tenant": {TenantID: uuid.NewString(), ID: w.hosted.ID},
		} {
			for _, document := range []string{discoveryPath, keysPath} {
				answer := w.ask("GET", w.path(c, document), nil)
				w.refused(name, answer, 404, "NotFound")
				answers = append(answers, answer.Body.String())
			}
		}
		slices.Sort(answers)
		if n := len(slices.Compact(answers)); n != 1 {
			w.Errorf("%d different answers", n)
		}
	})
}

// The issuer of a service that has moved is what it was made with, whatever name it is asked under.
func TestServiceThatMoved(t *testing.T) {
	w := newWorld(t, testkit.SQLite(t))
	before := w.get(discoveryPath)
	w.dir.IssuerURL = "https://moved.example"
	if after := w.get(discoveryPath); after != before || !strings.Contains(after, `"issuer":"`+base+"/oic/") {
		t.Errorf("got %s, want %s", after, before)
	}
}

func TestFaults(t *testing.T) {
	w := newWorld(t, testkit.SQLite(t))
	limited := httptest.NewRecorder()
	w.surface.TooMany(limited)
	if limited.Code != 429 || limited.Header().Get("Retry-After") != "1" || !json.Valid(limited.Body.Bytes()) {
		t.Errorf("too many: %d %v %s", limited.Code, limited.Header(), limited.Body)
	}
	path := w.path(w.hosted, keysPath)
	w.ok(w.db.Update(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE issuers SET key_set = '{"keys":' WHERE name = 'hosted'`)
		return err
	}))
	broken := w.ask("GET", path, nil)
	w.refused("stored keys that are none", broken, 503, "ServiceUnavailable")
	w.ok(w.db.Update(t.Context(), func(tx *db.Tx) error { _, err := tx.Exec(`ALTER TABLE clusters RENAME TO away`); return err }))
	gone := w.ask("GET", path, nil)
	w.refused("no table", gone, 503, "ServiceUnavailable")
	if gone.Header().Get("Retry-After") == "" || strings.Contains(gone.Body.String(), "away") || strings.Contains(gone.Body.String(), "clusters") {
		t.Errorf("%v %s", gone.Header(), gone.Body)
	}
	panics := New(Config{Log: slog.New(slog.DiscardHandler)}) // has no directory
	answer := httptest.NewRecorder()
	panics.ServeHTTP(answer, httptest.NewRequest("GET", base+path, nil))
	w.refused("panic", answer, 500, "InternalServerError")
}

func TestRoutes(t *testing.T) {
	var got []string
	for _, r := range New(Config{}).Routes() {
		got = append(got, r.Method+" "+r.Pattern)
	}
	slices.Sort(got)
	want := []string{
		"GET /oic/{tenant}/{cluster}/.well-known/openid-configuration", "GET /oic/{tenant}/{cluster}/openid/v1/jwks",
		"HEAD /oic/{tenant}/{cluster}/.well-known/openid-configuration", "HEAD /oic/{tenant}/{cluster}/openid/v1/jwks",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// On the wire: no path is redirected, and HEAD has the headers of GET and no body.
func TestOnTheWire(t *testing.T) {
	w := newWorld(t, testkit.SQLite(t))
	server := httptest.NewServer(w.surface)
	t.Cleanup(server.Close)
	path := w.path(w.hosted, keysPath)
	for _, line := range []string{"GET " + path, "HEAD " + path, "GET /" + path, "GET " + strings.ReplaceAll(path, "/", "//"), "HEAD " + strings.ReplaceAll(path, "/", "///") + "/"} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		w.ok(err)
		fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: entente.example\r\nConnection: close\r\n\r\n", line)
		method, _, _ := strings.Cut(line, " ")
		response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
		w.ok(err)
		body, err := io.ReadAll(response.Body)
		w.ok(err)
		conn.Close()
		want := keySet
		if method == "HEAD" {
			want = ""
		}
		if response.StatusCode != 200 || string(body) != want || response.ContentLength != int64(len(keySet)) {
			t.Errorf("%s: %s %q, %d bytes announced", line, response.Status, body, response.ContentLength)
		}
	}
}
