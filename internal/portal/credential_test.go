package portal

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/signin"
)

// held is an application or managed identity, whose pages of credentials must
// be the same.
type held struct {
	kind     credential.ParentKind
	name     string
	clientID string
	parent   directory.Parent
	path     string
}

// holders makes one of each kind, "pets".
func (w *world) holders() []held {
	w.t.Helper()
	app, err := w.dir.CreateApplication(w.t.Context(), w.admin, directory.Application{DisplayName: "pets"})
	w.must(err)
	ref := directory.IdentityRef{SubscriptionID: testSubscription, Group: "rg", Name: "pets"}
	m, _, err := w.dir.PutIdentity(w.t.Context(), w.admin, directory.Identity{IdentityRef: ref, Location: "local"})
	w.must(err)
	return []held{
		{credential.Application, "pets", app.AppID, directory.Parent{Application: &directory.Ref{ID: app.ID}}, "/portal/applications/" + app.ID + "/credentials"},
		{credential.ManagedIdentity, "pets", m.ClientID, directory.Parent{Identity: &ref}, "/portal/groups/" + testSubscription + "/rg/identities/pets/credentials"},
	}
}

// both runs a test for each kind of holder, in a world of its own.
func both(t *testing.T, test func(*testing.T, *world, held)) {
	for i, kind := range []credential.ParentKind{credential.Application, credential.ManagedIdentity} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t)
			test(t, w, w.holders()[i])
		})
	}
}

func (w *world) addCredential(h held, name, issuer, subject string, audience ...string) directory.Credential {
	w.t.Helper()
	if len(audience) == 0 {
		audience = []string{credential.DefaultAudience}
	}
	f, err := w.dir.AddCredential(w.t.Context(), w.admin, h.parent, credential.Spec{Name: name, Issuer: issuer, Subject: subject, Audiences: audience})
	w.must(err)
	return f
}

func (w *world) credentialsOf(h held) []directory.Credential {
	w.t.Helper()
	found, err := w.dir.Credentials(w.t.Context(), w.admin, h.parent, directory.Page{})
	w.must(err)
	return found.Items
}

// addCluster registers a cluster whose issuer is found by discovery.
func (w *world) addCluster(name, issuer string) directory.Cluster {
	w.t.Helper()
	k, _, err := w.dir.PutCluster(w.t.Context(), w.admin, directory.ClusterSpec{
		ClusterRef: directory.ClusterRef{SubscriptionID: testSubscription, Group: "rg", Name: name}, Location: "local", Issuer: &directory.ClusterIssuerSpec{URL: issuer, Keys: directory.ClusterDiscovery},
	})
	w.must(err)
	return k
}

