package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// interruption is the signal that ended a context.
type interruption struct{ syscall.Signal }

func (i interruption) Error() string        { return "interrupted" }
func (i interruption) Is(target error) bool { return target == context.Canceled }

// interruptible is a context that SIGINT and SIGTERM end, with an [interruption] as its
// cause. A second one ends the process at once.
func interruptible(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	got := make(chan os.Signal, 1)
	signal.Notify(got, os.Interrupt, syscall.SIGTERM)
	go func() {
		defer signal.Stop(got)
		select {
		case s := <-got:
			number, _ := s.(syscall.Signal) // it always is
			cancel(interruption{number})
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// interruptedBy makes an error the end by a signal, if there was one: with the exit code
// that shells give it. A command that was run has had its own.
func interruptedBy(ctx context.Context, err error) error {
	i, ok := errors.AsType[interruption](context.Cause(ctx))
	if _, ended := errors.AsType[*exited](err); !ok || ended {
		return err
	}
	said := fmt.Errorf("interrupted: %w", err)
	if err == ctx.Err() || errors.Is(err, i) && err.Error() == i.Error() {
		said = i
	}
	if text := hintOf(err); text != "" {
		said = hint(said, "%s", text)
	}
	return &exited{exitBySignal + int(i.Signal), said}
}
