package graph

import (
	"bytes"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
)

// object is a JSON object whose members keep their order, which is Graph's.
type object []member

type member struct {
	name  string
	value any
}

// MarshalJSON writes the members in their order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := encode(m.name)
		if err != nil {
			return nil, err
		}
		value, err := encode(m.value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// encode writes JSON as Graph does, with &, < and > as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// only keeps the named members.
func (o object) only(names []string) object {
	var kept object
	for _, m := range o {
		if slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, m.name) }) {
			kept = append(kept, m)
		}
	}
	return kept
}

func (o object) names() []string {
	names := make([]string, 0, len(o))
	for _, m := range o {
		names = append(names, m.name)
	}
	return names
}

// checkSelect refuses to select what the objects do not have.
func (c *call) checkSelect(names []string) error {
	for _, wanted := range c.options.selected {
		if !slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, wanted) }) {
			return badRequest("Parsing OData Select and Expand failed: Could not find a property named '%s' on the resource.", wanted)
		}
	}
	return nil
}

// orNull is how Graph shows a text that is not set.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// orEmpty is how Graph shows a list that is not set.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// The forms of times: of an object that has just been made, of one that is
// read, and of a secret's validity.
func madeAt(t time.Time) string    { return t.UTC().Format("2006-01-02T15:04:05.0000000Z") }
func readAt(t time.Time) string    { return t.UTC().Format("2006-01-02T15:04:05Z") }
func precisely(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999Z") }

func deletedAt(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return readAt(t)
}

func keysOf[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }
