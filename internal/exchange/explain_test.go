package exchange

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/internal/localissuer"
)

func (w *world) explain(r Request) Report {
	w.t.Helper()
	report, err := w.Explain(w.t.Context(), r)
	w.check(err)
	if report.Outcome.Token != "" || len(report.Steps) != 5 {
		w.t.Fatalf("report %+v", report)
	}
	return report
}

// states are the states of the steps by their first letters.
func (r Report) states() string {
	var s strings.Builder
	for i, step := range r.Steps {
		if step.Number != i+1 {
			return fmt.Sprintf("step %d is %d", i+1, step.Number)
		}
		s.WriteByte(step.State[0])
	}
	return s.String()
}

// differences are what differs, as "step: thing: hint".
func (r Report) differences() (list []string) {
	for _, s := range r.Steps {
		for _, c := range s.Compared {
			if c.Differs {
				list = append(list, s.Name+": "+c.What+": "+c.Hint)
			}
		}
	}
	return list
}

func TestExplainOfAGoodRequest(t *testing.T) {
	w := newWorld(t, options{})
	report := w.explain(w.request())
	if report.Refusal != nil || report.states() != "ppppp" || report.differences() != nil {
		t.Fatalf("%+v", report)
	}
	var claims map[string]any
	w.check(json.Unmarshal(report.Claims, &claims))
	if claims["appid"] != w.clientID || claims["aud"] != arm {
		t.Errorf("claims %v", claims)
	}
}

// Explain refuses for the reason for which Do does, at the step that found it.
func TestExplainAgreesWithDo(t *testing.T) {
	w := newWorld(t, options{})
	slash := strings.TrimSuffix(w.issuer.URL(), "/")
	own, _ := w.mustDo(w.request())
	for _, c := range []struct {
		name        string
		change      func(*Request)
		states      string
		differences []string
	}{
		{"not a JWT", func(r *Request) { r.Assertion = "x" }, "rnnnn", []string{"peek: result: assertion malformed: the token is malformed: not three parts with dots between them"}},
		{"own token", func(r *Request) { r.Assertion = own.Token }, "rnnnn", []string{"peek: result: own token"}},
		{"tenant", func(r *Request) { r.Tenant = "x.example.test" }, "prnnn", []string{"match: tenant: ", "match: client: "}},
		{"client", func(r *Request) { r.ClientID = w.tenant.ID }, "prnnn", []string{"match: client: "}},
		{"no scope", scope(""), "prnnn", []string{"match: result: parameter missing scope"}},
		{"slash", func(r *Request) { r.Assertion = w.mint(localissuer.Token{Issuer: &slash}) }, "prnnn", []string{`match: issuer: the credential's issuer ends with "/", the token's does not`}},
		{"subject and audience", func(r *Request) {
			r.Assertion = w.mint(localissuer.Token{Namespace: "other", Audiences: []string{"x"}})
		}, "prnnn", []string{
			`match: subject: the namespace differs: "default" in the credential, "other" in the token`,
			`match: audience: the audience differs from the first character on: "api://AzureADTokenExchange" in the credential, "x" in the token`,
		}},
		{"expired", func(r *Request) { r.Assertion = w.mint(localissuer.Token{Lifetime: -time.Hour}) }, "pprnn", []string{"verify: expiry: "}},
		{"signature", func(r *Request) { r.Assertion = w.mint(localissuer.Token{BadSignature: true}) }, "pprnn", nil},
		{"secret", func(r *Request) { r.Assertion, r.Secret = "", "x" }, "pprnn", []string{"verify: result: secret wrong"}},
		{"nothing", func(r *Request) { r.Assertion = "" }, "prnnn", []string{"match: result: proof missing"}},
		{"scope", scope("x"), "ppprn", []string{"decide: resource: "}},
		{"resource", scope("api://x/.default"), "ppprn", []string{"decide: result: resource not found"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := w.request(c.change)
			report := w.explain(r)
			_, err := w.Do(t.Context(), r)
			refusal, _ := err.(*Error)
			if refusal == nil || report.Refusal == nil || report.Refusal.Reason != refusal.Reason || report.Claims != nil {
				t.Errorf("Explain says %v, Do %v", report.Refusal, err)
			}
			if got := report.states(); got != c.states {
				t.Errorf("states %s, want %s", got, c.states)
			}
			if diff := cmp.Diff(c.differences, report.differences()); diff != "" && c.differences != nil {
				t.Error(diff)
			}
		})
	}
}
