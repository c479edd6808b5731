package directory_test

import (
	"context"
	"reflect"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
)

// methods are those of a Directory that take a caller.
func methods() []string {
	var list []string
	t := reflect.TypeFor[*directory.Directory]()
	for i := range t.NumMethod() {
		m := t.Method(i)
		if m.Type.NumIn() > 2 && m.Type.In(1) == reflect.TypeFor[context.Context]() && m.Type.In(2) == reflect.TypeFor[directory.Caller]() {
			list = append(list, m.Name)
		}
	}
	slices.Sort(list)
	return list
}

// possessions are one of everything, in one tenant.
type possessions struct {
	client       client
	subscription string
	identity     directory.Identity
	credential   directory.Credential
	ofIdentity   directory.Credential
	secret       directory.Secret

	principalSecret directory.Secret
	grant           directory.Grant
	assignment      directory.RoleAssignment
	issuer          directory.Issuer
	cluster         directory.Cluster
	session         directory.PortalSession
	deleted         client
	former, gone    client // whose service principals are deleted
}

func (w *world) possess() possessions {
	w.Helper()
	var p possessions
	var err error
	p.subscription = w.subscription
	p.client = w.client("client")
	w.ok(w.dir.AddOwner(w.ctx(), w.system, p.client.ref(), p.client.PrincipalID))
	w.group("group")
	p.identity = w.identity("group", "identity")
	p.credential = w.credential(p.client.parent(), "credential")
	p.ofIdentity = w.credential(parentIdentity(p.identity), "credential")
	p.secret, _, err = w.dir.AddSecret(w.ctx(), w.system, p.client.ref(), directory.NewSecret{})
	w.ok(err)
	p.principalSecret, _, err = w.dir.AddPrincipalSecret(w.ctx(), w.system, p.client.principalRef(), directory.NewSecret{})
	w.ok(err)
	p.grant = w.grant(p.client.PrincipalID, "Application.Read.All")
	p.assignment = w.assign(p.client.PrincipalID, roles.Reader, "/subscriptions/"+w.subscription+"/resourceGroups/group")
	p.issuer, _, err = w.dir.PutIssuer(w.ctx(), w.system, directory.Issuer{Name: "issuer", URL: "https://" + w.tenant.ID + ".example"})
	w.ok(err)
	p.cluster = w.cluster("group", "cluster", &directory.ClusterIssuerSpec{Keys: directory.HostedKeys})
	p.session = w.redeem(p.client.Caller)
	p.deleted = w.client("deleted")
	w.ok(w.dir.DeleteApplication(w.ctx(), w.system, p.deleted.ref()))
	for _, c := range []*client{&p.former, &p.gone} {
		*c = w.client("without a service principal")
		w.ok(w.dir.DeleteServicePrincipal(w.ctx(), w.system, c.principalRef()))
	}
	return p
}

// call is one way to use a method on what a tenant possesses.
type call struct {
	method string
	do     func(c directory.Caller) error
}

