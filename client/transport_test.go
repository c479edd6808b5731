package client

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRetries(t *testing.T) {
	const path = "/v1.0/applications/x"
	const all = "/v1.0/applications"
	after := func(v string) map[string]string { return map[string]string{"Retry-After": v} }
	read := func(ctx context.Context, c *Client) error {
		_, err := get[Application](ctx, c, c.graph, at(path))
		return err
	}
	create := func(ctx context.Context, c *Client) error {
		_, err := c.CreateApplication(ctx, ApplicationSpec{DisplayName: "a"})
		return err
	}
	clock := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name  string
		steps []step
		call  func(context.Context, *Client) error
		waits []time.Duration
		fails int // status
	}{
		{
			name:  "as long as it says, three times in all",
			steps: []step{{request: "GET " + path, status: 429, reply: after("7")}, {request: "GET " + path, status: 503, reply: after("30")}, {request: "GET " + path, status: 429, reply: after("9")}},
			call:  read, waits: []time.Duration{7 * time.Second, 30 * time.Second}, fails: 429,
		},
		{
			name:  "a date",
			steps: []step{{request: "GET " + path, status: 503, reply: after("Sat, 21 Nov 2026 12:00:11 GMT")}, {request: "GET " + path, answer: "{}"}},
			call:  read, waits: []time.Duration{11 * time.Second},
		},
		{
			name:  "a date that is past",
			steps: []step{{request: "GET " + path, status: 503, reply: after("Sat, 21 Nov 2026 11:00:00 GMT")}, {request: "GET " + path, answer: "{}"}},
			call:  read, waits: []time.Duration{0},
		},
		{
			name:  "longer than anybody waits",
			steps: []step{{request: "GET " + path, status: 429, reply: after("31")}},
			call:  read, fails: 429,
		},
		{
			name:  "other errors are final",
			steps: []step{{request: "GET " + path, status: 500, reply: after("1")}},
			call:  read, fails: 500,
		},
		{
			name:  "a creation that was turned away, with its body",
			steps: []step{{request: "POST " + all, body: `{"displayName":"a"}`, status: 429, reply: after("1")}, {request: "POST " + all, body: `{"displayName":"a"}`, status: 503, reply: after("2")}, {request: "POST " + all, body: `{"displayName":"a"}`, status: 201, answer: "{}"}},
			call:  create, waits: []time.Duration{time.Second, 2 * time.Second},
		},
		{
			name:  "a creation that may have been carried out",
			steps: []step{{request: "POST " + all, body: `{"displayName":"a"}`, status: 504, reply: after("1")}},
			call:  create, fails: 504,
		},
		{
			name:  "a deletion that may have been carried out",
			steps: []step{{request: "DELETE " + path, status: 502, reply: after("1")}, {request: "DELETE " + path, status: 504, reply: after("1")}, {request: "DELETE " + path, status: 204}},
			call:  func(ctx context.Context, c *Client) error { return c.DeleteApplication(ctx, "x") },
			waits: []time.Duration{time.Second, time.Second},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, tt.steps...)
			c, waits := s.client()
			c.clock = func() time.Time { return clock }
			err := tt.call(t.Context(), c)
			var e *Error
			if tt.fails == 0 && err != nil || tt.fails != 0 && (!errors.As(err, &e) || e.Status != tt.fails || e.RetryAfter == 0) {
				t.Errorf("got %v, want status %d with RetryAfter", err, tt.fails)
			}
			if diff := cmp.Diff(append([]time.Duration{}, tt.waits...), *waits); diff != "" {
				t.Errorf("waits: -want +got\n%s", diff)
			}
		})
	}
}

