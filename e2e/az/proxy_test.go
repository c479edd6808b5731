package az

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entente-id/entente/client"
	_ "github.com/entente-id/entente/internal/proxy" // what the program is made of
	"github.com/entente-id/entente/internal/testkit"
)

// A script that runs under "entente-proxy run" signs in with az login --identity,
// once, and az asks for each command anew: there is no token file that ends after an hour.
func TestManagedIdentityLogin(t *testing.T) {
	t.Parallel()
	s, issuer := serve(t)
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(filepath.Dir(testkit.Program), "entente-proxy"), "github.com/entente-id/entente/cmd/entente-proxy")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the proxy: %v\n%s", err, out)
	}
	ctx, admin := t.Context(), s.AsAdmin(t)
	group := client.ResourceGroupID{SubscriptionID: s.SubscriptionID, Name: "pets"}
	id := client.IdentityID{SubscriptionID: s.SubscriptionID, ResourceGroup: group.Name, Name: "cat"}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := admin.PutResourceGroup(ctx, group, client.ResourceSpec{Location: "local"})
	must(err)
	cat, _, err := admin.PutIdentity(ctx, id, client.ResourceSpec{Location: "local"})
	must(err)
	_, _, err = admin.PutIdentityCredential(ctx, id, client.FederatedCredential{
		Name: "cluster", Issuer: issuer.URL(), Subject: "system:serviceaccount:pets:workload-identity-sa", Audiences: []string{"api://AzureADTokenExchange"},
	})
	must(err)
	reader, err := admin.RoleDefinitionByName(ctx, group.String(), "Reader")
	must(err)
	_, err = admin.PutRoleAssignment(ctx, group.String(), client.RoleAssignmentSpec{RoleDefinitionID: reader.ID, PrincipalID: cat.PrincipalID})
	must(err)

	pod := open(t, s)
	pod.cloud(s.Authority + "/adfs")
	file := filepath.Join(pod.dir, "token")
	if err := os.WriteFile(file, []byte(mint(t, issuer)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"AZURE_TENANT_ID": s.TenantID, "AZURE_CLIENT_ID": cat.ClientID, "AZURE_FEDERATED_TOKEN_FILE": file, "AZURE_AUTHORITY_HOST": s.Authority, "SSL_CERT_FILE": s.CAFile,
	} {
		pod.export(name, value)
	}
	pod.export("IDENTITY", cat.ClientID)
	for _, login := range []string{"az login --identity", "az login --identity --username $IDENTITY"} {
		got := pod.out(`entente-proxy run -- bash -euo pipefail -c '
			` + login + ` -o none
			az group list --query "[].name" -o tsv
			az account get-access-token --resource https://vault.azure.net --query accessToken -o tsv'`)
		group, token, _ := strings.Cut(got, "\n")
		if c := claims(t, token); group != "pets" || c["appid"] != cat.ClientID || c["aud"] != "https://vault.azure.net" {
			t.Errorf("%s: group %q, claims %v", login, group, c)
		}
	}
	// az shows a refusal at the end of a traceback of its own, which is its way of the protocol of 2017.
	pod.prints("AADSTS700016", `if entente-proxy run -- az login --identity --username 00000000-0000-4000-8000-000000000000 >said 2>&1; then echo in; fi; grep -o "AADSTS[0-9]*" said | head -1`)
}
