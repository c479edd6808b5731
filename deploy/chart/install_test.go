package chart_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/entente-id/entente/deploy/internal/helm"
	"github.com/entente-id/entente/deploy/internal/manifest"
	"github.com/entente-id/entente/internal/testkit"
	"github.com/entente-id/entente/internal/testkit/controlplane"
	_ "github.com/entente-id/entente/internal/webhook" // the program that is built here is made of it
)

// place is a control plane without nodes: what is installed is admitted, and
// nothing runs but what a test starts.
type place struct {
	*controlplane.Cluster
	helm   *helm.Helm
	root   string
	bin    string // directory of kubectl
	client *kubernetes.Clientset
}

const namespace = "entente-system"

func settle(t *testing.T) place {
	h, root := open(t)
	c := controlplane.Start(t, controlplane.Config{})
	own := *h
	own.Env = []string{"KUBECONFIG=" + c.Kubeconfig}
	p := place{Cluster: c, helm: &own, root: root, bin: controlplane.Programs(t), client: c.Client(t)}
	// As strict as a namespace can be about pods.
	_, err := p.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: namespace, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p place) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := p.helm.Run(t.Context(), append(args, "--namespace", namespace)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func (p place) kubectl(t *testing.T, stdin []byte, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(p.bin, "kubectl"), append([]string{"--kubeconfig", p.Kubeconfig}, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kubectl %v: %v\n%s", args, err, complaints.Bytes())
	}
	return string(out)
}

// caBundle is that of the installed configuration; "" if its webhooks have different ones.
func (p place) caBundle(t *testing.T) (bundle string) {
	t.Helper()
	c, err := p.client.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(t.Context(), "entente-webhook", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Webhooks) != 2 {
		t.Errorf("the configuration has %d webhooks", len(c.Webhooks))
	}
	for n, w := range c.Webhooks {
		if n > 0 && string(w.ClientConfig.CABundle) != bundle {
			return ""
		}
		bundle = string(w.ClientConfig.CABundle)
	}
	return bundle
}

func (p place) secret(t *testing.T, name string) map[string][]byte {
	t.Helper()
	s, err := p.client.CoreV1().Secrets(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s.Data
}

// values turn everything on.
var values = []string{
	"--values", "testdata/all.yaml",
}

func TestInstall(t *testing.T) {
	p := settle(t)
	t.Run("by Helm", p.byHelm)
	t.Run("by manifests", p.byManifests)
}

func (p place) byHelm(t *testing.T) {
	out := p.run(t, append([]string{"install", "entente", chart}, values...)...)
	for _, want := range []string{"https://entente.entente-system.svc", "system:serviceaccount:entente-system:entente-agent", "Mode: adfs"} {
		if !strings.Contains(out, want) {
			t.Errorf("the notes do not say %q:\n%s", want, out)
		}
	}
	p.podsAreRestricted(t)
	certificateOf := p.secret(t, "entente-tls")
	if len(certificateOf["ca.crt"]) == 0 {
		t.Error("the chart made no certificate")
	}

	// The webhook, with the arguments and the rights that the chart gives it.
	log, end := p.startWebhook(t, certificateOf["ca.crt"])
	t.Run("the webhook has the rights that it needs", func(t *testing.T) { p.admit(t, log) })
	end()
	bundle, certificate := p.caBundle(t), p.secret(t, "entente-webhook-certificate")
	if bundle == "" || len(certificate) == 0 {
		t.Fatal("the webhook has written nothing")
	}
	unchanged := func(t *testing.T, after string, annotation string) {
		t.Helper()
		c, err := p.client.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(t.Context(), "entente-webhook", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if c.Annotations["changed-by"] != annotation {
			t.Errorf("after %s the configuration has the annotations %v", after, c.Annotations)
		}
		if p.caBundle(t) != bundle {
			t.Errorf("%s took the caBundle away", after)
		}
		if diff := fmt.Sprint(certificate) != fmt.Sprint(p.secret(t, "entente-webhook-certificate")); diff {
			t.Errorf("%s changed the webhook's certificate", after)
		}
	}
	for _, how := range []string{"--server-side=true", "--server-side=false", "--server-side=true"} {
		name := "upgrade" + strings.ReplaceAll(how, "=", "-")
		p.run(t, append(append([]string{"upgrade", "entente", chart}, values...), how, "--set", "logLevel=debug,mutatingWebhookAnnotations.changed-by="+name)...)
		unchanged(t, name, name)
		if fmt.Sprint(certificateOf) != fmt.Sprint(p.secret(t, "entente-tls")) {
			t.Errorf("%s changed the service's certificate", name)
		}
	}
	p.run(t, "rollback", "entente", "1")
	unchanged(t, "rollback", "")

	// Only a certificate that would not do any more is made anew.
	p.run(t, append(append([]string{"upgrade", "entente", chart}, values...), "--set", "server.publicURL=https://entente.example.org")...)
	if fmt.Sprint(certificateOf) == fmt.Sprint(p.secret(t, "entente-tls")) {
		t.Error("the service has a new name, and the certificate of the old one")
	}

	p.run(t, "uninstall", "entente")
	p.nothingIsLeft(t)
}

// nothingIsLeft looks for objects of every kind that the cluster has.
func (p place) nothingIsLeft(t *testing.T) {
	t.Helper()
	kinds := strings.Fields(p.kubectl(t, nil, "api-resources", "--verbs=list", "--output=name"))
	left := p.kubectl(t, nil, "get", strings.Join(kinds, ","), "--all-namespaces", "--selector", "app.kubernetes.io/instance=entente", "--output=name", "--ignore-not-found")
	if strings.TrimSpace(left) != "" {
		t.Errorf("after it was uninstalled there is\n%s", left)
	}
	if left := p.kubectl(t, nil, "get", "secrets,configmaps,leases,serviceaccounts,persistentvolumeclaims,services,roles", "--namespace", namespace, "--output=name"); strings.TrimSpace(left) != "" {
		t.Errorf("in its namespace there is\n%s", left)
	}
}

// podsAreRestricted has the API server admit a pod of each template, whose
// namespace enforces the pod security standard "restricted".
func (p place) podsAreRestricted(t *testing.T) {
	t.Helper()
	apps := p.client.AppsV1()
	deployments, err := apps.Deployments(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sets, err := apps.StatefulSets(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	templates := map[string]corev1.PodTemplateSpec{}
	for _, d := range deployments.Items {
		templates[d.Name] = d.Spec.Template
	}
	for _, s := range sets.Items {
		templates[s.Name] = s.Spec.Template
		// What a StatefulSet adds to its pods.
		s.Spec.Template.Spec.Volumes = append(s.Spec.Template.Spec.Volumes, corev1.Volume{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
		templates[s.Name] = s.Spec.Template
	}
	if len(templates) != 3 {
		t.Errorf("there are %d workloads, want the webhook, the service and the agent", len(templates))
	}
	for name, template := range templates {
		pod := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
		pod.Name = name + "-pod"
		if _, err := p.client.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
			t.Errorf("pod of %s: %v", name, err)
		}
		for _, c := range pod.Spec.Containers {
			if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
				t.Errorf("container %s of %s has no limit of memory, or no request of CPU", c.Name, name)
			}
		}
	}
}

// startWebhook starts the program outside of the cluster, as the service
// account and with the arguments of its Deployment.
func (p place) startWebhook(t *testing.T, authority []byte) (log string, end func()) {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "entente-webhook")
	build := exec.Command("go", "build", "-o", program, "github.com/entente-id/entente/cmd/entente-webhook")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the webhook: %v\n%s", err, out)
	}
	deployment, err := p.client.AppsV1().Deployments(namespace).Get(t.Context(), "entente-webhook", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(dir, "ca.crt")
	container := deployment.Spec.Template.Spec.Containers[0]
	instead := map[string]string{
		"--port=9443": "--port=0", "--health-addr=:9440": "--health-addr=127.0.0.1:0", "--metrics-addr=:8095": "--metrics-addr=127.0.0.1:0",
		"--ca-file=/etc/entente/authority/ca.crt": "--ca-file=" + ca,
	}
	var args []string
	for _, arg := range container.Args {
		if other, ok := instead[arg]; ok {
			delete(instead, arg)
			arg = other
		}
		args = append(args, arg)
	}
	if len(instead) > 0 {
		t.Fatalf("the Deployment's arguments are %q, without %v", container.Args, instead)
	}
	type named map[string]any
	kubeconfig, err := json.Marshal(named{
		"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"clusters": []named{{"name": "c", "cluster": named{"server": p.URL, "certificate-authority-data": p.Authority.PEM}}},
		"users":    []named{{"name": "u", "user": named{"token": p.Token(t, namespace, deployment.Spec.Template.Spec.ServiceAccountName)}}},
		"contexts": []named{{"name": "c", "context": named{"cluster": "c", "user": "u"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{ca: authority, filepath.Join(dir, "kubeconfig"): kubeconfig} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stderr = file
	cmd.Env = []string{"KUBECONFIG=" + filepath.Join(dir, "kubeconfig"), "HOME=" + dir}
	for _, e := range container.Env {
		if e.ValueFrom == nil {
			cmd.Env = append(cmd.Env, e.Name+"="+e.Value)
		}
	}
	testkit.EndWithUs(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end = sync.OnceFunc(func() {
		cancel()
		cmd.Wait()
		text, err := os.ReadFile(file.Name())
		if err != nil || bytes.Contains(text, []byte("forbidden")) || t.Failed() {
			t.Errorf("log of the webhook: %v\n%s", err, text)
		}
	})
	t.Cleanup(end)
	return file.Name(), end
}

// admit waits until the webhook serves by the certificate that the API server
// trusts, and asks it what the API server would ask for a pod.
func (p place) admit(t *testing.T, log string) {
	p.ServiceAccount(t, "pets", "cat")
	review := admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "1", Namespace: "pets", Operation: admissionv1.Create,
			Kind:     metav1.GroupVersionKind{Version: "v1", Kind: "Pod"},
			Resource: metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
			Object: runtime.RawExtension{Raw: []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"cat","namespace":"pets","labels":{"azure.workload.identity/use":"true"}},` +
				`"spec":{"serviceAccountName":"cat","containers":[{"name":"app","image":"app"}]}}`)},
		},
	}
	question, err := json.Marshal(review)
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		if review, err = p.ask(t, log, question); err == nil {
			break
		}
		if time.Now().After(end) || t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
	patch := string(review.Response.Patch)
	for _, want := range []string{"https://entente.entente-system.svc/", "AZURE_FEDERATED_TOKEN_FILE", `"adfs"`, "entente-ca-bundle"} {
		if !review.Response.Allowed || !strings.Contains(patch, want) {
			t.Errorf("the pod is answered by %+v, %s without %s", review.Response.Result, patch, want)
		}
	}
	if _, err := p.client.CoreV1().ConfigMaps("pets").Get(t.Context(), "entente-ca-bundle", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	// The lease shows that the sweeper, which needs a leader, has what it needs.
	for end := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		lease, err := p.client.CoordinationV1().Leases(namespace).Get(t.Context(), "entente-webhook", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if lease.Spec.HolderIdentity != nil && *lease.Spec.HolderIdentity != "" {
			return
		}
		if time.Now().After(end) {
			t.Fatal("nobody holds the lease")
		}
	}
}

// ask asks the webhook under the name of its Service.
func (p place) ask(t *testing.T, log string, question []byte) (review admissionv1.AdmissionReview, err error) {
	text, err := os.ReadFile(log)
	if err != nil {
		return review, err
	}
	var line struct{ Msg, Admission string }
	for one := range bytes.Lines(text) {
		if json.Unmarshal(one, &line) == nil && line.Admission != "" {
			break
		}
	}
	_, port, err := net.SplitHostPort(line.Admission)
	if err != nil {
		return review, fmt.Errorf("it does not say where it listens: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(p.caBundle(t)))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "entente-webhook.entente-system.svc"}}
	defer transport.CloseIdleConnections()
	answer, err := (&http.Client{Transport: transport}).Post("https://127.0.0.1:"+port+"/mutate-v1-pod", "application/json", bytes.NewReader(question))
	if err != nil {
		return review, err
	}
	defer answer.Body.Close()
	if text, err = io.ReadAll(answer.Body); err != nil {
		return review, err
	}
	if err := json.Unmarshal(text, &review); err != nil || review.Response == nil {
		return review, fmt.Errorf("%s: %s (%w)", answer.Status, text, err)
	}
	return review, nil
}

// The manifests do the same without Helm, and are applied over and over.
func (p place) byManifests(t *testing.T) {
	for _, m := range manifest.All() {
		t.Run(m.Name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(p.root, manifest.Directory, m.Name))
			if err != nil {
				t.Fatal(err)
			}
			text = []byte(os.Expand(string(text), func(name string) string {
				return map[string]string{"AZURE_TENANT_ID": "9f2c6a5e-3b1d-4c8f-8a70-5d1e2b3c4d5e", "AZURE_AUTHORITY_HOST": "https://entente.example.org/"}[name]
			}))
			p.kubectl(t, text, "apply", "--filename=-")
			// As the webhook does it.
			patch := `{"webhooks":[{"name":"mutation.azure-workload-identity.io","clientConfig":{"caBundle":"CA"}},{"name":"accounts.entente.id","clientConfig":{"caBundle":"CA"}}]}`
			patch = strings.ReplaceAll(patch, "CA\"", base64.StdEncoding.EncodeToString(p.Authority.PEM)+"\"")
			_, err = p.client.AdmissionregistrationV1().MutatingWebhookConfigurations().Patch(t.Context(), "entente-webhook", types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "entente-webhook"})
			if err != nil {
				t.Fatal(err)
			}
			changed := bytes.ReplaceAll(text, []byte("timeoutSeconds: 5"), []byte("timeoutSeconds: 7"))
			p.kubectl(t, changed, "apply", "--filename=-")
			p.kubectl(t, text, "apply", "--server-side", "--force-conflicts", "--filename=-")
			p.kubectl(t, changed, "apply", "--server-side", "--filename=-")
			if p.caBundle(t) != string(p.Authority.PEM) {
				t.Error("applying it again took the caBundle away")
			}
			// All but the namespace, whose end nobody here brings about.
			_, text, _ = bytes.Cut(text, []byte("restricted\n---\n"))
			p.kubectl(t, text, "delete", "--filename=-")
			p.nothingIsLeft(t)
		})
	}
}
