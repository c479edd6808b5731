package portal

import (
	"net/url"
	"strings"
	"time"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
)

type accountsView struct {
	List      *listing
	Search    string
	Namespace string
	All       string // the list without the namespace
	Reported  time.Time
	Command   string
	HasIssuer bool
	Accounts  []accountRow
}

type accountRow struct {
	Namespace, NamespaceTo, Name string
	ClientID                     string
	Trusted                      []trustingRow
	Add                          string // empty: the cluster has no issuer
}

// clusterAccounts is the list of the service accounts that a cluster reported.
func (c *call) clusterAccounts() error {
	k, err := c.findCluster()
	if err != nil {
		return err
	}
	l := c.list("q", "namespace")
	namespace := strings.TrimSpace(l.Get("namespace"))
	found, at, err := c.Directory.ServiceAccounts(c, c.caller, k.ClusterRef, namespace, l.page())
	if err != nil {
		return err
	}
	v := accountsView{
		List: l, Search: "Search by part of namespace/name, or by a client ID", Namespace: namespace, All: l.With("namespace", ""), Reported: at, HasIssuer: k.Issuer != nil,
		Command: "entente cluster report " + shellWord(k.Name) + " --resource-group " + shellWord(k.Group),
	}
	trusted, err := c.trustedAccounts(k, found.Items)
	if err != nil {
		return err
	}
	for _, s := range fill(l, found) {
		row := accountRow{Namespace: s.Namespace, NamespaceTo: l.With("namespace", s.Namespace), Name: s.Name, ClientID: s.ClientID}
		if k.Issuer != nil {
			row.Trusted = trusted[credential.ServiceAccountSubject(s.Namespace, s.Name)]
			row.Add = clusterPath(k.ClusterRef, "accounts", "trust") + "?" + url.Values{"namespace": {s.Namespace}, "account": {s.Name}}.Encode()
		}
		v.Accounts = append(v.Accounts, row)
	}
	return c.show(page{template: "cluster-accounts", title: "Service accounts", above: k.Name, trail: clusterTrail(k.ClusterRef), side: clusterSide(k, onAccounts), wide: true}, v)
}

// trustedAccounts are the credentials that trust some service accounts of a
// cluster, by subject.
func (c *call) trustedAccounts(k directory.Cluster, accounts []directory.ServiceAccount) (map[string][]trustingRow, error) {
	trusted := map[string][]trustingRow{}
	if k.Issuer == nil || len(accounts) == 0 {
		return trusted, nil
	}
	subjects := make([]string, len(accounts))
	for i, s := range accounts {
		subjects[i] = credential.ServiceAccountSubject(s.Namespace, s.Name)
	}
	found, err := c.Directory.TrustingCredentials(c, c.caller, k.Issuer.URL, subjects, directory.Page{Limit: directory.MaxPage})
	for _, row := range trustingRows(found.Items) {
		trusted[row.Subject] = append(trusted[row.Subject], row)
	}
	return trusted, err
}

type trustAccountView struct {
	Namespace, Account, Cluster string
	List                        *listing
	Hidden                      []part // what the search keeps
	Annotated                   []link // whom the service account's annotation names
	Applications                []link
	Identities                  []link
	MoreThere                   bool
	Subject                     string
}

// mostHolders is how many applications and managed identities are offered.
const mostHolders = 20

// trustAccount is the choice of who trusts a service account.
func (c *call) trustAccount() error {
	k, err := c.findCluster()
	if err != nil {
		return err
	}
	namespace, account := c.query("namespace"), c.query("account")
	if k.Issuer == nil || namespace == "" || account == "" {
		return c.redirect(clusterPath(k.ClusterRef, "accounts"))
	}
	l := c.list("q", "namespace", "account")
	v := trustAccountView{Namespace: namespace, Account: account, Cluster: k.Name, List: l, Subject: credential.ServiceAccountSubject(namespace, account), Hidden: []part{{"namespace", namespace}, {"account", account}}}
	filled := "?" + url.Values{"scenario": {"kubernetes"}, "cluster": {clusterValue(k.ClusterRef)}, "cluster-issuer": {k.Issuer.URL}, "namespace": {namespace}, "account": {account}}.Encode()
	search := directory.Page{Limit: mostHolders, Search: strings.TrimSpace(l.Get("q"))}
	var more bool
	if v.Applications, v.Identities, more, err = c.trustingHolders(search, filled); err != nil {
		return err
	}
	v.MoreThere = more
	if search.Search == "" {
		accounts, _, err := c.Directory.ServiceAccounts(c, c.caller, k.ClusterRef, namespace, directory.Page{Limit: directory.MaxPage, Search: namespace + "/" + account})
		if err != nil {
			return err
		}
		for _, s := range accounts.Items {
			if s.Name != account || s.ClientID == "" {
				continue
			}
			applications, identities, _, err := c.trustingHolders(directory.Page{Limit: 1, Search: s.ClientID}, filled)
			if err != nil {
				return err
			}
			v.Annotated = append(applications, identities...)
		}
	}
	return c.show(page{template: "cluster-trust", title: "Add a credential", above: k.Name, trail: append(clusterTrail(k.ClusterRef), crumb{"Service accounts", clusterPath(k.ClusterRef, "accounts")}), side: clusterSide(k, onAccounts)}, v)
}

// trustingHolders finds applications and managed identities that can trust
// something; their links open a form that is filled in.
func (c *call) trustingHolders(search directory.Page, filled string) (applications, identities []link, more bool, err error) {
	apps, err := c.Directory.Applications(c, c.caller, directory.Filter{}, search)
	if err != nil && !isForbidden(err) {
		return nil, nil, false, err
	}
	for _, a := range apps.Items {
		applications = append(applications, link{Text: a.DisplayName, To: applicationPath(a.ID, "credentials", "new") + filled})
	}
	found, err := c.Directory.Identities(c, c.caller, "", "", search)
	if err != nil && !isForbidden(err) {
		return nil, nil, false, err
	}
	for _, m := range found.Items {
		if c.rights.Can(identityAction+"federatedIdentityCredentials/write", m.ResourceID()) {
			identities = append(identities, link{Text: m.Name + " in " + m.Group, To: identityPath(m.IdentityRef, "credentials", "new") + filled})
		}
	}
	return applications, identities, apps.Next != "" || found.Next != "", nil
}
