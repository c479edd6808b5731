package webhook

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/entente-id/entente/internal/testkit"
	"github.com/entente-id/entente/internal/testkit/controlplane"
)

// walk drives the rotations of two replicas by hand, against an API server.
type walk struct {
	*testing.T
	client client.Client
	clock  *testkit.Clock
	a, b   *rotation
}

func newWalk(t *testing.T) *walk {
	t.Helper()
	cluster := controlplane.Start(t, controlplane.Config{})
	cluster.ServiceAccount(t, DefaultNamespace, "webhook")
	scheme := runtime.NewScheme()
	corev1.AddToScheme(scheme)
	admissionregistrationv1.AddToScheme(scheme)
	c, err := client.New(cluster.REST(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	w := &walk{T: t, client: c, clock: testkit.NewClock(time.Now())}
	w.a, w.b = w.replica(), w.replica()
	none := admissionregistrationv1.SideEffectClassNone
	hook := func(name, service string) admissionregistrationv1.MutatingWebhook {
		return admissionregistrationv1.MutatingWebhook{
			Name: name, AdmissionReviewVersions: []string{"v1"}, SideEffects: &none,
			ClientConfig: admissionregistrationv1.WebhookClientConfig{Service: &admissionregistrationv1.ServiceReference{Namespace: DefaultNamespace, Name: service}},
		}
	}
	if err := c.Create(t.Context(), &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: DefaultConfiguration},
		Webhooks:   []admissionregistrationv1.MutatingWebhook{hook("foreign.example.org", "foreign"), hook("mutation.azure-workload-identity.io", DefaultService)},
	}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *walk) replica() *rotation {
	return &rotation{
		client: w.client, namespace: DefaultNamespace, secret: DefaultSecret, configuration: DefaultConfiguration, service: DefaultService,
		lifetime: DefaultCertificateLifetime, overlap: time.Minute, clock: w.clock.Now, log: slog.New(slog.DiscardHandler), wake: make(chan struct{}, 1),
	}
}

// step has replicas do what is next, and again where another was first.
func (w *walk) step(replicas ...*rotation) {
	w.Helper()
	for _, r := range replicas {
		for attempt := 0; ; attempt++ {
			_, err := r.step(w.Context())
			if err == nil {
				break
			}
			if attempt == 3 {
				w.Fatal(err)
			}
		}
	}
}

// state is what the Secret says, and the configuration trusts.
func (w *walk) state() (certificateState, *corev1.Secret) {
	w.Helper()
	secret := new(corev1.Secret)
	if err := w.client.Get(w.Context(), types.NamespacedName{Namespace: DefaultNamespace, Name: DefaultSecret}, secret); err != nil {
		w.Fatal(err)
	}
	s, err := readState(secret, testNames, w.clock.Now())
	if err != nil {
		w.Fatal(err)
	}
	return s, secret
}

func (w *walk) trusted() []byte {
	w.Helper()
	c := new(admissionregistrationv1.MutatingWebhookConfiguration)
	if err := w.client.Get(w.Context(), types.NamespacedName{Name: DefaultConfiguration}, c); err != nil {
		w.Fatal(err)
	}
	if c.Webhooks[0].ClientConfig.CABundle != nil {
		w.Error("a foreign webhook got our CA")
	}
	return c.Webhooks[1].ClientConfig.CABundle
}

// is fails the test unless the rotation is in a phase, the API server trusts
// what that needs, and replicas serve a certificate of it.
func (w *walk) is(phase string, replicas ...*rotation) certificateState {
	w.Helper()
	s, _ := w.state()
	if s.phase() != phase {
		w.Fatalf("the rotation is %s, want %s", s.phase(), phase)
	}
	if !bytes.Equal(w.trusted(), s.trusted()) {
		w.Errorf("%s: the caBundle is\n%s, want\n%s", phase, w.trusted(), s.trusted())
	}
	for _, r := range replicas {
		if !bytes.Equal(r.serving.Load().Certificate[0], s.serving.parsed.Certificate[0]) {
			w.Errorf("%s: a replica serves another certificate", phase)
		}
		if _, err := r.ready(w.Context()); err != nil {
			w.Errorf("%s: %v", phase, err)
		}
	}
	return s
}

func (w *walk) wipe() {
	w.Helper()
	c := &admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: DefaultConfiguration}}
	patch := client.RawPatch(types.JSONPatchType, []byte(`[{"op":"remove","path":"/webhooks/1/clientConfig/caBundle"}]`))
	if err := w.client.Patch(w.Context(), c, patch); err != nil {
		w.Fatal(err)
	}
}

