package doctor

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/issuer"
)

// A Reader reads what issuers publish. Where a verifier stops at the first
// fault, it goes on as far as there is anything to read.
type Reader struct {
	Roots    *x509.CertPool                        // nil: the system's
	Proxy    func(*http.Request) (*url.URL, error) // nil: that of the environment
	Patience time.Duration                         // with each document; 0: 5 s
	// AllowPrivate says that the verifier may ask private addresses, as an Entente
	// service with --issuer-allow does.
	AllowPrivate bool

	resolver *net.Resolver // nil: the system's
}

// An Inspection is what is known of an issuer after asking it.
type Inspection struct {
	Issuer         string       `json:"issuer"`
	DiscoveryURL   string       `json:"discoveryUrl,omitempty"`
	DocumentIssuer string       `json:"documentIssuer,omitempty"`
	JWKSURI        string       `json:"jwksUri,omitempty"`
	Algorithms     []string     `json:"algorithms,omitempty"` // that the discovery document names
	Keys           []IssuerKey  `json:"keys,omitempty"`       // that can be used
	Accepted       bool         `json:"accepted"`             // no finding has failed
	Findings       []Finding    `json:"findings"`
	keys           []issuer.Key // the same as Keys
	document       []byte       // the key set
}

// An IssuerKey is a public key of an issuer.
type IssuerKey struct {
	ID        string `json:"kid"`
	Type      string `json:"kty"`
	Curve     string `json:"crv,omitempty"`
	Algorithm string `json:"alg,omitempty"`
	Bits      int    `json:"bits"`
}

// ExitCode is 0 for an issuer that a verifier accepts, else that of the first
// reason why not.
func (i *Inspection) ExitCode() int {
	for _, f := range i.Findings {
		if f.State == Failed {
			return f.Cause.ExitCode()
		}
	}
	return exitHealthy
}

// Inspect finds every reason why a verifier would refuse an issuer.
func (r *Reader) Inspect(ctx context.Context, address string) *Inspection {
	i := r.read(ctx, address)
	i.Accepted = i.ExitCode() == exitHealthy
	if i.Findings == nil {
		i.Findings = []Finding{}
	}
	return i
}

func (r *Reader) read(ctx context.Context, address string) *Inspection {
	i := &Inspection{Issuer: address}
	i.Findings = judgeURL(address)
	if i.failed() {
		return i
	}
	i.DiscoveryURL = strings.TrimSuffix(address, "/") + discoveryPath
	a := r.fetch(ctx, i.DiscoveryURL)
	i.troubled("discovery document", a)
	if a.readable() {
		i.readDiscovery(a)
	}
	if i.JWKSURI != "" {
		i.readKeys(ctx, r)
	}
	i.second(ctx, r)
	return i
}

const discoveryPath = "/.well-known/openid-configuration"

func (i *Inspection) failed() bool {
	return slices.ContainsFunc(i.Findings, func(f Finding) bool { return f.State == Failed })
}

func (i *Inspection) find(all ...Finding) { i.Findings = append(i.Findings, all...) }

// troubled reports why a document was not read, or only in a roundabout way.
func (i *Inspection) troubled(what string, a answer) {
	report := func(t *trouble) {
		text := fmt.Sprintf("the %s cannot be read", what)
		if t.seen != "" {
			text += ": " + t.text
		}
		f := fault(t.cause, text).saw(cmp.Or(t.seen, t.text), cmp.Or(t.expected, "status 200 with the document, from "+a.url))
		f.Mends = t.mends(a)
		i.find(f)
	}
	if t := a.trouble; t != nil {
		told := slices.ContainsFunc(i.Findings, func(f Finding) bool { return f.State == Failed && f.Cause == t.cause })
		if !told || !a.unverified || !sameHost(a.url, i.DiscoveryURL) { // else it is the same certificate again
			report(t)
			if a.unverified {
				i.find(note("what follows was read without a check of the certificate"))
			}
		}
	}
	if a.behind != nil {
		report(a.behind)
	}
	if a.proxy != "" {
		i.find(unknown(fmt.Sprintf("from here the %s is reached only by the proxy %s (without it: %s); whether a verifier, which uses none, reaches it cannot be told", what, a.proxy, a.direct.text)))
	}
}

