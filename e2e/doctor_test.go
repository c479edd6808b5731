package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/localissuer"
	"github.com/entente-id/entente/internal/testkit"
)

// patient is what the doctor is asked about, with the built program.
type patient struct {
	*testing.T
	s     *service
	flags []string
	env   []string
	bin   string
}

func newPatient(t *testing.T, s *service, issuerCA string) *patient {
	t.Helper()
	p := &patient{T: t, s: s, bin: t.TempDir(), flags: []string{"--data-dir", s.Dir, "--issuer-ca", issuerCA}}
	if err := os.Symlink(testkit.Program, filepath.Join(p.bin, "entente")); err != nil {
		t.Fatal(err)
	}
	p.env = []string{"HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir(), "PATH=" + p.bin + ":" + os.Getenv("PATH")}
	return p
}

// diagnosis is what is read of a report.
type diagnosis struct {
	Verdict, Cause string
	ExitCode       int
	Checks         []struct {
		Findings []struct {
			State string
			Mends []struct{ Commands []string }
		}
	}
	text string
}

func (p *patient) doctor(stdin string, args ...string) (d diagnosis) {
	p.Helper()
	cmd := exec.CommandContext(p.Context(), testkit.Program, slices.Concat([]string{"doctor"}, args, []string{"-o", "json"}, p.flags)...)
	cmd.Env, cmd.Stdin = p.env, strings.NewReader(stdin)
	out, err := cmd.Output()
	code := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		code = e.ExitCode()
		err = nil
		if len(out) == 0 {
			p.Fatalf("exit code %d: %s", code, e.Stderr)
		}
	}
	if err == nil {
		err = json.Unmarshal(out, &d)
	}
	if err != nil {
		p.Fatalf("%v: %s", err, out)
	}
	d.text = string(out)
	if d.ExitCode != code {
		p.Errorf("exit code %d, and the report says %d", code, d.ExitCode)
	}
	return d
}

// run runs a command line as it is.
func (p *patient) run(line string) {
	p.Helper()
	cmd := exec.CommandContext(p.Context(), "sh", "-ec", line)
	cmd.Env = p.env
	if out, err := cmd.CombinedOutput(); err != nil {
		p.Fatalf("%s: %v\n%s", line, err, out)
	}
}

