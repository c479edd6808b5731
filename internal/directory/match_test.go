package directory_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/testkit"
)

func TestMatch(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("client")
		w.group("g")
		m := w.identity("g", "mine")
		s := spec("one")
		ofApp, ofIdentity := w.credential(c.parent(), "one"), w.credential(parentIdentity(m), "one")
		for name, q := range map[string]struct {
			tenant, client string
			credential     directory.Credential
			want           directory.Client
		}{
			"application":     {w.tenant.ID, c.AppID, ofApp, directory.Client{ClientID: c.AppID, PrincipalID: c.PrincipalID, Kind: credential.Application, DisplayName: "client", Enabled: true}},
			"identity":        {w.tenant.ID, m.ClientID, ofIdentity, directory.Client{ClientID: m.ClientID, PrincipalID: m.PrincipalID, Kind: credential.ManagedIdentity, DisplayName: "mine", Enabled: true, ResourceID: m.ResourceID()}},
			"domain and case": {"EXAMPLE.test", strings.ToUpper(c.AppID), ofApp, directory.Client{ClientID: c.AppID, PrincipalID: c.PrincipalID, Kind: credential.Application, DisplayName: "client", Enabled: true}},
		} {
			got, err := w.dir.MatchCredential(w.ctx(), q.tenant, q.client, assertion(s))
			w.ok(err)
			if diff := cmp.Diff(q.want, got.Client, cmpopts.IgnoreUnexported(directory.Client{})); diff != "" {
				w.Errorf("%s (-want +got):\n%s", name, diff)
			}
			if got.Miss != credential.Hit || got.Credential.ID != q.credential.ID || got.Credential.Name != "one" || got.Credential.Audience() != s.Audiences[0] || got.Tenant.ID != w.tenant.ID || got.Tenant.Domain != "example.test" || !got.Tenant.Default || got.Issuer.URL != issuerURL {
				w.Errorf("%s: got %+v", name, got)
			}
		}
	})
}

func TestMatchMisses(t *testing.T) {
	each(t, func(w *world) {
		c, empty := w.client("client"), w.client("empty")
		w.credential(c.parent(), "one")
		w.credential(c.parent(), "two")
		elsewhere := spec("three")
		elsewhere.Issuer = "https://elsewhere.example"
		_, err := w.dir.AddCredential(w.ctx(), w.system, c.parent(), elsewhere)
		w.ok(err)
		change := func(f func(*credential.Assertion)) credential.Assertion {
			a := assertion(spec("one"))
			f(&a)
			return a
		}
		for name, q := range map[string]struct {
			client    client
			assertion credential.Assertion
			want      credential.Miss
			near      string // subject of the nearest
		}{
			"hit":                   {c, change(func(*credential.Assertion) {}), credential.Hit, ""},
			"no credential":         {empty, change(func(*credential.Assertion) {}), credential.NoCredential, ""},
			"issuer":                {c, change(func(a *credential.Assertion) { a.Issuer = "https://other.example" }), credential.IssuerMiss, "*"},
			"issuer's slash":        {c, change(func(a *credential.Assertion) { a.Issuer = strings.TrimSuffix(issuerURL, "/") }), credential.IssuerMiss, "system:serviceaccount:default:one"},
			"issuer's case":         {c, change(func(a *credential.Assertion) { a.Issuer = "https://Issuer.example/" }), credential.IssuerMiss, "system:serviceaccount:default:one"},
			"no issuer":             {c, change(func(a *credential.Assertion) { a.Issuer = "" }), credential.IssuerMiss, "system:serviceaccount:default:one"},
			"NUL in the issuer":     {c, change(func(a *credential.Assertion) { a.Issuer += "\x00" }), credential.IssuerMiss, "system:serviceaccount:default:one"},
			"another's issuer":      {c, change(func(a *credential.Assertion) { a.Issuer = "https://elsewhere.example" }), credential.SubjectMiss, "system:serviceaccount:default:one"},
			"subject":               {c, change(func(a *credential.Assertion) { a.Subject = "system:serviceaccount:default:tow" }), credential.SubjectMiss, "system:serviceaccount:default:two"},
			"subject's case":        {c, change(func(a *credential.Assertion) { a.Subject = "System:ServiceAccount:default:ONE" }), credential.SubjectCaseMiss, "system:serviceaccount:default:one"},
			"subject's space":       {c, change(func(a *credential.Assertion) { a.Subject += " " }), credential.SubjectMiss, "system:serviceaccount:default:one"},
			"NUL in the subject":    {c, change(func(a *credential.Assertion) { a.Subject += "\x00" }), credential.SubjectMiss, "system:serviceaccount:default:one"},
			"no UTF-8":              {c, change(func(a *credential.Assertion) { a.Subject += "\xff" }), credential.SubjectMiss, "system:serviceaccount:default:one"},
			"pattern":               {c, change(func(a *credential.Assertion) { a.Subject = "system:serviceaccount:default:%" }), credential.SubjectMiss, "*"},
			"audience":              {c, change(func(a *credential.Assertion) { a.Audiences = []string{"other"} }), credential.AudienceMiss, "system:serviceaccount:default:one"},
			"audience's case":       {c, change(func(a *credential.Assertion) { a.Audiences = []string{strings.ToLower(credential.DefaultAudience)} }), credential.AudienceMiss, "system:serviceaccount:default:one"},
			"no audience":           {c, change(func(a *credential.Assertion) { a.Audiences = nil }), credential.AudienceMiss, "system:serviceaccount:default:one"},
			"several audiences":     {c, change(func(a *credential.Assertion) { a.Audiences = append(a.Audiences, "other") }), credential.AudienceMiss, "system:serviceaccount:default:one"},
			"the same one twice":    {c, change(func(a *credential.Assertion) { a.Audiences = append(a.Audiences, a.Audiences...) }), credential.AudienceMiss, "system:serviceaccount:default:one"},
			"audience with a slash": {c, change(func(a *credential.Assertion) { a.Audiences[0] += "/" }), credential.AudienceMiss, "system:serviceaccount:default:one"},
		} {
			m, err := w.dir.MatchCredential(w.ctx(), w.tenant.ID, q.client.AppID, q.assertion)
			w.ok(err)
			nearest := credential.Trust{}
			if m.Miss != credential.Hit {
				nearest, err = w.dir.Nearest(w.ctx(), m, q.assertion)
				w.ok(err)
			}
			if m.Miss != q.want || m.Client.PrincipalID != q.client.PrincipalID || q.near != "*" && nearest.Subject != q.near {
				w.Errorf("%s: got %q, nearest %+v; want %q, %q", name, m.Miss, nearest, q.want, q.near)
			}
			if m.Miss != credential.Hit && m.Miss != credential.AudienceMiss && m.Credential.ID != "" {
				w.Errorf("%s: a miss has the credential %+v", name, m.Credential)
			}
		}
	})
}

