package node

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Files are what an image holds: the absolute path in there, and the file or
// directory on this machine.
type Files map[string]string

// Image makes an image from nothing but files. It runs entrypoint, as nobody in
// particular and not as root.
func Image(t testing.TB, entrypoint []string, files Files) v1.Image {
	t.Helper()
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	for _, path := range slices.Sorted(maps.Keys(files)) {
		if err := add(w, strings.TrimPrefix(path, "/"), files[path]); err != nil {
			t.Fatalf("image of %s: %v", entrypoint, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	// Not compressed: it goes from here to here.
	image, err := mutate.AppendLayers(empty.Image, static.NewLayer(layer.Bytes(), types.DockerUncompressedLayer))
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config = v1.Config{Entrypoint: entrypoint, User: "65532:65532", WorkingDir: "/"}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	return image
}

// add writes a file, or a directory with all that is in it. Links in a
// directory stay links when they are relative.
func add(w *tar.Writer, as, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rest, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		header := &tar.Header{Name: filepath.Join(as, rest)}
		if path != from && d.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			if !filepath.IsAbs(target) {
				header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, target, 0o777
				return w.WriteHeader(header)
			}
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		// What Python has compiled is good for a source of that time.
		header.Mode, header.ModTime = int64(info.Mode().Perm()|0o444), info.ModTime().Truncate(time.Second)
		if info.IsDir() {
			header.Typeflag, header.Mode = tar.TypeDir, 0o755
			return w.WriteHeader(header)
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is neither file nor directory", path)
		}
		header.Typeflag, header.Size = tar.TypeReg, info.Size()
		if err := w.WriteHeader(header); err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(w, f)
		return err
	})
}

// Program makes an image that holds one program: a package of this module,
// built without cgo, at /NAME.
func Program(t testing.TB, path, name string) v1.Image {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	build := exec.Command("go", "build", "-trimpath", "-o", file, path)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", path, err, out)
	}
	return Image(t, []string{"/" + name}, Files{"/" + name: file})
}

// Libraries adds the shared libraries that programs and modules of this machine
// are linked with.
func (f Files) Libraries(t testing.TB, paths ...string) {
	t.Helper()
	for _, path := range paths {
		out, err := exec.Command("ldd", path).Output()
		if err != nil {
			t.Fatalf("ldd %s: %v", path, err)
		}
		for line := range strings.Lines(string(out)) { // NAME => /PATH (0x…), or /PATH (0x…)
			if _, rest, found := strings.Cut(line, "=> "); found {
				line = rest
			}
			if library, _, _ := strings.Cut(strings.TrimSpace(line), " ("); filepath.IsAbs(library) {
				f[library] = library
			}
		}
	}
}

// ImportImage gives an image to the node, as which pods name it. A tag other
// than latest keeps kubelet from looking for a registry.
func (c *Cluster) ImportImage(t testing.TB, ref string, image v1.Image) {
	t.Helper()
	tag, err := name.NewTag(ref)
	if err != nil {
		t.Fatal(err)
	}
	load := exec.Command("ctr", "--address", socket, "--namespace", "k8s.io", "image", "import", "-")
	in, err := load.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	load.Stdout, load.Stderr = &out, &out
	if err := load.Start(); err != nil {
		t.Fatal(err)
	}
	err = tarball.Write(tag, image, in)
	in.Close()
	if ended := load.Wait(); ended != nil || err != nil {
		t.Fatalf("import %s: %v, %v\n%s", ref, err, ended, out.Bytes())
	}
}
