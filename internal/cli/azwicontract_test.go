package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/server"
)

var updateAzwi = flag.Bool("update-azwi", false, "write what azwi's commands send to Azure anew")

// azureAlone is a service that answers under all names of a cloud of Azure, and the
// record of what was sent to each. A request to any other host fails.
type azureAlone struct {
	server.Admin
	*http.Client
	sent  strings.Builder
	names []string // old, new: of ids, as strings.NewReplacer takes them
}

func newAzureAlone(t *testing.T, e client.Endpoints) *azureAlone {
	t.Helper()
	a := &azureAlone{}
	config := server.Config{DataDir: t.TempDir(), Listen: "127.0.0.1:0", HealthListen: server.NoListener, Drain: time.Millisecond, Log: slog.New(slog.DiscardHandler)}
	known := map[string]bool{}
	for _, base := range []string{e.Authority, e.Graph, e.ResourceManager} {
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		config.Hosts = append(config.Hosts, server.HostName{Name: u.Host})
		known[u.Host+":443"] = true
	}
	ctx, cancel := context.WithCancel(context.Background())
	s, err := server.Open(ctx, config)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	if a.Admin, err = readAdmin(config.DataDir); err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(a.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	own, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if !known[address] {
				return nil, fmt.Errorf("%s is none of the cloud's", address)
			}
			return (&net.Dialer{}).DialContext(ctx, network, "127.0.0.1:"+own.Port())
		},
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		cancel()
		<-done
	})
	a.Client = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		a.record(t, r)
		return transport.RoundTrip(r)
	})}
	a.names = []string{a.TenantID, "{tenant}", a.SubscriptionID, "{subscription}", a.ClientID, "{client}", a.ClientSecret, "{secret}", `"entente ` + version() + `"`, `"entente {version}"`}
	return a
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// record writes a request down: method, address, and the body of a form or of JSON.
func (a *azureAlone) record(t *testing.T, r *http.Request) {
	query, err := url.QueryUnescape(r.URL.RawQuery)
	if err != nil {
		t.Error(err)
	}
	fmt.Fprintf(&a.sent, "%s https://%s%s", r.Method, r.URL.Host, r.URL.Path)
	if query != "" {
		fmt.Fprintf(&a.sent, "?%s", query)
	}
	a.sent.WriteString("\n")
	if r.Body == nil {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	kind := r.Header.Get("Content-Type")
	switch {
	case strings.HasPrefix(kind, "application/x-www-form-urlencoded"):
		form, err := url.ParseQuery(string(body))
		if err != nil {
			t.Error(err)
		}
		text, _ := url.QueryUnescape(form.Encode()) // was written just now
		fmt.Fprintf(&a.sent, "  %s\n", text)
	case kind == "application/json":
		var object any
		if err := json.Unmarshal(body, &object); err != nil {
			t.Error(err)
		}
		text, _ := json.Marshal(object) // was read just now
		fmt.Fprintf(&a.sent, "  %s\n", text)
	default:
		t.Errorf("%s %s has a body of the type %q", r.Method, r.URL, kind)
	}
}

var anID = regexp.MustCompile(`[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// transcript is what was sent, with names for ids.
func (a *azureAlone) transcript() string {
	text := strings.NewReplacer(a.names...).Replace(a.sent.String())
	ids := map[string]string{}
	return anID.ReplaceAllStringFunc(strings.TrimPrefix(text, "\n"), func(id string) string {
		if ids[id] == "" {
			ids[id] = fmt.Sprintf("{id-%d}", len(ids)+1)
		}
		return ids[id]
	})
}

// azwi runs a command line of azwi's tree against the cloud.
func (a *azureAlone) azwi(t *testing.T, line string) string {
	t.Helper()
	var out bytes.Buffer
	root := &cobra.Command{Use: "azwi", SilenceUsage: true, SilenceErrors: true, PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
		return fromEnvironment(cmd.Flags(), os.LookupEnv)
	}}
	root.PersistentFlags().Bool("debug", false, "")
	root.AddCommand(newServiceAccountOver("azwi", a.Client))
	root.SetArgs(strings.Fields(line))
	root.SetOut(&out)
	root.SetErr(&out)
	fmt.Fprintf(&a.sent, "\n# azwi %s\n", line)
	if err := root.ExecuteContext(t.Context()); err != nil {
		t.Fatalf("azwi %s: %v\n%s", line, err, out.String())
	}
	return out.String()
}

// What azwi's commands send to Azure, to its last byte but for ids, is what its API
// reference documents, in each cloud at the cloud's own addresses. The folder
// testdata/azwi has it, to be read beside
//
//   - https://learn.microsoft.com/graph/api/resources/application and federatedidentitycredential,
//   - https://learn.microsoft.com/rest/api/managedidentity (2024-11-30),
//   - https://learn.microsoft.com/rest/api/authorization/role-assignments (2022-04-01),
//   - https://learn.microsoft.com/rest/api/resources/resource-groups (2021-04-01) and subscriptions (2022-12-01),
//   - https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow.
func TestRequestsToAzure(t *testing.T) {
	for name, cloud := range map[string]struct {
		environment string
		endpoints   client.Endpoints
	}{
		"public": {"AzurePublicCloud", client.Public()},
		"usgov":  {"AzureUSGovernmentCloud", client.USGovernment()},
		"china":  {"AzureChinaCloud", client.China()},
	} {
		t.Run(name, func(t *testing.T) {
			alone(t)
			for name, value := range map[string]string{ // a shell that is set up for a service
				"ENTENTE_URL": "https://elsewhere.example", "ENTENTE_TENANT": otherTenant, "AZURE_AUTHORITY_HOST": "https://elsewhere.example/",
				"AZURE_TENANT_ID": "adfs", "AZURE_CLIENT_ID": "x", "AZURE_CLIENT_SECRET": "y", "AZURE_SUBSCRIPTION_ID": "z",
			} {
				t.Setenv(name, value)
			}
			a := newAzureAlone(t, cloud.endpoints)
			as := fmt.Sprintf(" --azure-env %s -s %s --client-id %s --client-secret %s", cloud.environment, a.SubscriptionID, a.ClientID, a.ClientSecret)
			account := " --service-account-namespace pets --service-account-name cat --service-account-issuer-url https://oidc.example.org/cluster/"
			scope := " --azure-scope /subscriptions/" + a.SubscriptionID + " --azure-role Reader"
			made := regexp.MustCompile(`roleAssignmentID=(\S+)`)
			for _, whom := range []string{"", " --managed-identity-name cat --resource-group pets"} {
				location := ""
				if whom != "" {
					location = " --location westeurope"
				}
				create := "serviceaccount create" + as + account + whom + location + scope + " --skip-phases service-account"
				log := a.azwi(t, create)
				a.azwi(t, create) // again: nothing but look-ups
				found := made.FindStringSubmatch(log)
				if found == nil {
					t.Fatalf("no role assignment in\n%s", log)
				}
				remove := "serviceaccount delete" + as + account + whom + " --role-assignment-id " + found[1] + " --skip-phases service-account"
				a.azwi(t, remove)
				a.azwi(t, remove)
			}
			golden := filepath.Join("testdata", "azwi", name+".txt")
			got := a.transcript()
			if *updateAzwi {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
