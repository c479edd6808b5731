package image_test

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/entente-id/entente/deploy/internal/image"
	_ "github.com/entente-id/entente/internal/proxy" // what the image that is built here is made of
	"github.com/entente-id/entente/internal/testkit"
)

// here is the platform of the tests: that of the machine, on Linux.
var here = v1.Platform{OS: "linux", Architecture: runtime.GOARCH}

// The smallest program stands for all of them.
func build(t *testing.T, platform v1.Platform) image.Image {
	t.Helper()
	b := builder()
	p := program(t, "entente-proxy")
	p.Roots, p.Directories = true, image.Programs()[0].Directories
	img, err := b.Build(t.Context(), p, platform)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func builder() *image.Builder {
	return &image.Builder{Source: filepath.Join("..", "..", ".."), Repository: "registry.example/entente", Tag: "v1", NoRevision: true}
}

func program(t *testing.T, name string) image.Program {
	t.Helper()
	for _, p := range image.Programs() {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no image of %s", name)
	return image.Program{}
}

// One image is built once for all tests.
func TestImages(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1767225600")
	img := build(t, here)
	t.Run("content", func(t *testing.T) { content(t, img) })
	t.Run("reproducible", func(t *testing.T) { reproducible(t, img) })
	t.Run("archive", func(t *testing.T) { archive(t, img) })
	t.Run("packages", func(t *testing.T) { packages(t, img) })
	t.Run("containerd", func(t *testing.T) { containerd(t, img) })
}

// Every program has an image, and nothing else has one.
func TestPrograms(t *testing.T) {
	directories, err := filepath.Glob("../../../cmd/*")
	if err != nil {
		t.Fatal(err)
	}
	var have, want []string
	for _, p := range image.Programs() {
		have = append(have, p.Name)
	}
	for _, d := range directories {
		want = append(want, filepath.Base(d))
	}
	slices.Sort(have)
	if !slices.Equal(have, want) {
		t.Errorf("images of %q, want %q", have, want)
	}
}

func content(t *testing.T, img image.Image) {
	if err := validate.Image(img); err != nil {
		t.Error(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if c := config.Config; c.User != "65532:65532" || !slices.Equal(c.Entrypoint, []string{"/entente-proxy"}) {
		t.Errorf("runs %q as %q", c.Entrypoint, c.User)
	}
	for name, want := range map[string]string{"version": "v1", "title": "entente-proxy", "created": "2026-01-01T00:00:00Z", "licenses": "Apache-2.0"} {
		if have := config.Config.Labels["org.opencontainers.image."+name]; have != want {
			t.Errorf("label %s is %q, want %q", name, have, want)
		}
	}
	if config.OS != "linux" || config.Architecture != here.Architecture || config.Created.Unix() != 1767225600 {
		t.Errorf("config: %s/%s of %s", config.OS, config.Architecture, config.Created)
	}
	files := mutate.Extract(img)
	defer files.Close()
	modes := map[string]int64{}
	var roots []byte
	for r := tar.NewReader(files); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		modes[strings.TrimSuffix(h.Name, "/")] = h.Mode
		if h.Name == "etc/ssl/certs/ca-certificates.crt" {
			roots, _ = io.ReadAll(r)
		}
	}
	for name, want := range map[string]int64{"entente-proxy": 0o755, "tmp": 0o1777, "var/lib/entente": 0o700, "etc/ssl/certs/ca-certificates.crt": 0o644} {
		if modes[name]&0o7777 != want {
			t.Errorf("/%s has the mode %o, want %o", name, modes[name], want)
		}
	}
	if len(modes) != 9 {
		t.Errorf("in the image there is %v", modes)
	}
	certificates := 0
	for block, rest := pem.Decode(roots); block != nil; block, rest = pem.Decode(rest) {
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			t.Error(err)
		}
		certificates++
	}
	if certificates < 100 {
		t.Errorf("%d public roots", certificates)
	}
}

func reproducible(t *testing.T, first image.Image) {
	one, err := first.Digest()
	if err != nil {
		t.Fatal(err)
	}
	second := build(t, here)
	other, err := second.Digest()
	if err != nil || one != other {
		t.Errorf("built twice, its digests are %s and %s (%v)", one, other, err)
	}
	if !bytes.Equal(first.Packages, second.Packages) {
		t.Error("built twice, it has other packages")
	}
	var archives [2]bytes.Buffer
	for n, img := range []image.Image{first, second} {
		if _, err := image.WriteArchive(&archives[n], "registry.example/a:1", img); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0].Bytes(), archives[1].Bytes()) {
		t.Error("written twice, its archives differ")
	}
}

// write writes an archive into a file.
func write(t *testing.T, images ...image.Image) (file string, digest v1.Hash) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "image.tar")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if digest, err = image.WriteArchive(f, "registry.example/entente/entente-proxy:v1", images...); err != nil {
		t.Fatal(err)
	}
	return file, digest
}

