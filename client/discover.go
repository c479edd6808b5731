package client

import (
	"context"
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
