package webhook

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"gomodules.xyz/jsonpatch/v2"
	corev1 "k8s.io/api/core/v1"
)

// What pods, service accounts and namespaces say. Names under prefix are those
// of azure-workload-identity 1.6
// (azure.github.io/azure-workload-identity/docs/topics/service-account-labels-and-annotations.html).
const (
	prefix    = "azure.workload.identity/"
	ownPrefix = "entente.id/"

	clientAnnotation     = prefix + "client-id"                        // of service accounts
	tenantAnnotation     = prefix + "tenant-id"                        // of service accounts
	expirationAnnotation = prefix + "service-account-token-expiration" // of both, seconds
	skipAnnotation       = prefix + "skip-containers"                  // of pods, "a;b"
	injectAnnotation     = prefix + "inject-proxy-sidecar"             // of pods; whatever its value
	portAnnotation       = prefix + "proxy-sidecar-port"               // of pods

	modeAnnotation     = ownPrefix + "mode"        // of pods and namespaces
	objectAnnotation   = ownPrefix + "object-id"   // of service accounts
	resourceAnnotation = ownPrefix + "resource-id" // of service accounts
)

// Bounds of the lifetime of the token, in seconds.
const (
	minExpiration     = 3600
	maxExpiration     = 86400
	defaultExpiration = 3600
)

// Mutate says what becomes of a pod that asks for a federated identity: the
// patch that it needs, and what its owner should know. pod is the document as
// the API server sent it, namespace that of the request (the document often has
// none), namespaceAnnotations those of that namespace.
//
// What the pod sets itself is kept: a variable, a volume of the same name, a
// mount at the same path, a container. So a pod that has been through Mutate
// needs nothing more, and a container that somebody else added in the meantime
// is given what it lacks.
//
// An error is a *Refusal. The Result holds the warnings also then.
func Mutate(pod []byte, namespace string, sa ServiceAccount, namespaceAnnotations map[string]string, c Config) (Result, error) {
	p, err := parsePod(pod)
	if err != nil {
		return Result{}, err
	}
	return p.mutate(namespace, sa, namespaceAnnotations, c)
}

func (p *pod) mutate(namespace string, sa ServiceAccount, namespaceAnnotations map[string]string, c Config) (Result, error) {
	if p.mirror {
		return Result{}, nil // the kubelet's picture of a static pod: the API server takes it as it is or not at all
	}
	m := mutation{pod: p, config: c, account: sa, namespace: namespace}
	err := m.run(namespaceAnnotations)
	if err != nil {
		m.result.Patch = nil
		m.result.NeedsBundle = false
	}
	return m.result, err
}

// A mutation is one pod on its way.
type mutation struct {
	*pod
	config    Config
	account   ServiceAccount
	namespace string

	mode      Mode
	intercept bool // 169.254.169.254 leads to the proxy
	proxy     bool // there is a proxy
	port      int
	skip      map[string]bool
	client    string
	tenant    string
	seconds   int64
	secret    string // IDENTITY_HEADER
	volume    volume

	result Result
}

// run goes through the steps in their order: what the pod wants, whether it may,
// what its containers get, what is put beside them.
func (m *mutation) run(namespaceAnnotations map[string]string) error {
	m.checkAnnotations(namespaceAnnotations)
	if err := m.choose(namespaceAnnotations); err != nil {
		return err
	}
	if err := m.identify(); err != nil {
		return err
	}
	m.skipped()
	m.volume = m.chooseVolume()
	if m.mode == ManagedIdentity {
		m.secret = m.chooseSecret()
	}
	for _, c := range m.inits {
		m.complete(c)
	}
	for _, c := range m.containers {
		m.complete(c)
	}
	if m.proxy {
		m.checkPort()
		m.checkUser()
		m.checkOrder()
		m.addProxy()
	}
	m.addVolume()
	m.checkIdentity()
	return nil
}

