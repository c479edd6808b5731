package login

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Store is the two files: File has the contexts, and the one beside it with
// ".secrets" in its name has their secrets. Neither need be there. Both are made
// for their owner alone (0600, in a directory of 0700) and are replaced as a whole,
// so that whoever reads at any time finds one state of them.
type Store struct{ File string }

// Default is the store of the person: ENTENTE_CONFIG names its file, else it is
// entente/contexts.json of the user's configuration directory.
func Default(getenv func(string) string) (Store, error) {
	if file := getenv("ENTENTE_CONFIG"); file != "" {
		file, err := filepath.Abs(file)
		return Store{file}, err
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return Store{}, fmt.Errorf("find the file of contexts, which ENTENTE_CONFIG can name: %w", err)
	}
	return Store{filepath.Join(dir, "entente", "contexts.json")}, nil
}

func (s Store) secrets() string {
	base, suffix := s.File, filepath.Ext(s.File)
	return strings.TrimSuffix(base, suffix) + ".secrets" + suffix
}

const (
	fileVersion = 1
	maxFile     = 4 << 20
)

// kept is a client secret, with whom it is for.
type kept struct {
	Authority string `json:"authority"`
	ClientID  string `json:"clientId"`
	Secret    string `json:"secret"`
}

type contextsFile struct {
	Version int `json:"version"`
	Contexts
}

type secretsFile struct {
	Version int             `json:"version"`
	Secrets map[string]kept `json:"secrets"` // by name of the context
}

// Load reads the contexts; none when there is no file.
func (s Store) Load() (Contexts, error) {
	var f contextsFile
	// Who can write it says where secrets go.
	if err := read(s.File, 0o022, &f); err != nil {
		return Contexts{}, err
	}
	seen := map[string]bool{}
	for _, c := range f.All {
		if err := c.Check(); err != nil {
			return Contexts{}, fmt.Errorf("read %s: %w", s.File, err)
		}
		if seen[c.Name] {
			return Contexts{}, fmt.Errorf("read %s: there are two contexts %q", s.File, c.Name)
		}
		seen[c.Name] = true
	}
	return f.Contexts, nil
}

// ErrNoSecret says that a context has no secret, or one for another service or
// client than it names now.
var ErrNoSecret = errors.New("there is no secret for it")

// Secret is the client secret of a context.
func (s Store) Secret(c Context) (string, error) {
	var f secretsFile
	if err := read(s.secrets(), 0o077, &f); err != nil {
		return "", err
	}
	k, ok := f.Secrets[c.Name]
	if !ok || k.Authority != c.where() || k.ClientID != c.Login.ClientID {
		return "", fmt.Errorf("context %q: %w", c.Name, ErrNoSecret)
	}
	return k.Secret, nil
}

// Change is what may be done to a store at one time.
type Change struct {
	Contexts
	secrets map[string]kept
}

// Put adds a context or replaces the one with its name. A secret that is not empty
// is kept for it; otherwise one that is kept stays for as long as the context logs
// in with it.
func (c *Change) Put(one Context, secret string) error {
	if err := one.Check(); err != nil {
		return err
	}
	k, ok := c.secrets[one.Name]
	switch {
	case one.Login.Method == Secret && secret != "":
		c.secrets[one.Name] = kept{one.where(), one.Login.ClientID, secret}
	case ok && (one.Login.Method != Secret || k.Authority != one.where() || k.ClientID != one.Login.ClientID):
		delete(c.secrets, one.Name)
	}
	c.put(one)
	return nil
}

// Remove forgets a context and its secret, and tells whether it was there.
func (c *Change) Remove(name string) bool {
	delete(c.secrets, name)
	return c.remove(name)
}

// Update changes the store, while nobody else does; an error of change leaves it as
// it was. What is not changed is not written.
func (s Store) Update(ctx context.Context, change func(*Change) error) error {
	if err := os.MkdirAll(filepath.Dir(s.File), 0o700); err != nil {
		return err
	}
	unlock, err := lock(ctx, s.File+".lock")
	if err != nil {
		return fmt.Errorf("change %s: %w", s.File, err)
	}
	defer unlock()
	before, err := s.Load()
	if err != nil {
		return err
	}
	var secrets secretsFile
	if err := read(s.secrets(), 0o077, &secrets); err != nil {
		return err
	}
	c := Change{Contexts: Contexts{before.Current, append([]Context{}, before.All...)}, secrets: maps.Clone(secrets.Secrets)}
	if c.secrets == nil {
		c.secrets = map[string]kept{}
	}
	if err := change(&c); err != nil {
		return err
	}
	// The secret first: a context that names one which is not there cannot be used.
	if !maps.Equal(c.secrets, secrets.Secrets) {
		if err := write(s.secrets(), secretsFile{fileVersion, c.secrets}); err != nil {
			return err
		}
	}
	if _, err := os.Stat(s.File); err == nil && equal(before, c.Contexts) {
		return nil
	}
	return write(s.File, contextsFile{fileVersion, c.Contexts})
}

func equal(a, b Contexts) bool {
	if a.Current != b.Current || len(a.All) != len(b.All) {
		return false
	}
	for i := range a.All {
		if a.All[i] != b.All[i] {
			return false
		}
	}
	return true
}

// LooseError is the error of a file that others can read or write.
type LooseError struct {
	File string
	Mode fs.FileMode
}

func (e *LooseError) Error() string {
	return fmt.Sprintf("read %s: others than its owner can change it, or read what is secret in it (mode %04o)", e.File, e.Mode.Perm())
}

// read decodes a file, which is left as it is when it is not there. Permissions in
// the mask must not be set, where the system has such.
func read(name string, mask fs.FileMode, into any) error {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return err
	} else if havePermissions && info.Mode()&mask != 0 {
		return &LooseError{name, info.Mode()}
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return err
	}
	if len(text) > maxFile {
		return fmt.Errorf("read %s: it holds more than %d bytes", name, maxFile)
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if head.Version != fileVersion {
		return fmt.Errorf("read %s: it has version %d, and this program knows %d", name, head.Version, fileVersion)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// write replaces a file as a whole, for its owner alone.
func write(name string, v any) (err error) {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(append(text, '\n')); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// patience is how long a change waits for another one.
const patience = 10 * time.Second

var errLocked = errors.New("another command is changing it")

// retry tries until it is done, or the patience ends.
func retry(ctx context.Context, try func() (done bool, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if done, err := try(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return errLocked
		case <-time.After(20 * time.Millisecond):
		}
	}
}
