package manifest

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// decoder turns YAML nodes into values, and says of every node that does not
// fit where it stands. The library's own decoder stops at the first problem of
// some kinds, forgets lines, and takes aliases.
type decoder struct {
	problems Problems
}

func (d *decoder) problem(n *yaml.Node, path, format string, args ...any) {
	d.problems.Add(Problem{Line: max(n.Line, 1), Path: path, Text: fmt.Sprintf(format, args...)})
}

// plain refuses what YAML has and a manifest does not need. Without aliases a
// file means no more than it shows.
func (d *decoder) plain(n *yaml.Node, path string) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "" || n.ShortTag() == "!!merge":
		d.problem(n, path, "anchors and aliases (&, * and <<) are not taken: write the value out")
	case n.Style&yaml.TaggedStyle != 0:
		d.problem(n, path, "tags (!) are not taken")
	default:
		return true
	}
	return false
}

// is says what a node is, for a person.
func is(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "has fields"
	case yaml.SequenceNode:
		return "is a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "is empty"
	case "!!str":
		return "is a text"
	case "!!bool":
		return "is read as true or false"
	case "!!timestamp":
		return "is read as a date"
	}
	return "is read as a number"
}

const orLeaveOut = "give a value, or leave the field out"

// mismatch says what was wanted instead of n.
func (d *decoder) mismatch(n *yaml.Node, path, want string) bool {
	switch {
	case n.ShortTag() == "!!null":
		d.problem(n, path, "is empty: %s", orLeaveOut)
	case want == "a text" && n.Kind == yaml.ScalarNode:
		d.problem(n, path, "%s %s: put it in quotes", quote(n.Value), is(n))
	default:
		d.problem(n, path, "%s, and should be %s", is(n), want)
	}
	return false
}

var (
	placeType = reflect.TypeFor[Place]()
	jsonType  = reflect.TypeFor[json.RawMessage]()
)

// decode reads n into v and returns whether it did. at, if there is one, takes
// the lines of the elements of lists and maps that are values of a field.
func (d *decoder) decode(n *yaml.Node, v reflect.Value, path string, at func(name string, line int)) bool {
	if !d.plain(n, path) {
		return false
	}
	if v.Type() == jsonType {
		return d.json(n, v, path)
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.decode(n, v.Elem(), path, at)
	case reflect.Struct:
		return d.object(n, v, path)
	case reflect.Slice:
		return d.list(n, v, path, at)
	case reflect.Map:
		return d.texts(n, v, path, at)
	case reflect.String:
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
			return d.mismatch(n, path, "a text")
		}
		v.SetString(n.Value)
		return d.printable(n, path)
	case reflect.Bool:
		if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" {
			return d.mismatch(n, path, "true or false")
		}
		v.SetBool(strings.EqualFold(n.Value, "true"))
		return true
	}
	// An int: the other kinds are in no struct.
	i, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || err != nil {
		return d.mismatch(n, path, "a whole number")
	}
	v.SetInt(int64(i))
	return true
}

// printable refuses what no directory keeps.
func (d *decoder) printable(n *yaml.Node, path string) bool {
	if strings.ContainsFunc(n.Value, func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' || r == unicode.ReplacementChar
	}) {
		d.problem(n, path, "holds a control character or what is not Unicode")
		return false
	}
	return true
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path string, at func(string, int)) bool {
	if n.Kind != yaml.SequenceNode {
		return d.mismatch(n, path, "a list")
	}
	ok := true
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, element := range n.Content {
		index := "[" + strconv.Itoa(i) + "]"
		if at != nil {
			at(index, element.Line)
		}
		ok = d.decode(element, v.Index(i), path+index, nil) && ok
	}
	return ok
}

