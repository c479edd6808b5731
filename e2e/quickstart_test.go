package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/entente-id/entente/internal/localissuer"
	"github.com/entente-id/entente/internal/testkit"
)

func TestQuickstart(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), testkit.Program, "quickstart", "--exit", "-o", "json", "--listen", "127.0.0.1:0")
	cmd.Env = []string{"HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir()}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var r struct {
		Authority, CAFile, TenantID, SubscriptionID, ServiceAccountToken, Elapsed string
		Application, ManagedIdentity                                              struct{ ClientID, PrincipalID string }
		AccessToken                                                               claims
		ManagedIdentityAccessToken                                                claims
		Refusals                                                                  []struct {
			Case         string
			Code, Status int
		}
	}
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if r.AccessToken.OID != r.Application.PrincipalID || r.AccessToken.AppID != r.Application.ClientID || r.AccessToken.TID != r.TenantID {
		t.Errorf("the application's access token: %+v", r.AccessToken)
	}
	if r.ManagedIdentityAccessToken.OID != r.ManagedIdentity.PrincipalID || r.ManagedIdentityAccessToken.Mirid == "" {
		t.Errorf("the managed identity's access token: %+v", r.ManagedIdentityAccessToken)
	}
	if len(r.Refusals) != 2 || r.Refusals[0].Code != 700213 || r.Refusals[1].Code != 700211 || r.Refusals[0].Status != 401 {
		t.Errorf("refusals: %+v", r.Refusals)
	}
	if strings.Count(r.ServiceAccountToken, ".") != 2 || r.CAFile == "" || r.SubscriptionID == "" || r.Elapsed == "" {
		t.Errorf("%s", out)
	}
}

func TestQuickstartTellsAPersonWhatItProved(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), testkit.Program, "quickstart", "--exit", "--listen", "127.0.0.1:0")
	cmd.Env = []string{"HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir()}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"access token out", "system:serviceaccount:pets:workload-identity-sa", "azidentity.WorkloadIdentityCredential", "verified by go-oidc", "AADSTS700213", "AADSTS700211", "The first token came"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "level=") {
		t.Errorf("log lines between the steps:\n%s", out)
	}
}

func TestQuickstartInAGivenDirectoryTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 2 {
		cmd := exec.CommandContext(t.Context(), testkit.Program, "quickstart", "--exit", "-o", "json", "--listen", "127.0.0.1:0", "--data-dir", dir)
		cmd.Env = []string{"HOME=" + t.TempDir()}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
}

// A cluster's API server, as far as the quickstart uses one: discovery, keys,
// a namespace, service accounts and their tokens.
func apiServer(t *testing.T, issuer *localissuer.Issuer) (kubeconfig string, made func() []string) {
	t.Helper()
	var mu sync.Mutex
	var posts []string
	mux := http.NewServeMux()
	mux.Handle("GET /.well-known/openid-configuration", issuer.Handler())
	mux.Handle("GET /openid/v1/jwks", issuer.Handler())
	mux.HandleFunc("POST /api/v1/", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		posts = append(posts, r.URL.Path)
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		parts := strings.Split(r.URL.Path, "/") // /api/v1/namespaces/NS/serviceaccounts/NAME/token
		if len(parts) < 8 {
			w.WriteHeader(http.StatusConflict) // all are there already
			io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"AlreadyExists","code":409}`)
			return
		}
		if !bytes.Contains(body, []byte(audience)) { // the request is in protobuf
			t.Errorf("the token request names no audience: %q", body)
		}
		token, err := issuer.Mint(localissuer.Token{Namespace: parts[4], ServiceAccount: parts[6], Audiences: []string{audience}})
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusCreated)
		json.NewEncoder(w).Encode(map[string]any{"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "status": map[string]any{"token": token, "expirationTimestamp": "2100-01-01T00:00:00Z"}})
	})
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c","clusters":[{"name":"c","cluster":{"server":%q,"certificate-authority-data":%q}}],"users":[{"name":"u","user":{"token":"x"}}],"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}]}`,
		server.URL, base64.StdEncoding.EncodeToString(ca))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return posts
	}
}

// With --kubeconfig the cluster's issuer need not be reachable: its keys are uploaded.
func TestQuickstartWithACluster(t *testing.T) {
	t.Parallel()
	issuer, err := localissuer.New(localissuer.Config{URL: "https://kubernetes.default.svc.cluster.local", Path: "/"})
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, made := apiServer(t, issuer)
	cmd := exec.CommandContext(t.Context(), testkit.Program, "quickstart", "--exit", "-o", "json", "--listen", "127.0.0.1:0", "--kubeconfig", kubeconfig)
	cmd.Env = []string{"HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir()}
	out, err := cmd.Output()
	if err != nil {
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			out = append(out, e.Stderr...)
		}
		t.Fatalf("%v\n%s", err, out)
	}
	var r struct {
		Issuer   string
		Refusals []struct {
			Case string
			Code int
		}
	}
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	if r.Issuer != issuer.URL() || len(r.Refusals) != 2 || r.Refusals[1].Case != "extra trailing slash" || r.Refusals[1].Code != 700211 {
		t.Errorf("%+v", r)
	}
	if !slices.Contains(made(), "/api/v1/namespaces/pets/serviceaccounts/workload-identity-sa/token") {
		t.Errorf("requests to the API server: %q", made())
	}
}
