// Package seed brings a directory to the state that a manifest states.
//
// It is the manifest's way into a service that starts: it looks at everything
// first and tells all that stands in the way, and only then writes, each object
// by the directory's own methods, so that rules, limits and the audit are those
// of every other write. What is as stated is not written, which is why a
// service may be started with its file each time. What is not stated is left alone.
package seed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/entente-id/entente/internal/directory"
	"github.com/entente-id/entente/internal/manifest"
)

// Config is where a manifest is loaded to.
type Config struct {
	Directory *directory.Directory
	// CheckKeySet judges a key set before it is kept; nil takes what the directory takes.
	CheckKeySet func(set []byte) error
	// Log takes what was done; nil means slog.Default().
	Log *slog.Logger
}

// Result counts objects by what became of them.
type Result struct{ Made, Changed, Unchanged int }

// Open reads a manifest. The files that it names lie below its directory.
func Open(path string) (*manifest.Manifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, manifest.MaxSize+1))
	if err != nil {
		return nil, err
	}
	return manifest.Read(path, text, os.DirFS(filepath.Dir(path)))
}

// Load brings the directory, whose default tenant is there, to the state of a
// manifest. A *manifest.Problems tells all that stands in the way; then nothing
// was written. Of processes that load at once on one PostgreSQL database, one
// comes after the other.
func Load(ctx context.Context, c Config, m *manifest.Manifest) (Result, error) {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	var r Result
	err := c.Directory.DB.Turn(ctx, func() error {
		p := &planner{Config: c, Context: ctx, problems: manifest.Problems{File: m.File}}
		if err := p.manifest(m); err != nil {
			return fmt.Errorf("look for what is there: %w", err)
		}
		if err := p.problems.Err(); err != nil {
			return err
		}
		r.Unchanged = p.unchanged
		for _, s := range p.steps {
			ids, err := s.do()
			if err != nil {
				problem := s.place.Problem("", "%s", s.name)
				return fmt.Errorf("%s:%d: %s: %w", m.File, problem.Line, problem.Path, err)
			}
			if s.makes {
				r.Made++
			} else {
				r.Changed++
			}
			p.tell(s, ids)
		}
		return nil
	})
	return r, err
}

// step is one write that is to be done.
type step struct {
	makes  bool
	object directory.Object
	name   string
	place  manifest.Place
	tenant *tenant
	do     func() (ids []any, err error) // what a log line should hold
}

func (p *planner) tell(s step, ids []any) {
	did := "seed: changed"
	if s.makes {
		did = "seed: made"
	}
	p.Log.InfoContext(p, did, append([]any{"object", s.object, "name", s.name, "tenant", s.tenant.caller.TenantID}, ids...)...)
}

// planner finds out what is to be written for a manifest.
type planner struct {
	Config
	context.Context
	problems  manifest.Problems
	steps     []step
	unchanged int
	host      string // the default tenant
}

func (p *planner) manifest(m *manifest.Manifest) error {
	if err := p.defaultTenant(m); err != nil {
		return err
	}
	for i := range m.Tenants {
		if err := p.furtherTenant(&m.Tenants[i]); err != nil {
			return err
		}
	}
	return nil
}

// add notes what stands in the way.
func (p *planner) add(at manifest.Place, field, format string, args ...any) {
	p.problems.Add(at.Problem(field, format, args...))
}

func (t *tenant) make(object directory.Object, name string, at manifest.Place, do func() ([]any, error)) {
	t.steps = append(t.steps, step{makes: true, object: object, name: name, place: at, tenant: t, do: do})
}

func (t *tenant) change(object directory.Object, name string, at manifest.Place, do func() error) {
	t.steps = append(t.steps, step{object: object, name: name, place: at, tenant: t, do: func() ([]any, error) { return nil, do() }})
}

// found returns what was read, with there == false when it is not there.
func found[T any](item T, err error) (_ T, there bool, _ error) {
	if e, ok := errors.AsType[*directory.Error](err); ok && e.Kind == directory.NotFound {
		return item, false, nil
	}
	return item, err == nil, err
}

// all reads every page of a list.
func all[T any](list func(directory.Page) (directory.Paged[T], error)) ([]T, error) {
	var items []T
	for page := (directory.Page{Limit: directory.MaxPage}); ; {
		p, err := list(page)
		if err != nil {
			return nil, err
		}
		items = append(items, p.Items...)
		if p.Next == "" {
			return items, nil
		}
		page.After = p.Next
	}
}
