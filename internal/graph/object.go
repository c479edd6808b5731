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

// encode writes JSON as Graph does, with &, < and > as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	err := encodeTo(&b, v)
	return b.Bytes(), err
}

// encodeTo writes objects itself. Were they each a json.Marshaler, what one
// holds would be read again for every other one around it.
func encodeTo(b *bytes.Buffer, v any) error {
	switch v := v.(type) {
	case object:
		return encodeEach(b, "{}", v, func(m member) error {
			if err := encodeTo(b, m.name); err != nil {
				return err
			}
			b.WriteByte(':')
			return encodeTo(b, m.value)
		})
	case []object:
		return encodeEach(b, "[]", v, func(o object) error { return encodeTo(b, o) })
	}
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	b.Truncate(b.Len() - len("\n")) // which Encode adds
	return nil
}

// encodeEach writes items between brackets.
func encodeEach[T any](b *bytes.Buffer, brackets string, items []T, item func(T) error) error {
	b.WriteByte(brackets[0])
	for i := range items {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := item(items[i]); err != nil {
			return err
		}
	}
	b.WriteByte(brackets[1])
	return nil
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
