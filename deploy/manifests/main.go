// Command manifests renders the chart into the plain manifests beside it:
//
//	go run ./deploy/manifests
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/entente-id/entente/deploy/internal/helm"
	"github.com/entente-id/entente/deploy/internal/manifest"
	"github.com/entente-id/entente/deploy/internal/tree"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	root, err := tree.Root(ctx)
	if err != nil {
		return err
	}
	h, err := helm.Open(ctx, root)
	if err != nil {
		return err
	}
	return manifest.WriteAll(ctx, h, root, filepath.Join(root, manifest.Directory))
}
