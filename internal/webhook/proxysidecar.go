package webhook

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Names of the containers, as azure-workload-identity calls them.
const (
	proxyName     = "azwi-proxy"
	proxyInitName = "azwi-proxy-init"
	proxyProgram  = "/entente-proxy"
	proxyUser     = 1501 // whose own traffic is not redirected
)

func (m *mutation) named(name string) bool {
	is := func(c container) bool { return c.name == name }
	return slices.ContainsFunc(m.inits, is) || slices.ContainsFunc(m.containers, is)
}

func (m *mutation) hasProxy() bool { return m.named(proxyName) }

// addProxy puts the proxy before every other container, so that it answers when
// they start; and before it what redirects their traffic to it.
func (m *mutation) addProxy() {
	var inits []corev1.Container
	if m.intercept && !m.named(proxyInitName) {
		inits = append(inits, m.proxyInit())
	}
	if !m.hasProxy() {
		proxy := m.proxySidecar()
		if m.config.nativeSidecars() {
			always := corev1.ContainerRestartPolicyAlways
			proxy.RestartPolicy = &always
			proxy.StartupProbe = &corev1.Probe{
				ProbeHandler:  corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: m.probe()}},
				PeriodSeconds: 1, TimeoutSeconds: 5, FailureThreshold: 60,
			}
			inits = append(inits, proxy)
		} else {
			proxy.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: m.probe()}}}
			prependTo(m, m.list, []corev1.Container{proxy})
		}
	}
	if len(inits) > 0 {
		prependTo(m, m.initList, inits)
	}
}

func (m *mutation) probe() []string {
	return []string{proxyProgram, "--proxy-port=" + strconv.Itoa(m.port), "--probe"}
}

func (m *mutation) proxySidecar() corev1.Container {
	m.volume.needed = true
	bundle := m.config.CABundle && m.volume.bundle
	m.checkBundle(container{name: proxyName}, bundle)
	level := m.config.ProxyLogLevel
	if level == "" {
		level = "info"
	}
	yes, no, user := true, false, int64(proxyUser)
	return corev1.Container{
		Name:            proxyName,
		Image:           m.config.ProxyImage,
		ImagePullPolicy: m.pullPolicy(),
		Args:            []string{"--proxy-port=" + strconv.Itoa(m.port), "--log-level=" + level},
		Env:             slices.DeleteFunc(m.variables(true, bundle), func(v corev1.EnvVar) bool { return v.Value == "" }),
		VolumeMounts:    []corev1.VolumeMount{{Name: m.volume.name, ReadOnly: true, MountPath: mountPath}},
		Resources:       m.resources(),
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: &no,
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			Privileged:               &no,
			ReadOnlyRootFilesystem:   &yes,
			RunAsGroup:               &user,
			RunAsNonRoot:             &yes,
			RunAsUser:                &user,
			SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	}
}

func (m *mutation) proxyInit() corev1.Container {
	image := m.config.ProxyInitImage
	if image == "" {
		image = m.config.ProxyImage
	}
	port := strconv.Itoa(m.port)
	yes, no, root := true, false, int64(0)
	return corev1.Container{
		Name:            proxyInitName,
		Image:           image,
		ImagePullPolicy: m.pullPolicy(),
		Command:         []string{proxyProgram},
		Args:            []string{"init", "--proxy-port=" + port, "--proxy-uid=" + fmt.Sprint(proxyUser)},
		Env:             []corev1.EnvVar{variable("PROXY_PORT", port)},
		Resources:       m.resources(),
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: &no,
			Capabilities:             &corev1.Capabilities{Add: []corev1.Capability{"NET_ADMIN"}, Drop: []corev1.Capability{"ALL"}},
			Privileged:               &no,
			ReadOnlyRootFilesystem:   &yes,
			RunAsGroup:               &root,
			RunAsNonRoot:             &no,
			RunAsUser:                &root,
			SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	}
}

func (m *mutation) pullPolicy() corev1.PullPolicy {
	if m.config.ProxyPullPolicy == "" {
		return corev1.PullIfNotPresent
	}
	return corev1.PullPolicy(m.config.ProxyPullPolicy)
}

// resources asks for little. In a pod of quality of service Guaranteed it asks
// for all that it may take, so that the pod stays one.
func (m *mutation) resources() corev1.ResourceRequirements {
	limits := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("64Mi")}
	requests := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("5m"), corev1.ResourceMemory: resource.MustParse("16Mi")}
	if m.guaranteed() {
		requests = limits
	}
	return corev1.ResourceRequirements{Limits: limits, Requests: requests}
}

// guaranteed says whether all containers have limits for processor and memory,
// and requests that are equal to them or left out
// (kubernetes.io/docs/concepts/workloads/pods/pod-qos).
func (m *mutation) guaranteed() bool {
	for _, c := range slices.Concat(m.inits, m.containers) {
		for _, name := range []string{"cpu", "memory"} {
			limit, ok := quantity(c.value.at("resources", "limits", name))
			if !ok || limit.IsZero() {
				return false
			}
			if request := c.value.at("resources", "requests", name); request.there() {
				if q, ok := quantity(request); !ok || q.Cmp(limit) != 0 {
					return false
				}
			}
		}
	}
	return len(m.containers) > 0
}

// quantity reads an amount that a machine could have. 1e999999999 is a Quantity
// too, and comparing it takes as many digits.
func quantity(v value) (resource.Quantity, bool) {
	text := string(v.raw)
	if v.kind == '"' {
		text = v.text()
	}
	if i := strings.IndexAny(text, "eE"); len(text) > 40 || i >= 0 && len(text)-i > 4 {
		return resource.Quantity{}, false
	}
	q, err := resource.ParseQuantity(text)
	return q, err == nil
}
