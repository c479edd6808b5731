package az

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/testkit/controlplane"
)

// TestGuide types what the guide says to type, in one shell from top to
// bottom, and sees what the guide says that one sees. The cluster is real.
func TestGuide(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/guides/azure-cli.md")
	if err != nil {
		t.Fatal(err)
	}
	s, _ := serve(t)
	p := open(t, s)
	for _, name := range []string{"AZURE_CONFIG_DIR", "REQUESTS_CA_BUNDLE", "AZURE_CORE_USE_MSAL_HTTP_CACHE",
		"ENTENTE_URL", "TENANT", "SUBSCRIPTION", "ADMIN", "ADMIN_SECRET", "FEDERATION", "API"} {
		delete(p.env, name) // a reader has none of them
	}
	p.export("AZURE_CORE_DISABLE_CONFIRM_PROMPT", "1") // nobody is there to say y
	p.export("PATH", controlplane.Programs(t)+":"+p.env["PATH"])

	clustered := false
	for _, block := range blocks(strings.ReplaceAll(string(text), "https://localhost:8443", s.Authority)) {
		if strings.Contains(block.commands, "entente serve") {
			continue // there is az, and a service
		}
		if !clustered && strings.Contains(block.commands, "--from-cluster") {
			c := controlplane.Start(t, controlplane.Config{Issuer: p.out(`. ./state; printf %s "$SERVICE_ACCOUNT_ISSUER"`)})
			p.out("cp " + c.Kubeconfig + " kubeconfig")
			clustered = true
		}
		s := p.run("[ ! -e state ] || . ./state\n[ ! -e kubeconfig ] || export KUBECONFIG=$PWD/kubeconfig\nset -a\nexec 2>&1\n" + block.commands + "\nexport -p > state\n")
		if s.code != 0 && !strings.Contains(block.sees, "ERROR: ") {
			t.Fatalf("line %d:\n%s\nends with %d:\n%s%s", block.line, block.commands, s.code, s.out, s.err)
		}
		t.Logf("line %d:\n%s\nprints:\n%s", block.line, block.commands, s.out)
		if !block.pattern().MatchString(s.out) {
			t.Errorf("line %d: not what the guide says:\n%s", block.line, block.sees)
		}
	}
	if !clustered {
		t.Error("the guide uses no cluster")
	}
}

// A block is what is typed, and what is seen then, shortened.
type block struct {
	line           int
	commands, sees string
}

// blocks are the guide's: each fence of the language sh, with the fence without
// a language that follows it, if one does.
func blocks(text string) []block {
	var found []block
	fence := regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")
	for _, at := range fence.FindAllStringSubmatchIndex(text, -1) {
		language, content := text[at[2]:at[3]], text[at[4]:at[5]]
		switch {
		case language == "sh":
			found = append(found, block{line: strings.Count(text[:at[0]], "\n") + 1, commands: content})
		case language == "" && len(found) > 0 && found[len(found)-1].sees == "":
			found[len(found)-1].sees = content
		}
	}
	return found
}

// likes are what is another each time, and … for what was left out.
var likes = map[string]*regexp.Regexp{
	`(?s:.*?)`:           regexp.MustCompile(`…`),
	`[-0-9a-f]{36}`:      regexp.MustCompile(`[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`), // ids
	`[-0-9T:. ]+`:        regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\d]*`),     // times
	`localhost:\d+`:      regexp.MustCompile(`localhost:\d+`),                               // the service
	`[A-Za-z0-9_-]{40,}`: regexp.MustCompile(`[A-Za-z0-9_-]{40,}`),                          // secrets, ids of keys
}

// pattern matches what is seen.
func (b block) pattern() *regexp.Regexp {
	var pattern strings.Builder
	for line := range strings.Lines(b.sees) {
		line = strings.TrimSpace(line)
		if strings.Contains(line, "(y/n)") {
			continue
		}
		for line != "" {
			first, like := []int{len(line), len(line)}, ""
			for pattern, shown := range likes {
				if at := shown.FindStringIndex(line); at != nil && at[0] < first[0] {
					first, like = at, pattern
				}
			}
			pattern.WriteString(regexp.QuoteMeta(line[:first[0]]) + like)
			line = line[first[1]:]
		}
		pattern.WriteString(`\s*`)
	}
	return regexp.MustCompile(pattern.String())
}
