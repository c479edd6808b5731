// Command kubetest is a Kubernetes control plane for tests: etcd,
// kube-apiserver, kube-controller-manager and kubectl in one program, which is
// the one that its name says (argv[0]).
//
// It is a module of its own because k8s.io/kubernetes can be required only
// together with replacements of its staging modules, which would bind everything
// else to them. One program instead of four, because they share nine tenths of
// their code: it is compiled and linked once. internal/testkit/controlplane
// builds it from the module proxy and keeps it, so that no test needs a
// registry of images or a download page.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"          // --logging-format=json
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // /metrics of the clients
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

func main() {
	switch name := filepath.Base(os.Args[0]); name {
	case "etcd":
		etcdmain.Main(os.Args)
	case "kube-apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kube-controller-manager":
		os.Exit(cli.Run(controllermanager.NewControllerManagerCommand()))
	case "kubectl":
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			util.CheckErr(err) // says it and exits
		}
	default:
		fmt.Fprintf(os.Stderr, "kubetest: called as %q, which is none of etcd, kube-apiserver, kube-controller-manager, kubectl\n", name)
		os.Exit(2)
	}
}
