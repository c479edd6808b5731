package pods

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/entente-id/entente/internal/testkit/controlplane"
	"github.com/entente-id/entente/internal/testkit/node"
)

const system = "entente-system" // namespace of the release

// helmProgram tells the tests what buildHelm has found.
const helmProgram = "ENTENTE_PODS_HELM"

// buildHelm has go build Helm, or find it in its cache, as long as there is a network.
func buildHelm() error {
	tool := exec.CommandContext(context.Background(), "go", "-C", "../../deploy/helm", "tool", "-n", "helm")
	tool.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath", "GOWORK=off")
	var complaints bytes.Buffer
	tool.Stderr = &complaints
	out, err := tool.Output()
	if err != nil {
		fmt.Fprintf(os.Stderr, "build Helm: %v\n%s\n", err, complaints.Bytes())
		return nil // the tests that need it say so
	}
	return os.Setenv(helmProgram, string(bytes.TrimSpace(out)))
}

// webhook installs the chart, as people do who have an authority of their own.
func (w *town) webhook(t *testing.T) {
	t.Helper()
	helm := os.Getenv(helmProgram)
	if helm == "" {
		absent(t, fmt.Errorf("there is no Helm"))
	}
	w.ImportImage(t, "localhost/entente-webhook:test", node.Program(t, "github.com/entente-id/entente/cmd/entente-webhook", "entente-webhook"))
	w.ImportImage(t, "localhost/entente-proxy:test", node.Program(t, "github.com/entente-id/entente/cmd/entente-proxy", "entente-proxy"))
	w.Namespace(t, metav1.ObjectMeta{Name: system, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}})
	read(t, "../../deploy/chart/entente")
	ca := w.CAFile
	render := exec.Command(helm, "template", "entente", "../../deploy/chart/entente", "--namespace", system, "--kube-version", "1.34",
		"--set", "azureTenantID="+w.TenantID,
		"--set", "image.repository=localhost/entente-webhook", "--set", "image.release=test",
		"--set", "webhook.proxy.image.repository=localhost/entente-proxy", "--set", "webhook.proxy.image.release=test",
		"--set", "webhook.authority.host="+authority+"/", "--set-file", "webhook.authority.ca.pem="+ca,
		"--set", "customTokenEndpoint.annotationSuffix=identity-binding", "--set", "customTokenEndpoint.audience="+binding,
		"--set", "customTokenEndpoint.azureKubernetesTokenProxy="+authority, "--set-file", "customTokenEndpoint.azureKubernetesCaData="+ca,
	)
	render.Env = append(os.Environ(), "HELM_CONFIG_HOME="+t.TempDir(), "HELM_CACHE_HOME="+t.TempDir(), "HELM_DATA_HOME="+t.TempDir())
	var complaints bytes.Buffer
	render.Stderr = &complaints
	manifest, err := render.Output()
	if err != nil {
		t.Fatalf("helm template: %v\n%s", err, complaints.Bytes())
	}
	apply := exec.Command(filepath.Join(controlplane.Programs(t), "kubectl"), "--kubeconfig", w.Kubeconfig, "apply", "--namespace", system, "-f", "-")
	apply.Stdin = bytes.NewReader(manifest)
	if out, err := apply.CombinedOutput(); err != nil {
		t.Fatalf("kubectl apply: %v\n%s\n%s", err, out, manifest)
	}
	w.Available(t, system, "entente-webhook")
	// Ready is what the webhook is when pods can be made, and as what the API server sees it a moment later.
	w.Eventually(t, func() error {
		probe := w.pod("pets", "probe", "cat", "go")
		probe.Labels[use] = "true"
		made, err := w.Client(t).CoreV1().Pods("pets").Create(t.Context(), probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil && len(made.Spec.Containers[0].Env) == 0 {
			err = fmt.Errorf("the webhook is not called")
		}
		return err
	})
}

// use is the label that the webhook is called for.
const use = "azure.workload.identity/use"

// account makes a service account with annotations.
func (w *town) account(t *testing.T, namespace, name string, annotations map[string]string) {
	t.Helper()
	w.ServiceAccount(t, namespace, name)
	accounts := w.Client(t).CoreV1().ServiceAccounts(namespace)
	account, err := accounts.Get(t.Context(), name, metav1.GetOptions{})
	if err == nil {
		account.Annotations = annotations
		_, err = accounts.Update(t.Context(), account, metav1.UpdateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}
