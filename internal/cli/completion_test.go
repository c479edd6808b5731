package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/login"
)

// completions are what a shell gets for a command line, whose last word may be begun.
func completions(t *testing.T, line ...string) []string {
	t.Helper()
	code, out, _ := run(t, append([]string{"__complete"}, line...)...)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	last := lines[len(lines)-1]
	if code != exitOK || !strings.HasPrefix(last, ":") {
		t.Fatalf("%q: %d\n%s", line, code, out)
	}
	return lines[:len(lines)-1]
}

func TestCompletion(t *testing.T) {
	bare(t)
	t.Setenv("HOME", t.TempDir())
	s := serving(t)
	ctx := t.Context()
	for _, name := range []string{"worker", "web", "o'brien"} {
		if _, err := s.client.CreateApplication(ctx, client.ApplicationSpec{DisplayName: name}); err != nil {
			t.Fatal(err)
		}
	}
	web, err := s.client.ApplicationByName(ctx, "web")
	if err != nil {
		t.Fatal(err)
	}
	subscription, err := s.subscriptionID(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	group := client.ResourceGroupID{SubscriptionID: subscription, Name: "pets"}
	if _, _, err := s.client.PutResourceGroup(ctx, group, client.ResourceSpec{Location: "here"}); err != nil {
		t.Fatal(err)
	}
	cat := client.IdentityID{SubscriptionID: subscription, ResourceGroup: "pets", Name: "cat"}
	if _, _, err := s.client.PutIdentity(ctx, cat, client.ResourceSpec{Location: "here"}); err != nil {
		t.Fatal(err)
	}
	trust := client.FederatedCredential{Name: "cluster", Issuer: "https://prod.example/", Subject: "system:serviceaccount:pets:web", Audiences: []string{"api://AzureADTokenExchange"}}
	if _, err := s.client.CreateApplicationCredential(ctx, web.ID, trust); err != nil {
		t.Fatal(err)
	}
	trust.Name = "of-cat"
	if _, _, err := s.client.PutIdentityCredential(ctx, cat, trust); err != nil {
		t.Fatal(err)
	}
	hosted, _, err := s.client.PutCluster(ctx, client.ClusterID{SubscriptionID: subscription, ResourceGroup: "pets", Name: "prod"},
		client.ClusterSpec{Location: "here", Issuer: &client.ClusterIssuerSpec{KeySource: client.HostedKeys}})
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	write(t, kubeconfig, []byte("apiVersion: v1\nkind: Config\ncontexts: [{name: one, context: {cluster: c}}, {name: two, context: {cluster: d}}]\n"))

	store, err := login.Default(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Update(ctx, func(all *login.Change) error {
		return all.Put(login.Context{Name: "lab", URL: "https://lab.example"}, "")
	}); err != nil {
		t.Fatal(err)
	}

	dir := "--data-dir=" + s.caller.dataDir
	for line, want := range map[string]string{
		"fic create " + dir + " --application ":                       "Entente administrator,o'brien,web,worker",
		"fic create " + dir + " --application we":                     "web",
		"fic create " + dir + " --application o'":                     "o'brien",
		"export " + dir + " --application wo":                         "worker",
		"fic list " + dir + " --managed-identity ":                    "cat",
		"fic list " + dir + " -g pets --managed-identity c":           "cat",
		"fic list " + dir + " -g ":                                    "pets",
		"cluster list " + dir + " --resource-group p":                 "pets",
		"fic show " + dir + " --application web ":                     "cluster",
		"fic delete " + dir + " --managed-identity cat -g pets ":      "of-cat",
		"fic update " + dir + " ":                                     "",
		"fic update " + dir + " --application web cluster ":           "",
		"fic create " + dir + " --cluster ":                           "prod",
		"cluster show " + dir + " -g pets ":                           "prod",
		"cluster update-keys " + dir + " pr":                          "prod",
		"cluster delete " + dir + " prod ":                            "",
		"fic create " + dir + " --issuer ":                            hosted.Issuer.URL + ",https://prod.example/",
		"issuer check ":                                               "",
		"whoami " + dir + " --tenant ":                                s.tenantID,
		"cluster list " + dir + " --subscription ":                    subscription,
		"serviceaccount create " + dir + " --aad-application-name wo": "worker",
		"serviceaccount delete " + dir + " --managed-identity-name ":  "cat",
		"context use ":             "lab,public,usgov,china",
		"whoami --context ":        "china,lab,public,usgov",
		"whoami --cloud us":        "usgov",
		"context add gov --cloud ": "china,public,usgov",
		"cluster list -o y":        "yaml",
		"cluster list --output=na": "name",
		"cluster list -o ":         "json,jsonpath=,name,table,yaml",
		"serve --log-level d":      "debug",
		"serve --db ":              "",
		"fic create --subject ":    "",
		"fic create --kubeconfig " + kubeconfig + " --kube-context ":     "one,two",
		"issuer show --kubeconfig " + kubeconfig + " --kube-context tw":  "two",
		"doctor pod --kubeconfig " + kubeconfig + " --kube-context one ": "",
		"completion ": "bash,fish,powershell,zsh",
	} {
		var got []string
		for _, one := range completions(t, strings.Split(line, " ")...) { // the last word is empty where it is not begun
			name, _, _ := strings.Cut(one, "\t")
			got = append(got, name)
		}
		if all := strings.Join(got, ","); all != want {
			t.Errorf("entente %s: %q, want %q", line, all, want)
		}
	}
	want := []string{"web\t" + web.AppID}
	if diff := cmp.Diff(want, completions(t, "fic", "create", dir, "--application", "web")); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}

	// Where nobody answers, nothing is said, and nothing is asked of a person.
	for _, line := range [][]string{
		{"fic", "list", "--url", "https://127.0.0.1:1", "--application", ""},
		{"fic", "list", "--data-dir", t.TempDir(), "--application", ""},
		{"cluster", "show", "--context", "nobody", ""},
		{"whoami", "--context", "lab", "--tenant", "x"},
	} {
		if got := completions(t, line...); len(got) > 0 {
			t.Errorf("%q: %q", line, got)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		code, out, errs := run(t, "completion", shell)
		_, bare, _ := run(t, "completion", shell, "--no-descriptions")
		if code != exitOK || errs != "" || !strings.Contains(out, "__complete") || bare == out {
			t.Errorf("completion %s: %d %s\n%.200s", shell, code, errs, out)
		}
	}
}

// What -v says of a verb's requests, what -q leaves out, and no secret in either.
func TestVerboseAndQuiet(t *testing.T) {
	bare(t)
	t.Setenv("HOME", t.TempDir())
	s := serving(t)
	dir := "--data-dir=" + s.caller.dataDir
	code, out, errs := run(t, "cluster", "list", "-v", dir)
	for _, want := range []string{"POST " + s.authority + "/" + s.tenantID + "/oauth2/v2.0/token: 200 (", "GET " + s.authority + "/subscriptions/", "?api-version=", ", request "} {
		if code != exitOK || !strings.Contains(errs, want) {
			t.Errorf("-v: %d\n%s\nwant %q", code, errs, want)
		}
	}
	if strings.Contains(errs+out, s.caller.secret) || strings.Contains(errs, "eyJ") || strings.Contains(errs, "earer") {
		t.Errorf("-v shows a secret or a token:\n%s", errs)
	}
	if code, _, errs := run(t, "cluster", "list", dir); code != exitOK || errs != "" {
		t.Errorf("without -v: %d\n%s", code, errs)
	}
	if code, out, errs := run(t, "cluster", "register", "prod", "-g", "pets", "--hosted", "-q", dir); code != exitOK || errs != "" || !strings.Contains(out, "prod") {
		t.Errorf("-q: %d\n%s%s", code, out, errs)
	}
	if code, _, errs := run(t, "cluster", "delete", "prod", "-g", "pets", "-q", dir); code != exitUsage || !strings.Contains(errs, "--yes") {
		t.Errorf("-q without --yes: %d\n%s", code, errs)
	}
	if code, out, errs := run(t, "cluster", "delete", "prod", "-g", "pets", "-q", "--dry-run", "-o", "jsonpath=.resourceGroup", dir); code != exitOK || out != "pets" || !strings.Contains(errs, "dry run: would delete") {
		t.Errorf("-q --dry-run: %d\n%s%s", code, out, errs)
	}
	if code, _, errs := run(t, "cluster", "delete", "prod", "-g", "pets", "-q", "-y", dir); code != exitOK || errs != "" {
		t.Errorf("-q --yes: %d\n%s", code, errs)
	}
}

// A dry run of what keeps contexts changes no file, and makes none.
func TestContextsDryRun(t *testing.T) {
	bare(t)
	home := t.TempDir()
	t.Setenv("HOME", home)
	s := serving(t)
	write(t, filepath.Join(home, "secret"), []byte(s.caller.secret))
	lab := []string{"--url", s.authority, "--ca", s.caFile}
	say := func(want int, text string, args ...string) {
		t.Helper()
		code, out, errs := run(t, args...)
		if code != want || !strings.Contains(errs, text) || strings.Contains(out+errs, s.caller.secret) {
			t.Errorf("%q: %d\n%s%s\nwant %d, %q", args, code, out, errs, want, text)
		}
	}
	store, err := login.Default(os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	file := func() string {
		text, _ := os.ReadFile(store.File) // "": not there
		return string(text)
	}
	say(exitOK, `dry run: would have added the context "lab"`, append([]string{"context", "add", "lab", "--dry-run"}, lab...)...)
	if _, err := os.Stat(filepath.Dir(store.File)); err == nil {
		t.Error("a dry run has made the directory of the contexts")
	}
	say(exitOK, `added the context "lab"`, append([]string{"context", "add", "lab"}, lab...)...)
	before := file()
	logIn := []string{"login", "--client-id", s.caller.clientID, "--client-secret-file", filepath.Join(home, "secret")}
	say(exitOK, "dry run: would have logged in to lab", append(logIn, "--dry-run")...)
	say(exitOK, `dry run: the current context would be "public"`, "context", "use", "public", "--dry-run")
	say(exitOK, `dry run: would remove the context "lab"`, "context", "remove", "lab", "--dry-run")
	if after := file(); after != before || before == "" {
		t.Errorf("a dry run has changed the file:\n%s\n%s", before, after)
	}
	say(exitOK, "logged in to lab", logIn...)
	before = file()
	say(exitOK, "dry run: would forget the login to lab", "logout", "--dry-run")
	say(exitUsage, "hint: --yes deletes without asking", "context", "remove", "lab")
	say(exitOK, `nothing was kept about "public"`, "context", "remove", "public")
	if after := file(); after != before {
		t.Errorf("the file was changed:\n%s\n%s", before, after)
	}
	say(exitOK, `removed the context "lab"`, "context", "remove", "lab", "--yes")
	say(exitNotFound, "there is no context", "context", "remove", "lab", "--yes")
}

func TestQuickstartDryRun(t *testing.T) {
	bare(t)
	dir := filepath.Join(t.TempDir(), "data")
	code, out, errs := run(t, "quickstart", "--dry-run", "--data-dir", dir, "--kubeconfig", "kube.yaml")
	if _, err := os.Stat(dir); err == nil || code != exitOK || out != "" || !strings.Contains(errs, "would make, in the cluster of the current context in kube.yaml") {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
}
