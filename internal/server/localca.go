package server

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// localCA is the certificate authority of a service that was given no
// certificate. It may sign for the service's own names only (name constraints,
// RFC 5280 §4.2.1.10), so that trusting it is trusting nothing else.
type localCA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	made bool // by this start
}

const (
	caLifetime   = 10 * 365 * 24 * time.Hour
	leafLifetime = 90 * 24 * time.Hour
	backDate     = time.Hour // clocks of clients that are behind
)

// openLocalCA reads the CA of a data directory, or makes it for names.
// ca-key.pem holds the whole of it and is written once, so that processes which
// start together have one CA; ca.pem, for clients, is made from it.
func openLocalCA(dir string, names []string, now time.Time) (*localCA, error) {
	certFile, keyFile := filepath.Join(dir, CAFile), filepath.Join(dir, "ca-key.pem")
	ca, err := readLocalCA(keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		var fresh *localCA
		if fresh, err = makeLocalCA(names, now); err != nil {
			return nil, err
		}
		var text []byte
		if text, err = fresh.secretPEM(); err != nil {
			return nil, err
		}
		var made bool
		if made, err = placeFile(keyFile, text, 0o600); err != nil {
			return nil, err
		}
		if ca, err = readLocalCA(keyFile); err == nil {
			ca.made = made
		}
	}
	if err != nil {
		return nil, err
	}
	if now.After(ca.cert.NotAfter) {
		return nil, fmt.Errorf("the local CA in %s has expired: remove ca.pem and ca-key.pem, start again and give the new ca.pem to your clients", dir)
	}
	for _, name := range names {
		if !ca.covers(name) {
			return nil, fmt.Errorf("the local CA in %s was made for other names than %q: remove ca.pem and ca-key.pem, start again and give the new ca.pem to your clients, or use --tls-cert and --tls-key", dir, name)
		}
	}
	if there, err := os.ReadFile(certFile); err == nil && bytes.Equal(there, ca.pem()) {
		return ca, nil
	}
	return ca, writeFile(certFile, ca.pem(), 0o644)
}

func readLocalCA(file string) (*localCA, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the local CA: %w", err)
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, fmt.Errorf("read the local CA in %s: %w", file, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds no ECDSA key", file)
	}
	return &localCA{cert: pair.Leaf, key: key}, nil
}

func makeLocalCA(names []string, now time.Time) (*localCA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:                serial(),
		Subject:                     pkix.Name{CommonName: "Entente local CA"},
		NotBefore:                   now.Add(-backDate),
		NotAfter:                    now.Add(caLifetime),
		IsCA:                        true,
		BasicConstraintsValid:       true,
		MaxPathLenZero:              true,
		KeyUsage:                    x509.KeyUsageCertSign,
		PermittedDNSDomainsCritical: true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.PermittedIPRanges = append(template.PermittedIPRanges, hostRange(ip))
		} else {
			template.PermittedDNSDomains = append(template.PermittedDNSDomains, name)
		}
	}
	// A type without constraints would be wholly permitted.
	if template.PermittedIPRanges == nil {
		template.PermittedIPRanges = []*net.IPNet{hostRange(net.IPv4zero)}
	}
	if template.PermittedDNSDomains == nil {
		template.PermittedDNSDomains = []string{"invalid"}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make the local CA: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	return &localCA{cert: cert, key: key, made: true}, err
}

func hostRange(ip net.IP) *net.IPNet {
	if v4 := ip.To4(); v4 != nil {
		return &net.IPNet{IP: v4, Mask: net.CIDRMask(32, 32)}
	}
	return &net.IPNet{IP: ip, Mask: net.CIDRMask(128, 128)}
}

func (ca *localCA) covers(name string) bool {
	if ip := net.ParseIP(name); ip != nil {
		return slices.ContainsFunc(ca.cert.PermittedIPRanges, func(n *net.IPNet) bool { return n.Contains(ip) })
	}
	return slices.Contains(ca.cert.PermittedDNSDomains, name)
}

// pem is the certificate, secretPEM also the key.
func (ca *localCA) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})
}

func (ca *localCA) secretPEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(ca.key)
	if err != nil {
		return nil, fmt.Errorf("encode the local CA: %w", err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), ca.pem()...), nil
}

// issue makes a serving certificate for names; it lives in memory only.
func (ca *localCA) issue(names []string, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: names[0]},
		NotBefore:    now.Add(-backDate),
		NotAfter:     now.Add(leafLifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return nil, fmt.Errorf("make a serving certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	return &tls.Certificate{Certificate: [][]byte{der, ca.cert.Raw}, PrivateKey: key, Leaf: leaf}, err
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return n
}
