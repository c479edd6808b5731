package cli

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/login"
)

// ending runs a command line and wants an exit code and parts of what is said.
func ending(t *testing.T, code int, line []string, parts ...string) {
	t.Helper()
	got, out, errs := run(t, line...)
	if got != code {
		t.Errorf("%q: %d, want %d\n%s%s", line, got, code, out, errs)
	}
	for _, part := range parts {
		if part, not := strings.CutPrefix(part, "!"); strings.Contains(out+errs, part) == not {
			t.Errorf("%q: %q is there: %v\n%s%s", line, part, !not, out, errs)
		}
	}
}

func TestHintsOfCredentials(t *testing.T) {
	bare(t)
	t.Setenv("HOME", t.TempDir())
	s := serving(t)
	ctx := t.Context()
	issuer, kubeconfig := api(t)
	app, err := s.client.CreateApplication(ctx, client.ApplicationSpec{DisplayName: "pets"})
	if err != nil {
		t.Fatal(err)
	}
	on := func(line string, more ...string) []string {
		return append(append(strings.Fields(line), "--application", "pets", "--data-dir", s.caller.dataDir), more...)
	}
	trust := client.FederatedCredential{Name: "-eftp=", Issuer: strings.TrimRight(issuer.URL(), "/"), Subject: "system:serviceaccount:pets:web", Audiences: []string{"api://AzureADTokenExchange"}}
	if trust.Issuer == issuer.URL() {
		trust.Issuer += "/"
	}
	if _, err := s.client.CreateApplicationCredential(ctx, app.ID, trust); err != nil { // which registers that issuer
		t.Fatal(err)
	}

	// A credential with the wrong issuer is no evidence, and it makes no issuer known.
	create := on("fic create --service-account pets/zz --issuer " + issuer.URL())
	ending(t, exitError, create, "hint: --issuer-ca FILE", "!the service knows")
	if _, _, err := s.client.PutIssuer(ctx, "lab", client.IssuerSpec{Issuer: issuer.URL(), KeySource: client.DiscoveredKeys}); err != nil {
		t.Fatal(err)
	}
	ending(t, exitError, create, "hint: --issuer-ca FILE", "!the service knows")
	ending(t, exitError, on("fic create --service-account pets/zz --issuer "+trust.Issuer), "hint: the service knows --issuer "+issuer.URL())

	// Names that begin with -.
	for _, verb := range []string{"show", "update", "delete"} {
		ending(t, exitUsage, on("fic "+verb, "-eftp="), "unknown shorthand flag", "goes behind all of them, and behind --: entente federated-credential "+verb+" ... -- NAME")
	}
	ending(t, exitUsage, on("fic list", "-x"), "hint: entente federated-credential list --help lists the flags\n")
	ending(t, exitOK, on("fic show -o name", "--", "-eftp="), "-eftp=\n")
	for want, words := range map[string][]string{"--\tfor names that begin with -": {""}, "-eftp=\t" + trust.Subject: {"--", "-e"}} {
		line := append([]string{"fic", "show", "--data-dir", s.caller.dataDir, "--application", "pets"}, words...)
		if got := strings.Join(completions(t, line...), "\n"); got != want {
			t.Errorf("%q: %q, want %q", words, got, want)
		}
	}

	// The audience of one that is there.
	same := "fic create --service-account pets/web --no-check --issuer " + trust.Issuer + " --audience "
	ending(t, exitError, on(same+"api://x"), "hint: entente federated-credential update --application "+app.AppID+" --audience api://x -- -eftp=\n")
	ending(t, exitError, on(strings.Replace(same, "--no-check", "", 1)+"аpi://AzureADTokenExchange"), "looks like \"a\"", "hint: it looks like api://AzureADTokenExchange;")

	// A service account that is not there is not found.
	gone := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(gone.Close)
	write(t, kubeconfig, []byte("apiVersion: v1\nkind: Config\ncurrent-context: one\nclusters: [{name: c, cluster: {server: '"+gone.URL+"'}}]\ncontexts: [{name: one, context: {cluster: c}}]\n"))
	ending(t, exitNotFound, on("fic create --wait --no-check --service-account pets/nobody --issuer "+issuer.URL()+" --kubeconfig "+kubeconfig), "hint: kubectl create serviceaccount nobody")
}

// An issuer that was typed is looked at; any other is not.
func TestIssuerOutOfReach(t *testing.T) {
	for typed, want := range map[bool]string{true: "look at every letter of --issuer https://127.0.0.1:1/", false: "where only the service reaches https://127.0.0.1:1/"} {
		k := issuerCheck{session: &session{azure: true}, typed: typed}
		if err := k.of(t.Context(), "https://127.0.0.1:1/"); !strings.HasPrefix(hintOf(err), want) {
			t.Errorf("typed %v: %v, %q", typed, err, hintOf(err))
		}
	}
}

func TestCallersThatAreNotKnown(t *testing.T) {
	bare(t)
	t.Setenv("HOME", t.TempDir())
	bin := t.TempDir()
	az := filepath.Join(bin, "az")
	write(t, az, []byte("#!/bin/sh\necho \"ERROR: Please run 'az login' to setup account.\" >&2\nexit 1\n"))
	if err := os.Chmod(az, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	ending(t, exitRefused, []string{"whoami", "--cloud", "usgov"}, "az login", "entente login --context usgov --help")
	for _, name := range []string{"AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_CERTIFICATE_PATH"} {
		t.Setenv(name, "")
	}
	ending(t, exitRefused, []string{"login", "--cloud", "usgov", "--use-environment"}, "the environment names no client")
	ending(t, exitError, []string{"context", "add", "x", "--url", "https://127.0.0.1:1"}, "hint: nothing answers at https://127.0.0.1:1;", "!adfs\":", "!--ca FILE")

	// The administrator stands in for who is not logged in any more.
	s := serving(t)
	ca, err := os.ReadFile(s.caFile)
	if err != nil {
		t.Fatal(err)
	}
	store, err := login.Default(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Update(t.Context(), func(all *login.Change) error {
		return all.Put(login.Context{Name: "lab", URL: s.authority, CA: string(ca), TenantID: s.tenantID}, "")
	}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ENTENTE_DATA_DIR", s.caller.dataDir)
	ending(t, exitOK, []string{"whoami", "--context", "lab"}, "client secret of "+s.caller.clientID+", which stands in "+filepath.Join(s.caller.dataDir, "admin.json"))
}
