package testkit

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// DomainErrors lists the errors that the directory makes, as "Kind Object" by
// the names of the constants, read from the source in dir: so that a wire's
// tests can see that they forget none. A kind without object is alone.
func DomainErrors(t testing.TB, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no source in %s (%v)", dir, err)
	}
	makers := map[string]string{"notFound": "NotFound", "invalid": "Invalid", "exists": "Exists", "checkText": "Invalid"}
	found := map[string]bool{}
	add := func(kind string, object ast.Expr) {
		if name, ok := object.(*ast.Ident); ok && strings.HasSuffix(name.Name, "Object") {
			found[kind+" "+name.Name] = true
		}
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok && makers[f.Name] != "" && len(n.Args) > 0 {
					add(makers[f.Name], n.Args[0])
				}
			case *ast.CompositeLit:
				if f, ok := n.Type.(*ast.Ident); !ok || f.Name != "Error" {
					return true
				}
				var kind string
				var object ast.Expr
				for _, element := range n.Elts {
					pair, ok := element.(*ast.KeyValueExpr)
					if !ok {
						continue
					}
					switch key, _ := pair.Key.(*ast.Ident); key.Name {
					case "Kind":
						kind = pair.Value.(*ast.Ident).Name
					case "Object":
						object = pair.Value
					}
				}
				if object == nil {
					found[kind] = true
				} else {
					add(kind, object)
				}
			}
			return true
		})
	}
	var list []string
	for name := range found {
		if name != "" {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}
