package portal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"

	"go.yaml.in/yaml/v3"

	"github.com/entente-id/entente/internal/credential"
)

// snippet is a text that says what a credential says, for another tool.
type snippet struct {
	ID, Title, Text string
	Note            string // when it is for
}

// snippets are the texts of a credential. What people chose is quoted, so that
// pasting a text does what it shows and nothing else.
func (h holder) snippets(s credential.Spec) []snippet {
	out := []snippet{
		{ID: "az", Title: "Azure CLI", Text: h.azText(s), Note: "Makes the same credential, here or in Azure, in bash or zsh where az is signed in."},
		{ID: "entente", Title: "entente", Text: h.ententeText(s), Note: "The same with this project's command line, which checks it first."},
		{ID: "yaml", Title: "Manifest", Text: h.yamlText(s), Note: "For entente plan and entente apply, or a file that the service starts with."},
		{ID: "terraform", Title: "Terraform", Text: h.terraformText(s), Note: h.terraformNote()},
	}
	if namespace, name, ok := credential.ParseServiceAccountSubject(s.Subject); ok {
		out = append(out, snippet{ID: "kubectl", Title: "In the cluster", Text: h.kubectlText(namespace, name), Note: "What the service account and its pods need, so that the webhook gives them a token. Once; not for each credential."})
	}
	return out
}

// command is a command line, an argument below the other.
type command struct{ lines []string }

func shell(words ...string) *command {
	for i, w := range words {
		words[i] = shellWord(w)
	}
	return &command{[]string{strings.Join(words, " ")}}
}

// flag adds a flag with its value. One that begins with a dash would be taken
// for another flag where it stood by itself, and of one that has =@ az would read
// a file.
func (k *command) flag(name, value string) *command {
	separator := " "
	if _, behind, _ := strings.Cut(value, "="); strings.HasPrefix(value, "-") || value == "" || strings.HasPrefix(behind, "@") {
		separator = "="
	}
	k.lines = append(k.lines, name+separator+shellWord(value))
	return k
}

