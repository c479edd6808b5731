package graph

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDeletedItems(t *testing.T) {
	w := newWorld(t)
	id, appID := w.application(owner, "app")
	w.credential(owner, id, "one")
	w.do(owner, "POST", "/servicePrincipals", m{"appId": appID}).is(201)
	deleted := "/directory/deletedItems/" + id
	w.do(owner, "GET", deleted, nil).is(404)
	w.do(owner, "DELETE", "/applications/"+id, nil).is(204)
	w.do(owner, "DELETE", "/applications/"+id, nil).is(404)
	w.do(owner, "GET", "/servicePrincipals(appId='"+appID+"')", nil).is(404)
	got := w.do(owner, "GET", deleted+"?$select=id,deletedDateTime,@odata.type", nil).is(200)
	got.inOrder(`{"@odata.context":"https://graph.test/v1.0/$metadata#directoryObjects(id,deletedDateTime,@odata.type)/$entity","@odata.type":"#microsoft.graph.application","id":"` + id + `","deletedDateTime":"2027-03-01T12:30:45Z"}`)
	if ids := w.do(admin, "GET", "/directory/deletedItems/microsoft.graph.application?$filter=displayName eq 'app'&$count=true", nil).is(200).all("id"); !cmp.Equal(ids, []string{id}) {
		t.Errorf("deleted: %v", ids)
	}
	if got := w.do(owner, "POST", deleted+"/restore", m{"autoReconcileProxyConflict": true}).is(200); got.str("appId") != appID || got.at("deletedDateTime") != nil {
		t.Errorf("restored: %s", got.text)
	}
	if names := w.do(owner, "GET", "/applications/"+id+"/federatedIdentityCredentials", nil).is(200).all("name"); !cmp.Equal(names, []string{"one"}) {
		t.Errorf("credentials of what was restored: %v", names)
	}
	w.do(owner, "GET", "/servicePrincipals(appId='"+appID+"')", nil).is(200)
	w.do(owner, "DELETE", "/applications/"+id, nil).is(204)
	w.do(owner, "DELETE", deleted, nil).is(204)
	w.do(owner, "DELETE", deleted, nil).is(404)
	w.do(owner, "POST", deleted+"/restore", nil).is(404)
}

func TestOwners(t *testing.T) {
	w := newWorld(t)
	id, _ := w.application(owner, "app")
	app := "/applications/" + id
	w.do(other, "PATCH", app, m{"notes": "x"}).is(403)
	w.do(owner, "POST", app+"/owners/$ref", m{"@odata.id": "https://graph.microsoft.com/v1.0/directoryObjects/" + w.callers[other].PrincipalID}).is(204)
	w.do(other, "PATCH", app, m{"notes": "x"}).is(204)
	both := []string{w.callers[owner].PrincipalID, w.callers[other].PrincipalID}
	if diff := cmp.Diff(both, w.do(other, "GET", app+"/owners", nil).is(200).all("id"), cmp.Transformer("set", set)); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
	got, pages := w.walk(admin, app+"/owners?$top=1&$select=id,@odata.type", "id")
	if diff := cmp.Diff(both, got, cmp.Transformer("set", set)); diff != "" || pages != 2 {
		t.Errorf("owners in %d pages (-want +got):\n%s", pages, diff)
	}
	if kinds := w.do(admin, "GET", app+"/owners", nil).all("@odata.type"); kinds[0] != "#microsoft.graph.servicePrincipal" {
		t.Errorf("types: %v", kinds)
	}
	w.do(owner, "DELETE", app+"/owners/"+w.callers[other].PrincipalID+"/$ref", nil).is(204)
	w.do(other, "PATCH", app, m{"notes": "x"}).is(403)
}

func set(list []string) map[string]bool {
	all := map[string]bool{}
	for _, s := range list {
		all[s] = true
	}
	return all
}

func TestDeletedServicePrincipals(t *testing.T) { onEngines(t, testDeletedServicePrincipals) }

