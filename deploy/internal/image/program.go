package image

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// A Program is what one image holds.
type Program struct {
	Name        string // of the image, of the file in it and of the directory under /cmd
	Title       string // org.opencontainers.image.description
	Directories []Directory
	Roots       bool // with the public root certificates, for a program that has none compiled in
}

// A Directory is an empty one in an image, for what writes.
type Directory struct {
	Path string // without a slash at its start
	Mode int64
}

// Programs are the programs that have an image.
func Programs() []Program {
	return []Program{
		{
			Name: "entente", Title: "Workload identity federation that you can host: the service and its command line",
			// A volume that is mounted over a directory takes its owner and mode in Docker.
			Directories: []Directory{{"tmp", 0o1777}, {"var/lib/entente", 0o700}},
			Roots:       true,
		},
		{Name: "entente-webhook", Title: "Entente's admission webhook, which gives pods their federated identity"},
		{Name: "entente-proxy", Title: "Entente's managed-identity endpoint inside a pod"},
	}
}

// compile builds a program for a platform and returns its bytes, which are the
// same wherever and whenever the same commit is built with the same Go.
func (b *Builder) compile(ctx context.Context, name string, p v1.Platform) ([]byte, error) {
	dir, err := os.MkdirTemp("", "entente-image-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, name)
	revision := "-buildvcs=auto"
	if b.NoRevision {
		revision = "-buildvcs=false"
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", revision, "-ldflags", "-s -w", "-o", file, "./cmd/"+name)
	cmd.Dir = b.Source
	// What somebody has set by "go env -w" counts where a variable is empty.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath", "GOWORK=off", "GOEXPERIMENT=", "GOFIPS140=off",
		"GOOS="+p.OS, "GOARCH="+p.Architecture, "GOAMD64=v1", "GOARM64=v8.0")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go build ./cmd/%s for %s/%s: %w\n%s", name, p.OS, p.Architecture, err, complaints.Bytes())
	}
	return os.ReadFile(file)
}

// source says what a program was built from.
type source struct {
	info     *buildinfo.BuildInfo
	revision string    // of the repository; "" where that is unknown
	time     time.Time // of that revision, or SOURCE_DATE_EPOCH; else 1970
}

func sourceOf(program []byte) (source, error) {
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		return source{}, err
	}
	s := source{info: info, time: time.Unix(0, 0).UTC()}
	modified := false
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			s.revision = setting.Value
		case "vcs.modified":
			modified = setting.Value == "true"
		case "vcs.time":
			if t, err := time.Parse(time.RFC3339, setting.Value); err == nil {
				s.time = t.UTC()
			}
		}
	}
	if modified {
		s.revision += "-modified"
	}
	// https://reproducible-builds.org/specs/source-date-epoch/
	if epoch := os.Getenv("SOURCE_DATE_EPOCH"); epoch != "" {
		n, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil {
			return s, fmt.Errorf("SOURCE_DATE_EPOCH: %q is not a number of seconds", epoch)
		}
		s.time = time.Unix(n, 0).UTC()
	}
	return s, nil
}
