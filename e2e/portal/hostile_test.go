package portal

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/localissuer"
	"github.com/entente-id/entente/internal/testkit/browser"
)

// What people try who want a script of theirs on somebody else's page. Each
// says hello with a dialog, by another way into one.
var payloads = []string{
	`<script>alert(1)</script>`,
	`"><img src=x onerror=alert(2)>`,
	`'><svg/onload=alert(3)>`,
	`</title></textarea></select></pre><script>alert(4)</script>`,
	`" autofocus onfocus="alert(5)`,
	`javascript:alert(6)//`,
	`<iframe srcdoc="&lt;script&gt;parent.alert(7)&lt;/script&gt;"></iframe>`,
	`{{alert(8)}}${alert(8)}<%= alert(8) %>`,
	`<base href=//evil.example/><a href="javascript:alert(9)">x</a>`,
	`</script><script>/*'/*"/*--></noscript></style><script>alert(10)//`,
	`<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(11)&gt;">`,
	"\u2028</script\t><ScRiPt\n>alert`12`</ScRiPt> <meta http-equiv=refresh content=0;url=javascript:alert(12)>",
}

// foreign is what a page must not have but might, if a text became markup.
const foreign = `[...document.querySelectorAll("*")].filter(e =>
	["IFRAME", "OBJECT", "EMBED", "BASE", "MATH", "MARQUEE"].includes(e.tagName) ||
	e.tagName === "SCRIPT" && !(e.getAttribute("src") ?? "").startsWith("/portal/assets/") ||
	e.tagName === "STYLE" ||
	e.tagName === "IMG" && !(e.getAttribute("src") ?? "").startsWith("/portal/assets/") ||
	e.tagName === "META" && e.httpEquiv.toLowerCase() === "refresh" ||
	[...e.attributes].some(a => a.name.startsWith("on")) ||
	["href", "src", "action", "formaction"].some(n => /^\s*(javascript|data|vbscript):/i.test(e.getAttribute(n) ?? ""))
).map(e => e.outerHTML.slice(0, 200))`

// harmless fails the test when a text has become part of the page's markup.
// Dialogs, policy violations and foreign requests fail it by themselves.
func harmless(t *testing.T, b *browser.Browser) {
	t.Helper()
	var found []string
	b.Eval(foreign, &found)
	if len(found) > 0 {
		t.Errorf("at %s there is %q", b.URL(), found)
	}
}

