package az

import (
	"strings"
	"testing"
)

// azwi's default way to log in: whoever is logged in to az. It works for a service
// that az knows as a cloud, too, also when nothing else says who calls.
func TestAzwiAsWhoIsLoggedInToAz(t *testing.T) {
	t.Parallel()
	s, issuer := serve(t)
	p := administrator(t, s)
	delete(p.env, "ENTENTE_DATA_DIR")
	p.export("ISSUER", issuer.URL())
	p.out(`az group create -n pets -l local`)
	at := ` --auth-method cli --url $ENTENTE_URL --ca $REQUESTS_CA_BUNDLE --tenant $TENANT`
	for name, whom := range map[string]string{"app": ` --aad-application-name pets`, "mi": ` --managed-identity-name cat -g pets`} {
		account := ` --service-account-namespace pets --service-account-name workload-identity-sa --service-account-issuer-url "$ISSUER"`
		p.out(`entente sa create` + at + whom + account + ` --skip-phases service-account,role-assignment`)
		list := `az ad app federated-credential list --id $(az ad app list --display-name pets --query '[0].id' -o tsv) --query '[].subject' -o tsv`
		if name == "mi" {
			list = `az identity federated-credential list --identity-name cat -g pets --query '[].subject' -o tsv`
		}
		p.prints("system:serviceaccount:pets:workload-identity-sa", list)
		p.out(`entente sa delete` + at + whom + account + ` --skip-phases service-account,role-assignment`)
	}
	p.prints("0", `az identity list -g pets --query 'length(@)' -o tsv`)
	p.out(`az logout`)
	if got := p.run(`entente sa create phase app --aad-application-name pets` + at); got.code != 1 || !strings.Contains(got.err, "az login") {
		t.Errorf("logged out: %+v", got)
	}
}
