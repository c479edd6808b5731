package directory_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
)

func TestGroup(t *testing.T) {
	each(t, func(w *world) {
		g := directory.Group{SubscriptionID: strings.ToUpper(w.subscription), Name: "My.Group_(ü)-1", Location: location, Tags: map[string]string{"a": "1"}}
		made, created, err := w.dir.PutGroup(w.ctx(), w.system, g)
		w.ok(err)
		want := g
		want.SubscriptionID, want.CreatedAt = w.subscription, start
		if diff := cmp.Diff(want, made); diff != "" || !created {
			w.Errorf("created %v (-want +got):\n%s", created, diff)
		}
		read, err := w.dir.Group(w.ctx(), w.system, w.subscription, "MY.GROUP_(Ü)-1")
		w.ok(err)
		if diff := cmp.Diff(want, read); diff != "" {
			w.Errorf("(-want +read):\n%s", diff)
		}
		put, created, err := w.dir.PutGroup(w.ctx(), w.system, directory.Group{SubscriptionID: w.subscription, Name: "my.group_(ü)-1"})
		w.ok(err)
		want.Tags = nil
		if diff := cmp.Diff(want, put); diff != "" || created {
			w.Errorf("again, created %v (-want +got):\n%s", created, diff)
		}
		_, _, err = w.dir.PutGroup(w.ctx(), w.system, directory.Group{SubscriptionID: w.subscription, Name: g.Name, Location: "eastus"})
		if e := w.kind(err, directory.Immutable); e.Field != "location" {
			w.Errorf("got %+v", e)
		}
		want.Tags = map[string]string{"b": "2"}
		for _, tags := range []*map[string]string{&want.Tags, nil} { // none leaves them
			put, err = w.dir.UpdateGroup(w.ctx(), w.system, w.subscription, g.Name, tags)
			w.ok(err)
			if diff := cmp.Diff(want, put); diff != "" {
				w.Errorf("updated (-want +got):\n%s", diff)
			}
		}
		_, err = w.dir.UpdateGroup(w.ctx(), w.system, w.subscription, g.Name, &map[string]string{"": "x"})
		w.kind(err, directory.Invalid)
		w.ok(w.dir.DeleteGroup(w.ctx(), w.system, w.subscription, g.Name))
		_, err = w.dir.UpdateGroup(w.ctx(), w.system, w.subscription, g.Name, &want.Tags)
		w.kind(err, directory.NotFound)
		e := w.kind(w.dir.DeleteGroup(w.ctx(), w.system, w.subscription, g.Name), directory.NotFound)
		if e.Object != directory.GroupObject {
			w.Errorf("got %+v", e)
		}
	})
}

func TestGroupRules(t *testing.T) {
	tags := map[string]string{}
	for i := range 51 {
		tags[fmt.Sprint(i)] = ""
	}
	each(t, func(w *world) {
		for field, list := range map[string][]directory.Group{
			"name":     {{}, {Name: "a."}, {Name: "a/b"}, {Name: "a b"}, {Name: "a\x00"}, {Name: "a\n"}, {Name: "\xff"}, {Name: strings.Repeat("a", 91)}},
			"location": {{Name: "g"}, {Name: "g", Location: strings.Repeat("l", 65)}, {Name: "g", Location: "\x00"}},
			"tags":     {{Name: "g", Location: location, Tags: tags}, {Name: "g", Location: location, Tags: map[string]string{"": "x"}}, {Name: "g", Location: location, Tags: map[string]string{"x": "\x00"}}, {Name: "g", Location: location, Tags: map[string]string{"x": strings.Repeat("x", 257)}}},
		} {
			for _, g := range list {
				g.SubscriptionID = w.subscription
				_, _, err := w.dir.PutGroup(w.ctx(), w.system, g)
				if e := w.kind(err, directory.Invalid); e.Field != field {
					w.Errorf("%+v: got %+v, want an invalid %s", g, e, field)
				}
			}
		}
	})
}

func TestGroupsInPages(t *testing.T) {
	each(t, func(w *world) {
		for i := range 12 {
			w.group(fmt.Sprintf("%s%02d", []string{"a-b", "A_b", "aB"}[i%3], i))
		}
		reader := w.client("reader")
		w.assign(reader.PrincipalID, roles.Reader, "/subscriptions/"+w.subscription+"/resourceGroups/A-B00")
		w.assign(reader.PrincipalID, roles.Reader, "/subscriptions/"+w.subscription+"/resourceGroups/ab11")
		for _, c := range []struct {
			caller directory.Caller
			want   int
		}{{w.system, 12}, {w.admin, 12}, {reader.Caller, 2}} {
			seen := map[string]bool{}
			page := directory.Page{Limit: 5}
			for range 10 {
				p, err := w.dir.Groups(w.ctx(), c.caller, w.subscription, page)
				w.ok(err)
				for _, g := range p.Items {
					seen[g.Name] = true
				}
				if page.After = p.Next; p.Next == "" {
					break
				}
			}
			if len(seen) != c.want {
				w.Errorf("%+v sees %v, want %d", c.caller, seen, c.want)
			}
		}
	})
}

