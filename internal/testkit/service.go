package testkit

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/strictjson"
)

// Admin is what admin.json of a data directory says.
type Admin struct{ Authority, CAFile, TenantID, SubscriptionID, ClientID, ClientSecret string }

// A Service is a running "entente serve".
type Service struct {
	Admin
	Dir    string       // its data directory
	Health string       // URL of the listener of /livez, /readyz and /metrics
	HTTP   *http.Client // trusts its certificate, and no other

	cmd  *exec.Cmd
	done chan error

	mu  sync.Mutex
	log bytes.Buffer
}

// Serve starts the program in a data directory and waits until it serves. It
// is stopped with the test, and shown with its log if that has failed.
func Serve(t testing.TB, dir string, args ...string) *Service {
	t.Helper()
	s := &Service{Dir: dir, done: make(chan error, 1)}
	s.cmd = exec.Command(Program, append([]string{"serve", "--data-dir", dir, "--listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0", "--drain", "50ms"}, args...)...)
	s.cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	EndWithUs(s.cmd)
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	serving := make(chan map[string]string, 1)
	go func() {
		lines := bufio.NewScanner(stderr)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			s.mu.Lock()
			s.log.Write(append(lines.Bytes(), '\n'))
			s.mu.Unlock()
			if line := attributes(lines.Bytes()); line["msg"] == "serving" {
				serving <- line
			}
		}
		s.done <- s.cmd.Wait()
	}()
	t.Cleanup(func() {
		s.Stop()
		for line := range strings.Lines(s.Log()) {
			if err := strictjson.Check([]byte(line)); err != nil && json.Valid([]byte(line)) {
				t.Errorf("readers of the log disagree on a line of it: %v\n%s", err, line)
				break
			}
		}
		if t.Failed() {
			t.Logf("log of the service:\n%s", s.Log())
		}
	})
	select {
	case line := <-serving:
		s.Health, s.Authority = line["health"], line["url"]
	case err := <-s.done:
		s.done <- err
		t.Fatalf("the service ended: %v\n%s", err, s.Log())
	case <-time.After(60 * time.Second):
		t.Fatalf("the service does not serve:\n%s", s.Log())
	}
	if text, err := os.ReadFile(filepath.Join(dir, "admin.json")); err == nil {
		if err := json.Unmarshal(text, &s.Admin); err != nil {
			t.Fatal(err)
		}
	}
	if s.CAFile == "" {
		s.CAFile = filepath.Join(dir, "ca.pem")
	}
	s.HTTP = Trusting(t, s.CAFile)
	return s
}

// attributes reads a line of the log in either of its formats: what has no
// spaces of the text, and the strings of the JSON.
func attributes(line []byte) map[string]string {
	found := map[string]string{}
	var object map[string]any
	if json.Unmarshal(line, &object) == nil {
		for name, value := range object {
			found[name], _ = value.(string)
		}
		return found
	}
	for field := range strings.FieldsSeq(string(line)) {
		name, value, _ := strings.Cut(field, "=")
		found[name] = value
	}
	return found
}

// Log is what the service has logged so far.
func (s *Service) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// Stop ends the service as an orchestrator does and returns how it ended.
func (s *Service) Stop() error {
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-s.done:
		s.done <- err
		return err
	case <-time.After(15 * time.Second):
		s.cmd.Process.Kill()
		return fmt.Errorf("still running 15 s after SIGTERM")
	}
}

// Trusting is an HTTP client that trusts the certificates in a file and no other.
func Trusting(t testing.TB, caFile string) *http.Client {
	t.Helper()
	text, err := os.ReadFile(caFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatalf("%s holds no certificate", caFile)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

// As is a client that has a secret.
func (s *Service) As(t testing.TB, tenant, clientID, secret string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{
		Endpoints: client.Entente(s.Authority), TenantID: tenant, HTTP: s.HTTP,
		Credential: client.ClientSecret(s.Authority, tenant, clientID, secret, s.HTTP),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// AsAdmin is the administrator of admin.json.
func (s *Service) AsAdmin(t testing.TB) *client.Client {
	t.Helper()
	return s.As(t, s.TenantID, s.ClientID, s.ClientSecret)
}
