package credential

import (
	"fmt"
	"unicode/utf8"
)

// Field names one property of a credential, as the wires spell it.
type Field string

const (
	Name        Field = "name"
	Issuer      Field = "issuer"
	Subject     Field = "subject"
	Audiences   Field = "audiences"
	Description Field = "description"
)

// Rule is the kind of rule that a value breaks.
type Rule string

const (
	// Missing: a required value is absent or empty.
	Missing Rule = "missing"
	// TooShort: fewer characters than a managed identity's credential needs in its name.
	TooShort Rule = "too_short"
	// TooLong: more characters than the limit of the field.
	TooLong Rule = "too_long"
	// Malformed: not of the form that the field asks for.
	Malformed Rule = "malformed"
	// NotOne: more than one audience.
	NotOne Rule = "not_one"
	// Forbidden: well formed, and refused for what it would mean.
	Forbidden Rule = "forbidden"
	// Unregistered: well formed, and no issuer that the tenant takes.
	Unregistered Rule = "unregistered"
)

// Violation is one broken rule. Value is what was given, whole and of any
// length (several audiences are joined with ", "). Detail is what the field
// must do, as the end of a sentence that begins with the field's name.
type Violation struct {
	Field  Field
	Rule   Rule
	Value  string
	Detail string
}

// Error quotes at most the first 100 characters of the value.
func (v *Violation) Error() string {
	if v.Value == "" {
		return fmt.Sprintf("%s %s", v.Field, v.Detail)
	}
	return fmt.Sprintf("%s %s %s", v.Field, quote(v.Value, 100), v.Detail)
}

// quote is %q of the first n characters of s, with dots when there are more.
func quote(s string, n int) string {
	rest := s
	for range n {
		if rest == "" {
			return fmt.Sprintf("%q", s)
		}
		_, size := utf8.DecodeRuneInString(rest)
		rest = rest[size:]
	}
	if rest == "" {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q…", s[:len(s)-len(rest)])
}
