package portal

import (
	"html"
	"net/http"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/issuer"
	"github.com/entente-id/entente/internal/localissuer"
	"github.com/entente-id/entente/internal/roles"
)

// checkAnySet judges a key set as the service does.
func checkAnySet(set []byte) error {
	keys, _, err := issuer.ParseKeySet(set)
	if err == nil && len(keys) == 0 {
		err = &directory.Error{Kind: directory.Invalid, Object: directory.IssuerObject, Field: "keySet"}
	}
	return err
}

// registerWith registers a cluster with an issuer in the group rg.
func (w *world) registerWith(name string, spec *directory.ClusterIssuerSpec) directory.Cluster {
	w.t.Helper()
	k, _, err := w.dir.PutCluster(w.t.Context(), w.admin, directory.ClusterSpec{ClusterRef: directory.ClusterRef{SubscriptionID: testSubscription, Group: "rg", Name: name}, Location: "local", Issuer: spec})
	w.must(err)
	return k
}

// otherKeys is the key set of an issuer that nobody knows.
func otherKeys(t *testing.T) string {
	t.Helper()
	i, err := localissuer.New(localissuer.Config{URL: "https://other.example/"})
	if err != nil {
		t.Fatal(err)
	}
	return string(i.JWKS())
}

// opens opens a page and checks that it holds some texts.
func (p *person) opens(path string, wants ...string) answer {
	p.t.Helper()
	a := p.get(path)
	text := a.text()
	for _, want := range wants {
		if a.status != http.StatusOK || !strings.Contains(text, want) {
			p.t.Errorf("%s: %d has no %q in\n%s", path, a.status, want, text)
		}
	}
	return a
}

// lacks opens a page and checks that it holds none of some texts.
func (p *person) lacks(path string, wants ...string) {
	p.t.Helper()
	text := p.get(path).text()
	for _, want := range wants {
		if strings.Contains(text, want) {
			p.t.Errorf("%s shows %q in\n%s", path, want, text)
		}
	}
}

func TestClusters(t *testing.T) {
	w := newWorld(t)
	admin := w.signIn(w.admin)
	admin.opens("/portal/clusters", "There is no cluster that you may see", "Register cluster")
	k := w.registerWith("prod", &directory.ClusterIssuerSpec{URL: w.issuer.URL()})
	w.registerWith("lab", &directory.ClusterIssuerSpec{URL: "https://kubernetes.default.svc.cluster.local", Keys: directory.ClusterKeySet, KeySet: w.issuer.JWKS()})
	w.registerWith("bare", nil)
	admin.opens("/portal/clusters", "prod", w.issuer.URL(), "Read from the issuer", "lab", "changed just now", "bare", "It has no issuer yet")
	admin.lacks("/portal/clusters?q=PRO", "lab")
	admin.opens("/portal/clusters?q=nothing", "No cluster matches")
	admin.opens(clusterPath(k.ClusterRef), w.issuer.URL(), "0", "Service accounts", "never reported", "Federated credentials", "Nothing is known of its keys", "Look at its keys now", "Upload its keys instead", "Delete cluster")

	// Whoever may only read is offered nothing else, and refused it.
	reader := w.signIn(w.reader())
	reader.lacks("/portal/clusters", "Register cluster")
	reader.lacks(clusterPath(k.ClusterRef), "Upload its keys", "Delete cluster", "Settings of the issuer")
	reader.opens("/portal/clusters/new", "You may not register clusters")
	if a := reader.get(clusterPath(k.ClusterRef, "delete")); a.status != http.StatusForbidden || !strings.Contains(a.text(), "It takes the right "+clusterAction+"delete") {
		t.Errorf("a reader is asked whether to delete: %d %s", a.status, a.text())
	}
	for _, at := range []string{"keys", "delete"} {
		if a := reader.post(clusterPath(k.ClusterRef, at), "keyset", otherKeys(t)); a.status != http.StatusForbidden {
			t.Errorf("a reader at %s: %d %s", at, a.status, a.text())
		}
	}
	if a := w.signIn(w.principal("nobody", "", "")).get(clusterPath(k.ClusterRef)); a.status != http.StatusForbidden && a.status != http.StatusNotFound {
		t.Errorf("nobody sees %d %s", a.status, a.text())
	}
}

