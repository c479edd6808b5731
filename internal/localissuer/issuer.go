// Package localissuer is an OIDC issuer of service-account tokens on the machine's own loopback.
//
// Trust in a Kubernetes cluster comes down to two documents and one shape of token, so a federation server can be
// tried and tested without a cluster, but only if the imitation is exact: a token whose audience is a string, whose
// header carries typ, or whose key set has a trailing newline would hide the very mistakes that real clusters
// provoke. Everything here is therefore shaped as kube-apiserver shapes it, and every departure (a rotated or
// withdrawn key, a wrong claim, a hostile answer) is something the caller asked for by name.
package localissuer

import (
	"cmp"
	"crypto"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Document names one of the two documents that an issuer serves.
type Document string

// The documents, and where they lie below the issuer.
const (
	Discovery Document = "discovery" // {issuer}/.well-known/openid-configuration (OpenID Connect Discovery 1.0 §4)
	Keys      Document = "keys"      // {issuer}/openid/v1/jwks (kube-apiserver's place for its JWK Set, RFC 7517 §5)
)

const (
	discoveryPath = "/.well-known/openid-configuration"
	keysPath      = "/openid/v1/jwks"
)

// Config says what an issuer is. The zero value is an RS256 issuer whose URL is its listener's.
type Config struct {
	// URL is the issuer, as it stands in iss. Empty: "https://" and the address that Start listens on, then Path.
	URL string
	// Path is where the issuer lives on its listener, e.g. "/t1/c1/"; the slash at its end is part of the issuer.
	// Empty: the path of URL, or "/" when that is empty as well.
	Path string
	// Bare leaves out the slash that ends an issuer whose URL and Path are both empty: "https://127.0.0.1:6443",
	// the shape of a cluster that was set up by hand. AKS always has the slash.
	Bare bool
	// Algorithm signs tokens: RS256 (the default), RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512 or EdDSA.
	// kube-apiserver itself knows RS256 and the three ES.
	Algorithm string
	// Bits is the length of RSA keys; 0 means 2048.
	Bits int
	// Key is the first signing key; nil means a new one. It has to fit Algorithm.
	Key crypto.Signer
	// Clock dates tokens; nil means time.Now. The certificate of the listener follows the real clock, as its peers do.
	Clock func() time.Time
}

// Issuer signs service-account tokens and serves the documents by which they are verified.
// Its methods may be called from several goroutines.
type Issuer struct {
	config Config
	prefix string // path of the issuer without the slash at its end

	mu         sync.Mutex
	url        string
	keys       []key // oldest first; the last one signs
	faults     Faults
	nDiscovery int
	nKeys      int
	caPEM      []byte

	starting sync.Mutex // guards listener; taken before mu
	listener listener
}

// New returns an issuer with one key. It serves nothing yet: see Start and Handler.
// An unknown algorithm, a key that does not fit it, a URL that does not parse and a path without a slash at its
// beginning are errors.
func New(c Config) (*Issuer, error) {
	c.Algorithm, c.Bits = cmp.Or(c.Algorithm, string(jose.RS256)), cmp.Or(c.Bits, 2048)
	if c.Clock == nil {
		c.Clock = time.Now
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, fmt.Errorf("parse issuer: %w", err)
	}
	c.Path = cmp.Or(c.Path, u.Path)
	if c.Path == "" && !c.Bare {
		c.Path = "/"
	}
	if c.Path != "" && !strings.HasPrefix(c.Path, "/") {
		return nil, fmt.Errorf("issuer path %q does not begin with a slash", c.Path)
	}
	first, err := newKey(c)
	if err != nil {
		return nil, err
	}
	return &Issuer{config: c, prefix: strings.TrimSuffix(c.Path, "/"), url: c.URL, keys: []key{first}}, nil
}

// URL is the issuer as it stands in iss; "" before Start unless it was configured.
func (i *Issuer) URL() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.url
}

// Rotate adds a key that signs from now on; the earlier ones stay published, as a cluster publishes several
// --service-account-key-file. Tokens that were minted before stay valid until Withdraw.
func (i *Issuer) Rotate() error {
	c := i.config
	c.Key = nil
	next, err := newKey(c)
	if err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, next)
	return nil
}

