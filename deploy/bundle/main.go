// Command bundle packs everything that an installation without a network needs
// into one file:
//
//	go run ./deploy/bundle
//
// makes dist/entente-VERSION.tar.gz: images of both platforms and what is in them,
// the chart, plain manifests, documentation, and SHA256SUMS.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/entente-id/entente/deploy/internal/image"
	"github.com/entente-id/entente/deploy/internal/tree"
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
	flags := flag.NewFlagSet("bundle", flag.ExitOnError)
	platforms := flags.String("platform", "linux/amd64,linux/arm64", "`PLATFORMS` of the images")
	output := flags.String("output", "dist", "`DIRECTORY` of the bundle")
	flags.Parse(args)
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	root, err := tree.Root(ctx)
	if err != nil {
		return err
	}
	list, err := image.ParsePlatforms(*platforms)
	if err != nil {
		return err
	}
	file, err := bundle{Root: root, Platforms: list, Output: *output}.pack(ctx)
	if err == nil {
		fmt.Println(file)
	}
	return err
}
