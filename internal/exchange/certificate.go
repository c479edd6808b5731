package exchange

import (
	"cmp"
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/issuer"
)

const (
	// longestAssertion is how far ahead an assertion may expire that a client
	// signed: that is how long it has to be remembered.
	longestAssertion = 24 * time.Hour
	// remembered is how much longer than it is accepted a used assertion is
	// remembered, for replicas whose clocks differ.
	remembered = time.Hour
)

// A certificate is an assertion that the client signed with the private key of
// one of its certificates, or of its service principal's (RFC 7523 section 3;
// https://learn.microsoft.com/entra/identity-platform/certificate-credentials).
// It counts once for each resource: RFC 7523 lets a jti count once, but MSAL for
// Python presents one assertion for ten minutes, wherever it needs a token.
type certificate struct {
	*walk
	token   *issuer.Token
	claimed issuer.ClientAssertion
	found   directory.Certificate
	result  directory.CertificateResult
	names   []string // that aud may be
	used    bool     // for the resource, before this
}

func (c *certificate) peek(context.Context) (_ proof, err error) {
	if c.claimed, err = c.token.ClientAssertion(); err != nil {
		return c, c.because(AssertionMalformed, err)
	}
	if c.claimed.ID == "" {
		return c, c.because(AssertionMalformed, errors.New("jti is missing"))
	}
	return c, nil
}

func (c *certificate) find(ctx context.Context, clientID string) (m directory.Match, err error) {
	m, c.found, c.result, err = c.Directory.MatchCertificate(ctx, c.req.Tenant, clientID, c.claimed.SHA1, c.claimed.SHA256)
	c.names = c.assertionAudiences(m.Tenant)
	return m, err
}

// assertionAudiences are the names of the tenant that its discovery documents
// publish under each of our base URLs: the token endpoints and the issuers,
// each by the tenant's id and by its domain, and folded.
func (x *Exchange) assertionAudiences(t directory.Tenant) (names []string) {
	for _, base := range append([]string{x.IssuerURL}, x.OwnAudiences...) {
		for _, tenant := range []string{t.ID, t.Domain} {
			if tenant == "" {
				continue
			}
			root := foldName(base) + "/" + strings.ToLower(tenant)
			names = append(names, root+"/oauth2/v2.0/token", root+"/oauth2/token", root+"/v2.0", root)
		}
	}
	return names
}

func (c *certificate) matched() error {
	if err := c.named(); err != nil {
		return err
	}
	switch c.result {
	case directory.CertificateUnknown:
		return c.refuse(CertificateNotFound)
	case directory.CertificateExpired:
		return c.refuse(CertificateExpired)
	}
	c.out.CredentialID = c.found.ID
	return nil
}

// named judges iss, sub and aud.
func (c *certificate) named() error {
	switch {
	case !c.forClient():
		return c.refuse(CertificateSubject)
	case !c.forTenant():
		return c.refuse(CertificateAudience)
	}
	return nil
}

func (c *certificate) forClient() bool {
	id := c.match.Client.ClientID
	return strings.EqualFold(c.claimed.Issuer, id) && strings.EqualFold(c.claimed.Subject, id)
}

// forTenant wants exactly one audience (draft-ietf-oauth-rfc7523bis).
func (c *certificate) forTenant() bool {
	return len(c.claimed.Audiences) == 1 && slices.Contains(c.names, foldName(c.claimed.Audiences[0]))
}

// inTime judges exp and nbf; unlike others' tokens this one must not last.
func (c *certificate) inTime() error {
	if err := c.walk.inTime(); err != nil {
		return err
	}
	if c.claimed.Expiry.After(c.now.Add(longestAssertion + skew)) {
		return c.refuse(AssertionLasting)
	}
	return nil
}

