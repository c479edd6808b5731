package credential

// Reason is one kind of difference between two values that look alike to a person.
type Reason string

// Difference is how one field of a trust and of an assertion differ.
type Difference struct {
	Field   Field
	Want    string   // what the credential says
	Got     string   // what the token says
	At      int      // characters before the first difference
	Reasons []Reason // what alone explains the difference, or where it lies
	Hint    string   // one sentence for a person
}

// Nearest is the trust that comes closest to a, and how they differ.
func Nearest(trusts []Trust, a Assertion) (Trust, []Difference) { return Trust{}, nil }
