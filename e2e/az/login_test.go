package az

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// claims are those of a token, which nobody verifies here.
func claims(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no token", token)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := json.Unmarshal(payload, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAccount(t *testing.T) {
	t.Parallel()
	s, _ := serve(t)
	p := open(t, s)
	p.cloud(s.Authority + "/adfs")
	p.refused(1, "Please run 'az login'", `az account show`)
	p.refused(1, "AADSTS7000215: ", `az login --service-principal -u $ADMIN -p wrong --tenant $TENANT`)
	p.refused(1, "AADSTS700016: ", `az login --service-principal -u `+uuid.NewString()+` -p wrong --tenant $TENANT`)

	p.prints(s.SubscriptionID+"\tEnabled\tEntente\tservicePrincipal", `az login --service-principal -u $ADMIN -p $ADMIN_SECRET --tenant $TENANT --query '[0].[id, state, cloudName, user.type]' -o tsv | paste -s`)
	p.prints(s.TenantID, `az account show --query tenantId -o tsv`)
	p.prints(s.SubscriptionID, `az account list --query '[].id' -o tsv`)
	p.out(`az account set --subscription $SUBSCRIPTION`)
	p.refused(1, "doesn't exist in cloud", `az account set --subscription `+uuid.NewString())
	p.prints("local", `az account list-locations --query "[?name=='local'].name" -o tsv`)

	for resource, aud := range map[string]string{
		"":                                   "https://management.core.windows.net/",
		"--resource https://vault.azure.net": "https://vault.azure.net",
		"--scope https://vault.azure.net/.default": "https://vault.azure.net",
		"--resource-type ms-graph":                 s.Authority + "/",
	} {
		token := claims(t, p.out(`az account get-access-token `+resource+` --query accessToken -o tsv`))
		if token["aud"] != aud || token["appid"] != s.ClientID || token["tid"] != s.TenantID {
			t.Errorf("az account get-access-token %s: the token has %v, want aud %q", resource, token, aud)
		}
	}
	p.prints("Bearer\t"+s.TenantID+"\t"+s.SubscriptionID, `az account get-access-token --query '[tokenType, tenant, subscription]' -o tsv | paste -s`)
	p.refused(1, "AADSTS500011: ", `az account get-access-token --resource https://nobody.example.org`)

	// az rest knows by the URL whose token it has to send, also when both wires have one host.
	p.prints(s.SubscriptionID, `az rest --url "/subscriptions?api-version=2022-12-01" --query 'value[].subscriptionId' -o tsv`)
	p.prints(s.TenantID, `az rest --url "$ENTENTE_URL/tenants?api-version=2022-12-01" --query 'value[].tenantId' -o tsv`)
	p.prints(s.ClientID, `az rest --url "$ENTENTE_URL/v1.0/applications?\$filter=appId eq '$ADMIN'" --query 'value[].appId' -o tsv`)
	p.refused(1, "Bad Request.*delegated", `az rest --url "$ENTENTE_URL/v1.0/me"`)
	p.refused(1, "Not Found.*ResourceGroupNotFound", `az rest --url "/subscriptions/$SUBSCRIPTION/resourceGroups/nope?api-version=2021-04-01"`)

	p.out(`az logout`)
	p.refused(1, "Please run 'az login'", `az group list`)
}

