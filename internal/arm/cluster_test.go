package arm

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
)

// registering is the body that registers a cluster with an issuer.
func registering(url, source string) string {
	return fmt.Sprintf(`{"location":"local","properties":{"oidcIssuerProfile":{"enabled":true,"issuerURL":%q,"keySource":%q}}}`, url, source)
}

// clusterWith is a cluster as it is answered, with its tags, and its issuer or none.
func clusterWith(name, tags, profile string) string {
	on := profile != ""
	if on {
		profile = `,"oidcIssuerProfile":{"enabled":true,` + profile + `}`
	}
	return fmt.Sprintf(`{"id":"%s","name":%q,"type":"Microsoft.ContainerService/ManagedClusters","location":"local","tags":%s,"properties":{
		"provisioningState":"Succeeded","powerState":{"code":"Running"},"servicePrincipalProfile":{"clientId":"msi"},"agentPoolProfiles":[{"name":"elsewhere","mode":"System","count":0}],
		"networkProfile":{},"securityProfile":{"workloadIdentity":{"enabled":%v}},"clusterId":"*","createdAt":"*","updatedAt":"*"%s}}`, strings.TrimSuffix(cluID, "clu")+name, name, tags, on, profile)
}

func TestClusters(t *testing.T) {
	w := newWorld(t)
	set := keySet(t)
	const (
		one    = `"issuerURL":"https://one.example/","keySource":"Discovery","issuer":"*"`
		two    = `"issuerURL":"https://two.example","keySource":"KeySet","issuer":"/providers/Entente.Federation/issuers/two","keysUpdatedAt":"*"`
		listed = "?api-version=2022-11-01"
	)
	hosted := func(keys string) string {
		return `"issuerURL":"*","keySource":"Hosted","issuer":"/providers/Entente.Federation/issuers/clu","keyIds":` + keys + `,"keysUpdatedAt":"*"`
	}
	at := func(name string) string { return strings.TrimSuffix(cluID, "clu") + name }
	w.walk([]step{
		{name: "none", method: "GET", path: clusters + listed, status: 200, want: `{"value":[]}`},
		{name: "without an issuer", method: "PUT", path: clusters + "/plain" + listed, body: `{"location":"Local","tags":{"a":"b"}}`, status: 201, want: clusterWith("plain", `{"a":"b"}`, ""), location: at("plain")},
		{name: "with one that is switched off", method: "PUT", path: clusters + "/plain", body: `{"location":"local","properties":{"oidcIssuerProfile":{"enabled":false}}}`, status: 200, want: clusterWith("plain", `{}`, "")},
		{name: "by discovery", method: "PUT", path: clusters + "/one", body: registering("https://one.example/", "Discovery"), status: 201, want: clusterWith("one", `{}`, one), location: at("one")},
		{name: "by discovery, which need not be said", method: "PUT", path: clusters + "/ONE", body: `{"location":"local","properties":{"oidcIssuerProfile":{"issuerURL":"https://one.example/"}}}`, status: 200, want: clusterWith("one", `{}`, one)},
		{name: "with its keys", method: "PUT", path: clusters + "/two", body: strings.Replace(registering("https://two.example", "KeySet"), `"enabled"`, `"keySet":`+set+`,"enabled"`, 1), status: 201, want: clusterWith("two", `{}`, two+`,"keyIds":["k1"]`), location: at("two")},
		{name: "hosted", method: "PUT", path: clu, body: hosting, status: 201, want: clusterWith("clu", `{}`, hosted(`[]`)), location: cluID},
		{name: "hosted, again", method: "PUT", path: clu, body: hosting, status: 200, want: clusterWith("clu", `{}`, hosted(`[]`))},
		{name: "keys", method: "POST", path: clu + "/updateKeys", body: `{"keySet":` + set + `}`, status: 200, want: clusterWith("clu", `{}`, hosted(`["k1"]`))},
		{name: "the same keys", method: "POST", path: clu + "/UPDATEkeys", body: `{"keySet":` + set + `}`, status: 200, want: clusterWith("clu", `{}`, hosted(`["k1"]`))},
		{name: "get in another case", method: "GET", path: strings.ToUpper(clu), status: 200, want: clusterWith("clu", `{}`, hosted(`["k1"]`))},
		{name: "as a generic client asks", method: "GET", path: strings.Replace(clu, "ContainerService/", "ContainerService//", 1), status: 200, want: clusterWith("clu", `{}`, hosted(`["k1"]`))},
		{name: "tags", method: "PATCH", path: clu, body: `{"tags":{"c":"d"}}`, status: 200, want: clusterWith("clu", `{"c":"d"}`, hosted(`["k1"]`))},
		{name: "list of the group", method: "GET", path: clusters + listed, status: 200, want: `{"value":[` + clusterWith("clu", `{"c":"d"}`, strings.Replace(hosted("x"), `"keyIds":x,`, "", 1)) + `,` + clusterWith("one", `{}`, one) + `,` + clusterWith("plain", `{}`, "") + `,` + clusterWith("two", `{}`, two) + `]}`},
		{name: "list of the subscription", method: "GET", path: sub + "/providers/Microsoft.ContainerService/managedClusters" + listed, status: 200, want: `{"value":["*","*","*","*"]}`},
		{name: "list of another group", method: "GET", path: strings.Replace(clusters, "/rg/", "/other/", 1), status: 200, want: `{"value":[]}`},
		{name: "delete", method: "DELETE", path: clu, status: 204},
		{name: "delete again", method: "DELETE", path: clu, status: 204},
		{name: "gone", method: "GET", path: clu, status: 404, want: `{"error":{"code":"ResourceNotFound","message":"*"}}`},
		{name: "its issuer is gone", method: "GET", path: issuers + "/clu", status: 404, want: `{"error":{"code":"ResourceNotFound","message":"*"}}`},
		{name: "delete one with keys", method: "DELETE", path: clusters + "/two", status: 204},
		{name: "its issuer is there", method: "GET", path: issuers + "/two", status: 200, want: `{"id":"*","name":"two","type":"*","properties":{"issuer":"https://two.example","keySource":"KeySet","keySet":` + set + `,"algorithms":["ES256"],"allowMultipleAudiences":false,"revision":2,"createdAt":"*","updatedAt":"*"}}`},
	})
	if r := w.ok("admin", "PUT", clu, hosting); !strings.Contains(r.text, `"issuerURL":"`+testBase+"/oic/"+testTenant+"/") {
		t.Errorf("got %s", r.text)
	}
}

