package image

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// A Written file is an archive.
type Written struct {
	File      string
	Reference string
	Digest    v1.Hash // of the image, or of the list of images
}

// WriteAll builds all programs for the platforms and writes their archives,
// their packages and the digests into a directory.
func (b *Builder) WriteAll(ctx context.Context, directory string, platforms []v1.Platform) ([]Written, error) {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return nil, err
	}
	var all []Written
	for _, p := range Programs() {
		var images []Image
		for _, platform := range platforms {
			img, err := b.Build(ctx, p, platform)
			if err != nil {
				return all, err
			}
			name := filepath.Join(directory, fmt.Sprintf("%s-%s-%s", p.Name, platform.OS, platform.Architecture))
			w, err := b.writeFile(name+".tar", img)
			if err != nil {
				return all, err
			}
			if err := os.WriteFile(name+".spdx.json", append(img.Packages, '\n'), 0o644); err != nil {
				return all, err
			}
			images, all = append(images, img), append(all, w)
		}
		if len(images) > 1 {
			w, err := b.writeFile(filepath.Join(directory, p.Name+".tar"), images...)
			if err != nil {
				return all, err
			}
			all = append(all, w)
		}
	}
	var digests strings.Builder
	for _, w := range all {
		fmt.Fprintf(&digests, "%s  %s  %s\n", w.Digest, w.Reference, filepath.Base(w.File))
	}
	return all, os.WriteFile(filepath.Join(directory, "digests.txt"), []byte(digests.String()), 0o644)
}

func (b *Builder) writeFile(name string, images ...Image) (Written, error) {
	w := Written{File: name, Reference: b.Reference(images[0].Program)}
	f, err := os.Create(name)
	if err != nil {
		return w, err
	}
	defer f.Close()
	if w.Digest, err = WriteArchive(f, w.Reference, images...); err != nil {
		return w, err
	}
	return w, f.Close()
}
