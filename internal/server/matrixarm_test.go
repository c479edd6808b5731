package server

import (
	"cmp"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// azure are the roles that callers hold, as Azure's pages "Azure built-in
// roles" have them (https://learn.microsoft.com/azure/role-based-access-control/built-in-roles),
// and this server's own three. They are written out again here: a definition of
// the server that says something else gives other answers.
var azure = map[string]struct {
	id                  string
	actions, notActions []string
}{
	"Owner": {"8e3af657-a8ff-443c-a75c-2fe8c4bcb635", []string{"*"}, nil},
	"Contributor": {"b24988ac-6180-42a0-ab88-20f7382dd24c", []string{"*"}, []string{
		"Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write", "Microsoft.Authorization/elevateAccess/Action",
		"Microsoft.Blueprint/blueprintAssignments/write", "Microsoft.Blueprint/blueprintAssignments/delete", "Microsoft.Compute/galleries/share/action",
		"Microsoft.Purview/consents/write", "Microsoft.Purview/consents/delete", "Microsoft.Resources/deploymentStacks/manageDenySetting/action",
		"Microsoft.Subscription/cancel/action", "Microsoft.Subscription/enable/action",
	}},
	"Reader":                    {"acdd72a7-3385-48ef-bd42-f606fba81ae7", []string{"*/read"}, nil},
	"User Access Administrator": {"18d7d88d-d35e-4fb5-a5c3-7773c20a72d9", []string{"*/read", "Microsoft.Authorization/*", "Microsoft.Support/*"}, nil},
	"Role Based Access Control Administrator": {"f58310d9-a9f6-439a-9e8d-f62e7b41a168", []string{
		"Microsoft.Authorization/roleAssignments/write", "Microsoft.Authorization/roleAssignments/delete", "*/read", "Microsoft.Support/*",
	}, nil},
	"Managed Identity Contributor": {"e40ec5ca-96e0-45a2-b4ff-59039f2c2b59", []string{
		"Microsoft.ManagedIdentity/userAssignedIdentities/read", "Microsoft.ManagedIdentity/userAssignedIdentities/write", "Microsoft.ManagedIdentity/userAssignedIdentities/delete",
		"Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/read", "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write",
		"Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/delete", "Microsoft.ManagedIdentity/userAssignedIdentities/revokeTokens/action",
		"Microsoft.Authorization/*/read", "Microsoft.Insights/alertRules/*", "Microsoft.Resources/subscriptions/resourceGroups/read", "Microsoft.Resources/deployments/*", "Microsoft.Support/*",
	}, nil},
	"Managed Identity Operator": {"f1a07417-d97a-45cb-824c-7a7467783830", []string{
		"Microsoft.ManagedIdentity/userAssignedIdentities/*/read", "Microsoft.ManagedIdentity/userAssignedIdentities/*/assign/action",
		"Microsoft.Authorization/*/read", "Microsoft.Insights/alertRules/*", "Microsoft.Resources/subscriptions/resourceGroups/read", "Microsoft.Resources/deployments/*", "Microsoft.Support/*",
	}, nil},
	"Key Vault Secrets User": {"4633458b-17de-408a-b874-0445c86b69e6", nil, nil},
	"Azure Kubernetes Service Cluster User Role": {"4abbcc35-e782-43d8-92c5-2d3f1bd2253f", []string{
		"Microsoft.ContainerService/managedClusters/listClusterUserCredential/action", "Microsoft.ContainerService/managedClusters/read",
	}, nil},
	"Azure Kubernetes Service Contributor Role": {"ed7f3fbd-7b88-4dd4-9017-9adb7ce333f8", []string{
		"Microsoft.Authorization/*/read", "Microsoft.ContainerService/locations/*", "Microsoft.ContainerService/managedClusters/*", "Microsoft.ContainerService/managedclustersnapshots/*",
		"Microsoft.ContainerService/snapshots/*", "Microsoft.Insights/alertRules/*", "Microsoft.Resources/deployments/*", "Microsoft.Resources/subscriptions/resourceGroups/read",
		"Microsoft.ContainerService/deploymentSafeguards/*",
	}, nil},
	"Managed Identity Federated Identity Credential Contributor": {"7e559ce2-48d7-4b27-9128-fa1b247f1308", []string{
		"Microsoft.ManagedIdentity/userAssignedIdentities/read", "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write",
		"Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/read", "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/delete",
		"Microsoft.Authorization/*/read", "Microsoft.Insights/alertRules/*", "Microsoft.Resources/subscriptions/resourceGroups/read", "Microsoft.Resources/deployments/*",
	}, nil},
	"Cluster Reporter":         {"e7a1c0de-0000-4000-8000-000000000003", []string{"Microsoft.ContainerService/managedClusters/serviceAccounts/write"}, nil},
	"Federation Administrator": {"e7a1c0de-0000-4000-8000-000000000001", []string{"Entente.Federation/*"}, nil},
	"Federation Reader":        {"e7a1c0de-0000-4000-8000-000000000002", []string{"Entente.Federation/*/read"}, nil},
}

// may says what Azure says: that some role on the scope, or above it, has the
// action and does not take it away. Rights of this server's own are only in
// roles that name them.
func (m *matrix) may(a *asker, action, scope string) bool {
	return slices.ContainsFunc(a.roles, func(h held) bool {
		role := azure[h.role]
		names := func(p string) bool { return names(p, action) }
		own := func(p string) bool {
			return names(p) && (!strings.HasPrefix(action, "Entente.Federation/") || strings.HasPrefix(p, "Entente.Federation/"))
		}
		return below(m.vars.in(scope), m.vars.in(h.scope)) && slices.ContainsFunc(role.actions, own) && !slices.ContainsFunc(role.notActions, names)
	})
}

// names says whether an action is one of a pattern's. A star that is a whole
// segment may be none: Managed Identity Operator is there to read identities.
func names(pattern, action string) bool {
	text := "(?i)^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$"
	return regexp.MustCompile(text).MatchString(action) || regexp.MustCompile(strings.ReplaceAll(text, "/.*/", "/")).MatchString(action)
}

func below(scope, of string) bool {
	scope, of = strings.ToLower(strings.TrimSuffix(scope, "/")+"/"), strings.ToLower(strings.TrimSuffix(of, "/")+"/")
	return strings.HasPrefix(scope, of)
}

// knows says whether a caller holds anything on a scope, above it or below it:
// then, as in Azure, it sees that the subscription is there.
func (m *matrix) knows(a *asker, scope string) bool {
	return slices.ContainsFunc(a.roles, func(h held) bool {
		scope, on := m.vars.in(scope), m.vars.in(h.scope)
		return below(scope, on) || below(on, scope)
	})
}

// right is an action on a scope.
type right struct{ action, scope string }

func (m *matrix) mayAll(a *asker, rights []right) bool {
	return !slices.ContainsFunc(rights, func(r right) bool { return !m.may(a, r.action, r.scope) })
}

func (m *matrix) mayOne(a *asker, rights []right) bool {
	return slices.ContainsFunc(rights, func(r right) bool { return m.may(a, r.action, r.scope) })
}

// open are the routes that need no action, and why.
type open string

const (
	// anybody who has a token of the tenant; it is told of itself, or of what is the same for everybody.
	forAll open = "anybody of the tenant"
	// whoever knows the subscription; it is told what is the same for all who do.
	forKnown open = "who knows the subscription"
)

// armRow is one way to call a route of Azure Resource Manager.
type armRow struct {
	note    string
	with    vars   // other things than the names of the pattern say
	body    string // a good one
	ok      int    // 0: 200
	open    open
	also    []right // needed besides the route's action
	instead []right // needed in its place, all of them
	oneOf   []right // needed in its place, one of them
	foreign int     // for another tenant's administrator, where the path names no subscription
	shows   map[string]right
	reads   bool
}

const (
	administrates = "Entente.Federation/tenants/write"
	setsKeys      = "Entente.Federation/issuers/write"
	readsGroups   = "Microsoft.Resources/subscriptions/resourceGroups/read"
	readsIDs      = "Microsoft.ManagedIdentity/userAssignedIdentities/read"
	readsClusters = "Microsoft.ContainerService/managedClusters/read"
	allIssuers    = "/providers/Entente.Federation/issuers"

	aPlace      = `{"location":"local"}`
	aTag        = `{"tags":{"a":"b"}}`
	aCredential = `{"properties":{"issuer":"https://issuer.example/","subject":"system:serviceaccount:ns:sa","audiences":["api://AzureADTokenExchange"]}}`
	anIssuer    = `{"properties":{"issuer":"https://canary-issuer.example/","allowMultipleAudiences":true}}`
	keepsIssuer = `{"location":"local","properties":{"oidcIssuerProfile":{"enabled":true}}}`
	hisIssuer   = `{"location":"local","properties":{"oidcIssuerProfile":{"enabled":true,"issuerURL":"https://issuer.example/"}}}`
	hostedBody  = `{"location":"local","properties":{"oidcIssuerProfile":{"enabled":true,"keySource":"Hosted"}}}`
	uploaded    = `{"location":"local","properties":{"oidcIssuerProfile":{"enabled":true,"issuerURL":"https://issuer.example/","keySource":"KeySet","keySet":{keySet}}}}`
	newIssuer   = `{"properties":{"issuer":"https://new.example/"}}`
)

func assigns(role string) string {
	return `{"properties":{"roleDefinitionId":"/providers/Microsoft.Authorization/roleDefinitions/` + azure[role].id + `","principalId":"{bystander}"}}`
}

// onScopes are the rows of a route that stands below any scope: on each of
// them, with the assignment that is there.
func onScopes(row armRow, existing bool) []armRow {
	var rows []armRow
	for _, s := range []struct{ scope, assignment string }{{"", "{onRoot}"}, {theSubscription, "{onSubscription}"}, {theGroup, "{assignment}"}, {theIdentity, "{onIdentity}"}, {theCluster, "{onCluster}"}} {
		r := row
		r.note = strings.TrimSpace(row.note + " on /" + strings.TrimPrefix(s.scope, "/"))
		r.with = vars{"{scope}": s.scope}.with(row.with)
		if existing {
			r.with["{assignment}"] = s.assignment
		}
		rows = append(rows, r)
	}
	return rows
}

// armRows is what each route needs besides its action, and what its objects
// are. The action is the route's own; the scope is the resource in the path.
var armRows = map[string][]armRow{
	"GET /tenants":                                                      {{open: forAll, foreign: 200}},
	"GET /subscriptions":                                                {{open: forAll, foreign: 200, shows: map[string]right{theSubscription: {"", theSubscription}}}},
	"GET /subscriptions/{subscription}":                                 {{open: forKnown}},
	"GET /subscriptions/{subscription}/locations":                       {{open: forKnown}},
	"GET /subscriptions/{subscription}/providers":                       {{open: forKnown}},
	"GET /subscriptions/{subscription}/providers/{namespace}":           {{open: forKnown}},
	"POST /subscriptions/{subscription}/providers/{namespace}/register": {{reads: true}},

	"GET /subscriptions/{subscription}/resources": {{open: forKnown, shows: map[string]right{
		"canary-of-{identity}.": {readsIDs, theIdentity}, "canary-of-{otherIdentity}.": {readsIDs, theOtherGroup}, "canary-of-{cluster}.": {readsClusters, theCluster},
	}}},
	// As far as a caller may list one of the sorts in a group.
	"GET " + theGroup + "/resources": {{oneOf: []right{{readsIDs, theGroup}, {readsClusters, theGroup}}, shows: map[string]right{
		"canary-of-{identity}.": {readsIDs, theIdentity}, "canary-of-{cluster}.": {readsClusters, theCluster},
	}}},
	"GET /subscriptions/{subscription}/tagNames":                                  {{}},
	"GET /subscriptions/{subscription}/providers/Microsoft.Resources/deployments": {{}},
	"GET " + theGroup + "/providers/Microsoft.Resources/deployments":              {{}},
	"GET {scope}/providers/Microsoft.Authorization/locks":                         onScopes(armRow{foreign: 200}, false),
	"GET {scope}/providers/Microsoft.Resources/tags/default": {
		{note: "of the root, which has none", with: vars{"{scope}": ""}, ok: 404},
		{note: "of the subscription", with: vars{"{scope}": theSubscription}},
		{note: "of the group", with: vars{"{scope}": theGroup}, also: []right{{readsGroups, theGroup}}, shows: map[string]right{"canary-of-{group}.": {readsGroups, theGroup}}},
		{note: "of the identity", with: vars{"{scope}": theIdentity}, also: []right{{readsIDs, theIdentity}}, shows: map[string]right{"canary-of-{identity}.": {readsIDs, theIdentity}}},
		{note: "of the cluster", with: vars{"{scope}": theCluster}, also: []right{{readsClusters, theCluster}}, shows: map[string]right{"canary-of-{cluster}.": {readsClusters, theCluster}}},
	},

	"GET /subscriptions/{subscription}/resourceGroups":          {{open: forKnown, shows: map[string]right{"canary-of-{group}.": {readsGroups, theGroup}, "canary-of-{other}.": {readsGroups, theOtherGroup}}}},
	"HEAD /subscriptions/{subscription}/resourceGroups/{group}": {{ok: 204}},
	"GET /subscriptions/{subscription}/resourceGroups/{group}":  {{}},
	"PUT /subscriptions/{subscription}/resourceGroups/{group}": {
		{note: "that is there", body: aPlace},
		{note: "that is new", with: vars{"{group}": "{fresh}"}, body: aPlace, ok: 201},
	},
	"PATCH /subscriptions/{subscription}/resourceGroups/{group}":  {{body: aTag}, {note: "with nothing", body: `{}`}},
	"DELETE /subscriptions/{subscription}/resourceGroups/{group}": {{}},

	"GET /providers/Microsoft.ManagedIdentity/operations": {{open: forAll, foreign: 200}},
	"GET /subscriptions/{subscription}/providers/Microsoft.ManagedIdentity/userAssignedIdentities": {{open: forKnown, shows: map[string]right{
		"canary-of-{identity}.": {readsIDs, theIdentity}, "canary-of-{otherIdentity}.": {readsIDs, theOtherGroup},
	}}},
	"GET " + theGroup + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities": {{shows: map[string]right{"canary-of-{identity}.": {readsIDs, theIdentity}}}},
	"GET " + theIdentity: {{}},
	"PUT " + theIdentity: {
		{note: "that is there", body: aPlace},
		{note: "that is new", with: vars{"{identity}": "{freshIdentity}"}, body: aPlace, ok: 201},
	},
	"PATCH " + theIdentity:                                              {{body: aTag}, {note: "with nothing", body: `{}`}},
	"DELETE " + theIdentity:                                             {{}},
	"POST " + theIdentity + "/listAssociatedResources":                  {{reads: true}},
	"GET " + theIdentity + "/federatedIdentityCredentials":              {{}},
	"GET " + theIdentity + "/federatedIdentityCredentials/{credential}": {{}},
	"PUT " + theIdentity + "/federatedIdentityCredentials/{credential}": {
		{note: "that is there", body: aCredential},
		{note: "that is new", with: vars{"{credential}": "{freshCredential}"}, body: aCredential, ok: 201},
	},
	"DELETE " + theIdentity + "/federatedIdentityCredentials/{credential}": {{}},

	"GET /subscriptions/{subscription}/providers/Microsoft.ContainerService/managedClusters": {{open: forKnown, shows: map[string]right{"canary-of-{cluster}.": {readsClusters, theCluster}}}},
	"GET " + theGroup + "/providers/Microsoft.ContainerService/managedClusters":              {{shows: map[string]right{"canary-of-{cluster}.": {readsClusters, theCluster}}}},
	"GET " + theCluster: {{}},
	"PUT " + theCluster: {
		{note: "that is there", body: keepsIssuer},
		{note: "that is new", with: vars{"{cluster}": "{freshCluster}"}, body: aPlace, ok: 201},
		{note: "that is new, with discovery", with: vars{"{cluster}": "{freshCluster}"}, body: hisIssuer, ok: 201},
		// Whoever sets the keys of an issuer can mint every subject of it.
		{note: "that is new, with a hosted issuer", with: vars{"{cluster}": "{freshCluster}"}, body: hostedBody, ok: 201, also: []right{{setsKeys, allIssuers}}},
		{note: "that is new, with keys", with: vars{"{cluster}": "{freshCluster}"}, body: uploaded, ok: 201, also: []right{{setsKeys, allIssuers}}},
	},
	"PATCH " + theCluster:                    {{body: aTag}, {note: "with nothing", body: `{}`}},
	"DELETE " + theCluster:                   {{ok: 204}},
	"GET " + theCluster + "/serviceAccounts": {{shows: map[string]right{"canary-of-{cluster}.": {readsClusters, theCluster}}}},
	"PUT " + theCluster + "/serviceAccounts": {{body: `{"serviceAccounts":[{"namespace":"pets","name":"cat"}]}`}, {note: "to none", body: `{"serviceAccounts":[]}`}},
	"POST " + theCluster + "/updateKeys":     {{body: `{"keySet":{keySet}}`, instead: []right{{readsClusters, theCluster}, {setsKeys, allIssuers + "/{cluster}"}}}},

	"GET {scope}/providers/Microsoft.Authorization/roleDefinitions":              onScopes(armRow{open: forKnown, foreign: 200}, false),
	"GET {scope}/providers/Microsoft.Authorization/roleDefinitions/{definition}": onScopes(armRow{open: forKnown, foreign: 200}, false),
	"GET {scope}/providers/Microsoft.Authorization/roleAssignments":              onScopes(armRow{foreign: 200}, false),
	"GET {scope}/providers/Microsoft.Authorization/roleAssignments/{assignment}": onScopes(armRow{}, true),
	"PUT {scope}/providers/Microsoft.Authorization/roleAssignments/{assignment}": slices.Concat(
		onScopes(armRow{note: "of a common role", with: vars{"{assignment}": "{freshAssignment}"}, body: assigns("Managed Identity Operator"), ok: 201, foreign: 400}, false),
		onScopes(armRow{note: "of Owner", with: vars{"{assignment}": "{freshAssignment}"}, body: assigns("Owner"), ok: 201, foreign: 400}, false),
		onScopes(armRow{note: "of this server's own role", with: vars{"{assignment}": "{freshAssignment}"}, body: assigns("Federation Reader"), ok: 201, foreign: 400, also: []right{{administrates, "/"}}}, false),
	),
	"DELETE {scope}/providers/Microsoft.Authorization/roleAssignments/{assignment}": slices.Concat(
		onScopes(armRow{foreign: 204}, true),
		[]armRow{{note: "of one whom administrators made", with: vars{"{scope}": theGroup, "{assignment}": "{onAuditor}"}, also: []right{{administrates, "/"}}}},
	),

	"GET /providers/Entente.Federation/issuers":          {{foreign: 200}},
	"GET /providers/Entente.Federation/issuers/{issuer}": {{}},
	"PUT /providers/Entente.Federation/issuers/{issuer}": {
		{note: "that is there", body: anIssuer, foreign: 201},
		{note: "that is new", with: vars{"{issuer}": "{freshIssuer}"}, body: newIssuer, ok: 201, foreign: 201},
	},
	"DELETE /providers/Entente.Federation/issuers/{issuer}": {{foreign: 204}},
	"GET /providers/Entente.Federation/policies/default":    {{foreign: 200}},
	"PUT /providers/Entente.Federation/policies/default":    {{body: `{"properties":{"maxFederatedIdentityCredentials":30}}`, foreign: 200}},
	"GET /providers/Entente.Federation/tenants":             {{open: forAll, foreign: 200, shows: map[string]right{"{foreignTenant}": {administrates, "/"}}}},
	"GET /providers/Entente.Federation/tenants/{tenant}":    {{note: "of the caller", open: forAll}, {note: "of another", with: vars{"{tenant}": "{foreignTenant}"}, open: forAll, foreign: 200}},
	"PUT /providers/Entente.Federation/tenants/{tenant}":    {{with: vars{"{tenant}": "{freshTenant}"}, body: `{"properties":{"displayName":"fresh"}}`, ok: 201, foreign: 403}},
	"GET /providers/Entente.Federation/auditEvents":         {{foreign: 200}},
	"GET /providers/Entente.Federation/signIns":             {{foreign: 200}},
	"GET /providers/Entente.Federation/signingKeys":         {{foreign: 200}},
	"POST /providers/Entente.Federation/signingKeys/rotate": {{foreign: 200}},
	// Everybody for itself: it opens to nobody more than the caller's own token does.
	"POST /providers/Entente.Federation/portalLinks": {{open: forAll, ok: 201, foreign: 201}, {note: "for a minute", body: `{"properties":{"lifetimeSeconds":60}}`, open: forAll, ok: 201, foreign: 201}},
}

// armRequests makes the requests of every route of the surface.
func (m *matrix) armRequests(t *testing.T) []request {
	t.Helper()
	left := map[string]bool{}
	for key := range armRows {
		left[key] = true
	}
	var all []request
	for _, route := range m.arm.Routes() {
		key := route.Method + " " + route.Pattern
		if route.Action == "" {
			continue // matrixopen_test.go
		}
		rows, decided := armRows[key]
		if !decided {
			t.Errorf("nobody has decided who may call %s (%s)", key, route.Action)
		}
		delete(left, key)
		for _, row := range rows {
			all = append(all, m.armRequest(route.Method, route.Pattern, route.Action, row))
		}
	}
	for key := range left {
		t.Errorf("there is no route %s", key)
	}
	return all
}

func (m *matrix) armRequest(method, pattern, action string, row armRow) request {
	path := row.with.in(strings.ReplaceAll(pattern, "{definition}", azure["Reader"].id))
	path = strings.ReplaceAll(path, "{namespace}", "Microsoft.ManagedIdentity")
	scope := scopeIn(path)
	if of, below := row.with["{scope}"]; below {
		scope = cmp.Or(of, "/")
	}
	r := request{method: method, pattern: pattern, note: row.note, path: path + "?api-version=2023-01-31", body: row.body, ok: row.ok, foreign: row.foreign, reads: row.reads}
	if r.ok == 0 {
		r.ok = http.StatusOK
	}
	inSubscription := strings.HasPrefix(path, theSubscription)
	if inSubscription {
		r.foreign = 0 // which is not there for it
	}
	permitted := func(a *asker) bool {
		switch {
		case len(row.instead) > 0:
			return m.mayAll(a, row.instead)
		case len(row.oneOf) > 0:
			return m.mayOne(a, row.oneOf)
		}
		return m.may(a, action, scope)
	}
	r.decide = func(a *asker) verdict {
		switch {
		case inSubscription && !m.knows(a, theSubscription):
			return absent
		case row.open != "" && strings.Contains(path, "{foreignTenant}") && !m.may(a, administrates, "/"):
			return absent
		case row.open != "", permitted(a) && m.mayAll(a, row.also):
			return allowed
		}
		return forbidden
	}
	if len(row.also)+len(row.instead) > 0 { // of the first right, one hears of what is there
		r.mayKnow = func(a *asker) bool {
			return len(row.instead) > 0 && m.mayAll(a, row.instead[:1]) || len(row.instead) == 0 && permitted(a)
		}
	}
	if len(row.shows) > 0 {
		r.shows = map[string]func(*asker) bool{}
	}
	for canary, needs := range row.shows {
		r.shows[canary] = func(a *asker) bool {
			if needs.action == "" {
				return m.knows(a, needs.scope)
			}
			return m.may(a, needs.action, needs.scope)
		}
	}
	return r
}

// scopeIn is the resource in a path: what an action is asked on. What comes
// after it is a list, or a verb.
func scopeIn(path string) string {
	s := strings.Split(strings.TrimPrefix(path, "/"), "/")
	n, whole := 0, 0
	for n < len(s) {
		switch {
		case s[n] == "providers" && n+3 < len(s):
			n += 4
		case s[n] == "providers" || n+1 >= len(s):
			n = len(s)
			continue
		default:
			n += 2
		}
		whole = n
	}
	return "/" + strings.Join(s[:whole], "/")
}

// TestRolesAreAzures compares the definitions that the service tells with the table.
func TestRolesAreAzures(t *testing.T) {
	s := openService(t, t.TempDir())
	header := http.Header{"Authorization": {"Bearer " + s.token(s.URL())}}
	for name, want := range azure {
		w := s.ask("GET", "/providers/Microsoft.Authorization/roleDefinitions?api-version=2022-04-01&$filter=roleName%20eq%20'"+strings.ReplaceAll(name, " ", "%20")+"'", nil, header)
		var got struct {
			Value []struct {
				Name       string
				Properties struct {
					Permissions []struct{ Actions, NotActions []string }
				}
			}
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got.Value) != 1 || len(got.Value[0].Properties.Permissions) != 1 {
			t.Errorf("%s: %d %s (%v)", name, w.Code, w.Body, err)
			continue
		}
		one, p := got.Value[0], got.Value[0].Properties.Permissions[0]
		if one.Name != want.id || !sameSet(p.Actions, want.actions) || !sameSet(p.NotActions, want.notActions) {
			t.Errorf("%s is %s with %q without %q, want %+v", name, one.Name, p.Actions, p.NotActions, want)
		}
	}
}

func sameSet(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}
