package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/azwi"
	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/testkit"
	"github.com/entente-id/entente/internal/testkit/controlplane"
)

// A workload identity by azwi's commands, as an application and as a managed
// identity: it is made, a pod of it gets a token, it is made again, it is deleted.
func TestAzwi(t *testing.T) {
	t.Parallel()
	controlplane.Programs(t)
	c := controlplane.Start(t, controlplane.Config{})
	ca := filepath.Join(t.TempDir(), "issuer-ca.pem")
	if err := os.WriteFile(ca, c.Authority.PEM, 0o644); err != nil {
		t.Fatal(err)
	}
	s := serve(t, t.TempDir(), "--resources", "any", "--issuer-allow", "127.0.0.1", "--issuer-ca", ca)
	admin := s.AsAdmin(t)
	c.ServiceAccount(t, "pets", "other") // and the namespace
	accounts := c.Client(t).CoreV1().ServiceAccounts("pets")
	me := shell{t, map[string]string{"ENTENTE_DATA_DIR": s.Dir, "KUBECONFIG": c.Kubeconfig}}

	for name, twin := range map[string]string{"cat": "", "dog": " --managed-identity-name dog --resource-group pets"} {
		account := " --service-account-namespace pets --service-account-name " + name + " --service-account-issuer-url " + c.Issuer + twin
		create := "serviceaccount create" + account + " --azure-scope /subscriptions/" + s.SubscriptionID + " --azure-role Reader"
		phases := []string{"created service principal", "created Kubernetes service account", "added federated credential", "created role assignment"}
		if twin != "" {
			me.ends(1, create, `the resource group "pets" is not there; --location says where to make it`)
			create += " --location local"
			phases[0] = "created a managed identity"
		}
		me.ends(0, create+" --dry-run", "dry run: would")
		if _, err := accounts.Get(t.Context(), name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("a dry run made the service account: %v", err)
		}
		made := me.ends(0, create, phases...)
		if again := me.ends(0, create); again.out != "" || strings.Contains(again.stderr, "created ") && !strings.Contains(again.stderr, "previously created") {
			t.Errorf("again:\n%s", again.stderr)
		}

		// What the webhook gives a pod, and what the pod does with it.
		kept, err := accounts.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		clientID, tenant := kept.Annotations["azure.workload.identity/client-id"], kept.Annotations["azure.workload.identity/tenant-id"]
		if tenant != s.TenantID {
			t.Errorf("annotated with %v", kept.Annotations)
		}
		assertion := c.Token(t, "pets", name, audience)
		if _, err := s.exchange(t, clientID, assertion, vault+"/.default"); err != nil {
			t.Error(err)
		}
		if _, err := s.exchange(t, clientID, c.Token(t, "pets", "other", audience), vault+"/.default"); err == nil {
			t.Error("another service account gets a token")
		}
		pod := client.Federated(s.Authority, tenant, clientID, client.AssertionFile(file(t, assertion)), s.HTTP)
		as, err := client.New(client.Config{Endpoints: client.Entente(s.Authority), TenantID: tenant, HTTP: s.HTTP, Credential: pod})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := as.Subscription(t.Context(), s.SubscriptionID); err != nil {
			t.Errorf("the role does not count: %v", err)
		}

		remove := "serviceaccount delete" + account
		me.ends(1, remove, "failed to run pre-run for phase role-assignment: --role-assignment-id is required")
		role := regexp.MustCompile(`roleAssignmentID=(\S+)`).FindStringSubmatch(made.stderr)
		if role == nil {
			t.Fatalf("no role assignment in\n%s", made.stderr)
		}
		remove += " --role-assignment-id " + role[1]
		me.ends(0, remove+" --dry-run", "would delete the service account")
		me.ends(0, remove, "deleted role assignment", "deleted federated identity credential", "deleted service account", "deleted ")
		me.ends(0, remove, "role assignment not found", "federated identity credential not found", "service account not found", "not found")
		if _, err := s.exchange(t, clientID, assertion, vault+"/.default"); err == nil {
			t.Error("a token is given to what was deleted")
		}
	}
	if all, err := admin.Identities(t.Context(), client.ResourceGroupID{SubscriptionID: s.SubscriptionID}); err != nil || len(all) != 0 {
		t.Errorf("left: %+v, %v", all, err)
	}

	// Half of it fails; the rest is done by the same command again.
	create := "serviceaccount create --service-account-namespace nobody --service-account-name cat --skip-phases role-assignment --service-account-issuer-url " + c.Issuer
	me.ends(1, create, "failed to run phase service-account: ", `namespaces "nobody" not found`, "hint: aad-application: done; repeat the command to go on", "--skip-phases role-assignment,aad-application\n")
	c.ServiceAccount(t, "nobody", "other")
	me.ends(0, create, "AAD application has been previously created", "created Kubernetes service account", "added federated credential")
}

