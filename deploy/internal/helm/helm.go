// Package helm has Helm without its being installed.
//
// It comes from the module proxy like every other dependency, as a tool of the
// module in deploy/helm, which is its own because nothing of Helm shall stand in
// the go.mod of programs that run in other people's clusters. It is built once,
// in a minute or two, and kept in the user's cache directory.
package helm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// ErrAbsent says that Helm's modules cannot be had.
var ErrAbsent = errors.New("no Helm")

// Helm is a program that is there.
type Helm struct {
	Program string
	Home    string   // directory of its settings and caches, which are nobody else's
	Env     []string // added to the environment
}

// Open returns Helm, and builds it if it is not in the user's cache directory yet.
// root is the directory of the main module.
func Open(ctx context.Context, root string) (*Helm, error) {
	source := filepath.Join(root, "deploy", "helm")
	flags, sum, err := plan(source)
	if err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	directory := filepath.Join(cache, "entente-test", "helm-"+sum)
	h := &Helm{Program: filepath.Join(directory, "helm"), Home: filepath.Join(directory, "home")}
	if _, err := os.Stat(h.Program); err == nil {
		return h, nil
	}
	if err := os.MkdirAll(h.Home, 0o755); err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, filepath.Join(directory, "lock"))
	if err != nil {
		return nil, fmt.Errorf("helm: wait for another build: %w", err)
	}
	defer unlock()
	if _, err := os.Stat(h.Program); err == nil {
		return h, nil // by whoever held the lock
	}
	if err := goTool(ctx, source, "list", "-deps", tool); err != nil {
		return nil, fmt.Errorf("%w: its modules cannot be had: %w", ErrAbsent, err)
	}
	made := fmt.Sprintf("%s.%d", h.Program, os.Getpid())
	defer os.Remove(made)
	if err := goTool(ctx, source, "build", "-trimpath", "-ldflags", flags, "-o", made, tool); err != nil {
		return nil, err
	}
	return h, os.Rename(made, h.Program)
}

const tool = "helm.sh/helm/v4/cmd/helm"

// plan says how to build the module in source, and a name for the result.
func plan(source string) (ldflags, sum string, err error) {
	hash := sha256.New()
	var mod []byte
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(source, name))
		if err != nil {
			return "", "", err
		}
		hash.Write(text)
		if name == "go.mod" {
			mod = text
		}
	}
	ldflags, err = linkerFlags(mod)
	fmt.Fprint(hash, ldflags, runtime.GOOS, runtime.GOARCH, runtime.Version())
	return ldflags, hex.EncodeToString(hash.Sum(nil)[:8]), err
}

var (
	helmVersion       = regexp.MustCompile(`\bhelm\.sh/helm/v4 (v\S+)`)
	kubernetesVersion = regexp.MustCompile(`\bk8s\.io/client-go v0\.(\d+)\.`)
)

// linkerFlags say what Helm's Makefile says, without which it takes every
// cluster that it has not asked for Kubernetes 1.20.
func linkerFlags(mod []byte) (string, error) {
	version, minor := helmVersion.FindSubmatch(mod), kubernetesVersion.FindSubmatch(mod)
	if version == nil || minor == nil {
		return "", errors.New("helm: go.mod requires no version of helm.sh/helm/v4 and k8s.io/client-go")
	}
	flags := fmt.Sprintf("-s -w -X helm.sh/helm/v4/internal/version.version=%s", version[1])
	for _, path := range []string{"pkg/chart/v2/lint/rules.k8sVersion", "pkg/chart/common.k8sVersion", "internal/version.kubeClientVersion"} {
		flags += fmt.Sprintf(" -X helm.sh/helm/v4/%[1]sMajor=1 -X helm.sh/helm/v4/%[1]sMinor=%[2]s", path, minor[1])
	}
	return flags, nil
}

func goTool(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-trimpath")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %s in %s: %w\n%s", args[0], dir, err, lastLines(complaints.String(), 5))
	}
	return nil
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// Run runs Helm and returns what it prints. What it complains of is in the error.
func (h *Helm) Run(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, h.Program, args...)
	cmd.Env = append(os.Environ(), "HELM_CONFIG_HOME="+h.Home, "HELM_CACHE_HOME="+h.Home, "HELM_DATA_HOME="+h.Home)
	cmd.Env = append(cmd.Env, h.Env...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("helm %s: %w\n%s", args[0], err, bytes.TrimSpace(complaints.Bytes()))
	}
	return out.Bytes(), nil
}
