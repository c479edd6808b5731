package keys

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json" // exact member names, no duplicates
)

// Errors of Verify. Every one is a refusal of the token; an error that is none
// of them says that the token could not be judged.
var (
	ErrForeign = errors.New("token was not signed by this server")
	ErrExpired = errors.New("token has expired")
	ErrInvalid = errors.New("token is not valid")
)

const (
	skew         = 5 * time.Minute // allowed to exp and nbf
	maxToken     = 32 << 10        // bytes; longer ones are not looked at
	maxSignature = 8192 / 8        // bytes
	kidLength    = 43              // characters
)

// Our headers have these lengths, whatever the key.
var (
	headerLength   = len(tokenHeader(RS256, strings.Repeat("k", kidLength), false))
	headerLengthV1 = len(tokenHeader(RS256, strings.Repeat("k", kidLength), true))
)

// Verified is a token that a key of this server signed.
type Verified struct {
	TenantID string // whose key it was
	KeyID    string
	Payload  []byte // the claims: one JSON object
}

// Verify checks that token is one of ours: the signature, and exp and nbf with
// five minutes of skew. Issuer, audience and tenant are for the caller to judge.
//
// The header is not interpreted. A key of ours signs tokens with one of two
// headers and no others, so the encoded header is compared as a whole: it
// selects the key, the key has one algorithm, and a header that says anything
// else (another alg, crit, a second kid) belongs to no key.
//
// It costs one verification at most, none if the header is unknown.
func (r *Ring) Verify(ctx context.Context, token string) (Verified, error) {
	header, payload, signature, ok := split(token)
	if !ok {
		return Verified{}, fmt.Errorf("%w: not three parts within %d bytes", ErrInvalid, maxToken)
	}
	if len(header) != headerLength && len(header) != headerLengthV1 {
		return Verified{}, ErrForeign
	}
	key := r.fresh(ctx).headers[header]
	if key == nil {
		if err := r.again(ctx, true, func(s *snapshot) bool { return s.headers[header] != nil }); err != nil {
			return Verified{}, fmt.Errorf("verify: %w", err)
		}
		if key = r.snap.Load().headers[header]; key == nil {
			return Verified{}, ErrForeign
		}
	}
	now := r.now()
	if !key.published(now) {
		return Verified{}, fmt.Errorf("%w: its key is retired", ErrExpired)
	}
	pair, err := key.open(ctx, r.cfg.DB.Read(), r.cfg.Sealer)
	if err != nil {
		return Verified{}, fmt.Errorf("verify: %w", err)
	}
	strict := base64.RawURLEncoding.Strict()
	sig, err := strict.DecodeString(signature)
	if err != nil || strict.EncodedLen(len(sig)) != len(signature) { // the decoder skips line breaks
		return Verified{}, fmt.Errorf("%w: signature is not base64url", ErrInvalid)
	}
	if !verify(pair.signer.Public(), []byte(token[:len(header)+1+len(payload)]), sig) {
		return Verified{}, fmt.Errorf("%w: bad signature", ErrInvalid)
	}
	// What follows was written by Sign.
	claims, err := strict.DecodeString(payload)
	if err != nil {
		return Verified{}, fmt.Errorf("%w: payload is not base64url", ErrInvalid)
	}
	var times struct {
		Expiry    *int64 `json:"exp"`
		NotBefore *int64 `json:"nbf"`
	}
	if err := json.Unmarshal(claims, &times); err != nil {
		return Verified{}, fmt.Errorf("%w: claims: %v", ErrInvalid, err)
	}
	if times.Expiry == nil {
		return Verified{}, fmt.Errorf("%w: no exp", ErrInvalid)
	}
	if !now.Before(time.Unix(*times.Expiry, 0).Add(skew)) {
		return Verified{}, ErrExpired
	}
	if times.NotBefore != nil && now.Before(time.Unix(*times.NotBefore, 0).Add(-skew)) {
		return Verified{}, fmt.Errorf("%w: not valid yet", ErrInvalid)
	}
	return Verified{TenantID: key.TenantID, KeyID: key.ID, Payload: claims}, nil
}

// Ours says whether any key in the ring, of any tenant, signed token, so that
// our own tokens can be refused as assertions whatever issuer they claim and
// wherever our keys have been copied to. kid is what the caller read from the
// token's header.
//
// The key is the one whose header the token carries byte for byte, else the one
// that kid names; if there is neither, the answer is no and no signature is
// checked. That is enough: the header is signed, nobody else can sign with our
// keys, and Sign puts the key's own id into every header, so a token under
// another header has no valid signature of ours. Neither expiry nor retirement
// matters here, and the signature is decoded leniently: a token that is ours in
// any reading is ours.
func (r *Ring) Ours(ctx context.Context, kid, token string) bool {
	header, _, signature, ok := split(token)
	if !ok {
		return false
	}
	find := func(s *snapshot) *entry {
		if k := s.headers[header]; k != nil {
			return k
		}
		return s.kids[kid]
	}
	key := find(r.fresh(ctx))
	if key == nil {
		if len(kid) != kidLength && len(header) != headerLength && len(header) != headerLengthV1 {
			return false
		}
		if r.again(ctx, false, func(s *snapshot) bool { return find(s) != nil }) != nil {
			return false
		}
		if key = find(r.snap.Load()); key == nil {
			return false
		}
	}
	pair, err := key.open(ctx, r.cfg.DB.Read(), r.cfg.Sealer)
	if err != nil {
		r.cfg.Log.ErrorContext(ctx, "signing key cannot be opened; tokens under it are taken for ours", "kid", key.ID, "error", err)
		return true
	}
	sig, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(signature, "=\r\n"))
	return err == nil && verify(pair.signer.Public(), []byte(token[:strings.LastIndexByte(token, '.')]), sig)
}

// split cuts a compact JWS into its three parts.
func split(token string) (header, payload, signature string, ok bool) {
	if len(token) > maxToken {
		return "", "", "", false
	}
	header, rest, ok := strings.Cut(token, ".")
	if !ok {
		return "", "", "", false
	}
	payload, signature, ok = strings.Cut(rest, ".")
	return header, payload, signature, ok && !strings.Contains(signature, ".")
}
