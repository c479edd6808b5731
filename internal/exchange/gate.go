package exchange

import (
	"context"
	"errors"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// A gate lets so many through at once, the others in the order in which they
// came, and refuses who would stand too far behind. Without it an overload
// makes every request slow instead of refusing a few.
type gate struct {
	slots   *semaphore.Weighted
	waiting atomic.Int64
	queue   int64
}

var errFull = errors.New("the queue is full")

func newGate(parallel, queue int) *gate {
	return &gate{slots: semaphore.NewWeighted(int64(parallel)), queue: int64(queue)}
}

// full says whether there is no sense in doing the work that leads to the gate.
func (g *gate) full() bool { return g.waiting.Load() >= g.queue }

// enter waits until there is room, or fails with errFull or the error of ctx.
func (g *gate) enter(ctx context.Context) error {
	if g.slots.TryAcquire(1) { // never past those who wait
		return nil
	}
	defer g.waiting.Add(-1)
	if g.waiting.Add(1) > g.queue {
		return errFull
	}
	return g.slots.Acquire(ctx, 1)
}

func (g *gate) leave() { g.slots.Release(1) }
