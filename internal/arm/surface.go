// Package arm is the Azure Resource Manager surface: the wire by which `az`,
// the Azure SDKs and Terraform manage resource groups, managed identities with
// their credentials and role assignments, and by which our own tools manage
// what Azure has no wire for (the provider Entente.Federation).
//
// It translates and decides nothing: every right and rule is the directory's.
// One function owns the phases of a request, in order, so that no route can
// forget one; a handler only says which call of the directory a request is.
// Paths are matched here and not by a ServeMux, because ARM compares segments
// without case, puts a scope of any length in front of some routes, and must
// never be redirected.
package arm

import (
	"context"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/signin"
)

// Config is what a Surface is made of. Directory, SignIns, SigningKeys, Caller,
// Base and Seal are required.
type Config struct {
	Directory   *directory.Directory
	SignIns     SignIns
	SigningKeys SigningKeys

	// Caller says who is calling. A *directory.Error of kind Unauthenticated
	// becomes a 401, anything else a 500.
	Caller func(*http.Request) (directory.Caller, error)
	// Base is the configured URL that was asked, "https://host[:port]", for links in answers.
	Base func(*http.Request) string
	// Tenant is the id of the tenant that those who come without a token are
	// sent to, when they name no subscription; nil: the default tenant.
	Tenant func(*http.Request) string
	// CheckKeySet says whether an uploaded JSON Web Key Set can verify
	// anything, before it is stored; nil: no key set can be uploaded.
	CheckKeySet func([]byte) error

	// CloudName is the name of this service in the metadata that clients read;
	// empty: "Entente". az reserves "AzureCloud".
	CloudName string
	// Seal seals page tokens. Replicas need the same one.
	Seal Sealer

	Note func(context.Context, ...slog.Attr) // adds to the request's one event; nil: nothing
	Log  *slog.Logger                        // nil: slog.Default()
}

// SignIns are the records of exchanges; *signin.Recorder has them.
type SignIns interface {
	List(context.Context, signin.Query) (records []signin.Record, next string, err error)
}

// Surface is the handler of all paths that begin with /subscriptions,
// /providers, /tenants or /metadata.
type Surface struct {
	config Config
	dir    *directory.Directory
	log    *slog.Logger
	routes []route
}

// New makes a Surface.
func New(c Config) *Surface {
	s := &Surface{config: c, dir: c.Directory, log: c.Log, routes: routes()}
	if s.log == nil {
		s.log = slog.Default()
	}
	return s
}

// ServeHTTP answers every request, also what it has no route for, in ARM's own form.
func (s *Surface) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{Context: r.Context(), w: w, r: r, id: w.Header().Get("request-id")}
	if c.id == "" {
		c.id = uuid.NewString()
	}
	a, err := s.serve(c)
	if err != nil {
		refused := s.refusal(c, err)
		s.note(c, slog.String("error", refused.code))
		a = refused.answer()
	}
	c.write(a)
}

// serve is every request, phase by phase. A panic is an error like others.
func (s *Surface) serve(c *call) (a *answer, err error) {
	defer func() {
		if v := recover(); v != nil {
			s.log.ErrorContext(c, "panic in a request", "request", c.id, "panic", v, "stack", string(debug.Stack()))
			a, err = nil, errInternal
		}
	}()

	// 1. What is asked for.
	segments, err := splitPath(c.r.URL)
	if err != nil {
		return nil, err
	}
	if err := s.find(c, segments); err != nil {
		return nil, err
	}
	s.note(c, slog.String("route", c.route.Method+" "+c.route.Pattern))
	if c.query, err = parseQuery(c.r.URL.RawQuery); err != nil {
		return nil, err
	}

	// 2. In which version.
	if c.version, err = checkVersion(c.query, c.route.provider()); err != nil {
		return nil, err
	}
	if c.query["$filter"] != "" && len(c.route.filters) == 0 {
		return nil, refuse(http.StatusBadRequest, "InvalidFilter", "This list takes no $filter.")
	}

	c.base = s.config.Base(c.r)
	if c.route.anonymous {
		return c.route.handle(s, c)
	}

	// 3. By whom.
	if c.caller, err = s.config.Caller(c.r); err != nil {
		return nil, err
	}

	// 4. In which subscription: one that the caller has nothing to do with is not there.
	if id := c.args["subscription"]; id != "" {
		if !directory.IsID(id) {
			return nil, refuse(http.StatusBadRequest, "InvalidSubscriptionId", "The provided subscription identifier '%s' is malformed or invalid.", clip(id))
		}
		if c.subscription, err = s.dir.Subscription(c, c.caller, id); err != nil {
			return nil, err
		}
	}

	// 5. The operation; those that take a body read it first.
	return c.route.handle(s, c)
}

func (s *Surface) note(c *call, attrs ...slog.Attr) {
	if s.config.Note != nil {
		s.config.Note(c, attrs...)
	}
}
