package proxy

import (
	"cmp"
	"container/list"
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	maxTokens = 256              // kept at once
	maxBytes  = 1 << 20          // of all of them
	scraps    = 30 * time.Second // a token with less left is given to nobody
	maxPause  = 30 * time.Second

	exchangeTimeout = 20 * time.Second
	sideBySide      = 4   // exchanges of one client at a time
	maxPending      = 64  // exchanges of one client that run or wait
	maxPendingAll   = 256 // and of all
	longestWait     = 30 * time.Second
	renewalAgain    = 30 * time.Second
)

// Tokens keeps the tokens that were given out and gets new ones: one request at a
// time for a client and a resource, and a few for a client, so that one identity
// whose exchanges hang does not hold up the others.
//
// A token that was asked for is renewed when between half and seven tenths of
// its life have passed, the exact moment being random. Then SDKs, which ask shortly
// before the end of what they hold, find one that lasts, and an authority that is
// away for a while is not noticed. What nobody asked for since the last renewal is
// not renewed again.
//
// Refusals are not remembered: a credential that is added counts at once. Where the
// authority is overloaded or away, the next request for the same client and resource is
// answered without asking it, for the few seconds that were in the Retry-After.
type Tokens struct {
	Exchange func(ctx context.Context, clientID, resource string) (issued, *refusal)
	Changed  func() bool      // whether the service account token has changed since the last call; nil: never
	Clock    func() time.Time // required
	Log      *slog.Logger     // required

	mu      sync.Mutex
	entries map[key]*list.Element
	recent  list.List // of *entry, the last used one first
	bytes   int
	lanes   map[string]*lane // by client
	pending int
}

// issued is a token that was just given to us.
type issued struct {
	token   string
	at      time.Time // when it was asked for
	expires time.Time
}

type key struct{ client, resource string }

type entry struct {
	key
	clientID string // as it was asked for
	issued
	renewAt time.Time
	asked   bool // since it was renewed
	failed  bool // the last renewal

	flight      *flight
	failures    int // without an answer that would count, in a row
	refusal     *refusal
	pausedUntil time.Time
}

// flight is an exchange on its way. Its results may be read when done is closed.
type flight struct {
	done    chan struct{}
	asked   bool // somebody waits for it
	grant   grant
	refusal *refusal
}

// lane is what one client may have on its way.
type lane struct {
	slots   chan struct{}
	pending int
}

func (e *entry) size() int { return len(e.token) + len(e.resource) + len(e.client) }

// lasts tells whether the token has more left than d.
func (e *entry) lasts(d time.Duration, now time.Time) bool {
	return e.token != "" && e.expires.Sub(now) > d
}

// margin is what a token has to have left to be given out without a thought.
func (e *entry) margin() time.Duration {
	return min(10*time.Minute, e.expires.Sub(e.at)/4)
}

func (e *entry) grant() grant {
	return grant{token: e.token, notBefore: e.at, expires: e.expires, clientID: e.clientID, resource: e.resource}
}

// Get returns a token, from memory if it can.
func (t *Tokens) Get(ctx context.Context, clientID, resource string) (grant, *refusal) {
	t.mu.Lock()
	now := t.Clock()
	e := t.entry(key{strings.ToLower(clientID), resource}, clientID)
	if e.lasts(e.margin(), now) {
		e.asked = true
		g := e.grant()
		if e.flight == nil && !now.Before(e.renewAt) {
			t.start(e, false) // if there is no room, the next request does it
		}
		t.mu.Unlock()
		return g, nil
	}
	var old grant
	if e.lasts(scraps, now) {
		old = e.grant()
	}
	bad := t.ensure(e, now)
	f := e.flight
	if bad == nil {
		f.asked = true
	}
	t.mu.Unlock()
	if bad == nil {
		select {
		case <-f.done:
			bad = f.refusal
		case <-ctx.Done():
			bad = &refusal{status: http.StatusServiceUnavailable, code: "temporarily_unavailable", description: "the request was given up before there was an answer", retryAfter: time.Second}
		}
	}
	switch {
	case bad == nil:
		return f.grant, nil
	case bad.passing() && old.token != "":
		return old, nil
	}
	return grant{}, bad
}

// ensure sees to it that an exchange is on its way, or says why there is none.
func (t *Tokens) ensure(e *entry, now time.Time) *refusal {
	if e.flight != nil {
		return nil
	}
	if left := e.pausedUntil.Sub(now); left > 0 && e.refusal != nil {
		again := *e.refusal
		again.retryAfter = left
		return &again
	}
	if !t.start(e, true) {
		return &refusal{status: http.StatusTooManyRequests, code: "too_many_requests", description: "too many tokens are asked for at once", retryAfter: time.Second}
	}
	return nil
}

