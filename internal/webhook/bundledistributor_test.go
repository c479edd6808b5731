package webhook

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/flowcontrol"
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

// Two installations that have other texts do not write against each other for
// ever: a bundle is of the one that last admitted a pod in its namespace.
func TestTwoInstallationsShareACluster(t *testing.T) {
	immutable := true
	api := fake.NewClientBuilder().WithObjects(
		&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: "fixed", Name: BundleName, Labels: map[string]string{BundleLabel: "true"}}, Immutable: &immutable,
			Data: map[string]string{BundleKey: "fixed"},
		},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "left", Name: BundleName, Labels: map[string]string{BundleLabel: "true"}}},
	).Build()
	writes := 0
	installation := func(name string) *distributor {
		b := &certificateBundle{}
		text := "of " + name
		b.text.Store(&text)
		return &distributor{bundle: b, cached: api, live: api, log: slog.New(slog.DiscardHandler), owner: name, wrote: func(string) { writes++ }}
	}
	a, b := installation("a"), installation("b")
	pace := flowcontrol.NewFakeAlwaysRateLimiter()
	synced := func() {
		t.Helper()
		for _, d := range []*distributor{a, b, a, b, a, b} {
			if err := d.sync(t.Context(), d.bundle.Text(), map[string]string{}, pace); err != nil {
				t.Fatal(err)
			}
		}
	}
	has := func(namespace, want string) {
		t.Helper()
		m := new(corev1.ConfigMap)
		if err := api.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: BundleName}, m); err != nil || m.Data[BundleKey] != want {
			t.Errorf("%s: %q, %v", namespace, m.Data, err)
		}
	}
	if err := a.Ensure(t.Context(), "shared"); err != nil {
		t.Fatal(err)
	}
	synced()
	has("shared", "of a")
	has("left", "of a")
	has("fixed", "fixed")
	if writes != 2 {
		t.Errorf("%d writes, want one of each", writes)
	}
	if err := b.Ensure(t.Context(), "shared"); err != nil {
		t.Fatal(err)
	}
	synced()
	has("shared", "of b")
	if writes != 3 {
		t.Errorf("%d writes, want one more", writes)
	}
	if err := a.Ensure(t.Context(), "fixed"); !errors.Is(err, errImmutableBundle) {
		t.Errorf("an immutable one: %v", err)
	}
}

// none is a cache with nothing in it.
type none struct{ client.Reader }

func (none) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return errors.New("not in the cache")
}
