// Package issuer is outbound trust: it finds the keys of registered issuers and
// says whether a token was signed by one of them.
//
// It is our own because no library keeps all of these promises at once. Only
// an issuer that an administrator registered is ever asked, and only at an
// address that the operator permits (transport.go). A token is read in one
// strict way (peek.go), and a key set key by key (keyset.go). Keys have
// a lifetime, so that a withdrawn key stops counting; an issuer that is down is
// answered for from its last good keys, across restarts too; and no stream of
// tokens, whatever their key ids, makes more than one request per issuer and
// cool-down (cache.go).
package issuer

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/entente-id/entente/internal/db"
)

// Config is what a Verifier needs. Every zero value is the documented default.
type Config struct {
	DB       *db.DB           // keeps the last good keys; nil: they are kept in memory only
	Allow    []string         // addresses, CIDRs or host names that may be asked although private (--issuer-allow)
	RootCAs  *x509.CertPool   // certificates that issuers are checked against, besides their own; nil: the system's
	Clock    func() time.Time // nil: time.Now
	Log      *slog.Logger     // nil: slog.Default()
	CoolDown time.Duration    // between two fetches from one issuer; 0: 5 s
	Fetched  func(Fetch)      // told about every fetch, from several goroutines; nil: nobody
}

// A Fetch is one attempt to get the keys of an issuer.
type Fetch struct {
	TenantID, IssuerID, URL string
	Took                    time.Duration
	Keys                    int   // how many can be used
	Replaced                bool  // none of the keys that were known before is there any more
	Err                     error // *Error; nil: the keys are now those that count
}

// A Verifier verifies tokens of registered issuers. It is safe for concurrent use.
type Verifier struct {
	db       *db.DB
	guard    *guard
	roots    *x509.CertPool
	resolver *net.Resolver // nil: the system's
	now      func() time.Time
	log      *slog.Logger
	coolDown time.Duration
	fetched  func(Fetch)
	patience time.Duration // of one fetch

	slots  chan struct{} // one for each fetch that runs
	shares sync.Map      // of the slots: chan struct{} by tenant
	turn   atomic.Uint64 // orders requests and fetches, without a clock

	mu      sync.Mutex
	entries map[entryKey]*entry
}

// maxFetches is how many issuers may be asked at one time, and maxShare how
// many of one tenant: whoever registers issuers that hang holds up nobody but
// their own tenant.
const (
	maxFetches = 16
	maxShare   = 8
)

// New makes a Verifier. It fails when an entry of Allow cannot be read.
func New(c Config) (*Verifier, error) {
	g, err := newGuard(c.Allow)
	if err != nil {
		return nil, fmt.Errorf("issuer allow-list: %w", err)
	}
	v := &Verifier{
		db: c.DB, guard: g, roots: c.RootCAs, now: c.Clock, log: c.Log, coolDown: c.CoolDown, fetched: c.Fetched,
		patience: fetchTime,
		slots:    make(chan struct{}, maxFetches),
		entries:  make(map[entryKey]*entry),
	}
	if v.roots == nil {
		if v.roots, err = x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("system certificates: %w", err)
		}
	}
	if v.now == nil {
		v.now = time.Now
	}
	if v.log == nil {
		v.log = slog.Default()
	}
	if v.coolDown == 0 {
		v.coolDown = 5 * time.Second
	}
	if v.fetched == nil {
		v.fetched = func(Fetch) {}
	}
	return v, nil
}

// Verify checks that token is a token of the issuer src, signed with one of its
// keys, and returns what it says, of the bytes that were signed. It does not judge the subject, the audience
// or the time window, which the caller has done before anything was fetched;
// but a token without exp is refused. Errors are *Error.
func (v *Verifier) Verify(ctx context.Context, src Source, token *Token) (Peeked, error) {
	p := token.Says()
	err := v.verify(ctx, src, token.parts, p)
	if e, ok := errors.AsType[*Error](err); ok {
		about := *e // an error may be shared by several requests
		about.Issuer, about.KeyID, about.Algorithm = src.URL, p.KeyID, p.Algorithm
		return Peeked{}, &about
	}
	if err != nil {
		return Peeked{}, err
	}
	return p, nil
}

