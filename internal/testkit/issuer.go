package testkit

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/entente-id/entente/internal/localissuer"
)

// Issuer starts an issuer on loopback for the time of a test, and returns the
// flags with which a service may fetch its keys.
func Issuer(t testing.TB, c localissuer.Config) (issuer *localissuer.Issuer, flags []string) {
	t.Helper()
	issuer, err := localissuer.New(c)
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
	return issuer, []string{"--issuer-allow", "127.0.0.1", "--issuer-ca", ca}
}