// calls use every method on what p holds. own says what the caller's own
// tenant has: with it, what the method is asked for is p's and nothing else.
func (w *world) calls(p, own possessions) []call {
	app, sp := p.client.ref(), p.client.principalRef()
	ofApp, ofIdentity := p.client.parent(), parentIdentity(p.identity)
	scope := p.assignment.Scope
	return []call{
		{"AddCredential", func(c directory.Caller) error { return none(w.dir.AddCredential(w.ctx(), c, ofApp, spec("new"))) }},
		{"AddCredential", func(c directory.Caller) error { return none(w.dir.AddCredential(w.ctx(), c, ofIdentity, spec("new"))) }},
		{"AddGrant", func(c directory.Caller) error {
			return none(w.dir.AddGrant(w.ctx(), c, directory.Grant{PrincipalID: p.client.PrincipalID, ResourceID: own.grant.ResourceID, AppRoleID: permissionID("Directory.Read.All")}))
		}},
		{"AddGrant", func(c directory.Caller) error {
			return none(w.dir.AddGrant(w.ctx(), c, directory.Grant{PrincipalID: own.identity.PrincipalID, ResourceID: p.grant.ResourceID, AppRoleID: permissionID("Directory.Read.All")}))
		}},
		{"AddOwner", func(c directory.Caller) error { return w.dir.AddOwner(w.ctx(), c, app, own.identity.PrincipalID) }},
		{"AddOwner", func(c directory.Caller) error {
			return w.dir.AddOwner(w.ctx(), c, own.client.ref(), p.identity.PrincipalID)
		}},
		{"AddPrincipalOwner", func(c directory.Caller) error {
			return w.dir.AddPrincipalOwner(w.ctx(), c, sp, own.identity.PrincipalID)
		}},
		{"AddPrincipalOwner", func(c directory.Caller) error {
			return w.dir.AddPrincipalOwner(w.ctx(), c, own.client.principalRef(), p.identity.PrincipalID)
		}},
		{"AddPrincipalSecret", func(c directory.Caller) error {
			_, _, err := w.dir.AddPrincipalSecret(w.ctx(), c, sp, directory.NewSecret{})
			return err
		}},
		{"AddRoleAssignment", func(c directory.Caller) error {
			return none(w.dir.AddRoleAssignment(w.ctx(), c, directory.RoleAssignment{Name: uuid.NewString(), Scope: "/", DefinitionID: roles.Contributor, PrincipalID: p.client.PrincipalID}))
		}},
		{"AddRoleAssignment", func(c directory.Caller) error {
			return none(w.dir.AddRoleAssignment(w.ctx(), c, directory.RoleAssignment{Name: uuid.NewString(), Scope: scope, DefinitionID: roles.Contributor, PrincipalID: own.client.PrincipalID}))
		}},
		{"AddSecret", func(c directory.Caller) error {
			_, _, err := w.dir.AddSecret(w.ctx(), c, app, directory.NewSecret{})
			return err
		}},
		{"Application", func(c directory.Caller) error { return none(w.dir.Application(w.ctx(), c, app)) }},
		{"Application", func(c directory.Caller) error {
			return none(w.dir.Application(w.ctx(), c, directory.Ref{AppID: p.client.AppID}))
		}},
		{"Cluster", func(c directory.Caller) error { return none(w.dir.Cluster(w.ctx(), c, p.cluster.ClusterRef)) }},
		{"Clusters", func(c directory.Caller) error {
			return none(w.dir.Clusters(w.ctx(), c, p.subscription, "", directory.Page{}))
		}},
		{"Clusters", func(c directory.Caller) error {
			return none(w.dir.Clusters(w.ctx(), c, p.subscription, "group", directory.Page{}))
		}},
		{"CreateServicePrincipal", func(c directory.Caller) error {
			return none(w.dir.CreateServicePrincipal(w.ctx(), c, directory.NewPrincipal{AppID: p.client.AppID}))
		}},
		{"Credential", func(c directory.Caller) error { return none(w.dir.Credential(w.ctx(), c, ofApp, p.credential.ID)) }},
		{"Credential", func(c directory.Caller) error {
			return none(w.dir.Credential(w.ctx(), c, own.client.parent(), p.credential.ID))
		}},
		{"Credential", func(c directory.Caller) error { return none(w.dir.Credential(w.ctx(), c, ofIdentity, "credential")) }},
		{"CredentialByID", func(c directory.Caller) error {
			_, _, err := w.dir.CredentialByID(w.ctx(), c, p.credential.ID)
			return err
		}},
		{"Credentials", func(c directory.Caller) error {
			return none(w.dir.Credentials(w.ctx(), c, ofApp, directory.Page{}))
		}},
		{"Credentials", func(c directory.Caller) error {
			return none(w.dir.Credentials(w.ctx(), c, ofIdentity, directory.Page{}))
		}},
		{"MayChangeApplication", func(c directory.Caller) error { return none(w.dir.MayChangeApplication(w.ctx(), c, app)) }},
		{"MayWriteCredentials", func(c directory.Caller) error { return none(w.dir.MayWriteCredentials(w.ctx(), c, ofApp)) }},
		{"MayWriteCredentials", func(c directory.Caller) error { return none(w.dir.MayWriteCredentials(w.ctx(), c, ofIdentity)) }},
		{"Grants", func(c directory.Caller) error { return none(w.dir.Grants(w.ctx(), c, sp)) }},
		{"GrantsOf", func(c directory.Caller) error { return none(w.dir.GrantsOf(w.ctx(), c, sp)) }},
		{"Group", func(c directory.Caller) error { return none(w.dir.Group(w.ctx(), c, p.subscription, "group")) }},
		{"Groups", func(c directory.Caller) error {
			return none(w.dir.Groups(w.ctx(), c, p.subscription, directory.Page{}))
		}},
		{"Identities", func(c directory.Caller) error {
			return none(w.dir.Identities(w.ctx(), c, p.subscription, "", directory.Page{}))
		}},
		{"Identities", func(c directory.Caller) error {
			return none(w.dir.Identities(w.ctx(), c, p.subscription, "group", directory.Page{}))
		}},
		{"Identity", func(c directory.Caller) error { return none(w.dir.Identity(w.ctx(), c, p.identity.IdentityRef)) }},
		{"Owners", func(c directory.Caller) error { return none(w.dir.Owners(w.ctx(), c, app)) }},
		{"PrincipalOwners", func(c directory.Caller) error { return none(w.dir.PrincipalOwners(w.ctx(), c, sp)) }},
		{"PutCluster", func(c directory.Caller) error {
			_, _, err := w.dir.PutCluster(w.ctx(), c, directory.ClusterSpec{ClusterRef: p.cluster.ClusterRef, Location: location, Issuer: &directory.ClusterIssuerSpec{}})
			return err
		}},
		{"PutCredential", func(c directory.Caller) error {
			_, _, err := w.dir.PutCredential(w.ctx(), c, ofApp, spec("credential"))
			return err
		}},
		{"PutCredential", func(c directory.Caller) error {
			_, _, err := w.dir.PutCredential(w.ctx(), c, ofIdentity, spec("credential"))
			return err
		}},
		{"PutGroup", func(c directory.Caller) error {
			_, _, err := w.dir.PutGroup(w.ctx(), c, directory.Group{SubscriptionID: p.subscription, Name: "group", Location: location})
			return err
		}},
		{"PutIdentity", func(c directory.Caller) error {
			m := w.newIdentity("group", "identity")
			m.SubscriptionID = p.subscription
			_, _, err := w.dir.PutIdentity(w.ctx(), c, m)
			return err
		}},
		{"Namespaces", func(c directory.Caller) error {
			_, _, err := w.dir.Namespaces(w.ctx(), c, p.cluster.ClusterRef, directory.Page{})
			return err
		}},
		{"ServiceAccounts", func(c directory.Caller) error {
			_, _, err := w.dir.ServiceAccounts(w.ctx(), c, p.cluster.ClusterRef, "", directory.Page{})
			return err
		}},
		{"ReportServiceAccounts", func(c directory.Caller) error {
			return none(w.dir.ReportServiceAccounts(w.ctx(), c, p.cluster.ClusterRef, accounts("pets/cat")))
		}},
		{"RoleAssignment", func(c directory.Caller) error {
			return none(w.dir.RoleAssignment(w.ctx(), c, scope, p.assignment.Name))
		}},
		{"ServicePrincipal", func(c directory.Caller) error { return none(w.dir.ServicePrincipal(w.ctx(), c, sp)) }},
		{"ServicePrincipal", func(c directory.Caller) error {
			return none(w.dir.ServicePrincipal(w.ctx(), c, directory.Ref{AppID: p.identity.ClientID}))
		}},
		{"SetClusterKeys", func(c directory.Caller) error {
			return none(w.dir.SetClusterKeys(w.ctx(), c, p.cluster.ClusterRef, keySet))
		}},
		{"Subscription", func(c directory.Caller) error { return none(w.dir.Subscription(w.ctx(), c, p.subscription)) }},
		{"UpdateApplication", func(c directory.Caller) error {
			return none(w.dir.UpdateApplication(w.ctx(), c, app, func(*directory.Application) error { return nil }))
		}},
		{"UpdateCluster", func(c directory.Caller) error {
			return none(w.dir.UpdateCluster(w.ctx(), c, p.cluster.ClusterRef, nil))
		}},
		{"UpdateCredential", func(c directory.Caller) error {
			_, _, err := w.dir.UpdateCredential(w.ctx(), c, ofApp, p.credential.ID, directory.CredentialEdit{}, false)
			return err
		}},
		{"UpdateCredential", func(c directory.Caller) error {
			_, _, err := w.dir.UpdateCredential(w.ctx(), c, own.client.parent(), p.credential.ID, directory.CredentialEdit{}, false)
			return err
		}},
		{"UpdateGroup", func(c directory.Caller) error {
			return none(w.dir.UpdateGroup(w.ctx(), c, p.subscription, "group", nil))
		}},
		{"UpdateIdentity", func(c directory.Caller) error {
			return none(w.dir.UpdateIdentity(w.ctx(), c, p.identity.IdentityRef, directory.IdentityEdit{}))
		}},
		{"UpdateServicePrincipal", func(c directory.Caller) error {
			return w.dir.UpdateServicePrincipal(w.ctx(), c, sp, directory.PrincipalEdit{Enabled: ptr(true)})
		}},

		// From here on things go away.
		{"EndPortalSession", func(c directory.Caller) error { return w.dir.EndPortalSession(w.ctx(), c, p.session.ID) }},
		{"RemoveCredential", func(c directory.Caller) error {
			return w.dir.RemoveCredential(w.ctx(), c, own.client.parent(), p.credential.ID)
		}},
		{"RemoveCredential", func(c directory.Caller) error { return w.dir.RemoveCredential(w.ctx(), c, ofIdentity, p.ofIdentity.ID) }},
		{"RemoveGrant", func(c directory.Caller) error { return w.dir.RemoveGrant(w.ctx(), c, p.client.PrincipalID, p.grant.ID) }},
		{"RemoveOwner", func(c directory.Caller) error { return w.dir.RemoveOwner(w.ctx(), c, app, p.client.PrincipalID) }},
		{"RemovePrincipalOwner", func(c directory.Caller) error {
			return w.dir.RemovePrincipalOwner(w.ctx(), c, sp, own.identity.PrincipalID)
		}},
		{"RemoveRoleAssignment", func(c directory.Caller) error {
			return none(w.dir.RemoveRoleAssignment(w.ctx(), c, scope, p.assignment.Name))
		}},
		{"RemoveSecret", func(c directory.Caller) error { return w.dir.RemoveSecret(w.ctx(), c, own.client.ref(), p.secret.ID) }},
		{"RemovePrincipalSecret", func(c directory.Caller) error {
			return w.dir.RemovePrincipalSecret(w.ctx(), c, own.client.principalRef(), p.principalSecret.ID)
		}},
		{"DeleteCluster", func(c directory.Caller) error { return w.dir.DeleteCluster(w.ctx(), c, p.cluster.ClusterRef) }},
		{"DeleteIdentity", func(c directory.Caller) error { return w.dir.DeleteIdentity(w.ctx(), c, p.identity.IdentityRef) }},
		{"DeleteGroup", func(c directory.Caller) error { return w.dir.DeleteGroup(w.ctx(), c, p.subscription, "group") }},
		{"DeleteServicePrincipal", func(c directory.Caller) error { return w.dir.DeleteServicePrincipal(w.ctx(), c, sp) }},
		{"DeleteApplication", func(c directory.Caller) error { return w.dir.DeleteApplication(w.ctx(), c, app) }},
		{"RestoreApplication", func(c directory.Caller) error { return none(w.dir.RestoreApplication(w.ctx(), c, p.deleted.app.ID)) }},
		{"PurgeApplication", func(c directory.Caller) error { return w.dir.PurgeApplication(w.ctx(), c, p.client.app.ID) }},
		{"RestoreServicePrincipal", func(c directory.Caller) error {
			return none(w.dir.RestoreServicePrincipal(w.ctx(), c, p.former.PrincipalID))
		}},
		{"PurgeServicePrincipal", func(c directory.Caller) error { return w.dir.PurgeServicePrincipal(w.ctx(), c, p.gone.PrincipalID) }},
	}
}

