package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// A shelf is objects, of which only metadata can be read.
type shelf struct {
	client.Reader
	objects map[string]map[string]string // "Kind/namespace/name": annotations
	err     error
	asked   int
}

func (s *shelf) Get(ctx context.Context, name client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	s.asked++
	if s.err != nil {
		return s.err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	meta, ok := into.(*metav1.PartialObjectMetadata)
	if !ok {
		return errors.New("not only metadata is asked for")
	}
	annotations, ok := s.objects[meta.Kind+"/"+name.Namespace+"/"+name.Name]
	if !ok {
		return apierrors.NewNotFound(schema.GroupResource{Resource: meta.Kind}, name.Name)
	}
	meta.Annotations = annotations
	return nil
}

// A world is what stands around a Handler.
type world struct {
	Handler
	cached, live *shelf
	bundles      []string
	events       []string
	observed     []string
	log          bytes.Buffer
}

func newWorld(s scene) *world {
	known := map[string]map[string]string{"ServiceAccount/pets/cat": s.account, "Namespace//pets": s.namespace}
	w := &world{cached: &shelf{objects: known}, live: &shelf{objects: known}}
	w.Handler = Handler{
		Config:       s.config,
		Accounts:     Objects{w.cached, w.live},
		Namespaces:   Objects{w.cached, w.live},
		EnsureBundle: func(_ context.Context, namespace string) error { w.bundles = append(w.bundles, namespace); return nil },
		Notify: func(account types.NamespacedName, reason, message string) {
			w.events = append(w.events, account.String()+" "+reason)
		},
		Observe: func(namespace string, d time.Duration) { w.observed = append(w.observed, namespace) },
		Log:     slog.New(slog.NewJSONHandler(&w.log, nil)),
	}
	return w
}

func create(pod string, change ...func(*admission.Request)) admission.Request {
	r := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		UID: "u", Operation: admissionv1.Create, Namespace: "pets",
		Kind:     metav1.GroupVersionKind{Version: "v1", Kind: "Pod"},
		Resource: metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
		Object:   runtime.RawExtension{Raw: []byte(pod)},
	}}
	for _, c := range change {
		c(&r)
	}
	return r
}

func dry(r *admission.Request) { r.DryRun = new(bool); *r.DryRun = true }