// What is read can be sent back: as it is, and as az makes it of that, which
// leaves out what it takes for the server's own.
func TestAClusterSentBack(t *testing.T) {
	w := newWorld(t)
	w.ok("admin", "PUT", clu, hosting)
	w.ok("admin", "POST", clu+"/updateKeys", `{"keySet":`+keySet(t)+`}`)
	w.ok("admin", "PUT", clusters+"/plain", `{"location":"local"}`)
	w.ok("admin", "PUT", clusters+"/found", registering("https://found.example", "Discovery"))
	for _, path := range []string{clu, clusters + "/plain", clusters + "/found"} {
		before := w.ok("admin", "GET", path, "").text
		var object map[string]any
		w.must(json.Unmarshal([]byte(before), &object))
		delete(object["properties"].(map[string]any), "updatedAt")
		want, err := json.Marshal(object)
		w.must(err)
		for _, who := range []string{"admin", "contributor"} { // who may not set keys, and sets none
			after := w.ok(who, "PUT", path, before).text
			if err := compare(strings.Replace(string(want), `"properties":{`, `"properties":{"updatedAt":"*",`, 1), after); err != nil {
				t.Errorf("%s sent back by the %s: %v", path, who, err)
			}
		}
	}
	const byAz = `{"tags":{"z":"y"},"location":"local","properties":{"agentPoolProfiles":[{"count":0,"mode":"System","name":"elsewhere"}],"servicePrincipalProfile":{"clientId":"msi"},"oidcIssuerProfile":{"enabled":true},"networkProfile":{},"securityProfile":{},"storageProfile":{}}}`
	r := w.ok("contributor", "PUT", clu, byAz)
	if !strings.Contains(r.text, `"z":"y"`) || !strings.Contains(r.text, `"keyIds":["k1"]`) {
		t.Errorf("got %s", r.text)
	}
	// And az's way to switch the issuer of a cluster on.
	if r := w.do("admin", "PUT", clusters+"/plain", byAz); r.status != 400 || r.error(t).Code != "OperationNotAllowed" || !strings.Contains(r.text, "entente cluster register plain --resource-group rg") {
		t.Errorf("got %d %s", r.status, r.text)
	}
}

