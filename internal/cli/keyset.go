package cli

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/entente-id/entente/internal/issuer"
)

// maxKeyFile is more than the service takes of one key set.
const maxKeyFile = 1 << 20

// keySet is a JSON Web Key Set (RFC 7517 section 5) of public keys that the
// service will take.
type keySet struct {
	document json.RawMessage
	ids      []string // of its keys, "" for one without
	notes    []string // on keys that cannot be used
}

// readKeySet reads a key set from files; "-" is standard input. A file holds a key
// set, or public keys or certificates in PEM. One key set stays as it is, member by
// member; several files make one set.
func readKeySet(files []string, stdin io.Reader) (keySet, error) {
	var keys []json.RawMessage
	var document json.RawMessage
	for _, file := range files {
		text, err := readInput(file, stdin)
		if err != nil {
			return keySet{}, err
		}
		name := file
		if name == "-" {
			name = "standard input"
		}
		if document = bytes.TrimSpace(text); len(document) > 0 && document[0] == '{' {
			if _, err := checkKeySet(document); err != nil {
				return keySet{}, fmt.Errorf("%s: %w", name, err)
			}
			keys = append(keys, keysOf(document)...)
			continue
		}
		found, err := keysFromPEM(text)
		if err != nil {
			return keySet{}, fmt.Errorf("%s: %w", name, err)
		}
		keys, document = append(keys, found...), nil
	}
	if len(files) != 1 || document == nil {
		var err error
		if document, err = json.Marshal(map[string][]json.RawMessage{"keys": keys}); err != nil {
			return keySet{}, err
		}
	}
	return checkKeySet(document)
}

func readInput(file string, stdin io.Reader) ([]byte, error) {
	in := stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	return readBounded(in, file)
}

func readBounded(in io.Reader, name string) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(in, maxKeyFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(text) > maxKeyFile {
		return nil, fmt.Errorf("read %s: it holds more than 1 MiB", name)
	}
	return text, nil
}

// errPrivate is a document that must not leave this machine.
var errPrivate = errors.New("there is a private key in it, which must not be sent")

// checkKeySet refuses what must not be sent, and what the service would refuse.
func checkKeySet(document json.RawMessage) (keySet, error) {
	keys, problems, err := issuer.ParseKeySet(document)
	if err != nil {
		return keySet{}, err
	}
	set := keySet{document: document}
	for _, p := range problems {
		if p.Private {
			return keySet{}, hint(errPrivate, "a cluster publishes the public keys alone: kubectl get --raw /openid/v1/jwks")
		}
		set.notes = append(set.notes, fmt.Sprintf("key %d of the set (kid %q) cannot be used: %s", p.Index+1, p.KeyID, p.Reason))
	}
	if len(keys) == 0 {
		return keySet{}, fmt.Errorf("no key in it can be used: %s", cmp.Or(strings.Join(set.notes, "; "), "the set is empty"))
	}
	for _, raw := range keysOf(document) {
		var members map[string]json.RawMessage
		var id string
		json.Unmarshal(raw, &members)
		json.Unmarshal(members["kid"], &id) // one without a readable id counts as one without
		set.ids = append(set.ids, id)
	}
	return set, nil
}

// keysOf are the keys of a set that has been checked. Names of members are exact
// (RFC 8259 section 8.3), which a struct's are not.
func keysOf(document json.RawMessage) (keys []json.RawMessage) {
	var members map[string]json.RawMessage
	json.Unmarshal(document, &members)
	json.Unmarshal(members["keys"], &keys)
	return keys
}

// keysFromPEM reads public keys as openssl and kubeadm write them.
func keysFromPEM(text []byte) (keys []json.RawMessage, err error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return nil, hint(errPrivate, "openssl pkey -in FILE -pubout writes the public key alone")
		}
		public, err := parsePublic(block)
		if err != nil {
			return nil, fmt.Errorf("read the PEM block %s: %w", block.Type, err)
		}
		if public == nil {
			return nil, fmt.Errorf("a PEM block %.40q is neither a public key nor a certificate", block.Type)
		}
		if key, ok := public.(*ecdsa.PublicKey); ok && key.Curve == elliptic.P521() {
			return nil, fmt.Errorf("the curve %s is not supported", key.Curve.Params().Name)
		}
		key, err := jwk(public)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("it is neither a JSON Web Key Set nor PEM")
	}
	return keys, nil
}

// parsePublic reads the public key of a PEM block, or nil if it is about something
// else.
func parsePublic(block *pem.Block) (crypto.PublicKey, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return c.PublicKey, nil
	}
	return nil, nil
}

// jwk writes a public key as kube-apiserver publishes it: its id is the SHA-256 of
// the SubjectPublicKeyInfo, in base64url (k8s.io/kubernetes/pkg/serviceaccount).
func jwk(public crypto.PublicKey) (json.RawMessage, error) {
	algorithm := jose.RS256
	switch key := public.(type) {
	case *rsa.PublicKey:
	case *ecdsa.PublicKey:
		switch key.Curve.Params().BitSize {
		case 256:
			algorithm = jose.ES256
		case 384:
			algorithm = jose.ES384
		case 521: // which the service does not take
			algorithm = jose.ES512
		default:
			return nil, fmt.Errorf("the curve %s is not supported", key.Curve.Params().Name)
		}
	case ed25519.PublicKey:
		algorithm = jose.EdDSA
	default:
		return nil, fmt.Errorf("keys of the type %T are not supported", public)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(der)
	return jose.JSONWebKey{Key: public, KeyID: base64.RawURLEncoding.EncodeToString(id[:]), Algorithm: string(algorithm), Use: "sig"}.MarshalJSON()
}
