package portal

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/testkit/browser"
)

const kubernetesScenario = "Kubernetes accessing Azure resources"

// blade does steps 4 to 11 of both procedures, from the page with the tab on.
// What one calls a service account differs between the two.
func blade(b *browser.Browser, issuer string) {
	// 4. In the Federated credentials tab, select Add credential. The Add a credential blade opens.
	b.Click("Add credential")
	b.Await("heading", "Add a credential")
	// 5. In the Federated credential scenario drop-down box select Kubernetes accessing Azure resources.
	b.Select("Federated credential scenario", kubernetesScenario)
	// 6. Specify the Cluster issuer URL.
	b.Type("Cluster issuer URL", issuer)
	// 7. Specify the Namespace.
	b.Type("Namespace", "pets")
	// 8. Specify the Service account name.
	b.Type("Service account name", "workload-identity-sa")
	// 9. The Subject identifier field auto-populates based on the values you entered.
	b.SeeValue("Subject identifier", subject)
	// 10. Add a Name for the federated credential.
	b.Type("Name", "kubernetes-federated-identity")
	// 11. Click Add to configure the federated credential.
	b.Click("Add")
	b.See("kubernetes-federated-identity")
}

// Federated identity credential for an application, steps 1 to 11.
func testApplication(t *testing.T, w *town) {
	// 1. Sign in to the portal.
	b := w.open(t)
	// 2. Go to App registrations and open the app you want to configure.
	b.Click("App registrations")
	b.Click("my-app")
	// 3. Go to Certificates and secrets.
	b.Click("Certificates & secrets")
	b.Click("Federated credentials")
	blade(b, w.issuer.URL())

	want := map[string]client.FederatedCredential{"kubernetes-federated-identity": {
		Name: "kubernetes-federated-identity", Issuer: w.issuer.URL(), Subject: subject, Audiences: []string{audience},
	}}
	if diff := cmp.Diff(want, w.credentials(t, w.app)); diff != "" {
		t.Errorf("the credentials (-want +got):\n%s", diff)
	}
	w.works(t, w.app.AppID, "pets", "workload-identity-sa")

	// The same, to copy.
	for _, text := range []string{"az ad app federated-credential create", "entente", "azuread_application_federated_identity_credential"} {
		b.See(text)
	}
	b.Click("Certificates & secrets")
	b.See("kubernetes-federated-identity", subject, "1 of 20")
}

// Federated identity credential for a user-assigned managed identity, steps 1 to 11.
func testIdentity(t *testing.T, w *town) {
	// 1. Sign in to the portal.
	b := w.open(t)
	// 2. Go to resource group and open the user-assigned managed identity you want to configure.
	b.Click("Resource groups")
	b.Click("my-rg")
	b.Click("my-identity")
	// 3. Go to Federated credentials.
	b.Within("navigation", "Overview").Click("Settings")
	b.Click("Federated credentials")
	blade(b, w.issuer.URL())

	got, err := w.admin.IdentityCredential(t.Context(), w.identityID("my-identity"), "kubernetes-federated-identity")
	if err != nil {
		t.Fatal(err)
	}
	got.ID = ""
	want := client.FederatedCredential{Name: "kubernetes-federated-identity", Issuer: w.issuer.URL(), Subject: subject, Audiences: []string{audience}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the credential (-want +got):\n%s", diff)
	}
	w.works(t, w.identity.ClientID, "pets", "workload-identity-sa")
	for _, text := range []string{"az identity federated-credential create", "entente", "azurerm_federated_identity_credential"} {
		b.See(text)
	}
}

