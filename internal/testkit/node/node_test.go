package node_test

import (
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/entente-id/entente/internal/testkit/controlplane"
	"github.com/entente-id/entente/internal/testkit/node"
)

func TestMain(m *testing.M) { os.Exit(node.Main(m)) }

// A pod runs, with a token that kubelet mounted and the cluster's API server behind its service address.
func TestPod(t *testing.T) {
	c := node.Start(t, controlplane.Config{})
	c.ImportImage(t, "localhost/whoami:test", node.Program(t, "github.com/entente-id/entente/internal/testkit/node/testdata/whoami", "whoami"))
	c.Namespace(t, metav1.ObjectMeta{Name: "pets"})
	c.ServiceAccount(t, "pets", "cat")
	pod := c.Create(t, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "pets", Name: "cat"},
		Spec: corev1.PodSpec{
			ServiceAccountName: "cat", RestartPolicy: corev1.RestartPolicyNever,
			Containers: []corev1.Container{{Name: "whoami", Image: "localhost/whoami:test"}},
		},
	})
	phase, out := c.Ended(t, pod.Namespace, pod.Name), c.Logs(t, pod.Namespace, pod.Name, "whoami")
	if phase != corev1.PodSucceeded || !strings.Contains(out, `"username":"system:serviceaccount:pets:cat"`) {
		t.Errorf("the pod %s and wrote %s", phase, out)
	}
}
