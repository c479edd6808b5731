package graph

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/entente-id/entente/internal/strictjson"
)

// largestBody bounds a body, and what a compressed one grows to.
const largestBody = 256 << 10

// write makes a handler with a body.
func write[In any](do func(*call, In) (answer, error)) func(*call) (answer, error) {
	return func(c *call) (answer, error) {
		var in In
		data, err := c.read()
		if err != nil {
			return answer{}, err
		}
		if err := decode(data, &in); err != nil {
			return answer{}, err
		}
		return do(c, in)
	}
}

// read reads the body of a request. Graph's own SDKs compress it.
func (c *call) read() ([]byte, error) {
	body, encoding := io.Reader(http.MaxBytesReader(c.w, c.r.Body, largestBody)), c.r.Header.Get("Content-Encoding")
	if len(c.r.Header.Values("Content-Encoding")) > 1 {
		encoding = "several"
	}
	var err error
	switch strings.ToLower(encoding) {
	case "", "identity":
	case "gzip":
		if body, err = gzip.NewReader(body); err != nil {
			return nil, readFault(err)
		}
	default:
		return nil, faultf(http.StatusUnsupportedMediaType, "UnsupportedMediaType", "The Content-Encoding of the request is not supported: send gzip or none.")
	}
	data, err := io.ReadAll(io.LimitReader(body, largestBody+1))
	switch {
	case err != nil:
		return nil, readFault(err)
	case len(data) > largestBody:
		return nil, errTooLarge
	case len(bytes.TrimSpace(data)) == 0:
		return nil, nil
	}
	return data, c.checkMediaType()
}

var errTooLarge = faultf(http.StatusRequestEntityTooLarge, "Request_EntityTooLarge", "The request body is larger than %d bytes.", largestBody)

func readFault(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errTooLarge
	}
	return badRequest("The request body cannot be read: %s.", strings.TrimPrefix(err.Error(), "gzip: "))
}

func (c *call) checkMediaType() error {
	given := c.r.Header.Values("Content-Type")
	if len(given) == 0 {
		return requestBad("Write requests (excluding DELETE) must contain the Content-Type header declaration.")
	}
	media, parameters, err := mime.ParseMediaType(given[0])
	if charset := parameters["charset"]; err != nil || len(given) > 1 || media != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return faultf(http.StatusUnsupportedMediaType, "UnsupportedMediaType", "The Content-Type of the request is not supported: send application/json in UTF-8.")
	}
	return nil
}

// opt is a member that may be absent, or null, or have a value.
type opt[T any] struct {
	set   bool
	null  bool
	value T
}

func (o *opt[T]) read(raw json.RawMessage) error {
	o.set, o.null = true, string(raw) == "null"
	if o.null {
		return nil
	}
	return strictjson.Decode(raw, &o.value)
}

// ptr is nil for an absent member and the zero value for null.
func (o opt[T]) ptr() *T {
	if !o.set {
		return nil
	}
	return &o.value
}

// given says whether there is a value.
func (o opt[T]) given() bool { return o.set && !o.null }

// readsMore is a body with members besides its fields.
type readsMore interface {
	// member takes a member for which there is no field. It returns
	// errUnknown for what it does not know either.
	member(name string, value json.RawMessage) error
}

var errUnknown = errors.New("unknown member")

// mayBeEmpty is a body that need not be there.
type mayBeEmpty interface{ mayBeEmpty() }

// parses is a body with a syntax of its own.
type parses interface{ parse(data []byte) error }

// decode reads one JSON object into the opt fields of the struct that v points
// to, by their name tags. Member names match exactly. A member that is not
// known is refused, since Graph has no member that may be ignored.
func decode(data []byte, v any) error {
	if len(data) == 0 {
		if _, ok := v.(mayBeEmpty); ok {
			return nil
		}
		return badRequest("Empty Payload. JSON content expected.")
	}
	if p, ok := v.(parses); ok {
		return p.parse(data)
	}
	o, err := strictjson.ParseObject(data)
	if err != nil {
		return unreadable(err)
	}
	for _, name := range slices.Sorted(keysOf(o)) {
		field, err := fieldOf(v, name), error(nil)
		more, open := v.(readsMore)
		switch {
		case field != nil:
			if field.read(o[name]) != nil {
				err = requestBad("Invalid value specified for property '%s': its type is not the one expected.", name)
			}
		case open:
			err = more.member(name, o[name])
		default:
			err = errUnknown
		}
		if err == errUnknown {
			err = unknownMember(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unknownMember refuses a member besides annotations (OData JSON format, section 4.6), which say nothing here.
func unknownMember(name string) error {
	if strings.Contains(name, "@odata.") && !strings.HasSuffix(name, "@odata.bind") {
		return nil
	}
	return requestBad("Invalid property '%s'.", name)
}

func unreadable(err error) error {
	return badRequest("Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format. (%s)", strings.TrimPrefix(err.Error(), "JSON: "))
}

type field interface{ read(json.RawMessage) error }

func fieldOf(v any, name string) field {
	s := reflect.ValueOf(v).Elem()
	for i := range s.NumField() {
		if tag, ok := s.Type().Field(i).Tag.Lookup("name"); ok && tag == name {
			f, ok := s.Field(i).Addr().Interface().(field)
			if !ok {
				panic(fmt.Sprintf("graph: %T.%s is not an opt", v, name))
			}
			return f
		}
	}
	return nil
}

// isEmpty says whether a member says nothing: null, "", [], {} or false.
func isEmpty(raw json.RawMessage) bool {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return false
	}
	return slices.Contains([]string{`null`, `""`, `[]`, `{}`, `false`}, b.String())
}
