package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
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
	packages, err := nodePackages()
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

// nodePackages is a folder with the packages of the lock file. They are
// installed once per lock file, into the user's cache.
func nodePackages() (string, error) {
	out, err := exec.Command("node", "--version").Output()
	if err != nil {
		return "", err
	}
	version := strings.TrimSpace(string(out))
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < 20 {
		return "", fmt.Errorf("node is %s, want v20 or later", version)
	}

	files := map[string][]byte{"package.json": nil, "package-lock.json": nil}
	for name := range files {
		if files[name], err = os.ReadFile(filepath.Join("node", name)); err != nil {
			return "", err
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "entente-e2e", fmt.Sprintf("node-%x", sha256.Sum256(files["package-lock.json"])))
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(dir+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	packages := filepath.Join(dir, "node_modules")
	if _, err := os.Stat(dir); err == nil || !errors.Is(err, os.ErrNotExist) {
		return packages, err
	}

	unfinished := dir + ".new"
	if err := errors.Join(os.RemoveAll(unfinished), os.Mkdir(unfinished, 0o755)); err != nil {
		return "", err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(unfinished, name), text, 0o644); err != nil {
			return "", err
		}
	}
	install := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	install.Dir = unfinished
	if out, err := install.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	return packages, os.Rename(unfinished, dir)
}
