package issuer

import (
	"crypto/rsa"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A ClientAssertion is what a token says that a client signed itself, with the
// private key of a certificate (RFC 7523 section 3;
// https://learn.microsoft.com/entra/identity-platform/certificate-credentials).
type ClientAssertion struct {
	Peeked
	ID string // jti; empty when the token has none
	// SHA1 and SHA256 are the thumbprints by which the header names the
	// certificate, in lower-case hexadecimal; empty when it does not.
	SHA1, SHA256 string
}

// ClientAlgorithms are the signature algorithms of client assertions.
var ClientAlgorithms = []string{"RS256", "PS256"}

// ClientAssertion reads on in a token as a client assertion, without verifying
// it. The thumbprints stand in x5t and x5t#S256 (RFC 7515 sections 4.1.7 and
// 4.1.8), which some clients write in plain base64 and with padding; a kid that
// is a SHA-1 thumbprint in hexadecimal counts when both are absent.
func (t *Token) ClientAssertion() (ClientAssertion, error) {
	a := ClientAssertion{Peeked: t.Says()}
	header, err := parseObject(t.parts.header)
	if err != nil {
		return a, malformed(fmt.Errorf("header: %w", err))
	}
	for name, to := range map[string]*string{"x5t": &a.SHA1, "x5t#S256": &a.SHA256} {
		text, _, err := header.Text(name)
		if err != nil {
			return a, malformed(fmt.Errorf("header: %w", err))
		}
		*to = thumbprint(text)
	}
	if _, err := hex.DecodeString(a.KeyID); err == nil && len(a.KeyID) == 2*sha1.Size && a.SHA1 == "" && a.SHA256 == "" {
		a.SHA1 = strings.ToLower(a.KeyID)
	}
	claims, err := parseObject(t.parts.payload)
	if err != nil {
		return a, malformed(fmt.Errorf("payload: %w", err))
	}
	if a.ID, _, err = claims.Text("jti"); err != nil {
		return a, malformed(fmt.Errorf("payload: %w", err))
	}
	return a, nil
}

// thumbprint turns base64 of either alphabet into hexadecimal; what is none names no certificate.
func thumbprint(text string) string {
	text = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(text, "="))
	data, err := decode(text)
	if err != nil {
		return ""
	}
	return hex.EncodeToString(data)
}

// VerifyClientAssertion reads a token as a client assertion and checks that the
// private half of a key signed it. It looks at no key and no certificate that
// the token itself carries. Times, names and whether it was used before are for
// the caller to judge. Errors are *Error.
func (t *Token) VerifyClientAssertion(public *rsa.PublicKey) (ClientAssertion, error) {
	a, err := t.ClientAssertion()
	if err != nil {
		return a, err
	}
	if !slices.Contains(ClientAlgorithms, a.Algorithm) {
		return a, &Error{Kind: AlgorithmNotAllowed, KeyID: a.KeyID, Algorithm: a.Algorithm, Detail: fmt.Sprintf("algorithm %.80q is not one of %s", a.Algorithm, strings.Join(ClientAlgorithms, ", "))}
	}
	err = Key{Type: "RSA", Bits: public.N.BitLen(), public: public}.verify(t.parts, a.Algorithm)
	if e, ok := errors.AsType[*Error](err); ok && e.Kind == BadSignature {
		e.Detail = "the certificate's key did not sign the token"
	}
	return a, err
}
