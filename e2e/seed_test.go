package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/testkit"
)

// seedLine is a line of the log about what a seed file did.
type seedLine struct {
	Message                  string `json:"msg"`
	Object, Name, Client     string
	Made, Changed, Unchanged int
}

func (s *service) seeded(t *testing.T) (lines []seedLine) {
	t.Helper()
	for text := range strings.Lines(s.Log()) {
		var line seedLine
		if json.Unmarshal([]byte(text), &line) == nil && strings.HasPrefix(line.Message, "seed: ") {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		t.Fatalf("the log does not speak of the seed file:\n%s", s.Log())
	}
	return lines
}

// The guide's example, with a real issuer: its application and its identity get
// tokens with the roles that the file gives them, and a second start changes nothing.
func TestSeed(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../docs/guides/seed.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(guide), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	issuer, flags := cluster(t)
	example = strings.ReplaceAll(example, "https://oidc.example.org/prod/", issuer.URL())
	file := filepath.Join(t.TempDir(), "seed.yaml")
	if err := os.WriteFile(file, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	clients := map[string]string{}
	var events int
	for start := range 2 {
		s := serve(t, dir, append(flags, "--seed", file)...)
		if s.TenantID != "9f2c6a5e-3b1d-4c8f-8a70-5d1e2b3c4d5e" || s.SubscriptionID != "1b7e5f3a-6c2d-4e90-b1a4-7f8d9c0e2a35" {
			t.Fatalf("the service has tenant %s and subscription %s", s.TenantID, s.SubscriptionID)
		}
		lines := s.seeded(t)
		last := lines[len(lines)-1]
		for _, line := range lines {
			if line.Client != "" {
				clients[line.Name] = line.Client
			}
		}
		records, err := s.AsAdmin(t).Records(t.Context(), client.AuditEvents, 0)
		if err != nil {
			t.Fatal(err)
		}
		if start == 0 {
			events = len(records)
			if last.Made != 21 || last.Changed != 1 {
				t.Errorf("the first start: %+v", last)
			}
		} else if last.Made != 0 || last.Changed != 0 || last.Unchanged != 23 || len(lines) != 1 || len(records) != events {
			t.Errorf("the second start: %+v, %d audit events and then %d", lines, events, len(records))
		}
		for name, role := range map[string]string{"pets-worker": "Pets.Read", "cat": "Pets.Write"} {
			token, err := s.exchange(t, clients[name], mint(t, issuer), "api://pets/.default")
			if err != nil {
				t.Errorf("start %d, %s: %v", start+1, name, err)
				continue
			}
			if c := decode(t, token); !slices.Equal(c.Roles, []string{role}) {
				t.Errorf("start %d, %s: %+v", start+1, name, c)
			}
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}
}

// A file that is not right stops the start before anything is made, and one that
// does not fit what is there before anything is changed.
func TestSeedSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	file := filepath.Join(t.TempDir(), "seed.yaml")
	start := func(text string) string {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), testkit.Program, "serve", "--data-dir", dir, "--listen", "127.0.0.1:0", "--health-listen", "none", "--log-level", "error")
		cmd.Env = []string{"HOME=" + dir, "ENTENTE_SEED=" + file}
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Errorf("the service started with\n%s", text)
		}
		return strings.ReplaceAll(string(out), file, "seed.yaml")
	}
	const bad = "applications:\n  - displayname: worker\n    federatedCredentials:\n      - {name: a, issuer: http://issuer.example/, serviceAccount: pets/worker}\n"
	const want = `error: --seed: the file cannot be loaded
seed.yaml:2: applications[0].displayName: is missing
seed.yaml:2: applications[0].displayname: there is no such field: did you mean displayName?
seed.yaml:4: applications[0].federatedCredentials[0].issuer: "http://issuer.example/" must use https
`
	if got := start(bad); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the data directory: %v", err)
	}
	const unfit = "managedIdentities: [{name: cat, resourceGroup: pets}]\nissuers: [{name: lab, issuer: https://lab.example/, keySet: {keys: [{kty: oct, k: c2VjcmV0}]}}]\n"
	got := start(unfit)
	for _, line := range []string{`seed.yaml:1: managedIdentities[0].resourceGroup: "pets" is not there, and not in this file`, `seed.yaml:2: issuers[0].keySet: `} {
		if !strings.Contains(got, "\n"+line) {
			t.Errorf("got\n%s\nwant %s", got, line)
		}
	}
	if strings.Contains(got, "c2VjcmV0") {
		t.Errorf("a key stands in the error:\n%s", got)
	}
}
