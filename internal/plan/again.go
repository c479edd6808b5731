package plan

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/entente-id/entente/client"
)

// The statuses that are looked at (RFC 9110 §15, RFC 6585 §4).
const (
	badRequest      = 400
	forbidden       = 403
	notFound        = 404
	conflict        = 409
	tooManyRequests = 429
	unavailable     = 503
)

const (
	maxTries = 8                // of one step, each of which the client tries three times where that is safe
	maxPause = 30 * time.Second // unless the service asks for more
	maxAsked = 5 * time.Minute  // that a service may ask for
)

// concurrent is Azure's refusal of two writes to the credentials of one managed
// identity at one time
// (https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations).
const concurrent = "ConcurrentFederatedIdentityCredentialsWritesForSingleManagedIdentity"

// step does a step, again and again where the service asks for that, unless
// waiting is over. Its requests have a context of their own.
func (a *applier) step(waiting, ctx context.Context, s *Step) error {
	for try := 1; ; try++ {
		err := s.do(ctx)
		if err == nil {
			return nil
		}
		if e, ok := errors.AsType[*client.Error](err); ok && s.standing != nil && (e.Status == badRequest || e.Status == conflict && e.Code != concurrent) {
			if stands, failed := s.standing(ctx); stands && failed == nil {
				return nil // by an earlier try, whose answer was lost
			}
		}
		d, again := a.later(s, err, try)
		if !again {
			return err
		}
		a.tell(Progress{Event: Waiting, Step: s, Wait: d, Err: err})
		if stopped := a.Wait(waiting, d); stopped != nil {
			return fmt.Errorf("waiting to try again: %w", err)
		}
	}
}

// later says whether and when a step is tried again.
func (a *applier) later(s *Step, err error, try int) (time.Duration, bool) {
	if e, ok := errors.AsType[*client.Error](err); ok {
		if e.Status == conflict && e.Code == concurrent || a.plan.Target.Service == azure && s.early(e) {
			return wait(e.RetryAfter, try)
		}
	}
	return busy(err, try)
}

// busy says whether and when a service that has no time now is asked again.
func busy(err error, try int) (time.Duration, bool) {
	var status int
	var asked time.Duration
	if e, ok := errors.AsType[*client.Error](err); ok {
		status, asked = e.Status, e.RetryAfter
	} else if e, ok := errors.AsType[*client.TokenError](err); ok {
		status, asked = e.Status, e.RetryAfter
	}
	if status != tooManyRequests && status != unavailable {
		return 0, false
	}
	return wait(asked, try)
}

// wait is how long to wait after a try, if it is worth it.
func wait(asked time.Duration, try int) (time.Duration, bool) {
	switch {
	case try >= maxTries || asked > maxAsked:
		return 0, false
	case asked > 0:
		return asked, true
	}
	d := min(time.Second<<(try-1), maxPause)
	return d + rand.N(d/2), true // apart from others that were turned away
}

// patiently reads, again where the service has no time now.
func patiently(ctx context.Context, pause func(context.Context, time.Duration) error, read func() error) error {
	for try := 1; ; try++ {
		err := read()
		d, again := busy(err, try)
		if !again {
			return err
		}
		if stopped := pause(ctx, d); stopped != nil {
			return fmt.Errorf("waiting to ask again: %w", err)
		}
	}
}

// early says whether an answer may come from a part of Azure that does not know
// yet of what this run has made.
func (s *Step) early(e *client.Error) bool {
	made := s.of != nil && s.of.made || s.needs != nil && s.needs.made
	if !made || s.Action != Create {
		return false
	}
	return e.Status == notFound || e.Status == badRequest && (s.Kind == PrincipalObject || s.Kind == GrantObject || e.Code == "PrincipalNotFound")
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
