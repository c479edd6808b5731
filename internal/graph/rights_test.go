package graph

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
)

// target is a set of objects of one owner, which the matrix of rights is tried on.
type target struct {
	app, appID, fic, sp, secret, resource, grant string
	owner                                        string // who is to be made an owner
	restorable, purgeable                        string // deleted applications
	spSecret                                     string
}

func (w *world) target(as, name string) target {
	w.Helper()
	var t target
	t.app, t.appID = w.application(as, name)
	t.fic = w.credential(as, t.app, "fic")
	t.sp = w.do(as, "POST", "/servicePrincipals", m{"appId": t.appID}).is(201).str("id")
	t.secret = w.do(as, "POST", "/applications/"+t.app+"/addPassword", nil).is(200).str("keyId")
	t.spSecret = w.do(as, "POST", "/servicePrincipals/"+t.sp+"/addPassword", nil).is(200).str("keyId")
	t.resource = w.do(admin, "GET", "/servicePrincipals(appId='"+roles.GraphAppID+"')", nil).is(200).str("id")
	t.owner = w.callers[nobody].PrincipalID
	for _, id := range []*string{&t.restorable, &t.purgeable} {
		*id, _ = w.application(as, "deleted "+name)
		w.do(as, "DELETE", "/applications/"+*id, nil).is(204)
	}
	t.grant = w.do(admin, "POST", "/servicePrincipals/"+t.sp+"/appRoleAssignments", m{"principalId": t.sp, "resourceId": t.resource, "appRoleId": "7ab1d382-f21e-4acd-a863-ba3e13f7da61"}).is(201).str("id")
	return t
}

// request is how each route is called on a target: a path and a body that is good.
func (t target) request(r Route) (path string, body any) {
	path = strings.NewReplacer("/{version}", "", application, t.app, principal, t.sp, credentials, t.fic, assignment, t.grant, ownerParam, t.owner, deletedItem, t.restorable,
		objectParam, t.sp, absent, nowhere, absentOne, t.sp).Replace(r.Pattern)
	grant := m{"principalId": t.sp, "resourceId": t.resource, "appRoleId": "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30"}
	switch r.Action {
	case "applications.create":
		body = m{"displayName": "made"}
	case "applications.update":
		body = m{"notes": "changed"}
	case "applications.removePassword":
		body = m{"keyId": t.secret}
	case "federatedIdentityCredentials.create":
		body = trust("another")
	case "federatedIdentityCredentials.update":
		body = m{"description": "changed"}
	case "servicePrincipals.create":
		body = m{"appId": t.appID}
	case "servicePrincipals.update":
		body = m{"accountEnabled": true}
	case "appRoleAssignments.create":
		body = grant
	case "appRoleAssignedTo.create":
		path = strings.Replace(path, t.sp, t.resource, 1)
		grant["appRoleId"] = "18a4783c-866b-4cc7-a460-3d5e5662c884"
		body = grant
	case "servicePrincipals.removePassword":
		body = m{"keyId": t.spSecret}
	case "directoryObjects.checkMemberGroups":
		body = m{"groupIds": []string{nowhere}}
	case "directoryObjects.getMemberGroups":
		body = m{"securityEnabledOnly": false}
	case "owners.add", "servicePrincipalOwners.add":
		body = m{"@odata.id": base + "/v1.0/directoryObjects/" + t.owner}
	case "deletedItems.purge":
		path = strings.Replace(path, t.restorable, t.purgeable, 1)
	case "directoryObjects.getByIds":
		body = m{"ids": []string{t.app, t.sp}}
	}
	return path, body
}

// TestRights tries every route of the table as everybody. The statuses are
// written out, so that a new route cannot go without a decision.
func TestRights(t *testing.T) { onEngines(t, testRights) }

