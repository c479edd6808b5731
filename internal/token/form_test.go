package token

import (
	"bytes"
	"net/http"
	"net/http/httptest"
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
