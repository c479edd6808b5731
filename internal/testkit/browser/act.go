//go:build unix

package browser

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Click clicks on the link, button, tab, option or box with a name.
func (b *Browser) Click(name string) {
	b.t.Helper()
	b.click("click on", clickable, name, false)
}

// ClickOn clicks on the element of one role with a name, where Click would
// find several.
func (b *Browser) ClickOn(role, name string) {
	b.t.Helper()
	b.click("click on the "+role, []string{role}, name, false)
}

// ClickFirst clicks on the first of several that have one name, and do the same.
func (b *Browser) ClickFirst(name string) {
	b.t.Helper()
	b.click("click on", clickable, name, true)
}

// click waits until the pointer reaches an element and presses it. The element
// is looked for each time: scripts put new ones into the place of old ones.
func (b *Browser) click(what string, roles []string, name string, first bool) {
	b.t.Helper()
	var x, y float64
	why, ok := b.poll(func(ctx context.Context) (bool, string) {
		e, why, ok := b.match(ctx, roles, name, first)
		if !ok {
			return false, why
		}
		var above string
		if err := e.middle(ctx, &x, &y); err != nil {
			return false, err.Error()
		}
		if err := e.call(ctx, reaches, &above, x, y); err != nil {
			return false, err.Error()
		}
		return above == "", above
	})
	if !ok {
		b.fatal("%s %q%s: %s", what, plain(name), b.within, why)
	}
	b.must(fmt.Sprintf("%s %q", what, name),
		chromedp.MouseEvent(chromedp.MouseMoved, x, y),
		chromedp.MouseClickXY(x, y))
	b.settle()
}

// middle brings an element into the window and is where its middle then is.
func (e element) middle(ctx context.Context, x, y *float64) error {
	if _, err := chromedp.Call(ctx, dom.ScrollIntoViewIfNeeded, dom.ScrollIntoViewIfNeededParams{BackendNodeID: e.backend}); err != nil {
		return err
	}
	res, err := chromedp.Call(ctx, dom.GetContentQuads, dom.GetContentQuadsParams{BackendNodeID: e.backend})
	if err != nil {
		return err
	}
	if len(res.Quads) == 0 || len(res.Quads[0]) != 8 {
		return errors.New("it has no place on the page")
	}
	q := res.Quads[0]
	*x, *y = (q[0]+q[2]+q[4]+q[6])/4, (q[1]+q[3]+q[5]+q[7])/4
	return nil
}

// reaches is what lies above the middle of an element, if anything does. A
// label reaches what it is the label of.
const reaches = `function(x, y) {
	if (this.disabled) return "it is disabled";
	const top = document.elementFromPoint(x, y);
	if (!top) return "it is outside of the window";
	if (this.contains(top) || top.contains(this) && getComputedStyle(this).display === "contents") return "";
	const label = top.closest("label");
	if (label && label.control === this) return "";
	return "it lies below " + top.outerHTML.slice(0, 200);
}`

// Fill gives a field a value at once, as one who pastes it does.
func (b *Browser) Fill(label, value string) {
	b.t.Helper()
	e := b.edit("fill in", label)
	step := chromedp.KeyEvent(kb.Delete)
	if value != "" {
		step = command(input.InsertText, input.InsertTextParams{Text: value})
	}
	b.must(fmt.Sprintf("fill in %s", e), step)
}

// Type types into a field, key by key, behind what is there.
func (b *Browser) Type(label, text string) {
	b.t.Helper()
	e := b.edit("type into", label)
	b.must(fmt.Sprintf("type into %s", e), chromedp.KeyEvent(kb.End), chromedp.KeyEvent(text))
}

// edit puts the cursor into a field, all of whose text is then selected.
func (b *Browser) edit(what, label string) element {
	b.t.Helper()
	e := b.find(what, fields, label)
	why, ok := b.poll(func(ctx context.Context) (bool, string) {
		var locked string
		err := e.call(ctx, `function() {
			if (this.disabled) return "it is disabled";
			if (this.readOnly) return "it is read-only";
			this.scrollIntoView({block: "center"});
			this.focus();
			if (document.activeElement !== this) return "it does not take the focus";
			if (this.select) this.select();
			return "";
		}`, &locked)
		if err != nil {
			return false, err.Error()
		}
		return locked == "", locked
	})
	if !ok {
		b.fatal("%s %s: %s", what, e, why)
	}
	return e
}

// Editable says whether somebody can change a field.
func (b *Browser) Editable(label string) bool {
	b.t.Helper()
	e := b.find("look at", fields, label)
	ctx, cancel := b.limited()
	defer cancel()
	var can bool
	if err := e.call(ctx, `function() { return !this.disabled && !this.readOnly && this.getAttribute("aria-readonly") !== "true" }`, &can); err != nil {
		b.fatal("look at %s: %v", e, err)
	}
	return can
}

