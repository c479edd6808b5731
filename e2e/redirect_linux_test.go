package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// inNamespace marks a child of the tests that has a network of its own.
const inNamespace = "ENTENTE_E2E_NETWORK"

// A program that calls 169.254.169.254 itself, and knows nothing of a proxy, is
// answered by it after "entente-proxy init" has written the redirect, in a network
// namespace as a pod has it. The proxy's own user is not redirected.
func TestRedirect(t *testing.T) {
	if os.Getenv(inNamespace) == "" {
		t.Parallel()
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestRedirect$", "-test.v", "-test.timeout=5m")
		cmd.Env = append(os.Environ(), inNamespace+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Start()
		if err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("a network namespace cannot be made: %v", err)
			}
			t.Skipf("a network namespace cannot be made (it takes root): %v", err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%v\n%s", err, out.String())
		}
		if strings.Contains(out.String(), "--- SKIP") {
			t.Skip(out.String())
		}
		return
	}

	// What a pod has: loopback, an address, and a way to the metadata address.
	for _, line := range []string{
		"link set lo up", "link add eth0 type veth peer name eth1", "link set eth1 up", "address add 10.11.12.13/24 dev eth0", "link set eth0 up", "route add default via 10.11.12.1",
	} {
		if out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("ip %s: %v %s", line, err, out)
			}
			t.Skipf("ip %s: %v %s", line, err, out)
		}
	}
	issuer, flags := cluster(t)
	s := serve(t, t.TempDir(), append(flags, "--resources", "any")...)
	_, app := application(t, s.AsAdmin(t), "workload", issuer.URL())
	e := s.sidecar(t, tokenFile(t, mint(t, issuer)), "adfs", "", app)
	port := e.address[strings.LastIndex(e.address, ":")+1:]
	file, err := proxyProgram()
	if err != nil {
		t.Fatal(err)
	}
	init := func(port string, credential *syscall.Credential) (string, error) {
		cmd := exec.CommandContext(t.Context(), file, "init", "--proxy-port", port, "--proxy-uid", "1501")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}

	// A user that may execute the programs of this test, but has no capability.
	for dir := filepath.Dir(file); dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := init(port, &syscall.Credential{Uid: 65534, Gid: 65534}); err == nil || !strings.Contains(out, "needs the capability NET_ADMIN") {
		t.Errorf("init without the capability: %v %s", err, out)
	}
	for _, p := range []string{"1", port, port} { // again is not twice, and the last counts
		if out, err := init(p, nil); err != nil {
			t.Fatalf("init: %v %s", err, out)
		}
	}

	get := func(target string) (string, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
		if err != nil {
			return "", err
		}
		a, err := (&http.Client{Timeout: time.Second}).Do(r)
		if err != nil {
			return "", err
		}
		defer a.Body.Close()
		text, err := io.ReadAll(a.Body)
		return fmt.Sprint(a.StatusCode, " ", string(text)), err
	}
	if got, err := get("http://169.254.169.254/metadata/identity/oauth2/token"); err != nil || !strings.HasPrefix(got, "400 ") || !strings.Contains(got, "bad_request_102") {
		t.Errorf("the metadata address: %s, %v", got, err)
	}
	for _, elsewhere := range []string{"http://169.254.169.254:8080/readyz", "http://169.254.169.253/readyz"} {
		if got, err := get(elsewhere); err == nil {
			t.Errorf("%s is redirected as well: %s", elsewhere, got)
		}
	}
	access, err := s.defaultCredential(t, vault+"/.default")
	if err != nil {
		t.Fatal(err)
	}
	if got := decode(t, access); got.OID != app.principalID {
		t.Errorf("claims %+v", got)
	}

	// The proxy's user reaches what is behind the address: here nobody.
	cmd := exec.CommandContext(t.Context(), "curl", "--silent", "--show-error", "--max-time", "1", "http://169.254.169.254/readyz")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1501, Gid: 1501}}
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("the proxy's own requests are redirected: %s", out)
	}
	cmd = exec.CommandContext(t.Context(), "curl", "--silent", "--show-error", "--max-time", "5", "http://169.254.169.254/readyz")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1502, Gid: 1502}}
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "ok" {
		t.Errorf("another user's are not: %v %s", err, out)
	}
}
