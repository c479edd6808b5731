package directory_test

import (
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/internal/directory"
)

// recorded is what each writing method is recorded as.
var recorded = map[string]struct {
	action string
	object directory.Object
}{
	"AddCredential":           {"applications/credentials/update|federatedIdentityCredentials/write", directory.CredentialObject},
	"AddGrant":                {"microsoft.directory/servicePrincipals/appRoleAssignedTo/update", directory.GrantObject},
	"AddOwner":                {"microsoft.directory/applications/owners/update", directory.ApplicationObject},
	"AddPrincipalOwner":       {"microsoft.directory/servicePrincipals/owners/update", directory.PrincipalObject},
	"AddPrincipalSecret":      {"microsoft.directory/servicePrincipals/credentials/update", directory.SecretObject},
	"AddRoleAssignment":       {"Microsoft.Authorization/roleAssignments/write", directory.AssignmentObject},
	"AddSecret":               {"microsoft.directory/applications/credentials/update", directory.SecretObject},
	"CreateApplication":       {"microsoft.directory/applications/create", directory.ApplicationObject},
	"CreateServicePrincipal":  {"microsoft.directory/servicePrincipals/create", directory.PrincipalObject},
	"CreateTenant":            {"Entente.Federation/tenants/write", directory.TenantObject},
	"DeleteApplication":       {"microsoft.directory/applications/delete", directory.ApplicationObject},
	"DeleteCluster":           {"Microsoft.ContainerService/managedClusters/delete", directory.ClusterObject},
	"DeleteGroup":             {"Microsoft.Resources/subscriptions/resourceGroups/delete", directory.GroupObject},
	"DeleteIdentity":          {"Microsoft.ManagedIdentity/userAssignedIdentities/delete", directory.IdentityObject},
	"DeleteServicePrincipal":  {"microsoft.directory/servicePrincipals/delete", directory.PrincipalObject},
	"EndPortalSession":        {"Entente.Federation/portalSessions/delete", directory.PortalSessionObject},
	"MakePortalLink":          {"Entente.Federation/portalLinks/write", directory.PortalLinkObject},
	"PurgeApplication":        {"microsoft.directory/deletedItems/applications/delete", directory.ApplicationObject},
	"PutCluster":              {"Microsoft.ContainerService/managedClusters/write", directory.ClusterObject},
	"PurgeServicePrincipal":   {"microsoft.directory/deletedItems/servicePrincipals/delete", directory.PrincipalObject},
	"PutCredential":           {"applications/credentials/update|federatedIdentityCredentials/write", directory.CredentialObject},
	"PutGroup":                {"Microsoft.Resources/subscriptions/resourceGroups/write", directory.GroupObject},
	"PutIdentity":             {"Microsoft.ManagedIdentity/userAssignedIdentities/write", directory.IdentityObject},
	"PutIssuer":               {"Entente.Federation/issuers/write", directory.IssuerObject},
	"RemoveCredential":        {"applications/credentials/update|federatedIdentityCredentials/delete", directory.CredentialObject},
	"RemoveGrant":             {"microsoft.directory/servicePrincipals/appRoleAssignedTo/update", directory.GrantObject},
	"RemoveIssuer":            {"Entente.Federation/issuers/delete", directory.IssuerObject},
	"RemoveOwner":             {"microsoft.directory/applications/owners/update", directory.ApplicationObject},
	"RemovePrincipalOwner":    {"microsoft.directory/servicePrincipals/owners/update", directory.PrincipalObject},
	"RemovePrincipalSecret":   {"microsoft.directory/servicePrincipals/credentials/update", directory.SecretObject},
	"RemoveRoleAssignment":    {"Microsoft.Authorization/roleAssignments/delete", directory.AssignmentObject},
	"RemoveSecret":            {"microsoft.directory/applications/credentials/update", directory.SecretObject},
	"ReportServiceAccounts":   {"Microsoft.ContainerService/managedClusters/serviceAccounts/write", directory.ClusterObject},
	"RestoreApplication":      {"microsoft.directory/deletedItems/applications/restore", directory.ApplicationObject},
	"RestoreServicePrincipal": {"microsoft.directory/deletedItems/servicePrincipals/restore", directory.PrincipalObject},
	"SetClusterKeys":          {"Entente.Federation/issuers/write", directory.IssuerObject},
	"SetPolicy":               {"Entente.Federation/policies/write", directory.PolicyObject},
	"UpdateApplication":       {"microsoft.directory/applications/basic/update", directory.ApplicationObject},
	"UpdateCluster":           {"Microsoft.ContainerService/managedClusters/write", directory.ClusterObject},
	"UpdateCredential":        {"applications/credentials/update|federatedIdentityCredentials/write", directory.CredentialObject},
	"UpdateGroup":             {"Microsoft.Resources/subscriptions/resourceGroups/write", directory.GroupObject},
	"UpdateIdentity":          {"Microsoft.ManagedIdentity/userAssignedIdentities/write", directory.IdentityObject},
	"UpdateServicePrincipal":  {"microsoft.directory/servicePrincipals/basic/update", directory.PrincipalObject},
}

