package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Bounds on what is read, in bytes. A credential takes some 150.
const (
	MaxSize   = 1 << 20
	maxKeySet = 512 << 10
	maxCA     = 64 << 10
)

// SchemaVersion is the one version of the schema so far.
const SchemaVersion = 1

// Read reads a manifest, which is one YAML document (or JSON, which is YAML)
// without anchors, aliases and tags. name is what problems call it; files
// holds the files that it names by relative paths, and may be nil. The error
// is a *Problems.
func Read(name string, data []byte, files fs.FS) (*Manifest, error) {
	d := &decoder{problems: Problems{File: name}}
	m := &Manifest{File: name}
	if root := d.parse(data); root != nil {
		d.decode(root, reflect.ValueOf(m).Elem(), "", nil)
		c := checker{decoder: d, files: files}
		c.manifest(m)
	}
	if err := d.problems.Err(); err != nil {
		return nil, err
	}
	return m, nil
}

// parse returns the root of the one document, or nil after a problem.
func (d *decoder) parse(data []byte) *yaml.Node {
	top := &yaml.Node{Line: 1}
	if len(data) > MaxSize {
		d.problem(top, "", "is larger than %d bytes: split it", MaxSize)
		return nil
	}
	if !utf8.Valid(data) {
		d.problem(top, "", "is not UTF-8")
		return nil
	}
	root, second, err := documents(data)
	switch {
	case err != nil:
		d.problem(&yaml.Node{Line: breaksAt(data)}, "", "is not YAML: %s", strings.TrimPrefix(inLine.ReplaceAllString(err.Error(), ""), "yaml: "))
	case root == nil || root.ShortTag() == "!!null":
		d.problem(top, "", "is empty")
	case second != nil:
		d.problem(second, "", "a second document begins here, and a manifest is one")
	default:
		return root
	}
	return nil
}

// documents returns the roots of the first two documents; nil for those that are not there.
func documents(data []byte) (first, second *yaml.Node, err error) {
	var roots [2]*yaml.Node
	for i, decoder := 0, yaml.NewDecoder(bytes.NewReader(data)); ; i++ {
		var n yaml.Node
		if err := decoder.Decode(&n); errors.Is(err, io.EOF) {
			return roots[0], roots[1], nil
		} else if err != nil {
			return nil, nil, err
		}
		if i < len(roots) && len(n.Content) == 1 {
			roots[i] = n.Content[0]
		}
	}
}

// inLine is where the library says that a text is no YAML: often the line on
// which something began that a later one breaks, and sometimes the one before that.
var inLine = regexp.MustCompile(`^yaml: line \d+: `)

// The bounds on what finding a line may cost.
const (
	maxReread  = 16 << 20 // bytes
	maxForward = 32       // lines of one list or text
)

// breaksAt finds the line with which a text that is no YAML stops being it: the
// one after the longest beginning that can be read.
func breaksAt(data []byte) int {
	ends := []int{0}
	for line := range bytes.Lines(data) {
		ends = append(ends, ends[len(ends)-1]+len(line))
	}
	left := maxReread
	reads := func(lines int) bool {
		if left -= ends[lines]; left < 0 {
			return false
		}
		_, _, err := documents(data[:ends[lines]])
		return err == nil
	}
	good := 0
	for from := 0; from >= 0; {
		bad := len(ends) - 1
		for good = from; good+1 < bad; {
			if middle := (good + bad) / 2; reads(middle) {
				good = middle
			} else {
				bad = middle
			}
		}
		// A list in brackets that goes over several lines cannot be read before its end either.
		from = -1
		for lines := bad + 1; lines < len(ends)-1 && lines <= bad+maxForward; lines++ {
			if reads(lines) {
				from = lines
				break
			}
		}
	}
	return good + 1
}

// file reads a file that the manifest names.
func (c *checker) file(p Place, field, name string, limit int) []byte {
	if !fs.ValidPath(name) {
		c.add(p, field, "%s is no path below the manifest's own directory (such as keys/prod.json)", quote(name))
		return nil
	}
	if c.files == nil {
		c.add(p, field, "files are not read here: write the content out")
		return nil
	}
	data, err := readBounded(c.files, name, limit)
	if err != nil {
		c.add(p, field, "%v", err)
	}
	return data
}

func readBounded(files fs.FS, name string, limit int) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err == nil && len(data) > limit {
		err = fmt.Errorf("%q is larger than %d bytes", name, limit)
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}
