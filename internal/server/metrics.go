package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are the service's own. Labels come from bounded sets only: surfaces,
// methods, statuses, AADSTS codes and kinds of error; never an issuer, subject or client.
type metrics struct {
	registry *prometheus.Registry

	inFlight  prometheus.Gauge
	requests  *prometheus.CounterVec
	duration  *prometheus.HistogramVec
	exchanges *prometheus.CounterVec
	fetches   *prometheus.CounterVec
	dropped   prometheus.Counter
}

func newMetrics(version string) *metrics {
	m := &metrics{
		registry:  prometheus.NewRegistry(),
		inFlight:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "entente_requests_in_flight", Help: "Requests being served."}),
		requests:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "entente_requests_total", Help: "Requests by surface, method and status."}, []string{"surface", "method", "status"}),
		duration:  prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "entente_request_duration_seconds", Help: "Time to answer a request.", Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}}, []string{"surface"}),
		exchanges: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "entente_exchanges_total", Help: "Token requests by how the client proved itself and the AADSTS code of the answer; 0 is a token."}, []string{"method", "code"}),
		fetches:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "entente_issuer_fetches_total", Help: "Fetches of issuers' keys by result."}, []string{"result"}),
		dropped:   prometheus.NewCounter(prometheus.CounterOpts{Name: "entente_sign_ins_dropped_total", Help: "Sign-in records that were not written because the buffer was full."}),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{Name: "entente_build_info", Help: "Always 1.", ConstLabels: prometheus.Labels{"version": version}})
	info.Set(1)
	m.registry.MustRegister(m.inFlight, m.requests, m.duration, m.exchanges, m.fetches, m.dropped, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) request(surface, method string, status int, took time.Duration) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		method = "other"
	}
	m.requests.WithLabelValues(surface, method, strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(surface).Observe(took.Seconds())
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
