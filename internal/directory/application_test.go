package directory_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/directory"
)

func displayName(a directory.Application) string { return a.DisplayName }

func TestApplicationIsReadAsItWasWritten(t *testing.T) {
	each(t, func(w *world) {
		role := directory.AppRole{ID: uuid.NewString(), Value: "Task.Read", DisplayName: "Read", Description: "Reads", Enabled: true, MemberTypes: []string{"Application"}}
		upper := role
		upper.ID = strings.ToUpper(role.ID)
		in := directory.Application{
			DisplayName: "Tasks <&> ü", UniqueName: "tasks", Description: "d", Notes: "n", IdentifierURIs: []string{"https://tasks.example", "api://tasks"},
			TokenVersion: 2, AppRoles: []directory.AppRole{upper}, Tags: []string{"a", "b"}, Extra: map[string]json.RawMessage{"web": json.RawMessage(`{"x":[1,null]}`)},
		}
		made, err := w.dir.CreateApplication(w.ctx(), w.system, in)
		w.ok(err)
		want := in
		want.AppRoles = []directory.AppRole{role}
		want.SignInAudience, want.CreatedAt, want.TenantID, want.ID, want.AppID = "AzureADMyOrg", start, w.tenant.ID, made.ID, made.AppID
		if diff := cmp.Diff(want, made); diff != "" {
			w.Errorf("made (-want +got):\n%s", diff)
		}
		if in.AppRoles[0].ID != upper.ID {
			w.Error("the caller's own list was changed")
		}
		for _, ref := range []directory.Ref{{ID: made.ID}, {ID: strings.ToUpper(made.ID)}, {AppID: made.AppID}, {UniqueName: "tasks"}} {
			got, err := w.dir.Application(w.ctx(), w.system, ref)
			w.ok(err)
			if diff := cmp.Diff(made, got, cmpopts.EquateEmpty()); diff != "" {
				w.Errorf("by %v (-made +read):\n%s", ref, diff)
			}
		}
		for _, ref := range []directory.Ref{{}, {ID: "none"}, {ID: "no\x00ne"}, {ID: "\xff"}, {AppID: made.ID}, {ID: made.AppID}, {UniqueName: "TASKS"}} {
			_, err := w.dir.Application(w.ctx(), w.system, ref)
			if kindOf(err) != string(directory.NotFound) {
				w.Errorf("by %v: got %v, want not found", ref, err)
			}
		}
	})
}

