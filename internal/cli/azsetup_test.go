package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// standIn is an az on the PATH that writes down what it is given: its arguments,
// its standard input, and the two variables. It knows the clouds that it was told,
// and fails with what the file named fail says.
const standIn = `#!/bin/sh
cd "$(dirname "$0")" || exit 1
if [ "$1 $2" = "cloud list" ]; then printf 'AzureCloud\n'; cat clouds 2>/dev/null; exit 0; fi
if [ "$1 $2" = "cloud show" ]; then grep -qx "$4" clouds 2>/dev/null; exit; fi
[ "$1 $2" = "cloud register" ] && echo "$4" >> clouds
{ echo "config=$AZURE_CONFIG_DIR ca=$REQUESTS_CA_BUNDLE"; printf '%s\n' "$@"; echo "stdin=$(cat)"; } >> calls
if [ "$1" = "$(cat fail 2>/dev/null)" ]; then echo "ERROR: AADSTS7000215: Invalid client secret provided." >&2; exit 1; fi
`

// placeAz puts the stand-in on the PATH, and returns what it was given so far.
func placeAz(t *testing.T) (dir string, calls func() string) {
	t.Helper()
	for _, program := range []string{"sh", "cat", "grep", "dirname"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "az"), []byte(standIn), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	return dir, func() string {
		text, err := os.ReadFile(filepath.Join(dir, "calls"))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		os.Remove(filepath.Join(dir, "calls"))
		return string(text)
	}
}

// bare takes the variables away that say who somebody is.
func bare(t *testing.T) {
	for _, name := range []string{"ENTENTE_URL", "ENTENTE_CA", "ENTENTE_TENANT", "ENTENTE_DATA_DIR", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_TENANT_ID", "AZURE_CONFIG_DIR", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"} {
		t.Setenv(name, "")
	}
}

func cloudConfig(url, authority string) string {
	return `{"endpoints":{"resourceManager":"` + url + `","management":"` + url + `/","activeDirectory":"` + authority +
		`","activeDirectoryResourceId":"https://management.core.windows.net/","activeDirectoryGraphResourceId":"` + url + `/","microsoftGraphResourceId":"` + url + `/"}}`
}

func TestAzSetupPrints(t *testing.T) {
	bare(t)
	p := newPlace(t)
	code, out, errs := run(t, "az-setup", "--data-dir", p.dir)
	want := `# az talks to ` + p.URL + `, as client ` + clientID + ` of tenant ` + homeTenant + `
# To leave your settings for other clouds alone, first: export AZURE_CONFIG_DIR="$HOME/.azure-entente"
export REQUESTS_CA_BUNDLE=` + p.ca + `
az cloud $(az cloud show -n Entente >/dev/null 2>&1 && echo update || echo register) -n Entente --cloud-config '` + cloudConfig(p.URL, p.URL+"/adfs") + `' &&
az cloud set -n Entente &&
(eval "$(` + self() + ` env --data-dir ` + p.dir + `)" && printf %s "$AZURE_CLIENT_SECRET") | az login --service-principal -u ` + clientID + ` -p @- --tenant ` + homeTenant + ` --allow-no-subscriptions
`
	if diff := cmp.Diff(want, out); code != exitOK || errs != "" || diff != "" {
		t.Errorf("%d %s\n-want +got\n%s", code, errs, diff)
	}

	// Another tenant, whose client and CA the environment has.
	t.Setenv("AZURE_CLIENT_ID", "theirs")
	t.Setenv("AZURE_CLIENT_SECRET", "their-secret")
	t.Setenv("SSL_CERT_FILE", "/etc/all.pem")
	code, out, errs = run(t, "az-setup", "--url", p.URL, "--ca", p.ca, "--tenant", "other.example", "--name", "Other", "--config-dir", "/home/o'neill/az")
	want = `# az talks to ` + p.URL + `, as client theirs of tenant ` + otherTenant + `
export AZURE_CONFIG_DIR='/home/o'\''neill/az'
export REQUESTS_CA_BUNDLE=` + p.ca + `
az cloud $(az cloud show -n Other >/dev/null 2>&1 && echo update || echo register) -n Other --cloud-config '` + cloudConfig(p.URL, p.URL+"/adfs/"+otherTenant+"/adfs") + `' &&
az cloud set -n Other &&
printf %s "$AZURE_CLIENT_SECRET" | az login --service-principal -u theirs -p @- --tenant ` + otherTenant + ` --allow-no-subscriptions
`
	if diff := cmp.Diff(want, out); code != exitOK || errs != "" || diff != "" {
		t.Errorf("%d %s\n-want +got\n%s", code, errs, diff)
	}

	// A workload's token.
	t.Setenv("AZURE_CLIENT_SECRET", "")
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", "/var/run/a token")
	_, out, _ = run(t, "az-setup", "--url", p.URL, "--ca", p.ca)
	if want := "\naz login --service-principal -u theirs --federated-token '@/var/run/a token' --tenant " + homeTenant + " --allow-no-subscriptions\n"; !strings.HasSuffix(out, want) {
		t.Errorf("got %s\nwant at its end %s", out, want)
	}
}

