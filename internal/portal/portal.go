// Package portal is the web pages: what Graph, Resource Manager and the command
// line do, for a person with a browser.
//
// Every page is a template that the server fills in, so that all of it works
// without JavaScript; the one script only saves people typing. The pages decide
// nothing: a person signs in as the caller that a session stands for, every
// right and rule is the directory's, and what a page does not offer is refused
// by the directory as well. One function, call in call.go, owns the phases of a
// request, so that no page can forget one.
package portal

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/exchange"
	"github.com/entente-id/entente/internal/issuer"
	"github.com/entente-id/entente/internal/keys"
	"github.com/entente-id/entente/internal/signin"
)

// Path is where the portal begins.
const Path = "/portal"

// Config is what a Surface is made of. All but Provider, Note, Log, Clock and
// Version are required.
type Config struct {
	Directory *directory.Directory
	Exchange  *exchange.Exchange
	Issuers   *issuer.Verifier
	Keys      *keys.Ring
	SignIns   *signin.Recorder
	// Rotate publishes the caller's tenant's next signing key, with its audit event.
	Rotate func(context.Context, directory.Caller) error
	// CheckKeySet judges a key set before it is stored.
	CheckKeySet func([]byte) error
	// Refusal is how the token endpoint tells a refusal: the AADSTS number and the text behind it.
	Refusal func(*exchange.Error) (code int, text string)
	// URL is the canonical URL of the service, "https://host[:port]". Pages that
	// show commands name it.
	URL string
	// IssuerAllow are the issuers that may have private addresses.
	IssuerAllow []string
	// Tenant is the id of the tenant that a provider's people sign in to.
	Tenant string
	// Provider is where people sign in besides by a one-time link; nil: nowhere.
	Provider *Provider
	// Seal seals the state of a sign-in at the provider. Replicas need the same one.
	Seal keys.Sealer
	// Address and RequestID are those of the request that a context belongs to.
	Address, RequestID func(context.Context) string

	Note    func(context.Context, ...slog.Attr) // adds to the request's one event; nil: nothing
	Log     *slog.Logger                        // nil: slog.Default()
	Clock   func() time.Time                    // nil: time.Now
	Version string
}

// Surface is the handler of all paths that begin with Path.
type Surface struct {
	Config
	upstream  *upstream
	templates *templates
	mux       *http.ServeMux
	guard     *http.CrossOriginProtection
	inquiries inquiries
}

// New makes a Surface.
func New(c Config) *Surface {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Note == nil {
		c.Note = func(context.Context, ...slog.Attr) {}
	}
	s := &Surface{Config: c, mux: http.NewServeMux(), guard: http.NewCrossOriginProtection()}
	s.templates = loadTemplates(s.functions())
	if c.Provider != nil {
		s.upstream = newUpstream(*c.Provider, c.URL+callbackPath, c.Seal, c.Clock)
	}
	s.mux.HandleFunc("GET "+assetsPath+"/{hash}/{name}", serveAsset)
	for _, r := range routes() {
		s.mux.HandleFunc(r.pattern, s.serve(r))
	}
	for _, elsewhere := range []string{Path, Path + "/"} {
		s.mux.HandleFunc(elsewhere, s.serve(route{pattern: elsewhere, handle: (*call).nowhere}))
	}
	return s
}

// Route is an operation. Open ones ask for no session.
type Route struct {
	Method, Pattern string // the pattern's wildcards are http.ServeMux's
	Open            bool
}

// Routes lists all operations; the surface dispatches from the same list.
func (s *Surface) Routes() []Route {
	all := []Route{{http.MethodGet, assetsPath + "/{hash}/{name}", true}}
	for _, r := range routes() {
		method, pattern, _ := strings.Cut(r.pattern, " ")
		all = append(all, Route{method, pattern, r.open})
	}
	return all
}

// route is a page, or what a page's form is sent to.
type route struct {
	pattern string // of http.ServeMux
	handle  func(*call) error
	open    bool // also for those who have not signed in
}

// routes are all pages. Each file of pages has its own part of the table.
func routes() []route {
	var all []route
	for _, part := range [][]route{
		homePages, sessionPages, settingsPages, rolePages,
		applicationPages, secretPages, certificatePages, groupPages, identityPages,
		credentialPages,
		tokenTestPages, signInsPages, auditPages,
		clusterPages, issuerPages, signingKeyPages,
	} {
		all = append(all, part...)
	}
	return all
}

func (s *Surface) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protect(w.Header())
	s.mux.ServeHTTP(w, r)
}

// nowhere is what no route is for.
func (c *call) nowhere() error {
	var allow []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
		r := *c.r
		r.Method = method
		if _, pattern := c.mux.Handler(&r); strings.Contains(pattern, " ") {
			allow = append(allow, method)
		}
	}
	if len(allow) == 0 {
		return errNoPage
	}
	c.w.Header().Set("Allow", strings.Join(allow, ", "))
	return errNoMethod
}

// protect sets what holds for every answer: nothing from elsewhere, nothing
// inline, in no frame, in no cache (https://www.w3.org/TR/CSP3/).
func protect(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
	h.Set("Cache-Control", "no-store")
}
