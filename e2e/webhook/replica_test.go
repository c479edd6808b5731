package webhook

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/testkit"
)

// tenant and clientID are those of the tests.
const (
	tenant   = "11111111-1111-4111-8111-111111111111"
	clientID = "22222222-2222-4222-8222-222222222222"
)

// A replica is a running entente-webhook.
type replica struct {
	admission, health, metrics string // addresses

	cmd   *exec.Cmd
	done  chan struct{}
	ready atomic.Bool // as its endpoint would have it

	mu  sync.Mutex
	log bytes.Buffer
}

// replica starts one that its balancer sends calls to while it is ready.
func (i *installation) replica(t testing.TB, args ...string) *replica {
	t.Helper()
	r := &replica{done: make(chan struct{})}
	r.cmd = exec.Command(program, append([]string{"--port", "0", "--health-addr", "127.0.0.1:0", "--metrics-addr", "127.0.0.1:0"}, args...)...)
	r.cmd.Env = append([]string{
		"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "KUBECONFIG=" + i.kubeconfig, "POD_NAMESPACE=" + namespace, "AZURE_TENANT_ID=" + tenant,
		"PROXY_IMAGE=localhost/proxy:1",
	}, i.environment...)
	testkit.EndWithUs(r.cmd)
	stderr, err := r.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listening := make(chan map[string]string, 1)
	go func() {
		lines := bufio.NewScanner(stderr)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			r.mu.Lock()
			r.log.Write(append(lines.Bytes(), '\n'))
			r.mu.Unlock()
			var all map[string]any
			if json.Unmarshal(lines.Bytes(), &all) == nil && all["msg"] == "listening" {
				line := map[string]string{}
				for name, value := range all {
					line[name], _ = value.(string)
				}
				listening <- line
			}
		}
		r.cmd.Wait()
		close(r.done)
	}()
	t.Cleanup(func() {
		r.kill()
		if t.Failed() {
			lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(r.text()), "\n"), func(line string) bool { return strings.Contains(line, `"msg":"pod"`) })
			t.Logf("end of the log of a replica:\n%s", strings.Join(lines[max(0, len(lines)-40):], "\n"))
		}
	})
	select {
	case line := <-listening:
		r.admission, r.health, r.metrics = onLoopback(line["admission"]), line["health"], line["metrics"]
	case <-r.done:
		t.Fatalf("the replica has ended:\n%s", r.text())
	case <-time.After(time.Minute):
		t.Fatalf("the replica does not listen:\n%s", r.text())
	}
	go r.watch()
	i.balancer.add(r)
	return r
}

func onLoopback(address string) string {
	return "127.0.0.1" + address[strings.LastIndexByte(address, ':'):]
}

// watch does what a kubelet does, only faster.
func (r *replica) watch() {
	client := &http.Client{Timeout: 2 * time.Second}
	for {
		resp, err := client.Get("http://" + r.health + "/readyz")
		if err == nil {
			resp.Body.Close()
		}
		r.ready.Store(err == nil && resp.StatusCode == http.StatusOK)
		select {
		case <-r.done:
			r.ready.Store(false)
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// untilReady waits until the replica is ready.
func (r *replica) untilReady(t testing.TB) *replica {
	t.Helper()
	eventually(t, func() error {
		if r.ready.Load() {
			return nil
		}
		return fmt.Errorf("not ready: %s", r.get(t, r.health, "/readyz"))
	})
	return r
}

func (r *replica) get(t testing.TB, address, path string) string {
	t.Helper()
	resp, err := http.Get("http://" + address + path)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return string(text)
}

// metric is the value of a line of /metrics, or "".
func (r *replica) metric(t testing.TB, name string) string {
	t.Helper()
	for line := range strings.SplitSeq(r.get(t, r.metrics, "/metrics"), "\n") {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return value
		}
	}
	return ""
}

// serial is that of the certificate that the replica serves.
func (r *replica) serial(t testing.TB) string {
	t.Helper()
	c, err := tls.Dial("tcp", r.admission, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].SerialNumber.Text(16)
}

func (r *replica) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// kill ends the replica at once.
func (r *replica) kill() {
	r.cmd.Process.Kill()
	<-r.done
}

// stop ends it as a kubelet does, and returns its exit code.
func (r *replica) stop(t testing.TB) int {
	t.Helper()
	r.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-r.done:
	case <-time.After(30 * time.Second):
		t.Error("still running 30 s after SIGTERM")
		r.kill()
	}
	return r.cmd.ProcessState.ExitCode()
}

// resident is how much memory the replica has, in bytes.
func (r *replica) resident(t testing.TB) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.cmd.Process.Pid))
	if err != nil {
		t.Skip(err)
	}
	var kib int64
	for line := range strings.SplitSeq(string(text), "\n") {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			fmt.Sscan(value, &kib)
		}
	}
	return kib << 10
}

// eventually asks until there is no error, and fails the test after a minute.
func eventually(t testing.TB, question func() error) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		err := question()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}
