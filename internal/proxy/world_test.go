package proxy

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/testkit"
)

const (
	me       = "11111111-2222-3333-4444-555555555555"
	other    = "99999999-2222-3333-4444-555555555555"
	object   = "aaaaaaaa-2222-3333-4444-555555555555"
	resource = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/me"
	vault    = "https://vault.azure.net"
	secret   = "the-pod's-secret"
)

// authorityServer is a token endpoint whose faults can be had.
type authorityServer struct {
	*httptest.Server
	mu     sync.Mutex
	life   time.Duration
	answer func(w http.ResponseWriter, form url.Values) bool // instead of a token
	asked  []url.Values
	paths  []string
}

func (a *authorityServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.ParseForm()
	a.mu.Lock()
	a.asked = append(a.asked, r.PostForm)
	a.paths = append(a.paths, r.URL.Path)
	n, life, answer := len(a.asked), a.life, a.answer
	a.mu.Unlock()
	if answer != nil && answer(w, r.PostForm) {
		return
	}
	fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":%d,"access_token":"token %d of %s for %s"}`,
		life/time.Second, n, r.PostForm.Get("client_id"), r.PostForm.Get("scope"))
}

func (a *authorityServer) set(f func(w http.ResponseWriter, form url.Values) bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = f
}

func (a *authorityServer) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.asked)
}

func (a *authorityServer) last() url.Values {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked[len(a.asked)-1]
}

// refuse answers as Entra refuses.
func refuse(status int, code, description string, header ...string) func(http.ResponseWriter, url.Values) bool {
	return func(w http.ResponseWriter, _ url.Values) bool {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]any{"error": code, "error_description": description, "error_codes": []int{700213}})
		return true
	}
}

// pod is a proxy with all that stands around it in a pod.
type pod struct {
	*Proxy
	t         testing.TB
	authority *authorityServer
	clock     *testkit.Clock
	file      string
	url       string
	log       *buffer
}

type buffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func newPod(t testing.TB, change ...func(*Config, *Options)) *pod {
	t.Helper()
	a := &authorityServer{life: time.Hour}
	a.Server = httptest.NewTLSServer(a)
	a.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	t.Cleanup(a.Close)
	p := &pod{t: t, authority: a, clock: testkit.NewClock(time.Now()), file: filepath.Join(t.TempDir(), "token"), log: &buffer{}}
	p.rotate(time.Hour)
	c := Config{
		TenantID: "tenant", ClientID: me, TokenFile: p.file, Authority: a.URL, Secret: secret,
		Identities: Identities{{ClientID: other, ObjectID: object, ResourceID: resource}},
	}
	o := Options{Client: a.Client(), Clock: p.clock.Now, Log: slog.New(slog.NewJSONHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, f := range change {
		f(&c, &o)
	}
	p.Proxy = New(c, o)
	s := httptest.NewServer(p.Proxy)
	t.Cleanup(s.Close)
	p.url = s.URL
	return p
}

// rotate writes a service account token that lasts so long, as the kubelet does.
func (p *pod) rotate(life time.Duration) string {
	p.t.Helper()
	payload := fmt.Sprintf(`{"sub":"system:serviceaccount:pets:cat","exp":%d}`, p.clock.Now().Add(life).Unix())
	token := "header." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".assertion-secret"
	next := p.file + ".next"
	if err := os.WriteFile(next, []byte(token+"\n"), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(next, p.file); err != nil {
		p.t.Fatal(err)
	}
	return token
}

// reply is an answer as a client reads it.
type reply struct {
	status int
	header http.Header
	body   map[string]any
	text   string
}

func (r reply) field(name string) string { s, _ := r.body[name].(string); return s }

func read(t testing.TB, a *http.Response, err error) reply {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	r := reply{status: a.StatusCode, header: a.Header, text: string(text)}
	if strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(text, &r.body); err != nil {
			t.Errorf("%q is not JSON: %v", text, err)
		}
	}
	return r
}

// get sends a request with some headers, given as name and value.
func (p *pod) get(target string, header ...string) reply {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url+target, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		} else {
			r.Header.Add(header[i], header[i+1])
		}
	}
	a, err := http.DefaultClient.Do(r)
	return read(p.t, a, err)
}

// imds asks as a program on a virtual machine does.
func (p *pod) imds(query string) reply {
	p.t.Helper()
	return p.get("/metadata/identity/oauth2/token?api-version=2018-02-01&"+query, "Metadata", "true")
}

func (p *pod) site(query string) reply {
	p.t.Helper()
	return p.get("/msi/token?api-version=2019-08-01&"+query, "X-IDENTITY-HEADER", secret)
}

// raw sends bytes, for what Go's client would not send.
func (p *pod) raw(request string) reply {
	p.t.Helper()
	u, _ := url.Parse(p.url)
	c, err := net.Dial("tcp", u.Host)
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		p.t.Fatal(err)
	}
	a, err := http.ReadResponse(bufio.NewReader(c), nil)
	return read(p.t, a, err)
}

// said checks that neither the log nor a text holds what has to stay secret.
func (p *pod) said(texts ...string) {
	p.t.Helper()
	for _, text := range append(texts, p.log.String()) {
		for _, word := range []string{"assertion-secret", secret, "token 1 of"} {
			if strings.Contains(text, word) {
				p.t.Errorf("%q holds %q", cut(text, 2000), word)
			}
		}
	}
}
