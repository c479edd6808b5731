package doctor

import (
	"slices"
	"testing"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/credential"
)

// A name that begins with a dash is no flag of the command that mends its credential.
func TestChangeOfNamesWithDash(t *testing.T) {
	app := &parent{ClientID: "APP"}
	identity := &parent{identity: client.IdentityID{SubscriptionID: "S", ResourceGroup: "g", Name: "i"}}
	for _, c := range []struct {
		kind Kind
		of   *parent
		name string
		want string
	}{
		{Entente, app, "cat", "entente federated-credential update cat --application APP --issuer https://x/ --no-check --url https://e"},
		{Entente, app, "-a-", "entente federated-credential update --application APP --issuer https://x/ --no-check --url https://e -- -a-"},
		{Entente, identity, "--=", "entente federated-credential update --managed-identity i --resource-group g --subscription S --issuer https://x/ --no-check --url https://e -- --="},
		{Azure, app, "-a-", `az ad app federated-credential update --id APP --federated-credential-id=-a- --parameters '{"issuer":"https://x/"}'`},
		{Azure, identity, "-a-", "az identity federated-credential update --name=-a- --identity-name i --resource-group g --subscription S --issuer https://x/ --subject s --audiences a"},
	} {
		x := &exam{Doctor: &Doctor{Target: Target{Kind: c.kind, Flags: []string{"--url", "https://e"}}}}
		f := client.FederatedCredential{Name: c.name, Issuer: "https://x", Subject: "s", Audiences: []string{"a"}}
		if got := x.change(c.of, f, credential.Issuer, "https://x/"); !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
