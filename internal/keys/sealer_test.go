package keys

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestSealer(t *testing.T) {
	s := testSealer(t, 0)
	plain, data := []byte("a private key"), []byte("tenant/kid")
	one, err := s.Encrypt(plain, data)
	if err != nil {
		t.Fatal(err)
	}
	two, err := s.Encrypt(plain, data)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(one, two) {
		t.Error("two encryptions are equal")
	}
	if got, err := s.Decrypt(one, data); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("got %q (%v), want what was sealed", got, err)
	}
	flipped := bytes.Clone(one)
	flipped[len(flipped)-1] ^= 1
	for name, try := range map[string]func() ([]byte, error){
		"another key's data": func() ([]byte, error) { return s.Decrypt(one, []byte("tenant/other")) },
		"a flipped bit":      func() ([]byte, error) { return s.Decrypt(flipped, data) },
		"nothing":            func() ([]byte, error) { return s.Decrypt(nil, data) },
		"another sealer":     func() ([]byte, error) { return testSealer(t, 1).Decrypt(one, data) },
	} {
		if got, err := try(); err == nil {
			t.Errorf("%s: opened to %q", name, got)
		}
	}
	for _, n := range []int{0, 16, 31, 33, 64} {
		if _, err := NewSealer(make([]byte, n)); err == nil {
			t.Errorf("a key of %d bytes was taken", n)
		}
	}
}

func TestLoadSealer(t *testing.T) {
	key := make([]byte, SealerSize)
	for i := range key {
		key[i] = byte(i*37 + 200)
	}
	for _, tt := range []struct {
		name, content string
		mode          os.FileMode
		ok            bool
	}{
		{"raw", string(key), 0o600, true},
		{"raw, read-only", string(key), 0o400, true},
		{"hex", hex.EncodeToString(key), 0o600, true},
		{"upper-case hex with line end", strings.ToUpper(hex.EncodeToString(key)) + "\r\n", 0o600, true},
		{"base64 with line end", base64.StdEncoding.EncodeToString(key) + "\n", 0o600, true},
		{"base64 unpadded", base64.RawStdEncoding.EncodeToString(key), 0o600, true},
		{"base64url", base64.URLEncoding.EncodeToString(key), 0o600, true},
		{"readable by group", string(key), 0o640, false},
		{"readable by others", string(key), 0o604, false},
		{"writable by group", string(key), 0o620, false},
		{"empty", "", 0o600, false},
		{"pass phrase of 32 characters", "correct horse battery staple 123", 0o600, false},
		{"hex of half a key", hex.EncodeToString(key[:16]), 0o600, false},
		{"base64 of a longer key", base64.StdEncoding.EncodeToString(append(key, 1)), 0o600, false},
		{"raw with one byte more", string(key) + "\n", 0o600, false},
		{"a large file", strings.Repeat("00", 4096), 0o600, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "kek")
			if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			s, err := LoadSealer(path)
			if (err == nil) != tt.ok {
				t.Fatalf("got %v, want accepted = %v", err, tt.ok)
			}
			want, _ := NewSealer(key)
			if tt.ok && sealerID(s) != sealerID(want) {
				t.Error("another key was read than was written")
			}
			if !tt.ok && !strings.Contains(err.Error(), path) {
				t.Errorf("%q does not name the file", err)
			}
		})
	}
	if _, err := LoadSealer(t.TempDir()); err == nil {
		t.Error("a directory was taken for a key")
	}
}

func TestLoadSealerOfAMountedSecret(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	path := filepath.Join(t.TempDir(), "kek")
	if err := os.WriteFile(path, make([]byte, SealerSize), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 12345, -1); err != nil {
		t.Fatal(err)
	}
	for mode, ok := range map[os.FileMode]bool{0o440: true, 0o460: false, 0o444: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadSealer(path); (err == nil) != ok {
			t.Errorf("mode %04o of another user's file: got %v, want accepted = %v", mode, err, ok)
		}
	}
}

func TestCreateSealer(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "kek")
	var made atomic.Int32
	var mu sync.Mutex
	ids := map[string]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, created, err := CreateSealer(path)
			if err != nil {
				t.Error(err)
				return
			}
			if created {
				made.Add(1)
			}
			mu.Lock()
			defer mu.Unlock()
			ids[sealerID(s)] = true
		})
	}
	wg.Wait()
	if made.Load() != 1 || len(ids) != 1 {
		t.Errorf("%d callers made a key and %d different ones are in use, want 1 and 1", made.Load(), len(ids))
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %04o, want 0600", info.Mode().Perm())
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("%d files are left, want 1", len(files))
	}
}

func TestCreateSealerKeepsABadFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kek")
	if err := os.WriteFile(path, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, created, err := CreateSealer(path); err == nil || created {
		t.Errorf("got created = %v, error %v; want a refusal", created, err)
	}
	if got, _ := os.ReadFile(path); string(got) != "something else" {
		t.Error("the file was replaced")
	}
	if err := writeNew(path, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("without links: got %v, want a refusal", err)
	}
	path += "2"
	if err := writeNew(path, []byte(strings.Repeat("ab", SealerSize))); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadSealer(path); err != nil {
		t.Error(err)
	}
}
