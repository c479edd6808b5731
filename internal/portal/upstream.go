package portal

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/keys"
)

// Provider is an upstream OpenID Connect provider at which people sign in, by
// the authorization code flow with PKCE (OpenID Connect Core 1.0 section 3.1,
// RFC 7636). Only its ID token is read; the userinfo endpoint is never asked.
type Provider struct {
	// Issuer is the provider's issuer URL, https, exactly as it stands in its discovery document.
	Issuer string
	// ClientID is what the provider calls this service.
	ClientID string
	// ClientSecret proves it; empty: a public client, which PKCE alone protects.
	ClientSecret string
	// Scopes are asked for besides openid, profile and email.
	Scopes []string
	// NameClaim is the claim that people are called by; empty: the first there is of preferred_username, email, name and sub.
	NameClaim string
	// Roles say who may do what. Whom none of them fits is not signed in.
	Roles []ClaimRole
	// RootCAs are trusted for the provider's endpoints; nil: the system's.
	RootCAs *x509.CertPool
}

// ClaimRole gives a role to everybody whose ID token has a value in a claim: a
// string, a boolean (as "true" or "false"), or an array with that string in
// it. The claim "email" counts only beside an "email_verified" that is true.
type ClaimRole struct {
	Claim, Value string
	Role         directory.PortalRole
}

// ParseClaimRole reads CLAIM=VALUE:ROLE[@SCOPE]. A claim has no "=" in its
// name, and a role no ":", so that a value may have both.
func ParseClaimRole(s string) (ClaimRole, error) {
	claim, rest, equals := strings.Cut(s, "=")
	colon := strings.LastIndexByte(rest, ':')
	if !equals || claim == "" || colon < 1 {
		return ClaimRole{}, fmt.Errorf("%q is not CLAIM=VALUE:ROLE[@SCOPE] (for instance groups=platform:Owner, or groups=payments:Reader@/subscriptions/…)", s)
	}
	role, err := directory.ParsePortalRole(rest[colon+1:])
	if err != nil {
		return ClaimRole{}, fmt.Errorf("%q: %w", s, err)
	}
	return ClaimRole{Claim: claim, Value: rest[:colon], Role: role}, nil
}

// mark is an opaque digest of who decides on people's roles, and how. Sessions
// that were opened under another mark end.
func (p *Provider) mark() string {
	roles := make([]string, 0, len(p.Roles))
	for _, r := range p.Roles {
		text, _ := json.Marshal([]string{r.Claim, r.Value, r.Role.Name, r.Role.Scope}) // strings always do
		roles = append(roles, string(text))
	}
	slices.Sort(roles)
	text, _ := json.Marshal([]any{p.Issuer, p.ClientID, slices.Compact(roles)})
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// conversations is how many people's codes are redeemed at once; others wait.
const conversations = 16

// upstream signs people in at a Provider. Nothing is asked of the provider
// before the first person comes, so that one which is down stops nobody else.
type upstream struct {
	provider Provider
	redirect string // the URL of ours that the provider sends people back to
	marked   string
	seal     keys.Sealer
	now      func() time.Time
	http     *http.Client
	talking  chan struct{}

	flight singleflight.Group
	mu     sync.Mutex
	known  *discovered // nil: never yet
	failed vainAsk
}

// newUpstream makes an upstream that asks nothing yet. redirectURL is the URL
// of the page that calls finish, as it is registered at the provider; seal
// closes the cookie of sign-ins under way, and replicas share it.
func newUpstream(p Provider, redirectURL string, seal keys.Sealer, clock func() time.Time) *upstream {
	if clock == nil {
		clock = time.Now
	}
	return &upstream{
		provider: p, redirect: redirectURL, marked: p.mark(), seal: seal, now: clock,
		http: newProviderClient(p.RootCAs), talking: make(chan struct{}, conversations),
	}
}

// mark is Provider.mark.
func (u *upstream) mark() string { return u.marked }

// start sends a person to the provider. returnTo is the page of the portal
// that they want; anything else comes down to the first page. Its errors are
// *signInError, and nothing was written then.
func (u *upstream) start(w http.ResponseWriter, r *http.Request, returnTo string) error {
	if r.Method != http.MethodGet { // a mux takes HEAD for GET
		return errNotGet
	}
	known, err := u.discover(r.Context())
	if err != nil {
		return err
	}
	a := attempt{
		State: oauth2.GenerateVerifier(), Nonce: oauth2.GenerateVerifier(), Verifier: oauth2.GenerateVerifier(), // 256 random bits each
		ReturnTo: returnPath(returnTo), Until: u.now().Add(attemptLife).Unix(),
	}
	cookie, err := u.sealAttempt(a)
	if err != nil {
		return &signInError{Status: http.StatusInternalServerError, Text: "The sign-in could not be begun.", Advice: "Try again.", Err: err}
	}
	neverStore(w)
	http.SetCookie(w, cookie)
	http.Redirect(w, r, known.config.AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), http.StatusSeeOther)
	return nil
}

