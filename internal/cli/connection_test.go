package cli

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/internal/server"
)

const (
	homeTenant  = "11111111-0000-4000-8000-000000000001"
	otherTenant = "22222222-0000-4000-8000-000000000002"
	clientID    = "33333333-0000-4000-8000-000000000003"
	secret      = "the-administrators-secret"
)

// place is a service as far as a client verb needs one to find it: its discovery
// documents, its CA and a data directory with admin.json.
type place struct {
	*httptest.Server
	dir, ca string
}

func newPlace(t *testing.T, more ...http.Handler) place {
	t.Helper()
	mux := http.NewServeMux()
	p := place{Server: httptest.NewTLSServer(mux), dir: t.TempDir()}
	t.Cleanup(p.Close)
	for path, tenant := range map[string]string{"adfs": homeTenant, homeTenant + "/v2.0": homeTenant, "other.example/v2.0": otherTenant, otherTenant + "/v2.0": otherTenant} {
		mux.HandleFunc("GET /"+path+"/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"issuer":%q}`, p.URL+"/"+tenant+"/v2.0")
		})
	}
	for _, h := range more {
		mux.Handle("/", h)
	}
	p.ca = filepath.Join(p.dir, "ca.pem")
	write(t, p.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw}))
	text, err := json.Marshal(server.Admin{Authority: p.URL, CAFile: p.ca, TenantID: homeTenant, SubscriptionID: "sub", ClientID: clientID, ClientSecret: secret})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(p.dir, server.AdminFile), text)
	return p
}

