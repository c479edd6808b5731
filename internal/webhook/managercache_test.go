package webhook

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// What was kept of a namespace goes with it.
func TestNamespacesAreForgotten(t *testing.T) {
	s := &Service{metrics: newMetrics("", func() time.Time { return time.Time{} }), distributor: &distributor{}}
	series := func() int {
		all, err := s.metrics.registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			if m.GetName() == "azwi_mutation_request" {
				return len(m.GetMetric())
			}
		}
		return 0
	}
	s.metrics.observe("ci-1", time.Millisecond)
	s.metrics.observe("ci-2", time.Millisecond)
	s.distributor.mended.Store("ci-1", "x")
	s.forget("ci-1")
	if _, ok := s.distributor.mended.Load("ci-1"); ok || series() != 1 {
		t.Errorf("%d series are left", series())
	}
}

func TestStrip(t *testing.T) {
	account := metadataOf(AccountKind)
	account.ObjectMeta = metav1.ObjectMeta{
		Namespace: "pets", Name: "cat", UID: "u", ResourceVersion: "7", Generation: 3, Labels: map[string]string{"a": "b"}, Finalizers: []string{"f"},
		Annotations: map[string]string{
			"azure.workload.identity/client-id": "c", "entente.id/mode": "adfs", "kubectl.kubernetes.io/last-applied-configuration": "{…}", "azure.workload.identity": "near",
		},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}, OwnerReferences: []metav1.OwnerReference{{Name: "o"}},
	}
	want := metadataOf(AccountKind)
	want.ObjectMeta = metav1.ObjectMeta{
		Namespace: "pets", Name: "cat", UID: "u", ResourceVersion: "7",
		Annotations: map[string]string{"azure.workload.identity/client-id": "c", "entente.id/mode": "adfs"},
	}
	got, err := strip(account)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	// An account may be as large as its author likes; what is kept of it may not.
	account.Annotations = map[string]string{"azure.workload.identity/client-id": strings.Repeat("c", 100<<10)}
	for n := range 1000 {
		account.Annotations[fmt.Sprintf("azure.workload.identity/%d", n)] = "0123456789"
	}
	got, err = strip(account)
	if err != nil {
		t.Fatal(err)
	}
	size, kept := 0, got.(*metav1.PartialObjectMetadata).Annotations
	for name, value := range kept {
		size += len(name) + len(value)
	}
	if len(kept) != 1+maxWarnings || size > 4<<10 || len(kept["azure.workload.identity/client-id"]) != keptValue {
		t.Errorf("%d annotations of %d bytes are kept", len(kept), size)
	}

	gone := cache.DeletedFinalStateUnknown{Key: "pets/cat", Obj: account}
	if got, err := strip(gone); err != nil || !cmp.Equal(got, gone) {
		t.Errorf("a tombstone became %v, %v", got, err)
	}
}
