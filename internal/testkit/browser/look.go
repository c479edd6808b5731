//go:build unix

package browser

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// visible is the text of the page, or of a part of it, as it is laid out.
func visible(ctx context.Context, part *element) (string, error) {
	if part == nil {
		return chromedp.Run(ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
	}
	var text string
	err := part.call(ctx, `function() { return this.innerText ?? this.textContent }`, &text)
	return text, err
}

// Text is what the page, or the part of it, shows now: without what is hidden
// and without the values of fields.
func (b *Browser) Text() string {
	b.t.Helper()
	ctx, cancel := b.limited()
	defer cancel()
	text, err := b.text(ctx)
	if err != nil {
		b.fatal("read the page: %v", err)
	}
	return text
}

func (b *Browser) text(ctx context.Context) (string, error) {
	if b.within == nil {
		return visible(ctx, nil)
	}
	part, err := b.tree(ctx)
	if err != nil || len(part) == 0 {
		return "", err
	}
	return visible(ctx, &part[0])
}

// See waits until the page shows each of the texts. White space does not count.
func (b *Browser) See(texts ...string) {
	b.t.Helper()
	for _, want := range texts {
		if _, ok := b.poll(func(ctx context.Context) (bool, string) {
			text, err := b.text(ctx)
			return err == nil && strings.Contains(plain(text), plain(want)), ""
		}); !ok {
			b.fatal("%q is not to be seen%s", want, b.within)
		}
	}
}

// NotSee waits until the page shows none of the texts.
func (b *Browser) NotSee(texts ...string) {
	b.t.Helper()
	for _, not := range texts {
		if _, ok := b.poll(func(ctx context.Context) (bool, string) {
			text, err := b.text(ctx)
			return err == nil && !strings.Contains(plain(text), plain(not)), ""
		}); !ok {
			b.fatal("%q is to be seen%s", not, b.within)
		}
	}
}

// Value is what a field holds: of a list the text of the option that is
// chosen, of a box "true" or "false". Where the page shows a value without a
// field, it is the definition of the term, or the cell beside the heading.
func (b *Browser) Value(label string) string {
	b.t.Helper()
	label = plain(label)
	var value string
	why, ok := b.poll(func(ctx context.Context) (bool, string) {
		all, err := b.tree(ctx)
		if err != nil {
			return false, err.Error()
		}
		for _, e := range all {
			if slices.Contains(fields, e.role) && e.called(label) {
				err := e.call(ctx, `function() {
					if (this.localName === "select") return [...this.selectedOptions].map(o => o.text.trim()).join(", ");
					if (this.type === "checkbox" || this.type === "radio") return String(this.checked);
					return this.value ?? this.innerText;
				}`, &value)
				return err == nil, fmt.Sprint(err)
			}
		}
		for _, e := range all {
			if e.role != "StaticText" || !e.called(label) {
				continue
			}
			var found *string
			if err := e.call(ctx, beside, &found); err == nil && found != nil {
				value = *found
				return true, ""
			}
		}
		return false, "no field and no term of a list has that name"
	})
	if !ok {
		b.fatal("the value of %q%s: %s", label, b.within, why)
	}
	return value
}

// beside is the text that belongs to a term or to a row's heading.
const beside = `function() {
	const at = this.nodeType === Node.TEXT_NODE ? this.parentElement : this;
	const term = at.closest("dt");
	if (term) {
		let next = term.nextElementSibling;
		while (next && next.localName === "dt") next = next.nextElementSibling;
		return next && next.localName === "dd" ? (next.querySelector("[data-value]") ?? next).innerText.trim() : null;
	}
	const head = at.closest("th[scope=row], tr > th:first-child");
	const cell = head && head.nextElementSibling;
	return cell && cell.localName === "td" ? cell.innerText.trim() : null;
}`

// SeeValue waits until a field holds a value.
func (b *Browser) SeeValue(label, want string) {
	b.t.Helper()
	if why, ok := b.poll(func(context.Context) (bool, string) {
		got := b.Value(label)
		return got == want, fmt.Sprintf("it is %q", got)
	}); !ok {
		b.fatal("the value of %q is to be %q: %s", label, want, why)
	}
}

// focus is what has the focus, the zero element when it is the page itself.
func focus(ctx context.Context) (element, error) {
	res, err := chromedp.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{Expression: `document.activeElement`})
	if err != nil || res.Result.ObjectID == "" {
		return element{}, err
	}
	tree, err := chromedp.Call(ctx, accessibility.GetPartialAXTree, accessibility.GetPartialAXTreeParams{ObjectID: res.Result.ObjectID, FetchRelatives: new(false)})
	if err != nil || len(tree.Nodes) == 0 || tree.Nodes[0].Ignored {
		return element{}, err
	}
	n := tree.Nodes[0]
	return element{text(n.Role), plain(text(n.Name)), n.BackendDOMNodeID}, nil
}

func writeFile(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}
