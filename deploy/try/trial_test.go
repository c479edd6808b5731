package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	volume(t, c)
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
	for _, time := range []string{"first", "second"} { // what is there is changed
		if err := trial.run(t.Context()); err != nil {
			t.Fatalf("%s time: %v\n%s", time, err, c.Story(t, system))
		}
	}

	pod := c.Create(t, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "pets", Name: "token", Labels: map[string]string{"azure.workload.identity/use": "true"}},
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

// volume is one for the service's claim; nothing here makes any.
func volume(t *testing.T, c *node.Cluster) {
	t.Helper()
	dir := t.TempDir()
	// As kind's are; nobody gives it to the group of the pod.
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	_, err := c.Client(t).CoreV1().PersistentVolumes().Create(t.Context(), &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "disk"},
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
