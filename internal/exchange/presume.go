package exchange

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/issuer"
)

// Presume is Explain for a token of which only the claims are known that
// credentials are matched by. The request's own proof does not count. Step 3 is
// never taken, since there is no signature to look at and no time; the steps
// behind it are taken as if it had passed.
func (x *Exchange) Presume(ctx context.Context, req Request, a credential.Assertion) (Report, error) {
	req.Assertion, req.Secret = "", ""
	w := x.walk(req)
	w.dry = true
	w.out.Method = ByAssertion
	w.proof = &presumed{assertion{walk: w}, a}
	report, err := w.report(ctx)
	if err != nil || report.Steps[verifyStep-1].State == NotReached {
		return report, err
	}
	verify := &report.Steps[verifyStep-1]
	verify.State, verify.Compared = NotReached, []Compared{{What: "signature", Hint: "no signature and no times were looked at: there is no token"}}
	return report, nil
}

// presumed is an assertion that nobody has.
type presumed struct {
	assertion
	claims credential.Assertion
}

func (p *presumed) peek(context.Context) (proof, error) {
	a := p.claims
	audiences := slices.DeleteFunc(slices.Clone(a.Audiences), func(s string) bool { return s == "" })
	p.out.Assertion = issuer.Peeked{Issuer: a.Issuer, Subject: a.Subject, Audiences: audiences}
	for _, claim := range []struct{ name, value string }{{"iss", a.Issuer}, {"sub", a.Subject}, {"aud", strings.Join(audiences, " ")}} {
		switch {
		case claim.value == "":
			return p, p.because(AssertionMalformed, errors.New(claim.name+" is missing"))
		case !utf8.ValidString(claim.value):
			return p, p.because(AssertionMalformed, errors.New(claim.name+" is not UTF-8"))
		case strings.ContainsRune(claim.value, 0):
			return p, p.because(AssertionMalformed, errors.New("NUL in "+claim.name))
		}
	}
	return p, nil
}

func (p *presumed) find(ctx context.Context, clientID string) (directory.Match, error) {
	return p.Directory.MatchCredential(ctx, p.req.Tenant, clientID, claimed(p.out.Assertion))
}

// verify passes nothing that could get a token.
func (p *presumed) verify(context.Context) error {
	if !p.dry {
		return p.refuse(ProofMissing)
	}
	return nil
}

// tellPeek tells the claims; all else about a token is not known.
func (p *presumed) tellPeek() []Compared {
	says := p.out.Assertion
	return []Compared{
		{What: "issuer", Got: says.Issuer},
		{What: "subject", Got: says.Subject},
		{What: "audience", Got: strings.Join(says.Audiences, ", ")},
	}
}
