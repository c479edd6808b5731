package webhook

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

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
	gone := cache.DeletedFinalStateUnknown{Key: "pets/cat", Obj: account}
	if got, err := strip(gone); err != nil || !cmp.Equal(got, gone) {
		t.Errorf("a tombstone became %v, %v", got, err)
	}
}
