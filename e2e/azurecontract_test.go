package e2e

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/localissuer"
)

var updateAzure = flag.Bool("update-azure", false, "write what the commands send to Azure anew")

// azureCloud is one of Azure's clouds, by the names that Microsoft documents:
// https://learn.microsoft.com/graph/deployments (Graph and the authority),
// https://learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure and
// https://learn.microsoft.com/azure/china/resources-developer-guide (Resource Manager), and
// https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
// (the audience of the token that the doctor examines).
type azureCloud struct{ name, login, graph, arm, resource, audience string }

var azureClouds = []azureCloud{
	{"public", "https://login.microsoftonline.com", "https://graph.microsoft.com", "https://management.azure.com", "https://management.core.windows.net/", "api://AzureADTokenExchange"},
	{"usgov", "https://login.microsoftonline.us", "https://graph.microsoft.us", "https://management.usgovcloudapi.net", "https://management.core.usgovcloudapi.net/", "api://AzureADTokenExchangeUSGov"},
	{"china", "https://login.chinacloudapi.cn", "https://microsoftgraph.chinacloudapi.cn", "https://management.chinacloudapi.cn", "https://management.core.chinacloudapi.cn/", "api://AzureADTokenExchangeChina"},
}

// operation is a request that Azure documents: where, how, and what may be in it.
type operation struct {
	wire   string // login, graph or arm
	method string
	path   string // after the host, with the query as it is meant; ID, NAME and VALUE are any
	body   string // the fields of a JSON body, as a.b for those of an object; of a form its parameters
	page   string // which documents it
}

const (
	graphPages = "https://learn.microsoft.com/graph/api/"
	restPages  = "https://learn.microsoft.com/rest/api/"
	inGroup    = "/subscriptions/ID/resourceGroups/NAME"
	anIdentity = inGroup + "/providers/Microsoft.ManagedIdentity/userAssignedIdentities/NAME"
)

