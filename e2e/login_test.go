package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

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
	me.ends(4, "cluster list", "nobody is logged in to lab", "hint: entente login --context lab")
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
	pod.ends(4, "cluster list", "nobody is logged in to lab")
	pod.ends(0, "login --use-environment", "the client in the environment")
	pod.ends(0, "cluster list", "NAME")
	delete(pod.env, "AZURE_CLIENT_SECRET")
	pod.ends(4, "cluster list", "the environment names no client")

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

// machine is what a host gives its managed identity, in the way of App Service, and
// to those who take it for a proxy, of a virtual machine (IMDS). The tokens are the
// service's. It remembers what it was asked, and what is seen of whoever asks.
type machine struct {
	*httptest.Server
	header string // the secret of App Service
	mu     sync.Mutex
	asked  []string
}

func newMachine(t *testing.T, token func(resource string) (client.Token, error)) *machine {
	t.Helper()
	m := &machine{header: "canary-of-app-service-0123456789"}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		host, proof := "app service", r.Header.Get("X-IDENTITY-HEADER") == m.header
		if r.Host == "169.254.169.254" {
			host, proof = "imds", r.Header.Get("Metadata") == "true"
		}
		m.mu.Lock()
		m.asked = append(m.asked, host+" "+r.URL.Path+" "+q.Get("client_id"))
		m.mu.Unlock()
		if !proof {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		got, err := token(q.Get("resource"))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			json.NewEncoder(w).Encode(map[string]string{"error": "invalid_resource", "error_description": err.Error()})
			return
		}
		json.NewEncoder(w).Encode(map[string]string{
			"access_token": got.AccessToken, "expires_on": fmt.Sprint(got.ExpiresOn.Unix()), "expires_in": fmt.Sprint(int(time.Until(got.ExpiresOn).Seconds())),
			"resource": q.Get("resource"), "token_type": "Bearer", "client_id": q.Get("client_id"),
		})
	}))
	t.Cleanup(m.Close)
	return m
}

