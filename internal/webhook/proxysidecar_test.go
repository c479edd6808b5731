package webhook

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

const inject = "azure.workload.identity/inject-proxy-sidecar"

// TestProxyOrder: where the containers of the proxy stand.
func TestProxyOrder(t *testing.T) {
	const two = `"containers":[{"name":"main"}],"initContainers":[{"name":"first"}]`
	old := configured(func(c *Config) { c.KubernetesVersion = "v1.31.4+k3s1" })
	for name, test := range map[string]struct {
		scene       scene
		inits, rest []string
	}{
		"inject-proxy-sidecar":                     {one(annotated(inject, "")), []string{"azwi-proxy-init", "azwi-proxy"}, []string{"main"}},
		"inject-proxy-sidecar, with inits":         {one(annotated(inject, "false"), spec(two)), []string{"azwi-proxy-init", "azwi-proxy", "first"}, []string{"main"}},
		"inject-proxy-sidecar before 1.32":         {one(annotated(inject, ""), spec(two), old), []string{"azwi-proxy-init", "first"}, []string{"azwi-proxy", "main"}},
		"inject-proxy-sidecar from 1.32":           {one(annotated(inject, ""), spec(two), configured(func(c *Config) { c.KubernetesVersion = "v1.32.0" })), []string{"azwi-proxy-init", "azwi-proxy", "first"}, []string{"main"}},
		"managed-identity":                         {one(mode(ManagedIdentity), spec(two)), []string{"azwi-proxy", "first"}, []string{"main"}},
		"managed-identity, empty list of inits":    {one(mode(ManagedIdentity), spec(`"containers":[{"name":"main"}],"initContainers":[]`)), []string{"azwi-proxy"}, []string{"main"}},
		"managed-identity, inits null":             {one(mode(ManagedIdentity), spec(`"containers":[{"name":"main"}],"initContainers":null`)), []string{"azwi-proxy"}, []string{"main"}},
		"managed-identity before 1.32":             {one(mode(ManagedIdentity), old), nil, []string{"azwi-proxy", "main"}},
		"managed-identity and interception":        {one(annotated("entente.id/mode", "managed-identity", inject, "")), []string{"azwi-proxy-init", "azwi-proxy"}, []string{"main"}},
		"a proxy that is there already":            {one(annotated(inject, ""), spec(`"containers":[{"name":"azwi-proxy"},{"name":"main"}],"initContainers":[{"name":"azwi-proxy-init"}]`)), []string{"azwi-proxy-init"}, []string{"azwi-proxy", "main"}},
		"a proxy written by hand, no annotation":   {one(spec(`"containers":[{"name":"main"},{"name":"azwi-proxy"}]`)), nil, []string{"main", "azwi-proxy"}},
		"neither":                                  {one(), nil, []string{"main"}},
		"port without proxy is not looked at":      {one(annotated("azure.workload.identity/proxy-sidecar-port", "x")), nil, []string{"main"}},
		"a hand-written proxy needs no image here": {one(mode(ManagedIdentity), spec(`"containers":[{"name":"main"},{"name":"azwi-proxy"}]`), configured(func(c *Config) { c.ProxyImage = "" })), nil, []string{"main", "azwi-proxy"}},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := test.scene.done(t)
			if diff := cmp.Diff(test.inits, names(p.Spec.InitContainers)); diff != "" {
				t.Error("init containers", diff)
			}
			if diff := cmp.Diff(test.rest, names(p.Spec.Containers)); diff != "" {
				t.Error("containers", diff)
			}
		})
	}
}

