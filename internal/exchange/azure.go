package exchange

import (
	"slices"
	"strings"
)

// graphAppID is the client id of Microsoft Graph, the same in every tenant.
const graphAppID = "00000003-0000-0000-c000-000000000000"

// An azureResource is a resource that exists in every tenant of Azure.
type azureResource struct {
	management bool   // Graph or Resource Manager, which this service is itself
	armOnly    bool   // of management: Resource Manager, which has no app roles
	clientID   string // of a resource with tokens of version 2.0: their audience
}

// azure are the names, as foldName makes them, of resources that clients of
// Azure ask for out of the box, in the public and the sovereign clouds. Tokens
// for them are of version 1.0 unless there is a clientID. Sources: the
// "authentication with Microsoft Entra ID" page of each service, and az cloud list.
var azure = func() map[string]azureResource {
	graph, arm, other := azureResource{management: true}, azureResource{management: true, armOnly: true}, azureResource{}
	all := map[string]azureResource{
		// The audience of federated credentials themselves: a managed identity's
		// token for it can be an assertion somewhere else.
		"api://azureadtokenexchange": {clientID: "fb60f99c-7a34-4190-8149-302f77469936"},
	}
	for _, group := range []struct {
		as    azureResource
		names string
	}{
		{graph, `https://graph.microsoft.com https://graph.microsoft.us https://dod-graph.microsoft.us https://microsoftgraph.chinacloudapi.cn ` + graphAppID},
		{graph, `https://graph.windows.net https://graph.microsoftazure.us https://graph.chinacloudapi.cn 00000002-0000-0000-c000-000000000000`},
		{arm, `https://management.azure.com https://management.core.windows.net
			https://management.usgovcloudapi.net https://management.core.usgovcloudapi.net
			https://management.chinacloudapi.cn https://management.core.chinacloudapi.cn 797f4846-ba00-4fd7-ba43-dac1f8f63013`},
		// Key Vault and Managed HSM.
		{other, `https://vault.azure.net https://vault.usgovcloudapi.net https://vault.azure.cn https://managedhsm.azure.net cfa8b339-82a2-471a-a3c9-0fc0be7a4093`},
		// Storage, Data Lake.
		{other, `https://storage.azure.com https://datalake.azure.net e406a681-f3d4-42a8-90b6-c2b029497af1`},
		// SQL, PostgreSQL and MySQL, Cosmos DB, Redis.
		{other, `https://database.windows.net https://database.usgovcloudapi.net https://database.chinacloudapi.cn 022907d3-0f1b-48f7-badc-1ba6abab6d66
			https://ossrdbms-aad.database.windows.net https://ossrdbms-aad.database.usgovcloudapi.net https://ossrdbms-aad.database.chinacloudapi.cn
			https://cosmos.azure.com https://redis.azure.com`},
		// AI services, Machine Learning, Search.
		{other, `https://cognitiveservices.azure.com https://cognitiveservices.azure.us https://cognitiveservices.azure.cn https://ai.azure.com https://ml.azure.com https://search.azure.com`},
		// Event Hubs, Service Bus, Event Grid, SignalR, Web PubSub, IoT Hub, Digital Twins.
		{other, `https://eventhubs.azure.net https://servicebus.azure.net https://eventgrid.azure.net https://signalr.azure.com https://webpubsub.azure.com https://iothubs.azure.net https://digitaltwins.azure.net`},
		// DevOps, Kubernetes Service, Container Registry, Databricks, Synapse, Data Explorer, Batch.
		{other, `499b84ac-1321-427f-aa17-267ca6975798 https://app.vssps.visualstudio.com 6dae42f8-4368-4678-94ff-3960e28e3630 https://containerregistry.azure.net
			2ff814a6-3304-4ab8-85cb-cd0e6f879c1d https://dev.azuresynapse.net https://kusto.kusto.windows.net https://help.kusto.windows.net https://batch.core.windows.net`},
		// Monitor, Log Analytics, App Configuration, Attestation, Confidential Ledger, Purview, Maps, Grafana.
		{other, `https://monitor.azure.com https://monitor.azure.us https://monitor.azure.cn https://api.loganalytics.io https://api.loganalytics.azure.com https://api.applicationinsights.io
			https://azconfig.io https://appconfig.azure.com https://attest.azure.net https://confidential-ledger.azure.com https://purview.azure.net https://atlas.microsoft.com ce34e7e5-485f-4d76-964f-b3d2b16d1e4f`},
	} {
		for name := range strings.FieldsSeq(group.names) {
			all[name] = group.as
		}
	}
	return all
}()

// accounts are the domains below which each account of a service is a resource of its own.
var accounts = []string{
	".blob.core.windows.net", ".queue.core.windows.net", ".table.core.windows.net", ".file.core.windows.net", ".dfs.core.windows.net",
	".vault.azure.net", ".documents.azure.com", ".servicebus.windows.net", ".azconfig.io", ".kusto.windows.net", ".search.windows.net",
	".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com",
}

// ofAzure says whether a folded name is that of one account of an Azure service.
func ofAzure(key string) bool {
	host, ok := strings.CutPrefix(key, "https://")
	return ok && strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789.-") == "" &&
		slices.ContainsFunc(accounts, func(domain string) bool { return len(host) > len(domain) && strings.HasSuffix(host, domain) })
}

// Manages says whether an audience is that of a token for the service's own
// management surfaces: one of its base URLs, or a name of Microsoft Graph or
// Azure Resource Manager. It folds names as Do does before it looks for a
// registered application, so that no application's audience is among them.
func (x *Exchange) Manages(audience string) bool {
	key := foldName(audience)
	return x.own[key] || azure[key].management
}
