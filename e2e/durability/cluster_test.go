package durability

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/entente-id/entente/internal/localissuer"
)

// clusters are issuers whose keys the service may fetch, and the flags that let it.
func clusters(t *testing.T, n int) (trusted []*localissuer.Issuer, flags []string) {
	t.Helper()
	var certificates []byte
	for range n {
		issuer, err := localissuer.New(localissuer.Config{Algorithm: "RS256"})
		if err != nil {
			t.Fatal(err)
		}
		if err := issuer.Start(context.WithoutCancel(t.Context()), "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(issuer.Close)
		trusted, certificates = append(trusted, issuer), append(certificates, issuer.CAPEM()...)
	}
	ca := filepath.Join(t.TempDir(), "issuer-ca.pem")
	if err := os.WriteFile(ca, certificates, 0o644); err != nil {
		t.Fatal(err)
	}
	return trusted, []string{"--issuer-allow", "127.0.0.1", "--issuer-ca", ca}
}