// Whoever wants a cluster of Azure's is told so, and what there is instead.
func TestAzuresClusters(t *testing.T) {
	w := newWorld(t)
	const byAz = `{"location":"local","identity":{"type":"SystemAssigned"},"properties":{"kubernetesVersion":"","dnsPrefix":"new-rg-de6572","agentPoolProfiles":[{"count":3,"vmSize":"Standard_DS2_v2","osDiskSizeGB":0,"osType":"Linux","enableAutoScaling":false,"type":"VirtualMachineScaleSets","mode":"System","name":"nodepool1"}],"addonProfiles":{},"oidcIssuerProfile":{"enabled":true},"enableRBAC":true,"networkProfile":{"networkPlugin":"kubenet"},"disableLocalAccounts":false,"storageProfile":{}}}`
	in := func(properties string) string { return `{"location":"local","properties":{` + properties + `}}` }
	for name, tt := range map[string]struct{ body, property string }{
		"az aks create":                {byAz, "identity"},
		"sku":                          {`{"location":"local","sku":{"name":"Basic","tier":"Free"}}`, "sku"},
		"extended location":            {`{"location":"local","extendedLocation":{"name":"x"}}`, "extendedLocation"},
		"pools":                        {in(`"agentPoolProfiles":[{"name":"nodepool1","count":3}]`), "agentPoolProfiles"},
		"the stand-in, with a node":    {in(`"agentPoolProfiles":[{"name":"elsewhere","mode":"System","count":1}]`), "agentPoolProfiles"},
		"the stand-in, with a size":    {in(`"agentPoolProfiles":[{"name":"elsewhere","mode":"System","count":0,"vmSize":"x"}]`), "agentPoolProfiles"},
		"the stand-in, twice":          {in(`"agentPoolProfiles":[{"name":"elsewhere","mode":"System","count":0},{"name":"elsewhere","mode":"System","count":0}]`), "agentPoolProfiles"},
		"pools that are none":          {in(`"agentPoolProfiles":[1]`), "agentPoolProfiles"},
		"a name":                       {in(`"dnsPrefix":"x"`), "dnsPrefix"},
		"a version":                    {in(`"kubernetesVersion":"1.30"`), "kubernetesVersion"},
		"a service principal":          {in(`"servicePrincipalProfile":{"clientId":"` + testTenant + `","secret":"x"}`), "servicePrincipalProfile"},
		"a service principal's secret": {in(`"servicePrincipalProfile":{"clientId":"msi","secret":"x"}`), "servicePrincipalProfile"},
		"a defender":                   {in(`"securityProfile":{"defender":{"x":"y"}}`), "securityProfile"},
		"a network":                    {in(`"networkProfile":{"networkPlugin":"kubenet"}`), "networkProfile"},
		"add-ons":                      {in(`"addonProfiles":{"x":{}}`), "addonProfiles"},
		"accounts":                     {in(`"disableLocalAccounts":true`), "disableLocalAccounts"},
	} {
		t.Run(name, func(t *testing.T) {
			w := *w
			w.t = t
			r := w.do("admin", "PUT", clusters+"/new", tt.body)
			e := r.error(t)
			want := "This service keeps a registry of Kubernetes clusters and runs none: the property '" + tt.property + "' is one that only Azure's clusters have. To register a cluster that runs elsewhere, use 'entente cluster register new --resource-group rg' with '--issuer URL' for the issuer that it has, or with '--hosted' for one that is published here."
			if r.status != 400 || e.Code != "OperationNotAllowed" || e.Message != want {
				t.Errorf("got %d %s", r.status, r.text)
			}
		})
	}
	for name, body := range map[string]string{
		"nothing of it": in(`"agentPoolProfiles":[],"dnsPrefix":"","identityProfile":{},"enableRBAC":false,"addonProfiles":null`),
		"the stand-in":  in(`"agentPoolProfiles":[{"name":"elsewhere","mode":"System","count":0,"nodeTaints":[]}],"servicePrincipalProfile":{"clientId":"msi"},"securityProfile":{"workloadIdentity":{"enabled":true}}`),
	} {
		if r := w.do("admin", "PUT", clusters+"/new", body); r.status != 201 && r.status != 200 {
			t.Errorf("%s: %d %s", name, r.status, r.text)
		}
	}
}

