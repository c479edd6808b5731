package localissuer

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"time"
)

// certificateLife bounds what a copy of the CA, once somebody trusts it, is worth.
const certificateLife = 30 * 24 * time.Hour

// listener is the HTTPS side of an issuer. The certificate outlives the server, so that an issuer that was closed
// comes back as the same one.
type listener struct {
	certificate *tls.Certificate
	caPEM       []byte
	server      *http.Server  // the latest one; nil before the first start
	done        chan struct{} // closed when server has ended
	release     func() bool   // forgets the context of Start
}

// Start serves the issuer over HTTPS at addr, e.g. "127.0.0.1:0", until ctx ends or Close is called. Only loopback
// addresses are allowed. The certificate, for localhost, 127.0.0.1 and ::1, is signed by a CA of the issuer's own:
// see CAPEM. The issuers in others share listener and CA, and are told apart by their paths. An issuer that has been
// closed may be started again and keeps its CA.
func (i *Issuer) Start(ctx context.Context, addr string, others ...*Issuer) error {
	all := append(handler{i}, others...)
	paths := map[string]bool{}
	for _, o := range all {
		if paths[o.prefix] {
			return fmt.Errorf("start issuer: two issuers at path %q", o.config.Path)
		}
		paths[o.prefix] = true
	}
	i.starting.Lock()
	defer i.starting.Unlock()
	l := &i.listener
	if l.server != nil {
		select {
		case <-l.done:
		default:
			return errors.New("start issuer: it has been started already")
		}
	}
	if l.certificate == nil {
		var err error
		if l.certificate, l.caPEM, err = newCertificate(); err != nil {
			return fmt.Errorf("make certificate of issuer: %w", err)
		}
	}
	var lc net.ListenConfig
	socket, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("start issuer: %w", err)
	}
	if tcp, ok := socket.Addr().(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
		_ = socket.Close()
		return fmt.Errorf("start issuer: %q is not a loopback address", addr)
	}
	for _, o := range all {
		o.mu.Lock()
		o.caPEM = l.caPEM
		if o.config.URL == "" {
			o.url = "https://" + socket.Addr().String() + o.config.Path
		}
		o.mu.Unlock()
	}

	done := make(chan struct{})
	server := &http.Server{
		Handler:           all,
		ReadHeaderTimeout: 10 * time.Second,
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*l.certificate}},
		ErrorLog:          log.New(io.Discard, "", 0), // clients that do not know the CA are part of the job
	}
	l.server, l.done = server, done
	l.release = context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() {
		defer close(done)
		_ = server.ServeTLS(socket, "", "")
	}()
	return nil
}

// Close ends the listener and its connections at once; hanging answers end with them. The issuer still mints.
func (i *Issuer) Close() {
	i.starting.Lock()
	defer i.starting.Unlock()
	if l := &i.listener; l.server != nil {
		l.release()
		_ = l.server.Close()
		<-l.done
	}
}

// CAPEM is the certificate of the CA that signed the listener's, in PEM; nil before Start.
func (i *Issuer) CAPEM() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.caPEM
}

// newCertificate makes a CA, has it sign one server certificate and forgets its key.
func newCertificate() (*tls.Certificate, []byte, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	now := time.Now() // not Clock: the peers of a TLS connection look at theirs
	ca := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "Entente local issuer CA"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(certificateLife),
		KeyUsage:              x509.KeyUsageCertSign,
		IsCA:                  true,
		MaxPathLenZero:        true,
		BasicConstraintsValid: true,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "Entente local issuer"},
		NotBefore:    ca.NotBefore,
		NotAfter:     ca.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	sign := func(c *x509.Certificate, public crypto.PublicKey) []byte {
		der, e := x509.CreateCertificate(rand.Reader, c, ca, public, caKey)
		err = errors.Join(err, e)
		return der
	}
	caPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: sign(ca, caKey.Public())})
	certificate := &tls.Certificate{Certificate: [][]byte{sign(leaf, key.Public())}, PrivateKey: key}
	return certificate, caPEM, err
}
