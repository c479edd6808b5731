package webhook

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"
)

// Bounds of the reviews that are read at one time. A review is some 20 KB, so
// that API servers never see them; a body is read whole, and anybody who reaches
// the port could send many large ones.
const (
	maxReview  = 7 << 20  // one body; the API server takes objects of 3 MiB, and sends two of an update
	maxReading = 32 << 20 // all bodies together
	leastBody  = 64 << 10 // what one counts at least, for what is made of it
	waitToRead = 2 * time.Second
)

// withRoom lets reviews in while there is room for their bodies, and has others
// wait for a moment.
func withRoom(next http.Handler, log *slog.Logger) http.Handler {
	room := semaphore.NewWeighted(maxReading)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size := r.ContentLength
		if size < 0 {
			size = maxReview
		}
		if size > maxReview {
			http.Error(w, "the review is too large", http.StatusRequestEntityTooLarge)
			return
		}
		size = max(size, leastBody)
		ctx, cancel := context.WithTimeout(r.Context(), waitToRead)
		err := room.Acquire(ctx, size)
		cancel()
		if err != nil {
			log.Warn("a review was turned away: too many are read at one time", "bytes", r.ContentLength, "from", r.RemoteAddr)
			w.Header().Set("Retry-After", "1")
			http.Error(w, "too many reviews at one time", http.StatusServiceUnavailable)
			return
		}
		defer room.Release(size)
		r.Body = http.MaxBytesReader(w, r.Body, size)
		next.ServeHTTP(w, r)
	})
}
