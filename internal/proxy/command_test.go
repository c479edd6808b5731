package proxy

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// asProgram makes of the test program the proxy, or a command that the proxy runs.
const asProgram = "ENTENTE_PROXY_TEST"

func TestMain(m *testing.M) {
	switch os.Getenv(asProgram) {
	case "proxy":
		os.Exit(Main(os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr))
	case "script":
		os.Exit(script())
	}
	os.Exit(m.Run())
}

// script asks for a token whenever a line comes, and writes what it got.
func script() int {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		r, err := http.NewRequest(http.MethodGet, os.Getenv("IDENTITY_ENDPOINT")+"?api-version=2019-08-01&resource="+vault, nil)
		if err != nil {
			return 1
		}
		r.Header.Set("X-IDENTITY-HEADER", os.Getenv("IDENTITY_HEADER"))
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		text, _ := io.ReadAll(a.Body)
		a.Body.Close()
		fmt.Println(strings.TrimSpace(string(text)))
	}
	return 7
}

// A script of three hours, whose clock and service account token go on, always gets
// a token that lasts for longer than SDKs want of one they keep.
func TestRunForHours(t *testing.T) {
	t.Setenv(asProgram, "script")
	p := newPod(t)
	p.authority.set(func(w http.ResponseWriter, form url.Values) bool {
		current, _ := os.ReadFile(p.file)
		if form.Get("client_assertion") != strings.TrimSpace(string(current)) {
			return refuse(401, "invalid_client", "AADSTS700024: an old assertion")(w, form)
		}
		return false
	})
	in, ask := io.Pipe()
	out, answers := io.Pipe()
	type end struct {
		code int
		err  error
	}
	ended := make(chan end, 1)
	go func() {
		code, err := runCommand(p.config, Options{Client: p.authority.Client(), Clock: p.clock.Now}, []string{os.Args[0]}, os.Environ(), streams{in, answers, os.Stderr})
		answers.Close()
		ended <- end{code, err}
	}()
	lines := bufio.NewScanner(out)
	for minute := 0; minute <= 180; minute += 5 {
		if minute%45 == 0 {
			p.rotate(time.Hour)
		}
		fmt.Fprintln(ask, "token")
		if !lines.Scan() {
			t.Fatal("the script has ended")
		}
		var got struct {
			AccessToken string `json:"access_token"`
			ExpiresOn   string `json:"expires_on"`
		}
		err := json.Unmarshal(lines.Bytes(), &got)
		seconds, _ := strconv.ParseInt(got.ExpiresOn, 10, 64)
		if left := time.Unix(seconds, 0).Sub(p.clock.Now()); err != nil || got.AccessToken == "" || left < 9*time.Minute {
			t.Errorf("after %d minutes: %s left of %s", minute, left, lines.Text())
		}
		p.clock.Advance(5 * time.Minute)
	}
	ask.Close()
	if got := <-ended; got.code != 7 || got.err != nil {
		t.Errorf("the script ended with %d, %v, want 7", got.code, got.err)
	}
	if n := p.authority.count(); n < 3 || n > 8 {
		t.Errorf("%d exchanges in three hours", n)
	}
}

// environment is what a proxy reads.
func (p *pod) environment(more ...string) []string {
	p.t.Helper()
	ca := filepath.Join(p.t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.authority.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o644); err != nil {
		p.t.Fatal(err)
	}
	return append([]string{
		asProgram + "=proxy", "PATH=" + os.Getenv("PATH"), "AZURE_TENANT_ID=tenant", "AZURE_CLIENT_ID=" + me, "AZURE_FEDERATED_TOKEN_FILE=" + p.file,
		"AZURE_AUTHORITY_HOST=" + p.authority.URL + "/", "SSL_CERT_FILE=" + ca,
	}, more...)
}

func program(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = env
	return cmd
}

