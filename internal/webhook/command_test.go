package webhook

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// commandLine turns a command line and an environment into settings.
func commandLine(t *testing.T, env map[string]string, args ...string) (Settings, error) {
	t.Helper()
	o := &options{}
	flags := pflag.NewFlagSet("entente-webhook", pflag.ContinueOnError)
	o.flags(flags)
	if err := flags.Parse(args); err != nil {
		return Settings{}, err
	}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	if err := twins(flags, lookup); err != nil {
		return Settings{}, err
	}
	return o.complete(lookup)
}

func TestSettings(t *testing.T) {
	tenant := map[string]string{"AZURE_TENANT_ID": "t"}
	with := func(pairs ...string) map[string]string {
		env := maps.Clone(tenant)
		for n := 0; n < len(pairs); n += 2 {
			env[pairs[n]] = pairs[n+1]
		}
		return env
	}
	for _, c := range []struct {
		name  string
		env   map[string]string
		args  []string
		is    func(Settings) bool
		wrong string
	}{
		{"azure-workload-identity's defaults", tenant, nil, func(s Settings) bool {
			return s.Audience == "api://AzureADTokenExchange" && s.TLSMinVersion == tls.VersionTLS13 && s.Listen == ":9443" && s.HealthListen == ":9440" &&
				s.MetricsListen == ":8095" && s.CertificateDir == "" && s.AuthorityHost == "https://login.microsoftonline.com/" && s.Mode == Workload &&
				s.Service == "azure-wi-webhook-webhook-service" && s.SweepInterval == time.Minute
		}, ""},
		{"its flags, all", tenant, strings.Fields(`--audience=a --webhook-cert-dir=/c --disable-cert-rotation --tls-min-version=1.2 --health-addr=:1 --metrics-addr=:2
			--metrics-backend=prometheus --log-level=debug --custom-token-endpoint-annotation-suffix= --custom-token-endpoint-audience=`), func(s Settings) bool {
			return s.Audience == "a" && s.CertificateDir == "/c" && s.TLSMinVersion == tls.VersionTLS12 && s.HealthListen == ":1" && s.MetricsListen == ":2"
		}, ""},
		{"its environment", with("AZURE_ENVIRONMENT", "AzureChinaCloud", "PROXY_IMAGE", "p", "PROXY_INIT_IMAGE", "q", "POD_NAMESPACE", "n"), nil, func(s Settings) bool {
			return s.AuthorityHost == "https://login.chinacloudapi.cn/" && s.ProxyImage == "p" && s.ProxyInitImage == "q" && s.Namespace == "n"
		}, ""},
		{"its token proxy", with("AZURE_KUBERNETES_TOKEN_PROXY", "https://p.example.org", "AZURE_KUBERNETES_SNI_NAME", "s", "AZURE_KUBERNETES_CA_CONFIGMAP_NAME", "m"),
			strings.Fields("--custom-token-endpoint-annotation-suffix=identity-binding --custom-token-endpoint-audience=api://AKSIdentityBinding"), func(s Settings) bool {
				p := s.TokenProxy
				return p.Suffix == "identity-binding" && p.Endpoint == "https://p.example.org" && p.SNIName == "s" && p.CAConfigMap == "m"
			}, ""},
		{"twins", with("ENTENTE_MODE", "adfs", "ENTENTE_CERT_OVERLAP", "1m"), nil, func(s Settings) bool { return s.Mode == ADFS && s.CertificateOverlap == time.Minute }, ""},
		{"a flag before its twin", with("ENTENTE_PORT", "1"), []string{"--port", "2"}, func(s Settings) bool { return s.Listen == ":2" }, ""},
		{"an authority before the cloud's", with("AZURE_ENVIRONMENT", "AzureChinaCloud"), []string{"--authority-host=https://e.example.org/"},
			func(s Settings) bool { return s.AuthorityHost == "https://e.example.org/" }, ""},
		{"no tenant for adfs", nil, []string{"--mode=adfs"}, func(s Settings) bool { return s.TenantID == "adfs" }, ""},
		{"no sweeps, no drain", tenant, strings.Fields("--sweep-interval=0 --drain=0"), func(s Settings) bool { return s.SweepInterval < 0 && s.Drain < 0 }, ""},

		{"no tenant", nil, nil, nil, "AZURE_TENANT_ID"},
		{"another mode", tenant, []string{"--mode=x"}, nil, "--mode"},
		{"another cloud", with("AZURE_ENVIRONMENT", "AzureMoonCloud"), nil, nil, "AZURE_ENVIRONMENT"},
		{"another backend", tenant, []string{"--metrics-backend=x"}, nil, "--metrics-backend"},
		{"an old TLS", tenant, []string{"--tls-min-version=1.1"}, nil, "--tls-min-version"},
		{"no port", tenant, []string{"--port=70000"}, nil, "--port"},
		{"no overlap", tenant, []string{"--cert-overlap=0s"}, nil, "--cert-overlap"},
		{"no directory", tenant, []string{"--disable-cert-rotation", "--webhook-cert-dir="}, nil, "--webhook-cert-dir"},
		{"a wrong twin", with("ENTENTE_PORT", "x"), nil, nil, "ENTENTE_PORT"},
		{"an authority without TLS", tenant, []string{"--authority-host=http://e.example.org/"}, nil, "--authority-host"},
		{"managed identities without a proxy", tenant, []string{"--mode=managed-identity"}, nil, "PROXY_IMAGE"},
		{"an unknown flag", tenant, []string{"--x"}, nil, "--x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := commandLine(t, c.env, c.args...)
			switch {
			case c.wrong != "":
				if err == nil || !strings.Contains(err.Error(), c.wrong) {
					t.Errorf("%v, want %q", err, c.wrong)
				}
			case err != nil:
				t.Error(err)
			case !c.is(s):
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestLevels(t *testing.T) {
	for text, want := range map[string]slog.Level{"": slog.LevelInfo, "info": slog.LevelInfo, "debug": slog.LevelDebug, "trace": slog.LevelDebug, "all": slog.LevelDebug, "WARN": slog.LevelWarn} {
		if got, err := parseLevel(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if _, err := parseLevel("loud"); err == nil {
		t.Error("loud is a level")
	}
}

func TestMainTells(t *testing.T) {
	for _, c := range []struct {
		args     []string
		code     int
		out, err string
	}{
		{[]string{"--help"}, 0, "entente-webhook --mode adfs", ""},
		{[]string{"--version"}, 0, "entente-webhook " + programVersion() + "\n", ""},
		{[]string{"serve"}, 2, "", "no arguments"},
		{[]string{"--nonsense"}, 2, "", "hint: entente-webhook --help"},
	} {
		var out, errors bytes.Buffer
		if code := Main(c.args, &out, &errors); code != c.code || !strings.Contains(out.String(), c.out) || !strings.Contains(errors.String(), c.err) {
			t.Errorf("%q: %d\n%s%s", c.args, code, out.String(), errors.String())
		}
	}
}
