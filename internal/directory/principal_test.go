package directory_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
)

func TestServicePrincipal(t *testing.T) {
	each(t, func(w *world) {
		app := w.app("a")
		made, err := w.dir.CreateServicePrincipal(w.ctx(), w.system, directory.NewPrincipal{AppID: strings.ToUpper(app.AppID), Tags: []string{"t"}, AssignmentRequired: true})
		w.ok(err)
		if made.Kind != credential.Application || made.AppID != app.AppID || !made.Enabled || !made.AssignmentRequired || made.DisplayName != "a" {
			w.Errorf("made %+v", made)
		}
		for _, ref := range []directory.Ref{{ID: made.ID}, {AppID: app.AppID}} {
			read, err := w.dir.ServicePrincipal(w.ctx(), w.system, ref)
			w.ok(err)
			if diff := cmp.Diff(made, read, cmpopts.EquateEmpty(), cmpopts.IgnoreUnexported(directory.ServicePrincipal{})); diff != "" {
				w.Errorf("by %v (-made +read):\n%s", ref, diff)
			}
		}
		for _, ref := range []directory.Ref{{}, {ID: app.ID}, {AppID: "no\x00ne"}, {UniqueName: "a"}} {
			_, err = w.dir.ServicePrincipal(w.ctx(), w.system, ref)
			if kindOf(err) != string(directory.NotFound) {
				w.Errorf("by %v: got %v", ref, err)
			}
		}
		_, err = w.dir.CreateServicePrincipal(w.ctx(), w.system, directory.NewPrincipal{AppID: app.AppID})
		if e := w.kind(err, directory.Exists); e.Field != "appId" {
			w.Errorf("twice: got %+v", e)
		}
		for _, id := range []string{"", "none", app.ID, roles.GraphAppID} {
			_, err = w.dir.CreateServicePrincipal(w.ctx(), w.system, directory.NewPrincipal{AppID: id})
			if e := w.kind(err, directory.Invalid); e.Field != "appId" {
				w.Errorf("of %q: got %+v", id, e)
			}
		}
		_, err = w.dir.CreateServicePrincipal(w.ctx(), w.system, directory.NewPrincipal{AppID: w.app("b").AppID, Tags: []string{"\x00"}})
		w.kind(err, directory.Invalid)
		w.kind(w.dir.UpdateServicePrincipal(w.ctx(), w.system, directory.Ref{ID: made.ID}, directory.PrincipalEdit{Tags: ptr(strings.Split(strings.Repeat("x ", 200)+"x", " "))}), directory.Invalid)

		w.ok(w.dir.UpdateServicePrincipal(w.ctx(), w.system, directory.Ref{AppID: app.AppID}, directory.PrincipalEdit{AssignmentRequired: ptr(false), Tags: &[]string{}}))
		read, err := w.dir.ServicePrincipal(w.ctx(), w.system, directory.Ref{ID: made.ID})
		w.ok(err)
		if read.AssignmentRequired || len(read.Tags) != 0 || !read.Enabled {
			w.Errorf("updated to %+v", read)
		}
	})
}

func TestServicePrincipalIsRemovedAndMadeAgain(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("a", "Application.ReadWrite.All")
		w.assign(c.PrincipalID, roles.Owner, "/")
		w.credential(c.parent(), "one")
		for range 2 { // at one moment of the clock
			ref := directory.Ref{AppID: c.AppID}
			w.ok(w.dir.DeleteServicePrincipal(w.ctx(), w.system, ref))
			w.kind(w.dir.DeleteServicePrincipal(w.ctx(), w.system, ref), directory.NotFound)
			if m := w.match(c.AppID, spec("one")); !m.Orphan || m.Client.PrincipalID != "" {
				w.Errorf("without a service principal the match is %+v", m)
			}
			again, err := w.dir.CreateServicePrincipal(w.ctx(), w.system, directory.NewPrincipal{AppID: c.AppID})
			w.ok(err)
			if again.ID == c.principal.ID {
				w.Error("the new one has the id, and so the rights, of the old one")
			}
			if m := w.match(c.AppID, spec("one")); m.Miss != credential.Hit || m.Client.PrincipalID != again.ID {
				w.Errorf("the match is %+v", m)
			}
		}
		if n := w.rows("role_assignments", "principal_id = $1", c.principal.ID) + w.rows("app_role_assignments", "principal_id = $1", c.principal.ID); n != 0 {
			w.Errorf("%d rights of the old one are left", n)
		}
	})
}

func TestServicePrincipalOfAnIdentity(t *testing.T) {
	each(t, func(w *world) {
		w.group("g")
		m := w.identity("g", "mine")
		p, err := w.dir.ServicePrincipal(w.ctx(), w.system, directory.Ref{AppID: m.ClientID})
		w.ok(err)
		if p.ID != m.PrincipalID || p.Kind != credential.ManagedIdentity || p.IdentityResourceID != m.ResourceID() {
			w.Errorf("got %+v", p)
		}
		if e := w.kind(w.dir.DeleteServicePrincipal(w.ctx(), w.system, directory.Ref{ID: p.ID}), directory.Immutable); e.Field != "servicePrincipalType" {
			w.Errorf("got %+v", e)
		}
	})
}

