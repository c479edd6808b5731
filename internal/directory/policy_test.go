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
	"github.com/entente-id/entente/internal/testkit"
)

// registeredOnly turns the policy on or off.
func (w *world) registeredOnly(on bool) {
	w.Helper()
	_, err := w.dir.SetPolicy(w.ctx(), w.admin, directory.PolicyEdit{RegisteredIssuersOnly: &on})
	w.ok(err)
}

func TestPolicy(t *testing.T) {
	each(t, func(w *world) {
		for _, n := range []int{0, -1, 100_001} {
			_, err := w.dir.SetPolicy(w.ctx(), w.admin, directory.PolicyEdit{MaxCredentials: &n})
			w.kind(err, directory.Invalid)
		}
		for _, step := range []struct {
			edit directory.PolicyEdit
			want directory.Policy
		}{
			{directory.PolicyEdit{}, directory.Policy{MaxCredentials: 20}},
			{directory.PolicyEdit{MaxCredentials: ptr(100_000)}, directory.Policy{MaxCredentials: 100_000}},
			{directory.PolicyEdit{RegisteredIssuersOnly: ptr(true)}, directory.Policy{MaxCredentials: 100_000, RegisteredIssuersOnly: true}},
			{directory.PolicyEdit{MaxCredentials: ptr(1)}, directory.Policy{MaxCredentials: 1, RegisteredIssuersOnly: true}},
			{directory.PolicyEdit{MaxCredentials: ptr(2), RegisteredIssuersOnly: ptr(false)}, directory.Policy{MaxCredentials: 2}},
		} {
			set, err := w.dir.SetPolicy(w.ctx(), w.admin, step.edit)
			w.ok(err)
			read, err := w.dir.Policy(w.ctx(), w.admin)
			w.ok(err)
			tenant, err := w.dir.LookupTenant(w.ctx(), w.tenant.ID)
			w.ok(err)
			if set != step.want || read != step.want || tenant.MaxCredentials != read.MaxCredentials || tenant.RegisteredIssuersOnly != read.RegisteredIssuersOnly {
				w.Errorf("set %+v, read %+v, the tenant has %+v; want %+v", set, read, tenant, step.want)
			}
		}
		last, err := w.dir.Events(w.ctx(), w.admin, directory.EventFilter{Action: "Entente.Federation/policies/write"}, directory.Page{Limit: 1})
		w.ok(err)
		if diff := cmp.Diff(map[string]string{"maxFederatedIdentityCredentials": "2", "registeredIssuersOnly": "false"}, last.Items[0].Detail); diff != "" {
			w.Errorf("the event (-want +got):\n%s", diff)
		}
	})
}

func TestRegisteredIssuersOnly(t *testing.T) {
	each(t, func(w *world) {
		parents(w, func(w *world, p directory.Parent) {
			const registered, byCluster, unknown = "https://registered.example/", "https://cluster.example", "https://unknown.example/"
			w.registeredOnly(false)
			old := w.credential(p, "old") // of an issuer that only credentials name
			_, _, err := w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: "registered", URL: registered})
			w.ok(err)
			if _, err := w.dir.Cluster(w.ctx(), w.admin, w.clusterRef("g", "found")); err != nil {
				w.cluster("g", "found", &directory.ClusterIssuerSpec{URL: byCluster})
				w.cluster("g", "hosted", hosted)
			}
			own, err := w.dir.Cluster(w.ctx(), w.admin, w.clusterRef("g", "hosted"))
			w.ok(err)
			w.registeredOnly(true)

			of := func(name, issuer string) credential.Spec {
				s := spec(name)
				s.Issuer, s.Subject = issuer, name
				return s
			}
			refused := func(name, issuer string, err error) {
				w.Helper()
				e := w.kind(err, directory.Invalid)
				v, ok := errors.AsType[*credential.Violation](err)
				if !ok || e.Object != directory.CredentialObject || e.Field != "issuer" || e.Spec == nil || v.Field != credential.Issuer || v.Rule != credential.Unregistered || v.Value != issuer {
					w.Errorf("%s: got %+v", name, e)
				}
				for _, part := range []string{"registered issuers only", "entente cluster register", "entente apply"} {
					if !strings.Contains(err.Error(), part) {
						w.Errorf("%s: %q says nothing of %q", name, err, part)
					}
				}
				if n := w.rows("issuers", "url = $1", issuer); issuer == unknown && n != 0 {
					w.Errorf("%s: the issuer is there", name)
				}
			}

			// A URL is another one with or without its last slash, and in another case.
			for _, url := range []string{unknown, issuerURL, strings.TrimSuffix(registered, "/"), byCluster + "/", "https://Registered.example/", own.Issuer.URL + "x"} {
				_, err := w.dir.AddCredential(w.ctx(), w.system, p, of("new", url))
				if strings.HasPrefix(url, own.Issuer.URL) { // which nothing could have
					w.kind(err, directory.Invalid)
					continue
				}
				refused("add", url, err)
				_, _, err = w.dir.PutCredential(w.ctx(), w.system, p, of("new", url))
				refused("put", url, err)
				s := of("new", url)
				_, _, err = w.dir.UpdateCredential(w.ctx(), w.system, p, "new", directory.CredentialEdit{Issuer: &s.Issuer, Subject: &s.Subject, Audiences: &s.Audiences}, true)
				refused("upsert", url, err)
			}
			for i, url := range []string{registered, byCluster, own.Issuer.URL} {
				added, err := w.dir.AddCredential(w.ctx(), w.system, p, of(fmt.Sprintf("good%d", i), url))
				w.ok(err)
				_, _, err = w.dir.UpdateCredential(w.ctx(), w.system, p, added.ID, directory.CredentialEdit{Issuer: ptr(unknown)}, false)
				refused("update", unknown, err)
				again := of(added.Name, unknown)
				_, _, err = w.dir.PutCredential(w.ctx(), w.system, p, again)
				refused("replace", unknown, err)
			}

			// What is there stays, works, and can be changed in everything but its issuer.
			_, _, err = w.dir.UpdateCredential(w.ctx(), w.system, p, "old", directory.CredentialEdit{Subject: ptr("changed")}, false)
			w.ok(err)
			_, _, err = w.dir.PutCredential(w.ctx(), w.system, p, old.Spec)
			w.ok(err)
			_, _, err = w.dir.UpdateCredential(w.ctx(), w.system, p, "good0", directory.CredentialEdit{Issuer: ptr(issuerURL)}, false)
			refused("an issuer that another credential has", issuerURL, err)
			_, _, err = w.dir.UpdateCredential(w.ctx(), w.system, p, "old", directory.CredentialEdit{Issuer: ptr(registered)}, false)
			w.ok(err)

			// An issuer whose registration was taken back is none.
			w.ok(w.dir.RemoveIssuer(w.ctx(), w.admin, "registered"))
			_, err = w.dir.AddCredential(w.ctx(), w.system, p, of("late", registered))
			refused("taken back", registered, err)
			w.registeredOnly(false)
			_, err = w.dir.AddCredential(w.ctx(), w.system, p, of("late", registered))
			w.ok(err)
		})
	})
}

