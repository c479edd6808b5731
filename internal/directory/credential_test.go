package directory_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
)

// parents runs a test below an application and below a managed identity.
func parents(w *world, test func(w *world, p directory.Parent)) {
	app := w.app("parent")
	w.group("g")
	identity := w.identity("g", "parent")
	w.run("application", func(w *world) { test(w, parentApp(app)) })
	w.run("identity", func(w *world) { test(w, parentIdentity(identity)) })
}

func TestCredentialIsReadAsItWasWritten(t *testing.T) {
	each(t, func(w *world) {
		parents(w, func(w *world, p directory.Parent) {
			s := spec("one")
			s.Description, s.Subject = "two\nlines", "repo:Org/Repo:environment:Prod ü 𝕏"
			added, err := w.dir.AddCredential(w.ctx(), w.system, p, s)
			w.ok(err)
			if diff := cmp.Diff(s, added.Spec); diff != "" || !directory.IsID(added.ID) || !added.CreatedAt.Equal(start) {
				w.Errorf("added %+v:\n%s", added, diff)
			}
			for _, by := range []string{added.ID, strings.ToUpper(added.ID), "one"} {
				got, err := w.dir.Credential(w.ctx(), w.system, p, by)
				w.ok(err)
				if diff := cmp.Diff(added, got); diff != "" {
					w.Errorf("by %q (-added +read):\n%s", by, diff)
				}
			}
			_, err = w.dir.Credential(w.ctx(), w.system, p, "two")
			if e := w.kind(err, directory.NotFound); e.Object != directory.CredentialObject || e.ID != "two" {
				w.Errorf("got %+v", e)
			}
		})
	})
}

func TestCredentialRules(t *testing.T) {
	change := func(f func(*credential.Spec)) credential.Spec {
		s := spec("new")
		f(&s)
		return s
	}
	each(t, func(w *world) {
		parents(w, func(w *world, p directory.Parent) {
			for _, c := range []struct {
				field string
				spec  credential.Spec
			}{
				{"name", change(func(s *credential.Spec) { s.Name = "" })},
				{"name", change(func(s *credential.Spec) { s.Name = "a/b" })},
				{"name", change(func(s *credential.Spec) { s.Name = "nul\x00" })},
				{"name", change(func(s *credential.Spec) { s.Name = strings.Repeat("n", 121) })},
				{"issuer", change(func(s *credential.Spec) { s.Issuer = "" })},
				{"issuer", change(func(s *credential.Spec) { s.Issuer = "http://issuer.example" })},
				{"issuer", change(func(s *credential.Spec) { s.Issuer = "https://issuer.example/" + strings.Repeat("p", 600) })},
				{"subject", change(func(s *credential.Spec) { s.Subject = "" })},
				{"subject", change(func(s *credential.Spec) { s.Subject = "nul\x00" })},
				{"subject", change(func(s *credential.Spec) { s.Subject = "not \xff UTF-8" })},
				{"subject", change(func(s *credential.Spec) { s.Subject = strings.Repeat("ü", 601) })},
				{"audiences", change(func(s *credential.Spec) { s.Audiences = nil })},
				{"audiences", change(func(s *credential.Spec) { s.Audiences = []string{"a", "b"} })},
				{"audiences", change(func(s *credential.Spec) { s.Audiences = []string{""} })},
				{"description", change(func(s *credential.Spec) { s.Description = strings.Repeat("d", 601) })},
			} {
				_, err := w.dir.AddCredential(w.ctx(), w.system, p, c.spec)
				e := w.kind(err, directory.Invalid)
				if _, ok := errors.AsType[*credential.Violation](err); !ok || e.Field != c.field || e.Spec == nil {
					w.Errorf("%+v: got %+v, want a violation of %q", c.spec, e, c.field)
				}
			}
			if n := w.rows("credentials", "name_key = 'new'"); n != 0 {
				w.Errorf("%d refused credentials were kept", n)
			}
		})
	})
}

