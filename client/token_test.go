package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	tokenPath = "POST /contoso.example/oauth2/v2.0/token"
	scope     = "https://graph.microsoft.com/.default"
)

func form(pairs ...string) string {
	v := url.Values{"grant_type": {"client_credentials"}, "client_id": {"c"}, "scope": {scope}}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v.Encode()
}

var secretForm = form("client_secret", "s&cret")

func good(token string, seconds int) string {
	return fmt.Sprintf(`{"token_type":"Bearer","expires_in":%d,"ext_expires_in":%d,"access_token":"%s"}`, seconds, seconds, token)
}

// secretSource is a client with a secret at a script, on a clock that tests move.
func secretSource(s *script) (*source, *time.Time, *[]time.Duration) {
	src := ClientSecret(s.URL+"/", "contoso.example", "c", "s&cret", s.Client()).(*source)
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	src.clock = func() time.Time { return now }
	waits := &[]time.Duration{}
	src.wait = noting(waits)
	return src, &now, waits
}

func TestClientSecret(t *testing.T) {
	s := serve(t, step{request: tokenPath, body: secretForm, header: map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Authorization": ""}, answer: good("one", 3599)})
	src, now, _ := secretSource(s)
	want := Token{AccessToken: "one", ExpiresOn: now.Add(3599 * time.Second)}
	for range 3 {
		got, err := src.Token(t.Context(), scope)
		if err != nil || got != want {
			t.Fatalf("got %q until %v, %v", got.AccessToken, got.ExpiresOn, err)
		}
	}
}

func TestFederated(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	asserted := func(a string) string {
		return form("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion", a)
	}
	s := serve(t,
		step{request: tokenPath, body: asserted("a.b.c"), answer: good("one", 3599)},
		step{request: tokenPath, body: asserted("d.e.f"), answer: good("two", 3599)})
	src := Federated(s.URL, "contoso.example", "c", AssertionFile(file), s.Client()).(*source)
	now := time.Now()
	src.clock = func() time.Time { return now }
	for i, assertion := range []string{"a.b.c\n", "  d.e.f "} {
		write(assertion)
		got, err := src.Token(t.Context(), scope)
		if err != nil || got.AccessToken != []string{"one", "two"}[i] {
			t.Fatalf("got %q, %v", got.AccessToken, err)
		}
		now = now.Add(time.Hour)
	}
	for name, text := range map[string]string{"it is empty": " \n", "holds more than 64 KiB": strings.Repeat("x", maxFile+1)} {
		write(text)
		if _, err := src.Token(t.Context(), scope); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	os.Remove(file)
	if _, err := src.Token(t.Context(), scope); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestTokensAreRenewedAhead(t *testing.T) {
	ask := func(answer string) step { return step{request: tokenPath, body: secretForm, answer: answer} }
	down := step{request: tokenPath, body: secretForm, status: 500}
	refused := step{request: tokenPath, body: secretForm, status: 401, answer: `{"error":"invalid_client","error_description":"AADSTS700213: no","error_codes":[700213]}`}
	tests := []struct {
		name  string
		age   time.Duration // of the first token, when the second is asked for
		steps []step
		want  string // the second; empty: an error
	}{
		{"with more than five minutes left", 54 * time.Minute, []step{ask(good("one", 3600))}, "one"},
		{"with five minutes left", 55 * time.Minute, []step{ask(good("one", 3600)), ask(good("two", 3600))}, "two"},
		{"the authority is down and the token is valid", 59 * time.Minute, []step{ask(good("one", 3600)), down}, "one"},
		{"the authority is down and the token is as good as gone", 59*time.Minute + 30*time.Second, []step{ask(good("one", 3600)), down}, ""},
		{"the authority refuses", 55 * time.Minute, []step{ask(good("one", 3600)), refused}, ""},
		{"a short life is not kept", 0, []step{ask(good("one", 300)), ask(good("two", 300))}, "two"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src, now, _ := secretSource(serve(t, tt.steps...))
			if _, err := src.Token(t.Context(), scope); err != nil {
				t.Fatal(err)
			}
			*now = now.Add(tt.age)
			got, err := src.Token(t.Context(), scope)
			if got.AccessToken != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("got %q, %v", got.AccessToken, err)
			}
		})
	}
}

func TestTokenAnswers(t *testing.T) {
	const envelope = `{"error":"invalid_client","error_description":"AADSTS700211: No matching federated identity record found for presented assertion issuer 'https://i'.\r\nTrace ID: 93eb6af6 Correlation ID: 8f043819 Timestamp: 2024-03-01 07:41:07Z","error_codes":[700211],"timestamp":"2024-03-01 07:41:07Z","trace_id":"93eb6af6","correlation_id":"8f043819","suberror":"sub"}`
	tests := []struct {
		name   string
		status int
		header map[string]string
		answer string
		want   string // the token
		error  *TokenError
		fails  string
	}{
		{name: "lifetime as a string", answer: `{"token_type":"bearer","expires_in":"3599","access_token":"x"}`, want: "x"},
		{name: "no type", answer: `{"expires_in":3599,"access_token":"x"}`, want: "x"},
		{name: "a very long life", answer: `{"expires_in":9223372036854775807,"access_token":"x"}`, want: "x"},
		{name: "no lifetime", answer: `{"access_token":"x"}`, fails: "expires_in"},
		{name: "lifetime with a fraction", answer: `{"expires_in":3599.5,"access_token":"x"}`, fails: "expires_in"},
		{name: "negative lifetime", answer: `{"expires_in":-1,"access_token":"x"}`, fails: "expires_in"},
		{name: "lifetime that is no number", answer: `{"expires_in":"soon","access_token":"x"}`, fails: "decoding"},
		{name: "another type", answer: `{"token_type":"mac","expires_in":3599,"access_token":"x"}`, fails: `token_type "mac" is not Bearer`},
		{name: "no token", answer: `{"expires_in":3599}`, fails: "no access_token"},
		{name: "no JSON", answer: `<html>`, fails: "decoding"},
		{
			name: "refused", status: 401, answer: envelope,
			error: &TokenError{Status: 401, Code: "invalid_client", Codes: []int{700211}, SubError: "sub", TraceID: "93eb6af6", CorrelationID: "8f043819",
				Description: "AADSTS700211: No matching federated identity record found for presented assertion issuer 'https://i'. Trace ID: 93eb6af6 Correlation ID: 8f043819 Timestamp: 2024-03-01 07:41:07Z"},
			fails: `token for client "c" of tenant "contoso.example": 401 invalid_client: AADSTS700211: No matching`,
		},
		{name: "refused with 200", answer: `{"error":"invalid_request","error_description":"d"}`, error: &TokenError{Status: 200, Code: "invalid_request", Description: "d"}, fails: "200 invalid_request: d"},
		{name: "no envelope", status: 404, answer: `<html>`, error: &TokenError{Status: 404, Description: "not found"}, fails: "404: not found"},
		{name: "busy for long", status: 429, header: map[string]string{"Retry-After": "60"}, answer: `{"error":"temporarily_unavailable"}`,
			error: &TokenError{Status: 429, Code: "temporarily_unavailable", Description: "too many requests", RetryAfter: time.Minute}, fails: "429"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, step{request: tokenPath, body: secretForm, status: tt.status, answer: tt.answer, reply: tt.header})
			src, now, _ := secretSource(s)
			got, err := src.Token(t.Context(), scope)
			if tt.fails == "" && err != nil || tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)) {
				t.Fatalf("got %v, want …%s…", err, tt.fails)
			}
			if got.AccessToken != tt.want || tt.want != "" && !got.ExpiresOn.After(*now) {
				t.Errorf("got %q until %v", got.AccessToken, got.ExpiresOn)
			}
			if tt.error != nil {
				tt.error.Tenant, tt.error.ClientID = "contoso.example", "c"
				var e *TokenError
				if !errors.As(err, &e) {
					t.Fatalf("got %T", err)
				}
				if diff := cmp.Diff(tt.error, e); diff != "" {
					t.Errorf("-want +got\n%s", diff)
				}
				if e.HasCode(700211) != (tt.status == 401) || e.HasCode(70021) {
					t.Errorf("codes %v", e.Codes)
				}
			}
		})
	}
}

