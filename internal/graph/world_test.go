package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/keys"
	"github.com/entente-id/entente/internal/roles"
	"github.com/entente-id/entente/internal/testkit"
)

const (
	tenantA = "aaaaaaaa-0000-4000-8000-00000000000a"
	tenantB = "bbbbbbbb-0000-4000-8000-00000000000b"
	base    = "https://graph.test"
	nowhere = "00000000-0000-4000-8000-00000000dead"
)

var start = time.Date(2027, 3, 1, 12, 30, 45, 123_000_000, time.UTC)

// world is a server on a database of its own, with the callers that tests speak as.
type world struct {
	*testing.T
	server    *httptest.Server
	surface   *Surface
	directory *directory.Directory
	callers   map[string]directory.Caller

	mu    sync.Mutex
	notes []string // actions that were found
}

// The callers of every world.
const (
	admin   = "admin"   // administrator of tenant A
	reader  = "reader"  // Application.Read.All
	owner   = "owner"   // Application.ReadWrite.OwnedBy
	other   = "other"   // the same, and owns other things
	nobody  = "nobody"  // a principal without any right
	foreign = "foreign" // administrator of tenant B
)

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOn(t, testkit.SQLite(t))
}

// onEngines runs a test in a world on each database engine.
func onEngines(t *testing.T, test func(t *testing.T, w *world)) {
	testkit.Engines(t, func(t *testing.T, store *db.DB) { test(t, newWorldOn(t, store)) })
}

