package graph

import (
	"slices"
	"strings"

	"github.com/entente-id/entente/internal/directory"
)

// clause is one condition of a $filter. All clauses of a filter must hold.
type clause struct {
	property string // lower case
	operator string // eq, startswith, any
	value    string
}

const (
	longestFilter = 4096
	deepestFilter = 16 // parentheses within one another
	mostClauses   = 16
)

// parseFilter reads what of OData's $filter (OData URL conventions, section
// 5.1.1) has a meaning here: eq, startswith(property,'…'),
// property/any(x:x eq '…'), joined by and. Everything else that OData has is
// unsupported, and what OData does not have is invalid.
func parseFilter(text string) ([]clause, error) {
	if len(text) > longestFilter {
		return nil, errFilter
	}
	p := filterParser{rest: text}
	if err := p.conjunction(0); err != nil {
		return nil, err
	}
	if p.space(); p.rest != "" {
		return nil, errFilter
	}
	return p.clauses, nil
}

var errFilter = badRequest("Invalid filter clause")

// filterParser is a recursive-descent parser; rest is what was not read yet.
type filterParser struct {
	rest    string
	clauses []clause
}

// conjunction reads term *( RWS "and" RWS term ).
func (p *filterParser) conjunction(depth int) error {
	for {
		if err := p.term(depth); err != nil {
			return err
		}
		spaced := p.space()
		word := p.word()
		switch {
		case word == "":
			return nil
		case !spaced:
			return errFilter
		case word == "or":
			return unsupported("The filter operator 'or' is not supported.")
		case word != "and" || !p.space():
			return errFilter
		}
	}
}

// term reads "(" conjunction ")", a function, a lambda or a comparison.
func (p *filterParser) term(depth int) error {
	p.space()
	if p.take("(") {
		if depth == deepestFilter {
			return errFilter
		}
		if err := p.conjunction(depth + 1); err != nil {
			return err
		}
		p.space()
		return p.expect(")")
	}
	property := p.path()
	switch {
	case property == "":
		return errFilter
	case p.take("("):
		if collection, ok := strings.CutSuffix(property, "/any"); ok {
			return p.lambda(collection)
		}
		return p.function(property)
	}
	if !p.space() {
		return errFilter
	}
	if property == "not" {
		return unsupported("The filter operator 'not' is not supported.")
	}
	return p.comparison(property)
}

// function reads what follows startswith(.
func (p *filterParser) function(name string) error {
	if !strings.EqualFold(name, "startswith") {
		return unsupported("The filter function '%s' is not supported.", name)
	}
	p.space()
	property := p.path()
	p.space()
	if property == "" || !p.take(",") {
		return errFilter
	}
	p.space()
	value, ok := p.literal()
	p.space()
	if !ok || !p.take(")") {
		return errFilter
	}
	return p.add(property, "startswith", value)
}

// lambda reads what follows property/any( — only x:x eq literal.
func (p *filterParser) lambda(property string) error {
	p.space()
	variable := p.word()
	p.space()
	if variable == "" || !p.take(":") {
		return errFilter
	}
	p.space()
	operand := p.path()
	if operand != variable || !p.space() {
		return unsupported("Complex query on property %s is not supported.", property)
	}
	operator := p.word()
	if operator == "" || !p.space() {
		return errFilter
	}
	value, ok := p.literal()
	p.space()
	if !ok || !p.take(")") {
		return errFilter
	}
	if operator != "eq" {
		return unsupported("The filter operator '%s' is not supported.", operator)
	}
	return p.add(property, "any", value)
}

// comparison reads what follows the property.
func (p *filterParser) comparison(property string) error {
	operator := p.word()
	if operator == "" || !p.space() {
		return errFilter
	}
	if operator != "eq" {
		if slices.Contains([]string{"ne", "gt", "ge", "lt", "le", "in", "has"}, operator) {
			return unsupported("The filter operator '%s' is not supported.", operator)
		}
		return errFilter
	}
	value, ok := p.literal()
	if !ok {
		return errFilter
	}
	return p.add(property, "eq", value)
}

func (p *filterParser) add(property, operator, value string) error {
	if len(p.clauses) == mostClauses {
		return errFilter
	}
	p.clauses = append(p.clauses, clause{strings.ToLower(property), operator, value})
	return nil
}