func TestClusterKeysAreLookedAt(t *testing.T) {
	w := newWorld(t)
	admin, reader := w.signIn(w.admin), w.signIn(w.reader())
	k := w.registerWith("prod", &directory.ClusterIssuerSpec{URL: w.issuer.URL()})
	at := clusterPath(k.ClusterRef, "check")
	for _, p := range []*person{admin, reader} {
		a := p.post(at)
		for _, want := range []string{"Its keys can be used.", "It answers.", "names exactly this issuer, byte by byte", "1 key that can be used", "RSA, 2048 bits"} {
			if !strings.Contains(a.text(), want) {
				t.Errorf("a good issuer: %d has no %q in\n%s", a.status, want, a.text())
			}
		}
	}
	if a := admin.get(at); a.status != http.StatusSeeOther || a.header.Get("Location") != clusterPath(k.ClusterRef) {
		t.Errorf("loading the answer again: %d %v", a.status, a.header)
	}

	for _, c := range []struct {
		what   string
		faults localissuer.Faults
		want   string
	}{
		{"another name", localissuer.Faults{DiscoveryIssuer: strings.TrimSuffix(w.issuer.URL(), "/") + "/<b>"}, "names another issuer"},
		{"no document", localissuer.Faults{Body: []byte("<script>alert(1)</script>")}, "What it answered cannot be used"},
		{"an error", localissuer.Faults{Status: 500}, "It cannot be asked"},
	} {
		w.issuer.SetFaults(c.faults)
		w.clock.Advance(2e9)
		a := admin.post(at)
		if !strings.Contains(a.text(), c.want) || !strings.Contains(a.text(), "Its keys cannot be used as it stands") || strings.Contains(a.body, "<b>") || strings.Contains(a.body, "<script>alert") {
			t.Errorf("%s: %d has no %q in\n%s", c.what, a.status, c.want, a.text())
		}
	}
	w.issuer.SetFaults(localissuer.Faults{})
	private := w.registerWith("private", &directory.ClusterIssuerSpec{URL: "https://10.0.0.1/"})
	if a := admin.post(clusterPath(private.ClusterRef, "check")); !strings.Contains(a.text(), "--issuer-allow") {
		t.Errorf("a private address: %s", a.text())
	}
}

