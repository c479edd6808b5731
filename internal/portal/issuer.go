package portal

import (
	"cmp"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"time"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/exchange"
)

var issuerPages = []route{
	{"GET " + issuersPath, (*call).issuers, false},
	{"GET " + newIssuerPath, (*call).newIssuer, false},
	{"POST " + newIssuerPath, (*call).addIssuer, false},
	{"GET " + issuersPath + "/{name}", (*call).issuerOverview, false},
	{"GET " + issuersPath + "/{name}/check", (*call).lookedAtIssuer, false},
	{"POST " + issuersPath + "/{name}/check", (*call).lookAtIssuer, false},
	{"GET " + issuersPath + "/{name}/credentials", (*call).issuerCredentials, false},
	{"GET " + issuersPath + "/{name}/edit", (*call).editIssuer, false},
	{"POST " + issuersPath + "/{name}/edit", (*call).changeIssuer, false},
	{"GET " + issuersPath + "/{name}/delete", (*call).confirmDeleteIssuer, false},
	{"POST " + issuersPath + "/{name}/delete", (*call).deleteIssuer, false},
}

const (
	issuersPath = Path + "/issuers"
	// newIssuerPath has a part that no issuer can be called.
	newIssuerPath = issuersPath + "/-/new"

	// The right to something on issuers, and the scope of all of them.
	issuerAction = "Entente.Federation/issuers/"
	issuersScope = "/providers/Entente.Federation/issuers"
)

// issuerPath is the path of a page of an issuer.
func issuerPath(name string, more ...string) string {
	return pathTo(append([]string{"issuers", name}, more...)...)
}

// issuerSide are the pages of an issuer.
func issuerSide(name, current string) []link {
	return []link{
		{Text: "Overview", To: issuerPath(name), Current: current == onOverview},
		{Text: "Federated credentials", To: issuerPath(name, "credentials"), Current: current == onCredentials},
	}
}

// issuerTrail is the way to the pages of an issuer.
func issuerTrail(name string) []crumb {
	return []crumb{{"Issuers", issuersPath}, {name, issuerPath(name)}}
}

// maySetIssuers says whether the caller may register issuers and set their keys.
func (c *call) maySetIssuers() bool { return c.rights.Can(issuerAction+"write", issuersScope) }

// findIssuer reads the issuer of the page's path.
func (c *call) findIssuer() (directory.Issuer, error) {
	return c.Directory.Issuer(c, c.caller, c.value("name"))
}

type issuersView struct {
	List    *listing
	Search  string
	Name    column
	Issuers []issuerRow
	New     string // empty: the caller may not
}

type issuerRow struct {
	Name, To, URL    string
	Keys, Algorithms string
	Implicit         bool
	Updated          time.Time
}

// issuers is the list of issuers.
func (c *call) issuers() error {
	l := c.list("q", "sort")
	some, ok := l.byName()
	if !ok {
		return c.redirect(l.With("sort", ""))
	}
	found, err := c.Directory.Issuers(c, c.caller, some)
	if err != nil {
		return err
	}
	v := issuersView{List: l, Search: "Search by part of a name or URL", Name: l.Name("Issuer")}
	for _, i := range fill(l, found) {
		v.Issuers = append(v.Issuers, issuerRow{i.Name, issuerPath(i.Name), i.URL, sourceInWords(i.KeySource), algorithmsOf(i), i.Implicit, i.UpdatedAt})
	}
	if c.maySetIssuers() {
		v.New = newIssuerPath
	}
	return c.show(page{template: "issuers", title: "Issuers", wide: true, done: map[string]string{
		"deleted": "What was set for the issuer was deleted.",
	}[c.query("done")]}, v)
}

// sourceInWords says where the keys of an issuer come from.
func sourceInWords(s directory.KeySource) string {
	switch s {
	case directory.UploadedKeys:
		return "Uploaded"
	case directory.JWKSURIKeys:
		return "Read from an address of their own"
	}
	return "Read from the issuer"
}

// algorithmsOf are the algorithms that are accepted of an issuer.
func algorithmsOf(i directory.Issuer) string {
	return strings.Join(exchange.Source(i).Accepts(), ", ")
}

type issuerView struct {
	URL, KeysFrom, JWKSURI string
	Algorithms             string
	ManyAudiences          bool
	Implicit, Hosted       bool
	CA                     []certificateFact
	ID, Name               string
	Created, Updated       time.Time
	Clusters               []link
	Counts                 []count
	Keys                   keysView
	Edit, Delete           string // empty: the caller may not
}

// certificateFact is a certificate that is trusted when an issuer is asked.
type certificateFact struct {
	Subject string
	Ends    time.Time
	Over    bool
}

func (c *call) issuerOverview() error {
	i, err := c.findIssuer()
	if err != nil {
		return err
	}
	return c.showIssuer(i, nil)
}

