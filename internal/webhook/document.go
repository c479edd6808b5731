package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"unicode/utf8"
)

// Bounds of a document. The API server takes requests up to 3 MiB; a Pod with
// all of its managed fields is some 15 levels deep.
const (
	maxDocument = 3 << 20
	maxDepth    = 64
	maxValues   = 200_000
	maxItems    = 1000 // containers, init containers, volumes: each costs a patch, or a look for each of the others
)

// A value is one JSON value, with its own bytes and, in an object or array, what
// stands in it. The zero value is one that is not there.
type value struct {
	raw      []byte
	kind     byte // the first byte of raw: { [ " t f n - 0…9; 0 = not there
	members  []member
	elements []value
}

type member struct {
	name  string
	value value
}

// parse reads a document that every parser must read in the same way: valid
// UTF-8, no two members of an object with one name, bounded.
//
// encoding/json is not asked, since it keeps the last of two members with one
// name and takes "Spec" for "spec": a patch would then be made for another
// document than the one that the API server applies it to.
func parse(data []byte) (value, error) {
	switch {
	case len(data) > maxDocument:
		return value{}, fmt.Errorf("larger than %d bytes", maxDocument)
	case !utf8.Valid(data):
		return value{}, errors.New("not valid UTF-8")
	case !json.Valid(data):
		return value{}, json.Unmarshal(data, new(json.RawMessage)) // which says where
	}
	r := scanner{data: data, left: maxValues}
	return r.value(1)
}

// A scanner passes once over a text whose grammar is known to be valid, which is
// why it checks no comma and never runs past the end.
type scanner struct {
	data []byte
	at   int
	left int
}

func (r *scanner) next() byte {
	for {
		switch c := r.data[r.at]; c {
		case ' ', '\t', '\r', '\n', ',', ':':
			r.at++
		default:
			return c
		}
	}
}

func (r *scanner) value(depth int) (v value, err error) {
	if r.left--; r.left < 0 {
		return v, fmt.Errorf("more than %d values", maxValues)
	}
	v.kind = r.next()
	start := r.at
	switch v.kind {
	case '{', '[':
		if depth > maxDepth {
			return v, fmt.Errorf("more than %d levels deep", maxDepth)
		}
		if v.kind == '{' {
			err = r.object(&v, depth)
		} else {
			err = r.array(&v, depth)
		}
	case '"':
		r.text()
	default:
		for r.at < len(r.data) && !ends(r.data[r.at]) {
			r.at++
		}
	}
	v.raw = r.data[start:r.at]
	return v, err
}

func ends(c byte) bool {
	return c == ',' || c == ']' || c == '}' || c == ' ' || c == '\t' || c == '\r' || c == '\n'
}

// few is how many members are compared one by one; more are looked up.
const few = 16

func (r *scanner) object(v *value, depth int) error {
	var seen map[string]bool
	for r.at++; r.next() != '}'; {
		name, err := unquote(r.text())
		if err != nil {
			return err
		}
		twice := seen[name]
		if seen == nil {
			for _, m := range v.members {
				twice = twice || m.name == name
			}
		}
		if twice {
			return fmt.Errorf("member %.80q twice in one object", name)
		}
		of, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		v.members = append(v.members, member{name, of})
		if seen != nil {
			seen[name] = true
		} else if len(v.members) == few {
			seen = make(map[string]bool, 4*few)
			for _, m := range v.members {
				seen[m.name] = true
			}
		}
	}
	r.at++
	return nil
}

func (r *scanner) array(v *value, depth int) error {
	for r.at++; r.next() != ']'; {
		of, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		v.elements = append(v.elements, of)
	}
	r.at++
	return nil
}

// text passes over a string and returns it as it is written.
func (r *scanner) text() []byte {
	start := r.at
	for r.at++; r.data[r.at] != '"'; r.at++ {
		if r.data[r.at] == '\\' {
			r.at++
		}
	}
	r.at++
	return r.data[start:r.at]
}

func unquote(raw []byte) (string, error) {
	for _, c := range raw {
		if c == '\\' {
			var s string
			err := json.Unmarshal(raw, &s)
			return s, err
		}
	}
	return string(raw[1 : len(raw)-1]), nil
}

// get returns a member of an object; what is null, or of something else than an
// object, is not there.
func (v value) get(name string) value {
	for _, m := range v.members {
		if m.name == name && m.value.kind != 'n' {
			return m.value
		}
	}
	return value{}
}

// at follows names from object to object.
func (v value) at(names ...string) value {
	for _, name := range names {
		v = v.get(name)
	}
	return v
}

// there says that a value is neither absent nor null.
func (v value) there() bool { return v.kind != 0 && v.kind != 'n' }

// is says that a value is of a kind, absent or null.
func (v value) is(kind byte) bool { return !v.there() || v.kind == kind }

