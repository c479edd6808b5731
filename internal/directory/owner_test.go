package directory_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/internal/directory"
)

func ids(list []directory.ServicePrincipal) []string {
	all := []string{}
	for _, p := range list {
		all = append(all, p.ID)
	}
	return all
}

func TestOwnersOfServicePrincipals(t *testing.T) {
	each(t, func(w *world) {
		first, second := w.client("first", "Application.ReadWrite.OwnedBy"), w.client("second", "Application.ReadWrite.OwnedBy")
		c := w.client("owned")
		owners := func(want ...string) {
			w.Helper()
			list, err := w.dir.PrincipalOwners(w.ctx(), w.system, c.principalRef())
			w.ok(err)
			if got := ids(list); !cmp.Equal(got, append([]string{}, want...)) {
				w.Errorf("owners %v, want %v", got, want)
			}
		}
		touch := func(by client) string {
			w.Helper()
			return kindOf(w.dir.UpdateServicePrincipal(w.ctx(), by.Caller, c.principalRef(), directory.PrincipalEdit{Tags: &[]string{"t"}}))
		}
		owners()
		w.ok(w.dir.AddPrincipalOwner(w.ctx(), w.system, c.principalRef(), strings.ToUpper(first.PrincipalID)))
		w.clock.Advance(1)
		w.ok(w.dir.AddPrincipalOwner(w.ctx(), first.Caller, directory.Ref{AppID: c.AppID}, second.PrincipalID))
		if got := touch(second); got != "ok" {
			w.Errorf("its owner: %s", got)
		}
		// It owns the service principal and not the application.
		if err := w.dir.DeleteApplication(w.ctx(), second.Caller, c.ref()); kindOf(err) != string(directory.Forbidden) {
			w.Errorf("the application, by the owner of its service principal: %v", err)
		}
		if e := w.kind(w.dir.AddPrincipalOwner(w.ctx(), w.system, c.principalRef(), first.PrincipalID), directory.Exists); e.Object != directory.PrincipalObject || e.Field != "owners" {
			w.Errorf("twice: %+v", e)
		}
		for _, id := range []string{"", "none", c.app.ID, "no\x00ne"} {
			w.kind(w.dir.AddPrincipalOwner(w.ctx(), w.system, c.principalRef(), id), directory.NotFound)
			w.kind(w.dir.RemovePrincipalOwner(w.ctx(), w.system, c.principalRef(), id), directory.NotFound)
		}
		w.kind(w.dir.AddPrincipalOwner(w.ctx(), w.system, c.ref(), first.PrincipalID), directory.NotFound)
		w.ok(w.dir.RemovePrincipalOwner(w.ctx(), w.system, c.principalRef(), strings.ToUpper(second.PrincipalID)))
		if got := touch(second); got != string(directory.Forbidden) {
			w.Errorf("a former owner: %s", got)
		}
		owners(first.PrincipalID)
		w.ok(w.dir.DeleteServicePrincipal(w.ctx(), w.system, first.principalRef()))
		owners()
	})
}

func TestOwnersFromTheStart(t *testing.T) {
	each(t, func(w *world) {
		maker, other := w.client("maker", "Application.ReadWrite.OwnedBy"), w.client("other", "Application.ReadWrite.OwnedBy")
		both := []string{maker.PrincipalID, strings.ToUpper(other.PrincipalID), other.PrincipalID}
		app, err := w.dir.CreateApplication(w.ctx(), maker.Caller, directory.Application{DisplayName: "a", Owners: both})
		w.ok(err)
		p, err := w.dir.CreateServicePrincipal(w.ctx(), other.Caller, directory.NewPrincipal{AppID: app.AppID, Owners: []string{maker.PrincipalID}})
		w.ok(err)
		want := map[string]bool{maker.PrincipalID: true, other.PrincipalID: true}
		for name, read := range map[string]func() ([]directory.ServicePrincipal, error){
			"application": func() ([]directory.ServicePrincipal, error) {
				return w.dir.Owners(w.ctx(), w.system, directory.Ref{ID: app.ID})
			},
			"service principal": func() ([]directory.ServicePrincipal, error) {
				return w.dir.PrincipalOwners(w.ctx(), w.system, directory.Ref{ID: p.ID})
			},
		} {
			list, err := read()
			w.ok(err)
			got := map[string]bool{}
			for _, id := range ids(list) {
				got[id] = true
			}
			if !cmp.Equal(got, want) || len(list) != 2 {
				w.Errorf("%s: owners %v", name, ids(list))
			}
		}
		// One that is not there is none, and then nothing was made.
		before := w.rows("applications", "1 = 1")
		_, err = w.dir.CreateApplication(w.ctx(), maker.Caller, directory.Application{DisplayName: "b", Owners: []string{other.PrincipalID, app.ID}})
		if e := w.kind(err, directory.NotFound); e.Object != directory.PrincipalObject || e.ID != app.ID {
			w.Errorf("got %+v", e)
		}
		if after := w.rows("applications", "1 = 1"); after != before {
			w.Errorf("%d applications, and before %d", after, before)
		}
	})
}

func TestFirstSecrets(t *testing.T) {
	each(t, func(w *world) {
		made, err := w.dir.CreateApplication(w.ctx(), w.admin, directory.Application{DisplayName: "a", Secrets: []directory.Secret{{DisplayName: "one", Text: "chosen"}, {}}})
		w.ok(err)
		w.clock.Advance(1)
		if len(made.Secrets) != 2 || made.Secrets[0].DisplayName != "one" || made.Secrets[0].Text == "chosen" || len(made.Secrets[0].Text) < 40 || !made.Secrets[0].End.Equal(start.AddDate(2, 0, 0)) {
			w.Fatalf("made %+v", made.Secrets)
		}
		_, err = w.dir.CreateServicePrincipal(w.ctx(), w.admin, directory.NewPrincipal{AppID: made.AppID})
		w.ok(err)
		for _, s := range made.Secrets {
			if _, result, err := w.dir.MatchSecret(w.ctx(), w.tenant.ID, made.AppID, s.Text); err != nil || result != directory.SecretOK {
				w.Errorf("%q is judged %s (%v)", s.DisplayName, result, err)
			}
			if n := w.rows("audit_events", "target_id = $1 AND action = $2", s.ID, "microsoft.directory/applications/credentials/update"); n != 1 {
				w.Errorf("%d audit events for %q", n, s.DisplayName)
			}
		}
		read, err := w.dir.Application(w.ctx(), w.admin, directory.Ref{ID: made.ID})
		w.ok(err)
		if len(read.Secrets) != 2 || read.Secrets[0].Text+read.Secrets[1].Text != "" {
			w.Errorf("read %+v", read.Secrets)
		}
		_, err = w.dir.CreateApplication(w.ctx(), w.admin, directory.Application{DisplayName: "b", Secrets: []directory.Secret{{Start: start, End: start}}})
		if e := w.kind(err, directory.Invalid); e.Object != directory.SecretObject || e.Field != "endDateTime" {
			w.Errorf("got %+v", e)
		}
		_, err = w.dir.CreateApplication(w.ctx(), w.admin, directory.Application{DisplayName: "b", Secrets: make([]directory.Secret, 101)})
		w.kind(err, directory.LimitReached)
		if n := w.rows("applications", "display_name = $1", "b"); n != 0 {
			w.Errorf("%d applications were made although their secrets could not be", n)
		}
	})
}
