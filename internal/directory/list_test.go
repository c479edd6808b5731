package directory_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
)

// all follows the pages of a list to its end, each of which is full but the last.
func all[T any](w *world, size int, list func(directory.Page) (directory.Paged[T], error)) []T {
	w.Helper()
	var items []T
	page := directory.Page{Limit: size}
	for range 100 {
		p, err := list(page)
		w.ok(err)
		if p.Next != "" && len(p.Items) != size {
			w.Errorf("a page of %d has a next one", len(p.Items))
		}
		if items = append(items, p.Items...); p.Next == "" {
			return items
		}
		page.After = p.Next
	}
	w.Fatal("the list has no end")
	return nil
}

func TestOrders(t *testing.T) {
	each(t, func(w *world) {
		made := []string{"delta", "Alpha", "charlie", "alpha", "Bravo", "echo", "bravo"}
		for i, name := range made {
			if i == 3 || i == 6 { // two of one moment, and a clock that was put back
				w.clock.Advance(-time.Hour)
			}
			w.client("zz " + name)
			w.clock.Advance(time.Duration(i%2) * time.Minute)
		}
		prefix := "zz "
		lists := map[string]func(directory.Order, int) []string{
			"applications": func(o directory.Order, size int) (got []string) {
				for _, a := range all(w, size, func(p directory.Page) (directory.Paged[directory.Application], error) {
					return w.dir.Applications(w.ctx(), w.system, directory.Filter{NamePrefix: &prefix, Order: o}, p)
				}) {
					got = append(got, fmt.Sprintf("%s %d %s", strings.ToLower(a.DisplayName), a.CreatedAt.Unix(), a.ID))
				}
				return got
			},
			"principals": func(o directory.Order, size int) (got []string) {
				for _, a := range all(w, size, func(p directory.Page) (directory.Paged[directory.ServicePrincipal], error) {
					return w.dir.ServicePrincipals(w.ctx(), w.system, directory.Filter{NamePrefix: &prefix, Order: o}, p)
				}) {
					got = append(got, fmt.Sprintf("%s %d %s", strings.ToLower(a.DisplayName), a.CreatedAt.Unix(), a.ID))
				}
				return got
			},
		}
		byCreated := func(a, b string) int {
			x, y := strings.Fields(a), strings.Fields(b)
			return strings.Compare(x[2]+x[3], y[2]+y[3])
		}
		for name, list := range lists {
			for _, size := range []int{1, 2, 3, 50} {
				for o, sorted := range map[directory.Order]func([]string) []string{
					directory.ByName:        func(l []string) []string { slices.SortFunc(l, byName); return l },
					directory.ByNameDown:    func(l []string) []string { slices.SortFunc(l, byName); slices.Reverse(l); return l },
					directory.ByCreated:     func(l []string) []string { slices.SortFunc(l, byCreated); return l },
					directory.ByCreatedDown: func(l []string) []string { slices.SortFunc(l, byCreated); slices.Reverse(l); return l },
				} {
					got := list(o, size)
					if want := sorted(slices.Clone(got)); !slices.Equal(got, want) || len(got) != len(made) {
						w.Errorf("%s by %q in pages of %d:\n%q, want\n%q", name, o, size, got, want)
					}
				}
			}
		}
		for _, o := range []directory.Order{directory.ByCreated, directory.ByNameDown, "nonsense"} {
			for _, after := range []string{"x", ".", "x.y", "1.\x00", "99999999999999999999.x"} {
				_, err := w.dir.Applications(w.ctx(), w.system, directory.Filter{Order: o}, directory.Page{After: after})
				w.ok(err)
			}
		}
	})
}

// byName compares "zz name time id" by name and id.
func byName(a, b string) int {
	x, y := strings.Fields(a), strings.Fields(b)
	return strings.Compare(x[1]+" "+x[3], y[1]+" "+y[3])
}

