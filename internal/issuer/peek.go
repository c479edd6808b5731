package issuer

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MaxToken is the longest token that is looked at, in bytes. A service-account token has about 1,000.
const MaxToken = 16 << 10

// Peeked is what a token says about itself. Nothing in it is true before
// Verifier.Verify has returned it.
type Peeked struct {
	Issuer, Subject string   // never empty
	Audiences       []string // at least one, none empty, in the token's order
	KeyID           string   // empty when the header has no kid
	Algorithm       string   // as written; says nothing about being allowed
	Expiry          time.Time
	NotBefore       time.Time
	IssuedAt        time.Time // these three: zero means absent
	SHA256          string    // of the whole token in lower-case hexadecimal: what a log may hold of it
}

// A Token is a token that was read, once and for all: what it says and what its
// signature is over are of the same bytes.
type Token struct {
	parts parts
	says  Peeked
}

// Read reads a token without verifying it. It accepts exactly one spelling of
// one JWS in compact serialization (RFC 7515 section 7.1) with a claims set
// (RFC 7519 section 4): unpadded canonical base64url without line breaks,
// one strict JSON rule in header and payload, claims of the right type. Errors are
// *Error of kind Malformed.
//
// An absent exp is not an error here, so that the caller can name it, but
// Verifier.Verify refuses the token.
func Read(token string) (*Token, error) {
	parts, err := split(token)
	if err != nil {
		return nil, malformed(err)
	}
	says, err := parts.read()
	if err != nil {
		return nil, err
	}
	return &Token{parts, says}, nil
}

// Says is what the token says about itself.
func (t *Token) Says() Peeked { return t.says }

// parts are the three decoded parts of a compact JWS.
type parts struct {
	token                      string
	header, payload, signature []byte
}

func split(token string) (p parts, err error) {
	if len(token) > MaxToken {
		return p, fmt.Errorf("longer than %d bytes", MaxToken)
	}
	texts := strings.SplitN(token, ".", 4)
	if len(texts) != 3 {
		return p, errors.New("not three parts with dots between them")
	}
	p.token = token
	for i, part := range []*[]byte{&p.header, &p.payload, &p.signature} {
		name := [...]string{"header", "payload", "signature"}[i]
		if *part, err = decode(texts[i]); err != nil {
			return p, fmt.Errorf("%s: %w", name, err)
		}
		if i != 1 && len(*part) == 0 {
			return p, fmt.Errorf("%s: empty", name)
		}
	}
	return p, nil
}

// decode reads base64url as RFC 7515 section 2 writes it. Go's decoder skips
// line breaks even when it is strict, so they are looked for first.
func decode(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("line break in base64url")
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, errors.New("not canonical base64url without padding")
	}
	return data, nil
}

// read reads header and payload.
func (p parts) read() (Peeked, error) {
	sum := sha256.Sum256([]byte(p.token))
	peeked := Peeked{SHA256: hex.EncodeToString(sum[:])}
	if err := readHeader(p.header, &peeked); err != nil {
		return Peeked{}, malformed(fmt.Errorf("header: %w", err))
	}
	if err := readClaims(p.payload, &peeked); err != nil {
		return Peeked{}, malformed(fmt.Errorf("payload: %w", err))
	}
	return peeked, nil
}

// readHeader reads alg and kid. Of the other parameters, jwk, jku, x5c and x5u
// are never believed or followed (RFC 8725 section 3.10), crit is refused
// because no extension is understood (RFC 7515 section 4.1.11), b64 because it
// changes what is signed (RFC 7797), and typ must not name another kind of
// token (RFC 8725 section 3.11). Kubernetes writes no typ.
func readHeader(data []byte, p *Peeked) error {
	o, err := parseObject(data)
	if err != nil {
		return err
	}
	if p.Algorithm, err = o.Required("alg"); err != nil {
		return err
	}
	if p.KeyID, _, err = o.Text("kid"); err != nil {
		return err
	}
	for _, name := range []string{"crit", "b64"} {
		if _, present := o.Object[name]; present {
			return fmt.Errorf("parameter %q is not understood", name)
		}
	}
	typ, present, err := o.Text("typ")
	if err != nil {
		return err
	}
	if present && !strings.EqualFold(typ, "JWT") {
		return errors.New(`"typ" is not "JWT"`)
	}
	return nil
}

func readClaims(data []byte, p *Peeked) error {
	o, err := parseObject(data)
	if err != nil {
		return err
	}
	if p.Issuer, err = o.claim("iss"); err != nil {
		return err
	}
	if p.Subject, err = o.claim("sub"); err != nil {
		return err
	}
	if p.Audiences, err = o.audiences(); err != nil {
		return err
	}
	if p.Expiry, err = o.date("exp"); err != nil {
		return err
	}
	if p.NotBefore, err = o.date("nbf"); err != nil {
		return err
	}
	p.IssuedAt, err = o.date("iat")
	return err
}

// claim returns the claim of that name, which must be a string and not empty.
func (o object) claim(name string) (string, error) {
	value, err := o.Required(name)
	if err == nil && value == "" {
		err = fmt.Errorf("%q is empty", name)
	}
	return value, err
}

// audiences returns aud in either of its forms (RFC 7519 section 4.1.3); kube-apiserver writes an array.
func (o object) audiences() ([]string, error) {
	if raw := o.Object["aud"]; len(raw) == 0 || raw[0] != '[' {
		audience, err := o.claim("aud")
		return []string{audience}, err
	}
	audiences, _, err := o.Texts("aud")
	if err == nil && (len(audiences) == 0 || slices.Contains(audiences, "")) {
		err = errors.New(`"aud" is empty`)
	}
	return audiences, err
}

// lastSecond is the end of the year 9999, beyond which times have no text form.
const lastSecond = 253402300799

// date returns the claim of that name in seconds since 1970, which may have a
// fraction (RFC 7519 section 2); zero when it is absent.
func (o object) date(name string) (time.Time, error) {
	raw, present := o.Object[name]
	if !present {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseFloat(string(raw), 64) // of JSON's values only numbers parse
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is not a number of seconds", name)
	}
	if seconds < 0 || seconds > lastSecond {
		return time.Time{}, fmt.Errorf("%q is not between the years 1970 and 9999", name)
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)).UTC(), nil
}
