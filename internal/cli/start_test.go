package cli

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// BenchmarkStart is what it takes to start the program, for commands that ask nobody:
// the time that passes, and of the processor (docs/performance.md).
func BenchmarkStart(b *testing.B) {
	program := filepath.Join(b.TempDir(), "entente")
	if out, err := exec.Command("go", "build", "-o", program, "../../cmd/entente").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	home := b.TempDir()
	for _, line := range []string{"version", "--help", "context list"} {
		b.Run(strings.ReplaceAll(line, " ", "_"), func(b *testing.B) {
			var cpu time.Duration
			for b.Loop() {
				cmd := exec.Command(program, strings.Fields(line)...)
				cmd.Env = []string{"HOME=" + home}
				var out bytes.Buffer
				cmd.Stdout, cmd.Stderr = &out, &out
				if err := cmd.Run(); err != nil {
					b.Fatalf("%v\n%s", err, out.Bytes())
				}
				cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
			}
			b.ReportMetric(float64(cpu.Microseconds())/1000/float64(b.N), "cpu-ms/op")
		})
	}
}

// BenchmarkCommands is what the tree of commands costs of that.
func BenchmarkCommands(b *testing.B) {
	for b.Loop() {
		newRoot()
	}
}