// Select chooses the option of a list by its text.
func (b *Browser) Select(label, option string) {
	b.t.Helper()
	e := b.find("choose from", []string{"combobox", "listbox", "MenuListPopup"}, label)
	why, ok := b.poll(func(ctx context.Context) (bool, string) {
		var problem string
		err := e.call(ctx, `function(text) {
			const plain = s => s.split(/\s+/).filter(Boolean).join(" ");
			if (this.localName !== "select") return "it is no list but a " + this.localName;
			if (this.disabled) return "it is disabled";
			const options = [...this.options];
			const wanted = options.find(o => plain(o.text) === text && !o.disabled);
			if (!wanted) return "it has " + JSON.stringify(options.map(o => plain(o.text)));
			this.focus();
			if (this.value !== wanted.value || !wanted.selected) {
				wanted.selected = true;
				this.dispatchEvent(new Event("input", {bubbles: true}));
				this.dispatchEvent(new Event("change", {bubbles: true}));
			}
			return "";
		}`, &problem, plain(option))
		if err != nil {
			return false, err.Error()
		}
		return problem == "", problem
	})
	if !ok {
		b.fatal("choose %q from %s: %s", option, e, why)
	}
	b.settle()
}

// Options are the texts of a list's options.
func (b *Browser) Options(label string) []string {
	b.t.Helper()
	e := b.find("read the options of", []string{"combobox", "listbox"}, label)
	ctx, cancel := b.limited()
	defer cancel()
	var texts []string
	if err := e.call(ctx, `function() { return [...this.options].map(o => o.text.split(/\s+/).filter(Boolean).join(" ")) }`, &texts); err != nil {
		b.fatal("read the options of %s: %v", e, err)
	}
	return texts
}

var keys = map[string]string{
	"Tab": kb.Tab, "Enter": kb.Enter, "Space": " ", "Escape": kb.Escape, "Home": kb.Home, "End": kb.End, "Delete": kb.Delete, "Backspace": kb.Backspace,
	"ArrowUp": kb.ArrowUp, "ArrowDown": kb.ArrowDown, "ArrowLeft": kb.ArrowLeft, "ArrowRight": kb.ArrowRight,
}

// Press presses keys one after the other: "Tab", "Enter", "Space", "Escape",
// "ArrowDown" … or one character; "Shift+Tab" and "Control+a" hold one of them down.
func (b *Browser) Press(names ...string) {
	b.t.Helper()
	for _, name := range names {
		var options []chromedp.KeyOption
		key := name
		if held, rest, ok := strings.Cut(name, "+"); ok && rest != "" {
			modifier, known := map[string]chromedp.Modifier{"Shift": chromedp.ModifierShift, "Control": chromedp.ModifierCtrl, "Alt": chromedp.ModifierAlt}[held]
			if !known {
				b.t.Fatalf("press %q: no such key", name)
			}
			key, options = rest, append(options, chromedp.KeyModifiers(modifier))
		}
		if special, ok := keys[key]; ok {
			key = special
		} else if len([]rune(key)) != 1 {
			b.t.Fatalf("press %q: no such key", name)
		}
		b.must("press "+name, chromedp.KeyEvent(key, options...))
		if key == kb.Enter || key == " " {
			b.settle()
		}
	}
}

// Write types with the keyboard, wherever the focus is.
func (b *Browser) Write(text string) {
	b.t.Helper()
	b.must("write", chromedp.KeyEvent(text))
}

// TabTo presses Tab until an element of a role with a name has the focus.
// Somebody who sees must be able to tell where the focus is, every time.
func (b *Browser) TabTo(role, name string) {
	b.t.Helper()
	b.tabTo([]string{role}, name)
}

// TabToField presses Tab until the field with a label has the focus.
func (b *Browser) TabToField(label string) {
	b.t.Helper()
	b.tabTo(fields, label)
}

func (b *Browser) tabTo(roles []string, name string) {
	b.t.Helper()
	var met []element
	for range 300 {
		b.Press("Tab")
		e := b.focused()
		if e != (element{}) && e.role != "RootWebArea" {
			b.focusIsShown(e)
		}
		if slices.Contains(roles, e.role) && e.called(plain(name)) {
			return
		}
		if len(met) > 5 && e != (element{}) && e == met[0] {
			break // round
		}
		if e != (element{}) && e.role != "RootWebArea" {
			met = append(met, e)
		}
	}
	b.fatal("Tab does not reach %s %q, but %v", roles[0], name, met)
}

// focusIsShown fails the test when what has the focus looks as it does without.
func (b *Browser) focusIsShown(e element) {
	b.t.Helper()
	ctx, cancel := b.limited()
	defer cancel()
	var shown bool
	err := e.call(ctx, `function() {
		const s = getComputedStyle(this);
		if (s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0) return true;
		if (s.boxShadow !== "none") return true;
		return false;
	}`, &shown)
	if err == nil && !shown {
		b.fatal("%s has the focus and does not show it", e)
	}
}

// Focused is the role and the name of what has the focus; "" when nothing has.
func (b *Browser) Focused() (role, name string) {
	b.t.Helper()
	e := b.focused()
	return e.role, e.name
}

func (b *Browser) focused() element {
	b.t.Helper()
	ctx, cancel := b.limited()
	defer cancel()
	e, err := focus(ctx)
	if err != nil {
		b.fatal("find the focus: %v", err)
	}
	return e
}