// literal reads a string, a GUID, true or false. A quote in a string is
// doubled; since the Azure CLI does not double it, one before a letter or digit
// ('O'Brien') is taken for one that should have been.
func (p *filterParser) literal() (string, bool) {
	if !strings.HasPrefix(p.rest, "'") {
		word := p.take36()
		return word, word != ""
	}
	var b strings.Builder
	for s := p.rest[1:]; ; {
		before, after, found := strings.Cut(s, "'")
		if !found {
			return "", false
		}
		b.WriteString(before)
		switch {
		case strings.HasPrefix(after, "'"):
			after = after[1:]
		case after == "" || !wordly(after[0]):
			p.rest = after
			return b.String(), true
		}
		b.WriteByte('\'')
		s = after
	}
}

// take36 reads a bare GUID, true or false.
func (p *filterParser) take36() string {
	n := 0
	for n < len(p.rest) && (wordly(p.rest[n]) || p.rest[n] == '-') {
		n++
	}
	word := p.rest[:n]
	if word != "true" && word != "false" && !directory.IsID(word) {
		return ""
	}
	p.rest = p.rest[n:]
	return word
}

// path reads name *( "/" name ).
func (p *filterParser) path() string {
	whole, rest := p.word(), ""
	for whole != "" && p.take("/") {
		if rest = p.word(); rest == "" {
			return ""
		}
		whole += "/" + rest
	}
	return whole
}

func (p *filterParser) word() string {
	n := 0
	for n < len(p.rest) && wordly(p.rest[n]) && p.rest[n] < 0x80 {
		n++
	}
	word := p.rest[:n]
	p.rest = p.rest[n:]
	return word
}

// wordly is a byte of a letter, in whatever script, a digit or _.
func wordly(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c >= 0x80
}

func (p *filterParser) space() bool {
	trimmed := strings.TrimLeft(p.rest, " ")
	spaced := len(trimmed) < len(p.rest)
	p.rest = trimmed
	return spaced
}

func (p *filterParser) take(token string) bool {
	rest, ok := strings.CutPrefix(p.rest, token)
	p.rest = rest
	return ok
}

func (p *filterParser) expect(token string) error {
	if !p.take(token) {
		return errFilter
	}
	return nil
}

// filterable says which member of directory.Filter a clause of a list sets, by
// "property operator" in lower case.
type filterable map[string]func(*directory.Filter) **string

var (
	byID            = func(f *directory.Filter) **string { return &f.ID }
	byAppID         = func(f *directory.Filter) **string { return &f.AppID }
	byDisplayName   = func(f *directory.Filter) **string { return &f.DisplayName }
	byNamePrefix    = func(f *directory.Filter) **string { return &f.NamePrefix }
	byIdentifierURI = func(f *directory.Filter) **string { return &f.IdentifierURI }
	byUniqueName    = func(f *directory.Filter) **string { return &f.UniqueName }
	byKind          = func(f *directory.Filter) **string { return &f.PrincipalKind }
)

// filter reads the request's $filter and $search.
func (c *call) filter(known filterable) (directory.Filter, error) {
	var f directory.Filter
	var err error
	if f.NamePart, err = c.search(); err != nil {
		return f, err
	}
	clauses, err := c.clauses()
	if err != nil {
		return f, err
	}
	for _, cl := range clauses {
		to, ok := known[cl.property+" "+cl.operator]
		if !ok || *to(&f) != nil {
			return f, unsupportedClause(cl)
		}
		*to(&f) = &cl.value
	}
	return f, nil
}

func (c *call) clauses() ([]clause, error) {
	if strings.TrimSpace(c.options.filter) == "" {
		return nil, nil
	}
	return parseFilter(c.options.filter)
}

func unsupportedClause(cl clause) error {
	return unsupported("Unsupported or invalid query filter clause specified for property '%s' of the resource.", cl.property)
}

// matching makes a condition of clauses for a list that is filtered here.
// value returns a property of an item, or false when it has none of that name.
func matching[T any](clauses []clause, value func(T, string) (string, bool)) (func(T) bool, error) {
	var zero T
	for _, cl := range clauses {
		if _, ok := value(zero, cl.property); !ok || cl.operator != "eq" {
			return nil, unsupportedClause(cl)
		}
	}
	return func(item T) bool {
		return !slices.ContainsFunc(clauses, func(cl clause) bool {
			v, _ := value(item, cl.property)
			return v != cl.value
		})
	}, nil
}