func newWorldOn(t *testing.T, store *db.DB) *world {
	t.Helper()
	w := &world{T: t, callers: map[string]directory.Caller{}}
	w.directory = &directory.Directory{DB: store, Clock: testkit.NewClock(start).Now}
	founded, _, err := w.directory.Bootstrap(t.Context(), directory.NewTenant{ID: tenantA, DisplayName: "A", Domain: "a.example"})
	w.must(err)
	w.callers[admin] = w.callerOf(tenantA, founded.AdministratorPrincipalID)
	founded, err = w.directory.CreateTenant(t.Context(), directory.System(tenantA, "test"), directory.NewTenant{ID: tenantB, DisplayName: "B"})
	w.must(err)
	w.callers[foreign] = w.callerOf(tenantB, founded.AdministratorPrincipalID)
	for name, permission := range map[string]string{reader: "Application.Read.All", owner: "Application.ReadWrite.OwnedBy", other: "Application.ReadWrite.OwnedBy", nobody: ""} {
		w.callers[name] = w.principal(name, permission)
	}
	sealer, err := keys.NewSealer(bytes.Repeat([]byte{1}, keys.SealerSize))
	if err != nil {
		t.Fatal(err)
	}
	w.surface = New(Config{
		Directory: w.directory,
		Seal:      sealer,
		Caller:    w.caller,
		Base:      func(*http.Request) string { return base },
		Note: func(_ context.Context, attrs ...slog.Attr) {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, a := range attrs {
				if a.Key == "action" {
					w.notes = append(w.notes, a.Value.String())
				}
			}
		},
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	w.server = httptest.NewServer(w.surface)
	t.Cleanup(w.server.Close)
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// principal makes an application with a service principal that has a permission of Graph.
func (w *world) principal(name, permission string) directory.Caller {
	w.Helper()
	system := directory.System(tenantA, "test")
	app, err := w.directory.CreateApplication(w.Context(), system, directory.Application{DisplayName: "caller " + name})
	w.must(err)
	p, err := w.directory.CreateServicePrincipal(w.Context(), system, directory.NewPrincipal{AppID: app.AppID})
	w.must(err)
	if permission != "" {
		graph, err := w.directory.ServicePrincipal(w.Context(), system, directory.Ref{AppID: roles.GraphAppID})
		w.must(err)
		for _, r := range graph.AppRoles {
			if r.Value == permission {
				_, err := w.directory.AddGrant(w.Context(), system, directory.Grant{PrincipalID: p.ID, ResourceID: graph.ID, AppRoleID: r.ID})
				w.must(err)
			}
		}
	}
	return w.callerOf(tenantA, p.ID)
}

func (w *world) callerOf(tenantID, principalID string) directory.Caller {
	w.Helper()
	c, err := w.directory.CallerOf(w.Context(), tenantID, principalID)
	w.must(err)
	return c
}

// caller maps a bearer token, which is the name of a caller.
func (w *world) caller(r *http.Request) (directory.Caller, error) {
	name, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch name {
	case "panic":
		panic("a hole")
	case "broken":
		return directory.Caller{}, errors.New("the disk is on fire at /var/lib")
	}
	c, ok := w.callers[name]
	if !ok {
		return directory.Caller{}, &directory.Error{Kind: directory.Unauthenticated, Object: directory.PrincipalObject, Detail: "the access token has expired"}
	}
	return c, nil
}

// reply is an answer, whose JSON is read.
type reply struct {
	*testing.T
	status int
	header http.Header
	text   string
	json   map[string]any
}

// do sends a request. body may be nil, a string that is sent as it is, or
// something that is sent as JSON. headers are name: value.
func (w *world) do(as, method, path string, body any, headers ...string) reply {
	w.Helper()
	var data []byte
	switch b := body.(type) {
	case nil:
	case string:
		data = []byte(b)
	case []byte:
		data = b
	default:
		var err error
		data, err = json.Marshal(b)
		w.must(err)
	}
	if strings.HasPrefix(path, base) {
		path = strings.TrimPrefix(path, base)
	} else if !strings.HasPrefix(path, "//") {
		path = "/v1.0" + path
	}
	r, err := http.NewRequestWithContext(w.Context(), method, w.server.URL, bytes.NewReader(data))
	w.must(err)
	r.URL.Opaque = strings.ReplaceAll(path, " ", "%20") // as it is, without cleaning
	if strings.HasPrefix(path, "//") {
		r.URL.Opaque = "//" + r.URL.Host + r.URL.Opaque
	}
	if as != "" {
		r.Header.Set("Authorization", "Bearer "+as)
	}
	if len(data) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if value == "" {
			r.Header.Del(name)
		} else {
			r.Header.Set(name, value)
		}
	}
	return w.send(r)
}

// send sends a request and checks what is true of every answer.
func (w *world) send(r *http.Request) reply {
	w.Helper()
	response, err := w.server.Client().Do(r)
	w.must(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	w.must(err)
	a := reply{T: w.T, status: response.StatusCode, header: response.Header, text: string(text)}
	name := r.Method + " " + r.URL.Opaque
	if a.header.Get("Request-Id") == "" || a.header.Get("Cache-Control") != "no-cache" {
		w.Errorf("%s: request-id %q, cache-control %q", name, a.header.Get("Request-Id"), a.header.Get("Cache-Control"))
	}
	switch kind := a.header.Get("Content-Type"); {
	case a.status == http.StatusNoContent:
		if a.text != "" || kind != "" || a.header.Get("Odata-Version") != "" {
			w.Errorf("%s: 204 with %q of type %q", name, a.text, kind)
		}
		return a
	case kind == "text/plain":
		return a
	case a.status < 300 && (kind != jsonType || a.header.Get("Odata-Version") != "4.0"):
		w.Errorf("%s: content-type %q, odata-version %q", name, kind, a.header.Get("Odata-Version"))
	case a.status >= 300 && kind != "application/json":
		w.Errorf("%s: content-type of an error is %q", name, kind)
	}
	if err := json.Unmarshal(text, &a.json); err != nil {
		w.Fatalf("%s: %d %q is not JSON: %v", name, a.status, a.text, err)
	}
	if a.status >= 300 {
		inner, _ := a.at("error", "innerError").(map[string]any)
		if a.code() == "" || a.message() == "" || inner["request-id"] != a.header.Get("Request-Id") || inner["client-request-id"] == "" {
			w.Errorf("%s: %d %s is no error of Graph's", name, a.status, a.text)
		}
		if _, err := time.Parse("2006-01-02T15:04:05", fmt.Sprint(inner["date"])); err != nil {
			w.Errorf("%s: date of the error: %v", name, err)
		}
	}
	return a
}

// is checks the status.
func (a reply) is(status int) reply {
	a.Helper()
	if a.status != status {
		a.Fatalf("status %d, want %d: %s", a.status, status, a.text)
	}
	return a
}

// fails checks status, code and message of an error. In the message … stands for anything.
func (a reply) fails(status int, code, message string) {
	a.Helper()
	before, after, open := strings.Cut(message, "…")
	same := a.message() == message
	if open {
		same = strings.HasPrefix(a.message(), before) && strings.HasSuffix(a.message(), after)
	}
	if a.status != status || a.code() != code || !same {
		a.Errorf("got  %d %s %q\nwant %d %s %q", a.status, a.code(), a.message(), status, code, message)
	}
}

func (a reply) at(path ...string) any {
	var v any = a.json
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

func (a reply) code() string    { s, _ := a.at("error", "code").(string); return s }
func (a reply) message() string { s, _ := a.at("error", "message").(string); return s }

// str is a member that is a string.
func (a reply) str(path ...string) string {
	a.Helper()
	s, ok := a.at(path...).(string)
	if !ok {
		a.Fatalf("%v is not a string in %s", path, a.text)
	}
	return s
}

// all are the members of a list's items.
func (a reply) all(name string) []string {
	a.Helper()
	items, ok := a.json["value"].([]any)
	if !ok {
		a.Fatalf("no list: %s", a.text)
	}
	values := []string{}
	for _, item := range items {
		values = append(values, fmt.Sprint(item.(map[string]any)[name]))
	}
	return values
}

type m = map[string]any

// application makes an application and returns its object id and client id.
func (w *world) application(as, name string) (id, appID string) {
	w.Helper()
	a := w.do(as, "POST", "/applications", m{"displayName": name}).is(201)
	return a.str("id"), a.str("appId")
}

func (w *world) credential(as, appID, name string) string {
	w.Helper()
	return w.do(as, "POST", "/applications/"+appID+"/federatedIdentityCredentials", trust(name)).is(201).str("id")
}

// trust is a good credential.
func trust(name string) m {
	return m{"name": name, "issuer": "https://issuer.example/t1/", "subject": credential.ServiceAccountSubject("ns", "sa-"+name), "audiences": []string{credential.DefaultAudience}}
}