func TestCredentialNamesOfGraphAndARM(t *testing.T) {
	each(t, func(w *world) {
		azwi := credential.AzwiName("default", "sa", issuerURL)
		parents(w, func(w *world, p directory.Parent) {
			graph := p.Application != nil
			put := func(name, subject string) error {
				s := spec(name)
				s.Subject = subject
				_, _, err := w.dir.PutCredential(w.ctx(), w.system, p, s)
				return err
			}
			for _, c := range []struct {
				name  string
				graph bool
				arm   bool
			}{
				{azwi, true, false},
				{"-begins", true, false},
				{"x", true, false},
				{"a.b~c", true, false},
				{"abc", true, true},
				{"0_-", true, true},
			} {
				if err := put(c.name, "subject "+c.name); (err == nil) != (graph && c.graph || !graph && c.arm) {
					w.Errorf("name %q: got %v", c.name, err)
				}
			}
			// Names that differ in case are two on Graph and one on ARM.
			w.ok(put("ABC", "subject abc upper"))
			got, err := w.dir.Credential(w.ctx(), w.system, p, "ABC")
			w.ok(err)
			if want := map[bool]string{true: "ABC", false: "abc"}[graph]; got.Name != want || got.Subject != "subject abc upper" {
				w.Errorf("got %q %q, want the name %q", got.Name, got.Subject, want)
			}
		})
	})
}

func TestCredentialNamesAndPairsAreUnique(t *testing.T) {
	each(t, func(w *world) {
		parents(w, func(w *world, p directory.Parent) {
			first := w.credential(p, "one")
			same := spec("one")
			same.Subject = "another"
			_, err := w.dir.AddCredential(w.ctx(), w.system, p, same)
			if e := w.kind(err, directory.Exists); e.Field != "name" || e.ID != "one" {
				w.Errorf("the same name: got %+v", e)
			}
			pair := spec("two")
			pair.Subject = first.Subject
			pair.Audiences = []string{"another"} // does not make the pair another one
			_, err = w.dir.AddCredential(w.ctx(), w.system, p, pair)
			if e := w.kind(err, directory.Exists); e.Field != "subject" || e.Spec == nil || e.Spec.Subject != first.Subject {
				w.Errorf("the same pair: got %+v", e)
			}
			w.credential(p, "two")
			_, _, err = w.dir.UpdateCredential(w.ctx(), w.system, p, "two", directory.CredentialEdit{Subject: &first.Subject}, false)
			if e := w.kind(err, directory.Exists); e.Field != "subject" {
				w.Errorf("an update to the same pair: got %+v", e)
			}
			// Another parent may trust the same.
			w.credential(parentApp(w.app("another")), "one")
			// One that differs in case, or by a slash, is another pair.
			other := spec("three")
			other.Issuer = strings.TrimSuffix(issuerURL, "/")
			_, err = w.dir.AddCredential(w.ctx(), w.system, p, other)
			w.ok(err)
			upper := spec("four")
			upper.Subject = strings.ToUpper(first.Subject)
			_, err = w.dir.AddCredential(w.ctx(), w.system, p, upper)
			w.ok(err)
		})
	})
}

// An id is found where a name could be; a name that looks like another's id is a name.
func TestCredentialNameThatIsAnothersID(t *testing.T) {
	each(t, func(w *world) {
		parents(w, func(w *world, p directory.Parent) {
			first := w.credential(p, "first")
			named := spec("second")
			named.Name = first.ID
			second, err := w.dir.AddCredential(w.ctx(), w.system, p, named)
			w.ok(err)
			got, err := w.dir.Credential(w.ctx(), w.system, p, first.ID)
			w.ok(err)
			if got.ID != second.ID {
				w.Errorf("got %q, want the one of that name", got.Name)
			}
			put, created, err := w.dir.PutCredential(w.ctx(), w.system, p, credential.Spec{Name: second.ID, Issuer: issuerURL, Subject: "third", Audiences: []string{"a"}})
			w.ok(err)
			if !created || put.ID == second.ID {
				w.Error("a put under a name changed the credential of that id")
			}
			_, created, err = w.dir.UpdateCredential(w.ctx(), w.system, p, put.ID, directory.CredentialEdit{Issuer: ptr(issuerURL), Subject: ptr("fourth"), Audiences: &[]string{"a"}}, true)
			w.ok(err)
			if !created {
				w.Error("an upsert under a name changed the credential of that id")
			}
		})
	})
}

func TestCredentialPutReplaces(t *testing.T) {
	each(t, func(w *world) {
		parents(w, func(w *world, p directory.Parent) {
			s := spec("one")
			s.Description = "first"
			first, created, err := w.dir.PutCredential(w.ctx(), w.system, p, s)
			w.ok(err)
			if !created {
				w.Error("the first put made nothing")
			}
			later := w.clock.Advance(1000000)
			defer w.clock.Set(start)
			s.Subject, s.Description = "another", ""
			second, created, err := w.dir.PutCredential(w.ctx(), w.system, p, s)
			w.ok(err)
			if created || second.ID != first.ID || !second.CreatedAt.Equal(first.CreatedAt) || !second.UpdatedAt.Equal(later.Truncate(1000000)) || second.Description != "" {
				w.Errorf("got %+v created %v, want the same credential, changed", second, created)
			}
			read, err := w.dir.Credential(w.ctx(), w.system, p, "one")
			w.ok(err)
			if diff := cmp.Diff(second, read); diff != "" {
				w.Errorf("(-put +read):\n%s", diff)
			}
		})
	})
}

