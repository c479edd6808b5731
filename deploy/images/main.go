// Command images builds the container images of all programs, for every
// platform, with nothing but Go:
//
//	go run ./deploy/images
//
// leaves in dist/images, for each program,
//
//	NAME.tar                 all platforms: ctr, nerdctl, podman, skopeo, crane
//	NAME-OS-ARCH.tar         one platform: the same, and docker load, kind load image-archive
//	NAME-OS-ARCH.spdx.json   what is in it
//
// and digests.txt.
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
	flags := flag.NewFlagSet("images", flag.ExitOnError)
	platforms := flags.String("platform", "linux/amd64,linux/arm64", "`PLATFORMS` to build for")
	output := flags.String("output", "dist/images", "`DIRECTORY` of the archives")
	repository := flags.String("repository", tree.Repository, "`PREFIX` of the images' names")
	tag := flags.String("tag", "", "`TAG` of the images (default: the chart's appVersion)")
	flags.Parse(args)
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	root, err := tree.Root(ctx)
	if err != nil {
		return err
	}
	if *tag == "" {
		chart, err := tree.ReadChart(root)
		if err != nil {
			return err
		}
		*tag = chart.AppVersion
	}
	list, err := image.ParsePlatforms(*platforms)
	if err != nil {
		return err
	}
	b := &image.Builder{Source: root, Repository: *repository, Tag: *tag}
	written, err := b.WriteAll(ctx, *output, list)
	for _, w := range written {
		fmt.Printf("%s  %s  %s\n", w.Digest, w.Reference, w.File)
	}
	return err
}