// finish takes the provider's answer, which a person's browser brings, and
// returns who they are and the page that they wanted. Its errors are
// *signInError; of the response it sets headers only.
//
// The caller must open a new session, whatever session came with the request,
// and mind that this request was sent here by another site: a browser that
// follows a redirect from here still keeps SameSite=Strict cookies back.
//
// The cookie is cleared whatever comes of it, but one that was copied before
// can be brought again within its ten minutes. What stops that is the
// provider, at which a code is used up when it is first redeemed (RFC 6749
// section 4.1.2), and the PKCE verifier, without which another code is
// worthless; nothing is kept here for it.
func (u *upstream) finish(w http.ResponseWriter, r *http.Request) (who Person, returnTo string, err error) {
	if r.Method != http.MethodGet {
		return Person{}, "", errNotGet
	}
	neverStore(w)
	http.SetCookie(w, attemptCookie("", -1))
	// 1 this browser began a sign-in, and the answer is to that one (RFC 6749 section 10.12)
	a, err := u.openAttempt(r)
	if err != nil {
		return Person{}, "", err
	}
	answer, err := readAnswer(r.URL.RawQuery)
	if err != nil {
		return Person{}, "", err
	}
	if subtle.ConstantTimeCompare([]byte(answer.state), []byte(a.State)) != 1 {
		return Person{}, "", refuseAnswer("This answer of the sign-in provider belongs to another sign-in.", errors.New("the state is not the cookie's"))
	}
	// 2 it is our provider's (RFC 9207)
	ctx, cancel := context.WithTimeout(r.Context(), finishTime)
	defer cancel()
	known, err := u.discover(ctx)
	if err != nil {
		return Person{}, "", err
	}
	if answer.hasIssuer && answer.issuer != u.provider.Issuer || !answer.hasIssuer && known.namesIssuer {
		return Person{}, "", refuseAnswer("The answer does not come from the sign-in provider that was asked.", fmt.Errorf("iss is %q, want %q", clipForLog(answer.issuer), u.provider.Issuer))
	}
	// 3 it is a code
	if answer.hasError {
		return Person{}, "", providerRefusal(answer.error)
	}
	if answer.code == "" {
		return Person{}, "", refuseAnswer("The answer of the sign-in provider holds nothing to sign in with.", errors.New("neither code nor error"))
	}
	// 4 which stands for a person
	token, err := u.redeem(ctx, known, a, answer.code)
	if err != nil {
		return Person{}, "", err
	}
	// 5 who has a role here
	who, err = u.provider.person(token)
	return who, a.ReturnTo, err
}

// providerAnswer is what an authorization endpoint says (RFC 6749 section 4.1.2, RFC 9207).
type providerAnswer struct {
	state, code, issuer, error string
	hasIssuer, hasError        bool
}

// maxAnswer bounds the query of an answer; codes of a kilobyte are known.
const maxAnswer = 16 << 10

// readAnswer takes each parameter once or not at all (RFC 6749 section 3.1).
func readAnswer(query string) (providerAnswer, error) {
	if len(query) > maxAnswer {
		return providerAnswer{}, refuseAnswer("The answer of the sign-in provider is too long.", fmt.Errorf("%d bytes", len(query)))
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return providerAnswer{}, refuseAnswer("The answer of the sign-in provider cannot be read.", err)
	}
	for _, name := range []string{"state", "code", "iss", "error"} {
		if len(values[name]) > 1 {
			return providerAnswer{}, refuseAnswer("The answer of the sign-in provider cannot be read.", fmt.Errorf("%s is there %d times", name, len(values[name])))
		}
	}
	return providerAnswer{
		state: values.Get("state"), code: values.Get("code"), issuer: values.Get("iss"), error: values.Get("error"),
		hasIssuer: values.Has("iss"), hasError: values.Has("error"),
	}, nil
}

// neverStore keeps an answer out of caches, and its URL, which holds a code, out of Referer headers.
func neverStore(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
}