// Things with such names and texts, on every page that shows them.
func testHostileNames(t *testing.T, w *town) {
	ctx := t.Context()
	var first client.Application
	for i, p := range payloads {
		description := p
		app, err := w.admin.CreateApplication(ctx, client.ApplicationSpec{DisplayName: p, Description: &description, Tags: []string{p}})
		if err != nil {
			t.Fatalf("%q: %v", p, err)
		}
		if i == 0 {
			first = app
		}
		if _, err := w.admin.CreateServicePrincipal(ctx, client.ServicePrincipalSpec{AppID: app.AppID}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.admin.AddPassword(ctx, first.ID, client.PasswordSpec{DisplayName: p}); err != nil {
			t.Fatal(err)
		}
		w.trust(t, first, client.FederatedCredential{Name: fmt.Sprintf("hostile-%d", i), Issuer: w.issuer.URL(), Subject: subjectWith(p), Description: p})
		id := w.identityID(fmt.Sprintf("hostile-%d", i))
		if _, _, err := w.admin.PutIdentity(ctx, id, client.ResourceSpec{Location: "local", Tags: map[string]string{"note": p}}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.admin.PutIdentityCredential(ctx, id, client.FederatedCredential{Name: "hostile", Issuer: w.issuer.URL(), Subject: subjectWith(p), Audiences: []string{audience}}); err != nil {
			t.Fatal(err)
		}
		// A refused exchange, whose record has the text as subject.
		stranger := "stranger " + subjectWith(p)
		token, err := w.issuer.Mint(localissuer.Token{Subject: &stranger, Audiences: []string{audience}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.exchange(t, first.AppID, token); err == nil {
			t.Fatal("a stranger got a token")
		}
	}

	b := w.open(t)
	one := "/portal/applications/" + first.ID
	b.Go(one)
	b.See(payloads[0])
	harmless(t, b)
	for _, page := range []string{"", "/credentials", "/credentials?tab=secrets", "/credentials?tab=certificates", "/delete"} {
		b.Go(one + page)
		harmless(t, b)
	}
	for i := range payloads {
		b.Go(one + "/credentials")
		b.Click(fmt.Sprintf("hostile-%d", i))
		harmless(t, b)
		b.Go(b.URL() + "/text")
		harmless(t, b)
		b.Go(w.identityPath(fmt.Sprintf("hostile-%d", i)))
		harmless(t, b)
		b.Go(b.URL() + "/credentials")
		b.Click("hostile")
		harmless(t, b)
	}
	for _, page := range []string{"/applications", "/identities", "/sign-ins", "/audit", "/roles", "/groups/" + w.SubscriptionID + "/" + w.group.Name, "/test?client=" + first.AppID} {
		b.Go("/portal" + page)
		harmless(t, b)
	}
	b.Go("/portal/applications?q=" + url.QueryEscape(payloads[1]))
	b.See(payloads[1])
	b.Click(payloads[1])
	b.Await("heading", payloads[1])
	harmless(t, b)
}

// subjectWith is a subject that has a text in it: one line.
func subjectWith(text string) string {
	return strings.NewReplacer("\n", " ", "\t", " ", "\u2028", " ").Replace("system:serviceaccount:pets:" + text)
}

// fillAll writes a text into all fields, and waits for what the page says of it
// while one types.
const fillAll = `async text => {
	const fields = [...document.querySelectorAll("main input:not([type=hidden]):not([type=checkbox]), main textarea")];
	for (const f of fields) {
		f.value = text;
		f.dispatchEvent(new Event("input", {bubbles: true}));
	}
	const status = document.querySelector("form[data-live] [data-status]");
	for (let i = 0; status && i < 50 && status.textContent === ""; i++) await new Promise(done => setTimeout(done, 100));
	return fields.length;
}`

// Every field of every form, filled with such texts: what is refused is shown
// again, and what is taken is shown afterwards.
func testHostileFields(t *testing.T, w *town) {
	app := w.application(t, "hostile fields")
	w.managedIdentity(t, "hostile-fields")
	forms := []struct{ page, button string }{
		{"/portal/applications/new", "Register"},
		{"/portal/applications/" + app.ID + "/credentials/new", "Add"},
		{w.identityPath("hostile-fields") + "/credentials/new", "Add"},
		{"/portal/applications/" + app.ID + "/credentials?tab=secrets", "Add client secret"},
		{"/portal/applications", "Search"},
		{"/portal/sign-ins", ""},
		{"/portal/audit", ""},
		{"/portal/test", ""},
	}
	b := w.open(t)
	b.Expect(browser.Console, "the server responded with a status of 4")
	for _, form := range forms {
		for i, p := range payloads {
			b.Go(form.page)
			text, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			var filled int
			b.Eval("("+fillAll+")("+string(text)+")", &filled)
			harmless(t, b)
			if form.button == "" {
				b.Press("Enter")
			} else {
				b.Click(form.button)
			}
			harmless(t, b)
			if i == 0 && filled == 0 {
				t.Errorf("%s has no field", form.page)
			}
		}
	}
}

// Everything that an address can say.
func testHostileAddresses(t *testing.T, w *town) {
	b := w.open(t)
	b.Expect(browser.Console, "the server responded with a status of 4")
	for _, p := range payloads {
		q := url.QueryEscape(p)
		for _, address := range []string{
			"/portal/applications?q=" + q, "/portal/applications?sort=" + q, "/portal/applications?after=" + q, "/portal/applications?done=" + q,
			"/portal/applications/" + url.PathEscape(p), "/portal/" + url.PathEscape(p), "/portal/sign-ins?client=" + q, "/portal/audit?q=" + q,
			"/portal/test?client=" + q, "/portal/link?token=" + q, "/portal/roles?principal=" + q, "/portal/sign-in?return=" + q,
			"/portal/applications/" + w.app.ID + "/credentials?tab=" + q, "/portal/applications/" + w.app.ID + "/credentials/" + url.PathEscape(p),
			"/portal/applications/" + w.app.ID + "/credentials/new?scenario=" + q + "&issuer=" + q + "&subject=" + q,
		} {
			b.Go(address)
			harmless(t, b)
		}
	}
}

// Forms on other sites' pages, sent by somebody who has signed in here.
func testOtherOrigins(t *testing.T, w *town) {
	app := w.application(t, "attacked")
	kept := w.trust(t, app, client.FederatedCredential{Name: "kept", Issuer: w.issuer.URL(), Subject: subject})
	credentials := w.Authority + "/portal/applications/" + app.ID + "/credentials"
	fields := map[string]string{"scenario": "kubernetes", "issuer": w.issuer.URL(), "namespace": "pets", "account": "intruder", "subject": "system:serviceaccount:pets:intruder", "name": "intruder", "audience": audience}
	page := func(method, action, kind string, fields map[string]string) string {
		var inputs strings.Builder
		for name, value := range fields {
			fmt.Fprintf(&inputs, `<input type="hidden" name="%s" value="%s">`, name, html.EscapeString(value))
		}
		return fmt.Sprintf(`<form method="%s" action="%s" enctype="%s">%s<button>Win a prize</button></form>`, method, html.EscapeString(action), kind, &inputs)
	}
	const form = "application/x-www-form-urlencoded"
	attacks := map[string]string{
		"/add":      page("post", credentials+"/new", form, fields),
		"/plain":    page("post", credentials+"/new", "text/plain", fields),
		"/delete":   page("post", credentials+"/"+kept.ID+"/delete", form, nil),
		"/app":      page("post", w.Authority+"/portal/applications/"+app.ID+"/delete", form, nil),
		"/sign-out": page("post", w.Authority+"/portal/sign-out", form, nil),
	}
	link, err := url.Parse(w.link(t))
	if err != nil {
		t.Fatal(err)
	}
	attacks["/link"] = page("post", w.Authority+"/portal/link", form, map[string]string{"token": link.Query().Get("token")})
	elsewhere := otherSite(t, http.HandlerFunc(func(r http.ResponseWriter, q *http.Request) {
		r.Header().Set("Content-Type", "text/html")
		if text, ok := attacks[q.URL.Path]; ok {
			fmt.Fprint(r, "<!doctype html><title>Prizes</title>"+text)
		}
	}))
	b := browser.Open(t, w.site, elsewhere)
	w.signIn(t, b)
	b.Expect(browser.Console, "403")
	own, err := url.Parse(w.Authority)
	if err != nil {
		t.Fatal(err)
	}
	there, err := url.Parse(elsewhere.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "127.0.0.1"} { // one of them is the same site on another port
		for path := range attacks {
			b.Go("https://" + host + ":" + there.Port() + path)
			b.Click("Win a prize")
			if status := b.Status(); status != http.StatusForbidden && !(status == http.StatusUnauthorized && host != own.Hostname()) {
				t.Errorf("%s from %s: %d, want 403", path, host, status)
			}
		}
	}
	if got := w.credentials(t, app); len(got) != 1 || got["kept"].Subject != subject {
		t.Errorf("the credentials after that: %v", got)
	}
	b.Go("/portal")
	b.See("Sign out") // still signed in
	b.Go(link.RequestURI())
	b.Click("Sign in") // still of use
	b.See("Sign out")
}

// No page is shown inside of another's.
func testFraming(t *testing.T, w *town) {
	framed := []string{"/portal", "/portal/sign-in", "/portal/applications/" + w.app.ID + "/credentials/new"}
	elsewhere := otherSite(t, http.HandlerFunc(func(r http.ResponseWriter, q *http.Request) {
		r.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(r, `<!doctype html><title>Prizes</title><p>Prizes</p><iframe title="prize" src="%s"></iframe>`, html.EscapeString(w.Authority+q.URL.Query().Get("page")))
	}))
	b := browser.Open(t, w.site, elsewhere)
	w.signIn(t, b)
	for _, page := range framed {
		b.Expect(browser.Policy, "frame-ancestors")
		b.Go(elsewhere.URL + "/?page=" + url.QueryEscape(page))
		b.See("Prizes")
		found := false
		for _, p := range b.Problems() {
			found = found || p.Kind == browser.Policy && strings.Contains(p.Text, w.Authority)
		}
		if !found {
			t.Errorf("%s is shown in a frame, or nobody was told: %v", page, b.Problems())
		}
	}
}
