package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// What an error of this package is, for errors.Is.
var (
	ErrNotFound = errors.New("not found")      // 404, or no object has the name
	ErrConflict = errors.New("already exists") // 409
)

// Error is an answer of Graph or Resource Manager that is not a success. Its
// texts are the server's, without control characters and cut to a sane length.
type Error struct {
	Method, Path string        // of the request, without the query
	Status       int           // HTTP status
	Code         string        // e.g. "Request_ResourceNotFound", "AuthorizationFailed"; empty if the body had none
	Message      string        // never empty
	RequestID    string        // the server's name of the request, for its operator
	RetryAfter   time.Duration // what Retry-After asked for; 0 when absent
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s %s: %s: %s", e.Method, e.Path, statusAnd(e.Status, e.Code), e.Message)
}

// Is makes a 404 an [ErrNotFound] and a 409 an [ErrConflict].
func (e *Error) Is(target error) bool {
	return target == ErrNotFound && e.Status == http.StatusNotFound ||
		target == ErrConflict && e.Status == http.StatusConflict
}

// AmbiguousError says that several objects have the name which was meant to
// select one.
type AmbiguousError struct {
	Kind, Name string
	IDs        []string
}

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("%d %ss are named %q: %s", len(e.IDs), e.Kind, e.Name, strings.Join(e.IDs, ", "))
}

// TokenError is a refusal of the token endpoint (RFC 6749 §5.2, with the members
// that https://learn.microsoft.com/entra/identity-platform/reference-error-codes
// adds). The code numbers tell refusals apart; the texts are for people.
type TokenError struct {
	Tenant, ClientID string        // who asked; no client: for the tenant's configuration
	Status           int           // HTTP status
	Code             string        // "error", e.g. "invalid_client"
	Codes            []int         // "error_codes": AADSTS numbers, e.g. 700213
	Description      string        // "error_description"; never empty
	SubError         string        // "suberror"
	TraceID          string        // "trace_id"
	CorrelationID    string        // "correlation_id"
	RetryAfter       time.Duration // what Retry-After asked for; 0 when absent
}

func (e *TokenError) Error() string {
	if e.ClientID == "" {
		return fmt.Sprintf("tenant %q: %s: %s", e.Tenant, statusAnd(e.Status, e.Code), e.Description)
	}
	return fmt.Sprintf("token for client %q of tenant %q: %s: %s", e.ClientID, e.Tenant, statusAnd(e.Status, e.Code), e.Description)
}

func newTokenError(tenant, clientID string, a answer) *TokenError {
	var body tokenAnswer
	_ = json.Unmarshal(a.body, &body) // what is not of this shape is left empty
	return &TokenError{
		Tenant:        tenant,
		ClientID:      clientID,
		Status:        a.status,
		Code:          clean(body.Error, 200),
		Codes:         body.Codes,
		Description:   first(clean(body.Description, 4000), statusText(a.status)),
		SubError:      clean(body.SubError, 200),
		TraceID:       clean(body.TraceID, 200),
		CorrelationID: clean(body.CorrelationID, 200),
		RetryAfter:    a.retryAfter,
	}
}

// HasCode tells whether the AADSTS number is among the error's.
func (e *TokenError) HasCode(number int) bool {
	return slices.Contains(e.Codes, number)
}

// refused tells a decision about the caller from a fault of the server.
func (e *TokenError) refused() bool {
	return e.Status >= 400 && e.Status < 500 && e.Status != http.StatusTooManyRequests
}

func statusAnd(status int, code string) string {
	if code == "" {
		return strconv.Itoa(status)
	}
	return strconv.Itoa(status) + " " + code
}

// newError reads the error envelope that Graph and ARM share,
// {"error":{"code","message","innerError":{"request-id"}}}, and makes do with
// whatever a gateway answers instead.
func newError(method, path string, a answer) *Error {
	e := &Error{Method: method, Path: path, Status: a.status, RetryAfter: a.retryAfter}
	type detail struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Inner   struct {
			RequestID string `json:"request-id"`
		} `json:"innerError"`
	}
	var body struct {
		Error detail `json:"error"`
	}
	_ = json.Unmarshal(a.body, &body) // what is not of this shape is left empty
	e.Code = clean(first(body.Error.Code, a.header.Get("X-Ms-Error-Code")), 200)
	e.Message = first(clean(body.Error.Message, 4000), statusText(a.status))
	e.RequestID = clean(first(a.header.Get("Request-Id"), a.header.Get("X-Ms-Request-Id"), body.Error.Inner.RequestID), 200)
	return e
}

func statusText(status int) string {
	switch {
	case status >= 300 && status < 400:
		return "the server answered with a redirect that is not followed"
	case status < 300:
		return "the server answered with a status that has no meaning here"
	}
	return first(strings.ToLower(http.StatusText(status)), "the server gave no reason")
}

// clean makes a text of a server fit for a terminal and a log: printable, on one
// line, at most limit bytes and an ellipsis.
func clean(s string, limit int) string {
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == utf8.RuneError }), " ")
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
