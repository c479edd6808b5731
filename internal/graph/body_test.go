package graph

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/directory"
)

func compress(t *testing.T, data string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestBodies(t *testing.T) {
	w := newWorld(t)
	good := `{"displayName":"x"}`
	for _, c := range []struct {
		name    string
		body    any
		headers []string
		status  int
	}{
		{"plain", good, nil, 201},
		{"with a charset", good, []string{"Content-Type: application/json; charset=UTF-8"}, 201},
		{"with OData parameters", good, []string{"Content-Type: application/json;odata.metadata=minimal"}, 201},
		{"gzip", compress(t, good), []string{"Content-Encoding: gzip"}, 201},
		{"GZIP", compress(t, good), []string{"Content-Encoding: GZIP"}, 201},
		{"identity", good, []string{"Content-Encoding: identity"}, 201},
		{"another charset", good, []string{"Content-Type: application/json; charset=iso-8859-1"}, 415},
		{"form", good, []string{"Content-Type: application/x-www-form-urlencoded"}, 415},
		{"text", good, []string{"Content-Type: text/plain"}, 415},
		{"broken type", good, []string{"Content-Type: ;;"}, 415},
		{"without a type", good, []string{"Content-Type: "}, 400},
		{"deflate", good, []string{"Content-Encoding: deflate"}, 415},
		{"two encodings", good, []string{"Content-Encoding: gzip, gzip"}, 415},
		{"not gzip", good, []string{"Content-Encoding: gzip"}, 400},
		{"cut gzip", compress(t, good)[:20], []string{"Content-Encoding: gzip"}, 400},
		{"gzip and more", append(compress(t, good), "more"...), []string{"Content-Encoding: gzip"}, 400},
		{"bomb", compress(t, strings.Repeat(" ", 50<<20)), []string{"Content-Encoding: gzip"}, 413},
		{"10 MiB", strings.Repeat(" ", 10<<20), nil, 413},
		{"one too many", good + strings.Repeat(" ", largestBody), nil, 413},
		{"the largest", good + strings.Repeat(" ", largestBody-len(good)), nil, 201},
	} {
		got := w.do(admin, "POST", "/applications", c.body, c.headers...)
		if got.status != c.status {
			t.Errorf("%s: %d, want %d: %s", c.name, got.status, c.status, got.text)
		}
	}
	w.do(admin, "POST", "/applications", good, "Content-Type: ").fails(400, "Request_BadRequest", "Write requests (excluding DELETE) must contain the Content-Type header declaration.")
	w.do(admin, "POST", "/applications", strings.Repeat(" ", 1<<20)).fails(413, "Request_EntityTooLarge", "The request body is larger than 262144 bytes.")
	w.do(admin, "POST", "/applications", good, "Content-Type: text/plain").fails(415, "UnsupportedMediaType", "The Content-Type of the request is not supported: send application/json in UTF-8.")
	id, _ := w.application(admin, "y")
	w.do(admin, "DELETE", "/applications/"+id, "a body that nobody reads", "Content-Type: text/plain").is(204)
}

// FuzzBody: no body of an application panics or is stored so that it cannot be shown.
func FuzzBody(f *testing.F) {
	for _, text := range []string{`{"displayName":"x"}`, `{"web":{"redirectUris":["x"]},"api":{"requestedAccessTokenVersion":2}}`, `{"web":null}`, `{"appRoles":[{}]}`, `{"info":{"logoUrl":null}}`, `{"optionalClaims":[]}`, `[]`, `{"api":{"x@odata.type":1}}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var b applicationBody
		if decode(data, &b) != nil {
			return
		}
		var a directory.Application
		if b.check() != nil || b.apply(&a) != nil {
			return
		}
		if text, err := encode(applicationObject(a, "", "")); err != nil || !json.Valid(text) {
			t.Fatalf("%s cannot be shown: %v", data, err)
		}
		if err := b.apply(&a); err != nil {
			t.Fatalf("%s can be applied once and not twice: %v", data, err)
		}
	})
}
