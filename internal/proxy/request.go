package proxy

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

const (
	sitePath    = "/msi/token"
	imdsPath    = "/identity/oauth2/token" // after the first segment
	readyPath   = "/readyz"
	maxResource = 2048
)

// guard refuses what no SDK sends and a deceived server or browser does. It looks
// at nothing that costs.
func guard(r *http.Request) *refusal {
	if r.Method != http.MethodGet {
		return &refusal{status: http.StatusMethodNotAllowed, code: "invalid_request", description: "tokens are asked for with GET"}
	}
	if !strings.HasPrefix(r.RequestURI, "/") {
		return badRequest("this is no proxy for other hosts")
	}
	if !ownHost(r.Host) {
		return badRequest("Host is %.100q, which is neither 169.254.169.254 nor this machine", r.Host)
	}
	for _, name := range []string{"Origin", "X-Forwarded-For", "X-Forwarded-Host", "Forwarded"} {
		if _, there := r.Header[name]; there {
			return badRequest("requests with the header %s are refused: they come from a browser or through another server", name)
		}
	}
	if r.ContentLength != 0 {
		return badRequest("a request for a token has no body")
	}
	return nil
}

// ownHost tells whether a Host header names the metadata address or loopback.
// The port does not matter: what counts is that no name of somebody else's was
// made to lead here.
func ownHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(name)
	return err == nil && (address == metadataAddress || address.IsLoopback())
}

var metadataAddress = netip.AddrFrom4([4]byte{169, 254, 169, 254})

// route is where a request goes.
type route int

const (
	nowhere route = iota
	toSite
	toIMDS
	toReady
	toNode // below /metadata, but not a token: the node's metadata service would know
)

// find compares the path as it came, without decoding or cleaning it. The first
// segment /metadata is known in any case, and a slash at the end is tolerated,
// because old SDKs for Node.js and old az send one.
func find(path string) route {
	switch path {
	case sitePath, sitePath + "/":
		return toSite
	case readyPath:
		return toReady
	}
	const metadata = "/metadata"
	if len(path) <= len(metadata) || !strings.EqualFold(path[:len(metadata)], metadata) {
		return nowhere
	}
	rest := path[len(metadata):]
	if rest == imdsPath || rest == imdsPath+"/" {
		return toIMDS
	}
	if forwardable(rest) {
		return toNode
	}
	return nowhere
}

// forwardable tells whether what follows /metadata is plain enough to be handed
// on, and has nothing to do with identities.
func forwardable(path string) bool {
	for i, segment := range strings.Split(strings.TrimSuffix(path[1:], "/"), "/") {
		if segment == "" || strings.Trim(segment, ".") == "" || i == 0 && strings.EqualFold(segment, "identity") {
			return false
		}
		for _, c := range []byte(segment) {
			if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.", c) >= 0) {
				return false
			}
		}
	}
	return path[0] == '/'
}

// rawPath is the path as it stands in the request line.
func rawPath(r *http.Request) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	return path
}

// parameters reads the query. What is known may be there once; the rest is not looked at.
func parameters(r *http.Request) (url.Values, *refusal) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("the query cannot be read: %v", err)
	}
	for _, name := range append([]string{"resource", "api-version"}, selectors...) {
		if len(query[name]) > 1 {
			return nil, badRequest("%s is there more than once", name)
		}
	}
	return query, nil
}

func resourceOf(query url.Values) (string, *refusal) {
	resource := query.Get("resource")
	if resource == "" {
		return "", badRequest("the parameter resource is required: what the token is for, such as https://vault.azure.net")
	}
	bad := len(resource) > maxResource
	for _, c := range []byte(resource) {
		bad = bad || c <= ' ' || c >= 0x7f
	}
	if bad {
		return "", &refusal{status: http.StatusBadRequest, code: "invalid_resource", description: "the parameter resource is not the name of a resource"}
	}
	return resource, nil
}

// secretMatches compares what a caller sent with the secret, in a time that tells
// nothing about either.
func secretMatches(sent, secret string) bool {
	a, b := sha256.Sum256([]byte(sent)), sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
