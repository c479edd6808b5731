package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/localissuer"
	"github.com/entente-id/entente/internal/testkit"
	"github.com/entente-id/entente/internal/testkit/controlplane"
)

// shell is somebody with the program and an environment of their own.
type shell struct {
	*testing.T
	env map[string]string
}

// said is what a command line left behind.
type said struct {
	code        int
	out, stderr string
}

func (s shell) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(s.Context(), testkit.Program, args...)
	cmd.Env = []string{"HOME=" + s.TempDir()}
	for name, value := range s.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	testkit.EndWithUs(cmd)
	return cmd
}

// run runs a command line of words without spaces.
func (s shell) run(stdin, line string) said {
	s.Helper()
	cmd := s.command(strings.Fields(line)...)
	var out, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		s.Fatalf("%s: %v", line, err)
	}
	return said{cmd.ProcessState.ExitCode(), out.String(), stderr.String()}
}

// ends fails the test unless a command line ends with a code, and what it printed
// has these texts in it.
func (s shell) ends(code int, line string, texts ...string) said {
	s.Helper()
	got := s.run("", line)
	if got.code != code {
		s.Fatalf("entente %s\nends with %d, want %d\n%s%s", line, got.code, code, got.out, got.stderr)
	}
	for _, text := range texts {
		if !strings.Contains(got.out+got.stderr, text) {
			s.Errorf("entente %s\nsays\n%s%s\nwant %q in it", line, got.out, got.stderr, text)
		}
	}
	return got
}

// clusterOutput is what the verbs on clusters print with -o json.
type clusterOutput struct {
	ID, Name, ResourceGroup, Location, ClusterID string
	Issuer                                       *struct {
		URL, KeySource, IssuerID string
		KeyIDs                   []string
	}
}

func (s shell) cluster(line string) (c clusterOutput) {
	s.Helper()
	got := s.ends(0, line+" -o json")
	if err := json.Unmarshal([]byte(got.out), &c); err != nil {
		s.Fatalf("entente %s: %v\n%s", line, err, got.out)
	}
	return c
}

// kubeAPI is an issuer that stands for a cluster's API server, and a kubeconfig.
func kubeAPI(t *testing.T) (*localissuer.Issuer, string) {
	t.Helper()
	issuer, _ := cluster(t)
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: %q, certificate-authority-data: %s}}]\nusers: [{name: u, user: {token: t}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\ncurrent-context: c\n",
		issuer.URL(), base64.StdEncoding.EncodeToString(issuer.CAPEM()))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return issuer, file
}

// named makes tokens have another issuer than the URL where its keys are.
func named(url string) func(*localissuer.Token) {
	return func(k *localissuer.Token) { k.Issuer = &url }
}

