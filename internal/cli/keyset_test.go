package cli

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/internal/localissuer"
)

func block(t *testing.T, kind string, der []byte, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func public(t *testing.T, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	return block(t, "PUBLIC KEY", der, err)
}

// A key, and its id as kube-apiserver makes it, which was worked out with
// openssl pkey -pubin -outform DER | openssl dgst -sha256 -binary | basenc --base64url
const (
	knownID  = "wnpNOHUx0zgoO1He6mDP0IqhKzZaiB8IN4yTft9e568"
	knownKey = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAyHA5J43NzBdJF5RtS9WT
kTeTdCnElQuw2Zsf/XHaEs2GBHhGzlMyG4S5aKhc1YCrfHrm5eBz6IlDF3hFOZEm
0YD715lgr1RBuDLYdUdYPgIgnz23TA9OVTZQTYSmhy+b/2f1TQdotjBInb4WVA0v
fYl9O+P/tfFFB9DAukJisf5PGtL3+nqAYy0YVaWxch4hnvHD4XSPo/xLhS2jdxQ+
4dwBMlJ6sVI6F4wa/1CRCVbjNyMMXnxKDJ/Pm/ytjfFFOAraHiGecQ9rrczbyMF6
dpeTdt5PF1lP65xq2ccP/D1WaxWp8UockqLu88cWHrNV+3J11q7nr3GtRA5Dx2AG
bQIDAQAB
-----END PUBLIC KEY-----
`
)

func TestKeysFromPEM(t *testing.T) {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	generate := func(c elliptic.Curve) *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	e256, e384, e521 := generate(elliptic.P256()), generate(elliptic.P384()), generate(elliptic.P521())
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "service accounts"}}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, r.Public(), r)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err8 := x509.MarshalPKCS8PrivateKey(e256)
	sec1, err1 := x509.MarshalECPrivateKey(e256)
	tests := []struct {
		name, text string
		want       []any // public keys
		algorithm  string
		fails      string
	}{
		{name: "RSA", text: public(t, r), want: []any{r.Public()}, algorithm: "RS256"},
		{name: "RSA, the old form", text: block(t, "RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&r.PublicKey), nil), want: []any{r.Public()}, algorithm: "RS256"},
		{name: "a certificate", text: block(t, "CERTIFICATE", certificate, err), want: []any{r.Public()}, algorithm: "RS256"},
		{name: "P-256", text: public(t, e256), want: []any{e256.Public()}, algorithm: "ES256"},
		{name: "P-384", text: public(t, e384), want: []any{e384.Public()}, algorithm: "ES384"},
		{name: "Ed25519", text: public(t, ed), want: []any{ed.Public()}, algorithm: "EdDSA"},
		{name: "several, with text around them", text: "new:\n" + public(t, e256) + "old:\n" + public(t, e256), want: []any{e256.Public(), e256.Public()}, algorithm: "ES256"},
		{name: "P-521", text: public(t, e521), fails: "the curve P-521 is not supported"},
		{name: "a private key", text: public(t, e256) + block(t, "PRIVATE KEY", pkcs8, err8), fails: "private key"},
		{name: "a private key, the old form", text: block(t, "EC PRIVATE KEY", sec1, err1), fails: "private key"},
		{name: "a request", text: block(t, "CERTIFICATE REQUEST", []byte{1}, nil), fails: `"CERTIFICATE REQUEST" is neither`},
		{name: "not DER", text: block(t, "PUBLIC KEY", []byte{1}, nil), fails: "read the PEM block PUBLIC KEY"},
		{name: "cut off", text: public(t, e256)[:80], fails: "it is neither a JSON Web Key Set nor PEM"},
		{name: "nothing", text: "", fails: "it is neither a JSON Web Key Set nor PEM"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			keys, err := keysFromPEM([]byte(tt.text))
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Fatalf("got %s, %v", keys, err)
				}
				if private := strings.Contains(tt.name, "private"); errors.Is(err, errPrivate) != private {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || len(keys) != len(tt.want) {
				t.Fatalf("got %s, %v", keys, err)
			}
			for i, raw := range keys {
				var key jose.JSONWebKey
				if err := json.Unmarshal(raw, &key); err != nil {
					t.Fatal(err)
				}
				if !tt.want[i].(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Key) || key.Algorithm != tt.algorithm || key.Use != "sig" || key.KeyID == "" {
					t.Errorf("got %s", raw)
				}
			}
		})
	}
}

func TestIDOfAKeyIsTheClusters(t *testing.T) {
	keys, err := keysFromPEM([]byte(knownKey))
	if err != nil {
		t.Fatal(err)
	}
	set, err := checkKeySet(json.RawMessage(`{"keys":[` + string(keys[0]) + `]}`))
	if err != nil || len(set.ids) != 1 || set.ids[0] != knownID {
		t.Errorf("%q, %v", set.ids, err)
	}
}

func TestReadKeySet(t *testing.T) {
	issuer, err := localissuer.New(localissuer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		write(t, name, []byte(text))
		return name
	}
	e256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	published := string(issuer.JWKS())
	var first struct{ Keys []struct{ Kid string } }
	if err := json.Unmarshal([]byte(published), &first); err != nil {
		t.Fatal(err)
	}
	kid := first.Keys[0].Kid
	// Members of its own and its spacing stay as they are.
	spaced := strings.Replace(published, `{"keys":[{`, `{ "keys" : [ { "x-note": "kept",`, 1)
	odd := strings.Replace(published, `"keys":[`, `"keys":[{"kty":"oct-like","kid":"odd"},`, 1)
	jwks, pem := file("jwks.json", published), file("sa.pub", public(t, e256))
	tests := []struct {
		name  string
		files []string
		stdin string
		want  string // document; empty: not compared
		ids   int
		notes string
		fails string
	}{
		{name: "a key set", files: []string{jwks}, want: published, ids: 1},
		{name: "from standard input", files: []string{"-"}, stdin: "\n " + spaced + "\n", want: spaced, ids: 1},
		{name: "PEM", files: []string{pem}, ids: 1},
		{name: "both", files: []string{jwks, pem}, ids: 2},
		{name: "a key set and a copy of it", files: []string{jwks, jwks}, ids: 2},
		{name: "a key that nobody can use", files: []string{"-"}, stdin: odd, want: odd, ids: 2, notes: `key 1 of the set (kid "odd") cannot be used: key type "oct-like" is not supported`},
		{name: "no file", files: []string{filepath.Join(dir, "nothing")}, fails: "no such file"},
		{name: "an empty set", files: []string{"-"}, stdin: `{"keys":[]}`, fails: "standard input: no key in it can be used: the set is empty"},
		{name: "no set", files: []string{"-"}, stdin: `{"issuer":"https://x"}`, fails: `standard input: key set: `},
		{name: "half a set", files: []string{"-"}, stdin: `{"keys":[`, fails: `key set: `},
		{name: "only a key that nobody can use", files: []string{"-"}, stdin: `{"keys":[{"kty":"x","kid":"a"}]}`, fails: `key 1 of the set (kid "a") cannot be used`},
		{name: "too long", files: []string{"-"}, stdin: strings.Repeat(" ", maxKeyFile+1), fails: "more than 1 MiB"},
		{name: "a private key", files: []string{"-"}, stdin: strings.Replace(published, `"use":"sig"`, `"use":"sig","d":"AQAB"`, 1), fails: "standard input: there is a private key in it"},
		{name: "a private key beside others", files: []string{jwks, "-"}, stdin: strings.Replace(published, `{"keys":[`, `{"keys":[{"kty":"oct","k":"c2VjcmV0"},`, 1), fails: "there is a private key in it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set, err := readKeySet(tt.files, strings.NewReader(tt.stdin))
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Errorf("got %s, %v", set.document, err)
				}
				if private := strings.Contains(tt.name, "a private key"); errors.Is(err, errPrivate) != private {
					t.Errorf("got %v", err)
				}
				if err != nil && (strings.Contains(err.Error(), "AQAB") || strings.Contains(err.Error(), "c2VjcmV0")) {
					t.Errorf("the error shows the key: %v", err)
				}
				return
			}
			if err != nil || len(set.ids) != tt.ids || strings.Join(set.notes, "\n") != tt.notes {
				t.Fatalf("got %+v, %v", set, err)
			}
			if tt.want != "" && string(set.document) != tt.want {
				t.Errorf("-want +got\n%s", cmp.Diff(tt.want, string(set.document)))
			}
			if tt.files[0] == jwks && set.ids[0] != kid {
				t.Errorf("ids are %q", set.ids)
			}
		})
	}
}
