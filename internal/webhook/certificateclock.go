package webhook

import (
	"net/http"
	"sync/atomic"
	"time"
)

// An apiCalendar is the wall clock of the API server, as far as its answers tell.
// It is who judges certificates: of a replica whose node is months ahead or
// behind, each certificate would be wrong for all others, and the other way round.
type apiCalendar struct {
	clock  func() time.Time
	behind atomic.Int64 // how much clock is, in nanoseconds
}

// A difference up to this much is none: answers take time.
const calendarTolerance = time.Minute

// now is the time of the API server.
func (c *apiCalendar) now() time.Time { return c.clock().Add(time.Duration(c.behind.Load())) }

// wrap reads the clock from answers.
func (c *apiCalendar) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err != nil {
			return resp, err
		}
		if at, wrong := http.ParseTime(resp.Header.Get("Date")); wrong == nil {
			// Without the monotonic clock, which does not jump with the wall clock.
			behind := at.Sub(c.clock().Round(0))
			if behind.Abs() <= calendarTolerance {
				behind = 0
			}
			c.behind.Store(int64(behind))
		}
		return resp, nil
	})
}
