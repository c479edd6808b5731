package durability

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/entente-id/entente/internal/testkit"
)

// Between a write and its answer the kernel is told at least once to bring it
// to the disk. strace sees it from outside of the program.
func TestWritesAreSynced(t *testing.T) {
	need(t, "strace")
	const writes = 40
	trusted, flags := clusters(t, 1)
	s := testkit.Serve(t, t.TempDir(), flags...)
	l := newLoad(t, s, trusted[0], 1)
	c := s.AsAdmin(t)
	if _, err := l.writers[0].read(t.Context(), c); err != nil { // a token for each wire
		t.Fatal(err)
	}
	recorded(t, s) // or writing the records of these sign-ins could pass for a write's own sync
	tr := trace(t, s.PID())
	type span struct{ from, to float64 }
	var spans []span
	for range writes {
		began := seconds(time.Now())
		if !l.one(t.Context(), t, c, l.writers[0]) || t.Failed() {
			t.Fatal("a write failed")
		}
		spans = append(spans, span{began, seconds(time.Now())})
	}
	syncs := tr.end(t)
	for i, s := range spans {
		n := 0
		for _, at := range syncs {
			if s.from <= at && at <= s.to {
				n++
			}
		}
		if n == 0 {
			t.Errorf("write %d was answered and not synced", i)
		}
	}
	t.Logf("%d writes that were answered, %d fsync and fdatasync, at least one within each", writes, len(syncs))
}

func seconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// tracing is strace at work on a process.
type tracing struct {
	cmd  *exec.Cmd
	file string
	said chan string // what it has to say besides
}

// trace begins to note when a process syncs.
func trace(t *testing.T, pid int) *tracing {
	t.Helper()
	tr := &tracing{file: filepath.Join(t.TempDir(), "strace"), said: make(chan string, 1)}
	tr.cmd = exec.Command("strace", "-f", "-ttt", "-e", "trace=fsync,fdatasync", "-o", tr.file, "-p", fmt.Sprint(pid))
	testkit.EndWithUs(tr.cmd)
	stderr, err := tr.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	attached := make(chan bool, 1)
	go func() {
		var all bytes.Buffer
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			fmt.Fprintln(&all, lines.Text())
			if strings.Contains(lines.Text(), " attached") {
				select {
				case attached <- true:
				default:
				}
			}
		}
		close(attached)
		tr.said <- all.String()
	}()
	if !<-attached {
		text := <-tr.said
		tr.cmd.Wait()
		t.Skipf("strace may not trace here: %s", text)
	}
	return tr
}

// end ends the tracing and returns the moments, in seconds since 1970, at which the process began to sync.
func (tr *tracing) end(t *testing.T) (syncs []float64) {
	t.Helper()
	tr.cmd.Process.Signal(os.Interrupt) // it lets go of the process
	<-tr.said
	tr.cmd.Wait()
	text, err := os.ReadFile(tr.file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		// PID SECONDS fdatasync(9) = 0, or the beginning of one: … fdatasync(9 <unfinished ...>
		words := strings.Fields(line)
		if len(words) < 3 || !strings.HasPrefix(words[2], "fsync(") && !strings.HasPrefix(words[2], "fdatasync(") {
			continue
		}
		at, err := strconv.ParseFloat(words[1], 64)
		if err != nil {
			t.Fatalf("strace wrote %q", line)
		}
		syncs = append(syncs, at)
	}
	return syncs
}
