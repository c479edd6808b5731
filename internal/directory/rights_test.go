package directory_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
)

// TestRights asks every operation of every sort of caller.
func TestRights(t *testing.T) {
	each(t, func(w *world) {
		g := w.group("g")
		w.group("elsewhere")
		m := w.identity("g", "mine")
		sub := "/subscriptions/" + w.subscription

		callers := map[string]directory.Caller{"administrator": w.admin}
		for name, permission := range map[string]string{
			"app reader": "Application.Read.All", "app writer": "Application.ReadWrite.All", "dir reader": "Directory.Read.All", "dir writer": "Directory.ReadWrite.All",
			"owner": "Application.ReadWrite.OwnedBy", "not owner": "Application.ReadWrite.OwnedBy", "granter": "AppRoleAssignment.ReadWrite.All", "blind granter": "AppRoleAssignment.ReadWrite.All",
		} {
			callers[name] = w.client(name, permission).Caller
		}
		w.grant(callers["granter"].PrincipalID, "Application.Read.All")
		for name, at := range map[string][2]string{
			"root reader": {roles.Reader, "/"}, "root contributor": {roles.Contributor, "/"}, "root owner": {roles.Owner, "/"}, "access administrator": {roles.UserAccessAdministrator, "/"},
			"subscription contributor": {roles.Contributor, sub}, "group reader": {roles.Reader, g.Scope()}, "group contributor": {roles.Contributor, g.Scope()}, "group owner": {roles.Owner, g.Scope()},
			"identity contributor": {roles.ManagedIdentityContributor, g.Scope()}, "identity owner": {roles.Owner, m.ResourceID()},
			"owner elsewhere": {roles.Owner, sub + "/resourceGroups/elsewhere"}, "federation administrator": {roles.FederationAdministrator, "/"}, "federation reader": {roles.FederationReader, "/"},
			"reporter":             {roles.ClusterReporter, g.Scope()},
			"issuer administrator": {roles.FederationAdministrator, "/providers/Entente.Federation/issuers/prod"},
		} {
			callers[name] = w.holder(name, at[0], at[1]).Caller
		}
		nobody := w.client("nobody")
		callers["nobody"] = nobody.Caller
		keeper := w.holder("keeper of hosted", roles.FederationAdministrator, "/providers/Entente.Federation/issuers/hosted")
		w.assign(keeper.PrincipalID, roles.Reader, g.Scope()+"/providers/Microsoft.ContainerService/managedClusters/hosted")
		callers["keeper of hosted"] = keeper.Caller

		// Sorts of caller that have the same rights in many places.
		const (
			readers  = "administrator, app reader, app writer, dir reader, dir writer, owner, granter"
			writers  = "administrator, app writer, dir writer, owner"
			listers  = readers + ", not owner"
			creators = writers + ", not owner"

			groupReaders = "administrator, root reader, root contributor, root owner, access administrator, subscription contributor, group reader, group contributor, group owner"
			groupWriters = "administrator, root contributor, root owner, subscription contributor, group contributor, group owner"
			groupMakers  = "administrator, root contributor, root owner, subscription contributor"
			seesGroup    = groupReaders + ", identity contributor"
			readsID      = groupReaders + ", identity contributor, identity owner"
			writesID     = groupWriters + ", identity contributor, identity owner"
			assigners    = "administrator, root owner, access administrator, group owner"

			federators = "administrator, federation administrator"
		)

		var owned client // a fresh application of "owner" with a service principal, credential and secret
		var secret directory.Secret
		fresh := func() {
			w.Helper()
			owned = w.client("owned")
			w.ok(w.dir.AddOwner(w.ctx(), w.system, owned.ref(), callers["owner"].PrincipalID))
			w.credential(owned.parent(), "there")
			var err error
			secret, _, err = w.dir.AddSecret(w.ctx(), w.system, owned.ref(), directory.NewSecret{})
			w.ok(err)
		}
		deletedOwned := func() { fresh(); w.ok(w.dir.DeleteApplication(w.ctx(), w.system, owned.ref())) }
		deletedPrincipal := func() { fresh(); w.ok(w.dir.DeleteServicePrincipal(w.ctx(), w.system, owned.principalRef())) }
		freshIdentity := func() {
			w.group("g")
			m = w.identity("g", "mine")
			_, _, err := w.dir.PutCredential(w.ctx(), w.system, parentIdentity(m), spec("there"))
			w.ok(err)
		}
		var assigned directory.RoleAssignment
		var granted directory.Grant
		target := w.client("target")
		freshAssignment := func() { assigned = w.assign(target.PrincipalID, roles.Reader, g.Scope()) }
		freshIssuer := func() {
			_, created, err := w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: "prod", URL: "https://prod.example"})
			w.ok(err)
			if administers := callers["issuer administrator"].PrincipalID; created && w.rows("role_assignments", "principal_id = $1", administers) == 0 {
				w.assign(administers, roles.FederationAdministrator, "/providers/Entente.Federation/issuers/prod") // the last one's went with it
			}
		}
		nothing := func() {}
		fresh()
		freshIdentity()
		freshIssuer()
		sp := func() directory.Ref { return owned.principalRef() }

		for _, op := range []struct {
			name    string
			allowed string
			before  func() // what the operation needs, made new for everyone who may do it
			do      func(c directory.Caller) error
		}{
			{"list applications", listers, nothing, func(c directory.Caller) error {
				return none(w.dir.Applications(w.ctx(), c, directory.Filter{}, directory.Page{}))
			}},
			{"read an application", readers, nothing, func(c directory.Caller) error { return none(w.dir.Application(w.ctx(), c, owned.ref())) }},
			{"read owners", readers, nothing, func(c directory.Caller) error { return none(w.dir.Owners(w.ctx(), c, owned.ref())) }},
			{"read owners of a service principal", readers, nothing, func(c directory.Caller) error { return none(w.dir.PrincipalOwners(w.ctx(), c, sp())) }},
			{"list credentials", readers, nothing, func(c directory.Caller) error {
				return none(w.dir.Credentials(w.ctx(), c, owned.parent(), directory.Page{}))
			}},
			{"read a credential", readers, nothing, func(c directory.Caller) error { return none(w.dir.Credential(w.ctx(), c, owned.parent(), "there")) }},
			{"list service principals", listers, nothing, func(c directory.Caller) error {
				return none(w.dir.ServicePrincipals(w.ctx(), c, directory.Filter{}, directory.Page{}))
			}},
			{"read a service principal", readers, nothing, func(c directory.Caller) error { return none(w.dir.ServicePrincipal(w.ctx(), c, sp())) }},
			{"read grants", readers, nothing, func(c directory.Caller) error { return none(w.dir.Grants(w.ctx(), c, sp())) }},
			{"read grants on", readers, nothing, func(c directory.Caller) error { return none(w.dir.GrantsOf(w.ctx(), c, sp())) }},
			{"list deleted applications", listers, nothing, func(c directory.Caller) error {
				return none(w.dir.DeletedApplications(w.ctx(), c, directory.Filter{}, directory.Page{}))
			}},
			{"list deleted service principals", listers, nothing, func(c directory.Caller) error {
				return none(w.dir.DeletedServicePrincipals(w.ctx(), c, directory.Filter{}, directory.Page{}))
			}},
			{"create an application", creators, nothing, func(c directory.Caller) error {
				return none(w.dir.CreateApplication(w.ctx(), c, directory.Application{DisplayName: "made"}))
			}},
			{"update an application", writers, nothing, func(c directory.Caller) error {
				return none(w.dir.UpdateApplication(w.ctx(), c, owned.ref(), func(*directory.Application) error { return nil }))
			}},
			{"add a credential", writers, fresh, func(c directory.Caller) error {
				return none(w.dir.AddCredential(w.ctx(), c, owned.parent(), spec("new")))
			}},
			{"put a credential", writers, nothing, func(c directory.Caller) error {
				_, _, err := w.dir.PutCredential(w.ctx(), c, owned.parent(), spec("there"))
				return err
			}},
			{"update a credential", writers, nothing, func(c directory.Caller) error {
				_, _, err := w.dir.UpdateCredential(w.ctx(), c, owned.parent(), "there", directory.CredentialEdit{}, false)
				return err
			}},
			{"remove a credential", writers, fresh, func(c directory.Caller) error { return w.dir.RemoveCredential(w.ctx(), c, owned.parent(), "there") }},
			{"add a secret", writers, fresh, func(c directory.Caller) error {
				_, _, err := w.dir.AddSecret(w.ctx(), c, owned.ref(), directory.NewSecret{})
				return err
			}},
			{"remove a secret", writers, fresh, func(c directory.Caller) error { return w.dir.RemoveSecret(w.ctx(), c, owned.ref(), secret.ID) }},
			{"add an owner", writers, fresh, func(c directory.Caller) error { return w.dir.AddOwner(w.ctx(), c, owned.ref(), nobody.PrincipalID) }},
			{"remove an owner", writers, fresh, func(c directory.Caller) error {
				return w.dir.RemoveOwner(w.ctx(), c, owned.ref(), callers["owner"].PrincipalID)
			}},
			{"add an owner of a service principal", writers, fresh, func(c directory.Caller) error {
				return w.dir.AddPrincipalOwner(w.ctx(), c, sp(), nobody.PrincipalID)
			}},
			{"remove an owner of a service principal", writers, func() {
				fresh()
				w.ok(w.dir.AddPrincipalOwner(w.ctx(), w.system, sp(), nobody.PrincipalID))
			}, func(c directory.Caller) error {
				return w.dir.RemovePrincipalOwner(w.ctx(), c, sp(), nobody.PrincipalID)
			}},
			{"update a service principal", writers, fresh, func(c directory.Caller) error {
				return w.dir.UpdateServicePrincipal(w.ctx(), c, sp(), directory.PrincipalEdit{Enabled: ptr(true)})
			}},
			{"delete a service principal", writers, fresh, func(c directory.Caller) error { return w.dir.DeleteServicePrincipal(w.ctx(), c, sp()) }},
			{"create a service principal", writers, func() { fresh(); w.ok(w.dir.DeleteServicePrincipal(w.ctx(), w.system, sp())) }, func(c directory.Caller) error {
				return none(w.dir.CreateServicePrincipal(w.ctx(), c, directory.NewPrincipal{AppID: owned.app.AppID}))
			}},
			{"delete an application", writers, fresh, func(c directory.Caller) error { return w.dir.DeleteApplication(w.ctx(), c, owned.ref()) }},
			{"restore an application", writers, deletedOwned, func(c directory.Caller) error {
				return none(w.dir.RestoreApplication(w.ctx(), c, owned.app.ID))
			}},
			{"purge an application", writers, deletedOwned, func(c directory.Caller) error { return w.dir.PurgeApplication(w.ctx(), c, owned.app.ID) }},
			{"restore a service principal", writers, deletedPrincipal, func(c directory.Caller) error {
				return none(w.dir.RestoreServicePrincipal(w.ctx(), c, owned.PrincipalID))
			}},
			{"purge a service principal", writers, deletedPrincipal, func(c directory.Caller) error {
				return w.dir.PurgeServicePrincipal(w.ctx(), c, owned.PrincipalID)
			}},
			{"grant", "administrator, granter", nothing, func(c directory.Caller) error {
				return none(w.dir.AddGrant(w.ctx(), c, directory.Grant{PrincipalID: w.client("x").PrincipalID, ResourceID: w.graph().ID, AppRoleID: permissionID("Directory.Read.All")}))
			}},
			{"take a grant back", "administrator, granter", func() { granted = w.grant(w.client("x").PrincipalID, "Directory.Read.All") }, func(c directory.Caller) error {
				return w.dir.RemoveGrant(w.ctx(), c, granted.PrincipalID, granted.ID)
			}},

			{"read a subscription", "!nobody, app reader, app writer, dir reader, dir writer, owner, not owner, granter, blind granter, issuer administrator", nothing, func(c directory.Caller) error {
				return none(w.dir.Subscription(w.ctx(), c, w.subscription))
			}},
			{"read a group", seesGroup, nothing, func(c directory.Caller) error { return none(w.dir.Group(w.ctx(), c, w.subscription, "G")) }},
			{"make a group", groupMakers, nothing, func(c directory.Caller) error {
				_, _, err := w.dir.PutGroup(w.ctx(), c, directory.Group{SubscriptionID: w.subscription, Name: uuid.NewString(), Location: location})
				return err
			}},
			{"change a group", groupWriters, nothing, func(c directory.Caller) error {
				_, _, err := w.dir.PutGroup(w.ctx(), c, directory.Group{SubscriptionID: w.subscription, Name: "g"})
				return err
			}},
			{"update a group", groupWriters, nothing, func(c directory.Caller) error {
				return none(w.dir.UpdateGroup(w.ctx(), c, w.subscription, "g", nil))
			}},
			{"list identities", groupReaders + ", identity contributor", nothing, func(c directory.Caller) error {
				return none(w.dir.Identities(w.ctx(), c, w.subscription, "g", directory.Page{}))
			}},
			{"read an identity", readsID, nothing, func(c directory.Caller) error { return none(w.dir.Identity(w.ctx(), c, m.IdentityRef)) }},
			{"make an identity", groupWriters + ", identity contributor", nothing, func(c directory.Caller) error {
				_, _, err := w.dir.PutIdentity(w.ctx(), c, w.newIdentity("g", uuid.NewString()))
				return err
			}},
			{"put an identity", writesID, nothing, func(c directory.Caller) error {
				_, _, err := w.dir.PutIdentity(w.ctx(), c, w.newIdentity("g", "mine"))
				return err
			}},
			{"update an identity", writesID, nothing, func(c directory.Caller) error {
				return none(w.dir.UpdateIdentity(w.ctx(), c, m.IdentityRef, directory.IdentityEdit{}))
			}},
			{"list an identity's credentials", readsID, nothing, func(c directory.Caller) error {
				return none(w.dir.Credentials(w.ctx(), c, parentIdentity(m), directory.Page{}))
			}},
			{"add an identity's credential", writesID, func() { _ = w.dir.RemoveCredential(w.ctx(), w.system, parentIdentity(m), "new") }, func(c directory.Caller) error {
				return none(w.dir.AddCredential(w.ctx(), c, parentIdentity(m), spec("new")))
			}},
			{"remove an identity's credential", writesID, freshIdentity, func(c directory.Caller) error {
				return w.dir.RemoveCredential(w.ctx(), c, parentIdentity(m), "there")
			}},
			{"read assignments", seesGroup, nothing, func(c directory.Caller) error {
				return none(w.dir.RoleAssignments(w.ctx(), c, g.Scope(), directory.AssignmentFilter{}))
			}},
			{"assign", assigners, nothing, func(c directory.Caller) error {
				return none(w.dir.AddRoleAssignment(w.ctx(), c, directory.RoleAssignment{Name: uuid.NewString(), Scope: g.Scope(), DefinitionID: roles.Owner, PrincipalID: w.client("x").PrincipalID}))
			}},
			{"assign at the root", "administrator, root owner, access administrator", nothing, func(c directory.Caller) error {
				return none(w.dir.AddRoleAssignment(w.ctx(), c, directory.RoleAssignment{Name: uuid.NewString(), Scope: "/", DefinitionID: roles.Reader, PrincipalID: w.client("x").PrincipalID}))
			}},
			{"take an assignment back", assigners, freshAssignment, func(c directory.Caller) error {
				return none(w.dir.RemoveRoleAssignment(w.ctx(), c, assigned.Scope, assigned.Name))
			}},
			{"delete an identity", groupWriters + ", identity contributor", func() { w.identity("g", "brief") }, func(c directory.Caller) error {
				return w.dir.DeleteIdentity(w.ctx(), c, directory.IdentityRef{SubscriptionID: w.subscription, Group: "g", Name: "brief"})
			}},
			{"delete a group", groupMakers, func() { w.group("brief") }, func(c directory.Caller) error { return w.dir.DeleteGroup(w.ctx(), c, w.subscription, "brief") }},

			{"list clusters", groupReaders, nothing, func(c directory.Caller) error {
				return none(w.dir.Clusters(w.ctx(), c, w.subscription, "g", directory.Page{}))
			}},
			{"read a cluster", groupReaders, func() { w.cluster("g", "prod", nil) }, func(c directory.Caller) error {
				return none(w.dir.Cluster(w.ctx(), c, w.clusterRef("G", "PROD")))
			}},
			{"list a cluster's service accounts", groupReaders, func() { w.cluster("g", "prod", nil) }, func(c directory.Caller) error {
				_, _, err := w.dir.ServiceAccounts(w.ctx(), c, w.clusterRef("g", "prod"), "", directory.Page{})
				return err
			}},
			{"list a cluster's namespaces", groupReaders, nothing, func(c directory.Caller) error {
				_, _, err := w.dir.Namespaces(w.ctx(), c, w.clusterRef("g", "prod"), directory.Page{})
				return err
			}},
			{"report a cluster's service accounts", groupWriters + ", reporter", nothing, func(c directory.Caller) error {
				return none(w.dir.ReportServiceAccounts(w.ctx(), c, w.clusterRef("g", "prod"), accounts("pets/"+uuid.NewString())))
			}},
			{"register a cluster", groupWriters, nothing, func(c directory.Caller) error {
				_, _, err := w.dir.PutCluster(w.ctx(), c, w.clusterSpec("g", uuid.NewString(), nil))
				return err
			}},
			{"register a cluster by discovery", groupWriters, nothing, func(c directory.Caller) error {
				_, _, err := w.dir.PutCluster(w.ctx(), c, w.clusterSpec("g", uuid.NewString(), &directory.ClusterIssuerSpec{URL: "https://discovered.example"}))
				return err
			}},
			{"register a cluster with a hosted issuer", "administrator", nothing, func(c directory.Caller) error {
				_, _, err := w.dir.PutCluster(w.ctx(), c, w.clusterSpec("g", uuid.NewString(), &directory.ClusterIssuerSpec{Keys: directory.HostedKeys}))
				return err
			}},
			{"register a cluster with its keys", "administrator", nothing, func(c directory.Caller) error {
				_, _, err := w.dir.PutCluster(w.ctx(), c, w.clusterSpec("g", uuid.NewString(), &directory.ClusterIssuerSpec{URL: "https://" + uuid.NewString() + ".example", Keys: directory.ClusterKeySet}))
				return err
			}},
			{"update a cluster", groupWriters, nothing, func(c directory.Caller) error {
				return none(w.dir.UpdateCluster(w.ctx(), c, w.clusterRef("g", "prod"), nil))
			}},
			{"set a cluster's keys", "administrator, keeper of hosted", func() { w.cluster("g", "hosted", &directory.ClusterIssuerSpec{Keys: directory.HostedKeys}) }, func(c directory.Caller) error {
				return none(w.dir.SetClusterKeys(w.ctx(), c, w.clusterRef("g", "hosted"), freshKeySet()))
			}},
			{"delete a cluster", groupWriters, func() { w.cluster("g", "brief", nil) }, func(c directory.Caller) error {
				return w.dir.DeleteCluster(w.ctx(), c, w.clusterRef("g", "brief"))
			}},

			{"list issuers", federators + ", federation reader", nothing, func(c directory.Caller) error { return none(w.dir.Issuers(w.ctx(), c, directory.Page{})) }},
			{"read an issuer", federators + ", federation reader, issuer administrator", nothing, func(c directory.Caller) error { return none(w.dir.Issuer(w.ctx(), c, "PROD")) }},
			{"set an issuer", federators + ", issuer administrator", freshIssuer, func(c directory.Caller) error {
				_, _, err := w.dir.PutIssuer(w.ctx(), c, directory.Issuer{Name: "prod", URL: "https://prod.example", KeySource: directory.UploadedKeys, KeySet: keySet})
				return err
			}},
			{"make an issuer", federators, nothing, func(c directory.Caller) error {
				_, _, err := w.dir.PutIssuer(w.ctx(), c, directory.Issuer{Name: "new" + uuid.NewString(), URL: "https://" + uuid.NewString() + ".example"})
				return err
			}},
			{"remove an issuer", federators + ", issuer administrator", freshIssuer, func(c directory.Caller) error { return w.dir.RemoveIssuer(w.ctx(), c, "prod") }},
			{"read the policy", federators + ", federation reader", nothing, func(c directory.Caller) error { return none(w.dir.Policy(w.ctx(), c)) }},
			{"set the policy", federators, nothing, func(c directory.Caller) error {
				return none(w.dir.SetPolicy(w.ctx(), c, directory.PolicyEdit{MaxCredentials: ptr(20)}))
			}},
			{"read the audit events", federators + ", federation reader", nothing, func(c directory.Caller) error {
				return none(w.dir.Events(w.ctx(), c, directory.EventFilter{}, directory.Page{}))
			}},
			{"make a tenant", federators, nothing, func(c directory.Caller) error { return none(w.dir.CreateTenant(w.ctx(), c, directory.NewTenant{})) }},
		} {
			list, negated := strings.CutPrefix(op.allowed, "!")
			allowed := strings.Split(list, ", ")
			for _, name := range allowed {
				if _, ok := callers[name]; !ok {
					t.Fatalf("%s: no caller %q", op.name, name)
				}
			}
			want, got := map[string]string{}, map[string]string{}
			for name, c := range callers {
				want[name] = "refused"
				if slices.Contains(allowed, name) != negated {
					want[name] = "ok"
					op.before()
				}
				events := w.events()
				switch kind := kindOf(op.do(c)); kind {
				case string(directory.Forbidden), string(directory.NotFound):
					got[name] = "refused"
					if n := w.events() - events; n != 0 && op.name != "grant" && !strings.HasPrefix(op.name, "assign") {
						w.Errorf("%s, %s: %d events of a write that was refused", op.name, name, n)
					}
				default:
					got[name] = kind
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				w.Errorf("%s (-want +got):\n%s", op.name, diff)
			}
		}
	})
}

