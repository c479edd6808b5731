package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Place is where in its file an object stands, and which of its fields do.
type Place struct {
	Line  int    // from 1; 0 for an object that is not in the file
	Path  string // such as applications[0].federatedCredentials[1]; empty for the whole file
	lines map[string]int
	bad   map[string]bool // fields that hold what could not be read
}

// Has says whether the file gives a field.
func (p Place) Has(field string) bool { return p.lines[field] > 0 }

// Problem is about a field, or with field "" about the object.
func (p Place) Problem(field, format string, args ...any) Problem {
	path := p.Path
	if field != "" && path != "" {
		path += "."
	}
	return Problem{Line: p.lineOf(field), Path: path + field, Text: fmt.Sprintf(format, args...)}
}

// lineOf finds a field, an element of one for what is not written, or the object.
func (p Place) lineOf(field string) int {
	outer, _, _ := strings.Cut(field, "[")
	return cmp.Or(p.lines[field], p.lines[outer], p.Line, 1)
}

// Problem is one thing that is wrong with a file.
type Problem struct {
	Line int    // from 1
	Path string // of the field, such as applications[0].displayName; empty for the whole file
	Text string
}

// maxProblems is how many of them are told; who mends those sees the others next time.
const maxProblems = 100

// Problems is the error of a file: what is wrong with it, by line.
type Problems struct {
	File string
	List []Problem
	More int // that are not in List
}

// Add notes a problem.
func (p *Problems) Add(problem Problem) {
	if len(p.List) == maxProblems {
		p.More++
		return
	}
	p.List = append(p.List, problem)
}

// Err is nil when there is no problem.
func (p *Problems) Err() error {
	if len(p.List) == 0 {
		return nil
	}
	slices.SortStableFunc(p.List, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Path, b.Path))
	})
	return p
}

// Error has one line for each problem: FILE:LINE: FIELD: TEXT.
func (p *Problems) Error() string {
	var b strings.Builder
	for i, problem := range p.List {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s:%d: ", p.File, problem.Line)
		if problem.Path != "" {
			b.WriteString(problem.Path + ": ")
		}
		b.WriteString(problem.Text)
	}
	if p.More > 0 {
		fmt.Fprintf(&b, "\n%s: and %d more", p.File, p.More)
	}
	return b.String()
}

// quote is %q of a value that a person wrote, cut where it is long.
func quote(s string) string {
	if len(s) <= 100 {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q…", strings.ToValidUTF8(s[:100], ""))
}
