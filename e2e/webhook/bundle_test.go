package webhook

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/entente-id/entente/internal/testkit/controlplane"
)

// authorityFile writes an authority's certificate, and returns its PEM.
func authorityFile(t *testing.T, file string) string {
	t.Helper()
	pem := controlplane.NewAuthority(t).PEM
	if err := os.WriteFile(file+".new", pem, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
	return string(pem)
}

// bundle is the text of a namespace's, once the question about it has no error.
func (i *installation) bundle(t *testing.T, namespace string, is func(*corev1.ConfigMap) error) *corev1.ConfigMap {
	t.Helper()
	var m *corev1.ConfigMap
	eventually(t, func() error {
		var err error
		if m, err = i.admin.CoreV1().ConfigMaps(namespace).Get(t.Context(), bundleName, metav1.GetOptions{}); err != nil {
			return err
		}
		return is(m)
	})
	return m
}

func beginsWith(pem string) func(*corev1.ConfigMap) error {
	return func(m *corev1.ConfigMap) error {
		text := m.Data["ca-bundle.crt"]
		if !strings.HasPrefix(text, pem) {
			return fmt.Errorf("the bundle of %s begins with %.80q", m.Namespace, text)
		}
		if n := strings.Count(text, "BEGIN CERTIFICATE"); n < 100 {
			return fmt.Errorf("the bundle of %s has %d certificates: where are the public roots?", m.Namespace, n)
		}
		return nil
	}
}

// The authority's CA comes to each namespace with its first pod, and is kept as
// it should be from then on.
func TestBundles(t *testing.T) {
	t.Parallel()
	i := install(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	first := authorityFile(t, file)
	r := i.replica(t, "--ca-file", file, "--authority-host", "https://entente.example.org/").untilReady(t)
	i.untilAdmitted(t)
	maps := i.admin.CoreV1().ConfigMaps

	// A dry run leaves nothing.
	if _, err := maps("pets").Get(t.Context(), bundleName, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("after a dry run there is a bundle: %v", err)
	}
	p := i.created(t, "pets", "cat")
	m, err := maps("pets").Get(t.Context(), bundleName, metav1.GetOptions{})
	if err != nil {
		t.Fatal("there is no bundle as soon as there is a pod: ", err)
	}
	if err := beginsWith(first)(m); err != nil {
		t.Error(err)
	}
	if got := variable(p, "SSL_CERT_FILE"); got != "/var/run/secrets/azure/wi/ca/ca-bundle.crt" {
		t.Errorf("SSL_CERT_FILE is %q", got)
	}

	i.namespace(t, "fish")
	i.account(t, "fish", "cat", map[string]string{"azure.workload.identity/client-id": clientID})
	i.created(t, "fish", "cat")

	// What somebody edits is repaired; what is somebody's own is not.
	i.namespace(t, "foreign")
	own := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: bundleName}, Data: map[string]string{"ca-bundle.crt": "mine"}}
	if _, err := maps("foreign").Create(t.Context(), own, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	i.account(t, "foreign", "cat", map[string]string{"azure.workload.identity/client-id": clientID})
	i.created(t, "foreign", "cat")
	patch := []byte(`{"data":{"ca-bundle.crt":"edited","more":"edited"}}`)
	if _, err := maps("pets").Patch(t.Context(), bundleName, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	i.bundle(t, "pets", beginsWith(first))
	if err := maps("fish").Delete(t.Context(), bundleName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	i.bundle(t, "fish", beginsWith(first))

	// What is no CA changes nothing; a new one goes everywhere.
	if err := os.WriteFile(file, []byte("no certificate"), 0o644); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if !strings.Contains(r.text(), "what it said before stays") {
			return errorf("nothing is said of a file without certificates")
		}
		return nil
	})
	second := authorityFile(t, file)
	for _, namespace := range []string{"pets", "fish"} {
		i.bundle(t, namespace, beginsWith(second))
	}
	i.bundle(t, "foreign", func(m *corev1.ConfigMap) error {
		if m.Data["ca-bundle.crt"] != "mine" {
			return errorf("a foreign ConfigMap was changed")
		}
		return nil
	})
}

// A dry run changes nothing in the cluster: no Events, and no bundles.
func TestDryRunsLeaveNothing(t *testing.T) {
	t.Parallel()
	i := install(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	authorityFile(t, file)
	i.replica(t, "--ca-file", file).untilReady(t)
	i.untilAdmitted(t)
	i.account(t, "pets", "anonymous", nil)
	for range 20 {
		if _, err := i.pod(t.Context(), "pets", "anonymous", metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
			t.Fatal(err)
		}
	}
	// Events are written in the background. One of a real pod of another account
	// comes after those that must not come.
	i.account(t, "pets", "witness", nil)
	if _, err := i.pod(t.Context(), "pets", "witness", metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	i.event(t, "pets", "ServiceAccount", "witness", "ClientIDMissing")
	events, err := i.admin.CoreV1().Events("pets").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events.Items {
		if e.InvolvedObject.Name == "anonymous" {
			t.Errorf("a dry run left the Event %s: %s", e.Reason, e.Message)
		}
	}
}

// event waits for an Event on an object.
func (i *installation) event(t *testing.T, namespace, kind, name, reason string) *corev1.Event {
	t.Helper()
	var found *corev1.Event
	eventually(t, func() error {
		list, err := i.admin.CoreV1().Events(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		var others []string
		for n, e := range list.Items {
			if e.InvolvedObject.Kind == kind && e.InvolvedObject.Name == name && e.Reason == reason {
				found = &list.Items[n]
				return nil
			}
			others = append(others, e.InvolvedObject.Name+": "+e.Reason)
		}
		return fmt.Errorf("no Event %s on %s %s, only %q", reason, kind, name, others)
	})
	return found
}
