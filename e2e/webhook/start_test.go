package webhook

import (
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Two replicas that start at the same moment in a cluster that has nothing yet
// agree on one certificate, whoever is first, with no leader.
func TestTwoReplicasStartAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		empty bool // manifests brought a Secret without data
	}{{"without a Secret", false}, {"with an empty Secret", true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			i := install(t)
			if c.empty {
				_, err := i.admin.CoreV1().Secrets(namespace).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: secret}}, metav1.CreateOptions{})
				if err != nil {
					t.Fatal(err)
				}
			}
			replicas := make([]*replica, 2)
			var starting sync.WaitGroup
			for n := range replicas {
				starting.Go(func() { replicas[n] = i.replica(t) })
			}
			starting.Wait()
			for _, r := range replicas {
				r.untilReady(t)
			}
			if a, b := replicas[0].serial(t), replicas[1].serial(t); a != b {
				t.Errorf("they serve certificates %s and %s", a, b)
			}
			s := i.readSecret(t)
			if got := i.caBundle(t); got != string(s.Data["ca.crt"]) || got == "" {
				t.Errorf("the caBundle is\n%s, the Secret has\n%s", got, s.Data["ca.crt"])
			}
			if strings.Contains(string(s.Data["ca.crt"]), "PRIVATE") || s.Data["ca.key"] != nil {
				t.Error("the authority's key was kept")
			}
			i.untilAdmitted(t)
			i.created(t, "pets", "cat")
			if got := replicas[0].metric(t, "entente_webhook_ready"); got != "1" {
				t.Errorf("entente_webhook_ready is %q", got)
			}
			for _, r := range replicas {
				if r.get(t, r.metrics, "/debug/pprof/") != r.get(t, r.metrics, "/nothing") {
					t.Error("profiles are there for everybody")
				}
			}
		})
	}
}

// A replica is not ready before there is a webhook configuration to be called by.
func TestReadinessNeedsTheConfiguration(t *testing.T) {
	t.Parallel()
	i := install(t)
	configurations := i.admin.AdmissionregistrationV1().MutatingWebhookConfigurations()
	if err := configurations.Delete(t.Context(), configuration, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	r := i.replica(t)
	eventually(t, func() error {
		if text := r.get(t, r.health, "/readyz"); !strings.Contains(text, configuration) {
			return errorf("readiness says %q, and not what is missing", text)
		}
		return nil
	})
	if text := r.get(t, r.health, "/healthz"); text != "ok\n" {
		t.Errorf("liveness says %q", text)
	}
	i.configure(t)
	r.untilReady(t)
	i.untilAdmitted(t)
}

// An API server that cannot stream what is there is asked for lists.
func TestAPIServerWithoutStreams(t *testing.T) {
	t.Parallel()
	i := install(t, "--feature-gates=WatchList=false")
	i.replica(t).untilReady(t)
	i.untilAdmitted(t)
	i.created(t, "pets", "cat")
}
