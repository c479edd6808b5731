// Package tree knows where things are in the source tree that is deployed, and
// what they are called, so that the programs in deploy agree about it.
package tree

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Repository stands before the names of images where nothing else is said.
const Repository = "ghcr.io/entente-id"

// ChartDirectory is the chart's, below the root.
const ChartDirectory = "deploy/chart/entente"

// Root is the directory of the module that the working directory belongs to.
func Root(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	file := strings.TrimSpace(string(out))
	if file == "" || file == os.DevNull {
		return "", errors.New("this is to be run inside the source tree")
	}
	return filepath.Dir(file), nil
}

// Chart is what Chart.yaml says of versions.
type Chart struct {
	Name       string `yaml:"name"`
	Version    string `yaml:"version"`
	AppVersion string `yaml:"appVersion"` // the tag of images
}

// ReadChart reads Chart.yaml.
func ReadChart(root string) (Chart, error) {
	var c Chart
	text, err := os.ReadFile(filepath.Join(root, ChartDirectory, "Chart.yaml"))
	if err == nil {
		err = yaml.Unmarshal(text, &c)
	}
	if err == nil && (c.Version == "" || c.AppVersion == "") {
		err = errors.New("version or appVersion is missing")
	}
	if err != nil {
		return c, fmt.Errorf("read Chart.yaml: %w", err)
	}
	return c, nil
}
