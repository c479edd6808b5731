package cli

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
)

// azSubscription is the subscription that az has chosen: it stands in clouds.config
// of az's directory, in the section of the cloud that config names.
func azSubscription(getenv func(string) string) (string, error) {
	dir := getenv("AZURE_CONFIG_DIR")
	if dir == "" {
		dir = filepath.Join(getenv("HOME"), ".azure")
	}
	clouds, err := readINI(filepath.Join(dir, "clouds.config"))
	if err != nil {
		return "", err
	}
	config, err := readINI(filepath.Join(dir, "config"))
	if err != nil {
		return "", err
	}
	cloud := cmp.Or(config["cloud"]["name"], "AzureCloud")
	id, err := uuid.Parse(clouds[cloud]["subscription"])
	if err != nil || id == uuid.Nil {
		return "", fmt.Errorf("az has chosen no subscription for %s", cloud)
	}
	return id.String(), nil
}

// readINI reads the sections of a file such as Python's configparser writes. Names
// of keys have no case; lines that are nothing of it are passed over.
func readINI(file string) (map[string]map[string]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sections := map[string]map[string]string{}
	section := ""
	lines := bufio.NewScanner(io.LimitReader(f, 1<<20))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSuffix(name, "]")
			continue
		}
		at := strings.IndexAny(line, "=:")
		if at < 0 || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		if sections[section] == nil {
			sections[section] = map[string]string{}
		}
		sections[section][strings.ToLower(strings.TrimSpace(line[:at]))] = strings.TrimSpace(line[at+1:])
	}
	return sections, lines.Err()
}

// errSubscription is azwi's, to the letter.
var errSubscription = errors.New("--subscription-id is required (and must be a valid UUID)")

// parseSubscription reads one that was given.
func parseSubscription(text string) (string, error) {
	id, err := uuid.Parse(text)
	if err != nil || id == uuid.Nil {
		return "", errSubscription
	}
	return id.String(), nil
}
