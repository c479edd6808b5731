package testkit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Program is the built entente, for tests whose TestMain calls Main.
var Program string

// Main builds the program as its users get it, runs the tests and returns
// their exit code. The test package has to import what the program is made of,
// or go test will take an old result for a new one.
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "entente-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	Program = filepath.Join(dir, "entente")
	build := exec.Command("go", "build", "-o", Program, "github.com/entente-id/entente/cmd/entente")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
