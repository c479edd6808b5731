package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// WriteArchive writes images of one program, for one platform each, into one
// tar file under one reference, and returns the digest that a registry would
// show for it.
//
// It is an OCI image layout (https://specs.opencontainers.org/image-spec/image-layout/),
// which containerd, nerdctl, podman, skopeo, crane and kind take. With one image
// in it, it is a docker-archive as well, and every "docker load" takes it too.
func WriteArchive(w io.Writer, reference string, images ...Image) (v1.Hash, error) {
	a := &archive{Writer: tar.NewWriter(w), have: map[string]bool{}}
	a.write("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	var top v1.Descriptor
	var docker []dockerEntry
	for _, img := range images {
		d, entry := a.image(img)
		top, docker = d, append(docker, entry)
	}
	if len(images) > 1 {
		top = a.index(images)
	}
	top.Annotations = map[string]string{
		"io.containerd.image.name":          reference,
		"org.opencontainers.image.ref.name": reference,
	}
	a.json("index.json", v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{top}})
	if len(images) == 1 {
		docker[0].RepoTags = []string{reference}
		a.json("manifest.json", docker)
	}
	if a.err == nil {
		a.err = a.Close()
	}
	if a.err != nil {
		return v1.Hash{}, fmt.Errorf("archive of %s: %w", reference, a.err)
	}
	return top.Digest, nil
}

// dockerEntry is what Docker reads instead of index.json.
type dockerEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// archive writes files of one time, and each blob once.
type archive struct {
	*tar.Writer
	have map[string]bool
	err  error
}

func (a *archive) write(name string, content []byte) {
	if a.err != nil || a.have[name] {
		return
	}
	a.have[name] = true
	a.err = a.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR,
	})
	if a.err == nil {
		_, a.err = a.Writer.Write(content)
	}
}

func (a *archive) json(name string, v any) {
	text, err := json.Marshal(v)
	if err != nil && a.err == nil {
		a.err = err
	}
	a.write(name, text)
}

func (a *archive) blob(h v1.Hash, content []byte) string {
	name := "blobs/" + h.Algorithm + "/" + h.Hex
	a.write(name, content)
	return name
}

// image writes the blobs of an image.
func (a *archive) image(img Image) (v1.Descriptor, dockerEntry) {
	var entry dockerEntry
	config, err := partial.ConfigLayer(img)
	if err != nil {
		a.err = err
		return v1.Descriptor{}, entry
	}
	layers, err := img.Layers()
	if err != nil {
		a.err = err
		return v1.Descriptor{}, entry
	}
	for _, l := range slices.Concat([]v1.Layer{config}, layers) {
		name := a.layer(l)
		if l == config {
			entry.Config = name
		} else {
			entry.Layers = append(entry.Layers, name)
		}
	}
	text, err := img.RawManifest()
	if err != nil {
		a.err = err
		return v1.Descriptor{}, entry
	}
	d, err := partial.Descriptor(img)
	if err != nil {
		a.err = err
		return v1.Descriptor{}, entry
	}
	d.Annotations = nil
	a.blob(d.Digest, text)
	return *d, entry
}

func (a *archive) layer(l v1.Layer) string {
	digest, err := l.Digest()
	if err != nil {
		a.err = err
		return ""
	}
	r, err := l.Compressed()
	if err != nil {
		a.err = err
		return ""
	}
	defer r.Close()
	var content bytes.Buffer
	if _, err := content.ReadFrom(r); err != nil {
		a.err = err
		return ""
	}
	return a.blob(digest, content.Bytes())
}

// index writes the list of a program's images, from which a node chooses.
func (a *archive) index(images []Image) v1.Descriptor {
	list := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, img := range images {
		list = mutate.AppendManifests(list, mutate.IndexAddendum{Add: img.Image, Descriptor: v1.Descriptor{Platform: &img.Platform}})
	}
	text, err := list.RawManifest()
	if err != nil {
		a.err = err
		return v1.Descriptor{}
	}
	d, err := partial.Descriptor(list)
	if err != nil {
		a.err = err
		return v1.Descriptor{}
	}
	a.blob(d.Digest, text)
	return *d
}