// Setting a cluster's keys is a right of its own, which comes before the body.
func TestWhoMaySetAClustersKeys(t *testing.T) {
	w := newWorld(t)
	w.fixture()
	body := `{"keySet":` + keySet(t) + `}`
	for _, who := range []string{"owner", "contributor", "reader", "access"} {
		for _, b := range []string{body, `{"keySet":`, ""} {
			r := w.do(who, "POST", clu+"/updateKeys", b)
			if e := r.error(t); r.status != 403 || !strings.Contains(e.Message, "'Entente.Federation/issuers/write' over scope '/providers/Entente.Federation/issuers/clu'") {
				t.Errorf("%s sets keys: %d %s", who, r.status, r.text)
			}
		}
	}
	for _, b := range []string{hosting, registering("https://mine.example", "KeySet")} {
		r := w.do("owner", "PUT", clusters+"/mine", b)
		if e := r.error(t); r.status != 403 || !strings.Contains(e.Message, "'Entente.Federation/issuers/write' over scope '/providers/Entente.Federation/issuers'") {
			t.Errorf("the owner makes an issuer of keys: %d %s", r.status, r.text)
		}
	}
	// A robot in the cluster needs no more than this.
	w.principal("robot", clu, roles.Reader)
	w.ok("admin", "PUT", issuers+"/clu"+assignmentPath+sampleAssignment, w.assign(roles.FederationAdministrator, "robot"))
	w.ok("robot", "POST", clu+"/updateKeys", body)
	w.ok("robot", "GET", clu, "")
	for _, tt := range []struct{ method, path, body string }{
		{"PUT", clu, hosting}, {"DELETE", clu, ""}, {"PUT", clusters + "/mine", hosting}, {"PUT", issuers + "/mine", `{"properties":{"issuer":"https://mine.example"}}`}, {"GET", inGroup, ""},
	} {
		if r := w.do("robot", tt.method, tt.path, tt.body); r.status != 403 {
			t.Errorf("the robot's %s %s: %d %s", tt.method, tt.path, r.status, r.text)
		}
	}
}

func TestResources(t *testing.T) {
	w := newWorld(t)
	w.ok("admin", "PUT", ide, `{"location":"westeurope","tags":{"Team":"cats"}}`)
	w.ok("admin", "PUT", clu, hosting)
	w.ok("admin", "PUT", strings.Replace(clusters, "/rg/", "/other/", 1)+"/far", `{"location":"local","tags":{"team":"dogs"}}`)
	identity := `{"id":"` + ideID + `","name":"ide","type":"Microsoft.ManagedIdentity/userAssignedIdentities","location":"westeurope","tags":{"Team":"cats"}}`
	cluster := `{"id":"` + cluID + `","name":"clu","type":"Microsoft.ContainerService/ManagedClusters","location":"local","tags":{}}`
	far := `{"id":"*","name":"far","type":"Microsoft.ContainerService/ManagedClusters","location":"local","tags":{"team":"dogs"}}`
	list := func(items ...string) string { return `{"value":[` + strings.Join(items, ",") + `]}` }
	filter := func(text string) string {
		return sub + "/resources?$filter=" + strings.NewReplacer(" ", "%20", "'", "%27").Replace(text)
	}
	w.walk([]step{
		{name: "all", method: "GET", path: sub + "/resources?api-version=2021-04-01&$expand=createdTime,changedTime,provisioningState", status: 200, want: list(identity, far, cluster)},
		{name: "of a group", method: "GET", path: inGroup + "/resources", status: 200, want: list(identity, cluster)},
		{name: "of a group, as az asks", method: "GET", path: filter("resourceGroup eq 'RG'"), status: 200, want: list(identity, cluster)},
		{name: "of a type", method: "GET", path: filter("resourceType eq 'Microsoft.ContainerService/managedClusters'"), status: 200, want: list(far, cluster)},
		{name: "of a name", method: "GET", path: filter("name eq 'IDE'"), status: 200, want: list(identity)},
		{name: "of a place", method: "GET", path: filter("location eq 'West Europe'"), status: 200, want: list(identity)},
		{name: "of a tag", method: "GET", path: filter("tagname eq 'TEAM'"), status: 200, want: list(identity, far)},
		{name: "of a tag's value", method: "GET", path: filter("tagname eq 'team' and tagvalue eq 'dogs'"), status: 200, want: list(far)},
		{name: "of nothing", method: "GET", path: filter("resourceType eq 'Microsoft.Web/sites'"), status: 200, want: list()},
		{name: "locks", method: "GET", path: sub + "/providers/Microsoft.Authorization/locks?api-version=2016-09-01&$filter=atScope()", status: 200, want: list()},
		{name: "locks of a cluster, as az asks", method: "GET", path: strings.Replace(clu, "ContainerService/", "ContainerService//", 1) + "/providers/Microsoft.Authorization/locks", status: 200, want: list()},
		{name: "names of tags", method: "GET", path: sub + "/tagNames", status: 200, want: list()},
		{name: "deployments", method: "GET", path: sub + "/providers/Microsoft.Resources/deployments/", status: 200, want: list()},
		{name: "deployments of a group", method: "GET", path: sub + "/resourcegroups/rg/providers/Microsoft.Resources/deployments/", status: 200, want: list()},
		{name: "tags of the subscription", method: "GET", path: sub + "/providers/Microsoft.Resources/tags/default", status: 200, want: `{"id":"` + sub + `/providers/Microsoft.Resources/tags/default","name":"default","type":"Microsoft.Resources/tags","properties":{"tags":{}}}`},
		{name: "tags of a group", method: "GET", path: inGroup + "/providers/Microsoft.Resources/tags/default", status: 200, want: `{"id":"*","name":"default","type":"Microsoft.Resources/tags","properties":{"tags":{}}}`},
		{name: "tags of an identity", method: "GET", path: ide + "/providers/Microsoft.Resources/tags/default", status: 200, want: `{"id":"` + ideID + `/providers/Microsoft.Resources/tags/default","name":"default","type":"Microsoft.Resources/tags","properties":{"tags":{"Team":"cats"}}}`},
		{name: "tags of a cluster", method: "GET", path: clu + "/providers/Microsoft.Resources/tags/default", status: 200, want: `{"id":"` + cluID + `/providers/Microsoft.Resources/tags/default","name":"default","type":"Microsoft.Resources/tags","properties":{"tags":{}}}`},
	})
	// Who may list one type of them gets that one.
	w.principal("identities", inGroup, roles.ManagedIdentityContributor)
	w.principal("clusters", inGroup, "4abbcc35-e782-43d8-92c5-2d3f1bd2253f")
	for who, want := range map[string]string{"identities": list(identity), "clusters": list(cluster), "neighbour": ""} {
		r := w.do(who, "GET", inGroup+"/resources", "")
		if want == "" {
			if r.status != 403 {
				t.Errorf("%s: %d %s", who, r.status, r.text)
			}
		} else if err := compare(want, r.text); err != nil {
			t.Errorf("%s: %v", who, err)
		}
	}
	if r := w.ok("neighbour", "GET", sub+"/resources", ""); compare(list(far), r.text) != nil {
		t.Errorf("neighbour sees %s", r.text)
	}
}

