// Package graph is the Microsoft Graph surface: applications, their secrets and
// federated identity credentials, service principals and app role assignments,
// as https://learn.microsoft.com/graph/api/overview describes them.
//
// It decides nothing. What an operation means, who may do it and what is
// written down about it are internal/directory's; this room turns a request
// into one call of it and the result into Graph's words. That is why a handler
// is three lines, and why decoding, identity, errors and encoding exist once:
// a check that every route repeats is a check that one route forgets.
//
// What a client sends and this server cannot keep is refused and not dropped,
// so that nobody believes to have set what is not there.
package graph

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/directory"
)

// Config is what the surface needs. Directory, Caller, Base and Seal are required.
type Config struct {
	Directory *directory.Directory
	// Caller says who sent a request. An error that is no *directory.Error of
	// the kind Unauthenticated is an error of the server.
	Caller func(*http.Request) (directory.Caller, error)
	// Base is "https://host[:port]" of the configured name that was asked.
	Base func(*http.Request) string
	// Seal keeps page tokens from being forged. Replicas need the same one.
	Seal Sealer
	// Note adds to the request's event; nil means that nobody listens.
	Note func(context.Context, ...slog.Attr)
	// Log takes what no client is told; nil means slog.Default().
	Log *slog.Logger
}

// Surface is the handler of everything under /v1.0 and /beta.
type Surface struct {
	Config
}

// New makes the surface.
func New(c Config) *Surface {
	if c.Note == nil {
		c.Note = func(context.Context, ...slog.Attr) {}
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return &Surface{Config: c}
}

// call is one request on its way: what is known when its handler runs.
type call struct {
	context.Context
	*Surface
	w http.ResponseWriter
	r *http.Request

	route   *route
	version string             // v1.0 or beta
	base    string             // https://host
	keys    map[string]segment // the parameters of the path
	ref     directory.Ref      // the application or service principal that the path names
	caller  directory.Caller
	options options
	tenant  directory.Tenant // the caller's
}

// answer is what a handler returns. Status 0 means 200. A nil body means none,
// a string is sent as text, everything else as JSON.
type answer struct {
	status   int
	location string
	body     any
}

// ServeHTTP answers one request. Whatever happens, the answer is Graph's: its
// clients crash on an error that is not JSON with a code.
func (s *Surface) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-cache")
	if w.Header().Get(requestID) == "" {
		w.Header().Set(requestID, uuid.NewString())
	}
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			panic(p)
		default:
			s.refuse(w, r, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	a, err := s.serve(w, r)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	s.send(w, r, a)
}

// serve is the order of every request: which route, who, what is asked for, do it.
func (s *Surface) serve(w http.ResponseWriter, r *http.Request) (answer, error) {
	c := &call{Context: r.Context(), Surface: s, w: w, r: r, base: s.Base(r)}
	if err := c.find(); err != nil {
		return answer{}, err
	}
	s.Note(c, slog.String("action", c.route.Action))
	var err error
	if c.caller, err = s.Caller(r); err != nil {
		return answer{}, err
	}
	if c.tenant, err = s.Directory.LookupTenant(c, c.caller.TenantID); err != nil {
		return answer{}, err
	}
	if c.options, err = parseOptions(r.URL.RawQuery, c.route.options); err != nil {
		return answer{}, err
	}
	if c.ref, err = c.named(); err != nil {
		return answer{}, err
	}
	return c.route.do(c)
}

const (
	requestID       = "Request-Id"
	clientRequestID = "Client-Request-Id"
	jsonType        = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
)

// send writes an answer. It is encoded before the first header, so that what
// cannot be encoded is an error and not half an answer.
func (s *Surface) send(w http.ResponseWriter, r *http.Request, a answer) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	var data []byte
	switch body := a.body.(type) {
	case nil:
	case string:
		data = []byte(body)
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Odata-Version", "4.0")
	default:
		var err error
		if data, err = encode(body); err != nil {
			s.refuse(w, r, fmt.Errorf("encode the answer: %w", err))
			return
		}
		w.Header().Set("Content-Type", jsonType)
		w.Header().Set("Odata-Version", "4.0")
	}
	if a.location != "" {
		w.Header().Set("Location", a.location)
	}
	w.WriteHeader(a.status)
	w.Write(data)
}

// one is the answer that shows an object of a set, or what $select names of it.
func (c *call) one(set string, o object, err error) (answer, error) {
	if err == nil {
		err = c.checkSelect(o.names())
	}
	if err != nil {
		return answer{}, err
	}
	if len(c.options.selected) > 0 {
		set, o = set+c.projection(), o.only(c.options.selected)
	}
	return answer{body: append(object{{"@odata.context", c.context(set + "/$entity")}}, o...)}, nil
}

// created is the answer to a write that made an object of a set.
func (c *call) created(set string, o object, location string, err error) (answer, error) {
	a, err := c.one(set, o, err)
	a.status, a.location = http.StatusCreated, c.base+"/v2/"+c.tenant.ID+"/"+location
	return a, err
}

// noContent is the answer to a write that changed or removed something.
func noContent(err error) (answer, error) { return answer{status: http.StatusNoContent}, err }

func (c *call) context(fragment string) string {
	return c.base + "/" + c.version + "/$metadata#" + fragment
}

func (s *Surface) now() time.Time {
	if s.Directory.Clock != nil {
		return s.Directory.Clock().UTC()
	}
	return time.Now().UTC()
}
