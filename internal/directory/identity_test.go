package directory_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
)

func TestIdentity(t *testing.T) {
	each(t, func(w *world) {
		w.group("My-Group")
		in := w.newIdentity("MY-group", "Mine_1")
		in.Tags, in.IsolationScope = map[string]string{"a": "1"}, "Regional"
		made, created, err := w.dir.PutIdentity(w.ctx(), w.system, in)
		w.ok(err)
		want := in
		want.TenantID, want.PrincipalID, want.ClientID, want.CreatedAt = w.tenant.ID, made.PrincipalID, made.ClientID, start
		if diff := cmp.Diff(want, made); diff != "" || !created || made.PrincipalID == made.ClientID || !directory.IsID(made.ClientID) {
			w.Errorf("created %v %+v (-want +got):\n%s", created, made, diff)
		}
		if got, want := made.ResourceID(), "/subscriptions/"+w.subscription+"/resourcegroups/MY-group/providers/Microsoft.ManagedIdentity/userAssignedIdentities/Mine_1"; got != want {
			w.Errorf("its ARM id is %q, want %q", got, want)
		}
		ref := directory.IdentityRef{SubscriptionID: strings.ToUpper(w.subscription), Group: "my-group", Name: "mine_1"}
		read, err := w.dir.Identity(w.ctx(), w.system, ref)
		w.ok(err)
		if diff := cmp.Diff(want, read); diff != "" {
			w.Errorf("(-want +read):\n%s", diff)
		}
		again := w.newIdentity("my-group", "MINE_1")
		again.Location = "WestEurope"
		put, created, err := w.dir.PutIdentity(w.ctx(), w.system, again)
		w.ok(err)
		want.Tags = nil
		if diff := cmp.Diff(want, put); diff != "" || created {
			w.Errorf("again, created %v (-want +got):\n%s", created, diff)
		}
		again.Location = "eastus"
		_, _, err = w.dir.PutIdentity(w.ctx(), w.system, again)
		if e := w.kind(err, directory.Immutable); e.Field != "location" {
			w.Errorf("got %+v", e)
		}
		updated, err := w.dir.UpdateIdentity(w.ctx(), w.system, ref, directory.IdentityEdit{Tags: &map[string]string{"b": "2"}})
		w.ok(err)
		want.Tags = map[string]string{"b": "2"}
		if diff := cmp.Diff(want, updated); diff != "" {
			w.Errorf("updated (-want +got):\n%s", diff)
		}
		w.ok(w.dir.DeleteIdentity(w.ctx(), w.system, ref))
		e := w.kind(w.dir.DeleteIdentity(w.ctx(), w.system, ref), directory.NotFound)
		if e.Object != directory.IdentityObject || e.Group != ref.Group {
			w.Errorf("got %+v", e)
		}
		_, err = w.dir.UpdateIdentity(w.ctx(), w.system, ref, directory.IdentityEdit{})
		w.kind(err, directory.NotFound)
		back, created, err := w.dir.PutIdentity(w.ctx(), w.system, in)
		w.ok(err)
		if !created || back.PrincipalID == made.PrincipalID || back.ClientID == made.ClientID {
			w.Error("a new identity of the name has the ids of the old one")
		}
	})
}

func TestIdentityRules(t *testing.T) {
	each(t, func(w *world) {
		w.group("g")
		for field, names := range map[string][]string{"name": {"", "ab", "-abc", "a b c", "a.bc", "abc\x00", "abc\n", "äbc", strings.Repeat("a", 129)}} {
			for _, name := range names {
				_, _, err := w.dir.PutIdentity(w.ctx(), w.system, w.newIdentity("g", name))
				if e := w.kind(err, directory.Invalid); e.Field != field {
					w.Errorf("%q: got %+v", name, e)
				}
			}
		}
		odd := w.newIdentity("g", "abc")
		odd.IsolationScope = "Zonal"
		_, _, err := w.dir.PutIdentity(w.ctx(), w.system, odd)
		if e := w.kind(err, directory.Invalid); e.Field != "isolationScope" {
			w.Errorf("got %+v", e)
		}
		nowhere := w.newIdentity("g", "abc")
		nowhere.Location = ""
		_, _, err = w.dir.PutIdentity(w.ctx(), w.system, nowhere)
		if e := w.kind(err, directory.Invalid); e.Field != "location" {
			w.Errorf("got %+v", e)
		}
		m := w.identity("g", "abc")
		_, err = w.dir.UpdateIdentity(w.ctx(), w.system, m.IdentityRef, directory.IdentityEdit{IsolationScope: ptr("Zonal")})
		w.kind(err, directory.Invalid)
		_, err = w.dir.UpdateIdentity(w.ctx(), w.system, m.IdentityRef, directory.IdentityEdit{Tags: &map[string]string{"": "x"}})
		w.kind(err, directory.Invalid)
		_, _, err = w.dir.PutIdentity(w.ctx(), w.system, w.newIdentity("none", "abc"))
		if e := w.kind(err, directory.NotFound); e.Object != directory.GroupObject {
			w.Errorf("got %+v", e)
		}
		other := w.newIdentity("g", "abc")
		other.SubscriptionID = "none"
		_, _, err = w.dir.PutIdentity(w.ctx(), w.system, other)
		if e := w.kind(err, directory.NotFound); e.Object != directory.SubscriptionObject {
			w.Errorf("got %+v", e)
		}
	})
}