// choose decides the mode and whether there is a proxy.
func (m *mutation) choose(namespaceAnnotations map[string]string) error {
	asked := m.chooseMode(namespaceAnnotations)
	_, m.intercept = m.annotations[injectAnnotation]
	if m.mode == TokenProxy && m.config.TokenProxy.Endpoint == "" {
		m.warn("mode token-proxy is not configured here (AZURE_KUBERNETES_TOKEN_PROXY): mode workload is used")
		m.mode = Workload
	}
	if m.mode == TokenProxy && m.intercept {
		m.warn("inject-proxy-sidecar in mode token-proxy: the proxy is given a token for %q", m.config.TokenProxy.Audience)
	}
	if m.mode == ManagedIdentity && !asked && !m.intercept {
		// Not this pod asked for the proxy but its namespace or the operator.
		switch {
		case m.hostNetwork:
			m.warn("hostNetwork: there is no proxy on the network of the node; mode workload is used, not managed-identity")
			m.mode = Workload
		case m.windows:
			m.warn("Windows: the proxy is for Linux; mode workload is used, not managed-identity")
			m.mode = Workload
		}
	}
	m.result.Mode = m.mode
	if m.proxy = m.intercept || m.mode == ManagedIdentity; !m.proxy {
		return nil
	}
	switch {
	case m.hostNetwork:
		return badRequest("hostNetwork is true: the proxy is not put on the network of the node, where it would answer other pods (%s)", m.proxyReason())
	case m.windows:
		return badRequest("the proxy is for Linux, and this pod is for Windows (%s)", m.proxyReason())
	case m.config.ProxyImage == "" && (!m.hasProxy() || m.intercept && m.config.ProxyInitImage == "" && !m.named(proxyInitName)):
		return badRequest("the webhook has no image of the proxy, PROXY_IMAGE (%s)", m.proxyReason())
	}
	m.port = DefaultProxyPort
	if text, ok := m.annotations[portAnnotation]; ok {
		port, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
		if err != nil || port == 0 {
			return badRequest("annotation %s: %.20q is no port from 1 to 65535", portAnnotation, text)
		}
		m.port = int(port)
	}
	if m.ofJob && !m.config.nativeSidecars() {
		m.warn("Kubernetes before 1.32: the proxy is an ordinary container, and a Job does not end while it runs")
	}
	return nil
}

func (m *mutation) proxyReason() string {
	if m.intercept {
		return "annotation " + injectAnnotation
	}
	return "mode managed-identity"
}

// chooseMode takes the pod's word before its namespace's, and that before the
// operator's. asked says that the pod itself chose.
func (m *mutation) chooseMode(namespaceAnnotations map[string]string) (asked bool) {
	suffix := m.config.TokenProxy.Suffix
	binding := suffix != "" && strings.EqualFold(m.annotations[prefix+"use-"+suffix], "true")
	if mode, ok := m.modeOf("the pod", m.annotations); ok {
		if binding && mode != TokenProxy {
			m.warn("annotation %s=%s is used, not %suse-%s", modeAnnotation, mode, prefix, suffix)
		}
		m.mode = mode
		return true
	}
	if binding {
		m.mode = TokenProxy
		return true
	}
	if mode, ok := m.modeOf("the namespace", namespaceAnnotations); ok {
		m.mode = mode
		return false
	}
	if m.mode = m.config.Mode; m.mode == "" {
		m.mode = Workload
	}
	return false
}

func (m *mutation) modeOf(where string, annotations map[string]string) (Mode, bool) {
	name := strings.TrimSpace(annotations[modeAnnotation])
	if name == "" {
		return "", false
	}
	mode, err := ParseMode(name)
	if err != nil {
		m.warn("annotation %s of %s: there is no mode %.30q (workload, adfs, managed-identity, token-proxy)", modeAnnotation, where, name)
	}
	return mode, err == nil
}

