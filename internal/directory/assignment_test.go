package directory_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
)

func TestRoleAssignment(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("holder")
		g := w.group("g")
		in := directory.RoleAssignment{Name: strings.ToUpper(uuid.NewString()), Scope: g.Scope() + "/", DefinitionID: strings.ToUpper(roles.Reader), PrincipalID: strings.ToUpper(c.PrincipalID), Description: "d"}
		made, err := w.dir.AddRoleAssignment(w.ctx(), w.admin, in)
		w.ok(err)
		want := directory.RoleAssignment{Name: strings.ToLower(in.Name), Scope: g.Scope(), DefinitionID: roles.Reader, PrincipalID: c.PrincipalID, PrincipalType: "ServicePrincipal", Description: "d", CreatedBy: w.admin.PrincipalID, CreatedAt: start}
		if diff := cmp.Diff(want, made); diff != "" {
			w.Errorf("(-want +got):\n%s", diff)
		}
		read, err := w.dir.RoleAssignment(w.ctx(), w.admin, strings.ToUpper(g.Scope()), in.Name)
		w.ok(err)
		if diff := cmp.Diff(want, read); diff != "" {
			w.Errorf("(-want +read):\n%s", diff)
		}
		for _, a := range []directory.RoleAssignment{
			{Name: in.Name, Scope: g.Scope(), DefinitionID: roles.Owner, PrincipalID: c.PrincipalID},           // the name
			{Name: uuid.NewString(), Scope: g.Scope(), DefinitionID: roles.Reader, PrincipalID: c.PrincipalID}, // the grant
		} {
			_, err = w.dir.AddRoleAssignment(w.ctx(), w.admin, a)
			w.kind(err, directory.Exists)
		}
		for _, at := range []struct{ scope, name string }{{"/", in.Name}, {g.Scope(), "none"}, {g.Scope(), "\x00"}, {g.Scope() + "/x", in.Name}} {
			_, err = w.dir.RoleAssignment(w.ctx(), w.admin, at.scope, at.name)
			w.kind(err, directory.NotFound)
			_, err = w.dir.RemoveRoleAssignment(w.ctx(), w.admin, at.scope, at.name)
			w.kind(err, directory.NotFound)
		}
		was, err := w.dir.RemoveRoleAssignment(w.ctx(), w.admin, g.Scope(), in.Name)
		w.ok(err)
		if diff := cmp.Diff(want, was); diff != "" {
			w.Errorf("(-want +removed):\n%s", diff)
		}
		_, err = w.dir.RemoveRoleAssignment(w.ctx(), w.admin, g.Scope(), in.Name)
		w.kind(err, directory.NotFound)
	})
}

func TestRoleAssignmentRules(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("holder")
		valid := directory.RoleAssignment{Name: uuid.NewString(), Scope: "/", DefinitionID: roles.Reader, PrincipalID: c.PrincipalID}
		for name, change := range map[string]struct {
			kind directory.Kind
			f    func(*directory.RoleAssignment)
		}{
			"name":           {directory.Invalid, func(a *directory.RoleAssignment) { a.Name = "x" }},
			"description":    {directory.Invalid, func(a *directory.RoleAssignment) { a.Description = "\x00" }},
			"relative":       {directory.Invalid, func(a *directory.RoleAssignment) { a.Scope = "subscriptions/" + w.subscription }},
			"dots":           {directory.Invalid, func(a *directory.RoleAssignment) { a.Scope = "/subscriptions/x/../" + w.subscription }},
			"empty segment":  {directory.Invalid, func(a *directory.RoleAssignment) { a.Scope = "//subscriptions" }},
			"NUL":            {directory.Invalid, func(a *directory.RoleAssignment) { a.Scope = "/a\x00" }},
			"long":           {directory.Invalid, func(a *directory.RoleAssignment) { a.Scope = "/" + strings.Repeat("a", 1024) }},
			"definition":     {directory.NotFound, func(a *directory.RoleAssignment) { a.DefinitionID = uuid.NewString() }},
			"principal":      {directory.NotFound, func(a *directory.RoleAssignment) { a.PrincipalID = c.app.ID }},
			"principal, NUL": {directory.NotFound, func(a *directory.RoleAssignment) { a.PrincipalID = "\x00" }},
			"subscription":   {directory.NotFound, func(a *directory.RoleAssignment) { a.Scope = "/subscriptions/" + uuid.NewString() }},
			"group": {directory.NotFound, func(a *directory.RoleAssignment) {
				a.Scope = "/SUBSCRIPTIONS/" + w.subscription + "/RESOURCEGROUPS/none"
			}},
		} {
			a := valid
			change.f(&a)
			_, err := w.dir.AddRoleAssignment(w.ctx(), w.admin, a)
			if kindOf(err) != string(change.kind) {
				w.Errorf("%s: got %v, want %s", name, err, change.kind)
			}
		}
		e := w.kind(func() error {
			a := valid
			a.PrincipalID = uuid.NewString()
			_, err := w.dir.AddRoleAssignment(w.ctx(), w.admin, a)
			return err
		}(), directory.NotFound)
		if e.Object != directory.PrincipalObject || e.Field != "principalId" || e.Detail != w.tenant.ID {
			w.Errorf("got %+v", e)
		}
		if n := w.rows("role_assignments", "principal_id = $1", c.PrincipalID); n != 0 {
			w.Errorf("%d refused assignments are there", n)
		}
	})
}

