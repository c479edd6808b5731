package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/client"
)

// state is a service with a file for it.
type state struct {
	*session
	t    *testing.T
	file string
}

func newState(t *testing.T) *state {
	bare(t)
	t.Setenv("HOME", t.TempDir())
	return &state{session: serving(t), t: t, file: filepath.Join(t.TempDir(), "state.yaml")}
}

// says writes the file.
func (s *state) says(text string) {
	s.t.Helper()
	write(s.t, s.file, []byte(text))
}

// run runs a verb on the file and the service.
func (s *state) run(verb string, args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	if verb != "export" {
		args = append(args, "-f", s.file)
	}
	code, stdout, stderr = run(s.t, append(append([]string{verb}, args...), "--data-dir", s.caller.dataDir)...)
	return code, strings.ReplaceAll(stdout, s.file, "state.yaml"), strings.ReplaceAll(stderr, s.file, "state.yaml")
}

// want runs a verb and compares all that it says.
func (s *state) want(code int, stdout, stderr string, verb string, args ...string) {
	s.t.Helper()
	gotCode, out, errs := s.run(verb, args...)
	if diff := cmp.Diff(fmt.Sprintf("%d\n%s\n%s", code, stdout, stderr), fmt.Sprintf("%d\n%s\n%s", gotCode, out, errs)); diff != "" {
		s.t.Errorf("%s %q: -want +got\n%s", verb, args, diff)
	}
}

const pets = `owner: pets
resourceGroups: [{name: pets, location: here}]
applications:
  - displayName: worker
    federatedCredentials:
      - {name: pets--cluster, issuer: https://prod.example/, serviceAccount: pets/worker}
managedIdentities:
  - name: cat
    resourceGroup: pets
    federatedCredentials:
      - {name: pets--cluster, issuer: https://prod.example/, serviceAccount: pets/cat}
`

