package webhook

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// Names of what is in the cluster, as azure-workload-identity's manifests have them.
const (
	DefaultNamespace     = "azure-workload-identity-system"
	DefaultService       = "azure-wi-webhook-webhook-service"
	DefaultSecret        = "azure-wi-webhook-server-cert"
	DefaultConfiguration = "azure-wi-webhook-mutating-webhook-configuration"
)

// DefaultDrain is how long a replica that is told to end goes on answering: API
// servers reuse connections, and hear of its end by way of its endpoints.
const DefaultDrain = 5 * time.Second

// Settings are those of one replica of the webhook.
type Settings struct {
	Config // KubernetesVersion is asked for, and CABundle follows from CAFile

	REST          *rest.Config
	Namespace     string // of everything that is not cluster-wide; "" = DefaultNamespace
	Service       string // that API servers call; "" = DefaultService
	Secret        string // of the serving certificate; "" = DefaultSecret
	Configuration string // MutatingWebhookConfiguration; "" = DefaultConfiguration

	Listen        string // of admission; "" = :9443
	HealthListen  string // of /healthz and /readyz; "" = :9440
	MetricsListen string // of /metrics; "" = :8095
	TLSMinVersion uint16 // 0 = TLS 1.3

	CertificateDir      string        // of tls.crt and tls.key that somebody else renews; "" = own ones
	CertificateLifetime time.Duration // 0 = DefaultCertificateLifetime
	CertificateOverlap  time.Duration // 0 = DefaultCertificateOverlap
	CAFile              string        // of the authority host; "" = it has a public one

	SweepInterval time.Duration // 0 = DefaultSweepInterval; negative: never
	Drain         time.Duration // 0 = DefaultDrain; negative: none

	Version string
	Clock   func() time.Time // nil = time.Now
	Log     *slog.Logger     // nil = slog.Default
}

func (s Settings) complete() Settings {
	s.Namespace = cmp.Or(s.Namespace, DefaultNamespace)
	s.Service = cmp.Or(s.Service, DefaultService)
	s.Secret = cmp.Or(s.Secret, DefaultSecret)
	s.Configuration = cmp.Or(s.Configuration, DefaultConfiguration)
	s.Listen = cmp.Or(s.Listen, ":9443")
	s.HealthListen = cmp.Or(s.HealthListen, ":9440")
	s.MetricsListen = cmp.Or(s.MetricsListen, ":8095")
	s.TLSMinVersion = cmp.Or(s.TLSMinVersion, tls.VersionTLS13)
	s.CertificateLifetime = cmp.Or(s.CertificateLifetime, DefaultCertificateLifetime)
	s.CertificateOverlap = cmp.Or(s.CertificateOverlap, DefaultCertificateOverlap)
	s.SweepInterval = cmp.Or(s.SweepInterval, DefaultSweepInterval)
	s.Drain = max(cmp.Or(s.Drain, DefaultDrain), 0)
	if s.Clock == nil {
		s.Clock = time.Now
	}
	if s.Log == nil {
		s.Log = slog.Default()
	}
	s.CABundle = s.CAFile != ""
	s.REST = rest.CopyConfig(s.REST)
	s.REST.UserAgent = "entente-webhook/" + cmp.Or(s.Version, "devel")
	s.REST.QPS = -1 // API servers have limits of their own; ours would delay pods
	return s
}

// A Service is one replica of the webhook. It is a controller-runtime manager
// whose servers listen before it runs, so that an address in use is an error
// at once.
type Service struct {
	Settings
	manager     manager.Manager
	calendar    *apiCalendar
	live        client.Client // asks the API server
	pods        client.Reader // the same, for the sweeper: answers of any size are cut short
	events      *events
	metrics     *metrics
	certs       certificates
	distributor *distributor // nil: no CA bundle
	identity    string       // of this replica

	admission, health, metricsPage net.Listener

	leading context.Context // ends when the replica is told to end, before it has drained

	synced   atomic.Bool
	draining atomic.Pointer[time.Time] // since when
	self     selfAdmission
}

