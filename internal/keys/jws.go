package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
)

// scalarSize is the length of r and of s in an ES256 signature (RFC 7518 section 3.4).
const scalarSize = 32

// tokenHeader is the first part of every token that a key signs, encoded: the
// header has two forms and no other. Version 1.0 names the key by x5t as well,
// with the same value (https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference).
func tokenHeader(alg, kid string, v1 bool) string {
	form := `{"typ":"JWT","alg":%q,"kid":%q}`
	if v1 {
		form = `{"typ":"JWT","alg":%q,"x5t":%[2]q,"kid":%[2]q}`
	}
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, form, alg, kid))
}

// sign returns the JWS signature of input (RFC 7515 section 5.1).
func sign(signer crypto.Signer, alg string, input []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	sig, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil || alg != ES256 {
		return sig, err
	}
	// crypto.Signer speaks ASN.1, JWS wants r and s of fixed length.
	var point struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(sig, &point); err != nil || len(rest) > 0 {
		return nil, errors.New("signer returned no ECDSA signature")
	}
	if point.R.Sign() <= 0 || point.S.Sign() <= 0 || point.R.BitLen() > 8*scalarSize || point.S.BitLen() > 8*scalarSize {
		return nil, errors.New("signer returned an ECDSA signature of another curve")
	}
	fixed := make([]byte, 2*scalarSize)
	point.R.FillBytes(fixed[:scalarSize])
	point.S.FillBytes(fixed[scalarSize:])
	return fixed, nil
}

// verify says whether sig is the JWS signature of input under public, with the
// one algorithm that this key has.
func verify(public crypto.PublicKey, input, sig []byte) bool {
	digest := sha256.Sum256(input)
	switch public := public.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], sig) == nil
	case *ecdsa.PublicKey:
		if len(sig) != 2*scalarSize {
			return false
		}
		return ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(sig[:scalarSize]), new(big.Int).SetBytes(sig[scalarSize:]))
	}
	return false
}