// A token in a file or on standard input, whatever its client is, without any
// cluster: what is wrong is named, and the command that is given mends it.
func TestDoctorOfTokens(t *testing.T) {
	issuer, flags := cluster(t)
	s := serve(t, t.TempDir(), flags...)
	admin := s.AsAdmin(t)
	p := newPatient(t, s, flags[3])
	for name, c := range map[string]struct {
		change func(*client.FederatedCredential)
		cause  string
		code   int
	}{
		"healthy": {func(*client.FederatedCredential) {}, "", 0},
		"slash":   {func(f *client.FederatedCredential) { f.Issuer = strings.TrimSuffix(f.Issuer, "/") }, "issuer_slash_missing", 21},
		"case":    {func(f *client.FederatedCredential) { f.Subject = strings.Replace(f.Subject, "pets", "Pets", 1) }, "subject_case", 22},
		"dash": {func(f *client.FederatedCredential) {
			f.Name, f.Issuer = "-cat=", strings.TrimSuffix(f.Issuer, "/")
		}, "issuer_slash_missing", 21},
		"audience": {func(f *client.FederatedCredential) { f.Audiences = []string{"https://vault.azure.net"} }, "credential_audience_is_resource", 23},
	} {
		t.Run(name, func(t *testing.T) {
			p := *p
			p.T = t
			_, w := application(t, admin, "cat", "")
			app, err := admin.Application(t.Context(), w.clientID)
			if err != nil {
				t.Fatal(err)
			}
			f := trustIn(issuer)
			c.change(&f)
			if _, err := admin.CreateApplicationCredential(t.Context(), app.ID, f); err != nil {
				t.Fatal(err)
			}
			d := p.doctor(mint(t, issuer), "token", "-", "--client-id", w.clientID)
			if d.Cause != c.cause || d.ExitCode != c.code {
				t.Fatalf("found %q (%d): %s", d.Cause, d.ExitCode, d.text)
			}
			if c.cause == "" {
				return
			}
			for _, check := range d.Checks {
				for _, g := range check.Findings {
					if g.State == "failed" && len(g.Mends) > 0 {
						for _, line := range g.Mends[0].Commands {
							p.run(line)
						}
					}
				}
			}
			if d := p.doctor(mint(t, issuer), "token", "-", "--client-id", w.clientID); d.Verdict != "healthy" {
				t.Errorf("not mended: %s", d.text)
			}
		})
	}

	_, w := application(t, admin, "cat", issuer.URL())
	file := filepath.Join(t.TempDir(), "token")
	keep := func(token string) {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keep(mint(t, issuer, func(token *localissuer.Token) {
		made, expiry := time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
		token.IssuedAt, token.NotBefore, token.Expiry = &made, &made, &expiry
	}))
	if d := p.doctor("", "token", file, "--client-id", w.clientID); d.Cause != "token_expired" || d.ExitCode != 13 {
		t.Errorf("expired: %s", d.text)
	}
	keep(mint(t, issuer))
	if d := p.doctor("", "token", file, "--client-id", w.clientID); d.Verdict != "healthy" {
		t.Errorf("a good token: %s", d.text)
	}

	t.Run("a process", func(t *testing.T) {
		p := *p
		p.T, p.flags = t, []string{"--issuer-ca", flags[3]}
		p.env = append(slices.Clone(p.env), "AZURE_AUTHORITY_HOST="+s.Authority+"/", "AZURE_CLIENT_ID="+w.clientID, "AZURE_TENANT_ID=adfs", "AZURE_FEDERATED_TOKEN_FILE="+file, "SSL_CERT_FILE="+s.CAFile)
		if d := p.doctor(""); d.Verdict != "healthy" {
			t.Errorf("%s", d.text)
		}
		if d := p.doctor("AADSTS700024: Client assertion is not within its valid time range.", "--error", "-"); d.ExitCode != 10 || !strings.Contains(d.text, "the exchange works now") {
			t.Errorf("an error from before: %s", d.text)
		}
		p.env = append(p.env, "AZURE_CLIENT_ID=00000000-0000-4000-8000-00000000dead")
		if d := p.doctor(""); d.Cause != "client_not_found" || d.ExitCode != 19 {
			t.Errorf("nobody: %s", d.text)
		}
		p.env = append(p.env, "AZURE_FEDERATED_TOKEN_FILE=", "KUBERNETES_SERVICE_HOST=10.0.0.1", "HOSTNAME=cat-1")
		if d := p.doctor(""); d.Cause != "not_injected" || d.ExitCode != 11 || !strings.Contains(d.text, "IMDS") {
			t.Errorf("nothing injected: %s", d.text)
		}
	})
	t.Run("who may read nothing", func(t *testing.T) {
		p := *p
		p.T, p.flags = t, []string{"--url", s.Authority, "--ca", s.CAFile, "--issuer-ca", flags[3]}
		if d := p.doctor("", "token", file, "--client-id", w.clientID); d.Verdict != "healthy" {
			t.Errorf("%s", d.text)
		}
	})

	// The verifier's own view of the issuer.
	for _, c := range []struct {
		args []string
		code int
		has  string
	}{
		{[]string{issuer.URL(), "--ca", flags[3], "--allow-private"}, 0, `"accepted": true`},
		{[]string{strings.TrimSuffix(issuer.URL(), "/"), "--ca", flags[3], "--allow-private"}, 17, "issuer_document_differs"},
		{[]string{issuer.URL(), "--allow-private"}, 16, "tls_untrusted"},
		{[]string{issuer.URL(), "--ca", flags[3]}, 15, "issuer_address_refused"},
	} {
		cmd := exec.CommandContext(t.Context(), testkit.Program, append([]string{"issuer", "check", "-o", "json"}, c.args...)...)
		cmd.Env = p.env
		out, err := cmd.Output()
		code := 0
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			code = e.ExitCode()
		}
		if code != c.code || !strings.Contains(string(out), c.has) {
			t.Errorf("issuer check %q: exit code %d: %s", c.args, code, out)
		}
	}
}
