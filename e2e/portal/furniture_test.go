package portal

import (
	"testing"

	"github.com/entente-id/entente/client"
)

// furnish adds what the town's other pages show: a cluster whose issuer is
// published here, an issuer that somebody registered, a report of service
// accounts, people with roles.
func (w *town) furnish(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	north := client.ClusterID{SubscriptionID: w.SubscriptionID, ResourceGroup: w.group.Name, Name: "north"}
	if _, _, err := w.admin.PutCluster(ctx, north, client.ClusterSpec{Location: "local", Issuer: &client.ClusterIssuerSpec{KeySource: client.HostedKeys, KeySet: w.issuer.JWKS()}}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.admin.PutIssuer(ctx, "shop-ci", client.IssuerSpec{Issuer: "https://gitlab.shop.example", KeySource: client.DiscoveredKeys, Algorithms: []string{"RS256", "ES256"}}); err != nil {
		t.Fatal(err)
	}
	accounts := []client.ServiceAccount{{Namespace: "pets", Name: "workload-identity-sa"}, {Namespace: "pets", Name: "my-app", ClientID: w.app.AppID}}
	for _, name := range []string{"billing", "checkout", "image-builder", "mail", "search-indexer", "storefront"} {
		accounts = append(accounts, client.ServiceAccount{Namespace: "shop", Name: name})
	}
	accounts = append(accounts, client.ServiceAccount{Namespace: "pets", Name: "nightly-reports"})
	for _, namespace := range []string{"kube-system", "pets", "shop"} {
		accounts = append(accounts, client.ServiceAccount{Namespace: namespace, Name: "default"})
	}
	if _, err := w.admin.ReportServiceAccounts(ctx, w.cluster, accounts); err != nil {
		t.Fatal(err)
	}
	w.somebody(t, "nightly reports", "Reader")
	w.somebody(t, "deployment", "Contributor")
}

// issuerName is what the cluster's issuer is called.
func (w *town) issuerName(t *testing.T) string {
	t.Helper()
	all, err := w.admin.Issuers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if i.Issuer == w.issuer.URL() {
			return i.Name
		}
	}
	t.Fatal("nobody knows the cluster's issuer")
	return ""
}
