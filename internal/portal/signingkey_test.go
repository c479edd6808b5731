package portal

import (
	"net/http"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/roles"
)

func TestSigningKeys(t *testing.T) {
	w := newWorld(t)
	admin := w.signIn(w.admin)
	at := w.server.URL + "/" + testTenant
	admin.opens("/portal/signing-keys", "Signs now", "ES256", at+"/discovery/v2.0/keys", at+"/v2.0/.well-known/openid-configuration", "Rotate…", "it has no successor yet")
	admin.opens("/portal/signing-keys/rotate", "After a day", "Rotate")
	if a := admin.post("/portal/signing-keys/rotate"); a.status != http.StatusSeeOther || len(w.owners) != 1 || w.owners[0].PrincipalID != w.admin.PrincipalID {
		t.Errorf("rotate: %d by %v", a.status, w.owners)
	}
	_, err := w.surface.Keys.Rotate(t.Context(), testTenant)
	w.must(err)
	admin.opens("/portal/signing-keys?done=rotated", "The next key is published", "Signs next", "in 1 day", "nothing to rotate until it signs")
	if a := admin.opens("/portal/signing-keys/rotate", "waits for its turn"); strings.Contains(a.body, `method="post" action="/portal/signing-keys/rotate"`) {
		t.Errorf("a second rotation is offered: %s", a.body)
	}

	seer := w.signIn(w.principal("seer", "/", roles.FederationReader))
	seer.opens("/portal/signing-keys", "Signs now")
	seer.lacks("/portal/signing-keys", "Rotate")
	if a := seer.post("/portal/signing-keys/rotate"); a.status != http.StatusForbidden || len(w.owners) != 1 {
		t.Errorf("a reader rotates: %d", a.status)
	}
	if a := w.signIn(w.reader()).get("/portal/signing-keys"); a.status != http.StatusForbidden {
		t.Errorf("a reader of resources sees %d", a.status)
	}
}