// The policy is the tenant's own, and so are its issuers.
func TestRegisteredIssuersAreTheTenants(t *testing.T) {
	each(t, func(w *world) {
		_, other := w.otherTenant()
		_, _, err := w.dir.PutIssuer(w.ctx(), other, directory.Issuer{Name: "theirs", URL: issuerURL})
		w.ok(err)
		w.registeredOnly(true)
		_, err = w.dir.AddCredential(w.ctx(), w.system, parentApp(w.app("a")), spec("one"))
		w.kind(err, directory.Invalid)
		app, err := w.dir.CreateApplication(w.ctx(), other, directory.Application{DisplayName: "b"})
		w.ok(err)
		s := spec("one")
		s.Issuer = "https://anything.example"
		_, err = w.dir.AddCredential(w.ctx(), other, parentApp(app), s)
		w.ok(err)
	})
}

// An operator who has lost the administrator gets in with any issuer.
func TestRecoveryMindsNoPolicy(t *testing.T) {
	each(t, func(w *world) {
		w.registeredOnly(true)
		_, err := w.dir.RecoverAdministrator(w.ctx(), w.tenant.ID, issuerURL, "system:serviceaccount:a:b")
		w.ok(err)
	})
}

// Once the policy is on, nothing is written that was decided before: a
// credential that is under way is waited for.
func TestPolicyWaitsForCredentials(t *testing.T) {
	w := newWorld(t, testkit.PostgreSQL(t))
	c, s := w.client("client"), spec("one")
	release := w.held(`INSERT INTO issuers (id, tenant_id, name_key, name, url, key_source, jwks_uri, key_set, algorithms, ca_pem, many_audiences, implicit, revision, created_at, updated_at)
		VALUES ('x', $1, 'x', 'x', $2, 'Discovery', '', '', '', '', 0, 1, 1, 0, 0)`, w.tenant.ID, s.Issuer)
	added := w.background(func() error { return none(w.dir.AddCredential(w.ctx(), w.system, c.parent(), s)) })
	w.waiting(1, added) // for the issuer, with the policy read
	set := w.background(func() error {
		return none(w.dir.SetPolicy(w.ctx(), w.admin, directory.PolicyEdit{RegisteredIssuersOnly: ptr(true)}))
	})
	w.waiting(2, set)
	late := w.client("late")
	w.ok(none(w.dir.Credentials(w.ctx(), w.system, late.parent(), directory.Page{}))) // readers wait for nobody
	release()
	<-added
	<-set
	_, err := w.dir.AddCredential(w.ctx(), w.system, late.parent(), s)
	w.kind(err, directory.Invalid)
}

// Many writers and a policy that goes on and off meet without an error of the
// database, and nothing comes in after it went on for good.
func TestPolicyAndCredentialsInParallel(t *testing.T) {
	each(t, func(w *world) {
		w.limit(1000)
		p := parentApp(w.app("a"))
		other := parentApp(w.app("b"))
		var wg sync.WaitGroup
		for i := range 24 {
			wg.Go(func() {
				s := spec(fmt.Sprintf("parallel%d", i))
				s.Issuer = fmt.Sprintf("https://issuer%d.example", i%5)
				to := p
				if i%2 == 0 {
					to = other
				}
				if _, err := w.dir.AddCredential(w.ctx(), w.system, to, s); err != nil && kindOf(err) != string(directory.Invalid) {
					w.Errorf("add: %v", err)
				}
			})
			if i%4 == 0 {
				wg.Go(func() { w.registeredOnly(i%8 == 0) })
			}
		}
		wg.Wait()
		w.registeredOnly(true)
		before := w.rows("credentials", "1 = 1")
		_, err := w.dir.AddCredential(w.ctx(), w.system, p, spec("last"))
		w.kind(err, directory.Invalid)
		if now := w.rows("credentials", "1 = 1"); now != before {
			w.Errorf("%d credentials, then %d", before, now)
		}
	})
}

func none(_ any, err error) error { return err }
