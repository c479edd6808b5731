package directory_test

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
)

func TestServicePrincipalIsRestored(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("a", "Application.ReadWrite.All")
		w.assign(c.PrincipalID, roles.Reader, "/")
		_, text, err := w.dir.AddPrincipalSecret(w.ctx(), w.system, c.principalRef(), directory.NewSecret{})
		w.ok(err)
		w.ok(w.dir.UpdateServicePrincipal(w.ctx(), w.system, c.principalRef(), directory.PrincipalEdit{Extra: &map[string]json.RawMessage{"notes": json.RawMessage(`"n"`)}}))
		before, err := w.dir.ServicePrincipal(w.ctx(), w.system, c.principalRef())
		w.ok(err)
		deleted := func() []directory.ServicePrincipal {
			w.Helper()
			list, err := w.dir.DeletedServicePrincipals(w.ctx(), w.system, directory.Filter{AppID: &c.AppID}, directory.Page{})
			w.ok(err)
			return list.Items
		}
		may := func() string {
			w.Helper()
			_, err := w.dir.Applications(w.ctx(), c.Caller, directory.Filter{}, directory.Page{})
			return kindOf(err)
		}

		w.ok(w.dir.DeleteServicePrincipal(w.ctx(), w.system, c.principalRef()))
		if m, result, err := w.dir.MatchSecret(w.ctx(), w.tenant.ID, c.AppID, text); err != nil || m.Client.PrincipalID != "" || result == directory.SecretOK {
			w.Errorf("the secret of a deleted one is judged %s of %q (%v)", result, m.Client.PrincipalID, err)
		}
		if got := may(); got != string(directory.Unauthenticated) {
			w.Errorf("as a caller it is %s", got)
		}
		if list := deleted(); len(list) != 1 || !list[0].DeletedAt.Equal(start) {
			w.Errorf("deleted: %+v", list)
		}
		w.kind(w.dir.PurgeServicePrincipal(w.ctx(), w.system, c.app.ID), directory.NotFound)
		back, err := w.dir.RestoreServicePrincipal(w.ctx(), w.system, c.PrincipalID)
		w.ok(err)
		if diff := cmp.Diff(before, back, cmp.AllowUnexported(directory.ServicePrincipal{}, directory.Secret{})); diff != "" {
			w.Errorf("restored (-before +after):\n%s", diff)
		}
		if got := may(); got != "ok" || len(deleted()) != 0 {
			w.Errorf("restored, as a caller it is %s", got)
		}
		w.kind(w.dir.PurgeServicePrincipal(w.ctx(), w.system, c.PrincipalID), directory.NotFound) // it is not deleted
		if again, err := w.dir.RestoreServicePrincipal(w.ctx(), w.system, c.PrincipalID); err != nil || !cmp.Equal(again, back, cmp.AllowUnexported(directory.ServicePrincipal{}, directory.Secret{})) {
			w.Errorf("restored again: %+v, %v", again, err)
		}

		w.ok(w.dir.DeleteServicePrincipal(w.ctx(), w.system, c.principalRef()))
		w.ok(w.dir.PurgeServicePrincipal(w.ctx(), w.system, c.PrincipalID))
		_, err = w.dir.RestoreServicePrincipal(w.ctx(), w.system, c.PrincipalID)
		w.kind(err, directory.NotFound)
		for table, condition := range map[string]string{
			"service_principals": "id = $1", "secrets": "holder_id = $1", "role_assignments": "principal_id = $1", "app_role_assignments": "principal_id = $1",
		} {
			if n := w.rows(table, condition, c.PrincipalID); n > 0 {
				w.Errorf("%d rows of %s are left", n, table)
			}
		}
		_, err = w.dir.Application(w.ctx(), w.system, c.ref())
		w.ok(err)
	})
}

// A service principal goes and comes with its application, unless it went alone.
func TestServicePrincipalOfADeletedApplication(t *testing.T) {
	each(t, func(w *world) {
		alone, together := w.client("alone"), w.client("together")
		w.ok(w.dir.DeleteServicePrincipal(w.ctx(), w.system, alone.principalRef()))
		w.clock.Advance(time.Second)
		for _, c := range []client{alone, together} {
			w.ok(w.dir.DeleteApplication(w.ctx(), w.system, c.ref()))
			_, err := w.dir.RestoreServicePrincipal(w.ctx(), w.system, c.PrincipalID)
			if e := w.kind(err, directory.Invalid); e.Field != "appId" || e.Detail != c.AppID {
				w.Errorf("got %+v", e)
			}
		}
		list, err := w.dir.DeletedServicePrincipals(w.ctx(), w.system, directory.Filter{}, directory.Page{Count: true})
		w.ok(err)
		if list.Total != 2 {
			w.Errorf("deleted: %+v", list)
		}
		for _, c := range []client{alone, together} {
			_, err := w.dir.RestoreApplication(w.ctx(), w.system, c.app.ID)
			w.ok(err)
			_, err = w.dir.ServicePrincipal(w.ctx(), w.system, c.principalRef())
			if want := map[string]string{"alone": string(directory.NotFound), "together": "ok"}[c.app.DisplayName]; kindOf(err) != want {
				w.Errorf("%s: with its application it is %s, want %s", c.app.DisplayName, kindOf(err), want)
			}
			_, err = w.dir.RestoreServicePrincipal(w.ctx(), w.system, c.PrincipalID)
			w.ok(err)
		}
	})
}

