package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// nodeToken is what node/tokens.mjs reads of each token that it is to get.
type nodeToken struct {
	Credential string `json:"credential"`
	Arguments  []any  `json:"arguments,omitempty"`
	Scope      string `json:"scope"`
}

// nodeAnswer is what it writes: a token, or the error that a program sees.
type nodeAnswer struct {
	Token, Name, Message string
	Again                bool // the second token was the first, from the cache
}

// options of WorkloadIdentityCredential that send it to the service.
func (w *town) options(who workload, file string) map[string]any {
	return map[string]any{"authorityHost": w.Authority, "disableInstanceDiscovery": true, "tenantId": w.TenantID, "clientId": who.clientID, "tokenFilePath": file}
}

func testAzureIdentityForNode(t *testing.T, w *town) {
	app, a := application(t, w.admin, "with a secret", "")
	secret := withSecret(t, w.admin, app)
	type row struct {
		name string
		ask  nodeToken
		who  workload
		acr  string // how the client proved itself, in the token
		code string // or the refusal
	}
	var rows []row
	scope := vault + "/.default"
	for _, who := range w.workloads {
		rows = append(rows,
			row{who.kind, nodeToken{"WorkloadIdentityCredential", []any{w.options(who.workload, w.token)}, scope}, who.workload, "2", ""},
			row{who.kind + ", a stranger's token", nodeToken{"WorkloadIdentityCredential", []any{w.options(who.workload, w.foreign)}, scope}, who.workload, "", "AADSTS700213: "})
	}
	here := map[string]any{"authorityHost": w.Authority, "disableInstanceDiscovery": true}
	rows = append(rows,
		row{"secret", nodeToken{"ClientSecretCredential", []any{w.TenantID, a.clientID, secret, here}, scope}, a, "1", ""},
		row{"wrong secret", nodeToken{"ClientSecretCredential", []any{w.TenantID, a.clientID, secret + "x", here}, scope}, a, "", "AADSTS7000215: "})

	asks, answers := []nodeToken{}, []nodeAnswer{}
	for _, r := range rows {
		asks = append(asks, r.ask)
	}
	node(t, w.service, "tokens.mjs", nil, asks, &answers)
	if len(answers) != len(rows) {
		t.Fatalf("%d answers, want %d", len(answers), len(rows))
	}
	check := func(t *testing.T, r row, got nodeAnswer) {
		switch {
		case r.code != "":
			if got.Token != "" || !strings.Contains(got.Message, r.code) {
				t.Errorf("%s: got %+v, want a refusal with %s", r.name, got, r.code)
			}
		case got.Token == "":
			t.Errorf("%s: %s: %s", r.name, got.Name, got.Message)
		default:
			if c := decode(t, got.Token); c.Aud != vault || c.TID != w.TenantID || c.OID != r.who.principalID || c.AppID != r.who.clientID || c.AppIDAcr != r.acr {
				t.Errorf("%s: claims %+v", r.name, c)
			}
			if !got.Again {
				t.Errorf("%s: the second token is not the cached first", r.name)
			}
		}
	}
	for i, r := range rows {
		check(t, r, answers[i])
	}

	// An unmodified program has no options: what it has stands in its environment.
	environment := func(who workload, more ...string) []string {
		return append(more, "AZURE_AUTHORITY_HOST="+w.Authority+"/", "AZURE_TENANT_ID=adfs", "AZURE_CLIENT_ID="+who.clientID)
	}
	ask := nodeToken{"DefaultAzureCredential", nil, scope}
	// Without this, a refusal is followed by attempts with the machine's own Azure tools.
	const deployed = "AZURE_TOKEN_CREDENTIALS=prod"
	for _, k := range []struct {
		row
		env []string
	}{
		{row{"application by environment", ask, w.workloads[0].workload, "2", ""}, environment(w.workloads[0].workload, "AZURE_FEDERATED_TOKEN_FILE="+w.token)},
		{row{"managed identity by environment", ask, w.workloads[1].workload, "2", ""}, environment(w.workloads[1].workload, "AZURE_FEDERATED_TOKEN_FILE="+w.token)},
		{row{"a stranger by environment", ask, w.workloads[0].workload, "", "AADSTS700213: "}, environment(w.workloads[0].workload, "AZURE_FEDERATED_TOKEN_FILE="+w.foreign, deployed)},
		{row{"secret by environment", ask, a, "1", ""}, environment(a, "AZURE_CLIENT_SECRET="+secret)},
	} {
		t.Run(k.name, func(t *testing.T) {
			var answers []nodeAnswer
			node(t, w.service, "tokens.mjs", k.env, []nodeToken{k.ask}, &answers)
			if len(answers) != 1 {
				t.Fatalf("%d answers, want 1", len(answers))
			}
			check(t, k.row, answers[0])
		})
	}
}

func testARMClientForNode(t *testing.T, w *town) {
	for i, who := range w.workloads {
		t.Run(who.kind, func(t *testing.T) {
			name := fmt.Sprintf("by-node-%d", i)
			got, want := map[string]any{}, map[string]any{
				"tagged":      map[string]any{"team": "dogs"},
				"listed":      true,
				"credential":  "system:serviceaccount:pets:last",
				"twice":       map[string]any{"status": 400.0, "code": "BadRequest"},
				"credentials": []any{"first", "second", "third"},
				"withdrawn":   map[string]any{"status": 404.0, "code": "ResourceNotFound"},
				"deleted":     map[string]any{"status": 404.0, "code": "ResourceNotFound"},
			}
			node(t, w.service, "identities.mjs", nil, map[string]any{
				"endpoint": w.Authority, "subscription": w.SubscriptionID, "group": w.identity.ResourceGroup, "name": name, "workload": w.options(who.workload, w.token),
			}, &got)
			made, _ := got["made"].(map[string]any)
			if made["tenantId"] != w.TenantID || made["clientId"] == made["principalId"] || made["same"] != true {
				t.Errorf("made %v", made)
			}
			delete(got, "made")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("what the client saw (-want +got):\n%s", diff)
			}
		})
	}
}
