package cluster

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/testkit"
	"github.com/entente-id/entente/internal/testkit/controlplane"
)

const (
	useLabel         = "azure.workload.identity/use"
	clientAnnotation = "azure.workload.identity/client-id"
)

// clinic is a cluster and a service, with what it takes to run commands as a
// person would: the programs are found by their names.
type clinic struct {
	*testing.T
	c     *controlplane.Cluster
	s     *testkit.Service
	admin *client.Client
	env   []string
	flags []string // of the doctor
}

func newClinic(t *testing.T, c *controlplane.Cluster, flags ...string) *clinic {
	t.Helper()
	k := &clinic{T: t, c: c, s: testkit.Serve(t, t.TempDir(), flags...)}
	k.admin = k.s.AsAdmin(t)
	bin, home := t.TempDir(), t.TempDir()
	for name, program := range map[string]string{"entente": testkit.Program, "kubectl": filepath.Join(controlplane.Programs(t), "kubectl")} {
		if err := os.Symlink(program, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	k.env = []string{"HOME=" + home, "TMPDIR=" + t.TempDir(), "PATH=" + bin + ":" + os.Getenv("PATH"), "KUBECONFIG=" + c.Kubeconfig}
	ca := filepath.Join(t.TempDir(), "issuer-ca.pem")
	if err := os.WriteFile(ca, c.Authority.PEM, 0o644); err != nil {
		t.Fatal(err)
	}
	k.flags = []string{"--data-dir", k.s.Dir, "--issuer-ca", ca}
	return k
}

// diagnosis is what is read of a report.
type diagnosis struct {
	Verdict, Cause string
	ExitCode       int
	Checks         []struct {
		Name, State string
		Findings    []struct {
			State, Cause, Text string
			Mends              []struct {
				When, Text string
				Commands   []string
			}
		}
	}
	text string
}

// commands are those of the first mend of the first fault.
func (d diagnosis) commands() []string {
	for _, c := range d.Checks {
		for _, f := range c.Findings {
			if f.State == "failed" && len(f.Mends) > 0 {
				return f.Mends[0].Commands
			}
		}
	}
	return nil
}

// doctor examines a pod, or a service account.
func (k *clinic) doctor(args ...string) diagnosis {
	k.Helper()
	cmd := exec.CommandContext(k.Context(), testkit.Program, slices.Concat([]string{"doctor"}, args, []string{"-o", "json"}, k.flags)...)
	cmd.Env = k.env
	out, err := cmd.Output()
	code := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		code = e.ExitCode()
		if len(out) == 0 {
			k.Fatalf("%q: %v\n%s", args, err, e.Stderr)
		}
	} else if err != nil {
		k.Fatal(err)
	}
	d := diagnosis{text: string(out)}
	if err := json.Unmarshal(out, &d); err != nil {
		k.Fatalf("%v\n%s", err, out)
	}
	if d.ExitCode != code {
		k.Errorf("exit code %d, and the report says %d", code, d.ExitCode)
	}
	return d
}

// diagnosed fails the test unless the cause is found, then does what mends it,
// word by word, and fails unless that has mended it.
func (k *clinic) diagnosed(cause string, code int) {
	k.Helper()
	k.found(cause, code)
	k.healthy()
}

// found fails the test unless the cause is found, and does what mends it.
func (k *clinic) found(cause string, code int) {
	k.Helper()
	d := k.doctor("pod", k.pod(), "-n", "pets")
	if d.Cause != cause || d.ExitCode != code {
		k.Fatalf("found %s %q (%d), want %q (%d): %s", d.Verdict, d.Cause, d.ExitCode, cause, code, d.text)
	}
	if len(d.commands()) == 0 {
		k.Fatalf("no command mends it: %s", d.text)
	}
	for _, command := range d.commands() {
		cmd := exec.CommandContext(k.Context(), "sh", "-ec", command)
		cmd.Env = k.env
		if out, err := cmd.CombinedOutput(); err != nil {
			k.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
}

// healthy fails the test unless the workload is found to be so, soon: a controller
// makes pods in its own time.
func (k *clinic) healthy() {
	k.Helper()
	var d diagnosis
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if d = k.doctor("pod", k.pod(), "-n", "pets"); d.Verdict == "healthy" {
			return
		}
	}
	k.Fatalf("not mended: %s", d.text)
}

// pod is the workload's, of its newest revision.
func (k *clinic) pod() string {
	k.Helper()
	api, mine := k.c.Client(k.T), metav1.ListOptions{LabelSelector: "app=cat"}
	name := ""
	eventually(k.T, func() error {
		sets, err := api.AppsV1().ReplicaSets("pets").List(k.Context(), mine)
		if err != nil {
			return err
		}
		var newest appsv1.ReplicaSet
		last := 0
		for _, s := range sets.Items {
			if revision, _ := strconv.Atoi(s.Annotations["deployment.kubernetes.io/revision"]); revision > last {
				newest, last = s, revision
			}
		}
		pods, err := api.CoreV1().Pods("pets").List(k.Context(), mine)
		if err != nil {
			return err
		}
		for _, p := range pods.Items {
			if by := metav1.GetControllerOf(&p); by != nil && by.UID == newest.UID && p.DeletionTimestamp == nil {
				name = p.Name
				return nil
			}
		}
		return errors.New("there is no pod")
	})
	return name
}

// deploy has a workload run anew, as it should be but for the changes.
func (k *clinic) deploy(change ...func(*appsv1.Deployment)) {
	k.Helper()
	api, ctx := k.c.Client(k.T), k.Context()
	background := metav1.DeletePropagationBackground
	api.AppsV1().Deployments("pets").Delete(ctx, "cat", metav1.DeleteOptions{PropagationPolicy: &background}) // which need not be there
	eventually(k.T, func() error {
		pods, err := api.CoreV1().Pods("pets").List(ctx, metav1.ListOptions{LabelSelector: "app=cat"})
		if err == nil && len(pods.Items) > 0 {
			err = errors.New("there still are pods")
		}
		return err
	})
	labels := map[string]string{"app": "cat"}
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "cat"},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "cat", useLabel: "true"}},
				Spec:       corev1.PodSpec{ServiceAccountName: "cat", Containers: []corev1.Container{{Name: "main", Image: "cat"}}},
			},
		},
	}
	for _, c := range change {
		c(d)
	}
	eventually(k.T, func() error {
		_, err := api.AppsV1().Deployments("pets").Create(ctx, d, metav1.CreateOptions{})
		return err
	})
}

