package portal

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/entente-id/entente/internal/strictjson"
)

// Bounds on talking to the provider. Its address is the operator's choice, so
// private ones are not refused, unlike an issuer's.
const (
	providerTime    = 10 * time.Second // each request
	finishTime      = 20 * time.Second // all requests of a callback
	providerBody    = 1 << 20          // each answer, after decompression
	providerHeaders = 64 << 10
	discoveryLife   = time.Hour       // then its document and keys are read anew
	discoveryStale  = 24 * time.Hour  // how long they serve while it cannot be read
	discoveryRest   = 5 * time.Second // after a failure nothing is asked for so long
)

// idTokenAlgorithms are those that an ID token may be signed with: none without a
// public key, and no "none" (RFC 8725 section 3.1).
var idTokenAlgorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}

// discovered is a provider as it describes itself.
type discovered struct {
	at          time.Time
	config      oauth2.Config
	verifier    *oidc.IDTokenVerifier
	namesIssuer bool // its answers have iss
}

// vainAsk is the last vain attempt to discover.
type vainAsk struct {
	at  time.Time
	err error
}

// providerMetadata are the members that are used of a discovery document (OpenID Connect Discovery 1.0 section 3).
type providerMetadata struct {
	Issuer       string   `json:"issuer"`
	AuthURL      string   `json:"authorization_endpoint"`
	TokenURL     string   `json:"token_endpoint"`
	KeysURL      string   `json:"jwks_uri"`
	Algorithms   []string `json:"id_token_signing_alg_values_supported"`
	AuthMethods  []string `json:"token_endpoint_auth_methods_supported"`
	NamesIssuer  bool     `json:"authorization_response_iss_parameter_supported"`
	PKCEMethods  []string `json:"code_challenge_methods_supported"`
	ResponseType []string `json:"response_types_supported"`
}

// discover returns the provider, from memory if that is fresh. Of people who
// come at once one asks and the others wait.
func (u *upstream) discover(ctx context.Context) (*discovered, error) {
	if known, err := u.remembered(); known != nil || err != nil {
		return known, err
	}
	result := u.flight.DoChan("", func() (any, error) { return u.rediscover() })
	select {
	case <-ctx.Done():
		return nil, providerUnreachable(ctx.Err())
	case r := <-result:
		known, _ := r.Val.(*discovered)
		return known, r.Err
	}
}

// remembered returns nothing when the provider must be asked.
func (u *upstream) remembered() (*discovered, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := u.now()
	resting := now.Sub(u.failed.at) < discoveryRest
	if u.known != nil {
		if age := now.Sub(u.known.at); age < discoveryLife || resting && age < discoveryStale {
			return u.known, nil
		}
	}
	if resting {
		return nil, u.failed.err
	}
	return nil, nil
}

func (u *upstream) rediscover() (*discovered, error) {
	known, err := u.fetch()
	u.mu.Lock()
	defer u.mu.Unlock()
	if err == nil {
		u.known = known
		return known, nil
	}
	u.failed = vainAsk{u.now(), err}
	if u.known != nil && u.failed.at.Sub(u.known.at) < discoveryStale {
		return u.known, nil
	}
	return nil, err
}

// fetch reads the discovery document, for everybody who waits: no one
// request's end ends it.
func (u *upstream) fetch() (*discovered, error) {
	ctx, cancel := context.WithTimeout(oidc.ClientContext(context.Background(), u.http), providerTime)
	defer cancel()
	lenient, err := oidc.NewProvider(ctx, u.provider.Issuer)
	if wrong := new(oidc.IssuerMismatchError); errors.As(err, &wrong) {
		return nil, providerMisfit("The sign-in provider calls itself something else than --portal-oidc-issuer does.", err)
	}
	if err != nil {
		return nil, providerUnreachable(err)
	}
	var document json.RawMessage
	var m providerMetadata
	if err := errors.Join(lenient.Claims(&document), strictjson.Decode(document, &m)); err != nil {
		return nil, providerUnreachable(fmt.Errorf("discovery document: %w", err))
	}
	safe := m.algorithms()
	if err := m.check(u.provider.Issuer, safe); err != nil {
		return nil, providerMisfit("The sign-in provider describes itself in a way that this service cannot use.", fmt.Errorf("discovery document: %w", err))
	}
	exact := oidc.ProviderConfig{IssuerURL: m.Issuer, AuthURL: m.AuthURL, TokenURL: m.TokenURL, JWKSURL: m.KeysURL, Algorithms: safe}
	return &discovered{
		at: u.now(),
		config: oauth2.Config{
			ClientID: u.provider.ClientID, ClientSecret: u.provider.ClientSecret, RedirectURL: u.redirect, Scopes: u.provider.scopes(),
			Endpoint: oauth2.Endpoint{AuthURL: m.AuthURL, TokenURL: m.TokenURL, AuthStyle: m.authStyle(u.provider.ClientSecret)},
		},
		verifier:    exact.NewProvider(ctx).Verifier(&oidc.Config{ClientID: u.provider.ClientID, SupportedSigningAlgs: safe, Now: u.now}),
		namesIssuer: m.NamesIssuer,
	}, nil
}