func TestCredentialUpdate(t *testing.T) {
	each(t, func(w *world) {
		parents(w, func(w *world, p directory.Parent) {
			first := w.credential(p, "one")
			update := func(idOrName string, e directory.CredentialEdit, orCreate bool) (directory.Credential, bool, error) {
				return w.dir.UpdateCredential(w.ctx(), w.system, p, idOrName, e, orCreate)
			}
			got, created, err := update(first.ID, directory.CredentialEdit{Name: ptr("one"), Description: ptr("described")}, false)
			w.ok(err)
			want := first
			want.Description = "described"
			if diff := cmp.Diff(want, got); diff != "" || created {
				w.Errorf("a part (-want +got):\n%s", diff)
			}
			_, _, err = update("one", directory.CredentialEdit{Name: ptr("renamed")}, false)
			if e := w.kind(err, directory.Immutable); e.Field != "name" {
				w.Errorf("renamed: got %+v", e)
			}
			_, _, err = update("one", directory.CredentialEdit{Audiences: &[]string{}}, false)
			w.kind(err, directory.Invalid)
			_, _, err = update("none", directory.CredentialEdit{Description: ptr("x")}, false)
			w.kind(err, directory.NotFound)
			_, _, err = update("none", directory.CredentialEdit{Subject: ptr("x")}, true)
			if e := w.kind(err, directory.Invalid); e.Field != "issuer" {
				w.Errorf("an upsert without an issuer: got %+v", e)
			}
			full := directory.CredentialEdit{Issuer: ptr(issuerURL), Subject: ptr("upserted"), Audiences: &[]string{"a"}}
			made, created, err := update("two", full, true)
			w.ok(err)
			if !created || made.Name != "two" {
				w.Errorf("upsert: got %+v created %v", made, created)
			}
			_, created, err = update("two", full, true)
			w.ok(err)
			if created {
				w.Error("the second upsert made one more")
			}
		})
	})
}

func TestCredentialRemove(t *testing.T) {
	each(t, func(w *world) {
		parents(w, func(w *world, p directory.Parent) {
			byID, byName := w.credential(p, "one"), w.credential(p, "two")
			w.ok(w.dir.RemoveCredential(w.ctx(), w.system, p, byID.ID))
			w.ok(w.dir.RemoveCredential(w.ctx(), w.system, p, byName.Name))
			w.kind(w.dir.RemoveCredential(w.ctx(), w.system, p, byID.ID), directory.NotFound)
			left, err := w.dir.Credentials(w.ctx(), w.system, p, directory.Page{})
			w.ok(err)
			if len(left.Items) != 0 {
				w.Errorf("left: %+v", left.Items)
			}
			w.credential(p, "one") // the name and the pair are free again
		})
	})
}

func TestCredentialLimit(t *testing.T) {
	each(t, func(w *world) {
		parents(w, func(w *world, p directory.Parent) {
			w.limit(credential.DefaultLimit)
			for i := range credential.DefaultLimit {
				w.credential(p, fmt.Sprintf("name%d", i))
			}
			_, err := w.dir.AddCredential(w.ctx(), w.system, p, spec("more"))
			if e := w.kind(err, directory.LimitReached); e.Limit != 20 {
				w.Errorf("got the limit %d, want 20", e.Limit)
			}
			_, _, err = w.dir.PutCredential(w.ctx(), w.system, p, spec("name0")) // is there already
			w.ok(err)
			_, _, err = w.dir.UpdateCredential(w.ctx(), w.system, p, "more", directory.CredentialEdit{Issuer: ptr(issuerURL), Subject: ptr("x"), Audiences: &[]string{"a"}}, true)
			w.kind(err, directory.LimitReached)
			w.limit(21)
			w.credential(p, "more")
			_, err = w.dir.AddCredential(w.ctx(), w.system, p, spec("yetmore"))
			w.kind(err, directory.LimitReached)
			w.limit(1) // what is there stays
			w.ok(w.dir.RemoveCredential(w.ctx(), w.system, p, "more"))
			_, err = w.dir.AddCredential(w.ctx(), w.system, p, spec("more"))
			w.kind(err, directory.LimitReached)
		})
	})
}

