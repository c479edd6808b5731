package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/entente-id/entente/deploy/internal/helm"
	"github.com/entente-id/entente/deploy/internal/tree"
	_ "github.com/entente-id/entente/internal/cli" // what the images are made of
	_ "github.com/entente-id/entente/internal/proxy"
	"github.com/entente-id/entente/internal/testkit/controlplane"
	"github.com/entente-id/entente/internal/testkit/node"
	_ "github.com/entente-id/entente/internal/webhook"
)

func TestMain(m *testing.M) { os.Exit(node.Main(m, prepare)) }

// prepare builds Helm where there is a network.
func prepare() error {
	root, err := tree.Root(context.Background())
	if err == nil {
		_, err = helm.Open(context.Background(), root)
	}
	if errors.Is(err, helm.ErrAbsent) {
		return nil // Open will say so again
	}
	return err
}

// From a cluster with nothing in it to a token in an unmodified pod.
func TestTrial(t *testing.T) {
	for _, dir := range []string{"../chart/entente", "../chart/entente/templates", "."} { // what the result depends on
		names, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			if !n.IsDir() {
				if _, err := os.ReadFile(filepath.Join(dir, n.Name())); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	c := node.Start(t, controlplane.Config{ControllerManager: true})
	c.Namespace(t, metav1.ObjectMeta{Name: system, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}})
	c.ImportImage(t, "localhost/token:test", node.Program(t, "github.com/entente-id/entente/e2e/pods/token", "token"))
	volume(t, c, "one")
	volume(t, c, "two")
	t.Setenv("KUBECONFIG", c.Kubeconfig)
	t.Setenv("PATH", controlplane.Programs(t)+string(os.PathListSeparator)+os.Getenv("PATH"))

	// There is no name service here.
	const address = "10.96.0.50"
	trial := trial{
		Namespace: "pets", ServiceAccount: "cat", Log: testLog{t},
		Load: []string{"ctr", "--address", "/run/containerd.sock", "--namespace", "k8s.io", "images", "import"},
		Set: []string{"server.service.clusterIP=" + address, "server.publicURL=https://" + address,
			"server.clusterIssuer.jwksURI=https://10.96.0.1/openid/v1/jwks"},
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%v\n%s", err, c.Story(t, system))
		}
	}
	must(trial.run(t.Context()))
	token(t, c, "trial")

	// Once more from the beginning, in a cluster whose API server nobody asks for
	// its keys: an agent uploads them. It finds one too many, and takes it away.
	root, err := tree.Root(t.Context())
	must(err)
	h, err := helm.Open(t.Context(), root)
	must(err)
	tag := images(t, c)
	_, err = h.Run(t.Context(), "uninstall", "entente", "--namespace", system, "--wait")
	must(err)
	must(c.Client(t).CoreV1().PersistentVolumeClaims(system).Delete(t.Context(), "data-entente-0", metav1.DeleteOptions{}))
	must(c.Client(t).CoreV1().ServiceAccounts("pets").Delete(t.Context(), "cat", metav1.DeleteOptions{}))
	trial.Set = append(trial.Set, "server.clusterIssuer.enabled=false")
	must(trial.install(t.Context(), root, tag))
	trial.Set = append(trial.Set, register(t, c, "https://"+address)...)
	must(trial.install(t.Context(), root, tag))
	must(trial.identity(t.Context(), c.Issuer))
	c.Eventually(t, func() error {
		var cluster struct {
			Issuer struct {
				KeyIDs []string `json:"keyIds"`
			} `json:"issuer"`
		}
		out := inside(t, nil, "cluster", "show", "lab", "-g", "pets", "-o", "json")
		if err := json.Unmarshal([]byte(out), &cluster); err != nil {
			return err
		}
		if ids := cluster.Issuer.KeyIDs; len(ids) != 1 || ids[0] == "other" {
			return fmt.Errorf("the cluster has the keys %q: %s\n%s", ids, out, c.Story(t, system))
		}
		return nil
	})
	// The bundle of the first installation has the CA of that one, until the new webhook leads.
	c.Eventually(t, func() error {
		secret, err := c.Client(t).CoreV1().Secrets(system).Get(t.Context(), "entente-tls", metav1.GetOptions{})
		if err != nil {
			return err
		}
		bundle, err := c.Client(t).CoreV1().ConfigMaps("pets").Get(t.Context(), "entente-ca-bundle", metav1.GetOptions{})
		if err == nil && !strings.Contains(bundle.Data["ca-bundle.crt"], strings.TrimSpace(string(secret.Data["ca.crt"]))) {
			err = errors.New("the CA bundle is without the service's CA")
		}
		return err
	})
	token(t, c, "uploaded")
}

