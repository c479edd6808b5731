package cli

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// repeated is something that a verb goes on doing until it is interrupted.
type repeated struct {
	// try does it once. The words say what it came to, for a line of the log;
	// changed tells whether they are worth one after the first time.
	try     func(context.Context) (words string, more []any, changed bool, err error)
	explain func(error) error

	failed, again string // lines of the log: it did not work, and it works again
}

// run tries until the context ends, which is no error. The time between two
// tries doubles while they fail, from a second on, up to the usual time. What
// a person has to mend ends it, before the first success.
func (r repeated) run(ctx context.Context, log *slog.Logger, every time.Duration, wait func(context.Context, time.Duration) error) error {
	succeeded, failures := false, 0
	for {
		words, more, changed, err := r.try(ctx)
		next := every
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			if !succeeded || changed {
				log.Info(words, more...)
			} else if failures > 0 {
				log.Info(r.again)
			}
			succeeded, failures = true, 0
		case !succeeded && isMistake(err):
			return err
		default:
			next = backOff(failures, every, err)
			failures++
			attrs := []any{"error", err, "again_in", next.Round(time.Millisecond).String()}
			if h, ok := errors.AsType[*hinted](r.explain(err)); ok {
				attrs = append(attrs, "hint", h.hint)
			}
			log.Error(r.failed, attrs...)
		}
		if wait(ctx, next) != nil {
			return nil
		}
	}
}