func TestServicePrincipalOfGraphStays(t *testing.T) {
	each(t, func(w *world) {
		graph := w.graph()
		if len(graph.AppRoles) != len(roles.GraphAppRoles()) {
			w.Errorf("it has %d app roles", len(graph.AppRoles))
		}
		ref := directory.Ref{ID: graph.ID}
		for _, c := range []directory.Caller{w.admin, w.system, w.client("writer", "Application.ReadWrite.All").Caller} {
			w.kind(w.dir.DeleteServicePrincipal(w.ctx(), c, ref), directory.Immutable)
			w.kind(w.dir.UpdateServicePrincipal(w.ctx(), c, ref, directory.PrincipalEdit{Enabled: ptr(false)}), directory.Immutable)
		}
	})
}

func TestServicePrincipalFilters(t *testing.T) {
	each(t, func(w *world) {
		w.group("g")
		m := w.identity("g", "shop-identity")
		c := w.client("Shop")
		_, err := w.dir.UpdateApplication(w.ctx(), w.system, c.ref(), func(a *directory.Application) error {
			a.IdentifierURIs = []string{"api://shop"}
			return nil
		})
		w.ok(err)
		for name, f := range map[string]struct {
			filter directory.Filter
			want   string
		}{
			"prefix":          {directory.Filter{NamePrefix: ptr("shop")}, "Shop shop-identity"},
			"name":            {directory.Filter{DisplayName: ptr("shop")}, "Shop"},
			"kind":            {directory.Filter{PrincipalKind: ptr(string(credential.ManagedIdentity))}, "shop-identity"},
			"URI":             {directory.Filter{IdentifierURI: ptr("api://shop")}, "Shop"},
			"client id":       {directory.Filter{AppID: ptr(strings.ToUpper(m.ClientID))}, "shop-identity"},
			"id as a name":    {directory.Filter{IdentifierURI: ptr(m.ClientID)}, "shop-identity"},
			"parent":          {directory.Filter{ParentObjectID: &c.app.ID}, "Shop"},
			"id":              {directory.Filter{ID: &c.principal.ID}, "Shop"},
			"unique name":     {directory.Filter{UniqueName: ptr("shop")}, ""},
			"graph":           {directory.Filter{AppID: ptr(roles.GraphAppID)}, "Microsoft Graph"},
			"NUL":             {directory.Filter{IdentifierURI: ptr("\x00")}, ""},
			"nobody's":        {directory.Filter{ParentObjectID: ptr("none")}, ""},
			"kind and parent": {directory.Filter{PrincipalKind: ptr(string(credential.ManagedIdentity)), ParentObjectID: &c.app.ID}, ""},
		} {
			p, err := w.dir.ServicePrincipals(w.ctx(), w.system, f.filter, directory.Page{})
			w.ok(err)
			if got := names(p.Items, func(p directory.ServicePrincipal) string { return p.DisplayName }); got != f.want {
				w.Errorf("%s: got %q, want %q", name, got, f.want)
			}
		}
		p, err := w.dir.ServicePrincipals(w.ctx(), w.system, directory.Filter{NamePrefix: ptr("shop")}, directory.Page{Limit: 1})
		w.ok(err)
		if len(p.Items) != 1 || p.Items[0].IdentifierURIs[0] != "api://shop" || p.Next == "" {
			w.Errorf("the first page is %+v", p)
		}
		p, err = w.dir.ServicePrincipals(w.ctx(), w.system, directory.Filter{NamePrefix: ptr("shop")}, directory.Page{Limit: 1, After: p.Next})
		w.ok(err)
		if len(p.Items) != 1 || p.Items[0].DisplayName != "shop-identity" || p.Next != "" {
			w.Errorf("the second page is %+v", p)
		}
	})
}

func TestEverybodySeesItself(t *testing.T) {
	each(t, func(w *world) {
		nobody, other := w.client("nobody"), w.client("other")
		p, err := w.dir.ServicePrincipal(w.ctx(), nobody.Caller, directory.Ref{AppID: nobody.AppID})
		w.ok(err)
		if p.ID != nobody.PrincipalID {
			w.Errorf("got %+v", p)
		}
		_, err = w.dir.Grants(w.ctx(), nobody.Caller, nobody.principalRef())
		w.ok(err)
		for _, ref := range []directory.Ref{other.principalRef(), {ID: "none"}} { // no difference for whoever may not look
			_, err = w.dir.ServicePrincipal(w.ctx(), nobody.Caller, ref)
			w.kind(err, directory.Forbidden)
		}
	})
}

func TestServicePrincipalIsMadeOnceInParallel(t *testing.T) {
	each(t, func(w *world) {
		app := w.app("a")
		var mu sync.Mutex
		made := 0
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				_, err := w.dir.CreateServicePrincipal(w.ctx(), w.system, directory.NewPrincipal{AppID: app.AppID})
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

// A service principal that is made while its application is being deleted does
// not outlive it.
func TestServicePrincipalOrApplicationInParallel(t *testing.T) {
	each(t, func(w *world) {
		for range 10 {
			app := w.app("a")
			w.credential(parentApp(app), "one")
			var wg sync.WaitGroup
			wg.Go(func() {
				_, err := w.dir.CreateServicePrincipal(w.ctx(), w.system, directory.NewPrincipal{AppID: app.AppID})
				if err != nil && kindOf(err) != string(directory.Invalid) {
					t.Errorf("create: %v", err)
				}
			})
			wg.Go(func() {
				if err := w.dir.DeleteApplication(w.ctx(), w.system, directory.Ref{ID: app.ID}); err != nil {
					t.Errorf("delete: %v", err)
				}
			})
			wg.Wait()
			if m := w.match(app.AppID, spec("one")); m.Client.PrincipalID != "" {
				w.Fatal("a deleted application's service principal still matches")
			}
		}
	})
}
