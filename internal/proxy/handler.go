package proxy

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"
)

// Proxy answers requests for tokens. Make one with New.
type Proxy struct {
	config  Config
	tokens  *Tokens
	source  *Source
	forward http.Handler // nil: nothing is handed to the node
	log     *slog.Logger
	clock   func() time.Time
}

// Options are what New takes beside the configuration. Zero values are good.
type Options struct {
	// Forward is where requests below /metadata that are not for tokens go, such as
	// http://169.254.169.254; nil: they are answered with 404.
	Forward *url.URL
	// Client sends the requests for tokens; nil: one that trusts the public roots and
	// Config.CAFile, within bounds.
	Client *http.Client
	Log    *slog.Logger     // nil: none
	Clock  func() time.Time // nil: time.Now
}

// New makes a proxy and sends nothing.
func New(c Config, o Options) *Proxy {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if c.Authority == "" {
		c.Authority = PublicAuthority
	}
	p := &Proxy{config: c, log: o.Log, clock: o.Clock}
	p.source = &Source{Config: c, Client: o.Client, Clock: o.Clock, Log: o.Log}
	p.tokens = &Tokens{Exchange: p.source.Exchange, Changed: p.source.changed, Clock: o.Clock, Log: o.Log}
	if o.Forward != nil {
		p.forward = forwarder(o.Forward, o.Log)
	}
	return p
}

// Run renews tokens that are in use before they end, until ctx does.
func (p *Proxy) Run(ctx context.Context) { p.tokens.Run(ctx) }

// ServeHTTP judges a request before anything else, then finds who it is for.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	to := find(rawPath(r))
	if bad := guard(r); bad != nil {
		p.refuse(w, r, bad)
		return
	}
	switch to {
	case toSite:
		p.site(w, r)
	case toIMDS:
		p.imds(w, r)
	case toReady:
		p.ready(w)
	case toNode:
		p.node(w, r)
	default:
		p.refuse(w, r, &refusal{status: http.StatusNotFound, code: "not_found", description: "there is nothing at this path; tokens are at " + sitePath + " and /metadata" + imdsPath})
	}
}

// imds is the protocol of virtual machines. SDKs look for it with a request that
// has no Metadata header, and take any answer as a yes.
func (p *Proxy) imds(w http.ResponseWriter, r *http.Request) {
	if bad := metadataHeader(r); bad != nil {
		p.refuse(w, r, bad)
		return
	}
	p.token(w, r, imds)
}

func metadataHeader(r *http.Request) *refusal {
	if v := r.Header["Metadata"]; len(v) != 1 || v[0] != "true" {
		return &refusal{status: http.StatusBadRequest, code: "bad_request_102", description: "Required metadata header not specified"}
	}
	return nil
}

// site is the protocol of App Service. Its first version, which old az speaks, had
// the secret in another header.
func (p *Proxy) site(w http.ResponseWriter, r *http.Request) {
	protocol, header := site, "X-Identity-Header"
	if _, there := r.Header["Secret"]; there && len(r.Header[header]) == 0 {
		protocol, header = site2017, "Secret"
	}
	switch {
	case p.config.Secret == "":
		p.refuse(w, r, badRequest("this endpoint is off, because IDENTITY_HEADER is not set here"))
	case len(r.Header[header]) != 1 || !secretMatches(r.Header.Get(header), p.config.Secret):
		p.refuse(w, r, &refusal{status: http.StatusUnauthorized, code: "unauthorized", description: "the header X-IDENTITY-HEADER has to hold the value of the environment variable IDENTITY_HEADER"})
	default:
		p.token(w, r, protocol)
	}
}

// token is what both protocols have in common.
func (p *Proxy) token(w http.ResponseWriter, r *http.Request, as protocol) {
	query, bad := parameters(r)
	if bad != nil {
		p.refuse(w, r, bad)
		return
	}
	resource, bad := resourceOf(query)
	if bad != nil {
		p.refuse(w, r, bad)
		return
	}
	clientID, bad := p.config.choose(query)
	if bad != nil {
		p.refuse(w, r, bad)
		return
	}
	g, bad := p.tokens.Get(r.Context(), clientID, resource)
	if bad != nil {
		p.refuse(w, r, bad)
		return
	}
	g.write(w, as, p.clock())
}

// ready says whether the proxy can do its part: whether there is a service account
// token to exchange. Whether the authority answers is no part of it, or a pod
// could not start, and one that serves from its caches would be taken out, while
// the authority is down.
func (p *Proxy) ready(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if _, err := p.source.assertion(); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, err.Error()+"\n")
		return
	}
	io.WriteString(w, "ok")
}

func (p *Proxy) node(w http.ResponseWriter, r *http.Request) {
	if p.forward == nil {
		p.refuse(w, r, &refusal{status: http.StatusNotFound, code: "not_found", description: "only tokens are served here; --forward-metadata URL hands other requests to the node's metadata service"})
		return
	}
	if bad := metadataHeader(r); bad != nil {
		p.refuse(w, r, bad)
		return
	}
	p.forward.ServeHTTP(w, r)
}

func (p *Proxy) refuse(w http.ResponseWriter, r *http.Request, bad *refusal) {
	level := slog.LevelWarn
	if bad.code == "bad_request_102" || bad.status == http.StatusNotFound {
		level = slog.LevelDebug // SDKs looking around
	}
	p.log.Log(r.Context(), level, "refused", "method", r.Method, "path", cut(rawPath(r), 200), "status", bad.status, "error", bad.code, "reason", cut(bad.description, 1000))
	if bad.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", http.MethodGet)
	}
	bad.write(w)
}

func cut(s string, limit int) string {
	if len(s) > limit {
		return s[:limit] + "…"
	}
	return s
}
