package controlplane

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/testkit"
)

// programs are the names that the one program goes by.
var programs = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"}

// Programs returns a directory that holds etcd, kubectl and the programs of a
// cluster. They are built when they are not in the user's cache directory yet.
// The first time that takes 6 to 9 minutes of two cores, and longer when others
// want them; where Go's build cache has their packages, half a minute. Test
// processes that want them at once build them once.
//
// Where the module proxy cannot be reached, or the test would time out before
// they are there, the test is skipped; it fails when CI=true.
func Programs(t testing.TB) string {
	t.Helper()
	var end time.Time
	if d, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		end, _ = d.Deadline()
	}
	directory, err := Build(end)
	if errors.Is(err, ErrAbsent) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return directory
}

// Build is what Programs does, where there is no test yet. It gives up in time
// before the tests' end, unless that is zero; what keeps the programs away, and
// is no fault of theirs, is ErrAbsent.
func Build(end time.Time) (directory string, err error) {
	ctx := context.Background()
	if !end.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-leaveTime))
		defer cancel()
	}
	build.Lock()
	defer build.Unlock()
	if !build.tried {
		build.tried = true
		build.directory, build.err = programsIn(ctx)
	}
	return build.directory, build.err
}

// leaveTime is what a test keeps of its time limit for itself.
const leaveTime = 2 * time.Minute

var build struct {
	sync.Mutex
	tried     bool
	directory string
	err       error
}

// ErrAbsent says that the programs cannot be had here, or not in time.
var ErrAbsent = errors.New("no Kubernetes control plane")

func programsIn(ctx context.Context) (string, error) {
	source, err := sourceDirectory(ctx)
	if err != nil {
		return "", err
	}
	flags, sum, err := plan(source)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrAbsent, err)
	}
	directory := filepath.Join(cache, "entente-test", "kubernetes-"+sum)
	program := filepath.Join(directory, "kubetest")
	if _, err := os.Stat(program); err == nil {
		return directory, nil
	}
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(ctx, filepath.Join(directory, "lock"))
	if err != nil {
		return "", fmt.Errorf("%w: it is still being built by another test: %w", ErrAbsent, err)
	}
	defer unlock()
	if _, err := os.Stat(program); err == nil {
		return directory, nil // by whoever held the lock
	}

	made := fmt.Sprintf("%s.%d", program, os.Getpid())
	defer os.Remove(made)
	_, err = goTool(ctx, source, "list", "-deps", ".")
	if err != nil {
		err = fmt.Errorf("%w: its modules cannot be had: %w", ErrAbsent, err)
	} else {
		_, err = goTool(ctx, source, "build", "-trimpath", "-ldflags", flags, "-o", made, ".")
	}
	if ctx.Err() != nil {
		return "", fmt.Errorf("%w: there is not enough time to build it; what was compiled is kept, so go on with: go test -timeout 30m ./internal/testkit/controlplane", ErrAbsent)
	}
	if err != nil {
		return "", err
	}
	for _, name := range programs {
		if err := os.Symlink("kubetest", filepath.Join(directory, name)); err != nil && !errors.Is(err, os.ErrExist) {
			return "", err
		}
	}
	return directory, os.Rename(made, program) // last: it says that all is there
}

// sourceDirectory is /kubernetes of the module that the test belongs to.
func sourceDirectory(ctx context.Context) (string, error) {
	out, err := goTool(ctx, ".", "env", "GOMOD")
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrAbsent, err)
	}
	return filepath.Join(filepath.Dir(strings.TrimSpace(out)), "kubernetes"), nil
}

// plan says how to build the module in source, and a name for the result. The
// module is read by this process, so that go test knows what it depends on.
func plan(source string) (ldflags, sum string, err error) {
	hash := sha256.New()
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		text, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return "", "", err
		}
		fmt.Fprintf(hash, "%d ", len(text))
		hash.Write(text)
		if name != "go.mod" {
			continue
		}
		_, rest, _ := strings.Cut(string(text), "\tk8s.io/kubernetes v")
		version, _, _ := strings.Cut(rest, "\n")
		if ldflags, err = linkerFlags(strings.TrimSpace(version)); err != nil {
			return "", "", err
		}
	}
	fmt.Fprint(hash, ldflags, runtime.GOOS, runtime.GOARCH)
	return ldflags, hex.EncodeToString(hash.Sum(nil)[:8]), nil
}

// linkerFlags leave debugging information out and say what the release scripts
// of Kubernetes say. Without it, programs call themselves v0.0.0-master.
func linkerFlags(version string) (string, error) {
	parts := strings.Split(version, ".")
	if len(parts) != 3 {
		return "", fmt.Errorf("version of k8s.io/kubernetes: %q is not X.Y.Z", version)
	}
	flags := "-s -w"
	for _, path := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for _, v := range []struct{ name, value string }{
			{"gitVersion", "v" + version}, {"gitMajor", parts[0]}, {"gitMinor", parts[1]},
			{"gitTreeState", "archive"}, {"gitCommit", "unknown"}, {"buildDate", "1970-01-01T00:00:00Z"},
		} {
			flags += fmt.Sprintf(" -X %s.%s=%s", path, v.name, v.value)
		}
	}
	return flags, nil
}

// goTool runs the go command, politely towards whoever else uses the machine.
func goTool(ctx context.Context, dir string, args ...string) (string, error) {
	name, verb := "go", args[0]
	if _, err := exec.LookPath("nice"); err == nil {
		name, args = "nice", append([]string{"-n", "10", "go"}, args...)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) } // go waits for its compilers
	cmd.WaitDelay = 20 * time.Second
	testkit.EndWithUs(cmd)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s in %s: %w\n%s", verb, dir, err, lastLines(complaints.String(), 5))
	}
	return string(out), nil
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
