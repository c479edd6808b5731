package portal

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/localissuer"
	"github.com/entente-id/entente/internal/roles"
)

// workload is an application that trusts a service account of the world's issuer.
type workload struct {
	*world
	app    directory.Application
	parent directory.Parent
	trust  directory.Credential
	logged *bytes.Buffer // all that was logged, at every level
}

const petsSubject = "system:serviceaccount:pets:web"

func newWorkload(t *testing.T, change ...func(*credential.Spec)) *workload {
	var logged bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w := newWorld(t, func(c *Config) {
		c.Log = log
		c.Note = func(_ context.Context, attrs ...slog.Attr) {
			log.LogAttrs(context.Background(), slog.LevelDebug, "note", attrs...)
		}
	})
	app := w.register("pets")
	_, err := w.dir.CreateServicePrincipal(t.Context(), w.admin, directory.NewPrincipal{AppID: app.AppID})
	w.must(err)
	l := &workload{world: w, app: app, parent: directory.Parent{Application: &directory.Ref{ID: app.ID}}, logged: &logged}
	s := credential.Spec{Name: "pets", Issuer: w.issuer.URL(), Subject: petsSubject, Audiences: []string{credential.DefaultAudience}}
	for _, f := range change {
		f(&s)
	}
	l.trust, err = w.dir.AddCredential(t.Context(), w.admin, l.parent, s)
	w.must(err)
	return l
}

// mint makes a token of the service account pets/web.
func (w *world) mint(t localissuer.Token) string {
	w.t.Helper()
	if t.Namespace == "" {
		t.Namespace, t.ServiceAccount = "pets", "web"
	}
	token, err := w.issuer.Mint(t)
	w.must(err)
	return token
}

// secret checks that nothing of a token that could be used is in an answer or was logged.
func (l *workload) secret(a answer, token string) {
	l.t.Helper()
	parts := strings.Split(token, ".")
	for _, where := range []string{a.body, l.logged.String(), fmt.Sprint(a.header)} {
		for _, part := range parts[max(0, len(parts)-2):] {
			if len(part) > 8 && strings.Contains(where, part) {
				l.t.Errorf("a part of the token is in:\n%.2000s", where)
			}
		}
	}
}

func TestTokenWouldBeAccepted(t *testing.T) {
	w := newWorkload(t)
	p := w.signIn(w.admin)
	p.shows(p.get(testPath(w.app.AppID)), http.StatusOK, "Paste a token", "pets", w.app.AppID)

	token := w.mint(localissuer.Token{})
	a := p.post("/portal/test", "client", w.app.AppID, "token", "\n "+token+" \n", "scope", defaultScope)
	p.shows(a, http.StatusOK, "Accepted. This token would be exchanged for an access token.", "1. Read the token Passed", "2. Find who trusts it Passed", "3. Check that it is genuine Passed",
		"4. Decide what it is exchanged for Passed", "5. Issue an access token Passed", "Claims of the access token that would be issued", `"appid": "`+w.app.AppID+`"`, `"sub": "`+petsSubject+`"`)
	w.secret(a, token)
	p.hides(a, "Refused", "AADSTS")
	if records, _, err := w.records.List(t.Context(), signinsOf(w.app.AppID)); err != nil || len(records) != 0 {
		t.Errorf("the test left %d sign-ins (%v)", len(records), err)
	}
}