// entry finds or makes the place of a token, and makes it the last used one.
func (t *Tokens) entry(k key, clientID string) *entry {
	if t.entries == nil {
		t.entries, t.lanes = map[key]*list.Element{}, map[string]*lane{}
	}
	if place, ok := t.entries[k]; ok {
		t.recent.MoveToFront(place)
		return place.Value.(*entry)
	}
	e := &entry{key: k, clientID: clientID}
	t.entries[k] = t.recent.PushFront(e)
	t.bytes += e.size()
	t.shrink()
	return e
}

// shrink forgets the tokens that were used least recently. What is on its way stays.
func (t *Tokens) shrink() {
	for place := t.recent.Back(); place != nil && place != t.recent.Front() && (len(t.entries) > maxTokens || t.bytes > maxBytes); {
		before := place.Prev()
		if place.Value.(*entry).flight == nil {
			t.forget(place)
		}
		place = before
	}
}

func (t *Tokens) forget(place *list.Element) {
	e := t.recent.Remove(place).(*entry)
	delete(t.entries, e.key)
	t.bytes -= e.size()
}

// start begins an exchange, if there is room.
func (t *Tokens) start(e *entry, asked bool) bool {
	l := t.lanes[e.client]
	if l == nil {
		l = &lane{slots: make(chan struct{}, sideBySide)}
	}
	if l.pending >= maxPending || t.pending >= maxPendingAll {
		return false
	}
	t.lanes[e.client] = l
	l.pending++
	t.pending++
	e.flight = &flight{done: make(chan struct{}), asked: asked}
	go t.fly(e, e.flight, l)
	return true
}

// fly is an exchange. It belongs to nobody who asked, and ends by itself.
func (t *Tokens) fly(e *entry, f *flight, l *lane) {
	ctx, cancel := context.WithTimeout(context.Background(), exchangeTimeout)
	defer cancel()
	var got issued
	var bad *refusal
	select {
	case l.slots <- struct{}{}:
		got, bad = t.Exchange(ctx, e.clientID, e.resource)
		<-l.slots
	case <-ctx.Done():
		bad = &refusal{status: http.StatusServiceUnavailable, code: "temporarily_unavailable", description: "the exchanges before this one take too long"}
	}

	t.mu.Lock()
	defer t.mu.Unlock()
	e.flight = nil
	t.pending--
	if l.pending--; l.pending == 0 {
		delete(t.lanes, e.client)
	}
	if bad != nil {
		t.refused(e, bad)
	} else {
		t.bytes -= e.size()
		life := got.expires.Sub(got.at)
		e.issued = got
		e.renewAt = got.at.Add(life/2 + rand.N(max(life/5, 1)))
		e.asked, e.failed, e.failures, e.refusal, e.pausedUntil = f.asked, false, 0, nil, time.Time{}
		t.bytes += e.size()
		t.shrink()
		f.grant = e.grant()
		t.Log.Info("exchanged", "client", cut(e.clientID, 100), "resource", cut(e.resource, 200), "expires", got.expires.UTC().Format(time.RFC3339), "took", t.Clock().Sub(got.at).Round(time.Millisecond).String())
	}
	f.refusal = bad
	close(f.done)
}

func (t *Tokens) refused(e *entry, bad *refusal) {
	now := t.Clock()
	e.failed = true
	e.renewAt = now.Add(renewalAgain + rand.N(renewalAgain))
	if bad.passing() {
		// The pauses grow from one second to eight, which is what SDKs wait.
		bad.retryAfter = min(cmp.Or(bad.retryAfter, time.Second<<min(e.failures, 3)), maxPause)
		e.failures++
		e.refusal, e.pausedUntil = bad, now.Add(bad.retryAfter)
	} else {
		e.failures, e.refusal, e.pausedUntil = 0, nil, time.Time{}
	}
	t.Log.Warn("not exchanged", "client", cut(e.clientID, 100), "resource", cut(e.resource, 200), "status", bad.status, "error", bad.code, "reason", cut(bad.description, 1000), "retry_after", bad.retryAfter.String())
}

// Run renews the tokens that are in use and drops those that have ended, until ctx does.
func (t *Tokens) Run(ctx context.Context) {
	for {
		timer := time.NewTimer(t.renew())
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// renew begins what is due and returns when to look again.
func (t *Tokens) renew() time.Duration {
	changed := t.Changed != nil && t.Changed()
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.Clock()
	wait := longestWait
	for place := t.recent.Front(); place != nil; {
		next := place.Next()
		e := place.Value.(*entry)
		switch {
		case e.flight != nil:
		case !e.lasts(0, now):
			if !e.pausedUntil.After(now) {
				t.forget(place)
			}
		case e.asked:
			if changed && e.failed {
				e.renewAt = now
			}
			if now.Before(e.renewAt) {
				wait = min(wait, e.renewAt.Sub(now))
			} else {
				t.start(e, false)
			}
		}
		place = next
	}
	return max(wait, time.Second)
}