// A cluster from its registration to its deletion, by a person at a shell.
func TestClusterVerbs(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "--resources", "any")
	me := shell{t, map[string]string{"ENTENTE_DATA_DIR": s.Dir}}
	issuer, kubeconfig := kubeAPI(t)

	me.ends(0, "cluster list", "NAME   RESOURCE GROUP   KEYS   ISSUER")
	me.ends(3, "cluster show prod -g pets", "hint: entente cluster list")
	me.ends(0, "cluster register prod -g pets --hosted --dry-run", "dry run: would have made the resource group", "dry run: would have registered")
	me.ends(0, "cluster list -o json", "[]\n")
	registered := me.ends(0, "cluster register prod -g pets --hosted", `made the resource group "pets"`, `registered the cluster "prod"`, "entente cluster update-keys prod -g pets --from-cluster")
	prod := me.cluster("cluster show prod -g pets")
	url := prod.Issuer.URL
	if url != s.Authority+"/oic/"+s.TenantID+"/"+prod.ClusterID+"/" || prod.Issuer.KeySource != "Hosted" || prod.ResourceGroup != "pets" || prod.Location != "local" {
		t.Errorf("registered: %+v", prod)
	}
	for _, flag := range []string{"--service-account-issuer=" + url + "\n", "--service-account-jwks-uri=" + url + "openid/v1/jwks\n"} {
		if !strings.Contains(registered.stderr, flag) {
			t.Errorf("the API server's flag %s is not among\n%s", flag, registered.stderr)
		}
	}
	me.ends(0, "cluster register prod -g pets --hosted", `there was already the cluster "prod"`)
	me.ends(1, "cluster register prod -g pets --issuer https://other.example/", "409 PropertyChangeNotAllowed", "hint: entente cluster show prod -g pets")

	// Its keys, before anybody can have them from it.
	_, app := application(t, s.AsAdmin(t), "workload", url)
	if _, err := s.exchange(t, app.clientID, mint(t, issuer, named(url)), vault+"/.default"); err == nil {
		t.Error("a token is taken before there are keys")
	}
	update := "cluster update-keys prod -g pets --from-cluster --kubeconfig " + kubeconfig
	me.ends(0, update+" --dry-run", "dry run, keys of prod: added ", "--service-account-issuer="+url)
	me.ends(0, update, "keys of prod: added ", "tokens of this cluster will be refused: they name the issuer "+issuer.URL()+", until its API server is started with --service-account-issuer=")
	issuer.SetFaults(localissuer.Faults{DiscoveryIssuer: url}) // the API server is restarted with the flag
	if again := me.ends(0, update); again.out != "keys of prod: unchanged\n" || again.stderr != "" {
		t.Errorf("the same keys again: %+v", again)
	}
	if _, err := s.exchange(t, app.clientID, mint(t, issuer, named(url)), vault+"/.default"); err != nil {
		t.Error(err)
	}
	var published struct{ Keys []struct{ Kid string } }
	if err := json.Unmarshal(issuer.JWKS(), &published); err != nil {
		t.Fatal(err)
	}
	if ids := me.cluster("cluster show prod -g pets").Issuer.KeyIDs; len(ids) != 1 || ids[0] != published.Keys[0].Kid {
		t.Errorf("the keys are %q", ids)
	}

	// What must not be sent is not.
	secret := strings.Replace(string(issuer.JWKS()), `"use":"sig"`, `"use":"sig","d":"AQAB"`, 1)
	before := s.Log()
	if got := me.run(secret, "cluster update-keys prod -g pets --keys -"); got.code != 1 || !strings.Contains(got.stderr, "error: --keys: standard input: there is a private key in it, which must not be sent\nhint: ") {
		t.Errorf("a private key: %+v", got)
	}
	if strings.Contains(strings.TrimPrefix(s.Log(), before), "updateKeys") {
		t.Error("a private key was sent")
	}

	// The other kinds. An issuer of its own, whose keys are given with it, stays
	// when the cluster goes.
	const lab = "cluster register lab -g pets --issuer https://lab.example/ --keys - -o json"
	if got := me.run(string(issuer.JWKS()), lab); got.code != 0 || !strings.Contains(got.out, `"keySource": "KeySet"`) {
		t.Errorf("%s: %+v", lab, got)
	}
	me.ends(0, "cluster register edge -g other --location north --issuer https://edge.example", `"other" (location north)`)
	me.ends(0, "cluster register bare -g pets --no-issuer", "none")
	me.ends(1, "cluster update-keys bare -g pets --from-cluster --kubeconfig "+kubeconfig, "its keys are not uploaded ones")
	if got := me.ends(0, "cluster list -o name"); !slices.Equal(slices.Sorted(strings.FieldsSeq(got.out)), []string{"bare", "edge", "lab", "prod"}) {
		t.Errorf("all: %q", got.out)
	}
	if got := me.ends(0, "cluster list -g other"); got.out != "NAME   RESOURCE GROUP   KEYS        ISSUER\nedge   other            Discovery   https://edge.example\n" {
		t.Errorf("of a group:\n%s", got.out)
	}
	me.ends(0, "cluster show prod -g pets -o yaml", "\n  url: "+url+"\n")

	// Deleting, which nobody confirms here.
	me.ends(2, "cluster delete prod -g pets", "hint: --yes deletes without asking")
	me.ends(1, "cluster delete prod -g pets --yes", "409 IssuerInUse", "hint: delete those credentials")
	me.ends(0, "cluster delete lab -g pets --yes --dry-run", `dry run: would delete the cluster "lab"`)
	me.ends(0, "cluster delete lab -g pets --yes", `deleted the cluster "lab"`)
	me.ends(0, "cluster delete lab -g pets --yes", `nothing to delete: there is no cluster "lab" in the resource group "pets"`)
	me.ends(3, "cluster show lab -g pets", `there is no cluster "lab"`, "hint: entente cluster list")
	if i, err := s.AsAdmin(t).Issuers(t.Context()); err != nil || !slices.ContainsFunc(i, func(i client.Issuer) bool { return i.Issuer == "https://lab.example/" }) {
		t.Errorf("issuers are %+v, %v", i, err)
	}

	// Somebody else.
	stranger := shell{t, maps.Clone(me.env)}
	a, w := application(t, s.AsAdmin(t), "stranger", "")
	maps.Copy(stranger.env, map[string]string{"ENTENTE_URL": s.Authority, "ENTENTE_CA": s.CAFile, "AZURE_CLIENT_ID": a.AppID, "AZURE_CLIENT_SECRET": withSecret(t, s.AsAdmin(t), a)})
	stranger.ends(4, "cluster list", "sees no subscription")
	stranger.ends(3, "cluster show prod -g pets --subscription "+s.SubscriptionID, "there is no subscription "+s.SubscriptionID, "hint: --subscription ID")
	assign(t, s.AsAdmin(t), w, client.ResourceGroupID{SubscriptionID: s.SubscriptionID, Name: "pets"}, "Reader")
	stranger.ends(0, "cluster list -g pets", "prod")
	stranger.ends(4, "cluster delete prod -g pets --yes", "403 AuthorizationFailed", "hint: client "+a.AppID)
	stranger.env["AZURE_CLIENT_SECRET"] = "wrong"
	stranger.ends(4, "cluster list", "AADSTS7000215", "hint: AZURE_CLIENT_ID")
	stranger.ends(0, "cluster list --data-dir "+s.Dir, "prod")
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	me.ends(1, "cluster list", "hint: nothing answers at "+s.Authority)
}

