package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	_ "github.com/entente-id/entente/internal/proxy" // what the program is made of
	"github.com/entente-id/entente/internal/testkit"
)

// proxyProgram is the built entente-proxy.
var proxyProgram = sync.OnceValues(func() (string, error) {
	file := filepath.Join(filepath.Dir(testkit.Program), "entente-proxy")
	build := exec.Command("go", "build", "-o", file, "github.com/entente-id/entente/cmd/entente-proxy")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the proxy: %w\n%s", err, out)
	}
	return file, nil
})

// endpoint is a running entente-proxy, as a pod has it beside its program.
type endpoint struct {
	address, secret string
	log             transcript
	process         *os.Process
}

// transcript is what a program that still runs has written.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *transcript) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// env is what the program is told of it.
func (e *endpoint) env() []string {
	return []string{"IDENTITY_ENDPOINT=http://" + e.address + "/msi/token", "IDENTITY_HEADER=" + e.secret}
}

// sidecar starts the proxy with what the webhook would give it.
func (s *service) sidecar(t *testing.T, tokenFile, tenant string, identities string, w workload) *endpoint {
	t.Helper()
	file, err := proxyProgram()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // a port that is free a moment later, too
	if err != nil {
		t.Fatal(err)
	}
	e := &endpoint{address: l.Addr().String(), secret: "a-secret-of-this-pod"}
	l.Close()
	_, port, _ := net.SplitHostPort(e.address)
	cmd := exec.Command(file, "--proxy-port", port, "--log-level", "debug")
	cmd.Env = []string{
		"AZURE_TENANT_ID=" + tenant, "AZURE_CLIENT_ID=" + w.clientID, "AZURE_FEDERATED_TOKEN_FILE=" + tokenFile, "AZURE_AUTHORITY_HOST=" + s.Authority + "/",
		"SSL_CERT_FILE=" + s.CAFile, "IDENTITY_HEADER=" + e.secret, "ENTENTE_IDENTITIES=" + identities,
	}
	cmd.Stderr = &e.log
	testkit.EndWithUs(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e.process = cmd.Process
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
		if t.Failed() {
			t.Logf("log of the proxy:\n%s", e.log.String())
		}
	})
	if out, err := exec.CommandContext(t.Context(), file, "--proxy-port", port, "--probe").CombinedOutput(); err != nil {
		t.Fatalf("the proxy is not ready: %s", out)
	}
	return e
}

// machine is a transport for which the metadata address is the proxy's.
func (e *endpoint) machine() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if address != "169.254.169.254:80" {
			return nil, fmt.Errorf("nobody asked for %s", address)
		}
		return new(net.Dialer).DialContext(ctx, network, e.address)
	}}}
}

