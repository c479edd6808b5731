package portal

import (
	"slices"
	"time"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/signin"
)

// The pages of federated credentials are the same for the two kinds of object
// that have them.
var credentialPages = slices.Concat(
	credentialRoutes(applicationsPath+"/{id}/credentials"),
	credentialRoutes(groupsPath+"/{sub}/{group}/identities/{name}/credentials"),
	[]route{{"POST " + liveCheckPath, (*call).liveCheck, false}},
)

func credentialRoutes(at string) []route {
	return []route{
		{"GET " + at, (*call).credentials, false},
		{"GET " + at + "/new", (*call).newCredential, false},
		{"POST " + at + "/new", (*call).addCredential, false},
		{"GET " + at + "/{cred}", (*call).credential, false},
		{"POST " + at + "/{cred}", (*call).updateCredential, false},
		{"GET " + at + "/{cred}/text", (*call).credentialText, false},
		{"GET " + at + "/{cred}/delete", (*call).confirmDeleteCredential, false},
		{"POST " + at + "/{cred}/delete", (*call).deleteCredential, false},
	}
}

// holder is whose credentials a page is about.
type holder struct {
	Kind                  credential.ParentKind
	DisplayName, ClientID string

	application directory.Application // or
	identity    directory.Identity
}

// holder reads the application or managed identity that value names by the
// parts of a page's path.
func (c *call) holder(value func(string) string) (holder, error) {
	if id := value("id"); id != "" {
		app, err := c.Directory.Application(c, c.caller, directory.Ref{ID: id})
		return holder{Kind: credential.Application, DisplayName: app.DisplayName, ClientID: app.AppID, application: app}, err
	}
	m, err := c.Directory.Identity(c, c.caller, directory.IdentityRef{SubscriptionID: value("sub"), Group: value("group"), Name: value("name")})
	return holder{Kind: credential.ManagedIdentity, DisplayName: m.Name, ClientID: m.ClientID, identity: m}, err
}

func (h holder) isIdentity() bool { return h.Kind == credential.ManagedIdentity }

func (h holder) parent() directory.Parent {
	if h.isIdentity() {
		return directory.Parent{Identity: &h.identity.IdentityRef}
	}
	return directory.Parent{Application: &directory.Ref{ID: h.application.ID}}
}

// parts name the holder in a form, as holder reads it.
func (h holder) parts() []part {
	if h.isIdentity() {
		return []part{{"sub", h.identity.SubscriptionID}, {"group", h.identity.Group}, {"name", h.identity.Name}}
	}
	return []part{{"id", h.application.ID}}
}

type part struct{ Name, Value string }

// path is the path of the holder's credentials, or of a page below it.
func (h holder) path(more ...string) string {
	more = append([]string{"credentials"}, more...)
	if h.isIdentity() {
		return identityPath(h.identity.IdentityRef, more...)
	}
	return applicationPath(h.application.ID, more...)
}

// noun is what the holder is called in texts.
func (h holder) noun() string {
	if h.isIdentity() {
		return "managed identity"
	}
	return "application"
}

// listTitle is the title of the page that lists the credentials.
func (h holder) listTitle() string {
	if h.isIdentity() {
		return "Federated credentials"
	}
	return "Certificates & secrets"
}

// trail is the way to a page below the list of credentials.
func (h holder) trail(more ...crumb) []crumb {
	trail := applicationTrail(h.application)
	if h.isIdentity() {
		trail = identityTrail(h.identity.IdentityRef)
	}
	return append(append(trail, crumb{h.listTitle(), h.path()}), more...)
}

// trustedCredential is a credential as a list shows it.
type trustedCredential struct {
	ID, Name, Issuer, Subject, Audience, Description string
	Cluster, ClusterTo                               string // the registered cluster whose issuer it is
	Account                                          string // NAMESPACE/NAME, where the subject is a service account
	Usual                                            bool   // the audience is the usual one
	Used                                             time.Time
	Open, Delete, Test                               string

	cluster directory.ClusterRef
}

type credentialsView struct {
	List        *listing
	Name        column
	Tabs        []link
	Noun        string
	Add         string
	MayWrite    bool
	Full        bool
	Quota       quota
	Settings    bool
	Credentials []trustedCredential
}

// credentials is the list.
func (c *call) credentials() error {
	h, err := c.holder(c.value)
	if err != nil {
		return err
	}
	if !h.isIdentity() {
		switch c.query("tab") {
		case secretsTab:
			return c.secrets(h.application)
		case certificatesTab:
			return c.certificates(h.application)
		}
	}
	l := c.list("q", "sort")
	some, ok := l.byName()
	if !ok {
		return c.redirect(l.With("sort", ""))
	}
	some.Count = true
	found, err := c.Directory.Credentials(c, c.caller, h.parent(), some)
	if err != nil {
		return err
	}
	q, err := c.credentialQuota(h)
	if err != nil {
		return err
	}
	may, err := c.Directory.MayWriteCredentials(c, c.caller, h.parent())
	if err != nil {
		return err
	}
	v := credentialsView{List: l, Name: l.Name("Name"), Noun: h.noun(), Add: h.path("new"), MayWrite: may, Quota: q, Full: q.Used >= q.Limit, Settings: c.rights.Can("Entente.Federation/policies/write", "/")}
	if v.Credentials, err = c.trusted(h, fill(l, found)); err != nil {
		return err
	}
	p := page{template: "credentials", title: h.listTitle(), wide: true}
	p.done = map[string]string{"deleted": "The credential was deleted. Its tokens are refused from now on."}[c.query("done")]
	if h.isIdentity() {
		p.side = c.identitySide(h.identity, onCredentials)
		p.trail = identityTrail(h.identity.IdentityRef)
	} else {
		p.side = c.applicationSide(h.application, onCredentials)
		p.trail = applicationTrail(h.application)
		if v.Tabs, err = c.credentialTabs(h.application, ""); err != nil {
			return err
		}
	}
	return c.show(p, v)
}