func (a answer) want(t *testing.T, status int, texts ...string) {
	t.Helper()
	text := a.text()
	if a.status != status {
		t.Errorf("status %d, want %d: %s", a.status, status, text)
	}
	for _, want := range texts {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
}

func (a answer) wantNot(t *testing.T, texts ...string) {
	t.Helper()
	text := a.text()
	for _, not := range texts {
		if strings.Contains(text, not) {
			t.Errorf("%q in %s", not, text)
		}
	}
}

// wantHTML looks for markup.
func (a answer) wantHTML(t *testing.T, texts ...string) {
	t.Helper()
	for _, want := range texts {
		if !strings.Contains(a.body, want) {
			t.Errorf("no %s in %s", want, a.body)
		}
	}
}

// kubernetes is the form of a service account, as browsers send it: with the
// fields of the other scenarios, which are hidden.
func kubernetesForm(more ...string) []string {
	form := map[string]string{
		"scenario": "kubernetes", "cluster": "", "cluster-issuer": "https://oidc.example/prod/", "namespace": "pets", "account": "web",
		"organization": "left", "repository": "over", "entity": "branch", "branch": "main", "gitlab": gitLabIssuer, "project": "left/over", "ref": "main",
		"issuer": "https://left.example", "other-subject": "over", "subject": "", "name": "web", "description": "", "audience": credential.DefaultAudience,
	}
	for i := 0; i < len(more); i += 2 {
		form[more[i]] = more[i+1]
	}
	var pairs []string
	for name, value := range form {
		pairs = append(pairs, name, value)
	}
	return pairs
}

func TestCredentialList(t *testing.T) {
	both(t, func(t *testing.T, w *world, h held) {
		p := w.signIn(w.admin)
		p.get(h.path).want(t, http.StatusOK, "There is no federated credential yet", "Add credential", "0 of 20 used")

		w.addCluster("prod", "https://oidc.example/prod/")
		web := w.addCredential(h, "web", "https://oidc.example/prod/", "system:serviceaccount:pets:web")
		w.addCredential(h, "github", gitHubIssuer, "repo:octo-org/pets:environment:prod", "my-audience")
		w.records.Record(signin.Record{TenantID: testTenant, CredentialID: web.ID, ClientID: h.clientID, At: w.clock.Now().Add(-2 * time.Hour), Subject: web.Subject, Address: "198.51.100.7", Resource: "https://vault.azure.net"})
		w.must(w.records.Flush(t.Context()))

		a := p.get(h.path)
		title := "Federated credentials"
		if h.kind == credential.Application {
			title = "Certificates & secrets"
		}
		a.want(t, http.StatusOK, title, "2 of 20 used", "prod https://oidc.example/prod/", "pets/web system:serviceaccount:pets:web", "2 hours ago", "never", "Audience my-audience", "Delete")
		a.wantHTML(t, `href="/portal/clusters/`+testSubscription+`/rg/prod"`, `href="`+h.path+"/"+web.ID+`"`, `aria-label="Delete web"`)
		p.get(h.path+"?q=octo").want(t, http.StatusOK, "github", "2 of 20 used")
		p.get(h.path+"?q=octo").wantNot(t, "pets/web")
		p.get(h.path+"?q=nothing").want(t, http.StatusOK, "No credential matches.")

		p.get(h.path+"/"+web.ID+"/delete").want(t, http.StatusOK, "Delete web?", "2 hours ago", "from 198.51.100.7 for https://vault.azure.net")
		if a := p.post(h.path + "/" + web.ID + "/delete"); a.status != http.StatusSeeOther {
			t.Fatalf("delete: %d %s", a.status, a.text())
		}
		p.get(h.path+"?done=deleted").want(t, http.StatusOK, "The credential was deleted.", "1 of 20 used")
	})
}

func TestCredentialsOfReaders(t *testing.T) {
	both(t, func(t *testing.T, w *world, h held) {
		web := w.addCredential(h, "web", "https://oidc.example/prod/", "system:serviceaccount:pets:web")
		reader := w.reader()
		if h.kind == credential.Application {
			w.grant(reader, "Application.Read.All")
		}
		p := w.signIn(reader)
		a := p.get(h.path)
		a.want(t, http.StatusOK, "pets/web", "1 of 20 used")
		a.wantNot(t, "Add credential", "Delete")
		a = p.get(h.path + "/" + web.ID)
		a.want(t, http.StatusOK, "What it trusts", "system:serviceaccount:pets:web", "az ")
		a.wantNot(t, "Update", "Delete", "Details")
		for _, page := range []string{"/new", "/" + web.ID + "/delete"} {
			p.get(h.path+page).want(t, http.StatusForbidden, "You may not do this")
		}
		for path, form := range map[string][]string{
			h.path + "/new":                   kubernetesForm("name", "forged"),
			h.path + "/" + web.ID:             kubernetesForm("namespace", "other"),
			h.path + "/" + web.ID + "/delete": nil,
			liveCheckPath:                     append(kubernetesForm("ask", "yes"), h.parts()...),
		} {
			p.post(path, form...).want(t, http.StatusForbidden)
		}
		if all := w.credentialsOf(h); len(all) != 1 || all[0].Subject != web.Subject {
			t.Errorf("a reader changed something: %+v", all)
		}
	})
}

// parts name the holder for the live check.
func (h held) parts() []string {
	if h.parent.Identity != nil {
		return []string{"of-sub", testSubscription, "of-group", "rg", "of-name", h.name}
	}
	return []string{"of-id", h.parent.Application.ID}
}

func TestAddCredential(t *testing.T) {
	scenarios := []struct {
		name string
		form []string
		want credential.Spec
	}{
		{"kubernetes", kubernetesForm(), credential.Spec{Issuer: "https://oidc.example/prod/", Subject: "system:serviceaccount:pets:web"}},
		{"kubernetes edited", kubernetesForm("edit-subject", "yes", "subject", "by hand"), credential.Spec{Issuer: "https://oidc.example/prod/", Subject: "by hand"}},
		{"what the form says of the subject", kubernetesForm("subject", "ignored"), credential.Spec{Issuer: "https://oidc.example/prod/", Subject: "system:serviceaccount:pets:web"}},
		{"audience", kubernetesForm("edit-audience", "yes", "audience", "mine"), credential.Spec{Issuer: "https://oidc.example/prod/", Subject: "system:serviceaccount:pets:web", Audiences: []string{"mine"}}},
		{"audience not edited", kubernetesForm("audience", "ignored"), credential.Spec{Issuer: "https://oidc.example/prod/", Subject: "system:serviceaccount:pets:web"}},
		{"github environment", kubernetesForm("scenario", "github", "organization", "octo-org", "repository", "pets", "entity", "environment", "environment", "a:b"), credential.Spec{Issuer: gitHubIssuer, Subject: "repo:octo-org/pets:environment:a%3Ab"}},
		{"github branch", kubernetesForm("scenario", "github", "organization", "octo-org", "repository", "pets", "entity", "branch", "branch", "main"), credential.Spec{Issuer: gitHubIssuer, Subject: "repo:octo-org/pets:ref:refs/heads/main"}},
		{"github tag", kubernetesForm("scenario", "github", "organization", "octo-org", "repository", "pets", "entity", "tag", "tag", "v1"), credential.Spec{Issuer: gitHubIssuer, Subject: "repo:octo-org/pets:ref:refs/tags/v1"}},
		{"github pull request", kubernetesForm("scenario", "github", "organization", "octo-org", "repository", "pets", "entity", "pull_request"), credential.Spec{Issuer: gitHubIssuer, Subject: "repo:octo-org/pets:pull_request"}},
		{"github ids", kubernetesForm("scenario", "github", "organization", "octo-org", "organization-id", "12", "repository", "pets", "repository-id", "34", "entity", "branch", "branch", "main"), credential.Spec{Issuer: gitHubIssuer, Subject: "repo:octo-org@12/pets@34:ref:refs/heads/main"}},
		{"gitlab", kubernetesForm("scenario", "gitlab", "project", "group/sub/pets", "ref-type", "tag", "ref", "v1"), credential.Spec{Issuer: gitLabIssuer, Subject: "project_path:group/sub/pets:ref_type:tag:ref:v1"}},
		{"other", kubernetesForm("scenario", "other", "issuer", "https://issuer.example", "other-subject", "me", "edit-subject", "yes", "subject", "not this"), credential.Spec{Issuer: "https://issuer.example", Subject: "me"}},
	}
	both(t, func(t *testing.T, w *world, h held) {
		p := w.signIn(w.admin)
		p.get(h.path+"/new").want(t, http.StatusOK, "Add a credential", "Federated credential scenario", "Kubernetes accessing Azure resources", "GitHub Actions deploying Azure resources",
			"GitLab CI/CD deploying Azure resources", "Other issuer", "Connect your Kubernetes service account", "Cluster issuer URL", "Namespace", "Service account name", "Subject identifier",
			"Credential details", "Name", "Audience", "Edit (optional)", "Add", "Check")
		for _, s := range scenarios {
			t.Run(s.name, func(t *testing.T) {
				a := p.post(h.path+"/new", s.form...)
				if a.status != http.StatusSeeOther {
					t.Fatalf("%d %s", a.status, a.text())
				}
				all := w.credentialsOf(h)
				if len(all) != 1 {
					t.Fatalf("there are %d credentials", len(all))
				}
				got := all[0]
				if s.want.Audiences == nil {
					s.want.Audiences = []string{credential.DefaultAudience}
				}
				if got.Name != "web" || got.Issuer != s.want.Issuer || got.Subject != s.want.Subject || !slices.Equal(got.Audiences, s.want.Audiences) {
					t.Errorf("got %+v, want %+v", got.Spec, s.want)
				}
				p.get(a.header.Get("Location")).want(t, http.StatusOK, "The credential was added.", s.want.Subject, "Azure CLI", "Manifest", "Terraform", "Test a token")
				w.must(w.dir.RemoveCredential(t.Context(), w.admin, h.parent, got.ID))
			})
		}
	})
}

func TestCredentialRefused(t *testing.T) {
	both(t, func(t *testing.T, w *world, h held) {
		p := w.signIn(w.admin)
		web := w.addCredential(h, "web", "https://oidc.example/prod/", "system:serviceaccount:pets:web")
		for _, c := range []struct {
			name   string
			form   []string
			status int
			texts  []string
			markup []string
		}{
			{"nothing", []string{"scenario", "kubernetes"}, http.StatusUnprocessableEntity, []string{"Give the cluster's issuer URL.", "Give the namespace.", "Give the service account's name.", "Give the credential a name."}, []string{`id="namespace-error"`, `aria-invalid="true"`}},
			{"name", kubernetesForm("name", "a b"), http.StatusUnprocessableEntity, []string{"must consist of letters"}, []string{`id="name-error"`, `value="a b"`, `name="fix" value="name=a-b"`}},
			{"issuer", kubernetesForm("name", "xyz", "cluster-issuer", "http://oidc.example/"), http.StatusUnprocessableEntity, []string{"must use https"}, []string{`id="cluster-issuer-error"`, `name="fix" value="cluster-issuer=https://oidc.example/"`}},
			{"two things", kubernetesForm("name", "a b", "cluster-issuer", "http://oidc.example/"), http.StatusUnprocessableEntity, []string{"must consist of letters", "must use https"}, []string{`id="cluster-issuer-error"`, `id="name-error"`}},
			{"long issuer", kubernetesForm("name", "xyz", "cluster-issuer", "https://"+strings.Repeat("a", 600)), http.StatusUnprocessableEntity, []string{"at most 600 characters"}, []string{`id="cluster-issuer-error"`}},
			{"query", kubernetesForm("name", "xyz", "cluster-issuer", "https://oidc.example/?a=b"), http.StatusUnprocessableEntity, []string{"must not have a query"}, []string{`name="fix" value="cluster-issuer=https://oidc.example/"`}},
			{"subject", kubernetesForm("name", "xyz", "edit-subject", "yes", "subject", ""), http.StatusUnprocessableEntity, []string{"Give the subject identifier"}, []string{`id="subject-error"`}},
			{"control character", kubernetesForm("name", "xyz", "edit-subject", "yes", "subject", "a\x01b"), http.StatusUnprocessableEntity, []string{"must not hold control characters"}, []string{`id="subject-error"`}},
			{"audience", kubernetesForm("name", "xyz", "edit-audience", "yes", "audience", ""), http.StatusUnprocessableEntity, []string{"Give the audience"}, []string{`id="audience-error"`}},
			{"same name", kubernetesForm("namespace", "other"), http.StatusConflict, []string{"There is a credential of this name already."}, []string{`id="name-error"`, `href="` + h.path + "/" + web.ID + `"`, `value="other"`}},
			{"same pair", kubernetesForm("name", "xyz"), http.StatusConflict, []string{"trusts this issuer and subject already"}, []string{`id="subject-error"`, `href="` + h.path + "/" + web.ID + `"`}},
		} {
			t.Run(c.name, func(t *testing.T) {
				a := p.post(h.path+"/new", c.form...)
				a.want(t, c.status, c.texts...)
				a.wantHTML(t, append(c.markup, `role="alert"`)...)
			})
		}
		for i := len(w.credentialsOf(h)); i < credential.DefaultLimit; i++ {
			w.addCredential(h, fmt.Sprintf("more-%d", i), "https://oidc.example/prod/", fmt.Sprintf("system:serviceaccount:pets:more-%d", i))
		}
		p.post(h.path+"/new", kubernetesForm("name", "xyz", "account", "x")...).want(t, http.StatusConflict, "All 20 credentials are used.")
		a := p.get(h.path)
		a.want(t, http.StatusOK, "20 of 20 used", "Delete one that is never used")
		a.wantNot(t, "Add credential")
		p.get(h.path+"/new").want(t, http.StatusOK, "All 20 credentials are used")
	})
}

// Seed 2: what az made is open in the portal, in its own scenario.
func TestUpdateCredential(t *testing.T) {
	both(t, func(t *testing.T, w *world, h held) {
		p := w.signIn(w.admin)
		aks := "https://australiaeast.oic.prod-aks.azure.com/00000000-0000-0000-0000-000000000000/00000000-0000-0000-0000-000000000000/"
		f := w.addCredential(h, "made-by-az", aks, "system:serviceaccount:pets:ai-service")
		at := h.path + "/" + f.ID
		a := p.get(at)
		a.want(t, http.StatusOK, "made-by-az", "Update", "Delete", "Cluster issuer URL", "Namespace", "Service account name", "Subject identifier", "Audience")
		a.wantHTML(t, `<option value="kubernetes" selected>`, `value="`+aks+`"`, `name="namespace" type="text" value="pets"`, `name="account" type="text" value="ai-service"`,
			`name="subject" type="text" value="system:serviceaccount:pets:ai-service"`)
		if n := strings.Count(a.body, " readonly"); n != 3 { // subject, name, audience
			t.Errorf("%d fields are read-only", n)
		}
		a = p.post(at, kubernetesForm("cluster-issuer", aks, "account", "other", "name", "renamed")...)
		if a.status != http.StatusSeeOther {
			t.Fatalf("update: %d %s", a.status, a.text())
		}
		p.get(a.header.Get("Location")).want(t, http.StatusOK, "The credential was changed.")
		if all := w.credentialsOf(h); len(all) != 1 || all[0].Subject != "system:serviceaccount:pets:other" || all[0].Name != "made-by-az" {
			t.Errorf("after the update: %+v", all)
		}
		p.post(at, kubernetesForm("cluster-issuer", "http://x", "namespace", "kept")...).want(t, http.StatusUnprocessableEntity, "must use https")
		p.get(h.path+"/11111111-2222-4333-8444-555555555555").want(t, http.StatusNotFound)
	})
}

func TestRecognise(t *testing.T) {
	for _, c := range []struct{ issuer, subject, scenario string }{
		{"https://oidc.example/", "system:serviceaccount:pets:web", kubernetesScenario},
		{"https://oidc.example/", "system:serviceaccount:pets", otherScenario},
		{"https://oidc.example/", "system:serviceaccount:Pets:web", otherScenario},
		{gitHubIssuer, "repo:octo-org/pets:environment:prod", gitHubScenario},
		{gitHubIssuer, "repo:octo-org/pets:environment:a%3Ab", gitHubScenario},
		{gitHubIssuer, "repo:octo-org/pets:ref:refs/heads/feature/x", gitHubScenario},
		{gitHubIssuer, "repo:octo-org@1/pets@2:pull_request", gitHubScenario},
		{gitHubIssuer, "repo:octo-org/pets:ref:refs/tags/v1", gitHubScenario},
		{gitHubIssuer, "repo:octo-org/pets:pull-request", otherScenario},
		{gitHubIssuer, "repo:octo-org/pets:environment:", otherScenario},
		{gitHubIssuer, "repo:octo-org/pets:job_workflow_ref:x", otherScenario},
		{"https://ghe.example/_services/token", "repo:octo-org/pets:pull_request", otherScenario},
		{gitLabIssuer, "project_path:group/pets:ref_type:branch:ref:main", gitLabScenario},
		{"https://gitlab.example", "project_path:group/sub/pets:ref_type:tag:ref:v1:2", gitLabScenario},
		{gitLabIssuer, "project_path:pets:ref_type:branch:ref:main", otherScenario},
	} {
		s := credential.Spec{Name: "n", Issuer: c.issuer, Subject: c.subject, Audiences: []string{"mine"}, Description: "d"}
		f := recognise(s)
		if f.Scenario != c.scenario {
			t.Errorf("%s %s: %s, want %s", c.issuer, c.subject, f.Scenario, c.scenario)
		}
		if back := f.spec(credential.Application); back.Issuer != s.Issuer || back.Subject != s.Subject || back.Audiences[0] != "mine" || back.Description != "d" || back.Name != "n" {
			t.Errorf("%s %s comes back as %+v", c.issuer, c.subject, back)
		}
	}
}
