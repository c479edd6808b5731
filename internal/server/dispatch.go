package server

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/entente-id/entente/internal/portal"
)

// The surfaces, as metrics and events name them.
const (
	tokenSurface  = "token"
	graphSurface  = "graph"
	armSurface    = "arm"
	hostedSurface = "hosted"
	portalSurface = "portal"
	rootSurface   = "root"
)

// surfaceOf decides by the first segment of the path, without case as ARM's
// clients need it. What is nobody else's is the token endpoint's, whose first
// segment is a tenant.
func (s *Service) surfaceOf(r *http.Request) string {
	first, _, _ := strings.Cut(strings.TrimLeft(r.URL.Path, "/"), "/")
	switch strings.ToLower(first) {
	case "":
		return rootSurface
	case "v1.0", "beta":
		return graphSurface
	case "subscriptions", "providers", "tenants", "metadata":
		return armSurface
	case "oic":
		return hostedSurface
	case "portal":
		return portalSurface
	}
	return tokenSurface
}

func (s *Service) dispatch(w http.ResponseWriter, r *http.Request, surface string) {
	switch surface {
	case graphSurface:
		s.graph.ServeHTTP(w, r)
	case armSurface:
		s.arm.ServeHTTP(w, r)
	case hostedSurface:
		if !s.limit.allow(addressIn(r.Context())) {
			s.hosted.TooMany(w)
			return
		}
		s.hosted.ServeHTTP(w, r)
	case portalSurface:
		if portal.AsksProvider(r) && !s.people.allow(addressIn(r.Context())) {
			s.portal.TooMany(w, r)
			return
		}
		s.portal.ServeHTTP(w, r)
	case tokenSurface:
		if !s.limit.allow(addressIn(r.Context())) {
			s.token.TooMany(w, r)
			return
		}
		s.token.ServeHTTP(w, r)
	default:
		s.root(w, r)
	}
}

// root tells a person who opened the address with a browser what this is.
func (s *Service) root(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	base := s.hosts.of(r).Base
	json.NewEncoder(w).Encode(map[string]string{
		"service":              "Entente",
		"version":              s.config.Version,
		"openid_configuration": base + "/" + s.defaultTenant + "/v2.0/.well-known/openid-configuration",
		"graph":                base + "/v1.0",
		"resource_manager":     base + "/subscriptions",
		"portal":               base + portal.Path,
	})
}
