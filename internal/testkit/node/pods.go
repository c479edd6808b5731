package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Eventually waits for what a cluster does in its own time: until the question
// is answered without error.
func (c *Cluster) Eventually(t testing.TB, question func() error) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		err := question()
		if err == nil {
			return
		}
		if time.Now().After(deadline) || errors.Is(err, ErrNever) {
			t.Fatal(err)
		}
	}
}

// ErrNever is in the errors of questions that it is no use to ask again.
var ErrNever = errors.New("and that stays so")

// Name has processes outside of pods find names at an address; there is no name
// service. It returns the same for the specs of pods.
func (c *Cluster) Name(t testing.TB, address string, names ...string) []corev1.HostAlias {
	t.Helper()
	f, err := os.OpenFile("/etc/hosts", os.O_APPEND|os.O_WRONLY, 0) // our own, see Main
	if err == nil {
		_, err = fmt.Fprintln(f, address, strings.Join(names, " "))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return []corev1.HostAlias{{IP: address, Hostnames: names}}
}

// Namespace makes a namespace. When the test fails, it tells what became of the
// pods in it.
func (c *Cluster) Namespace(t testing.TB, meta metav1.ObjectMeta) {
	t.Helper()
	_, err := c.Client(t).CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: meta}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.Story(t, meta.Name))
		}
	})
	c.Eventually(t, func() error { // pods are refused until it is there
		_, err := c.Client(t).CoreV1().ServiceAccounts(meta.Name).Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
}

// Create creates a pod.
func (c *Cluster) Create(t testing.TB, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	made, err := c.Client(t).CoreV1().Pods(pod.Namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// Ended waits until a pod has ended, and returns how.
func (c *Cluster) Ended(t testing.TB, namespace, name string) (phase corev1.PodPhase) {
	t.Helper()
	c.Eventually(t, func() error {
		pod, err := c.Client(t).CoreV1().Pods(namespace).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if phase = pod.Status.Phase; phase != corev1.PodSucceeded && phase != corev1.PodFailed {
			return fmt.Errorf("the pod %s is %s:%s", name, phase, states(pod))
		}
		return nil
	})
	return phase
}

// Available waits until a deployment has all its replicas.
func (c *Cluster) Available(t testing.TB, namespace, name string) {
	t.Helper()
	c.Eventually(t, func() error {
		d, err := c.Client(t).AppsV1().Deployments(namespace).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if d.Status.ObservedGeneration < d.Generation || d.Status.AvailableReplicas < *d.Spec.Replicas || d.Status.UpdatedReplicas < *d.Spec.Replicas {
			return fmt.Errorf("the deployment %s has %d replicas of %d", name, d.Status.AvailableReplicas, *d.Spec.Replicas)
		}
		return nil
	})
}

// Logs is what a container has written.
func (c *Cluster) Logs(t testing.TB, namespace, pod, container string) string {
	t.Helper()
	text, err := c.Client(t).CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{Container: container}).DoRaw(t.Context())
	if err != nil {
		t.Errorf("logs of %s in %s: %v", container, pod, err)
	}
	return string(text)
}

// Story is what became of the pods of a namespace: their states, the events
// about everything, and the ends of their logs.
func (c *Cluster) Story(t testing.TB, namespace string) string {
	// The test may be at its end, and its context with it.
	ctx, api := context.WithoutCancel(t.Context()), c.Client(t).CoreV1()
	var story strings.Builder
	pods, err := api.Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Sprintf("pods of %s: %v", namespace, err)
	}
	for _, pod := range pods.Items {
		fmt.Fprintf(&story, "pod %s/%s is %s:%s\n", namespace, pod.Name, pod.Status.Phase, states(&pod))
		lines := int64(20)
		for _, container := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
			text, err := api.Pods(namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Container: container.Name, TailLines: &lines}).DoRaw(ctx)
			if err != nil {
				text = []byte(err.Error())
			}
			if len(text) > 0 {
				fmt.Fprintf(&story, "  %s wrote:\n    %s\n", container.Name, strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "\n    "))
			}
		}
	}
	events, err := api.Events(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return story.String() + err.Error()
	}
	for _, e := range events.Items {
		if e.Type == corev1.EventTypeWarning || e.InvolvedObject.Kind != "Pod" {
			fmt.Fprintf(&story, "%s %s/%s: %s: %s\n", e.Type, e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Reason, e.Message)
		}
	}
	return story.String()
}

// states is what a pod's containers are doing.
func states(pod *corev1.Pod) string {
	var b strings.Builder
	if pod.Status.Message != "" {
		fmt.Fprintf(&b, " %s", pod.Status.Message)
	}
	for _, s := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		switch {
		case s.State.Waiting != nil:
			fmt.Fprintf(&b, " %s waits (%s %s)", s.Name, s.State.Waiting.Reason, s.State.Waiting.Message)
		case s.State.Terminated != nil:
			fmt.Fprintf(&b, " %s ended with %d (%s)", s.Name, s.State.Terminated.ExitCode, s.State.Terminated.Reason)
		default:
			fmt.Fprintf(&b, " %s runs", s.Name)
		}
	}
	return b.String()
}
