// Package token is the wire of the token endpoint: OAuth 2.0 as Microsoft
// Entra speaks it, discovery, published keys, and every refusal as an AADSTS code.
//
// It decides nothing: it reads a request strictly, hands it to the exchange,
// and writes what came of it. All errors, its own and the exchange's, are one
// type with one table (aadsts.go) and one writer, because clients and their
// users know this service by the codes that it answers with.
package token

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/exchange"
	"github.com/entente-id/entente/internal/keys"
)

// Host is a name under which the service was asked.
type Host struct {
	Base   string // https://host[:port]
	Tenant string // of the paths that name none, by id or domain; empty: the directory's default
}

// Config is what a Surface works with. The first three are required; the zero
// value of the others is the documented default.
type Config struct {
	Exchange  *exchange.Exchange
	Keys      *keys.Ring
	Directory *directory.Directory
	// Host returns the configured name that a request is for, the canonical one
	// when it is for a foreign name; nil: IssuerURL, always.
	Host      func(*http.Request) Host
	IssuerURL string
	// Record is told once about every request to the token endpoint; code is
	// the AADSTS number, 0 for a token. nil: nobody is.
	Record func(ctx context.Context, o exchange.Outcome, code int, err error)
	// Note adds to the one event of a request; nil: nothing does.
	Note  func(ctx context.Context, attrs ...slog.Attr)
	Log   *slog.Logger     // nil: slog.Default()
	Clock func() time.Time // nil: time.Now
}

// Surface is the handler of the token endpoint and what belongs to it.
type Surface struct {
	config Config
	routes []route
}

// New makes a Surface.
func New(c Config) *Surface {
	if c.Host == nil {
		c.Host = func(*http.Request) Host { return Host{Base: c.IssuerURL} }
	}
	if c.Record == nil {
		c.Record = func(context.Context, exchange.Outcome, int, error) {}
	}
	if c.Note == nil {
		c.Note = func(context.Context, ...slog.Attr) {}
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	s := &Surface{config: c}
	s.routes = s.table()
	return s
}

// Route is one path of the surface.
type Route struct {
	Method  string
	Pattern string // {tenant} stands for one segment
	Action  string // what is done there
}

// dialect is which form of a request or document a path stands for.
type dialect int

const (
	v2     dialect = iota // requests name a scope
	v1                    // the older one: requests name a resource
	either                // ADFS: v1 if a request names a resource, else v2
)

// target is what a path says.
type target struct {
	tenant  string // empty: the host's
	dialect dialect
}

// route is a Route with its handler.
type route struct {
	Route
	segments []string
	dialect  dialect
	handle   func(http.ResponseWriter, *http.Request, target) error
}

// table is every route. The first that fits a path is taken.
func (s *Surface) table() []route {
	const metadata = "/.well-known/openid-configuration"
	all := []route{
		{Route{"POST", "/adfs/oauth2/token", "token"}, nil, either, s.token},
		{Route{"POST", "/adfs/{tenant}/adfs/oauth2/token", "token"}, nil, either, s.token},
		{Route{"POST", "/{tenant}/oauth2/v2.0/token", "token"}, nil, v2, s.token},
		{Route{"POST", "/{tenant}/oauth2/token", "token"}, nil, v1, s.token},
		{Route{"GET", "/adfs" + metadata, "metadata"}, nil, v2, s.metadata},
		{Route{"GET", "/adfs/{tenant}/adfs" + metadata, "metadata"}, nil, v2, s.metadata},
		{Route{"GET", "/{tenant}/v2.0" + metadata, "metadata"}, nil, v2, s.metadata},
		{Route{"GET", "/{tenant}" + metadata, "metadata"}, nil, v1, s.metadata},
		{Route{"GET", "/{tenant}/discovery/v2.0/keys", "keys"}, nil, v2, s.published},
		{Route{"GET", "/{tenant}/discovery/keys", "keys"}, nil, v1, s.published},
		{Route{"GET", "/common/discovery/instance", "instance"}, nil, v2, s.instance},
		{Route{"GET", "/.well-known/webfinger", "webfinger"}, nil, v2, s.webfinger},
	}
	for i := range all {
		all[i].segments = split(all[i].Pattern)
	}
	return all
}

// Routes lists the routes in the order in which they are tried.
func (s *Surface) Routes() []Route {
	var list []Route
	for _, r := range s.routes {
		list = append(list, r.Route)
	}
	return list
}

// split cuts a path into segments. Doubled slashes and one at the end say
// nothing, because clients write them (a base URL that ends in a slash), and
// are never redirected, because a redirected POST is lost.
func split(path string) []string {
	return strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
}

// fit says whether a path has the form of a route, and what it says. Case does not matter in it.
func (r route) fit(path []string) (t target, ok bool) {
	if len(path) != len(r.segments) {
		return t, false
	}
	t.dialect = r.dialect
	for i, segment := range r.segments {
		if segment == "{tenant}" {
			t.tenant = path[i]
		} else if !strings.EqualFold(segment, path[i]) {
			return t, false
		}
	}
	return t, true
}

// noTenant are the segments that name no tenant in particular. With adfs,
// clients do not ask Microsoft whether they may trust an authority.
var noTenant = []string{"adfs", "common", "organizations"}

// ServeHTTP answers one request.
func (s *Surface) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			s.config.Log.ErrorContext(r.Context(), "panic in the token surface", "panic", p, "stack", string(debug.Stack()))
			s.refuse(w, r, &exchange.Error{Reason: broken})
		}
	}()
	if err := s.serve(w, r); err != nil {
		s.config.Note(r.Context(), slog.Int("code", s.refuse(w, r, err)))
	}
}

