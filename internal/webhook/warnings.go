package webhook

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"k8s.io/apimachinery/pkg/util/validation"
)

// What is said of one object, which is not valid yet: its names may be of any
// length, and there may be any number of them.
const (
	maxWarnings = 20
	maxWarning  = 256 // characters
	maxLooks    = 100 // at annotations or names that could be misspelled
)

// warn says something to whoever creates the pod, once. The API server cuts a
// warning at 256 characters, and clients like 120
// (kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers).
func (m *mutation) warn(format string, args ...any) {
	w := brief(format, args...)
	if len(m.result.Warnings) < maxWarnings && !slices.Contains(m.result.Warnings, w) {
		m.result.Warnings = append(m.result.Warnings, w)
	}
}

func brief(format string, args ...any) string {
	text := fmt.Sprintf(format, args...)
	if len(text) <= maxWarning {
		return text
	}
	return fmt.Sprintf("%.*s…", maxWarning-1, text)
}

// tell warns, and leaves word with the service account too: whoever creates pods
// is mostly a controller, and nobody reads what it is warned of.
func (m *mutation) tell(reason, format string, args ...any) {
	m.warn(format, args...)
	n := Notice{reason, brief(format, args...)}
	if len(m.result.Notices) < maxWarnings && !slices.Contains(m.result.Notices, n) {
		m.result.Notices = append(m.result.Notices, n)
	}
}

func forbidden(format string, args ...any) error {
	return &Refusal{http.StatusForbidden, fmt.Sprintf(format, args...)}
}

// checkIdentity warns of what makes an identity that nobody has.
func (m *mutation) checkIdentity() {
	account := m.accountName()
	switch {
	case !m.account.Found:
		m.warn("service account %s is not there: %s is not set", account, clientVariable)
	case m.client == "" && !m.allHave(clientVariable):
		m.tell(ReasonNoClientID, "service account %s has no annotation %s: %s is not set", account, clientAnnotation, clientVariable)
	case m.client != "" && !isGUID(m.client):
		m.tell(ReasonBadClientID, "service account %s: %s %.60q is not a client id (GUID)", account, clientAnnotation, m.client)
	}
	if m.tenant == "" && !m.allHave(tenantVariable) {
		m.tell(ReasonNoTenant, "service account %s has no annotation %s, nor the webhook a tenant: %s is not set", account, tenantAnnotation, tenantVariable)
	}
	if m.pod.account == "default" {
		m.tell(ReasonDefault, "service account %s gives its identity to every pod of the namespace that names no other", account)
	}
}

// allHave says whether every container that is completed sets a variable itself.
func (m *mutation) allHave(name string) bool {
	for _, c := range slices.Concat(m.inits, m.containers) {
		if !c.has(name) && c.name != proxyInitName && !m.skip[c.name] {
			return false
		}
	}
	return true
}

func isGUID(s string) bool {
	_, err := uuid.Parse(s)
	return err == nil && len(s) == 36 // Parse also takes braces, urn: and no hyphens
}

// checkSkipped warns of names that are no containers'. A container that another
// webhook adds later is none yet, which is why it takes more to be warned of
// some names than of all.
func (m *mutation) checkSkipped(skip []string) {
	if len(skip) == 0 {
		m.warn("annotation %s names no container", skipAnnotation)
		return
	}
	var names []string
	for _, c := range slices.Concat(m.inits, m.containers) {
		names = append(names, c.name)
	}
	found, said := false, false
	for _, s := range skip[:min(len(skip), maxLooks)] {
		if slices.Contains(names, s) {
			found = true
			continue
		}
		if len(validation.IsDNS1123Label(s)) > 0 {
			m.warn("annotation %s: %.60q is no name of a container; names are separated by ;", skipAnnotation, s)
			said = true
		} else if near := nearest(s, names); near != "" {
			m.warn("annotation %s: the pod has no container %q; it has %q", skipAnnotation, s, near)
			said = true
		}
	}
	if !found && !said {
		m.warn("annotation %s: the pod has no container %.60q (yet)", skipAnnotation, strings.Join(skip[:min(len(skip), maxLooks)], ";"))
	}
}

