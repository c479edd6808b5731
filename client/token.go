package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	renewBefore   = 5 * time.Minute  // as the Azure SDKs do
	lastMinute    = 30 * time.Second // a token with less left is not given out when the authority is down
	flightTimeout = 2 * time.Minute
	maxScopes     = 256
	maxLifetime   = 366 * 24 * time.Hour
	maxFile       = 64 << 10
)

// Token is an access token. Printing one does not show it.
type Token struct {
	AccessToken string
	ExpiresOn   time.Time
}

func (t Token) text() string { return "token until " + t.ExpiresOn.UTC().Format(time.RFC3339) }

// Format keeps the token out of formatted text, whatever the verb.
func (t Token) Format(f fmt.State, _ rune) { io.WriteString(f, t.text()) }

// LogValue keeps the token out of logs.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.text()) }

// TokenSource gives access tokens for scopes such as
// "https://graph.microsoft.com/.default". It caches as it sees fit and is safe for
// concurrent use.
type TokenSource interface {
	Token(ctx context.Context, scope string) (Token, error)
}

// ClientSecret is an application that proves itself with a secret. The authority
// is an https URL such as "https://login.microsoftonline.com", the tenant an id or
// a domain name; a nil hc is a plain one.
//
// Tokens are kept in memory and renewed five minutes before they expire; callers
// that ask for one scope at once share one request. While the authority cannot be
// reached or has a fault, a token that is still valid is given out to its end.
// A refusal is a [*TokenError].
func ClientSecret(authority, tenant, clientID, secret string, hc *http.Client) TokenSource {
	return newSource(authority, tenant, clientID, hc, func(_ context.Context, form url.Values) error {
		form.Set("client_secret", secret)
		return nil
	})
}

// Federated is an application or a managed identity that proves itself with a
// token of an issuer it trusts (RFC 7523 §2.2). The assertion is asked for with
// every request, so that a token file which is rotated is read anew; white space
// around it is dropped. Otherwise it is as [ClientSecret].
func Federated(authority, tenant, clientID string, assertion func(context.Context) (string, error), hc *http.Client) TokenSource {
	return newSource(authority, tenant, clientID, hc, func(ctx context.Context, form url.Values) error {
		token, err := assertion(ctx)
		if err != nil {
			return fmt.Errorf("reading the assertion for client %q: %w", clientID, err)
		}
		if token = strings.TrimSpace(token); token == "" {
			return fmt.Errorf("reading the assertion for client %q: it is empty", clientID)
		}
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", token)
		return nil
	})
}

// AssertionFile reads an assertion from a file, such as the projected service
// account token that AZURE_FEDERATED_TOKEN_FILE names. It may hold 64 KiB.
func AssertionFile(name string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
		if err != nil {
			return "", err
		}
		if len(b) > maxFile {
			return "", fmt.Errorf("%q holds more than 64 KiB", name)
		}
		return string(b), nil
	}
}

// source is one client at one authority.
type source struct {
	authority, tenant, clientID string
	prove                       func(context.Context, url.Values) error
	transport
	flight singleflight.Group // by scope

	mu     sync.Mutex
	tokens map[string]Token // by scope
}

func newSource(authority, tenant, clientID string, hc *http.Client, prove func(context.Context, url.Values) error) *source {
	return &source{
		authority: authority, tenant: tenant, clientID: clientID,
		prove:     prove,
		transport: newTransport(hc, "", nil),
		tokens:    map[string]Token{},
	}
}

