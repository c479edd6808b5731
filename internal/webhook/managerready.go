package webhook

import (
	"bytes"
	"context"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// How often a replica asks itself for an admission, and how long that counts.
const (
	selfEvery = 10 * time.Second
	selfSoon  = 200 * time.Millisecond // while it is not ready
	selfGood  = 3 * selfEvery
)

// A selfAdmission is what a replica knows of its own answers.
type selfAdmission struct {
	secret string // in selfHeader: this process asks
	last   atomic.Pointer[selfResult]
}

type selfResult struct {
	good     time.Time // when it last went well
	err      error     // of the last one
	failures int       // since then
}

// selfFailures in a row make a replica that was ready unready: one can be the
// pause of a busy node.
const selfFailures = 3

func (s *selfAdmission) done(err error) {
	next := &selfResult{good: time.Now()}
	if last := s.last.Load(); err != nil {
		next = &selfResult{err: err, failures: 1}
		if last != nil {
			next.good, next.failures = last.good, last.failures+1
		}
	}
	s.last.Store(next)
}

func (s *selfAdmission) ready() error {
	last := s.last.Load()
	switch {
	case last == nil:
		return errors.New("it has not asked itself yet")
	case last.err != nil && (last.good.IsZero() || last.failures >= selfFailures):
		return fmt.Errorf("its own admission: %w", last.err)
	case time.Since(last.good) > selfGood:
		return fmt.Errorf("its own admission is %s old", time.Since(last.good).Round(time.Second))
	}
	return nil
}

const selfHeader = "Entente-Self-Admission"

func (s *selfAdmission) is(r *http.Request) bool {
	given := r.Header.Get(selfHeader)
	return given != "" && subtle.ConstantTimeCompare([]byte(given), []byte(s.secret)) == 1
}

// ready says why API servers should not ask this replica.
func (s *Service) ready(ctx context.Context) error {
	if s.draining.Load() != nil {
		return errors.New("it is told to end")
	}
	if !s.synced.Load() {
		return errors.New("the caches are not filled yet")
	}
	if _, err := s.certs.ready(ctx); err != nil {
		return err
	}
	return s.self.ready()
}

func (s *Service) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	if err := s.ready(ctx); err != nil {
		http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// watchReadiness asks for admissions, and says when readiness comes and goes.
func (s *Service) watchReadiness(ctx context.Context) error {
	s.synced.Store(true) // who is started here is started after the caches
	for said := "?"; ; {
		var err error
		if trusted, unready := s.certs.ready(ctx); unready == nil {
			err = s.admitSelf(ctx, trusted)
			s.metrics.selfTests.WithLabelValues(result(err)).Inc()
			s.self.done(err)
		}
		failed := err != nil
		err = s.ready(ctx)
		wait, says := selfEvery, ""
		if err != nil {
			says = err.Error()
		}
		if failed || err != nil {
			wait = selfSoon
		}
		if ctx.Err() == nil && says != said {
			if said = says; err == nil {
				s.Log.Info("ready")
			} else {
				s.Log.Warn("not ready", "reason", err)
			}
		}
		s.metrics.ready.Set(map[bool]float64{true: 1}[err == nil])
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// admitSelf does what an API server does: it calls the service by its name,
// trusts what the webhook configuration says, and has a pod admitted.
func (s *Service) admitSelf(ctx context.Context, trusted []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(trusted) {
		roots = publicRoots() // as API servers do without a caBundle
	}
	config := &tls.Config{ServerName: serviceNames(s.Service, s.Namespace)[0], MinVersion: tls.VersionTLS12, RootCAs: roots}
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true, ForceAttemptHTTP2: true}
	review, err := s.selfReview()
	if err != nil {
		return err
	}
	body, err := json.Marshal(review)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+loopback(s.admission.Addr())+Path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(selfHeader, s.self.secret)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer := new(admissionv1.AdmissionReview)
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(answer); err != nil {
		return fmt.Errorf("answered with %s: %w", resp.Status, err)
	}
	r := answer.Response
	if r == nil || r.UID != review.Request.UID {
		return errors.New("the answer is to nothing that was asked")
	}
	// A refusal is an answer: of the default service account, for instance.
	if !r.Allowed && (r.Result == nil || r.Result.Code >= http.StatusInternalServerError) {
		return fmt.Errorf("refused: %v", r.Result)
	}
	return nil
}

// selfReview asks for the admission of a pod that never will be. Its service
// account is not there, so the way to the API server is tried too.
func (s *Service) selfReview() (*admissionv1.AdmissionReview, error) {
	const name = "entente-webhook-self-admission"
	pod, err := json.Marshal(&corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: name, Labels: map[string]string{Label: "true"}},
		Spec:       corev1.PodSpec{ServiceAccountName: name, Containers: []corev1.Container{{Name: "c", Image: "c"}}},
	})
	if err != nil {
		return nil, err
	}
	dryRun := true
	return &admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: types.UID(randomText()), Operation: admissionv1.Create, DryRun: &dryRun, Namespace: s.Namespace, Name: name,
			Kind:     metav1.GroupVersionKind{Version: "v1", Kind: "Pod"},
			Resource: metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
			Object:   runtime.RawExtension{Raw: pod},
		},
	}, nil
}

// loopback is how a listener is reached from its own host.
func loopback(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
