package arm

import (
	"net/http"
	"slices"
	"strings"
)

// maxFilter is the longest $filter, in bytes.
const maxFilter = 1024

// parseFilter reads a $filter of terms that are joined by "and": NAME eq
// 'VALUE' (also ge, lt), NAME() and NAME('VALUE'), with names in any case and
// quotes doubled inside values (OData 4.01 part 2). The result is by term as
// the route lists it, such as "roleName eq"; a term that the route does not
// list is refused, since a filter that is passed over gives a wrong answer.
func (c *call) parseFilter() (map[string]string, error) {
	text := c.query["$filter"]
	terms := map[string]string{}
	if strings.TrimSpace(text) == "" {
		return terms, nil
	}
	bad := refuse(http.StatusBadRequest, "InvalidFilter", "The $filter '%s' is not supported. It may have these terms, joined by 'and': %s.", clip(text), strings.Join(c.route.filters, ", "))
	if len(text) > maxFilter {
		return nil, bad
	}
	for rest := text; ; {
		term, value, after, ok := readTerm(strings.TrimLeft(rest, " "))
		i := slices.IndexFunc(c.route.filters, func(f string) bool { return same(term, f) })
		if !ok || i < 0 {
			return nil, bad
		}
		if _, twice := terms[c.route.filters[i]]; twice {
			return nil, bad
		}
		terms[c.route.filters[i]] = value
		after = strings.TrimLeft(after, " ")
		if after == "" {
			return terms, nil
		}
		if len(after) < 4 || !strings.EqualFold(after[:4], "and ") {
			return nil, bad
		}
		rest = after[4:]
	}
}

// readTerm reads the one term at the start of text.
func readTerm(text string) (term, value, after string, ok bool) {
	name := text[:nameLength(text)]
	if name == "" {
		return "", "", "", false
	}
	rest := text[len(name):]
	if inner, call := strings.CutPrefix(rest, "("); call {
		inner = strings.TrimLeft(inner, " ")
		if !strings.HasPrefix(inner, ")") {
			if value, inner, ok = readQuoted(inner); !ok {
				return "", "", "", false
			}
		}
		after, ok = strings.CutPrefix(strings.TrimLeft(inner, " "), ")")
		return name + "()", value, after, ok
	}
	operator, spaced := strings.CutPrefix(rest, " ")
	operator = strings.TrimLeft(operator, " ")
	n := nameLength(operator)
	if !spaced || n == 0 {
		return "", "", "", false
	}
	value, after, ok = readQuoted(strings.TrimLeft(operator[n:], " "))
	return name + " " + operator[:n], value, after, ok
}

func nameLength(s string) int {
	n := 0
	for n < len(s) && ('a' <= s[n]|0x20 && s[n]|0x20 <= 'z') {
		n++
	}
	return n
}

func readQuoted(s string) (value, after string, ok bool) {
	var b strings.Builder
	s, ok = strings.CutPrefix(s, "'")
	for ok {
		part, rest, closed := strings.Cut(s, "'")
		if !closed {
			return "", "", false
		}
		b.WriteString(part)
		if s, ok = strings.CutPrefix(rest, "'"); !ok {
			return b.String(), rest, true
		}
		b.WriteByte('\'')
	}
	return "", "", false
}
