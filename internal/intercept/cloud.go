package intercept

import (
	"slices"
	"strings"
)

// cloud are the hosts of one of Azure's clouds, the preferred ones first, as
// Microsoft's documentation of national clouds and of instance discovery has them.
type cloud struct {
	login      []string // the token endpoint; the first is preferred_network
	cache      string   // preferred_cache: the name in clients' token caches
	graph      []string
	management []string
}

var clouds = []cloud{
	{
		login:      []string{"login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"},
		cache:      "login.windows.net",
		graph:      []string{"graph.microsoft.com"},
		management: []string{"management.azure.com", "management.core.windows.net"},
	},
	{
		login:      []string{"login.partner.microsoftonline.cn", "login.chinacloudapi.cn"},
		cache:      "login.partner.microsoftonline.cn",
		graph:      []string{"microsoftgraph.chinacloudapi.cn"},
		management: []string{"management.chinacloudapi.cn", "management.core.chinacloudapi.cn"},
	},
	{
		login:      []string{"login.microsoftonline.us", "login.usgovcloudapi.net"},
		cache:      "login.microsoftonline.us",
		graph:      []string{"graph.microsoft.us", "dod-graph.microsoft.us"},
		management: []string{"management.usgovcloudapi.net", "management.core.usgovcloudapi.net"},
	},
}

// cloudOf finds the cloud of a host in lower case; nil: it is none of Azure's.
func cloudOf(host string) *cloud {
	for i := range clouds {
		if c := &clouds[i]; slices.Contains(c.login, host) || slices.Contains(c.graph, host) || slices.Contains(c.management, host) {
			return c
		}
	}
	return nil
}

// Answers tells whether a proxy answers for a host.
func Answers(host string) bool { return cloudOf(strings.ToLower(host)) != nil }

// Hosts are the names that a proxy answers for.
func Hosts() []string {
	var all []string
	for _, c := range clouds {
		all = slices.Concat(all, c.login, c.graph, c.management)
	}
	return all
}

// LoginHosts are those of the token endpoint: the names in the audience of a
// client assertion.
func LoginHosts() []string {
	var all []string
	for _, c := range clouds {
		all = append(all, c.login...)
	}
	return all
}

// asked is the name that a request was made for.
type asked struct {
	*cloud
	host string
}

func (a asked) isLogin() bool { return slices.Contains(a.login, a.host) }

// baseFor is the URL that stands for the service in a member of an answer.
func (a asked) baseFor(member string) string {
	switch {
	case a.isLogin() || a.host == "":
	case strings.HasPrefix(member, "login") || strings.HasPrefix(member, "authorization"):
		return "https://" + a.login[0]
	}
	switch member {
	case "msgraph_host", "graph", "graphEndpoint", "graphAudience", "microsoftGraphResourceId":
		return "https://" + a.graph[0]
	}
	return "https://" + a.host
}