func (d *decoder) texts(n *yaml.Node, v reflect.Value, path string, at func(string, int)) bool {
	if n.Kind != yaml.MappingNode {
		return d.mismatch(n, path, "fields")
	}
	v.Set(reflect.MakeMap(v.Type()))
	return d.members(n, path, func(name string, key, value *yaml.Node) bool {
		element := "[" + quote(name) + "]"
		if at != nil {
			at(element, key.Line)
		}
		text := reflect.New(v.Type().Elem()).Elem()
		if !d.decode(value, text, path+element, nil) {
			return false
		}
		v.SetMapIndex(reflect.ValueOf(name), text)
		return true
	})
}

// members passes over the fields of a mapping, in their order; each once.
func (d *decoder) members(n *yaml.Node, path string, each func(name string, key, value *yaml.Node) bool) bool {
	ok := true
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case !d.plain(key, path):
			ok = false
		case key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str":
			d.problem(key, path, "the name of a field is a text, in quotes if it looks like something else")
			ok = false
		case first[key.Value] > 0:
			d.problem(key, join(path, key.Value), "stands twice, first on line %d", first[key.Value])
			ok = false
		default:
			first[key.Value] = key.Line
			ok = d.printable(key, path) && each(key.Value, key, value) && ok
		}
	}
	return ok
}

func join(path, field string) string {
	if strings.ContainsFunc(field, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) || len(field) > 100 {
		return path + "[" + quote(field) + "]"
	}
	if path == "" {
		return field
	}
	return path + "." + field
}

func (d *decoder) object(n *yaml.Node, v reflect.Value, path string) bool {
	if n.Kind != yaml.MappingNode {
		return d.mismatch(n, path, "fields")
	}
	place := Place{Line: max(n.Line, 1), Path: path, lines: map[string]int{}, bad: map[string]bool{}}
	fields := map[string]reflect.Value{}
	collect(v, fields).Set(reflect.ValueOf(place)) // what the maps hold comes below
	return d.members(n, path, func(name string, key, value *yaml.Node) bool {
		field, known := fields[name]
		if !known {
			d.problem(key, join(path, name), "%s", unknown(name, slices.Sorted(maps.Keys(fields))))
			return false
		}
		place.lines[name] = key.Line
		ok := d.decode(value, field, join(path, name), func(element string, line int) { place.lines[name+element] = line })
		place.bad[name] = !ok
		return ok
	})
}

// collect finds the fields of a struct by their names in the file, those of
// embedded structs among them, and returns its Place.
func collect(v reflect.Value, fields map[string]reflect.Value) (place reflect.Value) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		switch name := field.Tag.Get("yaml"); {
		case field.Type == placeType:
			place = v.Field(i)
		case field.Anonymous:
			if p := collect(v.Field(i), fields); p.IsValid() {
				place = p
			}
		case name != "-":
			fields[name] = v.Field(i)
		}
	}
	return place
}

// elsewhere are names from other places that people know these fields by.
var elsewhere = map[string]string{
	"federatedidentitycredentials": "federatedCredentials", "userassignedidentities": "managedIdentities", "identities": "managedIdentities",
	"jwks": "keySet", "name": "displayName", "url": "issuer",
}

// secretive are names that people try for what does not belong in a file.
var secretive = []string{"secret", "secrets", "clientsecret", "clientsecrets", "password", "passwords", "passwordcredentials", "keycredentials"}

// unknown says of a field that there is none of its name, and which may be meant.
func unknown(name string, known []string) string {
	if slices.Contains(secretive, strings.ToLower(name)) {
		return "secrets do not belong in this file: give a federated credential, or make a secret with Graph's addPassword"
	}
	best, least := "", 3
	if other := elsewhere[strings.ToLower(name)]; slices.Contains(known, other) {
		best, least = other, 0
	}
	for _, k := range known {
		if distance := editDistance(strings.ToLower(name), strings.ToLower(k), least); distance < least {
			best, least = k, distance
		}
	}
	switch {
	case best != "":
		return "there is no such field: did you mean " + best + "?"
	case len(known) <= 9:
		return "there is no such field: there are " + strings.Join(known, ", ")
	}
	return "there is no such field"
}

// editDistance is how many letters differ, counted up to limit.
func editDistance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(b)], limit)
}
