// Package chart holds the tests of the chart, and of the manifests made from it.
package chart_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/entente-id/entente/deploy/internal/helm"
	"github.com/entente-id/entente/deploy/internal/manifest"
	"github.com/entente-id/entente/deploy/internal/tree"
)

const chart = "entente"

// open returns Helm and the directory of the module. It reads the chart and the
// values, so that go test knows what the tests depend on.
func open(t *testing.T) (*helm.Helm, string) {
	t.Helper()
	root, err := tree.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{".", filepath.Join(root, manifest.Directory)} {
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				_, err = os.ReadFile(name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	h, err := helm.Open(t.Context(), root)
	if errors.Is(err, helm.ErrAbsent) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return h, root
}

// object is a rendered object, or a part of one.
type object map[string]any

// at follows members and, by their names, elements of lists.
func at(v any, path ...string) any {
	for _, name := range path {
		switch of := v.(type) {
		case object:
			v = of[name]
		case map[string]any:
			v = of[name]
		case []any:
			i := slices.IndexFunc(of, func(e any) bool { return at(e, "name") == name })
			if i < 0 {
				return nil
			}
			v = of[i]
		default:
			return nil
		}
	}
	return v
}

// render renders the chart with the values of files.
func render(t *testing.T, h *helm.Helm, args ...string) map[string]object {
	t.Helper()
	text, err := h.Run(t.Context(), append([]string{"template", "entente", chart, "--namespace", "entente-system"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, text)
}

func decode(t *testing.T, text []byte) map[string]object {
	t.Helper()
	objects := map[string]object{}
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var o object
		err := d.Decode(&o)
		if err == io.EOF {
			return objects
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if o == nil {
			continue
		}
		name := at(o, "kind").(string) + "/" + at(o, "metadata", "name").(string)
		if objects[name] != nil {
			t.Errorf("%s is there twice", name)
		}
		objects[name] = o
	}
}

func TestManifestsAreCurrent(t *testing.T) {
	h, root := open(t)
	for _, m := range manifest.All() {
		want, err := m.Render(t.Context(), h, root)
		if err != nil {
			t.Error(err)
			continue
		}
		have, err := os.ReadFile(filepath.Join(root, manifest.Directory, m.Name))
		if diff := cmp.Diff(string(have), string(want)); err != nil || diff != "" {
			t.Errorf("%s: go run ./deploy/manifests would change it (%v):\n%s", m.Name, err, diff)
		}
		decode(t, want)
	}
}

func TestLint(t *testing.T) {
	h, root := open(t)
	values, err := filepath.Glob(filepath.Join(root, manifest.Directory, "values", "*.yaml"))
	if err != nil || len(values) == 0 {
		t.Fatal(values, err)
	}
	more, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(more) == 0 {
		t.Fatal(more, err)
	}
	for _, file := range append(values, more...) {
		out, err := h.Run(t.Context(), "lint", "--strict", chart, "--values", file)
		if err != nil {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}

// What was given to azure-workload-identity's chart has the same effect here.
func TestValuesOfAzureWorkloadIdentity(t *testing.T) {
	h, _ := open(t)
	objects := render(t, h, "--values", "testdata/azwi.yaml")
	deployment := objects["Deployment/entente-webhook"]
	pod := at(deployment, "spec", "template", "spec")
	container := at(pod, "containers", "webhook")
	hook := at(objects["MutatingWebhookConfiguration/entente-webhook"], "webhooks", "mutation.azure-workload-identity.io")
	args := at(container, "args")
	for _, test := range []struct {
		about      string
		have, want any
	}{
		{"replicaCount", at(deployment, "spec", "replicas"), 3},
		{"revisionHistoryLimit", at(deployment, "spec", "revisionHistoryLimit"), 3},
		{"imagePullSecrets", at(pod, "imagePullSecrets", "registry", "name"), "registry"},
		{"nodeSelector", at(pod, "nodeSelector", "pool"), "system"},
		{"resources", at(container, "resources", "limits", "cpu"), "200m"},
		{"affinity", at(pod, "affinity", "podAntiAffinity"), nil},
		{"affinity", at(pod, "affinity", "nodeAffinity") != nil, true},
		{"topologySpreadConstraints", at(pod, "topologySpreadConstraints").([]any)[0].(object)["maxSkew"], 2},
		{"tolerations", len(at(pod, "tolerations").([]any)), 1},
		{"service.type", at(objects["Service/entente-webhook"], "spec", "type"), "NodePort"},
		{"service.port", at(objects["Service/entente-webhook"], "spec", "ports", "webhook", "port"), 8443},
		{"service.port", at(hook, "clientConfig", "service", "port"), 8443},
		{"service.targetPort", at(container, "ports", "webhook", "containerPort"), 10443},
		{"service.targetPort", slices.Contains(args.([]any), any("--port=10443")), true},
		{"azureTenantID", at(container, "env", "AZURE_TENANT_ID", "value"), "72f988bf-86f1-41af-91ab-2d7cd011db47"},
		{"azureEnvironment", at(container, "env", "AZURE_ENVIRONMENT", "value"), "AzureUSGovernmentCloud"},
		{"logLevel", slices.Contains(args.([]any), any("--log-level=debug")), true},
		{"metricsAddr", slices.Contains(args.([]any), any("--metrics-addr=:8099")), true},
		{"metricsAddr", at(container, "ports", "metrics", "containerPort"), 8099},
		{"priorityClassName", at(pod, "priorityClassName"), "system-node-critical"},
		{"mutatingWebhookAnnotations", at(objects["MutatingWebhookConfiguration/entente-webhook"], "metadata", "annotations", "team"), "identity"},
		{"mutatingWebhookNamespaceSelector", at(hook, "namespaceSelector", "matchLabels", "tier"), "apps"},
		{"mutatingWebhookNamespaceSelector", len(at(hook, "namespaceSelector", "matchExpressions").([]any)), 2},
		{"podLabels", at(deployment, "spec", "template", "metadata", "labels", "azure.workload.identity/system"), "true"},
		{"podAnnotations", at(deployment, "spec", "template", "metadata", "annotations", "note"), "hello"},
		{"extraEnv", at(container, "env", "HTTPS_PROXY", "value"), "http://proxy.example.org:3128"},
		{"extraVolumes", at(pod, "volumes", "extra", "name"), "extra"},
		{"extraVolumeMounts", at(container, "volumeMounts", "extra", "mountPath"), "/extra"},
		{"podDisruptionBudget", at(objects["PodDisruptionBudget/entente-webhook"], "spec", "maxUnavailable"), "25%"},
		{"podDisruptionBudget", at(objects["PodDisruptionBudget/entente-webhook"], "spec", "minAvailable"), nil},
		{"podDisruptionBudget", at(objects["PodDisruptionBudget/entente-webhook"], "spec", "unhealthyPodEvictionPolicy"), "AlwaysAllow"},
		{"customTokenEndpoint", slices.Contains(args.([]any), any("--custom-token-endpoint-annotation-suffix=identity-binding")), true},
		{"customTokenEndpoint", slices.Contains(args.([]any), any("--custom-token-endpoint-audience=api://AKSIdentityBinding")), true},
		{"customTokenEndpoint", at(container, "env", "AZURE_KUBERNETES_TOKEN_PROXY", "value"), "https://proxy.example.org"},
		{"customTokenEndpoint", at(container, "env", "AZURE_KUBERNETES_SNI_NAME", "value"), "sni.example.org"},
		{"customTokenEndpoint", at(container, "env", "AZURE_KUBERNETES_CA_CONFIGMAP_NAME", "value"), "proxy-ca"},
		{"customTokenEndpoint", at(container, "env", "AZURE_KUBERNETES_CA_DATA"), nil},
		{"Azure's authority", slices.ContainsFunc(args.([]any), func(a any) bool { return strings.HasPrefix(a.(string), "--authority-host") }), false},
		{"mode", slices.Contains(args.([]any), any("--mode=workload")), true},
	} {
		if test.have != test.want {
			t.Errorf("%s: %v (%[2]T), want %v (%[3]T)", test.about, test.have, test.want)
		}
	}
}

func TestServerOnPostgreSQL(t *testing.T) {
	h, _ := open(t)
	objects := render(t, h, "--values", "testdata/postgresql.yaml", "--api-versions", "monitoring.coreos.com/v1")
	deployment := objects["Deployment/entente"]
	container := at(deployment, "spec", "template", "spec", "containers", "entente")
	args := at(container, "args")
	if at(deployment, "spec", "replicas") != 3 || objects["PodDisruptionBudget/entente"] == nil || objects["StatefulSet/entente"] != nil {
		t.Error("PostgreSQL has no Deployment of three replicas with a budget of disruptions")
	}
	for _, arg := range []string{
		"--public-url=https://entente.example.org", "--host=other.example.org=contoso.example.org",
		"--key-encryption-key=/etc/entente/key-encryption-key/key", "--issuer-allow=10.0.0.0/8", "--issuer-allow=oidc.internal",
		"--bootstrap-admin=https://oidc.example.org/ops/,system:serviceaccount:ops:entente-admin", "--issuer-ca=/etc/entente/issuer-ca/ca.crt",
		"--portal-oidc-issuer=https://id.example.org/realms/shop", "--portal-oidc-client-id=entente", "--portal-oidc-client-secret-file=/etc/entente/portal-oidc/client-secret",
		"--portal-oidc-role=groups=platform:Federation Administrator", "--portal-oidc-role=email=jane@example.org:Reader@/subscriptions/1b7e5f3a-6c2d-4e90-b1a4-7f8d9c0e2a35",
		"--portal-oidc-scope=groups", "--portal-oidc-name-claim=upn", "--portal-oidc-ca=/etc/entente/portal-oidc-ca/ca.crt",
	} {
		if !slices.Contains(args.([]any), any(arg)) {
			t.Errorf("%s is not in %v", arg, args)
		}
	}
	if have := at(container, "env", "ENTENTE_DB", "valueFrom", "secretKeyRef", "name"); have != "entente-db" {
		t.Errorf("the database is in the secret %v", have)
	}
	volumes := at(deployment, "spec", "template", "spec", "volumes")
	if at(volumes, "portal-oidc", "secret", "secretName") != "entente-portal" || at(volumes, "portal-oidc-ca", "configMap", "name") != "organisation" ||
		at(container, "volumeMounts", "portal-oidc", "mountPath") != "/etc/entente/portal-oidc" || at(container, "volumeMounts", "portal-oidc-ca", "mountPath") != "/etc/entente/portal-oidc-ca" {
		t.Errorf("the provider's files are not mounted: %v", volumes)
	}
	var seed object
	if err := yaml.Unmarshal([]byte(at(objects["ConfigMap/entente-seed"], "data", "seed.yaml").(string)), &seed); err != nil {
		t.Error(err)
	}
	if at(seed, "version") != 1 || at(seed, "tenant", "id") != "9f2c6a5e-3b1d-4c8f-8a70-5d1e2b3c4d5e" || at(seed, "tenant", "displayName") != "Dev" {
		t.Errorf("the seed is %v", seed)
	}
	names := at(objects["Secret/entente-tls"], "metadata", "annotations", "entente.id/names")
	if names != "entente,entente.entente-system,entente.entente-system.svc,entente.entente-system.svc.cluster.local,localhost,127.0.0.1,entente.example.org,other.example.org" {
		t.Errorf("the certificate is for %v", names)
	}
	webhook := at(objects["Deployment/entente-webhook"], "spec", "template", "spec")
	args = at(webhook, "containers", "webhook", "args")
	for _, arg := range []string{"--mode=managed-identity", "--refuse-default-service-account", "--authority-host=https://entente.example.org/", "--ca-file=/etc/entente/authority/ca.crt"} {
		if !slices.Contains(args.([]any), any(arg)) {
			t.Errorf("%s is not in %v", arg, args)
		}
	}
	for _, name := range []string{"ServiceMonitor/entente", "ServiceMonitor/entente-webhook"} {
		if at(objects[name], "metadata", "labels", "release") != "prometheus" {
			t.Errorf("%s is not there with its label", name)
		}
	}
}

// What stands in values is what programs get, whatever YAML would make of it.
func TestWordsAreNotYAML(t *testing.T) {
	h, _ := open(t)
	const text = "api://a: b # c"
	objects := render(t, h, "--values", "testdata/all.yaml",
		"--set", "webhook.audience="+text, "--set", "agent.audience="+text, "--set", "agent.resourceGroup="+text, "--set", "server.trustedProxies={fd00::}")
	for name, path := range map[string][]string{
		"--audience=" + text:       {"Deployment/entente-webhook", "webhook"},
		"--resource-group=" + text: {"Deployment/entente-agent", "agent"},
		"--trusted-proxies=fd00::": {"StatefulSet/entente", "entente"},
	} {
		args, _ := at(objects[path[0]], "spec", "template", "spec", "containers", path[1], "args").([]any)
		if !slices.Contains(args, any(name)) {
			t.Errorf("%s is not in %v", name, args)
		}
	}
	sources := at(objects["Deployment/entente-agent"], "spec", "template", "spec", "volumes", "token", "projected", "sources").([]any)
	if got := at(sources[0], "serviceAccountToken", "audience"); got != text {
		t.Errorf("the agent's audience is %v", got)
	}
	for _, name := range []string{"Deployment/entente-webhook", "Deployment/entente-agent", "StatefulSet/entente"} {
		// A Service called entente would give ENTENTE_PORT, which is a flag's twin.
		if at(objects[name], "spec", "template", "spec", "enableServiceLinks") != false {
			t.Errorf("%s has the variables of services", name)
		}
	}
}

// The webhook may do what it does, and no more.
func TestTheWebhookMayListPodsAndNotWatchThem(t *testing.T) {
	h, _ := open(t)
	for _, rule := range at(render(t, h, "--values", "testdata/azwi.yaml")["ClusterRole/entente-webhook"], "rules").([]any) {
		if slices.Contains(at(rule, "resources").([]any), any("pods")) && slices.Contains(at(rule, "verbs").([]any), any("watch")) {
			t.Error("it may watch pods")
		}
	}
}

// cert-manager writes the caBundle itself, where it is asked to.
func TestCertificateOfCertManager(t *testing.T) {
	h, _ := open(t)
	objects := render(t, h, "--set", "azureTenantID=9f2c6a5e-3b1d-4c8f-8a70-5d1e2b3c4d5e", "--set", "webhook.certificate.secretName=own",
		"--set", `mutatingWebhookAnnotations.cert-manager\.io/inject-ca-from=entente-system/webhook`)
	hook := at(objects["MutatingWebhookConfiguration/entente-webhook"], "webhooks", "mutation.azure-workload-identity.io", "clientConfig")
	if hook == nil || at(hook, "caBundle") != nil {
		t.Errorf("the webhook is called by %v", hook)
	}
}

func TestBadValues(t *testing.T) {
	h, _ := open(t)
	tenant := "azureTenantID=9f2c6a5e-3b1d-4c8f-8a70-5d1e2b3c4d5e"
	for _, test := range []struct{ set, message string }{
		{"", "azureTenantID is missing"},
		{tenant + ",webhook.enabled=false", "nothing is enabled"},
		{tenant + ",replicas=3", "additional properties 'replicas' not allowed"},
		{tenant + ",webhook.authority.url=x", "additional properties 'url' not allowed"},
		{tenant + ",replicaCount=0", "at '/replicaCount': minimum: got 0, want 1"},
		{tenant + ",replicaCount=two", "at '/replicaCount': got string, want integer"},
		{tenant + ",logLevel=verbose", "at '/logLevel'"},
		{tenant + ",webhook.healthAddr=:8095", "three ports"},
		{tenant + ",service.port=8095", "two ports"},
		{tenant + ",webhook.mode=proxy", "at '/webhook/mode': value must be one of '', 'workload', 'adfs', 'managed-identity', 'token-proxy'"},
		{tenant + ",webhook.authority.host=http://entente.example.org", "at '/webhook/authority/host'"},
		{tenant + ",webhook.authority.host=https://entente.example.org/path", "at '/webhook/authority/host'"},
		{tenant + ",webhook.authority.ca.configMapName=ca", "goes with webhook.authority.host"},
		{tenant + ",webhook.authority.host=https://a.example,webhook.authority.ca.pem=x,webhook.authority.ca.secretName=y", "only one may be set"},
		{tenant + ",image.repository=mcr.microsoft.com/oss/azure/workload-identity/webhook", "is the webhook of azure-workload-identity"},
		{tenant + ",azureEnvironment=AzureGermanCloud", "at '/azureEnvironment': value must be one of"},
		{tenant + ",podDisruptionBudget.maxUnavailable=-1", "at '/podDisruptionBudget/maxUnavailable'"},
		{tenant + ",webhook.certificate.secretName=own", "webhook.certificate.caBundle is missing"},
		{tenant + ",webhook.mode=token-proxy", "customTokenEndpoint.azureKubernetesTokenProxy is missing"},
		{tenant + ",customTokenEndpoint.azureKubernetesTokenProxy=https://p.example", "customTokenEndpoint.audience is missing"},
		{tenant + ",server.enabled=true,server.database.secretName=db", "server.keyEncryptionKey.secretName is missing"},
		{tenant + ",server.enabled=true,server.database.secretName=db,server.keyEncryptionKey.secretName=k", "server.bootstrapAdmin.issuer and .subject are missing"},
		{tenant + ",server.enabled=true,server.bootstrapAdmin.issuer=https://a.example/", "issuer and subject go together"},
		{tenant + ",server.enabled=true,server.publicURL=https://a.example/path", "at '/server/publicURL'"},
		{tenant + ",server.enabled=true,server.portalOIDC.issuer=http://id.example.org", "at '/server/portalOIDC/issuer'"},
		{tenant + ",server.enabled=true,server.portalOIDC.issuer=https://id.example.org", "server.portalOIDC: issuer needs clientID, and at least one of roles"},
		{tenant + ",server.enabled=true,server.portalOIDC.issuer=https://id.example.org,server.portalOIDC.clientID=entente,server.portalOIDC.roles={Owner}", "at '/server/portalOIDC/roles/0'"},
		{tenant + ",server.enabled=true,server.portalOIDC.clientID=entente", "server.portalOIDC.issuer is missing"},
		{tenant + ",server.enabled=true,server.resourceNames=all", "at '/server/resourceNames'"},
		{"webhook.enabled=false,agent.enabled=true", "agent.url is missing"},
		{"webhook.enabled=false,agent.enabled=true,agent.url=https://e.example,agent.tenantID=t,agent.clientID=me", "at '/agent/clientID'"},
	} {
		out, err := h.Run(t.Context(), "template", "entente", chart, "--set", test.set)
		if err == nil || !strings.Contains(err.Error(), test.message) {
			t.Errorf("%s: %v, want %q\n%.200s", test.set, err, test.message, out)
		}
	}
}
