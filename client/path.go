package client

import (
	"fmt"
	"net/url"
	"strings"
)

// path is the escaped path and query of a request, put together piece by piece.
// The first piece that cannot be written is kept as its error.
type path struct {
	text, query string
	err         error
}

// at begins a path with text that is escaped already.
func at(text string) path { return path{text: text} }

// then adds text that is escaped already.
func (p path) then(text string) path {
	p.text += text
	return p
}

// segment adds "/" and one segment. An empty segment would address the
// collection, and a dot segment its parent (RFC 3986 §5.2.4), so they are errors.
func (p path) segment(value string) path {
	if value == "" || value == "." || value == ".." {
		if p.err == nil {
			p.err = fmt.Errorf("%q cannot be a part of the path after %q", value, p.text)
		}
		return p
	}
	p.text += "/" + url.PathEscape(value)
	return p
}

// key adds an OData key predicate (OData 4.01 URL conventions §4.3.1): (name='value').
func (p path) key(name, value string) path {
	if value == "" && p.err == nil {
		p.err = fmt.Errorf("the %s after %q is empty", name, p.text)
	}
	p.text += "(" + name + "='" + url.PathEscape(strings.ReplaceAll(value, "'", "''")) + "')"
	return p
}

// resource adds the segments of an ARM resource id or scope. "" and "/" add nothing.
func (p path) resource(id string) path {
	id = strings.TrimRight(id, "/")
	if id == "" {
		return p
	}
	rest, ok := strings.CutPrefix(id, "/")
	if !ok {
		if p.err == nil {
			p.err = fmt.Errorf("resource id %q does not begin with a slash", id)
		}
		return p
	}
	for s := range strings.SplitSeq(rest, "/") {
		p = p.segment(s)
	}
	return p
}

// param adds a query parameter unless its value is empty. Spaces become %20,
// which every server reads, rather than "+".
func (p path) param(name, value string) path {
	if value == "" {
		return p
	}
	if p.query != "" {
		p.query += "&"
	}
	p.query += name + "=" + strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
	return p
}

// url puts the path on an endpoint.
func (p path) url(base *url.URL) (*url.URL, error) {
	if p.err != nil {
		return nil, p.err
	}
	text := strings.TrimRight(base.String(), "/") + p.text
	if p.query != "" {
		text += "?" + p.query
	}
	return url.Parse(text)
}

// Quote writes an OData string literal: in single quotes, with quotes inside it
// doubled (OData 4.01 ABNF, SQUOTE-in-string).
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// Equal writes the filter "property eq 'value'".
func Equal(property, value string) string { return property + " eq " + Quote(value) }
