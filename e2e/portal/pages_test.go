package portal

import (
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/testkit/browser"
)

// page is one that people see. The table is what axe-core, the look at narrow
// windows and the pictures share: a page that is missing here is not looked at.
type page struct {
	name    string // of its pictures
	address string
	heading string
}

func (w *town) pages(t *testing.T) []page {
	t.Helper()
	app := "/portal/applications/" + w.shown.ID
	identity := w.identityPath("pets")
	group := "/portal/groups/" + w.SubscriptionID + "/" + w.group.Name
	clusters := "/portal/clusters/" + w.SubscriptionID + "/" + w.group.Name
	cluster, issuer, test := clusters+"/my-cluster", "/portal/issuers/"+w.issuerName(t), "/portal/test?client="+w.shown.AppID
	return []page{
		{"home", "/portal", ""},
		{"applications", "/portal/applications", "App registrations"},
		{"applications-search", "/portal/applications?q=sto", "App registrations"},
		{"applications-none", "/portal/applications?q=nothing+like+it", "App registrations"},
		{"application-new", "/portal/applications/new", ""},
		{"application", app, "pets-api"},
		{"application-delete", app + "/delete", ""},
		{"credentials", app + "/credentials", "Certificates & secrets"},
		{"secrets", app + "/credentials?tab=secrets", "Certificates & secrets"},
		{"certificates", app + "/credentials?tab=certificates", "Certificates & secrets"},
		{"credential-new", app + "/credentials/new", "Add a credential"},
		{"groups", "/portal/groups", "Resource groups"},
		{"group-new", "/portal/groups/new", ""},
		{"group", group, "my-rg"},
		{"group-delete", group + "/delete", ""},
		{"identity-new", group + "/new-identity", ""},
		{"identities", "/portal/identities", "Managed identities"},
		{"identity", identity, "pets"},
		{"identity-settings", identity + "/settings", ""},
		{"identity-credentials", identity + "/credentials", "Federated credentials"},
		{"identity-credential-new", identity + "/credentials/new", "Add a credential"},
		{"identity-delete", identity + "/delete", ""},
		{"clusters", "/portal/clusters", "Clusters"},
		{"cluster-new", "/portal/clusters/new", ""},
		{"cluster", cluster, "my-cluster"},
		{"cluster-hosted", clusters + "/north", "north"},
		{"cluster-accounts", cluster + "/accounts", "Service accounts"},
		{"cluster-accounts-none", clusters + "/north/accounts", "Service accounts"},
		{"cluster-trust", cluster + "/accounts/trust?namespace=shop&account=mail", ""},
		{"cluster-credentials", cluster + "/credentials", ""},
		{"cluster-keys", clusters + "/north/keys", ""},
		{"cluster-delete", cluster + "/delete", ""},
		{"issuers", "/portal/issuers", "Issuers"},
		{"issuer-new", "/portal/issuers/-/new", ""},
		{"issuer", issuer, ""},
		{"issuer-credentials", issuer + "/credentials", ""},
		{"issuer-edit", "/portal/issuers/shop-ci/edit", ""},
		{"issuer-delete", "/portal/issuers/shop-ci/delete", ""},
		{"signing-keys", "/portal/signing-keys", "Signing keys"},
		{"signing-keys-rotate", "/portal/signing-keys/rotate", ""},
		{"sign-ins", "/portal/sign-ins", "Sign-ins"},
		{"audit", "/portal/audit", "Audit log"},
		{"roles", "/portal/roles", "Role assignments"},
		{"role-new", "/portal/roles/new", ""},
		{"test", "/portal/test", "Test a token"},
		{"test-token", test, "Test a token"},
		{"test-account", test + "&with=service-account", "Test a token"},
		{"test-accepted", test + "&with=service-account&namespace=pets&account=workload-identity-sa&issuer=" + url.QueryEscape(w.issuer.URL()), "Test a token"},
		{"test-refused", test + "&with=service-account&namespace=pets&account=Workload-identity-sa&issuer=" + url.QueryEscape(strings.TrimSuffix(w.issuer.URL(), "/")), "Test a token"},
		{"settings", "/portal/settings", "Settings"},
	}
}

