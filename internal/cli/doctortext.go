package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf8"

	"github.com/entente-id/entente/internal/doctor"
)

var stateWords = map[doctor.State]struct{ word, code string }{
	doctor.Passed: {"ok", green}, doctor.Noted: {"ok", green}, doctor.Skipped: {"-", dim}, doctor.Unknown: {"?", yellow}, doctor.Failed: {"FAULT", red},
}

// printReport writes a report for people: a line for each check, what it came
// upon below it, and what comes of it all at the end.
func printReport(w io.Writer, r *doctor.Report, p palette) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", upper(r.Of))
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, line := range [][2]string{{"authority", r.Authority}, {"tenant", r.Tenant}, {"client", r.ClientID}, {"issuer", r.Issuer}, {"subject", r.Subject}, {"audience", r.Audience}} {
		if line[1] != "" {
			fmt.Fprintf(t, "  %s\t%s\n", line[0], line[1])
		}
	}
	t.Flush() // to a builder, which does not fail
	b.WriteByte('\n')
	for _, c := range r.Checks {
		s := stateWords[c.State]
		line := fmt.Sprintf("%2d  %s%s  %-15s  ", c.Number, p.paint(s.code, s.word), strings.Repeat(" ", 5-len(s.word)), c.Name)
		first := inLine(c)
		if first && c.State == doctor.Noted { // which would read like a fault that is "ok"
			line += "note: " + c.Findings[worst(c)].Text
		} else if first {
			line += c.Findings[worst(c)].Text
		} else {
			line += c.Seen
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
		for i, f := range c.Findings {
			writeFinding(&b, f, first && i == worst(c), p)
		}
	}
	b.WriteByte('\n')
	if s := r.Error; s != nil {
		switch {
		case s.ExplainedBy != 0:
			fmt.Fprintf(&b, "The error that was given is explained by check %d.\n", s.ExplainedBy)
		case s.Meaning != "":
			fmt.Fprintf(&b, "The error that was given says: %s.\n", strings.TrimSuffix(s.Meaning, "."))
		}
	}
	switch r.Verdict {
	case doctor.Healthy:
		b.WriteString(p.paint(green, "Healthy.") + "\n")
	case doctor.Undetermined:
		b.WriteString(p.paint(yellow, "Nothing wrong was found, and not everything could be told.") + "\n")
	default:
		fmt.Fprintf(&b, "%s %s (%s), exit code %d.\n", p.paint(red, "Faulty:"), r.Cause, r.Class, r.ExitCode)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// inLine says that a check's line has the text of a finding, and not what was seen.
func inLine(c doctor.Check) bool {
	return len(c.Findings) > 0 && (c.State == doctor.Failed || c.Seen == "")
}

// worst is the finding that stands for its check.
func worst(c doctor.Check) int {
	for i, f := range c.Findings {
		if f.State == c.State {
			return i
		}
	}
	return 0
}

const indent = "           "

// writeFinding writes one finding; its text only when the check's line has not shown it.
func writeFinding(b *strings.Builder, f doctor.Finding, shown bool, p palette) {
	if !shown {
		sign := map[doctor.State]string{doctor.Noted: "note:", doctor.Unknown: "cannot tell:", doctor.Failed: "fault:"}[f.State]
		fmt.Fprintf(b, "%s%s %s\n", indent, sign, f.Text)
	}
	if d := f.Difference; d != nil {
		fmt.Fprintf(b, "%sseen      %s\n%sexpected  %s\n", indent, visible(d.Seen), indent, visible(d.Expected))
		mark := strings.Repeat(" ", width(d.Seen, d.At-1))
		fmt.Fprintf(b, "%s          %s%s differs from character %d on\n", indent, mark, p.paint(red, "^"), d.At)
	} else {
		if f.Seen != "" {
			fmt.Fprintf(b, "%sseen      %s\n", indent, visible(f.Seen))
		}
		if f.Expected != "" {
			fmt.Fprintf(b, "%sexpected  %s\n", indent, visible(f.Expected))
		}
	}
	for i, m := range f.Mends {
		word := "mend"
		if i > 0 {
			word = "or"
		}
		text := m.Text
		if m.When != "" {
			text = "if " + m.When + ": " + text
		}
		if text != "" {
			fmt.Fprintf(b, "%s%-8s  %s\n", indent, word, text)
		}
		for _, command := range m.Commands {
			fmt.Fprintf(b, "%s          %s\n", indent, p.paint(bold, command))
		}
	}
}

// visible shows characters that leave no mark, and those that would spoil a line,
// by their code.
func visible(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteString(shown(r))
	}
	return b.String()
}

func shown(r rune) string {
	if r == utf8.RuneError || !unicode.IsPrint(r) {
		return fmt.Sprintf("<U+%04X>", r)
	}
	return string(r)
}

// width is how many columns the first n characters take as visible shows them.
func width(s string, n int) int {
	columns := 0
	for _, r := range s {
		if n == 0 {
			break
		}
		columns += utf8.RuneCountInString(shown(r))
		n--
	}
	return columns
}

func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
