package webhook

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// DefaultCertificateOverlap is how long a new authority is announced before its
// certificate serves, and how long the old one is trusted after that.
const DefaultCertificateOverlap = 5 * time.Minute

// A rotation keeps a serving certificate in a Secret, and the authorities that
// it needs in the webhook configuration. Every replica runs one and none leads:
// each does the next step when it is due, and the API server lets one of them
// through. A step is due when this replica itself has seen the one before it
// for the overlap, so clocks need not agree; and whether a certificate is valid
// is said by the calendar of the API server, which is who has to find it so.
type rotation struct {
	client                           client.Client // that asks the API server, and no cache
	namespace, secret, configuration string
	service                          string
	lifetime, overlap                time.Duration
	clock                            func() time.Time // for how long something has been so
	calendar                         func() time.Time // nil = clock
	log                              *slog.Logger
	turned                           func(phase string) // told of steps that this replica did

	wake    chan struct{} // capacity 1: the Secret or the configuration has changed
	serving atomic.Pointer[tls.Certificate]
	current *pair // the same, of the loop that steps

	held since // that the configuration has had the right caBundle
	seen since // that the Secret has been as it is

	mu        sync.Mutex
	confirmed time.Time // when the Secret was read last, and the configuration was right
	trusted   []byte    // the caBundle that the configuration had then
	problem   error     // of the last step
	wrong     bool      // the problem is that API servers cannot call us
}

// since remembers from when on something has been the same.
type since struct {
	what string
	from time.Time
}

func (s *since) still(what string, now time.Time) time.Duration {
	if s.what != what {
		s.what, s.from = what, now
	}
	return now.Sub(s.from)
}

// GetCertificate is for tls.Config: each handshake gets what is right then.
func (r *rotation) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c := r.serving.Load(); c != nil {
		return c, nil
	}
	return nil, errEmptySecret
}

// today is for what is valid from and until.
func (r *rotation) today() time.Time {
	if r.calendar != nil {
		return r.calendar()
	}
	return r.clock()
}

// poke makes a step happen soon.
func (r *rotation) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Start steps until ctx ends: on changes, and every quarter of the overlap.
func (r *rotation) Start(ctx context.Context) error {
	for delay := time.Duration(0); ; {
		wait, err := r.step(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err):
			wait, delay = 0, 0 // another replica was first: look again
		case err != nil:
			delay = min(max(2*delay, 100*time.Millisecond), 5*time.Second)
			r.log.Warn("keep the serving certificate", "error", err, "again_in", delay)
			wait = delay
		default:
			delay = 0
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.wake:
		case <-time.After(wait):
		}
	}
}

// step does what is next, and says when to look again. The configuration is
// read before the Secret, and written only if it is still as it was read: so
// what is written is never older than what another replica wrote.
func (r *rotation) step(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	configuration, problem := r.readConfiguration(ctx)
	secret, s, err := r.readSecret(ctx)
	if err != nil {
		r.note(nil, errors.Join(problem, err))
		return 0, err
	}
	if problem == nil {
		problem = r.writeConfiguration(ctx, configuration, s.trusted())
	}
	// Only now: nobody is served a certificate that is not announced. After a
	// switch it was, for the overlap; at the first start nobody is ready yet.
	r.serve(s.serving)
	r.note(configuration, problem)
	if problem != nil && !missing(problem) {
		return 0, problem
	}
	return r.advance(ctx, configuration, secret, s)
}

// missing says that an error is no failure: there is no webhook of ours yet.
func missing(err error) bool { return apierrors.IsNotFound(err) || errors.Is(err, errNoWebhook) }

