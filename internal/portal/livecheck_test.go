package portal

import (
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/issuer"
	"github.com/entente-id/entente/internal/localissuer"
	"github.com/entente-id/entente/internal/roles"
)

// live asks what the server thinks of a form.
func (p *person) live(h held, form ...string) answer {
	p.t.Helper()
	return p.post(liveCheckPath, append(form, h.parts()...)...)
}

func TestLiveCheck(t *testing.T) {
	w := newWorld(t)
	h := w.holders()[0]
	p := w.signIn(w.admin)
	prod := w.addCluster("prod", "https://oidc.example/prod/")
	_, err := w.dir.ReportServiceAccounts(t.Context(), w.admin, prod.ClusterRef, []directory.ServiceAccount{
		{Namespace: "pets", Name: "web", ClientID: h.clientID}, {Namespace: "pets", Name: "worker"}, {Namespace: "shop", Name: "cart", ClientID: testTenant},
	})
	w.must(err)
	_, _, err = w.dir.PutIssuer(t.Context(), w.admin, directory.Issuer{Name: "corp", URL: "https://corp.example/oidc", KeySource: directory.DiscoveredKeys})
	w.must(err)
	there := w.addCredential(h, "there", "https://other.example/", "system:serviceaccount:pets:there")
	const cluster = testSubscription + "/rg/prod"
	for _, c := range []struct {
		name   string
		form   []string
		texts  []string
		markup []string // fixes and the like
	}{
		{"free name", kubernetesForm(), []string{"The name is free."}, nil},
		{"no name", kubernetesForm("name", ""), []string{"A name that says what it trusts: Use pets-web"}, []string{`name="fix" value="name=pets-web"`}},
		{"taken name", kubernetesForm("name", "there"), []string{"There is a credential of this name already."}, []string{`value="name=pets-web"`, h.path + "/" + there.ID}},
		{"name with blanks", kubernetesForm("name", "my pets"), []string{"must consist of letters"}, []string{`value="name=my-pets"`}},
		{"http", kubernetesForm("cluster-issuer", "HTTP://oidc.example/prod/"), []string{"must use https"}, []string{`value="cluster-issuer=https://oidc.example/prod/"`}},
		{"host only", kubernetesForm("cluster-issuer", "oidc.example/prod/"), []string{"must be a URL"}, []string{`value="cluster-issuer=https://oidc.example/prod/"`}},
		{"look-alike issuer", kubernetesForm("cluster-issuer", "https://оidc.example/prod/"), []string{"must be ASCII", "looks like"}, []string{`value="cluster-issuer=https://oidc.example/prod/"`}},
		{"discovery document", kubernetesForm("cluster-issuer", "https://oidc.example/prod/.well-known/openid-configuration"), []string{"address of a discovery document"}, []string{`value="cluster-issuer=https://oidc.example/prod"`}},
		{"registered cluster", kubernetesForm(), []string{"It is the issuer of the registered cluster prod."}, nil},
		{"registered issuer", kubernetesForm("cluster-issuer", "https://corp.example/oidc"), []string{"It is registered here as corp."}, nil},
		{"slash of a cluster", kubernetesForm("cluster-issuer", "https://oidc.example/prod"), []string{"nearly the issuer of the registered cluster prod"}, []string{`value="cluster-issuer=https://oidc.example/prod/"`}},
		{"case of an issuer", kubernetesForm("cluster-issuer", "https://CORP.example/oidc"), []string{"nearly the issuer of the registered issuer corp"}, []string{`value="cluster-issuer=https://corp.example/oidc"`}},
		{"slash of another credential", kubernetesForm("cluster-issuer", "https://other.example"), []string{"nearly the issuer of the credential there"}, []string{`value="cluster-issuer=https://other.example/"`}},
		{"slash of AKS", kubernetesForm("cluster-issuer", "https://westeurope.oic.prod-aks.azure.com/a/b"), []string{"does not end with"}, []string{`value="cluster-issuer=https://westeurope.oic.prod-aks.azure.com/a/b/"`}},
		{"inside only", kubernetesForm("cluster-issuer", "https://kubernetes.default.svc.cluster.local"), []string{"Only a cluster itself knows this name"}, []string{`href="/portal/clusters"`}},
		{"chosen cluster", kubernetesForm("cluster", cluster, "cluster-issuer", ""), []string{"annotated with this application's client id"}, []string{`data-made="cluster-issuer" value="https://oidc.example/prod/"`, `<datalist data-options="namespace"><option value="pets">`, `<datalist data-options="account"><option value="web">`}},
		{"chosen cluster, other issuer", kubernetesForm("cluster", cluster, "cluster-issuer", "https://mine.example/"), []string{"The cluster prod has another issuer."}, []string{`value="cluster-issuer=https://oidc.example/prod/"`}},
		{"cluster of the issuer", kubernetesForm("account", "work"), []string{"there was no pets/work"}, []string{`<datalist data-options="account"><option value="worker">`}},
		{"not annotated", kubernetesForm("cluster", cluster, "account", "worker"), []string{"not annotated with a client id yet"}, nil},
		{"annotated otherwise", kubernetesForm("cluster", cluster, "namespace", "shop", "account", "cart"), []string{"annotated with another client id: " + testTenant}, nil},
		{"not reported", kubernetesForm("cluster", cluster, "account", "work"), []string{"there was no pets/work"}, []string{`value="account=worker"`}},
		{"default", kubernetesForm("account", "default"), []string{"Every pod of the namespace that names no service account"}, nil},
		{"case of the namespace", kubernetesForm("namespace", "Pets"), []string{"Kubernetes has no namespace of this name"}, []string{`value="namespace=pets"`}},
		{"look-alike account", kubernetesForm("account", "wеb"), []string{"Kubernetes has no service account of this name"}, []string{`value="account=web"`}},
		{"namespace in the account", kubernetesForm("account", "pets/web"), []string{"named without its namespace"}, []string{`value="account=web"`}},
		{"the same pair", kubernetesForm("cluster-issuer", "https://other.example/", "account", "there"), []string{"The credential there trusts this issuer and subject already."}, []string{h.path + "/" + there.ID}},
		{"nearly the same pair", kubernetesForm("cluster-issuer", "https://other.example", "account", "there"), []string{"trusts nearly the same"}, nil},
		{"subject by hand in capitals", kubernetesForm("edit-subject", "yes", "subject", "system:serviceaccount:Pets:web"), []string{"Service accounts are in small letters."}, []string{`value="subject=system:serviceaccount:pets:web"`}},
		{"subject by hand with a wildcard", kubernetesForm("edit-subject", "yes", "subject", "system:serviceaccount:pets:*"), []string{"is no wildcard"}, nil},
		{"subject by hand with a look-alike", kubernetesForm("scenario", "other", "other-subject", "wоrker"), []string{"looks like"}, []string{`value="other-subject=worker"`}},
		{"pull-request", kubernetesForm("scenario", "github", "edit-subject", "yes", "subject", "repo:a/b:pull-request"), []string{"with an underscore"}, []string{`value="subject=repo:a/b:pull_request"`}},
		{"environment/", kubernetesForm("scenario", "github", "edit-subject", "yes", "subject", "repo:a/b:environment/x"), []string{"a colon between environment and its name"}, []string{`value="subject=repo:a/b:environment:x"`}},
		{"github pull requests", kubernetesForm("scenario", "github", "entity", "pull_request"), []string{"Every pull request of the repository has this one subject"}, []string{`data-made="subject" value="repo:left/over:pull_request"`}},
		{"github address", kubernetesForm("scenario", "github", "organization", "https://github.com/octo-org", "repository", "octo-org/pets.git"), []string{"GitHub has no organization of this name.", "named without its owner"}, []string{`value="organization=octo-org"`, `value="repository=pets"`}},
		{"github ref", kubernetesForm("scenario", "github", "entity", "branch", "branch", "refs/heads/main"), []string{"is put before it anyway"}, []string{`value="branch=main"`}},
		{"github one id", kubernetesForm("scenario", "github", "organization-id", "x1"), []string{"A subject has both ids or neither.", "The id of an organization is a number."}, nil},
		{"gitlab project", kubernetesForm("scenario", "gitlab", "project", "https://gitlab.com/group/pets.git"), []string{"without an address and slashes"}, []string{`value="project=group/pets"`}},
		{"gitlab ref", kubernetesForm("scenario", "gitlab", "ref", "refs/heads/main"), []string{"without refs/heads/"}, []string{`value="ref=main"`}},
		{"audience", kubernetesForm("edit-audience", "yes", "audience", "mine"), []string{"This is not the usual audience."}, []string{`value="audience=api://AzureADTokenExchange"`}},
		{"nothing at all", nil, nil, []string{`data-made="subject" value=""`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := p.live(h, c.form...)
			a.want(t, http.StatusOK, c.texts...)
			a.wantHTML(t, c.markup...)
			if strings.Contains(a.body, "<main") {
				t.Error("it is a whole page")
			}
		})
	}
	p.live(h, append(kubernetesForm("name", "there"), "of-credential", there.ID)...).wantNot(t, "of this name already")
	w.stranger().live(h, kubernetesForm()...).want(t, http.StatusUnauthorized)
	w.addCluster("twin", "https://oidc.example/prod/") // which of the two is meant, nobody can tell
	p.live(h, kubernetesForm("account", "work")...).wantNot(t, "there was no")
}

