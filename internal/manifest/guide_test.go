package manifest_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/entente-id/entente/internal/manifest"
)

// The guide's example is read literally, and it is complete: every field that
// the schema has stands in it, if only in a comment.
func TestGuide(t *testing.T) {
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(text), "```yaml\n")
	example, _, ok := strings.Cut(example, "```")
	if !ok {
		t.Fatal("the guide has no example")
	}
	m, err := manifest.Read("seed.yaml", []byte(example), files)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Applications) != 2 || len(m.ManagedIdentities) != 1 || len(m.Tenants) != 1 {
		t.Errorf("%+v", m)
	}
	if got := m.Applications[1].FederatedCredentials[0].Spec(); got.Issuer != "https://oidc.example.org/prod/" || got.Subject != "system:serviceaccount:pets:workload-identity-sa" {
		t.Errorf("%+v", got)
	}
	for _, field := range fields(reflect.TypeOf(*m)) {
		if !strings.Contains(example, field+":") && !strings.Contains(example, "or "+field) {
			t.Errorf("the example does not show %s", field)
		}
	}
}

// fields are the names of all fields below a type.
func fields(t reflect.Type) (names []string) {
	switch t.Kind() {
	case reflect.Slice, reflect.Pointer:
		return fields(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if name := f.Tag.Get("yaml"); name != "" && name != "-" {
				names = append(names, name)
			}
			names = append(names, fields(f.Type)...)
		}
	}
	return names
}
