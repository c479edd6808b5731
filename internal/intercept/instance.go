package intercept

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// instances is an answer of instance discovery: which names are one authority.
type instances struct {
	Endpoint   string     `json:"tenant_discovery_endpoint"`
	APIVersion string     `json:"api-version"`
	Metadata   []instance `json:"metadata"`
}

type instance struct {
	Network string   `json:"preferred_network"`
	Cache   string   `json:"preferred_cache"`
	Aliases []string `json:"aliases"`
}

// instancePath is where clients ask whether an authority is genuine. The
// service would say of Azure's names that they are none of its own, so this is
// the one question that is answered here, as Azure does.
const instancePath = "/common/discovery/instance"

var tenantSegment = regexp.MustCompile(`^/([A-Za-z0-9][A-Za-z0-9.-]*)/`)

const maxTenant = 253

// instance answers for authorities of Azure, and tells whether it did.
func (a asked) instance(w http.ResponseWriter, r *http.Request) bool {
	if !a.isLogin() || r.Method != http.MethodGet || !strings.EqualFold(strings.TrimSuffix(r.URL.Path, "/"), instancePath) {
		return false
	}
	endpoint, err := url.Parse(r.URL.Query().Get("authorization_endpoint"))
	if err != nil || endpoint.Scheme != "https" {
		return false
	}
	of := asked{cloudOf(strings.ToLower(endpoint.Host)), strings.ToLower(endpoint.Host)}
	tenant := tenantSegment.FindStringSubmatch(endpoint.Path)
	if of.cloud == nil || !of.isLogin() || tenant == nil || len(tenant[1]) > maxTenant {
		return false
	}
	version := ""
	if strings.Contains(strings.ToLower(endpoint.Path), "/v2.0/") {
		version = "/v2.0"
	}
	document := instances{Endpoint: "https://" + of.host + "/" + tenant[1] + version + "/.well-known/openid-configuration", APIVersion: "1.1"}
	for _, c := range clouds {
		document.Metadata = append(document.Metadata, instance{c.login[0], c.cache, c.login})
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "max-age=86400, private")
	json.NewEncoder(w).Encode(document)
	return true
}
