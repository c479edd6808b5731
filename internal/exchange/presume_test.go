package exchange

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/issuer"
	"github.com/entente-id/entente/internal/localissuer"
)

func (w *world) presume(r Request, a credential.Assertion) Report {
	w.t.Helper()
	report, err := w.Presume(w.t.Context(), r, a)
	w.check(err)
	if report.Outcome.Token != "" || report.Outcome.TokenID != "" || len(report.Steps) != 5 {
		w.t.Fatalf("report %+v", report)
	}
	return report
}

// trusted are the claims of the world's own token.
func (w *world) trusted() credential.Assertion {
	w.t.Helper()
	token, err := issuer.Read(w.request().Assertion)
	w.check(err)
	return claimed(token.Says())
}

func TestPresume(t *testing.T) {
	w := newWorld(t, options{})
	good := w.trusted()
	for _, c := range []struct {
		name        string
		request     func(*Request)
		claims      func(*credential.Assertion)
		states      string
		reason      Reason
		differences []string
	}{
		{name: "all fits", states: "ppnpp"},
		{name: "slash", claims: func(a *credential.Assertion) { a.Issuer = strings.TrimSuffix(a.Issuer, "/") }, states: "prnnn", reason: IssuerMiss,
			differences: []string{`match: issuer: the credential's issuer ends with "/", the token's does not`}},
		{name: "case", claims: func(a *credential.Assertion) { a.Subject = strings.ToUpper(a.Subject) }, states: "prnnn", reason: SubjectCaseMiss,
			differences: []string{"match: subject: upper and lower case letters differ in the subject, from character 1 on"}},
		{name: "two audiences", claims: func(a *credential.Assertion) { a.Audiences = append(a.Audiences, "x") }, states: "prnnn", reason: AudienceMiss,
			differences: []string{"match: audience: the token has 2 audiences, and one is accepted"}},
		{name: "an empty audience is none", claims: func(a *credential.Assertion) { a.Audiences = append(a.Audiences, "") }, states: "ppnpp"},
		{name: "no issuer", claims: func(a *credential.Assertion) { a.Issuer = "" }, states: "rnnnn", reason: AssertionMalformed,
			differences: []string{"peek: result: assertion malformed: iss is missing"}},
		{name: "no subject", claims: func(a *credential.Assertion) { a.Subject = "" }, states: "rnnnn", reason: AssertionMalformed,
			differences: []string{"peek: result: assertion malformed: sub is missing"}},
		{name: "no audience", claims: func(a *credential.Assertion) { a.Audiences = nil }, states: "rnnnn", reason: AssertionMalformed,
			differences: []string{"peek: result: assertion malformed: aud is missing"}},
		{name: "NUL", claims: func(a *credential.Assertion) { a.Subject += "\x00" }, states: "rnnnn", reason: AssertionMalformed,
			differences: []string{"peek: result: assertion malformed: NUL in sub"}},
		{name: "not UTF-8", claims: func(a *credential.Assertion) { a.Issuer += "\xff" }, states: "rnnnn", reason: AssertionMalformed,
			differences: []string{"peek: result: assertion malformed: iss is not UTF-8"}},
		{name: "tenant", request: func(r *Request) { r.Tenant = "x.example.test" }, states: "prnnn", reason: TenantNotFound,
			differences: []string{"match: tenant: ", "match: client: "}},
		{name: "client", request: func(r *Request) { r.ClientID = w.tenant.ID }, states: "prnnn", reason: ClientNotFound, differences: []string{"match: client: "}},
		{name: "scope", request: scope("x"), states: "ppnrn", reason: ScopeInvalid, differences: []string{"decide: resource: "}},
		{name: "resource", request: scope("api://x/.default"), states: "ppnrn", reason: ResourceNotFound, differences: []string{"decide: result: resource not found"}},
		{name: "a proof of its own does not count", request: func(r *Request) { r.Secret = "x" }, states: "ppnpp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, a := w.request(), good
			a.Audiences = append([]string(nil), good.Audiences...)
			if c.request != nil {
				c.request(&r)
			}
			if c.claims != nil {
				c.claims(&a)
			}
			report := w.presume(r, a)
			if got := report.states(); got != c.states {
				t.Errorf("states %s, want %s", got, c.states)
			}
			var reason Reason
			if report.Refusal != nil {
				reason = report.Refusal.Reason
			}
			if reason != c.reason || (report.Claims == nil) != (c.reason != "") {
				t.Errorf("refused for %q, want %q; claims %s", reason, c.reason, report.Claims)
			}
			if diff := cmp.Diff(c.differences, report.differences()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What is presumed gets the claims that the real token would get, and nothing is fetched.
func TestPresumeAgreesWithExplain(t *testing.T) {
	w := newWorld(t, options{})
	presumed := w.presume(w.request(), w.trusted())
	if discovery, keys := w.issuer.Fetches(); discovery+keys > 0 {
		t.Errorf("%d and %d fetches", discovery, keys)
	}
	if verify := presumed.Steps[2]; len(verify.Compared) != 1 || verify.Compared[0].Hint == "" {
		t.Errorf("step 3: %+v", verify)
	}
	if presumed.Outcome.CredentialID == "" || presumed.Outcome.Method != ByAssertion {
		t.Errorf("outcome %+v", presumed.Outcome)
	}
	if diff := cmp.Diff(fixed(t, w.explain(w.request())), fixed(t, presumed)); diff != "" {
		t.Error(diff)
	}
	for _, subject := range []string{"other", ""} {
		token := w.request(func(r *Request) {
			r.Assertion = w.mint(localissuer.Token{Namespace: "x", ServiceAccount: "y" + subject})
		})
		read, err := issuer.Read(token.Assertion)
		w.check(err)
		real, presumed := w.explain(token), w.presume(token, claimed(read.Says()))
		if diff := cmp.Diff(real.Steps[1], presumed.Steps[1]); diff != "" || real.Refusal.Reason != presumed.Refusal.Reason {
			t.Errorf("%v and %v: %s", real.Refusal, presumed.Refusal, diff)
		}
	}
}

// fixed are a report's claims without those that are new each time.
func fixed(t *testing.T, r Report) map[string]any {
	t.Helper()
	var claims map[string]any
	if err := json.Unmarshal(r.Claims, &claims); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"uti", "rh", "aio", "iat", "nbf", "exp"} {
		delete(claims, name)
	}
	return claims
}

// Should a presumed assertion ever walk with its signature, it is refused.
func TestPresumedGetsNoToken(t *testing.T) {
	w := newWorld(t, options{})
	walk := w.walk(w.request(func(r *Request) { r.Assertion = "" }))
	walk.proof = &presumed{assertion{walk: walk}, w.trusted()}
	err := walk.steps(t.Context())
	if e, ok := err.(*Error); !ok || e.Reason != ProofMissing || walk.out.Token != "" {
		t.Errorf("got %v and token %q", err, walk.out.Token)
	}
}
