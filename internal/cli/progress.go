package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// progress tells a person that long work goes on: one line that is written again and
// again on a terminal, and elsewhere a line for each step. It says nothing where quiet
// was asked for. The zero value says nothing, too.
type progress struct {
	mu    sync.Mutex
	out   io.Writer // nil: nobody is told
	live  bool      // lines can be written again
	width int       // of the terminal; 0: not known
	shown bool      // a line stands there that is to be written again
}

// progressOf is that of a verb.
func progressOf(cmd *cobra.Command) *progress {
	m, w := mannersOf(cmd.Context()), cmd.ErrOrStderr()
	if m.quiet {
		return &progress{}
	}
	p := &progress{out: w, live: isTerminal(w) && os.Getenv("TERM") != "dumb" && m.trace == nil}
	if f, ok := w.(*os.File); ok && p.live {
		p.width, _, _ = term.GetSize(int(f.Fd())) // else not known
	}
	return p
}

// step says what goes on, or what has come of it.
func (p *progress) step(format string, args ...any) { p.write(false, format, args...) }

// passing is a step that is worth nothing once it is over, and so no line of a log.
func (p *progress) passing(format string, args ...any) { p.write(true, format, args...) }

// lasting is a line that stays, on a terminal too: what went wrong.
func (p *progress) lasting(format string, args ...any) {
	p.done()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.out != nil {
		fmt.Fprintf(p.out, format+"\n", args...)
	}
}

func (p *progress) write(passing bool, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " ")
	switch {
	case p.out == nil, passing && !p.live:
	case p.live:
		fmt.Fprint(p.out, "\r\x1b[K"+cut(text, p.width-1))
		p.shown = true
	default:
		fmt.Fprintln(p.out, text)
	}
}

// done takes the line away, before anything else is written.
func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = false
	}
}

// cut keeps a text to one line of a terminal.
func cut(text string, width int) string {
	if width < 2 || utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-1]) + "…"
}