// The issuer itself is asked by those who may add credentials, and what it says
// comes with the mend.
func TestAskIssuer(t *testing.T) {
	w := newWorld(t)
	h := w.holders()[0]
	p := w.signIn(w.admin)
	url := w.issuer.URL()
	ask := func(p *person, url string) answer {
		return p.live(h, kubernetesForm("cluster-issuer", url, "ask", "yes")...)
	}
	before, _ := w.issuer.Fetches()
	p.live(h, kubernetesForm("cluster-issuer", url)...).wantHTML(t, "data-pending")
	if now, _ := w.issuer.Fetches(); now != before {
		t.Error("it was asked without being told to")
	}
	ask(p, url).want(t, http.StatusOK, "The issuer answers, under exactly this name, with 1 key.")
	for range 5 {
		ask(p, url).want(t, http.StatusOK, "The issuer answers")
	}
	if now, _ := w.issuer.Fetches(); now != before+1 {
		t.Errorf("it was asked %d times", now-before)
	}
	other := strings.TrimSuffix(url, "/")
	a := ask(p, other)
	if other == url {
		other += "/"
		a = ask(p, other)
	}
	a.want(t, http.StatusOK, "names another issuer")
	a.wantHTML(t, `value="cluster-issuer=`+url+`"`)
	w.clock.Advance(2 * inquiryFresh)
	w.issuer.SetFaults(localissuer.Faults{Status: http.StatusInternalServerError})
	ask(p, url).want(t, http.StatusOK, "This service cannot reach the issuer.", "can be added all the same")
	ask(p, "https://10.1.2.3/").want(t, http.StatusOK, "private address")

	// Whoever asks too often waits, and the form says so.
	for i := range mostPerMinute + 5 {
		w.clock.Advance(mostPerMinuteStep)
		a = ask(p, "https://10.1.2.3/"+strings.Repeat("a", i))
	}
	a.want(t, http.StatusOK, "in a moment")
	a.wantHTML(t, "data-pending")
	p.post(h.path+"/new", kubernetesForm("cluster-issuer", "https://unreachable.example/")...)
	if len(w.credentialsOf(h)) != 1 {
		t.Error("an issuer that cannot be reached kept a credential from being added")
	}
	reader := w.principal("looks on", testSub, roles.Reader)
	w.grant(reader, "Application.Read.All")
	n, _ := w.issuer.Fetches()
	ask(w.signIn(reader), url).want(t, http.StatusForbidden)
	if now, _ := w.issuer.Fetches(); now != n {
		t.Error("a reader made the service ask an issuer")
	}
}

