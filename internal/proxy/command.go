package proxy

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/url"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
)

const (
	exitFailure = 1
	exitUsage   = 2
)

const usageText = `entente-proxy gives the programs of a pod access tokens for its service account's
token, over the protocols of Azure's managed identities.

  entente-proxy [--proxy-port 8000] [--log-level info] [--forward-metadata URL]
      serve /msi/token (App Service) and /metadata/identity/oauth2/token (virtual
      machines) on 127.0.0.1 until a signal
  entente-proxy --probe [--proxy-port 8000]
      ask that one whether it is ready; the exit code is 0 or 1
  entente-proxy init [--proxy-port 8000] [--proxy-uid 1501]
      redirect what this network namespace sends to 169.254.169.254:80 to the
      proxy, and end; needs NET_ADMIN
  entente-proxy run [--log-level warn] -- COMMAND [ARGUMENT...]
      run COMMAND with an endpoint of its own, and end as it does
  entente-proxy --version

Environment: AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE (required),
AZURE_CLIENT_ID, AZURE_AUTHORITY_HOST, SSL_CERT_FILE, IDENTITY_HEADER,
ENTENTE_IDENTITIES.
`

// Memory that a proxy of a few tokens does well with. GOGC and GOMEMLIMIT go before.
const (
	collectAt   = 25       // percent of growth, GOGC
	memoryLimit = 12 << 20 // bytes, GOMEMLIMIT
)

// Main is entente-proxy: it does what the arguments say and returns the exit code.
func Main(args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	command := "serve"
	if len(args) > 0 && (args[0] == "init" || args[0] == "run") {
		command, args = args[0], args[1:]
	}
	o := &options{getenv: getenv, streams: streams{stdin, stdout, stderr}}
	flags := flag.NewFlagSet("entente-proxy", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	level := "info"
	if command == "run" {
		level = "warn" // COMMAND's standard error is not ours
	}
	if command != "run" {
		flags.IntVar(&o.port, "proxy-port", DefaultPort, "")
	}
	if command != "init" {
		flags.StringVar(&o.level, "log-level", level, "")
	}
	switch command {
	case "serve":
		flags.BoolVar(&o.probe, "probe", false, "")
		flags.BoolVar(&o.version, "version", false, "")
		flags.StringVar(&o.forward, "forward-metadata", "", "")
	case "init":
		flags.IntVar(&o.uid, "proxy-uid", ProxyUID, "")
	}
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		io.WriteString(stdout, usageText)
		return 0
	}
	o.args = flags.Args()
	code := exitUsage
	switch {
	case err != nil:
	case command != "run" && len(o.args) > 0:
		err = fmt.Errorf("unknown argument %q; the commands are init and run", o.args[0])
	case command == "run" && len(o.args) == 0:
		err = errors.New("run needs a command: entente-proxy run -- COMMAND")
	case command == "init":
		code, err = exitFailure, Redirect{Port: o.port, UID: o.uid}.Apply()
	case command == "run":
		code, err = o.run()
	case o.version:
		fmt.Fprintln(stdout, "entente-proxy", version())
	case o.probe:
		code, err = exitFailure, Probe(context.Background(), o.port)
	default:
		code, err = exitFailure, o.serve()
	}
	if err != nil {
		fmt.Fprintln(stderr, "error:", err)
		if code == exitUsage {
			fmt.Fprintln(stderr, "hint: entente-proxy --help")
		}
		return code
	}
	if command == "run" {
		return code
	}
	return 0
}

type options struct {
	streams
	getenv         func(string) string
	port, uid      int
	level, forward string
	probe, version bool
	args           []string
}

func (o *options) serve() error {
	c, log, err := o.prepare()
	if err != nil {
		return err
	}
	var forward *url.URL
	if o.forward != "" {
		forward, err = url.Parse(o.forward)
		if err != nil || forward.Scheme != "http" || forward.Host == "" || strings.Trim(forward.Path, "/") != "" || forward.RawQuery != "" || forward.User != nil {
			return fmt.Errorf("--forward-metadata %q is not the URL of a host, such as http://169.254.169.254", o.forward)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listeners, err := Listen(o.port)
	if err != nil {
		return err
	}
	log.Info("serving", "address", listeners[0].Addr().String(), "authority", c.Authority, "tenant", c.TenantID, "client", c.ClientID,
		"token_file", c.TokenFile, "app_service", c.Secret != "", "identities", len(c.Identities), "version", version())
	return New(c, Options{Forward: forward, Log: log}).Serve(ctx, listeners)
}

func (o *options) run() (int, error) {
	c, log, err := o.prepare()
	if err != nil {
		return exitFailure, err
	}
	return runCommand(c, Options{Log: log}, o.args, os.Environ(), o.streams)
}

func (o *options) prepare() (Config, *slog.Logger, error) {
	level, err := parseLevel(o.level)
	if err != nil {
		return Config{}, nil, err
	}
	if o.getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(memoryLimit)
	}
	c, err := FromEnvironment(o.getenv)
	return c, slog.New(slog.NewJSONHandler(o.streams.err, &slog.HandlerOptions{Level: level})), err
}

// parseLevel knows the levels of azure-workload-identity as well.
func parseLevel(text string) (slog.Level, error) {
	switch strings.ToLower(text) {
	case "trace", "all":
		return slog.LevelDebug, nil
	case "warning":
		return slog.LevelWarn, nil
	case "always":
		return slog.LevelError, nil
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(text)); err != nil {
		return 0, fmt.Errorf("--log-level %q is none of debug, info, warn, error", text)
	}
	return level, nil
}

func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return s.Value[:12]
		}
	}
	return "development"
}
