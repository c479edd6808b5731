package directory_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/directory"
)

const noRole = "00000000-0000-0000-0000-000000000000"

// api makes a client whose application defines an app role for applications, one for users and one that is off.
func (w *world) api(name string) (api client, role, users, off string) {
	w.Helper()
	api, role, users, off = w.client(name), uuid.NewString(), uuid.NewString(), uuid.NewString()
	_, err := w.dir.UpdateApplication(w.ctx(), w.system, api.ref(), func(a *directory.Application) error {
		a.IdentifierURIs = []string{"api://" + name}
		a.AppRoles = []directory.AppRole{
			{ID: strings.ToUpper(role), Value: "Task.Read", Enabled: true, MemberTypes: []string{"User", "Application"}},
			{ID: users, Value: "Task.Own", Enabled: true, MemberTypes: []string{"User"}},
			{ID: off, Value: "Task.Old", MemberTypes: []string{"Application"}},
		}
		return nil
	})
	w.ok(err)
	return api, role, users, off
}

func TestGrant(t *testing.T) {
	each(t, func(w *world) {
		api, role, users, off := w.api("api")
		c := w.client("client")
		in := directory.Grant{PrincipalID: strings.ToUpper(c.PrincipalID), ResourceID: strings.ToUpper(api.PrincipalID), AppRoleID: strings.ToUpper(role)}
		made, err := w.dir.AddGrant(w.ctx(), w.admin, in)
		w.ok(err)
		want := directory.Grant{ID: made.ID, PrincipalID: c.PrincipalID, PrincipalName: "client", PrincipalKind: "application", ResourceID: api.PrincipalID, ResourceName: "api", AppRoleID: role, CreatedAt: start}
		if diff := cmp.Diff(want, made); diff != "" {
			w.Errorf("(-want +got):\n%s", diff)
		}
		held, err := w.dir.Grants(w.ctx(), w.admin, c.principalRef())
		w.ok(err)
		given, err := w.dir.GrantsOf(w.ctx(), w.admin, directory.Ref{AppID: api.AppID})
		w.ok(err)
		for side, got := range map[string][]directory.Grant{"held": held, "given": given} {
			if diff := cmp.Diff([]directory.Grant{want}, got); diff != "" {
				w.Errorf("%s (-want +got):\n%s", side, diff)
			}
		}
		_, err = w.dir.AddGrant(w.ctx(), w.admin, in)
		w.kind(err, directory.Exists)
		for _, id := range []string{users, off, uuid.NewString(), "", noRole, "\x00"} {
			_, err = w.dir.AddGrant(w.ctx(), w.admin, directory.Grant{PrincipalID: c.PrincipalID, ResourceID: api.PrincipalID, AppRoleID: id})
			if e := w.kind(err, directory.Invalid); e.Field != "appRoleId" {
				w.Errorf("role %q: got %+v", id, e)
			}
		}
		for _, g := range []directory.Grant{{PrincipalID: "none", ResourceID: api.PrincipalID, AppRoleID: role}, {PrincipalID: c.PrincipalID, ResourceID: "no\x00ne", AppRoleID: role}} {
			_, err = w.dir.AddGrant(w.ctx(), w.admin, g)
			w.kind(err, directory.NotFound)
		}
		plain := w.client("without roles")
		for _, id := range []string{"", noRole} {
			_, err = w.dir.AddGrant(w.ctx(), w.admin, directory.Grant{PrincipalID: c.PrincipalID, ResourceID: plain.PrincipalID, AppRoleID: id})
			if want := map[string]string{"": "ok", noRole: string(directory.Exists)}[id]; kindOf(err) != want {
				w.Errorf("the default role as %q: got %v", id, err)
			}
		}
		for _, object := range []string{"none", plain.PrincipalID, "\x00"} {
			w.kind(w.dir.RemoveGrant(w.ctx(), w.admin, object, made.ID), directory.NotFound)
		}
		w.ok(w.dir.RemoveGrant(w.ctx(), w.admin, strings.ToUpper(api.PrincipalID), strings.ToUpper(made.ID)))
		w.kind(w.dir.RemoveGrant(w.ctx(), w.admin, c.PrincipalID, made.ID), directory.NotFound)
		again, err := w.dir.AddGrant(w.ctx(), w.admin, in)
		w.ok(err)
		w.ok(w.dir.RemoveGrant(w.ctx(), w.admin, c.PrincipalID, again.ID))
	})
}

