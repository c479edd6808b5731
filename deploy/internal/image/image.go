// Package image makes container images of the programs, without a registry, a
// Docker daemon or a base image.
//
// A static program needs nothing around it, and what is not in an image cannot
// be attacked, has no advisories and needs no rebuild. Whoever builds the same
// commit gets the same digests: nothing of the machine and no clock is in them.
package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// UID is the user and the group that the images run as.
const UID = 65532

// A Builder makes images.
type Builder struct {
	Source     string // directory of the module
	Repository string // what stands before /NAME in references, such as ghcr.io/entente-id
	Tag        string
	NoRevision bool // leave the repository's revision out of the programs
}

// Reference is the name that an image goes by.
func (b *Builder) Reference(name string) string {
	return path.Join(b.Repository, name) + ":" + b.Tag
}

// An Image is that of one program for one platform.
type Image struct {
	v1.Image
	Program  string
	Platform v1.Platform
	Packages []byte // its packages, as an SPDX 2.3 document in JSON
}

// Build makes the image of a program for a platform.
func (b *Builder) Build(ctx context.Context, p Program, platform v1.Platform) (Image, error) {
	none := Image{}
	program, err := b.compile(ctx, p.Name, platform)
	if err != nil {
		return none, err
	}
	src, err := sourceOf(program)
	if err != nil {
		return none, err
	}
	packages, err := spdx(b, p, platform, program, src)
	if err != nil {
		return none, err
	}
	layer, err := layerOf(p, program, src.time)
	if err != nil {
		return none, err
	}
	img, err := mutate.Append(mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1), mutate.Addendum{
		Layer:     layer,
		MediaType: types.OCILayer,
		History:   v1.History{Created: v1.Time{Time: src.time}, CreatedBy: "go run ./deploy/images"},
	})
	if err != nil {
		return none, err
	}
	labels := b.labels(p, src)
	config, err := img.ConfigFile()
	if err != nil {
		return none, err
	}
	config = config.DeepCopy()
	config.Created = v1.Time{Time: src.time}
	config.OS, config.Architecture, config.Variant = platform.OS, platform.Architecture, platform.Variant
	config.Config = v1.Config{
		Entrypoint: []string{"/" + p.Name},
		User:       fmt.Sprintf("%d:%d", UID, UID),
		WorkingDir: "/",
		Labels:     labels,
	}
	if slices.ContainsFunc(p.Directories, func(d Directory) bool { return d.Path == "var/lib/entente" }) {
		config.Config.Env = []string{"HOME=/var/lib/entente", "ENTENTE_DATA_DIR=/var/lib/entente"}
	}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		return none, err
	}
	img = mutate.Annotations(img, labels).(v1.Image)
	return Image{Image: img, Program: p.Name, Platform: platform, Packages: packages}, nil
}

// labels are those of https://specs.opencontainers.org/image-spec/annotations/.
func (b *Builder) labels(p Program, src source) map[string]string {
	labels := map[string]string{
		"title":       p.Name,
		"description": p.Title,
		"version":     b.Tag,
		"licenses":    "Apache-2.0",
		"vendor":      "Entente",
		"source":      "https://github.com/entente-id/entente",
		"created":     src.time.Format(time.RFC3339),
	}
	if src.revision != "" {
		labels["revision"] = src.revision
	}
	full := map[string]string{}
	for name, value := range labels {
		full["org.opencontainers.image."+name] = value
	}
	return full
}

// layerOf packs the program and what belongs around it.
func layerOf(p Program, program []byte, when time.Time) (v1.Layer, error) {
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	w := &layerWriter{Writer: tar.NewWriter(z), when: when, made: map[string]bool{}}
	for _, d := range p.Directories {
		w.directory(d.Path, d.Mode, UID)
	}
	if p.Roots {
		w.file("etc/ssl/certs/ca-certificates.crt", 0o644, roots())
	}
	w.file(p.Name, 0o755, program)
	if w.err == nil {
		w.err = w.Close()
	}
	if w.err == nil {
		w.err = z.Close()
	}
	if w.err != nil {
		return nil, w.err
	}
	return partial.CompressedToLayer(blob(packed.Bytes()))
}

// blob is a layer as it is in a registry.
type blob []byte

func (b blob) Digest() (v1.Hash, error) {
	h, _, err := v1.SHA256(bytes.NewReader(b))
	return h, err
}

func (b blob) Compressed() (io.ReadCloser, error)  { return io.NopCloser(bytes.NewReader(b)), nil }
func (b blob) Size() (int64, error)                { return int64(len(b)), nil }
func (b blob) MediaType() (types.MediaType, error) { return types.OCILayer, nil }

// layerWriter writes files of one time, and the directories that they are in.
type layerWriter struct {
	*tar.Writer
	when time.Time
	made map[string]bool
	err  error
}

func (w *layerWriter) directory(name string, mode int64, uid int) {
	if w.made[name] || name == "." {
		return
	}
	w.made[name] = true
	w.directory(path.Dir(name), 0o755, 0)
	w.header(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, Uid: uid, Gid: uid})
}

func (w *layerWriter) file(name string, mode int64, content []byte) {
	w.directory(path.Dir(name), 0o755, 0)
	w.header(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content))})
	if w.err == nil {
		_, w.err = w.Write(content)
	}
}

func (w *layerWriter) header(h *tar.Header) {
	if w.err == nil {
		h.ModTime, h.Format = w.when, tar.FormatPAX
		w.err = w.WriteHeader(h)
	}
}

// roots are the certificates that Mozilla trusts, but for those that it trusts
// with constraints, which a PEM file cannot state.
func roots() []byte {
	var b bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // to memory: no error
		}
	}
	return b.Bytes()
}

// ParsePlatforms reads os/arch,os/arch.
func ParsePlatforms(list string) ([]v1.Platform, error) {
	var platforms []v1.Platform
	for _, one := range strings.Split(list, ",") {
		os, arch, ok := strings.Cut(strings.TrimSpace(one), "/")
		if !ok || os != "linux" || arch != "amd64" && arch != "arm64" {
			return nil, fmt.Errorf("platform %q is none of linux/amd64 and linux/arm64", one)
		}
		p := v1.Platform{OS: os, Architecture: arch}
		if slices.ContainsFunc(platforms, p.Equals) {
			return nil, fmt.Errorf("platform %q is there twice", one)
		}
		platforms = append(platforms, p)
	}
	return platforms, nil
}
