package strictjson

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, c := range []struct {
		name, text string
		ok         bool
	}{
		{"object", `{"a":1,"b":[true,null,"\ud83d\ude00"]}`, true},
		{"scalar", `"x"`, true},
		{"same name in two objects", `{"a":{"b":1},"c":{"b":1}}`, true},
		{"names that differ by case", `{"sub":1,"SUB":2}`, true},
		{"32 levels", deep(32), true},
		{"33 levels", deep(33), false},
		{"duplicate name", `{"a":1,"a":1}`, false},
		{"duplicate name by escape", `{"a":1,"\u0061":1}`, false},
		{"duplicate name deep inside", `[{"x":{"a":1,"a":2}}]`, false},
		{"lone surrogate", `"\ud800"`, false},
		{"surrogates the wrong way round", `"\udc00\ud800"`, false},
		{"invalid UTF-8", "\"\xff\"", false},
		{"NUL in a name", `{"a\u0000":1}`, false},
		{"two values", `{} {}`, false},
		{"nothing", ``, false},
		{"comment", `{/**/}`, false},
		{"1,001 elements", "[" + strings.Repeat("1,", 1000) + "1]", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := Check([]byte(c.text)); (err == nil) != c.ok {
				t.Errorf("Check(%.60q) = %v, want ok=%v", c.text, err, c.ok)
			}
		})
	}
}

func TestDecodeMatchesNamesExactly(t *testing.T) {
	var v struct {
		Sub string `json:"sub"`
	}
	if err := Decode([]byte(`{"SUB":"a","ſub":"b"}`), &v); err != nil || v.Sub != "" {
		t.Errorf("got %q (%v), want a member of another name to be passed over", v.Sub, err)
	}
}

// JSONTestSuite says of 188 texts that a parser must refuse them and of 95 that it must take them.
func TestJSONTestSuite(t *testing.T) {
	files, err := filepath.Glob("testdata/jsontestsuite/*.json")
	if err != nil || len(files) < 280 {
		t.Fatalf("%d files (%v)", len(files), err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(f)
		err = Check(text)
		switch {
		case name[0] == 'n' && err == nil:
			t.Errorf("%s: taken", name)
		case name[0] == 'y' && err != nil && !strings.Contains(name, "duplicated_key") && !strings.Contains(name, "_escaped_null"):
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{`{"a":[1,{"b":"\ud83d\ude00"}]}`, `[[[[`, `"\ud800"`, `{"a":1,"a":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if Check(data) == nil {
			var v any
			if err := Decode(data, &v); err != nil && !strings.Contains(err.Error(), "cannot unmarshal number") {
				t.Errorf("checked but not decoded: %v", err)
			}
		}
	})
}