func TestAskIssuerOfOtherKeys(t *testing.T) {
	w := newWorld(t)
	h := w.holders()[1]
	_, _, err := w.dir.PutIssuer(t.Context(), w.admin, directory.Issuer{Name: "local", URL: w.issuer.URL(), KeySource: directory.DiscoveredKeys, Algorithms: []string{"ES384"}})
	w.must(err)
	a := w.signIn(w.admin).live(h, kubernetesForm("cluster-issuer", w.issuer.URL(), "ask", "yes")...)
	a.want(t, http.StatusOK, "registered here as local", "none of its keys fits the algorithms that are accepted of it (ES384)")
	a.wantHTML(t, `href="/portal/issuers"`)
}

func TestInquiries(t *testing.T) {
	now := time.Now()
	var q inquiries
	if !q.begin("a", now) || q.begin("a", now) || !q.begin("b", now) {
		t.Error("a session asks once at a time, and does not keep others from it")
	}
	q.end("a", "https://issuer.example", inquiry{at: now, revision: 3}, true)
	src := issuer.Source{URL: "https://issuer.example", Revision: 3}
	if _, ok := q.known("a", src, now.Add(inquiryFresh-1)); !ok {
		t.Error("an answer was forgotten at once")
	}
	if _, ok := q.known("b", src, now); ok {
		t.Error("one session sees the answer to another")
	}
	if _, ok := q.known("a", src, now.Add(inquiryFresh)); ok {
		t.Error("an answer is kept for too long")
	}
	src.Revision++
	if _, ok := q.known("a", src, now); ok {
		t.Error("an answer counts for another registration")
	}
	q.end("b", "https://issuer.example", inquiry{at: now}, false)
	if _, ok := q.known("b", issuer.Source{URL: "https://issuer.example"}, now); ok {
		t.Error("what nobody waited for was kept")
	}
	for i := range 3 * mostInquirers {
		q.begin(fmt.Sprint(i), now.Add(time.Duration(i)*time.Second))
	}
	if len(q.sessions) > mostInquirers {
		t.Errorf("%d sessions are remembered", len(q.sessions))
	}
}

