package credential

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
	// TooShort: a managed identity's credential name has fewer than three characters.
	TooShort Rule = "too_short"
	// TooLong: more characters than the limit of its field.
	TooLong Rule = "too_long"
	// Malformed: not of the form that the field asks for.
	Malformed Rule = "malformed"
	// NotOne: the number of audiences is not one.
	NotOne Rule = "not_one"
	// Forbidden: well-formed, and refused for what it would mean.
	Forbidden Rule = "forbidden"
)

// Violation is one broken rule. Value is what was given, whole; Detail says in
// one clause what the rule asks for.
type Violation struct {
	Field  Field
	Rule   Rule
	Value  string
	Detail string
}

func (v *Violation) Error() string { return string(v.Field) + ": " + v.Detail }
