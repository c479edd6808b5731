package directory_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
	"github.com/entente-id/entente/internal/testkit"
)

func TestBootstrap(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, d *db.DB) {
		dir := &directory.Directory{DB: d}
		n := directory.NewTenant{ID: strings.ToUpper(uuid.NewString()), SubscriptionID: uuid.NewString(), Domain: "Example.TEST", AdministratorIssuer: issuerURL, AdministratorSubject: "admin"}
		f, created, err := dir.Bootstrap(t.Context(), n)
		if err != nil || !created || f.AdministratorSecret != "" || f.Tenant.ID != strings.ToLower(n.ID) || !f.Tenant.Default || f.Tenant.DisplayName != "Entente" || f.Tenant.MaxCredentials != 20 {
			t.Fatalf("got %+v %v %v", f, created, err)
		}
		for _, ref := range []string{n.ID, f.Tenant.ID, "example.test", "EXAMPLE.test"} {
			if got, err := dir.LookupTenant(t.Context(), ref); err != nil || got.ID != f.Tenant.ID {
				t.Errorf("by %q: got %+v %v", ref, got, err)
			}
		}
		for _, ref := range []string{"", "none", "no\x00ne", "\xff", "example"} {
			if _, err := dir.LookupTenant(t.Context(), ref); kindOf(err) != string(directory.NotFound) {
				t.Errorf("by %q: got %v", ref, err)
			}
		}
		m, err := dir.MatchCredential(t.Context(), "example.test", f.AdministratorClientID, credential.Assertion{Issuer: issuerURL, Subject: "admin", Audiences: []string{credential.DefaultAudience}})
		if err != nil || m.Miss != credential.Hit || m.Client.PrincipalID != f.AdministratorPrincipalID {
			t.Errorf("the administrator's assertion: %+v %v", m, err)
		}
		admin := caller(f)
		if s, err := dir.Subscriptions(t.Context(), admin); err != nil || len(s) != 1 || s[0].ID != n.SubscriptionID {
			t.Errorf("subscriptions %+v %v", s, err)
		}
		events, err := dir.Events(t.Context(), admin, directory.EventFilter{}, directory.Page{})
		if err != nil || len(events.Items) != 1 || events.Items[0].ActorKind != directory.SystemCaller || events.Items[0].TargetID != f.Tenant.ID {
			t.Errorf("events %+v %v", events, err)
		}
		again, created, err := dir.Bootstrap(t.Context(), directory.NewTenant{})
		if err != nil || created || again.Tenant.ID != f.Tenant.ID || again.AdministratorSecret != "" {
			t.Errorf("again: %+v %v %v", again, created, err)
		}
	})
}

func TestBootstrapOfProcessesAtOnce(t *testing.T) {
	testkit.EngineDSNs(t, func(t *testing.T, dsn string) {
		const processes, goroutines = 3, 4
		dirs := make([]*directory.Directory, processes)
		var opened sync.WaitGroup
		for i := range dirs { // the schema is migrated at once, too
			opened.Go(func() {
				d, err := db.Open(t.Context(), dsn)
				if err != nil {
					t.Errorf("open: %v", err)
					return
				}
				t.Cleanup(func() { d.Close() })
				dirs[i] = &directory.Directory{DB: d}
			})
		}
		opened.Wait()
		if t.Failed() {
			return
		}
		var mu sync.Mutex
		made, ids := 0, map[string]bool{}
		var wg sync.WaitGroup
		for i := range processes * goroutines {
			wg.Go(func() {
				f, created, err := dirs[i%processes].Bootstrap(t.Context(), directory.NewTenant{})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Errorf("bootstrap: %v", err)
				}
				if ids[f.Tenant.ID] = true; created {
					made++
				}
				if created != (f.AdministratorSecret != "") {
					t.Errorf("created %v with the secret %q", created, f.AdministratorSecret)
				}
			})
		}
		wg.Wait()
		var tenants, principals int
		d := dirs[0].DB.Read()
		if err := d.QueryRowContext(t.Context(), `SELECT count(*) FROM tenants`).Scan(&tenants); err != nil {
			t.Error(err)
		}
		if err := d.QueryRowContext(t.Context(), `SELECT count(*) FROM service_principals`).Scan(&principals); err != nil {
			t.Error(err)
		}
		if made != 1 || len(ids) != 1 || tenants != 1 || principals != 2 {
			t.Errorf("%d made the tenant, %d ids were told, %d tenants and %d service principals are there; want 1, 1, 1, 2", made, len(ids), tenants, principals)
		}
	})
}

func TestTenantRules(t *testing.T) {
	each(t, func(w *world) {
		for name, n := range map[string]directory.NewTenant{
			"id":                {ID: "x"},
			"zero id":           {ID: noRole},
			"subscription":      {SubscriptionID: "x"},
			"name":              {DisplayName: "\x00"},
			"long name":         {DisplayName: strings.Repeat("x", 257)},
			"a word as domain":  {Domain: "common"},
			"an id as domain":   {Domain: w.tenant.ID},
			"no domain":         {Domain: "a..b"},
			"path as domain":    {Domain: "a.b/c"},
			"NUL domain":        {Domain: "a.b\x00"},
			"issuer alone":      {AdministratorIssuer: issuerURL},
			"subject alone":     {AdministratorSubject: "s"},
			"administrator URL": {AdministratorIssuer: "http://x", AdministratorSubject: "s"},
		} {
			_, err := w.dir.CreateTenant(w.ctx(), w.admin, n)
			if kindOf(err) != string(directory.Invalid) {
				w.Errorf("%s: got %v", name, err)
			}
		}
		for name, n := range map[string]directory.NewTenant{
			"id": {ID: w.tenant.ID}, "domain": {Domain: "EXAMPLE.test"}, "subscription": {SubscriptionID: w.subscription},
		} {
			_, err := w.dir.CreateTenant(w.ctx(), w.admin, n)
			if kindOf(err) != string(directory.Exists) {
				w.Errorf("the same %s: got %v", name, err)
			}
		}
		if n := w.rows("tenants", "1 = 1"); n != 1 {
			w.Errorf("%d tenants are there", n)
		}
	})
}

