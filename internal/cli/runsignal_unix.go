//go:build unix

package cli

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

// forwarded are the signals that people and orchestrators send to programs.
var forwarded = []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2}

// fromTerminal tells whether a signal is one that a terminal sends, when it
// reaches the command as well: both are in the group that it talks to.
func fromTerminal(s os.Signal) bool {
	return (s == syscall.SIGINT || s == syscall.SIGQUIT || s == syscall.SIGHUP) && inForeground()
}

// inForeground reads the terminal's group (tpgid, proc(5)); on systems without
// that, whoever has a terminal is taken to be in front of it.
func inForeground() bool {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		tty, err := os.Open("/dev/tty")
		if err == nil {
			tty.Close()
		}
		return err == nil
	}
	_, rest, _ := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	fields := bytes.Fields(rest) // state ppid pgrp session tty_nr tpgid
	if len(fields) < 6 {
		return false
	}
	group, err := strconv.Atoi(string(fields[5]))
	return err == nil && group == syscall.Getpgrp()
}
