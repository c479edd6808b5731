package portal

import (
	"time"

	"github.com/entente-id/entente/internal/directory"
)

const identitiesPath = Path + "/identities"

type identitiesView struct {
	List       *listing
	Search     string
	Name       column
	Identities []identityRow
	Groups     string
}

type identityRow struct {
	Name, To        string
	Group, GroupURL string
	ClientID        string
	Location        string
	Created         time.Time
}

// identities is the list of all managed identities.
func (c *call) identities() error {
	l := c.list("q", "sort")
	some, ok := l.byName()
	if !ok {
		return c.redirect(l.With("sort", ""))
	}
	found, err := c.Directory.Identities(c, c.caller, "", "", some)
	if err != nil {
		return err
	}
	return c.show(page{template: "identities", title: "Managed identities", wide: true},
		identitiesView{l, "Search by part of a name, or by a client or principal ID", l.Name("Name"), identityRows(fill(l, found)), groupsPath})
}

func identityRows(list []directory.Identity) []identityRow {
	var rows []identityRow
	for _, m := range list {
		rows = append(rows, identityRow{m.Name, identityPath(m.IdentityRef), m.Group, groupPath(m.SubscriptionID, m.Group), m.ClientID, m.Location, m.CreatedAt})
	}
	return rows
}
