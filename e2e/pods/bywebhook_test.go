package pods

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/entente-id/entente/client"
)

const prefix = "azure.workload.identity/"

// A way is one in which a labelled pod gets its token.
type way struct {
	name        string
	sdks        string // those that have this way
	args        []string
	annotations map[string]string
	env         map[string]string
	namespace   string // "": pets, which is restricted
	bound       bool   // by the token proxy
	probed      bool   // the SDK looks for an endpoint, and gives up within a second
}

// ways are all of the webhook's modes, each as the programs need least: the
// credentials have no arguments where the SDK can do without. Its mode is adfs
// for those that say nothing, because the authority is nobody's that SDKs know.
var ways = []way{
	{name: "adfs", sdks: "go node python"},
	{
		// In the name that SDKs know nothing is to be said to them.
		name: "workload-microsoft", sdks: "go node python",
		annotations: map[string]string{"entente.id/mode": "workload"}, env: map[string]string{"AZURE_AUTHORITY_HOST": "https://" + microsoft + "/"},
	},
	{name: "workload", sdks: "go node", args: []string{"no-discovery"}, annotations: map[string]string{"entente.id/mode": "workload"}},
	{name: "workload", sdks: "python", annotations: map[string]string{"entente.id/mode": "workload"}},
	{name: "managed-identity", sdks: "go node python", annotations: map[string]string{"entente.id/mode": "managed-identity"}},
	{name: "token-proxy", sdks: "go node", args: []string{"token-proxy"}, annotations: map[string]string{"entente.id/mode": "token-proxy"}, bound: true},
	{name: "identity-binding", sdks: "go", args: []string{"token-proxy"}, annotations: map[string]string{prefix + "use-identity-binding": "true"}, bound: true},
	{
		// The program knows of nothing but 169.254.169.254.
		name: "intercepted", sdks: "go node python", namespace: "alley", probed: true,
		annotations: map[string]string{prefix + "inject-proxy-sidecar": "true", prefix + "proxy-sidecar-port": "8081", prefix + "skip-containers": "app"},
	},
	{
		name: "intercepted-by-name", sdks: "go node", args: []string{"managed-identity"}, namespace: "alley",
		annotations: map[string]string{prefix + "inject-proxy-sidecar": "true"},
	},
}

func byWebhook(t *testing.T, w *town) {
	w.Namespace(t, metav1.ObjectMeta{Name: "pets", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}})
	w.Namespace(t, metav1.ObjectMeta{Name: "alley"})
	for _, namespace := range []string{"pets", "alley"} {
		w.account(t, namespace, "cat", map[string]string{prefix + "client-id": w.cat.AppID})
		w.account(t, namespace, "dog", map[string]string{prefix + "client-id": w.cat.AppID}) // it says so, but is not trusted
	}
	w.account(t, "pets", "bird", map[string]string{prefix + "client-id": w.bird.AppID})
	w.account(t, "pets", "crow", map[string]string{prefix + "client-id": w.bird.AppID})
	w.webhook(t)

	for sdk := range sdks {
		t.Run(sdk, func(t *testing.T) {
			t.Parallel()
			w.image(t, sdk)
			for _, way := range ways {
				if !slices.Contains(strings.Fields(way.sdks), sdk) {
					continue
				}
				good, bad, who := "cat", "dog", w.cat
				if way.bound {
					good, bad, who = "bird", "crow", w.bird
				}
				t.Run(way.name, func(t *testing.T) {
					t.Parallel() // few at a time: some SDKs give an endpoint less than a second to answer
					accepted, refused := w.Create(t, w.labelled(way, good, sdk)), w.Create(t, w.labelled(way, bad, sdk))
					w.accepted(t, w.patiently(t, way, accepted), who)
					w.refused(t, w.patiently(t, way, refused), "AADSTS700213")
				})
			}
		})
	}
	t.Run("restricted namespaces refuse interception", func(t *testing.T) {
		t.Parallel()
		pod := w.labelled(way{name: "intercepted", annotations: map[string]string{prefix + "inject-proxy-sidecar": "true"}}, "cat", "go")
		_, err := w.Client(t).CoreV1().Pods("pets").Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "azwi-proxy-init") || strings.Contains(err.Error(), `"azwi-proxy"`) {
			t.Errorf("got %v, want a refusal of azwi-proxy-init alone", err)
		}
	})
	t.Run("a managed identity by its ids", func(t *testing.T) { t.Parallel(); w.byIDs(t) })
	t.Run("a job ends", func(t *testing.T) { t.Parallel(); w.jobEnds(t) })
}