// advance does the step of a rotation that is due.
func (r *rotation) advance(ctx context.Context, configuration *admissionregistrationv1.MutatingWebhookConfiguration, secret *corev1.Secret, s certificateState) (time.Duration, error) {
	now := r.clock()
	var held time.Duration
	if configuration != nil {
		held = r.held.still(configuration.ResourceVersion, now)
	} else {
		r.held = since{}
	}
	seen := r.seen.still(secret.ResourceVersion, now)
	next := s
	_, asked := secret.Annotations[RotateAnnotation]
	var left time.Duration
	switch s.phase() {
	case "announced":
		if left = r.overlap - held; left <= 0 && held > 0 {
			next = certificateState{serving: s.next, previous: s.serving.authority}
		}
	case "switched":
		if left = r.overlap - min(held, seen); left <= 0 && held > 0 {
			next.previous = nil
		}
	default:
		if left = r.overlap; asked || s.serving.due(r.today()) {
			p, err := newPair(serviceNames(r.service, r.namespace), r.today(), r.lifetime)
			if err != nil {
				return 0, err
			}
			next.next = p
			secret = secret.DeepCopy()
			delete(secret.Annotations, RotateAnnotation)
		}
	}
	if next.phase() == s.phase() {
		return max(min(left, r.overlap/4, 15*time.Second), time.Millisecond), nil
	}
	if err := r.update(ctx, secret, next); err != nil {
		return 0, err
	}
	return 0, nil
}

// update writes the state if the Secret is still as it was read.
func (r *rotation) update(ctx context.Context, secret *corev1.Secret, s certificateState) error {
	secret = secret.DeepCopy()
	s.write(secret)
	if err := r.client.Update(ctx, secret); err != nil {
		return err
	}
	r.log.Info("serving certificate", "phase", s.phase(), "secret", secret.Name, "not_after", s.serving.parsed.Leaf.NotAfter)
	if r.turned != nil {
		r.turned(s.phase())
	}
	return nil
}

// readSecret reads the Secret. It makes or fills it where there is nothing that
// a server could use.
func (r *rotation) readSecret(ctx context.Context) (*corev1.Secret, certificateState, error) {
	names := serviceNames(r.service, r.namespace)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: r.secret}}
	err := r.client.Get(ctx, client.ObjectKeyFromObject(secret), secret)
	absent := apierrors.IsNotFound(err)
	if err != nil && !absent {
		return nil, certificateState{}, fmt.Errorf("read secret %q: %w", r.secret, err)
	}
	if !absent {
		s, err := readState(secret, names, r.today())
		if err == nil {
			return secret, s, nil
		}
		if !errors.Is(err, errEmptySecret) {
			r.log.Warn("the serving certificate cannot be used, and is made anew", "error", err)
		}
	}
	p, err := newPair(names, r.today(), r.lifetime)
	if err != nil {
		return nil, certificateState{}, err
	}
	s := certificateState{serving: p}
	// What this replica serves is still trusted, whatever became of the Secret:
	// the new one is announced as in any rotation.
	if c := r.current; c != nil {
		if c, err := readPair(c.authority, c.certificate, c.key, names[:1], r.today()); err == nil {
			s = certificateState{serving: c, next: p}
		}
	}
	s.write(secret)
	if absent {
		secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: r.secret}, Data: secret.Data, Type: corev1.SecretTypeOpaque}
		err = r.client.Create(ctx, secret)
	} else {
		err = r.client.Update(ctx, secret)
	}
	if err != nil {
		return nil, certificateState{}, err
	}
	r.log.Info("serving certificate", "phase", "made", "secret", r.secret, "not_after", s.serving.parsed.Leaf.NotAfter)
	return secret, s, nil
}

// errNoWebhook says that there is a configuration, and none of it is ours.
var errNoWebhook = errors.New("it has no webhook")

func (r *rotation) readConfiguration(ctx context.Context) (*admissionregistrationv1.MutatingWebhookConfiguration, error) {
	c := new(admissionregistrationv1.MutatingWebhookConfiguration)
	if err := r.client.Get(ctx, types.NamespacedName{Name: r.configuration}, c); err != nil {
		return nil, fmt.Errorf("read webhook configuration %q: %w", r.configuration, err)
	}
	if len(webhooksOf(c, r.namespace, r.service)) == 0 {
		return nil, fmt.Errorf("webhook configuration %q: %w that calls service %s/%s", r.configuration, errNoWebhook, r.namespace, r.service)
	}
	return c, nil
}