// A right that was taken away, or whose holder is gone, counts no more on the next request.
func TestRightsAreReadLive(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("client")
		read := func() error {
			_, err := w.dir.Applications(w.ctx(), c.Caller, directory.Filter{}, directory.Page{})
			return err
		}
		write := func() error {
			_, _, err := w.dir.PutGroup(w.ctx(), c.Caller, directory.Group{SubscriptionID: w.subscription, Name: "g", Location: location})
			return err
		}
		w.kind(read(), directory.Forbidden)
		w.kind(write(), directory.NotFound)
		g, a := w.grant(c.PrincipalID, "Application.Read.All"), w.assign(c.PrincipalID, roles.Contributor, "/")
		w.ok(read())
		w.ok(write())
		w.ok(w.dir.RemoveGrant(w.ctx(), w.admin, c.PrincipalID, g.ID))
		_, err := w.dir.RemoveRoleAssignment(w.ctx(), w.admin, "/", a.Name)
		w.ok(err)
		w.kind(read(), directory.Forbidden)
		w.kind(write(), directory.NotFound)
		w.ok(w.dir.UpdateServicePrincipal(w.ctx(), w.admin, c.principalRef(), directory.PrincipalEdit{Enabled: ptr(false)}))
		w.kind(read(), directory.Unauthenticated)
		w.kind(write(), directory.Unauthenticated)
		w.ok(w.dir.DeleteApplication(w.ctx(), w.admin, c.ref()))
		w.kind(read(), directory.Unauthenticated)
		w.kind(write(), directory.Unauthenticated)
	})
}

