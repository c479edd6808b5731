package portal

import (
	"net/http"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/directory"
)

func TestResourceGroups(t *testing.T) {
	w := newWorld(t)
	p := w.signIn(w.admin)
	p.shows(p.get("/portal/groups"), http.StatusOK, "Resource groups", "rg", "local", "Create resource group")
	p.shows(p.get("/portal/groups?q=nothing"), http.StatusOK, "No resource group matches.")

	p.shows(p.get("/portal/groups/new"), http.StatusOK, "Create a resource group", testSubscription)
	a := p.post("/portal/groups/new", "subscription", testSubscription, "name", "Zoo_(1)", "location", "local")
	p.sentTo(a, "/portal/groups/"+testSubscription+"/Zoo_%281%29?done=created")
	p.shows(p.get(a.header.Get("Location")), http.StatusOK, "The resource group was made.", "Zoo_(1)", "This group has no managed identity", "This group has no cluster")

	a = p.post("/portal/groups/new", "subscription", testSubscription, "name", "zoo_(1)", "location", "here")
	p.shows(a, http.StatusConflict, "The subscription has a resource group Zoo_(1) already.")
	for _, typed := range []string{`value="zoo_(1)"`, `value="here"`} {
		if !strings.Contains(a.body, typed) {
			t.Errorf("%s is lost", typed)
		}
	}
	for _, name := range []string{"", "ends.", hostile} {
		a := p.post("/portal/groups/new", "subscription", testSubscription, "name", name, "location", "local")
		p.shows(a, http.StatusUnprocessableEntity, "letters, digits", name)
		p.hides(a, "<script>alert", "<img src=x")
	}
	p.shows(p.post("/portal/groups/new", "subscription", "no such", "name", "x", "location", "local"), http.StatusNotFound, "It is not there")

	reader := w.signIn(w.reader())
	a = reader.get("/portal/groups")
	reader.shows(a, http.StatusOK, "rg", "Zoo_(1)")
	reader.hides(a, "Create resource group")
	reader.shows(reader.get("/portal/groups/new"), http.StatusOK, "You may not make resource groups")
	reader.shows(reader.post("/portal/groups/new", "subscription", testSubscription, "name", "theirs", "location", "local"), http.StatusForbidden, "It takes the right Microsoft.Resources/subscriptions/resourceGroups/write")
	reader.shows(reader.get(rgPath+"/delete"), http.StatusForbidden, "It takes the right Microsoft.Resources/subscriptions/resourceGroups/delete")
	reader.shows(reader.post(rgPath+"/delete"), http.StatusForbidden, "You may not do this")

	nobody := w.signIn(w.principal("nobody", "", ""))
	nobody.shows(nobody.get("/portal/groups"), http.StatusOK, "There is no resource group that you may see")
	nobody.shows(nobody.get(rgPath), http.StatusNotFound, "It is not there")
}

func TestResourceGroup(t *testing.T) {
	w := newWorld(t)
	m := w.identity("pets")
	w.identity("others")
	_, _, err := w.dir.PutCluster(t.Context(), w.admin, directory.ClusterSpec{ClusterRef: directory.ClusterRef{SubscriptionID: testSubscription, Group: "rg", Name: "prod"}, Location: "local"})
	w.must(err)
	p := w.signIn(w.admin)
	a := p.get(rgPath)
	p.shows(a, http.StatusOK, "rg", "pets", m.ClientID, "others", "prod", "Create managed identity", "Delete resource group", testSub+"/resourceGroups/rg")
	if !strings.Contains(a.body, `href="/portal/clusters/`+testSubscription+`/rg/prod"`) {
		t.Error("no link to the cluster")
	}
	a = p.get(rgPath + "?q=pet")
	p.shows(a, http.StatusOK, "pets")
	p.hides(a, ">others<")

	p.shows(p.get(rgPath+"/delete"), http.StatusOK, "Delete rg?", "Managed identities: 2", "Clusters: 1", "pets")
	p.shows(p.get(rgPath), http.StatusOK, "pets") // asking deleted nothing
	a = p.post(rgPath + "/delete")
	p.sentTo(a, "/portal/groups?done=deleted")
	p.shows(p.get(a.header.Get("Location")), http.StatusOK, "The resource group was deleted with everything in it.")
	p.shows(p.get(rgPath), http.StatusNotFound, "It is not there")
	p.shows(p.get(petsPath), http.StatusNotFound, "It is not there")
}
