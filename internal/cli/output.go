package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// output is the flag -o of verbs that print: a table or a text for people, JSON and
// YAML with the same members for programs, bare names for shell loops, and what a
// template takes out of the JSON form.
type output string

func (o *output) flags(f *pflag.FlagSet) {
	f.StringVarP((*string)(o), "output", "o", "table", "`FORMAT`: table, json, yaml, name or jsonpath=TEMPLATE")
}

// check is what can be said before anything is asked of anybody.
func (o output) check() error {
	switch s := string(o); {
	case s == "table" || s == "json" || s == "yaml" || s == "name":
		return nil
	case strings.HasPrefix(s, jsonpathPrefix):
		_, err := templateOf(s).parse()
		return err
	case s == "jsonpath":
		return usage(errors.New("--output: jsonpath needs a template, such as jsonpath={.name}"))
	default:
		return usage(fmt.Errorf("--output: %q is none of table, json, yaml, name and jsonpath=TEMPLATE", s))
	}
}

// document prints v for programs, and tells whether that is what o asks for. Else it
// is for people, or names.
func (o output) document(w io.Writer, v any) (printed bool, err error) {
	switch {
	case o == "json":
		return true, printJSON(w, v)
	case o == "yaml":
		return true, printYAML(w, v)
	case strings.HasPrefix(string(o), jsonpathPrefix):
		return true, templateOf(string(o)).print(w, v)
	}
	return false, nil
}

// print prints v for programs, or its name, or else for people.
func (o output) print(w io.Writer, v any, name func() string, people func() error) error {
	if printed, err := o.document(w, v); printed {
		return err
	}
	if o == "name" {
		_, err := fmt.Fprintln(w, name())
		return err
	}
	return people()
}

// view is how objects of one kind look in each format.
type view[T any] struct {
	name    func(T) string
	columns []string
	row     func(T) []string    // of a list, as columns has it
	details func(T) [][2]string // of one object: name and value, empty ones left out
}

// list prints objects.
func (v view[T]) list(w io.Writer, o output, all []T) error {
	if all == nil {
		all = []T{} // in JSON a list, and not null
	}
	if printed, err := o.document(w, all); printed {
		return err
	}
	if o == "name" {
		for _, one := range all {
			if _, err := fmt.Fprintln(w, v.name(one)); err != nil {
				return err
			}
		}
		return nil
	}
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, strings.Join(v.columns, "\t"))
	for _, one := range all {
		fmt.Fprintln(t, strings.Join(v.row(one), "\t"))
	}
	t.Flush() // to a buffer, which does not fail
	head, rows, _ := strings.Cut(b.String(), "\n")
	_, err := io.WriteString(w, colours(w).paint(dim, head)+"\n"+rows)
	return err
}

// one prints one object.
func (v view[T]) one(w io.Writer, o output, object T) error {
	return o.print(w, object, func() string { return v.name(object) }, func() error {
		t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
		for _, d := range v.details(object) {
			if d[1] != "" {
				fmt.Fprintln(t, d[0]+"\t"+d[1])
			}
		}
		return t.Flush()
	})
}

// printJSON prints v as JSON that people can read, too.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printYAML prints what printJSON does, in its order.
func printYAML(w io.Writer, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil { // JSON is YAML
		return err
	}
	plain(&document)
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(&document); err != nil {
		return err
	}
	return e.Close()
}

// plain takes JSON's brackets and quotes off, where a reader of YAML 1.1 or 1.2 does
// not need them.
func plain(n *yaml.Node) {
	if n.Tag == "!!str" {
		n.Encode(n.Value) // a string cannot fail
		return
	}
	if len(n.Content) > 0 {
		n.Style = 0
	}
	for _, child := range n.Content {
		plain(child)
	}
}
