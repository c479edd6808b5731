package credential

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Side says in which of two texts a run stands.
type Side string

const (
	InBoth Side = ""
	InWant Side = "want" // what the credential says
	InGot  Side = "got"  // what the token says
)

// Run is a part of one of two texts, or of both. It is at least one character.
type Run struct {
	Text string
	In   Side
	// Mark says that Text is one character that a person would overlook or take
	// for another: Invisible, LookAlike or WhiteSpace. Empty: it is not.
	Mark Reason
	Note string // the marked character in words, such as U+0430 "а", which looks like "a"
}

// mostCompared bounds the work of Diff: the product of how many characters of
// each text lie between the beginning and the end that they share. It is more
// than two of the longest values of a credential take.
const mostCompared = 1 << 20

// Diff splits two texts into runs that they share and that they do not. The
// runs besides those in got are want, in order, and the runs besides those in
// want are got. It goes by characters; a byte that is not UTF-8 is one. Texts
// that are far longer than values of credentials are only compared at their
// beginning and end.
func Diff(want, got string) []Run {
	w, g := characters(want), characters(got)
	start := 0
	for start < len(w) && start < len(g) && w[start] == g[start] {
		start++
	}
	end := 0
	for end < len(w)-start && end < len(g)-start && w[len(w)-1-end] == g[len(g)-1-end] {
		end++
	}
	pieces := []piece{{both: w[:start]}}
	if middleW, middleG := w[start:len(w)-end], g[start:len(g)-end]; len(middleW)*len(middleG) <= mostCompared {
		pieces = append(pieces, readable(align(middleW, middleG))...)
	} else {
		pieces = append(pieces, piece{want: middleW, got: middleG})
	}
	pieces = append(pieces, piece{both: w[len(w)-end:]})
	var runs []Run
	for _, p := range pieces {
		runs = slices.Concat(runs, marked(p.both, InBoth), marked(p.want, InWant), marked(p.got, InGot))
	}
	return joined(runs)
}

// characters splits a text so that nothing of it is lost.
func characters(s string) []string {
	list := make([]string, 0, len(s))
	for len(s) > 0 {
		_, size := utf8.DecodeRuneInString(s)
		list, s = append(list, s[:size]), s[size:]
	}
	return list
}

// piece is either what both texts have, or what one has in the place of what the other has.
type piece struct{ both, want, got []string }

func (p piece) differs() int { return max(len(p.want), len(p.got)) }

// align finds a longest common subsequence.
func align(w, g []string) []piece {
	// length[i][j] is that of w[i:] and g[j:].
	length := make([][]uint16, len(w)+1)
	for i := range length {
		length[i] = make([]uint16, len(g)+1)
	}
	for i := len(w) - 1; i >= 0; i-- {
		for j := len(g) - 1; j >= 0; j-- {
			if w[i] == g[j] {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	var pieces []piece
	i, j := 0, 0
	for i < len(w) || j < len(g) {
		var p piece
		for i < len(w) && j < len(g) && w[i] == g[j] {
			p.both = append(p.both, w[i])
			i, j = i+1, j+1
		}
		if len(p.both) > 0 {
			pieces = append(pieces, p)
			continue
		}
		for (i < len(w) || j < len(g)) && !(i < len(w) && j < len(g) && w[i] == g[j]) {
			if j == len(g) || i < len(w) && length[i+1][j] >= length[i][j+1] {
				p.want, i = append(p.want, w[i]), i+1
			} else {
				p.got, j = append(p.got, g[j]), j+1
			}
		}
		pieces = append(pieces, p)
	}
	return pieces
}

// readable takes characters that two words happen to share for differences: a
// common piece that is shorter than what differs before and behind it.
func readable(pieces []piece) []piece {
	for changed := true; changed; {
		changed = false
		for i := 1; i+1 < len(pieces); i++ {
			before, p, behind := pieces[i-1], pieces[i], pieces[i+1]
			if len(p.both) == 0 || len(p.both) >= min(before.differs(), behind.differs()) {
				continue
			}
			one := piece{want: slices.Concat(before.want, p.both, behind.want), got: slices.Concat(before.got, p.both, behind.got)}
			pieces = slices.Replace(pieces, i-1, i+2, one)
			changed = true
			break
		}
	}
	return pieces
}

// marked makes runs of characters, of which each that is to be marked is one.
func marked(list []string, side Side) []Run {
	var runs []Run
	for _, c := range list {
		run := Run{Text: c, In: side}
		switch r, _ := utf8.DecodeRuneInString(c); {
		case c == "\n":
			run.Mark, run.Note = WhiteSpace, "a line break"
		case c == "\t":
			run.Mark, run.Note = WhiteSpace, "a tab"
		case c == " ":
			run.Mark, run.Note = WhiteSpace, "a space"
		case unicode.IsSpace(r):
			run.Mark, run.Note = WhiteSpace, fmt.Sprintf("white space U+%04X", r)
		case r == utf8.RuneError && len(c) == 1:
			run.Mark, run.Note = Invisible, fmt.Sprintf("the byte 0x%02X, which is not UTF-8", c[0])
		case invisible(r):
			run.Mark, run.Note = Invisible, "invisible "+code(r)
		case unicode.IsControl(r):
			run.Mark, run.Note = Invisible, "the control character "+code(r)
		case resemble(r) != r:
			run.Mark, run.Note = LookAlike, fmt.Sprintf("%s, which looks like %q", code(r), string(resemble(r)))
		}
		runs = append(runs, run)
	}
	return runs
}

// joined joins neighbours of one side that are not marked.
func joined(runs []Run) []Run {
	var list []Run
	var text strings.Builder
	for i, r := range runs {
		text.WriteString(r.Text)
		if i+1 < len(runs) && r.Mark == "" && runs[i+1].Mark == "" && r.In == runs[i+1].In {
			continue
		}
		r.Text = text.String()
		text.Reset()
		list = append(list, r)
	}
	return list
}