// identify reads whose token it is and how long it lives.
func (m *mutation) identify() error {
	if m.pod.account == "default" && m.config.RefuseDefaultServiceAccount {
		return forbidden("pods that ask for an identity must not run as the service account %q of their namespace: name one of their own in spec.serviceAccountName", "default")
	}
	m.client = strings.TrimSpace(m.account.Annotations[clientAnnotation])
	if m.tenant = strings.TrimSpace(m.account.Annotations[tenantAnnotation]); m.tenant == "" {
		m.tenant = m.config.TenantID
	}
	if m.mode == ADFS {
		m.tenant = "adfs"
	}
	m.seconds = defaultExpiration
	for _, from := range []struct {
		name        string
		annotations map[string]string
	}{{"the pod", m.annotations}, {"service account " + m.accountName(), m.account.Annotations}} {
		text := from.annotations[expirationAnnotation]
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < minExpiration || n > maxExpiration {
			return badRequest("annotation %s of %s: %.20q is not from %d to %d seconds", expirationAnnotation, from.name, text, minExpiration, maxExpiration)
		}
		m.seconds = n
		break
	}
	return nil
}

func (m *mutation) accountName() string {
	return strconv.Quote(m.namespace + "/" + m.pod.account)
}

// skipped reads the names of containers that are left alone.
func (m *mutation) skipped() {
	text, there := m.annotations[skipAnnotation]
	m.skip = map[string]bool{}
	var names []string
	for name := range strings.SplitSeq(text, ";") {
		if name = strings.TrimSpace(name); name != "" && !m.skip[name] {
			m.skip[name] = true
			names = append(names, name)
		}
	}
	if there {
		m.checkSkipped(names)
	}
}

// chooseSecret keeps a secret that the pod has already.
func (m *mutation) chooseSecret() string {
	endpoint := m.endpoint()
	for _, c := range slices.Concat(m.inits, m.containers) {
		header, _ := c.env.named(identityHeader)
		at, _ := c.env.named(identityEndpoint)
		if s := header.get("value").text(); s != "" && (c.name == proxyName || at.get("value").text() == endpoint) {
			return s
		}
	}
	if m.config.Secret != nil {
		return m.config.Secret()
	}
	random := make([]byte, 32)
	rand.Read(random)
	return base64.RawURLEncoding.EncodeToString(random)
}

// add puts a value where there was none, or before what is at an index.
func (m *mutation) add(path string, v any) {
	m.result.Patch = append(m.result.Patch, jsonpatch.NewOperation("add", path, v))
}

// appendTo adds values at the end of a list, which is made if it is not there.
func appendTo[T any](m *mutation, l list, values []T) {
	switch {
	case len(values) == 0:
	case !l.there:
		m.add(l.path, values)
	default:
		for _, v := range values {
			m.add(l.path+"/-", v)
		}
	}
}

// prependTo adds values at the beginning of a list. It comes after everything
// that speaks of places in it.
func prependTo[T any](m *mutation, l list, values []T) {
	if !l.there {
		appendTo(m, l, values)
		return
	}
	for i, v := range values {
		m.add(l.path+"/"+strconv.Itoa(i), v)
	}
}

// identities is the map by which a proxy knows an identity under other names.
func (m *mutation) identities() string {
	object, resource := m.otherID(objectAnnotation), m.otherID(resourceAnnotation)
	if m.client == "" || object == "" && resource == "" {
		return ""
	}
	data, _ := json.Marshal([]struct {
		ClientID   string `json:"clientId"`
		ObjectID   string `json:"objectId,omitempty"`
		ResourceID string `json:"resourceId,omitempty"`
	}{{m.client, object, resource}})
	return string(data)
}

// otherID reads an annotation of the service account that the proxy would read.
// One that cannot be an id is left out: the proxy would not start, and the pod
// with it, for the sake of a name that perhaps nobody asks by.
func (m *mutation) otherID(annotation string) string {
	id := strings.TrimSpace(m.account.Annotations[annotation])
	if len(id) > 1024 || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		m.tell(ReasonBadIdentity, "service account %s: %s %.60q is no id: the proxy does not know it", m.accountName(), annotation, id)
		return ""
	}
	return id
}

func variable(name, value string) corev1.EnvVar { return corev1.EnvVar{Name: name, Value: value} }
