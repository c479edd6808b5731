package webhook

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

// repeated is a list of n texts that are made from their place in it.
func repeated(n int, of func(i int) string) string {
	return strings.Join(each(n, of), ",")
}

func each(n int, of func(i int) string) (all []string) {
	for i := range n {
		all = append(all, of(i))
	}
	return all
}

// TestWhatHostilePodsCost: API servers ask webhooks before they validate. So the
// lengths of names and lists are whatever an author likes, up to 3 MiB, and none
// may take much time or memory. Before they were bounded, each of these took
// from seconds to for ever.
func TestWhatHostilePodsCost(t *testing.T) {
	const skip = "azure.workload.identity/skip-containers"
	long := strings.Repeat("a", 1<<20)
	guaranteed := func(requests, limits string) scene {
		return one(mode(ManagedIdentity), spec(`"containers":[{"name":"main","resources":{"requests":{"cpu":`+requests+`,"memory":1},"limits":{"cpu":`+limits+`,"memory":1}}}]`))
	}
	for name, test := range map[string]struct {
		scene   scene
		refused bool
	}{
		"containers":      {scene: one(spec(`"containers":[` + repeated(1001, func(int) string { return `{}` }) + `]`)), refused: true},
		"init containers": {scene: one(spec(`"containers":[],"initContainers":[` + repeated(1001, func(int) string { return `{}` }) + `]`)), refused: true},
		"volumes":         {scene: one(spec(`"containers":[{}],"volumes":[` + repeated(1001, func(int) string { return `{"name":"a"}` }) + `]`)), refused: true},
		"values":          {scene: one(spec(`"containers":[{"args":[` + repeated(200_000, func(int) string { return `""` }) + `]}]`)), refused: true},
		"as many as are taken": {scene: one(spec(`"containers":[` + repeated(1000, func(i int) string {
			return fmt.Sprintf(`{"name":"c%d","volumeMounts":[{"name":"v%d","mountPath":"/var/run/secrets/azure/wi"}]}`, i, i)
		}) + `],"volumes":[` + repeated(1000, func(i int) string { return fmt.Sprintf(`{"name":"v%d"}`, 999-i) }) + `]`))},
		"skipped names":              {scene: one(annotated(skip, strings.Join(each(200_000, func(i int) string { return fmt.Sprintf("_%d", i) }), ";")))},
		"skipped names, nearly ours": {scene: one(annotated(skip, strings.Join(each(200_000, func(i int) string { return fmt.Sprintf("main%x", i) }), ";")))},
		"skipped nobodies":           {scene: one(annotated(skip, strings.Repeat(";", 2<<20)))},
		"annotations that look like ours": {scene: one(annotated(each(100_000, func(i int) string {
			if i%2 == 0 {
				return fmt.Sprintf("azure.workload.identity/%d", i)
			}
			return ""
		})...))},
		"annotations of the namespace": {scene: one(func(s *scene) {
			s.namespace = map[string]string{}
			for i := range 50_000 {
				s.namespace[fmt.Sprintf("zure.workload.identity/client-%d", i)] = ""
			}
		})},
		"annotations of the account":        {scene: one(accounts(each(100_000, func(i int) string { return fmt.Sprintf("azure.workload.identity/%d", i) })...))},
		"a long name of a container":        {scene: one(mode(ManagedIdentity), spec(`"containers":[{"name":"`+long+`","env":[{"name":"IDENTITY_HEADER"}]}]`))},
		"a long name beyond ASCII":          {scene: one(mode(ManagedIdentity), spec(`"containers":[{"name":"`+strings.Repeat("é", 1<<18)+`","env":[{"name":"IDENTITY_HEADER"}]}]`))},
		"a long port":                       {scene: one(mode(ManagedIdentity), annotated(), pods(`{"metadata":{"annotations":{"entente.id/mode":"managed-identity","azure.workload.identity/proxy-sidecar-port":"`+long+`"}},"spec":{"serviceAccountName":"cat","containers":[{}]}}`)), refused: true},
		"a quantity with a billion digits":  {scene: guaranteed(`"1"`, `"1e999999999"`)},
		"a small one with a billion digits": {scene: guaranteed(`"1e-999999999"`, `"1"`)},
		"a number with a billion digits":    {scene: guaranteed(`1`, `1E999999999`)},
		"a long quantity":                   {scene: guaranteed(`"1"`, `"1`+strings.Repeat("0", 1<<20)+`"`)},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := test.scene.mutate()
			var refused *Refusal
			if errors.As(err, &refused) != test.refused || test.refused && (refused.Code != http.StatusBadRequest || len(refused.Message) > 300) {
				t.Errorf("%.300v", err)
			}
			if len(r.Warnings) > maxWarnings || len(r.Notices) > maxWarnings || len(r.Patch) > 4*maxItems {
				t.Errorf("%d warnings, %d notices, %d operations", len(r.Warnings), len(r.Notices), len(r.Patch))
			}
			texts := r.Warnings
			for _, n := range r.Notices {
				texts = append(texts, n.Message)
			}
			for _, text := range texts {
				if utf8.RuneCountInString(text) > maxWarning || !utf8.ValidString(text) {
					t.Errorf("%d characters: %.300s", len(text), text)
				}
			}
		})
	}
	doc := `{"metadata":{"annotations":{` + repeated(50_000, func(i int) string { return fmt.Sprintf(`"azure.workload.identity/%d":""`, i) }) + `}}}`
	if got := AccountWarnings([]byte(doc), Config{}); len(got) != maxWarnings {
		t.Errorf("%d warnings of a service account", len(got))
	}
}

// TestSkippedIsASet: a name far behind counts as well.
func TestSkippedIsASet(t *testing.T) {
	p, _ := one(annotated("azure.workload.identity/skip-containers", strings.Repeat("other;", 1000)+strings.Join(each(200, func(i int) string { return fmt.Sprint("c", i) }), ";")+";main")).done(t)
	if c := find(p, "main"); len(c.Env)+len(c.VolumeMounts) > 0 {
		t.Errorf("skipped: %+v", c)
	}
}