// Withdraw stops publishing every key but the one that signs.
func (i *Issuer) Withdraw() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = i.keys[len(i.keys)-1:]
}

// Fetches counts the requests for each document since New, faulty answers included.
func (i *Issuer) Fetches() (discovery, keys int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.nDiscovery, i.nKeys
}

// Discovery returns the discovery document without faults: kube-apiserver's five members in its order, no newline.
// Before the URL is known its members are empty.
func (i *Issuer) Discovery() []byte { return i.document(Discovery, Faults{}) }

// JWKS returns the published keys without faults, members ordered as kube-apiserver orders them, no newline.
func (i *Issuer) JWKS() []byte { return i.document(Keys, Faults{}) }

// metadata is the minimal provider configuration that kube-apiserver serves.
type metadata struct {
	Issuer        string   `json:"issuer"`
	JWKSURI       string   `json:"jwks_uri"`
	ResponseTypes []string `json:"response_types_supported"`
	SubjectTypes  []string `json:"subject_types_supported"`
	Algorithms    []string `json:"id_token_signing_alg_values_supported"`
}

func (i *Issuer) document(d Document, f Faults) []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	if d == Keys {
		var members []string
		for _, raw := range f.ExtraKeys {
			members = append(members, string(raw))
		}
		for _, k := range i.keys {
			members = append(members, string(k.jwk))
		}
		return []byte(`{"keys":[` + strings.Join(members, ",") + "]}")
	}
	raw, err := json.Marshal(metadata{
		Issuer:        cmp.Or(f.DiscoveryIssuer, i.url),
		JWKSURI:       cmp.Or(f.JWKSURI, strings.TrimSuffix(i.url, "/")+keysPath),
		ResponseTypes: []string{"id_token"},
		SubjectTypes:  []string{"public"},
		Algorithms:    []string{i.config.Algorithm},
	})
	if err != nil {
		panic(err) // strings and lists of strings always encode
	}
	return raw
}

// Handler serves the two documents below the issuer's path, and 404 for every other path: a doubled slash, too,
// as kube-apiserver does.
func (i *Issuer) Handler() http.Handler { return handler{i} }

// handler serves several issuers, told apart by their paths.
type handler []*Issuer

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, i := range h {
		switch r.URL.Path {
		case i.prefix + discoveryPath:
			i.serve(w, r, Discovery)
			return
		case i.prefix + keysPath:
			i.serve(w, r, Keys)
			return
		}
	}
	http.NotFound(w, r)
}

func (i *Issuer) serve(w http.ResponseWriter, r *http.Request, d Document) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	contentType := "application/json"
	if d == Keys {
		contentType = "application/jwk-set+json"
	}
	if !acceptable(r, contentType) {
		http.Error(w, "406: Not Acceptable\n\nAvailable representations: "+contentType, http.StatusNotAcceptable)
		return
	}
	i.mu.Lock()
	f := i.faults
	if d == Discovery {
		i.nDiscovery++
	} else {
		i.nKeys++
	}
	i.mu.Unlock()
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "public, max-age=3600")
	if f.On != "" && f.On != d {
		// Only the document itself can still differ: ExtraKeys, DiscoveryIssuer and JWKSURI each name theirs.
		f = Faults{DiscoveryIssuer: f.DiscoveryIssuer, JWKSURI: f.JWKSURI, ExtraKeys: f.ExtraKeys}
	}
	body := f.Body
	if body == nil {
		body = i.document(d, f)
	}
	f.answer(w, r, body)
}

// acceptable says whether the client takes documents of a type. kube-apiserver
// compares the names alone: it knows no application/* and no q.
func acceptable(r *http.Request, contentType string) bool {
	accept := r.Header.Get("Accept")
	if accept == "" {
		return true
	}
	for _, one := range strings.Split(accept, ",") {
		name, _, _ := strings.Cut(one, ";")
		if name = strings.TrimSpace(name); name == "*/*" || name == contentType {
			return true
		}
	}
	return false
}
