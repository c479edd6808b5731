package keys

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
)

// ErrNoKey means that a tenant has no signing key: EnsureTenant makes it.
var ErrNoKey = errors.New("no signing key")

// Sign makes a compact JWS (RFC 7515 section 7.1) of claims, which encode to a
// JSON object, with the current key of a tenant. Its header has typ, alg and
// kid; with v1 also x5t, which equals kid.
//
// It costs one signature. The table is looked at every few seconds by one
// caller; if that fails, signing goes on for as long as no key that nobody here
// has heard of can have become the current one, which is Config.PublishAhead.
//
// Claims must not last longer than Config.TokenLifetime.
func (r *Ring) Sign(ctx context.Context, tenantID string, claims any, v1 bool) (string, error) {
	s, chain, err := r.chainOf(ctx, tenantID)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	now := r.now()
	if age := now.Sub(s.at); age > r.cfg.PublishAhead {
		err := errors.New("no reason known")
		if p := r.failed.Load(); p != nil {
			err = *p
		}
		return "", fmt.Errorf("sign: signing keys are %s old: %w", age, err)
	}
	i := chain.current(now)
	if i < 0 {
		return "", fmt.Errorf("sign: %w: tenant %q", ErrNoKey, tenantID)
	}
	key := chain[i].secret
	pair, err := key.open(ctx, r.cfg.DB.Read(), r.cfg.Sealer)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("sign: claims: %w", err)
	}
	if payload[0] != '{' {
		return "", errors.New("sign: claims are not a JSON object")
	}
	header := key.headers[0]
	if v1 {
		header = key.headers[1]
	}
	b64 := base64.RawURLEncoding
	token := make([]byte, 0, len(header)+b64.EncodedLen(len(payload))+b64.EncodedLen(maxSignature)+2)
	token = append(append(token, header...), '.')
	token = b64.AppendEncode(token, payload)
	sig, err := sign(pair.signer, key.alg, token)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return string(b64.AppendEncode(append(token, '.'), sig)), nil
}