func (k *command) String() string { return strings.Join(k.lines, " \\\n  ") }

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,-][A-Za-z0-9_./:@%+,=-]*$`)

// shellWord is s as one word of a shell. What cannot be seen is written as an
// escape: a control character could end the terminal's bracketed paste, and what
// follows it would run. So is what ends a quotation in some shell or other, which
// then gets another word and runs nothing: bash and zsh know these escapes, but
// dash ends a quotation at \', fish goes on behind it, and PowerShell takes all of
// the curved marks for quotes.
func shellWord(s string) string {
	switch {
	case plainWord.MatchString(s):
		return s
	case strings.ContainsAny(s, `\`+quotes) || strings.ContainsFunc(s, unseen):
		return "$'" + strings.NewReplacer("'", `\x27`, "‘", `\u2018`, "’", `\u2019`, "‚", `\u201A`, "‛", `\u201B`).Replace(escapeHidden(strings.ReplaceAll(s, `\`, `\x5c`))) + "'"
	}
	return "'" + s + "'"
}

// quotes are the characters that some shell takes for a single quote.
const quotes = "'‘’‚‛"

// escapeJSON writes what cannot be seen in a JSON text, and quotes, as an escape
// (RFC 8259 section 7), so that it can stand between single quotes; its own line
// breaks stay.
func escapeJSON(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || !unseen(r) && !strings.ContainsRune(quotes, r):
			b.WriteRune(r)
		default:
			for _, u := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, `\u%04x`, u)
			}
		}
	}
	return b.String()
}

// unseen says whether a character leaves no mark, or another than it should.
func unseen(r rune) bool { return !unicode.IsPrint(r) }

// escapeHidden writes what cannot be seen as an escape of bash, JSON and HCL alike.
func escapeHidden(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case !unseen(r):
			b.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			fmt.Fprintf(&b, `\U%08X`, r)
		}
	}
	return b.String()
}

func (h holder) azText(s credential.Spec) string {
	if h.isIdentity() {
		// It has no way to say that such a value is meant as it stands.
		if strings.HasPrefix(s.Subject, "@") || strings.HasPrefix(s.Audiences[0], "@") {
			return "# az takes a value that begins with @ for the name of a file, and would send what is in it.\n# Use another of these texts."
		}
		return shell("az", "identity", "federated-credential", "create").flag("--name", s.Name).flag("--identity-name", h.DisplayName).flag("--resource-group", h.identity.Group).
			flag("--subscription", h.identity.SubscriptionID).flag("--issuer", s.Issuer).flag("--subject", s.Subject).flag("--audiences", s.Audiences[0]).String()
	}
	parameters := struct {
		Name        string   `json:"name"`
		Issuer      string   `json:"issuer"`
		Subject     string   `json:"subject"`
		Description string   `json:"description,omitempty"`
		Audiences   []string `json:"audiences"`
	}{s.Name, s.Issuer, s.Subject, s.Description, s.Audiences}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(parameters); err != nil {
		panic(err) // strings always encode
	}
	return shell("az", "ad", "app", "federated-credential", "create").flag("--id", h.ClientID).String() + " \\\n  --parameters '" + strings.ReplaceAll(escapeJSON(strings.TrimSpace(b.String())), "=@", `=\u0040`) + "'"
}

func (h holder) ententeText(s credential.Spec) string {
	words := []string{"entente", "federated-credential", "create"}
	dashed := strings.HasPrefix(s.Name, "-")
	if !dashed {
		words = append(words, s.Name)
	}
	k := shell(words...)
	if h.isIdentity() {
		k.flag("--managed-identity", h.DisplayName).flag("--resource-group", h.identity.Group).flag("--subscription", h.identity.SubscriptionID)
	} else {
		k.flag("--application", h.ClientID)
	}
	k.flag("--issuer", s.Issuer)
	if namespace, name, ok := credential.ParseServiceAccountSubject(s.Subject); ok {
		k.flag("--service-account", namespace+"/"+name)
	} else {
		k.flag("--subject", s.Subject)
	}
	if s.Audiences[0] != credential.DefaultAudience {
		k.flag("--audience", s.Audiences[0])
	}
	if s.Description != "" {
		k.flag("--description", s.Description)
	}
	if dashed {
		k.lines = append(k.lines, "-- "+shellWord(s.Name))
	}
	return k.String()
}

// The form of internal/manifest, which reads it.
type (
	manifestFile struct {
		Applications []manifestHolder `yaml:"applications,omitempty"`
		Identities   []manifestHolder `yaml:"managedIdentities,omitempty"`
	}
	manifestHolder struct {
		DisplayName   string               `yaml:"displayName,omitempty"`
		ClientID      string               `yaml:"clientId,omitempty"`
		Name          string               `yaml:"name,omitempty"`
		ResourceGroup string               `yaml:"resourceGroup,omitempty"`
		Credentials   []manifestCredential `yaml:"federatedCredentials"`
	}
	manifestCredential struct {
		Name           string   `yaml:"name"`
		Issuer         string   `yaml:"issuer"`
		ServiceAccount string   `yaml:"serviceAccount,omitempty"`
		Subject        string   `yaml:"subject,omitempty"`
		Audiences      []string `yaml:"audiences,omitempty"`
		Description    string   `yaml:"description,omitempty"`
	}
)

func (h holder) yamlText(s credential.Spec) string {
	k := manifestCredential{Name: s.Name, Issuer: s.Issuer, Subject: s.Subject, Description: s.Description}
	if namespace, name, ok := credential.ParseServiceAccountSubject(s.Subject); ok {
		k.Subject, k.ServiceAccount = "", namespace+"/"+name
	}
	if s.Audiences[0] != credential.DefaultAudience {
		k.Audiences = s.Audiences
	}
	var file manifestFile
	if h.isIdentity() {
		file.Identities = []manifestHolder{{Name: h.DisplayName, ResourceGroup: h.identity.Group, Credentials: []manifestCredential{k}}}
	} else {
		file.Applications = []manifestHolder{{DisplayName: h.DisplayName, ClientID: h.ClientID, Credentials: []manifestCredential{k}}}
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(file); err != nil {
		panic(err) // strings always encode
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (h holder) terraformText(s credential.Spec) string {
	var b strings.Builder
	line := func(name, value string) { fmt.Fprintf(&b, "  %-*s = %s\n", h.widest(s), name, value) }
	audiences := "[" + hclString(s.Audiences[0]) + "]"
	if h.isIdentity() {
		fmt.Fprintf(&b, "resource \"azurerm_federated_identity_credential\" %s {\n", hclString(hclName(s.Name)))
		line("name", hclString(s.Name))
		line("user_assigned_identity_id", hclString("/subscriptions/"+h.identity.SubscriptionID+"/resourceGroups/"+h.identity.Group+"/providers/Microsoft.ManagedIdentity/userAssignedIdentities/"+h.DisplayName))
		line("audience", audiences)
	} else {
		fmt.Fprintf(&b, "resource \"azuread_application_federated_identity_credential\" %s {\n", hclString(hclName(s.Name)))
		line("application_id", hclString("/applications/"+h.application.ID))
		line("display_name", hclString(s.Name))
		if s.Description != "" {
			line("description", hclString(s.Description))
		}
		line("audiences", audiences)
	}
	line("issuer", hclString(s.Issuer))
	line("subject", hclString(s.Subject))
	return b.String() + "}"
}

func (h holder) widest(s credential.Spec) int {
	if h.isIdentity() {
		return len("user_assigned_identity_id")
	}
	return len("application_id")
}

func (h holder) terraformNote() string {
	if h.isIdentity() {
		return "For azurerm 5. Earlier versions call the identity parent_id, and want its resource_group_name too."
	}
	return "For azuread 3 and later."
}

var notInHCLNames = regexp.MustCompile(`[^A-Za-z0-9_-]+`)

// hclName is a name that Terraform lets a resource have
// (https://developer.hashicorp.com/terraform/language/syntax/configuration#identifiers).
func hclName(s string) string {
	s = notInHCLNames.ReplaceAllString(s, "_")
	if s == "" || !unicode.IsLetter(rune(s[0])) {
		s = "credential_" + strings.TrimLeft(s, "-_")
	}
	return s
}

// hclString is s as a quoted template without anything to fill in
// (https://developer.hashicorp.com/terraform/language/expressions/strings).
func hclString(s string) string {
	s = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "${", "$${", "%{", "%%{").Replace(s)
	return `"` + escapeHidden(s) + `"`
}

func (h holder) kubectlText(namespace, name string) string {
	return shell("kubectl", "annotate", "serviceaccount", name, "--namespace", namespace, "--overwrite").String() + " \\\n  azure.workload.identity/client-id=" + h.ClientID +
		"\n# and in the template of its pods:\n#   metadata:\n#     labels:\n#       azure.workload.identity/use: \"true\"\n#   spec:\n#     serviceAccountName: " + name
}

type credentialTextView struct {
	trustedCredential
	ClientID, Holder, Noun string
	Added                  bool
	MayWrite               bool
	Snippets               []snippet
	List, Text             string
	SignIns                string
}

// credentialText is the page of the texts, which is also the answer to having
// added a credential.
func (c *call) credentialText() error {
	h, t, err := c.findCredential()
	if err != nil {
		return err
	}
	return c.showText(h, t, c.query("done") == "added")
}

// showCredential is the page of those who may not change it.
func (c *call) showCredential(h holder, t trustedCredential) error { return c.showText(h, t, false) }

func (c *call) showText(h holder, t trustedCredential, added bool) error {
	may, err := c.Directory.MayWriteCredentials(c, c.caller, h.parent())
	if err != nil {
		return err
	}
	v := credentialTextView{
		trustedCredential: t, ClientID: h.ClientID, Holder: h.DisplayName, Noun: h.noun(), Added: added, MayWrite: may,
		Snippets: h.snippets(t.spec()), List: h.path(), Text: h.path(t.ID, "text"),
	}
	if v.SignIns = c.signInsPath(h.ClientID); v.SignIns != "" {
		v.SignIns += "&credential=" + t.ID
	}
	p := page{template: "credential", title: t.Name, above: "Federated credential", trail: h.trail()}
	if added {
		p.done = "The credential was added. It counts already: the next token of its workload is exchanged."
	}
	return c.show(p, v)
}
