package webhook

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// A pod that was created while the webhook was not asked is found, and told of
// once: by a metric, and by Events on the pod and on its service account.
func TestSweeperFindsUnmutatedPods(t *testing.T) {
	t.Parallel()
	i := install(t)
	r := i.replica(t, "--sweep-interval", "500ms").untilReady(t)
	i.untilAdmitted(t)
	i.created(t, "pets", "cat") // which it must not find

	i.selects(t, `{"matchLabels":{"nobody":"has-this"}}`)
	pod := ""
	eventually(t, func() error { // until the API server has taken the selector
		p, err := i.pod(t.Context(), "pets", "cat", metav1.CreateOptions{})
		if err != nil {
			return err
		}
		if mutated(p) == nil {
			i.remove(t.Context(), p)
			return errorf("pods are still mutated")
		}
		pod = p.Name
		return nil
	})
	e := i.event(t, "pets", "Pod", pod, "PodNotMutated")
	if e.Type != "Warning" || e.InvolvedObject.UID == "" {
		t.Errorf("the Event is %+v", e)
	}
	if e := i.event(t, "pets", "ServiceAccount", "cat", "PodNotMutated"); !strings.Contains(e.Message, pod) || e.InvolvedObject.UID == "" {
		t.Errorf("the Event on the account says %q of %+v", e.Message, e.InvolvedObject)
	}
	const metric = `entente_webhook_unmutated_pods{namespace="pets"}`
	eventually(t, func() error {
		if got := r.metric(t, metric); got != "1" {
			return errorf("%s is %q", metric, got)
		}
		return nil
	})
	if n := strings.Count(r.text(), "pod was not mutated"); n != 1 {
		t.Errorf("the log tells of it %d times", n)
	}
	if err := i.admin.CoreV1().Pods("pets").Delete(t.Context(), pod, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if got := r.metric(t, metric); got != "" {
			return errorf("%s is %q", metric, got)
		}
		return nil
	})
}

// selects changes which pods the API server asks the webhook about.
func (i *installation) selects(t *testing.T, selector string) {
	t.Helper()
	patch := []byte(`[{"op":"replace","path":"/webhooks/0/objectSelector","value":` + selector + `}]`)
	_, err := i.admin.AdmissionregistrationV1().MutatingWebhookConfigurations().Patch(t.Context(), configuration, types.JSONPatchType, patch, metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
}