func testRights(t *testing.T, w *world) {
	// who:            nobody reader other foreign owner admin
	matrix := map[string][6]int{
		"applications.list":                   {403, 200, 200, 200, 200, 200},
		"applications.count":                  {403, 200, 200, 200, 200, 200},
		"applications.create":                 {403, 403, 201, 201, 201, 201},
		"applications.get":                    {403, 200, 403, 404, 200, 200},
		"applications.update":                 {403, 403, 403, 404, 204, 204},
		"applications.addPassword":            {403, 403, 403, 404, 200, 200},
		"applications.removePassword":         {403, 403, 403, 404, 204, 204},
		"federatedIdentityCredentials.list":   {403, 200, 403, 404, 200, 200},
		"federatedIdentityCredentials.count":  {403, 200, 403, 404, 200, 200},
		"federatedIdentityCredentials.create": {403, 403, 403, 404, 201, 201},
		"federatedIdentityCredentials.get":    {403, 200, 403, 404, 200, 200},
		"federatedIdentityCredentials.update": {403, 403, 403, 404, 204, 204},
		"federatedIdentityCredentials.delete": {403, 403, 403, 404, 204, 204},
		"servicePrincipals.list":              {403, 200, 200, 200, 200, 200},
		"servicePrincipals.count":             {403, 200, 200, 200, 200, 200},
		"servicePrincipals.create":            {403, 403, 403, 400, 409, 409},
		"servicePrincipals.get":               {403, 200, 403, 404, 200, 200},
		"servicePrincipals.update":            {403, 403, 403, 404, 204, 204},
		"appRoleAssignments.list":             {403, 200, 403, 404, 200, 200},
		"appRoleAssignments.create":           {403, 403, 403, 404, 403, 201},
		"appRoleAssignments.delete":           {403, 403, 403, 404, 403, 204},
		"appRoleAssignedTo.list":              {403, 200, 403, 404, 200, 200},
		"appRoleAssignedTo.create":            {403, 403, 403, 404, 403, 201},
		"appRoleAssignedTo.delete":            {403, 403, 403, 404, 403, 404}, // its target was deleted above
		"servicePrincipals.delete":            {403, 403, 403, 404, 204, 204},
		"applications.delete":                 {403, 403, 403, 404, 204, 204},
		"owners.list":                         {403, 200, 403, 404, 200, 200},
		"owners.add":                          {403, 403, 403, 404, 204, 204},
		"owners.remove":                       {403, 403, 403, 404, 204, 204},
		"deletedItems.list":                   {403, 200, 200, 200, 200, 200},
		"deletedItems.get":                    {403, 200, 404, 404, 200, 200},
		"deletedItems.restore":                {403, 403, 403, 404, 200, 200},
		"deletedItems.purge":                  {403, 403, 403, 404, 204, 204},
		"me.get":                              {400, 400, 400, 400, 400, 400},
		"organization.list":                   {200, 200, 200, 200, 200, 200},
		"directoryObjects.getByIds":           {403, 200, 200, 200, 200, 200},

		"servicePrincipals.addPassword":      {403, 403, 403, 404, 200, 200},
		"servicePrincipals.removePassword":   {403, 403, 403, 404, 204, 204},
		"servicePrincipalOwners.list":        {403, 200, 403, 404, 200, 200},
		"servicePrincipalOwners.add":         {403, 403, 403, 404, 204, 204},
		"servicePrincipalOwners.remove":      {403, 403, 403, 404, 204, 204},
		"deletedItems.listServicePrincipals": {403, 200, 200, 200, 200, 200},
		"deletedItems.listUsers":             {403, 200, 200, 200, 200, 200},
		"deletedItems.listGroups":            {403, 200, 200, 200, 200, 200},
		"directoryObjects.get":               {403, 200, 403, 404, 200, 200},
		"directoryObjects.checkMemberGroups": {403, 200, 403, 404, 200, 200},
		"directoryObjects.getMemberGroups":   {403, 200, 403, 404, 200, 200},

		// There are none of these, and nobody who may make one.
		"users.list":                    {403, 200, 200, 200, 200, 200},
		"users.count":                   {403, 200, 200, 200, 200, 200},
		"users.create":                  {400, 400, 400, 400, 400, 400},
		"users.get":                     {403, 404, 404, 404, 404, 404},
		"users.update":                  {403, 404, 404, 404, 404, 404},
		"users.delete":                  {403, 404, 404, 404, 404, 404},
		"users.getMemberGroups":         {403, 404, 404, 404, 404, 404},
		"groups.list":                   {403, 200, 200, 200, 200, 200},
		"groups.count":                  {403, 200, 200, 200, 200, 200},
		"groups.create":                 {400, 400, 400, 400, 400, 400},
		"groups.get":                    {403, 404, 404, 404, 404, 404},
		"groups.update":                 {403, 404, 404, 404, 404, 404},
		"groups.delete":                 {403, 404, 404, 404, 404, 404},
		"groups.getMemberGroups":        {403, 404, 404, 404, 404, 404},
		"groups.listMembers":            {403, 404, 404, 404, 404, 404},
		"groups.addMember":              {403, 404, 404, 404, 404, 404},
		"groups.removeMember":           {403, 404, 404, 404, 404, 404},
		"groups.listOwners":             {403, 404, 404, 404, 404, 404},
		"groups.addOwner":               {403, 404, 404, 404, 404, 404},
		"groups.removeOwner":            {403, 404, 404, 404, 404, 404},
		"oauth2PermissionGrants.list":   {403, 200, 200, 200, 200, 200},
		"oauth2PermissionGrants.create": {400, 400, 400, 400, 400, 400},
		"oauth2PermissionGrants.get":    {403, 404, 404, 404, 404, 404},
		"oauth2PermissionGrants.update": {403, 404, 404, 404, 404, 404},
		"oauth2PermissionGrants.delete": {403, 404, 404, 404, 404, 404},
	}
	routes := w.surface.Routes()
	slices.SortStableFunc(routes, func(a, b Route) int { return deletes(a) - deletes(b) })
	// Those that may do something get a target each; the others share one, at which nothing may happen.
	shared := w.target(owner, "shared")
	targets := map[string]target{owner: w.target(owner, "of the owner"), admin: w.target(owner, "of the owner, for the administrator")}
	before := w.dump(shared)
	for _, r := range routes {
		want, ok := matrix[r.Action]
		if !ok {
			t.Errorf("%s: nobody has decided who may do it", r.Action)
			continue
		}
		path, body := shared.request(r)
		w.do("", r.Method, path, body).fails(401, "InvalidAuthenticationToken", "Access token is empty.")
		w.do("expired", r.Method, path, body).fails(401, "InvalidAuthenticationToken", "The access token has expired.")
		for i, as := range []string{nobody, reader, other, foreign, owner, admin} {
			if mine, ok := targets[as]; ok {
				path, body = mine.request(r)
			}
			got := w.do(as, r.Method, path, body)
			if got.status != want[i] {
				t.Errorf("%s as %s: %d, want %d: %s", r.Action, as, got.status, want[i], got.text)
			}
			if got.status == 403 && (got.code() != "Authorization_RequestDenied" || got.message() != "Insufficient privileges to complete the operation.") {
				t.Errorf("%s as %s: %s", r.Action, as, got.text)
			}
			if as == foreign && (strings.Contains(got.text, "shared") || strings.Contains(got.text, shared.secret)) {
				t.Errorf("%s: another tenant reads %s", r.Action, got.text)
			}
			if as == other && strings.Contains(got.text, `shared"`) {
				t.Errorf("%s: who owns something else reads %s", r.Action, got.text)
			}
		}
	}
	if diff := cmp.Diff(before, w.dump(shared)); diff != "" {
		t.Errorf("somebody without the right has changed something (-before +after):\n%s", diff)
	}
	for _, r := range routes {
		delete(matrix, r.Action)
		if !slices.Contains(w.notes, r.Action) {
			t.Errorf("%s was never called", r.Action)
		}
	}
	if len(matrix) > 0 {
		t.Errorf("no such routes: %v", matrix)
	}
}