func TestSearch(t *testing.T) {
	each(t, func(w *world) {
		shop := w.client("The Shop")
		w.client("other")
		w.group("Shops")
		w.group("rest")
		shopping := w.identity("Shops", "Shopping")
		w.identity("rest", "quiet")
		w.cluster("Shops", "prod", &directory.ClusterIssuerSpec{Keys: directory.HostedKeys})
		byURL := w.cluster("rest", "west", &directory.ClusterIssuerSpec{URL: "https://SHOP.example/oidc", Keys: directory.ClusterDiscovery})
		for i, name := range []string{"main", "Second", "third"} {
			s := spec(name)
			s.Subject, s.Issuer = fmt.Sprintf("repo:Shop/%d", i), "https://ci.example/"+name
			_, err := w.dir.AddCredential(w.ctx(), w.system, shop.parent(), s)
			w.ok(err)
		}
		names := func(list any, err error) string {
			w.Helper()
			w.ok(err)
			var got []string
			switch l := list.(type) {
			case directory.Paged[directory.Application]:
				for _, a := range l.Items {
					got = append(got, a.DisplayName)
				}
			case directory.Paged[directory.ServicePrincipal]:
				for _, a := range l.Items {
					got = append(got, a.DisplayName)
				}
			case directory.Paged[directory.Group]:
				for _, a := range l.Items {
					got = append(got, a.Name)
				}
			case directory.Paged[directory.Identity]:
				for _, a := range l.Items {
					got = append(got, a.Name)
				}
			case directory.Paged[directory.Cluster]:
				for _, a := range l.Items {
					got = append(got, a.Name)
				}
			case directory.Paged[directory.Credential]:
				for _, a := range l.Items {
					got = append(got, a.Name)
				}
			case directory.Paged[directory.Issuer]:
				for _, a := range l.Items {
					got = append(got, a.URL)
				}
			}
			return strings.Join(got, ", ")
		}
		kinds := map[string]func(directory.Page) string{
			"applications": func(p directory.Page) string {
				return names(w.dir.Applications(w.ctx(), w.system, directory.Filter{}, p))
			},
			"principals": func(p directory.Page) string {
				return names(w.dir.ServicePrincipals(w.ctx(), w.system, directory.Filter{}, p))
			},
			"groups": func(p directory.Page) string { return names(w.dir.Groups(w.ctx(), w.system, "", p)) },
			"groups of the subscription": func(p directory.Page) string {
				return names(w.dir.Groups(w.ctx(), w.system, w.subscription, p))
			},
			"identities": func(p directory.Page) string { return names(w.dir.Identities(w.ctx(), w.system, "", "", p)) },
			"identities of a group": func(p directory.Page) string {
				return names(w.dir.Identities(w.ctx(), w.system, w.subscription, "rest", p))
			},
			"clusters": func(p directory.Page) string { return names(w.dir.Clusters(w.ctx(), w.system, "", "", p)) },
			"issuers":  func(p directory.Page) string { return names(w.dir.Issuers(w.ctx(), w.system, p)) },
			"credentials": func(p directory.Page) string {
				return names(w.dir.Credentials(w.ctx(), w.system, shop.parent(), p))
			},
		}
		for _, c := range []struct{ kind, search, want string }{
			{"applications", "SHOP", "The Shop"},
			{"applications", "e s", "The Shop"},
			{"applications", "%", ""},
			{"applications", strings.ToUpper(shop.AppID), "The Shop"},
			{"applications", shop.app.ID, "The Shop"},
			{"applications", shop.principal.ID, ""},
			{"principals", "shop", "Shopping, The Shop"},
			{"principals", shop.principal.ID, "The Shop"},
			{"principals", shopping.ClientID, "Shopping"},
			{"groups", "sHOP", "Shops"},
			{"groups", "s", "rest, Shops"},
			{"groups of the subscription", "shop", "Shops"},
			{"identities", "shop", "Shopping"},
			{"identities", "\\", ""},
			{"identities", strings.ToUpper(shopping.PrincipalID), "Shopping"},
			{"identities of a group", "shop", ""},
			{"identities of a group", "UI", "quiet"},
			{"clusters", "PROD", "prod"},
			{"clusters", "shop.EXAMPLE", "west"},
			{"clusters", byURL.ID, "west"},
			{"issuers", "shop", "https://SHOP.example/oidc"},
			{"issuers", "ci.example/S", "https://ci.example/Second"},
			{"credentials", "sec", "Second"},
			{"credentials", "repo:shop/2", "third"},
			{"credentials", "example/MAIN", "main"},
			{"credentials", "REPO:", "Second, main, third"},
		} {
			got := kinds[c.kind](directory.Page{Search: c.search, Count: true})
			if c.kind == "credentials" { // whose order depends on the engine's collation
				parts := strings.Split(got, ", ")
				slices.Sort(parts)
				got = strings.Join(parts, ", ")
			}
			if got != c.want {
				w.Errorf("%s with %q: %q, want %q", c.kind, c.search, got, c.want)
			}
		}
		for kind, list := range kinds {
			for _, search := range []string{"\x00", "\xff", "'", `"`, "nothing", strings.Repeat("x", 5000), "$1", "?"} {
				if got := list(directory.Page{Search: search, Count: true}); got != "" {
					w.Errorf("%s with %.20q: %q", kind, search, got)
				}
			}
		}
	})
}

