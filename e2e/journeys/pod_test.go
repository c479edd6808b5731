package journeys

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/rogpeppe/go-internal/testscript"
)

// findPod is: pod LABEL=VALUE. POD is the name of the one pod with that label, which
// a controller makes in its own time.
func findPod(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: pod LABEL=VALUE")
	}
	j := of(ts)
	pods := j.cluster().Client(j.TB).CoreV1().Pods(ts.Getenv("NS"))
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		list, err := pods.List(j.Context(), metav1.ListOptions{LabelSelector: args[0]})
		ts.Check(err)
		if len(list.Items) == 1 {
			name := list.Items[0].Name
			j.normal.replace(name, "POD")
			ts.Setenv("POD", name)
			return
		}
	}
	ts.Fatalf("no pod has %s", args[0])
}
