package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/entente-id/entente/internal/server"
)

type quickstartOptions struct {
	output
	dataDir    string
	listen     string
	kubeconfig string
	exit       bool
	dryRun     bool
	logLevel   string
}

func newQuickstart() *cobra.Command {
	o := &quickstartOptions{}
	cmd := &cobra.Command{
		Use:   "quickstart",
		Short: "See the whole exchange, from a cluster's token to an access token",
		Long: `Start the service and a cluster's issuer in this process, add a federated
identity credential to an application and to a managed identity, exchange a
service account's token with the Azure SDK, verify the result, and see two
refusals. Then keep serving until interrupted.

Without --data-dir everything lies in a temporary directory, which is removed
at the end. With --kubeconfig the tokens and the issuer are a real cluster's;
the namespace "pets" and the service account "workload-identity-sa" are made in
it if they are not there. The service gives tokens for any resource.`,
		Example: `  # what a pod's token becomes, and then commands to go on by hand
  entente quickstart

  # for a script: one JSON document
  entente quickstart --exit -o json

  # with the tokens of a cluster, whose keys are uploaded
  entente quickstart --kubeconfig ~/.kube/config`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&o.dataDir, "data-dir", "", "data `DIR` to use and keep (default: a temporary one)")
	f.StringVar(&o.listen, "listen", "", "`ADDRESS` to serve on (default "+server.DefaultListen+", or any free port if that is taken)")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "use the cluster of the current context in `FILE`")
	o.output.flags(f)
	f.BoolVar(&o.exit, "exit", false, "end after the run")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be started and made, and do nothing")
	f.StringVar(&o.logLevel, "log-level", "error", "`LEVEL`: debug, info, warn or error")
	return cmd
}

func (o *quickstartOptions) run(cmd *cobra.Command) error {
	if err := o.output.check(); err != nil {
		return err
	}
	log, err := newLog(cmd.ErrOrStderr(), o.logLevel, "text")
	if err != nil {
		return err
	}
	if o.dryRun {
		o.pretend(cmd.ErrOrStderr())
		return nil
	}
	dir := o.dataDir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "entente-quickstart-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	goes := progressOf(cmd)
	defer goes.done()
	say := func(format string, args ...any) { goes.passing(format, args...) }
	if o.output == "table" {
		say = func(format string, args ...any) { fmt.Fprintf(out, format, args...) }
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	started := time.Now()

	c, err := openCluster(ctx, o.kubeconfig)
	if err != nil {
		return err
	}
	defer c.close()
	issuerCA := filepath.Join(dir, "issuer-ca.pem")
	config := server.Config{DataDir: dir, Listen: o.listen, HealthListen: server.NoListener, AnyResource: true, Log: log, Version: version()}
	if pem := c.caPEM(); pem != nil {
		if err := os.WriteFile(issuerCA, pem, 0o644); err != nil {
			return err
		}
		config.IssuerAllow, config.IssuerCA = []string{"127.0.0.1"}, issuerCA
	}
	service, err := server.Open(ctx, config)
	if o.listen == "" && errors.Is(err, syscall.EADDRINUSE) {
		config.Listen = "127.0.0.1:0"
		service, err = server.Open(ctx, config)
	}
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- service.Serve(ctx) }()
	w := &walk{dir: dir, cluster: c, started: started, say: say}
	end := func(err error) error {
		w.close()
		cancel()
		return errors.Join(err, <-served)
	}

	if w.admin, err = readAdmin(dir); err != nil {
		return end(err)
	}
	if err := w.run(ctx); err != nil {
		return end(err)
	}
	goes.done()
	err = o.output.print(out, w.result, func() string { return w.result.Application.ClientID }, func() error {
		w.goOn(out, o)
		return nil
	})
	if err != nil {
		return end(err)
	}
	if o.exit {
		return end(nil)
	}
	note(cmd, "\nServing at %s until interrupted (Ctrl-C).", w.admin.Authority)
	return <-served
}

// pretend says what a run would do.
func (o *quickstartOptions) pretend(w io.Writer) {
	fmt.Fprintf(w, "dry run: would serve on %s, with its data in %s\n", cmp.Or(o.listen, server.DefaultListen), cmp.Or(o.dataDir, "a temporary directory"))
	if o.kubeconfig != "" {
		fmt.Fprintf(w, "dry run: would make, in the cluster of the current context in %s, what is not there of the namespace %s and the service accounts %s and default, and ask for tokens of both\n", o.kubeconfig, quickNamespace, quickAccount)
	}
	fmt.Fprintf(w, "dry run: would make, in that service, the application %[1]s, the managed identity %[1]s in the group %[2]s, and a federated credential of each\n", quickName, quickGroup)
}

// goOn prints what a reader can do next by hand.
func (w *walk) goOn(out io.Writer, o *quickstartOptions) {
	r := w.result
	token := filepath.Join(w.dir, tokenFile)
	if o.exit {
		fmt.Fprintf(out, "\nThe first token came %s after the start. Run it without --exit to go on by hand.\n", r.FirstToken)
		return
	}
	ca := quote(w.admin.CAFile)
	fmt.Fprintf(out, `
The first token came %s after the start. Go on by hand, in another shell:

  # the exchange itself, without any SDK
  curl -sS --cacert %s %s/%s/oauth2/v2.0/token \
    -d grant_type=client_credentials -d client_id=%s \
    -d scope=https://vault.azure.net/.default \
    -d client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer \
    --data-urlencode client_assertion@%s

  # the same as the managed identity, from a program of yours: DefaultAzureCredential, unchanged
  export AZURE_AUTHORITY_HOST=%s/ AZURE_TENANT_ID=adfs AZURE_CLIENT_ID=%s \
    AZURE_FEDERATED_TOKEN_FILE=%s \
    SSL_CERT_FILE=%s NODE_EXTRA_CA_CERTS=%s REQUESTS_CA_BUNDLE=%s

  # or as the administrator of this service
  eval "$(%s env --data-dir %s)"
`, r.FirstToken, ca, w.admin.Authority, w.admin.TenantID, r.Application.ClientID, quote(token),
		w.admin.Authority, r.ManagedIdentity.ClientID, quote(token), ca, ca, ca, self(), quote(w.dir))
}

// cached is the directory of a program that go run has kept: a hash and -d.
var cached = regexp.MustCompile(`^[0-9a-f]{64}-d$`)

// self is how this program was called, in a form that works in another shell.
func self() string {
	name := os.Args[0]
	if strings.Contains(name, "go-build") || cached.MatchString(filepath.Base(filepath.Dir(name))) {
		if here, err := os.Getwd(); err == nil {
			return "cd " + quote(here) + " && go run ./cmd/entente"
		}
		return "go run ./cmd/entente"
	}
	if strings.ContainsRune(name, filepath.Separator) {
		if path, err := filepath.Abs(name); err == nil {
			return quote(path)
		}
	}
	return quote(name)
}
