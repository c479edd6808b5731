package webhook

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

const (
	clientID = "00000000-0000-4000-8000-0000000c1137"
	tenantID = "00000000-0000-4000-8000-0000000007e4"
	volumeOf = "azure-workload-identity-reserved-77af778b51abd4a3c51c5ddd97204a" // cat
)

// A scene is one pod before Mutate.
type scene struct {
	pod       string // JSON
	account   map[string]string
	missing   bool // the service account
	namespace map[string]string
	config    Config
}

// one returns a scene with what most pods have.
func one(change ...func(*scene)) scene {
	s := scene{
		pod: `{"metadata":{"name":"cat","annotations":{}},"spec":{"serviceAccountName":"cat","containers":[{"name":"main","image":"i"}]}}`,
		account: map[string]string{
			"azure.workload.identity/client-id": clientID,
		},
		config: Config{TenantID: tenantID, ProxyImage: "proxy:1", Secret: func() string { return "secret" }},
	}
	for _, c := range change {
		c(&s)
	}
	return s
}

func pods(text string) func(*scene) { return func(s *scene) { s.pod = text } }

// annotated sets annotations of the pod: name, value, name, value.
func annotated(pairs ...string) func(*scene) {
	return func(s *scene) {
		var all []string
		for i := 0; i < len(pairs); i += 2 {
			name, _ := json.Marshal(pairs[i])
			value, _ := json.Marshal(pairs[i+1])
			all = append(all, string(name)+":"+string(value))
		}
		s.pod = strings.Replace(s.pod, `"annotations":{}`, `"annotations":{`+strings.Join(all, ",")+`}`, 1)
	}
}

func accounts(pairs ...string) func(*scene) {
	return func(s *scene) {
		s.account = maps.Clone(s.account)
		for i := 0; i < len(pairs); i += 2 {
			s.account[pairs[i]] = pairs[i+1]
		}
	}
}

func configured(change func(*Config)) func(*scene) { return func(s *scene) { change(&s.config) } }

func mode(m Mode) func(*scene) { return annotated("entente.id/mode", string(m)) }

// spec replaces the containers and more of a pod.
func spec(text string) func(*scene) {
	return func(s *scene) {
		before, _, _ := strings.Cut(s.pod, `"containers"`)
		s.pod = before + text + "}}"
	}
}

func (s scene) mutate() (Result, error) {
	account := ServiceAccount{Namespace: "pets", Name: "cat", Annotations: s.account, Found: !s.missing}
	if s.missing {
		account.Annotations = nil
	}
	return Mutate([]byte(s.pod), "pets", account, s.namespace, s.config)
}

// apply applies a patch as the API server does: by a library that is not ours.
func apply(t testing.TB, doc []byte, r Result) []byte {
	t.Helper()
	if len(r.Patch) == 0 {
		return doc
	}
	text, err := json.Marshal(r.Patch)
	if err != nil {
		t.Fatal(err)
	}
	patch, err := jsonpatch.DecodePatch(text)
	if err != nil {
		t.Fatalf("%s: %s", err, text)
	}
	out, err := patch.Apply(doc)
	if err != nil {
		t.Fatalf("%s: %s on %s", err, text, doc)
	}
	return out
}

func typed(t testing.TB, doc []byte) *corev1.Pod {
	t.Helper()
	p := new(corev1.Pod)
	if err := json.Unmarshal(doc, p); err != nil {
		t.Fatalf("%s: %s", err, doc)
	}
	return p
}

// done mutates, and checks that a second time changes nothing.
func (s scene) done(t testing.TB) (*corev1.Pod, Result) {
	t.Helper()
	r, err := s.mutate()
	if err != nil {
		t.Fatal(err)
	}
	s.pod = string(apply(t, []byte(s.pod), r))
	again := s
	again.config.Secret = func() string { return "another" }
	for _, doc := range []string{s.pod, roundTrip(t, s.pod)} {
		again.pod = doc
		if r, err := again.mutate(); err != nil || len(r.Patch) > 0 {
			t.Errorf("the second time: %v, %v\non %s", r.Patch, err, doc)
		}
	}
	return typed(t, []byte(s.pod)), r
}

