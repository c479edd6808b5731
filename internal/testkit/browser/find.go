//go:build unix

package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Roles, as WAI-ARIA 1.2 names them. Every group is what one kind of step may act on.
var (
	clickable = []string{"link", "button", "tab", "option", "menuitem", "checkbox", "radio", "switch", "DisclosureTriangle"}
	fields    = []string{"textbox", "searchbox", "combobox", "spinbutton", "listbox", "checkbox", "radio", "switch", "Date", "DateTime", "InputTime", "ColorWell"}
)

// scope is a part of the page: the element of a role in which a text stands.
type scope struct{ role, text string }

// Within is the same window, with eyes only for one part of the page: the
// element of the role ("row", "region", "dialog", "navigation" …) that has
// text as its name or somewhere inside. The smallest such element is meant.
func (b *Browser) Within(role, text string) *Browser {
	part := *b
	part.within = &scope{role, plain(text)}
	return &part
}

// In is the same window for a subtest, which then is the one that fails.
func (b *Browser) In(t testing.TB) *Browser {
	part := *b
	part.t = t
	return &part
}

// element is a node of the accessibility tree that somebody can meet.
type element struct {
	role, name string
	backend    cdp.BackendNodeID
}

func (e element) String() string { return fmt.Sprintf("%s %q", e.role, e.name) }

// tree is the part of the accessibility tree that the browser looks at, in the
// order of the document.
func (b *Browser) tree(ctx context.Context) ([]element, error) {
	res, err := chromedp.Call(ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		return nil, err
	}
	nodes := make(map[accessibility.NodeID]*accessibility.Node, len(res.Nodes))
	for _, n := range res.Nodes {
		nodes[n.NodeID] = n
	}
	if len(res.Nodes) == 0 {
		return nil, nil
	}
	var out []element
	var walk func(*accessibility.Node)
	walk = func(n *accessibility.Node) {
		if n == nil {
			return
		}
		if !n.Ignored {
			out = append(out, element{text(n.Role), plain(text(n.Name)), n.BackendDOMNodeID})
		}
		for _, id := range n.ChildIDs {
			walk(nodes[id])
		}
	}
	root := res.Nodes[0]
	if b.within != nil {
		if root = b.within.find(nodes, root); root == nil {
			return nil, nil
		}
	}
	walk(root)
	return out, nil
}

// find is the smallest element of the scope's role that says its text.
func (s *scope) find(nodes map[accessibility.NodeID]*accessibility.Node, n *accessibility.Node) *accessibility.Node {
	if n == nil {
		return nil
	}
	for _, id := range n.ChildIDs {
		if found := s.find(nodes, nodes[id]); found != nil {
			return found
		}
	}
	if n.Ignored || text(n.Role) != s.role {
		return nil
	}
	if strings.Contains(plain(text(n.Name)), s.text) || strings.Contains(plain(said(nodes, n)), s.text) {
		return n
	}
	return nil
}

// said is all text below a node.
func said(nodes map[accessibility.NodeID]*accessibility.Node, n *accessibility.Node) string {
	if n == nil {
		return ""
	}
	if text(n.Role) == "StaticText" {
		return text(n.Name)
	}
	var out strings.Builder
	for _, id := range n.ChildIDs {
		out.WriteString(said(nodes, nodes[id]))
		out.WriteByte(' ')
	}
	return out.String()
}

func text(v *accessibility.Value) string {
	var s string
	if v != nil {
		_ = json.Unmarshal(v.Value, &s)
	}
	return s
}

// plain is a text as one reads it: white space of any kind is one space.
func plain(s string) string { return strings.Join(strings.Fields(s), " ") }

// called says whether an element goes by a name. A mark that a field has to be
// filled in is not part of its name, and neither is a count in parentheses.
func (e element) called(name string) bool {
	return e.name == name || mark.ReplaceAllString(e.name, "") == name
}

var mark = regexp.MustCompile(` ?(\*|\([0-9]+\))$`)

// find waits for the one element of some roles with a name.
func (b *Browser) find(what string, roles []string, name string) element {
	b.t.Helper()
	var found element
	why, ok := b.poll(func(ctx context.Context) (yes bool, why string) {
		found, why, yes = b.match(ctx, roles, name, false)
		return yes, why
	})
	if !ok {
		b.fatal("%s %q%s: %s", what, plain(name), b.within, why)
	}
	return found
}

// match is the one element of some roles with a name, or the first of several,
// as the page stands.
func (b *Browser) match(ctx context.Context, roles []string, name string, first bool) (found element, why string, ok bool) {
	all, err := b.tree(ctx)
	if err != nil {
		return element{}, err.Error(), false
	}
	var matches, others []element
	for _, e := range all {
		switch {
		case !slices.Contains(roles, e.role):
		case e.called(plain(name)):
			matches = append(matches, e)
		default:
			others = append(others, e)
		}
	}
	switch {
	case len(matches) == 0:
		return element{}, fmt.Sprintf("there is none, but %v", others), false
	case len(matches) > 1 && !first:
		return element{}, fmt.Sprintf("there are several: %v", matches), false
	}
	return matches[0], "", true
}

func (s *scope) String() string {
	if s == nil {
		return ""
	}
	return fmt.Sprintf(" within %s %q", s.role, s.text)
}

// Has says whether there is an element of a role ("link", "button", "heading"
// …) with a name, now.
func (b *Browser) Has(role, name string) bool {
	b.t.Helper()
	return slices.Contains(b.Names(role), plain(name))
}

// Names are the accessible names of all elements of a role, in the order of
// the page.
func (b *Browser) Names(role string) []string {
	b.t.Helper()
	ctx, cancel := b.limited()
	defer cancel()
	all, err := b.tree(ctx)
	if err != nil {
		b.fatal("read the accessibility tree: %v", err)
	}
	names := []string{}
	for _, e := range all {
		if e.role == role {
			names = append(names, e.name)
		}
	}
	return names
}

// Await waits for an element of a role with a name.
func (b *Browser) Await(role, name string) {
	b.t.Helper()
	if why, ok := b.poll(func(context.Context) (bool, string) {
		return b.Has(role, name), fmt.Sprintf("there is %q", b.Names(role))
	}); !ok {
		b.fatal("a %s %q%s: %s", role, name, b.within, why)
	}
}

// call runs a function of the page's language on an element, which is this,
// and reads the JSON of what it returns. Without JavaScript in the page it
// works as well.
func (e element) call(ctx context.Context, function string, into any, args ...any) error {
	node, err := chromedp.Call(ctx, dom.ResolveNode, dom.ResolveNodeParams{BackendNodeID: e.backend})
	if err != nil {
		return err
	}
	params := runtime.CallFunctionOnParams{FunctionDeclaration: function, ObjectID: node.Object.ObjectID, ReturnByValue: new(true)}
	for _, a := range args {
		text, err := json.Marshal(a)
		if err != nil {
			return err
		}
		params.Arguments = append(params.Arguments, &runtime.CallArgument{Value: text})
	}
	res, err := chromedp.Call(ctx, runtime.CallFunctionOn, params)
	if err != nil {
		return err
	}
	if res.ExceptionDetails != nil {
		return fmt.Errorf("%s", res.ExceptionDetails.Exception.Description)
	}
	if into == nil || res.Result.Value == nil {
		return nil
	}
	return json.Unmarshal(res.Result.Value, into)
}
