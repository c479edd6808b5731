package server

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/keys"
)

// tokenClaims are what the management wires read of an access token: who it
// speaks of. Rights are read from the database, never from here.
type tokenClaims struct {
	Audience string `json:"aud"`
	TenantID string `json:"tid"`
	ObjectID string `json:"oid"`
}

// caller reads who is calling from the bearer token, which must be one of this
// service's own for this service's own management wires.
func (s *Service) caller(r *http.Request) (directory.Caller, error) {
	refuse := func(detail string) (directory.Caller, error) {
		return directory.Caller{}, &directory.Error{Kind: directory.Unauthenticated, Object: directory.PrincipalObject, Detail: detail}
	}
	header := r.Header.Values("Authorization")
	switch len(header) {
	case 0:
		return refuse("the Authorization header is missing")
	case 1:
	default:
		return refuse("there are several Authorization headers")
	}
	scheme, token, _ := strings.Cut(header[0], " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" {
		return refuse("the Authorization header holds no bearer token")
	}
	verified, err := s.keys.Verify(r.Context(), token)
	switch {
	case errors.Is(err, keys.ErrExpired):
		return refuse("the access token has expired")
	case errors.Is(err, keys.ErrForeign), errors.Is(err, keys.ErrInvalid):
		return refuse("the access token was not issued by this service")
	case err != nil:
		return directory.Caller{}, err
	}
	var claims tokenClaims
	if err := json.Unmarshal(verified.Payload, &claims); err != nil { // our own words, so no strict reading is needed
		return refuse("the access token was not issued by this service")
	}
	if claims.TenantID != verified.TenantID || !s.exchange.Manages(claims.Audience) {
		return refuse("the access token is for another audience: ask for " + s.hosts.canonical.Base + "/.default")
	}
	c, err := s.directory.CallerOf(r.Context(), claims.TenantID, claims.ObjectID)
	if err != nil {
		return directory.Caller{}, err
	}
	c.Address, c.RequestID = addressIn(r.Context()), requestID(r.Context())
	note(r.Context(), slog.String("tenant", c.TenantID), slog.String("caller", c.PrincipalID))
	return c, nil
}