// reading are the other methods.
var reading = []string{
	"AllRoleAssignments", "Application", "Applications", "Cluster", "Clusters", "Counts", "Credential", "CredentialByID", "CredentialCounts", "Credentials", "DeletedApplications", "DeletedServicePrincipals", "Events", "Grants", "GrantsOf", "Group", "Groups", "Identities", "Identity",
	"Issuer", "Issuers", "MayChangeApplication", "MayWriteCredentials", "Namespaces", "Owners", "Permit", "Policy", "PortalSessions", "PrincipalNames", "PrincipalOwners", "Rights", "RoleAssignment", "RoleAssignments", "ServiceAccounts", "ServicePrincipal", "ServicePrincipals", "Subscription", "Subscriptions", "Tenants", "TrustingCredentials",
}

// byPeople are the writing methods that no service principal may use; TestPortalIsRecorded looks at them.
var byPeople = []string{"OpenPortalSession"}

// writes use every writing method with success, given fresh possessions.
func (w *world) writes(p possessions) []call {
	list := []call{
		{"CreateApplication", func(c directory.Caller) error {
			return none(w.dir.CreateApplication(w.ctx(), c, directory.Application{DisplayName: "made"}))
		}},
		{"CreateTenant", func(c directory.Caller) error {
			return none(w.dir.CreateTenant(w.ctx(), c, directory.NewTenant{}))
		}},
		{"PutIssuer", func(c directory.Caller) error {
			_, _, err := w.dir.PutIssuer(w.ctx(), c, directory.Issuer{Name: "issuer", URL: p.issuer.URL, KeySource: directory.UploadedKeys, KeySet: keySet})
			return err
		}},
		{"PutIssuer", func(c directory.Caller) error {
			_, _, err := w.dir.PutIssuer(w.ctx(), c, directory.Issuer{Name: "new", URL: "https://new.example"})
			return err
		}},
		{"RemoveIssuer", func(c directory.Caller) error { return w.dir.RemoveIssuer(w.ctx(), c, "new") }},
		{"MakePortalLink", func(c directory.Caller) error { return none(w.dir.MakePortalLink(w.ctx(), c, 0)) }},
		{"SetPolicy", func(c directory.Caller) error {
			return none(w.dir.SetPolicy(w.ctx(), c, directory.PolicyEdit{MaxCredentials: ptr(30)}))
		}},
		{"AddCredential", func(c directory.Caller) error {
			return none(w.dir.AddCredential(w.ctx(), c, p.client.parent(), spec("written")))
		}},
		{"UpdateCredential", func(c directory.Caller) error {
			_, _, err := w.dir.UpdateCredential(w.ctx(), c, p.client.parent(), "written", directory.CredentialEdit{Subject: ptr("changed")}, false)
			return err
		}},
		{"AddOwner", func(c directory.Caller) error {
			return w.dir.AddOwner(w.ctx(), c, p.client.ref(), p.identity.PrincipalID)
		}},
	}
	for _, c := range w.calls(p, p) {
		if _, ok := recorded[c.method]; ok && c.method != "AddOwner" && c.method != "CreateServicePrincipal" {
			list = append(list, c)
		}
		switch c.method {
		case "DeleteServicePrincipal":
			list = append(list, call{"CreateServicePrincipal", func(c directory.Caller) error {
				return none(w.dir.CreateServicePrincipal(w.ctx(), c, directory.NewPrincipal{AppID: p.client.AppID}))
			}})
		}
	}
	return list
}

