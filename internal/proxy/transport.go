package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"

	"github.com/entente-id/entente/client"
)

const (
	tryTimeout = 15 * time.Second // of one request, answer included
	maxAnswer  = 256 << 10        // bytes of an answer
	maxCAFile  = 4 << 20
)

// caError says why a CA file cannot be used.
type caError struct{ err error }

func (e *caError) Error() string { return "SSL_CERT_FILE: " + e.err.Error() }

// client is the one that sends, made when it is first needed, because reading the
// public roots takes longer than all the rest of the start, and again when the CA
// file is another one: the CA of a service is renewed while pods live.
func (s *Source) client() (*http.Client, error) {
	if s.Client != nil {
		return &http.Client{Transport: oneTry{s.Client.Transport}, Timeout: tryTimeout}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var ca os.FileInfo
	if s.CAFile != "" {
		var err error
		if ca, err = os.Stat(s.CAFile); err != nil && s.own == nil {
			return nil, &caError{err}
		}
	}
	if s.own != nil && (ca == nil || sameFile(ca, s.ca)) {
		return s.own, nil
	}
	roots, err := trusted(s.CAFile)
	if err != nil {
		if s.own != nil { // half a file is no reason to distrust everybody
			s.Log.Warn("the CA file has changed and cannot be read", "error", err)
			return s.own, nil
		}
		return nil, &caError{err}
	}
	if s.own != nil {
		s.own.CloseIdleConnections()
	}
	s.own, s.ca = &http.Client{Transport: oneTry{newTransport(roots)}, Timeout: tryTimeout}, ca
	return s.own, nil
}

func newTransport(roots *x509.CertPool) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(2)},
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  10 * time.Second,
		IdleConnTimeout:        30 * time.Second,
		MaxIdleConns:           2,
		MaxConnsPerHost:        16,
		MaxResponseHeaderBytes: 32 << 10,
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{}, // HTTP/1.1, which costs less memory
		WriteBufferSize:        4 << 10,
		ReadBufferSize:         4 << 10,
	}
}

// trusted are the system's certificates, or those of the file in their place, and
// the public roots that are compiled in: an image may have nothing but the program.
func trusted(file string) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if file == "" {
		if system, err := x509.SystemCertPool(); err == nil {
			pool = system
		}
	} else {
		text, err := readBounded(file)
		if err != nil {
			return nil, err
		}
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%q holds no certificate", file)
		}
	}
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			// By way of PEM the pool keeps the bytes, and not what they were parsed into.
			pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}))
			continue
		}
		if certificate, err := x509.ParseCertificate(root.Certificate); err == nil {
			pool.AddCertWithConstraint(certificate, root.Constraint)
		}
	}
	return pool, nil
}

func readBounded(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxCAFile+1))
	if err == nil && len(text) > maxCAFile {
		err = fmt.Errorf("%q holds more than %d bytes", file, maxCAFile)
	}
	return text, err
}

// oneTry makes of an answer that the client would ask for again an error, which it
// returns at once, and bounds what is read of the others.
type oneTry struct{ http.RoundTripper }

func (t oneTry) RoundTrip(r *http.Request) (*http.Response, error) {
	next := t.RoundTripper
	if next == nil {
		next = http.DefaultTransport
	}
	a, err := next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	a.Body = &bounded{a.Body, maxAnswer}
	switch a.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
	default:
		return a, nil
	}
	defer a.Body.Close()
	var body struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	text, _ := io.ReadAll(a.Body)
	_ = json.Unmarshal(text, &body) // a gateway answers in words of its own
	e := &client.TokenError{Status: a.StatusCode, Code: cut(body.Error, 200), Description: cut(body.Description, 4000)}
	if e.Description == "" {
		e.Description = http.StatusText(a.StatusCode)
	}
	if n, err := strconv.Atoi(a.Header.Get("Retry-After")); err == nil && n > 0 {
		e.RetryAfter = time.Duration(min(n, 3600)) * time.Second
	}
	return nil, e
}

// bounded is a body that ends with an error where it is too long.
type bounded struct {
	io.ReadCloser
	left int
}

var errTooLong = errors.New("the answer is too long")

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	if len(p) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= n
	return n, err
}

func (t oneTry) CloseIdleConnections() {
	if c, ok := t.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