func TestRunIsTheCommand(t *testing.T) {
	p := newPod(t)
	env := p.environment()
	run := func(args ...string) (string, int) {
		cmd := program(t, env, append([]string{"run", "--"}, args...)...)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		cmd.Stdin = strings.NewReader("typed\n")
		cmd.Run()
		return strings.TrimSpace(out.String()), cmd.ProcessState.ExitCode()
	}
	for _, k := range []struct {
		name, text string
		code       int
		args       []string
	}{
		{"its exit code", "", 3, []string{"sh", "-c", "exit 3"}},
		{"its streams", "typed", 0, []string{"cat"}},
		{"its flags", "-x --proxy-port", 0, []string{"echo", "-x", "--proxy-port"}},
		{"a signal that ends it", "", 128 + 9, []string{"sh", "-c", "kill -9 $$"}},
		{"a signal that it was sent", "caught", 5, []string{"sh", "-c", "trap 'echo caught; exit 5' TERM; kill -TERM $PPID; while :; do sleep 0.05; done"}},
		{"no such command", `error: exec: "no-such-command": executable file not found in $PATH`, 127, []string{"no-such-command"}},
		{"no program", `error: exec: "/": is a directory`, 126, []string{"/"}},
		{"no token file", "", 0, []string{"sh", "-c", `printf "%s" "$AZURE_FEDERATED_TOKEN_FILE"`}},
		{"the default identity", me, 0, []string{"sh", "-c", "echo $AZURE_CLIENT_ID"}},
		{"the same for old az", "yes", 0, []string{"sh", "-c", `[ "$MSI_ENDPOINT $MSI_SECRET" = "$IDENTITY_ENDPOINT $IDENTITY_HEADER" ] && [ ${#MSI_SECRET} -ge 26 ] && echo yes`}},
	} {
		if text, code := run(k.args...); text != k.text || code != k.code {
			t.Errorf("%s: %q and %d, want %q and %d", k.name, text, code, k.text, k.code)
		}
	}
}

// The secret does not go to an HTTP proxy.
func TestRunBesideAnHTTPProxy(t *testing.T) {
	for _, k := range []struct {
		environ []string
		want    string
	}{
		{nil, ""},
		{[]string{"HTTPS_PROXY=http://p", "NO_PROXY=a"}, "a"},
		{[]string{"HTTP_PROXY=http://p"}, "127.0.0.1"},
		{[]string{"http_proxy=http://p", "NO_PROXY=a, b"}, "a, b,127.0.0.1"},
		{[]string{"ALL_PROXY=socks5://p", "no_proxy=a", "NO_PROXY=b"}, "a,127.0.0.1"},
		{[]string{"http_proxy=http://p", "no_proxy=127.0.0.1"}, "127.0.0.1"},
		{[]string{"http_proxy=http://p", "no_proxy=*"}, "*"},
	} {
		got := map[string]string{}
		for _, one := range commandEnviron(k.environ, 8000, Config{Secret: secret}) {
			name, value, _ := strings.Cut(one, "=")
			if _, twice := got[name]; twice {
				t.Errorf("%q: %s is there twice", k.environ, name)
			}
			got[name] = value
		}
		except, there := got["no_proxy"]
		if !there {
			except = got["NO_PROXY"]
		}
		if except != k.want {
			t.Errorf("%q: exceptions %q, want %q", k.environ, except, k.want)
		}
	}
}