// narrow are the methods that are asked for nothing by an id: what they answer
// or change is the caller's tenant's, which TestTenancyOfLists asks of them.
var narrow = []string{
	"AllRoleAssignments", "Applications", "Counts", "CreateApplication", "CreateTenant", "CredentialCounts", "DeletedApplications", "DeletedServicePrincipals", "Events", "Issuer", "Issuers", "MakePortalLink", "OpenPortalSession", "Permit", "Policy", "PortalSessions", "PrincipalNames", "PutIssuer", "RemoveIssuer",
	"Rights", "RoleAssignments", "ServicePrincipals", "SetPolicy", "Subscriptions", "Tenants", "TrustingCredentials",
}

// TestTenancy uses every method with another tenant's ids, as its own tenant's
// administrator and as the service itself.
func TestTenancy(t *testing.T) {
	each(t, func(w *world) {
		f, otherAdmin := w.otherTenant()
		theirs := *w
		theirs.tenant, theirs.subscription, theirs.founded, theirs.admin, theirs.system = f.Tenant, f.SubscriptionID, f, otherAdmin, directory.System(f.Tenant.ID, "test")
		a, b := w.possess(), theirs.possess()

		covered := slices.Clone(narrow)
		for _, c := range w.calls(b, a) {
			covered = append(covered, c.method)
			for name, caller := range map[string]directory.Caller{"administrator": w.admin, "system": w.system} {
				before := w.state()
				switch kind := directory.Kind(kindOf(c.do(caller))); kind {
				case directory.NotFound, directory.Forbidden:
				case directory.Invalid: // says that the client id is nobody's
					if c.method != "CreateServicePrincipal" {
						w.Errorf("%s by %s: got %s", c.method, name, kind)
					}
				default:
					w.Errorf("%s by %s: got %s", c.method, name, kind)
				}
				if after := w.state(); after != before {
					w.Errorf("%s by %s changed something:\n%s\n%s", c.method, name, before, after)
				}
			}
		}
		slices.Sort(covered)
		if got := slices.Compact(covered); !slices.Equal(got, methods()) {
			w.Errorf("the methods are\n%v and the test knows\n%v", methods(), got)
		}
		// The same calls are right where they belong: it is the tenant that they fail for.
		for _, c := range theirs.calls(b, b) {
			err := c.do(otherAdmin)
			switch kind := kindOf(err); {
			case kind == "ok", kind == string(directory.Exists), kind == string(directory.NotFound) && c.method == "PurgeApplication":
			default:
				w.Errorf("%s where it belongs: got %v", c.method, err)
			}
		}
	})
}

