package webhook

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/client-go/features"
	"k8s.io/klog/v2"
	clusterconfig "sigs.k8s.io/controller-runtime/pkg/client/config"
	controllerlog "sigs.k8s.io/controller-runtime/pkg/log"
)

// Exit codes of the program.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// Main runs the program and returns its exit code. SIGINT and SIGTERM end it in
// good order; a second one ends it at once.
func Main(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	cmd := newCommand(os.LookupEnv)
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, "error:", err)
	if _, wrong := errors.AsType[wrongUsage](err); wrong {
		fmt.Fprintf(stderr, "hint: %s --help lists the flags and the environment\n", cmd.Name())
		return exitUsage
	}
	return exitError
}

// wrongUsage is an error of the command line or the environment.
type wrongUsage struct{ error }

func (w wrongUsage) Unwrap() error { return w.error }

type options struct {
	Settings
	mode                string
	port                int
	certificateDir      string
	disableCertRotation bool
	tlsMinVersion       string
	metricsBackend      string
	logLevel            string
}

// namespaceFile tells a pod its namespace.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

func newCommand(lookup func(string) (string, bool)) *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "entente-webhook",
		Short: "Give pods what Azure SDKs need for workload identity",
		Long: `Answer the admission calls of a Kubernetes cluster: pods that carry the label
azure.workload.identity/use: "true" get a projected service account token and
the environment that Azure SDKs look for. Labels, annotations, flags, metrics
and names are those of azure-workload-identity.

It runs in the cluster, or wherever KUBECONFIG leads to one. Every flag has a
twin in the environment: ENTENTE_ and its name in upper case, with _ for -.

Environment, as with azure-workload-identity:
  AZURE_TENANT_ID             tenant of service accounts that name none (required,
                              except with --mode adfs)
  AZURE_ENVIRONMENT           AzurePublicCloud (default), AzureUSGovernmentCloud,
                              AzureChinaCloud, or AzureStackCloud with
  AZURE_ENVIRONMENT_FILEPATH  the file that describes it
  POD_NAMESPACE               namespace of the webhook
  PROXY_IMAGE                 image of the proxy sidecar
  PROXY_INIT_IMAGE            image of the container that redirects to it
  AZURE_KUBERNETES_TOKEN_PROXY, AZURE_KUBERNETES_SNI_NAME,
  AZURE_KUBERNETES_CA_DATA, AZURE_KUBERNETES_CA_CONFIGMAP_NAME,
  AZURE_KUBERNETES_CA_CTB_SIGNER_NAME, AZURE_KUBERNETES_CA_CTB_LABEL_SELECTOR
                              transport of token-proxy pods`,
		Example: `  # in a pod, against Azure
  AZURE_TENANT_ID=72f988bf-86f1-41af-91ab-2d7cd011db47 entente-webhook

  # against an authority of your own, with a CA of its own, for unmodified SDKs
  entente-webhook --mode adfs --authority-host https://entente.example.org/ --ca-file /etc/entente/ca.pem

  # with a certificate that somebody else renews, such as cert-manager
  entente-webhook --disable-cert-rotation --webhook-cert-dir /certs

  # a new serving certificate now
  kubectl -n azure-workload-identity-system annotate secret azure-wi-webhook-server-cert entente.id/rotate=now`,
		Version: programVersion(), SilenceUsage: true, SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return wrongUsage{fmt.Errorf("there are no arguments, but %q was given", args)}
			}
			return nil
		},
		PreRunE: func(cmd *cobra.Command, _ []string) error { return twins(cmd.Flags(), lookup) },
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd, lookup) },
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return wrongUsage{err} })
	cmd.SetVersionTemplate("entente-webhook {{.Version}}\n")
	o.flags(cmd.Flags())
	return cmd
}

