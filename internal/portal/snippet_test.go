package portal

import (
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/manifest"
)

// What people could choose to break out of a quotation, or to make something run.
var hostileTexts = []string{
	"plain", "a b", "it's", `say "hi"`, "$(touch /tmp/x)", "`id`", "${path.root}", "%{ if true }", "$${x}", "a\\b", `\`, "-x", "--help", "# no comment", "!!", "~root", "a;b&c|d>e", "*", "[a]",
	"‘; touch x; ’", "\\'; touch x; #", "'; touch x; '", "'\u200b\\'; touch x; #", "{b,c}", "yes", "null", "1e3", ": ", "- a", "a\u202eb", "\u200b", "é 日本 😀", "@file", "a=@file", "=x", "'\\''", "%PATH%", "&lt;",
}

func snippetHolders() []holder {
	return []holder{
		{Kind: credential.Application, DisplayName: "it's \"pets\" $(x) ${y}: #1", ClientID: "acc61b03-2264-4566-910d-29b9c7c796ac", application: directory.Application{ID: "4ae3dcdd-2d45-47ca-b3e9-1cb013e9b50d"}},
		{Kind: credential.ManagedIdentity, DisplayName: "pets", ClientID: "acc61b03-2264-4566-910d-29b9c7c796ac", identity: directory.Identity{IdentityRef: directory.IdentityRef{SubscriptionID: testSubscription, Group: "rg(1)", Name: "pets"}}},
	}
}

func snippetSpecs() []credential.Spec {
	specs := []credential.Spec{
		{Name: "web", Issuer: "https://oidc.example/prod/", Subject: "system:serviceaccount:pets:web", Audiences: []string{credential.DefaultAudience}},
		{Name: "-azwi_=", Issuer: "https://oidc.example/prod/", Subject: "system:serviceaccount:pets:web", Audiences: []string{"mine"}, Description: "two\nlines\r\n\x1b[201~\u007fand\u0085more\t."},
	}
	for _, text := range hostileTexts {
		specs = append(specs, credential.Spec{Name: "name", Issuer: "https://oidc.example/$x'y", Subject: text, Audiences: []string{text}, Description: text})
	}
	return specs
}

func (h holder) snippet(s credential.Spec, id string) string {
	all := h.snippets(s)
	return all[slices.IndexFunc(all, func(s snippet) bool { return s.ID == id })].Text
}

// words runs a command line with a shell whose commands only tell their words.
func words(t *testing.T, line string) []string {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err) // ./test is a program of bash, too
	}
	c := exec.CommandContext(t.Context(), bash, "--norc", "-c", "f() { printf '%s\\0' \"$@\"; }\naz() { f az \"$@\"; }\nentente() { f entente \"$@\"; }\nkubectl() { f kubectl \"$@\"; }\n"+line)
	c.Dir, c.Env = t.TempDir(), []string{"LC_ALL=C.UTF-8"}
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, out, line)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

// flagOf is the value of a flag among the words of a command line.
func flagOf(t *testing.T, all []string, name string) string {
	t.Helper()
	for i, w := range all {
		if value, ok := strings.CutPrefix(w, name+"="); ok {
			return value
		}
		if w == name && i+1 < len(all) {
			return all[i+1]
		}
	}
	t.Errorf("no %s in %q", name, all)
	return ""
}

func TestShellSnippets(t *testing.T) {
	check := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	for _, h := range snippetHolders() {
		for _, s := range snippetSpecs() {
			az := words(t, h.snippet(s, "az"))
			if h.isIdentity() && strings.HasPrefix(s.Subject, "@") {
				check("a value that az would read from a file", strings.Join(az, " "), "")
			} else if h.isIdentity() {
				check("name", flagOf(t, az, "--name"), s.Name)
				check("issuer", flagOf(t, az, "--issuer"), s.Issuer)
				check("subject", flagOf(t, az, "--subject"), s.Subject)
				check("audience", flagOf(t, az, "--audiences"), s.Audiences[0])
				check("group", flagOf(t, az, "--resource-group"), "rg(1)")
				check("identity", flagOf(t, az, "--identity-name"), "pets")
			} else {
				check("id", flagOf(t, az, "--id"), h.ClientID)
				var got struct {
					Name, Issuer, Subject, Description string
					Audiences                          []string
				}
				if err := json.Unmarshal([]byte(flagOf(t, az, "--parameters")), &got); err != nil {
					t.Errorf("%v: %q", err, az)
				}
				check("name", got.Name, s.Name)
				check("issuer", got.Issuer, s.Issuer)
				check("subject", got.Subject, s.Subject)
				check("description", got.Description, s.Description)
				check("audience", strings.Join(got.Audiences, "|"), s.Audiences[0])
			}
			entente := words(t, h.snippet(s, "entente"))
			if !slices.Contains(entente, s.Name) {
				t.Errorf("no name in %q", entente)
			}
			check("issuer", flagOf(t, entente, "--issuer"), s.Issuer)
			if namespace, name, ok := credential.ParseServiceAccountSubject(s.Subject); ok {
				check("service account", flagOf(t, entente, "--service-account"), namespace+"/"+name)
				kubectl := words(t, h.snippet(s, "kubectl"))
				check("annotation", kubectl[len(kubectl)-1], "azure.workload.identity/client-id="+h.ClientID)
			} else {
				check("subject", flagOf(t, entente, "--subject"), s.Subject)
			}
			if s.Description != "" {
				check("description", flagOf(t, entente, "--description"), s.Description)
			}
			if s.Audiences[0] != credential.DefaultAudience {
				check("audience", flagOf(t, entente, "--audience"), s.Audiences[0])
			}
			for _, text := range []string{h.snippet(s, "az"), h.snippet(s, "entente"), h.snippet(s, "terraform")} {
				if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && unseen(r) }); i >= 0 {
					t.Errorf("%q has something that nobody sees", text)
				}
			}
		}
	}
}

// az takes the value of a word that begins with @, or has it behind its first =,
// from a file (_expand_file_prefixed_files in azure/cli/core/commands/__init__.py).
func TestAzSnippetReadsNoFile(t *testing.T) {
	for _, h := range snippetHolders() {
		for _, s := range snippetSpecs() {
			for _, word := range words(t, h.snippet(s, "az")) {
				if _, behind, _ := strings.Cut(word, "="); strings.HasPrefix(word, "@") || strings.HasPrefix(behind, "@") {
					t.Errorf("az would read a file for %q", word)
				}
			}
		}
	}
}

// Somebody who pastes a text into another shell than bash gets other words, and
// nothing of them runs.
func TestSnippetsEndNoQuotation(t *testing.T) {
	dash, err := exec.LookPath("dash")
	for _, h := range snippetHolders() {
		for _, s := range snippetSpecs() {
			for _, id := range []string{"az", "entente"} {
				text := h.snippet(s, id)
				if strings.ContainsAny(text, "‘’‚‛") || strings.Contains(text, `\'`) || strings.Contains(text, "''") || strings.Count(text, "'")%2 != 0 {
					t.Errorf("a quotation of some shell ends early: %s", text)
				}
				if err != nil {
					continue
				}
				c := exec.CommandContext(t.Context(), dash, "-c", "az() { :; }\nentente() { :; }\n"+text)
				c.Dir = t.TempDir()
				if out, err := c.CombinedOutput(); err != nil {
					t.Errorf("dash: %v: %s\n%s", err, out, text)
				}
				if left, err := os.ReadDir(c.Dir); err != nil || len(left) > 0 {
					t.Errorf("dash ran a part of it (%v): %s", err, text)
				}
			}
		}
	}
}

