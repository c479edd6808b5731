package portal

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
)

// identity makes a managed identity in the group "rg".
func (w *world) identity(name string) directory.Identity {
	w.t.Helper()
	m, _, err := w.dir.PutIdentity(w.t.Context(), w.admin, directory.Identity{IdentityRef: directory.IdentityRef{SubscriptionID: testSubscription, Group: "rg", Name: name}, Location: "local"})
	w.must(err)
	return m
}

const (
	rgPath   = "/portal/groups/" + testSubscription + "/rg"
	petsPath = rgPath + "/identities/pets"
)

func TestCreateAManagedIdentity(t *testing.T) {
	w := newWorld(t)
	p := w.signIn(w.admin)
	p.shows(p.get(rgPath+"/new-identity"), http.StatusOK, "Create a managed identity", "resource group rg")
	a := p.post(rgPath+"/new-identity", "name", "pets", "location", "local")
	p.sentTo(a, petsPath+"?done=created")
	m, err := w.dir.Identity(t.Context(), w.admin, directory.IdentityRef{SubscriptionID: testSubscription, Group: "rg", Name: "pets"})
	w.must(err)
	a = p.get(a.header.Get("Location"))
	p.shows(a, http.StatusOK, "The managed identity was made.", m.ClientID, m.PrincipalID, m.ResourceID(), "0 of 20 Federated credentials", "Add credential", "Delete managed identity")
	for _, to := range []string{petsPath + "/settings", petsPath + "/credentials", "/portal/roles?principal=" + m.PrincipalID, "/portal/test?client=" + m.ClientID, "/portal/sign-ins?client=" + m.ClientID} {
		if !strings.Contains(a.body, `href="`+to+`"`) {
			t.Errorf("no link to %s", to)
		}
	}

	// One that is there stays as it is.
	w.must(updateTags(w, map[string]string{"team": "pets"}))
	a = p.post(rgPath+"/new-identity", "name", "PETS", "location", "local")
	p.shows(a, http.StatusConflict, "The group has a managed identity pets already.")
	if !strings.Contains(a.body, `value="PETS"`) {
		t.Error("what was typed is lost")
	}
	p.shows(p.post(rgPath+"/new-identity", "name", "-no", "location", "local"), http.StatusUnprocessableEntity, "3 to 128 letters")
	p.shows(p.post(rgPath+"/new-identity", "name", "pets2", "location", ""), http.StatusUnprocessableEntity, "Is required.")
	p.shows(p.get("/portal/groups/"+testSubscription+"/none/new-identity"), http.StatusNotFound, "It is not there")
}

func updateTags(w *world, tags map[string]string) error {
	_, err := w.dir.UpdateIdentity(w.t.Context(), w.admin, directory.IdentityRef{SubscriptionID: testSubscription, Group: "rg", Name: "pets"}, directory.IdentityEdit{Tags: &tags})
	return err
}

func TestManagedIdentities(t *testing.T) {
	w := newWorld(t)
	p := w.signIn(w.admin)
	p.shows(p.get("/portal/identities"), http.StatusOK, "There is no managed identity", "Choose a resource group")
	m := w.identity("pets")
	w.identity("Others")
	p.shows(p.get("/portal/identities"), http.StatusOK, "pets", "Others", m.ClientID)
	for _, q := range []string{"ET", m.ClientID, m.PrincipalID} {
		a := p.get("/portal/identities?q=" + q)
		p.shows(a, http.StatusOK, "pets")
		p.hides(a, "Others")
	}
	p.shows(p.get("/portal/identities?q=nothing"), http.StatusOK, "No managed identity matches.")
}

