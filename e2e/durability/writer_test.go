package durability

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/localissuer"
	"github.com/entente-id/entente/internal/testkit"
)

const (
	audience = "api://AzureADTokenExchange"
	subject  = "system:serviceaccount:pets:workload-identity-sa"
	issuer   = "https://cluster.example/"
)

// state is what stands of a writer's objects: the subjects of the credentials
// of its application ("application/NAME") and of its managed identity
// ("identity/NAME"), and the identity itself ("identity"), which has none.
type state map[string]string

// wire is one of the two that writers use.
type wire int

const (
	graph wire = iota
	arm
)

// write is one write that a writer has sent.
type write struct {
	wire   wire
	event  string // what its audit event says; see event.String
	change func(state)
	send   func(context.Context, *client.Client) error
}

// writer writes one thing after the other to objects that nobody else writes
// to, on both wires. So what stands is what stood after one of its writes: not
// before the last that was answered, and not after the last that was sent.
type writer struct {
	name          string // begins the names of its objects
	applicationID string
	identity      client.IdentityID

	mu      sync.Mutex
	written int     // all it ever sent, for values that are new
	settled state   // what stood when it was last compared
	sent    []write // since then
	acked   int     // of those, how many were answered
	full    [2]int  // writes that were refused for want of room, on each wire
}

// bounds are how many of a writer's sent writes may stand.
type bounds struct{ least, most int }

func (w *writer) bounds() bounds {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bounds{w.acked, len(w.sent)}
}

// after is what stands after the first n of the sent writes.
func (w *writer) after(n int) state {
	s := maps.Clone(w.settled)
	for _, op := range w.sent[:n] {
		op.change(s)
	}
	return s
}

// next is a write that can be done where s stands.
func (w *writer) next(s state) write {
	w.written++
	name := fmt.Sprintf("%s-c%d", w.name, rand.IntN(6))
	now := fmt.Sprintf("%s-%d", w.name, w.written)
	credential := client.FederatedCredential{Name: name, Issuer: issuer, Subject: now, Audiences: []string{audience}}
	set := func(key string) func(state) { return func(s state) { s[key] = now } }
	remove := func(key string) func(state) { return func(s state) { delete(s, key) } }

	if rand.IntN(2) == 0 {
		key := "application/" + name
		was, there := s[key]
		e := event{Action: "microsoft.directory/applications/credentials/update", Name: name, Was: was, Now: now}
		switch {
		case !there:
			return write{graph, e.String(), set(key), func(ctx context.Context, c *client.Client) error {
				_, err := c.CreateApplicationCredential(ctx, w.applicationID, credential)
				return err
			}}
		case rand.IntN(3) > 0:
			return write{graph, e.String(), set(key), func(ctx context.Context, c *client.Client) error {
				return c.UpdateApplicationCredential(ctx, w.applicationID, name, client.FederatedCredentialUpdate{Subject: now})
			}}
		}
		e.Now = ""
		return write{graph, e.String(), remove(key), func(ctx context.Context, c *client.Client) error {
			return c.DeleteApplicationCredential(ctx, w.applicationID, name)
		}}
	}

	const identities = "Microsoft.ManagedIdentity/userAssignedIdentities/"
	if _, there := s["identity"]; !there {
		return write{arm, event{Action: identities + "write", Name: w.name}.String(), func(s state) { s["identity"] = "" }, func(ctx context.Context, c *client.Client) error {
			_, _, err := c.PutIdentity(ctx, w.identity, client.ResourceSpec{Location: "local"})
			return err
		}}
	}
	if rand.IntN(15) == 0 { // its credentials and its service principal go with it, or nothing does
		all := func(s state) {
			maps.DeleteFunc(s, func(key, _ string) bool { return strings.HasPrefix(key, "identity") })
		}
		return write{arm, event{Action: identities + "delete", Name: w.name}.String(), all, func(ctx context.Context, c *client.Client) error {
			return c.DeleteIdentity(ctx, w.identity)
		}}
	}
	key := "identity/" + name
	was, there := s[key]
	if there && rand.IntN(3) == 0 {
		return write{arm, event{Action: identities + "federatedIdentityCredentials/delete", Name: name, Was: was}.String(), remove(key), func(ctx context.Context, c *client.Client) error {
			return c.DeleteIdentityCredential(ctx, w.identity, name)
		}}
	}
	return write{arm, event{Action: identities + "federatedIdentityCredentials/write", Name: name, Was: was, Now: now}.String(), set(key), func(ctx context.Context, c *client.Client) error {
		_, _, err := c.PutIdentityCredential(ctx, w.identity, credential)
		return err
	}}
}

// read asks the service what stands.
func (w *writer) read(ctx context.Context, c *client.Client) (state, error) {
	s := state{}
	credentials, err := c.ApplicationCredentials(ctx, w.applicationID)
	if err != nil {
		return nil, err
	}
	for _, f := range credentials {
		s["application/"+f.Name] = f.Subject
	}
	switch _, err := c.Identity(ctx, w.identity); {
	case errors.Is(err, client.ErrNotFound):
		return s, nil
	case err != nil:
		return nil, err
	}
	s["identity"] = ""
	if credentials, err = c.IdentityCredentials(ctx, w.identity); err != nil {
		return nil, err
	}
	for _, f := range credentials {
		s["identity/"+f.Name] = f.Subject
	}
	return s, nil
}

