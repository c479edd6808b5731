package e2e

import (
	"slices"
	"testing"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/localissuer"
	"github.com/entente-id/entente/internal/roles"
)

// trustIn is the credential that trusts the tests' workload.
func trustIn(issuer *localissuer.Issuer) client.FederatedCredential {
	return client.FederatedCredential{Name: "cluster", Issuer: issuer.URL(), Subject: subject, Audiences: []string{audience}}
}

func subjectUpdate(subject string) client.FederatedCredentialUpdate {
	return client.FederatedCredentialUpdate{Subject: subject}
}

// permit gives a workload a permission of Microsoft Graph.
func permit(t *testing.T, admin *client.Client, w workload, permission string) {
	t.Helper()
	graph, err := admin.ServicePrincipal(t.Context(), roles.GraphAppID)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(graph.AppRoles, func(r client.AppRole) bool { return r.Value == permission })
	if _, err := admin.CreateAppRoleAssignment(t.Context(), client.AppRoleAssignment{PrincipalID: w.principalID, ResourceID: graph.ID, AppRoleID: graph.AppRoles[i].ID}); err != nil {
		t.Fatal(err)
	}
}

// assign gives a workload a role on a resource group.
func assign(t *testing.T, admin *client.Client, w workload, group client.ResourceGroupID, role string) {
	t.Helper()
	definition, err := admin.RoleDefinitionByName(t.Context(), group.String(), role)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.PutRoleAssignment(t.Context(), group.String(), client.RoleAssignmentSpec{RoleDefinitionID: definition.ID, PrincipalID: w.principalID}); err != nil {
		t.Fatal(err)
	}
}
