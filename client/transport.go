package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	maxAnswer    = 4 << 20          // bytes of a body, decompressed
	maxTries     = 3                // of one request
	maxWait      = 30 * time.Second // between two tries
	tryTimeout   = 60 * time.Second // of one try, answer included
	maxRedirects = 5
)

// transport sends requests within the bounds of this package. It reads statuses,
// but has no opinion on bodies.
type transport struct {
	http      *http.Client
	userAgent string
	clock     func() time.Time
	wait      func(context.Context, time.Duration) error
}

func newTransport(hc *http.Client, userAgent string, clock func() time.Time) transport {
	if clock == nil {
		clock = time.Now
	}
	return transport{http: guarded(hc), userAgent: first(userAgent, "entente"), clock: clock, wait: pause}
}

// guarded copies a client and bounds its redirects: none to another origin, and
// none that turns a write into a read, whose 200 would look like the write's.
func guarded(hc *http.Client) *http.Client {
	var c http.Client
	if hc != nil {
		c = *hc
	}
	c.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		switch {
		case !sameOrigin(r.URL, via[0].URL):
			return fmt.Errorf("redirect to another origin, %q, is not followed", r.URL.Scheme+"://"+r.URL.Host)
		case r.Method != via[0].Method:
			return fmt.Errorf("redirect that turns %s into %s is not followed", via[0].Method, r.Method)
		case len(via) > maxRedirects:
			return fmt.Errorf("more than %d redirects", maxRedirects)
		}
		return nil
	}
	return &c
}

type request struct {
	method     string
	url        *url.URL
	header     http.Header
	body       []byte
	repeatable bool // also when the last try may have been carried out
}

type answer struct {
	status     int
	header     http.Header
	body       []byte
	retryAfter time.Duration
	paced      bool // Retry-After was there
}

// send sends a request until its answer is not worth another try. It returns an
// error only when there is no answer.
func (t transport) send(ctx context.Context, r request) (answer, error) {
	if r.url.Scheme != "https" {
		return answer{}, fmt.Errorf("%q is not an https URL", r.url.Redacted())
	}
	for try := 1; ; try++ {
		a, err := t.once(ctx, r)
		if err != nil || try == maxTries || !r.again(a.status) {
			return a, err
		}
		d := a.retryAfter
		if !a.paced {
			d = time.Second << (try - 1)
			d += rand.N(d / 2) // apart from the others that were turned away
		}
		if end, ok := ctx.Deadline(); d > maxWait || ok && time.Until(end) < d {
			return a, nil
		}
		if err := t.wait(ctx, d); err != nil {
			return a, fmt.Errorf("waiting to try %s %s again after status %d: %w", r.method, r.url.EscapedPath(), a.status, err)
		}
	}
}

func (r request) again(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return true
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return r.repeatable
	}
	return false
}

func (t transport) once(ctx context.Context, r request) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	q, err := http.NewRequestWithContext(ctx, r.method, r.url.String(), body)
	if err != nil {
		return answer{}, err
	}
	for name, values := range r.header {
		q.Header[name] = values
	}
	q.Header.Set("Accept", "application/json")
	q.Header.Set("User-Agent", t.userAgent)
	s, err := t.http.Do(q)
	if err != nil {
		return answer{}, err
	}
	defer s.Body.Close()
	a := answer{status: s.StatusCode, header: s.Header}
	a.retryAfter, a.paced = retryAfter(s.Header, t.clock())
	if a.body, err = io.ReadAll(io.LimitReader(s.Body, maxAnswer+1)); err != nil {
		return answer{}, fmt.Errorf("reading the answer of %s %s: %w", r.method, r.url.EscapedPath(), err)
	}
	if len(a.body) > maxAnswer {
		return answer{}, fmt.Errorf("reading the answer of %s %s: %w", r.method, r.url.EscapedPath(), errTooLong)
	}
	return a, nil
}

var errTooLong = errors.New("it holds more than 4 MiB")

// retryAfter reads Retry-After: seconds or a date (RFC 9110 §10.2.3).
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0, false
	}
	if n, err := strconv.ParseUint(v, 10, 32); err == nil {
		return time.Duration(n) * time.Second, true
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(at.Sub(now), 0), true
	}
	return 0, false
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
