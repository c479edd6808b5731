package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/keys"
)

// service is an open service on a directory of its own, and what it logs.
type service struct {
	*Service
	t     *testing.T
	log   *log
	admin Admin
}

type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func config(dir string, log io.Writer) Config {
	return Config{
		DataDir: dir, Listen: "127.0.0.1:0", HealthListen: NoListener, SigningAlgorithm: keys.ES256,
		Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

func openService(t *testing.T, dir string, change ...func(*Config)) *service {
	t.Helper()
	s := &service{t: t, log: &log{}}
	c := config(dir, s.log)
	for _, edit := range change {
		edit(&c)
	}
	var err error
	if s.Service, err = Open(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	s.admin = readAdmin(t, dir)
	return s
}

func readAdmin(t *testing.T, dir string) (a Admin) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, AdminFile))
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// ask sends a request without a network.
func (s *service) ask(method, path string, body io.Reader, header http.Header) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequest(method, s.URL()+path, body)
	for name, values := range header {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	s.observed(w, r)
	return w
}

// token is one of the administrator's for a resource.
func (s *service) token(resource string) string {
	s.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {s.admin.ClientID}, "client_secret": {s.admin.ClientSecret}, "scope": {resource + "/.default"}}
	w := s.ask("POST", "/"+s.admin.TenantID+"/oauth2/v2.0/token", strings.NewReader(form.Encode()), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.AccessToken == "" {
		s.t.Fatalf("token for %q: %d %s", resource, w.Code, w.Body)
	}
	return answer.AccessToken
}

func (s *service) applications(authorization ...string) int {
	s.t.Helper()
	return s.ask("GET", "/v1.0/applications", nil, http.Header{"Authorization": authorization}).Code
}

// A token for an application that calls itself nearly as the service does is
// none for the management wires: else the application could manage in the name
// of whoever sends it one.
func TestTokenForAnother(t *testing.T) {
	s := openService(t, t.TempDir(), func(c *Config) { c.AnyResource = true })
	for resource, want := range map[string]int{
		s.URL(): 200, s.URL() + "/": 200, strings.ToUpper(s.URL()): 200, "https://graph.microsoft.com": 200, "https://management.azure.com/": 200,
		s.URL() + "//": 401, s.URL() + "///": 401, s.URL() + "/x": 401, "https://graph.microsoft.com//": 401, "https://vault.azure.net": 401, "https://api.example": 401,
	} {
		if got := s.applications("Bearer " + s.token(resource)); got != want {
			t.Errorf("%s: status %d, want %d", resource, got, want)
		}
	}
}

func TestAuthorizationHeader(t *testing.T) {
	s := openService(t, t.TempDir())
	token := s.token(s.URL())
	for _, c := range []struct {
		name   string
		header []string
		want   int
	}{
		{"good", []string{"Bearer " + token}, 200},
		{"lower case", []string{"bearer " + token}, 200},
		{"none", nil, 401},
		{"twice", []string{"Bearer " + token, "Bearer " + token}, 401},
		{"another scheme", []string{"Basic " + token}, 401},
		{"empty", []string{"Bearer "}, 401},
		{"a bit changed", []string{"Bearer " + token[:len(token)-2] + "AA"}, 401},
		{"a line break", []string{"Bearer " + token[:40] + "\n" + token[40:]}, 401},
	} {
		if got := s.applications(c.header...); got != c.want {
			t.Errorf("%s: status %d, want %d", c.name, got, c.want)
		}
	}
}

func TestLogHoldsNoSecret(t *testing.T) {
	s := openService(t, t.TempDir())
	token := s.token(s.URL())
	s.applications("Bearer " + token)
	s.applications("Bearer " + token + "x")
	s.ask("POST", "/adfs/oauth2/token?client_secret=canary", strings.NewReader("client_assertion=canary&client_secret=canary"), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Authorization": {"Basic canary"}})
	for _, canary := range []string{s.admin.ClientSecret, "eyJ", "canary", "PRIVATE"} {
		if strings.Contains(s.log.String(), canary) {
			t.Errorf("%q is in the log", canary)
		}
	}
	if !strings.Contains(s.log.String(), `"status":401`) {
		t.Error("nothing is in the log")
	}
	long := strings.Repeat("x", 5000)
	s.ask(long, "/"+long, nil, nil)
	if strings.Contains(s.log.String(), long[:longest+1]) {
		t.Error("strangers write long log lines")
	}
}

// A first start that is cut off after it wrote admin.json, and before the
// administrator in it counts, leaves nothing that is in the way of the next one.
func TestFirstStartThatWasCutOff(t *testing.T) {
	dir := t.TempDir()
	s := &Service{config: config(dir, io.Discard)}
	s.log = s.config.log()
	if err := s.openRooms(t.Context()); err != nil {
		t.Fatal(err)
	}
	cut := errors.New("cut off")
	var kept directory.Founded
	_, _, err := s.directory.Bootstrap(t.Context(), directory.NewTenant{Keep: func(f directory.Founded) error {
		kept = f
		return errors.Join(s.keepAdmin(f), cut)
	}})
	s.close()
	if !errors.Is(err, cut) || readAdmin(t, dir).ClientSecret != kept.AdministratorSecret {
		t.Fatalf("%v, with %+v kept", err, readAdmin(t, dir))
	}
	next := openService(t, dir)
	if next.admin.ClientID == kept.AdministratorClientID {
		t.Error("admin.json is that of the start that was cut off")
	}
	if got := next.applications("Bearer " + next.token(next.URL())); got != 200 {
		t.Errorf("the administrator gets %d", got)
	}
}

func TestAdminFileThatWasRemoved(t *testing.T) {
	dir := t.TempDir()
	openService(t, dir).Close()
	if err := os.Remove(filepath.Join(dir, AdminFile)); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), config(dir, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := os.Stat(filepath.Join(dir, AdminFile)); err == nil {
		t.Error("the next start made another administrator")
	}
}

func TestFirstStartOfProcessesAtOnce(t *testing.T) {
	dir := t.TempDir()
	services := make([]*Service, 3)
	var wg sync.WaitGroup
	for i := range services {
		wg.Go(func() {
			var err error
			if services[i], err = Open(t.Context(), config(dir, io.Discard)); err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(services[i].Close)
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	admin := readAdmin(t, dir)
	for _, s := range services {
		one := &service{Service: s, t: t, admin: admin}
		if got := one.applications("Bearer " + one.token(s.URL())); got != 200 {
			t.Errorf("the administrator gets %d", got)
		}
		found, err := s.directory.Applications(t.Context(), directory.System(admin.TenantID, "test"), directory.Filter{}, directory.Page{})
		if err != nil || len(found.Items) != 1 {
			t.Errorf("%d administrators (%v)", len(found.Items), err)
		}
	}
}

// A client that never finishes its request does not make a stop an error.
func TestStopWithSlowClient(t *testing.T) {
	s := openService(t, t.TempDir())
	s.stopWithin = 0 // so it is requestsNeed
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	conn, err := tls.Dial("tcp", s.listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "POST /adfs/oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")
	if _, err := io.ReadFull(conn, make([]byte, len("HTTP/1.1 100 Continue"))); err != nil { // it is being read
		t.Fatal(err)
	}
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it does not stop")
	}
	if !strings.Contains(s.log.String(), "cut off") {
		t.Error("nobody is told")
	}
}