// verify is Verify in its order.
func (v *Verifier) verify(ctx context.Context, src Source, token parts, p Peeked) error {
	turn := v.turn.Add(1)

	// 1. What Read let through, or a Token that it has not made.
	if p.Issuer == "" {
		return malformed(errors.New("the token was not read"))
	}
	if p.Expiry.IsZero() {
		return malformed(errors.New(`payload: "exp" is missing`))
	}

	// 2. The issuer that was registered, and an algorithm that it may use.
	if p.Issuer != src.URL {
		return &Error{Kind: IssuerMismatch, Detail: "the token is of another issuer"}
	}
	if !src.allows(p.Algorithm) {
		return &Error{Kind: AlgorithmNotAllowed, Detail: fmt.Sprintf("algorithm %.80q is not allowed", p.Algorithm)}
	}

	// 3. The keys that count now.
	e, keys, err := v.current(ctx, src)
	if err != nil {
		return err
	}
	err = keys.judge(token, p)
	if src.Kind == Uploaded || keys.turn > turn || !newerKeysMayHelp(err, p) {
		return err
	}

	// 4. Newer keys, if it is not too soon to ask.
	if keys, err = v.renew(ctx, e, keys); err != nil {
		return err
	}
	err = keys.judge(token, p)
	if err != nil && keys.turn < turn && newerKeysMayHelp(err, p) {
		// That fetch had begun before this request came: the key may be newer still.
		return &Error{Kind: InDoubt, Detail: "the issuer was asked just before the token came", Err: err, RetryAfter: v.coolDown}
	}
	return err
}

// allows says whether tokens of the issuer may be signed with alg.
func (s Source) allows(alg string) bool {
	_, known := algorithms[alg]
	return known && slices.Contains(s.Accepts(), alg)
}

// Accepts are the algorithms that tokens of the issuer may be signed with.
func (s Source) Accepts() []string {
	if len(s.Algorithms) == 0 {
		return []string{DefaultAlgorithm}
	}
	return s.Algorithms
}

// Usable are those of some keys that fit an algorithm of Accepts.
func (s Source) Usable(keys []Key) []Key {
	return slices.DeleteFunc(slices.Clone(keys), func(k Key) bool {
		return !slices.ContainsFunc(s.Accepts(), func(alg string) bool { return k.fits(alg) == nil })
	})
}

// judge says whether one of the keys signed the token.
func (s *keySet) judge(token parts, p Peeked) error {
	key, err := s.choose(p.KeyID, p.Algorithm)
	if err != nil {
		return err
	}
	return key.verify(token, p.Algorithm)
}

// newerKeysMayHelp says whether a refused token may be good by keys that are not
// known yet. A bad signature by a key that the token names is final; where the
// token names none, the issuer's only key may have been replaced.
func newerKeysMayHelp(err error, p Peeked) bool {
	kind := KindOf(err)
	return kind == KeyNotFound || kind == BadSignature && p.KeyID == ""
}

// Check asks an issuer for what it publishes, past every cache and cool-down
// but within the same bounds, and stores nothing. With an error, the report
// holds what had been read by then.
func (v *Verifier) Check(ctx context.Context, src Source) (Report, error) {
	report, err := v.ask(ctx, src)
	if e, ok := errors.AsType[*Error](err); ok {
		e.Issuer = src.URL
	}
	return report, err
}

var errBusy = errors.New("too many other issuers are being asked")

// ask reads the keys of an issuer when there is a free slot.
func (v *Verifier) ask(ctx context.Context, src Source) (r Report, err error) {
	if src.Kind == Uploaded {
		err = r.parse(src.KeySet)
		return r, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*v.patience)
	defer cancel()
	for _, slots := range []chan struct{}{v.share(src.TenantID), v.slots} {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		case <-ctx.Done():
			return r, &Error{Kind: InDoubt, Detail: "its keys could not be asked for yet", Err: errBusy, RetryAfter: v.coolDown}
		}
	}
	return v.read(ctx, src)
}

// share is what of the slots a tenant may take.
func (v *Verifier) share(tenantID string) chan struct{} {
	slots, _ := v.shares.LoadOrStore(tenantID, make(chan struct{}, maxShare))
	return slots.(chan struct{})
}