func TestMatchOfNobody(t *testing.T) {
	each(t, func(w *world) {
		c, orphan := w.client("client"), w.app("orphan")
		w.credential(c.parent(), "one")
		other, _ := w.otherTenant()
		for name, q := range map[string]struct {
			tenant, client string
			there, orphan  bool
		}{
			"no tenant":        {"none", c.AppID, false, false},
			"NUL tenant":       {"no\x00ne", c.AppID, false, false},
			"empty tenant":     {"", c.AppID, false, false},
			"no client":        {w.tenant.ID, "none", true, false},
			"NUL client":       {w.tenant.ID, "no\x00ne", true, false},
			"empty client":     {w.tenant.ID, "", true, false},
			"object id":        {w.tenant.ID, c.PrincipalID, true, false},
			"orphan":           {w.tenant.ID, orphan.AppID, true, true},
			"another tenant's": {other.Tenant.ID, c.AppID, true, false},
			"orphan elsewhere": {other.Tenant.ID, orphan.AppID, true, false},
		} {
			m, err := w.dir.MatchCredential(w.ctx(), q.tenant, q.client, assertion(spec("one")))
			w.ok(err)
			if (m.Tenant.ID != "") != q.there || m.Orphan != q.orphan || m.Client.PrincipalID != "" || m.Credential.ID != "" || m.Issuer.ID != "" {
				w.Errorf("%s: got %+v", name, m)
			}
		}
	})
}

func TestMatchWithSeveralAudiences(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("client")
		w.credential(c.parent(), "one")
		_, _, err := w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: "prod", URL: issuerURL, ManyAudiences: true})
		w.ok(err)
		a := assertion(spec("one"))
		a.Audiences = []string{"other", credential.DefaultAudience}
		for _, want := range []credential.Miss{credential.Hit, credential.AudienceMiss} {
			m, err := w.dir.MatchCredential(w.ctx(), w.tenant.ID, c.AppID, a)
			w.ok(err)
			if m.Miss != want {
				w.Errorf("%v: got %q, want %q", a.Audiences, m.Miss, want)
			}
			a.Audiences = []string{"other", "another"}
		}
	})
}

// The nearest of many is found among those of the presented subject or issuer.
func TestMatchMissAmongMany(t *testing.T) {
	each(t, func(w *world) {
		w.limit(1000)
		c := w.client("client")
		for i := range 120 {
			s := spec(fmt.Sprintf("name%03d", i))
			s.Issuer = fmt.Sprintf("https://a%03d.example", i)
			_, err := w.dir.AddCredential(w.ctx(), w.system, c.parent(), s)
			w.ok(err)
		}
		w.credential(c.parent(), "one")
		near := spec("on")
		m := w.match(c.AppID, near)
		nearest, err := w.dir.Nearest(w.ctx(), m, assertion(near))
		w.ok(err)
		if m.Miss != credential.SubjectMiss || nearest.Subject != spec("one").Subject {
			w.Errorf("got %q, nearest %+v", m.Miss, nearest)
		}
	})
}

