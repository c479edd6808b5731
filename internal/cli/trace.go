package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// trace writes a line for each request: what was asked, how it ended, how long it took
// and what the server calls it. Bodies and headers have tokens and secrets in them, and
// are left alone.
type trace struct {
	mu  sync.Mutex
	out io.Writer
}

func (t *trace) line(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, format+"\n", args...)
}

// traced is a transport whose requests are traced where their context says so.
type traced struct{ base http.RoundTripper }

func (t traced) RoundTrip(r *http.Request) (*http.Response, error) {
	m := mannersOf(r.Context())
	if m.trace == nil {
		return t.base.RoundTrip(r)
	}
	began := time.Now()
	s, err := t.base.RoundTrip(r)
	took := time.Since(began).Round(time.Millisecond)
	if err != nil {
		m.trace.line("%s %s: %v (%s)", r.Method, shownURL(r.URL), err, took)
		return s, err
	}
	id := ""
	for _, name := range []string{"X-Ms-Request-Id", "Request-Id", "Client-Request-Id", "Audit-Id"} {
		id = cmp.Or(id, s.Header.Get(name))
	}
	if id != "" {
		id = ", request " + visible(id[:min(len(id), 200)])
	}
	m.trace.line("%s %s: %d (%s%s)", r.Method, shownURL(r.URL), s.StatusCode, took, id)
	return s, nil
}

// CloseIdleConnections is what http.Client looks for.
func (t traced) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// known are the parameters whose values may be shown, because they select what is read.
var known = map[string]bool{"api-version": true, "$filter": true, "$select": true, "$top": true, "$skiptoken": true, "$skipToken": true, "$expand": true, "$count": true, "$orderby": true, "resource": true, "scope": true}

// shownURL is a URL without what may be a secret in it.
func shownURL(u *url.URL) string {
	c := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	text := c.String()
	if u.RawQuery == "" {
		return text
	}
	parts := strings.Split(u.RawQuery, "&")
	for i, p := range parts {
		name, value, _ := strings.Cut(p, "=")
		if decoded, err := url.QueryUnescape(name); err == nil {
			name = decoded
		}
		if decoded, err := url.QueryUnescape(value); err == nil {
			value = decoded
		}
		if !known[name] {
			value = "…"
		}
		parts[i] = visible(name) + "=" + visible(value)
	}
	return text + "?" + strings.Join(parts, "&")
}

// tracedClient is a client whose requests are traced.
func tracedClient(base http.RoundTripper) *http.Client {
	return &http.Client{Transport: traced{base}}
}

// fetched traces what an issuer was asked, which goes another way.
func fetched(ctx context.Context, url string, took time.Duration, err error) {
	m := mannersOf(ctx)
	if m.trace == nil {
		return
	}
	how := "read"
	if err != nil {
		how = err.Error()
	}
	m.trace.line("GET %s and its keys: %s (%s)", url, how, took.Round(time.Millisecond))
}