func TestApplicationRules(t *testing.T) {
	many := func(n int) []string { return strings.Split(strings.Repeat("x ", n-1)+"x", " ") }
	id := uuid.NewString()
	roles := func(r ...directory.AppRole) *directory.Application {
		return &directory.Application{DisplayName: "a", AppRoles: r}
	}
	each(t, func(w *world) {
		app := w.app("a")
		other := w.app("other")
		for name, c := range map[string]struct {
			field string
			app   *directory.Application
		}{
			"no name":            {"displayName", &directory.Application{}},
			"long name":          {"displayName", &directory.Application{DisplayName: strings.Repeat("ü", 257)}},
			"NUL":                {"displayName", &directory.Application{DisplayName: "a\x00"}},
			"not UTF-8":          {"description", &directory.Application{DisplayName: "a", Description: "\xff"}},
			"escape":             {"notes", &directory.Application{DisplayName: "a", Notes: "\x1b[31m"}},
			"unique name":        {"uniqueName", &directory.Application{DisplayName: "a", UniqueName: "a\x00"}},
			"version":            {"api.requestedAccessTokenVersion", &directory.Application{DisplayName: "a", TokenVersion: 3}},
			"relative URI":       {"identifierUris", &directory.Application{DisplayName: "a", IdentifierURIs: []string{"tasks"}}},
			"URI with space":     {"identifierUris", &directory.Application{DisplayName: "a", IdentifierURIs: []string{"api://a b"}}},
			"URI twice":          {"identifierUris", &directory.Application{DisplayName: "a", IdentifierURIs: []string{"api://a", "api://a"}}},
			"another's id":       {"identifierUris", &directory.Application{DisplayName: "a", IdentifierURIs: []string{"api://" + other.AppID}}},
			"another's, shouted": {"identifierUris", &directory.Application{DisplayName: "a", IdentifierURIs: []string{"API://" + strings.ToUpper(other.AppID)}}},
			"many URIs":          {"identifierUris", &directory.Application{DisplayName: "a", IdentifierURIs: many(201)}},
			"many tags":          {"tags", &directory.Application{DisplayName: "a", Tags: many(201)}},
			"tag":                {"tags", &directory.Application{DisplayName: "a", Tags: []string{"\x00"}}},
			"role id":            {"appRoles", roles(directory.AppRole{ID: "x"})},
			"role twice":         {"appRoles", roles(directory.AppRole{ID: id}, directory.AppRole{ID: strings.ToUpper(id)})},
			"role value twice":   {"appRoles", roles(directory.AppRole{ID: id, Value: "v"}, directory.AppRole{ID: uuid.NewString(), Value: "v"})},
			"role value":         {"appRoles", roles(directory.AppRole{ID: id, Value: "a b"})},
			"role members":       {"appRoles", roles(directory.AppRole{ID: id, MemberTypes: []string{"Everybody"}})},
			"many role members":  {"appRoles", roles(directory.AppRole{ID: id, MemberTypes: []string{"User", "User", "User"}})},
			"not UTF-8 at all":   {"properties", &directory.Application{DisplayName: "a", Extra: map[string]json.RawMessage{"x": json.RawMessage("\"\xff\"")}}},
			"large":              {"properties", &directory.Application{DisplayName: "a", Extra: map[string]json.RawMessage{"x": json.RawMessage(`"` + strings.Repeat("x", 1<<16) + `"`)}}},
		} {
			_, err := w.dir.CreateApplication(w.ctx(), w.system, *c.app)
			if e, ok := errors.AsType[*directory.Error](err); !ok || e.Kind != directory.Invalid || e.Field != c.field {
				w.Errorf("create, %s: got %v, want an invalid %s", name, err, c.field)
			}
			_, err = w.dir.UpdateApplication(w.ctx(), w.system, directory.Ref{ID: app.ID}, func(a *directory.Application) error { *a = *c.app; return nil })
			if e, ok := errors.AsType[*directory.Error](err); !ok || e.Kind != directory.Invalid || e.Field != c.field {
				w.Errorf("update, %s: got %v, want an invalid %s", name, err, c.field)
			}
		}
		_, err := w.dir.UpdateApplication(w.ctx(), w.system, directory.Ref{ID: app.ID}, func(a *directory.Application) error {
			a.IdentifierURIs = []string{"api://" + app.AppID}
			return nil
		})
		w.ok(err)
	})
}

func TestApplicationUpdate(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("before")
		boom := errors.New("boom")
		_, err := w.dir.UpdateApplication(w.ctx(), w.system, c.ref(), func(*directory.Application) error { return boom })
		if !errors.Is(err, boom) {
			w.Errorf("got %v, want the edit's own error", err)
		}
		after, err := w.dir.UpdateApplication(w.ctx(), w.system, c.ref(), func(a *directory.Application) error {
			*a = directory.Application{ID: "x", AppID: "x", TenantID: "x", DisplayName: "after", SignInAudience: "AzureADMyOrg", UniqueName: "unique", IdentifierURIs: []string{"api://after"}, Secrets: []directory.Secret{{}}}
			return nil
		})
		w.ok(err)
		want := c.app
		want.DisplayName, want.UniqueName, want.IdentifierURIs = "after", "unique", []string{"api://after"}
		read, err := w.dir.Application(w.ctx(), w.system, c.ref())
		w.ok(err)
		for name, got := range map[string]directory.Application{"returned": after, "read": read} {
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				w.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		p, err := w.dir.ServicePrincipal(w.ctx(), w.system, c.principalRef())
		w.ok(err)
		if p.DisplayName != "after" || p.IdentifierURIs[0] != "api://after" {
			w.Errorf("the service principal is %+v, want the new name and URI", p)
		}
		for _, name := range []string{"", "another"} {
			_, err = w.dir.UpdateApplication(w.ctx(), w.system, c.ref(), func(a *directory.Application) error { a.UniqueName = name; return nil })
			if e := w.kind(err, directory.Immutable); e.Field != "uniqueName" {
				w.Errorf("unique name %q: got %+v", name, e)
			}
		}
		_, err = w.dir.UpdateApplication(w.ctx(), w.system, directory.Ref{ID: "none"}, func(*directory.Application) error { t.Error("edited"); return nil })
		w.kind(err, directory.NotFound)
	})
}