func TestManifestSnippet(t *testing.T) {
	for _, h := range snippetHolders() {
		for _, s := range snippetSpecs() {
			if h.isIdentity() {
				s.Description = ""
				if strings.HasPrefix(s.Name, "-") {
					s.Name = "web"
				}
			}
			if strings.ContainsRune(s.Description, 0x1b) {
				s.Description = "two\nlines" // manifests refuse control characters
			}
			text := h.snippet(s, "yaml")
			m, err := manifest.Read("state.yaml", []byte(text), nil)
			if err != nil {
				t.Errorf("%v\n%s", err, text)
				continue
			}
			var got []manifest.FederatedCredential
			if h.isIdentity() {
				got = m.ManagedIdentities[0].FederatedCredentials
				if m.ManagedIdentities[0].ResourceGroup != "rg(1)" || m.ManagedIdentities[0].Name != "pets" {
					t.Errorf("it is of another identity: %s", text)
				}
			} else {
				got = m.Applications[0].FederatedCredentials
				if m.Applications[0].DisplayName != h.DisplayName || m.Applications[0].ClientID != h.ClientID {
					t.Errorf("it is of another application: %s", text)
				}
			}
			if k := got[0].Spec(); len(got) != 1 || k.Name != s.Name || k.Issuer != s.Issuer || k.Subject != s.Subject || k.Description != s.Description || !slices.Equal(k.Audiences, s.Audiences) {
				t.Errorf("got %+v, want %+v from\n%s", k, s, text)
			}
		}
	}
}

func TestTerraformSnippet(t *testing.T) {
	for in, want := range map[string]string{
		"a":          `"a"`,
		`"\`:         `"\"\\"`,
		"${a} $b":    `"$${a} $b"`,
		"%{a} %b":    `"%%{a} %b"`,
		"$${a}":      `"$$${a}"`,
		"\n\r\t":     `"\n\r\t"`,
		"\x1b\u202e": `"\u001B\u202E"`,
		"\U000e0001": `"\U000E0001"`,
		"é😀":         `"é😀"`,
	} {
		if got := hclString(in); got != want {
			t.Errorf("hclString(%q) = %s, want %s", in, got, want)
		}
	}
	app, identity := snippetHolders()[0], snippetHolders()[1]
	s := credential.Spec{Name: "1-web.x", Issuer: "https://oidc.example/", Subject: "${self}", Audiences: []string{"mine"}, Description: "say \"hi\""}
	const wantApp = `resource "azuread_application_federated_identity_credential" "credential_1-web_x" {
  application_id = "/applications/4ae3dcdd-2d45-47ca-b3e9-1cb013e9b50d"
  display_name   = "1-web.x"
  description    = "say \"hi\""
  audiences      = ["mine"]
  issuer         = "https://oidc.example/"
  subject        = "$${self}"
}`
	const wantIdentity = `resource "azurerm_federated_identity_credential" "credential_1-web_x" {
  name                      = "1-web.x"
  user_assigned_identity_id = "/subscriptions/` + testSubscription + `/resourceGroups/rg(1)/providers/Microsoft.ManagedIdentity/userAssignedIdentities/pets"
  audience                  = ["mine"]
  issuer                    = "https://oidc.example/"
  subject                   = "$${self}"
}`
	if got := app.snippet(s, "terraform"); got != wantApp {
		t.Error(got)
	}
	if got := identity.snippet(s, "terraform"); got != wantIdentity {
		t.Error(got)
	}
}