func TestIdentitySettings(t *testing.T) {
	w := newWorld(t)
	w.identity("pets")
	w.must(updateTags(w, map[string]string{"team": "pets", "env": hostile}))
	p := w.signIn(w.admin)
	a := p.get(petsPath + "/settings")
	p.shows(a, http.StatusOK, "Settings", "Federated credentials", "0 of 20 used", "Isolation scope")
	p.hides(a, "<script>alert", "<img src=x")

	// The rows are sorted: env, team, and three free ones.
	a = p.post(petsPath+"/settings", "isolation", "Regional", "tag-1", "", "value-1", "", "tag-2", "team", "value-2", "birds", "tag-3", " new ", "value-3", "", "tag-4", "", "value-4", "")
	p.sentTo(a, petsPath+"/settings?done=changed")
	p.shows(p.get(a.header.Get("Location")), http.StatusOK, "The settings were saved.")
	m, err := w.dir.Identity(t.Context(), w.admin, directory.IdentityRef{SubscriptionID: testSubscription, Group: "rg", Name: "pets"})
	w.must(err)
	if diff := cmp.Diff(map[string]string{"team": "birds", "new": ""}, m.Tags); diff != "" || m.IsolationScope != "Regional" {
		t.Errorf("%s %s", m.IsolationScope, diff)
	}

	for _, c := range []struct {
		form []string
		says string
	}{
		{[]string{"isolation", "Somewhere", "tag-1", "team", "value-1", "cats"}, "neither None nor Regional"},
		{[]string{"isolation", "None", "tag-1", "", "value-1", "cats"}, "has no name"},
		{[]string{"isolation", "None", "tag-1", "a", "value-1", "cats", "tag-2", "a", "value-2", "dogs"}, "The tag a stands twice"},
		{[]string{"isolation", "None", "tag-1", "a", "value-1", "cats" + strings.Repeat("x", 256)}, "too long"},
	} {
		a := p.post(petsPath+"/settings", c.form...)
		p.shows(a, http.StatusUnprocessableEntity, c.says)
		if !strings.Contains(a.body, `value="cats`) {
			t.Errorf("%s: what was typed is lost", c.says)
		}
	}

	reader := w.signIn(w.reader())
	a = reader.get(petsPath + "/settings")
	reader.shows(a, http.StatusOK, "team: birds", "Regional")
	reader.hides(a, "Save")
	reader.shows(reader.post(petsPath+"/settings", "isolation", "Regional", "tag-1", "mine", "value-1", ""), http.StatusForbidden, "It takes the right Microsoft.ManagedIdentity/userAssignedIdentities/write")
}

func TestDeleteAManagedIdentity(t *testing.T) {
	w := newWorld(t)
	m := w.identity("pets")
	ref := m.IdentityRef
	_, err := w.dir.AddCredential(t.Context(), w.admin, directory.Parent{Identity: &ref}, spec("cart"))
	w.must(err)

	reader := w.signIn(w.reader())
	a := reader.get(petsPath)
	reader.shows(a, http.StatusOK, "pets", "1 of 20 Federated credentials")
	reader.hides(a, "Delete managed identity", "Add credential", "Its sign-ins")
	reader.shows(reader.get(petsPath+"/delete"), http.StatusForbidden, "It takes the right Microsoft.ManagedIdentity/userAssignedIdentities/delete")
	reader.shows(reader.post(petsPath+"/delete"), http.StatusForbidden, "You may not do this")
	a = reader.get(rgPath)
	reader.shows(a, http.StatusOK, "pets")
	reader.hides(a, "Create managed identity", "Delete resource group")
	reader.shows(reader.get(rgPath+"/new-identity"), http.StatusForbidden, "It takes the right Microsoft.ManagedIdentity/userAssignedIdentities/write")
	reader.shows(reader.post(rgPath+"/new-identity", "name", "theirs", "location", "local"), http.StatusForbidden, "It takes the right")

	p := w.signIn(w.admin)
	p.shows(p.get(petsPath+"/delete"), http.StatusOK, "Delete pets?", "1 federated credential goes with it.", "cannot be brought back")
	a = p.post(petsPath + "/delete")
	p.sentTo(a, rgPath+"?done=identity-deleted")
	p.shows(p.get(a.header.Get("Location")), http.StatusOK, "The managed identity was deleted.", "This group has no managed identity")
	p.shows(p.get(petsPath), http.StatusNotFound, "It is not there")
}

// Somebody with a role on one identity alone sees that one.
func TestOneIdentityAlone(t *testing.T) {
	w := newWorld(t)
	m := w.identity("pets")
	w.identity("others")
	p := w.signIn(w.principal("operator", m.ResourceID(), roles.Reader))
	a := p.get("/portal/identities")
	p.shows(a, http.StatusOK, "pets")
	p.hides(a, "others")
	p.shows(p.get(petsPath), http.StatusOK, m.ClientID)
	p.shows(p.get(rgPath+"/identities/others"), http.StatusForbidden, "You may not do this")
	p.shows(p.get(rgPath), http.StatusForbidden, "You may not do this")
}