func TestTokenWouldBeRefused(t *testing.T) {
	const addFor, open = "Add a credential for this token", "Open the nearest credential"
	for name, c := range map[string]struct {
		trust func(*credential.Spec)
		token localissuer.Token
		scope string
		shows []string
		body  []string
		hides []string
	}{
		"slash": {trust: func(s *credential.Spec) { s.Issuer = strings.TrimSuffix(s.Issuer, "/") + "/" }, token: localissuer.Token{Issuer: new("https://127.0.0.1")},
			shows: []string{"Refused. None of the client's credentials names the token's issuer.", "AADSTS700211: No matching federated identity record found for presented assertion issuer", addFor, open, "Register the issuer", "3. Check that it is genuine Not reached"}},
		"one slash more": {trust: func(s *credential.Spec) { s.Issuer += "/" }, shows: []string{`The credential's issuer ends with`, addFor, open}, body: []string{`<mark class="want">/</mark>`}, hides: []string{"Register the issuer"}},
		"namespace": {token: localissuer.Token{Namespace: "pats", ServiceAccount: "web"},
			shows: []string{"The issuer is trusted, but for other subjects.", "AADSTS700213", "2. Find who trusts it Refused", addFor, open}, body: []string{`p<mark class="want">e</mark>ts`, `p<mark>a</mark>ts`}},
		"case":       {token: localissuer.Token{Namespace: "pets", ServiceAccount: "Web"}, shows: []string{"Upper and lower case letters differ in the subject.", "AADSTS7002138"}, body: []string{`<mark class="want">w</mark>`, `<mark>W</mark>`}},
		"look-alike": {trust: func(s *credential.Spec) { s.Subject = "system:serviceaccount:p\u0435ts:web" }, shows: []string{"U+0435", "which looks like"}, body: []string{`<mark class="want">` + "\u0435" + `</mark><small> ‹U&#43;0435`}},
		"invisible":  {token: localissuer.Token{Namespace: "pets", ServiceAccount: "web\u200b"}, shows: []string{"‹invisible U+200B›"}},
		"audience": {token: localissuer.Token{Audiences: []string{"api://AzureADTokenExchange/"}}, shows: []string{"Issuer and subject are trusted, but for another audience.", "AADSTS700212", open},
			hides: []string{addFor}, body: []string{`<mark>/</mark>`}},
		"expired":     {token: localissuer.Token{IssuedAt: new(time.Unix(1, 0)), NotBefore: new(time.Unix(1, 0)), Expiry: new(time.Unix(3601, 0))}, shows: []string{"The token has expired.", "AADSTS700024", "3. Check that it is genuine Refused"}, hides: []string{addFor}},
		"signature":   {token: localissuer.Token{BadSignature: true}, shows: []string{"The signature is wrong.", "AADSTS50027", "Open the issuer"}, hides: []string{addFor}},
		"unknown key": {token: localissuer.Token{KeyID: new("x")}, shows: []string{"The issuer does not publish the key that signed the token.", "Open the issuer"}},
		"no expiry":   {token: localissuer.Token{Extra: map[string]any{"exp": nil}}, shows: []string{"The token is not a JWT that can be read.", "1. Read the token Refused", "exp is missing"}},
		"scope":       {scope: "https://management.azure.com/", shows: []string{"The scope does not have the form RESOURCE/.default.", "4. Decide what it is exchanged for Refused", "AADSTS1002012"}},
		"resource":    {scope: "api://nobody/.default", shows: []string{"The tenant does not know the resource.", "AADSTS500011"}},
		"hostile":     {token: localissuer.Token{Subject: new(hostile), Extra: map[string]any{hostile: hostile}}, shows: []string{hostile}, hides: []string{"<script>alert", "<img src=x"}},
	} {
		t.Run(name, func(t *testing.T) {
			change := c.trust
			if change == nil {
				change = func(*credential.Spec) {}
			}
			w := newWorkload(t, change)
			p := w.signIn(w.admin)
			token := w.mint(c.token)
			scope := c.scope
			if scope == "" {
				scope = defaultScope
			}
			a := p.post("/portal/test", "client", w.app.AppID, "token", token, "scope", scope)
			p.shows(a, http.StatusOK, c.shows...)
			p.hides(a, append(c.hides, "Accepted.")...)
			for _, body := range c.body {
				if !strings.Contains(a.body, body) {
					t.Errorf("%q is not in:\n%s", body, a.body)
				}
			}
			w.secret(a, token)
		})
	}
}

// leadsTo is where the link with a text leads.
func (a answer) leadsTo(t *testing.T, text string) string {
	t.Helper()
	before, _, ok := strings.Cut(a.body, ">"+text+"<")
	if !ok {
		t.Fatalf("no link %q in:\n%s", text, a.body)
	}
	before = before[strings.LastIndex(before, `href="`)+len(`href="`):]
	return html.UnescapeString(before[:strings.IndexByte(before, '"')])
}

func TestTokenTestLeadsToTheMending(t *testing.T) {
	w := newWorkload(t, func(s *credential.Spec) { s.Issuer = "https://elsewhere.example/" })
	p := w.signIn(w.admin)
	token := w.mint(localissuer.Token{})
	a := p.post("/portal/test", "client", w.app.AppID, "token", token, "scope", defaultScope)
	p.shows(a, http.StatusOK, "None of the client's credentials names the token's issuer.")
	for link, want := range map[string][]string{
		"Add a credential for this token": {w.issuer.URL(), "Add a credential", credential.DefaultAudience},
		"Open the nearest credential":     {"https://elsewhere.example/"},
		"Register the issuer":             {w.issuer.URL(), "Register an issuer"},
	} {
		to := a.leadsTo(t, link)
		there := p.get(to)
		for _, text := range want {
			if there.status != http.StatusOK || !strings.Contains(there.body, text) {
				t.Errorf("%s: %d at %s, without %q", link, there.status, to, text)
			}
		}
	}
	there := p.get(a.leadsTo(t, "Add a credential for this token"))
	if !strings.Contains(there.body, petsSubject) && (!strings.Contains(there.body, `value="pets"`) || !strings.Contains(there.body, `value="web"`)) {
		t.Errorf("the subject is not filled in:\n%s", there.text())
	}
}

