package token

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/entente-id/entente/internal/exchange"
	"github.com/entente-id/entente/internal/strictjson"
)

// Bounds on the body of a request.
const (
	maxBody     = 64 << 10  // as it is sent
	maxInflated = 256 << 10 // when it is compressed
)

// form is a token request as it was sent: every field once.
type form map[string]string

// readForm reads an application/x-www-form-urlencoded body. Fields without
// value count as absent. No field may be there twice (RFC 6749 section 3.2), nor
// a header that says how to read them, because two readers would take two
// different ones. The query of the URL is not looked at. Errors are *exchange.Error.
func readForm(w http.ResponseWriter, r *http.Request) (form, error) {
	refuse := func(reason exchange.Reason, format string, args ...any) (form, error) {
		return nil, &exchange.Error{Reason: reason, Err: fmt.Errorf(format, args...)}
	}
	for _, name := range []string{"Content-Type", "Authorization"} {
		if len(r.Header.Values(name)) > 1 {
			return refuse(formMalformed, "header %s is repeated", name)
		}
	}
	media, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if charset := parameters["charset"]; err != nil || media != "application/x-www-form-urlencoded" || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return refuse(formMalformed, "content type %.80q is not a form in UTF-8", r.Header.Get("Content-Type"))
	}
	if r.ContentLength > maxBody {
		return refuse(formTooLarge, "body has %d bytes", r.ContentLength)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if e, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return refuse(formTooLarge, "read body: %w", e)
	}
	if err != nil {
		return refuse(formMalformed, "read body: %w", err)
	}
	switch encoding := strings.Join(r.Header.Values("Content-Encoding"), ","); strings.ToLower(encoding) {
	case "", "identity":
	case "gzip", "x-gzip": // azwi compresses every body
		if body, err = inflate(body); err != nil {
			return refuse(formMalformed, "inflate body: %w", err)
		}
		if len(body) > maxInflated {
			return refuse(formTooLarge, "body inflates to more than %d bytes", maxInflated)
		}
	default:
		w.Header().Set("Accept-Encoding", "gzip")
		return refuse(encodingRefused, "content encoding %.80q", encoding)
	}
	fields, err := url.ParseQuery(string(body))
	if err != nil {
		return refuse(formMalformed, "parse body: a bad escape, or a semicolon") // the cause would repeat a part of it
	}
	f := form{}
	for name, values := range fields {
		if len(values) > 1 {
			return refuse(formMalformed, "field %s is repeated", known(name))
		}
		if !isText(values[0]) {
			return refuse(formMalformed, "field %s is no text", known(name))
		}
		f[name] = values[0]
	}
	r.PostForm = fields
	return f, f.addBasic(r)
}

// known is a field's name as a log may have it. A body that is no form reads as
// a field whose name is the body, with whatever secret stands in it.
func known(name string) string {
	switch name {
	case "client_id", "client_secret", "client_assertion", "client_assertion_type", "grant_type", "scope", "resource", "claims":
		return name
	}
	return "of another name"
}

// inflate returns at most one byte more than may be.
func inflate(body []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(z, maxInflated+1))
}

// addBasic takes the client's name and secret from the Authorization header
// (RFC 6749 section 2.3.1). A client may say them there or in the body, not in both.
func (f form) addBasic(r *http.Request) error {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Basic") {
		return nil
	}
	refuse := func(err error) error {
		return &exchange.Error{Reason: formMalformed, Err: fmt.Errorf("authorization header: %w", err)}
	}
	name, secret, ok := r.BasicAuth()
	if !ok {
		return refuse(errors.New("not base64"))
	}
	name, badName := url.QueryUnescape(name)
	secret, badSecret := url.QueryUnescape(secret)
	if badName != nil || badSecret != nil {
		return refuse(errors.New("a bad escape")) // the cause would repeat a part of the secret
	}
	if !isText(name) || !isText(secret) {
		return refuse(errors.New("no text"))
	}
	if f["client_secret"] != "" || f["client_assertion"] != "" || f["client_id"] != "" && !strings.EqualFold(f["client_id"], name) {
		return refuse(errTwoProofs)
	}
	f["client_id"], f["client_secret"] = name, secret
	return nil
}

// isText says whether both databases take a value.
func isText(value string) bool { return utf8.ValidString(value) && !strings.ContainsRune(value, 0) }

// jwtBearer is the one type of client_assertion (RFC 7523 section 2.2).
const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// check refuses what no exchange is tried for, and returns the capabilities of
// the client. Errors are *exchange.Error.
func (f form) check(older bool) (capabilities []string, err error) {
	missing := func(name string) error {
		return &exchange.Error{Reason: exchange.ParameterMissing, Parameter: name}
	}
	switch {
	case f["grant_type"] == "":
		return nil, missing("grant_type")
	case f["grant_type"] != "client_credentials":
		return nil, &exchange.Error{Reason: grantRefused, Given: f["grant_type"]}
	case !older && f["resource"] != "":
		return nil, &exchange.Error{Reason: resourceRefused}
	case f["client_assertion"] != "" && f["client_assertion_type"] == "":
		return nil, missing("client_assertion_type")
	case f["client_assertion"] != "" && f["client_assertion_type"] != jwtBearer:
		return nil, &exchange.Error{Reason: formMalformed, Err: fmt.Errorf("client_assertion_type %.80q", f["client_assertion_type"])}
	case f["client_assertion"] != "" && f["client_secret"] != "":
		return nil, &exchange.Error{Reason: formMalformed, Err: errTwoProofs}
	}
	return f.capabilities()
}

var errTwoProofs = errors.New("the client proves itself in two ways")

// capabilities reads which client capabilities the claims request (OpenID
// Connect Core 1.0 section 5.5) declares. CP1 is the only one there is: the
// client understands claims challenges
// (https://learn.microsoft.com/entra/identity-platform/claims-challenge).
func (f form) capabilities() ([]string, error) {
	if f["claims"] == "" {
		return nil, nil
	}
	refuse := func(err error) ([]string, error) {
		return nil, &exchange.Error{Reason: formMalformed, Err: fmt.Errorf("claims request: %w", err)}
	}
	if _, err := strictjson.ParseObject([]byte(f["claims"])); err != nil {
		return refuse(err)
	}
	var asked struct {
		AccessToken struct {
			Capabilities struct {
				Values []string `json:"values"`
			} `json:"xms_cc"`
		} `json:"access_token"`
	}
	if err := strictjson.Decode([]byte(f["claims"]), &asked); err != nil {
		return refuse(err)
	}
	if slices.ContainsFunc(asked.AccessToken.Capabilities.Values, func(v string) bool { return strings.EqualFold(v, "CP1") }) {
		return []string{"CP1"}, nil
	}
	return nil, nil
}
