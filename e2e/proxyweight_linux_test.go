package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// What the proxy weighs in its pod, with the real service as its authority: ready,
// after one token, and after tokens for 1,000 resources, asked for by eight callers
// at once. The figures are in docs/guides/proxy.md; -v shows those of this machine.
func TestProxyWeight(t *testing.T) {
	issuer, flags := cluster(t)
	s := serve(t, t.TempDir(), append(flags, "--resources", "any")...)
	_, app := application(t, s.AsAdmin(t), "workload", issuer.URL())
	e := s.sidecar(t, tokenFile(t, mint(t, issuer)), s.TenantID, "", app)
	weight := func(when string) int {
		t.Helper()
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		kib := map[string]int{}
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(line, ":")
			kib[name], _ = strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		}
		t.Logf("%-24s %5.1f MiB resident, %4.1f of its own, %5.1f at most", when, float64(kib["VmRSS"])/1024, float64(kib["RssAnon"])/1024, float64(kib["VmHWM"])/1024)
		return kib["VmHWM"]
	}
	hc := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
	ask := func(resource string) error {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+e.address+"/metadata/identity/oauth2/token?api-version=2018-02-01&resource="+resource, nil)
		if err != nil {
			return err
		}
		r.Header.Set("Metadata", "true")
		a, err := hc.Do(r)
		if err != nil {
			return err
		}
		defer a.Body.Close()
		text, err := io.ReadAll(a.Body)
		if err == nil && a.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", a.Status, text)
		}
		return err
	}
	weight("ready")
	if err := ask(vault); err != nil {
		t.Fatal(err)
	}
	weight("after one token")
	resources := make(chan string)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for r := range resources {
				if err := ask(r); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 1000 {
		resources <- fmt.Sprintf("https://service-%d.example.org", i)
	}
	close(resources)
	callers.Wait()
	if most := weight("after 1,000 tokens"); most >= 15<<10 {
		t.Errorf("the proxy took %d KiB, its budget is 15 MiB", most)
	}

	file, err := proxyProgram()
	if err != nil {
		t.Fatal(err)
	}
	var took []string
	for range 5 {
		cmd := exec.CommandContext(t.Context(), file, "--proxy-port", "0")
		cmd.Env = []string{"AZURE_TENANT_ID=adfs", "AZURE_FEDERATED_TOKEN_FILE=" + file}
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(stderr).ReadString('\n')
		if err != nil || !strings.Contains(line, `"serving"`) {
			t.Fatalf("the proxy says %q, %v", line, err)
		}
		took = append(took, time.Since(began).Round(100*time.Microsecond).String())
		cmd.Process.Kill()
		cmd.Wait()
	}
	t.Logf("it serves after %s", strings.Join(took, ", "))
}