// Open puts a replica together. It asks the cluster for its version, and nothing else.
func Open(ctx context.Context, settings Settings) (s *Service, err error) {
	s = &Service{Settings: settings.complete()}
	s.calendar = &apiCalendar{clock: s.Clock}
	s.REST.Wrap(s.calendar.wrap)
	if err := s.Config.Validate(); err != nil {
		return nil, err
	}
	if s.KubernetesVersion, err = s.askVersion(ctx); err != nil {
		return nil, fmt.Errorf("ask the cluster for its version: %w", err)
	}
	host, _ := os.Hostname()
	s.identity = fmt.Sprintf("%s-%d", cmp.Or(host, "entente-webhook"), os.Getpid())

	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, admissionregistrationv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	graceful := 15 * time.Second
	s.manager, err = manager.New(s.REST, manager.Options{
		Scheme: scheme, Cache: s.cacheOptions(), Logger: logr.FromSlogHandler(s.Log.Handler()),
		Metrics:                 metricsserver.Options{BindAddress: "0"}, // ours has both pages in one
		HealthProbeBindAddress:  "0",
		GracefulShutdownTimeout: &graceful,
	})
	if err != nil {
		return nil, err
	}
	if s.live, err = client.New(s.REST, client.Options{Scheme: scheme, Mapper: s.manager.GetRESTMapper()}); err != nil {
		return nil, err
	}
	few := rest.CopyConfig(s.REST)
	few.Wrap(bounded(sweepMost))
	if s.pods, err = client.New(few, client.Options{Scheme: scheme, Mapper: s.manager.GetRESTMapper()}); err != nil {
		return nil, err
	}
	if s.events, err = newEvents(s.REST, scheme, s.manager.GetCache(), s.identity); err != nil {
		return nil, err
	}
	s.metrics = newMetrics(s.Version, func() time.Time { return s.certs.notAfter() })
	if err := s.parts(); err != nil {
		return nil, err
	}
	return s, s.servers()
}

// askVersion tries for half a minute: on a node that has just been started, a pod
// can be there before its network.
func (s *Service) askVersion(ctx context.Context) (string, error) {
	versions, err := discovery.NewDiscoveryClientForConfig(s.REST)
	if err != nil {
		return "", err
	}
	for end := time.Now().Add(30 * time.Second); ; {
		version, err := versions.ServerVersion()
		if err == nil {
			return version.GitVersion, nil
		}
		if time.Now().After(end) {
			return "", err
		}
		s.Log.Warn("the cluster does not answer", "error", err)
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// parts makes what keeps certificates and bundles, and has it woken by changes.
func (s *Service) parts() error {
	if s.CertificateDir != "" {
		files, err := newCertificateFiles(s.CertificateDir)
		if err != nil {
			return err
		}
		files.live, files.clock, files.namespace, files.service, files.configuration = s.live, s.calendar.now, s.Namespace, s.Service, s.Configuration
		s.certs = files
	} else {
		r := &rotation{
			client: s.live, namespace: s.Namespace, secret: s.Secret, configuration: s.Configuration, service: s.Service,
			lifetime: s.CertificateLifetime, overlap: s.CertificateOverlap, clock: s.Clock, calendar: s.calendar.now, log: s.Log, wake: make(chan struct{}, 1),
			turned: func(phase string) { s.metrics.steps.WithLabelValues(phase).Inc() },
		}
		s.certs = r
		for _, kind := range []kind{secretKind, configurationKind} {
			if err := s.onChange(kind, r.poke); err != nil {
				return err
			}
		}
	}
	if s.CAFile != "" {
		b, err := newBundle(s.CAFile)
		if err != nil {
			return fmt.Errorf("--ca-file: %w", err)
		}
		d := &distributor{
			bundle: b, cached: s.manager.GetCache(), live: s.live, log: s.Log, wake: make(chan struct{}, 1), owner: s.Namespace + "/" + s.Service,
			wrote: func(verb string) { s.metrics.bundles.WithLabelValues(verb).Inc() },
		}
		b.log, b.changed, s.distributor = s.Log, d.poke, d
		if err := s.onChange(ConfigMapKind, d.poke); err != nil {
			return err
		}
		if err := s.manager.Add(everywhere(b.Start)); err != nil {
			return err
		}
	}
	if err := s.onChange(AccountKind, nil); err != nil {
		return err
	}
	if err := s.onGone(NamespaceKind, s.forget); err != nil {
		return err
	}
	for _, start := range []everywhere{s.certs.Start, s.events.Start, s.watchReadiness, s.lead} {
		if err := s.manager.Add(start); err != nil {
			return err
		}
	}
	return nil
}

// forget drops what is kept of a namespace: some clusters make and delete them all day.
func (s *Service) forget(namespace string) {
	s.metrics.mutation.DeleteLabelValues(namespace)
	if s.distributor != nil {
		s.distributor.mended.Delete(namespace)
	}
}

// everywhere is a part that runs in every replica once the caches are filled.
type everywhere func(context.Context) error

func (e everywhere) Start(ctx context.Context) error { return e(ctx) }
func (everywhere) NeedLeaderElection() bool          { return false }

// servers makes the three of them.
func (s *Service) servers() (err error) {
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	handler := &Handler{
		Config:     s.Config,
		Accounts:   Objects{Cached: s.manager.GetCache(), Live: s.live},
		Namespaces: Objects{Cached: s.manager.GetCache(), Live: s.live},
		Notify:     s.events.OnAccount,
		Observe:    s.metrics.observe,
		Log:        s.Log,
	}
	if s.distributor != nil {
		handler.EnsureBundle = s.distributor.Ensure
	}
	for _, l := range []struct {
		flag, address string
		to            *net.Listener
	}{{"port", s.Listen, &s.admission}, {"health-addr", s.HealthListen, &s.health}, {"metrics-addr", s.MetricsListen, &s.metricsPage}} {
		if *l.to, err = net.Listen("tcp", l.address); err != nil {
			return fmt.Errorf("--%s: %w", l.flag, err)
		}
	}
	mutate, err := s.admissionHandler(handler)
	if err != nil {
		return err
	}
	health := http.NewServeMux()
	health.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	health.HandleFunc("GET /readyz", s.readyz)
	page := http.NewServeMux()
	page.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.page(), promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))

	config := &tls.Config{MinVersion: s.TLSMinVersion, GetCertificate: s.certs.GetCertificate, NextProtos: []string{"h2", "http/1.1"}}
	shutdown := 10 * time.Second
	for _, server := range []*manager.Server{
		{Name: "admission", Listener: tls.NewListener(s.admission, config), Server: server(mutate, s.Log)},
		{Name: "health", Listener: s.health, Server: server(health, s.Log)},
		{Name: "metrics", Listener: s.metricsPage, Server: server(page, s.Log)},
	} {
		server.ShutdownTimeout = &shutdown
		if err := s.manager.Add(server); err != nil {
			return err
		}
	}
	return nil
}

