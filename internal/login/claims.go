package login

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// Claims are what an access token says about its bearer. They were not verified:
// the service that the token is for does that.
type Claims struct {
	TenantID string
	ClientID string // appid of version 1, azp of version 2
	ObjectID string
	Kind     string // idtyp: "app" or "user"; may be empty
	User     string // of a person: the name to log in with
	Roles    []string
	Expiry   time.Time
}

// ReadClaims reads an access token of Entra or Entente
// (https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference).
func ReadClaims(token string) (Claims, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return Claims{}, errors.New("the access token is not one that can be read")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return Claims{}, errors.New("the access token is not one that can be read")
	}
	var c struct {
		TID, OID, AppID, AZP, IDTyp, UPN string
		PreferredUsername                string `json:"preferred_username"`
		Roles                            []string
		Exp                              int64
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		return Claims{}, errors.New("the access token is not one that can be read")
	}
	out := Claims{TenantID: c.TID, ClientID: c.AppID, ObjectID: c.OID, Kind: c.IDTyp, User: c.UPN, Roles: c.Roles, Expiry: time.Unix(c.Exp, 0)}
	if out.ClientID == "" {
		out.ClientID = c.AZP
	}
	if out.User == "" {
		out.User = c.PreferredUsername
	}
	return out, nil
}