// Whoever may not look is told the same of what is there and of what is not.
func TestNobodyProbesForIDs(t *testing.T) {
	each(t, func(w *world) {
		nobody := w.client("nobody").Caller
		w.otherTenant()
		c := w.client("there")
		g := w.grant(c.PrincipalID, "Application.Read.All")
		a := w.assign(c.PrincipalID, roles.Reader, "/")
		w.ok(w.dir.DeleteApplication(w.ctx(), w.system, w.client("deleted").ref()))
		for _, id := range []string{c.app.ID, c.principal.ID, c.AppID, g.ID, a.Name, uuid.NewString()} {
			ref := directory.Ref{ID: id}
			for name, err := range map[string]error{
				"application":              none(w.dir.Application(w.ctx(), nobody, ref)),
				"update application":       none(w.dir.UpdateApplication(w.ctx(), nobody, ref, func(*directory.Application) error { return nil })),
				"delete application":       w.dir.DeleteApplication(w.ctx(), nobody, ref),
				"restore application":      none(w.dir.RestoreApplication(w.ctx(), nobody, id)),
				"add credential":           none(w.dir.AddCredential(w.ctx(), nobody, directory.Parent{Application: &ref}, spec("one"))),
				"remove secret":            w.dir.RemoveSecret(w.ctx(), nobody, ref, id),
				"create service principal": none(w.dir.CreateServicePrincipal(w.ctx(), nobody, directory.NewPrincipal{AppID: id})),
				"service principal":        none(w.dir.ServicePrincipal(w.ctx(), nobody, ref)),
				"update service principal": w.dir.UpdateServicePrincipal(w.ctx(), nobody, ref, directory.PrincipalEdit{}),
				"delete service principal": w.dir.DeleteServicePrincipal(w.ctx(), nobody, directory.Ref{AppID: id}),
				"grant":                    none(w.dir.AddGrant(w.ctx(), nobody, directory.Grant{PrincipalID: id, ResourceID: id})),
				"remove grant":             w.dir.RemoveGrant(w.ctx(), nobody, c.PrincipalID, id),
				"assign":                   none(w.dir.AddRoleAssignment(w.ctx(), nobody, directory.RoleAssignment{Name: uuid.NewString(), Scope: "/", DefinitionID: roles.Reader, PrincipalID: id})),
				"remove assignment":        none(w.dir.RemoveRoleAssignment(w.ctx(), nobody, "/", id)),
				"issuer":                   none(w.dir.Issuer(w.ctx(), nobody, id)),
			} {
				if kindOf(err) != string(directory.Forbidden) {
					w.Errorf("%s %q: got %v", name, id, err)
				}
			}
		}
	})
}

