package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"k8s.io/client-go/util/jsonpath"
)

// template is what follows "jsonpath=" in -o, as kubectl takes it: text with
// expressions in braces. An expression alone needs no braces, and quotes around the
// whole, which some shells leave standing, are taken off. Positions in errors count
// the characters of what was given.
type template struct {
	given string // all of -o
	text  string // the template itself
	skip  int    // bytes of given before it
	bare  bool   // it is an expression without braces
}

const jsonpathPrefix = "jsonpath="

func templateOf(given string) template {
	t := template{given: given, skip: len(jsonpathPrefix)}
	t.text = given[t.skip:]
	if n := len(t.text); n > 1 && (t.text[0] == '\'' || t.text[0] == '"') && t.text[n-1] == t.text[0] {
		t.text = t.text[1 : n-1]
		t.skip++
	}
	t.bare = t.text != "" && !strings.ContainsAny(t.text, "{}")
	return t
}

// source is the template as it is parsed: a bare expression in its braces.
func (t template) source() string {
	if !t.bare {
		return t.text
	}
	if strings.ContainsRune(".[@$", rune(t.text[0])) {
		return "{" + t.text + "}"
	}
	return "{." + t.text + "}"
}

// parse returns wrong usage, with the position of the first mistake.
func (t template) parse() (*jsonpath.JSONPath, error) {
	if t.text == "" {
		return nil, usage(fmt.Errorf("--output: jsonpath= has no template after it, as jsonpath={.name} has"))
	}
	if err := parseTemplate(t.source()); err != nil {
		return nil, t.mistake(t.locate(err), err)
	}
	if at, err := strayKeyword(t.source()); err != nil {
		return nil, t.mistake(at, err)
	}
	j := jsonpath.New("output").AllowMissingKeys(true) // members that are empty are left out
	return j, j.Parse(t.source())
}

// mistake is wrong usage at a byte of the source.
func (t template) mistake(at int, err error) error {
	at += t.skip - (len(t.source())-len(t.text)+1)/2 // braces come before and after a bare one
	at = max(t.skip, min(at, len(t.given)))
	return usage(hint(fmt.Errorf("--output: character %d of %q: %w", utf8.RuneCountInString(t.given[:at])+1, t.given, err),
		"expressions stand in braces: jsonpath='{.name}', and of a list jsonpath='{range [*]}{.name}{\"\\n\"}{end}'"))
}

// locate is the byte at which the parser, which goes from left to right, stops: what
// ends before it has another error, or none.
func (t template) locate(err error) int {
	s := t.source()
	at := len(s)
	for at > 0 {
		if e := parseTemplate(s[:at-1]); e == nil || e.Error() != err.Error() {
			break
		}
		at--
	}
	return max(at-1, 0)
}

// parseTemplate turns a panic of the parser into an error.
func parseTemplate(s string) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("not a template")
		}
	}()
	_, err = jsonpath.Parse("output", s)
	return err
}

var keyword = regexp.MustCompile(`\{\s*([A-Za-z_][A-Za-z0-9_-]*)`)

// strayKeyword finds a word that is none of range and end, or a range without its end.
func strayKeyword(s string) (at int, _ error) {
	var open []int
	for _, m := range keyword.FindAllStringSubmatchIndex(s, -1) {
		switch word := s[m[2]:m[3]]; word {
		case "range":
			open = append(open, m[2])
		case "end":
			if len(open) == 0 {
				return m[2], errors.New("an end without its range")
			}
			open = open[:len(open)-1]
		case "true", "false":
		default:
			return m[2], fmt.Errorf("%q is neither range nor end; members begin with a dot", word)
		}
	}
	if len(open) > 0 {
		return open[len(open)-1], errors.New("a range without its {end}")
	}
	return 0, nil
}

// print writes what the template makes of v's JSON form.
func (t template) print(w io.Writer, v any) (err error) {
	j, err := t.parse()
	if err != nil {
		return err
	}
	document, err := members(v)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("--output: %q cannot be applied: %v", t.given, r)
		}
	}()
	if err := j.Execute(&b, document); err != nil {
		return hint(fmt.Errorf("--output: %q cannot be applied: %w", t.given, err), "-o json shows what there is")
	}
	if isTerminal(w) && b.Len() > 0 && b.Bytes()[b.Len()-1] != '\n' {
		b.WriteByte('\n') // the prompt begins a line
	}
	_, err = w.Write(b.Bytes())
	return err
}

// members is v as its JSON says it, whole numbers as such.
func members(v any) (any, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var document any
	if err := d.Decode(&document); err != nil {
		return nil, err
	}
	return numbers(document), nil
}

func numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			v[name] = numbers(member)
		}
	case []any:
		for i, element := range v {
			v[i] = numbers(element)
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
	}
	return v
}
