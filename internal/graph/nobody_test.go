package graph

import (
	"testing"
)

// What az asks on its way to something else ("az role assignment create
// --assignee", "az ad user list", "az ad app permission list-grants").
func TestNobody(t *testing.T) {
	w := newWorld(t)
	sp := w.callers[nobody].PrincipalID
	for _, path := range []string{
		"/users", "/groups", "/oauth2PermissionGrants", "/oAuth2PermissionGrants", "/directory/deletedItems/microsoft.graph.user",
		"/users?$filter=userPrincipalName%20eq%20'someone@example.com'", "/users?$filter=startswith(displayName,'x')&$count=true&$top=5&$select=id,mail",
		"/groups?$filter=displayName%20eq%20'x'", "/oauth2PermissionGrants?$filter=clientId%20eq%20'" + sp + "'",
	} {
		if got := w.do(admin, "GET", path, nil).is(200); len(got.all("id")) != 0 {
			t.Errorf("%s: %s", path, got.text)
		}
	}
	w.do(admin, "GET", "/users?$count=true", nil).is(200).inOrder(`{"@odata.context":"https://graph.test/v1.0/$metadata#users","@odata.count":0,"value":[]}`)
	w.do(admin, "GET", "/directory/deletedItems/microsoft.graph.group", nil).is(200).inOrder(`{"@odata.context":"https://graph.test/v1.0/$metadata#directoryObjects","value":[]}`)
	w.do(admin, "GET", "/users?$filter=displayName", nil).fails(400, "BadRequest", "Invalid filter clause")
	if got := w.do(admin, "GET", "/groups/$count", nil).is(200).text; got != "0" {
		t.Errorf("$count %s", got)
	}
	for _, c := range []struct{ method, path string }{
		{"GET", "/users/someone@example.com"}, {"GET", "/users('$someone@example.com')"}, {"PATCH", "/users/someone@example.com"}, {"DELETE", "/users/x%23EXT%23@example.com"}, {"POST", "/users/x/getMemberGroups"},
		{"GET", "/groups/" + nowhere}, {"DELETE", "/groups/" + nowhere}, {"GET", "/groups/" + nowhere + "/members"}, {"POST", "/groups/" + nowhere + "/members/$ref"}, {"DELETE", "/groups/" + nowhere + "/owners/" + sp + "/$ref"},
		{"DELETE", "/oAuth2PermissionGrants/x"},
	} {
		w.do(admin, c.method, c.path, nil).fails(404, "Request_ResourceNotFound", "Resource '…"+notThere)
	}

	// Nobody is in a group.
	for _, body := range []string{"checkMemberGroups", "getMemberGroups"} {
		got := w.do(admin, "POST", "/directoryObjects/"+sp+"/"+body, m{"groupIds": []string{nowhere}}).is(200)
		got.inOrder(`{"@odata.context":"https://graph.test/v1.0/$metadata#Collection(Edm.String)","value":[]}`)
	}
	w.do(admin, "POST", "/directoryObjects/"+sp+"/getMemberGroups", m{"securityEnabledOnly": "x"}).is(400)
}

func TestDirectoryObject(t *testing.T) {
	w := newWorld(t)
	id, appID := w.application(owner, "app")
	sp := w.do(owner, "POST", "/servicePrincipals", m{"appId": appID}).is(201).str("id")
	for path, kind := range map[string]string{id: "application", sp: "servicePrincipal"} {
		for _, as := range []string{admin, reader, owner} {
			got := w.do(as, "GET", "/directoryObjects/"+path+"?$select=id,appId,@odata.type", nil).is(200)
			got.inOrder(`{"@odata.context":"https://graph.test/v1.0/$metadata#directoryObjects(id,appId,@odata.type)/$entity","@odata.type":"#microsoft.graph.` + kind + `","id":"` + path + `","appId":"` + appID + `"}`)
		}
	}
	// Everybody may read itself, as Terraform does before it makes something.
	for _, as := range []string{nobody, owner, foreign} {
		w.do(as, "GET", "/directoryObjects/"+w.callers[as].PrincipalID, nil).is(200)
		w.do(as, "GET", "/directoryObjects('"+w.callers[as].PrincipalID+"')", nil).is(200)
	}
}
