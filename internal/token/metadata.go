package token

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/exchange"
	"github.com/entente-id/entente/internal/keys"
)

// metadataDocument is an OpenID Provider configuration (OpenID Connect
// Discovery 1.0 section 3), as far as there is anything to say: nobody signs in
// here with a browser, but clients insist on an authorization_endpoint.
type metadataDocument struct {
	TokenEndpoint         string   `json:"token_endpoint"`
	TokenAuthMethods      []string `json:"token_endpoint_auth_methods_supported"`
	JWKSURI               string   `json:"jwks_uri"`
	ResponseModes         []string `json:"response_modes_supported"`
	SubjectTypes          []string `json:"subject_types_supported"`
	Algorithms            []string `json:"id_token_signing_alg_values_supported"`
	ResponseTypes         []string `json:"response_types_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	Scopes                []string `json:"scopes_supported"`
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	Claims                []string `json:"claims_supported"`
	CloudInstance         string   `json:"cloud_instance_name"`
	Graph                 string   `json:"msgraph_host"`
}

// metadata answers a discovery document under the name that was asked. Its
// issuer is that of our tokens when that name is the one of IssuerURL.
func (s *Surface) metadata(w http.ResponseWriter, r *http.Request, t target) error {
	tenant, err := s.lookUp(r, t)
	if err != nil {
		return err
	}
	published, err := s.config.Keys.Keys(r.Context(), tenant.ID)
	if err != nil {
		return fmt.Errorf("read signing keys: %w", err)
	}
	var algorithms []string
	for _, key := range published {
		if !slices.Contains(algorithms, key.Algorithm) {
			algorithms = append(algorithms, key.Algorithm)
		}
	}
	if algorithms == nil {
		algorithms = []string{keys.RS256}
	}
	base := s.config.Host(r).Base
	root := base + "/" + tenant.ID
	issuer, version := root+"/v2.0", "/v2.0"
	if t.dialect == v1 {
		issuer, version = root+"/", ""
	}
	cached(w)
	s.write(w, r, http.StatusOK, metadataDocument{
		TokenEndpoint:         root + "/oauth2" + version + "/token",
		TokenAuthMethods:      []string{"client_secret_post", "private_key_jwt", "client_secret_basic"},
		JWKSURI:               root + "/discovery" + version + "/keys",
		ResponseModes:         []string{"query", "fragment", "form_post"},
		SubjectTypes:          []string{"pairwise"},
		Algorithms:            algorithms,
		ResponseTypes:         []string{"token"},
		GrantTypes:            []string{"client_credentials"},
		Scopes:                []string{"openid", "profile", "email", "offline_access"},
		Issuer:                issuer,
		AuthorizationEndpoint: root + "/oauth2" + version + "/authorize",
		Claims:                []string{"sub", "iss", "aud", "exp", "iat", "nbf", "tid", "oid", "roles", "ver"},
		CloudInstance:         hostOf(base),
		Graph:                 hostOf(base),
	})
	return nil
}

// published answers the keys of a tenant (RFC 7517 section 5).
func (s *Surface) published(w http.ResponseWriter, r *http.Request, t target) error {
	tenant, err := s.lookUp(r, t)
	if err != nil {
		return err
	}
	set, err := s.config.Keys.Public(r.Context(), tenant.ID)
	if errors.Is(err, keys.ErrNoKey) { // a tenant that another replica has just made
		if err = s.config.Keys.EnsureTenant(r.Context(), tenant.ID); err == nil {
			set, err = s.config.Keys.Public(r.Context(), tenant.ID)
		}
	}
	if err != nil {
		return err
	}
	cached(w)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if _, err := w.Write(set); err != nil {
		s.config.Log.DebugContext(r.Context(), "write answer", "error", err)
	}
	return nil
}

// cached lets everybody keep a document for an hour, and browsers read it. A
// key is published a day before it signs.
func cached(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Header().Set("Access-Control-Allow-Origin", "*")
}

func (s *Surface) lookUp(r *http.Request, t target) (tenant directory.Tenant, err error) {
	ref, err := s.tenantOf(r, t)
	if err != nil {
		return tenant, err
	}
	return s.config.Exchange.Tenant(r.Context(), ref)
}

// instanceDocument tells a client that an authority is known, and its names.
type instanceDocument struct {
	Endpoint   string     `json:"tenant_discovery_endpoint"`
	APIVersion string     `json:"api-version"`
	Metadata   []instance `json:"metadata"`
}

type instance struct {
	Network string   `json:"preferred_network"`
	Cache   string   `json:"preferred_cache"`
	Aliases []string `json:"aliases"`
}

// tenantSegment is what may be repeated as a tenant.
var tenantSegment = regexp.MustCompile(`^/([A-Za-z0-9][A-Za-z0-9.-]{0,252})(?:/|$)`)

// instance answers whether an authorization endpoint is one of ours.
func (s *Surface) instance(w http.ResponseWriter, r *http.Request, _ target) error {
	u, err := url.Parse(r.URL.Query().Get("authorization_endpoint"))
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return &exchange.Error{Reason: instanceUnknown}
	}
	tenant := "common"
	if m := tenantSegment.FindStringSubmatch(u.Path); m != nil {
		tenant = m[1]
	}
	// It is ours if a request for its name would be answered under that name.
	// Some clients leave the port out.
	named := r.Clone(r.Context())
	named.Host = u.Host
	for _, base := range []string{s.config.Host(named).Base, s.config.Host(r).Base} {
		own, err := url.Parse(base)
		if err != nil || !strings.EqualFold(own.Hostname(), u.Hostname()) {
			continue
		}
		s.write(w, r, http.StatusOK, instanceDocument{
			Endpoint: base + "/" + tenant + "/v2.0/.well-known/openid-configuration", APIVersion: "1.1",
			Metadata: []instance{{own.Host, own.Host, []string{own.Host}}},
		})
		return nil
	}
	return &exchange.Error{Reason: instanceUnknown}
}

// trustedRealm is the relation that MSAL for .NET asks about an ADFS authority.
const trustedRealm = "http://schemas.microsoft.com/rel/trusted-realm"

type webfingerDocument struct {
	Subject string `json:"subject"`
	Links   []link `json:"links"`
}

type link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

// webfinger says that this authority trusts itself (RFC 7033). The client that
// asks knows no ports, so the name without one is ours as well.
func (s *Surface) webfinger(w http.ResponseWriter, r *http.Request, _ target) error {
	base := s.config.Host(r).Base
	document := webfingerDocument{Subject: base, Links: []link{{trustedRealm, base}}}
	if u, err := url.Parse(base); err == nil && u.Port() != "" {
		document.Links = append(document.Links, link{trustedRealm, "https://" + u.Hostname()})
	}
	s.write(w, r, http.StatusOK, document)
	return nil
}

// hostOf is the host[:port] of a base URL.
func hostOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return u.Host
}
