package issuer

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// all runs n functions at once and waits for them.
func all(n int, fn func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { fn(i) })
	}
	wg.Wait()
}

func TestFirstTokensShareOneFetch(t *testing.T) {
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	v, _ := newVerifier(t, Config{})
	token := f.token()
	all(50, func(int) {
		if _, err := verify(v, t.Context(), f.source(), token); err != nil {
			t.Error(err)
		}
	})
	if f.discovery != 1 || f.keys != 1 {
		t.Errorf("asked %d+%d times", f.discovery, f.keys)
	}
}

func TestFloodOfUnknownKeysIsOneFetchPerCoolDown(t *testing.T) {
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	v, clock := newVerifier(t, Config{})
	good := f.token()
	_, err := verify(v, t.Context(), f.source(), good)
	wantKind(t, err, "")
	flood := make([]string, 200)
	for i := range flood {
		flood[i] = encodeParts(fmt.Sprintf(`{"alg":"RS256","kid":"unknown-%d"}`, i), strings.Replace(goodPayload, "https://issuer.example/t1/", f.url, 1), "x")
	}

	for round := range 3 {
		clock.advance(4 * time.Second) // within the cool-down of the fetch before
		all(len(flood), func(i int) {
			_, err := verify(v, t.Context(), f.source(), flood[i])
			if e, ok := err.(*Error); !ok || e.Kind != InDoubt || e.RetryAfter != time.Second || !e.Retryable() {
				t.Errorf("got %v, want doubt for another second", err)
			}
		})
		if n := f.fetches(); n != 1+round {
			t.Fatalf("round %d: asked %d times", round, n)
		}
		clock.advance(time.Second)
		all(len(flood), func(i int) {
			// Whoever asked knows that the key is not there; whoever came during or after that does not.
			_, err := verify(v, t.Context(), f.source(), flood[i])
			if kind := KindOf(err); kind != KeyNotFound && kind != InDoubt {
				t.Errorf("got %v", err)
			}
		})
		if n := f.fetches(); n != 2+round {
			t.Fatalf("round %d: asked %d times", round, n)
		}
		_, err := verify(v, t.Context(), f.source(), good)
		wantKind(t, err, "")
	}
}

