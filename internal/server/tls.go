package server

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificates hands out the serving certificate: the operator's, read again
// when its files change, or one of the local CA, made again before it expires.
// Neither needs a restart or drops a connection.
type certificates struct {
	certFile, keyFile string
	ca                *localCA
	names             []string
	now               func() time.Time
	log               *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	stamp   [2]time.Time // modification times of the two files
	looked  time.Time
}

const lookEvery = time.Second

func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if c.ca != nil {
		if c.current == nil || now.After(c.current.Leaf.NotAfter.Add(-leafLifetime/3)) {
			cert, err := c.ca.issue(c.names, now)
			if err != nil {
				return nil, err
			}
			c.current = cert
		}
		return c.current, nil
	}
	if c.current != nil && now.Sub(c.looked) < lookEvery {
		return c.current, nil
	}
	c.looked = now
	if err := c.reload(); err != nil {
		if c.current == nil {
			return nil, err
		}
		c.log.Warn("the certificate's files cannot be read; the one from before is served", "error", err)
	}
	return c.current, nil
}

func (c *certificates) reload() error {
	var stamp [2]time.Time
	for i, file := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(file)
		if err != nil {
			return fmt.Errorf("read --tls-cert and --tls-key: %w", err)
		}
		stamp[i] = info.ModTime()
	}
	if c.current != nil && stamp == c.stamp {
		return nil
	}
	cert, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("read --tls-cert and --tls-key: %w", err)
	}
	if end := cert.Leaf.NotAfter; c.now().After(end) {
		c.log.Warn("the certificate of --tls-cert has expired: clients will refuse it", "file", c.certFile, "since", end)
	}
	c.current, c.stamp = &cert, stamp
	return nil
}