func TestTokenRequestsAreRepeated(t *testing.T) {
	s := serve(t,
		step{request: tokenPath, body: secretForm, status: 503, reply: map[string]string{"Retry-After": "3"}},
		step{request: tokenPath, body: secretForm, status: 504, reply: map[string]string{"Retry-After": "4"}},
		step{request: tokenPath, body: secretForm, answer: good("x", 3599)})
	src, _, waits := secretSource(s)
	if _, err := src.Token(t.Context(), scope); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]time.Duration{3 * time.Second, 4 * time.Second}, *waits); diff != "" {
		t.Error(diff)
	}
}

func TestASecretIsNotRedirected(t *testing.T) {
	other := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		t.Errorf("the other server got %s", body)
	}))
	defer other.Close()
	s := serve(t, step{request: tokenPath, body: secretForm, status: 307, reply: map[string]string{"Location": other.URL}})
	src, _, _ := secretSource(s)
	if _, err := src.Token(t.Context(), scope); err == nil || !strings.Contains(err.Error(), "another origin") || strings.Contains(err.Error(), "s&cret") {
		t.Error(err)
	}
}

func TestAuthorities(t *testing.T) {
	for _, tt := range []struct{ authority, tenant, fails string }{
		{"http://login.example", "t", "is not an https URL"},
		{"", "t", "is not an https URL"},
		{"https://login.example", "", `"" cannot be a part of the path`},
		{"https://login.example", "..", `".." cannot be a part of the path`},
	} {
		if _, err := ClientSecret(tt.authority, tt.tenant, "c", "s", nil).Token(t.Context(), scope); err == nil || !strings.Contains(err.Error(), tt.fails) {
			t.Errorf("%q, %q: got %v", tt.authority, tt.tenant, err)
		}
	}
}

