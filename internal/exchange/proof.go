package exchange

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/issuer"
)

// skew is how far the clocks of issuers may be from ours.
const skew = 5 * time.Minute

// A proof is how a client says who it is: its own part of steps 1 to 3, and of
// 5 when it counts once. Refusals are *Error.
type proof interface {
	// peek reads what is presented, and says which proof that turned out to be. It asks nobody.
	peek(ctx context.Context) (proof, error)
	// find looks up the tenant, the client and what it may prove itself with.
	find(ctx context.Context, clientID string) (directory.Match, error)
	// matched says whether what was found is for what is presented.
	matched() error
	// verify checks the proof.
	verify(ctx context.Context) error
	// spend uses up a proof that counts once, and refuses one that was used up
	// before. On a dry walk it only refuses.
	spend(ctx context.Context) error
}

// An assertion is a token of a trusted issuer (RFC 7523 section 2.2).
type assertion struct {
	*walk
	token *issuer.Token // nil: it cannot be read, or is none that could count
}

func (a *assertion) peek(ctx context.Context) (proof, error) {
	token, err := issuer.Read(a.req.Assertion)
	if err != nil {
		return a, a.because(AssertionMalformed, err)
	}
	peeked := token.Says()
	a.out.Assertion = peeked
	switch {
	case strings.ContainsRune(peeked.Issuer+peeked.Subject, 0): // no database holds it, and PostgreSQL does not even look for it
		return a, a.because(AssertionMalformed, errors.New("NUL in iss or sub"))
	case peeked.Expiry.IsZero():
		return a, a.because(AssertionMalformed, errors.New("exp is missing"))
	case strings.EqualFold(peeked.Issuer, a.req.ClientID): // it signed the token itself
		a.out.Method = ByCertificate
		return (&certificate{walk: a.walk, token: token}).peek(ctx)
	case a.Keys.Ours(ctx, peeked.KeyID, a.req.Assertion):
		// Told by the signature and not by iss, which says whatever its writer
		// wants: else a token for one application would be a proof for another.
		return a, a.refuse(OwnToken)
	}
	a.token = token
	return a, nil
}

func (a *assertion) find(ctx context.Context, clientID string) (directory.Match, error) {
	if a.token == nil {
		return a.Directory.MatchClient(ctx, a.req.Tenant, clientID)
	}
	return a.Directory.MatchCredential(ctx, a.req.Tenant, clientID, claimed(a.out.Assertion))
}

func claimed(p issuer.Peeked) credential.Assertion {
	return credential.Assertion{Issuer: p.Issuer, Subject: p.Subject, Audiences: p.Audiences}
}

func (a *assertion) matched() error {
	switch a.match.Miss {
	case credential.Hit:
		a.out.CredentialID = a.match.Credential.ID
		return nil
	case credential.NoCredential:
		return a.refuse(NoCredential)
	case credential.IssuerMiss:
		return a.refuse(IssuerMiss)
	case credential.SubjectMiss:
		return a.refuse(SubjectMiss)
	case credential.SubjectCaseMiss:
		return a.refuse(SubjectCaseMiss)
	case credential.AudienceMiss:
		return a.refuse(AudienceMiss)
	}
	return fmt.Errorf("match credential: unknown miss %q", a.match.Miss)
}

func (a *assertion) verify(ctx context.Context) error {
	if err := a.inTime(); err != nil {
		return err
	}
	verified, err := a.Issuers.Verify(ctx, Source(a.match.Issuer), a.token)
	if err != nil {
		return a.unverified(err)
	}
	// What was matched was read before the signature was checked. It was read
	// from the same bytes, once; should that ever change, this refuses.
	a.out.Assertion = verified
	if _, miss := credential.Match([]credential.Trust{a.match.Credential.Trust()}, claimed(verified), a.match.Issuer.ManyAudiences); miss != credential.Hit {
		return a.because(AssertionMalformed, fmt.Errorf("the verified claims miss the credential: %s", miss))
	}
	return a.inTime()
}

// inTime judges exp and nbf (RFC 7519 sections 4.1.4 and 4.1.5).
func (w *walk) inTime() error {
	p := w.out.Assertion
	switch {
	case !w.now.Before(p.Expiry.Add(skew)):
		return w.refuse(AssertionExpired)
	case w.now.Before(p.NotBefore.Add(-skew)):
		return w.refuse(AssertionEarly)
	}
	return nil
}

// spend lets a trusted issuer's token be used again: Entra does, and a pod has one for all who ask.
func (a *assertion) spend(context.Context) error { return nil }

// unverified turns an error of the issuer room into a refusal.
func (w *walk) unverified(err error) error {
	e, ok := errors.AsType[*issuer.Error](err)
	if !ok {
		return fmt.Errorf("verify assertion: %w", err)
	}
	reason, known := map[issuer.ErrKind]Reason{
		issuer.Malformed:           AssertionMalformed,
		issuer.AlgorithmNotAllowed: AlgorithmNotAllowed,
		issuer.KeyNotFound:         KeyNotFound,
		issuer.KeyUnsuitable:       KeyUnsuitable,
		issuer.BadSignature:        BadSignature,
		issuer.Unreachable:         IssuerUnreachable,
		issuer.AddressRefused:      IssuerAddressRefused,
		issuer.InvalidDocument:     IssuerInvalid,
		issuer.IssuerMismatch:      IssuerInvalid,
		issuer.InDoubt:             InDoubt,
	}[e.Kind]
	if !known {
		return fmt.Errorf("verify assertion: %w", err)
	}
	refusal := w.because(reason, err)
	if reason == InDoubt {
		refusal.RetryAfter = max(e.RetryAfter, time.Second)
	}
	return refusal
}

// Source is an issuer of the directory as the issuer room wants it.
func Source(i directory.Issuer) issuer.Source {
	kind := issuer.Discovery
	switch i.KeySource {
	case directory.JWKSURIKeys:
		kind = issuer.JWKSURI
	case directory.UploadedKeys:
		kind = issuer.Uploaded
	}
	return issuer.Source{
		TenantID: i.TenantID, ID: i.ID, URL: i.URL, Kind: kind, JWKSURI: i.JWKSURI, KeySet: i.KeySet,
		Algorithms: i.Algorithms, CAPEM: []byte(i.CAPEM), Revision: i.Revision,
	}
}

// A secret is a client secret (RFC 6749 section 2.3.1).
type secret struct {
	*walk
	result directory.SecretResult
}

func (s *secret) peek(context.Context) (proof, error) { return s, nil }

func (s *secret) find(ctx context.Context, clientID string) (m directory.Match, err error) {
	m, s.result, err = s.Directory.MatchSecret(ctx, s.req.Tenant, clientID, s.req.Secret)
	return m, err
}

func (s *secret) matched() error { return nil }

func (s *secret) verify(context.Context) error {
	switch s.result {
	case directory.SecretOK:
		return nil
	case directory.SecretExpired:
		return s.refuse(SecretExpired)
	}
	return s.refuse(SecretWrong)
}

func (s *secret) spend(context.Context) error { return nil }

// none is a client that proves nothing.
type none struct{ *walk }

func (n none) peek(context.Context) (proof, error) { return n, nil }

func (n none) find(ctx context.Context, clientID string) (directory.Match, error) {
	return n.Directory.MatchClient(ctx, n.req.Tenant, clientID)
}

func (n none) matched() error { return n.refuse(ProofMissing) }

func (n none) verify(context.Context) error { return n.refuse(ProofMissing) }

func (n none) spend(context.Context) error { return n.refuse(ProofMissing) }
