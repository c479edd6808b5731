package portal

import (
	"io"
	"path/filepath"
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
		{"group", group, "my-rg"},
		{"identities", "/portal/identities", "Managed identities"},
		{"identity", identity, "pets"},
		{"identity-settings", identity + "/settings", ""},
		{"identity-credentials", identity + "/credentials", "Federated credentials"},
		{"identity-credential-new", identity + "/credentials/new", "Add a credential"},
		{"clusters", "/portal/clusters", "Clusters"},
		{"cluster", "/portal/clusters/" + w.SubscriptionID + "/" + w.group.Name + "/my-cluster", "my-cluster"},
		{"issuers", "/portal/issuers", "Issuers"},
		{"signing-keys", "/portal/signing-keys", "Signing keys"},
		{"sign-ins", "/portal/sign-ins", "Sign-ins"},
		{"audit", "/portal/audit", "Audit log"},
		{"roles", "/portal/roles", "Role assignments"},
		{"test", "/portal/test", "Test a token"},
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
		{page{"credential-filled", app + "/credentials/new", ""}, func(b *browser.Browser) {
			b.Select("Federated credential scenario", kubernetesScenario)
			b.Fill("Cluster issuer URL", w.issuer.URL())
			b.Fill("Namespace", "pets")
			b.Type("Service account name", "another")
			b.SeeValue("Subject identifier", "system:serviceaccount:pets:another")
		}},
		{page{"credential-refused", app + "/credentials/new", ""}, func(b *browser.Browser) {
			b.Select("Federated credential scenario", kubernetesScenario)
			b.Expect(browser.Console, "422")
			b.Click("Add")
			b.See("Cluster issuer URL")
		}},
		{page{"identity-credential", w.identityPath("pets") + "/credentials", ""}, func(b *browser.Browser) { b.Click("my-credential") }},
	}
}

// testPages looks at every page in both themes, on a telephone and on a desk.
func testPages(t *testing.T, w *town) {
	look := func(t *testing.T, b *browser.Browser) {
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int{360, 1440} {
				b.Size(width, 900)
				b.Scheme(scheme)
				b.Axe()
				if n := b.Overflow(); n > 0 {
					t.Errorf("%s at %d pixels: %d too wide: %q", b.URL(), width, n, b.Widest())
				}
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

// TestScreenshots makes the pictures: one of every page for each width and theme.
//
//	go test ./e2e/portal -run TestScreenshots -screenshots DIR
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("-screenshots says where to put pictures")
	}
	w := newTown(t)
	picture := func(b *browser.Browser, name string) {
		for _, scheme := range []string{"light", "dark"} {
			for _, k := range []struct {
				name          string
				width, height int
			}{{"360", 360, 740}, {"768", 768, 1024}, {"1440", 1440, 900}} {
				b.Screenshot(filepath.Join(*screenshots, name+"-"+k.name+"-"+scheme+".png"), k.width, k.height, scheme)
			}
		}
	}
	w.each(t, func(t *testing.T, b *browser.Browser, p page) { picture(b, p.name) })
	b := browser.Open(t, w.site)
	b.Go("/portal/sign-in")
	picture(b, "sign-in")
	b.Go(strings.TrimPrefix(w.link(t), w.Authority))
	picture(b, "link")
}
