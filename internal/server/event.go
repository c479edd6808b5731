package server

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// event is the one structured log line of a request. Whoever serves the
// request adds to it with note; it holds ids and reasons, never a token.
type event struct {
	id      string
	surface string
	address string

	mu    sync.Mutex
	attrs []slog.Attr
}

type eventKey struct{}

// note adds to the event of the request that ctx belongs to.
func note(ctx context.Context, attrs ...slog.Attr) {
	if e, ok := ctx.Value(eventKey{}).(*event); ok {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.attrs = append(e.attrs, attrs...)
	}
}

// requestID returns the id of the request that ctx belongs to.
func requestID(ctx context.Context) string {
	if e, ok := ctx.Value(eventKey{}).(*event); ok {
		return e.id
	}
	return ""
}

// addressIn returns the client address of the request that ctx belongs to.
func addressIn(ctx context.Context) string {
	if e, ok := ctx.Value(eventKey{}).(*event); ok {
		return e.address
	}
	return ""
}

// answer counts what is sent.
type answer struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	n, err := a.ResponseWriter.Write(p)
	a.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController through.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// longest is how many bytes of anything that strangers choose a log line holds:
// no issuer or subject that is trusted is longer.
const longest = 600

func clip(s string) string {
	if len(s) > longest {
		return strings.ToValidUTF8(s[:longest], "") + "…"
	}
	return s
}

// observed runs a request with its id, its event and its metrics.
func (s *Service) observed(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	e := &event{id: uuid.NewString(), surface: s.surfaceOf(r), address: s.addressOf(r)}
	r = r.WithContext(context.WithValue(r.Context(), eventKey{}, e))
	h := w.Header()
	h.Set("X-Ms-Request-Id", e.id)
	h.Set("Request-Id", e.id)
	if !isLoopback(hostname(r)) { // whose other ports are other people's
		h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	}
	h.Set("X-Content-Type-Options", "nosniff")
	if id := r.Header.Get("Client-Request-Id"); uuid.Validate(id) == nil && strings.EqualFold(r.Header.Get("Return-Client-Request-Id"), "true") {
		h.Set("Client-Request-Id", id)
	}
	a := &answer{ResponseWriter: w}
	s.metrics.inFlight.Inc()
	defer func() {
		s.metrics.inFlight.Dec()
		took := time.Since(started)
		s.metrics.request(e.surface, r.Method, a.status, took)
		s.log.LogAttrs(r.Context(), slog.LevelInfo, "request", append([]slog.Attr{
			slog.String("id", e.id), slog.String("surface", e.surface), slog.String("method", clip(r.Method)), slog.String("path", clip(r.URL.Path)),
			slog.Int("status", a.status), slog.Int64("bytes", a.bytes), slog.Float64("took_ms", float64(took.Microseconds())/1000), slog.String("address", e.address),
		}, e.attrs...)...)
	}()
	s.dispatch(a, r, e.surface)
}

// addressOf is the client's address: the peer's, or, when the peer is a
// trusted proxy, the last one in X-Forwarded-For that is not.
func (s *Service) addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	peer, err := netip.ParseAddr(host)
	if err != nil || !s.trusted(peer) {
		return host
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break // what stands before a value that nobody can read is not to be trusted either
		}
		peer = hop.Unmap()
		if !s.trusted(peer) {
			break
		}
	}
	return peer.String()
}

func (s *Service) trusted(a netip.Addr) bool {
	for _, prefix := range s.config.TrustedProxies {
		if prefix.Contains(a.Unmap()) {
			return true
		}
	}
	return false
}
