package keys

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxSealerFile bounds what is read of a file that should hold 32 bytes.
const maxSealerFile = 1024

// LoadSealer reads a key-encryption key from a file that holds its 32 bytes
// raw, in hex, or in base64 (either alphabet, padded or not), for example from
// `openssl rand -base64 32`.
//
// Who else may read the file is ReadPrivateFile's rule.
func LoadSealer(path string) (Sealer, error) {
	data, err := ReadPrivateFile(path, maxSealerFile)
	if err != nil {
		return nil, fmt.Errorf("key-encryption key: %w", err)
	}
	key, err := parseSealerKey(data)
	if err != nil {
		return nil, fmt.Errorf("key-encryption key %q: %w", path, err)
	}
	return NewSealer(key)
}

// CreateSealer is LoadSealer, and makes the file with a random key and mode
// 0600 if there is none. The file appears whole or not at all, and of two
// processes that race one makes it and both load it.
func CreateSealer(path string) (s Sealer, created bool, err error) {
	s, err = LoadSealer(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return s, false, err
	}
	key := make([]byte, SealerSize)
	rand.Read(key)
	created, err = placeFile(path, []byte(base64.StdEncoding.EncodeToString(key)+"\n"))
	if err != nil {
		return nil, false, fmt.Errorf("create key-encryption key: %w", err)
	}
	s, err = LoadSealer(path)
	return s, created && err == nil, err
}

// placeFile makes path with data, durably, unless it is there already.
func placeFile(path string, data []byte) (created bool, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".kek-*") // mode 0600
	if err != nil {
		return false, err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return false, err
	}
	// A link, unlike a rename, never replaces a file that is there.
	if err = os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) { // a file system without links
		err = writeNew(path, data)
	}
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, syncDir(filepath.Dir(path))
}

func writeNew(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// parseSealerKey reads the three forms of LoadSealer. Text of 32 characters is
// refused: it would pass for raw bytes but is a pass phrase or half a key.
func parseSealerKey(data []byte) ([]byte, error) {
	if len(data) == SealerSize && bytes.ContainsFunc(data, func(r rune) bool { return r < ' ' || r > '~' }) {
		return data, nil
	}
	text := strings.TrimSpace(string(data))
	if key, err := hex.DecodeString(text); err == nil && len(key) == SealerSize {
		return key, nil
	}
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	if key, err := base64.RawStdEncoding.Strict().DecodeString(plain); err == nil && len(key) == SealerSize {
		return key, nil
	}
	return nil, fmt.Errorf("%d bytes that are not a key: want %d random bytes, raw, in hex or in base64", len(data), SealerSize)
}