// showIssuer shows an issuer, with what it said, if it was asked.
func (c *call) showIssuer(i directory.Issuer, asked *checkView) error {
	v := issuerView{
		URL: i.URL, KeysFrom: sourceInWords(i.KeySource), JWKSURI: i.JWKSURI, Algorithms: algorithmsOf(i), ManyAudiences: i.ManyAudiences, Implicit: i.Implicit,
		CA: certificatesIn(i.CAPEM, c.Clock()), ID: i.ID, Name: i.Name, Created: i.CreatedAt, Updated: i.UpdatedAt,
	}
	clusters, err := c.clustersWith(i.URL)
	if err != nil {
		return err
	}
	for _, k := range clusters {
		v.Clusters = append(v.Clusters, link{Text: k.Name + " in " + k.Group, To: clusterPath(k.ClusterRef)})
		v.Hosted = v.Hosted || k.Issuer.Keys == directory.HostedKeys
	}
	trusting, err := c.Directory.TrustingCredentials(c, c.caller, i.URL, nil, directory.Page{Limit: 1, Count: true, Most: mostShown})
	if err != nil {
		return err
	}
	v.Counts = []count{{tally(trusting.Tally()), "Federated credentials", "trust it", issuerPath(i.Name, "credentials")}}
	if v.Keys, err = c.keys(exchange.Source(i), true, nil, issuerPath(i.Name, "check")); err != nil {
		return err
	}
	v.Keys.Asked = asked
	if c.rights.Can(issuerAction+"write", issuersScope+"/"+i.Name) {
		v.Edit = issuerPath(i.Name, "edit")
	}
	if !v.Hosted && !i.Implicit && c.rights.Can(issuerAction+"delete", issuersScope+"/"+i.Name) {
		v.Delete = issuerPath(i.Name, "delete")
	}
	title := i.Name
	if i.Implicit {
		title = i.URL
	}
	return c.show(page{template: "issuer", title: title, above: "Issuer", trail: issuerTrail(i.Name)[:1], side: issuerSide(i.Name, onOverview), done: map[string]string{
		"added":   "The issuer was registered.",
		"changed": "The issuer was changed. It counts from the next request on.",
	}[c.query("done")]}, v)
}

// mostClustersNamed is how many clusters a page names.
const mostClustersNamed = 20

// clustersWith lists clusters that have an issuer, as far as the caller may see them.
func (c *call) clustersWith(url string) ([]directory.Cluster, error) {
	found, err := c.clustersLike(url, mostClustersNamed)
	var having []directory.Cluster
	for _, k := range found {
		if k.Issuer.URL == url {
			having = append(having, k)
		}
	}
	return having, err
}

// certificatesIn reads certificates that were checked when they were stored.
func certificatesIn(text string, now time.Time) []certificateFact {
	var facts []certificateFact
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return facts
		}
		if k, err := x509.ParseCertificate(block.Bytes); err == nil {
			facts = append(facts, certificateFact{cmp.Or(k.Subject.String(), "without a name"), k.NotAfter, now.After(k.NotAfter)})
		}
	}
}

// lookAtIssuer asks the issuer what it publishes.
func (c *call) lookAtIssuer() error {
	i, err := c.findIssuer()
	if err != nil {
		return err
	}
	if i.KeySource == directory.UploadedKeys {
		return c.redirect(issuerPath(i.Name))
	}
	return c.showIssuer(i, c.check(exchange.Source(i)))
}

// lookedAtIssuer is where a browser lands that loads the answer to a check again.
func (c *call) lookedAtIssuer() error { return c.redirect(issuerPath(c.value("name"))) }

type deleteIssuerView struct {
	Name, URL    string
	Uploaded     bool
	Hosts        *link // the cluster that it goes with
	Credentials  string
	Some         []trustingRow
	All          string
	Clusters     []link
	Action, Back string
}

func (c *call) confirmDeleteIssuer() error {
	i, err := c.findIssuer()
	if err != nil {
		return err
	}
	v := deleteIssuerView{Name: i.Name, URL: i.URL, Uploaded: i.KeySource == directory.UploadedKeys, Action: issuerPath(i.Name, "delete"), Back: issuerPath(i.Name)}
	clusters, err := c.clustersWith(i.URL)
	if err != nil {
		return err
	}
	for _, k := range clusters {
		v.Clusters = append(v.Clusters, link{Text: k.Name, To: clusterPath(k.ClusterRef)})
		if k.Issuer.Keys == directory.HostedKeys {
			v.Hosts = &link{Text: k.Name, To: clusterPath(k.ClusterRef)}
		}
	}
	trusting, err := c.Directory.TrustingCredentials(c, c.caller, i.URL, nil, directory.Page{Limit: someTrusting, Count: true, Most: mostShown})
	if err != nil {
		return err
	}
	if v.Some = trustingRows(trusting.Items); trusting.Total > 0 {
		v.Credentials, v.All = counted(trusting.Tally(), "federated credential", "federated credentials"), issuerPath(i.Name, "credentials")
	}
	return c.show(page{template: "issuer-delete", title: "Delete " + i.Name + "?", above: "Issuer", trail: issuerTrail(i.Name), side: issuerSide(i.Name, "")}, v)
}

func (c *call) deleteIssuer() error {
	if err := c.Directory.RemoveIssuer(c, c.caller, c.value("name")); err != nil {
		return err
	}
	return c.redirect(done(issuersPath, "deleted"))
}
