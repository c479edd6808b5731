package webhook

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

// A pod of a namespace whose bundle is of an earlier installation gets the right
// one, from the replica that admits it; one that is somebody else's stays.
func TestEnsureMendsWhatAnEarlierInstallationLeft(t *testing.T) {
	stale := func(namespace string, labels map[string]string, annotations map[string]string) *corev1.ConfigMap {
		return &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: BundleName, Labels: labels, Annotations: annotations},
			Data:       map[string]string{BundleKey: "of another authority"},
		}
	}
	ours := map[string]string{BundleLabel: "true"}
	api := fake.NewClientBuilder().WithObjects(
		stale("left", ours, nil),
		stale("marked", ours, map[string]string{digestAnnotation: digest("of another authority"), "theirs": "kept"}),
		stale("foreign", nil, nil),
	).Build()
	text := "of this authority"
	b := &certificateBundle{}
	b.text.Store(&text)
	writes := map[string]int{}
	d := &distributor{bundle: b, cached: api, live: api, log: slog.New(slog.DiscardHandler), wrote: func(verb string) { writes[verb]++ }}
	read := func(namespace string) *corev1.ConfigMap {
		m := new(corev1.ConfigMap)
		if err := api.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: BundleName}, m); err != nil {
			t.Fatal(err)
		}
		return m
	}

	for _, namespace := range []string{"left", "marked", "new", "left", "marked", "new"} {
		if err := d.Ensure(t.Context(), namespace); err != nil {
			t.Fatalf("%s: %v", namespace, err)
		}
		if m := read(namespace); m.Data[BundleKey] != text || m.Annotations[digestAnnotation] != digest(text) {
			t.Errorf("%s: %q, %v", namespace, m.Data, m.Annotations)
		}
	}
	if read("marked").Annotations["theirs"] != "kept" {
		t.Error("an annotation of somebody else's is gone")
	}
	if writes["create"] != 1 || writes["update"] != 2 {
		t.Errorf("written: %v", writes)
	}

	// Another replica, which has another file still, writes its own. This one
	// does not write against it with every pod, but does for a new text.
	m := read("left")
	m.Data[BundleKey], m.Annotations[digestAnnotation] = "of another authority", digest("of another authority")
	if err := api.Update(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if err := d.Ensure(t.Context(), "left"); err != nil || writes["update"] != 2 {
		t.Errorf("written again: %v, %v", writes, err)
	}
	renewed := "of this authority, renewed"
	b.text.Store(&renewed)
	if err := d.Ensure(t.Context(), "left"); err != nil || read("left").Data[BundleKey] != renewed {
		t.Errorf("%q, %v", read("left").Data, err)
	}

	d.cached = none{} // where the cache holds only what has our label
	if err := d.Ensure(t.Context(), "foreign"); !errors.Is(err, errForeignBundle) || read("foreign").Data[BundleKey] == renewed {
		t.Errorf("%q, %v", read("foreign").Data, err)
	}
}

// none is a cache with nothing in it.
type none struct{ client.Reader }

func (none) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return errors.New("not in the cache")
}
