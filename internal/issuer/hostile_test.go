package issuer

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// hostileVector is one document of an issuer.
type hostileVector struct {
	ID, Class string
	Set       string // text of the key set
	Document  string // text of the discovery document
	Expect    string // of a good token: accept or reject
	Reason    ErrKind
	Level     string // must: any correct reader does so; policy: a choice of ours
	Note      string
}

func hostileVectors(t *testing.T, file string, atLeast int) []hostileVector {
	t.Helper()
	data, err := os.ReadFile("testdata/hostile/" + file + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var corpus struct{ Vectors []hostileVector }
	if err := json.Unmarshal(data, &corpus); err != nil {
		t.Fatal(err)
	}
	if len(corpus.Vectors) < atLeast {
		t.Fatalf("%d vectors", len(corpus.Vectors))
	}
	seen := make(map[string]bool)
	for _, v := range corpus.Vectors {
		if seen[v.ID] || v.Level != "must" && v.Level != "policy" || (v.Expect == "reject") != (v.Reason != "") || v.Expect != "accept" && v.Expect != "reject" {
			t.Fatalf("vector %+v", v)
		}
		seen[v.ID] = true
	}
	return corpus.Vectors
}

var placeholder = regexp.MustCompile(`<(good(-[a-z]+)*|issuer|host|keys|n|n-bits|ec-[xy]|keys:\d+|modulus(-even)?:\d+|byte:[0-9a-f]+|repeat:[^>]*\*\d+)>`)

// expand writes a text of a vector out. Its placeholders are
//
//	<good> <good-NAME>      members of the good key k1, all or without some
//	<n> <n-bits>            its modulus, and the same with other unused bits
//	<ec-x> <ec-y>           a good point of P-256
//	<modulus:N>             another one of N bits; <modulus-even:N>
//	<keys:N>                N other good keys
//	<issuer> <host> <keys>  the issuer's URL, its host with the port, the URL of its key set
//	<byte:HEX>              bytes as they are
//	<repeat:TEXT*N>
func expand(t *testing.T, f *fakeIssuer, text string) string {
	t.Helper()
	n := member(t, f.signers[0], "n")
	number := func(digits string) int {
		value, err := strconv.Atoi(digits)
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	for again := true; again; {
		again = false
		text = placeholder.ReplaceAllStringFunc(text, func(whole string) string {
			kind, rest, _ := strings.Cut(whole[1:len(whole)-1], ":")
			switch {
			case strings.HasPrefix(kind, "good"):
				var members []string
				without := strings.Split(kind, "-")[1:]
				for _, m := range [][2]string{{"kty", "RSA"}, {"kid", "k1"}, {"use", "sig"}, {"alg", "RS256"}, {"n", n}, {"e", "AQAB"}} {
					if !strings.Contains(" "+strings.Join(without, " ")+" ", " "+m[0]+" ") {
						members = append(members, fmt.Sprintf("%q:%q", m[0], m[1]))
					}
				}
				return strings.Join(members, ",")
			case kind == "keys" && rest != "":
				var keys []string
				for i := range number(rest) {
					keys = append(keys, fmt.Sprintf(`{"kty":"RSA","kid":"other-%d","n":%q,"e":"AQAB"}`, i, n))
				}
				return strings.Join(keys, ",")
			case kind == "modulus" && number(rest) < 4:
				return "AQ"
			case kind == "modulus":
				return modulus(number(rest))
			case kind == "modulus-even":
				odd, err := base64.RawURLEncoding.DecodeString(modulus(number(rest)))
				if err != nil {
					t.Fatal(err)
				}
				return base64.RawURLEncoding.EncodeToString(new(big.Int).Sub(new(big.Int).SetBytes(odd), big.NewInt(1)).Bytes())
			case kind == "byte":
				raw, err := hex.DecodeString(rest)
				if err != nil {
					t.Fatal(err)
				}
				return string(raw)
			case kind == "repeat":
				at := strings.LastIndexByte(rest, '*')
				return strings.Repeat(rest[:at], number(rest[at+1:]))
			}
			ec := newSigner(t, "e1", "ES256")
			return map[string]string{
				"issuer": f.url, "host": strings.TrimPrefix(f.server.URL, "https://"), "keys": f.server.URL + "/keys",
				"n": n, "n-bits": n[:len(n)-1] + string(n[len(n)-1]+1), "ec-x": member(t, ec, "x"), "ec-y": member(t, ec, "y"),
			}[kind]
		})
	}
	return text
}

// sound says whether err is what a vector wants.
func (v hostileVector) sound(err error) bool {
	return v.Expect == "accept" && err == nil || v.Expect == "reject" && err != nil && KindOf(err) == v.Reason
}

// TestHostileKeySets: what a key set makes of a good token, fetched and uploaded.
func TestHostileKeySets(t *testing.T) {
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	token := f.token()
	for _, vector := range hostileVectors(t, "keysets", 150) {
		set := []byte(expand(t, f, vector.Set))
		uploaded := f.source()
		uploaded.Kind, uploaded.KeySet = Uploaded, set
		v, _ := newVerifier(t, Config{})
		if _, err := verify(v, t.Context(), uploaded, token); !vector.sound(err) {
			t.Errorf("%s, uploaded: %v, want %s %s (%s)", vector.ID, err, vector.Expect, vector.Reason, vector.Note)
		}
		if vector.Class == "private" && vector.Level == "must" {
			if _, problems, _ := ParseKeySet(set); len(problems) != 1 || !problems[0].Private {
				t.Errorf("%s: nobody is told of the secret: %+v", vector.ID, problems)
			}
		}
		if vector.Class != "document" && vector.Class != "good" {
			continue // the same bytes go the same way
		}
		f.publishRaw(set)
		if _, err := verify(v, t.Context(), f.source(), token); !vector.sound(err) {
			t.Errorf("%s, fetched: %v, want %s %s (%s)", vector.ID, err, vector.Expect, vector.Reason, vector.Note)
		}
	}
}

// TestHostileDiscovery: what a discovery document makes of a good token.
func TestHostileDiscovery(t *testing.T) {
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	token := f.token()
	for _, vector := range hostileVectors(t, "discovery", 100) {
		f.mu.Lock()
		f.document, f.discovery, f.keys = []byte(expand(t, f, vector.Document)), 0, 0
		f.mu.Unlock()
		v, _ := newVerifier(t, Config{})
		if _, err := verify(v, t.Context(), f.source(), token); !vector.sound(err) {
			t.Errorf("%s: %v, want %s %s (%s)", vector.ID, err, vector.Expect, vector.Reason, vector.Note)
		}
		f.mu.Lock()
		if f.discovery != 1 && vector.ID != "keys-discovery" && vector.ID != "keys-not-found" || f.keys != 0 && vector.Expect == "reject" {
			t.Errorf("%s: asked %d+%d times", vector.ID, f.discovery, f.keys)
		}
		f.mu.Unlock()
	}
}

// answers is an HTTP transport that answers every request with one document.
type answers []byte

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(a)), Request: r}, nil
}