func TestIdentitiesInPages(t *testing.T) {
	each(t, func(w *world) {
		for _, group := range []string{"one", "Two"} {
			w.group(group)
			for i := range 6 {
				w.identity(group, fmt.Sprintf("%s%d", []string{"a-b", "A_b", "aBc"}[i%3], i))
			}
		}
		reader := w.client("reader")
		w.assign(reader.PrincipalID, roles.Reader, "/subscriptions/"+w.subscription+"/resourceGroups/two")
		for name, c := range map[string]struct {
			caller directory.Caller
			group  string
			want   int
		}{
			"all":               {w.system, "", 12},
			"a group":           {w.system, "TWO", 6},
			"a group's reader":  {reader.Caller, "", 6},
			"a group by reader": {reader.Caller, "two", 6},
		} {
			seen := map[string]bool{}
			page := directory.Page{Limit: 4}
			for range 10 {
				p, err := w.dir.Identities(w.ctx(), c.caller, w.subscription, c.group, page)
				w.ok(err)
				for _, m := range p.Items {
					seen[m.ResourceID()] = true
				}
				if page.After = p.Next; p.Next == "" {
					break
				}
			}
			if len(seen) != c.want {
				w.Errorf("%s: %d are seen, want %d: %v", name, len(seen), c.want, seen)
			}
		}
		_, err := w.dir.Identities(w.ctx(), reader.Caller, w.subscription, "one", directory.Page{})
		w.kind(err, directory.Forbidden)
		_, err = w.dir.Identities(w.ctx(), w.system, w.subscription, "none", directory.Page{})
		w.kind(err, directory.NotFound)
	})
}

// A change of an identity that is being deleted does not bring it back.
func TestIdentityIsNotBroughtBack(t *testing.T) {
	each(t, func(w *world) {
		w.group("g")
		for range 10 {
			m := w.identity("g", "mine")
			var wg sync.WaitGroup
			wg.Go(func() {
				_, err := w.dir.UpdateIdentity(w.ctx(), w.system, m.IdentityRef, directory.IdentityEdit{Tags: &map[string]string{}})
				if err != nil && kindOf(err) != string(directory.NotFound) {
					t.Errorf("update: %v", err)
				}
			})
			wg.Go(func() {
				if err := w.dir.DeleteIdentity(w.ctx(), w.system, m.IdentityRef); err != nil {
					t.Errorf("delete: %v", err)
				}
			})
			wg.Wait()
			_, err := w.dir.Identity(w.ctx(), w.system, m.IdentityRef)
			w.kind(err, directory.NotFound)
		}
	})
}

// A credential that is added to an identity which is being deleted goes too.
func TestIdentityAndCredentialInParallel(t *testing.T) {
	each(t, func(w *world) {
		w.group("g")
		for range 10 {
			m := w.identity("g", "mine")
			var wg sync.WaitGroup
			for i := range 3 {
				wg.Go(func() {
					_, err := w.dir.AddCredential(w.ctx(), w.system, parentIdentity(m), spec(fmt.Sprintf("name%d", i)))
					if err != nil && kindOf(err) != string(directory.NotFound) {
						t.Errorf("add: %v", err)
					}
				})
			}
			wg.Go(func() {
				if err := w.dir.DeleteIdentity(w.ctx(), w.system, m.IdentityRef); err != nil {
					t.Errorf("delete: %v", err)
				}
			})
			wg.Wait()
			if n := w.rows("credentials", "parent_id = $1", m.PrincipalID); n != 0 {
				w.Fatalf("%d credentials are left without their identity", n)
			}
		}
	})
}

func TestIdentityPutInParallel(t *testing.T) {
	each(t, func(w *world) {
		w.group("g")
		var mu sync.Mutex
		made, ids := 0, map[string]bool{}
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				m, created, err := w.dir.PutIdentity(w.ctx(), w.system, w.newIdentity([]string{"g", "G"}[i%2], "mine"))
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Errorf("put: %v", err)
				}
				if ids[m.PrincipalID] = true; created {
					made++
				}
			})
		}
		wg.Wait()
		if made != 1 || len(ids) != 1 {
			w.Errorf("%d were made, with %d ids; want one", made, len(ids))
		}
	})
}
