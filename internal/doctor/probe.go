package doctor

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Bounds of one attempt to read a document; those of verifiers.
const (
	fetchTime  = 5 * time.Second
	maxBody    = 512 << 10
	maxHeaders = 64 << 10
)

// trouble is why a document was not read as a verifier would have to read it.
type trouble struct {
	cause Cause
	text  string
	// seen is what there was instead, and expected what there should be; both may be empty.
	seen, expected string
}

// answer is what came of asking for a document.
type answer struct {
	url         string
	status      int // 0: no answer
	contentType string
	body        []byte
	trouble     *trouble // nil: it was read
	// proxy is the way by which it was read when there is none without; then
	// trouble is nil and direct what stands in the way.
	proxy  string
	direct *trouble
	// unverified says that the answer was read although the certificate is not good,
	// and behind what would stand in the way if it were; nil: nothing.
	unverified bool
	behind     *trouble
}

// readable says that there is a document, however it was come by.
func (a answer) readable() bool { return a.behind == nil && (a.trouble == nil || a.unverified) }

// fetch asks for a document, first as a verifier does, which uses no proxy, then
// by the proxy that the environment names. A certificate that is not good stops
// a verifier and not the search for other faults.
func (r *Reader) fetch(ctx context.Context, address string) answer {
	a := r.attempt(ctx, address, nil, true)
	if a.trouble == nil {
		return a
	}
	switch a.trouble.cause {
	case TLSUntrusted, TLSName, TLSExpired:
		if again := r.attempt(ctx, address, nil, false); again.status != 0 {
			again.trouble, again.behind, again.unverified = a.trouble, again.trouble, true
			return again
		}
	case DiscoveryDNS, DiscoveryRefused, DiscoveryTimeout, DiscoveryUnreachable:
		if proxy := r.proxyFor(address); proxy != nil && ctx.Err() == nil {
			by := r.attempt(ctx, address, proxy, true)
			switch {
			case by.trouble == nil:
				by.proxy, by.direct = proxy.Redacted(), a.trouble
				return by
			case by.trouble.cause == DiscoveryProxy || by.status != 0:
				by.trouble.text += "; without the proxy: " + a.trouble.text
				return by
			}
		}
	}
	return a
}

func (r *Reader) proxyFor(address string) *url.URL {
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return nil
	}
	find := r.Proxy
	if find == nil {
		find = http.ProxyFromEnvironment
	}
	proxy, err := find(request)
	if err != nil {
		return nil
	}
	return proxy
}

// refusedByProxy is a proxy's answer to CONNECT that is not 200.
type refusedByProxy struct{ status string }

func (e *refusedByProxy) Error() string { return "the proxy answered with " + e.status }

// attempt asks once.
func (r *Reader) attempt(ctx context.Context, address string, proxy *url.URL, verify bool) answer {
	a := answer{url: address}
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(r.Patience, fetchTime))
	defer cancel()
	var at phase
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, at.trace()), http.MethodGet, address, nil)
	if err != nil {
		a.trouble = &trouble{cause: IssuerMalformed, text: fmt.Sprintf("%.200q is not an address: %v", address, err)}
		return a
	}
	request.Header.Set("Accept", "application/json, application/jwk-set+json, */*;q=0.1")
	request.Header.Set("User-Agent", "entente")
	transport := &http.Transport{
		Proxy:                  func(*http.Request) (*url.URL, error) { return proxy, nil },
		DialContext:            (&net.Dialer{Resolver: r.resolver}).DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: r.Roots, MinVersion: tls.VersionTLS12, InsecureSkipVerify: !verify},
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: maxHeaders,
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
			if answer.StatusCode != http.StatusOK {
				return &refusedByProxy{answer.Status}
			}
			return nil
		},
	}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		a.trouble = explain(err, request.URL, proxy, at.get())
		return a
	}
	defer response.Body.Close()
	a.status, a.contentType = response.StatusCode, response.Header.Get("Content-Type")
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	a.body = body
	switch {
	case response.StatusCode/100 == 3:
		a.trouble = &trouble{cause: DiscoveryRedirect, text: "it redirects, and verifiers do not follow",
			seen: fmt.Sprintf("status %d to %.300q", a.status, response.Header.Get("Location")), expected: "the document itself, with status 200"}
	case response.StatusCode != http.StatusOK:
		a.trouble = &trouble{cause: DiscoveryStatus, text: fmt.Sprintf("it answers with status %d", a.status),
			seen: strings.TrimSpace(fmt.Sprintf("%d %s", a.status, http.StatusText(a.status))), expected: "200 OK, to whoever asks"}
	case err != nil:
		a.trouble = explain(err, request.URL, proxy, "answer")
	case len(body) > maxBody:
		a.trouble = &trouble{cause: DiscoveryStatus, text: fmt.Sprintf("the answer is longer than %d KiB, which verifiers do not read", maxBody>>10)}
	}
	return a
}

// phase is how far a request has come.
type phase struct {
	mu sync.Mutex
	at string
}

