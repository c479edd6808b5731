package pods

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/entente-id/entente/internal/testkit"
	"github.com/entente-id/entente/internal/testkit/node"
)

// sdks are the programs that ask for tokens, by the image that they are in.
var sdks = map[string]func(*testing.T) v1.Image{"go": goProgram, "node": nodeProgram, "python": pythonProgram}

func imageOf(sdk string) string { return "localhost/" + sdk + ":test" }

// image has the node know the image of an SDK's program.
func (w *town) image(t *testing.T, sdk string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.imported[sdk] {
		w.ImportImage(t, imageOf(sdk), sdks[sdk](t))
		w.imported[sdk] = true
	}
}

func goProgram(t *testing.T) v1.Image {
	read(t, "token")
	return node.Program(t, "github.com/entente-id/entente/e2e/pods/token", "token")
}

// nodeProgram is this machine's Node and what the lock file names.
func nodeProgram(t *testing.T) v1.Image {
	packages, err := testkit.NodePackages("node")
	if err != nil {
		absent(t, err)
	}
	program, err := exec.LookPath("node")
	if err != nil {
		absent(t, err)
	}
	files := node.Files{"/usr/bin/node": program, "/app/node_modules": packages, "/app/token.mjs": "node/token.mjs", "/app/package.json": "node/package.json"}
	files.Libraries(t, program)
	return node.Image(t, []string{"/usr/bin/node", "/app/token.mjs"}, files)
}

// pythonProgram is Debian's Python with its packages of the Azure SDK, which
// come with azure-cli.
func pythonProgram(t *testing.T) v1.Image {
	const interpreter, packages = "/usr/bin/python3", "/usr/lib/python3/dist-packages"
	if err := exec.Command(interpreter, "-c", "import azure.identity").Run(); err != nil {
		absent(t, fmt.Errorf("Debian's Python has no azure.identity: %w", err))
	}
	// The directory of the standard library bears the version's name.
	out, err := exec.Command(interpreter, "-c", "import os; print(os.path.dirname(os.__file__))").Output()
	if err != nil {
		t.Fatal(err)
	}
	library := strings.TrimSpace(string(out))
	files := node.Files{interpreter: interpreter, library: library, "/app/gettoken.py": "python/gettoken.py"}
	for _, name := range []string{
		"azure/__init__.py", "azure/core", "azure/identity", "msal", "msal_extensions", "requests", "urllib3", "idna", "chardet", "charset_normalizer",
		"certifi", "cryptography", "_cffi_backend.*", "jwt", "portalocker", "six.py", "typing_extensions.py", "bcrypt",
	} {
		found, err := filepath.Glob(filepath.Join(packages, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			files[path] = path
		}
	}
	linked := []string{interpreter}
	for path := range files {
		err := filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
			if strings.HasSuffix(path, ".so") && err == nil {
				linked = append(linked, path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	files.Libraries(t, linked...)
	return node.Image(t, []string{interpreter, "/app/gettoken.py"}, files)
}

// read reads what other processes make something of, so that go test knows what
// its result depends on.
func read(t *testing.T, directory string) {
	t.Helper()
	err := filepath.WalkDir(directory, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			_, err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// absent skips what cannot be here, or fails it where everything has to be.
func absent(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	t.Skip(err)
}

// install has npm fetch what is not there yet, while there is a network. That
// it cannot is the concern of the tests that need it.
func install() error {
	_, err := testkit.NodePackages("node")
	if err != nil && !errors.Is(err, exec.ErrNotFound) {
		fmt.Fprintln(os.Stderr, err)
	}
	return nil
}
