package issuer

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Keys are fresh for as long as Cache-Control says, within these bounds
// (RFC 9111 section 5.2.2.1), and good for maxStale while their issuer cannot be asked.
const (
	minFresh = 5 * time.Minute
	maxFresh = time.Hour
	maxStale = 24 * time.Hour
)

// SourceKind says where the keys of an issuer come from.
type SourceKind int

// The sources. The zero value is Discovery.
const (
	Discovery SourceKind = iota // the issuer's OpenID configuration names the key set
	JWKSURI                     // Source.JWKSURI, without discovery
	Uploaded                    // Source.KeySet; nothing is ever fetched
)

// A Source is an issuer as it is registered in a tenant.
type Source struct {
	TenantID   string
	ID         string // of the issuer object; empty: the keys are not kept in the database
	URL        string // the exact iss of its tokens
	Kind       SourceKind
	JWKSURI    string   // for Kind JWKSURI
	KeySet     []byte   // for Kind Uploaded: a JWK Set
	Algorithms []string // that its tokens may be signed with; empty: RS256
	CAPEM      []byte   // certificates that are trusted besides the others when this issuer is asked
	Revision   int64    // changes with every edit: keys that were found for another revision are not used
}

// A Report is what an issuer publishes, as far as it could be read.
type Report struct {
	DiscoveryURL   string // empty when there is no discovery
	DocumentIssuer string // "issuer" of the discovery document; it must equal Source.URL
	JWKSURI        string // empty for an uploaded set
	Keys           []Key
	Problems       []KeyProblem
	Lifetime       time.Duration // how long the keys count as fresh; zero for an uploaded set

	document []byte // the key set
}

// read asks an issuer for its keys, within the bounds of transport.go.
func (v *Verifier) read(ctx context.Context, src Source) (r Report, err error) {
	ctx, cancel := context.WithTimeout(ctx, v.patience)
	defer cancel()
	client, err := v.client(src)
	if err != nil {
		return r, err
	}
	defer client.CloseIdleConnections()

	r.JWKSURI = src.JWKSURI
	if src.Kind == Discovery {
		if err := r.discover(ctx, client, src.URL); err != nil {
			return r, err
		}
	}
	document, header, err := get(ctx, client, r.JWKSURI)
	if err != nil {
		return r, err
	}
	r.Lifetime = lifetime(header)
	err = r.parse(document)
	return r, err
}

// discover finds the key set of an issuer by OpenID Connect Discovery 1.0,
// section 4: one trailing slash of the issuer is not doubled (4.1), and the
// document must name the issuer byte for byte (4.3). Of the document nothing
// else is looked at.
func (r *Report) discover(ctx context.Context, client *http.Client, issuer string) error {
	r.DiscoveryURL = strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration"
	if strings.Contains(issuer, "?") {
		return &Error{Kind: InvalidDocument, Detail: "an issuer URL has no query"}
	}
	body, _, err := get(ctx, client, r.DiscoveryURL)
	if err != nil {
		return err
	}
	document, err := parseObject(body)
	if err == nil {
		r.DocumentIssuer, err = document.Required("issuer")
	}
	if err == nil && r.DocumentIssuer != issuer {
		return &Error{Kind: IssuerMismatch, Detail: "the discovery document is that of another issuer"}
	}
	if err == nil {
		r.JWKSURI, err = document.Required("jwks_uri")
	}
	if err != nil {
		return &Error{Kind: InvalidDocument, Detail: "the discovery document cannot be used", Err: err}
	}
	return nil
}

func (r *Report) parse(document []byte) (err error) {
	r.document = document
	if r.Keys, r.Problems, err = ParseKeySet(document); err != nil {
		return &Error{Kind: InvalidDocument, Detail: "the key set cannot be used", Err: err}
	}
	return nil
}

// lifetime is the max-age of a response within the bounds; the shortest when it has none that counts.
func lifetime(header http.Header) time.Duration {
	fresh := minFresh
	for _, directive := range strings.Split(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return minFresh
		case "max-age":
			if seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
				fresh = min(max(time.Duration(seconds)*time.Second, minFresh), maxFresh)
			}
		}
	}
	return fresh
}