func (o *options) flags(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringVar(&o.Audience, "audience", DefaultAudience, "audience of the projected tokens")
	f.StringVar(&o.mode, "mode", string(Workload), "`MODE` of pods and namespaces that choose none by the annotation entente.id/mode: "+modeNames())
	f.StringVar(&o.AuthorityHost, "authority-host", "", "`URL` of an authority of your own (default: that of AZURE_ENVIRONMENT)")
	f.StringVar(&o.CAFile, "ca-file", "", "PEM `FILE` of the authority's CA; distributed with the public roots as ConfigMap "+BundleName)
	f.BoolVar(&o.RefuseDefaultServiceAccount, "refuse-default-service-account", false, "refuse pods of the service account default, instead of warning")
	f.StringVar(&o.TokenProxy.Suffix, "custom-token-endpoint-annotation-suffix", "", "`SUFFIX` of the annotation azure.workload.identity/use-SUFFIX that chooses token-proxy")
	f.StringVar(&o.TokenProxy.Audience, "custom-token-endpoint-audience", "", "audience of tokens for the token proxy")
	f.StringVar(&o.Namespace, "namespace", "", "`NAMESPACE` of the webhook (default: POD_NAMESPACE, that of the pod, or "+DefaultNamespace+")")
	f.StringVar(&o.Service, "service-name", DefaultService, "`NAME` of the Service that API servers call")
	f.StringVar(&o.Secret, "secret-name", DefaultSecret, "`NAME` of the Secret of the serving certificate, which is made")
	f.StringVar(&o.Configuration, "webhook-configuration-name", DefaultConfiguration, "`NAME` of the MutatingWebhookConfiguration that gets the CA")
	f.BoolVar(&o.disableCertRotation, "disable-cert-rotation", false, "make no serving certificate, and take the one in --webhook-cert-dir")
	f.StringVar(&o.certificateDir, "webhook-cert-dir", "/certs", "`DIR` of tls.crt and tls.key, with --disable-cert-rotation")
	f.DurationVar(&o.CertificateOverlap, "cert-overlap", DefaultCertificateOverlap, "how long a new CA is announced before it is needed, and an old one kept after that")
	f.IntVar(&o.port, "port", 9443, "port of admission")
	f.StringVar(&o.tlsMinVersion, "tls-min-version", "1.3", "lowest `VERSION` of TLS: 1.2 or 1.3")
	f.StringVar(&o.HealthListen, "health-addr", ":9440", "`ADDRESS` of /healthz and /readyz")
	f.StringVar(&o.MetricsListen, "metrics-addr", ":8095", "`ADDRESS` of /metrics")
	f.StringVar(&o.metricsBackend, "metrics-backend", "prometheus", "prometheus, which is the only one")
	f.DurationVar(&o.SweepInterval, "sweep-interval", DefaultSweepInterval, "how often to look for pods that were created without the webhook; 0 for never")
	f.DurationVar(&o.Drain, "drain", DefaultDrain, "how long to go on answering after readiness is off")
	f.StringVar(&o.logLevel, "log-level", "info", "`LEVEL`: debug, info, warn or error (trace and all are debug)")
}

func (o *options) run(cmd *cobra.Command, lookup func(string) (string, bool)) error {
	level, err := parseLevel(o.logLevel)
	if err != nil {
		return wrongUsage{err}
	}
	log := slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
	settings, err := o.complete(lookup)
	if err != nil {
		return wrongUsage{err}
	}
	settings.Log, settings.Version = log, cmd.Version
	// Libraries have one log and one set of features for the process.
	features.ReplaceFeatureGates(streaming{features.FeatureGates()})
	quieter := log.With("by", "library")
	slog.SetDefault(log)
	klog.SetSlogLogger(quieter)
	controllerlog.SetLogger(logr.FromSlogHandler(quieter.Handler()))
	if settings.REST, err = clusterconfig.GetConfig(); err != nil {
		return fmt.Errorf("find the cluster (in a pod, or by KUBECONFIG): %w", err)
	}
	s, err := Open(cmd.Context(), settings)
	if err != nil {
		return err
	}
	admission, health, metrics := s.Addresses()
	log.Info("listening", "admission", admission, "health", health, "metrics", metrics,
		"version", s.Version, "kubernetes", s.KubernetesVersion, "cluster", s.REST.Host, "namespace", s.Namespace, "mode", s.Mode)
	return s.Run(cmd.Context())
}

