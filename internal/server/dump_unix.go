//go:build unix

package server

import (
	"fmt"
	"syscall"
)

// NoDumps keeps the memory of the process, in which signing keys are open, out
// of core files and, on Linux, from other processes of the same user. It is
// for the whole process and cannot be undone, so whoever owns that calls it.
func NoDumps() error {
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return fmt.Errorf("limit of core files: %w", err)
	}
	return notDumpable()
}