func (s *Surface) serve(w http.ResponseWriter, r *http.Request) error {
	path := split(r.URL.Path)
	for _, route := range s.routes {
		t, ok := route.fit(path)
		if !ok {
			continue
		}
		if r.Method != route.Method && (r.Method != http.MethodHead || route.Method != http.MethodGet) {
			w.Header().Set("Allow", route.Method)
			return &exchange.Error{Reason: methodRefused, Parameter: route.Method, Given: r.Method}
		}
		return route.handle(w, r, t)
	}
	return &exchange.Error{Reason: routeUnknown}
}

// tenantOf names the tenant that a path means.
func (s *Surface) tenantOf(r *http.Request, t target) (string, error) {
	if t.tenant != "" && !slices.Contains(noTenant, strings.ToLower(t.tenant)) {
		return t.tenant, nil
	}
	if host := s.config.Host(r); host.Tenant != "" {
		return host.Tenant, nil
	}
	tenant, err := s.config.Directory.DefaultTenant(r.Context())
	if err != nil {
		return "", fmt.Errorf("look up the default tenant: %w", err)
	}
	return tenant.ID, nil
}

// write sends a JSON document.
func (s *Surface) write(w http.ResponseWriter, r *http.Request, status int, document any) {
	body, err := json.Marshal(document)
	if err != nil {
		panic(err) // strings, numbers and lists of them always encode
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	if _, err := w.Write(body); err != nil {
		s.config.Log.DebugContext(r.Context(), "write answer", "error", err)
	}
}

// traceID is the id that the server gave to the request.
func traceID(w http.ResponseWriter) string {
	if id := w.Header().Get("Request-Id"); id != "" {
		return id
	}
	id := uuid.NewString()
	w.Header().Set("X-Ms-Request-Id", id)
	w.Header().Set("Request-Id", id)
	return id
}

// correlationID is the id that the client gave to the request, or a new one.
// Only GUIDs are taken, so that it can be repeated.
func correlationID(r *http.Request) string {
	for _, id := range []string{r.Header.Get("Client-Request-Id"), r.Header.Get("X-Ms-Client-Request-Id"), r.PostForm.Get("client-request-id")} {
		if directory.IsID(id) {
			return strings.ToLower(id)
		}
	}
	return uuid.NewString()
}

// TooMany refuses a request that comes from a client which sends too many.
func (s *Surface) TooMany(w http.ResponseWriter, r *http.Request) {
	err := &exchange.Error{Reason: exchange.Overloaded, RetryAfter: time.Second}
	s.config.Record(r.Context(), exchange.Outcome{}, s.refuse(w, r, err), err)
}
