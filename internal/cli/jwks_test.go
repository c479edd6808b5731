package cli

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
)

// The document is azwi's to the byte: members, their order, indentation, no line
// break at the end.
func TestJWKS(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "sa.pub")
	write(t, file, []byte(knownKey))
	const want = `{
  "keys": [
    {
      "use": "sig",
      "kty": "RSA",
      "kid": "` + knownID + `",
      "alg": "RS256",
      "n": "yHA5J43NzBdJF5RtS9WTkTeTdCnElQuw2Zsf_XHaEs2GBHhGzlMyG4S5aKhc1YCrfHrm5eBz6IlDF3hFOZEm0YD715lgr1RBuDLYdUdYPgIgnz23TA9OVTZQTYSmhy-b_2f1TQdotjBInb4WVA0vfYl9O-P_tfFFB9DAukJisf5PGtL3-nqAYy0YVaWxch4hnvHD4XSPo_xLhS2jdxQ-4dwBMlJ6sVI6F4wa_1CRCVbjNyMMXnxKDJ_Pm_ytjfFFOAraHiGecQ9rrczbyMF6dpeTdt5PF1lP65xq2ccP_D1WaxWp8UockqLu88cWHrNV-3J11q7nr3GtRA5Dx2AGbQ",
      "e": "AQAB"
    }
  ]
}`
	for _, program := range []string{"azwi", "entente"} {
		code, out, errs := called(t, program, "jwks", "--public-keys", file, "--debug")
		if code != 0 || errs != "" {
			t.Fatalf("%s: %d, %s", program, code, errs)
		}
		if diff := cmp.Diff(want, out); diff != "" {
			t.Error(diff)
		}
	}
	result := filepath.Join(dir, "jwks.json")
	if code, out, errs := called(t, "azwi", "jwks", "--public-keys", file, "--output-file", result); code != 0 || out+errs != "" {
		t.Errorf("%d, %s%s", code, out, errs)
	}
	text, err := os.ReadFile(result)
	info, err2 := os.Stat(result)
	if err != nil || err2 != nil || string(text) != want || info.Mode().Perm() != 0o600 {
		t.Errorf("%s, %v, %v, %v", text, info, err, err2)
	}
}

// Every kind of file that kube-apiserver reads, several at once, and of private keys
// the public part.
func TestJWKSOfFiles(t *testing.T) {
	dir := t.TempDir()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	curve := func(c elliptic.Curve) *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	e256, e384, e521 := curve(elliptic.P256()), curve(elliptic.P384()), curve(elliptic.P521())
	pkcs8, err8 := x509.MarshalPKCS8PrivateKey(r)
	sec1, err1 := x509.MarshalECPrivateKey(e256)
	for name, text := range map[string]string{
		"rsa.key": block(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r), nil), "rsa8.key": block(t, "PRIVATE KEY", pkcs8, err8), "rsa.pub": public(t, r),
		"ec.key": block(t, "EC PARAMETERS", []byte{6, 0}, nil) + block(t, "EC PRIVATE KEY", sec1, err1), "ec.pub": public(t, e384) + "\n" + public(t, e521),
		"none": "no key\n", "torn": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
	} {
		write(t, filepath.Join(dir, name), []byte(text))
	}
	for _, tt := range []struct {
		files string
		want  []crypto.PublicKey
		alg   string
		fails string
	}{
		{files: "rsa.key,rsa8.key,rsa.pub", want: []crypto.PublicKey{r.Public(), r.Public(), r.Public()}, alg: "RS256 RS256 RS256"},
		{files: "ec.key,ec.pub", want: []crypto.PublicKey{e256.Public(), e384.Public(), e521.Public()}, alg: "ES256 ES384 ES512"},
		{files: "rsa.pub,none", fails: "none: there is no key in PEM in it"},
		{files: "torn", fails: "torn: read the PEM block PUBLIC KEY"},
	} {
		var files []string
		for name := range strings.SplitSeq(tt.files, ",") {
			files = append(files, filepath.Join(dir, name))
		}
		code, out, errs := called(t, "azwi", "jwks", "--public-keys", strings.Join(files, ","))
		if tt.fails != "" {
			if code != 1 || !strings.Contains(errs, tt.fails) {
				t.Errorf("%s: %d, %s", tt.files, code, errs)
			}
			continue
		}
		var set jose.JSONWebKeySet
		if err := json.Unmarshal([]byte(out), &set); err != nil || code != 0 || len(set.Keys) != len(tt.want) {
			t.Fatalf("%s: %d, %s%s, %v", tt.files, code, out, errs, err)
		}
		var algs []string
		for i, key := range set.Keys {
			algs = append(algs, key.Algorithm)
			if !key.IsPublic() || !tt.want[i].(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Key) {
				t.Errorf("%s: key %d is another", tt.files, i)
			}
		}
		if got := strings.Join(algs, " "); got != tt.alg {
			t.Errorf("%s: %s", tt.files, got)
		}
	}
}
