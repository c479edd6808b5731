package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// azwiLog writes log lines as azwi does, since scripts look for them:
//
//	INFO[0003] [aad-application] created an AAD application  clientID=… name=… objectID=…
//
// In brackets stand the seconds since the start; attributes are in the order of
// their names, and quoted when they are more than a word.
type azwiLog struct {
	mu    *sync.Mutex
	out   io.Writer
	start time.Time
	level slog.Level
}

func newAzwiLog(out io.Writer, debug bool) *slog.Logger {
	h := azwiLog{mu: &sync.Mutex{}, out: out, start: time.Now(), level: slog.LevelInfo}
	if debug {
		h.level = slog.LevelDebug
	}
	return slog.New(h)
}

func (h azwiLog) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }

// WithAttrs and WithGroup have no use here.
func (h azwiLog) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h azwiLog) WithGroup(string) slog.Handler      { return h }

func (h azwiLog) Handle(_ context.Context, r slog.Record) error {
	level := map[slog.Level]string{slog.LevelDebug: "DEBU", slog.LevelInfo: "INFO", slog.LevelWarn: "WARN"}[r.Level]
	if level == "" {
		level = "ERRO"
	}
	var attrs []string
	r.Attrs(func(a slog.Attr) bool {
		if value := a.Value.String(); value != "" {
			attrs = append(attrs, " "+a.Key+"="+word(value))
		}
		return true
	})
	slices.Sort(attrs)
	line := fmt.Sprintf("%s[%04d] %-44s %s", level, int(time.Since(h.start).Seconds()), r.Message, strings.Join(attrs, ""))
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := fmt.Fprintln(h.out, strings.TrimRight(line, " "))
	return err
}

// word is a value as it is if it is a word.
func word(s string) string {
	for _, r := range s {
		if !strings.ContainsRune("-._/@^+", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return strconv.Quote(s)
		}
	}
	return s
}