func TestTokenThatIsNone(t *testing.T) {
	w := newWorkload(t)
	p := w.signIn(w.admin)
	long := strings.Repeat("x", 17<<10)
	for _, c := range []struct{ token, says string }{
		{"", "Paste a token."}, {"   ", "Paste a token."}, {"hunter2", "That is no token"}, {long, "That is longer than a token can be: 16 KiB."},
	} {
		a := p.post("/portal/test", "client", w.app.AppID, "token", c.token, "scope", "api://kept/.default")
		p.shows(a, http.StatusUnprocessableEntity, "Nothing was tested.", c.says)
		if !strings.Contains(a.body, "api://kept/.default") {
			t.Error("the scope was lost")
		}
		p.hides(a, "hunter2", long[:100])
	}
	// What looks like a token, and is none, is judged: the page says what is wrong with it.
	secret := "c2VjcmV0LXRoYXQtbm9ib2R5LXNlZXM"
	a := p.post("/portal/test", "client", w.app.AppID, "token", "bm9w.e30."+secret, "scope", defaultScope)
	p.shows(a, http.StatusOK, "The token is not a JWT that can be read.", "1. Read the token Refused")
	p.hides(a, secret)
	if strings.Contains(w.logged.String(), secret) || strings.Contains(w.logged.String(), "hunter2") {
		t.Error("what was pasted is in the log")
	}

	// Not from another site, and not by a URL.
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, w.server.URL+"/portal/test", strings.NewReader("client="+w.app.AppID+"&token=x"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	p.shows(p.do(r), http.StatusForbidden, "did not come from the portal")
	token := w.mint(localissuer.Token{})
	a = p.get(testPath(w.app.AppID) + "&token=" + token)
	p.shows(a, http.StatusOK, "What should be tested")
	p.hides(a, "Accepted", token)
}

func TestTokenTestAsksForTheClientsCredentials(t *testing.T) {
	w := newWorkload(t)
	m := w.identity("pets")
	_, err := w.dir.AddCredential(t.Context(), w.admin, directory.Parent{Identity: &m.IdentityRef}, credential.Spec{Name: "pets", Issuer: w.issuer.URL(), Subject: petsSubject, Audiences: []string{credential.DefaultAudience}})
	w.must(err)
	token := w.mint(localissuer.Token{Namespace: "other", ServiceAccount: "web"})

	// A reader of the subscription may read those of the identity, and not those of the application.
	p := w.signIn(w.reader())
	a := p.get("/portal/test?client=" + w.app.AppID)
	p.shows(a, http.StatusNotFound, "There is no client with the id "+w.app.AppID+" that you may see.")
	p.hides(a, w.app.ID)
	p.shows(p.post("/portal/test", "client", w.app.AppID, "token", token), http.StatusNotFound)
	p.shows(p.get("/portal/test?client="+w.app.AppID+"&credential="+w.trust.ID), http.StatusNotFound)
	a = p.post("/portal/test", "client", m.ClientID, "token", token, "scope", defaultScope)
	p.shows(a, http.StatusOK, "The issuer is trusted, but for other subjects.", "Open the nearest credential")
	p.hides(a, "Add a credential for this token", "Register the issuer")

	// Without any right nothing is there.
	p = w.signIn(w.principal("nobody", "", ""))
	for _, id := range []string{w.app.AppID, m.ClientID, "99999999-9999-4999-8999-999999999999"} {
		p.shows(p.get("/portal/test?client="+id), http.StatusNotFound, "There is no client with the id")
		a := p.post("/portal/test", "client", id, "token", token)
		p.shows(a, http.StatusNotFound, "It is not there")
		p.hides(a, petsSubject, "trusted")
	}
	p.shows(p.get("/portal/test"), http.StatusOK, "There is no application or managed identity that you may see.")

	// Who may change the identity is offered to.
	p = w.signIn(w.principal("keeper", testSub, roles.ManagedIdentityContributor))
	a = p.post("/portal/test", "client", m.ClientID, "token", token, "scope", defaultScope)
	p.shows(a, http.StatusOK, "Add a credential for this token")
	want := "/portal/groups/" + testSubscription + "/rg/identities/pets/credentials/new?" + strings.ReplaceAll(url.Values{
		"issuer": {w.issuer.URL()}, "subject": {"system:serviceaccount:other:web"}, "audience": {credential.DefaultAudience}}.Encode(), "&", "&amp;")
	if !strings.Contains(a.body, want) {
		t.Errorf("no link to %s in\n%s", want, a.body)
	}
}

func TestTokenTestOfAServiceAccount(t *testing.T) {
	w := newWorkload(t)
	ref := directory.ClusterRef{SubscriptionID: testSubscription, Group: "rg", Name: "prod"}
	cluster, _, err := w.dir.PutCluster(t.Context(), w.admin, directory.ClusterSpec{ClusterRef: ref, Location: "local", Issuer: &directory.ClusterIssuerSpec{URL: w.issuer.URL(), Keys: directory.ClusterDiscovery}})
	w.must(err)
	_, err = w.dir.ReportServiceAccounts(t.Context(), w.admin, ref, []directory.ServiceAccount{{Namespace: "pets", Name: "web"}, {Namespace: "shop", Name: "till"}})
	w.must(err)
	p := w.signIn(w.admin)
	at := testPath(w.app.AppID) + "&with=" + byAccount
	p.shows(p.get(at), http.StatusOK, "Namespace", "Service account name", "prod (rg)")

	a := p.get(at + "&cluster=" + url.QueryEscape(cluster.ResourceID()))
	p.shows(a, http.StatusOK, "Its service accounts were reported")
	for _, want := range []string{`<option value="pets">`, `<option value="till">`, w.issuer.URL()} {
		if !strings.Contains(a.body, want) {
			t.Errorf("%q is not offered", want)
		}
	}
	a = p.get(at + "&cluster=" + url.QueryEscape(cluster.ResourceID()) + "&namespace=pets&account=web")
	p.shows(a, http.StatusOK, "A token of this service account would be accepted", "3. Check that it is genuine Not tested", "5. Issue an access token Passed")
	a = p.get(at + "&cluster=" + url.QueryEscape(cluster.ResourceID()) + "&namespace=shop&account=web")
	p.shows(a, http.StatusOK, "Refused. The issuer is trusted, but for other subjects.", "The namespace differs", "Add a credential for this token")
	if discovery, keys := w.issuer.Fetches(); discovery+keys != 0 {
		t.Errorf("the issuer was asked %d times", discovery+keys)
	}

	p.shows(p.get(at+"&namespace=pets"), http.StatusUnprocessableEntity, "Choose a cluster, or write its issuer.", "Needed for a test.")
	p.shows(p.get(at+"&cluster=/nothing&namespace=pets&account=web"), http.StatusUnprocessableEntity, "This cluster is not there, or has no issuer.")
	p.shows(p.get(testPath(w.app.AppID)+"&with=claims&issuer="+url.QueryEscape(w.issuer.URL())+"&subject="+url.QueryEscape(hostile)), http.StatusOK, hostile, "The issuer is trusted, but for other subjects.")

	// From a credential, what it trusts.
	a = p.get(testPath(w.app.AppID) + "&credential=" + w.trust.ID)
	if to := a.header.Get("Location"); a.status != http.StatusSeeOther || !strings.Contains(to, "namespace=pets") {
		t.Fatalf("%d to %q", a.status, to)
	} else {
		p.shows(p.get(to), http.StatusOK, "would be accepted")
	}
}

func TestTokenTestFindsClients(t *testing.T) {
	w := newWorkload(t)
	m := w.identity("petstore")
	w.register(hostile)
	p := w.signIn(w.admin)
	a := p.get("/portal/test?q=PETS&with=service-account&namespace=a%26b")
	p.shows(a, http.StatusOK, "petstore", "Managed identity", m.ClientID, w.app.AppID)
	if !strings.Contains(a.body, "namespace=a%26b") {
		t.Error("what was written is lost on the way to the client")
	}
	a = p.get("/portal/test")
	p.shows(a, http.StatusOK, hostile)
	p.hides(a, "<script>alert")
	p.shows(p.get("/portal/test?q=nothing+like+it"), http.StatusOK, "No application or managed identity that you may see has this in its name.")
	p.sentTo(p.get("/portal/test?q="+w.app.AppID), "/portal/test?client="+w.app.AppID)
	p.sentTo(p.get("/portal/test?client=petstore"), "/portal/test?q=petstore")
}