func TestFormerServicePrincipal(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("a")
		w.ok(w.dir.DeleteServicePrincipal(w.ctx(), w.system, c.principalRef()))
		made, err := w.dir.CreateServicePrincipal(w.ctx(), w.system, directory.NewPrincipal{AppID: c.AppID})
		w.ok(err)
		_, err = w.dir.RestoreServicePrincipal(w.ctx(), w.system, c.PrincipalID)
		w.kind(err, directory.NotFound)

		// Restoring and making at once leaves one, whoever comes first.
		w.ok(w.dir.DeleteServicePrincipal(w.ctx(), w.system, directory.Ref{ID: made.ID}))
		var group sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			group.Go(func() {
				if i%2 == 0 {
					_, errs[i] = w.dir.RestoreServicePrincipal(w.ctx(), w.system, made.ID)
				} else {
					_, errs[i] = w.dir.CreateServicePrincipal(w.ctx(), w.system, directory.NewPrincipal{AppID: c.AppID})
				}
			})
		}
		group.Wait()
		for i, err := range errs {
			switch kindOf(err) {
			case "ok", string(directory.Exists), string(directory.NotFound):
			default:
				w.Errorf("%d: %v", i, err)
			}
		}
		if n := w.rows("service_principals", "app_id = $1", c.AppID); n != 1 {
			w.Errorf("%d service principals of one application", n)
		}
	})
}

func TestPurgeOfServicePrincipals(t *testing.T) {
	each(t, func(w *world) {
		w.dir.KeepDeleted = time.Hour
		old, young, alive := w.client("old"), w.client("young"), w.client("alive")
		w.ok(w.dir.DeleteServicePrincipal(w.ctx(), w.system, old.principalRef()))
		w.clock.Advance(40 * time.Minute)
		w.ok(w.dir.DeleteServicePrincipal(w.ctx(), w.system, young.principalRef()))
		w.clock.Advance(20*time.Minute + time.Second)
		w.ok(w.dir.Purge(w.ctx()))
		for c, want := range map[*client]int{&old: 0, &young: 1, &alive: 1} {
			if n := w.rows("service_principals", "id = $1", c.PrincipalID); n != want {
				w.Errorf("%s: %d rows, want %d", c.app.DisplayName, n, want)
			}
			_, err := w.dir.Application(w.ctx(), w.system, c.ref())
			w.ok(err)
		}
	})
}

// While the service principal of an administrator can be restored, its
// application is guarded as if it were there: what is put on it now would count then.
func TestDeletedAdministratorIsGuarded(t *testing.T) {
	each(t, func(w *world) {
		writer := w.client("writer", "Application.ReadWrite.All")
		c := w.holder("administrator", roles.FederationAdministrator, "/")
		w.ok(w.dir.DeleteServicePrincipal(w.ctx(), w.admin, c.principalRef()))
		for name, do := range map[string]func(directory.Caller) error{
			"secret": func(by directory.Caller) error {
				_, _, err := w.dir.AddSecret(w.ctx(), by, c.ref(), directory.NewSecret{})
				return err
			},
			"credential": func(by directory.Caller) error {
				_, err := w.dir.AddCredential(w.ctx(), by, c.parent(), spec("mine"))
				return err
			},
			"owner": func(by directory.Caller) error { return w.dir.AddOwner(w.ctx(), by, c.ref(), writer.PrincipalID) },
			"new service principal": func(by directory.Caller) error {
				_, err := w.dir.CreateServicePrincipal(w.ctx(), by, directory.NewPrincipal{AppID: c.AppID})
				return err
			},
			"restore": func(by directory.Caller) error {
				_, err := w.dir.RestoreServicePrincipal(w.ctx(), by, c.PrincipalID)
				return err
			},
			"purge": func(by directory.Caller) error { return w.dir.PurgeServicePrincipal(w.ctx(), by, c.PrincipalID) },
		} {
			if got := kindOf(do(writer.Caller)); got != string(directory.Forbidden) {
				w.Errorf("%s: %s", name, got)
			}
		}
		_, err := w.dir.RestoreServicePrincipal(w.ctx(), w.admin, c.PrincipalID)
		w.ok(err)
	})
}
