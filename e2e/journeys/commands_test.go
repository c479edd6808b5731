package journeys

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/entente-id/entente/internal/testkit"
	"github.com/entente-id/entente/internal/testkit/controlplane"
)

// A journey is what goes with a script.
type journey struct {
	testing.TB
	cluster func() *controlplane.Cluster // nil: it did not start
	normal  *normal
	service *testkit.Service
	raw     string // what the last command printed, as it was
}

type journeyKey struct{}

func of(ts *testscript.TestScript) *journey { return ts.Value(journeyKey{}).(*journey) }

// run runs a command of the script and returns its exit code. What it prints is
// made normal: stdout, stderr and cmp see that.
func (j *journey) run(ts *testscript.TestScript, args []string) int {
	err := ts.Exec(args[0], args[1:]...)
	exit, ended := errors.AsType[*exec.ExitError](err)
	if err != nil && !ended {
		ts.Fatalf("%v", err)
	}
	stdout, stderr := ts.ReadFile("stdout"), ts.ReadFile("stderr")
	j.raw = stdout + stderr
	fmt.Fprint(ts.Stdout(), j.normal.text(stdout))
	fmt.Fprint(ts.Stderr(), j.normal.text(stderr))
	if ended {
		return exit.ExitCode()
	}
	return 0
}

// program is: [!] NAME ARGUMENT…
func program(name string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if code := of(ts).run(ts, slices.Concat([]string{name}, args)); (code != 0) != neg {
			ts.Fatalf("it ends with %d", code)
		}
	}
}

// exits is: exits CODE COMMAND ARGUMENT…
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARGUMENT...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if code := of(ts).run(ts, args[1:]); code != want {
		ts.Fatalf("it ends with %d", code)
	}
}

// capture is: capture NAME REGEXP. The variable gets what the regular expression's
// group, or else all of it, has matched in what the last command printed.
func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: capture NAME REGEXP")
	}
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	match := pattern.FindStringSubmatch(of(ts).raw)
	if match == nil {
		ts.Fatalf("nothing matches %s", args[1])
	}
	ts.Setenv(args[0], match[len(match)-1])
}

// fill is: fill FILE… What stands there for variables is replaced by their values.
func fill(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("unsupported: ! fill")
	}
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}

// jsonValid is: jsonvalid FILE. It is one JSON document and nothing else.
func jsonValid(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: jsonvalid FILE")
	}
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &v))
}

// serve is: serve [-context NAME] [FLAG…]. It starts a service for this script,
// that may ask issuers on this machine and gives tokens for any resource. URL, CA,
// TENANT, SUBSCRIPTION, CLIENT_ID, CLIENT_SECRET, SECRET_FILE and DATA_DIR are
// about it; with a NAME it is registered under it, and logged in to as its administrator.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("unsupported: ! serve")
	}
	j, context := of(ts), ""
	if len(args) > 1 && args[0] == "-context" {
		context, args = args[1], args[2:]
	}
	flags := []string{"--resources", "any", "--issuer-allow", "127.0.0.1"}
	if ca := ts.Getenv("ISSUER_CA"); ca != "" {
		flags = append(flags, "--issuer-ca", ca)
	}
	s := testkit.Serve(j.TB, ts.MkAbs("service"), slices.Concat(flags, args)...)
	j.service = s
	for name, value := range map[string]string{
		"URL": s.Authority, "CA": s.CAFile, "TENANT": s.TenantID, "SUBSCRIPTION": s.SubscriptionID,
		"CLIENT_ID": s.ClientID, "CLIENT_SECRET": s.ClientSecret, "DATA_DIR": s.Dir,
	} {
		ts.Setenv(name, value)
	}
	j.normal.address(s.Authority, 18443)
	j.normal.replace(s.ClientSecret, "SECRET")
	for _, id := range []string{s.TenantID, s.SubscriptionID, s.ClientID} { // always the first three
		j.normal.text(id)
	}
	secret := ts.MkAbs("home/secret")
	ts.Check(os.WriteFile(secret, []byte(s.ClientSecret), 0o600))
	ts.Setenv("SECRET_FILE", secret)
	if context == "" {
		return
	}
	for _, line := range [][]string{
		{"context", "add", context, "--url", s.Authority, "--ca", s.CAFile},
		{"login", "--context", context, "--client-id", s.ClientID, "--client-secret-file", secret},
	} {
		ts.Check(ts.Exec("entente", line...))
	}
}

// stopService is: stop-service
func stopService(ts *testscript.TestScript, neg bool, args []string) {
	if j := of(ts); neg || len(args) > 0 || j.service == nil {
		ts.Fatalf("usage: stop-service, after serve")
	}
	ts.Check(of(ts).service.Stop())
}

// startCluster is: cluster. NS is a namespace of this script, which is its
// kubeconfig's; ISSUER is the cluster's issuer and ISSUER_CA the file of its CA.
// kubectl is there.
func startCluster(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: cluster")
	}
	j := of(ts)
	programs := controlplane.Programs(j.TB)
	c := j.cluster()
	if c == nil {
		ts.Fatalf("the cluster did not start")
	}
	ns := ts.Name()
	kubeconfig, ca := ts.MkAbs("home/kubeconfig"), ts.MkAbs("issuer-ca.pem")
	text, err := os.ReadFile(c.Kubeconfig)
	ts.Check(err)
	text = []byte(strings.Replace(string(text), `"context":{`, `"context":{"namespace":"`+ns+`",`, 1))
	ts.Check(os.WriteFile(kubeconfig, text, 0o600))
	ts.Check(os.WriteFile(ca, c.Authority.PEM, 0o600))
	ts.Check(os.MkdirAll(ts.MkAbs("home/bin"), 0o755))
	ts.Check(os.Symlink(filepath.Join(programs, "kubectl"), ts.MkAbs("home/bin/kubectl")))
	for name, value := range map[string]string{
		"NS": ns, "KUBECONFIG": kubeconfig, "ISSUER": c.Issuer, "ISSUER_CA": ca, "KUBE_URL": c.URL,
		"PATH": ts.MkAbs("home/bin") + string(os.PathListSeparator) + ts.Getenv("PATH"),
	} {
		ts.Setenv(name, value)
	}
	j.normal.address(c.URL, 16443)
	j.normal.issuer(c.Issuer)
	ts.Check(ts.Exec("kubectl", "create", "namespace", ns))
}