func (p *phase) set(at string) { p.mu.Lock(); p.at = at; p.mu.Unlock() }
func (p *phase) get() string   { p.mu.Lock(); defer p.mu.Unlock(); return p.at }

func (p *phase) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		DNSStart:          func(httptrace.DNSStartInfo) { p.set("name") },
		ConnectStart:      func(_, _ string) { p.set("connection") },
		TLSHandshakeStart: func() { p.set("handshake") },
		WroteRequest:      func(httptrace.WroteRequestInfo) { p.set("answer") },
	}
}

// explain tells the faults of a network apart.
func explain(err error, target, proxy *url.URL, phase string) *trouble {
	host := target.Host
	if proxy != nil {
		if refused, ok := errors.AsType[*refusedByProxy](err); ok {
			return &trouble{cause: DiscoveryProxy, text: fmt.Sprintf("the proxy %s does not let the request through to %s", proxy.Redacted(), host), seen: refused.status, expected: "200"}
		}
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "proxyconnect" {
			return &trouble{cause: DiscoveryProxy, text: fmt.Sprintf("the proxy %s cannot be reached: %v", proxy.Redacted(), op.Err)}
		}
	}
	if name, ok := errors.AsType[*net.DNSError](err); ok {
		text := fmt.Sprintf("the name %q cannot be resolved", name.Name)
		switch {
		case name.IsNotFound:
			text = fmt.Sprintf("no name server knows the name %q", name.Name)
		case name.IsTimeout:
			text = fmt.Sprintf("no name server answers about the name %q", name.Name)
		}
		return &trouble{cause: DiscoveryDNS, text: text}
	}
	if t := explainTLS(err, target); t != nil {
		return t
	}
	timeout, ok := errors.AsType[net.Error](err)
	late := errors.Is(err, context.DeadlineExceeded) || ok && timeout.Timeout()
	switch {
	case late && phase == "name":
		return &trouble{cause: DiscoveryDNS, text: fmt.Sprintf("no name server answers about the name %q", target.Hostname())}
	case late && phase == "connection":
		return &trouble{cause: DiscoveryTimeout, text: fmt.Sprintf("%s does not answer to a connection: a firewall, or nobody there", host)}
	case late && phase == "handshake":
		return &trouble{cause: DiscoveryTimeout, text: fmt.Sprintf("%s accepts connections and does not answer in TLS", host)}
	case late:
		return &trouble{cause: DiscoveryTimeout, text: fmt.Sprintf("%s accepts the request and does not answer in time", host)}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &trouble{cause: DiscoveryRefused, text: fmt.Sprintf("nothing listens at %s: the connection is refused", host)}
	case phase == "handshake":
		return &trouble{cause: TLSOther, text: fmt.Sprintf("%s does not agree on TLS: %v", host, err)}
	}
	return &trouble{cause: DiscoveryUnreachable, text: fmt.Sprintf("%s cannot be reached: %v", host, err)}
}

// explainTLS tells the faults of certificates apart; nil: it is something else.
func explainTLS(err error, target *url.URL) *trouble {
	bad, ok := errors.AsType[*tls.CertificateVerificationError](err)
	if !ok {
		if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
			return &trouble{cause: TLSOther, text: fmt.Sprintf("%s does not speak TLS", target.Host)}
		}
		if alert, ok := errors.AsType[tls.AlertError](err); ok {
			return &trouble{cause: TLSOther, text: fmt.Sprintf("%s does not agree on TLS: %v", target.Host, alert)}
		}
		return nil
	}
	t := &trouble{cause: TLSOther, text: fmt.Sprintf("the certificate of %s is not good: %v", target.Host, bad.Err)}
	if len(bad.UnverifiedCertificates) == 0 {
		return t
	}
	leaf := bad.UnverifiedCertificates[0]
	if name, ok := errors.AsType[x509.HostnameError](bad.Err); ok {
		t.cause, t.text = TLSName, fmt.Sprintf("the certificate of %s is for other names", target.Host)
		t.seen, t.expected = strings.Join(names(leaf), ", "), name.Host
		return t
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](bad.Err); ok && invalid.Reason == x509.Expired {
		t.cause, t.text = TLSExpired, fmt.Sprintf("the certificate of %s is not valid now", target.Host)
		t.seen = fmt.Sprintf("valid from %s to %s", invalid.Cert.NotBefore.UTC().Format(time.RFC3339), invalid.Cert.NotAfter.UTC().Format(time.RFC3339))
		return t
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](bad.Err); ok {
		last := bad.UnverifiedCertificates[len(bad.UnverifiedCertificates)-1]
		t.cause, t.text = TLSUntrusted, fmt.Sprintf("the certificate of %s is signed by a CA that is not trusted here", target.Host)
		sum := sha256.Sum256(last.Raw)
		t.seen = fmt.Sprintf("issuer %q; the last certificate that is shown has the SHA-256 %s", last.Issuer.String(), hex.EncodeToString(sum[:]))
		t.expected = "a CA among those of the system or of the file that was given"
	}
	return t
}

func names(c *x509.Certificate) []string {
	all := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		all = []string{c.Subject.String()}
	}
	return all
}
