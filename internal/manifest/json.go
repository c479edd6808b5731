package manifest

import (
	"bytes"
	"encoding/json"
	"reflect"

	"go.yaml.in/yaml/v3"
)

// maxJSONDepth bounds what is taken over as JSON; a key set is 4 deep.
const maxJSONDepth = 16

// json reads a mapping as the JSON object that it means. What it holds stands
// in no message: somebody may have put a private key there.
func (d *decoder) json(n *yaml.Node, v reflect.Value, path string) bool {
	if n.Kind != yaml.MappingNode {
		return d.mismatch(n, path, "fields, for instance JSON as it was served")
	}
	var b bytes.Buffer
	if !d.writeJSON(&b, n, path, maxJSONDepth) {
		return false
	}
	v.SetBytes(b.Bytes())
	return true
}

func (d *decoder) writeJSON(b *bytes.Buffer, n *yaml.Node, path string, depth int) bool {
	if !d.plain(n, path) {
		return false
	}
	if depth == 0 {
		d.problem(n, path, "is more than %d levels deep", maxJSONDepth)
		return false
	}
	comma := func(i int) {
		if i > 0 {
			b.WriteByte(',')
		}
	}
	ok := true
	switch n.Kind {
	case yaml.MappingNode:
		count := 0
		b.WriteByte('{')
		ok = d.members(n, path, func(name string, _, value *yaml.Node) bool {
			comma(count)
			count++
			writeText(b, name)
			b.WriteByte(':')
			return d.writeJSON(b, value, path, depth-1)
		})
		b.WriteByte('}')
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, element := range n.Content {
			comma(i)
			ok = d.writeJSON(b, element, path, depth-1) && ok
		}
		b.WriteByte(']')
	default:
		if n.ShortTag() == "!!str" {
			writeText(b, n.Value)
			return d.printable(n, path)
		}
		if !json.Valid([]byte(n.Value)) { // such as 0x1F and ~
			d.problem(n, path, "holds a value that JSON does not have: put it in quotes")
			return false
		}
		b.WriteString(n.Value)
	}
	return ok
}

func writeText(b *bytes.Buffer, s string) {
	text, _ := json.Marshal(s) // a string always has JSON
	b.Write(text)
}
