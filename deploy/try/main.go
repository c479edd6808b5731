// Command try installs the service and the webhook into the cluster of the
// current kubeconfig, from this source tree and without a registry, and gives
// the service account pets/cat an identity:
//
//	kind create cluster
//	go run ./deploy/try
//
// Nodes get the images from kind where the context is one of kind's, and from
// whatever command --load names elsewhere.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("try", flag.ExitOnError)
	load := flags.String("load", "", "`COMMAND` that gives the nodes an image, to which the file of its archive is added, such as \"sudo ctr -n k8s.io images import\" (default, with kind: kind load image-archive)")
	t := trial{Log: os.Stdout}
	flags.StringVar(&t.Namespace, "namespace", "pets", "`NAMESPACE` of the workload")
	flags.StringVar(&t.ServiceAccount, "service-account", "cat", "`NAME` of its service account, and of its application")
	flags.Parse(args)
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	t.Load = strings.Fields(*load)
	return t.run(ctx)
}
