package az

import (
	"path/filepath"
	"testing"

	"github.com/google/uuid"
)

// az is set up by what the program prints for a shell, or by the program.
func TestSetup(t *testing.T) {
	t.Parallel()
	s, _ := serve(t)
	for name, lines := range map[string]string{
		"printed": `eval "$(entente az-setup --config-dir azure)" >&2`,
		"run":     `entente az-setup --run --config-dir azure >&2; export AZURE_CONFIG_DIR=$PWD/azure REQUESTS_CA_BUNDLE=$ENTENTE_DATA_DIR/ca.pem`,
	} {
		p := open(t, s)
		delete(p.env, "AZURE_CONFIG_DIR")
		delete(p.env, "REQUESTS_CA_BUNDLE")
		for range 2 { // both may be repeated
			p.prints(s.SubscriptionID, lines+`; az account show --query id -o tsv`)
		}
		p.export("AZURE_CONFIG_DIR", filepath.Join(p.dir, "azure"))
		p.export("REQUESTS_CA_BUNDLE", s.CAFile)
		p.prints("Entente\tTrue", `az cloud list --query "[?name=='Entente'].[name, isActive]" -o tsv`)
		p.prints("Entente administrator", `az ad app show --id $ADMIN --query displayName -o tsv`)
		if name == "run" {
			continue
		}

		// Another tenant is another cloud to az.
		p.export("SECOND", uuid.NewString())
		p.out(`az rest --method put --url "$FEDERATION/tenants/$SECOND?$API" --body '{"properties":{"displayName":"Second"}}' --query properties.administrator > second.json`)
		p.keep("AZURE_CLIENT_ID", `python3 -c 'import json; print(json.load(open("second.json"))["clientId"])'`)
		p.keep("AZURE_CLIENT_SECRET", `python3 -c 'import json; print(json.load(open("second.json"))["clientSecret"])'`)
		p.export("AZURE_CONFIG_DIR", filepath.Join(p.dir, "second"))
		p.prints(p.env["SECOND"], `entente az-setup --run --tenant $SECOND --name Second >&2; az account show --query tenantId -o tsv`)
	}
}