const mostPerMinuteStep = 201 * 1000 * 1000 // just under five a second

// Without scripts the buttons "Check" and those that mend a field do the same on
// a whole page, and nothing is written.
func TestBladeWithoutScript(t *testing.T) {
	both(t, func(t *testing.T, w *world, h held) {
		p := w.signIn(w.admin)
		w.addCluster("prod", "https://oidc.example/prod/")
		cluster := testSubscription + "/rg/prod"
		a := p.post(h.path+"/new", kubernetesForm("do", "check", "name", "", "cluster", cluster, "cluster-issuer", "", "namespace", "Pets")...)
		a.want(t, http.StatusOK, "Add a credential", "It is the issuer of the registered cluster prod.", "Use pets")
		a.wantHTML(t, `value="https://oidc.example/prod/"`, `value="Pets"`, `<option value="`+cluster+`" selected>`, `value="system:serviceaccount:Pets:web"`)
		a = p.post(h.path+"/new", kubernetesForm("fix", "namespace=pets", "namespace", "Pets", "name", "")...)
		a.want(t, http.StatusOK, "Use pets-web")
		a.wantHTML(t, `value="system:serviceaccount:pets:web"`, `name="fix" value="name=pets-web"`)
		a = p.post(h.path+"/new", kubernetesForm("fix", "name=pets-web", "name", "")...)
		a.wantHTML(t, `name="name" type="text" value="pets-web"`)
		a = p.post(h.path+"/new", kubernetesForm("do", "check", "edit-subject", "yes", "subject", "mine")...)
		a.wantHTML(t, `value="mine" spellcheck`)
		if n := strings.Count(a.body, " readonly"); n != 1 { // the audience
			t.Errorf("%d fields are read-only", n)
		}
		for _, nonsense := range []string{"fix", "=", "nothing=x", "edit-subject=yes", "scenario=<script>"} {
			p.post(h.path+"/new", kubernetesForm("fix", nonsense)...).want(t, http.StatusOK, "Add a credential")
		}
		if all := w.credentialsOf(h); len(all) != 0 {
			t.Errorf("something was written: %+v", all)
		}
		if a := p.post(h.path+"/new", kubernetesForm("cluster", cluster, "cluster-issuer", "")...); a.status != http.StatusSeeOther {
			t.Errorf("add: %d %s", a.status, a.text())
		}
		p.get(h.path+"/new?namespace=shop&account=cart&cluster="+cluster).wantHTML(t, `value="system:serviceaccount:shop:cart"`, `value="https://oidc.example/prod/"`)
	})
}

