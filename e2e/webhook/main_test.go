// Package webhook runs the built webhook against a real API server: replicas
// that start, rotate, drain and are killed while pods are created.
package webhook

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	_ "github.com/entente-id/entente/internal/webhook" // what the program is made of: a change of it runs these tests again
)

// program is the built entente-webhook.
var program string

func TestMain(m *testing.M) {
	flag.Parse()
	// Each test has a cluster of its own, and waits for most of the time. Who
	// says how many may run at once is asked; Go's own number is that of cores.
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "test.parallel" })
	if !said {
		flag.Set("test.parallel", "5")
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "entente-webhook-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "entente-webhook")
	build := exec.Command("go", "build", "-o", program, "github.com/entente-id/entente/cmd/entente-webhook")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