func TestTenantsAreSeenByTheHost(t *testing.T) {
	each(t, func(w *world) {
		f, other := w.otherTenant()
		nobody := w.client("nobody")
		for _, c := range []struct {
			caller directory.Caller
			want   []string
		}{
			{w.admin, []string{w.tenant.ID, f.Tenant.ID}},
			{other, []string{f.Tenant.ID}},
			{nobody.Caller, []string{w.tenant.ID}},
		} {
			list, err := w.dir.Tenants(w.ctx(), c.caller)
			w.ok(err)
			var got []string
			for _, t := range list {
				got = append(got, t.ID)
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if !slices.Equal(got, c.want) {
				w.Errorf("%+v sees %v, want %v", c.caller, got, c.want)
			}
		}
		if got := w.secretResult(w.founded.AdministratorClientID, f.AdministratorSecret); got != directory.SecretWrong {
			w.Errorf("another tenant's secret is judged %s", got)
		}
		m, result, err := w.dir.MatchSecret(w.ctx(), f.Tenant.ID, f.AdministratorClientID, f.AdministratorSecret)
		if err != nil || result != directory.SecretOK || m.Tenant.ID != f.Tenant.ID {
			w.Errorf("got %+v %s %v", m, result, err)
		}
		_, err = w.dir.CreateTenant(w.ctx(), other, directory.NewTenant{})
		w.kind(err, directory.Forbidden)
		ids, err := w.dir.TenantIDs(w.ctx())
		w.ok(err)
		if len(ids) != 2 {
			w.Errorf("got %v", ids)
		}
	})
}

func TestRecoverAdministrator(t *testing.T) {
	each(t, func(w *world) {
		w.ok(w.dir.DeleteApplication(w.ctx(), w.admin, directory.Ref{AppID: w.founded.AdministratorClientID}))
		_, err := w.dir.Tenants(w.ctx(), w.admin)
		w.kind(err, directory.Unauthenticated)
		f, err := w.dir.RecoverAdministrator(w.ctx(), "EXAMPLE.test", "", "")
		w.ok(err)
		if got := w.secretResult(f.AdministratorClientID, f.AdministratorSecret); got != directory.SecretOK {
			w.Errorf("the new secret is judged %s", got)
		}
		federated, err := w.dir.RecoverAdministrator(w.ctx(), w.tenant.ID, issuerURL, "admin")
		w.ok(err)
		if federated.AdministratorSecret != "" {
			w.Error("a federated administrator has a secret")
		}
		for _, f := range []directory.Founded{f, federated} {
			_, err = w.dir.CreateTenant(w.ctx(), caller(f), directory.NewTenant{})
			w.ok(err)
			_, err = w.dir.CreateApplication(w.ctx(), caller(f), directory.Application{DisplayName: "x"})
			w.ok(err)
		}
		_, err = w.dir.RecoverAdministrator(w.ctx(), "none", "", "")
		w.kind(err, directory.NotFound)
		_, err = w.dir.RecoverAdministrator(w.ctx(), w.tenant.ID, "x", "")
		w.kind(err, directory.Invalid)
		events, err := w.dir.Events(w.ctx(), caller(f), directory.EventFilter{}, directory.Page{})
		w.ok(err)
		if n := len(slices.DeleteFunc(events.Items, func(e directory.Event) bool { return e.ActorName != "administrator recovery" })); n != 2 {
			w.Errorf("%d events of two recoveries", n)
		}
	})
}

func TestSubscriptions(t *testing.T) {
	each(t, func(w *world) {
		g := w.group("g")
		for _, c := range []struct {
			client client
			sees   bool
		}{
			{w.client("nobody"), false},
			{w.holder("root", roles.Reader, "/"), true},
			{w.holder("subscription", roles.Reader, "/subscriptions/"+strings.ToUpper(w.subscription)), true},
			{w.holder("group", roles.Reader, g.Scope()), true},
			{w.holder("elsewhere", roles.Reader, "/providers/x"), false},
		} {
			list, err := w.dir.Subscriptions(w.ctx(), c.client.Caller)
			w.ok(err)
			s, err := w.dir.Subscription(w.ctx(), c.client.Caller, strings.ToUpper(w.subscription))
			if (len(list) == 1) != c.sees || (err == nil) != c.sees || c.sees && s.Scope() != "/subscriptions/"+w.subscription {
				w.Errorf("%s sees %+v and %+v (%v), want %v", c.client.app.DisplayName, list, s, err, c.sees)
			}
			if !c.sees {
				w.kind(err, directory.NotFound)
			}
		}
		tenant, err := w.dir.SubscriptionTenant(w.ctx(), strings.ToUpper(w.subscription))
		w.ok(err)
		if tenant != w.tenant.ID {
			w.Errorf("got %q", tenant)
		}
		for _, id := range []string{"", "none", "no\x00ne"} {
			_, err = w.dir.SubscriptionTenant(w.ctx(), id)
			w.kind(err, directory.NotFound)
			_, err = w.dir.Subscription(w.ctx(), w.system, id)
			w.kind(err, directory.NotFound)
		}
	})
}