func TestRoleAssignmentsByScope(t *testing.T) {
	each(t, func(w *world) {
		g, ü := w.group("Group"), w.group("Grüße")
		m := w.identity("group", "mine")
		c := w.client("holder")
		sub := "/subscriptions/" + w.subscription
		for _, scope := range []string{"/", sub, g.Scope(), m.ResourceID(), ü.Scope()} {
			w.assign(c.PrincipalID, roles.Reader, scope)
		}
		for name, q := range map[string]struct {
			scope   string
			atScope bool
			want    []string
		}{
			"root":               {"/", false, []string{"/", sub, g.Scope(), m.ResourceID(), ü.Scope()}},
			"at root":            {"/", true, []string{"/"}},
			"group":              {strings.ToUpper(g.Scope()), false, []string{"/", sub, g.Scope(), m.ResourceID()}},
			"at group":           {g.Scope() + "/", true, []string{"/", sub, g.Scope()}},
			"identity":           {m.ResourceID(), true, []string{"/", sub, g.Scope(), m.ResourceID()}},
			"a name's beginning": {sub + "/resourceGroups/Gro", false, []string{"/", sub}},
			"not only ASCII":     {sub + "/resourcegroups/GRÜSSE", true, []string{"/", sub}},
			"case beyond ASCII":  {sub + "/resourcegroups/gRÜßE", true, []string{"/", sub, ü.Scope()}},
		} {
			list, err := w.dir.RoleAssignments(w.ctx(), w.system, q.scope, directory.AssignmentFilter{PrincipalID: c.PrincipalID, AtScope: q.atScope})
			w.ok(err)
			want, got := map[string]bool{}, map[string]bool{}
			for _, s := range q.want {
				want[s] = true
			}
			for _, a := range list {
				got[a.Scope] = true
			}
			if diff := cmp.Diff(want, got); diff != "" {
				w.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		all, err := w.dir.RoleAssignments(w.ctx(), w.system, "/", directory.AssignmentFilter{})
		w.ok(err)
		if len(all) != 5+2 { // and the administrator's
			w.Errorf("%d in all", len(all))
		}
	})
}

// A right on a group whose name is not only ASCII is one in every case of it.
func TestRightOnAGroupWithoutCase(t *testing.T) {
	each(t, func(w *world) {
		w.group("Grüße")
		c := w.holder("holder", roles.Contributor, "/subscriptions/"+w.subscription+"/resourceGroups/GRÜßE")
		for _, name := range []string{"Grüße", "grüße", "GRÜßE"} {
			_, err := w.dir.Group(w.ctx(), c.Caller, strings.ToUpper(w.subscription), name)
			w.ok(err)
		}
		_, _, err := w.dir.PutIdentity(w.ctx(), c.Caller, w.newIdentity("GRÜßE", "mine"))
		w.ok(err)
	})
}

func TestRoleAssignmentInParallel(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("holder")
		var mu sync.Mutex
		made := 0
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				_, err := w.dir.AddRoleAssignment(w.ctx(), w.system, directory.RoleAssignment{Name: uuid.NewString(), Scope: "/", DefinitionID: roles.Reader, PrincipalID: c.PrincipalID})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					made++
				} else if kindOf(err) != string(directory.Exists) {
					t.Errorf("got %v", err)
				}
			})
		}
		wg.Wait()
		if made != 1 {
			w.Errorf("%d were made", made)
		}
	})
}

// What is assigned on a group while that is deleted does not wait for the next group of the name.
func TestRoleAssignmentAndGroupInParallel(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("holder")
		for range 20 {
			g := w.group("g")
			var wg sync.WaitGroup
			for _, role := range []string{roles.Reader, roles.Contributor, roles.Owner, roles.UserAccessAdministrator, roles.ManagedIdentityOperator} {
				wg.Go(func() {
					_, err := w.dir.AddRoleAssignment(w.ctx(), w.system, directory.RoleAssignment{Name: uuid.NewString(), Scope: g.Scope(), DefinitionID: role, PrincipalID: c.PrincipalID})
					if err != nil && kindOf(err) != string(directory.NotFound) {
						t.Errorf("add: %v", err)
					}
				})
			}
			wg.Go(func() {
				if err := w.dir.DeleteGroup(w.ctx(), w.system, w.subscription, "g"); err != nil {
					t.Errorf("delete: %v", err)
				}
			})
			wg.Wait()
			if n := w.rows("role_assignments", "principal_id = $1", c.PrincipalID); n != 0 {
				w.Fatal("an assignment is left on a group that is gone")
			}
		}
	})
}