// mends are the ways out of a trouble that hold for every verifier.
func (t *trouble) mends(a answer) []Mend {
	var status struct{ Kind, APIVersion string }
	switch t.cause {
	case DiscoveryStatus:
		if (a.status == http.StatusUnauthorized || a.status == http.StatusForbidden) && json.Unmarshal(a.body, &status) == nil && status.Kind == "Status" {
			return []Mend{{
				Text: "it is a Kubernetes API server that shows its keys only to those who may; this lets everybody read the two public documents",
				Commands: []string{
					"kubectl create clusterrolebinding service-account-issuer --clusterrole system:service-account-issuer-discovery --group system:unauthenticated",
				},
			}}
		}
	case DiscoveryRedirect:
		return []Mend{{Text: "serve the document at the address itself, or have the cluster name the issuer whose address does (--service-account-issuer)"}}
	case TLSName:
		return []Mend{{Text: "give the server a certificate for the name in the issuer's URL"}}
	case TLSExpired:
		return []Mend{{Text: "renew the certificate of the server that publishes the issuer"}}
	}
	return nil
}

// judgeURL finds what is wrong with an issuer before anybody is asked.
func judgeURL(address string) []Finding {
	var all []Finding
	bad := func(text string) {
		all = append(all, fault(IssuerMalformed, text).saw(address, "an https URL in ASCII of a host and perhaps a path"))
	}
	if address == "" {
		return []Finding{fault(IssuerMalformed, "the issuer is empty")}
	}
	// A subject or an audience may hold any character, so cautions about it name
	// those which an issuer must not have.
	odd := credential.Spec{Audiences: []string{address}}.Cautions()
	for _, c := range odd {
		bad("the issuer " + c.Detail)
	}
	rest := strings.TrimSpace(address)
	if len(odd) == 0 && rest != address {
		bad("the issuer begins or ends with white space")
	}
	if n := utf8.RuneCountInString(address); n > credential.MaxIssuer {
		bad(fmt.Sprintf("the issuer has %d characters, and may have %d", n, credential.MaxIssuer))
		return all
	}
	scheme, after, ok := strings.Cut(rest, "://")
	switch {
	case !ok || scheme == "":
		bad(`the issuer is no URL: it must begin with "https://"`)
		return all
	case strings.EqualFold(scheme, "http"):
		bad("the issuer must use https")
	case scheme != "https":
		bad(`the issuer must begin with "https://", in lower case`)
	}
	after, _, fragment := strings.Cut(after, "#")
	if fragment {
		bad("the issuer must not have a fragment")
	}
	after, _, query := strings.Cut(after, "?")
	if query {
		bad("the issuer must not have a query")
	}
	host, path, slash := strings.Cut(after, "/")
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		bad("the issuer must not have user information")
		host = host[i+1:]
	}
	core := "https://" + host
	if slash {
		core += "/" + path
	}
	// What is left of the rule, for one that may differ from the address in what was
	// found already. The first thing that it says of a look-alike is that it is one.
	told := slices.ContainsFunc(odd, func(c credential.Caution) bool { return c.Plain != "" })
	if v, ok := errors.AsType[*credential.Violation](credential.ValidateIssuer(core)); ok && !told && (len(odd) == 0 || core == address) {
		bad("the issuer " + v.Detail)
	}
	if len(all) > 0 {
		return all
	}
	for _, c := range (credential.Spec{Issuer: address}).Cautions() {
		all = append(all, note("the issuer "+c.Detail))
	}
	if strings.ToLower(host) != host {
		all = append(all, note("the issuer's host has upper case letters: tokens and credentials must spell it the same way, for they are compared byte by byte").saw(host, strings.ToLower(host)))
	}
	if strings.HasSuffix(host, ":443") {
		all = append(all, note(`the issuer says ":443", which https means anyhow: tokens and credentials must say it too`))
	}
	if strings.HasSuffix(address, "//") {
		all = append(all, note("the issuer ends with more than one slash: one is left out when its discovery document is asked for, the others are not"))
	}
	return all
}

// discovery is what is read of a discovery document (OpenID Connect Discovery 1.0 section 3).
type discovery struct {
	Issuer     *string         `json:"issuer"`
	JWKSURI    *string         `json:"jwks_uri"`
	Algorithms []string        `json:"id_token_signing_alg_values_supported"`
	Responses  []string        `json:"response_types_supported"`
	Subjects   []string        `json:"subject_types_supported"`
	Authorize  json.RawMessage `json:"authorization_endpoint"`
}