func TestTotals(t *testing.T) {
	each(t, func(w *world) {
		for i := range 12 {
			w.app(fmt.Sprintf("counted %d", i))
		}
		part := "counted"
		for _, c := range []struct {
			page  directory.Page
			total int
			more  bool
		}{
			{directory.Page{Limit: 5}, 0, false},
			{directory.Page{Limit: 5, Count: true}, 12, false},
			{directory.Page{Limit: 5, Count: true, Most: 10}, 10, true},
			{directory.Page{Limit: 5, Count: true, Most: 12}, 12, false},
			{directory.Page{Limit: 50, Count: true}, 12, false},
			{directory.Page{Limit: 5, Count: true, Search: "ED 1"}, 3, false},
		} {
			p, err := w.dir.Applications(w.ctx(), w.system, directory.Filter{NamePart: &part}, c.page)
			w.ok(err)
			if p.Total != c.total || p.More != c.more {
				w.Errorf("%+v: %d, more %v", c.page, p.Total, p.More)
			}
			if p.Next == "" {
				continue
			}
			c.page.After = p.Next
			second, err := w.dir.Applications(w.ctx(), w.system, directory.Filter{NamePart: &part}, c.page)
			w.ok(err)
			if second.Total != c.total || second.More != c.more {
				w.Errorf("second page of %+v: %d, more %v", c.page, second.Total, second.More)
			}
		}
	})
}