// What is in a group, and what was assigned on it, goes with it: a new group
// of the name starts empty.
func TestGroupGoesWithAllThatIsInIt(t *testing.T) {
	each(t, func(w *world) {
		g, kept := w.group("Gone"), w.group("gone2")
		in, out := w.identity("gone", "inside"), w.identity("gone2", "outside")
		w.credential(parentIdentity(in), "one")
		w.credential(parentIdentity(out), "one")
		w.grant(in.PrincipalID, "Application.Read.All")
		w.assign(in.PrincipalID, roles.Reader, "/")
		holder := w.client("holder")
		for _, scope := range []string{g.Scope(), strings.ToUpper(g.Scope()) + "/", in.ResourceID(), kept.Scope(), out.ResourceID()} {
			if _, err := w.dir.AddRoleAssignment(w.ctx(), w.system, directory.RoleAssignment{Name: uuid.NewString(), Scope: scope, DefinitionID: roles.Contributor, PrincipalID: holder.PrincipalID}); err != nil && kindOf(err) != string(directory.Exists) {
				w.Fatal(err)
			}
		}
		w.ok(w.dir.DeleteGroup(w.ctx(), w.system, w.subscription, "GONE"))
		if m := w.match(in.ClientID, spec("one")); m.Client.PrincipalID != "" {
			w.Error("an identity of the group still matches")
		}
		if m := w.match(out.ClientID, spec("one")); m.Miss != "" {
			w.Errorf("an identity of another group is a miss: %s", m.Miss)
		}
		left, err := w.dir.RoleAssignments(w.ctx(), w.system, "/", directory.AssignmentFilter{PrincipalID: strings.ToUpper(holder.PrincipalID)})
		w.ok(err)
		scopes := map[string]bool{}
		for _, a := range left {
			scopes[a.Scope] = true
		}
		if diff := cmp.Diff(map[string]bool{kept.Scope(): true, out.ResourceID(): true}, scopes); diff != "" {
			w.Errorf("left assignments (-want +got):\n%s", diff)
		}
		for table, condition := range map[string]string{"credentials": "parent_id = $1", "service_principals": "id = $1", "role_assignments": "principal_id = $1", "app_role_assignments": "principal_id = $1", "managed_identities": "id = $1"} {
			if n := w.rows(table, condition, in.PrincipalID); n != 0 {
				w.Errorf("%d rows of %s are left", n, table)
			}
		}
	})
}

// An identity that is put into a group while that is deleted goes too, or comes
// too late; it is never left without a group.
func TestGroupAndIdentityInParallel(t *testing.T) {
	each(t, func(w *world) {
		for range 10 {
			w.group("g")
			var wg sync.WaitGroup
			for i := range 4 {
				wg.Go(func() {
					_, _, err := w.dir.PutIdentity(w.ctx(), w.system, w.newIdentity("g", fmt.Sprintf("identity%d", i)))
					if err != nil && kindOf(err) != string(directory.NotFound) {
						t.Errorf("put: %v", err)
					}
				})
			}
			wg.Go(func() {
				if err := w.dir.DeleteGroup(w.ctx(), w.system, w.subscription, "g"); err != nil {
					t.Errorf("delete: %v", err)
				}
			})
			wg.Wait()
			if n := w.rows("managed_identities", "1 = 1"); n != 0 {
				w.Fatalf("%d identities are left without their group", n)
			}
		}
	})
}

func TestGroupPutInParallel(t *testing.T) {
	each(t, func(w *world) {
		var mu sync.Mutex
		made, kept := 0, map[string]bool{}
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				g, created, err := w.dir.PutGroup(w.ctx(), w.system, directory.Group{SubscriptionID: w.subscription, Name: []string{"g", "G"}[i%2], Location: location, Tags: map[string]string{"by": fmt.Sprint(i)}})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Errorf("put: %v", err)
				}
				if kept[g.Name] = true; created {
					made++
				}
			})
		}
		wg.Wait()
		if made != 1 || len(kept) != 1 {
			w.Errorf("%d were made, with the names %v; want one", made, kept)
		}
	})
}