func TestRegisterCluster(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.CheckKeySet = checkAnySet })
	w.dir.IssuerURL = "https://entente.example"
	admin := w.signIn(w.admin)
	admin.opens("/portal/clusters/new", "Resource group", "Cluster issuer URL", "kubectl get --raw /openid/v1/jwks", "entente cluster register NAME", "Register")
	group := testSubscription + "/rg"
	for _, c := range []struct {
		what string
		form []string
		want string // an error; empty: registered
	}{
		{"no name", []string{"group", group, "source", "Discovery", "issuer", "https://one.example/"}, "Give the cluster a name."},
		{"a bad name", []string{"group", group, "name", "a b", "source", "Discovery", "issuer", "https://one.example/"}, "1 to 63 letters"},
		{"no issuer", []string{"group", group, "name", "one", "source", "Discovery"}, "Say what the cluster's issuer is called."},
		{"a bad issuer", []string{"group", group, "name", "one", "source", "Discovery", "issuer", "http://<b>one"}, "stands in no URL"},
		{"no keys", []string{"group", group, "name", "one", "source", "KeySet", "issuer", "https://one.example/"}, "Paste the key set."},
		{"no key set", []string{"group", group, "name", "one", "source", "KeySet", "issuer", "https://one.example/", "keyset", "<b>none"}, "Key set:"},
		{"no group", []string{"group", "x/y", "name", "one", "source", "Discovery", "issuer", "https://one.example/"}, "Choose a resource group."},
		{"no source", []string{"group", group, "name", "one", "source", "JwksUri", "issuer", "https://one.example/"}, "Choose one of these."},
		{"by discovery", []string{"group", group, "name", "one", "source", "Discovery", "issuer", " https://one.example/ ", "keyset", "left over"}, ""},
		{"the same name", []string{"group", group, "name", "ONE", "source", "Discovery", "issuer", "https://two.example/"}, "has a cluster one already"},
		{"by keys", []string{"group", group, "name", "two", "source", "KeySet", "issuer", "https://two.example/", "keyset", string(w.issuer.JWKS())}, ""},
		{"another's issuer", []string{"group", group, "name", "three", "source", "KeySet", "issuer", "https://two.example/", "keyset", otherKeys(t)}, "only one can have it"},
		{"published here", []string{"group", group, "name", "four", "source", "Hosted", "issuer", "left over"}, ""},
	} {
		a := admin.post("/portal/clusters/new", c.form...)
		if c.want == "" {
			if a.status != http.StatusSeeOther || !strings.Contains(a.header.Get("Location"), "done=registered") {
				t.Errorf("%s: %d %s", c.what, a.status, a.text())
			}
			continue
		}
		if a.status < 400 || !strings.Contains(a.text(), c.want) || strings.Contains(a.body, "<b>") {
			t.Errorf("%s: %d has no %q in\n%s", c.what, a.status, c.want, a.text())
		}
		for i := 1; i < len(c.form); i += 2 {
			if typed := c.form[i]; typed != "x/y" && typed != "JwksUri" && !strings.Contains(a.body, html.EscapeString(typed)) {
				t.Errorf("%s: %q is lost", c.what, c.form[i])
			}
		}
	}
	four := directory.ClusterRef{SubscriptionID: testSubscription, Group: "rg", Name: "four"}
	admin.opens(clusterPath(four)+"?done=registered", "The cluster was registered.", "--service-account-issuer=https://entente.example/oic/", "were not uploaded yet")

	// Contributors register, but set no keys.
	contributor := w.signIn(w.principal("contributor", testSub, roles.Contributor))
	contributor.lacks("/portal/clusters/new", "From a key set that I upload")
	if a := contributor.post("/portal/clusters/new", "group", group, "name", "five", "source", "KeySet", "issuer", "https://five.example/", "keyset", otherKeys(t)); a.status != http.StatusForbidden {
		t.Errorf("a contributor who uploads keys: %d %s", a.status, a.text())
	}
	if a := contributor.post("/portal/clusters/new", "group", group, "name", "five", "source", "Discovery", "issuer", "https://five.example/"); a.status != http.StatusSeeOther {
		t.Errorf("a contributor: %d %s", a.status, a.text())
	}
}

