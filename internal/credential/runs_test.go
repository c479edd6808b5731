package credential

import (
	"strings"
	"testing"
	"testing/quick"
)

// drawn writes runs as text: [-in want only-], {+in got only+}, <marked>.
func drawn(runs []Run) string {
	var b strings.Builder
	for _, r := range runs {
		text := r.Text
		if r.Mark != "" {
			text = "<" + string(r.Mark) + ">"
		}
		switch r.In {
		case InWant:
			text = "[-" + text + "-]"
		case InGot:
			text = "{+" + text + "+}"
		}
		b.WriteString(text)
	}
	return b.String()
}

func TestDiff(t *testing.T) {
	for _, c := range []struct{ want, got, drawn string }{
		{"", "", ""},
		{"same", "same", "same"},
		{"", "all", "{+all+}"},
		{"all", "", "[-all-]"},
		{"https://a.example/", "https://a.example", "https://a.example[-/-]"},
		{"https://a.example/x", "https://a.example/y", "https://a.example/[-x-]{+y+}"},
		{"system:serviceaccount:default:pets", "system:serviceaccount:other:pets", "system:serviceaccount:[-default-]{+other+}:pets"},
		{"system:serviceaccount:a:web", "system:serviceaccount:a:Web", "system:serviceaccount:a:[-w-]{+W+}eb"},
		{"aXbXc", "aYbYc", "a[-X-]{+Y+}b[-X-]{+Y+}c"},
		{"pets", "pеts", "p[-e-]{+<look_alike>+}ts"}, // a Cyrillic е
		{"pеts", "pеts", "p<look_alike>ts"},          // in both, and still none
		{"a", "a ", "a{+<white_space>+}"},
		{"a", "\ta\n", "{+<white_space>+}a{+<white_space>+}"},
		{"a\u00a0b", "a b", "a[-<white_space>-]{+<white_space>+}b"},
		{"ab", "a\u200bb", "a{+<invisible>+}b"},
		{"a", "a\xff", "a{+<invisible>+}"},
		{"a", "\x00a", "{+<invisible>+}a"},
		{"naïve", "naive", "na[-ï-]{+i+}ve"},
		{"x日本y", "x日木y", "x日[-本-]{+木+}y"},
	} {
		if got := drawn(Diff(c.want, c.got)); got != c.drawn {
			t.Errorf("%q and %q: %s, want %s", c.want, c.got, got, c.drawn)
		}
	}
}

// Nothing of either text is lost, whatever it holds, and marks have notes.
func TestDiffIsWhole(t *testing.T) {
	whole := func(want, got string) bool {
		var w, g strings.Builder
		for _, r := range Diff(want, got) {
			if r.Text == "" || (r.Mark == "") != (r.Note == "") {
				return false
			}
			if r.In != InGot {
				w.WriteString(r.Text)
			}
			if r.In != InWant {
				g.WriteString(r.Text)
			}
		}
		return w.String() == want && g.String() == got
	}
	if err := quick.Check(whole, nil); err != nil {
		t.Error(err)
	}
	if err := quick.Check(func(a, b []byte) bool { return whole(string(a), string(b)) }, nil); err != nil {
		t.Error(err)
	}
	long := strings.Repeat("ab", 4000)
	for _, pair := range [][2]string{{long, "x" + long}, {"x" + long + "y", "z" + strings.ToUpper(long) + "w"}, {strings.Repeat("a", MaxSubject), strings.Repeat("ba", MaxSubject/2)}} {
		if !whole(pair[0], pair[1]) {
			t.Errorf("%.20q and %.20q are not whole", pair[0], pair[1])
		}
	}
}

func TestNotesOfMarks(t *testing.T) {
	for text, want := range map[string]string{
		"а": `U+0430 "а", which looks like "a"`, " ": "a space", "\t": "a tab", "\n": "a line break", "\u00a0": "white space U+00A0",
		"\u200b": "invisible U+200B", "\x01": "the control character U+0001", "\xfe": "the byte 0xFE, which is not UTF-8", "a": "",
	} {
		if got := Diff(text, text)[0].Note; got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