// annotate names the client of the service account cat; none: "".
func (k *clinic) annotate(clientID string) {
	k.Helper()
	value := "null"
	if clientID != "" {
		value = fmt.Sprintf("%q", clientID)
	}
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%s}}}`, clientAnnotation, value)
	if _, err := k.c.Client(k.T).CoreV1().ServiceAccounts("pets").Patch(k.Context(), "cat", types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		k.Fatal(err)
	}
}

// trust makes an application with one credential, which the service account cat is to be.
func (k *clinic) trust(f client.FederatedCredential) client.Application {
	k.Helper()
	app, err := k.admin.CreateApplication(k.Context(), client.ApplicationSpec{DisplayName: "cat"})
	if err == nil {
		_, err = k.admin.CreateServicePrincipal(k.Context(), client.ServicePrincipalSpec{AppID: app.AppID})
	}
	if err == nil && f.Name != "" {
		_, err = k.admin.CreateApplicationCredential(k.Context(), app.ID, f)
	}
	if err != nil {
		k.Fatal(err)
	}
	k.annotate(app.AppID)
	k.Cleanup(func() {
		k.admin.DeleteApplication(context.WithoutCancel(k.Context()), app.ID) // so that nobody finds its credential elsewhere
	})
	return app
}

func (k *clinic) good() client.FederatedCredential {
	return client.FederatedCredential{Name: "cat", Issuer: k.c.Issuer, Subject: subject, Audiences: []string{audience}}
}

// webhook injects as azure-workload-identity's does, for pods that carry the label.
// It returns a switch.
func (k *clinic) webhook() (down func(bool)) {
	k.Helper()
	off := false
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		var pod corev1.Pod
		if off || json.NewDecoder(r.Body).Decode(&review) != nil || json.Unmarshal(review.Request.Object.Raw, &pod) != nil {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		account, err := k.c.Client(k.T).CoreV1().ServiceAccounts("pets").Get(r.Context(), pod.Spec.ServiceAccountName, metav1.GetOptions{})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		env := []corev1.EnvVar{
			{Name: "AZURE_TENANT_ID", Value: "adfs"}, {Name: "AZURE_AUTHORITY_HOST", Value: k.s.Authority + "/"},
			{Name: "AZURE_FEDERATED_TOKEN_FILE", Value: "/var/run/secrets/azure/wi/token/azure-identity-token"},
		}
		if id := account.Annotations[clientAnnotation]; id != "" {
			env = append(env, corev1.EnvVar{Name: "AZURE_CLIENT_ID", Value: id})
		}
		name := "azure-workload-identity-reserved-1"
		seconds := int64(3600)
		pod.Spec.Containers[0].Env = env
		pod.Spec.Containers[0].VolumeMounts = append(pod.Spec.Containers[0].VolumeMounts, corev1.VolumeMount{Name: name, MountPath: "/var/run/secrets/azure/wi", ReadOnly: true})
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Audience: audience, Path: "token/azure-identity-token", ExpirationSeconds: &seconds}},
		}}}})
		patch, err := json.Marshal([]map[string]any{
			{"op": "replace", "path": "/spec/containers", "value": pod.Spec.Containers}, {"op": "add", "path": "/spec/volumes", "value": pod.Spec.Volumes},
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		json := admissionv1.PatchTypeJSONPatch
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true, Patch: patch, PatchType: &json}
		write(w, review)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{k.c.Authority.Certificate(k.T)}}
	server.StartTLS()
	k.Cleanup(server.Close)
	none, ignore, url := admissionregistrationv1.SideEffectClassNone, admissionregistrationv1.Ignore, server.URL
	hooks := k.c.Client(k.T).AdmissionregistrationV1().MutatingWebhookConfigurations()
	_, err := hooks.Create(k.Context(), &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "azure-wi-webhook-mutating-webhook-configuration"},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "mutation.azure-workload-identity.io", AdmissionReviewVersions: []string{"v1"}, SideEffects: &none, FailurePolicy: &ignore,
			ClientConfig:   admissionregistrationv1.WebhookClientConfig{URL: &url, CABundle: k.c.Authority.PEM},
			ObjectSelector: &metav1.LabelSelector{MatchLabels: map[string]string{useLabel: "true"}},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
			}},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		k.Fatal(err)
	}
	return func(yes bool) { off = yes }
}

func write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

// The doctor, asked by a person at a real cluster: it names what is wrong, and the
// commands that it gives, run as they are, mend it.
func TestDoctor(t *testing.T) {
	c := start(t, controlplane.Config{Issuer: "/", ControllerManager: true})
	k := newClinic(t, c, private(t, c.Authority)...)

	t.Run("no webhook", func(t *testing.T) {
		k := k.in(t)
		k.trust(k.good())
		k.deploy()
		// What it would inject is written into the template by hand then.
		k.diagnosed("webhook_absent", 11)
	})
	down := k.webhook()
	time.Sleep(1100 * time.Millisecond) // an API server goes by its webhooks a second later

	t.Run("healthy", func(t *testing.T) {
		k := k.in(t)
		k.trust(k.good())
		k.deploy()
		k.healthy()
		for _, args := range [][]string{{"serviceaccount", "cat", "-n", "pets"}, {"pod", k.pod(), "-n", "pets", "--no-exchange"}, {"pod", k.pod(), "-n", "pets", "--no-token", "--no-exchange"}} {
			if d := k.doctor(args...); d.Verdict != "healthy" {
				t.Errorf("%q: %s", args, d.text)
			}
		}
	})
	t.Run("completion", func(t *testing.T) {
		for kind, name := range map[string]string{"pod": k.in(t).pod(), "sa": "dog"} {
			cmd := exec.CommandContext(t.Context(), testkit.Program, "__complete", "doctor", kind, "-n", "pets", "")
			cmd.Env = k.env
			if out, err := cmd.Output(); err != nil || !slices.Contains(strings.Split(string(out), "\n"), name) {
				t.Errorf("%s: %v: %s", kind, err, out)
			}
		}
	})
	t.Run("the webhook was down", func(t *testing.T) {
		k := k.in(t)
		k.trust(k.good())
		down(true)
		k.deploy()
		k.pod()
		down(false)
		k.diagnosed("not_injected", 11)
	})
	t.Run("label on the Deployment but not the template", func(t *testing.T) {
		k := k.in(t)
		k.trust(k.good())
		k.deploy(func(d *appsv1.Deployment) {
			d.Labels = map[string]string{useLabel: "true"}
			delete(d.Spec.Template.Labels, useLabel)
		})
		k.diagnosed("label_not_on_template", 11)
	})
	t.Run("label with another value", func(t *testing.T) {
		k := k.in(t)
		k.trust(k.good())
		k.deploy(func(d *appsv1.Deployment) { d.Spec.Template.Labels[useLabel] = "yes" })
		k.diagnosed("label_value", 11)
	})
	t.Run("missing client-id annotation", func(t *testing.T) {
		k := k.in(t)
		k.trust(k.good())
		k.annotate("")
		k.deploy()
		k.diagnosed("client_id_missing", 12)
	})
	t.Run("annotation changed after the pod was made", func(t *testing.T) {
		k := k.in(t)
		k.trust(k.good())
		k.deploy()
		k.pod()
		k.trust(k.good())
		k.diagnosed("client_id_outdated", 12)
	})
	for name, f := range map[string]struct {
		credential func(*client.FederatedCredential)
		cause      string
		code       int
	}{
		"missing slash":       {func(f *client.FederatedCredential) { f.Issuer = strings.TrimSuffix(f.Issuer, "/") }, "issuer_slash_missing", 21},
		"old cluster":         {func(f *client.FederatedCredential) { f.Issuer = "https://old.example/" }, "issuer_of_another_cluster", 21},
		"case in subject":     {func(f *client.FederatedCredential) { f.Subject = "system:serviceaccount:Pets:cat" }, "subject_case", 22},
		"wrong namespace":     {func(f *client.FederatedCredential) { f.Subject = "system:serviceaccount:zoo:cat" }, "subject_namespace", 22},
		"wildcard":            {func(f *client.FederatedCredential) { f.Subject = "system:serviceaccount:pets:*" }, "subject_wildcard", 22},
		"resource's audience": {func(f *client.FederatedCredential) { f.Audiences = []string{vault} }, "credential_audience_is_resource", 23},
		"none":                {func(f *client.FederatedCredential) { f.Name = "" }, "no_credential", 20},
	} {
		t.Run("credential: "+name, func(t *testing.T) {
			k := k.in(t)
			wrong := k.good()
			f.credential(&wrong)
			k.trust(wrong)
			k.deploy()
			k.diagnosed(f.cause, f.code)
		})
	}
	t.Run("credential: on another application", func(t *testing.T) {
		k := k.in(t)
		k.trust(k.good())
		k.trust(client.FederatedCredential{})
		k.deploy()
		k.diagnosed("credential_elsewhere", 20)
	})
	t.Run("managed identity", func(t *testing.T) {
		k := k.in(t)
		group := client.ResourceGroupID{SubscriptionID: k.s.SubscriptionID, Name: "pets"}
		if _, _, err := k.admin.PutResourceGroup(t.Context(), group, client.ResourceSpec{Location: "local"}); err != nil {
			t.Fatal(err)
		}
		id := client.IdentityID{SubscriptionID: k.s.SubscriptionID, ResourceGroup: "pets", Name: "cat"}
		m, _, err := k.admin.PutIdentity(t.Context(), id, client.ResourceSpec{Location: "local"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { k.admin.DeleteIdentity(context.WithoutCancel(t.Context()), id) })
		wrong := k.good()
		wrong.Issuer = strings.TrimSuffix(wrong.Issuer, "/")
		if _, _, err := k.admin.PutIdentityCredential(t.Context(), id, wrong); err != nil {
			t.Fatal(err)
		}
		k.annotate(m.ClientID)
		k.deploy()
		k.diagnosed("issuer_slash_missing", 21)
	})
	t.Run("deleted application", func(t *testing.T) {
		k := k.in(t)
		app := k.trust(k.good())
		k.deploy()
		if err := k.admin.DeleteApplication(t.Context(), app.ID); err != nil {
			t.Fatal(err)
		}
		d := k.doctor("pod", k.pod(), "-n", "pets")
		if d.Cause != "client_deleted" || d.ExitCode != 19 || !strings.HasPrefix(strings.Join(d.commands(), ""), "az rest --method post") {
			t.Errorf("%s", d.text)
		}
	})
	t.Run("who may read nothing", func(t *testing.T) {
		k := k.in(t)
		k.trust(k.good())
		k.deploy()
		// A person who may look at pods of one namespace, and has no part in the service.
		view := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "viewer"}, Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "dog", Namespace: "pets"}}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"}}
		if _, err := c.Client(t).RbacV1().RoleBindings("pets").Create(t.Context(), view, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		k.env = append(slices.Clone(k.env), "KUBECONFIG="+kubeconfigOf(t, c, c.Token(t, "pets", "dog")))
		k.flags = []string{"--url", k.s.Authority, "--ca", k.s.CAFile}
		d := k.doctor("pod", k.pod(), "-n", "pets")
		if d.Verdict != "undetermined" || d.ExitCode != 10 || !strings.Contains(d.text, "create serviceaccounts/token") {
			t.Errorf("%s", d.text)
		}
	})
}

// in is the clinic for a part of a test.
func (k *clinic) in(t *testing.T) *clinic {
	in := *k
	in.T = t
	return &in
}

// kubeconfigOf is the file of somebody with a bearer token.
func kubeconfigOf(t *testing.T, c *controlplane.Cluster, token string) string {
	t.Helper()
	type m map[string]any
	text, err := json.Marshal(m{
		"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"clusters": []m{{"name": "c", "cluster": m{"server": c.URL, "certificate-authority-data": c.Authority.PEM}}},
		"users":    []m{{"name": "u", "user": m{"token": token}}},
		"contexts": []m{{"name": "c", "context": m{"cluster": "c", "user": "u"}}},
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

// Issuers that the service cannot ask: the cluster's keys are uploaded, by the very
// command that is given, and once more when they have changed.
func TestDoctorOnIssuers(t *testing.T) {
	for name, f := range map[string]struct {
		issuer string
		flags  func(*testing.T, *controlplane.Cluster) []string
		cause  string
		code   int
	}{
		"not enabled": {inside, func(*testing.T, *controlplane.Cluster) []string { return nil }, "issuer_not_enabled", 17},
		"a CA that the service does not trust": {"/", func(*testing.T, *controlplane.Cluster) []string {
			return []string{"--issuer-allow", "127.0.0.1"}
		}, "discovery_unreachable", 15},
		"an address that the service does not ask": {"/", func(t *testing.T, c *controlplane.Cluster) []string {
			return private(t, c.Authority)[2:]
		}, "issuer_address_refused", 15},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, controlplane.Config{Issuer: f.issuer, ControllerManager: true})
			k := newClinic(t, c, f.flags(t, c)...)
			k.webhook()
			time.Sleep(1100 * time.Millisecond)
			k.trust(k.good())
			k.deploy()
			d := k.doctor("pod", k.pod(), "-n", "pets")
			if d.Cause != f.cause || d.ExitCode != f.code {
				t.Fatalf("found %s %q (%d): %s", d.Verdict, d.Cause, d.ExitCode, d.text)
			}
			upload := ""
			for _, check := range d.Checks {
				for _, g := range check.Findings {
					for _, m := range g.Mends {
						for _, command := range m.Commands {
							if strings.Contains(command, "entente cluster register") {
								upload = command
							}
						}
					}
				}
			}
			cmd := exec.CommandContext(t.Context(), "sh", "-ec", upload)
			cmd.Env = k.env
			if out, err := cmd.CombinedOutput(); upload == "" || err != nil {
				t.Fatalf("%q: %v\n%s%s", upload, err, out, d.text)
			}
			k.healthy()
			if name != "not enabled" {
				return
			}
			key, err := rsa.GenerateKey(rand.Reader, 2048)
			if err != nil {
				t.Fatal(err)
			}
			c.Keys = []crypto.Signer{key, c.Keys[0]}
			c.Restart(t)
			k.diagnosed("keys_outdated", 18)
		})
	}
}

// The issuer of a cluster, for a script.
func TestIssuerShow(t *testing.T) {
	c := start(t, controlplane.Config{Issuer: "/"})
	k := newClinic(t, c, private(t, c.Authority)...)
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), testkit.Program, args...)
		cmd.Env = k.env
		out, err := cmd.Output()
		return string(out), err
	}
	if out, err := run("issuer", "show", "--from-cluster"); err != nil || out != c.Issuer+"\n" {
		t.Errorf("%q, %v", out, err)
	}
	var shown struct {
		Issuer     string   `json:"issuer"`
		JWKSURI    string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
	}
	out, err := run("issuer", "show", "--from-cluster", "-o", "json", "--kube-context", "c")
	if err == nil {
		err = json.Unmarshal([]byte(out), &shown)
	}
	if err != nil || shown.Issuer != c.Issuer || shown.JWKSURI != c.JWKSURI || !slices.Equal(shown.Algorithms, []string{"RS256"}) {
		t.Errorf("%+v, %v", shown, err)
	}
	if out, err := run("issuer", "check", c.Issuer, "--ca", k.flags[3], "--allow-private"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	_, err = run("issuer", "check", c.Issuer)
	if e, ok := errors.AsType[*exec.ExitError](err); !ok || e.ExitCode() != 16 {
		t.Error(err)
	}
	if _, err := run("issuer", "show"); err == nil {
		t.Error("no cluster was named")
	}
}
