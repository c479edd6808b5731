package server

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/entente-id/entente/internal/keys"
	"github.com/entente-id/entente/internal/portal"
)

// PortalOIDC is an upstream OpenID Connect provider at which people sign in to
// the portal of the default tenant.
type PortalOIDC struct {
	// Issuer is its issuer URL, exactly as it stands in its discovery document; empty: no provider.
	Issuer string
	// ClientID is what the provider calls this service.
	ClientID string
	// ClientSecretFile holds the secret of a confidential client; empty: a public client.
	ClientSecretFile string
	// Roles say who may do what; there must be one.
	Roles []portal.ClaimRole
	// Scopes are asked for besides openid, profile and email.
	Scopes []string
	// NameClaim is what people are called by; empty: the first there is of preferred_username, email, name and sub.
	NameClaim string
	// CA is a PEM file of certificates to trust, besides the system's, for the provider.
	CA string
}

// AddRole reads CLAIM=VALUE:ROLE[@SCOPE].
func (p *PortalOIDC) AddRole(text string) error {
	role, err := portal.ParseClaimRole(text)
	if err == nil {
		p.Roles = append(p.Roles, role)
	}
	return err
}

func (p *PortalOIDC) check() error {
	if p.Issuer == "" {
		if p.ClientID != "" || p.ClientSecretFile != "" || len(p.Roles) > 0 || len(p.Scopes) > 0 || p.NameClaim != "" || p.CA != "" {
			return errors.New("the --portal-oidc flags need --portal-oidc-issuer")
		}
		return nil
	}
	if u, err := url.Parse(p.Issuer); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(p.Issuer, "#") {
		return fmt.Errorf("--portal-oidc-issuer: %q is not an https:// URL without query", p.Issuer)
	}
	if p.ClientID == "" {
		return errors.New("--portal-oidc-issuer needs --portal-oidc-client-id, which the provider gives when this service is registered there")
	}
	if len(p.Roles) == 0 {
		return errors.New("--portal-oidc-issuer needs --portal-oidc-role, or nobody could do anything\nhint: --portal-oidc-role groups=platform:Owner")
	}
	for _, scope := range p.Scopes {
		// RFC 6749 section 3.3
		if scope == "" || strings.ContainsFunc(scope, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			return fmt.Errorf("--portal-oidc-scope: %q is not a scope", scope)
		}
	}
	return nil
}

// maxClientSecret bounds the file of a client secret, in bytes.
const maxClientSecret = 4096

// open reads the files; nil without a provider. Nothing is asked of the provider.
func (p *PortalOIDC) open() (*portal.Provider, error) {
	if p.Issuer == "" {
		return nil, nil
	}
	provider := &portal.Provider{Issuer: p.Issuer, ClientID: p.ClientID, Scopes: p.Scopes, NameClaim: p.NameClaim, Roles: p.Roles}
	if p.ClientSecretFile != "" {
		text, err := keys.ReadPrivateFile(p.ClientSecretFile, maxClientSecret)
		if err != nil {
			return nil, fmt.Errorf("--portal-oidc-client-secret-file: %w", err)
		}
		if provider.ClientSecret = strings.TrimRight(string(text), "\r\n"); strings.TrimSpace(provider.ClientSecret) == "" {
			return nil, fmt.Errorf("--portal-oidc-client-secret-file: %q is empty", p.ClientSecretFile)
		}
	}
	if p.CA != "" {
		var err error
		if provider.RootCAs, err = systemAnd(p.CA); err != nil {
			return nil, fmt.Errorf("--portal-oidc-ca: %w", err)
		}
	}
	return provider, nil
}

// systemAnd are the system's certificates and those of a PEM file.
func systemAnd(file string) (*x509.CertPool, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the system's certificates: %w", err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no PEM certificate", file)
	}
	return roots, nil
}
