package token

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/exchange"
)

// FuzzReadForm looks for a body that makes the reader panic, or that it refuses
// otherwise than with an answer, or that holds what no database takes.
func FuzzReadForm(f *testing.F) {
	f.Add([]byte("grant_type=client_credentials&client_id=x"), "", "")
	f.Add([]byte("a=1&a=2"), "gzip", "Basic eDp5")
	f.Add([]byte("\x1f\x8b\x08"), "gzip", "Basic !")
	f.Fuzz(func(t *testing.T, body []byte, encoding, authorization string) {
		r := httptest.NewRequest(http.MethodPost, "/x/oauth2/v2.0/token", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Content-Encoding", encoding)
		r.Header.Set("Authorization", authorization)
		fields, err := readForm(httptest.NewRecorder(), r)
		if err != nil {
			if e, ok := err.(*exchange.Error); !ok || answers[e.Reason].code == 0 {
				t.Errorf("refused with %v", err)
			}
			return
		}
		for name, value := range fields {
			if !isText(value) {
				t.Errorf("field %q is %q", name, value)
			}
		}
		if _, err := fields.check(false); err != nil {
			if _, ok := err.(*exchange.Error); !ok {
				t.Errorf("refused with %v", err)
			}
		}
	})
}

// Of two headers that say how to read a form, or who sends it, a proxy may have
// taken the other one.
func TestRepeatedHeaders(t *testing.T) {
	for name, value := range map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Authorization": "Basic eDp5", "Content-Encoding": "identity"} {
		r := httptest.NewRequest(http.MethodPost, "/x/oauth2/v2.0/token", strings.NewReader("a=1"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header[name] = []string{value}
		if _, err := readForm(httptest.NewRecorder(), r); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r.Header[name] = []string{value, value}
		if f, err := readForm(httptest.NewRecorder(), r); err == nil {
			t.Errorf("%s twice: %v", name, f)
		}
	}
}

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body is read")
	return 0, io.EOF
}

func TestLargeBodyIsNotReadAtAll(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/x/oauth2/v2.0/token", unread{t})
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.ContentLength = maxBody + 1
	if _, err := readForm(httptest.NewRecorder(), r); err == nil {
		t.Error("taken")
	}
}

func TestCapabilities(t *testing.T) {
	for text, want := range map[string]int{
		``: 0, `{}`: 0, `{"access_token":null}`: 0,
		`{"access_token":{"xms_cc":{"values":["CP1"]}}}`:                                                                    1,
		`{"access_token":{"xms_cc":{"values":["cp1","other"]},"nbf":{"essential":true,"value":"1"}},"id_token":{"x":null}}`: 1,
		`{"access_token":{"xms_cc":{"values":["other"]}}}`:                                                                  0,
		`{`: -1, `[]`: -1, `null`: -1, `{"access_token":[]}`: -1, `{"access_token":{},"access_token":{}}`: -1, `{"access_token":{"xms_cc":{"values":"CP1"}}}`: -1,
	} {
		got, err := form{"claims": text}.capabilities()
		if (err != nil) != (want < 0) || err == nil && len(got) != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}
