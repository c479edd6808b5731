package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// output is the flag -o of verbs that print objects: a table for people, JSON and
// YAML with the same members for programs, and bare names for shell loops.
type output string

var outputs = []string{"table", "json", "yaml", "name"}

func (o *output) flags(f *pflag.FlagSet) {
	f.StringVarP((*string)(o), "output", "o", "table", "`FORMAT`: table, json, yaml or name")
}

func (o output) check() error {
	if !slices.Contains(outputs, string(o)) {
		return usage(fmt.Errorf("--output: %q is none of table, json, yaml and name", string(o)))
	}
	return nil
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
	switch o {
	case "json":
		return printJSON(w, all)
	case "yaml":
		return printYAML(w, all)
	case "name":
		for _, one := range all {
			if _, err := fmt.Fprintln(w, v.name(one)); err != nil {
				return err
			}
		}
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, strings.Join(v.columns, "\t"))
	for _, one := range all {
		fmt.Fprintln(t, strings.Join(v.row(one), "\t"))
	}
	return t.Flush()
}

// one prints one object.
func (v view[T]) one(w io.Writer, o output, object T) error {
	switch o {
	case "json":
		return printJSON(w, object)
	case "yaml":
		return printYAML(w, object)
	case "name":
		_, err := fmt.Fprintln(w, v.name(object))
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, d := range v.details(object) {
		if d[1] != "" {
			fmt.Fprintln(t, d[0]+"\t"+d[1])
		}
	}
	return t.Flush()
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