func TestPlanAndApply(t *testing.T) {
	s := newState(t)
	s.says(pets)
	const first = `+ resource group "pets"   # state.yaml:2
    location  "here"
+ application "worker"   # state.yaml:4
+ service principal of application "worker"   # state.yaml:4
+ federated credential "pets--cluster" of application "worker"   # state.yaml:6
    issuer     "https://prod.example/"
    subject    "system:serviceaccount:pets:worker"
    audiences  ["api://AzureADTokenExchange"]
+ managed identity "pets/cat"   # state.yaml:8
    location  "here"
+ federated credential "pets--cluster" of managed identity "pets/cat"   # state.yaml:11
    issuer     "https://prod.example/"
    subject    "system:serviceaccount:pets:cat"
    audiences  ["api://AzureADTokenExchange"]

6 to create, 0 to change, 0 to delete, 0 unchanged
`
	const nothing = "nothing to do: 6 unchanged\n"
	s.want(exitOK, first, "", "plan")
	s.want(exitDiffers, first, "", "plan", "--detailed-exitcode")
	s.want(exitOK, first, "", "apply", "--dry-run")
	s.want(exitDiffers, first, "", "apply", "--dry-run", "--detailed-exitcode")
	const unconfirmed = "error: nobody is there to confirm\nhint: --yes changes without asking; --dry-run changes nothing\n"
	s.want(exitUsage, first, unconfirmed, "apply")
	s.want(exitError, first, unconfirmed, "apply", "--detailed-exitcode")
	s.want(exitOK, "create\tresourceGroup\tpets\t-\ncreate\tapplication\tworker\t-\ncreate\tservicePrincipal\tworker\tworker\ncreate\tfederatedCredential\tpets--cluster\tworker\n"+
		"create\tmanagedIdentity\tpets/cat\t-\ncreate\tfederatedCredential\tpets--cluster\tpets/cat\n", "", "plan", "-o", "name")

	code, out, errs := s.run("apply", "--yes", "--detailed-exitcode")
	if code != exitDiffers || out != first || strings.Count(errs, "\n") != 6 || !strings.HasPrefix(errs, "[1/6] created resource group \"pets\"\n") || !strings.Contains(errs, "[6/6] created ") {
		t.Errorf("%d\n%s\n%s", code, out, errs)
	}
	s.want(exitOK, nothing, "", "plan", "--detailed-exitcode")
	s.want(exitOK, nothing, "", "apply", "--detailed-exitcode")
	s.want(exitOK, "", "", "plan", "-o", "name")
	if _, out, _ := s.run("plan", "--all"); strings.Count(out, "\n") != 8 || !strings.Contains(out, "  managed identity \"pets/cat\"   # state.yaml:8\n") {
		t.Errorf("%s", out)
	}

	// Somebody else's hand, and a change of the file.
	app, err := s.client.ApplicationByName(t.Context(), "worker")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.client.UpdateApplicationCredential(t.Context(), app.ID, "pets--cluster", client.FederatedCredentialUpdate{Subject: "system:serviceaccount:pets:other"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.CreateApplicationCredential(t.Context(), app.ID, client.FederatedCredential{Name: "hand", Issuer: "https://prod.example/", Subject: "hand", Audiences: []string{"api://AzureADTokenExchange"}}); err != nil {
		t.Fatal(err)
	}
	s.says(strings.Replace(pets, "\n      - {name: pets--cluster, issuer: https://prod.example/, serviceAccount: pets/cat}", " []", 1))
	const drift = `~ federated credential "pets--cluster" of application "worker"   # state.yaml:6
    subject  "system:serviceaccount:pets:other" -> "system:serviceaccount:pets:worker"

note: managed identity "pets/cat" has "pets--cluster", which the file's owner made and the file has no more: --prune removes it
0 to create, 1 to change, 0 to delete, 4 unchanged
`
	const pruned = `~ federated credential "pets--cluster" of application "worker"   # state.yaml:6
    subject  "system:serviceaccount:pets:other" -> "system:serviceaccount:pets:worker"
- federated credential "pets--cluster" of managed identity "pets/cat"
    issuer     "https://prod.example/"
    subject    "system:serviceaccount:pets:cat"
    audiences  ["api://AzureADTokenExchange"]

0 to create, 1 to change, 1 to delete, 4 unchanged
`
	s.want(exitOK, drift, "", "plan")
	s.want(exitDiffers, pruned, "", "plan", "--prune", "--detailed-exitcode")
	code, out, errs = s.run("apply", "--prune", "--yes", "-o", "json")
	var applied struct {
		Target  struct{ Service string }
		Summary struct{ Update, Delete int }
		Steps   []struct{ Action, Kind, Name, Result string }
	}
	if err := json.Unmarshal([]byte(out), &applied); err != nil || code != exitOK || applied.Target.Service != "entente" || applied.Summary.Delete != 1 || strings.Count(out, `"result": "done"`) != 2 {
		t.Errorf("%v %d\n%s\n%s", err, code, out, errs)
	}
	if !strings.Contains(errs, "changed federated credential \"pets--cluster\" of application \"worker\"\n") || !strings.Contains(errs, "deleted federated credential") {
		t.Errorf("%s", errs)
	}
	s.want(exitOK, "nothing to do: 5 unchanged\n", "", "plan", "--prune")
	if all, err := s.client.ApplicationCredentials(t.Context(), app.ID); err != nil || len(all) != 2 {
		t.Errorf("%+v %v", all, err)
	}
	if _, out, _ := s.run("plan", "-o", "yaml"); !strings.HasPrefix(out, "target:\n  service: entente\n") || !strings.Contains(out, "\n  unchanged: 5\n") {
		t.Errorf("%s", out)
	}
}

// What cannot be, before anything is asked.
func TestPlanRefuses(t *testing.T) {
	bare(t)
	t.Setenv("HOME", t.TempDir())
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		write(t, path, []byte(text))
		return path
	}
	for _, c := range []struct {
		line  string
		code  int
		wants string
	}{
		{"plan", exitUsage, "--file (-f) is missing"},
		{"apply", exitUsage, "entente apply --help has examples; entente export writes a file"},
		{"plan --detailed-exitcode", exitError, "--file (-f) is missing"},
		{"plan -o xml -f x", exitUsage, "--output"},
		{"plan -f " + dir + "/nowhere.yaml", exitError, "no such file"},
		{"plan -f " + file("wrong.yaml", "applications: [{name: x}]"), exitError, "wrong.yaml is not fit to be applied\n" + dir + "/wrong.yaml:1: applications[0].displayName: is missing\n"},
		{"plan --prune -f " + file("nobody.yaml", "version: 1"), exitUsage, "nobody.yaml has no owner, whose credentials could be told from others"},
		{"plan --prune --detailed-exitcode -f " + dir + "/nobody.yaml", exitError, "hint: give it one (owner: NAME)"},
		{"plan extra", exitUsage, "takes no arguments"},
		{"plan --detailed-exitcode extra", exitError, "takes no arguments"},
		{"apply --nothing", exitUsage, "unknown flag: --nothing"},
		{"apply --detailed-exitcode --nothing", exitError, "hint: entente apply --help lists the flags"},
		{"export --managed-identity cat", exitUsage, "needs its group"},
		{"export --managed-identity a/b/c", exitUsage, "is no NAME, GROUP/NAME or resource id"},
		{"export --subscription 1 --managed-identity /subscriptions/2/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/m", exitUsage, "in another subscription"},
	} {
		code, out, errs := run(t, strings.Fields(c.line)...)
		if code != c.code || out != "" || !strings.Contains(errs, c.wants) {
			t.Errorf("%s: %d\n%s%s\nwant %d %q", c.line, code, out, errs, c.code, c.wants)
		}
	}
}

// What stands in the way is listed by line, and a run that is not done says how to go on.
func TestApplyFails(t *testing.T) {
	s := newState(t)
	for range 2 {
		if _, err := s.client.CreateApplication(t.Context(), client.ApplicationSpec{DisplayName: "twin"}); err != nil {
			t.Fatal(err)
		}
	}
	s.says("applications:\n  - displayName: twin\n  - {displayName: a, roleAssignments: [{role: Chief, scope: /}]}\n")
	code, out, errs := s.run("apply", "--yes")
	if code != exitError || out != "" || !strings.HasPrefix(errs, "error: state.yaml is not fit to be applied\nstate.yaml:2: applications[0].displayName: \"twin\" is the name of 2 applications: give the clientId of the one that is meant: ") ||
		!strings.HasSuffix(errs, "\nstate.yaml:3: applications[1].roleAssignments[0].role: \"Chief\" is no role at /\n") {
		t.Errorf("%d\n%s%s", code, out, errs)
	}

	// A key set that the service refuses.
	s.says(`issuers: [{name: keys, issuer: https://keys.example/, keySet: {keys: [{kid: unusable}]}}]
applications: [{displayName: b}]
`)
	code, out, errs = s.run("apply", "--yes", "-o", "json")
	if code != exitError || !strings.Contains(errs, "error: 0 of 3 steps are done\nfailed: create issuer \"keys\": PUT /providers/Entente.Federation/issuers/keys: 400 ") ||
		!strings.Contains(errs, "\nnot begun: create application \"b\"\n") || !strings.HasSuffix(errs, "\nhint: run the same command again: it goes on from there\n") {
		t.Errorf("%d\n%s", code, errs)
	}
	if !strings.Contains(out, `"result": "failed"`) || strings.Count(out, `"result": "left"`) != 2 {
		t.Errorf("%s", out)
	}
}

// What was exported is applied elsewhere, by a pipe.
func TestExportAndApply(t *testing.T) {
	s := newState(t)
	s.says(pets)
	if code, _, errs := s.run("apply", "--yes"); code != exitOK {
		t.Fatal(errs)
	}
	code, exported, errs := s.run("export")
	if code != exitOK || errs != "exported 2 applications and 1 managed identity\n" {
		t.Errorf("%d %s", code, errs)
	}
	s.says(exported)
	s.want(exitOK, "nothing to do: 13 unchanged\n", "", "plan")
	code, part, errs := s.run("export", "--managed-identity", "cat", "-g", "pets")
	if code != exitOK || errs != "exported 0 applications and 1 managed identity\n" || strings.Contains(part, "worker") || !strings.Contains(part, "- name: cat # client id ") {
		t.Errorf("%d %s\n%s", code, errs, part)
	}
	id := client.IdentityID{SubscriptionID: s.subscription, ResourceGroup: "PETS", Name: "cat"}.String()
	if _, same, _ := s.run("export", "--managed-identity", id); same != part {
		t.Errorf("%s", same)
	}
	if code, _, errs := s.run("export", "--application", "nobody"); code != exitNotFound {
		t.Errorf("%d %s", code, errs)
	}

	other := newState(t)
	var out, errOut bytes.Buffer
	code = Main([]string{"apply", "-f", "-", "--yes", "--data-dir", other.caller.dataDir}, strings.NewReader(part), &out, &errOut)
	if code != exitOK || !strings.Contains(out.String(), "# stdin:") || !strings.Contains(errOut.String(), `[3/3] created federated credential "pets--cluster" of managed identity "pets/cat"`) {
		t.Errorf("%d\n%s\n%s", code, out.String(), errOut.String())
	}
	if text, err := os.ReadFile(s.file); err != nil || string(text) != exported {
		t.Errorf("the file was changed: %v", err)
	}
}
