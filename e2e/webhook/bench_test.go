package webhook

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// accounts is how many service accounts a large cluster has.
const accounts = 5000

// BenchmarkWebhook measures one replica in a cluster that has nothing else to
// do: its memory, and how long admission takes, asked directly and through the
// API server, where a pod without the label is what to compare with. Each
// operation is of one client that waits for the answer.
func BenchmarkWebhook(b *testing.B) {
	i := install(b)
	b.Run("Memory/accounts=1", func(b *testing.B) { i.measureMemory(b) })
	i.crowd(b)
	b.Run(fmt.Sprintf("Memory/accounts=%d", accounts), func(b *testing.B) { i.measureMemory(b) })
	r := i.replica(b).untilReady(b)
	i.untilAdmitted(b)
	b.Run("Asked", func(b *testing.B) {
		ask := asker(b, r)
		timed(b, func(n int) error { return ask(crowded(n)) })
	})
	through := func(labels map[string]string) func(n int) error {
		return func(n int) error {
			namespace, account := crowded(n)
			_, err := i.admin.CoreV1().Pods(namespace).Create(b.Context(), podOf(namespace, account, labels), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			return err
		}
	}
	b.Run("CreatePod/label=false", func(b *testing.B) { timed(b, through(nil)) })
	b.Run("CreatePod/label=true", func(b *testing.B) { timed(b, through(map[string]string{label: "true"})) })
	b.Run("Memory/afterwards", func(b *testing.B) {
		for b.Loop() {
		}
		b.ReportMetric(float64(r.resident(b))/(1<<20), "MiB")
		b.ReportMetric(0, "ns/op")
	})
}

// timed does something again and again, and reports the middle and the worst hundredth.
func timed(b *testing.B, do func(n int) error) {
	var took []time.Duration
	for n := range 200 { // connections, caches and the processor's clock
		if err := do(n); err != nil {
			b.Fatal(err)
		}
	}
	for n := 0; b.Loop(); n++ {
		start := time.Now()
		if err := do(n); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	at := func(share float64) float64 { return took[int(float64(len(took)-1)*share)].Seconds() * 1000 }
	b.ReportMetric(at(.5), "p50-ms")
	b.ReportMetric(at(.99), "p99-ms")
}

// measureMemory starts a replica, and waits until it has put itself in order.
func (i *installation) measureMemory(b *testing.B) {
	for b.Loop() {
		r := i.replica(b).untilReady(b)
		most := int64(0)
		for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
			most = max(most, r.resident(b))
		}
		b.ReportMetric(float64(r.resident(b))/(1<<20), "MiB")
		b.ReportMetric(float64(most)/(1<<20), "MiB-most")
		r.kill()
	}
	b.ReportMetric(0, "ns/op")
}

// crowded names one of the accounts.
func crowded(n int) (namespace, account string) {
	n %= accounts
	return fmt.Sprintf("team-%d", n%50), fmt.Sprintf("account-%d", n)
}

// crowd makes service accounts as a large cluster has them.
func (i *installation) crowd(b *testing.B) {
	b.Helper()
	for n := range 50 {
		i.namespace(b, fmt.Sprintf("team-%d", n))
	}
	var running sync.WaitGroup
	next := make(chan int)
	for range 16 {
		running.Go(func() {
			for n := range next {
				namespace, name := crowded(n)
				_, err := i.admin.CoreV1().ServiceAccounts(namespace).Create(b.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{
					Name: name,
					Annotations: map[string]string{
						"azure.workload.identity/client-id": clientID, "azure.workload.identity/tenant-id": tenant,
						"meta.helm.sh/release-name": name, "meta.helm.sh/release-namespace": namespace,
					},
					Labels: map[string]string{"app.kubernetes.io/name": name, "app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "app-1.2.3"},
				}}, metav1.CreateOptions{})
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	for n := range accounts {
		next <- n
	}
	close(next)
	running.Wait()
}

func podOf(namespace, account string, labels map[string]string) *corev1.Pod {
	return &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{GenerateName: "app-", Namespace: namespace, Labels: labels},
		Spec: corev1.PodSpec{ServiceAccountName: account, Containers: []corev1.Container{
			{Name: "app", Image: "localhost/app:1", Env: []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "B", Value: "2"}}},
			{Name: "sidecar", Image: "localhost/sidecar:1"},
		}},
	}
}

// asker asks a replica as an API server does, over one connection.
func asker(b *testing.B, r *replica) func(namespace, account string) error {
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	b.Cleanup(client.CloseIdleConnections)
	return func(namespace, account string) error {
		pod, err := json.Marshal(podOf(namespace, account, map[string]string{label: "true"}))
		if err != nil {
			return err
		}
		body, err := json.Marshal(admissionv1.AdmissionReview{
			TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
			Request: &admissionv1.AdmissionRequest{
				UID: types.UID("u"), Operation: admissionv1.Create, Namespace: namespace, Object: runtime.RawExtension{Raw: pod},
				Kind: metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}, Resource: metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
			},
		})
		if err != nil {
			return err
		}
		resp, err := client.Post("https://"+r.admission+"/mutate-v1-pod", "application/json", bytes.NewReader(body))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || !bytes.Contains(text, []byte(`"patch"`)) {
			return fmt.Errorf("%s: %s (%v)", resp.Status, text, err)
		}
		return nil
	}
}