// followed are pages whose address a click makes, or something done.
func (w *town) followed() []struct {
	page
	do func(*browser.Browser)
} {
	app := "/portal/applications/" + w.shown.ID
	return []struct {
		page
		do func(*browser.Browser)
	}{
		{page{"credential", app + "/credentials", ""}, func(b *browser.Browser) { b.Click("kubernetes") }},
		{page{"credential-text", app + "/credentials", ""}, func(b *browser.Browser) { b.Click("kubernetes"); b.Click("As text") }},
		{page{"credential-delete", app + "/credentials", ""}, func(b *browser.Browser) { b.Click("Delete kubernetes") }},
		{page{"secret-delete", app + "/credentials?tab=secrets", ""}, func(b *browser.Browser) {
			all := b.Names("link")
			b.Click(all[slices.IndexFunc(all, func(name string) bool { return strings.HasPrefix(name, "Remove the client secret laptop") })])
		}},
		{page{"sign-in-refused", "/portal", ""}, func(b *browser.Browser) { b.Within("region", "Refused lately").Click("pets-api") }},
		{page{"credential-filled", app + "/credentials/new", ""}, func(b *browser.Browser) {
			b.Select("Federated credential scenario", kubernetesScenario)
			b.Select("Cluster", "my-cluster (my-rg)")
			b.SeeValue("Cluster issuer URL", w.issuer.URL())
			b.Fill("Namespace", "pets")
			b.Type("Service account name", "nightly-reports")
			b.SeeValue("Subject identifier", "system:serviceaccount:pets:nightly-reports")
			b.Type("Name", "nightly-reports")
			b.See("under exactly this name", "The name is free")
		}},
		{page{"credential-refused", app + "/credentials/new", ""}, func(b *browser.Browser) {
			b.Select("Federated credential scenario", kubernetesScenario)
			b.Expect(browser.Console, "422")
			b.Click("Add")
			b.See("Cluster issuer URL")
		}},
		{page{"test-token-refused", "/portal/test?client=" + w.shown.AppID, ""}, func(b *browser.Browser) {
			b.Fill("Token", w.stranger)
			b.Click("Test the token")
			b.See("Refused.")
		}},
		{page{"test-token-accepted", "/portal/test?client=" + w.shown.AppID, ""}, func(b *browser.Browser) {
			b.Fill("Token", w.accepted)
			b.Click("Test the token")
			b.See("Accepted.")
		}},
		{page{"identity-credential", w.identityPath("pets") + "/credentials", ""}, func(b *browser.Browser) { b.Click("in-the-cluster"); b.See("under exactly this name") }},
	}
}

// testPages looks at every page in both themes, on a telephone and on a desk.
func testPages(t *testing.T, w *town) {
	look := func(t *testing.T, b *browser.Browser) {
		for _, k := range []struct {
			scheme string
			width  int
		}{{"light", 360}, {"light", 1440}, {"dark", 1440}} { // whoever follows every link does so on a telephone in the dark
			b.Size(k.width, 900)
			b.Scheme(k.scheme)
			b.Axe()
			if n := b.Overflow(); n > 0 {
				t.Errorf("%s at %d pixels: %d too wide: %q", b.URL(), k.width, n, b.Widest())
			}
		}
		harmless(t, b)
	}
	w.each(t, func(t *testing.T, b *browser.Browser, p page) {
		for _, jump := range b.Shifts() {
			t.Errorf("the layout jumps by %s", jump)
		}
		look(t, b)
	})
	t.Run("outside", func(t *testing.T) {
		b := browser.Open(t, w.site)
		b.Go("/portal/sign-in")
		look(t, b)
		link := w.link(t)
		b.Go(strings.TrimPrefix(link, w.Authority))
		look(t, b)
		b.Expect(browser.Console, "404")
		b.Go("/portal/link?token=unknown")
		look(t, b)
	})
}

// each opens every page, in one window.
func (w *town) each(t *testing.T, see func(*testing.T, *browser.Browser, page)) {
	t.Helper()
	window := w.open(t)
	for _, p := range w.pages(t) {
		t.Run(p.name, func(t *testing.T) {
			b := window.In(t)
			b.Go(p.address)
			if b.Status() != 200 {
				t.Fatalf("%s: status %d", p.address, b.Status())
			}
			if p.heading != "" {
				b.Await("heading", p.heading)
			}
			see(t, b, p)
		})
	}
	for _, p := range w.followed() {
		t.Run(p.name, func(t *testing.T) {
			b := window.In(t)
			b.Size(1280, 900)
			b.Go(p.address)
			p.do(b)
			see(t, b, p.page)
		})
	}
}

// All that pages load besides themselves is small, and from here.
func testAssets(t *testing.T, w *town) {
	b := w.open(t)
	for _, p := range w.pages(t) {
		b.Go(p.address)
	}
	seen, sum := map[string]bool{}, 0
	for _, r := range b.Requests() {
		if r.Foreign() {
			t.Errorf("a request to %s", r.URL)
		}
		if r.Type == "Document" || seen[r.URL] {
			continue
		}
		seen[r.URL] = true
		res, err := w.HTTP.Get(r.URL)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(res.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s may not be kept: %q", r.URL, res.Header.Get("Cache-Control"))
		}
		sum += len(text)
	}
	if len(seen) == 0 || sum > 100<<10 {
		t.Errorf("%d assets of %d bytes, want at most 100 KiB", len(seen), sum)
	}
	t.Logf("%d assets, %d bytes", len(seen), sum)

	b.Go("/portal/applications")
	var paint float64
	b.Eval(`new Promise(done => {
		new PerformanceObserver(list => { for (const e of list.getEntriesByName("first-contentful-paint")) done(e.startTime) }).observe({type: "paint", buffered: true});
		setTimeout(() => done(-1), 2000);
	})`, &paint)
	t.Logf("first contentful paint after %.0f ms", paint)
}