func TestUploadClusterKeys(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.CheckKeySet = checkAnySet })
	admin := w.signIn(w.admin)
	old := string(w.issuer.JWKS())
	k := w.registerWith("lab", &directory.ClusterIssuerSpec{URL: "https://lab.example/", Keys: directory.ClusterKeySet, KeySet: []byte(old)})
	at := clusterPath(k.ClusterRef, "keys")
	admin.opens(at, "Upload new keys", "There now:", k.Issuer.KeyIDs[0], "entente cluster update-keys lab --resource-group rg --from-cluster")

	// What changes is shown before anything does.
	set := otherKeys(t)
	for _, c := range []struct{ set, want string }{
		{"", "Paste the key set."}, {`{"keys":[]}`, "Nothing was made or changed"}, {set, "None of the present keys stays"}, {old, "It changes nothing"},
	} {
		if a := admin.post(at, "keyset", c.set); !strings.Contains(a.text(), c.want) {
			t.Errorf("%.20q: %d has no %q in\n%s", c.set, a.status, c.want, a.text())
		}
	}
	is := func() directory.Cluster {
		k, err := w.dir.Cluster(t.Context(), w.admin, k.ClusterRef)
		w.must(err)
		return k
	}
	if got := is().Issuer.KeyIDs[0]; got != k.Issuer.KeyIDs[0] {
		t.Fatalf("looking at keys has stored %s", got)
	}
	looked := compareKeySets(nil, nil, []byte(set)).Looked
	if a := admin.post(at, "keyset", set+" ", "looked", looked); a.status != http.StatusSeeOther || !strings.HasSuffix(a.header.Get("Location"), "done=keys") {
		t.Errorf("upload: %d %s", a.status, a.text())
	}
	if got := is().Issuer.KeyIDs[0]; got == k.Issuer.KeyIDs[0] {
		t.Errorf("the key is %s still", got)
	}
	if a := admin.post(at, "keyset", old, "looked", looked); a.status != http.StatusOK || is().Issuer.KeyIDs[0] == k.Issuer.KeyIDs[0] {
		t.Errorf("another set than was looked at: %d %s", a.status, a.text())
	}

	// From keys that are read to keys that are uploaded.
	prod := w.registerWith("prod", &directory.ClusterIssuerSpec{URL: w.issuer.URL()})
	admin.opens(clusterPath(prod.ClusterRef, "keys"), "Upload its keys instead")
	if a := admin.post(clusterPath(prod.ClusterRef, "keys"), "keyset", old, "looked", compareKeySets(nil, nil, []byte(old)).Looked); a.status != http.StatusSeeOther {
		t.Errorf("upload instead: %d %s", a.status, a.text())
	}
	admin.opens(clusterPath(prod.ClusterRef), "Uploaded", "RSA, 2048 bits")
}

func TestCompareKeySets(t *testing.T) {
	set := func(keys ...string) []byte { return []byte(`{"keys":[` + strings.Join(keys, ",") + `]}`) }
	one, two := otherKeys(t), otherKeys(t)
	key := func(set string) string { return strings.TrimSuffix(strings.TrimPrefix(set, `{"keys":[`), `]}`) }
	first, second := key(strings.TrimSpace(one)), key(strings.TrimSpace(two))
	both := compareKeySets(set(first), nil, set(first, second))
	if len(both.Added) != 1 || len(both.Kept) != 1 || both.Breaks() || both.Nothing() {
		t.Errorf("one more: %+v", both)
	}
	gone := compareKeySets(set(first, second), nil, set(second))
	if len(gone.Removed) != 1 || len(gone.Kept) != 1 || gone.Breaks() {
		t.Errorf("one less: %+v", gone)
	}
	id := compareKeySets(set(first), nil, set(first)).Kept[0].ID
	other := compareKeySets(set(second), nil, set(second)).Kept[0].ID
	swapped := compareKeySets(set(first), nil, set(strings.Replace(second, other, id, 1)))
	if len(swapped.Replaced) != 1 || !swapped.Breaks() {
		t.Errorf("another key of the same id: %+v", swapped)
	}
	unseen := compareKeySets(nil, []string{"a", id}, set(first))
	if len(unseen.Kept) != 1 || len(unseen.Removed) != 1 {
		t.Errorf("by ids alone: %+v", unseen)
	}
}