// images is the tag of those that the trial has loaded.
func images(t *testing.T, c *node.Cluster) string {
	t.Helper()
	d, err := c.Client(t).AppsV1().Deployments(system).Get(t.Context(), "entente-webhook", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	image := d.Spec.Template.Spec.Containers[0].Image
	return image[strings.LastIndexByte(image, ':')+1:]
}

// inside runs a command in the service's pod, as its administrator.
func inside(t *testing.T, stdin []byte, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "kubectl", append([]string{"exec", "--stdin", "--namespace", system, server, "--", "/entente"}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("entente %s: %v\n%s%s", strings.Join(args, " "), err, out, complaints.String())
	}
	return string(out) + complaints.String()
}

// register registers the cluster by uploaded keys, makes an application for the
// agent, and returns values of the chart that start it.
func register(t *testing.T, c *node.Cluster, url string) []string {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(c.KeySet(t), &set); err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	set.Keys = append(set.Keys, jose.JSONWebKey{Key: &other.PublicKey, KeyID: "other", Algorithm: "RS256", Use: "sig"})
	keys, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	inside(t, keys, "cluster", "register", "lab", "-g", "pets", "--issuer", c.Issuer, "--keys", "-")
	var cluster struct {
		ID     string `json:"id"`
		Issuer struct {
			ID string `json:"issuerId"`
		} `json:"issuer"`
	}
	out := inside(t, nil, "cluster", "show", "lab", "-g", "pets", "-o", "json")
	if err := json.Unmarshal([]byte(out), &cluster); err != nil || cluster.Issuer.ID == "" {
		t.Fatalf("%v: %s", err, out)
	}
	log := inside(t, nil, "serviceaccount", "create", "--skip-phases", "service-account,role-assignment", "--aad-application-name", "agent",
		"--service-account-issuer-url", c.Issuer, "--service-account-namespace", system, "--service-account-name", "entente-agent")
	client := regexp.MustCompile(`clientID=([0-9a-f-]{36})`).FindStringSubmatch(log)
	if client == nil {
		t.Fatalf("no client id in %s", log)
	}
	for scope, role := range map[string]string{cluster.ID: "Reader", cluster.Issuer.ID: "Federation Administrator"} {
		inside(t, nil, "serviceaccount", "create", "phase", "role-assignment", "--service-principal-name", "agent", "--azure-scope", scope, "--azure-role", role)
	}
	return []string{"agent.enabled=true", "agent.every=1s", "agent.url=" + url, "agent.ca.secretName=entente-tls",
		"agent.tenantID=7e57ab1e-0000-4000-8000-00000000c1c1", "agent.clientID=" + client[1], "agent.resourceGroup=pets", "agent.cluster=lab"}
}

// token has a pod of pets/cat get a token by an unmodified Azure SDK.
func token(t *testing.T, c *node.Cluster, name string) {
	t.Helper()
	pod := c.Create(t, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "pets", Name: name, Labels: map[string]string{"azure.workload.identity/use": "true"}},
		Spec: corev1.PodSpec{
			ServiceAccountName: "cat", RestartPolicy: corev1.RestartPolicyNever, DNSPolicy: corev1.DNSDefault,
			Containers: []corev1.Container{{Name: "app", Image: "localhost/token:test", Args: []string{"https://pets.example.org/.default"}}},
		},
	})
	phase, out := c.Ended(t, pod.Namespace, pod.Name), c.Logs(t, pod.Namespace, pod.Name, "app")
	var answer struct{ Token, Error string }
	if err := json.Unmarshal([]byte(out), &answer); err != nil || phase != corev1.PodSucceeded || strings.Count(answer.Token, ".") != 2 {
		t.Errorf("the pod %s and wrote %q (%v)\n%s", phase, out, err, c.Story(t, system))
	}
}

// volume is one for a claim of the service; nothing here makes any.
func volume(t *testing.T, c *node.Cluster, name string) {
	t.Helper()
	dir := t.TempDir()
	// As kind's are; nobody gives it to the group of the pod.
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	_, err := c.Client(t).CoreV1().PersistentVolumes().Create(t.Context(), &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: dir}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// testLog writes lines into the log of a test.
type testLog struct{ t *testing.T }

func (l testLog) Write(line []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(line)))
	return len(line), nil
}
