package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// A maker makes pods, with what the API of this program's day does not know.
type maker struct{ *rand.Rand }

func (m maker) pick(of ...string) string { return of[m.IntN(len(of))] }

func (m maker) maybe(text string) string {
	if m.IntN(2) == 0 {
		return ""
	}
	return text
}

// any makes any value, with numbers and strings that do not survive being read
// and written again by everybody.
func (m maker) any(depth int) string {
	if depth > 3 {
		return m.pick("null", "1e400", "-0", "1.0", "9007199254740993", `"<&>\u2028"`, `"\ud83d\ude00\/"`, "true")
	}
	switch m.IntN(4) {
	case 0:
		return m.list(m.IntN(3), func(int) string { return m.any(depth + 1) })
	case 1:
		return m.object(func(i int) string {
			return fmt.Sprintf(`"%s%d":%s`, m.pick("Spec", "env", "name", "é", `\u0061`), i, m.any(depth+1))
		}, m.IntN(3))
	}
	return m.any(9)
}

func (m maker) list(n int, item func(i int) string) string {
	var all []string
	for i := range n {
		all = append(all, item(i))
	}
	return "[" + strings.Join(all, m.pick(",", " ,\n ")) + "]"
}

func (m maker) object(member func(i int) string, n int) string {
	var all []string
	for i := range n {
		if s := member(i); s != "" {
			all = append(all, s)
		}
	}
	return "{" + strings.Join(all, ",") + "}"
}

// members joins those that are there, in any order.
func (m maker) members(all ...string) string {
	m.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return m.object(func(i int) string { return all[i] }, len(all))
}

