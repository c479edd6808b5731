package token

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/exchange"
	"github.com/entente-id/entente/internal/issuer"
	"github.com/entente-id/entente/internal/keys"
	"github.com/entente-id/entente/internal/localissuer"
)

// world is a token endpoint over TLS, with a tenant whose one application
// trusts one service account of one real issuer, on a real database.
type world struct {
	t        testing.TB
	server   *httptest.Server
	surface  *Surface
	clock    *clock
	dir      *directory.Directory
	ring     *keys.Ring
	issuer   *localissuer.Issuer
	tenant   directory.Tenant
	sub      string
	caller   directory.Caller
	clientID string
	app      directory.Parent

	mu      sync.Mutex
	records []record
}

// record is what Record was told.
type record struct {
	exchange.Outcome
	code int
	err  error
}

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// newWorld makes one; change edits the configuration of its exchange, allow is the issuers' allow-list.
func newWorld(t testing.TB, allow string, change ...func(*exchange.Config)) *world {
	t.Helper()
	ctx := t.Context()
	w := &world{t: t, clock: &clock{t: time.Now().Truncate(time.Second)}}
	d, err := db.Open(ctx, filepath.Join(t.TempDir(), "entente.db"))
	w.check(err)
	t.Cleanup(func() { d.Close() })

	w.dir = &directory.Directory{DB: d, Clock: w.clock.Now}
	founded, _, err := w.dir.Bootstrap(ctx, directory.NewTenant{DisplayName: "Example", Domain: "example.test"})
	w.check(err)
	w.tenant, w.sub, w.caller = founded.Tenant, founded.SubscriptionID, directory.System(founded.Tenant.ID, "test")

	sealer, err := keys.NewSealer([]byte(strings.Repeat("k", keys.SealerSize)))
	w.check(err)
	w.ring, err = keys.Open(ctx, keys.Config{DB: d, Sealer: sealer, Clock: w.clock.Now})
	w.check(err)
	w.check(w.ring.EnsureTenant(ctx, w.tenant.ID))

	w.issuer, err = localissuer.New(localissuer.Config{Clock: w.clock.Now})
	w.check(err)
	w.check(w.issuer.Start(ctx, "127.0.0.1:0"))
	t.Cleanup(w.issuer.Close)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(w.issuer.CAPEM())
	quiet := slog.New(slog.DiscardHandler)
	verifier, err := issuer.New(issuer.Config{DB: d, Allow: strings.Fields(allow), RootCAs: roots, Clock: w.clock.Now, Log: quiet})
	w.check(err)

	w.server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.surface.ServeHTTP(rw, r) }))
	w.server.EnableHTTP2 = true
	w.server.StartTLS()
	t.Cleanup(w.server.Close)
	c := exchange.Config{Directory: w.dir, Issuers: verifier, Keys: w.ring, Clock: w.clock.Now, IssuerURL: w.server.URL, OwnAudiences: []string{w.server.URL}}
	for _, edit := range change {
		edit(&c)
	}
	w.surface = New(Config{
		Exchange: exchange.New(c), Keys: w.ring, Directory: w.dir, IssuerURL: w.server.URL, Host: w.host, Clock: w.clock.Now, Log: quiet,
		Record: func(_ context.Context, o exchange.Outcome, code int, err error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.records = append(w.records, record{o, code, err})
		},
	})

	app := w.application(directory.Application{DisplayName: "workload"})
	w.clientID, w.app = app.AppID, directory.Parent{Application: &directory.Ref{ID: app.ID}}
	w.trust(w.app, w.spec())
	return w
}

// recorded returns what was recorded since it was last called.
func (w *world) recorded() []record {
	w.mu.Lock()
	defer w.mu.Unlock()
	records := w.records
	w.records = nil
	return records
}

// otherName is a further configured name of the service.
const otherName = "login.example.test"

func (w *world) host(r *http.Request) Host {
	if r.Host == otherName {
		return Host{Base: "https://" + otherName, Tenant: "example.test"}
	}
	return Host{Base: w.server.URL}
}

func (w *world) check(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) spec() credential.Spec {
	return credential.Spec{Name: "cluster", Issuer: w.issuer.URL(), Subject: "system:serviceaccount:default:default", Audiences: []string{credential.DefaultAudience}}
}

// application makes one with its service principal.
func (w *world) application(a directory.Application) directory.Application {
	w.t.Helper()
	app, err := w.dir.CreateApplication(w.t.Context(), w.caller, a)
	w.check(err)
	_, err = w.dir.CreateServicePrincipal(w.t.Context(), w.caller, directory.NewPrincipal{AppID: app.AppID})
	w.check(err)
	return app
}

func (w *world) trust(parent directory.Parent, s credential.Spec) {
	w.t.Helper()
	_, _, err := w.dir.PutCredential(w.t.Context(), w.caller, parent, s)
	w.check(err)
}

func (w *world) secret(n directory.NewSecret) string {
	w.t.Helper()
	_, text, err := w.dir.AddSecret(w.t.Context(), w.caller, *w.app.Application, n)
	w.check(err)
	return text
}

func (w *world) mint(token localissuer.Token) string {
	w.t.Helper()
	text, err := w.issuer.Mint(token)
	w.check(err)
	return text
}

// tokenPath is the newer endpoint of the tenant.
func (w *world) tokenPath() string { return "/" + w.tenant.ID + "/oauth2/v2.0/token" }

// fields are a good request, as MSAL for Go sends it. An empty value in changes removes a field.
func (w *world) fields(changes ...string) url.Values {
	w.t.Helper()
	f := url.Values{
		"client_id":             {w.clientID},
		"client_assertion":      {w.mint(localissuer.Token{})},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_info":           {"1"},
		"grant_type":            {"client_credentials"},
		"scope":                 {"https://management.azure.com//.default openid offline_access profile"},
	}
	for i := 0; i < len(changes); i += 2 {
		f.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			f.Del(changes[i])
		}
	}
	return f
}

// response is an answer that was read.
type response struct {
	*http.Response
	body []byte
}

// post sends a form.
func (w *world) post(path string, f url.Values, headers ...string) response {
	w.t.Helper()
	return w.send(http.MethodPost, path, f.Encode(), append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)...)
}

func (w *world) send(method, path, body string, headers ...string) response {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL, strings.NewReader(body))
	w.check(err)
	r.URL.Path, r.URL.RawQuery, _ = strings.Cut(path, "?")
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := w.server.Client().Transport.RoundTrip(r)
	w.check(err)
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	w.check(err)
	return response{answer, data}
}

func (w *world) get(path string, headers ...string) response {
	w.t.Helper()
	return w.send(http.MethodGet, path, "", headers...)
}

// object decodes a JSON object.
func (r response) object(t testing.TB) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal(r.body, &o); err != nil {
		t.Fatalf("%d %s: %v", r.StatusCode, r.body, err)
	}
	return o
}

// codes are the AADSTS numbers of a refusal.
func (r response) code(t testing.TB) int {
	t.Helper()
	var o struct {
		Codes []int `json:"error_codes"`
	}
	if err := json.Unmarshal(r.body, &o); err != nil || len(o.Codes) != 1 {
		t.Fatalf("%d %s: %v", r.StatusCode, r.body, err)
	}
	return o.Codes[0]
}
