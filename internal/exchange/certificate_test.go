package exchange

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/internal/db"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/testkit"
)

// A holder is the private key of a certificate, and who signs with it.
type holder struct {
	*world
	key      *rsa.PrivateKey
	der      []byte
	clientID string
}

// holder makes a certificate that holds from an hour ago for a year.
func (w *world) holder(clientID string) *holder {
	w.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	w.check(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client"}, NotBefore: w.clock.Now().Add(-time.Hour), NotAfter: w.clock.Now().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	w.check(err)
	return &holder{w, key, der, clientID}
}

func (h *holder) certificate() directory.Certificate { return directory.Certificate{DER: h.der} }

func (h *holder) x5t() string {
	sum := sha1.Sum(h.der)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// certify makes a list the certificates of the world's application.
func (w *world) certify(list ...directory.Certificate) {
	w.t.Helper()
	_, err := w.dir.UpdateApplication(w.t.Context(), w.caller, *w.app.Application, func(a *directory.Application) error {
		a.Certificates = list
		return nil
	})
	w.check(err)
}

// certified is a world whose application has one certificate.
func certified(t testing.TB, o options) (*world, *holder) {
	w := newWorld(t, o)
	h := w.holder(w.clientID)
	w.certify(h.certificate())
	return w, h
}

// principalOf is the service principal of the world's application.
func (w *world) principalOf(clientID string) directory.Ref {
	w.t.Helper()
	p, err := w.dir.ServicePrincipal(w.t.Context(), w.caller, directory.Ref{AppID: clientID})
	w.check(err)
	return directory.Ref{ID: p.ID}
}

// spent counts the assertions that are remembered.
func (w *world) spent() (n int) {
	w.t.Helper()
	w.check(w.dir.DB.Read().QueryRowContext(w.t.Context(), `SELECT count(*) FROM used_assertions`).Scan(&n))
	return n
}

func (w *world) with(t testing.TB) *world {
	inner := *w
	inner.t = t
	return &inner
}

type members map[string]any

// sign makes a client assertion; header and claims change a good one, nil removes a member.
func (h *holder) sign(header, claims members) string {
	h.t.Helper()
	return h.signBy(header, claims, func(alg string, text []byte) []byte {
		digest := sha256.Sum256(text)
		var options crypto.SignerOpts = crypto.SHA256
		if alg == "PS256" {
			options = &rsa.PSSOptions{Hash: crypto.SHA256, SaltLength: rsa.PSSSaltLengthEqualsHash}
		}
		signature, err := h.key.Sign(rand.Reader, digest[:], options)
		h.check(err)
		return signature
	})
}

func (h *holder) signBy(header, claims members, sign func(alg string, text []byte) []byte) string {
	h.t.Helper()
	id := make([]byte, 16)
	rand.Read(id)
	now := h.clock.Now().Unix()
	allHeaders := members{"typ": "JWT", "alg": "RS256", "x5t": h.x5t()}
	allClaims := members{"iss": h.clientID, "sub": h.clientID, "aud": ownURL + "/" + h.tenant.ID + "/oauth2/v2.0/token", "exp": now + 600, "nbf": now, "jti": hex.EncodeToString(id)}
	maps.Copy(allHeaders, header)
	maps.Copy(allClaims, claims)
	var parts []string
	for _, part := range []members{allHeaders, allClaims} {
		maps.DeleteFunc(part, func(_ string, v any) bool { return v == nil })
		data, err := json.Marshal(part)
		h.check(err)
		parts = append(parts, base64.RawURLEncoding.EncodeToString(data))
	}
	text := strings.Join(parts, ".")
	return text + "." + base64.RawURLEncoding.EncodeToString(sign(allHeaders["alg"].(string), []byte(text)))
}

func (h *holder) presents(assertion string, change ...func(*Request)) Request {
	r := Request{Tenant: h.tenant.ID, ClientID: h.clientID, Assertion: assertion, Scope: arm + "/.default"}
	for _, edit := range change {
		edit(&r)
	}
	return r
}

func TestCertificate(t *testing.T) {
	w, h := certified(t, options{})
	o, claims := w.mustDo(h.presents(h.sign(nil, nil)))
	app, err := w.dir.Application(t.Context(), w.caller, *w.app.Application)
	w.check(err)
	if claims["appidacr"] != "2" || claims["appid"] != w.clientID || claims["sub"] != o.Client.PrincipalID {
		t.Errorf("claims %v", claims)
	}
	if o.Method != ByCertificate || o.CredentialID != app.Certificates[0].ID || o.Assertion.Subject != w.clientID || o.TokenID == "" {
		t.Errorf("outcome %+v", o)
	}
	if discovery, keys := w.issuer.Fetches(); discovery+keys != 0 {
		t.Errorf("an issuer was asked %d times", discovery+keys)
	}
}

// Every way in which clients name the certificate and the endpoint.
func TestCertificateSpellings(t *testing.T) {
	w, h := certified(t, options{})
	one, two := sha1.Sum(h.der), sha256.Sum256(h.der)
	root := ownURL + "/" + w.tenant.ID
	for name, c := range map[string]struct{ header, claims members }{
		"PS256 and x5t#S256":        {members{"alg": "PS256", "x5t": nil, "x5t#S256": base64.RawURLEncoding.EncodeToString(two[:])}, nil},
		"RS256 and x5t#S256":        {members{"x5t": nil, "x5t#S256": base64.RawURLEncoding.EncodeToString(two[:])}, nil},
		"plain base64, padded":      {members{"x5t": nil, "x5t#S256": base64.StdEncoding.EncodeToString(two[:])}, nil},
		"both thumbprints":          {members{"x5t#S256": base64.RawURLEncoding.EncodeToString(two[:])}, nil},
		"kid in hexadecimal":        {members{"x5t": nil, "kid": strings.ToUpper(hex.EncodeToString(one[:]))}, nil},
		"x5t before kid":            {members{"kid": strings.Repeat("0", 40)}, nil},
		"no typ":                    {members{"typ": nil}, nil},
		"no nbf":                    {nil, members{"nbf": nil}},
		"iat":                       {nil, members{"iat": w.clock.Now().Unix()}},
		"the older endpoint":        {nil, members{"aud": root + "/oauth2/token"}},
		"the issuer":                {nil, members{"aud": root + "/v2.0"}},
		"the older issuer":          {nil, members{"aud": root + "/"}},
		"the domain":                {nil, members{"aud": ownURL + "/Example.test/oauth2/v2.0/token"}},
		"upper case":                {nil, members{"aud": ownURL + "/" + strings.ToUpper(w.tenant.ID) + "/oauth2/v2.0/token"}},
		"the issuer of our tokens":  {nil, members{"aud": issuerURL + "/" + w.tenant.ID + "/oauth2/v2.0/token"}},
		"a list of one audience":    {nil, members{"aud": []string{root + "/v2.0"}}},
		"client id in upper case":   {nil, members{"iss": strings.ToUpper(w.clientID), "sub": strings.ToUpper(w.clientID)}},
		"a day":                     {nil, members{"exp": w.clock.Now().Add(24 * time.Hour).Unix()}},
		"its own key and chain too": {members{"jwk": members{"kty": "RSA"}, "x5c": []string{base64.StdEncoding.EncodeToString(h.der)}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := w.Do(t.Context(), h.presents(h.sign(c.header, c.claims))); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCertificateAttacks(t *testing.T) {
	w, h := certified(t, options{})
	other := w.holder(w.clientID)                                                             // of nobody
	stranger := w.holder(w.application(directory.Application{DisplayName: "stranger"}).AppID) // of another application
	_, err := w.dir.UpdateApplication(t.Context(), w.caller, directory.Ref{AppID: stranger.clientID}, func(a *directory.Application) error {
		a.Certificates = []directory.Certificate{stranger.certificate()}
		return nil
	})
	w.check(err)
	ends := w.holder(w.clientID) // of the same application, and its time is over
	w.certify(h.certificate(), directory.Certificate{DER: ends.der, End: w.clock.Now().Add(-time.Minute)})
	founded, err := w.dir.CreateTenant(t.Context(), w.caller, directory.NewTenant{DisplayName: "Other", Domain: "other.example.test"})
	w.check(err)

	attackerJWK := members{"kty": "RSA", "n": base64.RawURLEncoding.EncodeToString(other.key.N.Bytes()), "e": "AQAB"}
	public, err := x509.MarshalPKIXPublicKey(&h.key.PublicKey)
	w.check(err)
	mac := func(secret []byte) func(string, []byte) []byte {
		return func(_ string, text []byte) []byte {
			m := hmac.New(sha256.New, secret)
			m.Write(text)
			return m.Sum(nil)
		}
	}
	own, _ := w.mustDo(h.presents(h.sign(nil, nil)))
	two := sha256.Sum256(other.der)

	for name, c := range map[string]struct {
		assertion string
		reason    Reason
	}{
		"another certificate of the application, expired": {ends.sign(nil, nil), CertificateExpired},
		"expired certificate that names the good one":     {ends.sign(members{"x5t": h.x5t()}, nil), CertificateSignature},
		"certificate of nobody":                           {other.sign(nil, nil), CertificateNotFound},
		"certificate of another application":              {(&holder{w, stranger.key, stranger.der, w.clientID}).sign(nil, nil), CertificateNotFound},
		"another key under the good thumbprint":           {other.sign(members{"x5t": h.x5t()}, nil), CertificateSignature},
		"good SHA-1, another's SHA-256":                   {h.sign(members{"x5t#S256": base64.RawURLEncoding.EncodeToString(two[:])}, nil), CertificateNotFound},
		"no thumbprint":                                   {h.sign(members{"x5t": nil}, nil), CertificateNotFound},
		"thumbprint of no length":                         {h.sign(members{"x5t": "AAAA"}, nil), CertificateNotFound},
		"thumbprint that is no text":                      {h.sign(members{"x5t": 1}, nil), AssertionMalformed},
		"embedded key":                                    {other.sign(members{"jwk": attackerJWK, "x5t": nil}, nil), CertificateNotFound},
		"embedded key under the good thumbprint":          {other.sign(members{"jwk": attackerJWK, "x5t": h.x5t()}, nil), CertificateSignature},
		"embedded certificate":                            {other.sign(members{"x5c": []string{base64.StdEncoding.EncodeToString(other.der)}, "x5t": h.x5t()}, nil), CertificateSignature},
		"key to be fetched":                               {other.sign(members{"jku": w.issuer.URL(), "x5u": w.issuer.URL(), "x5t": h.x5t()}, nil), CertificateSignature},
		"crit":                                            {h.sign(members{"crit": []string{"x5t"}}, nil), AssertionMalformed},
		"none":                                            {h.signBy(members{"alg": "none"}, nil, func(string, []byte) []byte { return []byte("x") }), AlgorithmNotAllowed},
		"HS256 with the certificate":                      {h.signBy(members{"alg": "HS256"}, nil, mac(h.der)), AlgorithmNotAllowed},
		"HS256 with the public key":                       {h.signBy(members{"alg": "HS256"}, nil, mac(public)), AlgorithmNotAllowed},
		"HS256 with the public key in PEM":                {h.signBy(members{"alg": "HS256"}, nil, mac(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))), AlgorithmNotAllowed},
		"RS512":                                           {h.sign(members{"alg": "RS512"}, nil), AlgorithmNotAllowed},
		"PKCS #1 said to be PSS": {h.signBy(members{"alg": "PS256"}, nil, func(_ string, text []byte) []byte {
			digest := sha256.Sum256(text)
			signature, err := h.key.Sign(rand.Reader, digest[:], crypto.SHA256)
			w.check(err)
			return signature
		}), CertificateSignature},
		"no signature":                        {strings.TrimRight(h.sign(nil, nil), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"), AssertionMalformed},
		"audience of another tenant":          {h.sign(nil, members{"aud": ownURL + "/" + founded.Tenant.ID + "/oauth2/v2.0/token"}), CertificateAudience},
		"audience of another tenant's domain": {h.sign(nil, members{"aud": ownURL + "/other.example.test/oauth2/v2.0/token"}), CertificateAudience},
		"audience of Azure":                   {h.sign(nil, members{"aud": "https://login.microsoftonline.com/" + w.tenant.ID + "/oauth2/v2.0/token"}), CertificateAudience},
		"audience of no tenant":               {h.sign(nil, members{"aud": ownURL}), CertificateAudience},
		"audience of a path below":            {h.sign(nil, members{"aud": ownURL + "/" + w.tenant.ID + "/oauth2/v2.0/token/x"}), CertificateAudience},
		"audience of a federated credential":  {h.sign(nil, members{"aud": "api://AzureADTokenExchange"}), CertificateAudience},
		"two audiences":                       {h.sign(nil, members{"aud": []string{ownURL + "/" + w.tenant.ID + "/v2.0", "https://elsewhere.example.test"}}), CertificateAudience},
		"subject differs":                     {h.sign(nil, members{"sub": stranger.clientID}), CertificateSubject},
		"subject is a workload":               {h.sign(nil, members{"sub": w.spec().Subject}), CertificateSubject},
		"no jti":                              {h.sign(nil, members{"jti": nil}), AssertionMalformed},
		"empty jti":                           {h.sign(nil, members{"jti": ""}), AssertionMalformed},
		"jti that is no text":                 {h.sign(nil, members{"jti": 1}), AssertionMalformed},
		"no exp":                              {h.sign(nil, members{"exp": nil}), AssertionMalformed},
		"25 hours":                            {h.sign(nil, members{"exp": w.clock.Now().Add(25 * time.Hour).Unix()}), AssertionLasting},
		"the year 9999":                       {h.sign(nil, members{"exp": 253402300799}), AssertionLasting},
		"over":                                {h.sign(nil, members{"exp": w.clock.Now().Add(-6 * time.Minute).Unix(), "nbf": nil}), AssertionExpired},
		"not yet":                             {h.sign(nil, members{"nbf": w.clock.Now().Add(6 * time.Minute).Unix()}), AssertionEarly},
		"our own token":                       {own.Token, OwnToken},
	} {
		t.Run(name, func(t *testing.T) {
			spent := w.spent()
			o, err := w.Do(t.Context(), h.presents(c.assertion))
			if e, ok := errors.AsType[*Error](err); !ok || e.Reason != c.reason || o.Token != "" {
				t.Errorf("got %v, want %s", err, c.reason)
			}
			if w.spent() != spent {
				t.Error("a refused assertion is remembered")
			}
			report := w.with(t).explain(h.presents(c.assertion))
			if report.Refusal == nil || report.Refusal.Reason != c.reason {
				t.Errorf("Explain says %v", report.Refusal)
			}
		})
	}

	// What is good for one client is nothing for another.
	w.refused(h.presents(h.sign(nil, nil), func(r *Request) { r.ClientID = stranger.clientID }), NoCredential)
	if discovery, keys := w.issuer.Fetches(); discovery+keys != 0 {
		t.Errorf("an issuer was asked %d times", discovery+keys)
	}
}

// An assertion counts once for each resource, however the resource is spelt.
func TestCertificateReplay(t *testing.T) {
	w, h := certified(t, options{})
	one := h.presents(h.sign(nil, nil))
	w.mustDo(one)
	for range 2 {
		w.refused(one, AssertionSpent)
	}
	w.refused(h.presents(one.Assertion, scope("HTTPS://management.azure.com/.default")), AssertionSpent)
	w.refused(h.presents(one.Assertion, func(r *Request) { r.V1, r.Resource = true, "https://management.azure.com/" }), AssertionSpent)
	w.mustDo(h.presents(one.Assertion, scope("https://vault.azure.net/.default")))
	w.refused(h.presents(one.Assertion, scope("https://vault.azure.net/.default")), AssertionSpent)

	// An application is one resource under all of its names.
	api := w.application(directory.Application{DisplayName: "api", IdentifierURIs: []string{"api://orders", "https://orders.example.test"}})
	w.mustDo(h.presents(one.Assertion, scope("api://orders/.default")))
	for _, name := range []string{"https://orders.example.test", api.AppID, "api://" + api.AppID, strings.ToUpper(api.AppID)} {
		w.refused(h.presents(one.Assertion, scope(name+"/.default")), AssertionSpent)
		w.refused(h.presents(one.Assertion, func(r *Request) { r.V1, r.Resource = true, name }), AssertionSpent)
	}

	// The jti counts and not the token: another one with it is the same.
	id := members{"jti": "once"}
	w.mustDo(h.presents(h.sign(nil, id)))
	w.refused(h.presents(h.sign(members{"alg": "PS256"}, id)), AssertionSpent)
	// Another client's jti is another one.
	app := w.application(directory.Application{DisplayName: "other"})
	other := w.holder(app.AppID)
	_, err := w.dir.UpdateApplication(t.Context(), w.caller, directory.Ref{ID: app.ID}, func(a *directory.Application) error {
		a.Certificates = []directory.Certificate{other.certificate()}
		return nil
	})
	w.check(err)
	w.mustDo(other.presents(other.sign(nil, id)))

	// It is remembered for as long as it could be accepted, and not for ever.
	spent := w.spent()
	for _, later := range []time.Duration{10 * time.Minute, 4*time.Minute + 59*time.Second} {
		w.clock.Add(later)
		w.check(w.dir.Purge(t.Context()))
		w.refused(one, AssertionSpent)
	}
	w.clock.Add(time.Second)
	w.refused(one, AssertionExpired)
	if n := w.spent(); n != spent {
		t.Errorf("%d are remembered, want %d", n, spent)
	}
	w.clock.Add(2 * time.Hour)
	w.check(w.dir.Purge(t.Context()))
	if n := w.spent(); n != 0 {
		t.Errorf("%d are remembered for ever", n)
	}
}

// Of requests that come at once with one assertion, one is answered.
func TestCertificateReplayInParallel(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, d *db.DB) {
		w, h := certified(t, options{db: d})
		for range 5 {
			r := h.presents(h.sign(nil, nil))
			var mu sync.Mutex
			tokens := 0
			parallel(8, func(int) {
				o, err := w.Do(t.Context(), r)
				mu.Lock()
				defer mu.Unlock()
				if e, ok := errors.AsType[*Error](err); err == nil && o.Token != "" {
					tokens++
				} else if !ok || e.Reason != AssertionSpent || o.Token != "" {
					t.Errorf("token %q, %v", o.Token, err)
				}
			})
			if tokens != 1 {
				t.Errorf("%d of 8 requests with one assertion were answered", tokens)
			}
		}
	})
}

// Who is told to come back can come back with the same assertion.
func TestCertificateIsNotSpentForNothing(t *testing.T) {
	w, h := certified(t, options{config: Config{Parallel: 1, Queue: 1}})
	r := h.presents(h.sign(nil, nil))
	w.refused(h.presents(r.Assertion, scope("https://missing.example.test/.default")), ResourceNotFound)
	w.check(w.gate.enter(t.Context()))
	ctx, giveUp := context.WithCancel(t.Context())
	waits := make(chan error)
	go func() {
		_, err := w.Do(ctx, r)
		waits <- err
	}()
	for w.gate.waiting.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	w.refused(r, Overloaded)
	giveUp()
	if err := <-waits; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	w.gate.leave()
	if n := w.spent(); n != 0 {
		t.Errorf("%d assertions are spent", n)
	}
	w.mustDo(r)
}

// A token that cannot be remembered is not given: else it would be given twice.
func TestCertificateThatCannotBeRemembered(t *testing.T) {
	w, h := certified(t, options{})
	w.check(w.dir.DB.Update(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), `DROP TABLE used_assertions`)
		return err
	}))
	o, err := w.Do(t.Context(), h.presents(h.sign(nil, nil)))
	if _, ok := errors.AsType[*Error](err); err == nil || ok || o.Token != "" {
		t.Errorf("token %q, %v", o.Token, err)
	}
}

// A certificate counts from the next exchange on, and no longer.
func TestNextExchangeByCertificate(t *testing.T) {
	w, h := certified(t, options{})
	login := func() Request { return h.presents(h.sign(nil, nil)) }
	w.mustDo(login())
	w.certify()
	w.refused(login(), CertificateNotFound)

	principal := w.principalOf(w.clientID)
	w.check(w.dir.UpdateServicePrincipal(t.Context(), w.caller, principal, directory.PrincipalEdit{Certificates: &[]directory.Certificate{h.certificate()}}))
	o, claims := w.mustDo(login())
	if claims["appidacr"] != "2" || o.CredentialID == "" {
		t.Errorf("by a certificate of the service principal: %v", claims)
	}
	no, yes := false, true
	w.check(w.dir.UpdateServicePrincipal(t.Context(), w.caller, principal, directory.PrincipalEdit{Enabled: &no}))
	w.refused(login(), ClientDisabled)
	w.check(w.dir.UpdateServicePrincipal(t.Context(), w.caller, principal, directory.PrincipalEdit{Enabled: &yes}))

	// The one of the service principal counts when the application's is over.
	w.certify(directory.Certificate{DER: h.der, End: w.clock.Now()})
	w.mustDo(login())
	w.check(w.dir.UpdateServicePrincipal(t.Context(), w.caller, principal, directory.PrincipalEdit{Certificates: &[]directory.Certificate{}}))
	w.refused(login(), CertificateExpired)
	w.certify(directory.Certificate{DER: h.der, Start: w.clock.Now().Add(time.Minute)})
	w.refused(login(), CertificateExpired)
	w.clock.Add(time.Minute)
	w.mustDo(login())
}

// Entra evaluates the resource only after it has accepted the client.
func TestCertificateOrder(t *testing.T) {
	w, h := certified(t, options{})
	stranger := w.holder(w.clientID)
	claims := members{"sub": "x", "aud": "x", "exp": w.clock.Now().Add(-time.Hour).Unix(), "jti": nil}
	header := members{"x5t": stranger.x5t(), "alg": "none"}
	signer := stranger
	all := Request{Tenant: "nonsense", ClientID: w.clientID, Scope: "nonsense"}
	for _, next := range []struct {
		reason Reason
		mend   func()
	}{
		{TenantMalformed, func() { all.Tenant = w.tenant.ID }},
		{AssertionMalformed, func() { delete(claims, "jti") }},
		{CertificateSubject, func() { delete(claims, "sub") }},
		{CertificateAudience, func() { delete(claims, "aud") }},
		{CertificateNotFound, func() { header["x5t"] = h.x5t() }},
		{AssertionExpired, func() { delete(claims, "exp") }},
		{AlgorithmNotAllowed, func() { header["alg"] = "RS256" }},
		{CertificateSignature, func() { signer = h }},
		{ScopeInvalid, func() { all.Scope = arm + "/.default" }},
	} {
		all.Assertion = signer.sign(header, claims)
		w.refused(all, next.reason)
		next.mend()
	}
	all.Assertion = signer.sign(header, claims)
	w.mustDo(all)
	w.refused(all, AssertionSpent)

	// The tenant and the client are told before anything about the assertion.
	unknown := w.holder(w.tenant.ID)
	w.refused(unknown.presents(unknown.sign(nil, nil)), ClientNotFound)
}

func TestSecretOfTheServicePrincipal(t *testing.T) {
	w := newWorld(t, options{})
	principal := w.principalOf(w.clientID)
	s, text, err := w.dir.AddPrincipalSecret(t.Context(), w.caller, principal, directory.NewSecret{End: w.clock.Now().Add(time.Hour)})
	w.check(err)
	r := w.request(func(r *Request) { r.Assertion, r.Secret = "", text })
	if _, claims := w.mustDo(r); claims["appidacr"] != "1" {
		t.Errorf("claims %v", claims)
	}
	w.clock.Add(time.Hour)
	w.refused(r, SecretExpired)
	w.check(w.dir.RemovePrincipalSecret(t.Context(), w.caller, principal, s.ID))
	w.refused(r, SecretWrong)
}

// An unknown client costs the same statements as one whose certificate is not found.
func TestUnknownClientCostsTheSame(t *testing.T) {
	w, h := certified(t, options{})
	bare := w.holder(w.application(directory.Application{DisplayName: "bare"}).AppID)
	unknown := w.holder(w.tenant.ID)
	statements := func(r Request) (texts []string) {
		t.Helper()
		c := w.Config
		c.Directory = &directory.Directory{DB: w.dir.DB.Watched(func(text string) { texts = append(texts, text) }), Clock: w.clock.Now}
		if o, err := New(c).Do(t.Context(), r); err == nil || o.Token != "" {
			t.Errorf("token %q, %v", o.Token, err)
		}
		return texts
	}
	want := statements(h.presents(h.sign(members{"x5t": bare.x5t()}, nil)))
	if len(want) != 2 {
		t.Errorf("a certificate that is not found costs the statements %q", want)
	}
	for _, by := range []*holder{bare, unknown} {
		if diff := cmp.Diff(want, statements(by.presents(by.sign(nil, nil)))); diff != "" {
			t.Errorf("client %s (-known client +this):\n%s", by.clientID, diff)
		}
	}
}

func TestExplainCertificate(t *testing.T) {
	w, h := certified(t, options{})
	other := w.holder(w.clientID)
	thumbprint := func(h *holder) string { sum := sha1.Sum(h.der); return strings.ToUpper(hex.EncodeToString(sum[:])) }
	for _, c := range []struct {
		name        string
		assertion   string
		states      string
		differences []string
	}{
		{"good", h.sign(nil, nil), "ppppp", nil},
		{"no jti", h.sign(nil, members{"jti": nil}), "rnnnn", []string{"peek: result: assertion malformed: jti is missing"}},
		{"subject and audience", h.sign(nil, members{"sub": "x", "aud": "y"}), "prnnn", []string{"match: subject: ", "match: audience: "}},
		{"unknown", other.sign(nil, nil), "prnnn", []string{"match: certificate: none of the client's 1 certificates has this thumbprint"}},
		{"algorithm", h.sign(members{"alg": "RS512"}, nil), "pprnn", []string{"verify: algorithm: "}},
		{"lasting", h.sign(nil, members{"exp": w.clock.Now().Add(25 * time.Hour).Unix()}), "pprnn", []string{"verify: expiry: "}},
		{"signature", other.sign(members{"x5t": h.x5t()}, nil), "pprnn", []string{"verify: result: certificate signature: the certificate's key did not sign the token: the signature is not valid"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			report := w.with(t).explain(h.presents(c.assertion))
			if got := report.states(); got != c.states {
				t.Errorf("states %s, want %s", got, c.states)
			}
			if diff := cmp.Diff(c.differences, report.differences()); diff != "" {
				t.Error(diff)
			}
			for _, s := range report.Steps {
				for _, compared := range s.Compared {
					if compared.What == "certificate" && (compared.Want != thumbprint(h) || compared.Got != thumbprint(h) && compared.Got != thumbprint(other)) {
						t.Errorf("certificate %+v", compared)
					}
				}
			}
		})
	}
	// To explain uses nothing up, and says what is used up.
	r := h.presents(h.sign(nil, nil))
	for range 2 {
		if report := w.explain(r); report.Refusal != nil || report.Claims == nil {
			t.Fatalf("%+v", report)
		}
	}
	w.mustDo(r)
	report := w.explain(r)
	if report.Refusal == nil || report.Refusal.Reason != AssertionSpent || report.states() != "ppppr" || report.Claims != nil {
		t.Errorf("%+v", report)
	}
	if diff := cmp.Diff([]string{"sign: jti: the client has used it for this resource before"}, report.differences()); diff != "" {
		t.Error(diff)
	}
}
