package arm

import (
	"context"
	"net/http"
	"time"

	"github.com/entente-id/entente/internal/directory"
)

// SigningKeys are the keys with which the caller's tenant signs. The surface
// has checked the caller's right; who calls is passed on for the audit event.
type SigningKeys interface {
	// Keys lists the published keys in the order in which they sign.
	Keys(context.Context, directory.Caller) ([]SigningKey, error)
	// Rotate publishes the next key, or returns the one that is published and waits.
	Rotate(context.Context, directory.Caller) (SigningKey, error)
}

// SigningKey describes a published key; nothing in it is secret.
type SigningKey struct {
	ID         string // kid
	Algorithm  string // RS256 or ES256
	State      string // next, current or previous
	CreatedAt  time.Time
	ActivateAt time.Time // signs from then on
	RetireAt   time.Time // published until then; zero while it has no successor
}

type signingKey struct {
	Algorithm  string `json:"algorithm"`
	State      string `json:"state"`
	CreatedAt  string `json:"createdAt"`
	ActivateAt string `json:"activateAt"`
	RetireAt   string `json:"retireAt,omitempty"`
}

func wireSigningKey(k SigningKey) record[signingKey] {
	return recordOf("signingKeys", k.ID, signingKey{k.Algorithm, k.State, stamp(k.CreatedAt), stamp(k.ActivateAt), stamp(k.RetireAt)})
}

func (s *Surface) listSigningKeys(c *call) (*answer, error) {
	if err := s.dir.Permit(c, c.caller, c.route.Action, "/"); err != nil {
		return nil, err
	}
	all, err := s.config.SigningKeys.Keys(c, c.caller)
	return whole(each(all, wireSigningKey)), err
}

func (s *Surface) rotateSigningKey(c *call) (*answer, error) {
	if err := s.dir.Permit(c, c.caller, c.route.Action, "/"); err != nil {
		return nil, err
	}
	k, err := s.config.SigningKeys.Rotate(c, c.caller)
	return &answer{status: http.StatusOK, body: wireSigningKey(k)}, err
}