func TestKnownKeyWithBadSignatureIsNoFetch(t *testing.T) {
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	forged := (&signer{kid: "k1", alg: "RS256", key: newSigner(t, "attacker", "RS256").key}).sign(t, claims(f.url), nil)
	v, clock := newVerifier(t, Config{})
	_, err := verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, "")
	for range 100 {
		clock.advance(10 * time.Second)
		_, err := verify(v, t.Context(), f.source(), forged)
		wantKind(t, err, BadSignature)
	}
	if n := f.fetches(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestUnknownKeyOfAnUnknownIssuerIsOneFetch(t *testing.T) {
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	v, _ := newVerifier(t, Config{})
	_, err := verify(v, t.Context(), f.source(), newSigner(t, "k2", "RS256").sign(t, claims(f.url), nil))
	wantKind(t, err, KeyNotFound) // certain: the fetch was made for this token
	if n := f.fetches(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestWhoSawOlderKeysGetsThoseThatCameInBetween(t *testing.T) {
	k1, k2 := newSigner(t, "k1", "RS256"), newSigner(t, "k2", "RS256")
	f := newFakeIssuer(t, k1)
	v, clock := newVerifier(t, Config{})
	e, seen, err := v.current(t.Context(), f.source())
	wantKind(t, err, "")

	clock.advance(10 * time.Minute)
	f.publish(k1, k2)
	_, err = verify(v, t.Context(), f.source(), k2.sign(t, claims(f.url), nil))
	wantKind(t, err, "")
	if keys, err := v.renew(t.Context(), e, seen); err != nil || keys == seen {
		t.Errorf("%v, the same keys: %v", err, keys == seen)
	}
	_, err = v.renew(t.Context(), e, e.good)
	wantKind(t, err, InDoubt) // who saw those has to wait
	if n := f.fetches(); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

func TestSinceWhenKeysHaveBeenSeen(t *testing.T) {
	k1, k2, k3 := newSigner(t, "k1", "RS256"), newSigner(t, "k2", "RS256"), newSigner(t, "k3", "RS256")
	f := newFakeIssuer(t, k1)
	v, clock := newVerifier(t, Config{DB: openDB(t)})
	saw := func(key *signer, want map[string]time.Time) {
		t.Helper()
		_, err := verify(v, t.Context(), f.source(), key.sign(t, claims(f.url), nil))
		wantKind(t, err, "")
		if got, err := v.Seen(t.Context(), f.source()); err != nil || !maps.EqualFunc(got, want, time.Time.Equal) {
			t.Errorf("%v, %v, want %v", got, err, want)
		}
	}
	if got, err := v.Seen(t.Context(), f.source()); err != nil || len(got) != 0 {
		t.Errorf("before anybody came: %v, %v", got, err)
	}
	first := v.now().Truncate(time.Millisecond)
	saw(k1, map[string]time.Time{"k1": first})
	clock.advance(10 * time.Minute)
	second := v.now().Truncate(time.Millisecond)
	f.publish(k1, k2)
	saw(k2, map[string]time.Time{"k1": first, "k2": second})
	clock.advance(10 * time.Minute)
	f.publish(k2, k3)
	saw(k3, map[string]time.Time{"k2": second, "k3": v.now().Truncate(time.Millisecond)})
}

func TestRotation(t *testing.T) {
	k1, k2, k3 := newSigner(t, "k1", "RS256"), newSigner(t, "k2", "RS256"), newSigner(t, "k3", "RS256")
	f := newFakeIssuer(t, k1)
	v, clock := newVerifier(t, Config{})
	_, err := verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, "")

	clock.advance(10 * time.Minute)
	f.publish(k1, k2)
	second := k2.sign(t, claims(f.url), nil)
	all(50, func(int) {
		if _, err := verify(v, t.Context(), f.source(), second); err != nil {
			t.Error(err)
		}
	})
	_, err = verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, "") // the old key is still published
	if n := f.fetches(); n != 2 {
		t.Errorf("asked %d times, want once for the rotation", n)
	}

	// The next rotation comes within the cool-down: a retryable doubt, never a refusal.
	clock.advance(2 * time.Second)
	f.publish(k2, k3)
	third := k3.sign(t, claims(f.url), nil)
	_, err = verify(v, t.Context(), f.source(), third)
	wantKind(t, err, InDoubt)
	clock.advance(err.(*Error).RetryAfter)
	_, err = verify(v, t.Context(), f.source(), third)
	wantKind(t, err, "")
	_, err = verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, InDoubt) // k1 is gone, and nobody has asked since this token came
	if n := f.fetches(); n != 3 {
		t.Errorf("asked %d times", n)
	}
}

// TestRotationDuringAFetch: the keys change after the issuer has answered a fetch that is still under way.
func TestRotationDuringAFetch(t *testing.T) {
	k1, k2 := newSigner(t, "k1", "RS256"), newSigner(t, "k2", "RS256")
	f := newFakeIssuer(t, k1)
	old := f.keySet
	answering, answer := make(chan struct{}), make(chan struct{})
	f.faultOnKeys = true
	f.fail(func(w http.ResponseWriter, _ *http.Request) {
		close(answering)
		<-answer
		w.Write(old)
	})
	v, clock := newVerifier(t, Config{})
	first := make(chan error)
	go func() {
		_, err := verify(v, context.Background(), f.source(), f.token())
		first <- err
	}()
	<-answering
	f.publish(k2)
	f.fail(nil)
	second := make(chan error)
	token := k2.sign(t, claims(f.url), nil)
	before := v.turn.Load()
	go func() {
		_, err := verify(v, context.Background(), f.source(), token)
		second <- err
	}()
	for v.turn.Load() == before { // until the second token has come
		time.Sleep(time.Millisecond)
	}
	close(answer)
	wantKind(t, <-first, "")
	wantKind(t, <-second, InDoubt)
	clock.advance(5 * time.Second)
	_, err := verify(v, t.Context(), f.source(), token)
	wantKind(t, err, "")
}

func TestWithdrawnKeyEndsWithinTheLifetime(t *testing.T) {
	for maxAge, lifetime := range map[string]time.Duration{"max-age=600": 10 * time.Minute, "max-age=86400": time.Hour, "": 5 * time.Minute} {
		f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
		f.maxAge = maxAge
		v, clock := newVerifier(t, Config{})
		_, err := verify(v, t.Context(), f.source(), f.token())
		wantKind(t, err, "")
		f.publish(newSigner(t, "k2", "RS256"))
		clock.advance(lifetime - time.Second)
		_, err = verify(v, t.Context(), f.source(), f.token())
		wantKind(t, err, "") // not yet noticed
		clock.advance(time.Second)
		_, err = verify(v, t.Context(), f.source(), f.token())
		wantKind(t, err, KeyNotFound)
		if n := f.fetches(); n != 2 {
			t.Errorf("asked %d times", n)
		}
	}
}

func TestAllKeysWithdrawn(t *testing.T) {
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	v, clock := newVerifier(t, Config{})
	_, err := verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, "")
	f.publishRaw([]byte(`{"keys":[]}`))
	clock.advance(time.Hour)
	_, err = verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, KeyNotFound)
}

