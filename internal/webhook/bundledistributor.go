package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/flowcontrol"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// BundleLabel, with the value "true", marks the ConfigMaps that this webhook made.
// One without it is somebody else's and is never touched.
const BundleLabel = "entente.id/ca-bundle"

// digestAnnotation says which text a ConfigMap of ours was given, so that a
// replica that has metadata only can tell that it is another's.
const digestAnnotation = "entente.id/sha256"

// ownerAnnotation says which installation keeps a ConfigMap of ours current. Two of
// them that have other CAs, or the roots of other versions, would write against
// each other for ever; so it is the one that last admitted a pod there.
const ownerAnnotation = "entente.id/installation"

// What a leader may write at once, and then in a second: API servers keep every
// version of a ConfigMap for five minutes, and a bundle has 200 KiB.
const (
	bundleBurst = 50
	bundleRate  = 5
)

// errImmutableBundle says that somebody has made a ConfigMap of ours unchangeable.
var errImmutableBundle = errors.New("it is immutable: delete it, and it is made anew")

// errForeignBundle says that a namespace has a ConfigMap of our name which is not ours.
var errForeignBundle = errors.New("there is one already, which has no label " + BundleLabel)

// ConfigMapKind is what a distributor's cache holds, as metadata: the text of a
// bundle in each of a thousand namespaces would be 200 MiB.
var ConfigMapKind = corev1.SchemeGroupVersion.WithKind("ConfigMap")

// A distributor makes the bundle's ConfigMaps in namespaces, which every replica
// does, and keeps them current, which only the leader does.
type distributor struct {
	bundle *certificateBundle
	cached client.Reader // metadata of our ConfigMaps
	live   client.Client
	log    *slog.Logger
	owner  string            // this installation
	wrote  func(verb string) // told of what was written

	wake chan struct{} // capacity 1

	mended sync.Map // namespace → digest of the text that Ensure put there
}

func (d *distributor) poke() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// Ensure makes the ConfigMap of a namespace that has none, and mends one that an
// earlier installation left, for which the pod cannot wait until the leader does.
func (d *distributor) Ensure(ctx context.Context, namespace string) error {
	name := types.NamespacedName{Namespace: namespace, Name: BundleName}
	if there, err := metadata(ctx, d.cached, ConfigMapKind, name); err == nil && there != nil {
		return d.mend(ctx, there)
	}
	err := d.create(ctx, namespace)
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	there, err := metadata(ctx, d.live, ConfigMapKind, name)
	if err != nil || there == nil {
		return err
	}
	if there.Labels[BundleLabel] != "true" {
		return errForeignBundle
	}
	return d.mend(ctx, there)
}

// mend gives a ConfigMap of ours the right text if it was given another: once for
// each text, so that two replicas that read different files for a while do not
// write against each other with every pod.
func (d *distributor) mend(ctx context.Context, m *metav1.PartialObjectMetadata) error {
	right := digest(d.bundle.Text())
	if m.Annotations[digestAnnotation] == right && m.Annotations[ownerAnnotation] == d.owner {
		return nil
	}
	if before, ok := d.mended.Swap(m.Namespace, right); ok && before == right {
		return nil
	}
	_, err := d.repair(ctx, m.Namespace, d.bundle.Text(), true)
	if err != nil {
		d.mended.Delete(m.Namespace)
	}
	if apierrors.IsConflict(err) {
		return nil // another replica was quicker
	}
	return err
}

func (d *distributor) create(ctx context.Context, namespace string) error {
	text := d.bundle.Text()
	err := d.live.Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: BundleName,
			Labels:      map[string]string{BundleLabel: "true", "app.kubernetes.io/managed-by": "entente-webhook"},
			Annotations: map[string]string{digestAnnotation: digest(text), ownerAnnotation: d.owner},
		},
		Data: map[string]string{BundleKey: text},
	})
	if err == nil {
		d.done("create", namespace)
	}
	return err
}

