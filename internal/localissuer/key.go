package localissuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"
)

// key is one signing key and its published form.
type key struct {
	id     string
	alg    jose.SignatureAlgorithm
	jwk    []byte // public JWK, members in kube-apiserver's order
	signer jose.OpaqueSigner
}

func newKey(c Config) (key, error) {
	private := c.Key
	if private == nil {
		var err error
		if private, err = generate(c.Algorithm, c.Bits); err != nil {
			return key{}, fmt.Errorf("make %s key: %w", c.Algorithm, err)
		}
	}
	k := key{alg: jose.SignatureAlgorithm(c.Algorithm), signer: cryptosigner.Opaque(saltAsHash{private})}
	if !slices.Contains(k.signer.Algs(), k.alg) {
		return key{}, fmt.Errorf("a key of type %T cannot sign with %q", private, c.Algorithm)
	}
	var err error
	if k.id, err = keyID(private.Public()); err != nil {
		return key{}, err
	}
	k.jwk, err = json.Marshal(jose.JSONWebKey{Key: private.Public(), KeyID: k.id, Algorithm: c.Algorithm, Use: "sig"})
	if err != nil {
		return key{}, fmt.Errorf("encode key %q: %w", k.id, err)
	}
	return k, nil
}

func generate(algorithm string, bits int) (crypto.Signer, error) {
	switch jose.SignatureAlgorithm(algorithm) {
	case jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512:
		return rsa.GenerateKey(rand.Reader, bits)
	case jose.ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.ES384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case jose.ES512:
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case jose.EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("algorithm %q is not known", algorithm)
}

// keyID is the id that kube-apiserver gives a key: the SHA-256 of its DER SubjectPublicKeyInfo (RFC 5280 §4.1),
// base64url without padding. It is not the thumbprint of RFC 7638.
func keyID(public crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("encode public key: %w", err)
	}
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// saltAsHash makes PS signatures with a salt as long as the hash, which RFC 7518 §3.5 requires and strict verifiers
// insist on; cryptosigner asks for the longest salt that fits.
type saltAsHash struct{ crypto.Signer }

func (s saltAsHash) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if pss, ok := opts.(*rsa.PSSOptions); ok {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: pss.Hash}
	}
	return s.Signer.Sign(random, digest, opts)
}
