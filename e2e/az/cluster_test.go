package az

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/internal/localissuer"
	"github.com/entente-id/entente/internal/testkit"
)

func get(t *testing.T, s *testkit.Service, address string) []byte {
	t.Helper()
	answer, err := s.HTTP.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s (%v)", address, answer.Status, body, err)
	}
	return body
}

func object(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal(text, &o); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return o
}

func TestClusters(t *testing.T) {
	t.Parallel()
	s, issuer := serve(t)
	p := administrator(t, s)
	const issuerOf = `az aks show -g myResourceGroup --query "oidcIssuerProfile.issuerUrl" -otsv -n `

	// One that publishes its issuer itself, and one that has none.
	p.export("ISSUER", issuer.URL())
	p.out(`entente cluster register myAKScluster -g myResourceGroup --issuer $ISSUER`)
	p.prints(issuer.URL(), `az aks show -n myAKScluster -g myResourceGroup --query "oidcIssuerProfile.issuerUrl" -otsv`)
	p.out(`entente cluster register none -g myResourceGroup --no-issuer`)
	p.prints("", issuerOf+`none`)
	p.prints("myAKScluster none", `az aks list --query 'sort([].name)' -o tsv | paste -sd' '`)
	p.prints("myAKScluster none", `az aks list -g myResourceGroup --query 'sort([].name)' -o tsv | paste -sd' '`)
	p.prints("Succeeded\tRunning", `az aks show -n myAKScluster -g myResourceGroup --query '[provisioningState, powerState.code]' -o tsv | paste -s`)
	p.out(`az aks show -n myAKScluster -g myResourceGroup -o table`)
	p.refused(3, `\(ResourceNotFound\)`, issuerOf+`nope`)
	p.refused(3, `\(ResourceGroupNotFound\)|\(ResourceNotFound\)`, `az aks show -g nope -n nope`)

	// What az would have AKS do, it is told what to do instead.
	const instead = `(?s)\(OperationNotAllowed\).*entente cluster register`
	p.refused(1, instead, `az aks create -n other -g myResourceGroup --no-ssh-key --enable-oidc-issuer`)
	p.refused(1, instead, `az aks create -n other -g myResourceGroup --no-ssh-key --enable-oidc-issuer --service-principal x --client-secret y`)
	p.refused(1, instead, `az aks update -n none -g myResourceGroup --enable-oidc-issuer`)
	p.refused(3, `\(NotFound\)`, `az aks get-credentials -n none -g myResourceGroup -f -`)

	// One whose issuer the service publishes.
	lab, err := localissuer.New(localissuer.Config{URL: "https://lab.example.org"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "keys.json"), lab.JWKS(), 0o644); err != nil {
		t.Fatal(err)
	}
	p.out(`entente cluster register lab -g myResourceGroup --hosted --keys keys.json`)
	hosted := p.keep("SERVICE_ACCOUNT_ISSUER", issuerOf+`lab`)
	if !strings.HasPrefix(hosted, s.Authority+"/oic/"+s.TenantID+"/") || !strings.HasSuffix(hosted, "/") {
		t.Errorf("the hosted issuer is %s", hosted)
	}
	for _, address := range []string{hosted + "openid/v1/jwks", hosted + "/openid/v1/jwks"} { // the second as a person appends it
		if diff := cmp.Diff(object(t, lab.JWKS()), object(t, get(t, s, address))); diff != "" {
			t.Errorf("%s: %s", address, diff)
		}
	}
	if d := object(t, get(t, s, hosted+".well-known/openid-configuration")); d["issuer"] != hosted {
		t.Errorf("discovery has %v", d)
	}

	p.keep("CLIENT", `az identity create -g myResourceGroup -n cat --query clientId -o tsv`)
	p.out(`az identity federated-credential create --name lab --identity-name cat -g myResourceGroup --issuer $SERVICE_ACCOUNT_ISSUER --subject system:serviceaccount:pets:workload-identity-sa`)
	token, err := lab.Mint(localissuer.Token{Namespace: "pets", ServiceAccount: "workload-identity-sa", Issuer: &hosted})
	if err != nil {
		t.Fatal(err)
	}
	q := p.another()
	q.export("TOKEN", token)
	q.prints(p.env["CLIENT"], `az login --service-principal -u $CLIENT --tenant $TENANT --allow-no-subscriptions --federated-token $TOKEN --query '[0].user.name' -o tsv`)

	// It stays for as long as somebody trusts it.
	p.refused(1, `(?s).*lab`, `az aks delete -n lab -g myResourceGroup --yes`)
	p.out(`az identity federated-credential delete --name lab --identity-name cat -g myResourceGroup --yes`)
	p.out(`az aks delete -n lab -g myResourceGroup --yes`)
	p.refused(3, `\(ResourceNotFound\)`, issuerOf+`lab`)
}
