package exchange

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/localissuer"
)

// coolDown is that of issuers: the default of issuer.Config.
const coolDown = 5 * time.Second

// parallel calls do for 0 to n-1 from a few goroutines and waits for them.
func parallel(n int, do func(i int)) {
	const workers = 8
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for i := worker; i < n; i += workers {
				do(i)
			}
		})
	}
	group.Wait()
}

// withKeyID is a token with good claims, a kid of the sender's choice and no signature to speak of.
func (w *world) withKeyID(good, kid string) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"alg":"RS256","kid":%q}`, kid)) + good[strings.IndexByte(good, '.'):]
}

// watch notes when, by the test's clock, an issuer is asked for its keys.
func (w *world) watch(i *localissuer.Issuer) (asked func() []time.Time) {
	var mu sync.Mutex
	var times []time.Time
	i.SetFaults(localissuer.Faults{On: localissuer.Keys, Hook: func(*http.Request) {
		mu.Lock()
		defer mu.Unlock()
		times = append(times, w.clock.Now())
	}})
	return func() []time.Time {
		mu.Lock()
		defer mu.Unlock()
		return append([]time.Time(nil), times...)
	}
}

// Ten thousand tokens with made-up key ids come in the course of a minute, and
// in the middle of it the issuer rotates: it is asked at most once per
// cool-down, tokens of the old key are taken all the time, those of the new one
// after at most one cool-down, and until then they are told to come back.
func TestFloodOfKeyIDsDuringRotation(t *testing.T) {
	const rounds, perRound, step = 100, flood / 100, 600 * time.Millisecond
	w := newWorld(t, options{})
	asked := w.watch(w.issuer)
	old := w.request()
	w.mustDo(old)

	var rotated time.Time
	var fresh Request
	accepted := false
	for round := range rounds {
		w.clock.Add(step)
		if round == rounds/2 {
			w.check(w.issuer.Rotate())
			rotated, fresh = w.clock.Now(), w.request()
		}
		parallel(perRound, func(i int) {
			made := old
			made.Assertion = w.withKeyID(old.Assertion, fmt.Sprintf("made-up-%d-%d", round, i))
			o, err := w.Do(t.Context(), made)
			e, ok := errors.AsType[*Error](err)
			switch {
			case o.Token != "" || !ok || e.Reason != KeyNotFound && e.Reason != InDoubt:
				t.Errorf("round %d: token %q, %v", round, o.Token, err)
			case e.Reason == InDoubt && (e.RetryAfter <= 0 || e.RetryAfter > coolDown):
				t.Errorf("round %d: in doubt, retry after %s", round, e.RetryAfter)
			}
		})
		w.mustDo(old)
		if rotated.IsZero() {
			continue
		}
		_, err := w.Do(t.Context(), fresh)
		e, _ := errors.AsType[*Error](err)
		switch {
		case err == nil:
			accepted = true
		case accepted:
			t.Fatalf("round %d: the new key counted before, and now: %v", round, err)
		case e == nil || e.Reason != InDoubt || e.RetryAfter <= 0:
			t.Fatalf("round %d: %v, want doubt", round, err)
		case w.clock.Now().Sub(rotated) > coolDown:
			t.Fatalf("the new key does not count %s after the rotation", w.clock.Now().Sub(rotated))
		}
	}
	times := asked()
	if most := 1 + int(rounds*step/coolDown); len(times) < 2 || len(times) > most || !accepted {
		t.Errorf("asked %d times, want 2 to %d; the new key counts: %v", len(times), most, accepted)
	}
	for i := 1; i < len(times); i++ {
		if pause := times[i].Sub(times[i-1]); pause < coolDown {
			t.Errorf("asked again after %s", pause)
		}
	}
}

// Ten thousand tokens that name the issuer's key and were not signed with it
// make nobody ask for keys, however much time passes.
func TestFloodOfBadSignatures(t *testing.T) {
	const rounds, perRound = 50, flood / 50
	w := newWorld(t, options{})
	good := w.request()
	w.mustDo(good)
	before, _ := w.issuer.Fetches()
	bad := good
	bad.Assertion = w.mint(localissuer.Token{BadSignature: true})
	for range rounds {
		w.clock.Add(10 * time.Second)
		parallel(perRound, func(int) {
			o, err := w.Do(t.Context(), bad)
			if e, ok := errors.AsType[*Error](err); o.Token != "" || !ok || e.Reason != BadSignature || e.RetryAfter != 0 {
				t.Errorf("token %q, %v", o.Token, err)
			}
		})
	}
	if discovery, keys := w.issuer.Fetches(); discovery != before || keys != before {
		t.Errorf("asked %d+%d times, before the flood %d", discovery, keys, before)
	}
	w.mustDo(good)
}

// A flood of tokens for issuers that no credential names, or of clients that
// are not there, make nobody be asked.
func TestStrangersMakeNobodyBeAsked(t *testing.T) {
	w := newWorld(t, options{})
	canary, err := localissuer.New(localissuer.Config{Clock: w.clock.Now})
	w.check(err)
	w.check(canary.Start(t.Context(), "127.0.0.1:0"))
	t.Cleanup(canary.Close)
	// It is registered, even: it is the credential that counts.
	_, _, err = w.dir.PutIssuer(t.Context(), w.caller, directory.Issuer{Name: "canary", URL: canary.URL(), CAPEM: string(canary.CAPEM())})
	w.check(err)
	token, err := canary.Mint(localissuer.Token{})
	w.check(err)
	subject := w.mint(localissuer.Token{ServiceAccount: "other"})
	audience := w.mint(localissuer.Token{Audiences: []string{"other"}})
	expired := w.mint(localissuer.Token{Lifetime: -time.Hour})
	good := w.request()
	parallel(flood/50, func(i int) {
		for reason, assertion := range map[Reason]string{IssuerMiss: token, SubjectMiss: subject, AudienceMiss: audience, AssertionExpired: expired, ClientNotFound: good.Assertion} {
			r := good
			r.Assertion = assertion
			if reason == ClientNotFound {
				r.ClientID = fmt.Sprintf("00000000-0000-4000-8000-%012d", i)
			}
			_, err := w.Do(t.Context(), r)
			if e, ok := errors.AsType[*Error](err); !ok || e.Reason != reason {
				t.Errorf("%v, want %s", err, reason)
			}
		}
	})
	for _, i := range []*localissuer.Issuer{canary, w.issuer} {
		if discovery, keys := i.Fetches(); discovery+keys != 0 {
			t.Errorf("%s was asked %d times", i.URL(), discovery+keys)
		}
	}
	w.mustDo(good)
}

// Issuers that hang, with many tokens each, hold up neither the first exchange
// of another issuer nor its later ones.
func TestHangingIssuersHoldUpNobodyElse(t *testing.T) {
	const hostile, tokens = 7, 20
	w := newWorld(t, options{config: Config{Parallel: 1, Queue: 1}})
	var reached, waiting sync.WaitGroup
	ctx, giveUp := context.WithCancel(t.Context())
	for n := range hostile {
		i, err := localissuer.New(localissuer.Config{Clock: w.clock.Now})
		w.check(err)
		w.check(i.Start(t.Context(), "127.0.0.1:0"))
		t.Cleanup(i.Close)
		_, _, err = w.dir.PutIssuer(t.Context(), w.caller, directory.Issuer{Name: fmt.Sprintf("hostile-%d", n), URL: i.URL(), CAPEM: string(i.CAPEM())})
		w.check(err)
		w.trust(w.app, credential.Spec{Name: fmt.Sprintf("hostile-%d", n), Issuer: i.URL(), Subject: w.spec().Subject, Audiences: w.spec().Audiences})
		var once sync.Once
		reached.Add(1)
		i.SetFaults(localissuer.Faults{Hook: func(*http.Request) { once.Do(reached.Done) }, Hang: true})
		token, err := i.Mint(localissuer.Token{})
		w.check(err)
		r := w.request(func(r *Request) { r.Assertion = token })
		for range tokens {
			waiting.Go(func() {
				if o, err := w.Do(ctx, r); err == nil || o.Token != "" {
					t.Error("a hanging issuer's token is taken")
				}
			})
		}
	}
	reached.Wait() // all of them are being asked now, and all who want their tokens exchanged wait
	for range 3 {
		w.mustDo(w.request())
	}
	giveUp()
	waiting.Wait()
}