// A look at a credential that an identity has.
func testLook(t *testing.T, w *town) {
	w.managedIdentity(t, "looked-at")
	f := client.FederatedCredential{Name: "my-credential", Issuer: shownIssuer, Subject: "system:serviceaccount:pets:ai-service-account", Audiences: []string{audience}}
	if _, _, err := w.admin.PutIdentityCredential(t.Context(), w.identityID("looked-at"), f); err != nil {
		t.Fatal(err)
	}
	b := w.open(t)
	b.Click("Managed identities")
	b.Click("looked-at")
	// Click on Settings and Federated credentials. We will look at one I set up earlier.
	b.Within("navigation", "Overview").Click("Settings")
	b.Click("Federated credentials")
	b.Click("my-credential")
	// Cluster issuer URL, Namespace, Service Account, Subject identifier; under the credential details, Name and Audience.
	for _, k := range [][2]string{
		{"Cluster issuer URL", shownIssuer},
		{"Namespace", "pets"},
		{"Service account name", "ai-service-account"},
		{"Subject identifier", "system:serviceaccount:pets:ai-service-account"},
		{"Name", "my-credential"},
		{"Audience", audience},
	} {
		b.SeeValue(k[0], k[1])
	}
	b.See("Credential details", "never")
	if slices.Contains(b.Names("textbox"), "Name") && b.Editable("Name") {
		t.Error("the name can be edited")
	}
}

func testEditAndDelete(t *testing.T, w *town) {
	app := w.application(t, "edited")
	w.trust(t, app, client.FederatedCredential{Name: "first", Issuer: w.issuer.URL(), Subject: "system:serviceaccount:pets:nobody"})
	w.trust(t, app, client.FederatedCredential{Name: "second", Issuer: w.issuer.URL(), Subject: "system:serviceaccount:pets:somebody"})
	b := w.open(t)
	b.Go("/portal/applications/" + app.ID + "/credentials")
	b.See("2 of 20")
	b.Click("first")
	b.Fill("Service account name", "workload-identity-sa")
	b.SeeValue("Subject identifier", subject)
	b.Fill("Description", "Cats & <dogs>")
	b.Click("Update")
	b.See("first")
	got := w.credentials(t, app)["first"]
	if got.Subject != subject || got.Description != "Cats & <dogs>" {
		t.Errorf("after the change: %+v", got)
	}
	w.works(t, app.AppID, "pets", "workload-identity-sa")

	b.Go("/portal/applications/" + app.ID + "/credentials")
	b.Click("Delete second")
	b.See("second")
	if len(w.credentials(t, app)) != 2 {
		t.Error("it is gone without a confirmation")
	}
	b.Click("Delete credential")
	b.See("1 of 20")
	if left := w.credentials(t, app); len(left) != 1 || left["first"].Name == "" {
		t.Errorf("what is left: %v", left)
	}
}

// Without scripts the fields are the same; what would fill itself in is filled
// in by the answer.
func testWithoutJavaScript(t *testing.T, w *town) {
	app := w.application(t, "plain")
	b := browser.Open(t, w.site)
	b.JavaScript(false)
	w.signIn(t, b)
	b.Click("App registrations")
	b.Fill("Search by part of a name, or by a client or object ID", "plain")
	b.Click("Search")
	b.Click("plain")
	b.Click("Certificates & secrets")
	b.Click("Federated credentials")
	b.Click("Add credential")
	b.Select("Federated credential scenario", kubernetesScenario)
	b.Fill("Cluster issuer URL", w.issuer.URL())
	b.Fill("Namespace", "pets")
	b.Fill("Service account name", "workload-identity-sa")
	b.Fill("Name", "plain")
	b.Click("Add")
	b.See("plain", subject)
	if got := w.credentials(t, app)["plain"].Subject; got != subject {
		t.Fatalf("the subject is %q", got)
	}
	w.works(t, app.AppID, "pets", "workload-identity-sa")
	b.Click("Sign out")
	b.See("Sign in")
}

