package portal

import (
	"fmt"
	"time"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/exchange"
	"github.com/entente-id/entente/internal/issuer"
)

var clusterPages = []route{
	{"GET " + clustersPath, (*call).clusters, false},
	{"GET " + clustersPath + "/new", (*call).newCluster, false},
	{"POST " + clustersPath + "/new", (*call).registerCluster, false},
	{"GET " + clusterAt, (*call).cluster, false},
	{"GET " + clusterAt + "/check", (*call).lookedAtCluster, false},
	{"POST " + clusterAt + "/check", (*call).lookAtCluster, false},
	{"GET " + clusterAt + "/accounts", (*call).clusterAccounts, false},
	{"GET " + clusterAt + "/accounts/trust", (*call).trustAccount, false},
	{"GET " + clusterAt + "/credentials", (*call).clusterCredentials, false},
	{"GET " + clusterAt + "/keys", (*call).newClusterKeys, false},
	{"POST " + clusterAt + "/keys", (*call).setClusterKeys, false},
	{"GET " + clusterAt + "/delete", (*call).confirmDeleteCluster, false},
	{"POST " + clusterAt + "/delete", (*call).deleteCluster, false},
}

const (
	clustersPath = Path + "/clusters"
	clusterAt    = clustersPath + "/{sub}/{group}/{name}"

	// The right to something on clusters.
	clusterAction = "Microsoft.ContainerService/managedClusters/"
)

// The pages of one cluster, as clusterSide knows them, besides onOverview and onCredentials.
const onAccounts = "accounts"

// clusterPath is the path of a page of a cluster.
func clusterPath(ref directory.ClusterRef, more ...string) string {
	return pathTo(append([]string{"clusters", ref.SubscriptionID, ref.Group, ref.Name}, more...)...)
}

// clusterSide are the pages of a cluster.
func clusterSide(k directory.Cluster, current string) []link {
	links := []link{
		{Text: "Overview", To: clusterPath(k.ClusterRef), Current: current == onOverview},
		{Text: "Service accounts", To: clusterPath(k.ClusterRef, "accounts"), Current: current == onAccounts},
	}
	if k.Issuer != nil {
		links = append(links, link{Text: "Federated credentials", To: clusterPath(k.ClusterRef, "credentials"), Current: current == onCredentials})
	}
	return links
}

// clusterTrail is the way to the pages of a cluster.
func clusterTrail(ref directory.ClusterRef) []crumb {
	return []crumb{{"Clusters", clustersPath}, {ref.Name, clusterPath(ref)}}
}

func (c *call) clusterRef() directory.ClusterRef {
	return directory.ClusterRef{SubscriptionID: c.value("sub"), Group: c.value("group"), Name: c.value("name")}
}

// findCluster reads the cluster of the page's path.
func (c *call) findCluster() (directory.Cluster, error) {
	return c.Directory.Cluster(c, c.caller, c.clusterRef())
}

type clusterView struct {
	Group, GroupTo       string
	ResourceID, Location string
	Tags                 []fact
	Created              time.Time
	Hosted               bool // published here
	Issuer, KeysFrom     string
	KeysAt               time.Time
	IssuerTo             string // empty: the caller may not see the issuer object
	Flags                string // of the API server, for a hosted issuer
	Counts               []count
	Keys                 keysView
	Upload               string // empty: the caller may not
	UploadText           string
	Delete               string // empty: the caller may not
}

func (c *call) cluster() error {
	k, err := c.findCluster()
	if err != nil {
		return err
	}
	return c.showCluster(k, nil)
}

// showCluster shows a cluster, with what came of asking its issuer, if it was asked.
func (c *call) showCluster(k directory.Cluster, asked *checkView) error {
	v := clusterView{
		Group: k.Group, GroupTo: groupPath(k.SubscriptionID, k.Group), ResourceID: k.ResourceID(), Location: k.Location, Created: k.CreatedAt, KeysFrom: keysInWords(k.Issuer),
	}
	for _, t := range tagRows(k.Tags, 0) {
		v.Tags = append(v.Tags, fact{t.Name, t.Value})
	}
	if c.rights.Can(clusterAction+"delete", k.ResourceID()) {
		v.Delete = clusterPath(k.ClusterRef, "delete")
	}
	accounts, at, err := c.Directory.ServiceAccounts(c, c.caller, k.ClusterRef, "", directory.Page{Limit: 1, Count: true, Most: mostShown})
	if err != nil {
		return err
	}
	under := ""
	if at.IsZero() {
		under = "never reported"
	}
	v.Counts = append(v.Counts, count{tally(accounts.Tally()), "Service accounts", under, clusterPath(k.ClusterRef, "accounts")})
	if i := k.Issuer; i != nil {
		v.Issuer, v.Hosted = i.URL, i.Keys == directory.HostedKeys
		if len(i.KeyIDs) > 0 {
			v.KeysAt = i.KeysAt
		}
		trusting, err := c.Directory.TrustingCredentials(c, c.caller, i.URL, nil, directory.Page{Limit: 1, Count: true, Most: mostShown})
		if err != nil {
			return err
		}
		v.Counts = append(v.Counts, count{tally(trusting.Tally()), "Federated credentials", "trust it", clusterPath(k.ClusterRef, "credentials")})
		src, registered, err := c.clusterSource(k)
		if err != nil {
			return err
		}
		if registered {
			v.IssuerTo = issuerPath(i.Name)
		}
		if v.Keys, err = c.keys(src, registered, i.KeyIDs, clusterPath(k.ClusterRef, "check")); err != nil {
			return err
		}
		v.Keys.Asked = asked
		if v.Hosted {
			v.Flags = "--service-account-issuer=" + i.URL + "\n--service-account-jwks-uri=" + i.URL + "openid/v1/jwks"
		}
		if c.maySetClusterKeys(k) {
			v.Upload, v.UploadText = clusterPath(k.ClusterRef, "keys"), "Upload new keys"
			if i.Keys == directory.ClusterDiscovery {
				v.UploadText = "Upload its keys instead"
			}
		}
	}
	p := page{template: "cluster", title: k.Name, above: "Cluster", trail: clusterTrail(k.ClusterRef)[:1], side: clusterSide(k, onOverview)}
	p.done = map[string]string{
		"registered": "The cluster was registered.",
		"keys":       "The keys were uploaded. They count from the next request on.",
		"same":       "Those keys are there already. Nothing was changed.",
	}[c.query("done")]
	return c.show(p, v)
}

