package portal

import (
	"strings"
	"testing"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/testkit/browser"
)

// What the blade does for people: a cluster's issuer fills in, mistakes are told
// while one types, with the mend a click away.
func testHelp(t *testing.T, w *town) {
	app := w.application(t, "helped")
	w.trust(t, app, client.FederatedCredential{Name: "taken", Issuer: w.issuer.URL(), Subject: "system:serviceaccount:pets:taken"})
	b := w.open(t)
	b.Go("/portal/applications/" + app.ID + "/credentials/new")
	b.Select("Federated credential scenario", kubernetesScenario)
	b.Select("Cluster", "my-cluster (my-rg)")
	b.SeeValue("Cluster issuer URL", w.issuer.URL())
	b.See("answers, under exactly this name")

	// A slash that is missing.
	b.Fill("Cluster issuer URL", strings.TrimSuffix(w.issuer.URL(), "/"))
	b.ClickFirst("Use " + w.issuer.URL())
	b.SeeValue("Cluster issuer URL", w.issuer.URL())
	b.See("answers, under exactly this name")

	// A name and a pair that are taken.
	b.Fill("Namespace", "pets")
	b.Type("Service account name", "taken")
	b.Type("Name", "taken")
	b.See("taken", "already")
	b.Fill("Service account name", "workload-identity-sa")
	b.Fill("Name", "not allowed")
	b.Click("Use not-allowed")
	b.SeeValue("Name", "not-allowed")
	b.Click("Add")
	b.See("not-allowed", subject)
	w.works(t, app.AppID, "pets", "workload-identity-sa")

	// What is generated can be written.
	b.Go("/portal/applications/" + app.ID + "/credentials/new")
	if b.Editable("Subject identifier") {
		t.Error("the subject can be written before anybody asks to")
	}
	b.Click("Edit (optional) the subject identifier")
	b.Fill("Subject identifier", "system:serviceaccount:pets:written")
	b.Fill("Cluster issuer URL", w.issuer.URL())
	b.Fill("Namespace", "pets")
	b.Fill("Service account name", "else")
	b.SeeValue("Subject identifier", "system:serviceaccount:pets:written")

	// GitHub's subjects.
	b.Select("Federated credential scenario", "GitHub Actions deploying Azure resources")
	b.Click("Edit (optional) the subject identifier")
	b.Fill("Organization", "pets")
	b.Fill("Repository", "api")
	b.Select("Entity type", "Branch")
	b.Fill("GitHub branch name", "main")
	b.SeeValue("Subject identifier", "repo:pets/api:ref:refs/heads/main")
}

// A refused exchange leads to what differs, and from there to the credential.
func testDiagnosis(t *testing.T, w *town) {
	app := w.application(t, "diagnosed")
	w.trust(t, app, client.FederatedCredential{Name: "kubernetes", Issuer: w.issuer.URL(), Subject: subject})
	refused := w.mint(t, "pets", "workload-identity-SA")
	if _, err := w.exchange(t, app.AppID, refused); err == nil {
		t.Fatal("a stranger got a token")
	}
	b := w.open(t)
	b.Go("/portal/test?client=" + app.AppID)
	b.Fill("Token", refused)
	b.Click("Test the token")
	b.See("Refused.", "AADSTS700213", subject)
	b.Go("/portal/test?client=" + app.AppID)
	b.Fill("Token", w.mint(t, "pets", "workload-identity-sa"))
	b.Click("Test the token")
	b.See("Accepted.")

	b.Go("/portal/sign-ins?client=" + app.AppID)
	b.Go(w.record(b))
	b.See("The nearest credential", subject)
	links := b.Within("region", "The nearest credential").Names("link")
	if len(links) == 0 {
		t.Fatal("the nearest credential is not a click away")
	}
	b.Within("region", "The nearest credential").Click(links[0])
	b.AtURL("/portal/applications/" + app.ID + "/credentials/")
}

// record is the address of the first record of the log that is open. Records are
// written once a second.
func (w *town) record(b *browser.Browser) (address string) {
	for range 100 {
		b.Eval(`[...document.querySelectorAll("main a")].map(a => a.getAttribute("href")).find(h => h.startsWith("/portal/sign-ins/")) ?? ""`, &address)
		if address != "" {
			return address
		}
		b.Reload()
	}
	b.See("a record")
	return ""
}
