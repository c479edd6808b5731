package az

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/testkit"
)

// A terminal is somebody's shell in an empty directory, with a configuration
// of az's own, which is clean at first.
type terminal struct {
	*testing.T
	service *testkit.Service
	dir     string
	env     map[string]string
}

// open opens a terminal in which az knows no cloud yet.
func open(t *testing.T, s *testkit.Service) *terminal {
	t.Helper()
	dir := t.TempDir()
	return &terminal{t, s, dir, map[string]string{
		"PATH":               filepath.Dir(testkit.Program) + string(filepath.ListSeparator) + os.Getenv("PATH"),
		"HOME":               dir,
		"LANG":               "C.UTF-8",
		"HTTPS_PROXY":        elsewhere(t),
		"NO_PROXY":           "localhost,127.0.0.1",
		"AZURE_CONFIG_DIR":   filepath.Join(dir, "azure"),
		"REQUESTS_CA_BUNDLE": s.CAFile,

		"AZURE_CORE_COLLECT_TELEMETRY":        "0",
		"AZURE_CORE_NO_COLOR":                 "1",
		"AZURE_CORE_USE_MSAL_HTTP_CACHE":      "0", // or a refusal is told again for a minute, without asking
		"PYTHONDONTWRITEBYTECODE":             "1",
		"AZURE_EXTENSION_USE_DYNAMIC_INSTALL": "no",

		"ENTENTE_DATA_DIR": s.Dir,
		"ENTENTE_URL":      s.Authority,
		"TENANT":           s.TenantID,
		"SUBSCRIPTION":     s.SubscriptionID,
		"ADMIN":            s.ClientID,
		"ADMIN_SECRET":     s.ClientSecret,
		"FEDERATION":       s.Authority + "/providers/Entente.Federation",
		"API":              "api-version=2026-11-01",
	}}
}

// elsewhere is a proxy for everything but loopback. It lets nothing through;
// a test in which az asks anybody else than the service fails.
func elsewhere(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var hosts []string
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		hosts = append(hosts, r.Host)
		w.WriteHeader(http.StatusForbidden)
	})}
	go server.Serve(listener)
	t.Cleanup(func() {
		server.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, host := range slices.Compact(slices.Sorted(slices.Values(hosts))) {
			if host != "azure.microsoft.com:443" { // where az looks for a newer version of itself
				t.Errorf("az asks %s", host)
			}
		}
	})
	return "http://" + listener.Addr().String()
}

// export sets a variable of the shell.
func (p *terminal) export(name, value string) { p.env[name] = value }

// said is what a command line left behind.
type said struct {
	code     int
	out, err string
}

// run has the shell run a command line. A traceback of az is always a failure.
func (p *terminal) run(line string) said {
	p.Helper()
	cmd := exec.CommandContext(p.Context(), "bash", "-euo", "pipefail", "-c", line)
	cmd.Dir = p.dir
	for name, value := range p.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		p.Fatalf("%s: %v", line, err)
	}
	s := said{cmd.ProcessState.ExitCode(), out.String(), stderr.String()}
	if strings.Contains(s.out+s.err, "Traceback") {
		p.Fatalf("az crashes: %s\n%s%s", line, s.out, s.err)
	}
	return s
}

// out is what a command line prints that does what it should, without the
// white space around it.
func (p *terminal) out(line string) string {
	p.Helper()
	s := p.run(line)
	if s.code != 0 {
		p.Fatalf("%s\nends with %d:\n%s%s", line, s.code, s.out, s.err)
	}
	return strings.TrimSpace(s.out)
}

// prints has a command line print exactly this.
func (p *terminal) prints(want, line string) {
	p.Helper()
	if got := p.out(line); got != want {
		p.Errorf("%s\nprints %s\nwant   %s", line, got, want)
	}
}

// keep puts what a command line prints into a variable, and returns it.
func (p *terminal) keep(name, line string) string {
	p.Helper()
	value := p.out(line)
	if value == "" {
		p.Fatalf("%s\nprints nothing", line)
	}
	p.export(name, value)
	return value
}

// refused has a command line end with an exit code and a line for people.
func (p *terminal) refused(code int, says, line string) {
	p.Helper()
	s := p.run(line)
	if s.code != code || !regexp.MustCompile(`(?m)^ERROR: .*`+says).MatchString(s.err) {
		p.Errorf("%s\nends with %d, want %d and %q:\n%s%s", line, s.code, code, says, s.out, s.err)
	}
}

// answers runs a command line on a terminal of its own, where a person types.
func (p *terminal) answers(types, line string) said {
	p.Helper()
	p.export("LINE", line)
	return p.run(fmt.Sprintf(`printf '%%s\n' %q | timeout 120 script -qec "$LINE" /dev/null`, types))
}

// cloud tells az where a cloud is whose tenants sign in at authority.
func (p *terminal) cloud(authority string) {
	p.Helper()
	endpoints, err := json.Marshal(map[string]any{"endpoints": map[string]string{
		"resourceManager":                p.service.Authority,
		"management":                     p.service.Authority + "/",
		"activeDirectory":                authority,
		"activeDirectoryResourceId":      "https://management.core.windows.net/",
		"activeDirectoryGraphResourceId": p.service.Authority + "/",
		"microsoftGraphResourceId":       p.service.Authority + "/",
	}})
	if err != nil {
		p.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "cloud.json"), endpoints, 0o644); err != nil {
		p.Fatal(err)
	}
	p.out("az cloud register -n Entente --cloud-config @cloud.json && az cloud set -n Entente")
}

// administrator is at a terminal that is set up, and has signed in.
func administrator(t *testing.T, s *testkit.Service) *terminal {
	t.Helper()
	p := open(t, s)
	p.cloud(s.Authority + "/adfs")
	p.out("az login --service-principal -u $ADMIN -p $ADMIN_SECRET --tenant $TENANT")
	return p
}

// another opens another terminal with the same cloud and the same variables,
// where nobody has signed in.
func (p *terminal) another() *terminal {
	p.Helper()
	q := open(p.T, p.service)
	for name, value := range p.env {
		if _, set := q.env[name]; !set {
			q.env[name] = value
		}
	}
	old, dir := p.env["AZURE_CONFIG_DIR"], q.env["AZURE_CONFIG_DIR"]
	if err := os.Mkdir(dir, 0o700); err != nil {
		p.Fatal(err)
	}
	for _, name := range []string{"clouds.config", "commandIndex.json"} {
		text, err := os.ReadFile(filepath.Join(old, name))
		if err != nil {
			p.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			p.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte("[cloud]\nname = Entente\n"), 0o600); err != nil {
		p.Fatal(err)
	}
	return q
}

// shim keeps the az of Debian 12 from crashing in each of its role commands:
// it is packaged with a library that calls its configuration _config.
func (p *terminal) shim() {
	p.Helper()
	dir, err := filepath.Abs("testdata/shim")
	if err != nil {
		p.Fatal(err)
	}
	p.export("PYTHONPATH", dir)
}
