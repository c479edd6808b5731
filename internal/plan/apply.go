package plan

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/entente-id/entente/client"
)

// ApplyOptions say how a plan is applied.
type ApplyOptions struct {
	// Progress is told what happens, one thing at a time; nil: nobody is.
	Progress func(Progress)
	// Wait waits between two tries, for several parents at one time; nil: it takes the time.
	Wait func(context.Context, time.Duration) error
}

// Event is what happened to a step.
type Event string

// The events.
const (
	Began   Event = "began"
	Waiting Event = "waiting" // for Wait, because of Err; then it is tried again
	Ended   Event = "ended"   // well, or with Err
)

// Progress is one thing that happened.
type Progress struct {
	Event Event
	Step  *Step
	N     int // how many have ended, this one with them
	Total int // how many steps write something
	Wait  time.Duration
	Err   error
}

// Apply takes the steps of a plan, once. Steps of one application or identity come
// one after the other, and those of several at one time. A step that fails stops
// those of its application or identity and those that need it; the others go on,
// and what remains is in the error, an *[Incomplete]. When the context ends, no
// further step begins; the requests that are under way are waited for, so that
// what is done is known.
func (p *Plan) Apply(ctx context.Context, o ApplyOptions) error {
	if p.applied {
		return errors.New("a plan is applied once: make another")
	}
	p.applied = true
	if o.Wait == nil {
		o.Wait = pause
	}
	a := &applier{ApplyOptions: o, plan: p}
	var first []*Step
	var parents, rights []*lane
	for _, s := range p.Steps {
		if !s.writes() {
			continue
		}
		s.Result = Left
		a.total++
		switch {
		case s.of == nil:
			first = append(first, s)
		case s.right:
			rights = add(rights, s)
		default:
			parents = add(parents, s)
		}
	}
	if a.lane(ctx, first) {
		a.lanes(ctx, parents)
		a.lanes(ctx, rights)
	}
	return a.outcome(ctx)
}

// lane is steps that come one after the other.
type lane struct {
	of    *holder
	steps []*Step
}

func add(lanes []*lane, s *Step) []*lane {
	for _, l := range lanes {
		if l.of == s.of {
			l.steps = append(l.steps, s)
			return lanes
		}
	}
	return append(lanes, &lane{s.of, []*Step{s}})
}

type applier struct {
	ApplyOptions
	plan     *Plan
	total    int
	mu       sync.Mutex
	ended    int
	failures []Failure
}

func (a *applier) lanes(ctx context.Context, all []*lane) {
	var g errgroup.Group
	g.SetLimit(a.plan.parallel)
	for _, l := range all {
		g.Go(func() error {
			a.lane(ctx, l.steps)
			return nil
		})
	}
	g.Wait()
}

// lane takes steps until one fails, and says whether none did.
func (a *applier) lane(ctx context.Context, steps []*Step) bool {
	for _, s := range steps {
		if ctx.Err() != nil {
			return false
		}
		if s.right && (s.of.principalID == "" || s.needs != nil && s.needs.principalID == "") {
			continue // what it needs has failed, which is told already
		}
		a.tell(Progress{Event: Began, Step: s})
		err := a.step(ctx, context.WithoutCancel(ctx), s)
		a.end(s, err)
		if err != nil {
			return false
		}
	}
	return true
}

func (a *applier) end(s *Step, err error) {
	a.mu.Lock()
	if s.Result = Done; err != nil {
		s.Result, s.Error = Failed, err.Error()
		a.failures = append(a.failures, Failure{s, err})
	}
	a.ended++
	a.mu.Unlock()
	a.tell(Progress{Event: Ended, Step: s, Err: err})
}

func (a *applier) tell(p Progress) {
	if a.Progress == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	p.N, p.Total = a.ended, a.total
	a.Progress(p)
}

// outcome is nil when every step is done.
func (a *applier) outcome(ctx context.Context) error {
	i := &Incomplete{Failures: a.failures, cause: context.Cause(ctx)}
	for _, s := range a.plan.Steps {
		switch s.Result {
		case Done:
			i.Done = append(i.Done, s)
		case Left:
			i.Left = append(i.Left, s)
		}
	}
	if len(i.Failures) == 0 && len(i.Left) == 0 {
		return nil
	}
	return i
}

// Failure is a step that failed.
type Failure struct {
	Step *Step
	Err  error
}

// Incomplete is the error of a plan of which not every step is done. The same
// file, applied again, goes on from there.
type Incomplete struct {
	Done, Left []*Step
	Failures   []Failure
	cause      error // why the rest was not begun, if somebody said stop
}

// maxTold is how many steps of a kind an error lists.
const maxTold = 20

// Error has a line for each step that is done, has failed or was not begun.
func (i *Incomplete) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d steps are done", len(i.Done), len(i.Done)+len(i.Left)+len(i.Failures))
	if i.cause != nil {
		fmt.Fprintf(&b, " (%v)", i.cause)
	}
	for _, f := range i.Failures {
		fmt.Fprintf(&b, "\nfailed: %s %s: %v", f.Step.Action, f.Step.What(), f.Err)
		_, answered := errors.AsType[*client.Error](f.Err)
		if _, refused := errors.AsType[*client.TokenError](f.Err); !answered && !refused {
			b.WriteString(" (it may have been carried out)")
		}
	}
	list := func(title string, steps []*Step) {
		for n, s := range steps {
			if n == maxTold {
				fmt.Fprintf(&b, "\n%s: and %d more", title, len(steps)-n)
				return
			}
			fmt.Fprintf(&b, "\n%s: %s %s", title, s.Action, s.What())
		}
	}
	list("done", i.Done)
	list("not begun", i.Left)
	return b.String()
}

// Unwrap returns the errors of the steps that failed.
func (i *Incomplete) Unwrap() []error {
	var all []error
	for _, f := range i.Failures {
		all = append(all, f.Err)
	}
	if i.cause != nil {
		all = append(all, i.cause)
	}
	return all
}