func TestCredentialLimitHoldsInParallel(t *testing.T) {
	each(t, func(w *world) {
		parents(w, func(w *world, p directory.Parent) {
			for i := range 18 {
				w.credential(p, fmt.Sprintf("name%d", i))
			}
			errs := make([]error, 60)
			var wg sync.WaitGroup
			for i := range errs {
				wg.Go(func() {
					_, errs[i] = w.dir.AddCredential(w.ctx(), w.system, p, spec(fmt.Sprintf("parallel%d", i)))
				})
			}
			wg.Wait()
			made := 0
			for _, err := range errs {
				if err == nil {
					made++
				} else {
					w.kind(err, directory.LimitReached)
				}
			}
			all, err := w.dir.Credentials(w.ctx(), w.system, p, directory.Page{})
			w.ok(err)
			if made != 2 || len(all.Items) != 20 {
				w.Errorf("%d of 60 succeeded and %d are there, want 2 and 20", made, len(all.Items))
			}
		})
	})
}

func TestCredentialPairIsUniqueInParallel(t *testing.T) {
	each(t, func(w *world) {
		parents(w, func(w *world, p directory.Parent) {
			errs := make([]error, 20)
			var wg sync.WaitGroup
			for i := range errs {
				wg.Go(func() {
					s := spec(fmt.Sprintf("parallel%d", i))
					s.Subject = "the same"
					_, errs[i] = w.dir.AddCredential(w.ctx(), w.system, p, s)
				})
			}
			wg.Wait()
			made := 0
			for _, err := range errs {
				if err == nil {
					made++
				} else if e := w.kind(err, directory.Exists); e.Field != "subject" {
					w.Errorf("got %+v", e)
				}
			}
			if made != 1 {
				w.Errorf("%d of 20 succeeded, want 1", made)
			}
		})
	})
}

func TestCredentialPages(t *testing.T) {
	each(t, func(w *world) {
		w.limit(1000)
		parents(w, func(w *world, p directory.Parent) {
			want := map[string]bool{}
			for i := range 25 {
				// Names whose order differs between collations.
				name := fmt.Sprintf("%s%02d", []string{"Abc-", "abc_", "ABc", "abC"}[i%4], i)
				w.credential(p, name)
				want[name] = true
			}
			got, pages := map[string]bool{}, 0
			for page := (directory.Page{Limit: 4}); ; pages++ {
				list, err := w.dir.Credentials(w.ctx(), w.system, p, page)
				w.ok(err)
				for _, c := range list.Items {
					if got[c.Name] {
						w.Errorf("%q stands on two pages", c.Name)
					}
					got[c.Name] = true
				}
				if page.After = list.Next; list.Next == "" {
					break
				}
			}
			if diff := cmp.Diff(want, got); diff != "" || pages != 6 {
				w.Errorf("%d full pages (-want +got):\n%s", pages, diff)
			}
		})
	})
}

func TestCredentialOfAParentThatIsNotThere(t *testing.T) {
	each(t, func(w *world) {
		w.group("g")
		for name, p := range map[string]directory.Parent{
			"application":  {Application: &directory.Ref{ID: "00000000-0000-0000-0000-00000000000a"}},
			"by client id": {Application: &directory.Ref{AppID: "none"}},
			"by name":      {Application: &directory.Ref{UniqueName: "none"}},
			"identity":     {Identity: &directory.IdentityRef{SubscriptionID: w.subscription, Group: "g", Name: "none"}},
			"group":        {Identity: &directory.IdentityRef{SubscriptionID: w.subscription, Group: "none", Name: "none"}},
			"subscription": {Identity: &directory.IdentityRef{SubscriptionID: "none", Group: "g", Name: "none"}},
			"NUL":          {Identity: &directory.IdentityRef{SubscriptionID: w.subscription, Group: "g", Name: "no\x00ne"}},
		} {
			_, err := w.dir.AddCredential(w.ctx(), w.system, p, spec("one"))
			if kindOf(err) != string(directory.NotFound) {
				w.Errorf("%s: add: got %v", name, err)
			}
			_, err = w.dir.Credentials(w.ctx(), w.system, p, directory.Page{})
			if kindOf(err) != string(directory.NotFound) {
				w.Errorf("%s: list: got %v", name, err)
			}
			if err := w.dir.RemoveCredential(w.ctx(), w.system, p, "one"); kindOf(err) != string(directory.NotFound) {
				w.Errorf("%s: remove: got %v", name, err)
			}
		}
	})
}
