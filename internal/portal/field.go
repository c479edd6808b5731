package portal

import "strings"

// field is a line or more of text in a form, as the part "field" shows it.
type field struct {
	Name, Label, Value, Placeholder, Hint, Error string
	Group                                        string   // a name by which the script and the style sheet find it
	Lines                                        int      // 0: one line, as an input
	Max                                          int      // characters; 0: no limit
	Options                                      []string // what people may mean
	Required, ReadOnly                           bool
}

// DescribedBy names the elements that say more of the field.
func (f field) DescribedBy() string { return describedBy(f.Name, f.Hint, f.Error) }

// choice is a drop-down, as the part "choice" shows it.
type choice struct {
	Name, Label, Value, Hint, Error string
	Options                         []option
	Required                        bool
}

type option struct{ Value, Text string }

// DescribedBy names the elements that say more of the choice.
func (c choice) DescribedBy() string { return describedBy(c.Name, c.Hint, c.Error) }

func describedBy(name, hint, wrong string) string {
	var ids []string
	if wrong != "" {
		ids = append(ids, name+"-error")
	}
	if hint != "" {
		ids = append(ids, name+"-hint")
	}
	return strings.Join(ids, " ")
}

// quota is a limit and how much of it is used, as the part "meter" shows it.
type quota struct{ Used, Limit int }

// High is where the limit comes near.
func (q quota) High() int { return q.Limit * 8 / 10 }