// Everything, with a keyboard and eyes that look for the focus.
func testKeyboard(t *testing.T, w *town) {
	app := w.application(t, "by keyboard")
	b := browser.Open(t, w.site)
	link, err := url.Parse(w.link(t))
	if err != nil {
		t.Fatal(err)
	}
	b.Go(link.RequestURI())
	b.TabTo("button", "Sign in")
	b.Press("Enter")
	b.AtURL("/portal")
	b.See("Sign out")

	b.Press("Tab")
	if role, name := b.Focused(); role != "link" || !strings.HasPrefix(name, "Skip") {
		t.Errorf("the first stop is %s %q, and not the link to the content", role, name)
	}
	b.TabTo("link", "App registrations")
	b.Press("Enter")
	b.AtURL("/portal/applications")
	b.TabTo("searchbox", "Search by part of a name, or by a client or object ID")
	b.Write("by key")
	b.Press("Enter")
	b.AtURL("/portal/applications?q=by")
	b.TabTo("link", "by keyboard")
	b.Press("Enter")
	b.TabTo("link", "Certificates & secrets")
	b.Press("Enter")
	b.AtURL("/portal/applications/" + app.ID + "/credentials")
	b.TabTo("link", "Add credential")
	b.Press("Enter")
	b.Await("heading", "Add a credential")
	b.TabTo("combobox", "Federated credential scenario")
	b.Write("Kubernetes")
	b.SeeValue("Federated credential scenario", kubernetesScenario)
	for _, k := range [][2]string{{"Cluster issuer URL", w.issuer.URL()}, {"Namespace", "pets"}, {"Service account name", "workload-identity-sa"}, {"Name", "typed"}} {
		b.TabToField(k[0])
		b.Write(k[1])
	}
	b.SeeValue("Subject identifier", subject)
	b.TabTo("button", "Add")
	b.Press("Space")
	b.See("typed")
	w.works(t, app.AppID, "pets", "workload-identity-sa")
}

// A link works once, and only when somebody says so; a session ends.
func testLinks(t *testing.T, w *town) {
	link, err := url.Parse(w.link(t))
	if err != nil {
		t.Fatal(err)
	}
	// A preview, as chats and mails make them.
	for _, method := range []string{"GET", "HEAD"} {
		req, err := http.NewRequestWithContext(t.Context(), method, link.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := w.HTTP.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if len(res.Cookies()) != 0 {
			t.Errorf("%s sets %v", method, res.Cookies())
		}
	}
	b := browser.Open(t, w.site)
	b.Go(link.RequestURI())
	b.Click("Sign in")
	b.AtURL("/portal")
	b.See("Sign out")

	second := browser.Open(t, w.site)
	second.Expect(browser.Console, "404")
	second.Go(link.RequestURI())
	second.See("This link does not work any more", "entente portal-link")
	second.NotSee("Sign out")

	var cookies string
	b.Eval(`document.cookie`, &cookies)
	if cookies != "" {
		t.Errorf("scripts can read the cookies %q", cookies)
	}
	b.Click("Sign out")
	b.See("Sign in")
	b.Expect(browser.Console, "401")
	b.Go("/portal/applications")
	b.NotSee("my-app")
	b.See("Sign in")
	b.Back()
	b.NotSee("my-app")
	if log := w.Log(); strings.Contains(log, link.Query().Get("token")) {
		t.Error("the log has the link's token")
	}
}

// Whoever may only look is offered nothing else, and refused if they try.
func testReader(t *testing.T, w *town) {
	w.managedIdentity(t, "read-only")
	f := client.FederatedCredential{Name: "seen", Issuer: w.issuer.URL(), Subject: subject, Audiences: []string{audience}}
	if _, _, err := w.admin.PutIdentityCredential(t.Context(), w.identityID("read-only"), f); err != nil {
		t.Fatal(err)
	}
	b := w.open(t, w.somebody(t, "a reader", "Reader")...)
	b.Click("Resource groups")
	b.Click("my-rg")
	b.Click("read-only")
	b.Within("navigation", "Overview").Click("Settings")
	b.Click("Federated credentials")
	b.See("seen", subject)
	if b.Has("link", "Add credential") || b.Has("button", "Add credential") || b.Has("link", "Delete") || b.Has("button", "Delete") {
		t.Error("a reader is offered to add or delete")
	}
	b.Expect(browser.Console, "403")
	b.Go(w.identityPath("read-only") + "/credentials/new")
	if status := b.Status(); status != 403 {
		t.Errorf("the page to add one: %d, want 403", status)
	}
}

func (w *town) identityPath(name string) string {
	return "/portal/groups/" + w.SubscriptionID + "/" + w.group.Name + "/identities/" + name
}
