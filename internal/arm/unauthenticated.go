package arm

import (
	"net/http"
	"strings"

	"github.com/entente-id/entente/internal/directory"
)

// unauthenticated is a 401 that says where a token can be had: azwi finds the
// tenant of a subscription by asking for it without one and reading the GUID
// that stands directly before a quotation mark in WWW-Authenticate.
func (s *Surface) unauthenticated(c *call, e *directory.Error) *refusal {
	code, message, description := "InvalidAuthenticationToken", "The access token is invalid.", "The authentication failed because the access token is invalid."
	if e.Detail != "" {
		message = sentence(e.Detail)
		description = "The authentication failed: " + sentence(e.Detail)
	}
	if len(c.r.Header.Values("Authorization")) == 0 {
		code, message = "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."
		description = "The authentication failed because of missing 'Authorization' header."
	}
	r := refuse(http.StatusUnauthorized, code, "%s", message)
	r.header = map[string]string{"WWW-Authenticate": `Bearer authorization_uri="` + s.config.Base(c.r) + "/" + s.tenantFor(c) + `", error="invalid_token", error_description="` + quotable(description) + `"`}
	return r
}

// tenantFor is the tenant in which a caller without a token should ask for one:
// that of the subscription in the path, or else the default one.
func (s *Surface) tenantFor(c *call) string {
	if id := c.args["subscription"]; directory.IsID(id) {
		if tenant, err := s.dir.SubscriptionTenant(c, id); err == nil {
			return tenant
		}
	}
	if s.config.Tenant != nil {
		return s.config.Tenant(c.r)
	}
	t, err := s.dir.DefaultTenant(c)
	if err != nil {
		s.log.ErrorContext(c, "find the default tenant", "request", c.id, "error", err)
	}
	return t.ID
}

// quotable makes a text fit between quotation marks in a header (RFC 9110 section 5.6.4).
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"' || r == '\\':
			return '\''
		case r < ' ' || r > '~':
			return ' '
		}
		return r
	}, s)
}
