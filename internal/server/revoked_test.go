package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/testkit"
)

// by finds a caller of the matrix.
func (m *matrix) by(t *testing.T, name string) *asker {
	t.Helper()
	for _, a := range m.askers {
		if a.name == name {
			return a
		}
	}
	t.Fatalf("nobody is called %q", name)
	return nil
}

// wants asks and compares the status.
func (m *matrix) wants(t *testing.T, status int, a *asker, method, path, body string) string {
	t.Helper()
	if !strings.HasPrefix(path, "/v1.0") {
		path += "?api-version=2022-04-01"
	}
	w := m.send(request{method: method, path: path, body: body}, a, m.vars)
	if w.Code != status {
		t.Errorf("%s %s as %s: %d, want %d: %.300s", method, m.vars.in(path), a.name, w.Code, status, w.Body)
	}
	return w.Body.String()
}

// onMatrix runs a test on a matrix of each engine.
func onMatrix(t *testing.T, test func(t *testing.T, m *matrix)) {
	t.Helper()
	testkit.EngineDSNs(t, func(t *testing.T, dsn string) { test(t, newMatrix(t, dsn)) })
}

const assignmentsPath = "/providers/Microsoft.Authorization/roleAssignments/"

func assignment(role, principal string) string {
	return fmt.Sprintf(`{"properties":{"roleDefinitionId":"/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/%s","principalId":"%s","principalType":"ServicePrincipal"}}`, strings.ToUpper(azure[role].id), strings.ToUpper(principal))
}

// A role reaches what lies below its scope, in whatever case the scope was
// written, from the next request on; and when it is taken away it does not,
// whatever the token says.
func TestAssignmentsCountAtOnce(t *testing.T) {
	onMatrix(t, func(t *testing.T, m *matrix) {
		admin, one := m.by(t, "administrator"), m.by(t, "nothing")
		for _, scope := range []struct {
			scope          string
			reads, doesNot []string
		}{
			{"", []string{theSubscription, theGroup, theOtherGroup, theIdentity, theIdentity + "/federatedIdentityCredentials"}, []string{"/providers/Entente.Federation/issuers"}},
			{theSubscription, []string{theSubscription, theGroup, theOtherGroup, theIdentity, theIdentity + "/federatedIdentityCredentials/{credential}"}, nil},
			{"/SUBSCRIPTIONS/{subscription}/RESOURCEGROUPS/MATRIX-GROUP", []string{theSubscription, theGroup, theIdentity}, []string{theOtherGroup}},
			{"/subscriptions/{subscription}/resourcegroups/Matrix-Group/providers/microsoft.managedidentity/USERASSIGNEDIDENTITIES/Matrix-Identity", []string{theSubscription, theIdentity, theIdentity + "/federatedIdentityCredentials"}, []string{theGroup, theOtherGroup}},
		} {
			name := uuid.NewString()
			m.wants(t, 404, one, "GET", theIdentity, "")
			m.wants(t, 201, admin, "PUT", scope.scope+assignmentsPath+name, assignment("Reader", one.id))
			for _, path := range scope.reads {
				m.wants(t, 200, one, "GET", path, "")
				m.wants(t, 200, one, "GET", "/SUBSCRIPTIONS"+strings.TrimPrefix(path, "/subscriptions"), "")
			}
			for _, path := range scope.doesNot {
				m.wants(t, 403, one, "GET", path, "")
			}
			m.wants(t, 403, one, "PATCH", theIdentity, aTag)
			m.wants(t, 403, one, "DELETE", theIdentity, "")
			m.wants(t, 200, admin, "DELETE", strings.ToLower(scope.scope)+assignmentsPath+strings.ToUpper(name), "")
			for _, path := range scope.reads {
				m.wants(t, 404, one, "GET", path, "")
			}
		}

		// Each assignment counts by itself.
		onSubscription, onGroup := uuid.NewString(), uuid.NewString()
		m.wants(t, 201, admin, "PUT", theSubscription+assignmentsPath+onSubscription, assignment("Contributor", one.id))
		m.wants(t, 201, admin, "PUT", theGroup+assignmentsPath+onGroup, assignment("Reader", one.id))
		m.wants(t, 200, one, "PATCH", theGroup, aTag)
		m.wants(t, 200, admin, "DELETE", theSubscription+assignmentsPath+onSubscription, "")
		m.wants(t, 403, one, "PATCH", theGroup, aTag)
		m.wants(t, 200, one, "GET", theGroup, "")
		m.wants(t, 403, one, "GET", theOtherGroup, "")
	})
}

// What is made again under a name is another thing: who held a role on the
// first holds none on the second.
func TestAssignmentsGoWithTheirScope(t *testing.T) {
	onMatrix(t, func(t *testing.T, m *matrix) {
		admin := m.by(t, "administrator")
		m.wants(t, 200, m.by(t, "on the resource"), "GET", theIdentity, "")
		m.wants(t, 200, admin, "DELETE", theIdentity, "")
		m.wants(t, 201, admin, "PUT", theIdentity, aPlace)
		m.wants(t, 404, m.by(t, "on the resource"), "GET", theIdentity, "")
		m.wants(t, 200, m.by(t, "owner"), "GET", theIdentity, "")

		m.wants(t, 200, admin, "DELETE", theGroup, "")
		m.wants(t, 201, admin, "PUT", theGroup, aPlace)
		m.wants(t, 201, admin, "PUT", theIdentity, aPlace)
		for _, who := range []string{"owner", "Owner of the group", "User Access Administrator", "Managed Identity Contributor"} {
			m.wants(t, 404, m.by(t, who), "GET", theIdentity, "")
			m.wants(t, 404, m.by(t, who), "PUT", theIdentity, aPlace)
		}
		m.wants(t, 200, m.by(t, "Owner of the subscription"), "GET", theIdentity, "")
	})
}