// operations are what the commands may send to Azure, and each of them is sent here:
// a recording is not written anew with anything else in it unnoticed.
var operations = []operation{
	{"graph", "GET", "/v1.0/applications", "", graphPages + "application-list"},
	{"graph", "GET", "/v1.0/applications?$filter=displayName eq 'VALUE'", "", graphPages + "application-list"},
	{"graph", "POST", "/v1.0/applications", "displayName description", graphPages + "application-post-applications"},
	{"graph", "GET", "/v1.0/applications(appId='ID')", "", graphPages + "application-get"},
	// The page of "get" names the keys id and appId only; that uniqueName is a key as well is said elsewhere.
	{"graph", "GET", "/v1.0/applications(uniqueName='NAME')", "", "https://learn.microsoft.com/graph/templates/concept-uniquely-named-resources"},
	{"graph", "PATCH", "/v1.0/applications(uniqueName='NAME')", "displayName api.requestedAccessTokenVersion", graphPages + "application-upsert"},
	{"graph", "PATCH", "/v1.0/applications/ID", "description", graphPages + "application-update"},
	{"graph", "GET", "/v1.0/applications/ID/federatedIdentityCredentials", "", graphPages + "application-list-federatedidentitycredentials"},
	{"graph", "POST", "/v1.0/applications/ID/federatedIdentityCredentials", "name issuer subject description audiences", graphPages + "application-post-federatedidentitycredentials"},
	{"graph", "GET", "/v1.0/applications/ID/federatedIdentityCredentials/NAME", "", graphPages + "federatedidentitycredential-get"},
	{"graph", "PATCH", "/v1.0/applications/ID/federatedIdentityCredentials/NAME", "issuer subject description audiences", graphPages + "federatedidentitycredential-update"},
	{"graph", "DELETE", "/v1.0/applications/ID/federatedIdentityCredentials/NAME", "", graphPages + "federatedidentitycredential-delete"},
	{"graph", "GET", "/v1.0/servicePrincipals?$filter=appId eq 'ID'", "", graphPages + "serviceprincipal-list"},
	{"graph", "GET", "/v1.0/servicePrincipals?$filter=displayName eq 'VALUE'", "", graphPages + "serviceprincipal-list"},
	{"graph", "GET", "/v1.0/servicePrincipals?$filter=id eq 'ID'", "", graphPages + "serviceprincipal-list"},
	{"graph", "GET", "/v1.0/servicePrincipals(appId='ID')", "", graphPages + "serviceprincipal-get"},
	{"graph", "POST", "/v1.0/servicePrincipals", "appId appRoleAssignmentRequired", graphPages + "serviceprincipal-post-serviceprincipals"},
	{"graph", "PATCH", "/v1.0/servicePrincipals/ID", "tags", graphPages + "serviceprincipal-update"},
	{"graph", "GET", "/v1.0/servicePrincipals/ID/appRoleAssignments", "", graphPages + "serviceprincipal-list-approleassignments"},
	{"graph", "POST", "/v1.0/servicePrincipals/ID/appRoleAssignments", "principalId resourceId appRoleId", graphPages + "serviceprincipal-post-approleassignments"},

	{"arm", "GET", "/subscriptions?api-version=2022-12-01", "", restPages + "resources/subscriptions/list"},
	{"arm", "GET", "/subscriptions/ID?api-version=2022-12-01", "", restPages + "resources/subscriptions/get"},
	{"arm", "GET", inGroup + "?api-version=2021-04-01", "", restPages + "resources/resource-groups/get"},
	{"arm", "PUT", inGroup + "?api-version=2021-04-01", "location tags", restPages + "resources/resource-groups/create-or-update"},
	{"arm", "PATCH", inGroup + "?api-version=2021-04-01", "tags", restPages + "resources/resource-groups/update"},
	{"arm", "GET", "/subscriptions/ID/providers/Microsoft.ManagedIdentity/userAssignedIdentities?api-version=2024-11-30", "", restPages + "managedidentity/user-assigned-identities/list-by-subscription"},
	{"arm", "GET", anIdentity + "?api-version=2024-11-30", "", restPages + "managedidentity/user-assigned-identities/get"},
	{"arm", "PUT", anIdentity + "?api-version=2024-11-30", "location", restPages + "managedidentity/user-assigned-identities/create-or-update"},
	{"arm", "PATCH", anIdentity + "?api-version=2024-11-30", "properties.isolationScope", restPages + "managedidentity/user-assigned-identities/update"},
	{"arm", "GET", anIdentity + "/federatedIdentityCredentials?api-version=2024-11-30", "", restPages + "managedidentity/federated-identity-credentials/list"},
	{"arm", "GET", anIdentity + "/federatedIdentityCredentials/NAME?api-version=2024-11-30", "", restPages + "managedidentity/federated-identity-credentials/get"},
	{"arm", "PUT", anIdentity + "/federatedIdentityCredentials/NAME?api-version=2024-11-30", "properties.issuer properties.subject properties.audiences", restPages + "managedidentity/federated-identity-credentials/create-or-update"},
	{"arm", "DELETE", anIdentity + "/federatedIdentityCredentials/NAME?api-version=2024-11-30", "", restPages + "managedidentity/federated-identity-credentials/delete"},
	{"arm", "GET", "/subscriptions/ID/providers/Microsoft.Authorization/roleDefinitions?$filter=roleName eq 'VALUE'&api-version=2022-04-01", "", restPages + "authorization/role-definitions/list"},
	{"arm", "GET", inGroup + "/providers/Microsoft.Authorization/roleDefinitions?$filter=roleName eq 'VALUE'&api-version=2022-04-01", "", restPages + "authorization/role-definitions/list"},
	{"arm", "GET", inGroup + "/providers/Microsoft.Authorization/roleDefinitions/ID?api-version=2022-04-01", "", restPages + "authorization/role-definitions/get"},
	{"arm", "GET", "/subscriptions/ID/providers/Microsoft.Authorization/roleAssignments?$filter=principalId eq 'ID'&api-version=2022-04-01", "", restPages + "authorization/role-assignments/list-for-subscription"},
	{"arm", "GET", inGroup + "/providers/Microsoft.Authorization/roleAssignments?$filter=principalId eq 'ID'&api-version=2022-04-01", "", restPages + "authorization/role-assignments/list-for-resource-group"},
	{"arm", "PUT", inGroup + "/providers/Microsoft.Authorization/roleAssignments/ID?api-version=2022-04-01", "properties.roleDefinitionId properties.principalId properties.principalType", restPages + "authorization/role-assignments/create"},

	{"login", "GET", "/ID/v2.0/.well-known/openid-configuration", "", "https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc"},
	{"login", "POST", "/ID/oauth2/v2.0/token", "client_assertion client_assertion_type client_id grant_type scope", "https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow"},
}

