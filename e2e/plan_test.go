package e2e

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/entente-id/entente/client"
)

// stateParents are the two kinds of parents of credentials in a file: how one is
// stated with a list of credentials, and how the verbs on credentials are told it.
var stateParents = []struct{ kind, stated, flags string }{
	{"application", "applications: [{displayName: worker, uniqueName: worker, federatedCredentials: [%s]}]\n", " --application worker"},
	{"managed identity", "resourceGroups: [{name: pets, location: here}]\nmanagedIdentities: [{name: worker, resourceGroup: pets, federatedCredentials: [%s]}]\n", " --managed-identity worker -g pets"},
}

// entries are n credentials in a file.
func entries(name string, n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("{name: %s%02d, issuer: https://prod.example/, subject: %s%02d}", name, i, name, i))
	}
	return strings.Join(all, ", ")
}

// states is a shell with a file in it.
type states struct {
	shell
	file string
}

func (s states) says(text string) {
	s.Helper()
	if err := os.WriteFile(s.file, []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
}

// A file is planned, applied, drifts, adopts and prunes, by a person at a shell,
// for both kinds of parents.
func TestPlanAndApply(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	for _, parent := range stateParents {
		t.Run(parent.kind, func(t *testing.T) {
			me := states{shell{t, map[string]string{"ENTENTE_DATA_DIR": s.Dir}}, filepath.Join(t.TempDir(), "state.yaml")}
			state := func(credentials string) string { return "owner: pets\n" + fmt.Sprintf(parent.stated, credentials) }
			plan, apply := "plan --detailed-exitcode -f "+me.file, "apply --yes --detailed-exitcode -f "+me.file
			const one = "{name: pets--one, issuer: https://prod.example/, serviceAccount: pets/one}"

			// Readable, and nothing is done before it is confirmed.
			me.says(state(one))
			first := me.ends(2, plan, "+ "+parent.kind, `+ federated credential "pets--one" of `+parent.kind, `    subject    "system:serviceaccount:pets:one"`, " to create, 0 to change, 0 to delete, 0 unchanged\n")
			if dry := me.ends(2, apply+" --dry-run"); dry.out != first.out {
				t.Errorf("a dry run says\n%s", dry.out)
			}
			me.ends(1, strings.Replace(apply, " --yes", "", 1), "nobody is there to confirm")
			if again := me.ends(2, plan); again.out != first.out {
				t.Errorf("something was written:\n%s", again.out)
			}
			me.ends(2, apply, "] created federated credential \"pets--one\"")
			for _, line := range []string{plan, apply} {
				if got := me.ends(0, line); !strings.HasPrefix(got.out, "nothing to do: ") || got.stderr != "" {
					t.Errorf("again: %+v", got)
				}
			}

			// Drift, by somebody else's hand.
			me.ends(0, "fic update pets--one"+parent.flags+" --no-check --subject system:serviceaccount:pets:other")
			me.ends(2, plan, `    subject  "system:serviceaccount:pets:other" -> "system:serviceaccount:pets:one"`, "0 to create, 1 to change, 0 to delete")
			me.ends(0, strings.Replace(plan, " --detailed-exitcode", "", 1), "1 to change")
			me.ends(2, apply, "changed federated credential")
			me.ends(0, plan)

			// What azwi has made is adopted under its name, and so is what was renamed.
			azwi := "sa create phase fi --service-account-namespace pets --service-account-name two --service-account-issuer-url https://prod.example/" +
				strings.NewReplacer("--application", "--aad-application-name", "--managed-identity", "--managed-identity-name").Replace(parent.flags)
			me.ends(0, azwi, "added federated credential")
			me.ends(0, "fic create renamed"+parent.flags+" --no-check --subject three --issuer https://prod.example/")
			me.says(state(one + ", {name: pets--two, issuer: https://prod.example/, serviceAccount: pets/two}, {name: pets--three, issuer: https://prod.example/, subject: three}"))
			me.ends(0, plan, `for "pets--two" of the file`, `= federated credential "renamed" of `+parent.kind, "2 adopted under another name")

			// Pruning takes what the owner made, and nothing of anybody else.
			me.ends(0, "fic create others--four"+parent.flags+" --no-check --subject four --issuer https://prod.example/")
			me.says(state(one + ", " + entries("pets--x", 3)))
			me.ends(2, apply)
			me.says(state(""))
			me.ends(0, plan, `"pets--one", "pets--x00", "pets--x01", "pets--x02", which the file's owner made`, "--prune removes them")
			me.ends(2, plan+" --prune", `- federated credential "pets--one"`, "0 to create, 0 to change, 4 to delete")
			me.ends(2, apply+" --prune")
			me.ends(0, plan+" --prune")
			if names := strings.Fields(me.ends(0, "fic list -o name"+parent.flags).out); len(names) != 3 || strings.Contains(strings.Join(names, " "), "pets--") {
				t.Errorf("left: %q", names)
			}

			// What has no room is foreseen: nothing is written, not even what has.
			before := me.ends(0, "export").out
			me.says(state(entries("pets--y", 18)))
			for _, line := range []string{plan, apply} {
				got := me.ends(1, line, "is one more than the 20 that ", "it would have 21")
				if got.out != "" {
					t.Errorf("%s:\n%s", line, got.out)
				}
			}
			if after := me.ends(0, "export").out; after != before {
				t.Errorf("it was\n%s\nand is\n%s", before, after)
			}
			me.says(state(entries("pets--y", 17)))
			me.ends(2, apply)
			me.ends(0, "fic list"+parent.flags, "used 20 of 20")

			// What is exported is what is there.
			me.says(me.ends(0, "export").out)
			me.ends(0, plan)
		})
	}
}

// Several who apply one file at one time, and one who is killed, leave what the
// file says, once.
func TestAppliesAtOneTime(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir())
	admin := s.AsAdmin(t)
	me := states{shell{t, map[string]string{"ENTENTE_DATA_DIR": s.Dir}}, filepath.Join(t.TempDir(), "state.yaml")}
	text := "owner: pets\n"
	for _, parent := range stateParents {
		text += fmt.Sprintf(parent.stated, entries("pets--x", 20))
	}
	me.says(text)
	settled := func() {
		t.Helper()
		me.ends(0, "plan --prune --detailed-exitcode -f "+me.file, "nothing to do")
		for _, parent := range stateParents {
			if names := strings.Fields(me.ends(0, "fic list -o name"+parent.flags).out); len(names) != 20 {
				t.Errorf("%s: %d credentials", parent.kind, len(names))
			}
		}
		apps, err := admin.Applications(t.Context(), client.Equal("displayName", "worker"))
		if err != nil || len(apps) != 1 {
			t.Errorf("%d applications, %v", len(apps), err)
		}
		if principals, err := admin.ServicePrincipals(t.Context(), client.Equal("appId", apps[0].AppID)); err != nil || len(principals) != 1 {
			t.Errorf("%d service principals, %v", len(principals), err)
		}
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if got := me.run("", "apply --yes -f "+me.file); got.code != 0 {
				t.Errorf("one of four: %+v", got)
			}
		})
	}
	wg.Wait()
	settled()

	// Killed after its first writes; the same line again goes on.
	me.says(strings.ReplaceAll(text, "subject: pets--x", "subject: other-"))
	killed := me.command("apply", "--yes", "-f", me.file)
	pipe, err := killed.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	first, err := bufio.NewReader(pipe).ReadString('\n')
	killed.Process.Kill()
	killed.Wait()
	if err != nil || !strings.HasPrefix(first, "[1/40] changed ") {
		t.Errorf("it began with %q, %v", first, err)
	}
	left := me.ends(2, "plan --detailed-exitcode -f "+me.file)
	if strings.Contains(left.out, " 40 to change") {
		t.Errorf("nothing was done:\n%s", left.out)
	}
	me.ends(0, "apply --yes -f "+me.file)
	settled()
}
