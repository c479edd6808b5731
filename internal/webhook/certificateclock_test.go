package webhook

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestAPICalendar(t *testing.T) {
	local := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	answered := ""
	c := &apiCalendar{clock: func() time.Time { return local }}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Date", answered) }))
	t.Cleanup(api.Close)
	for _, test := range []struct {
		name string
		date string
		want time.Time
	}{
		{"the same", local.Format(http.TimeFormat), local},
		{"nearly the same", local.Add(50 * time.Second).Format(http.TimeFormat), local},
		{"months later", local.AddDate(0, 3, 0).Format(http.TimeFormat), local.AddDate(0, 3, 0)},
		{"no time", "yesterday", local.AddDate(0, 3, 0)}, // what was known stays
		{"months before", local.AddDate(0, -3, 0).Format(http.TimeFormat), local.AddDate(0, -3, 0)},
		{"the same again", local.Format(http.TimeFormat), local},
	} {
		answered = test.date
		resp, err := (&http.Client{Transport: c.wrap(http.DefaultTransport)}).Get(api.URL)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := c.now(); !got.Equal(test.want) {
			t.Errorf("%s: %s", test.name, got)
		}
	}
}