func TestHandler(t *testing.T) {
	none := accounts("azure.workload.identity/client-id", "")
	bundle := configured(func(c *Config) { c.CABundle = true })
	gone := errors.New("gone")
	for name, test := range map[string]struct {
		scene   scene
		change  func(*world)
		request func(*admission.Request)

		code             int32 // of a refusal
		operations       bool
		warning, message string
		live             int // reads beside the cache
		bundles, events  []string
		unobserved       bool
	}{
		"a pod":                         {scene: one(), operations: true},
		"namespace empty in the object": {scene: one(pods(`{"metadata":{"generateName":"c-"},"spec":{"serviceAccountName":"cat","containers":[{"name":"main"}]}}`)), operations: true},
		"mode of the namespace":         {scene: one(func(s *scene) { s.namespace = map[string]string{"entente.id/mode": "what"} }), operations: true, warning: `no mode "what"`},
		"a mirror pod":                  {scene: one(annotated("kubernetes.io/config.mirror", ""))},
		"account not cached yet":        {scene: one(), change: func(w *world) { w.cached.objects = map[string]map[string]string{"Namespace//pets": nil} }, operations: true, live: 1},
		"namespace not cached yet": {scene: one(), change: func(w *world) {
			w.cached.objects = map[string]map[string]string{"ServiceAccount/pets/cat": w.live.objects["ServiceAccount/pets/cat"]}
		}, operations: true, live: 1},
		"account annotated since": {scene: one(), change: func(w *world) {
			w.cached.objects = map[string]map[string]string{"ServiceAccount/pets/cat": nil, "Namespace//pets": nil}
		}, operations: true, live: 1},
		"account not there":                     {scene: one(), change: func(w *world) { w.cached.objects = nil; w.live.objects = nil }, operations: true, live: 2, warning: "is not there"},
		"no client id":                          {scene: one(none), operations: true, live: 1, warning: "client-id", events: []string{"pets/cat ClientIDMissing"}},
		"no client id, second look fails":       {scene: one(none), change: func(w *world) { w.live.err = gone }, operations: true, live: 1, warning: "client-id", events: []string{"pets/cat ClientIDMissing"}},
		"no client id, dry run":                 {scene: one(none), request: dry, operations: true, live: 1, warning: "client-id"},
		"cache broken":                          {scene: one(), change: func(w *world) { w.cached.err = gone }, operations: true, live: 2},
		"cache and API server broken":           {scene: one(), change: func(w *world) { w.cached.err, w.live.err = gone, gone }, code: 500, message: `read service account "pets/cat": gone`, live: 1},
		"refused":                               {scene: one(annotated("azure.workload.identity/service-account-token-expiration", "1")), code: 400, message: "3600", events: []string{"pets/cat PodRefused"}},
		"refused, dry run":                      {scene: one(annotated("azure.workload.identity/service-account-token-expiration", "1")), request: dry, code: 400, message: "3600"},
		"refused with a warning":                {scene: one(annotated("azure.workload.identity/service-account-token-expiration", "1", "entente.id/mode", "x")), code: 400, message: "3600", warning: `"x"`, events: []string{"pets/cat PodRefused"}},
		"refused by policy":                     {scene: one(pods(`{"spec":{"containers":[]}}`), configured(func(c *Config) { c.RefuseDefaultServiceAccount = true })), change: func(w *world) { w.cached.objects["ServiceAccount/pets/default"] = nil }, code: 403, message: "default", live: 1, events: []string{"pets/default PodRefused"}},
		"not JSON":                              {scene: one(pods(`{`)), code: 400, message: "read the pod"},
		"needs the bundle":                      {scene: one(bundle), operations: true, bundles: []string{"pets"}},
		"needs the bundle, dry run":             {scene: one(bundle), request: dry, operations: true},
		"needs the bundle, and it cannot":       {scene: one(bundle), change: func(w *world) { w.EnsureBundle = func(context.Context, string) error { return gone } }, operations: true, warning: "ConfigMap entente-ca-bundle", events: []string{"pets/cat CABundleMissing"}},
		"refused pods make no bundle":           {scene: one(bundle, annotated("azure.workload.identity/inject-proxy-sidecar", "", "azure.workload.identity/proxy-sidecar-port", "x")), code: 400, message: "port", events: []string{"pets/cat PodRefused"}},
		"a subresource":                         {scene: one(), request: func(r *admission.Request) { r.SubResource = "ephemeralcontainers" }, unobserved: true},
		"an update":                             {scene: one(), request: func(r *admission.Request) { r.Operation = admissionv1.Update }, unobserved: true},
		"something else":                        {scene: one(), request: func(r *admission.Request) { r.Kind.Kind = "Deployment" }, unobserved: true},
		"a service account with the label":      {scene: one(pods(`{"metadata":{"labels":{"azure.workload.identity/use":"true"}}}`)), request: func(r *admission.Request) { r.Kind.Kind = "ServiceAccount" }, warning: "belongs on the pods", unobserved: true},
		"a service account with a bad lifetime": {scene: one(pods(`{"metadata":{"annotations":{"azure.workload.identity/service-account-token-expiration":"1"}}}`)), request: func(r *admission.Request) { r.Kind.Kind = "ServiceAccount"; r.Operation = admissionv1.Update }, warning: "will be refused", unobserved: true},
		"nobody around":                         {scene: one(none), change: func(w *world) { w.EnsureBundle, w.Notify, w.Observe, w.Log, w.Namespaces = nil, nil, nil, nil, nil }, operations: true, live: 1, warning: "client-id", unobserved: true},
		"too late":                              {scene: one(), change: func(w *world) { w.Timeout = time.Nanosecond }, code: 500, message: "deadline", live: 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(test.scene)
			if test.change != nil {
				test.change(w)
			}
			req := create(test.scene.pod)
			if test.request != nil {
				test.request(&req)
			}
			r := w.Handle(context.Background(), req)
			if test.code == 0 && !r.Allowed || test.code != 0 && (r.Allowed || r.Result.Code != test.code) || test.operations != (len(r.Patches) > 0) {
				t.Errorf("%+v", r)
			}
			if !strings.Contains(r.Result.Message, test.message) {
				t.Errorf("says %q, not %q", r.Result.Message, test.message)
			}
			if said := strings.Join(r.Warnings, "\n"); !strings.Contains(said, test.warning) || (test.warning == "") != (said == "") {
				t.Errorf("warns %q, not %q", said, test.warning)
			}
			if w.live.asked != test.live {
				t.Errorf("%d live reads, want %d", w.live.asked, test.live)
			}
			if diff := cmp.Diff(test.bundles, w.bundles); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.events, w.events); diff != "" {
				t.Error(diff)
			}
			if (len(w.observed) == 1) == test.unobserved {
				t.Errorf("observed %q", w.observed)
			}
			if strings.Contains(w.log.String(), "secret") || strings.Count(w.log.String(), "\n") > 1 {
				t.Errorf("log: %s", w.log.String())
			}
		})
	}
}

