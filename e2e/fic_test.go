package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/testkit/controlplane"
)

// A federated credential from its creation to its deletion, for both kinds of
// parent, by a person at a shell.
func TestFederatedCredentialVerbs(t *testing.T) {
	t.Parallel()
	issuer, flags := cluster(t)
	ca := flags[len(flags)-1]
	s := serve(t, t.TempDir(), append(flags, "--resources", "any")...)
	admin := s.AsAdmin(t)
	me := shell{t, map[string]string{"ENTENTE_DATA_DIR": s.Dir}}
	pets, _ := application(t, admin, "pets", "")
	identity(t, s, admin, "pets", "cat", "")
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(mint(t, issuer)), 0o600); err != nil {
		t.Fatal(err)
	}
	url := issuer.URL()
	const account = " --service-account pets/workload-identity-sa"

	for _, parent := range []string{" --application pets", " --managed-identity cat -g pets"} {
		create := "fic create" + parent + account + " --issuer " + url + " --issuer-ca " + ca
		me.ends(0, "federated-credential list"+parent, "NAME   SUBJECT   ISSUER", "used 0 of 20")
		me.ends(0, create+" --dry-run", "dry run: would have created", subject, "Service account   pets/workload-identity-sa", "pets-workload-identity-sa-")
		if got := me.ends(0, "fic list -o json"+parent); got.out != "[]\n" {
			t.Errorf("a dry run has made %s", got.out)
		}
		// What would be refused for ever is not written.
		me.ends(1, strings.Replace(create, url, strings.TrimSuffix(url, "/"), 1), `hint: the published one ends with "/", the given one does not; its tokens have --issuer `+url)
		me.ends(1, strings.Replace(create, url, url+"nobody/", 1), "404", "hint: look at every letter")
		me.ends(1, "fic create"+parent+account+" --issuer "+url, "certificate signed by unknown authority", "hint: --issuer-ca FILE")
		me.ends(1, "fic create"+parent+account+" --issuer https://127.0.0.1:1/", "hint: look at every letter of --issuer https://127.0.0.1:1/; ", "--no-check")
		me.ends(2, "fic create"+parent+account+" --issuer HTTPS://a.example", "in lower case")
		me.ends(2, "fic create"+parent+" --service-account Pets/web --issuer "+url, "is not NAMESPACE/NAME")
		me.ends(2, "fic create"+parent+" --subject x", "say whom to trust about what")

		made := me.ends(0, create+" --wait --token-file "+token, "created the credential", "proven: a token was exchanged")
		name := strings.Fields(made.out)[1]
		me.ends(0, create, `there was already the credential "`+name+`"`)
		me.ends(1, create+" --audience api://other", "already exists", "hint: entente federated-credential update "+name)
		me.ends(1, "fic create "+name+parent+" --no-check --subject x --issuer "+url, "already exists", "hint: give another name")
		me.ends(0, "fic list"+parent, name, subject, url, "used 1 of 20")
		if got := me.ends(0, "fic list -o name"+parent); got.out != name+"\n" {
			t.Errorf("names: %q", got.out)
		}
		me.ends(0, "fic show"+parent+account+" --issuer "+url+" -o name", name)
		me.ends(3, "fic show nobody"+parent, `has no credential "nobody"`, "hint: entente federated-credential list")
		me.ends(3, "fic show"+parent+" --subject "+strings.ToUpper(subject)+" --issuer "+url, `hint: "`+name+`" comes close`)
		me.ends(0, "fic create other"+parent+" --subject "+strings.Replace(subject, "pets", "Pets", 1)+" --no-check --issuer "+url, `warning: the credential "`+name+`" trusts nearly the same`)

		// GitHub's jobs, whose issuer need not be asked for.
		me.ends(0, "fic create"+parent+" --github contoso/shop --branch main --no-check -o json", `"subject": "repo:contoso/shop:ref:refs/heads/main"`, `"issuer": "https://token.actions.githubusercontent.com"`, "github-contoso-shop-branch-main-")
		me.ends(2, "fic create"+parent+" --github contoso/shop", "goes with one of --branch")
		me.ends(2, "fic create"+parent+" --branch main --subject x --issuer "+url, "go with --github")

		// A change, and tokens that do not fit it.
		me.ends(0, "fic update "+name+parent+" --service-account pets/other --no-check", "updated the credential", "pets/other")
		me.ends(1, "fic update "+name+parent+" --audience api://other --no-check --wait --token-file "+token, "nothing was written: the token is not one", "the service account differs")
		me.ends(0, "fic update "+name+parent+account+" --no-check --wait --token-file "+token, "proven")
		me.ends(0, "fic update "+name+parent+account+" --no-check", "left as it was")
		me.ends(2, "fic update "+name+parent, "say what to change")

		// By what it trusts, and by name; twice.
		me.ends(2, "fic delete"+parent+account+" --issuer "+url, "nobody is there to confirm")
		me.ends(0, "fic delete --yes --dry-run"+parent+account+" --issuer "+url, "dry run: would delete")
		me.ends(0, "fic delete --yes"+parent+account+" --issuer "+url, `deleted the credential "`+name+`"`)
		me.ends(0, "fic delete --yes"+parent+account+" --issuer "+url, "nothing to delete")
		me.ends(0, "fic delete other --yes"+parent, "deleted")
		me.ends(0, "fic delete other --yes"+parent, "nothing to delete")
	}

	// Descriptions are of applications.
	me.ends(0, "fic create described --application "+pets.AppID+" --description text --no-check --subject x --issuer https://a.example/", "Description")
	me.ends(2, "fic create --managed-identity cat -g pets --description x --no-check --subject x --issuer https://a.example/", "--description is for applications")
	if got := me.ends(0, "fic show described --application "+pets.ID+" -o json"); !json.Valid([]byte(got.out)) || !strings.Contains(got.out, `"description": "text"`) || !strings.Contains(got.out, `"clientId": "`+pets.AppID+`"`) {
		t.Errorf("as JSON: %s", got.out)
	}

	// Which parent.
	application(t, admin, "twin", "")
	twin, _ := application(t, admin, "twin", "")
	me.ends(1, "fic list --application twin", `2 applications are named "twin"`, twin.ID, "hint: choose one by its id")
	me.ends(3, "fic list --application nobody")
	me.ends(3, "fic list --managed-identity nobody -g pets")
	me.ends(2, "fic list --managed-identity cat", "--resource-group (-g) is missing")
	me.ends(2, "fic list", "give one of --application")

	// The limit is known before it is written.
	for i := range 20 {
		if _, err := admin.CreateApplicationCredential(t.Context(), twin.ID, client.FederatedCredential{Name: "n" + string(rune('a'+i)), Issuer: "https://a.example/", Subject: string(rune('a' + i)), Audiences: []string{audience}}); err != nil {
			t.Fatal(err)
		}
	}
	me.ends(0, "fic list --application "+twin.AppID, "used 20 of 20")
	me.ends(1, "fic create --no-check --subject z --issuer https://a.example/ --application "+twin.AppID, "has used 20 of 20 credentials", "hint: entente federated-credential list --application "+twin.AppID)

	// A cluster by its name; its keys are uploaded, so nobody asks it.
	me.ends(0, "cluster register prod -g pets --hosted")
	me.ends(0, "fic create web --application pets --service-account pets/web --cluster prod", "created", s.Authority+"/oic/"+s.TenantID)
	me.ends(1, "fic create --application pets --service-account pets/web2 --issuer "+strings.TrimSuffix(me.cluster("cluster show prod -g pets").Issuer.URL, "/"), "hint: ", "--issuer "+s.Authority+"/oic/")
	me.ends(3, "fic create --application pets --service-account pets/web --cluster nobody", "hint: entente cluster list")
}

// A credential is proven with a token that a real API server is asked for.
func TestFederatedCredentialOfARealCluster(t *testing.T) {
	t.Parallel()
	controlplane.Programs(t)
	s := serve(t, t.TempDir(), "--resources", "any")
	me := shell{t, map[string]string{"ENTENTE_DATA_DIR": s.Dir}}
	me.ends(0, "cluster register prod -g pets --hosted")
	url := me.cluster("cluster show prod -g pets").Issuer.URL
	application(t, s.AsAdmin(t), "pets", "")
	c := controlplane.Start(t, controlplane.Config{Issuer: url, JWKSURI: url + "openid/v1/jwks"})
	me.ends(0, "cluster update-keys prod -g pets --from-cluster --kubeconfig "+c.Kubeconfig)
	const create = "fic create --application pets --service-account pets/web --cluster prod --wait --kubeconfig "
	me.ends(3, create+c.Kubeconfig, "nothing was written", "hint: kubectl create serviceaccount web --namespace pets")
	c.ServiceAccount(t, "pets", "web")
	me.ends(0, create+c.Kubeconfig, "created", "proven: a token was exchanged")
	me.ends(0, create+c.Kubeconfig, "there was already", "proven: a token was exchanged")
}