func (c *certificate) verify(context.Context) error {
	if err := c.inTime(); err != nil {
		return err
	}
	parsed, err := x509.ParseCertificate(c.found.DER)
	if err != nil {
		return fmt.Errorf("certificate %q: %w", c.found.ID, err)
	}
	public, ok := parsed.PublicKey.(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("certificate %q: a key of type %T", c.found.ID, parsed.PublicKey)
	}
	verified, err := c.token.VerifyClientAssertion(public)
	if issuer.KindOf(err) == issuer.BadSignature {
		return c.because(CertificateSignature, err)
	}
	if err != nil {
		return c.unverified(err)
	}
	// As with a trusted issuer's: what was matched was read before the signature was checked.
	c.claimed, c.out.Assertion = verified, verified.Peeked
	if err := c.named(); err != nil {
		return err
	}
	if (verified.SHA1 != "" && verified.SHA1 != c.found.SHA1) || (verified.SHA256 != "" && verified.SHA256 != c.found.SHA256) || verified.ID == "" {
		return c.because(AssertionMalformed, errors.New("the verified header names another certificate"))
	}
	return c.inTime()
}

func (c *certificate) spend(ctx context.Context) (err error) {
	client, digest := c.out.Client.ClientID, c.digest()
	if c.dry {
		c.used, err = c.Directory.AssertionSpent(ctx, client, digest)
	} else {
		var fresh bool
		fresh, err = c.Directory.SpendAssertion(ctx, client, digest, c.claimed.Expiry.Add(skew+remembered))
		c.used = !fresh
	}
	switch {
	case err != nil:
		return fmt.Errorf("remember the assertion: %w", err)
	case c.used:
		return c.refuse(AssertionSpent)
	}
	return nil
}

// digest stands for the one use of the assertion: its jti and the resource,
// under one of its names and in one spelling.
func (c *certificate) digest() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q for %q", c.claimed.ID, cmp.Or(c.resource.appID, foldName(c.claims.Audience))))
	return hex.EncodeToString(sum[:])
}

// refuse says which certificate was named.
func (c *certificate) refuse(reason Reason) *Error { return c.because(reason, nil) }

func (c *certificate) because(reason Reason, err error) *Error {
	e := c.walk.because(reason, err)
	e.Thumbprint = strings.ToUpper(cmp.Or(c.claimed.SHA1, c.claimed.SHA256))
	return e
}

// tellMatch tells what was compared with the client and the certificates that it holds.
func (c *certificate) tellMatch(held []directory.Certificate) []Compared {
	id := c.match.Client.ClientID
	if id == "" {
		return nil
	}
	p := c.claimed
	list := []Compared{
		{What: "subject", Want: id, Got: p.Subject, Differs: !c.forClient()},
		{What: "audience", Want: strings.Join(c.names, " or "), Got: strings.Join(p.Audiences, ", "), Differs: !c.forTenant()},
	}
	named := Compared{What: "certificate", Got: strings.ToUpper(cmp.Or(p.SHA1, p.SHA256)), Differs: c.result != directory.CertificateOK}
	var known []string
	for _, h := range held {
		thumbprint := h.SHA1
		if p.SHA1 == "" {
			thumbprint = h.SHA256
		}
		known = append(known, strings.ToUpper(thumbprint))
	}
	named.Want = strings.Join(known, " or ")
	switch c.result {
	case directory.CertificateUnknown:
		named.Hint = fmt.Sprintf("none of the client's %d certificates has this thumbprint", len(held))
	case directory.CertificateExpired:
		named.Hint = fmt.Sprintf("it counts from %s to %s", written(c.found.Start), written(c.found.End))
	}
	return append(list, named)
}

func (c *certificate) tellVerify() []Compared {
	list := c.tellTime()
	if latest := c.now.Add(longestAssertion + skew); c.claimed.Expiry.After(latest) {
		list[1].Want, list[1].Differs = "at most "+written(latest), true
	}
	allowed := issuer.ClientAlgorithms
	return append(list, Compared{What: "algorithm", Want: strings.Join(allowed, " or "), Got: c.claimed.Algorithm, Differs: !slices.Contains(allowed, c.claimed.Algorithm)})
}

func (c *certificate) tellSpend() []Compared {
	jti := Compared{What: "jti", Want: "one that is new for the resource", Got: c.claimed.ID, Differs: c.used}
	if c.used {
		jti.Hint = "the client has used it for this resource before"
	}
	return []Compared{jti}
}
