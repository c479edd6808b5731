// Package exchange is the operation that everything else here exists for: a
// client proves who it is, and gets an access token for a resource.
//
// It is one walk of five numbered steps, in Do, and knows no HTTP. What differs
// between the ways to prove an identity is an argument of that walk (proof.go),
// so that a new one can be added but can skip nothing. Explain takes the same
// walk and tells what each step compared, so that what people are told about a
// refusal is what happened.
//
// The order is the defence: a stranger's token makes one look into the
// database, and an issuer is asked for keys only after a credential that a
// person wrote has named it and the token is within its time.
package exchange

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/issuer"
	"github.com/entente-id/entente/internal/keys"
)

// Config is what an Exchange works with. The first four are required; the zero
// value of the others is the documented default.
type Config struct {
	Directory *directory.Directory
	Issuers   *issuer.Verifier
	Keys      *keys.Ring
	// IssuerURL is what the iss of tokens starts with: https://host, without a slash at the end.
	IssuerURL string
	// OwnAudiences are the service's own base URLs, which name its management surfaces as a resource.
	OwnAudiences []string
	// AnyResource gives tokens for every https:// and api:// resource, registered or not.
	AnyResource bool
	// Lifetime is how long tokens of applications last, IdentityLifetime those of managed identities; 0: one hour.
	Lifetime, IdentityLifetime time.Duration
	// Parallel is how many signatures are made at once; 0: GOMAXPROCS.
	Parallel int
	// Queue is how many requests may wait for that; more are refused at once. 0: 1024.
	Queue int
	// Clock tells the time; nil: time.Now.
	Clock func() time.Time
}

// Exchange exchanges proofs of identity for access tokens. It is safe for concurrent use.
type Exchange struct {
	Config
	own  map[string]bool // OwnAudiences, folded
	gate *gate
}

// New makes an Exchange.
func New(c Config) *Exchange {
	c.Lifetime, c.IdentityLifetime = cmp.Or(c.Lifetime, time.Hour), cmp.Or(c.IdentityLifetime, time.Hour)
	if c.Clock == nil {
		c.Clock = time.Now
	}
	x := &Exchange{Config: c, own: map[string]bool{}, gate: newGate(cmp.Or(c.Parallel, runtime.GOMAXPROCS(0)), cmp.Or(c.Queue, 1024))}
	for _, audience := range c.OwnAudiences {
		x.own[foldName(audience)] = true
	}
	return x
}

// Request is one request for a token.
type Request struct {
	Tenant   string // id or domain, in any case
	ClientID string
	// Assertion is a token of a trusted issuer, or one that the client signed
	// with a certificate's key; Secret is a client secret. Empty means absent
	// (RFC 6749 section 3.2); of both, the assertion counts.
	Assertion, Secret string
	Scope             string // RESOURCE/.default, and scopes that are passed over
	V1                bool   // the older endpoint: Resource instead of Scope
	Resource          string
	Capabilities      []string // of the client, for the token's xms_cc; usually none, or CP1
}

// The methods of Outcome.
const (
	ByAssertion   = "assertion"
	ByCertificate = "certificate"
	BySecret      = "secret"
)

// Outcome is what came of a request, as far as it got.
type Outcome struct {
	Token                          string
	TokenID                        string // its uti
	IssuedAt, NotBefore, ExpiresOn time.Time
	ExpiresIn                      int    // seconds
	Resource                       string // as it was asked for

	Tenant       directory.Tenant
	Client       directory.Client // with an unknown client only the ClientID, if it is a GUID
	Method       string           // ByAssertion, ByCertificate, BySecret or empty
	CredentialID string           // the credential or certificate that matched
	Assertion    issuer.Peeked    // verified only if there is a Token
}

// Do exchanges. Refusals are *Error; any other error means that the request
// could not be judged. The outcome is filled as far as it got in both cases.
func (x *Exchange) Do(ctx context.Context, req Request) (Outcome, error) {
	w := x.walk(req)
	err := w.steps(ctx)
	return w.out, err
}

// A walk is one exchange under way.
type walk struct {
	*Exchange
	req   Request
	proof proof
	now   time.Time
	dry   bool // stop before the signature

	at       step            // the step that is being taken
	match    directory.Match // of step 2
	resource resource        // of step 4
	claims   claims          // of step 4
	out      Outcome
}

func (x *Exchange) walk(req Request) *walk {
	w := &walk{Exchange: x, req: req, now: x.Clock().UTC()}
	switch {
	case req.Assertion != "":
		w.proof, w.out.Method = &assertion{walk: w}, ByAssertion
	case req.Secret != "":
		w.proof, w.out.Method = &secret{walk: w}, BySecret
	default:
		w.proof = none{w}
	}
	if directory.IsID(req.ClientID) {
		w.out.Client.ClientID = req.ClientID
	}
	return w
}

// step numbers the steps of an exchange.
type step int

const (
	peekStep step = iota + 1
	matchStep
	verifyStep
	decideStep
	signStep
)

