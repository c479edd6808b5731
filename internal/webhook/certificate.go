package webhook

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// DefaultCertificateLifetime is how long a serving certificate of our own making
// is good. It is renewed when a third of that is left.
const DefaultCertificateLifetime = 90 * 24 * time.Hour

// A pair is a serving certificate, its key and the authority that signed it, as
// PEM. Every pair has an authority of its own, whose key is forgotten as soon as
// it has signed: there is nothing in the cluster that could sign another one.
type pair struct {
	authority, certificate, key []byte

	parsed *tls.Certificate // what the PEM says, with its Leaf
}

// newPair makes a pair for a server that has the names.
func newPair(names []string, now time.Time, lifetime time.Duration) (*pair, error) {
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	numbers := make([]*big.Int, 2)
	for n := range numbers {
		if numbers[n], err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126)); err != nil {
			return nil, err
		}
	}
	const ahead = time.Hour // clocks of API servers may be behind
	authority := &x509.Certificate{
		// The number is in the name too: two authorities of one name and with
		// other keys make some verifiers try only the first.
		Subject:      pkix.Name{CommonName: fmt.Sprintf("entente-webhook CA %x", numbers[0].Bytes()[:4]), Organization: []string{"entente"}},
		SerialNumber: numbers[0], NotBefore: now.Add(-ahead), NotAfter: now.Add(lifetime),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
	}
	authorityDER, err := x509.CreateCertificate(rand.Reader, authority, authority, authorityKey.Public(), authorityKey)
	if err != nil {
		return nil, err
	}
	if authority, err = x509.ParseCertificate(authorityDER); err != nil {
		return nil, err
	}
	serving := &x509.Certificate{
		Subject:      pkix.Name{CommonName: names[0], Organization: []string{"entente"}},
		SerialNumber: numbers[1], NotBefore: authority.NotBefore, NotAfter: authority.NotAfter, DNSNames: names,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	servingDER, err := x509.CreateCertificate(rand.Reader, serving, authority, key.Public(), authorityKey)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return readPair(certificatePEM(authorityDER), certificatePEM(servingDER), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), names, now)
}

// readPair reads a pair and says why a server with the names cannot use it now.
func readPair(authority, certificate, key []byte, names []string, now time.Time) (*pair, error) {
	parsed, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	authority = onlyCertificates(authority)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, errors.New("there is no certificate of an authority")
	}
	for _, name := range names {
		_, err := parsed.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: now, Intermediates: intermediates(parsed)})
		if err != nil {
			return nil, err
		}
	}
	return &pair{authority: authority, certificate: certificate, key: key, parsed: &parsed}, nil
}

// due says whether a pair is to be replaced.
func (p *pair) due(now time.Time) bool {
	leaf := p.parsed.Leaf
	return leaf.NotAfter.Sub(now) < leaf.NotAfter.Sub(leaf.NotBefore)/3
}

func intermediates(c tls.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, der := range c.Certificate[1:] {
		if cert, err := x509.ParseCertificate(der); err == nil {
			pool.AddCert(cert)
		}
	}
	return pool
}

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// onlyCertificates are those of a PEM text: everybody may read a caBundle, and
// who edits a Secret by hand may have put a key beside them.
func onlyCertificates(text []byte) (certificates []byte) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return certificates
		}
		if _, err := x509.ParseCertificate(block.Bytes); block.Type == "CERTIFICATE" && err == nil {
			certificates = append(certificates, certificatePEM(block.Bytes)...)
		}
	}
}

// serviceNames are the names that API servers and others know a service by; the
// first is the one that admission calls are made to.
func serviceNames(service, namespace string) []string {
	return []string{service + "." + namespace + ".svc", service + "." + namespace, service, service + "." + namespace + ".svc.cluster.local"}
}
