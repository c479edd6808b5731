package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

var authorizationURI = regexp.MustCompile(`authorization_uri="https://[^"\s]*/([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"`)

// DiscoverTenant finds the tenant of a subscription before there is a credential:
// Resource Manager names it in the challenge to a request without a token (RFC 6750
// §3, authorization_uri). A nil hc is a plain client.
func DiscoverTenant(ctx context.Context, resourceManager, subscriptionID string, hc *http.Client) (string, error) {
	s, err := newSurface("resource manager", resourceManager, "")
	if err != nil {
		return "", err
	}
	u, err := s.url(at("/subscriptions").segment(subscriptionID).param("api-version", subscriptionVersion))
	if err != nil {
		return "", err
	}
	a, err := newTransport(hc, "", nil).send(ctx, request{method: http.MethodGet, url: u, repeatable: true})
	if err != nil {
		return "", fmt.Errorf("%s: %w", s.name, err)
	}
	for _, challenge := range a.header.Values("WWW-Authenticate") {
		if m := authorizationURI.FindStringSubmatch(challenge); m != nil {
			return strings.ToLower(m[1]), nil
		}
	}
	return "", fmt.Errorf("tenant of subscription %q: %w", subscriptionID, newError(http.MethodGet, u.EscapedPath(), a))
}

var tenantIssuer = regexp.MustCompile(`^https://[^/?#\s]+/(?:[^?#\s]+/)?([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})/(?:v2\.0)?$`)

// ResolveTenant finds the id of a tenant, which is given by a domain name or by the
// id itself, in the authority's OpenID configuration (OpenID Connect Discovery 1.0
// §4). "adfs" is the tenant that an Entente server has behind its AD FS names. A
// tenant that the authority does not know is a [*TokenError]. A nil hc is a plain
// client.
func ResolveTenant(ctx context.Context, authority, tenant string, hc *http.Client) (string, error) {
	base, err := parseBase(authority)
	if err != nil {
		return "", fmt.Errorf("authority: %w", err)
	}
	p := at("").segment(tenant)
	if tenant != "adfs" {
		p = p.then("/v2.0")
	}
	u, err := p.then("/.well-known/openid-configuration").url(base)
	if err != nil {
		return "", fmt.Errorf("authority: %w", err)
	}
	a, err := newTransport(hc, "", nil).send(ctx, request{method: http.MethodGet, url: u, repeatable: true})
	if err != nil {
		return "", fmt.Errorf("tenant %q: %w", tenant, err)
	}
	if a.status != http.StatusOK {
		return "", newTokenError(tenant, "", a)
	}
	var document struct {
		Issuer string `json:"issuer"`
	}
	if err := json.Unmarshal(a.body, &document); err != nil {
		return "", fmt.Errorf("tenant %q: decoding the answer of %s: %w", tenant, u.EscapedPath(), err)
	}
	m := tenantIssuer.FindStringSubmatch(document.Issuer)
	if m == nil {
		return "", fmt.Errorf("tenant %q: the issuer %.200q names no tenant", tenant, document.Issuer)
	}
	return strings.ToLower(m[1]), nil
}
