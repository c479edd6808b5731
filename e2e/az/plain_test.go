package az

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The az of Debian 12 can only use a service whose authority looks like AD FS.
// Later ones can use the plain layout as well, in which the tenant is the first
// segment: so do the libraries below az when they are told to, and az with them.
func TestPlainLayout(t *testing.T) {
	t.Parallel()
	s, issuer := serve(t)
	p := open(t, s)
	p.shim()
	p.export("AZURE_CORE_INSTANCE_DISCOVERY", "0")
	p.cloud(s.Authority)
	if s := p.run(`/usr/bin/python3 -c 'import OpenSSL, azure.identity, msal'`); s.code != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal(s.err)
		}
		t.Skipf("az is not Debian's: %s", s.err)
	}
	p.out(`az login --service-principal -u $ADMIN -p $ADMIN_SECRET --tenant $TENANT`)
	p.prints("Entente administrator", `az ad app show --id $ADMIN --query displayName -o tsv`)
	p.out(`az group create -n pets -l local`)

	p.export("ISSUER", issuer.URL())
	p.keep("CLIENT", `az ad app create --display-name pets --query appId -o tsv`)
	p.out(`az ad sp create --id $CLIENT`)
	p.out(`az ad app federated-credential create --id $CLIENT --parameters '{"name":"cluster","issuer":"'$ISSUER'","subject":"system:serviceaccount:pets:workload-identity-sa","audiences":["api://AzureADTokenExchange"]}'`)
	p.keep("SECRET", `az ad app credential reset --id $CLIENT --query password -o tsv`)
	p.keep("CERTIFICATE", `az ad app credential reset --id $CLIENT --append --create-cert --query fileWithCertAndPrivateKey -o tsv`)
	p.export("FEDERATED_TOKEN", mint(t, issuer))
	p.export("AUTHORITY", s.Authority)
	script, err := filepath.Abs("testdata/plain.py")
	if err != nil {
		t.Fatal(err)
	}
	p.export("SCRIPT", script)
	p.export("PYTHONPATH", "")
	ways := map[string]bool{}
	for line := range strings.Lines(p.out(`/usr/bin/python3 $SCRIPT`)) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) != 3 {
			t.Fatal(line)
		}
		ways[fields[0]] = true
		if token := claims(t, fields[2]); token["aud"] != fields[1] || token["appid"] != p.env["CLIENT"] {
			t.Errorf("%s for %s: the token has %v", fields[0], fields[1], token)
		}
	}
	if len(ways) != 7 {
		t.Errorf("tokens were got by %v", ways)
	}

	for name, login := range map[string]string{
		"a federated token": `--federated-token $FEDERATED_TOKEN`,
		"a certificate":     `-p $CERTIFICATE`,
	} {
		q := p.another()
		q.shim()
		q.prints(p.env["CLIENT"], `az login --service-principal -u $CLIENT --tenant $TENANT --allow-no-subscriptions `+login+` --query '[0].user.name' -o tsv`)
		if token := claims(t, q.out(`az account get-access-token --resource https://vault.azure.net --query accessToken -o tsv`)); token["appid"] != p.env["CLIENT"] {
			t.Errorf("with %s the token has %v", name, token)
		}
	}
}
