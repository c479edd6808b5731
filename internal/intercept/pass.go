package intercept

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// rule lets requests to a host through.
type rule struct {
	host string // in lower case; with a dot before it: every host below that
	port string // empty: every port
}

// hostName is what a host may look like: names, and addresses without brackets. The
// number stands beside it, because so many repetitions take long to compile, in every process.
var hostName = regexp.MustCompile(`^[A-Za-z0-9_:][A-Za-z0-9_.:-]*$`)

const maxHost = 254

// CheckPass tells whether s names what can be passed: HOST, HOST:PORT, or
// *.DOMAIN for all hosts below a domain. Azure's hosts cannot: the service
// answers for them.
func CheckPass(s string) error {
	_, err := parseRule(s)
	return err
}

func parseRule(s string) (rule, error) {
	host, port := s, ""
	if h, p, err := net.SplitHostPort(s); err == nil {
		host, port = h, p
	}
	host, below := strings.CutPrefix(strings.ToLower(strings.Trim(host, "[]")), "*.")
	if !hostName.MatchString(host) || len(host) > maxHost || strings.Contains(host, ":") && !isAddress(host) || strings.Trim(port, "0123456789") != "" {
		return rule{}, fmt.Errorf("%q is none of HOST, HOST:PORT and *.DOMAIN", s)
	}
	if !below && cloudOf(host) != nil {
		return rule{}, fmt.Errorf("%q is answered by the service", s)
	}
	if below {
		host = "." + host
	}
	return rule{host, port}, nil
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

func (r rule) covers(host, port string) bool {
	if r.port != "" && r.port != port {
		return false
	}
	return host == r.host || strings.HasPrefix(r.host, ".") && strings.HasSuffix(host, r.host)
}

// named tells whether a host is passed by name.
func (p *Proxy) named(host, port string) bool {
	for _, r := range p.rules {
		if r.covers(host, port) {
			return true
		}
	}
	return false
}

// wireServer is where Azure's virtual machines find their host.
var wireServer = netip.MustParsePrefix("168.63.129.16/32")

const dialWithin = 15 * time.Second

// dial connects to a host that is passed. Where all are, private addresses and
// those of the machine itself are reached by name only: a program that was
// given a URL by somebody should not find more behind it than the Internet.
func (p *Proxy) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: dialWithin}
	if !p.named(strings.ToLower(host), port) {
		guard := ssrf.New(ssrf.WithAnyPort(), ssrf.WithDeniedV4Prefixes(wireServer))
		d.Control = func(network, address string, c syscall.RawConn) error {
			if err := guard.Safe(network, address, c); err != nil {
				return fmt.Errorf("%s has the private address %s, which --pass-all does not cover: --pass %s does", host, address, host)
			}
			return nil
		}
	}
	return d.DialContext(ctx, network, address)
}
