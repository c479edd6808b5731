package portal

import (
	"fmt"
	"net/http"
)

// A signInError is why nobody was signed in at the provider. Text and Advice
// are our own words, for the page; what the provider said stands in Err, for
// the log, without codes, tokens and secrets.
type signInError struct {
	Status int    // of the page
	Text   string // what happened
	Advice string // what to do about it
	Err    error
}

func (e *signInError) Error() string {
	if e.Err == nil {
		return "sign in at the provider: " + e.Text
	}
	return fmt.Sprintf("sign in at the provider: %s (%s)", e.Text, clipForLog(e.Err.Error()))
}

func (e *signInError) Unwrap() error { return e.Err }

// The advice of errors.
const (
	adviceAgain = "Begin again from the sign-in page, in one tab, and finish within ten minutes."
	adviceLater = "Try again in a minute. Without the provider, an operator of the service gets in by a one-time link: entente portal-link."
	adviceMend  = "This is for an operator of the service to mend, whose log says more. Without the provider, they get in by a one-time link: entente portal-link."
)

var errNotGet = &signInError{Status: http.StatusMethodNotAllowed, Text: "This page is only for reading.", Advice: adviceAgain}

// refuseAnswer is the error of an answer that nobody's sign-in asked for.
func refuseAnswer(text string, err error) error {
	return &signInError{Status: http.StatusBadRequest, Text: text, Advice: adviceAgain, Err: err}
}

// providerMisfit is the error of a provider and a service that do not agree.
func providerMisfit(text string, err error) error {
	return &signInError{Status: http.StatusBadGateway, Text: text, Advice: adviceMend, Err: err}
}

// providerUnreachable is the error of a provider that does not answer, or not sensibly.
func providerUnreachable(err error) error {
	return &signInError{Status: http.StatusServiceUnavailable, Text: "The sign-in provider does not answer as it should.", Advice: adviceLater, Err: err}
}

// providerRefusal says in our words what an authorization endpoint's error
// means. Codes outside RFC 6749 section 4.1.2.1 are not repeated, and neither
// is anything that describes them: the browser brought it.
func providerRefusal(code string) error {
	e := &signInError{Status: http.StatusBadGateway, Advice: adviceMend, Err: fmt.Errorf("error=%s", code)}
	switch code {
	case "access_denied":
		e.Status, e.Text, e.Advice = http.StatusForbidden, "The sign-in provider did not let you in, or you declined (access_denied).", "Begin again from the sign-in page, or ask those who run the provider to give you access to this service."
	case "server_error", "temporarily_unavailable":
		e.Status, e.Text, e.Advice = http.StatusServiceUnavailable, "The sign-in provider is in trouble ("+code+").", adviceLater
	case "invalid_scope":
		e.Text = "The sign-in provider does not know what it was asked for (invalid_scope): --portal-oidc-scope may be wrong."
	case "invalid_request", "unauthorized_client", "unsupported_response_type":
		e.Text = "The sign-in provider does not serve this service (" + code + "): its registration there may be wrong."
	default:
		e.Text, e.Err = "The sign-in provider answered with an error.", fmt.Errorf("error is none of RFC 6749: %.40q", code)
	}
	return e
}

// clipForLog bounds what others wrote, for the log.
func clipForLog(s string) string {
	const most = 300
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