func (s *source) Token(ctx context.Context, scope string) (Token, error) {
	if t, ok := s.cached(scope, renewBefore); ok {
		return t, nil
	}
	// The flight outlives the caller that began it: others wait for it too.
	c := s.flight.DoChan(scope, func() (any, error) {
		if t, ok := s.cached(scope, renewBefore); ok {
			return t, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flightTimeout)
		defer cancel()
		t, err := s.request(ctx, scope)
		if err == nil {
			s.keep(scope, t)
			return t, nil
		}
		var refusal *TokenError
		if errors.As(err, &refusal) && refusal.refused() {
			return Token{}, err
		}
		if t, ok := s.cached(scope, lastMinute); ok {
			return t, nil
		}
		return Token{}, err
	})
	select {
	case <-ctx.Done():
		return Token{}, fmt.Errorf("token for client %q: %w", s.clientID, ctx.Err())
	case r := <-c:
		if r.Err != nil {
			return Token{}, r.Err
		}
		return r.Val.(Token), nil
	}
}

// cached returns the scope's token if it lasts longer than left.
func (s *source) cached(scope string, left time.Duration) (Token, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tokens[scope]
	return t, ok && t.ExpiresOn.Sub(s.clock()) > left
}

func (s *source) keep(scope string, t Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tokens) >= maxScopes {
		now := s.clock()
		maps.DeleteFunc(s.tokens, func(_ string, t Token) bool { return !t.ExpiresOn.After(now) })
		if len(s.tokens) >= maxScopes {
			clear(s.tokens)
		}
	}
	s.tokens[scope] = t
}

// request asks for a token by the client credentials grant (RFC 6749 §4.4;
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow).
func (s *source) request(ctx context.Context, scope string) (Token, error) {
	base, err := parseBase(s.authority)
	if err != nil {
		return Token{}, fmt.Errorf("authority: %w", err)
	}
	u, err := at("").segment(s.tenant).then("/oauth2/v2.0/token").url(base)
	if err != nil {
		return Token{}, fmt.Errorf("authority: %w", err)
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {s.clientID}, "scope": {scope}}
	if err := s.prove(ctx, form); err != nil {
		return Token{}, err
	}
	sent := s.clock()
	a, err := s.send(ctx, request{
		method:     http.MethodPost,
		url:        u,
		header:     http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		body:       []byte(form.Encode()),
		repeatable: true,
	})
	if err != nil {
		return Token{}, fmt.Errorf("token for client %q: %w", s.clientID, err)
	}
	return s.read(a, sent)
}

// tokenAnswer is what the token endpoint says, good or bad.
type tokenAnswer struct {
	AccessToken string      `json:"access_token"`
	TokenType   string      `json:"token_type"`
	ExpiresIn   json.Number `json:"expires_in"` // seconds, as a number or a string

	Error         string `json:"error"`
	Description   string `json:"error_description"`
	Codes         []int  `json:"error_codes"`
	SubError      string `json:"suberror"`
	TraceID       string `json:"trace_id"`
	CorrelationID string `json:"correlation_id"`
}

func (s *source) read(a answer, sent time.Time) (Token, error) {
	var body tokenAnswer
	err := json.Unmarshal(a.body, &body)
	if a.status != http.StatusOK || body.Error != "" {
		return Token{}, newTokenError(s.tenant, s.clientID, a)
	}
	if err != nil {
		return Token{}, fmt.Errorf("token for client %q: decoding the answer: %w", s.clientID, err)
	}
	seconds, err := body.ExpiresIn.Int64()
	switch {
	case body.AccessToken == "":
		return Token{}, fmt.Errorf("token for client %q: the answer has no access_token", s.clientID)
	case body.TokenType != "" && !strings.EqualFold(body.TokenType, "Bearer"):
		return Token{}, fmt.Errorf("token for client %q: token_type %q is not Bearer", s.clientID, body.TokenType)
	case err != nil || seconds <= 0:
		return Token{}, fmt.Errorf("token for client %q: expires_in %q is not a number of seconds", s.clientID, body.ExpiresIn)
	}
	lifetime := time.Duration(min(seconds, int64(maxLifetime/time.Second))) * time.Second
	return Token{AccessToken: body.AccessToken, ExpiresOn: sent.Add(lifetime)}, nil
}