// TestIssuerDown: the last good keys serve for 24 hours after they were read, whatever the fault.
func TestIssuerDown(t *testing.T) {
	for name, fault := range map[string]http.HandlerFunc{
		"status": status(503),
		"HTML":   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>maintenance</html>") },
		"cut":    func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
			unknown := newSigner(t, "k2", "RS256").sign(t, claims(f.url), nil)
			v, clock := newVerifier(t, Config{})
			_, err := verify(v, t.Context(), f.source(), f.token())
			wantKind(t, err, "")
			f.fail(fault)
			for range 95 { // to 23 h 45 min
				clock.advance(15 * time.Minute)
				_, err := verify(v, t.Context(), f.source(), f.token())
				wantKind(t, err, "")
			}
			settle(v)
			_, err = verify(v, t.Context(), f.source(), unknown)
			if kind := KindOf(err); kind != Unreachable && kind != InvalidDocument {
				t.Errorf("a new key while the issuer is down: %v", err)
			}
			clock.advance(15 * time.Minute)
			settle(v)
			_, err = verify(v, t.Context(), f.source(), f.token())
			if kind := KindOf(err); kind != Unreachable && kind != InvalidDocument {
				t.Errorf("after 24 hours: %v", err)
			}

			f.fail(nil)
			clock.advance(time.Minute)
			_, err = verify(v, t.Context(), f.source(), f.token())
			wantKind(t, err, "")
		})
	}
}

// settle waits for the fetches that run.
func settle(v *Verifier) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, e := range v.entries {
		e.mu.Lock()
		f := e.running
		e.mu.Unlock()
		if f != nil {
			<-f.done
		}
	}
}

// TestNobodyWaitsForAnIssuerThatIsDown: after one failure, known keys answer while the next fetch hangs.
func TestNobodyWaitsForAnIssuerThatIsDown(t *testing.T) {
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	v, clock := newVerifier(t, Config{})
	_, err := verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, "")
	f.fail(status(500))
	clock.advance(2 * time.Hour)
	_, err = verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, "")

	hold := make(chan struct{})
	f.fail(func(http.ResponseWriter, *http.Request) { <-hold })
	clock.advance(time.Minute)
	_, err = verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, "")
	e := v.entry(f.source())
	e.mu.Lock()
	running := e.running
	e.mu.Unlock()
	if running == nil {
		t.Error("nobody asks the issuer again")
	}
	close(hold)
	settle(v)
}

func TestRepeatedFailuresAreAskedLessAndLess(t *testing.T) {
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	f.fail(status(500))
	v, clock := newVerifier(t, Config{})
	var pauses []time.Duration
	for range 7 {
		_, err := verify(v, t.Context(), f.source(), f.token())
		wantKind(t, err, Unreachable)
		if err.(*Error).RetryAfter != 0 {
			t.Fatalf("the one who asked was told to wait: %v", err)
		}
		_, err = verify(v, t.Context(), f.source(), f.token())
		wantKind(t, err, Unreachable)
		pauses = append(pauses, err.(*Error).RetryAfter)
		clock.advance(err.(*Error).RetryAfter)
	}
	if got, want := fmt.Sprint(pauses), "[5s 10s 20s 40s 1m0s 1m0s 1m0s]"; got != want {
		t.Errorf("pauses %s, want %s", got, want)
	}
	if n := f.fetches(); n != 7 {
		t.Errorf("asked %d times", n)
	}
	f.fail(nil)
	_, err := verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, "")
}

