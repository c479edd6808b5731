package node

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/testkit/controlplane"
)

// The environment of the test program when it runs again.
const (
	roleVariable  = "ENTENTE_NODE_ROLE"  // first: the first process in the namespaces; tests: the one with the tests
	placeVariable = "ENTENTE_NODE_PLACE" // directory of everything that the node has
	groupVariable = "ENTENTE_NODE_CGROUP"
)

// Main runs a package's tests in namespaces where [Start] can start a node, and
// returns their exit code. What needs a network is done by prepare, before; it
// leaves its results on disk or in the environment.
//
// Where a node cannot be, the tests run as they are and Start skips them, or
// fails them when CI=true.
func Main(m *testing.M, prepare ...func() error) int {
	switch os.Getenv(roleVariable) {
	case "first":
		return first()
	case "tests":
		place = os.Getenv(placeVariable)
		return m.Run()
	}
	flag.Parse()
	var end time.Time
	if limit := flag.Lookup("test.timeout"); limit != nil {
		if d, ok := limit.Value.(flag.Getter).Get().(time.Duration); ok && d > 0 {
			end = time.Now().Add(d)
		}
	}
	if list := flag.Lookup("test.list"); list != nil && list.Value.String() != "" {
		return m.Run()
	}
	if missing = absent(); missing == "" {
		_, err := controlplane.Build(end)
		if errors.Is(err, controlplane.ErrAbsent) {
			missing = err.Error()
		} else if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if missing != "" {
		return m.Run()
	}
	for _, f := range prepare {
		if err := f(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	code, err := again()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// absent is what a node lacks here.
func absent() string {
	if os.Geteuid() != 0 {
		return "a node needs root"
	}
	for _, program := range []string{"containerd", "containerd-shim-runc-v2", "ctr", "runc", "iptables", "ip", filepath.Join(plugins, "bridge")} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Sprintf("a node needs Debian's packages containerd, runc, containernetworking-plugins, iptables and iproute2: %v", err)
		}
	}
	try := exec.Command("/proc/self/exe", "-test.run=^$")
	try.Env = append(os.Environ(), roleVariable+"=tests")
	try.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	if out, err := try.CombinedOutput(); err != nil {
		return fmt.Sprintf("a node needs namespaces of its own: %v %s", err, out)
	}
	return ""
}

const namespaces = syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC

// again runs the test program in the namespaces and cleans up after it.
func again() (code int, err error) {
	runtime.LockOSThread() // the child ends with the thread that starts it
	defer runtime.UnlockOSThread()
	removePlaces()
	directory, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", groupPrefix, os.Getpid()))
	if err != nil {
		return 1, err
	}
	defer os.Remove(directory) // what was mounted there is gone with the namespace
	group := fmt.Sprintf("%s%d", groupPrefix, os.Getpid())
	if err := removeGroups(); err != nil {
		fmt.Fprintln(os.Stderr, err) // somebody else's
	}
	defer func() {
		if left := removeGroups(); left != nil && err == nil {
			code, err = 1, fmt.Errorf("a cgroup of the node stays behind: %w", left)
		}
	}()
	if err := makeGroups(group); err != nil {
		return 1, err
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), roleVariable+"=first", placeVariable+"="+directory, groupVariable+"="+group)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); ended {
		if code := cmd.ProcessState.ExitCode(); code > 0 {
			return code, nil
		}
		return 1, fmt.Errorf("the first process of the node's namespaces: %w", err)
	}
	return 0, err
}

// removePlaces removes the empty directories of processes that were killed.
func removePlaces() {
	found, _ := filepath.Glob(filepath.Join(os.TempDir(), groupPrefix+"*"))
	for _, path := range found {
		text, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(path), groupPrefix), "-")
		if pid, err := strconv.Atoi(text); err == nil && syscall.Kill(pid, 0) != nil {
			os.Remove(path)
		}
	}
}

// first is the first process in the namespaces: it furnishes them, runs the
// tests, and waits for all that nobody else waits for, as its number demands.
func first() int {
	directory := os.Getenv(placeVariable)
	if err := furnish(directory); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	tests := exec.Command("/proc/self/exe", os.Args[1:]...)
	tests.Args[0] = os.Args[0]
	tests.Stdin, tests.Stdout, tests.Stderr = os.Stdin, os.Stdout, os.Stderr
	tests.Env = append(os.Environ(), roleVariable+"=tests")
	if err := tests.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err != nil && err != syscall.EINTR:
			fmt.Fprintln(os.Stderr, "wait for the tests:", err)
			return 1
		case pid != tests.Process.Pid:
		case status.Exited():
			return status.ExitStatus()
		case status.Signaled():
			fmt.Fprintln(os.Stderr, "the tests were ended by a signal:", status.Signal())
			return 128 + int(status.Signal())
		}
	}
}

// furnish mounts what a node writes to, over the machine's own, and makes the
// network that pods are connected to.
func furnish(directory string) error {
	mount := func(source, target, kind string, flags uintptr, data string) error {
		if err := syscall.Mount(source, target, kind, flags, data); err != nil {
			return fmt.Errorf("mount %s: %w", target, err)
		}
		return nil
	}
	err := errors.Join(
		mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""), // from the machine's
		mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""),
		mount("tmpfs", directory, "tmpfs", 0, "mode=755"),
		mount("tmpfs", "/run", "tmpfs", 0, "mode=755"),
		mount("tmpfs", "/var/log", "tmpfs", 0, "mode=755"),
	)
	if err != nil {
		return err
	}
	for _, name := range []string{"lib", "work", "kubelet"} {
		if err := os.Mkdir(filepath.Join(directory, name), 0o755); err != nil {
			return err
		}
	}
	// Test processes have no name service either.
	hosts := filepath.Join(directory, "hosts")
	if err := os.WriteFile(hosts, []byte("127.0.0.1 localhost\n"), 0o644); err != nil {
		return err
	}
	if err := mount(hosts, "/etc/hosts", "", syscall.MS_BIND, ""); err != nil {
		return err
	}
	// CNI and kubelet insist on directories in /var/lib.
	err = mount("overlay", "/var/lib", "overlay", 0, "lowerdir=/var/lib,upperdir="+filepath.Join(directory, "lib")+",workdir="+filepath.Join(directory, "work"))
	if err == nil {
		err = os.MkdirAll("/var/lib/kubelet", 0o755)
	}
	if err == nil {
		err = mount("tmpfs", "/var/lib/kubelet", "tmpfs", 0, "mode=755")
	}
	if err == nil {
		err = mount("", "/", "", syscall.MS_REC|syscall.MS_SHARED, "") // what kubelet mounts reaches containerd's children, and back
	}
	if err != nil {
		return err
	}
	for _, line := range []string{
		"link set lo up", "link add " + bridge + " type bridge", "addr add " + Address + "/24 dev " + bridge, "link set " + bridge + " up",
		"route add default dev " + bridge, // kubelet looks for the interface of one
	} {
		if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w\n%s", line, err, bytes.TrimSpace(out))
		}
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0)
}
