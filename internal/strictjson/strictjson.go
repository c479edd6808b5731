package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds on one JSON text. A service-account token has some 20 values, 4 deep.
const (
	maxDepth  = 32   // objects and arrays within one another
	maxValues = 1000 // members of objects and elements of arrays, together
)

// Check checks that data is one JSON value which every parser reads in the
// same way: RFC 8259 grammar, valid UTF-8, no escaped surrogate without its
// other half, no two members of an object with one name, no NUL in a name, at
// most 32 levels, at most 1,000 members and elements.
//
// encoding/json lets all of these through: it keeps the last of two members
// with one name and turns what is not Unicode into U+FFFD, so that two texts
// which differ come out equal (RFC 8725 sections 2.6 and 3.7).
func Check(data []byte) error {
	_, err := walk(data, false)
	return err
}

// An Object is one JSON object as its members, named exactly as written.
type Object map[string]json.RawMessage

// ParseObject reads one object that obeys Check at every level.
func ParseObject(data []byte) (Object, error) { return asObject(walk(data, false)) }

// ParseOuter reads one object and looks at its outermost level only, so that
// one bad member of a list can be refused without the others.
func ParseOuter(data []byte) (Object, error) { return asObject(walk(data, true)) }

func asObject(o Object, err error) (Object, error) {
	if err == nil && o == nil {
		err = errors.New("JSON: not an object")
	}
	return o, err
}

func walk(data []byte, shallow bool) (Object, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("JSON: not valid UTF-8")
	}
	if !json.Valid(data) {
		return nil, fmt.Errorf("JSON: %w", json.Unmarshal(data, new(json.RawMessage))) // which says where
	}
	w := walker{data: data, left: maxValues, shallow: shallow}
	if err := w.value(1); err != nil {
		return nil, fmt.Errorf("JSON: %w", err)
	}
	return w.outer, nil
}

// A walker passes once over a text whose grammar is known to be valid, which is
// why it checks no comma and never runs past the end.
type walker struct {
	data    []byte
	at      int
	left    int    // how many members and elements may still come
	shallow bool   // look at the outermost object only
	outer   Object // members of the outermost object; nil when it is none
}

var errTooMany = fmt.Errorf("more than %d members and elements", maxValues)

// next returns the first byte of the next value, name or end, and stands on it.
func (w *walker) next() byte {
	for {
		switch c := w.data[w.at]; c {
		case ' ', '\t', '\r', '\n', ',', ':':
			w.at++
		default:
			return c
		}
	}
}

func (w *walker) value(depth int) error {
	c := w.next()
	if w.shallow && depth > 1 {
		w.skip()
		return nil
	}
	if depth > maxDepth && (c == '{' || c == '[') {
		return fmt.Errorf("more than %d levels deep", maxDepth)
	}
	switch c {
	case '{':
		return w.object(depth)
	case '[':
		return w.array(depth)
	case '"':
		_, err := w.text()
		return err
	}
	w.skip()
	return nil
}

func (w *walker) object(depth int) error {
	names := make(Object, 8)
	for w.at++; w.next() != '}'; {
		name, err := w.text()
		if err != nil {
			return err
		}
		if _, twice := names[name]; twice {
			return fmt.Errorf("member %.80q twice in one object", name)
		}
		if strings.ContainsRune(name, 0) {
			return errors.New("NUL in the name of a member")
		}
		if w.left--; w.left < 0 {
			return errTooMany
		}
		w.next()
		start := w.at
		if err := w.value(depth + 1); err != nil {
			return err
		}
		names[name] = w.data[start:w.at]
	}
	w.at++
	if depth == 1 {
		w.outer = names
	}
	return nil
}

func (w *walker) array(depth int) error {
	for w.at++; w.next() != ']'; {
		if w.left--; w.left < 0 {
			return errTooMany
		}
		if err := w.value(depth + 1); err != nil {
			return err
		}
	}
	w.at++
	return nil
}

// text passes over a string and returns what it means.
func (w *walker) text() (string, error) {
	start, escaped := w.at, false
	for w.at++; w.data[w.at] != '"'; w.at++ {
		if w.data[w.at] != '\\' {
			continue
		}
		escaped = true
		w.at++
		if w.data[w.at] != 'u' {
			continue
		}
		unit := w.unit(w.at + 1)
		w.at += 4
		if unit < 0xd800 || unit > 0xdfff {
			continue
		}
		if low := w.unit(w.at + 3); unit > 0xdbff || w.data[w.at+1] != '\\' || w.data[w.at+2] != 'u' || low < 0xdc00 || low > 0xdfff {
			return "", fmt.Errorf(`escape \u%04x is half of a surrogate pair`, unit)
		}
		w.at += 6
	}
	w.at++
	raw := w.data[start:w.at]
	if !escaped {
		return string(raw[1 : len(raw)-1]), nil
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err
}

// unit reads the four hexadecimal digits at i; 0 when there are none.
func (w *walker) unit(i int) uint64 {
	if i+4 > len(w.data) {
		return 0
	}
	n, _ := strconv.ParseUint(string(w.data[i:i+4]), 16, 16)
	return n
}

// skip passes over a value without looking at it.
func (w *walker) skip() {
	for open := 0; w.at < len(w.data); {
		switch c := w.data[w.at]; {
		case c == '"':
			for w.at++; w.data[w.at] != '"'; w.at++ {
				if w.data[w.at] == '\\' {
					w.at++
				}
			}
		case c == '{' || c == '[':
			open++
		case open == 0 && strings.IndexByte(",]} \t\r\n", c) >= 0:
			return // after a scalar, or after what the next case closed
		case c == '}' || c == ']':
			open--
		}
		w.at++
	}
}

// Text returns the member of that name, which must be a string without NUL if it is there.
func (o Object) Text(name string) (value string, present bool, err error) {
	raw, present := o[name]
	if !present {
		return "", false, nil
	}
	if value, err = stringValue(raw); err != nil {
		err = fmt.Errorf("%q %w", name, err)
	}
	return value, true, err
}

// Required returns the member of that name, which must be there and a string.
func (o Object) Required(name string) (string, error) {
	value, present, err := o.Text(name)
	if err == nil && !present {
		err = fmt.Errorf("%q is missing", name)
	}
	return value, err
}

// Texts returns the member of that name, which must be an array of strings if it is there.
func (o Object) Texts(name string) (values []string, present bool, err error) {
	if _, present := o[name]; !present {
		return nil, false, nil
	}
	elements, err := o.Array(name)
	if err != nil {
		return nil, true, err
	}
	for i, element := range elements {
		value, err := stringValue(element)
		if err != nil {
			return nil, true, fmt.Errorf("element %d of %q %w", i, name, err)
		}
		values = append(values, value)
	}
	return values, true, nil
}

// Array returns the elements of the member of that name, which must be an array.
func (o Object) Array(name string) (elements []json.RawMessage, err error) {
	if raw := o[name]; len(raw) == 0 || raw[0] != '[' {
		return nil, fmt.Errorf("%q is not an array", name)
	}
	w := walker{data: o[name]}
	for w.at++; w.next() != ']'; {
		start := w.at
		w.skip()
		elements = append(elements, w.data[start:w.at])
	}
	return elements, nil
}

// stringValue reads a string. NUL is refused because PostgreSQL can neither store nor compare it.
func stringValue(raw json.RawMessage) (string, error) {
	if raw[0] != '"' {
		return "", errors.New("is not a string")
	}
	w := walker{data: raw}
	value, err := w.text()
	if err == nil && strings.ContainsRune(value, 0) {
		err = errors.New("holds NUL")
	}
	return value, err
}