// checkPort warns of a container that listens where the proxy does.
func (m *mutation) checkPort() {
	for _, c := range m.containers {
		for _, p := range c.value.get("ports").elements {
			if c.name != proxyName && p.get("containerPort").number() == m.port && cmp.Or(p.get("protocol").text(), "TCP") == "TCP" {
				m.warn("container %q has port %d, and so has the proxy: choose by annotation %s", c.name, m.port, portAnnotation)
			}
		}
	}
}

// checkUser warns of a container that runs as the proxy's user: it is not
// redirected, and what answers it is the node, with the node's identity.
func (m *mutation) checkUser() {
	if !m.intercept {
		return
	}
	for _, c := range slices.Concat(m.inits, m.containers) {
		user := c.value.at("securityContext", "runAsUser")
		if !user.there() {
			user = m.user
		}
		if user.number() == proxyUser && c.name != proxyName {
			m.warn("container %q runs as user %d, which is the proxy's: it is not redirected from 169.254.169.254", c.name, proxyUser)
		}
	}
}

// checkOrder warns of init containers that run before the proxy, or before what
// leads them to it; the latter are answered by the node.
func (m *mutation) checkOrder() {
	for i, c := range m.inits {
		if c.name == proxyInitName || c.name == proxyName {
			continue
		}
		after := func(o container) bool { return o.name == proxyInitName }
		if m.intercept && slices.ContainsFunc(m.inits[i:], after) {
			m.warn("init container %q runs before %s: it is not redirected from 169.254.169.254", c.name, proxyInitName)
		} else if !m.config.nativeSidecars() {
			m.warn("Kubernetes before 1.32: init container %q runs before the proxy, and gets no token from it", c.name)
		}
	}
}

// checkDetour warns of a container whose programs ask the endpoint by way of an
// HTTP proxy, and send it the secret. Python's clients and curl do, Go's never.
func (m *mutation) checkDetour(c container) {
	set := func(names ...string) string {
		for _, name := range names {
			if v, _ := c.env.named(name); v.get("value").text() != "" {
				return v.get("value").text()
			}
		}
		return ""
	}
	if set("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY") == "" {
		return
	}
	except := strings.FieldsFunc(set("no_proxy", "NO_PROXY"), func(r rune) bool { return r == ',' || r == ' ' })
	if !slices.Contains(except, "*") && !slices.Contains(except, "127.0.0.1") {
		m.warn("container %q has an HTTP proxy: it would be sent %s, unless NO_PROXY and no_proxy have 127.0.0.1", c.name, identityHeader)
	}
}

// A place is where an annotation counts.
type place string

const (
	onPod       place = "the pod"
	onAccount   place = "the service account"
	onNamespace place = "the namespace"
)

// places are the annotations that are known, and where they count.
var places = map[string][]place{
	clientAnnotation:     {onAccount},
	tenantAnnotation:     {onAccount},
	expirationAnnotation: {onPod, onAccount},
	skipAnnotation:       {onPod},
	injectAnnotation:     {onPod},
	portAnnotation:       {onPod},
	modeAnnotation:       {onPod, onNamespace},
	objectAnnotation:     {onAccount},
	resourceAnnotation:   {onAccount},
}

func (m *mutation) checkAnnotations(ofNamespace map[string]string) {
	for _, w := range annotationWarnings(m.annotations, onPod, m.config.TokenProxy.Suffix) {
		m.warn("%s", w)
	}
	for _, w := range annotationWarnings(ofNamespace, onNamespace, m.config.TokenProxy.Suffix) {
		m.warn("%s", w)
	}
	for _, w := range annotationWarnings(m.account.Annotations, onAccount, m.config.TokenProxy.Suffix) {
		m.tell(ReasonAnnotation, "%s", w)
	}
}