func (i *Inspection) readDiscovery(a answer) {
	if media, _, _ := strings.Cut(a.contentType, ";"); !strings.EqualFold(strings.TrimSpace(media), "application/json") {
		i.find(note("the discovery document is not served as application/json").saw(cmp.Or(a.contentType, "no Content-Type"), "application/json"))
	}
	var d discovery
	if err := json.Unmarshal(a.body, &d); err != nil {
		i.find(fault(DocumentInvalid, "the discovery document is not a JSON object of the right shape: "+err.Error()).saw(opening(a.body), "a JSON object"))
		return
	}
	i.Algorithms = d.Algorithms
	switch {
	case d.Issuer == nil:
		i.find(fault(DocumentInvalid, `the discovery document has no "issuer"`))
	case *d.Issuer != i.Issuer:
		i.DocumentIssuer = *d.Issuer
		f := fault(DocumentDiffers, "the discovery document names another issuer: they must be equal byte for byte").saw(*d.Issuer, i.Issuer)
		f.Difference = differ(*d.Issuer, i.Issuer, hintOn(*d.Issuer, i.Issuer))
		i.find(f.mend(Mend{Text: "have the document name the issuer as tokens do, or ask for the issuer that it names", Commands: []string{"entente issuer check " + quote(*d.Issuer)}}))
	default:
		i.DocumentIssuer = *d.Issuer
	}
	switch {
	case d.JWKSURI == nil || *d.JWKSURI == "":
		i.find(fault(DocumentInvalid, `the discovery document has no "jwks_uri"`))
	default:
		i.JWKSURI = *d.JWKSURI
		if u, err := url.Parse(i.JWKSURI); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
			i.find(fault(DocumentInvalid, "jwks_uri is not an https URL of a host").saw(i.JWKSURI, "an https URL"))
			i.JWKSURI = ""
		}
	}
	// learn.microsoft.com/entra/workload-id and azure.github.io/azure-workload-identity name what Entra's reader wants.
	for _, list := range []struct {
		name   string
		absent bool
	}{
		{"response_types_supported", len(d.Responses) == 0},
		{"subject_types_supported", len(d.Subjects) == 0},
		{"id_token_signing_alg_values_supported", len(d.Algorithms) == 0},
	} {
		if list.absent {
			i.find(note(fmt.Sprintf("the discovery document has no %q, which Microsoft Entra wants", list.name)))
		}
	}
	if len(d.Algorithms) > 0 && !slices.Contains(d.Algorithms, issuer.DefaultAlgorithm) {
		i.find(note("the issuer does not sign with RS256, the one algorithm that Microsoft Entra supports; an Entente service must be told to accept another").saw(strings.Join(d.Algorithms, ", "), issuer.DefaultAlgorithm))
	}
	if text := ""; len(d.Authorize) > 0 {
		if err := json.Unmarshal(d.Authorize, &text); err != nil || !strings.HasPrefix(text, "https://") {
			i.find(note("authorization_endpoint is no https URL: leave it out, for Microsoft Entra's reader stumbles over it").saw(opening(d.Authorize), "nothing"))
		}
	}
}

func (i *Inspection) readKeys(ctx context.Context, r *Reader) {
	a := r.fetch(ctx, i.JWKSURI)
	i.troubled("key set", a)
	if !a.readable() {
		if len(i.Findings) > 0 && !sameHost(i.JWKSURI, i.Issuer) {
			last := &i.Findings[len(i.Findings)-1]
			last.Mends = append(last.Mends, Mend{When: "the keys are also published beside the issuer", Text: "jwks_uri of a cluster is set by kube-apiserver's flag --service-account-jwks-uri"})
		}
		return
	}
	i.document = a.body
	keys, problems, err := issuer.ParseKeySet(a.body)
	if err != nil {
		i.find(fault(KeySetInvalid, err.Error()).saw(opening(a.body), `an object with an array "keys"`))
		return
	}
	i.keys = keys
	for _, k := range keys {
		i.Keys = append(i.Keys, IssuerKey{k.ID, k.Type, k.Curve, k.Algorithm, k.Bits})
	}
	for _, p := range problems {
		text := fmt.Sprintf("key %d of the set (kid %q) is left out: %s", p.Index+1, p.KeyID, p.Reason)
		if p.Private {
			i.find(fault(KeyPrivate, text+": whoever has read it can sign tokens of this issuer").mend(Mend{Text: "replace the key in the cluster, then publish the public half of the new one alone"}))
			continue
		}
		i.find(note(text))
	}
	switch {
	case len(keys) == 0:
		i.find(fault(KeySetInvalid, "there is no key in the set that can be used"))
	case !slices.ContainsFunc(keys, func(k issuer.Key) bool {
		return k.Type == "RSA" && (k.Algorithm == "" || k.Algorithm == issuer.DefaultAlgorithm)
	}):
		i.find(note("no key fits RS256, the one algorithm that Microsoft Entra supports; an Entente service must be told to accept another"))
	}
}

