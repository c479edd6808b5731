package arm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/strictjson"
)

// call is one request with what the phases have found out about it.
type call struct {
	context.Context
	w  http.ResponseWriter
	r  *http.Request
	id string // of the request

	route        *route
	args         map[string]string // the path's, by the names in the pattern
	query        map[string]string // by names in lower case
	version      string            // api-version
	base         string
	caller       directory.Caller
	subscription directory.Subscription // when the path names one
}

// parseQuery reads a query of which every name stands once, in any case.
func parseQuery(raw string) (map[string]string, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "BadRequest", "The query of the request could not be read.")
	}
	query := make(map[string]string, len(values))
	for name, given := range values {
		key := strings.ToLower(name)
		if _, twice := query[key]; twice || len(given) > 1 {
			return nil, refuse(http.StatusBadRequest, "BadRequest", "The query parameter '%s' is given more than once.", clip(name))
		}
		query[key] = given[0]
	}
	return query, nil
}

// The largest bodies, in bytes. An issuer may bring a key set and certificates.
const (
	maxBody       = 256 << 10
	maxIssuerBody = 1 << 20
)

// handler is one operation. Its answer does not count when it returns an error.
type handler func(*Surface, *call) (*answer, error)

// body makes a handler of an operation that takes a JSON object. No body at
// all is an empty object, so that what is missing is said by its name.
func body[T any](operation func(*Surface, *call, T) (*answer, error)) handler {
	return func(s *Surface, c *call) (*answer, error) {
		data, err := c.readBody(maxBody)
		if err != nil {
			return nil, err
		}
		if err := distinct(data); err != nil {
			return nil, unreadable(err)
		}
		var in T
		if err := strictjson.Decode(data, &in); err != nil {
			return nil, unreadable(err)
		}
		return operation(s, c, in)
	}
}

func (c *call) readBody(limit int64) ([]byte, error) {
	r := c.r
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	if r.ContentLength != 0 && !isJSON(r.Header) {
		return nil, refuse(http.StatusUnsupportedMediaType, "UnsupportedMediaType", "The content media type '%s' is not supported. Only 'application/json' is supported.", clip(r.Header.Get("Content-Type")))
	}
	data, err := io.ReadAll(http.MaxBytesReader(c.w, r.Body, limit))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, tooLarge(limit)
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "BadRequest", "The request content could not be read.")
	}
	data = bytes.TrimLeft(data, " \t\r\n")
	if len(data) == 0 {
		return []byte("{}"), nil
	}
	if data[0] != '{' {
		return nil, unreadable(errors.New("a JSON object is expected"))
	}
	return data, nil
}

func isJSON(h http.Header) bool {
	if encoding := h.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return false
	}
	kind, parameters, err := mime.ParseMediaType(h.Get("Content-Type"))
	charset := parameters["charset"]
	return err == nil && kind == "application/json" && (charset == "" || strings.EqualFold(charset, "utf-8"))
}

func tooLarge(limit int64) error {
	return refuse(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "The request content is larger than %d bytes.", limit)
}

func unreadable(err error) error {
	return refuse(http.StatusBadRequest, "InvalidRequestContent", "The request content was invalid and could not be deserialized: '%s'.", clip(err.Error()))
}

// distinct checks a body by the strict rule, and that no object in it has
// members whose names differ only by case.
func distinct(data []byte) error {
	if err := strictjson.Check(data); err != nil {
		return err
	}
	return distinctNames(data)
}

func distinctNames(data []byte) error {
	object, err := strictjson.ParseOuter(data)
	if err != nil {
		return err
	}
	if err := noTwins(object); err != nil {
		return err
	}
	for _, value := range object {
		if value[0] == '{' {
			if err := distinctNames(value); err != nil {
				return err
			}
		}
	}
	return nil
}

// noTwins refuses names that differ only by case: Azure reads names without
// case, so that a proxy or a person may take the other one of the two for the
// one that counts. Names of tags are without case as well.
func noTwins(object strictjson.Object) error {
	seen := make(map[string]bool, len(object))
	for name := range object {
		key := strings.ToLower(name)
		if seen[key] {
			return errors.New("two members of an object have one name but for its case")
		}
		seen[key] = true
	}
	return nil
}

// answer is what is sent. A nil body is none.
type answer struct {
	status   int
	body     any
	location string // of what was made
	header   map[string]string
}

// found answers with one object.
func found(body any) *answer { return &answer{status: http.StatusOK, body: body} }

// put answers a PUT: 201, with where it is, for what was not there before.
func put(body any, created bool, id string) *answer {
	if !created {
		return found(body)
	}
	return &answer{status: http.StatusCreated, body: body, location: id}
}

// removed answers a DELETE: 204 for an object of that type that was not there anyway.
func removed(err error, object directory.Object) (*answer, error) {
	if e, ok := errors.AsType[*directory.Error](err); ok && e.Kind == directory.NotFound && e.Object == object {
		return &answer{status: http.StatusNoContent}, nil
	}
	return &answer{status: http.StatusOK}, err
}

// The quotas that Azure tells with every answer. There is none here; clients
// that slow down near zero must not.
const (
	readsLeft   = "11999"
	writesLeft  = "1199"
	deletesLeft = "14999"
)

func (c *call) write(a *answer) {
	h := c.w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("Pragma", "no-cache")
	h.Set("Expires", "-1")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Ms-Request-Id", c.id)
	correlation := c.r.Header.Get("X-Ms-Correlation-Request-Id")
	if uuid.Validate(correlation) != nil {
		correlation = c.id
	}
	h.Set("X-Ms-Correlation-Request-Id", correlation)
	quota := "tenant"
	if c.args["subscription"] != "" {
		quota = "subscription"
	}
	switch c.r.Method {
	case http.MethodGet, http.MethodHead:
		h.Set("X-Ms-Ratelimit-Remaining-"+quota+"-Reads", readsLeft)
	case http.MethodDelete:
		h.Set("X-Ms-Ratelimit-Remaining-"+quota+"-Deletes", deletesLeft)
	default:
		h.Set("X-Ms-Ratelimit-Remaining-"+quota+"-Writes", writesLeft)
	}
	if a.location != "" {
		h.Set("Location", a.location)
	}
	for name, value := range a.header {
		h.Set(name, value)
	}
	if a.body == nil {
		c.w.WriteHeader(a.status)
		return
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	status := a.status
	if err := encoder.Encode(a.body); err != nil { // only a stored value that is not JSON can do this
		text.Reset()
		status = http.StatusInternalServerError
		text.WriteString(`{"error":{"code":"InternalServerError","message":"` + internalText + `"}}`)
	}
	h.Set("Content-Type", "application/json; charset=utf-8")
	c.w.WriteHeader(status)
	c.w.Write(bytes.TrimRight(text.Bytes(), "\n"))
}

// stamp is how times stand in bodies (RFC 3339); the zero time is left out.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
