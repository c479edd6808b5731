package portal

import (
	"time"

	"github.com/entente-id/entente/internal/directory"
)

type clustersView struct {
	List     *listing
	Search   string
	Name     column
	Clusters []clusterRow
	New      string // empty: the caller may register none
}

type clusterRow struct {
	Name, To, Group, GroupTo string
	Issuer, Keys             string
	KeysAt                   time.Time // of uploaded keys
}

// clusters is the list of registered clusters.
func (c *call) clusters() error {
	l := c.list("q", "sort")
	some, ok := l.byName()
	if !ok {
		return c.redirect(l.With("sort", ""))
	}
	found, err := c.Directory.Clusters(c, c.caller, "", "", some)
	if err != nil {
		return err
	}
	v := clustersView{List: l, Search: "Search by part of a name or of an issuer URL", Name: l.Name("Name")}
	for _, k := range fill(l, found) {
		row := clusterRow{Name: k.Name, To: clusterPath(k.ClusterRef), Group: k.Group, GroupTo: groupPath(k.SubscriptionID, k.Group), Keys: keysInWords(k.Issuer)}
		if k.Issuer != nil {
			row.Issuer, row.KeysAt = k.Issuer.URL, k.Issuer.KeysAt
		}
		v.Clusters = append(v.Clusters, row)
	}
	groups, err := c.clusterGroups()
	if err != nil {
		return err
	}
	if len(groups) > 0 {
		v.New = clustersPath + "/new"
	}
	return c.show(page{template: "clusters", title: "Clusters", wide: true, done: map[string]string{
		"deleted": "The cluster was deleted from the registry.",
	}[c.query("done")]}, v)
}

// keysInWords says where the keys of a cluster's issuer come from.
func keysInWords(i *directory.ClusterIssuer) string {
	if i == nil {
		return "It has no issuer yet"
	}
	switch i.Keys {
	case directory.HostedKeys:
		return "Published here"
	case directory.ClusterKeySet:
		return "Uploaded"
	case directory.ClusterDiscovery:
		return "Read from the issuer"
	}
	return "Read from an address of their own"
}

// clusterGroups are the resource groups in which the caller may register clusters.
func (c *call) clusterGroups() ([]directory.Group, error) {
	found, err := c.Directory.Groups(c, c.caller, "", directory.Page{Limit: directory.MaxPage})
	if err != nil {
		return nil, err
	}
	var may []directory.Group
	for _, g := range found.Items {
		if c.rights.Can(clusterAction+"write", g.Scope()) {
			may = append(may, g)
		}
	}
	return may, nil
}
