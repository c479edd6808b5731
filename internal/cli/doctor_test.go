package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/entente-id/entente/internal/doctor"
)

// isolated is an environment without any service, cluster or pod.
func isolated(t *testing.T) {
	t.Helper()
	home := t.TempDir()
	for name, value := range map[string]string{
		"HOME": home, "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home, "KUBECONFIG": filepath.Join(home, "none"), "KUBERNETES_SERVICE_HOST": "",
		"ENTENTE_URL": "", "ENTENTE_CONTEXT": "", "ENTENTE_CLOUD": "", "AZURE_FEDERATED_TOKEN_FILE": "", "IDENTITY_ENDPOINT": "", "AZURE_CLIENT_ID": "", "AZURE_TENANT_ID": "", "AZURE_AUTHORITY_HOST": "",
	} {
		t.Setenv(name, value)
	}
}

func TestDoctorOfErrors(t *testing.T) {
	isolated(t)
	said := filepath.Join(t.TempDir(), "error")
	write(t, said, []byte("AADSTS700213: No matching federated identity record found for presented assertion subject 'system:serviceaccount:pets:cat'."))
	for _, c := range []struct {
		args  []string
		stdin string
		code  int
		out   string
		err   string
	}{
		{[]string{"doctor", "--error", said}, "", 22, "entente doctor serviceaccount cat --namespace pets", ""},
		{[]string{"doctor", "--error", "-"}, "ManagedIdentityCredential authentication unavailable, no response from the IMDS endpoint.", 26, "sdk_asks_imds", ""},
		{[]string{"doctor", "--error", "-", "-o", "name"}, "x509: certificate signed by unknown authority", 25, "authority_untrusted\n", ""},
		{[]string{"doctor", "--error", "-"}, "boom", 10, "Nothing wrong was found, and not everything could be told.", ""},
		{[]string{"doctor"}, "", exitUsage, "", "there is nothing to examine"},
		{[]string{"doctor", "pots"}, "", exitUsage, "", "did you mean entente doctor pod?"},
		{[]string{"doctor", "pod"}, "", exitUsage, "", "NAME is missing"},
		{[]string{"doctor", "pod", "x"}, "", exitError, "", "no cluster is known"},
		{[]string{"doctor", "--error", said, "-o", "xml"}, "", exitUsage, "", "--output"},
		{[]string{"doctor", "--error", said + "x"}, "", exitError, "", "--error: "},
		{[]string{"doctor", "token", said + "x"}, "", exitError, "", "read the token: "},
		{[]string{"doctor", "token", "-", "--error", "-"}, "", exitUsage, "", "cannot both"},
		{[]string{"doctor", "token", said, "--issuer-ca", said}, "", exitError, "", "--issuer-ca: there is no certificate"},
		{[]string{"doctor", "token", said, "--context", "nobody"}, "", exitNotFound, "", "there is no context"},
		{[]string{"doctor", "token", "-"}, "Bearer x", 13, "what was given as the token is none", "no authority is known, so nothing is exchanged"},
	} {
		code, out, err := command(c.stdin, c.args...)
		if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(err, c.err) {
			t.Errorf("%q: exit code %d, want %d\n%s%s", c.args, code, c.code, out, err)
		}
	}
	_, out, _ := command("", "doctor", "--error", said, "-o", "json")
	var r doctor.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.ExitCode != 22 || len(r.Checks) != 11 {
		t.Errorf("%v: %s", err, out)
	}
	_, out, _ = command("", "doctor", "--error", said, "-o", "yaml")
	var y map[string]any
	if err := yaml.Unmarshal([]byte(out), &y); err != nil || y["cause"] != "subject_differs" {
		t.Errorf("%v: %s", err, out)
	}
}

