package portal

import (
	"context"
	"crypto/x509"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/exchange"
	"github.com/entente-id/entente/internal/issuer"
	"github.com/entente-id/entente/internal/keys"
	"github.com/entente-id/entente/internal/localissuer"
	"github.com/entente-id/entente/internal/roles"
	"github.com/entente-id/entente/internal/signin"
	"github.com/entente-id/entente/internal/testkit"
	"github.com/entente-id/entente/internal/token"
)

const (
	testTenant       = "11111111-1111-4111-8111-111111111111"
	testSubscription = "22222222-2222-4222-8222-222222222222"
	testSub          = "/subscriptions/" + testSubscription
)

// world is a portal over a real database, behind TLS, with a real issuer of a
// cluster's tokens.
type world struct {
	t       testing.TB
	db      *db.DB
	clock   *testkit.Clock
	dir     *directory.Directory
	surface *Surface
	server  *httptest.Server
	issuer  *localissuer.Issuer
	records *signin.Recorder
	admin   directory.Caller
	owners  []directory.Caller // who rotated the signing keys
}

// newWorld makes the default tenant with a group, "rg". change may alter the
// portal's configuration before it is made.
func newWorld(t testing.TB, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, db: testkit.SQLite(t), clock: testkit.NewClock(time.Now().Truncate(time.Second))}
	w.dir = &directory.Directory{DB: w.db, Clock: w.clock.Now}
	founded, _, err := w.dir.Bootstrap(t.Context(), directory.NewTenant{ID: testTenant, SubscriptionID: testSubscription, DisplayName: "Contoso"})
	w.must(err)
	w.admin = w.caller(founded.AdministratorPrincipalID)
	_, _, err = w.dir.PutGroup(t.Context(), w.admin, directory.Group{SubscriptionID: testSubscription, Name: "rg", Location: "local"})
	w.must(err)

	sealer, err := keys.NewSealer([]byte(strings.Repeat("k", keys.SealerSize)))
	w.must(err)
	ring, err := keys.Open(t.Context(), keys.Config{DB: w.db, Sealer: sealer, Algorithm: keys.ES256, Clock: w.clock.Now})
	w.must(err)
	w.must(ring.EnsureTenant(t.Context(), testTenant))
	w.issuer, err = localissuer.New(localissuer.Config{Clock: w.clock.Now})
	w.must(err)
	w.must(w.issuer.Start(t.Context(), "127.0.0.1:0"))
	t.Cleanup(w.issuer.Close)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(w.issuer.CAPEM())
	verifier, err := issuer.New(issuer.Config{DB: w.db, Allow: []string{"127.0.0.1"}, RootCAs: roots, Clock: w.clock.Now})
	w.must(err)
	w.records = signin.New(signin.Config{DB: w.db, Every: time.Millisecond, Clock: w.clock.Now})

	w.server = httptest.NewUnstartedServer(nil)
	w.server.StartTLS()
	t.Cleanup(w.server.Close)
	c := Config{
		Directory: w.dir, Issuers: verifier, Keys: ring, SignIns: w.records, Tenant: testTenant, Seal: sealer, Clock: w.clock.Now, Version: "test",
		URL:      w.server.URL,
		Exchange: exchange.New(exchange.Config{Directory: w.dir, Issuers: verifier, Keys: ring, IssuerURL: w.server.URL, OwnAudiences: []string{w.server.URL}, Clock: w.clock.Now}),
		Refusal:  token.Told,
		Rotate: func(_ context.Context, by directory.Caller) error {
			w.owners = append(w.owners, by)
			return nil
		},
		Address: func(context.Context) string { return "192.0.2.1" }, RequestID: func(context.Context) string { return "request-1" },
	}
	for _, f := range change {
		f(&c)
	}
	w.surface = New(c)
	w.server.Config.Handler = w.surface
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) caller(principalID string) directory.Caller {
	w.t.Helper()
	c, err := w.dir.CallerOf(w.t.Context(), testTenant, principalID)
	w.must(err)
	return c
}

// principal makes a service principal with a role on a scope; without a scope it has none.
func (w *world) principal(name, scope, definition string) directory.Caller {
	w.t.Helper()
	app, err := w.dir.CreateApplication(w.t.Context(), w.admin, directory.Application{DisplayName: name})
	w.must(err)
	p, err := w.dir.CreateServicePrincipal(w.t.Context(), w.admin, directory.NewPrincipal{AppID: app.AppID})
	w.must(err)
	if scope != "" {
		_, err = w.dir.AddRoleAssignment(w.t.Context(), w.admin, directory.RoleAssignment{Name: uuid.NewString(), Scope: scope, DefinitionID: definition, PrincipalID: p.ID})
		w.must(err)
	}
	return w.caller(p.ID)
}

// reader may read everything below the subscription and nothing else.
func (w *world) reader() directory.Caller { return w.principal("reader", testSub, roles.Reader) }

// person is a browser that has signed in.
type person struct {
	*world
	client *http.Client
}

// stranger is a browser that has not.
func (w *world) stranger() *person {
	jar, err := cookiejar.New(nil)
	w.must(err)
	client := *w.server.Client()
	client.Jar = jar
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &person{w, &client}
}

// signIn opens a session by a one-time link that caller makes.
func (w *world) signIn(caller directory.Caller) *person {
	w.t.Helper()
	link, err := w.dir.MakePortalLink(w.t.Context(), caller, 0)
	w.must(err)
	p := w.stranger()
	if a := p.post("/portal/link", "token", link.Token); a.status != http.StatusOK {
		w.t.Fatalf("sign in: %d\n%s", a.status, a.body)
	}
	return p
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// text is the body without tags, blanks run together.
func (a answer) text() string {
	var b strings.Builder
	inside := false
	for _, r := range a.body {
		switch r {
		case '<':
			inside = true
			b.WriteByte(' ')
		case '>':
			inside = false
		default:
			if !inside {
				b.WriteRune(r)
			}
		}
	}
	return strings.Join(strings.Fields(html.UnescapeString(b.String())), " ")
}

func (p *person) do(r *http.Request) answer {
	p.t.Helper()
	response, err := p.client.Do(r)
	p.must(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	p.must(err)
	return answer{response.StatusCode, response.Header, string(body)}
}

func (p *person) get(path string) answer {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.server.URL+path, nil)
	p.must(err)
	return p.do(r)
}

// post sends a form as the portal's own pages do; pairs are names and values.
func (p *person) post(path string, pairs ...string) answer {
	p.t.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.server.URL+path, strings.NewReader(form.Encode()))
	p.must(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return p.do(r)
}