// Permissions and ownership in Graph count on the next request, too.
func TestPermissionsCountAtOnce(t *testing.T) {
	onMatrix(t, func(t *testing.T, m *matrix) {
		admin, one := m.by(t, "administrator"), m.by(t, "nothing")
		const app = "/v1.0/applications/{application}"
		m.wants(t, 403, one, "GET", app, "")
		grant := fmt.Sprintf(`{"principalId":"%s","resourceId":"{graph}","appRoleId":"{readAll}"}`, one.id)
		made := m.wants(t, 201, admin, "POST", "/v1.0/servicePrincipals/"+one.id+"/appRoleAssignments", grant)
		m.wants(t, 200, one, "GET", app, "")
		m.wants(t, 403, one, "PATCH", app, `{"notes":"x"}`)
		_, id, _ := strings.Cut(made, `"id":"`)
		m.wants(t, 204, admin, "DELETE", "/v1.0/servicePrincipals/"+one.id+"/appRoleAssignments/"+id[:36], "")
		m.wants(t, 403, one, "GET", app, "")

		other := m.by(t, "owner of another")
		m.wants(t, 403, other, "PATCH", app, `{"notes":"x"}`)
		m.wants(t, 204, m.by(t, "owner"), "POST", app+"/owners/$ref", fmt.Sprintf(`{"@odata.id":"https://graph.microsoft.com/v1.0/directoryObjects/%s"}`, other.id))
		m.wants(t, 204, other, "PATCH", app, `{"notes":"x"}`)
		m.wants(t, 204, m.by(t, "owner"), "DELETE", app+"/owners/"+other.id+"/$ref", "")
		m.wants(t, 403, other, "PATCH", app, `{"notes":"y"}`)
		m.wants(t, 403, other, "GET", app, "")
	})
}

// A token is worth what its principal is worth at this moment.
func TestTokensOfPrincipalsThatAreGone(t *testing.T) {
	onMatrix(t, func(t *testing.T, m *matrix) {
		admin := m.by(t, "administrator")
		known := func(status int, a *asker, arm, graph string) {
			t.Helper()
			m.wants(t, status, a, "GET", arm, "")
			if graph != "" {
				m.wants(t, status, a, "GET", graph, "")
			}
		}
		reader := m.by(t, "reader")
		const list = "/v1.0/applications"
		known(200, reader, theGroup, list)
		m.wants(t, 204, admin, "PATCH", "/v1.0/servicePrincipals/"+reader.id, `{"accountEnabled":false}`)
		known(401, reader, theGroup, list)
		m.wants(t, 204, admin, "PATCH", "/v1.0/servicePrincipals/"+reader.id, `{"accountEnabled":true}`)
		known(200, reader, theGroup, list)

		app := must[directory.Application](t)(m.directory.Application(t.Context(), m.system, directory.Ref{AppID: reader.appID}))
		m.wants(t, 204, admin, "DELETE", "/v1.0/applications/"+app.ID, "")
		known(401, reader, theGroup, list)
		m.wants(t, 200, admin, "POST", "/v1.0/directory/deletedItems/"+app.ID+"/restore", "")
		known(200, reader, theGroup, list)
		m.wants(t, 204, admin, "DELETE", "/v1.0/servicePrincipals/"+reader.id, "")
		known(401, reader, theGroup, list)

		owner := m.by(t, "owner")
		app = must[directory.Application](t)(m.directory.Application(t.Context(), m.system, directory.Ref{AppID: owner.appID}))
		m.wants(t, 204, admin, "DELETE", "/v1.0/applications/"+app.ID, "")
		m.wants(t, 204, admin, "DELETE", "/v1.0/directory/deletedItems/"+app.ID, "")
		known(401, owner, theGroup, list)

		// A managed identity, whose token stands for one that it got by a federated credential.
		identity := must[directory.Identity](t)(m.directory.Identity(t.Context(), m.system, directory.IdentityRef{SubscriptionID: m.vars["{subscription}"], Group: m.vars["{group}"], Name: m.vars["{identity}"]}))
		expiry := time.Now().Add(time.Hour).Unix()
		workload := &asker{name: "identity", token: m.sign(t, m.vars["{tenant}"], map[string]any{"aud": m.URL(), "tid": m.vars["{tenant}"], "oid": identity.PrincipalID, "iat": expiry - 3600, "nbf": expiry - 3600, "exp": expiry})}
		m.wants(t, http.StatusNotFound, workload, "GET", theGroup, "")
		m.wants(t, 201, admin, "PUT", theSubscription+assignmentsPath+uuid.NewString(), assignment("Reader", identity.PrincipalID))
		known(200, workload, theGroup, "")
		m.wants(t, 200, admin, "DELETE", theIdentity, "")
		known(401, workload, theGroup, list)
	})
}