func (o operation) expression() *regexp.Regexp {
	any := strings.NewReplacer("ID", `(?:\{[^{}]+\}|[0-9a-f-]{36})`, "NAME", `(?:\{[^{}]+\}|[A-Za-z0-9-]+)`, "VALUE", `[^']+`)
	return regexp.MustCompile("^" + any.Replace(regexp.QuoteMeta(o.path)) + "$")
}

// fields are those of a JSON object, those of objects in it as a.b.
func fields(prefix string, object map[string]any) (all []string) {
	for name, value := range object {
		if inner, ok := value.(map[string]any); ok && name != "tags" {
			all = append(all, fields(prefix+name+".", inner)...)
		} else {
			all = append(all, prefix+name)
		}
	}
	return all
}

// recorded is Azure in one cloud, carried on by a service, and what it was sent.
type recorded struct {
	shell
	*azureAlone
	azureCloud
	service *service
	names   map[string]string // of ids
	sent    map[int]bool      // of operations
	text    strings.Builder
}

// carriedOn lets the service answer in Azure's place, to whoever it is.
func (r *recorded) carriedOn(t *testing.T) {
	source := client.ClientSecret(r.service.Authority, r.service.TenantID, r.service.ClientID, r.service.ClientSecret, r.service.HTTP)
	r.carryOn = func(q *http.Request, body []byte) (int, []byte) {
		to, err := http.NewRequest(q.Method, r.service.Authority+q.URL.RequestURI(), bytes.NewReader(body))
		if err != nil {
			t.Error(err)
			return http.StatusBadRequest, nil
		}
		to.Header = q.Header.Clone()
		if upsert := q.Method == http.MethodPatch && strings.Contains(q.URL.Path, "(uniqueName="); upsert != (q.Header.Get("Prefer") == "create-if-missing") {
			t.Errorf("%s %s with Prefer: %q", q.Method, q.URL, q.Header.Get("Prefer"))
		}
		kind := ""
		if len(body) > 0 && strings.HasSuffix(q.URL.Path, "/oauth2/v2.0/token") {
			kind = "application/x-www-form-urlencoded"
		} else if len(body) > 0 {
			kind = "application/json"
		}
		if got := q.Header.Get("Content-Type"); got != kind {
			t.Errorf("%s %s has a body of the type %q, want %q", q.Method, q.URL, got, kind)
		}
		if to.Header.Get("Authorization") != "" {
			token, err := source.Token(q.Context(), client.Scope(r.service.Authority))
			if err != nil {
				t.Error(err)
			}
			to.Header.Set("Authorization", "Bearer "+token.AccessToken)
		}
		to.Header.Del("Accept-Encoding")
		answer, err := r.service.HTTP.Do(to)
		if err != nil {
			t.Error(err)
			return http.StatusBadGateway, nil
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Error(err)
		}
		return answer.StatusCode, text
	}
}

