package server

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// permits is which of Microsoft Graph's permissions a route needs, by the
// tables "Permissions" of its pages (https://learn.microsoft.com/graph/api/application-get
// and its neighbours), for applications that call in their own name.
type permits string

const (
	// Application.ReadWrite.OwnedBy is enough for owners of what the request is about.
	readsIt  permits = "reads"
	writesIt permits = "writes"
	// It is enough for everybody who has it: a list holds what they own, and what they make is theirs.
	listsIt permits = "lists"
	makesIt permits = "makes"
	// AppRoleAssignment.ReadWrite.All, and one to read.
	grantsIt permits = "grants"
	// Anybody of the tenant: it is told of itself.
	forAnybody permits = "anybody of the tenant"
)

const ownedBy = "Application.ReadWrite.OwnedBy"

var (
	readingPermissions = []string{"Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}
	writingPermissions = []string{"Application.ReadWrite.All", "Directory.ReadWrite.All"}
)

func (a *asker) has(permissions ...string) bool {
	return slices.ContainsFunc(permissions, func(p string) bool { return slices.Contains(a.graph, p) })
}

func (a *asker) ownsOneOf(objects []string) bool {
	return slices.ContainsFunc(objects, func(o string) bool { return slices.Contains(a.owns, o) })
}

// graphRow is one way to call a route of Microsoft Graph.
type graphRow struct {
	note    string
	needs   permits
	objects []string // names of what must be owned, one of them
	path    string   // empty: the pattern, with what is there for its parameters, in each spelling
	body    string
	prefer  string
	ok      int               // 0: 200
	hidden  bool              // what somebody else owns is not there, rather than forbidden
	foreign int               // for another tenant's administrator; 0: 404
	shows   map[string]string // canaries, each with what one must own to see it
	reads   bool
}

var (
	onApplication = []string{"{application}"}
	onPrincipal   = []string{"{application}", "{principal}"}
	onDeleted     = []string{"{deleted}"}
	onGone        = []string{"{deletedPrincipal}"}
	allShown      = map[string]string{"canary-application": "{application}", "canary-other-application": "{otherApplication}"}
)

const (
	aTrust     = `{"name":"{freshCredential}","issuer":"https://issuer.example/","subject":"system:serviceaccount:ns:sa","audiences":["api://AzureADTokenExchange"]}`
	aNamelessT = `{"issuer":"https://issuer.example/","subject":"system:serviceaccount:ns:sa","audiences":["api://AzureADTokenExchange"]}`
	aGrant     = `{"principalId":"{principal}","resourceId":"{graph}","appRoleId":"{readAll}"}`
	anOwner    = `{"@odata.id":"https://graph.microsoft.com/v1.0/directoryObjects/{otherPrincipal}"}`
	upserting  = "create-if-missing"
)

// graphRows is what each route needs. Patterns stand without their version.
var graphRows = map[string][]graphRow{
	"GET /applications":               {{needs: listsIt, foreign: 200, shows: allShown}},
	"POST /applications":              {{needs: makesIt, body: `{"displayName":"fresh"}`, ok: 201, foreign: 201}},
	"GET /applications/$count":        {{needs: listsIt, foreign: 200}},
	"GET /applications/{application}": {{needs: readsIt, objects: onApplication}},
	"PATCH /applications/{application}": {
		{needs: writesIt, objects: onApplication, body: `{"notes":"changed"}`, ok: 204},
		{note: "with nothing", needs: writesIt, objects: onApplication, body: `{}`, ok: 204},
		{note: "of its certificates", needs: writesIt, objects: onApplication, body: `{"keyCredentials":[]}`, ok: 204},
		{note: "upsert of what is there", needs: writesIt, objects: onApplication, path: "/v1.0/applications(uniqueName='{uniqueName}')", prefer: upserting, body: `{"displayName":"changed"}`, ok: 204, foreign: 201},
		{note: "upsert of what is new", needs: makesIt, path: "/v1.0/applications(uniqueName='{freshUnique}')", prefer: upserting, body: `{"displayName":"fresh"}`, ok: 201, foreign: 201},
	},
	"DELETE /applications/{application}":              {{needs: writesIt, objects: onApplication, ok: 204}},
	"POST /applications/{application}/addPassword":    {{needs: writesIt, objects: onApplication, body: `{"passwordCredential":{"displayName":"fresh"}}`}},
	"POST /applications/{application}/removePassword": {{needs: writesIt, objects: onApplication, body: `{"keyId":"{secret}"}`, ok: 204}},

	"GET /applications/{application}/owners":                 {{needs: readsIt, objects: onApplication}},
	"POST /applications/{application}/owners/$ref":           {{needs: writesIt, objects: onApplication, body: anOwner, ok: 204}},
	"DELETE /applications/{application}/owners/{owner}/$ref": {{needs: writesIt, objects: onApplication, ok: 204}},

	"GET /applications/{application}/federatedIdentityCredentials":              {{needs: readsIt, objects: onApplication}},
	"POST /applications/{application}/federatedIdentityCredentials":             {{needs: writesIt, objects: onApplication, body: aTrust, ok: 201}},
	"GET /applications/{application}/federatedIdentityCredentials/$count":       {{needs: readsIt, objects: onApplication}},
	"GET /applications/{application}/federatedIdentityCredentials/{credential}": {{needs: readsIt, objects: onApplication}},
	"PATCH /applications/{application}/federatedIdentityCredentials/{credential}": {
		{needs: writesIt, objects: onApplication, body: `{"description":"changed"}`, ok: 204},
		{note: "upsert of what is new", needs: writesIt, objects: onApplication, path: "/v1.0/applications/{application}/federatedIdentityCredentials(name='{freshCredential}')", prefer: upserting, body: aNamelessT, ok: 201},
	},
	"DELETE /applications/{application}/federatedIdentityCredentials/{credential}": {{needs: writesIt, objects: onApplication, ok: 204}},

	"GET /servicePrincipals":        {{needs: listsIt, foreign: 200, shows: map[string]string{"canary-application": "{principal}", "canary-other-application": "{otherPrincipal}"}}},
	"POST /servicePrincipals":       {{needs: writesIt, objects: []string{"{bare}"}, body: `{"appId":"{bareAppId}"}`, ok: 201, foreign: 400}},
	"GET /servicePrincipals/$count": {{needs: listsIt, foreign: 200}},
	"GET /servicePrincipals/{servicePrincipal}": {
		{needs: readsIt, objects: onPrincipal},
		{note: "its own", needs: forAnybody, path: "/v1.0/servicePrincipals/{self}", foreign: 200},
	},
	"PATCH /servicePrincipals/{servicePrincipal}": {
		{needs: writesIt, objects: onPrincipal, body: `{"tags":["changed"]}`, ok: 204},
		{note: "that disables it", needs: writesIt, objects: onPrincipal, body: `{"accountEnabled":false}`, ok: 204},
		{note: "upsert of what is new", needs: writesIt, objects: []string{"{bare}"}, path: "/v1.0/servicePrincipals(appId='{bareAppId}')", prefer: upserting, body: `{"tags":["fresh"]}`, ok: 201, foreign: 400},
	},
	"DELETE /servicePrincipals/{servicePrincipal}": {{needs: writesIt, objects: onPrincipal, ok: 204}},

	"POST /servicePrincipals/{servicePrincipal}/addPassword":    {{needs: writesIt, objects: onPrincipal, body: `{"passwordCredential":{"displayName":"fresh"}}`}},
	"POST /servicePrincipals/{servicePrincipal}/removePassword": {{needs: writesIt, objects: onPrincipal, body: `{"keyId":"{principalSecret}"}`, ok: 204}},
	"GET /servicePrincipals/{servicePrincipal}/owners": {
		{needs: readsIt, objects: onPrincipal},
		{note: "of itself", needs: readsIt, path: "/v1.0/servicePrincipals/{self}/owners", foreign: 200},
	},
	"POST /servicePrincipals/{servicePrincipal}/owners/$ref":           {{needs: writesIt, objects: onPrincipal, body: anOwner, ok: 204}},
	"DELETE /servicePrincipals/{servicePrincipal}/owners/{owner}/$ref": {{needs: writesIt, objects: onPrincipal, ok: 204}},

	"GET /servicePrincipals/{servicePrincipal}/appRoleAssignments": {
		{needs: readsIt, objects: onPrincipal},
		{note: "of itself", needs: forAnybody, path: "/v1.0/servicePrincipals/{self}/appRoleAssignments", foreign: 200}, // its token says the same
	},
	"POST /servicePrincipals/{servicePrincipal}/appRoleAssignments":                {{needs: grantsIt, body: aGrant, ok: 201}},
	"DELETE /servicePrincipals/{servicePrincipal}/appRoleAssignments/{assignment}": {{needs: grantsIt, ok: 204}},
	"GET /servicePrincipals/{servicePrincipal}/appRoleAssignedTo": {
		{needs: readsIt, path: "/v1.0/servicePrincipals/{graph}/appRoleAssignedTo"},
		{note: "of itself", needs: readsIt, path: "/v1.0/servicePrincipals/{self}/appRoleAssignedTo", foreign: 200},
	},
	"POST /servicePrincipals/{servicePrincipal}/appRoleAssignedTo":                {{needs: grantsIt, path: "/v1.0/servicePrincipals/{graph}/appRoleAssignedTo", body: aGrant, ok: 201}},
	"DELETE /servicePrincipals/{servicePrincipal}/appRoleAssignedTo/{assignment}": {{needs: grantsIt, path: "/v1.0/servicePrincipals/{graph}/appRoleAssignedTo/{grant}", ok: 204}},

	"GET /directory/deletedItems/microsoft.graph.application":      {{needs: listsIt, foreign: 200, shows: map[string]string{"canary-deleted": "{deleted}", "canary-other-deleted": "{otherDeleted}"}}},
	"GET /directory/deletedItems/microsoft.graph.servicePrincipal": {{needs: listsIt, foreign: 200, shows: map[string]string{"canary-parent": "{deletedPrincipal}"}}},
	"GET /directory/deletedItems/microsoft.graph.user":             {{needs: listsIt, foreign: 200}},
	"GET /directory/deletedItems/microsoft.graph.group":            {{needs: listsIt, foreign: 200}},
	"GET /directory/deletedItems/{deletedItem}": {
		{note: "application", needs: readsIt, objects: onDeleted, hidden: true},
		{note: "service principal", needs: readsIt, objects: onGone, path: "/v1.0/directory/deletedItems/{deletedPrincipal}", hidden: true},
	},
	"POST /directory/deletedItems/{deletedItem}/restore": {
		{note: "application", needs: writesIt, objects: onDeleted},
		{note: "service principal", needs: writesIt, objects: onGone, path: "/v1.0/directory/deletedItems/{deletedPrincipal}/restore"},
	},
	"DELETE /directory/deletedItems/{deletedItem}": {
		{note: "application", needs: writesIt, objects: onDeleted, ok: 204},
		{note: "service principal", needs: writesIt, objects: onGone, path: "/v1.0/directory/deletedItems/{deletedPrincipal}", ok: 204},
	},

	"GET /me":                         {{needs: forAnybody, ok: 400, foreign: 400}}, // no caller is a person
	"GET /organization":               {{needs: forAnybody, foreign: 200, shows: map[string]string{"{tenant}": ""}}},
	"POST /directoryObjects/getByIds": {{needs: listsIt, body: `{"ids":["{application}","{principal}","{otherApplication}"]}`, foreign: 200, shows: allShown, reads: true}},
	"GET /directoryObjects/{object}": {
		{note: "service principal", needs: readsIt, objects: onPrincipal, path: "/v1.0/directoryObjects/{principal}"},
		{note: "application", needs: readsIt, objects: onApplication, path: "/v1.0/directoryObjects/{application}"},
		{note: "its own", needs: forAnybody, path: "/v1.0/directoryObjects/{self}", foreign: 200},
	},
	"POST /directoryObjects/{object}/checkMemberGroups": {{needs: readsIt, objects: onPrincipal, path: "/v1.0/directoryObjects/{principal}/checkMemberGroups", body: `{"groupIds":["{nowhere}"]}`, reads: true}},
	"POST /directoryObjects/{object}/getMemberGroups":   {{needs: readsIt, objects: onPrincipal, path: "/v1.0/directoryObjects/{principal}/getMemberGroups", body: `{"securityEnabledOnly":false}`, reads: true}},

	// There are no people, groups and consents here: whoever may read hears so.
	"GET /users":                                    nobody(200),
	"POST /users":                                   cannotBeMade,
	"GET /users/$count":                             nobody(200),
	"GET /users/{absent}":                           nobody(404),
	"PATCH /users/{absent}":                         nobody(404),
	"DELETE /users/{absent}":                        nobody(404),
	"POST /users/{absent}/getMemberGroups":          nobody(404),
	"GET /groups":                                   nobody(200),
	"POST /groups":                                  cannotBeMade,
	"GET /groups/$count":                            nobody(200),
	"GET /groups/{absent}":                          nobody(404),
	"PATCH /groups/{absent}":                        nobody(404),
	"DELETE /groups/{absent}":                       nobody(404),
	"POST /groups/{absent}/getMemberGroups":         nobody(404),
	"GET /groups/{absent}/members":                  nobody(404),
	"POST /groups/{absent}/members/$ref":            nobody(404),
	"DELETE /groups/{absent}/members/{member}/$ref": nobody(404),
	"GET /groups/{absent}/owners":                   nobody(404),
	"POST /groups/{absent}/owners/$ref":             nobody(404),
	"DELETE /groups/{absent}/owners/{member}/$ref":  nobody(404),
	"GET /oauth2PermissionGrants":                   nobody(200),
	"POST /oauth2PermissionGrants":                  cannotBeMade,
	"GET /oauth2PermissionGrants/{absent}":          nobody(404),
	"PATCH /oauth2PermissionGrants/{absent}":        nobody(404),
	"DELETE /oauth2PermissionGrants/{absent}":       nobody(404),
}

func nobody(status int) []graphRow {
	return []graphRow{{needs: listsIt, ok: status, foreign: status, reads: true}}
}

var cannotBeMade = []graphRow{{needs: forAnybody, ok: 400, foreign: 400, body: `{"displayName":"x"}`, reads: true}}

// spellings are the ways to name the parameters of a pattern.
var spellings = []struct{ version, application, principal, credential string }{
	{"v1.0", "/{application}", "/{principal}", "/{graphCredential}"},
	{"beta", "(appId='{appId}')", "(appId='{appId}')", "(name='{credential}')"},
	{"v1.0", "(uniqueName='{uniqueName}')", "/{principal}", "/{credential}"},
}

// graphRequests makes the requests of every route of the surface.
func (m *matrix) graphRequests(t *testing.T) []request {
	t.Helper()
	left := map[string]bool{}
	for key := range graphRows {
		left[key] = true
	}
	var all []request
	for _, route := range m.graph.Routes() {
		key := route.Method + " " + strings.TrimPrefix(route.Pattern, "/{version}")
		rows, decided := graphRows[key]
		if !decided {
			t.Errorf("nobody has decided who may call %s (%s)", key, route.Action)
		}
		delete(left, key)
		for _, row := range rows {
			for _, path := range row.paths(route.Pattern) {
				all = append(all, m.graphRequest(route.Method, path, row))
			}
		}
	}
	for key := range left {
		t.Errorf("there is no route %s", key)
	}
	return all
}

// paths are the ways to call a row's route, each once.
func (row graphRow) paths(pattern string) []string {
	if row.path != "" {
		return []string{row.path}
	}
	var all []string
	for _, s := range spellings {
		path := strings.NewReplacer("{version}", s.version, "/{application}", s.application, "/{servicePrincipal}", s.principal, "/{credential}", s.credential,
			"{assignment}", "{grant}", "{owner}", "{bystander}", "{deletedItem}", "{deleted}", "{absent}", "{nowhere}", "{member}", "{bystander}").Replace(pattern)
		if !slices.Contains(all, path) {
			all = append(all, path)
		}
	}
	return all
}

func (m *matrix) graphRequest(method, path string, row graphRow) request {
	r := request{method: method, pattern: path, note: row.note, path: path, body: row.body, ok: row.ok, foreign: row.foreign, reads: row.reads}
	if r.ok == 0 {
		r.ok = http.StatusOK
	}
	if row.prefer != "" {
		r.header = http.Header{"Prefer": {row.prefer}}
	}
	r.decide = row.decide
	// Who may read the directory, or what it owns of it, may tell an id that
	// is there from one that is not, as in Graph. Others may not.
	r.mayKnow = func(a *asker) bool { return a.has(readingPermissions...) || a.has(ownedBy) }
	if len(row.shows) > 0 {
		r.shows = map[string]func(*asker) bool{}
	}
	for canary, owned := range row.shows {
		r.shows[canary] = func(a *asker) bool {
			return owned == "" || a.has(readingPermissions...) || a.has(ownedBy) && a.ownsOneOf([]string{owned})
		}
	}
	return r
}

func (row graphRow) decide(a *asker) verdict {
	enough, owner := readingPermissions, a.has(ownedBy) && a.ownsOneOf(row.objects)
	switch row.needs {
	case forAnybody:
		return allowed
	case grantsIt:
		if a.has("AppRoleAssignment.ReadWrite.All") && a.has(readingPermissions...) {
			return allowed
		}
		return forbidden
	case writesIt, makesIt:
		enough = writingPermissions
	}
	if row.needs == listsIt || row.needs == makesIt {
		owner = a.has(ownedBy)
	}
	switch {
	case a.has(enough...) || owner:
		return allowed
	case row.hidden && a.has(ownedBy):
		return absent
	}
	return forbidden
}