// Lists of a whole tenant hold what the caller's roles reach, in full pages.
func TestReach(t *testing.T) {
	each(t, func(w *world) {
		for _, group := range []string{"one", "two", "three"} {
			w.group(group)
			for i := range 4 {
				w.identity(group, fmt.Sprintf("%s-%d", []string{"x", "y"}[i%2], i))
				w.cluster(group, fmt.Sprintf("c%d", i), nil)
			}
		}
		sub := "/subscriptions/" + w.subscription
		one := directory.IdentityRef{SubscriptionID: w.subscription, Group: "three", Name: "x-0"}
		for name, c := range map[string]struct {
			scopes                       []string
			definition                   string
			groups, identities, clusters int
		}{
			"nothing":              {nil, roles.Reader, 0, 0, 0},
			"everything":           {[]string{"/"}, roles.Reader, 3, 12, 12},
			"the subscription":     {[]string{strings.ToUpper(sub[:15]) + sub[15:]}, roles.Reader, 3, 12, 12},
			"a group":              {[]string{sub + "/resourceGroups/TWO"}, roles.Reader, 1, 4, 4},
			"a group and one more": {[]string{sub + "/resourceGroups/two", one.ResourceID()}, roles.Reader, 1, 5, 4},
			"both of the same":     {[]string{sub + "/resourceGroups/two", sub}, roles.Reader, 3, 12, 12},
			"one identity":         {[]string{one.ResourceID()}, roles.Reader, 0, 1, 0},
			"of identities only":   {[]string{sub}, roles.ManagedIdentityOperator, 3, 12, 0},
			"of a provider":        {[]string{sub + "/resourceGroups/two/providers/Microsoft.ManagedIdentity"}, roles.Reader, 0, 4, 0},
			"below a resource":     {[]string{one.ResourceID() + "/federatedIdentityCredentials/x"}, roles.Reader, 0, 0, 0},
		} {
			caller := w.client(name).Caller
			for _, scope := range c.scopes {
				w.assign(caller.PrincipalID, c.definition, scope)
			}
			groups := all(w, 2, func(p directory.Page) (directory.Paged[directory.Group], error) {
				return w.dir.Groups(w.ctx(), caller, "", p)
			})
			identities := all(w, 3, func(p directory.Page) (directory.Paged[directory.Identity], error) {
				return w.dir.Identities(w.ctx(), caller, "", "", p)
			})
			clusters := all(w, 3, func(p directory.Page) (directory.Paged[directory.Cluster], error) {
				return w.dir.Clusters(w.ctx(), caller, "", "", p)
			})
			if len(groups) != c.groups || len(identities) != c.identities || len(clusters) != c.clusters {
				w.Errorf("%s: %d groups, %d identities, %d clusters", name, len(groups), len(identities), len(clusters))
			}
			if !slices.IsSortedFunc(identities, func(a, b directory.Identity) int { return strings.Compare(a.Name, b.Name) }) {
				w.Errorf("%s: identities are not by name: %v", name, identities)
			}
			counts, err := w.dir.Counts(w.ctx(), caller)
			w.ok(err)
			if want := (directory.Counts{Identities: directory.Tally{N: c.identities}, Clusters: directory.Tally{N: c.clusters}}); counts != want {
				w.Errorf("%s: %+v", name, counts)
			}
			p, err := w.dir.Identities(w.ctx(), caller, "", "", directory.Page{Limit: 1, Count: true})
			w.ok(err)
			if p.Total != c.identities {
				w.Errorf("%s: %d identities are counted", name, p.Total)
			}
		}
	})
}

// Whoever sees what it owns sees it in each order, and as many as it owns.
func TestListsOfAnOwner(t *testing.T) {
	each(t, func(w *world) {
		owner := w.client("owner", "Application.ReadWrite.OwnedBy")
		want := []string{}
		for i := range 9 {
			c := w.client(fmt.Sprintf("app %d", i))
			switch i % 3 {
			case 0:
				w.ok(w.dir.AddOwner(w.ctx(), w.system, c.ref(), owner.PrincipalID))
			case 1:
				w.ok(w.dir.AddPrincipalOwner(w.ctx(), w.system, c.principalRef(), owner.PrincipalID))
				continue
			default:
				continue
			}
			want = append(want, c.app.DisplayName)
			if i == 0 { // twice over
				w.ok(w.dir.AddPrincipalOwner(w.ctx(), w.system, c.principalRef(), owner.PrincipalID))
				w.credential(c.parent(), "one")
			}
		}
		for _, o := range []directory.Order{directory.ByName, directory.ByCreatedDown} {
			apps := all(w, 2, func(p directory.Page) (directory.Paged[directory.Application], error) {
				return w.dir.Applications(w.ctx(), owner.Caller, directory.Filter{Order: o}, p)
			})
			principals := all(w, 2, func(p directory.Page) (directory.Paged[directory.ServicePrincipal], error) {
				return w.dir.ServicePrincipals(w.ctx(), owner.Caller, directory.Filter{Order: o}, p)
			})
			if len(apps) != len(want) || len(principals) != 6 {
				w.Errorf("by %q: %d applications and %d service principals", o, len(apps), len(principals))
			}
		}
		counts, err := w.dir.Counts(w.ctx(), owner.Caller)
		w.ok(err)
		if counts.Applications.N != len(want) || counts.Credentials.N != 1 {
			w.Errorf("%+v", counts)
		}
		nobody, err := w.dir.Counts(w.ctx(), w.client("nobody").Caller)
		if err != nil || nobody != (directory.Counts{}) {
			w.Errorf("%+v, %v", nobody, err)
		}
	})
}

