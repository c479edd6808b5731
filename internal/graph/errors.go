package graph

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/roles"
)

// fault is an error in Graph's words. Texts and codes are those that Graph
// sends, as far as they are known, because programs compare them
// (https://learn.microsoft.com/graph/errors).
type fault struct {
	status  int
	code    string
	message string
	details []detail
	allow   string // of 405
}

type detail struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Target  string `json:"target"`
}

func (f *fault) Error() string { return f.code + ": " + f.message }

func faultf(status int, code, format string, args ...any) *fault {
	return &fault{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

// The codes that Graph has for a request that it cannot serve: the first for
// what its gateway refuses, the second for what the directory does, the third
// for a query that could be read and is not supported.
func badRequest(format string, args ...any) *fault {
	return faultf(http.StatusBadRequest, "BadRequest", format, args...)
}

func requestBad(format string, args ...any) *fault {
	return faultf(http.StatusBadRequest, "Request_BadRequest", format, args...)
}

func unsupported(format string, args ...any) *fault {
	return faultf(http.StatusBadRequest, "Request_UnsupportedQuery", format, args...)
}

func collectionURI(name string) *fault {
	return badRequest("The request URI is not valid. Since the segment '%s' refers to a collection, this must be the last segment in the request URI or it must be followed by an function or action that can be bound to it otherwise all intermediate segments must refer to a single resource.", name)
}

func methodNotAllowed(allow string) *fault {
	f := faultf(http.StatusMethodNotAllowed, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
	f.allow = allow
	return f
}

var errNotDelegated = badRequest("/me request is only valid with delegated authentication flow.")

// refuse sends an error.
func (s *Surface) refuse(w http.ResponseWriter, r *http.Request, err error) {
	f := faultOf(err)
	h := w.Header()
	s.Note(r.Context(), slog.String("error", f.code), slog.String("reason", shorten(err.Error(), 500)))
	switch f.status {
	case http.StatusInternalServerError, http.StatusInsufficientStorage:
		s.Log.LogAttrs(r.Context(), slog.LevelError, "graph: request failed", slog.String("request", h.Get(requestID)), slog.String("method", r.Method), slog.Any("error", err))
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "1")
	case http.StatusMethodNotAllowed:
		h.Set("Allow", f.allow)
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="", authorization_uri="%s/common/oauth2/authorize", client_id="%s"`, s.Base(r), roles.GraphAppID))
		if r.Header.Get("Authorization") == "" {
			f.message = "Access token is empty."
		}
	}
	id := h.Get(requestID)
	client := r.Header.Get(clientRequestID)
	if client == "" || len(client) > 64 || !clean(client) {
		client = id
	}
	body := object{{"code", f.code}, {"message", f.message}}
	if len(f.details) > 0 {
		body = append(body, member{"details", f.details})
	}
	body = append(body, member{"innerError", object{
		{"date", s.now().Format("2006-01-02T15:04:05")},
		{"request-id", id},
		{"client-request-id", client},
	}})
	data, err := encode(object{{"error", body}})
	if err != nil {
		s.Log.ErrorContext(r.Context(), "graph: encode an error", "error", err)
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(f.status)
	w.Write(data)
}

// faultOf says an error in Graph's words. What is no error of the domain's is
// the server's own, and no client is told of it.
func faultOf(err error) *fault {
	if f, ok := errors.AsType[*fault](err); ok {
		copied := *f
		return &copied
	}
	if e, ok := errors.AsType[*directory.Error](err); ok {
		return domainFault(e)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return faultf(http.StatusServiceUnavailable, "ServiceNotAvailable", "The request took too long. Try again.")
	}
	return faultf(http.StatusInternalServerError, "InternalServerError", "The server has failed. Its log says more under the request id.")
}

func domainFault(e *directory.Error) *fault {
	switch e.Kind {
	case directory.NotFound:
		if e.Object == directory.SecretObject {
			return requestBad("No password credential found with keyId '%s'.", e.ID)
		}
		return faultf(http.StatusNotFound, "Request_ResourceNotFound", notThereText, e.ID)
	case directory.Exists:
		return existsFault(e)
	case directory.Invalid:
		return invalidFault(e)
	case directory.Immutable:
		f := requestBad("Property '%s' of resource '%s' cannot be changed.", e.Field, typeName(e.Object))
		if e.Detail != "" {
			f.message += " " + sentence(e.Detail)
		}
		return f
	case directory.LimitReached:
		return limitFault(e)
	case directory.Forbidden:
		return faultf(http.StatusForbidden, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
	case directory.Unauthenticated:
		message := "The identity of the calling application could not be established."
		if e.Detail != "" {
			message = sentence(e.Detail)
		}
		return faultf(http.StatusUnauthorized, "InvalidAuthenticationToken", "%s", message)
	case directory.Full:
		return faultf(http.StatusInsufficientStorage, "InsufficientStorage", "The server has no room left to store the change, which was not made. What is stored is not affected.")
	}
	return faultf(http.StatusInternalServerError, "InternalServerError", "The server has failed. Its log says more under the request id.")
}

const notThereText = "Resource '%s' does not exist or one of its queried reference-property objects are not present."

// sameKey is Graph's code for a second object with the value of a key.
const sameKey = "Request_MultipleObjectsWithSameKeyValue"

func existsFault(e *directory.Error) *fault {
	switch {
	case e.Object == directory.CredentialObject && e.Field == "subject" && e.Spec != nil:
		return invalidCredential("The combination of issuer and subject must be unique for the application. Issuer %s and Subject: %s already exist.", e.Spec.Issuer, e.Spec.Subject).about("Subject", e.Spec.Subject)
	case e.Object == directory.CredentialObject:
		return faultf(http.StatusConflict, sameKey, "FederatedIdentityCredential with name %s already exists.", e.ID)
	case e.Field == "owners":
		return requestBad("One or more added object references already exist for the following modified properties: 'owners'.")
	case e.Object == directory.PrincipalObject:
		return faultf(http.StatusConflict, sameKey, "The service principal cannot be created, updated, or restored because the service principal name %s is already in use.", e.ID)
	case e.Object == directory.GrantObject:
		return requestBad("Permission being assigned already exists on the object")
	}
	f := requestBad("Another object with the same value for property %s already exists.", e.Field)
	f.details = []detail{{"ObjectConflict", f.message, e.Field}}
	return f
}

func invalidFault(e *directory.Error) *fault {
	switch {
	case e.Object == directory.CredentialObject:
		v, ok := errors.AsType[*credential.Violation](e.Err)
		if !ok {
			return invalidCredential("%s", sentence(e.Detail))
		}
		property := string(v.Field)
		property = strings.ToUpper(property[:1]) + property[1:]
		return invalidCredential("The %s %s.", v.Field, v.Detail).about(property, v.Value)
	case e.Object == directory.PrincipalObject && e.Field == "appId":
		return noApplication(e.Detail)
	case e.Object == directory.GrantObject:
		return requestBad("Permission being assigned was not found on application")
	case e.Object == directory.CertificateObject && e.Field == "endDateTime":
		return faultf(http.StatusBadRequest, "KeyCredentialsInvalidEndDate", "Key credential end date is invalid. It %s.", e.Detail)
	}
	return invalidValue(typeName(e.Object), e.Field, e.Detail)
}

func noApplication(appID string) *fault {
	f := requestBad("The appId '%s' of the service principal does not reference a valid application object.", appID)
	f.details = []detail{{"NoBackingApplicationObject", f.message, "appId"}}
	return f
}

func invalidValue(resource, property, why string) *fault {
	f := requestBad("Invalid value specified for property '%s' of resource '%s'.", property, resource)
	if why != "" {
		f.message += " " + sentence(why)
	}
	f.details = []detail{{"InvalidValue", f.message, property}}
	return f
}

func setReadOnly(property string) *fault {
	return requestBad("Property '%s' is read-only and cannot be set.", property)
}

func required(resource, property string) *fault {
	return requestBad("A value is required for property '%s' of resource '%s'.", property, resource)
}

func limitFault(e *directory.Error) *fault {
	if e.Object == directory.CredentialObject {
		return invalidCredential("An application can have at most %d federated identity credentials. Remove one that is no longer used, or raise the limit of the tenant.", e.Limit)
	}
	kind := "password"
	if e.Object == directory.CertificateObject {
		kind = "key"
	}
	return requestBad("An application or service principal can have at most %d %s credentials. Remove one that is no longer used.", e.Limit, kind)
}

func invalidCredential(format string, args ...any) *fault {
	return faultf(http.StatusBadRequest, "InvalidFederatedIdentityCredentialValue", format, args...)
}

// about adds which value was refused, in the form that Graph has for credentials.
func (f *fault) about(property, value string) *fault {
	f.message += fmt.Sprintf(" paramName: FederatedIdentityCredential.%s, paramValue: %s, objectType: Microsoft.Online.DirectoryServices.Application", property, shorten(value, 1000))
	return f
}

func typeName(o directory.Object) string {
	switch o {
	case directory.ApplicationObject:
		return "Application"
	case directory.PrincipalObject:
		return "ServicePrincipal"
	case directory.CredentialObject:
		return "FederatedIdentityCredential"
	case directory.SecretObject:
		return "PasswordCredential"
	case directory.CertificateObject:
		return "KeyCredential"
	case directory.GrantObject:
		return "AppRoleAssignment"
	}
	return string(o)
}

// sentence makes a sentence of the domain's words.
func sentence(s string) string {
	if s == "" {
		return s
	}
	r, n := utf8.DecodeRuneInString(s)
	s = strings.ToUpper(string(r)) + s[n:]
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}

// shorten cuts a text to n bytes, between characters.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