func TestApplicationKeysAreUnique(t *testing.T) {
	each(t, func(w *world) {
		first, err := w.dir.CreateApplication(w.ctx(), w.system, directory.Application{DisplayName: "first", UniqueName: "name", IdentifierURIs: []string{"api://first"}})
		w.ok(err)
		_, err = w.dir.CreateApplication(w.ctx(), w.system, directory.Application{DisplayName: "second", UniqueName: "name"})
		if e := w.kind(err, directory.Exists); e.Field != "uniqueName" {
			w.Errorf("got %+v", e)
		}
		_, err = w.dir.CreateApplication(w.ctx(), w.system, directory.Application{DisplayName: "second", IdentifierURIs: []string{"api://second", "api://first"}})
		if e := w.kind(err, directory.Exists); e.Field != "identifierUris" || e.ID != "api://first" {
			w.Errorf("got %+v", e)
		}
		second := w.app("first") // display names need not be unique
		_, err = w.dir.UpdateApplication(w.ctx(), w.system, directory.Ref{ID: second.ID}, func(a *directory.Application) error { a.UniqueName = "name"; return nil })
		w.kind(err, directory.Exists)
		_, err = w.dir.UpdateApplication(w.ctx(), w.system, directory.Ref{ID: second.ID}, func(a *directory.Application) error {
			a.IdentifierURIs = []string{"api://first"}
			return nil
		})
		w.kind(err, directory.Exists)
		_, err = w.dir.UpdateApplication(w.ctx(), w.system, directory.Ref{ID: first.ID}, func(a *directory.Application) error {
			a.IdentifierURIs = []string{"api://another", "api://first"} // its own, in another place
			return nil
		})
		w.ok(err)
	})
}

func TestApplicationListFilters(t *testing.T) {
	each(t, func(w *world) {
		for _, name := range []string{"shop", "Shopping", "SHOP", "shop-api", "shöp", "sho", "100%", "100", "a'b"} {
			w.app(name)
		}
		keyed, err := w.dir.CreateApplication(w.ctx(), w.system, directory.Application{DisplayName: "keyed", UniqueName: "key", IdentifierURIs: []string{"api://keyed"}})
		w.ok(err)
		list := func(f directory.Filter) string {
			w.Helper()
			p, err := w.dir.Applications(w.ctx(), w.system, f, directory.Page{})
			w.ok(err)
			return names(p.Items, displayName)
		}
		for _, c := range []struct {
			name   string
			filter directory.Filter
			want   []string // in any order of equals
		}{
			{"name", directory.Filter{DisplayName: ptr("Shop")}, []string{"shop SHOP", "SHOP shop"}},
			{"prefix, exact first", directory.Filter{NamePrefix: ptr("shop")}, []string{"shop SHOP shop-api Shopping", "SHOP shop shop-api Shopping"}},
			{"prefix beyond ASCII", directory.Filter{NamePrefix: ptr("SHÖ")}, []string{"shöp"}},
			{"no pattern", directory.Filter{NamePrefix: ptr("100%")}, []string{"100%"}},
			{"quote", directory.Filter{DisplayName: ptr("a'b")}, []string{"a'b"}},
			{"NUL", directory.Filter{DisplayName: ptr("a\x00")}, []string{""}},
			{"not UTF-8", directory.Filter{NamePrefix: ptr("\xff")}, []string{""}},
			{"id", directory.Filter{ID: ptr(strings.ToUpper(keyed.ID))}, []string{"keyed"}},
			{"NUL id", directory.Filter{ID: ptr("\x00")}, []string{""}},
			{"client id", directory.Filter{AppID: &keyed.AppID}, []string{"keyed"}},
			{"URI", directory.Filter{IdentifierURI: ptr("api://keyed")}, []string{"keyed"}},
			{"no URI", directory.Filter{IdentifierURI: ptr("api://KEYED")}, []string{""}},
			{"unique name", directory.Filter{UniqueName: ptr("key")}, []string{"keyed"}},
			{"two", directory.Filter{UniqueName: ptr("key"), DisplayName: ptr("shop")}, []string{""}},
			{"of principals", directory.Filter{PrincipalKind: ptr("application")}, []string{""}},
		} {
			got, found := list(c.filter), false
			for _, want := range c.want {
				found = found || got == want
			}
			if !found {
				w.Errorf("%s: got %q, want %q", c.name, got, c.want)
			}
		}
	})
}