func TestGrantsOfDeletedOnesAreNotListed(t *testing.T) {
	each(t, func(w *world) {
		api, role, _, _ := w.api("api")
		c := w.client("client")
		_, err := w.dir.AddGrant(w.ctx(), w.admin, directory.Grant{PrincipalID: c.PrincipalID, ResourceID: api.PrincipalID, AppRoleID: role})
		w.ok(err)
		w.ok(w.dir.DeleteApplication(w.ctx(), w.admin, c.ref()))
		given, err := w.dir.GrantsOf(w.ctx(), w.admin, api.principalRef())
		w.ok(err)
		if len(given) != 0 {
			w.Errorf("got %+v", given)
		}
		_, err = w.dir.RestoreApplication(w.ctx(), w.admin, c.app.ID)
		w.ok(err)
		if given, err = w.dir.GrantsOf(w.ctx(), w.admin, api.principalRef()); len(given) != 1 {
			w.Errorf("after the restoration: %+v (%v)", given, err)
		}
	})
}

func TestResource(t *testing.T) {
	each(t, func(w *world) {
		api, role, _, _ := w.api("api")
		c := w.client("client")
		lookup := func(name string) (directory.Resource, error) {
			return w.dir.LookupResource(w.ctx(), w.tenant.ID, c.PrincipalID, name)
		}
		want := directory.Resource{AppID: api.AppID, PrincipalID: api.PrincipalID, DisplayName: "api", Enabled: true, TokenVersion: 1}
		check := func() {
			w.Helper()
			for _, name := range []string{api.AppID, strings.ToUpper(api.AppID), "api://" + api.AppID, "API://" + strings.ToUpper(api.AppID), "api://api"} {
				got, err := lookup(name)
				w.ok(err)
				if diff := cmp.Diff(want, got); diff != "" {
					w.Errorf("%q (-want +got):\n%s", name, diff)
				}
			}
		}
		check()
		_, err := w.dir.AddGrant(w.ctx(), w.admin, directory.Grant{PrincipalID: c.PrincipalID, ResourceID: api.PrincipalID, AppRoleID: role})
		w.ok(err)
		want.Assigned, want.Roles = true, []string{"Task.Read"}
		check()
		w.ok(w.dir.UpdateServicePrincipal(w.ctx(), w.admin, api.principalRef(), directory.PrincipalEdit{AssignmentRequired: ptr(true), Enabled: ptr(false)}))
		_, err = w.dir.UpdateApplication(w.ctx(), w.admin, api.ref(), func(a *directory.Application) error {
			a.TokenVersion = 2
			a.AppRoles[0].Enabled = false
			return nil
		})
		w.ok(err)
		want.AssignmentRequired, want.Enabled, want.TokenVersion, want.Roles = true, false, 2, nil
		check()

		for _, name := range []string{"", "none", "api://none", "api://API", api.app.ID, "no\x00ne", "api://" + uuid.NewString()} {
			_, err := lookup(name)
			if kindOf(err) != string(directory.NotFound) {
				w.Errorf("%q: got %v", name, err)
			}
		}
		w.group("g")
		m := w.identity("g", "mine")
		_, err = lookup(m.ClientID) // identities are no resources
		w.kind(err, directory.NotFound)

		w.grant(c.PrincipalID, "Application.Read.All")
		w.grant(c.PrincipalID, "Application.ReadWrite.OwnedBy")
		graph, err := lookup("00000003-0000-0000-c000-000000000000")
		w.ok(err)
		if diff := cmp.Diff([]string{"Application.Read.All", "Application.ReadWrite.OwnedBy"}, graph.Roles); diff != "" || !graph.Assigned {
			w.Errorf("Microsoft Graph (-want +got):\n%s", diff)
		}
	})
}
