package controlplane

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/entente-id/entente/internal/testkit"
)

// A process is one running program of a control plane.
type process struct {
	name string
	log  string // file
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// launch starts a program in directory, where its log grows.
func launch(programs, directory, name string, args ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(directory, name+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = exec.Command(filepath.Join(programs, name), args...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = directory, log, log
	p.cmd.Env = []string{"HOME=" + directory, "PATH=" + os.Getenv("PATH")}
	testkit.EndWithUs(p.cmd)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// until asks the question again and again until it is answered without error.
func (p *process) until(question func() error) error {
	for deadline := time.Now().Add(2 * time.Minute); ; {
		err := question()
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s has ended: %s", p.name, p.complaints())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: %w\n%s", p.name, err, p.complaints())
		}
	}
}

func (p *process) complaints() string {
	text, _ := os.ReadFile(p.log)
	return lastLines(string(text), 15)
}

// stop asks the process to end, and ends it when that takes long: an API server
// waits for controllers that do not go away. A nil process has ended.
func (p *process) stop() {
	if p == nil {
		return
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(3 * time.Second):
		p.kill()
	}
}

// kill ends the process at once.
func (p *process) kill() {
	if p == nil {
		return
	}
	p.cmd.Process.Kill()
	<-p.done
}