func TestCredentialByID(t *testing.T) {
	each(t, func(w *world) {
		w.group("g")
		owned, other := w.client("owned"), w.client("other")
		m := w.identity("g", "mine")
		ofApp, ofIdentity := w.credential(owned.parent(), "app"), w.credential(parentIdentity(m), "identity")
		owner := w.client("owner", "Application.ReadWrite.OwnedBy")
		w.ok(w.dir.AddOwner(w.ctx(), w.system, owned.ref(), owner.PrincipalID))
		reader, graph := w.holder("reader", roles.Reader, "/"), w.client("graph", "Application.Read.All")
		for _, c := range []struct {
			who             string
			caller          directory.Caller
			app, identities bool
		}{
			{"system", w.system, true, true}, {"admin", w.admin, true, true}, {"owner", owner.Caller, true, false},
			{"reader", reader.Caller, false, true}, {"graph", graph.Caller, true, false}, {"other", other.Caller, false, false},
		} {
			for id, may := range map[string]bool{ofApp.ID: c.app, strings.ToUpper(ofIdentity.ID): c.identities, w.tenant.ID: false, "\x00": false, "": false} {
				got, parent, err := w.dir.CredentialByID(w.ctx(), c.caller, id)
				if !may {
					if e := w.kind(err, directory.NotFound); e.Object != directory.CredentialObject || e.ID != id {
						w.Errorf("%s: %+v", c.who, e)
					}
					continue
				}
				w.ok(err)
				again, err := w.dir.Credential(w.ctx(), c.caller, parent, got.ID)
				w.ok(err)
				if diff := cmp.Diff(again, got); diff != "" || !strings.EqualFold(got.ID, id) {
					w.Error(diff)
				}
			}
		}
		w.ok(w.dir.DeleteApplication(w.ctx(), w.system, owned.ref()))
		_, _, err := w.dir.CredentialByID(w.ctx(), w.admin, ofApp.ID)
		w.kind(err, directory.NotFound)
	})
}

func TestPrincipalNames(t *testing.T) {
	each(t, func(w *world) {
		w.group("g")
		m, app := w.identity("g", "mine"), w.client("app")
		owner, reader := w.client("owner", "Application.ReadWrite.OwnedBy"), w.holder("reader", roles.Reader, "/")
		w.ok(w.dir.AddOwner(w.ctx(), w.system, app.ref(), owner.PrincipalID))
		gone := w.client("gone")
		w.ok(w.dir.DeleteServicePrincipal(w.ctx(), w.system, gone.principalRef()))
		ids := []string{m.PrincipalID, strings.ToUpper(app.PrincipalID), app.PrincipalID, owner.PrincipalID, reader.PrincipalID, gone.PrincipalID, w.tenant.ID, "x", "\x00", ""}
		for name, c := range map[string]struct {
			caller directory.Caller
			want   []string
		}{
			"admin":  {w.admin, []string{"app", "mine", "owner", "reader"}},
			"owner":  {owner.Caller, []string{"app", "owner"}},
			"reader": {reader.Caller, []string{"mine", "reader"}},
			"app":    {app.Caller, []string{"app"}},
		} {
			got, err := w.dir.PrincipalNames(w.ctx(), c.caller, ids)
			w.ok(err)
			if diff := cmp.Diff(c.want, slices.Sorted(maps.Values(got))); diff != "" {
				w.Errorf("%s: %s", name, diff)
			}
			if name == "app" && got[app.PrincipalID] != "app" {
				w.Errorf("%v", got)
			}
		}
		none, err := w.dir.PrincipalNames(w.ctx(), w.admin, []string{"x"})
		if err != nil || len(none) != 0 {
			w.Errorf("%v, %v", none, err)
		}
		_, err = w.dir.PrincipalNames(w.ctx(), gone.Caller, nil)
		w.kind(err, directory.Unauthenticated)
	})
}

