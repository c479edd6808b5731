package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/entente-id/entente/internal/intercept"
)

type runOptions struct {
	connection
	embedded  bool
	seed      string
	asAdmin   bool
	pass      []string
	passAll   bool
	anyClient bool
	verbose   bool
}

func newRun() *cobra.Command {
	o := &runOptions{}
	cmd := &cobra.Command{
		Use:   "run [flags] -- COMMAND [ARGUMENT...]",
		Short: "Run a command for which Azure is the service",
		Long: `Run COMMAND with a proxy of its own, so that login.microsoftonline.com,
graph.microsoft.com and management.azure.com (and their other names, and those of
the US government's and of China's clouds) are answered by the service. Programs
made for Azure work unmodified and without a change of DNS or of the machine:
SDKs, azwi, Terraform, az.

Requests to any other host are refused, with a message that names the flag which
lets them through: --pass HOST, or --pass-all for every public address. Nothing
stands between COMMAND and this machine itself (localhost).

COMMAND's environment says where the proxy is and trusts a throw-away CA beside
the system's: HTTPS_PROXY, SSL_CERT_FILE (Go, .NET, OpenSSL), REQUESTS_CA_BUNDLE
(Python), NODE_EXTRA_CA_CERTS and NODE_USE_ENV_PROXY, CURL_CA_BUNDLE,
GIT_SSL_CAINFO and JAVA_TOOL_OPTIONS. AZURE_AUTHORITY_HOST and what else points
away from Azure's names is taken out. Nothing outside of COMMAND changes, and
nothing is left when it ends.

The service is found as by the other verbs (--data-dir, --url, --context, the
environment, the current context, the default data directory). Where there is
none, or the current context is Azure's, or with --embedded, a new one is started
for COMMAND, with a directory of its own that lives as long as COMMAND does. It
gives tokens for any resource, and their issuer is that of Azure's tokens,
https://login.microsoftonline.com/TENANT/.

With --as-admin, COMMAND is the service's administrator (of a service that is not
new: the caller of the other verbs): AZURE_TENANT_ID, AZURE_CLIENT_ID,
AZURE_CLIENT_SECRET and AZURE_SUBSCRIPTION_ID, and for Terraform their ARM_ twins.
That is the default with a new service, which knows nobody else, and only there.

The exit code is COMMAND's: 128 and the signal's number if a signal ended it, 127
if there is no such command, 126 if it cannot be run. Signals go to COMMAND.`,
		Example: `  # unmodified tests of a program that uses the Azure SDK, in CI
  entente run -- go test ./...

  # a shell in which Azure is a new, empty service
  entente run -- bash

  # Terraform against the service of this shell, which fetches its providers first
  entente run --pass registry.terraform.io --pass releases.hashicorp.com -- terraform init
  entente run --as-admin -- terraform apply

  # az as it is, with what a file declares already there; what goes where
  entente run --seed directory.yaml -v -- sh -c '
    az login --service-principal -u $AZURE_CLIENT_ID -p $AZURE_CLIENT_SECRET --tenant $AZURE_TENANT_ID
    az ad app list'`,
		Args: arguments("COMMAND", "..."),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args) },
	}
	f := cmd.Flags()
	f.SetInterspersed(false) // what follows COMMAND is COMMAND's
	o.connection.flags(f)
	f.BoolVar(&o.embedded, "embedded", false, "start a new service for COMMAND (default where none is known)")
	f.StringVar(&o.seed, "seed", "", "`FILE` of what is in the new service; implies --embedded")
	f.BoolVar(&o.asAdmin, "as-admin", false, "give COMMAND the administrator's client id and secret (default with a new service)")
	f.StringSliceVar(&o.pass, "pass", nil, "let requests to `HOST` through: HOST, HOST:PORT or *.DOMAIN; repeatable")
	f.BoolVar(&o.passAll, "pass-all", false, "let requests to all public addresses through; private ones need --pass")
	f.BoolVar(&o.anyClient, "any-client", false, "take requests without the proxy's password, for programs that cannot send it")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "say on standard error what is answered, passed and refused")
	return cmd
}

func (o *runOptions) run(cmd *cobra.Command, args []string) (err error) {
	for _, host := range o.pass {
		if err := intercept.CheckPass(host); err != nil {
			return usage(fmt.Errorf("--pass: %w", err))
		}
	}
	o.embedded = o.embedded || o.seed != ""
	for _, flag := range []string{"url", "data-dir", "context", "cloud"} {
		if o.embedded && wasGiven(cmd.Flags(), flag) {
			return usage(fmt.Errorf("--%s names a service, and --embedded and --seed start a new one", flag))
		}
	}
	log := slog.New(slog.DiscardHandler)
	if o.verbose {
		if log, err = newLog(cmd.ErrOrStderr(), "info", "text"); err != nil {
			return err
		}
	}
	// Signals are for COMMAND. Everything here ends when it has.
	signals := watch()
	defer signals.stop()
	ctx, cancel := context.WithCancel(context.WithoutCancel(cmd.Context()))
	defer cancel()

	dir, err := os.MkdirTemp("", "entente-run-")
	if err != nil {
		return err
	}
	defer also(&err, func() error { return os.RemoveAll(dir) })
	r, err := o.service(ctx, cmd, dir)
	if err != nil {
		return err
	}
	defer also(&err, r.close)
	proxy, err := intercept.Start(intercept.Config{
		Service: r.authority, Transport: r.http.Transport, Pass: o.pass, PassAll: o.passAll, AnyClient: o.anyClient, Log: log,
	})
	if err != nil {
		return err
	}
	defer also(&err, proxy.Close)
	environ, err := proxy.Environ(os.Environ(), dir)
	if err != nil {
		return err
	}
	environ = intercept.With(environ, r.variables(os.Getenv))
	log.Info("running", "service", r.authority, "new", r.served != nil, "as administrator", r.asAdmin)
	return signals.run(args, environ, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
}

// also does what is to be done at the end, and keeps its error beside the first.
func also(first *error, last func() error) {
	if err := last(); err != nil {
		*first = errors.Join(*first, err)
	}
}

// exited is the end of a command that entente ran: its exit code is ours.
// Without an error it speaks for itself.
type exited struct {
	code int
	err  error
}

func (e *exited) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exited) Unwrap() error { return e.err }