// Whoever logs in, in whatever way, is a caller of every verb; and what the login
// is proven with is seen nowhere but where it is kept.
func TestLogins(t *testing.T) {
	t.Parallel()
	issuer, flags := cluster(t)
	s := serve(t, t.TempDir(), append(flags, "--resources", "any")...)
	admin := s.AsAdmin(t)
	group := groupOf(t, s, admin, "pets")
	bearer := []string{s.bearer(t, s.TenantID, s.ClientID, s.ClientSecret)}
	robot := func(name string) (client.Application, workload) {
		app, who := application(t, admin, name, issuer.URL())
		permit(t, admin, who, "Application.ReadWrite.All")
		assign(t, admin, who, group, "Contributor")
		return app, who
	}
	app, _ := robot("robot")
	secret := withSecret(t, admin, app)
	c := certify(t)
	if got := s.send(t, bearer, "PATCH", "/v1.0/applications/"+app.ID, c.keyCredentials()); got.status != 204 {
		t.Fatalf("%+v", got)
	}
	dir := t.TempDir()
	keep := func(name, text string) string {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	certificate, assertion, inFile := keep("robot.pem", string(c.pem)), mint(t, issuer), keep("secret", secret+"\n")
	token := keep("token", assertion)
	const password = "canary of PKCS 12"
	pfx := filepath.Join(dir, "robot.pfx")
	pack := exec.CommandContext(t.Context(), "openssl", "pkcs12", "-export", "-legacy", "-in", certificate, "-out", pfx, "-passout", "stdin")
	pack.Stdin = strings.NewReader(password + "\n")
	if out, err := pack.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	// What the machine and az have are tokens of this client, or of its identity.
	_, uami := identity(t, s, admin, "pets", "cat", issuer.URL())
	permit(t, admin, uami, "Application.ReadWrite.All")
	assign(t, admin, uami, group, "Contributor")
	as := func(clientID string) func(string) (client.Token, error) {
		source := client.Federated(s.Authority, s.TenantID, clientID, client.AssertionFile(token), s.HTTP)
		return func(resource string) (client.Token, error) { return source.Token(t.Context(), client.Scope(resource)) }
	}
	host := newMachine(t, as(uami.clientID))
	given, err := as(app.AppID)(s.Authority)
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	script := "#!/bin/sh\necho \"$@\" >> '" + dir + "/az'\ntr '\\0' ' ' < /proc/$PPID/cmdline >> '" + dir + "/parents'\n" +
		`case "$*" in *" ` + "--resource " + s.Authority + `"*) cat '` + keep("az.json", fmt.Sprintf(`{"accessToken":%q,"expires_on":%d,"tokenType":"Bearer"}`, given.AccessToken, given.ExpiresOn.Unix())) + "';; *) echo \"ERROR: which resource? $*\" >&2; exit 1;; esac\n"
	if err := os.WriteFile(filepath.Join(bin, "az"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}

	secrets := []string{secret, assertion, strings.Split(given.AccessToken, ".")[2], password, host.header, s.ClientSecret}
	for name, k := range map[string]struct {
		login string
		env   map[string]string
		who   string // client id
		kept  bool   // the secret is kept
	}{
		"az":                                  {"--use-az", map[string]string{"PATH": bin + ":/usr/bin:/bin"}, app.AppID, false},
		"client secret":                       {"--client-id " + app.AppID + " --client-secret-file " + inFile, nil, app.AppID, true},
		"client secret, from the environment": {"--client-id " + app.AppID, map[string]string{"AZURE_CLIENT_ID": app.AppID, "AZURE_CLIENT_SECRET": secret}, app.AppID, true},
		"client certificate":                  {"--client-id " + app.AppID + " --certificate " + certificate, nil, app.AppID, false},
		"workload identity":                   {"--client-id " + uami.clientID + " --federated-token-file " + token, nil, uami.clientID, false},
		"environment, secret":                 {"--use-environment", map[string]string{"AZURE_CLIENT_ID": app.AppID, "AZURE_CLIENT_SECRET": secret}, app.AppID, false},
		"environment, certificate":            {"--use-environment", map[string]string{"AZURE_CLIENT_ID": app.AppID, "AZURE_CLIENT_CERTIFICATE_PATH": certificate}, app.AppID, false},
		"environment, PKCS #12":               {"--use-environment", map[string]string{"AZURE_CLIENT_ID": app.AppID, "AZURE_CLIENT_CERTIFICATE_PATH": pfx, "AZURE_CLIENT_CERTIFICATE_PASSWORD": password}, app.AppID, false},
		"environment, token":                  {"--use-environment", map[string]string{"AZURE_CLIENT_ID": uami.clientID, "AZURE_FEDERATED_TOKEN_FILE": token}, uami.clientID, false},
		"App Service":                         {"--managed-identity", map[string]string{"IDENTITY_ENDPOINT": host.URL + "/msi/token", "IDENTITY_HEADER": host.header}, uami.clientID, false},
		"App Service, by client":              {"--managed-identity --client-id " + uami.clientID, map[string]string{"IDENTITY_ENDPOINT": host.URL + "/msi/token", "IDENTITY_HEADER": host.header}, uami.clientID, false},
		"IMDS":                                {"--managed-identity", map[string]string{"HTTP_PROXY": host.URL}, uami.clientID, false},
		"IMDS, by client":                     {"--managed-identity --client-id " + uami.clientID, map[string]string{"HTTP_PROXY": host.URL}, uami.clientID, false},
	} {
		t.Run(name, func(t *testing.T) {
			contexts := filepath.Join(t.TempDir(), "contexts.json")
			me := shell{t, map[string]string{"ENTENTE_CONFIG": contexts}}
			maps.Copy(me.env, k.env)
			var told strings.Builder
			ends := func(line string, texts ...string) said {
				t.Helper()
				got := me.ends(0, line, texts...)
				told.WriteString(got.out + got.stderr)
				return got
			}
			ends("context add lab --url " + s.Authority + " --ca " + s.CAFile + " --tenant " + s.TenantID + " --subscription " + s.SubscriptionID)
			ends("login "+k.login, "logged in to lab", k.who)

			ends("whoami", k.who)
			ends("context show lab -o json")
			ends("fic list --application robot", subject)
			ends("fic list --managed-identity cat -g pets", subject, "used 1 of 20")
			ends("fic create by-"+strings.NewReplacer(" ", "-", ",", "", "#", "").Replace(name)+" --application robot --no-check --dry-run --issuer https://x.example/ --subject x", "dry run: would have created")
			ends("sa create phase fi --dry-run --managed-identity-name cat -g pets --service-account-namespace pets --service-account-name new --service-account-issuer-url "+issuer.URL(), "would add the federated credential")
			ends("sa create phase app --debug --dry-run --aad-application-name robot", "previously created")
			ends("export --managed-identity pets/cat", "- name: cat")
			ends("plan -f "+keep("state.yaml", "managedIdentities: [{name: cat, resourceGroup: pets}]\n"), "nothing to do")

			files, err := filepath.Glob(strings.TrimSuffix(contexts, ".json") + "*")
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range files {
				text := read(t, file)
				if strings.HasSuffix(file, ".secrets.json") && k.kept {
					if !strings.Contains(text, secret) {
						t.Errorf("the secret is not kept: %s", text)
					}
					text = strings.ReplaceAll(text, secret, "")
				}
				told.WriteString(text)
			}
			for _, one := range secrets {
				if strings.Contains(told.String(), one) {
					t.Errorf("%s… can be seen in\n%s", one[:12], told.String())
				}
			}
			ends("logout", "nobody is logged in to lab any more")
			me.ends(4, "fic list --application robot", "nobody is logged in to lab")
			if text, err := os.ReadFile(strings.TrimSuffix(contexts, ".json") + ".secrets.json"); err == nil && bytes.Contains(text, []byte(secret)) {
				t.Error("the secret stays after logout")
			}
		})
	}
	for _, one := range secrets {
		if text := read(t, filepath.Join(dir, "parents")) + read(t, filepath.Join(dir, "az")); strings.Contains(text, one) {
			t.Errorf("%s… is seen among processes:\n%s", one[:12], text)
		}
		if strings.Contains(s.Log(), one) {
			t.Errorf("%s… is in the service's log", one[:12])
		}
	}
	host.Close() // so that nothing asks any more
	host.mu.Lock()
	defer host.mu.Unlock()
	slices.Sort(host.asked)
	want := []string{"app service /msi/token ", "app service /msi/token " + uami.clientID, "imds /metadata/identity/oauth2/token ", "imds /metadata/identity/oauth2/token " + uami.clientID}
	slices.Sort(want)
	if got := slices.Compact(host.asked); !slices.Equal(got, want) {
		t.Errorf("the machine was asked %q, want %q", got, want)
	}
	if args := read(t, filepath.Join(dir, "az")); !strings.Contains(args, "account get-access-token") || !strings.Contains(args, "--tenant "+s.TenantID) {
		t.Errorf("az %s", args)
	}

	// What does not hold is said, and not kept.
	me := shell{t, map[string]string{"ENTENTE_CONFIG": filepath.Join(t.TempDir(), "contexts.json")}}
	me.ends(0, "context add lab --url "+s.Authority+" --ca "+s.CAFile)
	for line, env := range map[string]map[string]string{
		"login --managed-identity": {"IDENTITY_ENDPOINT": host.URL + "/msi/token", "IDENTITY_HEADER": "wrong"},
		"login --use-az":           {"PATH": t.TempDir()},
		"login --use-environment":  {"AZURE_CLIENT_ID": app.AppID, "AZURE_CLIENT_CERTIFICATE_PATH": pfx, "AZURE_CLIENT_CERTIFICATE_PASSWORD": "wrong"},
	} {
		somebody := shell{t, maps.Clone(me.env)}
		maps.Copy(somebody.env, env)
		got := somebody.run("", line)
		if got.code == 0 || got.out != "" || !strings.HasPrefix(got.stderr, "error: ") {
			t.Errorf("%s: %+v", line, got)
		}
		me.ends(4, "whoami", "nobody is logged in to lab")
	}
}