// credentialQuota is how many credentials the holder has, and may have.
func (c *call) credentialQuota(h holder) (quota, error) {
	n, err := c.Directory.Credentials(c, c.caller, h.parent(), directory.Page{Limit: 1, Count: true})
	if err != nil {
		return quota{}, err
	}
	t, err := c.Directory.LookupTenant(c, c.caller.TenantID)
	return quota{n.Total, t.MaxCredentials}, err
}

// trusted adds what people know credentials by.
func (c *call) trusted(h holder, all []directory.Credential) ([]trustedCredential, error) {
	var ids, issuers []string
	for _, f := range all {
		ids, issuers = append(ids, f.ID), append(issuers, f.Issuer)
	}
	used, err := c.SignIns.LastUsed(c, c.caller.TenantID, ids)
	if err != nil {
		return nil, err
	}
	clusters, err := c.clustersOf(issuers)
	if err != nil {
		return nil, err
	}
	out := make([]trustedCredential, len(all))
	for i, f := range all {
		out[i] = trustedCredential{
			ID: f.ID, Name: f.Name, Issuer: f.Issuer, Subject: f.Subject, Audience: f.Audience(), Description: f.Description,
			Usual: f.Audience() == credential.DefaultAudience, Used: used[f.ID],
			Open: h.path(f.ID), Delete: h.path(f.ID, "delete"), Test: testPath(h.ClientID) + "&credential=" + f.ID,
		}
		if namespace, name, ok := credential.ParseServiceAccountSubject(f.Subject); ok {
			out[i].Account = namespace + "/" + name
		}
		if cluster, ok := clusters[f.Issuer]; ok {
			out[i].Cluster, out[i].ClusterTo, out[i].cluster = cluster.Name, clusterPath(cluster.ClusterRef), cluster.ClusterRef
		}
	}
	return out, nil
}

// clustersOf finds the registered clusters of some issuers, as far as the caller
// may see them.
func (c *call) clustersOf(issuers []string) (map[string]directory.Cluster, error) {
	found := map[string]directory.Cluster{}
	slices.Sort(issuers)
	for _, url := range slices.Compact(issuers) {
		clusters, err := c.clustersLike(url, 10)
		if err != nil {
			return nil, err
		}
		for _, k := range clusters {
			if k.Issuer.URL == url {
				found[url] = k
			}
		}
	}
	return found, nil
}

// clustersLike lists the clusters that have an issuer and fit a search.
func (c *call) clustersLike(search string, most int) ([]directory.Cluster, error) {
	found, err := c.Directory.Clusters(c, c.caller, "", "", directory.Page{Limit: most, Search: search})
	if isForbidden(err) {
		return nil, nil
	}
	return slices.DeleteFunc(found.Items, func(k directory.Cluster) bool { return k.Issuer == nil || k.Issuer.URL == "" }), err
}

type deleteCredentialView struct {
	trustedCredential
	Noun, Holder string
	By           *signin.Record // the last sign-in, for those who may read them
	Action, Back string
}

func (c *call) confirmDeleteCredential() error {
	h, f, err := c.findCredential()
	if err != nil {
		return err
	}
	if may, err := c.Directory.MayWriteCredentials(c, c.caller, h.parent()); err != nil || !may {
		return errorOr(err, h.refusal())
	}
	v := deleteCredentialView{trustedCredential: f, Noun: h.noun(), Holder: h.DisplayName, Action: f.Delete, Back: h.path()}
	if c.signInsPath(h.ClientID) != "" {
		last, _, err := c.SignIns.List(c, signin.Query{TenantID: c.caller.TenantID, CredentialID: f.ID, Limit: 1})
		if err != nil {
			return err
		}
		if len(last) > 0 {
			v.By = &last[0]
		}
	}
	return c.show(page{template: "credential-delete", title: "Delete " + f.Name + "?", above: "Federated credential", trail: h.trail(crumb{f.Name, f.Open})}, v)
}

func (c *call) deleteCredential() error {
	h, err := c.holder(c.value)
	if err != nil {
		return err
	}
	if err := c.Directory.RemoveCredential(c, c.caller, h.parent(), c.value("cred")); err != nil {
		return err
	}
	return c.redirect(done(h.path(), "deleted"))
}

// findCredential reads the credential of the page's path.
func (c *call) findCredential() (holder, trustedCredential, error) {
	h, err := c.holder(c.value)
	if err != nil {
		return h, trustedCredential{}, err
	}
	f, err := c.Directory.Credential(c, c.caller, h.parent(), c.value("cred"))
	if err != nil {
		return h, trustedCredential{}, err
	}
	t, err := c.trusted(h, []directory.Credential{f})
	if err != nil {
		return h, trustedCredential{}, err
	}
	return h, t[0], nil
}

// refusal is for those who may not write the holder's credentials.
func (h holder) refusal() error {
	e := &directory.Error{Kind: directory.Forbidden, Object: directory.CredentialObject, Action: "applications/credentials/update"}
	if h.isIdentity() {
		e.Action, e.Scope = identityAction+"federatedIdentityCredentials/write", h.identity.ResourceID()
	}
	return e
}

func errorOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// spec is the credential as the rules know it.
func (t trustedCredential) spec() credential.Spec {
	return credential.Spec{Name: t.Name, Issuer: t.Issuer, Subject: t.Subject, Description: t.Description, Audiences: []string{t.Audience}}
}