// annotationWarnings tells of annotations that do nothing where they are, and
// of those that look like one that would.
func annotationWarnings(annotations map[string]string, at place, suffix string) (warnings []string) {
	keys := slices.DeleteFunc(slices.Sorted(maps.Keys(annotations)), func(key string) bool { return !resembles(key) })
	for _, key := range keys[:min(len(keys), maxLooks)] {
		where, known := places[key]
		switch {
		case known && slices.Contains(where, at), suffix != "" && key == prefix+"use-"+suffix && at == onPod:
		case known:
			warnings = append(warnings, fmt.Sprintf("annotation %s does nothing on %s: it belongs on %s", key, at, where[0]))
		case key == Label:
			warnings = append(warnings, fmt.Sprintf("annotation %s does nothing: it is a label, of pods", key))
		case nearKey(key) != "":
			warnings = append(warnings, fmt.Sprintf("annotation %.80s does nothing: is %s meant?", key, nearKey(key)))
		case strings.HasPrefix(key, prefix+"use-"):
			warnings = append(warnings, fmt.Sprintf("annotation %.80s does nothing: the webhook is not configured for it", key))
		case strings.HasPrefix(key, prefix):
			warnings = append(warnings, fmt.Sprintf("annotation %.80s does nothing: the webhook does not know it", key))
		}
	}
	return warnings
}

// resembles passes over nearly all annotations at little cost.
func resembles(key string) bool {
	return len(key) < 128 && (strings.Contains(key, "zure") || strings.Contains(key, "identity") || strings.HasPrefix(key, "entente"))
}

// nearKey returns the known annotation that a name is nearly, if one is.
func nearKey(key string) string {
	for _, known := range slices.Sorted(maps.Keys(places)) {
		if letters(known) == letters(key) {
			return known
		}
	}
	return nearest(key, slices.Sorted(maps.Keys(places)))
}

// letters leaves out what people forget and mix up in names.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("./-_ ", r) {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// nearest returns the candidate that is at most two edits away, or "".
func nearest(s string, candidates []string) string {
	best, distance := "", 3
	for _, c := range candidates {
		if d := edits(s, c, distance); d < distance && d < min(len(s), len(c)) {
			best, distance = c, d
		}
	}
	return best
}

// edits is the Levenshtein distance of two texts in bytes, or something not less
// than limit.
func edits(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal, least := row[0], i+1
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], d
			least = min(least, d)
		}
		if least >= limit {
			return limit
		}
	}
	return row[len(b)]
}

// AccountWarnings says what of a service account will not work, for whoever
// writes it. Its document is one as the API server sends it; one that cannot be
// read has no warnings, since nothing is decided by it.
func AccountWarnings(account []byte, c Config) []string {
	doc, err := parse(account)
	if err != nil {
		return nil
	}
	meta := doc.get("metadata")
	annotations := meta.get("annotations").texts()
	var warnings []string
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	if _, has := meta.get("labels").texts()[Label]; has {
		warn("label %s does nothing on a service account: it belongs on the pods (template.metadata.labels)", Label)
	}
	if id := strings.TrimSpace(annotations[clientAnnotation]); id != "" && !isGUID(id) {
		warn("annotation %s: %.60q is not a client id (GUID)", clientAnnotation, id)
	}
	if text := annotations[expirationAnnotation]; text != "" {
		if n, err := strconv.ParseInt(text, 10, 64); err != nil || n < minExpiration || n > maxExpiration {
			warn("annotation %s: %.20q is not from %d to %d: pods will be refused", expirationAnnotation, text, minExpiration, maxExpiration)
		}
	}
	if id := strings.TrimSpace(annotations[objectAnnotation]); id != "" && !isGUID(id) {
		warn("annotation %s: %.60q is not an object id (GUID)", objectAnnotation, id)
	}
	if id := strings.TrimSpace(annotations[resourceAnnotation]); id != "" && !strings.HasPrefix(strings.ToLower(id), "/subscriptions/") {
		warn("annotation %s: %.60q is not the resource id of an identity (/subscriptions/…)", resourceAnnotation, id)
	}
	warnings = append(warnings, annotationWarnings(annotations, onAccount, c.TokenProxy.Suffix)...)
	return warnings[:min(len(warnings), maxWarnings)]
}
