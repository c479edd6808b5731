package cli

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/login"
)

// run runs a command line as its users do.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Main(args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestExitCodes(t *testing.T) {
	for want, errs := range map[int][]error{
		exitError: {
			errors.New("x"), hint(errors.New("x"), "y"), &client.Error{Status: 400}, &client.Error{Status: 409}, &client.Error{Status: 500},
			&client.TokenError{Status: 503}, &client.TokenError{Status: 429}, &client.AmbiguousError{},
		},
		exitUsage:    {usage(errors.New("x")), usage(hint(errors.New("x"), "y")), fmt.Errorf("--x: %w", usage(errors.New("x")))},
		exitNotFound: {client.ErrNotFound, hint(&client.Error{Status: 404}, "y"), fmt.Errorf("x: %w", client.ErrNotFound)},
		exitRefused:  {refused{errors.New("x")}, fmt.Errorf("x: %w", login.ErrNobody), &client.Error{Status: 401}, hint(&client.Error{Status: 403}, "y"), fmt.Errorf("x: %w", &client.TokenError{Status: 400}), &client.TokenError{Status: 401}},
	} {
		for _, err := range errs {
			if got := exitCode(err); got != want {
				t.Errorf("%#v: %d, want %d", err, got, want)
			}
		}
	}
}

func TestWrongUsage(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	for line, want := range map[string]string{
		"clutser list":            "did you mean entente cluster?",
		"cluster lst":             "did you mean entente cluster list?",
		"cluster nothing":         "entente cluster --help lists the commands",
		"cluster show":            "entente cluster show --help has examples",
		"cluster show a b -g c":   `"b" is one argument too many`,
		"issuer check":            "URL is missing",
		"run":                     "COMMAND is missing",
		"whoami me":               `entente whoami takes no arguments, and "me" is one`,
		"cluster show a":          "--resource-group (-g) is missing",
		"cluster list -o xml":     `--output: "xml" is none of table, json, yaml, name and jsonpath=TEMPLATE`,
		"cluster list --nothing":  "unknown flag: --nothing",
		"cluster register a -g b": "give one of --issuer URL, --hosted and --no-issuer",
		"cluster register a -g b --issuer https://x.example/ --hosted": "give one of --issuer URL, --hosted and --no-issuer",
		"cluster register a -g b --no-issuer --keys x":                 "--keys are those of an issuer",
		"cluster update-keys a -g b":                                   "give either --keys FILE or --from-cluster",
		"cluster update-keys a -g b --keys x --from-cluster":           "give either --keys FILE or --from-cluster",
		"cluster update-keys a -g b --keys x --watch":                  "--watch goes with --from-cluster",
		"cluster update-keys a -g b --keys x --kube-context y":         "go with --from-cluster",
		"cluster update-keys a -g b --from-cluster --watch --dry-run":  "--watch and --dry-run do not go together",
		"cluster update-keys a -g b --from-cluster --every 10ms":       "--every: 10ms is less than 1s",
		"cluster update-keys a -g b --from-cluster --log-format x":     `--log-format: "x" is neither json nor text`,
		"az-setup x":                 `entente az-setup takes no arguments, and "x" is one`,
		"az-setup --name AZUREcloud": `--name: "AZUREcloud" has a meaning of its own in az`,
		"az-setup --name [x]":        `--name: "[x]" is not up to 64`,
		"serve --resources some":     `--resources: "some" is neither`,
		"quickstart -o xml":          `--output: "xml" is none of`,
		"quickstart --exit=perhaps":  "invalid argument",
	} {
		code, out, errs := run(t, strings.Fields(line)...)
		if code != exitUsage || out != "" || !strings.HasPrefix(errs, "error: ") || !strings.Contains(errs, want) {
			t.Errorf("%s: %d\n%s%s\nwant %q", line, code, out, errs, want)
		}
	}
}

func TestEnvironmentOfFlags(t *testing.T) {
	flags := newServe().Flags()
	values := map[string]string{"ENTENTE_LISTEN": ":1", "ENTENTE_ISSUER_ALLOW": "a b", "ENTENTE_DB": ""}
	lookup := func(name string) (string, bool) { v, ok := values[name]; return v, ok }
	if err := flags.Parse([]string{"--drain=2s", "--issuer-ca", "x"}); err != nil {
		t.Fatal(err)
	}
	if err := fromEnvironment(flags, lookup); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"listen": ":1", "issuer-allow": "[a,b]", "db": "", "drain": "2s"} {
		if got := flags.Lookup(name).Value.String(); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]bool{"listen": false, "issuer-allow": false, "db": false, "drain": true, "issuer-ca": true, "nothing": false} {
		if got := wasGiven(flags, name); got != want {
			t.Errorf("%s was given: %v", name, got)
		}
	}
	values["ENTENTE_REQUEST_RATE"] = "many"
	if err := fromEnvironment(flags, lookup); exitCode(err) != exitUsage || !strings.Contains(err.Error(), "ENTENTE_REQUEST_RATE: ") {
		t.Errorf("got %v", err)
	}
}
