package plan

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// signs begin the lines of steps.
var signs = map[Action]string{Create: "+", Update: "~", Delete: "-", Adopt: "=", Unchanged: " "}

// Text writes a plan for a person: the steps that write something or need a word,
// with what changes, and the sum. All shows those that change nothing as well.
func (p *Plan) Text(w io.Writer, all bool) error {
	var b strings.Builder
	for _, s := range p.Steps {
		if s.Action == Unchanged && !all && len(s.Notes) == 0 {
			continue
		}
		p.stepText(&b, s)
	}
	if b.Len() > 0 {
		b.WriteByte('\n')
	}
	for _, n := range p.Notes {
		fmt.Fprintf(&b, "note: %s\n", n)
	}
	b.WriteString(p.Summary.String() + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// String is the sum in words.
func (s Summary) String() string {
	if s.Changes() == 0 {
		return "nothing to do: " + s.standing()
	}
	return fmt.Sprintf("%d to create, %d to change, %d to delete, %s", s.Create, s.Update, s.Delete, s.standing())
}

// standing is what is as stated, and what is but for its name.
func (s Summary) standing() string {
	if s.Adopt > 0 {
		return fmt.Sprintf("%d adopted under another name, %d unchanged", s.Adopt, s.Unchanged)
	}
	return fmt.Sprintf("%d unchanged", s.Unchanged)
}

func (p *Plan) stepText(b *strings.Builder, s *Step) {
	fmt.Fprintf(b, "%s %s", signs[s.Action], s.What())
	if s.Declared != "" {
		fmt.Fprintf(b, ", for %q of the file", s.Declared)
	}
	if s.Line > 0 {
		fmt.Fprintf(b, "   # %s:%d", p.file, s.Line)
	}
	b.WriteByte('\n')
	width := 0
	for _, c := range s.Changes {
		width = max(width, len(c.Field))
	}
	for _, c := range s.Changes {
		fmt.Fprintf(b, "    %-*s  ", width, c.Field)
		switch {
		case s.Action == Create || c.Old == nil:
			b.WriteString(shown(c.New))
		case s.Action == Delete:
			b.WriteString(shown(c.Old))
		default:
			b.WriteString(shown(c.Old) + " -> " + shown(c.New))
		}
		b.WriteByte('\n')
	}
	for _, n := range s.Notes {
		fmt.Fprintf(b, "    note: %s\n", n)
	}
}

// oneLine is a text of a server without what would break out of its line.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) }), " ")
}

// shown is a value with nothing in it that a terminal would obey.
func shown(value any) string {
	switch v := value.(type) {
	case nil:
		return "nothing"
	case string:
		return strconv.Quote(v)
	case []string:
		quoted := make([]string, len(v))
		for i, s := range v {
			quoted[i] = strconv.Quote(s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case map[string]string:
		var pairs []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			pairs = append(pairs, strconv.Quote(name)+": "+strconv.Quote(v[name]))
		}
		return "{" + strings.Join(pairs, ", ") + "}"
	}
	return fmt.Sprint(value)
}
