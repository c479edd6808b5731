package webhook

import (
	"fmt"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Manifests have service accounts and their pods side by side: a pod that is
// created in the moment after its account finds it, in a new namespace, too.
func TestAccountsAsYoungAsTheirPods(t *testing.T) {
	t.Parallel()
	i := install(t)
	i.replica(t).untilReady(t)
	i.replica(t).untilReady(t)
	i.untilAdmitted(t)
	var running sync.WaitGroup
	for w := range 8 {
		running.Go(func() {
			for n := range 15 {
				namespace, name := "pets", fmt.Sprintf("account-%d-%d", w, n)
				if n%3 == 0 {
					namespace = fmt.Sprintf("young-%d-%d", w, n)
					i.namespace(t, namespace)
				}
				i.account(t, namespace, name, map[string]string{"azure.workload.identity/client-id": clientID})
				p, err := i.pod(t.Context(), namespace, name, metav1.CreateOptions{})
				if err == nil {
					err = mutated(p)
				}
				if err != nil {
					t.Errorf("%s/%s: %v", namespace, name, err)
				}
			}
		})
	}
	running.Wait()
}