// command runs a command line in this process.
func command(stdin string, args ...string) (code int, out, err string) {
	var stdout, stderr bytes.Buffer
	code = Main(args, strings.NewReader(stdin), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestIssuerCheck(t *testing.T) {
	isolated(t)
	for _, c := range []struct {
		args []string
		code int
		out  string
	}{
		{[]string{"http://issuer.example/"}, 17, "1 reason why a verifier refuses it."},
		{[]string{"http://issuer.example/?x#y"}, 17, "3 reasons why a verifier refuses it."},
		{[]string{"https://ex\u0430mple.org/"}, 17, "U+0430"},
		{[]string{"https://127.0.0.1:1/", "--allow-private"}, 15, "discovery_refused"},
		{[]string{"https://127.0.0.1:1/", "-o", "name"}, 15, "discovery_refused\nissuer_address_refused\n"},
		{[]string{"https://127.0.0.1:1/", "-o", "json"}, 15, `"accepted": false`},
		{[]string{"https://127.0.0.1:1/", "-o", "yaml"}, 15, "accepted: false"},
		{nil, exitUsage, ""},
		{[]string{"https://issuer.example/", "--ca", "/nothing/there"}, exitError, ""},
	} {
		if code, out, err := command("", append([]string{"issuer", "check"}, c.args...)...); code != c.code || !strings.Contains(out, c.out) {
			t.Errorf("%q: exit code %d, want %d\n%s%s", c.args, code, c.code, out, err)
		}
	}
	if code, _, err := command("", "issuer", "show"); code != exitUsage || !strings.Contains(err, "--from-cluster") {
		t.Errorf("%d %s", code, err)
	}
	if code, _, err := command("", "issuer", "show", "--from-cluster"); code != exitError || !strings.Contains(err, "no cluster is known") {
		t.Errorf("%d %s", code, err)
	}
}

// A report as people read it.
func TestReportText(t *testing.T) {
	r := &doctor.Report{
		Of: "pod pets/cat", Authority: "https://entente.example", ClientID: "c", Issuer: "https://oidc.example/", Verdict: doctor.Faulty, Cause: doctor.IssuerSlashMissing, Class: doctor.CredentialIssuer, ExitCode: 21,
		Error: &doctor.Said{Meaning: "x", ExplainedBy: 10},
		Checks: []doctor.Check{
			{Number: 1, Name: "label", State: doctor.Passed, Seen: "on the template"},
			{Number: 2, Name: "service account", State: doctor.Noted, Seen: "pets/cat", Findings: []doctor.Finding{{State: doctor.Noted, Text: "something to know", Seen: "a", Expected: "b"}}},
			{Number: 3, Name: "environment", State: doctor.Skipped, Seen: "no pod was named"},
			{Number: 4, Name: "token", State: doctor.Unknown, Findings: []doctor.Finding{{State: doctor.Unknown, Text: "it cannot be told"}}},
			{Number: 10, Name: "credential", State: doctor.Failed, Findings: []doctor.Finding{{
				State: doctor.Failed, Cause: doctor.IssuerSlashMissing, Text: "a slash is missing", Seen: "ignored", Expected: "ignored",
				Difference: &doctor.Difference{Seen: "https://oidc\u200b.example", Expected: "https://oidc.example/", At: 13},
				Mends:      []doctor.Mend{{Text: "correct it", Commands: []string{"one", "two"}}, {When: "it is right", Text: "leave it"}},
			}}},
			{Number: 11, Name: "exchange", State: doctor.Failed, Findings: []doctor.Finding{{State: doctor.Failed, Text: "refused"}, {State: doctor.Failed, Text: "twice"}}},
		},
	}
	const want = `Pod pets/cat
  authority  https://entente.example
  client     c
  issuer     https://oidc.example/

 1  ok     label            on the template
 2  ok     service account  pets/cat
           note: something to know
           seen      a
           expected  b
 3  -      environment      no pod was named
 4  ?      token            it cannot be told
10  FAULT  credential       a slash is missing
           seen      https://oidc<U+200B>.example
           expected  https://oidc.example/
                                 ^ differs from character 13 on
           mend      correct it
                     one
                     two
           or        if it is right: leave it
11  FAULT  exchange         refused
           fault: twice

The error that was given is explained by check 10.
Faulty: issuer_slash_missing (credential_issuer), exit code 21.
`
	var b bytes.Buffer
	if err := printReport(&b, r, false); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
	b.Reset()
	printReport(&b, r, true)
	if !strings.Contains(b.String(), "\x1b[1;31mFAULT\x1b[0m") || strings.Contains(want, "\x1b") {
		t.Error("no colour where it is wanted")
	}
}

// Every command of ours that the doctor gives is one that there is.
func TestDoctorsCommandsExist(t *testing.T) {
	text, err := os.ReadFile("../../docs/guides/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		_, line, found := strings.Cut("\n"+line, "\nentente ")
		if !found {
			continue
		}
		line, _, _ = strings.Cut(line, " #")
		line, _, _ = strings.Cut(line, " |")
		line, _, _ = strings.Cut(line, " <")
		words := strings.Fields(strings.NewReplacer(`"`, "", "'", "").Replace(line))
		cmd, rest, err := newRoot().Find(words)
		if err == nil {
			err = cmd.ParseFlags(rest)
		}
		if err != nil || !cmd.Runnable() {
			t.Errorf("entente %s: %v", line, err)
		}
		n++
	}
	if n < 10 {
		t.Errorf("%d commands in the guide", n)
	}
}
