package pods

import (
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Without a webhook somebody writes into the pod what one would put there: the
// token that kubelet mounts, and the environment that the SDKs read.
func byHand(t *testing.T, w *town) {
	w.Namespace(t, metav1.ObjectMeta{Name: "pets", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}})
	w.ServiceAccount(t, "pets", "cat")
	w.ServiceAccount(t, "pets", "dog")
	ca, err := os.ReadFile(w.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Client(t).CoreV1().ConfigMaps("pets").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "ca"}, Data: map[string]string{"ca.pem": string(ca)}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod := func(account, sdk string) *corev1.Pod {
		const mounted = "/var/run/entente/"
		p := w.pod("pets", account+"-by-hand-"+sdk, account, sdk)
		seconds := int64(3600)
		p.Spec.Volumes = []corev1.Volume{{Name: "entente", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", Audience: audience, ExpirationSeconds: &seconds}},
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "ca"}}},
		}}}}}
		app := &p.Spec.Containers[0]
		app.VolumeMounts = []corev1.VolumeMount{{Name: "entente", MountPath: mounted, ReadOnly: true}}
		for name, value := range map[string]string{
			"AZURE_AUTHORITY_HOST": authority + "/", "AZURE_TENANT_ID": "adfs", "AZURE_CLIENT_ID": w.cat.AppID, "AZURE_FEDERATED_TOKEN_FILE": mounted + "token",
			"SSL_CERT_FILE": mounted + "ca.pem", "NODE_EXTRA_CA_CERTS": mounted + "ca.pem", "REQUESTS_CA_BUNDLE": mounted + "ca.pem",
		} {
			app.Env = append(app.Env, corev1.EnvVar{Name: name, Value: value})
		}
		return p
	}
	for sdk := range sdks {
		t.Run(sdk, func(t *testing.T) {
			t.Parallel()
			w.image(t, sdk)
			cat, dog := w.Create(t, pod("cat", sdk)), w.Create(t, pod("dog", sdk))
			w.accepted(t, cat, w.cat)
			w.refused(t, dog, "AADSTS700213")
		})
	}
}
