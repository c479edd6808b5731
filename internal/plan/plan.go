// Package plan brings Azure, or an Entente service, to what a manifest states,
// over the wires that both have.
//
// It looks at everything that the file names first and says all that stands in
// the way, by line, before it writes anything. What it would write is a [Plan]:
// steps that a person reads and a program counts. [Plan.Apply] takes them, one
// after the other for each application or identity, and waits where it is told to.
//
// There is no record of earlier runs. Every run compares the file with what is
// there, so a run that broke off is resumed by the next, what is as stated is not
// written, and there is nothing to lose, lock or share. Where a file has to know
// which credentials were its own, so that --prune removes no one else's, their
// names say so (see [manifest.OwnerOf]).
//
// A credential is found by its issuer and subject, and else by its name. No
// service takes two of one parent with the same issuer and subject, and none
// changes a name, so a credential that was renamed in the file keeps the name
// that it has: giving it another would leave a moment in which nothing trusts
// the workload. See [match].
package plan

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/entente-id/entente/client"
	"github.com/entente-id/entente/internal/credential"
	"github.com/entente-id/entente/internal/manifest"
)

// Options say how a plan is made.
type Options struct {
	// Subscription is the id of that of the file's resource groups, identities
	// and roles; empty: the one that the file names. See [NeedsSubscription].
	Subscription string
	// Prune removes credentials that the file's owner made and that the file does
	// not have any more, of the applications and identities for which the file
	// gives a list of credentials.
	Prune bool
	// Parallel is how many objects are looked at, and how many applications and
	// identities are written to, at one time; 0 means 4.
	Parallel int
	// Wait waits where the service has no time now; nil: it takes the time.
	Wait func(context.Context, time.Duration) error
}

// Plan is what would be written, in the order in which it is shown; a parent's
// steps come in the order in which they are taken.
type Plan struct {
	Target  Target  `json:"target"`
	Summary Summary `json:"summary"`
	Steps   []*Step `json:"steps"`
	// Notes are what a person should know that is about no one step.
	Notes []string `json:"notes,omitempty"`

	file     string
	parallel int
	applied  bool
}

// Summary counts steps by what they do.
type Summary struct {
	Create    int `json:"create"`
	Update    int `json:"update"`
	Delete    int `json:"delete"`
	Adopt     int `json:"adopt"`
	Unchanged int `json:"unchanged"`
}

// Changes is how many steps write something.
func (s Summary) Changes() int { return s.Create + s.Update + s.Delete }

// Make compares what a manifest states with what is there. A *manifest.Problems
// tells all that stands in the way, by line. Nothing is written.
func Make(ctx context.Context, c *client.Client, m *manifest.Manifest, o Options) (*Plan, error) {
	if o.Parallel <= 0 {
		o.Parallel = 4
	}
	if o.Wait == nil {
		o.Wait = pause
	}
	p := &planner{
		ctx: ctx, client: c, file: m, Options: o, problems: manifest.Problems{File: m.File},
		groups: map[string]*group{}, definitions: map[definitionKey]*client.RoleDefinition{}, resources: map[string]*resource{},
	}
	p.target = targetOf(c)
	p.plan = &Plan{Steps: []*Step{}, file: m.File, parallel: o.Parallel}
	for _, look := range []func() error{
		p.refuse, p.names, p.policy, p.issuers, p.resourceGroups, p.look, p.applications, p.identities, p.credentials, p.appRoles, p.roles,
	} {
		if err := look(); err != nil {
			return nil, fmt.Errorf("look for what is there: %w", err)
		}
	}
	if err := p.problems.Err(); err != nil {
		return nil, err
	}
	// What belongs to one application or identity stands together.
	slices.SortStableFunc(p.plan.Steps, func(a, b *Step) int { return cmp.Compare(index(a.of), index(b.of)) })
	p.plan.Target = p.target
	p.plan.count()
	return p.plan, nil
}

// planner finds out what is to be written for a manifest.
type planner struct {
	ctx    context.Context
	client *client.Client
	file   *manifest.Manifest
	Options
	problems manifest.Problems
	target   Target
	plan     *Plan
	holders  []*holder

	groups      map[string]*group // by folded name
	definitions map[definitionKey]*client.RoleDefinition
	resources   map[string]*resource
	limit       *int // of credentials, once it was asked for; 0: not to be known
}

// index is where a holder stands among all; before them, for none.
func index(h *holder) int {
	if h == nil {
		return -1
	}
	return h.index
}

// add notes what stands in the way.
func (p *planner) add(at manifest.Place, field, format string, args ...any) {
	p.problems.Add(at.Problem(field, format, args...))
}

// step adds a step of the object at a place of the file.
func (p *planner) step(at manifest.Place, s *Step) *Step {
	if at.Line > 0 {
		place := at.Problem("", "")
		s.Line, s.Path = place.Line, place.Path
	}
	p.plan.Steps = append(p.plan.Steps, s)
	return s
}

func (p *Plan) count() {
	p.Summary = Summary{}
	for _, s := range p.Steps {
		switch s.Action {
		case Create:
			p.Summary.Create++
		case Update:
			p.Summary.Update++
		case Delete:
			p.Summary.Delete++
		case Adopt:
			p.Summary.Adopt++
		default:
			p.Summary.Unchanged++
		}
	}
}

// labels for persons.
func labelOf(kind credential.ParentKind, name string) string {
	if kind == credential.ManagedIdentity {
		return fmt.Sprintf("managed identity %q", name)
	}
	return fmt.Sprintf("application %q", name)
}
