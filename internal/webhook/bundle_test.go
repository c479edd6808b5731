package webhook

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

func TestBundleOf(t *testing.T) {
	p := testPair(t, time.Now())
	var aRoot []byte
	for root := range bundle.Roots() {
		aRoot = certificatePEM(root.Certificate)
		break
	}
	for _, c := range []struct {
		name, file string
		begins     []byte
		wrong      string
	}{
		{"one certificate", string(p.authority), p.authority, ""},
		{"with words around it", "the CA:\n" + string(p.authority) + "the end\n", p.authority, ""},
		{"twice, and with a public root", string(p.authority) + string(aRoot) + string(p.authority), append(bytes.Clone(p.authority), aRoot...), ""},
		{"with a private key", string(p.authority) + string(p.key), nil, "PRIVATE KEY"},
		{"nothing", "", nil, "no PEM certificate"},
		{"not a certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", nil, "x509"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, err := bundleOf([]byte(c.file))
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) {
					t.Fatalf("%v, want %q", err, c.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(text, string(c.begins)) {
				t.Errorf("it begins with %.100q", text)
			}
			seen := map[string]bool{}
			for rest := []byte(text); ; {
				var block *pem.Block
				if block, rest = pem.Decode(rest); block == nil {
					break
				}
				if seen[string(block.Bytes)] {
					t.Error("a certificate stands there twice")
				}
				seen[string(block.Bytes)] = true
			}
			if len(seen) < 100 || len(text) > 512<<10 {
				t.Errorf("%d certificates in %d bytes", len(seen), len(text))
			}
		})
	}
}

// An authority of one's own and a public one are trusted by who has the bundle.
func TestBundleTrustsBoth(t *testing.T) {
	p := testPair(t, time.Now())
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, p.authority, 0o644); err != nil {
		t.Fatal(err)
	}
	b, err := newBundle(file)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(b.Text()))
	if _, err := p.parsed.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: testNames[0]}); err != nil {
		t.Error(err)
	}
	for root := range bundle.Roots() {
		c, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: c.NotBefore.Add(time.Hour), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
			t.Errorf("%s: %v", c.Subject, err)
		}
	}
	if err := os.WriteFile(file, make([]byte, maxAuthorityFile+1), 0o644); err != nil {
		t.Fatal(err)
	}
	before := b.Text()
	if _, err := b.read(); err == nil || b.Text() != before {
		t.Errorf("a file that is too large: %v", err)
	}
	if _, err := newBundle(filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("a file that is not there is no error")
	}
}