// What is printed does in a shell what --run does: with the same arguments and the
// secret on standard input only.
func TestAzSetupRuns(t *testing.T) {
	bare(t)
	p := newPlace(t)
	dir, calls := placeAz(t)
	setup := []string{"az-setup", "--data-dir", p.dir, "--config-dir", filepath.Join(dir, "own")}
	env := "config=" + filepath.Join(dir, "own") + " ca=" + p.ca + "\n"
	rest := env + "cloud\nset\n-n\nEntente\n%stdin=\n" +
		env + "login\n--service-principal\n-u\n" + clientID + "\n-p\n@-\n--tenant\n" + homeTenant + "\n--allow-no-subscriptions\n%stdin=" + secret + "\n"
	expected := func(verb, output string) string {
		return strings.ReplaceAll(env+"cloud\n"+verb+"\n-n\nEntente\n--cloud-config\n"+cloudConfig(p.URL, p.URL+"/adfs")+"\n%stdin=\n"+rest, "%", output)
	}
	for _, verb := range []string{"register", "update"} {
		code, out, errs := run(t, append(setup, "--run")...)
		if code != exitOK || errs != "" || !strings.Contains(out, "\naz cloud set -n Entente\n") || !strings.Contains(out, "export REQUESTS_CA_BUNDLE="+p.ca) {
			t.Errorf("%d %s\n%s", code, errs, out)
		}
		if diff := cmp.Diff(expected(verb, "-o\nnone\n"), calls()); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		if strings.Contains(out, secret) {
			t.Errorf("the secret is shown:\n%s", out)
		}
	}

	if err := os.Remove(filepath.Join(dir, "clouds")); err != nil {
		t.Fatal(err)
	}
	_, script, _ := run(t, setup...)
	if strings.Contains(script, secret) {
		t.Errorf("the secret is shown:\n%s", script)
	}
	// "entente env" of this program is not there: a test has another.
	script = strings.Replace(script, self()+" env --data-dir "+p.dir, "echo AZURE_CLIENT_SECRET="+secret, 1)
	for _, verb := range []string{"register", "update"} {
		if out, err := exec.CommandContext(t.Context(), "sh", "-eu", "-c", script).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if diff := cmp.Diff(expected(verb, ""), calls()); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
}

func TestAzSetupSaysWhatIsWrong(t *testing.T) {
	bare(t)
	p := newPlace(t)
	dir, calls := placeAz(t)
	write(t, filepath.Join(dir, "fail"), []byte("login"))
	code, out, errs := run(t, "az-setup", "--data-dir", p.dir, "--run")
	if want := "ERROR: AADSTS7000215: Invalid client secret provided.\nerror: az login: exit status 1\n"; code != exitError || errs != want || strings.Contains(out, "az talks to") {
		t.Errorf("%d %s\n%s", code, errs, out)
	}
	calls()

	// If the cloud cannot be registered, nobody logs in to another one.
	write(t, filepath.Join(dir, "fail"), []byte("cloud"))
	_, script, _ := run(t, "az-setup", "--data-dir", p.dir)
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", script).CombinedOutput(); err == nil || strings.Contains(calls(), "login") {
		t.Errorf("%v\n%s", err, out)
	}

	t.Setenv("PATH", t.TempDir())
	code, _, errs = run(t, "az-setup", "--data-dir", p.dir, "--run")
	if code != exitError || !strings.Contains(errs, "error: az is not on the PATH\nhint: apt-get install") {
		t.Errorf("%d %s", code, errs)
	}
	p.Close()
	if code, _, errs = run(t, "az-setup", "--data-dir", p.dir); code != exitError || !strings.Contains(errs, "hint: nothing answers at "+p.URL) {
		t.Errorf("%d %s", code, errs)
	}
}

func TestEnvPrintsWhatAzSetupEvaluates(t *testing.T) {
	p := newPlace(t)
	code, out, _ := run(t, "env", "--data-dir", p.dir)
	if code != exitOK || !strings.Contains(out, "\nexport AZURE_CLIENT_SECRET="+secret+"\n") {
		t.Errorf("%d\n%s", code, out)
	}
}