// Every change counts on the next match, on every replica.
func TestMatchSeesEveryChangeAtOnce(t *testing.T) {
	testkit.EngineDSNs(t, func(t *testing.T, dsn string) {
		w := newWorld(t, testkit.Open(t, dsn))
		replica := &directory.Directory{DB: testkit.Open(t, dsn)}
		c := w.client("client")
		step := func(what string, want string, err error) {
			w.Helper()
			w.ok(err)
			for name, dir := range map[string]*directory.Directory{"here": w.dir, "on a replica": replica} {
				m, err := dir.MatchCredential(w.ctx(), w.tenant.ID, c.AppID, assertion(spec("one")))
				w.ok(err)
				got := string(m.Miss)
				switch {
				case m.Client.PrincipalID == "":
					got = "nobody"
				case !m.Client.Enabled:
					got = "disabled"
				case m.Miss == credential.Hit:
					got = "hit " + string(m.Issuer.KeySource)
				}
				if got != want {
					w.Errorf("%s, %s: got %q, want %q", what, name, got, want)
				}
			}
		}
		for range 3 {
			_, err := w.dir.AddCredential(w.ctx(), w.system, c.parent(), spec("one"))
			step("added", "hit Discovery", err)
			_, _, err = w.dir.UpdateCredential(w.ctx(), w.system, c.parent(), "one", directory.CredentialEdit{Audiences: &[]string{"other"}}, false)
			step("another audience", "audience", err)
			_, _, err = w.dir.UpdateCredential(w.ctx(), w.system, c.parent(), "one", directory.CredentialEdit{Subject: ptr("other")}, false)
			step("another subject", "subject", err)
			_, _, err = w.dir.PutCredential(w.ctx(), w.system, c.parent(), spec("one"))
			step("put back", "hit Discovery", err)
			_, _, err = w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: "prod", URL: issuerURL, KeySource: directory.UploadedKeys, KeySet: keySet})
			step("keys uploaded", "hit KeySet", err)
			step("issuer removed", "hit Discovery", w.dir.RemoveIssuer(w.ctx(), w.admin, "prod"))
			step("disabled", "disabled", w.dir.UpdateServicePrincipal(w.ctx(), w.system, c.principalRef(), directory.PrincipalEdit{Enabled: ptr(false)}))
			step("enabled", "hit Discovery", w.dir.UpdateServicePrincipal(w.ctx(), w.system, c.principalRef(), directory.PrincipalEdit{Enabled: ptr(true)}))
			step("deleted", "nobody", w.dir.DeleteApplication(w.ctx(), w.system, c.ref()))
			_, err = w.dir.RestoreApplication(w.ctx(), w.system, c.app.ID)
			step("restored", "hit Discovery", err)
			step("removed", "no_credential", w.dir.RemoveCredential(w.ctx(), w.system, c.parent(), "one"))
		}
	})
}

func TestCallerOf(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("client")
		got, err := w.dir.CallerOf(w.ctx(), w.tenant.ID, c.PrincipalID)
		w.ok(err)
		if diff := cmp.Diff(c.Caller, got); diff != "" {
			w.Errorf("(-want +got):\n%s", diff)
		}
		other, _ := w.otherTenant()
		for _, q := range [][2]string{{w.tenant.ID, "none"}, {w.tenant.ID, "no\x00ne"}, {w.tenant.ID, c.AppID}, {other.Tenant.ID, c.PrincipalID}, {"", ""}} {
			_, err = w.dir.CallerOf(w.ctx(), q[0], q[1])
			w.kind(err, directory.Unauthenticated)
		}
		w.ok(w.dir.UpdateServicePrincipal(w.ctx(), w.system, c.principalRef(), directory.PrincipalEdit{Enabled: ptr(false)}))
		_, err = w.dir.CallerOf(w.ctx(), w.tenant.ID, c.PrincipalID)
		w.kind(err, directory.Unauthenticated)
	})
}

// A credential whose issuer is gone from under it is a fault of ours, and said to be one.
func TestMatchWithoutAnIssuer(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("client")
		w.credential(c.parent(), "one")
		w.ok(w.db.Update(w.ctx(), func(tx *sql.Tx) error {
			_, err := tx.Exec(`DELETE FROM issuers`)
			return err
		}))
		_, err := w.dir.MatchCredential(w.ctx(), w.tenant.ID, c.AppID, assertion(spec("one")))
		if err == nil || !strings.Contains(err.Error(), issuerURL) {
			w.Errorf("got %v", err)
		}
	})
}