func TestEveryWriteIsRecorded(t *testing.T) {
	if got := slices.Sorted(slices.Values(slices.Concat(slices.Collect(maps.Keys(recorded)), reading, byPeople))); !slices.Equal(got, methods()) {
		t.Fatalf("the methods are\n%v and the test knows\n%v", methods(), got)
	}
	each(t, func(w *world) {
		p := w.possess()
		c := w.admin
		c.Name, c.Address, c.RequestID = "Administrator", "192.0.2.1", "request"
		used := map[string]bool{}
		for _, write := range w.writes(p) {
			if write.method == "AddGrant" { // of the two ways, one is there already
				write.do = func(c directory.Caller) error {
					_, err := w.dir.AddGrant(w.ctx(), c, directory.Grant{PrincipalID: w.client("x").PrincipalID, ResourceID: p.grant.ResourceID, AppRoleID: p.grant.AppRoleID})
					return err
				}
			}
			now := w.clock.Advance(time.Second)
			if err := write.do(c); err != nil {
				if kindOf(err) == string(directory.Exists) && used[write.method] {
					continue
				}
				w.Fatalf("%s: %v", write.method, err)
			}
			used[write.method] = true
			events, err := w.dir.Events(w.ctx(), w.admin, directory.EventFilter{}, directory.Page{Limit: 50})
			w.ok(err)
			want := recorded[write.method]
			found := slices.IndexFunc(events.Items, func(e directory.Event) bool {
				return e.At.Equal(now) && e.Object == want.object && e.ActorKind == directory.PrincipalCaller && slices.ContainsFunc(strings.Split(want.action, "|"), func(a string) bool { return strings.HasSuffix(e.Action, a) })
			})
			if found < 0 {
				w.Errorf("%s: no event of %s on a %s among %+v", write.method, want.action, want.object, events.Items[:1])
				continue
			}
			e := events.Items[found]
			if e.ActorID != c.PrincipalID || e.ActorAppID != c.AppID || e.ActorName != c.Name || e.Address != c.Address || e.RequestID != c.RequestID || e.TargetID == "" || !directory.IsID(e.ID) {
				w.Errorf("%s: the event is %+v", write.method, e)
			}
		}
		for method := range recorded {
			if !used[method] {
				w.Errorf("%s was not tried", method)
			}
		}
	})
}

// Where nothing can be recorded, nothing is written, and reading goes on.
func TestNoWriteWithoutItsRecord(t *testing.T) {
	each(t, func(w *world) {
		p := w.possess()
		rename := func(from, to string) {
			w.Helper()
			w.ok(w.db.Update(w.ctx(), func(tx *sql.Tx) error {
				_, err := tx.Exec(`ALTER TABLE ` + from + ` RENAME TO ` + to)
				return err
			}))
		}
		state := func() string {
			rename("away", "audit_events")
			defer rename("audit_events", "away")
			return w.state()
		}
		rename("audit_events", "away")
		before := state()
		for _, write := range w.writes(p) {
			switch write.method {
			case "CreateServicePrincipal": // there is one, which is asked for first
			case "RemoveIssuer":
				write.do = func(c directory.Caller) error { return w.dir.RemoveIssuer(w.ctx(), c, "issuer") }
				fallthrough
			default:
				if kind := kindOf(write.do(w.admin)); !strings.Contains(kind, "audit") && kind != string(directory.Exists) && kind != string(directory.NotFound) {
					w.Errorf("%s: got %s", write.method, kind)
				}
			}
		}
		if after := state(); after != before {
			w.Errorf("a write without a record left something:\n%s\n%s", before, after)
		}
		if m := w.match(p.client.AppID, p.credential.Spec); m.Miss != "" {
			w.Errorf("the match is a miss: %s", m.Miss)
		}
		_, err := w.dir.Applications(w.ctx(), w.admin, directory.Filter{}, directory.Page{})
		w.ok(err)
	})
}

