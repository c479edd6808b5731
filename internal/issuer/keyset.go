package issuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/entente-id/entente/internal/rsakey"
	"github.com/entente-id/entente/internal/strictjson"
)

// maxKeys is how many keys of a set count; more are ignored, as Entra does
// (learn.microsoft.com/entra/workload-id/workload-identity-federation).
const maxKeys = 100

// DefaultAlgorithm is the one algorithm of an issuer that names none.
const DefaultAlgorithm = "RS256"

// A Key is a public signature key of an issuer.
type Key struct {
	ID        string // kid, opaque; may be empty
	Type      string // kty: RSA, EC or OKP
	Curve     string // crv: P-256, P-384 or Ed25519; empty for RSA
	Algorithm string // alg, when the issuer binds the key to one
	Bits      int    // of the RSA modulus, or of the curve

	public crypto.PublicKey
}

// A KeyProblem says why one key of a set is left out.
type KeyProblem struct {
	Index  int    // in the "keys" array, from 0
	KeyID  string // empty when it could not be read
	Reason string
	// Private says that a secret stands in the set: a private key, or a
	// symmetric one. Such a set must not be kept.
	Private bool
}

// secrets are the members of a JWK that only its owner may have (RFC 7518
// section 6, RFC 8037 section 2, and priv of the key type AKP). Each of an RSA
// key's is the whole private key: with p, n is factored.
var secrets = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}

// holdsSecret says whether a JWK has one of them, whatever else is wrong with it.
func holdsSecret(jwk json.RawMessage) bool {
	var members map[string]json.RawMessage // not by the strict rule, which a careless key may break
	if json.Unmarshal(jwk, &members) != nil {
		return false
	}
	return slices.ContainsFunc(secrets, func(name string) bool { return members[name] != nil })
}

// ParseKeySet reads a JWK Set (RFC 7517 section 5), key by key: a key that
// cannot be used, of a type that is not known or for encryption, becomes a
// problem and leaves the others alone. The keys that it returns have distinct
// ids; of two different keys with one id neither is used, and keys after the
// 100th are ignored. The error is about the document as a whole.
func ParseKeySet(data []byte) (keys []Key, problems []KeyProblem, err error) {
	document, err := strictjson.ParseOuter(data)
	if err != nil {
		return nil, nil, fmt.Errorf("key set: %w", err)
	}
	entries, err := document.Array("keys")
	if err != nil {
		return nil, nil, fmt.Errorf("key set: %w", err)
	}
	if surplus := len(entries) - maxKeys; surplus > 0 {
		problems = append(problems, KeyProblem{
			Index: maxKeys, Reason: fmt.Sprintf("this and later keys are ignored: a set may have %d", maxKeys),
			Private: slices.ContainsFunc(entries[maxKeys:], holdsSecret),
		})
		entries = entries[:maxKeys]
	}

	parsed := make([]Key, len(entries))
	faults := make([]error, len(entries))
	first := make(map[string]Key) // of all keys with an id, usable or not
	clash := make(map[string]bool)
	for i, entry := range entries {
		parsed[i], faults[i] = parseKey(entry)
		id := parsed[i].ID
		if other, seen := first[id]; !seen {
			first[id] = parsed[i]
		} else if id != "" && !parsed[i].equal(other) {
			clash[id] = true
		}
	}
	listed := make(map[string]bool)
	for i, key := range parsed {
		switch {
		case faults[i] != nil:
			problems = append(problems, KeyProblem{Index: i, KeyID: key.ID, Reason: faults[i].Error(), Private: holdsSecret(entries[i])})
		case clash[key.ID]:
			problems = append(problems, KeyProblem{Index: i, KeyID: key.ID, Reason: "another key of the set has the same id"})
		case key.ID == "" || !listed[key.ID]:
			listed[key.ID] = true
			keys = append(keys, key)
		}
	}
	return keys, problems, nil
}

// equal says whether two keys are one, published twice. A key that could not be read equals none.
func (k Key) equal(other Key) bool {
	return k.ID == other.ID && k.Algorithm == other.Algorithm && k.samePublic(other)
}

func (k Key) samePublic(other Key) bool {
	public, ok := k.public.(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(other.public)
}

// parseKey reads one JWK. With an error, the key still has its id if that could be read.
func parseKey(data []byte) (key Key, err error) {
	o, err := parseObject(data)
	if err != nil {
		return key, err
	}
	if key.ID, _, err = o.Text("kid"); err != nil {
		return key, err
	}
	if key.Type, err = o.Required("kty"); err != nil {
		return key, err
	}
	if key.Algorithm, _, err = o.Text("alg"); err != nil {
		return key, err
	}
	if _, known := algorithms[key.Algorithm]; key.Algorithm != "" && !known {
		return key, fmt.Errorf("algorithm %.80q is not supported", key.Algorithm)
	}
	if holdsSecret(data) {
		return key, errors.New("the private key is published with it")
	}
	use, present, err := o.Text("use")
	if err != nil {
		return key, err
	}
	if present && use != "sig" {
		return key, errors.New(`"use" is not "sig"`)
	}
	operations, present, err := o.Texts("key_ops")
	if err != nil {
		return key, err
	}
	if present && !slices.Contains(operations, "verify") {
		return key, errors.New(`"key_ops" lacks "verify"`)
	}
	switch key.Type {
	case "RSA":
		err = key.readRSA(o)
	case "EC":
		err = key.readEC(o)
	case "OKP":
		err = key.readEd25519(o)
	default:
		err = fmt.Errorf("key type %.80q is not supported", key.Type)
	}
	if err == nil && key.Algorithm != "" {
		err = key.fits(key.Algorithm)
	}
	return key, err
}

// bytes returns the member of that name, which must be canonical base64url.
func (o object) bytes(name string) ([]byte, error) {
	text, err := o.Required(name)
	if err != nil {
		return nil, err
	}
	data, err := decode(text)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", name, err)
	}
	return data, nil
}