func TestKeysSurviveARestart(t *testing.T) {
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	d := openDB(t)
	v, clock := newVerifier(t, Config{DB: d})
	_, err := verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, "")
	f.fail(status(500))

	// Fresh keys need no fetch at all.
	v, _ = newVerifier(t, Config{DB: d, Clock: clock.Now})
	_, err = verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, "")
	if n := f.fetches(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	s, err := v.Status(t.Context(), f.source())
	if err != nil || len(s.Keys) != 1 || !s.FetchedAt.Equal(epoch) || !s.FreshUntil.Equal(epoch.Add(time.Hour)) {
		t.Errorf("status %+v, %v", s, err)
	}

	// Expired ones are used while the issuer is down, until 24 hours are over.
	clock.advance(24*time.Hour - time.Second)
	v, _ = newVerifier(t, Config{DB: d, Clock: clock.Now})
	_, err = verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, "")
	clock.advance(time.Second)
	for range 2 {
		_, err = verify(v, t.Context(), f.source(), f.token())
		wantKind(t, err, Unreachable)
		v, _ = newVerifier(t, Config{DB: d, Clock: clock.Now})
	}

	// Then they are deleted.
	clock.advance(time.Second)
	v.prune(t.Context())
	var n int
	if err := d.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM issuer_keys`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows left, error %v", n, err)
	}
}

func TestKeysOfAnotherRevisionAreNotUsed(t *testing.T) {
	k1, k2 := newSigner(t, "k1", "RS256"), newSigner(t, "k2", "RS256")
	f := newFakeIssuer(t, k1)
	d := openDB(t)
	v, clock := newVerifier(t, Config{DB: d})
	_, err := verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, "")
	f.publish(k2)
	edited := f.source()
	edited.Revision++
	for range 2 { // within the process and after a restart
		_, err = verify(v, t.Context(), edited, f.token())
		wantKind(t, err, KeyNotFound)
		_, err = verify(v, t.Context(), edited, k2.sign(t, claims(f.url), nil))
		wantKind(t, err, "")
		v, _ = newVerifier(t, Config{DB: d, Clock: clock.Now})
		clock.advance(time.Minute)
	}

	// A replica that has not yet heard of the edit does not overwrite the newer keys.
	f.publish(k1)
	_, err = verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, "")
	var revision int64
	if err := d.Read().QueryRowContext(t.Context(), `SELECT revision FROM issuer_keys`).Scan(&revision); err != nil || revision != edited.Revision {
		t.Errorf("revision %d kept, error %v", revision, err)
	}
}

func TestWithoutDatabase(t *testing.T) {
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	d := openDB(t)
	v, _ := newVerifier(t, Config{DB: d})
	d.Close() // a database that fails costs no token
	_, err := verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, "")
	v, _ = newVerifier(t, Config{})
	_, err = verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, "")
}

func TestOneCallerThatGivesUpDoesNotEndTheFetch(t *testing.T) {
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	asked, answer := make(chan struct{}), make(chan struct{})
	f.faultOnKeys = true
	f.fail(func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-answer
		w.Write(f.keySet)
	})
	v, _ := newVerifier(t, Config{})
	impatient, cancel := context.WithCancel(t.Context())
	left, stayed := make(chan error), make(chan error)
	go func() {
		_, err := verify(v, impatient, f.source(), f.token())
		left <- err
	}()
	<-asked
	go func() {
		_, err := verify(v, context.Background(), f.source(), f.token())
		stayed <- err
	}()
	cancel()
	wantKind(t, <-left, Unreachable)
	close(answer)
	wantKind(t, <-stayed, "")
}

func TestFetchesAtOneTimeAreBounded(t *testing.T) {
	var mu sync.Mutex
	active, most := 0, 0
	hold := make(chan struct{})
	server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		active++
		most = max(most, active)
		mu.Unlock()
		<-hold
		fmt.Fprint(w, `{"keys":[]}`)
		mu.Lock()
		active--
		mu.Unlock()
	}))
	v, _ := newVerifier(t, Config{})
	done := make(chan error)
	for i := range 3 * maxFetches {
		src := Source{TenantID: fmt.Sprint(i), ID: fmt.Sprint(i), URL: server.URL, Kind: JWKSURI, JWKSURI: server.URL, CAPEM: newAuthority().pem}
		go func() {
			_, err := verify(v, context.Background(), src, newSigner(t, "k1", "RS256").sign(t, claims(server.URL), nil))
			done <- err
		}()
	}
	for {
		mu.Lock()
		full := active == maxFetches
		mu.Unlock()
		if full {
			break
		}
		time.Sleep(time.Millisecond)
	}
	close(hold)
	for range 3 * maxFetches {
		wantKind(t, <-done, KeyNotFound)
	}
	if most != maxFetches {
		t.Errorf("%d at one time, want %d", most, maxFetches)
	}
}

func TestSlotsThatStayTakenAreAnError(t *testing.T) {
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	v, clock := newVerifier(t, Config{})
	v.patience = 20 * time.Millisecond
	for range maxFetches {
		v.slots <- struct{}{}
	}
	for range 3 { // it is no fault of the issuer, which is not asked less for it
		_, err := verify(v, t.Context(), f.source(), f.token())
		wantKind(t, err, InDoubt)
		if e := err.(*Error); e.RetryAfter <= 0 {
			t.Errorf("%v: without a time to come back", e)
		}
		clock.advance(5 * time.Second)
	}
	<-v.slots
	v.patience = fetchTime
	_, err := verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, "")
}

func TestIssuersInUseAreRenewedAhead(t *testing.T) {
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	v, clock := newVerifier(t, Config{})
	_, err := verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, "")
	clock.advance(58 * time.Minute)
	v.tend()
	settle(v)
	if n := f.fetches(); n != 1 {
		t.Fatalf("asked %d times too early", n)
	}
	clock.advance(time.Minute)
	v.tend()
	v.tend()
	settle(v)
	if n := f.fetches(); n != 2 {
		t.Fatalf("asked %d times, want one renewal", n)
	}
	clock.advance(30 * time.Minute)
	_, err = verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, "")
	if n := f.fetches(); n != 2 {
		t.Errorf("a token waited although the keys were renewed")
	}

	// An issuer that nobody uses is left alone, and forgotten in the end.
	clock.advance(2 * time.Hour)
	v.tend()
	settle(v)
	if n := f.fetches(); n != 2 {
		t.Errorf("asked %d times though unused", n)
	}
	clock.advance(24 * time.Hour)
	v.tend()
	if len(v.entries) != 0 {
		t.Error("the issuer is not forgotten")
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	v, _ := newVerifier(t, Config{DB: openDB(t)})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- v.Run(ctx) }()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestNewRevisionDropsTheOlderFromTheCache(t *testing.T) {
	v, _ := newVerifier(t, Config{})
	src := Source{TenantID: "t", ID: "i", URL: "https://issuer.example/"}
	for src.Revision = range 10 {
		v.entry(src)
	}
	v.entry(Source{TenantID: "other", ID: "i", URL: "https://issuer.example/"})
	if len(v.entries) != 2 {
		t.Errorf("%d entries", len(v.entries))
	}
}

func TestClockThatGoesBack(t *testing.T) {
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	v, clock := newVerifier(t, Config{})
	for _, jump := range []time.Duration{0, -time.Hour, time.Hour, -time.Hour, -48 * time.Hour, 48 * time.Hour} {
		clock.advance(jump)
		_, err := verify(v, t.Context(), f.source(), f.token())
		wantKind(t, err, "")
	}
	// Keys are not fresh for longer because the clock was wrong when they were read.
	f.publish(newSigner(t, "k2", "RS256"))
	clock.advance(-time.Hour)
	_, err := verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, KeyNotFound)
}

func TestFetchesAreObserved(t *testing.T) {
	var seen []Fetch
	var log bytes.Buffer
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	v, clock := newVerifier(t, Config{
		Fetched: func(fetch Fetch) { seen = append(seen, fetch) },
		Log:     slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	verify := func() {
		verify(v, t.Context(), f.source(), f.token())
		clock.advance(time.Hour)
	}
	verify()
	f.publish(newSigner(t, "k1", "RS256"), newSigner(t, "k2", "RS256"))
	verify() // an addition
	f.publish(newSigner(t, "k3", "RS256"))
	verify() // all replaced
	f.fail(status(500))
	verify()
	if len(seen) != 4 {
		t.Fatalf("%d fetches seen", len(seen))
	}
	for i, want := range []Fetch{{Keys: 1}, {Keys: 2}, {Keys: 1, Replaced: true}, {}} {
		got := seen[i]
		if got.Keys != want.Keys || got.Replaced != want.Replaced || (got.Err != nil) != (i == 3) || got.URL != f.url || got.TenantID != "tenant" {
			t.Errorf("%d: %+v", i, got)
		}
	}
	s, err := v.Status(t.Context(), f.source())
	if err != nil || len(s.Keys) != 1 || s.Keys[0].ID != "k3" || KindOf(s.Err) != Unreachable {
		t.Errorf("status %+v, %v", s, err)
	}
	if token := f.token(); strings.Contains(log.String(), strings.Split(token, ".")[1]) || !strings.Contains(log.String(), "replaced all of its keys") {
		t.Errorf("log: %s", log.String())
	}
}
