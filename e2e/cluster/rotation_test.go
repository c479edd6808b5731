package cluster

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/issuer"
	"github.com/entente-id/entente/internal/testkit"
	"github.com/entente-id/entente/internal/testkit/controlplane"
)

func rsaKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A cluster's key is rotated as its manual says, by restarts of its one API
// server, while its pods go on exchanging tokens: no valid one is refused. The
// withdrawn key counts for as long as keys live, or until an administrator sets
// the issuer again.
func TestRotationRefusesNoValidToken(t *testing.T) {
	older, newer := rsaKey(t), rsaKey(t)
	c := start(t, controlplane.Config{Issuer: "/", Keys: []crypto.Signer{older}})
	s := testkit.Serve(t, t.TempDir(), private(t, c.Authority)...)
	admin := s.AsAdmin(t)
	cat := application(t, admin, c.Issuer)

	p := &pods{service: s, clientID: cat.AppID}
	withdrawn := c.Token(t, "pets", "cat", audience)
	accepted(t, s, cat, withdrawn)
	patient := verifier(t, c)
	if _, err := patient.verify(t, withdrawn); err != nil {
		t.Fatal(err)
	}
	p.start(t, withdrawn)

	c.Keys = []crypto.Signer{older, newer} // both are published, the old one signs
	c.Restart(t)
	last := c.Token(t, "pets", "cat", audience)
	p.mount(t, last)
	c.Keys = []crypto.Signer{newer, older} // the new one signs
	c.Restart(t)
	signed := c.Token(t, "pets", "cat", audience)
	if decode[header](t, signed, 0).Kid == decode[header](t, withdrawn, 0).Kid {
		t.Fatal("the key did not change")
	}
	p.mount(t, signed)
	p.unmount(withdrawn) // as if the tokens of the old key had expired
	p.unmount(last)
	c.Keys = []crypto.Signer{newer} // the new one is alone
	c.Restart(t)
	p.mount(t, c.Token(t, "pets", "cat", audience))
	p.stop()

	t.Logf("%d exchanges, %d of them after an answer to try again", p.tokens.Load(), p.doubts.Load())
	if p.refused.Load() > 0 || p.tokens.Load() < 100 {
		t.Errorf("of %d exchanges %d were refused", p.tokens.Load()+p.refused.Load(), p.refused.Load())
	}

	// By the program, whose clock cannot be moved: the issuer is set again.
	if _, _, err := admin.PutIssuer(t.Context(), "cluster", client.IssuerSpec{Issuer: c.Issuer}); err != nil {
		t.Fatal(err)
	}
	refused(t, s, cat, withdrawn, 401, 7000272)
	accepted(t, s, cat, signed)

	// By the room that keeps the keys, an hour later: nobody had to do anything.
	patient.clock.Advance(time.Hour)
	if _, err := patient.verify(t, withdrawn); issuer.KindOf(err) != issuer.KeyNotFound {
		t.Errorf("an hour later, a token of the withdrawn key: %v", err)
	}
	if _, err := patient.verify(t, signed); err != nil {
		t.Errorf("an hour later, a token of the new key: %v", err)
	}
}

// clocked is a verifier of one cluster's tokens with a clock of its own.
type clocked struct {
	*issuer.Verifier
	source issuer.Source
	clock  *testkit.Clock
}

// verify reads a token and verifies it.
func (c clocked) verify(t *testing.T, text string) (issuer.Peeked, error) {
	t.Helper()
	token, err := issuer.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	return c.Verify(t.Context(), c.source, token)
}

func verifier(t *testing.T, c *controlplane.Cluster) clocked {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.Authority.PEM)
	clock := testkit.NewClock(time.Now())
	v, err := issuer.New(issuer.Config{Allow: []string{"127.0.0.1"}, RootCAs: roots, Clock: clock.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return clocked{v, issuer.Source{URL: c.Issuer}, clock}
}

// pods exchange the tokens that are mounted in them, all the time.
type pods struct {
	service  *testkit.Service
	clientID string

	mu      sync.Mutex
	mounted []string

	ended                   chan struct{}
	stop                    func()
	tokens, refused, doubts atomic.Int64
}

func (p *pods) start(t *testing.T, token string) {
	p.mounted, p.ended = []string{token}, make(chan struct{})
	var running sync.WaitGroup
	for n := range 4 {
		running.Go(func() { p.run(t, n) })
	}
	p.stop = sync.OnceFunc(func() {
		close(p.ended)
		running.Wait()
	})
	t.Cleanup(p.stop)
}

// mount adds a token and waits until each pod has had it several times.
func (p *pods) mount(t *testing.T, token string) {
	t.Helper()
	p.mu.Lock()
	p.mounted = append(p.mounted, token)
	p.mu.Unlock()
	enough := p.tokens.Load() + 60
	for deadline := time.Now().Add(time.Minute); p.tokens.Load() < enough; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) || p.refused.Load() > 0 {
			t.Fatalf("%d exchanges, %d refused", p.tokens.Load(), p.refused.Load())
		}
	}
}

func (p *pods) unmount(token string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mounted = slices.DeleteFunc(p.mounted, func(other string) bool { return other == token })
}

func (p *pods) token(n int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mounted[n%len(p.mounted)]
}

// run exchanges one token after the other.
func (p *pods) run(t *testing.T, n int) {
	for ; ; n++ {
		select {
		case <-p.ended:
			return
		case <-time.After(20 * time.Millisecond):
		}
		p.exchange(t, p.token(n))
	}
}

// exchange does what SDKs do: it tries again when it is told to.
func (p *pods) exchange(t *testing.T, token string) {
	for range 5 {
		a := exchange(t, p.service, p.clientID, token)
		seconds, _ := strconv.Atoi(a.RetryAfter)
		switch {
		case a.Status == 200:
			p.tokens.Add(1)
			return
		case a.Status != 503 || seconds == 0:
			t.Errorf("a valid token was refused with %d: %s", a.Status, a.Description)
			p.refused.Add(1)
			return
		}
		p.doubts.Add(1)
		time.Sleep(time.Duration(seconds) * time.Second)
	}
	t.Error("a valid token was in doubt five times")
	p.refused.Add(1)
}