func TestAllRoleAssignments(t *testing.T) {
	each(t, func(w *world) {
		w.group("one")
		w.group("one-more")
		sub := "/subscriptions/" + w.subscription
		holder, other := w.client("Holder"), w.client("other")
		for _, scope := range []string{"/", sub, sub + "/resourceGroups/ONE", sub + "/resourceGroups/one-more"} {
			w.assign(holder.PrincipalID, roles.Contributor, scope)
		}
		w.assign(other.PrincipalID, roles.Reader, sub+"/resourceGroups/one")
		list := func(c directory.Caller, scope string, f directory.AssignmentFilter, search string) []directory.RoleAssignment {
			w.Helper()
			return all(w, 2, func(p directory.Page) (directory.Paged[directory.RoleAssignment], error) {
				p.Search = search
				return w.dir.AllRoleAssignments(w.ctx(), c, scope, f, p)
			})
		}
		mine := directory.AssignmentFilter{PrincipalID: strings.ToUpper(holder.PrincipalID)}
		for _, c := range []struct {
			name, scope string
			filter      directory.AssignmentFilter
			search      string
			want        int
		}{
			{"of a principal", "", mine, "", 4},
			{"of a role", "", directory.AssignmentFilter{PrincipalID: holder.PrincipalID, DefinitionID: roles.Reader}, "", 0},
			{"around a group", sub + "/resourcegroups/One/", mine, "", 3},
			{"at a group", sub + "/resourceGroups/one", directory.AssignmentFilter{PrincipalID: holder.PrincipalID, AtScope: true}, "", 3},
			{"around the subscription", sub, mine, "", 4},
			{"at the subscription", sub, directory.AssignmentFilter{PrincipalID: holder.PrincipalID, AtScope: true}, "", 2},
			{"at the top", "/", directory.AssignmentFilter{PrincipalID: holder.PrincipalID, AtScope: true}, "", 1},
			{"around the top", "/", mine, "", 4},
			{"search of a name", "", directory.AssignmentFilter{}, "hOLD", 4},
			{"search of a scope", "", mine, "groups/ONE", 2},
			{"search of an id", "", directory.AssignmentFilter{}, other.PrincipalID, 1},
			{"search of nothing", "", directory.AssignmentFilter{}, "\x00", 0},
		} {
			got := list(w.admin, c.scope, c.filter, c.search)
			if len(got) != c.want {
				w.Errorf("%s: %d, want %d: %+v", c.name, len(got), c.want, got)
			}
			if c.scope != "" && c.search == "" {
				want, err := w.dir.RoleAssignments(w.ctx(), w.admin, c.scope, c.filter)
				w.ok(err)
				if len(want) != len(got) {
					w.Errorf("%s: %d, and RoleAssignments has %d", c.name, len(got), len(want))
				}
			}
		}
		// The reader of a group sees what is assigned on it and below it.
		for name, c := range map[string]struct {
			caller directory.Caller
			want   int
		}{"reader of a group": {other.Caller, 2}, "nobody": {w.client("nobody").Caller, 0}} {
			if got := list(c.caller, "", directory.AssignmentFilter{}, ""); len(got) != c.want {
				w.Errorf("%s: %+v", name, got)
			}
		}
		for _, after := range []string{"x", strings.Repeat("x", 40), "\x00" + strings.Repeat("/", 40)} {
			_, err := w.dir.AllRoleAssignments(w.ctx(), w.admin, "", directory.AssignmentFilter{}, directory.Page{After: after})
			w.ok(err)
		}
	})
}

