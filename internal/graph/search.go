package graph

import (
	"strings"
)

// parseSearch reads what of Graph's $search has a meaning here: one
// "displayName:part" in quotation marks, in which a backslash stands before a
// quotation mark or another backslash
// (https://learn.microsoft.com/graph/search-query-parameter).
func parseSearch(text string) (part string, err error) {
	text = strings.TrimSpace(text)
	inner, opened := strings.CutPrefix(text, `"`)
	inner, rest, closed := cutQuoted(inner)
	property, part, found := strings.Cut(inner, ":")
	switch {
	case len(text) > longestFilter, !opened, !closed, !found, strings.TrimSpace(part) == "":
		return "", badRequest(`Invalid $search query option found: it is "displayName:…", in quotation marks.`)
	case strings.TrimSpace(rest) != "":
		return "", unsupported("One clause can be searched for at a time.")
	case !strings.EqualFold(strings.TrimSpace(property), "displayName"):
		return "", unsupported("The property '%s' cannot be searched: only displayName can.", property)
	}
	return strings.TrimSpace(part), nil
}

// cutQuoted cuts what stands before an unescaped quotation mark.
func cutQuoted(s string) (inner, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// search reads the request's $search.
func (c *call) search() (*string, error) {
	if strings.TrimSpace(c.options.search) == "" {
		return nil, nil
	}
	if !strings.EqualFold(strings.TrimSpace(c.r.Header.Get("ConsistencyLevel")), "eventual") {
		return nil, unsupported("Request with $search query parameter only works through MSGraph with a special request header: 'ConsistencyLevel: eventual'")
	}
	part, err := parseSearch(c.options.search)
	return &part, err
}
