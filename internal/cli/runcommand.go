package cli

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

const outputWithin = 2 * time.Second

// signals are those that are for the command.
type signals struct {
	got  chan os.Signal
	done chan struct{}
}

// watch keeps signals from ending this process before the command has ended.
func watch() *signals {
	s := &signals{got: make(chan os.Signal, 16), done: make(chan struct{})}
	for _, one := range forwarded {
		if !signal.Ignored(one) {
			signal.Notify(s.got, one)
		}
	}
	return s
}

func (s *signals) stop() {
	signal.Stop(s.got)
	close(s.done)
}

// run runs a command, hands it the signals that come, and returns how it ended
// if that was not well.
func (s *signals) run(args, environ []string, stdin io.Reader, stdout, stderr io.Writer) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = environ, stdin, stdout, stderr
	cmd.WaitDelay = outputWithin // of those who keep the output open; files are the command's own
	err := cmd.Start()
	switch {
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist):
		return &exited{exitNoCommand, err}
	case err != nil:
		return &exited{exitCannotRun, err}
	}
	go func() {
		for {
			select {
			case got := <-s.got:
				if !fromTerminal(got) {
					cmd.Process.Signal(got)
				}
			case <-s.done:
				return
			}
		}
	}()
	err = cmd.Wait()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // the command itself ended well
	}
	e, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return err
	}
	if status, ok := e.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return &exited{code: exitBySignal + int(status.Signal())}
	}
	return &exited{code: e.ExitCode()}
}
