package client

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Endpoints says where the three wires are: absolute https URLs, with or without
// a trailing slash. An endpoint that is left empty cannot be called; an audience
// that is left empty is the endpoint itself.
type Endpoints struct {
	Authority       string // the token endpoint is {Authority}/{tenant}/oauth2/v2.0/token
	Graph           string // without the version: /v1.0 is added
	ResourceManager string

	GraphAudience           string // the resource that a token for Graph is asked for
	ResourceManagerAudience string
}

// Public returns the endpoints of the global Azure cloud, as the Azure SDKs and
// https://learn.microsoft.com/graph/deployments have them.
func Public() Endpoints {
	return Endpoints{
		Authority:               "https://login.microsoftonline.com",
		Graph:                   "https://graph.microsoft.com",
		ResourceManager:         "https://management.azure.com",
		GraphAudience:           "https://graph.microsoft.com",
		ResourceManagerAudience: "https://management.core.windows.net/",
	}
}

// USGovernment returns the endpoints of Azure for the US government (Graph L4).
func USGovernment() Endpoints {
	return Endpoints{
		Authority:               "https://login.microsoftonline.us",
		Graph:                   "https://graph.microsoft.us",
		ResourceManager:         "https://management.usgovcloudapi.net",
		GraphAudience:           "https://graph.microsoft.us",
		ResourceManagerAudience: "https://management.core.usgovcloudapi.net/",
	}
}

// China returns the endpoints of Azure operated by 21Vianet.
func China() Endpoints {
	return Endpoints{
		Authority:               "https://login.chinacloudapi.cn",
		Graph:                   "https://microsoftgraph.chinacloudapi.cn",
		ResourceManager:         "https://management.chinacloudapi.cn",
		GraphAudience:           "https://microsoftgraph.chinacloudapi.cn",
		ResourceManagerAudience: "https://management.core.chinacloudapi.cn/",
	}
}

// Entente returns the endpoints of an Entente server, which has all of them at
// one origin and takes its own base URL as the audience of each.
func Entente(baseURL string) Endpoints {
	base := strings.TrimRight(baseURL, "/")
	return Endpoints{Authority: base, Graph: base, ResourceManager: base, GraphAudience: base, ResourceManagerAudience: base}
}

// Scope returns the scope that asks for a token of a resource: the resource with
// "/.default". A trailing slash of the resource is part of its name and is kept.
func Scope(resource string) string { return resource + "/.default" }

// surface is one of the wires that take a bearer token.
type surface struct {
	name  string
	base  *url.URL // nil when it is not configured
	scope string
}

func newSurface(name, endpoint, audience string) (surface, error) {
	s := surface{name: name}
	if endpoint == "" {
		return s, nil
	}
	base, err := parseBase(endpoint)
	if err != nil {
		return s, fmt.Errorf("%s: %w", name, err)
	}
	if audience == "" {
		audience = strings.TrimRight(endpoint, "/")
	}
	s.base, s.scope = base, Scope(audience)
	return s, nil
}

// url puts a path on the surface.
func (s surface) url(p path) (*url.URL, error) {
	if s.base == nil {
		return nil, fmt.Errorf("%s: no endpoint is configured", s.name)
	}
	u, err := p.url(s.base)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	return u, nil
}

// parseBase reads the URL of an endpoint and takes trailing slashes off.
func parseBase(endpoint string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(endpoint, "/"))
	if err != nil {
		return nil, fmt.Errorf("endpoint %q: %w", endpoint, err)
	}
	switch {
	case u.Scheme != "https" || u.Hostname() == "":
		return nil, fmt.Errorf("endpoint %q is not an https URL", endpoint)
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fmt.Errorf("endpoint %q has more than a host and a path", u.Redacted())
	}
	return u, nil
}

// sameOrigin tells whether two URLs have one scheme, host and port (RFC 6454 §5).
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && a.User == nil && b.User == nil &&
		strings.EqualFold(hostPort(a), hostPort(b))
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" && u.Scheme == "https" {
		port = "443"
	}
	return net.JoinHostPort(u.Hostname(), port)
}