// A workload that has nothing but its service-account token signs in as the
// application, and as the managed identity, that trust it.
func TestFederatedLogin(t *testing.T) {
	t.Parallel()
	s, issuer := serve(t)
	p := administrator(t, s)
	p.export("ISSUER", issuer.URL())
	p.export("SUBJECT", "system:serviceaccount:pets:workload-identity-sa")
	p.keep("APPLICATION", `az ad app create --display-name pets --query appId -o tsv`)
	p.out(`az ad sp create --id $APPLICATION && az group create -n pets -l local`)
	p.keep("IDENTITY", `az identity create -g pets -n cat --query clientId -o tsv`)

	for _, client := range []string{"APPLICATION", "IDENTITY"} {
		pod := p.another()
		pod.export("CLIENT", p.env[client])
		pod.export("TOKEN", mint(t, issuer))
		login := `az login --service-principal -u $CLIENT --tenant $TENANT --allow-no-subscriptions --federated-token $TOKEN`
		pod.refused(1, "AADSTS700[0-9]+: ", login)
		if client == "APPLICATION" {
			p.out(`az ad app federated-credential create --id $APPLICATION --parameters '{"name":"cluster","issuer":"'$ISSUER'","subject":"'$SUBJECT'","audiences":["api://AzureADTokenExchange"]}'`)
		} else {
			p.out(`az identity federated-credential create --name cluster --identity-name cat -g pets --issuer $ISSUER --subject $SUBJECT`)
		}
		pod.prints(p.env[client], login+` --query '[0].user.name' -o tsv`)
		token := claims(t, pod.out(`az account get-access-token --resource https://vault.azure.net --query accessToken -o tsv`))
		if token["aud"] != "https://vault.azure.net" || token["appid"] != p.env[client] || token["appidacr"] != "2" {
			t.Errorf("%s gets a token with %v", client, token)
		}
		pod.refused(1, "Insufficient privileges", `az ad app list`)

		// With no right there is no subscription, and that is an error unless it was expected.
		pod.refused(1, "No subscriptions found for", strings.ReplaceAll(login, "--allow-no-subscriptions", ""))
		pod.export("TOKEN", "not.a.token")
		pod.refused(1, "AADSTS50027: ", login)
	}
}

// A tenant that an administrator makes has its own sign-in: the service's
// default tenant is not asked, and does not see it.
func TestSecondTenant(t *testing.T) {
	t.Parallel()
	s, _ := serve(t)
	p := administrator(t, s)
	p.export("SECOND", uuid.NewString())
	p.out(`az rest --method put --url "$FEDERATION/tenants/$SECOND?$API" --body '{"properties":{"displayName":"Second"}}' --query properties > tenant.json`)
	text, err := os.ReadFile(filepath.Join(p.dir, "tenant.json"))
	if err != nil {
		t.Fatal(err)
	}
	var second struct {
		SubscriptionID string
		Administrator  struct{ ClientID, PrincipalID, ClientSecret string }
	}
	if err := json.Unmarshal(text, &second); err != nil {
		t.Fatal(err)
	}

	q := open(t, s)
	q.cloud(s.Authority + "/adfs/" + p.env["SECOND"] + "/adfs")
	q.export("SECOND", p.env["SECOND"])
	q.export("CLIENT", second.Administrator.ClientID)
	q.export("SECRET", second.Administrator.ClientSecret)
	q.prints(second.SubscriptionID+"\t"+p.env["SECOND"], `az login --service-principal -u $CLIENT -p $SECRET --tenant $SECOND --query '[0].[id, tenantId]' -o tsv | paste -s`)
	if token := claims(t, q.out(`az account get-access-token --query accessToken -o tsv`)); token["tid"] != p.env["SECOND"] {
		t.Errorf("the token is of the tenant %v", token["tid"])
	}
	q.keep("APPLICATION", `az ad app create --display-name elsewhere --query appId -o tsv`)
	q.out(`az ad sp create --id $APPLICATION && az group create -n elsewhere -l local && az identity create -g elsewhere -n dog`)
	q.prints("elsewhere", `az ad app list --display-name elsewhere --query '[].displayName' -o tsv`)

	p.export("APPLICATION", q.env["APPLICATION"])
	p.export("SUBSCRIPTION_OF_SECOND", second.SubscriptionID)
	p.prints("", `az ad app list --display-name elsewhere --query '[].displayName' -o tsv`)
	p.refused(3, "does not exist", `az ad app show --id $APPLICATION`)
	p.prints("", `az group list --query '[].name' -o tsv`)
	p.refused(1, "Subscription '[-0-9a-f]+' not found", `az group list --subscription $SUBSCRIPTION_OF_SECOND`)
	p.refused(1, "Not Found.*SubscriptionNotFound", `az rest --skip-authorization-header --headers Authorization="Bearer $(az account get-access-token --query accessToken -o tsv)" \
		--url "$ENTENTE_URL/subscriptions/$SUBSCRIPTION_OF_SECOND/resourcegroups?api-version=2021-04-01"`)
	r := p.another()
	r.refused(1, "AADSTS700016: ", `az login --service-principal -u `+second.Administrator.ClientID+` -p `+second.Administrator.ClientSecret+` --tenant $TENANT`)
}