// Whatever stands in a field, pages show it as text.
func TestHostileCredentials(t *testing.T) {
	payloads := []string{`"><script>alert(1)</script>`, `' onfocus=alert(1) autofocus x='`, `javascript:alert(1)`, `{{.}}</textarea><img src=x onerror=alert(1)>`, `--></title><svg onload=alert(1)>`, "a\u202eb\u200bc"}
	both(t, func(t *testing.T, w *world, h held) {
		p := w.signIn(w.admin)
		var f typed
		for _, payload := range payloads {
			for _, scenario := range scenarios {
				form := []string{"edit-subject", "yes", "edit-audience", "yes", "scenario", scenario.Value}
				for name := range f.lines() {
					if name != "scenario" {
						form = append(form, name, payload)
					}
				}
				for _, a := range []answer{p.post(h.path+"/new", append(form, "do", "check")...), p.post(h.path+"/new", form...), p.live(h, form...)} {
					a.wantSafe(t, payload)
				}
			}
			p.post(h.path+"/new", kubernetesForm("scenario", payload, "entity", payload, "ref-type", payload, "do", payload)...).wantSafe(t, payload)
		}
		for i, payload := range payloads {
			s := credential.Spec{Name: "hostile-" + string(rune('a'+i)), Issuer: "https://issuer.example/", Subject: payload, Audiences: []string{payload}}
			if h.kind == credential.Application {
				s.Description = payload
			}
			added, err := w.dir.AddCredential(t.Context(), w.admin, h.parent, s)
			w.must(err)
			for _, page := range []string{"", "/" + added.ID, "/" + added.ID + "/text", "/" + added.ID + "/delete"} {
				a := p.get(h.path + page)
				a.want(t, http.StatusOK)
				if disguised(payload) == nil || page == "/"+added.ID {
					a.wantHTML(t, template.HTMLEscapeString(payload))
				}
				a.wantSafe(t, payload)
			}
		}
	})
}

func (a answer) wantSafe(t *testing.T, payload string) {
	t.Helper()
	for _, not := range []string{"<script>alert", "<img src=x", "<svg onload", `href="javascript:`, `action="javascript:`, "' onfocus=", `" onfocus=`} {
		if i := strings.Index(a.body, not); i >= 0 {
			t.Fatalf("%q made …%s…", payload, a.body[max(0, i-200):min(len(a.body), i+200)])
		}
	}
}

func TestMendURL(t *testing.T) {
	for in, want := range map[string]string{
		"http://a.example/x": "https://a.example/x", "HTTPS://a.example": "https://a.example", "a.example/x": "https://a.example/x", "https://a.example/?q": "https://a.example/",
		"https://a.example#f": "https://a.example", "http://а.example": "https://a.example", "ftp://a.example": "", "https://": "", "": "", "https://a b": "", "https://a.example/.well-known/openid-configuration": "https://a.example",
	} {
		if got := mendURL(in); got != want {
			t.Errorf("mendURL(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSuggestName(t *testing.T) {
	for _, c := range []struct {
		form  []string
		taken []string
		want  string
	}{
		{kubernetesForm(), nil, "pets-web"},
		{kubernetesForm(), []string{"pets-web", "pets-web-2"}, "pets-web-3"},
		{kubernetesForm("account", "a.b"), nil, "pets-a-b"},
		{kubernetesForm("account", ""), nil, ""},
		{kubernetesForm("scenario", "github"), nil, "over-main"},
		{kubernetesForm("scenario", "github", "entity", "pull_request"), nil, "over-pull-requests"},
		{kubernetesForm("scenario", "gitlab"), nil, "over-main"},
		{kubernetesForm("scenario", "other", "other-subject", "…"), nil, ""},
		{kubernetesForm("scenario", "other", "other-subject", "system:serviceaccount:pets:w\u0435b"), nil, "pets-web"},
		{kubernetesForm("scenario", "other", "other-subject", "a"), nil, "a-workload"},
		{kubernetesForm("scenario", "other", "other-subject", strings.Repeat("ab/", 200)), nil, strings.Repeat("ab-", 33) + "a"},
	} {
		form := map[string]string{}
		for i := 0; i < len(c.form); i += 2 {
			form[c.form[i]] = c.form[i+1]
		}
		f := readTyped(func(name string) string { return form[name] })
		got := f.suggestName(func(name string) bool { return slices.Contains(c.taken, name) })
		if got != c.want {
			t.Errorf("%v: %q, want %q", c.form, got, c.want)
		}
		if got != "" && credential.ValidateName(got, credential.ManagedIdentity) != nil {
			t.Errorf("%q is no name", got)
		}
	}
}