// labelled is a pod that the webhook is called for.
func (w *town) labelled(way way, account, sdk string) *corev1.Pod {
	namespace := way.namespace
	if namespace == "" {
		namespace = "pets"
	}
	p := w.pod(namespace, strings.Join([]string{account, sdk, way.name}, "-"), account, sdk, way.args...)
	p.Labels[use], p.Annotations = "true", way.annotations
	for name, value := range way.env {
		p.Spec.Containers[0].Env = append(p.Spec.Containers[0].Env, corev1.EnvVar{Name: name, Value: value})
	}
	return p
}

// patiently starts a pod again whose SDK took a busy machine's endpoint for an
// absent one, as a cluster would start a program again that ends for that.
func (w *town) patiently(t *testing.T, way way, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	for n := range 3 {
		a := w.answerOf(t, pod)
		if !way.probed || a.Token != "" || strings.Contains(a.Error, "AADSTS") {
			break
		}
		t.Logf("%s found no endpoint", pod.Name)
		again := w.labelled(way, pod.Spec.ServiceAccountName, strings.TrimSuffix(strings.TrimPrefix(pod.Spec.Containers[0].Image, "localhost/"), ":test"))
		again.Name += fmt.Sprintf("-%d", n)
		pod = w.Create(t, again)
	}
	return pod
}

// byIDs has a managed identity's program ask for it by the ids that only the
// annotations of its service account know.
func (w *town) byIDs(t *testing.T) {
	w.image(t, "go")
	id := client.IdentityID{SubscriptionID: w.SubscriptionID, ResourceGroup: "pets", Name: "fish"}
	if _, _, err := w.admin.PutResourceGroup(t.Context(), client.ResourceGroupID{SubscriptionID: id.SubscriptionID, Name: id.ResourceGroup}, client.ResourceSpec{Location: "local"}); err != nil {
		t.Fatal(err)
	}
	fish, _, err := w.admin.PutIdentity(t.Context(), id, client.ResourceSpec{Location: "local"})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = w.admin.PutIdentityCredential(t.Context(), id, client.FederatedCredential{
		Name: "fish", Issuer: w.Issuer, Subject: "system:serviceaccount:pets:fish", Audiences: []string{audience},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.account(t, "pets", "fish", map[string]string{prefix + "client-id": fish.ClientID, "entente.id/object-id": fish.PrincipalID, "entente.id/resource-id": id.String()})
	pod := func(by, identity string) *corev1.Pod {
		return w.Create(t, w.labelled(way{
			name: by, args: []string{by}, annotations: map[string]string{"entente.id/mode": "managed-identity"}, env: map[string]string{"IDENTITY": identity},
		}, "fish", "go"))
	}
	who := client.ServicePrincipal{ID: fish.PrincipalID, AppID: fish.ClientID}
	byObject, byResource := pod("object-id", fish.PrincipalID), pod("resource-id", id.String())
	w.accepted(t, byObject, who)
	w.accepted(t, byResource, who)
}

// jobEnds sees a job complete although a proxy runs beside its program.
func (w *town) jobEnds(t *testing.T) {
	w.image(t, "go")
	pod := w.labelled(way{name: "job", annotations: map[string]string{"entente.id/mode": "managed-identity"}}, "cat", "go")
	jobs := w.Client(t).BatchV1().Jobs("pets")
	job, err := jobs.Create(t.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "errand"},
		Spec:       batchv1.JobSpec{Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels, Annotations: pod.Annotations}, Spec: pod.Spec}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.Eventually(t, func() error {
		job, err := jobs.Get(t.Context(), job.Name, metav1.GetOptions{})
		if err == nil && job.Status.Succeeded == 0 {
			err = fmt.Errorf("the job's status is %+v", job.Status)
		}
		return err
	})
	made, err := w.Client(t).CoreV1().Pods("pets").List(t.Context(), metav1.ListOptions{LabelSelector: "job-name=" + job.Name})
	if err != nil || len(made.Items) != 1 {
		t.Fatalf("the job has %d pods (%v)", len(made.Items), err)
	}
	if inits := made.Items[0].Spec.InitContainers; len(inits) == 0 || inits[0].Name != "azwi-proxy" {
		t.Error("there is no proxy beside the job's program")
	}
	w.accepted(t, &made.Items[0], w.cat)
}
