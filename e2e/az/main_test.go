// Package az has people work with the real Azure CLI, of the version that
// Debian has: the command lines that articles and manuals print go through it
// unchanged, to the built program. Nothing here knows what az sends.
package az

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
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
	issuer, err := localissuer.New(localissuer.Config{Path: "/clusters/one/"})
	if err != nil {
		t.Fatal(err)
	}
	if err := issuer.Start(context.WithoutCancel(t.Context()), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(issuer.Close)
	ca := filepath.Join(t.TempDir(), "issuer-ca.pem")
	if err := os.WriteFile(ca, issuer.CAPEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	return testkit.Serve(t, t.TempDir(), append([]string{"--issuer-allow", "127.0.0.1", "--issuer-ca", ca}, args...)...), issuer
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
