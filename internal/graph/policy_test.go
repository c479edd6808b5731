package graph

import (
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/directory"
)

// Whoever owns an application may not open it to every issuer, and is told how
// an issuer comes to be registered.
func TestRegisteredIssuersOnly(t *testing.T) {
	w := newWorld(t)
	id, _ := w.application(admin, "app")
	w.credential(admin, id, "old")
	on := true
	_, err := w.directory.SetPolicy(t.Context(), w.callers[admin], directory.PolicyEdit{RegisteredIssuersOnly: &on})
	w.must(err)
	path := "/applications/" + id + "/federatedIdentityCredentials"
	const unknown = "https://nobodys.example/"
	const message = "The issuer is not registered, and this tenant takes registered issuers only: register its cluster with 'entente cluster register', or the issuer itself with 'entente apply'. paramName: FederatedIdentityCredential.Issuer, paramValue: " + unknown + ", objectType: Microsoft.Online.DirectoryServices.Application"
	body := trust("new")
	body["issuer"] = unknown
	w.do(admin, "POST", path, body).fails(400, "InvalidFederatedIdentityCredentialValue", message)
	w.do(admin, "PATCH", path+"/old", m{"issuer": unknown}).fails(400, "InvalidFederatedIdentityCredentialValue", message)
	w.do(admin, "PATCH", path+"/old", m{"subject": "changed"}).is(204)
	_, _, err = w.directory.PutIssuer(t.Context(), w.callers[admin], directory.Issuer{Name: "known", URL: unknown})
	w.must(err)
	w.do(admin, "POST", path, body).is(201)
	if r := w.do(admin, "GET", path+"/new", nil).is(200); !strings.Contains(r.str("issuer"), unknown) {
		t.Errorf("got %v", r.str("issuer"))
	}
}
