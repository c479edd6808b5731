package issuer

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const clientClaims = `{"iss":"c","sub":"c","aud":"a","exp":2000000000,"jti":"j"}`

func compact(header, payload string, signature []byte) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode([]byte(header)) + "." + encode([]byte(payload)) + "." + encode(signature)
}

func TestClientAssertion(t *testing.T) {
	const one, two = "000102030405060708090a0b0c0d0e0f10111213", "fbfffefbfffefbfffefbfffefbfffefbfffefbfffefbfffefbfffefbfffefbff"
	for name, c := range map[string]struct {
		header, payload string
		want            ClientAssertion
		malformed       bool
	}{
		"nothing":                   {`{"alg":"RS256"}`, clientClaims, ClientAssertion{ID: "j"}, false},
		"x5t":                       {`{"alg":"RS256","x5t":"AAECAwQFBgcICQoLDA0ODxAREhM"}`, clientClaims, ClientAssertion{ID: "j", SHA1: one}, false},
		"x5t with padding":          {`{"alg":"RS256","x5t":"AAECAwQFBgcICQoLDA0ODxAREhM="}`, clientClaims, ClientAssertion{ID: "j", SHA1: one}, false},
		"x5t#S256":                  {`{"alg":"PS256","x5t#S256":"-__--__--__--__--__--__--__--__--__--__--_8"}`, clientClaims, ClientAssertion{ID: "j", SHA256: two}, false},
		"x5t#S256 in plain base64":  {`{"alg":"PS256","x5t#S256":"+//++//++//++//++//++//++//++//++//++//++/8="}`, clientClaims, ClientAssertion{ID: "j", SHA256: two}, false},
		"both, and a kid":           {`{"alg":"RS256","kid":"` + strings.Repeat("f", 40) + `","x5t":"AAECAwQFBgcICQoLDA0ODxAREhM","x5t#S256":"-__--__--__--__--__--__--__--__--__--__--_8"}`, clientClaims, ClientAssertion{ID: "j", SHA1: one, SHA256: two}, false},
		"kid":                       {`{"alg":"RS256","kid":"` + strings.ToUpper(one) + `"}`, clientClaims, ClientAssertion{ID: "j", SHA1: one}, false},
		"kid that is no thumbprint": {`{"alg":"RS256","kid":"0001"}`, clientClaims, ClientAssertion{ID: "j"}, false},
		"x5t that is no base64":     {`{"alg":"RS256","x5t":"*"}`, clientClaims, ClientAssertion{ID: "j"}, false},
		"x5t with a line break":     {`{"alg":"RS256","x5t":"AAECAwQFBgcICQoLDA0ODxAREhM=\n"}`, clientClaims, ClientAssertion{ID: "j"}, false},
		"no jti":                    {`{"alg":"RS256"}`, `{"iss":"c","sub":"c","aud":"a"}`, ClientAssertion{}, false},
		"x5t that is a number":      {`{"alg":"RS256","x5t":1}`, clientClaims, ClientAssertion{}, true},
		"x5t that is null":          {`{"alg":"RS256","x5t":null}`, clientClaims, ClientAssertion{}, true},
		"jti that is a number":      {`{"alg":"RS256"}`, `{"iss":"c","sub":"c","aud":"a","jti":1}`, ClientAssertion{}, true},
	} {
		token, err := Read(compact(c.header, c.payload, []byte("x")))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := token.ClientAssertion()
		if c.malformed {
			if KindOf(err) != Malformed {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(ClientAssertion{}, "Peeked")); err != nil || diff != "" || got.Issuer != "c" {
			t.Errorf("%s: %v, (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestVerifyClientAssertion(t *testing.T) {
	var keys [2]*rsa.PrivateKey
	for i := range keys {
		var err error
		if keys[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			t.Fatal(err)
		}
	}
	pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	for _, c := range []struct {
		alg     string
		options crypto.SignerOpts
		key     *rsa.PrivateKey
		kind    ErrKind // empty: verified
	}{
		{"RS256", crypto.SHA256, keys[0], ""},
		{"PS256", pss, keys[0], ""},
		{"PS256", &rsa.PSSOptions{SaltLength: 20, Hash: crypto.SHA256}, keys[0], BadSignature},
		{"RS256", pss, keys[0], BadSignature},
		{"PS256", crypto.SHA256, keys[0], BadSignature},
		{"RS256", crypto.SHA256, keys[1], BadSignature},
		{"RS384", crypto.SHA256, keys[0], AlgorithmNotAllowed},
		{"RS512", crypto.SHA256, keys[0], AlgorithmNotAllowed},
		{"ES256", crypto.SHA256, keys[0], AlgorithmNotAllowed},
		{"HS256", crypto.SHA256, keys[0], AlgorithmNotAllowed},
		{"none", crypto.SHA256, keys[0], AlgorithmNotAllowed},
		{"rs256", crypto.SHA256, keys[0], AlgorithmNotAllowed},
	} {
		header := fmt.Sprintf(`{"alg":%q}`, c.alg)
		text := strings.TrimSuffix(compact(header, clientClaims, nil), ".")
		digest := sha256.Sum256([]byte(text))
		signature, err := c.key.Sign(rand.Reader, digest[:], c.options)
		if err != nil {
			t.Fatal(err)
		}
		token, err := Read(compact(header, clientClaims, signature))
		if err != nil {
			t.Fatal(err)
		}
		got, err := token.VerifyClientAssertion(&keys[0].PublicKey)
		if KindOf(err) != c.kind || (err == nil) != (c.kind == "") || got.ID != "j" {
			t.Errorf("%s: %v, want %q", c.alg, err, c.kind)
		}
	}
}
