package graph

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// segment is a name or a key of a path. applications(appId='x') is two of them.
type segment struct {
	text  string
	key   string // the alternate key, such as appId
	keyed bool   // stood in parentheses
}

// is compares a name as Graph does, without case.
func (s segment) is(name string) bool { return !s.keyed && strings.EqualFold(s.text, name) }

type path struct {
	segments []segment
	slash    bool // ended in one
}

// longestPath bounds what is parsed; the longest key of Graph has 120 characters.
const longestPath = 4096

// parsePath splits an escaped path. Every segment is unescaped once, and
// whatever some other reader of the same path could understand in another way
// (an escaped or reversed slash, a dot segment, a parameter) is refused.
func parsePath(escaped string) (path, error) {
	if len(escaped) > longestPath {
		return path{}, badRequest("The request URI is too long.")
	}
	parts := strings.Split(strings.TrimLeft(escaped, "/"), "/")
	var p path
	if last := len(parts) - 1; parts[last] == "" {
		parts, p.slash = parts[:last], true
	}
	for _, part := range parts {
		if part == "" {
			before := ""
			if n := len(p.segments); n > 0 {
				before = p.segments[n-1].text
			}
			return path{}, collectionURI(before)
		}
		text, err := url.PathUnescape(part)
		if err != nil || !clean(text) || strings.ContainsAny(text, `/\;`) || text == "." || text == ".." {
			return path{}, badRequest("The request URI is not valid.")
		}
		segments, ok := split(text)
		if !ok {
			return path{}, badRequest("The request URI is not valid: the key in '%s' cannot be read.", text)
		}
		p.segments = append(p.segments, segments...)
	}
	return p, nil
}

// split splits name(key='value') or name('value').
func split(text string) ([]segment, bool) {
	name, inner, found := strings.Cut(text, "(")
	if !found {
		return []segment{{text: text}}, true
	}
	inner, closed := strings.CutSuffix(inner, ")")
	key, literal, found := strings.Cut(inner, "=")
	if !found || strings.HasPrefix(key, "'") {
		key, literal = "", inner
	}
	value, rest, ok := quoted(literal)
	if !closed || name == "" || !ok || rest != "" || found && key == "" && !strings.HasPrefix(inner, "'") {
		return nil, false
	}
	return []segment{{text: name}, {text: value, key: key, keyed: true}}, true
}

// quoted reads a string literal of OData, in which ” stands for one quote
// (OData ABNF, SQUOTE-in-string), from the beginning of s.
func quoted(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, "'") {
		return "", "", false
	}
	var b strings.Builder
	for s = s[1:]; ; {
		before, after, found := strings.Cut(s, "'")
		if !found {
			return "", "", false
		}
		b.WriteString(before)
		if !strings.HasPrefix(after, "'") {
			return b.String(), after, true
		}
		b.WriteByte('\'')
		s = after[1:]
	}
}

// clean says whether a text from a URL is one that both databases and every log can hold.
func clean(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}