func TestServiceAccountsOfCluster(t *testing.T) {
	w := newWorld(t)
	admin := w.signIn(w.admin)
	k := w.registerWith("prod", &directory.ClusterIssuerSpec{URL: w.issuer.URL()})
	at := clusterPath(k.ClusterRef, "accounts")
	admin.opens(at, "has not reported", "entente cluster report prod --resource-group rg")

	m, _, err := w.dir.PutIdentity(t.Context(), w.admin, directory.Identity{IdentityRef: directory.IdentityRef{SubscriptionID: testSubscription, Group: "rg", Name: "cats"}, Location: "local"})
	w.must(err)
	_, err = w.dir.ReportServiceAccounts(t.Context(), w.admin, k.ClusterRef, []directory.ServiceAccount{{Namespace: "pets", Name: "cat", ClientID: m.ClientID}, {Namespace: "pets", Name: "dog"}, {Namespace: "zoo", Name: "cat"}})
	w.must(err)
	_, err = w.dir.AddCredential(t.Context(), w.admin, directory.Parent{Identity: &m.IdentityRef}, credential.Spec{Name: "trusts-cat", Issuer: w.issuer.URL(), Subject: credential.ServiceAccountSubject("pets", "cat"), Audiences: []string{credential.DefaultAudience}})
	w.must(err)

	a := admin.opens(at, "Reported just now", "wants to be "+m.ClientID, "cats by trusts-cat", "dog", "zoo", "nobody")
	if !strings.Contains(a.body, `?account=dog&amp;namespace=pets`) {
		t.Errorf("no link that adds a credential in %s", a.body)
	}
	admin.opens(at+"?namespace=zoo", "Only namespace zoo", "Show all namespaces")
	admin.lacks(at+"?q=zoo/", "dog")
	admin.opens(at+"?q=fish", "No service account matches")
	admin.opens(clusterPath(k.ClusterRef), "3 Service accounts", "1 trust it")
	admin.opens(clusterPath(k.ClusterRef, "credentials"), "pets/cat", "trusts-cat", "cats", "Managed identity", "1 credential")

	// Who shall trust it: the one of its annotation comes first, and the form is filled in.
	a = admin.opens(at+"/trust?namespace=pets&account=cat", "Named by its annotation", "cats in rg", "Applications")
	if !strings.Contains(a.body, "/identities/cats/credentials/new?account=cat&amp;cluster=") || !strings.Contains(a.body, "scenario=kubernetes") {
		t.Errorf("the form is not filled in: %s", a.body)
	}
	if a := admin.get(at + "/trust"); a.status != http.StatusSeeOther {
		t.Errorf("a service account that is not said: %d", a.status)
	}
	if a := admin.opens(at+"/trust?namespace=%3Cb%3E&account=x", "<b>"); strings.Contains(a.body, "<b>") {
		t.Errorf("a hostile namespace: %s", a.body)
	}
	if text := w.signIn(w.reader()).get(at + "/trust?namespace=pets&account=cat").text(); strings.Contains(text, "cats in rg") {
		t.Errorf("a reader is offered an identity: %s", text)
	}
}

func TestDeleteCluster(t *testing.T) {
	w := newWorld(t)
	w.dir.IssuerURL = "https://entente.example"
	admin := w.signIn(w.admin)
	k := w.registerWith("prod", &directory.ClusterIssuerSpec{URL: w.issuer.URL()})
	hosted := w.registerWith("hosted", &directory.ClusterIssuerSpec{Keys: directory.HostedKeys, KeySet: w.issuer.JWKS()})
	app, err := w.dir.CreateApplication(t.Context(), w.admin, directory.Application{DisplayName: "app"})
	w.must(err)
	for name, url := range map[string]string{"a": k.Issuer.URL, "b": hosted.Issuer.URL} {
		_, err = w.dir.AddCredential(t.Context(), w.admin, directory.Parent{Application: &directory.Ref{ID: app.ID}}, credential.Spec{Name: name, Issuer: url, Subject: "s", Audiences: []string{credential.DefaultAudience}})
		w.must(err)
	}
	admin.opens(clusterPath(k.ClusterRef, "delete"), "Its issuer stays known", "1 federated credential", "app by a, for s")
	a := admin.opens(clusterPath(hosted.ClusterRef, "delete"), "It cannot be deleted while they do")
	if strings.Contains(a.body, `class="danger"`) {
		t.Errorf("a refusal is offered: %s", a.body)
	}
	if a := admin.post(clusterPath(hosted.ClusterRef, "delete")); a.status != http.StatusConflict {
		t.Errorf("a hosted issuer in use: %d %s", a.status, a.text())
	}
	if a := admin.post(clusterPath(k.ClusterRef, "delete")); a.status != http.StatusSeeOther {
		t.Errorf("delete: %d %s", a.status, a.text())
	}
	admin.opens("/portal/clusters?done=deleted", "was deleted from the registry")
	if a := admin.get(clusterPath(k.ClusterRef)); a.status != http.StatusNotFound {
		t.Errorf("it is there still: %d", a.status)
	}
}
