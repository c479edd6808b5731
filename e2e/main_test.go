// Package e2e drives the built program over TLS with the clients that people
// use: the Azure SDK, its resource manager client, and our own.
package e2e

import (
	"os"
	"testing"

	"github.com/entente-id/entente/client"
	_ "github.com/entente-id/entente/internal/cli" // what the program is made of: a change of it runs these tests again
	"github.com/entente-id/entente/internal/localissuer"
	"github.com/entente-id/entente/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Getenv(sdkProcess) != "" {
		return sdkMain()
	}
	if os.Getenv(runProcess) != "" {
		return runMain()
	}
	return testkit.Main(m)
}

// service is a running "entente serve", with what these tests do with it.
type service struct{ *testkit.Service }

func serve(t *testing.T, dir string, args ...string) *service {
	t.Helper()
	return &service{testkit.Serve(t, dir, args...)}
}

// cluster is an issuer whose keys the service may fetch.
func cluster(t *testing.T) (issuer *localissuer.Issuer, flags []string) {
	t.Helper()
	return testkit.Issuer(t, localissuer.Config{Algorithm: "RS256"})
}

const (
	audience = "api://AzureADTokenExchange"
	subject  = "system:serviceaccount:pets:workload-identity-sa"
)

func mint(t *testing.T, issuer *localissuer.Issuer, change ...func(*localissuer.Token)) string {
	t.Helper()
	token := localissuer.Token{Namespace: "pets", ServiceAccount: "workload-identity-sa", Audiences: []string{audience}}
	for _, c := range change {
		c(&token)
	}
	text, err := issuer.Mint(token)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// workload is a parent with a credential that trusts the cluster.
type workload struct{ clientID, principalID string }

func application(t *testing.T, c *client.Client, name, issuer string) (client.Application, workload) {
	t.Helper()
	ctx := t.Context()
	app, err := c.CreateApplication(ctx, client.ApplicationSpec{DisplayName: name})
	if err != nil {
		t.Fatal(err)
	}
	sp, err := c.CreateServicePrincipal(ctx, client.ServicePrincipalSpec{AppID: app.AppID})
	if err != nil {
		t.Fatal(err)
	}
	if issuer != "" {
		if _, err := c.CreateApplicationCredential(ctx, app.ID, client.FederatedCredential{Name: "cluster", Issuer: issuer, Subject: subject, Audiences: []string{audience}}); err != nil {
			t.Fatal(err)
		}
	}
	return app, workload{app.AppID, sp.ID}
}

func identity(t *testing.T, s *service, c *client.Client, group, name, issuer string) (client.IdentityID, workload) {
	t.Helper()
	ctx := t.Context()
	spec := client.ResourceSpec{Location: "local"}
	if _, _, err := c.PutResourceGroup(ctx, client.ResourceGroupID{SubscriptionID: s.SubscriptionID, Name: group}, spec); err != nil {
		t.Fatal(err)
	}
	id := client.IdentityID{SubscriptionID: s.SubscriptionID, ResourceGroup: group, Name: name}
	m, _, err := c.PutIdentity(ctx, id, spec)
	if err != nil {
		t.Fatal(err)
	}
	if issuer != "" {
		if _, _, err := c.PutIdentityCredential(ctx, id, client.FederatedCredential{Name: "cluster", Issuer: issuer, Subject: subject, Audiences: []string{audience}}); err != nil {
			t.Fatal(err)
		}
	}
	return id, workload{m.ClientID, m.PrincipalID}
}

// withSecret gives an application a client secret.
func withSecret(t *testing.T, c *client.Client, app client.Application) string {
	t.Helper()
	p, err := c.AddPassword(t.Context(), app.ID, client.PasswordSpec{DisplayName: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return p.SecretText
}
