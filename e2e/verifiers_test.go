package e2e

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/entente-id/entente/client"
)

// verification is one token before a resource server, which knows its issuer's
// URL, its own audience and the time.
type verification struct {
	Issuer   string `json:"issuer"`
	Token    string `json:"token"`
	Audience string `json:"audience"`
	At       int64  `json:"at"` // unix seconds; 0 is now
}

// Resource servers verify access tokens with libraries that know nothing of
// this service but what its discovery document says.
func testVerifiers(t *testing.T, w *town) {
	api, err := w.admin.CreateApplication(t.Context(), client.ApplicationSpec{DisplayName: "an API", API: &client.API{RequestedAccessTokenVersion: new(2)}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.admin.CreateServicePrincipal(t.Context(), client.ServicePrincipalSpec{AppID: api.AppID}); err != nil {
		t.Fatal(err)
	}
	type row struct {
		name string
		verification
		oidc, jose string // what the libraries say; nothing is yes
	}
	var rows []row
	for _, who := range w.workloads {
		for version, audience := range map[string]string{"1.0": vault, "2.0": api.AppID} {
			token, err := w.exchange(t, who.clientID, mint(t, w.issuer), audience+"/.default")
			if err != nil {
				t.Fatal(err)
			}
			c := decode(t, token)
			if c.Ver != version {
				t.Fatalf("a token of version %s for %s", c.Ver, audience)
			}
			name, good := who.kind+" "+version+" ", verification{c.Iss, token, audience, 0}
			of := func(change func(*verification)) verification {
				v := good
				change(&v)
				return v
			}
			other := w.Authority + "/" + w.TenantID + "/v2.0"
			if version == "2.0" {
				other = w.Authority + "/" + w.TenantID + "/"
			}
			const forged = "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"
			rows = append(rows,
				row{name + "as issued", good, "", ""},
				row{name + "shortly before its end", of(func(v *verification) { v.At = c.Exp - 1 }), "", ""},
				row{name + "expired", of(func(v *verification) { v.At = c.Exp + 1 }), "token is expired", "ERR_JWT_EXPIRED exp"},
				row{name + "for another audience", of(func(v *verification) { v.Audience = "https://storage.azure.com" }), "expected audience", "ERR_JWT_CLAIM_VALIDATION_FAILED aud"},
				row{name + "of the other version's issuer", of(func(v *verification) { v.Issuer = other }), "different provider", "ERR_JWT_CLAIM_VALIDATION_FAILED iss"},
				row{name + "with another principal", of(func(v *verification) { v.Token = replaced(t, token, who.principalID, w.TenantID) }), "failed to verify signature", forged},
				row{name + "with a broken signature", of(func(v *verification) { v.Token = broken(token) }), "failed to verify signature", forged},
			)
		}
	}

	t.Run("go-oidc", func(t *testing.T) {
		ctx := oidc.ClientContext(t.Context(), w.HTTP)
		providers := map[string]*oidc.Provider{}
		for _, r := range rows {
			if providers[r.Issuer] == nil {
				if providers[r.Issuer], err = oidc.NewProvider(ctx, r.Issuer); err != nil {
					t.Fatal(err)
				}
			}
			config := oidc.Config{ClientID: r.Audience}
			if r.At != 0 {
				config.Now = func() time.Time { return time.Unix(r.At, 0) }
			}
			_, err := providers[r.Issuer].Verifier(&config).Verify(ctx, r.Token)
			if (err == nil) != (r.oidc == "") || err != nil && !strings.Contains(err.Error(), r.oidc) {
				t.Errorf("%s: got %v, want %q", r.name, err, r.oidc)
			}
		}
	})
	t.Run("jose", func(t *testing.T) {
		var asks []verification
		var answers []string
		for _, r := range rows {
			asks = append(asks, r.verification)
		}
		node(t, w.service, "verify.mjs", nil, asks, &answers)
		if len(answers) != len(rows) {
			t.Fatalf("%d answers, want %d", len(answers), len(rows))
		}
		for i, r := range rows {
			if answers[i] != r.jose {
				t.Errorf("%s: got %q, want %q", r.name, answers[i], r.jose)
			}
		}
	})
}

// replaced is a token whose payload was changed after it was signed.
func replaced(t *testing.T, token, from, to string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.ReplaceAll(string(payload), from, to)
	if changed == string(payload) {
		t.Fatalf("%q does not stand in %s", from, payload)
	}
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(changed))
	return strings.Join(parts, ".")
}

// broken is a token whose signature differs in its first bits.
func broken(token string) string {
	i := strings.LastIndexByte(token, '.') + 1
	flipped := byte('A')
	if token[i] == flipped {
		flipped = 'B'
	}
	return token[:i] + string(flipped) + token[i+1:]
}
