package exchange

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/issuer"
)

// State says how far a step got.
type State string

// The states of a step.
const (
	Passed     State = "passed"
	Refused    State = "refused"
	NotReached State = "not_reached"
)

// A Report is an exchange as Do takes it, up to the signature, which is not made.
type Report struct {
	Outcome Outcome // without a token
	Steps   []Step  // always five
	Refusal *Error  // nil: a token would be issued
	// Claims are those of the token that would be issued, as JSON; nil if there is a Refusal.
	Claims json.RawMessage
}

// A Step is one of the five.
type Step struct {
	Number   int // 1 to 5
	Name     string
	State    State
	Compared []Compared // in the order of comparing; empty if the step was not reached
}

// Compared is one thing that a step looked at.
type Compared struct {
	What      string
	Want, Got string // Want is empty when nothing was expected in particular
	Differs   bool
	Hint      string // what sets the two apart, in words
}

// Explain takes the steps of Do and tells what each compared. Its report is for
// those who may read the client's credentials: it shows them. The error means
// that the request could not be judged; a refusal is in the report.
func (x *Exchange) Explain(ctx context.Context, req Request) (Report, error) {
	w := x.walk(req)
	w.dry = true
	return w.report(ctx)
}

// report takes the steps of a dry walk.
func (w *walk) report(ctx context.Context) (Report, error) {
	err := w.steps(ctx)
	report := Report{Outcome: w.out}
	if err != nil && !errors.As(err, &report.Refusal) {
		return report, err
	}
	tellMatch, tellVerify, tellSign, problem := w.tellProof(ctx)
	if problem != nil {
		return report, problem
	}
	for i, tell := range []func() []Compared{
		w.tellPeek,
		func() []Compared { return append(w.tellClient(), tellMatch()...) },
		tellVerify,
		w.tellDecide,
		func() []Compared { return append(w.tellSign(), tellSign()...) },
	} {
		s := Step{Number: i + 1, Name: [...]string{"peek", "match", "verify", "decide", "sign"}[i], State: Passed}
		switch at := step(i + 1); {
		case err != nil && at == w.at:
			s.State = Refused
		case at > w.at, err != nil && at == matchStep && w.at == peekStep:
			s.State = NotReached
		}
		if s.State != NotReached {
			s.Compared = tell()
		}
		if s.State == Refused && !slices.ContainsFunc(s.Compared, func(c Compared) bool { return c.Differs }) {
			s.Compared = append(s.Compared, Compared{What: "result", Differs: true, Hint: hint(report.Refusal)})
		}
		report.Steps = append(report.Steps, s)
	}
	if err == nil {
		if report.Claims, err = json.Marshal(&w.claims); err != nil {
			return report, fmt.Errorf("encode claims: %w", err)
		}
	}
	return report, nil
}

