package token

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/exchange"
)

// A holder has the private key of a certificate, and signs for the world's application.
type holder struct {
	*world
	key *rsa.PrivateKey
	der []byte
}

type members map[string]any

func (w *world) holder() *holder {
	w.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	w.check(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client"}, NotBefore: w.clock.Now().Add(-time.Hour), NotAfter: w.clock.Now().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	w.check(err)
	return &holder{w, key, der}
}

func (h *holder) certificate() directory.Certificate { return directory.Certificate{DER: h.der} }

func (h *holder) thumbprint() string {
	sum := sha1.Sum(h.der)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// sign makes a client assertion; change edits its claims.
func (h *holder) sign(change members) string {
	h.t.Helper()
	sum := sha1.Sum(h.der)
	claims := members{
		"iss": h.clientID, "sub": h.clientID, "aud": h.server.URL + h.tokenPath(), "jti": uuid.NewString(),
		"nbf": h.clock.Now().Unix(), "exp": h.clock.Now().Add(10 * time.Minute).Unix(),
	}
	maps.Copy(claims, change)
	var parts []string
	for _, part := range []members{{"alg": "RS256", "typ": "JWT", "x5t": base64.RawURLEncoding.EncodeToString(sum[:])}, claims} {
		data, err := json.Marshal(part)
		h.check(err)
		parts = append(parts, base64.RawURLEncoding.EncodeToString(data))
	}
	text := strings.Join(parts, ".")
	digest := sha256.Sum256([]byte(text))
	signature, err := h.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	h.check(err)
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func (w *world) certify(list ...directory.Certificate) {
	w.t.Helper()
	_, err := w.dir.UpdateApplication(w.t.Context(), w.caller, *w.app.Application, func(a *directory.Application) error {
		a.Certificates = list
		return nil
	})
	w.check(err)
}

// An assertion by certificate may be for every token endpoint and every issuer
// that a discovery document names, of every layout and under every name of the
// service: clients take theirs from there.
func TestCertificateForEveryPublishedName(t *testing.T) {
	w := newWorld(t, "127.0.0.1", func(c *exchange.Config) { c.OwnAudiences = append(c.OwnAudiences, "https://"+otherName) })
	h := w.holder()
	w.certify(h.certificate())
	for _, host := range []string{"", otherName} {
		var headers []string
		if host != "" {
			headers = []string{"Host", host}
		}
		for _, path := range []string{
			"/adfs", "/adfs/example.test/adfs", "/" + w.tenant.ID, "/" + w.tenant.ID + "/v2.0", "/" + strings.ToUpper(w.tenant.ID) + "/v2.0", "/example.test/v2.0", "/common", "/organizations/v2.0",
		} {
			document := w.get(path+"/.well-known/openid-configuration", headers...).object(t)
			for _, name := range []string{"token_endpoint", "issuer"} {
				audience := document[name].(string)
				r := w.post(w.tokenPath(), w.fields("client_assertion", h.sign(members{"aud": audience})), headers...)
				if r.StatusCode != http.StatusOK {
					t.Errorf("%s of %s on %q, %s: %d %s", name, path, host, audience, r.StatusCode, r.body)
				}
			}
		}
	}
}

// A login by certificate over HTTP, on each endpoint, and what is recorded of it.
func TestCertificateLogin(t *testing.T) {
	w := newWorld(t, "127.0.0.1")
	h := w.holder()
	w.certify(h.certificate())
	app, err := w.dir.Application(t.Context(), w.caller, *w.app.Application)
	w.check(err)
	for _, path := range []string{w.tokenPath(), "/example.test/oauth2/v2.0/token", "/adfs/oauth2/token", "/adfs/example.test/adfs/oauth2/token"} {
		assertion := h.sign(nil)
		w.recorded()
		r := w.post(path, w.fields("client_assertion", assertion+"\n"))
		if o := r.object(t); r.StatusCode != http.StatusOK || o["token_type"] != "Bearer" || o["expires_in"] != 3599.0 {
			t.Fatalf("%s: %d %s", path, r.StatusCode, r.body)
		}
		records := w.recorded()
		if len(records) != 1 || records[0].Method != exchange.ByCertificate || records[0].CredentialID != app.Certificates[0].ID || records[0].code != 0 {
			t.Errorf("%s is recorded as %+v", path, records)
		}
		if r := w.post(path, w.fields("client_assertion", assertion)); r.code(t) != 50013 || r.StatusCode != http.StatusUnauthorized || r.Header.Get("Retry-After") != "" {
			t.Errorf("%s, again: %d %s", path, r.StatusCode, r.body)
		}
	}
	// The older endpoint.
	f := w.fields("client_assertion", h.sign(nil), "scope", "", "resource", "https://management.azure.com/")
	if r := w.post("/"+w.tenant.ID+"/oauth2/token", f); r.StatusCode != http.StatusOK || r.object(t)["resource"] != "https://management.azure.com/" {
		t.Errorf("%d %s", r.StatusCode, r.body)
	}
}
