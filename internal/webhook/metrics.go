package webhook

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	controllermetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
)

// metrics are those of one webhook and of its process. Those of controller-runtime
// (admission calls by code, calls of the API server) are beside them on the same page.
type metrics struct {
	registry   *prometheus.Registry
	mutation   *prometheus.HistogramVec
	unmutated  *prometheus.GaugeVec
	ready      prometheus.Gauge
	selfTests  *prometheus.CounterVec
	steps      *prometheus.CounterVec
	bundles    *prometheus.CounterVec
	leader     prometheus.Gauge
	sweeps     *prometheus.CounterVec
	lastSwept  prometheus.Gauge
	expiration func() time.Time
}

// newMetrics makes them. expiration is that of the serving certificate.
func newMetrics(version string, expiration func() time.Time) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		// The name, the label and the limits are azure-workload-identity's, so
		// that its dashboards go on.
		mutation: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "azwi_mutation_request",
			Help: "Seconds that the mutation of a pod took, by its namespace.",
			Buckets: []float64{
				.001, .002, .003, .004, .005, .006, .007, .008, .009, .01, .02, .03, .04, .05, .06, .07, .08, .09,
				.1, .2, .3, .4, .5, .6, .7, .8, .9, 1, 1.5, 2, 2.5, 3,
			},
		}, []string{"namespace"}),
		unmutated: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "entente_webhook_unmutated_pods",
			Help: "Pods that carry the label and were created without the webhook, by namespace; told by the leader only.",
		}, []string{"namespace"}),
		ready: prometheus.NewGauge(prometheus.GaugeOpts{Name: "entente_webhook_ready", Help: "1 if this replica is ready."}),
		selfTests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "entente_webhook_self_admissions_total",
			Help: "Admissions that this replica asked itself for over TLS, as an API server would, by result.",
		}, []string{"result"}),
		steps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "entente_webhook_certificate_steps_total",
			Help: "Steps of certificate rotations that this replica did, by the phase that they led to.",
		}, []string{"phase"}),
		bundles: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "entente_webhook_ca_bundles_written_total",
			Help: "ConfigMaps " + BundleName + " that this replica wrote, by verb.",
		}, []string{"verb"}),
		leader: prometheus.NewGauge(prometheus.GaugeOpts{Name: "entente_webhook_leader", Help: "1 if this replica sweeps and keeps CA bundles current."}),
		sweeps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "entente_webhook_sweeps_total", Help: "Looks for unmutated pods, by result.",
		}, []string{"result"}),
		lastSwept: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "entente_webhook_last_sweep_timestamp_seconds", Help: "When this replica last looked for unmutated pods, successfully.",
		}),
		expiration: expiration,
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "entente_webhook_build_info", Help: "1, with the version of the program.", ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	notAfter := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "entente_webhook_certificate_not_after_timestamp_seconds", Help: "When the serving certificate expires; 0: there is none.",
	}, func() float64 {
		if at := m.expiration(); !at.IsZero() {
			return float64(at.Unix())
		}
		return 0
	})
	m.registry.MustRegister(m.mutation, m.unmutated, m.ready, m.selfTests, m.steps, m.bundles, m.leader, m.sweeps, m.lastSwept, info, notAfter,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// page is everything that is told.
func (m *metrics) page() prometheus.Gatherer {
	return prometheus.Gatherers{m.registry, controllermetrics.Registry}
}

func (m *metrics) observe(namespace string, d time.Duration) {
	m.mutation.WithLabelValues(namespace).Observe(d.Seconds())
}

func result(err error) string {
	if err != nil {
		return "error"
	}
	return "ok"
}