func TestEventsSayWhatWasChanged(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("client")
		last := func() directory.Event {
			w.Helper()
			events, err := w.dir.Events(w.ctx(), w.admin, directory.EventFilter{}, directory.Page{Limit: 1})
			w.ok(err)
			return events.Items[0]
		}
		check := func(e directory.Event, id, name string, detail map[string]string) {
			w.Helper()
			if diff := cmp.Diff(detail, e.Detail); diff != "" || e.TargetID != id || e.TargetName != name {
				w.Errorf("target %q %q (-want +got):\n%s", e.TargetID, e.TargetName, diff)
			}
		}
		one := w.credential(c.parent(), "one")
		check(last(), one.ID, "one", map[string]string{"application": c.app.ID, "issuer": one.Issuer, "subject": one.Subject, "audience": one.Audience()})
		_, _, err := w.dir.UpdateCredential(w.ctx(), w.system, c.parent(), "one", directory.CredentialEdit{Subject: ptr("new")}, false)
		w.ok(err)
		check(last(), one.ID, "one", map[string]string{"application": c.app.ID, "issuer": one.Issuer, "subject": "new", "audience": one.Audience(), "wasIssuer": one.Issuer, "wasSubject": one.Subject, "wasAudience": one.Audience()})
		w.ok(w.dir.RemoveCredential(w.ctx(), w.system, c.parent(), one.ID))
		check(last(), one.ID, "one", map[string]string{"application": c.app.ID, "wasIssuer": one.Issuer, "wasSubject": "new", "wasAudience": one.Audience()})
		_, err = w.dir.UpdateApplication(w.ctx(), w.system, c.ref(), func(a *directory.Application) error {
			a.DisplayName, a.IdentifierURIs, a.Tags = "new name", []string{"api://new"}, []string{"t"}
			return nil
		})
		w.ok(err)
		check(last(), c.app.ID, "new name", map[string]string{"changed": "displayName identifierUris tags"})
		w.ok(w.dir.UpdateServicePrincipal(w.ctx(), w.system, c.principalRef(), directory.PrincipalEdit{Enabled: ptr(false)}))
		check(last(), c.principal.ID, "new name", map[string]string{"appId": c.AppID, "accountEnabled": "false"})
		s, text, err := w.dir.AddSecret(w.ctx(), w.system, c.ref(), directory.NewSecret{DisplayName: "ci"})
		w.ok(err)
		check(last(), s.ID, "ci", map[string]string{"application": c.app.ID})
		put, _, err := w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: "prod", URL: issuerURL, KeySource: directory.UploadedKeys, KeySet: keySet})
		w.ok(err)
		e := last()
		if e.TargetID != put.ID || e.Detail["keySetSha256"] == "" || e.Detail["issuer"] != issuerURL {
			w.Errorf("got %+v", e)
		}
		for _, kept := range []string{text, w.founded.AdministratorSecret} {
			if n := w.rows("audit_events", "detail LIKE $1 OR target_name LIKE $1 OR target_id LIKE $1", "%"+kept+"%"); n != 0 {
				w.Error("a secret stands in the audit events")
			}
		}
	})
}

func TestEventsInPages(t *testing.T) {
	each(t, func(w *world) {
		start := w.events()
		for i := range 30 {
			w.app(fmt.Sprintf("app%02d", i))
			if i%7 == 6 {
				w.clock.Advance(time.Second)
			}
			if i == 20 {
				w.clock.Advance(-time.Hour) // a clock that was put back
			}
		}
		var got []directory.Event
		page := directory.Page{Limit: 7}
		for range 20 {
			p, err := w.dir.Events(w.ctx(), w.admin, directory.EventFilter{}, page)
			w.ok(err)
			got = append(got, p.Items...)
			if page.After = p.Next; p.Next == "" {
				break
			}
		}
		seen := map[string]bool{}
		for i, e := range got {
			seen[e.ID] = true
			if i > 0 && (e.At.After(got[i-1].At) || e.At.Equal(got[i-1].At) && e.ID > got[i-1].ID) {
				w.Errorf("event %d is newer than the one before", i)
			}
		}
		if len(seen) != start+30 || len(got) != start+30 {
			w.Errorf("%d events, %d different ones; want %d", len(got), len(seen), start+30)
		}
		for _, after := range []string{"x", "x.y", "99999999999999999999.x", "1.\x00"} {
			p, err := w.dir.Events(w.ctx(), w.admin, directory.EventFilter{}, directory.Page{After: after})
			w.ok(err)
			if after != "x" && len(p.Items) != 0 {
				w.Errorf("after %q: %d events", after, len(p.Items))
			}
		}
	})
}

// Record puts the event of another room's write into that write's transaction.
func TestRecordOfAnotherRoom(t *testing.T) {
	each(t, func(w *world) {
		e := directory.Event{Action: "Entente.Federation/signingKeys/rotate/action", Object: directory.SigningKeyObject, TargetID: "key", Detail: map[string]string{"a": "b"}}
		record := func(c directory.Caller) error {
			return w.db.Update(w.ctx(), func(tx *sql.Tx) error { return w.dir.Record(w.ctx(), tx, c, e) })
		}
		before := w.events()
		owner := w.holder("owner", "8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "/")
		made := w.events()
		w.kind(record(owner.Caller), directory.Forbidden)
		w.kind(w.dir.Permit(w.ctx(), owner.Caller, e.Action, "/"), directory.Forbidden)
		if n := w.events(); n != made || made == before {
			w.Errorf("%d events of a write that was refused", n-made)
		}
		w.ok(w.dir.Permit(w.ctx(), w.admin, e.Action, "/"))
		w.ok(record(w.admin))
		list, err := w.dir.Events(w.ctx(), w.admin, directory.EventFilter{}, directory.Page{Limit: 1})
		w.ok(err)
		if got := list.Items[0]; got.Action != e.Action || got.Object != e.Object || got.TargetID != "key" || got.Detail["a"] != "b" || got.ActorID != w.admin.PrincipalID {
			w.Errorf("got %+v", got)
		}
	})
}
