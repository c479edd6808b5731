package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/entente-id/entente/deploy/internal/helm"
	"github.com/entente-id/entente/deploy/internal/tree"
	_ "github.com/entente-id/entente/internal/cli" // what the images are made of
	_ "github.com/entente-id/entente/internal/proxy"
	_ "github.com/entente-id/entente/internal/webhook"
)

func TestBundle(t *testing.T) {
	root, err := tree.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// What go test shall know of, and the documentation that must be in it.
	documents := []string{"README.md", "CHANGELOG.md", "LICENSE"}
	for _, dir := range []string{"docs", tree.ChartDirectory} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			if rest, err := filepath.Rel(root, name); err == nil && dir == "docs" {
				documents = append(documents, filepath.ToSlash(rest))
			}
			_, err = os.ReadFile(name)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	file, err := bundle{Root: root, Platforms: []v1.Platform{{OS: "linux", Architecture: runtime.GOARCH}}, Output: t.TempDir(), NoRevision: true}.pack(t.Context())
	if errors.Is(err, helm.ErrAbsent) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	members := read(t, file)
	want := documents
	for _, name := range []string{"entente", "entente-webhook", "entente-proxy"} {
		want = append(want, "images/"+name+"-linux-"+runtime.GOARCH+".tar", "images/"+name+"-linux-"+runtime.GOARCH+".spdx.json")
	}
	for _, name := range []string{"webhook-azure.yaml", "webhook-entente.yaml", "complete.yaml", "complete-postgresql.yaml"} {
		want = append(want, "manifests/"+name)
	}
	want = append(want, "images/digests.txt", "chart/entente-0.1.0.tgz")

	// Everything is listed, and is what the list says.
	listed := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(members[sumsFile])); lines.Scan(); {
		sum, name, _ := strings.Cut(lines.Text(), "  ")
		listed[name] = sum
	}
	for name, content := range members {
		sum := sha256.Sum256(content)
		if name != sumsFile && listed[name] != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: the sum in %s is %q", name, sumsFile, listed[name])
		}
		if i := slices.Index(want, name); i >= 0 {
			want = slices.Delete(want, i, i+1)
		} else if name != sumsFile {
			t.Errorf("%s is in the bundle, and nobody asked for it", name)
		}
		if len(content) == 0 {
			t.Errorf("%s is empty", name)
		}
	}
	if len(want) > 0 {
		t.Errorf("the bundle is without %q", want)
	}
	if len(listed) != len(members)-1 {
		t.Errorf("%s lists %d files of %d", sumsFile, len(listed), len(members)-1)
	}
	// The chart and the manifests name the images that are there.
	for _, name := range []string{"manifests/complete.yaml"} {
		for line := range strings.Lines(string(members[name])) {
			if image, ok := strings.CutPrefix(strings.TrimSpace(line), "image: "); ok && !bytes.Contains(members["images/digests.txt"], []byte("  "+image+"  ")) {
				t.Errorf("%s names the image %s, which is not in the bundle:\n%s", name, image, members["images/digests.txt"])
			}
		}
	}
}

// read returns the members of a bundle, whose names begin with its own.
func read(t *testing.T, file string) map[string][]byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	prefix := strings.TrimSuffix(filepath.Base(file), ".tar.gz") + "/"
	members := map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return members
		}
		if err != nil {
			t.Fatal(err)
		}
		name, ok := strings.CutPrefix(h.Name, prefix)
		if !ok {
			t.Errorf("%s is outside of %s", h.Name, prefix)
		}
		if members[name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}