func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// azwi's own flags say who calls, before whatever else would.
func TestAzwiLogins(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	admin := s.AsAdmin(t)
	app, who := application(t, admin, "robot", "")
	permit(t, admin, who, "Application.ReadWrite.All")
	c := certify(t)
	bearer := []string{s.bearer(t, s.TenantID, s.ClientID, s.ClientSecret)}
	if got := s.send(t, bearer, "PATCH", "/v1.0/applications/"+app.ID, c.keyCredentials()); got.status != 204 {
		t.Fatalf("%+v", got)
	}
	certificate := file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.der})))
	key := file(t, string(c.pem[:bytes.Index(c.pem, []byte("-----BEGIN CERTIFICATE"))]))
	me := shell{t, map[string]string{"ENTENTE_URL": s.Authority, "ENTENTE_CA": s.CAFile, "AZURE_CLIENT_ID": s.ClientID, "AZURE_CLIENT_SECRET": "wrong"}}
	const create = "sa create phase app --aad-application-name pets"
	me.ends(1, create, "AADSTS7000215")
	me.ends(1, create+" --client-id "+app.AppID+" --client-secret wrong", "AADSTS7000215", "hint: --auth-method, --client-id")
	for _, as := range []string{
		" --client-id " + app.AppID + " --client-secret " + withSecret(t, admin, app),
		" --auth-method client_certificate --client-id " + app.AppID + " --certificate-path " + certificate + " --private-key-path " + key,
	} {
		me.ends(0, create+as, "using the service "+s.Authority, "created ")
		made, err := admin.ApplicationByName(t.Context(), "pets")
		if err != nil {
			t.Fatal(err)
		}
		if owners := s.send(t, bearer, "GET", "/v1.0/applications/"+made.ID+"/owners", nil); !strings.Contains(owners.text, who.principalID) {
			t.Errorf("as somebody else: %s", owners.text)
		}
		me.ends(0, strings.Replace(create, "create", "delete", 1)+as, "deleted aad application")
	}
	me.env["AZURE_CLIENT_SECRET"] = s.ClientSecret
	me.ends(0, create)
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	me.env = map[string]string{"ENTENTE_DATA_DIR": s.Dir}
	me.ends(1, create, "hint: nothing answers at "+s.Authority, "or work on Azure with --azure-env AzurePublicCloud")
}

// The two commands of the manual of Azure Workload Identity, in the words in which
// people copy them.
const manual = `
azwi serviceaccount create phase federated-identity \
  --aad-application-name "${APPLICATION_NAME}" \
  --service-account-namespace "${SERVICE_ACCOUNT_NAMESPACE}" \
  --service-account-name "${SERVICE_ACCOUNT_NAME}" \
  --service-account-issuer-url "${SERVICE_ACCOUNT_ISSUER}"

azwi serviceaccount delete phase federated-identity \
  --aad-application-name "${APPLICATION_NAME}" \
  --service-account-namespace "${SERVICE_ACCOUNT_NAMESPACE}" \
  --service-account-name "${SERVICE_ACCOUNT_NAME}" \
  --service-account-issuer-url "${SERVICE_ACCOUNT_ISSUER}"
`

