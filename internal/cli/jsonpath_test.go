package cli

import (
	"bytes"
	"strings"
	"testing"
)

func TestJSONPath(t *testing.T) {
	object := map[string]any{"name": "prod", "n": 3, "f": 1.5, "big": 10000000, "tags": map[string]string{"a.b": "x"}, "keys": []map[string]any{{"id": "k1", "bits": 2048}, {"id": "k2", "bits": 4096}}}
	for given, want := range map[output]string{
		"jsonpath={.name}":                                      "prod",
		"jsonpath='{.name}'":                                    "prod",
		`jsonpath="{.name}"`:                                    "prod",
		"jsonpath=.name":                                        "prod",
		"jsonpath=name":                                         "prod",
		"jsonpath=$.name":                                       "prod",
		"jsonpath={$.name}":                                     "prod",
		`jsonpath={.name}{"\t"}{.n} of {.f}`:                    "prod\t3 of 1.5",
		"jsonpath={.big}":                                       "10000000",
		`jsonpath={.tags.a\.b}`:                                 "x",
		"jsonpath={.tags}":                                      `{"a.b":"x"}`,
		"jsonpath={.keys[*].id}":                                "k1 k2",
		"jsonpath={.keys[-1:].id}":                              "k2",
		"jsonpath={.keys[?(@.bits>3000)].id}":                   "k2",
		`jsonpath={.keys[?(@.id=="k1")].bits}`:                  "2048",
		`jsonpath={range .keys[*]}{.id}={.bits}{"\n"}{end}`:     "k1=2048\nk2=4096\n",
		"jsonpath={.nothing}":                                   "",
		"jsonpath={.nothing.at.all}":                            "",
		"jsonpath={..id}":                                       "k1 k2",
		`jsonpath={range .keys[*]}{"{"}{.id}{"}"}{end}`:         "{k1}{k2}",
		"jsonpath=plain text {.name}":                           "plain text prod",
		`jsonpath='{range .keys[*]}{.id}{"\n"}{end}'`:           "k1\nk2\n",
		`jsonpath={.name}{range .keys[*]}, {.id}{end}{"\n"}`:    "prod, k1, k2\n",
		`jsonpath={.keys[0]["id"]}`:                             "",
		`jsonpath={.keys[0]['id']}`:                             "k1",
		`jsonpath={.keys[?(@.id=='k2')].id}{"\n"}`:              "k2\n",
		`jsonpath={.keys[0,1].id}`:                              "k1 k2",
		`jsonpath={range .keys[?(@.bits>3000)]}{.id};{end}`:     "k2;",
		`jsonpath={ .name }`:                                    "prod",
		`jsonpath={range .keys[*]}{@.id}{" "}{end}{$.name}`:     "k1 k2 prod",
		`jsonpath={.tags['a\.b']}`:                              "x",
		`jsonpath={range .tags}{.a\.b}{end}`:                    "x",
		`jsonpath={range .keys[*]}{.id}{range .bits}{end}{end}`: "k1k2",
	} {
		var b bytes.Buffer
		if err := given.check(); err != nil {
			if given == `jsonpath={.keys[0]["id"]}` {
				continue // kubectl does not take double quotes here
			}
			t.Errorf("%s: %v", given, err)
			continue
		}
		if printed, err := given.document(&b, object); !printed || err != nil || b.String() != want {
			t.Errorf("%s: %q (%v), want %q", given, b.String(), err, want)
		}
	}

	var b bytes.Buffer
	if err := clusterView.list(&b, `jsonpath={range [*]}{.name}{"\n"}{end}`, []clusterObject{{}, {}}); err != nil || b.String() != "\n\n" {
		t.Errorf("%q %v", b.String(), err)
	}
	b.Reset()
	if err := clusterView.list(&b, `jsonpath={[0].name}`, []clusterObject{}); exitCode(err) != exitError || !strings.Contains(err.Error(), "out of bounds") {
		t.Errorf("%q %v", b.String(), err)
	}
}

func TestBadJSONPath(t *testing.T) {
	for given, want := range map[output]string{
		"jsonpath":                       "jsonpath needs a template",
		"jsonpath=":                      "has no template",
		"jsonpath=''":                    "has no template",
		"jsonpath={.name":                `character 10 of "jsonpath={.name": unclosed action`,
		"jsonpath=ab{.name":              `character 12 of`,
		"jsonpath={.a}{.b]}":             `character 17 of "jsonpath={.a}{.b]}": unrecognized character in action: U+005D`,
		"jsonpath='{.a}{.b]}'":           `character 18 of`,
		"jsonpath=ü{.b]}":                `character 14 of`,
		"jsonpath={.a[x]}":               "invalid array index x",
		"jsonpath={.a[0}":                `unterminated array`,
		"jsonpath=.a[0":                  `character 12 of "jsonpath=.a[0": unterminated array`,
		"jsonpath={name}":                `character 11 of "jsonpath={name}": "name" is neither range nor end`,
		"jsonpath={range .a[*]}{.b}":     `character 11 of "jsonpath={range .a[*]}{.b}": a range without its {end}`,
		"jsonpath={.b}{end}":             `character 15 of "jsonpath={.b}{end}": an end without its range`,
		`jsonpath={"\n}`:                 "unterminated quoted string",
		"jsonpath={.a[?(@.b==1]}":        "unterminated filter",
		"jsonpath={.a}}":                 "",
		"jsonpath={.....}":               "invalid multiple recursive descent",
		"jsonpath={.a[?(@.b===1)]}":      "",
		"jsonpath={'":                    "unterminated quoted string",
		"jsonpath={.[":                   "",
		"jsonpath={[?(":                  "unterminated filter",
		"jsonpath={.a[?(" + "\\')]}":     "",
		"jsonpath={-}":                   "cannot parse number",
		"jsonpath={.name}{.x" + "\xff]}": "",
	} {
		err := given.check()
		if want == "" {
			continue // that it returns is enough
		}
		if exitCode(err) != exitUsage || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", given, err, want)
		}
	}
}

func FuzzJSONPath(f *testing.F) {
	for _, s := range []string{"{.a}", "a", "{range .a[*]}{.b}{end}", "{.a[?(@.b==1)]}", "{'", "{.a[?(", "'{..a}'"} {
		f.Add(s)
	}
	object := map[string]any{"a": []any{1, "x", map[string]any{"b": true}}}
	f.Fuzz(func(t *testing.T, s string) {
		o := output(jsonpathPrefix + s)
		if err := o.check(); err != nil {
			if exitCode(err) != exitUsage {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		o.document(&bytes.Buffer{}, object)
	})
}
