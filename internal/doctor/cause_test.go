package doctor

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// Each cause has a class, each class a code, and the guide has them all.
func TestCausesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/guides/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	guide := string(text)
	file, err := parser.ParseFile(token.NewFileSet(), "cause.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		kind, ok := spec.Type.(*ast.Ident)
		value, isText := spec.Values[0].(*ast.BasicLit)
		if !ok || kind.Name != "Cause" || !isText {
			return true
		}
		name, err := strconv.Unquote(value.Value)
		if err != nil {
			t.Fatal(err)
		}
		n++
		if c := Cause(name); c.Class() == "" || c.ExitCode() == 0 {
			t.Errorf("%s has no class, or its class no code", name)
		}
		if !strings.Contains(guide, "`"+name+"`") {
			t.Errorf("the guide does not have %s", name)
		}
		return true
	})
	if n != len(classes) {
		t.Errorf("%d causes, and %d with a class", n, len(classes))
	}
	codes := map[int]Class{}
	for class, code := range exitCodes {
		if codes[code] != "" || code <= exitUndetermined {
			t.Errorf("code %d of %s is that of %s", code, class, codes[code])
		}
		codes[code] = class
		if row := fmt.Sprintf("| %d | `%s` |", code, class); !strings.Contains(guide, row) {
			t.Errorf("the guide does not have %s", row)
		}
	}
}