// TestProxyEnvironment: what the proxy itself is given.
func TestProxyEnvironment(t *testing.T) {
	const map1 = `[{"clientId":"` + clientID + `","objectId":"o","resourceId":"/subscriptions/s"}]`
	both := accounts("entente.id/object-id", "o", "entente.id/resource-id", "/subscriptions/s")
	const bundle = "/var/run/secrets/azure/wi/ca/ca-bundle.crt"
	for name, test := range map[string]struct {
		scene scene
		want  map[string]string
	}{
		"interception":               {one(annotated(inject, "")), plain},
		"interception and map":       {one(annotated(inject, ""), both), with("ENTENTE_IDENTITIES", map1)},
		"managed-identity":           {one(mode(ManagedIdentity)), with("IDENTITY_HEADER", "secret")},
		"managed-identity, map":      {one(mode(ManagedIdentity), both), with("IDENTITY_HEADER", "secret", "ENTENTE_IDENTITIES", map1)},
		"managed-identity, one name": {one(mode(ManagedIdentity), accounts("entente.id/object-id", "o")), with("IDENTITY_HEADER", "secret", "ENTENTE_IDENTITIES", `[{"clientId":"`+clientID+`","objectId":"o"}]`)},
		"map without client id":      {one(mode(ManagedIdentity), both, accounts("azure.workload.identity/client-id", "")), with("IDENTITY_HEADER", "secret", "AZURE_CLIENT_ID", "")},
		"adfs and interception":      {one(annotated("entente.id/mode", "adfs", inject, "")), with("AZURE_TENANT_ID", "adfs")},
		"map with what is no id":     {one(mode(ManagedIdentity), accounts("entente.id/object-id", "o", "entente.id/resource-id", "/subscriptions/my own")), with("IDENTITY_HEADER", "secret", "ENTENTE_IDENTITIES", `[{"clientId":"`+clientID+`","objectId":"o"}]`)},
		"map with a reference":       {one(mode(ManagedIdentity), accounts("entente.id/object-id", "$(IDENTITY_HEADER)")), with("IDENTITY_HEADER", "secret", "ENTENTE_IDENTITIES", `[{"clientId":"`+clientID+`","objectId":"$$(IDENTITY_HEADER)"}]`)},
		"map of what is no id":       {one(mode(ManagedIdentity), accounts("entente.id/object-id", "é")), with("IDENTITY_HEADER", "secret")},
		"CA bundle": {one(mode(ManagedIdentity), configured(func(c *Config) { c.CABundle = true })),
			with("IDENTITY_HEADER", "secret", "SSL_CERT_FILE", bundle, "REQUESTS_CA_BUNDLE", bundle, "NODE_EXTRA_CA_CERTS", bundle, "CURL_CA_BUNDLE", bundle)},
		"the secret that stands in the pod": {one(mode(ManagedIdentity), spec(`"containers":[{"name":"main","env":[{"name":"IDENTITY_ENDPOINT","value":"http://127.0.0.1:8000/msi/token"},{"name":"IDENTITY_HEADER","value":"kept"}]}]`)),
			with("IDENTITY_HEADER", "kept")},
		"another's secret is not taken": {one(mode(ManagedIdentity), spec(`"containers":[{"name":"main","env":[{"name":"IDENTITY_ENDPOINT","value":"http://10.0.0.1/"},{"name":"IDENTITY_HEADER","value":"theirs"}]}]`)),
			with("IDENTITY_HEADER", "secret")},
		"a proxy written by hand": {one(spec(`"containers":[{"name":"main"},{"name":"azwi-proxy"}]`)), plain},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := test.scene.done(t)
			if diff := cmp.Diff(test.want, envOf(p, "azwi-proxy")); diff != "" {
				t.Error(diff)
			}
			if c := find(p, "azwi-proxy-init"); c != nil && len(c.Env)+len(c.VolumeMounts) != 1 {
				t.Errorf("azwi-proxy-init is given what it does not need: %+v", c)
			}
		})
	}
}

// TestProxySecret: without a source of secrets, each pod has one of its own.
func TestProxySecret(t *testing.T) {
	s := one(mode(ManagedIdentity), configured(func(c *Config) { c.Secret = nil }))
	seen := map[string]bool{}
	for range 3 {
		r, err := s.mutate()
		if err != nil {
			t.Fatal(err)
		}
		p := typed(t, apply(t, []byte(s.pod), r))
		secret := envOf(p, "main")["IDENTITY_HEADER"]
		if len(secret) != 43 || secret != envOf(p, "azwi-proxy")["IDENTITY_HEADER"] || seen[secret] {
			t.Errorf("secret %q of %+v", secret, p)
		}
		seen[secret] = true
	}
}

