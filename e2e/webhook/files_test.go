package webhook

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// With --disable-cert-rotation somebody else brings the certificate and writes
// the caBundle, as cert-manager does: the webhook takes what is there, waits for
// the caBundle that fits, and makes nothing.
func TestCertificateOfSomebodyElse(t *testing.T) {
	t.Parallel()
	i := install(t)
	// What another installation made will do for somebody else's.
	maker := i.replica(t)
	maker.untilReady(t)
	made := i.readSecret(t).Data
	maker.kill()
	if err := i.admin.CoreV1().Secrets(namespace).Delete(t.Context(), secret, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	i.setBundle(t, nil)
	dir := t.TempDir()
	for _, name := range []string{"tls.crt", "tls.key"} {
		if err := os.WriteFile(filepath.Join(dir, name), made[name], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := i.replica(t, "--disable-cert-rotation", "--webhook-cert-dir", dir)
	eventually(t, func() error {
		if text := r.get(t, r.health, "/readyz"); !strings.Contains(text, "its own admission") || !strings.Contains(text, "certificate") {
			return errorf("readiness says %q", text)
		}
		return nil
	})
	i.setBundle(t, made["ca.crt"])
	r.untilReady(t)
	i.untilAdmitted(t)
	if _, err := i.admin.CoreV1().Secrets(namespace).Get(t.Context(), secret, metav1.GetOptions{}); err == nil {
		t.Error("a Secret was made")
	}
	block, _ := pem.Decode(made["tls.crt"])
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.serial(t); got != c.SerialNumber.Text(16) {
		t.Errorf("the certificate is %s", got)
	}
}

func (i *installation) setBundle(t *testing.T, ca []byte) {
	t.Helper()
	patch := []byte(`[{"op":"remove","path":"/webhooks/0/clientConfig/caBundle"}]`)
	if ca != nil {
		text, err := json.Marshal(ca)
		if err != nil {
			t.Fatal(err)
		}
		patch = bytes.Join([][]byte{[]byte(`[{"op":"add","path":"/webhooks/0/clientConfig/caBundle","value":`), text, []byte(`}]`)}, nil)
	}
	_, err := i.admin.AdmissionregistrationV1().MutatingWebhookConfigurations().Patch(t.Context(), configuration, types.JSONPatchType, patch, metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
}
