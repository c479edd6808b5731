package issuer

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// The life of an entry in the cache.
const (
	maxPause   = time.Minute      // between two fetches, however often they failed
	inUse      = time.Hour        // since the last token: its keys are renewed before they expire
	ahead      = time.Minute      // how long before
	tendEvery  = 15 * time.Second // how often that is looked at
	pruneEvery = time.Hour        // how often keys that nobody may use any more are deleted
)

// An entryKey names one version of one issuer of one tenant, so that neither
// two tenants nor two issuers can meet in the cache, even if they use the same
// key ids.
type entryKey struct {
	tenantID, id, url string
	revision          int64
}

// An entry holds the keys of one issuer.
type entry struct {
	src Source

	mu       sync.Mutex
	used     time.Time
	loaded   bool    // the database has been asked
	good     *keySet // the last keys that were read; nil: none yet
	running  *flight // the fetch that runs; nil: none
	last     *flight // the fetch that ended last; nil: none yet
	failures int     // how many fetches have failed in a row
}

// A flight is one fetch, and what everybody who waits for it gets.
type flight struct {
	turn uint64
	done chan struct{} // closed at the end; what follows is set by then

	ended time.Time
	keys  *keySet
	err   error
}

// entry returns the entry of a source. A new version of an issuer drops the older ones.
func (v *Verifier) entry(src Source) *entry {
	key := entryKey{src.TenantID, src.ID, src.URL, src.Revision}
	v.mu.Lock()
	defer v.mu.Unlock()
	if e := v.entries[key]; e != nil {
		return e
	}
	for other := range v.entries {
		if src.ID != "" && other.tenantID == src.TenantID && other.id == src.ID && other.revision < src.Revision {
			delete(v.entries, other)
		}
	}
	e := &entry{src: src, used: v.now()}
	v.entries[key] = e
	return e
}

// fresh keys are used without asking. Keys from the future are not fresh: the clock was set back.
func (s *keySet) fresh(now time.Time) bool {
	return s != nil && !now.Before(s.fetchedAt) && now.Before(s.freshUntil)
}

// usable keys are used while the issuer cannot be asked.
func (s *keySet) usable(now time.Time) bool {
	return s != nil && now.Before(s.fetchedAt.Add(maxStale))
}

// current returns the keys that count now: fresh ones at once; expired ones
// only when the issuer could not be asked for newer ones, and without waiting
// for an issuer that has failed before.
func (v *Verifier) current(ctx context.Context, src Source) (*entry, *keySet, error) {
	e := v.entry(src)
	e.mu.Lock()
	now := v.now()
	e.used = now
	if src.Kind == Uploaded {
		defer e.mu.Unlock()
		keys, err := e.upload(src)
		return e, keys, err
	}
	v.load(ctx, e)
	keys, down := e.good, e.last != nil && e.last.err != nil
	if down && keys.usable(now) && !keys.fresh(now) && e.running == nil && v.pause(e) == 0 {
		v.start(e)
	}
	e.mu.Unlock()
	if keys.fresh(now) || down && keys.usable(now) {
		return e, keys, nil
	}
	renewed, err := v.renew(ctx, e, keys)
	if err != nil && keys.usable(now) {
		return e, keys, nil
	}
	return e, renewed, err
}

// upload reads an uploaded key set, once for each text.
func (e *entry) upload(src Source) (*keySet, error) {
	if e.good == nil || !bytes.Equal(e.good.document, src.KeySet) {
		var r Report
		if err := r.parse(src.KeySet); err != nil {
			return nil, err
		}
		e.good = &keySet{keys: r.Keys, problems: r.Problems, document: bytes.Clone(src.KeySet)}
	}
	return e.good, nil
}

// renew asks the issuer for its keys, together with everybody else who wants
// others than those that they have seen. It is an error to want them too soon
// after the last time, but not for those who saw what was there before it.
func (v *Verifier) renew(ctx context.Context, e *entry, seen *keySet) (*keySet, error) {
	e.mu.Lock()
	f := e.running
	if f == nil {
		if pause := v.pause(e); pause > 0 {
			defer e.mu.Unlock()
			if e.last.err == nil && e.good != seen {
				return e.good, nil
			}
			return nil, e.last.tooSoon(pause)
		}
		f = v.start(e)
	}
	e.mu.Unlock()
	select {
	case <-f.done:
		return f.keys, f.err
	case <-ctx.Done():
		return nil, &Error{Kind: Unreachable, Detail: "the request ended while the issuer was being asked", Err: ctx.Err()}
	}
}

// tooSoon is the answer to who wants another fetch before the pause is over:
// the fault of the last one, or doubt.
func (f *flight) tooSoon(pause time.Duration) *Error {
	if e, ok := errors.AsType[*Error](f.err); ok {
		again := *e
		again.RetryAfter = pause
		return &again
	}
	return &Error{Kind: InDoubt, Detail: "the key is not known and the issuer was asked just before", RetryAfter: pause}
}

