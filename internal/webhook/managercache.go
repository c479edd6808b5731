package webhook

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/features"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

type kind = schema.GroupVersionKind

var (
	secretKind        = corev1.SchemeGroupVersion.WithKind("Secret")
	configurationKind = admissionregistrationv1.SchemeGroupVersion.WithKind("MutatingWebhookConfiguration")
)

func metadataOf(k kind) *metav1.PartialObjectMetadata {
	m := new(metav1.PartialObjectMetadata)
	m.SetGroupVersionKind(k)
	return m
}

// cacheOptions restrict caches to what is looked at: metadata only, and of
// single objects only those. What is changed or decided by is read live.
func (s *Service) cacheOptions() cache.Options {
	named := func(name string) fields.Selector { return fields.OneTermEqualSelector("metadata.name", name) }
	shared := true // nobody changes what a cache gives out
	return cache.Options{
		ReaderFailOnMissingInformer:  true,
		DefaultTransform:             strip,
		DefaultUnsafeDisableDeepCopy: &shared,
		ByObject: map[client.Object]cache.ByObject{
			metadataOf(configurationKind): {Field: named(s.Configuration)},
			metadataOf(secretKind):        {Namespaces: map[string]cache.Config{s.Namespace: {FieldSelector: named(s.Secret)}}},
			metadataOf(ConfigMapKind):     {Field: named(BundleName), Label: labels.SelectorFromSet(labels.Set{BundleLabel: "true"})},
		},
	}
}

// keptValue bounds an annotation in a cache. Nothing that means something is as long.
const keptValue = 1 << 10

// strip leaves of an object's metadata what is ever asked for: of 5,000 service
// accounts everything else would be most of the memory. Whoever may make service
// accounts decides what their annotations are, up to 256 KiB of each: of one that
// means nothing only the name is kept, of a value too long to mean something the
// beginning, which means nothing either.
func strip(object any) (any, error) {
	m, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil // the tombstone of a deleted object
	}
	kept := &metav1.PartialObjectMetadata{TypeMeta: m.TypeMeta, ObjectMeta: metav1.ObjectMeta{
		Namespace: m.Namespace, Name: m.Name, UID: m.UID, ResourceVersion: m.ResourceVersion,
	}}
	unknown := 0
	for _, name := range slices.Sorted(maps.Keys(m.Annotations)) {
		if !strings.HasPrefix(name, prefix) && !strings.HasPrefix(name, ownPrefix) {
			continue
		}
		value := m.Annotations[name]
		switch _, known := places[name]; {
		case known || name == digestAnnotation || name == ownerAnnotation:
			if len(value) > keptValue {
				value = strings.Clone(value[:keptValue])
			}
		case unknown == maxWarnings || !resembles(name):
			continue
		default: // is warned of
			unknown++
			value = ""
		}
		if kept.Annotations == nil {
			kept.Annotations = map[string]string{}
		}
		kept.Annotations[name] = value
	}
	return kept, nil
}

// onChange has a kind watched, and f called when one of it changes; nil: by nobody.
func (s *Service) onChange(k kind, f func()) error {
	informer, err := s.manager.GetCache().GetInformer(context.Background(), metadataOf(k), cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watch %s: %w", k.Kind, err)
	}
	if f == nil {
		return nil
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { f() }, UpdateFunc: func(any, any) { f() }, DeleteFunc: func(any) { f() },
	})
	return err
}

// onGone has a kind watched, and f called with the name of one that is deleted.
func (s *Service) onGone(k kind, f func(name string)) error {
	informer, err := s.manager.GetCache().GetInformer(context.Background(), metadataOf(k), cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watch %s: %w", k.Kind, err)
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{DeleteFunc: func(object any) {
		if name, err := toolscache.DeletionHandlingMetaNamespaceKeyFunc(object); err == nil {
			f(name)
		}
	}})
	return err
}

// streaming has informers read what is there as a stream of objects, each of
// which is stripped at once. As one list, 5,000 service accounts take half as
// much memory again, which the process then keeps. API servers that cannot
// stream (before Kubernetes 1.32, or told not to) are asked for a list.
type streaming struct{ features.Gates }

func (s streaming) Enabled(f features.Feature) bool {
	return f == features.WatchListClient || s.Gates.Enabled(f)
}

func randomText() string { return rand.Text() }
