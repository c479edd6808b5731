package webhook

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// All replicas are killed while 500 pods are created by somebody who tries
// again. While nobody answers no pod is admitted, and those that are have been
// mutated, every one.
func TestNothingIsAdmittedUnmutatedWhileReplicasAreKilled(t *testing.T) {
	t.Parallel()
	i := install(t)
	replicas := []*replica{i.replica(t).untilReady(t), i.replica(t).untilReady(t)}
	i.untilAdmitted(t)

	const pods, workers = 500, 10
	var created, refused atomic.Int64
	var dead, again atomic.Pointer[time.Time] // when all were killed; when replicas were started anew
	var first sync.Once
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for range pods / workers {
				for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
					p, err := i.pod(t.Context(), "pets", "cat", metav1.CreateOptions{})
					if err == nil {
						if since := again.Load(); since != nil {
							first.Do(func() { t.Logf("the first pod %s after the restart", time.Since(*since).Round(time.Millisecond)) })
						}
						created.Add(1)
						if err := mutated(p); err != nil {
							t.Error(err)
						}
						break
					}
					if dead.Load() == nil || time.Now().After(end) {
						t.Error(err)
						return
					}
					if !strings.Contains(err.Error(), "failed calling webhook") {
						t.Errorf("refused for another reason: %v", err)
					}
					refused.Add(1)
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	eventually(t, func() error {
		if created.Load() < pods/5 {
			return errorf("%d pods", created.Load())
		}
		return nil
	})
	now := time.Now()
	dead.Store(&now)
	for _, r := range replicas {
		r.kill()
	}
	eventually(t, func() error {
		if refused.Load() < workers {
			return errorf("%d creations refused", refused.Load())
		}
		return nil
	})
	before := created.Load()
	now = time.Now()
	again.Store(&now)
	for range 2 {
		i.replica(t)
	}
	running.Wait()
	t.Logf("%d pods created, %d of them before the restart, %d creations refused meanwhile", created.Load(), before, refused.Load())

	// What is there, and not only what creators were told.
	list, err := i.admin.CoreV1().Pods(corev1.NamespaceAll).List(t.Context(), metav1.ListOptions{LabelSelector: label + "=true"})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != pods {
		t.Errorf("%d pods are there, want %d", len(list.Items), pods)
	}
	for n := range list.Items {
		if err := mutated(&list.Items[n]); err != nil {
			t.Error(err)
		}
	}
}

// Replicas are replaced one after the other, as a rollout does, under creation
// load: each goes on answering while its end gets about, and nobody notices.
func TestRolloutRefusesNobody(t *testing.T) {
	t.Parallel()
	i := install(t)
	old := []*replica{i.replica(t, "--drain", "2s").untilReady(t), i.replica(t, "--drain", "2s").untilReady(t)}
	i.untilAdmitted(t)
	l := i.load(t, 4)
	for range 3 {
		for n := range old {
			next := i.replica(t, "--drain", "2s").untilReady(t)
			if code := old[n].stop(t); code != 0 {
				t.Errorf("the replica ended with %d", code)
			}
			if old[n].ready.Load() {
				t.Error("it was ready to its end")
			}
			old[n] = next
		}
	}
	l.stop()
	// Who ended has given up the Lease, so one of the last leads before it would
	// have run out.
	eventually(t, func() error {
		var leaders string
		for _, r := range old {
			leaders += r.metric(t, "entente_webhook_leader")
		}
		if leaders != "01" && leaders != "10" {
			return errorf("entente_webhook_leader of the two is %q", leaders)
		}
		return nil
	})
	if l.created.Load() < 50 {
		t.Errorf("only %d pods were created", l.created.Load())
	}
}
