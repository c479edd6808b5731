package server

import (
	"syscall"
	"testing"
)

func TestNoDumps(t *testing.T) {
	if err := NoDumps(); err != nil {
		t.Fatal(err)
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &limit); err != nil || limit.Cur != 0 || limit.Max != 0 {
		t.Errorf("core files may have %+v bytes (%v)", limit, err)
	}
	const getDumpable = 3 // PR_GET_DUMPABLE (prctl(2))
	if dumpable, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, getDumpable, 0, 0, 0, 0, 0); errno != 0 || dumpable != 0 {
		t.Errorf("dumpable is %d (%v)", dumpable, errno)
	}
}
