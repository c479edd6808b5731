package testkit

import (
	"os/exec"
	"syscall"
)

// EndWithUs has the kernel end a process when this one ends, however it ends.
func EndWithUs(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
