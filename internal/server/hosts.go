package server

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/entente-id/entente/internal/token"
)

// hosts are the names under which the service answers. A request under any
// other name gets the URLs of the canonical one, so that no header that a
// client chooses ever stands in a document.
type hosts struct {
	canonical token.Host
	byName    map[string]token.Host
}

func newHosts(c *Config) hosts {
	h := hosts{canonical: token.Host{Base: c.PublicURL, Tenant: c.AdfsTenant}, byName: map[string]token.Host{}}
	add := func(name, tenant string) {
		if tenant == "" {
			tenant = c.AdfsTenant
		}
		name = strings.TrimSuffix(name, ":443")
		h.byName[name] = token.Host{Base: "https://" + name, Tenant: tenant}
	}
	public, _ := url.Parse(c.PublicURL) // checked by Config.complete
	if name := public.Hostname(); isLoopback(name) {
		for _, other := range []string{"localhost", "127.0.0.1", "[::1]"} {
			if port := public.Port(); port != "" {
				other += ":" + port
			}
			add(other, "")
		}
	}
	add(public.Host, "")
	for _, n := range c.Hosts {
		add(n.Name, n.Tenant)
	}
	return h
}

func isLoopback(name string) bool {
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}

// hostname is the name that a client asked, without the port.
func hostname(r *http.Request) string {
	if name, _, err := net.SplitHostPort(r.Host); err == nil {
		return name
	}
	return strings.Trim(r.Host, "[]")
}

func (h hosts) of(r *http.Request) token.Host {
	if host, ok := h.byName[strings.TrimSuffix(strings.ToLower(r.Host), ":443")]; ok {
		return host
	}
	return h.canonical
}

// bases are all base URLs, without a slash at the end.
func (h hosts) bases() []string {
	list := []string{h.canonical.Base}
	for _, host := range h.byName {
		if host.Base != h.canonical.Base {
			list = append(list, host.Base)
		}
	}
	return list
}

// names are what the certificate must cover, without ports.
func (h hosts) names() []string {
	seen := map[string]bool{}
	var list []string
	for _, base := range h.bases() {
		u, err := url.Parse(base)
		if err != nil || seen[u.Hostname()] {
			continue
		}
		seen[u.Hostname()] = true
		list = append(list, u.Hostname())
	}
	return list
}
