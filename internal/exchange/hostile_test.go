package exchange

import (
	"crypto"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/localissuer"
	"github.com/entente-id/entente/internal/testkit"
)

// A vector is one hostile token, or a good one that must not be taken for one.
type vector struct {
	ID, Class string
	Header    string // text of the JOSE header; empty: a good one
	Payload   string // text of the claims set; empty: a good one
	Token     string // of <h>, <p> and <s>; empty: <h>.<p>.<s>
	Sign      string // empty: the issuer's key; "attacker": another; "hmac:WHAT": HMAC with the issuer's public key as secret
	Expect    string // accept or reject
	Reason    Reason // of a refusal
	Level     string // must: any correct server does so; policy: a choice of ours
	Note      string
}

// forge writes vectors out for one world. Their placeholders are
//
//	<good> <good-NAME>       members of a good claims set, all or without one
//	<issuer> <host> <subject> <audience> <client> <CLIENT> <kid> <KID>
//	<now+N> <now-N>          seconds since 1970; +2^64 may follow
//	<audiences:N>            N distinct ones, the good one first
//	<byte:HEX>               bytes as they are
//	<repeat:TEXT*N>
//	<attacker-jwk> <attacker-keys> <attacker-kid> <attacker-certificate>
//	<h> <p> <s>              base64url of the three parts; <h1><h2> and so on are halves
//	<s-bits>                 the signature with other unused bits at its end
type forge struct {
	*world
	attacker *localissuer.Issuer
	kid      string
	public   *rsa.PublicKey
	jwk      []byte
}

func newForge(t *testing.T, d *db.DB) *forge {
	f := &forge{world: newWorld(t, options{db: d})}
	var err error
	f.attacker, err = localissuer.New(localissuer.Config{Clock: f.clock.Now})
	f.check(err)
	f.check(f.attacker.Start(t.Context(), "127.0.0.1:0"))
	t.Cleanup(f.attacker.Close)
	key := onlyKey(t, f.issuer)
	f.kid, f.public = key.KeyID, key.Key.(*rsa.PublicKey)
	f.jwk, err = key.MarshalJSON()
	f.check(err)
	return f
}

func onlyKey(t testing.TB, i *localissuer.Issuer) jose.JSONWebKey {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(i.JWKS(), &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("%d keys, %v", len(set.Keys), err)
	}
	return set.Keys[0]
}

var placeholder = regexp.MustCompile(`<(good(-[a-z]+)?|issuer|host|subject|audience|client|CLIENT|kid|KID|attacker-[a-z]+|now[+-]\d+(\+2\^64)?|audiences:\d+|byte:[0-9a-f]+|repeat:[^>]*\*\d+|[hps][12]?|s-bits)>`)

// expand replaces the placeholders of a text; parts are the values of those that only a token has.
func (f *forge) expand(text string, parts map[string]string) string {
	return placeholder.ReplaceAllStringFunc(text, func(whole string) string {
		name := whole[1 : len(whole)-1]
		if value, ok := parts[name]; ok {
			return value
		}
		kind, rest, _ := strings.Cut(name, ":")
		switch {
		case strings.HasPrefix(name, "good"):
			return f.good(strings.TrimPrefix(name, "good-"))
		case strings.HasPrefix(name, "now"):
			offset, wrapped := strings.CutSuffix(name[3:], "+2^64")
			seconds, err := strconv.ParseInt(offset, 10, 64)
			f.check(err)
			at := big.NewInt(f.clock.Now().Unix() + seconds)
			if wrapped {
				at.Add(at, new(big.Int).Lsh(big.NewInt(1), 64))
			}
			return at.String()
		case kind == "repeat":
			at := strings.LastIndexByte(rest, '*')
			n, err := strconv.Atoi(rest[at+1:])
			f.check(err)
			return strings.Repeat(rest[:at], n)
		case kind == "byte":
			raw, err := hex.DecodeString(rest)
			f.check(err)
			return string(raw)
		case kind == "audiences":
			n, err := strconv.Atoi(rest)
			f.check(err)
			list := []string{strconv.Quote(credential.DefaultAudience)}
			for i := range n - 1 {
				list = append(list, fmt.Sprintf(`"other-%d"`, i))
			}
			return strings.Join(list, ",")
		}
		value, ok := map[string]string{
			"issuer": f.issuer.URL(), "host": strings.Trim(strings.TrimPrefix(f.issuer.URL(), "https:"), "/"),
			"subject": f.spec().Subject, "audience": credential.DefaultAudience,
			"client": f.clientID, "CLIENT": strings.ToUpper(f.clientID), "kid": f.kid, "KID": strings.ToUpper(f.kid),
			"attacker-jwk": f.attackerJWK(), "attacker-keys": f.attacker.URL() + "openid/v1/jwks", "attacker-kid": onlyKey(f.t, f.attacker).KeyID,
			"attacker-certificate": base64.StdEncoding.EncodeToString(f.attackerCertificate()),
		}[name]
		if !ok {
			f.t.Fatalf("placeholder %s", whole)
		}
		return value
	})
}

func (f *forge) attackerJWK() string {
	key := onlyKey(f.t, f.attacker)
	data, err := key.MarshalJSON()
	f.check(err)
	return string(data)
}