func write(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestConnection(t *testing.T) {
	p, q := newPlace(t), newPlace(t)
	empty := t.TempDir()
	bare := filepath.Join(empty, "bare.pem")
	write(t, bare, nil)
	administrator := caller{clientID: clientID, secret: secret, dataDir: p.dir}
	robot := caller{clientID: "robot", secret: "s"}
	pod := caller{clientID: "robot", tokenFile: "/var/run/token"}
	// What eval "$(entente env)" leaves, without the CA, which Go takes from SSL_CERT_FILE.
	env := map[string]string{"ENTENTE_URL": p.URL, "ENTENTE_TENANT": homeTenant, "ENTENTE_CA": p.ca, "AZURE_TENANT_ID": "adfs", "AZURE_CLIENT_ID": "robot", "AZURE_CLIENT_SECRET": "s", "AZURE_SUBSCRIPTION_ID": "theirs"}
	with := func(change ...string) map[string]string {
		m := map[string]string{}
		for k, v := range env {
			m[k] = v
		}
		for i := 0; i < len(change); i += 2 {
			m[change[i]] = change[i+1]
		}
		return m
	}
	type found struct {
		Authority, Tenant, Subscription string
		Caller                          caller
	}
	tests := []struct {
		name  string
		flags string // as on the command line
		env   map[string]string
		want  found
		fails string // parts of the error and of its hint, between three spaces
	}{
		{name: "the default data directory", flags: "", env: map[string]string{"ENTENTE_DATA_DIR": p.dir}, want: found{p.URL, homeTenant, "sub", administrator}},
		{name: "a data directory", flags: "--data-dir " + p.dir, want: found{p.URL, homeTenant, "sub", administrator}},
		{name: "a data directory outweighs the environment", flags: "--data-dir " + q.dir, env: env, want: found{q.URL, homeTenant, "sub", caller{clientID: clientID, secret: secret, dataDir: q.dir}}},
		{name: "Azure's variables alone are for Azure", env: map[string]string{"ENTENTE_DATA_DIR": p.dir, "AZURE_CLIENT_ID": "x", "AZURE_CLIENT_SECRET": "y", "AZURE_TENANT_ID": otherTenant}, want: found{p.URL, homeTenant, "sub", administrator}},
		{name: "the environment", env: env, want: found{p.URL, homeTenant, "theirs", robot}},
		{name: "the environment outweighs the default data directory", env: with("ENTENTE_DATA_DIR", p.dir), want: found{p.URL, homeTenant, "theirs", robot}},
		{name: "an environment without a client", env: with("ENTENTE_DATA_DIR", p.dir, "AZURE_CLIENT_ID", ""), want: found{p.URL, homeTenant, "sub", administrator}},
		{name: "a workload", env: with("AZURE_CLIENT_SECRET", "", "AZURE_FEDERATED_TOKEN_FILE", pod.tokenFile), want: found{p.URL, homeTenant, "theirs", pod}},
		{name: "a workload's tenant", env: with("ENTENTE_TENANT", "", "AZURE_TENANT_ID", strings.ToUpper(otherTenant)), want: found{p.URL, otherTenant, "theirs", robot}},
		{name: "no tenant: the one behind adfs", env: with("ENTENTE_TENANT", ""), want: found{p.URL, homeTenant, "theirs", robot}},
		{name: "a tenant by its domain", flags: "--tenant other.example", env: env, want: found{p.URL, otherTenant, "theirs", robot}},
		{name: "another tenant of a data directory", flags: "--tenant other.example --data-dir " + p.dir, env: env, want: found{p.URL, otherTenant, "theirs", robot}},
		{name: "the same URL as in the environment", flags: "--url " + p.URL + "/", env: env, want: found{p.URL, homeTenant, "theirs", robot}},
		{name: "an URL and a CA", flags: "--ca " + p.ca + " --url " + p.URL, env: map[string]string{"AZURE_CLIENT_ID": "robot", "AZURE_CLIENT_SECRET": "s"}, want: found{p.URL, homeTenant, "", robot}},
		{name: "an URL of the default data directory", flags: "--url " + p.URL, env: map[string]string{"ENTENTE_DATA_DIR": p.dir}, want: found{p.URL, homeTenant, "sub", administrator}},
		{name: "another URL for the administrator", flags: "--data-dir " + p.dir + " --url " + strings.Replace(p.URL, "127.0.0.1", "localhost", 1) + " --tenant " + homeTenant, want: found{strings.Replace(p.URL, "127.0.0.1", "localhost", 1), homeTenant, "sub", administrator}},

		{name: "nothing", env: map[string]string{"ENTENTE_DATA_DIR": empty}, fails: "no service is known: ENTENTE_URL is not set, and there is no " + filepath.Join(empty, "admin.json") + "   entente serve"},
		{name: "no data directory", flags: "--data-dir " + empty, env: env, fails: "there is no " + filepath.Join(empty, "admin.json") + "   entente serve --data-dir " + empty},
		{name: "nobody", flags: "--ca " + p.ca + " --url " + p.URL, fails: "no client is known for " + p.URL + "   AZURE_CLIENT_ID"},
		{name: "half of somebody", flags: "--ca " + p.ca + " --url " + p.URL, env: map[string]string{"AZURE_CLIENT_ID": "robot"}, fails: "no client is known for " + p.URL},
		{name: "no secret goes to another service", flags: "--ca " + q.ca + " --url " + q.URL, env: env, fails: "the environment has one for " + p.URL + "   ENTENTE_URL=" + q.URL},
		{name: "nor the administrator's", flags: "--ca " + q.ca + " --url " + q.URL, env: map[string]string{"ENTENTE_DATA_DIR": p.dir}, fails: "no client is known for " + q.URL},
		{name: "an administrator of one tenant", flags: "--tenant " + otherTenant + " --data-dir " + p.dir, fails: "has the administrator of tenant " + homeTenant + ", not of " + otherTenant + "   of a client of that tenant"},
		{name: "another CA", flags: "--ca " + bare + " --url " + p.URL, env: env, fails: "there is no certificate in " + bare},
		{name: "no CA", flags: "--ca nothing.pem --url " + p.URL, env: env, fails: "read the CA of the service: open nothing.pem"},
		{name: "no https", flags: "--tenant " + homeTenant + " --url http://localhost", env: map[string]string{"AZURE_CLIENT_ID": "robot", "AZURE_CLIENT_SECRET": "s"}, fails: "is not an https URL"},
		{name: "nobody answers", flags: "--url https://127.0.0.1:1", env: map[string]string{"AZURE_CLIENT_ID": "robot", "AZURE_CLIENT_SECRET": "s"}, fails: "connection refused   start the service"},
		{name: "a CA that is not the system's", flags: "--url " + p.URL, env: map[string]string{"AZURE_CLIENT_ID": "robot", "AZURE_CLIENT_SECRET": "s"}, fails: "failed to verify certificate   --ca FILE names the CA"},
		{name: "a tenant that is not there", flags: "--tenant nobody.example --data-dir " + p.dir, fails: `tenant "nobody.example": 404`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd := newClusterList()
			if err := cmd.ParseFlags(strings.Fields(tt.flags)); err != nil {
				t.Fatal(err)
			}
			if err := fromEnvironment(cmd.Flags(), func(name string) (string, bool) { v, ok := tt.env[name]; return v, ok }); err != nil {
				t.Fatal(err)
			}
			flag := func(name string) string { return cmd.Flags().Lookup(name).Value.String() }
			c := connection{url: flag("url"), ca: flag("ca"), tenant: flag("tenant"), dataDir: flag("data-dir"), context: flag("context"), cloud: flag("cloud")}
			if c.dataDir == defaultDataDir() {
				c.dataDir = empty
			}
			s, err := c.find(t.Context(), func(name string) bool { return wasGiven(cmd.Flags(), name) }, func(name string) string {
				if v := tt.env[name]; v != "" || name != "ENTENTE_CONFIG" {
					return v
				}
				return filepath.Join(empty, "contexts.json")
			})
			if tt.fails != "" {
				if err == nil {
					t.Fatalf("found %+v", s)
				}
				text := err.Error()
				if h, ok := err.(*hinted); ok {
					text += "\n" + h.hint
				}
				for part := range strings.SplitSeq(tt.fails, "   ") {
					if !strings.Contains(text, part) {
						t.Errorf("got %s\nwant %q", text, part)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := found{s.authority, s.tenantID, s.subscription, s.caller}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(caller{})); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}
