// Package durability proves what the service promises of its writes: one that
// was answered is there, whatever happened to the process, the machine or the
// disk, and so is its audit event.
//
// A kill is not a power cut: what a killed process wrote is still in the
// kernel's memory, whether it was synced or not. So the same writers are
// checked after both, and after a disk that was full.
package durability

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	_ "github.com/entente-id/entente/internal/cli" // what the program is made of: a change of it runs these tests again
	"github.com/entente-id/entente/internal/testkit"
)

// How often a test does what it does. Without these the tests are short, which
// is what CI runs.
const (
	killsVariable = "ENTENTE_KILLS"
	cutsVariable  = "ENTENTE_CUTS"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if code, ended := inOwnNamespace(); ended {
		return code
	}
	if os.Getenv(leftBehind) != "" {
		return m.Run() // needs no program
	}
	return testkit.Main(m)
}

// times is how often to do something: what the environment says, or a default.
func times(t *testing.T, variable string, usually int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return usually
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is no number of times", variable, text)
	}
	return n
}

// plural writes a count of something.
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
