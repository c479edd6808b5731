//go:build unix

package proxy

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

// forwarded are the signals that people and orchestrators send to programs.
var forwarded = []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2}

// fromTerminal tells whether a signal is one that a terminal sends, when it
// reaches the command as well: both are in the group that it talks to (tpgid, proc(5)).
func fromTerminal(s os.Signal) bool {
	if s != syscall.SIGINT && s != syscall.SIGQUIT && s != syscall.SIGHUP {
		return false
	}
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return false
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // state ppid pgrp session tty_nr tpgid
	if len(fields) < 6 {
		return false
	}
	group, err := strconv.Atoi(string(fields[5]))
	return err == nil && group == syscall.Getpgrp()
}
