package durability

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// namespaced tells a process that its mounts are its own.
const namespaced = "ENTENTE_DURABILITY_NAMESPACE"

// inOwnNamespace runs the tests in a child that has a mount namespace of its
// own, where this process may make one. The kernel takes a namespace apart
// when its last process ends, and a loop device when its last mount does: so
// nothing stays mounted or attached, however the tests end.
func inOwnNamespace() (code int, ended bool) {
	if os.Geteuid() != 0 || mayMount() {
		return 0, false
	}
	runtime.LockOSThread() // Pdeathsig is about the thread that started the child
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), namespaced+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return 0, false // a container's root
	}
	cmd.Wait()
	return cmd.ProcessState.ExitCode(), true
}

// mayMount says whether what this process mounts is gone with it.
func mayMount() bool { return os.Getenv(namespaced) != "" }