// TestObservedNamespaces: names that callers make up are no labels of metrics.
func TestObservedNamespaces(t *testing.T) {
	w := newWorld(one())
	for _, namespace := range []string{"pets", "made-up-1", "made-up-2"} {
		w.Handle(context.Background(), create(one().pod, func(r *admission.Request) { r.Namespace = namespace }))
	}
	if diff := cmp.Diff([]string{"pets", "", ""}, w.observed); diff != "" {
		t.Error(diff)
	}
}

// TestOverHTTP sends reviews to the handler as controller-runtime serves it.
func TestOverHTTP(t *testing.T) {
	w := newWorld(one())
	server := httptest.NewServer(&admission.Webhook{Handler: &w.Handler})
	defer server.Close()
	post := func(body string) (int, admissionv1.AdmissionReview) {
		t.Helper()
		resp, err := http.Post(server.URL+Path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(resp.Body).Decode(&review); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, review
	}
	review := func(pod string) string {
		return `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u1","kind":{"group":"","version":"v1","kind":"Pod"},"resource":{"group":"","version":"v1","resource":"pods"},"namespace":"pets","operation":"CREATE","object":` + pod + `}}`
	}
	later := strings.Replace(one().pod, `"image":"i"`, `"image":"i","fieldOfTomorrow":{"n":1.50}`, 1)
	status, got := post(review(later))
	if status != 200 || !got.Response.Allowed || got.Response.UID != "u1" || *got.Response.PatchType != admissionv1.PatchTypeJSONPatch {
		t.Fatalf("%d %+v", status, got.Response)
	}
	var r Result
	if err := json.Unmarshal(got.Response.Patch, &r.Patch); err != nil {
		t.Fatal(err)
	}
	out := apply(t, []byte(later), r)
	if !bytes.Contains(out, []byte(`"fieldOfTomorrow":{"n":1.50}`)) {
		t.Errorf("an unknown field is lost: %s", out)
	}
	if p := typed(t, out); envOf(p, "main")["AZURE_CLIENT_ID"] != clientID {
		t.Errorf("%s", out)
	}
	for name, body := range map[string]string{
		"twice a member":    review(`{"spec":{"containers":[]},"spec":{}}`),
		"deep":              review(`{"spec":{"x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}}`),
		"null":              review(`null`),
		"larger than 3 MiB": review(`{"spec":{"x":"` + strings.Repeat("x", 3<<20) + `"}}`),
		"larger than 7 MiB": review(`{"spec":{"x":"` + strings.Repeat("x", 8<<20) + `"}}`),
		"not JSON":          `{`,
	} {
		if status, got := post(body); status != 200 && status != 400 && status != 413 || got.Response != nil && got.Response.Allowed {
			t.Errorf("%s: %d %+v", name, status, got.Response)
		}
	}
	if _, got := post(review(`{"metadata":{"annotations":{"kubernetes.io/config.mirror":"h"}},"spec":{"containers":[]}}`)); !got.Response.Allowed || got.Response.Patch != nil {
		t.Errorf("a mirror pod: %+v", got.Response)
	}
}

func BenchmarkHandle(b *testing.B) {
	w := newWorld(one(pods(large(b))))
	w.Log, w.Observe = nil, nil
	req := create(one(pods(large(b))).pod)
	b.ReportAllocs()
	for b.Loop() {
		if r := w.Handle(context.Background(), req); !r.Allowed {
			b.Fatal(r)
		}
	}
}