// roundTrip is what the API server does between two webhooks.
func roundTrip(t testing.TB, doc string) string {
	t.Helper()
	out, err := json.Marshal(typed(t, []byte(doc)))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func find(p *corev1.Pod, name string) *corev1.Container {
	for _, list := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}

func envOf(p *corev1.Pod, name string) map[string]string {
	c := find(p, name)
	if c == nil {
		return nil
	}
	env := map[string]string{}
	for _, v := range c.Env {
		env[v.Name] = v.Value
	}
	return env
}

func names(cs []corev1.Container) (all []string) {
	for _, c := range cs {
		all = append(all, c.Name)
	}
	return all
}

var plain = map[string]string{
	"AZURE_CLIENT_ID":            clientID,
	"AZURE_TENANT_ID":            tenantID,
	"AZURE_FEDERATED_TOKEN_FILE": "/var/run/secrets/azure/wi/token/azure-identity-token",
	"AZURE_AUTHORITY_HOST":       "https://login.microsoftonline.com/",
}

// with is plain and more; an empty value takes away.
func with(pairs ...string) map[string]string {
	all := maps.Clone(plain)
	for i := 0; i < len(pairs); i += 2 {
		if all[pairs[i]] = pairs[i+1]; pairs[i+1] == "" {
			delete(all, pairs[i])
		}
	}
	return all
}

// TestPod is the smallest pod, byte for byte.
func TestPod(t *testing.T) {
	r, err := one().mutate()
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(r.Patch)
	if err != nil {
		t.Fatal(err)
	}
	want := `[` +
		`{"op":"add","path":"/spec/containers/0/volumeMounts","value":[{"name":"` + volumeOf + `","readOnly":true,"mountPath":"/var/run/secrets/azure/wi"}]},` +
		`{"op":"add","path":"/spec/containers/0/env","value":[{"name":"AZURE_CLIENT_ID","value":"` + clientID + `"},{"name":"AZURE_TENANT_ID","value":"` + tenantID + `"},` +
		`{"name":"AZURE_FEDERATED_TOKEN_FILE","value":"/var/run/secrets/azure/wi/token/azure-identity-token"},{"name":"AZURE_AUTHORITY_HOST","value":"https://login.microsoftonline.com/"}]},` +
		`{"op":"add","path":"/spec/volumes","value":[{"name":"` + volumeOf + `","projected":{"sources":[{"serviceAccountToken":{"audience":"api://AzureADTokenExchange","expirationSeconds":3600,"path":"token/azure-identity-token"}}]}}]}` +
		`]`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	if r.Mode != Workload || r.NeedsBundle || len(r.Warnings) > 0 || len(r.Notices) > 0 {
		t.Errorf("%+v", r)
	}
}

// TestEnvironment goes through what containers are given.
func TestEnvironment(t *testing.T) {
	proxy := func(c *Config) {
		c.TokenProxy = TokenProxyConfig{Suffix: "identity-binding", Audience: "api://AKSIdentityBinding", Endpoint: "https://10.0.0.1/ib", SNIName: "ib.test", CAConfigMap: "ib-ca"}
	}
	ours := func(pairs ...string) map[string]string {
		return with(append([]string{"AZURE_KUBERNETES_TOKEN_PROXY", "https://10.0.0.1/ib", "AZURE_KUBERNETES_SNI_NAME", "ib.test",
			"AZURE_KUBERNETES_CA_FILE", "/var/run/secrets/azure/wi/ca-cert/ca.crt"}, pairs...)...)
	}
	const bundle = "/var/run/secrets/azure/wi/ca/ca-bundle.crt"
	bundled := []string{"SSL_CERT_FILE", bundle, "REQUESTS_CA_BUNDLE", bundle, "NODE_EXTRA_CA_CERTS", bundle, "CURL_CA_BUNDLE", bundle}
	endpoint := map[string]string{"AZURE_CLIENT_ID": clientID, "IDENTITY_ENDPOINT": "http://127.0.0.1:8000/msi/token", "IDENTITY_HEADER": "secret"}
	for name, test := range map[string]struct {
		scene scene
		want  map[string]string // of the container main
		mode  Mode
	}{
		"all four":                              {one(), plain, Workload},
		"tenant-id of the service account":      {one(accounts("azure.workload.identity/tenant-id", "own")), with("AZURE_TENANT_ID", "own"), Workload},
		"tenant-id empty: tenant default":       {one(accounts("azure.workload.identity/tenant-id", "")), plain, Workload},
		"no tenant at all: not set":             {one(configured(func(c *Config) { c.TenantID = "" })), with("AZURE_TENANT_ID", ""), Workload},
		"no client-id: not set":                 {one(accounts("azure.workload.identity/client-id", "")), with("AZURE_CLIENT_ID", ""), Workload},
		"white space around client-id":          {one(accounts("azure.workload.identity/client-id", " "+clientID+"\n")), plain, Workload},
		"service account not there":             {one(func(s *scene) { s.missing = true }), with("AZURE_CLIENT_ID", ""), Workload},
		"AZURE_AUTHORITY_HOST of another cloud": {one(configured(func(c *Config) { c.AuthorityHost = "https://login.microsoftonline.us/" })), with("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/"), Workload},
		"variables that the container sets": {one(spec(`"containers":[{"name":"main","env":[{"name":"AZURE_CLIENT_ID","value":"mine"},{"name":"AZURE_TENANT_ID","valueFrom":{"secretKeyRef":{"name":"s","key":"k"}}},{"name":"AZURE_AUTHORITY_HOST"}]}]`)),
			with("AZURE_CLIENT_ID", "mine", "AZURE_TENANT_ID", "", "AZURE_TENANT_ID", "", "AZURE_AUTHORITY_HOST", ""), Workload},
		"env null": {one(spec(`"containers":[{"name":"main","env":null,"volumeMounts":null}],"volumes":null`)), plain, Workload},
		"env []":   {one(spec(`"containers":[{"name":"main","env":[],"volumeMounts":[]}],"volumes":[]`)), plain, Workload},

		"adfs": {one(mode(ADFS), accounts("azure.workload.identity/tenant-id", "own")), with("AZURE_TENANT_ID", "adfs"), ADFS},
		"own authority with a CA": {one(configured(func(c *Config) { c.CABundle = true; c.AuthorityHost = "https://entente.test/" })),
			with(append(bundled, "AZURE_AUTHORITY_HOST", "https://entente.test/")...), Workload},
		"own authority with a CA, SSL_CERT_FILE set": {one(configured(func(c *Config) { c.CABundle = true }), spec(`"containers":[{"name":"main","env":[{"name":"SSL_CERT_FILE","value":"/mine"}]}]`)),
			with(append(slices.Clone(bundled), "SSL_CERT_FILE", "/mine")...), Workload},
		"managed-identity":          {one(mode(ManagedIdentity)), endpoint, ManagedIdentity},
		"managed-identity with CA":  {one(mode(ManagedIdentity), configured(func(c *Config) { c.CABundle = true })), endpoint, ManagedIdentity},
		"managed-identity and port": {one(annotated("entente.id/mode", "managed-identity", "azure.workload.identity/proxy-sidecar-port", "8001")), map[string]string{"AZURE_CLIENT_ID": clientID, "IDENTITY_ENDPOINT": "http://127.0.0.1:8001/msi/token", "IDENTITY_HEADER": "secret"}, ManagedIdentity},
		"managed-identity with an endpoint of its own": {one(mode(ManagedIdentity), spec(`"containers":[{"name":"main","env":[{"name":"IDENTITY_ENDPOINT","value":"http://mine"}]}]`)),
			map[string]string{"AZURE_CLIENT_ID": clientID, "IDENTITY_ENDPOINT": "http://mine"}, ManagedIdentity},
		"token-proxy by mode":                           {one(mode(TokenProxy), configured(proxy)), ours(), TokenProxy},
		"token-proxy by use-SUFFIX":                     {one(annotated("azure.workload.identity/use-identity-binding", "true"), configured(proxy)), ours(), TokenProxy},
		"use-SUFFIX True":                               {one(annotated("azure.workload.identity/use-identity-binding", "True"), configured(proxy)), ours(), TokenProxy},
		"use-SUFFIX false":                              {one(annotated("azure.workload.identity/use-identity-binding", "false"), configured(proxy)), plain, Workload},
		"use-SUFFIX, not configured":                    {one(annotated("azure.workload.identity/use-identity-binding", "true")), plain, Workload},
		"token-proxy, not configured":                   {one(mode(TokenProxy)), plain, Workload},
		"AZURE_KUBERNETES_CA_DATA":                      {one(mode(TokenProxy), configured(proxy), configured(func(c *Config) { c.TokenProxy.CAConfigMap, c.TokenProxy.CAData = "", "PEM" })), ours("AZURE_KUBERNETES_CA_FILE", "", "AZURE_KUBERNETES_CA_DATA", "PEM"), TokenProxy},
		"AZURE_KUBERNETES_CA_DATA, CA_FILE set":         {one(mode(TokenProxy), configured(proxy), configured(func(c *Config) { c.TokenProxy.CAConfigMap, c.TokenProxy.CAData = "", "PEM" }), spec(`"containers":[{"name":"main","env":[{"name":"AZURE_KUBERNETES_CA_FILE","value":"/mine"}]}]`)), ours("AZURE_KUBERNETES_CA_FILE", "/mine"), TokenProxy},
		"references in annotations":                     {one(accounts("azure.workload.identity/client-id", "$(PASSWORD)", "azure.workload.identity/tenant-id", "$x$(PASSWORD)")), with("AZURE_CLIENT_ID", "$$(PASSWORD)", "AZURE_TENANT_ID", "$$x$$(PASSWORD)"), Workload},
		"mode of the namespace":                         {one(func(s *scene) { s.namespace = map[string]string{"entente.id/mode": "adfs"} }), with("AZURE_TENANT_ID", "adfs"), ADFS},
		"mode of the pod before its namespace's":        {one(mode(Workload), func(s *scene) { s.namespace = map[string]string{"entente.id/mode": "adfs"} }), plain, Workload},
		"mode of the namespace before the flag":         {one(configured(func(c *Config) { c.Mode = ADFS }), func(s *scene) { s.namespace = map[string]string{"entente.id/mode": "workload"} }), plain, Workload},
		"--mode":                                        {one(configured(func(c *Config) { c.Mode = ADFS })), with("AZURE_TENANT_ID", "adfs"), ADFS},
		"unknown mode: the next one":                    {one(mode("adsf"), configured(func(c *Config) { c.Mode = ADFS })), with("AZURE_TENANT_ID", "adfs"), ADFS},
		"mode of the pod before use-SUFFIX":             {one(annotated("entente.id/mode", "workload", "azure.workload.identity/use-identity-binding", "true"), configured(proxy)), plain, Workload},
		"use-SUFFIX before mode of the namespace":       {one(annotated("azure.workload.identity/use-identity-binding", "true"), configured(proxy), func(s *scene) { s.namespace = map[string]string{"entente.id/mode": "adfs"} }), ours(), TokenProxy},
		"inject-proxy-sidecar: as workload":             {one(annotated("azure.workload.identity/inject-proxy-sidecar", "false")), plain, Workload},
		"managed-identity by --mode with hostNetwork":   {one(configured(func(c *Config) { c.Mode = ManagedIdentity }), spec(`"hostNetwork":true,"containers":[{"name":"main"}]`)), plain, Workload},
		"managed-identity by --mode on Windows":         {one(configured(func(c *Config) { c.Mode = ManagedIdentity }), spec(`"os":{"name":"windows"},"containers":[{"name":"main"}]`)), plain, Workload},
		"mirror pod (kubernetes.io/config.mirror)":      {one(annotated("kubernetes.io/config.mirror", "h")), map[string]string{}, ""},
		"skip-containers a;b":                           {one(annotated("azure.workload.identity/skip-containers", " other ; main ")), map[string]string{}, Workload},
		"skip-containers of another":                    {one(annotated("azure.workload.identity/skip-containers", "main2"), spec(`"containers":[{"name":"main"},{"name":"main2"}]`)), plain, Workload},
		"mount at the path is kept":                     {one(spec(`"containers":[{"name":"main","volumeMounts":[{"name":"v","mountPath":"/var/run/secrets/azure/wi/"}]}],"volumes":[{"name":"v","emptyDir":{}}]`)), plain, Workload},
		"mount at the path is kept, no CA known in it":  {one(configured(func(c *Config) { c.CABundle = true }), spec(`"containers":[{"name":"main","volumeMounts":[{"name":"v","mountPath":"/var/run/secrets/azure/wi"}]}],"volumes":[{"name":"v","emptyDir":{}}]`)), plain, Workload},
		"volume of the name is kept, no CA known in it": {one(configured(func(c *Config) { c.CABundle = true }), spec(`"containers":[{"name":"main"}],"volumes":[{"name":"`+volumeOf+`","emptyDir":{}}]`)), plain, Workload},
	} {
		t.Run(name, func(t *testing.T) {
			p, r := test.scene.done(t)
			got := envOf(p, "main")
			maps.DeleteFunc(got, func(_, v string) bool { return v == "" })
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if r.Mode != test.mode {
				t.Errorf("mode %q, want %q", r.Mode, test.mode)
			}
		})
	}
}

// TestInitContainers: they are given the same.
func TestInitContainers(t *testing.T) {
	p, _ := one(spec(`"containers":[{"name":"main"}],"initContainers":[{"name":"first"},{"name":"skipped"}]`), annotated("azure.workload.identity/skip-containers", "skipped")).done(t)
	if diff := cmp.Diff(plain, envOf(p, "first")); diff != "" {
		t.Error(diff)
	}
	if c := find(p, "skipped"); len(c.Env)+len(c.VolumeMounts) > 0 {
		t.Errorf("skipped: %+v", c)
	}
}

// TestVolume goes through the volume and its name.
func TestVolume(t *testing.T) {
	token := func(audience string, seconds int64) corev1.VolumeProjection {
		return corev1.VolumeProjection{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token/azure-identity-token", Audience: audience, ExpirationSeconds: &seconds}}
	}
	from := func(name, key, path string) corev1.VolumeProjection {
		return corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Items: []corev1.KeyToPath{{Key: key, Path: path}}, Optional: ptr.To(false)}}
	}
	const audience, expiration = "api://AzureADTokenExchange", "azure.workload.identity/service-account-token-expiration"
	binding := func(change func(*TokenProxyConfig)) func(*scene) {
		return configured(func(c *Config) {
			c.TokenProxy = TokenProxyConfig{Audience: "other", Endpoint: "https://p"}
			change(&c.TokenProxy)
		})
	}
	named := func(meta string) func(*scene) {
		return func(s *scene) { s.pod = strings.Replace(s.pod, `"name":"cat"`, meta, 1) }
	}
	for name, test := range map[string]struct {
		scene scene
		name  string
		want  []corev1.VolumeProjection
	}{
		"default":                                     {one(), volumeOf, []corev1.VolumeProjection{token(audience, 3600)}},
		"expiration of the pod":                       {one(annotated(expiration, "7200")), volumeOf, []corev1.VolumeProjection{token(audience, 7200)}},
		"expiration of the service account":           {one(accounts(expiration, "86400")), volumeOf, []corev1.VolumeProjection{token(audience, 86400)}},
		"expiration of the pod before the account":    {one(annotated(expiration, "3600"), accounts(expiration, "86400")), volumeOf, []corev1.VolumeProjection{token(audience, 3600)}},
		"expiration of the pod before a bad account":  {one(annotated(expiration, "3600"), accounts(expiration, "1")), volumeOf, []corev1.VolumeProjection{token(audience, 3600)}},
		"expiration of the pod empty: the account's":  {one(annotated(expiration, ""), accounts(expiration, "4000")), volumeOf, []corev1.VolumeProjection{token(audience, 4000)}},
		"--audience":                                  {one(configured(func(c *Config) { c.Audience = "own" })), volumeOf, []corev1.VolumeProjection{token("own", 3600)}},
		"generateName (prefix)":                       {one(named(`"generateName":"cat-"`)), "azure-workload-identity-reserved-ac3db979b02f3af2d9821f3e72bad6", []corev1.VolumeProjection{token(audience, 3600)}},
		"name before generateName":                    {one(named(`"generateName":"cat-","name":"cat"`)), volumeOf, []corev1.VolumeProjection{token(audience, 3600)}},
		"CA bundle":                                   {one(configured(func(c *Config) { c.CABundle = true })), volumeOf, []corev1.VolumeProjection{token(audience, 3600), from("entente-ca-bundle", "ca-bundle.crt", "ca/ca-bundle.crt")}},
		"managed-identity: of the proxy":              {one(mode(ManagedIdentity)), volumeOf, []corev1.VolumeProjection{token(audience, 3600)}},
		"--custom-token-endpoint-audience":            {one(mode(TokenProxy), binding(func(*TokenProxyConfig) {})), volumeOf, []corev1.VolumeProjection{token("other", 3600)}},
		"AZURE_KUBERNETES_CA_CONFIGMAP_NAME":          {one(mode(TokenProxy), binding(func(t *TokenProxyConfig) { t.CAConfigMap = "ib-ca" })), volumeOf, []corev1.VolumeProjection{token("other", 3600), from("ib-ca", "ca.crt", "ca-cert/ca.crt")}},
		"volume of an earlier name":                   {one(spec(`"containers":[{"name":"main"}],"volumes":[{"name":"azure-workload-identity-reserved-00","projected":{"sources":[{"serviceAccountToken":{"audience":"` + audience + `","path":"token/azure-identity-token","expirationSeconds":4000}}]}}]`)), "azure-workload-identity-reserved-00", []corev1.VolumeProjection{token(audience, 4000)}},
		"volume of an earlier name, another audience": {one(spec(`"containers":[{"name":"main"}],"volumes":[{"name":"azure-workload-identity-reserved-00","projected":{"sources":[{"serviceAccountToken":{"audience":"x","path":"token/azure-identity-token"}}]}}]`)), volumeOf, []corev1.VolumeProjection{token(audience, 3600)}},
		"volume of the name is kept":                  {one(spec(`"containers":[{"name":"main"}],"volumes":[{"name":"` + volumeOf + `","projected":{"sources":[]}}]`)), volumeOf, nil},
		"AZURE_KUBERNETES_CA_CTB_SIGNER_NAME": {one(mode(TokenProxy), binding(func(t *TokenProxyConfig) { t.CATrustSigner, t.CATrustLabelSelector = "s.test/ca", "a=b" })), volumeOf, []corev1.VolumeProjection{token("other", 3600), {
			ClusterTrustBundle: &corev1.ClusterTrustBundleProjection{SignerName: ptr.To("s.test/ca"), LabelSelector: must(labelSelector("a=b")), Path: "ca-cert/ca.crt", Optional: ptr.To(false)},
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := test.scene.done(t)
			at := "main"
			if find(p, "azwi-proxy") != nil {
				if at = "azwi-proxy"; len(find(p, "main").VolumeMounts) > 0 {
					t.Error("the container of the application mounts the token")
				}
			}
			want := []corev1.VolumeMount{{Name: test.name, ReadOnly: true, MountPath: "/var/run/secrets/azure/wi"}}
			if diff := cmp.Diff(want, find(p, at).VolumeMounts); diff != "" {
				t.Error(diff)
			}
			i := slices.IndexFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == test.name })
			if i < 0 {
				t.Fatalf("no volume %q in %+v", test.name, p.Spec.Volumes)
			}
			if len(test.name) > 63 {
				t.Errorf("%d characters", len(test.name))
			}
			if diff := cmp.Diff(test.want, p.Spec.Volumes[i].Projected.Sources, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestNoVolume: one that nobody mounts is not added.
func TestNoVolume(t *testing.T) {
	for name, s := range map[string]scene{
		"all skipped":      one(annotated("azure.workload.identity/skip-containers", "main")),
		"mount of its own": one(spec(`"containers":[{"name":"main","volumeMounts":[{"name":"v","mountPath":"/var/run/secrets/azure/wi"}]}],"volumes":[{"name":"v","emptyDir":{}}]`)),
	} {
		p, _ := s.done(t)
		for _, v := range p.Spec.Volumes {
			if v.Projected != nil {
				t.Errorf("%s: %+v", name, v)
			}
		}
	}
}

// TestDroppedVolume: what another webhook took away is made again, by the name
// that mounts have, also when the pod is called otherwise by now.
func TestDroppedVolume(t *testing.T) {
	for _, m := range []Mode{Workload, ManagedIdentity} {
		for _, name := range []string{"cat", "named-by-another"} {
			s := one(mode(m), configured(func(c *Config) { c.CABundle = true }))
			p, _ := s.done(t)
			before := p.Spec.Volumes
			p.Name, p.Spec.Volumes = name, nil
			text, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			s.pod = string(text)
			p, _ = s.done(t)
			if diff := cmp.Diff(before, p.Spec.Volumes); diff != "" {
				t.Errorf("%s, %s: %s", m, name, diff)
			}
		}
	}
}

// TestRefusals goes through what is not admitted.
func TestRefusals(t *testing.T) {
	const expiration, port = "azure.workload.identity/service-account-token-expiration", "azure.workload.identity/proxy-sidecar-port"
	const inject = "azure.workload.identity/inject-proxy-sidecar"
	host := spec(`"hostNetwork":true,"containers":[{"name":"main"}]`)
	for name, test := range map[string]struct {
		scene scene
		code  int32
		has   string
	}{
		"expiration 3599":                  {one(annotated(expiration, "3599")), 400, `"3599" is not from 3600 to 86400`},
		"expiration 86401":                 {one(annotated(expiration, "86401")), 400, "of the pod"},
		"expiration no number":             {one(annotated(expiration, "1h")), 400, `"1h"`},
		"expiration of the account":        {one(accounts(expiration, "10")), 400, `service account "pets/cat"`},
		"expiration beyond 64 bits":        {one(annotated(expiration, "99999999999999999999")), 400, ""},
		"inject-proxy-sidecar hostNetwork": {one(annotated(inject, ""), host), 400, "hostNetwork"},
		"managed-identity hostNetwork":     {one(mode(ManagedIdentity), host), 400, "hostNetwork"},
		"proxy on Windows":                 {one(annotated(inject, ""), spec(`"nodeSelector":{"kubernetes.io/os":"windows"},"containers":[{"name":"main"}]`)), 400, "Windows"},
		"no PROXY_IMAGE":                   {one(mode(ManagedIdentity), configured(func(c *Config) { c.ProxyImage = "" })), 400, "PROXY_IMAGE"},
		"no image to redirect with":        {one(annotated(inject, ""), configured(func(c *Config) { c.ProxyImage = "" }), spec(`"containers":[{"name":"azwi-proxy"}]`)), 400, "PROXY_IMAGE"},
		"proxy-sidecar-port 0":             {one(annotated(inject, "", port, "0")), 400, port},
		"proxy-sidecar-port 65536":         {one(annotated(inject, "", port, "65536")), 400, port},
		"proxy-sidecar-port http":          {one(annotated(inject, "", port, "http")), 400, port},
		"--refuse-default-service-account": {one(configured(func(c *Config) { c.RefuseDefaultServiceAccount = true }), pods(`{"spec":{"containers":[]}}`)), 403, `"default"`},
		"duplicate member":                 {one(pods(`{"metadata":{},"spec":{"containers":[{"name":"a","name":"b"}]}}`)), 400, `"name" twice`},
		"duplicate member, escaped":        {one(pods(`{"spec":{"containers":[]},"\u0073pec":{}}`)), 400, `"spec" twice`},
		"duplicate among many":             {one(pods(`{"spec":{"a1":0,"a2":0,"a3":0,"a4":0,"a5":0,"a6":0,"a7":0,"a8":0,"a9":0,"b1":0,"b2":0,"b3":0,"b4":0,"b5":0,"b6":0,"b7":0,"b8":0,"a1":1}}`)), 400, `"a1" twice`},
		"64 levels":                        {one(pods(`{"spec":{"x":` + strings.Repeat(`[`, 63) + strings.Repeat(`]`, 63) + `}}`)), 400, "64 levels"},
		"not JSON":                         {one(pods(`{"spec":{}`)), 400, "unexpected end"},
		"not UTF-8":                        {one(pods("{\"spec\":{\"a\":\"\xff\"}}")), 400, "UTF-8"},
		"too large":                        {one(pods(`{"spec":{"a":"` + strings.Repeat("a", 3<<20) + `"}}`)), 400, "larger"},
		"no object":                        {one(pods(`[]`)), 400, "no object"},
		"no spec":                          {one(pods(`{"metadata":{}}`)), 400, "spec"},
		"containers no list":               {one(pods(`{"spec":{"containers":{}}}`)), 400, "/spec/containers is not a list"},
		"env no list":                      {one(pods(`{"spec":{"containers":[{"env":1}]}}`)), 400, "/spec/containers/0/env is not a list"},
		"container no object":              {one(pods(`{"spec":{"containers":[1]}}`)), 400, "/spec/containers/0 is not an object"},
		"empty":                            {one(pods(``)), 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := test.scene.mutate()
			var refused *Refusal
			if !errors.As(err, &refused) || refused.Code != test.code || !strings.Contains(refused.Message, test.has) {
				t.Errorf("%v, want %d and %q", err, test.code, test.has)
			}
			if len(r.Patch) > 0 || r.NeedsBundle {
				t.Errorf("a refused pod is changed: %+v", r)
			}
		})
	}
}

// TestDefaultAccount: an empty name is "default", and the older field counts.
func TestDefaultAccount(t *testing.T) {
	for text, want := range map[string]string{
		`{"spec":{"containers":[]}}`:                                                         "default",
		`{"spec":{"serviceAccountName":"","containers":[]}}`:                                 "default",
		`{"spec":{"serviceAccount":"old","containers":[]}}`:                                  "old",
		`{"spec":{"serviceAccount":"old","serviceAccountName":"new","containers":[]}}`:       "new",
		`{"metadata":null,"spec":{"serviceAccountName":"new","containers":null,"x":[1.50]}}`: "new",
	} {
		p, err := parsePod([]byte(text))
		if err != nil || p.account != want {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// TestLateContainers: what another webhook adds after the first call is reached by the second.
func TestLateContainers(t *testing.T) {
	for _, m := range Modes() {
		s := one(mode(m), configured(func(c *Config) {
			c.CABundle = true
			c.TokenProxy = TokenProxyConfig{Audience: "other", Endpoint: "https://p"}
		}))
		p, _ := s.done(t)
		p.Spec.Containers = append([]corev1.Container{{Name: "late"}}, p.Spec.Containers...)
		p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{Name: "late-init"})
		p.Name = "named-by-another" // and the hash of the volume with it
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		s.pod, s.config.Secret = string(text), func() string { return "another" }
		p, r := s.done(t)
		for _, late := range []string{"late", "late-init"} {
			if diff := cmp.Diff(envOf(p, "main"), envOf(p, late)); diff != "" {
				t.Errorf("%s: %s: %s", m, late, diff)
			}
			if diff := cmp.Diff(find(p, "main").VolumeMounts, find(p, late).VolumeMounts); diff != "" {
				t.Errorf("%s: %s: %s", m, late, diff)
			}
		}
		if n := len(p.Spec.Volumes); n != 1 || !r.NeedsBundle && m != ManagedIdentity {
			t.Errorf("%s: %d volumes, bundle %v", m, n, r.NeedsBundle)
		}
	}
}
