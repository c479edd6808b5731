package portal

import (
	"net/http"
	"strings"
	"time"

	"github.com/entente-id/entente/internal/directory"
)

var identityPages = []route{
	{"GET " + identitiesPath, (*call).identities, false},
	{"GET " + groupsPath + "/{sub}/{group}/new-identity", (*call).newIdentity, false},
	{"POST " + groupsPath + "/{sub}/{group}/new-identity", (*call).createIdentity, false},
	{"GET " + groupsPath + "/{sub}/{group}/identities/{name}", (*call).identity, false},
	{"GET " + groupsPath + "/{sub}/{group}/identities/{name}/settings", (*call).identitySettings, false},
	{"POST " + groupsPath + "/{sub}/{group}/identities/{name}/settings", (*call).changeIdentity, false},
	{"GET " + groupsPath + "/{sub}/{group}/identities/{name}/delete", (*call).confirmDeleteIdentity, false},
	{"POST " + groupsPath + "/{sub}/{group}/identities/{name}/delete", (*call).deleteIdentity, false},
}

// The pages of one managed identity, as identitySide knows them, besides onOverview and onCredentials.
const onSettings = "settings"

// The right to something on managed identities.
const identityAction = "Microsoft.ManagedIdentity/userAssignedIdentities/"

// identityPath is the path of a managed identity's page.
func identityPath(ref directory.IdentityRef, more ...string) string {
	return groupPath(ref.SubscriptionID, ref.Group, append([]string{"identities", ref.Name}, more...)...)
}

// identitySide are the pages of a managed identity.
func (c *call) identitySide(m directory.Identity, current string) []link {
	links := []link{
		{Text: "Overview", To: identityPath(m.IdentityRef), Current: current == onOverview},
		{Text: "Settings", To: identityPath(m.IdentityRef, "settings"), Current: current == onSettings},
		{Text: "Federated credentials", To: identityPath(m.IdentityRef, "credentials"), Current: current == onCredentials, Under: true},
		{Text: "Role assignments", To: rolesPath(m.PrincipalID)},
		{Text: "Test a token", To: testPath(m.ClientID)},
	}
	if to := c.signInsPath(m.ClientID); to != "" {
		links = append(links, link{Text: "Sign-ins", To: to})
	}
	return links
}

// identityTrail is the way to the pages of a managed identity.
func identityTrail(ref directory.IdentityRef) []crumb {
	return append(groupTrail(ref.SubscriptionID, ref.Group), crumb{ref.Name, identityPath(ref)})
}

// identityRef is the managed identity that the page's path names.
func (c *call) identityRef() directory.IdentityRef {
	return directory.IdentityRef{SubscriptionID: c.value("sub"), Group: c.value("group"), Name: c.value("name")}
}

// findIdentity reads the managed identity of the page's path.
func (c *call) findIdentity() (directory.Identity, error) {
	return c.Directory.Identity(c, c.caller, c.identityRef())
}

// identityOf reads the ARM id of a managed identity.
func identityOf(resourceID string) (directory.IdentityRef, bool) {
	s := strings.Split(resourceID, "/")
	if len(s) != 9 {
		return directory.IdentityRef{}, false
	}
	return directory.IdentityRef{SubscriptionID: s[2], Group: s[4], Name: s[8]}, true
}

type identityView struct {
	Name, ClientID, PrincipalID, TenantID string
	ResourceID, Group, GroupURL           string
	Subscription, Location                string
	Created                               time.Time
	Trust                                 trustView
	Counts                                []count
	Delete                                string // empty: the caller may not
}

func (c *call) identity() error {
	m, err := c.findIdentity()
	if err != nil {
		return err
	}
	ref := m.IdentityRef
	v := identityView{
		Name: m.Name, ClientID: m.ClientID, PrincipalID: m.PrincipalID, TenantID: m.TenantID, ResourceID: m.ResourceID(), Group: m.Group, GroupURL: groupPath(m.SubscriptionID, m.Group),
		Subscription: m.SubscriptionID, Location: m.Location, Created: m.CreatedAt,
	}
	if v.Trust, err = c.identityTrust(m); err != nil {
		return err
	}
	assignments, err := c.Directory.AllRoleAssignments(c, c.caller, "", directory.AssignmentFilter{PrincipalID: m.PrincipalID}, directory.Page{Limit: 1, Count: true, Most: mostShown})
	if err != nil {
		return err
	}
	v.Counts = append(v.Trust.counts(), count{tally(assignments.Tally()), "Role assignments", "", rolesPath(m.PrincipalID)})
	if c.rights.Can(identityAction+"delete", m.ResourceID()) {
		v.Delete = identityPath(ref, "delete")
	}
	return c.show(page{
		template: "identity", title: m.Name, above: "Managed identity", trail: identityTrail(ref)[:2], side: c.identitySide(m, onOverview),
		done: map[string]string{"created": "The managed identity was made. Add a federated credential to let a workload sign in as it."}[c.query("done")],
	}, v)
}