// scopes are those of the authorization request.
func (p *Provider) scopes() []string {
	all := []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail}
	for _, scope := range p.Scopes {
		if !slices.Contains(all, scope) {
			all = append(all, scope)
		}
	}
	return all
}

// algorithms are the safe ones of the provider's; RS256 when it names none, as it must support that.
func (m *providerMetadata) algorithms() (safe []string) {
	if len(m.Algorithms) == 0 {
		return []string{oidc.RS256}
	}
	for _, a := range idTokenAlgorithms {
		if slices.Contains(m.Algorithms, a) {
			safe = append(safe, a)
		}
	}
	return safe
}

func (m *providerMetadata) check(issuer string, safe []string) error {
	if m.Issuer != issuer {
		return fmt.Errorf("issuer is %q, want %q", m.Issuer, issuer)
	}
	if len(safe) == 0 {
		return fmt.Errorf("none of the signature algorithms %.200q is one of %q", m.Algorithms, idTokenAlgorithms)
	}
	for name, address := range map[string]string{"authorization_endpoint": m.AuthURL, "token_endpoint": m.TokenURL, "jwks_uri": m.KeysURL} {
		if u, err := url.Parse(address); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
			return fmt.Errorf("%s %.200q is not an https:// URL", name, address)
		}
	}
	if len(m.ResponseType) > 0 && !slices.Contains(m.ResponseType, "code") {
		return errors.New("response_types_supported is without code")
	}
	// Many providers support PKCE and leave this member out, as RFC 8414 section 2 lets those that do not.
	if len(m.PKCEMethods) > 0 && !slices.Contains(m.PKCEMethods, "S256") {
		return errors.New("code_challenge_methods_supported is without S256")
	}
	return nil
}

// authStyle is how the secret is sent. It is never tried out, because a code
// that was sent in vain may be used up. A list that is absent means Basic.
func (m *providerMetadata) authStyle(secret string) oauth2.AuthStyle {
	basic := len(m.AuthMethods) == 0 || slices.Contains(m.AuthMethods, "client_secret_basic")
	if secret == "" || !basic {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleInHeader
}

// newProviderClient makes the HTTP client for everything that is asked of the
// provider. Proxies of the environment are not used, as for issuers.
func newProviderClient(roots *x509.CertPool) *http.Client {
	return &http.Client{
		Timeout: providerTime,
		Transport: cappedTransport{&http.Transport{
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:      true,
			MaxResponseHeaderBytes: providerHeaders,
			TLSHandshakeTimeout:    providerTime,
			IdleConnTimeout:        time.Minute,
			MaxConnsPerHost:        2 * conversations,
		}},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			first := via[0]
			if len(via) > 3 || first.Method != http.MethodGet || r.URL.Scheme != first.URL.Scheme || r.URL.Host != first.URL.Host {
				return http.ErrUseLastResponse // a secret goes where the operator or the provider's document said, and nowhere else
			}
			return nil
		},
	}
}

// cappedTransport bounds the bodies of answers.
type cappedTransport struct{ http.RoundTripper }

func (c cappedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := c.RoundTripper.RoundTrip(r)
	if err == nil {
		response.Body = &cappedBody{body: response.Body, left: providerBody}
	}
	return response, err
}

type cappedBody struct {
	body io.ReadCloser
	left int64
}

func (b *cappedBody) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // one byte more tells an end from a cut
	}
	n, err := b.body.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("the answer has more than %d bytes", providerBody)
	}
	return n, err
}

func (b *cappedBody) Close() error { return b.body.Close() }