func testDeletedServicePrincipals(t *testing.T, w *world) {
	id, appID := w.application(owner, "app")
	sp := w.do(owner, "POST", "/servicePrincipals", m{"appId": appID}).is(201).str("id")
	deleted := "/directory/deletedItems/" + sp
	const all = "/directory/deletedItems/microsoft.graph.servicePrincipal"
	w.do(owner, "GET", deleted, nil).is(404)
	w.do(owner, "DELETE", "/servicePrincipals/"+sp, nil).is(204)
	w.do(owner, "GET", "/directoryObjects/"+sp, nil).is(404)
	w.do(owner, "GET", deleted+"?$select=id,deletedDateTime,@odata.type", nil).is(200).
		inOrder(`{"@odata.context":"https://graph.test/v1.0/$metadata#directoryObjects(id,deletedDateTime,@odata.type)/$entity","@odata.type":"#microsoft.graph.servicePrincipal","id":"` + sp + `","deletedDateTime":"2027-03-01T12:30:45Z"}`)
	if ids := w.do(admin, "GET", all+"?$filter=appId eq '"+appID+"'&$count=true", nil).is(200).all("id"); !cmp.Equal(ids, []string{sp}) {
		t.Errorf("deleted: %v", ids)
	}
	if ids := w.do(other, "GET", all, nil).is(200).all("id"); len(ids) != 0 {
		t.Errorf("somebody else sees %v", ids)
	}
	w.do(other, "POST", deleted+"/restore", nil).is(403)
	w.do(other, "DELETE", deleted, nil).is(403)
	w.do(foreign, "POST", deleted+"/restore", nil).is(404)
	if got := w.do(owner, "POST", deleted+"/restore", nil).is(200); got.str("@odata.type") != "#microsoft.graph.servicePrincipal" || got.at("deletedDateTime") != nil {
		t.Errorf("restored: %s", got.text)
	}
	w.do(owner, "GET", "/servicePrincipals/"+sp, nil).is(200)

	// With its application it goes, and with it it comes; a client that goes by the book restores it too.
	w.do(owner, "DELETE", "/applications/"+id, nil).is(204)
	w.do(owner, "POST", deleted+"/restore", nil).fails(400, "Request_BadRequest", "The appId '"+appID+"' of the service principal does not reference a valid application object.")
	w.do(owner, "POST", "/directory/deletedItems/"+id+"/restore", nil).is(200)
	w.do(owner, "POST", deleted+"/restore", nil).is(200)
	w.do(owner, "GET", "/servicePrincipals/"+sp, nil).is(200)

	w.do(owner, "DELETE", "/servicePrincipals/"+sp, nil).is(204)
	w.do(owner, "DELETE", deleted, nil).is(204)
	w.do(owner, "DELETE", deleted, nil).is(404)
	w.do(owner, "POST", deleted+"/restore", nil).is(404)
	w.do(owner, "GET", "/applications/"+id, nil).is(200)
}

// A deleted application keeps its unique name and its URIs until it is purged.
func TestDeletedKeysAreTaken(t *testing.T) { onEngines(t, testDeletedKeysAreTaken) }

func testDeletedKeysAreTaken(t *testing.T, w *world) {
	const named = "/applications(uniqueName='pets')"
	made := w.do(admin, "PATCH", named, m{"displayName": "pets", "identifierUris": []string{"api://pets"}}, createIfMissing).is(201)
	deleted := "/directory/deletedItems/" + made.str("id")
	w.do(admin, "DELETE", "/applications/"+made.str("id"), nil).is(204)
	const taken = "Another object with the same value for property %s already exists."
	w.do(admin, "GET", named, nil).is(404)
	w.do(admin, "PATCH", named, m{"displayName": "pets"}, createIfMissing).fails(400, "Request_BadRequest", strings.Replace(taken, "%s", "uniqueName", 1))
	got := w.do(admin, "POST", "/applications", m{"displayName": "pets", "uniqueName": "pets"})
	got.fails(400, "Request_BadRequest", strings.Replace(taken, "%s", "uniqueName", 1))
	if details := got.at("error", "details"); !cmp.Equal(details, []any{m{"code": "ObjectConflict", "message": got.message(), "target": "uniqueName"}}) {
		t.Errorf("details: %v", details)
	}
	w.do(admin, "POST", "/applications", m{"displayName": "pets", "identifierUris": []string{"api://pets"}}).fails(400, "Request_BadRequest", strings.Replace(taken, "%s", "identifierUris", 1))
	w.do(admin, "DELETE", deleted, nil).is(204)
	w.do(admin, "PATCH", named, m{"displayName": "pets", "identifierUris": []string{"api://pets"}}, createIfMissing).is(201)
}
