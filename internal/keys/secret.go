package keys

import (
	"context"
	"crypto"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/entente-id/entente/internal/db"
)

// secret is the private half of a key: sealed in the database until the key is
// first used, then open in memory for as long as the key is published.
// It is shared by all snapshots that hold the key.
type secret struct {
	kid, tenantID, alg string
	sealer             string     // id of the Sealer that sealed it
	headers            [2]string  // encoded token headers: version 2.0, version 1.0
	opening            sync.Mutex // held while the key is being opened
	opened             atomic.Pointer[pair]
}

// pair is an open key.
type pair struct {
	signer crypto.Signer
	jwk    []byte
}

func newSecret(kid, tenantID, alg, sealer string) *secret {
	return &secret{kid: kid, tenantID: tenantID, alg: alg, sealer: sealer,
		headers: [2]string{tokenHeader(alg, kid, false), tokenHeader(alg, kid, true)}}
}

// sealedWith binds a sealed key to its id and to its tenant.
func sealedWith(tenantID, kid string) []byte { return []byte(tenantID + "/" + kid) }

// seal makes the text of the sealed column from a private key.
func seal(s Sealer, tenantID, kid string, key crypto.Signer) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	defer clear(der)
	sealed, err := s.Encrypt(der, sealedWith(tenantID, kid))
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(sealed), nil
}

// open returns the key pair, which costs nothing once it has succeeded.
func (s *secret) open(ctx context.Context, q db.Querier, sealer Sealer) (*pair, error) {
	if p := s.opened.Load(); p != nil {
		return p, nil
	}
	s.opening.Lock()
	defer s.opening.Unlock()
	if p := s.opened.Load(); p != nil {
		return p, nil
	}
	p, err := s.unseal(ctx, q, sealer)
	if err != nil {
		return nil, fmt.Errorf("signing key %q: %w", s.kid, err)
	}
	s.opened.Store(p)
	return p, nil
}

func (s *secret) unseal(ctx context.Context, q db.Querier, sealer Sealer) (*pair, error) {
	if err := s.fits(sealer); err != nil {
		return nil, err
	}
	var text string
	err := q.QueryRowContext(ctx, `SELECT sealed FROM signing_keys WHERE kid = $1`, s.kid).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errors.New("it has been deleted")
	}
	if err != nil {
		return nil, err
	}
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("sealed half: %w", err)
	}
	der, err := sealer.Decrypt(sealed, sealedWith(s.tenantID, s.kid))
	if err != nil {
		return nil, fmt.Errorf("sealed half: %w", err)
	}
	defer clear(der)
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("sealed half holds no private key")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("sealed half holds a %T", key)
	}
	kid, alg, jwk, err := describe(signer.Public())
	if err != nil {
		return nil, err
	}
	if kid != s.kid || alg != s.alg {
		return nil, fmt.Errorf("sealed half is %s key %q, the row says %s", alg, kid, s.alg)
	}
	return &pair{signer: signer, jwk: jwk}, nil
}

// fits returns ErrSealer, with what to do about it, if sealer cannot open s.
func (s *secret) fits(sealer Sealer) error {
	if given := sealerID(sealer); given != s.sealer {
		return fmt.Errorf("%w: it needs %s, --key-encryption-key is %s; start with the key-encryption key that was used before", ErrSealer, s.sealer, given)
	}
	return nil
}
