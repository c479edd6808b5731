package journeys

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/internal/testkit"
)

const helpDir = "testdata/help"

// What --help of each command says, found by going through the tree, under each of
// the program's names: a file each, and no file more.
func TestHelp(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	found := map[string]bool{}
	for _, name := range []string{"entente", "azwi"} {
		if err := os.Symlink(testkit.Program, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
		walkHelp(t, bin, found, name)
	}
	files, err := os.ReadDir(helpDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if found[f.Name()] {
			continue
		}
		if *update {
			os.Remove(filepath.Join(helpDir, f.Name()))
		} else {
			t.Errorf("%s is of no command", filepath.Join(helpDir, f.Name()))
		}
	}
}

// walkHelp compares a command and all below it.
func walkHelp(t *testing.T, bin string, found map[string]bool, command string) {
	text := help(t, bin, command)
	compareHelp(t, found, command, text)
	_, text, _ = bytes.Cut(text, []byte("\nUsage:\n"))
	section := ""
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if !strings.HasPrefix(lines.Text(), "  ") {
			section = lines.Text()
			continue
		}
		switch section {
		case "", "Aliases:", "Examples:", "Flags:", "Global Flags:":
		case "Additional help topics:":
			topic := strings.Join(words[:len(strings.Fields(command))+1], " ")
			compareHelp(t, found, topic, help(t, bin, topic))
		default: // commands, by what they are for
			if words[0] != "help" {
				walkHelp(t, bin, found, command+" "+words[0])
			}
		}
	}
}

func help(t *testing.T, bin, command string) []byte {
	words := strings.Fields(command)
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, words[0]), append(words[1:], "--help")...)
	cmd.Env = []string{"HOME=/home/you"} // of which defaults tell
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s --help: %v", command, err)
	}
	return text
}

func compareHelp(t *testing.T, found map[string]bool, command string, text []byte) {
	name := strings.ReplaceAll(command, " ", "_") + ".txt"
	found[name] = true
	file := filepath.Join(helpDir, name)
	if *update {
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Errorf("%s: %v", command, err)
	} else if diff := cmp.Diff(string(want), string(text)); diff != "" {
		t.Errorf("%s --help (-want +got; -update writes it):\n%s", command, diff)
	}
}
