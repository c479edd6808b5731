package manifest_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/entente-id/entente/internal/manifest"
)

const keys = `{"keys":[{"kty":"EC","crv":"P-256","kid":"1","alg":"ES256","use":"sig","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`

var files = fstest.MapFS{
	"keys/prod.json": {Data: []byte(keys)},
	"keys/none.json": {Data: []byte(`{"keys":[]}`)},
	"keys/huge.json": {Data: []byte(strings.Repeat(" ", 512<<10+1))},
	"text.pem":       {Data: []byte("no certificate")},
}

// guide holds the complete example.
const guide = "../../docs/guides/seed.md"

// ignored are where things stand, which the other tests look at.
var ignored = cmpopts.IgnoreTypes(manifest.Place{})

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       manifest.Manifest
	}{
		{"only a version", "version: 1\n", manifest.Manifest{Version: 1}},
		{"JSON, which is YAML", `{"resourceGroups": [{"name": "pets", "tags": {"env": "dev"}}]}`,
			manifest.Manifest{Objects: manifest.Objects{ResourceGroups: []manifest.ResourceGroup{{Name: "pets", Tags: map[string]string{"env": "dev"}}}}}},
		{"a service account, the default audience, an issuer by its name", `
issuers:
  - {name: prod, issuer: https://oidc.example.org/prod/}
applications:
  - displayName: worker
    federatedCredentials:
      - {name: a, issuer: prod, serviceAccount: pets/worker}
      - {name: b, issuer: https://oidc.example.org/other, subject: "repo:x/y:ref:refs/heads/main", audiences: [api://other], description: CI}
`, manifest.Manifest{Objects: manifest.Objects{
			Issuers: []manifest.Issuer{{Name: "prod", URL: "https://oidc.example.org/prod/"}},
			Applications: []manifest.Application{{DisplayName: "worker", Holder: manifest.Holder{FederatedCredentials: []manifest.FederatedCredential{
				{Name: "a", Issuer: "https://oidc.example.org/prod/", ServiceAccount: "pets/worker", Subject: "system:serviceaccount:pets:worker", Audiences: []string{"api://AzureADTokenExchange"}},
				{Name: "b", Issuer: "https://oidc.example.org/other", Subject: "repo:x/y:ref:refs/heads/main", Audiences: []string{"api://other"}, Description: "CI"},
			}}}},
		}}},
		{"defaults of app roles", `
applications:
  - displayName: api
    appRoles:
      - value: Pets.Read
      - {value: Pets.Write, displayName: Write pets, isEnabled: false, allowedMemberTypes: [User]}
`, manifest.Manifest{Objects: manifest.Objects{Applications: []manifest.Application{{DisplayName: "api", AppRoles: []manifest.AppRole{
			{Value: "Pets.Read", DisplayName: "Pets.Read", Description: "Pets.Read", Enabled: true, MemberTypes: []string{"Application"}},
			{Value: "Pets.Write", DisplayName: "Write pets", Description: "Write pets", MemberTypes: []string{"User"}},
		}}}}}},
		{"key sources", `
issuers:
  - {name: one, issuer: https://one.example/, keySource: Discovery}
  - {name: two, issuer: https://two.example/, jwksUri: https://two.example/keys}
  - {name: three, issuer: https://three.example/, keySetFile: keys/prod.json, algorithms: [ES256], allowMultipleAudiences: true}
  - name: four
    issuer: https://four.example/
    keySet: ` + keys + `
`, manifest.Manifest{Objects: manifest.Objects{Issuers: []manifest.Issuer{
			{Name: "one", URL: "https://one.example/", KeySource: manifest.Discovery},
			{Name: "two", URL: "https://two.example/", KeySource: manifest.JWKSURI, JWKSURI: "https://two.example/keys"},
			{Name: "three", URL: "https://three.example/", KeySource: manifest.KeySet, KeySetFile: "keys/prod.json", KeySet: []byte(keys), Algorithms: []string{"ES256"}, ManyAudiences: true},
			{Name: "four", URL: "https://four.example/", KeySource: manifest.KeySet, KeySet: []byte(keys)},
		}}}},
		{"a key set in YAML", `
issuers:
  - name: yaml
    issuer: https://yaml.example/
    keySet:
      keys:
        - {kty: RSA, n: "AQAB", e: AQAB, x-n: 1, x-b: true, x-z: null, x-f: 1.5, x-l: [a, 2]}
`, manifest.Manifest{Objects: manifest.Objects{Issuers: []manifest.Issuer{{
			Name: "yaml", URL: "https://yaml.example/", KeySource: manifest.KeySet,
			KeySet: []byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","x-n":1,"x-b":true,"x-z":null,"x-f":1.5,"x-l":["a",2]}]}`),
		}}}}},
		{"tenants", `
tenant: {id: 9F2C6A5E-3b1d-4c8f-8a70-5d1e2b3c4d5e, displayName: Dev, domain: dev.example.org}
policy: {maxFederatedIdentityCredentials: 100, registeredIssuersOnly: true}
tenants:
  - domain: other.example.org
    administrator: {issuer: https://oidc.example.org/ops/, serviceAccount: ops/admin}
    managedIdentities:
      - {name: worker, resourceGroup: pets, roleAssignments: [{role: Reader, scope: subscription}, {role: Contributor, resourceGroup: pets}]}
`, manifest.Manifest{
			Default: manifest.Names{ID: "9F2C6A5E-3b1d-4c8f-8a70-5d1e2b3c4d5e", DisplayName: "Dev", Domain: "dev.example.org"},
			Objects: manifest.Objects{Policy: manifest.Policy{MaxCredentials: 100, RegisteredIssuersOnly: true}},
			Tenants: []manifest.Tenant{{
				Names:         manifest.Names{Domain: "other.example.org"},
				Administrator: &manifest.Administrator{Issuer: "https://oidc.example.org/ops/", Subject: "system:serviceaccount:ops:admin", ServiceAccount: "ops/admin"},
				Objects: manifest.Objects{ManagedIdentities: []manifest.ManagedIdentity{{Name: "worker", ResourceGroup: "pets", Holder: manifest.Holder{
					RoleAssignments: []manifest.RoleAssignment{{Role: "Reader", Scope: "subscription"}, {Role: "Contributor", ResourceGroup: "pets"}},
				}}}},
			}},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := manifest.Read("seed.yaml", []byte(c.text), files)
			if err != nil {
				t.Fatal(err)
			}
			c.want.File = "seed.yaml"
			if diff := cmp.Diff(&c.want, got, ignored); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReadKnowsWhatIsGiven(t *testing.T) {
	m, err := manifest.Read("seed.yaml", []byte("applications:\n  - displayName: a\n    description: ''\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	a := m.Applications[0]
	if !a.Has("description") || a.Has("notes") || !m.Has("applications") || m.Has("issuers") || a.ServicePrincipal.Has("tags") {
		t.Errorf("%+v", a.Place)
	}
	if got, want := a.Problem("description", "no %s", "good"), (manifest.Problem{Line: 3, Path: "applications[0].description", Text: "no good"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := a.Problem("", "no"), (manifest.Problem{Line: 2, Path: "applications[0]", Text: "no"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Each manifest in testdata/bad ends with the whole error that it is, in comments.
func TestReadSaysWhatIsWrong(t *testing.T) {
	names, err := os.ReadDir("testdata/bad")
	if err != nil || len(names) == 0 {
		t.Fatal(err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(name.Name(), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile("testdata/bad/" + name.Name())
			if err != nil {
				t.Fatal(err)
			}
			got := problems(t, string(text))
			if want := expected(string(text)); !slices.Equal(got, want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

func problems(t *testing.T, text string) []string {
	t.Helper()
	m, err := manifest.Read("seed.yaml", []byte(text), files)
	if err == nil {
		return nil
	}
	if m != nil {
		t.Error("a manifest comes with its problems")
	}
	return strings.Split(err.Error(), "\n")
}

// expected are the lines of a manifest that say "#! " and a line of its error.
func expected(text string) (want []string) {
	for line := range strings.Lines(text) {
		if problem, ok := strings.CutPrefix(line, "#! "); ok {
			want = append(want, strings.TrimSuffix(problem, "\n"))
		}
	}
	return want
}

func TestReadIsBounded(t *testing.T) {
	lol := "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 10; i++ {
		lol += strings.ReplaceAll("aN: &aN [*aP, *aP, *aP, *aP, *aP, *aP, *aP, *aP, *aP]\n", "N", string(rune('0'+i)))
		lol = strings.ReplaceAll(lol, "P", string(rune('0'+i-1)))
	}
	many := "resourceGroups:\n" + strings.Repeat("  - {nme: x}\n", 150)
	for _, c := range []struct{ name, text, last string }{
		{"nothing", "", "seed.yaml:1: is empty"},
		{"a comment", "# nothing\n", "seed.yaml:1: is empty"},
		{"a dash", "---\n", "seed.yaml:1: is empty"},
		{"large", strings.Repeat("#\n", 1<<19+1), "seed.yaml:1: is larger than 1048576 bytes: split it"},
		{"not UTF-8", "version: \xff\n", "seed.yaml:1: is not UTF-8"},
		{"UTF-16", "\xff\xfev\x00", "seed.yaml:1: is not UTF-8"},
		{"billion laughs", lol, "seed.yaml:10: a9: there is no such field: there are applications, issuers, managedIdentities, owner, policy, resourceGroups, tenant, tenants, version"},
		{"deep", "version: " + strings.Repeat("[", 20000), "seed.yaml:1: is not YAML: exceeded max depth of 10000"},
		{"deep key set", "issuers:\n- name: deep\n  issuer: https://deep.example/\n  keySet: " + strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20), "seed.yaml:4: issuers[0].keySet: is more than 16 levels deep"},
		{"many problems", many, "seed.yaml: and 200 more"},
		{"two documents", "version: 1\n---\nversion: 1\n", "seed.yaml:3: a second document begins here, and a manifest is one"},
		{"half a second document", "version: 1\n---\n[", "seed.yaml:3: is not YAML: did not find expected node content"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := problems(t, c.text)
			if len(got) == 0 || got[len(got)-1] != c.last {
				t.Errorf("got %d lines, the last %q; want %q", len(got), got[max(len(got)-1, 0):], c.last)
			}
		})
	}
	if got := problems(t, many); len(got) != 101 {
		t.Errorf("%d lines of problems", len(got))
	}
}

func FuzzRead(f *testing.F) {
	names, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range append(names, guide) {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := manifest.Read("seed.yaml", data, files)
		if (m == nil) == (err == nil) {
			t.Fatalf("%v and %v", m, err)
		}
		if err == nil {
			return
		}
		for line := range strings.Lines(err.Error()) {
			if !strings.HasPrefix(line, "seed.yaml:") {
				t.Errorf("a line of the error says no file: %q", line)
			}
		}
	})
}

// What Azure takes for the name of a resource group.
func TestGroupNames(t *testing.T) {
	for name, want := range map[string]bool{
		"pets": true, "Über_(1).2-": true, ".pets": true, strings.Repeat("ü", 90): true,
		strings.Repeat("ü", 91): false, "pets.": false, "pets/cat": false, "a b": false,
	} {
		_, err := manifest.Read("seed.yaml", []byte("resourceGroups:\n  - name: '"+name+"'\n"), nil)
		if (err == nil) != want {
			t.Errorf("%q: %v", name, err)
		}
	}
}