func TestApplicationPages(t *testing.T) {
	each(t, func(w *world) {
		want := []string{}
		for i := range 23 {
			w.app(fmt.Sprintf("page %02d", i/2)) // pairs of one name
			want = append(want, fmt.Sprintf("page %02d", i/2))
		}
		got, ids := []string{}, map[string]bool{}
		page := directory.Page{Limit: 5}
		for range 10 {
			p, err := w.dir.Applications(w.ctx(), w.system, directory.Filter{NamePrefix: ptr("page")}, page)
			w.ok(err)
			for _, a := range p.Items {
				got, ids[a.ID] = append(got, a.DisplayName), true
			}
			if page.After = p.Next; p.Next == "" {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || len(ids) != 23 {
			w.Errorf("%d different ones (-want +got):\n%s", len(ids), diff)
		}
		for _, after := range []string{"x", ".", "\x00.\x00", "zz.zz"} {
			_, err := w.dir.Applications(w.ctx(), w.system, directory.Filter{}, directory.Page{After: after})
			w.ok(err)
		}
	})
}

// Two edits at once are both kept: each sees what the other has written.
func TestApplicationUpdatesInParallel(t *testing.T) {
	each(t, func(w *world) {
		app := w.app("a")
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				_, err := w.dir.UpdateApplication(w.ctx(), w.system, directory.Ref{ID: app.ID}, func(a *directory.Application) error {
					a.Tags = append(a.Tags, fmt.Sprint(i))
					return nil
				})
				if err != nil {
					t.Errorf("update %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		got, err := w.dir.Application(w.ctx(), w.system, directory.Ref{ID: app.ID})
		w.ok(err)
		if len(got.Tags) != 20 {
			w.Errorf("%d of 20 edits are there: %v", len(got.Tags), got.Tags)
		}
	})
}

func TestUniqueNameIsUniqueInParallel(t *testing.T) {
	each(t, func(w *world) {
		var mu sync.Mutex
		made := 0
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				_, err := w.dir.CreateApplication(w.ctx(), w.system, directory.Application{DisplayName: "a", UniqueName: "one"})
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
			w.Errorf("%d applications have the unique name", made)
		}
	})
}

func TestDeletedApplication(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("gone", "Application.Read.All")
		api, err := w.dir.UpdateApplication(w.ctx(), w.system, c.ref(), func(a *directory.Application) error {
			a.UniqueName, a.IdentifierURIs = "gone", []string{"api://gone"}
			return nil
		})
		w.ok(err)
		w.credential(c.parent(), "one")
		_, text, err := w.dir.AddSecret(w.ctx(), w.system, c.ref(), directory.NewSecret{})
		w.ok(err)

		w.ok(w.dir.DeleteApplication(w.ctx(), w.system, c.ref()))
		check := func(there bool) {
			w.Helper()
			kind := map[bool]string{true: "ok", false: string(directory.NotFound)}[there]
			_, err := w.dir.Application(w.ctx(), w.system, c.ref())
			_, err2 := w.dir.ServicePrincipal(w.ctx(), w.system, c.principalRef())
			_, err3 := w.dir.Credentials(w.ctx(), w.system, c.parent(), directory.Page{})
			_, err4 := w.dir.LookupResource(w.ctx(), w.tenant.ID, w.admin.PrincipalID, "api://gone")
			_, err5 := w.dir.LookupResource(w.ctx(), w.tenant.ID, w.admin.PrincipalID, c.AppID)
			for i, err := range []error{err, err2, err3, err4, err5} {
				if kindOf(err) != kind {
					w.Errorf("there %v, question %d: got %v", there, i, err)
				}
			}
			p, err := w.dir.Applications(w.ctx(), w.system, directory.Filter{DisplayName: ptr("gone")}, directory.Page{})
			w.ok(err)
			sps, err := w.dir.ServicePrincipals(w.ctx(), w.system, directory.Filter{DisplayName: ptr("gone")}, directory.Page{})
			w.ok(err)
			if (len(p.Items) == 1) != there || (len(sps.Items) == 1) != there {
				w.Errorf("there %v: %d applications and %d service principals are listed", there, len(p.Items), len(sps.Items))
			}
			m := w.match(c.AppID, spec("one"))
			if (m.Client.PrincipalID != "") != there || m.Orphan {
				w.Errorf("there %v: the match is %+v", there, m)
			}
			_, result, err := w.dir.MatchSecret(w.ctx(), w.tenant.ID, c.AppID, text)
			w.ok(err)
			if (result == directory.SecretOK) != there {
				w.Errorf("there %v: the secret is judged %s", there, result)
			}
			_, err = w.dir.CallerOf(w.ctx(), w.tenant.ID, c.PrincipalID)
			if (err == nil) != there {
				w.Errorf("there %v: the caller is judged %v", there, err)
			}
			_, err = w.dir.Applications(w.ctx(), c.Caller, directory.Filter{}, directory.Page{})
			if (err == nil) != there {
				w.Errorf("there %v: a read by it is judged %v", there, err)
			}
		}
		check(false)
		for _, err := range []error{
			w.dir.DeleteApplication(w.ctx(), w.system, c.ref()),
			w.dir.RemoveCredential(w.ctx(), w.system, c.parent(), "one"),
			w.dir.UpdateServicePrincipal(w.ctx(), w.system, c.principalRef(), directory.PrincipalEdit{}),
		} {
			w.kind(err, directory.NotFound)
		}
		_, err = w.dir.CreateServicePrincipal(w.ctx(), w.system, directory.NewPrincipal{AppID: c.AppID})
		w.kind(err, directory.Invalid)
		// It keeps its keys as long as it can be restored.
		_, err = w.dir.CreateApplication(w.ctx(), w.system, directory.Application{DisplayName: "b", UniqueName: "gone"})
		w.kind(err, directory.Exists)

		list, err := w.dir.DeletedApplications(w.ctx(), w.system, directory.Filter{}, directory.Page{})
		w.ok(err)
		if len(list.Items) != 1 || !list.Items[0].DeletedAt.Equal(start) || len(list.Items[0].Secrets) != 1 {
			w.Errorf("deleted: %+v", list.Items)
		}
		back, err := w.dir.RestoreApplication(w.ctx(), w.system, c.app.ID)
		w.ok(err)
		if back.UniqueName != api.UniqueName || !back.DeletedAt.IsZero() || len(back.Secrets) != 1 {
			w.Errorf("restored %+v", back)
		}
		check(true)
		_, err = w.dir.RestoreApplication(w.ctx(), w.system, c.app.ID)
		w.kind(err, directory.NotFound)
		w.kind(w.dir.PurgeApplication(w.ctx(), w.system, c.app.ID), directory.NotFound) // not deleted

		w.ok(w.dir.DeleteApplication(w.ctx(), w.system, c.ref()))
		w.ok(w.dir.PurgeApplication(w.ctx(), w.system, c.app.ID))
		w.nothingLeftOf(c)
		_, err = w.dir.RestoreApplication(w.ctx(), w.system, c.app.ID)
		w.kind(err, directory.NotFound)
		_, err = w.dir.CreateApplication(w.ctx(), w.system, directory.Application{DisplayName: "b", UniqueName: "gone", IdentifierURIs: []string{"api://gone"}})
		w.ok(err)
	})
}

// nothingLeftOf looks for rows of an application that was removed for good.
func (w *world) nothingLeftOf(c client) {
	w.Helper()
	for table, condition := range map[string]string{
		"applications": `id = $1 OR id = $2`, "application_uris": `application_id = $1 OR application_id = $2`, "secrets": `holder_id = $1 OR holder_id = $2`,
		"credentials": `parent_id = $1 OR parent_id = $2`, "service_principals": `id = $1 OR id = $2`, "app_role_assignments": `principal_id = $2 OR resource_id = $2 OR id = $1`,
		"role_assignments": `principal_id = $1 OR principal_id = $2`, "owners": `object_id = $1 OR object_id = $2 OR principal_id = $2`,
	} {
		if n := w.rows(table, condition, c.app.ID, c.principal.ID); n > 0 {
			w.Errorf("%d rows of %s are left", n, table)
		}
	}
}

func TestPurgeAfterItsTime(t *testing.T) {
	each(t, func(w *world) {
		w.dir.KeepDeleted = time.Hour
		old, young, alive := w.client("old"), w.client("young"), w.client("alive")
		w.ok(w.dir.DeleteApplication(w.ctx(), w.system, old.ref()))
		w.clock.Advance(40 * time.Minute)
		w.ok(w.dir.DeleteApplication(w.ctx(), w.system, young.ref()))
		w.clock.Advance(20*time.Minute + time.Second)
		w.ok(w.dir.Purge(w.ctx()))
		w.nothingLeftOf(old)
		_, err := w.dir.RestoreApplication(w.ctx(), w.system, young.app.ID)
		w.ok(err)
		for _, c := range []client{young, alive} {
			_, err := w.dir.ServicePrincipal(w.ctx(), w.system, c.principalRef())
			w.ok(err)
		}
	})
}

func TestPurgeOfImplicitIssuers(t *testing.T) {
	each(t, func(w *world) {
		p := parentApp(w.app("a"))
		for _, name := range []string{"kept", "dropped", "set"} {
			s := spec(name)
			s.Issuer = "https://" + name + ".example"
			_, err := w.dir.AddCredential(w.ctx(), w.system, p, s)
			w.ok(err)
		}
		_, _, err := w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: "set", URL: "https://set.example"})
		w.ok(err)
		w.ok(w.dir.RemoveCredential(w.ctx(), w.system, p, "dropped"))
		w.ok(w.dir.RemoveCredential(w.ctx(), w.system, p, "set"))
		w.ok(w.dir.Purge(w.ctx()))
		list, err := w.dir.Issuers(w.ctx(), w.admin, directory.Page{})
		w.ok(err)
		urls := map[string]bool{}
		for _, i := range list.Items {
			urls[i.URL] = true
		}
		if diff := cmp.Diff(map[string]bool{"https://kept.example": true, "https://set.example": true}, urls); diff != "" {
			w.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestOwners(t *testing.T) {
	each(t, func(w *world) {
		maker := w.client("maker", "Application.ReadWrite.OwnedBy")
		other := w.client("other", "Application.ReadWrite.OwnedBy")
		app, err := w.dir.CreateApplication(w.ctx(), maker.Caller, directory.Application{DisplayName: "owned"})
		w.ok(err)
		ref := directory.Ref{ID: app.ID}
		owners := func() string {
			list, err := w.dir.Owners(w.ctx(), maker.Caller, ref)
			w.ok(err)
			return names(list, func(p directory.ServicePrincipal) string { return p.DisplayName })
		}
		if got := owners(); got != "maker" {
			w.Errorf("owners %q, want its maker", got)
		}
		_, err = w.dir.Application(w.ctx(), other.Caller, ref)
		w.kind(err, directory.Forbidden)
		w.clock.Advance(time.Second)
		w.ok(w.dir.AddOwner(w.ctx(), maker.Caller, ref, strings.ToUpper(other.PrincipalID)))
		if got := owners(); got != "maker other" {
			w.Errorf("owners %q", got)
		}
		_, err = w.dir.Application(w.ctx(), other.Caller, ref)
		w.ok(err)
		if e := w.kind(w.dir.AddOwner(w.ctx(), maker.Caller, ref, other.PrincipalID), directory.Exists); e.Field != "owners" {
			w.Errorf("twice: got %+v", e)
		}
		w.kind(w.dir.AddOwner(w.ctx(), maker.Caller, ref, app.ID), directory.NotFound) // no service principal
		w.ok(w.dir.RemoveOwner(w.ctx(), other.Caller, ref, maker.PrincipalID))
		w.kind(w.dir.RemoveOwner(w.ctx(), other.Caller, ref, maker.PrincipalID), directory.NotFound)
		w.kind(w.dir.RemoveOwner(w.ctx(), other.Caller, ref, "no\x00ne"), directory.NotFound)
		_, err = w.dir.Owners(w.ctx(), maker.Caller, ref)
		w.kind(err, directory.Forbidden)
		p, err := w.dir.Applications(w.ctx(), other.Caller, directory.Filter{}, directory.Page{})
		w.ok(err)
		if got := names(p.Items, displayName); got != "owned" {
			w.Errorf("an owner lists %q, want only its own", got)
		}
	})
}
