// Package journeys has people go through whole pieces of work with the command
// line: scripts of commands against a running service and a real Kubernetes API
// server, with everything that is printed beside them, as it must be.
//
// What a verb does is asserted elsewhere; here one can read what it looks like. So
// a change of any output shows in a diff, and has to look right to a person's eye.
package journeys

import (
	"flag"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	_ "github.com/entente-id/entente/internal/cli" // what the program is made of: a change of it runs these tests again
	"github.com/entente-id/entente/internal/testkit"
	"github.com/entente-id/entente/internal/testkit/controlplane"
)

var update = flag.Bool("update", false, "write what is printed into the scripts and help files, instead of comparing it")

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(testkit.Main(m))
}

func TestJourneys(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	for _, name := range []string{"entente", "azwi"} { // the program goes by what it is called
		if err := os.Symlink(testkit.Program, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	// One cluster for all scripts that want one, each in a namespace of its own.
	cluster := sync.OnceValue(func() *controlplane.Cluster {
		return controlplane.Start(t, controlplane.Config{Issuer: "/", ControllerManager: true})
	})
	testscript.Run(t, testscript.Params{
		Dir:                "testdata/script",
		UpdateScripts:      *update,
		RequireUniqueNames: true,
		ContinueOnError:    true, // all that differs is shown
		Setup: func(env *testscript.Env) error {
			j := &journey{TB: env.T().(testing.TB), cluster: cluster, normal: newNormal(env.WorkDir)}
			env.Values[journeyKey{}] = j
			j.normal.replace(bin, "$BIN")
			home := filepath.Join(env.WorkDir, "home")
			env.Setenv("HOME", home)
			env.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			return os.MkdirAll(home, 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"entente": program("entente"), "azwi": program("azwi"), "exits": exits, "capture": capture, "jsonvalid": jsonValid, "fill": fill,
			"serve": serve, "stop-service": stopService, "cluster": startCluster, "pod": findPod,
		},
	})
}
