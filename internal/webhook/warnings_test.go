package webhook

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWarnings(t *testing.T) {
	const skip = "azure.workload.identity/skip-containers"
	for name, test := range map[string]struct {
		scene   scene
		want    []string
		reasons []string // of the notices
	}{
		"nothing to say": {one(), nil, nil},
		"no client id": {one(accounts("azure.workload.identity/client-id", "")),
			[]string{`service account "pets/cat" has no annotation azure.workload.identity/client-id: AZURE_CLIENT_ID is not set`}, []string{ReasonNoClientID}},
		"no client id, and none needed": {one(accounts("azure.workload.identity/client-id", ""), spec(`"containers":[{"name":"main","env":[{"name":"AZURE_CLIENT_ID","value":"mine"}]}]`)), nil, nil},
		"client id in quotes": {one(accounts("azure.workload.identity/client-id", `"`+clientID+`"`)),
			[]string{`service account "pets/cat": azure.workload.identity/client-id "\"` + clientID + `\"" is not a client id (GUID)`}, []string{ReasonBadClientID}},
		"service account not found": {one(func(s *scene) { s.missing = true }), []string{`service account "pets/cat" is not there: AZURE_CLIENT_ID is not set`}, nil},
		"default service account": {one(spec(`"containers":[{"name":"main"}]`), func(s *scene) { s.pod = strings.Replace(s.pod, `"serviceAccountName":"cat",`, "", 1) }),
			[]string{`service account "pets/default" gives its identity to every pod of the namespace that names no other`}, []string{ReasonDefault}},
		"no tenant": {one(configured(func(c *Config) { c.TenantID = "" })),
			[]string{`service account "pets/cat" has no annotation azure.workload.identity/tenant-id, nor the webhook a tenant: AZURE_TENANT_ID is not set`}, []string{ReasonNoTenant}},
		"hostNetwork": {one(configured(func(c *Config) { c.Mode = ManagedIdentity }), spec(`"hostNetwork":true,"containers":[{"name":"main"}]`)),
			[]string{"hostNetwork: there is no proxy on the network of the node; mode workload is used, not managed-identity"}, nil},
		"unknown mode": {one(mode("managed")), []string{`annotation entente.id/mode of the pod: there is no mode "managed" (workload, adfs, managed-identity, token-proxy)`}, nil},
		"unknown mode of the namespace": {one(func(s *scene) { s.namespace = map[string]string{"entente.id/mode": "x"} }),
			[]string{`annotation entente.id/mode of the namespace: there is no mode "x" (workload, adfs, managed-identity, token-proxy)`}, nil},
		"token-proxy not configured": {one(mode(TokenProxy)), []string{"mode token-proxy is not configured here (AZURE_KUBERNETES_TOKEN_PROXY): mode workload is used"}, nil},
		"client-id on the pod":       {one(annotated("azure.workload.identity/client-id", clientID)), []string{"annotation azure.workload.identity/client-id does nothing on the pod: it belongs on the service account"}, nil},
		"inject-proxy-sidecar on the service account": {one(accounts("azure.workload.identity/inject-proxy-sidecar", "true")),
			[]string{"annotation azure.workload.identity/inject-proxy-sidecar does nothing on the service account: it belongs on the pod"}, []string{ReasonAnnotation}},
		"label as an annotation":  {one(accounts("azure.workload.identity/use", "true")), []string{"annotation azure.workload.identity/use does nothing: it is a label, of pods"}, []string{ReasonAnnotation}},
		"client_id":               {one(accounts("azure.workload.identity/client_id", "x")), []string{"annotation azure.workload.identity/client_id does nothing: is azure.workload.identity/client-id meant?"}, []string{ReasonAnnotation}},
		"azure.workload-identity": {one(accounts("azure.workload-identity/tenant-id", "x")), []string{"annotation azure.workload-identity/tenant-id does nothing: is azure.workload.identity/tenant-id meant?"}, []string{ReasonAnnotation}},
		"skip-container":          {one(annotated("azure.workload.identity/skip-container", "main")), []string{"annotation azure.workload.identity/skip-container does nothing: is azure.workload.identity/skip-containers meant?"}, nil},
		"entente.id/modus":        {one(annotated("entente.id/modus", "adfs")), []string{"annotation entente.id/modus does nothing: is entente.id/mode meant?"}, nil},
		"entente.id/mod of the namespace": {one(func(s *scene) { s.namespace = map[string]string{"entente.id/mod": "adfs"} }),
			[]string{"annotation entente.id/mod does nothing: is entente.id/mode meant?"}, nil},
		"use-SUFFIX, not configured": {one(annotated("azure.workload.identity/use-identity-binding", "true")), []string{"annotation azure.workload.identity/use-identity-binding does nothing: the webhook is not configured for it"}, nil},
		"under the prefix":           {one(annotated("azure.workload.identity/something-else", "true")), []string{"annotation azure.workload.identity/something-else does nothing: the webhook does not know it"}, nil},
		"of somebody else":           {one(annotated("azure.example.com/client-id", "x", "identity", "y", "kubectl.kubernetes.io/last-applied-configuration", "azure.workload.identity/")), nil, nil},
		"skip-containers empty":      {one(annotated(skip, " ; ")), []string{"annotation " + skip + " names no container"}, nil},
		"skip-containers by comma":   {one(annotated(skip, "a,b")), []string{"annotation " + skip + `: "a,b" is no name of a container; names are separated by ;`}, nil},
		"skip-containers nearly":     {one(annotated(skip, "maim")), []string{"annotation " + skip + `: the pod has no container "maim"; it has "main"`}, nil},
		"skip-containers none":       {one(annotated(skip, "istio-proxy")), []string{"annotation " + skip + `: the pod has no container "istio-proxy" (yet)`}, nil},
		"skip-containers, one late":  {one(annotated(skip, "main;istio-proxy")), nil, nil},
		"port of the proxy": {one(mode(ManagedIdentity), spec(`"containers":[{"name":"main","ports":[{"containerPort":80},{"containerPort":8000,"protocol":"UDP"},{"containerPort":8000}]}]`)),
			[]string{`container "main" has port 8000, and so has the proxy: choose by annotation azure.workload.identity/proxy-sidecar-port`}, nil},
		"a Job before native sidecars": {one(mode(ManagedIdentity), configured(func(c *Config) { c.KubernetesVersion = "v1.30.2" }), func(s *scene) {
			s.pod = strings.Replace(s.pod, `"name":"cat"`, `"name":"cat","ownerReferences":[{"kind":"Job","name":"j"}]`, 1)
		}), []string{"Kubernetes before 1.32: the proxy is an ordinary container, and a Job does not end while it runs"}, nil},
		"one of endpoint and header": {one(mode(ManagedIdentity), spec(`"containers":[{"name":"main","env":[{"name":"IDENTITY_HEADER","value":"x"}]}]`)),
			[]string{`container "main" sets one of IDENTITY_ENDPOINT and IDENTITY_HEADER: it is not given the other`}, nil},
		"another volume at the path": {one(spec(`"containers":[{"name":"main","volumeMounts":[{"name":"v","mountPath":"/var/run/secrets/azure/wi"}]}],"volumes":[{"name":"v","emptyDir":{}}]`)),
			[]string{`container "main" mounts volume "v" at /var/run/secrets/azure/wi: the token is not there`}, nil},
		"a volume without the CA": {one(configured(func(c *Config) { c.CABundle = true }), spec(`"containers":[{"name":"main"}],"volumes":[{"name":"`+volumeOf+`","emptyDir":{}}]`)),
			[]string{`volume "` + volumeOf + `" was there before, and is not known to have token/azure-identity-token`,
				`container "main": its volume was there before, and has no certificates of the authority (ca/ca-bundle.crt)`}, nil},
		"a volume without the token": {one(spec(`"containers":[{"name":"main"},{"name":"more"}],"volumes":[{"name":"` + volumeOf + `","emptyDir":{}}]`)),
			[]string{`volume "` + volumeOf + `" was there before, and is not known to have token/azure-identity-token`}, nil},
		"an object id that is none": {one(mode(ManagedIdentity), accounts("entente.id/object-id", "a b")),
			[]string{`service account "pets/cat": entente.id/object-id "a b" is no id: the proxy does not know it`}, []string{ReasonBadIdentity}},
		"the proxy's user": {one(annotated(inject, ""), spec(`"securityContext":{"runAsUser":1501},"containers":[{"name":"main"},{"name":"other","securityContext":{"runAsUser":1000}},{"name":"azwi-proxy"}]`)),
			[]string{`container "main" runs as user 1501, which is the proxy's: it is not redirected from 169.254.169.254`}, nil},
		"the proxy's user, not redirected": {one(mode(ManagedIdentity), spec(`"containers":[{"name":"main","securityContext":{"runAsUser":1501}}]`)), nil, nil},
		"put before the redirection": {one(annotated(inject, ""), spec(`"initContainers":[{"name":"mesh"},{"name":"azwi-proxy-init"},{"name":"azwi-proxy","restartPolicy":"Always"},{"name":"first"}],"containers":[{"name":"main"}]`)),
			[]string{`init container "mesh" runs before azwi-proxy-init: it is not redirected from 169.254.169.254`}, nil},
		"put before the proxy": {one(annotated(inject, ""), spec(`"initContainers":[{"name":"first"}],"containers":[{"name":"main"}]`), configured(func(c *Config) { c.KubernetesVersion = "v1.31.4" })),
			[]string{`Kubernetes before 1.32: init container "first" runs before the proxy, and gets no token from it`}, nil},
		"an HTTP proxy": {one(mode(ManagedIdentity), spec(`"containers":[{"name":"main","env":[{"name":"HTTP_PROXY","value":"http://p"},{"name":"NO_PROXY","value":".svc,10.0.0.1"}]}]`)),
			[]string{`container "main" has an HTTP proxy: it would be sent IDENTITY_HEADER, unless NO_PROXY and no_proxy have 127.0.0.1`}, nil},
		"an HTTP proxy for others":      {one(mode(ManagedIdentity), spec(`"containers":[{"name":"main","env":[{"name":"http_proxy","value":"http://p"},{"name":"NO_PROXY","value":".svc, 127.0.0.1"}]}]`)), nil, nil},
		"an HTTP proxy and no endpoint": {one(spec(`"containers":[{"name":"main","env":[{"name":"http_proxy","value":"http://p"}]}]`)), nil, nil},
		"proxy and token-proxy": {one(annotated(inject, "", "entente.id/mode", "token-proxy"), configured(func(c *Config) { c.TokenProxy = TokenProxyConfig{Audience: "other", Endpoint: "https://p"} })),
			[]string{`inject-proxy-sidecar in mode token-proxy: the proxy is given a token for "other"`}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := test.scene.mutate()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, r.Warnings); diff != "" {
				t.Error(diff)
			}
			var reasons []string
			for _, n := range r.Notices {
				reasons = append(reasons, n.Reason)
				if !slices.Contains(r.Warnings, n.Message) {
					t.Errorf("told %q, and not warned of it", n.Message)
				}
			}
			if diff := cmp.Diff(test.reasons, reasons); diff != "" {
				t.Error(diff)
			}
			for _, w := range r.Warnings {
				if len(w) > 150 {
					t.Errorf("%d characters: %s", len(w), w)
				}
			}
		})
	}
}