func TestRotation(t *testing.T) {
	w := newWalk(t)
	w.step(w.a, w.b)
	first := w.is("stable", w.a, w.b)
	w.clock.Advance(59 * 24 * time.Hour)
	w.step(w.a, w.b)
	w.is("stable", w.a, w.b)

	// Two thirds of the lifetime are over: a new authority is announced, and
	// nobody serves its certificate before the overlap is over.
	w.clock.Advance(2 * 24 * time.Hour)
	w.step(w.a, w.a, w.b)
	s := w.is("announced", w.a, w.b)
	if !bytes.Equal(s.serving.certificate, first.serving.certificate) {
		t.Error("the serving certificate has changed already")
	}
	w.clock.Advance(59 * time.Second)
	w.step(w.a, w.b)
	w.is("announced", w.a, w.b)

	// Who wipes the configuration, or only edits it, makes the overlap begin again.
	w.wipe()
	w.step(w.b, w.a)
	w.is("announced", w.a, w.b)
	w.clock.Advance(59 * time.Second)
	w.step(w.a, w.b)
	w.is("announced", w.a, w.b)
	w.clock.Advance(2 * time.Second)
	w.step(w.a, w.a, w.b)
	s = w.is("switched", w.a, w.b)
	if bytes.Equal(s.serving.certificate, first.serving.certificate) || !bytes.Equal(s.previous, first.serving.authority) {
		t.Error("the certificates did not change places")
	}
	w.clock.Advance(59 * time.Second)
	w.step(w.a, w.b)
	w.is("switched", w.a, w.b)

	// A replica that has just started waits for the whole overlap, too.
	w.a = w.replica()
	w.clock.Advance(59 * time.Second) // b is stuck
	w.step(w.a)
	w.is("switched", w.a)
	w.clock.Advance(61 * time.Second)
	w.step(w.a, w.a, w.b)
	second := w.is("stable", w.a, w.b)

	// On demand. The one who asks needs to know nothing of where it stands.
	_, secret := w.state()
	secret.Annotations = map[string]string{RotateAnnotation: "now"}
	if err := w.client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	w.step(w.b, w.b, w.a)
	w.is("announced", w.a, w.b)
	if _, secret := w.state(); secret.Annotations[RotateAnnotation] != "" {
		t.Error("it would rotate for ever")
	}

	// An API server that does not answer, or lets another replica through, makes
	// nobody unready at once. But who does not hear from it must not be asked for ever.
	silent, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.b.step(silent); err == nil {
		t.Error("a step without an answer went well")
	}
	w.is("announced", w.a, w.b)
	w.clock.Advance(31 * time.Second)
	if _, err := w.b.ready(t.Context()); err == nil {
		t.Error("ready, though the Secret was not read for half of the overlap")
	}

	// After months without anybody the certificate is made at once.
	w.clock.Advance(200 * 24 * time.Hour)
	if _, err := w.a.ready(t.Context()); err == nil {
		t.Error("ready with an expired certificate")
	}
	w.step(w.a, w.b)
	third := w.is("stable", w.a, w.b)
	if bytes.Equal(third.serving.certificate, second.serving.certificate) {
		t.Error("the certificate is the expired one")
	}

	// Who breaks or deletes the Secret disturbs nobody: what is served is still
	// trusted, and a new certificate is announced.
	for _, what := range []string{"broken", "deleted"} {
		var err error
		_, secret = w.state()
		if what == "broken" {
			secret.Data[keyKey] = []byte("broken")
			err = w.client.Update(t.Context(), secret)
		} else {
			err = w.client.Delete(t.Context(), secret)
		}
		if err != nil {
			t.Fatal(err)
		}
		w.step(w.b, w.a)
		if s := w.is("announced", w.a, w.b); !bytes.Equal(s.serving.certificate, third.serving.certificate) {
			t.Errorf("%s: another certificate is served at once", what)
		}
	}
	// Where nobody serves, there is nothing to go on with.
	_, secret = w.state()
	if err := w.client.Delete(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	w.a, w.b = w.replica(), w.replica()
	w.step(w.b, w.a)
	w.is("stable", w.a, w.b)
}

// The clock of a node may be wrong by months: what is valid is said by the API server's.
func TestAReplicaWithAWrongClock(t *testing.T) {
	w := newWalk(t)
	w.b.calendar = w.clock.Now
	for _, wrong := range []time.Duration{70 * 24 * time.Hour, 300 * 24 * time.Hour, -70 * 24 * time.Hour} {
		w.b.clock = func() time.Time { return w.clock.Now().Add(wrong) }
		w.step(w.a, w.b, w.a)
		first := w.is("stable", w.a)
		w.clock.Advance(time.Second)
		w.step(w.b, w.a)
		if s := w.is("stable", w.a, w.b); !bytes.Equal(s.serving.certificate, first.serving.certificate) {
			t.Errorf("%s: the certificate was replaced", wrong)
		}
	}
}

// A replica that is behind does not put back what another replica has replaced.
func TestAStaleReplicaWritesNothing(t *testing.T) {
	w := newWalk(t)
	w.step(w.a, w.b)
	old, err := w.b.readConfiguration(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before, _ := w.state()
	_, secret := w.state()
	secret.Annotations = map[string]string{RotateAnnotation: "now"}
	if err := w.client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	w.step(w.a, w.a)
	w.is("announced", w.a)
	old.Webhooks[1].ClientConfig.CABundle = nil // b believes that it was wiped, and repairs it
	if err := w.b.writeConfiguration(t.Context(), old, before.trusted()); err == nil {
		t.Error("a caBundle of before was written over a newer one")
	}
	w.is("announced", w.a)
}
