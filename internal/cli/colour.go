package cli

import (
	"io"
	"os"

	"golang.org/x/term"
)

// palette colours words, on terminals only.
type palette bool

// What is coloured, and how (ECMA-48 section 8.3.117).
const (
	red    = "1;31"
	yellow = "33"
	green  = "32"
	bold   = "1"
	dim    = "2"
)

// colours says whether what is written there may be coloured (no-color.org).
func colours(w io.Writer) palette {
	return palette(isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb")
}

func (p palette) paint(code, text string) string {
	if !p {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// isTerminal says whether a person is likely to be at the other end of w.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
