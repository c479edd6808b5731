package exchange

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/issuer"
	"github.com/entente-id/entente/internal/keys"
	"github.com/entente-id/entente/internal/localissuer"
)

const (
	issuerURL = "https://sts.example.test"
	ownURL    = "https://entente.example.test:8443"
	arm       = "https://management.azure.com/"
)

// world is a tenant with one application that trusts one service account of one
// real issuer, on a real database.
type world struct {
	*Exchange
	t        testing.TB
	clock    *clock
	dir      *directory.Directory
	ring     *keys.Ring
	issuer   *localissuer.Issuer
	tenant   directory.Tenant
	sub      string // subscription
	caller   directory.Caller
	clientID string
	app      directory.Parent
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

// options change a world before it is made.
type options struct {
	db        *db.DB // nil: a new SQLite database
	algorithm string // of our keys; empty: ES256, which is cheap to make
	allow     []string
	config    Config
}

func newWorld(t testing.TB, o options) *world {
	t.Helper()
	ctx := t.Context()
	w := &world{t: t, clock: &clock{t: time.Now().Truncate(time.Second)}}
	d := o.db
	if d == nil {
		var err error
		d, err = db.Open(ctx, filepath.Join(t.TempDir(), "entente.db"))
		w.check(err)
		t.Cleanup(func() { d.Close() })
	}

	w.dir = &directory.Directory{DB: d, Clock: w.clock.Now}
	founded, _, err := w.dir.Bootstrap(ctx, directory.NewTenant{DisplayName: "Example", Domain: "example.test"})
	w.check(err)
	w.tenant, w.sub, w.caller = founded.Tenant, founded.SubscriptionID, directory.System(founded.Tenant.ID, "test")

	sealer, err := keys.NewSealer([]byte(strings.Repeat("k", keys.SealerSize)))
	w.check(err)
	if o.algorithm == "" {
		o.algorithm = keys.ES256
	}
	w.ring, err = keys.Open(ctx, keys.Config{DB: d, Sealer: sealer, Algorithm: o.algorithm, Clock: w.clock.Now})
	w.check(err)
	w.check(w.ring.EnsureTenant(ctx, w.tenant.ID))

	w.issuer, err = localissuer.New(localissuer.Config{Clock: w.clock.Now})
	w.check(err)
	w.check(w.issuer.Start(ctx, "127.0.0.1:0"))
	t.Cleanup(w.issuer.Close)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(w.issuer.CAPEM())
	if o.allow == nil {
		o.allow = []string{"127.0.0.1"}
	}
	verifier, err := issuer.New(issuer.Config{DB: d, Allow: o.allow, RootCAs: roots, Clock: w.clock.Now})
	w.check(err)

	o.config.Directory, o.config.Issuers, o.config.Keys, o.config.Clock = w.dir, verifier, w.ring, w.clock.Now
	o.config.IssuerURL, o.config.OwnAudiences = issuerURL, []string{ownURL}
	w.Exchange = New(o.config)

	app := w.application(directory.Application{DisplayName: "workload"})
	w.clientID, w.app = app.AppID, directory.Parent{Application: &directory.Ref{ID: app.ID}}
	w.trust(w.app, w.spec())
	return w
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

func (w *world) mint(token localissuer.Token) string {
	w.t.Helper()
	text, err := w.issuer.Mint(token)
	w.check(err)
	return text
}

// request is a good one; change edits it.
func (w *world) request(change ...func(*Request)) Request {
	w.t.Helper()
	r := Request{Tenant: w.tenant.ID, ClientID: w.clientID, Assertion: w.mint(localissuer.Token{}), Scope: arm + "/.default"}
	for _, edit := range change {
		edit(&r)
	}
	return r
}

func scope(text string) func(*Request) { return func(r *Request) { r.Scope = text } }

// mustDo exchanges and returns the claims of the token, verified.
func (w *world) mustDo(r Request) (Outcome, map[string]any) {
	w.t.Helper()
	o, err := w.Do(w.t.Context(), r)
	w.check(err)
	if _, err := w.ring.Verify(w.t.Context(), o.Token); err != nil {
		w.t.Fatalf("token: %v", err)
	}
	var claims map[string]any
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(o.Token, ".")[1])
	w.check(err)
	w.check(json.Unmarshal(payload, &claims))
	return o, claims
}

// refused exchanges and wants a refusal.
func (w *world) refused(r Request, reason Reason) (Outcome, *Error) {
	w.t.Helper()
	o, err := w.Do(w.t.Context(), r)
	var e *Error
	if !errors.As(err, &e) || e.Reason != reason {
		w.t.Fatalf("got %v, want %s", err, reason)
	}
	if o.Token != "" {
		w.t.Fatal("a token with a refusal")
	}
	return o, e
}
