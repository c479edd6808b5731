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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
}

func newCertificateFiles(directory string) (*certificateFiles, error) {
	watcher, err := certwatcher.New(filepath.Join(directory, keyCertificate), filepath.Join(directory, keyKey))
	if err != nil {
		return nil, fmt.Errorf("--webhook-cert-dir: %w", err)
	}
	return &certificateFiles{CertWatcher: watcher}, nil
}

func (f *certificateFiles) ready(ctx context.Context) ([]byte, error) {
	c, err := f.GetCertificate(nil)
	if err != nil || c == nil {
		return nil, errors.Join(errEmptySecret, err)
	}
	if end := f.notAfter(); f.clock().After(end) {
		return nil, fmt.Errorf("the serving certificate has expired at %s", end.UTC().Format(time.RFC3339))
	}
	configuration := new(admissionregistrationv1.MutatingWebhookConfiguration)
	f.mu.Lock()
	defer f.mu.Unlock()
	err = f.live.Get(ctx, types.NamespacedName{Name: f.configuration}, configuration)
	if err != nil && !apierrors.IsNotFound(err) && time.Since(f.read) < selfGood {
		return f.trusted, nil // an API server that does not answer says nothing about this replica
	}
	if err != nil {
		return nil, fmt.Errorf("read webhook configuration %q: %w", f.configuration, err)
	}
	ours := webhooksOf(configuration, f.namespace, f.service)
	if len(ours) == 0 {
		return nil, fmt.Errorf("webhook configuration %q: %w that calls service %s/%s", f.configuration, errNoWebhook, f.namespace, f.service)
	}
	f.trusted, f.read = ours[0].ClientConfig.CABundle, time.Now()
	return f.trusted, nil
}

func (f *certificateFiles) notAfter() time.Time {
	if c, err := f.GetCertificate(nil); err == nil && c != nil && c.Leaf != nil {
		return c.Leaf.NotAfter
	}
	return time.Time{}
}
