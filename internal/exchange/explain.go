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
	err := w.steps(ctx)
	report := Report{Outcome: w.out}
	if err != nil && !errors.As(err, &report.Refusal) {
		return report, err
	}
	nearest, problem := w.nearest(ctx)
	if problem != nil {
		return report, problem
	}
	for i, tell := range []func() []Compared{w.tellPeek, func() []Compared { return w.tellMatch(nearest) }, w.tellVerify, w.tellDecide, w.tellSign} {
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

// nearest is the credential that matched or, if none did, the one that comes
// closest. Do does not look for that one: strangers make it refuse.
func (w *walk) nearest(ctx context.Context) (credential.Trust, error) {
	if w.out.Assertion.Issuer == "" || w.match.Client.PrincipalID == "" {
		return credential.Trust{}, nil
	}
	trust, err := w.Directory.Nearest(ctx, w.match, claimed(w.out.Assertion))
	if err != nil {
		return trust, fmt.Errorf("find the nearest credential: %w", err)
	}
	return trust, nil
}

func (w *walk) tellMatch(nearest credential.Trust) []Compared {
	m := w.match
	list := []Compared{
		{What: "tenant", Want: m.Tenant.ID, Got: w.req.Tenant, Differs: m.Tenant.ID == ""},
		{What: "client", Want: m.Client.ClientID, Got: w.req.ClientID, Differs: m.Client.PrincipalID == ""},
	}
	if m.Client.PrincipalID == "" {
		return list
	}
	list = append(list, Compared{What: "client enabled", Want: "true", Got: fmt.Sprint(m.Client.Enabled), Differs: !m.Client.Enabled})
	p := w.out.Assertion
	if p.Issuer == "" || m.Miss == credential.NoCredential {
		return list
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
	return append(list, *fields[credential.Issuer], *fields[credential.Subject], *fields[credential.Audiences])
}

func (w *walk) tellVerify() []Compared {
	if w.out.Method == BySecret {
		return nil
	}
	p := w.out.Assertion
	list := []Compared{
		{What: "not before", Want: "at most " + written(w.now.Add(skew)), Got: written(p.NotBefore), Differs: w.now.Before(p.NotBefore.Add(-skew))},
		{What: "expiry", Want: "after " + written(w.now.Add(-skew)), Got: written(p.Expiry), Differs: !w.now.Before(p.Expiry.Add(skew))},
		{What: "algorithm", Want: cmp.Or(strings.Join(w.match.Issuer.Algorithms, ", "), issuer.DefaultAlgorithm), Got: p.Algorithm},
		{What: "keys of the issuer", Want: string(w.match.Issuer.KeySource), Got: p.KeyID},
	}
	return list
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