// clusterSource is the issuer of a cluster as it is asked; registered says
// that the caller may see how it is registered.
func (c *call) clusterSource(k directory.Cluster) (src issuer.Source, registered bool, err error) {
	src = issuer.Source{TenantID: k.TenantID, URL: k.Issuer.URL}
	if k.Issuer.Name == "" {
		return src, false, nil
	}
	i, err := c.Directory.Issuer(c, c.caller, k.Issuer.Name)
	if isForbidden(err) || isNotFound(err) {
		return src, false, nil
	}
	return exchange.Source(i), err == nil, err
}

// maySetClusterKeys says whether the caller may upload keys of a cluster's issuer.
func (c *call) maySetClusterKeys(k directory.Cluster) bool {
	switch k.Issuer.Keys {
	case directory.HostedKeys, directory.ClusterKeySet:
		return c.rights.Can(issuerAction+"write", issuersScope+"/"+k.Issuer.Name)
	case directory.ClusterDiscovery:
		return c.maySetIssuers() && c.rights.Can(clusterAction+"write", k.ResourceID())
	}
	return false
}

// lookAtCluster asks the issuer what it publishes.
func (c *call) lookAtCluster() error {
	k, err := c.findCluster()
	if err != nil {
		return err
	}
	if k.Issuer == nil || k.Issuer.Keys == directory.HostedKeys || k.Issuer.Keys == directory.ClusterKeySet {
		return c.redirect(clusterPath(k.ClusterRef))
	}
	src, _, err := c.clusterSource(k)
	if err != nil {
		return err
	}
	return c.showCluster(k, c.check(src))
}

// lookedAtCluster is where a browser lands that loads the answer to a check again.
func (c *call) lookedAtCluster() error { return c.redirect(clusterPath(c.clusterRef())) }

type deleteClusterView struct {
	Name, Group, Issuer string
	Hosted, Refused     bool
	Credentials         string // how many trust the issuer
	Some                []trustingRow
	All                 string
	Action, Back        string
}

// someTrusting is how many credentials a page of confirmation names.
const someTrusting = 10

func (c *call) confirmDeleteCluster() error {
	k, err := c.findCluster()
	if err != nil {
		return err
	}
	if err := c.need(clusterAction+"delete", k.ResourceID()); err != nil {
		return err
	}
	v := deleteClusterView{Name: k.Name, Group: k.Group, Action: clusterPath(k.ClusterRef, "delete"), Back: clusterPath(k.ClusterRef)}
	if i := k.Issuer; i != nil {
		v.Issuer, v.Hosted = i.URL, i.Keys == directory.HostedKeys
		trusting, err := c.Directory.TrustingCredentials(c, c.caller, i.URL, nil, directory.Page{Limit: someTrusting, Count: true, Most: mostShown})
		if err != nil {
			return err
		}
		v.Some = trustingRows(trusting.Items)
		if trusting.Total > 0 {
			v.Credentials = counted(trusting.Tally(), "federated credential", "federated credentials")
			v.All = clusterPath(k.ClusterRef, "credentials")
		}
		v.Refused = v.Hosted && trusting.Total > 0
	}
	return c.show(page{template: "cluster-delete", title: "Delete " + k.Name + "?", above: "Cluster", trail: clusterTrail(k.ClusterRef), side: clusterSide(k, "")}, v)
}

func (c *call) deleteCluster() error {
	if err := c.Directory.DeleteCluster(c, c.caller, c.clusterRef()); err != nil {
		return err
	}
	return c.redirect(done(clustersPath, "deleted"))
}

// counted is a number with its noun.
func counted(n directory.Tally, one, many string) string {
	if n.N == 1 && !n.More {
		return "1 " + one
	}
	return fmt.Sprintf("%s %s", tally(n), many)
}