// Unmodified programs that use a managed identity of Azure, of Go and of Node.js,
// get tokens for the service account's token, over both protocols.
func TestManagedIdentityOfAPod(t *testing.T) {
	issuer, flags := cluster(t)
	s := serve(t, t.TempDir(), append(flags, "--resources", "any")...)
	c := s.AsAdmin(t)
	_, app := application(t, c, "workload", issuer.URL())
	id, uami := identity(t, s, c, "pets", "workload", issuer.URL())
	_, stranger := application(t, c, "stranger", "")
	token := tokenFile(t, mint(t, issuer))
	identities := fmt.Sprintf(`[{"clientId":%q,"objectId":%q,"resourceId":%q}]`, uami.clientID, uami.principalID, id.String())
	scope := policy.TokenRequestOptions{Scopes: []string{vault + "/.default"}}
	kinds := []struct {
		name string
		id   azidentity.ManagedIDKind
		who  workload
	}{
		{"the default", nil, app},
		{"by client id", azidentity.ClientID(uami.clientID), uami},
		{"by object id", azidentity.ObjectID(uami.principalID), uami},
		{"by resource id", azidentity.ResourceID(id.String()), uami},
	}
	refusals := []struct {
		name string
		id   azidentity.ManagedIDKind
		text string
	}{
		{"an identity that does not trust the pod", azidentity.ClientID(stranger.clientID), "AADSTS70025: "},
		{"an identity that is not", azidentity.ClientID("00000000-0000-4000-8000-000000000000"), "AADSTS700016: "},
		{"an object that is not in the map", azidentity.ObjectID(stranger.principalID), "ENTENTE_IDENTITIES"},
	}
	for _, tenant := range []string{s.TenantID, "adfs"} {
		e := s.sidecar(t, token, tenant, identities, app)
		for protocol, o := range map[string]azcore.ClientOptions{"imds": {Transport: e.machine()}, "site": {}} {
			t.Run(protocol+" of "+tenant, func(t *testing.T) {
				if protocol == "site" {
					for _, one := range e.env() {
						name, value, _ := strings.Cut(one, "=")
						t.Setenv(name, value)
					}
				}
				for _, k := range kinds {
					credential, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ClientOptions: o, ID: k.id})
					if err != nil {
						t.Fatal(err)
					}
					access, err := credential.GetToken(t.Context(), scope)
					if err != nil {
						t.Errorf("%s: %v", k.name, err)
						continue
					}
					if got := decode(t, access.Token); got.OID != k.who.principalID || got.Aud != vault || got.AppID != k.who.clientID || time.Until(access.ExpiresOn) < 50*time.Minute {
						t.Errorf("%s: claims %+v until %s", k.name, got, access.ExpiresOn)
					}
				}
				for _, k := range refusals {
					credential, err := azidentity.NewManagedIdentityCredential(&azidentity.ManagedIdentityCredentialOptions{ClientOptions: o, ID: k.id})
					if err != nil {
						t.Fatal(err)
					}
					// Retries would take the SDK longer than this.
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
					_, err = credential.GetToken(ctx, scope)
					cancel()
					var failed *azidentity.AuthenticationFailedError
					if !errors.As(err, &failed) || !strings.Contains(err.Error(), k.text) {
						t.Errorf("%s: %v, want %s", k.name, err, k.text)
					}
				}
			})
		}
		t.Run("DefaultAzureCredential of "+tenant, func(t *testing.T) {
			access, err := s.defaultCredential(t, vault+"/.default", append(e.env(), "AZURE_CLIENT_ID="+uami.clientID)...)
			if err != nil {
				t.Fatal(err)
			}
			if got := decode(t, access); got.OID != uami.principalID {
				t.Errorf("claims %+v", got)
			}
		})
		t.Run("Node.js of "+tenant, func(t *testing.T) {
			asks := []nodeToken{
				{"ManagedIdentityCredential", nil, vault + "/.default"},
				{"ManagedIdentityCredential", []any{map[string]any{"clientId": uami.clientID}}, vault + "/.default"},
				{"ManagedIdentityCredential", []any{map[string]any{"objectId": uami.principalID}}, vault + "/.default"},
				{"ManagedIdentityCredential", []any{map[string]any{"resourceId": id.String()}}, vault + "/.default"},
				{"DefaultAzureCredential", []any{map[string]any{"managedIdentityClientId": uami.clientID}}, vault + "/.default"},
				{"ManagedIdentityCredential", []any{map[string]any{"clientId": stranger.clientID}}, vault + "/.default"},
			}
			want := []workload{app, uami, uami, uami, uami}
			for protocol, env := range map[string][]string{"site": e.env(), "imds": {"AZURE_POD_IDENTITY_AUTHORITY_HOST=http://" + e.address}} {
				var answers []nodeAnswer
				began := time.Now()
				node(t, s, "tokens.mjs", append(env, "AZURE_TOKEN_CREDENTIALS=prod"), asks, &answers)
				if len(answers) != len(asks) {
					t.Fatalf("%s: %d answers", protocol, len(answers))
				}
				for i, who := range want {
					if answers[i].Token == "" {
						t.Errorf("%s, %d: %s: %s", protocol, i, answers[i].Name, answers[i].Message)
					} else if got := decode(t, answers[i].Token); got.OID != who.principalID || !answers[i].Again {
						t.Errorf("%s, %d: claims %+v, cached %v", protocol, i, got, answers[i].Again)
					}
				}
				if last := answers[len(want)]; last.Token != "" || last.Message == "" {
					t.Errorf("%s: a stranger got %+v", protocol, last)
				} else {
					t.Logf("%s: %s: %s (all within %s)", protocol, last.Name, last.Message, time.Since(began).Round(time.Second))
				}
			}
		})
		t.Run("Python of "+tenant, func(t *testing.T) {
			python := pythonWithAzure(t)
			for protocol, env := range map[string][]string{"site": e.env(), "imds": {"AZURE_POD_IDENTITY_AUTHORITY_HOST=http://" + e.address}} {
				cmd := exec.CommandContext(t.Context(), python, "-c", `
import sys
from azure.identity import ManagedIdentityCredential, DefaultAzureCredential
scope, client = sys.argv[1:]
print(ManagedIdentityCredential().get_token(scope).token)
print(ManagedIdentityCredential(client_id=client).get_token(scope).token)
print(DefaultAzureCredential(managed_identity_client_id=client).get_token(scope).token)
`, vault+"/.default", uami.clientID)
				cmd.Env = append(env, "HOME="+t.TempDir(), "PATH="+os.Getenv("PATH"))
				var stderr strings.Builder
				cmd.Stderr = &stderr
				out, err := cmd.Output()
				tokens := strings.Fields(string(out))
				if err != nil || len(tokens) != 3 {
					t.Fatalf("%s: %v %q\n%s", protocol, err, out, stderr.String())
				}
				for i, who := range []workload{app, uami, uami} {
					if got := decode(t, tokens[i]); got.OID != who.principalID {
						t.Errorf("%s, %d: claims %+v", protocol, i, got)
					}
				}
			}
		})
		for _, secret := range []string{"assertion", "eyJ", e.secret} {
			if strings.Contains(e.log.String(), secret) {
				t.Errorf("the proxy's log holds %q:\n%s", secret, e.log.String())
			}
		}
	}
}

// pythonWithAzure is a Python that has azure-identity, such as Debian's
// (python3-azure); without one the test is skipped, or fails when CI=true.
func pythonWithAzure(t *testing.T) string {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), python, "-c", "import azure.identity").Run() == nil {
			return python
		}
	}
	const missing = "there is no Python with azure-identity (apt-get install --no-install-recommends python3-azure)"
	if os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}
