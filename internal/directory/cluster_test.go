package directory_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
)

var keySets atomic.Int64

// freshKeySet is one that was not there before.
func freshKeySet() json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"k%d"}]}`, keySets.Add(1)))
}

var hosted = &directory.ClusterIssuerSpec{Keys: directory.HostedKeys}

func discovered(url string) *directory.ClusterIssuerSpec {
	return &directory.ClusterIssuerSpec{URL: url}
}

func keyed(url string, set json.RawMessage) *directory.ClusterIssuerSpec {
	return &directory.ClusterIssuerSpec{URL: url, Keys: directory.ClusterKeySet, KeySet: set}
}

func TestCluster(t *testing.T) {
	each(t, func(w *world) {
		w.group("Team")
		in := w.clusterSpec("Team", "Prod", discovered(issuerURL))
		in.Tags = map[string]string{"a": "1"}
		put, created, err := w.dir.PutCluster(w.ctx(), w.admin, in)
		w.ok(err)
		want := directory.Cluster{
			ClusterRef: in.ClusterRef, ID: put.ID, TenantID: w.tenant.ID, Location: location, Tags: in.Tags, CreatedAt: start, UpdatedAt: start,
			Issuer: &directory.ClusterIssuer{URL: issuerURL, Keys: directory.ClusterDiscovery, Name: put.Issuer.Name},
		}
		if diff := cmp.Diff(want, put); diff != "" || !created || !directory.IsID(put.ID) || !strings.HasPrefix(put.Issuer.Name, "auto-") {
			w.Errorf("created %v (-want +got):\n%s", created, diff)
		}
		read, err := w.dir.Cluster(w.ctx(), w.admin, w.clusterRef("TEAM", "prod"))
		w.ok(err)
		if diff := cmp.Diff(put, read); diff != "" {
			w.Errorf("(-put +read):\n%s", diff)
		}

		w.clock.Advance(time.Minute)
		want.UpdatedAt, want.Tags = w.clock.Now(), map[string]string{"b": "2"}
		for name, again := range map[string]directory.ClusterSpec{
			"the same":                        w.clusterSpec("team", "PROD", discovered(issuerURL)),
			"nothing said about it":           w.clusterSpec("team", "prod", &directory.ClusterIssuerSpec{}),
			"the URL with the source":         w.clusterSpec("team", "prod", &directory.ClusterIssuerSpec{URL: issuerURL, Keys: directory.ClusterDiscovery}),
			"the source alone":                w.clusterSpec("team", "prod", &directory.ClusterIssuerSpec{Keys: directory.ClusterDiscovery}),
			"no location, and no other place": {ClusterRef: in.ClusterRef, Issuer: discovered(issuerURL)},
		} {
			again.Tags = want.Tags
			put, created, err := w.dir.PutCluster(w.ctx(), w.admin, again)
			w.ok(err)
			if diff := cmp.Diff(want, put); diff != "" || created {
				w.Errorf("%s: created %v (-want +got):\n%s", name, created, diff)
			}
		}
		for field, spec := range map[string]directory.ClusterSpec{
			"location":          {ClusterRef: in.ClusterRef, Location: "eastus", Issuer: discovered(issuerURL)},
			"issuerURL":         w.clusterSpec("Team", "Prod", discovered("https://another.example")),
			"keySource":         w.clusterSpec("Team", "Prod", hosted),
			"oidcIssuerProfile": w.clusterSpec("Team", "Prod", nil),
		} {
			_, _, err := w.dir.PutCluster(w.ctx(), w.admin, spec)
			if e := w.kind(err, directory.Immutable); e.Field != field || e.Detail == "" || e.Object != directory.ClusterObject {
				w.Errorf("%s: got %+v", field, e)
			}
		}
		for _, tags := range []*map[string]string{{"c": "3"}, nil} {
			if tags != nil {
				want.Tags = *tags
			}
			put, err := w.dir.UpdateCluster(w.ctx(), w.admin, w.clusterRef("team", "prod"), tags)
			w.ok(err)
			if diff := cmp.Diff(want, put); diff != "" {
				w.Errorf("updated (-want +got):\n%s", diff)
			}
		}
		w.ok(w.dir.DeleteCluster(w.ctx(), w.admin, w.clusterRef("team", "PROD")))
		for _, err := range []error{w.dir.DeleteCluster(w.ctx(), w.admin, in.ClusterRef), second(w.dir.Cluster(w.ctx(), w.admin, in.ClusterRef)), second(w.dir.UpdateCluster(w.ctx(), w.admin, in.ClusterRef, nil)), second(w.dir.SetClusterKeys(w.ctx(), w.admin, in.ClusterRef, keySet))} {
			if e := w.kind(err, directory.NotFound); e.Object != directory.ClusterObject || e.ID != "Prod" || e.Group != "Team" {
				w.Errorf("got %+v", e)
			}
		}
		_, err = w.dir.Cluster(w.ctx(), w.admin, w.clusterRef("nope", "prod"))
		if e := w.kind(err, directory.NotFound); e.Object != directory.GroupObject {
			w.Errorf("got %+v", e)
		}
		_, _, err = w.dir.PutCluster(w.ctx(), w.admin, w.clusterSpec("nope", "prod", nil))
		if e := w.kind(err, directory.NotFound); e.Object != directory.GroupObject {
			w.Errorf("got %+v", e)
		}
	})
}

func second[T any](_ T, err error) error { return err }

func TestClusterRules(t *testing.T) {
	each(t, func(w *world) {
		w.group("g")
		for _, name := range []string{"", "-a", "a-", "_a", "a_", "a b", "a/b", "a.b", "ä", "a\x00", "a\n", strings.Repeat("a", 64)} {
			_, _, err := w.dir.PutCluster(w.ctx(), w.admin, w.clusterSpec("g", name, nil))
			if e := w.kind(err, directory.Invalid); e.Field != "name" {
				w.Errorf("%q: got %+v", name, e)
			}
		}
		for _, name := range []string{"a", "A1", "a-_b", strings.Repeat("a", 63)} {
			w.cluster("g", name, nil)
		}
		url := "https://rules.example"
		for field, list := range map[string][]*directory.ClusterIssuerSpec{
			"keySource":         {{Keys: "Guess"}, {Keys: "JwksUri"}, {Keys: "JwksUri", URL: url}, {Keys: "hosted"}},
			"issuerURL":         {{Keys: directory.ClusterKeySet}, {Keys: directory.ClusterDiscovery}, {URL: url, Keys: directory.HostedKeys}, {URL: "http://x.example"}, {URL: "https://u@x.example"}, {URL: "x"}, {URL: "https://x.example?a"}, {URL: "https://x.example/\x00"}, {URL: "https://" + strings.Repeat("x", 600)}},
			"oidcIssuerProfile": {{}},
			"keySet": {{URL: url, KeySet: keySet}, {URL: url, Keys: directory.ClusterDiscovery, KeySet: keySet}, {Keys: directory.HostedKeys, KeySet: json.RawMessage(`{"keys":[]}`)}, keyed(url, json.RawMessage(`{"keys":[{"kty":"oct","k":"x"}]}`)),
				keyed(url, json.RawMessage(`{"keys":[{"kty":"RSA","n":"x","e":"AQAB","d":"x"}]}`)), keyed(url, json.RawMessage(`[`)), keyed(url, json.RawMessage(`{"keys":[{"kty":"RSA","x":"`+strings.Repeat("x", 512<<10)+`"}]}`))},
		} {
			for _, spec := range list {
				_, _, err := w.dir.PutCluster(w.ctx(), w.admin, w.clusterSpec("g", "x", spec))
				if e := w.kind(err, directory.Invalid); e.Field != field {
					w.Errorf("%.200q: got %+v, want an invalid %s", fmt.Sprint(spec), e, field)
				}
			}
		}
		for field, spec := range map[string]directory.ClusterSpec{
			"location": {ClusterRef: w.clusterRef("g", "x")},
			"tags":     {ClusterRef: w.clusterRef("g", "x"), Location: location, Tags: map[string]string{"": "x"}},
		} {
			_, _, err := w.dir.PutCluster(w.ctx(), w.admin, spec)
			if e := w.kind(err, directory.Invalid); e.Field != field {
				w.Errorf("%s: got %+v", field, e)
			}
		}
		for _, set := range []json.RawMessage{nil, json.RawMessage(`{"keys":[]}`), json.RawMessage(`{}`), json.RawMessage(`{"keys":[{"kty":"oct","k":"x"}]}`)} {
			_, err := w.dir.SetClusterKeys(w.ctx(), w.admin, w.clusterRef("g", "a"), set)
			if e := w.kind(err, directory.Invalid); e.Field != "keySet" {
				w.Errorf("%s: got %+v", set, e)
			}
		}
		w.cluster("g", "discovered", discovered(url))
		for name, field := range map[string]string{"a": "oidcIssuerProfile", "discovered": "keySource"} {
			_, err := w.dir.SetClusterKeys(w.ctx(), w.admin, w.clusterRef("g", name), keySet)
			if e := w.kind(err, directory.Immutable); e.Field != field {
				w.Errorf("%s: got %+v", name, e)
			}
		}
		if n := w.rows("clusters", "name_key = 'x'"); n != 0 {
			w.Error("a cluster that was refused is there")
		}
		if n := w.rows("issuers", "url = $1", "https://x.example"); n != 0 {
			w.Error("the issuer of a cluster that was refused is there")
		}

		w.dir.IssuerURL = ""
		_, _, err := w.dir.PutCluster(w.ctx(), w.admin, w.clusterSpec("g", "x", hosted))
		w.kind(err, directory.Invalid)
	})
}

func TestHostedIssuer(t *testing.T) {
	each(t, func(w *world) {
		w.group("g")
		c := w.cluster("g", "prod", hosted)
		url := serviceURL + "/oic/" + w.tenant.ID + "/" + c.ID + "/"
		want := &directory.ClusterIssuer{URL: url, Keys: directory.HostedKeys, Name: "prod", KeyIDs: []string{}, KeysAt: start}
		if diff := cmp.Diff(want, c.Issuer); diff != "" {
			w.Errorf("(-want +got):\n%s", diff)
		}
		published := func() directory.Issuer {
			w.Helper()
			i, err := w.dir.HostedIssuer(w.ctx(), strings.ToUpper(w.tenant.ID), strings.ToUpper(c.ID))
			w.ok(err)
			return i
		}
		first := published()
		if first.URL != url || string(first.KeySet) != `{"keys":[]}` || first.Implicit || first.KeySource != directory.UploadedKeys || first.Name != "prod" || first.TenantID != w.tenant.ID {
			w.Errorf("published before there are keys: %+v", first)
		}

		// A credential of the issuer is judged by its keys, as they are with the request.
		app := w.client("app")
		trust := spec("one")
		trust.Issuer = url
		_, err := w.dir.AddCredential(w.ctx(), w.system, app.parent(), trust)
		w.ok(err)
		w.clock.Advance(time.Minute)
		set := json.RawMessage(`{"keys": [{"kid":"b","kty":"EC","crv":"P-256","x":"x","y":"y"},{"alg":"RS256","kty":"RSA","kid":"a"},{"kty":"OKP","crv":"Ed25519"},{"kty":"RSA","alg":"HS256","kid":"odd"}]}`)
		c, err = w.dir.SetClusterKeys(w.ctx(), w.admin, c.ClusterRef, set)
		w.ok(err)
		want.KeyIDs, want.KeysAt = []string{"b", "a", "", "odd"}, w.clock.Now()
		if diff := cmp.Diff(want, c.Issuer); diff != "" {
			w.Errorf("with keys (-want +got):\n%s", diff)
		}
		next := published()
		if string(next.KeySet) != string(set) || next.Revision <= first.Revision {
			w.Errorf("published %+v", next)
		}
		if diff := cmp.Diff([]string{"ES256", "RS256", "EdDSA"}, next.Algorithms); diff != "" {
			w.Errorf("algorithms (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(next, w.match(app.AppID, trust).Issuer); diff != "" {
			w.Errorf("(-published +matched):\n%s", diff)
		}

		// The same keys change nothing and leave no event.
		events := w.events()
		c, err = w.dir.SetClusterKeys(w.ctx(), w.admin, c.ClusterRef, set)
		w.ok(err)
		if diff := cmp.Diff(next, published()); diff != "" || w.events() != events {
			w.Errorf("the same keys again (-before +after), %d events:\n%s", w.events()-events, diff)
		}
		if diff := cmp.Diff(want, c.Issuer); diff != "" {
			w.Errorf("the same keys again (-want +got):\n%s", diff)
		}

		// What GET gives can be put back, with the keys or without.
		for _, spec := range []*directory.ClusterIssuerSpec{{}, hosted, {Keys: directory.HostedKeys, URL: url}} {
			if diff := cmp.Diff(want, w.cluster("g", "prod", spec).Issuer); diff != "" {
				w.Errorf("put again (-want +got):\n%s", diff)
			}
		}
		fresh := freshKeySet()
		w.cluster("g", "prod", &directory.ClusterIssuerSpec{Keys: directory.HostedKeys, KeySet: fresh})
		if got := published(); string(got.KeySet) != string(fresh) || got.Revision != next.Revision+1 {
			w.Errorf("keys that were put: %+v", got)
		}
		for field, spec := range map[string]*directory.ClusterIssuerSpec{"issuerURL": keyed(issuerURL, nil), "keySource": keyed(url, keySet), "oidcIssuerProfile": nil} {
			_, _, err := w.dir.PutCluster(w.ctx(), w.admin, w.clusterSpec("g", "prod", spec))
			if e := w.kind(err, directory.Immutable); e.Field != field {
				w.Errorf("got %+v", e)
			}
		}

		// The object behind it is not taken away from it.
		_, _, err = w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: "prod", URL: url})
		if e := w.kind(err, directory.Immutable); e.Field != "keySource" {
			w.Errorf("got %+v", e)
		}
		_, _, err = w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: "prod", URL: url, KeySource: directory.UploadedKeys, KeySet: fresh, ManyAudiences: true})
		w.ok(err)
		if e := w.kind(w.dir.RemoveIssuer(w.ctx(), w.admin, "prod"), directory.InUse); e.Object != directory.IssuerObject || !strings.Contains(e.Detail, "prod") {
			w.Errorf("got %+v", e)
		}

		// Nor is the cluster, while a credential trusts it.
		for _, err := range []error{w.dir.DeleteCluster(w.ctx(), w.admin, c.ClusterRef), w.dir.DeleteGroup(w.ctx(), w.admin, w.subscription, "g")} {
			if e := w.kind(err, directory.InUse); e.Object != directory.ClusterObject || e.ID != "prod" || e.Detail != "app/one" {
				w.Errorf("got %+v", e)
			}
		}
		if m := w.match(app.AppID, trust); m.Miss != credential.Hit || m.Issuer.KeySource != directory.UploadedKeys {
			w.Errorf("the credential matches as %+v", m)
		}
		robot := w.holder("robot", roles.FederationAdministrator, "/providers/Entente.Federation/issuers/prod")
		w.ok(w.dir.DeleteApplication(w.ctx(), w.system, app.ref()))
		if e := w.kind(w.dir.DeleteCluster(w.ctx(), w.admin, c.ClusterRef), directory.InUse); e.Detail != "app/one (of a deleted application)" {
			w.Errorf("got %+v", e)
		}
		w.ok(w.dir.PurgeApplication(w.ctx(), w.system, app.app.ID))
		w.ok(w.dir.DeleteCluster(w.ctx(), w.admin, c.ClusterRef))
		_, err = w.dir.HostedIssuer(w.ctx(), w.tenant.ID, c.ID)
		w.kind(err, directory.NotFound)
		if n := w.rows("issuers", "url = $1", url); n != 0 {
			w.Error("the hosted issuer is left")
		}
		// Whoever kept its keys keeps nothing of the next one of its name.
		w.cluster("g", "prod", hosted)
		_, _, err = w.dir.PutIssuer(w.ctx(), robot.Caller, directory.Issuer{Name: "prod", URL: url, KeySource: directory.UploadedKeys, KeySet: keySet})
		w.kind(err, directory.Forbidden)
	})
}

// A URL below the service's own is a hosted issuer, or a mistake.
func TestURLOfNoHostedIssuer(t *testing.T) {
	each(t, func(w *world) {
		w.group("g")
		c := w.cluster("g", "prod", hosted)
		app := w.client("app")
		other := w.cluster("g", "other", hosted)
		w.ok(w.dir.DeleteCluster(w.ctx(), w.admin, other.ClusterRef))
		for _, url := range []string{strings.TrimSuffix(c.Issuer.URL, "/"), c.Issuer.URL + "/", other.Issuer.URL, serviceURL + "/oic/" + strings.ToUpper(w.tenant.ID) + "/x", serviceURL + "/oic/" + w.tenant.ID} {
			s := spec("one")
			s.Issuer = url
			_, err := w.dir.AddCredential(w.ctx(), w.system, app.parent(), s)
			if e := w.kind(err, directory.Invalid); e.Object != directory.CredentialObject || e.Field != "issuer" || !strings.Contains(e.Error(), "slash") {
				w.Errorf("%s: got %+v", url, e)
			}
			_, _, err = w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: "new", URL: url})
			if e := w.kind(err, directory.Invalid); e.Object != directory.IssuerObject || e.Field != "issuer" {
				w.Errorf("%s: got %+v", url, e)
			}
			for _, i := range []*directory.ClusterIssuerSpec{discovered(url), keyed(url, keySet)} {
				_, _, err = w.dir.PutCluster(w.ctx(), w.admin, w.clusterSpec("g", "new", i))
				if e := w.kind(err, directory.Invalid); e.Object != directory.ClusterObject || e.Field != "issuerURL" {
					w.Errorf("%s: got %+v", url, e)
				}
			}
		}
		// Nor can another cluster have the URL of one that is there.
		for _, i := range []*directory.ClusterIssuerSpec{discovered(c.Issuer.URL), keyed(c.Issuer.URL, keySet)} {
			_, _, err := w.dir.PutCluster(w.ctx(), w.admin, w.clusterSpec("g", "new", i))
			w.kind(err, directory.Exists)
		}
		// What is next to it is anybody's.
		s := spec("one")
		s.Issuer = serviceURL + "/oic-not/x"
		_, err := w.dir.AddCredential(w.ctx(), w.system, app.parent(), s)
		w.ok(err)
	})
}

// After the service has moved, its clusters keep the issuers that their tokens name.
func TestHostedIssuersOfAServiceThatMoved(t *testing.T) {
	each(t, func(w *world) {
		w.group("g")
		before := w.cluster("g", "before", hosted)
		w.dir.IssuerURL = "https://moved.example"
		i, err := w.dir.HostedIssuer(w.ctx(), w.tenant.ID, before.ID)
		w.ok(err)
		if i.URL != before.Issuer.URL || !strings.HasPrefix(i.URL, serviceURL) {
			w.Errorf("the issuer became %s", i.URL)
		}
		if after := w.cluster("g", "after", hosted); !strings.HasPrefix(after.Issuer.URL, "https://moved.example/oic/") {
			w.Errorf("a new one is %s", after.Issuer.URL)
		}
		if again := w.cluster("g", "before", hosted); again.Issuer.URL != before.Issuer.URL {
			w.Errorf("put again it is %s", again.Issuer.URL)
		}
		_, err = w.dir.SetClusterKeys(w.ctx(), w.admin, before.ClusterRef, keySet)
		w.ok(err)
	})
}

// With uploaded keys one cluster has an issuer; by discovery several may, and
// none of them decides whose keys count.
func TestClustersOfOneIssuer(t *testing.T) {
	each(t, func(w *world) {
		w.group("g")
		w.group("h")
		put := func(group, name string, i *directory.ClusterIssuerSpec) error {
			_, _, err := w.dir.PutCluster(w.ctx(), w.admin, w.clusterSpec(group, name, i))
			return err
		}
		clash := func(err error, detail string) {
			w.Helper()
			if e := w.kind(err, directory.Exists); e.Object != directory.ClusterObject || e.Field != "issuerURL" || !strings.Contains(e.Detail, detail) {
				w.Errorf("got %+v", e)
			}
		}
		const uploaded, shared = "https://kubernetes.default.svc.cluster.local", "https://shared.example"
		one, two := freshKeySet(), freshKeySet()
		w.ok(put("g", "one", keyed(uploaded, one)))
		clash(put("g", "two", keyed(uploaded, two)), "g/one")
		clash(put("h", "one", keyed(uploaded, nil)), "g/one")
		clash(put("h", "three", discovered(uploaded)), "uploaded")
		i, err := w.dir.Issuer(w.ctx(), w.admin, "one")
		w.ok(err)
		if string(i.KeySet) != string(one) || i.URL != uploaded {
			w.Errorf("the keys became %s", i.KeySet)
		}
		w.ok(put("h", "tw", keyed(uploaded+"/", two))) // another issuer

		w.ok(put("g", "four", discovered(shared)))
		w.ok(put("h", "four", discovered(shared)))
		if n := w.rows("issuers", "url = $1", shared); n != 1 {
			w.Errorf("%d issuers of one URL", n)
		}
		clash(put("h", "five", keyed(shared, two)), "g/four")
		clash(put("h", "four", keyed(shared, two)), "g/four")
		_, _, err = w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: "shared", URL: shared, KeySource: directory.UploadedKeys, KeySet: two})
		if e := w.kind(err, directory.InUse); !strings.Contains(e.Detail, "g/four and h/four") {
			w.Errorf("got %+v", e)
		}
		_, _, err = w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: "shared", URL: shared, KeySource: directory.JWKSURIKeys, JWKSURI: "https://shared.example/keys"})
		w.ok(err)
		read, err := w.dir.Cluster(w.ctx(), w.admin, w.clusterRef("g", "four"))
		w.ok(err)
		if diff := cmp.Diff(&directory.ClusterIssuer{URL: shared, Keys: "JwksUri", Name: "shared"}, read.Issuer); diff != "" {
			w.Errorf("(-want +got):\n%s", diff)
		}
		w.ok(put("g", "four", &directory.ClusterIssuerSpec{URL: shared, Keys: "JwksUri"})) // as it was read
		w.ok(w.dir.DeleteCluster(w.ctx(), w.admin, w.clusterRef("h", "four")))
		clash(put("g", "five", keyed(shared, two)), "g/four")

		// Keys that an administrator set before belong to the cluster that it registers, and to no other.
		_, _, err = w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: "early", URL: "https://early.example", KeySource: directory.UploadedKeys, KeySet: one})
		w.ok(err)
		clash(put("g", "early", discovered("https://early.example")), "uploaded")
		w.ok(put("g", "six", keyed("https://early.example", nil)))
		if i, err = w.dir.Issuer(w.ctx(), w.admin, "early"); err != nil || string(i.KeySet) != string(one) || i.Revision != 2 {
			w.Errorf("the issuer became %+v (%v)", i, err)
		}
		clash(put("g", "seven", keyed("https://early.example", nil)), "g/six")
		_, _, err = w.dir.PutIssuer(w.ctx(), w.admin, directory.Issuer{Name: "explicit", URL: "https://explicit.example"})
		w.ok(err)
		clash(put("g", "eight", keyed("https://explicit.example", two)), "explicit")
		w.ok(put("g", "eight", discovered("https://explicit.example")))
	})
}

// A cluster that nobody can reach after all gets keys, at once and without a
// moment in which its credentials trust nothing.
func TestClusterFromDiscoveryToKeys(t *testing.T) {
	each(t, func(w *world) {
		w.group("g")
		app := w.client("app")
		w.credential(app.parent(), "one")
		c := w.cluster("g", "c1", discovered(issuerURL))
		contributor := w.holder("contributor", roles.Contributor, "/")
		_, _, err := w.dir.PutCluster(w.ctx(), contributor.Caller, w.clusterSpec("g", "c1", keyed(issuerURL, keySet)))
		if e := w.kind(err, directory.Forbidden); e.Action != "Entente.Federation/issuers/write" || e.Scope != "/providers/Entente.Federation/issuers" {
			w.Errorf("got %+v", e)
		}
		if m := w.match(app.AppID, spec("one")); !m.Issuer.Implicit {
			w.Errorf("got %+v", m.Issuer)
		}
		got := w.cluster("g", "c1", keyed(issuerURL, keySet))
		if got.ID != c.ID || got.Issuer.Keys != directory.ClusterKeySet || got.Issuer.Name != "cluster-c1" {
			w.Errorf("got %+v %+v", got, got.Issuer)
		}
		if m := w.match(app.AppID, spec("one")); string(m.Issuer.KeySet) != string(keySet) {
			w.Errorf("got %+v", m.Issuer)
		}
		// Its tags are a Contributor's to change, its keys are not.
		for _, spec := range []*directory.ClusterIssuerSpec{{}, keyed(issuerURL, nil)} {
			_, _, err = w.dir.PutCluster(w.ctx(), contributor.Caller, w.clusterSpec("g", "c1", spec))
			w.ok(err)
		}
		_, _, err = w.dir.PutCluster(w.ctx(), contributor.Caller, w.clusterSpec("g", "c1", keyed(issuerURL, freshKeySet())))
		w.kind(err, directory.Forbidden)
		_, err = w.dir.SetClusterKeys(w.ctx(), contributor.Caller, c.ClusterRef, freshKeySet())
		w.kind(err, directory.Forbidden)
		_, err = w.dir.SetClusterKeys(w.ctx(), contributor.Caller, c.ClusterRef, keySet) // not even those that are there
		w.kind(err, directory.Forbidden)

		// The registry's entry goes, the trust stays: only those who set it take it away.
		w.ok(w.dir.DeleteCluster(w.ctx(), contributor.Caller, c.ClusterRef))
		if m := w.match(app.AppID, spec("one")); string(m.Issuer.KeySet) != string(keySet) {
			w.Errorf("got %+v", m.Issuer)
		}
		again := w.cluster("g", "c1", keyed(issuerURL, nil))
		if diff := cmp.Diff([]string{"1"}, again.Issuer.KeyIDs); diff != "" {
			w.Errorf("registered again (-want +got):\n%s", diff)
		}
		// Without its issuer object, a cluster's URL is an implicit one again.
		w.ok(w.dir.RemoveIssuer(w.ctx(), w.admin, "cluster-c1"))
		w.ok(w.dir.RemoveCredential(w.ctx(), w.system, app.parent(), "one"))
		w.ok(w.dir.Purge(w.ctx()))
		read, err := w.dir.Cluster(w.ctx(), w.admin, c.ClusterRef)
		w.ok(err)
		if read.Issuer.Keys != directory.ClusterDiscovery || !strings.HasPrefix(read.Issuer.Name, "auto-") {
			w.Errorf("got %+v", read.Issuer)
		}
		w.ok(w.dir.DeleteCluster(w.ctx(), w.admin, c.ClusterRef))
		w.ok(w.dir.Purge(w.ctx()))
		if n := w.rows("issuers", "url = $1", issuerURL); n != 0 {
			w.Error("the implicit issuer of no credential and no cluster is left")
		}
	})
}

func TestNamesOfClusterIssuers(t *testing.T) {
	each(t, func(w *world) {
		w.group("g")
		w.group("h")
		for _, c := range []struct{ group, name, want string }{
			{"g", "prod", "prod"}, {"h", "PROD", "PROD-{id8}"}, {"g", "c", "cluster-c"}, {"g", "auto-pilot", "cluster-auto-pilot"},
			{"g", strings.Repeat("a", 63), strings.Repeat("a", 63)}, {"h", strings.Repeat("a", 63), strings.Repeat("a", 63) + "-{id8}"},
		} {
			got := w.cluster(c.group, c.name, hosted)
			if want := strings.Replace(c.want, "{id8}", got.ID[:8], 1); got.Issuer.Name != want {
				w.Errorf("the issuer of %s/%s is %q, want %q", c.group, c.name, got.Issuer.Name, want)
			}
			if i, err := w.dir.Issuer(w.ctx(), w.admin, got.Issuer.Name); err != nil || i.URL != got.Issuer.URL {
				w.Errorf("the issuer by its name: %+v, %v", i, err)
			}
		}
	})
}

func TestClustersInPages(t *testing.T) {
	each(t, func(w *world) {
		for g := range 3 {
			w.group(fmt.Sprintf("g%d", g))
			for i := range 4 {
				w.cluster(fmt.Sprintf("g%d", g), fmt.Sprintf("%s%d", []string{"a-b", "A_b", "aB"}[i%3], i), &directory.ClusterIssuerSpec{Keys: directory.HostedKeys, KeySet: keySet})
			}
		}
		reader := w.holder("reader", roles.Reader, "/subscriptions/"+w.subscription+"/resourceGroups/G1")
		for _, c := range []struct {
			caller directory.Caller
			group  string
			want   int
		}{{w.admin, "", 12}, {w.system, "G2", 4}, {reader.Caller, "", 4}, {reader.Caller, "g1", 4}} {
			seen := map[string]bool{}
			page := directory.Page{Limit: 3}
			for range 10 {
				p, err := w.dir.Clusters(w.ctx(), c.caller, w.subscription, c.group, page)
				w.ok(err)
				for _, item := range p.Items {
					seen[item.ResourceID()] = true
					if item.Issuer.KeyIDs != nil || item.Issuer.KeysAt.IsZero() {
						w.Errorf("listed %+v", item.Issuer)
					}
				}
				if page.After = p.Next; p.Next == "" {
					break
				}
			}
			if len(seen) != c.want {
				w.Errorf("%+v sees %d in %q, want %d", c.caller, len(seen), c.group, c.want)
			}
		}
		_, err := w.dir.Clusters(w.ctx(), reader.Caller, w.subscription, "g2", directory.Page{})
		w.kind(err, directory.Forbidden)
	})
}

// With a group go its clusters, after the identities whose credentials name them.
func TestClustersGoWithTheirGroup(t *testing.T) {
	each(t, func(w *world) {
		w.group("gone")
		w.group("kept")
		in, out := w.cluster("gone", "inside", hosted), w.cluster("kept", "out", hosted)
		m := w.identity("gone", "identity")
		trust := spec("one")
		trust.Issuer = in.Issuer.URL
		_, err := w.dir.AddCredential(w.ctx(), w.system, parentIdentity(m), trust)
		w.ok(err)
		holder := w.holder("holder", roles.Reader, in.ResourceID())
		w.assign(holder.PrincipalID, roles.FederationAdministrator, "/providers/Entente.Federation/issuers/inside")
		limited := w.holder("limited", roles.Contributor, "/subscriptions/"+w.subscription+"/resourceGroups/gone")

		outside := w.client("outside")
		_, err = w.dir.AddCredential(w.ctx(), w.system, outside.parent(), trust)
		w.ok(err)
		w.kind(w.dir.DeleteGroup(w.ctx(), limited.Caller, w.subscription, "gone"), directory.InUse)
		w.ok(w.dir.RemoveCredential(w.ctx(), w.system, outside.parent(), "one"))
		before := w.events()
		w.ok(w.dir.DeleteGroup(w.ctx(), limited.Caller, w.subscription, "gone"))
		if n := w.events() - before; n != 3 {
			w.Errorf("%d events of a group, an identity and a cluster", n)
		}
		for table, condition := range map[string]string{"clusters": "tenant_id = $1", "issuers": "tenant_id = $1"} {
			if n := w.rows(table, condition, w.tenant.ID); n != 1 {
				w.Errorf("%d rows of %s are left, want the other group's", n, table)
			}
		}
		if n := w.rows("role_assignments", "principal_id = $1", holder.PrincipalID); n != 0 {
			w.Errorf("%d assignments are left", n)
		}
		_, err = w.dir.Cluster(w.ctx(), w.admin, out.ClusterRef)
		w.ok(err)
	})
}

// Whoever speaks for a cluster is told in the audit trail as whoever sets an issuer.
func TestEventsOfClusters(t *testing.T) {
	each(t, func(w *world) {
		w.group("g")
		before := w.events()
		c := w.cluster("g", "prod", &directory.ClusterIssuerSpec{Keys: directory.HostedKeys, KeySet: keySet})
		_, err := w.dir.SetClusterKeys(w.ctx(), w.admin, c.ClusterRef, freshKeySet())
		w.ok(err)
		w.ok(w.dir.DeleteCluster(w.ctx(), w.admin, c.ClusterRef))
		events, err := w.dir.Events(w.ctx(), w.admin, directory.EventFilter{}, directory.Page{Limit: w.events() - before})
		w.ok(err)
		var got []string
		for _, e := range events.Items {
			got = append(got, fmt.Sprintf("%s %s %s issuer=%v keys=%v", e.Action, e.Object, e.TargetName, e.Detail["issuer"] == c.Issuer.URL, e.Detail["keySetSha256"] != ""))
			if strings.Contains(fmt.Sprint(e.Detail), "AQAB") {
				w.Errorf("the keys stand in the event: %v", e.Detail)
			}
			if e.Object == directory.IssuerObject && (e.Detail["cluster"] != c.ResourceID() || e.TargetID == "") {
				w.Errorf("the issuer's event is %+v", e)
			}
		}
		want := []string{
			"Microsoft.ContainerService/managedClusters/delete cluster prod issuer=true keys=false",
			"Entente.Federation/issuers/write issuer prod issuer=true keys=true",
			"Entente.Federation/issuers/write issuer prod issuer=true keys=true",
			"Microsoft.ContainerService/managedClusters/write cluster prod issuer=true keys=false",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			w.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestClustersOfAnotherTenant(t *testing.T) {
	each(t, func(w *world) {
		w.group("g")
		w.cluster("g", "prod", keyed("https://kubernetes.default.svc", keySet))
		mine, err := w.dir.Cluster(w.ctx(), w.admin, w.clusterRef("g", "prod"))
		w.ok(err)
		f, otherAdmin := w.otherTenant()
		theirs := *w
		theirs.tenant, theirs.subscription, theirs.admin, theirs.system = f.Tenant, f.SubscriptionID, otherAdmin, directory.System(f.Tenant.ID, "test")
		theirs.group("g")
		their := theirs.cluster("g", "prod", keyed("https://kubernetes.default.svc", freshKeySet())) // each tenant knows its own
		hers := theirs.cluster("g", "hosted", hosted)
		if mine.ID == their.ID || their.Issuer.Name != "prod" || !strings.Contains(hers.Issuer.URL, "/"+f.Tenant.ID+"/") {
			w.Errorf("got %+v and %+v", their, hers.Issuer)
		}
		read, err := w.dir.Cluster(w.ctx(), w.admin, mine.ClusterRef)
		w.ok(err)
		if diff := cmp.Diff(mine, read); diff != "" {
			w.Errorf("(-before +after):\n%s", diff)
		}
		for _, ids := range [][2]string{{w.tenant.ID, hers.ID}, {f.Tenant.ID, mine.ID}, {f.Tenant.ID, their.ID}, {uuid.NewString(), hers.ID}, {hers.ID, f.Tenant.ID}, {"", ""}, {f.Tenant.ID, "\x00"}, {"%", hers.ID}} {
			_, err := w.dir.HostedIssuer(w.ctx(), ids[0], ids[1])
			w.kind(err, directory.NotFound)
		}
		// A credential here may trust their cluster, as it may any issuer: by what that publishes.
		app := w.client("app")
		s := spec("one")
		s.Issuer = hers.Issuer.URL
		_, err = w.dir.AddCredential(w.ctx(), w.system, app.parent(), s)
		w.ok(err)
		if i := w.match(app.AppID, s).Issuer; i.KeySource != directory.DiscoveredKeys || i.TenantID != w.tenant.ID {
			w.Errorf("got %+v", i)
		}
		// And that keeps nobody there from deleting it.
		w.ok(w.dir.DeleteCluster(w.ctx(), otherAdmin, hers.ClusterRef))
	})
}

// Of all that register one URL with keys of their own at once, one does.
func TestClustersOfOneIssuerInParallel(t *testing.T) {
	each(t, func(w *world) {
		w.group("g")
		w.group("h")
		for round := range 4 {
			url := fmt.Sprintf("https://round%d.example", round)
			var mu sync.Mutex
			kinds := map[string]int{}
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					_, _, err := w.dir.PutCluster(w.ctx(), w.admin, w.clusterSpec([]string{"g", "h"}[i%2], fmt.Sprintf("c%d-%d", round, i), keyed(url, freshKeySet())))
					mu.Lock()
					defer mu.Unlock()
					kinds[kindOf(err)]++
				})
			}
			wg.Wait()
			if kinds["ok"] != 1 || kinds[string(directory.Exists)] != 7 {
				w.Errorf("got %v", kinds)
			}
		}
	})
}

// One name of several groups at once gives issuers of different names; one
// name of one group gives one cluster.
func TestClusterNamesInParallel(t *testing.T) {
	each(t, func(w *world) {
		for i := range 4 {
			w.group(fmt.Sprintf("g%d", i))
		}
		var mu sync.Mutex
		made, names, ids := 0, map[string]bool{}, map[string]bool{}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				c, created, err := w.dir.PutCluster(w.ctx(), w.admin, w.clusterSpec(fmt.Sprintf("g%d", i%4), []string{"prod", "PROD"}[i%2], hosted))
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Errorf("put: %v", err)
					return
				}
				if names[c.Issuer.Name], ids[c.ID] = true, true; created {
					made++
				}
			})
		}
		wg.Wait()
		if made != 4 || len(names) != 4 || len(ids) != 4 {
			w.Errorf("%d were made; issuers %v, ids %v", made, names, ids)
		}
	})
}

// A hosted issuer does not go away from under a credential that is accepted.
func TestHostedIssuerAndCredentialInParallel(t *testing.T) {
	each(t, func(w *world) {
		w.group("g")
		app := w.client("app")
		for round := range 12 {
			c := w.cluster("g", "prod", hosted)
			s := spec("one")
			s.Issuer = c.Issuer.URL
			var added, deleted error
			var wg sync.WaitGroup
			wg.Go(func() { _, added = w.dir.AddCredential(w.ctx(), w.system, app.parent(), s) })
			wg.Go(func() { deleted = w.dir.DeleteCluster(w.ctx(), w.admin, c.ClusterRef) })
			wg.Go(func() { w.dir.SetClusterKeys(w.ctx(), w.admin, c.ClusterRef, freshKeySet()) })
			wg.Wait()
			switch {
			case added == nil && kindOf(deleted) == string(directory.InUse):
				if m := w.match(app.AppID, s); m.Issuer.KeySource != directory.UploadedKeys || m.Issuer.URL != s.Issuer {
					w.Fatalf("round %d: the credential matches as %+v", round, m)
				}
				w.ok(w.dir.RemoveCredential(w.ctx(), w.system, app.parent(), "one"))
				w.ok(w.dir.DeleteCluster(w.ctx(), w.admin, c.ClusterRef))
			case kindOf(added) == string(directory.Invalid) && deleted == nil:
			default:
				w.Fatalf("round %d: added: %v; deleted: %v", round, added, deleted)
			}
			if n := w.rows("issuers", "1 = 1"); n != 0 {
				w.Fatalf("round %d: %d issuers are left", round, n)
			}
		}
	})
}

// However many clusters are found by discovery, purging gets to the issuers that nobody names.
func TestPurgePassesOverClusters(t *testing.T) {
	each(t, func(w *world) {
		w.group("g")
		app := w.client("app")
		for i := range 120 {
			w.cluster("g", fmt.Sprintf("c%d", i), discovered(fmt.Sprintf("https://%d.example", i)))
		}
		w.credential(app.parent(), "one")
		w.ok(w.dir.RemoveCredential(w.ctx(), w.system, app.parent(), "one"))
		w.ok(w.dir.Purge(w.ctx()))
		if n := w.rows("issuers", "url = $1", issuerURL); n != 0 {
			w.Error("the issuer that nobody names is left")
		}
		if n := w.rows("issuers", "implicit = 1"); n != 120 {
			w.Errorf("%d implicit issuers of 120 clusters", n)
		}
	})
}

// Who may delete a cluster learns no names of what trusts it and is not theirs to read.
func TestHostedIssuerInUseTellsNoSecrets(t *testing.T) {
	each(t, func(w *world) {
		g := w.group("g")
		w.group("elsewhere")
		c := w.cluster("g", "prod", &directory.ClusterIssuerSpec{Keys: directory.HostedKeys, KeySet: keySet})
		s := spec("one")
		s.Issuer = c.Issuer.URL
		secretive := w.client("merger with contoso")
		for _, p := range []directory.Parent{secretive.parent(), parentIdentity(w.identity("g", "mine")), parentIdentity(w.identity("elsewhere", "theirs"))} {
			_, err := w.dir.AddCredential(w.ctx(), w.system, p, s)
			w.ok(err)
		}
		const clusters = "ed7f3fbd-7b88-4dd4-9017-9adb7ce333f8" // Azure Kubernetes Service Contributor Role
		reader := w.client("reader", "Application.Read.All")
		w.assign(reader.PrincipalID, clusters, g.Scope())
		for _, tt := range []struct {
			by     directory.Caller
			detail string
		}{
			{w.holder("operator", clusters, g.Scope()).Caller, "some that the caller may not read"},
			{w.holder("contributor", roles.Contributor, g.Scope()).Caller, "mine/one, some that the caller may not read"},
			{reader.Caller, "merger with contoso/one, some that the caller may not read"},
			{w.admin, "merger with contoso/one, mine/one, theirs/one"},
		} {
			if e := w.kind(w.dir.DeleteCluster(w.ctx(), tt.by, c.ClusterRef), directory.InUse); e.Detail != tt.detail {
				w.Errorf("told %q, want %q", e.Detail, tt.detail)
			}
		}
	})
}
