package issuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256" // of algorithms
	_ "crypto/sha512"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// An algorithm is a signature algorithm (RFC 7518 section 3.1, RFC 8037
// section 3.1) with the key that it needs. A key type fits one family only, so
// a public key can never serve as an HMAC secret.
type algorithm struct {
	kty, curve string
	hash       crypto.Hash // 0: the algorithm hashes by itself
	verify     func(key crypto.PublicKey, hash crypto.Hash, signed, signature []byte) bool
}

// algorithms are those that an issuer may be registered with.
var algorithms = map[string]algorithm{
	"RS256": {"RSA", "", crypto.SHA256, verifyPKCS1v15},
	"RS384": {"RSA", "", crypto.SHA384, verifyPKCS1v15},
	"RS512": {"RSA", "", crypto.SHA512, verifyPKCS1v15},
	"PS256": {"RSA", "", crypto.SHA256, verifyPSS},
	"ES256": {"EC", "P-256", crypto.SHA256, verifyECDSA},
	"ES384": {"EC", "P-384", crypto.SHA384, verifyECDSA},
	"EdDSA": {"OKP", "Ed25519", 0, verifyEd25519},
}

func verifyPKCS1v15(key crypto.PublicKey, hash crypto.Hash, digest, signature []byte) bool {
	public, ok := key.(*rsa.PublicKey)
	return ok && rsa.VerifyPKCS1v15(public, hash, digest, signature) == nil
}

// verifyPSS wants salt of the hash's length, as RFC 7518 section 3.5 does.
func verifyPSS(key crypto.PublicKey, hash crypto.Hash, digest, signature []byte) bool {
	public, ok := key.(*rsa.PublicKey)
	return ok && rsa.VerifyPSS(public, hash, digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
}

// verifyECDSA reads a signature as RFC 7518 section 3.4 writes it: R and S, each in full length.
func verifyECDSA(key crypto.PublicKey, _ crypto.Hash, digest, signature []byte) bool {
	public, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return false
	}
	size := (public.Params().BitSize + 7) / 8
	if len(signature) != 2*size {
		return false
	}
	r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
	return ecdsa.Verify(public, digest, r, s)
}

func verifyEd25519(key crypto.PublicKey, _ crypto.Hash, message, signature []byte) bool {
	public, ok := key.(ed25519.PublicKey)
	return ok && len(public) == ed25519.PublicKeySize && ed25519.Verify(public, message, signature)
}

// verify checks the signature of the token. It is over the very text whose parts
// were read (RFC 7515 section 5.2), so nothing reads the token a second time,
// perhaps differently.
func (k Key) verify(p parts, alg string) error {
	how, known := algorithms[alg]
	if !known {
		return &Error{Kind: AlgorithmNotAllowed, Detail: fmt.Sprintf("algorithm %.80q is not allowed", alg)}
	}
	signed := []byte(p.token[:strings.LastIndexByte(p.token, '.')])
	if how.hash != 0 {
		h := how.hash.New()
		h.Write(signed)
		signed = h.Sum(nil)
	}
	if !how.verify(k.public, how.hash, signed, p.signature) {
		return &Error{Kind: BadSignature, Detail: fmt.Sprintf("the key %.80q did not sign the token", k.ID), Err: errSignature}
	}
	return nil
}

var errSignature = errors.New("the signature is not valid")
