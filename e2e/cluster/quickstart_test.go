package cluster

import (
	"encoding/json"
	"errors"
	"os/exec"
	"testing"

	"github.com/entente-id/entente/internal/testkit"
	"github.com/entente-id/entente/internal/testkit/controlplane"
)

// The quickstart with a kubeconfig: the cluster's tokens, azidentity and go-oidc.
func TestQuickstartWithACluster(t *testing.T) {
	for name, url := range map[string]string{"an issuer that others can ask": "/", "an issuer of the cluster's own": inside} {
		t.Run(name, func(t *testing.T) {
			c := controlplane.Start(t, controlplane.Config{Issuer: url})
			cmd := exec.CommandContext(t.Context(), testkit.Program, "quickstart", "--exit", "-o", "json", "--listen", "127.0.0.1:0", "--kubeconfig", c.Kubeconfig)
			cmd.Env = []string{"HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir()}
			out, err := cmd.Output()
			if e, ok := errors.AsType[*exec.ExitError](err); ok {
				t.Fatalf("%v\n%s%s", err, out, e.Stderr)
			}
			var r struct {
				Issuer, Subject string
				Application     struct{ ClientID, PrincipalID string }
				AccessToken     claims
				Refusals        []struct{ Code int }
			}
			if err := json.Unmarshal(out, &r); err != nil {
				t.Fatal(err)
			}
			if r.Issuer != c.Issuer || r.AccessToken.OID != r.Application.PrincipalID || len(r.Refusals) != 2 || r.Refusals[0].Code != 700213 || r.Refusals[1].Code != 700211 {
				t.Errorf("%s", out)
			}
		})
	}
}