// The pages of the list of resources go from the identities to the clusters, and hold as many as are asked for.
func TestResourcesInPages(t *testing.T) {
	w := newWorld(t)
	for _, sizes := range [][2]int{{4, 3}, {0, 3}, {4, 0}, {0, 0}} {
		w.ok("admin", "DELETE", inGroup, "")
		w.ok("admin", "PUT", inGroup, `{"location":"local"}`)
		for i := range sizes[0] {
			w.ok("admin", "PUT", fmt.Sprintf("%s%d", ide, i), `{"location":"local"}`)
		}
		for i := range sizes[1] {
			w.ok("admin", "PUT", fmt.Sprintf("%s%d", clu, i), `{"location":"local"}`)
		}
		for top := 1; top < 9; top++ {
			var all []string
			pages := 0
			for path := fmt.Sprintf("%s/resources?$top=%d", sub, top); path != ""; pages++ {
				names, next := w.ok("admin", "GET", path, "").names(t)
				all, path = append(all, names...), next
			}
			if n := sizes[0] + sizes[1]; len(all) != n || pages > n/top+2 {
				t.Errorf("%v by %d: %d pages of %q", sizes, top, pages, all)
			}
		}
	}
}

// A page of clusters belongs to the caller and to the list that it came from.
func TestClustersInPages(t *testing.T) {
	w := newWorld(t)
	for i := range 5 {
		w.ok("admin", "PUT", fmt.Sprintf("%s%d", clu, i), hosting)
	}
	var all []string
	for path := clusters + "?$top=2"; path != ""; {
		names, next := w.ok("admin", "GET", path, "").names(t)
		all, path = append(all, names...), next
	}
	if len(all) != 5 {
		t.Errorf("got %q", all)
	}
	page, err := w.dir.Clusters(t.Context(), w.principals["admin"], testSubscription, "rg", directory.Page{Limit: 2})
	w.must(err)
	if r := w.do("admin", "GET", clusters+"?$skiptoken="+page.Next, ""); r.status != 400 {
		t.Errorf("a page by its name: %d", r.status)
	}
}
