package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// Config says whom a client speaks to and as whom.
type Config struct {
	Endpoints              // all empty: Public()
	TenantID  string       // what Client.TenantID reports; the credential is what decides
	HTTP      *http.Client // nil: a plain one. Its CheckRedirect is replaced
	// Credential gives the bearer tokens. Required.
	Credential TokenSource
	UserAgent  string           // default "entente"
	Clock      func() time.Time // nil: time.Now
}

// Client calls Microsoft Graph and Azure Resource Manager, or an Entente server
// in their place. It is safe for concurrent use.
//
// Objects come back as the server wrote them. Lists are read to their end and
// are never nil. A refusal is an [*Error]; the credential's refusal a [*TokenError].
type Client struct {
	endpoints  Endpoints
	tenantID   string
	credential TokenSource
	transport
	graph, arm surface
}

// New checks the configuration and makes no request.
func New(c Config) (*Client, error) {
	if c.Credential == nil {
		return nil, errors.New("a client needs a credential")
	}
	if c.Endpoints == (Endpoints{}) {
		c.Endpoints = Public()
	}
	if c.Authority != "" {
		if _, err := parseBase(c.Authority); err != nil {
			return nil, fmt.Errorf("authority: %w", err)
		}
	}
	graph, err := newSurface("microsoft graph", c.Graph, c.GraphAudience)
	if err != nil {
		return nil, err
	}
	arm, err := newSurface("resource manager", c.ResourceManager, c.ResourceManagerAudience)
	if err != nil {
		return nil, err
	}
	return &Client{
		endpoints:  c.Endpoints,
		tenantID:   c.TenantID,
		credential: c.Credential,
		transport:  newTransport(c.HTTP, c.UserAgent, c.Clock),
		graph:      graph,
		arm:        arm,
	}, nil
}

// Endpoints returns where the client's wires are.
func (c *Client) Endpoints() Endpoints { return c.endpoints }

// TenantID returns the configured tenant.
func (c *Client) TenantID() string { return c.tenantID }

// call is one request to a surface.
type call struct {
	method string
	path   path
	in     any    // encoded as JSON unless nil
	out    any    // decoded from JSON unless nil
	prefer string // Prefer header (RFC 7240)
	async  bool   // 202 is a success too
}

// do makes a call. Success is 200, 201 or 204, as the method has it.
func (c *Client) do(ctx context.Context, s surface, k call) (answer, error) {
	u, err := s.url(k.path)
	if err != nil {
		return answer{}, err
	}
	return c.exchange(ctx, s, u, k)
}

// exchange is do for a URL, which may be one that a server gave.
func (c *Client) exchange(ctx context.Context, s surface, u *url.URL, k call) (answer, error) {
	if !sameOrigin(u, s.base) {
		return answer{}, fmt.Errorf("%s: the server continues at %q, and a token is sent to %q only", s.name, u.Redacted(), s.base)
	}
	r := request{method: k.method, url: u, header: http.Header{}, repeatable: k.method != http.MethodPost}
	if k.in != nil {
		body, err := json.Marshal(k.in)
		if err != nil {
			return answer{}, fmt.Errorf("%s: encoding %s %s: %w", s.name, k.method, u.EscapedPath(), err)
		}
		r.body = body
		r.header.Set("Content-Type", "application/json")
	}
	if k.prefer != "" {
		r.header.Set("Prefer", k.prefer)
	}
	token, err := c.credential.Token(ctx, s.scope)
	if err != nil {
		return answer{}, err
	}
	if token.AccessToken == "" {
		return answer{}, fmt.Errorf("%s: the credential gave an empty token", s.name)
	}
	r.header.Set("Authorization", "Bearer "+token.AccessToken)
	a, err := c.send(ctx, r)
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", s.name, err)
	}
	if !slices.Contains(successes[k.method], a.status) && !(k.async && a.status == http.StatusAccepted) {
		return a, newError(k.method, u.EscapedPath(), a)
	}
	if k.out == nil || a.status == http.StatusAccepted {
		return a, nil
	}
	if err := json.Unmarshal(a.body, k.out); err != nil {
		return a, fmt.Errorf("%s: decoding the answer of %s %s: %w", s.name, k.method, u.EscapedPath(), err)
	}
	return a, nil
}

// successes are the statuses that the two APIs document for a finished write or read.
var successes = map[string][]int{
	http.MethodGet:    {http.StatusOK},
	http.MethodPut:    {http.StatusOK, http.StatusCreated},
	http.MethodPost:   {http.StatusOK, http.StatusCreated, http.StatusNoContent},
	http.MethodPatch:  {http.StatusOK, http.StatusCreated, http.StatusNoContent},
	http.MethodDelete: {http.StatusOK, http.StatusNoContent},
}

// get, put, patch, post and remove are do for what most methods need.

func get[T any](ctx context.Context, c *Client, s surface, p path) (out T, err error) {
	_, err = c.do(ctx, s, call{method: http.MethodGet, path: p, out: &out})
	return out, err
}

func put[T any](ctx context.Context, c *Client, p path, in any) (out T, created bool, err error) {
	a, err := c.do(ctx, c.arm, call{method: http.MethodPut, path: p, in: in, out: &out})
	return out, a.status == http.StatusCreated, err
}

func patch[T any](ctx context.Context, c *Client, p path, in any) (out T, err error) {
	_, err = c.do(ctx, c.arm, call{method: http.MethodPatch, path: p, in: in, out: &out})
	return out, err
}

func post[T any](ctx context.Context, c *Client, s surface, p path, in any) (out T, err error) {
	_, err = c.do(ctx, s, call{method: http.MethodPost, path: p, in: in, out: &out})
	return out, err
}

func (c *Client) remove(ctx context.Context, s surface, p path) error {
	_, err := c.do(ctx, s, call{method: http.MethodDelete, path: p})
	return err
}