func TestEventFilters(t *testing.T) {
	each(t, func(w *world) {
		w.clock.Advance(time.Hour)
		from := w.clock.Now()
		writer := w.client("writer", "Application.ReadWrite.All")
		app, err := w.dir.CreateApplication(w.ctx(), writer.Caller, directory.Application{DisplayName: "Needle"})
		w.ok(err)
		c, err := w.dir.AddCredential(w.ctx(), writer.Caller, parentApp(app), spec("pin"))
		w.ok(err)
		w.clock.Advance(time.Hour)
		w.app("later")
		for name, c := range map[string]struct {
			filter directory.EventFilter
			search string
			want   int // -1: at least one
		}{
			"actor":          {directory.EventFilter{Actor: writer.PrincipalID}, "", 2},
			"actor's client": {directory.EventFilter{Actor: strings.ToUpper(writer.AppID)}, "", 2},
			"actor's name":   {directory.EventFilter{Actor: "test", From: from.Add(time.Minute)}, "", 1},
			"action":         {directory.EventFilter{Actor: writer.PrincipalID, Action: "Microsoft.Directory/applications/c"}, "", 2},
			"whole action":   {directory.EventFilter{Actor: writer.PrincipalID, Action: "microsoft.directory/applications/create"}, "", 1},
			"no action":      {directory.EventFilter{Action: "icrosoft"}, "", 0},
			"no pattern":     {directory.EventFilter{Action: "microsoft%"}, "", 0},
			"object":         {directory.EventFilter{Object: directory.CredentialObject}, "", 1},
			"target":         {directory.EventFilter{TargetID: c.ID}, "", 1},
			"all of a thing": {directory.EventFilter{TargetID: strings.ToUpper(app.ID)}, "", 2},
			"times":          {directory.EventFilter{From: from, To: from.Add(time.Hour), Actor: writer.PrincipalID}, "", 2},
			"later":          {directory.EventFilter{From: from.Add(time.Hour)}, "", 1},
			"earlier":        {directory.EventFilter{To: from}, "needle", 0},
			"search":         {directory.EventFilter{}, "nEEdle", 1},
			"search of both": {directory.EventFilter{Object: directory.ApplicationObject}, "E", -1},
			"search of id":   {directory.EventFilter{}, writer.PrincipalID, -1},
			"nothing":        {directory.EventFilter{Actor: "\x00"}, "\xff", 0},
		} {
			got := all(w, 1, func(p directory.Page) (directory.Paged[directory.Event], error) {
				p.Search = c.search
				return w.dir.Events(w.ctx(), w.admin, c.filter, p)
			})
			if len(got) != c.want && (c.want >= 0 || len(got) == 0) {
				w.Errorf("%s: %d: %+v", name, len(got), got)
			}
		}
		if at := directory.EventsReached("x"); !at.IsZero() {
			w.Errorf("reached %v", at)
		}
	})
}

