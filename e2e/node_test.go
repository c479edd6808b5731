package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/entente-id/entente/internal/testkit"
)

// node runs one of the programs in the folder node, which trusts the service's
// CA beside the public ones, and has nothing else in its environment than env.
// Where there is no Node the test is skipped, or fails when CI=true.
func node(t *testing.T, s *service, program string, env []string, in, out any) {
	t.Helper()
	dir, err := nodePrograms()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	input, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", filepath.Join(dir, program))
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "NODE_EXTRA_CA_CERTS=" + s.CAFile}, env...)
	cmd.Stdin = bytes.NewReader(input)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, stderr.String())
	}
	if err := json.Unmarshal(output, out); err != nil {
		t.Fatalf("%s writes %.200q: %v", program, output, err)
	}
}

// nodePrograms is a folder with the programs, beside what they import.
var nodePrograms = sync.OnceValues(func() (string, error) {
	packages, err := testkit.NodePackages("node")
	if err != nil {
		return "", fmt.Errorf("the Node clients cannot run: %w", err)
	}
	dir := filepath.Join(filepath.Dir(testkit.Program), "node")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	sources, err := filepath.Glob("node/*.mjs")
	if err != nil {
		return "", err
	}
	for _, source := range sources {
		text, err := os.ReadFile(source)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(source)), text, 0o644); err != nil {
			return "", err
		}
	}
	return dir, os.Symlink(packages, filepath.Join(dir, "node_modules"))
})