// They run as they are: by a program that is called azwi, by entente in its place,
// and with a managed identity in the application's; and a token is exchanged in
// between.
func TestAzwiManual(t *testing.T) {
	t.Parallel()
	issuer, flags := cluster(t)
	s := serve(t, t.TempDir(), append(flags, "--resources", "any")...)
	admin := s.AsAdmin(t)
	app, asApp := application(t, admin, "pets", "")
	id, asIdentity := identity(t, s, admin, "pets-group", "cat", "")
	bin := t.TempDir()
	for _, name := range []string{"azwi", "entente"} {
		if err := os.Symlink(testkit.Program, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	sh := func(script string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sh", "-euc", `eval "$(entente env)"`+"\n"+script)
		cmd.Env = []string{
			"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "ENTENTE_DATA_DIR=" + s.Dir,
			"SERVICE_ACCOUNT_NAMESPACE=pets", "SERVICE_ACCOUNT_NAME=workload-identity-sa", "SERVICE_ACCOUNT_ISSUER=" + issuer.URL(),
			"APPLICATION_NAME=pets", "USER_ASSIGNED_MANAGED_IDENTITY_NAME=cat", "RESOURCE_GROUP=pets-group",
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s\n%v\n%s", script, err, out)
		}
		return string(out)
	}
	ours := strings.ReplaceAll(manual, "azwi service", "entente service")
	twin := strings.ReplaceAll(ours, `--aad-application-name "${APPLICATION_NAME}"`, `--managed-identity-name "${USER_ASSIGNED_MANAGED_IDENTITY_NAME}" --resource-group "${RESOURCE_GROUP}"`)
	for name, c := range map[string]struct {
		script string
		who    workload
		named  string
		list   func() ([]client.FederatedCredential, error)
	}{
		"azwi":             {manual, asApp, credential.AzwiName("pets", "workload-identity-sa", issuer.URL()), func() ([]client.FederatedCredential, error) { return admin.ApplicationCredentials(t.Context(), app.ID) }},
		"entente":          {ours, asApp, credential.AzwiName("pets", "workload-identity-sa", issuer.URL()), func() ([]client.FederatedCredential, error) { return admin.ApplicationCredentials(t.Context(), app.ID) }},
		"managed identity": {twin, asIdentity, azwi.IdentityCredentialName("pets", "workload-identity-sa", issuer.URL()), func() ([]client.FederatedCredential, error) { return admin.IdentityCredentials(t.Context(), id) }},
	} {
		create, remove, ok := strings.Cut(c.script, "\n\n")
		if !ok {
			t.Fatal("the manual has two commands")
		}
		for range 2 { // again, it is there, or gone, already
			if out := sh(create); !strings.Contains(out, "federated-identity] ") {
				t.Errorf("%s:\n%s", name, out)
			}
		}
		all, err := c.list()
		if err != nil || len(all) != 1 || all[0].Name != c.named || all[0].Subject != subject || all[0].Issuer != issuer.URL() || all[0].Audiences[0] != audience {
			t.Errorf("%s: %+v, %v", name, all, err)
		}
		if _, err := s.exchange(t, c.who.clientID, mint(t, issuer), vault+"/.default"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for range 2 {
			if out := sh(remove); !strings.Contains(out, "federated-identity] ") {
				t.Errorf("%s:\n%s", name, out)
			}
		}
		if all, err := c.list(); err != nil || len(all) != 0 {
			t.Errorf("%s: left %+v, %v", name, all, err)
		}
	}
	if out := sh("azwi version"); !strings.HasPrefix(out, "Version: ") {
		t.Errorf("azwi version: %s", out)
	}
}

// The examples of azwi's own documentation (quick start, serviceaccount create and
// delete, jwks, rotation of a cluster's keys), by what each should log.
var documented = []struct{ line, says string }{
	{`azwi serviceaccount create phase app --aad-application-name "${APPLICATION_NAME}"`, "[aad-application] created "},
	{`azwi serviceaccount create phase sa \
  --aad-application-name "${APPLICATION_NAME}" \
  --service-account-namespace "${SERVICE_ACCOUNT_NAMESPACE}" \
  --service-account-name "${SERVICE_ACCOUNT_NAME}"`, "[service-account] created Kubernetes service account"},
	{`azwi serviceaccount create phase federated-identity \
  --aad-application-name "${APPLICATION_NAME}" \
  --service-account-namespace "${SERVICE_ACCOUNT_NAMESPACE}" \
  --service-account-name "${SERVICE_ACCOUNT_NAME}" \
  --service-account-issuer-url "${SERVICE_ACCOUNT_ISSUER}"`, "[federated-identity] added federated credential"},
	{`azwi serviceaccount create \
  --service-account-name azwi-sa \
  --service-account-issuer-url https://azwi.blob.core.windows.net/oidc-test/ \
  --skip-phases role-assignment`, "[federated-identity] added federated credential"},
	{`azwi sa delete \
  --service-account-name azwi-sa \
  --service-account-issuer-url https://azwi.blob.core.windows.net/oidc-test/ \
  --skip-phases role-assignment`, "[aad-application] deleted "},
	{`azwi jwks --public-keys sa.pub`, `"alg": "RS256"`},
	{`azwi jwks --public-keys sa-old.pub --public-keys sa-new.pub --output-file jwks.json`, ""},
	{`azwi jwks --public-keys sa-new.pub --output-file jwks.json`, ""},
}

// They run as they stand, by a program that is called azwi, by entente, and with a
// managed identity in the application's place; and what the first three make is
// what a pod needs.
func TestAzwiDocumentation(t *testing.T) {
	t.Parallel()
	controlplane.Programs(t)
	c := controlplane.Start(t, controlplane.Config{})
	s := serve(t, t.TempDir(), "--resources", "any", "--issuer-allow", "127.0.0.1", "--issuer-ca", file(t, string(c.Authority.PEM)))
	admin := s.AsAdmin(t)
	groupOf(t, s, admin, "pets")
	bin, work := t.TempDir(), t.TempDir()
	for _, name := range []string{"azwi", "entente"} {
		if err := os.Symlink(testkit.Program, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"sa", "sa-old", "sa-new"} {
		key, _, err := selfSigned()
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(work, name+".pub"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, who := range []string{"azwi", "entente", "managed-identity"} {
		account := "workload-" + who
		sh := func(script string) string {
			t.Helper()
			cmd := exec.CommandContext(t.Context(), "sh", "-euc", `eval "$(entente env)"`+"\n"+script)
			cmd.Dir = work
			cmd.Env = []string{
				"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "ENTENTE_DATA_DIR=" + s.Dir, "KUBECONFIG=" + c.Kubeconfig,
				"APPLICATION_NAME=" + account, "USER_ASSIGNED_IDENTITY_NAME=" + account, "RESOURCE_GROUP=pets",
				"SERVICE_ACCOUNT_NAMESPACE=default", "SERVICE_ACCOUNT_NAME=" + account, "SERVICE_ACCOUNT_ISSUER=" + c.Issuer,
			}
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%s: %s\n%v\n%s", who, script, err, out)
			}
			return string(out)
		}
		for _, example := range documented {
			line, says := example.line, example.says
			if who != "azwi" {
				line = "entente" + strings.TrimPrefix(line, "azwi")
			}
			if who == "managed-identity" && !strings.Contains(line, " jwks ") {
				line = strings.ReplaceAll(line, `--aad-application-name "${APPLICATION_NAME}"`, `--managed-identity-name "${USER_ASSIGNED_IDENTITY_NAME}" --resource-group "${RESOURCE_GROUP}"`)
				if !strings.Contains(line, "managed-identity") {
					line += " --managed-identity-name azwi-sa -g pets"
				}
			}
			if out := sh(line); !strings.Contains(out, says) {
				t.Errorf("%s\n%s\nwant %q in it", line, out, says)
			} else if strings.Contains(line, "create \\") && who != "managed-identity" && !strings.Contains(out, `name="default-azwi-sa-pXkIYj74X6LQKuHCwAFr7MMSWewDboaRo9ypqyHNcgU="`) {
				t.Errorf("%s\n%s\nwant the name that azwi makes up", line, out)
			}
		}
		kept, err := c.Client(t).CoreV1().ServiceAccounts("default").Get(t.Context(), account, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.exchange(t, kept.Annotations["azure.workload.identity/client-id"], c.Token(t, "default", account, audience), vault+"/.default"); err != nil {
			t.Errorf("%s: %v", who, err)
		}
		sh(`test "$(stat -c %a jwks.json)" = 600; azwi jwks --public-keys sa-new.pub | cmp - jwks.json`)
	}
}

// azwiProgram is the unmodified azwi that ENTENTE_AZWI names, or our own program
// under its name.
func azwiProgram(t *testing.T) (bin string, unmodified bool) {
	t.Helper()
	bin = t.TempDir()
	program := os.Getenv("ENTENTE_AZWI")
	unmodified = program != ""
	if !unmodified {
		program = testkit.Program
	}
	program, err := filepath.Abs(program)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"azwi": program, "entente": testkit.Program} {
		if err := os.Symlink(to, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	return bin, unmodified
}

// azwi knows Azure's public cloud and no other. Under "entente run" it makes and
// deletes a workload identity all the same, and each of the two programs manages
// what the other made. The azwi is the one of ENTENTE_AZWI, or else our own, which
// is told that it works on Azure.
func TestAzwiUnderRun(t *testing.T) {
	t.Parallel()
	controlplane.Programs(t)
	bin, unmodified := azwiProgram(t)
	c := controlplane.Start(t, controlplane.Config{})
	ca := file(t, string(c.Authority.PEM))
	s := serve(t, t.TempDir(), "--resources", "any", "--issuer-allow", "127.0.0.1", "--issuer-ca", ca)
	admin := s.AsAdmin(t)
	c.ServiceAccount(t, "pets", "other") // and the namespace
	accounts := c.Client(t).CoreV1().ServiceAccounts("pets")

	// sh runs a script under "entente run"; -v tells which names were answered.
	sh := func(script string) (out, trace string) {
		t.Helper()
		cmd := under(t, []string{"KUBECONFIG=" + c.Kubeconfig, "ISSUER=" + c.Issuer, "ISSUER_CA=" + ca}, "--data-dir", s.Dir, "--as-admin", "-v", "--", "sh", "-euc", script)
		cmd.Env[0] = "PATH=" + bin + ":" + os.Getenv("PATH")
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s\n%v\n%s%s", script, err, stdout.String(), stderr.String())
		}
		return stdout.String(), stderr.String()
	}
	const (
		auth    = ` --azure-env AzurePublicCloud --subscription-id "$AZURE_SUBSCRIPTION_ID" --auth-method client_secret --client-id "$AZURE_CLIENT_ID" --client-secret "$AZURE_CLIENT_SECRET"`
		account = ` --service-account-namespace pets --service-account-name cat --service-account-issuer-url "$ISSUER"`
		role    = ` --azure-scope "/subscriptions/$AZURE_SUBSCRIPTION_ID" --azure-role Reader`
	)
	application := azwi.DefaultApplicationName("pets", "cat", c.Issuer)
	name := credential.AzwiName("pets", "cat", c.Issuer)
	ours := " --application '" + application + "'"
	works := func(want bool) {
		t.Helper()
		app, err := admin.ApplicationByName(t.Context(), application)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.exchange(t, app.AppID, c.Token(t, "pets", "cat", audience), vault+"/.default"); (err == nil) != want {
			t.Errorf("a pod's exchange: %v, want it to work: %v", err, want)
		}
	}
	gone := func() {
		t.Helper()
		if all, err := admin.Applications(t.Context(), client.Equal("displayName", application)); err != nil || len(all) != 0 {
			t.Errorf("left: %+v, %v", all, err)
		}
		if _, err := accounts.Get(t.Context(), "cat", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("the service account: %v", err)
		}
	}
	assignments := func() string {
		t.Helper()
		app, err := admin.ApplicationByName(t.Context(), application)
		if err != nil {
			t.Fatal(err)
		}
		p, err := admin.ServicePrincipal(t.Context(), app.AppID)
		if err != nil {
			t.Fatal(err)
		}
		all, err := admin.RoleAssignments(t.Context(), "/subscriptions/"+s.SubscriptionID, p.ID)
		if err != nil || len(all) != 1 {
			t.Fatalf("%+v, %v", all, err)
		}
		return all[0].ID
	}

	// It makes one, which we manage, and it deletes it.
	_, trace := sh(`azwi serviceaccount create` + auth + account + role)
	for _, host := range []string{"login.microsoftonline.com", "graph.microsoft.com", "management.azure.com"} {
		if !strings.Contains(trace, "host="+host) {
			t.Errorf("%s was not asked:\n%s", host, trace)
		}
	}
	if strings.Contains(trace, "msg=refused") || strings.Contains(trace, "msg=passed") {
		t.Errorf("it went elsewhere:\n%s", trace)
	}
	works(true)
	out, _ := sh(`entente fic list -o name` + ours + `
		entente fic show` + ours + ` -- '` + name + `'
		entente fic update` + ours + ` --issuer-ca "$ISSUER_CA" --description "ours now" -- '` + name + `' >&2
		entente fic show --service-account pets/cat --issuer "$ISSUER"` + ours + ` -o jsonpath='{.description}'`)
	if !strings.HasPrefix(out, name+"\n") || !strings.Contains(out, "system:serviceaccount:pets:cat") || !strings.HasSuffix(strings.TrimSpace(out), "ours now") {
		t.Errorf("we see\n%s", out)
	}
	works(true)
	kept, err := accounts.Get(t.Context(), "cat", metav1.GetOptions{})
	if err != nil || kept.Annotations["azure.workload.identity/tenant-id"] != s.TenantID {
		t.Errorf("%+v, %v", kept, err)
	}
	sh(`azwi serviceaccount create` + auth + account + ` --skip-phases role-assignment`) // again
	sh(`azwi sa delete` + auth + account + ` --role-assignment-id ` + assignments())
	gone()

	// We make one, in the service's own name, and it deletes it, phase by phase.
	sh(`entente sa create` + account + role)
	works(true)
	sh(`azwi sa delete phase ra` + auth + ` --role-assignment-id ` + assignments())
	sh(`azwi sa delete phase fi` + auth + account + ` --aad-application-name '` + application + `'`)
	works(false)
	sh(`azwi sa delete phase sa` + auth + ` --service-account-namespace pets --service-account-name cat`)
	sh(`azwi sa delete phase app` + auth + ` --aad-application-name '` + application + `'`)
	gone()

	// It makes one, phase by phase, and we delete it.
	sh(`azwi sa create phase app` + auth + ` --aad-application-name '` + application + `'`)
	sh(`azwi sa create phase sa` + auth + ` --aad-application-name '` + application + `' --service-account-namespace pets --service-account-name cat --service-account-token-expiration 2h`)
	sh(`azwi sa create phase fi` + auth + account + ` --aad-application-name '` + application + `'`)
	works(true)
	sh(`entente sa delete` + account + ` --skip-phases role-assignment`)
	gone()
	if out, _ := sh(`azwi version`); unmodified == strings.Contains(out, "(entente)") {
		t.Errorf("azwi version: %s", out)
	}
}

// between stands before a service and a cluster's API server, and stops a command at
// one of its writes.
type between struct {
	*httptest.Server
	kubeconfig string
	caFile     string

	mu   sync.Mutex                          // one request at a time
	stop func(r *http.Request) (answer bool) // nil: nothing is stopped
}

// run runs a command whose requests stop is asked about, with its process.
func (b *between) run(cmd *exec.Cmd, stop func(*os.Process, *http.Request) bool) error {
	b.mu.Lock()
	err := cmd.Start()
	b.stop = func(r *http.Request) bool { return stop(cmd.Process, r) }
	b.mu.Unlock()
	if err == nil {
		err = cmd.Wait()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stop = nil
	return err
}

func newBetween(t *testing.T, s *service, c *controlplane.Cluster) *between {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(read(t, s.CAFile)))
	roots.AppendCertsFromPEM(c.Authority.PEM)
	service, err := url.Parse(s.Authority)
	if err != nil {
		t.Fatal(err)
	}
	apiServer, err := url.Parse(c.URL)
	if err != nil {
		t.Fatal(err)
	}
	b := &between{}
	proxy := &httputil.ReverseProxy{
		ErrorLog: log.New(io.Discard, "", 0), Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}},
		Rewrite: func(r *httputil.ProxyRequest) {
			to := service
			if strings.HasPrefix(r.In.URL.Path, "/api") {
				to = apiServer
			}
			r.SetURL(to)
		},
	}
	b.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if strings.HasSuffix(r.URL.Path, "/token") { // for a service under another name
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			body = bytes.ReplaceAll(body, []byte(url.QueryEscape(b.URL)), []byte(url.QueryEscape(s.Authority)))
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		if r.Method != http.MethodGet && !strings.HasSuffix(r.URL.Path, "/token") && b.stop != nil && b.stop(r) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","message":"as the test wants","code":403,"error":{"code":"Authorization_RequestDenied","message":"as the test wants"}}`)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(b.Close)
	own := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.Certificate().Raw})
	b.caFile = file(t, string(own))
	encoded := base64.StdEncoding.EncodeToString
	b.kubeconfig = file(t, strings.NewReplacer(c.URL, b.URL, encoded(c.Authority.PEM), encoded(own)).Replace(read(t, c.Kubeconfig)))
	return b
}

// A run that fails or is killed in any of its phases is gone on with by the same
// command, and by what its error says: whether the write on which it ended was
// carried out or not.
func TestAzwiResumes(t *testing.T) {
	t.Parallel()
	controlplane.Programs(t)
	c := controlplane.Start(t, controlplane.Config{})
	s := serve(t, t.TempDir(), "--resources", "any", "--issuer-allow", "127.0.0.1", "--issuer-ca", file(t, string(c.Authority.PEM)))
	admin := s.AsAdmin(t)
	groupOf(t, s, admin, "pets")
	c.ServiceAccount(t, "pets", "other") // and the namespace
	b := newBetween(t, s, c)
	me := shell{t, map[string]string{
		"ENTENTE_URL": b.URL, "ENTENTE_CA": b.caFile, "KUBECONFIG": b.kubeconfig,
		"AZURE_CLIENT_ID": s.ClientID, "AZURE_CLIENT_SECRET": s.ClientSecret, "AZURE_TENANT_ID": s.TenantID, "AZURE_SUBSCRIPTION_ID": s.SubscriptionID,
	}}
	phases := []string{"aad-application", "service-account", "federated-identity", "role-assignment"}
	writes := map[string]*regexp.Regexp{
		"aad-application":    regexp.MustCompile(`/(applications|servicePrincipals|userAssignedIdentities/[^/]+)$`),
		"service-account":    regexp.MustCompile(`/serviceaccounts`),
		"federated-identity": regexp.MustCompile(`/federatedIdentityCredentials`),
		"role-assignment":    regexp.MustCompile(`/roleAssignments/`),
	}
	n := 0
	for _, twin := range []string{"", " --managed-identity-name NAME --resource-group pets"} {
		for i, phase := range phases {
			for _, how := range []string{"refused", "killed before", "killed after"} {
				n++
				name := fmt.Sprintf("cat%d", n)
				line := "serviceaccount create --service-account-namespace pets --service-account-name " + name + " --service-account-issuer-url " + c.Issuer +
					strings.ReplaceAll(twin, "NAME", name) + " --azure-scope /subscriptions/" + s.SubscriptionID + " --azure-role Reader"
				what := fmt.Sprintf("%s in %s of entente %s", how, phase, line)
				cmd := me.command(strings.Fields(line)...)
				var stderr bytes.Buffer
				cmd.Stderr = &stderr
				err := b.run(cmd, func(p *os.Process, r *http.Request) bool {
					if !writes[phase].MatchString(r.URL.Path) {
						return false
					}
					if how != "refused" {
						p.Kill()
					}
					return how != "killed after"
				})
				if err == nil {
					t.Errorf("%s: it ends well", what)
				}
				if how == "refused" {
					skip := regexp.MustCompile(`(?m)^hint: .*: (entente .*(--skip-phases \S+))$`).FindStringSubmatch(stderr.String())
					if want := "failed to run phase " + phase + ": "; cmd.ProcessState.ExitCode() != 1 || !strings.Contains(stderr.String(), want) || (skip == nil) != (i == 0) {
						t.Errorf("%s:\n%s", what, stderr.String())
					}
					if skip != nil {
						if want := "--skip-phases " + strings.Join(phases[:i], ","); skip[2] != want {
							t.Errorf("%s: %q, want %q", what, skip[2], want)
						}
						printed := exec.CommandContext(t.Context(), "sh", "-c", "exec "+strings.Replace(skip[1], "entente", testkit.Program, 1))
						printed.Env = cmd.Env
						if out, err := printed.CombinedOutput(); err != nil {
							t.Errorf("%s: %s\n%v\n%s", what, skip[1], err, out)
						}
					}
				}
				again := me.ends(0, line).stderr // after which nothing is left to do
				if how == "refused" && i > 0 && strings.Contains(again, "INFO[0000] [") {
					t.Errorf("%s: the command made something again:\n%s", what, again)
				}
				kept, err := c.Client(t).CoreV1().ServiceAccounts("pets").Get(t.Context(), name, metav1.GetOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := s.exchange(t, kept.Annotations["azure.workload.identity/client-id"], c.Token(t, "pets", name, audience), vault+"/.default"); err != nil {
					t.Errorf("%s: %v", what, err)
				}
				if twin == "" {
					if all, err := admin.Applications(t.Context(), client.Equal("displayName", azwi.DefaultApplicationName("pets", name, c.Issuer))); err != nil || len(all) != 1 {
						t.Errorf("%s: %d applications, %v", what, len(all), err)
					}
				}
			}
		}
	}
	if all, err := admin.RoleAssignments(t.Context(), "/subscriptions/"+s.SubscriptionID, ""); err != nil || len(all) < n {
		t.Errorf("%d role assignments, want one for each of %d: %v", len(all), n, err)
	}
}