// hint is a refusal in words, with its cause.
func hint(e *Error) string {
	text := strings.ReplaceAll(string(e.Reason), "_", " ")
	if e.Parameter != "" {
		text += " " + e.Parameter
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (w *walk) tellPeek() []Compared {
	if p, ok := w.proof.(*presumed); ok {
		return p.tellPeek()
	}
	p := w.out.Assertion
	if p.Issuer == "" {
		return nil
	}
	return []Compared{
		{What: "algorithm", Got: p.Algorithm},
		{What: "key id", Got: p.KeyID},
		{What: "issuer", Got: p.Issuer},
		{What: "subject", Got: p.Subject},
		{What: "audience", Got: strings.Join(p.Audiences, ", ")},
		{What: "issued at", Got: written(p.IssuedAt)},
		{What: "not before", Got: written(p.NotBefore)},
		{What: "expiry", Got: written(p.Expiry)},
	}
}

func written(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// tellProof tells the proof's own part of steps 2, 3 and 5. What it takes
// beyond what Do looked up is looked up here: strangers make Do refuse.
func (w *walk) tellProof(ctx context.Context) (match, verify, sign func() []Compared, err error) {
	nothing := func() []Compared { return nil }
	switch p := w.proof.(type) {
	case *assertion:
		nearest, err := p.nearest(ctx)
		return func() []Compared { return p.tellMatch(nearest) }, p.tellVerify, nothing, err
	case *presumed:
		nearest, err := p.nearest(ctx)
		return func() []Compared { return p.tellMatch(nearest) }, nothing, nothing, err
	case *certificate:
		held, err := w.Directory.CertificatesOf(ctx, w.match)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("list the client's certificates: %w", err)
		}
		return func() []Compared { return p.tellMatch(held) }, p.tellVerify, p.tellSpend, nil
	}
	return nothing, nothing, nothing, nil
}

func (w *walk) tellClient() []Compared {
	m := w.match
	list := []Compared{
		{What: "tenant", Want: m.Tenant.ID, Got: w.req.Tenant, Differs: m.Tenant.ID == ""},
		{What: "client", Want: m.Client.ClientID, Got: w.req.ClientID, Differs: m.Client.PrincipalID == ""},
	}
	if m.Client.PrincipalID == "" {
		return list
	}
	return append(list, Compared{What: "client enabled", Want: "true", Got: fmt.Sprint(m.Client.Enabled), Differs: !m.Client.Enabled})
}

// nearest is the credential that matched or, if none did, the one that comes closest.
func (a *assertion) nearest(ctx context.Context) (credential.Trust, error) {
	if a.out.Assertion.Issuer == "" || a.match.Client.PrincipalID == "" {
		return credential.Trust{}, nil
	}
	trust, err := a.Directory.Nearest(ctx, a.match, claimed(a.out.Assertion))
	if err != nil {
		return trust, fmt.Errorf("find the nearest credential: %w", err)
	}
	return trust, nil
}

func (a *assertion) tellMatch(nearest credential.Trust) []Compared {
	p, m := a.out.Assertion, a.match
	if p.Issuer == "" || m.Client.PrincipalID == "" || m.Miss == credential.NoCredential {
		return nil
	}
	fields := map[credential.Field]*Compared{
		credential.Issuer:    {What: "issuer", Want: nearest.Issuer, Got: p.Issuer},
		credential.Subject:   {What: "subject", Want: nearest.Subject, Got: p.Subject},
		credential.Audiences: {What: "audience", Want: nearest.Audience, Got: strings.Join(p.Audiences, ", ")},
	}
	if m.Miss != credential.Hit {
		_, differences := credential.Nearest([]credential.Trust{nearest}, claimed(p))
		for _, d := range differences {
			fields[d.Field].Differs, fields[d.Field].Hint = true, d.Hint
		}
	}
	return []Compared{*fields[credential.Issuer], *fields[credential.Subject], *fields[credential.Audiences]}
}

// tellTime tells the times of an assertion.
func (w *walk) tellTime() []Compared {
	p := w.out.Assertion
	return []Compared{
		{What: "not before", Want: "at most " + written(w.now.Add(skew)), Got: written(p.NotBefore), Differs: w.now.Before(p.NotBefore.Add(-skew))},
		{What: "expiry", Want: "after " + written(w.now.Add(-skew)), Got: written(p.Expiry), Differs: !w.now.Before(p.Expiry.Add(skew))},
	}
}

func (a *assertion) tellVerify() []Compared {
	p := a.out.Assertion
	return append(a.tellTime(),
		Compared{What: "algorithm", Want: cmp.Or(strings.Join(a.match.Issuer.Algorithms, ", "), issuer.DefaultAlgorithm), Got: p.Algorithm},
		Compared{What: "keys of the issuer", Want: string(a.match.Issuer.KeySource), Got: p.KeyID},
	)
}

func (w *walk) tellDecide() []Compared {
	asked := w.req.Scope
	if w.req.V1 {
		asked = w.req.Resource
	}
	list := []Compared{{What: "resource", Want: w.out.Resource, Got: asked, Differs: w.out.Resource == ""}}
	if w.claims.Version == "" {
		return list
	}
	return append(list,
		Compared{What: "audience of the token", Got: w.claims.Audience},
		Compared{What: "version of the token", Got: w.claims.Version},
		Compared{What: "roles", Got: strings.Join(w.claims.Roles, ", ")},
		Compared{What: "expires in", Got: (time.Duration(w.out.ExpiresIn) * time.Second).String()},
	)
}

func (w *walk) tellSign() []Compared {
	return []Compared{{What: "issuer of the token", Got: w.claims.Issuer}}
}
