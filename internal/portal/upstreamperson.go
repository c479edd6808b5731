package portal

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/strictjson"
)

// Person is somebody who signed in at the provider.
type Person struct {
	Subject string // the provider's name for them, which never changes and no other has
	Name    string // for people; the provider may let them choose it
	Roles   []directory.PortalRole
}

// String names a person in records: by Subject too, because a name can be
// somebody else's tomorrow.
func (p Person) String() string {
	if p.Name == p.Subject {
		return p.Subject
	}
	return p.Name + " (" + p.Subject + ")"
}

// The bounds of an ID token, besides its own expiry. It was made for the code
// a moment ago.
const (
	tokenAge   = 10 * time.Minute
	tokenAhead = 5 * time.Minute // the provider's clock may be fast
	maxSubject = 255             // OpenID Connect Core 1.0 section 2
	maxName    = 200             // characters
)

// idToken are the claims of a verified ID token.
type idToken struct {
	subject string
	claims  strictjson.Object
}

// redeem trades a code for an ID token and checks it (OpenID Connect Core 1.0
// section 3.1.3.7, and 3.1.3.8 if there is an at_hash).
func (u *upstream) redeem(ctx context.Context, known *discovered, a attempt, code string) (idToken, error) {
	select {
	case u.talking <- struct{}{}:
		defer func() { <-u.talking }()
	case <-ctx.Done():
		return idToken{}, providerUnreachable(ctx.Err())
	}
	ctx = oidc.ClientContext(ctx, u.http)
	tokens, err := known.config.Exchange(ctx, code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return idToken{}, redeemError(err)
	}
	text, ok := tokens.Extra("id_token").(string)
	if !ok {
		return idToken{}, providerMisfit("The sign-in provider gave no ID token.", errors.New("the token endpoint's answer has no id_token"))
	}
	token, err := u.verify(ctx, known, a.Nonce, text, tokens.AccessToken)
	if err != nil {
		return idToken{}, providerMisfit("The ID token of the sign-in provider was not accepted.", fmt.Errorf("ID token: %w", err))
	}
	return token, nil
}

// redeemError tells what came of a code. What the provider says of it is not
// repeated beyond the error codes of RFC 6749 section 5.2.
func redeemError(err error) error {
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		return providerUnreachable(err)
	}
	status := 0
	if refused.Response != nil {
		status = refused.Response.StatusCode
	}
	err = fmt.Errorf("token endpoint: status %d, error %.40q", status, refused.ErrorCode)
	switch refused.ErrorCode {
	case "invalid_grant":
		return refuseAnswer("The sign-in provider does not take back the code that it gave: it was used before, or is too old.", err)
	case "invalid_client", "unauthorized_client":
		return providerMisfit("The sign-in provider does not know this service, or its secret is wrong ("+refused.ErrorCode+").", err)
	case "invalid_request", "unsupported_grant_type", "invalid_scope":
		return providerMisfit("The sign-in provider does not serve this service ("+refused.ErrorCode+").", err)
	}
	return providerUnreachable(err)
}

// verify is go-oidc's (signature, algorithm, issuer, audience, expiry) and what it leaves to its callers.
func (u *upstream) verify(ctx context.Context, known *discovered, nonce, text, accessToken string) (idToken, error) {
	verified, err := known.verifier.Verify(ctx, text)
	if err != nil {
		return idToken{}, err
	}
	var payload json.RawMessage
	if err := verified.Claims(&payload); err != nil {
		return idToken{}, err
	}
	claims, err := strictjson.ParseObject(payload)
	if err != nil {
		return idToken{}, err
	}
	// What go-oidc read, by a parser that takes "ISS" for iss, must be what stands there.
	for name := range claims {
		for _, reserved := range []string{"iss", "sub", "aud", "azp", "exp", "iat", "nbf", "nonce", "at_hash"} {
			if name != reserved && strings.EqualFold(name, reserved) {
				return idToken{}, fmt.Errorf("claim %q is spelled unlike %q", name, reserved)
			}
		}
	}
	if subtle.ConstantTimeCompare([]byte(verified.Nonce), []byte(nonce)) != 1 {
		return idToken{}, errors.New("the nonce is not that of this sign-in")
	}
	if err := checkParty(claims, verified.Audience, u.provider.ClientID); err != nil {
		return idToken{}, err
	}
	if age := u.now().Sub(verified.IssuedAt); age > tokenAge || age < -tokenAhead {
		return idToken{}, fmt.Errorf("iat is %s from now", (-age).Round(time.Second))
	}
	if verified.AccessTokenHash != "" {
		if err := verified.VerifyAccessToken(accessToken); err != nil {
			return idToken{}, err
		}
	}
	if s := verified.Subject; s == "" || len(s) > maxSubject || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return idToken{}, fmt.Errorf("sub %.80q is no name for a person", s)
	}
	return idToken{subject: verified.Subject, claims: claims}, nil
}