func (m maker) env() string {
	return m.maybe(`"env":` + m.pick("null", m.list(m.IntN(4), func(i int) string {
		name := m.pick("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "SSL_CERT_FILE", "OTHER") + strings.Repeat("X", i)
		return m.members(`"name":"`+name+`"`, m.maybe(`"value":"<v>"`), m.maybe(`"later":`+m.any(0)))
	})))
}

func (m maker) mounts() string {
	return m.maybe(`"volumeMounts":` + m.pick("null", m.list(m.IntN(3), func(i int) string {
		at := m.pick("/var/run/secrets/azure/wi", "/data") + strings.Repeat("x", i)
		return m.members(`"name":"`+m.pick("v", volumeOf)+`"`, `"mountPath":"`+at+`"`, m.maybe(`"later":`+m.any(0)))
	})))
}

func (m maker) containers(kind string) string {
	return m.pick(m.list(m.IntN(4), func(i int) string {
		name := fmt.Sprintf("%s-%d", kind, i)
		if m.IntN(8) == 0 && i == 0 {
			name = m.pick("azwi-proxy", "azwi-proxy-init")
		}
		return m.members(`"name":"`+name+`"`, m.env(), m.mounts(), m.maybe(`"image":"i"`), m.maybe(`"later":`+m.any(0)), m.maybe(`"ports":[{"containerPort":8000}]`))
	}), "null", "[]")
}

func (m maker) pod() string {
	annotations := m.maybe(`"annotations":` + m.members(
		m.maybe(`"entente.id/mode":"`+m.pick("workload", "adfs", "managed-identity", "token-proxy", "x")+`"`),
		m.maybe(`"azure.workload.identity/inject-proxy-sidecar":""`),
		m.maybe(`"azure.workload.identity/skip-containers":"a-0;i-1"`),
		m.maybe(`"azure.workload.identity/service-account-token-expiration":"7200"`)))
	return m.members(`"metadata":`+m.members(m.maybe(`"name":"cat"`), m.maybe(`"generateName":"c-"`), annotations, m.maybe(`"later":`+m.any(0))),
		`"kind":"Pod"`, m.maybe(`"later":`+m.any(0)),
		`"spec":`+m.members(`"containers":`+m.containers("a"), m.maybe(`"initContainers":`+m.containers("i")), m.maybe(`"later":`+m.any(0)),
			m.maybe(`"serviceAccountName":"cat"`),
			m.maybe(`"volumes":`+m.pick("null", m.list(m.IntN(3), func(i int) string {
				return m.members(`"name":"`+m.pick("v", volumeOf)+strings.Repeat("x", i)+`"`, m.maybe(`"later":`+m.any(0)))
			})))))
}

// survives says where a document lost or changed something that was there, and
// where it gained something that is not ours.
func survives(before, after value, at string) error {
	if before.kind != after.kind && !(before.kind == 'n' && after.kind == '[') {
		return fmt.Errorf("%s: %.80s became %.80s", at, before.raw, after.raw)
	}
	switch before.kind {
	case 'n':
		if after.kind == '[' && ours(at) == "" {
			return fmt.Errorf("%s: null became a list", at)
		}
	case '{':
		for _, m := range before.members {
			i := 0
			for i < len(after.members) && after.members[i].name != m.name {
				i++
			}
			if i == len(after.members) {
				return fmt.Errorf("%s/%s is lost", at, m.name)
			}
			if err := survives(m.value, after.members[i].value, at+"/"+m.name); err != nil {
				return err
			}
		}
		had := map[string]bool{}
		for _, m := range before.members {
			had[m.name] = true
		}
		for _, m := range after.members {
			if !had[m.name] && ours(at+"/"+m.name) == "" {
				return fmt.Errorf("%s/%s was added", at, m.name)
			}
		}
	case '[':
		rest := after.elements
		switch ours(at) {
		case "containers":
			rest = nil
			had := map[string]bool{}
			for _, e := range before.elements {
				had[e.get("name").text()] = true
			}
			for _, e := range after.elements {
				if n := e.get("name").text(); had[n] || n != "azwi-proxy" && n != "azwi-proxy-init" {
					rest = append(rest, e)
				}
			}
		case "end":
			if len(rest) >= len(before.elements) {
				rest = rest[:len(before.elements)]
			}
		}
		if len(rest) != len(before.elements) {
			return fmt.Errorf("%s: %d elements became %d", at, len(before.elements), len(rest))
		}
		for i, e := range before.elements {
			if err := survives(e, rest[i], at+"/-"); err != nil {
				return err
			}
		}
	case '"':
		// The library that applies patches writes < as \u003c and the like.
		if before.text() != after.text() {
			return fmt.Errorf("%s: %s became %s", at, before.raw, after.raw)
		}
	default:
		if !bytes.Equal(before.raw, after.raw) {
			return fmt.Errorf("%s: %s became %s", at, before.raw, after.raw)
		}
	}
	return nil
}

// ours says how a list may change: by containers of ours, or at its end.
func ours(at string) string {
	switch at {
	case "/spec/containers", "/spec/initContainers":
		return "containers"
	case "/spec/volumes", "/spec/containers/-/env", "/spec/initContainers/-/env", "/spec/containers/-/volumeMounts", "/spec/initContainers/-/volumeMounts":
		return "end"
	}
	return ""
}

// TestNothingElseMoves: whatever a pod is, what is not ours is as it was, and a
// second call finds nothing to do.
func TestNothingElseMoves(t *testing.T) {
	m := maker{rand.New(rand.NewPCG(1, 2))}
	patched := 0
	for range 3000 {
		doc := m.pod()
		s := one(pods(doc), configured(func(c *Config) {
			c.CABundle = m.IntN(2) == 0
			c.KubernetesVersion = m.pick("", "v1.31.0")
			c.TokenProxy = TokenProxyConfig{Audience: "other", Endpoint: "https://p"}
			c.Mode = Modes()[m.IntN(len(Modes()))]
		}))
		if n := checkMutate(t, s); n > 0 {
			patched++
		}
		if t.Failed() {
			return
		}
	}
	if patched < 1000 {
		t.Errorf("only %d of the pods were changed", patched)
	}
}

// checkMutate checks what holds for every document, and returns the number of operations.
func checkMutate(t testing.TB, s scene) int {
	t.Helper()
	r, err := s.mutate()
	if err != nil {
		if len(r.Patch) > 0 {
			t.Errorf("refused and changed: %s", s.pod)
		}
		return 0
	}
	out := apply(t, []byte(s.pod), r)
	before, err := parse([]byte(s.pod))
	if err != nil {
		t.Fatal(err)
	}
	after, err := parse(out)
	if err != nil {
		t.Fatalf("%s: %s", err, out)
	}
	if err := survives(before, after, ""); err != nil {
		t.Errorf("%s\nbefore: %s\nafter:  %s", err, s.pod, out)
	}
	again := s
	again.pod, again.config.Secret = string(out), func() string { return "another" }
	second, err := again.mutate()
	if err != nil || len(second.Patch) > 0 {
		text, _ := json.Marshal(second.Patch)
		t.Errorf("the second time: %v %s\nbefore: %s\nafter:  %s", err, text, s.pod, out)
	}
	return len(r.Patch)
}

func FuzzMutate(f *testing.F) {
	m := maker{rand.New(rand.NewPCG(3, 4))}
	for range 50 {
		f.Add(m.pod(), clientID, "7200", "adfs", false)
	}
	f.Add(one().pod, "", "", "", true)
	f.Add(`{"metadata":{"annotations":{"kubernetes.io/config.mirror":""}},"spec":{}}`, "", "", "", true)
	f.Add(`{"spec":{"containers":[{"env":[{}],"volumeMounts":[{}]}]}}`, "x", "1", "managed-identity", true)
	f.Fuzz(func(t *testing.T, doc, client, expiration, mode string, old bool) {
		s := one(pods(doc), accounts("azure.workload.identity/client-id", client, "azure.workload.identity/service-account-token-expiration", expiration), configured(func(c *Config) {
			c.CABundle = old
			c.TokenProxy = TokenProxyConfig{Suffix: "x", Audience: "other", Endpoint: "https://p"}
			if old {
				c.KubernetesVersion = "1.20"
			}
		}))
		s.namespace = map[string]string{"entente.id/mode": mode}
		checkMutate(t, s)
	})
}

// FuzzAccountWarnings: whatever a service account is, it is only read.
func FuzzAccountWarnings(f *testing.F) {
	f.Add([]byte(`{"metadata":{"annotations":{"azure.workload.identity/client_id":"x"}}}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		for _, w := range AccountWarnings(doc, Config{}) {
			if w == "" {
				t.Error("an empty warning")
			}
		}
	})
}

// large is a pod of some 20 KiB, as controllers and service meshes make them.
func large(tb testing.TB) string {
	p := typed(tb, []byte(one(annotated("a", strings.Repeat("x", 2000))).pod))
	for i := range 6 {
		c := corev1.Container{Name: fmt.Sprint("c-", i), Image: "registry.example.com/some/image:1.2.3", Args: []string{strings.Repeat("--flag=value ", 20)}}
		for j := range 30 {
			c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprint("SOME_VARIABLE_", j), Value: "some value of it"})
		}
		c.VolumeMounts = []corev1.VolumeMount{{Name: "v", MountPath: "/data"}, {Name: "kube-api-access-abcde", MountPath: "/var/run/secrets/kubernetes.io/serviceaccount", ReadOnly: true}}
		p.Spec.Containers = append(p.Spec.Containers, c)
	}
	text, err := json.Marshal(p)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

func BenchmarkMutate(b *testing.B) {
	for _, test := range []struct {
		name  string
		scene scene
	}{
		{"small", one()},
		{"large", one(pods(large(b)))},
		{"large/managed-identity", one(pods(large(b)), configured(func(c *Config) { c.Mode, c.CABundle = ManagedIdentity, true }))},
	} {
		b.Run(test.name, func(b *testing.B) {
			b.SetBytes(int64(len(test.scene.pod)))
			b.ReportAllocs()
			for b.Loop() {
				if r, err := test.scene.mutate(); err != nil || len(r.Patch) == 0 {
					b.Fatal(err)
				}
			}
		})
	}
}
