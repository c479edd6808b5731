package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/entente-id/entente/deploy/internal/helm"
	"github.com/entente-id/entente/deploy/internal/image"
	"github.com/entente-id/entente/deploy/internal/manifest"
	"github.com/entente-id/entente/deploy/internal/tree"
)

// bundle says what is packed.
type bundle struct {
	Root       string
	Platforms  []v1.Platform
	Output     string
	NoRevision bool // leave the repository's revision out of the programs
}

// sumsFile lists every other file, in the form of sha256sum.
const sumsFile = "SHA256SUMS"

// pack makes the bundle and returns its file.
func (b bundle) pack(ctx context.Context) (string, error) {
	chart, err := tree.ReadChart(b.Root)
	if err != nil {
		return "", err
	}
	h, err := helm.Open(ctx, b.Root)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "entente-bundle-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	builder := &image.Builder{Source: b.Root, Repository: tree.Repository, Tag: chart.AppVersion, NoRevision: b.NoRevision}
	if _, err := builder.WriteAll(ctx, filepath.Join(dir, "images"), b.Platforms); err != nil {
		return "", err
	}
	// One file of a chart is not reproducible: Helm writes the time into it.
	if _, err := h.Run(ctx, "package", filepath.Join(b.Root, tree.ChartDirectory), "--destination", filepath.Join(dir, "chart")); err != nil {
		return "", err
	}
	if err := manifest.WriteAll(ctx, h, b.Root, filepath.Join(dir, "manifests")); err != nil {
		return "", err
	}
	for _, name := range []string{"README.md", "CHANGELOG.md", "LICENSE", "docs"} {
		if err := copyAll(filepath.Join(b.Root, name), filepath.Join(dir, name)); err != nil {
			return "", err
		}
	}
	if err := writeSums(dir); err != nil {
		return "", err
	}
	name := fmt.Sprintf("%s-%s", chart.Name, chart.Version)
	file := filepath.Join(b.Output, name+".tar.gz")
	if err := os.MkdirAll(b.Output, 0o755); err != nil {
		return "", err
	}
	return file, writeTar(file, dir, name)
}

// copyAll copies a file, or a directory with what is in it.
func copyAll(from, to string) error {
	return filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := to
		if rest, err := filepath.Rel(from, name); err == nil && rest != "." {
			target = filepath.Join(to, rest)
		}
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(target, text, 0o644)
	})
}

// writeSums lists the files of dir, in order.
func writeSums(dir string) error {
	var sums strings.Builder
	err := files(dir, func(name, file string) error {
		sum := sha256.New()
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		if _, err := io.Copy(sum, f); err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%s  %s\n", hex.EncodeToString(sum.Sum(nil)), name)
		return nil
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, sumsFile), []byte(sums.String()), 0o644)
}

// files calls each for the files of dir, in the order of their names.
func files(dir string, each func(name, file string) error) error {
	return filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		return each(filepath.ToSlash(name), file)
	})
}

// writeTar packs dir under a name into a file, whole or not at all.
func writeTar(file, dir, name string) (err error) {
	out, err := os.CreateTemp(filepath.Dir(file), ".bundle-*")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name())
	// Most of it is compressed already.
	z, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		return err
	}
	w := tar.NewWriter(z)
	err = files(dir, func(member, file string) error {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		header := &tar.Header{Typeflag: tar.TypeReg, Name: path.Join(name, member), Mode: 0o644, Size: info.Size(), ModTime: time.Unix(0, 0)}
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		_, err = io.Copy(w, f)
		return err
	})
	if err := errors.Join(err, w.Close(), z.Close(), out.Chmod(0o644), out.Close()); err != nil {
		return err
	}
	return os.Rename(out.Name(), file)
}
