package localissuer

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func read(t *testing.T, r *http.Response) string {
	t.Helper()
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestAnswersOnDemand(t *testing.T) {
	i := newIssuer(t)
	discovery, keys := string(i.Discovery()), string(i.JWKS())
	member := strings.TrimSuffix(strings.TrimPrefix(keys, `{"keys":[`), "]}")
	type answer struct {
		status int
		body   string
	}
	healthyDiscovery, healthyKeys := answer{http.StatusOK, discovery}, answer{http.StatusOK, keys}
	for name, tt := range map[string]struct {
		faults          Faults
		discovery, keys answer
	}{
		"none":                {Faults{}, healthyDiscovery, healthyKeys},
		"status of both":      {Faults{Status: 503}, answer{503, discovery}, answer{503, keys}},
		"status of keys":      {Faults{On: Keys, Status: 404}, healthyDiscovery, answer{404, keys}},
		"status of discovery": {Faults{On: Discovery, Status: 403}, answer{403, discovery}, healthyKeys},
		"raw discovery":       {Faults{On: Discovery, Body: []byte("{")}, answer{200, "{"}, healthyKeys},
		"raw keys":            {Faults{On: Keys, Body: []byte(`{"keys":[]}`)}, healthyDiscovery, answer{200, `{"keys":[]}`}},
		"empty keys":          {Faults{On: Keys, Body: []byte{}}, healthyDiscovery, answer{200, ""}},
		"other issuer": {Faults{DiscoveryIssuer: "https://other.example"},
			answer{200, strings.Replace(discovery, testURL, "https://other.example", 1)}, healthyKeys},
		"other place of keys": {Faults{JWKSURI: "http://other.example/k"},
			answer{200, strings.Replace(discovery, testURL+"openid/v1/jwks", "http://other.example/k", 1)}, healthyKeys},
		"extra keys": {Faults{ExtraKeys: []json.RawMessage{[]byte(`{"kty":"oct","k":"AA"}`), []byte(`{"kty":"RSA","kty":7}`)}},
			healthyDiscovery, answer{200, `{"keys":[{"kty":"oct","k":"AA"},{"kty":"RSA","kty":7},` + member + "]}"}},
		"extra keys beside a fault of discovery": {Faults{On: Discovery, Status: 500, ExtraKeys: []json.RawMessage{[]byte("7")}},
			answer{500, discovery}, answer{200, `{"keys":[7,` + member + "]}"}},
		"huge":  {Faults{On: Keys, Huge: 100_000}, healthyDiscovery, answer{200, strings.Repeat(" ", 100_000) + keys}},
		"drip":  {Faults{On: Keys, Drip: time.Nanosecond}, healthyDiscovery, healthyKeys},
		"delay": {Faults{Delay: time.Nanosecond}, healthyDiscovery, healthyKeys},
	} {
		t.Run(name, func(t *testing.T) {
			i.SetFaults(tt.faults)
			r := request(i.Handler(), http.MethodGet, discoveryPath)
			if diff := cmp.Diff(tt.discovery.body, read(t, r)); diff != "" || r.StatusCode != tt.discovery.status {
				t.Errorf("discovery: %s %s", r.Status, diff)
			}
			r = request(i.Handler(), http.MethodGet, keysPath)
			if diff := cmp.Diff(tt.keys.body, read(t, r)); diff != "" || r.StatusCode != tt.keys.status {
				t.Errorf("keys: %s %s", r.Status, diff)
			}
		})
	}
	if string(i.JWKS()) != keys {
		t.Error("a fault changed what JWKS returns")
	}
}

func TestHeaders(t *testing.T) {
	i := newIssuer(t)
	i.SetFaults(Faults{Header: http.Header{"Cache-Control": {"max-age=7"}, "Content-Type": nil, "X-Flood": {"1", "2"}}})
	got := request(i.Handler(), http.MethodGet, keysPath).Header
	if got.Get("Cache-Control") != "max-age=7" || got.Values("Content-Type") != nil || len(got.Values("X-Flood")) != 2 {
		t.Errorf("header %v", got)
	}
}

func TestRedirects(t *testing.T) {
	i := newIssuer(t)
	i.SetFaults(Faults{On: Keys, Redirect: "https://169.254.169.254/", Status: http.StatusTemporaryRedirect})
	r := request(i.Handler(), http.MethodGet, keysPath)
	if r.StatusCode != http.StatusTemporaryRedirect || r.Header.Get("Location") != "https://169.254.169.254/" {
		t.Errorf("%s to %q", r.Status, r.Header.Get("Location"))
	}
	i.SetFaults(Faults{Redirect: "/elsewhere"})
	if r = request(i.Handler(), http.MethodGet, discoveryPath); r.StatusCode != http.StatusFound {
		t.Errorf("%s", r.Status)
	}
}

func TestGzipBombHoldsTheDocument(t *testing.T) {
	i := newIssuer(t)
	i.SetFaults(Faults{GzipBomb: true})
	r := request(i.Handler(), http.MethodGet, keysPath)
	if r.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("header %v", r.Header)
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.CopyN(io.Discard, z, bombSize); err != nil {
		t.Fatalf("the bomb ends after %d bytes: %v", n, err)
	}
	if rest, err := io.ReadAll(z); err != nil || string(rest) != string(i.JWKS()) {
		t.Errorf("behind the padding: %q, %v", rest, err)
	}
}

// Whatever an answer never does by itself, it stops doing when the client goes away.
func TestUnendingAnswersEndWithTheClient(t *testing.T) {
	for name, faults := range map[string]Faults{
		"hang":         {Hang: true},
		"delay":        {Delay: 24 * time.Hour},
		"drip":         {Drip: 24 * time.Hour},
		"endless":      {Endless: true},
		"endless bomb": {Endless: true, GzipBomb: true},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t)
			ended := make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(ended)
				i.Handler().ServeHTTP(w, r)
			}))
			defer server.Close()
			arrived := make(chan struct{})
			faults.Hook = func(*http.Request) { close(arrived) }
			i.SetFaults(faults)

			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+keysPath, nil)
			if err != nil {
				t.Fatal(err)
			}
			failed := make(chan error, 1)
			go func() {
				answer, err := server.Client().Do(r)
				if err == nil {
					defer answer.Body.Close()
					_, err = io.Copy(io.Discard, answer.Body)
				}
				failed <- err
			}()
			<-arrived
			cancel()
			if err := <-failed; !errors.Is(err, context.Canceled) {
				t.Errorf("the client ended with %v", err)
			}
			<-ended
			if _, keys := i.Fetches(); keys != 1 {
				t.Errorf("%d fetches", keys)
			}
		})
	}
}

func TestAbort(t *testing.T) {
	i := newIssuer(t)
	server := httptest.NewServer(i.Handler())
	defer server.Close()
	i.SetFaults(Faults{Abort: true})
	if r, err := server.Client().Get(server.URL + keysPath); err == nil {
		r.Body.Close()
		t.Errorf("answer %s", r.Status)
	}
}
