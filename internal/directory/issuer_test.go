package directory_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
)

var keySet = json.RawMessage(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"1"}]}`)

func certificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: start.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestIssuer(t *testing.T) {
	ca := certificate(t)
	each(t, func(w *world) {
		in := directory.Issuer{Name: "Prod", URL: issuerURL, KeySource: directory.UploadedKeys, KeySet: keySet, Algorithms: []string{"RS256", "ES256"}, CAPEM: ca, ManyAudiences: true}
		put, created, err := w.dir.PutIssuer(w.ctx(), w.admin, in)
		w.ok(err)
		want := in
		want.ID, want.TenantID, want.CreatedAt, want.UpdatedAt, want.Revision = put.ID, w.tenant.ID, start, start, put.Revision
		if diff := cmp.Diff(want, put); diff != "" || !created || !directory.IsID(put.ID) {
			w.Errorf("created %v (-want +got):\n%s", created, diff)
		}
		read, err := w.dir.Issuer(w.ctx(), w.admin, "PROD")
		w.ok(err)
		if diff := cmp.Diff(put, read); diff != "" {
			w.Errorf("(-put +read):\n%s", diff)
		}
		w.clock.Advance(time.Minute)
		again, created, err := w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: "prod", URL: issuerURL})
		w.ok(err)
		want = directory.Issuer{ID: put.ID, TenantID: w.tenant.ID, Name: "prod", URL: issuerURL, KeySource: directory.DiscoveredKeys, CreatedAt: start, UpdatedAt: start.Add(time.Minute), Revision: put.Revision + 1}
		if diff := cmp.Diff(want, again); diff != "" || created {
			w.Errorf("again, created %v (-want +got):\n%s", created, diff)
		}
		_, _, err = w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: "prod", URL: "https://another.example"})
		if e := w.kind(err, directory.Immutable); e.Field != "issuer" || e.Detail != issuerURL {
			w.Errorf("got %+v", e)
		}
		_, _, err = w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: "second", URL: issuerURL})
		if e := w.kind(err, directory.Exists); e.Field != "issuer" {
			w.Errorf("got %+v", e)
		}
		_, _, err = w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: "slash", URL: strings.TrimSuffix(issuerURL, "/")}) // another issuer
		w.ok(err)
		w.ok(w.dir.RemoveIssuer(w.ctx(), w.admin, "PROD"))
		w.kind(w.dir.RemoveIssuer(w.ctx(), w.admin, "PROD"), directory.NotFound)
		_, err = w.dir.Issuer(w.ctx(), w.admin, "prod")
		w.kind(err, directory.NotFound)
		if n := w.rows("issuers", "url = $1", issuerURL); n != 0 {
			w.Error("the issuer is left though no credential names it")
		}
	})
}

func TestIssuerRules(t *testing.T) {
	ca := certificate(t)
	valid := directory.Issuer{Name: "abc", URL: issuerURL}
	change := func(f func(*directory.Issuer)) directory.Issuer {
		i := valid
		f(&i)
		return i
	}
	upload := func(text string) directory.Issuer {
		return change(func(i *directory.Issuer) { i.KeySource, i.KeySet = directory.UploadedKeys, json.RawMessage(text) })
	}
	each(t, func(w *world) {
		for _, c := range []struct {
			field  string
			issuer directory.Issuer
		}{
			{"name", change(func(i *directory.Issuer) { i.Name = "" })},
			{"name", change(func(i *directory.Issuer) { i.Name = "ab" })},
			{"name", change(func(i *directory.Issuer) { i.Name = "a/c" })},
			{"name", change(func(i *directory.Issuer) { i.Name = "abc\x00" })},
			{"name", change(func(i *directory.Issuer) { i.Name = "auto-mine" })},
			{"name", change(func(i *directory.Issuer) { i.Name = "AUTO-mine" })},
			{"issuer", change(func(i *directory.Issuer) { i.URL = "http://issuer.example" })},
			{"issuer", change(func(i *directory.Issuer) { i.URL = "" })},
			{"issuer", change(func(i *directory.Issuer) { i.URL = "https://user@issuer.example" })},
			{"algorithms", change(func(i *directory.Issuer) { i.Algorithms = []string{"none"} })},
			{"algorithms", change(func(i *directory.Issuer) { i.Algorithms = []string{"HS256"} })},
			{"keySource", change(func(i *directory.Issuer) { i.KeySource = "Guess" })},
			{"jwksUri", change(func(i *directory.Issuer) { i.JWKSURI = "https://issuer.example/jwks" })},
			{"jwksUri", change(func(i *directory.Issuer) { i.KeySource = directory.JWKSURIKeys })},
			{"jwksUri", change(func(i *directory.Issuer) {
				i.KeySource, i.JWKSURI = directory.JWKSURIKeys, "http://issuer.example/jwks"
			})},
			{"jwksUri", change(func(i *directory.Issuer) {
				i.KeySource, i.JWKSURI = directory.JWKSURIKeys, "https://a@issuer.example/jwks"
			})},
			{"keySet", change(func(i *directory.Issuer) { i.KeySet = keySet })},
			{"keySet", change(func(i *directory.Issuer) { i.KeySource = directory.UploadedKeys })},
			{"keySet", upload(`{}`)},
			{"keySet", upload(`{"keys":[]}`)},
			{"keySet", upload(`{"keys":null}`)},
			{"keySet", upload(`{"Keys":[{"kty":"RSA"}]}`)},
			{"keySet", upload(`[]`)},
			{"keySet", upload(`{"keys":[`)},
			{"keySet", upload(`{"keys":[{"kty":"RSA","n":"x","e":"AQAB","d":"x"}]}`)},
			{"keySet", upload(`{"keys":[{"kty":"oct","k":"x"}]}`)},
			{"keySet", upload(`{"keys":[{"kty":"RSA","x5c":"` + strings.Repeat("x", 512<<10) + `"}]}`)},
			{"keySet", upload("{\"keys\":[{\"kty\":\"\xff\"}]}")},
			{"jwksUri", change(func(i *directory.Issuer) {
				i.KeySource, i.JWKSURI = directory.JWKSURIKeys, "https://issuer.example/\xff"
			})},
			{"caCertificate", change(func(i *directory.Issuer) { i.CAPEM = "x" })},
			{"caCertificate", change(func(i *directory.Issuer) { i.CAPEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" })},
			{"caCertificate", change(func(i *directory.Issuer) { i.CAPEM = strings.ReplaceAll(ca, "CERTIFICATE", "PRIVATE KEY") })},
			{"caCertificate", change(func(i *directory.Issuer) { i.CAPEM = ca + strings.Repeat("\n", 64<<10) })},
			{"caCertificate", change(func(i *directory.Issuer) { i.CAPEM = ca + "\x00" })},
		} {
			_, _, err := w.dir.PutIssuer(w.ctx(), w.admin, c.issuer)
			if e, ok := errors.AsType[*directory.Error](err); !ok || e.Kind != directory.Invalid || e.Field != c.field {
				w.Errorf("%.200v: got %v, want an invalid %s", c.issuer, err, c.field)
			}
		}
	})
}

func TestImplicitIssuer(t *testing.T) {
	each(t, func(w *world) {
		c := w.client("a")
		s := spec("one")
		w.credential(c.parent(), "one")
		w.credential(c.parent(), "two")
		implicit := w.match(c.AppID, s).Issuer
		if !implicit.Implicit || implicit.URL != issuerURL || implicit.KeySource != directory.DiscoveredKeys || implicit.ID == "" || implicit.Revision == 0 {
			w.Errorf("got %+v", implicit)
		}
		read, err := w.dir.Issuer(w.ctx(), w.admin, implicit.Name)
		w.ok(err)
		if diff := cmp.Diff(read, implicit); diff != "" {
			w.Errorf("(-read +matched):\n%s", diff)
		}
		if n := w.rows("issuers", "url = $1", issuerURL); n != 1 {
			w.Errorf("two credentials made %d issuers", n)
		}

		put, created, err := w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: "prod", URL: issuerURL, KeySource: directory.UploadedKeys, KeySet: keySet})
		w.ok(err)
		if !created || put.ID != implicit.ID || put.Implicit || put.Revision <= implicit.Revision {
			w.Errorf("adopted as %+v, created %v; want the same issuer under a new name and revision", put, created)
		}
		if diff := cmp.Diff(put, w.match(c.AppID, s).Issuer); diff != "" {
			w.Errorf("the next match does not know it (-put +matched):\n%s", diff)
		}
		_, err = w.dir.Issuer(w.ctx(), w.admin, implicit.Name)
		w.kind(err, directory.NotFound)

		w.ok(w.dir.RemoveIssuer(w.ctx(), w.admin, "prod"))
		back := w.match(c.AppID, s)
		if back.Miss != credential.Hit || !back.Issuer.Implicit || back.Issuer.ID == put.ID || back.Issuer.KeySet != nil {
			w.Errorf("after the removal the match is %+v", back)
		}
		// The implicit one can be set under the name that it has.
		named, created, err := w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: back.Issuer.Name, URL: issuerURL, Algorithms: []string{"ES256"}})
		w.ok(err)
		if created || named.Implicit {
			w.Errorf("got %+v, created %v", named, created)
		}
		// A credential of an issuer that was set leaves it as it is.
		w.credential(c.parent(), "three")
		if got := w.match(c.AppID, s).Issuer; cmp.Diff(named, got) != "" {
			w.Errorf("a credential changed the issuer to %+v", got)
		}
	})
}

func TestIssuersInPages(t *testing.T) {
	each(t, func(w *world) {
		for i := range 7 {
			_, _, err := w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: fmt.Sprintf("%s%d", []string{"a-b", "A_b", "aBc"}[i%3], i), URL: fmt.Sprintf("https://%d.example", i)})
			w.ok(err)
		}
		seen := map[string]bool{}
		page := directory.Page{Limit: 3}
		for range 5 {
			p, err := w.dir.Issuers(w.ctx(), w.admin, page)
			w.ok(err)
			for _, i := range p.Items {
				seen[i.Name] = true
			}
			if page.After = p.Next; p.Next == "" {
				break
			}
		}
		if len(seen) != 7 {
			w.Errorf("%d are seen, want 7: %v", len(seen), seen)
		}
	})
}

// While an issuer is removed, every credential that is accepted has one. The
// first credentials of an issuer at once make one.
func TestIssuerAndCredentialInParallel(t *testing.T) {
	each(t, func(w *world) {
		var clients []client
		for i := range 6 {
			clients = append(clients, w.client(fmt.Sprintf("client%d", i)))
		}
		for round := range 24 {
			if round%2 == 0 {
				_, _, err := w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: "prod", URL: issuerURL})
				w.ok(err)
			}
			var wg sync.WaitGroup
			wg.Go(func() {
				for range round % 8 { // some time goes by
					w.dir.RemoveIssuer(w.ctx(), w.admin, "none")
				}
				if err := w.dir.RemoveIssuer(w.ctx(), w.admin, "prod"); err != nil && round%2 == 0 {
					t.Errorf("remove: %v", err)
				}
			})
			for _, c := range clients {
				wg.Go(func() {
					if _, err := w.dir.AddCredential(w.ctx(), w.system, c.parent(), spec("one")); err != nil {
						t.Errorf("add: %v", err)
					}
				})
			}
			wg.Wait()
			for _, c := range clients {
				if m := w.match(c.AppID, spec("one")); m.Miss != credential.Hit || m.Issuer.ID == "" {
					w.Fatalf("round %d: the credential matches as %+v", round, m)
				}
				w.ok(w.dir.RemoveCredential(w.ctx(), w.system, c.parent(), "one"))
			}
			w.ok(w.dir.Purge(w.ctx()))
		}
	})
}

// One URL has one set of keys: of two that set it at once under two names, one does.
func TestIssuerPutInParallel(t *testing.T) {
	each(t, func(w *world) {
		for round := range 5 {
			url := fmt.Sprintf("https://round%d.example", round)
			var mu sync.Mutex
			made := 0
			var wg sync.WaitGroup
			for i := range 6 {
				wg.Go(func() {
					_, _, err := w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: fmt.Sprintf("name%d-%d", round, i), URL: url})
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
				w.Errorf("%d set the keys of one URL", made)
			}
		}
	})
}

// A right that was given on an issuer is nobody's on the next one of that name,
// however the one came to lose the name and the other to have it.
func TestIssuerNameBringsNoRights(t *testing.T) {
	const scope = "/providers/Entente.Federation/issuers/"
	prod := directory.Issuer{Name: "prod", URL: issuerURL, KeySource: directory.UploadedKeys, KeySet: keySet}
	other := directory.Issuer{Name: "Prod", URL: "https://other.example", KeySource: directory.UploadedKeys, KeySet: keySet}
	put := func(w *world, i directory.Issuer) {
		w.Helper()
		_, _, err := w.dir.PutIssuer(w.ctx(), w.admin, i)
		w.ok(err)
	}
	for name, test := range map[string]func(w *world){
		"removed": func(w *world) {
			put(w, prod)
			keeper := w.holder("keeper", roles.FederationAdministrator, scope+"prod")
			_, _, err := w.dir.PutIssuer(w.ctx(), keeper.Caller, prod)
			w.ok(err)
			w.ok(w.dir.RemoveIssuer(w.ctx(), w.admin, "PROD"))
			put(w, other)
			_, _, err = w.dir.PutIssuer(w.ctx(), keeper.Caller, other)
			w.kind(err, directory.Forbidden)
		},
		"removed, and a cluster takes the name": func(w *world) {
			put(w, prod)
			keeper := w.holder("keeper", roles.FederationAdministrator, scope+"prod")
			w.ok(w.dir.RemoveIssuer(w.ctx(), w.admin, "prod"))
			w.group("g")
			w.assign(keeper.PrincipalID, roles.Reader, "/subscriptions/"+w.subscription)
			c := w.cluster("g", "prod", &directory.ClusterIssuerSpec{Keys: directory.HostedKeys, KeySet: keySet})
			if c.Issuer.Name != "prod" {
				w.Fatalf("the issuer is called %q", c.Issuer.Name)
			}
			_, err := w.dir.SetClusterKeys(w.ctx(), keeper.Caller, c.ClusterRef, freshKeySet())
			w.kind(err, directory.Forbidden)
		},
		"implicit, adopted and removed": func(w *world) {
			app := w.client("app")
			w.credential(app.parent(), "one")
			implicit := w.match(app.AppID, spec("one")).Issuer.Name
			keeper := w.holder("keeper", roles.FederationAdministrator, scope+implicit)
			put(w, prod)
			w.ok(w.dir.RemoveIssuer(w.ctx(), w.admin, "prod"))
			again := prod
			again.Name = implicit
			_, _, err := w.dir.PutIssuer(w.ctx(), keeper.Caller, again)
			w.kind(err, directory.Forbidden)
		},
	} {
		t.Run(name, func(t *testing.T) { each(t, test) })
	}
	// It is the tenant's own names that count, and the same issuer keeps what was given on it.
	each(t, func(w *world) {
		_, otherAdmin := w.otherTenant()
		put(w, prod)
		keeper := w.holder("keeper", roles.FederationAdministrator, scope+"prod")
		_, _, err := w.dir.PutIssuer(w.ctx(), otherAdmin, prod)
		w.ok(err)
		w.ok(w.dir.RemoveIssuer(w.ctx(), otherAdmin, "prod"))
		renamed := prod
		renamed.Name = "PROD"
		put(w, renamed)
		_, _, err = w.dir.PutIssuer(w.ctx(), keeper.Caller, renamed)
		w.ok(err)
	})
}