func (f *forge) attackerCertificate() []byte {
	block, _ := pem.Decode(f.attacker.CAPEM())
	return block.Bytes
}

// good are the members of a good claims set but one.
func (f *forge) good(without string) string {
	now := f.clock.Now().Unix()
	var members []string
	for _, m := range []struct {
		name  string
		value any
	}{
		{"iss", f.issuer.URL()}, {"sub", f.spec().Subject}, {"aud", []string{credential.DefaultAudience}}, {"exp", now + 3600}, {"nbf", now - 60}, {"iat", now - 60},
	} {
		if m.name == without {
			continue
		}
		value, err := json.Marshal(m.value)
		f.check(err)
		members = append(members, fmt.Sprintf("%q:%s", m.name, value))
	}
	return strings.Join(members, ",")
}

// token makes the token of a vector.
func (f *forge) token(v vector) string {
	header := []byte(f.expand(v.Header, nil))
	payload := []byte(f.expand(v.Payload, nil))
	if v.Header == "" && v.ID != "header-empty" {
		header = fmt.Appendf(nil, `{"alg":"RS256","kid":%q}`, f.kid)
	}
	if v.Payload == "" && v.ID != "payload-empty" {
		payload = []byte("{" + f.good("") + "}")
	}
	var signed string
	var err error
	if secret, symmetric := strings.CutPrefix(v.Sign, "hmac:"); symmetric {
		signed = f.hmac(header, payload, secret)
	} else if v.Sign == "attacker" {
		signed, err = f.attacker.Sign(header, payload)
	} else {
		signed, err = f.issuer.Sign(header, payload)
	}
	f.check(err)
	if v.Token == "" {
		return signed
	}
	values := map[string]string{}
	for i, part := range strings.Split(signed, ".") {
		name, half := string("hps"[i]), len(part)/2
		values[name], values[name+"1"], values[name+"2"] = part, part[:half], part[half:]
	}
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	s := values["s"]
	values["s-bits"] = s[:len(s)-1] + string(alphabet[strings.IndexByte(alphabet, s[len(s)-1])+1])
	return f.expand(v.Token, values)
}

// hmac signs with what anybody can know.
func (f *forge) hmac(header, payload []byte, what string) string {
	der, err := x509.MarshalPKIXPublicKey(f.public)
	f.check(err)
	secret := map[string][]byte{
		"der": der, "pem": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "jwk": f.jwk, "modulus": f.public.N.Bytes(), "kid": []byte(f.kid),
	}[what]
	if secret == nil {
		f.t.Fatalf("secret %q", what)
	}
	hash := crypto.SHA256
	for name, h := range map[string]crypto.Hash{`"HS384"`: crypto.SHA384, `"HS512"`: crypto.SHA512} {
		if strings.Contains(string(header), name) {
			hash = h
		}
	}
	e := base64.RawURLEncoding.EncodeToString
	input := e(header) + "." + e(payload)
	mac := hmac.New(hash.New, secret)
	mac.Write([]byte(input))
	return input + "." + e(mac.Sum(nil))
}

// TestHostileTokens runs our own vectors through whole exchanges, on both
// engines, which differ in what texts they take. What is
// refused leaves no token behind and no wish to try again, and no token makes
// anybody but its registered issuer be asked.
func TestHostileTokens(t *testing.T) {
	for file, atLeast := range map[string]int{"claims": 200, "headers": 200} {
		t.Run(file, func(t *testing.T) {
			testkit.Engines(t, func(t *testing.T, d *db.DB) { hostileTokens(t, d, file, atLeast) })
		})
	}
}

func hostileTokens(t *testing.T, d *db.DB, file string, atLeast int) {
	data, err := os.ReadFile("testdata/hostile/" + file + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var corpus struct{ Vectors []vector }
	if err := json.Unmarshal(data, &corpus); err != nil {
		t.Fatal(err)
	}
	if len(corpus.Vectors) < atLeast {
		t.Fatalf("%d vectors", len(corpus.Vectors))
	}
	f := newForge(t, d)
	seen := map[string]bool{}
	for _, v := range corpus.Vectors {
		if seen[v.ID] || v.Level != "must" && v.Level != "policy" || (v.Expect == "reject") != (v.Reason != "") || v.Expect != "accept" && v.Expect != "reject" {
			t.Fatalf("vector %+v", v)
		}
		seen[v.ID] = true
		f.clock.Add(6 * time.Second) // past the cool-down: what is unknown is unknown for certain
		o, err := f.Do(t.Context(), f.request(func(r *Request) { r.Assertion = f.token(v) }))
		if v.Expect == "accept" {
			if err != nil || o.Token == "" {
				t.Errorf("%s: %v (%s)", v.ID, err, v.Note)
			}
			continue
		}
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Reason != v.Reason {
			t.Errorf("%s: %v, want %s (%s)", v.ID, err, v.Reason, v.Note)
		}
		if o.Token != "" || o.TokenID != "" {
			t.Errorf("%s: a token with a refusal", v.ID)
		}
		if ok && e.RetryAfter != 0 {
			t.Errorf("%s: to be tried again after %s", v.ID, e.RetryAfter)
		}
	}
	if discovery, keys := f.attacker.Fetches(); discovery+keys != 0 {
		t.Errorf("the attacker was asked %d times", discovery+keys)
	}
	f.mustDo(f.request())
}