func TestUsage(t *testing.T) {
	p := newPod(t)
	good := p.environment()
	without := func(name string) (env []string) {
		for _, one := range good {
			if !strings.HasPrefix(one, name+"=") {
				env = append(env, one)
			}
		}
		return env
	}
	for _, k := range []struct {
		name string
		env  []string
		args []string
		code int
		text string
	}{
		{"help", good, []string{"--help"}, 0, "entente-proxy run"},
		{"version", good, []string{"--version"}, 0, "entente-proxy "},
		{"no such flag", good, []string{"--nope"}, 2, "hint: entente-proxy --help"},
		{"no such command", good, []string{"nope"}, 2, `"nope"`},
		{"run what", good, []string{"run"}, 2, "run -- COMMAND"},
		{"no tenant", without("AZURE_TENANT_ID"), nil, 1, "AZURE_TENANT_ID is not set"},
		{"no token file", without("AZURE_FEDERATED_TOKEN_FILE"), nil, 1, "AZURE_FEDERATED_TOKEN_FILE is not set"},
		{"no https", append(good, "AZURE_AUTHORITY_HOST=http://example.org"), nil, 1, "AZURE_AUTHORITY_HOST"},
		{"a map that is none", append(good, "ENTENTE_IDENTITIES={}"), nil, 1, "ENTENTE_IDENTITIES"},
		{"a level that is none", good, []string{"--log-level", "loud"}, 1, "--log-level"},
		{"a target that is none", good, []string{"--forward-metadata", "https://x/y"}, 1, "--forward-metadata"},
		{"a port that is none", good, []string{"init", "--proxy-port", "0"}, 1, "port 0"},
		{"root's requests would pass", good, []string{"init", "--proxy-uid", "0"}, 1, "user id 0"},
	} {
		cmd := program(t, k.env, k.args...)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != k.code || !strings.Contains(string(out), k.text) {
			t.Errorf("%s: %d %s, want %d and %q", k.name, code, out, k.code, k.text)
		}
	}
}

func TestServeAndProbe(t *testing.T) {
	p := newPod(t)
	listeners, err := Listen(0) // a port that is free a moment later, too
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(portOf(listeners[0]))
	for _, l := range listeners {
		l.Close()
	}
	env := p.environment("IDENTITY_HEADER="+secret, "ENTENTE_IDENTITIES="+fmt.Sprintf(`[{"clientId":%q,"objectId":%q}]`, other, object))
	serve := program(t, env, "--proxy-port", port, "--log-level", "debug")
	serve.Stderr = p.log
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	probe := func() (string, int) {
		cmd := program(t, []string{asProgram + "=proxy"}, "--proxy-port", port, "--probe")
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	if out, code := probe(); code != 0 {
		t.Errorf("the probe that came first: %d %s", code, out)
	}
	p.url = "http://127.0.0.1:" + port
	for name, got := range map[string]reply{"site": p.site("object_id=" + object + "&resource=" + vault), "imds": p.imds("resource=" + vault)} {
		if got.status != 200 {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
	}
	if err := os.Remove(p.file); err != nil {
		t.Fatal(err)
	}
	if out, code := probe(); code != 1 || !strings.Contains(out, "no such file") {
		t.Errorf("the probe without a token file: %d %s", code, out)
	}
	serve.Process.Signal(syscall.SIGTERM)
	if err := serve.Wait(); err != nil {
		t.Errorf("SIGTERM: %v\n%s", err, p.log)
	}
	p.said()
}

// The CA of a service is renewed while the proxy runs.
func TestTheCAFileChanges(t *testing.T) {
	p := newPod(t)
	env := p.environment()
	ca := strings.TrimPrefix(env[len(env)-1], "SSL_CERT_FILE=")
	right, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ca, []byte("nothing"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.Proxy = New(Config{TenantID: "adfs", ClientID: me, TokenFile: p.file, Authority: p.authority.URL, CAFile: ca}, Options{Clock: p.clock.Now})
	s := httptest.NewServer(p.Proxy)
	t.Cleanup(s.Close)
	p.url = s.URL
	if got := p.imds("resource=" + vault); got.status != 400 || !strings.Contains(got.text, "holds no certificate") {
		t.Errorf("a file without a certificate: %d %s", got.status, got.text)
	}
	p.source.CAFile = ""
	if got := p.imds("resource=" + vault); got.status != 400 || got.field("error") != "authority_not_trusted" || !strings.Contains(got.text, "SSL_CERT_FILE") {
		t.Errorf("an unknown CA: %d %s", got.status, got.text)
	}
	p.source.CAFile = ca
	if err := os.WriteFile(ca, right, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := p.imds("resource=" + vault); got.status != 200 || p.authority.paths[0] != "/adfs/oauth2/v2.0/token" {
		t.Errorf("after the file changed: %d %s", got.status, got.text)
	}
}

func TestForward(t *testing.T) {
	var asked []string
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, fmt.Sprint(r.Method, " ", r.URL, " ", r.Header.Get("Metadata"), " ", r.Header.Get("X-Identity-Header"), r.Header.Get("Cookie")))
		io.WriteString(w, `{"compute":{}}`)
	}))
	defer node.Close()
	target, _ := url.Parse(node.URL)
	p := newPod(t, func(_ *Config, o *Options) { o.Forward = target })
	if got := p.get("/metadata/instance?api-version=2021-02-01", "Metadata", "true", "X-IDENTITY-HEADER", secret, "Cookie", "c=d"); got.status != 200 || got.text != `{"compute":{}}` {
		t.Errorf("got %d %s", got.status, got.text)
	}
	for _, target := range []string{"/metadata/instance/compute", "/metadata/identity/info"} {
		if got := p.get(target); got.status < 400 {
			t.Errorf("%s without Metadata: %d", target, got.status)
		}
	}
	for _, target := range []string{"/metadata/identity/info", "/metadata/Identity/oauth2/token", "/metadata/identity/oauth2/tokenX", "/metadata//identity/info", "/metadata/%69dentity/info", "/machine"} {
		if got := p.get(target, "Metadata", "true"); got.status != 404 {
			t.Errorf("%s: %d %s", target, got.status, got.text)
		}
	}
	if diff := cmp.Diff([]string{"GET /metadata/instance?api-version=2021-02-01 true "}, asked); diff != "" {
		t.Errorf("what reached the node (-want +got):\n%s", diff)
	}
	node.Close()
	if got := p.get("/metadata/instance", "Metadata", "true"); got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("without a node: %d %s", got.status, got.text)
	}
}

