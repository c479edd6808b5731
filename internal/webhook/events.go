package webhook

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What one service account or pod can have of Events: a few at once, then one in
// five minutes. Equal ones are counted in one object.
const (
	eventBurst = 6
	eventRate  = 1.0 / 300
)

// events writes Events, in the background: whoever has one to write does not wait,
// and of too many the rest is dropped.
type events struct {
	cached      client.Reader // for the UIDs of service accounts
	broadcaster record.EventBroadcaster
	recorder    record.EventRecorder
}

func newEvents(config *rest.Config, scheme *runtime.Scheme, cached client.Reader, host string) (*events, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = 10, 20 // of all Events together
	core, err := typedcorev1.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	e := &events{cached: cached, broadcaster: record.NewBroadcaster(record.WithCorrelatorOptions(record.CorrelatorOptions{BurstSize: eventBurst, QPS: eventRate}))}
	e.broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: core.Events("")})
	e.recorder = e.broadcaster.NewRecorder(scheme, corev1.EventSource{Component: "entente-webhook", Host: host})
	return e, nil
}

// OnAccount writes a Warning on a service account.
func (e *events) OnAccount(account types.NamespacedName, reason, message string) {
	ref := &corev1.ObjectReference{APIVersion: "v1", Kind: AccountKind.Kind, Namespace: account.Namespace, Name: account.Name}
	// The cache is in memory: without it, the Event has no UID.
	if m, err := metadata(context.Background(), e.cached, AccountKind, account); err == nil && m != nil {
		ref.UID = m.UID
	}
	e.recorder.Event(ref, corev1.EventTypeWarning, reason, message)
}

// OnPod writes a Warning on a pod.
func (e *events) OnPod(pod types.NamespacedName, uid types.UID, reason, message string) {
	ref := &corev1.ObjectReference{APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: uid}
	e.recorder.Event(ref, corev1.EventTypeWarning, reason, message)
}

// Start ends the writing when ctx ends.
func (e *events) Start(ctx context.Context) error {
	<-ctx.Done()
	e.broadcaster.Shutdown()
	return nil
}
