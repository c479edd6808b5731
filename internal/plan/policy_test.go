package plan_test

import (
	"strings"
	"testing"

	"github.com/entente-id/entente/client"
)

// A file says of the policy what it says, and the rest stays.
func TestPolicy(t *testing.T) {
	w := newWorld(t)
	const issuer, trusting = "issuers: [{name: prod, issuer: https://prod.example/}]\n", "applications: [{displayName: a, federatedCredentials: [{name: one, issuer: ISSUER, subject: s}]}]\n"
	w.settle("policy: {registeredIssuersOnly: true}\n" + issuer + strings.Replace(trusting, "ISSUER", "prod", 1))
	w.settle("policy: {maxFederatedIdentityCredentials: 30}\n" + issuer)
	policy, err := w.admin.Policy(t.Context())
	w.ok(err)
	if policy.MaxFederatedIdentityCredentials != 30 || policy.RegisteredIssuersOnly == nil || !*policy.RegisteredIssuersOnly {
		t.Errorf("the policy is %+v", policy)
	}
	x := w.exports()
	if !strings.Contains(string(x.Text), "\npolicy:\n  maxFederatedIdentityCredentials: 30\n  registeredIssuersOnly: true\n") {
		t.Errorf("%s", x.Text)
	}
	if p := w.plans(string(x.Text)); p.Summary.Changes() != 0 {
		t.Errorf("%s", show(t, p))
	}
	if err := w.applyWithoutPatience(w.plans(strings.Replace(trusting, "ISSUER", "https://nobodys.example/", 1))); err == nil || !strings.Contains(err.Error(), "registered issuers only") {
		t.Errorf("an issuer that nobody registered: %v", err)
	}
	w.settle("policy: {registeredIssuersOnly: false}\n" + strings.Replace(trusting, "ISSUER", "https://nobodys.example/", 1))
	if _, err := w.admin.PutPolicy(t.Context(), client.Policy{MaxFederatedIdentityCredentials: 20}); err != nil {
		t.Fatal(err)
	}
	if x := w.exports(); strings.Contains(string(x.Text), "policy") {
		t.Errorf("%s", x.Text)
	}
}
