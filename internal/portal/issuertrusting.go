package portal

import (
	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
)

// trustingRow is a credential among those that trust an issuer.
type trustingRow struct {
	Name, To         string
	Holder, HolderTo string
	Kind             string
	Subject, Account string // the service account that the subject is, as NAMESPACE/NAME
}

func trustingRows(all []directory.TrustingCredential) []trustingRow {
	rows := make([]trustingRow, len(all))
	for i, f := range all {
		row := trustingRow{Name: f.Name, Holder: f.ParentName, Subject: f.Subject}
		if m := f.Parent.Identity; m != nil {
			row.Kind, row.HolderTo, row.To = "Managed identity", identityPath(*m), identityPath(*m, "credentials", f.ID)
		} else {
			id := f.Parent.Application.ID
			row.Kind, row.HolderTo, row.To = "Application", applicationPath(id), applicationPath(id, "credentials", f.ID)
		}
		if namespace, name, ok := credential.ParseServiceAccountSubject(f.Subject); ok {
			row.Account = namespace + "/" + name
		}
		rows[i] = row
	}
	return rows
}

type trustingView struct {
	List        *listing
	Search      string
	Issuer      string
	Total       string
	Credentials []trustingRow
}

// showTrusting shows the credentials that trust an issuer.
func (c *call) showTrusting(url string, p page) error {
	l := c.list("q")
	ask := l.page()
	ask.Count, ask.Most = true, mostShown
	found, err := c.Directory.TrustingCredentials(c, c.caller, url, nil, ask)
	if err != nil {
		return err
	}
	p.template, p.title, p.wide = "trusting", "Federated credentials", true
	return c.show(p, trustingView{
		List: l, Search: "Search by part of a subject", Issuer: url, Credentials: trustingRows(fill(l, found)),
		Total: counted(found.Tally(), "credential", "credentials"),
	})
}

func (c *call) clusterCredentials() error {
	k, err := c.findCluster()
	if err != nil {
		return err
	}
	if k.Issuer == nil {
		return c.redirect(clusterPath(k.ClusterRef))
	}
	return c.showTrusting(k.Issuer.URL, page{above: k.Name, trail: clusterTrail(k.ClusterRef), side: clusterSide(k, onCredentials)})
}

func (c *call) issuerCredentials() error {
	i, err := c.findIssuer()
	if err != nil {
		return err
	}
	return c.showTrusting(i.URL, page{above: i.Name, trail: issuerTrail(i.Name), side: issuerSide(i.Name, onCredentials)})
}
