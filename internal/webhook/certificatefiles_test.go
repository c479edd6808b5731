package webhook

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// oneConfiguration is an API server with one webhook configuration.
type oneConfiguration struct {
	client.Reader
	get func(context.Context, *admissionregistrationv1.MutatingWebhookConfiguration) error
}

func (o oneConfiguration) Get(ctx context.Context, _ client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	return o.get(ctx, into.(*admissionregistrationv1.MutatingWebhookConfiguration))
}

// Readiness is said from memory: an API server that hangs makes nobody wait, and
// nobody unready at once; one without our webhook does.
func TestReadinessOfCertificateFiles(t *testing.T) {
	p, dir := testPair(t, time.Now()), t.TempDir()
	for name, text := range map[string][]byte{keyCertificate: p.certificate, keyKey: p.key} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := newCertificateFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	f.namespace, f.service, f.configuration, f.clock = "n", "s", "c", time.Now
	readiness := func() error {
		t.Helper()
		start := time.Now()
		_, err := f.ready(t.Context())
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("the answer took %s", took)
		}
		return err
	}
	if readiness() == nil {
		t.Error("ready before the configuration was read")
	}
	service := &admissionregistrationv1.ServiceReference{Namespace: "n", Name: "s"}
	there := func(_ context.Context, c *admissionregistrationv1.MutatingWebhookConfiguration) error {
		c.Webhooks = []admissionregistrationv1.MutatingWebhook{{ClientConfig: admissionregistrationv1.WebhookClientConfig{Service: service, CABundle: []byte("ca")}}}
		return nil
	}
	f.live = oneConfiguration{get: there}
	f.look(t.Context())
	if trusted, err := f.ready(t.Context()); err != nil || string(trusted) != "ca" {
		t.Errorf("%q, %v", trusted, err)
	}

	f.live = oneConfiguration{get: func(ctx context.Context, _ *admissionregistrationv1.MutatingWebhookConfiguration) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	hung := make(chan struct{})
	go func() { f.look(short); close(hung) }()
	time.Sleep(20 * time.Millisecond)
	if err := readiness(); err != nil {
		t.Error(err)
	}
	<-hung
	if err := readiness(); err != nil {
		t.Error(err)
	}
	f.read = time.Now().Add(-2 * selfGood)
	if err := readiness(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after a minute without an answer: %v", err)
	}

	f.live = oneConfiguration{get: there}
	f.look(t.Context())
	f.live = oneConfiguration{get: func(context.Context, *admissionregistrationv1.MutatingWebhookConfiguration) error {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "mutatingwebhookconfigurations"}, "c")
	}}
	f.look(t.Context())
	if err := readiness(); err == nil || !strings.Contains(err.Error(), "not found") {
		t.Errorf("without a configuration: %v", err)
	}
}
