package webhook

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestMutated(t *testing.T) {
	projected := func(name string) []corev1.Volume {
		return []corev1.Volume{{Name: name, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{}}}}
	}
	with := func(variable string) []corev1.Container {
		return []corev1.Container{{Name: "a"}, {Name: "b", Env: []corev1.EnvVar{{Name: variable, Value: "x"}}}}
	}
	for _, c := range []struct {
		name string
		spec corev1.PodSpec
		want bool
	}{
		{"nothing", corev1.PodSpec{}, false},
		{"the account's own token", corev1.PodSpec{Volumes: projected("kube-api-access-abcde")}, false},
		{"a client id by hand", corev1.PodSpec{Containers: with("AZURE_CLIENT_ID")}, false},
		{"our volume", corev1.PodSpec{Volumes: projected(volumePrefix + "0123")}, true},
		{"an empty directory of that name", corev1.PodSpec{Volumes: []corev1.Volume{{Name: volumePrefix + "0123"}}}, false},
		{"the volume of 1.5", corev1.PodSpec{Volumes: projected("azure-identity-token")}, true},
		{"a token file by hand", corev1.PodSpec{Containers: with("AZURE_FEDERATED_TOKEN_FILE")}, true},
		{"an endpoint", corev1.PodSpec{InitContainers: with("IDENTITY_ENDPOINT")}, true},
		{"a token proxy", corev1.PodSpec{Containers: with("AZURE_KUBERNETES_TOKEN_PROXY")}, true},
	} {
		if got := mutated(&corev1.Pod{Spec: c.spec}); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// Whatever the mode, a pod that was mutated is known as one.
func TestWhatMutateMakesIsMutated(t *testing.T) {
	for _, m := range Modes() {
		c := Config{TenantID: "t", Mode: m, ProxyImage: "localhost/proxy:1"}
		if m == TokenProxy {
			c.TokenProxy = TokenProxyConfig{Endpoint: "https://proxy.example.org", Audience: "api://other"}
		}
		pod := []byte(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","labels":{"azure.workload.identity/use":"true"}},"spec":{"serviceAccountName":"cat","containers":[{"name":"c","image":"i"}]}}`)
		account := ServiceAccount{Namespace: "pets", Name: "cat", Found: true, Annotations: map[string]string{prefix + "client-id": "22222222-2222-4222-8222-222222222222"}}
		r, err := Mutate(pod, "pets", account, nil, c)
		if err != nil {
			t.Fatalf("%s: %v", m, err)
		}
		if !mutated(typed(t, apply(t, pod, r))) {
			t.Errorf("%s: a mutated pod would be reported", m)
		}
	}
}
