package webhook

import (
	"path"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Variables of containers. What SDKs read: azure.github.io/azure-workload-identity/docs/topics/language-specific-examples/azure-identity-sdk.html,
// and for the endpoint learn.microsoft.com/azure/app-service/overview-managed-identity.
const (
	clientVariable    = "AZURE_CLIENT_ID"
	tenantVariable    = "AZURE_TENANT_ID"
	fileVariable      = "AZURE_FEDERATED_TOKEN_FILE"
	authorityVariable = "AZURE_AUTHORITY_HOST"

	identityEndpoint = "IDENTITY_ENDPOINT"
	identityHeader   = "IDENTITY_HEADER"

	tokenProxyVariable = "AZURE_KUBERNETES_TOKEN_PROXY"
	sniVariable        = "AZURE_KUBERNETES_SNI_NAME"
	caFileVariable     = "AZURE_KUBERNETES_CA_FILE"
	caDataVariable     = "AZURE_KUBERNETES_CA_DATA"

	identitiesVariable = "ENTENTE_IDENTITIES"
)

// bundleVariables name a file of root certificates: to Go and OpenSSL, to
// Python's requests, to Node, and to curl. Node adds them to its own roots, the
// others read nothing else; which is why the file holds the public roots too.
var bundleVariables = []string{"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE"}

// complete gives a container what it lacks.
func (m *mutation) complete(c container) {
	if c.name == proxyInitName || m.skip[c.name] {
		return
	}
	isProxy := c.name == proxyName
	mounts := m.mode != ManagedIdentity || isProxy
	bundle := false
	if mounts {
		at := m.mountOf(c)
		if at.add {
			appendTo(m, c.mounts, []corev1.VolumeMount{{Name: at.volume, ReadOnly: true, MountPath: mountPath}})
		}
		bundle = at.bundle
	}
	var lacking []corev1.EnvVar
	for _, v := range m.variables(isProxy, bundle) {
		if v.Value != "" && !c.has(v.Name) {
			lacking = append(lacking, v)
		}
	}
	if m.mode == ManagedIdentity && !isProxy && c.has(identityEndpoint) != c.has(identityHeader) {
		// Its endpoint is not ours: it gets no secret for it, nor the other way round.
		lacking = slices.DeleteFunc(lacking, func(v corev1.EnvVar) bool { return v.Name == identityEndpoint || v.Name == identityHeader })
		m.warn("container %q sets one of %s and %s: it is not given the other", c.name, identityEndpoint, identityHeader)
	}
	if m.mode == ManagedIdentity && !isProxy {
		m.checkDetour(c)
	}
	if c.has(caFileVariable) || c.has(caDataVariable) { // SDKs refuse to be given both
		lacking = slices.DeleteFunc(lacking, func(v corev1.EnvVar) bool { return v.Name == caFileVariable || v.Name == caDataVariable })
	}
	appendTo(m, c.env, lacking)
}

// variables returns what a container is to have, in order; what is empty is not
// set. bundle says that bundlePath is there for it.
func (m *mutation) variables(isProxy, bundle bool) []corev1.EnvVar {
	if m.mode == ManagedIdentity && !isProxy {
		// No file and no tenant: an SDK that saw them would go to the authority by itself.
		return []corev1.EnvVar{
			variable(clientVariable, literal(m.client)),
			variable(identityEndpoint, m.endpoint()),
			variable(identityHeader, m.secret),
		}
	}
	all := []corev1.EnvVar{
		variable(clientVariable, literal(m.client)),
		variable(tenantVariable, literal(m.tenant)),
		variable(fileVariable, path.Join(mountPath, tokenPath)),
		variable(authorityVariable, m.config.authority()),
	}
	if t := m.config.TokenProxy; m.mode == TokenProxy {
		file := ""
		if t.CAConfigMap != "" || t.CATrustSigner != "" {
			file = path.Join(mountPath, tokenProxyCAPath) // SDKs refuse to be given both
		}
		all = append(all,
			variable(tokenProxyVariable, t.Endpoint),
			variable(sniVariable, t.SNIName),
			variable(caFileVariable, file),
			variable(caDataVariable, t.CAData),
		)
	}
	if bundle {
		for _, name := range bundleVariables {
			all = append(all, variable(name, path.Join(mountPath, bundlePath)))
		}
	}
	if isProxy {
		all = append(all, variable(identityHeader, m.secret), variable(identitiesVariable, literal(m.identities())))
	}
	return all
}

// literal keeps kubelets from putting the value of another variable of the
// container, a password perhaps, where a text of the service account has $(NAME)
// (kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables).
func literal(text string) string { return strings.ReplaceAll(text, "$", "$$") }

func (m *mutation) endpoint() string {
	return "http://127.0.0.1:" + strconv.Itoa(m.port) + "/msi/token"
}
