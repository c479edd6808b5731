// Package internal_test holds the rules of the house: who may import whom.
package internal_test

import (
	"encoding/json"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/entente-id/entente/"

// A room's row: what of ours it may import, and what of others it must never
// reach, by any path. An arrow that is missing here is not allowed; a room that
// is missing here is a failure.
var rooms = map[string]struct {
	may   []string
	never []string
}{
	"cmd/entente":         {may: []string{"internal/cli"}},
	"cmd/entente-webhook": {may: []string{"internal/webhook"}},
	"internal/cli": {may: []string{
		"client", "internal/intercept", "internal/localissuer", "internal/server", "internal/credential", "internal/issuer", "internal/azwi", "internal/login",
		"internal/plan", "internal/manifest", "internal/doctor",
	}},
	"internal/login": {may: []string{"client"}, never: []string{"database/sql", "k8s.io/client-go/rest"}},
	"internal/server": {may: []string{
		"internal/token", "internal/graph", "internal/arm", "internal/portal", "internal/hosted", "internal/seed", "internal/manifest", "internal/exchange", "internal/directory", "internal/issuer",
		"internal/keys", "internal/signin", "internal/credential", "internal/roles", "internal/db",
	}},
	"internal/doctor": {may: []string{"client", "internal/credential", "internal/issuer"}},
	"internal/azwi":   {may: []string{"client", "internal/credential"}, never: []string{"database/sql", "github.com/spf13/pflag"}},
	"internal/plan":   {may: []string{"client", "internal/manifest", "internal/credential", "internal/roles"}, never: []string{"database/sql"}},
	"internal/seed":   {may: []string{"internal/manifest", "internal/directory", "internal/credential", "internal/roles"}, never: []string{"net/http"}},
	"internal/token":  {may: []string{"internal/exchange", "internal/keys", "internal/directory", "internal/strictjson"}},
	"internal/graph":  {may: []string{"internal/directory", "internal/signin", "internal/credential", "internal/roles", "internal/strictjson"}},
	"internal/arm":    {may: []string{"internal/directory", "internal/signin", "internal/credential", "internal/roles", "internal/strictjson"}},
	"internal/portal": {may: []string{
		"internal/exchange", "internal/directory", "internal/issuer", "internal/keys", "internal/signin", "internal/credential", "internal/roles", "internal/strictjson",
	}},
	"internal/hosted":          {may: []string{"internal/directory"}},
	"internal/exchange":        {may: []string{"internal/directory", "internal/issuer", "internal/keys", "internal/credential"}},
	"internal/directory":       {may: []string{"internal/credential", "internal/roles", "internal/rsakey", "internal/db"}},
	"internal/issuer":          {may: []string{"internal/db", "internal/rsakey", "internal/strictjson"}},
	"internal/keys":            {may: []string{"internal/db"}},
	"internal/signin":          {may: []string{"internal/db"}},
	"internal/credential":      {never: []string{"net/http", "database/sql"}},
	"internal/rsakey":          {never: []string{"net/http", "database/sql"}},
	"internal/roles":           {never: []string{"net/http", "database/sql"}},
	"internal/manifest":        {may: []string{"internal/credential", "internal/roles", "internal/strictjson"}, never: []string{"net/http", "database/sql"}},
	"internal/db":              {},
	"internal/strictjson":      {never: []string{"net/http", "database/sql"}},
	"internal/localissuer":     {never: []string{"database/sql"}},
	"internal/intercept":       {never: []string{"database/sql"}},
	"cmd/entente-proxy":        {may: []string{"internal/proxy"}, never: []string{"database/sql", "k8s.io/client-go/rest", "github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential", "github.com/spf13/cobra"}},
	"internal/proxy":           {may: []string{"client"}, never: []string{"database/sql", "k8s.io/client-go/rest", "github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential", "github.com/spf13/cobra"}},
	"internal/webhook":         {may: []string{"internal/credential"}, never: []string{"modernc.org/sqlite", "github.com/jackc/pgx/v5/stdlib"}},
	"deploy/internal/tree":     {never: []string{"net/http"}},
	"deploy/internal/helm":     {},
	"deploy/internal/image":    {},
	"deploy/internal/manifest": {may: []string{"deploy/internal/helm", "deploy/internal/tree"}},
	"deploy/images":            {may: []string{"deploy/internal/image", "deploy/internal/tree"}},
	"deploy/manifests":         {may: []string{"deploy/internal/helm", "deploy/internal/manifest", "deploy/internal/tree"}},
	"deploy/bundle":            {may: []string{"deploy/internal/helm", "deploy/internal/image", "deploy/internal/manifest", "deploy/internal/tree"}},
	"deploy/try":               {may: []string{"deploy/internal/helm", "deploy/internal/image", "deploy/internal/tree"}},
	"deploy/chart":             {},
	"client":                   {never: []string{"database/sql", "github.com/AzureAD/microsoft-authentication-library-for-go"}},
}

// directly are imports that only some rooms may have themselves.
var directly = map[string][]string{
	"database/sql": {"internal/db", "internal/directory", "internal/issuer", "internal/keys", "internal/signin"},
	"net/http":     {"internal/server", "internal/token", "internal/graph", "internal/arm", "internal/portal", "internal/hosted", "internal/issuer", "internal/localissuer", "internal/intercept", "internal/cli", "internal/login", "internal/doctor", "internal/proxy", "internal/webhook", "client"},
}

// pkg is what go list tells of a package.
type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func TestImports(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		name, ours := strings.CutPrefix(p.ImportPath, module)
		if !ours || name == "internal" || strings.HasPrefix(name, "internal/testkit") || strings.HasPrefix(name, "e2e") {
			continue // tests only
		}
		seen[name] = true
		row, ok := rooms[name]
		if !ok {
			t.Errorf("%s has no row in the table of rooms", name)
			continue
		}
		for _, i := range p.Imports {
			if of, ours := strings.CutPrefix(i, module); ours && !slices.Contains(row.may, of) {
				t.Errorf("%s imports %s, which its row does not allow", name, of)
			}
			if who, limited := directly[i]; limited && !slices.Contains(who, name) {
				t.Errorf("%s imports %s", name, i)
			}
			if strings.Contains(i, "k8s.io/") && name != "internal/cli" && name != "internal/azwi" && name != "internal/doctor" && name != "internal/webhook" {
				t.Errorf("%s imports %s", name, i)
			}
		}
		if name != "internal/webhook" && name != "cmd/entente-webhook" && slices.Contains(p.Deps, "sigs.k8s.io/controller-runtime/pkg/manager") {
			t.Errorf("%s links controller-runtime", name)
		}
		for _, n := range row.never {
			if slices.Contains(p.Deps, n) {
				t.Errorf("%s depends on %s", name, n)
			}
		}
	}
	for name := range rooms {
		if !seen[name] {
			t.Errorf("the table has a row for %s, which is not there", name)
		}
	}
}
