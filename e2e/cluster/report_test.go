package cluster

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/testkit"
	"github.com/entente-id/entente/internal/testkit/controlplane"
)

// blocks are the code blocks of a language in the guide.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/guides/clusters.md")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		all = append(all, m[1])
	}
	return all
}

// deployment is what is read of the guide's.
type deployment struct {
	Spec struct {
		Template struct {
			Spec corev1.PodSpec
		}
	}
}

// The guide is followed: who the agent is and what it may do by its commands,
// the agent by its manifest. What the agent's pod would run is run with the
// arguments, the environment and the tokens that the pod would have: it reports
// its cluster, and can do nothing else here or there.
func TestReportAsTheGuideSays(t *testing.T) {
	c := controlplane.Start(t, controlplane.Config{ControllerManager: true})
	k := newClinic(t, c, private(t, c.Authority)...)
	issuer := c.Issuer
	group := client.ResourceGroupID{SubscriptionID: k.s.SubscriptionID, Name: "pets"}
	if _, _, err := k.admin.PutResourceGroup(t.Context(), group, client.ResourceSpec{Location: "local"}); err != nil {
		t.Fatal(err)
	}
	id := client.ClusterID{SubscriptionID: k.s.SubscriptionID, ResourceGroup: "pets", Name: "prod"}
	other := client.ClusterID{SubscriptionID: k.s.SubscriptionID, ResourceGroup: "pets", Name: "other"}
	for _, id := range []client.ClusterID{id, other} {
		if _, _, err := k.admin.PutCluster(t.Context(), id, client.ClusterSpec{Location: "local", Issuer: &client.ClusterIssuerSpec{URL: issuer}}); err != nil {
			t.Fatal(err)
		}
	}
	c.ServiceAccount(t, "pets", "cat")
	c.ServiceAccount(t, "entente-system", "default")

	// Who it is.
	setUp := blocks(t, "sh")[slices.IndexFunc(blocks(t, "sh"), func(b string) bool { return strings.Contains(b, "Cluster Reporter") })]
	env := append(slices.Clone(k.env), "ISSUER="+issuer, "ENTENTE_DATA_DIR="+k.s.Dir)
	if out, err := command(t, env, "sh", "-euc", setUp); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	app, err := k.admin.ApplicationByName(t.Context(), "prod-reporter")
	if err != nil {
		t.Fatal(err)
	}

	// Where it runs.
	manifest := strings.NewReplacer("https://HOST", k.s.Authority, "value: TENANT", "value: "+k.s.TenantID, "value: CLIENT", "value: "+app.AppID).Replace(blocks(t, "yaml")[0])
	kubectl := filepath.Join(controlplane.Programs(t), "kubectl")
	apply := exec.CommandContext(t.Context(), kubectl, "apply", "-f", "-")
	apply.Env, apply.Stdin = k.env, strings.NewReader(manifest)
	if out, err := apply.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var d deployment
	text, err := command(t, k.env, kubectl, "get", "deployment", "entente-reporter", "-n", "entente-system", "-o", "json")
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	spec := d.Spec.Template.Spec
	run, projected := spec.Containers[0], spec.Volumes[0].Projected.Sources[0].ServiceAccountToken
	inPod := []string{"HOME=" + t.TempDir(), "KUBECONFIG=" + as(t, c, c.Token(t, "entente-system", spec.ServiceAccountName))}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(c.Token(t, "entente-system", spec.ServiceAccountName, projected.Audience)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, v := range run.Env {
		switch v.Name {
		case "AZURE_FEDERATED_TOKEN_FILE":
			v.Value = file
		case "ENTENTE_CA":
			v.Value = k.s.CAFile
		}
		inPod = append(inPod, v.Name+"="+v.Value)
	}

	agent := exec.CommandContext(t.Context(), testkit.Program, append(run.Args, "--every=1s")...)
	agent.Env = inPod
	var log strings.Builder
	agent.Stderr = &log
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	stop := func() {
		if ended {
			return
		}
		ended = true
		_ = agent.Process.Signal(os.Interrupt)
		if err := agent.Wait(); err != nil {
			t.Errorf("the agent ends with %v\n%s", err, log.String())
		}
	}
	t.Cleanup(stop)
	reported := func(want ...client.ServiceAccount) {
		t.Helper()
		var got []client.ServiceAccount
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
			all, err := k.admin.ServiceAccounts(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			got = slices.DeleteFunc(all, func(a client.ServiceAccount) bool { return a.Namespace != "pets" })
			if cmp.Equal(got, want) {
				return
			}
		}
		t.Fatalf("reported are %v, want %v\n%s", got, want, log.String())
	}
	cat, dog := client.ServiceAccount{Namespace: "pets", Name: "cat"}, client.ServiceAccount{Namespace: "pets", Name: "dog"}
	byDefault := client.ServiceAccount{Namespace: "pets", Name: "default"}
	reported(cat, byDefault)
	c.ServiceAccount(t, "pets", "dog")
	reported(cat, byDefault, dog)
	core := c.Client(t).CoreV1().ServiceAccounts("pets")
	annotated, err := core.Get(t.Context(), "dog", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	annotated.Annotations = map[string]string{"azure.workload.identity/client-id": app.AppID}
	if _, err := core.Update(t.Context(), annotated, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	dog.ClientID = app.AppID
	reported(cat, byDefault, dog)
	if err := core.Delete(t.Context(), "cat", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	reported(byDefault, dog)
	stop()
	all, err := k.admin.ServiceAccounts(t.Context(), id)
	if err != nil || !slices.Contains(all, client.ServiceAccount{Namespace: "kube-system", Name: "default"}) {
		t.Errorf("of all namespaces there are %v (%v)", all, err)
	}

	// What else it can do.
	for name, args := range map[string][]string{
		"report another cluster":      {"cluster", "report", "other", "-g", "pets"},
		"read its cluster":            {"cluster", "show", "prod", "-g", "pets"},
		"delete its cluster":          {"cluster", "delete", "prod", "-g", "pets", "--yes"},
		"set the keys of its cluster": {"cluster", "update-keys", "prod", "-g", "pets", "--from-cluster"},
	} {
		out, err := command(t, inPod, testkit.Program, args...)
		if e, ok := errors.AsType[*exec.ExitError](err); !ok || e.ExitCode() != 4 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	mine := c.ClientAs(t, c.Token(t, "entente-system", spec.ServiceAccountName))
	for name, err := range map[string]error{
		"secrets":     second(mine.CoreV1().Secrets("").List(t.Context(), metav1.ListOptions{})),
		"namespaces":  second(mine.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})),
		"an account":  second(mine.CoreV1().ServiceAccounts("pets").Get(t.Context(), "dog", metav1.GetOptions{})),
		"new account": second(mine.CoreV1().ServiceAccounts("pets").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{})),
		"a role":      second(mine.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{})),
	} {
		if err == nil {
			t.Errorf("the agent may do with Kubernetes: %s", name)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func command(t *testing.T, env []string, program string, args ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = env
	return cmd.CombinedOutput()
}

// as is a kubeconfig of whoever holds a token of the cluster's.
func as(t *testing.T, c *controlplane.Cluster, token string) string {
	t.Helper()
	text, err := os.ReadFile(c.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	config["users"].([]any)[0].(map[string]any)["user"] = map[string]string{"token": token}
	if text, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