// TestDiscoveryIssuerOneByteOff: an issuer that differs in any one byte is another one.
func TestDiscoveryIssuerOneByteOff(t *testing.T) {
	const issuer = "https://issuer.example/t1/"
	discover := func(named string) error {
		document, err := json.Marshal(map[string]string{"issuer": named, "jwks_uri": "https://issuer.example/keys"})
		if err != nil {
			t.Fatal(err)
		}
		return new(Report).discover(t.Context(), &http.Client{Transport: answers(document)}, issuer)
	}
	wantKind(t, discover(issuer), "")
	for i := range issuer {
		for _, named := range []string{
			issuer[:i] + issuer[i+1:],
			issuer[:i] + issuer[i:i+1] + issuer[i:],
			issuer[:i] + string(issuer[i]^0x20) + issuer[i+1:],
			issuer[:i] + string(issuer[i]^1) + issuer[i+1:],
			issuer[:i] + "\u200b" + issuer[i:],
		} {
			if named != issuer {
				wantKind(t, discover(named), map[bool]ErrKind{false: IssuerMismatch, true: InvalidDocument}[strings.Contains(named, "\x00")])
			}
		}
	}
}

// TestDiscoveryReadsJSONTestSuite: no text of the suite is a discovery document, and none panics.
func TestDiscoveryReadsJSONTestSuite(t *testing.T) {
	data, err := os.ReadFile("../strictjson/testdata/jsontestsuite/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases map[string][]byte
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for name, text := range cases {
		wrapped := fmt.Appendf(nil, `{"issuer":"https://issuer.example/","jwks_uri":"https://issuer.example/keys","x":%s}`, text)
		for i, document := range [][]byte{text, wrapped} {
			err := new(Report).discover(t.Context(), &http.Client{Transport: answers(document)}, "https://issuer.example/")
			refuse := i == 0 || !json.Valid(document) || strings.Contains(name, "same_key") || strings.Contains(name, "duplicated_key")
			if refuse && err == nil || err != nil && KindOf(err) != InvalidDocument {
				t.Errorf("%s: %v for %.200s", name, err, document)
			}
		}
	}
}

// TestHangingIssuersOfOneTenantHoldUpNoOther: however many issuers of one
// tenant hang, the first token of another tenant's is verified.
func TestHangingIssuersOfOneTenantHoldUpNoOther(t *testing.T) {
	asked := make(chan struct{}, 5*maxFetches)
	release := make(chan struct{})
	hanging := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	}))
	f := newFakeIssuer(t, newSigner(t, "k1", "RS256"))
	v, _ := newVerifier(t, Config{})
	token := newSigner(t, "k1", "RS256").sign(t, claims(hanging.URL), nil)
	var waiting sync.WaitGroup
	for i := range 5 * maxFetches {
		src := Source{TenantID: "hostile", ID: fmt.Sprint(i), URL: hanging.URL, Kind: JWKSURI, JWKSURI: hanging.URL, CAPEM: newAuthority().pem}
		waiting.Go(func() {
			if _, err := verify(v, context.Background(), src, token); err == nil {
				t.Error("a hanging issuer's token verifies")
			}
		})
	}
	for range maxShare {
		<-asked
	}
	_, err := verify(v, t.Context(), f.source(), f.token())
	wantKind(t, err, "")
	if len(asked) != 0 {
		t.Errorf("%d issuers of one tenant are asked at one time", maxShare+len(asked))
	}
	close(release)
	waiting.Wait()
}
