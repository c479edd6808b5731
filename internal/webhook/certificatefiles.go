package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// certificates is where a serving certificate comes from: a rotation, or files.
type certificates interface {
	// Start keeps it current until ctx ends.
	Start(ctx context.Context) error
	GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// ready says why API servers cannot be served. If they can: the caBundle
	// that they have; none means the roots of the system.
	ready(ctx context.Context) (trusted []byte, err error)
	notAfter() time.Time
}

var (
	_ certificates = (*rotation)(nil)
	_ certificates = (*certificateFiles)(nil)
)

// certificateFiles are tls.crt and tls.key in a directory, which somebody else
// renews (cert-manager, for instance), and whose authority somebody else writes
// into the webhook configuration.
type certificateFiles struct {
	*certwatcher.CertWatcher
	live                              client.Reader
	namespace, service, configuration string
	clock                             func() time.Time

	mu      sync.Mutex
	trusted []byte    // the caBundle, when it was last read
	read    time.Time // when that was
	problem error     // of the last look
}

func newCertificateFiles(directory string) (*certificateFiles, error) {
	watcher, err := certwatcher.New(filepath.Join(directory, keyCertificate), filepath.Join(directory, keyKey))
	if err != nil {
		return nil, fmt.Errorf("--webhook-cert-dir: %w", err)
	}
	return &certificateFiles{CertWatcher: watcher}, nil
}

// Start reads the files when they change, and looks at the configuration, until
// ctx ends. Whoever asks for readiness never waits for an API server.
func (f *certificateFiles) Start(ctx context.Context) error {
	watched := make(chan error, 1)
	go func() { watched <- f.CertWatcher.Start(ctx) }()
	for {
		f.look(ctx)
		select {
		case err := <-watched:
			return err
		case <-time.After(lookEvery):
		}
	}
}

const lookEvery = 2 * time.Second // and how often a kubelet asks

// look reads the caBundle. An API server that does not answer says nothing about
// this replica.
func (f *certificateFiles) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	configuration := new(admissionregistrationv1.MutatingWebhookConfiguration)
	err := f.live.Get(ctx, types.NamespacedName{Name: f.configuration}, configuration)
	ours := webhooksOf(configuration, f.namespace, f.service)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err != nil:
		f.problem = fmt.Errorf("read webhook configuration %q: %w", f.configuration, err)
	case len(ours) == 0:
		f.problem = fmt.Errorf("webhook configuration %q: %w that calls service %s/%s", f.configuration, errNoWebhook, f.namespace, f.service)
	default:
		f.problem, f.trusted, f.read = nil, ours[0].ClientConfig.CABundle, time.Now()
	}
}

func (f *certificateFiles) ready(context.Context) ([]byte, error) {
	c, err := f.GetCertificate(nil)
	if err != nil || c == nil {
		return nil, errors.Join(errEmptySecret, err)
	}
	if end := f.notAfter(); f.clock().After(end) {
		return nil, fmt.Errorf("the serving certificate has expired at %s", end.UTC().Format(time.RFC3339))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.problem != nil && (missing(f.problem) || time.Since(f.read) > selfGood) {
		return nil, f.problem
	}
	if f.read.IsZero() {
		return nil, fmt.Errorf("webhook configuration %q has not been read yet", f.configuration)
	}
	return f.trusted, nil
}

func (f *certificateFiles) notAfter() time.Time {
	if c, err := f.GetCertificate(nil); err == nil && c != nil && c.Leaf != nil {
		return c.Leaf.NotAfter
	}
	return time.Time{}
}
