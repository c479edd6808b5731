// Package e2e drives the built program over TLS with the clients that people
// use: the Azure SDK, its resource manager client, and our own.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/entente-id/entente/client"
	_ "github.com/entente-id/entente/internal/cli" // what the program is made of: a change of it runs these tests again
	"github.com/entente-id/entente/internal/localissuer"
)

// program is the built binary.
var program string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Getenv(sdkProcess) != "" {
		return sdkMain()
	}
	dir, err := os.MkdirTemp("", "entente-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "entente")
	build := exec.Command("go", "build", "-o", program, "../cmd/entente")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// admin is admin.json.
type admin struct{ Authority, CAFile, TenantID, SubscriptionID, ClientID, ClientSecret string }

// service is a running "entente serve".
type service struct {
	admin
	dir    string
	health string
	http   *http.Client
	cmd    *exec.Cmd
	done   chan error

	mu  sync.Mutex
	log bytes.Buffer
}

// serve starts the program in a data directory and waits until it serves.
func serve(t *testing.T, dir string, args ...string) *service {
	t.Helper()
	s := &service{dir: dir, done: make(chan error, 1)}
	s.cmd = exec.Command(program, append([]string{"serve", "--data-dir", dir, "--listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0", "--drain", "50ms"}, args...)...)
	s.cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	serving := make(chan map[string]any, 1)
	go func() {
		lines := bufio.NewScanner(stderr)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			s.mu.Lock()
			s.log.Write(append(lines.Bytes(), '\n'))
			s.mu.Unlock()
			var line map[string]any
			if json.Unmarshal(lines.Bytes(), &line) == nil && line["msg"] == "serving" {
				serving <- line
			}
		}
		s.done <- s.cmd.Wait()
	}()
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("log of the service:\n%s", s.logged())
		}
	})
	select {
	case line := <-serving:
		s.health, _ = line["health"].(string)
		s.Authority, _ = line["url"].(string)
	case err := <-s.done:
		s.done <- err
		t.Fatalf("the service ended: %v\n%s", err, s.logged())
	case <-time.After(60 * time.Second):
		t.Fatalf("the service does not serve:\n%s", s.logged())
	}
	if text, err := os.ReadFile(filepath.Join(dir, "admin.json")); err == nil {
		if err := json.Unmarshal(text, &s.admin); err != nil {
			t.Fatal(err)
		}
	}
	if s.CAFile == "" {
		s.CAFile = filepath.Join(dir, "ca.pem")
	}
	s.http = trusting(t, s.CAFile)
	return s
}

func (s *service) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// stop ends the service as an orchestrator does and returns how it ended.
func (s *service) stop() error {
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

// trusting is an HTTP client that trusts one CA only.
func trusting(t *testing.T, caFile string) *http.Client {
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

// as is a client with a secret.
func (s *service) as(t *testing.T, tenant, clientID, secret string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{
		Endpoints: client.Entente(s.Authority), TenantID: tenant, HTTP: s.http,
		Credential: client.ClientSecret(s.Authority, tenant, clientID, secret, s.http),
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (s *service) asAdmin(t *testing.T) *client.Client {
	return s.as(t, s.TenantID, s.ClientID, s.ClientSecret)
}

// cluster is an issuer whose keys the service may fetch.
func cluster(t *testing.T) (issuer *localissuer.Issuer, flags []string) {
	t.Helper()
	issuer, err := localissuer.New(localissuer.Config{Algorithm: "RS256"})
	if err != nil {
		t.Fatal(err)
	}
	if err := issuer.Start(context.WithoutCancel(t.Context()), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(issuer.Close)
	ca := filepath.Join(t.TempDir(), "issuer-ca.pem")
	if err := os.WriteFile(ca, issuer.CAPEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	return issuer, []string{"--issuer-allow", "127.0.0.1", "--issuer-ca", ca}
}

const (
	audience = "api://AzureADTokenExchange"
	subject  = "system:serviceaccount:pets:workload-identity-sa"
)

func mint(t *testing.T, issuer *localissuer.Issuer, change ...func(*localissuer.Token)) string {
	t.Helper()
	token := localissuer.Token{Namespace: "pets", ServiceAccount: "workload-identity-sa", Audiences: []string{audience}}
	for _, c := range change {
		c(&token)
	}
	text, err := issuer.Mint(token)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// workload is a parent with a credential that trusts the cluster.
type workload struct{ clientID, principalID string }

func application(t *testing.T, c *client.Client, name, issuer string) (client.Application, workload) {
	t.Helper()
	ctx := t.Context()
	app, err := c.CreateApplication(ctx, client.ApplicationSpec{DisplayName: name})
	if err != nil {
		t.Fatal(err)
	}
	sp, err := c.CreateServicePrincipal(ctx, client.ServicePrincipalSpec{AppID: app.AppID})
	if err != nil {
		t.Fatal(err)
	}
	if issuer != "" {
		if _, err := c.CreateApplicationCredential(ctx, app.ID, client.FederatedCredential{Name: "cluster", Issuer: issuer, Subject: subject, Audiences: []string{audience}}); err != nil {
			t.Fatal(err)
		}
	}
	return app, workload{app.AppID, sp.ID}
}

func identity(t *testing.T, s *service, c *client.Client, group, name, issuer string) (client.IdentityID, workload) {
	t.Helper()
	ctx := t.Context()
	spec := client.ResourceSpec{Location: "local"}
	if _, _, err := c.PutResourceGroup(ctx, client.ResourceGroupID{SubscriptionID: s.SubscriptionID, Name: group}, spec); err != nil {
		t.Fatal(err)
	}
	id := client.IdentityID{SubscriptionID: s.SubscriptionID, ResourceGroup: group, Name: name}
	m, _, err := c.PutIdentity(ctx, id, spec)
	if err != nil {
		t.Fatal(err)
	}
	if issuer != "" {
		if _, _, err := c.PutIdentityCredential(ctx, id, client.FederatedCredential{Name: "cluster", Issuer: issuer, Subject: subject, Audiences: []string{audience}}); err != nil {
			t.Fatal(err)
		}
	}
	return id, workload{m.ClientID, m.PrincipalID}
}

// withSecret gives an application a client secret.
func withSecret(t *testing.T, c *client.Client, app client.Application) string {
	t.Helper()
	p, err := c.AddPassword(t.Context(), app.ID, client.PasswordSpec{DisplayName: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return p.SecretText
}