// unpack reads an archive as an OCI image layout.
func unpack(t *testing.T, file string) v1.ImageIndex {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("tar", "-xf", file, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

func archive(t *testing.T, img image.Image) {
	want, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	file, digest := write(t, img)
	if digest != want {
		t.Errorf("the archive is of %s, the image is %s", digest, want)
	}
	// As Docker reads it.
	docker, err := tarball.ImageFromPath(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	if name, err := docker.ConfigName(); err != nil {
		t.Error(err)
	} else if config, err := img.ConfigName(); err != nil || name != config {
		t.Errorf("Docker sees the image %s, want %s (%v)", name, config, err)
	}
	// As everything else does.
	if _, err := unpack(t, file).Image(want); err != nil {
		t.Error(err)
	}

	file, digest = write(t, img, foreign(t, img))
	list, err := unpack(t, file).ImageIndex(digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(list); err != nil {
		t.Error(err)
	}
	manifest, err := list.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 2 || !manifest.Manifests[0].Platform.Equals(here) || manifest.Manifests[1].Platform.Architecture != "s390x" {
		t.Errorf("the list has %+v", manifest.Manifests)
	}
}

// foreign is the image again, as if it were another platform's.
func foreign(t *testing.T, img image.Image) image.Image {
	t.Helper()
	img.Platform = v1.Platform{OS: "linux", Architecture: "s390x"}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.Architecture = "s390x"
	if img.Image, err = mutate.ConfigFile(img.Image, config); err != nil {
		t.Fatal(err)
	}
	return img
}

func packages(t *testing.T, img image.Image) {
	var document struct {
		SPDXVersion string `json:"spdxVersion"`
		Packages    []struct {
			ID           string `json:"SPDXID"`
			Name         string `json:"name"`
			Analyzed     *bool  `json:"filesAnalyzed"`
			ExternalRefs []struct {
				ReferenceLocator string `json:"referenceLocator"`
			} `json:"externalRefs"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(img.Packages, &document); err != nil || document.SPDXVersion != "SPDX-2.3" {
		t.Fatalf("%v: %.100s", err, img.Packages)
	}
	var names []string
	ids := map[string]bool{}
	for _, p := range document.Packages {
		names = append(names, p.Name)
		if ids[p.ID] {
			t.Errorf("the id %s is there twice", p.ID)
		}
		ids[p.ID] = true
		if p.Analyzed == nil || *p.Analyzed { // then SPDX wants a verification code of files
			t.Errorf("%s does not say that its files are not listed", p.Name)
		}
	}
	for _, want := range []string{"entente-proxy", "stdlib", "golang.org/x/crypto/x509roots/fallback"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not among %q", want, names)
		}
	}
}

// containerd imports archives of one platform and of several, when it runs here:
// in a content store of its own, that ends with the test.
func containerd(t *testing.T, img image.Image) {
	ctr, err := exec.LookPath("ctr")
	daemon, absent := exec.LookPath("containerd")
	switch err = errors.Join(err, absent); {
	case os.Geteuid() != 0:
		t.Skip("needs root")
	case err != nil && os.Getenv("CI") == "true":
		t.Fatal(err)
	case err != nil:
		t.Skip(err)
	}
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	config := filepath.Join(dir, "config.toml")
	text := "version = 2\nroot = \"" + dir + "/root\"\nstate = \"" + dir + "/state\"\n" +
		"disabled_plugins = [\"io.containerd.grpc.v1.cri\", \"io.containerd.snapshotter.v1.aufs\", \"io.containerd.snapshotter.v1.btrfs\", \"io.containerd.snapshotter.v1.zfs\", \"io.containerd.snapshotter.v1.devmapper\", \"io.containerd.internal.v1.opt\"]\n" +
		"[grpc]\naddress = \"" + socket + "\"\n[ttrpc]\naddress = \"" + socket + ".ttrpc\"\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), daemon, "--config", config)
	cmd.Stdout, cmd.Stderr = &log, &log
	testkit.EndWithUs(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	run := func(args ...string) (string, error) {
		out, err := exec.CommandContext(t.Context(), ctr, append([]string{"--address", socket, "--namespace", "k8s.io"}, args...)...).CombinedOutput()
		return string(out), err
	}
	for {
		if _, err := run("version"); err == nil {
			break
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("containerd: %v\n%s", err, log.String())
		case <-t.Context().Done():
			t.Fatal(errors.New("containerd does not answer"))
		case <-time.After(50 * time.Millisecond):
		}
	}
	for _, images := range [][]image.Image{{img}, {img, foreign(t, img)}} {
		file, digest := write(t, images...)
		if out, err := run("images", "import", "--no-unpack", file); err != nil {
			t.Fatalf("%v\n%s\n%s", err, out, log.String())
		}
		out, err := run("images", "list")
		if err != nil || !strings.Contains(out, "registry.example/entente/entente-proxy:v1") || !strings.Contains(out, digest.String()) {
			t.Errorf("containerd has %s, want %s (%v)", out, digest, err)
		}
		for _, i := range images {
			if !strings.Contains(out, i.Platform.Architecture) {
				t.Errorf("containerd has %s, without %s", out, i.Platform.Architecture)
			}
		}
	}
}