// deletes sorts routes that remove what others need: assignments, credentials, principals, applications.
func deletes(r Route) int {
	return slices.Index([]string{"appRoleAssignments.delete", "appRoleAssignedTo.delete", "federatedIdentityCredentials.delete", "servicePrincipals.delete", "applications.delete"}, r.Action)
}

// dump is all that is to be seen of a target.
func (w *world) dump(t target) []string {
	w.Helper()
	var all []string
	for _, path := range []string{"/applications/" + t.app, "/applications/" + t.app + "/owners", "/directory/deletedItems/" + t.restorable, "/directory/deletedItems/" + t.purgeable, "/applications/" + t.app + "/federatedIdentityCredentials", "/servicePrincipals/" + t.sp, "/servicePrincipals/" + t.sp + "/appRoleAssignments"} {
		all = append(all, w.do(admin, "GET", path, nil).is(200).text)
	}
	return all
}

// TestForeignObjectsAreNotThere: another tenant's objects answer as those that never were.
func TestForeignObjectsAreNotThere(t *testing.T) {
	w := newWorld(t)
	own := w.target(owner, "app")
	for _, path := range []string{"/applications/" + own.app, "/applications(appId='" + own.appID + "')", "/servicePrincipals/" + own.sp, "/servicePrincipals(appId='" + own.appID + "')", "/applications/" + own.app + "/federatedIdentityCredentials"} {
		for _, method := range []string{"GET", "PATCH", "DELETE"} {
			var body any
			if method == "PATCH" {
				body = m{}
			}
			got, nothing := w.do(foreign, method, path, body), w.do(foreign, method, strings.NewReplacer(own.app, nowhere, own.appID, nowhere, own.sp, nowhere).Replace(path), body)
			if got.status != nothing.status || got.code() != nothing.code() {
				t.Errorf("%s %s: %d %s, and of nothing %d %s", method, path, got.status, got.code(), nothing.status, nothing.code())
			}
		}
	}
	if got := w.do(foreign, "GET", "/applications", nil).is(200).all("displayName"); !cmp.Equal(got, []string{"Entente administrator"}) {
		t.Errorf("another tenant sees %v", got)
	}
}

