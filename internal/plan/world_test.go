package plan_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/keys"
	"github.com/entente-id/entente/internal/manifest"
	"github.com/entente-id/entente/internal/plan"
	"github.com/entente-id/entente/internal/server"
)

// world is a service of this process, and its administrator.
type world struct {
	*testing.T
	server.Admin
	http   *http.Client
	client *client.Client // of whoever plans
	admin  *client.Client
	front  *front // of the service that stands for Azure; nil: Entente itself
	events []string
	waits  []time.Duration
}

// waiting guards the waits of parents that are written to at one time.
var waiting sync.Mutex

func newWorld(t *testing.T) *world {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	dir := t.TempDir()
	s, err := server.Open(ctx, server.Config{DataDir: dir, Listen: "127.0.0.1:0", HealthListen: server.NoListener, SigningAlgorithm: keys.ES256, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	w := &world{T: t}
	t.Cleanup(func() {
		if w.http != nil {
			w.http.CloseIdleConnections()
		}
		cancel()
		<-done
	})
	text, err := os.ReadFile(filepath.Join(dir, server.AdminFile))
	w.ok(err)
	w.ok(json.Unmarshal(text, &w.Admin))
	ca, err := os.ReadFile(w.CAFile)
	w.ok(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	w.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
	w.admin = w.as(w.ClientID, w.ClientSecret)
	w.client = w.admin
	return w
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) as(clientID, secret string) *client.Client {
	w.Helper()
	c, err := client.New(client.Config{
		Endpoints: client.Entente(w.Authority), TenantID: w.TenantID, HTTP: w.http, Credential: client.ClientSecret(w.Authority, w.TenantID, clientID, secret, w.http),
	})
	w.ok(err)
	return c
}

// read reads a manifest. REGION stands for a location that Azure has.
func (w *world) read(text string) *manifest.Manifest {
	w.Helper()
	m, err := manifest.Read("state.yaml", []byte(text), nil)
	w.ok(err)
	return m
}

// make plans; options change what is the default.
func (w *world) make(text string, change ...func(*plan.Options)) (*plan.Plan, error) {
	w.Helper()
	o := plan.Options{Subscription: w.SubscriptionID, Wait: func(_ context.Context, d time.Duration) error {
		waiting.Lock()
		defer waiting.Unlock()
		w.waits = append(w.waits, d)
		return nil
	}}
	for _, c := range change {
		c(&o)
	}
	return plan.Make(w.Context(), w.client, w.read(text), o)
}

func prune(o *plan.Options) { o.Prune = true }

// plans makes a plan that is possible.
func (w *world) plans(text string, change ...func(*plan.Options)) *plan.Plan {
	w.Helper()
	p, err := w.make(text, change...)
	w.ok(err)
	return p
}

// apply applies a plan and notes what happens; waiting takes no time.
func (w *world) apply(p *plan.Plan) error {
	w.Helper()
	w.events, w.waits = nil, nil
	return p.Apply(w.Context(), plan.ApplyOptions{
		Progress: func(e plan.Progress) {
			if e.Event == plan.Ended {
				w.events = append(w.events, fmt.Sprintf("%d/%d %s %s", e.N, e.Total, e.Step.Action, e.Step.What()))
			}
		},
		Wait: func(ctx context.Context, d time.Duration) error {
			waiting.Lock()
			defer waiting.Unlock()
			w.waits = append(w.waits, d)
			return ctx.Err()
		},
	})
}

// settle applies a file and expects that a second plan has nothing to do.
func (w *world) settle(text string, change ...func(*plan.Options)) *plan.Plan {
	w.Helper()
	p := w.plans(text, change...)
	w.ok(w.apply(p))
	if again := w.plans(text, change...); again.Summary.Changes() != 0 {
		w.Errorf("the second plan is not empty:\n%s", show(w.T, again))
	}
	return p
}

func show(t *testing.T, p *plan.Plan) string {
	t.Helper()
	var b strings.Builder
	if err := p.Text(&b, false); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// problems are the lines of the error of a plan that is not possible.
func (w *world) problems(text string, change ...func(*plan.Options)) string {
	w.Helper()
	p, err := w.make(text, change...)
	if err == nil {
		w.Fatalf("there is a plan:\n%s", show(w.T, p))
	}
	return err.Error()
}

// application is the one of a name.
func (w *world) application(name string) client.Application {
	w.Helper()
	a, err := w.admin.ApplicationByName(w.Context(), name)
	w.ok(err)
	return a
}

func (w *world) identity(group, name string) client.IdentityID {
	return client.IdentityID{SubscriptionID: w.SubscriptionID, ResourceGroup: group, Name: name}
}

// trusts are the credentials of an application, or of an identity GROUP/NAME, as "NAME SUBJECT".
func (w *world) trusts(parent string) (all []string) {
	w.Helper()
	var list []client.FederatedCredential
	var err error
	if group, name, ok := strings.Cut(parent, "/"); ok {
		list, err = w.admin.IdentityCredentials(w.Context(), w.identity(group, name))
	} else {
		list, err = w.admin.ApplicationCredentials(w.Context(), w.application(parent).ID)
	}
	w.ok(err)
	for _, c := range list {
		all = append(all, c.Name+" "+c.Subject)
	}
	slices.Sort(all)
	return all
}

// trust adds a credential behind the file's back.
func (w *world) trust(parent, name, issuer, subject string) {
	w.Helper()
	c := client.FederatedCredential{Name: name, Issuer: issuer, Subject: subject, Audiences: []string{"api://AzureADTokenExchange"}}
	var err error
	if group, id, ok := strings.Cut(parent, "/"); ok {
		_, _, err = w.admin.PutIdentityCredential(w.Context(), w.identity(group, id), c)
	} else {
		_, err = w.admin.CreateApplicationCredential(w.Context(), w.application(parent).ID, c)
	}
	w.ok(err)
}

// front stands before a service and makes Azure of it: Graph and Resource Manager
// at addresses of their own, two writes to the credentials of one identity refused
// when they come at one time, and whatever else a test wants to go wrong.
type front struct {
	*httptest.Server
	mu       sync.Mutex
	requests []string       // METHOD PATH, in the order in which they came
	wire     []string       // the same with all that was sent
	writing  map[string]int // writes that are under way, by identity
	overlaps int            // how often two came at one time
	most     int            // writes at one time, over all parents
	now      int
	fail     func(r *http.Request, nth int) *refusal // nth time of that METHOD PATH, from 1
	seen     map[string]int
}

// refusal is an answer in the service's place.
type refusal struct {
	status            int
	code, retryAfter  string
	afterCarryingItOn bool // the request was done all the same
}

// newAzure is a world whose planner believes it to be Azure.
func newAzure(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	to, err := url.Parse(w.Authority)
	w.ok(err)
	f := &front{writing: map[string]int{}, seen: map[string]int{}}
	proxy := &httputil.ReverseProxy{ErrorLog: log.New(io.Discard, "", 0), Transport: w.http.Transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	f.Server = httptest.NewTLSServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		wire := strings.TrimSpace(r.Method + " " + r.RequestURI + "\n" + string(body))
		if p := r.Header.Get("Prefer"); p != "" {
			wire += "\nPrefer: " + p
		}
		surface, path, _ := strings.Cut(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/")
		line := r.Method + " /" + path
		r.URL.Path, r.URL.RawPath = strings.TrimPrefix(r.URL.Path, "/"+surface), ""
		write := r.Method != http.MethodGet
		parent, _, onCredentials := strings.Cut(path, "/federatedIdentityCredentials")

		f.mu.Lock()
		f.requests = append(f.requests, line)
		f.wire = append(f.wire, wire)
		f.seen[line]++
		nth := f.seen[line]
		var no *refusal
		if f.fail != nil {
			no = f.fail(r, nth)
		}
		if write {
			f.now++
			f.most = max(f.most, f.now)
		}
		if write && onCredentials {
			if f.writing[parent]++; f.writing[parent] > 1 {
				f.overlaps++
				no = &refusal{status: http.StatusConflict, code: "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity"}
			}
		}
		f.mu.Unlock()
		defer func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			if write {
				f.now--
			}
			if write && onCredentials {
				f.writing[parent]--
			}
		}()
		if no != nil && no.afterCarryingItOn {
			proxy.ServeHTTP(httptest.NewRecorder(), r)
		}
		if no != nil {
			if no.retryAfter != "" {
				out.Header().Set("Retry-After", no.retryAfter)
			}
			out.WriteHeader(no.status)
			fmt.Fprintf(out, `{"error":{"code":%q,"message":"not now"}}`, no.code)
			return
		}
		answer := httptest.NewRecorder()
		proxy.ServeHTTP(answer, r)
		for name, values := range answer.Header() {
			out.Header()[name] = values
		}
		out.WriteHeader(answer.Code)
		io.Copy(out, bytes.NewReader(answer.Body.Bytes()))
	}))
	t.Cleanup(f.Close)
	w.front = f
	w.client, err = client.New(client.Config{
		Endpoints: client.Endpoints{Authority: w.Authority, Graph: f.URL + "/graph", ResourceManager: f.URL + "/arm", GraphAudience: w.Authority, ResourceManagerAudience: w.Authority},
		TenantID:  w.TenantID, HTTP: f.Client(), Credential: client.ClientSecret(w.Authority, w.TenantID, w.ClientID, w.ClientSecret, w.http),
	})
	w.ok(err)
	return w
}

// writes are the requests that were no reads, from a point on.
func (f *front) writes() (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, line := range f.requests {
		if !strings.HasPrefix(line, "GET ") {
			all = append(all, line)
		}
	}
	return all
}
