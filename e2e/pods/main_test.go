// Package pods has people's programs run in the pods of a real cluster and get
// tokens from the built service: programs with unmodified Azure SDKs, which know
// what their environment says and nothing of the service.
package pods

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/entente-id/entente/client"
	_ "github.com/entente-id/entente/internal/cli" // what the programs are made of: a change of it runs these tests again
	_ "github.com/entente-id/entente/internal/proxy"
	"github.com/entente-id/entente/internal/testkit"
	"github.com/entente-id/entente/internal/testkit/controlplane"
	"github.com/entente-id/entente/internal/testkit/node"
	_ "github.com/entente-id/entente/internal/webhook"
)

func TestMain(m *testing.M) { os.Exit(node.Main(m, install, buildHelm)) }

const (
	audience  = "api://AzureADTokenExchange"
	binding   = "api://AKSIdentityBinding" // audience of the token proxy
	vault     = "https://vault.azure.net"
	authority = "https://entente.test"
	microsoft = "login.microsoftonline.com"
)

// town is a cluster, the service that trusts it, and who lives there.
type town struct {
	*node.Cluster
	*testkit.Service
	admin   *client.Client
	aliases []corev1.HostAlias      // pods find the service by
	cat     client.ServicePrincipal // trusts the service account cat in pets and in alley
	bird    client.ServicePrincipal // trusts bird in pets, by way of the token proxy

	mu       sync.Mutex
	imported map[string]bool
}

// A test process has one node, so all tests are parts of this one.
func TestPods(t *testing.T) {
	w := settle(t)
	t.Run("by hand", func(t *testing.T) { byHand(t, w) })
	t.Run("by the webhook", func(t *testing.T) { byWebhook(t, w) })
}

// settle starts a cluster, and the service beside it: at an address and under
// names that pods can reach, one of which is the name of Microsoft's authority.
func settle(t *testing.T) *town {
	t.Helper()
	w := &town{Cluster: node.Start(t, controlplane.Config{}), imported: map[string]bool{}}
	testkit.Program = filepath.Join(t.TempDir(), "entente")
	if out, err := exec.Command("go", "build", "-o", testkit.Program, "github.com/entente-id/entente/cmd/entente").CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	w.aliases = w.Name(t, node.Address, strings.TrimPrefix(authority, "https://"), microsoft)
	ca := filepath.Join(t.TempDir(), "issuer-ca.pem")
	if err := os.WriteFile(ca, w.Authority().PEM, 0o644); err != nil {
		t.Fatal(err)
	}
	w.Service = testkit.Serve(t, t.TempDir(), "--listen", node.Address+":443", "--public-url", authority, "--host", microsoft,
		"--issuer-allow", "127.0.0.1", "--issuer-ca", ca, "--resources", "any")
	w.admin = w.AsAdmin(t)
	w.cat = w.application(t, audience, "pets:cat", "alley:cat")
	w.bird = w.application(t, binding, "pets:bird")
	return w
}

func (w *town) Authority() *controlplane.Authority { return w.Cluster.Authority }

// application makes one that trusts service accounts.
func (w *town) application(t *testing.T, audience string, accounts ...string) client.ServicePrincipal {
	t.Helper()
	app, err := w.admin.CreateApplication(t.Context(), client.ApplicationSpec{DisplayName: accounts[0]})
	if err != nil {
		t.Fatal(err)
	}
	sp, err := w.admin.CreateServicePrincipal(t.Context(), client.ServicePrincipalSpec{AppID: app.AppID})
	if err != nil {
		t.Fatal(err)
	}
	for _, account := range accounts {
		_, err = w.admin.CreateApplicationCredential(t.Context(), app.ID, client.FederatedCredential{
			Name: strings.ReplaceAll(account, ":", "-"), Issuer: w.Issuer, Subject: "system:serviceaccount:" + account, Audiences: []string{audience},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return sp
}

// pod is one of a service account, whose program asks for a token once.
func (w *town) pod(namespace, name, account, sdk string, args ...string) *corev1.Pod {
	no, yes := false, true
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{}, Annotations: map[string]string{}},
		Spec: corev1.PodSpec{
			ServiceAccountName: account, RestartPolicy: corev1.RestartPolicyNever, HostAliases: w.aliases, DNSPolicy: corev1.DNSDefault, // nobody serves names
			SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
			Containers: []corev1.Container{{
				Name: "app", Image: imageOf(sdk), Args: append([]string{vault + "/.default"}, args...),
				SecurityContext: &corev1.SecurityContext{
					AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
				},
			}},
		},
	}
}

// answer is what the programs write.
type answer struct{ Token, Error string }

// answerOf waits for the end of a pod and returns what its program has got.
func (w *town) answerOf(t *testing.T, pod *corev1.Pod) (a answer) {
	t.Helper()
	phase, out := w.Ended(t, pod.Namespace, pod.Name), w.Logs(t, pod.Namespace, pod.Name, "app")
	for line := range strings.Lines(out) { // SDKs write warnings, and nobody keeps two streams in order
		if json.Unmarshal([]byte(line), &a) == nil {
			break
		}
	}
	if a == (answer{}) || phase != corev1.PodSucceeded {
		t.Errorf("the pod %s %s and wrote %q", pod.Name, phase, out)
	}
	return a
}

// accepted fails the test unless a pod's program gets a token for the principal
// that everybody else takes for the service's.
func (w *town) accepted(t *testing.T, pod *corev1.Pod, who client.ServicePrincipal) {
	t.Helper()
	a := w.answerOf(t, pod)
	if a.Token == "" {
		t.Errorf("the program in %s gets no token: %s", pod.Name, a.Error)
		return
	}
	ctx := oidc.ClientContext(t.Context(), w.HTTP)
	provider, err := oidc.NewProvider(ctx, authority+"/"+w.TenantID+"/")
	if err != nil {
		t.Fatal(err)
	}
	token, err := provider.Verifier(&oidc.Config{ClientID: vault}).Verify(ctx, a.Token)
	if err != nil {
		t.Errorf("the token of %s: %v", pod.Name, err)
		return
	}
	var claims struct{ OID, AppID string }
	if err := token.Claims(&claims); err != nil || claims.OID != who.ID || claims.AppID != who.AppID {
		t.Errorf("the token of %s says %+v (%v)", pod.Name, claims, err)
	}
}

// refused fails the test unless a pod's program is told why it gets no token.
func (w *town) refused(t *testing.T, pod *corev1.Pod, reason string) {
	t.Helper()
	if a := w.answerOf(t, pod); a.Token != "" || !strings.Contains(a.Error, reason) {
		t.Errorf("the program in %s gets the token %.20q, and the error %q, want %s", pod.Name, a.Token, a.Error, reason)
	}
}