// load is some writers at work, and a workload that exchanges its tokens.
type load struct {
	writers  []*writer
	issuer   *localissuer.Issuer
	clientID string // of the workload

	events int   // audit events that were compared, or were there before
	mark   int64 // rowid of the last of them
	count  atomic.Int64
}

// newLoad makes what the writers write to, and the workload.
func newLoad(t *testing.T, s *testkit.Service, trusted *localissuer.Issuer, writers int) *load {
	t.Helper()
	ctx, c := t.Context(), s.AsAdmin(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	l := &load{issuer: trusted, clientID: workload(t, c, "workload", trusted)}
	group := client.ResourceGroupID{SubscriptionID: s.SubscriptionID, Name: "durability"}
	_, _, err := c.PutResourceGroup(ctx, group, client.ResourceSpec{Location: "local"})
	must(err)
	for i := range writers {
		name := fmt.Sprintf("writer%d", i)
		app, err := c.CreateApplication(ctx, client.ApplicationSpec{DisplayName: name})
		must(err)
		identity := client.IdentityID{SubscriptionID: s.SubscriptionID, ResourceGroup: group.Name, Name: name}
		l.writers = append(l.writers, &writer{name: name, applicationID: app.ID, identity: identity, settled: state{}})
	}
	l.exchange(t, s)
	l.begin(t, s)
	return l
}

// begin takes what is recorded so far as given.
func (l *load) begin(t testing.TB, s *testkit.Service) {
	t.Helper()
	d := openDatabase(t, s)
	l.events, l.mark = d.count(t), d.last(t)
}

// workload makes an application that trusts an issuer's tokens, and returns its client id.
func workload(t testing.TB, c *client.Client, name string, trusted *localissuer.Issuer) (clientID string) {
	t.Helper()
	app, err := c.CreateApplication(t.Context(), client.ApplicationSpec{DisplayName: name})
	if err == nil {
		_, err = c.CreateServicePrincipal(t.Context(), client.ServicePrincipalSpec{AppID: app.AppID})
	}
	if err == nil {
		_, err = c.CreateApplicationCredential(t.Context(), app.ID, client.FederatedCredential{Name: "cluster", Issuer: trusted.URL(), Subject: subject, Audiences: []string{audience}})
	}
	if err != nil {
		t.Fatal(err)
	}
	return app.AppID
}

// exchange has the workload exchange a new token.
func (l *load) exchange(t testing.TB, s *testkit.Service) {
	t.Helper()
	if err := l.tryExchange(t.Context(), s); err != nil {
		t.Fatalf("exchange: %v", err)
	}
}

func (l *load) tryExchange(ctx context.Context, s *testkit.Service) error {
	source := client.Federated(s.Authority, s.TenantID, l.clientID, func(context.Context) (string, error) {
		return l.issuer.Mint(localissuer.Token{Namespace: "pets", ServiceAccount: "workload-identity-sa", Audiences: []string{audience}})
	}, s.HTTP)
	_, err := source.Token(ctx, client.Scope("https://vault.azure.net"))
	return err
}

// start sets the writers to work. They end when done is closed, or when the
// service does not answer any more; wait returns when they have ended.
func (l *load) start(t testing.TB, c *client.Client, done <-chan struct{}) (wait func()) {
	t.Helper()
	ctx := t.Context()
	if _, err := c.Subscriptions(ctx); err != nil { // with a token in hand, all they do is write
		t.Fatal(err)
	}
	if _, err := c.Applications(ctx, client.Equal("displayName", l.writers[0].name)); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, w := range l.writers {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if !l.one(ctx, t, c, w) {
					return
				}
			}
		})
	}
	return wg.Wait
}

// until has the writers work until something is so.
func (l *load) until(t testing.TB, c *client.Client, so func() bool) {
	t.Helper()
	done := make(chan struct{})
	wait := l.start(t, c, done)
	for deadline := time.Now().Add(time.Minute); !so() && !t.Failed(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Error("the writers do not get there")
		}
	}
	close(done)
	wait()
	if t.Failed() {
		t.FailNow()
	}
}

// acked counts the writes that were answered since the last comparison, full
// those that were refused for want of room.
func (l *load) acked() int { return l.sum(func(w *writer) int { return w.acked }) }
func (l *load) full() int  { return l.sum(func(w *writer) int { return w.full[graph] + w.full[arm] }) }

func (l *load) sum(of func(*writer) int) (n int) {
	for _, w := range l.writers {
		w.mu.Lock()
		n += of(w)
		w.mu.Unlock()
	}
	return n
}

// one sends one write and notes what became of it. It says whether the service answered.
func (l *load) one(ctx context.Context, t testing.TB, c *client.Client, w *writer) (answered bool) {
	w.mu.Lock()
	op := w.next(w.after(len(w.sent)))
	w.sent = append(w.sent, op)
	w.mu.Unlock()
	l.count.Add(1)
	err := op.send(ctx, c)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		w.acked++
		return true
	}
	refusal, ok := errors.AsType[*client.Error](err)
	switch {
	case !ok:
		return false
	case refusal.Status == http.StatusInsufficientStorage && refusal.Code == "InsufficientStorage" && refusal.RequestID != "":
		w.full[op.wire]++
	default:
		t.Errorf("%s: %v", op.event, err)
	}
	w.sent = w.sent[:len(w.sent)-1]
	return true
}
