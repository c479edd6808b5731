package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"
)

// The algorithms that this server signs with (RFC 7518 section 3.1).
const (
	RS256 = "RS256"
	ES256 = "ES256"
)

// generate makes a private key for an algorithm; bits counts for RSA only.
func generate(alg string, bits int) (crypto.Signer, error) {
	if alg == ES256 {
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	return rsa.GenerateKey(rand.Reader, bits)
}

// describe returns the key id of a public key, which is its JWK thumbprint
// (RFC 7638), its algorithm, and its JWK (RFC 7517).
//
// The JWK has no x5t although tokens of version 1.0 name the key by x5t too:
// there it holds the key id, whereas in a JWK it would have to be the SHA-1 of
// a certificate, and strict parsers refuse the whole set over it.
func describe(public crypto.PublicKey) (kid, alg string, jwk []byte, err error) {
	b64 := base64.RawURLEncoding.EncodeToString
	var required, members string
	switch public := public.(type) {
	case *rsa.PublicKey:
		alg = RS256
		e, n := b64(big.NewInt(int64(public.E)).Bytes()), b64(public.N.Bytes())
		required = fmt.Sprintf(`{"e":%q,"kty":"RSA","n":%q}`, e, n)
		members = fmt.Sprintf(`"n":%q,"e":%q}`, n, e)
	case *ecdsa.PublicKey:
		alg = ES256
		point, err := public.Bytes() // 4, x, y (SEC 1, section 2.3.3)
		if err != nil || len(point) != 65 {
			return "", "", nil, fmt.Errorf("public key is not on P-256")
		}
		x, y := b64(point[1:33]), b64(point[33:])
		required = fmt.Sprintf(`{"crv":"P-256","kty":"EC","x":%q,"y":%q}`, x, y)
		members = fmt.Sprintf(`"crv":"P-256","x":%q,"y":%q}`, x, y)
	default:
		return "", "", nil, fmt.Errorf("public key is a %T", public)
	}
	kty := "RSA"
	if alg == ES256 {
		kty = "EC"
	}
	sum := sha256.Sum256([]byte(required))
	kid = b64(sum[:])
	return kid, alg, fmt.Appendf(nil, `{"kty":%q,"use":"sig","alg":%q,"kid":%q,%s`, kty, alg, kid, members), nil
}
