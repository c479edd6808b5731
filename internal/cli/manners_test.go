package cli

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// verb is what a command of ours does. Where it lacks the flag that goes with that, the
// reason why stands here.
type verb struct {
	writes, destroys, prints bool

	noDryRun, noYes, noOutput, noVerbose string
}

const saysIt = "to call it is to mean it, and what it replaces is what its flags name; --dry-run shows it before"

var verbs = map[string]verb{
	"serve": {writes: true, noDryRun: "a service, whose data is its own", noVerbose: "its log is for that: --log-level"},
	"run":   {writes: true, noDryRun: "what COMMAND does is COMMAND's", noVerbose: "its -v says what is answered, passed and refused"},

	"quickstart":            {writes: true, prints: true},
	"env":                   {prints: true},
	"az-setup":              {writes: true, prints: true, destroys: true, noYes: saysIt, noOutput: "a script for a shell, or with --run what az says"},
	"version":               {prints: true},
	"completion bash":       {prints: true, noOutput: "a script", noVerbose: "it asks nobody"},
	"completion zsh":        {prints: true, noOutput: "a script", noVerbose: "it asks nobody"},
	"completion fish":       {prints: true, noOutput: "a script", noVerbose: "it asks nobody"},
	"completion powershell": {prints: true, noOutput: "a script", noVerbose: "it asks nobody"},

	"context add":    {writes: true, prints: true},
	"context use":    {writes: true},
	"context list":   {prints: true},
	"context show":   {prints: true},
	"context remove": {writes: true, destroys: true},
	"login":          {writes: true, destroys: true, noYes: "it replaces the login of before only once the new one is proven"},
	"logout":         {writes: true, destroys: true, noYes: "to call it is to mean it, as with az logout"},
	"whoami":         {prints: true},
	"portal-link":    {writes: true, prints: true, noDryRun: "a link that nobody uses ends by itself, and whoami says whom it would be for"},

	"cluster register":    {writes: true, prints: true},
	"cluster show":        {prints: true},
	"cluster list":        {prints: true},
	"cluster update-keys": {writes: true, destroys: true, prints: true, noYes: saysIt},
	"cluster report":      {writes: true, prints: true},
	"cluster delete":      {writes: true, destroys: true, prints: true},

	"federated-credential create": {writes: true, prints: true},
	"federated-credential list":   {prints: true},
	"federated-credential show":   {prints: true},
	"federated-credential update": {writes: true, destroys: true, prints: true, noYes: saysIt},
	"federated-credential delete": {writes: true, destroys: true, prints: true},

	"plan":   {prints: true},
	"apply":  {writes: true, destroys: true, prints: true},
	"export": {prints: true, noOutput: "the file that plan, apply and serve --seed read, which has one form"},

	"doctor":                {prints: true},
	"doctor pod":            {prints: true},
	"doctor serviceaccount": {prints: true},
	"doctor token":          {prints: true},
	"issuer show":           {prints: true},
	"issuer check":          {prints: true},
	"issuer publish":        {writes: true, destroys: true, prints: true, noYes: saysIt},
}

// ofAzwi are the commands that are azwi's, whose flags and words are azwi's too.
var ofAzwi = []string{"serviceaccount", "jwks", "podidentity"}

// Every command says what it does, with examples that are command lines of it, and has
// the flags that go with what it does.
func TestManners(t *testing.T) {
	flagName := regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	seen := map[string]bool{}
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		if cmd.Short == "" || cmd.Long == "" || !strings.Contains(cmd.Example, path) && !(strings.HasPrefix(path, "entente federated-credential ") && strings.Contains(cmd.Example, "entente fic ")) {
			t.Errorf("%s: Short %q, Example %q", path, cmd.Short, cmd.Example)
		}
		for _, text := range []string{cmd.Long, cmd.Example} {
			for line := range strings.Lines(text) {
				if n := len([]rune(strings.TrimRight(line, "\n"))); n > 110 || strings.HasSuffix(line, " \n") {
					t.Errorf("%s: a line of the help has %d characters: %s", path, n, line)
				}
			}
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if _, text := pflag.UnquoteUsage(f); strings.TrimSpace(text) == "" || !flagName.MatchString(f.Name) {
				t.Errorf("%s: the flag --%s is said to be %q", path, f.Name, f.Usage)
			}
		})
		name := strings.TrimPrefix(path, "entente ")
		if azwi := slices.Contains(ofAzwi, strings.Fields(name)[0]); !azwi && cmd.Runnable() && (!cmd.HasSubCommands() || name == "doctor") {
			v, ok := verbs[name]
			if !ok {
				t.Errorf("what %s does is not in the table", path)
			}
			seen[name] = true
			for _, f := range []struct {
				name         string
				needed       bool
				but          string
				onlyIfNeeded bool
			}{
				{"dry-run", v.writes, v.noDryRun, true}, {"yes", v.destroys, v.noYes, true}, {"output", v.prints, v.noOutput, false}, {"verbose", true, v.noVerbose, false},
			} {
				has := cmd.Flags().Lookup(f.name) != nil || cmd.InheritedFlags().Lookup(f.name) != nil
				own := has && !(f.name == "verbose" && name == "run")
				switch {
				case f.needed && !own && f.but == "":
					t.Errorf("%s has no --%s, and no reason for that", path, f.name)
				case own && f.but != "":
					t.Errorf("%s has --%s, and a reason against it: %s", path, f.name, f.but)
				case has && !f.needed && f.onlyIfNeeded:
					t.Errorf("%s has --%s, and does nothing that needs it", path, f.name)
				}
			}
		}
		for _, child := range cmd.Commands() {
			walk(child)
		}
	}
	root := newRoot()
	for _, cmd := range root.Commands() {
		walk(cmd)
	}
	for name := range verbs {
		if !seen[name] {
			t.Errorf("the table has %s, which is not there", name)
		}
	}
	if root.Long == "" || !strings.Contains(root.Example, "entente serve") {
		t.Errorf("the root's help is %q", root.Long)
	}
	if code, out, _ := run(t, "cluster"); code != exitOK || !strings.Contains(out, "update-keys") {
		t.Errorf("entente cluster: %d\n%s", code, out)
	}
}

