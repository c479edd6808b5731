package cli

import (
	"errors"
	"testing"

	"github.com/entente-id/entente/client"
)

// What is not there is said in words, with what lists the rest.
func TestInGroup(t *testing.T) {
	in := client.ResourceGroupID{SubscriptionID: "S", Name: "pets"}
	other := errors.New("another")
	for name, c := range map[string]struct {
		err   error
		want  string
		hints string
	}{
		"object":       {&client.Error{Status: 404, Code: "ResourceNotFound"}, `there is no cluster "prod" in the resource group "pets" of the subscription S`, "entente cluster list shows those that there are"},
		"group":        {&client.Error{Status: 404, Code: "ResourceGroupNotFound"}, `there is no cluster "prod": there is not even the resource group "pets" of the subscription S`, "entente cluster list shows those that there are"},
		"subscription": {&client.Error{Status: 404, Code: "SubscriptionNotFound"}, "there is no subscription S, or none that the caller sees", "--subscription ID chooses one; entente whoami shows where the caller has roles"},
		"another":      {other, "another", ""},
	} {
		err := (&session{}).list(inGroup(c.err, "cluster", "prod", in), "entente cluster list", "az aks list")
		if err.Error() != c.want || hintOf(err) != c.hints || errors.Is(err, client.ErrNotFound) != (c.err != other) {
			t.Errorf("%s: %q, hint %q", name, err, hintOf(err))
		}
	}
	if err := (&session{azure: true}).list(notThere("x"), "ours", "az aks list"); hintOf(err) != "az aks list shows those that there are" || exitCode(err) != exitNotFound {
		t.Errorf("%v", hintOf(err))
	}
}

// Graph does not say which permission was missing.
func TestNeeds(t *testing.T) {
	c := caller{clientID: "ID"}
	for e, want := range map[client.Error]string{
		{Method: "GET", Path: "/v1.0/applications"}:                                 "client ID needs the permission Application.Read.All of Microsoft Graph",
		{Method: "GET", Path: "/v1.0/servicePrincipals/x/appRoleAssignments"}:       "client ID needs the permission Application.Read.All of Microsoft Graph",
		{Method: "POST", Path: "/v1.0/servicePrincipals/x/appRoleAssignments"}:      "client ID needs the permission AppRoleAssignment.ReadWrite.All of Microsoft Graph",
		{Method: "POST", Path: "/v1.0/applications/x/federatedIdentityCredentials"}: "client ID needs a permission of Microsoft Graph: Application.ReadWrite.OwnedBy for applications that it owns, Application.ReadWrite.All for any",
		{Method: "PUT", Path: "/subscriptions/S/resourceGroups/pets"}:               "client ID needs a role with the action that the message names",
	} {
		if got := c.needs(&e); got != want {
			t.Errorf("%s %s: %s", e.Method, e.Path, got)
		}
	}
}
