package server

import (
	"testing"

	"github.com/google/uuid"
)

// A body that names another tenant's object, below an object of the caller's
// own, gets what a body gets that names nothing.
func TestForeignObjectsInBodies(t *testing.T) {
	onMatrix(t, func(t *testing.T, m *matrix) {
		foreign := m.by(t, "administrator of another tenant")
		made := m.send(request{method: "POST", path: "/v1.0/applications", body: `{"displayName":"mine"}`}, foreign, m.vars)
		m.vars["{mine}"] = idIn(t, made.Body.String())
		own := m.send(request{method: "GET", path: "/v1.0/servicePrincipals(appId='00000003-0000-0000-c000-000000000000')"}, foreign, m.vars)
		m.vars["{myGraph}"], m.vars["{me}"] = idIn(t, own.Body.String()), foreign.id
		mine := vars{"{mine}": m.vars["{mine}"], "{myGraph}": m.vars["{myGraph}"], "{me}": foreign.id, "{readAll}": m.vars["{readAll}"], "{foreignTenant}": m.vars["{foreignTenant}"]}
		before := m.state(t, nil)
		for _, r := range []request{
			{method: "POST", path: "/v1.0/applications/{mine}/owners/$ref", body: `{"@odata.id":"https://graph.microsoft.com/v1.0/directoryObjects/{bystander}"}`, ok: 404},
			{method: "DELETE", path: "/v1.0/applications/{mine}/owners/{bystander}/$ref", ok: 404},
			{method: "POST", path: "/v1.0/applications/{mine}/removePassword", body: `{"keyId":"{secret}"}`, ok: 400},
			{method: "GET", path: "/v1.0/applications/{mine}/federatedIdentityCredentials/{graphCredential}", ok: 404},
			{method: "PATCH", path: "/v1.0/applications/{mine}/federatedIdentityCredentials/{graphCredential}", body: `{"description":"x"}`, ok: 404},
			{method: "DELETE", path: "/v1.0/applications/{mine}/federatedIdentityCredentials/{graphCredential}", ok: 404},
			{method: "POST", path: "/v1.0/servicePrincipals", body: `{"appId":"{bareAppId}"}`, ok: 400},
			{method: "POST", path: "/v1.0/servicePrincipals/{me}/appRoleAssignments", body: `{"principalId":"{me}","resourceId":"{graph}","appRoleId":"{readAll}"}`, ok: 404},
			{method: "POST", path: "/v1.0/servicePrincipals/{myGraph}/appRoleAssignedTo", body: `{"principalId":"{principal}","resourceId":"{myGraph}","appRoleId":"{readAll}"}`, ok: 404},
			{method: "DELETE", path: "/v1.0/servicePrincipals/{me}/appRoleAssignments/{grant}", ok: 404},
			{method: "GET", path: "/v1.0/applications?$filter=id%20eq%20'{application}'", ok: 200},
			{method: "GET", path: "/v1.0/applications?$filter=appId%20eq%20'{appId}'", ok: 200},
			{method: "GET", path: "/v1.0/servicePrincipals?$filter=servicePrincipalNames/any(c:c%20eq%20'{appId}')", ok: 200},
			{method: "GET", path: "/v1.0/servicePrincipals/{me}/appRoleAssignments?$filter=resourceId%20eq%20{graph}", ok: 200},
			{method: "POST", path: "/v1.0/directoryObjects/getByIds", body: `{"ids":["{application}","{principal}"]}`, ok: 200},
			{method: "PUT", path: assignmentsPath + uuid.NewString() + "?api-version=2022-04-01", body: assigns("Reader"), ok: 400},
			{method: "PUT", path: theSubscription + assignmentsPath + uuid.NewString() + "?api-version=2022-04-01", body: assigns("Reader"), ok: 404},
			{method: "GET", path: assignmentsPath + "?api-version=2022-04-01&$filter=principalId%20eq%20'{bystander}'", ok: 200},
			{method: "PUT", path: "/providers/Entente.Federation/tenants/{tenant}?api-version=2026-11-01", body: `{"properties":{"displayName":"mine"}}`, ok: 403},
		} {
			nothing := m.nothing.with(mine)
			got, twin := m.send(r, foreign, m.vars), m.send(r, foreign, nothing)
			if got.Code != r.ok {
				t.Errorf("%s %s: %d, want %d: %.300s", r.method, r.path, got.Code, r.ok, got.Body)
			}
			if of, ofNothing := plain(got, m.vars), plain(twin, nothing); of != ofNothing {
				t.Errorf("%s %s tells what is there from what is not: %s", r.method, r.path, firstDifference(of, ofNothing))
			}
		}
		if d := before.diff(m.state(t, nil)); d != "" {
			t.Errorf("something changed:\n%s", d)
		}
	})
}

// idIn is the first id in an answer.
func idIn(t *testing.T, text string) string {
	t.Helper()
	at := anyID.FindStringSubmatch(text)
	if at == nil {
		t.Fatalf("there is no id in %s", text)
	}
	return at[1]
}
