package exchange

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"time"

	"github.com/entente-id/entente/internal/credential"
)

// early is how long before now tokens are valid from, for verifiers whose
// clocks are behind. Entra writes the same moment into iat.
const early = 5 * time.Minute

// claims are those of an access token for an application, in Entra's order
// (https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference).
// Version 1.0 names the client by appid and appidacr, 2.0 by azp and azpacr.
type claims struct {
	Audience     string   `json:"aud"`
	Issuer       string   `json:"iss"`
	IssuedAt     int64    `json:"iat"`
	NotBefore    int64    `json:"nbf"`
	Expiry       int64    `json:"exp"`
	AIO          string   `json:"aio"` // opaque, as is RH: some parsers want them
	AppID        string   `json:"appid,omitempty"`
	AppIDACR     string   `json:"appidacr,omitempty"` // "1" a secret, "2" an assertion
	AZP          string   `json:"azp,omitempty"`
	AZPACR       string   `json:"azpacr,omitempty"`
	IDP          string   `json:"idp,omitempty"`
	IDType       string   `json:"idtyp"` // "app": no user is behind it
	ObjectID     string   `json:"oid"`
	RH           string   `json:"rh"`
	Roles        []string `json:"roles,omitempty"`
	Subject      string   `json:"sub"`
	TenantID     string   `json:"tid"`
	TokenID      string   `json:"uti"`
	Version      string   `json:"ver"`
	Capabilities []string `json:"xms_cc,omitempty"`
	ResourceID   string   `json:"xms_mirid,omitempty"` // of a managed identity
	TenantBirth  int64    `json:"xms_tcdt,omitempty"`  // seconds
}

// decide finds the resource and says what the token says.
func (w *walk) decide(ctx context.Context) (err error) {
	name := w.req.Resource
	if !w.req.V1 {
		var reason Reason
		if name, reason = parseScope(w.req.Scope); reason != "" {
			e := w.refuse(reason)
			e.Scope = w.req.Scope
			return e
		}
	}
	w.out.Resource = name
	if w.resource, err = w.resolve(ctx, name); err != nil {
		return err
	}

	client, tenant := w.out.Client, w.out.Tenant
	lifetime := w.Lifetime
	if client.Kind == credential.ManagedIdentity {
		lifetime = w.IdentityLifetime
	}
	issued := w.now.Truncate(time.Second)
	w.out.IssuedAt, w.out.NotBefore, w.out.ExpiresOn = issued.Add(-early), issued.Add(-early), issued.Add(lifetime)
	w.out.ExpiresIn = int(lifetime/time.Second) - 1 // what Entra says: 3599

	method := "2"
	if w.out.Method == BySecret {
		method = "1"
	}
	id := opaque()
	w.claims = claims{
		Audience: w.resource.audience, IssuedAt: w.out.IssuedAt.Unix(), NotBefore: w.out.NotBefore.Unix(), Expiry: w.out.ExpiresOn.Unix(),
		IDType: "app", ObjectID: client.PrincipalID, Subject: client.PrincipalID, TenantID: tenant.ID, Roles: w.resource.roles,
		AIO: id[0], RH: "1." + id[1], TokenID: id[2], Capabilities: w.req.Capabilities, ResourceID: client.ResourceID,
	}
	c := &w.claims
	if w.resource.v2 {
		c.Version, c.Issuer, c.AZP, c.AZPACR = "2.0", w.IssuerURL+"/"+tenant.ID+"/v2.0", client.ClientID, method
	} else {
		c.Version, c.Issuer, c.AppID, c.AppIDACR = "1.0", w.IssuerURL+"/"+tenant.ID+"/", client.ClientID, method
		c.IDP, c.TenantBirth = c.Issuer, tenant.CreatedAt.Unix()
	}
	return nil
}

// opaque makes three different random texts; the last one has 128 bits.
func opaque() (texts [3]string) {
	bits := make([]byte, 72)
	rand.Read(bits) // never fails (crypto/rand)
	for i, part := range [][]byte{bits[:32], bits[32:56], bits[56:]} {
		texts[i] = base64.RawURLEncoding.EncodeToString(part)
	}
	return texts
}
