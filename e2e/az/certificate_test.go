package az

import "testing"

// Certificates that az makes, and those that people bring, sign in.
func TestCertificateLogin(t *testing.T) {
	t.Parallel()
	s, _ := serve(t)
	p := administrator(t, s)
	p.keep("APPLICATION", `az ad app create --display-name pets --query appId -o tsv`)
	p.out(`az ad sp create --id $APPLICATION`)
	p.keep("FIRST", `az ad app credential reset --id $APPLICATION --create-cert --query fileWithCertAndPrivateKey -o tsv`)
	q := p.another()
	q.export("FIRST", p.env["FIRST"])
	const login = `az login --service-principal -u $APPLICATION --tenant $TENANT --allow-no-subscriptions --query '[0].user.name' -o tsv -p `
	q.prints(p.env["APPLICATION"], login+`$FIRST`)
	for _, resource := range []string{"https://vault.azure.net", "https://storage.azure.com"} {
		token := claims(t, q.out(`az account get-access-token --resource `+resource+` --query accessToken -o tsv`))
		if token["aud"] != resource || token["appidacr"] != "2" {
			t.Errorf("the token for %s has %v", resource, token)
		}
	}
	q.prints(p.env["APPLICATION"], login+`$FIRST --use-cert-sn-issuer`)

	// One that was made elsewhere, beside the first.
	p.out(`openssl req -x509 -newkey rsa:2048 -noenc -keyout key.pem -out certificate.pem -subj /CN=pets -days 30 2>/dev/null && cat key.pem certificate.pem > second.pem`)
	p.out(`az ad app credential reset --id $APPLICATION --append --cert @certificate.pem --display-name second`)
	p.prints("2", `az ad app credential list --id $APPLICATION --cert --query 'length(@)' -o tsv`)
	q.export("SECOND", p.dir+"/second.pem")
	q.prints(p.env["APPLICATION"], login+`$SECOND`)
	q.prints(p.env["APPLICATION"], login+`$FIRST`)

	// Taken away, it is refused: at once, and by a name that people can look for.
	p.keep("KEY", `az ad app credential list --id $APPLICATION --cert --query "[?displayName=='second'].keyId" -o tsv`)
	p.out(`az ad app credential delete --id $APPLICATION --cert --key-id $KEY`)
	q.refused(1, "AADSTS700027: ", login+`$SECOND`)
	q.prints(p.env["APPLICATION"], login+`$FIRST`)
	p.out(`openssl req -x509 -newkey rsa:2048 -noenc -keyout key.pem -out certificate.pem -subj /CN=stranger -days 30 2>/dev/null && cat key.pem certificate.pem > stranger.pem`)
	q.export("STRANGER", p.dir+"/stranger.pem")
	q.refused(1, "AADSTS700027: ", login+`$STRANGER`)
	p.refused(1, ".*certificate", `az rest --method patch --url "$ENTENTE_URL/v1.0/applications(appId='$APPLICATION')" --headers Content-Type=application/json --body '{"keyCredentials":[{"type":"AsymmetricX509Cert","usage":"Verify","key":"bm8gY2VydGlmaWNhdGU="}]}'`)

	// A service principal that is made with one.
	p.out(`az ad sp create-for-rbac --name ci --create-cert > ci.json`)
	p.keep("CI", `python3 -c 'import json; print(json.load(open("ci.json"))["appId"])'`)
	p.keep("CI_CERTIFICATE", `python3 -c 'import json; print(json.load(open("ci.json"))["fileWithCertAndPrivateKey"])'`)
	r := p.another()
	r.prints(p.env["CI"], `az login --service-principal -u $CI -p $CI_CERTIFICATE --tenant $TENANT --allow-no-subscriptions --query '[0].user.name' -o tsv`)
}
