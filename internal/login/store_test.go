package login

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const tenant = "11111111-0000-4000-8000-000000000001"

func newStore(t *testing.T) Store {
	t.Helper()
	return Store{filepath.Join(t.TempDir(), "a", "contexts.json")}
}

func (s Store) mustPut(t *testing.T, c Context, secret string) {
	t.Helper()
	if err := s.Update(t.Context(), func(f *Change) error { return f.Put(c, secret) }); err != nil {
		t.Fatal(err)
	}
}

// certify makes a certificate with its key, as PEM.
func certify(t *testing.T) (certificate, both string, parsed *x509.Certificate) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if parsed, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	certificate = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return certificate, certificate + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), parsed
}

func TestStore(t *testing.T) {
	s := newStore(t)
	if c, err := s.Load(); err != nil || len(c.All) != 0 {
		t.Fatalf("nothing: %+v, %v", c, err)
	}
	ca, _, _ := certify(t)
	lab := Context{Name: "lab", URL: "https://lab.example:8443", CA: ca, TenantID: tenant, SubscriptionID: "s", Login: Login{Method: Secret, ClientID: "robot"}}
	work := Context{Name: "work", Cloud: USGovernment, Login: Login{Method: AzureCLI}}
	s.mustPut(t, lab, "open sesame")
	s.mustPut(t, work, "")
	if err := s.Update(t.Context(), func(f *Change) error { f.Current = "lab"; return nil }); err != nil {
		t.Fatal(err)
	}
	got, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Contexts{"lab", []Context{lab, work}}, got); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{s.File, s.secrets()} {
		if info, err := os.Stat(name); err != nil || havePermissions && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if text, _ := os.ReadFile(s.File); strings.Contains(string(text), "sesame") {
		t.Error("a secret stands among the contexts")
	}
	if secret, err := s.Secret(lab); secret != "open sesame" || err != nil {
		t.Errorf("its secret is %q, %v", secret, err)
	}
	// What it was not given for does not get it.
	elsewhere, other := lab, lab
	elsewhere.URL, other.Login.ClientID = "https://evil.example", "somebody"
	for _, c := range []Context{elsewhere, other, work} {
		if secret, err := s.Secret(c); secret != "" || !errors.Is(err, ErrNoSecret) {
			t.Errorf("%+v has the secret %q, %v", c, secret, err)
		}
	}
	// It goes with the login, and it stays with other changes.
	renamed := lab
	renamed.SubscriptionID = "t"
	s.mustPut(t, renamed, "")
	if secret, err := s.Secret(lab); secret != "open sesame" || err != nil {
		t.Errorf("after a change of the subscription the secret is %q, %v", secret, err)
	}
	s.mustPut(t, elsewhere, "")
	if text, _ := os.ReadFile(s.secrets()); strings.Contains(string(text), "sesame") {
		t.Error("a secret stays when its service changes")
	}
	// A change that fails changes nothing, and what changes nothing is not written.
	before, _ := os.Stat(s.File)
	if err := s.Update(t.Context(), func(f *Change) error { f.Remove("lab"); return errors.New("no") }); err == nil {
		t.Error("an error of the change is lost")
	}
	if err := s.Update(t.Context(), func(f *Change) error { return nil }); err != nil {
		t.Error(err)
	}
	if after, _ := os.Stat(s.File); !os.SameFile(before, after) {
		t.Error("the file is written anew for no reason")
	}
	if err := s.Update(t.Context(), func(f *Change) error {
		if !f.Remove("lab") || f.Remove("lab") {
			t.Error("what is removed is not what was there")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if got, err := s.Load(); err != nil || got.Current != "" || len(got.All) != 1 {
		t.Errorf("after its removal: %+v, %v", got, err)
	}
}

func TestChangesAtOneTime(t *testing.T) {
	s := newStore(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			s.mustPut(t, Context{Name: fmt.Sprint("c", i), URL: "https://x.example", Login: Login{Method: Secret, ClientID: "r"}}, "s")
		})
	}
	for range 20 {
		if _, err := s.Load(); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
	c, err := s.Load()
	if err != nil || len(c.All) != 8 {
		t.Errorf("%d contexts, %v", len(c.All), err)
	}
	for _, one := range c.All {
		if _, err := s.Secret(one); err != nil {
			t.Error(err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(s.File), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestLocked(t *testing.T) {
	s := newStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Update(ctx, func(*Change) error {
		cancel()
		return s.Update(ctx, func(*Change) error { t.Error("two changes at one time"); return nil })
	})
	if !errors.Is(err, errLocked) {
		t.Errorf("got %v", err)
	}
}

func TestFilesThatAreNotTaken(t *testing.T) {
	for text, want := range map[string]string{
		`{`:                                 "unexpected end of JSON input",
		`{"version":2,"contexts":[]}`:       "it has version 2, and this program knows 1",
		`{"contexts":[]}`:                   "it has version 0",
		`{"version":1,"contexts":[],"x":1}`: `unknown field "x"`,
		`{"version":1,"contexts":[{"name":"a","url":"https://a"},{"name":"a","url":"https://b"}]}`: `two contexts "a"`,
		`{"version":1,"contexts":[{"name":"a","url":"http://a"}]}`:                                 "not an https URL",
	} {
		s := Store{filepath.Join(t.TempDir(), "c.json")}
		if err := os.WriteFile(s.File, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Load(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
		if err := s.Update(t.Context(), func(*Change) error { return nil }); err == nil {
			t.Errorf("%s: it is changed", text)
		}
	}
	if !havePermissions {
		return
	}
	s := newStore(t)
	c := Context{Name: "a", URL: "https://a.example", Login: Login{Method: Secret, ClientID: "r"}}
	s.mustPut(t, c, "s")
	loose := (*LooseError)(nil)
	if err := os.Chmod(s.secrets(), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Secret(c); !errors.As(err, &loose) || loose.File != s.secrets() {
		t.Errorf("secrets that others can read: %v", err)
	}
	if err := os.Chmod(s.File, 0o622); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(); !errors.As(err, &loose) || loose.File != s.File {
		t.Errorf("contexts that others can write: %v", err)
	}
}

func TestCheck(t *testing.T) {
	ca, both, _ := certify(t)
	for want, c := range map[string]Context{
		"":                                {Name: "a", URL: "https://a.example:1/x", CA: "a comment\n" + ca + ca, Login: Login{Method: Environment}},
		"is not up to 64 letters":         {Name: "../a", URL: "https://a.example"},
		"is the one of a cloud of Azure":  {Name: "AzureCloud", URL: "https://a.example"},
		`name "public" is the one`:        {Name: "public", URL: "https://a.example"},
		`name "usgov" is the one`:         {Name: "usgov", Cloud: "public"},
		"both a cloud and a URL":          {Name: "a", URL: "https://a.example", Cloud: "public"},
		`cloud "mars" is none of public`:  {Name: "a", Cloud: "mars"},
		"has more than a host and a path": {Name: "a", URL: "https://a.example/"},
		"is not an https URL":             {Name: "a"},
		"there is no certificate in it":   {Name: "a", URL: "https://a.example", CA: "nothing"},
		"which is no certificate":         {Name: "a", URL: "https://a.example", CA: both},
		`the method "magic"`:              {Name: "a", Cloud: "public", Login: Login{Method: "magic"}},
		"there is no client id":           {Name: "a", Cloud: "public", Login: Login{Method: Secret}},
		"by certificate: there is no":     {Name: "a", Cloud: "public", Login: Login{Method: Certificate, ClientID: "x"}},
		"token: there is no file":         {Name: "a", Cloud: "public", Login: Login{Method: Federated, ClientID: "x"}},
	} {
		err := c.Check()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%+v: %v, want %q", c, err, want)
		}
	}
}

func TestClouds(t *testing.T) {
	for name, want := range map[string]string{
		"public": Public, "AzureCloud": Public, "AZUREPUBLICCLOUD": Public, "usgov": USGovernment, "AzureUSGovernment": USGovernment,
		"AzureUSGovernmentCloud": USGovernment, "china": China, "AzureChinaCloud": China, "lab": "", "": "",
	} {
		c, ok := Contexts{}.Find(name)
		if c.Name != want || ok != (want != "") || ok && c.Cloud != want {
			t.Errorf("%s: %+v, %v", name, c, ok)
		}
	}
	kept := Contexts{All: []Context{{Name: "public", Cloud: Public, TenantID: "t"}, {Name: "lab", URL: "https://lab.example"}}}
	if c, _ := kept.Find("AzureCloud"); c.TenantID != "t" {
		t.Errorf("what was kept of a cloud is not found: %+v", c)
	}
	if diff := cmp.Diff([]string{"public", "lab", "usgov", "china"}, kept.Names()); diff != "" {
		t.Error(diff)
	}
	if e := kept.All[1].Endpoints(); e.Authority != "https://lab.example" || e.GraphAudience != "https://lab.example" {
		t.Errorf("endpoints %+v", e)
	}
}

func TestDefault(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", "")
	s, err := Default(func(string) string { return "" })
	if err != nil || !strings.HasPrefix(s.File, dir) || !strings.HasSuffix(s.File, filepath.Join("entente", "contexts.json")) {
		t.Errorf("%+v, %v", s, err)
	}
	s, err = Default(func(name string) string { return map[string]string{"ENTENTE_CONFIG": filepath.Join(dir, "x")}[name] })
	if err != nil || s.File != filepath.Join(dir, "x") || s.secrets() != filepath.Join(dir, "x.secrets") {
		t.Errorf("%+v, %v", s, err)
	}
}