// Lead keeps the ConfigMaps current until ctx ends.
func (d *distributor) Lead(ctx context.Context) {
	good := map[string]string{} // namespace → resource version that had this text
	pace := flowcontrol.NewTokenBucketRateLimiter(bundleRate, bundleBurst)
	text := ""
	for {
		if now := d.bundle.Text(); now != text {
			clear(good)
			text = now
		}
		again := 10 * time.Minute
		if err := d.sync(ctx, text, good, pace); err != nil && ctx.Err() == nil {
			d.log.Warn("keep the CA bundles current", "error", err)
			again = 5 * time.Second
		}
		select {
		case <-ctx.Done():
			return
		case <-d.wake:
		case <-time.After(again):
		}
	}
}

// sync looks at what the cache has, and reads only what has changed since it was good.
func (d *distributor) sync(ctx context.Context, text string, good map[string]string, pace flowcontrol.RateLimiter) error {
	var failed []error
	list := new(metav1.PartialObjectMetadataList)
	list.SetGroupVersionKind(ConfigMapKind.GroupVersion().WithKind("ConfigMapList"))
	if err := d.cached.List(ctx, list); err != nil {
		return err
	}
	there, right := map[string]bool{}, digest(text)
	for _, m := range list.Items {
		there[m.Namespace] = true
		if good[m.Namespace] == m.ResourceVersion {
			continue
		}
		if owner := m.Annotations[ownerAnnotation]; owner != "" && owner != d.owner {
			good[m.Namespace] = m.ResourceVersion
			continue
		}
		if m.Annotations[digestAnnotation] != right {
			if err := pace.Wait(ctx); err != nil {
				return err
			}
		}
		version, err := d.repair(ctx, m.Namespace, text, false)
		if errors.Is(err, errImmutableBundle) {
			d.log.Warn("CA bundle", "namespace", m.Namespace, "error", err)
			version, err = m.ResourceVersion, nil // until it is another
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("namespace %q: %w", m.Namespace, err))
			continue
		}
		good[m.Namespace] = version
	}
	for namespace := range good {
		if there[namespace] {
			continue
		}
		if err := d.replace(ctx, namespace); err != nil {
			failed = append(failed, fmt.Errorf("namespace %q: %w", namespace, err))
			continue
		}
		delete(good, namespace)
	}
	return errors.Join(failed...)
}

// repair reads a ConfigMap, puts the right text into it if it is ours, and
// returns its resource version. One of another installation is only taken over
// when it is to be adopted.
func (d *distributor) repair(ctx context.Context, namespace, text string, adopt bool) (string, error) {
	m := new(corev1.ConfigMap)
	if err := d.live.Get(ctx, types.NamespacedName{Namespace: namespace, Name: BundleName}, m); err != nil {
		return "", client.IgnoreNotFound(err)
	}
	owner := m.Annotations[ownerAnnotation]
	right := owner == d.owner && len(m.Data) == 1 && m.Data[BundleKey] == text && len(m.BinaryData) == 0 && m.Annotations[digestAnnotation] == digest(text)
	if m.Labels[BundleLabel] != "true" || right || m.DeletionTimestamp != nil || owner != d.owner && owner != "" && !adopt {
		return m.ResourceVersion, nil
	}
	if m.Immutable != nil && *m.Immutable {
		return "", errImmutableBundle
	}
	m.Data, m.BinaryData = map[string]string{BundleKey: text}, nil
	metav1.SetMetaDataAnnotation(&m.ObjectMeta, digestAnnotation, digest(text))
	metav1.SetMetaDataAnnotation(&m.ObjectMeta, ownerAnnotation, d.owner)
	if err := d.live.Update(ctx, m); err != nil {
		return "", err
	}
	d.done("update", namespace)
	return m.ResourceVersion, nil
}

// replace makes a ConfigMap anew that was deleted, if pods of its namespace need it.
func (d *distributor) replace(ctx context.Context, namespace string) error {
	pods := new(metav1.PartialObjectMetadataList)
	pods.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PodList"))
	if err := d.live.List(ctx, pods, client.InNamespace(namespace), client.MatchingLabels{Label: "true"}, client.Limit(1)); err != nil || len(pods.Items) == 0 {
		return err
	}
	err := d.create(ctx, namespace)
	if apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return nil // it is somebody else's, or the namespace goes away
	}
	return err
}

func (d *distributor) done(verb, namespace string) {
	d.log.Info("CA bundle", "verb", verb, "namespace", namespace, "sha256", digest(d.bundle.Text()))
	if d.wrote != nil {
		d.wrote(verb)
	}
}
