package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/entente-id/entente/internal/testkit/controlplane"
)

// Names in the cluster: azure-workload-identity's.
const (
	namespace     = "azure-workload-identity-system"
	service       = "azure-wi-webhook-webhook-service"
	secret        = "azure-wi-webhook-server-cert"
	configuration = "azure-wi-webhook-mutating-webhook-configuration"
	label         = "azure.workload.identity/use"
	volumePrefix  = "azure-workload-identity-reserved-"
	bundleName    = "entente-ca-bundle"
)

// An installation is a cluster with everything of the webhook but replicas. They
// have the rights that the documentation lists, and no others.
type installation struct {
	*controlplane.Cluster
	admin       *kubernetes.Clientset
	balancer    *balancer
	kubeconfig  string   // of the replicas
	environment []string // of the replicas, beside what all have

	pods atomic.Int64
}

// install starts a cluster, its API server with more flags. The namespace pets has the service account cat.
func install(t testing.TB, flags ...string) *installation {
	t.Helper()
	i := &installation{Cluster: controlplane.Start(t, controlplane.Config{Flags: flags}), balancer: newBalancer(t)}
	i.admin = i.quiet(t)
	i.ServiceAccount(t, namespace, "entente-webhook")
	i.namespace(t, "pets")
	i.account(t, "pets", "cat", map[string]string{"azure.workload.identity/client-id": clientID})
	i.rights(t)
	i.kubeconfig = i.kubeconfigOf(t, i.Token(t, namespace, "entente-webhook"))

	core := i.admin.CoreV1()
	// The API server dials an ExternalName itself, and still calls the webhook by
	// the name of its Service.
	_, err := core.Services(namespace).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: service},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	i.configure(t)
	return i
}

// quiet is a client of an administrator that does not print warnings.
func (i *installation) quiet(t testing.TB) *kubernetes.Clientset {
	t.Helper()
	config := i.REST()
	config.WarningHandler = rest.NoWarnings{}
	c, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// configure makes the webhook configuration as manifests do: without a CA.
func (i *installation) configure(t testing.TB) {
	t.Helper()
	path, port, fail, none, ifNeeded, seconds := "/mutate-v1-pod", i.balancer.port(), admissionregistrationv1.Fail, admissionregistrationv1.SideEffectClassNoneOnDryRun, admissionregistrationv1.IfNeededReinvocationPolicy, int32(5)
	_, err := i.admin.AdmissionregistrationV1().MutatingWebhookConfigurations().Create(t.Context(), &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: configuration},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "mutation.azure-workload-identity.io", AdmissionReviewVersions: []string{"v1"}, FailurePolicy: &fail, SideEffects: &none,
			ReinvocationPolicy: &ifNeeded, TimeoutSeconds: &seconds,
			ObjectSelector: &metav1.LabelSelector{MatchLabels: map[string]string{label: "true"}},
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				Service: &admissionregistrationv1.ServiceReference{Namespace: namespace, Name: service, Path: &path, Port: &port},
			},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
			}},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// rights are those of a replica, the least that it works with.
func (i *installation) rights(t testing.TB) {
	t.Helper()
	rule := func(group, resources, names, verbs string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: strings.Fields(resources), ResourceNames: strings.Fields(names), Verbs: strings.Fields(verbs)}
	}
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: "entente-webhook"}}
	meta := metav1.ObjectMeta{Name: "entente-webhook"}
	rbac := i.admin.RbacV1()
	_, err := rbac.ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
		rule("", "serviceaccounts namespaces", "", "get list watch"),
		rule("", "pods", "", "get list"),
		rule("", "events", "", "create patch"),
		rule("", "configmaps", "", "create"),
		rule("", "configmaps", bundleName, "get list watch update"),
		rule("admissionregistration.k8s.io", "mutatingwebhookconfigurations", configuration, "get list watch patch"),
	}}, metav1.CreateOptions{})
	if err == nil {
		_, err = rbac.ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
			ObjectMeta: meta, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: meta.Name},
		}, metav1.CreateOptions{})
	}
	if err == nil {
		_, err = rbac.Roles(namespace).Create(t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
			rule("", "secrets", "", "create"),
			rule("", "secrets", secret, "get list watch update"),
			rule("coordination.k8s.io", "leases", "", "create"),
			rule("coordination.k8s.io", "leases", "entente-webhook", "get update"),
		}}, metav1.CreateOptions{})
	}
	if err == nil {
		_, err = rbac.RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: meta, Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
		}, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (i *installation) kubeconfigOf(t testing.TB, token string) string {
	t.Helper()
	type object map[string]any
	text, err := json.Marshal(object{
		"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"clusters": []object{{"name": "c", "cluster": object{"server": i.URL, "certificate-authority-data": i.Authority.PEM}}},
		"users":    []object{{"name": "u", "user": object{"token": token}}},
		"contexts": []object{{"name": "c", "context": object{"cluster": "c", "user": "u"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func (i *installation) namespace(t testing.TB, name string) {
	t.Helper()
	_, err := i.admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
}

func (i *installation) account(t testing.TB, namespace, name string, annotations map[string]string) {
	t.Helper()
	_, err := i.admin.CoreV1().ServiceAccounts(namespace).Create(t.Context(), &corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// pod creates a labelled pod, and says what the API server made of it.
func (i *installation) pod(ctx context.Context, namespace, account string, options metav1.CreateOptions) (*corev1.Pod, error) {
	return i.admin.CoreV1().Pods(namespace).Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("pod-%d", i.pods.Add(1)), Labels: map[string]string{label: "true"}},
		Spec: corev1.PodSpec{
			ServiceAccountName: account,
			Containers:         []corev1.Container{{Name: "app", Image: "localhost/app:1"}},
		},
	}, options)
}

// remove deletes a pod at once: there is no kubelet to wait for.
func (i *installation) remove(ctx context.Context, p *corev1.Pod) error {
	now := int64(0)
	return i.admin.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: &now})
}

// created creates a pod and fails the test unless it was mutated.
func (i *installation) created(t testing.TB, namespace, account string) *corev1.Pod {
	t.Helper()
	p, err := i.pod(t.Context(), namespace, account, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := mutated(p); err != nil {
		t.Fatal(err)
	}
	return p
}

// mutated says what a pod lacks.
func mutated(p *corev1.Pod) error {
	if !slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return strings.HasPrefix(v.Name, volumePrefix) }) {
		return fmt.Errorf("pod %s has no token volume", p.Name)
	}
	if got := variable(p, "AZURE_CLIENT_ID"); got != clientID {
		return fmt.Errorf("pod %s has the client id %q", p.Name, got)
	}
	return nil
}

func variable(p *corev1.Pod, name string) string {
	for _, e := range p.Spec.Containers[0].Env {
		if e.Name == name {
			return e.Value
		}
	}
	return ""
}

// untilAdmitted waits until the API server has what was just written into the
// webhook configuration.
func (i *installation) untilAdmitted(t testing.TB) {
	t.Helper()
	eventually(t, func() error {
		p, err := i.pod(t.Context(), "pets", "cat", metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			return err
		}
		return mutated(p)
	})
}

func (i *installation) readSecret(t testing.TB) *corev1.Secret {
	t.Helper()
	s, err := i.admin.CoreV1().Secrets(namespace).Get(t.Context(), secret, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (i *installation) caBundle(t testing.TB) string {
	t.Helper()
	c, err := i.admin.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(t.Context(), configuration, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return string(c.Webhooks[0].ClientConfig.CABundle)
}
