package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/login"
)

// keep writes a file of contexts.
func keep(t *testing.T, current string, all ...login.Context) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "contexts.json")
	err := login.Store{File: file}.Update(t.Context(), func(c *login.Change) error {
		for _, one := range all {
			if err := c.Put(one, "kept for "+one.Name); err != nil {
				return err
			}
		}
		c.Current = current
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestConnectionOfContexts(t *testing.T) {
	p, q := newPlace(t), newPlace(t)
	text, err := os.ReadFile(p.ca)
	if err != nil {
		t.Fatal(err)
	}
	bySecret := login.Login{Method: login.Secret, ClientID: "robot"}
	lab := login.Context{Name: "lab", URL: p.URL, CA: string(text), SubscriptionID: "theirs", Login: bySecret}
	home := login.Context{Name: "home", URL: p.URL, CA: string(text), TenantID: homeTenant}
	pod := login.Context{Name: "pod", URL: p.URL, CA: string(text), TenantID: "other.example", Login: login.Login{Method: login.Federated, ClientID: "robot", TokenFile: "/var/run/token"}}
	untrusted := login.Context{Name: "untrusted", URL: p.URL, Login: bySecret}
	work := login.Context{Name: "work", Cloud: login.USGovernment, TenantID: otherTenant}
	robot := login.Context{Name: "robot", Cloud: login.Public, Login: bySecret}
	all := []login.Context{lab, home, pod, untrusted, work, robot}
	contexts, current := keep(t, "", all...), keep(t, "lab", all...)
	azureOnly := map[string]string{"AZURE_CLIENT_ID": "x", "AZURE_CLIENT_SECRET": "y", "AZURE_TENANT_ID": otherTenant}
	here := map[string]string{"ENTENTE_URL": q.URL, "ENTENTE_CA": q.ca, "ENTENTE_TENANT": homeTenant, "AZURE_CLIENT_ID": "x", "AZURE_CLIENT_SECRET": "y"}
	type found struct {
		Context, Authority, Tenant, Subscription string
		Caller                                   caller
	}
	with := func(base map[string]string, change ...string) map[string]string {
		m := map[string]string{"ENTENTE_CONFIG": contexts}
		for k, v := range base {
			m[k] = v
		}
		for i := 0; i < len(change); i += 2 {
			m[change[i]] = change[i+1]
		}
		return m
	}
	ofLab := found{"lab", p.URL, homeTenant, "theirs", caller{clientID: "robot", secret: "kept for lab", method: login.Secret}}
	ofQ := found{"", q.URL, homeTenant, "", caller{clientID: "x", secret: "y"}}
	administrator := found{"home", p.URL, homeTenant, "sub", caller{clientID: clientID, secret: secret, dataDir: p.dir, method: login.Secret}}
	az := func(context, authority, tenant string) found {
		return found{context, authority, tenant, "", caller{method: login.AzureCLI}}
	}
	for _, tt := range []struct {
		name, flags string
		env         map[string]string
		want        found
		fails       string // parts, between three spaces
	}{
		{name: "by its name", flags: "--context lab", env: with(nil), want: ofLab},
		{name: "as a cloud", flags: "--cloud lab", env: with(nil), want: ofLab},
		{name: "twice", flags: "--cloud lab --context lab", env: with(nil), want: ofLab},
		{name: "in the environment", env: with(nil, "ENTENTE_CONTEXT", "lab"), want: ofLab},
		{name: "as a cloud in the environment", env: with(nil, "ENTENTE_CLOUD", "lab"), want: ofLab},
		{name: "the command line outweighs the environment", flags: "--cloud lab", env: with(nil, "ENTENTE_CONTEXT", "work"), want: ofLab},
		{name: "a context outweighs what the shell points at", flags: "--context lab", env: with(here), want: ofLab},
		{name: "also in the environment", env: with(here, "ENTENTE_CONTEXT", "lab"), want: ofLab},
		{name: "the current one", env: with(azureOnly, "ENTENTE_CONFIG", current), want: ofLab},
		{name: "the shell outweighs the current one", env: with(here, "ENTENTE_CONFIG", current), want: ofQ},
		{name: "so does a URL", flags: "--url " + q.URL + " --ca " + q.ca, env: with(azureOnly, "ENTENTE_CONFIG", current, "ENTENTE_CONTEXT", "lab", "AZURE_TENANT_ID", homeTenant), want: ofQ},
		{name: "and a data directory", flags: "--data-dir " + q.dir, env: with(nil, "ENTENTE_CONFIG", current), want: found{"", q.URL, homeTenant, "sub", caller{clientID: clientID, secret: secret, dataDir: q.dir}}},
		{name: "also in the environment", env: with(nil, "ENTENTE_CONFIG", current, "ENTENTE_DATA_DIR", q.dir), want: found{"", q.URL, homeTenant, "sub", caller{clientID: clientID, secret: secret, dataDir: q.dir}}},
		{name: "its tenant by domain", flags: "--context pod", env: with(nil), want: found{"pod", p.URL, otherTenant, "", caller{clientID: "robot", tokenFile: "/var/run/token", method: login.Federated}}},
		{name: "another tenant", flags: "--context lab --tenant other.example", env: with(nil), want: found{"lab", p.URL, otherTenant, "theirs", ofLab.Caller}},
		{name: "the shell's tenant is of another service", flags: "--context lab", env: with(nil, "ENTENTE_TENANT", otherTenant), want: ofLab},
		{name: "nobody logged in: the administrator here", flags: "--context home", env: with(azureOnly, "ENTENTE_DATA_DIR", p.dir), want: administrator},
		{name: "nobody logged in: the client of this service", flags: "--context home", env: with(here, "ENTENTE_URL", p.URL+"/"), want: found{"home", p.URL, homeTenant, "", caller{clientID: "x", secret: "y", method: login.Secret}}},
		{name: "as the SDKs know it", flags: "--context home", env: with(azureOnly, "AZURE_AUTHORITY_HOST", p.URL+"/"), want: found{"home", p.URL, homeTenant, "", caller{clientID: "x", secret: "y", method: login.Secret}}},
		{name: "Azure", flags: "--cloud public", env: with(nil), want: az("public", "https://login.microsoftonline.com", "")},
		{name: "as az calls it", flags: "--cloud AzureChinaCloud --tenant " + otherTenant, env: with(azureOnly), want: az("china", "https://login.chinacloudapi.cn", otherTenant)},
		{name: "a context of Azure", flags: "--context work", env: with(nil), want: az("work", "https://login.microsoftonline.us", otherTenant)},

		{name: "none of the name", flags: "--context other", env: with(nil), fails: `there is no context "other"   entente context list`},
		{name: "two", flags: "--context lab --cloud work", env: with(nil), fails: "--context lab and --cloud work are two contexts"},
		{name: "and a URL", flags: "--context lab --url https://x", env: with(nil), fails: "--url says where the service is, and so does --context"},
		{name: "and a CA", flags: "--cloud lab --ca x", env: with(nil), fails: "--ca says where"},
		{name: "no secret of the shell goes there", flags: "--context home", env: with(here), fails: "nobody is logged in to home   entente login --context home"},
		{name: "nor Azure's", flags: "--context home", env: with(azureOnly), fails: "nobody is logged in to home"},
		{name: "nor another administrator's", flags: "--context home", env: with(nil, "ENTENTE_DATA_DIR", q.dir), fails: "nobody is logged in to home"},
		{name: "a CA of another", flags: "--context untrusted", env: with(nil), fails: "failed to verify certificate   entente context remove untrusted"},
		{name: "no tenant in Azure", flags: "--context robot", env: with(nil), fails: "the tenant is not known   --tenant takes"},
		{name: "no tenant of the name", flags: "--context lab --tenant nobody.example", env: with(nil), fails: `tenant "nobody.example": 404`},
		{name: "an unreadable file", env: with(nil, "ENTENTE_CONFIG", p.ca), fails: "read " + p.ca + ": invalid character"},
	} {
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
			s, err := c.find(t.Context(), func(name string) bool { return wasGiven(cmd.Flags(), name) }, func(name string) string { return tt.env[name] })
			if tt.fails != "" {
				if err == nil {
					t.Fatalf("found %+v", s)
				}
				text := err.Error()
				if h, ok := errors.AsType[*hinted](err); ok {
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
			got := found{s.context, s.authority, s.tenantID, s.subscription, s.caller}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(caller{})); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// The clouds' clients speak to the clouds' hosts.
func TestEndpointsOfContexts(t *testing.T) {
	for cloud, want := range map[string]client.Endpoints{"public": client.Public(), "usgov": client.USGovernment(), "china": client.China()} {
		c := connection{cloud: cloud}
		s, err := c.find(t.Context(), func(flag string) bool { return flag == "cloud" }, func(name string) string {
			return map[string]string{"ENTENTE_CONFIG": filepath.Join(t.TempDir(), "c")}[name]
		})
		if err != nil || s.client.Endpoints() != want || !s.azure {
			t.Errorf("%s: %+v, %v", cloud, s, err)
		}
	}
}
