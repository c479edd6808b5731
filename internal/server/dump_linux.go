package server

import (
	"fmt"
	"syscall"
)

// setDumpable is PR_SET_DUMPABLE (prctl(2)).
const setDumpable = 4

func notDumpable() error {
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, setDumpable, 0, 0, 0, 0, 0); errno != 0 {
		return fmt.Errorf("prctl PR_SET_DUMPABLE: %w", errno)
	}
	return nil
}
