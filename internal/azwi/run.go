// Package azwi makes and deletes a workload identity in the phases of azwi, the
// command line of Azure Workload Identity: the application or managed identity, the
// Kubernetes service account, the federated credential between the two, and the
// role assignment.
//
// It is a room of its own because azwi's scripts are years old and stay: names,
// order, messages and generated names are azwi's (version 1.6), so that each of the
// two programs finds and deletes what the other made. What differs is what hurt its
// users. Nothing is done to "the first" of several objects with one name; a look-up
// that fails ends the run; a phase that finds its work done changes nothing, which
// makes repeating a run the way to finish one that failed; and wherever azwi takes
// an application, a user-assigned managed identity will do.
package azwi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/entente-id/entente/client"
)

// Run is one run of a verb.
type Run struct {
	Verb    Verb
	Options Options
	Phases  []Phase // nil: all of the verb's; they run in the verb's order
	DryRun  bool    // look everything up, say what would be written, write nothing

	Client         *client.Client
	SubscriptionID string               // of managed identities
	Kubernetes     kubernetes.Interface // for ServiceAccountPhase

	Tool string       // who made a service principal, for its tags; "" : no tag
	Log  *slog.Logger // nil: none. What was done is Info, what was done before or is not there Warn

	Wait func(context.Context, time.Duration) error // nil: sleep. Between tries for what Azure does not know everywhere yet
}

// IncompleteError is the failure of a phase. The phases before it are done, and
// doing them again changes nothing.
type IncompleteError struct {
	Phase Phase
	Done  []Phase
	Err   error
}

func (e *IncompleteError) Error() string {
	return fmt.Sprintf("failed to run phase %s: %v", e.Phase, e.Err)
}

func (e *IncompleteError) Unwrap() error { return e.Err }

// phases are those to run, in order.
func (r *Run) phases() []Phase {
	if r.Phases == nil {
		return r.Verb.Phases()
	}
	return slices.DeleteFunc(r.Verb.Phases(), func(p Phase) bool { return !slices.Contains(r.Phases, p) })
}

// Needs says whether a phase is part of the run.
func (r *Run) Needs(p Phase) bool { return slices.Contains(r.phases(), p) }

// Check looks at the options of every phase. It makes no request. An option that
// is not given is a [*MissingError].
func (r *Run) Check() error {
	if err := r.Options.checkOwner(); err != nil {
		return err
	}
	for _, p := range r.phases() {
		if err := r.Options.check(r.Verb, p); err != nil {
			return fmt.Errorf("failed to run pre-run for phase %s: %w", p, err)
		}
	}
	return nil
}

// Do checks the options and runs the phases. The failure of a phase is an
// [*IncompleteError].
func (r *Run) Do(ctx context.Context) error {
	if err := r.Check(); err != nil {
		return err
	}
	s := &run{Run: r, log: cmp.Or(r.Log, slog.New(slog.DiscardHandler)), wait: r.Wait}
	if s.wait == nil {
		s.wait = sleep
	}
	for _, p := range r.Verb.Phases() {
		if !r.Needs(p) && r.Phases == nil {
			s.log.Info("skipping phase", "phase", string(p))
		}
	}
	var done []Phase
	for _, p := range r.phases() {
		s.phase = p
		if err := steps[r.Verb][p](s, ctx); err != nil {
			return &IncompleteError{Phase: p, Done: done, Err: err}
		}
		done = append(done, p)
	}
	return nil
}

// run is what the phases of a run know of each other's work.
type run struct {
	*Run
	log   *slog.Logger
	wait  func(context.Context, time.Duration) error
	phase Phase

	application *client.Application // found or made
	identity    *client.Identity    // found or made
	fresh       bool                // the one of these was made by this run
	planned     bool                // a dry run would have made it
	warned      bool                // of a name that was made up
}

var steps = map[Verb]map[Phase]func(*run, context.Context) error{
	Create: {
		ApplicationPhase:    (*run).createOwner,
		ServiceAccountPhase: (*run).createServiceAccount,
		CredentialPhase:     (*run).createCredential,
		RolePhase:           (*run).createAssignment,
	},
	Delete: {
		RolePhase:           (*run).deleteAssignment,
		CredentialPhase:     (*run).deleteCredential,
		ServiceAccountPhase: (*run).deleteServiceAccount,
		ApplicationPhase:    (*run).deleteOwner,
	},
}

func (s *run) info(message string, args ...any) { s.log.Info(s.prefix()+message, args...) }
func (s *run) note(message string, args ...any) { s.log.Warn(s.prefix()+message, args...) }
func (s *run) prefix() string                   { return "[" + string(s.phase) + "] " }

// dry says what a dry run leaves out, and whether this is one.
func (s *run) dry(would string, args ...any) bool {
	if s.DryRun {
		s.info("dry run: would "+would, args...)
	}
	return s.DryRun
}

const (
	tries      = 7 // of what depends on an object that is new, at azwi's pace
	betweenTry = 5 * time.Second
)

// settle does what may fail for a while because Azure does not know a new object
// everywhere, or because somebody else writes to the same identity.
func (s *run) settle(ctx context.Context, do func() error) error {
	for try := 1; ; try++ {
		err := do()
		if err == nil || try == tries || !s.unsettled(err) {
			return err
		}
		s.log.Debug(s.prefix()+"trying again", "error", err.Error())
		if err := s.wait(ctx, betweenTry); err != nil {
			return err
		}
	}
}

// unsettled tells a refusal that will pass. Graph says 400 as well as 404 of an
// application that has not arrived; the codes are those of Azure RBAC
// (https://learn.microsoft.com/azure/role-based-access-control/troubleshooting)
// and of Microsoft.ManagedIdentity.
func (s *run) unsettled(err error) bool {
	e, ok := errors.AsType[*client.Error](err)
	if !ok {
		return false
	}
	switch e.Code {
	case "PrincipalNotFound", "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity":
		return true
	}
	return s.fresh && (e.Status == 404 || e.Status == 400)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