func server(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, MaxHeaderBytes: 64 << 10, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelInfo), // handshakes of who does not trust us
	}
}

// admissionHandler answers API servers, and this replica's own admissions by a
// handler that leaves no traces.
func (s *Service) admissionHandler(h *Handler) (http.Handler, error) {
	logger := logr.FromSlogHandler(s.Log.Handler())
	loud, err := admission.StandaloneWebhook(&admission.Webhook{Handler: h}, admission.StandaloneOptions{Logger: logger, MetricsPath: Path})
	if err != nil {
		return nil, err
	}
	silent := *h
	silent.Notify, silent.Observe, silent.Log, silent.EnsureBundle = nil, nil, nil, nil
	quiet, err := admission.StandaloneWebhook(&admission.Webhook{Handler: &silent}, admission.StandaloneOptions{Logger: logger})
	if err != nil {
		return nil, err
	}
	loud = withRoom(loud, s.Log)
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+Path, func(w http.ResponseWriter, r *http.Request) {
		if s.self.is(r) {
			quiet.ServeHTTP(w, r)
			return
		}
		if since := s.draining.Load(); since != nil && time.Since(*since) > s.Drain/2 {
			// By now its endpoint is gone: whoever still has a connection gets
			// another one, to another replica. In HTTP/2 this is a GOAWAY that
			// waits for what is under way.
			w.Header().Set("Connection", "close")
		}
		loud.ServeHTTP(w, r)
	})
	s.self.secret = randomText()
	return mux, nil
}

// Addresses are those that the replica listens on.
func (s *Service) Addresses() (admission, health, metrics string) {
	return s.admission.Addr().String(), s.health.Addr().String(), s.metricsPage.Addr().String()
}

// Run serves until ctx ends. Then readiness goes first, and the replica answers
// for as long as Drain before it ends what is under way.
func (s *Service) Run(ctx context.Context) error {
	defer s.close()
	s.leading = ctx
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	stop := context.AfterFunc(ctx, func() {
		now := time.Now()
		s.draining.Store(&now)
		s.Log.Info("draining", "for", s.Drain)
		time.AfterFunc(s.Drain, end)
	})
	defer stop()
	return s.manager.Start(running)
}

func (s *Service) close() {
	for _, l := range []net.Listener{s.admission, s.health, s.metricsPage} {
		if l != nil {
			l.Close()
		}
	}
}