// complete turns flags and environment into settings.
func (o *options) complete(lookup func(string) (string, bool)) (Settings, error) {
	s := o.Settings
	env := func(name string) string {
		value, _ := lookup(name)
		return strings.TrimSpace(value)
	}
	var err error
	if s.Mode, err = ParseMode(o.mode); err != nil {
		return s, fmt.Errorf("--mode: %w", err)
	}
	if o.metricsBackend != "prometheus" {
		return s, fmt.Errorf("--metrics-backend: %q is not prometheus", o.metricsBackend)
	}
	switch o.tlsMinVersion {
	case "1.2":
		s.TLSMinVersion = tls.VersionTLS12
	case "1.3":
		s.TLSMinVersion = tls.VersionTLS13
	default:
		return s, fmt.Errorf("--tls-min-version: %q is neither 1.2 nor 1.3", o.tlsMinVersion)
	}
	if o.port < 0 || o.port > 65535 {
		return s, fmt.Errorf("--port: %d is not between 0 and 65535", o.port)
	}
	s.Listen = fmt.Sprintf(":%d", o.port)
	if o.disableCertRotation {
		if s.CertificateDir = o.certificateDir; s.CertificateDir == "" {
			return s, errors.New("--disable-cert-rotation needs --webhook-cert-dir")
		}
	}
	if s.CertificateOverlap <= 0 {
		return s, fmt.Errorf("--cert-overlap: %s is no time", s.CertificateOverlap)
	}
	if s.Drain < 0 || s.SweepInterval < 0 {
		return s, errors.New("--drain and --sweep-interval are not negative")
	}
	if s.Drain == 0 {
		s.Drain = -1 // in Settings, 0 is the default
	}
	if s.SweepInterval == 0 {
		s.SweepInterval = -1
	}
	if s.TenantID = env("AZURE_TENANT_ID"); s.TenantID == "" {
		if s.Mode != ADFS {
			return s, errors.New("AZURE_TENANT_ID is not set: it is the tenant of service accounts that name none")
		}
		s.TenantID = "adfs"
	}
	if s.AuthorityHost == "" {
		if s.AuthorityHost, err = AuthorityOf(env("AZURE_ENVIRONMENT"), env("AZURE_ENVIRONMENT_FILEPATH")); err != nil {
			return s, err
		}
	}
	s.ProxyImage, s.ProxyInitImage = env("PROXY_IMAGE"), env("PROXY_INIT_IMAGE")
	s.TokenProxy.Endpoint, s.TokenProxy.SNIName = env("AZURE_KUBERNETES_TOKEN_PROXY"), env("AZURE_KUBERNETES_SNI_NAME")
	s.TokenProxy.CAData, s.TokenProxy.CAConfigMap = env("AZURE_KUBERNETES_CA_DATA"), env("AZURE_KUBERNETES_CA_CONFIGMAP_NAME")
	s.TokenProxy.CATrustSigner = env("AZURE_KUBERNETES_CA_CTB_SIGNER_NAME")
	s.TokenProxy.CATrustLabelSelector = env("AZURE_KUBERNETES_CA_CTB_LABEL_SELECTOR")
	if s.Namespace == "" {
		text, _ := os.ReadFile(namespaceFile)
		s.Namespace = cmp.Or(env("POD_NAMESPACE"), strings.TrimSpace(string(text)), DefaultNamespace)
	}
	return s, s.Config.Validate()
}

// twins gives every flag that was not set its ENTENTE_… twin.
func twins(flags *pflag.FlagSet, lookup func(string) (string, bool)) (failed error) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "help" || f.Name == "version" || failed != nil {
			return
		}
		name := "ENTENTE_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if value, ok := lookup(name); ok && value != "" {
			if err := flags.Set(f.Name, value); err != nil {
				failed = wrongUsage{fmt.Errorf("%s: %w", name, err)}
			}
		}
	})
	return failed
}

// parseLevel knows the levels of azure-workload-identity beside slog's.
func parseLevel(text string) (level slog.Level, err error) {
	switch text {
	case "":
		return slog.LevelInfo, nil
	case "trace", "all":
		return slog.LevelDebug, nil
	}
	if err := level.UnmarshalText([]byte(text)); err != nil {
		return level, fmt.Errorf("--log-level: %q is none of debug, info, warn and error", text)
	}
	return level, nil
}

func modeNames() string {
	var names []string
	for _, m := range Modes() {
		names = append(names, string(m))
	}
	return strings.Join(names, ", ")
}

// programVersion is the module's version, or the commit it was built from.
func programVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