// lines is a process whose log is read line by line.
type lines struct {
	*exec.Cmd
	t    *testing.T
	text chan string
}

// follow starts a process and reads its standard error.
func follow(t *testing.T, cmd *exec.Cmd) lines {
	t.Helper()
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	l := lines{cmd, t, make(chan string, 100)}
	go func() {
		defer close(l.text)
		for scanner := bufio.NewScanner(pipe); scanner.Scan(); {
			l.text <- scanner.Text()
		}
	}()
	return l
}

// until reads on to a line with a text in it.
func (l lines) until(text string) {
	l.t.Helper()
	late := time.After(time.Minute)
	var read []string
	for {
		select {
		case line, ok := <-l.text:
			if !ok {
				l.t.Fatalf("it ended without %q:\n%s", text, strings.Join(read, "\n"))
			}
			if read = append(read, line); strings.Contains(line, text) {
				return
			}
		case <-late:
			l.t.Fatalf("it does not say %q:\n%s", text, strings.Join(read, "\n"))
		}
	}
}

// A workload of the cluster keeps the cluster's keys up to date, with no secret and
// no right beyond that, through two rotations and a restart of the service.
func TestKeysFollowTheCluster(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := serve(t, dir, "--resources", "any")
	admin := s.AsAdmin(t)
	ctx := context.WithoutCancel(t.Context())
	issuer, kubeconfig := kubeAPI(t)
	me := shell{t, map[string]string{"ENTENTE_DATA_DIR": s.Dir}}
	me.ends(0, "cluster register prod -g pets --hosted")
	me.ends(0, "cluster update-keys prod -g pets --from-cluster --kubeconfig "+kubeconfig)
	prod := me.cluster("cluster show prod -g pets")
	url := prod.Issuer.URL
	issuer.SetFaults(localissuer.Faults{DiscoveryIssuer: url})

	robot, asRobot := application(t, admin, "keys", "")
	if _, err := admin.CreateApplicationCredential(ctx, robot.ID, client.FederatedCredential{Name: "prod", Issuer: url, Subject: "system:serviceaccount:entente:keys", Audiences: []string{audience}}); err != nil {
		t.Fatal(err)
	}
	for scope, role := range map[string]string{prod.ID: "Reader", prod.Issuer.IssuerID: "Federation Administrator"} {
		definition, err := admin.RoleDefinitionByName(ctx, scope, role)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := admin.PutRoleAssignment(ctx, scope, client.RoleAssignmentSpec{RoleDefinitionID: definition.ID, PrincipalID: asRobot.principalID}); err != nil {
			t.Fatal(err)
		}
	}
	projected := filepath.Join(t.TempDir(), "token")
	refresh := func() { // as the kubelet does
		token := mint(t, issuer, named(url), func(k *localissuer.Token) { k.Namespace, k.ServiceAccount = "entente", "keys" })
		if err := os.WriteFile(projected, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	refresh()
	pod := shell{t, map[string]string{
		"ENTENTE_URL": s.Authority, "SSL_CERT_FILE": s.CAFile, "KUBECONFIG": kubeconfig,
		"AZURE_CLIENT_ID": asRobot.clientID, "AZURE_TENANT_ID": s.TenantID, "AZURE_FEDERATED_TOKEN_FILE": projected, "AZURE_SUBSCRIPTION_ID": s.SubscriptionID,
	}}
	watch := follow(t, pod.command("cluster", "update-keys", "prod", "-g", "pets", "--from-cluster", "--watch", "--every", "1s", "--log-format", "json"))
	watch.until(`"msg":"keys unchanged"`)

	_, app := application(t, admin, "workload", url)
	use := func(want bool) {
		t.Helper()
		if _, err := s.exchange(t, app.clientID, mint(t, issuer, named(url)), vault+"/.default"); (err == nil) != want {
			t.Errorf("a token of the cluster: %v, want it taken: %v", err, want)
		}
	}
	use(true)
	old := mint(t, issuer, named(url))
	if err := issuer.Rotate(); err != nil {
		t.Fatal(err)
	}
	watch.until(`"msg":"keys added `)
	use(true)
	refresh()
	issuer.Withdraw()
	watch.until(`"msg":"keys removed `)
	use(true)
	if _, err := s.exchange(t, app.clientID, old, vault+"/.default"); err == nil {
		t.Error("a token of a withdrawn key is taken")
	}

	// The service is away, and the cluster rotates meanwhile.
	address := strings.TrimPrefix(s.Authority, "https://localhost")
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if err := issuer.Rotate(); err != nil {
		t.Fatal(err)
	}
	watch.until(`"level":"ERROR","msg":"keys were not updated"`)
	s = serve(t, dir, "--resources", "any", "--listen", "127.0.0.1"+address)
	watch.until(`"msg":"keys added `)
	use(true)

	// It cannot do more.
	for line, what := range map[string]string{
		"cluster delete prod -g pets --yes":                                                "managedClusters/delete",
		"cluster register prod -g pets --hosted":                                           "403 AuthorizationFailed",
		"cluster register other -g pets --issuer https://other.example/ --keys /dev/stdin": "",
	} {
		got := pod.run(string(issuer.JWKS()), line)
		if got.code != 4 || !strings.Contains(got.stderr, what) {
			t.Errorf("the robot: entente %s: %+v", line, got)
		}
	}
	if err := watch.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for line := range watch.text {
		if strings.Contains(line, "ERROR") {
			t.Error(line)
		}
	}
	if err := watch.Wait(); err != nil {
		t.Errorf("the watch ended with %v", err)
	}

	// A watch that cannot work says so at once.
	pod.env["AZURE_CLIENT_ID"] = "00000000-0000-4000-8000-00000000dead"
	pod.ends(4, "cluster update-keys prod -g pets --from-cluster --watch", "AADSTS700016", "hint: ")
	if got, want := me.cluster("cluster show prod -g pets"), prod; got.Issuer.URL != want.Issuer.URL || got.ClusterID != want.ClusterID {
		t.Error(cmp.Diff(want, got))
	}
}

// A real API server that is started with the issuer which is hosted for it: its
// tokens are taken, also after it has other keys, and it need not be reachable.
func TestHostedIssuerOfAnAPIServer(t *testing.T) {
	t.Parallel()
	controlplane.Programs(t)
	s := serve(t, t.TempDir(), "--resources", "any")
	me := shell{t, map[string]string{"ENTENTE_DATA_DIR": s.Dir}}
	me.ends(0, "cluster register prod -g pets --hosted")
	url := me.cluster("cluster show prod -g pets").Issuer.URL
	_, app := application(t, s.AsAdmin(t), "workload", url)
	c := controlplane.Start(t, controlplane.Config{Issuer: url, JWKSURI: url + "openid/v1/jwks"})
	c.ServiceAccount(t, "pets", "workload-identity-sa")
	for _, change := range []string{"added ", "; removed "} {
		token := c.Token(t, "pets", "workload-identity-sa", audience)
		if _, err := s.exchange(t, app.clientID, token, vault+"/.default"); err == nil {
			t.Error("a token is taken before its key is known")
		}
		if got := me.ends(0, "cluster update-keys prod -g pets --from-cluster --kubeconfig "+c.Kubeconfig, "keys of prod: added ", change); got.stderr != "" {
			t.Errorf("it warns: %s", got.stderr)
		}
		if _, err := s.exchange(t, app.clientID, token, vault+"/.default"); err != nil {
			t.Error(err)
		}
		_, _, hosted := s.get(t, strings.TrimPrefix(url, s.Authority)+"openid/v1/jwks")
		var published map[string]any
		if err := json.Unmarshal(c.KeySet(t), &published); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(published, hosted); diff != "" {
			t.Errorf("the service publishes other keys than the API server: %s", diff)
		}
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		c.Keys = []crypto.Signer{key}
		c.Restart(t)
	}
}