// The page on commands has the table of exit codes that the program prints.
func TestExitTable(t *testing.T) {
	page, err := os.ReadFile("../../docs/guides/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(page), "| code | of | meaning |\n|---|---|---|\n")
	table, _, _ := strings.Cut(after, "\n\n")
	var got, want []exitRow
	for line := range strings.Lines(table + "\n") {
		cells := strings.Split(strings.Trim(strings.ReplaceAll(strings.TrimSpace(line), "`", ""), "|"), "|")
		if len(cells) != 3 {
			t.Fatalf("the row %q has %d cells", line, len(cells))
		}
		got = append(got, exitRow{strings.TrimSpace(cells[0]), strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2])})
	}
	want = exitTable()
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(exitRow{})); diff != "" {
		t.Errorf("docs/guides/commands.md: -program +page\n%s", diff)
	}
	codes := map[string]bool{}
	for _, r := range want {
		codes[r.code] = true
	}
	for code := 0; code <= 26; code++ { // 5 to 9 are left for what all verbs may need
		if name := strconv.Itoa(code); codes[name] != (code <= exitRefused || code >= exitUndetermined) {
			t.Errorf("the code %s is in the table: %v", name, codes[name])
		}
	}
	for _, line := range [][]string{{"help", "exit-codes"}, {"exit-codes"}} {
		code, out, _ := run(t, line...)
		if code != exitOK || !strings.Contains(out, "26 ") || !strings.Contains(out, "with --detailed-exitcode") {
			t.Errorf("%s: %d\n%s", line, code, out)
		}
	}
}

// What is traced has no secret in it.
func TestTrace(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Ms-Request-Id", "id-1")
		w.WriteHeader(http.StatusTeapot)
	}))
	defer s.Close()
	var b bytes.Buffer
	ctx := context.WithValue(t.Context(), mannersKey{}, manners{verbose: true, trace: &trace{out: &b}})
	c := tracedClient(http.DefaultTransport)
	send := func(url string) {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, "POST", url, strings.NewReader("client_secret=hush"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer hush")
		if a, err := c.Do(r); err == nil {
			a.Body.Close()
		}
	}
	send(strings.Replace(s.URL, "http://", "http://user:hush@", 1) + "/a%2Fb?api-version=1&code=hush&%24filter=x+eq+'y'&sig=hush#hush")
	send("http://127.0.0.1:1/")
	for _, want := range []string{"POST " + s.URL + "/a%2Fb?api-version=1&code=…&$filter=x eq 'y'&sig=…: 418 (", ", request id-1)\n", "POST http://127.0.0.1:1/: dial tcp"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("traced is\n%s\nwant %q", b.String(), want)
		}
	}
	if strings.Contains(b.String(), "hush") {
		t.Errorf("a secret is traced:\n%s", b.String())
	}
	before := b.Len()
	ctx = t.Context()
	send(s.URL)
	if b.Len() != before {
		t.Error("what nobody asked to trace is traced")
	}
}

func TestProgress(t *testing.T) {
	var b bytes.Buffer
	p := &progress{out: &b}
	p.step("[1/2] made\n%s", "x")
	p.passing("reading …")
	p.lasting("failed: %d", 3)
	p.done()
	if want := "[1/2] made x\nfailed: 3\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
	b.Reset()
	p = &progress{out: &b, live: true, width: 10}
	p.step("one")
	p.passing("a longer text")
	p.lasting("failed")
	p.step("two")
	p.done()
	p.done()
	if want := "\r\x1b[Kone\r\x1b[Ka longer…\r\x1b[Kfailed\n\r\x1b[Ktwo\r\x1b[K"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
	p = &progress{}
	p.step("x")
	p.passing("x")
	p.lasting("x")
	p.done()
}

func TestColours(t *testing.T) {
	if got := palette(true).paint(red, "x"); got != "\x1b[1;31mx\x1b[0m" {
		t.Errorf("%q", got)
	}
	var b bytes.Buffer
	if colours(&b) {
		t.Error("a buffer is coloured")
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if isTerminal(f) || bool(colours(f)) {
		t.Error("nobody sits at /dev/null")
	}
}