// second has the service's own verifier judge the issuer too, so that an issuer
// without a fault here is one that it takes.
func (i *Inspection) second(ctx context.Context, r *Reader) {
	ask := func(allow ...string) error {
		v, err := issuer.New(issuer.Config{Allow: allow, RootCAs: r.Roots, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			return err
		}
		_, err = v.Check(ctx, issuer.Source{URL: i.Issuer})
		return err
	}
	if i.failed() && !r.AllowPrivate {
		// Only the guard is of interest: the rest is told already.
		if err := ask(); issuer.KindOf(err) == issuer.AddressRefused {
			i.private(r)
		}
		return
	}
	if i.failed() || slices.ContainsFunc(i.Findings, func(f Finding) bool { return f.State == Unknown }) {
		return
	}
	err := ask()
	if issuer.KindOf(err) == issuer.AddressRefused {
		i.private(r)
		err = ask("0.0.0.0/0", "::/0")
	}
	switch issuer.KindOf(err) {
	case "":
	case issuer.InvalidDocument, issuer.IssuerMismatch:
		i.find(fault(DocumentInvalid, reason(err)))
	default:
		i.find(unknown("the documents were read once and not a second time, so whether the issuer can be relied on cannot be told: " + reason(err)))
	}
}

func (i *Inspection) private(r *Reader) {
	host := ""
	if u, err := url.Parse(i.Issuer); err == nil {
		host = u.Hostname()
	}
	text := "seen from here the issuer has a private or reserved address: Microsoft Entra cannot ask it, and an Entente service does so only when it is told to"
	f := fault(AddressRefused, text).mend(allowMend(host))
	if r.AllowPrivate {
		f.State = Noted
	}
	i.find(f)
}

func allowMend(host string) Mend {
	return Mend{When: "the issuer may be asked by an Entente service", Text: "start the service with this flag beside its others", Commands: []string{"entente serve --issuer-allow " + quote(host)}}
}

// opening is the beginning of a document, for a person to recognise.
func opening(body []byte) string {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(string(body[:min(len(body), 120)]), "?")), " ")
	if text == "" {
		return "nothing"
	}
	if len(bytes.TrimSpace(body)) > len(text) {
		text += "…"
	}
	return text
}

func sameHost(a, b string) bool {
	u, err := url.Parse(a)
	v, err2 := url.Parse(b)
	return err == nil && err2 == nil && strings.EqualFold(u.Host, v.Host)
}

// hintOn says in words how two issuers differ that look much the same.
func hintOn(seen, expected string) string {
	_, differences := credential.Nearest([]credential.Trust{{Issuer: seen}}, credential.Assertion{Issuer: expected})
	if len(differences) == 0 {
		return ""
	}
	var words []string
	for _, reason := range differences[0].Reasons {
		switch reason {
		case credential.TrailingSlash:
			if differences[0].SlashMissing() {
				words = append(words, `the slash at its end is missing`)
			} else {
				words = append(words, `it has a slash at its end that does not belong there`)
			}
		case credential.Case:
			words = append(words, "upper and lower case letters differ")
		case credential.Invisible:
			words = append(words, "one of the two holds a character that leaves no mark")
		case credential.LookAlike:
			words = append(words, "one of the two holds a character that only looks right")
		case credential.WhiteSpace:
			words = append(words, "one of the two begins or ends with white space")
		case credential.Scheme, credential.Port, credential.Host, credential.Path:
			words = append(words, fmt.Sprintf("the %s differs", reason))
		}
	}
	return strings.Join(words, "; ")
}
