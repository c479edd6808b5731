package client

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// step is one request that a server expects and what it answers. "{base}" stands
// for the server's own URL.
type step struct {
	request string            // method and request target
	body    string            // JSON; empty: no body
	header  map[string]string // of the request

	status int // 0: 200
	answer string
	reply  map[string]string // headers of the answer
}

// script is a server over TLS that holds a client to a list of steps.
type script struct {
	*httptest.Server
	t *testing.T

	mu    sync.Mutex
	steps []step
}

func serve(t *testing.T, steps ...step) *script {
	t.Helper()
	s := &script{t: t, steps: steps}
	s.Server = httptest.NewTLSServer(s)
	t.Cleanup(func() {
		s.Close()
		if len(s.steps) > 0 {
			t.Errorf("%d requests did not come; the next is %s", len(s.steps), s.steps[0].request)
		}
	})
	return s
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := r.Method + " " + r.RequestURI
	if len(s.steps) == 0 {
		s.t.Errorf("request after the last: %s", got)
		http.Error(w, "no more", http.StatusTeapot)
		return
	}
	next := s.steps[0]
	s.steps = s.steps[1:]
	if got != next.request {
		s.t.Errorf("request:\n got %s\nwant %s", got, next.request)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	if !sameJSON(body, []byte(next.body)) {
		s.t.Errorf("body of %s:\n got %s\nwant %s", got, body, next.body)
	}
	for k, v := range next.header {
		if r.Header.Get(k) != v {
			s.t.Errorf("%s of %s: got %q, want %q", k, got, r.Header.Get(k), v)
		}
	}
	for k, v := range next.reply {
		w.Header().Set(k, s.fill(v))
	}
	if next.status == 0 {
		next.status = http.StatusOK
	}
	w.WriteHeader(next.status)
	io.WriteString(w, s.fill(next.answer))
}

func (s *script) fill(text string) string { return strings.ReplaceAll(text, "{base}", s.URL) }

// client returns a client of the script, which waits without taking time and
// notes how long.
func (s *script) client() (*Client, *[]time.Duration) {
	s.t.Helper()
	c, err := New(Config{Endpoints: Entente(s.URL), HTTP: s.Client(), Credential: fixed("tok")})
	if err != nil {
		s.t.Fatal(err)
	}
	waits := &[]time.Duration{}
	c.wait = noting(waits)
	return c, waits
}

func noting(waits *[]time.Duration) func(context.Context, time.Duration) error {
	return func(ctx context.Context, d time.Duration) error {
		*waits = append(*waits, d)
		return ctx.Err()
	}
}

// fixed is a credential that always has the same token.
type fixed string

func (f fixed) Token(_ context.Context, scope string) (Token, error) {
	return Token{AccessToken: string(f)}, nil
}

func sameJSON(a, b []byte) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return bytes.Equal(a, b)
	}
	return cmp.Equal(x, y)
}

// methods is a table of method calls: what goes over the wire, and what comes out.
type methods []struct {
	name  string
	steps []step
	call  func(context.Context, *Client) (any, error)
	want  any
	fails string // a part of the error
}

func (m methods) run(t *testing.T) {
	for _, tt := range m {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, tt.steps...)
			c, _ := s.client()
			got, err := tt.call(t.Context(), c)
			switch {
			case tt.fails == "" && err != nil:
				t.Fatal(err)
			case tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)):
				t.Fatalf("error:\n got %v\nwant …%s…", err, tt.fails)
			case tt.fails == "":
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("-want +got\n%s", diff)
				}
			}
		})
	}
}

// done lets a method that returns only an error stand in a table.
func done(err error) (any, error) { return nil, err }

// made is the result of a method that tells whether it created.
type made struct {
	Object  any
	Created bool
}

func putting[T any](o T, created bool, err error) (any, error) { return made{o, created}, err }