// text returns a string; "" for everything else.
func (v value) text() string {
	if v.kind != '"' {
		return ""
	}
	s, _ := unquote(v.raw)
	return s
}

func (v value) truth() bool { return v.kind == 't' }

// number returns an integer; 0 for everything else.
func (v value) number() int {
	n, _ := strconv.Atoi(string(v.raw))
	return n
}

// texts returns the members of an object that are strings.
func (v value) texts() map[string]string {
	all := make(map[string]string, len(v.members))
	for _, m := range v.members {
		if m.value.kind == '"' {
			all[m.name] = m.value.text()
		}
	}
	return all
}

// A pod is what is asked of a document.
type pod struct {
	name, generateName string
	annotations        map[string]string
	mirror             bool
	account            string // never empty
	hostNetwork        bool
	windows            bool
	ofJob              bool
	user               value // whom containers run as that do not say it
	volumes            list
	inits, containers  []container
	initList, list     list
}

// A list is an array of a document and where it stands.
type list struct {
	path  string
	there bool
	items []value
}

type container struct {
	path   string
	name   string
	env    list
	mounts list
	value  value
}

const mirrorAnnotation = "kubernetes.io/config.mirror"

// parsePod reads a Pod as the API server writes it. Its errors are refusals.
func parsePod(data []byte) (*pod, error) {
	doc, err := parse(data)
	if err != nil {
		return nil, badRequest("read the pod: %s", err)
	}
	meta, spec := doc.get("metadata"), doc.get("spec")
	if doc.kind != '{' || !meta.is('{') || spec.kind != '{' || !meta.get("annotations").is('{') {
		return nil, badRequest("read the pod: this is no object with metadata and spec")
	}
	p := &pod{
		name:         meta.get("name").text(),
		generateName: meta.get("generateName").text(),
		annotations:  meta.get("annotations").texts(),
		account:      "default",
		hostNetwork:  spec.get("hostNetwork").truth(),
		user:         spec.at("securityContext", "runAsUser"),
		windows:      spec.at("os", "name").text() == "windows" || spec.at("nodeSelector", "kubernetes.io/os").text() == "windows",
	}
	_, p.mirror = p.annotations[mirrorAnnotation]
	for _, name := range []string{"serviceAccount", "serviceAccountName"} { // the first is the older name of the second
		if s := spec.get(name).text(); s != "" {
			p.account = s
		}
	}
	for _, o := range meta.get("ownerReferences").elements {
		p.ofJob = p.ofJob || o.get("kind").text() == "Job"
	}
	if p.volumes, err = listOf(spec, "/spec", "volumes"); err != nil {
		return nil, err
	}
	if p.initList, p.inits, err = containersOf(spec, "initContainers"); err != nil {
		return nil, err
	}
	if p.list, p.containers, err = containersOf(spec, "containers"); err != nil {
		return nil, err
	}
	return p, nil
}

func listOf(of value, under, name string) (list, error) {
	v := of.get(name)
	l := list{path: under + "/" + name, there: v.there(), items: v.elements}
	if !v.is('[') {
		return l, badRequest("read the pod: %s is not a list", l.path)
	}
	if under == "/spec" && len(l.items) > maxItems {
		// The API server says so too, but only after it has asked webhooks.
		return l, badRequest("read the pod: %s has more than %d elements", l.path, maxItems)
	}
	for i, e := range l.items {
		if e.kind != '{' {
			return l, badRequest("read the pod: %s/%d is not an object", l.path, i)
		}
	}
	return l, nil
}

func containersOf(spec value, name string) (list, []container, error) {
	all, err := listOf(spec, "/spec", name)
	if err != nil {
		return all, nil, err
	}
	cs := make([]container, len(all.items))
	for i, v := range all.items {
		c := container{path: all.path + "/" + strconv.Itoa(i), name: v.get("name").text(), value: v}
		if c.env, err = listOf(v, c.path, "env"); err != nil {
			return all, nil, err
		}
		if c.mounts, err = listOf(v, c.path, "volumeMounts"); err != nil {
			return all, nil, err
		}
		cs[i] = c
	}
	return all, cs, nil
}

// named returns the element with that name.
func (l list) named(name string) (value, bool) {
	for _, v := range l.items {
		if v.get("name").text() == name {
			return v, true
		}
	}
	return value{}, false
}

// has says whether a container sets a variable, whatever to and from wherever.
func (c container) has(variable string) bool {
	_, ok := c.env.named(variable)
	return ok
}

// mountAt returns the name of the volume that is mounted at a path.
func (c container) mountAt(where string) (volume string, ok bool) {
	for _, m := range c.mounts.items {
		if path.Clean(m.get("mountPath").text()) == where {
			return m.get("name").text(), true
		}
	}
	return "", false
}