func TestRetriesOfTheirOwnPace(t *testing.T) {
	s := serve(t, step{request: "GET /tenants?api-version=2022-12-01", status: 503}, step{request: "GET /tenants?api-version=2022-12-01", status: 503}, step{request: "GET /tenants?api-version=2022-12-01", answer: `{"value":[]}`})
	c, waits := s.client()
	if _, err := c.Tenants(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, least := range []time.Duration{time.Second, 2 * time.Second} {
		if w := (*waits)[i]; w < least || w >= least+least/2 {
			t.Errorf("wait %d: %v is not in [%v, %v)", i, w, least, least+least/2)
		}
	}
}

func TestRetriesKnowTheDeadline(t *testing.T) {
	s := serve(t, step{request: "GET /tenants?api-version=2022-12-01", status: 503, reply: map[string]string{"Retry-After": "29"}})
	c, waits := s.client()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, err := c.Tenants(ctx)
	var e *Error
	if !errors.As(err, &e) || e.Status != 503 || e.RetryAfter != 29*time.Second || len(*waits) != 0 {
		t.Errorf("got %v after waits of %v", err, *waits)
	}
}

func TestRetriesEndWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := serve(t, step{request: "GET /tenants?api-version=2022-12-01", status: 503, reply: map[string]string{"Retry-After": "1"}})
	c, _ := s.client()
	c.wait = func(ctx context.Context, d time.Duration) error {
		cancel()
		return pause(ctx, d)
	}
	if _, err := c.Tenants(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestRedirects(t *testing.T) {
	other := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the other server got %s %s", r.Method, r.URL)
	}))
	defer other.Close()
	to := func(l string) map[string]string { return map[string]string{"Location": l} }
	const tenants = "GET /tenants?api-version=2022-12-01"
	list := func(ctx context.Context, c *Client) (any, error) { return c.Tenants(ctx) }
	write := func(ctx context.Context, c *Client) (any, error) {
		return done(c.UpdateApplication(ctx, "x", ApplicationSpec{Tags: []string{}}))
	}
	methods{
		{
			name:  "another origin",
			steps: []step{{request: tenants, status: 307, reply: to(other.URL + "/tenants")}},
			call:  list, fails: "redirect to another origin",
		},
		{
			name:  "plain http",
			steps: []step{{request: tenants, status: 302, reply: to("http://127.0.0.1/tenants")}},
			call:  list, fails: "redirect to another origin",
		},
		{
			name: "the same origin",
			steps: []step{{request: tenants, status: 302, reply: to("/elsewhere")},
				{request: "GET /elsewhere", header: map[string]string{"Authorization": "Bearer tok"}, answer: `{"value":[]}`}},
			call: list, want: []Tenant{},
		},
		{
			name:  "a write that would become a read",
			steps: []step{{request: "PATCH /v1.0/applications/x", body: `{"tags":[]}`, status: 302, reply: to("/v1.0/applications/x/")}},
			call:  write, fails: "redirect that turns PATCH into GET is not followed",
		},
		{
			name: "a write that stays one",
			steps: []step{{request: "PATCH /v1.0/applications/x", body: `{"tags":[]}`, status: 308, reply: to("/v1.0/applications/x/")},
				{request: "PATCH /v1.0/applications/x/", body: `{"tags":[]}`, status: 204}},
			call: write,
		},
		{
			name: "round in a circle",
			steps: []step{{request: tenants, status: 302, reply: to("/1")}, {request: "GET /1", status: 302, reply: to("/2")}, {request: "GET /2", status: 302, reply: to("/3")},
				{request: "GET /3", status: 302, reply: to("/4")}, {request: "GET /4", status: 302, reply: to("/5")}, {request: "GET /5", status: 302, reply: to("/6")}},
			call: list, fails: "more than 5 redirects",
		},
		{
			name:  "without a destination",
			steps: []step{{request: tenants, status: 304}},
			call:  list, fails: "304: the server answered with a redirect that is not followed",
		},
	}.run(t)
}

func TestLists(t *testing.T) {
	other := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the other server got %s %s with %q", r.Method, r.URL, r.Header.Get("Authorization"))
	}))
	defer other.Close()
	const first = "GET /tenants?api-version=2022-12-01"
	call := func(ctx context.Context, c *Client) (any, error) { return c.Tenants(ctx) }
	continues := func(link string) []step {
		return []step{{request: first, answer: `{"value":[],"nextLink":"` + link + `"}`}}
	}
	methods{
		{name: "at another origin", steps: continues(other.URL + "/tenants"), call: call, fails: "and a token is sent to"},
		{name: "at another scheme", steps: continues("http://127.0.0.1/x"), call: call, fails: "and a token is sent to"},
		{name: "at the host with a name", steps: continues("https://user@127.0.0.1/x"), call: call, fails: "and a token is sent to"},
		{name: "at itself", steps: continues("{base}/tenants?api-version=2022-12-01"), call: call, fails: "continues at itself"},
		{name: "at no URL", steps: continues("https://%zz"), call: call, fails: "continues at"},
		{name: "at a path", steps: append(continues("/2?a=b"), step{request: "GET /2?a=b", answer: `{"value":[{"id":"t"}]}`}), call: call, want: []Tenant{{ID: "t"}}},
		{name: "no list", steps: []step{{request: first, answer: `{}`}}, call: call, fails: "is not a list"},
		{name: "null", steps: []step{{request: first, answer: `{"value":null}`}}, call: call, fails: "is not a list"},
		{name: "no JSON", steps: []step{{request: first, answer: `<html>`}}, call: call, fails: "decoding the answer of GET /tenants"},
		{name: "nothing", steps: []step{{request: first}}, call: call, fails: "decoding the answer of GET /tenants"},
	}.run(t)
}