// pause is how long the issuer may not be asked yet: the cool-down, doubled by
// each failure after the first, so that issuers that hang do not hold the
// slots of the others. e.mu is held.
func (v *Verifier) pause(e *entry) time.Duration {
	if e.last == nil {
		return 0
	}
	pause := v.coolDown
	for n := 1; n < e.failures && pause < maxPause; n++ {
		pause = min(2*pause, maxPause)
	}
	since := v.now().Sub(e.last.ended)
	if since < 0 { // the clock was set back
		return 0
	}
	return max(0, pause-since)
}

// start begins a fetch. e.mu is held and no fetch runs.
func (v *Verifier) start(e *entry) *flight {
	f := &flight{turn: v.turn.Add(1), done: make(chan struct{})}
	e.running = f
	go v.fly(e, f)
	return f
}

// fly is one fetch. No request owns it, so none can end it for the others; its bounds are those of ask.
func (v *Verifier) fly(e *entry, f *flight) {
	started := v.now()
	report, err := v.ask(context.Background(), e.src)
	if err == nil {
		f.keys = &keySet{
			keys: report.Keys, problems: report.Problems, document: report.document, uri: report.JWKSURI,
			fetchedAt: started, freshUntil: started.Add(report.Lifetime), turn: f.turn,
		}
		v.store(e.src, f.keys)
	}
	f.err, f.ended = err, v.now()

	e.mu.Lock()
	before := e.good
	e.running, e.last = nil, f
	switch {
	case err == nil:
		e.failures, e.good = 0, f.keys
	case !errors.Is(err, errBusy): // which is no fault of this issuer
		e.failures++
	}
	e.mu.Unlock()

	fetch := Fetch{
		TenantID: e.src.TenantID, IssuerID: e.src.ID, URL: e.src.URL,
		Took: f.ended.Sub(started), Keys: len(report.Keys), Replaced: err == nil && before.replacedBy(f.keys), Err: err,
	}
	log := v.log.With("tenant", fetch.TenantID, "issuer", fetch.URL)
	switch {
	case err != nil:
		log.Warn("issuer cannot be asked for its keys", "reason", string(KindOf(err)), "error", err)
	case fetch.Replaced:
		log.Warn("issuer has replaced all of its keys at once", "keys", fetch.Keys)
	default:
		log.Debug("issuer keys read", "keys", fetch.Keys, "left_out", len(report.Problems))
	}
	v.fetched(fetch)
	close(f.done)
}

// replacedBy says whether there were keys and none of them is in the next set:
// what a rotation without overlap looks like, and the take-over of a name.
func (s *keySet) replacedBy(next *keySet) bool {
	return s != nil && len(s.keys) > 0 && !slices.ContainsFunc(s.keys, func(k Key) bool {
		return slices.ContainsFunc(next.keys, k.samePublic)
	})
}

// Status is what is known about the keys of an issuer.
type Status struct {
	Keys                  []Key
	Problems              []KeyProblem
	FetchedAt, FreshUntil time.Time // zero: never, or uploaded
	Err                   error     // of the last fetch by this process, if it failed; *Error
}

// Status tells what is known about an issuer without asking it.
func (v *Verifier) Status(ctx context.Context, src Source) (Status, error) {
	e := v.entry(src)
	e.mu.Lock()
	defer e.mu.Unlock()
	if src.Kind == Uploaded {
		if _, err := e.upload(src); err != nil {
			return Status{}, err
		}
	} else {
		v.load(ctx, e)
	}
	var s Status
	if keys := e.good; keys != nil {
		s = Status{Keys: slices.Clone(keys.keys), Problems: slices.Clone(keys.problems), FetchedAt: keys.fetchedAt, FreshUntil: keys.freshUntil}
	}
	if e.last != nil {
		s.Err = e.last.err
	}
	return s, nil
}

// Run renews the keys of issuers in use shortly before they expire, so that
// tokens seldom wait for a fetch, and forgets those of issuers that nobody uses.
// It returns nil when ctx ends.
func (v *Verifier) Run(ctx context.Context) error {
	ticker := time.NewTicker(tendEvery)
	defer ticker.Stop()
	var pruned time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		v.tend()
		if now := v.now(); now.Sub(pruned) >= pruneEvery {
			pruned = now
			v.prune(ctx)
		}
	}
}

// tend looks at every entry once.
func (v *Verifier) tend() {
	v.mu.Lock()
	entries := maps.Clone(v.entries)
	v.mu.Unlock()
	now := v.now()
	for key, e := range entries {
		e.mu.Lock()
		idle := now.Sub(e.used)
		due := e.src.Kind != Uploaded && e.good != nil && !now.Before(e.good.freshUntil.Add(-ahead))
		if idle < inUse && due && e.running == nil && v.pause(e) == 0 {
			v.start(e)
		}
		forget := idle >= maxStale && e.running == nil
		e.mu.Unlock()
		if forget {
			v.mu.Lock()
			delete(v.entries, key)
			v.mu.Unlock()
		}
	}
}
