package webhook

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// However many bodies come, those that are read at one time fit into the memory
// that there is; the others wait, or are turned away.
func TestReviewsAreReadWithinBounds(t *testing.T) {
	var mu sync.Mutex
	reading, most := 0, 0
	release := make(chan struct{})
	s := httptest.NewServer(withRoom(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		reading++
		most = max(most, reading)
		mu.Unlock()
		<-release
		io.Copy(io.Discard, r.Body)
		mu.Lock()
		reading--
		mu.Unlock()
	}), slog.New(slog.DiscardHandler)))
	defer s.Close()
	status := make(chan int, 8)
	post := func(body io.Reader) {
		res, err := http.Post(s.URL, "application/json", body)
		if err != nil {
			t.Error(err)
			status <- 0
			return
		}
		res.Body.Close()
		status <- res.StatusCode
	}
	const large = 5 << 20 // six of them are read at one time
	for range 8 {
		go post(strings.NewReader(strings.Repeat("a", large)))
	}
	var got []int
	for range 2 {
		got = append(got, <-status) // nothing is released, so these were turned away
	}
	close(release)
	for range 6 {
		got = append(got, <-status)
	}
	if got[0] != http.StatusServiceUnavailable || got[1] != http.StatusServiceUnavailable || most != maxReading/large {
		t.Errorf("%d, with %d at one time", got, most)
	}
	for _, code := range got[2:] {
		if code != http.StatusOK {
			t.Errorf("%d", got)
		}
	}

	// Then there is room again, for a body of unknown length too, and never for one that is too large.
	for _, c := range []struct {
		body io.Reader
		want int
	}{
		{io.MultiReader(strings.NewReader("a")), http.StatusOK},
		{strings.NewReader(strings.Repeat("a", maxReview+1)), http.StatusRequestEntityTooLarge},
	} {
		go post(c.body)
		select {
		case code := <-status:
			if code != c.want {
				t.Errorf("%d, want %d", code, c.want)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("no answer")
		}
	}
}