// mostShown is where pages stop to count.
const mostShown = 999

// identityTrust is trust, without what a caller who may see the identity alone may not see.
func (c *call) identityTrust(m directory.Identity) (trustView, error) {
	ref := m.IdentityRef
	parent := directory.Parent{Identity: &ref}
	v, err := c.trust(parent, m.ClientID, identityPath(ref, "credentials"))
	if isForbidden(err) {
		return trustView{Hidden: true, Test: testPath(m.ClientID), SignIns: c.signInsPath(m.ClientID)}, nil
	}
	if err != nil {
		return v, err
	}
	may, err := c.Directory.MayWriteCredentials(c, c.caller, parent)
	v.MayAdd = may && v.Credentials < v.Limit
	return v, err
}

type deleteIdentityView struct {
	Name, ClientID string
	Trust          trustView
	Errors         []string
	Action, Back   string
}

func (c *call) confirmDeleteIdentity() error {
	m, err := c.findIdentity()
	if err != nil {
		return err
	}
	if err := c.need(identityAction+"delete", m.ResourceID()); err != nil {
		return err
	}
	trust, err := c.identityTrust(m)
	if err != nil {
		return err
	}
	return c.show(page{template: "identity-delete", title: "Delete " + m.Name + "?", above: "Managed identity", trail: identityTrail(m.IdentityRef), side: c.identitySide(m, "")},
		deleteIdentityView{Name: m.Name, ClientID: m.ClientID, Trust: trust, Action: identityPath(m.IdentityRef, "delete"), Back: identityPath(m.IdentityRef)})
}

func (c *call) deleteIdentity() error {
	ref := c.identityRef()
	if err := c.Directory.DeleteIdentity(c, c.caller, ref); err != nil {
		return err
	}
	return c.redirect(done(groupPath(ref.SubscriptionID, ref.Group), "identity-deleted"))
}

type newIdentityView struct {
	Errors         []string
	Group          string
	Name, Location field
	Back           string
}

func (c *call) newIdentity() error {
	g, err := c.findGroup()
	if err != nil {
		return err
	}
	if err := c.need(identityAction+"write", g.Scope()); err != nil {
		return err
	}
	return c.showNewIdentity(g, http.StatusOK, newIdentityView{Location: field{Value: g.Location}})
}

func (c *call) showNewIdentity(g directory.Group, status int, v newIdentityView) error {
	v.Group, v.Back = g.Name, groupPath(g.SubscriptionID, g.Name)
	v.Name = field{Name: "name", Label: "Name", Value: c.field("name"), Hint: "3 to 128 letters, digits, - and _. It cannot be changed later.", Error: v.Name.Error, Max: 128, Required: true}
	v.Location = field{Name: "location", Label: "Location", Value: v.Location.Value, Hint: "A word that is shown with it; nothing depends on it.", Error: v.Location.Error, Max: 64, Required: true}
	return c.show(page{template: "identity-new", title: "Create a managed identity", status: status, trail: groupTrail(g.SubscriptionID, g.Name)}, v)
}

func (c *call) createIdentity() error {
	g, err := c.findGroup()
	if err != nil {
		return err
	}
	v := newIdentityView{Location: field{Value: c.field("location")}}
	m := directory.Identity{IdentityRef: directory.IdentityRef{SubscriptionID: g.SubscriptionID, Group: g.Name, Name: c.field("name")}, Location: c.field("location")}
	// PutIdentity changes the one of this name, which a page that creates must not.
	switch there, err := c.Directory.Identity(c, c.caller, m.IdentityRef); {
	case err == nil:
		v.Errors, v.Name.Error = []string{"Nothing was made. See the marked field."}, "The group has a managed identity "+there.Name+" already."
		return c.showNewIdentity(g, http.StatusConflict, v)
	case !isNotFound(err) && !isForbidden(err):
		return err
	}
	m, _, err = c.Directory.PutIdentity(c, c.caller, m)
	if refused, ok := refused(err); ok {
		v.Errors, v.Name.Error, v.Location.Error = []string{refused.text}, refused.at("name"), refused.at("location")
		return c.showNewIdentity(g, refused.status, v)
	}
	if err != nil {
		return err
	}
	return c.redirect(done(identityPath(m.IdentityRef), "created"))
}