func TestAnswersAreBounded(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	z.Write(bytes.Repeat([]byte(" "), maxAnswer+1))
	z.Close()
	tests := []struct {
		name   string
		header map[string]string
		answer string
	}{
		{"plain", nil, strings.Repeat(" ", maxAnswer+1)},
		{"compressed", map[string]string{"Content-Encoding": "gzip"}, bomb.String()},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, step{request: "GET /tenants?api-version=2022-12-01", reply: tt.header, answer: tt.answer})
			c, _ := s.client()
			if _, err := c.Tenants(t.Context()); !errors.Is(err, errTooLong) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestStatusesThatMeanNothing(t *testing.T) {
	methods{
		{
			name:  "accepted, where nothing is begun",
			steps: []step{{request: "PUT /providers/Entente.Federation/policies/default?api-version=2026-11-01", body: `{"properties":{"maxFederatedIdentityCredentials":1}}`, status: 202}},
			call: func(ctx context.Context, c *Client) (any, error) {
				return c.PutPolicy(ctx, Policy{MaxFederatedIdentityCredentials: 1})
			},
			fails: "202: the server answered with a status that has no meaning here",
		},
		{
			name:  "no content, where there is an object",
			steps: []step{{request: "GET /providers/Entente.Federation/policies/default?api-version=2026-11-01", status: 204}},
			call:  func(ctx context.Context, c *Client) (any, error) { return c.Policy(ctx) },
			fails: "204: the server answered with a status that has no meaning here",
		},
	}.run(t)
}

func TestErrorShapes(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		header map[string]string
		want   Error
	}{
		{"arm", 403, `{"error":{"code":"AuthorizationFailed","message":"The client 'x' does not have authorization.","target":"t","details":[]}}`, map[string]string{"x-ms-request-id": "r"}, Error{Code: "AuthorizationFailed", Message: "The client 'x' does not have authorization.", RequestID: "r"}},
		{"graph", 401, `{"error":{"code":"InvalidAuthenticationToken","message":"m","innerError":{"request-id":"inner"}}}`, map[string]string{"request-id": "outer"}, Error{Code: "InvalidAuthenticationToken", Message: "m", RequestID: "outer"}},
		{"header only", 404, ``, map[string]string{"x-ms-error-code": "ResourceNotFound"}, Error{Code: "ResourceNotFound", Message: "not found"}},
		{"gateway", 500, `<html><h1>oops</h1></html>`, nil, Error{Message: "internal server error"}},
		{"oauth", 401, `{"error":"invalid_token","error_description":"d"}`, nil, Error{Message: "unauthorized"}},
		{"code of another type", 400, `{"error":{"code":7,"message":"m"}}`, nil, Error{Message: "m"}},
		{"no reason", 599, `[]`, nil, Error{Message: "the server gave no reason"}},
		{"control characters", 400, "{\"error\":{\"code\":\"a\\u001b[31mb\",\"message\":\"one\\r\\ntwo\\u202e three\\u0000\"}}", nil, Error{Code: "a [31mb", Message: "one two three"}},
		{"long", 400, `{"error":{"code":"c","message":"` + strings.Repeat("é", 3000) + `"}}`, nil, Error{Code: "c", Message: strings.Repeat("é", 2000) + "…"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, step{request: "DELETE /v1.0/applications/x", status: tt.status, answer: tt.body, reply: tt.header})
			c, _ := s.client()
			var got *Error
			if err := c.DeleteApplication(t.Context(), "x"); !errors.As(err, &got) {
				t.Fatalf("got %v", err)
			}
			tt.want.Method, tt.want.Path, tt.want.Status = "DELETE", "/v1.0/applications/x", tt.status
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func FuzzError(f *testing.F) {
	f.Add([]byte(notFound))
	f.Add([]byte(`{"error":{"code":"\u001b]0;x\u0007","message":"\ud800"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e := newError("GET", "/x", answer{status: 400, header: http.Header{"Request-Id": {string(body)}}, body: body})
		for _, s := range []string{e.Code, e.Message, e.RequestID} {
			if strings.ContainsAny(s, "\x00\x07\x1b\r\n\t\u202e\u2028") || len(s) > 4000+len("…") {
				t.Errorf("%q", s)
			}
		}
		if e.Message == "" {
			t.Error("no message")
		}
	})
}