// found is how many things a list has, or -1.
func found[T any](p directory.Paged[T], err error) int {
	if err != nil {
		return -1
	}
	return len(p.Items)
}

func TestTenancyOfLists(t *testing.T) {
	each(t, func(w *world) {
		f, otherAdmin := w.otherTenant()
		theirs := *w
		theirs.tenant, theirs.subscription, theirs.founded, theirs.admin, theirs.system = f.Tenant, f.SubscriptionID, f, otherAdmin, directory.System(f.Tenant.ID, "test")
		w.possess()
		b := theirs.possess()
		for _, c := range []directory.Caller{w.admin, w.system} {
			apps, err := w.dir.Applications(w.ctx(), c, directory.Filter{}, directory.Page{})
			w.ok(err)
			gone, err := w.dir.DeletedApplications(w.ctx(), c, directory.Filter{}, directory.Page{})
			w.ok(err)
			for _, a := range slices.Concat(apps.Items, gone.Items) {
				if a.TenantID != w.tenant.ID {
					w.Errorf("applications: %+v", a)
				}
			}
			sps, err := w.dir.ServicePrincipals(w.ctx(), c, directory.Filter{}, directory.Page{})
			w.ok(err)
			for _, p := range sps.Items {
				if p.TenantID != w.tenant.ID {
					w.Errorf("service principals: %+v", p)
				}
			}
			issuers, err := w.dir.Issuers(w.ctx(), c, directory.Page{})
			w.ok(err)
			for _, i := range issuers.Items {
				if i.TenantID != w.tenant.ID {
					w.Errorf("issuers: %+v", i)
				}
			}
			assignments, err := w.dir.RoleAssignments(w.ctx(), c, "/", directory.AssignmentFilter{})
			w.ok(err)
			for _, a := range assignments {
				if a.Name == b.assignment.Name {
					w.Errorf("role assignments: %+v", a)
				}
			}
			everywhere, err := w.dir.AllRoleAssignments(w.ctx(), c, "", directory.AssignmentFilter{}, directory.Page{})
			w.ok(err)
			if len(everywhere.Items) != len(assignments) {
				w.Errorf("all role assignments: %+v", everywhere.Items)
			}
			trusting, err := w.dir.TrustingCredentials(w.ctx(), c, issuerURL, nil, directory.Page{})
			w.ok(err)
			for _, f := range trusting.Items {
				if f.ID == b.credential.ID {
					w.Errorf("trusting credentials: %+v", f)
				}
			}
			if n, err := w.dir.CredentialCounts(w.ctx(), c, []string{b.client.app.ID}); err != nil || len(n) != 0 {
				w.Errorf("credential counts: %v, %v", n, err)
			}
			counts, err := w.dir.Counts(w.ctx(), c)
			w.ok(err)
			if counts.Applications.N != len(apps.Items) || counts.Identities.N != 1 || counts.Clusters.N != 1 || counts.Credentials.N != 2 {
				w.Errorf("counts: %+v of %d applications", counts, len(apps.Items))
			}
			known, err := w.dir.PrincipalNames(w.ctx(), c, []string{b.client.PrincipalID, b.identity.PrincipalID, w.admin.PrincipalID})
			w.ok(err)
			if len(known) != 1 || known[w.admin.PrincipalID] == "" {
				w.Errorf("names of principals: %v", known)
			}
			for kind, n := range map[string]int{
				"groups": found(w.dir.Groups(w.ctx(), c, "", directory.Page{})), "identities": found(w.dir.Identities(w.ctx(), c, "", "", directory.Page{})), "clusters": found(w.dir.Clusters(w.ctx(), c, "", "", directory.Page{})),
			} {
				if n != 1 {
					w.Errorf("%d %s of the tenant", n, kind)
				}
			}
			subscriptions, err := w.dir.Subscriptions(w.ctx(), c)
			w.ok(err)
			if len(subscriptions) != 1 || subscriptions[0].ID != w.subscription {
				w.Errorf("subscriptions: %+v", subscriptions)
			}
			events, err := w.dir.Events(w.ctx(), c, directory.EventFilter{}, directory.Page{Limit: directory.MaxPage})
			w.ok(err)
			for _, e := range events.Items {
				if e.TargetID == b.credential.ID {
					w.Errorf("events: %+v", e)
				}
			}
			sessions, err := w.dir.PortalSessions(w.ctx(), c)
			w.ok(err)
			for _, s := range sessions {
				if s.Caller.TenantID != w.tenant.ID {
					w.Errorf("sessions of the portal: %+v", s)
				}
			}
			for _, filter := range []directory.Filter{{ID: &b.client.app.ID}, {AppID: &b.client.AppID}, {IdentifierURI: &b.client.AppID}} {
				apps, err := w.dir.Applications(w.ctx(), c, filter, directory.Page{})
				w.ok(err)
				sps, err := w.dir.ServicePrincipals(w.ctx(), c, filter, directory.Page{})
				w.ok(err)
				if len(apps.Items)+len(sps.Items) > 0 {
					w.Errorf("filtered: %+v %+v", apps.Items, sps.Items)
				}
			}
		}
		// Names are each tenant's own.
		mine, err := w.dir.Issuer(w.ctx(), w.admin, "issuer")
		w.ok(err)
		_, _, err = w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: "issuer", URL: mine.URL, KeySource: directory.UploadedKeys, KeySet: keySet})
		w.ok(err)
		w.ok(w.dir.RemoveIssuer(w.ctx(), w.admin, "issuer"))
		still, err := w.dir.Issuer(w.ctx(), otherAdmin, "issuer")
		w.ok(err)
		if still.Revision != b.issuer.Revision || still.KeySource != directory.DiscoveredKeys {
			w.Errorf("the other tenant's issuer became %+v", still)
		}
		w.limit(7)
		p, err := w.dir.Policy(w.ctx(), otherAdmin)
		w.ok(err)
		if p.MaxCredentials != credential.DefaultLimit {
			w.Errorf("the other tenant's policy became %+v", p)
		}
		for _, name := range []string{"unique"} {
			for _, c := range []directory.Caller{w.admin, otherAdmin} {
				_, err := w.dir.CreateApplication(w.ctx(), c, directory.Application{DisplayName: name, UniqueName: name, IdentifierURIs: []string{"api://" + name}})
				w.ok(err)
			}
		}
		_, err = w.dir.LookupResource(w.ctx(), w.tenant.ID, w.admin.PrincipalID, b.client.AppID)
		w.kind(err, directory.NotFound)
	})
}