// TestRestricted: the sidecar is admitted by the Pod Security Standard
// "restricted" (kubernetes.io/docs/concepts/security/pod-security-standards),
// and what redirects has one capability and is not privileged.
func TestRestricted(t *testing.T) {
	p, _ := one(annotated("entente.id/mode", "managed-identity", inject, "")).done(t)
	proxy, first := find(p, "azwi-proxy"), find(p, "azwi-proxy-init")
	c := proxy.SecurityContext
	if *c.AllowPrivilegeEscalation || *c.Privileged || !*c.RunAsNonRoot || *c.RunAsUser != 1501 || !*c.ReadOnlyRootFilesystem ||
		len(c.Capabilities.Add) > 0 || !slices.Equal(c.Capabilities.Drop, []corev1.Capability{"ALL"}) || c.SeccompProfile.Type != "RuntimeDefault" {
		t.Errorf("%+v", c)
	}
	c = first.SecurityContext
	if *c.Privileged || *c.AllowPrivilegeEscalation || *c.RunAsUser != 0 || !slices.Equal(c.Capabilities.Add, []corev1.Capability{"NET_ADMIN"}) || !slices.Equal(c.Capabilities.Drop, []corev1.Capability{"ALL"}) {
		t.Errorf("%+v", c)
	}
	if diff := cmp.Diff([]string{"init", "--proxy-port=8000", "--proxy-uid=1501"}, first.Args); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"--proxy-port=8000", "--log-level=info"}, proxy.Args); diff != "" {
		t.Error(diff)
	}
	probe := []string{"/entente-proxy", "--proxy-port=8000", "--probe"}
	if diff := cmp.Diff(probe, proxy.StartupProbe.Exec.Command); diff != "" || ptr.Deref(proxy.RestartPolicy, "") != "Always" || proxy.Lifecycle != nil {
		t.Errorf("%s %+v", diff, proxy)
	}
	p, _ = one(mode(ManagedIdentity), configured(func(c *Config) { c.KubernetesVersion = "1.28"; c.ProxyLogLevel = "debug"; c.ProxyPullPolicy = "Never" })).done(t)
	proxy = find(p, "azwi-proxy")
	if diff := cmp.Diff(probe, proxy.Lifecycle.PostStart.Exec.Command); diff != "" || proxy.RestartPolicy != nil || proxy.StartupProbe != nil || proxy.Args[1] != "--log-level=debug" || proxy.ImagePullPolicy != "Never" {
		t.Errorf("%s %+v", diff, proxy)
	}
}

// TestQualityOfService: a Guaranteed pod stays one.
func TestQualityOfService(t *testing.T) {
	for resources, guaranteed := range map[string]bool{
		`{}`:                                    false,
		`{"limits":{"cpu":"1","memory":"1Gi"}}`: true,
		`{"limits":{"cpu":1,"memory":"1Gi"},"requests":{"cpu":"1000m","memory":"1024Mi"}}`: true,
		`{"limits":{"cpu":"1","memory":"1Gi"},"requests":{"cpu":"100m"}}`:                  false,
		`{"limits":{"memory":"1Gi"}}`: false,
	} {
		p, _ := oneOf(resources).done(t)
		r := find(p, "azwi-proxy").Resources
		if got := r.Requests.Cpu().Cmp(*r.Limits.Cpu()) == 0 && r.Requests.Memory().Cmp(*r.Limits.Memory()) == 0; got != guaranteed {
			t.Errorf("%s: %+v", resources, r)
		}
	}
}

func oneOf(resources string) scene {
	s := one(mode(ManagedIdentity), spec(`"containers":[{"name":"main","resources":`+resources+`}]`))
	return s
}