// A list by name that is read down is the one that is read up turned round, in
// pages of each size.
func TestDown(t *testing.T) {
	each(t, func(w *world) {
		app := w.client("holder")
		w.group("one")
		holder := w.identity("one", "holder")
		var prod directory.ClusterRef
		for i, name := range []string{"delta", "Alpha-x", "charlie-x", "alpha2", "Bravo-X", "echo"} {
			w.group("g-" + name)
			for _, group := range []string{"one", "g-delta", "g-Alpha-x"}[:i%3+1] { // some names are in several groups
				w.identity(group, name)
				prod = w.cluster(group, name, nil).ClusterRef
			}
			for _, p := range []directory.Parent{app.parent(), parentIdentity(holder)} {
				s := spec(name)
				s.Issuer = "https://" + name + ".example"
				_, err := w.dir.AddCredential(w.ctx(), w.system, p, s)
				w.ok(err)
			}
		}
		_, _, err := w.dir.PutIssuer(w.ctx(), w.system, directory.Issuer{Name: "By-hand", URL: "https://x.example/by-hand", KeySource: directory.UploadedKeys, KeySet: keySet})
		w.ok(err)
		_, err = w.dir.ReportServiceAccounts(w.ctx(), w.system, prod, accounts("pets/web", "pets/xy", "a/web", "zoo/x", "zoo/web"))
		w.ok(err)
		reader := w.holder("reader", roles.Reader, "/subscriptions/"+w.subscription+"/resourceGroups/one").Caller

		for name, list := range map[string]func(size int, ask directory.Page) []string{
			"groups": func(size int, ask directory.Page) []string {
				return every(w, size, ask, directory.Group.Scope, func(p directory.Page) (directory.Paged[directory.Group], error) {
					return w.dir.Groups(w.ctx(), w.system, "", p)
				})
			},
			"groups of a subscription": func(size int, ask directory.Page) []string {
				return every(w, size, ask, directory.Group.Scope, func(p directory.Page) (directory.Paged[directory.Group], error) {
					return w.dir.Groups(w.ctx(), w.system, w.subscription, p)
				})
			},
			"identities": w.identitiesOf(w.system, "", ""), "identities of a subscription": w.identitiesOf(w.system, w.subscription, ""),
			"identities of a group": w.identitiesOf(w.system, w.subscription, "one"), "identities that a reader sees": w.identitiesOf(reader, "", ""),
			"clusters": w.clustersOf("", ""), "clusters of a subscription": w.clustersOf(w.subscription, ""), "clusters of a group": w.clustersOf(w.subscription, "one"),
			"issuers": func(size int, ask directory.Page) []string {
				return every(w, size, ask, func(i directory.Issuer) string { return i.Name }, func(p directory.Page) (directory.Paged[directory.Issuer], error) {
					return w.dir.Issuers(w.ctx(), w.system, p)
				})
			},
			"credentials of an application": w.credentialsOf(app.parent()), "credentials of an identity": w.credentialsOf(parentIdentity(holder)),
			"service accounts": func(size int, ask directory.Page) []string {
				return every(w, size, ask, accountText, func(p directory.Page) (directory.Paged[directory.ServiceAccount], error) {
					found, _, err := w.dir.ServiceAccounts(w.ctx(), w.system, prod, "", p)
					return found, err
				})
			},
			"namespaces": func(size int, ask directory.Page) []string {
				return every(w, size, ask, func(n directory.Namespace) string { return n.Name }, func(p directory.Page) (directory.Paged[directory.Namespace], error) {
					found, _, err := w.dir.Namespaces(w.ctx(), w.system, prod, p)
					return found, err
				})
			},
		} {
			for _, search := range []string{"", "X"} {
				want := list(50, directory.Page{Search: search})
				if slices.Reverse(want); len(want) < 2 {
					w.Errorf("%s with %q: %q is too little to compare", name, search, want)
				}
				for _, size := range []int{1, 2, 3, len(want), 50} {
					if diff := cmp.Diff(want, list(size, directory.Page{Search: search, Down: true})); diff != "" {
						w.Errorf("%s with %q in pages of %d: %s", name, search, size, diff)
					}
				}
			}
			for _, after := range []string{"x", "/", "//", "\x00", "\xff/x/y", strings.Repeat("x/", 100)} {
				list(50, directory.Page{After: after, Down: true})
			}
		}
	})
}

// every is all of a list that ask begins, each as a text, and no two the same.
func every[T any](w *world, size int, ask directory.Page, text func(T) string, list func(directory.Page) (directory.Paged[T], error)) []string {
	w.Helper()
	texts := []string{}
	for _, item := range all(w, size, func(p directory.Page) (directory.Paged[T], error) {
		p.Search, p.Down = ask.Search, ask.Down
		if p.After == "" {
			p.After = ask.After
		}
		return list(p)
	}) {
		if slices.Contains(texts, text(item)) {
			w.Errorf("%s is there twice", text(item))
		}
		texts = append(texts, text(item))
	}
	return texts
}

func (w *world) identitiesOf(c directory.Caller, subscription, group string) func(int, directory.Page) []string {
	return func(size int, ask directory.Page) []string {
		return every(w, size, ask, func(m directory.Identity) string { return m.ResourceID() }, func(p directory.Page) (directory.Paged[directory.Identity], error) {
			return w.dir.Identities(w.ctx(), c, subscription, group, p)
		})
	}
}

func (w *world) clustersOf(subscription, group string) func(int, directory.Page) []string {
	return func(size int, ask directory.Page) []string {
		return every(w, size, ask, func(k directory.Cluster) string { return k.ResourceID() }, func(p directory.Page) (directory.Paged[directory.Cluster], error) {
			return w.dir.Clusters(w.ctx(), w.system, subscription, group, p)
		})
	}
}

func (w *world) credentialsOf(parent directory.Parent) func(int, directory.Page) []string {
	return func(size int, ask directory.Page) []string {
		return every(w, size, ask, func(c directory.Credential) string { return c.Name }, func(p directory.Page) (directory.Paged[directory.Credential], error) {
			return w.dir.Credentials(w.ctx(), w.system, parent, p)
		})
	}
}
