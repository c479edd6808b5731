package webhook

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Whoever may create pods may create hundreds of a megabyte each. They are all
// looked at, and never all of them at once.
func TestSweepingLargePodsTakesLittleMemory(t *testing.T) {
	const pods, each = 60, 256 << 10
	annotations := map[string]string{"large": strings.Repeat("x", each)}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
		list := &corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}}
		if strings.Contains(r.Header.Get("Accept"), "PartialObjectMetadataList") {
			list.TypeMeta = metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadataList"}
		}
		for n := from; n < min(from+limit, pods); n++ {
			list.Items = append(list.Items, corev1.Pod{ObjectMeta: metav1.ObjectMeta{
				Namespace: "pets", Name: fmt.Sprint("p", n), UID: types.UID(fmt.Sprint(n)), Labels: map[string]string{Label: "true"}, Annotations: annotations,
			}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Env: []corev1.EnvVar{{Name: fileVariable}}}}}})
		}
		if from+limit < pods {
			list.Continue = strconv.Itoa(from + limit)
		}
		w.Header().Set("Content-Type", "application/json")
		text, err := json.Marshal(list)
		if err != nil {
			t.Error(err)
		}
		w.Write(text) // which the sweeper may not read to the end
	}))
	t.Cleanup(api.Close)
	config := &rest.Config{Host: api.URL}
	config.Wrap(bounded(8 * each))
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Pod"), meta.RESTScopeNamespace)
	live, err := client.New(config, client.Options{Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	s := &sweeper{live: live, log: slog.New(slog.DiscardHandler), metrics: newMetrics("", func() time.Time { return time.Time{} })}
	known := map[types.UID]labelled{}
	if err := s.sweep(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	if len(known) != pods {
		t.Errorf("%d pods were looked at", len(known))
	}
}

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