// known gives the ids that there are now names for the record.
func (r *recorded) known(t *testing.T) {
	t.Helper()
	admin, ctx := r.service.AsAdmin(t), t.Context()
	apps, err := admin.Applications(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range apps {
		r.names[a.ID], r.names[a.AppID] = "{"+a.DisplayName+" object}", "{"+a.DisplayName+" client}"
		credentials, err := admin.ApplicationCredentials(ctx, a.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range credentials {
			r.names[c.ID] = "{credential " + c.Name + "}"
		}
	}
	principals, err := admin.ServicePrincipals(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range principals {
		r.names[p.ID] = "{" + p.DisplayName + " principal}"
	}
}

var guid = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// kept are ids that Microsoft documents: Reader, and Application.Read.All.
var kept = []string{"acdd72a7-3385-48ef-bd42-f606fba81ae7", "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30"}

// does runs a command in the cloud, and writes down what it sent. What a command
// sends at one time has no order, and is sorted.
func (r *recorded) does(t *testing.T, shown, line string, texts ...string) {
	t.Helper()
	r.mu.Lock()
	r.asked = nil
	r.mu.Unlock()
	r.known(t)
	r.ends(0, line+" --cloud "+r.name, texts...)
	r.known(t)
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, asked := range r.asked {
		asked = guid.ReplaceAllStringFunc(asked, func(id string) string {
			switch name, ok := r.names[id]; {
			case slices.Contains(kept, id):
				return id
			case ok:
				return name
			}
			return "{id}"
		})
		all = append(all, r.written(t, asked))
	}
	if word := strings.Fields(line)[0]; word != "fic" {
		slices.Sort(all)
		all = slices.Compact(all)
	}
	fmt.Fprintf(&r.text, "# entente %s --cloud %s\n%s\n\n", shown, r.name, strings.Join(all, "\n"))
}

// written is a request as it is written down; it has to be one that is documented.
func (r *recorded) written(t *testing.T, asked string) string {
	t.Helper()
	method, rest, _ := strings.Cut(asked, " https://")
	at, rest, _ := strings.Cut(strings.TrimSuffix(rest, " as"), " as ")
	as, body, _ := strings.Cut(rest, " ")
	host, path, _ := strings.Cut(at, "/")
	path, err := url.PathUnescape("/" + path)
	if err != nil {
		t.Error(err)
	}
	line := method + " https://" + host + path
	wire, for_ := "", ""
	switch "https://" + host {
	case r.login:
		wire = "login"
	case r.graph:
		wire, for_ = "graph", r.graph
	case r.arm:
		wire, for_ = "arm", r.resource
	default:
		t.Errorf("%s: this host is none of the cloud's", line)
	}
	if as != for_ {
		t.Errorf("%s: with a token for %q, want one for %q", line, as, for_)
	}
	var has []string
	switch {
	case body == "":
	case wire == "login":
		form, err := url.ParseQuery(body)
		if err != nil {
			t.Error(err)
		}
		form.Set("client_assertion", "{token}")
		for name := range form {
			has = append(has, name)
		}
		body, _ = url.QueryUnescape(form.Encode()) // was written just now
	default:
		var object map[string]any
		if err := json.Unmarshal([]byte(body), &object); err != nil {
			t.Errorf("%s: %v: %s", line, err, body)
		}
		has = fields("", object)
	}
	is := slices.IndexFunc(operations, func(o operation) bool {
		may := strings.Fields(o.body)
		return o.wire == wire && o.method == method && o.expression().MatchString(path) && (o.body == "") == (body == "") &&
			!slices.ContainsFunc(has, func(field string) bool { return !slices.Contains(may, field) })
	})
	if is < 0 {
		t.Errorf("Azure documents no such request: %s %s", line, body)
	} else {
		r.sent[is] = true
	}
	if body != "" {
		line += "\n  " + body
	}
	return line
}

// What the commands send Azure is what its API documents, in each of its clouds, to
// the letter: hosts, paths, versions and bodies. A service with state stands in for
// it; what it was sent is in testdata/azure.
func TestAzureContract(t *testing.T) {
	t.Parallel()
	bin := loggedIn(t)
	for _, cloud := range azureClouds {
		t.Run(cloud.name, func(t *testing.T) {
			issuer, flags := cluster(t)
			s := serve(t, t.TempDir(), append(flags, "--resources", "any")...)
			a := newAzureAlone(t)
			dir := t.TempDir()
			r := &recorded{
				shell:      shell{t, map[string]string{"PATH": bin + ":" + os.Getenv("PATH"), "HTTPS_PROXY": a.proxy, "SSL_CERT_FILE": a.ca}},
				azureAlone: a, azureCloud: cloud, service: s, names: map[string]string{s.TenantID: "{tenant}", s.SubscriptionID: "{subscription}"}, sent: map[int]bool{},
			}
			r.carriedOn(t)
			file := filepath.Join(dir, "state.yaml")
			says := func(text string) {
				t.Helper()
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			text := `
owner: pets
resourceGroups: [{name: pets, location: here, tags: {env: dev}}]
applications:
  - displayName: worker
    description: Works
    federatedCredentials: [{name: pets--cluster, issuer: https://prod.example/, serviceAccount: pets/worker, description: D}]
    appRoleAssignments: [{resource: Microsoft Graph, role: Application.Read.All}]
    roleAssignments: [{role: Reader, resourceGroup: pets}]
  - {displayName: api, uniqueName: api, requestedAccessTokenVersion: 2, servicePrincipal: {appRoleAssignmentRequired: true}}
managedIdentities:
  - name: cat
    resourceGroup: pets
    isolationScope: Regional
    federatedCredentials: [{name: pets--cluster, issuer: https://prod.example/, serviceAccount: pets/cat}]
`
			in := " -f " + file + " --subscription " + s.SubscriptionID
			says(text)
			r.does(t, "plan (all is to be made)", "plan"+in, "0 to change, 0 to delete")
			r.does(t, "apply (all is made)", "apply --yes"+in, "created federated credential")
			says(strings.NewReplacer("env: dev", "env: prod", "Works", "Works hard", "description: D}", "description: E}", "appRoleAssignmentRequired: true", "tags: [x]", "pets/cat", "pets/dog").Replace(text))
			r.does(t, "plan (some is changed)", "plan"+in, "0 to create, 5 to change")
			r.does(t, "apply (some is changed)", "apply --yes"+in, "changed federated credential")
			says(regexp.MustCompile(`federatedCredentials: .*`).ReplaceAllString(text, "federatedCredentials: []"))
			r.does(t, "plan --prune", "plan --prune"+in, "2 to delete")
			r.does(t, "apply --prune", "apply --yes --prune"+in, "deleted federated credential")

			for _, parent := range []string{" --application worker", " --managed-identity cat -g pets"} {
				on := parent + " --subscription " + s.SubscriptionID
				if strings.Contains(parent, "--application") {
					on = parent
				}
				const trust = " --service-account pets/web --issuer https://a.example/"
				r.does(t, "fic create web"+parent+trust, "fic create web --no-check"+on+trust, "created")
				r.does(t, "fic list"+parent, "fic list"+on, "used 1 of 20")
				r.does(t, "fic show web"+parent, "fic show web"+on, "pets/web")
				r.does(t, "fic show"+parent+trust, "fic show"+on+trust, "pets/web")
				r.does(t, "fic update web"+parent+" --service-account pets/other", "fic update web --no-check --service-account pets/other"+on, "updated")
				r.does(t, "fic delete web"+parent, "fic delete web --yes"+on, "deleted")
			}

			admin := s.AsAdmin(t)
			doctored, w := application(t, admin, "doctored", "")
			if _, err := admin.CreateApplicationCredential(t.Context(), doctored.ID, client.FederatedCredential{Name: "cluster", Issuer: issuer.URL(), Subject: subject, Audiences: []string{cloud.audience}}); err != nil {
				t.Fatal(err)
			}
			token := filepath.Join(dir, "token")
			if err := os.WriteFile(token, []byte(mint(t, issuer, func(k *localissuer.Token) { k.Audiences = []string{cloud.audience} })), 0o600); err != nil {
				t.Fatal(err)
			}
			r.does(t, "doctor token FILE --client-id {doctored client} --tenant {tenant}", "doctor token "+token+" --client-id "+w.clientID+" --tenant "+s.TenantID+" --issuer-ca "+flags[3])
			r.does(t, "export --application worker --managed-identity pets/cat", "export --application worker --managed-identity pets/cat")
			r.does(t, "export --federated", "export --federated")

			for i, o := range operations {
				if !r.sent[i] {
					t.Errorf("nothing sends %s %s of %s", o.method, o.path, o.page)
				}
			}
			golden := filepath.Join("testdata", "azure", cloud.name+".txt")
			if *updateAzure {
				if err := os.WriteFile(golden, []byte(r.text.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), r.text.String()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
