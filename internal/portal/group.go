package portal

import (
	"time"

	"github.com/entente-id/entente/internal/directory"
)

var groupPages = []route{
	{"GET " + groupsPath, (*call).groups, false},
	{"GET " + groupsPath + "/new", (*call).newGroup, false},
	{"POST " + groupsPath + "/new", (*call).createGroup, false},
	{"GET " + groupsPath + "/{sub}/{group}", (*call).group, false},
	{"GET " + groupsPath + "/{sub}/{group}/delete", (*call).confirmDeleteGroup, false},
	{"POST " + groupsPath + "/{sub}/{group}/delete", (*call).deleteGroup, false},
}

const (
	groupsPath = Path + "/groups"

	// The right to something on resource groups.
	groupAction = "Microsoft.Resources/subscriptions/resourceGroups/"
)

// groupPath is the path of a resource group's page.
func groupPath(subscriptionID, group string, more ...string) string {
	return pathTo(append([]string{"groups", subscriptionID, group}, more...)...)
}

// groupTrail is the way to what is in a resource group.
func groupTrail(subscriptionID, group string) []crumb {
	return []crumb{{"Resource groups", groupsPath}, {group, groupPath(subscriptionID, group)}}
}

// findGroup reads the resource group of the page's path.
func (c *call) findGroup() (directory.Group, error) {
	return c.Directory.Group(c, c.caller, c.value("sub"), c.value("group"))
}

type groupView struct {
	Subscription, SubscriptionID string
	ResourceID, Location         string
	Created                      time.Time
	Tags                         []fact

	List       *listing
	Search     string
	Name       column
	Identities []identityRow
	Create     string // empty: the caller may not

	Clusters     []link
	MoreClusters bool
	ClustersURL  string
	Delete       string // empty: the caller may not
}

func (c *call) group() error {
	g, err := c.findGroup()
	if err != nil {
		return err
	}
	l := c.list("q", "sort")
	some, ok := l.byName()
	if !ok {
		return c.redirect(l.With("sort", ""))
	}
	subscription, err := c.Directory.Subscription(c, c.caller, g.SubscriptionID)
	if err != nil {
		return err
	}
	v := groupView{
		Subscription: subscription.DisplayName, SubscriptionID: g.SubscriptionID, ResourceID: g.Scope(), Location: g.Location, Created: g.CreatedAt,
		List: l, Search: "Search by part of a name, or by a client or principal ID", Name: l.Name("Name"), ClustersURL: clustersPath,
	}
	for _, t := range tagRows(g.Tags, 0) {
		v.Tags = append(v.Tags, fact{t.Name, t.Value})
	}
	identities, err := c.Directory.Identities(c, c.caller, g.SubscriptionID, g.Name, some)
	if err != nil && !isForbidden(err) {
		return err
	}
	v.Identities = identityRows(fill(v.List, identities))
	clusters, err := c.Directory.Clusters(c, c.caller, g.SubscriptionID, g.Name, directory.Page{Limit: pageSize})
	if err != nil && !isForbidden(err) {
		return err
	}
	for _, k := range clusters.Items {
		v.Clusters = append(v.Clusters, link{Text: k.Name, To: clusterPath(k.ClusterRef)})
	}
	v.MoreClusters = clusters.Next != ""
	if c.rights.Can(identityAction+"write", g.Scope()) {
		v.Create = groupPath(g.SubscriptionID, g.Name, "new-identity")
	}
	if c.rights.Can(groupAction+"delete", g.Scope()) {
		v.Delete = groupPath(g.SubscriptionID, g.Name, "delete")
	}
	return c.show(page{template: "group", title: g.Name, above: "Resource group", trail: groupTrail("", "")[:1], wide: true, done: map[string]string{
		"created":          "The resource group was made.",
		"identity-deleted": "The managed identity was deleted.",
	}[c.query("done")]}, v)
}

type deleteGroupView struct {
	Name                 string
	Identities, Clusters string
	Empty                bool
	Some                 []string // names of identities, the first ones
	Action, Back         string
}

// someNames is how many names of what goes with a group are shown.
const someNames = 20

func (c *call) confirmDeleteGroup() error {
	g, err := c.findGroup()
	if err != nil {
		return err
	}
	if err := c.need(groupAction+"delete", g.Scope()); err != nil {
		return err
	}
	v := deleteGroupView{Name: g.Name, Action: groupPath(g.SubscriptionID, g.Name, "delete"), Back: groupPath(g.SubscriptionID, g.Name)}
	ask := directory.Page{Limit: someNames, Count: true, Most: mostShown}
	identities, err := c.Directory.Identities(c, c.caller, g.SubscriptionID, g.Name, ask)
	if err != nil {
		return err
	}
	for _, m := range identities.Items {
		v.Some = append(v.Some, m.Name)
	}
	clusters, err := c.Directory.Clusters(c, c.caller, g.SubscriptionID, g.Name, ask)
	if err != nil {
		return err
	}
	v.Identities, v.Clusters = tally(identities.Tally()), tally(clusters.Tally())
	v.Empty = identities.Total+clusters.Total == 0
	return c.show(page{template: "group-delete", title: "Delete " + g.Name + "?", above: "Resource group", trail: groupTrail(g.SubscriptionID, g.Name)}, v)
}

func (c *call) deleteGroup() error {
	if err := c.Directory.DeleteGroup(c, c.caller, c.value("sub"), c.value("group")); err != nil {
		return err
	}
	return c.redirect(done(groupsPath, "deleted"))
}
