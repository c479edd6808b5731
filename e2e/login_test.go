package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entente-id/entente/client"
)

// A service gets a name, and somebody logs in to it in every way that needs nothing
// but the service; nothing else is set then.
func TestContexts(t *testing.T) {
	t.Parallel()
	issuer, flags := cluster(t)
	s := serve(t, t.TempDir(), append(flags, "--resources", "any")...)
	admin := s.AsAdmin(t)
	dir := t.TempDir()
	contexts := filepath.Join(dir, "entente", "contexts.json")
	me := shell{t, map[string]string{"ENTENTE_CONFIG": contexts}}
	file := func(name, text string) string {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}

	me.ends(0, "context list", "CURRENT   NAME     SERVICE", "public", "https://login.microsoftonline.us")
	me.ends(3, "context show", "there is no current context")
	me.ends(1, "context add lab --url "+s.Authority, "failed to verify certificate", "hint: --ca FILE")
	me.ends(4, "context add lab --url "+s.Authority+" --ca "+s.CAFile+" --tenant nobody.example", "AADSTS90002")
	ca := file("ca.pem", read(t, s.CAFile))
	me.ends(0, "context add lab --url "+s.Authority+"/ --ca "+ca, `added the context "lab"`, "it is the current one", s.TenantID)
	if err := os.Remove(ca); err != nil {
		t.Fatal(err)
	}
	me.ends(1, "cluster list", "nobody is logged in to lab", "hint: entente login --context lab")
	me.ends(2, "login", "who calls?")

	// A secret: from a file, from standard input, and a wrong one.
	me.ends(0, "login --client-id "+s.ClientID+" --client-secret-file "+file("secret", s.ClientSecret+"\n"), "logged in to lab", "client "+s.ClientID+" of tenant "+s.TenantID)
	me.ends(0, "cluster list", "NAME")
	if got := me.run("not it\n", "login --client-id "+s.ClientID+" --client-secret-file -"); got.code != 4 || !strings.Contains(got.stderr, "AADSTS7000215") {
		t.Errorf("a wrong secret: %+v", got)
	}
	me.ends(0, "cluster list", "NAME")
	me.ends(2, "login --client-id "+s.ClientID, "nobody is there to ask")
	for name, want := range map[string]bool{contexts: false, strings.TrimSuffix(contexts, ".json") + ".secrets.json": true} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o600 || strings.Contains(read(t, name), s.ClientSecret) != want {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}

	// Who that is.
	var w struct {
		Context, TenantID, ClientID, ObjectID, Kind, Login string
		Roles, Permissions                                 []struct{ Role, Scope string }
	}
	if err := json.Unmarshal([]byte(me.ends(0, "whoami -o json").out), &w); err != nil {
		t.Fatal(err)
	}
	if w.Context != "lab" || w.TenantID != s.TenantID || w.ClientID != s.ClientID || w.ObjectID == "" || w.Kind != "Application" || w.Login != "secret" || len(w.Roles) == 0 || len(w.Permissions) == 0 {
		t.Errorf("whoami: %+v", w)
	}
	if got := me.ends(0, "whoami", "Tenant", "Role", " on /", "Permission"); strings.Contains(got.out, s.ClientSecret) {
		t.Error("whoami shows the secret")
	}

	// A federated token, which is read anew; and a certificate.
	robot, asRobot := application(t, admin, "robot", issuer.URL())
	assign(t, admin, asRobot, groupOf(t, s, admin, "pets"), "Reader")
	token := file("token", mint(t, issuer))
	me.ends(0, "context add robot --url "+s.Authority+" --ca "+s.CAFile+" --tenant "+s.TenantID+" --subscription "+s.SubscriptionID, `added the context "robot"`)
	me.ends(0, "login --context robot --client-id "+robot.AppID+" --federated-token-file "+token, "federated token of "+robot.AppID)
	me.ends(0, "cluster list -g pets --cloud robot", "NAME")
	me.ends(0, "whoami --context robot", robot.AppID, "Reader on /subscriptions/"+s.SubscriptionID+"/resourceGroups/pets")
	file("token", "no token")
	me.ends(4, "cluster list -g pets --context robot", "hint: entente login --context robot")
	c := certify(t)
	if got := s.send(t, []string{s.bearer(t, s.TenantID, s.ClientID, s.ClientSecret)}, "PATCH", "/v1.0/applications/"+robot.ID, c.keyCredentials()); got.status >= 300 {
		t.Fatalf("%d %s", got.status, got.text)
	}
	me.ends(0, "login --context robot --client-id "+robot.AppID+" --certificate "+file("robot.pem", string(c.pem)), "certificate of "+robot.AppID)
	me.ends(0, "cluster list -g pets --context robot", "NAME")

	// The shell's own client, which is not sent to a context unasked.
	pod := shell{t, map[string]string{"ENTENTE_CONFIG": filepath.Join(dir, "other.json"), "AZURE_CLIENT_ID": s.ClientID, "AZURE_CLIENT_SECRET": s.ClientSecret}}
	pod.ends(0, "context add lab --url "+s.Authority+" --ca "+s.CAFile, "it is the current one")
	pod.ends(1, "cluster list", "nobody is logged in to lab")
	pod.ends(0, "login --use-environment", "the client in the environment")
	pod.ends(0, "cluster list", "NAME")
	delete(pod.env, "AZURE_CLIENT_SECRET")
	pod.ends(1, "cluster list", "the environment names no client")

	// Changes.
	me.ends(0, "context use robot", "the current context is \"robot\"")
	me.ends(0, "context list", "*         robot", "certificate of "+robot.AppID)
	me.ends(3, "context use nobody", `there is no context "nobody"`)
	me.ends(0, "context add lab --url "+s.Authority+" --ca "+s.CAFile, `there was already the context "lab"`)
	me.ends(1, "context add lab --url https://other.example --no-check", `there is another context "lab"`)
	me.ends(2, "context add public --url "+s.Authority+" --no-check", "is the one of a cloud of Azure")
	me.ends(0, "context add gov --cloud AzureUSGovernment --tenant "+s.TenantID, "https://login.microsoftonline.us")
	me.ends(0, "logout --context lab", "nobody is logged in to lab any more")
	if strings.Contains(read(t, strings.TrimSuffix(contexts, ".json")+".secrets.json"), s.ClientSecret) {
		t.Error("the secret stays after logout")
	}
	me.ends(0, "context remove lab")
	me.ends(3, "context remove lab")
	me.ends(3, "whoami --context lab")
	if got := me.ends(0, "context list -o name"); got.out != "robot\ngov\npublic\nusgov\nchina\n" {
		t.Errorf("what is left: %q", got.out)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func groupOf(t *testing.T, s *service, c *client.Client, name string) client.ResourceGroupID {
	t.Helper()
	id := client.ResourceGroupID{SubscriptionID: s.SubscriptionID, Name: name}
	if _, _, err := c.PutResourceGroup(t.Context(), id, client.ResourceSpec{Location: "local"}); err != nil {
		t.Fatal(err)
	}
	return id
}
