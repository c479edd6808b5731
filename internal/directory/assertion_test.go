package directory_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Of many that spend one assertion at once, one may; what another client or
// another digest spends is another.
func TestAssertionIsSpentOnce(t *testing.T) {
	each(t, func(w *world) {
		until := start.Add(time.Hour)
		for _, digest := range []string{"a", "b"} {
			for _, clientID := range []string{"x", "y"} {
				spent, err := w.dir.AssertionSpent(w.ctx(), clientID, digest)
				if err != nil || spent {
					w.Errorf("before: %v, %v", spent, err)
				}
				var fresh atomic.Int32
				var wg sync.WaitGroup
				for range 8 {
					wg.Go(func() {
						ok, err := w.dir.SpendAssertion(w.ctx(), clientID, digest, until)
						if err != nil {
							t.Error(err)
						}
						if ok {
							fresh.Add(1)
						}
					})
				}
				wg.Wait()
				if fresh.Load() != 1 {
					w.Errorf("%d of 8 were told that they are the first", fresh.Load())
				}
				if spent, err = w.dir.AssertionSpent(w.ctx(), clientID, digest); err != nil || !spent {
					w.Errorf("after: %v, %v", spent, err)
				}
			}
		}
	})
}

func TestPurgeForgetsAssertions(t *testing.T) {
	each(t, func(w *world) {
		for digest, until := range map[string]time.Duration{"short": time.Hour, "long": 2 * time.Hour} {
			_, err := w.dir.SpendAssertion(w.ctx(), "x", digest, start.Add(until))
			w.ok(err)
		}
		for _, c := range []struct {
			after time.Duration
			want  int
		}{{time.Hour, 2}, {time.Hour + time.Millisecond, 1}, {2 * time.Hour, 1}, {3 * time.Hour, 0}} {
			w.clock.Set(start.Add(c.after))
			w.ok(w.dir.Purge(w.ctx()))
			if n := w.rows("used_assertions", "1 = 1"); n != c.want {
				w.Errorf("after %s %d are remembered, want %d", c.after, n, c.want)
			}
		}
	})
}
