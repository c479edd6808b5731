package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// maxAuthorityFile bounds --ca-file: with the public roots, some 200 KiB, it has
// to fit into a ConfigMap, which holds 1 MiB.
const maxAuthorityFile = 256 << 10

// A certificateBundle is the text of every ConfigMap BundleName: the certificates
// of a file, then the public roots. Both are in it because SSL_CERT_FILE and
// REQUESTS_CA_BUNDLE replace what a program trusted before.
type certificateBundle struct {
	file    string
	log     *slog.Logger
	every   time.Duration // how often the file is looked at; 0 = 10 s
	changed func()        // called when the text is another

	text atomic.Pointer[string]
}

// newBundle reads the file.
func newBundle(file string) (*certificateBundle, error) {
	b := &certificateBundle{file: file}
	_, err := b.read()
	return b, err
}

// Text is the bundle as PEM.
func (b *certificateBundle) Text() string { return *b.text.Load() }

// read reads the file and says whether the text is another.
func (b *certificateBundle) read() (bool, error) {
	info, err := os.Stat(b.file)
	if err != nil {
		return false, err
	}
	if info.Size() > maxAuthorityFile {
		return false, fmt.Errorf("%q is larger than %d KiB", b.file, maxAuthorityFile>>10)
	}
	data, err := os.ReadFile(b.file)
	if err != nil {
		return false, err
	}
	text, err := bundleOf(data)
	if err != nil {
		return false, fmt.Errorf("%q: %w", b.file, err)
	}
	old := b.text.Swap(&text)
	return old == nil || *old != text, nil
}

// Start looks at the file until ctx ends. A file that cannot be used changes
// nothing: the last good one stays.
func (b *certificateBundle) Start(ctx context.Context) error {
	every := b.every
	if every == 0 {
		every = 10 * time.Second
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for complaint := ""; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		changed, err := b.read()
		if err != nil {
			if err.Error() != complaint {
				complaint = err.Error()
				b.log.Error("--ca-file cannot be used; what it said before stays", "error", err)
			}
			continue
		}
		if complaint = ""; changed {
			b.log.Info("--ca-file has changed", "sha256", digest(b.Text()))
			b.changed()
		}
	}
}

// bundleOf puts the certificates of a PEM file before the public roots. Nothing
// but certificates gets through: a private key in the file is refused.
func bundleOf(file []byte) (string, error) {
	var text bytes.Buffer
	have := map[[sha256.Size]byte]bool{}
	add := func(der []byte) {
		if sum := sha256.Sum256(der); !have[sum] {
			have[sum] = true
			text.Write(certificatePEM(der))
		}
	}
	for rest := file; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return "", fmt.Errorf("it has a %s where only certificates belong", block.Type)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return "", err
		}
		add(block.Bytes)
	}
	if len(have) == 0 {
		return "", errors.New("it has no PEM certificate")
	}
	// Roots that are trusted only for what they signed before a day are in it
	// as well, as in every distribution's file: PEM cannot say that.
	for root := range bundle.Roots() {
		add(root.Certificate)
	}
	return text.String(), nil
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// publicRoots are those of the system and of the program.
func publicRoots() *x509.CertPool {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	for root := range bundle.Roots() {
		c, err := x509.ParseCertificate(root.Certificate)
		switch {
		case err != nil:
		case root.Constraint != nil:
			pool.AddCertWithConstraint(c, root.Constraint)
		default:
			pool.AddCert(c)
		}
	}
	return pool
}
