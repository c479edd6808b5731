package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/entente-id/entente/client"
)

// m is a JSON object.
type m map[string]any

// reply is an answer of a management wire.
type reply struct {
	status   int
	header   http.Header
	text     string
	document m
}

// at is a text in the document.
func (r reply) at(names ...string) string {
	var value any = map[string]any(r.document)
	for _, name := range names {
		members, _ := value.(map[string]any)
		value = members[name]
	}
	text, _ := value.(string)
	return text
}

// bearer is a token for the management wires.
func (s *service) bearer(t *testing.T, tenant, clientID, secret string) string {
	t.Helper()
	token, err := client.ClientSecret(s.Authority, tenant, clientID, secret, s.HTTP).Token(t.Context(), s.Authority+"/.default")
	if err != nil {
		t.Fatal(err)
	}
	return "Bearer " + token.AccessToken
}

// send makes a request with the values of an Authorization header. A body is
// JSON, or a string to be sent as it is.
func (s *service) send(t *testing.T, authorization []string, method, path string, body any) reply {
	t.Helper()
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		content = bytes.NewReader([]byte(b))
	default:
		data, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		content = bytes.NewReader(data)
	}
	q, err := http.NewRequestWithContext(t.Context(), method, s.Authority+path, content)
	if err != nil {
		t.Fatal(err)
	}
	q.Header["Authorization"] = authorization
	if content != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	a, err := s.HTTP.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	data, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	r := reply{status: a.StatusCode, header: a.Header, text: string(data)}
	if a.StatusCode >= 500 {
		t.Errorf("%s %s: %d %s", method, path, a.StatusCode, data)
	}
	if len(data) > 0 && a.Header.Get("Content-Type") != "text/plain" && json.Unmarshal(data, &r.document) != nil {
		t.Errorf("%s %s: %d %.200q, which is no object", method, path, a.StatusCode, data)
	}
	if a.StatusCode >= 400 && method != http.MethodHead && (r.at("error", "code") == "" || r.at("error", "message") == "") {
		t.Errorf("%s %s: %d %.200q, which is not the wire's error", method, path, a.StatusCode, data)
	}
	return r
}
