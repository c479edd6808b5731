package issuer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// Bounds on one fetch of an issuer's documents.
const (
	fetchTime  = 5 * time.Second // all of it: names, connections, both documents
	maxBody    = 512 << 10       // of each document, after decompression
	maxHeaders = 64 << 10
)

// A guard decides which addresses may be connected to. It is asked after the
// name was resolved, with the address that is about to be dialled, so that no
// second answer of a name server can get around it.
type guard struct {
	hosts    map[string]bool // names that may resolve to anything
	prefixes []netip.Prefix  // addresses that anybody's name may resolve to
	reserved *ssrf.Guardian  // refuses private, loopback, link-local and other special addresses
}

// wireServer is the host agent of an Azure virtual machine. Its address is a public one
// (learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16).
var wireServer = netip.MustParsePrefix("168.63.129.16/32")

func newGuard(allow []string) (*guard, error) {
	g := &guard{
		hosts:    make(map[string]bool),
		reserved: ssrf.New(ssrf.WithAnyPort(), ssrf.WithDeniedV4Prefixes(wireServer)),
	}
	for _, entry := range allow {
		entry = strings.TrimSpace(entry)
		if prefix, err := netip.ParsePrefix(entry); err == nil {
			g.prefixes = append(g.prefixes, prefix.Masked())
		} else if addr, err := netip.ParseAddr(strings.Trim(entry, "[]")); err == nil {
			g.prefixes = append(g.prefixes, netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()))
		} else if isHost(entry) {
			g.hosts[hostKey(entry)] = true
		} else {
			return nil, fmt.Errorf("%q is neither an address, nor a CIDR, nor a host name without scheme and port", entry)
		}
	}
	return g, nil
}

// isHost says whether name has the letters of a host name. The last label must
// not be a number, so that a mistyped address is not taken for a name.
func isHost(name string) bool {
	labels := strings.Split(strings.TrimSuffix(name, "."), ".")
	for _, label := range labels {
		if label == "" || strings.Trim(strings.ToLower(label), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	_, err := strconv.Atoi(labels[len(labels)-1])
	return err != nil
}

func hostKey(host string) string { return strings.ToLower(strings.TrimSuffix(host, ".")) }

// refusal is the error of an address that is not allowed.
type refusal struct {
	host string
	addr netip.Addr
}

func (r *refusal) Error() string {
	return fmt.Sprintf("%q is at %s, a private or reserved address; to allow it, start the server with --issuer-allow %s", r.host, r.addr, r.host)
}

// check is asked for every address that a host name resolved to, before it is dialled.
func (g *guard) check(host, address string) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address %q: %w", address, err)
	}
	addr := target.Addr().Unmap() // ::ffff:10.0.0.1 reaches 10.0.0.1
	for _, prefix := range g.prefixes {
		if prefix.Contains(addr) {
			return nil
		}
	}
	if g.reserved.SafeAddr(addr) != nil {
		return &refusal{host, addr}
	}
	return nil
}

// dial connects to a host at the first of its addresses that is allowed and answers.
func (v *Verifier) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Resolver: v.resolver}
	if !v.guard.hosts[hostKey(host)] {
		d.Control = func(_, address string, _ syscall.RawConn) error { return v.guard.check(host, address) }
	}
	return d.DialContext(ctx, network, address)
}

// client makes the HTTP client of one fetch. It keeps nothing for the next one:
// fetches are minutes apart, and a kept connection would be to an address that
// was checked long ago. Proxies of the environment are not used, because a
// proxy would connect where the guard does not look.
func (v *Verifier) client(src Source) (*http.Client, error) {
	roots := v.roots
	if len(src.CAPEM) > 0 {
		roots = roots.Clone()
		if !roots.AppendCertsFromPEM(src.CAPEM) {
			return nil, &Error{Kind: InvalidDocument, Detail: "the registered CA certificate is not a PEM certificate"}
		}
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            v.dial,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:      true,
			MaxResponseHeaderBytes: maxHeaders,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// get fetches one document. Its errors are *Error and hold nothing of the body.
func get(ctx context.Context, client *http.Client, address string) ([]byte, http.Header, error) {
	if err := checkURL(address); err != nil {
		return nil, nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, &Error{Kind: InvalidDocument, Detail: "the address cannot be asked", Err: err}
	}
	// kube-apiserver answers 406 to whoever names types and leaves out the one of RFC 7517 section 8.5.2 for its key set.
	request.Header.Set("Accept", "application/json, application/jwk-set+json, */*;q=0.1")
	request.Header.Set("User-Agent", "entente")
	response, err := client.Do(request)
	if err != nil {
		return nil, nil, unreachable(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		detail := fmt.Sprintf("%q answered with status %d", address, response.StatusCode)
		if response.StatusCode/100 == 3 {
			detail += "; redirects are not followed"
		}
		return nil, nil, &Error{Kind: Unreachable, Detail: detail}
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return nil, nil, unreachable(fmt.Errorf("read %q: %w", address, err))
	}
	if len(body) > maxBody {
		return nil, nil, &Error{Kind: InvalidDocument, Detail: fmt.Sprintf("%q answered with more than %d bytes", address, maxBody)}
	}
	return body, response.Header, nil
}

func unreachable(err error) *Error {
	if r, ok := errors.AsType[*refusal](err); ok {
		return &Error{Kind: AddressRefused, Detail: r.Error()}
	}
	return &Error{Kind: Unreachable, Detail: "cannot be reached", Err: err}
}

// checkURL accepts an absolute https URL of a host. It is stricter than
// url.Parse, which lets empty hosts, ports above 65535 and non-ASCII hosts through.
func checkURL(address string) error {
	u, err := url.Parse(address)
	port := 443
	if err == nil && u.Port() != "" {
		port, err = strconv.Atoi(u.Port())
	}
	switch {
	case err != nil,
		strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' || r == '#' }),
		!strings.HasPrefix(address, "https://"),
		u.Hostname() == "", strings.ContainsRune(u.Host, '%'), u.User != nil,
		port < 1 || port > 65535:
		return &Error{Kind: InvalidDocument, Detail: fmt.Sprintf("%q is not an https URL of a host", address), Err: err}
	}
	return nil
}
