// Package hosted publishes the issuers of clusters that cannot, or should not,
// publish their own: for each a discovery document and a key set, in the shape
// that kube-apiserver gives them, so that whatever trusts a cluster by its
// issuer's URL works alike.
//
// It is a surface of its own because it is the one that is for the whole world:
// nobody signs in, nothing can be changed, and its paths are fixed by what
// OpenID Connect Discovery appends to an issuer. The keys come from the
// directory with each request. What is published is therefore what assertions
// are judged by, on every replica and at every moment.
package hosted

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/entente-id/entente/internal/directory"
)

// Config is what a Surface is made of. Directory is required.
type Config struct {
	Directory *directory.Directory

	Note func(context.Context, ...slog.Attr) // adds to the request's one event; nil: nothing
	Log  *slog.Logger                        // nil: slog.Default()
}

// Surface is the handler of all paths that begin with /oic.
type Surface struct{ config Config }

// New makes a Surface.
func New(c Config) *Surface {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return &Surface{c}
}

// Route is one operation of the surface.
type Route struct{ Method, Pattern string }

// The documents, by their paths below an issuer.
const (
	discoveryPath = ".well-known/openid-configuration" // OpenID Connect Discovery 1.0 section 4
	keysPath      = "openid/v1/jwks"                   // kube-apiserver's place for it
)

// patterns are the paths of the documents, with slashes as they should be.
var patterns = map[string]func(directory.Issuer) (document, error){
	"/oic/{tenant}/{cluster}/" + discoveryPath: discovery,
	"/oic/{tenant}/{cluster}/" + keysPath:      keys,
}

// Routes lists all operations; the surface dispatches from the same list.
func (s *Surface) Routes() []Route {
	var all []Route
	for pattern := range patterns {
		for _, method := range methods {
			all = append(all, Route{method, pattern})
		}
	}
	return all
}

var methods = []string{http.MethodGet, http.MethodHead}

// ServeHTTP answers every request, also for what there is not, in JSON.
func (s *Surface) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer func() {
		if v := recover(); v != nil {
			s.config.Log.ErrorContext(r.Context(), "panic in a request", "panic", v, "stack", string(debug.Stack()))
			refuse(w, http.StatusInternalServerError, "InternalServerError", "the server has failed; its log says more")
		}
	}()
	w.Header().Set("X-Content-Type-Options", "nosniff")

	// 1. Which document of which cluster.
	pattern, tenant, cluster := find(r.URL.EscapedPath())
	if pattern == "" {
		refuse(w, http.StatusNotFound, "NotFound", "no document of an issuer has this path")
		return
	}
	if s.config.Note != nil {
		s.config.Note(r.Context(), slog.String("route", pattern))
	}

	// 2. It can be read, and nothing else.
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		refuse(w, http.StatusMethodNotAllowed, "MethodNotAllowed", "the documents of an issuer can only be read")
		return
	}

	// 3. The issuer, as it is now.
	issuer, err := s.config.Directory.HostedIssuer(r.Context(), tenant, cluster)
	if e, ok := errors.AsType[*directory.Error](err); ok && e.Kind == directory.NotFound {
		refuse(w, http.StatusNotFound, "NotFound", "no issuer is published here")
		return
	}
	var d document
	if err == nil {
		d, err = patterns[pattern](issuer)
	}
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			s.config.Log.ErrorContext(r.Context(), "read a hosted issuer", "tenant", tenant, "cluster", cluster, "error", err)
		}
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusServiceUnavailable, "ServiceUnavailable", "the issuer cannot be read now")
		return
	}

	// 4. Its document.
	d.write(w, r)
}

// TooMany answers a client that asks too often.
func (s *Surface) TooMany(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	refuse(w, http.StatusTooManyRequests, "TooManyRequests", "this client asks too often")
}

// find reads the path of a document. Slashes count once however often they
// stand, since an issuer ends in one and people put another behind it. Nothing
// else is normalised: a path that is written in another way is no document's.
func find(path string) (pattern, tenant, cluster string) {
	var segments []string
	for segment := range strings.SplitSeq(path, "/") {
		if segment != "" {
			segments = append(segments, segment)
		}
	}
	if len(segments) < 4 || !directory.IsID(segments[1]) || !directory.IsID(segments[2]) {
		return "", "", ""
	}
	tenant, cluster = segments[1], segments[2]
	segments[1], segments[2] = "{tenant}", "{cluster}"
	pattern = "/" + strings.Join(segments, "/")
	if patterns[pattern] == nil {
		return "", "", ""
	}
	return pattern, tenant, cluster
}

// document is what is sent.
type document struct {
	kind string
	text []byte
}

// cacheControl is kube-apiserver's. Whoever asks within an hour for a key that
// was not there has to ask past its own cache, as with any cluster.
const cacheControl = "public, max-age=3600"

func (d document) write(w http.ResponseWriter, r *http.Request) {
	sum := sha256.Sum256(d.text)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
	h := w.Header()
	h.Set("Cache-Control", cacheControl)
	h.Set("ETag", tag)
	if matches(r.Header.Values("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", d.kind)
	h.Set("Content-Length", strconv.Itoa(len(d.text)))
	w.Write(d.text) // of HEAD, net/http sends the headers only
}

// matches compares entity tags weakly (RFC 9110 section 13.1.2).
func matches(given []string, tag string) bool {
	for one := range strings.SplitSeq(strings.Join(given, ","), ",") {
		if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == tag {
			return true
		}
	}
	return false
}

// refuse says in JSON what is wrong.
func refuse(w http.ResponseWriter, status int, code, message string) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	type fault struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	json.NewEncoder(w).Encode(map[string]fault{"error": {code, message}})
}
