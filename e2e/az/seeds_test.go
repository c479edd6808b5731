package az

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// passes is how often az-seed-commands.sh says ok, so that no part of it is
// left out unseen. It does not run the role commands of an az that crashes on
// each of them, before it asks anybody, without a shim.
const passes = 157

// TestSeedCommands has az run the commands of the seeds, literally, and what
// people do around them.
func TestSeedCommands(t *testing.T) {
	t.Parallel()
	s, issuer := serve(t)
	p := administrator(t, s)
	p.out("az group create -n myResourceGroup -l local")
	p.export("ISSUER", issuer.URL())
	p.out(`az rest --method put --url "/subscriptions/$SUBSCRIPTION/resourceGroups/myResourceGroup/providers/Microsoft.ContainerService/managedClusters/myAKScluster?api-version=2022-11-01" \
		--body '{"location":"local","properties":{"oidcIssuerProfile":{"enabled":true,"issuerURL":"'$ISSUER'","keySource":"Discovery"}}}'`)

	token := filepath.Join(t.TempDir(), "service-account-token")
	if err := os.WriteFile(token, []byte(mint(t, issuer)), 0o600); err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs("testdata/az-seed-commands.sh")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "bash", script)
	cmd.Dir = filepath.Dir(script)
	cmd.Env = append(cmd.Env,
		"PATH="+os.Getenv("PATH"), "HOME="+t.TempDir(), "TMPDIR="+t.TempDir(), "LANG=C.UTF-8",
		"WIF_ENDPOINT="+s.Authority, "WIF_CA_FILE="+s.CAFile, "WIF_TENANT_ID="+s.TenantID, "WIF_SUBSCRIPTION_ID="+s.SubscriptionID,
		"WIF_CLIENT_ID="+s.ClientID, "WIF_CLIENT_SECRET="+s.ClientSecret,
		"WIF_ISSUER="+issuer.URL(), "WIF_MINT_TOKEN_CMD=cat "+token, "WIF_AKS_ISSUER="+issuer.URL(),
		"WIF_SEEDS_DIR=seeds", "WIF_TEST_LIMIT=1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 10 * time.Second
	err = cmd.Run()
	count := regexp.MustCompile(`(?m)^seed-commands: (\d+) passed, (\d+) failed, (\d+) skipped$`).FindStringSubmatch(out.String())
	if err != nil || count == nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if passed, _ := strconv.Atoi(count[1]); passed < passes || count[2] != "0" {
		t.Errorf("%s, want %d passed\n%s", count[0], passes, out.String())
	}
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "skip - ") && !strings.Contains(line, "this az package is broken") {
			t.Error(strings.TrimSpace(line))
		}
	}
	t.Log(count[0])
}