// steps is the exchange.
func (w *walk) steps(ctx context.Context) error {
	if w.gate.full() {
		return w.overloaded()
	}

	// 1. Peek at what the client presents, without believing any of it. What is
	// wrong with it is told after the tenant and the client, as Entra does.
	w.at = peekStep
	turnedOut, unreadable := w.proof.peek(ctx)
	w.proof = turnedOut

	// 2. Match: one look into the directory as it is in this moment finds the
	// tenant, the client and the one credential that trusts this issuer,
	// subject and audience, or the certificate. Without one, nothing has been
	// fetched and nothing will be.
	w.at = matchStep
	if err := w.find(ctx); err != nil {
		return err
	}
	if unreadable != nil {
		w.at = peekStep
		return unreadable
	}
	if err := w.proof.matched(); err != nil {
		return err
	}

	// 3. Verify the proof: the time first, then the signature by the keys of the
	// registered issuer, or by the certificate's. From here on what is used was signed.
	w.at = verifyStep
	if err := w.proof.verify(ctx); err != nil {
		return err
	}

	// 4. Decide what the token says: resource, roles, version, lifetime.
	w.at = decideStep
	if err := w.decide(ctx); err != nil {
		return err
	}

	// 5. Sign. A proof that counts once is used up by a token that is there, so
	// that a client which was told to come back can come back with it.
	w.at = signStep
	var token string
	if !w.dry {
		var err error
		if token, err = w.sign(ctx); err != nil {
			return err
		}
	}
	if err := w.proof.spend(ctx); err != nil {
		return err
	}
	if !w.dry {
		w.out.Token, w.out.TokenID = token, w.claims.TokenID
	}
	return nil
}

// find looks the tenant and the client up, and says what is wrong with them in Entra's order.
func (w *walk) find(ctx context.Context) (err error) {
	if err := checkTenant(w.req.Tenant); err != nil {
		return err
	}
	clientID := w.req.ClientID
	if !directory.IsID(clientID) {
		clientID = "" // nobody's
	}
	if w.match, err = w.proof.find(ctx, clientID); err != nil {
		return fmt.Errorf("match client: %w", err)
	}
	m := w.match
	if m.Tenant.ID == "" {
		return missingTenant(w.req.Tenant)
	}
	w.out.Tenant = m.Tenant
	if err := w.checkParameters(); err != nil {
		return err
	}
	switch {
	case m.Orphan:
		return w.refuse(PrincipalNotFound)
	case m.Client.PrincipalID == "":
		return w.refuse(ClientNotFound)
	}
	w.out.Client = m.Client
	if !m.Client.Enabled {
		return w.refuse(ClientDisabled)
	}
	return nil
}

func (w *walk) checkParameters() error {
	required := []struct{ name, value string }{{"client_id", w.req.ClientID}, {"scope", w.req.Scope}}
	if w.req.V1 {
		required[1].name, required[1].value = "resource", w.req.Resource
	}
	for _, p := range required {
		if p.value == "" {
			e := w.refuse(ParameterMissing)
			e.Parameter = p.name
			return e
		}
	}
	return nil
}

// sign makes the token. It is nearly the whole cost of an exchange, and the one
// place where requests wait for each other: a fetch in step 3 may take seconds
// and must not hold up others.
func (w *walk) sign(ctx context.Context) (string, error) {
	if err := w.gate.enter(ctx); err != nil {
		if errors.Is(err, errFull) {
			return "", w.overloaded()
		}
		return "", fmt.Errorf("wait for a signature: %w", err)
	}
	defer w.gate.leave()
	token, err := w.Keys.Sign(ctx, w.out.Tenant.ID, &w.claims, w.claims.Version == "1.0")
	if errors.Is(err, keys.ErrNoKey) { // a tenant that another replica has just made
		if err = w.Keys.EnsureTenant(ctx, w.out.Tenant.ID); err == nil {
			token, err = w.Keys.Sign(ctx, w.out.Tenant.ID, &w.claims, w.claims.Version == "1.0")
		}
	}
	return token, err
}

// refuse makes an error that knows what is known so far.
func (w *walk) refuse(reason Reason) *Error {
	e := &Error{
		Reason: reason, Tenant: w.req.Tenant, TenantID: w.match.Tenant.ID, TenantName: cmp.Or(w.match.Tenant.DisplayName, w.match.Tenant.ID),
		ClientID: w.req.ClientID, ClientName: w.match.Client.DisplayName, Now: w.now,
	}
	if p := w.out.Assertion; p.Issuer != "" {
		e.Issuer, e.Subject, e.Audiences, e.KeyID, e.Algorithm, e.NotBefore, e.Expiry = p.Issuer, p.Subject, p.Audiences, p.KeyID, p.Algorithm, p.NotBefore, p.Expiry
	}
	return e
}

func (w *walk) because(reason Reason, err error) *Error {
	e := w.refuse(reason)
	e.Err = err
	return e
}

func (w *walk) overloaded() *Error {
	e := w.refuse(Overloaded)
	e.RetryAfter = time.Second
	return e
}
