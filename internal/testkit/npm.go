//go:build unix

package testkit

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// NodePackages is a folder node_modules with what a lock file in dir names. It
// is installed once per lock file, into the user's cache.
func NodePackages(dir string) (string, error) {
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
		if files[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	installed := filepath.Join(cache, "entente-e2e", fmt.Sprintf("node-%x", sha256.Sum256(files["package-lock.json"])))
	if err := os.MkdirAll(filepath.Dir(installed), 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(installed+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	packages := filepath.Join(installed, "node_modules")
	if _, err := os.Stat(installed); err == nil || !errors.Is(err, os.ErrNotExist) {
		return packages, err
	}

	unfinished := installed + ".new"
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
	return packages, os.Rename(unfinished, installed)
}