// Many callers share one request, and one that goes away does not take it along.
func TestCallersShareAFlight(t *testing.T) {
	var requests atomic.Int32
	arrived, release := make(chan struct{}), make(chan struct{})
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 1 {
			close(arrived)
		}
		<-release
		io.WriteString(w, good("x", 3599))
	}))
	defer s.Close()
	src := ClientSecret(s.URL, "t", "c", "s", s.Client())

	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := src.Token(ctx, scope)
		left <- err
	}()
	<-arrived
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if got, err := src.Token(t.Context(), scope); err != nil || got.AccessToken != "x" {
				t.Errorf("got %q, %v", got.AccessToken, err)
			}
		})
	}
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(release)
	wg.Wait()
	if n := requests.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	src := ClientSecret("https://login.example", "t", "c", "s", nil).(*source)
	now := time.Now()
	src.clock = func() time.Time { return now }
	for i := range maxScopes {
		src.keep(fmt.Sprint("old ", i), Token{AccessToken: "x", ExpiresOn: now})
	}
	src.keep("new", Token{AccessToken: "x", ExpiresOn: now.Add(time.Hour)})
	if len(src.tokens) != 1 {
		t.Errorf("%d tokens after the expired ones had to go", len(src.tokens))
	}
	for i := range 2 * maxScopes {
		src.keep(fmt.Sprint("valid ", i), Token{AccessToken: "x", ExpiresOn: now.Add(time.Hour)})
		if len(src.tokens) > maxScopes {
			t.Fatalf("%d tokens", len(src.tokens))
		}
	}
}

func TestTokensDoNotShow(t *testing.T) {
	token := Token{AccessToken: "eyJsecret", ExpiresOn: time.Unix(0, 0)}
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "token", token)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&b, verb, token)
		fmt.Fprintf(&b, verb, &token)
		fmt.Fprintf(&b, verb, struct{ T Token }{token})
	}
	if strings.Contains(b.String(), "secret") || strings.Contains(b.String(), "65794a") {
		t.Error(b.String())
	}
}