// readRSA reads RFC 7518 section 6.3.1. Leading zero octets are tolerated: real issuers write them.
func (k *Key) readRSA(o object) error {
	modulus, err := o.bytes("n")
	if err != nil {
		return err
	}
	exponent, err := o.bytes("e")
	if err != nil {
		return err
	}
	n, e := new(big.Int).SetBytes(modulus), new(big.Int).SetBytes(exponent)
	k.Bits = n.BitLen()
	if err := rsakey.Check(n, e); err != nil {
		return err
	}
	k.public = &rsa.PublicKey{N: n, E: int(e.Int64())}
	return nil
}

// readEC reads RFC 7518 section 6.2.1: both coordinates in full length, and the point on the curve.
func (k *Key) readEC(o object) error {
	curve, err := o.Required("crv")
	if err != nil {
		return err
	}
	curves := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384()}
	c, known := curves[curve]
	if !known {
		return fmt.Errorf("curve %.80q is not supported", curve)
	}
	x, err := o.bytes("x")
	if err != nil {
		return err
	}
	y, err := o.bytes("y")
	if err != nil {
		return err
	}
	k.Curve, k.Bits = curve, c.Params().BitSize
	if len(x) != k.Bits/8 || len(y) != k.Bits/8 {
		return fmt.Errorf("coordinates are not of %d bytes", k.Bits/8)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(c, slices.Concat([]byte{4}, x, y))
	if err != nil {
		return fmt.Errorf("not a point of %s: %w", curve, err)
	}
	k.public = public
	return nil
}

// readEd25519 reads RFC 8037 section 2.
func (k *Key) readEd25519(o object) error {
	curve, err := o.Required("crv")
	if err != nil {
		return err
	}
	if curve != "Ed25519" {
		return fmt.Errorf("curve %.80q is not supported", curve)
	}
	x, err := o.bytes("x")
	if err != nil {
		return err
	}
	if len(x) != ed25519.PublicKeySize {
		return fmt.Errorf("key is not of %d bytes", ed25519.PublicKeySize)
	}
	k.Curve, k.Bits, k.public = curve, 8*len(x), ed25519.PublicKey(x)
	return nil
}

// fits says whether the key may verify signatures of alg, and why not.
func (k Key) fits(alg string) error {
	needs := algorithms[alg]
	switch {
	case k.Type != needs.kty || k.Curve != needs.curve:
		return fmt.Errorf("a key of type %s does not fit %s", strings.TrimSpace(k.Type+" "+k.Curve), alg)
	case k.Algorithm != "" && k.Algorithm != alg:
		return fmt.Errorf("the key is for %s, not for %s", k.Algorithm, alg)
	}
	return nil
}

// A keySet is what an issuer published at one moment.
type keySet struct {
	keys     []Key
	problems []KeyProblem
	document []byte // as published
	uri      string // where; empty for an uploaded set

	fetchedAt, freshUntil time.Time
	turn                  uint64 // of the fetch that brought it; see Verifier.turn
}

// choose returns the one key that may verify a token with this kid and alg
// (RFC 7515 section 4.1.4). Without a kid that is the only key that fits.
func (s *keySet) choose(kid, alg string) (Key, *Error) {
	if kid == "" {
		fitting := slices.DeleteFunc(slices.Clone(s.keys), func(k Key) bool { return k.fits(alg) != nil })
		if len(fitting) != 1 {
			return Key{}, &Error{Kind: KeyNotFound, Detail: fmt.Sprintf("the token has no kid and %d keys fit %s", len(fitting), alg)}
		}
		return fitting[0], nil
	}
	for _, key := range s.keys {
		if key.ID != kid {
			continue
		}
		if err := key.fits(alg); err != nil {
			return Key{}, &Error{Kind: KeyUnsuitable, Detail: fmt.Sprintf("the key %.80q cannot be used", kid), Err: err}
		}
		return key, nil
	}
	for _, problem := range s.problems {
		if problem.KeyID == kid {
			return Key{}, &Error{Kind: KeyUnsuitable, Detail: fmt.Sprintf("the key %.80q cannot be used", kid), Err: errors.New(problem.Reason)}
		}
	}
	return Key{}, &Error{Kind: KeyNotFound, Detail: fmt.Sprintf("no key %.80q among %d", kid, len(s.keys))}
}
