package portal

import (
	"fmt"
	"html"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/issuer"
)

// A name of dots in a path must not make a redirect or a link lead elsewhere.
func TestNamesOfDotsAreNoPages(t *testing.T) {
	w := newWorld(t)
	admin := w.signIn(w.admin)
	for _, path := range []string{
		"/portal/clusters/%2e%2e/%2e%2e/%2e%2e/check", "/portal/issuers/%2E%2E/check", "/portal/issuers/%2e/check", "/portal/applications/..%2f..%2f..%2fv1.0/secrets", "/portal/issuers/x%2F%2Fevil.example/check",
	} {
		if a := admin.get(path); a.status != http.StatusNotFound || a.header.Get("Location") != "" {
			t.Errorf("%s: %d, leads to %q", path, a.status, a.header.Get("Location"))
		}
	}
	if a := admin.get("/portal/"); a.status != http.StatusOK {
		t.Errorf("the first page with a slash: %d", a.status)
	}
}

// What issuers said, which may be much, is kept no longer than it is told.
func TestAnswersOfIssuersAreForgotten(t *testing.T) {
	var q inquiries
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	for i := range 5000 {
		now = now.Add(time.Second / mostPerSecond)
		if session := fmt.Sprint(i % 900); q.begin(session, now) {
			q.end(session, fmt.Sprintf("https://%d.example", i), inquiry{report: issuer.Report{DocumentIssuer: strings.Repeat("x", 1000)}, at: now}, true)
		}
	}
	kept := 0
	for _, s := range q.sessions {
		kept += len(s.answers)
	}
	if most := mostPerSecond * int(inquiryFresh/time.Second); kept > most {
		t.Errorf("%d answers are kept, want at most %d", kept, most)
	}
}

// Slow issuers, asked by many sessions, take no more than a part of what
// exchanges need to ask others.
func TestFewIssuersAreAskedAtOnce(t *testing.T) {
	var q inquiries
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	under := []string{}
	for i := range 100 {
		now = now.Add(time.Second)
		if session := fmt.Sprint(i); q.begin(session, now) {
			under = append(under, session)
		}
	}
	if len(under) != mostAtOnce {
		t.Fatalf("%d questions at once, want %d", len(under), mostAtOnce)
	}
	q.end(under[0], "https://issuer.example", inquiry{at: now}, true)
	if !q.begin("another", now) {
		t.Error("no question is taken after one has ended")
	}
}

// Where registered issuers only are taken, nobody makes the service ask others.
func TestUnregisteredIssuersAreNotAsked(t *testing.T) {
	both(t, func(t *testing.T, w *world, h held) {
		on := true
		_, err := w.dir.SetPolicy(t.Context(), w.admin, directory.PolicyEdit{RegisteredIssuersOnly: &on})
		w.must(err)
		p := w.signIn(w.admin)
		form := kubernetesForm("cluster-issuer", w.issuer.URL(), "ask", "yes")
		if a := p.live(h, form...); !strings.Contains(a.text(), "takes registered issuers only") || strings.Contains(a.text(), "answers") {
			t.Errorf("an issuer that nobody registered: %s", a.text())
		}
		_, _, err = w.dir.PutIssuer(t.Context(), w.admin, directory.Issuer{Name: "local", URL: w.issuer.URL(), KeySource: directory.DiscoveredKeys})
		w.must(err)
		if a := p.live(h, form...); !strings.Contains(a.text(), "The issuer answers") {
			t.Errorf("a registered issuer: %s", a.text())
		}
	})
}

// One host may have the issuers of many clusters.
func TestIssuerIsFoundAmongManyOfItsHost(t *testing.T) {
	both(t, func(t *testing.T, w *world, h held) {
		for i := range mostChoices + 5 {
			w.addCluster(fmt.Sprintf("c%02d", i), fmt.Sprintf("https://oidc.example/%02d/", i))
		}
		p := w.signIn(w.admin)
		for _, i := range []int{0, mostChoices + 4} {
			name := fmt.Sprintf("c%02d", i)
			if a := p.live(h, kubernetesForm("cluster-issuer", fmt.Sprintf("https://oidc.example/%02d/", i))...); !strings.Contains(a.text(), "the registered cluster "+name) {
				t.Errorf("%s: %s", name, a.text())
			}
		}
	})
}

// What turns the direction of text, leaves no mark or looks like something else
// is seen wherever somebody decides by a subject or by what an issuer said.
func TestDisguisedTextsAreSeen(t *testing.T) {
	const subject = "repo:shop/\u202enimda:ref"
	both(t, func(t *testing.T, w *world, h held) {
		made, err := w.dir.AddCredential(t.Context(), w.admin, h.parent, credential.Spec{Name: "turned", Issuer: w.issuer.URL(), Subject: subject, Audiences: []string{"\u0430pi://AzureADTokenExchange"}})
		w.must(err)
		_, _, err = w.dir.PutIssuer(t.Context(), w.admin, directory.Issuer{Name: "local", URL: w.issuer.URL(), KeySource: directory.DiscoveredKeys})
		w.must(err)
		admin := w.signIn(w.admin)
		for _, path := range []string{h.path, h.path + "/" + made.ID + "/text", h.path + "/" + made.ID + "/delete", "/portal/issuers/local/credentials"} {
			a := admin.get(path)
			_, main, _ := strings.Cut(a.body, "<main")
			main, _, _ = strings.Cut(main, "<h2 id=\"text-yaml") // a manifest is as it is
			main = html.UnescapeString(main)
			if a.status != http.StatusOK || strings.ContainsRune(main, '\u202e') || !strings.Contains(main, "U+202E") {
				t.Errorf("%s: %d %s", path, a.status, main)
			}
			if strings.HasPrefix(path, h.path) && !strings.Contains(main, "U+0430") {
				t.Errorf("%s does not tell the audience's letter: %s", path, main)
			}
		}
	})
}

// Links of other sites open pages, but fill in no forms.
func TestOtherSitesFillInNoForms(t *testing.T) {
	w := newWorld(t)
	for from, want := range map[string]string{
		"/portal/roles/new?principal=evil&role=Owner&scope=/":                "/portal/roles/new",
		"/portal/roles/%6eew?principal=evil":                                 "/portal/roles/%6eew",
		"/portal/applications/x/credentials/new?issuer=https://evil.example": "/portal/applications/x/credentials/new",
		"/portal/issuers/-/new?url=https://evil.example":                     "/portal/issuers/-/new",
		"/portal/sign-ins?client=a&code=7":                                   "/portal/sign-ins?client=a&code=7",
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+from, nil)
		w.must(err)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		if a := w.stranger().do(r); !strings.Contains(html.UnescapeString(a.body), `content="0;url=`+want+`"`) {
			t.Errorf("%s leads to %s", from, a.body)
		}
		if got := returnPath(unfilled(from)); got != want {
			t.Errorf("who signs in for %s comes to %s", from, got)
		}
	}
}
