package e2e

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

func TestQuickstart(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), program, "quickstart", "--exit", "-o", "json", "--listen", "127.0.0.1:0")
	cmd.Env = []string{"HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir()}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var r struct {
		Authority, CAFile, TenantID, SubscriptionID, ServiceAccountToken, Elapsed string
		Application, ManagedIdentity                                              struct{ ClientID, PrincipalID string }
		AccessToken                                                               claims
		ManagedIdentityAccessToken                                                claims
		Refusals                                                                  []struct {
			Case         string
			Code, Status int
		}
	}
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if r.AccessToken.OID != r.Application.PrincipalID || r.AccessToken.AppID != r.Application.ClientID || r.AccessToken.TID != r.TenantID {
		t.Errorf("the application's access token: %+v", r.AccessToken)
	}
	if r.ManagedIdentityAccessToken.OID != r.ManagedIdentity.PrincipalID || r.ManagedIdentityAccessToken.Mirid == "" {
		t.Errorf("the managed identity's access token: %+v", r.ManagedIdentityAccessToken)
	}
	if len(r.Refusals) != 2 || r.Refusals[0].Code != 700213 || r.Refusals[1].Code != 700211 || r.Refusals[0].Status != 401 {
		t.Errorf("refusals: %+v", r.Refusals)
	}
	if strings.Count(r.ServiceAccountToken, ".") != 2 || r.CAFile == "" || r.SubscriptionID == "" || r.Elapsed == "" {
		t.Errorf("%s", out)
	}
}

func TestQuickstartTellsAPersonWhatItProved(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), program, "quickstart", "--exit", "--listen", "127.0.0.1:0")
	cmd.Env = []string{"HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir()}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"access token out", "system:serviceaccount:pets:workload-identity-sa", "azidentity.WorkloadIdentityCredential", "verified by go-oidc", "AADSTS700213", "AADSTS700211", "The first token came"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "level=") {
		t.Errorf("log lines between the steps:\n%s", out)
	}
}

func TestQuickstartInAGivenDirectoryTwice(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		cmd := exec.CommandContext(t.Context(), program, "quickstart", "--exit", "-o", "json", "--listen", "127.0.0.1:0", "--data-dir", dir)
		cmd.Env = []string{"HOME=" + t.TempDir()}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
}
