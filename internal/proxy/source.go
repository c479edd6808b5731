package proxy

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/entente-id/entente/client"
)

// skew is what an authority tolerates between its clock and others'.
const skew = 5 * time.Minute

// Source exchanges the service account token at the authority.
type Source struct {
	Config
	Client *http.Client     // nil: one of its own
	Clock  func() time.Time // required
	Log    *slog.Logger     // required

	mu    sync.Mutex
	own   *http.Client
	ca    os.FileInfo // the CA file that own trusts
	token os.FileInfo // the token file that changed last saw
}

// Exchange asks once. Whoever waits for the answer tries again, at the pace of
// Retry-After; tries of tries would be too many.
func (s *Source) Exchange(ctx context.Context, clientID, resource string) (issued, *refusal) {
	assertion, err := s.assertion()
	if err != nil {
		return issued{}, s.judge(err)
	}
	hc, err := s.client()
	if err != nil {
		return issued{}, s.judge(err)
	}
	source := client.Federated(s.Authority, s.TenantID, clientID, func(context.Context) (string, error) { return assertion, nil }, hc)
	// Without the monotonic reading: that clock stands while a machine sleeps, and
	// the token's life does not.
	began, at := time.Now(), s.Clock().Round(0)
	token, err := source.Token(ctx, client.Scope(resource))
	if err != nil {
		bad := s.judge(err)
		// What an authority, or a gateway before it, says goes into logs and to
		// the program; some say what they were sent.
		bad.description = strings.ReplaceAll(bad.description, assertion, "(the service account token)")
		return issued{}, bad
	}
	return issued{token: token.AccessToken, at: at, expires: at.Add(token.ExpiresOn.Sub(began))}, nil
}

// assertionError says why there is no service account token to exchange.
type assertionError struct{ text string }

func (e *assertionError) Error() string { return e.text }

// assertion reads the service account token and looks whether it can still count.
// Everything else about it is the authority's to judge.
func (s *Source) assertion() (string, error) {
	text, err := client.AssertionFile(s.TokenFile)(context.Background())
	if err != nil {
		return "", &assertionError{fmt.Sprintf("the service account token cannot be read: %v; AZURE_FEDERATED_TOKEN_FILE names the file of a projected volume", err)}
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return "", &assertionError{fmt.Sprintf("the file of the service account token, %q, is empty", s.TokenFile)}
	}
	if end, ok := expiry(text); ok {
		if ago := s.Clock().Sub(end); ago > skew {
			return "", &assertionError{fmt.Sprintf("the service account token in %q expired at %s, %s ago: the kubelet has not renewed it, or this machine's clock is wrong",
				s.TokenFile, end.UTC().Format(time.RFC3339), ago.Round(time.Second))}
		}
	}
	return text, nil
}

// expiry reads the exp claim (RFC 7519 §4.1.4) of a token that nobody has verified.
func expiry(token string) (time.Time, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}, false
	}
	var claims struct {
		Exp float64 `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.Exp <= 0 || claims.Exp > 1<<40 {
		return time.Time{}, false
	}
	return time.Unix(int64(claims.Exp), 0), true
}

// changed tells whether the token file is another one than at the last call.
func (s *Source) changed() bool {
	now, err := os.Stat(s.TokenFile)
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.token
	s.token = now
	return before != nil && !sameFile(before, now)
}

func sameFile(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// judge makes an answer of what went wrong. What the caller cannot mend by asking
// again is 400 or 401, the rest passes by itself.
func (s *Source) judge(err error) *refusal {
	if e, ok := errors.AsType[*assertionError](err); ok {
		return &refusal{status: http.StatusUnauthorized, code: "unauthorized_client", description: e.text}
	}
	if e, ok := errors.AsType[*caError](err); ok {
		return &refusal{status: http.StatusBadRequest, code: "authority_not_trusted", description: e.Error()}
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return &refusal{status: http.StatusBadRequest, code: "authority_not_trusted",
			description: fmt.Sprintf("the certificate of the authority %s is not trusted: %v; SSL_CERT_FILE names the file with its CA", s.Authority, e.Err)}
	}
	if e, ok := errors.AsType[*client.TokenError](err); ok {
		r := &refusal{status: http.StatusBadRequest, code: e.Code, description: e.Description, retryAfter: e.RetryAfter}
		switch {
		case e.Status == http.StatusTooManyRequests:
			r.status = http.StatusTooManyRequests
		case e.Status >= 500 || e.Status == http.StatusRequestTimeout:
			r.status = http.StatusServiceUnavailable
		case e.Status == http.StatusUnauthorized:
			r.status = http.StatusUnauthorized
		}
		if r.code == "" {
			r.code = "invalid_request"
			if r.passing() {
				r.code = "temporarily_unavailable"
			}
			r.description = fmt.Sprintf("the authority %s answered with status %d: %s", s.Authority, e.Status, e.Description)
		}
		if !r.passing() {
			r.retryAfter = 0
		}
		return r
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("there was no answer in time")
	}
	return &refusal{status: http.StatusServiceUnavailable, code: "temporarily_unavailable", description: fmt.Sprintf("no token from the authority %s: %v", s.Authority, err)}
}
