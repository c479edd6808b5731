package issuer

import (
	"errors"
	"fmt"
	"time"
)

// ErrKind says why a token or an issuer is refused. The set is closed, so that it may label a metric.
type ErrKind string

// The kinds.
const (
	Malformed           ErrKind = "malformed"             // the token breaks a rule of syntax
	AlgorithmNotAllowed ErrKind = "algorithm_not_allowed" // alg is not among those of the issuer
	KeyNotFound         ErrKind = "key_not_found"         // the issuer was asked and does not publish the key
	KeyUnsuitable       ErrKind = "key_unsuitable"        // the key is there, but its type, size, alg, use or key_ops does not fit
	BadSignature        ErrKind = "bad_signature"         // the key is there and did not sign this
	Unreachable         ErrKind = "unreachable"           // network, TLS, HTTP status or time limit
	AddressRefused      ErrKind = "address_refused"       // the issuer's address is private or reserved and not allowed
	InvalidDocument     ErrKind = "invalid_document"      // what the issuer answered, or its registration, cannot be used
	IssuerMismatch      ErrKind = "issuer_mismatch"       // the token or the discovery document names another issuer
	InDoubt             ErrKind = "in_doubt"              // the key is unknown, and it is too soon to ask the issuer again, or too many are being asked
)

// An Error is every error of this package that is about a token or an issuer.
type Error struct {
	Kind      ErrKind
	Issuer    string // URL of the registered issuer; empty when only a token was looked at
	KeyID     string // kid of the token, if it was read
	Algorithm string // alg of the token, if it was read
	Detail    string // what was wrong, in words that hold nothing of what a remote server answered
	Err       error  // the cause, for logs; may be nil

	// RetryAfter is when the same token may be judged differently: the rest of
	// the issuer's cool-down. Zero means that nothing is gained by waiting, or
	// that the next request asks the issuer at once.
	RetryAfter time.Duration
}

func (e *Error) Error() string {
	text := e.Detail
	if e.Issuer != "" {
		text = fmt.Sprintf("issuer %q: %s", e.Issuer, text)
	}
	if e.Err != nil {
		text = fmt.Sprintf("%s: %v", text, e.Err)
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// Retryable says whether the same token may be accepted later without anybody
// changing anything here: the fault lies with the issuer or with the moment.
func (e *Error) Retryable() bool { return e.Kind == Unreachable || e.Kind == InDoubt }

// KindOf returns the kind of err, or "" when err is not an *Error.
func KindOf(err error) ErrKind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return ""
}

// malformed wraps the breach of a syntax rule by a token.
func malformed(cause error) *Error {
	return &Error{Kind: Malformed, Detail: "the token is malformed", Err: cause}
}
