package doctor

import (
	"slices"
	"unicode/utf8"

	"github.com/entente-id/entente/internal/credential"
)

// State is what a check, or one finding of it, comes to.
type State string

// The states, from the best to the worst.
const (
	Skipped State = "skipped" // there is nothing to look at
	Passed  State = "passed"
	Noted   State = "noted"   // it stops nothing, and is worth knowing
	Unknown State = "unknown" // it cannot be told
	Failed  State = "failed"
)

// Verdict is what all checks come to.
type Verdict string

// The verdicts.
const (
	Healthy      Verdict = "healthy"      // a token was given, or would be
	Undetermined Verdict = "undetermined" // nothing wrong was found, and not everything could be told
	Faulty       Verdict = "faulty"
)

// A Report is what an examination found.
type Report struct {
	Of        string  `json:"of"`                  // what was examined, in words
	Authority string  `json:"authority,omitempty"` // base URL of the token endpoint
	Tenant    string  `json:"tenant,omitempty"`
	ClientID  string  `json:"clientId,omitempty"`
	Issuer    string  `json:"issuer,omitempty"`
	Subject   string  `json:"subject,omitempty"`
	Audience  string  `json:"audience,omitempty"`
	Verdict   Verdict `json:"verdict"`
	// Cause is the first one in the order of the checks, which is the one to mend
	// first; empty unless the verdict is Faulty.
	Cause    Cause   `json:"cause,omitempty"`
	Class    Class   `json:"class,omitempty"`
	ExitCode int     `json:"exitCode"`
	Error    *Said   `json:"error,omitempty"` // of the text that was given
	Checks   []Check `json:"checks"`          // always eleven
}

// A Check is one of the eleven steps.
type Check struct {
	Number   int       `json:"number"` // 1 to 11
	Name     string    `json:"name"`
	State    State     `json:"state"` // the worst of its findings
	Seen     string    `json:"seen,omitempty"`
	Expected string    `json:"expected,omitempty"`
	Findings []Finding `json:"findings,omitempty"`
}

// A Finding is one thing that a check came upon.
type Finding struct {
	State      State       `json:"state"`           // Noted, Unknown or Failed
	Cause      Cause       `json:"cause,omitempty"` // empty unless Failed, or it would be but for something else
	Class      Class       `json:"class,omitempty"`
	Text       string      `json:"text"` // a sentence without a full stop
	Seen       string      `json:"seen,omitempty"`
	Expected   string      `json:"expected,omitempty"`
	Difference *Difference `json:"difference,omitempty"`
	Mends      []Mend      `json:"mends,omitempty"` // alternatives, the likeliest first
}

// A Difference is where two values that should be one part.
type Difference struct {
	Seen     string `json:"seen"`
	Expected string `json:"expected"`
	At       int    `json:"at"` // the first character that differs, counted from 1
	Hint     string `json:"hint,omitempty"`
}

// A Mend is a way to mend a fault.
type Mend struct {
	When     string   `json:"when,omitempty"` // what has to be so for this to be the right one
	Text     string   `json:"text,omitempty"` // what to do, or what the commands do
	Commands []string `json:"commands,omitempty"`
}

// fault is a finding that fails a check.
func fault(cause Cause, text string) Finding {
	return Finding{State: Failed, Cause: cause, Class: cause.Class(), Text: text}
}

func note(text string) Finding    { return Finding{State: Noted, Text: text} }
func unknown(text string) Finding { return Finding{State: Unknown, Text: text} }

func (f Finding) saw(seen, expected string) Finding {
	f.Seen, f.Expected = seen, expected
	return f
}

func (f Finding) mend(mends ...Mend) Finding {
	f.Mends = append(f.Mends, mends...)
	return f
}

// differ is the difference of two values, in the words of the one who compares.
func differ(seen, expected, hint string) *Difference {
	return &Difference{Seen: seen, Expected: expected, At: common(seen, expected) + 1, Hint: hint}
}

// common is the number of characters that both begin with.
func common(s, t string) int {
	n := 0
	for len(s) > 0 && len(t) > 0 {
		a, size := utf8.DecodeRuneInString(s)
		b, _ := utf8.DecodeRuneInString(t)
		if a != b {
			break
		}
		s, t, n = s[size:], t[size:], n+1
	}
	return n
}

// apart is the difference of what a credential says and what a token says.
func apart(d credential.Difference) *Difference {
	return &Difference{Seen: d.Want, Expected: d.Got, At: d.At + 1, Hint: d.Hint}
}

var order = []State{Skipped, Passed, Noted, Unknown, Failed}

func worse(a, b State) State {
	if slices.Index(order, b) > slices.Index(order, a) {
		return b
	}
	return a
}

// find adds findings to a check.
func (c *Check) find(all ...Finding) {
	for _, f := range all {
		c.Findings = append(c.Findings, f)
		c.State = worse(c.State, f.State)
	}
}

// pass says that a check looked at something, and what it saw.
func (c *Check) pass(seen, expected string) {
	c.Seen, c.Expected = seen, expected
	c.State = worse(c.State, Passed)
}

// skip says why there was nothing to look at.
func (c *Check) skip(why string) {
	if c.State == Skipped && c.Seen == "" {
		c.Seen = why
	}
}

// failed is the first fault of a check; nil if there is none.
func (c *Check) failed() *Finding {
	for i := range c.Findings {
		if c.Findings[i].State == Failed {
			return &c.Findings[i]
		}
	}
	return nil
}

// settle derives the state of a check from its findings again.
func (c *Check) settle() {
	c.State = Passed
	for _, f := range c.Findings {
		c.State = worse(c.State, f.State)
	}
}

// Faults are all findings that fail a check, in the order of the checks.
func (r *Report) Faults() []Finding {
	var all []Finding
	for _, c := range r.Checks {
		for _, f := range c.Findings {
			if f.State == Failed {
				all = append(all, f)
			}
		}
	}
	return all
}
