package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// Sealer encrypts private keys at rest. It has the shape of tink.AEAD, so that
// a key-management service can stand in for the file. A Sealer that also has a
// method ID() string is told apart from others by it: see ErrSealer.
type Sealer interface {
	Encrypt(plaintext, associatedData []byte) ([]byte, error)
	Decrypt(ciphertext, associatedData []byte) ([]byte, error)
}

// SealerSize is the length of a key-encryption key in bytes.
const SealerSize = 32

// ErrSealer means that a signing key was sealed with another key-encryption
// key than the one this server was started with.
var ErrSealer = errors.New("sealed with another key-encryption key")

// kek is AES-256-GCM with a random nonce before the ciphertext (NIST SP 800-38D).
type kek struct {
	aead cipher.AEAD
	id   string
}

// NewSealer returns the Sealer of a key-encryption key of SealerSize random bytes.
func NewSealer(key []byte) (Sealer, error) {
	if len(key) != SealerSize {
		return nil, fmt.Errorf("key-encryption key has %d bytes, want %d", len(key), SealerSize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("key-encryption key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("key-encryption key: %w", err)
	}
	sum := sha256.Sum256(key)
	return &kek{aead: aead, id: hex.EncodeToString(sum[:8])}, nil
}

// ID is the first eight bytes of the SHA-256 of the key, in hex.
func (k *kek) ID() string { return k.id }

func (k *kek) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	return k.aead.Seal(nil, nil, plaintext, associatedData), nil
}

func (k *kek) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	return k.aead.Open(nil, nil, ciphertext, associatedData)
}

// sealerID names s in the sealer column; a Sealer without a name is "external".
func sealerID(s Sealer) string {
	if named, ok := s.(interface{ ID() string }); ok {
		return named.ID()
	}
	return "external"
}