// writeConfiguration puts the caBundle into our webhooks, and touches nothing
// else of them: everything else is the installer's.
func (r *rotation) writeConfiguration(ctx context.Context, c *admissionregistrationv1.MutatingWebhookConfiguration, trusted []byte) error {
	type clientConfig struct {
		CABundle []byte `json:"caBundle"`
	}
	type hook struct {
		Name         string       `json:"name"`
		ClientConfig clientConfig `json:"clientConfig"`
	}
	var wrong []hook
	for _, w := range webhooksOf(c, r.namespace, r.service) {
		if !bytes.Equal(w.ClientConfig.CABundle, trusted) {
			wrong = append(wrong, hook{w.Name, clientConfig{trusted}})
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": c.ResourceVersion}, "webhooks": wrong})
	if err != nil {
		return err
	}
	// The merge key of webhooks is their name.
	if err := r.client.Patch(ctx, c, client.RawPatch(types.StrategicMergePatchType, patch)); err != nil {
		return fmt.Errorf("write caBundle of webhook configuration %q: %w", r.configuration, err)
	}
	r.log.Info("caBundle written", "configuration", r.configuration, "webhooks", len(wrong))
	return nil
}

// webhooksOf are the webhooks of a configuration that call a service.
func webhooksOf(c *admissionregistrationv1.MutatingWebhookConfiguration, namespace, service string) (ours []admissionregistrationv1.MutatingWebhook) {
	for _, w := range c.Webhooks {
		if s := w.ClientConfig.Service; s != nil && s.Namespace == namespace && s.Name == service {
			ours = append(ours, w)
		}
	}
	return ours
}

// serve makes a pair the one that handshakes get from now on.
func (r *rotation) serve(p *pair) {
	r.current = p
	if old := r.serving.Load(); old == nil || !bytes.Equal(old.Certificate[0], p.parsed.Certificate[0]) {
		r.serving.Store(p.parsed)
		r.log.Info("serving with certificate", "serial", p.parsed.Leaf.SerialNumber.Text(16), "not_after", p.parsed.Leaf.NotAfter)
	}
}

// note keeps what a step found. An API server that does not answer, or lets
// another replica through, says nothing about this one: what was confirmed
// before counts for a while. No webhook, or one that cannot be written, does.
func (r *rotation) note(c *admissionregistrationv1.MutatingWebhookConfiguration, problem error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problem = problem
	if r.wrong = missing(problem) || apierrors.IsForbidden(problem) || apierrors.IsInvalid(problem); problem == nil {
		r.confirmed = r.clock()
		r.trusted = webhooksOf(c, r.namespace, r.service)[0].ClientConfig.CABundle
	}
}

// ready says why API servers cannot be served, and what they trust if they can.
func (r *rotation) ready(context.Context) (trusted []byte, err error) {
	now := r.clock()
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.serving.Load()
	switch {
	case c == nil:
		return nil, cmp.Or(r.problem, errEmptySecret)
	case r.today().After(c.Leaf.NotAfter):
		return nil, fmt.Errorf("the serving certificate has expired at %s", c.Leaf.NotAfter.UTC().Format(time.RFC3339))
	case r.wrong:
		return nil, r.problem
	case r.confirmed.IsZero():
		return nil, fmt.Errorf("the API server has not confirmed the serving certificate yet: %w", cmp.Or(r.problem, errEmptySecret))
	}
	// Who has not heard of a switch must not be asked any more when the old
	// authority goes.
	if old := now.Sub(r.confirmed); old > max(r.overlap/2, 10*time.Second) {
		return nil, fmt.Errorf("the API server has not confirmed the serving certificate for %s: %w", old.Round(time.Second), cmp.Or(r.problem, errors.New("no answer")))
	}
	return r.trusted, nil
}

func (r *rotation) notAfter() time.Time {
	if c := r.serving.Load(); c != nil {
		return c.Leaf.NotAfter
	}
	return time.Time{}
}
