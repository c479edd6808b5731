package webhook

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func errorf(format string, args ...any) error { return fmt.Errorf(format, args...) }

// load creates pods, and deletes them, until it is stopped.
type load struct {
	created, failed atomic.Int64
	stop            func()
}

// load has workers create pods one after the other. None may fail, and none may
// come out as it went in.
func (i *installation) load(t *testing.T, workers int) *load {
	t.Helper()
	l := &load{}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for ctx.Err() == nil {
				p, err := i.pod(context.WithoutCancel(ctx), "pets", "cat", metav1.CreateOptions{})
				if err == nil {
					l.created.Add(1)
					if err = mutated(p); err == nil {
						err = i.remove(context.WithoutCancel(ctx), p)
					}
				}
				if err != nil {
					l.failed.Add(1)
					t.Errorf("%s: %v", time.Now().Format(time.TimeOnly), err)
					time.Sleep(100 * time.Millisecond)
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	l.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		t.Logf("%d pods created; %d connections came while no replica was ready", l.created.Load(), i.balancer.nobody.Load())
	})
	t.Cleanup(l.stop)
	return l
}

// rotations is how many there are in a test; the one number to turn for a longer run.
func rotations() int {
	if n, err := strconv.Atoi(os.Getenv("ENTENTE_ROTATIONS")); err == nil {
		return n
	}
	return 100
}

// The serving certificate and its authority are rotated a hundred times under
// creation load, on two replicas, and every pod is admitted.
func TestRotationsUnderLoad(t *testing.T) {
	t.Parallel()
	// Half of them each on two clusters: mostly they wait, for the overlap.
	all := rotations()
	for n, times := range []int{all / 2, all - all/2} {
		t.Run(fmt.Sprint("cluster ", n+1), func(t *testing.T) {
			t.Parallel()
			rotate(t, times)
		})
	}
}

func rotate(t *testing.T, times int) {
	i := install(t)
	var replicas []*replica
	for range 2 {
		replicas = append(replicas, i.replica(t, "--cert-overlap", "500ms"))
	}
	for _, r := range replicas {
		r.untilReady(t)
	}
	i.untilAdmitted(t)
	l := i.load(t, 2)
	for n := range times {
		before := string(i.readSecret(t).Data["tls.crt"])
		i.rotate(t)
		eventually(t, func() error {
			s := i.readSecret(t)
			if string(s.Data["tls.crt"]) == before || s.Data["previous-ca.crt"] != nil || s.Data["next.crt"] != nil {
				return errorf("rotation %d is not over", n)
			}
			return nil
		})
		if l.failed.Load() > 0 {
			t.Fatalf("in rotation %d a pod was refused", n)
		}
	}
	l.stop()
	if n := l.created.Load(); n < int64(times) {
		t.Errorf("%d pods were created, fewer than there were rotations", n)
	}
	s := i.readSecret(t)
	eventually(t, func() error {
		if got := i.caBundle(t); got != string(s.Data["ca.crt"]) {
			return errorf("the caBundle is\n%s\nand not the one authority", got)
		}
		return nil
	})
	if a, b := replicas[0].serial(t), replicas[1].serial(t); a != b {
		t.Errorf("they serve certificates %s and %s", a, b)
	}
}

// rotate asks for a rotation as an operator does.
func (i *installation) rotate(t testing.TB) {
	t.Helper()
	patch := []byte(`{"metadata":{"annotations":{"entente.id/rotate":"now"}}}`)
	if _, err := i.admin.CoreV1().Secrets(namespace).Patch(t.Context(), secret, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// helm upgrade writes manifests that have no caBundle. It is back at once.
func TestWipedConfigurationIsRepaired(t *testing.T) {
	t.Parallel()
	i := install(t)
	for range 2 {
		i.replica(t).untilReady(t)
	}
	i.untilAdmitted(t)
	right := i.caBundle(t)
	for n, wrong := range []string{"null", `"` + "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCi0tLS0tRU5EIENFUlRJRklDQVRFLS0tLS0K" + `"`, "null"} {
		patch := []byte(`[{"op":"add","path":"/webhooks/0/clientConfig/caBundle","value":` + wrong + `}]`)
		if wrong == "null" {
			patch = []byte(`[{"op":"remove","path":"/webhooks/0/clientConfig/caBundle"}]`)
		}
		configurations := i.admin.AdmissionregistrationV1().MutatingWebhookConfigurations()
		if _, err := configurations.Patch(t.Context(), configuration, types.JSONPatchType, patch, metav1.PatchOptions{}); err != nil {
			if n == 1 {
				continue // an API server that refuses what is no certificate
			}
			t.Fatal(err)
		}
		eventually(t, func() error {
			if got := i.caBundle(t); got != right {
				return errorf("the caBundle is %q", got)
			}
			return nil
		})
		i.untilAdmitted(t)
	}
	c, err := i.admin.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(t.Context(), configuration, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Webhooks[0]; *w.TimeoutSeconds != 5 || w.ClientConfig.Service == nil || *w.ClientConfig.Service.Port != i.balancer.port() {
		t.Errorf("more than the caBundle was written: %+v", w)
	}
}