func TestAccountWarnings(t *testing.T) {
	for text, want := range map[string][]string{
		`{"metadata":{"name":"cat","annotations":{"azure.workload.identity/client-id":"` + clientID + `"}}}`: nil,
		`{"metadata":{"labels":{"azure.workload.identity/use":"true"}}}`:                                     {"label azure.workload.identity/use does nothing on a service account: it belongs on the pods (template.metadata.labels)"},
		`{"metadata":{"annotations":{"azure.workload.identity/client-id":"cat"}}}`:                           {`annotation azure.workload.identity/client-id: "cat" is not a client id (GUID)`},
		`{"metadata":{"annotations":{"azure.workload.identity/service-account-token-expiration":"1h"}}}`:     {`annotation azure.workload.identity/service-account-token-expiration: "1h" is not from 3600 to 86400: pods will be refused`},
		`{"metadata":{"annotations":{"azure.workload.identity/clientid":"x"}}}`:                              {"annotation azure.workload.identity/clientid does nothing: is azure.workload.identity/client-id meant?"},
		`{"metadata":{"annotations":{"entente.id/object-id":"x","entente.id/resource-id":"y"}}}`: {`annotation entente.id/object-id: "x" is not an object id (GUID)`,
			`annotation entente.id/resource-id: "y" is not the resource id of an identity (/subscriptions/…)`},
		`{`: nil, `[]`: nil, `{"metadata":null}`: nil,
	} {
		if diff := cmp.Diff(want, AccountWarnings([]byte(text), Config{})); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func TestEdits(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"abc", "abd", 1}, {"abc", "acb", 2}, {"kitten", "sitting", 3}, {"abcdef", "a", 3}, {"abc", "xyz", 3}} {
		if got := edits(test.a, test.b, 3); got != test.want {
			t.Errorf("%q, %q: %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