func TestConfiguration(t *testing.T) {
	env := map[string]string{"AZURE_TENANT_ID": "adfs", "AZURE_FEDERATED_TOKEN_FILE": "/token", "AZURE_AUTHORITY_HOST": "login.example.org/", "ENTENTE_IDENTITIES": `[{"clientId":"a","objectId":"b"}]`}
	got, err := FromEnvironment(func(name string) string { return env[name] })
	want := Config{TenantID: "adfs", ClientID: "a", TokenFile: "/token", Authority: "https://login.example.org", Identities: Identities{{ClientID: "a", ObjectID: "b"}}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for text, want := range map[string]string{
		`[]`: "", ` `: "", `[{"clientId":"a"},{"clientId":"b"}]`: "",
		`[{"clientId":"a","objectId":"o"},{"clientId":"A","objectId":"O"}]`:     "",
		`[{"clientId":"a","objectId":"o"},{"clientId":"b","objectId":"O"}]`:     "object id",
		`[{"clientId":"a","resourceId":"o"},{"clientId":"b","resourceId":"O"}]`: "resource id",
		`[{"objectId":"a"}]`: "no clientId", `[{"clientId":"a b"}]`: "character", `[{"clientId":"a","name":"b"}]`: "unknown field", `[] x`: "follows", `nope`: "JSON",
		"[" + strings.TrimSuffix(strings.Repeat(`{"clientId":"a"},`, 101), ",") + "]": "101", strings.Repeat(" ", 65<<10) + "[]": "longer",
	} {
		if _, err := ParseIdentities(text); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
}

func BenchmarkCached(b *testing.B) {
	p := newPod(b, func(_ *Config, o *Options) { o.Log = nil })
	p.authority.set(func(w http.ResponseWriter, _ url.Values) bool {
		fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":3600,"access_token":%q}`, strings.Repeat("x", 1500))
		return true
	})
	ask := func() {
		r := httptest.NewRequest(http.MethodGet, tokenPath, nil)
		r.Host, r.Header = "169.254.169.254", http.Header{"Metadata": {"true"}}
		w := httptest.NewRecorder()
		if p.ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
	ask()
	b.ReportAllocs()
	for b.Loop() {
		ask()
	}
}
