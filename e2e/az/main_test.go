// Package az has people work with the real Azure CLI, of the version that
// Debian has: the command lines that articles and manuals print go through it
// unchanged, to the built program. Nothing here knows what az sends.
package az

import (
	"errors"
	"os"
	"os/exec"
	"testing"

	_ "github.com/entente-id/entente/internal/cli" // what the program is made of: a change of it runs these tests again
	"github.com/entente-id/entente/internal/localissuer"
	"github.com/entente-id/entente/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// serve starts the service, and a cluster whose issuer it may ask. A test that
// calls it is skipped where there is no az, or fails when CI=true.
func serve(t *testing.T, args ...string) (*testkit.Service, *localissuer.Issuer) {
	t.Helper()
	for _, program := range []string{"az", "bash", "openssl", "python3", "script"} {
		if _, err := exec.LookPath(program); err != nil {
			if os.Getenv("CI") == "true" || !errors.Is(err, exec.ErrNotFound) {
				t.Fatal(err)
			}
			t.Skipf("%v (apt-get install --no-install-recommends azure-cli openssl)", err)
		}
	}
	issuer, flags := testkit.Issuer(t, localissuer.Config{Path: "/clusters/one/"})
	return testkit.Serve(t, t.TempDir(), append(flags, args...)...), issuer
}

// mint is a token of the seeds' service account.
func mint(t *testing.T, issuer *localissuer.Issuer) string {
	t.Helper()
	token, err := issuer.Mint(localissuer.Token{Namespace: "pets", ServiceAccount: "workload-identity-sa"})
	if err != nil {
		t.Fatal(err)
	}
	return token
}
