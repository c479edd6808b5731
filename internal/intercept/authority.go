package intercept

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"sync"
	"time"
)

// lifetime is how long certificates hold: longer than anything runs. What
// bounds them is that nobody but the command's programs trusts the CA.
const lifetime = 365 * 24 * time.Hour

// authority is the throw-away CA. Its keys are in memory only, and it can
// certify Azure's names and no other.
type authority struct {
	certificate *x509.Certificate
	key, leaf   crypto.Signer // the CA's, and that of all leaves

	mu     sync.Mutex
	leaves map[string]*tls.Certificate // by host; only Azure's names
}

func newAuthority(now time.Time) (*authority, error) {
	a := &authority{leaves: map[string]*tls.Certificate{}}
	for _, key := range []*crypto.Signer{&a.key, &a.leaf} {
		made, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		*key = made
	}
	template, err := newTemplate(pkix.Name{CommonName: "entente run (throw-away)"}, now)
	if err != nil {
		return nil, err
	}
	template.IsCA, template.MaxPathLenZero = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	template.PermittedDNSDomains, template.PermittedDNSDomainsCritical = Hosts(), true
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	a.certificate, err = x509.ParseCertificate(der)
	return a, err
}

func newTemplate(subject pkix.Name, now time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{SerialNumber: serial, Subject: subject, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(lifetime), BasicConstraintsValid: true}, nil
}

func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// certificateFor is the certificate of one of Azure's hosts.
func (a *authority) certificateFor(host string, now time.Time) (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if made := a.leaves[host]; made != nil {
		return made, nil
	}
	template, err := newTemplate(pkix.Name{CommonName: host}, now)
	if err != nil {
		return nil, err
	}
	template.NotAfter = a.certificate.NotAfter
	template.DNSNames = []string{host}
	template.KeyUsage, template.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, a.leaf.Public(), a.key)
	if err != nil {
		return nil, err
	}
	a.leaves[host] = &tls.Certificate{Certificate: [][]byte{der, a.certificate.Raw}, PrivateKey: a.leaf}
	return a.leaves[host], nil
}