// checkParty refuses a token that was made for another client, even if we are
// one of its audiences.
func checkParty(claims strictjson.Object, audience []string, clientID string) error {
	party, present, err := claims.Text("azp")
	switch {
	case err != nil:
		return err
	case present && party != clientID:
		return fmt.Errorf("azp is %.80q, want %q", party, clientID)
	case !present && len(audience) > 1:
		return fmt.Errorf("%d audiences without azp", len(audience))
	}
	return nil
}

// person says who the bearer of a verified ID token is.
func (p *Provider) person(t idToken) (Person, error) {
	who := Person{Subject: t.subject, Name: p.name(t)}
	for _, r := range p.Roles {
		if !slices.Contains(who.Roles, r.Role) && slices.Contains(t.values(r.Claim), r.Value) {
			who.Roles = append(who.Roles, r.Role)
		}
	}
	if len(who.Roles) == 0 {
		return Person{}, p.noRole(t)
	}
	return who, nil
}

func (p *Provider) name(t idToken) string {
	candidates := []string{"preferred_username", "email", "name"}
	if p.NameClaim != "" {
		candidates = []string{p.NameClaim}
	}
	for _, claim := range candidates {
		name, _, err := t.claims.Text(claim)
		if name = printableName(name); err == nil && name != "" {
			return name
		}
	}
	return t.subject
}

// values are what a claim says, of the shapes that ClaimRole has.
func (t idToken) values(claim string) []string {
	if claim == "email" && !slices.Contains(t.values("email_verified"), "true") {
		return nil // at many providers anybody may claim any address
	}
	raw, ok := t.claims[claim]
	if !ok {
		return nil
	}
	switch elements, err := t.claims.Array(claim); {
	case err == nil:
		var values []string
		for _, element := range elements {
			var value string
			if element[0] == '"' && json.Unmarshal(element, &value) == nil {
				values = append(values, value)
			}
		}
		return values
	case raw[0] == '"':
		if value, _, err := t.claims.Text(claim); err == nil {
			return []string{value}
		}
	case string(raw) == "true" || string(raw) == "false":
		return []string{string(raw)}
	}
	return nil
}

// noRole names the claims that were looked for, and no value of them.
func (p *Provider) noRole(t idToken) error {
	var claims []string
	for _, r := range p.Roles {
		claims = append(claims, r.Claim)
	}
	slices.Sort(claims)
	claims = slices.Compact(claims)
	e := &signInError{
		Status: http.StatusForbidden,
		Text:   "The sign-in provider knows you, but nothing that it says of you gives you a role here. Looked for in these claims of its ID token: " + strings.Join(claims, ", ") + ".",
		Advice: "Ask the service's operator for a role, and say that your subject is " + t.subject + ".",
	}
	if slices.Contains(claims, "email") && len(t.values("email")) == 0 && len(t.claims["email"]) > 0 {
		e.Text += " Your e-mail address is not verified there (email_verified)."
	}
	// With more groups than fit, a token has a pointer to them (OpenID Connect Core 1.0 section 5.6.2).
	var elsewhere map[string]json.RawMessage
	if json.Unmarshal(t.claims["_claim_names"], &elsewhere) == nil {
		for _, claim := range claims {
			if _, ok := elsewhere[claim]; ok {
				e.Text += " You have more " + claim + " than fit into a token, so that it holds none."
			}
		}
	}
	return e
}

// printableName leaves out of a name what could disguise it: control characters
// and those that change the direction of text.
func printableName(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s))
	if short := []rune(s); len(short) > maxName {
		return string(short[:maxName])
	}
	return s
}