// TestAdministratorsAreGuarded: who may write all applications still cannot become the administrator.
func TestAdministratorsAreGuarded(t *testing.T) {
	w := newWorld(t)
	w.callers["writer"] = w.principal("writer", "Application.ReadWrite.All")
	app, err := w.directory.Application(t.Context(), w.callers[admin], directory.Ref{AppID: w.callers[admin].AppID})
	w.must(err)
	for method, paths := range map[string][]string{
		"POST":   {"/applications/" + app.ID + "/addPassword", "/applications/" + app.ID + "/federatedIdentityCredentials"},
		"PATCH":  {"/applications/" + app.ID, "/servicePrincipals/" + w.callers[admin].PrincipalID},
		"DELETE": {"/applications/" + app.ID, "/servicePrincipals/" + w.callers[admin].PrincipalID},
	} {
		for _, path := range paths {
			var body any
			switch {
			case strings.HasSuffix(path, "Credentials"):
				body = trust("mine")
			case method != "DELETE":
				body = m{}
			}
			w.do("writer", method, path, body).fails(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
		}
	}
	w.callers["granter"] = w.principal("granter", "AppRoleAssignment.ReadWrite.All")
	resource := w.do(admin, "GET", "/servicePrincipals(appId='"+roles.GraphAppID+"')", nil).is(200).str("id")
	for _, id := range []string{w.callers[admin].PrincipalID, strings.ToUpper(w.callers[admin].PrincipalID)} {
		w.do("granter", "POST", "/servicePrincipals/"+id+"/appRoleAssignments", m{"principalId": id, "resourceId": resource, "appRoleId": "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30"}).
			fails(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
	}
}