func TestCallersThatAreNone(t *testing.T) {
	each(t, func(w *world) {
		for name, c := range map[string]directory.Caller{
			"zero":           {},
			"no kind":        {TenantID: w.tenant.ID},
			"no principal":   {Kind: directory.PrincipalCaller, TenantID: w.tenant.ID},
			"no tenant":      {Kind: directory.PrincipalCaller, PrincipalID: w.admin.PrincipalID},
			"another tenant": {Kind: directory.PrincipalCaller, PrincipalID: w.admin.PrincipalID, TenantID: uuid.NewString()},
			"by client id":   {Kind: directory.PrincipalCaller, PrincipalID: w.admin.AppID, TenantID: w.tenant.ID},
			"NUL":            {Kind: directory.PrincipalCaller, PrincipalID: "\x00", TenantID: w.tenant.ID},
			"another kind":   {Kind: "person", TenantID: w.tenant.ID, Roles: []directory.PortalRole{{Name: "Owner"}}},
			"no role":        {Kind: directory.PortalCaller, TenantID: w.tenant.ID, Name: "somebody"},
		} {
			_, err := w.dir.Tenants(w.ctx(), c)
			if kindOf(err) != string(directory.Unauthenticated) {
				w.Errorf("%s reads: got %v", name, err)
			}
			_, err = w.dir.SetPolicy(w.ctx(), c, directory.PolicyEdit{MaxCredentials: ptr(1)})
			if kindOf(err) != string(directory.Unauthenticated) {
				w.Errorf("%s writes: got %v", name, err)
			}
		}
	})
}
