package portal

import (
	"net/http"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/signin"
)

func TestHome(t *testing.T) {
	w := newWorld(t)
	w.records.Record(signin.Record{TenantID: testTenant, ClientName: "<b>bold</b>", Subject: "system:serviceaccount:pets:<i>", Code: 700213})
	w.records.Record(signin.Record{TenantID: testTenant, ClientName: "fine"})
	w.must(w.records.Flush(t.Context()))
	a := w.signIn(w.admin).get("/portal")
	if a.status != http.StatusOK || !strings.Contains(a.body, "&lt;b&gt;bold") || !strings.Contains(a.text(), "AADSTS700213") || strings.Contains(a.text(), "fine") {
		t.Errorf("%d %s", a.status, a.body)
	}

	// What a reader of resources may not know is not offered to it.
	text := w.signIn(w.reader()).get("/portal").text()
	for _, hidden := range []string{"Refused lately", "Sign-ins", "Audit log", "Signing keys", "Issuers"} {
		if strings.Contains(text, hidden) {
			t.Errorf("a reader of the subscription is offered %q: %s", hidden, text)
		}
	}
	if !strings.Contains(text, "Managed identities") {
		t.Errorf("a reader of the subscription sees %s", text)
	}
}
