package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// The volume of the token. Up to azure-workload-identity 1.5 it had another name
// and path; SDKs look at AZURE_FEDERATED_TOKEN_FILE only.
const (
	mountPath        = "/var/run/secrets/azure/wi"
	tokenPath        = "token/azure-identity-token"
	tokenProxyCAPath = "ca-cert/ca.crt"
	bundlePath       = "ca/" + BundleKey

	volumePrefix = "azure-workload-identity-reserved-"
	maxName      = 63 // of a volume: RFC 1123 label
)

// volumeName is made from the name of a pod, or from what its name begins with,
// as azure-workload-identity 1.6 makes it.
func (p *pod) volumeName() string {
	of := p.name
	if of == "" {
		of = p.generateName + " (prefix)"
	}
	sum := sha256.Sum256([]byte(of))
	return (volumePrefix + hex.EncodeToString(sum[:]))[:maxName]
}

// A volume is where the token is, and what else is known to be there.
type volume struct {
	name   string
	there  bool // the pod has it
	token  bool // it has tokenPath, or will
	needed bool // a container mounts it by our doing
	bundle bool // it has bundlePath
}

// chooseVolume takes a volume that the pod has: the one of the name, or one that
// an earlier call made when the pod was called otherwise. Where that one was
// dropped since and its mounts were not, it is made again by its old name.
func (m *mutation) chooseVolume() volume {
	name := m.volumeName()
	if v, ok := m.volumes.named(name); ok {
		return volume{name: name, there: true, token: projects(v, tokenPath), bundle: projects(v, bundlePath)}
	}
	for _, v := range m.volumes.items {
		if is := v.get("name").text(); strings.HasPrefix(is, volumePrefix) && m.tokenOf(v) {
			return volume{name: is, there: true, token: true, bundle: projects(v, bundlePath)}
		}
	}
	for _, c := range slices.Concat(m.inits, m.containers) {
		is, _ := c.mountAt(mountPath)
		if _, there := m.volumes.named(is); strings.HasPrefix(is, volumePrefix) && !there {
			name = is
			break
		}
	}
	return volume{name: name, token: true, bundle: m.config.CABundle}
}

// tokenOf says whether a volume has a token of the wanted audience.
func (m *mutation) tokenOf(v value) bool {
	for _, s := range v.at("projected", "sources").elements {
		if t := s.get("serviceAccountToken"); t.get("path").text() == tokenPath && t.get("audience").text() == m.audience() {
			return true
		}
	}
	return false
}

func (m *mutation) audience() string {
	if m.mode == TokenProxy {
		return m.config.TokenProxy.Audience
	}
	return m.config.audience()
}

// projects says whether a volume is known to have a file.
func projects(v value, file string) bool {
	for _, s := range v.at("projected", "sources").elements {
		if path.Clean(s.at("serviceAccountToken", "path").text()) == file || path.Clean(s.at("clusterTrustBundle", "path").text()) == file {
			return true
		}
		for _, of := range []string{"configMap", "secret", "downwardAPI"} {
			for _, item := range s.at(of, "items").elements {
				if path.Clean(item.get("path").text()) == file {
					return true
				}
			}
		}
	}
	return false
}

// A mount is what stands at mountPath in a container.
type mount struct {
	volume string
	add    bool // it does not, yet
	bundle bool // with bundlePath
}

func (m *mutation) mountOf(c container) mount {
	name, mounted := c.mountAt(mountPath)
	if !mounted || name == m.volume.name {
		m.volume.needed = true
		if !m.volume.token {
			m.warn("volume %q was there before, and is not known to have %s", m.volume.name, tokenPath)
		}
		at := mount{volume: m.volume.name, add: !mounted, bundle: m.config.CABundle && m.volume.bundle}
		m.checkBundle(c, at.bundle)
		return at
	}
	at := mount{volume: name}
	if v, there := m.volumes.named(name); there {
		at.bundle = m.config.CABundle && projects(v, bundlePath)
		if !projects(v, tokenPath) {
			m.warn("container %q mounts volume %q at %s: the token is not there", c.name, name, mountPath)
		}
	}
	m.checkBundle(c, at.bundle)
	return at
}

// checkBundle notes that a container needs the ConfigMap, or warns that it does
// without the certificates of the authority.
func (m *mutation) checkBundle(c container, has bool) {
	switch {
	case has:
		m.result.NeedsBundle = true
	case m.config.CABundle && !c.has(bundleVariables[0]):
		m.warn("container %q: its volume was there before, and has no certificates of the authority (%s)", c.name, bundlePath)
	}
}

// addVolume adds the volume if somebody mounts it that has none.
func (m *mutation) addVolume() {
	if m.volume.there || !m.volume.needed {
		return
	}
	sources := []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{
		Path: tokenPath, Audience: m.audience(), ExpirationSeconds: &m.seconds,
	}}}
	required := false
	if t := m.config.TokenProxy; m.mode == TokenProxy {
		switch {
		case t.CAConfigMap != "":
			sources = append(sources, file(t.CAConfigMap, "ca.crt", tokenProxyCAPath))
		case t.CATrustSigner != "":
			selector, _ := labelSelector(t.CATrustLabelSelector)
			sources = append(sources, corev1.VolumeProjection{ClusterTrustBundle: &corev1.ClusterTrustBundleProjection{
				SignerName: &t.CATrustSigner, LabelSelector: selector, Path: tokenProxyCAPath, Optional: &required,
			}})
		}
	}
	if m.volume.bundle {
		sources = append(sources, file(BundleName, BundleKey, bundlePath))
	}
	appendTo(m, m.volumes, []corev1.Volume{{
		Name:         m.volume.name,
		VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: sources}},
	}})
}

// file is one key of a ConfigMap, without which a pod does not start: a program
// that finds no file behind SSL_CERT_FILE trusts nobody.
func file(configMap, key, at string) corev1.VolumeProjection {
	required := false
	return corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{
		LocalObjectReference: corev1.LocalObjectReference{Name: configMap},
		Items:                []corev1.KeyToPath{{Key: key, Path: at}},
		Optional:             &required,
	}}
}
